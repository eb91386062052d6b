"""Models as users would write them: no base class, each in a different style.

Every class takes a seeded generator and has the numbers of inputs, `C`, and of classes, `K`, of its sequences.
"""

import mygrad as mg
import numpy as np
from mygrad.nnet.activations import (
    elu,
    hard_tanh,
    leaky_relu,
    logsoftmax,
    relu,
    selu,
    sigmoid,
    soft_sign,
    softmax,
    tanh,
)
from mygrad.nnet.initializers import glorot_normal
from mynn.layers.dense import dense

from myrnn import dense as own_dense


def weight(rng, *shape, scale=0.4):
    """A trainable float32 tensor."""
    return mg.tensor((rng.normal(size=shape) * scale).astype(np.float32))


class Lesson:
    """A simple RNN over MyNN's dense layers."""

    C, K = 10, 2

    def __init__(self, rng):
        self.fc_x2h = dense(10, 50, weight_initializer=glorot_normal)
        self.fc_h2h = dense(50, 50, weight_initializer=glorot_normal, bias=False)
        self.fc_h2y = dense(50, 2, weight_initializer=glorot_normal)

    def __call__(self, x):
        h = np.zeros((1, self.fc_h2h.weight.shape[0]), dtype=np.float32)
        for x_t in x:
            h = relu(self.fc_x2h(x_t[np.newaxis]) + self.fc_h2h(h))
        return self.fc_h2y(h)

    @property
    def parameters(self):
        return self.fc_x2h.parameters + self.fc_h2h.parameters + self.fc_h2y.parameters


class ByIndex:
    """Loops over indices, takes rows as slices, and creates its state with MyGrad."""

    C, K = 6, 3

    def __init__(self, rng):
        self.w_in, self.w_rec, self.w_out = weight(rng, 6, 17), weight(rng, 17, 17, scale=0.2), weight(rng, 17, 3)
        self.parameters = (self.w_in, self.w_rec, self.w_out)

    def __call__(self, x):
        state = mg.zeros((1, 17), dtype=np.float32)
        for t in range(len(x)):
            state = tanh(x[t : t + 1] @ self.w_in + state @ self.w_rec)
        return state @ self.w_out


class GatesInOneMatrix:
    """An LSTM: input and state joined, four gates sliced from one product."""

    C, K = 5, 3

    def __init__(self, rng, units=16):
        self.units = units
        self.gates = weight(rng, 5 + units, 4 * units)
        self.bias = weight(rng, 4 * units)
        self.out = dense(units, 3, weight_initializer=glorot_normal)

    @property
    def parameters(self):
        return (self.gates, self.bias, *self.out.parameters)

    def __call__(self, x):
        n = self.units
        h, c = np.zeros((1, n), np.float32), np.zeros((1, n), np.float32)
        for t in range(len(x)):
            z = mg.concatenate([x[t].reshape(1, -1), h], axis=1) @ self.gates + self.bias
            forget, write, show = sigmoid(z[:, :n]), sigmoid(z[:, n : 2 * n]), sigmoid(z[:, 2 * n : 3 * n])
            c = forget * c + write * mg.tanh(z[:, 3 * n :])
            h = show * mg.tanh(c)
        return self.out(h)


class LearnedStart:
    """Has a learned first state and flat vectors."""

    C, K = 4, 2

    def __init__(self, rng):
        self.start = weight(rng, 9)
        self.embed, self.mix, self.read = weight(rng, 4, 9), weight(rng, 9, 9), weight(rng, 9, 2)
        self.parameters = [self.start, self.embed, self.mix, self.read]

    def __call__(self, x):
        s = self.start
        for row in x:
            s = mg.tanh(mg.matmul(row, self.embed) + mg.matmul(s, self.mix))
        return mg.reshape(mg.matmul(s, self.read), (1, 2))


class StackedInTheLoop:
    """Two layers in one loop, with a separate product before it."""

    C, K = 5, 4

    def __init__(self, rng):
        self.a, self.a_bias, self.aa = weight(rng, 5, 8), weight(rng, 1, 8), weight(rng, 8, 8)
        self.b, self.bb = weight(rng, 8, 6), weight(rng, 6, 6)
        self.c, self.c_bias = weight(rng, 6, 4), weight(rng, 1, 4)

    def __call__(self, x):
        projected = x @ self.a + self.a_bias
        low, high = np.zeros((1, 8)), np.zeros((1, 6))
        for t in range(len(x)):
            low = leaky_relu(projected[t : t + 1] + low @ self.aa, 0.1)
            high = mg.tanh(low @ self.b + high @ self.bb)
        return high @ self.c + self.c_bias

    @property
    def parameters(self):
        return self.a, self.a_bias, self.aa, self.b, self.bb, self.c, self.c_bias


class PassAfterPass:
    """Two layers, each over the whole sequence, and a readout of two layers."""

    C, K = 3, 3

    def __init__(self, rng):
        self.layers = [(weight(rng, 3, 7), weight(rng, 7, 7)), (weight(rng, 7, 5), weight(rng, 5, 5))]
        self.hidden, self.out = dense(5, 8, weight_initializer=glorot_normal), weight(rng, 8, 3)

    def __call__(self, x):
        sequence = x
        for w_in, w_rec in self.layers:
            h, states = np.zeros((1, w_rec.shape[0]), np.float32), []
            for row in sequence:
                h = mg.tanh(row.reshape(1, -1) @ w_in + h @ w_rec)
                states.append(h)
            sequence = mg.concatenate(states)
        return relu(self.hidden(h)) @ self.out

    @property
    def parameters(self):
        return (*(w for layer in self.layers for w in layer), *self.hidden.parameters, self.out)


class TiedWeights:
    """Uses the transposed input weights to predict the next input; the step is a method."""

    C, K = 7, 7

    def __init__(self, rng):
        self.embedding, self.recurrent = weight(rng, 7, 7), weight(rng, 7, 7)

    def step(self, row, h):
        return mg.tanh(row[None, :] @ self.embedding + h @ self.recurrent + h @ self.embedding.T * 0.3)

    def __call__(self, x):
        h = np.zeros((1, 7), dtype=np.float32)
        for row in x:
            h = self.step(row, h)
        return h @ mg.transpose(self.embedding)

    parameters = property(lambda self: (self.embedding, self.recurrent))


class Multiplicative:
    """A multiplicative RNN with self-normalising units."""

    C, K = 4, 2

    def __init__(self, rng):
        self.p = {k: weight(rng, *s) for k, s in {"mx": (4, 6), "mh": (6, 6), "x": (4, 6), "m": (6, 6)}.items()}
        self.b, self.y = weight(rng, 6), weight(rng, 6, 2)

    def __call__(self, x):
        h = mg.zeros((1, 6))
        for x_t in x:
            m = mg.multiply(x_t @ self.p["mx"], h @ self.p["mh"])
            h = selu(x_t @ self.p["x"] + m @ self.p["m"] + self.b) / 2
        return logsoftmax(h @ self.y)

    @property
    def parameters(self):
        return (*self.p.values(), self.b, self.y)


class LayerNorm:
    """Normalises its sums over the units, with a learned gain and offset."""

    C, K = 5, 3

    def __init__(self, rng):
        self.x, self.h, self.y = weight(rng, 5, 10), weight(rng, 10, 10), weight(rng, 10, 3)
        self.gain, self.offset = mg.tensor(np.ones((1, 10), np.float32)), mg.tensor(np.zeros((1, 10), np.float32))

    @property
    def parameters(self):
        return self.x, self.h, self.y, self.gain, self.offset

    def norm(self, z):
        centred = z - z.mean(axis=-1, keepdims=True)
        return centred / mg.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-3) * self.gain + self.offset

    def __call__(self, x):
        h = np.zeros((1, 10), np.float32)
        for x_t in x:
            h = mg.tanh(self.norm(x_t[None] @ self.x + h @ self.h))
        return h @ self.y


class RunningSum:
    """Adds up its states, and forgets slowly."""

    C, K = 3, 2

    def __init__(self, rng):
        self.x, self.h, self.y = weight(rng, 3, 6), weight(rng, 6, 6), weight(rng, 6, 2)
        self.parameters = self.x, self.h, self.y

    def __call__(self, x):
        h, total = np.zeros((1, 6), np.float32), 0
        for x_t in x:
            h = relu(x_t[None] @ self.x + h @ self.h)
            total = 0.9 * total + h
        return total @ self.y


class MeanOverTime:
    """Reads the mean of all states."""

    C, K = 4, 3

    def __init__(self, rng):
        self.x, self.h, self.y = weight(rng, 4, 8), weight(rng, 8, 8), weight(rng, 8, 3)
        self.parameters = self.x, self.h, self.y

    def __call__(self, x):
        h, total = np.zeros((1, 8), np.float32), 0
        for x_t in x:
            h = mg.tanh(x_t[None] @ self.x + h @ self.h)
            total = total + h
        return (total / len(x)) @ self.y


class MeanOfStack:
    """Reads the mean of all states, gathered in a list."""

    C, K = 4, 3

    def __init__(self, rng):
        self.x, self.h, self.y = weight(rng, 4, 8), weight(rng, 8, 8), weight(rng, 8, 3)
        self.parameters = self.x, self.h, self.y

    def __call__(self, x):
        h = np.zeros((1, 8), np.float32)
        states = []
        for x_t in x:
            h = mg.tanh(x_t[None] @ self.x + h @ self.h)
            states.append(h)
        return mg.mean(mg.concatenate(states), axis=0, keepdims=True) @ self.y


class Backwards:
    """Reads the sequence from its end."""

    C, K = 5, 2

    def __init__(self, rng):
        self.x, self.h, self.y = weight(rng, 5, 7), weight(rng, 7, 7), weight(rng, 7, 2)
        self.parameters = self.x, self.h, self.y

    def __call__(self, x):
        h = np.full((1, 7), 0.1, np.float32)
        for x_t in x[::-1]:
            h = mg.tanh(x_t.reshape(1, 5) @ self.x + h @ self.h)
        return h @ self.y


class Embedding:
    """A wide input, squeezed through an embedding, and an exponential unit."""

    C, K = 30, 2

    def __init__(self, rng):
        self.embedding, self.x, self.h = weight(rng, 30, 4), weight(rng, 4, 16), weight(rng, 16, 16, scale=0.2)
        self.y = weight(rng, 16, 2)
        self.parameters = self.embedding, self.x, self.h, self.y

    def __call__(self, x):
        h = np.zeros((1, 16), dtype=np.float32)
        for x_t in x:
            h = elu(x_t[np.newaxis] @ self.embedding @ self.x + h @ self.h, 0.7)
        return h @ self.y


class FastWeights:
    """Has a second, fast matrix of weights, which the states write."""

    C, K = 4, 3

    def __init__(self, rng):
        self.x, self.h, self.y = weight(rng, 4, 5), weight(rng, 5, 5, scale=0.2), weight(rng, 5, 3)
        self.rate, self.decay = mg.tensor(np.float32(0.1)), mg.tensor(np.float32(0.5))

    @property
    def parameters(self):
        return self.x, self.h, self.y, self.rate, self.decay

    def __call__(self, x):
        h, fast = np.zeros((1, 5), np.float32), np.zeros((5, 5), np.float32)
        for x_t in x:
            h = mg.tanh(x_t[None] @ self.x + h @ self.h + h @ fast)
            fast = self.decay * fast + self.rate * (h.T @ h)
        return h @ self.y


class TwoStepsBack:
    """Also reads the state before the last one."""

    C, K = 3, 2

    def __init__(self, rng):
        self.x, self.h, self.g, self.y = weight(rng, 3, 6), weight(rng, 6, 6), weight(rng, 6, 6), weight(rng, 6, 2)
        self.parameters = self.x, self.h, self.g, self.y

    def __call__(self, x):
        now = before = np.zeros((1, 6), np.float32)
        for x_t in x:
            now, before = mg.tanh(x_t[None] @ self.x + now @ self.h + before @ self.g), now
        return now @ self.y


class SevenStepsBack:
    """Keeps its last seven states in a list, and adds the oldest to the new one."""

    C, K = 4, 3

    def __init__(self, rng):
        self.w_in, self.w_rec, self.w_out = weight(rng, 4, 5), weight(rng, 5, 5), weight(rng, 5, 3)
        self.w_back = weight(rng, 5, 5)
        self.parameters = (self.w_in, self.w_rec, self.w_back, self.w_out)

    def __call__(self, x):
        past = [np.zeros((1, 5), dtype=np.float32)] * 7
        for x_t in x:
            past = [*past[1:], mg.tanh(x_t[None] @ self.w_in + past[-1] @ self.w_rec + past[0] @ self.w_back)]
        return past[-1] @ self.w_out


class AttendingToFive:
    """Reads a mean of its last five states, weighted by a query from the current input."""

    C, K = 4, 2

    def __init__(self, rng):
        self.w_in, self.w_rec, self.w_ask, self.w_out = (
            weight(rng, *size) for size in ((4, 6), (6, 6), (4, 6), (6, 2))
        )
        self.parameters = (self.w_in, self.w_rec, self.w_ask, self.w_out)

    def __call__(self, x):
        window = [np.zeros((1, 6), dtype=np.float32) for _ in range(5)]
        for x_t in x:
            states = mg.concatenate(window, axis=0)
            shares = softmax((x_t[None] @ self.w_ask) @ states.T)
            window = [*window[1:], mg.tanh(x_t[None] @ self.w_in + shares @ states @ self.w_rec)]
        return window[-1] @ self.w_out


class Columns:
    """Vectors are columns, and weights are on the left, as in textbooks."""

    C, K = 4, 3

    def __init__(self, rng):
        self.U, self.W, self.V = weight(rng, 9, 4), weight(rng, 9, 9), weight(rng, 3, 9)
        self.b, self.c = weight(rng, 9, 1), weight(rng, 3, 1)
        self.parameters = self.U, self.W, self.V, self.b, self.c

    def __call__(self, x):
        h = np.zeros((9, 1), np.float32)
        for x_t in x:
            h = mg.tanh(self.U @ x_t[:, None] + self.W @ h + self.b)
        return (self.V @ h + self.c).T


class UnitNormWeights:
    """Divides its weights by their norms, so the steps read values derived from the parameters."""

    C, K = 4, 2

    def __init__(self, rng):
        self.x, self.h, self.y = weight(rng, 4, 8), weight(rng, 8, 8), weight(rng, 8, 2)
        self.scale = weight(rng, 1, 8)
        self.parameters = self.x, self.h, self.y, self.scale

    def __call__(self, x):
        recurrent = self.h / mg.sqrt((self.h**2).sum(axis=0, keepdims=True)) * self.scale
        h = np.zeros((1, 8), np.float32)
        for x_t in x:
            h = mg.tanh(x_t[None] @ self.x + h @ recurrent)
        return h @ (self.y / mg.sum(mg.abs(self.y)))


class SharedBias:
    """A minimal gated unit whose gate and candidate share one bias."""

    C, K = 5, 2

    def __init__(self, rng):
        self.fx, self.fh, self.cx, self.ch = (weight(rng, n, 11) for n in (5, 11, 5, 11))
        self.b, self.y = weight(rng, 1, 11), weight(rng, 11, 2)
        self.parameters = self.fx, self.fh, self.cx, self.ch, self.b, self.y

    def __call__(self, x):
        h = np.zeros((1, 11), dtype=np.float32)
        for x_t in x:
            x_t = x_t[None]
            f = sigmoid(x_t @ self.fx + h @ self.fh + self.b)
            h = (1 - f) * h + f * mg.tanh(x_t @ self.cx + (f * h) @ self.ch + self.b)
        return h @ self.y


class Narrow:
    """One input, one unit; scalars for weights."""

    C, K = 1, 2

    def __init__(self, rng):
        self.u, self.v, self.b = (mg.tensor(np.float32(n)) for n in (0.7, -0.4, 0.1))
        self.y = weight(rng, 1, 2)
        self.parameters = self.u, self.v, self.b, self.y

    def __call__(self, x):
        h = np.zeros((1, 1), np.float32)
        for x_t in x:
            h = mg.tanh(self.u * x_t + self.v * h + self.b)
        return h @ self.y


class SoftStack:
    """Pushes to, pops from or keeps a stack of vectors, softly, by slices and joins (Joulin and Mikolov, 2015)."""

    C, K = 3, 3

    def __init__(self, rng):
        self.x2h, self.h2h, self.s2h = weight(rng, 3, 5), weight(rng, 5, 5), weight(rng, 2, 5)
        self.h2a, self.h2v, self.h2y = weight(rng, 5, 3), weight(rng, 5, 2), weight(rng, 5, 3)
        self.parameters = (self.x2h, self.h2h, self.s2h, self.h2a, self.h2v, self.h2y)

    def __call__(self, x):
        h, stack = np.zeros((1, 5), np.float32), np.zeros((6, 2), np.float32)
        for x_t in x:
            h = mg.tanh(x_t[None] @ self.x2h + h @ self.h2h + stack[:1] @ self.s2h)
            acts, value = softmax(h @ self.h2a), sigmoid(h @ self.h2v)
            pushed = mg.concatenate([value, stack[:-1]])
            popped = mg.concatenate([stack[1:], np.zeros((1, 2), np.float32)])
            stack = acts[:, 0:1] * pushed + acts[:, 1:2] * popped + acts[:, 2:3] * stack
        return h @ self.h2y


class NeverUsed:
    """Lists parameters that it does not use, in the loop or at all."""

    C, K = 4, 2

    def __init__(self, rng):
        self.x, self.spare, self.h = weight(rng, 4, 5), weight(rng, 3, 3), weight(rng, 5, 5)
        self.y, self.other = weight(rng, 5, 2), weight(rng, 2)
        self.parameters = self.x, self.spare, self.h, self.y, self.other

    def __call__(self, x):
        h = np.zeros((1, 5), np.float32)
        for x_t in x:
            h = mg.tanh(x_t[None] @ self.x + h @ self.h)
        return h @ self.y


class LastRow:
    """Reads nothing but the last row."""

    C, K = 4, 3

    def __init__(self, rng):
        self.x, self.y = weight(rng, 4, 6), weight(rng, 6, 3)
        self.parameters = self.x, self.y

    def __call__(self, x):
        return relu(x[-1:] @ self.x) @ self.y


class BagOfRows:
    """Adds up the rows, whatever their order."""

    C, K = 6, 2

    def __init__(self, rng):
        self.y, self.b = weight(rng, 6, 2), weight(rng, 2)
        self.parameters = self.y, self.b

    def __call__(self, x):
        total = np.zeros(6, np.float32)
        for x_t in x:
            total = total + x_t
        return (mg.tanh(total * 0.3) @ self.y + self.b).reshape(1, 2)


class Grid:
    """A state with two axes that mixes along both."""

    C, K = 4, 2

    def __init__(self, rng):
        self.x, self.rows, self.columns, self.y = (
            weight(rng, 4, 12),
            weight(rng, 3, 3),
            weight(rng, 4, 4),
            weight(rng, 12, 2),
        )
        self.parameters = self.x, self.rows, self.columns, self.y

    def __call__(self, x):
        h = np.zeros((3, 4), np.float32)
        for x_t in x:
            z = (x_t @ self.x).reshape(3, 4) + self.rows @ h @ self.columns
            h = mg.tanh(z) + 0.1 * softmax(z, axis=0) - 0.1 * mg.mean(h, axis=1, keepdims=True)
        return mg.squeeze(h.reshape(1, 1, 12), axis=0) @ self.y


class OddUnits:
    """Units with different activations, and a fixed mask."""

    C, K = 3, 4

    def __init__(self, rng):
        self.x, self.h, self.y = weight(rng, 3, 6), weight(rng, 6, 6), weight(rng, 6, 4)
        self.mask = np.array([[True, False, True, True, False, False]])
        self.parameters = self.x, self.h, self.y

    def __call__(self, x):
        h = np.zeros((1, 6), np.float32)
        for x_t in x:
            z = x_t[None] @ self.x + h @ self.h
            soft = mg.logaddexp(z, 0.0) - mg.log(1 + mg.exp(-mg.abs(z))) + soft_sign(h)
            hard = hard_tanh(z) + mg.clip(h, -0.5, 0.5) * mg.maximum(z, 0.2 * h) - mg.minimum(z, h) ** 2
            h = mg.tanh(mg.where(self.mask, soft, hard) + mg.sqrt(h**2 + 1.0) * 0.1)
        return h @ self.y


class ThreeStates:
    """Input joined in the middle, gates stacked and unpacked, three states of different sizes."""

    C, K = 3, 2

    def __init__(self, rng):
        self.w = weight(rng, 4 + 3 + 2, 8)
        self.v, self.y = weight(rng, 4, 2), weight(rng, 4 + 2 + 4, 2)
        self.parameters = self.w, self.v, self.y

    def __call__(self, x):
        a, b, c = np.zeros(4, np.float32), np.ones(2, np.float32), np.zeros((1, 4), np.float32)
        for x_t in x:
            z = mg.concatenate([a, x_t, b]) @ self.w
            gates = mg.stack([z[:4], z[4:]])
            a = mg.tanh(gates[0]) * sigmoid(gates[1])
            b = mg.tanh(a @ self.v - b)
            c = 0.5 * c + mg.swapaxes(gates, 0, 1).sum(axis=1)[None, :]
        return mg.concatenate([a[None], b[None], mg.tanh(c)], axis=1) @ self.y


class ShiftedState:
    """Subtracts a learned vector from its state before the product, and reads the state only there."""

    C, K = 4, 2

    def __init__(self, rng):
        self.x, self.h, self.y = weight(rng, 4, 5), weight(rng, 5, 5), weight(rng, 5, 2)
        self.centre = weight(rng, 5)
        self.parameters = self.x, self.h, self.y, self.centre

    def __call__(self, x):
        h = np.zeros((1, 5), np.float32)
        for x_t in x:
            h = mg.tanh(x_t[None] @ self.x + (h - self.centre) @ self.h)
        return h @ self.y


class PartOfAState:
    """Keeps a part of the last state as a separate state; starts at a half."""

    C, K = 3, 2

    def __init__(self, rng):
        self.x, self.h, self.g, self.y = weight(rng, 3, 6), weight(rng, 6, 6), weight(rng, 3, 6), weight(rng, 9, 2)
        self.parameters = self.x, self.h, self.g, self.y

    def __call__(self, x):
        h, part = np.full((1, 6), 0.5, np.float32), np.full((1, 3), 0.5, np.float32)
        for x_t in x:
            h, part = mg.tanh(x_t[None] @ self.x + h @ self.h + part @ self.g), h[:, 2:5]
        return mg.concatenate([h, part], axis=1) @ self.y


class SinesAndCosines:
    """Reads out the cosine of the state; the step uses its sine, which is the derivative."""

    C, K = 3, 3

    def __init__(self, rng):
        self.x, self.h, self.y = weight(rng, 3, 6), weight(rng, 6, 6), weight(rng, 6, 3)
        self.parameters = self.x, self.h, self.y

    def __call__(self, x):
        h = np.full((1, 6), 0.3, np.float32)
        for x_t in x:
            h = mg.tanh(x_t[None] @ self.x + mg.sin(h) @ self.h)
        return mg.cos(h) @ self.y + (x[-1, :1] - h[:, :1])


class JoinedProducts:
    """Flat vectors: products with weights on the left, joined with a vector of ones and normalised."""

    C, K = 3, 2

    def __init__(self, rng):
        self.a, self.b, self.y = weight(rng, 4, 5), weight(rng, 5, 3), weight(rng, 5, 2)
        self.c = weight(rng, 6, 5)
        self.parameters = self.a, self.b, self.y, self.c

    def __call__(self, x):
        h = np.full(5, 0.5, np.float32)
        for x_t in x:
            z = mg.concatenate([self.a @ h, np.array([1.0, -1.0], np.float32)])
            h = mg.tanh((z / mg.std(z)) @ self.c + self.b @ x_t)
        return (h @ self.y)[None]


class FadingMemory:
    """Attention over time without queries, as fading sums; the last step only computes its output."""

    C, K = 4, 3

    def __init__(self, rng):
        self.key, self.value, self.gate = weight(rng, 4, 6), weight(rng, 4, 6), weight(rng, 4, 6)
        self.fade, self.bonus, self.y = weight(rng, 6), weight(rng, 6), weight(rng, 6, 3)
        self.parameters = self.key, self.value, self.gate, self.fade, self.bonus, self.y

    def __call__(self, x):
        top, bottom, out = np.zeros((1, 6), np.float32), np.zeros((1, 6), np.float32), 0
        for x_t in x:
            x_t = x_t.reshape(1, -1)
            weight, value, fade = mg.exp(x_t @ self.key), x_t @ self.value, mg.exp(-mg.exp(self.fade))
            now = weight * mg.exp(self.bonus)
            out = sigmoid(x_t @ self.gate) * (top + now * value) / (bottom + now)
            top, bottom = fade * top + weight * value, fade * bottom + weight
        return out @ self.y


class ResidualDepth:
    """A step of three residual layers, by a loop inside the loop."""

    C, K = 4, 2

    def __init__(self, rng):
        self.x = weight(rng, 4, 7)
        self.deep = [dense(7, 7, weight_initializer=glorot_normal) for _ in range(3)]
        self.y = weight(rng, 7, 2)

    def __call__(self, x):
        h = np.zeros((1, 7), np.float32)
        for t, _ in enumerate(x):
            h = mg.tanh(h + x[t][np.newaxis] @ self.x)
            for layer in self.deep:
                h = h + 0.3 * relu(layer(h))
        return h @ self.y

    @property
    def parameters(self):
        return (self.x, *(p for layer in self.deep for p in layer.parameters), self.y)


class OwnDense:
    """Uses this library's dense layers, and a state that does not read the sequence."""

    C, K = 8, 2

    def __init__(self, rng):
        small = {"weight_initializer": glorot_normal, "weight_kwargs": {"gain": 0.5}}
        self.gate, self.keep = own_dense(8, 20, **small), own_dense(20, 20, bias=False, **small)
        self.read = own_dense(20, 2, **small)

    @property
    def parameters(self):
        return self.gate.parameters + self.keep.parameters + self.read.parameters

    def __call__(self, x):
        memory = np.zeros((1, 20), dtype=np.float32)
        for x_t in x:
            memory = memory * sigmoid(self.gate(x_t[None])) + mg.sin(self.keep(memory)) * 0.5 + 0.1
        return self.read(memory)


ALL = [
    Lesson, ByIndex, GatesInOneMatrix, LearnedStart, StackedInTheLoop, PassAfterPass, TiedWeights, Multiplicative,
    LayerNorm, RunningSum, MeanOverTime, MeanOfStack, Backwards, Embedding, FastWeights, TwoStepsBack, SevenStepsBack,
    AttendingToFive, Columns, UnitNormWeights, SharedBias, Narrow, SoftStack, NeverUsed, LastRow, BagOfRows, Grid,
    OddUnits, ThreeStates, ShiftedState, PartOfAState, SinesAndCosines, JoinedProducts, FadingMemory, ResidualDepth,
    OwnDense,
]  # fmt: skip


def made(kind, seed=0):
    """Return a model of this kind with new weights."""
    np.random.seed(seed)  # noqa: NPY002 - dense layers draw from it
    return kind(np.random.default_rng(seed))
