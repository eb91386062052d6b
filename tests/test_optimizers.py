import copy
import re

import mygrad as mg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mygrad.nnet.losses import softmax_crossentropy
from mynn.optimizers.adam import Adam as MyNNAdam
from mynn.optimizers.sgd import SGD as MyNNSGD

from myrnn.errors import InvalidArgument
from myrnn.models import GRU, RNN
from myrnn.optimizers import SGD, Adam, RMSprop
from myrnn.tasks import TwinHalves


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


def contents(tensors):
    return [tensor.data.tobytes() for tensor in tensors]


def in_step(ours, theirs, model, twin, steps=40):
    """Train two equal models side by side, and yield after every step."""
    sequences = TwinHalves(pattern_length_max=4).sample(steps, np.random.default_rng(0))
    for x, y in sequences:
        for one, optimizer in ((model, ours), (twin, theirs)):
            softmax_crossentropy(one(x), y).backward()
            optimizer.step()
        yield


@pytest.mark.parametrize("settings", [{}, {"learning_rate": 0.05}])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_takes_mynns_steps_to_the_byte(settings, momentum):
    model, twin = RNN(10, 8, 2, rng=1), RNN(10, 8, 2, rng=1)
    settings = {**settings, "momentum": momentum}
    ours, theirs = SGD(model.parameters, **settings), MyNNSGD(twin.parameters, **settings)
    before = contents(model.parameters)
    for _ in in_step(ours, theirs, model, twin):
        assert contents(model.parameters) == contents(twin.parameters)
        assert [m.tobytes() for m in ours.param_moments] == [m.tobytes() for m in theirs.param_moments]
    assert all(old != new for old, new in zip(before, contents(model.parameters), strict=True))


@pytest.mark.parametrize(
    "settings", [{}, {"learning_rate": 0.01, "beta1": 0.5, "beta2": 0.9, "eps": 1e-4}, {"beta1": 0}]
)
def test_adam_takes_mynns_steps_to_the_byte(settings):
    model, twin = GRU(10, 8, 2, rng=2), GRU(10, 8, 2, rng=2)
    ours = Adam(model.parameters, **settings)
    theirs = MyNNAdam(twin.parameters, **settings)
    before = contents(model.parameters)
    for step, _ in enumerate(in_step(ours, theirs, model, twin), start=1):
        assert contents(model.parameters) == contents(twin.parameters)
        assert ours.t == theirs.t == step
        for name in ("m", "v"):
            assert [a.tobytes() for a in getattr(ours, name)] == [a.tobytes() for a in getattr(theirs, name)]
    assert all(old != new for old, new in zip(before, contents(model.parameters), strict=True))
    assert all(array.dtype == np.float32 for array in (*ours.m, *ours.v))


def push(parameter, gradient):
    """Give a parameter the gradient, through a backward pass."""
    (parameter * np.asarray(gradient, dtype=parameter.dtype)).sum().backward()


def test_rmsprop_follows_its_formula_in_float64():
    rng = np.random.default_rng(3)
    parameter = mg.tensor(rng.normal(size=(3, 4)).astype(np.float32))
    weight, average = parameter.data.astype(np.float64), np.zeros((3, 4))
    optimizer = RMSprop([parameter], learning_rate=0.02, alpha=0.8, eps=1e-6, weight_decay=0.01)
    for _ in range(50):
        gradient = rng.normal(size=(3, 4)).astype(np.float32)
        push(parameter, gradient)
        optimizer.step()
        average = 0.8 * average + 0.2 * gradient.astype(np.float64) ** 2
        weight = weight - 0.02 * 0.01 * weight - 0.02 * gradient / (np.sqrt(average) + 1e-6)
        np.testing.assert_allclose(parameter.data, weight, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(optimizer.v[0], average, rtol=1e-5)
    assert parameter.dtype == np.float32


@given(st.floats(1e-3, 1e3), st.sampled_from([-1, 1]), st.floats(1e-4, 1), st.floats(0, 0.99), st.integers(1, 30))
def test_rmsprop_with_a_constant_gradient_has_a_closed_form(size, sign, rate, alpha, steps):
    parameter = mg.tensor([0.0])
    optimizer = RMSprop([parameter], learning_rate=rate, alpha=alpha)
    for _ in range(steps):
        push(parameter, [sign * size])
        optimizer.step()
    # The average after t steps is (1 - alpha**t) * gradient**2.
    t = np.arange(1, steps + 1)
    expected = -sign * rate * np.sum(size / (size * np.sqrt(1 - alpha**t) + 1e-8))
    np.testing.assert_allclose(parameter.item(), expected, rtol=1e-4)


OPTIMIZERS = {
    "sgd": lambda params, **more: SGD(params, **more),
    "momentum": lambda params, **more: SGD(params, momentum=0.9, **more),
    "rmsprop": lambda params, **more: RMSprop(params, **more),
    "adam": lambda params, **more: Adam(params, **more),
}
every_optimizer = pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)


@every_optimizer
def test_a_parameter_without_a_gradient_is_not_changed(make):
    used, unused = mg.tensor([[1.0, 2.0]]), mg.tensor([[3.0, 4.0]])
    optimizer = make([used, unused], weight_decay=0.1)
    optimizer.step()
    assert (used.data.tolist(), unused.data.tolist()) == ([[1, 2]], [[3, 4]])
    push(used, [[1.0, -1.0]])
    optimizer.step()
    assert unused.data.tolist() == [[3, 4]]
    assert used.data[0, 0] < 1
    # The late parameter takes the step that it would have taken with another one.
    push(unused, [[1.0, -1.0]])
    before = used.data.copy()
    used.null_grad()
    optimizer.step()
    assert unused.data[0, 0] < 3
    assert used.data.tolist() == before.tolist()


@every_optimizer
@pytest.mark.parametrize("shape", [(), (2,), (1, 2), (2, 1, 2)])
def test_only_weights_with_two_or_more_dimensions_decay(make, shape):
    plain, decayed = mg.ones(shape), mg.ones(shape)
    for parameter, optimizer in ((plain, make([plain])), (decayed, make([decayed], weight_decay=0.25))):
        push(parameter, np.full(shape, 2.0))
        optimizer.step()
    lost = 0.25 * optimizer.learning_rate if len(shape) > 1 else 0.0
    np.testing.assert_allclose(decayed.data, plain.data - lost, rtol=1e-6)


def test_weight_decay_agrees_with_adamw():
    """The numbers are those of torch.optim.AdamW (2.13) with lr 0.1, betas (0.9, 0.99), eps 1e-8, weight_decay 0.5."""
    parameter = mg.tensor([[1.0, -2.0, 0.5]], dtype=np.float32)
    optimizer = Adam([parameter], learning_rate=0.1, beta2=0.99, weight_decay=0.5)
    found = []
    for gradient in ([0.5, 1.0, -0.25], [0.0, -1.0, 0.25], [2.0, 0.0, 0.0]):
        push(parameter, [gradient])
        optimizer.step()
        found.append(parameter.data[0].tolist())
    expected = [[0.85, -2.0, 0.575], [0.7403419, -1.8947368, 0.54098684], [0.6290928, -1.7959223, 0.5098598]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@every_optimizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_parameters_are_updated_in_place_and_keep_their_type(make, dtype, shape):
    parameter = mg.tensor(np.ones(shape, dtype=dtype))
    array = parameter.data
    optimizer = make(iter([parameter]))
    for _ in range(3):
        push(parameter, np.ones(shape))
        optimizer.step()
    assert parameter.data is array
    assert parameter.dtype == dtype
    assert (array < 1).all()


@every_optimizer
def test_a_gradient_of_zero_changes_nothing_and_gradients_are_not_modified(make):
    parameter = mg.tensor([1.0, -0.0], dtype=np.float32)
    optimizer = make([parameter])
    push(parameter, [0.0, 0.0])
    gradient = parameter.grad.copy()
    optimizer.step()
    assert parameter.data.tolist() == [1, 0]
    assert parameter.grad.tobytes() == gradient.tobytes()


@every_optimizer
def test_the_rate_can_be_changed_between_steps(make):
    parameter = mg.tensor([1.0])
    optimizer = make([parameter], learning_rate=0.5)
    optimizer.learning_rate = 0
    push(parameter, [3.0])
    optimizer.step()
    assert parameter.data.tolist() == [1]


@every_optimizer
def test_a_copy_continues_like_the_optimizer(make):
    one = mg.tensor([[1.0, 2.0]])
    optimizer = make([one])
    push(one, [[1.0, -2.0]])
    optimizer.step()
    again = copy.deepcopy(optimizer)
    other = again.params[0]
    for parameter, stepper in ((one, optimizer), (other, again)):
        push(parameter, [[0.5, 0.5]])
        stepper.step()
    assert other is not one
    assert one.data.tobytes() == other.data.tobytes()


@pytest.mark.parametrize("kind", [SGD, RMSprop, Adam])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rate": -0.1}, "learning_rate must be at least 0, not -0.1"),
        ({"learning_rate": "0.1"}, "learning_rate must be a number, not '0.1'"),
        ({"learning_rate": np.nan}, "learning_rate must be finite, not nan"),
        ({"weight_decay": -1}, "weight_decay must be at least 0, not -1.0"),
        ({"weight_decay": None}, "weight_decay must be a number, not None"),
    ],
)
def test_rates_that_do_not_fit_are_refused(kind, settings, message):
    with refused(message):
        kind([mg.zeros(2)], **settings)


@pytest.mark.parametrize(("kind", "name"), [(SGD, "momentum"), (RMSprop, "alpha"), (Adam, "beta1"), (Adam, "beta2")])
def test_shares_are_between_zero_and_below_one(kind, name):
    assert getattr(kind([mg.zeros(2)], **{name: 0}), name) == 0
    with refused(f"{name} must be below 1, not 1.0"):
        kind([mg.zeros(2)], **{name: 1})
    with refused(f"{name} must be at least 0, not -0.5"):
        kind([mg.zeros(2)], **{name: -0.5})


@pytest.mark.parametrize("kind", [RMSprop, Adam])
def test_eps_is_above_zero(kind):
    with refused("eps must be above 0, not 0.0"):
        kind([mg.zeros(2)], eps=0)


@every_optimizer
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ((), "params is empty: there is nothing to train"),
        (None, "params must be a tuple of tensors, not NoneType"),
        (RNN(2, 2, 2), "params must be a tuple of tensors, not RNN"),
        (mg.zeros((2, 2)), "params must be a tuple of tensors, not one tensor"),
        ([mg.zeros(2), np.zeros(2)], "params[1] must be a mygrad.Tensor, not ndarray"),
    ],
)
def test_untrainable_parameters_are_refused(make, params, message):
    with refused(message):
        make(params)


def test_an_optimizer_shows_its_settings_and_what_it_updates():
    parameters = (mg.zeros((2, 3)), mg.zeros(3))
    assert repr(SGD(parameters, momentum=0.9)) == (
        "SGD(learning_rate=0.1, momentum=0.9, weight_decay=0.0, of 2 tensors with 9 numbers)"
    )
    assert repr(RMSprop(parameters)).startswith("RMSprop(learning_rate=0.01, alpha=0.9, eps=1e-08, ")
    assert repr(Adam(parameters)).startswith("Adam(learning_rate=0.001, beta1=0.9, beta2=0.999, eps=1e-08, ")
