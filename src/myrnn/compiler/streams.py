"""Carried states: the next piece of a sequence begins with the final states of the piece before it.

The carried values are a row of numbers for each *stream*, a sequence that is read piece by piece: its states, the
number of its steps, and a one. A stream that begins has zeros there. A recurrence that continues reads these numbers by
their offset in the row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.compiler.graph import Node, leaves_of, substitute, topological
from myrnn.compiler.leaves import LENGTH, CarriedNumbers, Length, LoopState, StepNumber
from myrnn.compiler.loops import Recurrence
from myrnn.compiler.ops import select
from myrnn.errors import CompileError, InvalidArgument
from myrnn.sequences import Sequences

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Carried:
    """The layout of a stream's row."""

    sizes: tuple[int, ...]

    @property
    def places(self) -> tuple[int, ...]:
        """The offset of each state."""
        return tuple(accumulate(self.sizes, initial=0))[:-1]

    @property
    def steps(self) -> int:
        """The offset of the number of steps."""
        return sum(self.sizes)

    @property
    def begun(self) -> int:
        """The offset of the one that marks a stream as begun."""
        return self.steps + 1

    @property
    def width(self) -> int:
        """The size of a row."""
        return self.begun + 1


def carried_of(recurrence: Recurrence) -> Carried:
    """Return the values carried from one piece of a sequence to the next."""
    return Carried(recurrence.state_sizes)


def going_on(recurrence: Recurrence) -> Recurrence:
    """Return the recurrence that continues from a stream; raises CompileError when a step depends on more."""
    _check(recurrence)
    build, carried = recurrence.build, carried_of(recurrence)
    has_begun, before = (build.leaf(CarriedNumbers(at), 1) for at in (carried.begun, carried.steps))
    order = topological(recurrence.nodes)
    later = {n: n + before for n in order if isinstance(n.leaf, StepNumber | Length)}

    def begins(node: Node, at: int, size: int) -> Node:
        state = build.leaf(CarriedNumbers(at), size)
        is_zero = node.is_constant and not node.numbers.any()
        return state if is_zero else select(has_begun, state, node)

    moved = recurrence.placed(dict(zip(order, substitute(build, order, later), strict=True)))
    places = iter(zip(carried.places, carried.sizes, strict=True))
    loops = tuple(replace(loop, initial=tuple(begins(n, *next(places)) for n in loop.initial)) for loop in moved.loops)
    return replace(moved, loops=loops, carried=True)


def steps_so_far(recurrence: Recurrence) -> Node:
    """Return the number of steps of a stream at the end of a piece."""
    build = recurrence.build
    return build.given(LENGTH) + build.leaf(CarriedNumbers(carried_of(recurrence).steps), 1)


def without_beginning(recurrence: Recurrence) -> Recurrence:
    """Return the recurrence with initial states that are not learned."""
    zeros = [[recurrence.build.constant(np.zeros(n.size)) for n in loop.step] for loop in recurrence.loops]
    loops = (replace(loop, initial=tuple(begin)) for loop, begin in zip(recurrence.loops, zeros, strict=True))
    return replace(recurrence, loops=tuple(loops))


# Programs count the steps in float32.
MOST_STEPS = 2**24


def check_steps(recurrence: Recurrence, steps: int) -> None:
    """Refuse this many steps of a model that computes with their number; raises CompileError."""
    if steps > MOST_STEPS and any(isinstance(given, StepNumber | Length) for given in recurrence.given):
        raise CompileError(
            f"the model computes with the number of steps, which is exact up to {MOST_STEPS:,}, but there are {steps:,}"
        )


def _check(recurrence: Recurrence) -> None:
    why = None
    for loop, first in zip(recurrence.loops, recurrence.first_states, strict=True):
        read = leaves_of(LoopState, [*loop.initial, *loop.step, *loop.kept.values()])
        if loop.backward:
            why = "it goes over the sequence backward, too"
        elif any(state.number < first for state in read):
            why = "one of its loops needs the last states of another"
        elif loop.ahead:
            why = "its first step shows what weights make of a state, but not the state: begin with a state of zeros"
    if any(leaves_of(Length, [*loop.step, *loop.kept.values()]) for loop in recurrence.loops):
        why = "its steps read how long the whole sequence is"
    if recurrence.tables:
        why = "its steps read numbers of a table, which is only known for a limited number of steps"
    if why is not None:
        raise CompileError(f"the states of the model cannot be carried from one piece of a sequence to the next: {why}")


@dataclass(frozen=True, eq=False)
class Streams:
    """The rows of streams, and which of them each of some sequences continues."""

    # The row of each sequence's stream, int64 (N,); ~row if it begins anew. Its final states go there.
    rows: NDArray[np.int64]
    # A row of `Carried` for each stream; a program writes the final states here.
    numbers: Floats


# Streams one step at a time -------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class State:
    """The state of one sequence, or several in parallel, that a compiled model reads step by step.

    `CompiledModel.start` makes it, and `CompiledModel.step` returns the next one. It is immutable.

    Attributes
    ----------
    steps : int
        The number of steps that it has read.
    streams : int or None
        B, the number of parallel sequences; None for a single one.

    Examples
    --------
    >>> from myrnn import RNN, compile
    >>> compiled = compile(RNN(10, 8, 2, rng=0))
    >>> state, logits = compiled.step(compiled.start(), 3)
    >>> state, state["h"].shape
    (State(h (8), after 1 step), (8,))
    """

    names: tuple[str, ...]
    carried: Carried
    numbers: Floats
    steps: int = 0
    streams: int | None = None

    def __post_init__(self) -> None:
        """Make its numbers read-only."""
        self.numbers.flags.writeable = False

    def repeated(self, streams: int) -> State:
        """Return the state of `streams` streams that all begin with this single one."""
        count = _checks.integer("streams", streams, minimum=1)
        if len(self.numbers) != 1:
            raise InvalidArgument(f"only one stream can be repeated, but there are {len(self.numbers)}")
        return replace(self, numbers=np.repeat(self.numbers, count, axis=0), streams=count)

    def __getitem__(self, name: str) -> Floats:
        """Return a state by its name, float32 (D,), or (B, D); always zeros before the first step."""
        if name not in self.names:
            raise InvalidArgument(f"there is no state {name!r}: there are {', '.join(self.names)}")
        i = self.names.index(name)
        begin = self.carried.places[i]
        return self._shaped(self.numbers[:, begin : begin + self.carried.sizes[i]].copy())

    def __repr__(self) -> str:
        """Show the states and the number of steps."""
        states = ", ".join(f"{n} ({size})" for n, size in zip(self.names, self.carried.sizes, strict=True))
        streams = "" if self.streams is None else f"{self.streams} streams, "
        return f"State({streams}{states}, after {_checks.count_of(self.steps, 'step')})"

    @property
    def places(self) -> NDArray[np.int64]:
        """The row of each stream for programs: ``~row`` if it begins anew."""
        rows = np.arange(len(self.numbers))
        return np.where(self.numbers[:, self.carried.begun] > 0, rows, ~rows)

    def _shaped(self, array: NDArray[Any]) -> NDArray[Any]:
        return array[0] if self.streams is None else array

    def pieces(self, x: Any, dim_input: int) -> tuple[Sequences, bool]:
        """Return the next steps of all streams, and whether it is one step of each."""
        array = _checks.array("x", x)
        count, is_token = self.numbers.shape[0], array.dtype.kind in "iu"
        shape = array.shape if self.streams is None else array.shape[1:]
        inner = () if is_token else (dim_input,)
        steps = shape[: len(shape) - len(inner)]
        is_right = (self.streams is None or array.shape[:1] == (count,)) and len(steps) < 2
        if not is_right or shape[len(steps) :] != inner:
            one = f"({dim_input},)" if self.streams is None else f"({count}, {dim_input})"
            several = f"(T, {dim_input})" if self.streams is None else f"({count}, T, {dim_input})"
            raise InvalidArgument(
                f"x must be one step, floats {one}, or several, {several}, or integers without the last axis, "
                f"not an array of shape {array.shape} of {array.dtype}"
            )
        if is_token and steps and array.shape[-1] == dim_input > 1 and _is_one_hot(array):
            raise InvalidArgument(
                f"x may be one-hot rows or tokens, an array of {array.dtype} of shape {array.shape}: "
                "give floats for rows, and one token at a time"
            )
        each = prod(steps)
        values = array.reshape(count * each, *inner)
        offsets, targets = np.arange(count + 1) * each, np.zeros(count, dtype=np.int64)
        return Sequences(values, offsets, targets, dim_input), not steps


def _is_one_hot(array: NDArray[Any]) -> bool:
    """Whether each row is a single 1 among zeros."""
    return bool(np.all((array == 0) | (array == 1)) and np.all(array.sum(axis=-1) == 1))
