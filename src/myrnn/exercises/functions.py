"""Are a student's functions of the lesson's second part right? They make targets, draw symbols and forecast a series.

Draws are counted; a forecast is compared with the values of the last season.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from myrnn._checks import count_of, shown
from myrnn.exercises.answers import naive_forecast
from myrnn.exercises.report import Checklist, ExerciseReport, is_unlikely, name_of, returned

TEXTS = ((3, 1, 4, 1, 5, 9, 2, 6), (7, 0, 7, 7, 2), (0, 1))
# The scores of a draw, and the number of draws.
SCORES = np.array([1.0, -1.0, 2.0, 0.5], dtype=np.float32)
DRAWS = 4000
TEMPERATURES = (0.5, 2.0)
SERIES = np.array([9.0, 7.0, 8.0, 1.0, 4.0, 2.0, 3.0, 6.0, 5.0])


# The targets of a text -----------------------------------------------------------------------------------------------


def check_next_symbols(fn: Callable[..., Any]) -> ExerciseReport:
    """Check the inputs and targets that a student makes of a text, ``next_symbols`` of the lesson.

    Parameters
    ----------
    fn : callable
        ``fn(tokens)`` with `tokens` int64 (T,) returns ``(x, y)``, integers (T - 1,): ``y[t]`` comes after ``x[t]``.

    Returns
    -------
    ExerciseReport
        ``.ok`` and one line for each property.

    Raises
    ------
    InvalidArgument
        When `fn` is not a function.

    Examples
    --------
    >>> check_next_symbols(lambda tokens: (tokens, tokens)).failed[0].detail
    'Of 8 symbols x has 8 and y 8, not 7 each: nothing is known to follow the last one.'
    """
    return target_checks.run(name_of(fn), fn)


target_checks = Checklist()


def _pairs(fn: Callable[..., Any]) -> list[tuple[list[int], Any, Any]]:
    return [(list(text), *fn(np.array(text))) for text in TEXTS]


@target_checks("It returns (x, y): two arrays of integers.")
def _two_arrays(fn: Callable[..., Any]) -> Iterator[str]:
    for text in TEXTS:
        given = fn(np.array(text))
        if not isinstance(given, tuple | list):
            yield f"It returned {returned(given)}"
        if len(given) != 2:
            yield f"It returned {count_of(len(given), 'value')}, not 2."
        for name, part in zip("xy", given, strict=True):
            if not isinstance(part, np.ndarray) or part.ndim != 1 or part.dtype.kind not in "iu":
                yield f"{name} is {shown(part)} and must be an array of integers, one for each step."


@target_checks("Of T symbols, x and y have T - 1 each.", _two_arrays)
def _lengths(fn: Callable[..., Any]) -> Iterator[str]:
    for text, x, y in _pairs(fn):
        if len(x) != len(text) - 1 or len(y) != len(text) - 1:
            have = f"Of {len(text)} symbols x has {len(x)} and y {len(y)}, not {len(text) - 1} each"
            yield f"{have}: nothing is known to follow the last one."


@target_checks("x begins with the first symbol and leaves out the last one.", _lengths)
def _inputs(fn: Callable[..., Any]) -> Iterator[str]:
    for text, x, _ in _pairs(fn):
        if x.tolist() != text[:-1]:
            yield f"For {text} x is {x.tolist()}."


@target_checks("y[t] is the symbol that comes right after x[t].", _lengths)
def _targets(fn: Callable[..., Any]) -> Iterator[str]:
    for text, x, y in _pairs(fn):
        if y.tolist() == text[1:]:
            continue
        if x.tolist() == text[1:] and y.tolist() == text[:-1]:
            yield "y[t] comes before x[t]: x and y are the other way round."
        if y.tolist() == x.tolist():
            yield f"For {text} y is x itself: the model would only have to repeat what it reads."
        yield f"For {text} y is {y.tolist()}, not {text[1:]}."


@target_checks("The text stays unchanged.", _two_arrays)
def _unchanged(fn: Callable[..., Any]) -> Iterator[str]:
    tokens = np.array(TEXTS[0])
    fn(tokens)
    if tokens.tolist() != list(TEXTS[0]):
        yield f"{list(TEXTS[0])} became {tokens.tolist()}."


# Drawing a symbol ----------------------------------------------------------------------------------------------------


def check_draw_symbol(fn: Callable[..., Any]) -> ExerciseReport:
    """Check a student's function that draws a symbol with a temperature, ``draw_symbol`` of the lesson.

    It is called some thousand times for each temperature. A right answer fails less than once in a million checks.

    Parameters
    ----------
    fn : callable
        ``fn(scores, temperature)`` with `scores` float32 (K,) returns an integer from 0 to K - 1.

    Returns
    -------
    ExerciseReport
        ``.ok`` and one line for each property.

    Raises
    ------
    InvalidArgument
        When `fn` is not a function.

    Examples
    --------
    >>> check_draw_symbol(lambda scores, temperature: int(scores.argmax())).failed[0].detail
    'All of 4,000 draws gave 2: is it drawn at random, without a seed inside?'
    """
    return draw_checks.run(name_of(fn), fn)


draw_checks = Checklist()


@draw_checks("It returns one integer, 0 to K - 1.")
def _one_integer(fn: Callable[..., Any]) -> Iterator[str]:
    for size in (4, 1, 30):
        drawn = fn(np.linspace(-1, 1, size, dtype=np.float32), 1.0)
        kinds = int | np.integer | np.ndarray
        if np.ndim(drawn) or not isinstance(drawn, kinds) or np.asarray(drawn).dtype.kind not in "iu":
            yield f"It returned {returned(drawn, f', of type {type(drawn).__name__}, which is not an integer.')}"
        if not 0 <= int(drawn) < size:
            yield f"Of {count_of(size, 'score')} it drew number {int(drawn)}."


@draw_checks("With temperature 1, symbols come as often as the softmax of the scores says.", _one_integer)
def _as_softmax(fn: Callable[..., Any]) -> Iterator[str]:
    counts = _counts(fn, SCORES, 1.0)
    if counts.max() == DRAWS:
        yield f"All of {DRAWS:,} draws gave {counts.argmax()}: is it drawn at random, without a seed inside?"
    yield _wrong_share(counts, 1.0)


@draw_checks("The scores are divided by the temperature before their softmax.", _as_softmax)
def _divided(fn: Callable[..., Any]) -> Iterator[str]:
    for temperature in TEMPERATURES:
        counts = _counts(fn, SCORES, temperature)
        wrong = _wrong_share(counts, temperature)
        if not wrong:
            continue
        if not _wrong_share(counts, 1.0):
            yield f"{wrong} Is the temperature used?"
        if not _wrong_share(counts, 1 / temperature):
            yield f"{wrong} Are the scores multiplied by the temperature?"
        yield wrong


@draw_checks("With temperature 0 it is always the largest score.", _one_integer)
def _coldest(fn: Callable[..., Any]) -> Iterator[str]:
    with np.errstate(all="ignore"):
        counts = _counts(fn, SCORES, 0.0, 200)
    if counts.argmax() != SCORES.argmax() or counts.max() < 200:
        yield f"For {SCORES.tolist()} it drew number {int(np.flatnonzero(counts)[0])}, not always {SCORES.argmax()}."


@draw_checks("Scores may have any size.", _as_softmax)
def _large(fn: Callable[..., Any]) -> Iterator[str]:
    hint = "np.exp overflows there: subtract the largest score first, which changes no probability."
    for scores, temperature in (
        ([1000.0, 0.0, 1000.0], 1.0),
        ([-2000.0, -1000.0, -2000.0], 1.0),
        ([9.0, 0.0, 9.0], 0.01),
    ):
        values = np.array(scores, dtype=np.float32)
        try:
            with np.errstate(all="ignore"):
                counts = _counts(fn, values, temperature, 50)
        except (ValueError, FloatingPointError):
            yield f"For {scores} at temperature {temperature:g} it raised an error. {hint}"
        if counts[values < values.max()].any():
            yield f"For {scores} at temperature {temperature:g} it drew a symbol that is next to impossible. {hint}"


@draw_checks("The scores stay unchanged.", _one_integer)
def _scores_unchanged(fn: Callable[..., Any]) -> Iterator[str]:
    scores = SCORES.copy()
    fn(scores, 0.5)
    if not np.array_equal(scores, SCORES):
        yield f"{SCORES.tolist()} became {scores.tolist()}."


def _counts(
    fn: Callable[..., Any], scores: NDArray[np.float32], temperature: float, draws: int = DRAWS
) -> NDArray[np.int64]:
    """Return how often each symbol is drawn."""
    drawn = [int(fn(scores.copy(), temperature)) for _ in range(draws)]
    return np.bincount(drawn, minlength=len(scores))


def _wrong_share(counts: NDArray[np.int64], temperature: float) -> str:
    """Say which symbol is drawn too often or too rarely, or return an empty string."""
    shares = scipy.special.softmax(SCORES.astype(np.float64) / temperature)
    total = int(counts.sum())
    for symbol, (count, share) in enumerate(zip(counts.tolist(), shares.tolist(), strict=True)):
        if is_unlikely(count, total, share):
            found = f"number {symbol} was drawn in {count / total:.1%} of {total:,} draws, not in {share:.1%}"
            return f"For {SCORES.tolist()} at temperature {temperature:g}, {found}."
    return ""


# Forecasting a series ------------------------------------------------------------------------------------------------


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
        ``.ok`` and one line for each property.

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
    return forecast_checks.run(name_of(fn), fn)


forecast_checks = Checklist()


@forecast_checks("It takes series and horizon, and period if it is given.")
def _called(fn: Callable[..., Any]) -> None:
    fn(SERIES.copy(), 4)
    fn(SERIES.copy(), 4, 3)
    fn(SERIES.copy(), horizon=4, period=3)


@forecast_checks("It returns an array of horizon numbers.", _called)
def _numbers(fn: Callable[..., Any]) -> Iterator[str]:
    for horizon, period in ((4, 1), (4, 3), (1, 3), (7, 3), (20, 9)):
        answer = fn(SERIES.copy(), horizon, period)
        if not isinstance(answer, np.ndarray):
            yield f"It returned {returned(answer, ', which is not an array.')}"
        if answer.shape != (horizon,) or answer.dtype.kind not in "fiu":
            yield f"With horizon={horizon}, period={period} it returned {answer.dtype} of shape {answer.shape}."


@forecast_checks("Without a period every value is the last one that is known.", _numbers)
def _last(fn: Callable[..., Any]) -> Iterator[str]:
    yield _wrong_values(fn(SERIES.copy(), 4), 1)


@forecast_checks("With a period the forecast begins with the value of one season before.", _numbers)
def _begins(fn: Callable[..., Any]) -> Iterator[str]:
    return _wrong_forecasts(fn, (1, 3), (2, 4), (3, 3), (4, 9))


@forecast_checks("A horizon longer than a season repeats the last season.", _begins)
def _repeats(fn: Callable[..., Any]) -> Iterator[str]:
    return _wrong_forecasts(fn, (6, 2), (7, 3), (20, 9))


@forecast_checks("The series stays unchanged.", _called)
def _series_unchanged(fn: Callable[..., Any]) -> Iterator[str]:
    series = SERIES.copy()
    fn(series, 7, 3)
    if not np.array_equal(series, SERIES):
        yield f"{_values(SERIES)} became {_values(series)}."


def _wrong_forecasts(fn: Callable[..., Any], *asked: tuple[int, int]) -> Iterator[str]:
    """Say how the forecasts of these horizons and periods differ from the right ones."""
    return (_wrong_values(fn(SERIES.copy(), horizon, period), period) for horizon, period in asked)


def _wrong_values(answer: NDArray[Any], period: int) -> str:
    """Say how a forecast differs from the right one, or return an empty string."""
    right = naive_forecast(SERIES, len(answer), period)
    if np.array_equal(answer, right):
        return ""
    known = _values(SERIES[-max(period, 2) :])
    return f"After ... {known} with period={period} it returns {_values(answer)}, not {_values(right)}."


def _values(values: NDArray[Any]) -> str:
    return ", ".join(f"{value:g}" for value in values.tolist())
