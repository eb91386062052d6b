"""``myrnn predict`` predicts the classes of sequences, the tags of their steps, or their numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import scipy
import typer
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.cli import show
from myrnn.cli.options import (
    ON_DATA,
    SEQUENCE,
    Delimiter,
    OwnClass,
    RunFolder,
    SkipBadLines,
    argument,
    check_file,
    given,
    load,
    option,
    refuse,
)
from myrnn.data import LabelledSequences, read_sequences
from myrnn.data.targets import LABELS, NEXT, TAGS, TEXT
from myrnn.errors import InvalidArgument
from myrnn.runs import Run
from myrnn.sequences import Sequences, ramp

# Rows that are converted to text at a time.
PORTION = 10_000


def predict(
    context: typer.Context,
    run: RunFolder,
    sequences: Annotated[list[str] | None, argument(SEQUENCE, "SEQUENCE")] = None,
    data: Annotated[
        Path | None, option("A file of sequences; labels are not needed.", of=ON_DATA, metavar="FILE")
    ] = None,
    text_column: Annotated[
        str | None,
        option("The column with the sequences.  [default: as in the training]", of=ON_DATA, metavar="NAME"),
    ] = None,
    delimiter: Delimiter = None,
    skip_bad_lines: SkipBadLines = False,
    out: Annotated[
        Path | None, option("Write the CSV of --data here.  [default: print it]", of=ON_DATA, metavar="FILE")
    ] = None,
    model: OwnClass = None,
    not_finite: Annotated[
        str | None,
        option("The class of sequences whose logits are not finite.  [default: stop with an error]", metavar="CLASS"),
    ] = None,
) -> None:
    """Predict the class of sequences; or classes, tags or numbers for those of a file, as CSV."""
    if data is None:
        refuse(given(context), ("out", "text_column", "delimiter", "skip_bad_lines"), "--data, which is missing")
        if not sequences:
            raise InvalidArgument("give sequences, or a file of them with --data")
    elif sequences:
        raise InvalidArgument("sequences and --data do not go together: give one or the other")
    check_file("--out", out)
    loaded = load(run, model)
    if data is not None and loaded.task is not None:
        raise InvalidArgument(
            f"--data is for runs that were trained on data, and {run} was trained on a task: give sequences"
        )
    learn = loaded.reader.learn
    if learn in NEXT:
        other = "generate" if learn == TEXT else "forecast"
        raise InvalidArgument(f"{run} learned {learn}: myrnn {other} {run} continues one")
    if learn != LABELS:
        refuse(given(context), ("not_finite",), "labels of sequences")
    elif not_finite is not None:
        _checks.one_of("--not-finite", not_finite, loaded.class_names)
    if data is None:
        texts = sequences or []
        return _of_texts(loaded, texts, not_finite) if learn == LABELS else _of_steps(loaded, loaded.read_texts(texts))
    read = _read(loaded, data, text_column=text_column, delimiter=delimiter, skip_bad_lines=skip_bad_lines)
    if learn == LABELS:
        _of_file(loaded, read, out, not_finite)
    else:
        _of_steps(loaded, loaded.reader.read(read.sequences), read.lines, out)
    if read.skipped:
        were = "was" if read.skipped == 1 else "were"
        warn(f"{_checks.count_of(read.skipped, 'malformed line')} of {data} {were} skipped")


def _of_steps(run: Run, sequences: Sequences, lines: NDArray[np.int64] | None = None, out: Path | None = None) -> None:
    """Write predicted tags or numbers as CSV; sequences without line numbers are counted from 1."""
    reader = run.reader
    outputs, lengths = run.outputs(sequences), sequences.lengths
    lines = np.arange(1, len(sequences) + 1) if lines is None else lines
    columns: dict[str, Any] = {"line": lines}
    if reader.per_step:
        columns = {"line": np.repeat(lines, lengths), "step": ramp(lengths)}
    if reader.learn == TAGS:
        shares = scipy.special.softmax(outputs.astype(np.float64), axis=1)
        best = shares.argmax(axis=1)
        columns["tag"] = np.array(reader.class_names)[best]
        columns["probability"] = shares[np.arange(len(best)), best]
    else:
        rows = reader.targets.decode(outputs).reshape(len(outputs), -1)
        names = ["number"] if rows.shape[1] == 1 else [f"number {place}" for place in range(rows.shape[1])]
        columns |= dict(zip(names, rows.T, strict=True))
    show.csv_rows(out, columns, zip(*(column.tolist() for column in columns.values()), strict=True))


def _of_texts(run: Run, texts: Sequence[str], not_finite: str | None) -> None:
    """Show the classes of sequences on the command line; for a task also the true ones."""
    names, sequences = run.class_names, run.read_texts(texts)
    if run.reader.per_step:
        raise InvalidArgument(
            f"{run.folder} has an output at every step: myrnn inspect {run.folder} {texts[0]!r} shows them"
        )
    probabilities = run.probabilities(sequences, None if not_finite is None else np.nan)
    is_known = hasattr(run.reader.recognition, "truth")
    truths = [(names[label],) for label in sequences.labels] if is_known else [()] * len(texts)
    rows: list[tuple[str, ...]] = []
    for text, row, truth in zip(texts, probabilities, truths, strict=True):
        if np.isnan(row).any():
            assert not_finite is not None
            found = not_finite, "-"
        else:
            found = names[int(row.argmax())], f"{row.max():.4f}"
        rows.append((text, *found, *truth))
    show.predictions(rows)


def _read(run: Run, data: Path, text_column: str | None, **options: Any) -> LabelledSequences:
    """Read a file in the way that the training data were read."""
    reader = run.reader
    return read_sequences(
        data,
        tokenize=reader.text_as if reader.is_symbols else "auto",
        text_column=text_column or run.experiment.source.settings.text_column or "sequence",
        kind="tokens" if reader.is_symbols else "features",
        labelled=False,
        **options,
    )


def _of_file(run: Run, read: LabelledSequences, out: Path | None, not_finite: str | None) -> None:
    """Write the classes of the sequences in a file, and their probabilities, as CSV.

    The columns are ``line`` (in the file), ``label``, ``probability`` (of that label), and one for every class.
    """
    names = run.class_names
    sequences = run.reader.read(read.sequences)
    probabilities = run.probabilities(sequences, None if not_finite is None else np.nan)

    def rows() -> Iterator[list[Any]]:
        for begin in range(0, len(probabilities), PORTION):
            part = slice(begin, begin + PORTION)
            best = probabilities[part].argmax(axis=1).tolist()
            for line, place, row in zip(read.lines[part].tolist(), best, probabilities[part].tolist(), strict=True):
                is_lost = np.isnan(row[place])
                yield [line, not_finite, *[""] * (1 + len(row))] if is_lost else [line, names[place], row[place], *row]

    show.csv_rows(out, ["line", "label", "probability", *(f"p({name})" for name in names)], rows())
