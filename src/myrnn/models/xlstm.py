"""The two cells of xLSTM, with exponential gates: sLSTM has a state of numbers, and mLSTM one of matrices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from mygrad import absolute, exp, matmul, maximum, tanh
from mygrad.nnet.activations import sigmoid

from myrnn._keywords import keywords
from myrnn.models.dense import Maker, filled
from myrnn.models.functions import softplus
from myrnn.models.layer import GatedInit, Heads, HeadsLayer, OneLayer, Size, State, Units

# The logarithm of nothing, for a maximum; unlike infinity it can be subtracted from itself.
LOG_OF_ZERO = np.float32(-1e30)


class SLSTMLayer(HeadsLayer):
    """A layer with the equations of `SLSTM`."""

    def __init__(self, dim_input: int, dim_recurrent: int, make: Maker, heads: int) -> None:
        super().__init__(dim_input, dim_recurrent, heads)
        size = self.dim_head
        forget = np.tile(5 - 12 * np.linspace(0, 1, size) ** 0.3, heads)
        self.fc_x2i = make.dense(dim_input, dim_recurrent)
        self.fc_h2i = make.recurrent_heads(heads, size)
        self.fc_x2f = make.dense(dim_input, dim_recurrent, bias_initializer=filled(forget))
        self.fc_h2f = make.recurrent_heads(heads, size)
        self.fc_x2o = make.dense(dim_input, dim_recurrent)
        self.fc_h2o = make.recurrent_heads(heads, size)
        self.fc_x2z = make.dense(dim_input, dim_recurrent)
        self.fc_h2z = make.recurrent_heads(heads, size)

    def start(self) -> State:
        """Return the state before the first step: h, c and n, zeros (1, D), and m, the logarithm of nothing."""
        return self._zeros(), self._zeros(), self._zeros(), self._zeros() + LOG_OF_ZERO

    def step(self, x_t: Any, state: State) -> State:
        """Return the next state: h, c, n and m, (1, D); `x_t` is (1, C)."""
        h, c, n, m = state
        log_i = self.fc_x2i(x_t) + self.fc_h2i(h)
        log_f = m - softplus(-(self.fc_x2f(x_t) + self.fc_h2f(h)))
        o = sigmoid(self.fc_x2o(x_t) + self.fc_h2o(h))
        z = tanh(self.fc_x2z(x_t) + self.fc_h2z(h))
        m = maximum(log_f, log_i)
        i, f = exp(log_i - m), exp(log_f - m)
        c = f * c + i * z
        n = f * n + i
        return o * c / n, c, n, m


class MLSTMLayer(HeadsLayer):
    """A layer with the equations of `MLSTM`."""

    def __init__(self, dim_input: int, dim_recurrent: int, make: Maker, heads: int) -> None:
        super().__init__(dim_input, dim_recurrent, heads)
        self.fc_x2q = make.dense(dim_input, dim_recurrent)
        self.fc_x2k = make.dense(dim_input, dim_recurrent)
        self.fc_x2v = make.dense(dim_input, dim_recurrent)
        i, f = make.normal(0, 0.1, heads), np.linspace(3, 6, heads)
        self.fc_x2i = make.dense(dim_input, heads, weight_initializer=filled(0.0), bias_initializer=filled(i))
        self.fc_x2f = make.dense(dim_input, heads, weight_initializer=filled(0.0), bias_initializer=filled(f))
        self.fc_x2o = make.dense(dim_input, dim_recurrent)

    def start(self) -> State:
        """Return the state before the first step: h (1, D), and C (H, d, d), n (H, d, 1) and m (H, 1, 1), zeros."""
        C, n, m = self._zero_matrices(), self._columns(self._zeros()), self._zeros(self.heads, 1, 1)
        return self._read(self._zeros(1, self.dim_input), C, n, m), C, n, m

    def step(self, x_t: Any, state: State) -> State:
        """Return the next state: h (1, D), C (H, d, d), n (H, d, 1) and m (H, 1, 1); `x_t` is (1, C)."""
        C, n, m = state[1:]
        k = self._columns(self.fc_x2k(x_t)) / np.float32(math.sqrt(self.dim_head))
        v = self.fc_x2v(x_t)
        log_i, log_f = self.fc_x2i(x_t), -softplus(-self.fc_x2f(x_t))
        log_i, log_f = self._rows(log_i), m + self._rows(log_f)
        # Not below 0: exp(-m) would be infinite, and its gradient NaN.
        m = maximum(maximum(log_f, log_i), np.float32(0))
        i, f = exp(log_i - m), exp(log_f - m)
        C = f * C + (i * k) * self._rows(v)
        n = f * n + i * k
        return self._read(x_t, C, n, m), C, n, m

    def _read(self, x_t: Any, C: Any, n: Any, m: Any) -> Any:
        q = self._rows(self.fc_x2q(x_t))
        read = matmul(q, C) / maximum(absolute(matmul(q, n)), exp(-m))
        return sigmoid(self.fc_x2o(x_t)) * self._joined(read)


class SLSTM(OneLayer, SLSTMLayer):
    """xLSTM's sLSTM, with an exponential input gate and a normalizer, scores a sequence by its last hidden state.

    With T steps, C inputs, D recurrent units and K classes::

        i_t = exp(x_t W_xi + b_i + h_{t-1} R_i)                the input gate
        f_t = sigmoid(x_t W_xf + b_f + h_{t-1} R_f)            the forget gate
        o_t = sigmoid(x_t W_xo + b_o + h_{t-1} R_o)            the output gate
        z_t = tanh(x_t W_xz + b_z + h_{t-1} R_z)               the candidate
        c_t = f_t * c_{t-1} + i_t * z_t                        c_{-1} = 0
        n_t = f_t * n_{t-1} + i_t                              the normalizer; n_{-1} = 0
        h_t = o_t * c_t / n_t                                  h_{-1} = 0
        y   = h_{T-1} W_hy + b_y

    So that no gate overflows, c and n are kept divided by ``exp(m_t)``, where ``m_t = max(log f_t + m_{t-1}, log
    i_t)``; h does not depend on m. With several heads, each unit reads only the hidden states of its own head. The
    paper's blocks around the cell (convolution, normalization, projections) are left out.

    Parameters
    ----------
    dim_input, dim_recurrent, dim_output : int
        C, D and K.
    heads : int
        The number of heads, which must divide D.
    recurrent_init, rng
        As for `RNN`; the recurrent weights R are ``"glorot"`` or ``"orthogonal"``, for each head. The biases of the
        forget gates begin between 5 and -7, as in the code of the authors.

    References
    ----------
    Beck, Pöppel, Spanring, Auer, Prudnikova, Kopp, Klambauer, Brandstetter and Hochreiter, "xLSTM: extended long
    short-term memory", arXiv 2405.04517, 2024.

    Examples
    --------
    >>> import numpy as np
    >>> SLSTM(dim_input=10, dim_recurrent=16, dim_output=2, heads=4)(np.zeros((4, 10), dtype=np.float32)).shape
    (1, 2)
    """

    @keywords
    def __init__(
        self,
        dim_input: Size,
        dim_recurrent: Units,
        dim_output: Size,
        *,
        heads: Heads = 1,
        recurrent_init: GatedInit = "glorot",
        rng: np.random.Generator | int | None = None,
    ) -> None:
        self._make((dim_input, dim_recurrent, dim_output), rng, recurrent_init=recurrent_init, heads=heads)


class MLSTM(OneLayer, MLSTMLayer):
    """xLSTM's mLSTM, which adds outer products to a matrix, scores a sequence by its last output.

    With T steps, C inputs, K classes, and D recurrent units in heads of d units, for each head::

        q_t = x_t W_xq + b_q,  k_t = (x_t W_xk + b_k) / sqrt(d),  v_t = x_t W_xv + b_v
        i_t = exp(x_t w_i + b_i)                               the input gate, one number
        f_t = sigmoid(x_t w_f + b_f)                           the forget gate, one number
        o_t = sigmoid(x_t W_xo + b_o)                          the output gate
        C_t = f_t C_{t-1} + i_t k_t^T v_t                      the memory, (d, d); C_{-1} = 0
        n_t = f_t n_{t-1} + i_t k_t                            the normalizer; n_{-1} = 0
        h_t = o_t * (q_t C_t) / max(|q_t n_t^T|, 1)            the output

    and ``y = h_{T-1} W_hy + b_y``. So that no gate overflows, C and n are kept divided by ``exp(m_t)``, where ``m_t =
    max(log f_t + m_{t-1}, log i_t, 0)``; h does not depend on m. The matrix C is the transposed one of the paper, whose
    vectors are columns. The paper's blocks around the cell (convolution, normalization, projections) are left out.

    Parameters
    ----------
    dim_input, dim_recurrent, dim_output : int
        C, D and K.
    heads : int
        The number of heads, which must divide D.
    rng
        Draws the weights. The gates i and f begin without weights, as in the code of the authors, with biases that are
        normal (deviation 0.1) and between 3 and 6; the other weights are Glorot normal. None uses NumPy's global
        generator.

    References
    ----------
    Beck, Pöppel, Spanring, Auer, Prudnikova, Kopp, Klambauer, Brandstetter and Hochreiter, "xLSTM: extended long
    short-term memory", arXiv 2405.04517, 2024.

    Examples
    --------
    >>> import numpy as np
    >>> MLSTM(dim_input=10, dim_recurrent=16, dim_output=2, heads=4)(np.zeros((4, 10), dtype=np.float32)).shape
    (1, 2)
    """

    @keywords
    def __init__(
        self,
        dim_input: Size,
        dim_recurrent: Units,
        dim_output: Size,
        *,
        heads: Heads = 1,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        self._make((dim_input, dim_recurrent, dim_output), rng, heads=heads)
