"""Rates of classes: precision, recall and F1 of each, and the confusion of classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.finite import NO_CLASS, is_lost
from myrnn.intervals import shares, wilson_interval
from myrnn.results import ENDS, Floats, Result, Row, Shown, Table, integer, pair_counts, share, text

# With more classes, show the most frequent mistakes instead of the whole matrix.
MOST_CLASSES_IN_TABLE, MOST_MISTAKES = 10, 10
# The largest error that rounding causes in a probability or the sum of a row.
_ROUNDING, ROUNDING_OF_SUM = 1e-6, 1e-3


@dataclass(frozen=True, repr=False, eq=False)
class Confusion(Result):
    """How often each class was predicted as which, for sequences or steps.

    Attributes
    ----------
    classes, unseen : tuple of str
        All K classes, and those of them that the model does not know and therefore never predicts.
    counts : ndarray, int64 (K, K)
        The number of cases whose true class is the row and whose predicted class is the column.
    not_finite : ndarray, int64 (K,)
        The number of cases of each class with outputs that are not finite. They count in `total`, as wrong.
    recall_interval : ndarray, float64 (K, 2)
        The interval of each recall.
    confidence : float
        The level of the intervals.

    Examples
    --------
    >>> from myrnn.evaluation import classification_report
    >>> confusion = classification_report(
    ...     ["a", "b", "b"], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], ["a", "b"], [3, 5, 5]
    ... ).confusion
    >>> confusion
    Confusion(3 cases of 2 classes, 66.67% right, macro F1 0.667)
    >>> confusion.counts.tolist(), confusion.recall, confusion.f1.round(3), round(confusion.majority, 3)
    ([[1, 0], [1, 1]], array([1. , 0.5]), array([0.667, 0.667]), 0.667)
    """

    classes: tuple[str, ...]
    unseen: tuple[str, ...]
    counts: NDArray[np.int64]
    not_finite: NDArray[np.int64]
    recall_interval: Floats
    confidence: float = 0.95

    @property
    def total(self) -> NDArray[np.int64]:
        """The number of cases of each class, int64 (K,)."""
        total: NDArray[np.int64] = self.counts.sum(axis=1) + self.not_finite
        return total

    @property
    def accuracy(self) -> float:
        """The share of all cases classified correctly."""
        return float(np.trace(self.counts) / self.total.sum())

    @property
    def majority(self) -> float:
        """The accuracy of always predicting the most frequent class."""
        return float(self.total.max() / self.total.sum())

    @property
    def recall(self) -> Floats:
        """The share of each class that is predicted as this class, float64 (K,); NaN for an absent class."""
        return shares(np.diag(self.counts), self.total)

    @property
    def precision(self) -> Floats:
        """The share of predictions of each class that are correct, float64 (K,); NaN without predictions."""
        return shares(np.diag(self.counts), self.counts.sum(axis=0))

    @property
    def f1(self) -> Floats:
        """The harmonic mean of precision and recall, float64 (K,); NaN for a class neither present nor predicted."""
        return shares(2 * np.diag(self.counts), self.total + self.counts.sum(axis=0))

    @property
    def balanced_accuracy(self) -> float:
        """The mean recall of the classes that are present."""
        return float(np.nanmean(self.recall))

    @property
    def macro_f1(self) -> float:
        """The mean F1 of the classes that are present or predicted."""
        return float(np.nanmean(self.f1))

    def __repr__(self) -> str:
        """Show how many cases are right."""
        cases, classes = _checks.count_of(self.total.sum(), "case"), _checks.count_of(len(self.classes), "class")
        return f"Confusion({cases} of {classes}, {self.accuracy:.2%} right, macro F1 {self.macro_f1:.3f})"

    def numbers(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "balanced_accuracy": self.balanced_accuracy,
            "macro_f1": self.macro_f1,
            "majority": self.majority,
            "unseen": list(self.unseen),
            "classes": self.rows(),
            "confusion": {"classes": list(self.classes), "counts": self.counts.tolist()},
        }

    def table(self) -> Table:
        """Return precision, recall and F1 of every class; terminals show per cent.

        Its columns are ``class``, ``total``, ``precision``, ``recall``, ``low``, ``high`` (the interval of the recall)
        and ``f1``; an undefined share is None.
        """

        def of(row: Row) -> str:
            return f"{row['total']:,}" + (" unseen in training" if row["class"] in self.unseen else "")

        return Table(
            f"Classes, % ({self.confidence:.0%} interval)",
            {
                "class": self.classes,
                "total": self.total,
                "precision": self.precision,
                "recall": self.recall,
                "low": self.recall_interval[:, 0],
                "high": self.recall_interval[:, 1],
                "f1": self.f1,
            },
            (text("class"), share("precision"), share("recall", interval=ENDS), share("f1", "F1"), Shown("of", of)),
        )

    def matrix(self) -> Table:
        """Return the confusion matrix, or with many classes the most frequent mistakes."""
        if len(self.classes) > MOST_CLASSES_IN_TABLE:
            return self._mistakes()
        seen_as = {f"seen as {name}": counts for name, counts in zip(self.classes, self.counts.T, strict=True)}
        shown = (_count(f"seen as {name}", name) for name in self.classes)
        return Table("Seen as", {"class": self.classes, **seen_as}, (text("class"), *shown))

    def _mistakes(self) -> Table:
        wrong = self.counts - np.diag(np.diag(self.counts))
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


# --- Labels -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Labels:
    """Labels encoded as class numbers."""

    names: tuple[str, ...]  # the K classes in order
    unseen: tuple[str, ...]  # those of them that the model does not know
    truth: NDArray[np.int64]  # the class of every label
    columns: NDArray[np.int64]  # the class of every column of the probabilities

    @classmethod
    def of(cls, name: str, truth: ArrayLike, classes: ArrayLike) -> Labels:
        """Encode labels, and the classes that the model knows, both text or numbers."""
        (names, truth_places), (known, columns) = _distinct(name, truth), _distinct("classes", classes)
        everything = _in_order({*names, *known})
        place = {one: index for index, one in enumerate(everything)}
        codes, known_codes = (np.array([place[one] for one in some], dtype=np.int64) for some in (names, known))
        unseen = tuple(_in_order(set(names) - set(known)))
        return cls(tuple(everything), unseen, codes[truth_places], known_codes[columns])

    def predicted(self, probabilities: NDArray[Any]) -> NDArray[np.int64]:
        """Return the class of the largest probability of each row, int64 (N,); `NO_CLASS` for a row of NaN."""
        return np.where(is_lost(probabilities), NO_CLASS, self.columns[np.argmax(probabilities, axis=1)])

    def confusion(
        self, predicted: NDArray[np.int64], confidence: float, recall_interval: Floats | None = None
    ) -> Confusion:
        """Count the predicted classes; the intervals of the recalls are by default those of independent cases."""
        counts, lost = confusion_counts(self.truth, predicted, len(self.names))
        if recall_interval is None:
            recall_interval = wilson_interval(np.diag(counts), counts.sum(axis=1) + lost, confidence)
        return Confusion(self.names, self.unseen, counts, lost, recall_interval, confidence)


def confusion_counts(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the confusion matrix, int64 (K, K), and the cases of each class without a prediction (a negative one)."""
    lost = predicted < 0
    return pair_counts(truth[~lost], predicted[~lost], (classes, classes)), np.bincount(truth[lost], minlength=classes)


def _distinct(name: str, given: ArrayLike) -> tuple[list[str], NDArray[np.int64]]:
    """Return the distinct labels as text, and the index of each label among them."""
    labels = _checks.array(name, given)
    if labels.ndim != 1 or not len(labels) or labels.dtype.kind not in "biufUO":
        raise InvalidArgument(
            f"{name} must be at least one label in a list, not {labels.dtype} of shape {labels.shape}"
        )
    if labels.dtype.kind in "biuf":
        distinct, places = np.unique(labels, return_inverse=True)
        return distinct.astype(np.str_).tolist(), places.reshape(-1)
    listed = labels.astype(np.str_).tolist()
    place = {one: index for index, one in enumerate(dict.fromkeys(listed))}
    return list(place), np.array([place[one] for one in listed], dtype=np.int64)


def _in_order(names: set[str]) -> list[str]:
    """Return names in alphabetical order, and whole numbers in numerical order."""
    whole = all(name.removeprefix("-").isascii() and name.removeprefix("-").isdigit() for name in names)
    return sorted(names, key=lambda name: (int(name), name)) if whole else sorted(names)


def checked_probabilities(given: ArrayLike, count: int, classes: int | None, each: str = "label") -> NDArray[Any]:
    """Return probabilities (N, K) in their own dtype, K of any size without `classes`; lost rows are all NaN."""
    values = _checks.array("probabilities", given)
    columns = classes if classes is not None or values.ndim != 2 else values.shape[1]
    if values.shape != (count, columns) or not columns or values.dtype.kind not in "biuf":
        wanted = f"({count}, {'K' if columns is None else max(columns, 1)})"
        raise InvalidArgument(
            f"probabilities must be numbers of shape {wanted}, a row per {each} and a column per class, "
            f"not {values.dtype} of shape {values.shape}"
        )
    # Most arrays have no NaN: then minimum and maximum prove them valid.
    if not (values.min() >= -_ROUNDING and values.max() <= 1 + _ROUNDING):
        within = (values >= -_ROUNDING) & (values <= 1 + _ROUNDING)
        if not np.all(within | np.isnan(values).all(axis=1, keepdims=True)):
            raise InvalidArgument("probabilities must lie between 0 and 1, or a row must be all NaN")
    return values


def check_sums(probabilities: NDArray[Any], lost: NDArray[np.bool_]) -> None:
    """Refuse rows of probabilities that do not add up to 1, except rows of NaN."""
    sums = probabilities.sum(axis=1, dtype=np.float64)
    wrong = ~lost & (np.abs(sums - 1) > ROUNDING_OF_SUM)
    if wrong.any():
        row = int(wrong.argmax())
        raise InvalidArgument(f"every row of probabilities must add up to 1, but row {row} adds up to {sums[row]:.4g}")
