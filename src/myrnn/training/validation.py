"""Validation: the scores of a model on held-out sequences, and the hook that keeps the best weights by them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.compiler.compilation import compile_for
from myrnn.errors import CompileError, InvalidArgument, NotFinite, TrainingDiverged
from myrnn.finite import is_lost
from myrnn.learning_curve import ACCURACY, SQUARED_ERROR
from myrnn.losses import Loss, loss_for, losses_of_logits
from myrnn.models.model import parameters_of
from myrnn.sequences import Sequences
from myrnn.training.feed import check_sequences
from myrnn.training.hooks import TrainingReport, TrainingStart
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


class Validation:
    """The hook that keeps the weights of the best report, and stops a training that no longer improves.

    If there is one report per epoch, reports are epochs.

    Parameters
    ----------
    model : callable
        The model that is trained.
    measure : callable, optional
        Returns loss and accuracy, or another score, on held-out sequences, as `myrnn.training.measure` does. The best
        report is the one with the smallest loss there; without it the last one counts.
    patience : int, optional
        Stop after this many reports without a smaller loss.
    metric : {"accuracy", "squared_error"}
        The kind of score.

    Attributes
    ----------
    columns : dict of str to list of float
        ``validation_loss`` and ``validation_accuracy``, by the metric, at every report; empty without `measure`.
    reports, best : int
        The number of reports, and the best one, from 1; 0 before the first.

    Examples
    --------
    >>> import numpy as np
    >>> from functools import partial
    >>> from myrnn import RNN, Adam, tasks, train
    >>> from myrnn.training import measure
    >>> task = tasks.TwinHalves(pattern_length_max=2)
    >>> model = RNN(task.dim_input, 8, task.dim_output, rng=0)
    >>> kept = task.sample(50, np.random.default_rng(1))
    >>> watched = Validation(model, partial(measure, model, kept, engine="mygrad"), patience=1)
    >>> optimizer = Adam(model.parameters)
    >>> history = train(
    ...     model, task, optimizer, 30, report_every=10, engine="mygrad", hooks=[watched], progress=False
    ... )
    >>> list(watched.columns), watched.reports >= watched.best
    (['validation_loss', 'validation_accuracy'], True)
    """

    state_name = "validation"
    # What a report is called in messages.
    unit = "report"

    def __init__(
        self,
        model: Any,
        measure: Callable[[], tuple[float, float]] | None = None,
        patience: int | None = None,
        *,
        metric: str = ACCURACY,
    ) -> None:
        self._parameters = parameters_of(model)
        if measure is not None and not callable(measure):
            raise InvalidArgument(f"measure must be a function, not {_checks.shown(measure)}")
        if patience is not None:
            _checks.integer("patience", patience, minimum=1)
        self._measure, self._patience = measure, patience
        _checks.one_of("metric", metric, (ACCURACY, SQUARED_ERROR))
        self.columns: dict[str, list[float]] = {"validation_loss": [], f"validation_{metric}": []}
        self.reports, self.best = 0, 0
        self._weights: list[NDArray[Any]] = []
        # Until a training begins there is nothing to stop.
        self._stop: Callable[[], None] = lambda: None

    @property
    def is_over(self) -> bool:
        """Whether patience has run out."""
        return self._patience is not None and self.reports - self.best >= self._patience

    def on_train_begin(self, start: TrainingStart) -> None:
        """Stop again if patience has run out before."""
        if self.reports != start.reports:
            raise InvalidArgument(
                f"of {start.reports} reports of the training {self.reports} were validated: it cannot go on from there"
            )
        self._stop = start.stop
        if self.is_over:
            start.stop()

    def on_report(self, report: TrainingReport) -> None:
        """Measure, and keep the weights if they are the best so far."""
        found = None if self._measure is None else self._measured(self._measure)
        # A report only counts once it is complete: an interrupt may come at any time.
        weights = [parameter.data.copy() for parameter in self._parameters]
        smallest = min(self.columns["validation_loss"], default=np.inf)
        self.reports += 1
        if found is None or found[0] < smallest:
            self.best, self._weights = self.reports, weights
        for column, value in zip(self.columns.values(), found or (), strict=False):
            column.append(value)
        if self.is_over:
            self._stop()

    def use_best(self) -> None:
        """Give the model the weights of the best report; raises InvalidArgument before the first report."""
        if not self._weights:
            raise InvalidArgument("there was no report yet, whose weights could be used")
        for parameter, weights in zip(self._parameters, self._weights, strict=True):
            parameter.data[...] = weights

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the state as arrays."""
        columns = {name: np.array(values, dtype=np.float64) for name, values in self.columns.items()}
        weights = {f"best.{i}": array for i, array in enumerate(self._weights)}
        return {**columns, **weights, "reports": np.array([self.reports, self.best], dtype=np.int64)}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Restore a saved state.

        Raises
        ------
        InvalidArgument
            When the state does not belong to a training like this one.
        """
        counts = arrays.get("reports", np.empty(0))
        if counts.shape != (2,) or counts.dtype != np.int64 or not 0 <= counts[1] <= counts[0]:
            raise InvalidArgument("the state does not say how many reports were validated, and which was the best")
        reports, best = counts.tolist()
        weights = [arrays[f"best.{i}"] for i in range(len(self._parameters) if best else 0) if f"best.{i}" in arrays]
        fits = [(p.shape, p.dtype) == (w.shape, w.dtype) for p, w in zip(self._parameters, weights, strict=False)]
        columns = {name: arrays.get(name, np.empty(0)) for name in self.columns}
        measured = reports if self._measure is not None else 0
        if bool(best) != bool(reports) or len(weights) != (len(self._parameters) if best else 0) or not all(fits):
            raise InvalidArgument("the state has no best weights of this model's shapes")
        if any(c.shape != (measured,) or c.dtype != np.float64 for c in columns.values()):
            raise InvalidArgument(f"the state has not been validated at each of {_checks.count_of(reports, 'report')}")
        for array in (*weights, *columns.values()):
            _checks.finite("what was validated", array)
        self.reports, self.best, self._weights = reports, best, [w.copy() for w in weights]
        self.columns = {name: column.tolist() for name, column in columns.items()}

    def _measured(self, measure: Callable[[], tuple[float, float]]) -> tuple[float, float]:
        try:
            loss, accuracy = measure()
            if not np.isfinite(loss):
                raise NotFinite(f"the validation loss is {loss}")
            return loss, accuracy
        except NotFinite as error:
            when = f"after {self.unit} {self.reports + 1}"
            raise TrainingDiverged(f"{when} {error}; a smaller learning rate helps") from None
