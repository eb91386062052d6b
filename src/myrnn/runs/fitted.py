"""A model trained on given sequences, with its encoders: it reads such sequences and predicts what it learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.compiler import CompiledModel, compile
from myrnn.data import (
    SERIES,
    ClassLabels,
    Numbers,
    RawSequences,
    SequenceEncoder,
    Standardizer,
    TargetEncoder,
    TokenSequences,
    Vocabulary,
    flat_sequences,
)
from myrnn.errors import InvalidArgument
from myrnn.evaluation import Classifier
from myrnn.models import network_of
from myrnn.results import check_finite, check_lost, is_lost
from myrnn.sequences import Sequences
from myrnn.training import History

# A series leaves the trained range if it exceeds it by this share of its width.
BEYOND = 0.1


@dataclass(eq=False, repr=False)
class Fitted:
    """The result of a training on given sequences: a model with its encoders.

    Attributes
    ----------
    model : callable
        With the weights of its best epoch.
    encoder : SequenceEncoder
        Turns sequences into model input.
    targets : TargetEncoder
        The targets that were learned.
    history : History
        Its unit is the epoch.
    best_epoch : int
        From 1.
    tokenize : {"words", "characters"}, callable or None
        How text is split into symbols; None if the sequences are not text.
    engine : str
    names_unknown : bool
        Whether a warning names symbols that did not occur in training, each once.
    columns : tuple of str or None
        The column names of a series that was read from a table or came as a data frame.
    is_cut : bool
        Whether the user interrupted it; the model is usable nevertheless.

    Examples
    --------
    >>> from myrnn import Experiment
    >>> from myrnn.data import ClassLabels, RawTargets, flat_sequences
    >>> from myrnn.runs import fit
    >>> training = {"max_epochs": 2, "engine": "mygrad"}
    >>> experiment = Experiment(data=(["ab", "ba"] * 5, ["yes", "no"] * 5), model="gru", training=training)
    >>> labels = ClassLabels.fit(experiment.memory.y)
    >>> targets = RawTargets.labels(labels, labels.encode(experiment.memory.y))
    >>> fitted = fit(experiment, flat_sequences(experiment.memory.X), targets, random_state=0)
    >>> fitted.class_names, fitted.symbol_names, fitted.dim_input
    (('no', 'yes'), ('?', 'a', 'b'), 3)
    >>> fitted.probabilities(["ab", "b"]).shape
    (2, 2)
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
    named: set[Any] = field(default_factory=set)

    def __repr__(self) -> str:
        """Return the class of the model, what it reads and learned, and its best epoch."""
        inputs, outputs = f"{self.dim_input:,} inputs", f"{self.dim_output:,} outputs"
        network, learn = type(network_of(self.model)).__name__, self.targets.learn
        return f"Fitted({network}: {inputs}, {outputs}, learned {learn}, best epoch {self.best_epoch:,})"

    @cached_property
    def predictor(self) -> Classifier:
        """Computes the outputs of the model."""
        return Classifier(self.model, self.engine)

    @cached_property
    def compiled(self) -> CompiledModel:
        """The compiled model, which continues sequences step by step; raises CompileError if it does not compile."""
        return compile(self.model, check=False)

    @property
    def is_symbols(self) -> bool:
        """Whether the model reads symbols instead of numbers."""
        return isinstance(self.encoder.inner, Vocabulary)

    @property
    def text_as(self) -> str:
        """How to split text for the model: as in its training, or into words if it learned from lists of symbols."""
        return "characters" if self.encoder.kind == "characters" else "words"

    @property
    def dim_input(self) -> int:
        """C: the number of symbols or columns."""
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
        """The names of the classes."""
        return self.targets.class_names

    @property
    def symbol_names(self) -> tuple[str, ...] | None:
        """The names of the symbols, ``?`` for unknown ones; None if the model reads numbers."""
        inner = self.encoder.inner
        return ("?", *map(str, inner.symbols)) if isinstance(inner, Vocabulary) else None

    def read_texts(self, texts: Sequence[str]) -> Sequences:
        """Return texts as model input; words are separated by white space if the model reads words."""
        return self.read(list(texts) if self.text_as == "characters" else [text.split() for text in texts])

    def raw(self, X: Any) -> RawSequences:
        """Return sequences of the kind that the model reads; a warning names unknown symbols."""
        # Who learned lists of words also reads text: its words.
        how = self.tokenize or (self.text_as if self.is_symbols else "characters")
        raw = flat_sequences(X, self.encoder.kind, how)
        if not len(raw):
            raise InvalidArgument("X holds no sequence: found array with 0 sample(s), at least one is needed")
        self._name_unknown(raw)
        if self.targets.learn == SERIES and isinstance(raw, Numbers):
            read = self.targets.differences.of(raw)
            self.warn_of_range(read.rows, "steps of the series")
        return raw

    def read(self, X: Any, labels: NDArray[np.int64] | None = None) -> Sequences:
        """Return sequences as model input, with their class numbers if these are known."""
        raw = self.raw(X)
        return self.targets.inputs(self.encoder, raw) if labels is None else self.encoder.encode(raw, labels)

    def scores(self, X: Any) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the outputs of sequences, float32 (N, K), or of all their steps, (sum of T, K); and the lengths (N,).

        Some outputs may not be finite.
        """
        sequences = self.read(X)
        return scores_of(self.predictor, sequences), sequences.lengths

    def finite_scores(self, X: Any) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the outputs and lengths; raises NotFinite if outputs are not finite."""
        sequences = self.read(X)
        return self.outputs(sequences), sequences.lengths

    def outputs(self, sequences: Sequences) -> NDArray[np.float32]:
        """Return the outputs of encoded sequences; raises NotFinite if some are not finite."""
        found = scores_of(self.predictor, sequences)
        check_lost(lost_sequences(found, sequences), sequences.lengths)
        return found

    def probabilities(self, X: Any, not_finite: float | None = None) -> NDArray[np.float64]:
        """Return the probabilities of the classes, float64 (N, K).

        Raises
        ------
        NotFinite
            When logits are not finite and `not_finite` is None.
        """
        return probabilities_of(*self.scores(X), not_finite)

    def warn_of_range(self, rows: NDArray[np.float64], what: str) -> None:
        """Warn if rows of a series, or its differences, are clearly outside of the range of the training."""
        inner = self.encoder.inner
        assert isinstance(inner, Standardizer)
        low, high = np.array(inner.low), np.array(inner.high)
        beyond = np.maximum(low - rows, rows - high) - BEYOND * (high - low)
        outside = (beyond > 0).any(axis=1)
        if not outside.any():
            return
        row, column = np.unravel_index(np.argmax(beyond), beyond.shape)
        name = f"column {column}" if self.columns is None else repr(self.columns[column])
        where = f" in {name}" if len(low) > 1 else ""
        verb = "is" if outside.sum() == 1 else "are"
        learned = "differences" if self.targets.differences.lost else "numbers"
        instead = "" if self.targets.differences.lost else "; difference=1 (--difference 1) learns changes instead"
        warn(
            f"{int(outside.sum()):,} of {len(rows):,} {what} {verb} outside of the {learned} that were learned "
            f"({low[column]:.4g} to {high[column]:.4g}{where}), the farthest {rows[row, column]:.4g}: "
            f"predictions mean little there{instead}"
        )

    def _name_unknown(self, raw: RawSequences) -> None:
        """Warn once about each symbol that was not in the training."""
        inner = self.encoder.inner
        if not self.names_unknown or not isinstance(inner, Vocabulary) or not isinstance(raw, TokenSequences):
            return
        new = {symbol: count for symbol, count in inner.unknown(raw).items() if symbol not in self.named}
        if not new:
            return
        self.named.update(new)
        names = _checks.first_of(list(new))
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
        When logits are not finite and `not_finite` is None.
    """
    if not_finite is None:
        check_finite(logits, lengths)
    lost = is_lost(logits)
    found = np.full(logits.shape, np.nan if not_finite is None else float(not_finite))
    found[~lost] = scipy.special.softmax(logits[~lost].astype(np.float64), axis=1)
    return found


def scores_of(classifier: Classifier, sequences: Sequences) -> NDArray[np.float32]:
    """Return the outputs of every sequence or step; they do not depend on the other sequences, bit for bit.

    They are float32, K each. Some may not be finite.
    """
    found = classifier.in_parts(sequences, lambda place, outputs: (place, outputs))
    if len(found) < 2:
        return found[0][1] if found else classifier.scores(sequences)
    whole = np.empty((len(sequences.targets), found[0][1].shape[1]), dtype=np.float32)
    for place, outputs in found:
        whole[place] = outputs
    return whole


def lost_sequences(outputs: NDArray[np.floating[Any]], sequences: Sequences) -> NDArray[np.bool_]:
    """Return which sequences have outputs that are not finite, bool (N,)."""
    return sequences_of(is_lost(outputs), sequences)


def sequences_of(lost: NDArray[np.bool_], sequences: Sequences) -> NDArray[np.bool_]:
    """Return which sequences have a row of targets that is marked, bool (N,)."""
    if not sequences.per_step:
        return lost
    marked = np.zeros(len(sequences), dtype=np.bool_)
    marked[np.searchsorted(sequences.offsets, np.flatnonzero(lost), side="right") - 1] = True
    return marked
