"""A model that was trained on given sequences: it reads such sequences, and says how probable their classes are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.data import ClassLabels, RawSequences, SequenceEncoder, TokenSequences, Vocabulary, flat_sequences
from myrnn.errors import InvalidArgument
from myrnn.evaluation import Classifier
from myrnn.results import check_finite, is_lost
from myrnn.sequences import Sequences
from myrnn.training import History

# Unknown symbols that a warning names.
MOST_NAMED = 5


@dataclass(eq=False)
class Fitted:
    """What a training on given sequences leaves: a model that reads such sequences.

    Attributes
    ----------
    model : callable
        With the weights of its best epoch.
    encoder : SequenceEncoder
        Makes the model's inputs of sequences.
    labels : ClassLabels
    history : History
        Its unit is the epoch.
    best_epoch : int
        From 1.
    tokenize : {"words", "characters"}, callable or None
        What makes symbols of text; None where the sequences are none.
    engine : str
    names_unknown : bool
        Whether a warning names symbols that the training did not see, each once.
    is_cut : bool
        Whether the user interrupted it; the model can be used nevertheless.
    """

    model: Any
    encoder: SequenceEncoder
    labels: ClassLabels
    history: History
    best_epoch: int
    tokenize: Any = None
    engine: str = "auto"
    names_unknown: bool = True
    is_cut: bool = False
    named: set[Any] = field(default_factory=set, repr=False)

    @cached_property
    def predictor(self) -> Classifier:
        """What returns the logits of the model."""
        return Classifier(self.model, self.engine)

    @property
    def is_symbols(self) -> bool:
        """Whether the model reads symbols, and not numbers."""
        return isinstance(self.encoder.inner, Vocabulary)

    @property
    def text_as(self) -> str:
        """How text is read for the model: as in its training, and lists of symbols as words."""
        return "characters" if self.encoder.kind == "characters" else "words"

    @property
    def dim_input(self) -> int:
        """C: symbols or columns that the model reads."""
        return self.encoder.dim_input

    @property
    def dim_output(self) -> int:
        """K: the number of classes."""
        return len(self.labels)

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the classes are called."""
        return tuple(map(str, self.labels.classes.tolist()))

    @property
    def symbol_names(self) -> tuple[str, ...] | None:
        """What the symbols are called, ``?`` for those that are not known; None where the model reads numbers."""
        inner = self.encoder.inner
        return ("?", *map(str, inner.symbols)) if isinstance(inner, Vocabulary) else None

    def read_texts(self, texts: Sequence[str]) -> Sequences:
        """Return texts as the model reads them, the words of each parted by white space if it reads words."""
        return self.read(list(texts) if self.text_as == "characters" else [text.split() for text in texts])

    def read(self, X: Any, labels: NDArray[np.int64] | None = None) -> Sequences:
        """Return sequences as the model reads them, with the numbers of their classes where these are known."""
        raw = flat_sequences(X, self.encoder.kind, self.tokenize or "characters")
        if not len(raw):
            raise InvalidArgument("X holds no sequence: found array with 0 sample(s), at least one is needed")
        sequences = self.encoder.encode(raw, labels)
        self._name_unknown(raw)
        return sequences

    def scores(self, X: Any) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the logits (N, K), of which some may not be finite, and the lengths (N,)."""
        sequences = self.read(X)
        return scores_of(self.predictor, sequences), sequences.lengths

    def probabilities(self, X: Any, not_finite: float | None = None) -> NDArray[np.float64]:
        """Return the probabilities of the classes, float64 (N, K).

        Raises
        ------
        NotFinite
            When logits are not finite, and `not_finite` does not say what to return for them.
        """
        return probabilities_of(*self.scores(X), not_finite)

    def _name_unknown(self, raw: RawSequences) -> None:
        """Warn once about each symbol that the training did not see."""
        inner = self.encoder.inner
        if not self.names_unknown or not isinstance(inner, Vocabulary) or not isinstance(raw, TokenSequences):
            return
        new = {symbol: count for symbol, count in inner.unknown(raw).items() if symbol not in self.named}
        if not new:
            return
        self.named.update(new)
        names = ", ".join(map(_checks.shown, list(new)[:MOST_NAMED])) + (", ..." if len(new) > MOST_NAMED else "")
        were, count = ("1 symbol was", "counts") if len(new) == 1 else (f"{len(new):,} symbols were", "count")
        share = sum(new.values()) / len(raw.codes)
        warn(f"{were} not in the training and {count} as unknown: {names} ({share:.1%} of all steps)")


def probabilities_of(
    logits: NDArray[np.float32], lengths: NDArray[np.int64], not_finite: float | None = None
) -> NDArray[np.float64]:
    """Return the probabilities of the classes, float64 (N, K), of logits of sequences of these lengths.

    Raises
    ------
    NotFinite
        When logits are not finite, and `not_finite` does not say what to return for them.
    """
    if not_finite is None:
        check_finite(logits, lengths)
    lost = is_lost(logits)
    found = np.full(logits.shape, np.nan if not_finite is None else float(not_finite))
    found[~lost] = softmax(logits[~lost].astype(np.float64), axis=1)
    return found


def scores_of(classifier: Classifier, sequences: Sequences) -> NDArray[np.float32]:
    """Return the logits of every sequence, float32 (N, K), the same bits whatever the others are.

    Some may not be finite.
    """
    # One alone would go through a program of its own, with sums in another order.
    if len(sequences) == 1:
        return classifier.scores(sequences.select([0, 0]))[:1]
    return classifier.scores(sequences)
