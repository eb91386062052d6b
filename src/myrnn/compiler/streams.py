"""Streams: sequences that are read piece by piece, each from the final states of the piece before.

The carried values are a row of numbers for each stream: its states, the number of its steps, and a one. A stream that
begins has zeros there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.sequences import Sequences

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Carried:
    """The layout of a stream's row: states of these sizes, the number of steps, and a one."""

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

    def begin(self, count: int = 1) -> Streams:
        """Return this many streams that have not begun."""
        return self.streams(np.zeros((count, self.width), dtype=np.float32))

    def longest(self, streams: Streams, order: NDArray[np.int64], lengths: NDArray[np.int64]) -> int:
        """Return the most steps since a stream began, for the sequences `order` (n, B), each column of one stream."""
        rows = streams.rows[order]
        begins, row = rows < 0, np.where(rows < 0, ~rows, rows)
        assert (row == row[:1]).all()
        read = streams.numbers[row[0], self.steps].astype(np.float64)
        if (read < 0).any():
            raise InvalidArgument("a stream has read a negative number of steps")
        # A number that is far too large is found by what is asked for so many steps.
        after = np.minimum(read, 2**40).astype(np.int64) + np.cumsum(lengths, axis=0)
        before = np.maximum.accumulate(np.where(begins, after - lengths, 0), axis=0)
        return int((after - before).max(initial=0))

    def streams(self, numbers: Floats) -> Streams:
        """Return the streams with these rows, float32 (N, width), which programs change in place."""
        rows = np.arange(len(numbers))
        return Streams(np.where(numbers[:, self.begun] > 0, rows, ~rows), numbers)


@dataclass(frozen=True, eq=False)
class Streams:
    """The rows of streams, and which of them each of some sequences continues."""

    # The row of each sequence's stream, int64 (N,); ~row if it begins anew. Its final states go there.
    rows: NDArray[np.int64]
    # A row of `Carried` for each stream; a program writes the final states here.
    numbers: Floats


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
    layout: Carried
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
        begin = self.layout.places[i]
        return self._shaped(self.numbers[:, begin : begin + self.layout.sizes[i]].copy())

    def __repr__(self) -> str:
        """Show the states and the number of steps."""
        states = ", ".join(f"{n} ({size})" for n, size in zip(self.names, self.layout.sizes, strict=True))
        streams = "" if self.streams is None else f"{self.streams} streams, "
        return f"State({streams}{states}, after {_checks.count_of(self.steps, 'step')})"

    def to_continue(self) -> Streams:
        """Return a copy of its rows, to which a program writes the next states."""
        return self.layout.streams(self.numbers.copy())

    def after(self, streams: Streams, steps: int) -> State:
        """Return the state after this many more steps, in which a program changed the streams."""
        return replace(self, numbers=streams.numbers, steps=self.steps + steps)

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
