"""A test of a model that predicts a class at every step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.evaluation.baselines import Baselines, check_baselines, gains_of, table_with_baselines
from myrnn.evaluation.buckets import StepBuckets, by_length, by_position
from myrnn.evaluation.classes import HasConfusion, checked_probabilities, confusion_of, labels_of
from myrnn.evaluation.intervals import ratios_of_steps, share_ends
from myrnn.evaluation.scores import (
    TAGS,
    Estimate,
    plain_scores,
    tag_scores,
)
from myrnn.evaluation.steps import Steps, warn_of_lost_steps
from myrnn.results import NO_CLASS, Floats, HasTable, Table, is_lost


@dataclass(frozen=True, repr=False, eq=False)
class TagReport(HasConfusion, HasTable):
    """The scores of a model that predicts the class, or tag, of every step.

    Attributes
    ----------
    classes : tuple of str
        The K classes: those that the model knows, and those that only occur in the targets.
    unseen : tuple of str
        The classes that the model does not know and therefore never predicts.
    confusion : ndarray, int64 (K, K)
        The number of steps whose true class is the row and whose predicted class is the column.
    not_finite : ndarray, int64 (K,)
        The number of steps of each class with outputs that are not finite. They count in `total`, as wrong.
    scores : dict of str to Estimate
        ``accuracy`` of the steps, ``sequence_accuracy`` (the share of sequences that are right at every step), and
        ``macro_f1``, with their intervals.
    sequences : int
        The number of sequences with at least one step.
    sequences_not_finite : int
        The number of them with a step whose outputs are not finite.
    recall_interval : ndarray, float64 (K, 2)
        The interval of each recall.
    lengths, positions : StepBuckets
        Accuracy by the length of the sequence, and by the position of the step.
    clusters : str
        The sampling units of the intervals of steps, such as ``"200 sequences"``: steps of one sequence, or of one
        block of a long sequence, are not independent.
    baselines : Baselines or None
        Scores of simple rules on the same sequences.
    gains : dict of str to Estimate
        For each baseline by name, how much larger the model's share of correct steps is, with the interval of the
        difference.
    confidence : float
        The level of the intervals.

    Examples
    --------
    >>> from myrnn.evaluation import tag_report
    >>> report = tag_report([0, 1, 1, 0], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]], [0, 2, 4])
    >>> report
    TagReport(4 steps of 2 sequences, accuracy 75.00% (13.07% to 98.36%), whole sequences 50.00%, macro F1 0.733)
    >>> report.recall, report.positions.names, report.positions.measures["accuracy"][:, 0]
    (array([1. , 0.5]), ('1', '2'), array([0.5, 1. ]))
    """

    classes: tuple[str, ...]
    unseen: tuple[str, ...]
    confusion: NDArray[np.int64]
    not_finite: NDArray[np.int64]
    scores: dict[str, Estimate]
    sequences: int
    sequences_not_finite: int
    recall_interval: Floats
    lengths: StepBuckets
    positions: StepBuckets
    clusters: str
    baselines: Baselines | None
    gains: dict[str, Estimate]
    confidence: float = 0.95

    @property
    def interval(self) -> Floats:
        """The interval of the accuracy of the steps, float64 (2,)."""
        return np.array(self.scores["accuracy"][1:])

    @property
    def sequence_accuracy(self) -> float:
        """The share of sequences that are right at every step."""
        return self.scores["sequence_accuracy"].value

    def _recall_ends(self) -> Floats:
        return self.recall_interval

    def __repr__(self) -> str:
        """Show the accuracies."""
        low, high = self.interval
        return (
            f"TagReport({_checks.count_of(self.total.sum(), 'step')} of "
            f"{_checks.count_of(self.sequences, 'sequence')}, accuracy {self.accuracy:.2%} ({low:.2%} to {high:.2%}), "
            f"whole sequences {self.sequence_accuracy:.2%}, macro F1 {self.macro_f1:.3f})"
        )

    def numbers(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
        return {
            "steps": int(self.total.sum()),
            "sequences": self.sequences,
            "not_finite": int(self.not_finite.sum()),
            "sequences_not_finite": self.sequences_not_finite,
            **plain_scores(self.scores),
            "confidence": self.confidence,
            "balanced_accuracy": self.balanced_accuracy,
            "majority": self.majority,
            "unseen": list(self.unseen),
            "baselines": self.table().rows()[1:],
            "classes": self.class_table().rows(),
            "confusion": {"classes": list(self.classes), "counts": self.confusion.tolist()},
            "lengths": self.lengths.rows(),
            "positions": self.positions.rows(),
        }

    def table(self) -> Table:
        """Return the accuracies of the model, and below them those of the baselines; terminals show per cent.

        Its columns are ``model``, ``accuracy``, ``sequence_accuracy``, the ends of their intervals (``accuracy_low``
        and so on), and ``macro_f1``. `class_table` and `confusion_table` have the classes.
        """
        title = f"A class at every step ({self.confidence:.0%} intervals, of {self.clusters})"
        lost = int(self.not_finite.sum())
        caption = f"{_checks.count_of(lost, 'step')} without finite outputs count as wrong" if lost else None
        return table_with_baselines(title, TAGS, self.scores, self.baselines, self.gains, caption)

    def plot(self, ax: Any = None) -> Any:
        """Draw accuracy by position, with the best baseline or the most frequent class, and return the axes."""
        levels = {"the most frequent class": self.majority}
        if self.baselines is not None:
            best = self.baselines.best
            levels = {best: self.baselines.scores[best]["accuracy"].value}
        return self.positions.plot(ax, levels=levels)


def tag_report(
    targets: ArrayLike,
    probabilities: ArrayLike,
    offsets: ArrayLike,
    confidence: float = 0.95,
    *,
    classes: ArrayLike | None = None,
    baselines: Baselines | None = None,
) -> TagReport:
    """Compare the classes that a model predicts at every step with the true ones.

    The interval of the accuracy is that of a cluster sample, `cluster_interval`, because the steps of a sequence tend
    to be right or wrong together. The interval of the share of whole sequences is Wilson's.

    Parameters
    ----------
    targets : array_like (S,)
        The class of every step of all N sequences, concatenated: a column of `probabilities`, 0 to K - 1, or one of
        `classes`.
    probabilities : array_like of float (S, K)
        The probabilities of the classes at every step. The class of the largest is predicted. A row of NaN stands for
        outputs that are not finite: its step counts as wrong, and a warning says how many there are.
    offsets : array_like of int (N + 1,)
        The start of each sequence, and the end of the last one.
    confidence : float
        The level of the intervals.
    classes : array_like (K,), optional
        The labels of the columns. Targets that are not among them count as mistakes.
    baselines : Baselines, optional
        The result of `tag_baselines` for the same sequences, shown below the model.

    Returns
    -------
    TagReport

    Raises
    ------
    InvalidArgument
        When the arrays do not fit together or hold no step, no target is one of the classes, or the probabilities are
        invalid.

    References
    ----------
    Korn and Graubard, 1998, and Dean and Pagano, 2015, as for `cluster_interval`.

    Examples
    --------
    >>> report = tag_report([0, 1, 1, 0], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]], [0, 2, 4])
    >>> report.accuracy, report.sequence_accuracy, report.confusion.tolist()
    (0.75, 0.5, [[2, 0], [1, 1]])
    """
    level = _checks.real("confidence", confidence, above=0, below=1)
    truth = _targets(targets, any_label=classes is not None)
    known = None if classes is None else _checks.array("classes", classes)
    count = None if known is None else known.size
    values = checked_probabilities(probabilities, len(truth), count, each="step")
    steps = Steps.given(offsets, len(truth))
    if known is None:
        known = np.arange(values.shape[1])
        _checks.integers("targets", truth, minimum=0, maximum=values.shape[1] - 1)
    check_baselines(baselines, TAGS, steps)
    labels = labels_of("targets", truth, known)
    if not np.isin(labels.truth, labels.columns).any():
        first = labels.names[labels.truth[0]]
        raise InvalidArgument(
            f"no target is one of the classes: the first target is {first!r}, the first class {str(known[0])!r}"
        )
    lost = is_lost(values)
    warn_of_lost_steps(lost, steps, "outputs", "they count as wrong")
    predicted = np.where(lost, NO_CLASS, labels.columns[np.argmax(values, axis=1)])
    right, size = predicted == labels.truth, len(labels.names)
    confusion, not_finite = confusion_of(labels.truth, predicted, size)
    by_class = ratios_of_steps(right, steps, labels.truth, size)
    there = steps.lengths > 0
    return TagReport(
        labels.names,
        labels.unseen,
        confusion,
        not_finite,
        tag_scores(labels.truth, predicted, size, steps, level),
        int(there.sum()),
        int(np.logical_or.reduceat(lost, steps.offsets[:-1][there]).sum()),
        share_ends(by_class, level),
        by_length(steps, {"accuracy": right}, level),
        by_position(steps, {"accuracy": right}, level),
        steps.cluster_count,
        baselines,
        gains_of(baselines, steps.sums(~right), level),
        level,
    )


def _targets(given: ArrayLike, any_label: bool) -> NDArray[Any]:
    """Return the targets of steps, which must be whole numbers unless `any_label`."""
    targets = _checks.array("targets", given)
    if targets.ndim != 1 or not len(targets) or (targets.dtype.kind not in "iu" and not any_label):
        kind = "label" if any_label else "integer"
        raise InvalidArgument(
            f"targets must be one {kind} for each of at least one step, not {targets.dtype} of shape {targets.shape}"
        )
    return targets
