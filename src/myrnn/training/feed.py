"""The source of the sequences of each iteration, for any kind of task that the user gives.

A feed returns sequences and the order in which to train on them, without copying them. They depend only on its seed,
never on how many are taken at a time, so that neither reports nor the engine change the result.

With truncated backpropagation, sequences of any length are read window by window, each from where the one before ended
(Williams and Peng, "An efficient gradient-based algorithm for on-line training of recurrent network trajectories",
1990).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import chain, islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.compiler.streams import Streams
from myrnn.errors import InvalidArgument
from myrnn.flat import offsets_of, places_from
from myrnn.sequences import Sequences
from myrnn.targets import CLASS, ONE_CLASS, TargetKind
from myrnn.training.state import TrainingState

# Sequences drawn at once: enough for efficient vectorised drawing, few enough to stay in the processor's cache.
BLOCK = 8192

Portion = tuple[Sequences, NDArray[np.int64]]


class Feed(Protocol):
    """Gives sequences, and for each iteration the indices of those to train on."""

    def take(self, count: int) -> Portion | None:
        """Return the data of 1 to `count` iterations, the order int64 (iterations, B); None when there is no more."""
        ...

    def peek(self) -> Sequences:
        """Return some of the data that is to come, without taking it."""
        ...

    def state(self) -> TrainingState:
        """Return where the feed stands; raises InvalidArgument where it cannot go back there."""
        ...

    def go_to(self, state: TrainingState) -> None:
        """Go on from a state; raises InvalidArgument if the feed cannot, or has other sequences there."""
        ...


def make_feed(task: Any, batch_size: int, rng: np.random.Generator, truncate: int | None) -> Feed:
    """Return the feed for a task, a `Sequences`, or an iterable of ``(x, y)``."""
    if truncate is not None:
        if not isinstance(task, Sequences):
            kind = type(task).__name__
            raise InvalidArgument(f"truncate reads fixed sequences: task must be a Sequences, not {kind}")
        return WindowFeed(task, batch_size, rng, truncate)
    if isinstance(task, Sequences):
        return _DataFeed(task, batch_size, rng)
    if callable(getattr(task, "sample", None)):
        return _TaskFeed(task, batch_size, rng)
    if isinstance(task, Iterator):
        return _StreamFeed(task, batch_size)
    if isinstance(task, Iterable):
        return _DataFeed(Sequences.from_pairs(task), batch_size, rng)
    raise InvalidArgument(f"task must be a task, a Sequences or an iterable of (x, y) pairs, not {type(task).__name__}")


class _TaskFeed:
    """Draws from a task, a block at a time."""

    def __init__(self, task: Any, batch_size: int, rng: np.random.Generator) -> None:
        self._task, self._batch_size, self._rng = task, batch_size, rng
        self._iterations = max(1, BLOCK // batch_size)
        self._order = np.arange(self._iterations * batch_size).reshape(-1, batch_size)
        self._used = self._iterations
        self._block: Sequences | None = None
        self._before = rng.bit_generator.state

    def peek(self) -> Sequences:
        if self._block is None or self._used == self._iterations:
            self._before = self._rng.bit_generator.state
            self._block, self._used = self._draw(self._rng), 0
        return self._block

    def take(self, count: int) -> Portion:
        block = self.peek()
        begin = self._used
        self._used = min(begin + count, self._iterations)
        return block, self._order[begin : self._used]

    def state(self) -> TrainingState:
        values = {"sequences": self.peek().sha256, "generator": self._before, "used": self._used}
        # There is no shuffle; but a state of given sequences is refused for its sequences, not for its arrays.
        return TrainingState(values, {"left": np.empty(0, dtype=np.int64)})

    def go_to(self, state: TrainingState) -> None:
        rng = generator_at(state.mapping("generator"))
        before = rng.bit_generator.state
        block = self._draw(rng)
        _check_same(state, block, "the task draws others")
        used = _checks.integer("used", state.values.get("used"), minimum=0, maximum=self._iterations)
        self._before, self._rng, self._block, self._used = before, rng, block, used

    def _draw(self, rng: np.random.Generator) -> Sequences:
        wanted = self._order.size
        drawn = self._task.sample(wanted, rng)
        if not isinstance(drawn, Sequences) or len(drawn) != wanted:
            got = _checks.count_of(len(drawn), "sequence") if isinstance(drawn, Sequences) else type(drawn).__name__
            raise InvalidArgument(f"task.sample({wanted}, rng) must return a Sequences of {wanted}, but returned {got}")
        return drawn


class _Shuffled:
    """Given sequences, shuffled anew each time that all were taken; `left` is the rest of the shuffle."""

    def __init__(self, data: Sequences, rng: np.random.Generator) -> None:
        self._data, self._rng = data, rng
        self._left = np.empty(0, dtype=np.int64)

    def state(self) -> TrainingState:
        """Return the state of the shuffle."""
        values = {"generator": self._rng.bit_generator.state, "sequences": self._data.sha256}
        return TrainingState(values, {"left": self._left.copy()})

    def go_to(self, state: TrainingState) -> None:
        """Continue from a state; raises InvalidArgument if it belongs to other sequences."""
        _check_same(state, self._data, "these are others")
        rng = generator_at(state.mapping("generator"))
        left = _checks.integers("left", state.arrays["left"], minimum=0, maximum=len(self._data) - 1)
        if len(np.unique(left)) < len(left):
            raise InvalidArgument("left must name no sequence twice")
        self._rng, self._left = rng, left.astype(np.int64)


class _DataFeed(_Shuffled):
    """Iterates over given sequences."""

    def __init__(self, data: Sequences, batch_size: int, rng: np.random.Generator) -> None:
        if not len(data):
            raise InvalidArgument("task holds no sequence: at least one is needed to train on")
        super().__init__(data, rng)
        self._batch_size = batch_size

    def peek(self) -> Sequences:
        return self._data

    def take(self, count: int) -> Portion:
        wanted = count * self._batch_size
        parts, have = [self._left], len(self._left)
        while have < wanted:
            parts.append(self._rng.permutation(len(self._data)))
            have += len(self._data)
        order = np.concatenate(parts)
        self._left = order[wanted:]
        return self._data, order[:wanted].reshape(count, self._batch_size)


class _StreamFeed:
    """Takes ``(x, y)`` pairs from an iterator as needed, until it ends; the last incomplete batch is dropped."""

    def __init__(self, pairs: Iterator[Any], batch_size: int) -> None:
        self._pairs, self._batch_size = pairs, batch_size

    def peek(self) -> Sequences:
        first = list(islice(self._pairs, self._batch_size))
        if len(first) < self._batch_size:
            few = _checks.count_of(len(first), "sequence")
            raise InvalidArgument(f"task gave {few}, too few for one batch of {self._batch_size}")
        self._pairs = chain(first, self._pairs)
        return Sequences.from_pairs(first)

    def take(self, count: int) -> Portion | None:
        pairs = list(islice(self._pairs, count * self._batch_size))
        full = len(pairs) // self._batch_size
        if not full:
            return None
        used = full * self._batch_size
        return Sequences.from_pairs(pairs[:used]), np.arange(used).reshape(full, self._batch_size)

    def state(self) -> TrainingState:
        raise InvalidArgument(
            "a training on an iterator cannot be resumed, because its sequences are gone: "
            "train on a task, a Sequences or a list of (x, y)"
        )

    def go_to(self, state: TrainingState) -> None:
        self.state()


class Windows(Sequences):
    """Pieces of sequences, each of which continues its stream."""

    streams: Streams
    whole: Sequences  # the sequences that they are pieces of
    firsts: NDArray[np.int64]  # int64 (N,): the number of the first step of each in its sequence

    def __init__(
        self, data: Sequences, begins: NDArray[np.int64], lengths: NDArray[np.int64], streams: Streams
    ) -> None:
        places = places_from(begins, lengths)
        weights = None if data.weights is None else data.weights[places]
        rows = data.targets[places]
        known: dict[str, Any] = {"weights": weights, "parts": data.parts}
        super().__init__(data.values[places], offsets_of(lengths), rows, data.dim_input, per_step=True, **known)
        object.__setattr__(self, "streams", streams)
        object.__setattr__(self, "whole", data)
        of = np.searchsorted(data.offsets, begins, side="right") - 1
        object.__setattr__(self, "firsts", begins - data.offsets[of])

    def __reduce__(self) -> tuple[Any, ...]:
        """Make copies independent sequences, which begin anew."""
        make = partial(Sequences, per_step=True, weights=self.weights, parts=self.parts)
        return make, (self.values, self.offsets, self.targets, self.dim_input)


class WindowFeed(_Shuffled):
    """Reads B sequences with targets for steps in parallel, `steps` at a time; when one ends, the next begins."""

    def __init__(self, data: Sequences, batch_size: int, rng: np.random.Generator, steps: int) -> None:
        super().__init__(data, rng)
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

    def state(self) -> TrainingState:
        """Return the state of the shuffle and of all streams."""
        shuffle = super().state()
        streams: dict[str, NDArray[Any]] = {"places": self._places.copy(), "carried": self._carried.copy()}
        return TrainingState(shuffle.values, {**shuffle.arrays, **streams})

    def go_to(self, state: TrainingState) -> None:
        """Continue from a state; raises InvalidArgument if it belongs to other sequences or other streams."""
        _check_same(state, self._data, "these are others")
        given: NDArray[Any] = np.asarray(state.arrays["places"])
        flat = _checks.integers("places", given.ravel(), minimum=0, maximum=len(self._data.values))
        if given.shape != self._places.shape or np.any(flat[::2] > flat[1::2]):
            raise InvalidArgument("places must say for each stream where it reads next and where it ends")
        carried = state.arrays["carried"]
        if carried.shape != self._carried.shape or not np.isfinite(carried).all():
            raise InvalidArgument(
                f"carried must be {self._carried.shape[1]} finite numbers for each of {len(given)} streams, "
                f"not an array of shape {carried.shape}"
            )
        super().go_to(state)
        self._places = flat.astype(np.int64).reshape(given.shape)
        # Windows that were taken read these arrays.
        self._carried[...] = carried


def _check_same(state: TrainingState, found: Sequences, otherwise: str) -> None:
    """Refuse the state of a feed of other sequences; raises InvalidArgument."""
    if state.values.get("sequences") != found.sha256:
        raise InvalidArgument(f"the sequences must be those of the training that was saved, but {otherwise}")


def check_sequences(data: Sequences, classes: int, dim_input: int, kind: TargetKind = ONE_CLASS) -> None:
    """Refuse sequences of a class that the model does not have, or of another width or kind than the first ones."""
    if data.kind != kind:
        raise InvalidArgument(f"sequences with {data.kind} turned up, but the first ones have {kind}")
    if kind.what == CLASS and (largest := data.targets.max(initial=0)) >= classes:
        raise InvalidArgument(f"a label is {largest}, but the model has {classes} classes, 0 .. {classes - 1}")
    if data.dim_input != dim_input:
        inputs = _checks.count_of(data.dim_input, "input")
        raise InvalidArgument(f"sequences with {inputs} turned up, but the first ones have {dim_input}")


def generator_at(state: Mapping[str, Any]) -> np.random.Generator:
    """Return a generator in a state from ``rng.bit_generator.state``; raises InvalidArgument for other values."""
    inner = state.get("state")
    if state.get("bit_generator") != "PCG64" or not isinstance(inner, Mapping):
        raise InvalidArgument(f"the generator must be a PCG64 with its state, not {_checks.shown(dict(state))}")
    increment = _number("inc", inner, 128)
    if not increment % 2:
        # With an even increment the generator could repeat one number, and a loop that redraws until one fits would
        # never end.
        raise InvalidArgument("inc of the generator must be odd")
    bits = np.random.PCG64()
    bits.state = {
        "bit_generator": "PCG64",
        "state": {"state": _number("state", inner, 128), "inc": increment},
        "has_uint32": _number("has_uint32", state, 1),
        "uinteger": _number("uinteger", state, 32),
    }
    return np.random.Generator(bits)


def _number(name: str, values: Mapping[str, Any], bits: int) -> int:
    return _checks.integer(f"{name} of the generator", values.get(name), minimum=0, maximum=2**bits - 1)
