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

from benchmarks.jobs import (
    CHARACTERS,
    LEARNING_RATE,
    PER_STEP,
    PREFIXES,
    STREAMS,
    WINDOW,
    WINDOWS,
    Job,
    data_set,
    first_weights,
)
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
    """Return the loss of one sequence; `steps` is its length, or that of the longest one if there is a mask.

    If each step has a label, it is the mean over the steps.
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
        loss, gradients = gradients_of(state[0], data)
        return descended(state, gradients), loss

    return jax.jit(partial(lax.scan, iterate), donate_argnums=0)


def descended(state: Any, gradients: Parameters) -> Any:
    """Return parameters, averages and count after a step of Adam."""
    p, mean, square, t = state
    t = t + 1
    mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, gradients)
    square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, square, gradients)
    rate, scale = LEARNING_RATE / (1 - 0.9**t), 1 / (1 - 0.999**t)
    p = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v * scale) + 1e-8), p, mean, square)
    return p, mean, square, t


def window_loss(p: Parameters, h: Array, tokens: Array, labels: Array) -> tuple[Array, Array]:
    """Return the loss of the windows of all streams, (T, B), and the final states, (B, D)."""
    gates = {gate: p["x2h"][gate][tokens] + p["bias"][gate] for gate in p["x2h"]}
    # All gates in one product.
    names, joined = list(p["h2h"]), jnp.concatenate(list(p["h2h"].values()), axis=1)

    def step(h: Array, a: Any) -> tuple[Array, Array]:
        of_h = dict(zip(names, jnp.split(h @ joined, len(names), axis=1), strict=True))
        z, r = jax.nn.sigmoid(a["z"] + of_h["z"]), jax.nn.sigmoid(a["r"] + of_h["r"])
        n = jnp.tanh(a["n"] + r * of_h["n"])
        h = n + z * (h - n)
        return h, h

    h, states = lax.scan(step, h, gates)
    shares = jax.nn.log_softmax(states @ p["h2y"] + p["bias_y"])
    return -jnp.mean(jnp.take_along_axis(shares, labels[..., None], axis=-1)), h


def window_loop() -> Callable[[Any, tuple[Array, Array]], tuple[Any, Array]]:
    """Return the compiled loop over windows: state and windows in, state and losses out."""

    def iterate(state: Any, data: tuple[Array, Array]) -> tuple[Any, Array]:
        trained, h = state
        (loss, h), gradients = jax.value_and_grad(window_loss, has_aux=True)(trained[0], h, *data)
        return (descended(trained, gradients), h), loss

    return jax.jit(partial(lax.scan, iterate), donate_argnums=0)


def windows_of(job: Job) -> tuple[Array, Array]:
    """Return the characters and targets of all windows, (N, T, B)."""
    data = data_set(job.data)
    tokens, targets = (
        jnp.asarray(part.astype(np.int32).reshape(STREAMS, WINDOWS, WINDOW).transpose(1, 2, 0))
        for part in (data.values, data.targets)
    )
    return tokens, targets


def truncated(job: Job, chunk: int = 20) -> Callable[[int], float]:
    """Time iterations over the windows of a text with states that carry over, `chunk` windows per call."""
    loop, windows, zeros = window_loop(), windows_of(job), jnp.zeros((STREAMS, job.dim_recurrent))
    parts = [jax.tree.map(lambda a, at=at: a[at : at + chunk], windows) for at in range(0, WINDOWS, chunk)]
    state = (first_state(job), zeros)
    done = 0

    def run(iterations: int) -> float:
        nonlocal state, done
        jax.block_until_ready(state)
        begin = time.perf_counter()
        for _ in range(iterations // chunk):
            state = (state[0], state[1] if done else jnp.zeros_like(state[1]))
            state, _ = loop(state, parts[done])
            done = (done + 1) % len(parts)
        jax.block_until_ready(state)
        return time.perf_counter() - begin

    run(chunk)
    return run


def first_state(job: Job) -> Any:
    """Return the parameters, Adam's two averages and its count of steps."""
    w = first_weights(job, *PREFIXES.get(job.cell, ()))
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
    """Time the compiled loop, `chunk` iterations per call, including draws if the job draws."""
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
    if job.data == CHARACTERS:
        some = jax.tree.map(lambda a: a[:iterations], windows_of(job))
        _, series = window_loop()((first_state(job), jnp.zeros((STREAMS, job.dim_recurrent))), some)
        return [float(loss) for loss in series]
    _, series = train_loop(job, masked)(first_state(job), padded(job, job.sequences(iterations)))
    return [float(loss) for loss in series]
