"""The checks of arguments that several modules share, each with one clear message."""

from __future__ import annotations

import difflib
import operator
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn.errors import InvalidArgument


def integer(name: str, value: Any, *, minimum: int | None = None, maximum: int | None = None) -> int:
    """Return `value` as an int, or say what is wrong with it."""
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise InvalidArgument(f"{name} must be an integer, not {value!r}") from None
    if minimum is not None and number < minimum:
        raise InvalidArgument(f"{name} must be at least {minimum}, not {number}")
    if maximum is not None and number > maximum:
        raise InvalidArgument(f"{name} must be at most {maximum}, not {number}")
    return number


def real(
    name: str,
    value: Any,
    *,
    minimum: float | None = None,
    below: float | None = None,
    above: float | None = None,
) -> float:
    """Return `value` as a finite float within ``minimum <= value``, ``above < value`` and ``value < below``."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InvalidArgument(f"{name} must be a number, not {value!r}") from None
    if not np.isfinite(number):
        raise InvalidArgument(f"{name} must be finite, not {number}")
    if minimum is not None and number < minimum:
        raise InvalidArgument(f"{name} must be at least {minimum}, not {number}")
    if above is not None and number <= above:
        raise InvalidArgument(f"{name} must be above {above}, not {number}")
    if below is not None and number >= below:
        raise InvalidArgument(f"{name} must be below {below}, not {number}")
    return number


def one_of(name: str, value: Any, choices: Collection[str]) -> str:
    """Return `value` if it is one of `choices`, else name the nearest right one."""
    if isinstance(value, str) and value in choices:
        return value
    listed = ", ".join(repr(choice) for choice in choices)
    near = difflib.get_close_matches(str(value), list(choices), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise InvalidArgument(f"{name} must be one of {listed}, not {value!r}{hint}")


def generator(name: str, rng: Any) -> np.random.Generator:
    """Return `rng` as a ``numpy.random.Generator``; None makes a fresh one, an integer seeds one."""
    if isinstance(rng, np.random.Generator):
        return rng
    if rng is None or (isinstance(rng, int | np.integer) and not isinstance(rng, bool) and rng >= 0):
        return np.random.default_rng(rng)
    raise InvalidArgument(f"{name} must be a numpy.random.Generator, a seed or None, not {rng!r}")


def finite(name: str, values: NDArray[Any]) -> None:
    """Refuse NaN and infinity, and say where the first one stands."""
    bad = ~np.isfinite(values)
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        raise InvalidArgument(f"{name} must be finite, but {name}[{', '.join(map(str, index))}] is {values[index]}")
