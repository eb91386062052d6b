"""The lines of one file: CSV and TSV, JSON Lines, Parquet, and plain text.

Python's `csv` reads delimited fields, msgspec JSON, and Polars Parquet. Each format yields its lines as `FileLine`, and
`_collected` keeps the good ones.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from myrnn._checks import count_of
from myrnn.errors import DataError, InvalidArgument

DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
# What else separates fields, the likeliest first.
OTHER_DELIMITERS = (";", "\t", ",", "|")
JSON_LINES, PARQUET, PLAIN = (".jsonl", ".ndjson"), (".parquet", ".pq"), ".txt"
# Benchmarks of formal languages have special formats. FLaRe has symbols separated by spaces in one file, and labels in
# another next to it. MLRegTest has a sequence, a tab and a label in each line of plain text.
PREPARED, LABELS_FILE = ".tok", "labels.txt"
WITH_LABELS = (*DELIMITERS, *JSON_LINES, *PARQUET)
COMPRESSED = ".gz"
LONGEST_FIRST_LINE = 2**20
PARQUET_MARK = b"PAR1"
# The most columns that a message lists.
MOST_COLUMNS = 12
# The default column of the sequences.
TEXT_COLUMN = "sequence"
# The kinds of sequences in a file.
TEXT, SYMBOLS, NUMBERS, VECTORS = "text", "a list of symbols", "a list of numbers", "a list of vectors"
# JSON lists of ambiguous kind.
INTEGERS, EMPTY = "a list of integers", "an empty list"


@dataclass(frozen=True)
class Columns:
    """The names of the columns to read; labels are not read without `label`, and may be any value with `listed`."""

    text: str = TEXT_COLUMN
    label: str | None = "label"
    listed: bool = False

    @property
    def names(self) -> list[str]:
        """The names of the required columns."""
        return [self.text] if self.label is None else [self.text, self.label]


class FileLine(NamedTuple):
    """A line, or a row of Parquet, counted from 1: its sequence and its label, if labels are read; or its fault."""

    number: int
    sequence: Any = ""
    label: Any = None
    fault: str = ""


@dataclass(frozen=True, eq=False)
class FileContent:
    """The sequences of one kind, the labels and the numbers of the good lines of a file."""

    kind: str
    sequences: list[Any]
    labels: list[Any] | None
    lines: NDArray[np.int64]
    skipped: int


def ending_of(path: Path) -> str:
    """Return the ending of a file's name, such as ``".csv"``, without that of a compressed file."""
    return without_gz(path).suffix.lower()


def without_gz(path: Path) -> Path:
    """Return the name of the decompressed file: ``train.csv`` for ``train.csv.gz``."""
    return path.with_suffix("") if path.suffix.lower() == COMPRESSED else path


def labels_beside(path: Path) -> Path | None:
    """Return the file of labels that belongs to a file of FLaRe; None for other files."""
    return path.with_name(LABELS_FILE) if ending_of(path) == PREPARED else None


def is_tabbed(path: Path) -> bool:
    """Return whether the first line of plain text has a tab, as before a label; False if the file is unreadable."""
    opened = gzip.open if path.suffix.lower() == COMPRESSED else open
    try:
        with opened(path, "rb") as file:
            return b"\t" in file.readline(LONGEST_FIRST_LINE).partition(b"\r")[0]
    except (OSError, EOFError, ValueError, zlib.error):
        return False


def read_file(path: Path, labels: Path | None, columns: Columns, delimiter: str | None, skip: bool) -> FileContent:
    """Read sequences and labels; with `skip`, malformed lines are counted instead of being an error."""
    ending = ending_of(path)
    if labels is None and columns.label is not None:
        labels = labels_beside(path)
    if labels is not None and ending in WITH_LABELS:
        raise InvalidArgument(f"a {ending} file has a column of labels: labels is for plain text, not for {path}")
    if labels is not None or (ending in (PLAIN, PREPARED) and columns.label is None):
        return _collected(_of_text(path, labels), labels or path, columns, skip)
    if delimiter is not None:
        with _long_fields():
            return _collected(_of_fields(path, delimiter, ending == ".csv", columns), path, columns, skip)
    if ending in JSON_LINES:
        return _collected(_of_json(path, columns), path, columns, skip)
    if ending in PARQUET:
        return _collected(_of_parquet(path, columns), path, columns, skip, "row")
    if ending == PLAIN and is_tabbed(path):
        return _collected(_of_tabbed(path), path, columns, skip)
    if ending == PLAIN:
        # If the file is missing, that is the error, not its labels.
        read_bytes(path)
        raise InvalidArgument(f"{path} is plain text: its labels must be in a separate file, one per line")
    endings = f"{', '.join(WITH_LABELS)}, {PREPARED} or {PLAIN}, optionally followed by {COMPRESSED}"
    raise InvalidArgument(f"path must end in {endings}, not {path.name!r}")


def _collected(
    records: Iterable[FileLine], path: Path, columns: Columns, skip: bool, unit: str = "line"
) -> FileContent:
    """Return the good lines, whose sequences are of one kind; a fault is an error unless `skip` is set."""
    sequences: list[Any] = []
    labels: list[Any] = []
    numbers: list[int] = []
    faults: list[str] = []
    known, first = "", 0  # the kind of the sequences so far, and the line that decided it
    for number, sequence, label, fault in records:
        try:
            if fault:
                raise DataError(fault)
            kind, checked = _checked(sequence)
            if known and kind != known and not (_may_be(kind, known) or _may_be(known, kind)):
                raise DataError(f"the sequence is {kind}, but that of {unit} {first} is {known}")
            if label is not None:
                label = label if columns.listed and not isinstance(label, str) else as_text(label).strip()
            if label == "":
                raise DataError("no label")
        except DataError as error:
            faults.append(f"{path}, {unit} {number}: {error}")
            if not skip:
                raise DataError(faults[0]) from None
            continue
        sequences.append(checked)
        labels.append(label)
        numbers.append(number)
        if not known or (kind != known and _may_be(known, kind)):
            known, first = kind, number
    if not numbers:
        raise DataError(f"every {unit} is malformed; {faults[0]}" if faults else f"{path} holds no sequence")
    given = None if labels[0] is None else labels
    return FileContent(known, sequences, given, np.array(numbers, dtype=np.int64), len(faults))


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


# --- the formats


def _of_fields(path: Path, delimiter: str, quotes: bool, columns: Columns) -> Iterator[FileLine]:
    """Yield the records below a line of column names; without `quotes`, a quote is an ordinary character."""
    lines = _fields(_lines(path), delimiter, quotes)
    _, first, fault = next(lines)
    names = [name.strip() for name in first]
    if fault or not any(names):
        raise DataError(f"{path}, line 1: {fault or 'no names of columns: the first line must name them'}")
    check_columns(path, names, columns, delimiter)
    places = [names.index(name) for name in columns.names]
    for number, fields, fault in lines:
        if not fields and not fault:
            if len(names) > 1:
                continue
            # In a file of one column, an empty line is an empty field.
            fields = [""]
        if not fault and len(fields) != len(names):
            fault = f"{count_of(len(fields), 'field')} where the first line names {len(names)} ({', '.join(names)})"
        yield FileLine(number, fault=fault) if fault else FileLine(number, *(fields[place] for place in places))


@contextmanager
def _long_fields() -> Iterator[None]:
    """Let fields be of any length, which csv limits for the whole process."""
    limit = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _fields(lines: list[str], delimiter: str, quotes: bool) -> Iterator[tuple[int, list[str], str]]:
    """Yield the line where each record begins, its fields, and its fault, after which the next line begins a record."""
    # Faults name lines, which Polars does not count.
    quoting: Any = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
    begin = 0
    while begin < len(lines):
        rest = (f"{lines[place]}\n" for place in range(begin, len(lines)))
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


def _of_text(path: Path, labels: Path | None) -> Iterator[FileLine]:
    """Yield a sequence per line of plain text, and its label in the same line of another file."""
    sequences = _lines(path)
    if labels is None:
        yield from map(FileLine, range(1, len(sequences) + 1), sequences)
        return
    names = _lines(labels)
    if len(names) != len(sequences):
        raise DataError(
            f"every sequence needs a label, but {path} has {count_of(len(sequences), 'line')} "
            f"and {labels} has {len(names):,}"
        )
    yield from map(FileLine, range(1, len(sequences) + 1), sequences, names)


def _of_tabbed(path: Path) -> Iterator[FileLine]:
    """Yield lines of a sequence, a tab and its label, without column names."""
    for number, line in enumerate(_lines(path), 1):
        text, tab, label = line.rpartition("\t")
        yield FileLine(number, text, label) if tab else FileLine(number, fault="no tab followed by a label")


def _of_json(path: Path, columns: Columns) -> Iterator[FileLine]:
    """Yield JSON objects, one per line; skip empty lines."""
    lines = _lines(path)
    read = msgspec.json.Decoder(_record_type(columns)).decode
    are_columns_known = False
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        record = _read(number, line, read)
        if record.fault and not are_columns_known:
            # If no line has one of the columns, the message lists the columns found.
            keys: dict[str, Any] = {}
            for other in lines:
                with suppress(msgspec.MsgspecError, RecursionError):
                    keys |= msgspec.json.decode(other, type=dict[str, msgspec.Raw])
            if keys:
                check_columns(path, list(keys), columns)
            are_columns_known = True
        yield record


def _of_parquet(path: Path, columns: Columns) -> Iterator[FileLine]:
    """Yield the rows of a Parquet file, counted from 1."""
    import polars as pl

    content = read_bytes(path)
    if not (content.startswith(PARQUET_MARK) and content.endswith(PARQUET_MARK)):
        raise DataError(f"{path} is not a Parquet file, or it is cut short")
    try:
        check_columns(path, list(pl.read_parquet_schema(io.BytesIO(content))), columns)
        frame = pl.read_parquet(io.BytesIO(content), columns=columns.names)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise DataError(f"{path} is a damaged Parquet file: {error}") from None
    read = partial(msgspec.convert, type=_record_type(columns))
    for number, row in enumerate(frame.iter_rows(named=True), 1):
        yield _read(number, row, read)


def _record_type(columns: Columns) -> Any:
    """Return the msgspec type of a line or a row, with fields for the sequence and the label."""
    integer = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
    sequence: Any = str | list[str | bool | integer | float | list[float]]
    label: Any = str | bool | int
    if columns.listed:
        label = str | bool | integer | float | list[str | bool | integer | float | list[float]]
    fields = [("sequence", sequence), ("label", label)][: len(columns.names)]
    return msgspec.defstruct("Record", fields, rename={"sequence": columns.text, "label": columns.label or ""})


def _read(number: int, given: Any, read: Callable[[Any], Any]) -> FileLine:
    try:
        found = read(given)
    except (msgspec.MsgspecError, RecursionError) as error:
        return FileLine(number, fault=str(error))
    return FileLine(number, found.sequence, getattr(found, "label", None))


def check_columns(path: Path, there: Sequence[str], columns: Columns, delimiter: str | None = None) -> None:
    """Refuse a file that lacks a column or has two of the same name; say which columns it has."""
    for name in columns.names:
        if there.count(name) > 1:
            raise DataError(f"{path} has more than one column {name!r}")
        if name not in there:
            listed = [repr(column if len(column) <= 40 else f"{column[:37]}...") for column in there[:MOST_COLUMNS]]
            shown = ", ".join([*listed, "..."] if len(there) > MOST_COLUMNS else listed)
            what = "text" if name == columns.text else "label"
            advice = other_delimiter(there, delimiter, columns.names)
            advice = advice or f"say which is the {what} column ({what}_column)"
            raise DataError(f"{path} has no column {name!r}; its columns are {shown or 'none'}: {advice}")


def other_delimiter(there: Sequence[str], delimiter: str | None, wanted: Collection[str] = ()) -> str:
    """Return advice if the names of columns seem to be separated by another delimiter, or ""."""
    for other in OTHER_DELIMITERS if delimiter is not None else ():
        names = [name.strip().strip('"') for name in str(delimiter).join(there).split(other)]
        if other != delimiter and len(names) > len(there) and (len(there) == 1 or set(wanted) <= set(names)):
            return f"they seem to be separated by {other!r}, so give delimiter={other!r}"
    return ""


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
