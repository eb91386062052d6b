"""First steps that differ, windows, differences, delays and padding."""

from collections import deque
from functools import reduce
from itertools import pairwise

import mygrad as mg
import numpy as np
from mygrad.nnet.activations import relu, sigmoid

from .layers import Simple
from .registry import C, D, K, recurrence, weight, weights, zeros


@recurrence(
    source="PyTorch, torch.nn.RNN (h_0 is optional: the first step has no product with a state)",
    complete=2,
)
class NoneAtFirst:
    """There is no state before the first step."""

    def __init__(self, rng):
        self.w, self.u, self.v = weights(rng, (C, D), (D, D), (D, K))
        self.parameters = self.w, self.u, self.v

    def __call__(self, x):
        h = None
        for x_t in x:
            z = x_t[None] @ self.w
            if h is not None:
                z = z + h @ self.u
            h = mg.tanh(z)
        return h @ self.v


@recurrence(
    source="Karpathy and Fei-Fei, Deep visual-semantic alignments, 2015 (the first input makes the state)",
    complete=2,
)
class FirstRowMakesTheState:
    """A separate layer turns the first row into the state."""

    def __init__(self, rng):
        self.start, self.w, self.u, self.v = weights(rng, (C, D), (C, D), (D, D), (D, K))
        self.parameters = self.start, self.w, self.u, self.v

    def __call__(self, x):
        h = relu(x[:1] @ self.start)
        for x_t in x[1:]:
            h = mg.tanh(x_t[None] @ self.w + h @ self.u)
        return h @ self.v


@recurrence(
    source="Brown, Statistical forecasting for inventory control, 1959 (exponential smoothing from the first value)",
)
class SmoothedFromTheFirst:
    """The level starts as the first row."""

    def __init__(self, rng):
        self.alpha, self.v = weights(rng, C, (C, K))
        self.parameters = self.alpha, self.v

    def __call__(self, x):
        level, alpha = x[:1], sigmoid(self.alpha)
        for t in range(len(x)):
            level = alpha * x[t : t + 1] + (1 - alpha) * level
        return level @ self.v


@recurrence(
    source="Holt, Forecasting seasonals and trends by exponentially weighted moving averages, 1957",
    complete=3,
)
class HoltTrend:
    """Level and trend; the trend starts as the first difference."""

    def __init__(self, rng):
        self.a, self.b, self.v = weights(rng, C, C, (2 * C, K))
        self.parameters = self.a, self.b, self.v

    def __call__(self, x):
        level = x[0]
        trend = x[1] - x[0] if len(x) > 1 else x[0] * 0
        a, b = sigmoid(self.a), sigmoid(self.b)
        for row in x[1:]:
            last = level
            level = a * row + (1 - a) * (level + trend)
            trend = b * (level - last) + (1 - b) * trend
        return (mg.concatenate([level, trend]) @ self.v)[None]


@recurrence(source="Young et al., The HTK book, 2006 (delta features)", complete=2)
class Differences:
    """Reads only the differences of neighbours; a single row keeps the first state."""

    def __init__(self, rng):
        self.w, self.u, self.v = weights(rng, (C, D), (D, D), (D, K))
        self.h0 = weight(rng, 1, D)
        self.parameters = self.w, self.u, self.v, self.h0

    def __call__(self, x):
        h = self.h0
        for before, after in zip(x, x[1:]):  # noqa: B905, RUF007 - as most users write it
            h = mg.tanh((after - before)[None] @ self.w + h @ self.u)
        return h @ self.v


@recurrence(
    source="Young et al., The HTK book, 2006 (differences of the whole sequence, joined to it)",
    complete=2,
)
class RowsAndDifferences:
    """The difference of the first row is zero."""

    def __init__(self, rng):
        self.w, self.d, self.u, self.v = weights(rng, (C, D), (C, D), (D, D), (D, K))
        self.parameters = self.w, self.d, self.u, self.v

    def __call__(self, x):
        delta = mg.concatenate([np.zeros((1, C), np.float32), x[1:] - x[:-1]])
        h = zeros(D)
        for row, change in zip(x, delta, strict=True):
            h = mg.tanh(row @ self.w + change @ self.d + h @ self.u)
        return (h @ self.v)[None]


@recurrence(
    source="Bengio et al., A neural probabilistic language model, 2003 (pairs of neighbours)",
    complete=2,
)
class Pairs:
    """Loops over pairs of rows with pairwise."""

    def __init__(self, rng):
        self.start, self.w, self.u, self.v = weights(rng, D, (2 * C, D), (D, D), (D, K))
        self.parameters = self.start, self.w, self.u, self.v

    def __call__(self, x):
        h = self.start
        for a, b in pairwise(x):
            h = mg.tanh(mg.concatenate([a, b]) @ self.w + h @ self.u)
        return mg.reshape(h @ self.v, (1, K))


@recurrence(
    source="Sejnowski and Rosenberg, Parallel networks that learn to pronounce English text, 1987 (windows)",
    complete=3,
)
class Windows:
    """Windows of three rows without padding: two fewer steps than rows."""

    def __init__(self, rng):
        self.w, self.u, self.v, self.b = weights(rng, (3 * C, D), (D, D), (D, K), K)
        self.parameters = self.w, self.u, self.v, self.b

    def __call__(self, x):
        h = zeros(1, D)
        for t in range(len(x) - 2):
            h = mg.tanh(x[t : t + 3].reshape(1, -1) @ self.w + h @ self.u)
        return h @ self.v + self.b


@recurrence(source="Gu and Dao, Mamba: linear-time sequence modeling, 2023 (its convolution)")
class Convolution:
    """Every unit has its own kernel over the last six rows, with zeros before the first."""

    def __init__(self, rng):
        self.w, self.kernel, self.u, self.v = weights(rng, (C, D), (6, D), (D, D), (D, K))
        self.parameters = self.w, self.kernel, self.u, self.v

    def __call__(self, x):
        rows, h = [zeros(1, D)] * 5, zeros(1, D)
        for x_t in x:
            rows = [*rows[-5:], x_t[None] @ self.w]
            h = mg.tanh((self.kernel * mg.concatenate(rows)).sum(axis=0, keepdims=True) + h @ self.u)
        return h @ self.v


@recurrence(source="Collobert et al., Natural language processing (almost) from scratch, 2011 (learned padding)")
class LearnedPadding:
    """Windows of three rows, after two learned ones; the first and the last state are read out."""

    def __init__(self, rng):
        self.w, self.first, self.u, self.v, self.v2 = weights(rng, (3 * C, D), (2, C), (D, D), (D, K), (D, K))
        self.parameters = self.w, self.first, self.u, self.v, self.v2

    def __call__(self, x):
        padded, states = mg.concatenate([self.first, x]), [zeros(1, D)]
        for t in range(len(x)):
            states.append(mg.tanh(padded[t : t + 3].reshape(1, -1) @ self.w + states[-1] @ self.u))
        return states[-1] @ self.v + states[min(1, len(x))] @ self.v2


@recurrence(
    source="Mesnil et al., Using recurrent neural networks for slot filling, 2015 (context windows with padding)",
)
class PaddedWindows:
    """Every row with its neighbours, and zeros before the first and after the last."""

    def __init__(self, rng):
        self.w, self.u, self.v = weights(rng, (3 * C, D), (D, D), (D, K))
        self.parameters = self.w, self.u, self.v

    def __call__(self, x):
        edge = np.zeros((1, C), np.float32)
        padded = mg.concatenate([edge, x, edge])
        h = zeros(1, D)
        for t in range(len(x)):
            h = mg.tanh(mg.reshape(padded[t : t + 3], (1, 3 * C)) @ self.w + h @ self.u)
        return h @ self.v


@recurrence(source="van den Oord et al., WaveNet, 2016 (causal padding with np.pad)")
class PaddedByNumPy:
    """Two rows of zeros in front, by np.pad on the data."""

    def __init__(self, rng):
        self.kernel, self.u, self.v = weights(rng, (3, C, D), (D, D), (D, K))
        self.parameters = self.kernel, self.u, self.v

    def __call__(self, x):
        x = np.pad(np.asarray(x), ((2, 0), (0, 0)))
        h = zeros(D)
        for t in range(2, len(x)):
            h = mg.tanh(sum(x[t - k] @ self.kernel[k] for k in range(3)) + h @ self.u)
        return (h @ self.v)[None]


@recurrence(source="Chang et al., Dilated recurrent neural networks, 2017", complete=5)
class Dilated:
    """Three layers that read their states of one, two and four steps ago from lists."""

    dilations = 1, 2, 4

    def __init__(self, rng):
        self.w = [weight(rng, n, D) for n in (C, D, D)]
        self.u = [weight(rng, D, D) for _ in self.dilations]
        self.v = weight(rng, D, K)
        self.parameters = (*self.w, *self.u, self.v)

    def __call__(self, x):
        states = [[zeros(D)] * d for d in self.dilations]
        for row in x:
            for w, u, d, past in zip(self.w, self.u, self.dilations, states, strict=True):
                row = mg.tanh(row @ w + past[-d] @ u)
                past.append(row)
        return (row @ self.v)[None]


@recurrence(
    source="Chang et al., Dilated recurrent neural networks, 2017 (by indices, without a first state)",
    complete=5,
)
class DilatedByIndex:
    """A list of states, read at t - 2 and t - 4 where these exist."""

    def __init__(self, rng):
        self.w, self.u2, self.u4, self.v = weights(rng, (C, D), (D, D), (D, D), (D, K))
        self.parameters = self.w, self.u2, self.u4, self.v

    def __call__(self, x):
        h = []
        for t in range(len(x)):
            z = x[t] @ self.w
            if t >= 2:
                z = z + h[t - 2] @ self.u2
            if t >= 4:
                z = z + h[t - 4] @ self.u4
            h.append(mg.tanh(z))
        return (h[-1] @ self.v)[None]


@recurrence(
    source="Waibel et al., Phoneme recognition using time-delay neural networks, 1989 (a deque of rows)", complete=4
)
class DelayLine:
    """A deque of the last four rows, zeros at first."""

    def __init__(self, rng, delays=4):
        self.delays = delays
        self.w = [weight(rng, C, D) for _ in range(delays)]
        self.v = weight(rng, D, K)
        self.parameters = (*self.w, self.v)

    def __call__(self, x):
        line = deque([zeros(C)] * self.delays, maxlen=self.delays)
        total = zeros(D)
        for x_t in x:
            line.append(x_t)
            total = 0.7 * total + mg.tanh(sum(row @ w for row, w in zip(line, self.w, strict=True)))
        return (total @ self.v)[None]


@recurrence(source="pandas, DataFrame.cummax and cummin (running extremes, from the first row on)")
class RunningExtremes:
    """The first row is the first maximum and the first minimum."""

    def __init__(self, rng):
        self.w, self.u, self.v = weights(rng, (2 * C, D), (D, D), (D, K))
        self.parameters = self.w, self.u, self.v

    def __call__(self, x):
        top = bottom = x[0]
        h = zeros(D)
        for x_t in x:
            top, bottom = mg.maximum(top, x_t), mg.minimum(bottom, x_t)
            h = mg.tanh(mg.concatenate([top, bottom]) @ self.w + h @ self.u)
        return (h @ self.v)[None]


@recurrence(source="Hutton, A tutorial on the universality and expressiveness of fold, 1999")
class Fold:
    """The loop is reduce with a function of two arguments."""

    def __init__(self, rng):
        self.w, self.u, self.v = weights(rng, (C, D), (D, D), (D, K))
        self.parameters = self.w, self.u, self.v

    def __call__(self, x):
        h = reduce(lambda h, row: mg.tanh(row @ self.w + h @ self.u), x, np.full(D, 0.1, np.float32))
        return (h @ self.v)[None]


@recurrence(
    source="Bird, Introduction to functional programming, 1998 (foldl1: the first element is the start)",
    complete=2,
)
class FoldOfEmbeddings:
    """Reduces the embedded rows without a start: the first is the state."""

    def __init__(self, rng):
        self.e, self.w, self.u, self.v = weights(rng, (C, D), (D, D), (D, D), (D, K))
        self.parameters = self.e, self.w, self.u, self.v

    def __call__(self, x):
        rows = [x[t : t + 1] @ self.e for t in range(len(x))]
        return reduce(lambda h, e: mg.tanh(e @ self.w + h @ self.u), rows) @ self.v


@recurrence(
    source="Socher et al., Semantic compositionality through recursive tensor networks, 2013 (a chain to the right)",
    complete=2,
)
class TensorChain:
    """Composes neighbours from the left with a bilinear form."""

    def __init__(self, rng):
        self.e, self.V, self.W, self.y = weights(rng, (C, D), (2 * D, D, D), (2 * D, D), (D, K), scale=0.3)
        self.w2 = weight(rng, D, 2 * D, scale=0.3)
        self.parameters = self.e, self.V, self.W, self.y, self.w2

    def __call__(self, x):
        words = iter(mg.tanh(x @ self.e))
        p = next(words)
        for word in words:
            both = mg.concatenate([p, word])
            form = mg.einsum("i,ijk,j->k", both, self.V, both @ self.w2.T)
            p = mg.tanh(form + both @ self.W)
        return (p @ self.y)[None]


@recurrence(source="Bahdanau et al., 2015 (the state begins with a layer over a summary of the input)")
class MeanMakesTheState:
    """The mean of all rows, through a layer, is the first state."""

    def __init__(self, rng):
        self.start, self.w, self.u, self.v = weights(rng, (C, D), (C, D), (D, D), (D, K))
        self.parameters = self.start, self.w, self.u, self.v

    def __call__(self, x):
        h = mg.tanh(x.mean(axis=0, keepdims=True) @ self.start)
        for x_t in x:
            h = mg.tanh(x_t[None] @ self.w + h @ self.u)
        return h @ self.v


@recurrence(source="Sutskever et al., 2014 (a start token is put in front, an end token behind)")
class StartAndEndTokens:
    """Learned rows before the first and after the last."""

    def __init__(self, rng):
        self.bos, self.eos, self.w, self.u, self.v = weights(rng, (1, C), (1, C), (C, D), (D, D), (D, K))
        self.parameters = self.bos, self.eos, self.w, self.u, self.v

    def __call__(self, x):
        h = zeros(1, D)
        for row in mg.concatenate([self.bos, x, self.eos]):
            h = mg.tanh(row[None] @ self.w + h @ self.u)
        return h @ self.v


@recurrence(source="Mikolov et al., Recurrent neural network based language model, 2010 (a separator before the text)")
class StartToken:
    """A learned row before the first."""

    def __init__(self, rng):
        self.bos, self.w, self.u, self.v = weights(rng, (1, C), (C, D), (D, D), (D, K))
        self.parameters = self.bos, self.w, self.u, self.v

    def __call__(self, x):
        h = zeros(1, D)
        for row in mg.concatenate([self.bos, x]):
            h = mg.tanh(row[None] @ self.w + h @ self.u)
        return h @ self.v


@recurrence(
    source="Hyndman and Athanasopoulos, Forecasting: principles and practice, 2018 (autoregression on lagged values)",
    complete=4,
)
class Autoregressive:
    """Sums products of lagged rows, as slices of the sequence that are added."""

    def __init__(self, rng):
        self.lags, self.b, self.v = weights(rng, (3, C), C, (C, K))
        self.parameters = self.lags, self.b, self.v

    def __call__(self, x):
        level = zeros(C)
        for t in range(3, len(x)):
            guess = self.b + self.lags[0] * x[t - 1] + self.lags[1] * x[t - 2] + self.lags[2] * x[t - 3]
            level = 0.8 * level + mg.abs(x[t] - guess)
        return (level @ self.v)[None] + mg.sum(self.b)


@recurrence(
    source="Kapturowski et al., Recurrent experience replay in distributed learning (R2D2), 2019 (burn-in)",
    complete=4,
)
class BurnIn:
    """A second state starts after three rows."""

    def __init__(self, rng):
        self.w, self.u, self.w2, self.v = weights(rng, (C, D), (D, D), (D, D), (D, K))
        self.parameters = self.w, self.u, self.w2, self.v

    def __call__(self, x):
        h, late = zeros(1, D), np.full((1, D), 0.5, np.float32)
        for t, x_t in enumerate(x):
            h = mg.tanh(x_t[None] @ self.w + h @ self.u)
            if t >= 3:
                late = mg.tanh(h @ self.w2 + late)
        return (h + late) @ self.v


@recurrence(source="Alahi et al., Social LSTM, 2016 (positions relative to the first)")
class RelativeToTheFirst(Simple):
    """Rows minus the first one."""

    def __call__(self, x):
        h = zeros(D)
        for x_t in x - x[0]:
            h = self.step(x_t, h)
        return (h @ self.v)[None]


@recurrence(source="Mikolov and Zweig, Context dependent recurrent neural network language model, 2012", complete=2)
class FirstStateAsContext(Simple):
    """Every step reads the first state."""

    def __init__(self, rng):
        super().__init__(rng)
        self.c = weight(rng, D, D)

    @property
    def parameters(self):
        return (*super().parameters, self.c)

    def __call__(self, x):
        states = [self.step(x[0], zeros(D))]
        for x_t in x[1:]:
            states.append(self.step(x_t, states[-1] + states[0] @ self.c))
        return (states[-1] @ self.v)[None]
