"""The LSTM and its variants, which drop, add or share gates."""

from collections import namedtuple

import mygrad as mg
import numpy as np
from mygrad.nnet.activations import sigmoid, softmax, tanh

from .layers import Linear
from .registry import C, D, K, recurrence, weight, weights, zeros


def normalised(z, gain, shift, eps=1e-5):
    """Layer normalisation."""
    centred = z - z.mean(axis=-1, keepdims=True)
    return gain * centred / mg.sqrt((centred**2).mean(axis=-1, keepdims=True) + eps) + shift


@recurrence(source="Hochreiter and Schmidhuber, Long short-term memory, 1997")
class OriginalLSTM:
    """No forget gate: the cell only adds."""

    def __init__(self, rng):
        self.wi, self.wo, self.wg = (Linear(rng, C + D, D) for _ in range(3))
        self.out = Linear(rng, D, K)

    @property
    def parameters(self):
        return self.wi.parameters + self.wo.parameters + self.wg.parameters + self.out.parameters

    def __call__(self, x):
        h, c = zeros(1, D), zeros(1, D)
        for x_t in x:
            z = mg.concatenate([x_t[None], h], axis=1)
            c = c + sigmoid(self.wi(z)) * mg.tanh(self.wg(z))
            h = sigmoid(self.wo(z)) * mg.tanh(c)
        return self.out(h)


@recurrence(source="Gers, Schmidhuber and Cummins, Learning to forget: continual prediction with LSTM, 2000")
class ForgetLSTM:
    """Four gates sliced from one product."""

    def __init__(self, rng):
        self.w, self.b, self.v = weights(rng, (C + D, 4 * D), 4 * D, (D, K))
        self.b.data[D : 2 * D] += 1
        self.parameters = self.w, self.b, self.v

    def __call__(self, x):
        h = c = zeros(D)
        for t in range(len(x)):
            z = mg.concatenate([x[t], h]) @ self.w + self.b
            i, f, o, g = (z[k * D : (k + 1) * D] for k in range(4))
            c = sigmoid(f) * c + sigmoid(i) * mg.tanh(g)
            h = sigmoid(o) * mg.tanh(c)
        return (h @ self.v)[None]


@recurrence(source="Gers and Schmidhuber, Recurrent nets that time and count, 2000")
class PeepholeLSTM:
    """Gates read the cell; the output gate reads the new one."""

    def __init__(self, rng):
        self.w = {gate: weight(rng, C, D) for gate in "ifog"}
        self.u = {gate: weight(rng, D, D) for gate in "ifog"}
        self.p = {gate: weight(rng, D) for gate in "ifo"}
        self.v = weight(rng, D, K)

    @property
    def parameters(self):
        return (*self.w.values(), *self.u.values(), *self.p.values(), self.v)

    def pre(self, gate, x_t, h):
        return x_t @ self.w[gate] + h @ self.u[gate]

    def __call__(self, x):
        h, c = zeros(1, D), zeros(1, D)
        for t in range(len(x)):
            x_t = x[t : t + 1]
            i = sigmoid(self.pre("i", x_t, h) + self.p["i"] * c)
            f = sigmoid(self.pre("f", x_t, h) + self.p["f"] * c)
            c = f * c + i * tanh(self.pre("g", x_t, h))
            o = sigmoid(self.pre("o", x_t, h) + self.p["o"] * c)
            h = o * tanh(c)
        return h @ self.v


@recurrence(source="Greff et al., LSTM: a search space odyssey, 2017 (CIFG)")
class CoupledLSTM:
    """Writes as much as it forgets."""

    State = namedtuple("State", "h c")

    def __init__(self, rng):
        self.f, self.o, self.g = (Linear(rng, C + D, D) for _ in range(3))
        self.y = Linear(rng, D, K)
        self.parameters = sum((layer.parameters for layer in (self.f, self.o, self.g, self.y)), ())

    def step(self, state, x_t):
        z = mg.concatenate([state.h, x_t])
        f = sigmoid(self.f(z))
        c = f * state.c + (1 - f) * mg.tanh(self.g(z))
        return self.State(sigmoid(self.o(z)) * mg.tanh(c), c)

    def __call__(self, x):
        state = self.State(zeros(D), zeros(D))
        for x_t in x:
            state = self.step(state, x_t)
        return self.y(state.h)[None]


@recurrence(source="Greff et al., LSTM: a search space odyssey, 2017 (no output gate, no output activation)")
def lstm_without_output(rng):
    """Two gates; the cell is the output."""
    gates = weight(rng, C + D, 3 * D)
    out = weight(rng, D, K)

    def model(x):
        c = mg.zeros((1, D), dtype="float32")
        for row in x:
            z = mg.concatenate([row[None], c], axis=1) @ gates
            a, b, g = z[:, :D], z[:, D : D * 2], z[:, D * 2 :]
            c = sigmoid(a) * c + sigmoid(b) * tanh(g)
        return c @ out

    model.parameters = gates, out
    return model


@recurrence(source="Sak, Senior and Beaufays, Long short-term memory recurrent neural network architectures, 2014")
class ProjectedLSTM:
    """The output is projected to fewer units before it comes back."""

    def __init__(self, rng, p=3):
        self.p = p
        self.w, self.b, self.project, self.v = weights(rng, (C + p, 4 * D), 4 * D, (D, p), (p, K))
        self.parameters = (self.w, self.b, self.project, self.v)

    def __call__(self, x):
        r, c = zeros(1, self.p), zeros(1, D)
        for x_t in x:
            z = (mg.concatenate([x_t[None], r], axis=1) @ self.w + self.b).reshape(4, D)
            i, f, o = sigmoid(z[0]), sigmoid(z[1]), sigmoid(z[2])
            c = f * c + i * mg.tanh(z[3])
            r = (o * mg.tanh(c)) @ self.project
        return r @ self.v


@recurrence(source="Krause et al., Multiplicative LSTM for sequence modelling, 2016")
class MultiplicativeLSTM:
    """The LSTM's gates see a product of input and state."""

    def __init__(self, rng):
        self.wmx, self.wmh, self.wx, self.wm, self.b, self.v = weights(
            rng, (C, D), (D, D), (C, 4 * D), (D, 4 * D), 4 * D, (D, K)
        )
        self.parameters = (self.wmx, self.wmh, self.wx, self.wm, self.b, self.v)

    def __call__(self, x):
        h, c = zeros(1, D), zeros(1, D)
        for x_t in x:
            x_t = x_t[None]
            m = (x_t @ self.wmx) * (h @ self.wmh)
            z = x_t @ self.wx + m @ self.wm + self.b
            c = sigmoid(z[:, :D]) * c + sigmoid(z[:, D : 2 * D]) * z[:, 3 * D :]
            h = mg.tanh(c * sigmoid(z[:, 2 * D : 3 * D]))
        return h @ self.v


@recurrence(source="Ba, Kiros and Hinton, Layer normalization, 2016")
class LayerNormLSTM:
    """Both products and the cell are normalised."""

    def __init__(self, rng):
        self.w, self.u, self.b, self.v = weights(rng, (C, 4 * D), (D, 4 * D), 4 * D, (D, K))
        self.gain = [mg.tensor(np.ones(n, np.float32)) for n in (4 * D, 4 * D, D)]
        self.shift = [mg.tensor(np.zeros(n, np.float32)) for n in (4 * D, 4 * D, D)]

    @property
    def parameters(self):
        return (self.w, self.u, self.b, self.v, *self.gain, *self.shift)

    def __call__(self, x):
        h, c = np.full((1, D), 0.1, np.float32), zeros(1, D)
        h[0, 0] = -0.3
        for x_t in x:
            of_x = normalised(x_t[None] @ self.w, self.gain[0], self.shift[0])
            of_h = normalised(h @ self.u, self.gain[1], self.shift[1])
            z = of_x + of_h + self.b
            i, f, o, g = z[:, :D], z[:, D : 2 * D], z[:, 2 * D : 3 * D], z[:, 3 * D :]
            c = sigmoid(f) * c + sigmoid(i) * mg.tanh(g)
            h = sigmoid(o) * mg.tanh(normalised(c, self.gain[2], self.shift[2], 1e-3))
        return h @ self.v


@recurrence(source="Feng et al., Were RNNs all we needed? (minLSTM), 2024")
class MinLSTM:
    """Two gates that add up to one, and a positive candidate."""

    def __init__(self, rng):
        self.f, self.i, self.h, self.y = Linear(rng, C, D), Linear(rng, C, D), Linear(rng, C, D), Linear(rng, D, K)
        self.parameters = (*self.f.parameters, *self.i.parameters, *self.h.parameters, *self.y.parameters)

    @staticmethod
    def g(z):
        return mg.where(z >= 0, z + 0.5, sigmoid(z))

    def __call__(self, x):
        h = np.zeros((1, D), np.float32)
        for t in range(len(x)):
            x_t = x[t].reshape(1, C)
            f, i = sigmoid(self.f(x_t)), sigmoid(self.i(x_t))
            h = f / (f + i) * h + i / (f + i) * self.g(self.h(x_t))
        return self.y(h)


@recurrence(source="Beck et al., xLSTM: extended long short-term memory (sLSTM), 2024")
class SLSTM:
    """Exponential gates, with a stabiliser and a normaliser."""

    def __init__(self, rng):
        self.w, self.r, self.b, self.v = weights(rng, (C, 4 * D), (D, 4 * D), 4 * D, (D, K))
        self.parameters = (self.w, self.r, self.b, self.v)

    def __call__(self, x):
        h, c, n, m = (zeros(1, D) for _ in range(4))
        for x_t in x:
            pre = x_t[None] @ self.w + h @ self.r + self.b
            z, i, f, o = (pre[:, j : j + D] for j in range(0, 4 * D, D))
            log_f = -mg.logaddexp(0, -f)
            after = mg.maximum(log_f + m, i)
            i_stable, f_stable = mg.exp(i - after), mg.exp(log_f + m - after)
            c = f_stable * c + i_stable * mg.tanh(z)
            n = f_stable * n + i_stable
            m = after
            h = sigmoid(o) * c / n
        return h @ self.v


@recurrence(source="van der Westhuizen and Lasenby, The unreasonable effectiveness of the forget gate (JANET), 2018")
class JANET:
    """Only a forget gate, whose complement is sharpened."""

    def __init__(self, rng):
        self.uf, self.wf, self.uc, self.wc, self.v = weights(rng, (D, D), (C, D), (D, D), (C, D), (D, K))
        self.parameters = (self.uf, self.wf, self.uc, self.wc, self.v)

    def __call__(self, x):
        c = zeros(1, D)
        for x_t in x:
            s = c @ self.uf + x_t[None] @ self.wf
            c = sigmoid(s) * c + (1 - sigmoid(s - 1)) * mg.tanh(c @ self.uc + x_t[None] @ self.wc)
        return c @ self.v


@recurrence(source="Shen et al., Ordered neurons: integrating tree structures into recurrent networks (ON-LSTM), 2019")
class OrderedNeurons:
    """Master gates are cumulative softmaxes."""

    def __init__(self, rng):
        self.w, self.b, self.v = weights(rng, (C + D, 6 * D), 6 * D, (D, K))
        self.parameters = self.w, self.b, self.v

    def __call__(self, x):
        h, c = zeros(D), zeros(D)
        for x_t in x:
            z = mg.concatenate([x_t, h]) @ self.w + self.b
            f, i, o, g, mf, mi = (z[n * D : n * D + D] for n in range(6))
            f, i, o = sigmoid(f), sigmoid(i), sigmoid(o)
            mf, mi = mg.cumsum(softmax(mf)), 1 - mg.cumsum(softmax(mi))
            both = mf * mi
            c = (f * both + mf - both) * c + (i * both + mi - both) * mg.tanh(g)
            h = o * mg.tanh(c)
        return (h @ self.v)[None]


@recurrence(source="Melis, Kocisky and Blunsom, Mogrifier LSTM, 2020")
class Mogrifier:
    """Input and state gate each other a few times before the LSTM sees them."""

    def __init__(self, rng, rounds=4):
        self.q = [weight(rng, D, C) if i % 2 == 0 else weight(rng, C, D) for i in range(rounds)]
        self.w, self.v = weights(rng, (C + D, 4 * D), (D, K))
        self.parameters = (*self.q, self.w, self.v)

    def mogrify(self, x, h):
        for i, q in enumerate(self.q):
            if i % 2 == 0:
                x = 2 * sigmoid(h @ q) * x
            else:
                h = 2 * sigmoid(x @ q) * h
        return x, h

    def __call__(self, x):
        h, c = zeros(1, D), zeros(1, D)
        for x_t in x:
            z = mg.concatenate(self.mogrify(x_t[None], h), axis=1) @ self.w
            c = sigmoid(z[:, :D]) * c + sigmoid(z[:, D : 2 * D]) * mg.tanh(z[:, 2 * D : 3 * D])
            h = sigmoid(z[:, 3 * D :]) * mg.tanh(c)
        return h @ self.v


@recurrence(source="Balduzzi and Ghifary, Strongly-typed recurrent neural networks (T-LSTM), 2016")
class StronglyTyped:
    """Products of inputs only: this row and the one before."""

    def __init__(self, rng):
        self.v, self.w, self.u, self.b, self.y = weights(rng, (2, C, D), (2, C, D), (2, C, D), D, (D, K))
        self.parameters = (self.v, self.w, self.u, self.b, self.y)

    def __call__(self, x):
        last, c = zeros(1, C), zeros(1, D)
        for x_t in x:
            x_t = x_t[None]
            z, f, o = (last @ m[0] + x_t @ m[1] for m in (self.v, self.w, self.u))
            f = sigmoid(f + self.b)
            c = f * c + (1 - f) * z
            h = mg.tanh(o) * c
            last = x_t
        return h @ self.y


@recurrence(source="Gonnet and Deselaers, IndyLSTMs: independently recurrent LSTMs, 2019")
class IndyLSTM:
    """An LSTM whose recurrent weights are vectors, one row of a matrix for each gate."""

    def __init__(self, rng):
        self.w, self.u, self.b, self.v = weights(rng, (C, 4, D), (4, D), (4, D), (D, K))
        self.parameters = self.w, self.u, self.b, self.v

    def __call__(self, x):
        h, c = zeros(D), zeros(D)
        for x_t in x:
            z = mg.einsum("c,cgd->gd", x_t, self.w) + self.u * h + self.b
            c = sigmoid(z[1]) * c + sigmoid(z[0]) * mg.tanh(z[3])
            h = sigmoid(z[2]) * mg.tanh(c)
        return (h @ self.v)[np.newaxis]


@recurrence(source="Moniz and Krueger, Nested LSTMs, 2017")
class NestedLSTM:
    """The memory of the outer cell is the output of an inner one."""

    def __init__(self, rng):
        self.outer, self.inner, self.v = weights(rng, (C + D, 4 * D), (2 * D, 4 * D), (D, K))
        self.parameters = self.outer, self.inner, self.v

    @staticmethod
    def gates(z):
        return sigmoid(z[:, :D]), sigmoid(z[:, D : 2 * D]), sigmoid(z[:, 2 * D : 3 * D]), mg.tanh(z[:, 3 * D :])

    def __call__(self, x):
        h = memory = deep = zeros(1, D)
        for x_t in x:
            i, f, o, g = self.gates(mg.concatenate([x_t[None], h], axis=1) @ self.outer)
            inner_i, inner_f, inner_o, inner_g = self.gates(mg.concatenate([i * g, f * memory], axis=1) @ self.inner)
            deep = inner_f * deep + inner_i * inner_g
            memory = inner_o * mg.tanh(deep)
            h = o * mg.tanh(memory)
        return h @ self.v
