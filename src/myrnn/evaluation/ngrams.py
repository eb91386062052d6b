"""Counts of the symbols that follow each context, and the n-gram probabilities computed from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from myrnn.evaluation.steps import Steps
from myrnn.results import Floats
from myrnn.sequences import Sequences

Ints = NDArray[np.int64]

# Keys below this, or below this many times their number, use a lookup table; larger ones a sorted list.
_SMALL_KEYS, _KEYS_A_STEP = 2**16, 8


class Context(NamedTuple):
    """The context of every step as a number below `size`; -1 in the test for contexts that the training lacks."""

    train: Ints
    test: Ints
    size: int


def contexts_with_none(train: Sequences, test: Sequences, count: int) -> Iterator[Context]:
    """Yield `count` contexts: no symbol, the last one, the last two, and so on."""
    yield Context(np.zeros(len(train.values), dtype=np.int64), np.zeros(len(test.values), dtype=np.int64), 1)
    yield from contexts(train, test, count - 1)


def contexts(train: Sequences, test: Sequences, count: int) -> Iterator[Context]:
    """Yield `count` contexts: the last symbol, the last two, and so on."""
    begin = max(train.dim_input, test.dim_input)
    found = Context(np.zeros(len(train.values), dtype=np.int64), np.zeros(len(test.values), dtype=np.int64), 1)
    positions = [Steps(given.offsets).position for given in (train, test)]

    def longer(before: Ints, given: Sequences, position: Ints, back: int) -> Ints:
        symbol = np.full(len(given.values), begin, dtype=np.int64)
        symbol[back:] = given.values[: len(symbol) - back]
        symbol[position <= back] = begin
        return np.where(before >= 0, before * (begin + 1) + symbol, -1)

    for back in range(count):
        keys = longer(found.train, train, positions[0], back), longer(found.test, test, positions[1], back)
        found = _numbered(*keys, found.size * (begin + 1))
        yield found


def _numbered(train: Ints, test: Ints, bound: int) -> Context:
    """Renumber the keys of the training, all below `bound`, without gaps, and those of the test likewise."""
    if bound <= max(_SMALL_KEYS, _KEYS_A_STEP * len(train)):
        there = np.zeros(bound, dtype=np.bool_)
        there[train] = True
        number = np.where(there, np.cumsum(there) - 1, -1)
        return Context(number[train], np.where(test >= 0, number[test], -1), int(there.sum()))
    distinct, place = np.unique(train, return_inverse=True)
    return Context(place.reshape(-1), _found(distinct, test), len(distinct))


def _found(distinct: Ints, keys: Ints) -> Ints:
    """Return the index of each key in a sorted list, -1 for a missing key."""
    place = np.minimum(np.searchsorted(distinct, keys), len(distinct) - 1)
    return np.where(distinct[place] == keys, place, -1)


class Counts(NamedTuple):
    """How often each target follows each context: one row per observed pair, in ascending order.

    `place` is the row of every training step; `total` and `distinct` are, for every context, its count and its number
    of different targets.
    """

    key: Ints
    context: Ints
    target: Ints
    times: Ints
    place: Ints
    total: Ints
    distinct: Ints

    @classmethod
    def of(cls, context: Context, targets: Ints, classes: int) -> Counts:
        """Count the targets of the training, which are below `classes`."""
        key, place, times = np.unique(context.train * classes + targets, return_inverse=True, return_counts=True)
        place = place.reshape(-1)
        which = key // classes
        total = np.bincount(context.train, minlength=context.size)
        return cls(key, which, key % classes, times, place, total, np.bincount(which, minlength=context.size))

    def counts_of(self, keys: Ints) -> Ints:
        """Return the counts of pairs, each given as its context times the number of classes plus its target."""
        place = _found(self.key, keys)
        return np.where(place >= 0, self.times[place], 0)


def largest(group: Ints, value: NDArray[Any], groups: int) -> Ints:
    """Return the row with the largest value in each group; rows are ordered by group."""
    begin = np.searchsorted(group, np.arange(groups))
    order = np.lexsort((-value, group))
    return order[begin]


class Interpolated(NamedTuple):
    """The probabilities of one order: of the target at every training step, and of the best target of each context.

    `context` is that of every step, `best` and `share` are the likeliest target of every context and its probability.
    """

    own: Floats
    context: Ints
    best: Ints
    share: Floats

    @classmethod
    def uniform(cls, steps: int, alphabet: int) -> Interpolated:
        """Return the uniform distribution below the unigram."""
        zero = np.zeros(1, dtype=np.int64)
        return cls(np.full(steps, 1 / alphabet), np.zeros(steps, dtype=np.int64), zero, np.full(1, 1 / alphabet))

    def refined(self, context: Context, tables: Counts) -> Interpolated:
        """Return the probabilities of the next order, whose contexts are longer by a symbol."""
        weight = tables.distinct / (tables.total + tables.distinct)
        first = np.zeros(len(tables.key), dtype=np.int64)
        first[tables.place] = np.arange(len(tables.place))
        # For observed pairs; every pair of the next order was observed in this order, too.
        pairs = (1 - weight[tables.context]) * tables.times / tables.total[tables.context]
        pairs += weight[tables.context] * self.own[first]
        row = largest(tables.context, pairs, context.size)
        best, share = tables.target[row], pairs[row]
        # A target that was not observed in this context only gets its share from the lower order.
        shorter = np.zeros(context.size, dtype=np.int64)
        shorter[context.train] = self.context
        other = weight * self.share[shorter]
        better = other > share
        best, share = np.where(better, self.best[shorter], best), np.where(better, other, share)
        return Interpolated(pairs[tables.place], context.train, best, share)
