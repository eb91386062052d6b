"""JAX: the models of `matrix_states`, the steps of a batch as ``lax.scan``, the whole training loop under ``jit``.

The matrices of all sequences are in one array, which is faster than ``vmap`` over the sequences. What only depends on
the rows is computed before the scan.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from benchmarks.jobs import Job, weights_by_name
from benchmarks.matrix_states import SelectiveStateSpace, StackMemory
from benchmarks.peers.jax_scan import Data, descended, padded

Parameters = dict[str, Array]
Step = Callable[[Any, Any], tuple[Any, Array]]
# The states before the first step, what the steps read, and the step.
Scan = tuple[Any, Any, Step]


def _read(row: Array, matrix: Array) -> Array:
    return jnp.einsum("bhi,bhij->bhj", row, matrix)


def _rows(job: Job, p: Parameters, tokens: Array, names: str) -> list[Array]:
    """Return the products of all rows with weights, (T, B, heads, D / heads)."""
    return [p[name][tokens].reshape(*tokens.shape, job.heads, -1) for name in names]


def _matrices(job: Job, tokens: Array) -> Array:
    width = job.dim_recurrent // job.heads
    return jnp.zeros((tokens.shape[1], job.heads, width, width))


def linear_attention(job: Job, p: Parameters, tokens: Array) -> Scan:
    def step(s: Array, row: Any) -> tuple[Array, Array]:
        q, k, v = row
        s = 0.95 * s + k[..., None] * v[..., None, :]
        return s, _read(q, s)

    return _matrices(job, tokens), _rows(job, p, tokens, "qkv"), step


def delta(job: Job, p: Parameters, tokens: Array) -> Scan:
    q, k, v = _rows(job, p, tokens, "qkv")
    k = k / jnp.sqrt(jnp.sum(k * k, axis=-1, keepdims=True) + 1e-6)
    rate = jax.nn.sigmoid(p["beta"][tokens])[..., None]

    def step(s: Array, row: Any) -> tuple[Array, Array]:
        q, k, v, rate = row
        s = s + k[..., None] * (rate * (v - _read(k, s)))[..., None, :]
        return s, _read(q, s)

    return _matrices(job, tokens), (q, k, v, rate), step


def mlstm(job: Job, p: Parameters, tokens: Array) -> Scan:
    q, k, v, o = _rows(job, p, tokens, "qkvo")
    k, o = k / jnp.sqrt(job.dim_recurrent / job.heads), jax.nn.sigmoid(o)
    i, f = p["i"][tokens][..., None], jax.nn.log_sigmoid(p["f"][tokens])[..., None]

    def step(states: Any, row: Any) -> tuple[Any, Array]:
        c, n, m = states
        q, k, v, o, i, f = row
        largest = jnp.maximum(f + m, i)
        i, f = jnp.exp(i - largest), jnp.exp(f + m - largest)
        c, n = f[..., None] * c + (i * k)[..., None] * v[..., None, :], f * n + i * k
        size = jnp.maximum(jnp.abs(jnp.sum(n * q, axis=-1, keepdims=True)), 1.0)
        return (c, n, largest), o * _read(q, c) / size

    c = _matrices(job, tokens)
    return (c, jnp.zeros(c.shape[:-1]), jnp.zeros((len(c), 1, 1))), (q, k, v, o, i, f), step


def selective(job: Job, p: Parameters, tokens: Array) -> Scan:
    dt, a = jax.nn.softplus(p["dt"][tokens]), jnp.exp(p["log_a"])

    def step(s: Array, row: Any) -> tuple[Array, Array]:
        u, dt, b, c = row
        s = jnp.exp(-dt[..., None] * a) * s + u[..., None] * b[..., None, :]
        return s, jnp.einsum("bdn,bn->bd", s, c)

    shape = (tokens.shape[1], job.dim_recurrent, SelectiveStateSpace.numbers)
    return jnp.zeros(shape), (dt * p["u"][tokens], dt, p["b"][tokens], p["c"][tokens]), step


def stack_memory(job: Job, p: Parameters, tokens: Array) -> Scan:
    def step(states: Any, row: Array) -> tuple[Any, Array]:
        h, stack = states
        h = jnp.tanh(row + h @ p["h"] + stack[:, 0] @ p["top"])
        push, pop, stay = jnp.split(jax.nn.softmax(h @ p["act"])[..., None], 3, axis=1)
        pushed = jnp.concatenate([jnp.tanh(h @ p["push"])[:, None], stack[:, :-1]], axis=1)
        popped = jnp.concatenate([stack[:, 1:], jnp.zeros_like(stack[:, :1])], axis=1)
        return (h, push * pushed + pop * popped + stay * stack), h

    size = tokens.shape[1]
    states = jnp.zeros((size, job.dim_recurrent)), jnp.zeros((size, StackMemory.depth, StackMemory.width))
    return states, p["x"][tokens], step


SCANS = {
    "linear-attention": linear_attention,
    "delta": delta,
    "mlstm": mlstm,
    "selective": selective,
    "stack-memory": stack_memory,
}


def batch_loss(job: Job, p: Parameters, data: Data) -> Array:
    """Return the mean loss of all steps of a batch of sequences of one length."""
    tokens, _, labels = data
    states, rows, step = SCANS[job.cell](job, p, tokens.T)
    _, y = lax.scan(step, states, rows)
    shares = jax.nn.log_softmax(y.reshape(*tokens.T.shape, -1) @ p["out"])
    return -jnp.mean(jnp.take_along_axis(shares, labels.T[..., None], axis=-1))


def train_loop(job: Job) -> Any:
    """Return the compiled loop: state and the data of many iterations in, state and losses out."""

    def iterate(state: Any, data: Data) -> tuple[Any, Array]:
        loss, gradients = jax.value_and_grad(partial(batch_loss, job))(state[0], data)
        return descended(state, gradients), loss

    return jax.jit(partial(lax.scan, iterate), donate_argnums=0)


def first_state(job: Job) -> Any:
    """Return the parameters, Adam's two averages and its count of steps."""
    p = {name: jnp.array(array) for name, array in weights_by_name(job).items()}
    return (p, *[jax.tree.map(jnp.zeros_like, p) for _ in range(2)], jnp.float32(0))


def training(job: Job, chunk: int = 25) -> Callable[[int], float]:
    """Time the compiled loop, `chunk` iterations per call."""
    loop, data = train_loop(job), padded(job, job.sequences(chunk))

    def run(iterations: int) -> float:
        state, loss = first_state(job), None
        jax.block_until_ready(state)
        begin = time.perf_counter()
        for _ in range(iterations // chunk):
            state, loss = loop(state, data)
        jax.block_until_ready((state, loss))
        return time.perf_counter() - begin

    run(chunk)
    return run


def losses(job: Job, iterations: int, chunk: int = 25) -> list[float]:
    _, series = train_loop(job)(first_state(job), padded(job, job.sequences(iterations)))
    return [float(loss) for loss in series]
