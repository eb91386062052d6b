"""Gated cells other than the LSTM: the GRU and its successors."""

import mygrad as mg
import numpy as np
from mygrad.nnet.activations import hard_tanh, relu, sigmoid, tanh

from .layers import Linear
from .registry import C, D, K, recurrence, weight, weights, zeros


@recurrence(source="Cho et al., Learning phrase representations using RNN encoder-decoder, 2014")
class ChoGRU:
    """Reset before the product with the state."""

    def __init__(self, rng):
        self.Wz, self.Wr, self.W = weights(rng, (C, D), (C, D), (C, D))
        self.Uz, self.Ur, self.U = weights(rng, (D, D), (D, D), (D, D))
        self.V = weight(rng, D, K)

    @property
    def parameters(self):
        return self.Wz, self.Wr, self.W, self.Uz, self.Ur, self.U, self.V

    def __call__(self, x):
        h = zeros(1, D)
        for x_t in x:
            x_t = x_t[np.newaxis]
            z = sigmoid(x_t @ self.Wz + h @ self.Uz)
            r = sigmoid(x_t @ self.Wr + h @ self.Ur)
            h_tilde = tanh(x_t @ self.W + (r * h) @ self.U)
            h = z * h + (1 - z) * h_tilde
        return h @ self.V


@recurrence(source="PyTorch, torch.nn.GRU (reset after the product, as cuDNN has it)")
class ResetAfterGRU:
    """Weights with a row for every unit, three blocks of them, and two biases."""

    def __init__(self, rng):
        self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh = weights(rng, (3 * D, C), (3 * D, D), 3 * D, 3 * D)
        self.fc = Linear(rng, D, K)

    @property
    def parameters(self):
        return (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh, *self.fc.parameters)

    def __call__(self, x):
        h = zeros(1, D)
        gi = x @ self.weight_ih.T + self.bias_ih
        for t in range(x.shape[0]):
            gh = h @ self.weight_hh.T + self.bias_hh
            r = sigmoid(gi[t : t + 1, :D] + gh[:, :D])
            z = sigmoid(gi[t : t + 1, D : 2 * D] + gh[:, D : 2 * D])
            n = tanh(gi[t : t + 1, 2 * D :] + r * gh[:, 2 * D :])
            h = n + z * (h - n)
        return self.fc(h)


@recurrence(source="Zhou et al., Minimal gated unit for recurrent neural networks (MGU), 2016")
class MGU:
    """One gate forgets and resets."""

    def __init__(self, rng):
        self.wf, self.bf, self.wh, self.bh, self.v = weights(rng, (D + C, D), D, (D + C, D), D, (D, K))
        self.parameters = self.wf, self.bf, self.wh, self.bh, self.v

    def __call__(self, x):
        h = zeros(D)
        for x_t in x:
            f = sigmoid(mg.concatenate([h, x_t]) @ self.wf + self.bf)
            candidate = mg.tanh(mg.concatenate([f * h, x_t]) @ self.wh + self.bh)
            h = (1 - f) * h + f * candidate
        return (h @ self.v)[None]


@recurrence(source="Lei et al., Simple recurrent units for highly parallelizable recurrence (SRU), 2018")
class SRU:
    """All products read only the input, before the loop; the loop is elementwise and in place."""

    def __init__(self, rng):
        self.w, self.wf, self.wr, self.vf, self.vr, self.bf, self.br, self.y = weights(
            rng, (C, D), (C, D), (C, D), D, D, D, D, (D, K)
        )
        self.skip = weight(rng, C, D)
        self.parameters = self.w, self.wf, self.wr, self.vf, self.vr, self.bf, self.br, self.y, self.skip

    def __call__(self, x):
        u, uf, ur, skip = x @ self.w, x @ self.wf, x @ self.wr, x @ self.skip
        c = zeros(D)
        for t in range(len(x)):
            f = sigmoid(uf[t] + self.vf * c + self.bf)
            r = sigmoid(ur[t] + self.vr * c + self.br)
            c = f * c + (1 - f) * u[t]
            h = r * c + (1 - r) * skip[t]
        return (h @ self.y)[None]


@recurrence(source="Bradbury et al., Quasi-recurrent neural networks (QRNN), 2017")
class QRNN:
    """Convolutions of two rows of the input, and fo-pooling."""

    def __init__(self, rng):
        self.w0, self.w1, self.y = weights(rng, (C, 3 * D), (C, 3 * D), (D, K))
        self.parameters = (self.w0, self.w1, self.y)

    def __call__(self, x):
        c, before = zeros(D), zeros(C)
        for x_t in x:
            gates = before @ self.w0 + x_t @ self.w1
            z, f, o = mg.tanh(gates[:D]), sigmoid(gates[D:-D]), sigmoid(gates[-D:])
            c = f * c + (1 - f) * z
            h = o * c
            before = x_t
        return (h @ self.y).reshape(1, K)


@recurrence(source="Collins, Sohl-Dickstein and Sussillo, Capacity and trainability in recurrent neural networks, 2017")
class UGRNN:
    """One update gate."""

    def __init__(self, rng):
        self.gate, self.update, self.out = Linear(rng, C + D, D), Linear(rng, C + D, D), Linear(rng, D, K)
        self.parameters = (*self.gate.parameters, *self.update.parameters, *self.out.parameters)

    def __call__(self, x):
        h = zeros(1, D)
        for x_t in x:
            xh = mg.concatenate((x_t[None], h), axis=-1)
            g = sigmoid(self.gate(xh) + 1)
            h = g * h + (1 - g) * mg.tanh(self.update(xh))
        return self.out(h)


@recurrence(
    source="Collins, Sohl-Dickstein and Sussillo, Capacity and trainability, 2017 (intersection RNN, +RNN)", complete=2
)
class IntersectionRNN:
    """Two outputs, in time and in depth, each with a gate."""

    def __init__(self, rng):
        self.embed, self.y, self.h, self.gy, self.gh = weights(rng, (C, D), *[(2 * D, D)] * 4)
        self.out = weight(rng, D, K)
        self.parameters = self.embed, self.y, self.h, self.gy, self.gh, self.out

    def __call__(self, x):
        h = zeros(1, D)
        for e in x @ self.embed:
            e = e[None]
            z = mg.concatenate([e, h], axis=1)
            y_in, h_in = relu(z @ self.y), tanh(z @ self.h)
            g_y, g_h = sigmoid(z @ self.gy), sigmoid(z @ self.gh)
            y = g_y * e + (1 - g_y) * y_in
            h = g_h * h + (1 - g_h) * h_in
        return y @ self.out


@recurrence(source="Chen, MinimalRNN: toward more interpretable and trainable recurrent neural networks, 2017")
class MinimalRNN:
    """Embeds the input, then mixes it into the state with one gate."""

    def __init__(self, rng):
        self.e, self.uh, self.uz, self.b, self.v = weights(rng, (C, D), (D, D), (D, D), D, (D, K))
        self.parameters = (self.e, self.uh, self.uz, self.b, self.v)

    def __call__(self, x):
        h = zeros(1, D)
        for x_t in x:
            z = tanh(x_t[None] @ self.e)
            u = sigmoid(h @ self.uh + z @ self.uz + self.b)
            h = u * h + (1 - u) * z
        return h @ self.v


@recurrence(source="Kusupati et al., FastGRNN, 2018")
class FastGRNN:
    """One product for gate and candidate, of low rank."""

    def __init__(self, rng, rank=2):
        self.w1, self.w2, self.u1, self.u2 = weights(rng, (C, rank), (rank, D), (D, rank), (rank, D))
        self.bz, self.bh, self.zeta, self.nu, self.v = weights(rng, D, D, (), (), (D, K))

    @property
    def parameters(self):
        return self.w1, self.w2, self.u1, self.u2, self.bz, self.bh, self.zeta, self.nu, self.v

    def __call__(self, x):
        h = zeros(1, D)
        for x_t in x:
            pre = x_t[None] @ self.w1 @ self.w2 + h @ self.u1 @ self.u2
            z, h_hat = sigmoid(pre + self.bz), mg.tanh(pre + self.bh)
            h = (sigmoid(self.zeta) * (1 - z) + sigmoid(self.nu)) * h_hat + z * h
        return h @ self.v


@recurrence(source="Laurent and von Brecht, A recurrent neural network without chaos (CFN), 2017")
class ChaosFree:
    """Without input, the state decays."""

    def __init__(self, rng):
        self.w, self.wf, self.uf, self.wi, self.ui, self.v = weights(
            rng, (C, D), (C, D), (D, D), (C, D), (D, D), (D, K)
        )
        self.parameters = self.w, self.wf, self.uf, self.wi, self.ui, self.v

    def __call__(self, x):
        h = zeros(1, D)
        for i, _ in enumerate(x):
            row = x[i][None]
            theta = sigmoid(h @ self.uf + row @ self.wf)
            eta = sigmoid(h @ self.ui + row @ self.wi)
            h = theta * mg.tanh(h) + eta * mg.tanh(row @ self.w)
        return h @ self.v


def _mutants(rng):
    return {
        "xz": weight(rng, C, D), "xr": weight(rng, C, D), "xh": weight(rng, C, D),
        "hz": weight(rng, D, D), "hr": weight(rng, D, D), "hh": weight(rng, D, D),
        "bz": weight(rng, D), "br": weight(rng, D), "bh": weight(rng, D), "out": weight(rng, D, K),
    }  # fmt: skip


@recurrence(
    source="Jozefowicz, Zaremba and Sutskever, An empirical exploration of recurrent network architectures, 2015"
)
def mut1(rng):
    """The first of the best mutants: the update gate sees only the input."""
    p = _mutants(rng)
    del p["hz"]
    same = (np.arange(C * D).reshape(C, D) % (C + 1) == 0).astype(np.float32)

    def model(x):
        h = zeros(1, D)
        for x_t in x:
            x_t = x_t[None]
            z = sigmoid(x_t @ p["xz"] + p["bz"])
            r = sigmoid(x_t @ p["xr"] + h @ p["hr"] + p["br"])
            h = mg.tanh((r * h) @ p["hh"] + mg.tanh(x_t @ (p["xh"] + same)) + p["bh"]) * z + h * (1 - z)
        return h @ p["out"]

    model.parameters = tuple(p.values())
    return model


@recurrence(source="Jozefowicz, Zaremba and Sutskever, 2015 (MUT2)")
def mut2(rng):
    """The second: the reset gate sees the input without a product."""
    p = _mutants(rng)
    del p["xr"]

    def model(x):
        h = zeros(1, D)
        for x_t in x:
            padded = mg.concatenate([x_t, np.zeros(D - C, np.float32)])
            z = sigmoid(x_t @ p["xz"] + h @ p["hz"] + p["bz"])
            r = sigmoid(padded + h @ p["hr"] + p["br"])
            h = mg.tanh((r * h) @ p["hh"] + x_t @ p["xh"] + p["bh"]) * z + h * (1 - z)
        return h @ p["out"]

    model.parameters = tuple(p.values())
    return model


@recurrence(source="Jozefowicz, Zaremba and Sutskever, 2015 (MUT3)")
def mut3(rng):
    """The third: the update gate sees the tanh of the state."""
    p = _mutants(rng)

    def step(h, x_t):
        z = sigmoid(x_t @ p["xz"] + mg.tanh(h) @ p["hz"] + p["bz"])
        r = sigmoid(x_t @ p["xr"] + h @ p["hr"] + p["br"])
        return mg.tanh((r * h) @ p["hh"] + x_t @ p["xh"] + p["bh"]) * z + h * (1 - z)

    def model(x):
        h = zeros(1, D)
        for x_t in x:
            h = step(h, x_t[None])
        return h @ p["out"]

    model.parameters = tuple(p.values())
    return model


@recurrence(source="Zhang and Sennrich, Root mean square layer normalization, 2019")
class RMSNormGRU:
    """A GRU that divides its state by its root mean square."""

    def __init__(self, rng):
        self.gates, self.new, self.scale, self.v = weights(rng, (C + D, 2 * D), (C + D, D), D, (D, K))
        self.parameters = self.gates, self.new, self.scale, self.v

    def rms(self, h):
        return h / mg.sqrt(mg.mean(mg.square(h)) + 1e-3) * (1 + self.scale)

    def __call__(self, x):
        h = zeros(D)
        for x_t in x:
            n = self.rms(h)
            zr = sigmoid(mg.concatenate([x_t, n]) @ self.gates)
            z, r = zr[:D], zr[D:]
            h = (1 - z) * h + z * mg.tanh(mg.concatenate([x_t, r * n]) @ self.new)
        return (self.rms(h) @ self.v)[None]


@recurrence(source="Feng et al., Were RNNs all we needed? (minGRU), 2024")
class MinGRU:
    """Gate and candidate see only the input."""

    def __init__(self, rng):
        self.z, self.h, self.y = Linear(rng, C, D), Linear(rng, C, D), Linear(rng, D, K)
        self.parameters = (*self.z.parameters, *self.h.parameters, *self.y.parameters)

    def __call__(self, x):
        gates, candidates = sigmoid(self.z(x)), self.h(x)
        h = zeros(D)
        for z, new in zip(gates, candidates, strict=True):
            h = (1 - z) * h + z * new
        return self.y(h)[None]


@recurrence(source="Ravanelli et al., Light gated recurrent units for speech recognition (Li-GRU), 2018")
class LightGRU:
    """No reset gate, rectified units."""

    def __init__(self, rng):
        self.wz, self.wh, self.uz, self.uh, self.v = weights(rng, (C, D), (C, D), (D, D), (D, D), (D, K))
        self.parameters = [self.wz, self.wh, self.uz, self.uh, self.v]

    def __call__(self, x):
        h = mg.zeros((1, D), dtype=np.float32)
        for x_t in x:
            row = mg.tensor(x_t)[None] if isinstance(x_t, np.ndarray) else x_t[None]
            z = sigmoid(row @ self.wz + h @ self.uz)
            h = z * h + (1 - z) * relu(row @ self.wh + h @ self.uh)
        return h @ self.v


@recurrence(
    source="Zhang et al., Simplifying neural machine translation with addition-subtraction twin-gated RNNs, 2018"
)
def addition_subtraction(rng):
    """Gates by adding and subtracting the same two vectors."""
    w, u, v = weights(rng, (C, D), (D, D), (D, K))

    def model(x):
        h = zeros(1, D)
        for x_t in x:
            p, q = x_t[None] @ w, h @ u
            i, f = sigmoid(p + q), sigmoid(p - q)
            h = i * p + f * h
        return h @ v

    model.parameters = w, u, v
    return model


@recurrence(source="Gao and Glowacka, Deep gate recurrent neural network (SGU), 2016")
class SimpleGated:
    """A gate within a gate."""

    def __init__(self, rng):
        self.wxh, self.whh, self.wxz, self.whz, self.v = weights(rng, (C, D), (D, D), (C, D), (D, D), (D, K))
        self.parameters = (self.wxh, self.whh, self.wxz, self.whz, self.v)

    def __call__(self, x):
        h = np.full((1, D), 0.2, np.float32)
        for x_t in x:
            x_t = x_t[None]
            g = mg.tanh(h @ self.whh * (x_t @ self.wxh))
            out = mg.logaddexp(g * h, 0)
            z = hard_tanh(x_t @ self.wxz + h @ self.whz) * 0.5 + 0.5
            h = (1 - z) * h + z * out
        return h @ self.v


@recurrence(source="Lee, Levy and Zettlemoyer, Recurrent additive networks, 2017")
class AdditiveNetwork:
    """The cell is a weighted sum of linear projections of the inputs."""

    def __init__(self, rng):
        self.cx, self.ih, self.ix, self.fh, self.fx, self.v = weights(
            rng, (C, D), (D, D), (C, D), (D, D), (C, D), (D, K)
        )
        self.parameters = (self.cx, self.ih, self.ix, self.fh, self.fx, self.v)

    def __call__(self, x):
        h = c = zeros(1, D)
        for x_t in x:
            x_t = x_t[None]
            i = sigmoid(h @ self.ih + x_t @ self.ix)
            f = sigmoid(h @ self.fh + x_t @ self.fx)
            c = i * (x_t @ self.cx) + f * c
            h = mg.tanh(c)
        return h @ self.v


@recurrence(source="Vecoven, Ernst and Drion, A bio-inspired bistable recurrent cell (nBRC), 2021")
class Bistable:
    """Units that have one stable state or two."""

    def __init__(self, rng):
        self.ua, self.wa, self.uc, self.wc, self.u, self.v = weights(
            rng, (C, D), (D, D), (C, D), (D, D), (C, D), (D, K)
        )
        self.parameters = self.ua, self.wa, self.uc, self.wc, self.u, self.v

    def __call__(self, x):
        h = zeros(1, D)
        for row in x:
            row = row[None]
            a = 1 + mg.tanh(row @ self.ua + h @ self.wa)
            c = sigmoid(row @ self.uc + h @ self.wc)
            h = c * h + (1 - c) * mg.tanh(row @ self.u + a * h)
        return h @ self.v
