"""How well a model does on sequences that it does not learn from, by a loss of any kind."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from myrnn import _checks
from myrnn.errors import InvalidArgument, NotFinite
from myrnn.losses import Loss, loss_for, mean_of_logits
from myrnn.results import is_lost
from myrnn.sequences import Sequences
from myrnn.training.engine import columns_of, reference_logits
from myrnn.training.feed import check_sequences
from myrnn.training.outputs import checked_class_weights, total_score


def measure(
    model: Any, sequences: Sequences, loss: Loss | str | None = None, *, class_weight: ArrayLike | None = None
) -> tuple[float, float]:
    """Return the mean loss on sequences, and the score that `train` reports, op by op and without building a graph.

    ``Validation(model, partial(measure, model, kept))`` keeps the weights of the smallest loss.

    Parameters
    ----------
    model : callable
    sequences : Sequences
        All their targets are one batch, and count by their weights.
    loss, class_weight
        As of `train`.

    Returns
    -------
    loss : float
    score : float
        The accuracy, or of numbers the mean squared error, of the targets whose weight is not 0.

    Raises
    ------
    InvalidArgument
        When there is no sequence, or the model or the loss does not fit the targets.
    NotFinite
        When outputs are not finite.
    """
    if not isinstance(sequences, Sequences) or not len(sequences):
        raise InvalidArgument("sequences must be a Sequences of at least one")
    kind = sequences.kind
    columns, chosen = columns_of(model, sequences), loss_for(loss, kind)
    weights = checked_class_weights(class_weight, kind, columns)
    check_sequences(sequences, columns, sequences.dim_input, kind)
    if not len(sequences.targets):
        return 0.0, 0.0
    outputs = reference_logits(model, sequences).astype(np.float64)
    if lost := int(is_lost(outputs).sum()):
        raise NotFinite(f"the outputs for {lost:,} of {_checks.count_of(len(outputs), kind.each)} are not finite")
    found = mean_of_logits(chosen, outputs, sequences.targets, weights, sequences.weights)
    score = total_score(outputs, sequences.targets, sequences.weights)
    return found, float(score) / max(1, int(sequences.counted.sum()))
