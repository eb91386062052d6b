"""What ``myrnn predict`` does with a run on data."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.cli import _show
from myrnn.cli._load import load
from myrnn.cli._places import check_file
from myrnn.data import read_sequences
from myrnn.errors import InvalidArgument
from myrnn.runs import Fitted, Run
from myrnn.storage import place_file

# Rows that are written at a time.
PORTION = 10_000


def predict_file(
    run: Path,
    data: Path,
    out: Path | None,
    not_finite: str | None,
    own: str | None,
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
    loaded, fitted = _load(run, own)
    kind = "tokens" if fitted.is_symbols else "features"
    given = read_sequences(
        data,
        tokenize=_tokenize(fitted) if kind == "tokens" else "auto",
        text_column=text_column or loaded.experiment.data.text_column,
        delimiter=delimiter,
        kind=kind,  # type: ignore[arg-type]  # one of the two
        labelled=False,
        skip_bad_lines=skip_bad_lines,
    )
    classes = list(fitted.class_names)
    check_class(not_finite, classes)
    probabilities = fitted.probabilities(given.sequences, None if not_finite is None else np.nan)
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


def predict_texts(run: Path, texts: list[str], own: str | None, not_finite: str | None) -> None:
    """Show the class of sequences that were written on the command line, and its probability."""
    _, fitted = _load(run, own)
    if not fitted.is_symbols:
        raise InvalidArgument(f"{run} reads features, which cannot be written here: give a file with --data")
    sequences = texts if _tokenize(fitted) == "characters" else [text.split() for text in texts]
    classes = list(fitted.class_names)
    check_class(not_finite, classes)
    probabilities = fitted.probabilities(sequences, None if not_finite is None else np.nan)
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


def _load(folder: Path, own: str | None) -> tuple[Run, Fitted]:
    run = load(folder, own)
    assert run.fitted is not None
    return run, run.fitted


def _tokenize(fitted: Fitted) -> str:
    """Return how text is read for a model of symbols: as in its training, and lists of symbols as words."""
    return "characters" if fitted.encoder.kind == "characters" else "words"


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
