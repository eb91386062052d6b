"""Scores of a model on held-out sequences, by a loss of any kind."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.compiler import compile_for
from myrnn.errors import CompileError, InvalidArgument, NotFinite
from myrnn.losses import Loss, loss_for, mean_of_logits
from myrnn.results import is_lost
from myrnn.sequences import Sequences
from myrnn.training.engine import columns_of, reference_logits
from myrnn.training.feed import check_sequences
from myrnn.training.native import check_rows
from myrnn.training.outputs import checked_class_weights, total_score
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
    columns, chosen = columns_of(model, sequences), loss_for(loss, kind)
    weights = checked_class_weights(class_weight, kind, columns)
    check_sequences(sequences, columns, sequences.dim_input, kind)
    if not len(sequences.targets):
        return 0.0, 0.0
    outputs = _outputs(model, sequences, engine).astype(np.float64)
    counted = outputs if sequences.weights is None else outputs[sequences.weights > 0]
    if lost := int(is_lost(counted).sum()):
        raise NotFinite(f"the outputs for {lost:,} of {_checks.count_of(len(counted), kind.each)} are not finite")
    found = mean_of_logits(chosen, outputs, sequences.targets, weights, sequences.weights)
    score = total_score(outputs, sequences.targets, sequences.weights, kind.scored)
    return found, float(score) / max(1, int(sequences.counted.sum()))


def _outputs(model: Any, sequences: Sequences, engine: str) -> NDArray[np.float32]:
    if engine == "native" or (engine == "auto" and sequences.lengths.sum() >= WORTH_CHECKING):
        try:
            compiled = compile_for(model, sequences)
            check_rows(compiled, sequences.kind)
            return compiled.logits(sequences)
        except CompileError:
            if engine == "native":
                raise
    return reference_logits(model, sequences)
