"""The models of `matrix_states` in PyTorch: loops over the steps, with the matrices of all sequences in one tensor.

Each is a function of the weights `p` by name, and of the sequences `x`, (T, B, C), and returns the logits of all steps,
(T B, K). What only depends on the rows is computed before the loop.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from benchmarks.matrix_states import StackMemory

Weights = dict[str, Tensor]


def _rows(p: Weights, x: Tensor, heads: int, names: str) -> list[Tensor]:
    """Return the products of all rows with weights, (T, B, heads, D / heads)."""
    return [(x @ p[name]).reshape(*x.shape[:2], heads, -1) for name in names]


def _matrices(rows: Tensor) -> Tensor:
    return rows.new_zeros(*rows.shape[1:], rows.shape[-1])


def _read(row: Tensor, matrix: Tensor) -> Tensor:
    return torch.einsum("bhi,bhij->bhj", row, matrix)


def _logits(p: Weights, rows: list[Tensor]) -> Tensor:
    return torch.stack(rows).flatten(0, 1).flatten(1) @ p["out"]


def linear_attention(p: Weights, x: Tensor, heads: int) -> Tensor:
    q, k, v = _rows(p, x, heads, "qkv")
    s, rows = _matrices(k), []
    for q_t, k_t, v_t in zip(q, k, v, strict=True):
        s = 0.95 * s + k_t[..., None] * v_t[..., None, :]
        rows.append(_read(q_t, s))
    return _logits(p, rows)


def delta(p: Weights, x: Tensor, heads: int) -> Tensor:
    q, k, v = _rows(p, x, heads, "qkv")
    k = k / torch.sqrt((k * k).sum(-1, keepdim=True) + 1e-6)
    rate = torch.sigmoid(x @ p["beta"])[..., None]
    s, rows = _matrices(k), []
    for q_t, k_t, v_t, rate_t in zip(q, k, v, rate, strict=True):
        s = s + k_t[..., None] * (rate_t * (v_t - _read(k_t, s)))[..., None, :]
        rows.append(_read(q_t, s))
    return _logits(p, rows)


def mlstm(p: Weights, x: Tensor, heads: int) -> Tensor:
    q, k, v, o = _rows(p, x, heads, "qkvo")
    k, o = k / k.shape[-1] ** 0.5, torch.sigmoid(o)
    i, f = (x @ p["i"])[..., None], logsigmoid(x @ p["f"])[..., None]
    c, rows = _matrices(k), []
    n, m = torch.zeros_like(k[0]), torch.zeros_like(i[0])
    for q_t, k_t, v_t, o_t, i_t, f_t in zip(q, k, v, o, i, f, strict=True):
        largest = torch.maximum(f_t + m, i_t)
        i_t, f_t, m = torch.exp(i_t - largest), torch.exp(f_t + m - largest), largest
        c = f_t[..., None] * c + (i_t * k_t)[..., None] * v_t[..., None, :]
        n = f_t * n + i_t * k_t
        size = torch.clamp((n * q_t).sum(-1, keepdim=True).abs(), min=1.0)
        rows.append(o_t * _read(q_t, c) / size)
    return _logits(p, rows)


def selective(p: Weights, x: Tensor, heads: int) -> Tensor:
    dt, a = softplus(x @ p["dt"]), torch.exp(p["log_a"])
    u, b, c = dt * (x @ p["u"]), x @ p["b"], x @ p["c"]
    s, rows = x.new_zeros(x.shape[1], *a.shape), []
    for u_t, dt_t, b_t, c_t in zip(u, dt, b, c, strict=True):
        s = torch.exp(-dt_t[..., None] * a) * s + u_t[..., None] * b_t[..., None, :]
        rows.append(torch.einsum("bdn,bn->bd", s, c_t))
    return _logits(p, rows)


def stack_memory(p: Weights, x: Tensor, heads: int) -> Tensor:
    h, rows = x.new_zeros(x.shape[1], len(p["h"])), []
    stack = x.new_zeros(x.shape[1], StackMemory.depth, StackMemory.width)
    for row in x @ p["x"]:
        h = torch.tanh(row + h @ p["h"] + stack[:, 0] @ p["top"])
        push, pop, stay = torch.softmax(h @ p["act"], dim=1)[..., None].unbind(1)
        pushed = torch.cat([torch.tanh(h @ p["push"])[:, None], stack[:, :-1]], dim=1)
        popped = torch.cat([stack[:, 1:], torch.zeros_like(stack[:, :1])], dim=1)
        stack = push[:, None] * pushed + pop[:, None] * popped + stay[:, None] * stack
        rows.append(h)
    return _logits(p, rows)


MATRICES: dict[str, Callable[[Weights, Tensor, int], Tensor]] = {
    "linear-attention": linear_attention,
    "delta": delta,
    "mlstm": mlstm,
    "selective": selective,
    "stack-memory": stack_memory,
}
