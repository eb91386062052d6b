"""The sequences and labels of one file: CSV and TSV, JSON Lines, Parquet, and plain text.

Polars reads lines and Parquet, Python's `csv` reads quoted fields, and msgspec JSON. Each reader records the faults of
lines; `_kept` raises an error that names the first such line, or skips these lines.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from myrnn._checks import count_of, unrepeated
from myrnn.data.symbols import Numbers, TokenSequences, listed
from myrnn.errors import DataError, MyRNNError
from myrnn.sequences import offsets_of

if TYPE_CHECKING:
    import polars as pl

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
COMPRESSED = ".gz"
LONGEST_FIRST_LINE = 2**20
PARQUET_MARK = b"PAR1"
# The most columns that a message lists.
MOST_COLUMNS = 12
# The kinds of sequences in JSON Lines and Parquet.
TEXT, SYMBOLS, NUMBERS, VECTORS = "text", "a list of symbols", "a list of numbers", "a list of vectors"
# JSON lists of ambiguous kind.
INTEGERS, EMPTY = "a list of integers", "an empty list"


@dataclass(frozen=True)
class Columns:
    """The names of the columns to read; `label` is None if labels are not read.

    With `listed`, labels may also be numbers and lists, and `Table.targets` has them unchanged.
    """

    text: str = "sequence"
    label: str | None = "label"
    listed: bool = False

    @property
    def names(self) -> list[str]:
        """The names of the required columns."""
        return [self.text] if self.label is None else [self.text, self.label]


@dataclass(frozen=True, eq=False)
class Table:
    """The sequences and labels of a file, without its malformed lines."""

    sequences: pl.Series | TokenSequences | Numbers  # text, lists of symbols, or features
    labels: pl.Series | None
    lines: NDArray[np.int64]  # line numbers, from 1; row numbers in a file without lines
    skipped: int = 0
    targets: list[Any] | None = None


def without_gz(path: Path) -> Path:
    """Return the name of the decompressed file: ``train.csv`` for ``train.csv.gz``."""
    return path.with_suffix("") if path.suffix.lower() == COMPRESSED else path


def read_delimited(path: Path, delimiter: str, quotes: bool, columns: Columns, skip: bool) -> Table:
    """Read a delimited file with a line of column names; without `quotes`, a quote is an ordinary character."""
    # Polars' own CSV reader fills short lines with nulls, and does not count lines.
    lines = _lines(path)
    quoted = quotes and bool(lines.str.contains('"', literal=True).any())
    records = _quoted(lines + "\n", delimiter) if quoted else _split(lines, delimiter)
    if 1 in records.faults:
        raise DataError(f"{path}, line 1: {records.faults[1]}")
    names = [name.strip() for name in records.names]
    if not any(names):
        raise DataError(f"{path}, line 1: no names of columns: the first line must name them")
    _check_columns(path, names, columns)
    counts, is_record = records.counts, np.arange(len(records.counts)) > 0
    if len(names) > 1:
        is_record &= counts != 0
    else:
        # An empty line is one empty field.
        counts = np.where(counts == 0, 1, counts)
    counts, numbers = counts[is_record], records.numbers[is_record]
    faults = {}
    for place in np.flatnonzero(counts != len(names)).tolist():
        fields = count_of(counts[place], "field")
        wrong = f"{fields} where the first line names {len(names)} ({', '.join(names)})"
        faults[place] = records.faults.get(int(numbers[place]), wrong)
    sequences = records.field(names.index(columns.text)).filter(is_record)
    labels = None if columns.label is None else records.field(names.index(columns.label)).filter(is_record)
    good, labels, skipped = _kept(path, numbers, labels, faults, skip)
    return Table(sequences.filter(good), labels, numbers[good], skipped)


@dataclass(frozen=True)
class _Records:
    """The records of a delimited file; the first holds the names of the columns."""

    names: list[str]
    numbers: NDArray[np.int64]  # the line where each begins
    counts: NDArray[np.int64]  # the number of fields in each: 0 in an empty line, -1 if quotes are malformed
    field: Callable[[int], pl.Series]  # returns field i of every record, empty if it has none
    faults: dict[int, str]  # faults in quotes, by line


def _split(lines: pl.Series, delimiter: str) -> _Records:
    fields = lines.str.split(delimiter)
    counts = fields.list.len().to_numpy().astype(np.int64) * (lines != "").to_numpy()

    def field(place: int) -> pl.Series:
        return fields.list.get(place, null_on_oob=True).fill_null("")

    return _Records(fields[0].to_list(), np.arange(1, len(lines) + 1), counts, field, {})


def _quoted(column: pl.Series, delimiter: str) -> _Records:
    """Read CSV with quoted fields (RFC 4180), which may contain delimiters, line ends and quotes."""
    import polars as pl

    mark = re.escape(delimiter)
    field_pattern = rf'(?:"(?:[^"]|"")*"|[^"{mark}\n]*)'
    record = re.compile(rf"{field_pattern}(?:{mark}{field_pattern})*\n")
    # Most records are one line, which Polars checks faster; the others are checked one by one.
    is_record = column.str.contains(f"^{record.pattern}$").to_list()
    lines = column.to_list()
    rows: list[list[str]] = []
    numbers: list[int] = []
    faults: dict[int, str] = {}
    limit = csv.field_size_limit(2**31 - 1)
    begin = 0
    try:
        while begin < len(lines):
            rest = map(lines.__getitem__, range(begin, len(lines)))
            reader = csv.reader(rest, delimiter=delimiter, strict=True)
            done = 0
            try:
                for row in reader:
                    first, end = begin + done, begin + reader.line_num
                    # Python's reader accepts quotes within a field.
                    if not is_record[first] and not record.fullmatch("".join(lines[first:end])):
                        raise csv.Error('a quote (") within a field that is not in quotes')
                    rows.append(row)
                    numbers.append(first + 1)
                    done = reader.line_num
            except csv.Error as error:
                # Read the lines after a malformed one separately.
                unclosed = "end of data" in str(error)
                faults[begin + done + 1] = 'a quote (") that does not close' if unclosed else f"not CSV: {error}"
                rows.append([])
                numbers.append(begin + done + 1)
                done += 1
            begin += done
    finally:
        csv.field_size_limit(limit)

    def field(place: int) -> pl.Series:
        return pl.Series([row[place] if place < len(row) else "" for row in rows], dtype=pl.String)

    counts = np.array([-1 if number in faults else len(row) for row, number in zip(rows, numbers, strict=True)])
    return _Records(rows[0], np.array(numbers), counts, field, faults)


def read_text_pair(path: Path, labels: Path | None, skip: bool) -> Table:
    """Read plain text with a sequence per line, and a file with a label per line."""
    sequences = _lines(path)
    numbers = np.arange(1, len(sequences) + 1)
    if labels is None:
        return Table(sequences, None, numbers)
    names = _lines(labels)
    if len(names) != len(sequences):
        raise DataError(
            f"every sequence needs a label, but {path} has {count_of(len(sequences), 'line')} "
            f"and {labels} has {len(names):,}"
        )
    good, kept, skipped = _kept(labels, numbers, names, {}, skip)
    return Table(sequences.filter(good), kept, numbers[good], skipped)


def read_tabbed(path: Path, skip: bool) -> Table:
    """Read lines of a sequence, a tab and its label, without column names."""
    lines = _lines(path)
    texts, labels = lines.str.extract(r"^(.*)\t", 1), lines.str.extract(r"\t([^\t]*)$", 1)
    numbers = np.arange(1, len(lines) + 1)
    faults = dict.fromkeys(texts.is_null().arg_true().to_list(), "no tab followed by a label")
    good, kept, skipped = _kept(path, numbers, labels.fill_null(""), faults, skip)
    return Table(texts.filter(good), kept, numbers[good], skipped)


def is_tabbed(path: Path) -> bool:
    """Return whether the first line of plain text has a tab, as before a label; False if the file is unreadable."""
    opened = gzip.open if path.suffix.lower() == COMPRESSED else open
    try:
        with opened(path, "rb") as file:
            return b"\t" in file.readline(LONGEST_FIRST_LINE).partition(b"\r")[0]
    except (OSError, EOFError, ValueError, zlib.error):
        return False


def read_text(path: Path) -> str:
    """Return a whole UTF-8 file as text; line ends become those of Unix."""
    return _text(path).decode()


def read_json_lines(path: Path, columns: Columns, skip: bool) -> Table:
    """Read JSON objects, one per line; skip empty lines."""
    lines = {number: line for number, line in enumerate(_text(path).split(b"\n"), 1) if line.strip()}
    decode = msgspec.json.Decoder(_record_type(columns)).decode
    keys_read = [json.dumps(name).encode() for name in columns.names]

    def read(line: bytes) -> Any:
        try:
            record = decode(line)
        except msgspec.DecodeError as error:
            if str(error) == "Input data was truncated":
                raise DataError("JSON that is cut off: its end is missing") from None
            raise
        if any(line.count(key) > 1 for key in keys_read):
            # Parse no numbers: one may have more digits than Python converts.
            json.loads(line, object_pairs_hook=unrepeated, parse_int=str, parse_float=str)
        return record

    try:
        return _read_values(path, lines.items(), read, columns, skip, "line")
    except DataError:
        # If no line has one of the columns, the message lists the columns found.
        keys: dict[str, Any] = {}
        for line in lines.values():
            with suppress(msgspec.MsgspecError, RecursionError):
                keys |= msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        if keys:
            _check_columns(path, list(keys), columns)
        raise


def read_parquet(path: Path, columns: Columns, skip: bool) -> Table:
    """Read the columns of a Parquet file; rows are counted from 1."""
    import polars as pl

    content = read_bytes(path)
    if not (content.startswith(PARQUET_MARK) and content.endswith(PARQUET_MARK)):
        raise DataError(f"{path} is not a Parquet file, or it is cut short")
    try:
        _check_columns(path, list(pl.read_parquet_schema(io.BytesIO(content))), columns)
        frame = pl.read_parquet(io.BytesIO(content), columns=columns.names)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise DataError(f"{path} is a damaged Parquet file: {error}") from None
    rows = enumerate(frame.iter_rows(named=True), 1)
    read = partial(msgspec.convert, type=_record_type(columns))
    return _read_values(path, rows, read, columns, skip, "row")


def _record_type(columns: Columns) -> Any:
    """Return the msgspec type of a line or a row, with fields for the sequence and the label."""
    integer = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
    sequence: Any = str | list[str | bool | integer | float | list[float]]
    label: Any = str | bool | int
    if columns.listed:
        label = str | bool | integer | float | list[str | bool | integer | float | list[float]]
    fields = [("sequence", sequence), ("label", label)][: len(columns.names)]
    return msgspec.defstruct("Record", fields, rename={"sequence": columns.text, "label": columns.label or ""})


def _read_values(
    path: Path,
    records: Iterable[tuple[int, Any]],
    read: Callable[[Any], Any],
    columns: Columns,
    skip: bool,
    unit: str,
) -> Table:
    """Read sequences that are text, or lists of symbols, numbers or vectors, all of one kind.

    `records` are pairs of a line or row and its number. `read` parses one to a `_record_type`, or raises msgspec's
    error.
    """
    import polars as pl

    labelled = columns.label is not None
    sequences: list[Any] = []
    labels: list[Any] = []
    numbers: list[int] = []
    faults: dict[int, str] = {}
    known, first = "", 0  # the kind of the sequences so far, and the record that decided it
    for place, (number, record) in enumerate(records):
        numbers.append(number)
        try:
            found = read(record)
            label = found.label if columns.listed else as_text(found.label).strip() if labelled else ""
            if labelled and label == "":
                raise DataError("no label")
            kind, sequence = _checked(found.sequence)
            if not known or (kind != known and _may_be(known, kind)):
                known, first = kind, number
            elif kind != known and not _may_be(kind, known):
                raise DataError(f"the sequence is {kind}, but that of {unit} {first} is {known}")
        except (msgspec.MsgspecError, MyRNNError, RecursionError) as error:
            faults[place] = str(error)
        else:
            sequences.append(sequence)
            labels.append(label)
    lines = np.array(numbers, dtype=np.int64)
    good, _, skipped = _kept(path, lines, None, faults, skip, unit)
    if columns.listed:
        return Table(_of_kind(sequences, known), None, lines[good], skipped, labels)
    names = pl.Series(labels, dtype=pl.String) if labelled else None
    return Table(_of_kind(sequences, known), names, lines[good], skipped)


def _checked(sequence: Any) -> tuple[str, Any]:
    """Return the kind of a sequence, and the sequence; numbers become float64 (T, C)."""
    if isinstance(sequence, str):
        return TEXT, sequence
    kinds = set(map(type, sequence))
    if not kinds:
        return EMPTY, sequence
    if kinds == {int}:
        return INTEGERS, sequence
    if kinds == {list} or kinds <= {int, float}:
        widths = sorted(set(map(len, sequence))) if kinds == {list} else []
        if len(widths) > 1 or widths == [0]:
            raise DataError(f"vectors of {' and of '.join(map(str, widths))} numbers in one sequence")
        rows = np.array(sequence, dtype=np.float64)
        if not np.isfinite(rows).all():
            raise DataError("a number that is not finite")
        return (f"{VECTORS} of {count_of(widths[0], 'number')}", rows) if widths else (NUMBERS, rows[:, np.newaxis])
    if list in kinds:
        raise DataError("the sequence must hold symbols, numbers or vectors, not a mixture")
    return SYMBOLS, sequence


def _may_be(kind: str, other: str) -> bool:
    """Whether a sequence that looks like `kind` may be of the kind `other`."""
    return other != TEXT if kind == EMPTY else kind == INTEGERS and other in (SYMBOLS, NUMBERS)


def as_text(value: Any) -> str:
    """Return a label or a symbol as text, in JSON's spelling."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _of_kind(sequences: list[Any], kind: str) -> pl.Series | TokenSequences | Numbers:
    """Return sequences of one kind, flat if they are lists."""
    import polars as pl

    if kind == TEXT:
        return pl.Series(sequences, dtype=pl.String)
    offsets = offsets_of(list(map(len, sequences)))
    if kind in (EMPTY, INTEGERS, SYMBOLS):
        return listed(list(map(as_text, chain.from_iterable(sequences))), offsets)
    # Among numbers there may be lists of integers, and empty ones.
    width = next(rows.shape[1] for rows in sequences if isinstance(rows, np.ndarray))
    rows = [np.asarray(rows, dtype=np.float64).reshape(-1, width) for rows in sequences]
    return Numbers(np.concatenate(rows), offsets)


def _kept(
    path: Path,
    numbers: NDArray[np.int64],
    labels: pl.Series | None,
    faults: dict[int, str],
    skip: bool,
    unit: str = "line",
) -> tuple[NDArray[np.bool_], pl.Series | None, int]:
    """Return which lines have no fault, bool (N,), their labels, and the number of other lines.

    `numbers` are the line numbers, and `faults` describes faults by index into `numbers`. A fault is an error unless
    `skip` is set and at least one line is good.
    """
    if not len(numbers):
        raise DataError(f"{path} holds no sequence")
    if labels is not None:
        labels = labels.str.strip_chars()
        faults = dict.fromkeys((labels == "").arg_true().to_list(), "no label") | faults
    good = np.ones(len(numbers), dtype=np.bool_)
    good[list(faults)] = False
    if faults:
        first = min(faults)
        message = f"{path}, {unit} {numbers[first]}: {faults[first]}"
        if not skip:
            raise DataError(message)
        if not good.any():
            raise DataError(f"every {unit} is malformed; {message}")
    return good, None if labels is None else labels.filter(good), len(faults)


def _check_columns(path: Path, there: Sequence[str], columns: Columns) -> None:
    """Refuse a file that lacks a column or has two of the same name; say which columns it has."""
    for name in columns.names:
        if there.count(name) > 1:
            raise DataError(f"{path} has more than one column {name!r}")
        if name not in there:
            listed = [repr(column if len(column) <= 40 else f"{column[:37]}...") for column in there[:MOST_COLUMNS]]
            shown = ", ".join([*listed, "..."] if len(there) > MOST_COLUMNS else listed)
            what = "text" if name == columns.text else "label"
            raise DataError(
                f"{path} has no column {name!r}; its columns are {shown or 'none'}: say which is the {what} column "
                f"(--{what}-column)"
            )


def read_bytes(path: Path) -> bytes:
    """Return the decompressed content of a file that exists and is not empty."""
    if path.exists() and not path.is_file():
        # A device or a pipe may be endless.
        raise DataError(f"{path} is {'a folder' if path.is_dir() else 'a device or a pipe'}, not a file")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"there is no file {path}") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if content and path.suffix.lower() == COMPRESSED:
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path} is not a gzip file, or it is damaged: {error}") from None
        except MemoryError:
            raise DataError(f"{path} does not fit the memory when it is decompressed") from None
    if not content:
        raise DataError(f"{path} is empty")
    return content


def unix_lines(content: bytes) -> bytes:
    """Return text with the line ends of Unix, instead of those of Windows or old Macs."""
    return content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _text(path: Path) -> bytes:
    """Return the content of a file of UTF-8 text, as bytes with the line ends of Unix, without byte order marks."""
    content = unix_lines(read_bytes(path))
    # Two files that were joined may begin with two marks, of which Polars would remove the second.
    while content.startswith(BYTE_ORDER_MARK):
        content = content.removeprefix(BYTE_ORDER_MARK)
    if not content:
        raise DataError(f"{path} is empty")
    # UTF-16 text and binary files have such bytes.
    place = content.find(b"\0")
    fault = "a zero byte: this is not a file of UTF-8 text"
    if place < 0:
        try:
            content.decode()
        except UnicodeDecodeError as error:
            place = error.start
            fault = f"the byte 0x{content[place]:02x} is not UTF-8: save the file as UTF-8 text"
    if place >= 0:
        line = content.count(b"\n", 0, place) + 1
        raise DataError(f"{path}, line {line}: {fault}")
    return content


def _lines(path: Path) -> pl.Series:
    """Return the lines of a UTF-8 file, without line ends; a line may be empty."""
    import polars as pl

    # Read it as CSV with one column, separated by zero bytes, which text never contains.
    lines = pl.read_csv(_text(path), has_header=False, schema={"line": pl.String}, quote_char=None, separator="\0")
    return lines.to_series().fill_null("")
