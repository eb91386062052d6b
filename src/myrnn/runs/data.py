"""The sequences of an experiment with data: read from its files, or taken from memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from myrnn._checks import count_of, first_of
from myrnn._user_code import warn
from myrnn.data import (
    DEFAULT_COLUMNS,
    LABELS,
    VALUES,
    ClassLabels,
    LabelledSequences,
    RawSequences,
    RawTargets,
    TokenSequences,
    flat_sequences,
    is_number,
    read_examples,
    without_gz,
)
from myrnn.errors import InvalidArgument
from myrnn.experiment import Experiment
from myrnn.runs.fitted import Fitted
from myrnn.runs.fitting import fit
from myrnn.sequences import Sequences
from myrnn.training import Checkpoint

MEMORY = "memory"


@dataclass(frozen=True, eq=False)
class GivenData:
    """The training and test data of an experiment.

    Attributes
    ----------
    X, y : object
        Sequences and labels, in the form that `SequenceClassifier.fit` takes.
    train : LabelledSequences or None
        The training data as read from a file; None if they are in memory.
    tests : dict of str to LabelledSequences
        By test name, without sequences of classes that are not in `y`.
    hashes : dict of str to str
        The SHA-256 of every file as it was read, by the names of `Experiment.files`; for data in memory under the name
        `MEMORY`.
    """

    X: Any
    y: Any
    train: LabelledSequences | None = None
    tests: Mapping[str, LabelledSequences] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)

    def fit(
        self,
        experiment: Experiment,
        checkpoint: Checkpoint | None = None,
        *,
        make: Any = None,
        progress: bool | None = None,
    ) -> Fitted:
        """Train a new model for the experiment; the arguments are those of `fit`."""
        how = experiment.data.tokenize if self.train is None else self.train.tokenize or "auto"
        raw = flat_sequences(self.X, tokenize=how)
        if not len(raw):
            raise InvalidArgument("X holds no sequence: at least two are needed, of two classes")
        if experiment.data.learn != LABELS:
            given = RawTargets.read(experiment.data.learn, self.y, raw.offsets, experiment.data.per_step)
            if given.is_column and self.train is not None:
                given = replace(given, columns=(experiment.data.label_column or DEFAULT_COLUMNS[VALUES],))
            fitted = fit(experiment, raw, given, make=make, checkpoint=checkpoint, progress=progress)
            fitted.columns = None if self.train is None else self.train.columns
            return fitted
        if len(self.y) != len(raw):
            raise InvalidArgument(f"X holds {count_of(len(raw), 'sequence')}, but y {count_of(len(self.y), 'label')}")
        labels = ClassLabels.fit(self.y)
        if len(labels) < 2:
            raise InvalidArgument(f"y holds one class only, {labels.classes.tolist()[0]!r}: two or more are needed")
        given = RawTargets.labels(labels, labels.encode(self.y))
        return fit(experiment, raw, given, make=make, checkpoint=checkpoint, progress=progress)

    def warn_of_numbers(self) -> None:
        """Warn if text holds decimal numbers, which are read as symbols without order or size."""
        if self.train is None or not self.train.symbols or not all(map(is_number, self.train.symbols)):
            return
        decimal = [symbol for symbol in self.train.symbols if not symbol.lstrip("+-").isdecimal()]
        if 2 * len(decimal) > len(self.train.symbols):
            warn(
                f"{self.train.source} holds numbers such as {decimal[0]}, which are symbols without size in text: "
                "features are read from lists of numbers, in JSON Lines or Parquet"
            )


class NamedSequences(Sequences):
    """Sequences with names for their classes and symbols, like those of a task.

    Attributes
    ----------
    class_names : tuple of str
    symbol_names : tuple of str or None
    """

    class_names: tuple[str, ...]
    symbol_names: tuple[str, ...] | None

    def __init__(self, sequences: Sequences, fitted: Fitted) -> None:
        sequences.check_labels()
        super().__init__(sequences.values, sequences.offsets, sequences.labels, sequences.dim_input)
        object.__setattr__(self, "class_names", fitted.class_names)
        object.__setattr__(self, "symbol_names", fitted.symbol_names)


def read_tests(experiment: Experiment, fitted: Fitted, file: str | None = None, labels: str | None = None) -> Any:
    """Return the tests of a run on data as model input, a `NamedSequences` per test name.

    Parameters
    ----------
    experiment : Experiment
    fitted : Fitted
    file, labels : str, optional
        A file to read instead of the tests of the experiment.
    """
    places = {name: place for place, name in enumerate(fitted.class_names)}
    found = {}
    for name, given in read_raw_tests(experiment, fitted, file, labels):
        numbers = np.array([places[label] for label in _labels_of(given)], dtype=np.int64)
        found[name] = NamedSequences(fitted.read(given.sequences, numbers), fitted)
    return found


def read_raw_tests(
    experiment: Experiment, fitted: Fitted, file: str | None = None, labels: str | None = None
) -> Iterator[tuple[str, LabelledSequences]]:
    """Yield the tests as they are in their files."""
    files = _tests_of(experiment) if file is None else {Path(file).name: (file, labels)}
    names, text_as = fitted.class_names, fitted.text_as
    yield from _read_tests(experiment, files, names, fitted.is_symbols, text_as, fitted.columns)


def _tests_of(experiment: Experiment) -> dict[str, tuple[str, str | None]]:
    """Return the files of an experiment's tests by name, each with its file of labels, if any."""
    labels = dict(experiment.evaluation.test_labels)
    return {name: (file, labels.get(name)) for name, file in experiment.evaluation.test}


def _read_tests(
    experiment: Experiment,
    files: Mapping[str, tuple[str, str | None]],
    classes: Collection[str],
    is_tokens: bool,
    tokenize: str | None,
    columns: Sequence[str] | None = None,
) -> Iterator[tuple[str, LabelledSequences]]:
    """Read tests one by one; text is split as in the training, which has these classes."""
    kind = "tokens" if is_tokens else "features"
    for name, (file, labels) in files.items():
        read = _read(experiment, file, labels, kind, tokenize or "words", columns)
        yield name, _of_known(read, classes) if experiment.data.learn == LABELS else read


def _of_known(given: LabelledSequences, classes: Collection[str]) -> LabelledSequences:
    """Return the sequences of classes that the training knows; a warning counts the others.

    Raises
    ------
    InvalidArgument
        When there are only others.
    """
    labels = _labels_of(given)
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


def _labels_of(given: LabelledSequences) -> list[str]:
    assert given.labels is not None
    labels: list[str] = given.labels.tolist()
    return labels


def read_data(experiment: Experiment) -> GivenData:
    """Read all files of an experiment with data.

    Raises
    ------
    DataError
        When a file cannot be read, or is malformed.
    InvalidArgument
        When the sequences were in memory and are not given again, or there is only one class.
    """
    data = experiment.data
    if data.file is None and experiment.memory is None:
        raise InvalidArgument("the sequences were in memory: give them again, as Experiment(data=(X, y))")
    # Hash first, so that a file that changes while it is read does not match later.
    hashes = {name: hash_of(file) for name, file in experiment.files.items()}
    for role, file in experiment.files.items():
        if role.startswith("test ") and hashes[role] == hashes.get("data"):
            warn(f"{file} is the same as the training file: a test on it says nothing about new sequences")
    files = _tests_of(experiment)
    if experiment.memory is not None:
        X, y = experiment.memory.X, experiment.memory.y
        raw = flat_sequences(X, tokenize=data.tokenize)
        is_tokens, how = isinstance(raw, TokenSequences), getattr(raw, "tokenize", None)
        is_labels = experiment.data.learn == LABELS and experiment.evaluation.test
        classes = set(map(str, ClassLabels.fit(y).classes.tolist())) if is_labels else ()
        tests = dict(_read_tests(experiment, files, classes, is_tokens, how if isinstance(how, str) else None))
        return GivenData(X, y, tests=tests, hashes={**hashes, MEMORY: _hash_of_memory(raw, y)})
    train = _read(experiment, data.file, data.labels, None, data.tokenize)
    if data.learn == LABELS and len(train.classes) < 2:
        raise InvalidArgument(
            f"{train.source} holds one class only, {next(iter(train.classes))!r}: a classifier needs two or more"
        )
    tests = dict(_read_tests(experiment, files, train.classes, train.is_tokens, train.tokenize, train.columns))
    y = train.labels if data.learn == LABELS else train.targets
    return GivenData(train.sequences, y, train, tests, hashes)


def _read(
    experiment: Experiment,
    file: str,
    labels: str | None,
    kind: Any,
    tokenize: str,
    columns: Sequence[str] | None = None,
) -> LabelledSequences:
    data = experiment.data
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


def _hash_of_memory(raw: RawSequences, y: Any) -> str:
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


def data_name(experiment: Experiment) -> str:
    """Return the name of an experiment's data, for the name of a folder."""
    return "data" if experiment.data.file is None else without_gz(Path(experiment.data.file)).stem
