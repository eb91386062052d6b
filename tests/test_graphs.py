import gc
import os
import re
import shutil
import subprocess
from itertools import combinations
from types import SimpleNamespace
from xml.etree import ElementTree

import mygrad as mg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mygrad.nnet.losses import softmax_crossentropy

from myrnn.errors import InvalidArgument
from myrnn.graphs import ComputationalGraph, build_graph
from myrnn.graphs.layout import HEADING, lay_out
from myrnn.graphs.read import Drawing, GraphNode
from myrnn.models import GRU, LSTM, RNN

SVG = "{http://www.w3.org/2000/svg}"


def loss_of(model, length, seed=0):
    x = np.eye(10, dtype=np.float32)[np.random.default_rng(seed).integers(0, 10, length)]
    return softmax_crossentropy(model(x), np.array([1])), x


def reached(loss):
    """Every tensor upstream of `loss`, by identity."""
    found, stack = {}, [loss]
    while stack:
        tensor = stack.pop()
        if id(tensor) not in found:
            found[id(tensor)] = tensor
            if tensor.creator is not None:
                stack.extend(tensor.creator.variables)
    return list(found.values())


def overlap(a, b):
    return a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height


def assert_well_placed(drawing):
    """Check that operations have one card, leaves a chip where they are read, and nothing overlaps or goes back."""
    drawing.check()
    layout = lay_out(drawing)
    operations = [node for node in drawing.nodes if not node.leaf]
    assert [card.key for card in layout.cards] == [node.key for node in operations]
    for card in layout.cards:
        read = [i for i in drawing.nodes[card.key].inputs if drawing.nodes[i].leaf]
        assert sorted(chip.key for chip in card.chips) == sorted(read)
    assert {card.key for card in layout.shelf} == {n.key for n in drawing.nodes if n.kind == "parameter"}
    boxes = (*layout.cards, *layout.shelf)
    assert not any(overlap(a, b) for a, b in combinations(boxes, 2))
    for box in boxes:
        assert box.x >= 0 and box.y >= 0
        assert box.x + box.width <= layout.width and box.y + box.height <= layout.height
    for card in layout.cards:
        band = layout.bands[drawing.nodes[card.key].column]
        assert band.x < card.x and card.x + card.width < band.x + band.width
        assert band.y + HEADING <= card.y and card.y + card.height < band.y + band.height
    card = {card.key: card for card in layout.cards}
    routed = {(route.source, route.target) for route in layout.routes}
    assert routed == {(s, t) for s, t in drawing.edges() if not drawing.nodes[s].leaf} | set(drawing.loops)
    for source, target in routed - set(drawing.loops):
        above, below = card[source], card[target]
        if drawing.nodes[source].column == drawing.nodes[target].column:
            assert above.y + above.height < below.y
        else:
            assert above.x + above.width < below.x
    return layout


def loop(a, b):
    for _ in range(3):
        a = mg.tanh(mg.matmul(a, b) + a)
    return a


OPERATIONS = {
    "loop": loop,
    "add": lambda a, b: a + b,
    "multiply": lambda a, b: a * b,
    "subtract": lambda a, b: a - b,
    "tanh": lambda a, b: mg.tanh(a),
    "index": lambda a, b: a[::-1],
    "matmul": lambda a, b: mg.matmul(a, b),
    "where": lambda a, b: mg.where(np.array([[True, False], [False, True]]), a, b),
}


@st.composite
def tensors(draw):
    """The result of a random graph of operations on a few shared leaves, so that equal operations are frequent."""
    pool = [mg.tensor(np.eye(2)), mg.tensor(np.ones((2, 2))), np.full((2, 2), 0.5), 2.0]
    for name in draw(st.lists(st.sampled_from(sorted(OPERATIONS)), min_size=1, max_size=25)):
        a, b = (draw(st.integers(0, len(pool) - 1)) for _ in range(2))
        left = pool[a] if isinstance(pool[a], mg.Tensor) else pool[0]
        right = pool[b] if name not in ("loop", "matmul", "where") or isinstance(pool[b], mg.Tensor) else pool[1]
        pool.append(OPERATIONS[name](left, right))
    return pool[-1]


@given(tensors())
def test_random_graphs_are_read_once_placed_well_and_written_as_xml(result):
    graph = build_graph(result)
    drawing = graph.drawing
    found = reached(result)
    assert sum(not node.leaf for node in drawing.nodes) == sum(t.creator is not None for t in found)
    trained = [t for t in found if t.creator is None and not t.constant]
    assert sum(node.kind == "parameter" for node in drawing.nodes) == len(trained)
    arrays = {(t.data.ctypes.data, t.shape) for t in found if t.creator is None and t.constant}
    assert sum(node.kind in ("constant", "input") for node in drawing.nodes) == len(arrays)
    assert_well_placed(drawing)
    ElementTree.fromstring(graph.to_svg())
    result.backward()
    assert len(graph.gradients) >= 2
    ElementTree.fromstring(graph.to_svg())


@pytest.mark.parametrize("kind", [RNN, GRU, LSTM])
@pytest.mark.parametrize("length", [2, 3, 20])
def test_each_step_of_a_model_is_a_column(kind, length):
    loss, x = loss_of(kind(10, 8, 2), length)
    drawing = build_graph(loss, {"x": x}).drawing
    assert drawing.columns == (*(f"t = {t}" for t in range(length)), "readout")
    columns = [[n.label for n in drawing.nodes if n.column == c and not n.leaf] for c in range(length + 1)]
    assert all(sorted(column) == sorted(columns[0]) for column in columns[:length])
    assert columns[-1] == ["matmul", "add", "result = softmax_crossentropy"]
    for node in drawing.nodes:
        rows = [drawing.nodes[i].label for i in node.inputs if drawing.nodes[i].kind == "input"]
        assert rows in ([], [f"x[{node.column}]"])
    states = [node.column for node in drawing.nodes if node.emphasis == "state"]
    assert sorted(states) == sorted(list(range(length)) * (2 if kind is LSTM else 1))
    assert_well_placed(drawing)


def test_columns_of_two_layers_a_learned_start_a_running_sum_and_inputs_multiplied_before_the_loop():
    rng = np.random.default_rng(0)
    w, u, v, start = (mg.tensor(rng.normal(size=shape)) for shape in [(4, 3), (3, 3), (3, 3), (1, 3)])
    projected = mg.matmul(rng.normal(size=(5, 4)), w)
    h, k, total = start, np.zeros((1, 3)), 0.0
    for t in range(5):
        h = mg.tanh(projected[t : t + 1] + mg.matmul(h, u))
        k = mg.tanh(h + mg.matmul(k, v))
        total = total + k
    drawing = build_graph(total.sum()).drawing
    assert drawing.columns == ("before", "t = 0", "t = 1", "t = 2", "t = 3", "t = 4", "readout")
    before = [node.label for node in drawing.nodes if node.column == 0 and not node.leaf]
    assert before == ["matmul"]
    indices = {node.label: node.column for node in drawing.nodes if node.label.startswith("getitem")}
    assert indices == {f"getitem[{t}:{t + 1}]": t + 1 for t in range(5)}
    assert sorted(n.column for n in drawing.nodes if n.emphasis == "state") == sorted([1, 2, 3, 4, 5] * 3)
    assert_well_placed(drawing)


def test_a_computed_start_is_distinguished_from_later_states():
    u, p = mg.tensor(np.eye(3)), mg.tensor(np.ones((1, 3)))
    h = mg.tanh(p)
    for _ in range(4):
        h = mg.tanh(np.ones((1, 3)) + mg.matmul(h, u))
    drawing = build_graph(h.sum()).drawing
    assert drawing.columns == ("t = 0", "t = 1", "t = 2", "t = 3", "readout")


def test_a_step_that_reads_its_state_through_several_weights_is_one_column():
    u, v, h = mg.tensor(np.eye(3)), mg.tensor(np.eye(3)), np.zeros((1, 3))
    for _ in range(3):
        gate = mg.exp(mg.matmul(h, u))
        h = mg.tanh(mg.matmul(gate * h, v) + mg.matmul(h, u.T))
    drawing = build_graph(h.sum()).drawing
    assert drawing.columns == ("t = 0", "t = 1", "t = 2", "readout")
    assert [n.label for n in drawing.nodes if n.emphasis == "state"] == ["tanh"] * 3


def test_a_state_that_is_read_next_to_a_function_of_weights_is_found():
    u, w = mg.tensor(np.ones((1, 3))), mg.tensor(np.eye(3))
    h = np.zeros((1, 3))
    for t in range(3):
        h = mg.tanh(mg.matmul(np.full((1, 3), float(t)), w) * u + h)
    assert build_graph(h.sum()).drawing.columns == ("t = 0", "t = 1", "t = 2", "readout")


def test_a_graph_without_a_recurrence_is_one_column_without_a_heading():
    w = [mg.tensor(np.eye(3)) for _ in range(3)]
    h = np.ones((1, 3))
    for weight in w:
        h = mg.tanh(mg.matmul(h, weight))
    drawing = build_graph(h).drawing
    assert drawing.columns == ("",)
    assert_well_placed(drawing)


def test_a_weight_used_in_parallel_is_not_a_recurrence():
    u, w, h = mg.tensor(np.eye(3)), mg.tensor(np.eye(3)), np.ones((1, 3))
    for _ in range(3):
        h = mg.tanh(mg.matmul(h, u))
    twins = mg.matmul(np.ones((1, 3)), w) + mg.matmul(h, w)
    assert build_graph(twins).drawing.columns == ("t = 0", "t = 1", "t = 2", "readout")


@pytest.mark.long
def test_deep_graphs_need_no_recursion():
    steps = 2000
    u, h, plain = mg.tensor(np.eye(2)), np.zeros((1, 2)), mg.tensor(1.0)
    for _ in range(steps):
        h = mg.tanh(mg.matmul(h, u) + 1.0)
        plain = mg.cos(plain)
    graph = build_graph(h.sum())
    assert len(graph.drawing.columns) == steps + 1
    assert build_graph(plain).drawing.columns == ("",)
    assert graph.to_svg().count("<path") > steps
    assert len(lay_out(build_graph(plain).drawing).cards) == steps


def test_shared_nodes_are_visited_once():
    x = mg.tensor(1.0)
    y = x
    for _ in range(60):  # 2 ** 60 paths
        y = y + y
    assert len(build_graph(y).drawing.nodes) == 61


def test_names_of_tensors_parameters_rows_and_constants():
    model = RNN(10, 8, 2)
    x = np.eye(10, dtype=np.float32)[[2, 0]]
    output = model(x)
    loss = softmax_crossentropy(output, np.array([1]))
    names = {"model": model, "x": x, "output": output, "loss": loss}
    labels = {node.label for node in build_graph(loss, names=names).drawing.nodes}
    parameters = ("fc_x2h.weight", "fc_x2h.bias", "fc_h2h.weight", "fc_h2y.weight", "fc_h2y.bias")
    assert {f"model.{name}" for name in parameters} <= labels
    assert {"x[0]", "x[1]", "zeros", "output = add", "loss = softmax_crossentropy"} <= labels


def test_the_shortest_name_wins_then_attributes_before_indices():
    w = mg.tensor([1.0])
    deep = SimpleNamespace(layer=SimpleNamespace(weight=w))
    listed = SimpleNamespace(parameters=[w])
    hidden = {"_": w, "_12": w, "Out": [w], "In": w}

    def name(names):
        return build_graph(w * 2.0, names=names).drawing.nodes[0].label

    assert name({"deep": deep}) == "deep.layer.weight"
    assert name({"listed": listed, "deep": deep}) == "deep.layer.weight"
    assert name({"listed": listed}) == "listed.parameters[0]"
    assert name({"by_name": {"w": w}}) == "by_name['w']"
    assert name({"deep": deep, "short": w}) == "short"
    assert name(hidden) == "unnamed tensor"
    assert name({"layers": SimpleNamespace(layers=[SimpleNamespace(w=w)])}) == "layers.layers[0].w"


def test_slots_are_searched_and_properties_are_not_run():
    class Slotted:
        __slots__ = ("unset", "weight")

        def __init__(self, weight):
            self.weight = weight

        @property
        def trap(self):
            raise AssertionError("a property ran")

    w = mg.tensor([1.0])
    assert build_graph(w * 2.0, names={"cell": Slotted(w)}).drawing.nodes[0].label == "cell.weight"


@pytest.mark.parametrize(
    ("part", "label"),
    [
        (lambda x: x, "x"),
        (lambda x: x[3], "x[3]"),
        (lambda x: x[3][np.newaxis], "x[3]"),
        (lambda x: x[1:3], "x[1:3]"),
        (lambda x: x[:, 2], "part of x"),
        (lambda x: x[::2], "part of x"),
        (lambda x: x[3].copy(), "constant"),
        (lambda x: np.zeros(4), "zeros"),
        (lambda x: np.ones((1, 4)), "ones"),
        (lambda x: np.full(4, 0.25), "all 0.25"),
        (lambda x: np.array(1.5), "1.5"),
    ],
)
def test_constants_are_labelled(part, label):
    x = np.arange(20.0).reshape(5, 4)
    w = mg.tensor(np.ones((5, 1) if part(x).shape == (5, 4) else 1))
    drawing = build_graph(w * part(x), names={"x": x}).drawing
    assert [n.label for n in drawing.nodes if n.kind in ("input", "constant")] == [label]


def test_gradients_show_after_backward_as_mygrad_holds_them():
    model = LSTM(10, 6, 2)
    loss, x = loss_of(model, 4)
    kept = reached(loss)
    graph = build_graph(loss, names={"model": model, "x": x})
    before = graph.to_svg()
    assert graph.gradients == {}
    assert "∇" not in before
    loss.backward()
    sizes = sorted(float(np.linalg.norm(t.grad)) for t in kept if t.grad is not None)
    assert sorted(graph.gradients.values()) == pytest.approx(sizes)
    weight = next(n for n in graph.drawing.nodes if n.label == "model.fc_h2g.weight")
    assert graph.gradients[weight.key] == pytest.approx(np.linalg.norm(model.fc_h2g.weight.grad))
    assert f"gradient: L2 norm {graph.gradients[weight.key]:.6g}" in graph.to_svg()
    assert "∇" in graph.to_dot()


def test_gradients_of_views_show_too():
    x, w = mg.tensor(np.ones((3, 2))), mg.tensor(2.0)
    loss = sum((w * x_t).sum() for x_t in x)
    graph = build_graph(loss)
    loss.backward()
    views = [n.key for n in graph.drawing.nodes if n.label.startswith("getitem")]
    assert [graph.gradients[key] for key in views] == pytest.approx([np.sqrt(8)] * 3)


def test_gradients_show_when_a_later_tensor_runs_the_backward_pass():
    w = mg.tensor([3.0, 4.0])
    loss = (w * w).sum()
    graph = build_graph(loss)
    (loss * 2.0).backward()
    assert sorted(graph.gradients.values()) == pytest.approx([2.0, 2 * np.sqrt(2), 20.0])


def test_gradients_are_those_of_the_drawn_graph():
    w = mg.tensor([3.0, 4.0])
    loss = (w * w).sum()
    graph = build_graph(loss)
    loss.backward()
    noted = graph.gradients
    (w * 100.0).sum().backward()
    assert graph.gradients == noted


@pytest.mark.parametrize("end", ["clear", "drop"])
def test_a_graph_without_a_backward_pass_shows_no_gradients_of_another(end):
    w = mg.tensor([3.0, 4.0])
    loss = (w * w).sum()
    graph = build_graph(loss)
    (w * 100.0).sum().backward()
    assert w.grad is not None
    if end == "clear":
        loss.clear_graph()
    del loss
    assert graph.gradients == {}


@pytest.mark.parametrize("end", ["backward", "drop"])
def test_a_graph_does_not_keep_parameters_read_only(end):
    model = RNN(10, 4, 2)
    loss, _ = loss_of(model, 3)
    graph = build_graph(loss, names={"model": model})
    weight = model.fc_h2h.weight
    assert not weight.data.flags.writeable
    if end == "backward":
        loss.backward()
    else:
        del loss
    weight.data -= 0.1
    gc.collect()
    assert "fc_h2h.weight" in graph.to_svg()


def test_the_svg_is_labelled_sized_and_escaped():
    awkward = "a<b>&\"c'\x07"
    names = {awkward: mg.tensor([1.0, 2.0])}
    loss = (names[awkward] * 3.0).sum()
    graph = build_graph(loss, names=names)
    root = ElementTree.fromstring(graph.to_svg())
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    assert root[0].tag == f"{SVG}title" and root[0].text == graph.drawing.title
    assert root[1].tag == f"{SVG}desc" and root[1].text == graph.drawing.description
    assert "sans-serif" in root.get("font-family")
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert "a<b>&\"c'�" in texts
    titles = [element.text for element in root.iter(f"{SVG}title")]
    assert any("values 1 to 2, mean 1.5" in title and "float64" in title for title in titles)


def test_the_same_graph_gives_the_same_bytes():
    def draw():
        model = GRU(10, 5, 2, rng=0)
        loss, x = loss_of(model, 5)
        graph = build_graph(loss, names={"model": model, "x": x})
        loss.backward()
        return graph.to_svg(), graph.to_dot()

    first = draw()
    clutter = [mg.tensor(float(i)) for i in range(100)]
    assert draw() == first
    assert len(clutter) == 100


def test_a_notebook_gets_html_that_scrolls_and_svg():
    graph = build_graph(mg.tensor(1.0) * 2.0)
    bundle = graph._repr_mimebundle_()
    assert bundle["image/svg+xml"] == graph._repr_svg_() == graph.to_svg()
    # At its full size, with a scroll bar, whatever style the notebook has for pictures.
    assert '<div style="overflow-x: auto; max-width: 100%"><svg style="max-width: none" ' in bundle["text/html"]
    assert graph.to_svg() in bundle["text/html"].replace(' style="max-width: none"', "")
    assert graph._repr_html_() == bundle["text/html"]
    assert bundle["text/plain"] == repr(graph) == "<ComputationalGraph result: 1 operation, 1 parameter (1 number)>"


def test_save_writes_the_format_of_the_suffix(tmp_path):
    graph = build_graph(mg.tensor(1.0) * 2.0)
    for name, text in [("g.svg", graph.to_svg()), ("g.dot", graph.to_dot()), ("g.GV", graph.to_dot())]:
        assert graph.save(tmp_path / name) == tmp_path / name
        assert (tmp_path / name).read_text(encoding="utf-8") == text
    with pytest.raises(InvalidArgument, match=re.escape("path must end in .svg, .dot or .gv, not 'g.png'")):
        graph.save(str(tmp_path / "g.png"))
    with pytest.raises(InvalidArgument, match=re.escape("path must end in .svg, .dot or .gv, not 'graph'")):
        graph.save("graph")


STATEMENT = re.compile(
    r"""\s*(?:
    digraph\s*\{ | \} | subgraph\s+\w+\s*\{ | rankdir=LR; | label=(?P<q>"(?:[^"\\\n]|\\.)*"); |
    (?:n\d+|node)\s*\[\w+=(?:"(?:[^"\\\n]|\\.)*"|\w+)(?:,\s*\w+=(?:"(?:[^"\\\n]|\\.)*"|\w+))*\]; |
    n\d+\s->\sn\d+(?:\s\[constraint=false\])?;
    )""",
    re.VERBOSE,
)


def test_dot_is_valid_with_every_node_and_every_operand(tmp_path):
    loss, x = loss_of(LSTM(10, 3, 2), 3)
    graph = build_graph(loss, names={'x"\\ y\n': x})
    text = graph.to_dot()
    for line in text.splitlines():
        assert STATEMENT.fullmatch(line), line
    assert text.count("{") == text.count("}")
    nodes = graph.drawing.nodes
    assert len(re.findall(r"^ *n\d+ \[", text, re.MULTILINE)) == len(nodes)
    assert text.count("->") == sum(len(node.inputs) for node in nodes)
    if shutil.which("dot"):
        subprocess.run(["dot", "-Tplain"], input=text, text=True, check=True, capture_output=True)


def test_keywords_of_mygrad(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = mg.tensor([1.0, 2.0, 6.0]) * 2.0

    def details(**keywords):
        return build_graph(result, **keywords).drawing.nodes[0].details

    assert build_graph(result, names=None, render=False) is None
    assert os.listdir() == []
    graph = build_graph(result, names={}, render=True, save=True)
    assert (tmp_path / "computational_graph.svg").read_text(encoding="utf-8") == graph.to_svg()
    assert details() == ("(3,)",)
    assert details(dims=True, dtypes=True) == ("(3,) float64",)
    assert details(dims=False, dtypes=True) == ("float64",)
    assert details(sum_stats=True) == ("(3,)", "1 … 6", "median 2", "mean 3")


def test_nonfinite_values_are_shown():
    x = mg.tensor(np.array([np.inf, -np.inf, 1.0]))
    mask = np.array([True, False, True])
    graph = build_graph(mg.where(mask, x, np.zeros((3, 0)).sum()) * np.zeros((0, 1)), sum_stats=True)
    ElementTree.fromstring(graph.to_svg())
    assert any("values -inf to inf, mean nan" in node.tooltip for node in graph.drawing.nodes)


def test_operands_whose_order_matters_are_shown_in_order():
    w = mg.tensor([1.0])
    y = mg.tanh(w)
    layout = lay_out(build_graph((1.0 - y) + (y - 1.0) + y / 4.0).drawing)
    assert {"1 − •", "• − 1", "• ÷ 4"} <= {chip.text for card in layout.cards for chip in card.chips}  # noqa: RUF001


def test_errors_name_the_problem():
    with pytest.raises(InvalidArgument, match=r"must be a mygrad\.Tensor, or a model with `parameters`, not ndarray"):
        build_graph(np.zeros(3))
    w = mg.tensor([1.0])
    with pytest.raises(InvalidArgument, match=r"names must be a dictionary.*such as locals\(\), not list"):
        build_graph(w * 2.0, names=["w"])
    with pytest.raises(InvalidArgument, match="not computed from other tensors"):
        build_graph(w)
    with mg.no_autodiff:
        untracked = w * 2.0
    with pytest.raises(InvalidArgument, match="without no_autodiff and build the graph before"):
        build_graph(untracked)
    loss = (w * 2.0).sum()
    loss.backward()
    with pytest.raises(InvalidArgument, match=r"backward\(\) dismantles it.*call backward\(\) afterwards"):
        build_graph(loss)


def test_a_description_from_elsewhere_is_drawn_with_its_loop():
    nodes = (
        GraphNode(0, "input", "x_t"),
        GraphNode(1, "parameter", "W", ("10×50",)),  # noqa: RUF001
        GraphNode(2, "operation", "matmul", inputs=(0, 1)),
        GraphNode(3, "operation", "matmul", inputs=(1,)),
        GraphNode(4, "operation", "h = relu", inputs=(2, 3), emphasis="state"),
        GraphNode(5, "operation", "matmul", inputs=(4, 1), column=1, emphasis="result"),
    )
    drawing = Drawing("RNN", "One step.", nodes, ("step", "readout"), loops=((4, 3),))
    layout = assert_well_placed(drawing)
    back = next(route for route in layout.routes if (route.source, route.target) == (4, 3))
    assert min(x for x, _ in back.points) < min(card.x for card in layout.cards)
    graph = ComputationalGraph(drawing, {4: 0.5})
    ElementTree.fromstring(graph.to_svg())
    assert "∇ 0.5" in graph.to_svg()
    assert "n4 -> n3 [constraint=false];" in graph.to_dot()


def test_a_description_in_the_wrong_order_is_refused():
    out_of_order = (GraphNode(0, "operation", "add", inputs=(1,)), GraphNode(1, "parameter", "w"))
    with pytest.raises(AssertionError, match="node 0 reads node 1, which comes after it"):
        Drawing("", "", out_of_order).check()
