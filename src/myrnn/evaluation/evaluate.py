"""Accuracy of a model by length and class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn._keywords import keywords
from myrnn.errors import InvalidArgument
from myrnn.evaluation.classify import Classifier, as_tested, check_classes, classes_of, draw_any
from myrnn.evaluation.lengths import LengthReport, base_rate_of, class_counts
from myrnn.finite import is_lost, predicted, warn_of_lost
from myrnn.learning_curve import LearningCurve
from myrnn.results import Floats
from myrnn.sequences import Sequences
from myrnn.targets import CLASS, SEVERAL, TargetKind

Ints = NDArray[np.int64]


@keywords
def evaluate(
    model: Any,
    task: Any,
    samples: int = 100_000,
    seed: int = 1,
    *,
    lengths: ArrayLike | None = None,
    trained: LearningCurve | int | None = None,
    confidence: float = 0.95,
    engine: str = "auto",
    progress: bool | None = None,
) -> LengthReport:
    """Classify new sequences, and count the correct answers for every length and class.

    If each step has a class, as in `tasks.RunningParity`, the answers are those of all steps whose weight is not 0, and
    the report also counts the sequences that are right at every step. For several classes at once, all must be right:
    the predicted classes are those with a logit above 0. A sequence or step whose logits are not finite counts as
    wrong; the report and a warning say how many there are.

    Parameters
    ----------
    model : callable or CompiledModel
        As for `myrnn.train`. It is not changed, and no graph is built. A model that learned more than recognition is
        tested as a `Recognizer`, on strings drawn as for recognition alone.
    task : Task, Sequences or iterable of (x, y)
        Draws the sequences, or holds them. Its alphabet may be smaller than the model's: its tokens are then the first
        tokens of the model's alphabet.
    samples : int
        The number of sequences to draw, or the most to take from an iterator.
    seed : int
        Seed of the drawn sequences.
    lengths : array_like of int, optional
        Draw these lengths instead of the task's, such as ``range(2, 81, 2)``: ``samples // len(lengths)`` sequences of
        each, at least one. They may exceed the task's.
    trained : LearningCurve or int, optional
        The result of `myrnn.train`, or the longest length in the training: longer lengths are then marked as beyond in
        tables and plots.
    confidence : float
        The level of the intervals.
    engine : {"auto", "native", "mygrad"}
        How to run the equations.
    progress : bool, optional
        Whether to show a progress bar; by default in terminals and notebooks.

    Returns
    -------
    LengthReport

    Raises
    ------
    InvalidArgument
        When an argument is invalid, or the task has no sequences or nothing to count.
    NotFinite
        When the model's parameters are not finite.

    References
    ----------
    Those of :doc:`/explanation/intervals`.

    Examples
    --------
    >>> from myrnn import RNN, evaluate, tasks
    >>> task = tasks.TwinHalves(pattern_length_max=2)
    >>> model = RNN(task.dim_input, 8, task.dim_output, rng=0)
    >>> report = evaluate(model, task, 300, lengths=[2, 4, 6], trained=4, engine="mygrad", progress=False)
    >>> report.lengths, report.tried
    (array([2, 4, 6]), '300 sequences')
    """
    model, task = as_tested(model, task)
    classifier = Classifier(model, engine)
    _checks.real("confidence", confidence, above=0, below=1)
    longest = trained.longest if isinstance(trained, LearningCurve) else trained
    if longest is not None:
        longest = _checks.integer("trained", longest, minimum=0)
    sequences = draw_any(task, samples, seed, lengths)
    check_classes(sequences)
    logits = classifier.scores(sequences, progress)
    if len(logits) != len(sequences.targets):
        raise InvalidArgument("each step has a class, but the model has one output for a sequence: make it per_step")
    row, owner = _answers(sequences)
    if not len(row):
        raise InvalidArgument("task holds no step with an answer")
    each, classes, lost = sequences.kind.each, logits.shape[1], is_lost(logits)[row]
    chance = guessed(sequences.kind, classes)
    warn_of_lost(lost, sequences.lengths[owner], each)
    if sequences.kind.what == SEVERAL:
        # All must be right at once; they are not counted by class.
        right = ((logits > 0) == sequences.targets).all(axis=1)[row] & ~lost
        targets = np.zeros(len(row), dtype=np.int64)
    else:
        right, targets = predicted(logits)[row] == sequences.targets[row], sequences.targets[row]
    names = () if sequences.kind.what == SEVERAL else classes_of(task, classes)
    counted = sequences.counted > 0
    distinct, place = np.unique(sequences.lengths[counted], return_inverse=True)
    wrong = np.bincount(owner[~right], minlength=len(sequences))[counted]
    return LengthReport.of(
        sequences.lengths[owner],
        targets,
        right,
        lost,
        names,
        chance=chance,
        trained_length=longest,
        confidence=confidence,
        each=each,
        sequences=np.bincount(place, minlength=len(distinct)),
        whole=np.bincount(place[wrong == 0], minlength=len(distinct)),
    )


def guessed(kind: TargetKind, classes: int) -> float:
    """Return the accuracy of guessing in a test, where several classes of a row must be right at once."""
    return 0.5**classes if kind.what == SEVERAL else 1 / classes


def base_rates(sequences: Sequences) -> tuple[Ints, Floats]:
    """Return the lengths of sequences with classes, or classes at their steps, and the base rate of each."""
    if sequences.kind.what != CLASS:
        raise InvalidArgument("a base rate is that of classes")
    row, owner = _answers(sequences)
    distinct, counts = class_counts(sequences.lengths[owner], sequences.targets[row])
    return distinct, base_rate_of(counts)


def _answers(sequences: Sequences) -> tuple[Ints, Ints]:
    """Return the rows of the targets that count, and the sequence of each."""
    weights = sequences.weights
    row = np.arange(len(sequences.targets)) if weights is None else np.flatnonzero(weights > 0)
    return row, sequences.owners[row] if sequences.per_step else row
