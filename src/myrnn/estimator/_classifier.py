"""A recurrent network as a classifier of scikit-learn."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted

from myrnn import _checks
from myrnn._keywords import keywords
from myrnn._user_code import warn
from myrnn.data import TOKENIZE, RawSequences, SequenceEncoder, TokenSequences, Vocabulary, flat_sequences
from myrnn.errors import InvalidArgument
from myrnn.estimator._given import checked_labels, checked_table, is_table, note_features
from myrnn.estimator._loss import scores_of
from myrnn.estimator._saving import ADDED, load_classifier, save_classifier
from myrnn.estimator._split import validation_mask
from myrnn.estimator._train import train_model
from myrnn.evaluation import Classifier
from myrnn.models import ACTIVATIONS, parameters_of
from myrnn.registry import find
from myrnn.results import NO_CLASS, check_finite, is_lost, predicted, warn_of_lost
from myrnn.schedules import schedule_names
from myrnn.training import ENGINES, Checkpoint

# Unknown symbols that a warning names.
MOST_NAMED = 5


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
        return self._fit(X, y, None)

    def _fit(self, X: Any, y: ArrayLike, checkpoint: Checkpoint | None) -> Self:
        self.check_settings()
        table = is_table(X)
        given = checked_table(self, X, reset=True) if table else X
        raw = flat_sequences(given, tokenize=self.tokenize)
        self._check_read(raw)
        if not len(raw):
            raise InvalidArgument("X holds no sequence: at least two are needed, of two classes")
        labels, numbers = checked_labels(y, len(raw))
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31 - 1))
        validation = validation_mask(numbers, self.validation_fraction, rng)
        encoder = SequenceEncoder.fit(
            raw, ~validation, standardize=self.standardize, max_vocabulary=self.max_vocabulary
        )
        if not np.repeat(~validation, np.diff(raw.offsets)).any():
            raise InvalidArgument("every sequence of X is empty: there is nothing to learn from")
        trained = train_model(self, encoder, labels, encoder.encode(raw, numbers), validation, rng, checkpoint)
        self.classes_, self.encoder_, self.model_ = labels.classes, encoder, trained.model
        self.tokenize_ = raw.tokenize if isinstance(raw, TokenSequences) else None
        self._named_unknown: set[Any] = set()
        self.history_, self.best_epoch_ = trained.history, trained.best_epoch
        self._predictor = trained.predictor
        note_features(self, None if isinstance(encoder.inner, Vocabulary) else encoder.dim_input, table)
        return self

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
            best = np.argmax(self._finite_scores(X), axis=1)
            return self.classes_[best]
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
        if not_finite is None:
            return softmax(self._finite_scores(X).astype(np.float64), axis=1)
        logits = self._scores(X)[0].astype(np.float64)
        lost = is_lost(logits)
        probabilities = np.full(logits.shape, float(not_finite))
        probabilities[~lost] = softmax(logits[~lost], axis=1)
        return probabilities

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
        """Write the fitted classifier into a folder of its own, as JSON and safetensors, and return its path.

        Of a user-defined cell only the weights are kept; a function that tokenizes is not.

        Raises
        ------
        RunError
            When the folder holds something or cannot be written.
        """
        check_is_fitted(self)
        return save_classifier(folder, self)

    @classmethod
    def load(cls, folder: str | os.PathLike[str], cell: Any = None, tokenize: Any = None) -> Self:
        """Read a classifier that `save` wrote.

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
        return load_classifier(cls, folder, cell, tokenize)

    def check_settings(self) -> None:
        """Refuse settings that no training can go by; raises InvalidArgument."""
        _checks.integer("dim_recurrent", self.dim_recurrent, minimum=1)
        if isinstance(self.random_state, int | np.integer):
            _checks.integer("random_state", self.random_state, minimum=0, maximum=2**32 - 1)
        find("optimizer", self.optimizer)
        _checks.one_of("schedule", self.schedule, schedule_names())
        _checks.one_of("engine", self.engine, ENGINES)
        if not callable(self.tokenize):
            _checks.one_of("tokenize", self.tokenize, TOKENIZE)
        if self.activation is not None:
            _checks.one_of("activation", self.activation, tuple(ACTIVATIONS))
            if self.cell != "rnn":
                raise InvalidArgument(
                    f"activation is for the cell 'rnn', not for {_checks.shown(self.cell)}: leave it out"
                )
        _checks.real("learning_rate", self.learning_rate, above=0)
        _checks.real("weight_decay", self.weight_decay, minimum=0)
        _checks.integer("batch_size", self.batch_size, minimum=1)
        _checks.integer("max_epochs", self.max_epochs, minimum=1)
        _checks.real("validation_fraction", self.validation_fraction, minimum=0, below=1)
        if not isinstance(self.standardize, bool | np.bool_):
            raise InvalidArgument(f"standardize must be True or False, not {_checks.shown(self.standardize)}")
        for name in ("early_stopping_patience", "max_vocabulary"):
            if getattr(self, name) is not None:
                _checks.integer(name, getattr(self, name), minimum=1)
        if self.gradient_clip is not None:
            _checks.real("gradient_clip", self.gradient_clip, above=0)

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

    def _finite_scores(self, X: Any) -> NDArray[np.float32]:
        """Return the logits (N, K); raises NotFinite where one is not finite."""
        logits, lengths = self._scores(X)
        check_finite(logits, lengths)
        return logits

    def _scores(self, X: Any) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the logits (N, K), of which some may not be finite, and the lengths (N,)."""
        check_is_fitted(self)
        table = is_table(X) and self._fitted_on_table
        given = checked_table(self, X, reset=False) if table else X
        raw = flat_sequences(given, self.encoder_.kind, self.tokenize_ or "characters")
        if not len(raw):
            raise InvalidArgument("X holds no sequence: found array with 0 sample(s), at least one is needed")
        sequences = self.encoder_.encode(raw)
        self._name_unknown(raw)
        return scores_of(self._predictor, sequences), sequences.lengths

    def _name_unknown(self, raw: RawSequences) -> None:
        """Warn once about each symbol that the training did not see."""
        inner = self.encoder_.inner
        if not isinstance(inner, Vocabulary) or not isinstance(raw, TokenSequences):
            return
        if self.max_vocabulary is not None and len(inner.symbols) >= self.max_vocabulary:
            # The user asked for rare symbols to count as unknown.
            return
        new = {symbol: count for symbol, count in inner.unknown(raw).items() if symbol not in self._named_unknown}
        if not new:
            return
        self._named_unknown.update(new)
        names = ", ".join(map(_checks.shown, list(new)[:MOST_NAMED])) + (", ..." if len(new) > MOST_NAMED else "")
        were, count = ("1 symbol was", "counts") if len(new) == 1 else (f"{len(new):,} symbols were", "count")
        share = sum(new.values()) / len(raw.codes)
        warn(f"{were} not in the training and {count} as unknown: {names} ({share:.1%} of all steps)")

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: not the compiled network, which is made again when it is needed."""
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_predictor"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take what was pickled."""
        super().__setstate__(state)
        if hasattr(self, "encoder_"):
            self.__dict__.setdefault("tokenize_", "characters" if self.encoder_.kind == "characters" else None)
            self.__dict__.setdefault("_named_unknown", set())
        for name, value in ADDED.items():
            self.__dict__.setdefault(name, value)
        if hasattr(self, "model_"):
            for parameter in parameters_of(self.model_):
                # Joblib hands large arrays to other processes as files, which MyGrad cannot work on.
                parameter.data = np.array(parameter.data)
            self._predictor = Classifier(self.model_, self.engine)

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn wants to know of it."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def fit_with_checkpoints(classifier: SequenceClassifier, X: Any, y: ArrayLike, checkpoint: Checkpoint) -> None:
    """Fit a classifier, from the last checkpoint of a folder on where it holds one.

    Parameters
    ----------
    classifier : SequenceClassifier
        With an integer for `random_state`: everything else that it draws must be the same again.
    X, y
        As `SequenceClassifier.fit` takes them, the same as before.
    checkpoint : Checkpoint
    """
    classifier._fit(X, y, checkpoint)
