"""The sequences and labels of one file: CSV and TSV, JSON Lines, Parquet, and plain text.

Polars reads lines and Parquet, Python's `csv` fields in quotes, and msgspec JSON. Each reader notes what is wrong with
which line; `_kept` refuses the file and names the first such line, or leaves these lines out.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, compress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from myrnn.data.symbols import Numbers, TokenSequences, listed, offsets_of
from myrnn.errors import DataError

if TYPE_CHECKING:
    import polars as pl

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
COMPRESSED = ".gz"
PARQUET_MARK = b"PAR1"
# Names of columns that a message lists.
MOST_COLUMNS = 12
# What a sequence may be, in JSON Lines and Parquet.
TEXT, SYMBOLS, NUMBERS, VECTORS = "text", "a list of symbols", "a list of numbers", "a list of vectors"
# Lists of JSON that may be of several kinds.
INTEGERS, EMPTY = "a list of integers", "an empty list"


@dataclass(frozen=True)
class Columns:
    """The names of the columns to read; `label` is None where labels are not read."""

    text: str = "sequence"
    label: str | None = "label"

    @property
    def names(self) -> list[str]:
        """The names of the columns that must be there."""
        return [self.text] if self.label is None else [self.text, self.label]


@dataclass(frozen=True, eq=False)
class Table:
    """The sequences and labels of a file, without its malformed lines.

    Attributes
    ----------
    sequences : polars Series of str (N,), TokenSequences or Numbers
        Text, lists of symbols, or features.
    labels : polars Series of str (N,) or None
    lines : ndarray, int64 (N,)
        Where each stands in the file, from 1; rows, where a file has no lines.
    skipped : int
        How many malformed lines there were.
    """

    sequences: pl.Series | TokenSequences | Numbers
    labels: pl.Series | None
    lines: NDArray[np.int64]
    skipped: int = 0


def without_gz(path: Path) -> Path:
    """Return the name that a file has once it is decompressed: that of ``train.csv.gz`` is ``train.csv``."""
    return path.with_suffix("") if path.suffix.lower() == COMPRESSED else path


def read_delimited(path: Path, delimiter: str, quotes: bool, columns: Columns, skip: bool) -> Table:
    """Read a file of fields with a line of column names.

    Parameters
    ----------
    path : Path
    delimiter : str
        The character between two fields.
    quotes : bool
        Whether a field may stand in quotes; else they are characters like others.
    columns : Columns
    skip : bool
        Whether malformed lines are counted and skipped.
    """
    # Polars' reader of CSV would fill lines that are too short with nulls, and does not count lines.
    lines = _lines(path)
    quoted = quotes and bool(lines.str.contains('"', literal=True).any())
    records = _quoted((lines + "\n").to_list(), delimiter) if quoted else _split(lines, delimiter)
    if 1 in records.faults:
        raise DataError(f"{path}, line 1: {records.faults[1]}")
    names = [name.strip() for name in records.names]
    if not any(names):
        raise DataError(f"{path}, line 1: no names of columns: the first line must name them")
    _check_columns(path, names, columns)
    counts, there = records.counts, np.arange(len(records.counts)) > 0
    if len(names) > 1:
        there &= counts != 0
    else:
        # An empty line is an empty field.
        counts = np.where(counts == 0, 1, counts)
    counts, numbers = counts[there], records.numbers[there]
    faults = {}
    for place in np.flatnonzero(counts != len(names)).tolist():
        fields = "1 field" if counts[place] == 1 else f"{counts[place]} fields"
        wrong = f"{fields} where the first line names {len(names)} ({', '.join(names)})"
        faults[place] = records.faults.get(int(numbers[place]), wrong)
    sequences = records.field(names.index(columns.text)).filter(there)
    labels = None if columns.label is None else records.field(names.index(columns.label)).filter(there)
    good, labels, skipped = _kept(path, numbers, labels, faults, skip)
    return Table(sequences.filter(good), labels, numbers[good], skipped)


@dataclass(frozen=True)
class _Records:
    """The records of a delimited file, with the names of the columns as the first."""

    names: list[str]
    numbers: NDArray[np.int64]  # the line in which each begins
    counts: NDArray[np.int64]  # how many fields each has: 0 in an empty line, -1 where quotes are not in order
    field: Callable[[int], pl.Series]  # the field of every record at a place, empty where it has none
    faults: dict[int, str]  # what is wrong with quotes, by line


def _split(lines: pl.Series, delimiter: str) -> _Records:
    fields = lines.str.split(delimiter)
    counts = fields.list.len().to_numpy().astype(np.int64) * (lines != "").to_numpy()

    def field(place: int) -> pl.Series:
        return fields.list.get(place, null_on_oob=True).fill_null("")

    return _Records(fields[0].to_list(), np.arange(1, len(lines) + 1), counts, field, {})


def _quoted(lines: list[str], delimiter: str) -> _Records:
    """Read CSV in which a field may stand in quotes (RFC 4180), and then hold delimiters, line ends and quotes."""
    import polars as pl

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
                    rows.append(row)
                    numbers.append(begin + done + 1)
                    done = reader.line_num
            except csv.Error as error:
                # The lines after a malformed one are read on their own.
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
    """Read plain text, a sequence a line, and a file of labels, one a line."""
    sequences = _lines(path)
    numbers = np.arange(1, len(sequences) + 1)
    if labels is None:
        return Table(sequences, None, numbers)
    names = _lines(labels)
    if len(names) != len(sequences):
        raise DataError(
            f"there must be a label for every sequence, but {path} has {len(sequences):,} lines "
            f"and {labels} has {len(names):,}"
        )
    good, kept, skipped = _kept(labels, numbers, names, {}, skip)
    return Table(sequences.filter(good), kept, numbers[good], skipped)


def read_json_lines(path: Path, columns: Columns, skip: bool) -> Table:
    """Read an object a line; empty lines are skipped. msgspec says what is wrong with a malformed line."""
    import polars as pl

    lines = [(number, line) for number, line in enumerate(_text(path).split(b"\n"), 1) if line.strip()]
    decode = _json_decoder(columns)
    sequences: list[Any] = []
    labels: list[str] = []
    faults: dict[int, str] = {}
    known, first = "", 0  # the kind of the sequences so far, and the line that shows it
    for place, (number, line) in enumerate(lines):
        try:
            sequence, label = decode(line)
            kind = _kind_of_json(sequence)
            if not known or (kind != known and _may_be(known, kind)):
                known, first = kind, number
            elif kind != known and not _may_be(kind, known):
                raise DataError(f"the sequence is {kind}, but that of line {first} is {known}")
        except (msgspec.MsgspecError, DataError, RecursionError) as error:
            faults[place] = str(error)
            sequence, label = "", ""
        sequences.append(sequence)
        labels.append(label)
    if len(faults) == len(lines) > 0:
        _check_keys(path, lines[0][1], columns)
    numbers = np.array([number for number, _ in lines], dtype=np.int64)
    names = None if columns.label is None else pl.Series(labels, dtype=pl.String)
    good, kept, skipped = _kept(path, numbers, names, faults, skip)
    return Table(_of_kind(list(compress(sequences, good)), known), kept, numbers[good], skipped)


def _json_decoder(columns: Columns) -> Callable[[bytes], tuple[Any, str]]:
    """Return what reads the sequence and the label of a line."""
    integer = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
    fields: list[tuple[str, Any]] = [("sequence", str | list[str | bool | integer | float | list[float]])]
    names = {"sequence": columns.text}
    if columns.label is not None:
        fields.append(("label", str | bool | int))
        names["label"] = columns.label
    decoder: Any = msgspec.json.Decoder(msgspec.defstruct("Line", fields, rename=names))

    def decode(line: bytes) -> tuple[Any, str]:
        found = decoder.decode(line)
        return found.sequence, "" if columns.label is None else _as_text(found.label)

    return decode


def _check_keys(path: Path, line: bytes, columns: Columns) -> None:
    """Refuse a file without the columns that are wanted, if its first line is an object."""
    try:
        there = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError):
        return
    _check_columns(path, list(there), columns)


def _kind_of_json(sequence: Any) -> str:
    if isinstance(sequence, str):
        return TEXT
    kinds = set(map(type, sequence))
    if not kinds:
        return EMPTY
    if kinds == {list}:
        widths = sorted(set(map(len, sequence)))
        if len(widths) > 1 or not widths[0]:
            raise DataError(f"vectors of {' and of '.join(map(str, widths))} numbers in one sequence")
        return f"{VECTORS} of {widths[0]} numbers"
    if list in kinds:
        raise DataError("the sequence must hold symbols, numbers or vectors, and not several of them")
    if kinds <= {int, float}:
        return INTEGERS if kinds == {int} else NUMBERS
    return SYMBOLS


def _may_be(kind: str, other: str) -> bool:
    """Whether a sequence that looks like one kind may be of the other."""
    return other != TEXT if kind == EMPTY else kind == INTEGERS and other in (SYMBOLS, NUMBERS)


def _as_text(value: Any) -> str:
    """Return a label or a symbol of JSON as text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _of_kind(sequences: list[Any], kind: str) -> pl.Series | TokenSequences | Numbers:
    """Return text, or what JSON has as lists."""
    import polars as pl

    if kind == TEXT:
        return pl.Series(sequences, dtype=pl.String)
    offsets, flat = offsets_of(list(map(len, sequences))), list(chain.from_iterable(sequences))
    if kind in (EMPTY, INTEGERS, SYMBOLS):
        return listed(list(map(_as_text, flat)), offsets)
    rows = np.array(flat, dtype=np.float64)
    return Numbers(rows if rows.ndim == 2 else rows[:, np.newaxis], offsets)


def read_parquet(path: Path, columns: Columns, skip: bool) -> Table:
    """Read the columns of a Parquet file; what its messages count are rows."""
    import polars as pl

    content = _bytes(path)
    if not (content.startswith(PARQUET_MARK) and content.endswith(PARQUET_MARK)):
        raise DataError(f"{path} is not a Parquet file, or it is cut short")
    try:
        there = list(pl.read_parquet_schema(io.BytesIO(content)))
        _check_columns(path, there, columns)
        frame = pl.read_parquet(io.BytesIO(content), columns=columns.names)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise DataError(f"{path} is a damaged Parquet file: {error}") from None
    kind = _kind_of_column(frame[columns.text].dtype)
    if kind is None:
        raise DataError(
            f"{path}: the column {columns.text!r} is of type {frame[columns.text].dtype}; it must hold text, or lists "
            "of symbols, of numbers or of vectors"
        )
    labels = None
    if columns.label is not None:
        labels = frame[columns.label]
        if not (_is_text(labels.dtype) or labels.dtype.is_integer() or labels.dtype == pl.Boolean):
            raise DataError(
                f"{path}: the column {columns.label!r} is of type {labels.dtype}; it must hold text, integers or "
                "booleans"
            )
        labels = labels.cast(pl.String).fill_null("")
    plain = {SYMBOLS: pl.List(pl.String), NUMBERS: pl.List(pl.Float64), VECTORS: pl.List(pl.List(pl.Float64))}
    sequences = frame[columns.text].cast(plain.get(kind, pl.String))
    faults = dict.fromkeys(sequences.is_null().arg_true().to_list(), "no sequence") | _step_faults(sequences, kind)
    rows = np.arange(1, frame.height + 1)
    good, kept, skipped = _kept(path, rows, labels, faults, skip, unit="row")
    return Table(_of_column(sequences.filter(good), kind), kept, rows[good], skipped)


def _kind_of_column(dtype: Any) -> str | None:
    """Return what sequences of this type are; None where they can be none."""
    import polars as pl

    if _is_text(dtype):
        return TEXT
    if not isinstance(dtype, pl.List | pl.Array):
        return None
    inner: Any = dtype.inner
    if _is_text(inner) or inner.is_integer() or inner in (pl.Boolean, pl.Null):
        return SYMBOLS
    if inner.is_float():
        return NUMBERS
    vectors = isinstance(inner, pl.List | pl.Array) and (inner.inner.is_numeric() or inner.inner == pl.Null)
    return VECTORS if vectors and not inner.inner.is_decimal() else None


def _is_text(dtype: Any) -> bool:
    import polars as pl

    return dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum)


def _steps(sequences: pl.Series) -> tuple[pl.Series, NDArray[np.int64]]:
    """Return the items of all lists, and how many each list has."""
    lengths = sequences.list.len().fill_null(0)
    # Of an empty list Polars would make an item.
    return sequences.filter(lengths > 0).explode(), lengths.to_numpy().astype(np.int64)


def _step_faults(sequences: pl.Series, kind: str) -> dict[int, str]:
    """Return what is wrong with the items of lists, by the place of the list."""
    import polars as pl

    if kind == TEXT:
        return {}
    steps, lengths = _steps(sequences)
    step = pl.col("step")
    fault: Any = pl.when(step.is_null()).then(pl.lit("null in the sequence"))
    if kind == NUMBERS:
        fault = fault.when(~step.is_finite()).then(pl.lit("a number that is not finite"))
    if kind == VECTORS:
        width = steps.list.len().drop_nulls().head(1).sum()
        odd = step.list.eval(pl.element().is_null() | ~pl.element().is_finite()).list.any()
        count = step.list.len()
        fault = fault.when(odd).then(pl.lit("a number that is null or not finite"))
        fault = fault.when(count == 0).then(pl.lit("a vector of no numbers"))
        wrong = pl.format("a vector of {} numbers, but the first vector of the file has {}", count, width)
        fault = fault.when(count != width).then(wrong)
    frame = pl.DataFrame({"row": np.repeat(np.arange(len(lengths)), lengths), "step": steps})
    found = frame.select("row", fault=fault.otherwise(None).cast(pl.String)).drop_nulls()
    # The first fault of a row stands last, and so is the one that is kept.
    return dict(found.reverse().iter_rows())


def _of_column(sequences: pl.Series, kind: str) -> pl.Series | TokenSequences | Numbers:
    if kind == TEXT:
        return sequences
    steps, lengths = _steps(sequences)
    if kind == SYMBOLS:
        return listed(steps.to_list(), offsets_of(lengths))
    if kind == NUMBERS:
        return Numbers(steps.to_numpy()[:, np.newaxis], offsets_of(lengths))
    width = len(steps[0]) if len(steps) else 1
    return Numbers(steps.explode().to_numpy().reshape(-1, width), offsets_of(lengths))


def _kept(
    path: Path,
    numbers: NDArray[np.int64],
    labels: pl.Series | None,
    faults: dict[int, str],
    skip: bool,
    unit: str = "line",
) -> tuple[NDArray[np.bool_], pl.Series | None, int]:
    """Return which of the lines have no fault, bool (N,), their labels, and how many other lines there are.

    Parameters
    ----------
    path : Path
    numbers : ndarray, int64 (N,)
        The numbers of the lines.
    labels : polars Series of str (N,) or None
        A line without a label is malformed, too.
    faults : dict
        What is wrong with lines, by their places in `numbers`.
    skip : bool
        Whether malformed lines may be skipped.
    unit : str
        What is counted.

    Raises
    ------
    DataError
        When a line is malformed and may not be skipped, or no line is left.
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
    """Refuse a file without the columns that are wanted, or with two of a name; say which it has."""
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


def _bytes(path: Path) -> bytes:
    """Return the content, decompressed, of a file that is there and holds something."""
    if path.is_dir():
        raise DataError(f"{path} is a folder, not a file")
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


def _text(path: Path) -> bytes:
    """Return the content of a file of UTF-8 text, as bytes without a byte order mark."""
    content = _bytes(path).removeprefix(BYTE_ORDER_MARK)
    if not content:
        raise DataError(f"{path} is empty")
    # Text in UTF-16 and files that are no text have such bytes.
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
    """Return the lines of a file of UTF-8 text, without their ends; a line may be empty."""
    import polars as pl

    # A file of one column: zero bytes, which are in no text, stand between columns.
    lines = pl.read_csv(_text(path), has_header=False, schema={"line": pl.String}, quote_char=None, separator="\0")
    return lines.to_series().fill_null("")
