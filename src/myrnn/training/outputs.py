"""What a training wants of a model's outputs for targets of each kind, and how good outputs are."""

from __future__ import annotations

from typing import Any

import mygrad
import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.compiler import MYGRAD
from myrnn.errors import InvalidArgument
from myrnn.losses import Objective, mean_of_logits
from myrnn.models import num_classes
from myrnn.results import ACCURACY, SQUARED_ERROR
from myrnn.sequences import Sequences
from myrnn.targets import CLASS, NUMBERS, SEVERAL, TOGETHER, TargetKind

# How many rows of targets tell the loss of a model that knows nothing.
MOST_ROWS = 10_000


def checked_columns(shape: tuple[int, ...], kind: TargetKind, steps: int) -> int:
    """Return K from the shape of a model's outputs for one sequence of so many steps.

    Raises
    ------
    InvalidArgument
        When the shape does not fit the targets: it must be (1, K), or (T, K) where each step has a target, and K the
        number of their columns. Of classes there are two at least.
    """
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
    """Return what a training reports beside its loss: ``"accuracy"``, or of numbers ``"squared_error"``."""
    return SQUARED_ERROR if kind.what == NUMBERS else ACCURACY


def scores_dtype(kind: TargetKind) -> type[np.generic]:
    """Return the type of sums of scores: how many classes were right is a whole number."""
    return np.int64 if kind.what == CLASS else np.float64


def total_score(
    outputs: NDArray[Any], targets: NDArray[Any], weights: NDArray[Any] | None, scored: int | None = None
) -> Any:
    """Return the sum of the scores of the rows that count: those whose weight is not 0.

    Of a class it is 1 where it has the largest output; of several classes the share of those that are rightly seen to
    hold, by an output above 0, whose sigmoid is above 1/2, or not to hold; of numbers the mean of their squared errors;
    of several targets together that of their first, a class.

    Parameters
    ----------
    outputs : ndarray (N, K)
    targets : ndarray, int64 (N,), bool (N, K) or float32 (N, K)
    weights : ndarray (N,) or None
    scored : int, optional
        Of several targets together, how many of the columns are their first.
    """
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
    """Return the loss of a model that knows nothing, and the penalty of this one.

    Of classes it is that of equal probabilities by cross-entropy, of other targets that of outputs of 0.
    """
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
    """Return how much the loss of each class counts, float32 (K,), or None.

    Raises
    ------
    InvalidArgument
        When it is not a number of 0 or more for each class, or the targets are others.
    """
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
