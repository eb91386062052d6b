"""Recurrent models whose states are matrices, as a user of MyGrad writes them: logits at every step.

Each has `heads` matrices of D / heads rows.
"""

from __future__ import annotations

from typing import Any

import mygrad as mg
import numpy as np
from mygrad import Tensor
from mygrad.nnet.activations import sigmoid, softmax
from numpy.typing import NDArray

Input = Tensor | NDArray[Any]


class MatrixState:
    """A model of weights by name, which `step` reads, and a readout of the vector that a step returns."""

    def __init__(self, dim_input: int, dim_recurrent: int, dim_output: int, rng: int = 0, heads: int = 1) -> None:
        self.dim_recurrent, self.heads = dim_recurrent, heads
        draw = np.random.default_rng(rng)
        shapes = {**self.shapes(dim_input), "out": (dim_recurrent, dim_output)}
        for name, shape in shapes.items():
            numbers = draw.normal(size=shape) / np.sqrt(shape[0])
            setattr(self, name, mg.tensor(numbers.astype(np.float32)))
        self.parameters = tuple(getattr(self, name) for name in shapes)

    def shapes(self, dim_input: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the weights besides the readout."""
        raise NotImplementedError

    def begin(self) -> tuple[Any, ...]:
        """Return the states before the first step; by default a matrix for each head."""
        width = self.dim_recurrent // self.heads
        return (np.zeros((self.heads, width, width), dtype=np.float32),)

    def step(self, x_t: Input, *states: Any) -> tuple[Any, ...]:
        """Return the vector that is read out, (D,), and the states after a step."""
        raise NotImplementedError

    def by_head(self, x_t: Input, *weights: Tensor) -> tuple[Any, ...]:
        """Return a row's products with weights, (heads, D / heads)."""
        return tuple((x_t @ weight).reshape(self.heads, -1) for weight in weights)

    def __call__(self, x: Input) -> Tensor:
        states, rows = self.begin(), []
        for x_t in x:
            y, *states = self.step(x_t, *states)
            rows.append(y @ self.out)
        return mg.stack(rows)


def read(row: Any, matrix: Any) -> Any:
    """Return the product of a row with the matrix of each head."""
    return mg.einsum("hi,hij->hj", row, matrix)


class LinearAttention(MatrixState):
    """A fading sum of outer products (Katharopoulos et al., 2020; Sun et al., "Retentive network", 2023)."""

    def shapes(self, dim_input: int) -> dict[str, tuple[int, ...]]:
        return dict.fromkeys("qkv", (dim_input, self.dim_recurrent))

    def step(self, x_t: Input, *states: Any) -> tuple[Any, ...]:
        q, k, v = self.by_head(x_t, self.q, self.k, self.v)
        s = 0.95 * states[0] + mg.einsum("hi,hj->hij", k, v)
        return read(q, s).reshape(-1), s


class DeltaNet(MatrixState):
    """Replaces the value of a key by the difference to its new value (Yang et al., 2024); keys have length one."""

    def shapes(self, dim_input: int) -> dict[str, tuple[int, ...]]:
        return {**dict.fromkeys("qkv", (dim_input, self.dim_recurrent)), "beta": (dim_input, 1)}

    def step(self, x_t: Input, *states: Any) -> tuple[Any, ...]:
        q, k, v = self.by_head(x_t, self.q, self.k, self.v)
        k = k / mg.sqrt(mg.sum(k * k, axis=1, keepdims=True) + 1e-6)
        change = sigmoid(x_t @ self.beta) * (v - read(k, states[0]))
        s = states[0] + mg.einsum("hi,hj->hij", k, change)
        return read(q, s).reshape(-1), s


class MLSTM(MatrixState):
    """A matrix memory with exponential gates, stabilized by a running maximum (Beck et al., "xLSTM", 2024)."""

    def shapes(self, dim_input: int) -> dict[str, tuple[int, ...]]:
        return {**dict.fromkeys("qkvo", (dim_input, self.dim_recurrent)), "i": (dim_input, 1), "f": (dim_input, 1)}

    def begin(self) -> tuple[Any, ...]:
        width = self.dim_recurrent // self.heads
        return (*super().begin(), np.zeros((self.heads, width), dtype=np.float32), np.zeros(1, dtype=np.float32))

    def step(self, x_t: Input, *states: Any) -> tuple[Any, ...]:
        c, n, m = states
        q, k, v = self.by_head(x_t, self.q, self.k, self.v)
        k = k / np.sqrt(self.dim_recurrent / self.heads)
        i, f = x_t @ self.i, -mg.logaddexp(0.0, -(x_t @ self.f))
        largest = mg.maximum(f + m, i)
        i, f = mg.exp(i - largest), mg.exp(f + m - largest)
        c, n = f * c + i * mg.einsum("hi,hj->hij", k, v), f * n + i * k
        size = mg.maximum(mg.abs(mg.sum(n * q, axis=1, keepdims=True)), 1.0)
        return sigmoid(x_t @ self.o) * (read(q, c) / size).reshape(-1), c, n, largest


class SelectiveStateSpace(MatrixState):
    """A state of 8 numbers for each unit; sizes of steps depend on the input (Gu and Dao, "Mamba", 2023)."""

    numbers = 8

    def shapes(self, dim_input: int) -> dict[str, tuple[int, ...]]:
        d, n = self.dim_recurrent, self.numbers
        return {"u": (dim_input, d), "dt": (dim_input, d), "b": (dim_input, n), "c": (dim_input, n), "log_a": (d, n)}

    def begin(self) -> tuple[Any, ...]:
        return (np.zeros((self.dim_recurrent, self.numbers), dtype=np.float32),)

    def step(self, x_t: Input, *states: Any) -> tuple[Any, ...]:
        u, dt = x_t @ self.u, mg.logaddexp(0.0, x_t @ self.dt)
        fade = mg.exp(-dt[:, None] * mg.exp(self.log_a))
        s = fade * states[0] + (dt * u)[:, None] * (x_t @ self.b)
        return s @ (x_t @ self.c), s


class StackMemory(MatrixState):
    """A network with a stack of 16 vectors of 8 numbers, moved by probabilities (Joulin and Mikolov, 2015)."""

    depth, width = 16, 8

    def shapes(self, dim_input: int) -> dict[str, tuple[int, ...]]:
        d = self.dim_recurrent
        return {"x": (dim_input, d), "h": (d, d), "top": (self.width, d), "act": (d, 3), "push": (d, self.width)}

    def begin(self) -> tuple[Any, ...]:
        return np.zeros(self.dim_recurrent, dtype=np.float32), np.zeros((self.depth, self.width), dtype=np.float32)

    def step(self, x_t: Input, *states: Any) -> tuple[Any, ...]:
        h, stack = states
        h = mg.tanh(x_t @ self.x + h @ self.h + stack[0] @ self.top)
        push, pop, stay = softmax(h @ self.act)
        pushed = mg.concatenate([mg.tanh(h @ self.push)[None], stack[:-1]])
        popped = mg.concatenate([stack[1:], np.zeros((1, self.width), dtype=np.float32)])
        return h, h, push * pushed + pop * popped + stay * stack


MATRIX_STATES = {
    "linear-attention": LinearAttention,
    "delta": DeltaNet,
    "mlstm": MLSTM,
    "selective": SelectiveStateSpace,
    "stack-memory": StackMemory,
}
