"""The common base of the estimators: settings as an experiment, fitting, saving, loading and pickling."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from myrnn import _checks
from myrnn._keywords import keywords
from myrnn.data import TokenSequences, flat_sequences
from myrnn.data.symbols import RawSequences
from myrnn.data.targets import SERIES, RawTargets
from myrnn.errors import InvalidArgument
from myrnn.estimators.tables import check_names, checked_table, is_table, names_of, note_features
from myrnn.evaluation import Report
from myrnn.experiment import Data, Experiment
from myrnn.experiment.parts import OWN, PARTS
from myrnn.experiment.sources import GivenSource
from myrnn.output import notify
from myrnn.registry import find, kinds
from myrnn.runs.folder import INDEX, Job
from myrnn.runs.model import describe_model
from myrnn.runs.prepare import prepare_given, truncated_at
from myrnn.runs.reader import DataReader
from myrnn.runs.reports import known_of, report_on
from myrnn.runs.saved import ESTIMATOR, holds_own, load_run, write_run
from myrnn.runs.trained import Run
from myrnn.runs.training import stopped_early, trained
from myrnn.sequences import Sequences
from myrnn.settings import settings_of
from myrnn.storage import damaged, empty_folder
from myrnn.training import TrainingSettings

AUTO = "auto"
# The model's settings that are not in every model.
OF_SOME_MODELS = ("activation", "layers", "dim_embedding", "bidirectional")
# Defaults that no section has: a network chooses its activation and an ``"auto"`` embedding itself.
DEFAULTS = {"activation": None, "dim_embedding": AUTO, "per_step": False, "random_state": None, "verbose": False}

# The parameters of the estimators, in the order of their constructors: the section and the setting of each in an
# experiment, if it is there.
PLACES = {
    "cell": ("model", "name"),
    "dim_recurrent": ("model", "dim_recurrent"),
    "activation": ("model", "activation"),
    "layers": ("model", "layers"),
    "dim_embedding": ("model", "dim_embedding"),
    "bidirectional": ("model", "bidirectional"),
    "per_step": ("data", "per_step"),
    "optimizer": ("optimizer", "name"),
    "learning_rate": ("optimizer", "learning_rate"),
    "schedule": ("training", "schedule"),
    "weight_decay": ("optimizer", "weight_decay"),
    "batch_size": ("training", "batch_size"),
    "truncate": ("training", "truncate"),
    "max_epochs": ("training", "max_epochs"),
    "validation_fraction": ("training", "validation_fraction"),
    "early_stopping_patience": ("training", "early_stopping_patience"),
    "gradient_clip": ("training", "gradient_clip"),
    "class_weight": ("training", "class_weight"),
    "loss": ("training", "loss"),
    "tokenize": ("data", "tokenize"),
    "standardize": ("data", "standardize"),
    "max_vocabulary": ("data", "max_vocabulary"),
    "difference": ("data", "difference"),
    "period": ("data", "period"),
    "engine": ("training", "engine"),
    "random_state": ("training", "seed"),
    "verbose": ("", ""),
}


@cache
def _usual() -> dict[str, Any]:
    """Return the defaults of all parameters: those of an experiment with data, where the estimators have no others."""
    sections = {"data": Data, "training": TrainingSettings}
    sections |= {part: find(part, PARTS[part]).section for part in ("model", "optimizer")}
    found: dict[str, Any] = {"cell": PARTS["model"], "optimizer": PARTS["optimizer"]}
    for name, (section, setting) in PLACES.items():
        if name not in found and name not in DEFAULTS:
            default = next(field.default for field in settings_of(sections[section]) if field.name == setting)
            found[name] = GivenSource.defaults.get(section, {}).get(setting, default)
    return found | DEFAULTS


class SequenceEstimator(BaseEstimator):
    """A recurrent network that learns from sequences of different lengths, with scikit-learn's conventions.

    The common base of `SequenceClassifier`, `SequenceTagger`, `SequenceRegressor`, `LanguageModel` and
    `SequenceForecaster`, which have their settings as attributes. Their constructors are made from the sections of an
    experiment.
    """

    # The kind of targets, and the name of the estimator in messages.
    learn: ClassVar[str]
    word: ClassVar[str]
    # The parameters that it lacks, and its own defaults.
    without: ClassVar[frozenset[str]] = frozenset()
    defaults: ClassVar[Mapping[str, Any]] = {}
    # Values of `tokenize` that are allowed if X holds lists of symbols instead of text.
    unread: ClassVar[tuple[Any, ...]] = ("words",)

    # Parameters that some estimators lack.
    dim_embedding: int | str | None = AUTO
    bidirectional: bool = False
    class_weight: Any = None
    tokenize: Any = AUTO

    def __init_subclass__(cls, **further: Any) -> None:
        """Make the constructor of a class that names its parameters."""
        super().__init_subclass__(**further)
        if "word" in vars(cls):
            usual = {**_usual(), **cls.defaults}
            names = {name: usual[name] for name in PLACES if name not in cls.without}
            cls.__init__ = _constructor(names)  # type: ignore[method-assign]

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit to sequences and their targets, in the forms that the notes of the class describe.

        Raises
        ------
        InvalidArgument
            When a setting, a sequence or a target is invalid; the message says which. It is a ValueError.
        TrainingDiverged
            When the loss is no longer finite.
        """
        names, X = names_of(X), self._sequences(X)
        experiment, table = self.experiment().with_training(seed=_seed_of(self.random_state)), is_table(X)
        given = checked_table(self, X, reset=True) if table else X
        raw = flat_sequences(given, tokenize=self.tokenize)
        self._check_read(raw)
        own = None if isinstance(self.cell, str) else self.cell
        prepared = prepare_given(
            experiment,
            raw,
            self._targets(raw, y),
            make=own,
            class_weight=self.class_weight,
        )
        if names is not None and self.learn == SERIES:
            prepared.reader.columns = tuple(names)
        run = trained(prepared, own=own, progress=bool(self.verbose))
        if self.verbose and (why := stopped_early(run)) is not None:
            patience = experiment.training.early_stopping_patience
            notify(f"stopped {why} (early_stopping_patience={patience})")
        self._network = run
        self._fitted_on_table = table
        if not table:
            columns = None if prepared.reader.is_symbols else prepared.reader.dim_input
            note_features(self, columns, None if columns is None else names)
        return self

    def _targets(self, raw: RawSequences, y: Any) -> RawTargets:
        """Return the checked targets of the sequences."""
        return RawTargets.read(self.learn, y, raw.offsets)

    def experiment(self) -> Experiment:
        """Return the settings as an experiment whose sequences are in memory.

        Raises
        ------
        InvalidArgument
            When a setting is invalid.
        """
        named = isinstance(self.cell, str)
        if named:
            _checks.one_of("cell", self.cell, tuple(kinds("model")))
        elif not callable(self.cell) or (not isinstance(self.cell, type) and hasattr(self.cell, "parameters")):
            raise InvalidArgument(
                f"cell must be one of {', '.join(map(repr, kinds('model')))}, or a model class or a function that "
                f"makes a model, not {_checks.shown(self.cell)}"
            )
        if _is_seed(self.random_state):
            _checks.integer("random_state", self.random_state, minimum=0, maximum=2**32 - 1)
        _checks.real("learning_rate", self.learning_rate, above=0)
        sections: dict[str, Any] = {"data": {"learn": self.learn}, "optimizer": {}, "training": {}}
        for name, (section, setting) in PLACES.items():
            if section in sections and name not in self.without:
                sections[section][setting] = getattr(self, name)
        if callable(self.tokenize):
            sections["data"]["tokenize"] = AUTO
        training = sections["training"]
        if not _is_seed(self.random_state):
            # `fit` draws a seed.
            del training["seed"]
        # The labels of a dict may be of any kind, which the settings of an experiment cannot say.
        training.pop("class_weight", None)
        if "truncate" in training:
            window = training["truncate"]
            training["truncate"] = 0 if window is None else _checks.integer("truncate", window, minimum=1)
        return Experiment(model=self._model(named), **sections)

    def _model(self, named: bool) -> dict[str, Any]:
        """Return the settings of the model that are not as usual."""
        chosen = {name: getattr(self, name) for name in OF_SOME_MODELS}
        given = {name: value for name, value in chosen.items() if value != _usual()[name]}
        if "activation" in given and self.cell != "rnn":
            raise InvalidArgument(f"activation is for the cell 'rnn', not for {_checks.shown(self.cell)}: leave it out")
        width = given.pop("dim_embedding", AUTO)
        if isinstance(width, str) and width != AUTO:
            raise InvalidArgument(f"dim_embedding must be an integer, None or 'auto', not {width!r}")
        if not named:
            if given or width not in (None, AUTO):
                raise InvalidArgument(
                    "layers, dim_embedding and bidirectional are for the cells that have a name: leave them out"
                )
            return {"name": OWN, "dim_recurrent": self.dim_recurrent}
        if width != AUTO:
            given["dim_embedding"] = 0 if width is None else _checks.integer("dim_embedding", width, minimum=1)
        return {"name": self.cell, "dim_recurrent": self.dim_recurrent, **given}

    def report(
        self, X: Any, y: Any = None, *, train: tuple[Any, Any] | None = None, period: int | None = None
    ) -> Report:
        """Return a report on sequences with known targets: the scores of the network, also by position and by class.

        Parameters
        ----------
        X, y : object
            In the form that `fit` takes; y is omitted if the targets follow from the sequences.
        train : tuple of (X, y), optional
            The training data, for tags or text: baselines such as n-grams are fitted on them and shown in the report.
        period : int, optional
            For a series: compare with the value this many steps before, instead of the last one.

        Returns
        -------
        Report

        Raises
        ------
        InvalidArgument
            When an argument is invalid or does not apply to the estimator.
        """
        known = None
        if train is not None:
            if not isinstance(train, tuple | list) or len(train) != 2:
                raise InvalidArgument(f"train must be (X, y), or (X, None) of text, not {_checks.shown(train)}")
            known = known_of(self._run, self._table(train[0]), train[1])
        return report_on(self._run, self._table(X), y, known, period)

    def _sequences(self, X: Any) -> Any:
        """Return X with a single text or series wrapped into a list."""
        return X

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write the fitted estimator into a new run folder, and return its path.

        It holds JSON, CSV and safetensors. For a user-defined cell only the weights are saved; a tokenizing function is
        not.

        Raises
        ------
        RunError
            When the folder is not empty or cannot be written.
        """
        run, target = self._run, empty_folder(folder, self.word)
        settings = {name: _plain(value) for name, value in self.get_params(deep=False).items() if name != "cell"}
        noted: dict[str, Any] = {"settings": settings, "table": self._fitted_on_table}
        for name in ("n_features_in", "feature_names_in"):
            if hasattr(self, f"{name}_"):
                noted[name] = np.asarray(getattr(self, f"{name}_")).tolist()
        experiment = self.experiment().with_training(seed=run.experiment.training.seed)
        described = describe_model(run.model, run.reader, experiment.model)
        write_run(target, {**Job(experiment, described).settings(target), ESTIMATOR: noted}, run, {}, pictures=False)
        return target

    @classmethod
    def load(cls, folder: str | os.PathLike[str], cell: Any = None, tokenize: Any = None) -> Self:
        """Read an estimator that `save` wrote, or that of a run on data.

        Parameters
        ----------
        folder : path
        cell : class or callable, optional
            For a user-defined cell: the argument `cell` of the saved estimator.
        tokenize : callable, optional
            If text was split by a function: that function.

        Raises
        ------
        RunError
            When the folder is missing or damaged; the message names the file and the fault.
        InvalidArgument
            When `cell` or `tokenize` is missing or not the saved one, or the run learned something else.
        """
        own = holds_own(folder)
        if own and cell is None:
            raise InvalidArgument(
                f"{folder} holds the weights of a user-defined cell: give its class or function as cell="
            )
        if not own and cell is not None:
            raise InvalidArgument(f"{folder} holds a built-in cell: leave out cell=")
        return cls.of_run(load_run(folder, cell, tokenize))

    @classmethod
    def of_run(cls, run: Run) -> Self:
        """Return the estimator of a run on data."""
        reader = run.reader
        if not isinstance(reader, DataReader):
            raise InvalidArgument(f"{run.folder} was trained on a task: it holds no {cls.word} of given sequences")
        if reader.learn != cls.learn:
            raise InvalidArgument(f"{run.folder} learned {reader.learn}, but a {cls.word} learns {cls.learn}")
        noted = run.further
        try:
            found = cls(**_parameters(cls, run, reader))
            found.experiment()
            found._network = run
            table = noted.get("table", False)
            if not isinstance(table, bool):
                raise InvalidArgument("'table' must be true or false")
            columns = noted.get("n_features_in", None if reader.is_symbols else reader.dim_input)
            if columns is not None:
                _checks.integer("n_features_in", columns, minimum=1)
            names = noted.get("feature_names_in", reader.columns and list(reader.columns))
            if names is not None and (
                not isinstance(names, list) or len(names) != columns or not all(isinstance(n, str) for n in names)
            ):
                raise InvalidArgument("'feature_names_in' must be a string for each column")
            found._fitted_on_table = table
            note_features(found, columns, names)
        except InvalidArgument as error:
            assert run.folder is not None
            damaged(run.folder, INDEX, f"cannot be used: {error}", error)
        return found

    def _check_read(self, raw: RawSequences) -> None:
        """Refuse a `tokenize` that does not fit X; with `verbose`, say how text was split."""
        how = raw.tokenize if isinstance(raw, TokenSequences) else None
        # Lists of strings are words.
        if self.tokenize not in ("auto", how) and (how is not None or self.tokenize not in self.unread):
            read = "but X holds none" if how is None else f"but X was read as {how}"
            raise InvalidArgument(f"tokenize={_checks.shown(self.tokenize)} says how to read text, {read}")
        if self.verbose and self.tokenize == "auto" and isinstance(raw, TokenSequences) and how is not None:
            notify(f"X is read as {how} ({len(raw.symbols):,} different ones)")

    # Inside ----------------------------------------------------------------------------------------------------------

    @property
    def _run(self) -> Run:
        """The trained network with what it reads."""
        check_is_fitted(self)
        return self._network

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether there is a trained network."""
        return hasattr(self, "_network")

    # The results under scikit-learn's names; the classes list them.
    run_ = property(lambda self: self._run)
    model_ = property(lambda self: self._run.model)
    history_ = property(lambda self: self._run.history.columns)
    best_epoch_ = property(lambda self: self._run.best)
    encoder_ = property(lambda self: self._reader.encoder)
    targets_ = property(lambda self: self._reader.targets)
    tokenize_ = property(lambda self: self._reader.tokenize)

    @property
    def _reader(self) -> DataReader:
        """What the network reads."""
        reader = self._run.reader
        assert isinstance(reader, DataReader)
        return reader

    def _read(self, X: Any) -> Sequences:
        """Return X as the network reads it."""
        return self._reader.read(self._table(X))

    def _table(self, X: Any) -> Any:
        """Return X, checked if it is a table and the estimator was fitted on one."""
        check_is_fitted(self)
        if is_table(X) and self._fitted_on_table:
            return checked_table(self, X, reset=False)
        check_names(self, X)
        return self._sequences(X)

    def __sklearn_tags__(self) -> Any:
        """Return the estimator tags of scikit-learn."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def _constructor(names: Mapping[str, Any]) -> Callable[..., None]:
    """Return a constructor with these parameters; like all of scikit-learn's, it stores its arguments unchecked."""

    def __init__(self: Any, *arguments: Any, **given: Any) -> None:
        bound = signature.bind(self, *arguments, **given)
        bound.apply_defaults()
        for name in names:
            setattr(self, name, bound.arguments[name])

    kind = inspect.Parameter
    first, *others = names
    signature = inspect.Signature(
        [
            kind("self", kind.POSITIONAL_OR_KEYWORD),
            kind(first, kind.POSITIONAL_OR_KEYWORD, default=names[first]),
            *(kind(name, kind.KEYWORD_ONLY, default=names[name]) for name in others),
        ]
    )
    __init__.__signature__ = signature  # type: ignore[attr-defined]
    return keywords(__init__)


def _is_seed(random_state: Any) -> bool:
    return isinstance(random_state, int | np.integer)


def _seed_of(random_state: Any) -> int:
    """Return a seed: `random_state` itself, or a new one from a generator; None is that of NumPy."""
    return int(random_state if _is_seed(random_state) else check_random_state(random_state).randint(2**31 - 1))


def by_sequence(rows: NDArray[Any], sequences: Sequences) -> list[NDArray[Any]]:
    """Return the predictions for the steps of each sequence."""
    return np.split(rows, sequences.offsets[1:-1])


def _plain(value: Any) -> Any:
    """Return a setting as a value for JSON."""
    if isinstance(value, dict):
        return [[_plain(key), _plain(item)] for key, item in value.items()]
    if isinstance(value, np.generic):
        return value.item()
    # The state of a generator cannot be restored, and a function cannot be stored.
    return None if isinstance(value, np.random.RandomState) or callable(value) else value


def _parameters(cls: type[SequenceEstimator], run: Run, reader: DataReader) -> dict[str, Any]:
    """Return the arguments of the estimator of a run: its original ones, or those of the run's experiment."""
    names = [name for name in PLACES if name not in cls.without and name != "cell"]
    experiment, settings = run.experiment, run.further.get("settings")
    cell = run.own if run.own is not None else experiment.model.name
    if settings is None:
        parts = {"data": experiment.source.settings, "model": experiment.model.settings}
        parts |= {"optimizer": experiment.optimizer.settings, "training": experiment.training}
        found = {
            name: getattr(parts[section], setting)
            for name, (section, setting) in PLACES.items()
            if name in names and hasattr(parts.get(section), setting)
        }
        weight = experiment.training.class_weight
        further = {
            "optimizer": experiment.optimizer.name,
            "truncate": truncated_at(experiment.training.truncate, cls.learn),
            "class_weight": dict(weight) if isinstance(weight, tuple) else weight,
            "per_step": reader.per_step,
        }
        if "dim_embedding" in found:
            found["dim_embedding"] = found["dim_embedding"] or None
        return {"cell": cell, **found, **{name: value for name, value in further.items() if name in names}}
    if not isinstance(settings, dict) or (odd := sorted(set(settings) ^ set(names))):
        what = "the settings" if not isinstance(settings, dict) else f"a setting {odd[0]!r}"
        raise InvalidArgument(f"{what} of the {cls.word} cannot be used")
    settings = dict(settings)
    if callable(reader.tokenize):
        settings["tokenize"] = reader.tokenize
    if isinstance(settings.get("class_weight"), list):
        settings["class_weight"] = _pairs(settings["class_weight"])
    return {"cell": cell, **settings}


def _pairs(listed: list[Any]) -> dict[Any, Any]:
    if not all(isinstance(pair, list) and len(pair) == 2 and not isinstance(pair[0], list | dict) for pair in listed):
        raise InvalidArgument("class_weight must be pairs of a label and a number")
    return {label: weight for label, weight in listed}
