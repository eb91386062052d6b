"""A recurrent network as a classifier of scikit-learn: the face of an experiment with sequences in memory."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from myrnn import _checks
from myrnn._keywords import keywords
from myrnn._user_code import warn
from myrnn.data import TOKENIZE, ClassLabels, RawSequences, TokenSequences, flat_sequences
from myrnn.errors import InvalidArgument
from myrnn.experiment import Experiment
from myrnn.models import ACTIVATIONS, parameters_of
from myrnn.registry import kinds
from myrnn.results import NO_CLASS, LearningCurve, check_finite, is_lost, predicted, warn_of_lost
from myrnn.runs import INDEX, Fitted, Job, Run, described, fit, holds_own, load_run, write_data_run
from myrnn.storage import damaged, empty_folder

# A network's word for the embedding that it chooses itself.
AUTO = "auto"
# Stands in a folder for a function, which it cannot hold.
OWN = "own"
# Settings of the training section that have the same name here.
TRAINING = (
    "max_epochs",
    "batch_size",
    "engine",
    "validation_fraction",
    "early_stopping_patience",
    "schedule",
    "gradient_clip",
)


class SequenceClassifier(ClassifierMixin, BaseEstimator):
    """A recurrent network that classifies sequences of different lengths, with scikit-learn's conventions.

    Parameters
    ----------
    cell : {"rnn", "gru", "lstm"} or callable
        The kind of network, or a model class, or a function that makes a model: it is called with ``(dim_input,
        dim_recurrent, dim_output)``. The recurrent weights of those by name begin as orthogonal matrices, which
        neither stretch nor shrink a state.
    dim_recurrent : int
        How many recurrent units every layer has.
    activation : {"relu", "tanh"}, optional
        The nonlinearity of the cell ``"rnn"``, by default relu; the others have their own.
    layers : int
        How many recurrent layers stand on top of each other; for cells by name.
    dim_embedding : int, None or "auto"
        The size of a learned embedding below the lowest layer; for cells by name. With None the lowest layer reads the
        sequence itself, symbols one-hot encoded. ``"auto"`` is an embedding of size 32 for symbols that a GRU or
        an LSTM reads, with which they learn faster and more, and otherwise none.
    optimizer : {"adam", "rmsprop", "sgd"}
    learning_rate : float
        With which the training begins.
    schedule : {"constant", "cosine", "linear"}
        How the learning rate goes on from there: it stays, or falls to zero over `max_epochs`.
    weight_decay : float
        Times the learning rate, the share of every weight that an iteration takes away, as in PyTorch's `AdamW`.
    batch_size : int
        How many sequences each iteration is the mean of.
    max_epochs : int
        How often to go through all sequences at most.
    validation_fraction : float in [0, 1)
        The share of the sequences, of every class alike, that the network does not learn from. It keeps the weights of
        the epoch with the smallest loss on them. With 0 it learns from all and keeps the last weights.
    early_stopping_patience : int, optional
        After how many epochs without a smaller validation loss to stop; None goes on to the last epoch.
    gradient_clip : float, optional
        The largest joint norm of all gradients; a longer one is scaled down to it.
    class_weight : {"balanced"} or dict, optional
        How much the loss of a sequence of each class counts. ``"balanced"`` weighs classes against their frequency.
    tokenize : {"auto", "words", "characters"} or callable
        What the symbols of strings are: their words, which white space parts; their characters; or the strings that a
        function returns of each. ``"auto"`` are words where a string has white space between two words, else
        characters; `tokenize_` says which, and with `verbose` a line. Sequences to predict are read in the same way.
    standardize : bool
        Whether numbers are brought to mean 0 and standard deviation 1, column by column, as measured on the sequences
        of the training. It has no effect on symbols.
    max_vocabulary : int, optional
        How many symbols to tell apart at most, the most frequent ones; the others count as unknown.
    engine : {"auto", "native", "mygrad"}
        As for `myrnn.train`: compiled to native code, or op by op. ``"auto"`` is native where the model compiles.
    random_state : int, RandomState or None
        Seeds the weights, the validation sequences and the order of the sequences.
    verbose : bool
        Whether to show progress: a bar with curves in a terminal and in a notebook, else plain lines.

    Attributes
    ----------
    classes_ : ndarray (K,)
        The labels, rising; the columns of `predict_proba`.
    history_ : dict of ndarray (epochs,)
        ``epoch`` (from 1), ``loss`` and ``accuracy`` (each sequence before the network learned from it) and, where some
        are kept for it, ``validation_loss`` and ``validation_accuracy``.
    best_epoch_ : int
        The epoch whose weights the network has.
    model_ : RNN, GRU, LSTM, Stacked or a user-defined model
        The trained network, for `myrnn.inspect` and its like.
    tokenize_ : {"words", "characters"}, callable or None
        What made symbols of strings; None where X held none.
    encoder_ : SequenceEncoder
        What turns sequences into the network's inputs; ``encoder_.inner`` is the vocabulary or the standardizer.
    n_features_in_ : int
        The number of columns, C; for an array (N, T), its T columns. Sequences of symbols have none.

    Notes
    -----
    X may be

    - a list of (T, C) float arrays, or an array (N, T, C);
    - a list of strings: the symbols are their words or their characters, see `tokenize`;
    - a list of lists of strings, or of integers: these are the symbols;
    - an array (N, T): of integers, T symbols each; of floats, T steps of one number each, since scikit-learn's tables
      are such arrays;
    - a `Sequences`.

    Sequences may differ in length and may be empty. Nothing is padded: no sequence changes what another one gets. The
    vocabulary is learned; symbols that the training did not see share a place of their own, and are for the cells by
    name a step without input. A warning names those that are to be predicted, each once.

    Ctrl-C ends a fit with a warning, and the classifier can be used as it then is. In the first epoch it raises
    KeyboardInterrupt: twice in short order, it ends a search too.

    Examples
    --------
    >>> from myrnn import SequenceClassifier
    >>> words = ["aab", "abab", "ba", "bba", "aa", "b", "abb", "baba"] * 4
    >>> ends = [word[-1] for word in words]
    >>> classifier = SequenceClassifier(
    ...     dim_recurrent=8, max_epochs=20, learning_rate=0.03, engine="mygrad", random_state=0
    ... )
    >>> classifier.fit(words, ends).predict(["bbbba", "ab"]).tolist()
    ['a', 'b']
    """

    @keywords
    def __init__(
        self,
        cell: Any = "rnn",
        *,
        dim_recurrent: int = 50,
        activation: str | None = None,
        layers: int = 1,
        dim_embedding: int | str | None = "auto",
        optimizer: str = "adam",
        learning_rate: float = 0.003,
        schedule: str = "constant",
        weight_decay: float = 0.0,
        batch_size: int = 32,
        max_epochs: int = 100,
        validation_fraction: float = 0.1,
        early_stopping_patience: int | None = 20,
        gradient_clip: float | None = 1.0,
        class_weight: Any = None,
        tokenize: Any = "auto",
        standardize: bool = True,
        max_vocabulary: int | None = None,
        engine: str = "auto",
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.cell = cell
        self.dim_recurrent = dim_recurrent
        self.activation = activation
        self.layers = layers
        self.dim_embedding = dim_embedding
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.validation_fraction = validation_fraction
        self.early_stopping_patience = early_stopping_patience
        self.gradient_clip = gradient_clip
        self.class_weight = class_weight
        self.tokenize = tokenize
        self.standardize = standardize
        self.max_vocabulary = max_vocabulary
        self.engine = engine
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: ArrayLike) -> Self:
        """Learn from sequences and their labels.

        Parameters
        ----------
        X : list, array or Sequences
            N sequences; see the notes of the class.
        y : array_like (N,)
            Strings, integers, floats or booleans; two classes at least.

        Raises
        ------
        InvalidArgument
            When a setting, a sequence or a label is not what it should be; the message says which. It is a ValueError.
        TrainingDiverged
            When the loss is no longer finite.
        """
        experiment = self.experiment()
        table = is_table(X)
        given = checked_table(self, X, reset=True) if table else X
        raw = flat_sequences(given, tokenize=self.tokenize)
        self._check_read(raw)
        if not len(raw):
            raise InvalidArgument("X holds no sequence: at least two are needed, of two classes")
        labels, numbers = checked_labels(y, len(raw))
        fitted = fit(
            experiment,
            raw,
            labels,
            numbers,
            random_state=self.random_state,
            make=None if isinstance(self.cell, str) else self.cell,
            class_weight=self.class_weight,
            progress=bool(self.verbose),
        )
        self._take(fitted)
        note_features(self, None if fitted.is_symbols else fitted.dim_input, table)
        return self

    def experiment(self) -> Experiment:
        """Return the settings as an experiment whose sequences are in memory.

        Raises
        ------
        InvalidArgument
            When a setting is not what it should be.
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
                **{name: getattr(self, name) for name in TRAINING},
                "seed": self.random_state if isinstance(self.random_state, int | np.integer) else 0,
            },
        )

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
            if layers != 1 or width not in (None, AUTO):
                raise InvalidArgument("layers and dim_embedding are for the cells that have a name: leave them out")
            return {"name": f"{OWN}.py", "dim_recurrent": self.dim_recurrent}
        settings = {"name": self.cell, "dim_recurrent": self.dim_recurrent}
        if self.activation is not None:
            settings["activation"] = self.activation
        if layers != 1:
            settings["layers"] = layers
        if width != AUTO:
            settings["dim_embedding"] = width or 0
        return settings

    def _take(self, fitted: Fitted) -> None:
        """Keep what was trained, under scikit-learn's names."""
        self.classes_, self.encoder_, self.model_ = fitted.labels.classes, fitted.encoder, fitted.model
        self.tokenize_, self.best_epoch_ = fitted.tokenize, fitted.best_epoch
        self.history_ = fitted.history.columns
        self._network = fitted

    def predict(self, X: Any, *, not_finite: Any = None) -> NDArray[Any]:
        """Return the most probable class of every sequence, (N,).

        Parameters
        ----------
        X : list, array or Sequences
        not_finite : label, optional
            The class, one of `classes_`, to return for sequences whose logits are not finite; without it, such a
            sequence is an error.

        Raises
        ------
        NotFinite
            When logits are not finite, and no class is named for such sequences.
        """
        if not_finite is None:
            logits, lengths = self._scores(X)
            check_finite(logits, lengths)
            return self.classes_[np.argmax(logits, axis=1)]
        check_is_fitted(self)
        named = np.flatnonzero(self.classes_ == not_finite)
        if len(named) != 1:
            raise InvalidArgument(f"not_finite must be one of the classes, not {_checks.shown(not_finite)}")
        found = predicted(self._scores(X)[0])
        return self.classes_[np.where(found == NO_CLASS, named[0], found)]

    def predict_proba(self, X: Any, *, not_finite: float | None = None) -> NDArray[np.float64]:
        """Return the probabilities of the classes, float64 (N, K), in the order of `classes_`.

        Parameters
        ----------
        X : list, array or Sequences
        not_finite : float, optional
            What to return as the probabilities of sequences whose logits are not finite, such as ``np.nan``; without
            it, such a sequence is an error.

        Raises
        ------
        NotFinite
            When logits are not finite, and no probability is given for such sequences.
        """
        return self._fitted.probabilities(self._table(X), not_finite)

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the share of sequences that are classified rightly.

        A sequence whose logits are not finite counts as wrong, and a warning says how many there are.

        Parameters
        ----------
        X : list, array or Sequences
        y : array_like (N,)
            The true classes.
        sample_weight : array_like (N,), optional
            How much each sequence counts.
        """
        logits, lengths = self._scores(X)
        check_consistent_length(y, logits)
        lost = is_lost(logits)
        warn_of_lost(lost, lengths)
        if lost.all():
            return 0.0
        said, truth = self.classes_[np.argmax(logits, axis=1)], np.asarray(y)
        weights = np.ones(len(lost)) if sample_weight is None else np.asarray(sample_weight)
        right = accuracy_score(truth[~lost], said[~lost], sample_weight=weights[~lost])
        return float(right * (weights[~lost].sum() / weights.sum()))

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write the fitted classifier into a folder of its own, which is a run folder, and return its path.

        It holds JSON, CSV and safetensors. Of a user-defined cell only the weights are kept; a function that tokenizes
        is not.

        Raises
        ------
        RunError
            When the folder holds something or cannot be written.
        """
        check_is_fitted(self)
        fitted = self._fitted
        target = empty_folder(folder, "classifier")
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
        """Read a classifier that `save` wrote, or that of a run on data.

        Parameters
        ----------
        folder : path
        cell : callable, optional
            The model class or function, where the classifier has one of its own.
        tokenize : callable, optional
            The function that makes symbols of text, where the classifier has one.

        Raises
        ------
        RunError
            When the folder is missing, half-written, damaged or of another version; the message says what is wrong.
        InvalidArgument
            When a cell or a function is missing, or is given where none is needed.
        """
        own = holds_own(folder)
        if own and cell is None:
            raise InvalidArgument(f"{folder} holds the weights of a cell of yours: give its class or function as cell=")
        if not own and cell is not None:
            raise InvalidArgument(f"{folder} holds a cell that has a name: leave cell= out")
        return cls._of_run(load_run(folder, cell, tokenize))

    @classmethod
    def _of_run(cls, run: Run) -> Self:
        """Return the classifier of a run on data."""
        if run.fitted is None:
            raise InvalidArgument(f"{run.folder} was trained on a task: it holds no classifier of given sequences")
        noted = run.noted
        try:
            classifier = cls(**_parameters(run, noted))
            classifier.experiment()
            classifier._take(run.fitted)
            table = noted.get("table", False)
            if not isinstance(table, bool):
                raise InvalidArgument("'table' must be true or false")
            columns = noted.get("n_features_in", None if run.fitted.is_symbols else run.fitted.dim_input)
            note_features(classifier, None, table)
            if columns is not None:
                classifier.n_features_in_ = _checks.integer("n_features_in", columns, minimum=1)
            names = noted.get("feature_names_in")
            if names is not None:
                if not isinstance(names, list) or len(names) != columns or not all(isinstance(n, str) for n in names):
                    raise InvalidArgument("'feature_names_in' must be a string for each column")
                classifier.feature_names_in_ = np.array(names, dtype=object)
        except InvalidArgument as error:
            damaged(run.folder, INDEX, f"cannot be used: {error}", error)
        return classifier

    def _check_read(self, raw: RawSequences) -> None:
        """Refuse a `tokenize` that does not fit X; with `verbose`, say how text was read."""
        how = raw.tokenize if isinstance(raw, TokenSequences) else None
        # Lists of strings are words.
        if self.tokenize not in ("auto", how) and (how is not None or self.tokenize != "words"):
            read = "but X holds none" if how is None else f"but X was read as {how}"
            raise InvalidArgument(f"tokenize={_checks.shown(self.tokenize)} says how to read text, {read}")
        if self.verbose and self.tokenize == "auto" and isinstance(raw, TokenSequences) and how is not None:
            print(f"X is read as {how} ({len(raw.symbols):,} different ones)", file=sys.stderr)

    # Inside ----------------------------------------------------------------------------------------------------------

    @property
    def _fitted(self) -> Fitted:
        """What reads and classifies sequences."""
        check_is_fitted(self)
        return self._network

    def _table(self, X: Any) -> Any:
        """Return X, checked where it is a table and the classifier learned from one."""
        check_is_fitted(self)
        return checked_table(self, X, reset=False) if is_table(X) and self._fitted_on_table else X

    def _scores(self, X: Any) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the logits (N, K), of which some may not be finite, and the lengths (N,)."""
        return self._fitted.scores(self._table(X))

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: not the compiled network, which is made again when it is needed."""
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_network"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take what was pickled."""
        super().__setstate__(state)
        for name, value in (("activation", None), ("tokenize", "auto")):
            self.__dict__.setdefault(name, value)
        if hasattr(self, "model_"):
            self.__dict__.setdefault("tokenize_", "characters" if self.encoder_.kind == "characters" else None)
            for parameter in parameters_of(self.model_):
                # Joblib hands large arrays to other processes as files, which MyGrad cannot work on.
                parameter.data = np.array(parameter.data)
            self._network = Fitted(
                self.model_,
                self.encoder_,
                ClassLabels(self.classes_),
                LearningCurve.from_columns(self.history_),
                self.best_epoch_,
                tokenize=self.tokenize_,
                engine=self.engine,
                names_unknown=self.max_vocabulary is None
                or len(getattr(self.encoder_.inner, "symbols", ())) < self.max_vocabulary,
            )

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn wants to know of it."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def _plain(value: Any) -> Any:
    """Return a setting as a value for JSON."""
    if isinstance(value, dict):
        return [[_plain(key), _plain(item)] for key, item in value.items()]
    if isinstance(value, np.generic):
        return value.item()
    # The state of a generator is nothing to go on with, and a function cannot be kept.
    return None if isinstance(value, np.random.RandomState) or callable(value) else value


def _parameters(run: Run, noted: Any) -> dict[str, Any]:
    """Return the arguments of the classifier of a run: as they were, or as the run's experiment says."""
    cell = run.own if run.own is not None else run.experiment.model.name
    settings = noted.get("settings")
    if settings is None:
        data, training, model = run.experiment.data, run.experiment.training, run.experiment.model.settings
        optimizer = run.experiment.optimizer
        weight = training.class_weight
        found = {name: getattr(training, name) for name in TRAINING}
        deep = {name: getattr(model, name) for name in ("layers", "activation") if hasattr(model, name)}
        width = {"dim_embedding": model.dim_embedding or None} if hasattr(model, "dim_embedding") else {}
        return {
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
            "random_state": training.seed,
        }
    names = [name for name in SequenceClassifier().get_params(deep=False) if name != "cell"]
    if not isinstance(settings, dict) or (odd := sorted(set(settings) ^ set(names))):
        what = "the settings" if not isinstance(settings, dict) else f"a setting {odd[0]!r}"
        raise InvalidArgument(f"{what} of the classifier cannot be used")
    settings = dict(settings)
    if callable(run.fitted.tokenize):  # type: ignore[union-attr]  # there is one
        settings["tokenize"] = run.fitted.tokenize  # type: ignore[union-attr]
    if isinstance(settings["class_weight"], list):
        settings["class_weight"] = _pairs(settings["class_weight"])
    return {"cell": cell, **settings}


def _pairs(listed: list[Any]) -> dict[Any, Any]:
    if not all(isinstance(pair, list) and len(pair) == 2 and not isinstance(pair[0], list | dict) for pair in listed):
        raise InvalidArgument("class_weight must be pairs of a label and a number")
    return {label: weight for label, weight in listed}


# What scikit-learn asks of arguments ----------------------------------------------------------------------------------


def is_table(X: Any) -> bool:
    """Whether `X` is what scikit-learn calls one: an array, a data frame or a matrix of two dimensions."""
    if isinstance(X, list | tuple | str):
        return False
    shaped = X if hasattr(X, "ndim") or not hasattr(X, "__array__") else np.asarray(X)
    return getattr(shaped, "ndim", None) == 2


class NotNumbers(InvalidArgument, TypeError):
    """What scikit-learn wants to be a `TypeError`: something in a table that no number can be made of."""


def checked_table(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Return a table as an array; the names and the number of its columns are noted, or compared with those noted.

    Numbers that are not finite are left for others to find, who say where they stand.
    """
    _checks.unmasked("X", X)
    dtype = None if _is_text(X) else "numeric"
    try:
        table = validate_data(estimator, X, reset=reset, dtype=dtype, ensure_all_finite=False, order="C")
    except TypeError as error:
        raise NotNumbers(f"X must hold numbers or text: {error}") from error
    if reset and dtype is None and table.shape[1] == 1:
        warn(
            "X is a table of one column of text, in which every text is one symbol: for its characters give the column "
            "itself, of shape (N,), such as X['text']"
        )
    return table


def _is_text(X: Any) -> bool:
    if hasattr(X, "toarray"):
        return False
    values = np.asarray(X)
    return values.dtype.kind == "U" or (
        values.dtype.kind == "O" and all(isinstance(value, str) for value in values.flat)
    )


def note_features(estimator: Any, columns: int | None, table: bool) -> None:
    """Note the number of columns of sequences that came as something else than a table."""
    estimator._fitted_on_table = table
    if table:
        return
    for name in ("feature_names_in_", "n_features_in_"):
        if hasattr(estimator, name):
            delattr(estimator, name)
    if columns is not None:
        estimator.n_features_in_ = columns


def checked_labels(y: Any, count: int) -> tuple[ClassLabels, NDArray[np.int64]]:
    """Return the classes that occur in `y`, and the number of each label's, int64 (N,).

    Raises
    ------
    InvalidArgument
        When there are not as many labels as sequences, all are the same, or they are no labels.
    """
    if y is None:
        raise InvalidArgument("this classifier requires y to be passed, but the target y is None")
    labels: ArrayLike = _checks.array("y", y) if isinstance(y, np.ndarray) else y
    if not isinstance(y, list | tuple):
        labels = column_or_1d(labels, warn=True)
        assert_all_finite(labels, input_name="y")
    if len(labels) != count:  # type: ignore[arg-type]  # either is a sequence
        given = _checks.count_of(len(labels), "label")  # type: ignore[arg-type]
        raise InvalidArgument(f"X holds {_checks.count_of(count, 'sequence')}, but y {given}")
    classes = ClassLabels.fit(labels)
    if len(classes) < 2:
        only = _checks.shown(classes.classes.tolist()[0])
        raise InvalidArgument(f"y holds one class only, {only}: a classifier needs two or more")
    check_classification_targets(np.asarray(labels))
    return classes, classes.encode(labels)
