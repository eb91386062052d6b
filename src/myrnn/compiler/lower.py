"""How each of MyGrad's operations is written in the compiler's own: one rule for each, by MyGrad's name for it.

A tensor of the model is one node, or rows, a node for each place of the first axis. A rule builds the value of the
result from the values of the operands.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler.graph import Builder, Node
from myrnn.compiler.ops import transposed_indices
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
"""From the builder, MyGrad's operation, the operands and the resulting tensor to the value of that tensor."""


def as_plain(build: Builder, value: Value) -> Plain:
    """Return the value as one node: rows are joined."""
    if isinstance(value, Plain):
        return value
    if len(value.nodes) == 1:
        return Plain(value.nodes[0], value.shape)
    size = prod(value.row_shape)
    places = tuple(np.arange(i * size, (i + 1) * size, dtype=np.int32).tobytes() for i in range(len(value.nodes)))
    return Plain(build.make("join", *value.nodes, places=places), value.shape)


def as_rows(build: Builder, value: Value) -> Rows:
    """Return the value as a node for each place of its first axis."""
    if isinstance(value, Rows):
        return value
    size = prod(value.shape[1:])
    nodes = tuple(build.take(value.node, np.arange(i * size, (i + 1) * size)) for i in range(value.shape[0]))
    return Rows(nodes, value.shape[1:])


def fitted(build: Builder, node: Node, shape: Shape, target: Shape) -> Node:
    """Return the node with as many elements as `target`, or a single one."""
    if node.size in (1, prod(target)):
        return node
    indices = np.broadcast_to(np.arange(node.size).reshape(shape), target)
    return build.take(node, indices)


# Element by element -------------------------------------------------------------------------------------------------


Elementwise = Callable[..., Node]


def _broadcast_apply(build: Builder, function: Elementwise, operands: list[Value]) -> Value:
    """Return `function` of the operands' nodes, row by row where one of them is rows of the result's length."""
    shape = np.broadcast_shapes(*(o.shape for o in operands))
    if any(
        isinstance(o, Rows) and o.shape == (shape[0], *o.row_shape) and len(o.shape) == len(shape) for o in operands
    ):
        parts = [_row_operands(build, o, shape) for o in operands]
        row_shape = shape[1:]
        nodes = tuple(
            function(*(fitted(build, node, row, row_shape) for node, row in row)) for row in zip(*parts, strict=True)
        )
        return Rows(nodes, row_shape)
    plain = [as_plain(build, o) for o in operands]
    return Plain(function(*(fitted(build, p.node, p.shape, shape) for p in plain)), shape)


def _row_operands(build: Builder, value: Value, shape: Shape) -> list[tuple[Node, Shape]]:
    """Return what each row of a result of `shape` reads of this operand, and the shape of that."""
    if len(value.shape) < len(shape):
        plain = as_plain(build, value)
        return [(plain.node, plain.shape)] * shape[0]
    rows = as_rows(build, value)
    nodes = rows.nodes * shape[0] if len(rows.nodes) == 1 else rows.nodes
    return [(node, rows.row_shape) for node in nodes]


def _exponential_unit(build: Builder, a: Node, alpha: float, scale: float) -> Node:
    # The exponential is taken of what is not positive only, so that the branch not chosen cannot overflow.
    below = build.multiply(alpha, build.subtract(build.exp(build.minimum(a, 0.0)), 1.0))
    chosen = build.select(build.greater(0.0, a), below, a)
    return chosen if scale == 1.0 else build.multiply(scale, chosen)


def _elu(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    return _broadcast_apply(build, lambda a: _exponential_unit(build, a, float(creator.alpha), 1.0), operands)


def _where(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    mask = np.asarray(creator.condition, dtype=np.float32)
    return _broadcast_apply(build, build.select, [Plain(build.constant(mask), mask.shape), *operands])


_NAMED = {
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
    "Expm1": "expm1",
    "Log": "log",
    "Log1p": "log1p",
    "Sqrt": "sqrt",
    "Abs": "abs",
    "Sin": "sin",
    "Cos": "cos",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "ReLu": "relu",
}
"""Those that the compiler has itself, under its own names."""


def _sinh(build: Builder, a: Node) -> Node:
    # By exp itself, small numbers would lose their digits.
    return build.multiply(0.5, build.subtract(build.expm1(a), build.expm1(build.negative(a))))


def _cosh(build: Builder, a: Node) -> Node:
    return build.multiply(0.5, build.add(build.exp(a), build.exp(build.negative(a))))


_MADE: dict[str, Elementwise] = {
    "Positive": lambda build, a: a,
    "Square": lambda build, a: build.multiply(a, a),
    "Reciprocal": lambda build, a: build.divide(1.0, a),
    "Exp2": lambda build, a: build.exp(build.multiply(a, np.log(2))),
    "Log2": lambda build, a: build.multiply(build.log(a), 1 / np.log(2)),
    "Log10": lambda build, a: build.multiply(build.log(a), 1 / np.log(10)),
    "Sinh": _sinh,
    "Cosh": _cosh,
    "Tan": lambda build, a: build.divide(build.sin(a), build.cos(a)),
    "AddSequence": lambda build, *a: reduce(build.add, a),
    "MultiplySequence": lambda build, *a: reduce(build.multiply, a),
    # The constants of Klambauer et al., "Self-normalizing neural networks", 2017.
    "SELU": lambda build, a: _exponential_unit(build, a, 1.6732632423543772, 1.0507009873554805),
}
"""Those that are made of others: from the builder and the operands' nodes to the result's."""


def _named(operation: str) -> Rule:
    def rule(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
        return _broadcast_apply(build, getattr(build, operation), operands)

    return rule


def _made(function: Elementwise) -> Rule:
    def rule(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
        return _broadcast_apply(build, partial(function, build), operands)

    return rule


ELEMENTWISE: dict[str, Rule] = {
    **{name: _named(operation) for name, operation in _NAMED.items()},
    **{name: _made(function) for name, function in _MADE.items()},
    "ELU": _elu,
    "Where": _where,
}


# Shapes and places ---------------------------------------------------------------------------------------------------

Array = NDArray[Any]


def _moved(build: Builder, value: Value, move: Callable[[Array], Array]) -> Value:
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


def _rows_of(moved: Array, size: int) -> list[tuple[int, Array]] | None:
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


def _get_item(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    index = creator.index
    value = operands[0]
    if isinstance(value, Rows) and index and isinstance(index[0], int | np.integer):
        # The common case, x[t], without looking at every element of the sequence.
        row = Plain(value.nodes[operator.index(index[0])], value.row_shape)
        return _moved(build, row, lambda a: a[index[1:]])
    return _moved(build, value, lambda a: a[index])


def _concatenate(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    if creator.axis == 0 and not _is_one_value(operands):
        parts = [as_rows(build, o) for o in operands]
        return Rows(tuple(node for part in parts for node in part.nodes), parts[0].row_shape)
    if creator.axis is not None and all(isinstance(o, Rows) for o in operands):
        rows = [as_rows(build, o) for o in operands]
        joined = [
            _joined(build, [Plain(node, r.row_shape) for node, r in zip(row, rows, strict=True)], creator.axis - 1)
            for row in zip(*(r.nodes for r in rows), strict=True)
        ]
        return Rows(tuple(j.node for j in joined), joined[0].shape)
    return _joined(build, [as_plain(build, o) for o in operands], creator.axis)


def _is_one_value(operands: list[Value]) -> bool:
    """Whether what is joined along the first axis is one value, such as vectors side by side or a stack that is pushed.

    Rows of the sequence, and single rows that may be those of all steps, are rows.
    """
    plain = [o.shape for o in operands if isinstance(o, Plain)]
    return len(plain) == len(operands) and any(len(shape) == 1 or shape[0] > 1 for shape in plain)


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


_MOVES: dict[str, Callable[[Array, Any, Any], Array]] = {
    **dict.fromkeys(
        ("Reshape", "Squeeze", "Flatten", "Ravel", "ExpandDims", "AtLeast1D", "AtLeast2D", "AtLeast3D"),
        lambda a, creator, tensor: a.reshape(tensor.shape),
    ),
    "BroadcastTo": lambda a, creator, tensor: np.broadcast_to(a, tensor.shape),
    "Transpose": lambda a, creator, tensor: a.transpose(creator.axes),
    "Tensor_Transpose_Property": lambda a, creator, tensor: a.T,
    "MoveAxis": lambda a, creator, tensor: np.moveaxis(a, creator.source, creator.destination),
    "SwapAxes": lambda a, creator, tensor: np.swapaxes(a, creator.axis1, creator.axis2),
    "Roll": lambda a, creator, tensor: np.roll(a, creator.shift, creator.axis),
    "Repeat": lambda a, creator, tensor: np.repeat(a, creator._repeats, creator._axis),
}
"""What each does to an array, given MyGrad's operation and the resulting tensor."""


def _move(move: Callable[[Array, Any, Any], Array]) -> Rule:
    def rule(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
        return _moved(build, operands[0], lambda a: move(a, creator, tensor))

    return rule


SHAPES: dict[str, Rule] = {
    **{name: _move(move) for name, move in _MOVES.items()},
    "GetItem": _get_item,
    "Concatenate": _concatenate,
    "Stack": _stack,
}


# Along axes ----------------------------------------------------------------------------------------------------------


def _axes_of(creator: Any, ndim: int) -> tuple[int, ...]:
    axis = creator.axis
    return tuple(range(ndim)) if axis is None else tuple(sorted(a % ndim for a in axis))


def _reduced(build: Builder, operands: list[Value], tensor: Any, axes: tuple[int, ...], mean: bool) -> Value:
    """Return the sum or mean over `axes`; over the first axis of rows it is a running sum."""
    value = operands[0]
    count = prod(value.shape[a] for a in axes)
    if isinstance(value, Rows) and 0 in axes:
        # From zero on, so that the sum after one step is no other computation than after many.
        zeros = build.constant(np.zeros(prod(value.row_shape)))
        total: Value = Plain(reduce(build.add, value.nodes, zeros), value.row_shape)
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


def _sum(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    return _reduced(build, operands, tensor, _axes_of(creator, len(operands[0].shape)), mean=False)


def _mean(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    return _reduced(build, operands, tensor, _axes_of(creator, len(operands[0].shape)), mean=True)


def _extreme(operation: str, end: float) -> Rule:
    """Return the rule for the largest or smallest number along axes; `end` is what no number goes beyond."""

    def rule(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
        value, choose = operands[0], getattr(build, operation)
        axes = _axes_of(creator, len(value.shape))
        if not isinstance(value, Rows):
            return Plain(_extreme_plain(build, choose, as_plain(build, value), axes), tensor.shape)
        inner = tuple(a - 1 for a in axes if a > 0)
        nodes = tuple(_extreme_plain(build, choose, Plain(n, value.row_shape), inner) for n in value.nodes)
        if 0 not in axes:
            return Rows(nodes, tensor.shape[1:])
        # As for sums, one step is no other computation than many.
        start = build.constant(np.full(nodes[0].size, end))
        return Plain(reduce(choose, nodes, start), tensor.shape)

    return rule


def _extreme_plain(build: Builder, choose: Callable[[Node, Node], Node], value: Plain, axes: tuple[int, ...]) -> Node:
    node, shape = value.node, list(value.shape)
    for axis in sorted(axes, reverse=True):
        outer, n = prod(shape[:axis]), shape.pop(axis)
        while n > 1:
            # Neighbours in pairs: the first of equal ones stays the first. The last may be without, and its own.
            places = np.arange(node.size).reshape(outer, n, -1)
            second = np.minimum(np.arange(1, n + 1, 2), n - 1)
            node = choose(build.take(node, places[:, ::2]), build.take(node, places[:, second]))
            n = len(second)
    return node


def _variance_node(build: Builder, value: Plain, axes: tuple[int, ...], ddof: float) -> Node:
    kept = tuple(1 if a in axes else n for a, n in enumerate(value.shape))
    count = prod(value.shape[a] for a in axes)
    mean = build.divide(_sum_plain(build, value, axes), float(count))
    centred = build.subtract(value.node, fitted(build, mean, kept, value.shape))
    square = Plain(build.multiply(centred, centred), value.shape)
    return build.divide(_sum_plain(build, square, axes), float(count) - ddof)


def _variance(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    axes = _axes_of(creator, len(operands[0].shape))
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


REDUCTIONS: dict[str, Rule] = {
    "Sum": _sum,
    "Mean": _mean,
    "Max": _extreme("larger", -np.inf),
    "Min": _extreme("smaller", np.inf),
    "Variance": _variance,
    "StdDev": _variance,
    "Softmax": _softmax_rule("softmax"),
    "LogSoftmax": _softmax_rule("log_softmax"),
}


# Products ------------------------------------------------------------------------------------------------------------


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


PRODUCTS: dict[str, Rule] = {"MatMul": _matmul}

RULES: dict[str, Rule] = {**ELEMENTWISE, **SHAPES, **REDUCTIONS, **PRODUCTS}
