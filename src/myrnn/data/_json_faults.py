"""What is wrong with lines of JSON, one by one: for files that cannot be read at once."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, NoReturn

from myrnn.data._columns import NUMBERS, SYMBOLS, TEXT, VECTORS
from myrnn.data._table import Columns

# Whole numbers may be symbols or features, and an empty list may be anything.
INTEGERS, EMPTY = "a list of integers", "an empty list"


class _Fault(Exception):
    """A line is malformed."""


def line_faults(lines: Sequence[str], numbers: Sequence[int], columns: Columns) -> list[str | None]:
    """Return what is wrong with each line; None where nothing is.

    A line whose sequence is of another kind than those before it is malformed, too.

    Parameters
    ----------
    lines : sequence of str
    numbers : sequence of int
        What the lines are called.
    columns : Columns
        Which keys every line must have.
    """
    faults: list[str | None] = []
    first: tuple[str, int] | None = None  # the kind of all lines so far, and the line that said it
    for line, number in zip(lines, numbers, strict=True):
        try:
            kind = _kind(_checked(line, columns))
            first = (kind, number) if first is None else _joint(first, kind, number)
        except _Fault as fault:
            faults.append(str(fault))
        else:
            faults.append(None)
    return faults


def _checked(line: str, columns: Columns) -> Any:
    """Return the sequence of a line."""
    try:
        content = json.loads(line, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise _Fault(f"not JSON: {error.msg} at character {error.pos + 1}") from None
    except (ValueError, RecursionError) as error:
        raise _Fault(f"not JSON: {error}") from None
    if not isinstance(content, dict):
        raise _Fault("not an object of JSON")
    if content.get(columns.text) is None:
        raise _Fault("no sequence")
    if columns.label is not None:
        _check_label(content.get(columns.label))
    return content[columns.text]


def _check_label(label: Any) -> None:
    if label is None or label == "" or (isinstance(label, str) and not label.strip()):
        raise _Fault("no label")
    if not isinstance(label, str | int):
        raise _Fault(f"the label must be text or an integer, not {_named(label)}")


def _kind(sequence: Any) -> str:
    if isinstance(sequence, str):
        return TEXT
    if not isinstance(sequence, list):
        raise _Fault(f"the sequence must be text or a list, not {_named(sequence)}")
    if not sequence:
        return EMPTY
    if all(isinstance(item, list) for item in sequence):
        return _vectors(sequence)
    kinds = set(map(type, sequence))
    if not kinds <= {str, int, float, bool}:
        odd = next(item for item in sequence if not isinstance(item, str | int | float))
        raise _Fault(f"the sequence must hold symbols, numbers or vectors, but there is {_named(odd)}")
    _check_finite(sequence)
    if str in kinds or bool in kinds:
        return SYMBOLS
    return INTEGERS if kinds == {int} else NUMBERS


def _vectors(sequence: list[list[Any]]) -> str:
    width = len(sequence[0])
    if not all(sequence):
        raise _Fault("a vector of no numbers")
    for vector in sequence:
        if len(vector) != width:
            raise _Fault(f"vectors of {width} and of {len(vector)} numbers")
        if any(type(number) not in (int, float) for number in vector):
            raise _Fault("a vector must hold numbers only")
        _check_finite(vector)
    return f"{VECTORS} of {width} numbers"


def _check_finite(values: list[Any]) -> None:
    if any(isinstance(value, float) and not math.isfinite(value) for value in values):
        raise _Fault("a number that is not finite")


def _joint(first: tuple[str, int], kind: str, number: int) -> tuple[str, int]:
    """Return the kind of all lines up to this one."""
    known, place = first
    if kind == known or _may_be(kind, known):
        return first
    if _may_be(known, kind):
        return kind, number
    raise _Fault(f"the sequence is {kind}, but that of line {place} is {known}")


def _may_be(kind: str, other: str) -> bool:
    """Tell whether what looks like one kind may be of the other."""
    return other != TEXT if kind == EMPTY else kind == INTEGERS and other in (SYMBOLS, NUMBERS)


def _named(value: Any) -> str:
    names = {dict: "an object", list: "a list", bool: "true or false", type(None): "null", str: "text"}
    return names.get(type(value), f"the number {value}")


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")
