"""Shapes, dtypes and the one-hot encoding of what a generator returns."""

from __future__ import annotations

from typing import Any

import numpy as np

from myrnn._checks import shown
from myrnn.exercises._draws import Draws

DIGITS = 10


def three_arrays(draws: Draws) -> str:
    """Look for a result that is not three arrays."""
    for setting, results in draws.results():
        for result in results:
            if not isinstance(result, tuple | list):
                kind = "nothing: is the return missing?" if result is None else f"{type(result).__name__}."
                return f"With {setting.call} it returned {kind}"
            if len(result) != 3:
                return f"With {setting.call} it returned {len(result)} values, not 3."
            for name, part in zip(("x", "y", "sequence"), result, strict=True):
                if not isinstance(part, np.ndarray):
                    return f"{name} is {shown(part)}, of type {type(part).__name__}, and must be an array."
    return ""


def sequence(draws: Draws) -> str:
    """Look for a sequence that does not consist of digits."""
    for _, _, digits in _every(draws):
        if digits.ndim != 1 or digits.dtype.kind not in "iu":
            return f"sequence is {digits.dtype} of shape {digits.shape}."
        if len(digits) < 2 or len(digits) % 2:
            return f"A sequence has {len(digits)} digits, so it has no two halves: {digits.tolist()}."
        if digits.min() < 0 or digits.max() >= DIGITS:
            return f"A sequence holds {digits.max() if digits.max() >= DIGITS else digits.min()}: {digits.tolist()}."
    return ""


def x_shape(draws: Draws) -> str:
    """Look for an x without one row of ten for each digit."""
    for x, _, digits in _every(draws):
        if x.shape != (len(digits), DIGITS):
            hint = " The digits 0 to 9 are ten." if x.shape == (len(digits), DIGITS + 1) else ""
            return f"x has shape {x.shape} for {len(digits)} digits, which make ({len(digits)}, {DIGITS}).{hint}"
    return ""


def x_dtype(draws: Draws) -> str:
    """Look for an x of another dtype."""
    return _dtype("x", draws, 0, np.float32)


def one_hot(draws: Draws) -> str:
    """Look for a row of x that is not the encoding of its digit."""
    encodings = np.eye(DIGITS)
    for x, _, digits in _every(draws):
        if np.array_equal(x, encodings[digits]):
            continue
        t = int(np.argmax((x != encodings[digits]).any(axis=1)))
        return f"Digit {t} of {digits.tolist()} is {digits[t]}, but row {t} of x is {_row(x[t])}."
    return ""


def y_shape(draws: Draws) -> str:
    """Look for a y that is not one label."""
    for _, y, _ in _every(draws):
        if y.shape != (1,):
            return f"y has shape {y.shape}: {shown(y)}."
        if y[0] not in (0, 1):
            return f"y is {shown(y)}."
    return ""


def y_dtype(draws: Draws) -> str:
    """Look for a y of another dtype."""
    return _dtype("y", draws, 1, np.int16)


def _dtype(name: str, draws: Draws, place: int, wanted: Any) -> str:
    for result in _every(draws):
        if result[place].dtype != wanted:
            return f"{name} is {result[place].dtype}."
    return ""


def _every(draws: Draws) -> Any:
    return (result for _, results in draws.results() for result in results)


def _row(row: Any) -> str:
    return "[" + " ".join(f"{value:g}" for value in row.tolist()) + "]"
