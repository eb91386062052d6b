"""The one recorder: replaces functions of MyGrad and NumPy while a model runs, and records what the model does.

Everything that wants to know what a model does reads its `Record`: tracing, the guard, and messages about a model's
lines. It records one thread. A model may run another one while it is recorded: that has a record of its own.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import wraps
from threading import get_ident
from types import CodeType, FrameType
from typing import Any
from weakref import ref

import mygrad
import numpy as np
from mygrad import Tensor
from mygrad._utils import graph_tracking
from mygrad.indexing_routines.ops import Where

from myrnn._start import when_gru_is_imported
from myrnn.compiler.callers import reader_of_numbers, user_frame
from myrnn.compiler.comparable import Operands
from myrnn.compiler.record import DrawCall, ExecutedOperation, Execution, Origin, Record, TensorRead, let_go
from myrnn.compiler.reference import MYGRAD
from myrnn.compiler.traced_arrays import (
    COMPARED,
    LOGICAL,
    ROUNDED,
    TracedArray,
    array_of,
    check_own_memory,
    is_number,
    is_read_by_user,
    keep_arrays,
    numbers_of,
    piecewise_constant,
    raw,
    view_of,
    windows_by,
)
from myrnn.randomness import Draw, Sites, run_with

# How well a variable names its value: best if its function returned with it, then if it was reassigned later, and least
# if it is an argument.
_RETURNED, _REPLACED, _ARGUMENT = range(3)


def recorded(
    model: Callable[[Any], Any],
    x: Any,
    *,
    origins: bool = False,
    arrays: bool = False,
    work: bool = False,
    draws: bool = False,
    parameters: tuple[Tensor, ...] = (),
) -> Record:
    """Run ``model(x)``, and return what it did; where it takes numbers out of tensors is always recorded.

    With `origins` the record has the line, name and number of each operation in a graph. With `arrays` values that the
    model reads out of tensors other than `parameters` are traced, too (see `reads`). With `work` the record has all
    operations as values to compare. With `draws` calls of `dropout` and `noise` give neutral numbers.
    """
    recorder = _Recorder(x, origins=origins, arrays=arrays, work=work, parameters=parameters)
    return recorder.run(model, x, user_frame(sys._getframe(1)), draws=draws)


class _Recorder:
    """Records one call of a model in the thread that makes it."""

    def __init__(self, x: Any, *, origins: bool, arrays: bool, work: bool, parameters: tuple[Tensor, ...]) -> None:
        self.thread, self.argument = get_ident(), x
        self.has_origins, self.has_arrays, self.has_work = origins, arrays, work
        self._parameters, self.known = parameters, {id(parameter) for parameter in parameters}
        # (file, line) of the user's code that takes numbers out of a tensor, on which its behaviour may depend -> how.
        self._looks: dict[tuple[str, int], str] = {}
        # Tensors that the model uses as arrays, or as new tensors.
        self._arrays: list[ref[Tensor]] = []
        self._sites, self._draws = Sites(), list[DrawCall]()
        self._operands = Operands()
        # The id of an operation of MyGrad -> the operation, the user's file and line that made it, and its numbers.
        # Results are not kept: when a tensor is changed in place, MyGrad recomputes all of its views that still exist.
        self._made: dict[int, tuple[Any, str, int, Execution]] = {}
        # The id of an operation -> the best name of its result, after the rank of that name.
        self._names: dict[int, tuple[int, str]] = {}
        # How many times each instruction has run in a call of its function.
        self._counts: Counter[tuple[int, int, CodeType | None]] = Counter()
        # The frames of the user's functions that ran, each after its caller, with the numbers of the call: a frame that
        # is kept keeps its variables. The caller of the model is not among them.
        self._frames: dict[FrameType, Execution] = {}
        self._outside: FrameType | None = None

    def run(self, model: Callable[[Any], Any], x: Any, outside: FrameType | None, *, draws: bool) -> Record:
        """Return what the model did."""
        self._outside = outside
        marked = [t for t in (x, *self._parameters) if isinstance(t, Tensor)] if self.has_work else []
        for i, tensor in enumerate(marked):
            self._operands.mark(tensor, ("given", i))
        try:
            with MYGRAD, _watched(self):
                result = run_with(self, model, x) if draws else model(x)
            self._note_returned()
        except BaseException:
            let_go(self._arrays)
            raise
        finally:
            # A kept frame would keep its callers, and the graph, which locks the parameters.
            self._frames.clear()
            self._outside = None
            self._operands.forget(marked)
        return self._record(result)

    def _record(self, result: Any) -> Record:
        operations = {
            key: ExecutedOperation(creator, Origin(file, line, self._names.get(key, (0, ""))[1], (run,)))
            for key, (creator, file, line, run) in self._made.items()
        }
        looks = tuple(TensorRead(file, line, by=by) for (file, line), by in self._looks.items())
        return Record(
            self.argument,
            result,
            operations,
            looks,
            tuple(self._draws),
            tuple(self._operands.noted),
            tuple(self._arrays),
        )

    # What is recorded ------------------------------------------------------------------------------------------------

    def note_look(self, file: str, line: int, by: str) -> None:
        """Record a line of the user's code that takes numbers out of a tensor."""
        self._looks.setdefault((file, line), by)

    def draw(self, draw: Draw, h: Any) -> Tensor:
        """Return a tensor of the shape of `h` with neutral numbers: a leaf of the graph."""
        site, frame = self._sites.number(), sys._getframe(3)
        numbers = np.full(h.shape, draw.neutral, dtype=h.dtype if h.dtype.kind == "f" else np.float32)
        line = Origin(frame.f_code.co_filename, frame.f_lineno)
        self._draws.append(DrawCall(site, draw, Tensor(numbers, constant=True), line))
        return self._draws[-1].tensor

    def compute(self, name: str, function: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Return the result of an operation, and record all that it takes."""
        if not self.has_work:
            return function(*given, **named)
        operands = self._operands
        operands.noted.append(name)
        operands.note(given)
        for key, value in named.items():
            # The target of a result is not an operand.
            if key != "out":
                operands.noted.append(key)
                operands.note((value,))
        place, result = len(operands.noted), function(*given, **named)
        if isinstance(result, Tensor):
            operands.mark(result, place)
            kinds = [type(value) for value in given]
            if TracedArray in kinds and Tensor not in kinds:
                result.__class__, result._constant = TracedArray, True
        return result

    def note_array(self, tensor: Tensor) -> None:
        """Record a tensor whose history the model may keep."""
        self._arrays.append(ref(tensor))

    def note_copy(self, tensor: Tensor, source: Any) -> None:
        """Record the source of a tensor that MyGrad creates from existing numbers."""
        if not isinstance(source, Tensor) or not graph_tracking.TRACK_GRAPH:
            return
        is_computed = source is self.argument or source.creator is not None or id(source) in self.known
        if is_computed and tensor.creator is None and raw(tensor).shape == raw(source).shape:
            vars(tensor)["_creator"] = array_of(source, raw(tensor).dtype).creator
            self.note_array(tensor)

    def note_made(self, tensor: Tensor, frame: FrameType) -> None:
        """Record the operation that made a tensor, called by a frame."""
        operation = vars(tensor)["_creator"]
        if operation is None or id(operation) in self._made:
            return
        if self.has_arrays:
            keep_arrays(tensor, operation)
            if isinstance(tensor, TracedArray):
                self.note_array(tensor)
        user = user_frame(frame)
        if user is not None:
            self._note_names(user, _REPLACED)
        self._note_calls(user)
        file, line = ("", 0) if user is None else (user.f_code.co_filename, user.f_lineno)
        self._made[id(operation)] = operation, file, line, self._run(user)

    def _note_calls(self, frame: FrameType | None) -> None:
        """Record the calls that lead to a frame."""
        new = list[FrameType]()
        while frame is not None and frame is not self._outside and frame not in self._frames:
            new.append(frame)
            frame = user_frame(frame.f_back)
        for called in reversed(new):
            # A function that calls itself is like a loop: its calls count as one.
            caller = frame
            while caller in self._frames and caller.f_code is not called.f_code:
                caller = user_frame(caller.f_back)
            known = None if caller is None else self._frames.get(caller)
            self._frames[called] = known or self._run(frame, called.f_code)
            frame = called

    def _run(self, frame: FrameType | None, called: CodeType | None = None) -> Execution:
        """Return the numbers of what a frame does now: an operation, or a call."""
        run, at = (Execution(0, 0), 0) if frame not in self._frames else (self._frames[frame], frame.f_lasti)
        # Code is compared by its content: a text has new code whenever it is evaluated.
        place = (run.turn, at, called)
        self._counts[place] += 1
        return Execution(hash((run.site, at, called)), hash((*place, self._counts[place])))

    def _note_returned(self) -> None:
        # The name in a function wins over those in the functions that it called. A frame must not be a variable of
        # `run`, which is one of its callers: they would keep each other, and the graph.
        for frame in self._frames:
            self._note_names(frame, _RETURNED)

    def _note_names(self, frame: FrameType, rank: int) -> None:
        """Record which variables of a frame hold tensors."""
        code = frame.f_code
        arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        for name, value in frame.f_locals.items():
            if isinstance(value, Tensor) and value.creator is not None:
                offered = (_ARGUMENT if name in arguments else rank), name
                known = self._names.setdefault(id(value.creator), offered)
                if offered[0] < known[0]:
                    self._names[id(value.creator)] = offered


# The functions that are replaced -------------------------------------------------------------------------------------

# The recorders of models that run now, the innermost last; changed under the lock of MyGrad only.
_recorders: list[_Recorder] = []


def _here() -> _Recorder | None:
    """Return the recorder of this thread."""
    if _recorders and _recorders[-1].thread == get_ident():
        return _recorders[-1]
    return None


def _traces_arrays() -> bool:
    """Whether values that this thread reads out of tensors are traced."""
    return (recorder := _here()) is not None and recorder.has_arrays


def _look(tensor: Tensor) -> Any:
    # MyGrad itself does this most of the time, so it must be fast.
    if (recorder := _here()) is not None:
        if recorder.has_arrays and is_read_by_user():
            return view_of(tensor)
        if (reader := reader_of_numbers(sys._getframe(1))) is not None:
            recorder.note_look(*reader)
    return tensor.__dict__["data"]


def _give(tensor: Tensor, data: Any) -> None:
    vars(tensor)["data"] = data.data if isinstance(data, Tensor) else data


def _computing_operation(compute: Any) -> Any:
    def computed(*given: Any, **named: Any) -> Any:
        if (recorder := _here()) is None:
            return compute(*given, **named)
        result = recorder.compute("_op", compute, given, named)
        if recorder.has_origins and isinstance(result, Tensor):
            recorder.note_made(result, sys._getframe(1))
        return result

    return classmethod(computed)


def _computing_ufunc(compute: Any) -> Any:
    @wraps(compute)
    def computed(tensor: Tensor, ufunc: np.ufunc, method: str, *inputs: Any, **named: Any) -> Any:
        if (recorder := _here()) is None:
            return compute(tensor, ufunc, method, *inputs, **named)
        plain = method == "__call__" and not named and all(map(is_number, inputs))
        if plain and recorder.has_arrays and graph_tracking.TRACK_GRAPH:
            if ufunc in COMPARED.values() or ufunc is np.isnan or (ufunc in ROUNDED and type(tensor) is TracedArray):
                return piecewise_constant(ufunc, *inputs)
            if ufunc in LOGICAL and np.result_type(*map(numbers_of, inputs)).kind == "b":
                return piecewise_constant(LOGICAL[ufunc], *inputs)
        return recorder.compute("__array_ufunc__", compute, (tensor, ufunc, method, *inputs), named)

    return computed


def _comparing(name: str, function: np.ufunc) -> Any:
    compare = vars(Tensor)[name]

    @wraps(compare)
    def compared(tensor: Tensor, other: Any) -> Any:
        if (recorder := _here()) is None:
            return compare(tensor, other)
        if recorder.has_arrays and is_number(other) and is_read_by_user():
            return piecewise_constant(function, tensor, other)
        return recorder.compute(name, compare, (tensor, other), {})

    return compared


def _converting(convert: Any) -> Any:
    copies = convert.__name__ == "array"

    @wraps(convert)
    def converted(*given: Any, **named: Any) -> Any:
        source, *rest = given or (None,)
        if isinstance(source, Tensor) and is_read_by_user() and _traces_arrays():
            dtype = rest[0] if rest else named.get("dtype")
            if len(rest) <= 1 and set(named) <= {"dtype", "copy", "order", "subok"}:
                is_same = type(source) is TracedArray and dtype in (None, source.dtype) and not copies
                if is_same:
                    return source
                return array_of(source, dtype) if copies or dtype not in (None, source.dtype) else view_of(source)
        return convert(*given, **named)

    return converted


def _making(make: Any) -> Any:
    @wraps(make)
    def made(tensor: Tensor, x: Any, *given: Any, **named: Any) -> None:
        make(tensor, x, *given, **named)
        if (recorder := _here()) is not None and recorder.has_arrays:
            recorder.note_copy(tensor, x)

    return made


def _copying(copy: Any) -> Any:
    @wraps(copy)
    def copied(tensor: Tensor, *given: Any, **named: Any) -> Any:
        result, recorder = copy(tensor, *given, **named), _here()
        if result is not tensor and recorder is not None and recorder.has_arrays and is_read_by_user():
            recorder.note_copy(result, tensor)
        return result

    return copied


def _changing(change: Any) -> Any:
    @wraps(change)
    def changed(tensor: Tensor, *given: Any, **named: Any) -> Any:
        if _traces_arrays():
            check_own_memory(tensor)
        return change(tensor, *given, **named)

    return changed


def _writing(write: Any) -> Any:
    @wraps(write)
    def written(tensor: Tensor, key: Any, value: Any) -> None:
        if type(key) is TracedArray and key.dtype == bool and np.shape(value) == () and _traces_arrays():
            # A single number written where a mask is true is a choice.
            mask = key.reshape(*key.shape, *(1 for _ in tensor.shape[key.ndim :]))
            key, value = Ellipsis, mygrad.where(mask, value, tensor)
        write(tensor, key, value)

    return written


def _choosing(choose: Any) -> Any:
    @wraps(choose)
    def chosen(operation: Any, a: Tensor, b: Tensor, *, condition: Any) -> Any:
        if isinstance(condition, Tensor) and graph_tracking.TRACK_GRAPH and _traces_arrays():
            # A new tensor, which nothing changes in place.
            operation.reads_beside = (array_of(condition),)
            condition = raw(condition)
        return choose(operation, a, b, condition=condition)

    return chosen


def _beginning(begin: Any) -> Any:
    @wraps(begin)
    def begun(operation: Any, *operands: Tensor, s0: Any = None, **named: Any) -> Any:
        if graph_tracking.TRACK_GRAPH and _traces_arrays():
            start = s0 if isinstance(s0, Tensor) or s0 is None else Tensor(s0, constant=True)
            operation.reads_beside = () if start is None else (array_of(start),)
        return begin(operation, *operands, s0=numbers_of(s0), **named)

    return begun


_Replacement = tuple[Any, str, Any]
"""A module or class, a name in it, and what has this name meanwhile."""

# Numbers that are read.
_LOOKS: tuple[_Replacement, ...] = ((Tensor, "data", property(_look, _give)),)
# All that computations with tensors go through: MyGrad's operations, NumPy's functions and comparisons.
_OPERATIONS: tuple[_Replacement, ...] = (
    (Tensor, "_op", _computing_operation(vars(Tensor)["_op"].__func__)),
    (Tensor, "__array_ufunc__", _computing_ufunc(Tensor.__array_ufunc__)),
    *((Tensor, name, _comparing(name, function)) for name, function in COMPARED.items()),
)
# What turns a tensor into an array, or another tensor.
_CONVERSIONS: tuple[_Replacement, ...] = (
    *((np, name, _converting(getattr(np, name))) for name in ("asarray", "array", "asanyarray", "ascontiguousarray")),
    (mygrad, "asarray", _converting(mygrad.asarray)),
    (mygrad, "sliding_window_view", windows_by(mygrad.sliding_window_view)),
    (Tensor, "__init__", _making(Tensor.__init__)),
    *((Tensor, name, _copying(vars(Tensor)[name])) for name in ("astype", "copy")),
    (Tensor, "__setitem__", _writing(Tensor.__setitem__)),
    (Tensor, "_in_place_op", _changing(vars(Tensor)["_in_place_op"])),
    (Where, "__call__", _choosing(Where.__call__)),
)

_MISSING = object()


@contextmanager
def _watched(recorder: _Recorder) -> Iterator[None]:
    """Replace the functions of MyGrad and NumPy that a recorder needs, and put back what was there."""
    operations = _OPERATIONS if recorder.has_origins or recorder.has_work else ()
    conversions = _CONVERSIONS if recorder.has_arrays else ()
    replacements = (*_LOOKS, *operations, *conversions)
    before = [(owner, name, vars(owner).get(name, _MISSING)) for owner, name, _ in replacements]
    try:
        for owner, name, new in replacements:
            setattr(owner, name, new)
        with when_gru_is_imported(lambda module: _replace_gru(module, before)) if conversions else nullcontext():
            _recorders.append(recorder)
            try:
                yield
            finally:
                _recorders.pop()
    finally:
        for owner, name, former in reversed(before):
            if former is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, former)


def _replace_gru(module: Any, before: list[_Replacement]) -> None:
    unit = module.GRUnit
    before.append((unit, "__call__", unit.__call__))
    unit.__call__ = _beginning(unit.__call__)
