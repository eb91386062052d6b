"""Layers that several models share."""

import mygrad as mg
from mygrad.nnet.activations import sigmoid

from .registry import C, D, K, weight, weights, zeros


class Linear:
    """A layer as users write it."""

    def __init__(self, rng, n_in, n_out, bias=True):
        self.weight = weight(rng, n_in, n_out)
        self.bias = weight(rng, n_out) if bias else None

    def __call__(self, x):
        return x @ self.weight if self.bias is None else x @ self.weight + self.bias

    @property
    def parameters(self):
        return (self.weight,) if self.bias is None else (self.weight, self.bias)


class Simple:
    """The weights of a simple network, and its step."""

    def __init__(self, rng, n_in=C):
        self.w, self.u, self.v = weights(rng, (n_in, D), (D, D), (D, K))

    @property
    def parameters(self):
        return self.w, self.u, self.v

    def step(self, row, h):
        return mg.tanh(row @ self.w + h @ self.u)


class Layer:
    """A simple layer that returns all of its states, as a list or stacked."""

    def __init__(self, rng, n_in=C, n_out=D):
        self.w, self.u, self.b = weights(rng, (n_in, n_out), (n_out, n_out), n_out)
        self.parameters = (self.w, self.u, self.b)

    def states(self, x):
        h, found = zeros(1, len(self.b)), []
        for x_t in x:
            h = mg.tanh(x_t.reshape(1, -1) @ self.w + h @ self.u + self.b)
            found.append(h)
        return found

    def __call__(self, x):
        return mg.concatenate(self.states(x))


class GatedLayer:
    """A GRU layer with an optional first state and direction."""

    def __init__(self, rng, n_in=C, n_out=D):
        self.n = n_out
        self.gates, self.new = weights(rng, (n_in + n_out, 2 * n_out), (n_in + n_out, n_out))
        self.parameters = self.gates, self.new

    def step(self, x_t, h):
        zr = sigmoid(mg.concatenate([x_t, h]) @ self.gates)
        z, r = zr[: self.n], zr[self.n :]
        return z * h + (1 - z) * mg.tanh(mg.concatenate([x_t, r * h]) @ self.new)

    def run(self, x, h=None, backwards=False):
        if h is None:
            h = zeros(self.n)
        out = []
        for x_t in x[::-1] if backwards else x:
            h = self.step(x_t, h)
            out.append(h)
        return out[::-1] if backwards else out


def joined(*parts):
    """All parameters of layers and tensors."""
    return tuple(p for part in parts for p in (part.parameters if hasattr(part, "parameters") else (part,)))
