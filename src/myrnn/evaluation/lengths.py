"""Accuracy by length and class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.evaluation.comparison import Comparison, some
from myrnn.evaluation.shortcuts import ShortcutReport
from myrnn.finite import lost_message
from myrnn.intervals import shares, wilson_interval
from myrnn.results import (
    ENDS,
    Counted,
    Result,
    Row,
    Shown,
    Table,
    column_name,
    counted,
    integer,
    pair_counts,
    read_confidence,
    read_counts,
    share,
)

# The most classes with separate columns in a table 80 columns wide.
FEW_CLASSES = 2
# The largest part of a base rate that may be chance, because there are few sequences of each length.
MOST_CHANCE = 0.05


def _none() -> NDArray[np.int64]:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, repr=False, eq=False)
class LengthReport(Counted, Result):
    """Accuracy for every length.

    It counts sequences or, if each step has a class, the steps that have one. Its intervals are those of
    :doc:`/explanation/intervals`: for steps they count sequences, the most cautious choice.

    Attributes
    ----------
    lengths : ndarray, int64 (L,)
        The tested lengths T, ascending.
    total, correct : ndarray, int64 (L,)
        The number of sequences (or their steps) of each length, and of those classified correctly.
    chance : float
        The accuracy of guessing, 1 / K.
    trained_length : int or None
        The longest length in the training; longer ones are marked as beyond.
    confidence : float
        The level of the intervals.
    class_total, class_correct : ndarray, int64 (L, K)
        The same counts for each true class: the sequences of the class, and those of them that were predicted as this
        class. Shape (L, 0) in a report without counts by class.
    class_names : tuple of str
        The names of the K classes.
    not_finite : ndarray, int64 (L,)
        The number of sequences or steps of each length with logits that are not finite. They count in `total` and never
        in `correct`.
    each : {"sequence", "step"}
        The unit that is counted.
    sequences, whole : ndarray, int64 (L,)
        The number of sequences of each length, and of those that are right as a whole: at every step that has a class.
        If sequences are counted, these are `total` and `correct`.

    Examples
    --------
    >>> from myrnn import RNN, evaluate, tasks
    >>> task = tasks.TwinHalves(pattern_length_max=2)
    >>> model = RNN(task.dim_input, 8, task.dim_output, rng=0)
    >>> report = evaluate(model, task, 300, lengths=[2, 4, 6], trained=4, engine="mygrad", progress=False)
    >>> report.total, report.beyond, report.interval.shape
    (array([100, 100, 100]), array([False, False,  True]), (3, 2))
    >>> list(report.groups()), report.rows()[0]["length"], report.chance
    (['trained', 'beyond', 'all'], 2, 0.5)
    >>> ax = report.plot(label="untrained")
    """

    lengths: NDArray[np.int64]
    total: NDArray[np.int64]
    correct: NDArray[np.int64]
    chance: float
    trained_length: int | None = None
    confidence: float = 0.95
    class_total: NDArray[np.int64] = field(default_factory=_none)
    class_correct: NDArray[np.int64] = field(default_factory=_none)
    class_names: tuple[str, ...] = ()
    not_finite: NDArray[np.int64] = field(default_factory=_none)
    each: str = "sequence"
    sequences: NDArray[np.int64] = field(default_factory=_none)
    whole: NDArray[np.int64] = field(default_factory=_none)

    def __post_init__(self) -> None:
        """Give absent counts by class the shape (L, 0)."""
        for name, default in (("sequences", self.total), ("whole", self.correct)):
            if self.each == "sequence":
                object.__setattr__(self, name, default)
        shape = (len(self.lengths), len(self.class_names))
        for name in ("class_total", "class_correct"):
            object.__setattr__(self, name, np.reshape(getattr(self, name), shape))
        if not len(self.not_finite):
            object.__setattr__(self, "not_finite", np.zeros(len(self.lengths), dtype=np.int64))

    @classmethod
    def of(
        cls,
        lengths: NDArray[np.int64],
        targets: NDArray[np.int64],
        right: NDArray[np.bool_],
        lost: NDArray[np.bool_],
        class_names: tuple[str, ...],
        **known: Any,
    ) -> LengthReport:
        """Return the counts of answers (N,): the length and the true class of each, and which are right or not finite.

        `known` are the other attributes.
        """
        distinct, place = np.unique(lengths, return_inverse=True)
        shape = len(distinct), max(len(class_names), 1)
        total, correct = pair_counts(place, targets, shape), pair_counts(place[right], targets[right], shape)
        return cls(
            distinct,
            total.sum(axis=1),
            correct.sum(axis=1),
            class_total=total[:, : len(class_names)],
            class_correct=correct[:, : len(class_names)],
            class_names=class_names,
            not_finite=np.bincount(place[lost], minlength=len(distinct)),
            **known,
        )

    @property
    def class_accuracy(self) -> NDArray[np.float64]:
        """The accuracy for each true class, float64 (L, K); NaN for an absent class."""
        return shares(self.class_correct, self.class_total)

    @property
    def interval(self) -> NDArray[np.float64]:
        """The Wilson interval of each accuracy, float64 (L, 2), based on the number of sequences."""
        share = self._independent()
        return wilson_interval(self.correct * share, self.total * share, self.confidence)

    @property
    def base_rate(self) -> NDArray[np.float64]:
        """The share of the most frequent class at each length, float64 (L,), NaN in a report without counts by class.

        This is the accuracy of always giving that class.
        """
        return base_rate_of(self.class_total)

    @property
    def is_base_rate_known(self) -> bool:
        """Whether there are enough sequences of each length: with few, the base rate is too high by chance."""
        # Where they are few, the most frequent class of a length is partly chance. Then the other answers of the length
        # often do not predict an answer, nor does the majority of all.
        second, first = np.sort(np.pad(self.class_total, ((0, 0), (2, 0))), axis=1)[:, -2:].T
        clear, close = first - second > 1, (first - second == 1) & (first > 1)
        predicted = np.where(clear, first, np.where(close, first / 2, 0)).sum()
        honest = max(predicted, self.class_total.sum(axis=0).max(initial=0))
        return bool(first.sum() - honest <= MOST_CHANCE * self.class_total.sum())

    @property
    def balanced_accuracy(self) -> NDArray[np.float64]:
        """The mean of the accuracies for each true class, float64 (L,); NaN where there are not two classes."""
        return _balanced(self.class_correct, self.class_total)

    @property
    def one_class(self) -> NDArray[np.bool_]:
        """At which lengths all sequences have the same class, bool (L,): there the length alone gives the answer."""
        return self.base_rate == 1

    @property
    def beyond(self) -> NDArray[np.bool_]:
        """Which lengths exceed those of the training, bool (L,)."""
        return self.lengths > (np.inf if self.trained_length is None else self.trained_length)

    @property
    def mean_accuracy(self) -> float:
        """The overall share classified correctly."""
        return float(self.correct.sum() / self.total.sum())

    @property
    def whole_accuracy(self) -> float:
        """The share of sequences that are right as a whole."""
        return float(self.whole.sum() / self.sequences.sum())

    @property
    def tried(self) -> str:
        """The counts in words, such as ``"200 sequences"`` or ``"2,100 steps of 200 sequences"``."""
        sequences = _checks.count_of(self.sequences.sum(), "sequence")
        return sequences if self.each == "sequence" else f"{_checks.count_of(self.total.sum(), 'step')} of {sequences}"

    def _independent(self, groups: Sequence[NDArray[np.bool_]] | None = None) -> NDArray[np.float64]:
        """Return the effective share of the counts in intervals, for each length or for groups of lengths."""
        # Kish's effective number of equal clusters, (sum of n)^2 / sum of n^2, for clusters of n steps.
        steps = self.total.astype(np.float64)
        squares = steps**2 / np.maximum(self.sequences, 1)
        if groups is not None:
            steps, squares = (np.array([each[chosen].sum() for chosen in groups]) for each in (steps, squares))
        return np.divide(steps, squares, out=np.ones_like(steps), where=squares > 0)

    def effective(self, lengths: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the effective numbers of right answers and of answers, for intervals, at some of the lengths."""
        place = np.searchsorted(self.lengths, lengths)
        share = self._independent()[place]
        return self.correct[place] * share, self.total[place] * share

    def __repr__(self) -> str:
        """Show the accuracy over all lengths, and for the shortest and the longest."""
        return (
            f"LengthReport({self.tried}, accuracy {self.mean_accuracy:.2%}: "
            f"{self.accuracy[0]:.1%} at length {self.lengths[0]}, {self.accuracy[-1]:.1%} at length {self.lengths[-1]})"
        )

    def joined(self, other: LengthReport) -> LengthReport:
        """Return one report for the sequences of this and another evaluation of the same model.

        Raises
        ------
        InvalidArgument
            When the other has different classes, or counts another unit.
        """
        if (self.class_names, self.each) != (other.class_names, other.each):
            raise InvalidArgument("reports with different classes cannot be joined")
        lengths = np.union1d(self.lengths, other.lengths)

        def summed(name: str) -> NDArray[np.int64]:
            sums = np.zeros((len(lengths), *getattr(self, name).shape[1:]), dtype=np.int64)
            for report in (self, other):
                sums[np.searchsorted(lengths, report.lengths)] += getattr(report, name)
            return sums

        names = ("total", "correct", "class_total", "class_correct", "not_finite", "sequences", "whole")
        counts: dict[str, Any] = {name: summed(name) for name in names}
        return replace(self, lengths=lengths, **counts)

    def groups(self) -> dict[str, NDArray[np.bool_]]:
        """Return groups of lengths by name, each bool (L,).

        They are ``"trained"`` (lengths up to the longest trained one) and ``"beyond"``, if both are known and not
        empty; ``"several classes"`` and ``"one class"`` (lengths at which all sequences have the same class), if there
        are lengths of both kinds; and ``"all"``.
        """
        named = {"trained": ~self.beyond, "beyond": self.beyond} if self.trained_length is not None else {}
        if self.one_class.any() and not self.one_class.all():
            named |= {"several classes": ~self.one_class, "one class": self.one_class}
        return some(named, len(self.lengths))

    def totals(self) -> dict[str, dict[str, Any]]:
        """Return the records of `rows` for each of the `groups`, with all sequences of a group counted together.

        The base rate of a group is the accuracy of always giving the most frequent class of the length.
        """
        groups = self.groups()
        columns = self._columns([name == "beyond" for name in groups], list(groups.values()))
        return dict(zip(groups, Table("", columns).rows(), strict=True))

    def numbers(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
        balance = ("base_rate", "balanced_accuracy") if self.class_names else ()
        every = self.totals()["all"]
        return {
            "chance": self.chance,
            **{name: every[name] for name in balance},
            "confidence": self.confidence,
            "accuracy_trained_lengths": self._share(~self.beyond),
            "accuracy_beyond": self._share(self.beyond),
            "lengths": self.rows(),
        }

    @classmethod
    def from_numbers(cls, given: Mapping[str, Any], longest: int | None) -> LengthReport:
        """Return the report that `numbers` has stored, checked, for the longest length of the training."""
        lengths, total, correct = _read(given, "total", "correct")
        chance = _checks.real("chance", given.get("chance"), minimum=0, below=1)
        report = cls(lengths, total, correct, chance, longest, read_confidence(given))
        first = given["lengths"][0]
        if names := tuple(key.removesuffix("_total") for key in first if key.endswith("_total")):
            columns = [_read(given, "total", f"{name}_{what}")[-1] for what in ("total", "correct") for name in names]
            class_total, class_correct = np.split(np.stack(columns, axis=1), 2, axis=1)
            report = replace(report, class_total=class_total, class_correct=class_correct, class_names=names)
        if "whole" in first:
            _, sequences, whole = _read(given, "sequences", "whole")
            report = replace(report, each="step", sequences=sequences, whole=whole)
        return report

    def _share(self, chosen: NDArray[np.bool_]) -> float | None:
        total = int(self.total[chosen].sum())
        return int(self.correct[chosen].sum()) / total if total else None

    def table(self, shortcuts: ShortcutReport | None = None) -> Table:
        """Return the accuracy, in all and for each true class; terminals show per cent.

        Its columns are ``length``, ``total``, ``correct``, ``accuracy``, ``low``, ``high``, ``beyond``, ``not_finite``,
        ``base_rate`` and ``balanced_accuracy`` (if classes are counted), and for each class name ``..._total``,
        ``..._correct``, ``..._accuracy``, ``..._low`` and ``..._high``; an undefined share is None. If steps are
        counted, there are also ``sequences``, ``whole`` and ``whole_accuracy``.

        Parameters
        ----------
        shortcuts : ShortcutReport, optional
            The accuracy of classifiers with less information, shown as rows below. They must have all lengths of the
            report.
        """
        keys = dict(zip(self._class_keys, self.class_names, strict=True))
        shown_keys = keys if len(keys) <= FEW_CLASSES else {}
        totals = self.totals()
        # Rows of totals have the columns of a length, and a name instead of the length.
        below: list[list[tuple[Row, str | None]]] = [
            [({**row, "length": name}, "yellow" if row["beyond"] else "bold") for name, row in totals.items()]
        ]
        if not shown_keys and keys:
            below.append([(_class_row(totals["all"], key, name), None) for key, name in keys.items()])
        if shortcuts is not None:
            below.append([(row, "dim") for row in _shortcut_rows(self.matching(shortcuts))])
        of_steps = (share("whole_accuracy", "whole"), integer("total", "steps"))
        return Table(
            f"Accuracy {'' if self.each == 'sequence' else 'of steps '}by length, % ({self.confidence:.0%} interval)",
            {"length": self.lengths, **self._columns(self.beyond)},
            (
                Shown("length", self._length_cell, is_number=False),
                share("accuracy", interval=ENDS),
                *((share("base_rate", "base rate"),) if keys else ()),
                *((share("balanced_accuracy", "balanced"),) if keys and not shown_keys else ()),
                *(share(f"{key}_accuracy", name, (f"{key}_low", f"{key}_high")) for key, name in shown_keys.items()),
                *((integer("total", "of"),) if self.each == "sequence" else of_steps),
            ),
            caption=self._lost_caption(),
            styles=["yellow" if beyond else None for beyond in self.beyond],
            below=below,
        )

    def compare(self, other: LengthReport, names: tuple[str, str] = ("first", "second")) -> Comparison:
        """Compare with the report of another model, or of the same model at another time.

        Parameters
        ----------
        other : LengthReport
            It must share some lengths with this one; all others are ignored.
        names : two strings
            The names of the two, this one first.

        Returns
        -------
        Comparison
            The differences, this one minus the other, and whether their intervals exclude zero.
        """
        if not isinstance(other, LengthReport):
            raise InvalidArgument(f"other must be a LengthReport, not {type(other).__name__}")
        if isinstance(names, str) or len(names) != 2 or not all(isinstance(name, str) for name in names):
            raise InvalidArgument(f"names must be two strings, not {names!r}")
        if names[0] == names[1]:
            raise InvalidArgument(f"names must differ, but both are {names[0]!r}")
        lengths = np.intersect1d(self.lengths, other.lengths)
        if not len(lengths):
            raise InvalidArgument("the two reports have no length in common: evaluate both on the same lengths")
        if self.each != other.each:
            raise InvalidArgument(f"one of the reports counts {self.each}s, the other {other.each}s")
        return Comparison(self, other, (names[0], names[1]), lengths)

    @property
    def _class_keys(self) -> tuple[str, ...]:
        """The names of the classes as used in column names."""
        keys = tuple(column_name(name) for name in self.class_names)
        distinct = len(set(keys)) == len(keys) and all(keys)
        return keys if distinct else tuple(f"class_{label}" for label in range(len(keys)))

    def _columns(self, beyond: Any, groups: Sequence[NDArray[np.bool_]] | None = None) -> dict[str, Any]:
        """Return the counts of every length, or of groups of lengths, and the columns derived from them."""

        def gathered(counts: NDArray[np.int64]) -> NDArray[np.int64]:
            found = counts if groups is None else np.array([counts[chosen].sum(axis=0) for chosen in groups])
            return found.astype(np.int64)

        independent = self._independent(groups)
        columns = counted(gathered(self.correct), gathered(self.total), self.confidence, independent=independent)
        columns |= {"beyond": beyond, "not_finite": gathered(self.not_finite)}
        if self.class_names:
            most = gathered(self.class_total.max(axis=1))
            balanced = _balanced(gathered(self.class_correct), gathered(self.class_total))
            columns |= {"base_rate": shares(most, columns["total"]), "balanced_accuracy": balanced}
        if self.each == "step":
            whole, sequences = gathered(self.whole), gathered(self.sequences)
            columns |= {"sequences": sequences, "whole": whole, "whole_accuracy": shares(whole, sequences)}
        by_class = zip(self._class_keys, gathered(self.class_correct).T, gathered(self.class_total).T, strict=True)
        for key, correct, total in by_class:
            columns |= counted(correct, total, self.confidence, f"{key}_", independent)
        return columns

    def _length_cell(self, row: Row) -> str:
        length = row["length"]
        if isinstance(length, str):
            return length
        return f"{length:>{len(str(self.lengths[-1]))}}" + (" beyond" if row["beyond"] else "")

    def _lost_caption(self) -> str | None:
        if not self.not_finite.any():
            return None
        shortest = int(self.lengths[self.not_finite > 0].min())
        lost, total = int(self.not_finite.sum()), int(self.total.sum())
        return f"counted as wrong: {lost_message(lost, total, shortest, self.each)}"

    def matching(self, shortcuts: ShortcutReport) -> ShortcutReport:
        """Return the shortcuts at the lengths of this report, all of which they must have."""
        if not isinstance(shortcuts, ShortcutReport):
            raise InvalidArgument(f"shortcuts must be a ShortcutReport, not {type(shortcuts).__name__}")
        missing = np.setdiff1d(self.lengths, shortcuts.lengths)
        if len(missing):
            raise InvalidArgument(
                f"the shortcuts lack length {missing[0]}, which the report has: "
                "estimate them with shortcuts(task, lengths=report.lengths)"
            )
        return shortcuts.only(self.lengths)


def _read(given: Mapping[str, Any], total: str, part: str) -> list[NDArray[np.int64]]:
    """Return the stored lengths, and the columns of a count and of the part of it that is right, or of a class."""
    columns = read_counts(given, ("length", total, part))
    if (columns[-1] > columns[-2]).any():
        raise InvalidArgument("'correct' must be 'total' at most")
    if not columns[-2].all():
        raise InvalidArgument("'total' must be 1 at least")
    return columns


def class_counts(lengths: NDArray[np.int64], classes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct lengths (L,) of answers (N,), and how many of each class there are at each, (L, K)."""
    distinct, place = np.unique(lengths, return_inverse=True)
    return distinct, pair_counts(place, classes, (len(distinct), int(classes.max(initial=0)) + 1))


def base_rate_of(class_total: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the shares of the most frequent of K classes, for counts (L, K); NaN if K is 0."""
    return shares(class_total.max(axis=1, initial=0), class_total.sum(axis=1))


def _balanced(correct: NDArray[np.int64], total: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean of the shares of K classes that occur, for counts (L, K); NaN if there are not two."""
    occur = total > 0
    sums = np.where(occur, shares(correct, total), 0.0).sum(axis=1)
    return np.where(occur.sum(axis=1) > 1, shares(sums, occur.sum(axis=1)), np.nan)


def _class_row(total: Row, key: str, name: str) -> dict[str, Any]:
    return {"length": f"of {name}", **{column: total[f"{key}_{column}"] for column in ("accuracy", *ENDS, "total")}}


def _shortcut_rows(shortcuts: ShortcutReport) -> list[dict[str, Any]]:
    rows = [{"length": name, **row} for name, row in shortcuts.totals().items()]
    return rows if shortcuts.bayes is None else [*rows, {"length": "Bayes rate", "accuracy": shortcuts.bayes}]
