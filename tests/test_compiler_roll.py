"""Rolling: the loop that was found gives exactly the traced graph when it is unrolled."""

import mygrad as mg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mygrad.nnet.activations import relu

from marks import most_are_long
from myrnn.compiler import ops
from myrnn.compiler.graph import Builder, check, evaluate, substitute, topological
from myrnn.compiler.leaves import INPUT, Input, Length, LoopState, Parameter, Row
from myrnn.compiler.loops import Loop, Recurrence, unroll
from myrnn.compiler.probe import Traces
from myrnn.compiler.roll import roll
from myrnn.compiler.trace import trace_once
from myrnn.errors import NotARecurrence

C, D = 3, 4
LENGTHS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13)


class Model:
    """A function of weights and one sequence; its argument names define the weights."""

    def __init__(self, run):
        rng = np.random.default_rng(0)

        def weight(*shape):
            return mg.tensor((rng.normal(size=shape) * 0.4).astype(np.float32))

        self.run = run
        self.A, self.B, self.E, self.h0, self.W = weight(C, D), weight(D, D), weight(D, D), weight(1, D), weight(D, 2)
        self.parameters = (self.A, self.B, self.E, self.h0, self.W)

    def __call__(self, x):
        return self.run(self, x)


def zeros():
    return np.zeros((1, D), dtype=np.float32)


def traces_of(model, build, lengths=LENGTHS):
    rng = np.random.default_rng(1)
    return {n: trace_once(model, model.parameters, rng.normal(size=(n, C)).astype(np.float32), build) for n in lengths}


def rolled(run, lengths=LENGTHS):
    model = Model(run)
    shapes = tuple(p.shape for p in model.parameters)
    recurrence = roll(Traces(traces_of(model, Builder(fold=False), lengths), C, ("A", "B", "E", "h0", "W"), shapes))
    return model, recurrence, recurrence.readout.build


def plain(m, x):
    h = zeros()
    for x_t in x:
        h = relu(x_t[np.newaxis] @ m.A + h @ m.B)
    return h @ m.W


def learned(m, x):
    h = m.h0
    for x_t in x:
        h = mg.tanh(x_t[np.newaxis] @ m.A + h @ m.B)
    return h @ m.W


def lagged(m, x):
    h, before = zeros(), zeros()
    for x_t in x:
        h, before = mg.tanh(x_t[np.newaxis] @ m.A + h @ m.B + before @ m.E), h
    return h @ m.W


def three_back(m, x):
    a, b, c = zeros(), zeros(), zeros()
    for x_t in x:
        a, b, c = mg.tanh(x_t[np.newaxis] @ m.A + a @ m.B + c @ m.E), a, b
    return a @ m.W


def input_lag(m, x):
    h, last = zeros(), np.zeros((1, C), dtype=np.float32)
    for x_t in x:
        h, last = mg.tanh((x_t[np.newaxis] - last) @ m.A + h @ m.B), x_t[np.newaxis]
    return h @ m.W


def reversed_rows(m, x):
    return plain(m, x[::-1])


def reversed_range(m, x):
    h = zeros()
    for t in range(len(x) - 1, -1, -1):
        h = relu(x[t : t + 1] @ m.A + h @ m.B)
    return h @ m.W


def two_passes(m, x):
    seen, h = [], zeros()
    for x_t in x:
        h = mg.tanh(x_t[np.newaxis] @ m.A + h @ m.B)
        seen.append(h)
    g = zeros()
    for h in seen:
        g = mg.tanh(h + g @ m.E)
    return g @ m.W


def projected(m, x):
    a = x @ m.A
    h = zeros()
    for a_t in a:
        h = mg.tanh(a_t + h @ m.B)
    return h.reshape(1, -1) @ m.W


def running_sum(m, x):
    h, total = zeros(), 0
    for x_t in x:
        h = mg.tanh(x_t[np.newaxis] @ m.A + h @ m.B)
        total = total + h
    return total @ m.W


def mean_over_time(m, x):
    seen, h = [], zeros()
    for x_t in x:
        h = mg.tanh(x_t[np.newaxis] @ m.A + h @ m.B)
        seen.append(h)
    return mg.concatenate(seen).mean(axis=0, keepdims=True) @ m.W


def folded(m, x):
    # NumPy computes with the constants of the first step.
    h = zeros()
    for x_t in x:
        h = mg.tanh(x_t[np.newaxis] @ m.A + (h * 2 + 1) @ m.B)
    return h @ m.W


def folded_half(m, x):
    h = np.full((1, D), 0.5, dtype=np.float32)
    for x_t in x:
        h = mg.tanh(x_t[np.newaxis] @ m.A + (h * 2 + 1) @ m.B)
    return h @ m.W


def half(m, x):
    h = np.full((1, D), 0.5, dtype=np.float32)
    for x_t in x:
        h = mg.tanh(x_t[np.newaxis] @ m.A + h @ m.B)
    return h @ m.W


def one_number(m, x):
    h = m.h0[:, :1]
    for x_t in x:
        h = mg.tanh(x_t[np.newaxis] @ m.A + h * m.B[:1])
    return h @ m.W


def changes_by_itself(m, x):
    h, scale = zeros(), m.h0
    for x_t in x:
        h, scale = mg.tanh(x_t[np.newaxis] @ m.A + (h * scale) @ m.B), scale * m.B[:1]
    return h @ m.W


def bag_of_rows(m, x):
    return mg.sum(x @ m.A, axis=0, keepdims=True) @ m.W


GOOD = {
    plain: (1, False),
    learned: (1, False),
    lagged: (2, False),
    three_back: (3, False),
    input_lag: (2, False),
    reversed_rows: (1, True),
    reversed_range: (1, True),
    two_passes: (2, False),
    projected: (1, False),
    running_sum: (2, False),
    mean_over_time: (2, False),
    folded: (1, False),
    folded_half: (2, False),
    half: (1, False),
    bag_of_rows: (1, False),
    one_number: (1, False),
    changes_by_itself: (2, False),
}


@pytest.mark.parametrize("run", most_are_long(GOOD, 2))
def test_the_unrolled_recurrence_is_the_traced_graph(run):
    model, recurrence, build = rolled(run)
    states, reverse = GOOD[run]
    assert len(recurrence.step) == states and [loop.backward for loop in recurrence.loops] == [reverse]
    for length in (8, 10, 20):
        traced = traces_of(model, build, [length])[length]
        again = unroll(recurrence, length)
        assert again is traced.output
        rows = np.random.default_rng(length).normal(size=(length, C)).astype(np.float32)
        known = {build.leaf(Row(t), C): row for t, row in enumerate(rows)}
        known |= {build.leaf(Parameter(i), p.size): p.data.reshape(-1) for i, p in enumerate(model.parameters)}
        (found,) = evaluate([again], known, np.float64)
        np.testing.assert_allclose(found, model(mg.tensor(rows)).data[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("run", GOOD, ids=lambda run: run.__name__)
def test_the_parts_only_read_allowed_leaves(run):
    _, recurrence, _ = rolled(run)
    check(recurrence.initial, [Parameter])
    check(recurrence.step, [Parameter, LoopState, Input])
    check([recurrence.readout], [Parameter, LoopState, Length])
    assert recurrence.dim_input == C
    assert [node.size for node in recurrence.initial] == list(recurrence.state_sizes)


def test_initial_states_are_found():
    assert all(node.is_constant and not node.numbers.any() for node in rolled(lagged)[1].initial)
    (h0,) = rolled(learned)[1].initial
    assert isinstance(h0.leaf, Parameter) and h0.leaf.number == 3
    assert not rolled(folded)[1].initial[0].numbers.any()
    np.testing.assert_array_equal(rolled(half)[1].initial[0].numbers, 0.5)


def together(m, x):
    h, k = zeros(), zeros()
    for x_t in x:
        h, k = mg.tanh(x_t[np.newaxis] @ m.A + h @ m.B), mg.tanh(h @ m.E + k @ m.B)
    return k @ m.W


def the_state_before(m, x):
    h, before = zeros(), zeros()
    for x_t in x:
        before, h = h, mg.tanh(x_t[np.newaxis] @ m.A + h @ m.B)
    return before @ m.W


@pytest.mark.parametrize("run", [together, the_state_before], ids=lambda run: run.__name__)
def test_states_that_the_last_step_does_not_compute_start_as_in_an_empty_sequence(run):
    model, recurrence, build = rolled(run)
    (empty,) = traces_of(model, build, (0,)).values()
    assert unroll(recurrence, 0) is empty.output


def begun_by_computing(m, x):
    h = mg.tanh(m.h0 @ m.B)
    c = h * m.h0
    for x_t in x:
        c = mg.tanh(x_t[np.newaxis] @ m.A + h @ m.E) * c + c
        h = mg.tanh(c)
    return (h + c) @ m.W


@pytest.mark.parametrize(
    ("run", "sizes"),
    [(begun_by_computing, (D, D)), (folded_half, (D, D)), (together, (D, D))],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_special_cases_of_an_empty_sequence_are_compiled(run, sizes):
    model, recurrence, build = rolled(run, (0, *LENGTHS))
    assert recurrence.state_sizes == sizes
    (empty,) = traces_of(model, Builder(), (0,)).values()
    assert unroll(recurrence, 0) is substitute(build, [empty.output], {})[0]
    assert recurrence.readout.operation != "select"


def first_row(m, x):
    return x[:1] @ m.A[:, :2] + plain(m, x)


def test_an_empty_sequence_may_have_logits_of_no_class():
    assert rolled(first_row, (0, *LENGTHS))[1].readout.size == 2


def both_ways_over_two_rows(m, x):
    def last(rows):
        s, before, h = zeros(), np.zeros((1, C), np.float32), zeros()
        for x_t in rows:
            s = mg.tanh(x_t[np.newaxis] @ m.A + s @ m.B)
            h, before = s * (x_t[np.newaxis] @ m.A + before @ (0.5 * m.A)), x_t[np.newaxis]
        return h

    return (last(x) + last(x[::-1])) @ m.W


def test_a_loop_that_carries_rows_leaves_them_to_a_loop_in_the_other_direction():
    recurrence = rolled(both_ways_over_two_rows)[1]
    # The last two rows, a product with the last one, and s.
    assert [sorted(n.size for n in loop.step) for loop in recurrence.loops] == 2 * [[C, C, D, D]]
    # Only the product with each row is passed on, and no step differs.
    assert [[n.size for n in loop.kept.values()] for loop in recurrence.loops] == [[D], []]
    assert not any(n.operation == "select" for n in topological(recurrence.step))


def test_a_model_can_treat_an_empty_sequence_differently():
    def run(m, x):
        return plain(m, x) if len(x) else m.h0[:, :2] * 2

    model, recurrence, build = rolled(run, (0, *LENGTHS))
    assert str(recurrence.step) == str(rolled(plain)[1].step)
    (empty,) = traces_of(model, Builder(), (0,)).values()
    assert unroll(recurrence, 0) is substitute(build, [empty.output], {})[0]


def test_the_length_is_read_if_the_model_divides_by_it():
    readout = rolled(mean_over_time)[1].readout
    assert any(isinstance(node.leaf, Length) for node in topological([readout]))
    assert not any(isinstance(node.leaf, Length) for node in topological([rolled(running_sum)[1].readout]))


def test_names_and_lines_are_preserved():
    _, recurrence, _ = rolled(plain)
    origin = recurrence.origins[recurrence.step[0]]
    assert origin.name == "h" and origin.file.endswith("test_compiler_roll.py")


def every(period, act):
    def run(m, x):
        h = zeros()
        for t, x_t in enumerate(x):
            h = act(m, x_t[np.newaxis], h, t) if t % period == period - 1 else relu(x_t[np.newaxis] @ m.A + h @ m.B)
        return h @ m.W

    return run


def positional(m, x):
    h = zeros()
    for t, x_t in enumerate(x):
        h = mg.tanh(x_t[np.newaxis] @ m.A + h @ m.B + 0.1 * t / len(x))
    return h @ m.W


def first_only(m, x):
    h = zeros()
    for x_t in x[:6]:
        h = relu(x_t[np.newaxis] @ m.A + h @ m.B)
    return h @ m.W


def all_states(m, x):
    seen = [zeros()]
    for x_t in x:
        h = relu(x_t[np.newaxis] @ m.A + seen[-1] @ m.B)
        for old in seen:
            h = h + 0.1 * old * h
        seen.append(h)
    return h @ m.W


def last_row_again(m, x):
    h = zeros()
    for x_t in x:
        h = relu(x_t[np.newaxis] @ m.A + h @ m.B)
    return h @ m.W + x[-1:] @ m.A @ m.W


def middle(m, x):
    return plain(m, x) + x[len(x) // 2][np.newaxis] @ m.A @ m.W


def no_loop(m, x):
    return m.h0 @ m.W


def squared_length(m, x):
    return plain(m, x) * float(len(x)) ** 2


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (every(2, lambda m, x, h, t: mg.tanh(x @ m.A + h @ m.B)), "is not the same computation as"),
        (every(4, lambda m, x, h, t: h), None),
        (every(8, lambda m, x, h, t: mg.tanh(x @ m.A + h @ m.B)), "is not the same computation as"),
        (positional, "numbers that differ from length to length, and are not a fraction of it"),
        (first_only, None),
        (all_states, None),
        (middle, "reads element 6 of a sequence of 13 in another way than those around it"),
        (no_loop, "do not depend on the sequence"),
        (squared_length, "numbers that differ from length to length, and are not a fraction of it"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_model_that_is_not_a_recurrence_is_refused(run, message):
    with pytest.raises(NotARecurrence, match=message) as caught:
        rolled(run)
    assert 'train with engine="mygrad"' in str(caught.value)


def test_the_refusal_shows_the_line_of_a_constant():
    with pytest.raises(NotARecurrence) as caught:
        rolled(squared_length)
    assert "  test_compiler_roll.py:" in str(caught.value) and "float(len(x)) ** 2" in str(caught.value)


def test_a_function_of_the_last_row_alone_is_a_state():
    _, recurrence, _ = rolled(last_row_again)
    assert sorted(recurrence.state_sizes) == [D, D]


@st.composite
def recurrences(draw):
    """Return a builder and a recurrence with a random step that depends on every state."""
    build = Builder()
    count = draw(st.integers(1, 3))
    states = [build.leaf(LoopState(i), D) for i in range(count)]
    row = build.leaf(INPUT, D)
    weight = build.leaf(Parameter(0), D)
    nodes = [*states, row, weight]
    for _ in range(draw(st.integers(0, 6))):
        a, b = draw(st.sampled_from(nodes)), draw(st.sampled_from(nodes))
        nodes.append(build.make(draw(st.sampled_from(["add", "multiply", "maximum"])), a, b))
    first = ops.tanh(ops.add(ops.multiply(weight, draw(st.sampled_from(nodes))), ops.sin(row)))
    for state in states:
        first = first + (state * weight)
    step = [ops.cos(first), *(ops.exp(s + row) for s in states[1:])]
    readout = ops.sin(ops.multiply(states[0], weight))
    for state in states[1:]:
        readout = readout + state
    initial = tuple(build.constant(np.zeros(D)) for _ in states)
    return Recurrence(D, (Loop(initial, tuple(step)),), readout)


@given(recurrences())
def test_rolling_undoes_unrolling(recurrence):
    from myrnn.compiler.trace import Trace

    traces = {n: Trace(n, unroll(recurrence, n), {}) for n in LENGTHS}
    found = roll(Traces(traces, D, ("W",), ((D,),)))
    table = found.readout.build
    (again,) = substitute(table, [unroll(recurrence, 17)], {})
    assert unroll(found, 17) is again
