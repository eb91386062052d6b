"""Recurrences as dynamical systems, and with special matrices."""

import mygrad as mg
import numpy as np
from mygrad.nnet.activations import relu, sigmoid

from .registry import C, D, K, recurrence, weight, weights, zeros


@recurrence(source="Beer, On the dynamics of small continuous-time recurrent neural networks, 1995")
class CTRNN:
    """An Euler step of the equations with a time constant for every unit."""

    dt = 0.2

    def __init__(self, rng):
        self.w, self.theta, self.log_tau, self.inputs, self.out = weights(rng, (D, D), D, D, (C, D), (D, K))
        self.parameters = [self.w, self.theta, self.log_tau, self.inputs, self.out]

    def __call__(self, x):
        y = zeros(D)
        rate = self.dt / mg.exp(self.log_tau)
        for I in x @ self.inputs:  # noqa: E741 - the paper's name
            dy = -y + sigmoid(y + self.theta) @ self.w + I
            y = y + rate * dy
        return (sigmoid(y + self.theta) @ self.out)[np.newaxis]


@recurrence(source="Jing et al., Tunable efficient unitary neural networks (EUNN), 2017")
class Rotations:
    """Pairs of units are rotated by learned angles, then shifted; the nonlinearity is modReLU's."""

    def __init__(self, rng):
        self.angles, self.w, self.b, self.v = weights(rng, (2, D // 2), (C, D), D, (D, K))
        self.parameters = (self.angles, self.w, self.b, self.v)

    def rotate(self, h, angle):
        even, odd = h[0::2], h[1::2]
        c, s = mg.cos(angle), mg.sin(angle)
        return mg.stack([c * even - s * odd, s * even + c * odd], axis=1).reshape(-1)

    def __call__(self, x):
        h = np.full(D, 0.3, dtype=np.float32)
        for x_t in x:
            for angle in self.angles:
                h = mg.roll(self.rotate(h, angle), 1)
            z = h + x_t @ self.w
            size = mg.sqrt(z * z + 1e-4)
            h = z / size * relu(size + self.b)
        return (h @ self.v)[None, :]


@recurrence(source="Mhammedi et al., Efficient orthogonal parametrisation using Householder reflections, 2017")
class Householder:
    """The recurrent matrix is a product of reflections, applied one after the other."""

    def __init__(self, rng):
        self.mirrors = [weight(rng, D) for _ in range(3)]
        self.w, self.v = weights(rng, (C, D), (D, K))
        self.parameters = (*self.mirrors, self.w, self.v)

    def reflect(self, h):
        for u in self.mirrors:
            h = h - 2 * (h @ u) / (u @ u) * u
        return h

    def __call__(self, x):
        h = zeros(D)
        for x_t in x:
            h = mg.tanh(self.reflect(h) + x_t @ self.w)
        return mg.reshape(h @ self.v, (1, -1))


@recurrence(source="Helfrich, Willmott and Ye, Orthogonal RNNs with scaled Cayley transform, 2018")
class NearlyCayley:
    """An orthogonal matrix by a truncated series of the skew-symmetric part, computed once per call."""

    def __init__(self, rng):
        self.parameters = self.a, self.w, self.v = weights(rng, (D, D), (C, D), (D, K), scale=0.2)

    def matrix(self):
        skew = self.a - self.a.T
        eye = np.eye(D, dtype=np.float32)
        return eye + skew + skew @ skew / 2 + skew @ skew @ skew / 6

    def __call__(self, x):
        u = self.matrix()
        h = zeros(1, D)
        for x_t in x:
            h = mg.tanh(h @ u + x_t[None] @ self.w)
        return h @ self.v


@recurrence(source="Chang et al., AntisymmetricRNN: a dynamical system view, 2019")
class AntisymmetricRNN:
    """The recurrent matrix is a matrix minus its transpose, with a little damping."""

    def __init__(self, rng, step=0.3, damping=0.1):
        self.step, self.damping = step, damping
        self.W, self.V, self.b, self.out = weights(rng, (D, D), (C, D), (1, D), (D, K))
        self.parameters = self.W, self.V, self.b, self.out

    def __call__(self, x):
        h = zeros(1, D)
        for x_t in x:
            skew = self.W - self.W.T - self.damping * np.eye(D, dtype=np.float32)
            h = h + self.step * mg.tanh(h @ skew + x_t[None] @ self.V + self.b)
        return h @ self.out


@recurrence(source="Chang et al., AntisymmetricRNN: a dynamical system view, 2019 (the gated cell)")
class GatedAntisymmetric:
    """The same matrix for the gate and the candidate, computed once and kept in a local variable."""

    def __init__(self, rng):
        self.W, self.V_h, self.V_z, self.out = weights(rng, (D, D), (C, D), (C, D), (D, K))
        self.damp = np.float32(0.05) * np.identity(D, dtype=np.float32)
        self.parameters = (self.W, self.V_h, self.V_z, self.out)

    def __call__(self, x):
        M = mg.subtract(self.W, mg.transpose(self.W)) - self.damp
        h = zeros(1, D)
        for x_t in x:
            r = mg.expand_dims(x_t, axis=0)
            drive = h @ M
            h = h + 0.5 * sigmoid(drive + r @ self.V_z) * mg.tanh(drive + r @ self.V_h)
        return h @ self.out


@recurrence(source="Erichson et al., Lipschitz recurrent neural networks, 2021")
class LipschitzRNN:
    """A linear and a nonlinear part, both of symmetric and skew-symmetric sums."""

    def __init__(self, rng, beta=0.7, gamma=0.01):
        self.beta, self.gamma = beta, gamma
        self.M_a, self.M_w, self.U, self.b, self.y = weights(rng, (D, D), (D, D), (C, D), D, (D, K))
        self.parameters = self.M_a, self.M_w, self.U, self.b, self.y

    def build(self, m):
        return (1 - self.beta) * (m + m.T) + self.beta * (m - m.T) - self.gamma * np.eye(D)

    def __call__(self, x):
        A, W = self.build(self.M_a), self.build(self.M_w)
        h = mg.zeros((1, D))
        for x_t in x:
            h = h + 0.1 * (h @ A) + 0.1 * mg.tanh(h @ W + x_t[None] @ self.U + self.b)
        return h @ self.y


@recurrence(source="Rusch and Mishra, Coupled oscillatory recurrent neural network (coRNN), 2021")
class CoRNN:
    """Positions and velocities of driven, damped oscillators."""

    dt, gamma, epsilon = 0.3, 1.0, 0.7

    def __init__(self, rng):
        self.W, self.Wz, self.V, self.b, self.Q = weights(rng, (D, D), (D, D), (C, D), D, (D, K))
        self.parameters = (self.W, self.Wz, self.V, self.b, self.Q)

    def __call__(self, x):
        y = z = zeros(1, D)
        for u in x:
            force = mg.tanh(y @ self.W + z @ self.Wz + u[None] @ self.V + self.b)
            z = z + self.dt * (force - self.gamma * y - self.epsilon * z)
            y = y + self.dt * z
        return y @ self.Q


@recurrence(source="Rusch et al., Long expressive memory for sequence modeling (LEM), 2022")
class LEM:
    """Two states at two learned time scales."""

    def __init__(self, rng, dt=0.8):
        self.dt = dt
        self.w1, self.w2, self.wy, self.wz = (weight(rng, C + D, D) for _ in range(4))
        self.out = weight(rng, D, K)

    @property
    def parameters(self):
        return self.w1, self.w2, self.wy, self.wz, self.out

    def __call__(self, x):
        y, z = zeros(1, D), zeros(1, D)
        for x_t in x:
            both = mg.concatenate([x_t[None], y], axis=1)
            fast, slow = self.dt * sigmoid(both @ self.w1), self.dt * sigmoid(both @ self.w2)
            z = (1 - fast) * z + fast * mg.tanh(both @ self.wz)
            y = (1 - slow) * y + slow * mg.tanh(mg.concatenate([x_t[None], z], axis=1) @ self.wy)
        return y @ self.out


@recurrence(source="Mastrogiuseppe and Ostojic, Linking connectivity, dynamics and computations in low-rank RNNs, 2018")
class LowRank:
    """A fixed random matrix and a learned one of rank one."""

    def __init__(self, rng):
        self.chaos = (rng.normal(size=(D, D)) * 0.8 / np.sqrt(D)).astype(np.float32)
        self.m, self.n, self.i, self.w = weights(rng, D, D, (C, D), (D, K))
        self.parameters = self.m, self.n, self.i, self.w

    def __call__(self, x):
        v = zeros(D)
        for x_t in x:
            rate = mg.tanh(v)
            v = 0.5 * v + 0.5 * (self.chaos @ rate + self.m * mg.sum(self.n * rate) / D + x_t @ self.i)
        return (mg.tanh(v) @ self.w)[None]


@recurrence(source="Song, Yang and Wang, Training excitatory-inhibitory recurrent neural networks, 2016")
class DalesLaw:
    """Units excite or inhibit: the signs of the recurrent weights are fixed, and no unit excites itself."""

    def __init__(self, rng):
        self.signs = np.diag([1, 1, 1, 1, -1, -1]).astype(np.float32)
        self.others = 1 - np.eye(D, dtype=np.float32)
        self.rec, self.inp, self.out = weights(rng, (D, D), (C, D), (D, K))
        self.parameters = self.rec, self.inp, self.out

    def __call__(self, x):
        r = np.full((1, D), 0.1, dtype=np.float32)
        W = self.signs @ (mg.abs(self.rec) * self.others)
        for u in x:
            r = 0.8 * r + 0.2 * relu(r @ W + u[None] @ self.inp + 0.1)
        return r @ self.out


@recurrence(source="Salimans and Kingma, Weight normalization, 2016")
class WeightNormalised:
    """The columns of the recurrent matrix have a learned length."""

    def __init__(self, rng):
        self.w, self.direction, self.length, self.v = weights(rng, (C, D), (D, D), D, (D, K))
        self.parameters = self.w, self.direction, self.length, self.v

    def __call__(self, x):
        h = zeros(1, D)
        u = self.length * self.direction / mg.linalg.norm(self.direction, axis=0, keepdims=True)
        for x_t in x:
            h = mg.tanh(x_t[None] @ self.w + h @ u)
        return h @ self.v


@recurrence(source="Lezcano-Casado and Martinez-Rubio, Cheap orthogonal constraints (expRNN), 2019")
class ExponentialMap:
    """The matrix exponential by repeated squaring of a short series."""

    def __init__(self, rng):
        self.A, self.T, self.b, self.y = weights(rng, (D, D), (C, D), D, (D, K))

    @property
    def parameters(self):
        return (self.A, self.T, self.b, self.y)

    def __call__(self, x):
        small = (self.A - self.A.T) / 4
        power = np.eye(D) + small + small @ small / 2
        for _ in range(2):
            power = power @ power
        h = mg.zeros((1, D))
        for x_t in x:
            z = h @ power + x_t[None] @ self.T
            h = mg.where(z >= 0, 1, -1) * relu(mg.abs(z) + self.b)
        return h @ self.y


@recurrence(
    source="Vorontsov et al., On orthogonality and learning recurrent networks with long term dependencies, 2017"
)
class Factorised:
    """Singular values near one, between two matrices."""

    def __init__(self, rng):
        self.left, self.s, self.right, self.w, self.v = weights(rng, (D, D), D, (D, D), (C, D), (D, K))
        self.parameters = self.left, self.s, self.right, self.w, self.v

    def __call__(self, x):
        singular = 2 * 0.1 * (sigmoid(self.s) - 0.5) + 1
        h = zeros(1, D)
        for x_t in x:
            h = mg.tanh(mg.multi_matmul([h, self.left * singular, self.right]) / 2 + x_t[None] @ self.w)
        return h @ self.v


@recurrence(
    source="Bengio, Simard and Frasconi, Learning long-term dependencies with gradient descent is difficult, 1994"
)
def latch(rng):
    """One unit that latches on to its sign."""
    w, u, v = weights(rng, (C, 1), (), (1, K))

    def model(x):
        h = zeros(1, 1)
        for x_t in x:
            h = mg.tanh((1 + mg.abs(u)) * h + x_t[None] @ w)
        return h @ v

    model.parameters = w, u, v
    return model


@recurrence(source="Siegelmann and Sontag, On the computational power of neural nets, 1995")
class SaturatedLinear:
    """Units that are linear between zero and one, by clip."""

    def __init__(self, rng):
        self.a, self.b, self.c, self.d = weights(rng, (D, D), (C, D), D, (D, K))
        self.parameters = (self.a, self.b, self.c, self.d)

    def __call__(self, x):
        h = zeros(D)
        for x_t in x:
            h = mg.clip(mg.matmul(h, self.a) + mg.matmul(x_t, self.b) + self.c, 0, 1)
        return mg.matmul(h, self.d)[None]


@recurrence(source="Schmidt et al., Identifying nonlinear dynamical systems with multiple time scales, 2021 (PLRNN)")
class PiecewiseLinear:
    """A diagonal linear part and rectified neighbours without themselves."""

    def __init__(self, rng):
        self.A, self.W, self.h0, self.C, self.mu0, self.B = weights(rng, D, (D, D), D, (C, D), D, (D, K))
        self.off_diagonal = (1 - np.eye(D)).astype(np.float32)
        self.parameters = self.A, self.W, self.h0, self.C, self.mu0, self.B

    def __call__(self, x):
        z = self.mu0
        for s in x:
            z = self.A * z + (0.5 * self.W * self.off_diagonal) @ relu(z) + self.h0 + s @ self.C
        return (z @ self.B)[np.newaxis, :]
