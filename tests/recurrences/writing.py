"""Loops in other forms: scans, recursion, generators, helper objects, other layers, einsum, readouts."""

from collections import namedtuple
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

import mygrad as mg
import numpy as np
from mygrad.nnet.activations import relu, sigmoid, softmax
from mygrad.nnet.initializers import glorot_normal
from mygrad.nnet.layers import conv_nd, gru
from mynn.layers.dense import dense

from myrnn import dense as own_dense

from .layers import Simple
from .registry import C, D, K, recurrence, weight, weights, zeros


@recurrence(source="Hudak, The Haskell school of expression, 2000 (a scan)")
class Scan(Simple):
    """itertools.accumulate gives all states."""

    def __call__(self, x):
        *_, last = accumulate(x, lambda h, row: self.step(row, h), initial=zeros(D))
        return (last @ self.v)[None]


@recurrence(source="Abelson and Sussman, Structure and interpretation of computer programs, 1985 (recursion)")
class Recursive(Simple):
    """Calls itself on all rows before the last one."""

    def state(self, x):
        return self.step(x[-1], self.state(x[:-1])) if len(x) else zeros(D)

    def __call__(self, x):
        return (self.state(x) @ self.v)[None]


@recurrence(source="Beazley, Generator tricks for systems programmers, 2008")
class Generator(Simple):
    """A generator yields the states; the loop drops all but the last one."""

    def states(self, x):
        h = zeros(1, D)
        for row in x:
            h = self.step(row[np.newaxis, :], h)
            yield h

    def __call__(self, x):
        for h in self.states(x):  # noqa: B007 - only the last one is needed
            pass
        return h @ self.v


@recurrence(source="Bradbury et al., JAX: lax.scan with a carry, 2018")
def scan_with_carry(rng):
    """A function of carry and input, given to a general scan."""
    w, u, v = weights(rng, (C, D), (D, D), (D, K))

    def scan(f, carry, xs):
        ys = []
        for t in range(len(xs)):
            carry, y = f(carry, xs[t])
            ys.append(y)
        return carry, mg.stack(ys)

    def step(scale, carry, row):
        h = mg.tanh(row @ w + carry["h"] @ u)
        return {"h": h, "sum": carry["sum"] + scale * h}, h

    def model(x):
        carry, ys = scan(partial(step, 0.1), {"h": zeros(D), "sum": zeros(D)}, x)
        return ((carry["sum"] + ys[-1]) @ v)[None]

    model.parameters = [w, u, v]
    return model


@recurrence(source="Python, PEP 557: data classes, 2017 (the state is one)")
class StateAsADataclass(Simple):
    """A dataclass of two vectors."""

    @dataclass
    class State:
        fast: object
        slow: object

    def __call__(self, x):
        state = self.State(zeros(D), zeros(D))
        for row in x:
            state.fast = self.step(row, state.fast + state.slow)
            state.slow = 0.8 * state.slow + 0.2 * state.fast
        return (state.slow @ self.v)[None]


@recurrence(source="Python, Glossary: named tuple (a cell with _replace)")
class StateAsANamedTuple(Simple):
    """A named tuple whose fields are replaced."""

    State = namedtuple("State", ["h", "energy"])

    def __call__(self, x):
        s = self.State(h=zeros(1, D), energy=zeros(1, 1))
        for i in range(x.shape[0]):
            s = s._replace(h=self.step(x[i : i + 1, :], s.h))
            s = s._replace(energy=0.5 * s.energy + mg.mean(s.h**2, axis=1, keepdims=True))
        return s.h @ self.v + s.energy


@recurrence(source="Gamma et al., Design patterns, 1994 (the cell is an object that keeps its state during a call)")
class StatefulCell(Simple):
    """A helper object has the state, and is created for every sequence."""

    class Cell:
        def __init__(self, step):
            self.step, self.h = step, zeros(1, D)

        def feed(self, row):
            self.h = self.step(row, self.h)
            return self

    def __call__(self, x):
        cell = self.Cell(self.step)
        for row in x:
            cell.feed(row[None])
        return cell.h @ self.v


@recurrence(source="TensorFlow, tf.while_loop (a condition and a body)")
class WhileLoop(Simple):
    """A while loop over a tuple of loop variables, with an index that goes down."""

    def __call__(self, x):
        def body(left, h):
            return left - 1, self.step(x[len(x) - left], h)

        loop = len(x), zeros(D)
        while loop[0] > 0:
            loop = body(*loop)
        return (loop[1] @ self.v)[None]


@recurrence(source="Soklaski, MyNN and the Python like you mean it course, 2018 (dense layers, T x 1 x C input)")
class WithABatchDimension:
    """A batch of one sequence: x is (T, 1, C)."""

    def __init__(self, rng):
        np.random.seed(int(rng.integers(1000)))  # noqa: NPY002 - dense layers draw from it
        self.fc_x2h = dense(C, D, weight_initializer=glorot_normal, bias=False)
        self.fc_h2h = dense(D, D, weight_initializer=glorot_normal)
        self.fc_h2y = dense(D, K, weight_initializer=glorot_normal)

    @property
    def parameters(self):
        return self.fc_x2h.parameters + self.fc_h2h.parameters + self.fc_h2y.parameters

    def __call__(self, x):
        x = x[:, np.newaxis, :]
        h = np.zeros((x.shape[1], D), dtype=np.float32)
        for x_t in x:
            h = relu(self.fc_x2h(x_t) + self.fc_h2h(h))
        return self.fc_h2y(h)


@recurrence(source="Soklaski, MyGrad: nnet.layers.gru, 2018")
class MyGradGRU:
    """MyGrad's own layer over the whole sequence."""

    def __init__(self, rng):
        shapes = (C, D), (D, D), D
        self.z, self.r, self.h = weights(rng, *shapes), weights(rng, *shapes), weights(rng, *shapes)
        self.v = weight(rng, D, K)

    @property
    def parameters(self):
        return (*self.z, *self.r, *self.h, self.v)

    def __call__(self, x):
        states = gru(x[:, np.newaxis], *self.z, *self.r, *self.h)
        return states[-1] @ self.v


@recurrence(source="Soklaski, MyGrad: nnet.layers.conv_nd, 2018")
class MyGradConvolution(Simple):
    """MyGrad's convolution over time, with padding, before the loop."""

    def __init__(self, rng):
        super().__init__(rng, D)
        self.kernel = weight(rng, D, C, 2)

    @property
    def parameters(self):
        return (*super().parameters, self.kernel)

    def __call__(self, x):
        features = conv_nd(x.T[np.newaxis], self.kernel, stride=1, padding=1)[0, :, : len(x)]
        h = zeros(D)
        for row in relu(features.T):
            h = self.step(row, h)
        return (h @ self.v)[None]


@recurrence(source="Soklaski, MyGrad: sliding_window_view, 2018")
class SlidingWindows(Simple):
    """Windows of three rows as a view of the padded data."""

    def __init__(self, rng):
        super().__init__(rng, 3 * C)

    def __call__(self, x):
        padded = np.concatenate([zeros(2, C), np.asarray(x)])
        windows = mg.sliding_window_view(padded, window_shape=(3, C), step=(1, 1)).copy().reshape(len(x), -1)
        h = zeros(D)
        for window in windows:
            h = self.step(window, h)
        return (h @ self.v)[None]


@recurrence(source="MyRNN: dense and its GRU's equations")
class WithOwnDense:
    """Layers of this library, one of them for all gates."""

    def __init__(self, rng):
        np.random.seed(int(rng.integers(1000)))  # noqa: NPY002 - dense layers draw from it
        self.gates = own_dense(C + D, 2 * D, weight_initializer=glorot_normal)
        self.new = own_dense(C + D, D, weight_initializer=glorot_normal)
        self.read = own_dense(D, K, weight_initializer=glorot_normal)

    @property
    def parameters(self):
        return self.gates.parameters + self.new.parameters + self.read.parameters

    def __call__(self, x):
        h = zeros(1, D)
        for x_t in x:
            zr = sigmoid(self.gates(mg.concatenate([x_t[None], h], axis=1)))
            z, r = zr[:, :D], zr[:, D:]
            h = (1 - z) * h + z * mg.tanh(self.new(mg.concatenate([x_t[None], r * h], axis=1)))
        return self.read(h)


@recurrence(source="Rogozhnikov, Einops: clear and reliable tensor manipulations with Einstein-like notation, 2022")
class EinsumEverywhere(Simple):
    """All products are einsums, that of the input for all steps at once."""

    def __call__(self, x):
        drive = mg.einsum("tc,cd->td", x, self.w)
        h = zeros(1, D)
        for t in range(len(x)):
            h = mg.tanh(drive[t : t + 1] + mg.einsum("bd,de->be", h, self.u))
        return mg.einsum("bd,dk->bk", h, self.v)


@recurrence(source="Smolensky, Tensor product variable binding and the representation of symbolic structures, 1990")
class TensorProduct(Simple):
    """The outer product of input and state, flattened, goes through one matrix."""

    def __init__(self, rng):
        super().__init__(rng)
        self.w = weight(rng, C * D, D)

    def __call__(self, x):
        h = np.full(D, 0.5, np.float32)
        for x_t in x:
            product = x_t[:, np.newaxis] * h[np.newaxis, :]
            h = mg.tanh(mg.ravel(product) @ self.w + h @ self.u)
        return (h @ self.v)[None]


@recurrence(
    source="Szegedy et al., Going deeper with convolutions, 2015 (an auxiliary readout of the middle state)",
    compiles=False,
)
class MiddleState(Simple):
    """Adds the logits of the middle state to those of the last."""

    def __call__(self, x):
        states, h = [], zeros(1, D)
        for row in x:
            h = self.step(row[None], h)
            states.append(h)
        return h @ self.v + 0.5 * (states[len(states) // 2] @ self.v)


@recurrence(source="Lee et al., Deeply-supervised nets, 2015 (the sum of the logits of all steps)")
class LogitsOfAllSteps(Simple):
    """The mean of the logits of all steps."""

    def __call__(self, x):
        h, logits = zeros(1, D), []
        for row in x:
            h = self.step(row[None], h)
            logits.append(h @ self.v)
        return mg.mean(mg.stack(logits), axis=0)


@recurrence(
    source="Donahue et al., Long-term recurrent convolutional networks, 2015 (predictions of all steps are averaged)"
)
class ProbabilitiesOfAllSteps(Simple):
    """The logarithm of the mean probability over time."""

    def __call__(self, x):
        h, p = zeros(1, D), 0
        for row in x:
            h = self.step(row[None], h)
            p = p + softmax(h @ self.v)
        return mg.log(p / len(x))


@recurrence(source="Ha, Dai and Le, HyperNetworks, 2017 (the last row scales what is read out)")
class LastRowReads(Simple):
    """The readout's weights depend on the last row."""

    def __init__(self, rng):
        super().__init__(rng)
        self.m = weight(rng, C, D)

    @property
    def parameters(self):
        return (*super().parameters, self.m)

    def __call__(self, x):
        h = zeros(1, D)
        for row in x:
            h = self.step(row[None], h)
        return (h * sigmoid(x[-1:] @ self.m)) @ self.v
