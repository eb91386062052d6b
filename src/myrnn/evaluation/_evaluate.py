"""How well a model does, length by length and class by class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from myrnn import _checks
from myrnn._keywords import keywords
from myrnn._logits import is_lost, predicted, warn_of_lost
from myrnn.evaluation._classify import Classifier, class_names, draw
from myrnn.evaluation._report import LengthReport
from myrnn.training import History


@keywords
def evaluate(
    model: Any,
    task: Any,
    samples: int = 100_000,
    seed: int = 1,
    *,
    lengths: ArrayLike | None = None,
    trained: History | int | None = None,
    confidence: float = 0.95,
    engine: str = "auto",
    progress: bool | None = None,
) -> LengthReport:
    """Classify sequences that the model has not learned from, and count the right answers for every length and class.

    A sequence whose logits are not finite counts as wrong: the report says how many there are, and a warning, too.

    Parameters
    ----------
    model : callable or CompiledModel
        As for `myrnn.train`. It is not changed, and no graph is built.
    task : Task, Sequences or iterable of (x, y)
        Draws the sequences, or holds them. Its alphabet may be smaller than the model's: its tokens are then the
        first of the model's own.
    samples : int
        How many sequences to draw, or to take from an iterator at most.
    seed : int
        Seeds the drawing.
    lengths : array_like of int, optional
        Draw these lengths instead of the task's own, such as ``range(2, 81, 2)``: ``samples // len(lengths)``
        sequences of each, at least one. They may lie beyond the task's.
    trained : History or int, optional
        The training, or the longest length it saw: longer lengths are then marked as beyond in tables and plots.
    confidence : float
        The level of the intervals.
    engine : {"auto", "native", "mygrad"}
        How the equations are run.
    progress : bool, optional
        Whether to show a progress bar; by default it shows in a terminal and in a notebook.

    Returns
    -------
    LengthReport

    Raises
    ------
    InvalidArgument
        When an argument is not what it should be, or the task has no sequence.
    NotFinite
        When the model's parameters are not finite.

    References
    ----------
    Wilson, "Probable inference, the law of succession, and statistical inference", 1927 (the intervals).
    """
    classifier = Classifier(model, engine)
    _checks.real("confidence", confidence, above=0, below=1)
    longest = trained.longest if isinstance(trained, History) else trained
    if longest is not None:
        longest = _checks.integer("trained", longest, minimum=0)
    sequences = draw(task, samples, seed, lengths)
    logits = classifier.scores(sequences, progress)
    lost, classes = is_lost(logits), logits.shape[1]
    warn_of_lost(lost, sequences.lengths)
    right = predicted(logits) == sequences.labels
    distinct, places = np.unique(sequences.lengths, return_inverse=True)
    # One cell for every pair of a length and a class.
    cells, shape = places * classes + sequences.labels, (len(distinct), classes)
    total = np.bincount(cells, minlength=distinct.size * classes).reshape(shape)
    correct = np.bincount(cells[right], minlength=distinct.size * classes).reshape(shape)
    return LengthReport(
        lengths=distinct,
        total=total.sum(axis=1),
        correct=correct.sum(axis=1),
        chance=1 / classes,
        trained_length=longest,
        confidence=confidence,
        class_total=total,
        class_correct=correct,
        class_names=class_names(task, classes),
        not_finite=np.bincount(places[lost], minlength=distinct.size),
    )
