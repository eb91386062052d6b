"""The operations of the compiler in operators of ONNX: one row an operation.

ONNX has no operator for some functions. Those are composed of others: `FORMULAS` has a formula on nodes for each, as in
`compiler.ops`, and `lowered` puts them in. `OPERATORS` has a function for each other operation, which adds operators to
a graph. Values there are (N, size), with a row for each of N sequences, or (1, size) if all sequences share them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from myrnn.compiler import ops
from myrnn.compiler.graph import Node, topological
from myrnn.compiler.leaves import INPUT, Constant, Drawn, Parameter
from myrnn.compiler.loops import Recurrence
from myrnn.compiler.ops import OPERATIONS, indices_of, run_of, sizes_of
from myrnn.errors import UnsupportedOperation

if TYPE_CHECKING:
    from myrnn.exports.graphs import Graph

# Formulas -------------------------------------------------------------------------------------------------------------


def _where(condition: Node, a: Any, b: Any) -> Node:
    return ops.select(condition, a, b)


def _sigmoid(x: Node) -> Node:
    return 1.0 / (1.0 + ops.exp(-x))


def _expm1(x: Node) -> Node:
    # Near zero, exp(x) - 1 loses digits.
    near = ops.greater(1.0, ops.absolute(x))
    half = ops.tanh(_where(near, 0.5 * x, 0.0))
    return _where(near, (half + half) / (1.0 - half), ops.exp(x) - 1.0)


def _log1p(x: Node) -> Node:
    # Near zero, 1 + x loses digits; below -1/2 it is exact.
    near = ops.greater(0.5, ops.absolute(x))
    small = _where(near, x, 0.0)
    return _where(near, 2.0 * ops.arctanh(small / (small + 2.0)), ops.log(1.0 + x))


def _logaddexp(a: Node, b: Node) -> Node:
    # The difference of equal infinities is not a number.
    difference = _where(ops.equal(a, b), 0.0, a - b)
    return ops.maximum(a, b) + _log1p(ops.exp(-ops.absolute(difference)))


def _cbrt(x: Node) -> Node:
    return ops.sign(x) * ops.power(ops.absolute(x), 1 / 3)


def _sinc(x: Node) -> Node:
    is_zero, angle = ops.equal(x, 0.0), np.pi * x
    return _where(is_zero, 1.0, ops.sin(angle) / _where(is_zero, 1.0, angle))


def _arccot(x: Node) -> Node:
    is_zero = ops.equal(x, 0.0)
    return _where(is_zero, np.pi / 2, ops.arctan(1.0 / _where(is_zero, 1.0, x)))


def _has_sign(x: Node) -> Node:
    """Return whether a number is negative, or minus zero, whose inverse is."""
    return ops.greater(0.0, _where(ops.equal(x, 0.0), 1.0 / x, x))


def _arctan2(a: Node, b: Node) -> Node:
    both, half_turn = ops.equal(ops.absolute(a) + ops.absolute(b), 0.0), _where(_has_sign(a), -np.pi, np.pi)
    angle = _where(both, a, ops.arctan(a / _where(both, 1.0, b)))
    # To the left, `arctan` gives the opposite direction.
    is_left = _where(both, _has_sign(b), ops.greater(0.0, b))
    upright = _where(ops.equal(b, 0.0), 0.5 * half_turn, angle)
    return _where(is_left, angle + half_turn, _where(both, angle, upright))


FORMULAS: dict[str, Callable[..., Node]] = {
    "abs_nan": ops.absolute,
    "arccot": _arccot,
    "arctan2": _arctan2,
    "cbrt": _cbrt,
    "cube": lambda x: x * x * x,
    "expm1": _expm1,
    "larger": ops.maximum,
    "log1p": _log1p,
    "logaddexp": _logaddexp,
    "sinc": _sinc,
    "smaller": ops.minimum,
    "stop_gradient": lambda x: x,
}
"""Operation -> what it is composed of."""


def fixed_among(nodes: Iterable[Node]) -> dict[Node, None]:
    """Return those nodes, given inputs first, that depend on parameters and constants alone; nothing is drawn."""
    fixed: dict[Node, None] = {}
    for node in nodes:
        is_known = isinstance(node.leaf, Parameter | Constant | Drawn)
        if is_known if node.is_leaf else all(i in fixed for i in node.inputs):
            fixed[node] = None
    return fixed


def lowered(recurrence: Recurrence) -> Recurrence:
    """Return the recurrence with formulas instead of operations that ONNX does not have."""
    order, build = topological(recurrence.nodes), recurrence.build
    fixed, place = fixed_among(order), dict[Node, Node]()
    formulas = dict(FORMULAS)
    if any(not node.is_leaf and OPERATIONS[node.operation].singular for node in order):
        # A Sigmoid of onnxruntime is 0 from -18 down, which a logarithm or a divisor would show.
        formulas["sigmoid"] = _sigmoid
    for node in order:
        inputs = [place[i] for i in node.inputs]
        formula = None if node in fixed else formulas.get(node.operation)
        place[node] = build.rebuild(node, inputs) if formula is None else formula(*inputs)
    return recurrence.placed(place)


# Operators ------------------------------------------------------------------------------------------------------------

Write = Callable[["Graph", Node], str]
"""Adds the operators of a node to a graph, and returns the name of their result."""


def _operator(name: str) -> Write:
    """Return what writes an operator that works element by element."""
    return lambda graph, node: graph.add(name, *map(graph.value, node.inputs))


def _comparison(name: str) -> Write:
    """Return what writes a comparison, which gives 0 or 1."""
    return lambda graph, node: graph.as_float(graph.add(name, *map(graph.value, node.inputs)))


def _select(graph: Graph, node: Node) -> str:
    mask, a, b = map(graph.value, node.inputs)
    return graph.add("Where", graph.add("Equal", mask, graph.numbers([[0.0]])), b, a)


def _expand(graph: Graph, node: Node) -> str:
    return graph.add("Expand", graph.value(node.inputs[0]), graph.integers([1, node.size]))


def _take(graph: Graph, node: Node) -> str:
    whole, run = graph.value(node.inputs[0]), run_of(node.attributes[0])
    if run is None:
        return graph.add("Gather", whole, graph.integers(indices_of(node.attributes[0])), axis=1)
    return graph.add("Slice", whole, *map(graph.integers, ([run.start], [run.stop], [1])))


def _put(graph: Graph, node: Node) -> str:
    indices, size = indices_of(node.attributes[0]), node.attributes[1]
    (given,) = node.inputs
    padded = graph.add("Pad", graph.value(given), graph.integers([0, 0, 0, 1]))
    # An element may get several numbers: each sum adds one more to every element, and the padded zero to those without.
    counts: Counter[int] = Counter()
    rounds: list[Any] = [np.full(size, given.size)]
    for number, place in enumerate(indices.tolist()):
        if counts[place] == len(rounds):
            rounds.append(np.full(size, given.size))
        rounds[counts[place]][place] = number
        counts[place] += 1
    first, *others = (graph.add("Gather", padded, graph.integers(each), axis=1) for each in rounds)
    for other in others:
        first = graph.add("Add", first, other)
    return first


def _join(graph: Graph, node: Node) -> str:
    places = np.concatenate([indices_of(one) for one in node.attributes[0]])
    joined = graph.add("Concat", *(graph.of_batch(part) for part in node.inputs), axis=1)
    if np.array_equal(places, np.arange(node.size)):
        return joined
    return graph.add("Gather", joined, graph.integers(np.argsort(places)), axis=1)


def _sum(graph: Graph, node: Node) -> str:
    if node.size == 1:
        return graph.add("ReduceSum", graph.value(node.inputs[0]), graph.integers([1]), keepdims=1)
    block = graph.shaped(node.inputs[0], *node.attributes)
    return graph.flat(graph.add("ReduceSum", block, graph.integers([2]), keepdims=0), node.size)


def _along(name: str) -> Write:
    """Return what writes an operator along the middle axis of (outer, n, inner)."""

    def write(graph: Graph, node: Node) -> str:
        if node.attributes[::2] == (1, 1):
            return graph.add(name, graph.value(node.inputs[0]), axis=1)
        return graph.flat(graph.add(name, graph.shaped(node.inputs[0], *node.attributes), axis=2), node.size)

    return write


def _matmul(graph: Graph, node: Node) -> str:
    (a, b), (matrices, m, k, n, transposed) = node.inputs, sizes_of(node)
    if matrices > 1:
        left, right = graph.shaped(a, matrices, m, k), graph.shaped(b, matrices, *((n, k) if transposed else (k, n)))
        if transposed:
            right = graph.add("Transpose", right, perm=[0, 1, 3, 2])
        return graph.flat(graph.add("MatMul", left, right), node.size)
    if m == 1 and graph.is_fixed(b):
        matrix = graph.matrix(b, k, n, transposed)
        if a.leaf is INPUT and graph.tokens is not None:
            # The product of a one-hot row and a matrix is a row of the matrix.
            return graph.add("Gather", matrix, graph.tokens, axis=0)
        return graph.add("MatMul", graph.value(a), matrix)
    left = graph.matrix(a, m, k) if graph.is_fixed(a) else graph.shaped(a, m, k)
    if graph.is_fixed(b):
        right = graph.matrix(b, k, n, transposed)
    elif transposed:
        right = graph.add("Transpose", graph.shaped(b, n, k), perm=[0, 2, 1])
    else:
        right = graph.shaped(b, k, n)
    return graph.flat(graph.add("MatMul", left, right), node.size)


def _outer(graph: Graph, node: Node) -> str:
    (a, b), (matrices, m, _, n, _) = node.inputs, sizes_of(node)
    product = graph.add("Mul", graph.shaped(a, matrices, m, 1), graph.shaped(b, matrices, 1, n))
    return graph.flat(product, node.size)


OPERATORS: dict[str, Write] = {
    "abs": _operator("Abs"),
    "add": _operator("Add"),
    "arccos": _operator("Acos"),
    "arccosh": _operator("Acosh"),
    "arcsin": _operator("Asin"),
    "arcsinh": _operator("Asinh"),
    "arctan": _operator("Atan"),
    "arctanh": _operator("Atanh"),
    "cos": _operator("Cos"),
    "divide": _operator("Div"),
    "equal": _comparison("Equal"),
    "exp": _operator("Exp"),
    "expand": _expand,
    "floor": _operator("Floor"),
    "greater": _comparison("Greater"),
    "join": _join,
    "log": _operator("Log"),
    "log_softmax": _along("LogSoftmax"),
    "matmul": _matmul,
    "maximum": _operator("Max"),
    "minimum": _operator("Min"),
    "multiply": _operator("Mul"),
    "negative": _operator("Neg"),
    "outer": _outer,
    "power": _operator("Pow"),
    "put": _put,
    "relu": _operator("Relu"),
    "rint": _operator("Round"),
    "select": _select,
    "sigmoid": _operator("Sigmoid"),
    "sign": _operator("Sign"),
    "sin": _operator("Sin"),
    "softmax": _along("Softmax"),
    "sqrt": _operator("Sqrt"),
    "subtract": _operator("Sub"),
    "sum": _sum,
    "take": _take,
    "tanh": _operator("Tanh"),
}
"""Operation -> what writes it."""


def write_nodes(graph: Graph, nodes: Sequence[Node]) -> None:
    """Add nodes to a graph, given inputs first; raise UnsupportedOperation for one that ONNX does not have."""
    for node in nodes:
        write = OPERATORS.get(node.operation)
        if write is None:
            raise UnsupportedOperation(f"the model uses {node.operation!r}, which ONNX files of MyRNN do not have")
        graph.set(node, write(graph, node))
