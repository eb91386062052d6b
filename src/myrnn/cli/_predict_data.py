"""What ``myrnn predict`` does with a classifier that was trained on data."""

from __future__ import annotations

import csv
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from myrnn.cli import _show
from myrnn.cli._data_run import DataRun, load_data_run
from myrnn.cli._places import check_file
from myrnn.data import read_sequences
from myrnn.encoding import Vocabulary
from myrnn.errors import InvalidArgument
from myrnn.storage import place_file

# Rows that are written at a time.
PORTION = 10_000


def predict_file(run: Path, data: Path, out: Path | None, skip_bad_lines: bool) -> None:
    """Write the classes of the sequences in a file, and their probabilities, as CSV.

    The columns are ``line`` (of the file), ``label``, ``probability`` (of that label), and one for every class.
    """
    check_file("--out", out)
    loaded = load_data_run(run)
    kind = "tokens" if _reads_symbols(loaded) else "features"
    given = read_sequences(
        data,
        characters=loaded.characters,
        kind=kind,  # type: ignore[arg-type]  # one of the two
        labelled=False,
        skip_bad_lines=skip_bad_lines,
    )
    probabilities = loaded.classifier.predict_proba(given.sequences)
    classes = [str(name) for name in loaded.classifier.classes_]
    if out is None:
        _write(sys.stdout, given.lines, classes, probabilities)
    else:

        def write(path: Path) -> None:
            with open(path, "w", newline="", encoding="utf-8") as file:
                _write(file, given.lines, classes, probabilities)

        place_file(out, write)
        _show.path("written", out)
    if given.skipped:
        lines = "1 malformed line" if given.skipped == 1 else f"{given.skipped:,} malformed lines"
        warnings.warn(f"{lines} of {data} {'was' if given.skipped == 1 else 'were'} skipped", stacklevel=2)


def predict_texts(run: Path, texts: list[str]) -> None:
    """Show the class of sequences that were written on the command line, and its probability."""
    loaded = load_data_run(run)
    if not _reads_symbols(loaded):
        raise InvalidArgument(f"{run} reads features, which cannot be written here: give a file with --data")
    sequences = texts if loaded.characters else [text.split() for text in texts]
    probabilities = loaded.classifier.predict_proba(sequences)
    classes = loaded.classifier.classes_
    rows = [
        (text, str(classes[row.argmax()]), f"{row.max():.4f}") for text, row in zip(texts, probabilities, strict=True)
    ]
    _show.predictions(rows)


def _reads_symbols(run: DataRun) -> bool:
    return isinstance(run.classifier.encoder_.inner, Vocabulary)


def _write(file: TextIO, lines: NDArray[np.int64], classes: list[str], probabilities: NDArray[np.float64]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["line", "label", "probability", *(f"p({name})" for name in classes)])
    for part in _portions(len(lines)):
        shares = probabilities[part]
        best = shares.argmax(axis=1)
        for line, place, row in zip(lines[part].tolist(), best.tolist(), shares.tolist(), strict=True):
            writer.writerow([line, classes[place], *(f"{share:.6g}" for share in (row[place], *row))])


def _portions(count: int) -> Iterator[slice]:
    return (slice(begin, begin + PORTION) for begin in range(0, count, PORTION))
