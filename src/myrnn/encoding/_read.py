"""The many ways of writing sequences, brought down to flat arrays of symbols or of numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.data import TOKENIZE, TokenSequences, read_as, spaced
from myrnn.encoding._raw import KINDS, Numbers, RawSequences, Symbols, Tokenize, offsets_of, place_of
from myrnn.errors import InvalidArgument
from myrnn.sequences import Sequences

WANTED = "a list of strings, of token lists or of (T, C) arrays, an array of shape (N, T, C) or (N, T), or a Sequences"
INT64 = np.iinfo(np.int64)


def read_sequences(X: Any, like: str | None = None, tokenize: Tokenize = "auto") -> RawSequences:
    """Return sequences, however they are written, as flat arrays.

    Parameters
    ----------
    X : list, array or Sequences
        A list of strings (the symbols are their words or their characters), of lists of strings or of integers (the
        symbols), of (T, C) arrays or (T,) arrays of floats (T steps of one number); an array (N, T, C), or (N, T) of
        integers or strings (symbols) or floats (T steps of one number); a `Sequences`; the `TokenSequences` of a file.
        A sequence may be empty.
    tokenize : {"auto", "words", "characters"} or callable
        What the symbols of strings are: their words, which white space parts, their characters, or the strings that a
        function returns of each. ``"auto"`` are words where a string has white space between two of them, else
        characters.
    like : {"characters", "words", "integers", "numbers"}, optional
        What the sequences have to be. For ``"numbers"`` integers are numbers too.

    Returns
    -------
    Symbols or Numbers

    Raises
    ------
    InvalidArgument
        When it is nothing of this kind, sequences differ in kind or in the number of columns, or a number is not
        finite; the message names the sequence.

    Examples
    --------
    >>> raw = read_sequences(["abba", "", "b"])
    >>> raw.table, raw.codes.tolist(), raw.offsets.tolist()
    (('a', 'b'), [0, 1, 1, 0, 1], [0, 4, 4, 5])
    """
    if not callable(tokenize):
        _checks.one_of("tokenize", tokenize, TOKENIZE)
    raw = _read(X, like, tokenize)
    found = raw.kind if isinstance(raw, Symbols) else "numbers"
    if like is not None and found != like:
        if not len(_flat(raw)):
            return _empty(like, len(raw))
        names = {**KINDS, "numbers": "sequences of numbers"}
        raise InvalidArgument(f"X must be {names[like]}, as what was fitted, not {names[found]}")
    return raw


def _read(X: Any, like: str | None, tokenize: Tokenize) -> RawSequences:
    if isinstance(X, TokenSequences):
        kind = "characters" if X.tokenize == "characters" else "words"
        return Symbols(kind, X.codes, X.offsets, X.symbols, X.tokenize)
    if isinstance(X, Sequences):
        return _integers(X.values, X.offsets) if X.is_tokens else _numbers(X.values, X.offsets)
    if hasattr(X, "toarray"):
        raise InvalidArgument("X is a sparse matrix, but dense data is required: use X.toarray()")
    if isinstance(X, str | bytes | dict | set) or not hasattr(X, "__len__"):
        raise InvalidArgument(f"X must be {WANTED}, not {type(X).__name__}")
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
            return _words(words, offsets)
        X = _as_numbers("X", X)
    if X.ndim == 3:
        if not X.shape[2]:
            raise InvalidArgument("X must have at least one column of numbers")
        return _numbers(X.reshape(-1, X.shape[2]), offsets)
    if X.dtype.kind in "biu" and like != "numbers":
        return _integers(X.ravel(), offsets)
    return _numbers(X.reshape(-1, 1), offsets)


def _read_list(items: list[Any], like: str | None, tokenize: Tokenize) -> RawSequences:
    kinds = set(map(type, items))
    if items and all(issubclass(kind, str) for kind in kinds):
        return _text(items, tokenize)
    if not all(map(_is_list, kinds)):
        _refuse_items(items)
    if not any(hasattr(kind, "__array__") for kind in kinds):
        return _read_lists(items, like)
    return _read_parts([_part(index, item) for index, item in enumerate(items)], like)


def _is_list(kind: type) -> bool:
    """Tell whether a sequence of symbols or numbers can be of this type: a list, an array, a data frame, ..."""
    if issubclass(kind, str | bytes | np.generic):
        return False
    return issubclass(kind, Sequence) or hasattr(kind, "__array__")


def _refuse_items(items: list[Any]) -> NoReturn:
    """Name the first item that is no sequence; where there are only strings and lists, the first of each."""
    odd = next(
        (index for index, item in enumerate(items) if not isinstance(item, str) and not _is_list(type(item))), None
    )
    if odd is not None:
        raise InvalidArgument(f"X must be {WANTED}, but sequence {odd} is {_named(items[odd])}")
    first, other = (next(i for i, item in enumerate(items) if isinstance(item, str) is told) for told in (True, False))
    raise InvalidArgument(
        f"X must be {WANTED}, but sequence {first} is {_named(items[first])}, and sequence {other} "
        f"{_named(items[other])}"
    )


def _read_lists(items: list[Any], like: str | None) -> RawSequences:
    """Read lists or tuples; the loops over their steps are NumPy's and itertools'."""
    offsets = offsets_of(list(map(len, items)))
    flat = list(chain.from_iterable(items))
    kinds = set(map(type, flat))
    if all(issubclass(kind, str) for kind in kinds):
        return _words(flat, offsets)
    if all(issubclass(kind, int | np.integer) and kind is not bool for kind in kinds) and like != "numbers":
        return _integers(_int64(flat, offsets), offsets)
    if all(issubclass(kind, int | float | np.number) and kind is not bool for kind in kinds):
        return _numbers(_as_numbers("X", flat).reshape(-1, 1), offsets)
    return _read_parts([_part(index, item) for index, item in enumerate(items)], like)


def _part(index: int, item: Any) -> NDArray[Any]:
    """Return one sequence as an array of symbols (T,) or of numbers (T,) or (T, C)."""
    name = f"sequence {index}"
    if not hasattr(item, "__array__"):
        # NumPy would make strings of all.
        strings = [isinstance(symbol, str) for symbol in item]
        if any(strings) and not all(strings):
            odd = _checks.shown(item[strings.index(False)])
            raise InvalidArgument(f"{name} must hold symbols or numbers of one kind, but beside strings there is {odd}")
    array = _checks.array(name, item)
    if array.dtype.kind == "O" and array.ndim == 1 and any(isinstance(vector, np.ndarray) for vector in array):
        # Vectors as pandas and Polars hold them: an array of arrays.
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
    kinds = [(index, "words" if part.dtype.kind in "UO" else _kind_of_numbers(part, like)) for index, part in filled]
    # Beside floats, integers are numbers too.
    if "numbers" in {kind for _, kind in kinds}:
        kinds = [(index, "numbers" if kind == "integers" else kind) for index, kind in kinds]
    for index, kind in kinds:
        if kind != kinds[0][1]:
            raise InvalidArgument(
                f"every sequence must be of one kind, but sequence {index} holds {kind} "
                f"and sequence {kinds[0][0]} {kinds[0][1]}"
            )
    if not filled:
        columns = next((part.shape[1] for part in parts if part.ndim == 2), 1)
        return _numbers(np.zeros((0, columns)), offsets)
    if kinds[0][1] == "words":
        return _words(list(chain.from_iterable(part.tolist() for _, part in filled)), offsets)
    if kinds[0][1] == "integers":
        return _integers(np.concatenate([part for _, part in filled]), offsets)
    return _numbers(np.concatenate(_same_columns(filled)), offsets)


def _kind_of_numbers(part: NDArray[Any], like: str | None) -> str:
    return "integers" if part.ndim == 1 and part.dtype.kind in "biu" and like != "numbers" else "numbers"


def _same_columns(filled: list[tuple[int, NDArray[Any]]]) -> list[NDArray[Any]]:
    rows = [part if part.ndim == 2 else part[:, np.newaxis] for _, part in filled]
    for (index, _), part in zip(filled, rows, strict=True):
        if part.shape[1] != rows[0].shape[1]:
            raise InvalidArgument(
                f"every sequence must have the same number of columns, but sequence {index} has {part.shape[1]} "
                f"and sequence {filled[0][0]} has {rows[0].shape[1]}"
            )
    return rows


def _text(strings: list[str], tokenize: Tokenize) -> Symbols:
    if isinstance(tokenize, str):
        tokenize = read_as(tokenize, spaced(strings) if tokenize == "auto" else 0, len(strings), "X")
    if tokenize == "characters":
        return _characters(strings)
    lists = [text.split() for text in strings] if isinstance(tokenize, str) else _tokenized(strings, tokenize)
    raw = _words(list(chain.from_iterable(lists)), offsets_of(list(map(len, lists))))
    return replace(raw, tokenize=tokenize)


def _tokenized(strings: list[str], tokenize: Callable[[str], Sequence[str]]) -> list[Sequence[str]]:
    lists = [tokenize(text) for text in strings]
    for text, found in zip(strings, lists, strict=True):
        if not isinstance(found, list | tuple) or not all(isinstance(symbol, str) for symbol in found):
            raise InvalidArgument(
                f"tokenize must return a list of strings, but of {_checks.shown(text)} it returned "
                f"{_checks.shown(found)}"
            )
    return lists


# The four kinds ------------------------------------------------------------------------------------------------------


def _characters(strings: list[str]) -> Symbols:
    # Four bytes a character, lone surrogates included: one array of all of them.
    points = np.frombuffer("".join(strings).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    codes, found = _factorised(points)
    return Symbols("characters", codes, offsets_of(list(map(len, strings))), tuple(map(chr, found)), "characters")


def _words(flat: list[Any], offsets: NDArray[np.int64]) -> Symbols:
    table = {word: code for code, word in enumerate(sorted(set(flat)))}
    codes = np.fromiter(map(table.__getitem__, flat), dtype=np.int32, count=len(flat))
    return Symbols("words", codes, offsets, tuple(map(str, table)))


def _integers(flat: NDArray[Any], offsets: NDArray[np.int64]) -> Symbols:
    if len(flat) and int(flat.max()) > INT64.max:
        sequence, step = place_of(int(flat.argmax()), offsets)
        raise InvalidArgument(f"sequence {sequence} holds {flat.max()} at step {step}: integers must fit 64 bits")
    codes, found = _factorised(flat.astype(np.int64))
    return Symbols("integers", codes, offsets, tuple(found))


def _factorised(values: NDArray[Any]) -> tuple[NDArray[np.int32], list[int]]:
    """Return which of the distinct values stands at every place, and these, rising."""
    if not len(values):
        return np.zeros(0, dtype=np.int32), []
    least, span = int(values.min()), int(values.max()) - int(values.min())
    if span > 2**22 and span > 4 * len(values):
        found, codes = np.unique(values, return_inverse=True)
        return codes.astype(np.int32), found.tolist()
    # A table of all values between the least and the largest: no sorting.
    shifted = values - values.dtype.type(least)
    occurs = np.zeros(span + 1, dtype=bool)
    occurs[shifted] = True
    codes = (np.cumsum(occurs, dtype=np.int32) - np.int32(1))[shifted]
    return codes, (np.flatnonzero(occurs) + least).tolist()


def _numbers(rows: NDArray[Any], offsets: NDArray[np.int64]) -> Numbers:
    bad = ~np.isfinite(rows).all(axis=1)
    if bad.any():
        row = int(bad.argmax())
        column = int((~np.isfinite(rows[row])).argmax())
        sequence, step = place_of(row, offsets)
        value = {"nan": "NaN"}.get(text := str(rows[row, column]), text)
        raise InvalidArgument(
            f"X must be finite numbers, but sequence {sequence} has {value} in row {step}, column {column}"
        )
    return Numbers(rows, offsets)


def _empty(kind: str, count: int) -> RawSequences:
    offsets = np.zeros(count + 1, dtype=np.int64)
    if kind == "numbers":
        return Numbers(np.zeros((0, 1)), offsets)
    return Symbols(kind, np.zeros(0, dtype=np.int32), offsets, ())


# Small helps ---------------------------------------------------------------------------------------------------------


def _flat(raw: RawSequences) -> NDArray[Any]:
    return raw.codes if isinstance(raw, Symbols) else raw.rows


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
        odd = next((item for item in _items(given) if not isinstance(item, int | float | np.number)), given)
        raise InvalidArgument(
            f"{name} must hold symbols or numbers of one kind, but there is {_checks.shown(odd)}"
        ) from None


def _items(given: Any) -> Iterable[Any]:
    return given.flat if isinstance(given, np.ndarray) else given


def _named(item: Any) -> str:
    names: dict[type, Callable[[Any], str]] = {str: lambda item: f"the string {_checks.shown(item)}"}
    return names.get(type(item), lambda item: f"{type(item).__name__} {_checks.shown(item)}")(item)
