"""Naive forecasts: the last value, or the value one season before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.evaluation.steps import Steps
from myrnn.results import Floats

LAST = "last"


def naive_forecast(
    targets: ArrayLike, offsets: ArrayLike, period: int = 1, *, horizon: int | Sequence[int] = 1
) -> Floats:
    """Return the naive forecast: the last known value, or the value one season before.

    Parameters
    ----------
    targets : array_like of float (S,) or (S, C)
        The values of N series, concatenated.
    offsets : array_like of int (N + 1,)
        The start of each series, and the end of the last one.
    period : int
        The length of the season; 1 for the last value.
    horizon : int or sequence of int (C,)
        How many steps ahead the forecasts are, for all columns or for each. A seasonal forecast takes the nearest value
        that is known by then.

    Returns
    -------
    ndarray, float64 (S, C)
        NaN if the same series has no earlier value.

    Raises
    ------
    InvalidArgument
        When an argument is invalid.

    References
    ----------
    Hyndman and Athanasopoulos, "Forecasting: principles and practice", 3rd edition, 2021, section 5.2.

    Examples
    --------
    >>> naive_forecast([1.0, 2.0, 3.0, 10.0, 20.0], [0, 3, 5]).ravel().tolist()
    [nan, 1.0, 2.0, nan, 10.0]
    """
    truth = number_rows("targets", targets)
    _checks.finite("targets", truth)
    return shifted(truth, Steps.given(offsets, len(truth)), period, horizon)


def shifted(truth: Floats, steps: Steps, period: int, horizon: int | Sequence[int]) -> Floats:
    """Compute `naive_forecast` for checked values (S, C)."""
    season = _checks.integer("period", period, minimum=1)
    forecast = np.full(truth.shape, np.nan)
    for column, ahead in enumerate(_horizons(horizon, truth.shape[1])):
        back = season * -(-ahead // season)
        known = np.flatnonzero(steps.position > back)
        forecast[known, column] = truth[known - back, column]
    return forecast


def _horizons(given: int | Sequence[int], columns: int) -> list[int]:
    if isinstance(given, int | np.integer):
        return [_checks.integer("horizon", given, minimum=1)] * columns
    horizons = _checks.integers("horizon", given, minimum=1, maximum=2**31).tolist()
    if len(horizons) != columns:
        raise InvalidArgument(f"horizon must be one number, or one for each column, {columns} in all, not {given!r}")
    return horizons


def naive_name(period: int) -> str:
    """Return the name of the forecast with this period."""
    return "the last value" if period == 1 else f"the value {period:,} steps before"


def number_rows(name: str, given: Any) -> Floats:
    """Return numbers (S,) or (S, C) as float64 (S, C)."""
    values = _checks.array(name, given)
    if values.ndim not in (1, 2) or not values.size or values.dtype.kind not in "biuf":
        raise InvalidArgument(
            f"{name} must be numbers of shape (S,) or (S, C), of at least one row, not {values.dtype} of shape "
            f"{values.shape}"
        )
    return values.reshape(len(values), -1).astype(np.float64)


def naive_of(
    given: Any, truth: Floats, steps: Steps | None, horizon: int | Sequence[int]
) -> tuple[str | None, Floats | None]:
    """Return the name of a naive forecast, and its numbers; NaN where there is none."""
    if given is None:
        return None, None
    name = "the forecasts given as naive"
    if isinstance(given, Mapping) and len(given) == 1:
        ((name, given),) = given.items()
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
    return name, forecast
