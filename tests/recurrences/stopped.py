"""Gradients that stop: values that pass from step to step, or into an operation, without a gradient."""

import mygrad as mg
import numpy as np
from mygrad.nnet.activations import sigmoid, softmax

from .layers import Simple
from .registry import C, D, K, recurrence, weight, weights, zeros


@recurrence(source="Elman, Finding structure in time, 1990 (the context units are a copy)")
class CopiedContext(Simple):
    """The state is copied to the next step, and no gradient goes back in time."""

    def __call__(self, x):
        h = mg.zeros(D, dtype=np.float32)
        for x_t in x:
            h = self.step(x_t, h.data)
        return (h @ self.v)[None]


@recurrence(source="Williams and Peng, An efficient gradient-based algorithm for on-line training, 1990")
class CutEveryThree(Simple):
    """The gradient stops at every third step."""

    def __call__(self, x):
        h = mg.zeros(D, dtype=np.float32)
        for t, x_t in enumerate(x):
            if t % 3 == 0:
                h = mg.tensor(h.data)
            h = self.step(x_t, h)
        return (h @ self.v)[None]


@recurrence(source="Tallec and Ollivier, Unbiasing truncated backpropagation through time, 2017")
class CutByTheInput(Simple):
    """A column of the input says where the gradient stops."""

    def __call__(self, x):
        h = mg.zeros(D, dtype=np.float32)
        for x_t in x:
            h = self.step(x_t, mg.where(x_t[0] > 0, h, h.copy(constant=True)))
        return (h @ self.v)[None]


@recurrence(source="Kanuparthi et al., h-detach: modifying the LSTM gradient towards better optimization, 2019")
class HDetach:
    """An LSTM whose gradient goes back through the cells alone."""

    def __init__(self, rng):
        self.w, self.u, self.v = weights(rng, (C, 4 * D), (D, 4 * D), (D, K))
        self.parameters = self.w, self.u, self.v

    def __call__(self, x):
        h, c = mg.zeros(D, dtype=np.float32), zeros(D)
        for x_t in x:
            z = x_t @ self.w + h.data @ self.u
            i, f, o = (sigmoid(z[n * D : (n + 1) * D]) for n in range(3))
            c = f * c + i * mg.tanh(z[3 * D :])
            h = o * mg.tanh(c)
        return (h @ self.v)[None]


@recurrence(source="Bellec et al., A solution to the learning dilemma for recurrent networks of spiking neurons, 2020")
class EProp:
    """Spikes of adaptive neurons reach other neurons without a gradient; a slope stands for that of a spike."""

    def __init__(self, rng):
        self.w, self.u, self.v = weights(rng, (C, D), (D, D), (D, K))
        self.parameters = self.w, self.u, self.v

    def __call__(self, x):
        v, y, spike = zeros(D), zeros(K), mg.zeros(D, dtype=np.float32)
        for x_t in x:
            v = 0.9 * v + x_t @ self.w + mg.tensor(spike, constant=True) @ self.u - 0.5 * spike.data
            slope = sigmoid(4 * (v - 0.5))
            spike = slope + ((v > 0.5).astype(np.float32) - slope.data)
            y = 0.8 * y + spike @ self.v
        return y[None]


@recurrence(source="Hubara et al., Quantized neural networks, 2016 (straight-through estimator)")
class RoundedState(Simple):
    """The state is rounded to fifths, and gradients pass as if it were not."""

    def __call__(self, x):
        h = zeros(D)
        for x_t in x:
            h = self.step(x_t, h)
            h = h + (np.round(5 * h.data) / 5 - h.data)
        return (h @ self.v)[None]


@recurrence(source="Courbariaux, Bengio and David, BinaryConnect, 2015")
class SignsOfTheWeights(Simple):
    """The step multiplies by the signs of its weights, and gradients pass to the weights."""

    def __call__(self, x):
        h, signs = zeros(D), self.u + (0.4 * np.sign(self.u.data) - self.u.data)
        for x_t in x:
            h = mg.tanh(x_t @ self.w + h @ signs)
        return (h @ self.v)[None]


@recurrence(source="Jang, Gu and Poole, Categorical reparameterization with Gumbel-softmax, 2017 (straight-through)")
class HardChoice(Simple):
    """The state is the likeliest class, with the gradient of the probabilities."""

    def __call__(self, x):
        h = zeros(D)
        for x_t in x:
            p = softmax(x_t @ self.w + h @ self.u)
            h = p + ((p.data == p.data.max()) - p.data)
        return (h @ self.v)[None]


@recurrence(source="Grill et al., Bootstrap your own latent, 2020 (a target whose weights get no gradient)")
class FrozenCopy(Simple):
    """A second path has the numbers of the recurrent weights, without a gradient."""

    def __call__(self, x):
        h = zeros(D)
        for x_t in x:
            h = mg.tanh(x_t @ self.w + h @ (0.5 * self.u + 0.5 * self.u.data))
        return (h @ self.v)[None]


@recurrence(source="NumPy, np.sqrt(np.sum(np.asarray(h) ** 2))")
class DividedByItsSize(Simple):
    """The state is divided by its length, which gets no gradient."""

    def __call__(self, x):
        h = zeros(D)
        for x_t in x:
            h = self.step(x_t, h)
            h = h / (0.1 + np.sqrt(np.sum(np.asarray(h) ** 2)))
        return (h @ self.v)[None]


@recurrence(source="Bengio, Léonard and Courville, Estimating or propagating gradients through neurons, 2013")
class HardGate(Simple):
    """A gate is open or closed, with the gradient of a smooth one."""

    def __init__(self, rng):
        super().__init__(rng)
        self.gate = weight(rng, C, D)

    @property
    def parameters(self):
        return (*super().parameters, self.gate)

    def __call__(self, x):
        h = zeros(D)
        for x_t in x:
            soft = sigmoid(x_t @ self.gate)
            open_ = soft + mg.tensor((soft.data > 0.5) - soft.data, constant=True)
            h = open_ * self.step(x_t, h) + (1 - open_) * h
        return (h @ self.v)[None]


@recurrence(source="NumPy, numpy.median (no rule)", compiles=False)
class MinusItsMedian(Simple):
    """The state before minus its median, by NumPy."""

    def __call__(self, x):
        h = mg.zeros(D, dtype=np.float32)
        for x_t in x:
            h = self.step(x_t, h - np.median(h.data))
        return (h @ self.v)[None]
