"""A test of a model that predicts numbers: for the next step of a series, or for a whole sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.evaluation.baselines import Baselines, check_baselines, gains_of, table_with_baselines
from myrnn.evaluation.buckets import StepBuckets, by_position
from myrnn.evaluation.naive import naive_name, number_rows, shifted
from myrnn.evaluation.scores import (
    NUMBERS,
    Estimate,
    number_scores,
    plain_scores,
    scores_table,
)
from myrnn.evaluation.steps import Steps, warn_of_lost_steps
from myrnn.results import Floats, HasTable, Table

LAST = "last"


@dataclass(frozen=True, repr=False, eq=False)
class NumberReport(HasTable):
    """The errors of a model that predicts numbers.

    Attributes
    ----------
    scores : dict of str to Estimate
        Over all columns: ``mae`` and ``rmse``, the mean absolute error and the root mean squared error of all numbers;
        ``r2``, the mean R² of the columns; and ``skill``, the mean of their skills, if there is a naive forecast. Each
        has an interval.
    column_scores : list of dict of str to Estimate
        The same for each of the C columns.
    columns : tuple of str
        Their names.
    rows_tested : int
        The number of steps, or of sequences with one row each.
    not_finite : int
        The number of rows with predictions that are not finite: measures computed from them are NaN.
    naive : str or None
        The name of the naive forecast, such as ``"the last value"``.
    naive_rows : int
        The number of rows with a naive forecast; the skill is measured on these.
    positions : StepBuckets or None
        ``mae`` and ``rmse`` over all columns by the position of the step; None without `offsets`.
    clusters : str
        The sampling units of the intervals, such as ``"200 sequences"`` or ``"30 blocks"``.
    baselines : Baselines or None
        Scores of simple forecasts on the same sequences.
    gains : dict of str to Estimate
        For each baseline by name, how much smaller the mean absolute error of the model is, with the interval of the
        difference.
    confidence : float
        The level of the intervals.

    Examples
    --------
    >>> from myrnn.evaluation import number_report
    >>> report = number_report([1.0, 2.0, 4.0, 3.0], [1.5, 2.0, 3.0, 3.0])
    >>> report
    NumberReport(4 rows, MAE 0.375, RMSE 0.559, R² 0.750)
    >>> report.mae, report.skill, report.table().columns["model"]
    (0.375, None, ['the model'])
    """

    scores: dict[str, Estimate]
    column_scores: list[dict[str, Estimate]]
    columns: tuple[str, ...]
    rows_tested: int
    not_finite: int
    naive: str | None
    naive_rows: int
    positions: StepBuckets | None
    clusters: str
    baselines: Baselines | None
    gains: dict[str, Estimate]
    confidence: float = 0.95

    @property
    def mae(self) -> float:
        """The mean absolute error of all numbers."""
        return self.scores["mae"].value

    @property
    def rmse(self) -> float:
        """The root mean squared error of all numbers."""
        return self.scores["rmse"].value

    @property
    def r2(self) -> float:
        """The mean R² of the columns; NaN if none of them varies."""
        return self.scores["r2"].value

    @property
    def skill(self) -> float | None:
        """1 minus the ratio of the squared error to that of the naive forecast, averaged over the columns.

        It is 1 for perfect forecasts, 0 for forecasts as good as the naive one and negative for worse ones; None
        without a naive forecast.
        """
        return self.scores["skill"].value if "skill" in self.scores else None

    def __repr__(self) -> str:
        """Show the errors."""
        skill = "" if self.skill is None else f", skill {self.skill:.3f} against {self.naive}"
        word = "step" if self.positions is not None else "row"
        return (
            f"NumberReport({_checks.count_of(self.rows_tested, word)}, MAE {self.mae:.4g}, RMSE {self.rmse:.4g}, "
            f"R² {self.r2:.3f}{skill})"
        )

    def numbers(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
        return {
            "rows": self.rows_tested,
            "not_finite": self.not_finite,
            "naive": self.naive,
            "naive_rows": self.naive_rows,
            **plain_scores(self.scores),
            "confidence": self.confidence,
            "columns": {
                name: plain_scores(scores) for name, scores in zip(self.columns, self.column_scores, strict=True)
            },
            "baselines": self.table().rows()[1:],
            "positions": None if self.positions is None else self.positions.rows(),
        }

    def table(self) -> Table:
        """Return the errors of the model, and below them those of the baselines, over all columns.

        Its columns are ``model``, ``mae``, ``rmse``, ``r2``, with a naive forecast ``skill``, and the ends of their
        intervals, such as ``mae_low``.
        """
        title = self._title("Numbers")
        return table_with_baselines(title, NUMBERS, self.scores, self.baselines, self.gains, self._note())

    def column_table(self) -> Table:
        """Return the errors of the model in every column; the columns are those of `table`, with the name first."""
        scores = dict(zip(self.columns, self.column_scores, strict=True))
        return scores_table(self._title("Numbers by column"), NUMBERS, scores, self._note())

    def plot(self, ax: Any = None) -> Any:
        """Draw the RMSE by position, with that of the best baseline, and return the Matplotlib axes.

        Raises
        ------
        InvalidArgument
            When the report was made without `offsets` and has no positions.
        """
        if self.positions is None:
            raise InvalidArgument("there are no positions to draw: number_report was called without offsets")
        levels = None
        if self.baselines is not None:
            best = self.baselines.best
            levels = {best: self.baselines.scores[best]["rmse"].value}
        return self.positions.plot(ax, measure="rmse", levels=levels)

    def _title(self, what: str) -> str:
        return f"{what} ({self.confidence:.0%} intervals, of {self.clusters})"

    def _note(self) -> str | None:
        notes = []
        if self.naive is not None:
            notes.append(f"skill: against {self.naive}, in {self.naive_rows:,} of {self.rows_tested:,} rows")
        if self.not_finite:
            notes.append(f"predictions of {_checks.count_of(self.not_finite, 'row')} are not finite")
        return "; ".join(notes) or None


def number_report(
    targets: ArrayLike,
    predictions: ArrayLike,
    offsets: ArrayLike | None = None,
    confidence: float = 0.95,
    *,
    naive: str | int | ArrayLike | None = None,
    horizon: int | Sequence[int] = 1,
    names: Sequence[str] | None = None,
    baselines: Baselines | None = None,
) -> NumberReport:
    """Compare the numbers that a model predicts with the true ones.

    Parameters
    ----------
    targets : array_like of float (S,) or (S, C)
        The true values at every step of all N sequences, concatenated, or one row for each sequence.
    predictions : array_like of float, shape of `targets`
        The predictions of the model. Measures computed from predictions that are not finite are NaN; a warning says how
        many rows there are.
    offsets : array_like of int (N + 1,), optional
        The start of each sequence, and the end of the last one; by default each row is independent.
    confidence : float
        The level of the intervals.
    naive : {"last"}, int or array_like, optional
        The forecast to compare with: the last known value, the value this many steps before (a season), or forecasts in
        the shape of `targets`, NaN where there is none.
    horizon : int or sequence of int (C,)
        How many steps after the input the targets are, for all columns or for each: a naive forecast knows no later
        value.
    names : sequence of str (C,), optional
        The names of the columns; by default their numbers.
    baselines : Baselines, optional
        The result of `number_baselines` for the same sequences, shown below the model.

    Returns
    -------
    NumberReport

    Raises
    ------
    InvalidArgument
        When the arrays do not fit together or hold no row, a target is not finite, or a naive forecast needs
        `offsets`.

    Notes
    -----
    R² is 1 minus the ratio of the squared error to that of the mean of the test targets; a constant column has none.
    MAE and RMSE over several columns are those of all their numbers, whatever their units.

    Intervals are those of cluster samples, over sequences, as in `ratio_interval`: of a ratio of sums for MAE, R² and
    skill, and of the root of one for RMSE. With fewer than 10 sequences the clusters are blocks of consecutive steps,
    about 30 in all.

    References
    ----------
    Murphy, "Skill scores based on the mean square error and their relationships to the correlation coefficient",
    Monthly Weather Review 116, 1988. Hyndman and Athanasopoulos, "Forecasting: principles and practice", 3rd edition,
    2021, section 5.2 (naive and seasonal naive forecasts).

    Examples
    --------
    >>> report = number_report([1.0, 2.0, 4.0, 3.0], [1.0, 2.5, 3.5, 3.0], [0, 4], naive="last")
    >>> report.mae, round(report.r2, 3), round(report.skill, 3)
    (0.25, 0.9, 0.917)
    """
    level = _checks.real("confidence", confidence, above=0, below=1)
    truth, said = number_rows("targets", targets), number_rows("predictions", predictions)
    _checks.finite("targets", truth)
    if said.shape != truth.shape:
        raise InvalidArgument(f"predictions must be of the shape of the targets, {truth.shape}, not {said.shape}")
    rows, count = truth.shape
    steps = Steps.given(np.arange(rows + 1) if offsets is None else offsets, rows)
    check_baselines(baselines, NUMBERS, steps)
    called = [str(column) for column in range(count)] if names is None else [str(one) for one in names]
    if len(called) != count:
        raise InvalidArgument(f"names must be one for each column, {count} in all, not {len(called)}")
    naive_name, forecast = _naive(naive, truth, None if offsets is None else steps, horizon)
    lost = ~np.isfinite(said).all(axis=1)
    warn_of_lost_steps(lost, steps, "predictions", "errors that are computed from them are NaN")
    errors = np.where(np.isfinite(said), said, np.nan) - truth
    together, each = number_scores(errors, truth, steps, None if forecast is None else forecast - truth, level)
    by_step = {"mae": np.abs(errors).mean(axis=1), "rmse": (errors**2).mean(axis=1)}
    return NumberReport(
        together,
        each,
        tuple(called),
        rows,
        int(lost.sum()),
        naive_name,
        0 if forecast is None else int((~np.isnan(forecast)).any(axis=1).sum()),
        None if offsets is None else by_position(steps, by_step, level),
        steps.cluster_count if offsets is not None else _checks.count_of(rows, "row"),
        baselines,
        gains_of(baselines, steps.sums(by_step["mae"]), level),
        level,
    )


def _naive(
    given: Any, truth: Floats, steps: Steps | None, horizon: int | Sequence[int]
) -> tuple[str | None, Floats | None]:
    """Return the name of a naive forecast, and its numbers; NaN where there is none."""
    if given is None:
        return None, None
    if isinstance(given, str):
        _checks.one_of("naive", given, (LAST,))
    if isinstance(given, str | int | np.integer) and not isinstance(given, bool):
        if steps is None:
            raise InvalidArgument(f"naive={given!r} needs offsets, which say where each series begins")
        period = 1 if isinstance(given, str) else _checks.integer("naive", given, minimum=1)
        forecast = shifted(truth, steps, period, horizon)
        if np.isnan(forecast).all():
            raise InvalidArgument(f"naive={given!r} has no forecast: no series is long enough")
        return naive_name(period), forecast
    forecast = number_rows("naive", given)
    if forecast.shape != truth.shape or np.isinf(forecast).any() or np.isnan(forecast).all():
        raise InvalidArgument(
            f"naive must be 'last', a period, or numbers in the shape of the targets, {truth.shape}, NaN where there "
            f"is no forecast, not {_checks.shown(given)}"
        )
    return "the forecasts given as naive", forecast
