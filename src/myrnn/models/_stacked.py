"""Recurrent layers on top of each other."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import numpy as np
from mygrad import Tensor, tanh
from mygrad.nnet.activations import sigmoid
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._keywords import keywords
from myrnn.errors import InvalidArgument
from myrnn.models._cell import check_sequence, layer_maker, zero_state
from myrnn.models._dense import dense
from myrnn.models._rnn import ACTIVATIONS

# What a layer keeps from step to step; the first of it is what the layer above sees.
State = tuple[Any, ...]


class Layer(Protocol):
    """One recurrent layer: how it begins and what a step does."""

    def start(self) -> State: ...

    def step(self, below: Any, state: State) -> State: ...

    @property
    def parameters(self) -> tuple[Tensor, ...]: ...


class _Layer:
    def __init__(self, dim_recurrent: int) -> None:
        self.dim_recurrent = dim_recurrent

    def start(self) -> State:
        return (zero_state(self.dim_recurrent),)

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        layers = [layer for layer in vars(self).values() if isinstance(layer, dense)]
        return tuple(parameter for layer in layers for parameter in layer.parameters)


class RNNLayer(_Layer):
    """A layer of the equations of `RNN`."""

    def __init__(
        self, dim_input: int, dim_recurrent: int, layer: Callable[..., dense], activation: str = "relu"
    ) -> None:
        super().__init__(dim_recurrent)
        self.activation = ACTIVATIONS[activation]
        self.fc_x2h = layer(dim_input, dim_recurrent)
        self.fc_h2h = layer(dim_recurrent, dim_recurrent, bias=False)

    def step(self, below: Any, state: State) -> State:
        (h,) = state
        h = self.activation(self.fc_x2h(below) + self.fc_h2h(h))
        return (h,)


class GRULayer(_Layer):
    """A layer of the equations of `GRU`."""

    def __init__(self, dim_input: int, dim_recurrent: int, layer: Callable[..., dense]) -> None:
        super().__init__(dim_recurrent)
        self.fc_x2z = layer(dim_input, dim_recurrent)
        self.fc_h2z = layer(dim_recurrent, dim_recurrent, bias=False)
        self.fc_x2r = layer(dim_input, dim_recurrent)
        self.fc_h2r = layer(dim_recurrent, dim_recurrent, bias=False)
        self.fc_x2n = layer(dim_input, dim_recurrent)
        self.fc_h2n = layer(dim_recurrent, dim_recurrent, bias=False)

    def step(self, below: Any, state: State) -> State:
        (h,) = state
        z = sigmoid(self.fc_x2z(below) + self.fc_h2z(h))
        r = sigmoid(self.fc_x2r(below) + self.fc_h2r(h))
        n = tanh(self.fc_x2n(below) + self.fc_h2n(r * h))
        h = n + z * (h - n)
        return (h,)


class LSTMLayer(_Layer):
    """A layer of the equations of `LSTM`."""

    def __init__(self, dim_input: int, dim_recurrent: int, layer: Callable[..., dense]) -> None:
        super().__init__(dim_recurrent)
        self.fc_x2i = layer(dim_input, dim_recurrent)
        self.fc_h2i = layer(dim_recurrent, dim_recurrent, bias=False)
        self.fc_x2f = layer(dim_input, dim_recurrent, bias_kwargs={"value": 1.0})
        self.fc_h2f = layer(dim_recurrent, dim_recurrent, bias=False)
        self.fc_x2o = layer(dim_input, dim_recurrent)
        self.fc_h2o = layer(dim_recurrent, dim_recurrent, bias=False)
        self.fc_x2g = layer(dim_input, dim_recurrent)
        self.fc_h2g = layer(dim_recurrent, dim_recurrent, bias=False)

    def start(self) -> State:
        return zero_state(self.dim_recurrent), zero_state(self.dim_recurrent)

    def step(self, below: Any, state: State) -> State:
        h, c = state
        i = sigmoid(self.fc_x2i(below) + self.fc_h2i(h))
        f = sigmoid(self.fc_x2f(below) + self.fc_h2f(h))
        o = sigmoid(self.fc_x2o(below) + self.fc_h2o(h))
        g = tanh(self.fc_x2g(below) + self.fc_h2g(h))
        c = f * c + i * g
        h = o * tanh(c)
        return h, c


LAYERS: dict[str, Callable[[int, int, Callable[..., dense]], Layer]] = {
    "rnn": RNNLayer,
    "gru": GRULayer,
    "lstm": LSTMLayer,
}


class Stacked:
    """Recurrent layers on top of each other, over a learned embedding on request.

    The lowest layer reads the sequence, or the embedding ``e_t = x_t E`` of every row of it; each other layer reads the
    hidden states of the one below, step by step. The last hidden state of the topmost layer scores the sequence::

        y = h_{T-1} W_hy + b_y

    The equations of a layer are those of `RNN`, `GRU` or `LSTM`. For one-hot rows the embedding is a table
    of learned vectors, one a symbol.

    Parameters
    ----------
    dim_input, dim_recurrent, dim_output : int
        C, D (of every layer) and K.
    cell : {"rnn", "gru", "lstm"}
        The kind of the layers.
    activation : {"relu", "tanh"}, optional
        The nonlinearity of the cell ``"rnn"``, by default relu; the others have their own.
    layers : int
        How many there are.
    dim_embedding : int, optional
        The size of the embedding; without it the lowest layer reads the sequence itself.
    rng : numpy.random.Generator, int or None
        Draws the weights (Glorot normal); None takes NumPy's global generator, as MyGrad's initializers do.

    References
    ----------
    Graves, Mohamed and Hinton, "Speech recognition with deep recurrent neural networks", 2013.

    Examples
    --------
    >>> Stacked(10, 16, 2, cell="gru", layers=2, dim_embedding=4)(np.zeros((5, 10), dtype=np.float32)).shape
    (1, 2)
    """

    @keywords
    def __init__(
        self,
        dim_input: int,
        dim_recurrent: int,
        dim_output: int,
        *,
        cell: str = "gru",
        activation: str | None = None,
        layers: int = 2,
        dim_embedding: int | None = None,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        self.dim_input = _checks.integer("dim_input", dim_input, minimum=1)
        self.dim_recurrent = _checks.integer("dim_recurrent", dim_recurrent, minimum=1)
        self.dim_output = _checks.integer("dim_output", dim_output, minimum=1)
        self.cell = _checks.one_of("cell", cell, tuple(LAYERS))
        if activation is not None and cell != "rnn":
            raise InvalidArgument(f"activation is for the cell 'rnn', not for {cell!r}: leave it out")
        self.activation = activation
        make = LAYERS[cell]
        if activation is not None:
            make = partial(RNNLayer, activation=_checks.one_of("activation", activation, tuple(ACTIVATIONS)))
        count = _checks.integer("layers", layers, minimum=1)
        layer = layer_maker(None if rng is None else _checks.generator("rng", rng))
        self.dim_embedding, self.embedding, width = None, None, dim_input
        if dim_embedding is not None:
            self.dim_embedding = width = _checks.integer("dim_embedding", dim_embedding, minimum=1)
            self.embedding = layer(dim_input, width, bias=False)
        inputs = [width, *[dim_recurrent] * (count - 1)]
        self.stack = tuple(make(dim, dim_recurrent, layer) for dim in inputs)
        self.fc_h2y = layer(dim_recurrent, dim_output)

    @property
    def layers(self) -> int:
        """How many recurrent layers there are."""
        return len(self.stack)

    def __repr__(self) -> str:
        """Return the call that makes such a model."""
        sizes = ("dim_input", "dim_recurrent", "dim_output")
        return _checks.call_of(self, *sizes, "cell", "activation", "layers", "dim_embedding")

    def __call__(self, x: Tensor | NDArray[Any]) -> Tensor:
        """Return the class scores of one sequence: `x` is (T, C), the logits are (1, K)."""
        check_sequence(x, self.dim_input)
        states = [layer.start() for layer in self.stack]
        for x_t in x:
            h = x_t[np.newaxis] if self.embedding is None else self.embedding(x_t[np.newaxis])
            for index, layer in enumerate(self.stack):
                states[index] = layer.step(h, states[index])
                h = states[index][0]
        return self.fc_h2y(states[-1][0])

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """All that the model learns, layer by layer."""
        lowest = () if self.embedding is None else self.embedding.parameters
        recurrent = tuple(parameter for layer in self.stack for parameter in layer.parameters)
        return lowest + recurrent + self.fc_h2y.parameters
