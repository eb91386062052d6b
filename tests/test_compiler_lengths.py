"""Numbers computed from the length of a sequence: fractions such as ``t / len(x)`` are right at every length."""

import mygrad as mg
import numpy as np
import pytest
from mygrad import concatenate, tanh
from mygrad.nnet.activations import relu
from mygrad.nnet.losses import softmax_crossentropy

from marks import most_are_long, the_rest_is_long
from myrnn import Sequences
from myrnn.compiler import compile
from myrnn.errors import CompileError, NotARecurrence
from recurrences.oracle import disagreement
from recurrences.registry import D, zeros
from test_compiler_beginnings import GROUPS, made


def share(x, w, u, v):
    h = zeros(D)
    for t, row in enumerate(x):
        h = tanh(row @ w + h @ u * (t / len(x)))
    return h @ v


def share_of_both_directions(x, w, u, u2, v):
    h, k = zeros(D), zeros(D)
    for t, row in enumerate(x):
        h = tanh(row @ w + h @ u + t / len(x))
    for t in range(len(x) - 1, -1, -1):
        k = tanh(x[t] @ w + k @ u2 + t / len(x))
    return (h + k) @ v


def share_from_one_on(x, w, u, v):
    h = zeros(D)
    for t, row in enumerate(x):
        h = tanh(row @ w + h @ u + (t + 1) / len(x))
    return h @ v


def what_is_left(x, w, u, v):
    h = zeros(D)
    for t, row in enumerate(x):
        h = tanh(row @ w * ((len(x) - t) / len(x)) + h @ u)
    return h @ v


def the_same_by_difference(x, w, u, v):
    h = zeros(D)
    for t, row in enumerate(x):
        h = tanh(row @ w * (1 - t / len(x)) + h @ u)
    return h @ v


def half_a_share(x, w, u, v):
    h = zeros(D)
    for t, row in enumerate(x):
        h = tanh(row @ w + h @ u - 0.5 * t / len(x))
    return h @ v


def a_tenth_of_a_share(x, w, u, v):
    h = zeros(D)
    for t, row in enumerate(x):
        h = tanh(row @ w + h @ u + np.float32(0.1) * t / len(x))
    return h @ v


def backward(x, w, u, v):
    h = zeros(D)
    for t in range(len(x) - 1, -1, -1):
        h = tanh(x[t] @ w + h @ u + t / len(x))
    return h @ v


def by_the_length(x, w, u, v):
    h = zeros(D)
    for row in x:
        h = tanh(row @ w + h @ u / len(x))
    return h @ v


def by_the_length_and_one(x, w, u, v):
    h = zeros(D)
    for row in x:
        h = tanh(row @ w + h @ u / (len(x) + 1))
    return h @ v


def layers(x, w, u, u2, v):
    h, states = zeros(D), []
    for t, row in enumerate(x):
        h = tanh(row @ w + h @ u + (t + 1) / len(x))
        states.append(h)
    k = zeros(D)
    for state in states:
        k = tanh(state / len(x) + k @ u2)
    return k @ v


def weighted_sum(x, w, u, v):
    h, total = zeros(D), 0
    for t, row in enumerate(x):
        h = tanh(row @ w + h @ u)
        total = total + h * ((t + 1) / len(x))
    return total @ v


def beside_a_decay(x, w, u, v):
    h = zeros(D)
    for t, row in enumerate(x):
        h = tanh(row @ w * 0.9**t + h @ u * (t / len(x)))
    return h @ v


def as_a_feature(x, w, w2, u, v):
    h = zeros(D)
    for t, row in enumerate(x):
        position = np.array([t / len(x)], dtype=np.float32)
        h = tanh(concatenate([row, position]) @ concatenate([w, w2[:1]]) + h @ u)
    return h @ v


def _down(step):
    """Return a model whose loop goes from the last row to the first; its first number is that of the length."""

    def model(x, w, u, b, v):
        h = zeros(D)
        for t in reversed(range(len(x))):
            h = tanh(step(t, x[t] @ w, h @ u, b))
        return h @ v

    model.__name__ = f"down_{step.__name__}"
    return model


def added(t, row, state, b):
    return row + state + np.float32(0.1 * t) * b


def factor_of_the_state(t, row, state, b):
    return row + state * np.float32(0.9**t) + b


def factor_of_a_bias(t, row, state, b):
    return row + state + np.float32(0.9**t) * b


def mask(t, row, state, b):
    return row + state + b * np.float32(t % 3 == 0)


DOWN = tuple(map(_down, (added, factor_of_the_state, factor_of_a_bias, mask)))
COMPILED = (
    *DOWN,
    share, share_of_both_directions, share_from_one_on, what_is_left, the_same_by_difference, half_a_share,
    a_tenth_of_a_share, backward,
    by_the_length, by_the_length_and_one, layers, weighted_sum, beside_a_decay, as_a_feature,
)  # fmt: skip


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("function", the_rest_is_long(COMPILED, weighted_sum, a_tenth_of_a_share))
def test_logits_and_gradients_are_right_at_every_length(function):
    assert disagreement(compile(made(function), max_length=13, check=False), GROUPS) is None


@pytest.mark.long
@pytest.mark.parametrize("function", most_are_long([share_of_both_directions, share, by_the_length], 3))
def test_machine_code_is_right_at_every_length(function):
    assert disagreement(compile(made(function), max_length=13), GROUPS) is None


@pytest.mark.usefixtures("in_python")
def test_a_long_sequence_is_right():
    model = made(share)
    compiled, x = compile(model), np.random.default_rng(0).normal(size=(300, model.dim_input)).astype(np.float32)
    loss, gradients = compiled.loss_and_gradients(x, 1)
    expected = softmax_crossentropy(model(x), np.array([1]))
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-4)
    for ours, parameter in zip(gradients, model.parameters, strict=True):
        np.testing.assert_allclose(ours, parameter.grad, rtol=1e-3, atol=1e-5)


class ByStep:
    """An output for every step, computed from its position."""

    dim_input = 3

    def __init__(self):
        rng = np.random.default_rng(0)
        self.w, self.u, self.v = (mg.tensor(rng.normal(size=s).astype(np.float32)) for s in ((3, 4), (4, 4), (5, 2)))
        self.parameters = self.w, self.u, self.v

    def __call__(self, x):
        h, rows = mg.zeros((1, 4), dtype=np.float32), []
        for t, x_t in enumerate(x):
            h = tanh(x_t[None] @ self.w + h @ self.u)
            rows.append(concatenate([h, np.array([[t / len(x)]], dtype=np.float32)], axis=1) @ self.v)
        return concatenate(rows)


@pytest.mark.usefixtures("in_python")
def test_outputs_of_every_step_can_read_the_length():
    model, rng = ByStep(), np.random.default_rng(1)
    pairs = [(rng.normal(size=(n, 3)), rng.integers(0, 2, n)) for n in (4, 1, 9, 6)]
    sequences = Sequences.from_pairs(pairs, per_step=True)
    expected = np.concatenate([model(sequences.features(i)).data for i in range(4)])
    np.testing.assert_allclose(compile(model).logits(sequences), expected, rtol=1e-4, atol=1e-5)


def test_a_sequence_that_is_read_step_by_step_has_no_length_yet():
    for function in (by_the_length, share):
        with pytest.raises(CompileError, match="cannot be carried from one piece of a sequence to the next"):
            compile(made(function), check=False).start()


def sine(x, w, u, v):
    h = zeros(D)
    for t, row in enumerate(x):
        h = tanh(row @ w + h @ u * np.sin(t / len(x)))
    return h @ v


def root_of_the_length(x, w, u, v):
    h = zeros(D)
    for row in x:
        h = tanh(row @ w + h @ u / np.sqrt(len(x)))
    return h @ v


def share_at_even_lengths(x, w, u, v):
    h = zeros(D)
    for t, row in enumerate(x):
        h = tanh(row @ w + h @ u * (t / len(x) if len(x) % 2 else 0.5))
    return h @ v


@pytest.mark.parametrize("function", the_rest_is_long([sine, root_of_the_length, share_at_even_lengths], sine))
def test_other_functions_of_the_length_are_refused(function):
    with pytest.raises(NotARecurrence, match="differ from length to length, and are not a fraction of it"):
        compile(made(function), check=False)


def test_a_number_that_is_a_fraction_only_at_some_lengths_is_found():
    def changes(x, w, u, v):
        h = zeros(D)
        for t, row in enumerate(x):
            h = tanh(row @ w + h @ u * (t / len(x) if len(x) < 40 else 0.5))
        return h @ v

    with pytest.raises(NotARecurrence):
        compile(made(changes), max_length=60, check=False)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("length", [1, 2])
def test_a_bound_at_one_length_holds_for_numbers_of_any_size(length):
    def bounded(x, w, u, v):
        h = zeros(D)
        for row in x:
            h = relu(row @ w + h @ u)
        return (mg.minimum(h, 8.0) if len(x) == length else h) @ v

    model = made(bounded)
    compiled, rng = compile(model, max_length=13, check=False), np.random.default_rng(0)
    for steps in (1, 2, 3):
        x = 300 * rng.normal(size=(steps, model.dim_input)).astype(np.float32)
        np.testing.assert_allclose(compiled(x), model(x).data, rtol=1e-4)
