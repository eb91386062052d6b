"""What a test of a classifier found: every class, every mistake, by length and by probability."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from rich.table import Table

from myrnn import _checks
from myrnn._logits import is_lost, warn_of_lost
from myrnn._tables import ShownAsTable, known, new_table, per_cent, write_csv
from myrnn.errors import InvalidArgument
from myrnn.evaluation._buckets import LengthBuckets, length_buckets
from myrnn.evaluation._calibration import Calibration, calibration
from myrnn.results import shares, wilson_interval

# Of more classes the most frequent mistakes are shown instead of all.
MOST_CLASSES_IN_TABLE, MOST_MISTAKES = 10, 10


@dataclass(frozen=True, repr=False, eq=False)
class ClassificationReport(ShownAsTable):
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
            f"ClassificationReport({self.total.sum():,} sequences, accuracy {self.accuracy:.2%} "
            f"({low:.2%} to {high:.2%}), macro F1 {self.macro_f1:.3f})"
        )

    def rows(self) -> list[dict[str, Any]]:
        """Return one plain record a class.

        Its keys are ``class``, ``total``, ``precision``, ``recall``, ``low``, ``high`` (the interval of the recall)
        and ``f1``; a share of nothing is None.
        """
        ends = wilson_interval(np.diag(self.confusion), self.total, self.confidence)
        return [
            {
                "class": name,
                "total": int(self.total[place]),
                "precision": known(float(self.precision[place])),
                "recall": known(float(self.recall[place])),
                "low": float(ends[place, 0]),
                "high": float(ends[place, 1]),
                "f1": known(float(self.f1[place])),
            }
            for place, name in enumerate(self.classes)
        ]

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

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the records of the classes as CSV."""
        write_csv(self.rows(), path)

    def table(self) -> Table:
        """Return precision, recall and F1 of every class as a Rich table, in per cent."""
        title = f"Classes, % ({self.confidence:.0%} interval)"
        table = new_table(title, "class", "precision", "recall", "F1", "of")
        for row in self.rows():
            recall = per_cent(_share(row["recall"]), (row["low"], row["high"]))
            told = f"{row['total']:,}" + (" unseen in training" if row["class"] in self.unseen else "")
            table.add_row(row["class"], per_cent(_share(row["precision"])), recall, per_cent(_share(row["f1"])), told)
        return table

    def confusion_table(self) -> Table:
        """Return how often each class is seen as which, as a Rich table: of many classes the most frequent mistakes."""
        if len(self.classes) > MOST_CLASSES_IN_TABLE:
            return self._mistakes_table()
        table = new_table("Seen as", "class", *self.classes)
        for name, counts in zip(self.classes, self.confusion, strict=True):
            table.add_row(name, *(f"{count:,}" if count else "·" for count in counts))
        return table

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
        table = new_table("Most frequent mistakes", "class", "seen as", "times", "of")
        for place in order[wrong.ravel()[order] > 0]:
            row, column = divmod(int(place), len(self.classes))
            table.add_row(self.classes[row], self.classes[column], f"{wrong[row, column]:,}", f"{self.total[row]:,}")
        return table


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


def _share(value: float | None) -> float:
    return float("nan") if value is None else value
