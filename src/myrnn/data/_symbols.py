"""Sequences of symbols, kept as whole numbers in flat arrays."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.data._tokenize import CHARACTERS, WHITE, WORDS
from myrnn.errors import InvalidArgument

if TYPE_CHECKING:
    import polars as pl

# Lines whose symbols are held as text at a time.
PORTION = 100_000


@dataclass(frozen=True, repr=False, eq=False)
class TokenSequences(Sequence[list[str]]):
    """Many sequences of symbols: a list of lists of str that takes four bytes a symbol.

    Sequence ``i`` is ``[symbols[code] for code in codes[offsets[i]:offsets[i + 1]]]``. The arrays are not to be
    written to.

    Attributes
    ----------
    symbols : tuple of str
        Every symbol once, in the order of the alphabet.
    codes : ndarray, int32 (sum of T,)
        The places in `symbols` of all sequences, one after the other.
    offsets : ndarray, int64 (N + 1,)
        Where each sequence begins, and the end of the last one. A sequence may be empty.
    tokenize : {"words", "characters"}, optional
        How text was split into the symbols; None where they were not read from text.
    """

    symbols: tuple[str, ...]
    codes: NDArray[np.int32]
    offsets: NDArray[np.int64]
    tokenize: str | None = None

    def __post_init__(self) -> None:
        """Guard the arrays."""
        self.codes.flags.writeable = self.offsets.flags.writeable = False

    def __len__(self) -> int:
        """Return the number of sequences, N."""
        return len(self.offsets) - 1

    def __repr__(self) -> str:
        """Say how many sequences there are, of how many symbols."""
        return f"TokenSequences({len(self):,} of {len(self.symbols):,} different symbols)"

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """T of every sequence, int64 (N,); not to be written to."""
        lengths = np.diff(self.offsets)
        lengths.flags.writeable = False
        return lengths

    @overload
    def __getitem__(self, index: int) -> list[str]: ...
    @overload
    def __getitem__(self, index: slice | NDArray[Any] | list[int]) -> TokenSequences: ...
    def __getitem__(self, index: Any) -> list[str] | TokenSequences:
        """Return the symbols of one sequence; of a slice, a mask or an array of places the sequences there."""
        if isinstance(index, slice | np.ndarray | list):
            return self._select(index)
        place = _checks.integer("index", index)
        if not -len(self) <= place < len(self):
            raise IndexError(f"there is no sequence {place}: there are {len(self)}")
        place %= len(self)
        return [self.symbols[code] for code in self.codes[self.offsets[place] : self.offsets[place + 1]]]

    def __iter__(self) -> Iterator[list[str]]:
        """Iterate over the sequences."""
        return (self[place] for place in range(len(self)))

    def _select(self, indices: Any) -> TokenSequences:
        try:
            chosen = np.arange(len(self))[indices]
        except (IndexError, TypeError, ValueError):
            chosen = None
        if chosen is None or chosen.ndim != 1:
            raise InvalidArgument(
                f"index must be an integer, a mask or a slice that fits {len(self)} sequences, "
                f"not {_checks.shown(indices)}"
            )
        lengths = self.lengths[chosen]
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        places = np.arange(offsets[-1]) + np.repeat(self.offsets[chosen] - offsets[:-1], lengths)
        return TokenSequences(self.symbols, self.codes[places], offsets, self.tokenize)


def encode(column: pl.Series, tokenize: str | None) -> TokenSequences:
    """Return sequences of symbols.

    Parameters
    ----------
    column : polars Series of str or of lists of str (N,)
        Lists are taken as they are.
    tokenize : {"words", "characters"} or None
        Whether text becomes its words, which any white space parts, or its characters, white space among them; None
        for lists.
    """
    read = {None: _items, CHARACTERS: _characters, WORDS: _words}[tokenize]
    table: dict[str, int] = {}
    codes, lengths = [], [np.zeros(1, dtype=np.int64)]
    for part in column.to_frame().iter_slices(PORTION):
        found = read(part.to_series(), table)
        codes.append(found[0])
        lengths.append(found[1])
    # In the order of the alphabet, wherever in the file a symbol came first.
    symbols = sorted(table)
    rank = np.empty(len(table), dtype=np.int32)
    rank[[table[symbol] for symbol in symbols]] = np.arange(len(table))
    offsets = np.cumsum(np.concatenate(lengths))
    return TokenSequences(tuple(symbols), rank[np.concatenate(codes)], offsets, tokenize)


def _items(lists: pl.Series, table: dict[str, int]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the codes of the items of all lists, and how many each list has."""
    lengths = lists.list.len().to_numpy().astype(np.int64)
    # Exploding makes an item of an empty list.
    return _codes(lists.filter(lengths > 0).explode(), table), lengths


def _words(text: pl.Series, table: dict[str, int]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the codes of all words, and how many each text has."""
    if text.str.contains(r"[^\S ]|[\x1c-\x1f]").any():
        text = text.str.replace_all(WHITE, " ")
    lists = text.str.split(" ")
    pieces = lists.explode()
    # Between two blanks, and in an empty text, there is an empty piece, which is no word. Every list has a piece.
    words = pieces != ""
    starts = np.concatenate(([0], np.cumsum(lists.list.len().to_numpy())[:-1])).astype(np.int64)
    return _codes(pieces.filter(words), table), np.add.reduceat(words.to_numpy(), starts, dtype=np.int64)


def _characters(text: pl.Series, table: dict[str, int]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the codes of all characters, and how many each text has."""
    points = np.frombuffer(text.str.join("").item().encode("utf-32-le"), dtype=np.uint32)
    place_of = np.zeros(sys.maxunicode + 1, dtype=np.int32)
    place_of[points] = 1
    distinct = np.flatnonzero(place_of)
    place_of[distinct] = [table.setdefault(chr(point), len(table)) for point in distinct.tolist()]
    return place_of[points], text.str.len_chars().to_numpy().astype(np.int64)


def _codes(symbols: pl.Series, table: dict[str, int]) -> NDArray[np.int32]:
    """Return the place of each symbol in `table`; new ones get the next places there."""
    import polars as pl

    distinct = symbols.unique()
    places = np.array([table.setdefault(symbol, len(table)) for symbol in distinct], dtype=np.int32)
    return places[symbols.cast(pl.Enum(distinct)).to_physical().to_numpy()]
