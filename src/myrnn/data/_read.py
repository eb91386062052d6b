"""Reading a file of sequences, whatever its kind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._keywords import keywords
from myrnn._user_code import warn
from myrnn.data._columns import NUMBERS, SYMBOLS, TEXT, sequence_kind
from myrnn.data._delimited import read_delimited
from myrnn.data._json_lines import read_json_lines
from myrnn.data._labelled import LabelledSequences, vectors
from myrnn.data._lines import COMPRESSED, without_gz
from myrnn.data._parquet import read_parquet
from myrnn.data._symbols import encode
from myrnn.data._table import Columns, Table
from myrnn.data._text_pair import read_text_pair
from myrnn.data._tokenize import CHARACTERS, TOKENIZE, WHITE, read_as
from myrnn.errors import DataError, InvalidArgument

if TYPE_CHECKING:
    import polars as pl

Kind = Literal["tokens", "features"]

DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
JSON_LINES = (".jsonl", ".ndjson")
PARQUET = (".parquet", ".pq")
WITH_LABELS = (*DELIMITERS, *JSON_LINES, *PARQUET)
PLAIN = ".txt"


@keywords
def read_sequences(
    path: str | os.PathLike[str],
    labels: str | os.PathLike[str] | None = None,
    *,
    tokenize: str = "auto",
    text_column: str = "sequence",
    label_column: str = "label",
    delimiter: str | None = None,
    kind: Kind | None = None,
    labelled: bool = True,
    skip_bad_lines: bool = False,
    characters: bool | None = None,
) -> LabelledSequences:
    r"""Read labelled sequences from a file.

    Parameters
    ----------
    path : path
        A file whose name ends in ``.csv``, ``.tsv`` (or ``.tab``), ``.jsonl`` (or ``.ndjson``) or ``.parquet`` (or
        ``.pq``), with columns of sequences and of labels; others are left alone. In the last two a sequence is text, or
        a list of symbols, of numbers or of vectors. Or, with `labels`, a file of plain text, a sequence a line.
        Any of them may be compressed, with ``.gz`` at the end of its name.
    labels : path, optional
        A file of plain text, a label a line.
    tokenize : {"auto", "words", "characters"}
        What the symbols of text are: its words, which white space parts, or its characters. ``"auto"`` are words where
        a text has white space between two of them, else characters; the `tokenize` of the result says which.
    text_column, label_column : str
        The names of the columns; of the keys, in JSON Lines.
    delimiter : str, optional
        The character between the fields of ``.csv`` and ``.tsv``; by default a comma and a tab.
    kind : {"tokens", "features"}, optional
        What the sequences must be. Without it, lists of integers are of symbols, and lists of other numbers are of
        one feature a step.
    labelled : bool
        Whether there must be labels; without, a column of labels is left alone, and plain text needs no file of them.
    skip_bad_lines : bool
        Whether malformed lines are counted and passed over, instead of refused.
    characters : bool, optional
        The former name of `tokenize`: True for ``"characters"``, False for ``"words"``.

    Returns
    -------
    LabelledSequences

    Raises
    ------
    DataError
        When a file cannot be read, has not the columns, or a line is malformed; the message says which.
    InvalidArgument
        When the arguments do not go together.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "few.csv")
    ...     _ = path.write_text("sequence,label\na b b,yes\n,no\n")
    ...     data = read_sequences(path)
    >>> data
    LabelledSequences(2 of 2 words, lengths 0 to 3, 2 classes)
    >>> data.sequences[0], data.labels.tolist()
    (['a', 'b', 'b'], ['yes', 'no'])
    """
    if kind is not None:
        _checks.one_of("kind", kind, ("tokens", "features"))
    source, labels_source = _path("path", path), None if labels is None else _path("labels", labels)
    _checks.one_of("tokenize", tokenize, TOKENIZE)
    if characters is not None:
        tokenize = _renamed(characters)
    columns = Columns(_name("text_column", text_column), _name("label_column", label_column) if labelled else None)
    table = _table(source, labels_source, columns, _delimiter(source, delimiter), skip_bad_lines)
    sequences = _as_kind(source, table, kind)
    is_text = sequence_kind(sequences.dtype) == TEXT
    if tokenize == CHARACTERS and not is_text:
        raise DataError(f"{source} holds lists: characters can be told apart in text only")
    told = None if table.labels is None else table.labels.to_numpy().astype(np.str_)
    how = read_as(tokenize, _spaced(sequences), len(sequences), str(source)) if is_text else None
    found = encode(sequences, how) if _is_tokens(sequences) else _features(sequences)
    return LabelledSequences(found, told, table.lines, table.skipped, source)


def _path(name: str, given: str | os.PathLike[str]) -> Path:
    try:
        return Path(given)
    except TypeError:
        raise InvalidArgument(f"{name} must be the name of a file, not {_checks.shown(given)}") from None


def _renamed(characters: bool) -> str:
    tokenize = "characters" if characters else "words"
    warn(f"characters={characters} is now tokenize={tokenize!r}", DeprecationWarning)
    return tokenize


def _name(argument: str, given: str) -> str:
    if not isinstance(given, str) or not given.strip():
        raise InvalidArgument(f"{argument} must be the name of a column, not {_checks.shown(given)}")
    return given.strip()


def _delimiter(path: Path, given: str | None) -> str | None:
    """Return the character between the fields of a file; None where it has none."""
    usual = DELIMITERS.get(without_gz(path).suffix.lower())
    if given is None:
        return usual
    if not isinstance(given, str) or len(given) != 1 or given in '"\r\n\0':
        raise InvalidArgument(
            f"delimiter must be one character, such as ';', and no quote or line end, not {_checks.shown(given)}"
        )
    if usual is None:
        raise InvalidArgument(f"delimiter is for {' and '.join(DELIMITERS)} files, not for {path}")
    return given


def _spaced(texts: pl.Series) -> int:
    """Return how many texts have white space between two words."""
    return int(texts.str.strip_chars().str.contains(rf"[^\s\x1c-\x1f]{WHITE}+[^\s\x1c-\x1f]").sum())


def _table(path: Path, labels: Path | None, columns: Columns, delimiter: str | None, skip: bool) -> Table:
    ending = without_gz(path).suffix.lower()
    if labels is not None:
        if ending in WITH_LABELS:
            raise InvalidArgument(f"a {ending} file has a column of labels: labels go with plain text, not with {path}")
        return read_text_pair(path, labels, skip)
    if delimiter is not None:
        return read_delimited(path, delimiter, ending == ".csv", columns, skip)
    if ending in JSON_LINES:
        return read_json_lines(path, columns, skip)
    if ending in PARQUET:
        return read_parquet(path, columns, skip)
    if ending == PLAIN and columns.label is None:
        return read_text_pair(path, None, skip)
    if ending == PLAIN:
        raise InvalidArgument(f"{path} is plain text: its labels must stand in a file of their own, one a line")
    endings = f"{', '.join(WITH_LABELS)} or {PLAIN}, and may have {COMPRESSED} behind that"
    raise InvalidArgument(f"path must end in {endings}, not {path.name!r}")


def _as_kind(path: Path, table: Table, kind: Kind | None) -> pl.Series:
    """Return the sequences as those of the kind that is wanted."""
    import polars as pl

    column = table.sequences
    if kind == "tokens" and not _is_tokens(column):
        raise DataError(f"{path} holds {sequence_kind(column.dtype)}, but symbols are wanted")
    if kind != "features" or not _is_tokens(column):
        return column
    # Whole numbers, which may be symbols or features.
    numbers = column.cast(pl.List(pl.Float64), strict=False) if sequence_kind(column.dtype) == SYMBOLS else None
    if numbers is None or bool(numbers.list.eval(pl.element().is_null()).list.any().any()):
        raise DataError(f"{path} holds {sequence_kind(column.dtype)}, but features (numbers or vectors) are wanted")
    return numbers


def _is_tokens(column: pl.Series) -> bool:
    return sequence_kind(column.dtype) in (TEXT, SYMBOLS)


def _features(column: pl.Series) -> list[NDArray[np.float64]]:
    """Return lists of numbers as (T, 1), lists of vectors as (T, C)."""
    lengths = column.list.len().to_numpy()
    flat = column.filter(column.list.len() > 0).explode()
    if sequence_kind(column.dtype) == NUMBERS:
        return vectors(flat.to_numpy()[:, np.newaxis], lengths)
    width = len(flat[0]) if len(flat) else 1
    return vectors(flat.explode().to_numpy().reshape(-1, width), lengths)
