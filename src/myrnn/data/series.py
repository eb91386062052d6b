"""A series in a file that is a table of numbers, with one row per step."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.data import files
from myrnn.errors import DataError


def read_table(
    path: Path, names: list[str] | None, delimiter: str | None
) -> tuple[NDArray[np.float64], tuple[str, ...] | None] | None:
    """Return the numbers of a table, float64 (T, C), and its column names, if any; None if the file holds lists."""
    ending = files.ending_of(path)
    if ending == files.PLAIN:
        return _of_text(path), None
    frame = _frame(path, delimiter) if delimiter is not None or ending in files.PARQUET else None
    if frame is None or any(kind.is_nested() for kind in frame.dtypes):
        return None
    listed = ", ".join(map(repr, frame.columns[: files.MOST_COLUMNS])) or "none"
    advice = files.other_delimiter(frame.columns, delimiter, names or ())
    listed += f": {advice}" if advice else ""
    first = 1 if ending in files.PARQUET else 2
    if delimiter is not None:
        _check_header(path, frame.columns)
        for name in frame.columns if names is None else names:
            if name in frame.columns:
                _check_column(path, frame[name], first)
    if names is None:
        names = [name for name, kind in zip(frame.columns, frame.dtypes, strict=True) if kind.is_numeric()]
        left = [name for name in frame.columns if name not in names]
        if names and left:
            what = f"the column {left[0]} holds" if len(left) == 1 else f"the columns {', '.join(left)} hold"
            warn(f"{path}: {what} something other than numbers, and {'is' if len(left) == 1 else 'are'} left out")
    for name in names:
        if name not in frame.columns:
            raise DataError(
                f"{path} has no column {name!r}; its columns are {listed}{'' if advice else ' (text_column)'}"
            )
        if not frame[name].dtype.is_numeric():
            raise DataError(f"{path}: the column {name!r} holds something other than numbers")
    if not names:
        raise DataError(f"{path} has no column of numbers; its columns are {listed}")
    rows: NDArray[np.float64] = frame.select(names).to_numpy().astype(np.float64)
    if not len(rows):
        raise DataError(f"{path} holds no row")
    is_bad = ~np.isfinite(rows).all(axis=1)
    if is_bad.any():
        raise DataError(f"{path}, line {int(is_bad.argmax()) + first}: a number is missing or not finite")
    return rows, tuple(names)


def _check_header(path: Path, names: list[str]) -> None:
    """Refuse a first line that is not column names, or repeats one."""
    for name in names:
        # Polars renames repeated columns in this way.
        if "_duplicated_" in name:
            raise DataError(f"{path} has more than one column {name.rpartition('_duplicated_')[0]!r}")
        if is_number(name):
            raise DataError(f"{path}, line 1: the first line must name the columns, but it holds the number {name}")


def _check_column(path: Path, column: Any, first: int) -> None:
    """Refuse a column that is mostly, but not entirely, numbers, and one with decimal commas."""
    if column.dtype.is_numeric() or not len(column):
        return
    cells = column.cast(str).to_list()
    numbers = [cell is None or (is_number(cell) and np.isfinite(float(cell))) for cell in cells]
    if not all(numbers) and 2 * sum(numbers) > len(cells):
        place = numbers.index(False)
        raise DataError(
            f"{path}, line {place + first}: {_checks.shown(cells[place])} in {column.name!r} is not a number"
        )
    commas = [cell is not None and cell.count(",") == 1 and is_number(cell.replace(",", ".")) for cell in cells]
    if 2 * sum(commas) > len(cells):
        cell = cells[commas.index(True)]
        raise DataError(
            f"{path}: {column.name!r} holds numbers with a decimal comma, such as {cell}: use decimal points"
        )


def is_number(text: str) -> bool:
    """Return whether text is a number by Python's rules."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _frame(path: Path, delimiter: str | None) -> Any:
    import polars as pl

    content = files.read_bytes(path) if delimiter is None else files.read_text(path).encode()
    try:
        if delimiter is None:
            return pl.read_parquet(io.BytesIO(content))
        return pl.read_csv(content, separator=delimiter, infer_schema_length=None)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        what = str(error).splitlines()[0]
        if delimiter is not None:
            first = content.decode().partition("\n")[0]
            if advice := files.other_delimiter(first.split(delimiter), delimiter):
                what = f"its columns are {_checks.shown(first)}: {advice}"
        raise DataError(f"{path} cannot be read as a table: {what}") from None


def _of_text(path: Path) -> NDArray[np.float64]:
    rows: list[list[float]] = []
    for number, line in enumerate(files.read_text(path).splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            rows.append([float(field) for field in line.split()])
        except ValueError:
            raise DataError(f"{path}, line {number}: {_checks.shown(line.strip())} is not numbers") from None
        if len(rows[-1]) != len(rows[0]):
            have, first = (_checks.count_of(len(row), "number") for row in (rows[-1], rows[0]))
            raise DataError(f"{path}, line {number}: {have}, but the first line has {first}")
        if not all(map(math.isfinite, rows[-1])):
            raise DataError(f"{path}, line {number}: a number is missing or not finite")
    if not rows:
        raise DataError(f"{path} holds no number")
    return np.array(rows)
