"""The values of a setting in a study: one value, a list of values to try, or a range to draw from."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from myrnn import _checks
from myrnn.errors import InvalidArgument

MOST_NUMBERS = 100_000
# The digits of a drawn number: it is readable, and the same on every machine.
DIGITS = 4


@dataclass(frozen=True)
class Choice:
    """The values of a setting: all are tried, or some are drawn, uniformly or log-uniformly."""

    values: tuple[Any, ...]  # all of them, or the two ends of a range. The setting must allow all of them
    place: str = ""  # if they are drawn: the setting, as in ``"optimizer.learning_rate"``; each is drawn independently
    is_range: bool = False
    by_logarithm: bool = False

    def draw(self, seed: int, number: int) -> Any:
        """Return draw `number`, which depends only on the seed, the setting and the range."""
        key = hashlib.sha256(self.place.encode()).digest()[:8]
        share = np.random.default_rng((seed, number, int.from_bytes(key, "big"))).random()
        if not self.is_range:
            return self.values[int(share * len(self.values))]
        low, high = self.values
        whole = isinstance(low, int)
        if self.by_logarithm:
            value = math.exp(math.log(low) + share * (math.log(high + whole) - math.log(low)))
        else:
            value = low + share * (high + whole - low)
        return min(int(value), high) if whole else min(max(float(f"{value:.{DIGITS}g}"), low), high)


def combinations(section: Mapping[str, Choice], seed: int, number: int | None) -> Iterator[dict[str, Any]]:
    """Yield all combinations of a section in draw `number`; without one, the ends of ranges and all other values."""
    values = [
        choice.values if number is None or not choice.place else (choice.draw(seed, number),)
        for choice in section.values()
    ]
    for chosen in product(*values):
        yield dict(zip(section, chosen, strict=True))


def read_choice(place: str, shown: str, value: Any) -> Choice:
    """Return the values of one setting (`place`) in a study; messages call it `shown`."""
    # A value is one, a list, the integers "first:last" or "first:last:step", or a table with low, high and maybe log,
    # or with choices. Whether the setting allows the values is not checked here.
    if isinstance(value, Mapping):
        return _drawn(place, shown, value)
    if isinstance(value, str):
        numbers = _checks.span(shown, value, MOST_NUMBERS)
        return Choice((value,) if numbers is None else tuple(numbers))
    return Choice(_distinct(shown, value) if isinstance(value, list | tuple) else (value,))


def _distinct(shown: str, values: list[Any] | tuple[Any, ...]) -> tuple[Any, ...]:
    if not values:
        raise InvalidArgument(f"{shown} is an empty list: name at least one value")
    seen: set[tuple[type, Any]] = set()
    for place, value in enumerate(values):
        if isinstance(value, Mapping | list | tuple):
            raise InvalidArgument(f"{shown}[{place}] must be one value, not {_checks.shown(value)}")
        if (type(value), value) in seen:
            raise InvalidArgument(f"{shown} holds {_checks.shown(value)} twice")
        seen.add((type(value), value))
    return tuple(values)


def _drawn(place: str, shown: str, table: Mapping[str, Any]) -> Choice:
    for name in table:
        _checks.one_of(f"what {shown} is drawn from", name, ("low", "high", "log", "choices"))
    if "choices" in table:
        if len(table) > 1:
            raise InvalidArgument(f"{shown} is drawn from choices or from a range of low and high, not from both")
        if not isinstance(table["choices"], list | tuple):
            raise InvalidArgument(f"{shown}.choices must be a list, not {_checks.shown(table['choices'])}")
        return Choice(_distinct(f"{shown}.choices", table["choices"]), place)
    low, high = _ends(shown, table)
    by_logarithm = table.get("log", False)
    if not isinstance(by_logarithm, bool):
        raise InvalidArgument(f"{shown}.log must be true or false, not {_checks.shown(by_logarithm)}")
    if by_logarithm and low <= 0:
        raise InvalidArgument(f"{shown}.low must be above 0 to be drawn by its logarithm, not {low}")
    return Choice((low, high), place, is_range=True, by_logarithm=by_logarithm)


def _ends(shown: str, table: Mapping[str, Any]) -> tuple[Any, Any]:
    for name in ("low", "high"):
        if name not in table:
            raise InvalidArgument(f"{shown} is a range without {name}: write {{ low = ..., high = ... }}")
    whole = all(isinstance(table[name], int) for name in ("low", "high"))
    check = _checks.integer if whole else _checks.real
    low, high = (check(f"{shown}.{name}", table[name]) for name in ("low", "high"))
    if low >= high:
        raise InvalidArgument(f"{shown}.low must be below high, but they are {low} and {high}")
    return low, high
