"""The files of an experiment: read as it says, without sequences of classes that the training does not know."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.data import LabelledSequences
from myrnn.data.files import DELIMITERS, ending_of
from myrnn.data.read import read_examples
from myrnn.errors import InvalidArgument
from myrnn.experiment import Data


def is_training_file(file: str) -> str:
    """Return the warning about a test on the training file."""
    return f"{file} is the same as the training file: a test on it says nothing about new sequences"


def read_file(
    data: Data,
    file: str | os.PathLike[str],
    labels: str | None = None,
    *,
    tokenize: str,
    kind: Any = None,
    columns: Sequence[str] | None = None,
    labelled: bool = True,
    text_column: str | None = None,
    delimiter: str | None = None,
    skip_bad_lines: bool | None = None,
) -> LabelledSequences:
    """Read a file of sequences, with their targets if it is `labelled`, as the settings of a training say."""
    # Only the file of the training must be one with a delimiter.
    usual = data.delimiter if file == data.file or ending_of(Path(file)) in DELIMITERS else None
    return read_examples(
        file,
        data.learn,
        labels,
        tokenize=tokenize,
        text_column=text_column or data.text_column,
        label_column=data.label_column,
        delimiter=delimiter or usual,
        kind=kind,
        labelled=labelled,
        skip_bad_lines=data.skip_bad_lines if skip_bad_lines is None else skip_bad_lines,
        columns=columns,
    )


def of_known(given: LabelledSequences, classes: Collection[str]) -> LabelledSequences:
    """Return the sequences of classes that the training knows; a warning counts the others."""
    assert given.labels is not None
    labels = given.labels.tolist()
    places = [place for place, label in enumerate(labels) if label in classes]
    if len(places) == len(labels):
        return given
    if not places:
        raise InvalidArgument(f"{given.source} has no sequence of a class that the training knows")
    news = [name for name in given.classes if name not in classes]
    warn(
        f"{given.source}: {len(labels) - len(places):,} of {_checks.count_of(len(labels), 'sequence')} left out, of "
        f"{_checks.count_of(len(news), 'class')} that the training does not know: {_checks.first_of(news)}"
    )
    return given.select(places)
