"""Printed equations are evaluated: they must give the numbers of the recurrence."""

import re

import mygrad as mg
import numpy as np
import pytest
from mygrad import Tensor
from mygrad.nnet.activations import sigmoid, softmax

from marks import most_are_long
from myrnn.compiler import compile
from myrnn.compiler.array_text import array_texts
from myrnn.compiler.equations import kept_names, write_equations
from myrnn.compiler.graph import Builder, evaluate, topological
from myrnn.compiler.leaves import Input, Kept, Length, LoopState, Parameter
from myrnn.compiler.probe import Traces
from myrnn.compiler.roll import roll
from myrnn.compiler.trace import trace_once
from myrnn.models import GRU, LSTM, MLSTM, RNN, RWKV7, SLSTM, GatedDeltaNet, Mamba, StackRNN
from myrnn.models.model import parameter_names


def weight(*shape):
    return Tensor(np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32) * 0.5)


class Base:
    dim_input = 5

    def __init__(self):
        self.A, self.B, self.Wy = weight(5, 7), weight(7, 7), weight(7, 3)

    @property
    def parameters(self):
        return tuple(value for value in vars(self).values() if isinstance(value, Tensor))


def zeros(n=7):
    return np.zeros((1, n), dtype=np.float32)


class FastWeights(Base):
    def __call__(self, x):
        h, F = zeros(), np.zeros((7, 7), dtype=np.float32)
        for x_t in x:
            h = mg.tanh(x_t[None] @ self.A + h @ self.B + h @ F)
            F = F * 0.9 + h.T @ h * 0.1
        return h @ self.Wy


class Lag(Base):
    def __call__(self, x):
        h, before = zeros(), zeros()
        for x_t in x:
            h, before = mg.tanh(x_t[None] @ self.A + h @ self.B + before * 0.5), h
        return h @ self.Wy


class TwoLayers(Base):
    def __init__(self):
        super().__init__()
        self.C, self.D = weight(7, 7), weight(7, 7)

    def __call__(self, x):
        h = g = zeros()
        for x_t in x:
            h = mg.tanh(x_t[None] @ self.A + h @ self.B)
            g = mg.tanh(h @ self.C + g @ self.D)
        return g @ self.Wy


class MeanOverTime(Base):
    def __call__(self, x):
        h, hs = zeros(), []
        for x_t in x:
            h = mg.tanh(x_t[None] @ self.A + h @ self.B)
            hs.append(h)
        return mg.concatenate(hs).mean(axis=0, keepdims=True) @ self.Wy


class Precedence(Base):
    """Expressions that Python would read differently without parentheses."""

    def __call__(self, x):
        h = zeros() + 0.25
        for x_t in x:
            u = x_t[None] @ self.A
            a = h - (u - h) - (h + 0.5 - u)
            b = (1 + u * u) / ((1 + h * h) / (2 + h * u * h * u))
            c = (1.5 + h * h) ** (0.5 * h) ** 2.0
            d = ((1.25 + u * u) ** 1.5) ** 0.5 + (-h) ** 2 - -(h + u)
            e = (u * h) @ self.B + u @ (self.B * 0.5) + (h @ self.B) * u @ self.B.T
            h = mg.tanh(a * (b - c) + d - (e - 1) * -0.1)
        return h @ self.Wy


class Collisions(Base):
    """A state called like the sequence, a variable like a parameter, one name for several values."""

    def __init__(self):
        super().__init__()
        self.h = weight(1, 7)

    def __call__(self, sequence):
        x, h = zeros(), self.h
        for row in sequence:
            A = row[None] @ self.A
            B = x @ self.B + A
            B = mg.tanh(B) * B
            x, h = mg.tanh(B + h * A), mg.tanh(h * 0.5 + A)
        return (x + h) @ self.Wy


class SameExpressionTwice(Base):
    """The readout computes the same of the last state as the step of the one before."""

    def __call__(self, x):
        h = zeros()
        for x_t in x:
            u = mg.tanh(h @ self.B)
            h = u + x_t[None] @ self.A
        u = mg.tanh(h @ self.B)
        return (u * u) @ self.Wy


class Gates(Base):
    def __init__(self):
        self.W, self.b, self.Wy = weight(12, 14), weight(1, 14), weight(7, 3)

    def __call__(self, x):
        h = zeros()
        for x_t in x:
            v = self.gate(x_t[None], h)
            h = h + v * softmax(h)
        return h @ self.Wy

    def gate(self, x, query):
        both = mg.concatenate([x, query], axis=1) @ self.W + self.b
        opened = sigmoid(both[:, :7])
        return opened * mg.tanh(both[:, 7:])


class Backwards(Base):
    def __call__(self, x):
        h = zeros()
        for x_t in x[::-1]:
            h = mg.tanh(x_t[None] @ self.A + h @ self.B)
        return h @ self.Wy


class BothWays(Base):
    """One loop forward and one backward; the logits read the last state of each."""

    def __init__(self):
        super().__init__()
        self.C = weight(7, 7)

    def __call__(self, x):
        return self.ran(x)[1]

    def ran(self, x):
        """Return the states along the sequence, and the logits."""
        f = b = zeros()
        fs, bs = [], []
        for x_t in x:
            f = mg.tanh(x_t[None] @ self.A + f @ self.B)
            fs.append(f)
        for x_t in x[::-1]:
            b = mg.tanh(x_t[None] @ self.A + b @ self.C)
            bs.insert(0, b)
        return {"f": fs, "b": bs}, (f + b) @ self.Wy


class BothWaysTwice(BothWays):
    """A second layer goes both ways over what the first one has at every step."""

    def __init__(self):
        super().__init__()
        self.D, self.E = weight(7, 7), weight(7, 7)

    def ran(self, x):
        """Return the states along the sequence, the values that the second layer reads, and the logits."""
        states, _ = super().ran(x)
        both = [f + b for f, b in zip(states["f"], states["b"], strict=True)]
        g = d = zeros()
        gs, ds = [], []
        for s in both:
            g = mg.tanh(s @ self.D + g @ self.B)
            gs.append(g)
        for s in both[::-1]:
            d = mg.tanh(s @ self.E + d @ self.C)
            ds.insert(0, d)
        return {**states, "g": gs, "d": ds, "s": both}, (g + d) @ self.Wy


class SecondPass(Base):
    """The second loop compares half of every state of the first loop with its last state."""

    def __init__(self):
        super().__init__()
        self.C = weight(7, 7)

    def __call__(self, x):
        h, hs = zeros(), []
        for x_t in x:
            h = mg.tanh(x_t[None] @ self.A + h @ self.B)
            u = h * 0.5
            hs.append(u)
        g = zeros()
        for u in hs:
            g = mg.tanh(u * h + g @ self.C)
        return g @ self.Wy


class Heads(Base):
    def __init__(self):
        self.A, self.U, self.Wy = weight(5, 6), weight(3, 1), weight(6, 3)

    def __call__(self, x):
        h = np.zeros((3, 2), dtype=np.float32)
        for x_t in x:
            z = (x_t @ self.A).reshape(3, 2)
            h = mg.tanh(z * self.U + h[::-1] + (h * h).sum(axis=0) * 0.1 + h.sum(axis=1, keepdims=True) * 0.2)
        return h.reshape(1, 6) @ self.Wy


class DeltaNet(Base):
    """A state that is a matrix, with products of columns and rows and of a vector and a column."""

    def __init__(self):
        super().__init__()
        self.K, self.V, self.b = weight(5, 7), weight(5, 7), weight(5, 1)

    def __call__(self, x):
        S = np.zeros((7, 7), dtype=np.float32)
        for x_t in x:
            k = mg.tanh(x_t[None] @ self.K)
            k = k / mg.sqrt((k * k).sum() + 1e-6)
            S = S + k.T * (sigmoid(x_t[None] @ self.b) * (x_t[None] @ self.V - k @ S))
        return x[-1:] @ self.A @ S @ self.Wy


class DeltaNetWithHeads(Base):
    """A matrix for each of two heads of three units, with a decay for each row and one for each head."""

    def __init__(self):
        self.K, self.V, self.a, self.b = weight(5, 6), weight(5, 6), weight(5, 6), weight(5, 2)
        self.scale, self.Wy = weight(1, 3), weight(6, 3)

    def __call__(self, x):
        S = np.zeros((2, 3, 3), dtype=np.float32)
        for x_t in x:
            k = (x_t[None] @ self.K).reshape(2, 1, 3)
            k = k / mg.sqrt((k * k).sum(axis=-1, keepdims=True) + 1e-6)
            decay = sigmoid(x_t[None] @ self.a).reshape(2, 3, 1) * sigmoid(x_t[None] @ self.b).reshape(2, 1, 1)
            change = (x_t[None] @ self.V).reshape(2, 1, 3) - mg.matmul(k, S)
            S = decay * S + mg.swapaxes(k, 1, 2) * change
        read = mg.matmul((x[-1:] @ self.a).reshape(2, 1, 3), S) * self.scale
        return read.reshape(1, 6) @ self.Wy


class Halves(Base):
    """Rows of two halves, which change places at each step."""

    def __init__(self):
        super().__init__()
        self.C = weight(5, 6)

    def __call__(self, x):
        M = np.zeros((5, 6), dtype=np.float32)
        for x_t in x:
            M = mg.concatenate([M[:, 3:], mg.tanh(M[:, :3] + x_t[:, None] + (M * self.C).sum())], axis=1)
        return M.reshape(1, 30)[:, :7] @ self.Wy


class Constants(Base):
    """Constants on both sides of products; constants and single numbers that are joined; a product with one column."""

    turn = np.array([[0, 1], [-1, 0.5]], dtype=np.float32)

    def __init__(self):
        super().__init__()
        self.U, self.V = weight(7, 2), weight(7, 1)

    def __call__(self, x):
        h, a, S = zeros(), zeros(1), np.zeros((2, 2), dtype=np.float32)
        for x_t in x:
            z = mg.tanh(h @ self.U) @ self.turn
            S = mg.tanh(self.turn @ S + z)
            a = mg.tanh(h @ self.V + a)
            wide = mg.tanh(mg.concatenate([S, self.turn], axis=1)).reshape(1, 8)
            both = mg.concatenate([a, mg.sum(h * h, axis=1, keepdims=True), x_t[None]], axis=1)
            h = mg.tanh(both + wide[:, :7] + 0.1 * h @ np.ones((7, 7), dtype=np.float32))
        return h @ self.Wy


ONE_LOOP = (
    FastWeights, Lag, TwoLayers, MeanOverTime, Precedence, Collisions, SameExpressionTwice, Gates, Backwards,
    Heads, DeltaNet, DeltaNetWithHeads, Halves, Constants,
)  # fmt: skip
SEVERAL_LOOPS = (BothWays, BothWaysTwice, SecondPass)


class Deep(Base):
    """An expression without names that is much deeper than Python's limit."""

    def __call__(self, x):
        h = zeros()
        for x_t in x:
            h = self.deep(x_t[None] @ self.A + h @ self.B)
        return h @ self.Wy

    def deep(self, a):
        return self.deeper([a])

    def deeper(self, held):
        for _ in range(250):
            held[0] = mg.tanh(held[0] * 1.5) - 0.1
        return held[0]


def rolled(model):
    build, rng = Builder(), np.random.default_rng(0)
    dim = model.dim_input
    x = rng.normal(size=(13, dim)).astype(np.float32)
    traces = {n: trace_once(model, model.parameters, x[:n], build) for n in (*range(1, 10), 12, 13)}
    return roll(Traces(traces, dim, parameter_names(model), tuple(p.shape for p in model.parameters)))


def written(model):
    recurrence = rolled(model)
    return recurrence, write_equations(recurrence)


def values_of(recurrence, model, states, kept, row):
    """Return the values of the leaves that the recurrence reads."""
    known = {}
    for node in topological(recurrence.nodes):
        leaf = {
            Parameter: lambda n: model.parameters[n.leaf.number].data.reshape(-1),
            LoopState: lambda n: states[n.leaf.number],
            Kept: lambda n: kept[n.leaf.number],
            Input: lambda n: row,
            Length: lambda n: np.array([4.0]),
        }.get(type(node.leaf))
        if leaf is not None:
            known[node] = leaf(node).astype(np.float64)
    return known


FUNCTIONS = {
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "relu": lambda a: np.maximum(a, 0),
    "softmax": lambda a, axis=-1: np.exp(a) / np.exp(a).sum(axis=axis, keepdims=True),
    "join": lambda *a, axis=0: np.concatenate([np.atleast_1d(one) for one in a], axis=axis),
    **{name: getattr(np, name) for name in ("abs", "array", "broadcast_to", "exp", "full", "logaddexp", "maximum")},
    **{name: getattr(np, name) for name in ("ones", "outer", "sqrt", "sum", "tanh", "zeros")},
}


def computed(text, names):
    """Evaluate an equation with Python; dotted names and dashes become plain ones."""
    plain = {}
    for i, name in enumerate(sorted(names, key=len, reverse=True)):
        text = re.sub(rf"(?<![\w.]){re.escape(name)}(?![\w'.])(?!\w*\()", f"n{i}_", text)
        text = re.sub(rf"(?<![\w.]){re.escape(name)}(?=\.(m?T|ravel|reshape)\b)", f"n{i}_", text)
        plain[f"n{i}_"] = names[name]
    return eval(text, {**FUNCTIONS, "__builtins__": {}}, plain)


@pytest.mark.parametrize(
    "make",
    most_are_long(
        [
            *ONE_LOOP,
            *SEVERAL_LOOPS,
            *(lambda k=k: k(5, 7, 3, rng=0) for k in (RNN, GRU, LSTM, Mamba, StackRNN)),
            *(lambda k=k: k(5, 8, 3, heads=2, rng=0) for k in (GatedDeltaNet, MLSTM, RWKV7, SLSTM)),
        ],
        3,
    ),
)
def test_printed_equations_evaluate_to_the_numbers_of_the_recurrence(make):
    model = make()
    assert_right(model, *written(model))


def assert_right(model, recurrence, equations):
    """Evaluate equations, and compare their numbers with those of the recurrence."""
    rng = np.random.default_rng(1)
    shapes = zip(equations.states, equations.shapes, strict=True)
    states = {name: rng.normal(size=shape) * 0.5 for name, shape in shapes}
    row = rng.normal(size=recurrence.dim_input)
    arrays, build = array_texts(recurrence), recurrence.build
    kept_shapes = {k: arrays[build.leaf(Kept(k), node.size)].shape for k, node in recurrence.kept.items()}
    kept = {k: rng.normal(size=shape) * 0.5 for k, shape in kept_shapes.items()}
    known = values_of(
        recurrence,
        model,
        [np.ravel(state) for state in states.values()],
        {k: np.ravel(one) for k, one in kept.items()},
        row,
    )
    names = states | {f"{name}[t]": kept[k] for k, name in kept_names(recurrence).items()}
    names |= {equations.sequence: row, "T": 4.0}
    for name, parameter in zip(parameter_names(model), model.parameters, strict=True):
        data = parameter.data.astype(np.float64)
        names[f"self.{name}" if name in states else name] = data[0] if data.shape[0] == 1 else data
    parts = [part for loop in equations.loops for part in (loop.initial, loop.step)]
    for part in (*parts, equations.readout):
        found = dict(names)
        expected = evaluate([e.node for e in part], known, np.float64)
        for equation, value in zip(part, expected, strict=True):
            result = computed(equation.text, found)
            wanted, is_initial = value.reshape(equation.shape), any(part is loop.initial for loop in equations.loops)
            # An initial state may be one number, and a product with one column has an axis of length one.
            shape = wanted.shape if is_initial and not np.ndim(result) else np.shape(result)
            while shape[:1] == (1,) != wanted.shape[:1]:
                shape = shape[1:]
            assert shape == wanted.shape, str(equation)
            found_value = np.broadcast_to(result, wanted.shape) if not np.ndim(result) else np.reshape(result, shape)
            np.testing.assert_allclose(found_value, wanted, rtol=1e-5, atol=1e-6, err_msg=str(equation))
            if not is_initial:
                found[equation.name] = result


@pytest.mark.long
def test_deep_expressions_are_split():
    model = Deep()
    recurrence, equations = written(model)
    assert_right(model, recurrence, equations)
    step = equations.loops[0].step
    assert max(len(equation.text) for equation in step) < 300
    assert [equation.name for equation in step[:2]] == ["a", "v_1"]


def test_states_have_the_names_of_variables_before_their_update():
    assert written(FastWeights())[1].states == ("h", "F")
    assert written(Lag())[1].states == ("before", "h")
    assert written(MeanOverTime())[1].states == ("h", "total_h")


def test_new_values_of_several_states_have_dashes():
    assert str(written(Lag())[1]).splitlines() == [
        "before the first step:",
        "    before = 0",
        "    h = 0",
        "for every x:",
        "    h' = tanh(x @ A + h @ B + before * 0.5)",
        "    before' = h",
        "after the last step:",
        "    logits = h @ Wy",
    ]


def test_equations_are_in_the_order_of_the_lines_of_the_model():
    names = {kind: [e.name for e in written(kind(5, 7, 3, rng=0))[1].loops[0].step] for kind in (RNN, GRU, LSTM)}
    assert names == {RNN: ["h"], GRU: ["z", "r", "n", "h"], LSTM: ["i", "f", "o", "g", "c'", "h'"]}


def test_names_are_unique():
    equations = written(Collisions())[1]
    assert equations.sequence == "x_1"
    assert str(equations).splitlines()[2:] == [
        "    h = self.h",
        "for every x_1:",
        "    A_1 = x_1 @ A",
        "    B_1 = x @ B + A_1",
        "    B_2 = tanh(B_1) * B_1",
        "    x' = tanh(B_2 + h * A_1)",
        "    h' = tanh(h * 0.5 + A_1)",
        "after the last step:",
        "    logits = (x + h) @ Wy",
    ]


def test_a_name_ends_with_the_step():
    equations = written(SameExpressionTwice())[1]
    assert equations.states == ("h",)
    assert [str(e) for e in equations.loops[0].step] == ["u = tanh(h @ B)", "h = u + x @ A"]
    assert [str(e) for e in equations.readout] == ["u = tanh(h @ B)", "logits = (u ** 2) @ Wy"]


def test_values_have_shapes_and_sums_name_their_axis():
    step = written(Heads())[1].loops[0].step
    assert [str(e) for e in step] == [
        "z = x @ A",
        "h = tanh(z.reshape(3, 2) * U + h[2::-1] + sum(h ** 2, axis=0) * 0.1 + (sum(h, axis=-1) * 0.2)[:, None])",
    ]


def test_an_equation_lists_what_it_reads():
    step = written(TwoLayers())[1].loops[0].step
    told = [[type(n.leaf) for n in equation.reads] for equation in step]
    assert told[0] == [Input, Parameter, LoopState, Parameter]
    assert step[1].reads[0] is step[0].node
    held = written(Lag())[1].loops[0].step[1]
    assert held.reads == (held.node,)


def test_the_last_row_first():
    assert "for every x, the last one first:" in str(written(Backwards())[1])


def test_loops_are_written_one_after_the_other():
    assert str(written(BothWays())[1]).splitlines() == [
        "before the first step:",
        "    f = 0",
        "for every x:",
        "    f = tanh(x @ A + f @ B)",
        "then:",
        "    b = 0",
        "for every x, the last one first:",
        "    b = tanh(x @ A + b @ C)",
        "after the last step:",
        "    logits = (f + b) @ Wy",
    ]


def test_values_of_every_step_that_later_loops_read_have_an_index():
    assert str(written(BothWaysTwice())[1]).splitlines() == [
        "before the first step:",
        "    f = 0",
        "for every x:",
        "    f = tanh(x @ A + f @ B)",
        "then:",
        "    b = 0",
        "    d = 0",
        "for every x, the last one first:",
        "    b' = tanh(x @ A + b @ C)",
        "    s[t] = f[t] + b'",
        "    d' = tanh(s[t] @ E + d @ C)",
        "then:",
        "    g = 0",
        "for every x:",
        "    g = tanh(s[t] @ D + g @ B)",
        "after the last step:",
        "    logits = (g + d) @ Wy",
    ]


def test_a_loop_reads_last_states_and_stored_values():
    assert str(written(SecondPass())[1]).splitlines() == [
        "before the first step:",
        "    h = 0",
        "for every x:",
        "    h = tanh(x @ A + h @ B)",
        "then:",
        "    g = 0",
        "for every x:",
        "    u = h[t] * 0.5",
        "    g = tanh(u * h + g @ C)",
        "after the last step:",
        "    logits = g @ Wy",
    ]


def test_the_rnn_reads_like_its_equations():
    assert str(compile(RNN(10, 50, 2, rng=0), 13, check=False)).splitlines() == [
        "before the first step:",
        "    h = 0",
        "for every x:",
        "    h = relu(x @ fc_x2h.weight + fc_x2h.bias + h @ fc_h2h.weight)",
        "after the last step:",
        "    logits = h @ fc_h2y.weight + fc_h2y.bias",
    ]


def test_a_state_without_a_variable_is_numbered():
    class Nameless(Base):
        def __call__(self, x):
            return mg.sum(mg.tanh(x @ self.A), axis=0, keepdims=True) @ self.Wy

    compiled = compile(Nameless(), 13, check=False)
    assert compiled.state_names == ("state_0",)
    assert "    state_0 = state_0 + tanh(x @ A)" in str(compiled)
