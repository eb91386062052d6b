"""How a series goes on, with intervals: paths that several networks draw, each with errors that they have made before.

References
----------
Hyndman and Athanasopoulos, "Forecasting: principles and practice", 3rd edition, 2021, section 5.5: prediction intervals
from bootstrapped residuals. Lakshminarayanan, Pritzel and Blundell, "Simple and scalable predictive uncertainty
estimation using deep ensembles", 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.estimators.ahead import Ahead
from myrnn.estimators.forecaster import MOST_STEPS, SequenceForecaster, one_series
from myrnn.estimators.tables import check_names
from myrnn.results import HasTable, Table, integer, number

MOST_PATHS = 100_000

Floats = NDArray[np.float64]


@dataclass(frozen=True, repr=False, eq=False)
class Forecast(HasTable):
    """How a series is said to go on.

    Attributes
    ----------
    mean : ndarray, float64 (horizon,) or (horizon, C)
        The mean of what the networks say, each from its own rows before.
    low, high : ndarray, float64 (horizon,) or (horizon, C), or None
        Between them lies the share `level` of all paths.
    level : float
    members : int
        How many networks there are.
    columns : tuple of str or None
        What the columns of the series are called, where the first network knows it.
    """

    mean: Floats
    low: Floats | None
    high: Floats | None
    level: float
    members: int
    columns: tuple[str, ...] | None = None

    def __len__(self) -> int:
        """Return the horizon: how many steps there are."""
        return len(self.mean)

    def table(self) -> Table:
        """Return the steps ahead, and for each the mean and the interval of every column."""
        columns: dict[str, Any] = {"step": list(range(1, len(self) + 1))}
        shown = [integer("step")]
        parts = {"mean": self.mean, "low": self.low, "high": self.high}
        count = 1 if self.mean.ndim == 1 else self.mean.shape[1]
        for place, called in enumerate(range(count) if self.columns is None else self.columns):
            for name, rows in parts.items():
                if rows is not None:
                    column = name if self.mean.ndim == 1 else f"{name} {called}"
                    columns[column] = rows.reshape(len(self), -1)[:, place].tolist()
                    shown.append(number(column, ".4g"))
        return Table(f"Forecast ({_checks.count_of(self.members, 'network')})", columns, tuple(shown))

    def __repr__(self) -> str:
        """Say how far it goes."""
        return f"Forecast({_checks.count_of(len(self), 'step')}, {_checks.count_of(self.members, 'network')})"


def forecast(
    model: SequenceForecaster | Sequence[SequenceForecaster],
    series: ArrayLike,
    horizon: int,
    *,
    level: float = 0.9,
    paths: int = 1000,
    seed: int = 0,
) -> Forecast:
    """Say how a series goes on.

    Each network reads the series and then, again and again, what it said itself. For the intervals it does so along
    many paths, and adds to each step of each an error that it made somewhere in the series when it said one step ahead.
    So the intervals hold what the networks do not know together (their spread) and what none of them can know (the
    errors); but they assume that errors stay as large as they were.

    Parameters
    ----------
    model : SequenceForecaster or sequence of them
        Several that were fitted with different seeds have wider, better intervals.
    series : array_like (T,) or (T, C)
        All rows that are known.
    horizon : int
        How many rows to say.
    level : float in (0, 1)
        The share of the paths that an interval holds.
    paths : int
        How many there are in all; with 0 there is no interval.
    seed : int
        Of the errors that are drawn.

    Raises
    ------
    InvalidArgument
        When an argument is not what it should be, or the series is too short to know errors of.
    NotFinite
        When a forecast grows beyond all bounds.

    Examples
    --------
    >>> import numpy as np
    >>> from myrnn import SequenceForecaster, forecast
    >>> wave = np.sin(np.arange(200) / 5)
    >>> models = [SequenceForecaster(dim_recurrent=4, max_epochs=2, random_state=seed).fit(wave) for seed in (0, 1)]
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
        ahead = Ahead(member._fitted, member.engine, known)
        means.append(ahead.paths(horizon, ahead.without_errors(horizon))[:, 0])
        if each:
            drawn.append(ahead.paths(horizon, ahead.errors(horizon, each, rng)))
    shape = (horizon,) if known.ndim == 1 else (horizon, known.shape[1])
    mean, columns = np.mean(means, axis=0).reshape(shape), members[0]._fitted.columns
    if not paths:
        return Forecast(mean, None, None, level, len(members), columns)
    outside = (1 - level) / 2
    low, high = np.quantile(np.concatenate(drawn, axis=1), [outside, 1 - outside], axis=1)
    return Forecast(mean, low.reshape(shape), high.reshape(shape), level, len(members), columns)
