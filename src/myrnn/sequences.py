"""Labelled sequences of different lengths, kept flat: nothing is padded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument


@dataclass(frozen=True, repr=False, eq=False)
class Sequences:
    """Many labelled sequences, one after the other in one array.

    Sequence ``i`` is ``values[offsets[i]:offsets[i + 1]]`` and its class is ``labels[i]``.

    Parameters
    ----------
    values : array_like
        Either the integer tokens of all sequences, shape (sum of T,), each in ``0 .. dim_input - 1``,
        or their features, shape (sum of T, C), finite numbers.
    offsets : array_like of int, shape (N + 1,)
        Where each sequence begins, and the end of the last one. A sequence may be empty.
    labels : array_like of int, shape (N,)
        The class of each sequence, 0 or more.
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
    dim_input: int = field(default=0)

    def __init__(self, values: ArrayLike, offsets: ArrayLike, labels: ArrayLike, dim_input: int | None = None) -> None:
        checked_values, dim = _checked_values(np.asarray(values), dim_input)
        checked_offsets = _checked_offsets(np.asarray(offsets), len(checked_values))
        checked_labels = _checked_labels(np.asarray(labels), len(checked_offsets) - 1)
        for name, value in (
            ("values", checked_values),
            ("offsets", checked_offsets),
            ("labels", checked_labels),
            ("dim_input", dim),
        ):
            object.__setattr__(self, name, value)

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[ArrayLike, ArrayLike]], dim_input: int | None = None) -> Sequences:
        """Gather ``(x, y)`` pairs: `x` is (T, C) features or (T,) integer tokens, `y` one integer class.

        Raises
        ------
        InvalidArgument
            When there is no pair, or the pairs differ in kind or in C; the message names the first such sequence.
        """
        parts: list[NDArray[Any]] = []
        labels: list[int] = []
        for index, pair in enumerate(pairs):
            try:
                x, y = pair
            except (TypeError, ValueError):
                raise InvalidArgument(f"item {index} must be a pair (x, y), not {type(pair).__name__}") from None
            part = _as_array(f"sequence {index}", x)
            if parts and part.shape[1:] != parts[0].shape[1:]:
                raise InvalidArgument(
                    f"every sequence must have the same number of inputs, but sequence {index} has shape "
                    f"{part.shape} and sequence 0 has shape {parts[0].shape}"
                )
            label = np.asarray(getattr(y, "data", y))
            if label.size != 1:
                raise InvalidArgument(
                    f"the label of sequence {index} must be one integer, not an array of {label.shape}"
                )
            parts.append(part)
            labels.append(_checks.integer(f"the label of sequence {index}", label.reshape(-1)[0], minimum=0))
        if not parts:
            raise InvalidArgument("there is no sequence: at least one pair (x, y) is needed")
        offsets = np.concatenate(([0], np.cumsum([len(part) for part in parts])))
        return cls(np.concatenate(parts), offsets, labels, dim_input)

    def __len__(self) -> int:
        """Return the number of sequences, N."""
        return len(self.labels)

    def __repr__(self) -> str:
        """Say how many sequences there are, of what kind and length."""
        kind = f"tokens below {self.dim_input}" if self.is_tokens else f"{self.dim_input} features"
        lengths = f"lengths {self.lengths.min()} to {self.lengths.max()}" if len(self) else "none"
        return f"Sequences({len(self):,} of {kind}, {lengths})"

    @property
    def is_tokens(self) -> bool:
        """Whether the values are integer tokens (and not features)."""
        return self.values.ndim == 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """T of every sequence, int64 (N,)."""
        return np.diff(self.offsets)

    def tokens(self, index: int) -> NDArray[np.int64]:
        """Return the integer tokens of one sequence, int64 (T,)."""
        if not self.is_tokens:
            raise InvalidArgument("these sequences hold features, not tokens")
        return self._part(index).astype(np.int64)

    def features(self, index: int) -> NDArray[np.float32]:
        """Return one sequence as the model takes it, float32 (T, C); tokens come one-hot encoded."""
        part = self._part(index)
        return one_hot(part, self.dim_input) if self.is_tokens else part

    def select(self, indices: NDArray[Any] | list[int] | slice) -> Sequences:
        """Return the sequences at `indices` (integers, a mask or a slice), copied into flat arrays of their own."""
        chosen = np.arange(len(self))[indices]
        lengths = self.lengths[chosen]
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        places = np.arange(offsets[-1]) + np.repeat(self.offsets[chosen] - offsets[:-1], lengths)
        return Sequences(self.values[places], offsets, self.labels[chosen], self.dim_input)

    @overload
    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.int16]]: ...
    @overload
    def __getitem__(self, index: slice | NDArray[Any] | list[int]) -> Sequences: ...
    def __getitem__(self, index: Any) -> Any:
        """Return ``(x, y)`` for an integer: float32 (T, C) and int16 (1,); else the selected `Sequences`."""
        if isinstance(index, int | np.integer):
            return self.features(int(index)), np.array([self.labels[index]], dtype=np.int16)
        return self.select(index)

    def __iter__(self) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int16]]]:
        """Go through the ``(x, y)`` pairs."""
        return (self[index] for index in range(len(self)))

    def _part(self, index: int) -> NDArray[Any]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"sequence {index} of {len(self)}")
        index %= len(self)
        part: NDArray[Any] = self.values[self.offsets[index] : self.offsets[index + 1]]
        return part


def one_hot(tokens: NDArray[Any], dim_input: int) -> NDArray[np.float32]:
    """Return the float32 (T, C) array whose row t is 1 at ``tokens[t]`` and 0 elsewhere."""
    encoded = np.zeros((len(tokens), dim_input), dtype=np.float32)
    encoded[np.arange(len(tokens)), tokens] = 1.0
    return encoded


def _as_array(name: str, x: ArrayLike) -> NDArray[Any]:
    # A MyGrad tensor keeps its array in `.data`; a NumPy array's `.data` is a raw buffer.
    part = np.asarray(x if isinstance(x, np.ndarray) else getattr(x, "data", x))
    if part.ndim not in (1, 2):
        raise InvalidArgument(f"{name} must have shape (T, C), or (T,) for integer tokens, not {part.shape}")
    return part


def _checked_values(values: NDArray[Any], dim_input: int | None) -> tuple[NDArray[Any], int]:
    if values.ndim == 1 and (np.issubdtype(values.dtype, np.integer) or not len(values)):
        return _checked_tokens(values, dim_input)
    if values.ndim != 2 or not (np.issubdtype(values.dtype, np.floating) or np.issubdtype(values.dtype, np.integer)):
        raise InvalidArgument(
            "values must be integer tokens of shape (N,) or features of shape (N, C), "
            f"not {values.dtype} of shape {values.shape}"
        )
    if dim_input is not None and dim_input != values.shape[1]:
        raise InvalidArgument(f"dim_input is {dim_input}, but the features have {values.shape[1]} columns")
    if values.shape[1] < 1:
        raise InvalidArgument("features must have at least one column")
    with np.errstate(over="ignore"):
        features = np.ascontiguousarray(values, dtype=np.float32)
    _checks.finite("values", features)
    return features, values.shape[1]


def _checked_tokens(values: NDArray[Any], dim_input: int | None) -> tuple[NDArray[Any], int]:
    largest = int(values.max()) if len(values) else -1
    smallest = int(values.min()) if len(values) else 0
    dim = max(largest + 1, 1) if dim_input is None else _checks.integer("dim_input", dim_input, minimum=1)
    if smallest < 0 or largest >= dim:
        outside = smallest if smallest < 0 else largest
        raise InvalidArgument(f"tokens must lie in 0 .. {dim - 1} (dim_input is {dim}), but one is {outside}")
    return np.ascontiguousarray(values, dtype=np.int32), dim


def _checked_offsets(offsets: NDArray[Any], total: int) -> NDArray[np.int64]:
    if offsets.ndim != 1 or len(offsets) < 1 or not np.issubdtype(offsets.dtype, np.integer):
        raise InvalidArgument(f"offsets must be integers of shape (N + 1,), not {offsets.dtype} {offsets.shape}")
    if offsets[0] != 0 or offsets[-1] != total or np.any(np.diff(offsets) < 0):
        raise InvalidArgument(f"offsets must rise from 0 to the number of values, {total}")
    return np.ascontiguousarray(offsets, dtype=np.int64)


def _checked_labels(labels: NDArray[Any], count: int) -> NDArray[np.int64]:
    if labels.shape != (count,):
        raise InvalidArgument(f"there are {count} sequences, but labels has shape {labels.shape}")
    if count and not np.issubdtype(labels.dtype, np.integer):
        raise InvalidArgument(f"labels must be integers, not {labels.dtype}")
    if count and labels.min() < 0:
        raise InvalidArgument(f"labels must be 0 or more, but one is {labels.min()}")
    return np.ascontiguousarray(labels, dtype=np.int64)
