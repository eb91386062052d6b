"""What a classifier reaches that sees only a part of each sequence, so that a model's number means something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.evaluation.classify import draw
from myrnn.results import Counted, HasTable, Shown, Table, counted, integer, percent, shares, text
from myrnn.sequences import Sequences
from myrnn.tasks import recognition_of

Codes = NDArray[np.uint64]
NAMES = ("length alone", "first, last", "counts", "even counts", "one place", "pairs")


@dataclass(frozen=True, repr=False, eq=False)
class ShortcutReport(Counted, HasTable):
    """The accuracy of classifiers that see only a part of each sequence.

    Attributes
    ----------
    names : tuple of str
        The S shortcuts: ``"length alone"``, ``"first, last"``, ``"counts"``, ``"even counts"``, ``"one place"``
        and ``"pairs"``.
    lengths : ndarray, int64 (L,)
        The lengths T that were drawn, rising.
    total : ndarray, int64 (L,)
        How many sequences of each length were classified.
    correct : ndarray, int64 (S, L)
        How many of them each shortcut classified rightly.
    place : int
        The place that serves ``"one place"`` best, counted from 0, or from the end where negative.
    bayes : float or None
        The accuracy of the best classifier that sees everything: 1 where the task can say the truth of a sequence,
        and says so of all that were drawn; else unknown.
    confidence : float
        The level of the intervals.
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
        """The accuracy of each over all lengths, by name."""
        return dict(zip(self.names, shares(self.correct.sum(axis=1), self.total.sum()).tolist(), strict=True))

    def __repr__(self) -> str:
        """Say what each reaches over all lengths."""
        overall = ", ".join(f"{name} {share:.1%}" for name, share in self.overall.items())
        best = "" if self.bayes is None else f"; Bayes rate {self.bayes:.0%}"
        return f"ShortcutReport({_checks.count_of(self.total.sum(), 'sequence')}: {overall}{best})"

    def data(self) -> Table:
        """Return a row for every shortcut and length: shortcut, length, total, correct, accuracy, low, high."""
        count, lengths = len(self.names), len(self.lengths)
        columns = {"shortcut": np.repeat(self.names, lengths), "length": np.tile(self.lengths, count)}
        counts = counted(self.correct.ravel(), np.tile(self.total, count), self.confidence)
        return Table("Accuracy of shortcuts", {**columns, **counts})

    def totals(self) -> dict[str, dict[str, Any]]:
        """Return the record of each shortcut over all lengths, by its name."""
        correct = self.correct.sum(axis=1)
        columns = counted(correct, np.full(len(correct), self.total.sum()), self.confidence)
        return dict(zip(self.names, Table("", columns).rows(), strict=True))

    def only(self, lengths: NDArray[np.int64]) -> ShortcutReport:
        """Return what was found on some of the lengths alone."""
        chosen = np.isin(self.lengths, lengths)
        return replace(self, lengths=self.lengths[chosen], total=self.total[chosen], correct=self.correct[:, chosen])

    def table(self) -> Table:
        """Return the accuracy by length and over all, in per cent, as a terminal shows it: a column for a shortcut."""
        best = "" if self.bayes is None else f"\n{bayes_rate(self.bayes)}"
        totals = self.totals()
        everything = {"length": "all", **{name: percent(row["accuracy"]) for name, row in totals.items()}}
        ends = {name: f"{100 * row['low']:.1f}-{100 * row['high']:.1f}" for name, row in totals.items()}
        return Table(
            "Accuracy of shortcuts, %",
            {"length": self.lengths, **dict(zip(self.names, self.accuracy, strict=True)), "total": self.total},
            (text("length"), *map(_shown, self.names), integer("total", "of")),
            caption=f"one place: {place_name(self.place)}{best}",
            below=[
                [
                    ({**everything, "total": int(self.total.sum())}, "bold"),
                    ({"length": f"{self.confidence:.0%}", **ends}, None),
                ]
            ],
        )

    def plot(self, ax: Any = None) -> Any:
        """Draw the accuracy of each against the length, and return the matplotlib axes."""
        from myrnn import plots

        return plots.plot_shortcuts(self, ax=ax)


def shortcuts(
    task: Any,
    samples: int = 100_000,
    seed: int = 1,
    *,
    lengths: ArrayLike | None = None,
    confidence: float = 0.95,
) -> ShortcutReport:
    """Estimate how far a classifier comes that sees only a part of each sequence, and its length.

    ``length alone``: nothing else. ``first, last``: the first and the last symbol. ``counts``: how often each symbol
    occurs, not where. ``even counts``: of these only whether all are even (of an odd length, all but one), which is
    what two equal halves give away. ``one place``: the symbol at one place, the same in all sequences, from the
    beginning or the end, whichever place serves best. ``pairs``: how often each two symbols follow each other.

    Each is a table of what is seen and the class that came with it most often. It is made from one half of the
    sequences and tried on the other, so a table of many rare entries gets no credit for knowing them by heart. The best
    place is chosen on the first half, too. A rare entry leans on a coarser table: it begins with K sequences, in the
    shares of the K classes in the coarser entry (first by length alone, then, for ``first, last``, by whether the two
    are equal, for ``counts``, by whether all are even, and for ``pairs``, by which of them occur at all). The result is
    what such a classifier reaches on new sequences. The best classifier of this kind may reach more, where there are
    many entries and few sequences, as for ``counts`` and ``pairs`` of long sequences.

    Parameters
    ----------
    task : Task, Sequences or iterable of (x, y)
        Draws sequences of tokens, or holds them.
    samples : int
        How many sequences to draw, at least 2.
    seed : int
        Seeds the drawing and the halving.
    lengths : array_like of int, optional
        Draw these lengths instead of the task's own, the same number of each.
    confidence : float
        The level of the intervals.

    Returns
    -------
    ShortcutReport

    Raises
    ------
    InvalidArgument
        When an argument is not what it should be, there are fewer than two sequences, or they hold features.
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
    """Return a place in words."""
    name = f"symbol {place + 1}" if place >= 0 else f"symbol {-place} from the end"
    return {0: "the first symbol", -1: "the last symbol"}.get(place, name)


def _chains(sequences: Sequences, place: int) -> tuple[list[Codes], ...]:
    """Return what each shortcut sees, in the order of their names."""
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
    """Return which sequences the tables are made from: of every length one half at random, rounded up or down."""
    shuffled = rng.permutation(len(sequences))
    order = shuffled[np.argsort(sequences.lengths[shuffled], kind="stable")]
    chosen = np.zeros(len(sequences), dtype=bool)
    # Every second one, from length to length, also where there is one sequence of each.
    chosen[order[::2]] = True
    return chosen


def _predicted(chain: list[Codes], labels: NDArray[np.int64], fitted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the class that the tables of `fitted` say of all others."""
    classes = int(labels.max()) + 1
    # Without a table: as often as each class was drawn, none of them impossible.
    prior = np.bincount(labels[fitted], minlength=classes) + 1.0
    belief = np.tile(prior / prior.sum(), (len(labels), 1))
    for codes in chain:
        distinct, first, place = np.unique(codes, return_index=True, return_inverse=True)
        cells = place[fitted] * classes + labels[fitted]
        seen = np.bincount(cells, minlength=len(distinct) * classes).reshape(-1, classes)
        # All sequences of one code had one code in the coarser table, so any of them knows what that one says.
        table = seen + classes * belief[first]
        belief = (table / table.sum(axis=1, keepdims=True))[place]
    return np.argmax(belief[~fitted], axis=1)


def _best_place(sequences: Sequences, fitted: NDArray[np.bool_]) -> int:
    """Return the place whose symbol predicts most of the sequences that the tables are made from."""
    part = sequences.select(fitted)
    classes = int(part.labels.max()) + 1
    _, length = np.unique(part.lengths, return_inverse=True)
    width = part.dim_input + 1

    def right(place: int) -> int:
        entry = length * width + symbol_at(part, place) + 1
        seen = np.bincount(entry * classes + part.labels, minlength=(length.max() + 1) * width * classes)
        return int(seen.reshape(-1, classes).max(axis=1).sum())

    # Of places that are equally good, the first.
    return max(places(int(part.lengths.max())), key=right, default=0)


def _bayes(task: Any, sequences: Sequences) -> float | None:
    """Return 1 where the task knows the truth of each sequence: then some classifier is always right."""
    truth = getattr(recognition_of(task), "truth", None)
    if not callable(truth):
        return None
    return 1.0 if np.array_equal(truth(sequences), sequences.labels) else None


# What the shortcuts see of a sequence: each as one number a sequence, the same where they see no difference. A shortcut
# is a chain of such numbers, each finer than the one before: the coarser one counts where a finer one was seen too
# seldom. All know the length.


def lengths_of(sequences: Sequences) -> Codes:
    """Return the length of every sequence."""
    return sequences.lengths.astype(np.uint64)


def symbol_at(sequences: Sequences, place: int) -> NDArray[np.int64]:
    """Return the symbol at a place, counted from the end where negative; -1 where the sequence has none there."""
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
    """Return the symbol at one place."""
    length = lengths_of(sequences)
    return [length, joined(length, symbol_at(sequences, place))]


def evenness(sequences: Sequences, marks: Codes) -> list[Codes]:
    """Return whether all symbols can be put into pairs of equal ones, but for one symbol of an odd length.

    In other words: whether every symbol's count is even. Equal marks cancel: their exclusive or is 0.
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
    # The length is joined for the sake of those symbols whose marks might add up to the same.
    return [*coarser, joined(coarser[-1], total)]


def pairs(sequences: Sequences) -> list[Codes]:
    """Return how often each two symbols follow each other: which of them do at all, and how often.

    Which do is exact for eight symbols, of which there are 64 pairs. Of more, some pairs share a bit.
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
    """Return one number for what the parts say together."""
    code = np.zeros(len(parts[0]), dtype=np.uint64)
    for part in parts:
        _, place = np.unique(part, return_inverse=True)
        code = code * np.uint64(place.max(initial=0) + 1) + place.astype(np.uint64)
    return code


def places(longest: int) -> Sequence[int]:
    """Return all places of sequences up to a length: from the beginning, and from the end."""
    return (*range(longest), *range(-longest, 0))


def _summed(values: Codes, offsets: NDArray[np.int64], operation: np.ufunc) -> Codes:
    """Return the sum of each sequence's values, by ``np.add`` (which wraps round) or ``np.bitwise_xor``."""
    running = np.concatenate((np.zeros(1, dtype=np.uint64), operation.accumulate(values, dtype=np.uint64)))
    begin, end = running[offsets[:-1]], running[offsets[1:]]
    return end - begin if operation is np.add else end ^ begin
