"""Steps and short sequences that differ: branches that are not chosen do no harm, even if they are not finite."""

import mygrad as mg
import numpy as np
import pytest
from mygrad import tanh
from mygrad.nnet.activations import sigmoid, softmax
from mygrad.nnet.losses import softmax_crossentropy

from marks import most_are_long
from myrnn import RNN, Sequences, dropout
from myrnn.compiler import compile

pytestmark = pytest.mark.usefixtures("in_python")
ZERO = np.zeros((1, 8), dtype=np.float32)


class Network(RNN):
    def __init__(self):
        super().__init__(4, 8, 2, rng=0)

    def step(self, x_t, h):
        return tanh(self.fc_x2h(x_t[None]) + self.fc_h2h(h))


class AttentionToLateStates(Network):
    """Attends to the states from the third on; after one or two steps there are none."""

    def __call__(self, x):
        h, late = ZERO, []
        for t, x_t in enumerate(x):
            h = self.step(x_t, h)
            if t >= 2:
                late.append(h)
        H = mg.concatenate(late or [h])
        return self.fc_h2y(mg.sum(softmax(mg.sum(H, axis=1, keepdims=True), axis=0) * H, axis=0, keepdims=True))


class Normalized(Network):
    """Divides by the length of the state, which is 0 before the first step."""

    def __call__(self, x):
        h = None
        for x_t in x:
            z = self.fc_x2h(x_t[None])
            h = tanh(z) if h is None else tanh(z + self.fc_h2h(h) / mg.sqrt(mg.sum(h**2)))
        return self.fc_h2y(h)


class Logarithm(Network):
    def __call__(self, x):
        h = None
        for x_t in x:
            z = self.fc_x2h(x_t[None])
            h = sigmoid(z) if h is None else sigmoid(z + self.fc_h2h(mg.log(h)))
        return self.fc_h2y(h)


class MeanOfLateStates(Network):
    """Divides by 0 at the second step, and by -1 at the first."""

    def __call__(self, x):
        h = mean = ZERO
        for t, x_t in enumerate(x):
            h = self.step(x_t, h)
            if t >= 2:
                mean = mean + (h - mean) / np.float32(t - 1)
        return self.fc_h2y(mean + h)


class ByTheLastRowButOne(Network):
    def __call__(self, x):
        h = ZERO
        for x_t in x:
            h = self.step(x_t, h)
        return self.fc_h2y(h) if len(x) < 2 else self.fc_h2y(h / mg.sum(x[-2] ** 2))


class InTurnWithDropout(Network):
    """Two kinds of steps; one has a mask in training."""

    def __call__(self, x):
        h = ZERO
        for t, x_t in enumerate(x):
            h = self.step(x_t, h) if t % 2 else tanh(self.fc_h2h(h) - self.fc_x2h(x_t[None]))
            h = dropout(h, 0.2)
        return self.fc_h2y(h)


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize(
    "kind",
    most_are_long(
        [AttentionToLateStates, Normalized, Logarithm, MeanOfLateStates, ByTheLastRowButOne, InTurnWithDropout], 3
    ),
)
def test_gradients_are_those_of_mygrad(kind, batched):
    model, rng = kind(), np.random.default_rng(0)
    compiled = compile(model)
    native = compiled.native(batched=batched)
    for lengths in ([1], [2], [3], [7], [4, 1, 2, 6]):
        if len(lengths) > 1 and not batched:
            continue
        pairs = [(rng.normal(size=(length, 4)).astype(np.float32), length % 2) for length in lengths]
        for parameter in model.parameters:
            parameter.null_grad()
        expected = softmax_crossentropy(mg.concatenate([model(x) for x, _ in pairs]), [y for _, y in pairs])
        expected.backward()
        numbers = native.block_of([p.data for p in model.parameters]).numbers
        loss, block = native.gradients(Sequences.from_pairs(pairs), np.arange(len(pairs)), numbers)
        assert loss == pytest.approx(expected.item(), rel=1e-5)
        for i, parameter in enumerate(model.parameters):
            found = np.empty_like(parameter.data)
            block.read(i, found)
            wanted = np.zeros_like(found) if parameter.grad is None else parameter.grad
            np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5)
