"""Stacks of layers in one loop: highways, residuals, skips, cells of one class composed."""

import mygrad as mg
from mygrad.nnet.activations import logsoftmax, sigmoid, tanh

from .registry import C, D, K, recurrence, weight, weights, zeros


@recurrence(source="Zilly et al., Recurrent highway networks (RHN), 2017")
class RecurrentHighway:
    """Three highway layers within a step; the input enters the first."""

    def __init__(self, rng, depth=3):
        self.wh, self.wt = weights(rng, (C, D), (C, D))
        self.rh = [weight(rng, D, D) for _ in range(depth)]
        self.rt = [weight(rng, D, D) for _ in range(depth)]
        self.bias = [weight(rng, D) for _ in range(depth)]
        self.y = weight(rng, D, K)
        self.parameters = (self.wh, self.wt, *self.rh, *self.rt, *self.bias, self.y)

    def __call__(self, x):
        s = zeros(1, D)
        for x_t in x:
            for i, (rh, rt, b) in enumerate(zip(self.rh, self.rt, self.bias, strict=True)):
                a, g = s @ rh, s @ rt + b
                if i == 0:
                    a, g = a + x_t[None] @ self.wh, g + x_t[None] @ self.wt
                t = sigmoid(g)
                s = mg.tanh(a) * t + s * (1 - t)
        return s @ self.y


@recurrence(source="Turkoglu et al., Gating revisited: deep multi-layer RNNs that can be trained (STAR), 2019")
class StackableRecurrent:
    """Three layers of cells of one class, in a list."""

    class Cell:
        def __init__(self, rng, n_in):
            self.wz, self.wx, self.wh, self.bz, self.bk = weights(rng, (n_in, D), (n_in, D), (D, D), D, D)
            self.parameters = (self.wz, self.wx, self.wh, self.bz, self.bk)

        def __call__(self, x, h):
            z = tanh(x @ self.wz + self.bz)
            k = sigmoid(x @ self.wx + h @ self.wh + self.bk)
            return tanh((1 - k) * h + k * z)

    def __init__(self, rng):
        self.cells = [self.Cell(rng, n) for n in (C, D, D)]
        self.v = weight(rng, D, K)

    @property
    def parameters(self):
        return (*(p for cell in self.cells for p in cell.parameters), self.v)

    def __call__(self, x):
        states = [zeros(1, D) for _ in self.cells]
        for x_t in x:
            below = x_t[None]
            for i, cell in enumerate(self.cells):
                states[i] = below = cell(below, states[i])
        return states[-1] @ self.v


@recurrence(source="Kim, El-Khamy and Lee, Residual LSTM: design of a deep recurrent architecture, 2017")
class ResidualStack:
    """Two residual layers of GRUs in one loop."""

    def __init__(self, rng):
        self.embed = weight(rng, C, D)
        self.layers = [tuple(weights(rng, (2 * D, D), (2 * D, D))) for _ in range(2)]
        self.v = weight(rng, D, K)

    @property
    def parameters(self):
        return (self.embed, *(p for layer in self.layers for p in layer), self.v)

    def __call__(self, x):
        states = [zeros(D), zeros(D)]
        for e in x @ self.embed:
            out, new = e, []
            for (wz, wh), h in zip(self.layers, states, strict=True):
                both = mg.concatenate([out, h])
                z = sigmoid(both @ wz)
                h = (1 - z) * h + z * mg.tanh(both @ wh)
                new.append(h)
                out = out + h
            states = new
        return (out @ self.v)[None]


@recurrence(source="Zhang et al., Highway long short-term memory RNNs for distant speech recognition, 2016")
class HighwayLSTM:
    """The cells of two layers are connected by a gate."""

    def __init__(self, rng):
        self.w1, self.w2, self.d, self.v = weights(rng, (C + D, 4 * D), (2 * D, 4 * D), (D, D), (D, K))
        self.wc, self.wl = weights(rng, D, D)
        self.parameters = self.w1, self.w2, self.d, self.v, self.wc, self.wl

    def __call__(self, x):
        h1, c1, h2, c2 = [zeros(D)] * 4
        for x_t in x:
            z = mg.concatenate([x_t, h1]) @ self.w1
            i, f, o, g = z[:D], z[D : 2 * D], z[2 * D : 3 * D], z[3 * D :]
            c1 = sigmoid(f) * c1 + sigmoid(i) * mg.tanh(g)
            h1 = sigmoid(o) * mg.tanh(c1)
            z = mg.concatenate([h1, h2]) @ self.w2
            i, f, o, g = z[:D], z[D : 2 * D], z[2 * D : 3 * D], z[3 * D :]
            carry = sigmoid(h1 @ self.d + self.wc * c2 + self.wl * c1)
            c2 = carry * c1 + sigmoid(f) * c2 + sigmoid(i) * mg.tanh(g)
            h2 = sigmoid(o) * mg.tanh(c2)
        return (h2 @ self.v)[None]


@recurrence(source="Mujika, Meier and Steger, Fast-slow recurrent neural networks, 2017")
class FastSlow:
    """Two fast cells one after the other, and a slow one between them."""

    def __init__(self, rng):
        self.f1, self.f2, self.s, self.v = weights(rng, (C + D, D), (2 * D, D), (2 * D, D), (D, K))
        self.parameters = self.f1, self.f2, self.s, self.v

    def cell(self, w, *parts):
        return mg.tanh(mg.concatenate(parts) @ w)

    def __call__(self, x):
        fast, slow = zeros(D), zeros(D)
        for x_t in x:
            fast = self.cell(self.f1, x_t, fast)
            slow = self.cell(self.s, fast, slow)
            fast = self.cell(self.f2, slow, fast)
        return mg.stack([fast @ self.v])


@recurrence(source="Kalchbrenner, Danihelka and Graves, Grid long short-term memory, 2015", complete=2)
class GridLSTM:
    """An LSTM along time and one along depth see both hidden vectors."""

    def __init__(self, rng):
        self.embed, self.time, self.depth, self.v = weights(rng, (C, D), (2 * D, 4 * D), (2 * D, 4 * D), (D, K))
        self.parameters = self.embed, self.time, self.depth, self.v

    def lstm(self, both, memory, w):
        z = both @ w
        memory = sigmoid(z[:, :D]) * memory + sigmoid(z[:, D : 2 * D]) * mg.tanh(z[:, 2 * D : 3 * D])
        return sigmoid(z[:, 3 * D :]) * mg.tanh(memory), memory

    def __call__(self, x):
        h, m = zeros(1, D), zeros(1, D)
        for x_t in x:
            e = x_t[None] @ self.embed
            both = mg.concatenate([h, e], axis=1)
            h, m = self.lstm(both, m, self.time)
            up, _ = self.lstm(both, e, self.depth)
        return up @ self.v


@recurrence(source="Graves, Mohamed and Hinton, Speech recognition with deep recurrent neural networks, 2013")
class DenseSkips:
    """Three layers; each sees the input and all layers below, the output sees all of them."""

    def __init__(self, rng):
        self.w = [weight(rng, C + i * D + D, D) for i in range(3)]
        self.v = weight(rng, 3 * D, K)
        self.parameters = (*self.w, self.v)

    def __call__(self, x):
        hs = [zeros(D)] * 3
        for x_t in x:
            seen = [x_t]
            for w, h in zip(self.w, hs, strict=True):
                seen.append(mg.tanh(mg.concatenate([*seen, h]) @ w))
            hs = seen[1:]
        return (mg.concatenate(hs) @ self.v)[None]


@recurrence(source="Karpathy, The unreasonable effectiveness of recurrent neural networks, 2015 (char-rnn, two layers)")
class CharRNN:
    """Two LSTMs, as functions of a dictionary of weights."""

    def __init__(self, rng):
        self.p = {}
        for layer, n in (("1", C), ("2", D)):
            self.p["i2h" + layer], self.p["h2h" + layer] = weights(rng, (n, 4 * D), (D, 4 * D))
        self.p["decoder"] = weight(rng, D, K)

    @property
    def parameters(self):
        return tuple(self.p.values())

    def lstm(self, layer, x, state):
        h, c = state
        z = x @ self.p["i2h" + layer] + h @ self.p["h2h" + layer]
        i, f, o = sigmoid(z[0, :D]), sigmoid(z[0, D : 2 * D]), sigmoid(z[0, 2 * D : 3 * D])
        c = f * c + i * tanh(z[0, 3 * D :])
        return (o * tanh(c))[None], c

    def __call__(self, x):
        first = second = (zeros(1, D), zeros(D))
        for x_t in x:
            first = self.lstm("1", x_t[None], first)
            second = self.lstm("2", first[0], second)
        return logsoftmax(second[0] @ self.p["decoder"])
