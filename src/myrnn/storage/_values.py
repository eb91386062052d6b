"""Plain values and arrays as the bytes of files, and back."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import msgspec
import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

# No sound file comes near this.
DEEPEST = 100


def json_to_bytes(values: Mapping[str, Any]) -> bytes:
    """Return an object of plain values as JSON to be read by people; NaN and infinity have no place in it."""
    return (json.dumps(values, indent=2, allow_nan=False) + "\n").encode("utf-8")


def arrays_to_bytes(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return named arrays as safetensors."""
    # The writer takes the memory of an array as it lies, whatever its strides.
    return safetensors.numpy.save({name: np.asarray(array, order="C") for name, array in arrays.items()})


def seal(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with the SHA-256 of all of them under ``sha256``."""
    unsealed = {name: value for name, value in values.items() if name != "sha256"}
    # As plain text that does not depend on spaces or on the order of names.
    text = json.dumps(unsealed, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return {**unsealed, "sha256": hashlib.sha256(text.encode("ascii")).hexdigest()}


def bytes_to_json(content: bytes) -> Any:
    """Return what JSON says; raises ValueError or RecursionError where it is none, or nests too deeply."""
    try:
        parsed = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError):
        # Ten times slower: it says more of what is wrong, and reads names of files that are no text, which are written.
        parsed = json.loads(content.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite)
    _check_depth(parsed)
    return parsed


def bytes_to_arrays(content: bytes) -> dict[str, NDArray[Any]]:
    """Return the named arrays of safetensors; raises ValueError where it is none."""
    try:
        return safetensors.numpy.load(content)
    except Exception as error:  # its reader raises kinds of its own for what is wrong with the bytes
        raise ValueError(str(error)) from error


def bytes_to_rows(content: bytes, columns: Sequence[str]) -> list[list[str]]:
    """Return the rows of a CSV table, as text; raises ValueError where it is none, or has other columns."""
    try:
        header, *rows = csv.reader(io.StringIO(content.decode("utf-8"), newline=""))
    except csv.Error as error:
        raise ValueError(str(error)) from error
    if header != list(columns):
        raise ValueError(f"its columns must be {', '.join(columns)}")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(columns):
            raise ValueError(f"row {number} has {len(row)} columns, not {len(columns)}")
    return rows


def _check_depth(parsed: Any) -> None:
    """Refuse what can be read, but not be written, compared or shown without reaching Python's own limit."""
    level = [parsed]
    for _ in range(DEEPEST):
        inside = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)]
        level = [item for items in inside for item in items if isinstance(item, dict | list)]
        if not level:
            return
    raise ValueError(f"it nests more than {DEEPEST} levels deep")


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def _finite(text: str) -> float:
    number = float(text)
    if not np.isfinite(number):
        raise ValueError(f"{text} is too large a number")
    return number
