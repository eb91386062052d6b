"""How each of MyGrad's operations is written in the compiler's own: one rule for each, by MyGrad's name for it."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler._graph import Builder, Node
from myrnn.compiler._operations import transposed_indices
from myrnn.errors import UnsupportedOperation

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Plain:
    """A value that is one node, and its shape in MyGrad."""

    node: Node
    shape: Shape


@dataclass(frozen=True)
class Rows:
    """A value that is a node for each place of its first axis; `row_shape` is the shape of one of them."""

    nodes: tuple[Node, ...]
    row_shape: Shape

    @property
    def shape(self) -> Shape:
        """The shape in MyGrad."""
        return (len(self.nodes), *self.row_shape)


Value = Plain | Rows
Rule = Callable[[Builder, Any, list[Value], Any], Value]
RULES: dict[str, Rule] = {}


def as_plain(build: Builder, value: Value) -> Plain:
    """Return the value as one node: rows are joined."""
    if isinstance(value, Plain):
        return value
    if len(value.nodes) == 1:
        return Plain(value.nodes[0], value.shape)
    size = prod(value.row_shape)
    places = tuple(np.arange(i * size, (i + 1) * size, dtype=np.int32).tobytes() for i in range(len(value.nodes)))
    return Plain(build.make("join", *value.nodes, places=places), value.shape)


def _as_rows(build: Builder, value: Value) -> Rows:
    """Return the value as a node for each place of its first axis."""
    if isinstance(value, Rows):
        return value
    size = prod(value.shape[1:])
    nodes = tuple(build.take(value.node, np.arange(i * size, (i + 1) * size)) for i in range(value.shape[0]))
    return Rows(nodes, value.shape[1:])


def _rule(*names: str) -> Callable[[Rule], Rule]:
    def enter(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, rule))
        return rule

    return enter


# Element by element --------------------------------------------------------------------------------------------------

Elementwise = Callable[..., Node]


def _elementwise(name: str, build_node: Callable[[Builder, Any], Elementwise]) -> None:
    """Enter an element-wise operation: `build_node` gets the builder and MyGrad's operation, returns node -> node."""

    def rule(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
        return _broadcast_apply(build, build_node(build, creator), operands)

    RULES[name] = rule


def _broadcast_apply(build: Builder, function: Elementwise, operands: list[Value]) -> Value:
    shape = np.broadcast_shapes(*(o.shape for o in operands))
    if any(
        isinstance(o, Rows) and o.shape == (shape[0], *o.row_shape) and len(o.shape) == len(shape) for o in operands
    ):
        parts = [_row_operands(build, o, shape) for o in operands]
        row_shape = shape[1:]
        nodes = tuple(
            function(*(_fitted(build, node, row, row_shape) for node, row in row)) for row in zip(*parts, strict=True)
        )
        return Rows(nodes, row_shape)
    plain = [as_plain(build, o) for o in operands]
    return Plain(function(*(_fitted(build, p.node, p.shape, shape) for p in plain)), shape)


def _row_operands(build: Builder, value: Value, shape: Shape) -> list[tuple[Node, Shape]]:
    """Return what each row of a result of `shape` reads of this operand, and the shape of that."""
    if len(value.shape) < len(shape):
        plain = as_plain(build, value)
        return [(plain.node, plain.shape)] * shape[0]
    rows = _as_rows(build, value)
    nodes = rows.nodes * shape[0] if len(rows.nodes) == 1 else rows.nodes
    return [(node, rows.row_shape) for node in nodes]


def _fitted(build: Builder, node: Node, shape: Shape, target: Shape) -> Node:
    """Return the node with as many elements as `target`, or a single one."""
    if node.size in (1, prod(target)):
        return node
    indices = np.broadcast_to(np.arange(node.size).reshape(shape), target)
    return build.take(node, indices)


def _named(operation: str) -> Callable[[Builder, Any], Elementwise]:
    return lambda build, creator: getattr(build, operation)


for _name, _operation in {
    "Add": "add",
    "Subtract": "subtract",
    "Multiply": "multiply",
    "Divide": "divide",
    "Power": "power",
    "Negative": "negative",
    "Maximum": "maximum",
    "Minimum": "minimum",
    "Logaddexp": "logaddexp",
    "Exp": "exp",
    "Log": "log",
    "Sqrt": "sqrt",
    "Abs": "abs",
    "Sin": "sin",
    "Cos": "cos",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "ReLu": "relu",
}.items():
    _elementwise(_name, _named(_operation))

_elementwise("Positive", lambda build, creator: lambda a: a)
_elementwise("Square", lambda build, creator: lambda a: build.multiply(a, a))
_elementwise("Reciprocal", lambda build, creator: lambda a: build.divide(1.0, a))
_elementwise("Expm1", lambda build, creator: lambda a: build.subtract(build.exp(a), 1.0))
_elementwise("Log1p", lambda build, creator: lambda a: build.log(build.add(1.0, a)))
_elementwise("Exp2", lambda build, creator: lambda a: build.exp(build.multiply(a, np.log(2))))
_elementwise("Log2", lambda build, creator: lambda a: build.multiply(build.log(a), 1 / np.log(2)))
_elementwise("Log10", lambda build, creator: lambda a: build.multiply(build.log(a), 1 / np.log(10)))
_elementwise("AddSequence", lambda build, creator: lambda *a: reduce(build.add, a))
_elementwise("MultiplySequence", lambda build, creator: lambda *a: reduce(build.multiply, a))


def _exponential_unit(build: Builder, a: Node, alpha: float, scale: float) -> Node:
    # The exponential is taken of what is not positive only, so that the branch not chosen cannot overflow.
    below = build.multiply(alpha, build.subtract(build.exp(build.minimum(a, 0.0)), 1.0))
    chosen = build.select(build.greater(0.0, a), below, a)
    return chosen if scale == 1.0 else build.multiply(scale, chosen)


_elementwise("ELU", lambda build, creator: lambda a: _exponential_unit(build, a, float(creator.alpha), 1.0))
# The constants of Klambauer et al., "Self-normalizing neural networks", 2017.
_elementwise(
    "SELU", lambda build, creator: lambda a: _exponential_unit(build, a, 1.6732632423543772, 1.0507009873554805)
)


@_rule("Where")
def _where(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    mask = np.asarray(creator.condition, dtype=np.float32)
    return _broadcast_apply(build, build.select, [Plain(build.constant(mask), mask.shape), *operands])


# Other shapes and places ---------------------------------------------------------------------------------------------


def _moved(build: Builder, value: Value, move: Callable[[NDArray[Any]], NDArray[Any]]) -> Value:
    """Return the value with its elements moved as `move` moves those of an array of its shape."""
    if isinstance(value, Rows):
        whole = np.arange(prod(value.shape)).reshape(value.shape)
        moved = move(whole)
        rows = _rows_of(moved, prod(value.row_shape))
        if rows is not None:
            nodes = tuple(build.take(value.nodes[row], inside) for row, inside in rows)
            return Rows(nodes, moved.shape[1:])
    plain = as_plain(build, value)
    moved = move(np.arange(plain.node.size).reshape(plain.shape))
    if isinstance(value, Rows) and prod(moved.shape) == prod(value.row_shape):
        # All of it out of one row: the row itself, so that the others are not read.
        size = prod(value.row_shape)
        row = int(moved.reshape(-1)[0]) // size if moved.size else 0
        if np.all(moved // size == row):
            return Plain(build.take(value.nodes[row], moved - row * size), moved.shape)
    return Plain(build.take(plain.node, moved), moved.shape)


def _rows_of(moved: NDArray[Any], size: int) -> list[tuple[int, NDArray[Any]]] | None:
    """Return, for each place of the first axis, the one row that it is taken from and where in it; None if several."""
    if moved.ndim < 1 or moved.size == 0 or size == 0:
        return None
    found = []
    for part in moved:
        row = int(part.reshape(-1)[0]) // size
        inside = part - row * size
        if np.any(inside < 0) or np.any(inside >= size):
            return None
        found.append((row, inside))
    return found


@_rule("Reshape", "Squeeze", "Flatten", "Ravel", "ExpandDims", "AtLeast1D", "AtLeast2D", "AtLeast3D")
def _reshape(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    return _moved(build, operands[0], lambda a: a.reshape(tensor.shape))


@_rule("BroadcastTo")
def _broadcast(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    return _moved(build, operands[0], lambda a: np.broadcast_to(a, tensor.shape))


@_rule("Transpose")
def _transpose(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    return _moved(build, operands[0], lambda a: a.transpose(creator.axes))


@_rule("Tensor_Transpose_Property")
def _transpose_property(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    return _moved(build, operands[0], lambda a: a.T)


@_rule("MoveAxis")
def _move_axis(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    return _moved(build, operands[0], lambda a: np.moveaxis(a, creator.source, creator.destination))


@_rule("SwapAxes")
def _swap_axes(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    return _moved(build, operands[0], lambda a: np.swapaxes(a, creator.axis1, creator.axis2))


@_rule("Roll")
def _roll(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    return _moved(build, operands[0], lambda a: np.roll(a, creator.shift, creator.axis))


@_rule("Repeat")
def _repeat(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    return _moved(build, operands[0], lambda a: np.repeat(a, creator._repeats, creator._axis))


@_rule("GetItem")
def _get_item(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    index = creator.index
    value = operands[0]
    if isinstance(value, Rows) and index and isinstance(index[0], int | np.integer):
        # The common case, x[t], without looking at every element of the sequence.
        row = Plain(value.nodes[operator.index(index[0])], value.row_shape)
        return _moved(build, row, lambda a: a[index[1:]])
    return _moved(build, value, lambda a: a[index])


@_rule("Concatenate")
def _concatenate(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    # Vectors side by side are one vector; anything else one above the other is rows.
    vectors = len(tensor.shape) == 1 and all(isinstance(o, Plain) for o in operands)
    if creator.axis == 0 and not vectors:
        parts = [_as_rows(build, o) for o in operands]
        return Rows(tuple(node for part in parts for node in part.nodes), parts[0].row_shape)
    if creator.axis is not None and all(isinstance(o, Rows) for o in operands):
        rows = [_as_rows(build, o) for o in operands]
        joined = [
            _joined(build, [Plain(node, r.row_shape) for node, r in zip(row, rows, strict=True)], creator.axis - 1)
            for row in zip(*(r.nodes for r in rows), strict=True)
        ]
        return Rows(tuple(j.node for j in joined), joined[0].shape)
    return _joined(build, [as_plain(build, o) for o in operands], creator.axis)


@_rule("Stack")
def _stack(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    plain = [as_plain(build, o) for o in operands]
    if creator.axis == 0:
        return Rows(tuple(p.node for p in plain), plain[0].shape)
    shape = tuple(np.expand_dims(np.empty(plain[0].shape, dtype=bool), creator.axis).shape)
    return _joined(build, [Plain(p.node, shape) for p in plain], creator.axis)


def _joined(build: Builder, parts: list[Plain], axis: int | None) -> Plain:
    """Return the parts side by side along an axis, as one node."""
    numbered, start = [], 0
    for part in parts:
        numbered.append(np.arange(start, start + part.node.size).reshape(part.shape))
        start += part.node.size
    whole = np.concatenate(numbered, axis=axis)
    order = np.empty(start, dtype=np.int32)
    order[whole.reshape(-1)] = np.arange(start, dtype=np.int32)
    ends = np.cumsum([part.node.size for part in parts])
    places = tuple(piece.tobytes() for piece in np.split(order, ends[:-1]))
    kept = [(part.node, place) for part, place in zip(parts, places, strict=True) if part.node.size]
    node = build.make("join", *(n for n, _ in kept), places=tuple(p for _, p in kept)) if len(kept) > 1 else kept[0][0]
    return Plain(node, whole.shape)


# Over features, and over time ----------------------------------------------------------------------------------------


def _axes(creator: Any, ndim: int) -> tuple[int, ...]:
    axis = creator.axis
    return tuple(range(ndim)) if axis is None else tuple(sorted(a % ndim for a in axis))


def _reduced(build: Builder, operands: list[Value], tensor: Any, axes: tuple[int, ...], mean: bool) -> Value:
    """Return the sum or mean over `axes`; over the first axis of rows it is a running sum."""
    value = operands[0]
    count = prod(value.shape[a] for a in axes)
    if isinstance(value, Rows) and 0 in axes:
        # From zero on, so that the sum after one step is no other computation than after many.
        total: Value = Plain(reduce(build.add, value.nodes, build.constant(0.0)), value.row_shape)
        value = total
        axes = tuple(a - 1 for a in axes if a > 0)
    elif isinstance(value, Rows):
        inner = tuple(a - 1 for a in axes)
        nodes = tuple(_sum_plain(build, Plain(node, value.row_shape), inner) for node in value.nodes)
        nodes = tuple(build.divide(node, float(count)) if mean else node for node in nodes)
        return Rows(nodes, tensor.shape[1:])
    node = _sum_plain(build, as_plain(build, value), axes)
    return Plain(build.divide(node, float(count)) if mean else node, tensor.shape)


def _sum_plain(build: Builder, value: Plain, axes: tuple[int, ...]) -> Node:
    node, shape = value.node, list(value.shape)
    for axis in sorted(axes, reverse=True):
        outer, n, inner = prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])
        if n != 1:
            node = build.sum(node, outer=outer, n=n, inner=inner)
        del shape[axis]
    return node


@_rule("Sum")
def _sum(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    return _reduced(build, operands, tensor, _axes(creator, len(operands[0].shape)), mean=False)


@_rule("Mean")
def _mean(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    return _reduced(build, operands, tensor, _axes(creator, len(operands[0].shape)), mean=True)


def _variance_node(build: Builder, value: Plain, axes: tuple[int, ...], ddof: float) -> Node:
    kept = tuple(1 if a in axes else n for a, n in enumerate(value.shape))
    count = prod(value.shape[a] for a in axes)
    mean = build.divide(_sum_plain(build, value, axes), float(count))
    centred = build.subtract(value.node, _fitted(build, mean, kept, value.shape))
    square = Plain(build.multiply(centred, centred), value.shape)
    return build.divide(_sum_plain(build, square, axes), float(count) - ddof)


@_rule("Variance", "StdDev")
def _variance(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    axes = _axes(creator, len(operands[0].shape))
    ddof = float(creator.ddof) if isinstance(creator.ddof, int | float) else 0.0
    root = build.sqrt if type(creator).__name__ == "StdDev" else lambda node: node
    value = operands[0]
    if isinstance(value, Rows) and 0 not in axes:
        inner = tuple(a - 1 for a in axes)
        nodes = (root(_variance_node(build, Plain(n, value.row_shape), inner, ddof)) for n in value.nodes)
        return Rows(tuple(nodes), tensor.shape[1:])
    return Plain(root(_variance_node(build, as_plain(build, value), axes, ddof)), tensor.shape)


def _softmax_rule(operation: str) -> Rule:
    def rule(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
        value, axis = operands[0], creator._kw["axis"]
        axes = tuple(range(len(value.shape))) if axis is None else tuple(np.atleast_1d(axis) % len(value.shape))
        if isinstance(value, Rows) and 0 not in axes:
            inner = tuple(a - 1 for a in axes)
            nodes = (_softmax_node(build, operation, Plain(n, value.row_shape), inner) for n in value.nodes)
            return Rows(tuple(nodes), value.row_shape)
        return Plain(_softmax_node(build, operation, as_plain(build, value), axes), value.shape)

    return rule


def _softmax_node(build: Builder, operation: str, value: Plain, axes: tuple[int, ...]) -> Node:
    wide = [a for a in axes if value.shape[a] != 1]
    if len(wide) > 1 and len(wide) < sum(n != 1 for n in value.shape):
        raise UnsupportedOperation(f"a softmax over several of the axes of shape {value.shape} has no rule")
    if len(wide) > 1:
        outer, n, inner = 1, value.node.size, 1
    elif wide:
        outer, n, inner = prod(value.shape[: wide[0]]), value.shape[wide[0]], prod(value.shape[wide[0] + 1 :])
    else:
        outer, n, inner = value.node.size, 1, 1
    return build.make(operation, value.node, outer=outer, n=n, inner=inner)


RULES["Softmax"] = _softmax_rule("softmax")
RULES["LogSoftmax"] = _softmax_rule("log_softmax")


# Products ------------------------------------------------------------------------------------------------------------


@_rule("MatMul")
def _matmul(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    left, right = operands
    if isinstance(left, Rows) and len(left.shape) == 2:
        matrix = as_plain(build, right)
        nodes = tuple(_product(build, Plain(node, left.row_shape), matrix) for node in left.nodes)
        return Rows(nodes, tensor.shape[1:])
    return Plain(_product(build, as_plain(build, left), as_plain(build, right)), tensor.shape)


def _product(build: Builder, left: Plain, right: Plain) -> Node:
    a = left.shape if len(left.shape) > 1 else (1, *left.shape)
    b = right.shape if len(right.shape) > 1 else (*right.shape, 1)
    # Leading axes of length one are no batch; a real one would need a product for each.
    if prod(a[:-2]) != 1 or prod(b[:-2]) != 1:
        raise UnsupportedOperation(f"a product of stacks of matrices, {left.shape} @ {right.shape}, has no rule")
    m, k, n = a[-2], a[-1], b[-1]
    if m == 1 and n == 1:
        return build.sum(build.multiply(left.node, right.node), outer=1, n=k, inner=1)
    matrix, flipped = _untransposed(right.node, k, n)
    if k == 1 and m > 1 and n > 1:
        return build.outer(left.node, right.node)
    if n == 1 and m > 1:
        # A matrix times a column is the column, as a row, times the transposed matrix.
        matrix, flipped = _untransposed(left.node, m, k)
        return build.matmul(right.node, matrix, m=1, k=k, n=m, transposed=not flipped)
    return build.matmul(left.node, matrix, m=m, k=k, n=n, transposed=flipped)


def _untransposed(node: Node, rows: int, columns: int) -> tuple[Node, bool]:
    """Return the matrix that `node`, of shape (rows, columns), is the transpose of, and True; or itself, and False."""
    if node.operation == "take" and rows > 1 and columns > 1 and node.inputs[0].size == rows * columns:
        if node.attributes[0] == transposed_indices(columns, rows).tobytes():
            return node.inputs[0], True
    return node, False
