"""The graph: one node for equal computations, constants folded, no recursion."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from myrnn.compiler import ops
from myrnn.compiler.graph import Builder, Node, check, evaluate, substitute, topological
from myrnn.compiler.leaves import Gradient, LoopState
from myrnn.compiler.ops import indices_of


def leaf(build, number=0, size=3):
    return build.leaf(LoopState(number), size)


def test_equal_computations_are_the_same_node():
    build = Builder()
    a, b = leaf(build), leaf(build, 1)
    assert (a + b) is a + b
    assert (a + b) is not b + a
    assert ops.tanh(a + 2.0) is ops.tanh(a + 2.0)
    assert (a * 2.0) is not a * 3.0
    assert leaf(build) is a and leaf(build, size=4) is not a


def test_nodes_with_different_attributes_are_different():
    build = Builder()
    a = leaf(build, size=6)
    assert ops.total(a, outer=2, n=3, inner=1) is not ops.total(a, outer=1, n=3, inner=2)
    assert ops.take(a, indices=np.array([0, 1])) is not ops.take(a, indices=np.array([1, 0]))


def test_constants_are_flat_float32_and_have_one_zero():
    build = Builder()
    node = build.constant([[1.0, -0.0], [0.5, 2]])
    assert node.is_constant and node.size == 4 and node.numbers.dtype == np.float32
    assert node is build.constant([1, 0, 0.5, 2])
    assert build.constant(-0.0) is build.constant(0)


def test_operations_on_constants_are_folded():
    build = Builder()
    node = ops.add(build.constant([1.0, 2, 3]), (2.0 * build.constant(0.25)))
    assert node is build.constant([1.5, 2.5, 3.5])
    assert (build.constant(1.0) / 0.0).numbers[0] == np.inf


def test_a_constant_of_equal_numbers_is_narrowed_in_a_map():
    build = Builder()
    a = leaf(build)
    assert (a + np.full(3, 2.0)) is a + 2.0
    assert ops.add(a, build.constant([2, 2, 1])).inputs[1].size == 3


def test_a_trace_is_not_simplified():
    build = Builder()
    a = leaf(build)
    assert (a + 0.0) is not a and (a * 1.0) is not a


@pytest.mark.parametrize(
    ("make", "same"),
    [
        (lambda a: a + 0.0, True),
        (lambda a: 0.0 + a, True),
        (lambda a: a * 1.0, True),
        (lambda a: 1.0 * a, True),
        (lambda a: a - 0.0, True),
        (lambda a: a / 1.0, True),
        (lambda a: 0.0 - a, False),
        (lambda a: 1.0 / a, False),
        (lambda a: a + np.array([0, 0, 1]), False),
    ],
)
def test_derivatives_are_simplified(make, same):
    build = Builder(simplify=True)
    a = leaf(build)
    assert (make(a) is a) is same


def test_a_product_with_zero_is_zeros_and_a_neutral_term_widens():
    build = Builder(simplify=True)
    assert (leaf(build) * 0.0) is build.constant(np.zeros(3))
    wide = ops.add(leaf(build, size=1), build.constant(np.zeros(3)))
    assert wide.size == 3 and wide.operation == "expand"


def test_a_function_of_repeated_numbers_is_widened_last():
    build = Builder()
    one, other = (ops.expand(leaf(build, i, size=1), size=3) for i in range(2))
    both = one + other
    assert both.size == 3 and both.operation == "expand" and both.inputs[0].operation == "add"
    check([both], [LoopState])


def test_sizes_that_do_not_fit_are_found():
    build = Builder()
    with pytest.raises(AssertionError, match=r"sizes \(3, 4\) do not fit together"):
        (leaf(build) + leaf(build, 1, size=4))


def test_nested_takes_are_merged_and_a_take_of_everything_is_dropped():
    build = Builder()
    a = leaf(build, size=6)
    assert ops.take(a, indices=np.arange(6)) is a
    reversed_twice = ops.take(ops.take(a, indices=np.arange(6)[::-1]), indices=np.arange(6)[::-1])
    assert reversed_twice is a
    part = ops.take(ops.take(a, indices=np.array([5, 3, 1])), indices=np.array([2, 0]))
    assert part.inputs[0] is a and indices_of(part.attributes[0]).tolist() == [1, 5]


def test_nodes_have_readable_reprs():
    build = Builder()
    assert repr(leaf(build, 2)) == "<loop_state_2 of 3>"
    assert repr(ops.tanh(leaf(build))) == "<tanh of 3>"
    assert repr(build.constant(1.0)) == "<constant of 1>"


@pytest.mark.long
def test_a_graph_of_any_depth_needs_no_recursion():
    build = Builder()
    node = a = leaf(build)
    for _ in range(50_000):
        node = node + a
    order = topological([node])
    assert len(order) == 50_001 and order[0] is a and order[-1] is node
    (value,) = evaluate([node], {a: np.ones(3)}, np.float64)
    np.testing.assert_array_equal(value, 50_001)
    other = leaf(build, 1)
    (moved,) = substitute(build, [node], {a: other})
    assert topological([moved])[0] is other and len(topological([moved])) == 50_001
    check([node], [LoopState])


def test_topological_order_stops_at_given_nodes():
    build = Builder()
    a = leaf(build)
    middle = ops.tanh(ops.exp(a))
    assert topological([ops.sin(middle)], stop=[middle]) == [middle, ops.sin(middle)]
    assert topological([middle], stop=[middle]) == [middle]


def test_substituted_graphs_are_folded_and_shared():
    build = Builder()
    a, b = leaf(build), leaf(build, 1)
    node = (a + b) * (a + b)
    assert substitute(build, [node], {b: a}) == [((a + a) * (a + a))]
    assert substitute(build, [node], {})[0] is node
    (folded,) = substitute(build, [node], {a: build.constant([1, 2, 3]), b: build.constant(1)})
    assert folded is build.constant([4, 9, 16])


def test_rebuilding_moves_a_graph_to_another_table():
    one, two = Builder(), Builder(simplify=True)
    a = leaf(one, size=4)
    node = ops.total(ops.take((a + 0.0), indices=np.array([1, 2])), outer=1, n=2, inner=1)
    (moved,) = substitute(two, [node], {})
    assert moved is ops.total(ops.take(leaf(two, size=4), indices=np.array([1, 2])), outer=1, n=2, inner=1)


def test_a_function_of_repeated_numbers_is_a_repeated_number():
    build = Builder()
    one = leaf(build, size=1)
    node = ops.multiply(build.make("expand", one, size=3), np.full(3, 0.5))
    assert node is build.make("expand", one * 0.5, size=3)
    check([node], [LoopState])


def test_a_choice_with_a_constant_condition_is_folded():
    build = Builder()
    one, zeros = leaf(build, size=1), build.constant([0.0, 0.0])
    assert ops.select(build.constant([1.0, 1.0]), zeros, one) is zeros
    assert ops.select(build.constant([0.0, 0.0]), zeros, one) is build.make("expand", one, size=2)


def test_check_finds_unknown_leaves_and_wrong_sizes():
    build = Builder()
    node = ops.add(leaf(build), build.leaf(Gradient(LoopState(0)), 3))
    check([node], [LoopState, Gradient])
    with pytest.raises(AssertionError, match=r"unexpected leaf <d_loop_state_0 of 3>"):
        check([node], [LoopState])
    with pytest.raises(AssertionError, match="wrong size of <tanh of 5>"):
        check([Node("tanh", (leaf(build),), (), 5, build)], [LoopState])


@st.composite
def graphs(draw):
    """Return a builder, leaves and a node of a random element-wise graph."""
    build = Builder(simplify=draw(st.booleans()))
    nodes = [leaf(build, i) for i in range(3)]
    for _ in range(draw(st.integers(1, 25))):
        operation = draw(st.sampled_from(["add", "subtract", "multiply", "maximum", "tanh", "negative", "number"]))
        a, b = (draw(st.sampled_from(nodes)) for _ in range(2))
        if operation == "number":
            nodes.append(ops.add(a, float(draw(st.sampled_from([0, 1, -2])))))
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
    check(nodes, [LoopState])
    rng = np.random.default_rng(seed)
    values = rng.uniform(-1, 1, size=(3, 3))
    other = Builder(simplify=True)
    moved = substitute(other, nodes, {})
    one = evaluate(nodes, {n: values[n.leaf.number] for n in order if isinstance(n.leaf, LoopState)}, np.float64)
    leaves = [n for n in topological(moved) if isinstance(n.leaf, LoopState)]
    two = evaluate(moved, {n: values[n.leaf.number] for n in leaves}, np.float64)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
