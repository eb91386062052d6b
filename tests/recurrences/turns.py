"""Steps that take turns: groups of units with clocks of their own, states that begin anew, and several rows a step."""

import mygrad as mg
import numpy as np

from .layers import Simple
from .registry import C, D, K, recurrence, weights, zeros
from .steps import tagger

PERIODS = np.array([1, 1, 2, 2, 4, 8])


@recurrence(source="Koutník et al., A clockwork RNN, 2014 (one product, and a mask of the step)")
class ClockworkByMask(Simple):
    """Units with a period of up to eight keep their value between their steps, by a mask."""

    def __call__(self, x):
        h = zeros(D)
        for t, x_t in enumerate(x):
            on = (t % PERIODS == 0).astype(np.float32)
            h = on * self.step(x_t, h) + (1 - on) * h
        return (h @ self.v)[None]


@recurrence(source="Koutník et al., A clockwork RNN, 2014 (mg.where)")
class ClockworkByWhere(Simple):
    """The same with a choice."""

    def __call__(self, x):
        h = zeros(D)
        for t, x_t in enumerate(x):
            h = mg.where(t % PERIODS == 0, self.step(x_t, h), h)
        return (h @ self.v)[None]


@recurrence(source="Koutník et al., A clockwork RNN, 2014 (slices of one state)")
class ClockworkBySlices(Simple):
    """Slices of the state are computed by an `if`, with periods of one, two and four."""

    def __call__(self, x):
        h, w, u = zeros(D), self.w, self.u
        for t, x_t in enumerate(x):
            parts = [mg.tanh(x_t @ w[:, :2] + h @ u[:, :2]), h[2:4], h[4:]]
            if t % 2 == 0:
                parts[1] = mg.tanh(x_t @ w[:, 2:4] + h @ u[:, 2:4])
            if t % 4 == 0:
                parts[2] = mg.tanh(x_t @ w[:, 4:] + h @ u[:, 4:])
            h = mg.concatenate(parts)
        return (h @ self.v)[None]


@recurrence(source="Koutník et al., A clockwork RNN, 2014 (only the columns of the product that are due)")
class ClockworkByColumns(Simple):
    """The product has as many columns as units are due."""

    def __call__(self, x):
        h = zeros(D)
        for t, x_t in enumerate(x):
            n = D if t % 4 == 0 else D - 2 if t % 2 == 0 else D - 4
            h = mg.concatenate([mg.tanh(x_t @ self.w[:, :n] + h @ self.u[:, :n]), h[n:]])
        return (h @ self.v)[None]


@recurrence(source="Koutník et al., A clockwork RNN, 2014 (a period of eight, by an if)", compiles=False)
class SlowClockworkBySlices(Simple):
    """Steps of eight kinds."""

    def __call__(self, x):
        h = zeros(D)
        for t, x_t in enumerate(x):
            n = D if t % 8 == 0 else D - 2
            h = mg.concatenate([mg.tanh(x_t @ self.w[:, :n] + h @ self.u[:, :n]), h[n:]])
        return (h @ self.v)[None]


@recurrence(source="Keras, stateful=False (windows of five rows)", compiles=False)
class AnewEveryFive(Simple):
    """The state begins anew at every fifth step, by an `if`."""

    def __call__(self, x):
        h = zeros(D)
        for t, x_t in enumerate(x):
            if t % 5 == 0:
                h = zeros(D)
            h = self.step(x_t, h)
        return (h @ self.v)[None]


@recurrence(source="Keras, stateful=False (windows of five rows, by a factor)")
class AnewByAFactor(Simple):
    """The same by a factor."""

    def __call__(self, x):
        h = zeros(D)
        for t, x_t in enumerate(x):
            h = self.step(x_t, float(t % 5 != 0) * h)
        return (h @ self.v)[None]


@recurrence(source="Keras, stateful=False (windows of five rows, from a learned state)", complete=2)
class AnewFromALearnedState(Simple):
    """The same from a learned state, by a choice."""

    def __init__(self, rng):
        super().__init__(rng)
        (self.h0,) = weights(rng, D)

    @property
    def parameters(self):
        return (*super().parameters, self.h0)

    def __call__(self, x):
        h = self.h0
        for t, x_t in enumerate(x):
            h = self.step(x_t, mg.where(t % 5 == 0, self.h0, h))
        return (h @ self.v)[None]


class TwoRows:
    """Weights for two rows in a step."""

    def __init__(self, rng):
        self.w, self.w2, self.u, self.v = weights(rng, (C, D), (C, D), (D, D), (D, K))
        self.parameters = self.w, self.w2, self.u, self.v

    def step(self, first, second, h):
        return mg.tanh(first @ self.w + second @ self.w2 + h @ self.u)


@recurrence(source="Chan et al., Listen, attend and spell, 2016 (without an odd last row)", complete=4)
class TwoRowsByIndex(TwoRows):
    """Each step reads two rows, by their index."""

    def __call__(self, x):
        h = mg.zeros(D, dtype=np.float32)
        for t in range(0, len(x) - 1, 2):
            h = self.step(x[t], x[t + 1], h)
        return (h @ self.v)[None]


@recurrence(source="Python, zip(x[::2], x[1::2])", complete=4)
class TwoRowsZipped(TwoRows):
    """The same with `zip`."""

    def __call__(self, x):
        h = mg.zeros(D, dtype=np.float32)
        for first, second in zip(x[::2], x[1::2], strict=False):
            h = self.step(first, second, h)
        return (h @ self.v)[None]


@recurrence(source="NumPy, x.reshape(-1, 2, C)", complete=4, compiles=False)
class TwoRowsReshaped(TwoRows):
    """The same with a reshape; the odd last row is left out."""

    def __call__(self, x):
        h = mg.zeros(D, dtype=np.float32)
        for first, second in x[: len(x) // 2 * 2].reshape(-1, 2, C):
            h = self.step(first, second, h)
        return (h @ self.v)[None]


@recurrence(source="Yu, Lee and Le, Learning to skim text, 2017 (every third row)")
class EveryThirdRow(Simple):
    """A loop over every third row."""

    def __call__(self, x):
        h = zeros(D)
        for x_t in x[::3]:
            h = self.step(x_t, h)
        return (h @ self.v)[None]


@tagger(source="Koutník et al., A clockwork RNN, 2014 (logits of every step)")
class ClockworkTagger(Simple):
    """A mask of the step, and logits of every step."""

    def __call__(self, x):
        h, out = zeros(D), []
        for t, x_t in enumerate(x):
            on = (t % PERIODS == 0).astype(np.float32)
            h = on * self.step(x_t, h) + (1 - on) * h
            out.append(h @ self.v)
        return mg.stack(out)
