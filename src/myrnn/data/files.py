"""The sequences and labels of one file: CSV and TSV, JSON Lines, Parquet, and plain text.

Python's `csv` reads delimited fields, msgspec JSON, and Polars Parquet. `_Rows` collects the lines, and raises an error
that names the first malformed one, or skips them.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from myrnn._checks import count_of
from myrnn.data.symbols import Numbers, TokenSequences, listed
from myrnn.errors import DataError, MyRNNError
from myrnn.sequences import offsets_of

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
    """The names of the columns to read; labels are not read without `label`, and may be any value with `listed`."""

    text: str = "sequence"
    label: str | None = "label"
    listed: bool = False

    @property
    def names(self) -> list[str]:
        """The names of the required columns."""
        return [self.text] if self.label is None else [self.text, self.label]


@dataclass(frozen=True, eq=False)
class FileContent:
    """The sequences, labels and line numbers (rows in Parquet, from 1) of a file, without its malformed lines."""

    sequences: list[str] | TokenSequences | Numbers
    labels: list[Any] | None
    lines: NDArray[np.int64]
    skipped: int


class _Rows:
    """Collects the sequences of a file; a fault is an error unless `skip` is set and at least one line is good."""

    def __init__(self, path: Path, has_labels: bool, skip: bool, unit: str = "line") -> None:
        self._path, self._skip, self._unit = path, skip, unit
        self._sequences: list[Any] = []
        self._labels: list[Any] | None = [] if has_labels else None
        self._numbers: list[int] = []
        self._faults: list[str] = []

    def add(self, number: int, sequence: Any, label: Any = None) -> bool:
        """Add a line, and return whether it is good."""
        label = label.strip() if isinstance(label, str) else label
        if self._labels is not None:
            if label == "":
                return self.fault(number, "no label")
            self._labels.append(label)
        self._sequences.append(sequence)
        self._numbers.append(number)
        return True

    def fault(self, number: int, fault: str) -> bool:
        """Raise the error of a malformed line, or skip it."""
        message = f"{self._path}, {self._unit} {number}: {fault}"
        if not self._skip:
            raise DataError(message)
        self._faults.append(message)
        return False

    def content(self, kind: str = TEXT) -> FileContent:
        """Return all good lines, whose sequences are of one kind."""
        if not self._numbers and self._faults:
            raise DataError(f"every {self._unit} is malformed; {self._faults[0]}")
        if not self._numbers:
            raise DataError(f"{self._path} holds no sequence")
        lines = np.array(self._numbers, dtype=np.int64)
        return FileContent(_of_kind(self._sequences, kind), self._labels, lines, len(self._faults))


def without_gz(path: Path) -> Path:
    """Return the name of the decompressed file: ``train.csv`` for ``train.csv.gz``."""
    return path.with_suffix("") if path.suffix.lower() == COMPRESSED else path


def read_delimited(path: Path, delimiter: str, quotes: bool, columns: Columns, skip: bool) -> FileContent:
    """Read a delimited file with a line of column names; without `quotes`, a quote is an ordinary character."""
    # Faults name lines, which Polars does not count.
    limit = csv.field_size_limit(2**31 - 1)
    try:
        return _read_records(path, _records(_lines(path), delimiter, quotes), columns, skip)
    finally:
        csv.field_size_limit(limit)


def _records(lines: list[str], delimiter: str, quotes: bool) -> Iterator[tuple[int, list[str], str]]:
    """Yield the line where each record begins, its fields, and its fault, after which the next line begins a record."""
    begin = 0
    while begin < len(lines):
        rest = (f"{lines[place]}\n" for place in range(begin, len(lines)))
        quoting: Any = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
        reader = csv.reader(rest, delimiter=delimiter, quoting=quoting, strict=True)
        end = begin
        try:
            for fields in reader:
                yield end + 1, fields, ""
                end = begin + reader.line_num
        except csv.Error as error:
            is_open = "end of data" in str(error)
            yield end + 1, [], 'a quote (") that does not close' if is_open else f"not CSV: {error}"
            end += 1
        begin = end


def _read_records(
    path: Path, records: Iterator[tuple[int, list[str], str]], columns: Columns, skip: bool
) -> FileContent:
    _, first, fault = next(records)
    names = [name.strip() for name in first]
    if fault or not any(names):
        raise DataError(f"{path}, line 1: {fault or 'no names of columns: the first line must name them'}")
    _check_columns(path, names, columns)
    places = [names.index(name) for name in columns.names]
    rows = _Rows(path, columns.label is not None, skip)
    for number, fields, fault in records:
        if not fields and not fault:
            if len(names) > 1:
                continue
            # In a file of one column, an empty line is an empty field.
            fields = [""]
        if not fault and len(fields) != len(names):
            fault = f"{count_of(len(fields), 'field')} where the first line names {len(names)} ({', '.join(names)})"
        if fault:
            rows.fault(number, fault)
        else:
            rows.add(number, *(fields[place] for place in places))
    return rows.content()


def read_text_pair(path: Path, labels: Path | None, skip: bool) -> FileContent:
    """Read plain text with a sequence per line, and a file with a label per line."""
    sequences = _lines(path)
    names = None if labels is None else _lines(labels)
    if names is not None and len(names) != len(sequences):
        raise DataError(
            f"every sequence needs a label, but {path} has {count_of(len(sequences), 'line')} "
            f"and {labels} has {len(names):,}"
        )
    rows = _Rows(labels or path, labels is not None, skip)
    for number, pair in enumerate(zip(sequences, *([] if names is None else [names]), strict=True), 1):
        rows.add(number, *pair)
    return rows.content()


def read_tabbed(path: Path, skip: bool) -> FileContent:
    """Read lines of a sequence, a tab and its label, without column names."""
    rows = _Rows(path, True, skip)
    for number, line in enumerate(_lines(path), 1):
        text, tab, label = line.rpartition("\t")
        if tab:
            rows.add(number, text, label)
        else:
            rows.fault(number, "no tab followed by a label")
    return rows.content()


def is_tabbed(path: Path) -> bool:
    """Return whether the first line of plain text has a tab, as before a label; False if the file is unreadable."""
    opened = gzip.open if path.suffix.lower() == COMPRESSED else open
    try:
        with opened(path, "rb") as file:
            return b"\t" in file.readline(LONGEST_FIRST_LINE).partition(b"\r")[0]
    except (OSError, EOFError, ValueError, zlib.error):
        return False


def read_json_lines(path: Path, columns: Columns, skip: bool) -> FileContent:
    """Read JSON objects, one per line; skip empty lines."""
    lines = _lines(path)
    read = msgspec.json.Decoder(_record_type(columns)).decode
    try:
        records = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
        return _read_values(path, records, read, columns, skip, "line")
    except DataError:
        # If no line has one of the columns, the message lists the columns found.
        keys: dict[str, Any] = {}
        for line in lines:
            with suppress(msgspec.MsgspecError, RecursionError):
                keys |= msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        if keys:
            _check_columns(path, list(keys), columns)
        raise


def read_parquet(path: Path, columns: Columns, skip: bool) -> FileContent:
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
) -> FileContent:
    """Read sequences that are text, or lists of symbols, numbers or vectors, all of one kind."""
    rows = _Rows(path, columns.label is not None, skip, unit)
    known, first = "", 0  # the kind of the sequences so far, and the record that decided it
    for number, record in records:
        try:
            found = read(record)
            kind, sequence = _checked(found.sequence)
            if known and kind != known and not (_may_be(kind, known) or _may_be(known, kind)):
                raise DataError(f"the sequence is {kind}, but that of {unit} {first} is {known}")
        except (msgspec.MsgspecError, MyRNNError, RecursionError) as error:
            rows.fault(number, str(error))
            continue
        label = None if columns.label is None else found.label if columns.listed else as_text(found.label)
        if rows.add(number, sequence, label) and (not known or (kind != known and _may_be(known, kind))):
            known, first = kind, number
    return rows.content(known)


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


def _of_kind(sequences: list[Any], kind: str) -> list[str] | TokenSequences | Numbers:
    """Return sequences of one kind, flat if they are lists."""
    if kind == TEXT:
        return sequences
    offsets = offsets_of(list(map(len, sequences)))
    if kind in (EMPTY, INTEGERS, SYMBOLS):
        return listed(list(map(as_text, chain.from_iterable(sequences))), offsets)
    # Among numbers there may be lists of integers, and empty ones.
    width = next(rows.shape[1] for rows in sequences if isinstance(rows, np.ndarray))
    rows = [np.asarray(rows, dtype=np.float64).reshape(-1, width) for rows in sequences]
    return Numbers(np.concatenate(rows), offsets)


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


def read_text(path: Path) -> str:
    """Return a whole UTF-8 file as text; line ends become those of Unix."""
    fault = ""
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        text = error.object[: error.start].decode()
        fault = f"the byte 0x{error.object[error.start]:02x} is not UTF-8: save the file as UTF-8 text"
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not fault and "\0" in text:
        # Binary files have such bytes.
        text, fault = text.partition("\0")[0], "a zero byte: this is not a file of UTF-8 text"
    if fault:
        raise DataError(f"{path}, line {text.count(chr(10)) + 1}: {fault}")
    if not text:
        raise DataError(f"{path} is empty")
    return text


def _lines(path: Path) -> list[str]:
    """Return the lines of a UTF-8 file, without line ends; a line may be empty."""
    return read_text(path).removesuffix("\n").split("\n")
