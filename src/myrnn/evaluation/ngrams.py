"""Counts of the symbols that follow each context, and the n-gram probabilities computed from them.

Only distinct pairs of a context and a target are held, not the steps: a long text is counted and predicted in blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from myrnn.evaluation.clusters import ClusteredSteps
from myrnn.flat import blocks, groups
from myrnn.results import Floats
from myrnn.sequences import Sequences

Ints = NDArray[np.signedinteger[Any]]

# The steps, or the rows of a table, that are computed with at once, to limit memory.
AT_ONCE = 2**19
_LARGEST_KEY = 2**63 - 1


class Counts:
    """How often each target follows each context: the ascending keys of the observed pairs, and their counts."""

    def __init__(self) -> None:
        self.pairs: Ints = np.zeros(0, dtype=np.int64)
        self.times: Ints = np.zeros(0, dtype=np.int64)

    def add(self, pairs: Ints, times: Ints) -> None:
        """Add the counts of some pairs, whose keys ascend, too."""
        place = np.searchsorted(self.pairs, pairs)
        known = place < len(self.pairs)
        known[known] = self.pairs[place[known]] == pairs[known]
        self.times[place[known]] += times[known]
        new = place[~known]
        self.pairs = np.insert(self.pairs, new, pairs[~known])
        self.times = np.insert(self.times, new, times[~known])

    def contexts(self, classes: int) -> tuple[Ints, Ints]:
        """Return the keys of the contexts, and the first row of each, with the number of rows at the end."""
        contexts = self.pairs // classes
        first = np.flatnonzero(contexts[1:] != contexts[:-1]) + 1
        bounds = np.concatenate(([0], first, [len(contexts)]))
        return contexts[bounds[:-1]], bounds


def largest(value: NDArray[Any], begins: Ints) -> Ints:
    """Return the first row with the largest value in each group; `begins` has the first row of each."""
    sizes = np.diff(begins, append=len(value))
    rows = np.flatnonzero(value == np.repeat(np.maximum.reduceat(value, begins), sizes))
    return rows[np.searchsorted(rows, begins)]


@dataclass(frozen=True)
class Contexts:
    """Numbers the last symbols of a step, its context, by a key: up to `length` symbols, the last one first.

    The symbols are the digits of the key, so the key of a shorter context follows from it. Where such a key would be
    too large, it is replaced by its place among those of the training (`numbered`, by length). The key of a pair is
    that of its context, times the number of classes, plus the target.
    """

    length: int
    base: int
    classes: int
    numbered: dict[int, Ints] = field(default_factory=dict)

    @classmethod
    def of(cls, train: Sequences, test: Sequences, length: int, classes: int) -> Contexts:
        """Return the contexts of up to `length` symbols."""
        # The largest digit stands for the beginning of a sequence.
        found = cls(length, max(train.dim_input, test.dim_input) + 1, classes)
        bound = 1
        for size in range(1, length + 1):
            bound *= found.base
            if bound * max(found.base, classes) > _LARGEST_KEY:
                distinct = Counts()
                for steps in blocks(0, len(train.targets), AT_ONCE):
                    distinct.add(*np.unique(found.key(train, steps, size), return_counts=True))
                found.numbered[size], bound = distinct.pairs, len(distinct.pairs)
        return found

    def keys(self, given: Sequences, steps: slice) -> Iterator[Ints]:
        """Yield the keys of the contexts of some steps, from no symbol on; -1 for one that the training lacks."""
        position, places = ClusteredSteps(given.offsets).position_of(steps), np.arange(steps.start, steps.stop)
        key = np.zeros(len(places), dtype=np.int64)
        yield key
        for back in range(self.length):
            symbol = np.where(position > back, given.values[places - np.minimum(back, places)], self.base - 1)
            key = np.where(key < 0, key, key * self.base + symbol)
            if back + 1 in self.numbered:
                key = place_in(self.numbered[back + 1], key)
            yield key

    def key(self, given: Sequences, steps: slice, size: int) -> Ints:
        """Return the keys of the contexts of `size` symbols of some steps."""
        return next(islice(self.keys(given, steps), size, None))

    def shorter(self, pairs: Ints, size: int) -> Ints:
        """Return the keys of pairs whose context has `size` symbols without the earliest symbol."""
        context, target = np.divmod(pairs, self.classes)
        if size in self.numbered:
            context = self.numbered[size][context]
        return context // self.base * self.classes + target

    def count(self, train: Sequences, begin: int, end: int, counts: Counts) -> Counts:
        """Add the pairs of the longest contexts at some steps to the counts, and return these."""
        for steps in blocks(begin, end, AT_ONCE):
            pairs = self.key(train, steps, self.length) * self.classes + train.targets[steps]
            counts.add(*np.unique(pairs, return_counts=True))
        return counts

    def tables(self, longest: Counts) -> list[Counts]:
        """Return the counts for contexts of every length, the shortest first, from those of the longest."""
        tables = [longest]
        for size in range(self.length, 0, -1):
            longer, counts = tables[-1], Counts()
            for rows in blocks(0, len(longer.pairs), AT_ONCE):
                pairs = self.shorter(longer.pairs[rows], size)
                order = np.argsort(pairs, kind="stable")
                pairs, begins = np.unique(pairs[order], return_index=True)
                counts.add(pairs, np.add.reduceat(longer.times[rows][order], begins))
            tables.append(counts)
        return tables[::-1]


class Order(NamedTuple):
    """The probability of each pair; for each context the weight of the lower order, and the likeliest target."""

    pairs: Ints
    probability: Floats
    contexts: Ints
    weight: Floats
    best: Ints


class Ngrams:
    """The n-gram models of orders 1 to `most`, interpolated by Witten and Bell's rule."""

    def __init__(self, contexts: Contexts, counts: Counts, most: int) -> None:
        self.contexts = contexts
        self.orders: list[Order] = []
        tables = contexts.tables(counts)[:most]
        # Below the unigram is the uniform distribution.
        share = np.full(1, 1 / contexts.classes)
        while tables:
            share = self._add(tables.pop(0), share)

    def _add(self, counts: Counts, below: Floats) -> Floats:
        """Add the next order; `below` and the result are the probabilities of the likeliest targets of an order."""
        size, classes = len(self.orders), self.contexts.classes
        keys, bounds = counts.contexts(classes)
        probability, weights = np.empty(len(counts.pairs)), np.empty(len(keys))
        likeliest, shares = np.empty(len(keys), dtype=np.int32), np.empty(len(keys))
        for some in groups(np.diff(bounds), AT_ONCE):
            rows, begins = slice(bounds[some.start], bounds[some.stop]), bounds[some] - bounds[some.start]
            pairs, times = counts.pairs[rows], counts.times[rows]
            distinct, total = np.diff(begins, append=len(times)), np.add.reduceat(times, begins)
            lower, other, best = below, below, np.zeros(1, dtype=np.int32)
            if size:
                # Every pair was observed in the lower order, too.
                order, shorter = self.orders[-1], self.contexts.shorter(pairs, size)
                lower = order.probability[place_in(order.pairs, shorter)]
                place = place_in(order.contexts, shorter[begins] // classes)
                other, best = below[place], order.best[place]
            weight = distinct / (total + distinct)
            each = np.repeat(weight, distinct)
            values = (1 - each) * times / np.repeat(total, distinct) + each * lower
            row = largest(values, begins)
            # A target that was not observed in this context only gets its share from the lower order.
            better = weight * other > values[row]
            probability[rows], weights[some] = values, weight
            likeliest[some] = np.where(better, best, pairs[row] % classes)
            shares[some] = np.where(better, weight * other, values[row])
        self.orders.append(Order(counts.pairs, probability, keys, weights, likeliest))
        return shares

    def predictions(self, test: Sequences, steps: slice) -> Iterator[tuple[Floats, Ints]]:
        """Yield, for every order, the probability of the target of some steps, and the likeliest target there."""
        targets = test.targets[steps]
        probability, likeliest = np.full(len(targets), 1 / self.contexts.classes), np.zeros(len(targets), np.int32)
        for order, key in zip(self.orders, self.contexts.keys(test, steps), strict=False):
            context = place_in(order.contexts, key)
            pair = place_in(order.pairs, key * self.contexts.classes + targets)
            weight = np.where(context >= 0, order.weight[context], 1.0)
            probability = np.where(pair >= 0, order.probability[pair], weight * probability)
            likeliest = np.where(context >= 0, order.best[context], likeliest)
            yield probability, likeliest


def fitted(train: Sequences, contexts: Contexts, most: int | None) -> Ngrams:
    """Return the models up to the order `most`; by default up to the best one for the last tenth of the steps."""
    steps = len(train.targets)
    end = steps - max(1, steps // 10)
    counts = contexts.count(train, 0, end, Counts())
    if most is None:
        most = _best_order(train, Ngrams(contexts, counts, contexts.length + 1), end) if end else 1
    return Ngrams(contexts, contexts.count(train, end, steps, counts), most)


def _best_order(train: Sequences, model: Ngrams, begin: int) -> int:
    """Return the order with the fewest bits at the steps from `begin` on, which the model has not learned."""
    losses = [
        [-np.log(probability).sum() for probability, _ in model.predictions(train, steps)]
        for steps in blocks(begin, len(train.targets), AT_ONCE)
    ]
    return int(np.argmin(np.sum(losses, axis=0))) + 1


def place_in(ascending: Ints, keys: Ints) -> Ints:
    """Return the index of each key in a sorted list, -1 for a missing key."""
    place = np.minimum(np.searchsorted(ascending, keys), len(ascending) - 1)
    return np.where(ascending[place] == keys, place, -1)
