"""The printer: text that evaluates to the graph, with no more brackets than a reader needs."""

import ast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from myrnn.compiler.graph import Builder, evaluate
from myrnn.compiler.leaves import INPUT, LoopState, Parameter
from myrnn.compiler.ops import take
from myrnn.compiler.printer import LONGEST, Printer, atom, compose, sum_of

BUILD = Builder(fold=False)
SIZE = 3
H, X = BUILD.leaf(LoopState(0), SIZE), BUILD.leaf(INPUT, SIZE)
B, W = BUILD.leaf(Parameter(0), SIZE), BUILD.leaf(Parameter(1), SIZE * SIZE)
VALUES = {
    H: np.array([0.3, -0.7, 1.1]),
    X: np.array([-0.2, 0.9, 0.4]),
    B: np.array([0.5, 0.6, -0.8]),
    W: np.linspace(-1, 1, 9),
}
NAMES = {
    "h": VALUES[H],
    "x": VALUES[X],
    "b": VALUES[B],
    "W": VALUES[W].reshape(SIZE, SIZE),
    "tanh": np.tanh,
    "exp": np.exp,
    "maximum": np.maximum,
    "where": np.where,
    "sum": np.sum,
    "zeros": np.zeros,
    "full": np.full,
}


def node(operation, *operands, **attributes):
    return BUILD.make(operation, *operands, **attributes)


def matmul(vector, transposed=False):
    return node("matmul", vector, W, matrices=1, m=1, k=SIZE, n=SIZE, transposed=transposed)


def printer(longest=10**6, names=None):
    return Printer({H: "h", X: "x", B: "b", W: "W", **(names or {})}, longest)


def assert_same_numbers(text, made):
    """Evaluate a text with Python, and its graph with NumPy."""
    expected = evaluate([made], VALUES, np.float64)[0]
    with np.errstate(all="ignore"):
        found = np.broadcast_to(eval(text, {**NAMES, "__builtins__": {}}), expected.shape)
    # Numbers are printed with six digits.
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6, err_msg=text)


add, sub, mul, div, power = ("add", "subtract", "multiply", "divide", "power")
TEXTS = [
    (node(mul, node(add, H, X), B), "(h + x) * b"),
    (node(add, node(mul, H, X), B), "h * x + b"),
    (node(sub, H, node(sub, X, B)), "h - (x - b)"),
    (node(sub, node(sub, H, X), B), "h - x - b"),
    (node(sub, H, node(add, X, B)), "h - (x + b)"),
    (node(add, H, node(add, X, B)), "h + x + b"),
    (node(add, H, node(add, node(add, X, B), H)), "h + x + b + h"),
    (node(mul, H, node(mul, X, B)), "h * x * b"),
    (node(add, H, node(sub, X, B)), "h + (x - b)"),
    (node(div, H, node(mul, X, B)), "h / (x * b)"),
    (node(mul, H, node(div, X, B)), "h * (x / b)"),
    (node("negative", node(add, H, X)), "-(h + x)"),
    (node(mul, node("negative", H), X), "-h * x"),
    (node(sub, H, node("negative", X)), "h - -x"),
    (node(mul, H, H), "h ** 2"),
    (node(mul, node("negative", H), node("negative", H)), "(-h) ** 2"),
    (node("negative", node(mul, H, H)), "-h ** 2"),
    (node(power, node(add, H, X), 2.0), "(h + x) ** 2"),
    (node("negative", node("cube", node(add, H, X))), "-(h + x) ** 3"),
    (node(power, node(mul, H, H), 3.0), "(h ** 2) ** 3"),
    (node(power, node("exp", H), node(power, node("exp", X), B)), "exp(h) ** exp(x) ** b"),
    (node("tanh", node("exp", node(sub, H, 0.1))), "tanh(exp(h - 0.1))"),
    (node("maximum", node(add, H, X), 0.0), "maximum(h + x, 0)"),
    (node("select", node("greater", H, 0.0), X, node("negative", B)), "where(h > 0, x, -b)"),
    (node(mul, node("greater", H, node(add, X, B)), X), "(h > x + b) * x"),
    (node("greater", node("greater", H, X), B), "(h > x) > b"),
    (node(mul, H, -0.5), "h * -0.5"),
    (node(sub, H, -0.25), "h - -0.25"),
    (node(power, node("exp", H), -0.5), "exp(h) ** (-0.5)"),
    (node(mul, H, 1e-7), "h * 1e-07"),
    (node(add, H, 123456789.0), "h + 123457000.0"),
    (node(add, matmul(H), B), "h @ W + b"),
    (node(mul, X, matmul(H)), "x * (h @ W)"),
    (node(mul, matmul(H), X), "(h @ W) * x"),
    (matmul(node(mul, H, X), transposed=True), "(h * x) @ W.T"),
    (matmul(node(mul, H, H)), "(h ** 2) @ W"),
    (matmul(node("negative", H)), "-h @ W"),
    (node("negative", matmul(H)), "-(h @ W)"),
    (matmul(matmul(H), transposed=True), "h @ W @ W.T"),
    (matmul(BUILD.constant(np.zeros(SIZE))), "zeros(3) @ W"),
    (take(node(add, H, X), indices=np.array([1, 2])), "(h + x)[1:3]"),
    (take(H, indices=np.array([2])), "h[2]"),
    (take(H, indices=np.array([2, 1, 0])), "h[2::-1]"),
    (node("sum", node(mul, H, X), outer=1, n=SIZE, inner=1), "sum(h * x)"),
]


@pytest.mark.parametrize(("made", "text"), TEXTS, ids=[text for _, text in TEXTS])
def test_brackets_are_printed_only_if_needed_and_the_text_computes_the_node(made, text):
    assert printer().expression(made) == text
    assert_same_numbers(text, made)


LEAVES = {
    "a state": (H, "h"),
    "a state without a name": (BUILD.leaf(LoopState(4), 3), "loop_state_4"),
    "numbers": (BUILD.constant([1, 2, 3, 4, 5, 6.5]), "[1, 2, 3, 4, ...]"),
    "equal numbers": (BUILD.constant([0.1, 0.1]), "0.1"),
    "infinity": (BUILD.constant([-np.inf]), "-inf"),
}


@pytest.mark.parametrize("which", LEAVES)
def test_every_leaf_has_a_text(which):
    leaf, text = LEAVES[which]
    assert printer().expression(leaf) == text


@st.composite
def graphs(draw):
    nodes = [H, X, B]
    for _ in range(draw(st.integers(1, 25))):
        kind = draw(st.sampled_from([add, sub, mul, mul, div, "negative", "tanh", "maximum", "greater", "matmul"]))
        one, other = (nodes[draw(st.integers(max(0, len(nodes) - 4), len(nodes) - 1))] for _ in range(2))
        number = draw(st.sampled_from([0.125, -0.5, 2.0, 1.25]))
        if kind in ("negative", "tanh"):
            nodes.append(node(kind, one))
        elif kind == "matmul":
            nodes.append(matmul(one, transposed=draw(st.booleans())))
        elif kind == div:
            nodes.append(node(div, one, number))
        elif kind == "greater":
            # In Python it is a bool, which can be multiplied but not negated.
            nodes.append(node(mul, node("greater", one, number), other))
        else:
            nodes.append(node(kind, one, draw(st.sampled_from([other, number]))))
        if draw(st.booleans()):
            # This keeps the numbers small.
            nodes.append(node("tanh", nodes.pop()))
    return nodes[-1]


@given(graphs())
def test_the_printed_text_computes_the_same_as_the_graph(made):
    text = printer(longest=2000).expression(made)
    if "..." not in text:
        assert_same_numbers(text, made)


def test_deep_or_shared_graphs_have_short_texts():
    deep = shared = squared = negated = H
    for _ in range(5000):
        deep = node(add, node("tanh", deep), X)
        shared = node(add, shared, node(mul, shared, X))
        squared = node(mul, squared, squared)
        negated = node("negative", negated)
    write = printer(LONGEST)
    for made in (deep, shared, squared, negated):
        text = write.expression(made)
        assert "..." in text
        assert 10 < len(text) <= LONGEST
        assert len(write.expression(node(sub, B, made))) <= LONGEST
        ast.parse(text)
    assert write.expression(node("join", *[X] * 50, places=(b"",) * 50)) == "join(x, x, x, x, ...)"
    shallow = node(mul, node(add, X, node("tanh", matmul(H))), node(add, H, B))
    assert printer(25).expression(shallow) == "(x + tanh(...)) * (h + b)"


def test_a_name_replaces_a_node_only_inside_of_others():
    total = node(add, H, X)
    write = printer(names={total: "total"})
    assert (write.expression(total), write.text("{0}", total)) == ("h + x", "total")
    assert write.expression(node(mul, total, node("tanh", total))) == "total * tanh(total)"
    assert write.text(sum_of(3), total, matmul(H), node("negative", B)) == "total + h @ W + -b"
    assert write.text("{0}.T @ {1}", total, node("tanh", H)) == "total.T @ tanh(h)"


def test_a_node_without_a_name_is_named_after_its_operation_and_inputs():
    write = printer(names={(total := node(add, H, X)): "total"})
    made = (total, node("tanh", total), node(mul, node("tanh", H), X), node("tanh", node("exp", H)))
    assert [write.label(each) for each in made] == ["total", "tanh_total", "multiply_x", "tanh"]


def test_a_template_takes_operands_of_any_form():
    operands = [ast.parse(text, mode="eval").body for text in ("load(w, h + j)", "a_j - b_j", "-0.5")]
    assert ast.unparse(compose("{0} * {1} + {2}", operands)) == "load(w, h + j) * (a_j - b_j) + -0.5"
    assert ast.unparse(compose("maximum({0}, {1}) - absolute({0} - {1})", operands)) == (
        "maximum(load(w, h + j), a_j - b_j) - absolute(load(w, h + j) - (a_j - b_j))"
    )
    assert ast.unparse(compose("{0}.T", [atom("fc.weight")])) == "fc.weight.T"
