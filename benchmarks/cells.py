"""Recurrent models that are not part of the library, as a user of MyGrad writes them, and those of the gallery."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import Any

import mygrad as mg
import numpy as np
from mygrad import Tensor, tanh
from mygrad.nnet.activations import sigmoid, softmax
from numpy.typing import NDArray

from myrnn.models import StackRNN, dense
from myrnn.models.dense import seeded_glorot_normal


class MinimalGatedUnit:
    """One gate does the work of the GRU's two (Zhou et al., "Minimal gated unit for recurrent neural networks", 2016).

    With T steps, C inputs, D recurrent units and K classes::

        f_t = sigmoid(x_t W_xf + b_f + h_{t-1} W_hf)
        n_t = tanh(x_t W_xn + b_n + (f_t * h_{t-1}) W_hn)
        h_t = h_{t-1} + f_t * (n_t - h_{t-1})                  h_{-1} = 0
        y   = h_{T-1} W_hy + b_y
    """

    def __init__(self, dim_input: int, dim_recurrent: int, dim_output: int, rng: int = 0) -> None:
        draw = seeded_glorot_normal(rng)
        self.dim_recurrent = dim_recurrent
        self.fc_x2f = dense(dim_input, dim_recurrent, weight_initializer=draw)
        self.fc_h2f = dense(dim_recurrent, dim_recurrent, weight_initializer=draw, bias=False)
        self.fc_x2n = dense(dim_input, dim_recurrent, weight_initializer=draw)
        self.fc_h2n = dense(dim_recurrent, dim_recurrent, weight_initializer=draw, bias=False)
        self.fc_h2y = dense(dim_recurrent, dim_output, weight_initializer=draw)

    def step(self, x_t: Tensor | NDArray[Any], h: Tensor | NDArray[Any]) -> Tensor:
        f = sigmoid(self.fc_x2f(x_t) + self.fc_h2f(h))
        n = tanh(self.fc_x2n(x_t) + self.fc_h2n(f * h))
        return h + f * (n - h)

    def __call__(self, x: Tensor | NDArray[Any]) -> Tensor:
        h = np.zeros((1, self.dim_recurrent), dtype=np.float32)
        for x_t in x:
            h = self.step(x_t[np.newaxis], h)
        return self.fc_h2y(h)

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        layers = (self.fc_x2f, self.fc_h2f, self.fc_x2n, self.fc_h2n, self.fc_h2y)
        return tuple(parameter for layer in layers for parameter in layer.parameters)


class MinimalGatedTagger(MinimalGatedUnit):
    """The same with logits at every step, y_t = h_t W_hy + b_y."""

    def __call__(self, x: Tensor | NDArray[Any]) -> Tensor:
        h, states = np.zeros((1, self.dim_recurrent), dtype=np.float32), []
        for x_t in x:
            h = self.step(x_t[np.newaxis], h)
            states.append(h)
        return self.fc_h2y(mg.concatenate(states, axis=0))


class GRULayer:
    """A gated recurrent unit that resets after the product, like PyTorch's, and returns all its states.

    With T steps, C inputs and D recurrent units::

        z_t = sigmoid(x_t W_xz + b_z + h_{t-1} W_hz)
        r_t = sigmoid(x_t W_xr + b_r + h_{t-1} W_hr)
        n_t = tanh(x_t W_xn + b_n + r_t * (h_{t-1} W_hn))
        h_t = n_t + z_t * (h_{t-1} - n_t)                      h_{-1} = 0
    """

    def __init__(self, dim_input: int, dim_recurrent: int, draw: Any) -> None:
        self.dim_recurrent = dim_recurrent
        self.fc_x2z = dense(dim_input, dim_recurrent, weight_initializer=draw)
        self.fc_h2z = dense(dim_recurrent, dim_recurrent, weight_initializer=draw, bias=False)
        self.fc_x2r = dense(dim_input, dim_recurrent, weight_initializer=draw)
        self.fc_h2r = dense(dim_recurrent, dim_recurrent, weight_initializer=draw, bias=False)
        self.fc_x2n = dense(dim_input, dim_recurrent, weight_initializer=draw)
        self.fc_h2n = dense(dim_recurrent, dim_recurrent, weight_initializer=draw, bias=False)

    def __call__(self, x: Tensor | NDArray[Any]) -> Tensor:
        h, states = np.zeros((1, self.dim_recurrent), dtype=np.float32), []
        for x_t in x:
            h = self.step(x_t[np.newaxis], h)
            states.append(h)
        return mg.concatenate(states, axis=0)

    def step(self, x_t: Any, h: Any) -> Any:
        """Return the states after a step, (B, D), for the rows of some sequences, (B, C)."""
        z = sigmoid(self.fc_x2z(x_t) + self.fc_h2z(h))
        r = sigmoid(self.fc_x2r(x_t) + self.fc_h2r(h))
        n = tanh(self.fc_x2n(x_t) + r * self.fc_h2n(h))
        return n + z * (h - n)

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        layers = (self.fc_x2z, self.fc_h2z, self.fc_x2r, self.fc_h2r, self.fc_x2n, self.fc_h2n)
        return tuple(parameter for layer in layers for parameter in layer.parameters)


class BidirectionalGRU:
    """One layer reads the sequence forward, another backward; the readout reads both last states."""

    def __init__(self, dim_input: int, dim_recurrent: int, dim_output: int, rng: int = 0) -> None:
        draw = seeded_glorot_normal(rng)
        self.forward = GRULayer(dim_input, dim_recurrent, draw)
        self.backward = GRULayer(dim_input, dim_recurrent, draw)
        self.fc_h2y = dense(2 * dim_recurrent, dim_output, weight_initializer=draw)

    def __call__(self, x: Tensor | NDArray[Any]) -> Tensor:
        return self.fc_h2y(mg.concatenate([self.forward(x)[-1:], self.backward(x[::-1])[-1:]], axis=1))

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        return self.forward.parameters + self.backward.parameters + self.fc_h2y.parameters


class AttentionGRU:
    """A learned query weighs all states of a layer; the readout reads their weighted sum."""

    def __init__(self, dim_input: int, dim_recurrent: int, dim_output: int, rng: int = 0) -> None:
        draw = seeded_glorot_normal(rng)
        self.layer = GRULayer(dim_input, dim_recurrent, draw)
        self.query = dense(dim_recurrent, 1, weight_initializer=draw, bias=False)
        self.fc_h2y = dense(dim_recurrent, dim_output, weight_initializer=draw)

    def __call__(self, x: Tensor | NDArray[Any]) -> Tensor:
        states = self.layer(x)
        shares = softmax(self.query(states), axis=0)
        return self.fc_h2y(mg.sum(shares * states, axis=0, keepdims=True))

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        return self.layer.parameters + self.query.parameters + self.fc_h2y.parameters


class Tagger:
    """A layer over an embedding of the symbols, of the size of the layer, and logits at every step."""

    def __init__(self, dim_input: int, dim_recurrent: int, dim_output: int, rng: int = 0) -> None:
        draw = seeded_glorot_normal(rng)
        self.embedding = dense(dim_input, dim_recurrent, weight_initializer=draw, bias=False)
        self.layer = GRULayer(dim_recurrent, dim_recurrent, draw)
        self.fc_h2y = dense(dim_recurrent, dim_output, weight_initializer=draw)

    def __call__(self, x: Tensor | NDArray[Any]) -> Tensor:
        return self.fc_h2y(self.layer(self.embedding(x)))

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        return self.embedding.parameters + self.layer.parameters + self.fc_h2y.parameters


class CharacterGRU:
    """A layer over characters, with logits of the next one at every step."""

    def __init__(self, dim_input: int, dim_recurrent: int, dim_output: int, rng: int = 0) -> None:
        draw = seeded_glorot_normal(rng)
        self.dim_input = dim_input
        self.layer = GRULayer(dim_input, dim_recurrent, draw)
        self.fc_h2y = dense(dim_recurrent, dim_output, weight_initializer=draw)

    def __call__(self, x: Tensor | NDArray[Any]) -> Tensor:
        return self.fc_h2y(self.layer(x))

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        return self.layer.parameters + self.fc_h2y.parameters


# The cells of the gallery, by example; the equations of `plot_mgu` are those of `MinimalGatedUnit`.
GALLERY = ("indrnn", "antisymmetric", "multiplicative", "highway", "layer_norm_lstm", "lmu", "stack")
EXAMPLES = Path(__file__).resolve().parent.parent / "examples" / "gallery" / "cells"


@cache
def gallery_class(name: str) -> Any:
    """Return the first class of the example ``plot_<name>.py``; only definitions before it are run."""
    if name == "stack":
        return StackRNN
    path = EXAMPLES / f"plot_{name}.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    first = next(place for place, node in enumerate(tree.body) if isinstance(node, ast.ClassDef))
    kept = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    tree.body = [node for node in tree.body[: first + 1] if isinstance(node, kept)]
    namespace: dict[str, Any] = {"__name__": f"gallery_{name}"}
    exec(compile(tree, str(path), "exec"), namespace)
    return namespace[tree.body[-1].name]


def gallery_cell(name: str, dim_input: int, dim_recurrent: int, dim_output: int, rng: int = 0) -> Any:
    """Return a cell of the gallery, with weights from `rng`."""
    np.random.seed(rng)  # noqa: NPY002 - MyGrad's initializers draw from this generator
    return gallery_class(name)(dim_input, dim_recurrent, dim_output)
