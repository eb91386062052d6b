"""Both directions: joined, added, pooled, stacked, one after the other."""

import mygrad as mg
from mygrad.nnet.activations import sigmoid, softmax

from .layers import GatedLayer, Layer, joined
from .registry import C, D, K, recurrence, weight, weights, zeros


@recurrence(source="Schuster and Paliwal, Bidirectional recurrent neural networks, 1997")
class Bidirectional:
    """The last states of both directions, joined."""

    def __init__(self, rng):
        self.forwards, self.backwards, self.v = Layer(rng), Layer(rng), weight(rng, 2 * D, K)

    @property
    def parameters(self):
        return joined(self.forwards, self.backwards, self.v)

    def __call__(self, x):
        return mg.concatenate([self.forwards.states(x)[-1], self.backwards.states(x[::-1])[-1]], axis=1) @ self.v


@recurrence(source="Chollet, Deep learning with Python, 2017 (Bidirectional, merge_mode='sum')")
class BidirectionalSum:
    """One loop with two indices; the states are added."""

    def __init__(self, rng):
        self.w, self.u, self.w2, self.u2, self.v = weights(rng, (C, D), (D, D), (C, D), (D, D), (D, K))
        self.parameters = self.w, self.u, self.w2, self.u2, self.v

    def __call__(self, x):
        there, back = zeros(1, D), zeros(1, D)
        for t in range(len(x)):
            there = mg.tanh(x[t][None] @ self.w + there @ self.u)
            back = mg.tanh(x[len(x) - 1 - t][None] @ self.w2 + back @ self.u2)
        return (there + back) @ self.v


@recurrence(source="Chollet, Deep learning with Python, 2017 (the same layer in both directions)")
class SharedBidirectional:
    """Zips the sequence with its reverse, with the same weights."""

    def __init__(self, rng):
        self.w, self.u, self.v = weights(rng, (C, D), (D, D), (2 * D, K))
        self.parameters = self.w, self.u, self.v

    def __call__(self, x):
        a = b = zeros(D)
        for x_t, y_t in zip(x, x[::-1], strict=True):
            a, b = mg.tanh(x_t @ self.w + a @ self.u), mg.tanh(y_t @ self.w + b @ self.u)
        return (mg.concatenate([a, b]) @ self.v)[None]


@recurrence(source="Conneau et al., Supervised learning of universal sentence representations (InferSent), 2017")
class InferSent:
    """The largest of every unit over all states of both directions."""

    def __init__(self, rng):
        self.a, self.b, self.v = GatedLayer(rng), GatedLayer(rng), weight(rng, 2 * D, K)
        self.parameters = joined(self.a, self.b, self.v)

    def __call__(self, x):
        both = [mg.concatenate(pair) for pair in zip(self.a.run(x), self.b.run(x, backwards=True), strict=True)]
        return mg.max(mg.stack(both), axis=0, keepdims=True) @ self.v


@recurrence(source="Graves, Jaitly and Mohamed, Hybrid speech recognition with deep bidirectional LSTM, 2013")
class StackedBidirectional:
    """Two bidirectional layers; the second sees both directions of the first, and is averaged."""

    def __init__(self, rng):
        self.layers = [(Layer(rng, n), Layer(rng, n)) for n in (C, 2 * D)]
        self.v = weight(rng, 2 * D, K)

    @property
    def parameters(self):
        return joined(*(layer for pair in self.layers for layer in pair), self.v)

    def __call__(self, x):
        for there, back in self.layers:
            x = mg.concatenate([there(x), back(x[::-1])[::-1]], axis=1)
        return x.mean(axis=0, keepdims=True) @ self.v


@recurrence(
    source="Lai et al., Recurrent convolutional neural networks for text classification, 2015",
    complete=2,
)
class LeftAndRightContext:
    """Every row between its left and its right context, each shifted by one; then the maximum."""

    def __init__(self, rng):
        self.wl, self.wsl, self.wr, self.wsr, self.w2, self.v = weights(
            rng, (D, D), (C, D), (D, D), (C, D), (2 * D + C, D), (D, K)
        )
        self.first, self.last = weights(rng, D, D)
        self.parameters = (self.wl, self.wsl, self.wr, self.wsr, self.w2, self.v, self.first, self.last)

    def __call__(self, x):
        left, right = [self.first], [self.last]
        for t in range(1, len(x)):
            left.append(mg.tanh(left[-1] @ self.wl + x[t - 1] @ self.wsl))
        for t in reversed(range(len(x) - 1)):
            right.insert(0, mg.tanh(right[0] @ self.wr + x[t + 1] @ self.wsr))
        y = [mg.tanh(mg.concatenate([a, row, b]) @ self.w2) for a, row, b in zip(left, x, right, strict=True)]
        return mg.max(mg.stack(y), axis=0)[None] @ self.v


@recurrence(source="Sutskever, Vinyals and Le, Sequence to sequence learning, 2014 (the source is reversed)")
class ReversedSource:
    """Reads from the end to the beginning."""

    def __init__(self, rng):
        self.layer, self.v = GatedLayer(rng), weight(rng, D, K)
        self.parameters = joined(self.layer, self.v)

    def __call__(self, x):
        return (self.layer.run(x, backwards=True)[0] @ self.v)[None]


@recurrence(source="Peters et al., Deep contextualized word representations (ELMo), 2018")
class ELMo:
    """Two forward and two backward layers, mixed by softmax weights with the embedding; the mean is read out."""

    def __init__(self, rng):
        self.embed = weight(rng, C, D)
        self.forwards = [GatedLayer(rng, D), GatedLayer(rng, D)]
        self.backwards = [GatedLayer(rng, D), GatedLayer(rng, D)]
        self.s, self.gamma, self.v = weights(rng, 3, (), (2 * D, K))

    @property
    def parameters(self):
        return joined(self.embed, *self.forwards, *self.backwards, self.s, self.gamma, self.v)

    def __call__(self, x):
        e = x @ self.embed
        levels, there, back = [mg.concatenate([e, e], axis=1)], e, e
        for f, b in zip(self.forwards, self.backwards, strict=True):
            there, back = mg.stack(f.run(there)), mg.stack(b.run(back, backwards=True))
            levels.append(mg.concatenate([there, back], axis=1))
        s = softmax(self.s)
        mixed = (1 + self.gamma) * sum(s[i] * level for i, level in enumerate(levels))
        return mg.mean(mixed, axis=0)[None] @ self.v


@recurrence(
    source="Fraccaro et al., Sequential neural models with stochastic layers, 2016 (their deterministic layers)",
)
class BackwardThenForward:
    """A forward layer over the states of a backward one."""

    def __init__(self, rng):
        self.back, self.there, self.v = Layer(rng), GatedLayer(rng, C + D), weight(rng, D, K)
        self.parameters = joined(self.back, self.there, self.v)

    def __call__(self, x):
        future = self.back.states(x[::-1])[::-1]
        seen = [mg.concatenate([row, h[0]]) for row, h in zip(x, future, strict=True)]
        return (self.there.run(seen)[-1] @ self.v)[None]


class Shifted:
    """A layer whose outputs read each row and the one before, as RWKV's token shift."""

    def __init__(self, rng):
        self.w, self.w_before, self.u, self.r, self.r_before = weights(rng, (C, D), (C, D), (D, D), (C, D), (C, D))
        self.parameters = self.w, self.w_before, self.u, self.r, self.r_before

    def last(self, x):
        s, before, h = zeros(1, D), zeros(1, C), zeros(1, D)
        for x_t in x:
            row = x_t[None]
            s = mg.tanh(row @ self.w + before @ self.w_before + s @ self.u)
            h, before = s * (row @ self.r + before @ self.r_before), row
        return h


@recurrence(source="Peng et al., RWKV: reinventing RNNs for the transformer era, 2023 (token shift)")
class ShiftedBothWays:
    """Outputs of both directions that read two rows."""

    def __init__(self, rng):
        self.there, self.back, self.v = Shifted(rng), Shifted(rng), weight(rng, 2 * D, K)
        self.parameters = joined(self.there, self.back, self.v)

    def __call__(self, x):
        return mg.concatenate([self.there.last(x), self.back.last(x[::-1])], axis=1) @ self.v


class GatedByRow:
    """A layer whose outputs are states with a gate by the row."""

    def __init__(self, rng, n_in):
        self.layer, self.g = Layer(rng, n_in), weight(rng, n_in, D)
        self.parameters = joined(self.layer, self.g)

    def __call__(self, rows):
        return [s * sigmoid(row @ self.g) for s, row in zip(self.layer.states(rows), rows, strict=True)]


@recurrence(source="Zhu et al., Vision Mamba: efficient visual representation learning, 2024 (gates)")
class GatedByRowBothWays:
    """Two bidirectional layers whose outputs read the row below; the last outputs are read out."""

    def __init__(self, rng):
        self.layers = [(GatedByRow(rng, n), GatedByRow(rng, n)) for n in (C, 2 * D)]
        self.v = weight(rng, 2 * D, K)

    @property
    def parameters(self):
        return joined(*(layer for pair in self.layers for layer in pair), self.v)

    def __call__(self, x):
        rows = [x_t[None] for x_t in x]
        for there, back in self.layers:
            ahead, behind = there(rows), back(rows[::-1])
            rows = [mg.concatenate(pair, axis=1) for pair in zip(ahead, behind[::-1], strict=True)]
        return mg.concatenate([ahead[-1], behind[-1]], axis=1) @ self.v
