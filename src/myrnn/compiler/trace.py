"""Stage 1: run the model on a probe sequence and read MyGrad's graph into the table of nodes.

A value is either plain, one node; or rows, a list of nodes along the first axis. The sequence itself is rows, and so
is whatever is computed for all its steps at once, before, after or between the loops. Rows are taken apart: an
operation on rows becomes one operation on each, so that a projection of the whole sequence and one inside the loop are
the same graph.

What MyGrad's graph does not show, the user's lines and names, is noted while the model runs.
"""

from __future__ import annotations

import gc
import linecache
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cache
from types import FrameType
from typing import Any

import mygrad
import numpy as np
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn._user_code import failure
from myrnn.compiler import _looks
from myrnn.compiler.graph import Builder, Node
from myrnn.compiler.lower import INSTEAD, RULES, SHAPES, Plain, Rows, Rule, Value, as_plain
from myrnn.errors import CompileError, InvalidArgument, NotARecurrence, UnsupportedOperation

# MyGrad has one switch and one set of locks for all threads: whatever runs a model in it, or writes into parameters,
# holds this, so that no two do at a time.
MYGRAD = threading.RLock()

# Code that a reader of an error would not call their own model: its callers are shown instead.
_MYGRAD = os.path.join(os.path.dirname(mygrad.__file__), "")
_NUMPY = os.path.join(os.path.dirname(np.__file__), "")
_MYNN = os.path.join(os.sep, "mynn", "")
_DENSE = os.path.join("myrnn", "models", "_dense.py")
# The models that ship look at their argument only to check it.
_MODELS = os.path.join(os.sep, "myrnn", "models", "")

_OF_MYGRAD, _OF_NUMPY, _OF_LAYERS, _OF_MODELS, _OF_USER = range(5)


@dataclass(frozen=True)
class Origin:
    """Where a computation stands in the user's code, and the variable that holds it.

    Attributes
    ----------
    file : str
    line : int
    name : str
        The local variable that held the result; empty where there is none.
    """

    file: str = ""
    line: int = 0
    name: str = ""

    def __str__(self) -> str:
        """Return the place and the line's text, as errors show them."""
        if not self.file:
            return "(a value of unknown origin)"
        text = linecache.getline(self.file, self.line).strip()
        return f"{os.path.basename(self.file)}:{self.line}   {text}"


@dataclass(frozen=True)
class Recording:
    """One run of a model.

    Attributes
    ----------
    output : mygrad.Tensor
    lines : dict
        The id of a tensor, and of its operation -> (file, line) of the user's code that made it.
    names : dict
        The id of a tensor -> the local variable that held it when its function returned.
    passing : dict
        The same for what a variable held only until it got the value of the next step.
    passed : dict
        The same for arguments: what a function calls that which another one gave it.
    looks : dict
        (file, line) of the user's code that looks at the numbers of a tensor.
    operations : dict
        The operations of MyGrad that were made, by id. A tensor that is written into may get another's.
    keep : dict
        Keeps the tensors alive, by id, so that an id stays that of one tensor.
    """

    output: Any
    lines: dict[int, tuple[str, int]]
    names: dict[int, str] = field(default_factory=dict)
    passing: dict[int, str] = field(default_factory=dict)
    passed: dict[int, str] = field(default_factory=dict)
    looks: dict[tuple[str, int], None] = field(default_factory=dict)
    operations: dict[int, Any] = field(default_factory=dict)
    keep: dict[int, Any] = field(default_factory=dict)

    def origin(self, tensor: Any) -> Origin:
        """Return where the tensor was made, and the best of its names."""
        found = (names[id(tensor)] for names in (self.names, self.passing, self.passed) if id(tensor) in names)
        # What is written into a tensor makes another operation of it.
        line = self.lines.get(id(tensor.creator)) or self.lines.get(id(tensor)) or ("", 0)
        return Origin(*line, next(found, ""))

    def note(self, frame: FrameType, *, returns: bool) -> None:
        """Note what the variables of a frame hold; what the caller calls a result wins over what the function did."""
        code = frame.f_code
        arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        held: dict[int, str] = {}
        for name, value in frame.f_locals.items():
            if not isinstance(value, Tensor):
                continue
            self.keep[id(value)] = value
            if name in arguments:
                self.passed.setdefault(id(value), name)
            else:
                held.setdefault(id(value), name)
        if returns:
            self.names.update(held)
        else:
            self.passing.update((key, name) for key, name in held.items() if key not in self.passing)


def record(model: Callable[[Any], Any], x: Any, *, looks: bool = True) -> Recording:
    """Run ``model(x)`` and note where each tensor is made, what it is called and, with `looks`, who reads numbers."""
    recording = Recording(None, {})
    operation = Tensor._op.__func__.__code__

    # It is called for all that MyGrad and NumPy do inside, thousands of times: what does not matter has to leave soon.
    def watch(frame: FrameType, event: str, result: Any) -> None:
        if event != "return":
            return
        code = frame.f_code
        kind = _kind_of(code.co_filename)
        if kind == _OF_MYGRAD and _looks.gives_numbers(frame, result):
            look(frame.f_back)
        if code is operation:
            user = _user_frame(frame)
            if isinstance(result, Tensor):
                recording.keep[id(result)] = result
                recording.operations[id(result.creator)] = result.creator
                for made in (result, result.creator):
                    recording.lines.setdefault(id(made), _line(user))
            if user is not None:
                recording.note(user, returns=False)
        elif kind >= _OF_MODELS:
            recording.note(frame, returns=True)

    def look(frame: FrameType | None) -> None:
        # NumPy may stand between, as in np.asarray(h); MyGrad's own work is no look.
        while frame is not None and _kind_of(frame.f_code.co_filename) == _OF_NUMPY:
            frame = frame.f_back
        if frame is None or _kind_of(frame.f_code.co_filename) < _OF_USER:
            return
        if not _looks.asks_for_size(frame):
            recording.looks.setdefault(_line(frame))

    with watched(watch), _looks.noted(look) if looks else nullcontext():
        output = model(x)
    return replace(recording, output=output)


@contextmanager
def watched(watch: Callable[[FrameType, str, Any], object]) -> Iterator[None]:
    """Let the calling thread's profile function be `watch`, and afterwards what it was."""
    previous = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield
    finally:
        # Python's own profiler is no function: it is switched on again by its own method.
        sys.setprofile(previous if previous is None or callable(previous) else None)
        if previous is not None and not callable(previous):
            previous.enable()


def lines_that_look(model: Callable[[Any], Any], x: Any) -> list[Origin]:
    """Run the model on `x`, an array (T, C), and return where its code looks at the numbers of a tensor."""
    return [Origin(*line) for line in record(model, mygrad.tensor(x)).looks]


@cache
def _kind_of(file: str) -> int:
    """Return whose code stands in a file, as a number that is the larger the more it is a user's own."""
    if file.startswith(_MYGRAD):
        return _OF_MYGRAD
    if file.startswith((_NUMPY, "<frozen ")):
        return _OF_NUMPY
    if file == _looks.__file__ or _MYNN in file or file.endswith(_DENSE):
        return _OF_LAYERS
    return _OF_MODELS if _MODELS in file else _OF_USER


def _user_frame(frame: FrameType | None) -> FrameType | None:
    while frame is not None and _kind_of(frame.f_code.co_filename) < _OF_MODELS:
        frame = frame.f_back
    return frame


def _line(frame: FrameType | None) -> tuple[str, int]:
    return ("", 0) if frame is None else (frame.f_code.co_filename, frame.f_lineno)


# Reading the graph --------------------------------------------------------------------------------------------------

# What is smaller is taken for 0 by native code.
_LEAST = np.finfo(np.float32).tiny


@dataclass(frozen=True)
class Trace:
    """What a model computes for a sequence of one length.

    Attributes
    ----------
    length : int
        T.
    output : Node
        The logits, of size K.
    origins : dict
        Node -> where it stands in the user's code.
    logits : ndarray, (1, K)
        Their numbers.
    looks : tuple of Origin
        Where the user's code looks at the numbers of a tensor.
    parameters : frozenset of int
        Those that MyGrad's graph reaches, which have a gradient, by their place among the model's.
    """

    length: int
    output: Node
    origins: dict[Node, Origin] = field(repr=False)
    logits: NDArray[Any] | None = field(default=None, repr=False)
    looks: tuple[Origin, ...] = ()
    parameters: frozenset[int] = frozenset()


def trace(
    model: Any, parameters: tuple[Tensor, ...], x: np.ndarray[Any, Any], build: Builder, *, looks: bool = True
) -> Trace:
    """Trace the model on `x`, float32 (T, C); with `looks`, note where its code looks at numbers.

    Raises
    ------
    UnsupportedOperation
        When an operation has no rule; the message shows the user's line.
    CompileError
        When the model fails, or its result does not depend on its parameters.
    """
    with _collection_paused():
        return _traced(model, parameters, x, build, looks)


def _traced(model: Any, parameters: tuple[Tensor, ...], x: np.ndarray[Any, Any], build: Builder, looks: bool) -> Trace:
    sequence = mygrad.tensor(x, constant=False)
    try:
        # The sequences are made up, and larger than life: what overflows on them says nothing about the model.
        with np.errstate(all="ignore"):
            recording = record(model, sequence, looks=looks)
    except Exception as error:
        if isinstance(error, InvalidArgument):
            raise
        raise CompileError(f"the model fails on a sequence of shape {x.shape}: {failure(error)}") from error
    output = recording.output
    if not isinstance(output, Tensor):
        raise CompileError(
            f"the model must return a MyGrad tensor, but returned {type(output).__name__}: no gradient reaches any "
            "parameter of the model, so that it would learn nothing"
        )
    if output.ndim != 2 or output.shape[0] != 1:
        raise InvalidArgument(f"the model must return logits of shape (1, K), but returned shape {output.shape}")
    _check_untouched(parameters, sequence, recording)
    leaves: dict[int, Value] = {
        id(p): Plain(build.leaf("parameter", i, size=p.size), p.shape) for i, p in reversed(list(enumerate(parameters)))
    }
    rows = [build.leaf("row", t, size=x.shape[1]) for t in range(len(x))]
    leaves[id(sequence)] = Rows(tuple(rows), (x.shape[1],))
    origins: dict[Node, Origin] = {}
    tensors = list(_inputs_first(output))
    value = _read(tensors, leaves, build, recording, origins)
    noticed = tuple(Origin(*line) for line in recording.looks)
    below = {id(tensor) for tensor in tensors}
    reached = frozenset(i for i, p in enumerate(parameters) if id(p) in below)
    return Trace(len(x), as_plain(build, value).node, origins, output.data.copy(), noticed, reached)


@contextmanager
def _collection_paused() -> Iterator[None]:
    """Keep the garbage collector from going through all objects while very many are made that stay."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _check_untouched(parameters: tuple[Tensor, ...], sequence: Tensor, recording: Recording) -> None:
    """See that no parameter, nor the sequence, is the result of something itself: it would be taken for what it was."""
    for i, tensor in enumerate((*parameters, sequence)):
        if tensor.creator is not None:
            what = "the sequence" if tensor is sequence else f"parameters[{i}] of the model"
            line = f"\n  {recording.origin(tensor)}" if id(tensor) in recording.lines else ""
            raise CompileError(
                f"{what} is computed from other tensors, or changed in place. Parameters must be tensors of their own, "
                f"and stay as they are during a call.{line}"
            )


def _read(
    tensors: list[Any], values: dict[int, Value], build: Builder, recording: Recording, origins: dict[Node, Origin]
) -> Value:
    """Turn tensors, inputs first, into values, and return that of the last."""
    output = tensors[-1]
    for tensor in tensors:
        if id(tensor) in values:
            continue
        creator = tensor.creator
        if creator is None:
            _check_constant(tensor, output, recording)
            values[id(tensor)] = Plain(build.constant(tensor.data), tensor.shape)
            continue
        if id(creator) not in recording.operations:
            raise CompileError(_computed_before(output, recording))
        value = _lowered(creator, [values[id(v)] for v in creator.variables], tensor, build, recording)
        values[id(tensor)] = value
        _note(value, recording.origin(tensor), origins)
    return values[id(output)]


def _check_constant(tensor: Any, output: Any, recording: Recording) -> None:
    """See that native code, which works in float32 and takes what is too small for 0, has the numbers of a constant."""
    numbers = np.asarray(tensor.data)
    with np.errstate(over="ignore", under="ignore"):
        sizes = np.abs(numbers.astype(np.float32))
    lost = (numbers != 0) & np.isfinite(numbers) & ((sizes < _LEAST) | np.isinf(sizes))
    if lost.any():
        number = numbers[lost][0]
        becomes, instead = ("0", "1e-30 or larger") if abs(number) < 1 else ("infinite", "1e30 or smaller")
        reader = next((t for t in _inputs_first(output) if any(v is tensor for v in _variables(t))), output)
        raise CompileError(
            f"{number:g} is {becomes} in float32, in which compiled models work: use {instead}.\n"
            f"  {recording.origin(reader)}"
        )


def _lowered(creator: Any, operands: list[Value], tensor: Any, build: Builder, recording: Recording) -> Value:
    try:
        return _rule_for(creator, tensor)(build, creator, operands, tensor)
    except UnsupportedOperation as error:
        instead = INSTEAD.get(type(creator).__name__, "Write it with supported operations")
        raise UnsupportedOperation(
            f'{error}\n  {recording.origin(tensor)}\n  {instead}, or train with engine="mygrad".'
        ) from None
    except NotARecurrence as error:
        raise NotARecurrence(f"{error}\n  {recording.origin(tensor)}") from None


def _rule_for(creator: Any, tensor: Any) -> Rule:
    name = type(creator).__name__
    # An operation of the user's own may bear the name of one of MyGrad's.
    is_mygrads = type(creator).__module__.startswith("mygrad.")
    if not is_mygrads or name not in RULES:
        what = f"MyGrad's {name}" if is_mygrads else f"{name} of {type(creator).__module__}"
        raise UnsupportedOperation(f"the compiler has no rule for {what}.")
    if creator.where is not True:
        raise UnsupportedOperation(f"the compiler has no rule for MyGrad's {name} with a where= mask.")
    if tensor.constant and not all(v.constant for v in creator.variables):
        raise UnsupportedOperation("constant=True keeps the gradient from going on, which a compiled model cannot.")
    if tensor.dtype == np.float16:
        raise UnsupportedOperation("this rounds to float16, but compiled models work in float32 only.")
    if tensor.dtype.kind in "iub" and name not in SHAPES:
        raise UnsupportedOperation(
            f"this computes in {tensor.dtype}, which overflows or rounds where float32 does not: "
            "begin with a float, such as 0.0 in the place of 0."
        )
    return RULES[name]


def _computed_before(output: Any, recording: Recording) -> str:
    # MyGrad forgets how it was computed once the gradient has gone back through it: then it is a fixed tensor.
    made_before = {
        id(t) for t in _inputs_first(output) if t.creator is not None and id(t.creator) not in recording.operations
    }
    of_call = (t for t in _inputs_first(output) if id(t) in recording.lines)
    reader = next((t for t in of_call if any(id(v) in made_before for v in _variables(t))), output)
    return (
        "the model uses a tensor that was computed from others before it was called: it would not follow its "
        f"parameters.\n  {recording.origin(reader)}\n"
        "  Compute it inside the call, or keep its numbers only."
    )


def _note(value: Value, origin: Origin, origins: dict[Node, Origin]) -> None:
    for node in value.nodes if isinstance(value, Rows) else (value.node,):
        known = origins.get(node)
        if known is None or (origin.name and not known.name):
            origins[node] = origin


def _inputs_first(output: Any) -> Iterator[Any]:
    seen = {id(output)}
    stack = [(output, iter(_variables(output)))]
    while stack:
        tensor, below = stack[-1]
        for child in below:
            if id(child) not in seen:
                seen.add(id(child))
                stack.append((child, iter(_variables(child))))
                break
        else:
            yield tensor
            stack.pop()


def _variables(tensor: Any) -> tuple[Any, ...]:
    return () if tensor.creator is None else tensor.creator.variables
