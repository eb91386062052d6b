"""Cells whose state is a matrix that maps keys to values and is corrected by the delta rule.

The gated DeltaNet and DeltaProduct correct the value of one or several keys at each step; RWKV-7 has a decay and a rate
of correction for each number of a key.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import numpy as np
from msgspec import Meta
from mygrad import exp, matmul, tanh
from mygrad.nnet.activations import sigmoid

from myrnn._keywords import keywords
from myrnn.models.dense import Maker, dense, filled, parameter
from myrnn.models.functions import ONE, TWO, normalized, silu, softplus, unit
from myrnn.models.layer import Heads, HeadsLayer, OneLayer, Size, State, Units
from myrnn.models.linear import step_bias

Householders = Annotated[int, Meta(ge=1, le=100, description="The number of keys to correct at each step.")]
NegativeEigenvalues = Annotated[
    bool, Meta(description="Whether a step can turn a key's value into its opposite, not only delete it.")
]
Gated = Annotated[bool, Meta(description="Whether the state decays, and the output has a gate.")]

# The rank of the matrices that RWKV-7 factorizes is at most this.
MOST_RANK = 32
# The logarithm of its decay is between minus this and 0.
FASTEST = np.float32(math.exp(-0.5))
# How RWKV-7 mixes each row with the one before: the exponents of `1 - (unit / units) ** exponent`.
MIXES = {"r": 0.2, "w": 0.9, "k": 0.7, "v": 0.7, "a": 0.9, "g": 0.2}


class DeltaProductLayer(HeadsLayer):
    """A layer with the equations of `DeltaProduct`."""

    def __init__(
        self,
        dim_input: int,
        dim_recurrent: int,
        make: Maker,
        heads: int,
        householders: int,
        negative_eigenvalues: bool,
        gated: bool,
    ) -> None:
        super().__init__(dim_input, dim_recurrent, heads)
        self.householders, self.negative_eigenvalues, self.gated = householders, negative_eigenvalues, gated
        self.fc_x2q = make.dense(dim_input, dim_recurrent, bias=False)
        self.fc_x2k = [make.dense(dim_input, dim_recurrent, bias=False) for _ in range(householders)]
        self.fc_x2v = [make.dense(dim_input, dim_recurrent, bias=False) for _ in range(householders)]
        self.fc_x2b = [make.dense(dim_input, heads, bias=False) for _ in range(householders)]
        if gated:
            self.fc_x2a = make.dense(dim_input, heads, bias_initializer=filled(step_bias(make, heads)))
            self.rate = parameter(np.log(make.uniform(1e-3, 16, (1, heads))))
            self.fc_x2g = make.dense(dim_input, dim_recurrent, bias=False)
        self.scale = parameter(np.ones((1, self.dim_head)))

    def start(self) -> State:
        """Return the state before the first step: h (1, D), and S (H, d, d), zeros."""
        S = self._zero_matrices()
        return self._read(self._zeros(1, self.dim_input), S), S

    def step(self, x_t: Any, state: State) -> State:
        """Return the next state: h (1, D), and S (H, d, d), whose rows belong to keys; `x_t` is (1, C)."""
        S = state[1]
        if self.gated:
            a = exp(-exp(self.rate) * softplus(self.fc_x2a(x_t)))
            S = self._rows(a) * S
        for fc_k, fc_v, fc_b in zip(self.fc_x2k, self.fc_x2v, self.fc_x2b, strict=True):
            k = unit(self._rows(silu(fc_k(x_t))))
            v = silu(fc_v(x_t))
            b = sigmoid(fc_b(x_t))
            if self.negative_eigenvalues:
                b = TWO * b
            S = S + self._columns(k) * (self._rows(b) * (self._rows(v) - matmul(k, S)))
        return self._read(x_t, S), S

    def _read(self, x_t: Any, S: Any) -> Any:
        q = unit(self._rows(silu(self.fc_x2q(x_t))))
        h = self._joined(normalized(matmul(q, S), 1e-5) * self.scale)
        return h * silu(self.fc_x2g(x_t)) if self.gated else h


class GatedDeltaNetLayer(DeltaProductLayer):
    """A layer with the equations of `GatedDeltaNet`."""

    def __init__(self, dim_input: int, dim_recurrent: int, make: Maker, heads: int, negative_eigenvalues: bool) -> None:
        super().__init__(dim_input, dim_recurrent, make, heads, 1, negative_eigenvalues, gated=True)


class RWKV7Layer(HeadsLayer):
    """A layer with the equations of `RWKV7`."""

    def __init__(self, dim_input: int, dim_recurrent: int, make: Maker, heads: int) -> None:
        super().__init__(dim_input, dim_recurrent, heads)
        rank = min(MOST_RANK, math.ceil(dim_recurrent / 2))
        place = np.arange(dim_input) / dim_input
        self.mix = {name: parameter(1 - place[np.newaxis] ** power) for name, power in MIXES.items()}

        def projection(bound: float) -> dense:
            bound = bound * dim_input**-0.5
            values = make.uniform(-bound, bound, (dim_input, dim_recurrent))
            return make.dense(dim_input, dim_recurrent, weight_initializer=filled(values), bias=False)

        def back(bias: Any = None) -> dense:
            # Orthogonal, but small.
            turned = np.linalg.qr(make.normal(size=(dim_recurrent, rank)))[0].T
            further = {"bias": False} if bias is None else {"bias_initializer": filled(bias)}
            return make.dense(rank, dim_recurrent, weight_initializer=filled(0.1 * turned), **further)

        along, within = np.linspace(0, 1, dim_recurrent), np.linspace(-1, 1, self.dim_head)
        zigzag, linear = np.tile(within * abs(within), heads), along - 0.5
        self.fc_x2r, self.fc_x2k, self.fc_x2v = projection(0.5), projection(0.05), projection(0.5)
        self.fc_x2w, self.fc_x2a, self.fc_x2g = (
            make.dense(dim_input, rank, weight_initializer=filled(0.0), bias=False) for _ in "wag"
        )
        self.fc_w2w = back(6 * along - 5.5 + 2.5 * zigzag)
        self.fc_a2a = back(0.3 * zigzag + 0.4 * linear - 0.19)
        self.fc_g2g = back()
        self.removed = parameter([0.71 - 0.1 * linear])
        self.added = parameter(np.full((1, dim_recurrent), 1.02))
        self.bonus = parameter(np.full((1, dim_recurrent), -0.04))
        self.scale, self.shift = parameter(np.ones((1, dim_recurrent))), parameter(np.zeros((1, dim_recurrent)))

    def start(self) -> State:
        """Return the state before the first step: h (1, D), and S (H, d, d) and a row (1, C), zeros."""
        S, k, v, row = self._zero_matrices(), self._zeros(), self._zeros(), self._zeros(1, self.dim_input)
        return self._read(row, row, S, k, v), S, row

    def _mixed(self, name: str, x_t: Any, before: Any) -> Any:
        return x_t * (ONE - self.mix[name]) + before * self.mix[name]

    def step(self, x_t: Any, state: State) -> State:
        """Return the next state: h (1, D), S (H, d, d), whose rows belong to keys, and `x_t`, (1, C)."""
        S, before = state[1:]
        x = {name: self._mixed(name, x_t, before) for name in "kvwa"}
        k, v = self.fc_x2k(x["k"]), self.fc_x2v(x["v"])
        w = exp(-FASTEST * sigmoid(self.fc_w2w(tanh(self.fc_x2w(x["w"])))))
        a = sigmoid(self.fc_a2a(self.fc_x2a(x["a"])))
        removed = unit(self._rows(k * self.removed))
        rate = self._columns(a) * self._columns(removed)
        k = k * (ONE + (a - ONE) * self.added)
        S = self._columns(w) * S - rate * matmul(removed, S) + self._columns(k) * self._rows(v)
        return self._read(x_t, before, S, k, v), S, x_t

    def _read(self, x_t: Any, before: Any, S: Any, k: Any, v: Any) -> Any:
        r = self.fc_x2r(self._mixed("r", x_t, before))
        g = self.fc_g2g(sigmoid(self.fc_x2g(self._mixed("g", x_t, before))))
        y = matmul(self._rows(r), S)
        y = self._joined(normalized(y - y.mean(axis=-1, keepdims=True), 64e-5)) * self.scale + self.shift
        again = self._rows(r * k * self.bonus).sum(axis=-1, keepdims=True) * self._rows(v)
        return g * (y + self._joined(again))


class DeltaProduct(OneLayer, DeltaProductLayer):
    """DeltaProduct, which corrects the values of several keys at each step, scores a sequence by its last output.

    With T steps, C inputs, K classes, and D recurrent units in heads of d units, for each head and with n keys a step::

        k_j = unit(silu(x_t W_xk[j])),  v_j = silu(x_t W_xv[j]),  b_j = 2 sigmoid(x_t w_b[j])       j = 1, ..., n
        a   = exp(-exp(rate) softplus(x_t w_a + b_a))                         the decay, one number; 1 if not gated
        S   = a S_{t-1},  then for every j:  S = S + b_j k_j^T (v_j - k_j S)  the state, (d, d); S_{-1} = 0
        o_t = unit(silu(x_t W_xq)) S_t
        h_t = scale * o_t / sqrt(mean(o_t**2) + 1e-5) * silu(x_t W_xg)        the gate silu(...) only if gated

    and ``y = h_{T-1} W_hy + b_y``; ``unit(z) = z / sqrt(|z|**2 + 1e-6)``. Each j multiplies S by ``I - b_j k_j^T k_j``,
    a matrix whose eigenvalues are 1 and ``1 - b_j``. For b_j = 2 it is the reflection of Householder, and a product of
    n of them can turn a state in n / 2 planes. Without negative eigenvalues, b_j has no factor 2. One key at each step
    is DeltaNet, and with gates it is `GatedDeltaNet`. S is the transposed matrix of the paper, whose vectors are
    columns. The short convolutions of q, k and v are left out, and the projection of the output is that of the layer
    above.

    Parameters
    ----------
    dim_input, dim_recurrent, dim_output : int
        C, D and K.
    heads : int
        The number of heads, which must divide D.
    householders : int
        n.
    negative_eigenvalues : bool
        Whether the eigenvalues are between -1 and 1, instead of 0 and 1.
    gated : bool
        Whether the state decays, and the output has a gate.
    rng
        Draws the weights, Glorot normal. For the decay, ``exp(rate)`` is uniform between 0.001 and 16, and the bias b_a
        lets softplus begin between 0.001 and 0.1, as in the authors' code of gated DeltaNet. None uses NumPy's global
        generator.

    References
    ----------
    Siems, Carstensen, Zela, Hutter, Pontil and Grazzi, "DeltaProduct: improving state-tracking in linear RNNs via
    Householder products", arXiv 2502.10297, 2025; Grazzi, Siems, Zela, Franke, Hutter and Pontil, "Unlocking
    state-tracking in linear RNNs through negative eigenvalues", arXiv 2411.12537, 2024; Yang, Wang, Zhang, Shen and
    Kim, "Parallelizing linear transformers with the delta rule over sequence length", arXiv 2406.06484, 2024
    (DeltaNet).

    Examples
    --------
    >>> import numpy as np
    >>> DeltaProduct(dim_input=10, dim_recurrent=16, dim_output=2, heads=2)(np.zeros((4, 10), dtype=np.float32)).shape
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
        householders: Householders = 2,
        negative_eigenvalues: NegativeEigenvalues = True,
        gated: Gated = False,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        self._make(
            (dim_input, dim_recurrent, dim_output),
            rng,
            heads=heads,
            householders=householders,
            negative_eigenvalues=negative_eigenvalues,
            gated=gated,
        )


class GatedDeltaNet(OneLayer, GatedDeltaNetLayer):
    """A gated DeltaNet, whose state decays before the value of one key is corrected, scores a sequence by its output.

    With T steps, C inputs, K classes, and D recurrent units in heads of d units, for each head::

        k_t = unit(silu(x_t W_xk)),  v_t = silu(x_t W_xv),  b_t = sigmoid(x_t w_b)
        a_t = exp(-exp(rate) softplus(x_t w_a + b_a))                  the decay, one number
        S_t = a_t S_{t-1} + b_t k_t^T (v_t - a_t k_t S_{t-1})          the state, (d, d); S_{-1} = 0
        o_t = unit(silu(x_t W_xq)) S_t
        h_t = scale * o_t / sqrt(mean(o_t**2) + 1e-5) * silu(x_t W_xg)

    and ``y = h_{T-1} W_hy + b_y``; ``unit(z) = z / sqrt(|z|**2 + 1e-6)``. It is `DeltaProduct` with one key at each
    step and with gates, where the rest is described.

    Parameters
    ----------
    dim_input, dim_recurrent, dim_output : int
        C, D and K.
    heads : int
        The number of heads, which must divide D.
    negative_eigenvalues : bool
        Whether b_t is between 0 and 2, so that a step can turn a value into its opposite.
    rng
        As for `DeltaProduct`.

    References
    ----------
    Yang, Kautz and Hatamizadeh, "Gated delta networks: improving Mamba2 with delta rule", arXiv 2412.06464, 2024.

    Examples
    --------
    >>> import numpy as np
    >>> GatedDeltaNet(dim_input=10, dim_recurrent=16, dim_output=2)(np.zeros((4, 10), dtype=np.float32)).shape
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
        negative_eigenvalues: NegativeEigenvalues = False,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        sizes = dim_input, dim_recurrent, dim_output
        self._make(sizes, rng, heads=heads, negative_eigenvalues=negative_eigenvalues)


class RWKV7(OneLayer, RWKV7Layer):
    """RWKV-7's time mixing, a delta rule with a decay and a rate for each number, scores a sequence by its output.

    With T steps, C inputs, K classes, and D recurrent units in heads of d units::

        x_t^p = (1 - mix_p) * x_t + mix_p * x_{t-1}                    for p = r, w, k, v, a, g; x_{-1} = 0
        r = x_t^r W_xr,  k = x_t^k W_xk,  v = x_t^v W_xv
        w = exp(-exp(-1/2) sigmoid(tanh(x_t^w W_xw) W_ww + b_w))      the decay
        a = sigmoid(x_t^a W_xa W_aa + b_a)                            the rate
        g = sigmoid(x_t^g W_xg) W_gg                                  the gate of the output
        z = unit(removed * k),  k = k * (1 + (a - 1) * added)         the keys to remove and to add
        S_t = diag(w) S_{t-1} - (a * z)^T (z S_{t-1}) + k^T v         the state of a head, (d, d); S_{-1} = 0
        o_t = scale * norm(r S_t) + shift + (sum of r * k * bonus) v
        h_t = g * o_t                                                 without steps, that of a row of zeros

    and ``y = h_{T-1} W_hy + b_y``; ``unit(z) = z / sqrt(|z|**2 + 1e-6)``, and ``norm(z) = (z - mean(z)) / sqrt(var(z) +
    64e-5)`` for each head. S is the transposed matrix of the paper. Left out are the paper's mixing of v with that of
    the first layer, normalization and the skip connection around a layer, and its channel mixing. The projection of the
    output is that of the layer above.

    Parameters
    ----------
    dim_input, dim_recurrent, dim_output : int
        C, D and K.
    heads : int
        The number of heads, which must divide D.
    rng
        Draws the weights. They begin as those of a first layer in the code of the authors: W_xr, W_xk and W_xv uniform
        within 0.5, 0.05 and 0.5, each divided by the root of C, W_xw, W_xa and W_xg as zeros, W_ww, W_aa and W_gg, of
        rank D / 2 or 32, orthogonal and small, the biases and mixes by fixed formulas. None uses NumPy's global
        generator.

    References
    ----------
    Peng et al., "RWKV-7 'Goose' with expressive dynamic state evolution", arXiv 2503.14456, 2025.

    Examples
    --------
    >>> import numpy as np
    >>> RWKV7(dim_input=10, dim_recurrent=16, dim_output=2, heads=2)(np.zeros((4, 10), dtype=np.float32)).shape
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
