"""What a test of a classifier found: every class, every mistake, accuracy by length and by probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.results import (
    ENDS,
    Counted,
    HasTable,
    Row,
    Shown,
    Table,
    counted,
    integer,
    is_lost,
    share,
    shares,
    text,
    warn_of_lost,
    wilson_interval,
)

# Of more classes the most frequent mistakes are shown instead of all.
MOST_CLASSES_IN_TABLE, MOST_MISTAKES = 10, 10


@dataclass(frozen=True, repr=False, eq=False)
class LengthBuckets(Counted, HasTable):
    """Accuracy for sequences of about the same length.

    Attributes
    ----------
    shortest, longest : ndarray, int64 (B,)
        The lengths in each bucket, rising.
    total, correct : ndarray, int64 (B,)
        How many sequences of each bucket there were, and how many were classified rightly.
    confidence : float
        The level of the intervals.
    """

    shortest: NDArray[np.int64]
    longest: NDArray[np.int64]
    total: NDArray[np.int64]
    correct: NDArray[np.int64]
    confidence: float = 0.95

    @property
    def names(self) -> tuple[str, ...]:
        """What the buckets are called: ``"4"`` or ``"5 to 9"``."""
        pairs = zip(self.shortest.tolist(), self.longest.tolist(), strict=True)
        return tuple(str(low) if low == high else f"{low} to {high}" for low, high in pairs)

    def __repr__(self) -> str:
        """Say the accuracy at the two ends."""
        first, last = self.accuracy[[0, -1]]
        return f"LengthBuckets({first:.1%} at length {self.names[0]}, {last:.1%} at length {self.names[-1]})"

    def table(self) -> Table:
        """Return the accuracies, a row for a bucket; a terminal shows per cent.

        Its columns are ``shortest``, ``longest``, ``total``, ``correct``, ``accuracy``, ``low`` and ``high``.
        """
        names = dict(zip(self.shortest.tolist(), self.names, strict=True))
        return Table(
            f"Accuracy by length, % ({self.confidence:.0%} interval)",
            {
                "shortest": self.shortest,
                "longest": self.longest,
                **counted(self.correct, self.total, self.confidence),
            },
            (
                Shown("length", lambda row: names[row["shortest"]], is_number=False),
                share("accuracy", interval=ENDS),
                integer("total", "of"),
            ),
        )

    def plot(self, ax: Any = None, *, chance: float | None = None) -> Any:
        """Draw the accuracies, and a line at `chance` where it is given, and return the matplotlib axes."""
        from myrnn import plots

        return plots.plot_accuracy_by_bucket(self, chance=chance, ax=ax)


def length_buckets(lengths: NDArray[np.int64], right: NDArray[np.bool_], most: int, confidence: float) -> LengthBuckets:
    """Count how often sequences are classified rightly, by their length.

    Parameters
    ----------
    lengths : ndarray, int64 (N,)
    right : ndarray, bool (N,)
    most : int
        How many buckets to make at most: one for each length, or else such that about as many sequences are in each.
    confidence : float
        The level of the intervals.
    """
    distinct = np.unique(lengths)
    longest = distinct
    if len(distinct) > most:
        longest = np.unique(np.quantile(lengths, np.arange(1, most + 1) / most, method="inverted_cdf"))
    place = np.searchsorted(longest, lengths)
    # A bucket begins at the shortest length that was tried, not where the bucket before ends.
    shortest = distinct[np.searchsorted(distinct, np.concatenate(([-1], longest[:-1])), side="right")]
    total = np.bincount(place, minlength=len(longest))
    correct = np.bincount(place, weights=right, minlength=len(longest)).astype(np.int64)
    return LengthBuckets(shortest, longest.astype(np.int64), total, correct, confidence)


@dataclass(frozen=True, repr=False, eq=False)
class Calibration(Counted, HasTable):
    """How often a classifier is right, by how sure it is: by the probability of the class that it predicts.

    Attributes
    ----------
    edges : ndarray, float64 (M + 1,)
        The ends of M bins of probabilities; a bin holds its upper end.
    total, correct : ndarray, int64 (M,)
        How many predictions were in each bin, and how many of them right.
    mean_probability : ndarray, float64 (M,)
        The mean of the probabilities in each bin; NaN where there is none.
    confidence : float
        The level of the intervals.
    """

    edges: NDArray[np.float64]
    total: NDArray[np.int64]
    correct: NDArray[np.int64]
    mean_probability: NDArray[np.float64]
    confidence: float = 0.95

    @property
    def expected_error(self) -> float:
        """The expected calibration error: how far accuracy and mean probability lie apart, in the mean of all.

        It is NaN where nothing was predicted.

        References
        ----------
        Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017.
        """
        filled = self.total > 0
        if not filled.any():
            return float("nan")
        apart = np.abs(self.accuracy[filled] - self.mean_probability[filled])
        return float(np.average(apart, weights=self.total[filled]))

    @property
    def excess(self) -> float:
        """The mean probability less the accuracy: above 0 for a classifier that is too sure of itself."""
        filled = self.total > 0
        if not filled.any():
            return float("nan")
        mean = np.average(self.mean_probability[filled], weights=self.total[filled])
        return float(mean - self.correct.sum() / self.total.sum())

    def __repr__(self) -> str:
        """Say the expected calibration error."""
        count = _checks.count_of(self.total.sum(), "prediction")
        return f"Calibration({count}, expected calibration error {self.expected_error:.2%})"

    def numbers(self) -> dict[str, Any]:
        """Return everything as plain values."""
        found = {"expected_error": self.expected_error, "excess": self.excess}
        numbers = {name: None if np.isnan(value) else value for name, value in found.items()}
        return {**numbers, "bins": self.rows()}

    def data(self) -> Table:
        """Return a row for every bin.

        Its columns are ``above``, ``up_to``, ``total``, ``correct``, ``mean_probability``, ``accuracy``, ``low`` and
        ``high``; a share of nothing is None.
        """
        return self._table(np.arange(len(self.total)))

    def table(self) -> Table:
        """Return the bins that hold predictions; a terminal shows per cent."""
        return self._table(np.flatnonzero(self.total))

    def _table(self, bins: NDArray[np.int64]) -> Table:
        counts = counted(self.correct[bins], self.total[bins], self.confidence)
        columns = {
            "above": self.edges[bins],
            "up_to": self.edges[bins + 1],
            "total": counts.pop("total"),
            "correct": counts.pop("correct"),
            "mean_probability": self.mean_probability[bins],
            **counts,
        }
        return Table(
            f"Accuracy by probability, % ({self.confidence:.0%} interval)",
            columns,
            (
                Shown("probability", lambda row: f"{100 * row['above']:.0f} to {100 * row['up_to']:.0f}", False),
                share("mean_probability", "in the mean"),
                share("accuracy", interval=ENDS),
                integer("total", "of"),
            ),
            caption=f"expected calibration error {self.expected_error:.2%}",
        )

    def plot(self, ax: Any = None) -> Any:
        """Draw accuracy against probability, and return the matplotlib axes."""
        from myrnn import plots

        return plots.plot_calibration(self, ax=ax)


def calibration(
    probability: NDArray[np.float64], right: NDArray[np.bool_], bins: int, confidence: float
) -> Calibration:
    """Count how often predictions of these probabilities are right.

    Parameters
    ----------
    probability : ndarray, float64 (N,)
        Of the classes that were predicted.
    right : ndarray, bool (N,)
    bins : int
        M, of equal width.
    confidence : float
        The level of the intervals.
    """
    edges = np.linspace(0, 1, bins + 1)
    # The bin (a, b] of each probability; rounding may put one a hair above 1, and 0 belongs to the first bin.
    place = np.clip(np.searchsorted(edges, probability, side="left") - 1, 0, bins - 1)
    total = np.bincount(place, minlength=bins)
    return Calibration(
        edges,
        total,
        np.bincount(place, weights=right, minlength=bins).astype(np.int64),
        shares(np.bincount(place, weights=probability, minlength=bins), total),
        confidence,
    )


@dataclass(frozen=True, repr=False, eq=False)
class ClassificationReport(HasTable):
    """How well a classifier does on labelled sequences.

    Attributes
    ----------
    classes : tuple of str
        The K classes: those that the classifier knows, and those that only the labels have.
    unseen : tuple of str
        Which of them the classifier does not know, so that it can never be right about them.
    confusion : ndarray, int64 (K, K)
        How many sequences of the class of the row were seen as of the class of the column.
    not_finite : ndarray, int64 (K,)
        How many sequences of each class have logits that are not finite. They count in `total`, as wrong.
    shortest_not_finite : int or None
        The length of the shortest of these.
    lengths : LengthBuckets
        Accuracy by length.
    calibration : Calibration
        Accuracy by the probability of what was predicted, where something was.
    confidence : float
        The level of the intervals.
    """

    classes: tuple[str, ...]
    unseen: tuple[str, ...]
    confusion: NDArray[np.int64]
    not_finite: NDArray[np.int64]
    shortest_not_finite: int | None
    lengths: LengthBuckets
    calibration: Calibration
    confidence: float = 0.95

    @property
    def total(self) -> NDArray[np.int64]:
        """How many sequences of each class there were, int64 (K,)."""
        total: NDArray[np.int64] = self.confusion.sum(axis=1) + self.not_finite
        return total

    @property
    def accuracy(self) -> float:
        """The share of all sequences that was classified rightly."""
        return float(np.trace(self.confusion) / self.total.sum())

    @property
    def interval(self) -> NDArray[np.float64]:
        """The Wilson interval of the accuracy, float64 (2,)."""
        return wilson_interval(np.trace(self.confusion), self.total.sum(), self.confidence)

    @property
    def majority(self) -> float:
        """The accuracy of a classifier that always says the most frequent class."""
        return float(self.total.max() / self.total.sum())

    @property
    def recall(self) -> NDArray[np.float64]:
        """The share of each class that was seen as it, float64 (K,); NaN where there was none."""
        return shares(np.diag(self.confusion), self.total)

    @property
    def precision(self) -> NDArray[np.float64]:
        """The share of what was seen as each class that was of it, float64 (K,); NaN where there was none."""
        return shares(np.diag(self.confusion), self.confusion.sum(axis=0))

    @property
    def f1(self) -> NDArray[np.float64]:
        """The harmonic mean of precision and recall, float64 (K,); NaN for a class neither there nor predicted."""
        return shares(2 * np.diag(self.confusion), self.total + self.confusion.sum(axis=0))

    @property
    def balanced_accuracy(self) -> float:
        """The mean recall of the classes that were there."""
        return float(np.nanmean(self.recall))

    @property
    def macro_f1(self) -> float:
        """The mean F1 of the classes that were there or were predicted."""
        return float(np.nanmean(self.f1))

    def __repr__(self) -> str:
        """Say the accuracy and its interval."""
        low, high = self.interval
        return (
            f"ClassificationReport({_checks.count_of(self.total.sum(), 'sequence')}, accuracy {self.accuracy:.2%} "
            f"({low:.2%} to {high:.2%}), macro F1 {self.macro_f1:.3f})"
        )

    def numbers(self) -> dict[str, Any]:
        """Return everything as plain values, as a file of JSON has them."""
        low, high = self.interval
        return {
            "sequences": int(self.total.sum()),
            "not_finite": int(self.not_finite.sum()),
            "shortest_not_finite": self.shortest_not_finite,
            "accuracy": self.accuracy,
            "low": float(low),
            "high": float(high),
            "confidence": self.confidence,
            "balanced_accuracy": self.balanced_accuracy,
            "macro_f1": self.macro_f1,
            "majority": self.majority,
            "unseen": list(self.unseen),
            "classes": self.rows(),
            "confusion": {"classes": list(self.classes), "counts": self.confusion.tolist()},
            "lengths": self.lengths.rows(),
            "calibration": self.calibration.numbers(),
        }

    def table(self) -> Table:
        """Return precision, recall and F1 of every class; a terminal shows per cent.

        Its columns are ``class``, ``total``, ``precision``, ``recall``, ``low``, ``high`` (the interval of the recall)
        and ``f1``; a share of nothing is None.
        """
        low, high = wilson_interval(np.diag(self.confusion), self.total, self.confidence).T

        def of(row: Row) -> str:
            return f"{row['total']:,}" + (" unseen in training" if row["class"] in self.unseen else "")

        return Table(
            f"Classes, % ({self.confidence:.0%} interval)",
            {
                "class": self.classes,
                "total": self.total,
                "precision": self.precision,
                "recall": self.recall,
                "low": low,
                "high": high,
                "f1": self.f1,
            },
            (text("class"), share("precision"), share("recall", interval=ENDS), share("f1", "F1"), Shown("of", of)),
        )

    def confusion_table(self) -> Table:
        """Return how often each class is seen as which: of many classes the most frequent mistakes."""
        if len(self.classes) > MOST_CLASSES_IN_TABLE:
            return self._mistakes_table()
        seen_as = {f"seen as {name}": counts for name, counts in zip(self.classes, self.confusion.T, strict=True)}
        shown = (_count(f"seen as {name}", name) for name in self.classes)
        return Table("Seen as", {"class": self.classes, **seen_as}, (text("class"), *shown))

    def plot_confusion(self, ax: Any = None) -> Any:
        """Draw how often each class is seen as which, and return the matplotlib axes."""
        from myrnn import plots

        return plots.plot_confusion(self, ax=ax)

    def plot_lengths(self, ax: Any = None) -> Any:
        """Draw accuracy by length beside that of always saying the most frequent class, and return the axes."""
        return self.lengths.plot(ax, chance=self.majority)

    def plot_calibration(self, ax: Any = None) -> Any:
        """Draw accuracy against probability, and return the matplotlib axes."""
        return self.calibration.plot(ax)

    def _mistakes_table(self) -> Table:
        wrong = self.confusion - np.diag(np.diag(self.confusion))
        order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_MISTAKES]
        rows, columns = np.unravel_index(order[wrong.ravel()[order] > 0], wrong.shape)
        return Table(
            "Most frequent mistakes",
            {
                "class": [self.classes[row] for row in rows],
                "seen_as": [self.classes[column] for column in columns],
                "times": wrong[rows, columns],
                "of": self.total[rows],
            },
            (text("class"), text("seen_as", "seen as", is_number=True), integer("times"), integer("of")),
        )


def _count(name: str, heading: str) -> Shown:
    return Shown(heading, lambda row: f"{row[name]:,}" if row[name] else "·")


def classification_report(
    truth: ArrayLike,
    probabilities: ArrayLike,
    classes: ArrayLike,
    lengths: ArrayLike,
    *,
    bins: int = 10,
    buckets: int = 8,
    confidence: float = 0.95,
) -> ClassificationReport:
    """Compare what a classifier says of sequences with what they are.

    Parameters
    ----------
    truth : array_like (N,)
        The labels of the sequences; those that are none of `classes` count as mistakes.
    probabilities : array_like (N, K)
        As `SequenceClassifier.predict_proba` returns them. The class of the largest is predicted. A row of NaN stands
        for a sequence whose logits are not finite: it counts as wrong, and a warning says how many there are.
    classes : array_like (K,)
        The labels that the columns are of, as in `SequenceClassifier.classes_`.
    lengths : array_like of int (N,)
        T of every sequence.
    bins : int
        Into how many bins of equal width to part the probabilities.
    buckets : int
        Into how many buckets to part the lengths at most.
    confidence : float
        The level of the intervals.

    Returns
    -------
    ClassificationReport

    Raises
    ------
    InvalidArgument
        When the arrays do not fit together, hold no sequence, or the probabilities are none.

    Examples
    --------
    >>> report = classification_report(["a", "b", "b"], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], ["a", "b"], [3, 5, 5])
    >>> report.confusion.tolist(), round(report.balanced_accuracy, 3), report.lengths.accuracy.tolist()
    ([[1, 0], [1, 1]], 0.75, [1.0, 0.5])
    """
    names, known_names = _names("truth", truth), _names("classes", classes)
    shares_given = _probabilities(probabilities, len(names), len(known_names))
    steps = _checks.integers("lengths", lengths, minimum=0, maximum=2**62).astype(np.int64)
    if len(steps) != len(names):
        raise InvalidArgument(f"lengths must be one for each of the {len(names)} labels, not {len(steps)}")
    level = _checks.real("confidence", confidence, above=0, below=1)
    lost = is_lost(shares_given)
    warn_of_lost(lost, steps)
    predicted = known_names[np.argmax(shares_given, axis=1)]
    right = (predicted == names) & ~lost
    all_names = _in_order(set(names.tolist()) | set(known_names.tolist()))
    count_bins, most = _checks.integer("bins", bins, minimum=1), _checks.integer("buckets", buckets, minimum=1)
    return ClassificationReport(
        tuple(all_names),
        tuple(_in_order(set(names.tolist()) - set(known_names.tolist()))),
        _counted(names[~lost], predicted[~lost], all_names),
        np.array([np.sum(names[lost] == name) for name in all_names], dtype=np.int64),
        int(steps[lost].min()) if lost.any() else None,
        length_buckets(steps, right, most, level),
        calibration(shares_given[~lost].max(axis=1), right[~lost], count_bins, level),
        level,
    )


def _names(name: str, given: ArrayLike) -> NDArray[np.str_]:
    """Return labels as text."""
    labels = _checks.array(name, given)
    if labels.ndim != 1 or not len(labels) or labels.dtype.kind not in "biufUO":
        raise InvalidArgument(
            f"{name} must be at least one label in a list, not {labels.dtype} of shape {labels.shape}"
        )
    return labels.astype(np.str_)


def _probabilities(given: ArrayLike, count: int, classes: int) -> NDArray[np.float64]:
    values = _checks.array("probabilities", given)
    if values.shape != (count, classes) or values.dtype.kind not in "biuf":
        raise InvalidArgument(
            f"probabilities must be numbers of shape {(count, classes)}, a row a label and a column a class, "
            f"not {values.dtype} of shape {values.shape}"
        )
    if not np.all(((values >= -1e-6) & (values <= 1 + 1e-6)) | np.isnan(values).all(axis=1, keepdims=True)):
        raise InvalidArgument("probabilities must lie between 0 and 1, or a row must be all NaN")
    return values.astype(np.float64)


def _in_order(names: set[str]) -> list[str]:
    """Return names in the order of the alphabet, and whole numbers in their own."""
    whole = all(name.removeprefix("-").isascii() and name.removeprefix("-").isdigit() for name in names)
    return sorted(names, key=lambda name: (int(name), name)) if whole else sorted(names)


def _counted(truth: NDArray[np.str_], predicted: NDArray[np.str_], names: list[str]) -> NDArray[np.int64]:
    place = {name: index for index, name in enumerate(names)}
    rows = np.array([place[name] for name in truth.tolist()], dtype=np.int64)
    columns = np.array([place[name] for name in predicted.tolist()], dtype=np.int64)
    size = len(names)
    return np.bincount(rows * size + columns, minlength=size * size).reshape(size, size)
