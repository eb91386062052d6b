"""A recurrent model that no library ships, written as a user of MyGrad would."""

from __future__ import annotations

from typing import Any

import numpy as np
from mygrad import Tensor, tanh
from mygrad.nnet.activations import sigmoid
from numpy.typing import NDArray

from myrnn.models import dense
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

    def __call__(self, x: Tensor | NDArray[Any]) -> Tensor:
        h = np.zeros((1, self.dim_recurrent), dtype=np.float32)
        for x_t in x:
            x_t = x_t[np.newaxis]
            f = sigmoid(self.fc_x2f(x_t) + self.fc_h2f(h))
            n = tanh(self.fc_x2n(x_t) + self.fc_h2n(f * h))
            h = h + f * (n - h)
        return self.fc_h2y(h)

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        layers = (self.fc_x2f, self.fc_h2f, self.fc_x2n, self.fc_h2n, self.fc_h2y)
        return tuple(parameter for layer in layers for parameter in layer.parameters)
