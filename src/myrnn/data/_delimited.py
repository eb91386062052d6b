"""Comma- and tab-separated files.

Polars' own reader of CSV fills lines that are too short with nulls, which look like empty sequences, and says no line's
number. So the lines are split here, by Polars' functions on text.

In CSV, a field may stand in quotes, and then holds delimiters, line ends and, written twice, quotes (RFC 4180). In TSV,
quotes mean nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from myrnn.data._lines import literal, read_lines
from myrnn.data._table import Columns, Table, check_columns, check_faults
from myrnn.errors import DataError

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Quoting:
    """The patterns of fields that a delimiter separates, and that may be quoted."""

    delimiter: str

    @property
    def field(self) -> str:
        """The pattern of a field with the delimiter before it. A record is fields and nothing else."""
        mark = literal(self.delimiter)
        return rf'{mark}(?:"(?:[^"]|"")*"|[^"{mark}\n]*)'

    @property
    def open_end(self) -> str:
        """The pattern of the end of a line in whose last field a quote is still open."""
        return rf'(?:^|{literal(self.delimiter)})"(?:[^"]|"")*$'


MALFORMED_QUOTES = 'a quote (") that does not close, or stands within a field that is not in quotes'


def read_delimited(path: Path, delimiter: str, quotes: bool, columns: Columns, skip: bool) -> Table:
    """Return the sequences and labels of a file with a line of column names.

    Parameters
    ----------
    path : Path
    delimiter : str
        The character between two fields.
    quotes : bool
        Whether a field may stand in quotes; else they are characters like others.
    columns : Columns
    skip : bool
        Whether malformed lines are counted and passed over.
    """
    lines = read_lines(path)
    numbers = np.arange(1, len(lines) + 1)
    quoted = quotes and bool(lines.str.contains('"', literal=True).any())
    if quoted:
        lines, numbers = _joined(lines, numbers, Quoting(delimiter))
    fields = _quoted_fields(lines, Quoting(delimiter)) if quoted else lines.str.split(delimiter)
    names = _names(path, fields, lines)
    check_columns(path, names, columns)
    # A line with nothing in it is no line, unless it is one empty field.
    there = np.arange(len(lines)) > 0
    if len(names) > 1:
        there &= (lines != "").to_numpy()
    frame = _columns(fields.filter(there), names, columns)
    good, skipped = check_faults(path, numbers[there], frame["fault"], skip)
    frame = frame.filter(good)
    return Table(frame["sequence"], None if columns.label is None else frame["label"], numbers[there][good], skipped)


def _names(path: Path, fields: pl.Series, lines: pl.Series) -> list[str]:
    if not len(lines) or not lines[0].strip():
        raise DataError(f"{path}, line 1: no names of columns: the first line must name them")
    if fields[0] is None:
        raise DataError(f"{path}, line 1: {MALFORMED_QUOTES}")
    return [name.strip() for name in fields[0]]


def _columns(fields: pl.Series, names: list[str], wanted: Columns) -> pl.DataFrame:
    """Return the columns ``sequence``, ``label`` where there is one, and ``fault``: null, or what is wrong."""
    import polars as pl

    count = pl.col("fields").list.len()
    fault: Any = pl.when(count.is_null()).then(pl.lit(MALFORMED_QUOTES))
    fields_told = pl.when(count == 1).then(pl.lit("field")).otherwise(pl.lit("fields"))
    named = pl.lit(", ".join(names))
    told = pl.format("{} {} where the first line names {} ({})", count, fields_told, len(names), named)
    fault = fault.when(count != len(names)).then(told)
    columns = {"sequence": _field(names.index(wanted.text))}
    if wanted.label is not None:
        columns["label"] = _field(names.index(wanted.label)).str.strip_chars()
        fault = fault.when(columns["label"] == "").then(pl.lit("no label"))
    return pl.DataFrame({"fields": fields}).select(**columns, fault=fault.otherwise(None).cast(pl.String))


def _field(place: int) -> Any:
    import polars as pl

    return pl.col("fields").list.get(place, null_on_oob=True)


def _quoted_fields(records: pl.Series, quoting: Quoting) -> pl.Series:
    """Return the fields of every record of CSV, without quotes; null where the quotes are not in order."""
    import polars as pl

    raw = (quoting.delimiter + records).str.extract_all(quoting.field)
    length = records.str.len_bytes() + len(quoting.delimiter.encode())
    whole = raw.list.eval(pl.element().str.len_bytes()).list.sum() == length
    field = pl.element().str.slice(1)
    bare = pl.when(field.str.starts_with('"')).then(
        field.str.strip_prefix('"').str.strip_suffix('"').str.replace_all('""', '"', literal=True)
    )
    fields = raw.list.eval(bare.otherwise(field))
    return pl.select(pl.when(whole).then(fields)).to_series()


def _joined(lines: pl.Series, numbers: NDArray[np.int64], quoting: Quoting) -> tuple[pl.Series, NDArray[np.int64]]:
    """Join the lines of fields that go on over line ends, each under the number of its first line.

    A quote is open at the end of a line only where the line has an odd number of them, and then until the next such
    line. Where the lines joined are no record, the first one is malformed and the next ones stand for themselves.
    """
    import polars as pl

    record_pattern = re.compile(f"(?:{quoting.field})+")
    odd = (lines.str.count_matches('"', literal=True) % 2 == 1).arg_true().to_list()
    opens = lines.gather(odd).str.contains(quoting.open_end).to_list()
    record = np.arange(len(lines))  # the first line of the record that a line belongs to
    place = 0
    while place + 1 < len(odd):
        first, last = odd[place], odd[place + 1]
        if opens[place] and record_pattern.fullmatch(quoting.delimiter + "\n".join(lines[first : last + 1])):
            record[first : last + 1] = first
            place += 1
        place += 1
    if not any(opens):
        return lines, numbers
    groups = pl.DataFrame({"line": lines, "record": record}).group_by("record", maintain_order=True)
    joined = groups.agg(pl.col("line").str.join("\n"))
    return joined["line"], numbers[joined["record"].to_numpy()]
