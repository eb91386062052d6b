"""JAX: the whole training loop under ``jit``, the steps of a sequence as ``lax.scan``."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from benchmarks.jobs import LEARNING_RATE, PER_STEP, Job, first_weights
from myrnn.sequences import Sequences

Parameters = dict[str, Any]
Data = tuple[Array, Array, Array]


def _rnn(h2h: Any, h: Array, a: Any) -> Array:
    return jax.nn.relu(a["h"] + h @ h2h["h"])


def _gru(h2h: Any, h: Array, a: Any) -> Array:
    z = jax.nn.sigmoid(a["z"] + h @ h2h["z"])
    r = jax.nn.sigmoid(a["r"] + h @ h2h["r"])
    n = jnp.tanh(a["n"] + (r * h) @ h2h["n"])
    return n + z * (h - n)


def _lstm(h2h: Any, state: tuple[Array, Array], a: Any) -> tuple[Array, Array]:
    h, c = state
    i, f, o = (jax.nn.sigmoid(a[gate] + h @ h2h[gate]) for gate in "ifo")
    c = f * c + i * jnp.tanh(a["g"] + h @ h2h["g"])
    return o * jnp.tanh(c), c


def _mgu(h2h: Any, h: Array, a: Any) -> Array:
    f = jax.nn.sigmoid(a["f"] + h @ h2h["f"])
    return h + f * (jnp.tanh(a["n"] + (f * h) @ h2h["n"]) - h)


CELLS = {"rnn": _rnn, "gru": _gru, "lstm": _lstm, "mgu": _mgu, "mgu-tagger": _mgu}


def sequence_loss(
    cell: str, steps: int, masked: bool, p: Parameters, tokens: Array, length: Array, label: Array
) -> Array:
    """Return the loss of one sequence; `steps` is its length, or with a mask that of the longest one.

    Where each step has a label, it is the mean over the steps.
    """
    gates = {gate: p["x2h"][gate][tokens[:steps]] + p["bias"][gate] for gate in p["x2h"]}
    zero = jnp.zeros(p["h2y"].shape[0])

    def step(state: Any, a: Any) -> tuple[Any, Any]:
        state = CELLS[cell](p["h2h"], state, a)
        return state, state if cell in PER_STEP else None

    def masked_step(state: Any, inputs: Any) -> tuple[Any, None]:
        t, a = inputs
        return jax.tree.map(lambda new, old: jnp.where(t < length, new, old), step(state, a)[0], state), None

    first = (zero, zero) if cell == "lstm" else zero
    state, states = lax.scan(masked_step, first, (jnp.arange(steps), gates)) if masked else lax.scan(step, first, gates)
    if cell in PER_STEP:
        return -jnp.mean(jax.nn.log_softmax(states @ p["h2y"] + p["bias_y"])[jnp.arange(steps), label[:steps]])
    h = state[0] if cell == "lstm" else state
    return -jax.nn.log_softmax(h @ p["h2y"] + p["bias_y"])[label]


def batch_loss(job: Job, steps: int, masked: bool, p: Parameters, data: Data) -> Array:
    loss = partial(sequence_loss, job.cell, steps, masked, p)
    if job.batch_size == 1:
        return loss(*(part[0] for part in data))
    return jnp.mean(jax.vmap(loss)(*data))


def value_and_gradients(job: Job, masked: bool) -> Callable[[Parameters, Data], tuple[Array, Parameters]]:
    """Return the loss of a batch and its gradients, by a branch for every length or by one masked scan."""
    if masked:
        return jax.value_and_grad(partial(batch_loss, job, job.longest, True))
    branches = [
        jax.value_and_grad(partial(batch_loss, job, steps, False)) for steps in range(job.shortest, job.longest + 1, 2)
    ]
    return lambda p, data: lax.switch((data[1][0] - job.shortest) // 2, branches, p, data)


def train_loop(job: Job, masked: bool) -> Callable[[Any, Data], tuple[Any, Array]]:
    """Return the compiled loop: state and the data of many iterations in, state and losses out."""
    gradients_of = value_and_gradients(job, masked)

    def iterate(state: Any, data: Data) -> tuple[Any, Array]:
        p, mean, square, t = state
        loss, gradients = gradients_of(p, data)
        t = t + 1
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, gradients)
        square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, square, gradients)
        rate, scale = LEARNING_RATE / (1 - 0.9**t), 1 / (1 - 0.999**t)
        p = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v * scale) + 1e-8), p, mean, square)
        return (p, mean, square, t), loss

    return jax.jit(partial(lax.scan, iterate), donate_argnums=0)


def first_state(job: Job) -> Any:
    """Return the parameters, Adam's two averages and its count of steps."""
    w = first_weights(job)
    arrays = {"x2h": w.x2h, "bias": w.bias, "h2h": w.h2h, "h2y": w.h2y, "bias_y": w.bias_y}
    zeros = [jax.tree.map(jnp.zeros_like, arrays) for _ in range(2)]
    return (jax.tree.map(jnp.array, arrays), *zeros, jnp.float32(0))


def padded(job: Job, sequences: Sequences) -> Data:
    """Return tokens (N, B, T), lengths and labels (N, B), or labels of every step (N, B, T)."""
    within = np.arange(job.longest) < sequences.lengths[:, np.newaxis]

    def by_step(values: Any) -> Any:
        rows = np.zeros(within.shape, dtype=np.int32)
        rows[within] = values
        return rows

    labels = by_step(sequences.targets) if sequences.per_step else sequences.labels
    parts = (by_step(sequences.values), sequences.lengths, labels)
    shape = (-1, job.batch_size)
    return tuple(jnp.asarray(part.astype(np.int32).reshape(*shape, *part.shape[1:])) for part in parts)  # type: ignore


def training(job: Job, masked: bool = False, chunk: int = 1000) -> Callable[[int], float]:
    """Time the compiled loop, `chunk` iterations a call, with its draws where the job draws."""
    loop = train_loop(job, masked)
    fixed = None if job.drawn else padded(job, job.sequences(chunk))
    rng = np.random.default_rng(1)

    def run(iterations: int) -> float:
        state, loss = first_state(job), None
        jax.block_until_ready(state)
        begin = time.perf_counter()
        for _ in range(iterations // chunk):
            data = padded(job, job.task.sample(chunk * job.batch_size, rng)) if fixed is None else fixed
            state, loss = loop(state, data)
        jax.block_until_ready((state, loss))
        return time.perf_counter() - begin

    run(chunk)
    return run


def losses(job: Job, iterations: int, masked: bool = False, chunk: int = 1000) -> list[float]:
    _, series = train_loop(job, masked)(first_state(job), padded(job, job.sequences(iterations)))
    return [float(loss) for loss in series]
