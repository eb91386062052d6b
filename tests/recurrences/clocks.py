"""Time in the step: positions, decays, clocks, counters, and times in the input."""

import mygrad as mg
import numpy as np
from mygrad.nnet.activations import relu, sigmoid, softmax

from .layers import Simple
from .registry import C, D, K, recurrence, weight, weights, zeros


class Positioned(Simple):
    """A learned vector for every position up to 40."""

    def __init__(self, rng):
        super().__init__(rng)
        self.P = weight(rng, 40, C)

    @property
    def parameters(self):
        return (*super().parameters, self.P)


@recurrence(
    source="Gehring et al., Convolutional sequence to sequence learning, 2017 (the position as a feature)",
)
class RelativePosition(Simple):
    """The share of the sequence so far, t / T, is a fifth feature."""

    def __init__(self, rng):
        super().__init__(rng, C + 1)

    def __call__(self, x):
        h = zeros(D)
        for t, x_t in enumerate(x):
            position = np.array([t / len(x)], dtype=np.float32)
            h = self.step(mg.concatenate([x_t, position]), h)
        return (h @ self.v)[None]


@recurrence(
    source="Liu et al., An intriguing failing of convolutional neural networks (CoordConv), 2018", compiles=False
)
class CoordinateColumn(Simple):
    """A column from -1 to 1 is joined to the whole sequence with NumPy."""

    def __init__(self, rng):
        super().__init__(rng, C + 1)

    def __call__(self, x):
        column = np.linspace(-1, 1, len(x), dtype=np.float32)[:, None]
        h = zeros(1, D)
        for row in mg.concatenate([x, column], axis=1):
            h = self.step(row[None], h)
        return h @ self.v


@recurrence(source="Vaswani et al., Attention is all you need, 2017 (sinusoidal positions)")
class Sinusoids(Simple):
    """Sines and cosines of the position, added to the rows."""

    def positions(self, steps):
        t = np.arange(steps)[:, None]
        angle = t / 10 ** (np.arange(C) // 2 * 2 / C)
        return np.where(np.arange(C) % 2, np.cos(angle), np.sin(angle)).astype(np.float32)

    def __call__(self, x):
        h = zeros(1, D)
        encoded = x + self.positions(len(x))
        for t in range(len(x)):
            h = self.step(encoded[t : t + 1], h)
        return h @ self.v


@recurrence(source="Gehring et al., Convolutional sequence to sequence learning, 2017 (learned positions)", largest=40)
class LearnedPositions(Positioned):
    """The first row has the first position."""

    def __call__(self, x):
        h = zeros(D)
        for t in range(len(x)):
            h = self.step(x[t] + self.P[t], h)
        return (h @ self.v)[None]


@recurrence(source="Devlin et al., BERT, 2019 (learned positions of the whole sequence, from the end)", largest=40)
class PositionsFromTheEnd(Positioned):
    """The last row has the last position."""

    def __call__(self, x):
        h = zeros(1, D)
        for row in x + self.P[len(self.P) - len(x) :]:
            h = self.step(row[None], h)
        return h @ self.v


@recurrence(source="Kazemi et al., Time2Vec: learning a vector representation of time, 2019")
class Time2Vec(Simple):
    """A linear and two periodic functions of the time, all learned."""

    def __init__(self, rng):
        super().__init__(rng, C + 3)
        self.omega, self.phi = weights(rng, 3, 3)

    @property
    def parameters(self):
        return (*super().parameters, self.omega, self.phi)

    def __call__(self, x):
        h = zeros(D)
        for t, x_t in enumerate(x):
            z = self.omega * np.float32(0.1 * t) + self.phi
            h = self.step(mg.concatenate([x_t, z[:1], mg.sin(z[1:])]), h)
        return (h @ self.v)[None]


@recurrence(
    source="Mozer, A focused backpropagation algorithm for temporal pattern recognition, 1989 (exponential traces)",
)
class PowersOfADecay:
    """Weighs step t by a**t, with a learned."""

    def __init__(self, rng):
        self.parameters = self.a, self.w, self.v = weights(rng, D, (C, D), (D, K))

    def __call__(self, x):
        a, total = sigmoid(self.a), zeros(D)
        for t, x_t in enumerate(x):
            total = total + a**t * mg.tanh(x_t @ self.w)
        return (total @ self.v)[None]


@recurrence(source="de Vries and Principe, The gamma model: a new neural network for temporal processing, 1992")
class GammaMemory:
    """A cascade of leaky traces of every input."""

    def __init__(self, rng, order=3):
        self.order = order
        self.mu, self.w, self.v = weights(rng, C, (order * C, D), (D, K))
        self.parameters = self.mu, self.w, self.v

    def __call__(self, x):
        mu = sigmoid(self.mu)
        taps = [zeros(C)] * self.order
        for x_t in x:
            fed = [x_t, *taps[:-1]]
            taps = [(1 - mu) * tap + mu * above for tap, above in zip(taps, fed, strict=True)]
        return (relu(mg.concatenate(taps) @ self.w) @ self.v)[None]


@recurrence(source="Koutnik et al., A clockwork RNN, 2014")
class Clockwork:
    """Three groups of units, which step every 1, 2 and 4 steps."""

    periods = 1, 2, 4

    def __init__(self, rng):
        self.w = [weight(rng, C, 2) for _ in self.periods]
        self.u = [weight(rng, D - 2 * i, 2) for i in range(3)]
        self.v = weight(rng, D, K)
        self.parameters = (*self.w, *self.u, self.v)

    def __call__(self, x):
        groups = [zeros(2)] * 3
        for t, x_t in enumerate(x):
            before = groups
            groups = [
                mg.tanh(x_t @ self.w[i] + mg.concatenate(before[i:]) @ self.u[i]) if t % period == 0 else before[i]
                for i, period in enumerate(self.periods)
            ]
        return (mg.concatenate(groups) @ self.v)[None]


@recurrence(source="Koutnik et al., A clockwork RNN, 2014 (by masks)")
class MaskedClockwork(Simple):
    """The same by a mask of zeros and ones for every step."""

    periods = np.repeat([1, 2, 4], 2)

    def __call__(self, x):
        h = zeros(1, D)
        for t in range(len(x)):
            on = (t % self.periods == 0).astype(np.float32)
            h = on * self.step(x[t][None], h) + (1 - on) * h
        return h @ self.v


@recurrence(source="Neil, Pfeiffer and Liu, Phased LSTM: accelerating recurrent network training, 2016")
class PhasedLSTM:
    """A gate that opens by the clock, with learned periods."""

    def __init__(self, rng):
        self.w, self.v = weights(rng, (C + D, 4 * D), (D, K))
        self.tau, self.shift = mg.tensor(rng.uniform(3, 8, D).astype(np.float32)), weight(rng, D)
        self.r = np.float32(0.3)
        self.parameters = self.w, self.v, self.tau, self.shift

    def openness(self, t):
        phase = (t - self.shift) / self.tau
        phase = phase - np.floor(phase.data)
        rising = mg.where(phase.data < self.r / 2, 2 * phase / self.r, 2 - 2 * phase / self.r)
        return mg.where(phase.data < self.r, rising, 0.05 * phase)

    def __call__(self, x):
        h = c = zeros(D)
        for t, x_t in enumerate(x):
            z = mg.concatenate([x_t, h]) @ self.w
            k = self.openness(t)
            c_new = sigmoid(z[:D]) * c + sigmoid(z[D : 2 * D]) * mg.tanh(z[2 * D : 3 * D])
            h_new = sigmoid(z[3 * D :]) * mg.tanh(c_new)
            c = k * c_new + (1 - k) * c
            h = k * h_new + (1 - k) * h
        return (h @ self.v)[None]


@recurrence(source="Gers and Schmidhuber, Recurrent nets that time and count, 2000 (a counter next to the state)")
class Counter(Simple):
    """A number that grows by one per step, as a separate tensor."""

    def __call__(self, x):
        h, count = zeros(1, D), mg.zeros((1, 1), dtype=np.float32)
        for x_t in x:
            count = count + 1
            h = mg.tanh(x_t[None] @ self.w + h @ self.u + 0.01 * count)
        return h @ self.v + 0.1 * count


@recurrence(source="Weiss, Goldberg and Yahav, On the practical computational power of finite precision RNNs, 2018")
class PythonCounter(Simple):
    """Counts in a Python number, which it divides by at the end."""

    def __call__(self, x):
        h, total, n = zeros(1, D), zeros(1, D), 0
        for x_t in x:
            h = self.step(x_t[None], h)
            total = total + h
            n += 1
        return total / n @ self.v


@recurrence(source="Welford, Note on a method for calculating corrected sums of squares and products, 1962")
class RunningMean(Simple):
    """The mean so far, updated by 1 / (t + 1), enters every step."""

    def __init__(self, rng):
        super().__init__(rng, 2 * C)

    def __call__(self, x):
        h, mean = zeros(D), zeros(C)
        for t, x_t in enumerate(x):
            mean = mean + (x_t - mean) / np.float32(t + 1)
            h = self.step(mg.concatenate([x_t - mean, mean]), h)
        return (h @ self.v)[None]


@recurrence(
    source="Kingma and Ba, Adam: a method for stochastic optimization, 2015 (traces with a correction)", compiles=False
)
class CorrectedTraces:
    """Moving averages divided by 1 - beta**t."""

    def __init__(self, rng):
        self.w, self.v = weights(rng, (C, D), (2 * D, K))
        self.parameters = self.w, self.v

    def __call__(self, x):
        m, s = zeros(D), zeros(D)
        for t, z in enumerate(x @ self.w, 1):
            m = 0.9 * m + 0.1 * z
            s = 0.99 * s + 0.01 * z**2
            now = m / (1 - 0.9**t), mg.sqrt(s / (1 - 0.99**t) + 0.01)
        return (mg.concatenate(now) @ self.v)[None]


@recurrence(source="Press, Smith and Lewis, Train short, test long: attention with linear biases (ALiBi), 2022")
class FadingBias:
    """Softmax over time of scores minus the distance to the end."""

    def __init__(self, rng):
        self.key, self.value, self.v = weights(rng, (C, 1), (C, D), (D, K))
        self.parameters = self.key, self.value, self.v

    def __call__(self, x):
        distance = np.arange(len(x), dtype=np.float32)[::-1, None]
        share = softmax(x @ self.key - 0.5 * distance, axis=0)
        return mg.sum(share * mg.tanh(x @ self.value), axis=0)[None] @ self.v


@recurrence(source="Baytas et al., Patient subtyping via time-aware LSTM networks (T-LSTM), 2017")
class TimeAwareLSTM:
    """The last column is the time since the previous row; the short-term memory fades with it."""

    def __init__(self, rng):
        self.w, self.d, self.b, self.v = weights(rng, (C - 1 + D, 4 * D), (D, D), D, (D, K))
        self.parameters = self.w, self.d, self.b, self.v

    def __call__(self, x):
        h, c = zeros(1, D), zeros(1, D)
        for t in range(len(x)):
            row, elapsed = x[t : t + 1, :-1], mg.abs(x[t, -1])
            short = mg.tanh(c @ self.d + self.b)
            c = c - short + short / mg.log(np.e + elapsed)
            z = mg.concatenate([row, h], axis=1) @ self.w
            c = sigmoid(z[:, :D]) * c + sigmoid(z[:, D : 2 * D]) * mg.tanh(z[:, 2 * D : 3 * D])
            h = sigmoid(z[:, 3 * D :]) * mg.tanh(c)
        return h @ self.v


@recurrence(
    source="Che et al., Recurrent neural networks for multivariate time series with missing values (GRU-D), 2018"
)
class DecayingGRU:
    """Decays by the time in the last column."""

    def __init__(self, rng):
        self.gamma, self.zr, self.h, self.v = weights(rng, D, (C + D, 2 * D), (C + D, D), (D, K))
        self.parameters = self.gamma, self.zr, self.h, self.v

    def __call__(self, x):
        h = zeros(D)
        for x_t in x:
            delta = relu(x_t[3])
            h = mg.exp(-relu(self.gamma) * delta) * h
            zr = sigmoid(mg.concatenate([x_t, h]) @ self.zr)
            h = (1 - zr[:D]) * h + zr[:D] * mg.tanh(mg.concatenate([x_t, zr[D:] * h]) @ self.h)
        return (h @ self.v)[None]


@recurrence(source="Mozer, Kazakov and Lindsey, Discrete-event continuous-time recurrent nets, 2017")
class ContinuousTime:
    """Units at fixed time scales, decaying over the elapsed time of a cumulative clock."""

    def __init__(self, rng):
        self.scales = (2.0 ** np.arange(D)).astype(np.float32)
        self.w, self.u, self.v = weights(rng, (C, D), (D, D), (D, K))
        self.parameters = self.w, self.u, self.v

    def __call__(self, x):
        h, clock = zeros(D), np.float32(0)
        for x_t in x:
            now = clock + mg.exp(0.3 * x_t[-1])
            h = h * mg.exp(-(now - clock) / self.scales)
            h = h + 0.5 * mg.tanh(x_t @ self.w + h @ self.u)
            clock = now
        return (h @ self.v)[None]


@recurrence(source="Robbins and Monro, A stochastic approximation method, 1951 (a rate that falls with the step)")
class FallingRate(Simple):
    """Mixes the new state in at a rate of 1 / sqrt(t + 1)."""

    def __call__(self, x):
        h = zeros(1, D)
        for t, x_t in enumerate(x):
            rate = 1 / np.sqrt(t + 1)
            h = (1 - rate) * h + rate * self.step(x_t[None], h)
        return h @ self.v


@recurrence(
    source="Bittanti and Colaneri, Periodic systems: filtering and control, 2009 (two matrices in turn)",
    complete=2,
)
class TwoClocks(Simple):
    """Alternates between two recurrent matrices."""

    def __init__(self, rng):
        super().__init__(rng)
        self.odd = weight(rng, D, D)

    @property
    def parameters(self):
        return (*super().parameters, self.odd)

    def __call__(self, x):
        h = zeros(1, D)
        for t, x_t in enumerate(x):
            h = mg.tanh(x_t[None] @ self.w + h @ (self.odd if t % 2 else self.u))
        return h @ self.v


@recurrence(
    source="Graves, Adaptive computation time for recurrent neural networks, 2016 (three ponder steps, soft halting)"
)
class SoftPonder(Simple):
    """Steps three times on each row and averages by halting probabilities; the first step has a flag."""

    def __init__(self, rng):
        super().__init__(rng, C + 1)
        self.halt = weight(rng, D, 1)

    @property
    def parameters(self):
        return (*super().parameters, self.halt)

    def __call__(self, x):
        h = zeros(D)
        for x_t in x:
            left, mixed = np.float32(1), 0
            for n in range(3):
                h = self.step(mg.concatenate([x_t, np.array([n == 0], dtype=np.float32)]), h)
                p = left * sigmoid(h @ self.halt) if n < 2 else left
                mixed = mixed + p * h
                left = left - p
            h = mixed
        return (h @ self.v)[None]


class Clock(Simple):
    """A second state goes on by itself, from learned numbers."""

    def __init__(self, rng):
        super().__init__(rng)
        self.turn, self.start = weights(rng, (D, D), D)

    @property
    def parameters(self):
        return (*super().parameters, self.turn, self.start)


@recurrence(source="Ijspeert et al., Dynamical movement primitives, 2013 (a canonical system without input)")
class LearnedClock(Clock):
    """Every step reads a state that no input reaches."""

    def __call__(self, x):
        h, c = zeros(D), self.start
        for x_t in x:
            c = mg.tanh(c @ self.turn)
            h = mg.tanh(x_t @ self.w + h @ self.u + c)
        return (h @ self.v)[None]


@recurrence(source="Ijspeert et al., Dynamical movement primitives, 2013 (the canonical system, read at the end)")
class ClockReadAtEnd(Clock):
    """Nothing in the loop reads the state that no input reaches."""

    def __call__(self, x):
        h, c = zeros(D), self.start
        for x_t in x:
            c = mg.tanh(c @ self.turn)
            h = self.step(x_t, h)
        return ((h + c) @ self.v)[None]


@recurrence(source="Ijspeert et al., Dynamical movement primitives, 2013 (a canonical system that starts at zero)")
class ClockFromZero(Clock):
    """The state that no input reaches is driven by a bias."""

    def __call__(self, x):
        h = c = zeros(D)
        for x_t in x:
            c = mg.tanh(c @ self.turn + self.start)
            h = self.step(x_t, h)
        return ((h + c) @ self.v)[None]


@recurrence(
    source="Ijspeert et al., Dynamical movement primitives, 2013 (the canonical system, with a delay)", complete=4
)
class ClockReadLate(Clock):
    """A step reads the value of three steps before of a state that no input reaches."""

    def __call__(self, x):
        h, c = zeros(D), [self.start] * 4
        for x_t in x:
            c = [*c[1:], mg.sin(c[-1] @ self.turn)]
            h = mg.tanh(x_t @ self.w + h @ self.u + c[0])
        return (h @ self.v)[None]


@recurrence(source="Elman, Finding structure in time, 1990 (with a context unit that only parameters set)", complete=2)
class StateOfParameters(Clock):
    """A variable begins as zeros, and from the first step on is a function of parameters alone."""

    def __call__(self, x):
        h, c = zeros(D), zeros(D)
        for x_t in x:
            h = mg.tanh(x_t @ self.w + h @ self.u + c @ self.turn)
            c = mg.tanh(self.start)
        return (h @ self.v)[None]
