"""Weights that a model computes from its parameters are computed anew at every call."""

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.losses import softmax_crossentropy

from myrnn.compiler import compile


class ScaledReadout:
    """Reads its state with a computed weight, transposed."""

    def __init__(self):
        rng = np.random.default_rng(0)
        shapes = (3, 5), (5, 5), (18, 5)
        self.parameters = tuple(mg.tensor(rng.normal(size=s).astype(np.float32) * np.float32(0.5)) for s in shapes)

    def __call__(self, x):
        W, U, V = self.parameters
        h = np.zeros((1, 5), np.float32)
        for x_t in x:
            h = mg.tanh(x_t[None] @ W + h @ U)
        return h @ (0.8 * V).T


def test_a_computed_weight_follows_its_parameter_from_call_to_call():
    model = ScaledReadout()
    compiled = compile(model, dim_input=3)
    rng = np.random.default_rng(1)
    for length in (5, 5, 9, 9):
        x = rng.normal(size=(length, 3)).astype(np.float32)
        loss = softmax_crossentropy(model(mg.tensor(x)), np.array([1]))
        loss.backward()
        found, gradients = compiled.loss_and_gradients(x, 1)
        assert found == pytest.approx(loss.item(), rel=1e-5)
        for ours, parameter in zip(gradients, model.parameters, strict=True):
            np.testing.assert_allclose(ours, parameter.grad, rtol=1e-3, atol=1e-5)
        for parameter in model.parameters:
            parameter.data[...] *= 1.1
