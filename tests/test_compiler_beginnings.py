"""First steps that differ, loops that start late or end early, and states of several steps ago, at every length."""

import mygrad as mg
import numpy as np
import pytest
from mygrad import concatenate, tanh

from marks import most_are_long, named, the_rest_is_long
from myrnn.compiler import compile
from myrnn.errors import NotARecurrence
from recurrences.oracle import disagreement
from recurrences.registry import C, D, K, weight, zeros

SHAPES = {"w": (C, D), "w2": (C, D), "w3": (3 * C, D), "u": (D, D), "u2": (D, D), "b": (D,), "h0": (D,), "v": (D, K)}
# One sequence at a time, batches of equal lengths and of different ones; most are longer than the traces.
GROUPS = ([1], [2], [3], [4], [6], [30], [3, 3], [5, 1, 3, 2], [40, 1, 2, 20, 4])


def made(function):
    """Return a model of a new class, with weights that the function names."""

    class Model:
        dim_input = C

        def __init__(self):
            rng = np.random.default_rng(1)
            names = function.__code__.co_varnames[1 : function.__code__.co_argcount]
            self.parameters = tuple(weight(rng, *SHAPES[name]) for name in names)

        def __call__(self, x):
            return function(x, *self.parameters)[None]

    return Model()


def a_sum_of_states_after_the_last_one(x, w, u, w2, u2, v):
    h = zeros(D)
    for row in x:
        h = tanh(row @ w + h @ u)
    total = 0
    for row in x:
        h = tanh(row @ w2 + h @ u2 + h @ u)
        total = total + h
    return total @ v


def pairs(x, w, u, v):
    h = zeros(D)
    for a, b in zip(x, x[1:]):  # noqa: B905, RUF007 - as most people write it
        h = tanh((b - a) @ w + h @ u)
    return h @ v


def pairs_from_a_learned_state(x, w, u, h0, v):
    h = h0
    for a, b in zip(x, x[1:]):  # noqa: B905, RUF007
        h = tanh((b - a) @ w + h @ u)
    return h @ v


def pairs_backward(x, w, u, h0, v):
    h, rows = h0, x[::-1]
    for a, b in zip(rows, rows[1:]):  # noqa: B905, RUF007
        h = tanh(a @ w + h @ u) + b @ w
    return h @ v


def windows(x, w3, u, v):
    h = zeros(D)
    for t in range(len(x) - 2):
        h = tanh(x[t : t + 3].reshape(-1) @ w3 + h @ u)
    return h @ v


def windows_and_their_sum(x, w3, u, v):
    h, states = zeros(D), [zeros(D)]
    for t in range(len(x) - 2):
        h = tanh(x[t : t + 3].reshape(-1) @ w3 + h @ u)
        states.append(h)
    return mg.sum(mg.stack(states), axis=0) @ v


def centred_windows(x, w3, u, b, v):
    h, padded = zeros(D), concatenate([zeros(1, C), x, zeros(1, C)])
    for t in range(len(x)):
        h = tanh(padded[t : t + 3].reshape(-1) @ w3 + h @ u + b)
    return h @ v


def windows_ahead(x, w3, u, b, v):
    h, padded = zeros(D), concatenate([x, zeros(2, C)])
    for t in range(len(x)):
        h = tanh(padded[t : t + 3].reshape(-1) @ w3 + h @ u + b)
    return h @ v


def all_but_the_last(x, w, u, v):
    h = zeros(D)
    for row in x[:-1]:
        h = tanh(row @ w + h @ u)
    return h @ v


def from_the_fourth_on(x, w, u, h0, v):
    h = h0
    for row in x[3:]:
        h = tanh(row @ w + h @ u)
    return h @ v


def without_the_fourth(x, w, u, v):
    h = zeros(D)
    for t, row in enumerate(x):
        h = tanh(row @ w + h @ u) if t != 3 else h
    return h @ v


def a_late_state(x, w, u, u2, v):
    h = s = zeros(D)
    for t, row in enumerate(x):
        h = tanh(row @ w + h @ u)
        s = tanh(h @ u2 + s) if t >= 3 else s
    return (h + s) @ v


def a_late_number(x, w, u, v):
    h = zeros(D)
    for t, row in enumerate(x):
        h = tanh(row @ w + h @ u + 0.1 * t) if t >= 2 else h
    return h @ v


def other_weights_at_first(x, w, w2, u, v):
    h = zeros(D)
    for t, row in enumerate(x):
        h = tanh(row @ (w2 if t < 3 else w) + h @ u)
    return h @ v


def other_weights_at_one_step(x, w, w2, u, v):
    h = zeros(D)
    for t, row in enumerate(x):
        h = tanh(row @ (w2 if t == 2 else w) + h @ u)
    return h @ v


def other_weights_at_the_end(x, w, w2, u, v):
    h = zeros(D)
    for t, row in enumerate(x):
        h = tanh(row @ (w2 if t >= len(x) - 2 else w) + h @ u)
    return h @ v


def states_that_exist(x, w, u, u2, v):
    states = []
    for t in range(len(x)):
        z = x[t] @ w
        z = z + states[t - 1] @ u if t >= 1 else z
        z = z + states[t - 2] @ u2 if t >= 2 else z
        states.append(tanh(z))
    return states[-1] @ v


def every_third_state(x, w, u, v):
    states = [zeros(D)] * 3
    for row in x:
        states.append(tanh(row @ w + states[-3] @ u))
    return states[-1] @ v


def every_fourth_state_from_a_learned_one(x, w, u, h0, v):
    states = [h0] * 4
    for row in x:
        states.append(tanh(row @ w + states[-4] @ u))
    return states[-1] @ v


def last_three(x, w, u, v):
    h, states = zeros(D), []
    for row in x:
        h = tanh(row @ w + h @ u)
        states.append(h)
    return mg.mean(mg.stack(states[-3:]), axis=0) @ v


def backward_and_the_row_before_the_last(x, w, u, w2, v):
    h = zeros(D)
    for row in x[::-1]:
        h = tanh(row @ w + h @ u)
    return (h + x[-2] @ w2 if len(x) > 1 else h) @ v


def backward_and_a_padded_row_before_the_last(x, w, u, w2, v):
    h, padded = zeros(D), [zeros(C), zeros(C), *x]
    for row in x[::-1]:
        h = tanh(row @ w + h @ u)
    return (h + padded[-1] @ w + padded[-3] @ w2) @ v


def backward_and_the_third_row(x, w, u, w2, v):
    h, padded = zeros(D), [*x, zeros(C), zeros(C), zeros(C)]
    for row in x[::-1]:
        h = tanh(row @ w + h @ u)
    return (h + padded[2] @ w2) @ v


def level_and_trend(x, w, v):
    rows = x @ w
    level = rows[0]
    trend = rows[1] - rows[0] if len(x) > 1 else zeros(D)
    for row in rows[1:]:
        last = level
        level = 0.4 * row + 0.6 * (level + trend)
        trend = 0.3 * (level - last) + 0.7 * trend
    return (level + trend) @ v


def a_state_that_begins_by_length(x, w, u, v, h0):
    h = tanh(h0) / len(x)
    for row in x:
        h = tanh(row @ w + h @ u)
    return h @ v


COMPILED = (
    a_state_that_begins_by_length,
    a_sum_of_states_after_the_last_one,
    pairs, pairs_from_a_learned_state, pairs_backward, windows, windows_and_their_sum, centred_windows, windows_ahead,
    all_but_the_last, from_the_fourth_on, without_the_fourth, a_late_state, a_late_number, other_weights_at_first,
    other_weights_at_one_step, other_weights_at_the_end, states_that_exist, every_third_state,
    every_fourth_state_from_a_learned_one, last_three, backward_and_the_row_before_the_last,
    backward_and_a_padded_row_before_the_last, backward_and_the_third_row, level_and_trend,
)  # fmt: skip
# For an empty sequence these fail or differ.
NOT_OF_NONE = {
    "a_state_that_begins_by_length",
    "a_sum_of_states_after_the_last_one",
    "centred_windows", "windows_ahead", "all_but_the_last", "states_that_exist", "last_three", "level_and_trend",
    "other_weights_at_the_end", "backward_and_a_padded_row_before_the_last",
}  # fmt: skip


SHORT = a_state_that_begins_by_length, all_but_the_last, states_that_exist, backward_and_the_row_before_the_last


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("function", the_rest_is_long(COMPILED, *SHORT))
def test_logits_and_gradients_are_right_at_every_length(function):
    compiled = compile(made(function), max_length=13, check=False)
    assert disagreement(compiled, GROUPS) is None
    if function.__name__ not in NOT_OF_NONE:
        none = zeros(0, C)
        np.testing.assert_allclose(compiled(none), compiled.model(none).data, atol=1e-6)


def tags_from_a_learned_value(t, x, h, g, w, u, u2, h0):
    return tanh(x @ w + h @ u) if t > 1 else tanh(x @ w + h0), g


def tags_with_other_weights_at_first(t, x, h, g, w, u, u2, h0):
    return tanh(x @ w + h @ (u if t > 2 else u2)), g


def tags_with_other_weights_at_one_step(t, x, h, g, w, u, u2, h0):
    return tanh(x @ w + h @ (u2 if t == 2 else u)), g


def tags_without_states_at_first(t, x, h, g, w, u, u2, h0):
    return tanh(x @ w + h @ u) if t > 1 else tanh(x @ w), g


class Tags:
    """A model of two states whose step is a function, with an output after each."""

    dim_input = C

    def __init__(self, step):
        rng, self.step = np.random.default_rng(1), step
        self.v, *self.of_step = (weight(rng, *SHAPES[name]) for name in ("v", "w", "u", "u2", "h0"))
        self.parameters = self.v, *self.of_step

    def __call__(self, x):
        h, g, logits = zeros(D), zeros(D), []
        for t, row in enumerate(x):
            h, g = self.step(t, row, h, g, *self.of_step)
            logits.append((h + g) @ self.v)
        return mg.stack(logits)


def check_pieces(compiled):
    """Compare the outputs of a sequence in pieces with those of the whole."""
    x, state, logits = np.random.default_rng(0).normal(size=(13, C)).astype(np.float32), compiled.start(), []
    for piece in np.split(x, [1, 2, 5, 6]):
        state, some = compiled.step(state, piece)
        logits.append(some)
    np.testing.assert_allclose(np.concatenate(logits), compiled(x), atol=1e-6)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize(
    "step",
    the_rest_is_long(
        [
            tags_from_a_learned_value,
            tags_with_other_weights_at_first,
            tags_with_other_weights_at_one_step,
            tags_without_states_at_first,
        ],
        tags_from_a_learned_value,
        tags_with_other_weights_at_one_step,
    ),
)
def test_several_first_steps_with_outputs_may_differ(step):
    assert disagreement(compile(Tags(step), max_length=13, check=False), GROUPS) is None


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("step", [tags_with_other_weights_at_one_step, tags_without_states_at_first], ids=named)
def test_states_with_other_first_steps_can_be_carried(step):
    check_pieces(compile(Tags(step), max_length=13, check=False))


class ReadsTheStateBefore(Tags):
    """The outputs read the state before, too; before the first step it is another one, of `before` rows."""

    def __init__(self, before, is_learned):
        super().__init__(tags_with_other_weights_at_one_step)
        self.before, self.is_learned = before, is_learned

    def __call__(self, x):
        w, u, u2, h0 = self.of_step
        h, states = zeros(D), []
        for row in x:
            h = tanh(row @ w + h @ u)
            states.append(h)
        begin = [h0 if self.is_learned else np.ones(D, np.float32)] * self.before
        return mg.stack(states) @ self.v + mg.stack([*begin, *states])[: len(x)] @ (u2 @ self.v)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("before", most_are_long([1, 2], 2))
@pytest.mark.parametrize("is_learned", the_rest_is_long([True, False], True))
def test_outputs_may_read_another_row_before_the_first_state(before, is_learned):
    compiled = compile(ReadsTheStateBefore(before, is_learned), max_length=13, check=False)
    assert disagreement(compiled, GROUPS) is None
    check_pieces(compiled)


class Windows:
    """Outputs of windows alone that end at each row, after zeros: of products, or of their sum."""

    dim_input = C

    def __init__(self, width, is_sum=False):
        rng, self.is_sum = np.random.default_rng(1), is_sum
        self.parameters = self.w, self.v = weight(rng, width, C, D), weight(rng, D, K)

    def __call__(self, x):
        width = len(self.w)
        padded = concatenate([zeros(width - 1, C), x])
        if self.is_sum:
            return tanh(sum(padded[i : i + len(x)] @ self.w[i] for i in range(width))) @ self.v
        flat = self.w.reshape(-1, D)
        return mg.stack([tanh(padded[t : t + width].reshape(-1) @ flat) for t in range(len(x))]) @ self.v


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize(
    ("width", "is_sum"), the_rest_is_long([(5, False), (6, False), (9, False), (12, False), (12, True)], (6, False))
)
def test_outputs_may_read_windows_alone(width, is_sum):
    compiled = compile(Windows(width, is_sum), max_length=13, check=False)
    assert disagreement(compiled, ([1], [2], [6], [13], [30], [20, 1, 2, 11, 4])) is None
    check_pieces(compiled)


@pytest.mark.long
@pytest.mark.parametrize("function", [windows, every_third_state, last_three])
def test_machine_code_is_right_at_every_length(function):
    assert disagreement(compile(made(function), max_length=13), GROUPS) is None


def only_at_even_lengths(x, w, w2, u, v):
    h = zeros(D)
    for row in x:
        h = tanh(row @ (w2 if len(x) % 2 == 0 else w) + h @ u)
    return h @ v


def a_readout_of_even_lengths(x, w, u, u2, v):
    h = zeros(D)
    for row in x:
        h = tanh(row @ w + h @ u)
    return (h @ u2 if len(x) % 2 == 0 else h) @ v


def a_late_step(x, w, w2, u, v):
    h = zeros(D)
    for t, row in enumerate(x):
        h = tanh(row @ (w2 if t == 14 else w) + h @ u)
    return h @ v


def the_first_row_again(x, w, w2, u, v):
    h = zeros(D)
    for row in x:
        h = tanh(row @ w + x[0] @ w2 + h @ u) if len(x) > 3 else tanh(row @ w + h @ u)
    return (h + x[len(x) // 2] @ w2) @ v


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize(
    "function",
    the_rest_is_long(
        [only_at_even_lengths, a_readout_of_even_lengths, a_late_step, the_first_row_again],
        a_readout_of_even_lengths,
        a_late_step,
    ),
)
def test_special_cases_at_some_lengths_or_late_steps_are_refused(function):
    with pytest.raises(NotARecurrence):
        compile(made(function), max_length=20, check=False)


@pytest.mark.usefixtures("in_python")
def test_a_special_late_step_is_found_when_a_sequence_is_long_enough():
    compiled = compile(made(a_late_step), max_length=13, check=False)
    assert compiled(zeros(13, C)).shape == (1, K)
    with pytest.raises(NotARecurrence, match=r"on a sequence of 15 steps .*at step 14 or the next,"):
        compiled(zeros(15, C))


@pytest.mark.usefixtures("in_python")
def test_a_state_of_a_loop_that_starts_late_stays_unchanged():
    compiled = compile(made(windows), max_length=13, check=False)
    assert "h' = where(2 > t, h, " in compiled.stages["roll"]
