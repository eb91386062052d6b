"""A recurrent network that predicts a tag for every step of a sequence."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from myrnn.data.symbols import RawSequences
from myrnn.data.targets import TAGS, RawTargets, flat_tags
from myrnn.errors import InvalidArgument
from myrnn.estimators.base import AUTO, SequenceEstimator, by_sequence


class SequenceTagger(SequenceEstimator):
    """A recurrent network that labels every step of sequences of different lengths.

    Parameters
    ----------
    cell : str or callable
        As for `SequenceClassifier`; a user-defined model returns logits for every step, (T, K).
    bidirectional : bool
        Whether each layer reads in both directions, so that a tag may depend on later steps; for built-in cells.
    class_weight : {"balanced"} or dict, optional
        The weight of each tag in the loss.
    others
        As for `SequenceClassifier`.

    Attributes
    ----------
    classes_ : ndarray (K,)
        The tags, ascending.
    history_, best_epoch_, model_, tokenize_, encoder_, n_features_in_
        As those of `SequenceClassifier`; the accuracy is the share of steps.

    Notes
    -----
    X is as for `SequenceClassifier`; y holds a tag for each step: a list (T,) of strings, integers, floats or booleans
    for each sequence, with at least two different ones in all, or an array (N, T). For a string X whose symbols are its
    characters, the tags may be a string of the same length.

    References
    ----------
    Graves and Schmidhuber, "Framewise phoneme classification with bidirectional LSTM and other neural network
    architectures", 2005.

    Examples
    --------
    >>> from myrnn import SequenceTagger
    >>> words = ["abba", "cab", "bac", "dad", "add", "cad"] * 5
    >>> kinds = ["".join("v" if letter == "a" else "c" for letter in word) for word in words]
    >>> tagger = SequenceTagger(dim_recurrent=8, max_epochs=20, learning_rate=0.03, engine="mygrad", random_state=0)
    >>> [tags.tolist() for tags in tagger.fit(words, kinds).predict(["bad", "a"])]
    [['c', 'v', 'c'], ['v']]
    """

    learn, word = TAGS, "tagger"
    without = frozenset(("per_step", "truncate", "loss", "difference", "period"))
    defaults: ClassVar = {"cell": "gru"}

    classes_ = property(lambda self: self._reader.labels.classes)

    def _targets(self, raw: RawSequences, y: Any) -> RawTargets:
        try:
            return super()._targets(raw, y)
        except InvalidArgument as error:
            if self.tokenize == AUTO and getattr(raw, "tokenize", None) == "words" and "step" in str(error):
                raise InvalidArgument(f"{error}; X is read as words: tokenize='characters' reads characters") from None
            raise

    def predict(self, X: Any) -> list[NDArray[Any]]:
        """Return the most probable tag of every step: N arrays (T,).

        Raises
        ------
        NotFinite
            When logits are not finite.
        """
        sequences = self._read(X)
        return by_sequence(self.classes_[np.argmax(self._run.outputs(sequences), axis=1)], sequences)

    def predict_proba(self, X: Any) -> list[NDArray[np.float64]]:
        """Return the probabilities of the tags of every step, in the order of `classes_`: N arrays float64 (T, K).

        Raises
        ------
        NotFinite
            When logits are not finite.
        """
        sequences = self._read(X)
        return by_sequence(self._run.probabilities(sequences), sequences)

    def score(self, X: Any, y: Any) -> float:
        """Return the share of all steps whose tag is correct; y is as in `fit`."""
        sequences = self._read(X)
        predictions = self.classes_[np.argmax(self._run.outputs(sequences), axis=1)].tolist()
        truth = flat_tags(y, sequences.offsets)
        if not predictions:
            raise InvalidArgument("every sequence of X is empty: there is nothing to score")
        return sum(tag == right for tag, right in zip(predictions, truth, strict=True)) / len(predictions)
