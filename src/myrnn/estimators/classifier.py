"""A recurrent network as a scikit-learn classifier: the interface to an experiment with sequences in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from myrnn import _checks
from myrnn.data.symbols import RawSequences
from myrnn.data.targets import LABELS, RawTargets
from myrnn.errors import InvalidArgument
from myrnn.estimators.base import SequenceEstimator
from myrnn.finite import NO_CLASS, is_lost, predicted, warn_of_lost


class SequenceClassifier(ClassifierMixin, SequenceEstimator):
    """A recurrent network that classifies sequences of different lengths, with scikit-learn's conventions.

    It minimises the cross-entropy, weighted by `class_weight`, and takes no other loss. To use your own loss, register
    it (`myrnn.registry.register`), train with `myrnn.run`, and load the run folder with `SequenceClassifier.load`.

    Parameters
    ----------
    cell : str or callable
        The kind of network, such as ``"gru"`` or ``"mamba"`` (`Stacked` lists all), or a model class, or a function
        that makes a model: it is called with ``(dim_input, dim_recurrent, dim_output)``. The recurrent weights of
        built-in cells begin as orthogonal matrices, which neither stretch nor shrink a state.
    dim_recurrent : int
        The number of recurrent units in every layer.
    activation : {"relu", "tanh"}, optional
        The nonlinearity of the cell ``"rnn"``, by default relu; the others have their own.
    layers : int
        The number of recurrent layers; for built-in cells.
    dim_embedding : int, None or "auto"
        The size of a learned embedding below the lowest layer; for built-in cells. With None the lowest layer reads the
        sequence itself, with symbols one-hot encoded. ``"auto"`` is an embedding of size 32 for symbols that are read
        by a cell that learns better with one, such as a GRU or an LSTM, and otherwise none.
    bidirectional : bool
        Whether each layer reads in both directions; for built-in cells.
    optimizer : {"adam", "rmsprop", "sgd"}
    learning_rate : float
        The initial learning rate.
    schedule : {"constant", "cosine", "linear"}
        The course of the learning rate: constant, or falling to zero over `max_epochs`.
    weight_decay : float
        Each iteration shrinks every weight by this share times the learning rate, as in PyTorch's `AdamW`.
    batch_size : int
        The number of sequences per iteration.
    max_epochs : int
        The maximum number of passes through the sequences.
    validation_fraction : float in [0, 1)
        The share of the sequences, equal in every class, that is held out. The network keeps the weights of the epoch
        with the smallest loss on them. With 0 it learns from all sequences and keeps the last weights.
    early_stopping_patience : int, optional
        Stop after this many epochs without a smaller validation loss; None never stops early.
    gradient_clip : float, optional
        The largest joint norm of all gradients; larger ones are scaled down to it.
    class_weight : {"balanced"} or dict, optional
        The weight of each class in the loss. ``"balanced"`` weights classes inversely to their frequency.
    tokenize : {"auto", "words", "characters"} or callable
        The symbols of strings: words separated by white space, characters, or the strings that a function returns for
        each. ``"auto"`` takes words if at least half of the strings have white space between two words, otherwise
        characters; `tokenize_` says which, and with `verbose` a printed line. Sequences to predict are split in the
        same way.
    standardize : bool
        Whether to scale numbers to mean 0 and standard deviation 1, column by column, as measured on the training
        sequences. It has no effect on symbols.
    max_vocabulary : int, optional
        The maximum size of the vocabulary: the most frequent symbols are kept, the others become unknown.
    engine : {"auto", "native", "mygrad"}
        As for `myrnn.train`: compiled to native code, or op by op. ``"auto"`` is native if the model compiles.
    random_state : int, RandomState or None
        Seed of the weights, the validation sequences and the order of the sequences. From a generator, or from that of
        NumPy if it is None, each `fit` draws another seed.
    verbose : bool
        Whether to show progress: a bar with curves in terminals and notebooks, otherwise plain lines.

    Attributes
    ----------
    classes_ : ndarray (K,)
        The labels, ascending; the columns of `predict_proba`.
    history_ : dict of ndarray (epochs,)
        ``epoch`` (from 1), ``loss`` and ``accuracy`` (for each sequence before the network learned from it) and, with
        validation, ``validation_loss`` and ``validation_accuracy``.
    best_epoch_ : int
        The epoch whose weights were kept.
    model_ : a network of this package or a user-defined model
        The trained network, for `myrnn.inspect` and similar functions.
    tokenize_ : {"words", "characters"}, callable or None
        How strings were split into symbols; None if X had none.
    encoder_ : Vocabulary or Standardizer
        Encodes sequences as the network's inputs.
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

    Sequences may differ in length and may be empty. Nothing is padded, so no sequence affects the result of another.
    y holds a label for each sequence, (N,): strings, integers, floats or booleans, of two classes or more.

    The vocabulary is learned; all symbols that did not occur in training share one token, which for built-in cells is a
    step without input. A warning names such symbols in a prediction, each once.

    Ctrl-C ends a fit with a warning, and the classifier is usable in its present state. In the first epoch it raises
    KeyboardInterrupt; pressed twice quickly, it also ends a search.

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
    without = frozenset(("per_step", "truncate", "loss", "difference", "period"))

    classes_ = property(lambda self: self._reader.labels.classes)

    def predict(self, X: Any, *, not_finite: Any = None) -> NDArray[Any]:
        """Return the most probable class of every sequence, (N,).

        Parameters
        ----------
        X : list, array or Sequences
        not_finite : label, optional
            The class, one of `classes_`, for sequences whose logits are not finite; by default they are an error.

        Raises
        ------
        NotFinite
            When logits are not finite and `not_finite` is None.
        """
        if not_finite is None:
            return self.classes_[np.argmax(self._run.outputs(self._read(X)), axis=1)]
        named = np.flatnonzero(self.classes_ == not_finite)
        if len(named) != 1:
            raise InvalidArgument(f"not_finite must be one of the classes, not {_checks.shown(not_finite)}")
        found = predicted(self._run.scores(self._read(X)))
        return self.classes_[np.where(found == NO_CLASS, named[0], found)]

    def predict_proba(self, X: Any, *, not_finite: float | None = None) -> NDArray[np.float64]:
        """Return the probabilities of the classes, float64 (N, K), in the order of `classes_`.

        Parameters
        ----------
        X : list, array or Sequences
        not_finite : float, optional
            The probabilities for sequences whose logits are not finite, such as ``np.nan``; by default they are an
            error.

        Raises
        ------
        NotFinite
            When logits are not finite and `not_finite` is None.
        """
        return self._run.probabilities(self._read(X), not_finite)

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the share of sequences that are classified correctly.

        A sequence whose logits are not finite counts as wrong, and a warning says how many there are.

        Parameters
        ----------
        X : list, array or Sequences
        y : array_like (N,)
            The true classes.
        sample_weight : array_like (N,), optional
            The weight of each sequence.
        """
        sequences = self._read(X)
        check_consistent_length(y, sequences)
        logits = self._run.scores(sequences)
        lost = is_lost(logits)
        warn_of_lost(lost, sequences.lengths)
        if lost.all():
            return 0.0
        predictions, truth = self.classes_[np.argmax(logits, axis=1)], np.asarray(y)
        weights = np.ones(len(lost)) if sample_weight is None else np.asarray(sample_weight)
        right = accuracy_score(truth[~lost], predictions[~lost], sample_weight=weights[~lost])
        return float(right * (weights[~lost].sum() / weights.sum()))

    def _targets(self, raw: RawSequences, y: Any) -> RawTargets:
        labels = _checks.array("y", y) if isinstance(y, np.ndarray) else y
        if y is not None and not isinstance(y, list | tuple):
            labels = column_or_1d(labels, warn=True)
            assert_all_finite(labels, input_name="y")
        given = super()._targets(raw, labels)
        check_classification_targets(np.asarray(labels))
        return given
