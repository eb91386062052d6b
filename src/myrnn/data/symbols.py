"""Sequences of symbols and of numbers in flat arrays, and how text is split into symbols.

Text from files and from memory is handled alike: `split_text` for text, `listed` for lists of symbols.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np
from numpy.typing import NDArray

from myrnn._checks import count_of
from myrnn._user_code import warn
from myrnn.errors import InvalidArgument
from myrnn.flat import Flat, blocks, offsets_of, selected, steps_of

if TYPE_CHECKING:
    import polars as pl

WORDS, CHARACTERS, INTEGERS, AUTO = "words", "characters", "integers", "auto"
TOKENIZE = (AUTO, WORDS, CHARACTERS)
# "auto", "words", "characters", or a function that returns the symbols of a text.
Tokenize = str | Callable[[str], Sequence[str]]
# White space as `str.split` defines it. Polars ignores the last four.
WHITE, BLACK = r"[\s\x1c-\x1f]", r"[^\s\x1c-\x1f]"
# Texts that are split into words at once: words as text take much memory.
PORTION = 100_000
# Steps of flat arrays that are computed with at once.
BLOCK = 2**18


class FlatSequences(Flat, Sequence[Any]):
    """Sequences as files and memory have them: a list that is stored flat."""

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice | NDArray[Any] | list[int]) -> Self: ...
    def __getitem__(self, index: Any) -> Any:
        """Return one sequence, or the sequences that a slice, a mask or an array of indices selects."""
        if isinstance(index, slice | np.ndarray | list):
            _, offsets, places = selected(index, self.offsets)
            return self._of_these(places, offsets)
        return self._part(steps_of(index, self.offsets))

    def _part(self, steps: slice) -> Any:
        raise NotImplementedError

    def _of_these(self, places: Any, offsets: NDArray[np.int64]) -> Self:
        raise NotImplementedError


@dataclass(frozen=True, repr=False, eq=False)
class TokenSequences(FlatSequences):
    """Many sequences of symbols: a list of lists that takes four bytes per symbol.

    Sequence ``i`` is ``[symbols[code] for code in codes[offsets[i]:offsets[i + 1]]]``. The arrays are read-only.

    Attributes
    ----------
    symbols : tuple of str or int
        Every symbol once, ascending.
    codes : ndarray, int32 (sum of T,)
        The indices into `symbols` of all sequences, concatenated.
    offsets : ndarray, int64 (N + 1,)
        The start of each sequence, and the end of the last one. A sequence may be empty.
    kind : {"words", "characters", "integers"}
        The kind of the symbols.
    tokenize : {"words", "characters"} or callable, optional
        How text was split into the symbols; None if they were not read from text.

    Examples
    --------
    >>> from myrnn.data import flat_sequences
    >>> sequences = flat_sequences(["to be", "or not to be"])
    >>> sequences, sequences.lengths
    (TokenSequences(2 of 4 different symbols), array([2, 4]))
    >>> sequences[1], sequences.symbols
    (['or', 'not', 'to', 'be'], ('be', 'not', 'or', 'to'))
    """

    symbols: tuple[Any, ...]
    codes: NDArray[np.int32]
    offsets: NDArray[np.int64]
    kind: str = WORDS
    tokenize: Tokenize | None = None

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        self.codes.flags.writeable = self.offsets.flags.writeable = False

    def __repr__(self) -> str:
        """Return the number of sequences and of symbols."""
        return f"TokenSequences({len(self):,} of {len(self.symbols):,} different symbols)"

    def _part(self, steps: slice) -> list[Any]:
        return [self.symbols[code] for code in self.codes[steps]]

    def _of_these(self, places: Any, offsets: NDArray[np.int64]) -> TokenSequences:
        return replace(self, codes=self.codes[places], offsets=offsets)


@dataclass(frozen=True, eq=False, repr=False)
class Numbers(FlatSequences):
    """Sequences of finite numbers, concatenated: a list of arrays (T, C).

    Attributes
    ----------
    rows : ndarray of float or int, shape (sum of T, C)
    offsets : ndarray, int64 (N + 1,)
        The start of each sequence, and the end of the last one.

    Examples
    --------
    >>> from myrnn.data import flat_sequences
    >>> numbers = flat_sequences([[0.5, 0.25], [0.75]])
    >>> numbers, numbers.rows.tolist(), numbers.offsets.tolist()
    (Numbers(2 sequences of 1 column), [[0.5], [0.25], [0.75]], [0, 2, 3])
    """

    rows: NDArray[Any]
    offsets: NDArray[np.int64]

    kind = "numbers"

    def __repr__(self) -> str:
        """Return the number of sequences and of columns."""
        return f"Numbers({count_of(len(self), 'sequence')} of {count_of(self.rows.shape[1], 'column')})"

    def _part(self, steps: slice) -> NDArray[Any]:
        part: NDArray[Any] = self.rows[steps]
        return part

    def _of_these(self, places: Any, offsets: NDArray[np.int64]) -> Numbers:
        return Numbers(self.rows[places], offsets)


RawSequences = TokenSequences | Numbers


def first_not_finite(rows: NDArray[Any]) -> tuple[int, int] | None:
    """Return the row and the column of the first number that is not finite; None if there is none."""
    bad = ~np.isfinite(rows)
    if not bad.any():
        return None
    row = int(bad.any(axis=1).argmax())
    return row, int(bad[row].argmax())


def split_text(texts: list[str], tokenize: str, source: str) -> TokenSequences:
    """Return the words or the characters of texts, which messages call `source`."""
    # "auto" takes words if at least half of the texts have white space between two of them, otherwise characters. Texts
    # of one character do not count.
    if tokenize == CHARACTERS:
        return _characters(texts)
    column = _column(texts, source)
    if tokenize == AUTO:
        spaced = int(column.str.contains(f"{BLACK}{WHITE}+{BLACK}").sum())
        longer = int(column.str.contains(f"{BLACK}{WHITE}*{BLACK}").sum())
        if 2 * spaced < max(1, longer):
            if spaced:
                warn(
                    f"{source} is read as characters, because only {spaced:,} of {longer:,} texts have spaces: "
                    "tokenize='words' makes every word a symbol"
                )
            return _characters(texts)
    return _words(column)


def listed(flat: list[Any], offsets: NDArray[np.int64], tokenize: Tokenize | None = None) -> TokenSequences:
    """Return lists of symbols; `flat` has the items of all of them."""
    table = {symbol: code for code, symbol in enumerate(sorted(set(flat)))}
    codes = np.fromiter(map(table.__getitem__, flat), dtype=np.int32, count=len(flat))
    return TokenSequences(tuple(map(str, table)), codes, offsets, WORDS, tokenize)


def factorised(values: NDArray[Any]) -> tuple[NDArray[np.int32], list[int]]:
    """Return the index of the distinct value at every position, and the distinct values, ascending."""
    if not len(values):
        return np.zeros(0, dtype=np.int32), []
    least, span = int(values.min()), int(values.max()) - int(values.min())
    if span > 2**22 and span > 4 * len(values):
        found, codes = np.unique(values, return_inverse=True)
        return codes.astype(np.int32), found.tolist()
    # Use a table of all values between the least and the largest instead of sorting.
    shifted = values - values.dtype.type(least)
    occurs = np.zeros(span + 1, dtype=bool)
    occurs[shifted] = True
    codes = (np.cumsum(occurs, dtype=np.int32) - np.int32(1))[shifted]
    return codes, (np.flatnonzero(occurs) + least).tolist()


def _column(texts: list[str], source: str) -> pl.Series:
    import polars as pl

    try:
        return pl.Series(texts, dtype=pl.String)
    except UnicodeEncodeError as error:
        raise InvalidArgument(
            f"{source} holds half of a surrogate pair, {error.object[error.start]!r}, which is not text: "
            "remove it, or read characters with tokenize='characters'"
        ) from None


def _characters(texts: list[str]) -> TokenSequences:
    joined = "".join(texts)
    occurs = np.zeros(sys.maxunicode + 1, dtype=np.bool_)
    for part in blocks(0, len(joined), BLOCK):
        occurs[_code_points(joined[part])] = True
    codes, ranks = np.empty(len(joined), dtype=np.int32), np.cumsum(occurs, dtype=np.int32) - np.int32(1)
    for part in blocks(0, len(joined), BLOCK):
        codes[part] = ranks[_code_points(joined[part])]
    symbols = tuple(map(chr, np.flatnonzero(occurs).tolist()))
    return TokenSequences(symbols, codes, offsets_of(list(map(len, texts))), CHARACTERS, tokenize=CHARACTERS)


def _code_points(text: str) -> NDArray[np.uint32]:
    """Return the code points of a text, halves of surrogate pairs included."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def _words(texts: pl.Series) -> TokenSequences:
    table: dict[str, int] = {}
    codes, lengths = [np.zeros(0, dtype=np.int32)], [np.zeros(0, dtype=np.int64)]
    for part in texts.to_frame().iter_slices(PORTION):
        found, counts = _words_of(part.to_series(), table)
        codes.append(found)
        lengths.append(counts)
    # In alphabetical order, independent of the order in the texts.
    symbols = sorted(table)
    rank = np.empty(len(table), dtype=np.int32)
    rank[[table[symbol] for symbol in symbols]] = np.arange(len(table))
    return TokenSequences(
        tuple(symbols), rank[np.concatenate(codes)], offsets_of(np.concatenate(lengths)), WORDS, tokenize=WORDS
    )


def _words_of(texts: pl.Series, table: dict[str, int]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the code of every word, and the number of words of each text; new words get the next codes of `table`."""
    import polars as pl

    if texts.str.contains(r"[^\S ]|[\x1c-\x1f]").any():
        texts = texts.str.replace_all(WHITE, " ")
    lists = texts.str.split(" ")
    pieces = lists.explode()
    # Between two spaces, and in an empty text, there is an empty piece that is not a word. Every text has a piece.
    is_word = pieces != ""
    starts = offsets_of(lists.list.len().to_numpy())[:-1]
    words = pieces.filter(is_word)
    distinct = words.unique()
    places = np.array([table.setdefault(word, len(table)) for word in distinct], dtype=np.int32)
    codes: NDArray[np.int32] = places[words.cast(pl.Enum(distinct)).to_physical().to_numpy()]
    return codes, np.add.reduceat(is_word.to_numpy(), starts, dtype=np.int64)
