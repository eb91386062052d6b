"""What compiling leaves alone, and when a model is compiled anew."""

import gc

import numpy as np
import pytest
from mygrad.nnet.losses import softmax_crossentropy

import myrnn
from myrnn import RNN, Adam, InvalidArgument, tasks


class Scaled(RNN):
    scale = np.float32(1)

    def __call__(self, x):
        return super().__call__(x) * self.scale


@pytest.fixture
def model():
    return Scaled(10, 6, 2, rng=0)


X = np.eye(10, dtype=np.float32)[[3, 1, 4, 1]]


def test_a_model_that_is_the_same_is_compiled_once(model):
    first = myrnn.compile(model)
    myrnn.train(model, tasks.TwinHalves(), Adam(model.parameters), 20, engine="native", progress=False)
    assert myrnn.compile(model) is first
    np.testing.assert_allclose(first(X), model(X).data, rtol=1e-5)


def test_a_model_whose_attribute_changed_is_compiled_anew(model):
    first = myrnn.compile(model)
    before = first(X)
    model.scale = np.float32(2)
    again = myrnn.compile(model)
    assert again is not first
    np.testing.assert_allclose(again(X), 2 * before, rtol=1e-5)


def test_a_model_with_other_tensors_is_compiled_anew(model):
    first = myrnn.compile(model)
    model.fc_h2y = RNN(10, 6, 2, rng=1).fc_h2y
    again = myrnn.compile(model)
    assert again is not first
    np.testing.assert_allclose(again(X), model(X).data, rtol=1e-5)


def test_a_longer_check_is_made_when_it_is_asked_for(model):
    myrnn.compile(model, max_length=20)
    assert myrnn.compile(model, max_length=90).max_length == 90


def test_a_graph_of_the_users_can_still_go_back(model):
    loss = softmax_crossentropy(model(X), np.array([1]))
    myrnn.evaluate(model, tasks.TwinHalves(), samples=50, progress=False)
    myrnn.compile(model, max_length=100)
    loss.backward()
    gradients = [parameter.grad.copy() for parameter in model.parameters]
    _, expected = myrnn.compile(model).loss_and_gradients(X, 1)
    for ours, theirs, parameter in zip(gradients, expected, model.parameters, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
        assert np.array_equal(parameter.grad, ours)


@pytest.mark.parametrize("engine", ["native", "mygrad"])
def test_training_under_a_live_graph_is_refused(model, engine):
    loss = softmax_crossentropy(model(X), np.array([1]))
    before = [parameter.data.copy() for parameter in model.parameters]
    with pytest.raises(InvalidArgument, match="a graph of this model is still alive"):
        myrnn.train(model, tasks.TwinHalves(), Adam(model.parameters), 5, engine=engine, progress=False)
    assert all(np.array_equal(p.data, b) for p, b in zip(model.parameters, before, strict=True))
    loss.backward()
    gc.collect()
    myrnn.train(model, tasks.TwinHalves(), Adam(model.parameters), 5, engine=engine, progress=False)
