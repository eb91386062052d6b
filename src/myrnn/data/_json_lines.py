"""JSON Lines: an object a line, whose sequence is text or a list of symbols, of numbers or of vectors.

Polars reads all lines at once, and refuses all of them when one is malformed. Only then the lines are looked at one by
one, to tell which, and the others are read again.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from myrnn.data._columns import SYMBOLS, TEXT, column_faults, is_label, plain_labels, plain_sequences, sequence_kind
from myrnn.data._json_faults import line_faults
from myrnn.data._lines import literal, read_text, split_lines
from myrnn.data._table import Columns, Table, check_columns, check_faults
from myrnn.errors import DataError

if TYPE_CHECKING:
    import polars as pl

# Text that Polars may have made of something else: of a list, an object, a number or a truth value.
NOT_SURELY_TEXT = r"^(?:[\[{]|-?[0-9][-+.0-9Ee]*$|true$|false$)"
# The same for symbols and labels: lists, objects and numbers that are no integers.
NOT_SURELY_SYMBOLS = r"^(?:[\[{]|-?[0-9]+[.eE])"
NOT_SURELY_LABEL = NOT_SURELY_SYMBOLS


def read_json_lines(path: Path, columns: Columns, skip: bool) -> Table:
    """Return the sequences and labels of a file that has an object in every line; blank lines count for nothing."""
    content = read_text(path)
    lines = split_lines(path, content)
    there = lines.str.strip_chars() != ""
    lines, numbers = lines.filter(there), 1 + there.arg_true().to_numpy().astype(np.int64)
    if not len(lines):
        raise DataError(f"{path} holds no sequence")
    found = _read_at_once(path, content, columns)
    if found is not None and found[0].len() == len(lines) and not _may_be_mixed(lines, columns, *found):
        return Table(*found, numbers)
    import polars as pl

    faults = pl.Series(line_faults(lines.to_list(), numbers.tolist(), columns))
    good, skipped = check_faults(path, numbers, faults, skip)
    found = _read_at_once(path, lines.filter(good).str.join("\n").item().encode(), columns)
    if found is None:
        raise DataError(f"{path} cannot be read: its lines do not go together")
    return Table(*found, numbers[good], skipped)


def _read_at_once(path: Path, content: bytes, columns: Columns) -> tuple[pl.Series, pl.Series | None] | None:
    """Return what the lines hold; None where some of them are malformed or do not go together."""
    import polars as pl

    try:
        frame = pl.read_ndjson(content, infer_schema_length=None)
    except pl.exceptions.PolarsError:
        return None
    check_columns(path, frame.columns, columns)
    texts, told = frame[columns.text], None if columns.label is None else frame[columns.label]
    if sequence_kind(texts.dtype) is None or (told is not None and not is_label(told.dtype)):
        return None
    sequences, labels = plain_sequences(texts), None if told is None else plain_labels(told)
    return (sequences, labels) if column_faults(sequences, labels).is_null().all() else None


def _may_be_mixed(lines: pl.Series, columns: Columns, sequences: pl.Series, labels: pl.Series | None) -> bool:
    """Tell whether Polars may have made text, or symbols, of values of several kinds."""
    kind = sequence_kind(sequences.dtype)
    if kind == SYMBOLS and sequences.explode().str.contains(NOT_SURELY_SYMBOLS).any():
        return True
    if kind == TEXT and _may_be_no_text(lines, columns.text, sequences.str.contains(NOT_SURELY_TEXT)):
        return True
    if labels is None or columns.label is None:
        return False
    return _may_be_no_text(lines, columns.label, labels.str.contains(NOT_SURELY_LABEL))


def _may_be_no_text(lines: pl.Series, key: str, doubtful: pl.Series) -> bool:
    """Tell whether in one of the doubtful lines the value behind the key is not surely text."""
    if not doubtful.any():
        return False
    # In a string of JSON, the quotes around the key would have backslashes before them.
    as_key = rf'"{literal(key)}"\s*:'
    written = lines.filter(doubtful)
    surely = written.str.contains(rf'{as_key}\s*"') & (written.str.count_matches(as_key) == 1)
    return not surely.all()
