"""Reading a run folder. Nothing in it is trusted: every value is checked before it is used."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.data import LABELS, SERIES, VALUES, ClassLabels, SequenceEncoder, TargetEncoder
from myrnn.errors import DataError, InvalidArgument, RunError
from myrnn.evaluation import Report, as_tested
from myrnn.experiment import OWN, Experiment, weight_generator
from myrnn.inspection import parse_tokens
from myrnn.learning_curve import ACCURACY, SQUARED_ERROR, LearningCurve
from myrnn.models import network_of
from myrnn.results import Result, Row, Shown, Table, text
from myrnn.runs.data import NamedSequences, hash_of, read_raw_tests, read_tests
from myrnn.runs.fitted import Fitted, probabilities_of, scores_of
from myrnn.runs.folder import ENCODING, HISTORY, INDEX, REPORT, UNFINISHED, WEIGHTS, has_run, read_folder, read_index
from myrnn.runs.job import Job, parse_job
from myrnn.runs.model import check_same, class_of, load_weights, remake
from myrnn.runs.origin import CONTINUED_FROM, PHASES, check_origin, check_phases
from myrnn.runs.reports import report_on
from myrnn.sequences import Sequences
from myrnn.storage import Stored
from myrnn.tasks import answered, recognition_of
from myrnn.training import History, reference_logits


def classes_of(task: Any) -> tuple[str, ...]:
    """Return the names of a task's classes: its own, or their numbers."""
    return tuple(_checks.names("class_names", getattr(task, "class_names", None), task.dim_output))


@dataclass(frozen=True, eq=False, repr=False)
class Run(Result):
    """A saved run.

    Attributes
    ----------
    folder : Path
    settings : dict
        Everything needed to repeat the run: ``task`` or ``data``, ``model``, ``optimizer`` and ``training``, each a
        dict; ``continued_from`` if its initial weights came from another run; ``phases`` if settings changed during the
        training.
    experiment : Experiment
        The same as a value. The paths of its data are relative to the working folder.
    task : TwinHalves or Palindromes, or None
        None for a run on data.
    model : a network of this package, or a model of a user-defined class
        With the trained weights.
    history : History
    report : dict
        The results of the training and the tests.
    own : class, callable or model, optional
        The argument `model` of `load_run`, or the class that it found.
    fitted : Fitted or None
        For a run on data: the model with its encoders.
    noted : mapping
        The notes of `SequenceClassifier`, if it wrote the folder.
    hashes : mapping of str to str
        The SHA-256 of its data files when it was made, by the names of `Experiment.files`.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from myrnn import RNN, Adam, tasks, train
    >>> from myrnn.runs import load_run, save_run
    >>> task = tasks.TwinHalves(pattern_length_max=2)
    >>> model = RNN(task.dim_input, 8, task.dim_output, rng=0)
    >>> optimizer = Adam(model.parameters)
    >>> history = train(model, task, optimizer, 20, engine="mygrad", progress=False)
    >>> with TemporaryDirectory() as folder:
    ...     path = save_run(Path(folder, "halves"), task=task, model=model, optimizer=optimizer, history=history)
    ...     saved = load_run(path)
    >>> saved.task == task, saved.class_names
    (True, ('no match', 'match'))
    >>> saved.probabilities(saved.read_texts(["11", "12"])).shape
    (2, 2)
    >>> saved.rows()[1]
    {'result': 'training.iterations', 'value': 20}
    """

    folder: Path
    settings: dict[str, Any]
    experiment: Experiment
    task: Any
    model: Any
    history: History
    report: dict[str, Any]
    own: Any = None
    fitted: Fitted | None = None
    noted: Mapping[str, Any] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Return the folder, the class of the model, its task, and the learning curve."""
        source = "data" if self.task is None else self.experiment.task.name
        return f"Run({self.folder}: {type(network_of(self.model)).__name__} on {source}, {self.history!r})"

    def table(self) -> Table:
        """Return a row for each number of the `report`: its name, such as ``training.loss``, and its value."""
        numbers = dict(_numbers_of(self.report))
        columns = {"result": list(numbers), "value": list(numbers.values())}
        return Table(repr(self), columns, (text("result"), Shown("value", _value_cell)))

    @cached_property
    def recognizer(self) -> Any:
        """The model as it is tested and looked into: `model` itself, unless it learned more beside recognition."""
        return as_tested(self.model, self.task)[0]

    @cached_property
    def recognition(self) -> Any:
        """The task that it is tested on: `task` itself, unless more is learned."""
        return recognition_of(self.task)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes."""
        if self.fitted is not None:
            return self.fitted.class_names
        return classes_of(self.recognition)

    def read_texts(self, texts: Sequence[str]) -> Sequences:
        """Return sequences written as on the command line: symbols of a task, or text as in the data.

        Targets are the true classes if the task defines them, and otherwise 0. The start of a sequence, if the task has
        one, may be left out.
        """
        if self.fitted is not None:
            if not self.fitted.is_symbols:
                raise InvalidArgument(
                    f"{self.folder} reads features, which cannot be given as text: give a file with --data"
                )
            return self.fitted.read_texts(texts)
        task = self.recognition
        tokens = [_tokens_of(task, text) for text in texts]
        if (start := getattr(task, "start", None)) is not None:
            tokens = [one if one[:1] == [start] else [start, *one] for one in tokens]
        read = Sequences.from_pairs([(np.array(one), 0) for one in tokens], task.dim_input)
        return answered(task, read.values, read.offsets) if hasattr(task, "truth") else read

    def probabilities(self, sequences: Sequences, not_finite: float | None = None) -> NDArray[np.float64]:
        """Return the probabilities of the classes, float64 (N, K), of sequences as `read_texts` returns them.

        Raises
        ------
        NotFinite
            When logits are not finite and `not_finite` is None.
        """
        if self.fitted is not None:
            logits = scores_of(self.fitted.predictor, sequences)
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                logits = reference_logits(self.recognizer, sequences)
        return probabilities_of(logits, sequences.lengths, not_finite)

    def samples(self, file: str | None = None, labels: str | None = None) -> Any:
        """Return sequences to inspect the model with: its task, or the first test of a run on data.

        Parameters
        ----------
        file, labels : str, optional
            Another file of labelled sequences, for a run on data.

        Raises
        ------
        InvalidArgument
            When a run on data has no test.
        """
        if self.fitted is None:
            return self.recognition
        return next(iter(self.tests(file, labels).values()))

    def reports(
        self, file: str | None = None, labels: str | None = None, period: int | None = None
    ) -> dict[str, Report]:
        """Return a report on each test of a run on data by name, or on the sequences of a file.

        `period` is as for `report_on`.
        """
        assert self.fitted is not None
        self._check_tests(file)
        return {
            name: report_on(self.fitted, given.sequences, given.targets, None, period)
            for name, given in read_raw_tests(self.experiment, self.fitted, file, labels)
        }

    def _check_tests(self, file: str | None) -> None:
        """Refuse a run without tests, and warn if the files of its tests are others than when it was made."""
        if file is not None:
            return
        if not self.experiment.evaluation.test:
            raise InvalidArgument(f"{self.folder} has no test: give a file of labelled sequences with --data")
        for role, path in self.experiment.files.items():
            then, now = self.hashes.get(role), hash_of(path)
            if role.startswith("test") and then and now not in ("", then):
                warn(f"{path} has changed since {self.folder} was made: these are not the sequences of its own test")

    def tests(self, file: str | None = None, labels: str | None = None) -> dict[str, NamedSequences]:
        """Return the tests of a run on data by name, or the sequences of a file, as model input."""
        assert self.fitted is not None
        if (learned := self.fitted.targets.learn) != LABELS:
            raise InvalidArgument(f"{self.folder} learned {learned}, but this is for runs that learned labels")
        self._check_tests(file)
        try:
            return read_tests(self.experiment, self.fitted, file, labels)
        except DataError as error:
            if file is not None:
                raise
            raise DataError(f"{error}; give another file of labelled sequences with --data") from None

    def untrained(self) -> Any:
        """Return a new model of the same kind, with the initial weights of ``myrnn train`` for the run's seed.

        Raises
        ------
        InvalidArgument
            When the model is user-defined and `load_run` was not given its class.
        """
        if self.own is self.model:
            raise InvalidArgument(f"{self.folder} was loaded into a model: give load_run its class to make another one")
        return remake(self.settings["model"], self.own, weight_generator(self.experiment.training.seed))


def _load_weights(stored: Stored, job: Job, model: Any) -> None:
    """Load the weights; if they do not fit a user-defined model, say which class was saved."""
    try:
        load_weights(stored, WEIGHTS, model)
    except RunError as error:
        given, saved = type(model).__name__, job.model.get("class")
        if saved in (None, given):
            raise
        what = error.args[0].removeprefix(f"{stored.folder}: ")
        raise InvalidArgument(f"{what}: the run was trained with the class {saved}, not {given}") from None


def _numbers_of(report: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted names and the values of a report, without its lists."""
    for name, value in report.items():
        if isinstance(value, Mapping):
            yield from _numbers_of(value, f"{within}{name}.")
        elif not isinstance(value, list):
            yield f"{within}{name}", value


def _value_cell(row: Row) -> str:
    value = row["value"]
    return "-" if value is None else f"{value:,.4g}" if isinstance(value, float) else str(value)


def _tokens_of(task: Any, text: str) -> list[int]:
    """Return the tokens of a sequence written as symbols of a task, with spaces between long names."""
    names = getattr(task, "symbol_names", None)
    if names is not None and any(len(name) > 1 and not name.isdigit() for name in names):
        words = text.split()
        if strange := [word for word in words if word not in names]:
            raise InvalidArgument(
                f"sequence {_checks.shown(text)} has the symbol {strange[0]!r}: write symbols with spaces between, of "
                f"these: {' '.join(names)}"
            )
        return [names.index(word) for word in words]
    if names is None or any(len(name) > 1 for name in names):
        return parse_tokens(text, task.dim_input)
    wrong = next((character for character in text if character not in names), None)
    # The empty string is a string of a formal language like any other.
    if wrong is not None or (not text and not hasattr(task, "language")):
        what = "is empty" if wrong is None else f"has the symbol {wrong!r}"
        raise InvalidArgument(f"sequence {_checks.shown(text)} {what}: the symbols are {' '.join(names)}")
    return [names.index(character) for character in text]


def load_run(folder: str | os.PathLike[str], model: Any = None, tokenize: Any = None) -> Run:
    """Read a run folder, or the folder of a saved classifier.

    Parameters
    ----------
    folder : path
    model : class, callable or model, optional
        For a run with a user-defined model: its class, a function of C, D and K that returns a model, or a model, whose
        weights are replaced.
    tokenize : callable, optional
        For a classifier that splits text with a user-defined function: that function.

    Returns
    -------
    Run

    Raises
    ------
    RunError
        When it is missing, incomplete, damaged, of a newer version, or holds invalid values; the message names the file
        and the fault.
    InvalidArgument
        When `model` is missing, is given but not needed, or is not the saved one.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from myrnn import RNN, Adam, tasks, train
    >>> from myrnn.runs import save_run
    >>> task = tasks.TwinHalves(pattern_length_max=2)
    >>> model = RNN(task.dim_input, 8, task.dim_output, rng=0)
    >>> optimizer = Adam(model.parameters)
    >>> history = train(model, task, optimizer, 20, engine="mygrad", progress=False)
    >>> with TemporaryDirectory() as folder:
    ...     path = save_run(Path(folder, "halves"), task=task, model=model, optimizer=optimizer, history=history)
    ...     saved = load_run(path)
    >>> all((one.data == other.data).all() for one, other in zip(saved.model.parameters, model.parameters))
    True
    """
    stored, report, job = _read(folder)
    try:
        # Any fault in the settings is an error of the index.
        made = None if job.model["name"] == OWN else remake(job.model, None, np.random.default_rng(0))
    except InvalidArgument as error:
        stored.damaged(INDEX, f"cannot be used: {error}", error)
    try:
        if made is None and model is None:
            model = class_of(job.model)
        if made is None or model is not None:
            made = remake(job.model, model, np.random.default_rng(0))
        _load_weights(stored, job, made)
        check_same(job.model, made)
    except InvalidArgument as error:
        raise InvalidArgument(f"{folder}: {error}") from None
    history = parse_history(stored, report, _chance(job))
    names = ("task", "data", "model", "optimizer", "training", CONTINUED_FROM, PHASES)
    settings = {name: stored.index[name] for name in names if name in stored.index}
    path = Path(folder)
    if "data" not in stored.index:
        task = job.experiment.task.make()
        return Run(path, settings, job.experiment, task, made, history, report, model)
    fitted = _fitted(stored, job.experiment, made, history, report, tokenize)
    noted = stored.index["classifier"]
    return Run(path, settings, job.experiment, None, made, history, report, model, fitted, noted, job.hashes)


def load_history(folder: str | os.PathLike[str]) -> History:
    """Return the history of a complete run, which needs no model; raises RunError as `load_run` does."""
    stored, report, job = _read(folder)
    return parse_history(stored, report, _chance(job))


def _read(folder: str | os.PathLike[str]) -> tuple[Stored, dict[str, Any], Job]:
    """Return the files of a complete run, its report and its job; raises RunError if one is not valid."""
    path = Path(folder)
    if (path / UNFINISHED.index).exists() and not has_run(path):
        raise RunError(f"{folder} is not complete: myrnn train --resume {folder} resumes it")
    stored = read_folder(path)
    on_data = "data" in stored.index
    for part in ("data" if on_data else "task", "model", "optimizer", "training"):
        if not isinstance(stored.index.get(part), dict):
            stored.damaged(INDEX, f"has no valid {part!r}: {_checks.shown(stored.index.get(part))}")
    report = stored.json(REPORT)
    try:
        job = parse_job(stored)
        if CONTINUED_FROM in stored.index:
            check_origin(stored.index[CONTINUED_FROM])
        if PHASES in stored.index:
            check_phases(stored.index[PHASES])
    except InvalidArgument as error:
        stored.damaged(INDEX, f"cannot be used: {error}", error)
    return stored, report, job


def _fitted(
    stored: Stored, experiment: Experiment, model: Any, history: History, report: Mapping[str, Any], tokenize: Any
) -> Fitted:
    """Return the model of a run on data with its encoders."""
    try:
        noted = stored.index.get("classifier")
        if not isinstance(noted, dict):
            raise InvalidArgument("'classifier' is missing")
        how = noted.get("tokenize")
        if how is not None:
            _checks.one_of("tokenize", how, ("words", "characters", OWN))
        encoding = stored.json(ENCODING)
        kind = "labels" if experiment.data.learn == LABELS else "targets"
        for part in ("sequences", kind):
            if not isinstance(encoding.get(part), dict):
                raise InvalidArgument(f"{ENCODING} has no {part!r}")
        encoder = SequenceEncoder.from_settings(encoding["sequences"])
        if kind == "labels":
            targets = TargetEncoder(LABELS, ClassLabels.from_settings(encoding["labels"]))
        else:
            targets = TargetEncoder.from_settings(encoding["targets"], encoder)
        if targets.learn != experiment.data.learn:
            raise InvalidArgument(f"{ENCODING} has {targets.learn}, not {experiment.data.learn}")
        sizes = stored.index["model"]["dim_input"], stored.index["model"]["dim_output"]
        if (encoder.dim_input, len(targets)) != sizes or (targets.is_classes and len(targets) < 2):
            outputs = _checks.count_of(len(targets), "class" if targets.is_classes else "number")
            has = f"{_checks.count_of(encoder.dim_input, 'input')} and {outputs}"
            raise InvalidArgument(f"{ENCODING} has {has}, not {sizes}")
        if how in ("words", "characters") and how != encoder.kind:
            raise InvalidArgument(f"tokenize must fit {ENCODING}, which has {encoder.kind}, not be {how!r}")
        columns = encoding.get("columns")
        if columns is not None and not (
            isinstance(columns, list) and len(columns) == sizes[0] and all(isinstance(name, str) for name in columns)
        ):
            raise InvalidArgument(f"'columns' of {ENCODING} must be {sizes[0]} names")
        epochs = max(history.step.tolist(), default=1)
        best = _checks.integer("best_epoch", noted.get("best_epoch"), minimum=1, maximum=epochs)
    except InvalidArgument as error:
        stored.damaged(INDEX, f"cannot be used: {error}", error)
    if how == OWN and not callable(tokenize):
        raise InvalidArgument(f"{stored.folder} reads text with a user-defined function: give it as tokenize=")
    if how != OWN and tokenize is not None:
        raise InvalidArgument(f"{stored.folder} reads text without a user-defined function: leave out tokenize=")
    most = experiment.data.max_vocabulary
    return Fitted(
        model,
        encoder,
        targets,
        history,
        best,
        tokenize=tokenize if how == OWN else how,
        engine=experiment.training.engine,
        names_unknown=most is None or len(getattr(encoder.inner, "symbols", ())) < most,
        columns=None if columns is None else tuple(columns),
    )


def _chance(job: Job) -> float | None:
    """Return the accuracy of guessing; None if numbers are learned."""
    data = job.experiment.data
    if data is not None and data.learn in (VALUES, SERIES):
        return None
    task = job.experiment.task
    return 1 / (job.model["dim_output"] if task is None else recognition_of(task.make()).dim_output)


def holds_own(folder: str | os.PathLike[str]) -> bool:
    """Return whether the model of a run is user-defined; raises RunError if there is no run."""
    model = read_index(folder).get("model")
    return isinstance(model, dict) and model.get("name") == OWN


def parse_history(stored: Stored, report: Mapping[str, Any], chance: float | None) -> LearningCurve:
    """Return the history of a run; raises RunError if it is not valid."""
    data = stored.index.get("data")
    unit = "iteration" if data is None else "epoch"
    is_numbers = isinstance(data, dict) and data.get("learn") in (VALUES, SERIES)
    metric = SQUARED_ERROR if is_numbers else ACCURACY
    try:
        curve = LearningCurve.from_csv(stored.content[HISTORY])
        if curve.unit != unit:
            raise ValueError(f"its first column must be {unit}")
        if curve.metric != metric:
            raise ValueError(f"it must have {metric}, and not {curve.metric}")
    except ValueError as error:
        stored.damaged(HISTORY, f"is not a history: {error}", error)
    step = curve.step
    if len(step) and (step[0] < 1 or np.any(np.diff(step) < 1)):
        stored.damaged(HISTORY, f"must have {unit}s that rise from 1 or more")
    numbers = {name: values for name, values in curve.columns.items() if name != unit}
    losses = [values for name, values in numbers.items() if name.endswith("loss")]
    rates = [values for name, values in numbers.items() if name.endswith("accuracy")]
    if not (
        all(np.isfinite(loss).all() and np.all(loss >= 0) for loss in losses)
        and all(np.all((rate >= 0) & (rate <= 1)) for rate in rates)
        and all(np.isfinite(values).all() for values in numbers.values())
    ):
        stored.damaged(HISTORY, "must have finite losses of 0 or more and accuracies between 0 and 1")
    training = report.get("training")
    try:
        if not isinstance(training, dict):
            raise InvalidArgument("'training' is missing")
        if unit == "epoch":
            # Early classifier folders lack these keys.
            training = {"longest": 0, "engine": "native", **training}
        longest = _checks.integer("longest", training.get("longest"), minimum=0)
        engine = _checks.one_of("engine", training.get("engine"), ("native", "mygrad"))
    except InvalidArgument as error:
        stored.damaged(REPORT, f"cannot be used: {error}", error)
    return replace(curve, longest=longest, engine=engine, chance=chance)
