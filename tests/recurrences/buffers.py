"""Where states and rows are stored: buffers, in-place operations, views, masks by columns, conversions, constants."""

import mygrad as mg
import numpy as np
from mygrad.nnet.activations import relu, sigmoid

from .layers import Simple
from .registry import C, D, K, recurrence, weight, weights, zeros


@recurrence(
    source="Britz, Recurrent neural networks tutorial, part 2, 2015 (states in one array, of one more row)",
)
class StatesInABuffer(Simple):
    """Writes state t + 1 into a tensor, and reads state t from it."""

    def __call__(self, x):
        T = len(x)
        H = mg.zeros((T + 1, D), dtype=np.float32)
        for t in range(T):
            H[t + 1] = self.step(x[t], H[t])
        return (H[T] @ self.v)[None]


@recurrence(
    source="Britz, Recurrent neural networks tutorial, part 2, 2015 (the state before the first is the last row)",
)
class NegativeIndex(Simple):
    """The row at -1 is the first state."""

    def __call__(self, x):
        s = mg.zeros((len(x) + 1, D))
        for t in np.arange(len(x)):
            s[t] = self.step(x[t], s[t - 1])
        return (s[len(x) - 1] @ self.v)[None]


@recurrence(source="Karpathy, min-char-rnn, 2015 (states in a dictionary, by time)")
class StatesInADictionary(Simple):
    """A dictionary from the step to the state, starting at -1; vectors are columns."""

    def __init__(self, rng):
        self.Wxh, self.Whh, self.Why, self.bh, self.by = weights(rng, (D, C), (D, D), (K, D), (D, 1), (K, 1))

    @property
    def parameters(self):
        return self.Wxh, self.Whh, self.Why, self.bh, self.by

    def __call__(self, inputs):
        xs, hs = {}, {-1: np.zeros((D, 1), np.float32)}
        for t in range(len(inputs)):
            xs[t] = inputs[t].reshape(-1, 1)
            hs[t] = mg.tanh(mg.matmul(self.Wxh, xs[t]) + mg.matmul(self.Whh, hs[t - 1]) + self.bh)
        ys = mg.matmul(self.Why, hs[len(inputs) - 1]) + self.by
        return ys.T


@recurrence(source="Goodfellow, Bengio and Courville, Deep learning, 2016, section 10.2 (pooled from a buffer)")
class BufferPooled(Simple):
    """Fills a buffer of T rows and reads its mean."""

    def __call__(self, x):
        H = mg.zeros((len(x), D), dtype=np.float32)
        h = zeros(D)
        for t, x_t in enumerate(x):
            h = self.step(x_t, h)
            H[t] = h
        return H.mean(axis=0, keepdims=True) @ self.v


@recurrence(source="Chollet, Deep learning with Python, 2017 (successive outputs are joined at the end)")
class StatesStacked(Simple):
    """A list of all states, stacked; the last row is read out."""

    def __call__(self, x):
        successive, h = [], zeros(D)
        for input_t in x:
            h = self.step(input_t, h)
            successive.append(h)
        final = mg.stack(successive, axis=0)
        return mg.expand_dims(final[-1] @ self.v, axis=0)


@recurrence(source="Zhang et al., Dive into deep learning, 2023, section 9.5 (a list of outputs, a state as a tuple)")
class StateAsATuple(Simple):
    """Functions init_state and rnn, as in the book."""

    def init_state(self):
        return (np.zeros((1, D), dtype=np.float32),)

    def rnn(self, inputs, state):
        (H,) = state
        outputs = []
        for X in inputs:
            H = self.step(X, H)
            outputs.append(H)
        return outputs, (H,)

    def __call__(self, x):
        outputs, state = self.rnn(x.reshape(len(x), 1, C), self.init_state())
        assert outputs[-1] is state[0]
        return mg.matmul(state[0], self.v)


@recurrence(source="NumPy, Guide: in-place operators on a state (a leaky accumulator)")
class InPlace(Simple):
    """Multiplies the state, then adds to it, in place."""

    def __call__(self, x):
        h = mg.zeros((1, D), dtype=np.float32)
        for x_t in x:
            new = self.step(x_t[None], h)
            h *= 0.6
            h += 0.4 * new
        return h @ self.v


@recurrence(
    source="NumPy, Guide: indexing, assigning values to indexed arrays (a part of the state is overwritten)",
)
class PartInPlace(Simple):
    """Overwrites one half of a fresh state."""

    def __call__(self, x):
        h = zeros(1, D)
        for x_t in x:
            new = self.step(x_t[None], h)
            new[:, : D // 2] = 0.5 * new[:, : D // 2] + 0.5 * sigmoid(x_t[None] @ self.w[:, : D // 2])
            h = new
        return h @ self.v


@recurrence(source="NumPy, Guide: copies and views (a view of a state is written to)")
class ThroughAView(Simple):
    """Views of one state are two halves, which are updated separately."""

    def __call__(self, x):
        h = mg.zeros((2, D), dtype=np.float32)
        for x_t in x:
            fast = self.step(x_t, h[0] + h[1])
            h = h * np.array([[0.0], [0.9]], np.float32)
            first, second = h[0], h[1]
            first += fast
            second += 0.1 * fast
        return (h.sum(axis=0) @ self.v)[None]


@recurrence(source="NumPy, Guide: copies and views (a view of a state that is changed in place as a whole)")
class ViewOfTheState(Simple):
    """The state decays and grows in place; a view of it, made before the loop, is read at every step."""

    def __call__(self, x):
        h = mg.zeros((2, D), dtype=np.float32)
        view = h[0]
        for x_t in x:
            new = self.step(x_t, view)
            h *= 0.9
            h += new
        return (view @ self.v)[None]


@recurrence(source="Graves, Generating sequences with recurrent neural networks, 2013 (layers and steps in one buffer)")
class LayersInABuffer(Simple):
    """Two layers write their states into one buffer of layers and steps."""

    def __init__(self, rng):
        super().__init__(rng)
        self.up, self.deep = weights(rng, (D, D), (D, D))

    @property
    def parameters(self):
        return (*super().parameters, self.up, self.deep)

    def __call__(self, x):
        H = mg.zeros((2, len(x) + 1, D), dtype=np.float32)
        for t in range(len(x)):
            H[0, t + 1] = self.step(x[t], H[0, t])
            H[1, t + 1] = mg.tanh(H[0, t + 1] @ self.up + H[1, t] @ self.deep)
        return H[1, -1:] @ self.v


@recurrence(source="Elman, Finding structure in time, 1990 (terms are added to a row of a buffer)")
class AddedToABuffer(Simple):
    """Each row of a buffer is the sum of what is added to it."""

    def __call__(self, x):
        H = mg.zeros((len(x) + 1, D), dtype=np.float32)
        for t in range(len(x)):
            H[t + 1] += x[t] @ self.w
            H[t + 1] += H[t] @ self.u
            H[t + 1] = mg.tanh(H[t + 1])
        return H[-1:] @ self.v


@recurrence(source="NumPy, Reference: where and out arguments of ufuncs (np.tanh on tensors)")
class NumPyFunctions(Simple):
    """NumPy's functions are called with tensors."""

    def __call__(self, x):
        h = mg.zeros((1, D), dtype=np.float32)
        for x_t in x:
            h = np.tanh(np.add(np.matmul(x_t[None], self.w), np.matmul(h, self.u)))
        return np.matmul(h, self.v)


@recurrence(
    source="Mnih et al., Asynchronous methods for deep reinforcement learning, 2016 (reset where an episode ends)",
)
class ResetByColumn(Simple):
    """mg.where sets the state to zero where the last column is above zero."""

    def __call__(self, x):
        h = zeros(1, D)
        for t in range(len(x)):
            h = mg.where(x[t, 3] > 0.5, 0 * h, h)
            h = self.step(x[t : t + 1], h)
        return h @ self.v


@recurrence(source="Chollet, Keras: masking (a step is skipped where its row is masked)")
class MaskedSteps(Simple):
    """A mask of the whole sequence, computed with NumPy, as a product."""

    def __call__(self, x):
        mask = (np.asarray(x)[:, 3] > -0.5).astype(np.float32)
        h = zeros(1, D)
        for x_t, m in zip(x, mask, strict=True):
            h = m * self.step(x_t[None], h) + (1 - m) * h
        return h @ self.v


@recurrence(source="Chollet, Keras: masking (by an if)", compiles=False)
class BranchOnAColumn(Simple):
    """An if on a value of the input."""

    def __call__(self, x):
        h = zeros(1, D)
        for t in range(len(x)):
            if t and x[t, 3] > 0:
                continue
            h = self.step(x[t][None], h)
        return h @ self.v


@recurrence(
    source="Hochreiter and Schmidhuber, Long short-term memory, 1997 (the adding problem's mask column, as a gate)"
)
class GatedByColumn(Simple):
    """The last column, through a sigmoid, determines how much of the row is read."""

    def __init__(self, rng):
        super().__init__(rng)
        self.w = weight(rng, C - 1, D)

    def __call__(self, x):
        h = zeros(D)
        for row in x:
            gate = sigmoid(row[3])
            h = (1 - gate) * h + gate * self.step(row[:3], h)
        return (h @ self.v)[None]


@recurrence(source="Lipton, Kale and Wetzel, Modeling missing data in clinical time series with RNNs, 2016")
class MissingIndicator(Simple):
    """A second copy of the row marks missing values: rectified and not."""

    def __init__(self, rng):
        super().__init__(rng)
        self.w = weight(rng, 2 * C, D)

    def __call__(self, x):
        h = zeros(1, D)
        for x_t in x:
            row = x_t.reshape(1, C)
            h = self.step(mg.concatenate([relu(row), relu(-row)], axis=1), h)
        return h @ self.v


@recurrence(source="NumPy, Reference: asarray (inputs of any kind are made an array first)")
class MadeAnArray(Simple):
    """np.asarray and a dtype, at the start."""

    def __call__(self, x):
        x = np.asarray(x, dtype=np.float32)
        h = np.zeros((1, D), dtype=x.dtype)
        for x_t in x:
            h = self.step(x_t[None], h)
        return h @ self.v


@recurrence(source="MyGrad, Documentation: tensors (the input is made a tensor first)")
class MadeATensor(Simple):
    """mg.tensor(x, constant=True), at the start."""

    def __call__(self, x):
        x = mg.tensor(x, constant=True)
        h = mg.tensor(np.zeros((1, D), np.float32), constant=True)
        for t in range(x.shape[0]):
            h = self.step(x[t][None, :], h)
        return h @ self.v


@recurrence(source="Google, Python style guide: checks of arguments at the top of a function")
class ChecksShapes(Simple):
    """Asserts and conversions of shapes everywhere."""

    def __call__(self, x):
        assert x.ndim == 2, x.shape
        steps, features = x.shape
        if features != self.w.shape[0]:
            raise ValueError(f"{features} features, not {self.w.shape[0]}")
        h = np.zeros((1, self.u.shape[0]), np.float32)
        for t in range(steps):
            row = x[t].reshape((1, -1))
            assert row.shape == (1, features)
            h = self.step(row, h)
            assert h.shape == (1, D)
        logits = h @ self.v
        assert logits.shape == (1, K)
        return logits


@recurrence(source="NumPy, Reference: array creation routines (constants are made inside the call)")
class ConstantsInTheCall(Simple):
    """A band matrix, random features with a seed, and a window, made with NumPy at every call."""

    def __call__(self, x):
        band = np.tri(D, D, 1, dtype=np.float32) - np.tri(D, D, -2, dtype=np.float32)
        features = np.random.default_rng(7).normal(size=(C, D)).astype(np.float32)
        window = np.hanning(D + 2)[1:-1].astype(np.float32)
        h = zeros(D)
        for x_t in x:
            h = window * mg.tanh(x_t @ (self.w + features) + h @ (self.u * band)) + np.log1p(np.float32(0.1))
        return (h @ self.v)[None]


@recurrence(source="Page, Continuous inspection schemes, 1954 (cumulative sums next to the rows)")
class CumulativeSum(Simple):
    """mg.cumsum over time, before the loop."""

    def __call__(self, x):
        sums = mg.cumsum(x, axis=0)
        h = zeros(1, D)
        for t in range(len(x)):
            h = self.step(x[t : t + 1] + 0.1 * sums[t : t + 1], h)
        return h @ self.v


@recurrence(
    source="Krueger and Memisevic, Regularizing RNNs by stabilizing activations, 2016 (states are given a length)"
)
class UnitLength(Simple):
    """The state is divided by its norm, with mg.linalg.norm."""

    def __call__(self, x):
        h = np.full((1, D), 0.1, np.float32)
        for x_t in x:
            z = self.step(x_t[None], h)
            h = z / (mg.linalg.norm(z, axis=1, keepdims=True) + 0.1)
        return h @ self.v


@recurrence(source="Gulcehre et al., Noisy activation functions, 2016 (fixed noise, from a seed)")
class FixedNoise(Simple):
    """The same noise at every step, drawn when the model is made."""

    def __init__(self, rng):
        super().__init__(rng)
        self.noise = (0.1 * rng.normal(size=(1, D))).astype(np.float32)

    def __call__(self, x):
        h = zeros(1, D)
        for x_t in x:
            h = self.step(x_t[None], h) + self.noise * mg.abs(h)
        return h @ self.v


@recurrence(source="Gal and Ghahramani, A theoretically grounded application of dropout in RNNs, 2016 (a fixed mask)")
class FixedDropout(Simple):
    """One mask over units for all steps."""

    mask = np.array([1, 0, 1, 1, 0, 1], np.float32) / np.float32(0.75)

    def __call__(self, x):
        h = mg.zeros((1, D))
        for x_t in x:
            h = self.step(x_t[None], h * self.mask)
        return h @ self.v
