import io
import re
from functools import cache, partial
from itertools import product

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.losses import softmax_crossentropy
from numpy.testing import assert_allclose
from rich.console import Console
from tests.test_compiler_equations import BothWays, BothWaysTwice, SecondPass

import myrnn
from marks import most_are_long, the_rest_is_long
from myrnn.compiler import compile
from myrnn.errors import CompileError, InvalidArgument, NotARecurrence, NotFinite
from myrnn.graphs import build_graph
from myrnn.inspection import (
    GradientFlow,
    Inspection,
    RecurrentEigenvalues,
    StateSpace,
    gradient_flow,
    incoming_weights,
    inspect,
    recurrent_eigenvalues,
    state_space,
)
from myrnn.models import GRU, LRU, LSTM, MLSTM, RNN, RWKV7, GatedDeltaNet, Mamba
from myrnn.models.stacked import Stacked as StackedCells
from myrnn.plots import plot_matrices
from myrnn.sequences import Sequences
from myrnn.tasks import TwinHalves
from myrnn.tokens import read_tokens, written_tokens
from zoo import LastRow, ShiftedState, made

# `test_cli_inspect` looks inside with machine code.
pytestmark = pytest.mark.usefixtures("module_in_python")

TASK = TwinHalves(pattern_length_max=4)
DIGITS = "1231239"
KINDS = [RNN, GRU, LSTM]


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


def one_hot(tokens, width=10):
    return np.eye(width, dtype=np.float32)[list(map(int, tokens))]


def weight(rng, *shape):
    return mg.tensor((0.4 * rng.normal(size=shape)).astype(np.float32))


@pytest.fixture(scope="module")
def models():
    return {kind: kind(10, 7, 2, rng=1) for kind in KINDS}


@pytest.fixture(scope="module")
def compiled(models):
    return {kind: compile(model) for kind, model in models.items()}


class OwnLoop:
    """A base for models of the tests, which define `step(h, x_t)` and the matrix `out`."""

    def __init__(self, **shapes):
        rng = np.random.default_rng(3)
        for name, shape in shapes.items():
            setattr(self, name, weight(rng, *shape))
        self.parameters = tuple(getattr(self, name) for name in shapes)

    def __call__(self, x):
        h = self.start()
        for x_t in self.order(x):
            h = self.step(h, x_t[np.newaxis])
        return h @ self.out

    def order(self, x):
        return x

    def start(self):
        return np.zeros((1, self.out.shape[0]), dtype=np.float32)


class Plain(OwnLoop):
    def __init__(self):
        super().__init__(into=(3, 5), back=(5, 5), out=(5, 4))

    def step(self, h, x_t):
        return mg.tanh(x_t @ self.into + h @ self.back)


class Backwards(Plain):
    def order(self, x):
        return x[::-1]


class Summing(OwnLoop):
    """Has a state that no matrix multiplies."""

    def __init__(self):
        super().__init__(out=(3, 2))

    def step(self, h, x_t):
        return h + x_t


class GatesTogether(OwnLoop):
    """One matrix for input and state, a gate and a candidate."""

    def __init__(self):
        super().__init__(both=(8, 10), bias=(10,), out=(5, 2))

    def step(self, h, x_t):
        z = mg.concatenate([x_t, h], axis=1) @ self.both + self.bias
        gate = mg.nnet.sigmoid(z[:, :5])
        return gate * h + (1 - gate) * mg.tanh(z[:, 5:])


class FromTheLeft(OwnLoop):
    """Multiplies a column by its matrices."""

    def __init__(self):
        super().__init__(into=(5, 3), back=(5, 5), out=(5, 2))

    def start(self):
        return np.zeros((5, 1), dtype=np.float32)

    def step(self, h, x_t):
        return mg.tanh(self.into @ x_t.T + self.back @ h)

    def __call__(self, x):
        h = self.start()
        for x_t in x:
            h = self.step(h, x_t[np.newaxis])
        return h.T @ self.out


class Stacked(OwnLoop):
    """Two layers; the matrix between them is not recurrent, although it is square."""

    def __init__(self):
        super().__init__(into=(3, 5), low=(5, 5), up=(5, 5), high=(5, 5), out=(5, 2))

    def __call__(self, x):
        low = high = np.zeros((1, 5), dtype=np.float32)
        for x_t in x:
            low, high = (
                mg.tanh(x_t[np.newaxis] @ self.into + low @ self.low),
                mg.tanh(low @ self.up + high @ self.high),
            )
        return (low + high) @ self.out


class Stateless(OwnLoop):
    def __init__(self):
        super().__init__(bias=(1, 2))

    def __call__(self, x):
        return self.bias * 2.0


# --- one sequence: forward


def seen_by_the_readout(model, x):
    """Return the input of the model's last layer after each step, op by op."""
    layer, seen = model.fc_h2y, []

    class Recorder:
        def __call__(self, h):
            seen.append(np.array(getattr(h, "data", h))[0])
            return layer(h)

    model.fc_h2y = Recorder()
    try:
        for t in range(1, len(x) + 1):
            model(x[:t])
    finally:
        model.fc_h2y = layer
    return np.array(seen)


@pytest.mark.parametrize("kind", KINDS)
def test_states_are_those_of_the_models_own_run(kind, models, compiled):
    found = inspect(compiled[kind], DIGITS)
    assert found.states["h"].shape == (7, 7)
    assert_allclose(found.states["h"], seen_by_the_readout(models[kind], one_hot(DIGITS)), rtol=1e-5, atol=1e-6)
    assert found.states["h"].dtype == np.float32
    assert_allclose(found.initial_states["h"], 0)


def test_all_states_of_an_lstm_are_recorded(models, compiled):
    found = inspect(compiled[LSTM], DIGITS)
    assert sorted(found.states) == ["c", "h"]
    states = lstm_states(models[LSTM], one_hot(DIGITS))
    assert_allclose(found.states["c"], [c for c, _ in states], rtol=1e-5, atol=1e-6)
    assert_allclose(found.states["h"], [h for _, h in states], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_those_of_a_sequence_that_ends_there(kind, models, compiled):
    found = inspect(compiled[kind], DIGITS)
    x = one_hot(DIGITS)
    expected = np.concatenate([models[kind](x[:t]).data for t in range(1, len(x) + 1)])
    assert_allclose(found.logits, expected, rtol=1e-4, atol=1e-5)
    powers = np.exp(expected.astype(np.float64))
    assert_allclose(found.probabilities, powers / powers.sum(axis=1, keepdims=True), rtol=1e-4)
    assert found.predicted == expected[-1].argmax()


def test_probabilities_of_huge_logits_are_finite():
    model = RNN(10, 7, 2, rng=1)
    for parameter in model.fc_h2y.parameters:
        parameter.data *= 1000
    assert_allclose(inspect(model, DIGITS).probabilities.sum(axis=1), 1)


# --- one sequence: backward


def loss_of(logits, label):
    return softmax_crossentropy(logits, np.array([label]))


def step_of(kind):
    """Return the step of a library model, written independently: (model, h, x_t) -> h."""

    def rnn(m, h, x):
        return mg.nnet.relu(m.fc_x2h(x) + m.fc_h2h(h))

    def gru(m, h, x):
        z = mg.nnet.sigmoid(m.fc_x2z(x) + m.fc_h2z(h))
        r = mg.nnet.sigmoid(m.fc_x2r(x) + m.fc_h2r(h))
        n = mg.tanh(m.fc_x2n(x) + m.fc_h2n(r * h))
        return n + z * (h - n)

    return {RNN: rnn, GRU: gru}[kind]


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("kind", [RNN, GRU])
def test_gradients_agree_with_mygrad(kind, label, models, compiled):
    found = inspect(compiled[kind], DIGITS, label)
    x, h, states = mg.tensor(one_hot(DIGITS)), np.zeros((1, 7), dtype=np.float32), []
    for x_t in x:
        h = step_of(kind)(models[kind], h, x_t[np.newaxis])
        states.append(h)
    loss = loss_of(models[kind].fc_h2y(h), label)
    loss.backward()
    assert found.loss == pytest.approx(loss.item(), rel=1e-5)
    expected = np.concatenate([state.grad for state in states])
    assert_allclose(found.state_gradients["h"], expected, rtol=1e-4, atol=1e-6)
    assert_allclose(found.input_gradients, x.grad, rtol=1e-4, atol=1e-6)
    assert_allclose(found.state_gradient_norms["h"], np.linalg.norm(expected, axis=1), rtol=1e-4)
    assert_allclose(found.input_gradient_norms, np.linalg.norm(x.grad, axis=1), rtol=1e-4)


def lstm_states(model, x, change=None):
    """Run an LSTM in float64; after `change[0]` steps, `change[1]` is added to the state named `change[2]`."""

    def layer(name, value):
        dense = getattr(model, name)
        bias = dense.bias.data.astype(np.float64)[0] if dense.bias is not None else 0.0
        return value @ dense.weight.data.astype(np.float64) + bias

    def sigmoid(a):
        return 1 / (1 + np.exp(-a))

    states = {"c": np.zeros(7), "h": np.zeros(7)}
    out = []
    for t, x_t in enumerate(x.astype(np.float64), 1):
        i, f, o = (sigmoid(layer(f"fc_x2{g}", x_t) + layer(f"fc_h2{g}", states["h"])) for g in "ifo")
        c = f * states["c"] + i * np.tanh(layer("fc_x2g", x_t) + layer("fc_h2g", states["h"]))
        states = {"c": c, "h": o * np.tanh(c)}
        if change is not None and change[0] == t:
            states[change[2]] = states[change[2]] + change[1]
        out.append((states["c"], states["h"]))
    return out


@pytest.mark.parametrize("state", ["c", "h"])
@pytest.mark.parametrize("step", [1, 4, 7])
def test_gradients_of_an_lstm_are_finite_differences(state, step, models, compiled):
    found = inspect(compiled[LSTM], DIGITS, 1)
    model, x = models[LSTM], one_hot(DIGITS)
    out = model.fc_h2y

    def loss(shift):
        logits = lstm_states(model, x, (step, shift, state))[-1][1] @ out.weight.data.astype(np.float64)
        logits = logits + out.bias.data.astype(np.float64).reshape(-1)
        return np.log(np.exp(logits).sum()) - logits[1]

    expected = [(loss(1e-5 * unit) - loss(-1e-5 * unit)) / 2e-5 for unit in np.eye(7)]
    assert_allclose(found.state_gradients[state][step - 1], expected, rtol=1e-3, atol=1e-6)


def test_the_class_is_the_predicted_one_unless_given(compiled):
    default = inspect(compiled[GRU], DIGITS)
    assert (default.y, default.y_is_predicted) == (default.predicted, True)
    other = inspect(compiled[GRU], DIGITS, np.array([1 - default.predicted], dtype=np.int16))
    assert (other.y, other.y_is_predicted) == (1 - default.predicted, False)
    assert other.loss > default.loss
    assert "the predicted class" in repr(default)
    assert "the given class" in repr(other)


def test_a_backward_loop_is_shown_in_the_order_of_the_sequence():
    x = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    ahead, back = inspect(Plain(), x[::-1], 2), inspect(Backwards(), x, 2)
    assert_allclose(back.states["h"], ahead.states["h"][::-1], rtol=1e-5, atol=1e-6)
    assert_allclose(back.state_gradients["h"], ahead.state_gradients["h"][::-1], rtol=1e-4, atol=1e-6)
    assert_allclose(back.input_gradients, ahead.input_gradients[::-1], rtol=1e-4, atol=1e-6)
    assert_allclose(back.logits[-1], ahead.logits[-1], rtol=1e-5, atol=1e-6)


@cache
def compiled_once(kind):
    """Return a compiled model, which tests must not change."""
    return compile(kind())


@cache
def ran(kind):
    """Return a model, a sequence, its inspection, and the states of the model itself after a backward pass."""
    model, x = compiled_once(kind).model, mg.tensor(np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32))
    found = inspect(compiled_once(kind), x, 1)
    states, logits = model.ran(x)
    loss_of(logits, 1).backward()
    return model, x, found, states


@pytest.mark.parametrize("kind", [BothWays, BothWaysTwice])
def test_states_of_several_loops_are_those_of_the_models_own_run(kind):
    model, x, found, states = ran(kind)
    assert set(found.states) == set(states) - {"s"}
    for name, values in found.states.items():
        assert_allclose(values, np.concatenate([state.data for state in states[name]]), rtol=1e-5, atol=1e-6)
        assert_allclose(found.initial_states[name], 0)
    expected = np.concatenate([model(x.data[:t]).data for t in range(1, 7)])
    assert_allclose(found.logits, expected, rtol=1e-4, atol=1e-5)
    assert_allclose(found.input_gradients, x.grad, rtol=1e-4, atol=1e-6)


def test_gradients_of_both_directions_agree_with_mygrad():
    _, _, found, states = ran(BothWays)
    for name in ("f", "b"):
        expected = np.concatenate([state.grad for state in states[name]])
        assert_allclose(found.state_gradients[name], expected, rtol=1e-4, atol=1e-6)


def test_gradients_of_a_second_layer_agree_with_mygrad():
    _, _, found, states = ran(BothWaysTwice)
    gradients = {name: np.concatenate([state.grad for state in several]) for name, several in states.items()}
    for name in ("f", "g", "d"):
        assert_allclose(found.state_gradients[name], gradients[name], rtol=1e-4, atol=1e-6)
    # Values that a step computes from its state are constants here: later steps of b do not read s.
    assert_allclose(found.state_gradients["b"], gradients["b"] - gradients["s"], rtol=1e-4, atol=1e-6)


# --- one sequence: arguments


@pytest.mark.parametrize(
    "x", [DIGITS, [int(d) for d in DIGITS], np.array(list(DIGITS), dtype=np.uint8), one_hot(DIGITS), "1,2,3,1,2,3,9"]
)
def test_a_sequence_can_have_any_form(x, compiled):
    found = inspect(compiled[RNN], x)
    assert found.tokens.tolist() == [1, 2, 3, 1, 2, 3, 9]
    assert found.x.tolist() == one_hot(DIGITS).tolist()
    assert (len(found), found.predicted) == (7, inspect(compiled[RNN], DIGITS).predicted)


def test_tensors_and_features_are_accepted():
    x = np.random.default_rng(0).normal(size=(4, 3))
    found = inspect(Plain(), mg.tensor(x))
    assert found.tokens is None
    assert_allclose(found.x, x.astype(np.float32))
    assert "symbol" not in found.rows()[0]
    assert repr(found).startswith("Inspection(4 rows of 3 features: class ")


def test_one_step_is_enough(compiled):
    found = inspect(compiled[GRU], "7")
    assert found.states["h"].shape == (1, 7)
    assert found.logits.shape == (1, 2)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ("", "a sequence is empty: write digits, such as 2020"),
        ([], "x is empty: a sequence needs at least one step"),
        (np.zeros((0, 10)), "x is empty: a sequence needs at least one step"),
        ("12x", "sequence '12x': 'x' at place 3 is not a digit"),
        ("1,10", "sequence '1,10': 10 at place 2 is not one of the symbols 0 to 9"),
        ([1, 12], "x must be at most 9, but there is 12 at [1]"),
        ([1, -2], "x must be at least 0, but there is -2 at [1]"),
        (
            np.zeros((4, 3)),
            "x must be one sequence: features of shape (T, 10), integer tokens of shape (T,) or a string of digits, "
            "not float64 of shape (4, 3)",
        ),
        (
            [0.5, 1.0],
            "x must be one sequence: features of shape (T, 10), integer tokens of shape (T,) or a string of digits, "
            "not float64 of shape (2,)",
        ),
        (np.full((1, 10), np.nan), "x must be finite float32, but there is nan at [0, 0]"),
    ],
)
def test_an_invalid_sequence_is_refused(x, message, compiled):
    with refused(message):
        inspect(compiled[RNN], x)


def test_a_model_with_nonfinite_outputs_predicts_no_class():
    model = RNN(10, 8, 2, rng=0)
    model.fc_h2y.bias.data[...] = np.nan
    with refused(
        "the model predicts no class, because its logits are not finite: give one, such as y=0, to inspect it"
    ):
        inspect(model, "1212")
    assert np.isfinite(inspect(model, "1212", y=0).states["h"]).all()


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (2, "y must be at most 1, not 2"),
        (-1, "y must be at least 0, not -1"),
        (0.5, "y must be an integer, not np.float64(0.5)"),
        ([0, 1], "y must be an integer, not [0, 1]"),
    ],
)
def test_an_invalid_class_is_refused(y, message, compiled):
    with refused(message):
        inspect(compiled[RNN], DIGITS, y)


def test_names_must_be_one_for_each_class(compiled):
    with refused("class_names must be one for each of the 2 classes, not 3"):
        inspect(compiled[RNN], DIGITS, class_names=["a", "b", "c"])


@pytest.mark.parametrize("look", [lambda m: inspect(m, "12"), lambda m: gradient_flow(m, TASK), recurrent_eigenvalues])
def test_an_invalid_model_is_refused(look):
    with refused("model must have `parameters` and be callable on one sequence, which int is not"):
        look(3)


@pytest.mark.parametrize("look", [lambda m: inspect(m, "12"), lambda m: gradient_flow(m, TASK), recurrent_eigenvalues])
def test_a_model_without_states_is_refused(look):
    model = Stateless()
    model.dim_input = 10
    with pytest.raises(NotARecurrence, match=r"^the model's logits do not depend on the sequence: there is no loop"):
        look(model)


def test_numbers_of_more_digits_need_commas():
    with refused("sequence '1012': separate numbers by commas, such as 10,3,10,3, because the alphabet has 12 symbols"):
        read_tokens("1012", 12)


@pytest.mark.parametrize(
    ("size", "names", "text"),
    [
        (3, ("a", "b", "c"), "abba"),
        (3, ("up", "down", "stay"), "up down up"),
        (12, tuple(map(str, range(12))), "10,3,11"),
        (3, ("0", "1", "2"), "0120"),
        (3, None, "0120"),
        (12, None, "0,1,2,0"),
    ],
)
def test_a_written_sequence_is_read_back(in_python, size, names, text):
    found = inspect(RNN(size, 4, 2, rng=0), text, symbol_names=names)
    assert found.summary().startswith(f"{text}: ")
    assert written_tokens(found.tokens, names, size) == text
    assert read_tokens(text, size, names) == found.tokens.tolist()


@pytest.mark.parametrize(
    ("names", "text", "message"),
    [
        (("a", "b", "c"), "abd", "sequence 'abd' has the symbol 'd': the symbols are a b c"),
        (("a", "b", "c"), "", "sequence '' is empty: the symbols are a b c"),
        (
            ("up", "b", "c"),
            "upb",
            "sequence 'upb' has the symbol 'upb': write symbols with spaces between, of these: up b c",
        ),
        (("a", "b"), "ab", "symbol_names must be one for each of the 3 symbols, not 2"),
    ],
)
def test_text_that_is_not_of_the_symbols_is_refused(in_python, names, text, message):
    with refused(message):
        inspect(RNN(3, 4, 2, rng=0), text, symbol_names=names)


# --- one sequence: tables


def test_rows_are_plain_records(compiled):
    found = inspect(compiled[LSTM], DIGITS, class_names=TASK.class_names)
    row = found.rows()[2]
    best = int(found.logits[2].argmax())
    assert row == {
        "step": 3,
        "symbol": 3,
        "class": TASK.class_names[best],
        "probability": found.probabilities[2, best],
        "|c|": pytest.approx(np.linalg.norm(found.states["c"][2])),
        "|dL/dc|": found.state_gradient_norms["c"][2],
        "|h|": pytest.approx(np.linalg.norm(found.states["h"][2])),
        "|dL/dh|": found.state_gradient_norms["h"][2],
        "|dL/dx|": found.input_gradient_norms[2],
    }
    assert [type(value) for value in row.values()] == [int, int, str, *[float] * 6]


@pytest.mark.parametrize("kind", most_are_long(KINDS, len(KINDS)))
def test_the_table_fits_a_terminal(kind, compiled):
    table = inspect(compiled[kind], DIGITS, class_names=TASK.class_names).table()

    def body(width):
        console = Console(width=width, record=True, file=io.StringIO())
        console.print(table)
        text = console.export_text()
        assert max(map(len, text.splitlines())) <= width
        return text.rpartition("─")[2]

    rows = [line.split() for line in body(80).splitlines() if line.strip()]
    assert [row[:2] for row in rows] == [[str(i), digit] for i, digit in enumerate(DIGITS, 1)]
    # In a narrow terminal a row continues below.
    assert body(60).split() == body(80).split()


def test_a_notebook_shows_the_table(compiled):
    bundle = inspect(compiled[RNN], DIGITS)._repr_mimebundle_([], [])
    assert "dL/dh" in bundle["text/html"]
    assert "1231239: class" in bundle["text/plain"]


def test_long_sequences_are_not_spelled_out(compiled):
    assert repr(inspect(compiled[RNN], "12" * 21)).startswith("Inspection(42 symbols: ")


# --- many sequences: the flow of gradients


@pytest.fixture(scope="module")
def sequences():
    return TASK.sample(12, np.random.default_rng(5))


@pytest.mark.parametrize(
    ("kind", "relative"), the_rest_is_long(product((RNN, LSTM), (False, True)), (RNN, False), (RNN, True))
)
def test_the_flow_is_made_of_single_inspections(kind, relative, compiled, sequences):
    found = gradient_flow(compiled[kind], sequences, relative=relative)
    assert isinstance(found, GradientFlow)
    assert found.distance.tolist() == list(range(8))
    each = [inspect(compiled[kind], x, y) for x, y in sequences]
    for distance in range(8):
        reaching = [one for one in each if len(one) > distance]
        assert found.count[distance] == len(reaching)
        for name in found.mean:
            norms = np.array([one.state_gradient_norms[name][-1 - distance] for one in reaching])
            if relative:
                norms = norms / [
                    np.sqrt(sum(n[-1] ** 2 for n in one.state_gradient_norms.values())) for one in reaching
                ]
            positive = norms[norms > 0]
            assert found.zeros[name][distance] == pytest.approx(1 - len(positive) / len(norms))
            if len(positive):
                assert found.mean[name][distance] == pytest.approx(np.exp(np.log(positive).mean()))
                low, high = np.quantile(np.log(positive), [0.1, 0.9])
                assert found.low[name][distance] == pytest.approx(np.exp(low))
                assert found.high[name][distance] == pytest.approx(np.exp(high))


def test_the_flow_of_a_loop_begins_at_its_own_last_step():
    x = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    both = compiled_once(BothWays)
    found, one = gradient_flow(both, [(x, 1)]), inspect(both, x, 1)
    assert_allclose(found.mean["f"], one.state_gradient_norms["f"][::-1], rtol=1e-5)
    assert_allclose(found.mean["b"], one.state_gradient_norms["b"], rtol=1e-5)


def test_norms_of_zero_are_counted_apart(compiled, sequences):
    # The readout of an LSTM reads only h, so c has no gradient after the last step.
    found = gradient_flow(compiled[LSTM], sequences)
    assert (found.zeros["c"][0], found.zeros["h"][0]) == (1.0, 0.0)
    assert np.isnan(found.mean["c"][0])
    assert np.isfinite(found.mean["c"][1:]).all()


def test_a_flow_starts_at_one_when_it_is_relative(compiled, sequences):
    found = gradient_flow(compiled[GRU], sequences, relative=True)
    assert found.mean["h"][0] == pytest.approx(1)
    assert found.low["h"][0] == pytest.approx(1)


def test_a_vanishing_gradient_is_seen():
    """If the state is halved at every step, so is the gradient."""
    model = RNN(10, 4, 2, activation="tanh", rng=0)
    model.fc_h2h.weight.data[...] = np.eye(4) / 2
    model.fc_x2h.weight.data[...] = 0
    model.fc_x2h.bias.data[...] = 0
    found = gradient_flow(model, TASK, samples=20, relative=True)
    assert_allclose(found.mean["h"], 0.5 ** np.arange(len(found.distance)), rtol=1e-5)
    assert_allclose(found.high["h"], found.low["h"], rtol=1e-5)


def test_the_same_seed_draws_the_same(compiled):
    one, two, other = (gradient_flow(compiled[RNN], TASK, samples=12, seed=s).mean["h"].tolist() for s in (3, 3, 4))
    assert one == two
    assert one != other


def test_a_flow_has_a_repr_and_rows(compiled, sequences):
    found = gradient_flow(compiled[GRU], sequences)
    assert repr(found).startswith("GradientFlow(GRU, 12 sequences, up to 7 steps back: h ")
    assert found.rows()[0] == {
        "state": "h",
        "distance": 0,
        "count": 12,
        "mean": found.mean["h"][0],
        "low": found.low["h"][0],
        "high": found.high["h"][0],
        "zeros": 0.0,
    }


def test_nothing_can_be_relative_to_zero():
    model = RNN(10, 4, 2, rng=0)
    model.fc_h2y.weight.data[...] = 0
    with refused("the loss's gradient is zero on every sequence, so nothing can be relative to it"):
        gradient_flow(model, TASK, samples=5, relative=True)
    assert repr(gradient_flow(model, TASK, samples=5)).endswith(": h all zero)")


@pytest.mark.parametrize("relative", [False, True])
def test_a_nonfinite_gradient_does_not_count_as_zero(relative):
    model = RNN(10, 4, 2, rng=0)
    model.fc_h2y.weight.data[...] = np.nan
    message = "the loss's gradient is not finite on any sequence: the network's numbers overflow"
    with pytest.raises(NotFinite, match=f"^{message}$"):
        gradient_flow(model, TASK, samples=5, relative=relative)


MANY = [gradient_flow, state_space]


@pytest.mark.parametrize("look", MANY)
@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ("123", {}, "task_or_sequences must be a task, a Sequences or an iterable of (x, y) pairs, not str"),
        (TASK, {"samples": 0}, "samples must be at least 1, not 0"),
        (TASK, {"seed": -1}, "seed must be at least 0, not -1"),
        (TwinHalves(alphabet_size=4), {}, "task_or_sequences has sequences of 4 inputs, but the model takes 10"),
        (Sequences([], [0, 0], [0], 10), {}, "task_or_sequences holds no sequence of at least one step"),
        (
            Sequences([1], [0, 1], [2], 10),
            {},
            "task_or_sequences has a label 2, but the model has 2 classes, 0 .. 1",
        ),
    ],
)
def test_invalid_sequences_are_refused(look, given, options, message, compiled):
    with refused(message):
        look(compiled[RNN], given, **options)


@pytest.mark.parametrize("look", MANY)
def test_empty_sequences_are_skipped(look, compiled):
    data = Sequences([1, 2, 3], [0, 0, 2, 3], [0, 1, 1], 10)
    found = look(compiled[GRU], data)
    assert (found.count.tolist() if look is gradient_flow else found.step.tolist()) in ([2, 1], [1, 2, 1])


# --- many sequences: the space of states


def test_points_are_the_states_of_all_steps(compiled, sequences):
    found = state_space(compiled[GRU], sequences)
    assert isinstance(found, StateSpace)
    each = [inspect(compiled[GRU], x, y) for x, y in sequences]
    points = np.concatenate([one.states["h"] for one in each]).astype(np.float64)
    assert len(found) == len(points) == sequences.lengths.sum()
    assert_allclose((points - found.center) @ found.components.T, found.coordinates, rtol=1e-6, atol=1e-7)
    assert found.symbol.tolist() == sequences.values.tolist()
    assert found.label.tolist() == np.repeat(sequences.labels, sequences.lengths).tolist()
    assert found.step.tolist() == [t for length in sequences.lengths for t in range(1, length + 1)]
    assert found.sequence.tolist() == np.repeat(np.arange(12), sequences.lengths).tolist()


def test_components_are_eigenvectors_of_the_covariance(compiled, sequences):
    found = state_space(compiled[LSTM], sequences, state="c")
    points = np.concatenate([inspect(compiled[LSTM], x, y).states["c"] for x, y in sequences]).astype(np.float64)
    values, vectors = np.linalg.eigh(np.cov(points.T))
    assert_allclose(found.explained, values[::-1][:2] / values.sum(), rtol=1e-6)
    for component, vector in zip(found.components, vectors.T[::-1][:2], strict=True):
        assert_allclose(component, vector * np.sign(vector[np.abs(vector).argmax()]), atol=1e-6)
    assert_allclose(found.coordinates.var(axis=0, ddof=1), values[::-1][:2], rtol=1e-6)
    assert_allclose(found.coordinates.mean(axis=0), 0, atol=1e-9)
    assert np.take_along_axis(found.components, np.abs(found.components).argmax(axis=1)[:, None], 1).min() > 0


def test_the_last_states_alone(compiled, sequences):
    found = state_space(compiled[RNN], sequences, last=True)
    assert found.step.tolist() == sequences.lengths.tolist()
    assert found.label.tolist() == sequences.labels.tolist()
    assert found.symbol.tolist() == [sequences.tokens(i)[-1] for i in range(12)]


def test_a_backward_model_reads_the_first_symbol_last():
    data, model = Sequences([0, 1, 2, 2, 1], [0, 3, 5], [0, 1], 3), compile(Backwards(), dim_input=3)
    found = state_space(model, data)
    assert found.symbol.tolist() == [2, 1, 0, 1, 2]
    assert state_space(model, data, last=True).symbol.tolist() == [0, 2]


def test_each_loop_reads_the_symbols_in_its_own_order():
    data = Sequences([0, 1, 2, 2, 1], [0, 3, 5], [0, 1], 5)
    both = compiled_once(BothWays)
    spaces = {name: state_space(both, data, state=name) for name in ("f", "b")}
    assert spaces["f"].symbol.tolist() == [0, 1, 2, 2, 1]
    assert spaces["b"].symbol.tolist() == [2, 1, 0, 1, 2]
    states = np.concatenate([inspect(both, data.tokens(i)).states["b"][::-1] for i in range(2)])
    assert_allclose(spaces["b"].coordinates, (states - spaces["b"].center) @ spaces["b"].components.T, atol=1e-6)


def test_the_state_that_the_logits_come_from_is_shown(compiled):
    assert inspect(compiled_once(BothWaysTwice), np.zeros((2, 5), dtype=np.float32), 0).main_state == "d"
    assert state_space(compiled[LSTM], TASK, samples=5).state == "h"
    assert inspect(compiled[LSTM], DIGITS).main_state == "h"


@pytest.mark.parametrize(
    ("kind", "settings", "shown", "main"),
    the_rest_is_long(
        [
            GATED := (GatedDeltaNet, {}, ["S"], "S"),
            (MLSTM, {}, ["m", "C", "n"], "C"),
            (LRU, {}, ["real", "imaginary"], "real"),
            (Mamba, {}, ["s"], "s"),
            (RWKV7, {}, ["S"], "S"),
            PER_STEP := (StackedCells, {"cell": "lstm", "layers": 1, "per_step": True}, ["c", "h"], "h"),
        ],
        GATED,
        PER_STEP,
    ),
)
def test_states_that_are_made_of_the_last_rows_alone_are_not_shown(kind, settings, shown, main):
    compiled, data = compile(kind(3, 4, 2, **settings, rng=0)), Sequences([0, 1, 2, 2, 1], [0, 3, 5], [0, 1], 3)
    found = inspect(compiled, [0, 1, 2, 1])
    assert (list(found.states), found.main_state) == (shown, main)
    assert [name for name in found.table().columns if "dL" in name] == [f"|dL/d{name}|" for name in (*shown, "x")]
    if not compiled.per_step:
        assert list(gradient_flow(compiled, data).mean) == shown
        assert state_space(compiled, data).state == main


def test_states_of_a_model_without_others_are_made_of_the_last_rows():
    compiled = compile(LastRow(np.random.default_rng(0)), dim_input=4)
    assert tuple(inspect(compiled, [0, 1, 2]).states) == compiled.state_names


def test_features_have_no_symbols():
    rng = np.random.default_rng(0)
    data = Sequences(rng.normal(size=(6, 3)), [0, 3, 6], [0, 1])
    found = state_space(Plain(), data)
    assert found.symbol is None
    with refused('color="symbol" needs sequences of tokens, but these hold features'):
        found.plot(color="symbol")


def test_a_space_shows_its_variance(compiled):
    found = state_space(compiled[GRU], TASK, samples=5)
    assert repr(found) == (
        f"StateSpace(GRU, state h, {len(found)} points, "
        f"two components explain {found.explained.sum():.0%} of the variance)"
    )
    assert found.class_names == ("no match", "match")


def test_a_space_has_a_table_of_its_components_and_a_row_for_each_point(compiled):
    found = state_space(compiled[GRU], TASK, samples=5)
    assert found.table().columns == {"component": [1, 2], "explained": found.explained.tolist()}
    rows = found.rows()
    assert [row["step"] for row in rows] == found.step.tolist()
    assert [row["symbol"] for row in rows] == found.symbol.tolist()
    assert [[row["component 1"], row["component 2"]] for row in rows] == found.coordinates.tolist()


def test_invalid_arguments_of_a_space_are_refused(compiled):
    with refused("state must be one of 'c', 'h', not 'hidden'"):
        state_space(compiled[LSTM], TASK, state="hidden")
    with refused("state h has one unit, but two principal components need at least two"):
        state_space(RNN(10, 1, 2, rng=0), TASK)
    still = RNN(10, 3, 2, activation="tanh", rng=0)
    for parameter in (*still.fc_x2h.parameters, *still.fc_h2h.parameters):
        parameter.data[...] = 0
    with refused("state h is the same in all 2 points: there is no direction to show"):
        state_space(still, Sequences([1, 2], [0, 2], [0], 10))
    with refused("color must be one of 'step', 'class', 'symbol', not 'length'"):
        state_space(compiled[RNN], TASK, samples=9).plot(color="length")


# --- eigenvalues


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (RNN, ["fc_h2h.weight"]),
        (GRU, ["fc_h2z.weight", "fc_h2r.weight", "fc_h2n.weight"]),
        (LSTM, ["fc_h2i.weight", "fc_h2f.weight", "fc_h2o.weight", "fc_h2g.weight"]),
    ],
)
def test_the_recurrent_matrices_are_found(kind, names, models, compiled):
    found = recurrent_eigenvalues(compiled[kind])
    assert isinstance(found, RecurrentEigenvalues)
    assert list(found.matrices) == list(found.values) == names
    for name in names:
        matrix = getattr(models[kind], name.removesuffix(".weight")).weight.data
        assert found.matrices[name].tolist() == matrix.tolist()
        assert_same_numbers(found.values[name], np.linalg.eigvals(matrix.astype(np.float64)))
        assert found.radius[name] == pytest.approx(abs(np.linalg.eigvals(matrix)).max(), rel=1e-5)


def assert_same_numbers(one, other):
    assert_allclose(np.sort_complex(np.round(one, 9)), np.sort_complex(np.round(other, 9)), atol=1e-7)


def test_eigenvalues_come_in_order(compiled):
    values = recurrent_eigenvalues(compiled[RNN]).values["fc_h2h.weight"]
    sizes = np.abs(values)
    assert (np.diff(sizes) <= 1e-9).all()
    pairs = [i for i in range(len(values) - 1) if abs(values[i] - values[i + 1].conj()) < 1e-9 and values[i].imag != 0]
    assert pairs
    assert all(values[i].imag > 0 for i in pairs)


def test_eigenvalues_have_a_table_of_their_matrices(compiled):
    found = recurrent_eigenvalues(compiled[GRU])
    for row in found.rows():
        sizes = np.abs(found.values[row["matrix"]])
        assert row == {
            "matrix": row["matrix"],
            "size": len(sizes),
            "radius": found.radius[row["matrix"]],
            "outside": (sizes > 1).sum(),
        }
    assert len(found.rows()) == 3


def test_a_square_matrix_between_layers_is_not_recurrent():
    assert list(recurrent_eigenvalues(Stacked()).matrices) == ["low", "high"]


def test_every_loop_has_its_recurrent_matrices():
    assert list(recurrent_eigenvalues(compiled_once(BothWays)).matrices) == ["B", "C"]
    # Both layers share them; the matrix between the layers is not recurrent.
    assert list(recurrent_eigenvalues(compiled_once(BothWaysTwice)).matrices) == ["B", "C"]


def test_gates_in_one_matrix_are_separated():
    model = GatesTogether()
    found = recurrent_eigenvalues(compile(model, dim_input=3))
    assert list(found.matrices) == ["both[3:8, 0:5]", "both[3:8, 5:10]"]
    assert found.matrices["both[3:8, 5:10]"].tolist() == model.both.data[3:8, 5:10].tolist()


def test_a_matrix_on_the_left_of_the_state_is_found():
    model = FromTheLeft()
    found = recurrent_eigenvalues(model)
    assert list(found.values) == ["back"]
    assert_same_numbers(found.values["back"], np.linalg.eigvals(model.back.data.astype(np.float64)))


def test_the_matrix_of_a_state_that_is_shifted_before_is_found():
    model = made(ShiftedState)
    found = recurrent_eigenvalues(model)
    assert_allclose(found.matrices["h"], model.h.data)


def test_results_do_not_change_when_the_model_is_trained_further():
    model = RNN(10, 5, 2, rng=0)
    before = recurrent_eigenvalues(model)
    kept = before.matrices["fc_h2h.weight"].tolist()
    model.fc_h2h.weight.data *= 2
    after = recurrent_eigenvalues(model)
    assert before.matrices["fc_h2h.weight"].tolist() == kept
    assert after.radius["fc_h2h.weight"] == pytest.approx(2 * before.radius["fc_h2h.weight"], rel=1e-6)
    assert (
        repr(after) == f"RecurrentEigenvalues(RNN, largest in size: fc_h2h.weight {after.radius['fc_h2h.weight']:.3f})"
    )


def test_a_model_without_a_recurrent_matrix_is_refused():
    with refused(
        "Summing has no recurrent matrix: none of its parameters, of D rows and D columns, multiplies a state of D "
        "units into itself"
    ):
        recurrent_eigenvalues(Summing())


def test_a_matrix_that_is_not_finite_is_refused(compiled):
    model = RNN(10, 5, 2, rng=0)
    ready = compile(model)
    model.fc_h2h.weight.data[0, 0] = np.inf
    with refused("fc_h2h.weight holds numbers that are not finite, so it has no eigenvalues"):
        recurrent_eigenvalues(ready)


def test_the_argument_before_must_be_eigenvalues(compiled):
    found = recurrent_eigenvalues(compiled[GRU])
    with refused("before must be the result of recurrent_eigenvalues before training, not dict"):
        found.plot(before=found.values)
    with refused("matrix must be one of 'fc_h2z.weight', 'fc_h2r.weight', 'fc_h2n.weight', not 'h'"):
        found.plot(matrix="h")


# --- the weights that lead into a unit


def test_columns_of_all_gates_lead_into_a_unit(models, compiled):
    for kind in KINDS:
        model = models[kind]
        # The reset gates of a GRU multiply the state before the product, so they lead into all units.
        apart = ("fc_h2y", "fc_x2r", "fc_h2r")
        layers = [name for name in vars(model) if name.startswith("fc_") and name not in apart]
        found = incoming_weights(compiled[kind], 4)
        assert sorted(found) == sorted(f"{name}.weight" for name in layers)
        for name in layers:
            assert found[f"{name}.weight"].tolist() == getattr(model, name).weight.data[:, 4].tolist()


def test_the_output_gate_does_not_lead_into_the_cell_state(compiled):
    found = incoming_weights(compiled[LSTM], 0, "c")
    assert sorted(found) == [f"fc_{part}2{gate}.weight" for part in "hx" for gate in "fgi"]


def test_the_readout_leads_into_no_unit_even_where_it_has_as_many_columns():
    found = incoming_weights(RNN(10, 2, 2, rng=0), 1)
    assert list(found) == ["fc_x2h.weight", "fc_h2h.weight"]


def test_gates_in_one_matrix_have_a_column_each():
    model = GatesTogether()
    found = incoming_weights(compile(model, dim_input=3), 2)
    assert {name: column.tolist() for name, column in found.items()} == {
        f"both[:, {place}]": model.both.data[:, place].tolist() for place in (2, 7)
    }


def test_a_matrix_on_the_left_has_rows_for_columns():
    model = FromTheLeft()
    found = incoming_weights(model, 3)
    assert found["into"].tolist() == model.into.data[3].tolist()
    assert found["back"].tolist() == model.back.data[3].tolist()


def test_only_the_layer_of_a_unit_leads_directly_into_it():
    compiled = compile(Stacked())
    found = [sorted(incoming_weights(compiled, 0, name)) for name in compiled.state_names]
    assert sorted(found) == [["high", "up"], ["into", "low"]]


def test_weights_lead_into_a_unit_from_the_previous_loop():
    compiled = compiled_once(BothWaysTwice)
    found = {name: sorted(incoming_weights(compiled, 0, name)) for name in compiled.state_names}
    assert found == {"f": ["A", "B"], "b": ["A", "C"], "g": ["B", "D"], "d": ["C", "E"]}
    assert sorted(incoming_weights(SecondPass(), 0, "g")) == ["A", "B", "C"]


def test_a_single_unit_also_has_weights():
    model = RNN(10, 1, 2, rng=0)
    found = incoming_weights(model, 0)
    assert found["fc_x2h.weight"].tolist() == model.fc_x2h.weight.data[:, 0].tolist()
    assert found["fc_h2h.weight"].tolist() == model.fc_h2h.weight.data[:, 0].tolist()


def test_units_and_states_that_do_not_exist_are_refused(compiled):
    with refused("unit must be at most 6, not 7"):
        incoming_weights(compiled[RNN], 7)
    with refused("state must be one of 'h', not 'c'"):
        incoming_weights(compiled[GRU], 0, "c")


# --- nothing is changed


@pytest.mark.parametrize("kind", most_are_long(KINDS, len(KINDS)))
def test_parameters_and_gradients_stay_the_same_bytes(kind):
    model = kind(10, 7, 2, rng=1)
    model(one_hot(DIGITS)).sum().backward()
    before = [(p.data.tobytes(), p.grad.tobytes()) for p in model.parameters]
    found = inspect(model, DIGITS)
    gradient_flow(model, TASK, samples=5)
    state_space(model, TASK, samples=5)
    eigenvalues = recurrent_eigenvalues(model)
    # The returned arrays are copies, too.
    for array in (
        *found.states.values(),
        *found.state_gradients.values(),
        found.logits,
        *eigenvalues.matrices.values(),
    ):
        array[...] = 7
    plot_matrices(found.weights)
    assert [(p.data.tobytes(), p.grad.tobytes()) for p in model.parameters] == before


def test_a_compiled_model_uses_the_current_weights():
    model = RNN(10, 7, 2, rng=1)
    ready = compile(model)
    first = inspect(ready, DIGITS)
    model.fc_h2y.bias.data[...] = [0, 5]
    second = inspect(ready, DIGITS)
    assert_allclose(second.logits, first.logits + np.array([0, 5]), rtol=1e-5)
    assert_allclose(second.logits, inspect(model, DIGITS).logits)


@pytest.mark.parametrize(
    "look", [lambda m: gradient_flow(m, TASK, samples=5), lambda m: state_space(m, TASK, samples=5)]
)
def test_a_model_that_has_changed_is_refused(look):
    model = RNN(10, 7, 2, rng=1)
    ready = compile(model)
    look(ready)
    model.activation = "tanh"
    with pytest.raises(NotARecurrence, match="does not compute what was compiled"):
        look(ready)


# --- figures


def test_figures_are_drawn_on_given_axes(compiled):
    from matplotlib.figure import Figure

    found = inspect(compiled[LSTM], DIGITS, class_names=TASK.class_names)
    flow, space = gradient_flow(compiled[LSTM], TASK, samples=8), state_space(compiled[LSTM], TASK, samples=8)
    eigenvalues = recurrent_eigenvalues(compiled[LSTM])
    draw = [
        found.plot,
        partial(found.plot, "states", state="c", order="peak"),
        partial(found.plot, "probabilities"),
        partial(found.plot, "gradients"),
        flow.plot,
        space.plot,
        partial(eigenvalues.plot, before=eigenvalues),
        partial(eigenvalues.plot, matrix="fc_h2f.weight"),
    ]
    for one in draw:
        ax = Figure().subplots()
        assert one(ax=ax) is ax
        assert one().figure is not ax.figure
    assert len(eigenvalues.plot("eigenvalues_each", before=eigenvalues)) == len(eigenvalues.matrices) == 4
    assert len(plot_matrices(found.weights)) == 9


def test_an_inspection_draws_its_values(compiled):
    found = inspect(compiled[RNN], DIGITS, class_names=TASK.class_names)
    ax = found.plot()
    assert [tick.get_text() for tick in ax.get_xticklabels()] == list(DIGITS)
    assert sorted(np.asarray(ax.images[0].get_array()).tolist()) == sorted(found.states["h"].T.astype(float).tolist())
    assert found.plot("probabilities").get_lines()[0].get_ydata().tolist() == found.probabilities[:, 1].tolist()
    lines = found.plot("gradients").get_lines()
    assert [line.get_label() for line in lines] == ["state h", "input"]
    assert lines[1].get_ydata().tolist() == found.input_gradient_norms.tolist()
    with refused("state must be one of 'h', not 'c'"):
        found.plot(state="c")
    with refused(
        "what must be one of 'states', 'probabilities', 'gradients', not 'gradient'; did you mean 'gradients'?"
    ):
        found.plot("gradient")


def test_the_public_names_exist():
    assert (myrnn.inspect, myrnn.gradient_flow) == (inspect, gradient_flow)
    assert (myrnn.state_space, myrnn.recurrent_eigenvalues) == (state_space, recurrent_eigenvalues)
    assert isinstance(myrnn.inspect(RNN(10, 5, 2, rng=0), "12"), Inspection)


@pytest.mark.parametrize("steps", [1, 5])
def test_an_input_that_is_kept_as_a_state_has_its_gradient(steps):
    model = made(LastRow)
    x = np.random.default_rng(2).normal(size=(steps, LastRow.C)).astype(np.float32)
    found = inspect(model, x, 1)
    given = mg.tensor(x)
    softmax_crossentropy(model(given), np.array([1])).backward()
    assert_allclose(found.input_gradients, given.grad, atol=1e-6)
    (state,) = found.state_gradients.values()
    assert_allclose(state, given.grad, atol=1e-6)
    assert state[-1].any()


class Positions:
    """A model with a learned row for each of 20 positions."""

    def __init__(self):
        rng = np.random.default_rng(0)
        shapes = (4, 5), (5, 5), (5, 3), (20, 5)
        self.w, self.u, self.v, self.p = (mg.tensor(rng.normal(size=s).astype(np.float32)) for s in shapes)

    @property
    def parameters(self):
        return self.w, self.u, self.v, self.p

    def __call__(self, x):
        h = np.zeros(5, np.float32)
        for t, x_t in enumerate(x):
            h = mg.tanh(x_t @ self.w + h @ self.u + self.p[t])
        return (h @ self.v)[None]


class UntilStepThirty(Positions):
    """Computes something else from step 30 on."""

    def __call__(self, x):
        h = np.zeros(5, np.float32)
        for t, x_t in enumerate(x):
            h = mg.tanh(x_t @ self.w + h @ self.u + self.p[0]) * (1 if t < 30 else 2)
        return (h @ self.v)[None]


@pytest.mark.parametrize("kind", most_are_long([Positions, UntilStepThirty], 2))
def test_a_model_is_inspected_on_sequences_that_it_was_made_for(kind):
    model, rng = kind(), np.random.default_rng(1)
    data = Sequences.from_pairs([(rng.normal(size=(n, 4)), n % 3) for n in range(1, 14)])
    assert len(inspect(model, data[8][0], 1)) == 9
    assert len(gradient_flow(model, data).distance) == 13
    assert len(state_space(model, data)) == data.lengths.sum()
    assert build_graph(model, x=data[8][0]).drawing.rolled


def test_a_model_that_reads_few_steps_is_compiled_without_a_length():
    assert compile(Positions(), dim_input=4).max_length == 16
    with pytest.raises(CompileError, match=r"fails on a sequence of shape \(21, 4\): IndexError: index 20"):
        compile(Positions(), 21, dim_input=4)
