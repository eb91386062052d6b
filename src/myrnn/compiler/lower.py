"""How each of MyGrad's operations is written in the compiler's own: one rule for each, by MyGrad's name for it.

A tensor of the model is one node, or rows: a node for each place of its first axis. The sequence is rows, and so is
what is computed for all steps at once, so that a projection of the whole sequence and one inside the loop are the same
graph. Rules are written for plain values, and `lifted` applies them row by row.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler import ops
from myrnn.compiler.graph import Builder, Node
from myrnn.compiler.ops import OPERATIONS, take, transposed_indices
from myrnn.errors import UnsupportedOperation

Array = NDArray[Any]
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


def as_rows(value: Value) -> Rows:
    """Return the value as a node for each place of its first axis."""
    if isinstance(value, Rows):
        return value
    size = prod(value.shape[1:])
    nodes = (take(value.node, indices=np.arange(i * size, (i + 1) * size)) for i in range(value.shape[0]))
    return Rows(tuple(nodes), value.shape[1:])


def fitted(value: Plain, target: Shape) -> Node:
    """Return the node with as many elements as `target`, or a single one."""
    if value.node.size in (1, prod(target)):
        return value.node
    return take(value.node, indices=np.broadcast_to(np.arange(value.node.size).reshape(value.shape), target))


def lifted(
    build: Builder, rule: Callable[..., Node], operands: Sequence[Value], by_row: Sequence[bool], shape: Shape
) -> Value:
    """Apply a rule for plain values: to each row, where an operand is rows of the result, otherwise to the whole.

    Parameters
    ----------
    build : Builder
    rule : callable
        From plain values to the node of the result. It means the same for a row as for the whole: what it knows about
        axes, it counts from the last.
    operands : sequence of Value
    by_row : sequence of bool
        Whether the first axis of each operand is that of the result; otherwise every row reads the whole operand.
    shape : tuple of int
        Of the result.
    """
    pairs = list(zip(operands, by_row, strict=True))
    if not any(isinstance(o, Rows) and along and len(o.nodes) == shape[0] for o, along in pairs):
        return Plain(rule(*(as_plain(build, o) for o in operands)), shape)
    parts = []
    for operand, along in pairs:
        rows = as_rows(operand) if along else Rows((as_plain(build, operand).node,), operand.shape)
        nodes = rows.nodes * shape[0] if len(rows.nodes) == 1 else rows.nodes
        parts.append([Plain(node, rows.row_shape) for node in nodes])
    return Rows(tuple(rule(*row) for row in zip(*parts, strict=True)), shape[1:])


# Element by element ---------------------------------------------------------------------------------------------------


def _element_wise(function: Callable[..., Node]) -> Rule:
    """Return the rule of a function of nodes of one size, or of single numbers."""

    def whole(*values: Plain) -> Node:
        shape = np.broadcast_shapes(*(v.shape for v in values))
        return function(*(fitted(v, shape) for v in values))

    def rule(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
        by_row = [len(o.shape) == len(tensor.shape) for o in operands]
        return lifted(build, whole, operands, by_row, tensor.shape)

    return rule


def _elu(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    return _element_wise(partial(ops.exponential_unit, alpha=float(creator.alpha)))(build, creator, operands, tensor)


def _abs(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    row = ops.absolute if creator._nan_to_num else ops.abs_nan
    return _element_wise(row)(build, creator, operands, tensor)


def _power(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    base, exponent = operands
    if isinstance(exponent, Plain) and exponent.node is build.constant(3.0):
        return _element_wise(ops.cube)(build, creator, [base], tensor)
    return _element_wise(ops.power)(build, creator, operands, tensor)


def _where(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    mask = np.asarray(creator.condition, dtype=np.float32)
    return _element_wise(ops.select)(build, creator, [Plain(build.constant(mask), mask.shape), *operands], tensor)


ELEMENTWISE: dict[str, Rule] = {
    **{row.mygrad: _element_wise(row) for row in OPERATIONS.values() if row.mygrad},
    "Abs": _abs,
    "AddSequence": _element_wise(lambda *a: reduce(ops.add, a)),
    "ELU": _elu,
    "Power": _power,
    "MultiplySequence": _element_wise(lambda *a: reduce(ops.multiply, a)),
    "Where": _where,
}

# Shapes and places ----------------------------------------------------------------------------------------------------


def _moved(build: Builder, value: Value, move: Callable[[Array], Array]) -> Value:
    """Return the value with its elements moved as `move` moves those of an array of its shape."""
    moved = np.asarray(move(np.arange(prod(value.shape)).reshape(value.shape)))
    if isinstance(value, Rows) and moved.size:
        size = prod(value.row_shape)
        sources = [np.unique(part // size) for part in np.atleast_1d(moved)]
        if all(len(rows) == 1 for rows in sources):
            rows = [int(row) for (row,) in sources]
            # Several pieces of one row are that row in another shape.
            if moved.ndim == 0 or (len(set(rows)) == 1 and len(rows) > 1 and prod(moved.shape[1:]) < size):
                return Plain(take(value.nodes[rows[0]], indices=moved - rows[0] * size), moved.shape)
            nodes = (take(value.nodes[r], indices=moved[i : i + 1] - r * size) for i, r in enumerate(rows))
            return Rows(tuple(nodes), moved.shape[1:])
    return Plain(take(as_plain(build, value).node, indices=moved), moved.shape)


def _get_item(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    index = creator.index
    value = operands[0]
    if isinstance(value, Rows) and index and isinstance(index[0], int | np.integer):
        # The common case, x[t], without looking at every element of the sequence.
        value, index = Plain(value.nodes[operator.index(index[0])], value.row_shape), index[1:]
    return _moved(build, value, lambda a: a[index])


def _move(move: Callable[[Array, Any, Any], Array]) -> Rule:
    return lambda build, creator, operands, tensor: _moved(build, operands[0], lambda a: move(a, creator, tensor))


def _concatenate(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    if creator.axis == 0 and not _is_one_value(operands):
        return Rows(tuple(node for o in operands for node in as_rows(o).nodes), operands[0].shape[1:])
    axis = None if creator.axis is None else creator.axis - len(tensor.shape)
    by_row = [creator.axis not in (None, 0) and all(isinstance(o, Rows) for o in operands)] * len(operands)
    return lifted(build, partial(_joined, axis=axis), operands, by_row, tensor.shape)


def _is_one_value(operands: list[Value]) -> bool:
    """Whether what is joined along the first axis is one value, such as vectors side by side or a stack that is pushed.

    Rows of the sequence, and single rows that may be those of all steps, are rows.
    """
    plain = [o.shape for o in operands if isinstance(o, Plain)]
    return len(plain) == len(operands) and any(len(shape) == 1 or shape[0] > 1 for shape in plain)


def _stack(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    axis = creator.axis % len(tensor.shape)
    if axis == 0:
        return Rows(tuple(as_plain(build, o).node for o in operands), tensor.shape[1:])

    def rule(*parts: Plain) -> Node:
        end = axis - len(tensor.shape)
        wide = (np.expand_dims(np.empty(part.shape, dtype=bool), end).shape for part in parts)
        return _joined(*(Plain(p.node, s) for p, s in zip(parts, wide, strict=True)), axis=end)

    by_row = [all(isinstance(o, Rows) for o in operands)] * len(operands)
    return lifted(build, rule, operands, by_row, tensor.shape)


def _joined(*parts: Plain, axis: int | None) -> Node:
    """Return the parts side by side along an axis, as one node."""
    ends = np.cumsum([part.node.size for part in parts])
    numbered = [
        np.arange(end - p.node.size, end).reshape(p.shape) if p.node.size else np.empty(p.shape, dtype=int)
        for p, end in zip(parts, ends, strict=True)
    ]
    whole = np.concatenate(numbered, axis=axis)
    order = np.empty(ends[-1], dtype=np.int32)
    order[whole.reshape(-1)] = np.arange(ends[-1], dtype=np.int32)
    places = [place.tobytes() for place in np.split(order, ends[:-1])]
    kept = [(part.node, place) for part, place in zip(parts, places, strict=True) if part.node.size]
    return ops.join(*(n for n, _ in kept), places=tuple(p for _, p in kept)) if len(kept) > 1 else kept[0][0]


SHAPES: dict[str, Rule] = {
    **dict.fromkeys(
        ("Reshape", "Squeeze", "Flatten", "Ravel", "ExpandDims", "AtLeast1D", "AtLeast2D", "AtLeast3D"),
        _move(lambda a, creator, tensor: a.reshape(tensor.shape)),
    ),
    "BroadcastTo": _move(lambda a, creator, tensor: np.broadcast_to(a, tensor.shape)),
    "Transpose": _move(lambda a, creator, tensor: a.transpose(creator.axes)),
    "Tensor_Transpose_Property": _move(lambda a, creator, tensor: a.T),
    "MoveAxis": _move(lambda a, creator, tensor: np.moveaxis(a, creator.source, creator.destination)),
    "SwapAxes": _move(lambda a, creator, tensor: np.swapaxes(a, creator.axis1, creator.axis2)),
    "Roll": _move(lambda a, creator, tensor: np.roll(a, creator.shift, creator.axis)),
    "Repeat": _move(lambda a, creator, tensor: np.repeat(a, creator._repeats, creator._axis)),
    "GetItem": _get_item,
    "Concatenate": _concatenate,
    "Stack": _stack,
}

# Along axes -----------------------------------------------------------------------------------------------------------


def _axes_of(creator: Any, ndim: int) -> tuple[int, ...]:
    """Return the axes of an operation in order, counted from the last; None is all of them."""
    axis = creator._kw["axis"] if hasattr(creator, "_kw") else creator.axis
    return tuple(range(-ndim, 0)) if axis is None else tuple(sorted(int(a) % ndim - ndim for a in np.atleast_1d(axis)))


def _along_axes(whole: Callable[[Any, Plain, tuple[int, ...]], Node]) -> Rule:
    """Return the rule of what `whole` does along axes, row by row where the first axis is none of them."""

    def rule(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
        ndim = len(operands[0].shape)
        axes = _axes_of(creator, ndim)
        return lifted(build, lambda value: whole(creator, value, axes), operands, [-ndim not in axes], tensor.shape)

    return rule


def _fold(whole: Callable[[Plain, tuple[int, ...]], Node], row: ops.Row, start: float) -> Rule:
    """Return the rule of a sum or the like: `whole` does it for a plain value, `row` for two.

    Over rows it goes on step by step, from `start` on, so that one step is no other computation than many.
    """

    def rule(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
        value = operands[0]
        first, *others = _axes_of(creator, len(value.shape)) or (0,)
        if not isinstance(value, Rows) or first != -len(value.shape):
            return _along_axes(lambda _, value, axes: whole(value, axes))(build, creator, operands, tensor)
        inner = (whole(Plain(node, value.row_shape), tuple(others)) for node in value.nodes)
        return Plain(reduce(row, inner, build.constant(np.full(tensor.size, start))), tensor.shape)

    return rule


def _mean(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    count = prod(operands[0].shape) / max(tensor.size, 1)
    total = REDUCTIONS["Sum"](build, creator, operands, tensor)
    return lifted(build, lambda value: value.node / count, [total], [True], tensor.shape)


def _sum(value: Plain, axes: tuple[int, ...]) -> Node:
    node, shape = value.node, list(value.shape)
    for axis in reversed(axes):
        outer, n, inner = _around(shape, axis)
        if n != 1:
            node = ops.total(node, outer=outer, n=n, inner=inner)
        shape[axis] = 1
    return node


def _around(shape: Sequence[int], axis: int) -> tuple[int, int, int]:
    """Return how many numbers lie before, along and behind an axis."""
    axis %= len(shape)
    return prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])


def _in_pairs(row: ops.Row) -> Callable[..., Node]:
    """Return the fold of a plain value along axes: of neighbours in pairs, so that the first of equal ones stays it."""

    def whole(value: Plain, axes: tuple[int, ...]) -> Node:
        node, shape = value.node, list(value.shape)
        for axis in reversed(axes):
            outer, n, _ = _around(shape, axis)
            shape[axis], rest = 1, None
            while n > 1:
                places = np.arange(node.size).reshape(outer, n, -1)
                if n % 2:
                    last = take(node, indices=places[:, -1])
                    rest = last if rest is None else row(last, rest)
                n //= 2
                node = row(take(node, indices=places[:, : 2 * n : 2]), take(node, indices=places[:, 1 : 2 * n : 2]))
            node = node if rest is None else row(node, rest)
        return node

    return whole


def _running(row: ops.Row, start: float) -> Rule:
    """Return the rule of the sums, or products, of all numbers up to each one along an axis."""

    def whole(value: Plain, axis: int) -> Node:
        node, (outer, n, inner) = value.node, _around(value.shape, axis)
        places = np.arange(node.size).reshape(outer, n, inner)
        step = 1
        while step < n:
            # Every number with the one `step` places before, those of which twice as many behind are made.
            earlier = ops.put(
                take(node, indices=places[:, :-step]),
                indices=np.ascontiguousarray(places[:, step:]).reshape(-1),
                size=node.size,
            )
            missing = np.where(np.arange(n)[:, None] < step, start, np.zeros((outer, n, inner)))
            node = row(node, earlier + missing if start else earlier)
            step *= 2
        return node

    def rule(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
        value, axis = operands[0], creator.axis
        if axis is None:
            value, axis = _moved(build, value, np.ravel), 0
        axis = axis % len(value.shape) - len(value.shape)
        if isinstance(value, Rows) and axis == -len(value.shape):
            begin = build.constant(np.full(prod(value.row_shape), start))
            return Rows(tuple(accumulate(value.nodes, row, initial=begin))[1:], value.row_shape)
        return lifted(build, partial(whole, axis=axis), [value], [axis != -len(value.shape)], tensor.shape)

    return rule


def _variance(creator: Any, value: Plain, axes: tuple[int, ...]) -> Node:
    ddof = float(creator.ddof) if isinstance(creator.ddof, int | float) else 0.0
    kept = tuple(1 if a - len(value.shape) in axes else n for a, n in enumerate(value.shape))
    count = float(prod(value.shape[a] for a in axes))
    centred = value.node - fitted(Plain(_sum(value, axes) / count, kept), value.shape)
    return _sum(Plain(centred * centred, value.shape), axes) / (count - ddof)


def _norm(creator: Any, value: Plain, axes: tuple[int, ...]) -> Node:
    if not creator._nan_to_num:
        raise UnsupportedOperation("a norm with nan_to_num=False has no rule")
    order = float(creator.ord)
    if order == 2:
        return ops.sqrt(_sum(Plain(value.node * value.node, value.shape), axes))
    sizes = ops.absolute(value.node)
    if order == 1:
        return _sum(Plain(sizes, value.shape), axes)
    return ops.power(_sum(Plain(ops.power(sizes, order), value.shape), axes), 1 / order)


def _softmax(row: ops.Row) -> Rule:
    def whole(creator: Any, value: Plain, axes: tuple[int, ...]) -> Node:
        wide = [a for a in axes if value.shape[a] != 1]
        if len(wide) > 1 and len(wide) < sum(n != 1 for n in value.shape):
            raise UnsupportedOperation(f"a softmax over several of the axes of shape {value.shape} has no rule")
        around = (value.node.size, 1, 1) if not wide else (1, value.node.size, 1)
        outer, n, inner = _around(value.shape, wide[0]) if len(wide) == 1 else around
        return row(value.node, outer=outer, n=n, inner=inner)

    return _along_axes(whole)


REDUCTIONS: dict[str, Rule] = {
    "Sum": _fold(_sum, ops.add, 0.0),
    "Mean": _mean,
    "Prod": _fold(_in_pairs(ops.multiply), ops.multiply, 1.0),
    "Max": _fold(_in_pairs(ops.larger), ops.larger, -np.inf),
    "Min": _fold(_in_pairs(ops.smaller), ops.smaller, np.inf),
    "CumSum": _running(ops.add, 0.0),
    "CumProd": _running(ops.multiply, 1.0),
    "Variance": _along_axes(_variance),
    "StdDev": _along_axes(lambda *known: ops.sqrt(_variance(*known))),
    "Norm": _along_axes(_norm),
    "Softmax": _softmax(ops.softmax),
    "LogSoftmax": _softmax(ops.log_softmax),
}

# Products -------------------------------------------------------------------------------------------------------------


def _matmul(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    ranks = [len(o.shape) for o in operands]
    # The rows of a matrix on the left are those of the result; of stacks it is the matrices, one after the other.
    by_row = [rank == max(ranks) for rank in ranks] if max(ranks) > 2 else [ranks[0] == 2, False]
    return lifted(build, _product, operands, by_row, tensor.shape)


def _product(left: Plain, right: Plain) -> Node:
    a = left.shape if len(left.shape) > 1 else (1, *left.shape)
    b = right.shape if len(right.shape) > 1 else (*right.shape, 1)
    m, k, n = a[-2], a[-1], b[-1]
    if prod(b[:-2]) == 1:
        m *= prod(a[:-2])
    elif prod(a[:-2]) != 1 or prod(b[:-2]) != 1:
        stack = np.broadcast_shapes(a[:-2], b[:-2])
        matrices = []
        for value, shape in ((left, a), (right, b)):
            places = np.arange(value.node.size).reshape(shape)
            places = np.broadcast_to(places, (*stack, *shape[-2:])).reshape(-1, *shape[-2:])
            matrices.append([Plain(take(value.node, indices=p), p.shape) for p in places])
        parts = [Plain(_product(*pair), (m, n)) for pair in zip(*matrices, strict=True)]
        return _joined(*parts, axis=0)
    if m == 1 and n == 1:
        return ops.total(left.node * right.node, outer=1, n=k, inner=1)
    if k == 1 and m > 1 and n > 1:
        return ops.outer(left.node, right.node)
    if n == 1 and m > 1:
        # A matrix times a column is the column, as a row, times the transposed matrix.
        matrix, flipped = _untransposed(left.node, m, k)
        return ops.matmul(right.node, matrix, m=1, k=k, n=m, transposed=not flipped)
    matrix, flipped = _untransposed(right.node, k, n)
    return ops.matmul(left.node, matrix, m=m, k=k, n=n, transposed=flipped)


def _untransposed(node: Node, rows: int, columns: int) -> tuple[Node, bool]:
    """Return the matrix that `node`, of shape (rows, columns), is the transpose of, and True; or itself, and False."""
    if node.operation == "take" and rows > 1 and columns > 1 and node.inputs[0].size == rows * columns:
        if node.attributes[0] == transposed_indices(columns, rows).tobytes():
            return node.inputs[0], True
    return node, False


Labels = Sequence[str]


def _einsum(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    labels, out = creator.in_lbls, creator.out_lbls
    by_row = [out != "" and own.startswith(out[0]) and own.count(out[0]) == 1 for own in labels]
    if any(out[:1] in own and not along for own, along in zip(labels, by_row, strict=True)):
        by_row = [False] * len(operands)

    def rule(*values: Plain) -> Node:
        cut = [own[len(own) - len(v.shape) :] for own, v in zip(labels, values, strict=True)]
        return _contracted(values, cut, out if cut == labels else out[1:])

    return lifted(build, rule, operands, by_row, tensor.shape)


def _contracted(values: Sequence[Plain], labels: Labels, out: str) -> Node:
    """Multiply values that share the axes of the same label, and sum over the axes that `out` lacks."""
    pairs = [pair for own, v in zip(labels, values, strict=True) for pair in zip(own, v.shape, strict=True)]
    sizes = {label: max(n for other, n in pairs if other == label) for label, _ in pairs}
    parts: list[tuple[Node, str]] = []
    for value, own in zip(values, labels, strict=True):
        once = "".join(dict.fromkeys(own))
        places = np.einsum(f"{own}->{once}", np.arange(value.node.size).reshape(value.shape))
        # Along an axis of one that others have longer, it serves for every place.
        kept = "".join(label for label, n in zip(once, places.shape, strict=True) if n == sizes[label])
        parts.append((take(value.node, indices=places), kept))
    node, own = parts[0]
    for i, (other, its) in enumerate(parts[1:], start=2):
        needed = out + "".join(later for _, later in parts[i:])
        node, own = _summed_but(node, own, needed + its, sizes)
        other, its = _summed_but(other, its, needed + own, sizes)
        shared = [label for label in own if label in its]
        batch, inner = ("".join(label for label in shared if (label in needed) == is_kept) for is_kept in (True, False))
        left = "".join(label for label in own if label not in its)
        right = "".join(label for label in its if label not in own)
        count, m, k, n = (prod(sizes[label] for label in some) for some in (batch, left, inner, right))
        a, b = _arranged(node, own, batch + left + inner, sizes), _arranged(other, its, batch + inner + right, sizes)
        if count == 1:
            node = _product(Plain(a, (m, k)), Plain(b, (k, n)))
        else:
            b = _arranged(other, its, batch + right + inner, sizes)
            full = (count, m, n, k)
            terms = fitted(Plain(a, (count, m, 1, k)), full) * fitted(Plain(b, (count, 1, n, k)), full)
            node = _sum(Plain(terms, full), (-1,))
        own = batch + left + right
    node, own = _summed_but(node, own, out, sizes)
    return _arranged(node, own, out, sizes)


def _summed_but(node: Node, labels: str, kept: str, sizes: dict[str, int]) -> tuple[Node, str]:
    axes = tuple(i - len(labels) for i, label in enumerate(labels) if label not in kept)
    summed = _sum(Plain(node, tuple(sizes[label] for label in labels)), axes)
    return summed, "".join(label for label in labels if label in kept)


def _arranged(node: Node, labels: str, order: str, sizes: dict[str, int]) -> Node:
    places = np.arange(node.size).reshape([sizes[label] for label in labels])
    return take(node, indices=places.transpose([labels.index(label) for label in order]))


PRODUCTS: dict[str, Rule] = {"MatMul": _matmul, "EinSum": _einsum}

RULES: dict[str, Rule] = {**ELEMENTWISE, **SHAPES, **REDUCTIONS, **PRODUCTS}
"""MyGrad's class -> rule."""

_LOSS = "Return logits: training computes the loss"
INSTEAD = {
    "SetItem": "Collect states in a list, or assign them to a name",
    "GRUnit": "Write the steps as a loop over the sequence, as `myrnn.GRU` does",
    "ConvND": "Write it as products with the last elements of the sequence, which a step hands on to the next",
    "MaxPoolND": "Write it as the max along an axis of a reshaped tensor",
    "BatchNorm": "Normalise over the features, by `mean` and `var`",
    **dict.fromkeys(("FocalLoss", "MarginRanking", "MulticlassHinge", "SoftmaxCrossEntropy"), _LOSS),
}
"""What to write instead of an operation of MyGrad's that has no rule."""
