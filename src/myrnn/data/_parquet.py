"""Parquet: columns of text or of lists."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from myrnn.data._columns import column_faults, is_label, plain_labels, plain_sequences, sequence_kind
from myrnn.data._lines import read_bytes
from myrnn.data._table import Columns, Table, check_columns, check_faults
from myrnn.errors import DataError

if TYPE_CHECKING:
    import polars as pl

MAGIC = b"PAR1"


def read_parquet(path: Path, columns: Columns, skip: bool) -> Table:
    """Return the sequences and labels of a Parquet file."""
    frame = _frame(path, columns)
    _check_types(path, frame, columns)
    sequences = plain_sequences(frame[columns.text])
    labels = None if columns.label is None else plain_labels(frame[columns.label])
    rows = np.arange(1, frame.height + 1)
    good, skipped = check_faults(path, rows, column_faults(sequences, labels), skip, unit="row")
    return Table(sequences.filter(good), None if labels is None else labels.filter(good), rows[good], skipped)


def _frame(path: Path, columns: Columns) -> pl.DataFrame:
    import polars as pl

    content = read_bytes(path)
    if not (content.startswith(MAGIC) and content.endswith(MAGIC)):
        raise DataError(f"{path} is not a Parquet file, or it is cut short")
    try:
        check_columns(path, list(pl.read_parquet_schema(io.BytesIO(content))), columns)
        return pl.read_parquet(io.BytesIO(content), columns=columns.names)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} is a damaged Parquet file: {error}") from None


def _check_types(path: Path, frame: pl.DataFrame, columns: Columns) -> None:
    dtype = frame[columns.text].dtype
    if sequence_kind(dtype) is None:
        raise DataError(
            f"{path}: the column {columns.text!r} is of type {dtype}; it must hold text, or lists of symbols, of "
            "numbers or of vectors"
        )
    if columns.label is not None and not is_label(frame[columns.label].dtype):
        raise DataError(
            f"{path}: the column {columns.label!r} is of type {frame[columns.label].dtype}; it must hold text, "
            "integers or booleans"
        )
