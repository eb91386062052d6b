"""The lesson's own answers, which its second part uses if an exercise is not solved yet."""

from __future__ import annotations

from functools import partial

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from myrnn.models import Stacked

# A simple recurrent network with scores at every step: made from dim_input, dim_recurrent and dim_output.
StepRNN = partial(Stacked, cell="rnn", activation="tanh", layers=1, per_step=True)


def next_symbols(tokens: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the inputs of a language model for a text, and the target after each symbol.

    Parameters
    ----------
    tokens : array_like of int (T,)

    Returns
    -------
    x, y : ndarray, int64 (T - 1,)
        Symbol ``y[t]`` comes right after ``x[t]``.

    Examples
    --------
    >>> x, y = next_symbols([3, 1, 4, 1])
    >>> x.tolist(), y.tolist()
    ([3, 1, 4], [1, 4, 1])
    """
    text = np.array(tokens, dtype=np.int64)
    return text[:-1].copy(), text[1:].copy()


def draw_symbol(scores: ArrayLike, temperature: float = 1.0) -> int:
    """Draw the next symbol from the scores of all K symbols, with NumPy's global generator.

    Parameters
    ----------
    scores : array_like of float (K,)
    temperature : float
        Scores are divided by it before their softmax; 0 takes the largest one.

    Examples
    --------
    >>> draw_symbol([0.0, 2.0, 1.0], temperature=0)
    1
    """
    values = np.asarray(scores, dtype=np.float64)
    if temperature == 0:
        return int(np.argmax(values))
    return int(np.random.choice(len(values), p=scipy.special.softmax(values / temperature)))  # noqa: NPY002 - the lesson seeds it


def naive_forecast(series: ArrayLike, horizon: int, period: int = 1) -> NDArray[np.float64]:
    """Forecast a series by repeating its last season.

    Parameters
    ----------
    series : array_like of float (T,)
        At least one season.
    horizon : int
        The number of steps to forecast.
    period : int
        The length of a season; 1 repeats the last value.

    Returns
    -------
    ndarray, float64 (horizon,)

    Examples
    --------
    >>> naive_forecast([1.0, 2.0, 3.0, 4.0], horizon=5, period=3).tolist()
    [2.0, 3.0, 4.0, 2.0, 3.0]
    """
    return np.resize(np.asarray(series, dtype=np.float64)[-period:], horizon)
