"""What ``myrnn predict`` does with a classifier that was trained on data."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.cli import _show
from myrnn.cli._data_run import DataRun, load_data_run
from myrnn.cli._places import check_file
from myrnn.data import Vocabulary, read_sequences
from myrnn.errors import InvalidArgument
from myrnn.storage import place_file

# Rows that are written at a time.
PORTION = 10_000


def predict_file(
    run: Path,
    data: Path,
    out: Path | None,
    not_finite: str | None,
    *,
    text_column: str | None,
    delimiter: str | None,
    skip_bad_lines: bool,
) -> None:
    """Write the classes of the sequences in a file, and their probabilities, as CSV.

    Sequences whose logits are not finite are of the class `not_finite`, without probabilities; without it an error.

    The columns are ``line`` (of the file), ``label``, ``probability`` (of that label), and one for every class.
    """
    check_file("--out", out)
    loaded = load_data_run(run)
    kind = "tokens" if _reads_symbols(loaded) else "features"
    given = read_sequences(
        data,
        tokenize=_tokenize(loaded) if kind == "tokens" else "auto",
        text_column=text_column or loaded.text_column,
        delimiter=delimiter,
        kind=kind,  # type: ignore[arg-type]  # one of the two
        labelled=False,
        skip_bad_lines=skip_bad_lines,
    )
    classes = [str(name) for name in loaded.classifier.classes_]
    check_class(not_finite, classes)
    probabilities = _probabilities(loaded, given.sequences, not_finite)
    if out is None:
        _write(sys.stdout, given.lines, classes, probabilities, not_finite)
    else:

        def write(path: Path) -> None:
            with open(path, "w", newline="", encoding="utf-8") as file:
                _write(file, given.lines, classes, probabilities, not_finite)

        place_file(out, write)
        _show.path("written", out)
    if given.skipped:
        lines = "1 malformed line" if given.skipped == 1 else f"{given.skipped:,} malformed lines"
        warn(f"{lines} of {data} {'was' if given.skipped == 1 else 'were'} skipped")


def predict_texts(run: Path, texts: list[str], not_finite: str | None) -> None:
    """Show the class of sequences that were written on the command line, and its probability."""
    loaded = load_data_run(run)
    if not _reads_symbols(loaded):
        raise InvalidArgument(f"{run} reads features, which cannot be written here: give a file with --data")
    sequences = texts if _tokenize(loaded) == "characters" else [text.split() for text in texts]
    classes = [str(name) for name in loaded.classifier.classes_]
    check_class(not_finite, classes)
    probabilities = _probabilities(loaded, sequences, not_finite)
    _show.predictions([(text, *said(row, classes, not_finite)) for text, row in zip(texts, probabilities, strict=True)])


def check_class(not_finite: str | None, classes: Sequence[str]) -> None:
    """Refuse a class for sequences whose logits are not finite that is none of the classes."""
    if not_finite is not None:
        _checks.one_of("--not-finite", not_finite, tuple(classes))


def said(row: NDArray[np.float64], classes: Sequence[str], not_finite: str | None) -> tuple[str, str]:
    """Return the class of a sequence and its probability as text; a row of NaN is the class `not_finite`."""
    if np.isnan(row).any():
        assert not_finite is not None
        return not_finite, "-"
    return classes[int(row.argmax())], f"{row.max():.4f}"


def _probabilities(run: DataRun, sequences: Any, not_finite: str | None) -> NDArray[np.float64]:
    """Return the probabilities of the classes; a row of NaN where logits are not finite and that is allowed."""
    return run.classifier.predict_proba(sequences, not_finite=None if not_finite is None else np.nan)


def _tokenize(run: DataRun) -> str:
    """Return how text is read for a classifier of symbols: as in its training, and lists of symbols as words."""
    return "characters" if run.classifier.encoder_.kind == "characters" else "words"


def _reads_symbols(run: DataRun) -> bool:
    return isinstance(run.classifier.encoder_.inner, Vocabulary)


def _write(
    file: TextIO,
    lines: NDArray[np.int64],
    classes: list[str],
    probabilities: NDArray[np.float64],
    not_finite: str | None,
) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["line", "label", "probability", *(f"p({name})" for name in classes)])
    for part in _portions(len(lines)):
        shares = probabilities[part]
        best = shares.argmax(axis=1)
        for line, place, row in zip(lines[part].tolist(), best.tolist(), shares.tolist(), strict=True):
            if np.isnan(row[place]):
                writer.writerow([line, not_finite, *[""] * (1 + len(row))])
            else:
                writer.writerow([line, classes[place], *(f"{share:.6g}" for share in (row[place], *row))])


def _portions(count: int) -> Iterator[slice]:
    return (slice(begin, begin + PORTION) for begin in range(0, count, PORTION))
