"""Sequences as they were given, in flat arrays, before anything is learned from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# "words", "characters", or a function that returns the symbols of a text.
Tokenize = str | Callable[[str], Sequence[str]]
# What symbols may be, and how messages call sequences of them.
KINDS = {
    "characters": "strings, read as characters",
    "words": "words: lists of strings, or text with spaces",
    "integers": "lists of integers",
}


@dataclass(frozen=True, eq=False)
class Symbols:
    """Sequences of symbols, one after the other.

    Attributes
    ----------
    kind : {"characters", "words", "integers"}
    codes : ndarray, int32 (sum of T,)
        Which of `table` stands at every step.
    offsets : ndarray, int64 (N + 1,)
        Where each sequence begins, and the end of the last one.
    table : tuple of str or int
        Every symbol that occurs, once.
    tokenize : {"words", "characters"} or callable, optional
        How text was split into the symbols; None where they were not read from text.
    """

    kind: str
    codes: NDArray[np.int32]
    offsets: NDArray[np.int64]
    table: tuple[Any, ...]
    tokenize: Tokenize | None = None

    def __len__(self) -> int:
        """Return the number of sequences, N."""
        return len(self.offsets) - 1


@dataclass(frozen=True, eq=False)
class Numbers:
    """Sequences of rows of numbers, one after the other.

    Attributes
    ----------
    rows : ndarray of float or int (sum of T, C)
        All finite.
    offsets : ndarray, int64 (N + 1,)
        Where each sequence begins, and the end of the last one.
    """

    rows: NDArray[Any]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of sequences, N."""
        return len(self.offsets) - 1


RawSequences = Symbols | Numbers


def offsets_of(lengths: Any) -> NDArray[np.int64]:
    """Return where sequences of these lengths begin, and the end of the last one, int64 (N + 1,)."""
    return np.concatenate(([0], np.cumsum(np.asarray(lengths, dtype=np.int64))))


def place_of(row: int, offsets: NDArray[np.int64]) -> tuple[int, int]:
    """Return which sequence a row of the flat array belongs to, and which row of that sequence it is."""
    sequence = int(np.searchsorted(offsets, row, side="right")) - 1
    return sequence, row - int(offsets[sequence])
