"""Encoders from symbols, numbers and labels of any kind to model inputs and classes.

A `SequenceEncoder`, which is a `Vocabulary` or a `Standardizer`, and `ClassLabels` are fitted on the training
sequences. They are plain data: ``to_settings()`` returns values for JSON, and ``from_settings()`` checks them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.data.symbols import (
    CHARACTERS,
    INTEGERS,
    WORDS,
    Numbers,
    RawSequences,
    TokenSequences,
    first_not_finite,
)
from myrnn.errors import InvalidArgument
from myrnn.flat import blocks, place_of
from myrnn.sequences import Sequences, of_checked
from myrnn.settings import converted
from myrnn.targets import LARGEST_LABEL

# The token of every symbol that is not in the vocabulary.
UNKNOWN = 0
# Rows that are standardized at once in float64, to limit memory.
BLOCK = 2**16
# A column whose deviation is below this share of its largest number is constant up to rounding.
ROUNDING = 1e-12
# What a standardizer knows of every column.
_MEASURES = ("mean", "scale", "low", "high")
# The types of labels, and the kinds of NumPy dtypes that hold them. Truth values come first: they are integers, too.
LABEL_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "bool": ((bool, np.bool_), "b"),
    "str": ((str,), "U"),
    "int": ((int, np.integer), "iu"),
    "float": ((float, np.floating), "f"),
}
# Classes that need more bytes are refused before they are allocated.
MOST_BYTES = 2**28


class PlainValues:
    """A frozen dataclass of plain values that is stored as JSON."""

    def to_settings(self) -> dict[str, Any]:
        """Return values for JSON."""
        settings: dict[str, Any] = msgspec.to_builtins(self)
        return settings

    @classmethod
    def from_settings(cls, settings: Any) -> Self:
        """Rebuild it; raises InvalidArgument for values that `to_settings` cannot return."""
        names = cls.__match_args__  # type: ignore[attr-defined]  # of every dataclass
        if not isinstance(settings, Mapping) or set(settings) != set(names):
            raise InvalidArgument(f"{cls.__name__} must have {', '.join(names)}, and nothing else")
        found: Self = converted(cls.__name__, settings, cls)
        return found


class SequenceEncoder(PlainValues, ABC):
    """What turns sequences into the values that a model reads: a `Vocabulary` or a `Standardizer`.

    Attributes
    ----------
    kind : {"characters", "words", "integers", "numbers"}
        The kind of the sequences.
    dim_input : int
        C: the number of tokens, or of columns.

    Examples
    --------
    >>> from myrnn.data import flat_sequences
    >>> encoder = SequenceEncoder.fit(flat_sequences([["to", "be"], ["or", "not", "to", "be"]]))
    >>> encoder
    Vocabulary(4 words: 'be', 'not', 'or', 'to')
    >>> encoder.encode(flat_sequences([["to", "see"]], encoder.kind)).tokens(0).tolist()
    [4, 0]
    """

    kind: str

    @staticmethod
    def fit(
        raw: RawSequences,
        training: NDArray[np.bool_] | None = None,
        *,
        standardize: bool = True,
        max_vocabulary: int | None = None,
    ) -> Vocabulary | Standardizer:
        """Fit to the sequences that `training` marks, by default to all.

        With `standardize`, columns of numbers are scaled to mean 0 and standard deviation 1. Symbols beyond the
        `max_vocabulary` most frequent ones become unknown.
        """
        if isinstance(raw, TokenSequences):
            return _vocabulary_of(raw, training, max_vocabulary)
        measured = _standardizer_of(raw, training)
        return measured if standardize else measured.without_scale()

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of tokens, or of columns."""

    @property
    def dim_input(self) -> int:
        """C, the number of tokens, or of columns."""
        return len(self)

    @abstractmethod
    def values(self, raw: Any) -> NDArray[Any]:
        """Return the values of all steps of sequences of the fitted kind: tokens (S,) or rows (S, C)."""

    def encode(self, raw: RawSequences, targets: NDArray[Any] | None = None, *, per_step: bool = False) -> Sequences:
        """Return sequences of the fitted kind as model input, with `targets`, or class 0 for each."""
        if raw.kind != self.kind:
            raise InvalidArgument(f"the sequences must be {self.kind}, as in fit")
        values = self.values(raw)
        if targets is None:
            return of_checked(values, raw.offsets, np.zeros(len(raw), dtype=np.int64), self.dim_input)
        return Sequences(values, raw.offsets, targets, self.dim_input, per_step=per_step)


@dataclass(frozen=True, repr=False)
class Vocabulary(SequenceEncoder):
    """Symbols and their tokens: 0 for every unknown one, and 1, 2, ... for the symbols in order.

    Attributes
    ----------
    kind : {"characters", "words", "integers"}
    symbols : tuple of str or int
        All different.

    Examples
    --------
    >>> from myrnn.data import flat_sequences
    >>> vocabulary = Vocabulary.fit(flat_sequences(["abba", "cab"]), max_vocabulary=2)
    >>> vocabulary.symbols, vocabulary.values(flat_sequences(["bad"])).tolist()
    (('a', 'b'), [2, 1, 0])
    """

    kind: str
    symbols: tuple[Any, ...]

    def __post_init__(self) -> None:
        """Check the kind, and that every symbol is of this kind and unique."""
        _checks.one_of("kind", self.kind, (CHARACTERS, WORDS, INTEGERS))
        wanted = int if self.kind == INTEGERS else str
        for symbol in self.symbols:
            if type(symbol) is not wanted or (self.kind == CHARACTERS and len(str(symbol)) != 1):
                raise InvalidArgument(f"a vocabulary of {self.kind} cannot hold {_checks.shown(symbol)}")
        if len(self._tokens) != len(self.symbols):
            raise InvalidArgument("each symbol of a vocabulary must occur once")

    def __repr__(self) -> str:
        """Return the first symbols."""
        return f"Vocabulary({len(self.symbols):,} {self.kind}: {_checks.first_of(self.symbols)})"

    def __len__(self) -> int:
        """Return the number of tokens: one per symbol, and one for unknown symbols."""
        return len(self.symbols) + 1

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tokens: `unknown_name` for all unknown symbols, and the symbols."""
        return (self.unknown_name, *map(str, self.symbols))

    @cached_property
    def unknown_name(self) -> str:
        """The name of all unknown symbols, which none of the symbols has: U+FFFD, or ``<unknown>``."""
        if self.kind == CHARACTERS:
            return next(name for name in map(chr, chain([0xFFFD], range(0x25A1, 0xD800))) if name not in self._tokens)
        name = "<unknown>"
        while name in self._tokens:
            name = f"<{name}>"
        return name

    @cached_property
    def _tokens(self) -> dict[Any, int]:
        return {symbol: token for token, symbol in enumerate(self.symbols, start=1)}

    def values(self, raw: TokenSequences) -> NDArray[np.int32]:
        """Return the token of every step, int32 (sum of T,)."""
        tokens = np.array([self._tokens.get(symbol, UNKNOWN) for symbol in raw.symbols], dtype=np.int32)
        encoded = np.empty(len(raw.codes), dtype=np.int32)
        for part in blocks(0, len(encoded), BLOCK):
            encoded[part] = tokens[raw.codes[part]]
        return encoded

    def unknown(self, raw: TokenSequences) -> dict[Any, int]:
        """Return the symbols that are not in the vocabulary, with the number of steps for each."""
        counts = _counts(raw).tolist()
        return {
            symbol: count
            for symbol, count in zip(raw.symbols, counts, strict=True)
            if count and symbol not in self._tokens
        }


def _vocabulary_of(raw: TokenSequences, training: NDArray[np.bool_] | None, most: int | None) -> Vocabulary:
    """Return the `most` (by default all) most frequent symbols of the sequences that `training` marks."""
    counts = _counts(raw, training)
    kept = np.flatnonzero(counts)
    if most is not None and len(kept) > _checks.integer("max_vocabulary", most, minimum=1):
        kept = np.sort(kept[np.argsort(-counts[kept], kind="stable")[:most]])
    return Vocabulary(raw.kind, tuple(raw.symbols[code] for code in kept))


def _counts(raw: TokenSequences, chosen: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """Return how often each symbol occurs, in all sequences or in the chosen ones."""
    counts = np.zeros(len(raw.symbols), dtype=np.int64)
    steps = None if chosen is None else np.repeat(chosen, raw.lengths)
    for part in blocks(0, len(raw.codes), BLOCK):
        codes = raw.codes[part] if steps is None else raw.codes[part][steps[part]]
        counts += np.bincount(codes, minlength=len(counts))
    return counts


@dataclass(frozen=True, repr=False)
class Standardizer(SequenceEncoder):
    """The offset and the scale of every column of numbers, and its range in the training.

    Attributes
    ----------
    mean, scale : tuple of float, C each
        A constant column has the scale 1.
    low, high : tuple of float, C each
        The least and the largest number of the training.

    Examples
    --------
    >>> from myrnn.data import flat_sequences
    >>> raw = flat_sequences([[1.0, 2.0], [6.0]])
    >>> standardizer = Standardizer.fit(raw)
    >>> standardizer
    Standardizer(1 column)
    >>> rows = standardizer.values(raw)
    >>> rows.ravel().round(2), standardizer.decode(rows).ravel().round(4)
    (array([-0.93, -0.46,  1.39], dtype=float32), array([1., 2., 6.]))
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    kind = "numbers"

    def __post_init__(self) -> None:
        """Check that all are finite numbers, equally many, the scales above 0, and the ranges in order."""
        if len({len(getattr(self, name)) for name in _MEASURES}) > 1 or not self.mean:
            raise InvalidArgument(f"{', '.join(_MEASURES)} must be a number for each column, of which there is one")
        for mean, scale, low, high in zip(self.mean, self.scale, self.low, self.high, strict=True):
            _checks.real("mean", mean)
            _checks.real("scale", scale, above=0)
            _checks.real("high", high, minimum=_checks.real("low", low))

    def __repr__(self) -> str:
        """Return the number of columns."""
        return f"Standardizer({_checks.count_of(len(self), 'column')})"

    def __len__(self) -> int:
        """Return the number of columns."""
        return len(self.mean)

    def without_scale(self) -> Standardizer:
        """Return one with the same ranges that leaves numbers unchanged."""
        return replace(self, mean=(0.0,) * len(self.mean), scale=(1.0,) * len(self.mean))

    def values(self, raw: Numbers, name: str = "X") -> NDArray[np.float32]:
        """Return the standardized rows, float32 (sum of T, C); a number that overflows float32 is an error."""
        if not len(raw.rows):
            return np.zeros((0, self.dim_input), dtype=np.float32)
        if raw.rows.shape[1] != self.dim_input:
            have = _checks.count_of(raw.rows.shape[1], "column")
            raise InvalidArgument(f"the sequences have {have}, but those in fit had {self.dim_input}")
        encoded = np.empty(raw.rows.shape, dtype=np.float32)
        mean, scale = np.array(self.mean), np.array(self.scale)
        with np.errstate(over="ignore"):
            for part in blocks(0, len(encoded), BLOCK):
                encoded[part] = (raw.rows[part].astype(np.float64) - mean) / scale
        if odd := first_not_finite(encoded):
            row, column = odd
            sequence, step = place_of(row, raw.offsets)
            # Rows of `y` are identified by their index alone.
            place = f"sequence {sequence} has" if name == "X" else "there is"
            value = raw.rows[row, column]
            raise InvalidArgument(
                f"{name} holds a number that is too large: {place} {value} in row {step}, column {column}"
            )
        return encoded

    def decode(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Return standardized rows in their original units, float64 (rows, C)."""
        found: NDArray[np.float64] = rows.astype(np.float64) * np.array(self.scale) + np.array(self.mean)
        return found


def _standardizer_of(raw: Numbers, training: NDArray[np.bool_] | None) -> Standardizer:
    """Measure every column over all steps of the sequences that `training` marks, by default of all."""
    rows = raw.rows if training is None else raw.rows[np.repeat(training, raw.lengths)]
    if not len(rows):
        zeros = (0.0,) * raw.rows.shape[1]
        return Standardizer(zeros, (1.0,) * len(zeros), zeros, zeros)
    # Relative to the largest number, so that neither sums nor squares overflow.
    largest = np.max([np.abs(part).max(axis=0) for part in _blocks(rows)], axis=0)
    unit = np.where(largest > 0, largest, 1.0)
    mean = sum((part / unit).sum(axis=0) for part in _blocks(rows)) / len(rows)
    variance = sum(np.square(part / unit - mean).sum(axis=0) for part in _blocks(rows)) / len(rows)
    deviation = np.sqrt(variance)
    # The deviation of numbers close to the smallest float is zero, and cannot be divided by.
    scale = np.where((deviation > ROUNDING) & (deviation * unit > 1e-300), deviation * unit, 1.0)
    ends = (rows.min(axis=0), rows.max(axis=0))
    return Standardizer(*(tuple(map(float, values)) for values in (mean * unit, scale, *ends)))


def _blocks(rows: NDArray[Any]) -> Iterator[NDArray[np.float64]]:
    return (rows[part].astype(np.float64) for part in blocks(0, len(rows), BLOCK))


@dataclass(frozen=True, eq=False, repr=False)
class ClassLabels:
    """The classes of the training data, in order; class ``i`` of a model is ``classes[i]``.

    Attributes
    ----------
    classes : ndarray (K,)
        Strings, integers, floats or booleans, ascending.

    Examples
    --------
    >>> labels = ClassLabels.fit(["no", "yes", "no"])
    >>> labels.classes.tolist(), labels.encode(["yes", "no"]).tolist()
    (['no', 'yes'], [1, 0])
    """

    classes: NDArray[Any]

    @classmethod
    def fit(cls, y: ArrayLike) -> ClassLabels:
        """Fit to labels (N,), which must be of one kind."""
        labels = _checked_labels("y", y)
        classes = np.unique(labels)
        if len(classes) - 1 > LARGEST_LABEL:
            raise InvalidArgument(f"y has {len(classes):,} classes, but at most {LARGEST_LABEL + 1:,} are possible")
        return cls(classes)

    def __len__(self) -> int:
        """Return the number of classes, K."""
        return len(self.classes)

    def __repr__(self) -> str:
        """Return the first classes."""
        return f"ClassLabels({_checks.count_of(len(self), 'class')}: {_checks.first_of(self.classes.tolist())})"

    def encode(self, y: ArrayLike) -> NDArray[np.int64]:
        """Return the class number of every label, int64 (N,); raises InvalidArgument for an unknown one."""
        labels = _checked_labels("y", y)
        if _label_kind(labels) != _label_kind(self.classes) and len(labels):
            raise InvalidArgument(f"y must be {_label_kind(self.classes)}, as in fit, not {_label_kind(labels)}")
        places = np.minimum(np.searchsorted(self.classes, labels), len(self.classes) - 1)
        unknown = self.classes[places] != labels
        if unknown.any():
            raise InvalidArgument(f"y holds {labels[unknown.argmax()]!r}, which is not one of the fitted classes")
        return places.astype(np.int64)

    def to_settings(self) -> dict[str, Any]:
        """Return values for JSON."""
        return {"kind": _label_kind(self.classes), "dtype": self.classes.dtype.str, "classes": self.classes.tolist()}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> ClassLabels:
        """Rebuild it; raises InvalidArgument for values that `to_settings` cannot return."""
        classes = settings.get("classes")
        if set(settings) != {"kind", "dtype", "classes"} or not isinstance(classes, list) or not classes:
            raise InvalidArgument("classes must have 'kind', 'dtype' and a list 'classes', and nothing else")
        (kind, *_), kinds = LABEL_KINDS[_checks.one_of("kind", settings["kind"], tuple(LABEL_KINDS))]
        for name in classes:
            if type(name) is not kind:
                raise InvalidArgument(f"a class must be {settings['kind']}, not {_checks.shown(name)}")
        array = _as_dtype(classes, settings["dtype"], kinds)
        if array.tolist() != classes or (np.unique(array).tolist() != classes):
            raise InvalidArgument("classes must be in ascending order, without repetition, and fit their dtype")
        return cls(array)


def _as_dtype(classes: list[Any], given: Any, kinds: str) -> NDArray[Any]:
    """Return the classes as an array of the dtype in the settings."""
    try:
        dtype = np.dtype(given) if isinstance(given, str) else None
        if dtype is None or dtype.kind not in (kinds if kinds != "U" else "UO"):
            raise TypeError
        if dtype.itemsize * len(classes) > MOST_BYTES:
            raise ValueError
        return np.array(classes, dtype=dtype)
    except (TypeError, ValueError, OverflowError, SyntaxError):
        raise InvalidArgument(f"the classes cannot be {_checks.shown(given)}") from None


def _checked_labels(name: str, given: Any) -> NDArray[Any]:
    """Return labels as an array (N,) of strings, integers, floats or booleans."""
    if isinstance(given, list | tuple):
        _check_label_kinds(name, given)
    labels = _checks.array(name, given)
    if labels.ndim != 1:
        raise InvalidArgument(f"{name} must be one label for each sequence, shape (N,), not of shape {labels.shape}")
    if labels.dtype.kind == "O":
        _check_label_kinds(name, labels.tolist())
        # Strings stay Python objects, unchanged.
        labels = labels if isinstance(next(iter(labels), None), str) else np.array(labels.tolist())
    if labels.dtype.kind not in "UObiuf":
        raise InvalidArgument(f"{name} must be strings, integers, floats or booleans, not {labels.dtype}")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        place = int((~np.isfinite(labels)).argmax())
        raise InvalidArgument(f"{name} must be labels, but there is {labels[place]} at [{place}]: input contains NaN")
    return labels


def _check_label_kinds(name: str, given: Any) -> None:
    """Refuse labels of several kinds, which NumPy would convert to strings."""
    kinds = {_label_kind_of_type(kind): kind for kind in set(map(type, given))}
    if None in kinds:
        place = next(i for i, label in enumerate(given) if _label_kind_of_type(type(label)) is None)
        raise InvalidArgument(
            f"{name} must be strings, integers, floats or booleans, but there is {_checks.shown(given[place])} "
            f"at [{place}]"
        )
    if len(kinds) > 1 and set(kinds) != {"int", "float"}:
        raise InvalidArgument(
            f"{name} must be labels of one kind, not {' and '.join(sorted(map(str, kinds)))} together"
        )


def _label_kind_of_type(kind: type) -> str | None:
    return next((name for name, (types, _) in LABEL_KINDS.items() if issubclass(kind, types)), None)


def _label_kind(labels: NDArray[Any]) -> str:
    return next((name for name, (_, kinds) in LABEL_KINDS.items() if labels.dtype.kind in kinds), "str")
