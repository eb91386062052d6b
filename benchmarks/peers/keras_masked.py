"""Keras: sequences padded to one length, with a mask that marks their ends."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Set before Keras is loaded: JAX compiles the loop over the steps, the other backends run it step by step.
os.environ["KERAS_BACKEND"] = "jax"

import jax  # noqa: F401 - so that the table names it if it is missing
import keras

from benchmarks.jobs import LEARNING_RATE, Job, Weights, data_set, first_weights
from myrnn.sequences import Sequences

LAYERS = {"rnn": keras.layers.SimpleRNN, "gru": keras.layers.GRU, "lstm": keras.layers.LSTM}

# The order in which Keras keeps the gates of its layers, in the letters of the job.
GATE_ORDER = {"rnn": "h", "gru": "zrn", "lstm": "ifgo"}


def model_of(job: Job) -> Any:
    """Return Keras's layer after a mask, with a readout of the last hidden state, from the job's first weights."""
    weights = first_weights(job)
    kwargs = {"rnn": {"activation": "relu"}, "gru": {"reset_after": False}, "lstm": {}}[job.cell]
    layer, readout = LAYERS[job.cell](job.dim_recurrent, **kwargs), keras.layers.Dense(job.dim_output)
    model = keras.Sequential([keras.Input((None, job.dim_input)), keras.layers.Masking(mask_value=0.0), layer, readout])
    _put(layer, readout, weights, GATE_ORDER[job.cell])
    model.compile(
        optimizer=keras.optimizers.Adam(LEARNING_RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=True,
    )
    return model


def epochs(job: Job) -> Callable[[int], float]:
    """Time passes through a set, in a new order each, that was padded to its longest sequence beforehand."""
    model = model_of(job)
    x, labels = padded(data_set(job.data))

    def run(count: int) -> float:
        begin = time.perf_counter()
        model.fit(x, labels, batch_size=job.batch_size, epochs=count, shuffle=True, verbose=0)
        return time.perf_counter() - begin

    # Compile for both sizes of batches: the full one, and the rest at the end.
    run_on = job.batch_size + len(x) % job.batch_size
    model.fit(x[:run_on], labels[:run_on], batch_size=job.batch_size, verbose=0)
    return run


def losses(job: Job, iterations: int) -> list[float]:
    model = model_of(job)
    x, labels = padded(job.sequences(iterations))
    parts = [slice(begin, begin + job.batch_size) for begin in range(0, len(x), job.batch_size)]
    return [float(model.train_on_batch(x[part], labels[part])) for part in parts]


def padded(sequences: Sequences) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the sequences, tokens one-hot, with rows of zeros after their ends, (N, T, C), and the labels, (N,)."""
    longest = int(sequences.lengths.max())
    x = np.zeros((len(sequences), longest, sequences.dim_input), dtype=np.float32)
    one_hot = np.eye(sequences.dim_input, dtype=np.float32)
    values = one_hot[sequences.values] if sequences.is_tokens else sequences.values
    x[np.arange(longest) < sequences.lengths[:, np.newaxis]] = values
    return x, sequences.labels


def _put(layer: Any, readout: Any, weights: Weights, gates: str) -> None:

    parts = (weights.x2h, weights.h2h, weights.bias)
    layer.set_weights([np.concatenate([part[gate] for gate in gates], axis=-1) for part in parts])
    readout.set_weights([weights.h2y, weights.bias_y])
