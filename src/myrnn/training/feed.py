"""The source of the sequences of each iteration, for any kind of task that the user gives.

A feed returns sequences and the order in which to train on them, without copying them. They depend only on its seed,
never on how many are taken at a time, so that neither reports nor the engine change the result.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.sequences import Sequences
from myrnn.targets import CLASS, LABELS, TargetKind

# Sequences drawn at once: enough for efficient vectorised drawing, few enough to stay in the processor's cache.
BLOCK = 8192

Portion = tuple[Sequences, NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class Position:
    """The position of a feed."""

    # The state of the generator, in NumPy's form.
    generator: Mapping[str, Any]
    # The number of iterations already taken from the block that the generator draws next.
    used: int = 0
    # The rest of the shuffle; for a feed of windows also the position of each stream, and its states.
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=lambda: {"left": np.empty(0, dtype=np.int64)})
    # Returns the SHA-256 of the sequences of the feed.
    fingerprint: Callable[[], str] = str


class Feed(Protocol):
    """Gives sequences, and for each iteration the indices of those to train on."""

    def take(self, count: int) -> Portion | None:
        """Return the data of 1 to `count` iterations, the order int64 (iterations, B); None when there is no more."""
        ...

    def peek(self) -> Sequences:
        """Return some of the data that is to come, without taking it."""
        ...

    def position(self) -> Position:
        """Return where the feed stands; raises InvalidArgument where it cannot go back there."""
        ...

    def go_to(self, position: Position) -> None:
        """Go on from a position; raises InvalidArgument if the feed cannot, or has other sequences there."""
        ...


def make_feed(task: Any, batch_size: int, rng: np.random.Generator) -> Feed:
    """Return the feed for a task, a `Sequences`, or an iterable of ``(x, y)``."""
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

    def position(self) -> Position:
        block = self.peek()
        return Position(self._before, used=self._used, fingerprint=lambda: fingerprint(block))

    def go_to(self, position: Position) -> None:
        used = _checks.integer("used", position.used, minimum=0, maximum=self._iterations)
        rng = generator_at(position.generator)
        block = self._draw(rng)
        check_same(position, fingerprint(block), "the task draws others")
        self._before, self._rng, self._block, self._used = position.generator, rng, block, used

    def _draw(self, rng: np.random.Generator) -> Sequences:
        wanted = self._order.size
        drawn = self._task.sample(wanted, rng)
        if not isinstance(drawn, Sequences) or len(drawn) != wanted:
            got = _checks.count_of(len(drawn), "sequence") if isinstance(drawn, Sequences) else type(drawn).__name__
            raise InvalidArgument(f"task.sample({wanted}, rng) must return a Sequences of {wanted}, but returned {got}")
        return drawn


class _DataFeed:
    """Iterates over given sequences, shuffled anew each time."""

    def __init__(self, data: Sequences, batch_size: int, rng: np.random.Generator) -> None:
        if not len(data):
            raise InvalidArgument("task holds no sequence: at least one is needed to train on")
        self._data, self._batch_size, self._rng = data, batch_size, rng
        self._left = np.empty(0, dtype=np.int64)

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

    def position(self) -> Position:
        return Position(
            self._rng.bit_generator.state, arrays={"left": self._left.copy()}, fingerprint=lambda: self._fingerprint
        )

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint(self._data)

    def go_to(self, position: Position) -> None:
        check_same(position, self._fingerprint, "these are others")
        rng = generator_at(position.generator)
        self._rng, self._left = rng, left_of(position, self._data)


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

    def position(self) -> Position:
        raise InvalidArgument(
            "a training on an iterator cannot be resumed, because its sequences are gone: "
            "train on a task, a Sequences or a list of (x, y)"
        )

    def go_to(self, position: Position) -> None:
        self.position()


def fingerprint(sequences: Sequences) -> str:
    """Return the SHA-256 of sequences and all of their attributes."""
    digest = hashlib.sha256(repr((sequences.values.shape, sequences.dim_input)).encode())
    for part in (sequences.values, sequences.offsets, sequences.targets):
        digest.update(np.ascontiguousarray(part))
    if sequences.kind != LABELS:
        digest.update(repr(sequences.kind).encode())
    if sequences.weights is not None:
        digest.update(np.ascontiguousarray(sequences.weights))
    return digest.hexdigest()


def check_same(position: Position, found: str, otherwise: str) -> None:
    """Refuse a position in other sequences; raises InvalidArgument."""
    if position.fingerprint() != found:
        raise InvalidArgument(f"the sequences must be those of the training that was saved, but {otherwise}")


def left_of(position: Position, data: Sequences) -> NDArray[np.int64]:
    """Return the rest of the shuffle, int64; raises InvalidArgument if it does not belong to these sequences."""
    left = _checks.integers("left", position.arrays["left"], minimum=0, maximum=len(data) - 1)
    if len(np.unique(left)) < len(left):
        raise InvalidArgument("left must name no sequence twice")
    return left.astype(np.int64)


def check_sequences(data: Sequences, classes: int, dim_input: int, kind: TargetKind = LABELS) -> None:
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
