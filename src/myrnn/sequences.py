"""Sequences of different lengths and their targets, stored flat: nothing is padded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.flat import Flat, checked_offsets, offsets_of, places_of, selected, steps_of, sums
from myrnn.targets import (
    CLASS,
    NUMBERS,
    ONE_CLASS,
    SEVERAL,
    TOGETHER,
    TargetKind,
    TargetPart,
    check_same_kind,
    checked_parts,
    checked_targets,
    checked_weights,
    target_of_sequence,
    targets_of_steps,
)

# Tokens are stored as int32.
LARGEST_INT32 = 2**31 - 1


@dataclass(frozen=True, repr=False, eq=False)
class Sequences(Flat):
    """Many sequences, concatenated in one array, and their targets.

    Sequence ``i`` is ``values[offsets[i]:offsets[i + 1]]``. Its target is ``targets[i]``; with a target for each step,
    its targets are ``targets[offsets[i]:offsets[i + 1]]``. The arrays are read-only copies, because native code relies
    on checks made once. Each sequence and target is returned as a new copy that may be changed.

    Parameters
    ----------
    values : array_like
        Either the integer tokens of all sequences, shape (sum of T,), each in ``0 .. dim_input - 1``, or their
        features, shape (sum of T, C), finite numbers.
    offsets : array_like of int, shape (N + 1,)
        The start of each sequence, and the end of the last one. A sequence may be empty.
    targets : array_like
        One row for each sequence, or for each step with `per_step`. Integers, shape (rows,), are classes, 0 .. 32767.
        Truth values, shape (rows, K), say which of K classes apply; any number of them may. Floats, shape (rows,) or
        (rows, K), are numbers.
    dim_input : int, optional
        C: the size of the alphabet for tokens (default: the largest token + 1), the number of columns for features.
    per_step : bool
        Whether `targets` has one row per step, sum of T in all, instead of one per sequence, N.
    weights : array_like of float, optional
        The weight of each row of `targets`, shape (rows,), 0 or more: 0 leaves it out. By default all are 1.
    parts : sequence of TargetPart, optional
        For floats that hold several targets which are learned together: the columns of each, see
        `myrnn.targets.TargetPart`.

    Attributes
    ----------
    values : ndarray, int32 (sum of T,) or float32 (sum of T, C)
    offsets : ndarray, int64 (N + 1,)
    targets : ndarray, int64 (rows,), bool (rows, K) or float32 (rows, K)
    dim_input : int
    per_step : bool
    weights : ndarray, float32 (rows,), or None
    parts : tuple of TargetPart

    Raises
    ------
    InvalidArgument
        When the arrays do not fit together, a token lies outside the alphabet or a number is not finite.

    Examples
    --------
    >>> pair = Sequences([2, 0, 2, 0, 7], [0, 4, 5], [1, 0], dim_input=10)
    >>> len(pair), pair.lengths.tolist(), pair.tokens(0).tolist()
    (2, [4, 1], [2, 0, 2, 0])
    >>> x, y = pair[1]
    >>> x.shape, y
    ((1, 10), array([0], dtype=int16))
    >>> Sequences([2, 0, 2, 0, 7], [0, 4, 5], [0.5, 0.1, 0.5, 0.1, 0.9], per_step=True)
    Sequences(2 of tokens below 8, lengths 1 to 4, numbers (1) for each step)
    """

    values: NDArray[Any]
    offsets: NDArray[np.int64]
    targets: NDArray[Any]
    dim_input: int
    per_step: bool
    weights: NDArray[np.float32] | None
    parts: tuple[TargetPart, ...]

    def __init__(
        self,
        values: ArrayLike,
        offsets: ArrayLike,
        targets: ArrayLike,
        dim_input: int | None = None,
        *,
        per_step: bool = False,
        weights: ArrayLike | None = None,
        parts: Iterable[TargetPart] = (),
    ) -> None:
        has_steps = _checks.flag("per_step", per_step)
        checked_values, dim = _checked_values("values", values, dim_input)
        starts = checked_offsets(offsets, len(checked_values))
        counts = {"sequence": len(starts) - 1, "step": len(checked_values)}
        each = "step" if has_steps else "sequence"
        rows = checked_targets(targets, counts, each)
        given = None if weights is None else checked_weights(weights, counts, each)
        arrays = {"values": checked_values, "offsets": starts, "targets": rows, "weights": given}
        self._take(arrays, dim, has_steps, checked_parts(parts, rows))

    def _take(
        self, arrays: Mapping[str, NDArray[Any] | None], dim_input: int, per_step: bool, parts: tuple[TargetPart, ...]
    ) -> None:
        for name, array in arrays.items():
            if array is not None:
                array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "dim_input", dim_input)
        object.__setattr__(self, "per_step", per_step)
        object.__setattr__(self, "parts", parts)

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild copies and unpickled objects by the constructor, so that they are checked and read-only, too."""
        make = partial(type(self), per_step=self.per_step, weights=self.weights, parts=self.parts)
        return make, (self.values, self.offsets, self.targets, self.dim_input)

    @classmethod
    def from_pairs(
        cls,
        pairs: Iterable[tuple[ArrayLike, ArrayLike]],
        dim_input: int | None = None,
        *,
        per_step: bool = False,
        weights: ArrayLike | None = None,
    ) -> Sequences:
        """Gather ``(x, y)`` pairs: `x` is (T, C) features or (T,) integer tokens, `y` its target.

        Parameters
        ----------
        pairs : iterable of (x, y)
            `y` is one integer, the class; truth values (K,), one for each class; or a float or floats (K,). With
            `per_step` it has one row per step: integers (T,), truth values (T, K), or floats (T,) or (T, K).
        dim_input : int, optional
            C, for tokens.
        per_step : bool
            Whether each step has a target; ignored for a `Sequences`, which knows.
        weights : array_like of float, optional
            The weight of each target, in the order of the sequences, as for `Sequences`.

        Raises
        ------
        InvalidArgument
            When there is no pair, one is not a sequence and its target, or they differ in kind, in C or in K; the
            message names the first such sequence.
        """
        if not isinstance(pairs, Iterable):
            raise InvalidArgument(f"pairs must be an iterable of (x, y), not {_checks.shown(pairs)}")
        parts_of_targets: tuple[TargetPart, ...] = ()
        if isinstance(pairs, Sequences):
            per_step, weights = pairs.per_step, pairs.weights if weights is None else weights
            parts_of_targets = pairs.parts
        parts: list[NDArray[Any]] = []
        targets: list[tuple[int, NDArray[Any]]] = []
        for index, pair in enumerate(pairs):
            x, y = _checked_pair(index, pair)
            part, _ = _checked_values(f"sequence {index}", x, dim_input)
            if parts and part.shape[1:] != parts[0].shape[1:]:
                raise InvalidArgument(
                    f"every sequence must have the same number of inputs, but sequence {index} has shape "
                    f"{part.shape} and sequence 0 has shape {parts[0].shape}"
                )
            parts.append(part)
            target = targets_of_steps(index, y, len(part)) if per_step else target_of_sequence(index, y, len(part))
            if len(target):
                targets.append((index, target))
                check_same_kind(*targets[0], *targets[-1])
        if not parts:
            raise InvalidArgument("there are no sequences: at least one pair (x, y) is needed")
        rows: ArrayLike = np.concatenate([target for _, target in targets]) if targets else []
        offsets = offsets_of([len(part) for part in parts])
        known: dict[str, Any] = {"per_step": per_step, "weights": weights, "parts": parts_of_targets}
        return cls(np.concatenate(parts), offsets, rows, dim_input, **known)

    def __repr__(self) -> str:
        """Return their number, kind and lengths, and what their targets are unless they are labels."""
        kind = f"tokens below {self.dim_input}" if self.is_tokens else _checks.count_of(self.dim_input, "feature")
        lengths = f"lengths {self.lengths.min()} to {self.lengths.max()}" if len(self) else "none"
        targets = "" if self.kind == ONE_CLASS else f", {self.kind}"
        return f"Sequences({len(self):,} of {kind}, {lengths}{targets})"

    @cached_property
    def kind(self) -> TargetKind:
        """The kind of the targets."""
        what = TOGETHER if self.parts else {"i": CLASS, "b": SEVERAL, "f": NUMBERS}[self.targets.dtype.kind]
        columns = None if what == CLASS else self.targets.shape[1]
        return TargetKind(what, self.per_step, columns, self.weights is not None, self.parts)

    @property
    def labels(self) -> NDArray[np.int64]:
        """The class of each sequence, int64 (N,).

        Raises
        ------
        InvalidArgument
            When the targets are of another kind.
        """
        if self.kind.what != CLASS or self.per_step:
            self.check_labels()
        return self.targets

    def check_labels(self) -> None:
        """Raise InvalidArgument unless the targets are one class per sequence without weights."""
        if self.kind != ONE_CLASS:
            raise InvalidArgument(f"{ONE_CLASS} is needed here, without weights, but these sequences have {self.kind}")

    @property
    def shape(self) -> tuple[int]:
        """(N,), which scikit-learn's cross-validation uses to select from it."""
        return (len(self),)

    @property
    def is_tokens(self) -> bool:
        """Whether the values are integer tokens, not features."""
        return self.values.ndim == 1

    def tokens(self, index: int) -> NDArray[np.int64]:
        """Return the integer tokens of one sequence, int64 (T,)."""
        if not self.is_tokens:
            raise InvalidArgument("these sequences hold features, not tokens")
        return self._part(index).astype(np.int64)

    def features(self, index: int, steps: int | None = None) -> NDArray[np.float32]:
        """Return one sequence, or its first `steps`, as model input: float32 (T, C), tokens one-hot encoded."""
        part = self._part(index)[:steps]
        return one_hot(part, self.dim_input) if self.is_tokens else part.copy()

    def select(self, indices: NDArray[Any] | list[int] | slice) -> Sequences:
        """Return the sequences at `indices` (integers, a mask or a slice) as new flat arrays.

        Raises
        ------
        InvalidArgument
            When `indices` are of another kind or out of range.
        """
        chosen, offsets, places = selected(indices, self.offsets)
        rows = places if self.per_step else chosen
        weights = None if self.weights is None else self.weights[rows]
        return self._of_these(self.values[places], offsets, self.targets[rows], weights)

    def cut(self, pieces: int) -> Sequences:
        """Cut a single long sequence into `pieces` consecutive sequences of about equal length.

        Raises
        ------
        InvalidArgument
            When there is more than one sequence, no target for each step, or fewer steps than `pieces`.
        """
        if len(self) != 1 or not self.per_step:
            raise InvalidArgument(
                f"cut takes one sequence with a target for each step, but there are {len(self):,} with {self.kind}"
            )
        total = len(self.values)
        count = _checks.integer("pieces", pieces, minimum=1, maximum=max(1, total))
        offsets = np.arange(count + 1) * total // count
        return self._of_these(self.values, offsets, self.targets, self.weights)

    def over(self, dim_input: int) -> Sequences:
        """Return the same tokens over an alphabet of another size."""
        known: dict[str, Any] = {"per_step": self.per_step, "weights": self.weights, "parts": self.parts}
        return Sequences(self.values, self.offsets, self.targets, dim_input, **known)

    def _of_these(
        self,
        values: NDArray[Any],
        offsets: NDArray[np.int64],
        targets: NDArray[Any],
        weights: NDArray[np.float32] | None,
    ) -> Sequences:
        """Return other sequences of this kind, over parts of these arrays."""
        known: dict[str, Any] = {"per_step": self.per_step, "weights": weights, "parts": self.parts}
        return of_checked(values, offsets, targets, self.dim_input, **known)

    @cached_property
    def classes(self) -> NDArray[np.int64]:
        """The targets if they are classes, int64 (rows,)."""
        return self.targets.astype(np.int64, copy=False)

    def rows(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the target rows of the sequences at `indices`, in order, int64."""
        return places_of(indices, self.offsets) if self.per_step else indices

    @cached_property
    def counted(self) -> NDArray[np.int64]:
        """The number of targets of each sequence that count, int64 (N,): those whose weight is not 0.

        For several targets together it is the class that is scored.
        """
        if self.weights is None and not self.parts:
            return self.lengths if self.per_step else np.ones(len(self), dtype=np.int64)
        counts = np.ones(len(self.targets), dtype=np.int64) if self.weights is None else self.weights > 0
        if self.parts:
            counts = counts * self.targets[:, : self.kind.scored].any(axis=1)
        counts = counts.astype(np.int64)
        return sums(counts, self.offsets) if self.per_step else counts

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the sequences and all of their attributes."""
        digest = hashlib.sha256(repr((self.values.shape, self.dim_input, self.kind)).encode())
        for part in (self.values, self.offsets, self.targets, self.weights):
            if part is not None:
                digest.update(np.ascontiguousarray(part))
        return digest.hexdigest()

    @overload
    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[Any]]: ...
    @overload
    def __getitem__(self, index: slice | NDArray[Any] | list[int]) -> Sequences: ...
    def __getitem__(self, index: Any) -> Any:
        """Return ``(x, y)`` for an integer: float32 (T, C) and its target; otherwise the selected `Sequences`."""
        # A target is a class, int16 (1,), truth values, bool (K,), or numbers, float32 (K,); for each step int16 (T,),
        # bool (T, K) or float32 (T, K).
        # scikit-learn selects from objects with a shape in this way.
        if isinstance(index, tuple) and len(index) == 2 and index[1] is Ellipsis:
            index = index[0]
        if isinstance(index, int | np.integer):
            return self.features(int(index)), self._target(int(index))
        return self.select(index)

    def __iter__(self) -> Iterator[tuple[NDArray[np.float32], NDArray[Any]]]:
        """Iterate over the ``(x, y)`` pairs."""
        return (self[index] for index in range(len(self)))

    def _part(self, index: int) -> NDArray[Any]:
        part: NDArray[Any] = self.values[steps_of(index, self.offsets)]
        return part

    def _target(self, index: int) -> NDArray[Any]:
        """Return the target of one sequence, or those of its steps, as ``[i]`` does."""
        target: NDArray[Any] = self.targets[steps_of(index, self.offsets) if self.per_step else index]
        return np.array(target, dtype=np.int16, ndmin=1) if self.kind.what == CLASS else target.copy()


def of_checked(
    values: NDArray[Any],
    offsets: NDArray[np.int64],
    targets: NDArray[Any],
    dim_input: int,
    *,
    per_step: bool = False,
    weights: NDArray[np.float32] | None = None,
    parts: tuple[TargetPart, ...] = (),
) -> Sequences:
    """Return sequences over these valid arrays themselves, without the constructor's copies; classes may be int32."""
    arrays = {"values": values, "offsets": offsets, "targets": targets, "weights": weights}
    made = object.__new__(Sequences)
    made._take(arrays, dim_input, per_step, parts)
    return made


def steps_at(sequences: Sequences, place: slice) -> Sequences:
    """Return consecutive steps, which have a target each, as one sequence."""
    weights = None if sequences.weights is None else sequences.weights[place]
    offsets = np.array([0, place.stop - place.start])
    return sequences._of_these(sequences.values[place], offsets, sequences.targets[place], weights)


def given_sequences(given: Any, most: int | None = None, dim_input: int | None = None) -> Sequences | None:
    """Return data, a `Sequences` or at most `most` pairs ``(x, y)``, as a `Sequences`; None for a task."""
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
        raise InvalidArgument(
            f"dim_input is {dim_input}, but {name} has {_checks.count_of(columns, 'column')} of features"
        )
    return _checks.float32(name, values), columns


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


def _checked_pair(index: int, pair: Any) -> tuple[Any, Any]:
    try:
        x, y = pair
    except (TypeError, ValueError):
        raise InvalidArgument(f"item {index} must be a pair (x, y), not {_checks.shown(pair)}") from None
    return x, y
