"""Truncated backpropagation: sequences of any length, read window by window, each from where the one before ended.

References
----------
Williams and Peng, "An efficient gradient-based algorithm for on-line training of recurrent network trajectories", 1990.
"""

from __future__ import annotations

from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.compiler import Streams
from myrnn.errors import InvalidArgument
from myrnn.sequences import Sequences, offsets_of, ramp
from myrnn.training.feed import Position, check_same, fingerprint, generator_at, left_of


class Windows(Sequences):
    """Pieces of sequences, each of which continues its stream."""

    streams: Streams
    whole: Sequences  # the sequences that they are pieces of

    def __init__(
        self, data: Sequences, begins: NDArray[np.int64], lengths: NDArray[np.int64], streams: Streams
    ) -> None:
        places = np.repeat(begins, lengths) + ramp(lengths)
        weights = None if data.weights is None else data.weights[places]
        rows = data.targets[places]
        known: dict[str, Any] = {"weights": weights, "parts": data.parts}
        super().__init__(data.values[places], offsets_of(lengths), rows, data.dim_input, per_step=True, **known)
        object.__setattr__(self, "streams", streams)
        object.__setattr__(self, "whole", data)

    def __reduce__(self) -> tuple[Any, ...]:
        """Make copies independent sequences, which begin anew."""
        make = partial(Sequences, per_step=True, weights=self.weights, parts=self.parts)
        return make, (self.values, self.offsets, self.targets, self.dim_input)


class WindowFeed:
    """Reads B sequences with targets for steps in parallel, `steps` at a time; when one ends, the next begins."""

    def __init__(self, data: Sequences, batch_size: int, rng: np.random.Generator, steps: int) -> None:
        self._data, self._rng = data, rng
        self._steps = _checks.integer("truncate", steps, minimum=1)
        self._long = np.flatnonzero(data.lengths > 0)
        if not data.per_step:
            raise InvalidArgument(f"truncate needs a target for every step, but the targets are {data.kind}")
        if len(self._long) < batch_size:
            have = _checks.count_of(len(self._long), "sequence")
            raise InvalidArgument(
                f"truncate reads batch_size={batch_size} sequences side by side, but there "
                f"{'is' if len(self._long) == 1 else 'are'} {have}: "
                f"cut a long one in pieces with sequences.cut({batch_size})"
            )
        self._left = np.empty(0, dtype=np.int64)
        # For each stream, its position in the data, and the end of its sequence.
        self._places = np.zeros((batch_size, 2), dtype=np.int64)
        self._carried = np.zeros((batch_size, 0), dtype=np.float32)

    def carry(self, width: int) -> None:
        """Let each stream carry `width` numbers."""
        self._carried = np.zeros((len(self._places), width), dtype=np.float32)

    def peek(self) -> Windows:
        """Return the windows of the next iteration."""
        rng, left, places = self._rng.bit_generator.state, self._left, self._places.copy()
        windows, _ = self.take(1)
        self._rng.bit_generator.state, self._left, self._places = rng, left, places
        return windows

    def take(self, count: int) -> tuple[Windows, NDArray[np.int64]]:
        """Return the windows of the next iterations, and their order, int64 (count, B)."""
        streams = len(self._places)
        begins, lengths, rows = (np.zeros((count, streams), dtype=np.int64) for _ in range(3))
        for i in range(count):
            (ended,) = np.nonzero(self._places[:, 0] >= self._places[:, 1])
            for stream in ended:
                self._places[stream] = self._next()
            rows[i] = np.arange(streams)
            rows[i, ended] = ~ended
            at, end = self._places.T
            begins[i], lengths[i] = at, np.minimum(self._steps, end - at)
            self._places[:, 0] += lengths[i]
        windows = Windows(self._data, begins.ravel(), lengths.ravel(), Streams(rows.ravel(), self._carried))
        return windows, np.arange(rows.size).reshape(count, streams)

    def _next(self) -> NDArray[np.int64]:
        if not len(self._left):
            self._left = self._rng.permutation(self._long)
        index, self._left = self._left[0], self._left[1:]
        return self._data.offsets[index : index + 2]

    def position(self) -> Position:
        """Return the position of all streams."""
        parts: dict[str, NDArray[Any]] = {"left": self._left, "places": self._places, "carried": self._carried}
        arrays = {name: array.copy() for name, array in parts.items()}
        return Position(self._rng.bit_generator.state, arrays=arrays, fingerprint=lambda: self._fingerprint)

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint(self._data)

    def go_to(self, position: Position) -> None:
        """Continue from a position; raises InvalidArgument if it belongs to other sequences or other streams."""
        check_same(position, self._fingerprint, "these are others")
        rng = generator_at(position.generator)
        left = left_of(position, self._data)
        given: NDArray[Any] = np.asarray(position.arrays["places"])
        flat = _checks.integers("places", given.ravel(), minimum=0, maximum=len(self._data.values))
        if given.shape != self._places.shape or np.any(flat[::2] > flat[1::2]):
            raise InvalidArgument("places must say for each stream where it reads next and where it ends")
        carried = position.arrays["carried"]
        if carried.shape != self._carried.shape or not np.isfinite(carried).all():
            raise InvalidArgument(
                f"carried must be {self._carried.shape[1]} finite numbers for each of {len(given)} streams, "
                f"not an array of shape {carried.shape}"
            )
        self._rng, self._left = rng, left
        self._places = flat.astype(np.int64).reshape(given.shape)
        # Windows that were taken read these arrays.
        self._carried[...] = carried
