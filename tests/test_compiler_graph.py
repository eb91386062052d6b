"""The graph: one node for equal computations, constants folded, no recursion."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from myrnn.compiler.graph import Builder, Node, check, evaluate, indices_of, substitute, topological


def leaf(build, number=0, size=3):
    return build.leaf("state", number, size=size)


def test_equal_computations_are_the_same_node():
    build = Builder()
    a, b = leaf(build), leaf(build, 1)
    assert build.add(a, b) is build.add(a, b)
    assert build.add(a, b) is not build.add(b, a)
    assert build.tanh(build.add(a, 2.0)) is build.tanh(build.add(a, 2.0))
    assert build.multiply(a, 2.0) is not build.multiply(a, 3.0)
    assert leaf(build) is a and leaf(build, size=4) is not a


def test_attributes_tell_nodes_apart():
    build = Builder()
    a = leaf(build, size=6)
    assert build.sum(a, outer=2, n=3, inner=1) is not build.sum(a, outer=1, n=3, inner=2)
    assert build.take(a, [0, 1]) is not build.take(a, [1, 0])


def test_constants_are_flat_float32_and_have_one_zero():
    build = Builder()
    node = build.constant([[1.0, -0.0], [0.5, 2]])
    assert node.is_constant and node.size == 4 and node.numbers.dtype == np.float32
    assert node is build.constant([1, 0, 0.5, 2])
    assert build.constant(-0.0) is build.constant(0)


def test_operations_on_constants_are_folded():
    build = Builder()
    node = build.add(build.constant([1.0, 2, 3]), build.multiply(2.0, build.constant(0.25)))
    assert node is build.constant([1.5, 2.5, 3.5])
    assert build.divide(1.0, 0.0).numbers[0] == np.inf


def test_a_constant_of_equal_numbers_is_narrowed_in_a_map():
    build = Builder()
    a = leaf(build)
    assert build.add(a, np.full(3, 2.0)) is build.add(a, 2.0)
    assert build.add(a, build.constant([2, 2, 1])).inputs[1].size == 3


def test_a_trace_is_kept_as_it_is():
    build = Builder()
    a = leaf(build)
    assert build.add(a, 0.0) is not a and build.multiply(a, 1.0) is not a


@pytest.mark.parametrize(
    ("make", "same"),
    [
        (lambda b, a: b.add(a, 0.0), True),
        (lambda b, a: b.add(0.0, a), True),
        (lambda b, a: b.multiply(a, 1.0), True),
        (lambda b, a: b.multiply(1.0, a), True),
        (lambda b, a: b.subtract(a, 0.0), True),
        (lambda b, a: b.divide(a, 1.0), True),
        (lambda b, a: b.subtract(0.0, a), False),
        (lambda b, a: b.divide(1.0, a), False),
        (lambda b, a: b.add(a, [0, 0, 1]), False),
    ],
)
def test_derivatives_leave_out_what_changes_nothing(make, same):
    build = Builder(simplify=True)
    a = leaf(build)
    assert (make(build, a) is a) is same


def test_a_product_with_zero_is_zeros_and_a_neutral_term_widens():
    build = Builder(simplify=True)
    assert build.multiply(leaf(build), 0.0) is build.constant(np.zeros(3))
    wide = build.add(leaf(build, size=1), build.constant(np.zeros(3)))
    assert wide.size == 3 and wide.operation == "expand"


def test_sizes_that_do_not_fit_are_found():
    build = Builder()
    with pytest.raises(AssertionError, match=r"sizes \(3, 4\) do not fit together"):
        build.add(leaf(build), leaf(build, 1, size=4))


def test_an_unknown_operation_is_no_attribute():
    with pytest.raises(AttributeError, match="convolve"):
        Builder().convolve()


def test_takes_are_joined_and_the_whole_is_itself():
    build = Builder()
    a = leaf(build, size=6)
    assert build.take(a, range(6)) is a
    reversed_twice = build.take(build.take(a, range(5, -1, -1)), range(5, -1, -1))
    assert reversed_twice is a
    part = build.take(build.take(a, [5, 3, 1]), [2, 0])
    assert part.inputs[0] is a and indices_of(part.attributes[0]).tolist() == [1, 5]


def test_nodes_print_what_they_are():
    build = Builder()
    assert repr(leaf(build, 2)) == "<state[2] of 3>"
    assert repr(build.tanh(leaf(build))) == "<tanh of 3>"
    assert repr(build.constant(1.0)) == "<constant of 1>"


def test_a_graph_of_any_depth_needs_no_recursion():
    build = Builder()
    node = a = leaf(build)
    for _ in range(50_000):
        node = build.add(node, a)
    order = topological([node])
    assert len(order) == 50_001 and order[0] is a and order[-1] is node
    (value,) = evaluate([node], {a: np.ones(3)}, np.float64)
    np.testing.assert_array_equal(value, 50_001)
    other = leaf(build, 1)
    (moved,) = substitute(build, [node], {a: other})
    assert topological([moved])[0] is other and len(topological([moved])) == 50_001
    check([node], ["state"])


def test_topological_order_stops_where_it_is_told():
    build = Builder()
    a = leaf(build)
    middle = build.tanh(build.exp(a))
    assert topological([build.sin(middle)], stop=[middle]) == [middle, build.sin(middle)]
    assert topological([middle], stop=[middle]) == [middle]


def test_substituted_graphs_are_folded_and_shared():
    build = Builder()
    a, b = leaf(build), leaf(build, 1)
    node = build.multiply(build.add(a, b), build.add(a, b))
    assert substitute(build, [node], {b: a}) == [build.multiply(build.add(a, a), build.add(a, a))]
    assert substitute(build, [node], {})[0] is node
    (folded,) = substitute(build, [node], {a: build.constant([1, 2, 3]), b: build.constant(1)})
    assert folded is build.constant([4, 9, 16])


def test_rebuilding_moves_a_graph_to_another_table():
    one, two = Builder(), Builder(simplify=True)
    a = leaf(one, size=4)
    node = one.sum(one.take(one.add(a, 0.0), [1, 2]), outer=1, n=2, inner=1)
    (moved,) = substitute(two, [node], {})
    assert moved is two.sum(two.take(leaf(two, size=4), [1, 2]), outer=1, n=2, inner=1)


def test_check_finds_strange_leaves_and_wrong_sizes():
    build = Builder()
    node = build.add(leaf(build), build.leaf("gradient", 0, size=3))
    check([node], ["state", "gradient"])
    with pytest.raises(AssertionError, match=r"unexpected leaf <gradient\[0\] of 3>"):
        check([node], ["state"])
    with pytest.raises(AssertionError, match="wrong size of <tanh of 5>"):
        check([Node("tanh", (leaf(build),), (), 5)], ["state"])


@st.composite
def graphs(draw):
    """Return a builder, leaves and a node of a random element-wise graph."""
    build = Builder(simplify=draw(st.booleans()))
    nodes = [leaf(build, i) for i in range(3)]
    for _ in range(draw(st.integers(1, 25))):
        operation = draw(st.sampled_from(["add", "subtract", "multiply", "maximum", "tanh", "negative", "number"]))
        a, b = (draw(st.sampled_from(nodes)) for _ in range(2))
        if operation == "number":
            nodes.append(build.add(a, float(draw(st.sampled_from([0, 1, -2])))))
        elif operation in ("tanh", "negative"):
            nodes.append(build.make(operation, a))
        else:
            nodes.append(build.make(operation, a, b))
    return build, nodes


@given(graphs(), st.integers(0, 2**32 - 1))
def test_the_order_is_inputs_first_and_moving_a_graph_keeps_its_numbers(graph, seed):
    _, nodes = graph
    order = topological(nodes)
    place = {node: i for i, node in enumerate(order)}
    assert len(place) == len(order)
    assert all(place[i] < place[node] for node in order for i in node.inputs)
    check(nodes, ["state"])
    rng = np.random.default_rng(seed)
    values = rng.uniform(-1, 1, size=(3, 3))
    other = Builder(simplify=True)
    moved = substitute(other, nodes, {})
    one = evaluate(nodes, {n: values[n.attributes[0]] for n in order if n.operation == "state"}, np.float64)
    leaves = [n for n in topological(moved) if n.operation == "state"]
    two = evaluate(moved, {n: values[n.attributes[0]] for n in leaves}, np.float64)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
