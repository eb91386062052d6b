"""Scores of a model on held-out sequences, by a loss of any kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.compiler.model import compile_for
from myrnn.errors import CompileError, InvalidArgument, NotFinite
from myrnn.losses import Loss, loss_for, losses_of_logits
from myrnn.results import is_lost
from myrnn.sequences import Sequences
from myrnn.training.feed import check_sequences
from myrnn.training.native import check_rows
from myrnn.training.outputs import checked_class_weights, reference_in_parts, total_score, tried_on
from myrnn.training.settings import DEFAULTS, ENGINES, EngineName

# Comparing a compiled model with the model takes about as long as MyGrad takes for this many steps of sequences.
WORTH_CHECKING = 5_000


def measure(
    model: Any,
    sequences: Sequences,
    loss: Loss | str | None = None,
    *,
    class_weight: ArrayLike | None = None,
    engine: EngineName = DEFAULTS.engine,
) -> tuple[float, float]:
    """Return the mean loss on sequences, and the score that `train` reports.

    ``Validation(model, partial(measure, model, kept))`` keeps the weights of the smallest loss.

    Parameters
    ----------
    model : callable
    sequences : Sequences
        All their targets are one batch, weighted by their weights.
    loss, class_weight
        As for `train`.
    engine : {"auto", "native", "mygrad"}
        Whether the outputs are computed by the compiled model or op by op with MyGrad. ``"auto"`` compiles the model
        for 5,000 steps or more, if it can be.

    Returns
    -------
    loss : float
    score : float
        The accuracy, or for numbers the mean squared error, of the targets whose weight is not 0.

    Raises
    ------
    InvalidArgument
        When there are no sequences, or the model or the loss does not fit the targets.
    CompileError
        With ``"native"``, when the model cannot be compiled.
    NotFinite
        When outputs that count are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from myrnn import RNN, tasks
    >>> task = tasks.TwinHalves(pattern_length_max=2)
    >>> model = RNN(task.dim_input, 8, task.dim_output, rng=0)
    >>> loss, accuracy = measure(model, task.sample(50, np.random.default_rng(0)), engine="mygrad")
    >>> 0.5 < loss < 1.5, 0 <= accuracy <= 1
    (True, True)
    """
    if not isinstance(sequences, Sequences) or not len(sequences):
        raise InvalidArgument("sequences must be a Sequences of at least one")
    kind = sequences.kind
    _checks.one_of("engine", engine, ENGINES)
    (columns, _), chosen = tried_on(model, sequences), loss_for(loss, kind)
    weights = checked_class_weights(class_weight, kind, columns)
    check_sequences(sequences, columns, sequences.dim_input, kind)
    if not len(sequences.targets):
        return 0.0, 0.0

    def in_parts(use: Callable[[slice, NDArray[np.float32]], Any]) -> list[Any]:
        if engine == "native" or (engine == "auto" and sequences.lengths.sum() >= WORTH_CHECKING):
            try:
                compiled = compile_for(model, sequences)
                check_rows(compiled, kind)
                return [use(*part) for part in compiled.logits_in_parts(sequences)]
            except CompileError:
                if engine == "native":
                    raise
        return [use(*part) for part in reference_in_parts(model, sequences)]

    found, score, lost = mean_over(in_parts, sequences, chosen, weights)
    counted = lost if sequences.weights is None else lost[sequences.weights > 0]
    if counted.any():
        count = _checks.count_of(len(counted), kind.each)
        raise NotFinite(f"the outputs for {int(counted.sum()):,} of {count} are not finite")
    return found, score


def mean_over(
    in_parts: Callable[[Callable[[slice, NDArray[np.float32]], Any]], list[Any]],
    sequences: Sequences,
    loss: Loss | str,
    class_weights: NDArray[np.floating] | None,
) -> tuple[float, float, NDArray[np.bool_]]:
    """Return the mean loss and score of outputs that `in_parts` gives, and which rows are not finite: left out."""
    targets, weights = sequences.targets, sequences.weights
    losses, lost = np.zeros(len(targets)), np.zeros(len(targets), dtype=np.bool_)

    def use(place: slice, found: NDArray[np.float32]) -> Any:
        lost[place] = is_lost(found)
        counts = ~lost[place] if weights is None else ~lost[place] & (weights[place] > 0)
        if not counts.any():
            return 0
        outputs, wanted = (found, targets[place]) if counts.all() else (found[counts], targets[place][counts])
        outputs = outputs.astype(np.float64)
        losses[place][counts] = losses_of_logits(loss, outputs, wanted)
        return total_score(outputs, wanted, None, sequences.kind.scored)

    score = float(sum(in_parts(use))) / max(1, int(sequences.counted.sum()))
    if class_weights is not None:
        losses *= class_weights[targets]
    if weights is None:
        return float(losses.mean()), score, lost
    total = float(weights.sum(dtype=np.float64))
    return float((losses * weights).sum() / total) if total else 0.0, score, lost
