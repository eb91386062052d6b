"""Cells whose new state is a linear function of the last one, number by number: minGRU, LRU and Mamba."""

from __future__ import annotations

import math
from typing import Annotated, Any

import numpy as np
from msgspec import Meta
from mygrad import concatenate, cos, exp, matmul, sin
from mygrad.nnet.activations import sigmoid

from myrnn._keywords import keywords
from myrnn.models.dense import Maker, filled, parameter
from myrnn.models.functions import gelu, silu, softplus
from myrnn.models.layer import Layer, OneLayer, Size, State, Units

StateSize = Annotated[int, Meta(ge=1, le=1_000, description="The number of states of each unit.")]
Convolution = Annotated[
    int, Meta(ge=1, le=1_000, description="The number of rows that the convolution of a unit reads at once.")
]

# The steps of discretisation that Mamba begins with are between these.
SHORTEST, LONGEST = 1e-3, 1e-1


class MinGRULayer(Layer):
    """A layer with the equations of `MinGRU`."""

    def __init__(self, dim_input: int, dim_recurrent: int, make: Maker) -> None:
        super().__init__(dim_recurrent)
        self.fc_x2z = make.dense(dim_input, dim_recurrent)
        self.fc_x2n = make.dense(dim_input, dim_recurrent)

    def step(self, x_t: Any, state: State) -> State:
        """Return the next state, h (1, D); `x_t` is (1, C)."""
        (h,) = state
        z = sigmoid(self.fc_x2z(x_t))
        h = h + z * (self.fc_x2n(x_t) - h)
        return (h,)


class LRULayer(Layer):
    """A layer with the equations of `LRU`."""

    def __init__(self, dim_input: int, dim_recurrent: int, make: Maker) -> None:
        super().__init__(dim_recurrent)
        size = dim_recurrent
        self.fc_x2u = make.dense(dim_input, size)
        # Eigenvalues are uniform on the unit disk; gamma keeps a state as large as its inputs.
        radius = np.sqrt(make.uniform(1e-6, 1.0, (1, size)))
        self.nu = parameter(np.log(-np.log(radius)))
        self.theta = parameter(np.log(make.uniform(1e-6, 2 * math.pi, (1, size))))
        self.gamma = parameter(np.log(np.sqrt(1 - radius**2)))
        self.b_real, self.b_imaginary = (parameter(make.normal(0, (2 * size) ** -0.5, (size, size))) for _ in "ri")
        self.c_real, self.c_imaginary = (parameter(make.normal(0, size**-0.5, (size, size))) for _ in "ri")
        self.skip = parameter(make.normal(0, 1, (1, size)))
        self.fc_v2g = make.dense(size, size)

    def start(self) -> State:
        """Return the state before the first step: h, and both parts of c, zeros (1, D)."""
        real = imaginary = u = self._zeros()
        return self._read(real, imaginary, u), real, imaginary

    def step(self, x_t: Any, state: State) -> State:
        """Return the next state: h and both parts of c, (1, D); `x_t` is (1, C)."""
        real, imaginary = state[1:]
        u = self.fc_x2u(x_t)
        size, angle, scale = exp(-exp(self.nu)), exp(self.theta), exp(self.gamma)
        a, b = size * cos(angle), size * sin(angle)
        real, imaginary = (
            a * real - b * imaginary + scale * matmul(u, self.b_real),
            a * imaginary + b * real + scale * matmul(u, self.b_imaginary),
        )
        return self._read(real, imaginary, u), real, imaginary

    def _read(self, real: Any, imaginary: Any, u: Any) -> Any:
        v = gelu(matmul(real, self.c_real) - matmul(imaginary, self.c_imaginary) + self.skip * u)
        return v * sigmoid(self.fc_v2g(v))


class MambaLayer(Layer):
    """A layer with the equations of `Mamba`."""

    def __init__(self, dim_input: int, dim_recurrent: int, make: Maker, dim_state: int, convolution: int) -> None:
        super().__init__(dim_recurrent)
        self.dim_input, self.dim_state, self.convolution = dim_input, dim_state, convolution
        size, rank = dim_recurrent, math.ceil(dim_recurrent / 16)
        self.fc_x2u = make.dense(dim_input, size, bias=False)
        self.fc_x2z = make.dense(dim_input, size, bias=False)
        bound = convolution**-0.5
        self.kernel = parameter(make.uniform(-bound, bound, (convolution, size)))
        self.kernel_bias = parameter(make.uniform(-bound, bound, (1, size)))
        self.fc_u2b = make.dense(size, dim_state, bias=False)
        self.fc_u2c = make.dense(size, dim_state, bias=False)
        self.fc_u2r = make.dense(size, rank, bias=False)
        self.fc_r2d = make.dense(
            rank,
            size,
            weight_initializer=filled(make.uniform(-(rank**-0.5), rank**-0.5, (rank, size))),
            bias_initializer=filled(step_bias(make, size)),
        )
        self.a = parameter(np.log(np.tile(np.arange(1, dim_state + 1), (size, 1))))
        self.skip = parameter(np.ones((1, size)))

    def start(self) -> State:
        """Return the state before the first step: h (1, D), and s (D, N) and W - 1 rows (1, D), zeros."""
        s, u, x = self._zeros(self.dim_recurrent, self.dim_state), self._zeros(), self._zeros(1, self.dim_input)
        return self._read(s, u, x), s, *([u] * (self.convolution - 1))

    def step(self, x_t: Any, state: State) -> State:
        """Return the next state: h (1, D), s (D, N) and the last W - 1 rows that the convolution reads, (1, D)."""
        s, *rows = state[1:]
        rows = [*rows, self.fc_x2u(x_t)]
        u = silu((self.kernel * concatenate(rows)).sum(axis=0, keepdims=True) + self.kernel_bias)
        d = softplus(self.fc_r2d(self.fc_u2r(u)))
        s = exp(-d.T * exp(self.a)) * s + (d * u).T * self.fc_u2b(u)
        return self._read(s, u, x_t), s, *rows[1:]

    def _read(self, s: Any, u: Any, x_t: Any) -> Any:
        v = matmul(s, self.fc_u2c(u).T).T + self.skip * u
        return v * silu(self.fc_x2z(x_t))


def step_bias(make: Maker, size: int) -> Any:
    """Return biases with which softplus is between `SHORTEST` and `LONGEST`, uniform on a logarithmic scale."""
    steps = np.exp(make.uniform(math.log(SHORTEST), math.log(LONGEST), (1, size)))
    return steps + np.log(-np.expm1(-steps))


class MinGRU(OneLayer, MinGRULayer):
    """A minimal GRU, whose gate and candidate do not read the state, scores a sequence by its last hidden state.

    With T steps, C inputs, D recurrent units and K classes::

        z_t = sigmoid(x_t W_xz + b_z)                          the gate
        n_t = x_t W_xn + b_n                                   the candidate
        h_t = h_{t-1} + z_t * (n_t - h_{t-1})                  h_{-1} = 0
        y   = h_{T-1} W_hy + b_y

    One such layer can keep and overwrite numbers, but cannot let what it writes depend on what it has kept; a layer
    above it in `Stacked` can. The variant of the paper that is computed with logarithms, so that candidates are
    positive, is left out.

    Parameters
    ----------
    dim_input, dim_recurrent, dim_output : int
        C, D and K.
    rng
        As for `RNN`; all weights are Glorot normal.

    References
    ----------
    Feng, Tung, Ahmed, Bengio and Hajimirsadeghi, "Were RNNs all we needed?", arXiv 2410.01201, 2024.

    Examples
    --------
    >>> import numpy as np
    >>> MinGRU(dim_input=10, dim_recurrent=16, dim_output=2)(np.zeros((4, 10), dtype=np.float32)).shape
    (1, 2)
    """


class LRU(OneLayer, LRULayer):
    """A linear recurrent unit, whose state is complex and turns by a learned angle, scores a sequence by its output.

    With T steps, C inputs, D recurrent units, each a complex number, and K classes::

        u_t = x_t W_xu + b_u
        l   = exp(-exp(nu) + i exp(theta))                     the eigenvalues: inside the unit circle
        c_t = l * c_{t-1} + exp(gamma) * (u_t B)               the state, complex; c_{-1} = 0
        v_t = gelu(Re(c_t C) + d * u_t)
        h_t = v_t * sigmoid(v_t W_g + b_g)
        y   = h_{T-1} W_hy + b_y

    B and C are complex matrices (D, D), and ``gelu(z) = z / 2 * (1 + tanh(sqrt(2 / pi) (z + 0.044715 z**3)))``. The
    last two of the equations of a layer are the gated linear unit that follows the recurrence in the paper, in the
    shorter form with one matrix. Its normalization, dropout and skip connection around a layer are left out.

    Parameters
    ----------
    dim_input, dim_recurrent, dim_output : int
        C, D and K.
    rng
        Draws the weights: the eigenvalues are uniform on the unit disk, ``exp(gamma)`` is ``sqrt(1 - |l|**2)``, B, C
        and d are normal as in the paper, and the dense layers are Glorot normal. None uses NumPy's global generator.

    References
    ----------
    Orvieto, Smith, Gu, Fernando, Gulcehre, Pascanu and De, "Resurrecting recurrent neural networks for long sequences",
    arXiv 2303.06349, 2023.

    Examples
    --------
    >>> import numpy as np
    >>> LRU(dim_input=10, dim_recurrent=16, dim_output=2)(np.zeros((4, 10), dtype=np.float32)).shape
    (1, 2)
    """


class Mamba(OneLayer, MambaLayer):
    """Mamba's selective state space, whose decay and input depend on the input, scores a sequence by its output.

    With T steps, C inputs, D recurrent units with N states each, and K classes::

        r_t = x_t W_xu
        u_t = silu(sum_j k_j * r_{t-W+1+j} + b_k)                        a convolution for each unit, j < W
        d_t = softplus(u_t W_ur W_rd + b_d)                              the length of the step
        s_t = exp(-d_t^T * exp(a)) * s_{t-1} + (d_t * u_t)^T (u_t W_ub)  the states, (D, N); s_{-1} = 0
        v_t = (u_t W_uc) s_t^T + skip * u_t
        h_t = v_t * silu(x_t W_xz)                                       the output
        y   = h_{T-1} W_hy + b_y

    W_ur has the rank D / 16, rounded up. The projection of the output is that of the layer above; normalization and
    the skip connection around a layer are left out.

    Parameters
    ----------
    dim_input, dim_recurrent, dim_output : int
        C, D and K. D is the inner width of the paper's block.
    dim_state : int
        N.
    convolution : int
        W, the number of rows that the convolution reads; with W = 1 it scales and shifts one row.
    rng
        Draws the weights: ``exp(a)`` begins as 1, 2, ..., N and the skip as 1; the bias of the step lets it begin
        between 0.001 and 0.1; the matrix from rank r to the step is uniform within 1 / sqrt(r), and the convolution
        within 1 / sqrt(W). The other matrices are Glorot normal. None uses NumPy's global generator.

    References
    ----------
    Gu and Dao, "Mamba: linear-time sequence modeling with selective state spaces", arXiv 2312.00752, 2023.

    Examples
    --------
    >>> import numpy as np
    >>> Mamba(dim_input=10, dim_recurrent=16, dim_output=2)(np.zeros((4, 10), dtype=np.float32)).shape
    (1, 2)
    """

    @keywords
    def __init__(
        self,
        dim_input: Size,
        dim_recurrent: Units,
        dim_output: Size,
        *,
        dim_state: StateSize = 16,
        convolution: Convolution = 4,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        self._make((dim_input, dim_recurrent, dim_output), rng, dim_state=dim_state, convolution=convolution)
