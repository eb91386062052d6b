"""Reading the files of an experiment with data, and telling whether they have changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from myrnn._checks import count_of, first_of
from myrnn._user_code import warn
from myrnn.data import LabelledSequences, TokenSequences
from myrnn.data.read import read_examples
from myrnn.data.symbols import RawSequences
from myrnn.data.targets import LABELS
from myrnn.errors import InvalidArgument
from myrnn.experiment import Experiment

# Names of tests, each with a file of sequences, and maybe one of labels.
Tests = Mapping[str, tuple[str, str | None]]


def tests_of(experiment: Experiment, file: str | None = None, labels: str | None = None) -> Tests:
    """Return the files of an experiment's tests by name, or the one given instead."""
    if file is not None:
        return {Path(file).name: (file, labels)}
    of_labels = dict(experiment.evaluation.test_labels)
    return {name: (given, of_labels.get(name)) for name, given in experiment.evaluation.test}


def read_tests(experiment: Experiment, reader: Any, tests: Tests) -> Iterator[tuple[str, LabelledSequences]]:
    """Read tests one by one; text is split as in the training, whose classes they have, as `reader` says."""
    kind = "tokens" if reader.is_symbols else "features"
    for name, (file, labels) in tests.items():
        read = read_file(experiment, file, labels, kind, reader.text_as, reader.columns)
        yield name, _of_known(read, reader.class_names) if reader.learn == LABELS else read


def read_file(
    experiment: Experiment,
    file: str,
    labels: str | None,
    kind: Any,
    tokenize: str,
    columns: Sequence[str] | None = None,
) -> LabelledSequences:
    """Read a file of sequences and their targets as an experiment says."""
    data = experiment.source.settings
    return read_examples(
        file,
        data.learn,
        labels,
        tokenize=tokenize,
        text_column=data.text_column,
        label_column=data.label_column,
        delimiter=data.delimiter,
        kind=kind,
        skip_bad_lines=data.skip_bad_lines,
        columns=columns,
    )


def _of_known(given: LabelledSequences, classes: Collection[str]) -> LabelledSequences:
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
        f"{given.source}: {len(labels) - len(places):,} of {count_of(len(labels), 'sequence')} left out, of "
        f"{count_of(len(news), 'class')} that the training does not know: {first_of(news)}"
    )
    return given.select(places)


def hashes_of(experiment: Experiment) -> dict[str, str]:
    """Return the SHA-256 of the files of an experiment by role; a warning tells of a test on the training file."""
    hashes = {name: hash_of(file) for name, file in experiment.files.items()}
    for role, file in experiment.files.items():
        if role.startswith("test ") and hashes[role] == hashes.get("data"):
            warn(f"{file} is the same as the training file: a test on it says nothing about new sequences")
    return hashes


def hash_of_memory(raw: RawSequences, y: Any) -> str:
    """Return the SHA-256 of sequences in memory and their targets."""
    arrays = (raw.codes if isinstance(raw, TokenSequences) else raw.rows, raw.offsets)
    try:
        targets = np.asarray(y).tolist()
    except ValueError:
        # Lists of different lengths.
        targets = [np.asarray(one).tolist() for one in y]
    named = (raw.kind, raw.symbols) if isinstance(raw, TokenSequences) else ("numbers",)
    kinds = [(array.dtype.str, array.shape) for array in arrays]
    digest = hashlib.sha256(repr((named, kinds, targets)).encode("utf-8", "surrogatepass"))
    for array in arrays:
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def hash_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file; empty if it cannot be read."""
    try:
        if not os.path.isfile(path):
            return ""
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        # The reader of the file will report the error.
        return ""
