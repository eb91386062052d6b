"""A recurrent network that predicts and generates text."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import numpy as np
import scipy
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.data import TokenSequences, Vocabulary
from myrnn.data.encode import UNKNOWN
from myrnn.data.symbols import RawSequences
from myrnn.data.targets import TEXT, RawTargets
from myrnn.errors import InvalidArgument
from myrnn.estimators.base import SequenceEstimator, by_sequence
from myrnn.generation import generate
from myrnn.losses import CROSS_ENTROPY, losses_of_logits
from myrnn.sequences import Sequences
from myrnn.training.settings import EngineName


class LanguageModel(SequenceEstimator):
    """A recurrent network that learns the probability of each symbol of a text given those before it.

    Parameters
    ----------
    cell : str or callable
        As for `SequenceClassifier`; a user-defined model returns logits for every step, (T, K), and must not read
        backward.
    truncate : int, optional
        The number of steps that are read at a time. States are carried over from window to window, gradients are not,
        so a text may have any length. With None each text is learned as a whole.
    batch_size : int
        The number of texts that are read in parallel. A single long one is cut into this many parts. An epoch has
        at least five iterations: it goes through short data several times.
    tokenize : {"auto", "words", "characters"} or callable
        How to split text into symbols, as for `SequenceClassifier`; characters by default.
    validation_fraction : float in [0, 1)
        The held-out share of the texts, or of the end of a single one.
    others
        As for `SequenceClassifier`.

    Attributes
    ----------
    history_ : dict of ndarray (epochs,)
        ``epoch``, ``loss``, the mean cross-entropy per symbol in nats, ``accuracy``, the share of steps where the most
        probable symbol was right, and their validation values.
    best_epoch_, model_, tokenize_, encoder_
        As those of `SequenceClassifier`; ``encoder_.symbols`` are the symbols.

    Notes
    -----
    X is one text, or a list of independent texts: strings, lists of symbols or of integers; y is ignored. The first
    symbol of a text is given, not predicted. To learn where texts end, end them with a special symbol, such as a line
    break.

    References
    ----------
    Mikolov, Karafiat, Burget, Cernocky and Khudanpur, "Recurrent neural network based language model", 2010. Karpathy,
    Johnson and Fei-Fei, "Visualizing and understanding recurrent networks", 2015.

    Examples
    --------
    >>> from myrnn import LanguageModel
    >>> model = LanguageModel(dim_recurrent=16, max_epochs=20, learning_rate=0.02, random_state=0)
    >>> model.fit("abcabcabd" * 100).perplexity("abcabcabdabc") < 1.5
    True
    >>> model.generate("abc", 6, temperature=0)
    'abdabc'
    """

    learn, word, unread = TEXT, "language model", ("words", "characters")
    without = frozenset(("per_step", "bidirectional", "class_weight", "loss", "standardize", "difference", "period"))
    defaults: ClassVar = {
        "cell": "gru",
        "dim_recurrent": 128,
        "truncate": 64,
        "max_epochs": 20,
        "early_stopping_patience": 3,
        "tokenize": "characters",
    }

    def _sequences(self, X: Any) -> Any:
        return _listed(X)

    def _targets(self, raw: RawSequences, y: Any) -> RawTargets:
        if not isinstance(raw, TokenSequences):
            raise InvalidArgument(
                "X must be text or lists of symbols, not numbers: use a SequenceForecaster for numbers"
            )
        if not (raw.lengths > 1).any():
            raise InvalidArgument("X holds no text of two symbols or more: there is nothing to predict")
        return super()._targets(raw, None)

    def log_probabilities(self, X: Any) -> list[NDArray[np.float64]]:
        """Return the log-probability of each symbol given those before it: N arrays float64 (T - 1,).

        For a single text, the list has one array.

        Raises
        ------
        NotFinite
            When logits are not finite.
        """
        found, sequences = self._log_probabilities(X)
        return by_sequence(found, sequences)

    def score(self, X: Any, y: None = None) -> float:
        """Return the mean log-probability of a symbol, in nats: 0 is perfect."""
        found, _ = self._log_probabilities(X)
        if not len(found):
            raise InvalidArgument("X holds no text of two symbols or more: there is nothing to predict")
        return float(found.mean())

    def perplexity(self, X: Any) -> float:
        """Return the perplexity: predicting is as hard as guessing among this many equally probable symbols."""
        return float(np.exp(-self.score(X)))

    def bits(self, X: Any) -> float:
        """Return the mean cross-entropy of a symbol in bits: bits per character if the symbols are characters."""
        return -self.score(X) / float(np.log(2))

    def next_symbols(self, X: Any) -> dict[Any, float]:
        """Return the probability of each symbol after a text, the most probable first; they add up to 1.

        They are those of `log_probabilities`. ``encoder_.unknown_name`` stands for all symbols that did not occur in
        training. `generate` never draws it, and divides the probabilities of the others by their sum.
        """
        sequences = self._reader.read(_listed(X))
        if len(sequences) != 1 or not len(sequences.values):
            raise InvalidArgument("X must be one text with at least one symbol")
        last = np.empty(len(self._reader.targets))

        def use(place: slice, logits: NDArray[np.float32]) -> None:
            last[:] = logits[-1]

        self._run.use_outputs(sequences, use)
        shares = np.exp(scipy.special.log_softmax(last))
        names = (self._vocabulary.unknown_name, *self._vocabulary.symbols)
        return {names[place]: float(shares[place]) for place in np.argsort(-shares, kind="stable")}

    def generate(
        self,
        prime: Any,
        length: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        seed: int | None = None,
    ) -> Any:
        """Return a continuation of `prime`: see `myrnn.generate`.

        Parameters
        ----------
        prime : str, or list of symbols
            The beginning of the text, at least one symbol. It is not part of the result.
        length : int
            The number of symbols to draw.
        temperature : float
            Values below 1 make likely symbols more likely; 0 always takes the most likely one.
        top_k : int, optional
            Draw only from this many of the most likely symbols.
        seed : int, optional

        Returns
        -------
        str or list
            Text if the model reads text, with words separated by spaces; otherwise a list of symbols. All of them
            occurred in training.
        """
        if not isinstance(prime, str) and self._vocabulary.kind == "characters":
            prime = "".join(prime)
        tokens = self._reader.read([prime]).tokens(0)
        if not len(tokens):
            raise InvalidArgument(f"prime must hold at least one symbol, not {_checks.shown(prime)}")
        drawn = generate(
            self.model_,
            tokens,
            length,
            temperature=temperature,
            top_k=top_k,
            never=[UNKNOWN],
            seed=seed,
            engine=cast(EngineName, self.engine),
        ).tolist()
        kind, symbols = self._vocabulary.kind, self._vocabulary.symbols
        symbols_drawn = [symbols[token - 1] for token in drawn]
        if not isinstance(prime, str):
            return symbols_drawn
        return ("" if kind == "characters" else " ").join(map(str, symbols_drawn))

    @property
    def _vocabulary(self) -> Vocabulary:
        inner = self._reader.encoder
        assert isinstance(inner, Vocabulary)
        return inner

    def _log_probabilities(self, X: Any) -> tuple[NDArray[np.float64], Sequences]:
        reader = self._reader
        sequences = reader.targets.sequences(reader.encoder, reader.raw(_listed(X)))
        found = np.empty(len(sequences.targets))

        def use(place: slice, logits: NDArray[np.float32]) -> None:
            found[place] = -losses_of_logits(CROSS_ENTROPY, logits.astype(np.float64), sequences.targets[place])

        self._run.use_outputs(sequences, use)
        return found, sequences


def _listed(X: Any) -> Any:
    """Wrap a single text, or a single list of integers, into a list."""
    if X is None:
        raise InvalidArgument(f"X must be a text or a list of texts, not {_checks.shown(X)}")
    is_one = isinstance(X, str) or (getattr(X, "ndim", 0) == 1 and np.asarray(X).dtype.kind in "iu")
    if isinstance(X, list | tuple) and len(X):
        is_one = all(isinstance(symbol, int | np.integer) for symbol in X)
    return [X] if is_one else X
