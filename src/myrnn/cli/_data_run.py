"""Run folders of classifiers that were trained on data: written whole, and read with care.

A folder holds the classifier, in a folder of its own as `SequenceClassifier.save` writes it, ``report.json``,
``history.csv``, pictures, and last ``data.json``, which says how its files were read.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from myrnn import plots
from myrnn.errors import InvalidArgument, RunError
from myrnn.estimator import SequenceClassifier
from myrnn.evaluation import ClassificationReport
from myrnn.runs import CLASSIFIER_FOLDER, DATA_RUN
from myrnn.storage import json_to_bytes

HISTORY, REPORT = "history.csv", "report.json"
FORMATS = ("svg", "png")


@dataclass(frozen=True, eq=False)
class DataRun:
    """A classifier, and how the files that it was trained on were read.

    Attributes
    ----------
    classifier : SequenceClassifier
    text_column : str
        The column of the sequences in the file that it was trained on.
    """

    classifier: SequenceClassifier
    text_column: str


def save_data_run(
    folder: Path,
    classifier: SequenceClassifier,
    numbers: Mapping[str, Any],
    *,
    text_column: str,
    job: Mapping[str, Any],
) -> None:
    """Write a run into a folder: the classifier and the numbers of its training, with the job that it was.

    Raises
    ------
    RunError
        When it cannot be written.
    """
    files: dict[str, Any] = {
        CLASSIFIER_FOLDER: classifier.save,
        HISTORY: _history_csv(classifier.history_),
        REPORT: json_to_bytes(numbers),
    }
    # A run that goes on has a classifier already: without its index it is none.
    (folder / DATA_RUN.index).unlink(missing_ok=True)
    shutil.rmtree(folder / CLASSIFIER_FOLDER, ignore_errors=True)
    created = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    DATA_RUN.write(folder, {"created": created, "text_column": text_column, **job}, files)


def add_results(
    folder: Path, classifier: SequenceClassifier, numbers: Mapping[str, Any], report: ClassificationReport | None
) -> None:
    """Add to a run that was saved its pictures and, where it was tested, the test; `numbers` are all there are.

    Raises
    ------
    RunError
        When they cannot be written; the run is then as it was.
    """
    # Where nothing was kept to watch it on, the last weights are those that count.
    kept = classifier.best_epoch_ if "validation_loss" in classifier.history_ else None
    training = partial(plots.plot_epochs, classifier.history_, best_epoch=kept)
    figures: dict[str, Callable[[], Any]] = {"training": training}
    files: dict[str, Any] = {REPORT: json_to_bytes(numbers)}
    if report is not None:
        files["classes.csv"] = report.to_csv
        figures |= {
            "confusion": report.plot_confusion,
            "accuracy_by_length": report.plot_lengths,
            "calibration": report.plot_calibration,
        }
    for name, draw in figures.items():
        figure = draw()
        for ending in FORMATS:
            files[f"{name}.{ending}"] = partial(plots.save_figure, figure)
    index = DATA_RUN.read_index(folder)
    DATA_RUN.write(folder, {name: index[name] for name in ("created", "text_column", "data", "data_files")}, files)


def load_data_run(folder: Path) -> DataRun:
    """Read a run back.

    Raises
    ------
    RunError
        When it is missing, half-written, damaged or of another version; the message says what is wrong.
    """
    # Runs of the first version were all of that column.
    column = DATA_RUN.read_index(folder).get("text_column", "sequence")
    if not isinstance(column, str) or not column:
        raise RunError(f"{folder}: {DATA_RUN.index} must name the 'text_column' of its data")
    try:
        return DataRun(SequenceClassifier.load(folder / CLASSIFIER_FOLDER), column)
    except InvalidArgument as error:
        raise RunError(f"{folder} was not written by this command: {error}") from error


def _history_csv(history: Mapping[str, Any]) -> bytes:
    rows = zip(*(column.tolist() for column in history.values()), strict=True)
    lines = [",".join(history), *(",".join(map(repr, row)) for row in rows)]
    return "".join(f"{line}\n" for line in lines).encode("utf-8")
