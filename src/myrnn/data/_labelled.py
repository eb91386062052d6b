"""What comes out of a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn.data._symbols import TokenSequences


@dataclass(frozen=True, repr=False, eq=False)
class LabelledSequences:
    """The sequences of a file and their labels, as `SequenceClassifier.fit` takes them.

    Attributes
    ----------
    sequences : TokenSequences, or list of ndarray, float64 (T, C)
        Symbols, or features.
    labels : ndarray of str (N,) or None
        None where the file was read without. They are always text, so that ``1`` in one file and ``"1"`` in another
        are the same class.
    lines : ndarray, int64 (N,)
        The line of the file that each sequence stands in, from 1; the row, in a file that has no lines.
    skipped : int
        How many malformed lines were passed over.
    source : Path
        The file.
    """

    sequences: TokenSequences | list[NDArray[np.float64]]
    labels: NDArray[np.str_] | None
    lines: NDArray[np.int64]
    skipped: int
    source: Path

    def __len__(self) -> int:
        """Return the number of sequences, N."""
        return len(self.lines)

    def __repr__(self) -> str:
        """Say how many sequences there are, of what kind, and of how many classes."""
        symbol = {"words": "word", "characters": "character"}.get(self.tokenize or "", "symbol")
        kind = _count(len(self.symbols), symbol) if self.is_tokens else _count(self.dim_input or 0, "feature")
        classes = "" if self.labels is None else f", {_count(len(self.classes), 'class', 'classes')}"
        lengths = f"lengths {self.lengths.min()} to {self.lengths.max()}"
        return f"LabelledSequences({len(self):,} of {kind}, {lengths}{classes})"

    @property
    def is_tokens(self) -> bool:
        """Whether the sequences are of symbols (and not of features)."""
        return isinstance(self.sequences, TokenSequences)

    @property
    def tokenize(self) -> str | None:
        """How text was split into symbols, ``"words"`` or ``"characters"``; None where the file has lists."""
        return self.sequences.tokenize if isinstance(self.sequences, TokenSequences) else None

    @property
    def symbols(self) -> tuple[str, ...]:
        """Every symbol that is in the file; none, where there are features."""
        return self.sequences.symbols if isinstance(self.sequences, TokenSequences) else ()

    @property
    def dim_input(self) -> int | None:
        """The number of features of every step; None, where there are symbols."""
        return None if isinstance(self.sequences, TokenSequences) else self.sequences[0].shape[1]

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """T of every sequence, int64 (N,); not to be written to."""
        if isinstance(self.sequences, TokenSequences):
            return self.sequences.lengths
        lengths = np.fromiter(map(len, self.sequences), dtype=np.int64, count=len(self))
        lengths.flags.writeable = False
        return lengths

    @cached_property
    def classes(self) -> dict[str, int]:
        """How many sequences have each label, by the label; none, where there are no labels."""
        if self.labels is None:
            return {}
        names, counts = np.unique(self.labels, return_counts=True)
        return dict(zip(names.tolist(), counts.tolist(), strict=True))


def _count(number: int, one: str, more: str = "") -> str:
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def vectors(flat: NDArray[np.float64], lengths: NDArray[Any]) -> list[NDArray[np.float64]]:
    """Return sequences of features as views into one array (sum of T, C)."""
    ends: Sequence[int] = np.cumsum(lengths).tolist()
    starts = [0, *ends[:-1]]
    return [flat[start:end] for start, end in zip(starts, ends, strict=True)]
