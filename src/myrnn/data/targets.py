"""Targets of given sequences, as the user provides them and as a model learns them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.data.differences import Differences
from myrnn.data.encode import ClassLabels, SequenceEncoder, Standardizer, Vocabulary
from myrnn.data.symbols import Numbers, RawSequences
from myrnn.errors import InvalidArgument
from myrnn.flat import offsets_of
from myrnn.sequences import Sequences, of_checked
from myrnn.settings import converted

LABELS, TAGS, VALUES, TEXT, SERIES = "labels", "tags", "numbers", "text", "series"
LEARN = (LABELS, TAGS, VALUES, TEXT, SERIES)
"""What can be learned: a label for each sequence, one for each step (tags), numbers, the next symbol of a text, or the
next row of a series."""

# Targets that follow from the sequences themselves.
NEXT = (TEXT, SERIES)
# What learns the other targets.
_LEARNERS = {LABELS: "classifier", TAGS: "tagger", VALUES: "regressor"}


@dataclass(frozen=True, eq=False)
class RawTargets:
    """Targets as they were given."""

    learn: str  # labels, tags, numbers, text or series
    # A row for each sequence or each step, concatenated: class numbers, int64, or numbers, float64 (rows, K). None if
    # the targets follow from the sequences.
    rows: NDArray[Any] | None = None
    classes: ClassLabels | None = None  # the labels or tags
    per_step: bool = True
    # Whether the numbers were given without columns, (N,); predictions then have the same shape.
    is_column: bool = False
    # The column names of the numbers if they came from a data frame, or from a column of one.
    columns: tuple[str, ...] | None = None

    @classmethod
    def read(
        cls, learn: str, y: Any, offsets: NDArray[np.int64], per_step: bool | None = None, where: str = "y"
    ) -> RawTargets:
        """Return the targets of sequences; numbers are by default per step if `y` has an array for each sequence.

        Messages call labels `where`.
        """
        if len(offsets) < 2:
            least = "two are needed, of two classes" if learn == LABELS else "one is needed"
            raise InvalidArgument(f"X holds no sequence: at least {least}")
        if learn in NEXT:
            if y is not None:
                raise InvalidArgument(f"y must be None where {learn} is learned: the sequences tell what comes next")
            return cls(learn)
        if y is None:
            raise InvalidArgument(f"this {_LEARNERS[learn]} requires y to be passed, but the target y is None")
        if learn == LABELS:
            return cls.labels(y, len(offsets) - 1, where)
        if learn == TAGS:
            return cls.tags(y, offsets)
        return cls.numbers(y, offsets, _is_of_steps(y, offsets) if per_step is None else per_step)

    @classmethod
    def labels(cls, y: Any, count: int, where: str = "y") -> RawTargets:
        """Return labels of this many sequences, of two classes or more."""
        if len(y) != count:
            have, labels = _checks.count_of(count, "sequence"), _checks.count_of(len(y), "label")
            raise InvalidArgument(f"X holds {have}, but y {labels}")
        classes = ClassLabels.fit(y)
        if len(classes) < 2:
            only = _checks.shown(classes.classes.tolist()[0])
            raise InvalidArgument(f"{where} holds one class only, {only}: a classifier needs two or more")
        return cls(LABELS, classes.encode(y), classes, per_step=False)

    @classmethod
    def tags(cls, y: Any, offsets: NDArray[np.int64], fewest: int = 2) -> RawTargets:
        """Return labels of steps, given as lists (T,) of labels, or strings of T characters."""
        flat = flat_tags(y, offsets)
        if not flat:
            raise InvalidArgument("every sequence of X is empty: there is no step with a tag")
        classes = ClassLabels.fit(flat)
        if len(classes) < fewest:
            only = _checks.shown(classes.classes.tolist()[0])
            raise InvalidArgument(f"y holds one tag only, {only}: a tagger needs two or more")
        return cls(TAGS, classes.encode(flat), classes)

    @classmethod
    def numbers(cls, y: Any, offsets: NDArray[np.int64], per_step: bool) -> RawTargets:
        """Return numbers: (N,) or (N, K) for sequences; with `per_step`, N arrays (T,) or (T, K)."""
        rows = flat_numbers(y, offsets) if per_step else _numbers("y", y)
        if not per_step and len(rows) != len(offsets) - 1:
            raise InvalidArgument(
                f"X holds {_checks.count_of(len(offsets) - 1, 'sequence')}, but y {_checks.count_of(len(rows), 'row')}"
            )
        flat = rows.reshape(len(rows), -1)
        return cls(VALUES, flat, None, per_step, is_column=rows.ndim == 1, columns=_column_names(y, flat.shape[1]))

    def select(self, chosen: NDArray[np.bool_], offsets: NDArray[np.int64]) -> NDArray[Any]:
        """Return the rows of the chosen sequences; `offsets` are those of all sequences."""
        assert self.rows is not None
        return self.rows[np.repeat(chosen, np.diff(offsets)) if self.per_step else chosen]


@dataclass(frozen=True, eq=False)
class TargetEncoder:
    """Encodes targets and decodes the outputs of a model; fitted on the training sequences.

    Attributes
    ----------
    learn : {"labels", "tags", "numbers", "text", "series"}
    inner : ClassLabels, Vocabulary or Standardizer
        The names of the classes, or the scale of the numbers.
    per_step : bool
        Whether there is an output for each step.
    is_column : bool
        Whether numbers have no columns.
    columns : tuple of str or None
        The column names of the numbers.
    differences : Differences
        Those of a series that are learned instead of its rows.

    Examples
    --------
    >>> from myrnn.data import SequenceEncoder, flat_sequences
    >>> from myrnn.data.targets import RawTargets
    >>> raw = flat_sequences(["abba"])
    >>> encoder = SequenceEncoder.fit(raw)
    >>> TargetEncoder.fit(RawTargets("text"), raw, encoder).sequences(encoder, raw)[0][1].tolist()
    [2, 2, 1]
    """

    learn: str
    inner: ClassLabels | Vocabulary | Standardizer
    per_step: bool = False
    is_column: bool = field(default=False, kw_only=True)
    columns: tuple[str, ...] | None = field(default=None, kw_only=True)
    differences: Differences = field(default=Differences(), kw_only=True)

    @classmethod
    def fit(
        cls,
        given: RawTargets,
        raw: RawSequences,
        encoder: Vocabulary | Standardizer,
        training: NDArray[np.bool_] | None = None,
    ) -> TargetEncoder:
        """Fit to the targets of the sequences in `training`, by default all; `encoder` is fitted on the sequences."""
        if given.classes is not None:
            return cls(given.learn, given.classes, given.per_step)
        if given.learn in NEXT:
            return cls(given.learn, encoder, per_step=True)
        chosen = np.ones(len(raw), dtype=bool) if training is None else training
        rows = given.select(chosen, raw.offsets)
        scale = SequenceEncoder.fit(Numbers(rows, np.array([0, len(rows)])))
        return cls(VALUES, scale, given.per_step, is_column=given.is_column, columns=given.columns)

    @property
    def is_classes(self) -> bool:
        """Whether the outputs are the logits of classes."""
        return not isinstance(self.inner, Standardizer)

    def __len__(self) -> int:
        """Return K, the number of outputs: one for each class, or for each number."""
        return len(self.inner)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes; for symbols the first stands for all unknown ones."""
        if isinstance(self.inner, Vocabulary):
            return self.inner.names
        return tuple(map(str, self.inner.classes.tolist())) if isinstance(self.inner, ClassLabels) else ()

    def sequences(
        self, encoder: Vocabulary | Standardizer, raw: RawSequences, given: RawTargets | None = None
    ) -> Sequences:
        """Return sequences for training; a last step may only be a target, and without `given` targets are 0."""
        if self.learn in NEXT:
            return _shifted(encoder.encode(self.read(raw)))
        rows = self._zeros(raw) if given is None else self._encoded(given)
        return encoder.encode(raw, rows, per_step=self.per_step)

    def inputs(self, encoder: Vocabulary | Standardizer, raw: RawSequences) -> Sequences:
        """Return sequences as model input, with all steps of each and placeholder targets."""
        raw = self.read(raw)
        return encoder.encode(raw, self._zeros(raw), per_step=self.per_step)

    def read(self, raw: RawSequences) -> RawSequences:
        """Return what the model reads of sequences: of a series maybe its differences."""
        return self.differences.of(raw) if isinstance(raw, Numbers) else raw

    def next_rows(self, raw: Numbers, outputs: NDArray[Any]) -> NDArray[np.float64]:
        """Return the next rows of series in their original units, float64 (S, C), from the outputs at all S steps."""
        assert isinstance(self.inner, Standardizer)
        return self.inner.decode(outputs) + self.differences.next_without(raw)

    def decode(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Return numeric outputs in their original units, float64 (rows, K) or (rows,)."""
        assert isinstance(self.inner, Standardizer)
        found = self.inner.decode(rows)
        return found[:, 0] if self.is_column else found

    def check_columns(self, given: RawTargets) -> None:
        """Refuse numbers with other columns than the fitted ones."""
        assert given.rows is not None
        if given.rows.shape[1] != len(self):
            have, wanted = _checks.count_of(given.rows.shape[1], "column"), len(self)
            raise InvalidArgument(f"y has {have}, but in fit it had {wanted}")
        # The name of a single column does not matter.
        if self.columns and given.columns and self.columns != given.columns and len(self) > 1:
            have, fitted = ", ".join(given.columns), ", ".join(self.columns)
            raise InvalidArgument(f"y has the columns {have}, but was fitted with {fitted}")

    def _zeros(self, raw: RawSequences) -> NDArray[Any]:
        count = int(raw.offsets[-1]) if self.per_step else len(raw)
        return np.zeros(count, np.int64) if self.is_classes else np.zeros((count, len(self)), np.float32)

    def _encoded(self, given: RawTargets) -> NDArray[Any]:
        assert given.rows is not None
        if not isinstance(self.inner, Standardizer):
            return given.rows
        self.check_columns(given)
        return self.inner.values(Numbers(given.rows, np.array([0, len(given.rows)])), "y")

    def to_settings(self) -> dict[str, Any]:
        """Return values for JSON, without those that the encoder of the sequences has."""
        inner = None if self.learn in NEXT else self.inner.to_settings()
        differences = self.differences.to_settings() if self.differences.undefined_rows else None
        columns = None if self.columns is None else list(self.columns)
        found = _StoredTargets(self.learn, self.per_step, inner, self.is_column, differences, columns)
        settings: dict[str, Any] = msgspec.to_builtins(found)
        return settings

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], encoder: Vocabulary | Standardizer) -> TargetEncoder:
        """Rebuild it; raises InvalidArgument for values that `to_settings` cannot return."""
        given: _StoredTargets = converted("targets", settings, _StoredTargets)
        learn = _checks.one_of("learn", given.learn, LEARN)
        if (learn in (TAGS, *NEXT) and not given.per_step) or (learn == LABELS and given.per_step):
            raise InvalidArgument(f"per_step does not fit {learn}")
        if learn in NEXT:
            if given.inner is not None or isinstance(encoder, Vocabulary) != (learn == TEXT):
                raise InvalidArgument(f"the sequences do not fit {learn}")
            kept = given.differences
            differences = Differences() if kept is None else Differences.from_settings(kept)
            return cls(learn, encoder, per_step=True, differences=differences)
        if given.inner is None:
            raise InvalidArgument("'inner' of targets is missing")
        kind = Standardizer if learn == VALUES else ClassLabels
        columns = None if given.columns is None else tuple(given.columns)
        found = cls(learn, kind.from_settings(given.inner), given.per_step, is_column=given.is_column, columns=columns)
        if columns is not None and len(columns) != len(found):
            raise InvalidArgument(f"'columns' of targets must be {_checks.count_of(len(found), 'name')}")
        return found


class _StoredTargets(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What is stored of a target encoder."""

    learn: str
    per_step: bool
    inner: dict[str, Any] | None
    is_column: bool = False
    differences: dict[str, Any] | None = None
    columns: list[str] | None = None


def cut_in_two(raw: RawSequences, share: float) -> RawSequences | None:
    """Cut a single sequence in two, the second with this share of the steps; return None if one would be empty."""
    total = int(raw.offsets[-1])
    first = total - round(share * total)
    if not 0 < first < total:
        return None
    return replace(raw, offsets=np.array([0, first, total]))


def _shifted(sequences: Sequences) -> Sequences:
    """Return the sequences without the last step of each; the target of each step is the next one."""
    filled = sequences.lengths > 0
    values = _without(sequences.values, sequences.offsets[1:][filled] - 1)
    targets = _without(sequences.values, sequences.offsets[:-1][filled])
    return of_checked(values, offsets_of(sequences.lengths - filled), targets, sequences.dim_input, per_step=True)


def _without(values: NDArray[Any], places: NDArray[np.int64]) -> NDArray[Any]:
    """Return the rows of an array except some, without a copy if these are the first or the last one."""
    if places.tolist() in ([0], [len(values) - 1]):
        return values[1:] if places[0] == 0 else values[:-1]
    kept = np.ones(len(values), dtype=np.bool_)
    kept[places] = False
    return values[kept]


def flat_tags(y: Any, offsets: NDArray[np.int64]) -> list[Any]:
    """Return the tags of all steps, concatenated."""

    def read(name: str, given: Any) -> Any:
        listed = given.tolist() if hasattr(given, "tolist") else given
        if isinstance(listed, list | tuple | str):
            return listed
        raise InvalidArgument(f"y must be a list of tags for each sequence, but {name} is {_checks.shown(given)}")

    return list(chain.from_iterable(_of_sequences(y, offsets, "a list of tags", "tag", read)))


def flat_numbers(y: Any, offsets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the numbers of all steps, concatenated: float64 (S,) or (S, K)."""

    def read(name: str, given: Any) -> NDArray[np.float64]:
        return _numbers(name, [given] if isinstance(given, int | float) else given)

    parts = _of_sequences(y, offsets, "an array (T,) or (T, K)", "row", read)
    filled = [part for part in parts if len(part)]
    if not filled:
        return np.zeros((0, 1))
    odd = next((index for index, part in enumerate(parts) if len(part) and part.shape[1:] != filled[0].shape[1:]), None)
    if odd is not None:
        raise InvalidArgument(
            f"every array of y must have the same columns, but y[{odd}] has shape {parts[odd].shape}, and another "
            f"{filled[0].shape}"
        )
    return np.concatenate(filled)


def _of_sequences(
    y: Any, offsets: NDArray[np.int64], wanted: str, unit: str, read: Callable[[str, Any], Any]
) -> list[Any]:
    """Return what `y` has for each sequence, as `read` returns it, if it is as long as the sequence."""
    if isinstance(y, str | bytes | dict) or not hasattr(y, "__len__"):
        raise InvalidArgument(f"y must be {wanted} for each sequence, not {_checks.shown(y)}")
    lengths = np.diff(offsets).tolist()
    if len(y) != len(lengths):
        have, given = (_checks.count_of(count, "sequence") for count in (len(lengths), len(y)))
        raise InvalidArgument(f"X holds {have}, but y is for {given}")
    parts = []
    # A data frame iterates over column names.
    for index, part in enumerate(np.asarray(y) if hasattr(y, "columns") else y):
        parts.append(read(f"y[{index}]", part))
        if len(parts[-1]) != lengths[index]:
            have, given = _checks.count_of(lengths[index], "step"), _checks.count_of(len(parts[-1]), unit)
            raise InvalidArgument(f"sequence {index} has {have}, but y[{index}] {given}")
    return parts


def _is_of_steps(y: Any, offsets: NDArray[np.int64]) -> bool:
    """Return whether numbers are a list with one array per sequence, of the sequence's length."""
    if not isinstance(y, list | tuple) or len(y) != len(offsets) - 1:
        return False
    return all(hasattr(one, "__len__") and len(one) == steps for one, steps in zip(y, np.diff(offsets), strict=True))


def _column_names(y: Any, count: int) -> tuple[str, ...] | None:
    """Return the column names of a data frame, of the first of several, or of a column of one."""
    first = y[0] if isinstance(y, list | tuple) and y else y
    listed = list(first.columns) if hasattr(first, "columns") else [getattr(first, "name", None) or ""]
    names = tuple(map(str, listed))
    return names if len(names) == count and all(names) else None


def _numbers(name: str, given: ArrayLike) -> NDArray[np.float64]:
    """Return numbers as float64 (rows,) or (rows, K)."""
    array = _checks.array(name, given)
    if array.dtype.kind == "O":
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError):
            raise InvalidArgument(f"{name} must hold numbers, not {_checks.shown(given)}") from None
    if array.dtype.kind not in "fiub" and array.size:
        raise InvalidArgument(f"{name} must hold numbers, not {array.dtype}")
    if array.ndim not in (1, 2) or (array.ndim == 2 and not array.shape[1]):
        raise InvalidArgument(f"{name} must be of shape (N,) or (N, K), not {array.shape}")
    rows = array.astype(np.float64)
    if not np.isfinite(rows).all():
        place = int((~np.isfinite(rows.reshape(len(rows), -1))).any(axis=1).argmax())
        raise InvalidArgument(f"{name} must hold finite numbers, but there is {rows[place]} at [{place}]")
    return rows
