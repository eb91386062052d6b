"""Watching a training on sequences that it does not learn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument, NotFinite, TrainingDiverged
from myrnn.models import parameters_of
from myrnn.training._hooks import Report, TrainingStart

COLUMNS = ("validation_loss", "validation_accuracy")


class Validation:
    """The hook that keeps the weights of the best report, and ends a training that gets no better.

    A report stands for an epoch where there is one for each.

    Parameters
    ----------
    model : callable
        The model that is trained.
    measure : callable, optional
        Returns loss and accuracy on sequences that the model does not learn from. The best report is the one with the
        smallest loss there; without it the last one counts.
    patience : int, optional
        After how many reports without a smaller loss to stop.

    Attributes
    ----------
    columns : dict of str to list of float
        ``validation_loss`` and ``validation_accuracy`` at every report; empty without `measure`.
    reports, best : int
        How many there were, and which was the best, from 1; 0 before the first.
    """

    state_name = "validation"

    def __init__(
        self, model: Any, measure: Callable[[], tuple[float, float]] | None = None, patience: int | None = None
    ) -> None:
        self._parameters = parameters_of(model)
        if measure is not None and not callable(measure):
            raise InvalidArgument(f"measure must be a function, not {_checks.shown(measure)}")
        if patience is not None:
            _checks.integer("patience", patience, minimum=1)
        self._measure, self._patience = measure, patience
        self.columns: dict[str, list[float]] = {name: [] for name in COLUMNS}
        self.reports, self.best = 0, 0
        self._weights: list[NDArray[Any]] = []
        # Until a training begins there is nothing to stop.
        self._stop: Callable[[], None] = lambda: None

    @property
    def is_over(self) -> bool:
        """Whether patience has ended."""
        return self._patience is not None and self.reports - self.best >= self._patience

    def on_train_begin(self, start: TrainingStart) -> None:
        """Stop again a training that patience has ended."""
        if self.reports != start.reports:
            raise InvalidArgument(
                f"of {start.reports} reports of the training {self.reports} were validated: it cannot go on from there"
            )
        self._stop = start.stop
        if self.is_over:
            start.stop()

    def on_report(self, report: Report) -> None:
        """Measure, and keep the weights if they are the best so far."""
        found = None if self._measure is None else self._measured(self._measure)
        # Nothing of a report counts before all of it is there: an interrupt may come at any time.
        weights = [parameter.data.copy() for parameter in self._parameters]
        smallest = min(self.columns["validation_loss"], default=np.inf)
        self.reports += 1
        if found is None or found[0] < smallest:
            self.best, self._weights = self.reports, weights
        for name, value in zip(COLUMNS, found or (), strict=False):
            self.columns[name].append(value)
        if self.is_over:
            self._stop()

    def use_best(self) -> None:
        """Give the model the weights of the best report; raises InvalidArgument where there was none."""
        if not self._weights:
            raise InvalidArgument("there was no report yet, whose weights could be used")
        for parameter, weights in zip(self._parameters, self._weights, strict=True):
            parameter.data[...] = weights

    def state(self) -> dict[str, NDArray[Any]]:
        """Return what it remembers, as arrays."""
        columns = {name: np.array(values, dtype=np.float64) for name, values in self.columns.items()}
        weights = {f"best.{i}": array for i, array in enumerate(self._weights)}
        return {**columns, **weights, "reports": np.array([self.reports, self.best], dtype=np.int64)}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Restore a saved state.

        Raises
        ------
        InvalidArgument
            When it is no state of a training like this one.
        """
        counts = arrays.get("reports", np.empty(0))
        if counts.shape != (2,) or counts.dtype != np.int64 or not 0 <= counts[1] <= counts[0]:
            raise InvalidArgument("the state does not say how many reports were validated, and which was the best")
        reports, best = counts.tolist()
        weights = [arrays[f"best.{i}"] for i in range(len(self._parameters) if best else 0) if f"best.{i}" in arrays]
        fits = [(p.shape, p.dtype) == (w.shape, w.dtype) for p, w in zip(self._parameters, weights, strict=False)]
        columns = {name: arrays.get(name, np.empty(0)) for name in COLUMNS}
        measured = reports if self._measure is not None else 0
        if bool(best) != bool(reports) or len(weights) != (len(self._parameters) if best else 0) or not all(fits):
            raise InvalidArgument("the state has no best weights of this model's shapes")
        if any(c.shape != (measured,) or c.dtype != np.float64 for c in columns.values()):
            raise InvalidArgument(f"the state has not been validated at each of {reports} reports")
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
            raise TrainingDiverged(f"after epoch {self.reports + 1} {error}; a smaller learning rate helps") from None
