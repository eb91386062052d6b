"""What compiling does not change, and when a model is compiled again."""

import gc

import mygrad
import numpy as np
import pytest
from mygrad.nnet.losses import softmax_crossentropy

import myrnn
from myrnn import RNN, Adam, compile, tasks
from myrnn.compiler import compilation
from myrnn.errors import InvalidArgument, NotARecurrence


class Scaled(RNN):
    scale = np.float32(1)

    def __call__(self, x):
        return super().__call__(x) * self.scale


class Swapping(RNN):
    """Adds two biases to the logits, one of them twice; its attributes, not its parameters, say which."""

    def __init__(self, *sizes, rng):
        super().__init__(*sizes, rng=rng)
        draws = np.random.default_rng(rng)
        self.biases = tuple(mygrad.tensor(draws.normal(size=2).astype(np.float32)) for _ in range(2))
        self.first, self.second = 0, 1

    def __call__(self, x):
        return super().__call__(x) + 2 * self.biases[self.first] + self.biases[self.second]

    @property
    def parameters(self):
        return (*super().parameters, *self.biases)


@pytest.fixture
def model():
    return Scaled(10, 6, 2, rng=0)


X = np.eye(10, dtype=np.float32)[[3, 1, 4, 1]]


@pytest.mark.usefixtures("in_python")
def test_a_model_that_is_the_same_is_compiled_once(model):
    first = myrnn.compile(model)
    myrnn.train(model, tasks.TwinHalves(), Adam(model.parameters), 20, engine="native", progress=False)
    assert myrnn.compile(model) is first
    np.testing.assert_allclose(first(X), model(X).data, rtol=1e-5)


@pytest.mark.usefixtures("in_python")
def test_a_model_whose_attribute_changed_is_compiled_again(model):
    first = myrnn.compile(model)
    before = first(X)
    model.scale = np.float32(2)
    again = myrnn.compile(model)
    assert again is not first
    np.testing.assert_allclose(again(X), 2 * before, rtol=1e-5)


@pytest.mark.usefixtures("in_python")
def test_a_model_with_other_tensors_is_compiled_again(model):
    first = myrnn.compile(model)
    model.fc_h2y = RNN(10, 6, 2, rng=1).fc_h2y
    again = myrnn.compile(model)
    assert again is not first
    np.testing.assert_allclose(again(X), model(X).data, rtol=1e-5)


@pytest.mark.usefixtures("in_python")
def test_another_model_of_the_class_reuses_the_compilation(model, monkeypatch):
    first, before = myrnn.compile(model), model(X).data.copy()
    # Searching for its loop again fails.
    monkeypatch.setattr(compilation, "trace", None)
    other = Scaled(10, 6, 2, rng=1)
    compiled = myrnn.compile(other)
    assert (compiled.model, compiled.recurrence) == (other, first.recurrence)
    np.testing.assert_allclose(compiled(X), other(X).data, rtol=1e-5)
    softmax_crossentropy(other(X), np.array([1])).backward()
    expected = [parameter.grad.copy() for parameter in other.parameters]
    for ours, theirs in zip(compiled.loss_and_gradients(X, 1)[1], expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(first(X), before, rtol=1e-5)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize(
    "scale", [np.float32(2), pytest.param(np.array([1, 2], dtype=np.float32), marks=pytest.mark.long)]
)
def test_another_model_of_the_class_that_reads_other_values_is_compiled_again(model, scale):
    first = myrnn.compile(model)
    other = Scaled(10, 6, 2, rng=1)
    other.scale = scale
    compiled = myrnn.compile(other)
    assert compiled.recurrence is not first.recurrence
    np.testing.assert_allclose(compiled(X), other(X).data, rtol=1e-5)


@pytest.mark.long
@pytest.mark.usefixtures("in_python")
def test_another_model_of_the_class_with_other_layers_is_compiled_again():
    first = myrnn.compile(Swapping(10, 6, 2, rng=0))
    other = Swapping(10, 6, 2, rng=1)
    other.first, other.second = other.second, other.first
    compiled = myrnn.compile(other)
    assert compiled.recurrence is not first.recurrence
    np.testing.assert_allclose(compiled(X), other(X).data, rtol=1e-5)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("sizes", [(10, 7, 2), (10, 6, 3), pytest.param((9, 6, 2), marks=pytest.mark.long)])
def test_a_model_of_the_class_with_other_sizes_is_compiled_again(model, sizes):
    first = myrnn.compile(model)
    other = Scaled(*sizes, rng=1)
    compiled = myrnn.compile(other)
    assert compiled.recurrence is not first.recurrence
    np.testing.assert_allclose(compiled(X[:, : sizes[0]]), other(X[:, : sizes[0]]).data, rtol=1e-5)


def test_a_longer_check_is_made_on_request(model):
    myrnn.compile(model, max_length=20)
    assert myrnn.compile(model, max_length=40).max_length == 40


@pytest.mark.usefixtures("in_python")
def test_a_graph_of_the_user_can_still_run_backward(model):
    loss = softmax_crossentropy(model(X), np.array([1]))
    myrnn.evaluate(model, tasks.TwinHalves(), samples=50, progress=False)
    myrnn.compile(model, max_length=40)
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


@pytest.mark.long
@pytest.mark.usefixtures("in_python")
def test_the_last_compilation_of_a_model_is_used(model):
    myrnn.compile(model)
    model.scale = np.float32(2)
    changed = myrnn.compile(model)
    assert myrnn.compile(model) is changed


def test_a_damaged_model_does_not_affect_others_of_its_class():
    spoiled = RNN(4, 8, 3, rng=0)
    myrnn.compile(spoiled, check=False)
    spoiled.fc_h2h.weight = mygrad.tensor(spoiled.fc_h2h.weight.data, constant=True)
    assert myrnn.compile(RNN(4, 8, 3, rng=1), check=False).dim_output == 3


class DoublesAtOneLength(RNN):
    """Behaves differently at one length, which each instance defines."""

    odd = None

    def __call__(self, x):
        return super().__call__(x) * (2 if len(x) == self.odd else 1)


@pytest.mark.long
@pytest.mark.parametrize("odd", [8, 6, 13])
@pytest.mark.usefixtures("in_python")
def test_another_model_of_a_class_is_checked_at_all_lengths(odd):
    first, other = DoublesAtOneLength(4, 3, 2, rng=0), DoublesAtOneLength(4, 3, 2, rng=1)
    compile(first)
    for model in (other, first):
        model.odd = odd
        try:
            compiled = compile(model)
        except NotARecurrence:
            continue
        # A short length may be a special case.
        for length in range(1, 20):
            x = np.random.default_rng(length).normal(size=(length, 4)).astype(np.float32)
            np.testing.assert_allclose(compiled(x), model(x).data, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("in_python")
def test_lengths_are_checked_again_after_another_compilation():
    model = DoublesAtOneLength(4, 3, 2, rng=0)
    x = np.ones((17, 4), dtype=np.float32)
    compile(model)(x)
    model.odd = 17
    with pytest.raises(NotARecurrence):
        compile(model)(x)


@pytest.mark.usefixtures("in_python")
def test_a_gradient_left_by_a_graph_of_the_user_does_no_harm():
    model = RNN(4, 3, 2, rng=0)
    model.unread = mygrad.tensor(np.ones((1, 2), dtype=np.float32))
    parameters = (*model.parameters, model.unread)
    type_with_more = type("More", (RNN,), {"parameters": property(lambda self: parameters)})
    model.__class__ = type_with_more
    (model.unread * 2).sum().backward()
    left = model.unread.grad.copy()
    compile(model)
    assert np.array_equal(model.unread.grad, left)
