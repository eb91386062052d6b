"""A trained model with what it reads: the result of every training, in memory or from a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from myrnn._user_code import warn
from myrnn.compiler import CompiledModel, compile
from myrnn.data.targets import LABELS
from myrnn.errors import InvalidArgument
from myrnn.evaluation.classify import Classifier
from myrnn.experiment import Experiment
from myrnn.finite import check_lost, is_lost, sequences_of
from myrnn.learning_curve import LearningCurve
from myrnn.models.model import network_of, num_parameters
from myrnn.results import Result, Row, Shown, Table, flat, text
from myrnn.runs.files import is_training_file
from myrnn.runs.reports import Tested, tested_on
from myrnn.sequences import Sequences
from myrnn.storage import sha256_if_readable


@dataclass(eq=False, repr=False)
class Run(Result):
    """A trained model with what it reads and how it was trained.

    Attributes
    ----------
    experiment : Experiment
    model : callable
        With its trained weights.
    reader : TaskReader or DataReader
        What the model reads, and what its outputs mean.
    history : LearningCurve
        One row per report, or per epoch.
    best : int
        The report, or epoch, whose weights the model has, counted from 1.
    is_cut : bool
        Whether the user interrupted the training.
    folder : Path or None
        Where it is saved.
    report : dict
        The results, in the form of ``report.json``.
    own : class or callable, optional
        The class of a user-defined model.
    further : mapping
        What an estimator has saved about itself.
    hashes : mapping of str to str
        The SHA-256 of its data files, by their role.
    continued_from : mapping, optional
        The run that it continued, as in `save_run`.
    phases : sequence of mapping
        The calls of `train` if settings changed during the training, as in `save_run`.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from myrnn import Experiment, train
    >>> from myrnn.runs import load_run, save_run
    >>> task, model, optimizer = Experiment("twin-halves:pattern_length_max=2", "rnn:dim_recurrent=8").make()
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

    experiment: Experiment
    model: Any
    reader: Any
    history: LearningCurve
    best: int = 0
    is_cut: bool = False
    folder: Any = None
    report: dict[str, Any] = field(default_factory=dict)
    own: Any = None
    further: Mapping[str, Any] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)
    continued_from: Mapping[str, Any] | None = None
    phases: Sequence[Mapping[str, Any]] = ()

    def __repr__(self) -> str:
        """Return the folder, the class of the model, what it was trained on, and the learning curve."""
        where = "" if self.folder is None else f"{self.folder}: "
        network = type(network_of(self.model)).__name__
        return f"Run({where}{network} on {self.experiment.source.title}, {self.history!r})"

    def __getstate__(self) -> dict[str, Any]:
        """Return what to pickle: the model is compiled again when it is needed."""
        return {part.name: getattr(self, part.name) for part in fields(self)}

    def table(self) -> Table:
        """Return a row for each number of the `report`: its name, such as ``training.loss``, and its value."""
        numbers = {name: value for name, value in flat(self.report) if not isinstance(value, list)}
        columns = {"result": list(numbers), "value": list(numbers.values())}
        return Table(repr(self), columns, (text("result"), Shown("value", _value_cell)))

    @property
    def task(self) -> Any:
        """The task that it was trained on; None if it was trained on data."""
        return self.reader.task

    @cached_property
    def recognizer(self) -> Any:
        """The model as it is tested and looked into: `model` itself, unless it learned more beside recognition."""
        return self.reader.recognizer(self.model)

    @cached_property
    def predictor(self) -> Classifier:
        """Computes the outputs of the model."""
        return Classifier(self.recognizer, self.experiment.training.engine)

    @cached_property
    def compiled(self) -> CompiledModel:
        """The compiled model, which continues sequences step by step; raises CompileError if it does not compile."""
        return compile(self.recognizer, check=False)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.reader.class_names

    def read_texts(self, texts: Sequence[str]) -> Sequences:
        """Return sequences written as on the command line: symbols of a task, or text as in the data.

        A task says the answers, if it knows them; otherwise labels are 0.

        Raises
        ------
        InvalidArgument
            When one cannot be read.
        """
        if not self.reader.is_symbols:
            raise InvalidArgument(f"{self.folder} reads features, which cannot be given as text: give a file")
        return self.reader.read_texts(texts)

    def scores(self, sequences: Sequences) -> NDArray[np.float32]:
        """Return the outputs of every sequence, float32 (N, K), or of every step; some may not be finite.

        They do not depend on the other sequences, bit for bit.
        """
        found = self.predictor.in_parts(sequences, lambda place, outputs: (place, outputs))
        if len(found) < 2:
            return found[0][1] if found else self.predictor.scores(sequences)
        whole = np.empty((len(sequences.targets), found[0][1].shape[1]), dtype=np.float32)
        for place, outputs in found:
            whole[place] = outputs
        return whole

    def outputs(self, sequences: Sequences) -> NDArray[np.float32]:
        """Return the same; raises NotFinite if some are not finite."""
        found = self.scores(sequences)
        check_lost(sequences_of(is_lost(found), sequences), sequences.lengths)
        return found

    def use_outputs(self, sequences: Sequences, use: Callable[[slice, NDArray[np.float32]], None]) -> None:
        """Call `use` with the place and the outputs of each part, without keeping all; raises NotFinite as well."""
        lost = np.zeros(len(sequences.targets), dtype=np.bool_)

        def each(place: slice, outputs: NDArray[np.float32]) -> None:
            lost[place] = is_lost(outputs)
            use(place, outputs)

        self.predictor.in_parts(sequences, each)
        check_lost(sequences_of(lost, sequences), sequences.lengths)

    def probabilities(self, sequences: Sequences, not_finite: float | None = None) -> NDArray[np.float64]:
        """Return the probabilities of the classes of every sequence, float64 (N, K), or of every step.

        Raises
        ------
        NotFinite
            When logits are not finite; with `not_finite`, all classes get this value there.
        """
        logits = self.scores(sequences)
        lost = is_lost(logits)
        if not_finite is None:
            check_lost(sequences_of(lost, sequences), sequences.lengths)
        found = np.full(logits.shape, np.nan if not_finite is None else float(not_finite))
        found[~lost] = scipy.special.softmax(logits[~lost].astype(np.float64), axis=1)
        return found

    def test(
        self,
        file: str | None = None,
        labels: str | None = None,
        *,
        period: int | None = None,
        engine: str | None = None,
        progress: bool | None = False,
        **evaluation: Any,
    ) -> dict[str, Tested]:
        """Test the trained model, and return the result of each test by name.

        Without arguments these are the run's own tests, with the same results. A run on a task has one, ``"task"``.

        Parameters
        ----------
        file, labels : str, optional
            The sequences of this file instead, for a run on data, and the labels of plain text.
        period : int, optional
            For a series: compare with the value this many steps before instead of the last one.
        engine : {"auto", "native", "mygrad"}, optional
            How to run the equations, by default as in the training.
        progress : bool, optional
            Whether to show a progress bar, for a task; by default there is none.
        **evaluation
            Settings of `Evaluation` to change, for a run on a task: samples, seed, lengths, stack_depth.

        Returns
        -------
        dict of str to Tested

        Raises
        ------
        InvalidArgument
            When there is no test, or an argument does not fit what the run learned.
        DataError
            When a file cannot be used.

        Examples
        --------
        >>> from myrnn import Experiment, train
        >>> from myrnn.runs import Run, TaskReader
        >>> experiment = Experiment("twin-halves:pattern_length_max=2", "rnn:dim_recurrent=4")
        >>> task, model, optimizer = experiment.make()
        >>> history = train(model, task, optimizer, 20, engine="mygrad", progress=False)
        >>> run = Run(experiment, model, TaskReader(task), history)
        >>> found = run.test(samples=100, lengths="2:8:2", engine="mygrad")["task"]
        >>> found.report.total, found.facts["seed"]
        (array([25, 25, 25, 25]), 1)
        """
        run, experiment = self, self.experiment
        if engine is not None:
            experiment = experiment.with_training(engine=engine)
        if evaluation:
            experiment = experiment.with_evaluation(**evaluation)
        if experiment is not self.experiment:
            run = replace(self, experiment=experiment)
        sources = self.reader.tests(self, file, labels)
        return {name: tested_on(run, source, period=period, progress=progress) for name, source in sources}

    def test_sequences(self, file: str | None = None, labels: str | None = None) -> dict[str, Any]:
        """Return what it is tested on, by name: the task, or the labelled sequences of each test file.

        Parameters
        ----------
        file, labels
            As for `test`.

        Raises
        ------
        InvalidArgument
            When there are no labelled sequences.
        DataError
            When a file cannot be used.
        """
        if self.reader.learn != LABELS:
            raise InvalidArgument(
                f"{self.folder} learned {self.reader.learn}, but this is for runs that learned labels"
            )
        sources = self.reader.tests(self, file, labels)
        return {name: self.reader.test_sequences(source) for name, source in sources}

    def check_tests(self, file: str | None = None) -> None:
        """Refuse a run without tests; warn of tests that have changed since then, and of one on what was learned."""
        if file is not None:
            if (hashed := sha256_if_readable(file)) and hashed == self.hashes.get("data"):
                warn(is_training_file(file))
            return
        if not self.experiment.evaluation.test:
            raise InvalidArgument(f"{self.folder} has no test: give a file of labelled sequences")
        for role, path in self.experiment.evaluation.files.items():
            then, now = self.hashes.get(role), sha256_if_readable(path)
            if then and now not in ("", then):
                warn(f"{path} has changed since {self.folder} was made: these are not the sequences of its own test")

    def untrained(self) -> Any:
        """Return a new model of the same kind, with the weights that its seed gives before the training.

        Raises
        ------
        InvalidArgument
            When the run was loaded into a model, instead of its class.
        """
        if self.own is self.model:
            raise InvalidArgument(f"{self.folder} was loaded into a model: give load_run its class to make another one")
        experiment, model = self.experiment, self.experiment.model
        given = self.report["training"].get("sequences", 0)
        weights = experiment.source.initial_draws(experiment.training.seed, given).weights
        return self.reader.new_model(model, weights, model.own_class(self.own))


def _value_cell(row: Row) -> str:
    value = row["value"]
    return "-" if value is None else f"{value:,.4g}" if isinstance(value, float) else str(value)


def as_measured(history: LearningCurve, reader: Any) -> LearningCurve:
    """Return the history of a run, with the accuracy of guessing only if that is a measure of its score."""
    return history if reader.is_balanced else replace(history, chance=None)


def training_numbers(run: Run) -> dict[str, Any]:
    """Return the numbers of a training for ``report.json``: of its length, and of the best entry of its history."""
    history, unit = run.history, run.history.unit
    columns = {name: column for name, column in history.columns.items() if name != unit}
    return {
        "engine": history.engine,
        f"{unit}s": int(history.step[-1]) if len(history) else 0,
        **({"best_epoch": run.best} if unit == "epoch" else {}),
        "longest": history.longest,
        "chance": history.chance,
        "parameters": num_parameters(run.model),
        **{name: float(column[run.best - 1]) if len(history) else None for name, column in columns.items()},
    }
