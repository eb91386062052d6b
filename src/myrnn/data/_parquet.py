"""Parquet: columns of text or of lists."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from myrnn.data._columns import column_faults, is_label, plain_labels, plain_sequences, sequence_kind
from myrnn.data._lines import read_bytes
from myrnn.data._table import LABEL, SEQUENCE, Table, check_columns, check_faults
from myrnn.errors import DataError

if TYPE_CHECKING:
    import polars as pl

MAGIC = b"PAR1"


def read_parquet(path: Path, labelled: bool, skip: bool) -> Table:
    """Return the sequences and labels of a Parquet file."""
    frame = _frame(path, labelled)
    _check_types(path, frame, labelled)
    sequences = plain_sequences(frame[SEQUENCE])
    labels = plain_labels(frame[LABEL]) if labelled else None
    rows = np.arange(1, frame.height + 1)
    good, skipped = check_faults(path, rows, column_faults(sequences, labels), skip, unit="row")
    return Table(sequences.filter(good), None if labels is None else labels.filter(good), rows[good], skipped)


def _frame(path: Path, labelled: bool) -> pl.DataFrame:
    import polars as pl

    content = read_bytes(path)
    if not (content.startswith(MAGIC) and content.endswith(MAGIC)):
        raise DataError(f"{path} is not a Parquet file, or it is cut short")
    try:
        check_columns(path, list(pl.read_parquet_schema(io.BytesIO(content))), labelled)
        return pl.read_parquet(io.BytesIO(content), columns=[SEQUENCE, LABEL] if labelled else [SEQUENCE])
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} is a damaged Parquet file: {error}") from None


def _check_types(path: Path, frame: pl.DataFrame, labelled: bool) -> None:
    dtype = frame[SEQUENCE].dtype
    if sequence_kind(dtype) is None:
        raise DataError(
            f"{path}: the column {SEQUENCE!r} is of type {dtype}; it must hold text, or lists of symbols, of numbers "
            "or of vectors"
        )
    if labelled and not is_label(frame[LABEL].dtype):
        raise DataError(
            f"{path}: the column {LABEL!r} is of type {frame[LABEL].dtype}; it must hold text, integers or booleans"
        )
