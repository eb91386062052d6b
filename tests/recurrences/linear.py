"""Linear recurrences: state spaces, and attention written as a recurrent network."""

import mygrad as mg
import numpy as np
from mygrad.nnet.activations import relu, sigmoid, softmax

from .registry import C, D, K, recurrence, weight, weights, zeros


def silu(z):
    return z * sigmoid(z)


def softplus(z):
    return mg.logaddexp(z, 0.0)


def legendre(order, theta):
    """The matrices of the Legendre delay, discretised by Euler."""
    q = np.arange(order)
    r = (2 * q + 1)[:, None] / theta
    i, j = np.meshgrid(q, q, indexing="ij")
    a = np.where(i < j, -1, (-1.0) ** (i - j + 1)) * r
    b = (-1.0) ** q[:, None] * r
    return (np.eye(order) + 0.2 * a).astype(np.float32), (0.2 * b).astype(np.float32)


@recurrence(source="Voelker, Kajic and Eliasmith, Legendre memory units, 2019")
class LMU:
    """A fixed linear memory of one number, and a nonlinear state."""

    def __init__(self, rng, order=5):
        self.A, self.B = legendre(order, theta=8.0)
        self.ex, self.eh, self.em = weights(rng, (C, 1), (D, 1), (order, 1))
        self.wx, self.wh, self.wm, self.out = weights(rng, (C, D), (D, D), (order, D), (D, K))

    @property
    def parameters(self):
        return self.ex, self.eh, self.em, self.wx, self.wh, self.wm, self.out

    def __call__(self, x):
        h, m = zeros(1, D), zeros(1, len(self.A))
        for x_t in x:
            x_t = x_t[None]
            u = x_t @ self.ex + h @ self.eh + m @ self.em
            m = m @ self.A.T + u @ self.B.T
            h = mg.tanh(x_t @ self.wx + h @ self.wh + m @ self.wm)
        return h @ self.out


@recurrence(source="Gu et al., HiPPO: recurrent memory with optimal polynomial projections (LegT), 2020")
class HiPPO:
    """A GRU-like state whose history is kept as coefficients of polynomials, for every feature."""

    def __init__(self, rng, order=4):
        self.A, self.B = legendre(order, theta=6.0)
        self.w, self.u, self.f, self.v = weights(rng, (C, D), (order, D), (D, 1), (D, K))
        self.parameters = self.w, self.u, self.f, self.v

    def __call__(self, x):
        h, c = zeros(D), zeros(len(self.B))
        for x_t in x:
            h = mg.tanh(x_t @ self.w + c @ self.u)
            f = h @ self.f
            c = self.A @ c + self.B[:, 0] * f
        return ((h + c @ self.u) @ self.v)[None]


@recurrence(source="Gu et al., HiPPO, 2020 (LegS, whose step is divided by the time)")
class HiPPOScaled:
    """Coefficients of the whole history: the matrix of a step depends on its number."""

    def __init__(self, rng, order=4):
        n = np.arange(order)
        low = np.sqrt((2 * n + 1)[:, None] * (2 * n + 1)[None]) * (n[:, None] > n[None]) + np.diag(n + 1)
        self.A, self.B = -low.astype(np.float32), np.sqrt(2 * n + 1).astype(np.float32)
        self.w, self.v = weights(rng, (C, 1), (order, K))
        self.parameters = self.w, self.v

    def __call__(self, x):
        c = zeros(len(self.B))
        for t, x_t in enumerate(x, start=1):
            c = c + (self.A @ c + self.B * (x_t @ self.w)) / np.float32(t + 4)
        return (c @ self.v)[None]


@recurrence(
    source="Gu et al., On the parameterization and initialization of diagonal state space models (S4D-Real), 2022"
)
class S4DReal:
    """Four real modes for every channel, with a learned step of time, by zero-order hold."""

    def __init__(self, rng, modes=4):
        self.log_a = mg.tensor(np.log(np.tile(1 + np.arange(modes), (D, 1))).astype(np.float32))
        self.log_dt, self.b, self.c, self.d = weights(rng, (D, 1), (D, modes), (D, modes), D)
        self.encode, self.decode = weights(rng, (C, D), (D, K))

    @property
    def parameters(self):
        return self.log_a, self.log_dt, self.b, self.c, self.d, self.encode, self.decode

    def __call__(self, x):
        a = -mg.exp(self.log_a)
        decay = mg.exp(mg.exp(self.log_dt) * a)
        drive = (decay - 1) / a * self.b
        u = x @ self.encode
        s = mg.zeros(drive.shape, dtype=np.float32)
        for u_t in u:
            s = decay * s + drive * mg.expand_dims(u_t, -1)
            y = mg.sum(self.c * s, axis=1) + self.d * u_t
        return (relu(y) @ self.decode)[None]


@recurrence(source="Smith, Warrington and Linderman, Simplified state space layers for sequence modeling (S5), 2023")
class S5Stack:
    """Two layers of real diagonal state spaces, each followed by a gate."""

    def __init__(self, rng):
        self.encode = weight(rng, C, D)
        self.layers = [weights(rng, D, (D, D), (D, D), (D, D)) for _ in range(2)]
        self.decode = weight(rng, D, K)

    @property
    def parameters(self):
        return (self.encode, *sum(self.layers, ()), self.decode)

    def __call__(self, x):
        sequence = x @ self.encode
        for rate, b, c, gate in self.layers:
            a, s, outputs = sigmoid(rate), zeros(D), []
            for u in sequence:
                s = a * s + (1 - a) * (u @ b)
                y = silu(s @ c)
                outputs.append(u + y * sigmoid(y @ gate))
            sequence = mg.stack(outputs)
        return (sequence[-1] @ self.decode)[None]


@recurrence(source="Orvieto et al., Resurrecting recurrent neural networks for long sequences (LRU), 2023")
class LRU:
    """Complex modes as pairs of real numbers."""

    def __init__(self, rng):
        self.nu, self.theta = weights(rng, D, D)
        self.b_re, self.b_im, self.c_re, self.c_im, self.skip = weights(rng, *[(C, D)] * 2, *[(D, K)] * 2, (C, K))
        self.parameters = self.nu, self.theta, self.b_re, self.b_im, self.c_re, self.c_im, self.skip

    def __call__(self, x):
        size = mg.exp(-mg.exp(self.nu))
        gamma = mg.sqrt(1 - size**2)
        turn_re, turn_im = size * mg.cos(self.theta), size * mg.sin(self.theta)
        re, im = zeros(1, D), zeros(1, D)
        for t in range(len(x)):
            u = x[t : t + 1]
            re, im = (
                turn_re * re - turn_im * im + gamma * (u @ self.b_re),
                turn_re * im + turn_im * re + gamma * (u @ self.b_im),
            )
        return re @ self.c_re - im @ self.c_im + u @ self.skip


@recurrence(source="Gu and Dao, Mamba: linear-time sequence modeling with selective state spaces, 2023")
class Mamba:
    """A selective scan: step, input and output matrices depend on the input; gated, after a short convolution."""

    def __init__(self, rng, n=3):
        self.w_in, self.conv, self.w_b, self.w_c, self.w_dt, self.b_dt = weights(
            rng, (C, 2 * D), (3, D), (D, n), (D, n), (D, D), D
        )
        self.a_log, self.d, self.out = weights(rng, (D, n), D, (D, K))

    @property
    def parameters(self):
        return self.w_in, self.conv, self.w_b, self.w_c, self.w_dt, self.b_dt, self.a_log, self.d, self.out

    def __call__(self, x):
        A = -mg.exp(self.a_log)
        s = zeros(*A.shape)
        window = [zeros(D)] * 3
        for x_t in x:
            both = x_t @ self.w_in
            u, z = both[:D], both[D:]
            window = [*window[1:], u]
            u = silu(sum(k * w for k, w in zip(self.conv, window, strict=True)))
            dt = softplus(u @ self.w_dt + self.b_dt)[:, None]
            s = mg.exp(dt * A) * s + dt * u[:, None] * (u @ self.w_b)
            y = s @ (u @ self.w_c) + self.d * u
            y = y * silu(z)
        return (y @ self.out)[None]


@recurrence(source="Dao and Gu, Transformers are SSMs (Mamba-2), 2024")
class Mamba2:
    """A scalar decay for each of two heads, and a state of outer products."""

    def __init__(self, rng, heads=2, n=3):
        self.heads, self.n = heads, n
        self.wx, self.wb, self.wc, self.wdt, self.a, self.v = weights(
            rng, (C, D), (C, n), (C, n), (C, heads), heads, (D, K)
        )
        self.parameters = self.wx, self.wb, self.wc, self.wdt, self.a, self.v

    def __call__(self, x):
        s = zeros(self.heads, D // self.heads, self.n)
        for x_t in x:
            dt = softplus(x_t @ self.wdt)
            values = (x_t @ self.wx).reshape(self.heads, -1) * dt[:, None]
            fade = mg.exp(-mg.exp(self.a) * dt).reshape(self.heads, 1, 1)
            s = fade * s + values[:, :, None] * (x_t @ self.wb)
            y = mg.matmul(s, x_t @ self.wc)
        return (y.reshape(-1) @ self.v)[None]


@recurrence(source="Peng et al., RWKV: reinventing RNNs for the transformer era, 2023 (time mixing)", complete=2)
class TimeMixing:
    """Rows are mixed with the row before; the largest exponent keeps numerator and denominator from overflow."""

    def __init__(self, rng):
        self.mix_k, self.mix_v, self.mix_r = weights(rng, C, C, C)
        self.key, self.value, self.receptance = weights(rng, (C, D), (C, D), (C, D))
        self.decay, self.first, self.out = weights(rng, D, D, (D, K))

    @property
    def parameters(self):
        mixes = self.mix_k, self.mix_v, self.mix_r
        return (*mixes, self.key, self.value, self.receptance, self.decay, self.first, self.out)

    def __call__(self, x):
        last = zeros(C)
        num, den, top = zeros(D), zeros(D), np.full(D, -30, np.float32)
        w = -mg.exp(self.decay)
        for x_t in x:
            k = (x_t * self.mix_k + last * (1 - self.mix_k)) @ self.key
            v = (x_t * self.mix_v + last * (1 - self.mix_v)) @ self.value
            r = sigmoid((x_t * self.mix_r + last * (1 - self.mix_r)) @ self.receptance)
            now = mg.maximum(top, k + self.first)
            e1, e2 = mg.exp(top - now), mg.exp(k + self.first - now)
            wkv = (e1 * num + e2 * v) / (e1 * den + e2)
            now = mg.maximum(top + w, k)
            e1, e2 = mg.exp(top + w - now), mg.exp(k - now)
            num, den, top = e1 * num + e2 * v, e1 * den + e2, now
            last = x_t
        return ((r * wkv) @ self.out)[None]


@recurrence(source="Peng et al., RWKV, 2023 (channel mixing after a simple state)")
class ChannelMixing:
    """Squared rectified keys, of rows mixed with the row before by index."""

    def __init__(self, rng):
        self.mu, self.wk, self.wv, self.wr, self.u, self.v = weights(rng, C, (C, D), (D, D), (C, D), D, (D, K))
        self.parameters = self.mu, self.wk, self.wv, self.wr, self.u, self.v

    def __call__(self, x):
        h = zeros(D)
        x = mg.concatenate([zeros(1, C), x])
        for t in range(1, len(x)):
            mixed = self.mu * x[t] + (1 - self.mu) * x[t - 1]
            h = sigmoid(self.u) * h + sigmoid(mixed @ self.wr) * (relu(mixed @ self.wk) ** 2 @ self.wv)
        return (h @ self.v)[None]


@recurrence(
    source="Katharopoulos et al., Transformers are RNNs: fast autoregressive transformers with linear attention, 2020"
)
class LinearAttention:
    """Sums of keys, and of their products with values; elu + 1 as the feature map."""

    def __init__(self, rng):
        self.q, self.k, self.v, self.o = weights(rng, (C, D), (C, D), (C, D), (D, K))
        self.parameters = (self.q, self.k, self.v, self.o)

    @staticmethod
    def phi(z):
        return mg.nnet.elu(z, alpha=1) + 1

    def __call__(self, x):
        S, z = zeros(D, D), zeros(D)
        for x_t in x:
            q, k, v = self.phi(x_t @ self.q), self.phi(x_t @ self.k), x_t @ self.v
            S = S + k[:, None] * v[None, :]
            z = z + k
            y = (q @ S) / (q @ z + 1e-6)
        return (y @ self.o)[None]


@recurrence(source="Sun et al., Retentive network: a successor to transformer, 2023")
class Retention:
    """Two heads whose sums fade at fixed rates; a group norm after them."""

    def __init__(self, rng):
        self.gamma = (1 - 2.0 ** -np.array([2, 4])).astype(np.float32).reshape(2, 1, 1)
        self.wq, self.wk, self.wv, self.wg, self.wo = weights(rng, *[(C, D)] * 4, (D, K))
        self.parameters = self.wq, self.wk, self.wv, self.wg, self.wo

    def __call__(self, x):
        s = zeros(2, D // 2, D // 2)
        for x_t in x:
            q, k, v = ((x_t @ w).reshape(2, D // 2) for w in (self.wq, self.wk, self.wv))
            s = self.gamma * s + mg.einsum("hi,hj->hij", k, v)
            y = mg.einsum("hi,hij->hj", q, s)
            y = (y - y.mean(axis=1, keepdims=True)) / mg.sqrt(y.var(axis=1, keepdims=True) + 1e-2)
            y = silu(x_t @ self.wg) * y.reshape(-1)
        return (y @ self.wo).reshape(1, K)


@recurrence(source="Yang et al., Gated linear attention transformers with hardware-efficient training, 2024")
class GatedLinearAttention:
    """A gate for every row of the sum of outer products, which is only made of products."""

    def __init__(self, rng):
        self.wq, self.wk, self.wv, self.wa, self.ba, self.wo = weights(rng, *[(C, D)] * 4, D, (D, K))
        self.parameters = self.wq, self.wk, self.wv, self.wa, self.ba, self.wo

    def __call__(self, x):
        S = zeros(D, D)
        for x_t in x:
            alpha = sigmoid(x_t @ self.wa + self.ba) ** (1 / 4)
            S = alpha.reshape(D, 1) * S + (x_t @ self.wk).reshape(D, 1) @ (x_t @ self.wv).reshape(1, D)
            o = (x_t @ self.wq).reshape(1, D) @ S
        return o @ self.wo


@recurrence(
    source="Schlag, Irie and Schmidhuber, Linear transformers are secretly fast weight programmers (DeltaNet), 2021"
)
class DeltaNet:
    """Replaces the value of a key, by adding the difference to its new value."""

    def __init__(self, rng):
        self.wk, self.wv, self.wq, self.wb, self.wo = weights(rng, (C, D), (C, D), (C, D), (C, 1), (D, K))
        self.parameters = self.wk, self.wv, self.wq, self.wb, self.wo

    def __call__(self, x):
        W = zeros(D, D)
        for x_t in x:
            k, q = softmax(x_t @ self.wk), softmax(x_t @ self.wq)
            v, beta = x_t @ self.wv, sigmoid(x_t @ self.wb)
            W = W + beta * mg.matmul((v - W @ k)[:, None], k[None, :])
        return ((W @ q) @ self.wo)[None]


@recurrence(source="Yang, Kautz and Hatamizadeh, Gated delta networks: improving Mamba2 with delta rule, 2025")
class GatedDeltaNet:
    """The delta rule with a decay; keys and queries have length one."""

    def __init__(self, rng):
        self.wk, self.wv, self.wq, self.wb, self.wa, self.wo = weights(
            rng, (C, D), (C, D), (C, D), (C, 1), (C, 1), (D, K)
        )
        self.parameters = self.wk, self.wv, self.wq, self.wb, self.wa, self.wo

    @staticmethod
    def unit(z):
        return z / mg.sqrt((z * z).sum() + 1e-2)

    def __call__(self, x):
        S = zeros(D, D)
        for x_t in x:
            k, q, v = self.unit(silu(x_t @ self.wk)), self.unit(silu(x_t @ self.wq)), silu(x_t @ self.wv)
            beta, alpha = sigmoid(x_t @ self.wb), sigmoid(x_t @ self.wa + 2)
            read = k @ S
            S = alpha * (S - beta * mg.einsum("i,j->ij", k, read)) + beta * mg.einsum("i,j->ij", k, v)
            y = q @ S
        return (y @ self.wo)[None]


@recurrence(
    source="Sun et al., Learning to (learn at test time): RNNs with expressive hidden states (TTT-Linear), 2024"
)
class TestTimeTraining:
    """The state is a linear model, and a step is one of gradient descent on it."""

    __test__ = False

    def __init__(self, rng, rate=0.3):
        self.rate = rate
        self.start, self.wk, self.wv, self.wq, self.wo = weights(rng, (D, D), (C, D), (C, D), (C, D), (D, K))
        self.parameters = (self.start, self.wk, self.wv, self.wq, self.wo)

    def __call__(self, x):
        W = self.start
        for x_t in x:
            x_t = x_t[None]
            k, v = mg.tanh(x_t @ self.wk), x_t @ self.wv
            error = k @ W - v
            W = W - self.rate * (k.T @ error)
        return x_t @ self.wq @ W @ self.wo


@recurrence(source="Ba et al., Using fast weights to attend to the recent past, 2016")
class FastWeights:
    """An inner loop settles the state with the fast weights."""

    def __init__(self, rng, rate=0.3, fade=0.9, settle=2):
        self.rate, self.fade, self.settle = rate, fade, settle
        self.w, self.c, self.gain, self.v = weights(rng, (D, D), (C, D), D, (D, K))
        self.parameters = self.w, self.c, self.gain, self.v

    def norm(self, z):
        z = z - mg.mean(z)
        return z / mg.sqrt(mg.mean(z * z) + 1e-2) * (1 + self.gain)

    def __call__(self, x):
        h, A = zeros(D), zeros(D, D)
        for x_t in x:
            A = self.fade * A + self.rate * h.reshape(-1, 1) * h.reshape(1, -1)
            outside = h @ self.w + x_t @ self.c
            h = relu(outside)
            for _ in range(self.settle):
                h = relu(self.norm(outside + A @ h))
        return (h @ self.v)[None]


@recurrence(source="Beck et al., xLSTM: extended long short-term memory (mLSTM), 2024")
class MLSTM:
    """A matrix memory with exponential input gate, stabilised by a running maximum."""

    def __init__(self, rng):
        self.q, self.k, self.v, self.gates, self.o, self.out = weights(
            rng, (C, D), (C, D), (C, D), (C, 2), (C, D), (D, K)
        )
        self.parameters = self.q, self.k, self.v, self.gates, self.o, self.out

    def __call__(self, x):
        c, n, m = zeros(D, D), zeros(D), zeros(1)
        for x_t in x:
            i, f = (x_t @ self.gates)[:1], (x_t @ self.gates)[1:]
            log_f = -softplus(-f)
            new = mg.maximum(log_f + m, i)
            f, i, m = mg.exp(log_f + m - new), mg.exp(i - new), new
            k, v, q = x_t @ self.k / np.sqrt(D), x_t @ self.v, x_t @ self.q
            c = f * c + i * mg.einsum("i,j->ij", v, k)
            n = f * n + i * k
            read = mg.einsum("ij,j->i", c, q) / mg.maximum(mg.abs(mg.sum(n * q)), 1.0)
            h = sigmoid(x_t @ self.o) * read
        return (h @ self.out)[None]


@recurrence(source="De et al., Griffin: mixing gated linear recurrences with local attention, 2024 (RG-LRU)")
class RealGatedLRU:
    """The decay is a power of a learned number; a short convolution with fixed padding comes first."""

    def __init__(self, rng):
        self.lam, self.wa, self.wx, self.embed, self.out = weights(rng, D, (D, D), (D, D), (C, D), (D, K))
        self.kernel = weight(rng, 2, D)
        self.parameters = (self.lam, self.wa, self.wx, self.embed, self.out, self.kernel)

    def __call__(self, x):
        e = x @ self.embed
        padded = mg.concatenate([np.zeros((1, D), np.float32), e])
        u = padded[1:] * self.kernel[0] + padded[:-1] * self.kernel[1]
        h = zeros(D)
        for u_t in u:
            r, i = sigmoid(u_t @ self.wa), sigmoid(u_t @ self.wx)
            a = mg.exp(-8 * r * softplus(self.lam) / 10)
            h = a * h + mg.sqrt(1 - a**2 + 1e-6) * (i * u_t)
        return (h @ self.out)[None]


@recurrence(source="Qin, Yang and Zhong, Hierarchically gated recurrent neural network (HGRN), 2023")
class HierarchicallyGated:
    """Forget gates have lower bounds that rise from layer to layer."""

    def __init__(self, rng):
        self.gamma = weight(rng, 2, D)
        self.layers = [weights(rng, (n, D), (n, D), (n, D)) for n in (C, D)]
        self.out = weight(rng, D, K)
        self.parameters = (self.gamma, *self.layers[0], *self.layers[1], self.out)

    def __call__(self, x):
        lower = mg.cumsum(softmax(self.gamma, axis=0), axis=0) * 0.9
        states = [zeros(D), zeros(D)]
        for u in x:
            for i, (wf, wc, wg) in enumerate(self.layers):
                f = lower[i] + (1 - lower[i]) * sigmoid(u @ wf)
                states[i] = f * states[i] + (1 - f) * silu(u @ wc)
                u = sigmoid(u @ wg) * states[i]
        return (u @ self.out)[None]


@recurrence(source="Zhai et al., An attention free transformer (AFT-simple, causal), 2021")
def attention_free(rng):
    """Running sums of exponentials, by closures over a list of two."""
    q, k, v, o = weights(rng, (C, D), (C, D), (C, D), (D, K))

    def model(x):
        sums = [zeros(D), zeros(D)]

        def add(row):
            e = mg.exp(row @ k)
            sums[0] = sums[0] + e * (row @ v)
            sums[1] = sums[1] + e
            return sigmoid(row @ q) * sums[0] / sums[1]

        for row in x:
            y = add(row)
        return (y @ o)[None]

    model.parameters = (q, k, v, o)
    return model


@recurrence(source="Ramsauer et al., Hopfield networks is all you need, 2021")
class ModernHopfield:
    """The state is retrieved from learned patterns at every step."""

    def __init__(self, rng, patterns=5, beta=2.0):
        self.beta = beta
        self.patterns, self.w, self.u, self.v = weights(rng, (patterns, D), (C, D), (D, D), (D, K))
        self.parameters = (self.patterns, self.w, self.u, self.v)

    def __call__(self, x):
        xi = zeros(1, D)
        for x_t in x:
            query = xi @ self.u + x_t[None] @ self.w
            xi = softmax(self.beta * query @ self.patterns.T) @ self.patterns
        return xi @ self.v


@recurrence(source="Hopfield, Neurons with graded response have collective computational properties, 1984")
class GradedHopfield:
    """Symmetric weights without self-connections; relaxes three times for every input."""

    def __init__(self, rng):
        self.half, self.i, self.v = weights(rng, (D, D), (C, D), (D, K))
        self.off = (1 - np.eye(D)).astype(np.float32)
        self.parameters = self.half, self.i, self.v

    def __call__(self, x):
        T = (self.half + self.half.T) * self.off
        u = zeros(1, D)
        for x_t in x:
            current = x_t[None] @ self.i
            for _ in range(3):
                u = u + 0.25 * (-u + mg.tanh(u) @ T + current)
        return mg.tanh(u) @ self.v
