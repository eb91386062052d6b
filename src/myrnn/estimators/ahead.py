"""Continuation of a series by a network that reads its own predictions."""

from __future__ import annotations

from typing import Any

import numpy as np

from myrnn import _checks
from myrnn.compiler import CompiledModel
from myrnn.errors import CompileError, InvalidArgument, NotFinite
from myrnn.finite import check_lost, is_lost, sequences_of
from myrnn.results import Floats
from myrnn.runs.one_step import drawn_errors
from myrnn.runs.reader import DataReader
from myrnn.runs.trained import Run
from myrnn.sequences import Sequences
from myrnn.training.outputs import reference_logits


class Ahead:
    """A network that has read a series and continues it."""

    def __init__(self, run: Run, engine: str, series: Floats) -> None:
        assert isinstance(run.reader, DataReader)
        self._model, self._reader = run.model, run.reader
        # The rows of the series (T, C), and what the network reads: these, or their differences.
        self._rows = series.reshape(len(series), -1)
        if len(series) <= (undefined := self._reader.targets.differences.undefined_rows):
            have = _checks.count_of(len(series), "row")
            raise InvalidArgument(
                f"series has {have}, but with the differences of the network at least {undefined + 1}"
            )
        self._known = self._reader.read([self._rows])
        self.width = self._known.dim_input
        self._compiled: CompiledModel | None = None
        if engine != "mygrad":
            try:
                start = run.compiled.start()
                self._compiled = run.compiled
            except CompileError:
                if engine == "native":
                    raise
        # The predictions after each known row, float32 (T, C).
        if self._compiled is not None:
            self._state, self._predictions = self._compiled.step(start, self._known.values)
        else:
            self._predictions = reference_logits(run.model, self._known)

    def errors(self, horizon: int, paths: int, rng: np.random.Generator) -> Floats:
        """Draw the errors of future steps from those of the series and of the training, in standard deviations."""
        check_lost(sequences_of(is_lost(self._predictions), self._known), self._known.lengths)
        assert self._reader.errors is not None
        made = self._known.values[1:] - self._predictions[:-1].astype(np.float64)
        return drawn_errors(made, self._reader.errors, horizon, paths, rng)

    def mean(self, horizon: int) -> Floats:
        """Return the continuation without errors, float64 (horizon, C); warn if it leaves the trained range."""
        learned = self._decoded(np.zeros((horizon, 1, self.width)))
        self._reader.warn_of_range(learned[:, 0], "steps of the forecast")
        return self._continued(learned)[:, 0]

    def paths(self, errors: Floats) -> Floats:
        """Return continuations of the series with these errors, in its units, float64 (horizon, paths, C)."""
        return self._continued(self._decoded(errors))

    def _continued(self, learned: Floats) -> Floats:
        return self._reader.targets.differences.continued(self._rows, learned)

    def _decoded(self, errors: Floats) -> Floats:
        """Return what the network continues, the series or its differences, in its units."""
        found = self._natively(errors) if self._compiled is not None else self._op_by_op(errors)
        if not np.isfinite(found).all():
            step = int((~np.isfinite(found)).any(axis=(1, 2)).argmax())
            raise NotFinite(f"the forecast is not finite after {_checks.count_of(step, 'step')}")
        inner: Any = self._reader.targets.inner
        rows: Floats = inner.decode(found.reshape(-1, self.width)).reshape(found.shape)
        return rows

    def _natively(self, errors: Floats) -> Floats:
        assert self._compiled is not None
        state = self._state.repeated(errors.shape[1])
        found, row = np.empty(errors.shape), np.repeat(self._predictions[-1:], errors.shape[1], axis=0)
        for step, error in enumerate(errors):
            found[step] = row + error
            if step + 1 < len(errors):
                state, row = self._compiled.step(state, found[step].astype(np.float32))
        return found

    def _op_by_op(self, errors: Floats) -> Floats:
        found = np.empty(errors.shape)
        for path in range(errors.shape[1]):
            rows = self._known.values
            for step in range(len(errors)):
                given = Sequences(rows, [0, len(rows)], np.zeros_like(rows), per_step=True)
                found[step, path] = reference_logits(self._model, given)[-1] + errors[step, path]
                rows = np.concatenate([rows, found[step, path].astype(np.float32)[np.newaxis]])
        return found
