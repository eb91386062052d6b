"""The outputs of a model that targets of each kind require, and their scores."""

from __future__ import annotations

from typing import Any

import mygrad
import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.compiler.trace import MYGRAD
from myrnn.errors import InvalidArgument
from myrnn.learning_curve import ACCURACY, SQUARED_ERROR
from myrnn.losses import Objective, mean_of_logits
from myrnn.models.model import num_classes
from myrnn.sequences import Sequences
from myrnn.targets import CLASS, NUMBERS, SEVERAL, TOGETHER, TargetKind

# The number of target rows that determine the loss of guessing.
MOST_ROWS = 10_000


def checked_columns(shape: tuple[int, ...], kind: TargetKind, steps: int) -> int:
    """Return K from the shape of a model's outputs for a sequence of some steps, which must fit the targets."""
    if kind.what == CLASS and not kind.per_step:
        return num_classes(shape)
    rows = steps if kind.per_step else 1
    if len(shape) == 2 and shape[0] == rows and (shape[1] == kind.columns if kind.columns else shape[1] >= 2):
        return int(shape[1])
    wanted = f"({'T' if kind.per_step else '1'}, {kind.columns or 'K'})"
    least = "" if kind.columns else " for K = 2 classes or more"
    here = f" for {steps} steps" if kind.per_step else ""
    raise InvalidArgument(
        f"the targets are {kind}, so the model must return outputs of shape {wanted}{least}, but it returned shape "
        f"{shape}{here}"
    )


def metric_of(kind: TargetKind) -> str:
    """Return the metric that a training reports: ``"accuracy"``, or for numbers ``"squared_error"``."""
    return SQUARED_ERROR if kind.what == NUMBERS else ACCURACY


def scores_dtype(kind: TargetKind) -> type[np.generic]:
    """Return the type of sums of scores: the number of right classes is an integer."""
    return np.int64 if kind.what == CLASS else np.float64


def total_score(
    outputs: NDArray[Any], targets: NDArray[Any], weights: NDArray[Any] | None, scored: int | None = None
) -> Any:
    """Return the sum of the scores of rows whose weight is not 0; `scored` columns are the first of several targets."""
    # For a class the score is 1 if it has the largest output; for several classes the share of right decisions, where
    # an output above 0, with a sigmoid above 1/2, means that the class holds; for numbers the mean squared error; for
    # several targets together that of the first, a class.
    if scored is not None:
        right = np.argmax(outputs[:, :scored], axis=1) == np.argmax(targets[:, :scored], axis=1)
        scores = right & targets[:, :scored].any(axis=1)
    elif targets.dtype.kind == "i":
        scores = np.argmax(outputs, axis=1) == targets
    elif targets.dtype.kind == "b":
        scores = ((outputs > 0) == targets).mean(axis=1)
    else:
        scores = ((outputs.astype(np.float64) - targets) ** 2).mean(axis=1)
    return np.sum(scores if weights is None else scores[weights > 0])


def chance_of(kind: TargetKind, columns: int) -> float | None:
    """Return the accuracy of guessing; None for numbers."""
    return {CLASS: 1 / columns, SEVERAL: 0.5, TOGETHER: 1 / (kind.scored or columns)}.get(kind.what)


def guessing_loss(objective: Objective, model: Any, sequences: Sequences, columns: int) -> float:
    """Return the loss of guessing (equal probabilities, or outputs of zero), plus the penalty of this model."""
    with MYGRAD, mygrad.no_autodiff:
        penalty = float(objective.penalty_of(model).item())
    if sequences.kind.what == CLASS:
        heaviest = 1.0 if objective.class_weights is None else float(objective.class_weights.max())
        return float(np.log(columns) * heaviest + penalty)
    targets = sequences.targets[:MOST_ROWS]
    weights = None if sequences.weights is None else sequences.weights[:MOST_ROWS]
    nothing = np.zeros((len(targets), columns), dtype=np.float32)
    return penalty + (mean_of_logits(objective.loss, nothing, targets, None, weights) if len(targets) else 0.0)


def checked_class_weights(given: ArrayLike | None, kind: TargetKind, classes: int) -> NDArray[np.float32] | None:
    """Return the weight of each class, float32 (K,), each 0 or more, or None."""
    if given is None:
        return None
    if kind.what != CLASS:
        raise InvalidArgument(f"class_weight is for targets that are a class, but these are {kind}")
    weights = _checks.array("class_weight", given)
    if weights.shape != (classes,) or weights.dtype.kind not in "fiu":
        raise InvalidArgument(
            f"class_weight must be a number for each of the {classes} classes, not {_checks.shown(given)}"
        )
    _checks.finite("class_weight", weights)
    _checks.not_negative("class_weight", weights)
    return weights.astype(np.float32)
