"""Simple recurrences with one state and one nonlinearity, and their variants."""

import mygrad as mg
import numpy as np
from mygrad.nnet.activations import leaky_relu, relu, sigmoid, tanh

from .registry import C, D, K, recurrence, weight, weights, zeros


@recurrence(source="Elman, Finding structure in time, 1990")
class Elman:
    """Hidden units are copied to context units after every step."""

    def __init__(self, rng):
        self.w_in, self.w_context, self.b = weights(rng, (C, D), (D, D), D)
        self.w_out, self.b_out = weights(rng, (D, K), K)

    @property
    def parameters(self):
        return self.w_in, self.w_context, self.b, self.w_out, self.b_out

    def __call__(self, x):
        context = np.full((1, D), 0.5, dtype=np.float32)
        for x_t in x:
            hidden = sigmoid(x_t[np.newaxis] @ self.w_in + context @ self.w_context + self.b)
            context = hidden
        return hidden @ self.w_out + self.b_out


@recurrence(source="Jordan, Serial order: a parallel distributed processing approach, 1986")
class Jordan:
    """The output, not the hidden layer, is fed back; state units decay."""

    def __init__(self, rng):
        self.w_plan, self.w_state, self.w_out = weights(rng, (C, D), (K, D), (D, K))
        self.parameters = self.w_plan, self.w_state, self.w_out

    def __call__(self, x):
        state = zeros(1, K)
        for t in range(x.shape[0]):
            hidden = tanh(x[t : t + 1] @ self.w_plan + state @ self.w_state)
            output = hidden @ self.w_out
            state = 0.7 * state + sigmoid(output)
        return output


@recurrence(
    source="Le, Jaitly and Hinton, A simple way to initialize recurrent networks of rectified linear units, 2015"
)
class IRNN:
    """Rectified units whose recurrent weights begin as the identity."""

    def __init__(self, rng):
        self.W = weight(rng, C, D)
        self.U = mg.tensor(np.eye(D, dtype=np.float32))
        self.b = mg.tensor(np.full(D, 0.1, dtype=np.float32))
        self.V = weight(rng, D, K)

    @property
    def parameters(self):
        return self.W, self.U, self.b, self.V

    def __call__(self, x):
        h = mg.zeros((D,), dtype=np.float32)
        for x_t in x:
            h = relu(x_t @ self.W + h @ self.U + self.b)
        return (h @ self.V).reshape(1, K)


@recurrence(source="Williams and Zipser, A learning algorithm for continually running fully recurrent networks, 1989")
class FullyRecurrent:
    """One matrix over the joined input, bias and units; the first units are the outputs."""

    def __init__(self, rng):
        self.w = weight(rng, C + 1 + D, D)
        self.parameters = (self.w,)

    def __call__(self, x):
        y = zeros(D)
        one = np.ones(1, dtype=np.float32)
        for t in range(len(x)):
            z = mg.concatenate([x[t], one, y])
            y = sigmoid(z @ self.w)
        return 4 * y[None, :K]


@recurrence(source="Jaeger et al., Optimization of echo state networks with leaky-integrator neurons, 2007")
class LeakyIntegrator:
    """The state keeps a learned share of itself."""

    def __init__(self, rng):
        self.parameters = self.w, self.u, self.leak, self.v = weights(rng, (C, D), (D, D), (), (D, K))

    def __call__(self, x):
        a = sigmoid(self.leak)
        h = zeros(1, D)
        for x_t in x:
            h = (1 - a) * h + a * tanh(x_t.reshape(1, -1) @ self.w + h @ self.u)
        return h @ self.v


@recurrence(source="Jaeger, The echo state approach to analysing and training recurrent neural networks, 2001")
class EchoState:
    """A fixed random reservoir; only the readout of input and state is trained."""

    def __init__(self, rng):
        reservoir = rng.normal(size=(D, D))
        radius = np.abs(np.linalg.eigvals(reservoir)).max()
        self.reservoir = (0.9 * reservoir / radius).astype(np.float32)
        self.feed = rng.uniform(-1, 1, size=(C, D)).astype(np.float32)
        self.readout = weight(rng, C + D, K)
        self.parameters = (self.readout,)

    def __call__(self, x):
        state = np.zeros((1, D), dtype=np.float32)
        for u in x:
            u = u[None]
            state = mg.tanh(u @ self.feed + state @ self.reservoir)
        return mg.concatenate([u, state], axis=1) @ self.readout


@recurrence(source="Maass, Natschlaeger and Markram, Real-time computing without stable states, 2002")
class LiquidState:
    """A fixed reservoir; a network with a hidden layer reads the mean of its states and the last one."""

    def __init__(self, rng):
        self.inside = (rng.normal(size=(D, D)) * 0.3).astype(np.float32)
        self.inward = rng.normal(size=(C, D)).astype(np.float32)
        self.parameters = self.a, self.b = weights(rng, (2 * D, D), (D, K))

    def __call__(self, x):
        liquid, total = zeros(1, D), zeros(1, D)
        for row in x:
            liquid = mg.sin(row[None] @ self.inward + liquid @ self.inside)
            total = total + liquid
        moments = mg.concatenate((liquid, total / len(x)), axis=-1)
        return relu(moments @ self.a) @ self.b


@recurrence(source="Li et al., Independently recurrent neural network (IndRNN), 2018")
class IndRNN:
    """Units that only read their own state; two layers, stepped in while loops."""

    def __init__(self, rng):
        self.w1, self.u1, self.b1 = weights(rng, (C, D), D, D)
        self.w2, self.u2, self.b2 = weights(rng, (D, D), D, D)
        self.v = weight(rng, D, K)
        self.parameters = (self.w1, self.u1, self.b1, self.w2, self.u2, self.b2, self.v)

    def __call__(self, x):
        h1, h2 = zeros(D), zeros(D)
        t = 0
        while t < len(x):
            h1 = leaky_relu(x[t] @ self.w1 + self.u1 * h1 + self.b1, slope=0.1)
            h2 = leaky_relu(h1 @ self.w2 + self.u2 * h2 + self.b2, slope=0.1)
            t += 1
        return mg.expand_dims(h2 @ self.v, 0)


@recurrence(source="Sutskever, Martens and Hinton, Generating text with recurrent neural networks, 2011")
class MultiplicativeRNN:
    """The input chooses the recurrent matrix, by factors."""

    def __init__(self, rng):
        shapes = (C, D), (D, D), (D, D), (C, D), (D, K)
        self.W_fx, self.W_fh, self.W_hf, self.W_hx, self.W_oh = weights(rng, *shapes)

    @property
    def parameters(self):
        return self.W_fx, self.W_fh, self.W_hf, self.W_hx, self.W_oh

    def __call__(self, x):
        h = zeros(1, D)
        for x_t in x:
            row = x_t[None, :]
            factors = (row @ self.W_fx) * (h @ self.W_fh)
            h = mg.tanh(factors @ self.W_hf + row @ self.W_hx)
        return h @ self.W_oh


@recurrence(source="Giles et al., Learning and extracting finite state automata with second-order networks, 1992")
class SecondOrder:
    """A weight for every triple of unit, input and unit."""

    def __init__(self, rng):
        self.w, self.b, self.v = weights(rng, (D, C, D), D, (D, K))
        self.parameters = self.w, self.b, self.v

    def __call__(self, x):
        s = np.eye(D, dtype=np.float32)[0]
        for x_t in x:
            s = sigmoid(mg.einsum("i,j,ijk->k", s, x_t, self.w) + self.b)
        return (s @ self.v)[None]


@recurrence(source="Wu et al., On multiplicative integration with recurrent neural networks, 2016")
def multiplicative_integration(rng):
    """Input and state are multiplied instead of added."""
    w, u, v = weights(rng, (C, D), (D, D), (D, K))
    alpha, beta, gamma, b = weights(rng, D, D, D, D)

    def model(x):
        h = zeros(1, D)
        for x_t in x:
            wx, uh = x_t[None] @ w, h @ u
            h = mg.tanh(alpha * wx * uh + beta * uh + gamma * wx + b)
        return h @ v

    model.parameters = (w, u, v, alpha, beta, gamma, b)
    return model


@recurrence(
    source="Kusupati et al., FastGRNN: a fast, accurate, stable and tiny kilobyte sized gated RNN, 2018 (FastRNN)"
)
class FastRNN:
    """A residual step whose two scalars are learned."""

    def __init__(self, rng):
        self.W, self.U, self.b, self.alpha, self.beta, self.out = weights(rng, (C, D), (D, D), D, 1, 1, (D, K))
        self.parameters = (self.W, self.U, self.b, self.alpha, self.beta, self.out)

    def __call__(self, x):
        h = zeros(1, D)
        for x_t in x:
            h_tilde = mg.tanh(x_t[None] @ self.W + h @ self.U + self.b)
            h = sigmoid(self.alpha) * h_tilde + sigmoid(self.beta) * h
        return h @ self.out


@recurrence(source="Pascanu et al., How to construct deep recurrent neural networks, 2014")
class DeepTransition:
    """Two layers from one state to the next, a skip connection, and a deep output."""

    def __init__(self, rng):
        self.w, self.u1, self.u2, self.u3, self.o1, self.o2 = weights(
            rng, (C, D), (D, D), (D, D), (D, D), (D, D), (D, K)
        )
        self.parameters = (self.w, self.u1, self.u2, self.u3, self.o1, self.o2)

    def transition(self, h, x_t):
        inner = tanh(x_t[None] @ self.w + h @ self.u1)
        return tanh(inner @ self.u2 + h @ self.u3)

    def __call__(self, x):
        h = zeros(1, D)
        for x_t in x:
            h = self.transition(h, x_t)
        return relu(h @ self.o1) @ self.o2


@recurrence(source="Mikolov et al., Learning longer memory in recurrent neural networks (SCRN), 2015")
class StructurallyConstrained:
    """Some units are slow and see only the input; the others see them."""

    def __init__(self, rng, slow=2):
        self.slow = slow
        self.A, self.B, self.P, self.R, self.U, self.V = weights(
            rng, (C, D), (C, slow), (slow, D), (D, D), (D, K), (slow, K)
        )
        self.parameters = [self.A, self.B, self.P, self.R, self.U, self.V]

    def __call__(self, x):
        s, h = zeros(1, self.slow), zeros(1, D)
        for x_t in x:
            x_t = x_t.reshape((1, C))
            s = 0.05 * (x_t @ self.B) + 0.95 * s
            h = sigmoid(s @ self.P + x_t @ self.A + h @ self.R)
        return h @ self.U + s @ self.V


@recurrence(source="Lin et al., Learning long-term dependencies in NARX recurrent neural networks, 1996")
class NARX:
    """Reads its last three outputs, from a shifting list."""

    def __init__(self, rng, order=3):
        self.order = order
        self.w, self.b, self.v = weights(rng, (C + order * K, D), D, (D, K))
        self.parameters = self.w, self.b, self.v

    def __call__(self, x):
        outputs = [zeros(K)] * self.order
        for x_t in x:
            y = mg.tanh(mg.concatenate([x_t, *outputs]) @ self.w + self.b) @ self.v
            outputs = [y, *outputs[:-1]]
        return outputs[0].reshape(1, -1)


@recurrence(source="Soltani and Jiang, Higher order recurrent neural networks, 2016")
class HigherOrder:
    """Feeds back the last three states, each by separate weights and from a separate variable."""

    def __init__(self, rng):
        self.w, self.u1, self.u2, self.u3, self.v = weights(rng, (C, D), (D, D), (D, D), (D, D), (D, K))
        self.parameters = self.w, self.u1, self.u2, self.u3, self.v

    def __call__(self, x):
        h1 = h2 = h3 = zeros(1, D)
        for x_t in x:
            h = mg.tanh(x_t[None] @ self.w + h1 @ self.u1 + h2 @ self.u2 + h3 @ self.u3)
            h1, h2, h3 = h, h1, h2
        return h1 @ self.v


@recurrence(source="Zhang et al., Architectural complexity measures of recurrent neural networks, 2016")
class SkipsInTime:
    """A list of all states; a step reads the last and the third last."""

    def __init__(self, rng):
        self.parameters = self.w, self.u, self.skip, self.v = weights(rng, (C, D), (D, D), (D, D), (D, K))

    def __call__(self, x):
        h = [zeros(1, D), zeros(1, D), zeros(1, D)]
        for x_t in x:
            h.append(mg.tanh(x_t[None] @ self.w + h[-1] @ self.u + h[-3] @ self.skip))
        return h[-1] @ self.v


@recurrence(
    source="Mastrogiuseppe and Ostojic, Linking connectivity, dynamics, and computations in low-rank RNNs, 2018",
    complete=2,
)
class ThinProduct:
    """The recurrent matrix is a product of two thin ones, and the state passes through two numbers."""

    def __init__(self, rng):
        self.parameters = self.w, self.m, self.n, self.v = weights(rng, (C, D), (D, 2), (2, D), (D, K))

    def __call__(self, x):
        h = zeros(D)
        for t in range(len(x)):
            h = tanh((h @ self.m) @ self.n + x[t] @ self.w)
        return (h @ self.v)[None]


@recurrence(source="Soltani and Jiang, Higher order recurrent neural networks, 2016 (the delays share a thin product)")
class SharedByDelays:
    """Each step multiplies the last three states by the same thin matrix: every state three times."""

    def __init__(self, rng):
        self.parameters = self.w, self.m, self.n, self.v = weights(rng, (C, D), (D, 2), (2, D), (D, K))

    def __call__(self, x):
        past = [zeros(D)] * 3
        for x_t in x:
            h = tanh(x_t @ self.w + sum(k * (h @ self.m) for k, h in enumerate(past, 1)) @ self.n)
            past = [*past[1:], h]
        return (past[-1] @ self.v)[None]


@recurrence(source="Sak, Senior and Beaufays, LSTM based RNN architectures, 2014 (the projection, before the step)")
class Bottleneck:
    """The state is squeezed through three nonlinear units before each step."""

    def __init__(self, rng):
        self.parameters = self.w, self.m, self.n, self.v = weights(rng, (C, D), (D, 3), (3, D), (D, K))

    def __call__(self, x):
        h = zeros(1, D)
        for x_t in x:
            small = sigmoid(h @ self.m)
            h = tanh(x_t[None] @ self.w + small @ self.n)
        return h @ self.v


@recurrence(
    source="Sak, Senior and Beaufays, LSTM based RNN architectures, 2014 (the projection is carried)", complete=2
)
class CarriedProjection:
    """The variable that lives on is the projection at the end of a step, not the units."""

    def __init__(self, rng):
        self.parameters = self.w, self.m, self.n, self.v = weights(rng, (C, D), (D, 2), (2, D), (D, K))

    def __call__(self, x):
        projected = zeros(2)
        for x_t in x:
            h = tanh(x_t @ self.w + projected @ self.n)
            projected = h @ self.m
        return (h @ self.v)[None]


@recurrence(source="Lan et al., ALBERT, 2020 (weights that layers share)", complete=2)
class SharedByLayers:
    """One matrix is the recurrent weight of both layers, and connects them."""

    def __init__(self, rng):
        self.parameters = self.w, self.u, self.b, self.v = weights(rng, (C, D), (D, D), D, (D, K))

    def __call__(self, x):
        a = g = zeros(D)
        for x_t in x:
            a = tanh(x_t @ self.w + a @ self.u)
            g = tanh(a @ self.u + g @ self.u + self.b)
        return (g @ self.v)[None]


@recurrence(source="Ba, Kiros and Hinton, Layer normalization, 2016 (the gain comes last)")
class GainAfterNorm:
    """The state is a normalized sum times a gain; the next step reads the product."""

    def __init__(self, rng):
        self.parameters = self.w, self.u, self.gain, self.v = weights(rng, (C, D), (D, D), D, (D, K))

    def __call__(self, x):
        h = zeros(D)
        for x_t in x:
            z = x_t @ self.w + h @ self.u
            h = (z - mg.mean(z)) / mg.sqrt(mg.var(z) + 1e-2) * self.gain
        return (h @ self.v)[None]
