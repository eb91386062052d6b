"""Alternating steps: a few kinds of them compile, and are right at every length."""

import mygrad as mg
import numpy as np
import pytest
from mygrad import tanh

from marks import the_rest_is_long
from myrnn.compiler import compile
from myrnn.errors import NotARecurrence
from recurrences.oracle import disagreement
from recurrences.registry import C, D, zeros
from test_compiler_beginnings import GROUPS, Tags, check_pieces, made


def every_second_row(x, w, u, v):
    h = zeros(D)
    for t, row in enumerate(x):
        if t % 2 == 0:
            h = tanh(row @ w + h @ u)
    return h @ v


def weights_in_turn(x, w, u, u2, v):
    h = zeros(D)
    for t, row in enumerate(x):
        h = tanh(row @ w + h @ (u2 if t % 2 == 0 else u))
    return h @ v


def three_kinds(x, w, w2, u, u2, v):
    h = zeros(D)
    for t, row in enumerate(x):
        h = tanh(row @ w + h @ (u2 if t % 3 == 2 else u)) if t % 3 else tanh(row @ w2 + h @ u)
    return h @ v


def every_fourth_is_another(x, w, w2, u, u2, v):
    h = zeros(D)
    for t, row in enumerate(x):
        h = tanh(row @ w2 + h @ u2) if t % 4 == 3 else tanh(row @ w + h @ u)
    return h @ v


def a_slow_state(x, w, u, u2, v):
    h = s = zeros(D)
    for t, row in enumerate(x):
        h = tanh(row @ w + h @ u + s @ u2)
        s = tanh(h @ u2 + s) if t % 3 == 0 else s
    return (h + s) @ v


def two_states(x, w, w2, u, u2, v):
    h = c = zeros(D)
    for t, row in enumerate(x):
        z = tanh(row @ (w if t % 2 else w2) + h @ u)
        c = 0.5 * c + z
        h = tanh(c @ u2) * z
    return h @ v


def summed(x, w, u, u2, v):
    h, states = zeros(D), []
    for t, row in enumerate(x):
        h = tanh(row @ w + h @ (u if t % 2 else u2))
        states.append(h)
    return mg.sum(mg.stack(states), axis=0) @ v


def another_first_step(x, w, w2, u, u2, v):
    h = zeros(D)
    for t, row in enumerate(x):
        h = tanh(row @ (w2 if t == 1 else w) + h @ (u if t % 2 else u2))
    return h @ v


def backward(x, w, u, u2, v):
    h = zeros(D)
    for t, row in enumerate(x[::-1]):
        h = tanh(row @ w + h @ (u if t % 2 else u2))
    return h @ v


def beside_a_table_of_a_bias(x, w, u, u2, b, v):
    h = zeros(D)
    for t, row in enumerate(x):
        h = tanh(row @ w + h @ (u if t % 2 else u2) + np.float32(0.9**t) * b)
    return h @ v


def with_a_table_of_a_bias_in_one_kind(x, w, u, u2, b, v):
    h = zeros(D)
    for t, row in enumerate(x):
        h = tanh(row @ w + h @ u + np.float32(0.9**t) * b) if t % 2 else tanh(row @ w + h @ u2)
    return h @ v


COMPILED = (
    every_second_row, beside_a_table_of_a_bias, weights_in_turn, three_kinds, every_fourth_is_another, a_slow_state,
    two_states, summed, another_first_step, backward, with_a_table_of_a_bias_in_one_kind,
)  # fmt: skip


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("function", the_rest_is_long(COMPILED, every_second_row))
def test_logits_and_gradients_are_right_at_every_length(function):
    assert disagreement(compile(made(function), max_length=13, check=False), GROUPS) is None


def a_slower_state(t, x, h, g, w, u, u2, h0):
    h = tanh(x @ w + h @ u)
    return h, tanh(h + g @ u2) if t % 2 == 1 else g


def the_slower_state_first(t, x, h, g, w, u, u2, h0):
    h = tanh(x @ w + h @ u)
    return h, tanh(h + g @ u2) if t % 2 == 0 else g


def a_state_of_every_fourth_step(t, x, h, g, w, u, u2, h0):
    h = tanh(x @ w + h @ u + g)
    return h, tanh(h + g @ u2) if t % 4 == 3 else g


def either_of_two_states(t, x, h, g, w, u, u2, h0):
    if t % 3 == 0:
        return tanh(x @ w + h @ u), g
    return (h, tanh(g @ u2 + h)) if t % 3 == 1 else (tanh(h @ u2 + x @ w), tanh(g @ u))


def a_state_that_begins_anew(t, x, h, g, w, u, u2, h0):
    return tanh(x @ w + (h0 if t % 4 == 0 else h) @ u), g


def zeros_at_every_second_step(t, x, h, g, w, u, u2, h0):
    return tanh(x @ w + (zeros(D) if t % 2 == 0 else h) @ u), g


def one_of_two_begins_anew(t, x, h, g, w, u, u2, h0):
    h = tanh(x @ w + h @ u)
    return h, tanh(h + (h0 if t % 2 == 0 else g) @ u2)


def both_begin_anew(t, x, h, g, w, u, u2, h0):
    h, g = (zeros(D), zeros(D)) if t % 3 == 0 else (h, g)
    h = tanh(x @ w + h @ u)
    return h, tanh(h @ u + g @ u2)


def a_choice(t, x, h, g, w, u, u2, h0):
    h = tanh(x @ w + mg.where(t % 4 == 0, h0, h) @ u)
    return h, mg.where(t % 2 == 1, tanh(h + g @ u2), g)


WITH_OUTPUTS = (
    a_slower_state, a_state_that_begins_anew, the_slower_state_first, a_state_of_every_fourth_step,
    either_of_two_states, zeros_at_every_second_step, one_of_two_begins_anew, both_begin_anew, a_choice,
)  # fmt: skip


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("step", the_rest_is_long(WITH_OUTPUTS, one_of_two_begins_anew))
def test_steps_with_outputs_may_take_turns_and_their_states_can_be_carried(step):
    compiled = compile(Tags(step), max_length=13, check=False)
    assert disagreement(compiled, GROUPS) is None
    check_pieces(compiled)


@pytest.mark.long
def test_machine_code_is_right_at_every_length():
    assert disagreement(compile(made(three_kinds), max_length=13), GROUPS) is None


def five_kinds(x, w, u, u2, v):
    h = zeros(D)
    for t, row in enumerate(x):
        h = tanh(row @ w + h @ (u if t % 5 else u2))
    return h @ v


def in_turn_up_to_a_step(x, w, u, u2, v):
    h = zeros(D)
    for t, row in enumerate(x):
        h = tanh(row @ w + h @ (u if t % 2 and t < 35 else u2))
    return h @ v


@pytest.mark.usefixtures("in_python")
def test_more_kinds_are_refused():
    with pytest.raises(NotARecurrence, match="is not the same computation as step"):
        compile(made(five_kinds), max_length=13, check=False)


@pytest.mark.usefixtures("in_python")
def test_alternation_that_ends_is_found_when_a_sequence_is_long_enough():
    compiled = compile(made(in_turn_up_to_a_step), max_length=30, check=False)
    compiled(zeros(35, C))
    with pytest.raises(NotARecurrence, match=r"at step 34 or the next,"):
        compiled(zeros(36, C))
