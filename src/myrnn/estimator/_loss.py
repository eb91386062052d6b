"""Scores of many sequences, and what they are worth."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax
from sklearn.utils.class_weight import compute_class_weight

from myrnn import _checks
from myrnn.data import ClassLabels
from myrnn.errors import InvalidArgument
from myrnn.evaluation import Classifier
from myrnn.results import check_finite
from myrnn.sequences import Sequences


def class_weights(given: Any, labels: ClassLabels, numbers: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Return how much the loss of each class counts, float64 (K,), as scikit-learn's `class_weight` says it.

    Raises
    ------
    InvalidArgument
        When it is neither None, ``"balanced"`` nor a dict with a number for some of the classes.
    """
    if given is None:
        return None
    if not isinstance(given, dict) and not (isinstance(given, str) and given == "balanced"):
        raise InvalidArgument(f"class_weight must be None, 'balanced' or a dict, not {_checks.shown(given)}")
    if isinstance(given, dict) and (unknown := set(given) - set(labels.classes.tolist())):
        raise InvalidArgument(f"class_weight names {next(iter(unknown))!r}, which is none of the classes of y")
    try:
        weights = compute_class_weight(given, classes=labels.classes, y=labels.classes[numbers])
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"class_weight must hold numbers: {error}") from None
    return np.asarray(weights, dtype=np.float64)


def scores_of(classifier: Classifier, sequences: Sequences) -> NDArray[np.float32]:
    """Return the logits of every sequence, float32 (N, K), the same bits whatever the others are.

    Some may not be finite.
    """
    # One alone would go through a program of its own, with sums in another order.
    if len(sequences) == 1:
        return classifier.scores(sequences.select([0, 0]))[:1]
    return classifier.scores(sequences)


def loss_and_accuracy(
    classifier: Classifier, sequences: Sequences, weights: NDArray[np.float64] | None
) -> tuple[float, float]:
    """Return the mean cross-entropy in nats, each times the weight of its class, and the share classified rightly.

    Raises
    ------
    NotFinite
        When logits are not finite.
    """
    logits = scores_of(classifier, sequences).astype(np.float64)
    check_finite(logits, sequences.lengths)
    losses = -log_softmax(logits, axis=1)[np.arange(len(logits)), sequences.labels]
    if weights is not None:
        losses *= weights[sequences.labels]
    return float(losses.mean()), float((logits.argmax(axis=1) == sequences.labels).mean())
