"""The long short-term memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from mygrad import Tensor, tanh
from mygrad.nnet.activations import sigmoid
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._keywords import keywords
from myrnn.models._cell import Size, Units, check_sequence, layer_maker, zero_state


class LSTM:
    """A long short-term memory that scores a sequence by its last hidden state.

    With T steps, C inputs, D recurrent units and K classes::

        i_t = sigmoid(x_t W_xi + b_i + h_{t-1} W_hi)           the input gate
        f_t = sigmoid(x_t W_xf + b_f + h_{t-1} W_hf)           the forget gate
        o_t = sigmoid(x_t W_xo + b_o + h_{t-1} W_ho)           the output gate
        g_t = tanh(x_t W_xg + b_g + h_{t-1} W_hg)              the candidate
        c_t = f_t * c_{t-1} + i_t * g_t                        c_{-1} = 0
        h_t = o_t * tanh(c_t)                                  h_{-1} = 0
        y   = h_{T-1} W_hy + b_y

    The forget gate's bias begins at 1, so that a young network remembers.

    Parameters
    ----------
    dim_input, dim_recurrent, dim_output : int
        C, D and K.
    rng : numpy.random.Generator, int or None
        Draws the weights (Glorot normal); None takes NumPy's global generator, as MyGrad's initializers do.

    References
    ----------
    Hochreiter and Schmidhuber, "Long short-term memory", 1997; Gers, Schmidhuber and Cummins, "Learning to forget",
    2000; Jozefowicz, Zaremba and Sutskever, "An empirical exploration of recurrent network architectures", 2015
    (the forget gate's bias).

    Examples
    --------
    >>> LSTM(dim_input=10, dim_recurrent=16, dim_output=2)(np.zeros((4, 10), dtype=np.float32)).shape
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
        self.fc_x2i = layer(dim_input, dim_recurrent)
        self.fc_h2i = layer(dim_recurrent, dim_recurrent, bias=False)
        self.fc_x2f = layer(dim_input, dim_recurrent, bias_kwargs={"value": 1.0})
        self.fc_h2f = layer(dim_recurrent, dim_recurrent, bias=False)
        self.fc_x2o = layer(dim_input, dim_recurrent)
        self.fc_h2o = layer(dim_recurrent, dim_recurrent, bias=False)
        self.fc_x2g = layer(dim_input, dim_recurrent)
        self.fc_h2g = layer(dim_recurrent, dim_recurrent, bias=False)
        self.fc_h2y = layer(dim_recurrent, dim_output)

    def __repr__(self) -> str:
        """Return the call that makes such a model."""
        return _checks.call_of(self, "dim_input", "dim_recurrent", "dim_output")

    def __call__(self, x: Tensor | NDArray[Any]) -> Tensor:
        """Return the class scores of one sequence: `x` is (T, C), the logits are (1, K)."""
        check_sequence(x, self.dim_input)
        h = zero_state(self.dim_recurrent)
        c = zero_state(self.dim_recurrent)
        for x_t in x:
            x_t = x_t[np.newaxis]
            i = sigmoid(self.fc_x2i(x_t) + self.fc_h2i(h))
            f = sigmoid(self.fc_x2f(x_t) + self.fc_h2f(h))
            o = sigmoid(self.fc_x2o(x_t) + self.fc_h2o(h))
            g = tanh(self.fc_x2g(x_t) + self.fc_h2g(h))
            c = f * c + i * g
            h = o * tanh(c)
        return self.fc_h2y(h)

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """All that the model learns, layer by layer."""
        gates = (self.fc_x2i, self.fc_h2i, self.fc_x2f, self.fc_h2f, self.fc_x2o, self.fc_h2o, self.fc_x2g, self.fc_h2g)
        return tuple(parameter for layer in (*gates, self.fc_h2y) for parameter in layer.parameters)
