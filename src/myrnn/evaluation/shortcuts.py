"""Accuracy of classifiers that see only part of each sequence, to put a model's accuracy into perspective."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.evaluation.classify import draw
from myrnn.intervals import shares
from myrnn.results import Counted, Result, Shown, Table, counted, integer, pair_counts, percent, text
from myrnn.sequences import Sequences
from myrnn.tasks import recognition_of

Codes = NDArray[np.uint64]
NAMES = ("length alone", "first, last", "counts", "even counts", "one place", "pairs")


@dataclass(frozen=True, repr=False, eq=False)
class ShortcutReport(Counted, Result):
    """The accuracy of classifiers that see only part of each sequence.

    Attributes
    ----------
    names : tuple of str
        The S shortcuts: ``"length alone"``, ``"first, last"``, ``"counts"``, ``"even counts"``, ``"one place"``
        and ``"pairs"``.
    lengths : ndarray, int64 (L,)
        The lengths T that were drawn, ascending.
    total : ndarray, int64 (L,)
        The number of sequences of each length that were classified.
    correct : ndarray, int64 (S, L)
        The number of them that each shortcut classified correctly.
    place : int
        The best position for ``"one place"``, counted from 0, or from the end if negative.
    bayes : float or None
        The accuracy of the best classifier that sees everything: 1 if the task can compute the truth of a sequence and
        does so for all drawn ones; otherwise unknown.
    confidence : float
        The level of the intervals.

    Examples
    --------
    >>> from myrnn import shortcuts, tasks
    >>> report = shortcuts(tasks.Palindromes(pattern_length_max=2), samples=400)
    >>> report.names
    ('length alone', 'first, last', 'counts', 'even counts', 'one place', 'pairs')
    >>> report.lengths, report.correct.shape, report.bayes
    (array([2, 4]), (6, 2), 1.0)
    >>> ax = report.plot()
    """

    names: tuple[str, ...]
    lengths: NDArray[np.int64]
    total: NDArray[np.int64]
    correct: NDArray[np.int64]
    place: int
    bayes: float | None = None
    confidence: float = 0.95

    @property
    def overall(self) -> dict[str, float]:
        """The accuracy of each shortcut over all lengths, by name."""
        return dict(zip(self.names, shares(self.correct.sum(axis=1), self.total.sum()).tolist(), strict=True))

    def __repr__(self) -> str:
        """Show the accuracy of each over all lengths."""
        overall = ", ".join(f"{name} {share:.1%}" for name, share in self.overall.items())
        best = "" if self.bayes is None else f"; Bayes rate {self.bayes:.0%}"
        return f"ShortcutReport({_checks.count_of(self.total.sum(), 'sequence')}: {overall}{best})"

    def data(self) -> Table:
        """Return a row for every shortcut and length: shortcut, length, total, correct, accuracy, low, high."""
        count, lengths = len(self.names), len(self.lengths)
        columns = {"shortcut": np.repeat(self.names, lengths), "length": np.tile(self.lengths, count)}
        return Table("Accuracy of shortcuts", {**columns, **self._rates()})

    def totals(self) -> dict[str, dict[str, Any]]:
        """Return the record of each shortcut over all lengths, by name."""
        correct = self.correct.sum(axis=1)
        columns = counted(correct, np.full(len(correct), self.total.sum()), self.confidence)
        return dict(zip(self.names, Table("", columns).rows(), strict=True))

    def only(self, lengths: NDArray[np.int64]) -> ShortcutReport:
        """Return the results for some of the lengths."""
        chosen = np.isin(self.lengths, lengths)
        return replace(self, lengths=self.lengths[chosen], total=self.total[chosen], correct=self.correct[:, chosen])

    def table(self) -> Table:
        """Return the accuracy by length and in all, in per cent as terminals show it: one column per shortcut."""
        best = "" if self.bayes is None else f"\n{bayes_rate(self.bayes)}"
        totals = self.totals()
        everything = {"length": "all", **{name: percent(row["accuracy"]) for name, row in totals.items()}}
        ends = {name: f"{100 * row['low']:.1f}-{100 * row['high']:.1f}" for name, row in totals.items()}
        return Table(
            "Accuracy of shortcuts, %",
            {"length": self.lengths, **dict(zip(self.names, self.accuracy, strict=True)), "total": self.total},
            (text("length", "sequence length"), *map(_shown, self.names), integer("total", "of")),
            caption=f"one place: {place_name(self.place)}{best}",
            below=[
                [
                    ({**everything, "total": int(self.total.sum())}, "bold"),
                    ({"length": f"{self.confidence:.0%}", **ends}, None),
                ]
            ],
        )


def shortcuts(
    task: Any,
    samples: int = 100_000,
    seed: int = 1,
    *,
    lengths: ArrayLike | None = None,
    confidence: float = 0.95,
) -> ShortcutReport:
    """Estimate the accuracy of classifiers that see only part of each sequence, and its length.

    The six classifiers are those of :doc:`/explanation/shortcuts`.

    Each classifier is a table from observations to their most frequent class. It is fitted on one half of the sequences
    and tested on the other, so memorising many rare entries earns no credit. The best position is also chosen on the
    first half. A rare entry is smoothed by a coarser table: it begins with K pseudo-counts, in the proportions of the K
    classes in the coarser entry (first by length alone, then, for ``first, last``, by whether the two are equal, for
    ``counts``, by whether all are even, and for ``pairs``, by which of them occur at all). The result is the accuracy
    of such a classifier on new sequences. The best classifier of this kind may do better if there are many entries and
    few sequences, as for ``counts`` and ``pairs`` of long sequences.

    Parameters
    ----------
    task : Task, Sequences or iterable of (x, y)
        Draws sequences of tokens, or holds them.
    samples : int
        The number of sequences to draw, at least 2.
    seed : int
        Seed of the drawn sequences and of their halves.
    lengths, confidence
        As for `evaluate`.

    Returns
    -------
    ShortcutReport

    Raises
    ------
    InvalidArgument
        When an argument is invalid, there are fewer than two sequences, or they hold features.

    Examples
    --------
    >>> from myrnn import shortcuts, tasks
    >>> report = shortcuts(tasks.TwinHalves(pattern_length_max=2), samples=400)
    >>> report.overall["counts"] > report.overall["length alone"]
    True
    """
    _checks.real("confidence", confidence, above=0, below=1)
    sequences = draw(task, samples, seed, lengths)
    if not sequences.is_tokens:
        raise InvalidArgument("shortcuts are of sequences of tokens, not of features")
    if len(sequences) < 2:
        raise InvalidArgument("shortcuts take at least 2 sequences, one to learn from and one to try, not 1")
    fitted = _half(sequences, np.random.default_rng((_checks.integer("seed", seed, minimum=0), 1)))
    place = _best_place(sequences, fitted)
    distinct, where = np.unique(sequences.lengths[~fitted], return_inverse=True)
    truth = sequences.labels[~fitted]
    correct = [
        np.bincount(where, _predicted(chain, sequences.labels, fitted) == truth, minlength=len(distinct))
        for chain in _chains(sequences, place)
    ]
    right = np.array(correct).astype(np.int64)
    return ShortcutReport(NAMES, distinct, np.bincount(where), right, place, _bayes(task, sequences), confidence)


def bayes_rate(bayes: float) -> str:
    """Return the accuracy of the best possible classifier in words."""
    return f"Bayes rate: {percent(bayes)}, since every label follows from its sequence"


def _shown(name: str) -> Shown:
    # In the rows of totals the cells are text.
    return Shown(name, lambda row: row[name] if isinstance(row[name], str) else percent(row[name]))


def place_name(place: int) -> str:
    """Return a position in words."""
    name = f"symbol {place + 1}" if place >= 0 else f"symbol {-place} from the end"
    return {0: "the first symbol", -1: "the last symbol"}.get(place, name)


def _chains(sequences: Sequences, place: int) -> tuple[list[Codes], ...]:
    """Return the observations of each shortcut, in the order of their names."""
    marks = marks_of(sequences.dim_input)
    return (
        [lengths_of(sequences)],
        ends(sequences),
        counts(sequences, marks),
        evenness(sequences, marks),
        one_place(sequences, place),
        pairs(sequences),
    )


def _half(sequences: Sequences, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which sequences to fit on: a random half of every length, rounded up or down."""
    shuffled = rng.permutation(len(sequences))
    order = shuffled[np.argsort(sequences.lengths[shuffled], kind="stable")]
    chosen = np.zeros(len(sequences), dtype=bool)
    # Take every second one across lengths, so that lengths with a single sequence are split evenly, too.
    chosen[order[::2]] = True
    return chosen


def _predicted(chain: list[Codes], labels: NDArray[np.int64], fitted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the predictions for the other sequences of tables fitted on the `fitted` ones."""
    classes = int(labels.max()) + 1
    # Without a table: the class frequencies, smoothed so that none is 0.
    prior = np.bincount(labels[fitted], minlength=classes) + 1.0
    belief = np.tile(prior / prior.sum(), (len(labels), 1))
    for codes in chain:
        distinct, first, place = np.unique(codes, return_index=True, return_inverse=True)
        seen = pair_counts(place[fitted], labels[fitted], (len(distinct), classes))
        # All sequences with the same code share a code in the coarser table, so any of them can look it up.
        table = seen + classes * belief[first]
        belief = (table / table.sum(axis=1, keepdims=True))[place]
    return np.argmax(belief[~fitted], axis=1)


def _best_place(sequences: Sequences, fitted: NDArray[np.bool_]) -> int:
    """Return the position whose symbol predicts most of the fitted sequences."""
    part = sequences.select(fitted)
    classes = int(part.labels.max()) + 1
    _, length = np.unique(part.lengths, return_inverse=True)
    width = part.dim_input + 1

    def right(place: int) -> int:
        entry = length * width + symbol_at(part, place) + 1
        seen = pair_counts(entry, part.labels, (int(length.max() + 1) * width, classes))
        return int(seen.max(axis=1).sum())

    # The first of equally good positions, from the beginning and from the end.
    longest = int(part.lengths.max())
    return max((*range(longest), *range(-longest, 0)), key=right, default=0)


def _bayes(task: Any, sequences: Sequences) -> float | None:
    """Return 1 if the task knows the truth of each sequence: then some classifier is always right."""
    truth = getattr(recognition_of(task), "truth", None)
    if not callable(truth):
        return None
    return 1.0 if np.array_equal(truth(sequences), sequences.labels) else None


# What each shortcut observes, encoded as one number per sequence: equal numbers are indistinguishable. A shortcut is a
# chain of such codes, each finer than the one before; the coarser one smooths the rare entries of the finer. All
# include the length.


def lengths_of(sequences: Sequences) -> Codes:
    """Return the length of every sequence."""
    return sequences.lengths.astype(np.uint64)


def symbol_at(sequences: Sequences, place: int) -> NDArray[np.int64]:
    """Return the symbol at a position, counted from the end if negative; -1 if the sequence is too short."""
    lengths = sequences.lengths
    there = lengths > place if place >= 0 else lengths >= -place
    index = (sequences.offsets[:-1] if place >= 0 else sequences.offsets[1:]) + place
    symbols = np.full(len(sequences), -1, dtype=np.int64)
    symbols[there] = sequences.values[index[there]]
    return symbols


def ends(sequences: Sequences) -> list[Codes]:
    """Return whether the first and the last symbol are equal, and which they are."""
    first, last = symbol_at(sequences, 0), symbol_at(sequences, -1)
    length = lengths_of(sequences)
    same = joined(length, first == last)
    return [length, same, joined(length, first, last)]


def one_place(sequences: Sequences, place: int) -> list[Codes]:
    """Return the symbol at one position."""
    length = lengths_of(sequences)
    return [length, joined(length, symbol_at(sequences, place))]


def evenness(sequences: Sequences, marks: Codes) -> list[Codes]:
    """Return whether all symbols form pairs of equal ones, except for one symbol of an odd length.

    Equivalently, whether every symbol's count is even. Equal marks cancel: their exclusive or is 0.
    """
    length = lengths_of(sequences)
    left = _summed(marks[sequences.values], sequences.offsets, np.bitwise_xor)
    return [length, joined(length, np.where(length % 2 == 0, left == 0, np.isin(left, marks)))]


def counts(sequences: Sequences, marks: Codes) -> list[Codes]:
    """Return how often each symbol occurs: whether all counts are even, and the counts themselves.

    Different counts have different sums of the symbols' marks.
    """
    total = _summed(marks[sequences.values], sequences.offsets, np.add)
    coarser = evenness(sequences, marks)
    # Join the length, in case the marks of some symbols add up to the same.
    return [*coarser, joined(coarser[-1], total)]


def pairs(sequences: Sequences) -> list[Codes]:
    """Return how often each two symbols follow each other: which pairs occur, and how often.

    Which pairs occur is exact for up to eight symbols, which have 64 pairs; beyond that, some pairs share a bit.
    """
    size, filled = sequences.dim_input, sequences.lengths > 0
    values = sequences.values.astype(np.int64)
    following = np.append(values[1:], 0)[: len(values)]
    # No pair begins at the last step of a sequence.
    begins = np.ones(len(values), dtype=np.bool_)
    begins[sequences.offsets[1:][filled] - 1] = False
    bits = np.where(begins, np.uint64(1) << ((values * size + following) % 64).astype(np.uint64), np.uint64(0))
    there = np.zeros(len(sequences), dtype=np.uint64)
    if len(values):
        there[filled] = np.bitwise_or.reduceat(bits, sequences.offsets[:-1][filled])
    marks = marks_of(2 * size)
    total = _summed(np.where(begins, marks[values] * marks[size + following], np.uint64(0)), sequences.offsets, np.add)
    length = lengths_of(sequences)
    coarser = joined(length, there)
    return [length, coarser, joined(coarser, total)]


def marks_of(alphabet_size: int) -> Codes:
    """Return a random 64-bit number for each symbol; two sums of them agree by chance once in about 10^19 times."""
    return np.random.default_rng(0).integers(0, 2**64, alphabet_size, dtype=np.uint64)


def joined(*parts: NDArray[np.generic]) -> Codes:
    """Return one number that encodes all parts."""
    code = np.zeros(len(parts[0]), dtype=np.uint64)
    for part in parts:
        _, place = np.unique(part, return_inverse=True)
        code = code * np.uint64(place.max(initial=0) + 1) + place.astype(np.uint64)
    return code


def _summed(values: Codes, offsets: NDArray[np.int64], operation: np.ufunc) -> Codes:
    """Return the sum of each sequence's values, by ``np.add`` (which wraps round) or ``np.bitwise_xor``."""
    running = np.concatenate((np.zeros(1, dtype=np.uint64), operation.accumulate(values, dtype=np.uint64)))
    begin, end = running[offsets[:-1]], running[offsets[1:]]
    return end - begin if operation is np.add else end ^ begin
