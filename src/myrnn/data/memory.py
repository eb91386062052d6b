"""Sequences in memory, in any common form, as flat arrays of symbols or numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.data.symbols import (
    INTEGERS,
    TOKENIZE,
    WORDS,
    Numbers,
    RawSequences,
    Tokenize,
    TokenSequences,
    factorised,
    first_not_finite,
    listed,
    split_text,
)
from myrnn.errors import InvalidArgument
from myrnn.flat import offsets_of, place_of
from myrnn.sequences import Sequences

WANTED = "a list of strings, of token lists or of (T, C) arrays, an array of shape (N, T, C) or (N, T), or a Sequences"
NUMBERS = "numbers"
# The names of the kinds in messages.
KINDS = {
    "characters": "strings, read as characters",
    "words": "words: lists of strings, or text with spaces",
    "integers": "lists of integers",
    "numbers": "sequences of numbers",
}
INT64 = np.iinfo(np.int64)


def flat_sequences(X: Any, like: str | None = None, tokenize: Tokenize = "auto") -> RawSequences:
    """Return sequences of any form as flat arrays; an error names the sequence that cannot be read.

    Parameters
    ----------
    X : list, array or Sequences
        A list of strings (their words or characters), of lists of strings or integers (symbols), of (T, C) arrays, or
        of (T,) arrays of floats (one number per step); a data frame with one column of strings; an array (N, T, C), or
        (N, T) of integers, strings or floats; a `Sequences`; or a result of this function. A sequence may be empty.
    like : {"characters", "words", "integers", "numbers"}, optional
        The required kind. For ``"numbers"``, integers are numbers too.
    tokenize : {"auto", "words", "characters"} or callable
        How to split strings into symbols, as for `SequenceClassifier`.

    Returns
    -------
    TokenSequences or Numbers

    Raises
    ------
    InvalidArgument
        When a sequence cannot be read, or they are of another kind than `like`.

    Examples
    --------
    >>> raw = flat_sequences(["abba", "", "b"])
    >>> raw.symbols, raw.codes.tolist(), raw.offsets.tolist()
    (('a', 'b'), [0, 1, 1, 0, 1], [0, 4, 4, 5])
    """
    if not callable(tokenize):
        _checks.one_of("tokenize", tokenize, TOKENIZE)
    raw = _read(X, like, tokenize)
    if like is None or raw.kind == like:
        return raw
    if raw.offsets[-1]:
        raise InvalidArgument(f"X must be {KINDS[like]}, as in fit, not {KINDS[raw.kind]}")
    # Empty sequences are of any kind.
    if like == NUMBERS:
        return Numbers(np.zeros((0, 1)), raw.offsets)
    return TokenSequences((), np.zeros(0, dtype=np.int32), raw.offsets, like)


def is_text_column(X: Any) -> bool:
    """Return whether `X` is a data frame with a single column, of text: its rows are texts, not symbols."""
    if not hasattr(X, "columns") or getattr(X, "shape", ())[1:] != (1,):
        return False
    cells = np.asarray(X)[:, 0].tolist()
    is_text = [isinstance(cell, str) for cell in cells]
    if any(is_text) and not all(is_text):
        row = is_text.index(False)
        raise InvalidArgument(f"X is a column of text, but row {row} holds {_checks.shown(cells[row])}")
    return any(is_text)


def _read(X: Any, like: str | None, tokenize: Tokenize) -> RawSequences:
    if isinstance(X, TokenSequences | Numbers):
        return X
    if isinstance(X, Sequences):
        return _integers(X.values, X.offsets) if X.is_tokens else _numbers(X.values, X.offsets)
    if hasattr(X, "toarray"):
        raise InvalidArgument("X is a sparse matrix, but dense data is required: use X.toarray()")
    if isinstance(X, str | bytes | dict | set) or not hasattr(X, "__len__"):
        raise InvalidArgument(f"X must be {WANTED}, not {'None' if X is None else type(X).__name__}")
    if is_text_column(X):
        return _read_list(np.asarray(X)[:, 0].tolist(), like, tokenize)
    if hasattr(X, "__array__"):
        return _read_array(_checks.array("X", X), like, tokenize)
    return _read_list(list(X), like, tokenize)


def _read_array(X: NDArray[Any], like: str | None, tokenize: Tokenize) -> RawSequences:
    if X.dtype.kind == "c":
        raise InvalidArgument("Complex data not supported: X must be real numbers")
    if X.ndim == 1 and X.dtype.kind in "UO":
        return _read_list(X.tolist(), like, tokenize)
    if X.ndim not in (2, 3) or X.dtype.kind not in "biufUO":
        raise InvalidArgument(f"X must be {WANTED}, not {X.dtype} of shape {X.shape}. Reshape your data")
    offsets = np.arange(len(X) + 1, dtype=np.int64) * X.shape[1]
    if X.dtype.kind in "UO":
        words = X.ravel().tolist() if X.ndim == 2 else [None]
        if all(isinstance(word, str) for word in words):
            return listed(words, offsets)
        X = _as_numbers("X", X)
    if X.ndim == 3:
        if not X.shape[2]:
            raise InvalidArgument("X must have at least one column of numbers")
        return _numbers(X.reshape(-1, X.shape[2]), offsets)
    if X.dtype.kind in "biu" and like != NUMBERS:
        return _integers(X.ravel(), offsets)
    return _numbers(X.reshape(-1, 1), offsets)


def _read_list(items: list[Any], like: str | None, tokenize: Tokenize) -> RawSequences:
    kinds = set(map(type, items))
    if items and all(issubclass(kind, str) for kind in kinds):
        return _read_text(items, tokenize)
    if not all(map(_is_list, kinds)):
        _refuse_items(items)
    if not any(hasattr(kind, "__array__") for kind in kinds):
        return _read_lists(items, like)
    return _read_parts([_part(index, item) for index, item in enumerate(items)], like)


def _is_list(kind: type) -> bool:
    """Return whether a sequence of symbols or numbers can have this type: a list, an array, a data frame, ..."""
    if issubclass(kind, str | bytes | np.generic):
        return False
    return issubclass(kind, Sequence) or hasattr(kind, "__array__")


def _refuse_items(items: list[Any]) -> NoReturn:
    """Name the first item that is not a sequence; for a mixture of strings and lists, the first of each."""
    odd = next(
        (index for index, item in enumerate(items) if not isinstance(item, str) and not _is_list(type(item))), None
    )
    if odd is not None:
        raise InvalidArgument(f"X must be {WANTED}, but sequence {odd} is {_named(items[odd])}")
    text = next(index for index, item in enumerate(items) if isinstance(item, str))
    other = next(index for index, item in enumerate(items) if not isinstance(item, str))
    raise InvalidArgument(
        f"X must be {WANTED}, but sequence {text} is {_named(items[text])}, and sequence {other} {_named(items[other])}"
    )


def _read_lists(items: list[Any], like: str | None) -> RawSequences:
    """Read lists or tuples; the loops over steps are in NumPy and itertools."""
    offsets = offsets_of(list(map(len, items)))
    flat = list(chain.from_iterable(items))
    kinds = set(map(type, flat))
    if all(issubclass(kind, str) for kind in kinds):
        return listed(flat, offsets)
    if all(issubclass(kind, int | np.integer) and kind is not bool for kind in kinds) and like != NUMBERS:
        return _integers(_int64(flat, offsets), offsets)
    if all(issubclass(kind, int | float | np.number) and kind is not bool for kind in kinds):
        return _numbers(_as_numbers("X", flat).reshape(-1, 1), offsets)
    return _read_parts([_part(index, item) for index, item in enumerate(items)], like)


def _part(index: int, item: Any) -> NDArray[Any]:
    """Return one sequence as an array of symbols (T,) or of numbers (T,) or (T, C)."""
    name = f"sequence {index}"
    if not hasattr(item, "__array__"):
        # NumPy would convert all of them to strings.
        strings = [isinstance(symbol, str) for symbol in item]
        if any(strings) and not all(strings):
            odd = _checks.shown(item[strings.index(False)])
            raise InvalidArgument(f"{name} must hold symbols or numbers of one kind, but beside strings there is {odd}")
    array = _checks.array(name, item)
    if array.dtype.kind == "O" and array.ndim == 1 and any(isinstance(vector, np.ndarray) for vector in array):
        # pandas and Polars hold vectors as an array of arrays.
        array = _checks.array(name, array.tolist())
    if array.dtype.kind == "O" and not all(isinstance(symbol, str) for symbol in array.flat):
        array = _as_numbers(name, array)
    if array.ndim not in (1, 2) or array.dtype.kind not in "biufUO" or (array.ndim == 2 and array.dtype.kind in "UO"):
        raise InvalidArgument(
            f"{name} must be symbols of shape (T,) or numbers of shape (T, C), not {array.dtype} of shape {array.shape}"
        )
    if array.ndim == 2 and not array.shape[1]:
        raise InvalidArgument(f"{name} must have at least one column of numbers, but its shape is {array.shape}")
    return array


def _read_parts(parts: list[NDArray[Any]], like: str | None) -> RawSequences:
    offsets = offsets_of([len(part) for part in parts])
    filled = [(index, part) for index, part in enumerate(parts) if len(part)]
    kinds = [_kind(part) for _, part in filled]
    # Among floats, integers are numbers too.
    if like == NUMBERS or NUMBERS in kinds:
        kinds = [NUMBERS if kind == INTEGERS else kind for kind in kinds]
    for (index, _), kind in zip(filled, kinds, strict=True):
        if kind != kinds[0]:
            raise InvalidArgument(
                f"every sequence must be of one kind, but sequence {index} holds {kind} "
                f"and sequence {filled[0][0]} {kinds[0]}"
            )
    if not filled:
        columns = next((part.shape[1] for part in parts if part.ndim == 2), 1)
        return _numbers(np.zeros((0, columns)), offsets)
    if kinds[0] == WORDS:
        return listed(list(chain.from_iterable(part.tolist() for _, part in filled)), offsets)
    if kinds[0] == INTEGERS:
        return _integers(np.concatenate([part for _, part in filled]), offsets)
    return _numbers(np.concatenate(_same_columns(filled)), offsets)


def _kind(part: NDArray[Any]) -> str:
    if part.dtype.kind in "UO":
        return WORDS
    return INTEGERS if part.ndim == 1 and part.dtype.kind in "biu" else NUMBERS


def _same_columns(filled: list[tuple[int, NDArray[Any]]]) -> list[NDArray[Any]]:
    rows = [part if part.ndim == 2 else part[:, np.newaxis] for _, part in filled]
    for (index, _), part in zip(filled, rows, strict=True):
        if part.shape[1] != rows[0].shape[1]:
            raise InvalidArgument(
                f"every sequence must have the same number of columns, but sequence {index} has {part.shape[1]} "
                f"and sequence {filled[0][0]} has {rows[0].shape[1]}"
            )
    return rows


def _read_text(texts: list[str], tokenize: Tokenize) -> TokenSequences:
    if isinstance(tokenize, str):
        return split_text(texts, tokenize, "X")
    lists = [tokenize(text) for text in texts]
    for text, found in zip(texts, lists, strict=True):
        if not isinstance(found, list | tuple) or not all(isinstance(symbol, str) for symbol in found):
            raise InvalidArgument(
                f"tokenize must return a list of strings, but of {_checks.shown(text)} it returned "
                f"{_checks.shown(found)}"
            )
    return listed(list(chain.from_iterable(lists)), offsets_of(list(map(len, lists))), tokenize)


def _integers(flat: NDArray[Any], offsets: NDArray[np.int64]) -> TokenSequences:
    if len(flat) and int(flat.max()) > INT64.max:
        sequence, step = place_of(int(flat.argmax()), offsets)
        raise InvalidArgument(f"sequence {sequence} holds {flat.max()} at step {step}: integers must fit 64 bits")
    codes, found = factorised(flat.astype(np.int64))
    return TokenSequences(tuple(found), codes, offsets, INTEGERS)


def _numbers(rows: NDArray[Any], offsets: NDArray[np.int64]) -> Numbers:
    if odd := first_not_finite(rows):
        row, column = odd
        sequence, step = place_of(row, offsets)
        value = "NaN" if np.isnan(rows[row, column]) else rows[row, column]
        raise InvalidArgument(
            f"X must be finite numbers, but sequence {sequence} has {value} in row {step}, column {column}"
        )
    return Numbers(rows, offsets)


def _int64(flat: list[Any], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    try:
        return np.array(flat, dtype=np.int64)
    except OverflowError:
        place = next(i for i, value in enumerate(flat) if not INT64.min <= value <= INT64.max)
        sequence, step = place_of(place, offsets)
        raise InvalidArgument(
            f"sequence {sequence} holds {_checks.shown(flat[place])} at step {step}: integers must fit 64 bits"
        ) from None


def _as_numbers(name: str, given: Any) -> NDArray[np.float64]:
    try:
        return np.asarray(given, dtype=np.float64)
    except OverflowError as error:
        raise InvalidArgument(f"{name} holds an integer that is too large: {error}") from None
    except (TypeError, ValueError):
        items = given.flat if isinstance(given, np.ndarray) else given
        odd = next((item for item in items if not isinstance(item, int | float | np.number)), given)
        raise InvalidArgument(
            f"{name} must hold symbols or numbers of one kind, but there is {_checks.shown(odd)}"
        ) from None


def _named(item: Any) -> str:
    return f"{'the string' if type(item) is str else type(item).__name__} {_checks.shown(item)}"
