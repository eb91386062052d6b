"""Labelled sequences from a file."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._keywords import keywords
from myrnn.data import files
from myrnn.data.series import read_table
from myrnn.data.symbols import CHARACTERS, TOKENIZE, Numbers, RawSequences, TokenSequences, listed, split_text
from myrnn.data.targets import LABELS, LEARN, SERIES, TAGS, TEXT, VALUES
from myrnn.errors import DataError, InvalidArgument
from myrnn.flat import offsets_of

SequenceKind = Literal["tokens", "features"]

# The default columns of targets.
DEFAULT_COLUMNS = {LABELS: "label", TAGS: "tags", VALUES: "target"}


@dataclass(frozen=True, repr=False, eq=False)
class LabelledSequences:
    r"""The sequences and labels of a file, in the form that `SequenceClassifier.fit` takes.

    Attributes
    ----------
    sequences : TokenSequences or Numbers
        Symbols, or features.
    labels : ndarray of str (N,) or None
        None if the file was read without labels. They are always text, so that ``1`` in one file and ``"1"`` in another
        are the same class.
    lines : ndarray, int64 (N,)
        The line number of each sequence, from 1; its row number in a file without lines.
    skipped : int
        The number of malformed lines that were skipped.
    source : Path
        The file.
    targets : list or None
        Targets other than labels: the tags or the numbers of every sequence.
    columns : tuple of str or None
        The column names of a series that is a table.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from myrnn import read_sequences
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "few.csv")
    ...     _ = path.write_text("sequence,label\na b b,yes\nb,no\na,yes\n")
    ...     data = read_sequences(path)
    >>> data.classes, data.symbols, data.lengths
    ({'no': 1, 'yes': 2}, ('a', 'b'), array([3, 1, 1]))
    >>> data.select([0, 2]).labels.tolist()
    ['yes', 'yes']
    """

    sequences: RawSequences
    labels: NDArray[np.str_] | None
    lines: NDArray[np.int64]
    skipped: int
    source: Path
    targets: Any = None
    columns: tuple[str, ...] | None = None

    def __len__(self) -> int:
        """Return the number of sequences, N."""
        return len(self.lines)

    def __repr__(self) -> str:
        """Say how many sequences there are, of what kind, and of how many classes."""
        symbol = {"words": "word", "characters": "character"}.get(self.tokenize or "", "symbol")
        inputs = (len(self.symbols), symbol) if self.is_tokens else (self.dim_input or 0, "feature")
        kind = _checks.count_of(*inputs)
        classes = "" if self.labels is None else f", {_checks.count_of(len(self.classes), 'class')}"
        lengths = f"lengths {self.lengths.min()} to {self.lengths.max()}"
        return f"LabelledSequences({len(self):,} of {kind}, {lengths}{classes})"

    @property
    def is_tokens(self) -> bool:
        """Whether the sequences hold symbols, not features."""
        return isinstance(self.sequences, TokenSequences)

    @property
    def tokenize(self) -> str | None:
        """How text was split into symbols, ``"words"`` or ``"characters"``; None if the file has lists."""
        how = self.sequences.tokenize if isinstance(self.sequences, TokenSequences) else None
        return how if isinstance(how, str) else None

    @property
    def symbols(self) -> tuple[str, ...]:
        """Every distinct symbol of the file; empty for features."""
        return self.sequences.symbols if isinstance(self.sequences, TokenSequences) else ()

    @property
    def dim_input(self) -> int | None:
        """The number of features of every step; None for symbols."""
        return None if isinstance(self.sequences, TokenSequences) else self.sequences.rows.shape[1]

    def select(self, places: list[int]) -> LabelledSequences:
        """Return the sequences at these indices, with their labels."""
        labels = None if self.labels is None else self.labels[places]
        return replace(self, sequences=self.sequences[places], labels=labels, lines=self.lines[places])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """T of every sequence, int64 (N,); read-only."""
        return self.sequences.lengths

    @cached_property
    def classes(self) -> dict[str, int]:
        """The number of sequences of each label; empty without labels."""
        if self.labels is None:
            return {}
        names, counts = np.unique(self.labels, return_counts=True)
        return dict(zip(names.tolist(), counts.tolist(), strict=True))


@keywords
def read_sequences(
    path: str | os.PathLike[str],
    labels: str | os.PathLike[str] | None = None,
    *,
    tokenize: str = "auto",
    text_column: str = files.TEXT_COLUMN,
    label_column: str = "label",
    delimiter: str | None = None,
    kind: SequenceKind | None = None,
    labelled: bool = True,
    skip_bad_lines: bool = False,
) -> LabelledSequences:
    r"""Read labelled sequences from a file.

    Parameters
    ----------
    path : path
        A file ending in ``.csv``, ``.tsv`` (or ``.tab``), ``.jsonl`` (or ``.ndjson``) or ``.parquet`` (or ``.pq``),
        with columns of sequences and of labels; other columns are ignored. In the last two formats a sequence is text,
        or a list of symbols, numbers or vectors. With `labels`, it is a file of plain text with a sequence per line.
        Without `labels`, plain text has a tab and a label after each sequence, as in MLRegTest, or ends in ``.tok`` and
        has its labels in ``labels.txt`` next to it, as in FLaRe. Any of them may be compressed, with ``.gz`` at the end
        of its name.
    labels : path, optional
        A file of plain text with a label per line.
    tokenize : {"auto", "words", "characters"}
        What the symbols of text are: words separated by white space, or characters. ``"auto"`` takes words if at
        least half of the texts have white space between two of them, otherwise characters; the `tokenize` of the result
        says which.
    text_column, label_column : str
        The names of the columns, or of the keys in JSON Lines.
    delimiter : str, optional
        The character between the fields of ``.csv`` and ``.tsv``; by default a comma or a tab.
    kind : {"tokens", "features"}, optional
        The required kind of sequences. By default, lists of integers are symbols, and lists of other numbers have one
        feature per step.
    labelled : bool
        Whether labels are required; otherwise a column of labels is ignored, and plain text needs no file of labels.
    skip_bad_lines : bool
        Whether to count and skip malformed lines instead of raising an error.

    Returns
    -------
    LabelledSequences

    Raises
    ------
    DataError
        When a file cannot be read, lacks the columns, or a line is malformed; the message says which.
    InvalidArgument
        When the arguments contradict each other.

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
    label = _name("label_column", label_column) if labelled else None
    columns = files.Columns(_name("text_column", text_column), label)
    found, names = _read(source, labels_source, columns, tokenize, delimiter, kind, skip_bad_lines)
    return found if names is None else replace(found, labels=np.array(names, dtype=np.str_))


def read_examples(
    path: str | os.PathLike[str],
    learn: str,
    labels: str | os.PathLike[str] | None = None,
    *,
    tokenize: str = "auto",
    text_column: str | None = None,
    label_column: str | None = None,
    delimiter: str | None = None,
    kind: SequenceKind | None = None,
    labelled: bool = True,
    skip_bad_lines: bool = False,
    columns: Sequence[str] | None = None,
) -> LabelledSequences:
    """Read sequences and, if `labelled`, their targets from a file: labels, tags, numbers, text or a series."""
    # Arguments are as for `read_sequences`. Plain text is one text, or for a series the numbers of one step in each
    # line. Tags and numbers of steps are lists or separated by white space; tags of characters may be single
    # characters. `text_column` may name several columns of a series, as `columns` does.
    column = DEFAULT_COLUMNS.get(_checks.one_of("learn", learn, LEARN)) if label_column is None else label_column
    usual: dict[str, Any] = {"tokenize": tokenize, "delimiter": delimiter, "skip_bad_lines": skip_bad_lines}
    usual["text_column"] = text = files.TEXT_COLUMN if text_column is None else text_column
    if learn == LABELS:
        return read_sequences(path, labels, label_column=column or "label", kind=kind, labelled=labelled, **usual)
    source = _path("path", path)
    if labels is not None:
        raise InvalidArgument(f"labels needs learn='labels', not {learn!r}: leave them out")
    if learn == TEXT and files.ending_of(source) == files.PLAIN:
        whole, how = files.read_text(source), CHARACTERS if tokenize == "auto" else tokenize
        return LabelledSequences(split_text([whole], how, str(source)), None, np.array([1]), 0, source)
    if learn == SERIES:
        names = None if columns is None else list(columns)
        if text_column is not None and names is None:
            # In quotes, a name may have a comma.
            names = [name.strip() for name in next(csv.reader([text_column], skipinitialspace=True))]
        if (series := read_table(source, names, _delimiter(source, delimiter))) is not None:
            rows, named = series
            offsets = np.array([0, len(rows)])
            return LabelledSequences(Numbers(rows, offsets), None, np.array([1]), 0, source, columns=named)
    if learn in (TEXT, SERIES):
        kind = "tokens" if learn == TEXT else "features"
    if learn in (TEXT, SERIES) or not labelled:
        return read_sequences(source, labelled=False, kind=kind, **usual)
    both = files.Columns(_name("text_column", text), _name("label_column", column or ""), listed=True)
    found, given = _read(source, None, both, tokenize, delimiter, kind, skip_bad_lines)
    return _with_targets(found, learn, given or [], skip_bad_lines)


def _read(
    source: Path,
    labels: Path | None,
    columns: files.Columns,
    tokenize: str,
    delimiter: str | None,
    kind: SequenceKind | None,
    skip: bool,
) -> tuple[LabelledSequences, list[Any] | None]:
    """Return the sequences of a file, and their labels or other targets as the file has them."""
    _checks.one_of("tokenize", tokenize, TOKENIZE)
    if columns.text == columns.label:
        raise InvalidArgument(f"text_column and label_column must differ, but both are {columns.text!r}")
    content = files.read_file(source, labels, columns, _delimiter(source, delimiter), skip)
    if content.kind == files.TEXT:
        raw: RawSequences = split_text(content.sequences, tokenize, str(source))
    elif tokenize == CHARACTERS:
        raise DataError(f"{source} holds lists: only text can be read as characters")
    else:
        raw = _flat(content.sequences, content.kind)
    found = LabelledSequences(_of_kind(source, raw, kind), None, content.lines, content.skipped, source)
    return found, content.labels


def _flat(sequences: list[Any], kind: str) -> RawSequences:
    """Return lists of symbols, numbers or vectors as flat sequences."""
    offsets = offsets_of(list(map(len, sequences)))
    if kind in (files.EMPTY, files.INTEGERS, files.SYMBOLS):
        return listed(list(map(files.as_text, chain.from_iterable(sequences))), offsets)
    # Among numbers there may be lists of integers, and empty ones.
    width = next(rows.shape[1] for rows in sequences if isinstance(rows, np.ndarray))
    rows = [np.asarray(rows, dtype=np.float64).reshape(-1, width) for rows in sequences]
    return Numbers(np.concatenate(rows), offsets)


def _of_kind(path: Path, sequences: RawSequences, kind: SequenceKind | None) -> RawSequences:
    """Return sequences of the required kind."""
    if isinstance(sequences, Numbers):
        if kind == "tokens":
            raise DataError(f"{path} holds lists of numbers or of vectors, but symbols are expected")
        return sequences
    if kind != "features":
        return sequences
    if sequences.tokenize is not None:
        raise DataError(f"{path} holds text, but features (numbers or vectors) are expected")
    # Integers may be symbols or features.
    try:
        values = np.array(sequences.symbols, dtype=np.float64)
    except ValueError:
        values = np.array([np.nan])
    if not np.isfinite(values).all():
        raise DataError(f"{path} holds lists of symbols, but features (numbers or vectors) are expected")
    return Numbers(values[sequences.codes][:, np.newaxis], sequences.offsets)


def _with_targets(read: LabelledSequences, learn: str, given: list[Any], skip: bool) -> LabelledSequences:
    """Return the sequences with their tags or numbers, which may be written as text; `skip` drops malformed ones."""
    found: list[Any] = []
    good: list[int] = []
    is_characters = read.tokenize == CHARACTERS
    for place, (value, steps) in enumerate(zip(given, read.lengths.tolist(), strict=True)):
        try:
            found.append(_tags(value, steps, is_characters) if learn == TAGS else _values(value, steps))
            good.append(place)
        except DataError as error:
            if not skip:
                raise DataError(f"{read.source}, line {read.lines[place]}: {error}") from None
    if not good:
        raise DataError(f"every line of {read.source} is malformed")
    if learn == VALUES and all(numbers.shape == (1,) for numbers in found):
        found = [float(numbers[0]) for numbers in found]
    skipped = read.skipped + len(given) - len(good)
    return replace(read.select(good), targets=found, skipped=skipped)


def _tags(value: Any, steps: int, is_characters: bool) -> list[str]:
    parts = value.split() if isinstance(value, str) else value
    if isinstance(value, str) and is_characters and len(parts) == 1 < steps:
        parts = list(parts[0])
    if not isinstance(parts, list) or len(parts) != steps:
        have = _checks.count_of(len(parts), "tag") if isinstance(parts, list) else _checks.shown(value)
        raise DataError(f"{_checks.count_of(steps, 'step')}, but {have}")
    return [files.as_text(tag) for tag in parts]


def _values(value: Any, steps: int) -> NDArray[np.float64]:
    parts = value.split() if isinstance(value, str) else value
    try:
        numbers = np.array(parts if isinstance(parts, list) else [parts], dtype=np.float64)
    except (TypeError, ValueError):
        numbers = np.array([np.nan])
    if not np.isfinite(numbers).all() or (not numbers.size and steps):
        raise DataError(f"{_checks.shown(value)} is not a finite number, or several")
    return numbers


def _path(name: str, given: str | os.PathLike[str]) -> Path:
    try:
        return Path(given)
    except TypeError:
        raise InvalidArgument(f"{name} must be the name of a file, not {_checks.shown(given)}") from None


def _name(argument: str, given: str) -> str:
    if not isinstance(given, str) or not given.strip():
        raise InvalidArgument(f"{argument} must be the name of a column, not {_checks.shown(given)}")
    return given.strip()


def _delimiter(path: Path, given: str | None) -> str | None:
    """Return the delimiter of a file; None for formats without one."""
    usual = files.DELIMITERS.get(files.ending_of(path))
    if given is None:
        return usual
    if not isinstance(given, str) or len(given) != 1 or given in '"\r\n\0':
        raise InvalidArgument(
            f"delimiter must be one character, such as ';', and no quote or line end, not {_checks.shown(given)}"
        )
    if usual is None:
        raise InvalidArgument(f"delimiter is for {' and '.join(files.DELIMITERS)} files, not for {path}")
    return given
