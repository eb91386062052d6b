"""Labelled sequences of different lengths, kept flat: nothing is padded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument

# Labels are handed out as int16, as the lesson has them; tokens are kept as int32.
LARGEST_LABEL = 2**15 - 1
LARGEST_INT32 = 2**31 - 1


@dataclass(frozen=True, repr=False, eq=False)
class Sequences:
    """Many labelled sequences, one after the other in one array.

    Sequence ``i`` is ``values[offsets[i]:offsets[i + 1]]`` and its class is ``labels[i]``. The arrays are copies of
    those that were given and cannot be written to, for native code goes by what has been checked; each sequence and
    label is handed out as a copy again, which can.

    Parameters
    ----------
    values : array_like
        Either the integer tokens of all sequences, shape (sum of T,), each in ``0 .. dim_input - 1``,
        or their features, shape (sum of T, C), finite numbers.
    offsets : array_like of int, shape (N + 1,)
        Where each sequence begins, and the end of the last one. A sequence may be empty.
    labels : array_like of int, shape (N,)
        The class of each sequence, 0 .. 32767.
    dim_input : int, optional
        C: for tokens the size of the alphabet (default: the largest token + 1), for features the number of columns.

    Attributes
    ----------
    values : ndarray, int32 (sum of T,) or float32 (sum of T, C)
    offsets : ndarray, int64 (N + 1,)
    labels : ndarray, int64 (N,)
    dim_input : int

    Raises
    ------
    InvalidArgument
        When the three do not fit together, a token lies outside the alphabet or a feature is not finite.

    Examples
    --------
    >>> pair = Sequences([2, 0, 2, 0, 7], [0, 4, 5], [1, 0], dim_input=10)
    >>> len(pair), pair.lengths.tolist(), pair.tokens(0).tolist()
    (2, [4, 1], [2, 0, 2, 0])
    >>> x, y = pair[1]
    >>> x.shape, y
    ((1, 10), array([0], dtype=int16))
    """

    values: NDArray[Any]
    offsets: NDArray[np.int64]
    labels: NDArray[np.int64]
    dim_input: int

    def __init__(self, values: ArrayLike, offsets: ArrayLike, labels: ArrayLike, dim_input: int | None = None) -> None:
        checked_values, dim = _checked_values("values", values, dim_input)
        checked_offsets = _checked_offsets(offsets, len(checked_values))
        checked_labels = _checked_labels(labels, len(checked_offsets) - 1)
        for name, array in (("values", checked_values), ("offsets", checked_offsets), ("labels", checked_labels)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "dim_input", dim)

    def __reduce__(self) -> tuple[Any, ...]:
        """Let copies and what is unpickled be checked and read-only, too."""
        return type(self), (self.values, self.offsets, self.labels, self.dim_input)

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[ArrayLike, ArrayLike]], dim_input: int | None = None) -> Sequences:
        """Gather ``(x, y)`` pairs: `x` is (T, C) features or (T,) integer tokens, `y` one integer class.

        Raises
        ------
        InvalidArgument
            When there is no pair, one is not fit to be a sequence and its class, or they differ in kind or in C; the
            message names the first such sequence.
        """
        if not isinstance(pairs, Iterable):
            raise InvalidArgument(f"pairs must be an iterable of (x, y), not {_checks.shown(pairs)}")
        parts: list[NDArray[Any]] = []
        labels: list[int] = []
        for index, pair in enumerate(pairs):
            x, y = _checked_pair(index, pair)
            part, _ = _checked_values(f"sequence {index}", x, dim_input)
            if parts and part.shape[1:] != parts[0].shape[1:]:
                raise InvalidArgument(
                    f"every sequence must have the same number of inputs, but sequence {index} has shape "
                    f"{part.shape} and sequence 0 has shape {parts[0].shape}"
                )
            parts.append(part)
            labels.append(_checked_label(f"the label of sequence {index}", y))
        if not parts:
            raise InvalidArgument("there is no sequence: at least one pair (x, y) is needed")
        return cls(np.concatenate(parts), offsets_of([len(part) for part in parts]), labels, dim_input)

    def __len__(self) -> int:
        """Return the number of sequences, N."""
        return len(self.labels)

    def __repr__(self) -> str:
        """Say how many sequences there are, of what kind and length."""
        kind = f"tokens below {self.dim_input}" if self.is_tokens else _checks.count_of(self.dim_input, "feature")
        lengths = f"lengths {self.lengths.min()} to {self.lengths.max()}" if len(self) else "none"
        return f"Sequences({len(self):,} of {kind}, {lengths})"

    @property
    def shape(self) -> tuple[int]:
        """(N,), by which scikit-learn's cross-validation knows what it can select from."""
        return (len(self),)

    @property
    def is_tokens(self) -> bool:
        """Whether the values are integer tokens (and not features)."""
        return self.values.ndim == 1

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """T of every sequence, int64 (N,); not to be written to."""
        lengths = np.diff(self.offsets)
        lengths.flags.writeable = False
        return lengths

    def tokens(self, index: int) -> NDArray[np.int64]:
        """Return the integer tokens of one sequence, int64 (T,)."""
        if not self.is_tokens:
            raise InvalidArgument("these sequences hold features, not tokens")
        return self._part(index).astype(np.int64)

    def features(self, index: int, steps: int | None = None) -> NDArray[np.float32]:
        """Return one sequence, or its first `steps`, as the model takes it: float32 (T, C), tokens one-hot encoded."""
        part = self._part(index)[:steps]
        return one_hot(part, self.dim_input) if self.is_tokens else part.copy()

    def select(self, indices: NDArray[Any] | list[int] | slice) -> Sequences:
        """Return the sequences at `indices` (integers, a mask or a slice), copied into flat arrays of their own.

        Raises
        ------
        InvalidArgument
            When `indices` are of another kind or lie outside the sequences.
        """
        chosen, offsets, places = selected(indices, self.offsets)
        return Sequences(self.values[places], offsets, self.labels[chosen], self.dim_input)

    @overload
    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.int16]]: ...
    @overload
    def __getitem__(self, index: slice | NDArray[Any] | list[int]) -> Sequences: ...
    def __getitem__(self, index: Any) -> Any:
        """Return ``(x, y)`` for an integer: float32 (T, C) and int16 (1,); else the selected `Sequences`.

        ``sequences[indices, ...]`` is the same as ``sequences[indices]``.
        """
        # So scikit-learn selects from what has a shape.
        if isinstance(index, tuple) and len(index) == 2 and index[1] is Ellipsis:
            index = index[0]
        if isinstance(index, int | np.integer):
            return self.features(int(index)), np.array([self.labels[index]], dtype=np.int16)
        return self.select(index)

    def __iter__(self) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int16]]]:
        """Go through the ``(x, y)`` pairs."""
        return (self[index] for index in range(len(self)))

    def _part(self, index: int) -> NDArray[Any]:
        part: NDArray[Any] = self.values[steps_of(index, self.offsets)]
        return part


def offsets_of(lengths: ArrayLike) -> NDArray[np.int64]:
    """Return where sequences of these lengths begin in a flat array, and the end of the last one, int64 (N + 1,)."""
    return np.concatenate(([0], np.cumsum(np.asarray(lengths, dtype=np.int64))))


def ramp(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 0 .. counts[0] - 1, 0 .. counts[1] - 1 and so on, one after the other."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)


def steps_of(index: Any, offsets: NDArray[np.int64]) -> slice:
    """Return where the steps of one sequence stand in a flat array; raises IndexError where there is none."""
    count = len(offsets) - 1
    place = _checks.integer("index", index)
    if not -count <= place < count:
        raise IndexError(f"there is no sequence {place}: there are {count}")
    return slice(offsets[place % count], offsets[place % count + 1])


def selected(
    indices: Any, offsets: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return which sequences are selected, their new offsets, and the places of their steps in the flat array.

    Raises
    ------
    InvalidArgument
        When `indices` are no integers, mask or slice, or lie outside the sequences.
    """
    count = len(offsets) - 1
    try:
        chosen = np.arange(count)[indices]
    except (IndexError, TypeError, ValueError):
        chosen = None
    if chosen is None or chosen.ndim != 1:
        raise InvalidArgument(
            f"indices must be integers, a mask or a slice that fits {_checks.count_of(count, 'sequence')}, "
            f"not {_checks.shown(indices)}"
        )
    lengths = np.diff(offsets)[chosen]
    return chosen, offsets_of(lengths), np.repeat(offsets[chosen], lengths) + ramp(lengths)


def given_sequences(given: Any, most: int | None = None, dim_input: int | None = None) -> Sequences | None:
    """Return sequences that are given and not drawn: a `Sequences`, or an iterable of ``(x, y)``; None for others.

    Parameters
    ----------
    given : Any
    most : int, optional
        How many pairs to take from an iterator, which may have no end.
    dim_input : int, optional
        C, for pairs.
    """
    if isinstance(given, Sequences):
        return given
    if callable(getattr(given, "sample", None)) or isinstance(given, str | bytes) or not isinstance(given, Iterable):
        return None
    return Sequences.from_pairs(islice(given, most) if isinstance(given, Iterator) else given, dim_input)


def one_hot(tokens: NDArray[Any], dim_input: int) -> NDArray[np.float32]:
    """Return the float32 (T, C) array whose row t is 1 at ``tokens[t]`` and 0 elsewhere."""
    encoded = np.zeros((len(tokens), dim_input), dtype=np.float32)
    encoded[np.arange(len(tokens)), tokens] = 1.0
    return encoded


def _checked_values(name: str, given: ArrayLike, dim_input: int | None) -> tuple[NDArray[Any], int]:
    """Return tokens as int32 (N,) or features as float32 (N, C), and C."""
    values = _checks.array(name, given)
    if values.ndim == 1 and (values.dtype.kind in "iu" or not len(values)):
        return _checked_tokens(name, values, dim_input)
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        raise InvalidArgument(
            f"{name} must be integer tokens of shape (T,) or features of shape (T, C), "
            f"not {values.dtype} of shape {values.shape}"
        )
    columns = values.shape[1]
    if columns < 1:
        raise InvalidArgument(f"{name} must have at least one column of features")
    if dim_input is not None and _checks.integer("dim_input", dim_input) != columns:
        raise InvalidArgument(f"dim_input is {dim_input}, but {name} has {columns} columns of features")
    with np.errstate(over="ignore"):
        features = np.array(values, dtype=np.float32, order="C")
    _checks.finite(name, features)
    return features, columns


def _checked_tokens(name: str, values: NDArray[Any], dim_input: int | None) -> tuple[NDArray[np.int32], int]:
    largest = int(values.max()) if len(values) else 0
    smallest = int(values.min()) if len(values) else 0
    if dim_input is None:
        dim = min(max(largest, 0) + 1, LARGEST_INT32)
    else:
        dim = _checks.integer("dim_input", dim_input, minimum=1, maximum=LARGEST_INT32)
    if smallest < 0 or largest >= dim:
        place = values.argmin() if smallest < 0 else values.argmax()
        raise InvalidArgument(
            f"{name} must be tokens in 0 .. {dim - 1} (dim_input is {dim}), but there is {values[place]} at [{place}]"
        )
    return np.array(values, dtype=np.int32, order="C"), dim


def _checked_offsets(given: ArrayLike, total: int) -> NDArray[np.int64]:
    # As int64 before they are compared: differences of unsigned integers are never negative.
    offsets = _checks.integers("offsets", given, minimum=0, maximum=total).astype(np.int64)
    if not len(offsets) or offsets[0] != 0 or offsets[-1] != total or np.any(np.diff(offsets) < 0):
        raise InvalidArgument(f"offsets must rise from 0 to the number of values, {total}")
    return offsets


def _checked_labels(given: ArrayLike, count: int) -> NDArray[np.int64]:
    labels = _checks.integers("labels", given, minimum=0, maximum=LARGEST_LABEL)
    if len(labels) != count:
        raise InvalidArgument(f"labels must be one for each of the {count} sequences, but there are {len(labels)}")
    return labels.astype(np.int64)


def _checked_pair(index: int, pair: Any) -> tuple[Any, Any]:
    try:
        x, y = pair
    except (TypeError, ValueError):
        raise InvalidArgument(f"item {index} must be a pair (x, y), not {_checks.shown(pair)}") from None
    return x, y


def _checked_label(name: str, given: ArrayLike) -> int:
    label = _checks.array(name, given)
    if label.size != 1:
        raise InvalidArgument(f"{name} must be one integer, not an array of shape {label.shape}")
    return _checks.integer(name, label.reshape(-1)[0], minimum=0, maximum=LARGEST_LABEL)
