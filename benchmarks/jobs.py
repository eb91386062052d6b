"""Jobs: a model, its first weights and its sequences, the same for every peer."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cells import (
    GALLERY,
    AttentionGRU,
    BidirectionalGRU,
    CharacterGRU,
    MinimalGatedTagger,
    MinimalGatedUnit,
    Tagger,
    gallery_cell,
)
from benchmarks.matrix_states import MATRIX_STATES
from myrnn.data import SequenceEncoder, flat_sequences
from myrnn.models import GRU, LSTM, RNN
from myrnn.models.model import parameter_names
from myrnn.sequences import Sequences
from myrnn.tasks import TwinHalves

MODELS = {
    "rnn": RNN,
    "gru": GRU,
    "lstm": LSTM,
    "mgu": MinimalGatedUnit,
    "mgu-tagger": MinimalGatedTagger,
    "bidirectional": BidirectionalGRU,
    "attention": AttentionGRU,
    "tagger": Tagger,
    "characters": CharacterGRU,
    **{name: partial(gallery_cell, name) for name in GALLERY},
    **MATRIX_STATES,
}

# The gates of each cell in the order of the model's layers: fc_x2<gate> and fc_h2<gate>.
GATES = {"rnn": "h", "gru": "zrn", "lstm": "ifog", "mgu": "fn", "mgu-tagger": "fn"}
GATES |= dict.fromkeys(("bidirectional", "attention", "tagger", "characters"), "zrn")

# The attributes of a model's recurrent layers, unless it is one itself.
PREFIXES = {"bidirectional": ("forward.", "backward."), "attention": ("layer.",), "tagger": ("layer.",)}
PREFIXES["characters"] = ("layer.",)

# The models with logits, and so targets, at every step.
PER_STEP = ("mgu-tagger", "tagger", "characters", "lmu", *MATRIX_STATES)

LEARNING_RATE = 1e-3
DIM_INPUT, DIM_OUTPUT = 10, 2

# Sets of sequences of different lengths, with C and K; the others have the sizes of twin halves.
VOWELS, TOKENS, SENTENCES = "Japanese Vowels", "tokens", "sentences"
DIMENSIONS = {VOWELS: (12, 9), TOKENS: (DIM_INPUT, DIM_OUTPUT), SENTENCES: (500, 12)}
TOKEN_SEQUENCES, SENTENCE_COUNT = 10_000, 2_000

# A text that is read in parallel streams, a window of each per iteration, until its end.
CHARACTERS = "characters"
STREAMS, WINDOW, WINDOWS, SYMBOLS = 64, 64, 240, 100
DIMENSIONS[CHARACTERS] = (SYMBOLS, SYMBOLS)


@dataclass(frozen=True)
class Job:
    """One model to train with Adam, on twin halves of one-hot digits (C = 10 inputs, K = 2 classes) or on a set.

    Attributes
    ----------
    cell : str
        A key of `MODELS`.
    shortest, longest : int
        T of the sequences: every even number between is equally likely.
    dim_recurrent : int
        D.
    batch_size : int
        B, the sequences of one iteration.
    drawn : bool
        Whether new sequences are drawn within the measured time; otherwise a fixed set is drawn beforehand.
    data : str
        The name of a set of sequences of different lengths: an iteration is then an epoch, in batches of B.
    heads : int
        The number of matrices that are the state of a cell of `matrix_states`.
    """

    cell: str
    shortest: int = 2
    longest: int = 20
    dim_recurrent: int = 50
    batch_size: int = 1
    drawn: bool = True
    data: str = ""
    heads: int = 1

    @property
    def dim_input(self) -> int:
        return DIMENSIONS.get(self.data, (DIM_INPUT, DIM_OUTPUT))[0]

    @property
    def dim_output(self) -> int:
        return DIMENSIONS.get(self.data, (DIM_INPUT, DIM_OUTPUT))[1]

    @property
    def task(self) -> Any:
        halves = TwinHalves(self.shortest // 2, self.longest // 2)
        return Parities(halves) if self.cell in PER_STEP else halves

    def model(self) -> Any:
        """Return the model with its first weights, always the same."""
        options = {"heads": self.heads} if self.cell in MATRIX_STATES else {}
        return MODELS[self.cell](self.dim_input, self.dim_recurrent, self.dim_output, rng=0, **options)

    def sequences(self, iterations: int, seed: int = 0) -> Sequences:
        """Return the sequences of this many batches: drawn, or the first of the set."""
        if self.data:
            return data_set(self.data).select(np.arange(iterations * self.batch_size))
        drawn: Sequences = self.task.sample(iterations * self.batch_size, np.random.default_rng(seed))
        return drawn


class Parities:
    """The sequences of another task with a target at every step: whether its digit is odd."""

    dim_output = DIM_OUTPUT

    def __init__(self, task: TwinHalves) -> None:
        self._task, self.dim_input, self.lengths = task, task.dim_input, task.lengths

    def sample(self, n: int, rng: np.random.Generator) -> Sequences:
        drawn = self._task.sample(n, rng)
        return Sequences(drawn.values, drawn.offsets, drawn.values % 2, drawn.dim_input, per_step=True)


def data_set(name: str) -> Sequences:
    """Return a whole set.

    `TOKENS` have lengths of 0 to 500 and a class each. `SENTENCES` have lengths of 5 to 40, a vocabulary of 500, and a
    class at every step. Both are random, including the classes, because the time does not depend on what is learned.
    `VOWELS` are the training utterances, standardised. `CHARACTERS` are the streams of a text, with the next character
    as the class of each.
    """
    if name == CHARACTERS:
        symbols = characters()
        count = len(symbols) - 1
        return Sequences(symbols[:-1], [0, count], symbols[1:], SYMBOLS, per_step=True).cut(STREAMS)
    if name == TOKENS:
        rng = np.random.default_rng(0)
        offsets = np.concatenate(([0], np.cumsum(rng.integers(0, 501, size=TOKEN_SEQUENCES))))
        tokens, labels = rng.integers(DIM_INPUT, size=offsets[-1]), rng.integers(DIM_OUTPUT, size=TOKEN_SEQUENCES)
        return Sequences(tokens, offsets, labels, DIM_INPUT)
    if name == SENTENCES:
        rng, (symbols, classes) = np.random.default_rng(0), DIMENSIONS[SENTENCES]
        offsets = np.concatenate(([0], np.cumsum(rng.integers(5, 41, size=SENTENCE_COUNT))))
        tokens, targets = rng.integers(symbols, size=offsets[-1]), rng.integers(classes, size=offsets[-1])
        return Sequences(tokens, offsets, targets, symbols, per_step=True)
    from sktime.datasets import load_japanese_vowels  # late: a large package that only this needs

    utterances, speakers = load_japanese_vowels("train", return_type="df-list")
    raw = flat_sequences([utterance.to_numpy() for utterance in utterances])
    order = np.random.default_rng(0).permutation(len(raw))
    return SequenceEncoder.fit(raw).encode(raw, speakers.astype(np.int64) - 1).select(order)


@cache
def characters() -> NDArray[np.int64]:
    """Return a text that comes with Python, with 983,041 characters, as symbols.

    It is the documentation that ``help()`` shows, followed by the modules of the standard library in alphabetical
    order.
    The most frequent characters are 0 .. 98; all others are 99.
    """
    size, parts = STREAMS * WINDOW * WINDOWS + 1, [topics[name] for name in sorted(topics)]
    modules = iter(sorted(Path(os.__file__).parent.glob("*.py")))
    while sum(map(len, parts)) < size:
        parts.append(next(modules).read_text(encoding="utf-8"))
    text = "".join(parts)[:size]
    ranks = {character: rank for rank, (character, _) in enumerate(Counter(text).most_common(SYMBOLS - 1))}
    return np.array([ranks.get(character, SYMBOLS - 1) for character in text])


def weights_by_name(job: Job) -> dict[str, NDArray[np.float32]]:
    """Return copies of the first weights of `job.model()`, by the parameters' names, such as ``fc_x2h.weight``.

    Rows are inputs; a bias is (1, D).
    """
    model = job.model()
    return {name: tensor.data.copy() for name, tensor in zip(parameter_names(model), model.parameters, strict=True)}


@dataclass(frozen=True)
class Weights:
    """The first weights of one recurrent layer and of the readout as plain float32 arrays, gate by gate.

    Attributes
    ----------
    x2h, bias, h2h : dict of ndarray, (C, D), (D,) and (D, D)
        By the gate's letter; rows are inputs.
    h2y, bias_y : ndarray, (D, K) and (K,)
    """

    x2h: dict[str, NDArray[np.float32]]
    bias: dict[str, NDArray[np.float32]]
    h2h: dict[str, NDArray[np.float32]]
    h2y: NDArray[np.float32]
    bias_y: NDArray[np.float32]


def first_weights(job: Job, prefix: str = "") -> Weights:
    """Return `weights_by_name` gate by gate, of the layer with this prefix, one of the job's `PREFIXES`."""
    named, gates = weights_by_name(job), GATES[job.cell]
    return Weights(
        {gate: named[f"{prefix}fc_x2{gate}.weight"] for gate in gates},
        {gate: named[f"{prefix}fc_x2{gate}.bias"][0] for gate in gates},
        {gate: named[f"{prefix}fc_h2{gate}.weight"] for gate in gates},
        named["fc_h2y.weight"],
        named["fc_h2y.bias"][0],
    )


def matrix_flops(job: Job) -> float:
    """Return the floating-point operations of one iteration's matrix products over the hidden state.

    Forward, and the gradients of the state and of the weights: three products for each gate and step except the first
    (whose state is zero), and for the readout. The inputs are tokens, whose product is a look-up and does not count.
    """
    step = 2 * len(GATES[job.cell]) * job.dim_recurrent**2
    readout = 2 * job.dim_recurrent * DIM_OUTPUT
    return 3.0 * job.batch_size * ((job.longest - 1) * step + readout)


class Replay:
    """A task that gives the same sequences, in order, again and again."""

    dim_output = DIM_OUTPUT

    def __init__(self, data: Sequences) -> None:
        self._data, self.dim_input = data, data.dim_input
        self.lengths = np.unique(data.lengths)

    def sample(self, n: int, rng: np.random.Generator) -> Sequences:
        return self._data.select(np.arange(n) % len(self._data))
