"""Both directions: what reads several rows belongs to the direction in which it begins, at every length."""

import mygrad as mg
import numpy as np
import pytest
from mygrad import tanh

from marks import the_rest_is_long
from myrnn.compiler import compile
from recurrences.oracle import disagreement
from recurrences.registry import C, D, K, weights, zeros

pytestmark = pytest.mark.usefixtures("in_python")

# One sequence at a time, of all lengths that end within the first steps of a direction, and batches.
GROUPS = (*([n] for n in range(1, 14)), [30], [3, 3], [5, 1, 3, 2], [20, 1, 2, 11, 4])


class Direction:
    """Reads rows one after the other: the output of a step is made of its state, of its row and of an earlier one."""

    def __init__(self, rng, n_in):
        self.a, self.u, self.r, self.q = weights(rng, (n_in, D), (D, D), (n_in, D), (n_in, D))
        self.parameters = self.a, self.u, self.r, self.q

    def outputs(self, rows, lag, kind):
        s, old, found = zeros(1, D), [0 * row for row in rows[:1]] * lag, []
        for row in rows:
            s, output = kind(self, s, row, old[0])
            found.append(output)
            old = [*old[1:], row]
        return found


def gate_by_two_rows(m, s, row, old):
    s = tanh(row @ m.a + s @ m.u)
    return s, s * tanh(row @ m.r + old @ m.q)


def sum_with_two_rows(m, s, row, old):
    s = tanh(row @ m.a + s @ m.u)
    return s, s @ m.u + row @ m.r + old @ m.q


def product_with_the_earlier_row(m, s, row, old):
    s = tanh(row @ m.a + s @ m.u)
    return s, s * (old @ m.q)


def state_and_output_of_two_rows(m, s, row, old):
    key = tanh(row @ m.r + old @ m.q)
    s = s * key + row @ m.a
    return s, s * key


def key_of_their_sum(m, s, row, old):
    key = tanh((row + old) @ m.r)
    s = tanh(s @ m.u + key)
    return s, s * key


def sum_of_two_rows(m, s, row, old):
    s = tanh(s @ m.u + row + old)
    return s, s


def product_of_what_is_made_of_each(m, s, row, old):
    s = tanh(s @ m.u + row + tanh(old @ m.u))
    return s, s * tanh(old)


class BothWays:
    """Adds the outputs of both directions; `layers` of them, and of all steps, the last ones, or the largest ones.

    Rows may be made by a function that both directions share, such as an embedding.
    """

    dim_input = C

    def __init__(self, kind, lag, *, of="all steps", layers=1, tied=False, made=None):
        rng = np.random.default_rng(0)
        self.kind, self.lag, self.of, self.made = kind, lag, of, made
        self.layers = [(Direction(rng, n), Direction(rng, n)) for n in (D if made else C, D)[:layers]]
        if tied:
            self.layers = [(there, there) for there, _ in self.layers]
        self.v, self.e = weights(rng, (D, K), (C, D))
        directions = dict.fromkeys(direction for pair in self.layers for direction in pair)
        self.parameters = (*(p for direction in directions for p in direction.parameters), self.v)
        self.parameters += (self.e,) if made else ()

    def __call__(self, x):
        rows = [row[None] for row in x]
        if self.made is not None:
            rows = [self.made(row @ self.e) for row in rows]
        for there, back in self.layers:
            ahead = there.outputs(rows, self.lag, self.kind)
            behind = back.outputs(rows[::-1], self.lag, self.kind)
            rows = [f + b for f, b in zip(ahead, behind[::-1], strict=True)]
        if self.of == "all steps":
            return mg.concatenate(rows) @ self.v
        if self.of == "last":
            return (ahead[-1] + behind[-1]) @ self.v
        return mg.max(mg.concatenate(rows), axis=0, keepdims=True) @ self.v


# The sizes of the states of each loop: those that are earlier rows come before the others.
ONE, TWO, THREE = ([[C] * lag + [D], [C] * lag + [D], []] for lag in (1, 2, 3))
CASES = [
    (gate_by_two_rows, 1, {}, ONE),
    (gate_by_two_rows, 2, {}, TWO),
    (gate_by_two_rows, 3, {}, THREE),
    (gate_by_two_rows, 2, {"tied": True}, None),
    (sum_with_two_rows, 1, {}, ONE),
    (sum_with_two_rows, 3, {}, THREE),
    (product_with_the_earlier_row, 2, {}, None),
    (state_and_output_of_two_rows, 1, {}, ONE),
    (state_and_output_of_two_rows, 2, {"tied": True}, TWO),
    (state_and_output_of_two_rows, 3, {}, THREE),
    (key_of_their_sum, 1, {}, ONE),
    (key_of_their_sum, 2, {"tied": True}, TWO),
    (gate_by_two_rows, 1, {"of": "the largest"}, [*ONE[:2], [D]]),
    (gate_by_two_rows, 2, {"of": "the largest"}, [*TWO[:2], [D]]),
    (gate_by_two_rows, 1, {"of": "last"}, None),
    (gate_by_two_rows, 2, {"of": "last"}, None),
    (gate_by_two_rows, 1, {"layers": 2}, None),
    (gate_by_two_rows, 2, {"layers": 2}, None),
    (state_and_output_of_two_rows, 1, {"layers": 2, "of": "the largest"}, None),
]


# Both directions read the same made rows; states hold these, and not what they are made of.
LINEAR, CURVED = {"made": mg.positive}, {"made": tanh}
LAST, LAST_CURVED = {"of": "last", **LINEAR}, {"of": "last", **CURVED}
MADE = [
    (sum_of_two_rows, 1, LAST, [[D] * 2] * 2),
    (sum_of_two_rows, 1, LINEAR, [[D] * 2, [D] * 2, []]),
    (sum_of_two_rows, 2, LAST, [[D] * 3] * 2),
    (sum_of_two_rows, 3, LAST_CURVED, [[D] * 4] * 2),
    (sum_of_two_rows, 1, {"layers": 2, **LAST}, None),
    # The logits also read the last two rows of each direction.
    (gate_by_two_rows, 1, LAST, [[D] * 3] * 2),
    (gate_by_two_rows, 1, LAST_CURVED, [[D] * 3] * 2),
    (gate_by_two_rows, 1, {"tied": True, **LAST}, [[D] * 3] * 2),
    (gate_by_two_rows, 2, LAST, [[D] * 4] * 2),
    (state_and_output_of_two_rows, 1, LAST, None),
    (key_of_their_sum, 1, LAST, None),
    (product_of_what_is_made_of_each, 1, LAST, None),
    (product_of_what_is_made_of_each, 1, LINEAR, None),
    (product_of_what_is_made_of_each, 1, CURVED, None),
    (gate_by_two_rows, 1, {"of": "the largest", **LINEAR}, None),
]


@pytest.mark.parametrize(
    ("kind", "lag", "options", "expected"), the_rest_is_long([*CASES, *MADE], CASES[0], MADE[0], MADE[5])
)
def test_each_direction_has_its_own_rows(kind, lag, options, expected):
    compiled = compile(BothWays(kind, lag, **options), max_length=14, check=False)
    if expected is not None:
        assert [sorted(node.size for node in loop.step) for loop in compiled.guard.recurrence.loops] == expected
    assert disagreement(compiled, GROUPS) is None


def backward_states(x, a, u):
    s, found = zeros(D), []
    for row in x[::-1]:
        s = tanh(row @ a + s @ u)
        found.append(s)
    return found[::-1]


def the_end_and_the_other_end(x, a, u, u2, v):
    h, states = zeros(D), backward_states(x, a, u)
    for s in states:
        h = tanh(s + h @ u2)
    padded = [zeros(D), zeros(D), *states]
    return (h + tanh(states[0] @ u2) + tanh(padded[-2] @ u2)) @ v


def begun_with_the_end(x, a, u, u2, v):
    states = backward_states(x, a, u)
    h = states[0]
    for s in states:
        h = tanh(s + h @ u2)
    return (h + tanh(states[0] @ u2) + tanh(h @ u2)) @ v


def the_end_as_a_factor(x, a, u, u2, v):
    h, states = zeros(D), backward_states(x, a, u)
    for s, row in zip(states, x, strict=True):
        h = tanh(s * (row @ a) + h @ u2)
    return (h + tanh(states[0] * (x[-1] @ a) + h @ u2)) @ v


def the_end_at_every_step(x, a, u, u2, v):
    h, states = zeros(D), backward_states(x, a, u)
    for row in x:
        h = tanh(states[0] * (row @ a) + h @ u2)
    return (h + tanh(states[-1] * (x[-1] @ a))) @ v


class ReadsTheEnd:
    """Reads the last state of a backward loop beside those of its steps."""

    dim_input = C

    def __init__(self, logits):
        self.logits = logits
        self.parameters = weights(np.random.default_rng(0), (C, D), (D, D), (D, D), (D, K))

    def __call__(self, x):
        return self.logits(x, *self.parameters)[None]


ENDS = [the_end_and_the_other_end, begun_with_the_end, the_end_as_a_factor, the_end_at_every_step]


@pytest.mark.parametrize("logits", the_rest_is_long(ENDS, begun_with_the_end))
def test_the_end_of_a_loop_is_read_beside_its_steps(logits):
    assert disagreement(compile(ReadsTheEnd(logits), max_length=14, check=False), GROUPS) is None
