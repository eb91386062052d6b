"""Counts of the symbols that follow each context, and the n-gram probabilities computed from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from myrnn.results import Floats
from myrnn.sequences import Sequences, places_from

Ints = NDArray[np.signedinteger[Any]]

# Keys below this, or below this many times their number, use a lookup table; larger ones a sorted list.
_SMALL_KEYS, _KEYS_A_STEP = 2**16, 8


class Context(NamedTuple):
    """The context of every step as an int32 below `size`; -1 in the test for contexts that the training lacks."""

    train: Ints
    test: Ints
    size: int


def contexts_with_none(train: Sequences, test: Sequences, count: int) -> Iterator[Context]:
    """Yield `count` contexts: no symbol, the last one, the last two, and so on."""
    yield _no_context(train, test)
    yield from contexts(train, test, count - 1)


def contexts(train: Sequences, test: Sequences, count: int) -> Iterator[Context]:
    """Yield `count` contexts: the last symbol, the last two, and so on."""
    begin = max(train.dim_input, test.dim_input)
    found = _no_context(train, test)

    def longer(before: Ints, given: Sequences, back: int) -> Ints:
        keys = before.astype(np.int64) * (begin + 1)
        keys[back:] += given.values[: max(len(keys) - back, 0)]
        # The first `back` steps of a sequence have no symbol there.
        lengths = np.minimum(given.lengths, back)
        first = places_from(given.offsets[:-1], lengths)
        keys[first] = before[first].astype(np.int64) * (begin + 1) + begin
        keys[before < 0] = -1
        return keys

    for back in range(count):
        keys = longer(found.train, train, back), longer(found.test, test, back)
        found = _numbered(*keys, found.size * (begin + 1))
        yield found


def _no_context(train: Sequences, test: Sequences) -> Context:
    return Context(np.zeros(len(train.values), dtype=np.int32), np.zeros(len(test.values), dtype=np.int32), 1)


def _numbered(train: Ints, test: Ints, bound: int) -> Context:
    """Renumber the keys of the training, all below `bound`, without gaps, and those of the test likewise."""
    if bound <= max(_SMALL_KEYS, _KEYS_A_STEP * len(train)):
        there = np.zeros(bound, dtype=np.bool_)
        there[train] = True
        number = np.where(there, np.cumsum(there, dtype=np.int32) - np.int32(1), np.int32(-1))
        return Context(number[train], np.where(test >= 0, number[test], np.int32(-1)), int(there.sum()))
    distinct, place, _ = _distinct(train)
    return Context(place, _found(distinct, test), len(distinct))


def _distinct(keys: Ints) -> tuple[Ints, Ints, Ints]:
    """Return the distinct keys, ascending; the index of every key among them, int32; and a position of each.

    It needs half the memory of `numpy.unique`.
    """
    order = np.argsort(keys)
    ranked = keys[order]
    new = np.ones(len(keys), dtype=np.bool_)
    np.not_equal(ranked[1:], ranked[:-1], out=new[1:])
    distinct, first = ranked[new], order[new]
    del ranked
    place = np.empty(len(keys), dtype=np.int32)
    place[order] = np.cumsum(new, dtype=np.int32) - np.int32(1)
    return distinct, place, first


def _found(distinct: Ints, keys: Ints) -> Ints:
    """Return the index of each key in a sorted list, int32, -1 for a missing key."""
    place = np.minimum(np.searchsorted(distinct, keys), len(distinct) - 1).astype(np.int32)
    return np.where(distinct[place] == keys, place, np.int32(-1))


class Counts(NamedTuple):
    """How often each target follows each context: one row per observed pair, in ascending order.

    `place` is the row of every training step, and `first` a training step of every row; `total` and `distinct` are, for
    every context, its count and its number of different targets.
    """

    key: Ints
    context: Ints
    target: Ints
    times: Ints
    place: Ints
    first: Ints
    total: Ints
    distinct: Ints

    @classmethod
    def of(cls, context: Context, targets: Ints, classes: int) -> Counts:
        """Count the targets of the training, which are below `classes`."""
        keys = context.train.astype(np.int64)
        keys *= classes
        keys += targets
        key, place, first = _distinct(keys)
        times, which = np.bincount(place), key // classes
        total = np.bincount(context.train, minlength=context.size)
        return cls(key, which, key % classes, times, place, first, total, np.bincount(which, minlength=context.size))

    def counts_of(self, keys: Ints) -> Ints:
        """Return the counts of pairs, each given as its context times the number of classes plus its target."""
        place = _found(self.key, keys)
        return np.where(place >= 0, self.times[place], 0)


def largest(group: Ints, value: NDArray[Any], groups: int) -> Ints:
    """Return the first row with the largest value in each group; rows are ordered by group, and no group is empty."""
    begin = np.searchsorted(group, np.arange(groups))
    rows = np.flatnonzero(value == np.maximum.reduceat(value, begin)[group])
    return rows[np.searchsorted(group[rows], np.arange(groups))]


class Interpolated(NamedTuple):
    """The probabilities of one order: of each observed pair, and of the best target of each context.

    `place` and `context` are the pair and the context of every training step, `best` and `share` the likeliest target
    of every context and its probability.
    """

    pairs: Floats
    place: Ints
    context: Ints
    best: Ints
    share: Floats

    @classmethod
    def uniform(cls, steps: int, alphabet: int) -> Interpolated:
        """Return the uniform distribution below the unigram."""
        zeros, share = np.zeros(steps, dtype=np.int32), np.full(1, 1 / alphabet)
        return cls(share, zeros, zeros, np.zeros(1, dtype=np.int64), share)

    def refined(self, context: Context, tables: Counts) -> Interpolated:
        """Return the probabilities of the next order, whose contexts are longer by a symbol."""
        weight = tables.distinct / (tables.total + tables.distinct)
        # For observed pairs; every pair of the next order was observed in this order, too.
        pairs = (1 - weight[tables.context]) * tables.times / tables.total[tables.context]
        pairs += weight[tables.context] * self.pairs[self.place[tables.first]]
        row = largest(tables.context, pairs, context.size)
        best, share = tables.target[row], pairs[row]
        # A target that was not observed in this context only gets its share from the lower order.
        shorter = np.zeros(context.size, dtype=np.int32)
        shorter[context.train] = self.context
        other = weight * self.share[shorter]
        better = other > share
        best, share = np.where(better, self.best[shorter], best), np.where(better, other, share)
        return Interpolated(pairs, tables.place, context.train, best, share)


def predictions(train: Sequences, test: Sequences, count: int, alphabet: int) -> Iterator[tuple[Floats, Ints]]:
    """Yield, for orders 1 to `count`, the probability of every target of the test, and the likeliest target there.

    The arrays of an order are changed by the next one.
    """
    probability, likeliest = np.full(len(test.targets), 1 / alphabet), np.zeros(len(test.targets), dtype=np.int64)
    lower = Interpolated.uniform(len(train.targets), alphabet)
    for context in contexts_with_none(train, test, count):
        tables = Counts.of(context, train.targets, alphabet)
        lower = lower.refined(context, tables)
        seen = context.test >= 0
        there, total, distinct = context.test[seen].astype(np.int64), tables.total, tables.distinct
        times = tables.counts_of(there * alphabet + test.targets[seen])
        weight = distinct[there] / (total[there] + distinct[there])
        probability[seen] = (1 - weight) * times / total[there] + weight * probability[seen]
        likeliest[seen] = lower.best[there]
        # Before the next order is counted, which needs as much memory.
        del tables
        yield probability, likeliest


def best_order(train: Sequences, most: int, alphabet: int) -> int:
    """Return the order up to `most` with the fewest bits on the last tenth of the steps, learned from the others."""
    steps = len(train.targets)
    end = steps - max(1, steps // 10)
    if not end:
        return 1
    bounds = train.offsets[1:-1]
    inner = [bounds[bounds < end], bounds[bounds > end] - end]
    learned, held_out = (
        Sequences(
            train.values[part],
            np.concatenate([[0], cuts, [last]]),
            train.targets[part],
            train.dim_input,
            per_step=True,
        )
        for part, cuts, last in zip((slice(end), slice(end, None)), inner, (end, steps - end), strict=True)
    )
    losses = [-np.log(probability).sum() for probability, _ in predictions(learned, held_out, most, alphabet)]
    return int(np.argmin(losses)) + 1
