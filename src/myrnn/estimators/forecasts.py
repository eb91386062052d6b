"""Forecasts of a series with intervals, from sampled paths of several networks with errors that they made before.

References
----------
Hyndman and Athanasopoulos, "Forecasting: principles and practice", 3rd edition, 2021, section 5.5: prediction intervals
from bootstrapped residuals. Politis and Romano, "A circular block-resampling procedure for stationary data", 1992:
errors of consecutive steps together. Lakshminarayanan, Pritzel and Blundell, "Simple and scalable predictive
uncertainty estimation using deep ensembles", 2017.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.estimators.ahead import Ahead
from myrnn.estimators.forecaster import MOST_STEPS, SequenceForecaster, one_series
from myrnn.estimators.tables import check_names
from myrnn.plots import plot_forecast, style
from myrnn.results import Floats, Result, Table, digits_for, draws, integer, number

MOST_PATHS = 100_000
# Rows of the series drawn before a forecast, for each row of the forecast.
BEFORE = 3


@dataclass(frozen=True, repr=False, eq=False)
class Forecast(Result):
    """The forecast of a series.

    Attributes
    ----------
    series : ndarray, float64 (T,) or (T, C)
        The known rows.
    mean : ndarray, float64 (horizon,) or (horizon, C)
        The mean of the networks' forecasts, without added errors.
    low, high : ndarray, float64 (horizon,) or (horizon, C), or None
        The share `level` of all paths lies between them.
    level : float
    members : int
        The number of networks.
    columns : tuple of str or None
        The column names of the series, if the first network knows them.
    paths : ndarray, float64 (paths, horizon) or (paths, horizon, C), or None
        All paths. Use them for what the intervals do not say, such as the distribution of a sum over several steps.

    Examples
    --------
    >>> import numpy as np
    >>> series, mean, low, high = (np.array(rows) for rows in ([0.0, 0.5], [1.0, 1.5], [0.8, 1.1], [1.2, 1.9]))
    >>> ahead = Forecast(series, mean, low, high, level=0.9, members=1)
    >>> ahead
    Forecast(2 steps, 1 network)
    >>> ahead.rows()[1]
    {'step': 2, 'mean': 1.5, 'low': 1.1, 'high': 1.9}
    >>> axes = ahead.plot(truth=[0.9, 1.7])
    """

    series: Floats
    mean: Floats
    low: Floats | None
    high: Floats | None
    level: float
    members: int
    columns: tuple[str, ...] | None = None
    paths: Floats | None = None

    def __len__(self) -> int:
        """Return the horizon, the number of steps."""
        return len(self.mean)

    def table(self) -> Table:
        """Return the steps ahead, each with the mean and the interval of every column."""
        columns: dict[str, Any] = {"step": list(range(1, len(self) + 1))}
        shown = [integer("step")]
        for called, parts in self._by_column():
            spec = digits_for(list(parts.values()))
            for name, rows in parts.items():
                column = name if self.mean.ndim == 1 else f"{name} {called}"
                columns[column] = rows.tolist()
                shown.append(number(column, spec))
        return Table(f"Forecast ({_checks.count_of(self.members, 'network')})", columns, tuple(shown))

    def _by_column(self) -> Iterator[tuple[str, dict[str, Floats]]]:
        """Yield the name of each column, or its number, and its mean, low and high, float64 (horizon,)."""
        known = {"mean": self.mean, "low": self.low, "high": self.high}
        parts = {name: rows.reshape(len(self), -1) for name, rows in known.items() if rows is not None}
        names = self.columns or [str(place) for place in range(parts["mean"].shape[1])]
        for place, called in enumerate(names):
            yield called, {name: rows[:, place] for name, rows in parts.items()}

    def __repr__(self) -> str:
        """Show the horizon."""
        return f"Forecast({_checks.count_of(len(self), 'step')}, {_checks.count_of(self.members, 'network')})"


@draws(Forecast)
def plot_columns(forecast: Forecast, *, truth: ArrayLike | None = None, axes: Any = None) -> NDArray[Any]:
    """Draw each column in its own Axes: the end of the series, the forecast, and the rows `truth` that followed."""
    columns = list(forecast._by_column())
    panels = style.axes_for_each(len(columns), axes, "one Axes for each column", height=2.4 * len(columns) + 0.8)
    rows = forecast.series.reshape(len(forecast.series), -1).copy()
    rows[: -BEFORE * len(forecast)] = np.nan
    if truth is not None:
        later = _checks.array("truth", truth)
        if later.ndim != forecast.series.ndim or later.shape[1:] != forecast.series.shape[1:]:
            raise InvalidArgument(f"truth must have the columns of the series, but is of shape {later.shape}")
        rows = np.concatenate((rows, later.reshape(len(later), -1)))
    for place, (ax, (called, parts)) in enumerate(zip(panels, columns, strict=True)):
        low, high = parts.get("low"), parts.get("high")
        plot_forecast(rows[:, place], parts["mean"], begin=len(forecast.series), low=low, high=high, ax=ax)
        if forecast.columns is not None:
            ax.set_ylabel(called)
        ax.label_outer()
    return panels


def forecast(
    model: SequenceForecaster | Sequence[SequenceForecaster],
    series: ArrayLike,
    horizon: int,
    *,
    level: float = 0.9,
    paths: int = 1000,
    seed: int = 0,
) -> Forecast:
    """Forecast a series.

    Each network reads the series and then, repeatedly, its own predictions. For the intervals it does so along many
    paths, and adds to the steps of a path one-step errors that it made at consecutive steps of the series, less the
    mean error. The errors in the first quarter of the series are left out: the network had read little of it when it
    made them. If fewer than 20 are left, the errors on the validation rows of the training are drawn. Errors are
    smaller on a series that the network has learned; they are enlarged by as much as those on the validation rows
    are larger. Few errors leave their size open, so paths differ in it, and their intervals are wider. So the
    intervals include the uncertainty of the networks (their spread) and the noise that none of them can predict
    (the errors); but they assume that future errors are as large as past ones. Networks of differences add these up
    along every path, so the intervals are those of the series itself.

    A warning says how much of the series, or of the forecast, is outside of the numbers that were learned: a network
    knows nothing about them.

    Parameters
    ----------
    model : SequenceForecaster or sequence of them
        Several networks that were fitted with different seeds give wider, better intervals.
    series : array_like (T,) or (T, C)
        All known rows.
    horizon : int
        The number of rows to forecast.
    level : float in (0, 1)
        The share of the paths that lie in an interval.
    paths : int
        The total number of paths; with 0 there is no interval.
    seed : int
        Seed of the errors that are drawn.

    Returns
    -------
    Forecast

    Raises
    ------
    InvalidArgument
        When an argument is invalid, or there are fewer than five errors of the series and of the training.
    NotFinite
        When a forecast overflows.

    Examples
    --------
    >>> import numpy as np
    >>> from myrnn import SequenceForecaster, forecast
    >>> wave = np.sin(np.arange(200) / 5)
    >>> models = [SequenceForecaster(learning_rate=0.03, max_epochs=20, random_state=seed).fit(wave) for seed in (0, 1)]
    >>> forecast(models, wave, horizon=10)
    Forecast(10 steps, 2 networks)
    """
    members = [model] if isinstance(model, SequenceForecaster) else list(model)
    if not members or not all(isinstance(member, SequenceForecaster) for member in members):
        raise InvalidArgument(f"model must be a SequenceForecaster, or several, not {_checks.shown(model)}")
    horizon = _checks.integer("horizon", horizon, minimum=1, maximum=MOST_STEPS)
    level = _checks.real("level", level, above=0)
    if level >= 1:
        raise InvalidArgument(f"level must be below 1, not {level}")
    paths = _checks.integer("paths", paths, minimum=0, maximum=MOST_PATHS)
    rng = np.random.default_rng(_checks.integer("seed", seed, minimum=0))
    known = one_series(series)
    each = -(-paths // len(members))
    means, drawn = [], []
    for member in members:
        check_names(member, series)
        ahead = Ahead(member._run, member.engine, known)
        means.append(ahead.mean(horizon))
        if each:
            drawn.append(ahead.paths(ahead.errors(horizon, each, rng)))
    shape = (horizon,) if known.ndim == 1 else (horizon, known.shape[1])
    mean, columns = np.mean(means, axis=0).reshape(shape), members[0]._reader.columns
    if not paths:
        return Forecast(known, mean, None, None, level, len(members), columns)
    outside = (1 - level) / 2
    every = np.moveaxis(np.concatenate(drawn, axis=1), 1, 0).reshape(-1, *shape)
    low, high = np.quantile(every, [outside, 1 - outside], axis=0)
    return Forecast(known, mean, low, high, level, len(members), columns, every)
