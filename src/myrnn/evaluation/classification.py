"""Results of a test of a classifier: every class, every mistake, accuracy by length and by probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.evaluation.buckets import LengthBuckets, length_buckets
from myrnn.evaluation.classes import HasConfusion, checked_probabilities, confusion_of, labels_of
from myrnn.results import (
    ENDS,
    NO_CLASS,
    Counted,
    HasTable,
    Shown,
    Table,
    counted,
    integer,
    is_lost,
    share,
    shares,
    warn_of_lost,
    wilson_interval,
)


@dataclass(frozen=True, repr=False, eq=False)
class Calibration(Counted, HasTable):
    """The accuracy of a classifier by its confidence, the probability of the class that it predicts.

    Attributes
    ----------
    edges : ndarray, float64 (M + 1,)
        The ends of M bins of probabilities; a bin includes its upper end.
    total, correct : ndarray, int64 (M,)
        The number of predictions in each bin, and of the correct ones.
    mean_probability : ndarray, float64 (M,)
        The mean of the probabilities in each bin; NaN in an empty bin.
    confidence : float
        The level of the intervals.

    Examples
    --------
    >>> from myrnn.evaluation import classification_report
    >>> probabilities = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]
    >>> calibration = classification_report(["a", "b", "b"], probabilities, ["a", "b"], [3, 5, 5], bins=2).calibration
    >>> calibration
    Calibration(3 predictions, expected calibration error 10.00%)
    >>> calibration.total, calibration.accuracy.round(3), calibration.mean_probability.round(3)
    (array([0, 3]), array([  nan, 0.667]), array([  nan, 0.767]))
    >>> round(calibration.excess, 3)
    0.1
    """

    edges: NDArray[np.float64]
    total: NDArray[np.int64]
    correct: NDArray[np.int64]
    mean_probability: NDArray[np.float64]
    confidence: float = 0.95

    @property
    def expected_error(self) -> float:
        """The expected calibration error: the mean distance between accuracy and mean probability.

        It is NaN without predictions.

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
        """The mean probability minus the accuracy: above 0 for an overconfident classifier."""
        filled = self.total > 0
        if not filled.any():
            return float("nan")
        mean = np.average(self.mean_probability[filled], weights=self.total[filled])
        return float(mean - self.correct.sum() / self.total.sum())

    def __repr__(self) -> str:
        """Show the expected calibration error."""
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
        ``high``; an undefined share is None.
        """
        return self._table(np.arange(len(self.total)))

    def table(self) -> Table:
        """Return the bins that have predictions; terminals show per cent."""
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
                share("mean_probability", "mean probability"),
                share("accuracy", interval=ENDS),
                integer("total", "of"),
            ),
            caption=f"expected calibration error {self.expected_error:.2%}",
        )

    def plot(self, ax: Any = None) -> Any:
        """Draw accuracy against probability, and return the Matplotlib axes."""
        from myrnn import plots

        return plots.plot_calibration(self, ax=ax)


def calibration(
    probability: NDArray[np.float64], right: NDArray[np.bool_], bins: int, confidence: float
) -> Calibration:
    """Count correct predictions by their probability.

    Parameters
    ----------
    probability : ndarray, float64 (N,)
        The probabilities of the predicted classes.
    right : ndarray, bool (N,)
    bins : int
        M, bins of equal width.
    confidence : float
        The level of the intervals.
    """
    edges = np.linspace(0, 1, bins + 1)
    # The bin (a, b] of each probability; rounding may put one just above 1, and 0 belongs to the first bin.
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
class ClassificationReport(HasConfusion, HasTable):
    """The scores of a classifier on labelled sequences.

    Attributes
    ----------
    classes : tuple of str
        The K classes: those that the classifier knows, and those that only occur in the labels.
    unseen : tuple of str
        The classes that the classifier does not know and therefore never predicts.
    confusion : ndarray, int64 (K, K)
        The number of sequences whose true class is the row and whose predicted class is the column.
    not_finite : ndarray, int64 (K,)
        The number of sequences of each class with logits that are not finite. They count in `total`, as wrong.
    shortest_not_finite : int or None
        The length of the shortest of these.
    lengths : LengthBuckets
        Accuracy by length.
    calibration : Calibration
        Accuracy by the probability of the predicted class, for sequences with a prediction.
    confidence : float
        The level of the intervals.

    Examples
    --------
    >>> from myrnn.evaluation import classification_report
    >>> report = classification_report(["a", "b", "b"], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], ["a", "b"], [3, 5, 5])
    >>> report
    ClassificationReport(3 sequences, accuracy 66.67% (20.77% to 93.85%), macro F1 0.667)
    >>> report.recall, report.f1.round(3), round(report.majority, 3)
    (array([1. , 0.5]), array([0.667, 0.667]), 0.667)
    >>> report.lengths
    LengthBuckets(100.0% at length 3, 50.0% at length 5)
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
    def interval(self) -> NDArray[np.float64]:
        """The Wilson interval of the accuracy, float64 (2,)."""
        return wilson_interval(np.trace(self.confusion), self.total.sum(), self.confidence)

    def __repr__(self) -> str:
        """Show the accuracy and its interval."""
        low, high = self.interval
        return (
            f"ClassificationReport({_checks.count_of(self.total.sum(), 'sequence')}, accuracy {self.accuracy:.2%} "
            f"({low:.2%} to {high:.2%}), macro F1 {self.macro_f1:.3f})"
        )

    def numbers(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
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
        """Return precision, recall and F1 of every class, as `class_table` does."""
        return self.class_table()

    def plot_lengths(self, ax: Any = None) -> Any:
        """Draw accuracy by length, with the accuracy of the most frequent class, and return the axes."""
        return self.lengths.plot(ax, chance=self.majority)

    def plot_calibration(self, ax: Any = None) -> Any:
        """Draw accuracy against probability, and return the Matplotlib axes."""
        return self.calibration.plot(ax)


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
    """Compare the predictions of a classifier with the true labels.

    Parameters
    ----------
    truth : array_like (N,)
        The labels of the sequences; labels that are not in `classes` count as mistakes.
    probabilities : array_like (N, K)
        As returned by `SequenceClassifier.predict_proba`. The class of the largest is predicted. A row of NaN is a
        sequence whose logits are not finite: it counts as wrong, and a warning says how many there are.
    classes : array_like (K,)
        The labels of the columns, as in `SequenceClassifier.classes_`.
    lengths : array_like of int (N,)
        T of every sequence.
    bins : int
        The number of bins of equal width for the probabilities.
    buckets : int
        The maximum number of buckets for the lengths.
    confidence : float
        The level of the intervals.

    Returns
    -------
    ClassificationReport

    Raises
    ------
    InvalidArgument
        When the arrays do not fit together or hold no sequence, or the probabilities are invalid.

    Examples
    --------
    >>> report = classification_report(["a", "b", "b"], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], ["a", "b"], [3, 5, 5])
    >>> report.confusion.tolist(), round(report.balanced_accuracy, 3), report.lengths.accuracy.tolist()
    ([[1, 0], [1, 1]], 0.75, [1.0, 0.5])
    """
    labels = labels_of("truth", truth, classes)
    count = len(labels.truth)
    shares_given = checked_probabilities(probabilities, count, len(labels.columns)).astype(np.float64)
    steps = _checks.integers("lengths", lengths, minimum=0, maximum=2**62).astype(np.int64)
    if len(steps) != count:
        raise InvalidArgument(f"lengths must be one for each of the {count} labels, not {len(steps)}")
    level = _checks.real("confidence", confidence, above=0, below=1)
    lost = is_lost(shares_given)
    warn_of_lost(lost, steps)
    predicted = np.where(lost, NO_CLASS, labels.columns[np.argmax(shares_given, axis=1)])
    right = predicted == labels.truth
    count_bins, most = _checks.integer("bins", bins, minimum=1), _checks.integer("buckets", buckets, minimum=1)
    confusion, not_finite = confusion_of(labels.truth, predicted, len(labels.names))
    return ClassificationReport(
        labels.names,
        labels.unseen,
        confusion,
        not_finite,
        int(steps[lost].min()) if lost.any() else None,
        length_buckets(steps, right, most, level),
        calibration(shares_given[~lost].max(axis=1), right[~lost], count_bins, level),
        level,
    )
