"""Recurrent layers on top of each other."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._keywords import keywords
from myrnn.errors import InvalidArgument
from myrnn.models.cells import (
    Activation,
    GRULayer,
    Layer,
    LSTMLayer,
    RecurrentInit,
    RNNLayer,
    Size,
    begin_recurrent,
    check_sequence,
)
from myrnn.models.dense import layer_maker

LAYERS: dict[str, Callable[..., Layer]] = {"rnn": RNNLayer, "gru": GRULayer, "lstm": LSTMLayer}


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
    recurrent_init : {"glorot", "orthogonal", "identity", "minus_identity"}
        What the recurrent weights of every layer begin as: see `RNN`.
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
        dim_input: Size,
        dim_recurrent: Size,
        dim_output: Size,
        *,
        cell: Annotated[Literal["rnn", "gru", "lstm"], Meta()] = "gru",
        activation: Activation | None = None,
        layers: Size = 2,
        dim_embedding: Size | None = None,
        recurrent_init: RecurrentInit = "glorot",
        rng: np.random.Generator | int | None = None,
    ) -> None:
        if activation is not None and cell != "rnn":
            raise InvalidArgument(f"activation is for the cell 'rnn', not for {cell!r}: leave it out")
        self.dim_input, self.dim_recurrent, self.dim_output = dim_input, dim_recurrent, dim_output
        self.cell, self.activation, self.dim_embedding = cell, activation, dim_embedding
        make = LAYERS[cell] if activation is None else partial(RNNLayer, activation=activation)
        self.recurrent_init = recurrent_init
        rng = None if rng is None else _checks.generator("rng", rng)
        layer = layer_maker(rng)
        self.embedding = None if dim_embedding is None else layer(dim_input, dim_embedding, bias=False)
        inputs = [dim_embedding or dim_input, *[dim_recurrent] * (layers - 1)]
        self.stack = tuple(make(dim, dim_recurrent, layer) for dim in inputs)
        self.fc_h2y = layer(dim_recurrent, dim_output)
        begin_recurrent(self.stack, recurrent_init, rng)

    @property
    def layers(self) -> int:
        """How many recurrent layers there are."""
        return len(self.stack)

    def __repr__(self) -> str:
        """Return the call that makes such a model."""
        sizes = ("dim_input", "dim_recurrent", "dim_output")
        return _checks.call_of(self, *sizes, "cell", "activation", "layers", "dim_embedding", "recurrent_init")

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
