"""Targets of sequences: a class, several classes at once, numbers, or several of these together.

Each sequence or each step has a target.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument

# Labels are returned as int16, as in the lesson.
LARGEST_LABEL = 2**15 - 1

# The kinds of targets.
CLASS, SEVERAL, NUMBERS, TOGETHER = "a class", "several classes at once", "numbers", "several targets together"


@dataclass(frozen=True)
class TargetPart:
    """One of several targets that are learned together. All of them are stored as columns of one array of numbers.

    The columns of a class are 0, except that of the class that applies: it has the weight of the target, above 0. The
    columns of several classes at once have the weight if the class applies, and minus the weight if it does not. If all
    columns of a part are 0, the row has no such target, and the loss leaves it out.

    Attributes
    ----------
    what : {"a class", "several classes at once"}
    columns : int
        The number of classes.

    Examples
    --------
    >>> print(TargetPart("a class", 2))
    a class (2)
    """

    what: str
    columns: int

    def __str__(self) -> str:
        """Describe it in words, such as ``a class (2)``."""
        return f"{self.what} ({self.columns})"


@dataclass(frozen=True)
class TargetKind:
    """What is learned from sequences; `str` describes it in words.

    Attributes
    ----------
    what : {"a class", "several classes at once", "numbers", "several targets together"}
    per_step : bool
        Whether each step has a target, instead of each sequence.
    columns : int or None
        K: the number of classes or numbers of a target; None for a class.
    weighted : bool
        Whether the targets have weights.
    parts : tuple of TargetPart
        The targets that are learned together, one after the other in the columns. The first is a class, and the share
        of it that is right is the accuracy of a training.

    Examples
    --------
    >>> from myrnn import Sequences
    >>> kind = Sequences([0, 1, 1], [0, 3], [0.5, 0.1, 0.5], per_step=True).kind
    >>> kind.what, kind.per_step, kind.columns
    ('numbers', True, 1)
    >>> print(kind)
    numbers (1) for each step
    """

    what: str = CLASS
    per_step: bool = False
    columns: int | None = None
    weighted: bool = False
    parts: tuple[TargetPart, ...] = ()

    def __str__(self) -> str:
        """Return it in words, such as ``a class for each sequence`` or ``numbers (2) for each step, with weights``."""
        columns = "" if self.columns is None else f" ({self.columns})"
        what = " and ".join(map(str, self.parts)) or f"{self.what}{columns}"
        return f"{what} for each {self.each}{', with weights' if self.weighted else ''}"

    @property
    def scored(self) -> int | None:
        """How many of the columns are the class that is scored; None where all of them are scored."""
        return self.parts[0].columns if self.parts else None

    @property
    def each(self) -> str:
        """``"step"`` or ``"sequence"``: the unit that has a target."""
        return "step" if self.per_step else "sequence"


ONE_CLASS = TargetKind()
"""A class for each sequence, without weights: what classifiers learn."""


def checked_targets(given: ArrayLike, counts: Mapping[str, int], each: str) -> NDArray[Any]:
    """Return targets as int64 (rows,), bool (rows, K) or float32 (rows, K); an empty array holds classes."""
    targets = _checks.array("targets", given)
    if targets.dtype.kind in "iu" or targets.shape == (0,):
        labels = _checks.integers("labels", targets, minimum=0, maximum=LARGEST_LABEL)
        _check_count("labels", len(labels), counts, each)
        return labels.astype(np.int64)
    is_numbers = targets.dtype.kind == "f" and targets.ndim in (1, 2)
    if not is_numbers and not (targets.dtype.kind == "b" and targets.ndim == 2):
        raise InvalidArgument(
            "targets must be integers of shape (N,) for classes, truth values of shape (N, K) for several classes at "
            f"once, or floats of shape (N,) or (N, K), not {targets.dtype} of shape {targets.shape}"
        )
    _check_count("targets", len(targets), counts, each)
    # One number per row becomes one column: a loss then never combines (N,) with (N, 1).
    rows = _columns(targets)
    if not rows.shape[1]:
        raise InvalidArgument("targets must have at least one column")
    return rows.astype(np.bool_) if not is_numbers else _checks.float32("targets", rows)


def checked_parts(given: Iterable[TargetPart], targets: NDArray[Any]) -> tuple[TargetPart, ...]:
    """Return the parts of targets; raises InvalidArgument where they do not fit."""
    if not isinstance(given, Iterable):
        raise InvalidArgument(f"parts must be a sequence of TargetPart, not {_checks.shown(given)}")
    parts = tuple(given)
    if not parts:
        return ()
    for part in parts:
        if not isinstance(part, TargetPart) or part.what not in (CLASS, SEVERAL):
            raise InvalidArgument(f"parts must be of a class or of several classes at once, not {_checks.shown(part)}")
        _checks.integer("the columns of a part", part.columns, minimum=1)
    if parts[0].what != CLASS:
        raise InvalidArgument(f"the first of the parts must be a class, which is scored, not {parts[0]}")
    columns = sum(part.columns for part in parts)
    if targets.dtype.kind != "f" or targets.shape[1] != columns:
        raise InvalidArgument(
            f"targets of these parts must be floats of shape (N, {columns}), not {targets.dtype} of shape "
            f"{targets.shape}"
        )
    end = 0
    for part in parts:
        begin, end = end, end + part.columns
        rows = targets[:, begin:end]
        if part.what == CLASS and (rows.min(initial=0) < 0 or (np.count_nonzero(rows, axis=1) > 1).any()):
            raise InvalidArgument(f"targets of {part} must be 0 but for one number above 0 at most in each row")
    return parts


def checked_weights(given: ArrayLike, counts: Mapping[str, int], each: str) -> NDArray[np.float32]:
    """Return weights as float32 (rows,), each 0 or more."""
    weights = _checks.array("weights", given)
    if weights.ndim != 1 or (weights.size and weights.dtype.kind not in "fiub"):
        raise InvalidArgument(f"weights must be numbers of shape (N,), not {weights.dtype} of shape {weights.shape}")
    _check_count("weights", len(weights), counts, each)
    _checks.not_negative("weights", weights)
    return _checks.float32("weights", weights)


def _columns(targets: NDArray[Any]) -> NDArray[Any]:
    """Return targets of shape (rows,) as one column, (rows, 1), and others as they are."""
    return targets[:, np.newaxis] if targets.ndim == 1 else targets


def _check_count(name: str, rows: int, counts: Mapping[str, int], each: str) -> None:
    if rows == counts[each]:
        return
    other = "; per_step=True takes one for each step" if each == "sequence" and rows == counts["step"] else ""
    raise InvalidArgument(f"{name} must be one for each of the {counts[each]} {each}s, but there are {rows}{other}")


def target_of_sequence(index: int, given: ArrayLike, steps: int) -> NDArray[Any]:
    """Return the target of one sequence as a row: int64 (1,), or bool or float (1, K)."""
    target = _checks.array(f"the target of sequence {index}", given)
    if (target.dtype.kind == "f" and target.ndim < 2) or (target.dtype.kind == "b" and target.ndim == 1):
        return target.reshape(1, -1)
    name = f"the label of sequence {index}"
    if target.size != 1:
        is_of_steps = target.shape[:1] == (steps,)
        other = "; Sequences.from_pairs(pairs, per_step=True) takes one for each step" if is_of_steps else ""
        raise InvalidArgument(f"{name} must be one integer, not an array of shape {target.shape}{other}")
    label = _checks.integer(name, target.reshape(-1)[0], minimum=0, maximum=LARGEST_LABEL)
    return np.array([label], dtype=np.int64)


def targets_of_steps(index: int, given: ArrayLike, steps: int) -> NDArray[Any]:
    """Return the targets of the steps of one sequence: integers (T,), or bool or float (T, K)."""
    targets = _checks.array(f"the targets of sequence {index}", given)
    if targets.ndim not in (1, 2) or len(targets) != steps:
        raise InvalidArgument(
            f"the targets of sequence {index} must be one for each of its {_checks.count_of(steps, 'step')}, "
            f"not an array of shape {targets.shape}"
        )
    return _columns(targets) if targets.dtype.kind == "f" else targets


def check_same_kind(first: int, one: NDArray[Any], index: int, other: NDArray[Any]) -> None:
    """Refuse the target of sequence `index` if its dtype or K differ from those of an earlier one, `first`."""
    kinds = ["i" if target.dtype.kind == "u" else target.dtype.kind for target in (one, other)]
    if kinds[0] != kinds[1] or one.shape[1:] != other.shape[1:]:
        raise InvalidArgument(
            f"the targets of all sequences must be of one kind, but sequence {index} has {other.dtype} of shape "
            f"{other.shape} and sequence {first} has {one.dtype} of shape {one.shape}"
        )
