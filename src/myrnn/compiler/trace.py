"""Stage 1: run the model on a probe sequence and convert MyGrad's graph to nodes.

The user's lines and names, which MyGrad's graph lacks, are recorded while the model runs.
"""

from __future__ import annotations

import dis
import gc
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cache, partial
from types import CodeType, FrameType
from typing import Any
from weakref import ref

import mygrad
import numpy as np
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn._checks import of_mygrad
from myrnn._user_code import failure
from myrnn.compiler import ops
from myrnn.compiler.arithmetic import READS, lost
from myrnn.compiler.graph import Builder, Node, inputs_first
from myrnn.compiler.leaves import Parameter, Row
from myrnn.compiler.lower import INSTEAD, RULES
from myrnn.compiler.ops import OPERATIONS, join
from myrnn.compiler.patches import replaced
from myrnn.compiler.reads import (
    Array,
    PiecewiseConstant,
    Reading,
    WithoutGradient,
    array_of,
    is_read_by_user,
    keep_arrays,
    raw,
    reads_traced,
)
from myrnn.compiler.record import Execution, Origin, TensorRead
from myrnn.compiler.recording import Recording, SiteUse, values_of
from myrnn.compiler.reference import MYGRAD
from myrnn.compiler.shapes import SHAPES, Rule
from myrnn.compiler.values import Value, plain
from myrnn.compiler.writes import READ_OR_WRITE, WRITES, Written, written_into
from myrnn.errors import CompileError, InvalidArgument, NotARecurrence, UnsupportedOperation
from myrnn.randomness import run_with

# Code that readers of an error would not call their own model: its callers are shown instead.
_MYGRAD = os.path.join(os.path.dirname(mygrad.__file__), "")
_NUMPY = os.path.join(os.path.dirname(np.__file__), "")
_MYNN = os.path.join(os.sep, "mynn", "")
_LIKE_LAYERS = os.path.join("myrnn", "models", "dense.py"), os.path.join("myrnn", "randomness.py")
# The files with functions that stand between the model and MyGrad while it is watched.
_WRAPPERS = frozenset(os.path.join(os.path.dirname(__file__), f"{name}.py") for name in ("trace", "reads", "work"))
# The built-in models only inspect their argument to check it.
_MODELS = os.path.join(os.sep, "myrnn", "models", "")

# The owner of a file's code; the larger the number, the more it is the user's own.
_OF_MYGRAD, _OF_NUMPY, _OF_LAYERS, _OF_MODELS, _OF_USER = range(5)

# Functions of MyGrad that read numbers and do not give them to their caller: the result of an operation is in the
# graph, a new tensor is a constant there, and a size is not a number of the tensor.
_GIVE_NO_NUMBERS = frozenset(
    {"_op", "_in_place_op", "__init__", "tensor", "astensor", "astype", "copy", "zeros_like", "ones_like", "full_like"}
    | {"empty_like", "shape", "ndim", "size", "dtype", "__len__", "__repr__", "backward", "einsum"}
)
_SIZES = frozenset({"dtype", "ndim", "shape", "size"})
_CONVERTS = frozenset({"__array__", "__bool__", "__float__", "__index__", "__int__", "item"})


# How well a variable names its value: best if its function returned with it, then if it was reassigned later, and least
# if it is an argument.
_RETURNED, _REPLACED, _ARGUMENT = range(3)


class Recorder:
    """Records what MyGrad's graph lacks while a model runs: the user's lines, names, and inspections of numbers."""

    def __init__(self) -> None:
        # The id of an operation of MyGrad -> (file, line) of the user's code that made it.
        self.operations: dict[int, tuple[str, int]] = {}
        # The id of an operation -> its numbers.
        self.runs: dict[int, Execution] = {}
        # How many times each instruction has run in a call of its function.
        self._counts: Counter[tuple[int, int, int]] = Counter()
        # (file, line) of the user's code that takes numbers out of a tensor, on which its behaviour may depend -> how.
        self._looks: dict[tuple[str, int], str] = {}
        # The id of an operation -> the best name of its result, after the rank of that name.
        self._names: dict[int, tuple[int, str]] = {}
        # Keeps objects alive so that their ids stay unique. Results are not kept: when a tensor is changed in place,
        # MyGrad recomputes all of its views that still exist.
        self._kept: list[Any] = []
        # The frames of the user's functions that ran, each after its caller, with the numbers of the call: a frame that
        # is kept keeps its variables. The caller of the model is not among them.
        self._frames: dict[FrameType, Execution] = {}
        # Tensors that the model uses as arrays, or as new tensors.
        self._arrays: list[ref[Tensor]] = []
        self._outside: FrameType | None = None

    def run(
        self,
        model: Callable[[Any], Any],
        x: Any,
        *,
        names: bool = True,
        arrays: bool = False,
        parameters: tuple[Tensor, ...] = (),
    ) -> Any:
        """Return ``model(x)``, and record this thread; without `names`, only inspections of numbers."""
        # With `arrays`, values that the model reads out of tensors other than parameters are traced, too (see `reads`).
        here = threading.get_ident()
        self._outside = _user_frame(sys._getframe(1))
        known = {id(parameter) for parameter in parameters}

        def is_here() -> bool:
            return threading.get_ident() == here

        def look(tensor: Tensor) -> NDArray[Any]:
            if is_here():
                if arrays and id(tensor) not in known and is_read_by_user():
                    return array_of(tensor)
                self._note_look(sys._getframe(1))
            return raw(tensor)

        def give(tensor: Tensor, data: Any) -> None:
            vars(tensor)["data"] = data.data if isinstance(data, Tensor) else data

        def note(tensor: Tensor) -> None:
            self._arrays.append(ref(tensor))

        def make(tensor: Tensor, operation: Any) -> None:
            vars(tensor)["_creator"] = operation
            if is_here() and operation is not None:
                keep_arrays(tensor, operation)
                if isinstance(tensor, Array):
                    note(tensor)
                self._kept.append(operation)
                self._note_made(operation, _user_frame(sys._getframe(1)))

        watched = [(Tensor, "data", property(look, give))]
        if names:
            watched.append((Tensor, "_creator", property(lambda tensor: vars(tensor)["_creator"], make)))
        with (
            MYGRAD,
            replaced(watched),
            reads_traced(is_here, x, note) if arrays else nullcontext(),
        ):
            try:
                output = model(x)
                self._note_returned()
            except BaseException:
                self.let_arrays_go()
                raise
            finally:
                # A kept frame would keep its callers, and the graph, which locks the parameters.
                self._frames.clear()
                self._outside = None
        return output

    def let_arrays_go(self) -> None:
        """Cut the history of arrays and new tensors that the model may keep: a graph keeps parameters locked."""
        for reference in self._arrays:
            if (array := reference()) is not None:
                vars(array)["_creator"] = None

    @property
    def looks(self) -> tuple[TensorRead, ...]:
        """The lines of the user's code that take numbers out of a tensor."""
        return tuple(TensorRead(file, line, by=by) for (file, line), by in self._looks.items())

    def origin(self, tensor: Any) -> Origin:
        """Return the line that made the tensor, the best of its names, and the operation."""
        made = id(tensor.creator)
        _, name = self._names.get(made, (0, ""))
        return Origin(*self.operations.get(made, ("", 0)), name, (self.runs[made],) if made in self.runs else ())

    def _note_made(self, operation: Any, user: FrameType | None) -> None:
        self.operations.setdefault(id(operation), ("", 0) if user is None else (user.f_code.co_filename, user.f_lineno))
        if user is not None:
            self._note_names(user, _REPLACED)
        self._note_calls(user)
        self.runs[id(operation)] = self._run(user)

    def _note_calls(self, frame: FrameType | None) -> None:
        """Record the calls that lead to a frame."""
        new = list[FrameType]()
        while frame is not None and frame is not self._outside and frame not in self._frames:
            new.append(frame)
            frame = _user_frame(frame.f_back)
        for called in reversed(new):
            # A function that calls itself is like a loop: its calls count as one.
            caller = frame
            while caller in self._frames and caller.f_code is not called.f_code:
                caller = _user_frame(caller.f_back)
            known = None if caller is None else self._frames.get(caller)
            self._frames[called] = known or self._run(frame, id(called.f_code))
            frame = called

    def _run(self, frame: FrameType | None, called: int = 0) -> Execution:
        """Return the numbers of what a frame does now: an operation, or a call."""
        run, at = (Execution(0, 0), 0) if frame not in self._frames else (self._frames[frame], frame.f_lasti)
        place = (run.turn, at, called)
        self._counts[place] += 1
        return Execution(hash((run.site, at, called)), hash((*place, self._counts[place])))

    def _note_returned(self) -> None:
        # The name in a function wins over those in the functions that it called.
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

    def _note_look(self, frame: FrameType | None) -> None:
        """Record that the user's code reads numbers, or asks MyGrad or NumPy for them."""
        is_converted, by = False, "data"
        while frame is not None and (kind := _kind_of(frame.f_code.co_filename)) <= _OF_NUMPY:
            # An operation takes the numbers of its operands; a tensor among its options becomes an array or a number.
            is_converted |= frame.f_code.co_name in _CONVERTS
            if kind == _OF_MYGRAD and _gives_no_numbers(frame) and not (is_converted and _computes(frame)):
                return
            by, frame = _called(frame), frame.f_back
        if frame is not None and kind == _OF_USER and not _asks_for_size(frame.f_code, frame.f_lasti):
            self._looks.setdefault((frame.f_code.co_filename, frame.f_lineno), by)


def lines_that_look(model: Callable[[Any], Any], x: Any) -> list[TensorRead]:
    """Run the model on `x`, an array (T, C), and return the lines where its code inspects the numbers of a tensor."""
    recorder = Recorder()
    recorder.run(model, mygrad.tensor(x))
    return list(recorder.looks)


def _called(frame: FrameType) -> str:
    """Return the name of a library's function, as the user's code calls it."""
    name = frame.f_code.co_name
    if name == "__array_function__":
        return f"np.{frame.f_locals['func'].__name__}"
    return str(frame.f_locals["name"]) if name == "__getattr__" else name


def _computes(frame: FrameType) -> bool:
    return frame.f_code.co_name in ("_op", "_in_place_op")


def _gives_no_numbers(frame: FrameType) -> bool:
    name = frame.f_code.co_name
    return name in _GIVE_NO_NUMBERS or (name == "__array_function__" and frame.f_locals["func"].__name__ in _SIZES)


@cache
def _asks_for_size(code: CodeType, at: int) -> bool:
    """Whether code only asks for the shape of what it has just read, as in ``weight.data.shape``."""
    following = next((i for i in dis.get_instructions(code) if i.offset > at), None)
    return following is not None and following.opname == "LOAD_ATTR" and following.argval in _SIZES


@cache
def _kind_of(file: str) -> int:
    """Return the owner of the code in a file."""
    if file.startswith(_MYGRAD) or file in _WRAPPERS:
        return _OF_MYGRAD
    if file.startswith((_NUMPY, "<frozen ")):
        return _OF_NUMPY
    if _MYNN in file or file.endswith(_LIKE_LAYERS):
        return _OF_LAYERS
    return _OF_MODELS if _MODELS in file else _OF_USER


def _user_frame(frame: FrameType | None) -> FrameType | None:
    while frame is not None and _kind_of(frame.f_code.co_filename) < _OF_MODELS:
        frame = frame.f_back
    return frame


# Reading the graph --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trace:
    """The computation of a model for a sequence of one length, T."""

    length: int
    # The logits: K numbers, or the concatenated rows of a model with logits for every step.
    output: Node
    # The line of each node in the user's code.
    origins: dict[Node, Origin] = field(repr=False)
    # The numbers of the logits, (1, K) or (T, K).
    logits: NDArray[Any] | None = field(default=None, repr=False)
    # Lines where the user's code inspects the numbers of a tensor.
    looks: tuple[TensorRead, ...] = ()
    # The numbers of the parameters that MyGrad's graph reaches: these have a gradient.
    parameters: frozenset[int] = frozenset()
    # How it draws random numbers.
    draws: tuple[SiteUse, ...] = ()
    # The operations that ran, also those that the output does not depend on.
    runs: frozenset[Execution] = field(default=frozenset(), repr=False)


@contextmanager
def _collection_paused() -> Iterator[None]:
    """Pause the garbage collector, which would scan all objects repeatedly while many are made that stay."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_collection_paused()
def trace_once(
    model: Any, parameters: tuple[Tensor, ...], x: np.ndarray[Any, Any], build: Builder, whole: Collection[int] = ()
) -> Trace:
    """Trace the model on `x`, float32 (T, C); `whole` has the sites that do not draw row by row (see `draws`)."""
    output, sequence, recorder, recording = _run(model, parameters, x)
    try:
        drawn = values_of(recording.calls, len(x), build, whole)
        return _graph_of(output, sequence, parameters, build, recorder, drawn)
    finally:
        recorder.let_arrays_go()


def _graph_of(
    output: Any,
    sequence: Tensor,
    parameters: tuple[Tensor, ...],
    build: Builder,
    recorder: Recorder,
    drawn: tuple[dict[int, Value], tuple[SiteUse, ...]],
) -> Trace:
    """Return the graph of a model's result for a sequence."""
    of_mygrad("the result of the model", output)
    is_array = isinstance(output, Array) and _depends_on(output, parameters)
    if not isinstance(output, Tensor) or is_array:
        kind = "ndarray" if is_array else type(output).__name__
        raise CompileError(
            f"the model must return a MyGrad tensor, but returned {kind}: no gradient reaches any "
            "parameter of the model, so that it would learn nothing"
        )
    length, width = sequence.shape
    if output.ndim != 2 or output.shape[0] not in (1, length):
        raise InvalidArgument(
            "the model must return logits of shape (1, K), or (T, K) with a row for each step, but for a sequence of "
            f"{length} steps it returned shape {output.shape}"
        )
    _check_untouched(parameters, sequence, recorder)
    values = {id(p): plain(build.leaf(Parameter(i), p.size), p.shape) for i, p in reversed(list(enumerate(parameters)))}
    rows = tuple(build.leaf(Row(t), width) for t in range(length))
    values[id(sequence)] = Value(rows, sequence.shape, 0)
    of_drawn, draws = drawn
    values |= of_drawn
    origins = read_graph(inputs_first([output], _operands), values, build, recorder)
    tensors = inputs_first([output], lambda t: () if isinstance(t.creator, WithoutGradient) else _variables(t))
    reached = frozenset(i for i, p in enumerate(parameters) if any(p is t for t in tensors))
    _check_gradient_goes_on(values[id(output)].node, origins)
    found, runs = values[id(output)], frozenset(recorder.runs.values())
    rows_found = (found.value if isinstance(found, Written) else found).parts(-2)
    logits = joined([part.node for part in rows_found], build)
    return Trace(length, logits, origins, output.data.copy(), recorder.looks, reached, draws, runs)


def _depends_on(output: Tensor, parameters: tuple[Tensor, ...]) -> bool:
    return not {id(p) for p in parameters}.isdisjoint(map(id, inputs_first([output], _operands)))


def joined(rows: Sequence[Node], build: Builder) -> Node:
    """Return the logits of all steps in one node."""
    if len(rows) < 2:
        return rows[0] if rows else build.constant([])
    size = rows[0].size
    return join(*rows, places=[np.arange(t * size, (t + 1) * size) for t in range(len(rows))])


def _run(model: Any, parameters: tuple[Tensor, ...], x: NDArray[Any]) -> tuple[Any, Tensor, Recorder, Recording]:
    """Run the model on `x` as a tensor; return its result, the tensor, the records and the draws."""
    # If the model fails with a traced tensor instead of an array, it is given arrays.
    for arrays in (True, False):
        sequence, recorder, recording = mygrad.tensor(x, constant=False), Recorder(), Recording()
        if arrays:
            # As the data are.
            sequence.__class__ = Array
        run = partial(recorder.run, model, arrays=arrays, parameters=parameters)
        try:
            # The sequences are artificial, with large numbers, so overflows on them do not matter.
            with np.errstate(all="ignore"):
                return run_with(recording, run, sequence), sequence, recorder, recording
        except InvalidArgument:
            raise
        except Exception as error:
            if not arrays:
                raise CompileError(f"the model fails on a sequence of shape {x.shape}: {failure(error)}") from error
    raise AssertionError


def tensors_below(target: Any) -> list[Any]:
    """Return a MyGrad tensor and all that it is computed from, each after its operands."""
    return inputs_first([target], _variables)


def _variables(tensor: Any) -> tuple[Any, ...]:
    return () if tensor.creator is None else tensor.creator.variables


def _operands(tensor: Any) -> tuple[Any, ...]:
    """Return all operands of a tensor: first those that pass no gradient."""
    return (*getattr(tensor.creator, "reads_beside", ()), *_variables(tensor))


def _check_untouched(parameters: tuple[Tensor, ...], sequence: Tensor, recorder: Recorder) -> None:
    """Refuse parameters or a sequence that are computed, or changed in place, which would go unnoticed."""
    for i, tensor in enumerate((*parameters, sequence)):
        if tensor.creator is not None:
            line = f"\n  {recorder.origin(tensor)}" if id(tensor.creator) in recorder.operations else ""
            if tensor is sequence:
                raise CompileError(
                    f"the model changes its sequence in place, though others may still read it.{line}\n"
                    "  Compute a new one: x = 2 * x instead of x *= 2."
                )
            raise CompileError(
                f"parameters[{i}] of the model is computed from other tensors, or changed in place. Parameters must be "
                f"separate tensors that a call does not change.{line}"
            )


def read_graph(tensors: list[Any], values: dict[int, Any], build: Builder, recorder: Recorder) -> dict[Node, Origin]:
    """Add the values of tensors, inputs first, to those of the leaves; return the origins of their nodes."""
    origins: dict[Node, Origin] = {}
    is_learned = _Learned()
    # Constants that are written into.
    targets = {id(_variables(t)[0]) for t in tensors if type(t.creator).__name__ in WRITES}
    for tensor in tensors:
        if id(tensor) in values:
            continue
        if id(tensor) in targets and tensor.creator is None:
            values[id(tensor)] = written_into(build.constant(tensor.data), tensor.shape)
            continue
        if tensor.creator is None:
            _check_constant(tensor, tensors, recorder)
            values[id(tensor)] = plain(build.constant(tensor.data), tensor.shape)
            continue
        if _is_older(tensor, recorder):
            # MyGrad forgets how a tensor was computed after a backward pass: then it is a constant.
            raise CompileError(
                "the model uses a tensor that was computed from others before it was called: it would not follow its "
                f"parameters.\n  {_reader(lambda t: _is_older(t, recorder), tensors, recorder)}\n"
                "  Compute it inside the call, or keep its numbers only."
            )
        operands = [values[id(v)] for v in _operands(tensor)]
        if not any(operand.nodes for operand in operands):
            # Operations on no rows compute nothing, and have a fixed result: a sum is 0.
            known = plain(build.constant(tensor.data), tensor.shape) if tensor.size else Value((), tensor.shape, 0)
            values[id(tensor)] = known
            continue
        value = values[id(tensor)] = _lowered(tensor, operands, recorder, is_learned)
        if isinstance(value, Written):
            continue
        origin = recorder.origin(tensor)
        handed = {node for operand in operands for node in operand.nodes}
        moves = type(tensor.creator).__name__ in (*SHAPES, *READ_OR_WRITE)
        for node in value.nodes:
            if node in origins:
                # It was computed before. If it is not one of the operands, it is computed again.
                before = origins[node]
                again = () if moves or node in handed else origin.runs
                best = origin if origin.name and not before.name else before
                origins[node] = replace(best, runs=(*before.runs, *again))
            else:
                origins[node] = origin
    return origins


class _Learned:
    """Returns whether a gradient passes from a node to parameters."""

    def __init__(self) -> None:
        self._known: dict[Node, bool] = {}

    def __call__(self, node: Node) -> bool:
        known = self._known
        for one in inputs_first([node], lambda n: () if n in known else _with_gradient(n)):
            if one not in known:
                known[one] = isinstance(one.leaf, Parameter) or any(known[i] for i in _with_gradient(one))
        return known[node]


def _check_gradient_goes_on(output: Node, origins: dict[Node, Origin]) -> None:
    """Refuse numbers that were read out of tensors with a gradient, unless they are only compared."""
    for node in inputs_first([output], _with_gradient):
        if node.operation == "fixed" and node in origins:
            raise NotARecurrence(takes_numbers(origins[node]))


def _with_gradient(node: Node) -> tuple[Node, ...]:
    """Return the inputs of a node that its derivative reaches."""
    if node.operation == "select":
        return node.inputs[1:]
    return node.inputs if node.is_leaf or OPERATIONS[node.operation].derivative is not None else ()


def takes_numbers(line: Origin) -> str:
    """Return a message about the line where a model takes numbers out of tensors, and what to do instead."""
    how, instead = _instead_of(line.by if isinstance(line, TensorRead) else "")
    return (
        f"the model takes numbers out of its tensors{how}, which a compiled model cannot do:\n  {line}\n"
        f'  {instead}, or train with engine="mygrad".'
    )


def _instead_of(by: str) -> tuple[str, str]:
    """Return how a function takes numbers out of tensors, and what to write instead of it."""
    name = by.removeprefix("np.")
    if by == "__bool__":
        return " to decide by them (if, while, and, or)", (
            "It computes the same at every step, whatever the numbers are. Write mg.where(h > 0, a, b), which does\n"
            "  both and takes one; instead of a break, keep the state: h = mg.where(done, h, new)"
        )
    if name in ("argmax", "argmin", "__index__"):
        return f" to choose by {name if name in by else 'them'}", (
            "If x is one-hot, x_t @ E is the row E[np.argmax(x_t)]. Otherwise choose smoothly: softmax(h @ V) @ E"
        )
    if by.startswith("np.") or (hasattr(np.ndarray, by) and not by.startswith("__") and by != "data"):
        return f" with NumPy's {name}, for which the compiler has no rule", (
            "Write it with MyGrad's operations; compute what needs only the sequence before, as columns of the data"
        )
    return " with .data, float() or NumPy", (
        "No gradient passes there. Use MyGrad's operations alone; to choose by a comparison, mg.where(h > 0, a, b)"
    )


def _is_older(tensor: Any, recorder: Recorder) -> bool:
    """Whether a tensor was computed before the model was called."""
    return tensor.creator is not None and id(tensor.creator) not in recorder.operations


def _reader(is_read: Callable[[Any], bool], tensors: list[Any], recorder: Recorder) -> Origin:
    """Return the line where the model first reads such a tensor."""
    readers = (t for t in tensors if id(t.creator) in recorder.operations and any(map(is_read, _operands(t))))
    return recorder.origin(next(readers, tensors[-1]))


def _check_constant(tensor: Any, tensors: list[Any], recorder: Recorder) -> None:
    """Refuse a constant with numbers that become 0 or infinite in native code."""
    if message := lost(np.asarray(tensor.data)):
        raise CompileError(f"{message}\n  {_reader(lambda t: t is tensor, tensors, recorder)}")


def _lowered(
    tensor: Any, operands: list[Any], recorder: Recorder, is_learned: Callable[[Node], bool]
) -> Value | Written:
    creator = tensor.creator
    try:
        if type(creator).__name__ not in READ_OR_WRITE:
            operands = [operand.value if isinstance(operand, Written) else operand for operand in operands]
        rule = _rule_for(creator, tensor)
        value = rule(creator, operands, tensor.shape)
        is_reading = type(creator) is Reading
        stops = is_reading or (tensor.constant and not all(v.constant for v in creator.variables))
        # Values that depend on no parameter, and truth values, have no gradient anyway.
        if not stops or not any(map(is_learned, value.nodes)):
            return value
        if not is_reading:
            raise UnsupportedOperation("constant=True stops the gradient, which a compiled model cannot do.")
        return replace(value, nodes=tuple(map(ops.fixed, value.nodes)))
    except UnsupportedOperation as error:
        instead = INSTEAD.get(type(creator).__name__, "Write it with supported operations")
        raise UnsupportedOperation(
            f'{error}\n  {recorder.origin(tensor)}\n  {instead}, or train with engine="mygrad".'
        ) from None


def _rule_for(creator: Any, tensor: Any) -> Rule:
    name = type(creator).__name__
    if type(creator) in (Reading, PiecewiseConstant):
        return READS[name]
    # A user-defined operation may have the name of one of MyGrad's.
    is_mygrads = type(creator).__module__.startswith("mygrad.")
    if not is_mygrads or name not in RULES:
        what = f"MyGrad's {name}" if is_mygrads else f"{name} of {type(creator).__module__}"
        raise UnsupportedOperation(f"the compiler has no rule for {what}.")
    if creator.where is not True:
        raise UnsupportedOperation(f"the compiler has no rule for MyGrad's {name} with a where= mask.")
    if tensor.dtype == np.float16:
        raise UnsupportedOperation("this rounds to float16, but compiled models work in float32 only.")
    # Numbers of any type may be moved and chosen, and truth values written into others.
    moves = name in SHAPES or name == "Where" or (name in WRITES and {v.dtype.kind for v in creator.variables} == {"b"})
    if tensor.dtype.kind in "iub" and not moves:
        raise UnsupportedOperation(
            f"this computes in {tensor.dtype}, which overflows or rounds where float32 does not: "
            "begin with a float, such as 0.0 instead of 0."
        )
    return RULES[name]
