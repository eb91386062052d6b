"""The gated recurrent unit."""

from __future__ import annotations

from typing import Any

import numpy as np
from mygrad import Tensor, tanh
from mygrad.nnet.activations import sigmoid
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._keywords import keywords
from myrnn.models._cell import Size, Units, check_sequence, layer_maker, zero_state


class GRU:
    """A gated recurrent unit that scores a sequence by its last hidden state.

    With T steps, C inputs, D recurrent units and K classes::

        z_t = sigmoid(x_t W_xz + b_z + h_{t-1} W_hz)           the update gate
        r_t = sigmoid(x_t W_xr + b_r + h_{t-1} W_hr)           the reset gate
        n_t = tanh(x_t W_xn + b_n + (r_t * h_{t-1}) W_hn)      the candidate
        h_t = n_t + z_t * (h_{t-1} - n_t)                      h_{-1} = 0
        y   = h_{T-1} W_hy + b_y

    Parameters
    ----------
    dim_input, dim_recurrent, dim_output : int
        C, D and K.
    rng : numpy.random.Generator, int or None
        Draws the weights (Glorot normal); None takes NumPy's global generator, as MyGrad's initializers do.

    References
    ----------
    Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine translation", 2014.

    Examples
    --------
    >>> GRU(dim_input=10, dim_recurrent=16, dim_output=2)(np.zeros((4, 10), dtype=np.float32)).shape
    (1, 2)
    """

    @keywords
    def __init__(
        self,
        dim_input: Size,
        dim_recurrent: Units,
        dim_output: Size,
        *,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        self.dim_input, self.dim_recurrent, self.dim_output = dim_input, dim_recurrent, dim_output
        layer = layer_maker(rng)
        self.fc_x2z = layer(dim_input, dim_recurrent)
        self.fc_h2z = layer(dim_recurrent, dim_recurrent, bias=False)
        self.fc_x2r = layer(dim_input, dim_recurrent)
        self.fc_h2r = layer(dim_recurrent, dim_recurrent, bias=False)
        self.fc_x2n = layer(dim_input, dim_recurrent)
        self.fc_h2n = layer(dim_recurrent, dim_recurrent, bias=False)
        self.fc_h2y = layer(dim_recurrent, dim_output)

    def __repr__(self) -> str:
        """Return the call that makes such a model."""
        return _checks.call_of(self, "dim_input", "dim_recurrent", "dim_output")

    def __call__(self, x: Tensor | NDArray[Any]) -> Tensor:
        """Return the class scores of one sequence: `x` is (T, C), the logits are (1, K)."""
        check_sequence(x, self.dim_input)
        h = zero_state(self.dim_recurrent)
        for x_t in x:
            x_t = x_t[np.newaxis]
            z = sigmoid(self.fc_x2z(x_t) + self.fc_h2z(h))
            r = sigmoid(self.fc_x2r(x_t) + self.fc_h2r(h))
            n = tanh(self.fc_x2n(x_t) + self.fc_h2n(r * h))
            h = n + z * (h - n)
        return self.fc_h2y(h)

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """All that the model learns, layer by layer."""
        layers = (self.fc_x2z, self.fc_h2z, self.fc_x2r, self.fc_h2r, self.fc_x2n, self.fc_h2n, self.fc_h2y)
        return tuple(parameter for layer in layers for parameter in layer.parameters)
