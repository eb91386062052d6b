"""The common base of the estimators: settings as an experiment, fitting, saving, loading and pickling."""

from __future__ import annotations

import os
from collections.abc import Sized
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from myrnn import _checks
from myrnn.data import (
    LABELS,
    SERIES,
    TOKENIZE,
    ClassLabels,
    RawSequences,
    RawTargets,
    TargetEncoder,
    TokenSequences,
    flat_sequences,
)
from myrnn.errors import InvalidArgument
from myrnn.estimators.tables import check_names, checked_table, is_table, names_of, note_features
from myrnn.evaluation import Report
from myrnn.experiment import Experiment
from myrnn.learning_curve import LearningCurve
from myrnn.models import ACTIVATIONS, parameters_of
from myrnn.output import notify
from myrnn.registry import kinds
from myrnn.runs import (
    INDEX,
    Fitted,
    Job,
    Run,
    described,
    fit,
    holds_own,
    known_of,
    load_run,
    report_on,
    stopped_early,
    truncated_at,
    write_data_run,
)
from myrnn.storage import damaged, empty_folder

# The embedding size that a network chooses itself.
AUTO = "auto"
# Stands for a function in a folder, which cannot store it.
OWN = "own"
# Training settings that estimators have under the same name.
TRAINING = (
    "max_epochs",
    "batch_size",
    "engine",
    "validation_fraction",
    "early_stopping_patience",
    "schedule",
    "gradient_clip",
    "loss",
)
# Settings of the data that only some estimators have.
DATA = ("per_step", "difference", "period")
# Settings that early saved classifiers lack, with their values.
LATER = {"bidirectional": False}


class SequenceEstimator(BaseEstimator):
    """A recurrent network that learns from sequences of different lengths, with scikit-learn's conventions.

    The common base of `SequenceClassifier`, `SequenceTagger`, `SequenceRegressor`, `LanguageModel` and
    `SequenceForecaster`, which have their settings as attributes.
    """

    # The kind of targets, and the name of the estimator in messages.
    learn: ClassVar[str]
    word: ClassVar[str]
    # Values of `tokenize` that are allowed if X holds lists of symbols instead of text.
    unread: ClassVar[tuple[Any, ...]] = ("words",)

    cell: Any
    dim_recurrent: int
    activation: str | None
    layers: int
    optimizer: str
    learning_rate: float
    weight_decay: float
    random_state: Any
    engine: str
    verbose: bool
    # For estimators that have them.
    dim_embedding: int | str | None = AUTO
    bidirectional: bool = False
    class_weight: Any = None
    tokenize: Any = AUTO
    standardize: bool = True
    max_vocabulary: int | None = None

    def _keep(self, settings: dict[str, Any]) -> None:
        """Store the arguments of the constructor unchanged and unchecked, as scikit-learn requires."""
        for name, value in settings.items():
            if name not in ("self", "__class__"):
                setattr(self, name, value)

    def _fit(self, X: Any, y: Any) -> Self:
        names, X = names_of(X), self._sequences(X)
        experiment, table = self.experiment(), is_table(X)
        given = checked_table(self, X, reset=True) if table else X
        raw = flat_sequences(given, tokenize=self.tokenize)
        self._check_read(raw)
        targets = self._targets(raw, y)
        fitted = fit(
            experiment,
            raw,
            targets,
            random_state=self.random_state,
            make=None if isinstance(self.cell, str) else self.cell,
            class_weight=self.class_weight,
            progress=bool(self.verbose),
        )
        if names is not None and self.learn == SERIES:
            fitted.columns = tuple(names)
        training = experiment.training
        if self.verbose and (why := stopped_early(fitted, training.max_epochs)) is not None:
            notify(f"stopped {why} (early_stopping_patience={training.early_stopping_patience})")
        self._take(fitted)
        note_features(self, None if fitted.is_symbols else fitted.dim_input, table)
        if names is not None and not table and not fitted.is_symbols:
            self.feature_names_in_ = np.array(names, dtype=object)
        return self

    def _targets(self, raw: RawSequences, y: Any) -> RawTargets:
        """Return the checked targets of the sequences."""
        if not len(raw):
            raise InvalidArgument("X holds no sequence: at least one is needed")
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
        if not callable(self.tokenize):
            _checks.one_of("tokenize", self.tokenize, TOKENIZE)
        if isinstance(self.random_state, int | np.integer):
            _checks.integer("random_state", self.random_state, minimum=0, maximum=2**32 - 1)
        return Experiment(
            data={
                "learn": self.learn,
                **{name: getattr(self, name) for name in DATA if hasattr(self, name)},
                "tokenize": AUTO if callable(self.tokenize) else self.tokenize,
                "standardize": self.standardize,
                "max_vocabulary": self.max_vocabulary,
            },
            model=self._model(named),
            optimizer={
                "name": self.optimizer,
                "learning_rate": _checks.real("learning_rate", self.learning_rate, above=0),
                "weight_decay": self.weight_decay,
            },
            training={
                **{name: getattr(self, name) for name in TRAINING if hasattr(self, name)},
                **self._truncate(),
                "seed": self.random_state if isinstance(self.random_state, int | np.integer) else 0,
            },
        )

    def _truncate(self) -> dict[str, int]:
        """Return the window in steps for estimators that have one; 0 means whole sequences."""
        if not hasattr(self, "truncate"):
            return {}
        given = self.truncate
        return {"truncate": 0 if given is None else _checks.integer("truncate", given, minimum=1)}

    def _model(self, named: bool) -> dict[str, Any]:
        """Return the settings of the model."""
        if self.activation is not None:
            _checks.one_of("activation", self.activation, tuple(ACTIVATIONS))
            if self.cell != "rnn":
                raise InvalidArgument(
                    f"activation is for the cell 'rnn', not for {_checks.shown(self.cell)}: leave it out"
                )
        layers, width = _checks.integer("layers", self.layers, minimum=1), self.dim_embedding
        if isinstance(width, str) and width != AUTO:
            raise InvalidArgument(f"dim_embedding must be an integer, None or 'auto', not {width!r}")
        if width not in (None, AUTO):
            width = _checks.integer("dim_embedding", width, minimum=1)
        if not named:
            if layers != 1 or width not in (None, AUTO) or self.bidirectional:
                raise InvalidArgument(
                    "layers, dim_embedding and bidirectional are for the cells that have a name: leave them out"
                )
            return {"name": OWN, "dim_recurrent": self.dim_recurrent}
        settings: dict[str, Any] = {"name": self.cell, "dim_recurrent": self.dim_recurrent}
        if self.activation is not None:
            settings["activation"] = self.activation
        if layers != 1:
            settings["layers"] = layers
        if self.bidirectional:
            settings["bidirectional"] = self.bidirectional
        if width != AUTO:
            settings["dim_embedding"] = width or 0
        return settings

    def _take(self, fitted: Fitted) -> None:
        """Store the results of the training under scikit-learn's names."""
        self.encoder_, self.targets_, self.model_ = fitted.encoder, fitted.targets, fitted.model
        if isinstance(fitted.targets.inner, ClassLabels):
            self.classes_ = fitted.targets.inner.classes
        self.tokenize_, self.best_epoch_ = fitted.tokenize, fitted.best_epoch
        self.history_ = fitted.history.columns
        self._network = fitted

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
        check_is_fitted(self)
        known = None
        if train is not None:
            if not isinstance(train, tuple | list) or len(train) != 2:
                raise InvalidArgument(f"train must be (X, y), or (X, None) of text, not {_checks.shown(train)}")
            known = known_of(self._fitted, self._table(train[0]), train[1])
        return report_on(self._fitted, self._table(X), y, known, period)

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
        check_is_fitted(self)
        fitted = self._fitted
        target = empty_folder(folder, self.word)
        settings = {name: _plain(value) for name, value in self.get_params(deep=False).items() if name != "cell"}
        noted: dict[str, Any] = {"settings": settings, "table": self._fitted_on_table}
        for name in ("n_features_in", "feature_names_in"):
            if hasattr(self, f"{name}_"):
                noted[name] = np.asarray(getattr(self, f"{name}_")).tolist()
        experiment = self.experiment()
        index = Job.on_data(experiment, {}).settings(target, described(experiment, fitted, fitted.model))
        numbers = {"training": {"engine": fitted.history.engine, "longest": fitted.history.longest}}
        write_data_run(target, {**index, "classifier": noted}, fitted, numbers, {}, pictures=False)
        return target

    @classmethod
    def load(cls, folder: str | os.PathLike[str], cell: Any = None, tokenize: Any = None) -> Self:
        """Read an estimator that `save` wrote, or that of a run on data.

        Parameters
        ----------
        folder : path
        cell : callable, optional
            The model class or function, if it is user-defined.
        tokenize : callable, optional
            The function that splits text into symbols, if the estimator uses one.

        Raises
        ------
        RunError
            When the folder is missing, incomplete, damaged or of another version; the message names the fault.
        InvalidArgument
            When a cell or a function is missing, or is given but not needed.
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
        if run.fitted is None:
            raise InvalidArgument(f"{run.folder} was trained on a task: it holds no {cls.word} of given sequences")
        if (learned := run.fitted.targets.learn) != cls.learn:
            raise InvalidArgument(f"{run.folder} learned {learned}, but a {cls.word} learns {cls.learn}")
        noted = run.noted
        try:
            found = cls(**_parameters(cls, run, noted))
            found.experiment()
            found._take(run.fitted)
            table = noted.get("table", False)
            if not isinstance(table, bool):
                raise InvalidArgument("'table' must be true or false")
            columns = noted.get("n_features_in", None if run.fitted.is_symbols else run.fitted.dim_input)
            note_features(found, None, table)
            if columns is not None:
                found.n_features_in_ = _checks.integer("n_features_in", columns, minimum=1)
            names = noted.get("feature_names_in", run.fitted.columns and list(run.fitted.columns))
            if names is not None:
                if not isinstance(names, list) or len(names) != columns or not all(isinstance(n, str) for n in names):
                    raise InvalidArgument("'feature_names_in' must be a string for each column")
                found.feature_names_in_ = np.array(names, dtype=object)
        except InvalidArgument as error:
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
    def _fitted(self) -> Fitted:
        """The trained network with its encoders."""
        check_is_fitted(self)
        return self._network

    def _table(self, X: Any) -> Any:
        """Return X, checked if it is a table and the estimator was fitted on one."""
        check_is_fitted(self)
        if is_table(X) and self._fitted_on_table:
            return checked_table(self, X, reset=False)
        check_names(self, X)
        return self._sequences(X)

    def _by_sequence(self, rows: NDArray[Any], lengths: NDArray[np.int64]) -> list[NDArray[Any]]:
        """Return the predictions for the steps of each sequence."""
        return np.split(rows, np.cumsum(lengths)[:-1])

    def __getstate__(self) -> dict[str, Any]:
        """Return the state to pickle, without the compiled network, which is compiled again when it is needed."""
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_network"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickled state."""
        super().__setstate__(state)
        for name, value in (("activation", None), ("tokenize", "auto"), ("bidirectional", False)):
            self.__dict__.setdefault(name, value)
        if hasattr(self, "model_"):
            if "targets_" not in state:
                self.targets_ = TargetEncoder(LABELS, ClassLabels(self.classes_))
            self.__dict__.setdefault("tokenize_", "characters" if self.encoder_.kind == "characters" else None)
            for parameter in parameters_of(self.model_):
                # Joblib sends large arrays to other processes as memory maps, which MyGrad cannot use.
                parameter.data = np.array(parameter.data)
            named = getattr(self, "feature_names_in_", None) if self.learn == SERIES else None
            self._network = Fitted(
                self.model_,
                self.encoder_,
                self.targets_,
                LearningCurve.from_columns(self.history_),
                self.best_epoch_,
                tokenize=self.tokenize_,
                engine=self.engine,
                columns=None if named is None else tuple(named),
                names_unknown=self.max_vocabulary is None
                or len(getattr(self.encoder_.inner, "symbols", ())) < self.max_vocabulary,
            )

    def __sklearn_tags__(self) -> Any:
        """Return the estimator tags of scikit-learn."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def check_count(said: Sized, y: Sized) -> None:
    """Refuse a `y` for more or fewer sequences than there are."""
    if len(y) != len(said):
        have = _checks.count_of(len(said), "sequence")
        raise InvalidArgument(f"X holds {have}, but y is for {_checks.count_of(len(y), 'sequence')}")


def _plain(value: Any) -> Any:
    """Return a setting as a value for JSON."""
    if isinstance(value, dict):
        return [[_plain(key), _plain(item)] for key, item in value.items()]
    if isinstance(value, np.generic):
        return value.item()
    # The state of a generator cannot be restored, and a function cannot be stored.
    return None if isinstance(value, np.random.RandomState) or callable(value) else value


def _parameters(cls: type[SequenceEstimator], run: Run, noted: Any) -> dict[str, Any]:
    """Return the arguments of the estimator of a run: its original ones, or those of the run's experiment."""
    names = [name for name in cls().get_params(deep=False) if name != "cell"]
    cell = run.own if run.own is not None else run.experiment.model.name
    settings = noted.get("settings")
    if settings is None:
        data, training, model = run.experiment.data, run.experiment.training, run.experiment.model.settings
        optimizer = run.experiment.optimizer
        weight = training.class_weight
        found = {name: getattr(training, name) for name in TRAINING}
        found["truncate"] = truncated_at(training.truncate, cls.learn)
        deep = {
            name: getattr(model, name) for name in ("layers", "activation", "bidirectional") if hasattr(model, name)
        }
        width = {"dim_embedding": model.dim_embedding or None} if hasattr(model, "dim_embedding") else {}
        every = {
            **found,
            **deep,
            **width,
            "cell": cell,
            "dim_recurrent": model.dim_recurrent,
            "optimizer": optimizer.name,
            "learning_rate": optimizer.settings.learning_rate,
            "weight_decay": optimizer.settings.weight_decay,
            "class_weight": dict(weight) if isinstance(weight, tuple) else weight,
            "tokenize": data.tokenize,
            "standardize": data.standardize,
            "max_vocabulary": data.max_vocabulary,
            "difference": data.difference,
            "period": data.period,
            "random_state": training.seed,
            "per_step": run.fitted.targets.per_step,  # type: ignore[union-attr]  # there is one
        }
        return {name: value for name, value in every.items() if name in names or name == "cell"}
    if isinstance(settings, dict):
        settings = {**{name: value for name, value in LATER.items() if name in names}, **settings}
    if not isinstance(settings, dict) or (odd := sorted(set(settings) ^ set(names))):
        what = "the settings" if not isinstance(settings, dict) else f"a setting {odd[0]!r}"
        raise InvalidArgument(f"{what} of the {cls.word} cannot be used")
    if callable(run.fitted.tokenize):  # type: ignore[union-attr]  # there is one
        settings["tokenize"] = run.fitted.tokenize  # type: ignore[union-attr]
    if isinstance(settings.get("class_weight"), list):
        settings["class_weight"] = _pairs(settings["class_weight"])
    return {"cell": cell, **settings}


def _pairs(listed: list[Any]) -> dict[Any, Any]:
    if not all(isinstance(pair, list) and len(pair) == 2 and not isinstance(pair[0], list | dict) for pair in listed):
        raise InvalidArgument("class_weight must be pairs of a label and a number")
    return {label: weight for label, weight in listed}
