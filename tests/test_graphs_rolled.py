import os
import re
from xml.etree import ElementTree

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.losses import softmax_crossentropy
from tests.test_compiler_equations import (
    Backwards,
    Base,
    BothWays,
    BothWaysTwice,
    Collisions,
    DeltaNetWithHeads,
    FastWeights,
    Gates,
    Lag,
    MeanOverTime,
    Precedence,
    SecondPass,
    TwoLayers,
    written,
)  # fmt: skip
from tests.test_graphs import SVG, overlap

import myrnn
from marks import most_are_long
from myrnn.errors import InvalidArgument, NotARecurrence
from myrnn.graphs import ComputationalGraph, build_graph
from myrnn.graphs.layout import lay_out
from myrnn.graphs.read import ShownLines
from myrnn.graphs.rolled import WIDTH, draw_recurrence, equation_lines, wrapped
from myrnn.models import GRU, LSTM, RNN, Stacked
from myrnn.models.model import parameter_names

# Drawings do not need machine code.
pytestmark = pytest.mark.usefixtures("in_python")


def test_a_network_with_an_output_for_each_step_ends_in_its_last_loop():
    graph = build_graph(Stacked(3, 4, 2, layers=1, per_step=True, rng=0))
    assert "readout" not in graph.to_dot()
    assert "logits" in graph.to_svg()


class Rolled:
    """A recurrence without native functions, which is enough for a drawing without numbers."""

    def __init__(self, model):
        self.model = model
        self.recurrence, self.equations = written(model)


def drawn(model, **shown):
    compiled = Rolled(model)
    return draw_recurrence(compiled, compiled.equations, None, ShownLines(**shown))[0]


def cards(drawing):
    return [
        [node.label for node in drawing.nodes if not node.leaf and node.column == c]
        for c in range(len(drawing.columns))
    ]


def sequence(length=6, seed=0):
    return np.eye(10, dtype=np.float32)[np.random.default_rng(seed).integers(0, 10, length)]


@pytest.fixture(scope="module")
def model():
    return RNN(10, 8, 2, rng=0)


@pytest.fixture(scope="module")
def compiled(model):
    return myrnn.compile(model)


def test_a_model_is_drawn_as_one_step_with_its_loop(model):
    graph = build_graph(model)
    assert repr(graph) == "<ComputationalGraph RNN: state h (8), 170 parameters>"
    drawing = graph.drawing
    assert drawing.columns == ("before", "every step", "readout")
    assert cards(drawing) == [["h = 0"], ["h", "h = relu(…)"], ["logits ="]]
    before, entry, step = (n.key for n in drawing.nodes if not n.leaf and n.column < 2)
    assert drawing.nodes[entry].inputs == (before,)
    assert drawing.loops == ((step, entry),)
    assert drawing.nodes[step].details == (
        "x @ fc_x2h.weight", "+ fc_x2h.bias", "+ h @ fc_h2h.weight", "(8,) · 152 parameters",
    )  # fmt: skip
    leaves = [drawing.nodes[i] for i in drawing.nodes[step].inputs if drawing.nodes[i].leaf]
    assert [(n.label, *n.details) for n in leaves] == [
        ("x", "10"), ("fc_x2h.weight", "10×8 = 80"), ("fc_x2h.bias", "8"), ("fc_h2h.weight", "8×8 = 64"),  # noqa: RUF001
    ]  # fmt: skip
    assert "∇" not in graph.to_svg() and "over" not in " ".join(drawing.nodes[step].tooltip)


def test_the_description_has_the_equations(compiled):
    assert build_graph(compiled).drawing.description == f"RNN: state h (8), 170 parameters. {compiled}"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (GRU, [["h = 0"], ["h", "z = sigmoid(…)", "r = sigmoid(…)", "n = tanh(…)", "h = n + z * (h - n)"]]),
        (
            LSTM,
            [
                ["c = 0", "h = 0"],
                [
                    "c",
                    "h",
                    "i = sigmoid(…)",
                    "f = sigmoid(…)",
                    "o = sigmoid(…)",
                    "g = tanh(…)",
                    "c' = f * c + i * g",
                    "h' = o * tanh(c')",
                ],
            ],
        ),
    ],
)
def test_every_gate_is_a_card_in_the_order_of_the_model(kind, expected):
    assert cards(drawn(kind(10, 8, 2, rng=0)))[:2] == expected


@pytest.mark.parametrize(("kind", "width"), [(RNN, 900), (GRU, 900), (LSTM, 1100)])
def test_the_models_fit_a_notebook(kind, width):
    assert lay_out(drawn(kind(10, 50, 2, rng=0))).width <= width


@pytest.mark.parametrize(
    "make",
    most_are_long(
        [Backwards, Collisions, FastWeights, Gates, Lag, MeanOverTime, Precedence, TwoLayers]
        + [BothWays, BothWaysTwice, SecondPass]
        + [lambda k=k: k(10, 50, 2, rng=0) for k in (RNN, GRU, LSTM)],
        9,
    ),
)
def test_cards_do_not_touch_and_every_operand_has_a_line(make):
    drawing = drawn(make())
    layout = lay_out(drawing)
    boxes = layout.cards
    assert layout.shelf == ()
    assert not any(overlap(a, b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])
    routed = {(route.source, route.target) for route in layout.routes}
    assert routed == {(s, t) for s, t in drawing.edges() if not drawing.nodes[s].leaf} | set(drawing.loops)
    card = {box.key: box for box in boxes}
    for route in layout.routes:
        for box in boxes:
            if box.key in (route.source, route.target) or route.tracks:
                continue
            corners = [(x, y) for x, y in route.points[1:] if box.x < x < box.x + box.width]
            assert not any(box.y < y < box.y + box.height for _, y in corners)
    for state, entry in drawing.loops:
        assert card[entry].y < card[state].y
    ElementTree.fromstring(ComputationalGraph(drawing).to_svg())
    assert ComputationalGraph(drawing).to_dot().count("constraint=false") == len(drawing.loops)


def test_all_states_enter_at_the_top():
    drawing = drawn(LSTM(10, 8, 2, rng=0))
    layout = lay_out(drawing)
    entries = {entry for _, entry in drawing.loops}
    feet = [card.y + card.height for card in layout.cards if card.key in entries]
    others = [c.y for c in layout.cards if c.key not in entries and drawing.nodes[c.key].column == 1]
    assert max(feet) < min(others)


def test_a_state_that_is_a_matrix_is_shown_as_one():
    drawing = drawn(FastWeights())
    assert [n.details[-1] for n in drawing.nodes if n.label in ("F = 0", "F")] == ["7×7", "7×7"]  # noqa: RUF001
    assert drawing.title == "FastWeights: states h (7), F (49), 105 parameters"


def test_states_of_heads_show_the_shape_of_all_their_matrices():
    cards = [n for n in drawn(DeltaNetWithHeads()).nodes if n.label in ("S = 0", "S", "S' =")]
    assert [card.details[-1] for card in cards] == ["2×3×3"] * 3  # noqa: RUF001


def test_a_held_state_and_a_learned_start_have_separate_cards():
    drawing = drawn(Lag())
    held = next(n for n in drawing.nodes if n.label == "before' = h")
    assert [drawing.nodes[i].label for i in held.inputs] == ["h"]
    learned = next(n for n in drawn(Collisions()).nodes if n.label == "h = self.h")
    assert learned.details == ("(7,) · 7 parameters",)
    assert learned.emphasis == "state"
    assert "self.h" in [node.label for node in drawn(Collisions()).nodes if node.kind == "parameter"]


def test_the_length_and_the_direction_are_shown():
    labels = [node.label for node in drawn(MeanOverTime()).nodes if node.kind == "input"]
    assert labels == ["x", "T"]
    assert drawn(Backwards()).columns[1] == "every step, the last row first"


def readers(drawing, label):
    """Return the labels of the cards that read a card."""
    key = next(node.key for node in drawing.nodes if node.label == label)
    return [node.label for node in drawing.nodes if key in node.inputs]


def test_every_loop_has_two_columns():
    drawing = drawn(BothWays())
    assert drawing.columns == ("before", "every step", "then", "every step, the last row first", "readout")
    assert cards(drawing) == [
        ["f = 0"], ["f", "f = tanh(x @ A + f @ B)"], ["b = 0"], ["b", "b = tanh(x @ A + b @ C)"],
        ["logits = (f + b) @ Wy"],
    ]  # fmt: skip
    assert [(drawing.nodes[a].label, drawing.nodes[b].label) for a, b in drawing.loops] == [
        ("f = tanh(x @ A + f @ B)", "f"), ("b = tanh(x @ A + b @ C)", "b"),
    ]  # fmt: skip
    for label in ("f = tanh(x @ A + f @ B)", "b = tanh(x @ A + b @ C)"):
        assert readers(drawing, label) == ["logits = (f + b) @ Wy"]


def test_stored_values_and_last_states_lead_to_later_loops():
    drawing = drawn(BothWaysTwice())
    assert readers(drawing, "f = tanh(x @ A + f @ B)") == ["s[t] = f[t] + b'"]
    assert readers(drawing, "s[t] = f[t] + b'") == ["d' = tanh(s[t] @ E + d @ C)", "g = tanh(s[t] @ D + g @ B)"]
    assert readers(drawing, "d' = tanh(s[t] @ E + d @ C)") == ["logits = (g + d) @ Wy"]
    drawing = drawn(SecondPass())
    # The next loop reads the state of every step, and the last one.
    assert readers(drawing, "h = tanh(x @ A + h @ B)") == ["u = h[t] * 0.5", "g = tanh(u * h + g @ C)"]
    assert readers(drawing, "u = h[t] * 0.5") == ["g = tanh(u * h + g @ C)"]


def test_numbers_of_several_loops_are_those_of_the_model():
    model = BothWaysTwice()
    x = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    tensor = mg.tensor(x)
    graph = build_graph(myrnn.compile(model), x=tensor, y=1, sum_stats=True)
    states, logits = model.ran(tensor)
    softmax_crossentropy(logits, np.array([1])).backward()
    step = {node.label.split()[0].rstrip("'"): node for node in graph.drawing.nodes if node.column % 2 and node.inputs}
    for name, node in step.items():
        numbers = np.concatenate([state.data for state in states[name.removesuffix("[t]")]])
        (line,) = (line for line in node.tooltip if line.startswith("over 6 steps: "))
        low, high, mean = map(float, re.findall(r"-?[\d.]+(?:e-\d+)?", line)[1:])
        assert (low, high) == pytest.approx((numbers.min(), numbers.max()), rel=1e-3)
        assert mean == pytest.approx(numbers.mean(), rel=1e-3, abs=1e-6)
    for name in ("f", "g", "d"):
        expected = np.linalg.norm([state.grad for state in states[name]])
        assert graph.gradients[step[name].key] == pytest.approx(expected, rel=1e-4)
    gradients = {node.label: graph.gradients[node.key] for node in graph.drawing.nodes if node.leaf}
    expected = dict(zip(parameter_names(model), model.parameters, strict=True)) | {"x": tensor}
    assert gradients == {name: pytest.approx(np.linalg.norm(p.grad), rel=1e-4) for name, p in expected.items()}


def test_the_text_of_small_lines():
    def last(**shown):
        return next(n for n in drawn(RNN(10, 8, 2, rng=0), **shown).nodes if n.emphasis == "result").details[2:]

    assert last() == ("(2,) · 18 parameters",)
    assert last(dims=False) == ("18 parameters",)
    assert last(dims=False, dtypes=True) == ("float32 · 18 parameters",)
    assert last(dims=True, dtypes=True) == ("(2,) float32 · 18 parameters",)


def test_chips_show_the_sizes_of_parameters():
    root = ElementTree.fromstring(ComputationalGraph(drawn(RNN(10, 8, 2, rng=0))).to_svg())
    texts = [(element.text, element.get("text-anchor")) for element in root.iter(f"{SVG}text")]
    assert ("10×8 = 80", "end") in texts and ("fc_x2h.weight", None) in texts  # noqa: RUF001


def states_of(model, x):
    """Return the hidden states of the lesson's RNN, by its equation."""
    h, states = np.zeros(8), []
    for row in x:
        h = np.maximum(row @ model.fc_x2h.weight.data + model.fc_x2h.bias.data[0] + h @ model.fc_h2h.weight.data, 0)
        states.append(h)
    return np.stack(states)


def test_a_sequence_shows_the_range_of_values_over_its_steps(model, compiled):
    x = sequence()
    graph = build_graph(compiled, x=x, sum_stats=True)
    states = states_of(model, x)
    step = next(n for n in graph.drawing.nodes if n.label == "h = relu(…)")
    told = f"over 6 steps: values {states.min() + 0.0:.4g} to {states.max():.4g}, mean {states.mean():.4g}"
    assert told in step.tooltip
    assert f"{states.min() + 0.0:.3g} … {states.max():.3g}" in step.details
    assert "before the first step: values 0 to 0, mean 0" in graph.drawing.nodes[0].tooltip
    logits = model(x).data
    result = next(n for n in graph.drawing.nodes if n.emphasis == "result")
    assert result.tooltip[-1].startswith(f"after the last step: values {logits.min():.4g} to {logits.max():.4g}, mean")
    assert graph.gradients == {}


def test_a_label_shows_the_gradients_that_mygrad_finds(model, compiled):
    x = sequence()
    graph = build_graph(compiled, x=x, y=1)
    tensor = mg.tensor(x)
    logits = model(tensor)
    product = logits.creator.variables[0]
    last = product.creator.variables[0]
    softmax_crossentropy(logits, np.array([1])).backward()
    by_label = {node.label: graph.gradients.get(node.key) for node in graph.drawing.nodes}
    for name, parameter in zip(parameter_names(model), model.parameters, strict=True):
        assert by_label[name] == pytest.approx(np.linalg.norm(parameter.grad), rel=1e-4)
    assert by_label["logits ="] == pytest.approx(np.linalg.norm(logits.grad), rel=1e-4)
    assert by_label["x"] == pytest.approx(np.linalg.norm(tensor.grad), rel=1e-4)
    step = next(n for n in graph.drawing.nodes if n.label == "h = relu(…)")
    assert step.tooltip[-1].endswith(f"{np.linalg.norm(last.grad):.3g} after the last")
    assert by_label["h = relu(…)"] >= np.linalg.norm(last.grad) * 0.999
    assert "gradient: L2 norm" in graph.to_svg()
    for parameter in model.parameters:
        parameter.null_grad()


def test_a_drawing_changes_nothing_in_the_model(model, compiled):
    before = [parameter.data.copy() for parameter in model.parameters]
    marks = [np.full(parameter.shape, i, dtype=np.float32) for i, parameter in enumerate(model.parameters)]
    for parameter, mark in zip(model.parameters, marks, strict=True):
        parameter._grad = mark
    build_graph(compiled, x=sequence(), y=[1])
    graph = build_graph(model, x=sequence(), y=1, rolled=False)
    assert len(graph.gradients) > 20
    for parameter, values, mark in zip(model.parameters, before, marks, strict=True):
        assert parameter._grad is mark
        assert np.array_equal(parameter.data, values)
        assert parameter.data.flags.writeable
        parameter._grad = None


@pytest.mark.parametrize("given", ["model", "compiled"])
def test_unrolled_a_model_is_all_steps_of_one_sequence(given, model, compiled):
    x = sequence(3)
    graph = build_graph({"model": model, "compiled": compiled}[given], x=x, y=1, rolled=False)
    assert graph.drawing.columns == ("t = 0", "t = 1", "t = 2", "readout")
    labels = {node.label for node in graph.drawing.nodes}
    assert {"x[0]", "x[1]", "x[2]", "fc_h2h.weight", "logits = add", "loss = softmax_crossentropy"} <= labels
    plain = build_graph(model, x=mg.tensor(x), rolled=False)
    assert plain.drawing.nodes[-1].label == "logits = add"
    assert plain.gradients == {}
    named = build_graph(model, names={"net": model, "sequence": x}, x=x, rolled=False)
    assert named.drawing.nodes[-1].emphasis == "result"


def test_a_loss_is_still_drawn_unrolled(model):
    x = sequence(3)
    loss = softmax_crossentropy(model(x), np.array([1]))
    first = build_graph(loss, names={"model": model, "x": x}).to_svg()
    assert build_graph(loss, {"model": model, "x": x}, rolled=False).to_svg() == first
    assert build_graph(fin=loss).drawing.columns == ("t = 0", "t = 1", "t = 2", "readout")


def test_saving_and_not_rendering(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert build_graph(model, x=sequence(2), rolled=False, render=False, save=True) is None
    assert os.listdir() == ["computational_graph.svg"]


def test_errors_show_valid_arguments(model, compiled):
    loss = model(sequence(2)).sum()
    with pytest.raises(InvalidArgument, match=r"rolled=True draws the step.*pass the model, build_graph\(model\)"):
        build_graph(loss, rolled=True)
    with pytest.raises(InvalidArgument, match="x and y are for a model"):
        build_graph(loss, x=sequence(2))
    with pytest.raises(InvalidArgument, match=r"rolled=False draws all steps of one sequence: pass the sequence, x="):
        build_graph(model, rolled=False)
    with pytest.raises(InvalidArgument, match=r"y is the class of a sequence: pass the sequence too, x="):
        build_graph(model, y=1)
    with pytest.raises(InvalidArgument, match="or a model with `parameters`, not int"):
        build_graph(3)
    with pytest.raises(InvalidArgument, match="must be a model, not the class RNN"):
        build_graph(RNN)
    with pytest.raises(InvalidArgument, match=r"x must be one sequence of shape \(T, 10\)"):
        build_graph(compiled, x=np.zeros((4, 3)))
    with pytest.raises(InvalidArgument, match="a label is 5, but the model has 2 classes"):
        build_graph(compiled, x=sequence(2), y=5)


def test_a_graph_of_a_model_that_is_not_a_recurrence_is_refused():
    class Positional(Base):
        def __call__(self, x):
            h = np.zeros((1, 7), dtype=np.float32)
            for t, x_t in enumerate(x):
                h = mg.tanh(x_t[None] @ self.A + h @ self.B + 0.1 * t / len(x))
            return h @ self.Wy

    with pytest.raises(NotARecurrence, match="from length to length, and are not a fraction of it"):
        build_graph(Positional())


@pytest.mark.parametrize(
    ("text", "label", "lines"),
    [
        ("0", "h = 0", ()),
        ("tanh(x @ A + h @ B)", "h = tanh(x @ A + h @ B)", ()),
        ("tanh(x @ input.weight + h @ hidden.weight)", "h = tanh(…)", ("x @ input.weight", "+ h @ hidden.weight")),
        ("tanh(a_long_name) * sigmoid(another_name)", "h =", ("tanh(a_long_name)", "* sigmoid(another_name)")),
        ("maximum(one.weight, another.weight)", "h =", ("maximum(one.weight,", "another.weight)")),
    ],
)
def test_equations_are_broken_at_their_weakest_operators(text, label, lines):
    assert equation_lines("h", text) == (label, lines)


def test_a_long_sum_fills_its_lines():
    text = " + ".join(f"term_{i}" for i in range(12)) + " - (" + " + ".join(f"inner_{i}" for i in range(9)) + ")"
    lines = wrapped(text)
    assert " ".join(lines) == text
    assert max(map(len, lines)) <= WIDTH
    assert len(lines) <= 1.5 * len(text) / WIDTH
    assert re.fullmatch(r"\w{40}", wrapped("x" * 40)[0])


class Alternating(RNN):
    def __call__(self, x):
        h = np.zeros((1, 8), np.float32)
        for t, x_t in enumerate(x):
            h = mg.tanh(self.fc_x2h(x_t[None]) + self.fc_h2h(h)) if t % 2 == 0 else 0.5 * h
        return self.fc_h2y(h)


class FirstDiffers(RNN):
    def __call__(self, x):
        h = np.zeros((1, 8), np.float32)
        for t, x_t in enumerate(x):
            h = (mg.sin if t == 1 else mg.tanh)(self.fc_x2h(x_t[None]) + self.fc_h2h(h))
        return self.fc_h2y(h)


class EveryStep(RNN):
    def __call__(self, x):
        h, out = np.zeros((1, 8), np.float32), []
        for t, x_t in enumerate(x):
            h = mg.tanh(self.fc_x2h(x_t[None]) + self.fc_h2h(h) + t / len(x))
            out.append(self.fc_h2y(h))
        return mg.concatenate(out)


class StateEveryStep(RNN):
    """Its outputs are its states."""

    def __call__(self, x):
        h, out = np.zeros((1, 8), np.float32), []
        for x_t in x:
            h = mg.tanh(self.fc_x2h(x_t[None]) + self.fc_h2h(h))
            out.append(h)
        return mg.concatenate(out)


@pytest.mark.parametrize(
    ("kind", "classes", "y"),
    [
        pytest.param(Alternating, 2, [1], marks=pytest.mark.long),
        (FirstDiffers, 2, [1]),
        (EveryStep, 2, [1, 0, 1, 0, 0, 1]),
        # As many classes as steps.
        pytest.param(EveryStep, 6, [5, 0, 3, 1, 0, 2], marks=pytest.mark.long),
        (EveryStep, 2, [-1, 0, -1, -1, 1, 1]),
        (StateEveryStep, 2, [7, 0, 3, 1, 0, 2]),
    ],
)
def test_steps_that_differ_and_outputs_at_every_step_show_mygrads_numbers(kind, classes, y):
    model, x, y = kind(4, 8, classes, rng=0), np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 0, 1]], np.array(y)
    # Without a `dim_input` the sequence says how many inputs there are.
    del model.dim_input
    graph = build_graph(model, x=x, y=y)
    logits = model(x)
    softmax_crossentropy(logits[y >= 0], y[y >= 0]).backward()
    gradients = {node.label: graph.gradients[node.key] for node in graph.drawing.nodes if node.kind == "parameter"}
    named = dict(zip(parameter_names(model), model.parameters, strict=True))
    assert gradients == {name: pytest.approx(np.linalg.norm(named[name].grad), rel=1e-4) for name in gradients}
    result = next(n for n in graph.drawing.nodes if n.emphasis == "result")
    assert graph.gradients[result.key] == pytest.approx(np.linalg.norm(logits.grad), rel=1e-4)
    low, high = logits.data.min(), logits.data.max()
    assert any(f"values {low:.4g} to {high:.4g}, mean" in line for line in result.tooltip)


def test_the_number_of_the_step_is_an_input_of_its_own():
    labels = [node.label for node in build_graph(Alternating(4, 8, 2, rng=0)).drawing.nodes if node.kind == "input"]
    assert sorted(labels) == ["t", "x"]
