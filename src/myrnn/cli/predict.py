"""``myrnn predict`` predicts the classes of sequences, the tags of their steps, or their numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.cli import show
from myrnn.cli.options import (
    ON_DATA,
    SEQUENCE,
    DelimiterAsTrained,
    OwnClass,
    RunFolder,
    SkipBadLines,
    argument,
    file_option,
    given,
    load,
    option,
    refuse,
)
from myrnn.data.targets import LABELS, NEXT, TEXT, VALUES
from myrnn.errors import InvalidArgument
from myrnn.flat import ramp
from myrnn.results import Table
from myrnn.runs import Run
from myrnn.sequences import Sequences


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
    delimiter: DelimiterAsTrained = None,
    skip_bad_lines: SkipBadLines = False,
    out: Annotated[
        Path | None, file_option("Write the CSV of --data here.  [default: print it]", of=ON_DATA, metavar="FILE")
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
        inputs, lines = loaded.read_texts(texts), np.arange(1, len(texts) + 1)
        if learn == LABELS:
            return _show(loaded, texts, inputs, not_finite)
    else:
        read = loaded.reader.read_file(
            loaded.experiment.source.settings,
            data,
            labelled=False,
            text_column=text_column,
            delimiter=delimiter,
            skip_bad_lines=skip_bad_lines,
        )
        inputs, lines = loaded.reader.read(read.sequences), read.lines
    show.csv_columns(out, _columns(loaded, inputs, lines, not_finite))
    if data is not None and read.skipped:
        were = "was" if read.skipped == 1 else "were"
        warn(f"{_checks.count_of(read.skipped, 'malformed line')} of {data} {were} skipped")


def _columns(run: Run, sequences: Sequences, lines: NDArray[np.int64], not_finite: str | None) -> dict[str, Any]:
    """Return the predictions: labels with the probabilities of all classes, tags with their own, or numbers."""
    reader = run.reader
    columns: dict[str, Any] = {"line": lines}
    if reader.per_step:
        columns = {"line": np.repeat(lines, sequences.lengths), "step": ramp(sequences.lengths)}
    if reader.learn == VALUES:
        outputs = run.outputs(sequences)
        rows = reader.targets.decode(outputs).reshape(len(outputs), -1)
        names = ["number"] if rows.shape[1] == 1 else [f"number {place}" for place in range(rows.shape[1])]
        return columns | dict(zip(names, rows.T, strict=True))
    shares = run.probabilities(sequences, None if not_finite is None else np.nan)
    best, classes = shares.argmax(axis=1), np.array(run.class_names, dtype=object)
    found = np.where(np.isnan(shares).any(axis=1), not_finite or "", classes[best])
    columns |= {reader.learn.removesuffix("s"): found, "probability": shares[np.arange(len(best)), best]}
    if reader.learn == LABELS:
        columns |= {f"p({name})": part for name, part in zip(classes, shares.T, strict=True)}
    return columns


def _show(run: Run, texts: list[str], sequences: Sequences, not_finite: str | None) -> None:
    """Show the classes of sequences on the command line; for a task also the true ones."""
    if run.reader.per_step:
        raise InvalidArgument(
            f"{run.folder} has an output at every step: myrnn inspect {run.folder} {texts[0]!r} shows them"
        )
    found = _columns(run, sequences, np.arange(len(texts)), not_finite)
    shares = ["-" if np.isnan(share) else f"{share:.4f}" for share in found["probability"]]
    columns, styles = {"sequence": texts, "class": found["label"].tolist(), "probability": shares}, []
    if hasattr(run.reader.recognition, "truth"):
        columns["truth"] = [run.class_names[label] for label in sequences.labels]
        pairs = zip(columns["class"], columns["truth"], strict=True)
        styles = ["yellow" if predicted != truth else None for predicted, truth in pairs]
    show.new_console().print(Table("", columns, styles=styles))
