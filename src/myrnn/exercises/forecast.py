"""Is a student's naive forecast right? It is compared with the values of the last season."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn._checks import shown
from myrnn.exercises.answers import naive_forecast
from myrnn.exercises.report import Checklist, ExerciseReport, name_of

SERIES = np.array([9.0, 7.0, 8.0, 1.0, 4.0, 2.0, 3.0, 6.0, 5.0])


def check_naive_forecast(fn: Callable[..., Any]) -> ExerciseReport:
    """Check a student's naive and seasonal naive forecast, ``naive_forecast`` of the lesson.

    Parameters
    ----------
    fn : callable
        ``fn(series, horizon, period=1)`` with `series` float64 (T,) returns the next `horizon` values, an array: those
        of the last season, repeated.

    Returns
    -------
    ExerciseReport
        ``.ok`` and one line for each property. An exception of `fn` is a property that does not hold.

    Raises
    ------
    InvalidArgument
        When `fn` is not a function.

    Examples
    --------
    >>> import numpy as np
    >>> check_naive_forecast(lambda series, horizon, period=1: 0 * np.arange(horizon)).failed[0].detail
    'After ... 6, 5 with period=1 it returns 0, 0, 0, 0, not 5, 5, 5, 5.'
    """
    return checks.run(name_of(fn), fn)


checks = Checklist()


@checks("It takes series and horizon, and period if it is given.")
def _called(fn: Callable[..., Any]) -> str:
    fn(SERIES.copy(), 4)
    fn(SERIES.copy(), 4, 3)
    fn(SERIES.copy(), horizon=4, period=3)
    return ""


@checks("It returns an array of horizon numbers.", _called)
def _shape(fn: Callable[..., Any]) -> str:
    for horizon, period in ((4, 1), (4, 3), (1, 3), (7, 3), (20, 9)):
        said = fn(SERIES.copy(), horizon, period)
        if not isinstance(said, np.ndarray):
            kind = "nothing: is the return missing?" if said is None else f"{shown(said)}, which is not an array."
            return f"It returned {kind}"
        if said.shape != (horizon,) or said.dtype.kind not in "fiu":
            return f"With horizon={horizon}, period={period} it returned {said.dtype} of shape {said.shape}."
    return ""


@checks("Without a period every value is the last one that is known.", _shape)
def _last(fn: Callable[..., Any]) -> str:
    return _wrong(fn(SERIES.copy(), 4), 1)


@checks("With a period the forecast begins with the value of one season before.", _shape)
def _begins(fn: Callable[..., Any]) -> str:
    for horizon, period in ((1, 3), (2, 4), (3, 3), (4, 9)):
        wrong = _wrong(fn(SERIES.copy(), horizon, period), period)
        if wrong:
            return wrong
    return ""


@checks("A horizon longer than a season repeats the last season.", _begins)
def _repeats(fn: Callable[..., Any]) -> str:
    for horizon, period in ((6, 2), (7, 3), (20, 9)):
        wrong = _wrong(fn(SERIES.copy(), horizon, period), period)
        if wrong:
            return wrong
    return ""


@checks("The series stays unchanged.", _called)
def _unchanged(fn: Callable[..., Any]) -> str:
    series = SERIES.copy()
    fn(series, 7, 3)
    return "" if np.array_equal(series, SERIES) else f"{_listed(SERIES)} became {_listed(series)}."


def _wrong(said: NDArray[Any], period: int) -> str:
    """Say how a forecast differs from the right one, or return an empty string."""
    right = naive_forecast(SERIES, len(said), period)
    if np.array_equal(said, right):
        return ""
    known = _listed(SERIES[-max(period, 2) :])
    return f"After ... {known} with period={period} it returns {_listed(said)}, not {_listed(right)}."


def _listed(values: NDArray[Any]) -> str:
    return ", ".join(f"{value:g}" for value in values.tolist())
