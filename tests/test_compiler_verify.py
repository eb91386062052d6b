"""Compiled functions are held against the model before they are used, whatever its weights are."""

import mygrad as mg
import numpy as np
import pytest

import myrnn
from myrnn import RNN, NotARecurrence
from myrnn.compiler import Native

X = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)


class Offset(RNN):
    """Adds the logarithm of what it learns, which has one for positive numbers only."""

    def __init__(self):
        super().__init__(5, 8, 2, rng=0)
        self.offset = mg.tensor(np.full((1, 2), -1, dtype=np.float32))

    @property
    def parameters(self):
        return (*super().parameters, self.offset)

    def __call__(self, x):
        return super().__call__(x) + mg.log(self.offset)


@pytest.fixture
def wrong(monkeypatch):
    """All programs are wrong, as if the compiler had an error."""
    gradients = Native.gradients

    def tampered(native, *given):
        loss, block = gradients(native, *given)
        block.numbers *= -3
        return loss, block

    monkeypatch.setattr(Native, "gradients", tampered)


@pytest.mark.usefixtures("wrong")
@pytest.mark.parametrize("bias", [0.5, np.nan, np.inf])
def test_a_wrong_program_is_refused_with_any_weights(bias):
    model = RNN(5, 8, 2, rng=0)
    model.fc_h2y.bias.data[...] = bias
    weights = [parameter.data.tobytes() for parameter in model.parameters]
    compiled = myrnn.compile(model, check=False)
    for use in (compiled, lambda x: compiled.loss_and_gradients(x, 0), lambda x: compiled.observe(x, 0)):
        with pytest.raises(NotARecurrence, match=r"^the compiled functions do not agree with the model: the gradient"):
            use(X)
    assert [parameter.data.tobytes() for parameter in model.parameters] == weights


@pytest.mark.usefixtures("wrong")
def test_a_program_that_could_not_be_compared_is_compared_when_it_can_be():
    model = Offset()
    compiled = myrnn.compile(model)
    assert np.isnan(compiled(X)).all()
    model.offset.data[...] = 1
    with pytest.raises(NotARecurrence, match=r"^the compiled functions do not agree with the model: the gradient"):
        compiled(X)


def test_a_right_program_is_compared_once(monkeypatch):
    compiled = myrnn.compile(RNN(5, 8, 2, rng=0))
    compiled.observe(X, 0)
    monkeypatch.setattr("myrnn.compiler._programs.verify", lambda *given: pytest.fail("it is compared again"))
    compiled(X)
    compiled.observe(X, 1)
