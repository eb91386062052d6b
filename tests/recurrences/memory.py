"""Cells with a memory of slots, stacks and queues, and probabilistic models."""

import mygrad as mg
import numpy as np
from mygrad.nnet.activations import logsoftmax, relu, sigmoid, softmax

from .registry import C, D, K, recurrence, weights, zeros

SLOTS = 4


@recurrence(source="Graves, Wayne and Danihelka, Neural Turing machines, 2014 (content and shift addressing)")
class NeuralTuringMachine:
    """A controller and one head that reads and writes, with addresses by content, shifted by a circular convolution."""

    def __init__(self, rng, width=3):
        self.width = width
        self.memory, self.address = weights(rng, (SLOTS, width), SLOTS)
        self.w, self.u, self.key, self.beta, self.shift, self.gate = weights(
            rng, (C + width, D), (D, D), (D, width), (D, 1), (D, 3), (D, 1)
        )
        self.erase, self.add, self.out = weights(rng, (D, width), (D, width), (D + width, K))

    @property
    def parameters(self):
        addressing = self.w, self.u, self.key, self.beta, self.shift, self.gate
        return (self.memory, self.address, *addressing, self.erase, self.add, self.out)

    def similarity(self, M, key):
        norms = mg.sqrt(mg.sum(M * M, axis=1) * mg.sum(key * key) + 1e-2)
        return M @ key / norms

    def __call__(self, x):
        h, r, M, w = zeros(D), zeros(self.width), self.memory, softmax(self.address)
        for x_t in x:
            h = mg.tanh(mg.concatenate([x_t, r]) @ self.w + h @ self.u)
            strength = mg.logaddexp(h @ self.beta, 0)
            content = softmax(strength * self.similarity(M, mg.tanh(h @ self.key)))
            gate, shift = sigmoid(h @ self.gate), softmax(h @ self.shift)
            w = gate * content + (1 - gate) * w
            w = shift[0] * mg.roll(w, -1) + shift[1] * w + shift[2] * mg.roll(w, 1)
            M = M * (1 - w[:, None] * sigmoid(h @ self.erase)) + w[:, None] * mg.tanh(h @ self.add)
            r = w @ M
        return (mg.concatenate([h, r]) @ self.out)[None]


@recurrence(
    source="Joulin and Mikolov, Inferring algorithmic patterns with stack-augmented recurrent nets, 2015", complete=2
)
class StackRNN:
    """A stack of fixed depth, moved by the probabilities of push, pop and no-op."""

    def __init__(self, rng, depth=4):
        self.depth = depth
        self.U, self.R, self.P, self.A, self.push, self.V = weights(rng, (C, D), (D, D), (2, D), (D, 3), (D, 1), (D, K))
        self.parameters = self.U, self.R, self.P, self.A, self.push, self.V

    def __call__(self, x):
        h, stack = zeros(1, D), np.full((self.depth, 1), -1, np.float32)
        for x_t in x:
            h = sigmoid(x_t[None] @ self.U + h @ self.R + stack[:2].reshape(1, 2) @ self.P)
            a = softmax(h @ self.A)[0]
            pushed = mg.concatenate([sigmoid(h @ self.push), stack[:-1]])
            popped = mg.concatenate([stack[1:], np.full((1, 1), -1, np.float32)])
            stack = a[0] * pushed + a[1] * popped + a[2] * stack
        return h @ self.V


@recurrence(source="Joulin and Mikolov, Inferring algorithmic patterns, 2015 (a list of cells, element by element)")
class StackOfCells:
    """The same with vectors in a Python list."""

    def __init__(self, rng, depth=3, width=2):
        self.depth, self.width = depth, width
        self.w, self.a, self.d, self.v = weights(rng, (C + D + width, D), (D, 2), (D, width), (D + width, K))
        self.parameters = self.w, self.a, self.d, self.v

    def __call__(self, x):
        h = zeros(D)
        stack = [zeros(self.width) for _ in range(self.depth)]
        for x_t in x:
            h = mg.tanh(mg.concatenate([x_t, h, stack[0]]) @ self.w)
            push, pop = softmax(h @ self.a)
            old = stack
            stack = [push * mg.tanh(h @ self.d) + pop * old[1]]
            for i in range(1, self.depth):
                below = old[i + 1] if i + 1 < self.depth else zeros(self.width)
                stack.append(push * old[i - 1] + pop * below)
        return (mg.concatenate([h, stack[0]]) @ self.v)[None]


@recurrence(source="Grefenstette et al., Learning to transduce with unbounded memory, 2015 (a queue of fixed length)")
class NeuralQueue:
    """Strengths are taken from the front and added at the back of a shifting buffer."""

    def __init__(self, rng, slots=SLOTS):
        self.slots = slots
        self.w, self.d, self.u, self.val, self.v = weights(rng, (C + 2 * D, D), (D, 1), (D, 1), (D, D), (2 * D, K))
        self.parameters = self.w, self.d, self.u, self.val, self.v

    def take(self, strengths, amount):
        """Take an amount from the front; return the rest and the taken values."""
        before = mg.concatenate([np.zeros(1, np.float32), mg.cumsum(strengths)[:-1]])
        taken = mg.minimum(strengths, mg.maximum(0, amount - before))
        return strengths - taken, taken

    def __call__(self, x):
        h, r = zeros(D), zeros(D)
        values, strengths = zeros(self.slots, D), np.full(self.slots, 0.25, np.float32)
        for x_t in x:
            h = mg.tanh(mg.concatenate([x_t, h, r]) @ self.w)
            strengths, _ = self.take(strengths, sigmoid(h @ self.u))
            values = mg.concatenate([values[1:], mg.tanh(h @ self.val)[None]])
            strengths = mg.concatenate([strengths[1:], sigmoid(h @ self.d)])
            _, read = self.take(strengths, np.float32(1))
            r = read @ values
        return (mg.concatenate([h, r]) @ self.v)[None]


@recurrence(source="Sukhbaatar et al., End-to-end memory networks, 2015 (a learned memory, read twice a step)")
class MemoryReader:
    """Several reads of learned slots inside of a step."""

    def __init__(self, rng):
        self.keys, self.values, self.w, self.u, self.v = weights(rng, (SLOTS, D), (SLOTS, D), (C, D), (D, D), (D, K))
        self.parameters = self.keys, self.values, self.w, self.u, self.v

    def __call__(self, x):
        h = zeros(1, D)
        for x_t in x:
            q = x_t[None] @ self.w + h @ self.u
            for _hop in range(2):
                q = q + softmax(q @ self.keys.T) @ self.values
            h = mg.tanh(q)
        return h @ self.v


@recurrence(source="Henaff et al., Tracking the world state with recurrent entity networks, 2017")
class EntityNetwork:
    """A gated state for every key, all in one matrix, normalised after each step."""

    def __init__(self, rng):
        self.keys, self.e, self.u, self.w, self.z = weights(rng, (SLOTS, D), (C, D), (D, D), (D, D), (D, D))
        self.query, self.out = weights(rng, D, (D, K))

    @property
    def parameters(self):
        return self.keys, self.e, self.u, self.w, self.z, self.query, self.out

    def __call__(self, x):
        H = self.keys
        for x_t in x:
            s = x_t @ self.e
            g = sigmoid(H @ s + self.keys @ s)
            candidate = relu(H @ self.u + self.keys @ self.w + s @ self.z)
            H = H + g.reshape(-1, 1) * candidate
            H = H / mg.sqrt(mg.sum(H * H, axis=1, keepdims=True) + 1e-2)
        attention = softmax(H @ self.query)
        return (attention @ H @ self.out)[None]


@recurrence(source="Santoro et al., Relational recurrent neural networks, 2018")
class RelationalMemory:
    """Slots attend to each other and to the input."""

    def __init__(self, rng):
        self.start, self.e, self.q, self.k, self.v = weights(rng, (SLOTS, D), (C, D), (D, D), (D, D), (D, D))
        self.g, self.out = weights(rng, (2 * D, D), (SLOTS * D, K))
        self.parameters = (self.start, self.e, self.q, self.k, self.v, self.g, self.out)

    def __call__(self, x):
        M = self.start
        for x_t in x:
            e = x_t[None] @ self.e
            both = mg.concatenate([M, e])
            scores = M @ self.q @ (both @ self.k).T / np.sqrt(np.float32(D))
            attended = M + softmax(scores, axis=1) @ (both @ self.v)
            gate = sigmoid(mg.concatenate([M, mg.repeat(e, SLOTS, axis=0)], axis=1) @ self.g)
            M = gate * mg.tanh(attended) + (1 - gate) * M
        return M.reshape(1, -1) @ self.out


@recurrence(source="Goyal et al., Recurrent independent mechanisms, 2021 (soft competition)")
class IndependentMechanisms:
    """Three mechanisms with separate weights compete for the input, then exchange information."""

    def __init__(self, rng, count=3, units=4):
        self.count, self.units = count, units
        self.q, self.k, self.w, self.u = weights(
            rng, (count, units, 2), (C, 2), (count, C, units), (count, units, units)
        )
        self.talk, self.out = weights(rng, (units, units), (count * units, K))
        self.parameters = self.q, self.k, self.w, self.u, self.talk, self.out

    def __call__(self, x):
        h = np.full((self.count, self.units), 0.1, np.float32)
        for x_t in x:
            share = softmax(mg.einsum("mu,muk,k->m", h, self.q, x_t @ self.k))[:, None]
            new = mg.tanh(mg.einsum("c,mcu->mu", x_t, self.w) + mg.einsum("mu,muv->mv", h, self.u))
            h = share * new + (1 - share) * h
            h = h + 0.1 * softmax(h @ h.T, axis=-1) @ h @ self.talk
        return (h.reshape(-1) @ self.out)[None]


@recurrence(source="Locatello et al., Object-centric learning with slot attention, 2020 (one row at a time)")
class SlotAttention:
    """Slots compete for every row: softmax over the slots."""

    def __init__(self, rng):
        self.slots, self.q, self.k, self.v, self.u, self.out = weights(
            rng, (SLOTS, D), (D, D), (C, D), (C, D), (D, D), (D, K)
        )
        self.parameters = (self.slots, self.q, self.k, self.v, self.u, self.out)

    def __call__(self, x):
        slots = self.slots
        for x_t in x:
            share = softmax(slots @ self.q @ (x_t @ self.k))
            update = mg.expand_dims(share, 1) * mg.expand_dims(x_t @ self.v, 0)
            slots = mg.tanh(slots @ self.u + update)
        return mg.sum(slots, axis=0, keepdims=True) @ self.out


@recurrence(source="Rabiner, A tutorial on hidden Markov models, 1989 (the scaled forward algorithm)")
class ForwardAlgorithm:
    """Filters states with Gaussian emissions; the readout is linear in the posterior."""

    def __init__(self, rng):
        self.first, self.transition, self.means, self.v = weights(rng, D, (D, D), (D, C), (D, K))
        self.parameters = self.first, self.transition, self.means, self.v

    def __call__(self, x):
        alpha = softmax(self.first)
        A = softmax(self.transition, axis=1)
        for x_t in x:
            emission = mg.exp(-0.5 * mg.mean((x_t - self.means) ** 2, axis=1))
            alpha = (alpha @ A) * emission
            alpha = alpha / mg.sum(alpha)
        return 3 * (alpha @ self.v)[None]


@recurrence(source="Lafferty, McCallum and Pereira, Conditional random fields, 2001 (the forward algorithm in logs)")
class LogForward:
    """Adds in log space, with a matrix of scores and a stable logsumexp."""

    def __init__(self, rng):
        self.scores, self.emit = weights(rng, (K, K), (C, K))
        self.parameters = self.scores, self.emit

    @staticmethod
    def logsumexp(z, axis):
        top = mg.max(z, axis=axis, keepdims=True)
        return mg.log(mg.sum(mg.exp(z - top), axis=axis)) + mg.squeeze(top, axis=axis)

    def __call__(self, x):
        alpha = np.zeros(K, np.float32)
        for x_t in x:
            alpha = self.logsumexp(alpha[:, None] + self.scores, axis=0) + x_t @ self.emit
        return alpha.reshape(1, K)


@recurrence(
    source="Viterbi, Error bounds for convolutional codes and an asymptotically optimum decoding algorithm, 1967"
)
class MaxPlus:
    """The score of the best path, with maxima instead of sums."""

    def __init__(self, rng):
        self.scores, self.emit, self.v = weights(rng, (D, D), (C, D), (D, K))
        self.parameters = (self.scores, self.emit, self.v)

    def __call__(self, x):
        best = zeros(D)
        for x_t in x:
            best = mg.max(best[:, None] + self.scores, axis=0) + x_t @ self.emit
            best = best - best.mean()
        return (best @ self.v)[None]


@recurrence(source="Schuetzenberger, On the definition of a family of automata, 1961")
class WeightedAutomaton:
    """A matrix for every symbol, mixed by the input: linear in the state."""

    def __init__(self, rng):
        self.start, self.by_symbol, self.v = weights(rng, D, (C, D, D), (D, K), scale=0.3)
        self.parameters = self.start, self.by_symbol, self.v

    def __call__(self, x):
        s = self.start
        for x_t in x:
            A = mg.einsum("c,cij->ij", x_t, self.by_symbol)
            s = s @ A + 0.5 * s
        return (s @ self.v)[None]


@recurrence(source="Kalman, A new approach to linear filtering and prediction problems, 1960 (one dimension a feature)")
class KalmanFilter:
    """Means and variances, with learned noises."""

    def __init__(self, rng):
        self.a, self.log_q, self.log_r, self.v, self.b = weights(rng, C, C, C, (2 * C, K), K)
        self.parameters = self.a, self.log_q, self.log_r, self.v, self.b

    def __call__(self, x):
        mean, variance = zeros(C), np.ones(C, dtype=np.float32)
        q, r = mg.exp(self.log_q), mg.exp(self.log_r)
        for z in x:
            mean, variance = self.a * mean, self.a**2 * variance + q
            gain = variance / (variance + r)
            mean, variance = mean + gain * (z - mean), (1 - gain) * variance
        return (mg.concatenate([mean, variance]) @ self.v + self.b)[None]


@recurrence(source="Widrow and Hoff, Adaptive switching circuits, 1960 (a filter that learns as it goes)", complete=2)
class LeastMeanSquares:
    """Predicts each row from the one before with weights that a rule updates; reads its squared error."""

    def __init__(self, rng):
        self.w, self.log_rate, self.v = weights(rng, (C, C), (), (C + 1, K))
        self.parameters = self.w, self.log_rate, self.v

    def __call__(self, x):
        w, last, total = self.w, zeros(C), np.float32(0)
        for row in x:
            error = row - last @ w
            w = w + 0.05 * mg.exp(self.log_rate) * mg.einsum("i,j->ij", last, error)
            total = 0.9 * total + mg.sum(error**2)
            last = row
        return (mg.concatenate([error, total.reshape(1)]) @ self.v)[None]


@recurrence(source="Miconi, Clune and Stanley, Differentiable plasticity, 2018", complete=2)
class PlasticWeights:
    """Fixed and plastic weights together; a Hebbian trace of outer products."""

    def __init__(self, rng):
        self.w, self.alpha, self.eta, self.i, self.v = weights(rng, (D, D), (D, D), (), (C, D), (D, K))
        self.parameters = self.w, self.alpha, self.eta, self.i, self.v

    def __call__(self, x):
        h, trace = np.full(D, 0.1, np.float32), zeros(D, D)
        for x_t in x:
            new = mg.tanh(h @ (self.w + self.alpha * trace) + x_t @ self.i)
            eta = sigmoid(self.eta)
            trace = (1 - eta) * trace + eta * h[:, None] @ new[None, :]
            h = new
        return (h @ self.v)[None]


@recurrence(source="Cheng, Dong and Lapata, Long short-term memory-networks for machine reading, 2016", compiles=False)
class MemoryTape:
    """Every step attends to all states before it."""

    def __init__(self, rng):
        self.q, self.w, self.u, self.v = weights(rng, (C, D), (C, D), (D, D), (D, K))
        self.parameters = self.q, self.w, self.u, self.v

    def __call__(self, x):
        tape = [np.full(D, 0.1, np.float32)]
        for x_t in x:
            past = mg.stack(tape)
            share = softmax(past @ (x_t @ self.q))
            tape.append(mg.tanh(x_t @ self.w + share @ past @ self.u))
        return (tape[-1] @ self.v)[None]


@recurrence(source="Jacobs et al., Adaptive mixtures of local experts, 1991 (here of cells)")
class MixtureOfCells:
    """Three experts step, a softmax gate mixes them; the readout is a log-probability."""

    def __init__(self, rng):
        self.experts, self.gate, self.v = weights(rng, (3, C + D, D), (C, 3), (D, K))
        self.parameters = (self.experts, self.gate, self.v)

    def __call__(self, x):
        h = zeros(D)
        for x_t in x:
            z = mg.concatenate([x_t, h])
            steps = mg.stack([mg.tanh(z @ self.experts[i]) for i in range(3)])
            h = softmax(x_t @ self.gate) @ steps
        return logsoftmax(h @ self.v)[None]


@recurrence(
    source="Lang, Waibel and Hinton, A time-delay neural network architecture for isolated word recognition, 1990"
)
class RingBuffer:
    """The last four rows are in a matrix that is rolled."""

    def __init__(self, rng):
        self.w, self.u, self.v = weights(rng, (C, D), (D, D), (D, K))
        self.parameters = self.w, self.u, self.v

    def __call__(self, x):
        ring, h = zeros(4, C), zeros(D)
        first = np.zeros((4, 1), np.float32)
        first[0] = 1
        for x_t in x:
            ring = mg.roll(ring, 1, axis=0) * (1 - first) + first * x_t
            h = mg.tanh(h @ self.u + mg.max(ring @ self.w, axis=0))
        return (h @ self.v)[None]
