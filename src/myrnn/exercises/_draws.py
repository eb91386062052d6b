"""What a generator returned, call after call, under each of several sets of arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn.exercises._faults import FAULTS, describe

# How many results are kept twice, to see whether later calls change them.
KEPT = 20


@dataclass(frozen=True)
class Setting:
    """Arguments, how often to call with them, and the lengths of the pattern that they allow."""

    arguments: dict[str, Any]
    calls: int
    shortest: int = 1
    longest: int = 10

    @property
    def palindrome(self) -> bool:
        return bool(self.arguments.get("palindrome", False))

    @property
    def call(self) -> str:
        """The arguments as they are written in a call."""
        return ", ".join(f"{name}={value}" for name, value in self.arguments.items()) or "the default arguments"


# Where something rare can go wrong, there are enough calls to see it: a second half that matches by chance is most
# frequent at the shortest lengths; a palindrome differs from a pair of equal halves from length 4 on.
SETTINGS = {
    "default": Setting({}, 4000),
    "length 1": Setting({"pattern_length_min": 1, "pattern_length_max": 1}, 8000, 1, 1),
    "3 to 5": Setting({"pattern_length_min": 3, "pattern_length_max": 5}, 1000, 3, 5),
    "11 to 12": Setting({"pattern_length_min": 11, "pattern_length_max": 12}, 300, 11, 12),
    "palindromes": Setting({"palindrome": True}, 2000),
    "palindromes of 4": Setting({"pattern_length_min": 2, "pattern_length_max": 2, "palindrome": True}, 5000, 2, 2),
}


@dataclass(frozen=True)
class Numbers:
    """The sequences and labels of one setting, in flat arrays."""

    setting: Setting
    tokens: NDArray[np.int64]
    lengths: NDArray[np.int64]
    labels: NDArray[np.int64]

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        return np.concatenate(([0], np.cumsum(self.lengths)))

    @cached_property
    def first(self) -> NDArray[np.bool_]:
        """Which tokens belong to a first half."""
        place = np.arange(len(self.tokens)) - np.repeat(self.offsets[:-1], self.lengths)
        return np.asarray(place < np.repeat(self.lengths // 2, self.lengths))

    @cached_property
    def matches(self) -> NDArray[np.bool_]:
        """Whether each sequence is what the setting calls a match."""
        partner = self.tokens[~self.first]
        if self.setting.palindrome:
            half = np.repeat(self.lengths // 2, self.lengths // 2)
            starts = np.repeat(np.cumsum(self.lengths // 2) - self.lengths // 2, self.lengths // 2)
            partner = partner[2 * starts + half - 1 - np.arange(len(partner))]
        owner = np.repeat(np.arange(len(self.lengths)), self.lengths // 2)
        return np.bincount(owner, self.tokens[self.first] != partner, minlength=len(self.lengths)) == 0

    def text(self, index: int) -> str:
        """Return a sequence as a message shows it."""
        return " ".join(map(str, self.tokens[self.offsets[index] : self.offsets[index + 1]].tolist()))


class Draws:
    """Calls the generator when a check asks for it, and keeps what came back."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self._fn = fn
        self._results: dict[str, list[Any]] = {}
        self.early: list[tuple[Any, Any]] = []

    def draw(self, *names: str) -> str:
        """Call the generator under the settings; return what went wrong, or an empty string."""
        for name in names:
            setting = SETTINGS[name]
            try:
                results = self._call(setting)
            except FAULTS as error:
                return f"With {setting.call} {describe(error)}"
            self._results[name] = results
        return ""

    def _call(self, setting: Setting) -> list[Any]:
        results = []
        for _ in range(setting.calls):
            results.append(self._fn(**setting.arguments))
            if len(self.early) < KEPT:
                self.early.append((results[-1], _copy(results[-1])))
        return results

    def results(self) -> Iterator[tuple[Setting, list[Any]]]:
        """Go through the settings that could be called."""
        return ((SETTINGS[name], results) for name, results in self._results.items())

    def __getitem__(self, name: str) -> Numbers:
        """Return the numbers of one setting. It needs what the checks of shapes have made sure of."""
        if name not in self._numbers:
            results = self._results[name]
            sequences = [np.asarray(sequence) for _, _, sequence in results]
            labels = np.array([_label(y) for _, y, _ in results], dtype=np.int64)
            lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
            self._numbers[name] = Numbers(SETTINGS[name], np.concatenate(sequences), lengths, labels)
        return self._numbers[name]

    @cached_property
    def _numbers(self) -> dict[str, Numbers]:
        return {}

    def all(self, *, palindrome: bool | None = None) -> list[Numbers]:
        """Return the numbers of every setting that could be called, or only of those with or without palindromes."""
        chosen = [name for name in self._results if palindrome in (None, SETTINGS[name].palindrome)]
        return [self[name] for name in chosen]


def _copy(result: Any) -> Any:
    return tuple(np.array(part) for part in result) if isinstance(result, tuple) else result


def _label(y: Any) -> int:
    """Return the label, or -1 where `y` is not one: the check of y's shape tells."""
    return int(y[0]) if y.shape == (1,) and y.dtype.kind in "biuf" and np.isfinite(y[0]) else -1
