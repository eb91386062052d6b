"""A recurrent network as a classifier of scikit-learn: the face of an experiment with sequences in memory."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from myrnn import _checks
from myrnn._keywords import keywords
from myrnn.data import LABELS, ClassLabels, RawSequences, RawTargets
from myrnn.errors import InvalidArgument
from myrnn.estimators.base import SequenceEstimator
from myrnn.results import NO_CLASS, check_finite, is_lost, predicted, warn_of_lost


class SequenceClassifier(ClassifierMixin, SequenceEstimator):
    """A recurrent network that classifies sequences of different lengths, with scikit-learn's conventions.

    Parameters
    ----------
    cell : {"rnn", "gru", "lstm", "mgu", "stack-rnn"} or callable
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
    bidirectional : bool
        Whether each layer reads in both directions; for cells by name.
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
    model_ : a network of this package or a user-defined model
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

    learn, word = LABELS, "classifier"

    @keywords
    def __init__(
        self,
        cell: Any = "rnn",
        *,
        dim_recurrent: int = 50,
        activation: str | None = None,
        layers: int = 1,
        dim_embedding: int | str | None = "auto",
        bidirectional: bool = False,
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
        self._keep(locals())

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
        return self._fit(X, y)

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

    def _scores(self, X: Any) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the logits (N, K), of which some may not be finite, and the lengths (N,)."""
        return self._fitted.scores(self._table(X))

    def _targets(self, raw: RawSequences, y: Any) -> RawTargets:
        if not len(raw):
            raise InvalidArgument("X holds no sequence: at least two are needed, of two classes")
        return RawTargets.labels(*checked_labels(y, len(raw)))


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
