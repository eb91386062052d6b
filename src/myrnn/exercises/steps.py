"""Is a student's model class with scores at every step right? Many checks are those of `model`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from myrnn.compiler.reference import MYGRAD
from myrnn.exercises.model import (
    SEQUENCES,
    SIZES,
    Candidate,
    are_parameters,
    check_class,
    checks,
    differ,
    encoded,
    listed,
    one_row,
    repeatable,
    scores_of,
    wrong_scores,
)
from myrnn.exercises.report import ExerciseReport


def check_step_model(cls: type) -> ExerciseReport:
    """Check a model class that has scores at every step, ``StepRNN`` of the lesson's second part.

    The scores of the last step are checked as in `check_model`. Those of each other step must be the model's scores for
    the beginning of the sequence alone.

    Parameters
    ----------
    cls : type
        As for `check_model`, but ``model(x)`` returns the scores of all steps, a MyGrad tensor of shape (T, K).

    Returns
    -------
    ExerciseReport
        ``.ok`` and one line for each property.

    Raises
    ------
    InvalidArgument
        When `cls` is not a class.

    Examples
    --------
    >>> from myrnn import RNN
    >>> check_step_model(RNN).failed[0].detail
    'For 20 steps the scores have shape (1, 2). These are the scores of one step: keep those of every step.'
    """
    check_class(cls)
    with MYGRAD:
        return step_checks.run(cls.__name__, _StepCandidate(cls))


class _StepCandidate(Candidate):
    """A model class with scores at every step. Its models return those of the last one, those of `whole` all."""

    def __init__(self, cls: type) -> None:
        super().__init__(_last_row_of(cls))
        self.whole = Candidate(cls)


def _last_row_of(cls: Any) -> type:
    def call(self: Any, x: Any) -> Any:
        return cls.__call__(self, x)[-1:]

    return type(cls.__name__, (cls,), {"__call__": call})


def _every_row(candidate: _StepCandidate) -> Iterator[str]:
    _, hidden, classes = SIZES
    return wrong_scores(
        candidate.whole,
        lambda steps: {
            (steps, classes): "",
            (1, classes): " These are the scores of one step: keep those of every step.",
            (steps, 1, classes): " mg.stack adds an axis; mg.concatenate joins rows of shape (1, K).",
            (1, steps * classes): " The rows are side by side: concatenate joins them along axis 0.",
            (steps, hidden): " These are hidden states: the readout W_hy is still to come, at every step.",
            (steps + 1, classes): " Are the scores of the empty state among them?",
        },
        {kind: f" Join the rows of the {kind} with mg.concatenate." for kind in ("list", "tuple")},
    )


step_checks = checks.replacing(
    one_row, "A sequence gives a row of scores for every step, a tensor of shape (T, K).", _every_row
)


@step_checks("Row t of the scores equals the scores after elements 0 to t alone.", repeatable, are_parameters)
def _prefixes(candidate: _StepCandidate) -> Iterator[str]:
    model = candidate.whole.filled()
    for digits in SEQUENCES:
        rows = scores_of(model, encoded(*digits))
        alone = np.concatenate([scores_of(model, encoded(*digits[: t + 1]))[-1:] for t in range(len(digits))])
        if not differ(rows, alone):
            continue
        if not differ(rows, rows[:1]):
            yield "All rows are the same: append the scores inside the loop, after each new state."
        if not differ(rows, alone[::-1]):
            yield "The rows come in the opposite order."
        t = int(np.argmax(np.abs(rows - alone).max(axis=1)))
        yield (
            f"For the digits {list(digits)} row {t} is {listed(rows[t])}, but for the first {t + 1} of them alone "
            f"the last row is {listed(alone[t])}. Does a score depend on what comes later?"
        )


@step_checks("Row t of the scores depends on element t.", repeatable, are_parameters)
def _reads_its_own(candidate: _StepCandidate) -> Iterator[str]:
    model = candidate.whole.filled()
    for *before, last in SEQUENCES:
        rows = [scores_of(model, encoded(*before, digit))[-1] for digit in (last, (last + 1) % SIZES[0])]
        if differ(*rows):
            return
    yield "These are the scores before element t is read: append the scores after the new state."
