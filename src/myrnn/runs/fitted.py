"""A model that was trained on given sequences: it reads such sequences, and says what it has learned of them."""

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
from myrnn.compiler import CompiledModel, compile
from myrnn.data import (
    ClassLabels,
    RawSequences,
    SequenceEncoder,
    TargetEncoder,
    TokenSequences,
    Vocabulary,
    flat_sequences,
)
from myrnn.errors import InvalidArgument
from myrnn.evaluation import Classifier
from myrnn.results import check_finite, check_lost, is_lost
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
    targets : TargetEncoder
        What was learned.
    history : History
        Its unit is the epoch.
    best_epoch : int
        From 1.
    tokenize : {"words", "characters"}, callable or None
        What makes symbols of text; None where the sequences are none.
    engine : str
    names_unknown : bool
        Whether a warning names symbols that the training did not see, each once.
    columns : tuple of str or None
        The names of the columns of a series that was read from a table, or came as a data frame.
    is_cut : bool
        Whether the user interrupted it; the model can be used nevertheless.
    """

    model: Any
    encoder: SequenceEncoder
    targets: TargetEncoder
    history: History
    best_epoch: int
    tokenize: Any = None
    engine: str = "auto"
    names_unknown: bool = True
    is_cut: bool = False
    columns: tuple[str, ...] | None = None
    named: set[Any] = field(default_factory=set, repr=False)

    @cached_property
    def predictor(self) -> Classifier:
        """What returns the outputs of the model."""
        return Classifier(self.model, self.engine)

    @cached_property
    def compiled(self) -> CompiledModel:
        """What reads on step by step; raises CompileError where the model does not compile."""
        return compile(self.model, check=False)

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
        """K: the number of classes, or of numbers."""
        return len(self.targets)

    @property
    def per_step(self) -> bool:
        """Whether there is an output for each step."""
        return self.targets.per_step

    @property
    def labels(self) -> ClassLabels:
        """The classes of sequences or of steps."""
        assert isinstance(self.targets.inner, ClassLabels)
        return self.targets.inner

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the classes are called."""
        return self.targets.class_names

    @property
    def symbol_names(self) -> tuple[str, ...] | None:
        """What the symbols are called, ``?`` for those that are not known; None where the model reads numbers."""
        inner = self.encoder.inner
        return ("?", *map(str, inner.symbols)) if isinstance(inner, Vocabulary) else None

    def read_texts(self, texts: Sequence[str]) -> Sequences:
        """Return texts as the model reads them, the words of each parted by white space if it reads words."""
        return self.read(list(texts) if self.text_as == "characters" else [text.split() for text in texts])

    def raw(self, X: Any) -> RawSequences:
        """Return sequences of the kind that the model reads; a warning names symbols that it does not know."""
        raw = flat_sequences(X, self.encoder.kind, self.tokenize or "characters")
        if not len(raw):
            raise InvalidArgument("X holds no sequence: found array with 0 sample(s), at least one is needed")
        self._name_unknown(raw)
        return raw

    def read(self, X: Any, labels: NDArray[np.int64] | None = None) -> Sequences:
        """Return sequences as the model reads them, with the numbers of their classes where these are known."""
        raw = self.raw(X)
        return self.targets.inputs(self.encoder, raw) if labels is None else self.encoder.encode(raw, labels)

    def scores(self, X: Any) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the outputs of sequences, float32 (N, K), or of all their steps, (sum of T, K); and the lengths (N,).

        Some outputs may not be finite.
        """
        sequences = self.read(X)
        return scores_of(self.predictor, sequences), sequences.lengths

    def finite_scores(self, X: Any) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the same; raises NotFinite where outputs are not finite."""
        sequences = self.read(X)
        return self.outputs(sequences), sequences.lengths

    def outputs(self, sequences: Sequences) -> NDArray[np.float32]:
        """Return the outputs of sequences that were read; raises NotFinite where some are not finite."""
        found = scores_of(self.predictor, sequences)
        check_lost(lost_sequences(found, sequences), sequences.lengths)
        return found

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
    """Return the outputs of every sequence, or of every step, the same bits whatever the other sequences are.

    They are float32, K each. Some may not be finite.
    """
    # One alone would go through a program of its own, with sums in another order.
    if len(sequences) == 1:
        return classifier.scores(sequences.select([0, 0]))[: len(sequences.targets)]
    return classifier.scores(sequences)


def lost_sequences(outputs: NDArray[np.floating[Any]], sequences: Sequences) -> NDArray[np.bool_]:
    """Return which sequences have outputs that are not finite, bool (N,)."""
    lost = is_lost(outputs)
    if not sequences.per_step:
        return lost
    owners = np.repeat(np.arange(len(sequences)), sequences.lengths)
    return np.bincount(owners, lost, minlength=len(sequences)) > 0
