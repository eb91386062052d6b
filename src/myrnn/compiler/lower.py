"""How each of MyGrad's operations is written in the compiler's own: one rule for each, by MyGrad's name for it.

A tensor of the model is one node, or rows: a node for each place of its first axis. The sequence is rows, and so is
what is computed for all steps at once, so that a projection of the whole sequence and one inside the loop are the same
graph. Rules are written for whole values, and `lifted` applies them row by row.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial, reduce
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler import ops
from myrnn.compiler.graph import Node
from myrnn.compiler.ops import OPERATIONS, take, transposed_indices
from myrnn.errors import UnsupportedOperation

Array = NDArray[Any]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Value:
    """A tensor of the model: its numbers in one node or, `by_row`, in a node for each place of its first axis."""

    nodes: tuple[Node, ...]
    shape: Shape
    by_row: bool = False

    @cached_property
    def node(self) -> Node:
        """All numbers in one node: rows are joined."""
        if len(self.nodes) == 1:
            return self.nodes[0]
        return ops.join(*self.nodes, places=list(self.places.reshape(len(self.nodes), -1)))

    @property
    def rows(self) -> list[Value]:
        """What stands at each place of the first axis."""
        nodes = self.nodes if self.by_row else [take(self.node, indices=place) for place in self.places]
        return [plain(node, self.shape[1:]) for node in nodes]

    @property
    def places(self) -> Array:
        """Where each number stands in `node`, as an array of this shape."""
        return np.arange(prod(self.shape)).reshape(self.shape)

    def fitted(self, shape: Shape) -> Node:
        """Return the node with as many numbers as `shape` has, or with a single one."""
        if self.node.size in (1, prod(shape)):
            return self.node
        return take(self.node, indices=np.broadcast_to(self.places, shape))


def plain(node: Node, shape: Shape) -> Value:
    """Return the value that is one node."""
    return Value((node,), shape)


Rule = Callable[[Any, list[Value], Shape], Value]
"""From MyGrad's operation, the operands and the shape of the result to its value; what else it knows comes first."""


def lifted(whole: Callable[..., Node], operands: Sequence[Value], along: Sequence[bool], shape: Shape) -> Value:
    """Apply a rule for whole values: to each row, where an operand is rows of the result, otherwise to the whole.

    The rule means the same for a row as for the whole: it counts axes from the last. `along` says of each operand
    whether its first axis is that of the result; if it is not, every row reads the whole operand.
    """
    pairs = list(zip(operands, along, strict=True))
    if not any(o.by_row and is_along and o.shape[0] == shape[0] for o, is_along in pairs):
        return plain(whole(*operands), shape)
    columns = [o.rows if is_along else [o] for o, is_along in pairs]
    columns = [column * shape[0] if len(column) == 1 else column for column in columns]
    return Value(tuple(whole(*row) for row in zip(*columns, strict=True)), shape, by_row=True)


# Element by element ---------------------------------------------------------------------------------------------------


def _element_wise(function: Callable[..., Node], creator: Any, operands: list[Value], shape: Shape) -> Value:
    """Apply a function of nodes of one size, or of single numbers."""

    def whole(*values: Value) -> Node:
        common = np.broadcast_shapes(*(v.shape for v in values))
        return function(*(v.fitted(common) for v in values))

    return lifted(whole, operands, [len(o.shape) == len(shape) for o in operands], shape)


def _elu(creator: Any, operands: list[Value], shape: Shape) -> Value:
    return _element_wise(partial(ops.elu, alpha=float(creator.alpha)), creator, operands, shape)


def _abs(creator: Any, operands: list[Value], shape: Shape) -> Value:
    return _element_wise(ops.absolute if creator._nan_to_num else ops.abs_nan, creator, operands, shape)


def _power(base: Node, exponent: Node) -> Node:
    return ops.cube(base) if exponent is exponent.build.constant(3.0) else ops.power(base, exponent)


def _where(creator: Any, operands: list[Value], shape: Shape) -> Value:
    condition = np.asarray(creator.condition)
    mask = plain(operands[0].nodes[0].build.constant(condition), condition.shape)
    return _element_wise(ops.select, creator, [mask, *operands], shape)


ELEMENTWISE: dict[str, Rule] = {
    **{row.mygrad: partial(_element_wise, row) for row in OPERATIONS.values() if row.mygrad},
    "Abs": _abs,
    "AddSequence": partial(_element_wise, lambda *nodes: reduce(ops.add, nodes)),
    "ELU": _elu,
    "Power": partial(_element_wise, _power),
    "MultiplySequence": partial(_element_wise, lambda *nodes: reduce(ops.multiply, nodes)),
    "Where": _where,
}

# Shapes and places ----------------------------------------------------------------------------------------------------


def _moved(value: Value, places: Array) -> Value:
    """Return the numbers that stand at these places of a value, in the shape of the places."""
    if value.by_row and places.size:
        size = prod(value.shape[1:])
        sources = places.reshape(places.shape[0] if places.ndim else 1, -1) // size
        rows = sources[:, 0]
        if np.all(sources == rows[:, None]):
            # Several pieces of one row are that row in another shape.
            if places.ndim == 0 or (len(rows) > 1 and np.all(rows == rows[0]) and sources.shape[1] < size):
                return plain(take(value.nodes[rows[0]], indices=places % size), places.shape)
            nodes = (take(value.nodes[row], indices=piece % size) for row, piece in zip(rows, places, strict=True))
            return Value(tuple(nodes), places.shape, by_row=True)
    return plain(take(value.node, indices=places), places.shape)


def _move(move: Callable[[Array, Any, Shape], Array], creator: Any, operands: list[Value], shape: Shape) -> Value:
    """Move the numbers of a value as `move`, which knows the operation and the new shape, moves those of an array."""
    return _moved(operands[0], np.asarray(move(operands[0].places, creator, shape)))


def _get_item(creator: Any, operands: list[Value], shape: Shape) -> Value:
    value, index = operands[0], creator.index
    if value.by_row and index and isinstance(index[0], int | np.integer):
        # The common case, x[t], without looking at every element of the sequence.
        value, index = plain(value.nodes[operator.index(index[0])], value.shape[1:]), index[1:]
    return _moved(value, np.asarray(value.places[index]))


def _stack(creator: Any, operands: list[Value], shape: Shape) -> Value:
    axis = creator.axis % len(shape)
    if axis == 0:
        return Value(tuple(o.node for o in operands), shape, by_row=True)
    return _concatenated(axis, [replace(o, shape=(*o.shape[:axis], 1, *o.shape[axis:])) for o in operands], shape)


def _concatenated(axis: int | None, operands: list[Value], shape: Shape) -> Value:
    if axis == 0 and not _is_one_value(operands):
        return Value(tuple(row.node for o in operands for row in o.rows), shape, by_row=True)
    along = axis not in (None, 0) and all(o.by_row for o in operands)
    end = None if axis is None else axis - len(shape)
    return lifted(partial(_joined, axis=end), operands, [along] * len(operands), shape)


def _is_one_value(operands: list[Value]) -> bool:
    """Whether what is joined along the first axis is one value, such as vectors side by side or a stack that is pushed.

    Rows of the sequence, and single rows that may be those of all steps, are rows.
    """
    return not any(o.by_row for o in operands) and any(len(o.shape) == 1 or o.shape[0] > 1 for o in operands)


def _joined(*parts: Value, axis: int | None) -> Node:
    """Return the parts side by side along an axis, as one node."""
    ends = np.cumsum([part.node.size for part in parts])
    numbers = [part.places + end - part.node.size for part, end in zip(parts, ends, strict=True)]
    places = np.split(np.argsort(np.concatenate(numbers, axis=axis), axis=None), ends[:-1])
    filled = [i for i, place in enumerate(places) if place.size]
    if len(filled) == 1:
        return parts[filled[0]].node
    return ops.join(*(parts[i].node for i in filled), places=[places[i] for i in filled])


SHAPES: dict[str, Rule] = {
    **dict.fromkeys(
        ("Reshape", "Squeeze", "Flatten", "Ravel", "ExpandDims", "AtLeast1D", "AtLeast2D", "AtLeast3D"),
        partial(_move, lambda a, creator, shape: a.reshape(shape)),
    ),
    "BroadcastTo": partial(_move, lambda a, creator, shape: np.broadcast_to(a, shape)),
    "Transpose": partial(_move, lambda a, creator, shape: a.transpose(creator.axes)),
    "Tensor_Transpose_Property": partial(_move, lambda a, creator, shape: a.T),
    "MoveAxis": partial(_move, lambda a, creator, shape: np.moveaxis(a, creator.source, creator.destination)),
    "SwapAxes": partial(_move, lambda a, creator, shape: np.swapaxes(a, creator.axis1, creator.axis2)),
    "Roll": partial(_move, lambda a, creator, shape: np.roll(a, creator.shift, creator.axis)),
    "Repeat": partial(_move, lambda a, creator, shape: np.repeat(a, creator._repeats, creator._axis)),
    "GetItem": _get_item,
    "Concatenate": lambda creator, operands, shape: _concatenated(creator.axis, operands, shape),
    "Stack": _stack,
}

# Along axes -----------------------------------------------------------------------------------------------------------

Axes = tuple[int, ...]


def _axes_of(creator: Any, ndim: int) -> Axes:
    """Return the axes of an operation in order, counted from the last; None is all of them."""
    axis = creator._kw["axis"] if hasattr(creator, "_kw") else creator.axis
    return tuple(range(-ndim, 0)) if axis is None else tuple(sorted(int(a) % ndim - ndim for a in np.atleast_1d(axis)))


def _around(shape: Sequence[int], axis: int) -> tuple[int, int, int]:
    """Return how many numbers lie before, along and behind an axis."""
    axis %= len(shape)
    return prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])


def _along_axes(whole: Callable[[Any, Value, Axes], Node], creator: Any, operands: list[Value], shape: Shape) -> Value:
    """Apply a rule for a value and its axes, row by row where the first axis is none of them."""
    ndim = len(operands[0].shape)
    axes = _axes_of(creator, ndim)
    return lifted(lambda value: whole(creator, value, axes), operands, [-ndim not in axes], shape)


Fold = Callable[[Node, int, int, int], Node]
"""From a node of (outer, n, inner) numbers to what they give over n."""


def _folded(fold: Fold, value: Value, axes: Axes) -> Node:
    """Fold a value along its axes, one after the other."""
    node, shape = value.node, list(value.shape)
    for axis in reversed(axes):
        node = fold(node, *_around(shape, axis))
        shape[axis] = 1
    return node


def _fold(fold: Fold, row: ops.Row, start: float, creator: Any, operands: list[Value], shape: Shape) -> Value:
    """Apply a sum or the like: `row` does it for two nodes."""
    (value,) = operands
    first, *others = _axes_of(creator, len(value.shape)) or (0,)
    if not value.by_row or first != -len(value.shape):
        return _along_axes(lambda _, value, axes: _folded(fold, value, axes), creator, operands, shape)
    return plain(_so_far(row, start, [_folded(fold, part, tuple(others)) for part in value.rows])[-1], shape)


def _so_far(row: ops.Row, start: float, nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Return what `row` makes of the nodes up to each one, from `start` on: so the first step is like the others."""
    begin: Any = np.full(nodes[0].size, start)
    return tuple(accumulate(nodes, row, initial=begin))[1:]


def _total(node: Node, outer: int, n: int, inner: int) -> Node:
    return ops.total(node, outer=outer, n=n, inner=inner)


_sum = partial(_folded, _total)


def _in_pairs(row: ops.Row, node: Node, outer: int, n: int, inner: int) -> Node:
    """Fold neighbours in pairs: it takes few nodes, and the first of equal numbers stays the first."""
    rest = None
    while n > 1:
        places = np.arange(node.size).reshape(outer, n, inner)
        if n % 2:
            last = take(node, indices=places[:, -1])
            rest = last if rest is None else row(last, rest)
        n //= 2
        node = row(take(node, indices=places[:, : 2 * n : 2]), take(node, indices=places[:, 1 : 2 * n : 2]))
    return node if rest is None else row(node, rest)


def _mean(creator: Any, operands: list[Value], shape: Shape) -> Value:
    total = REDUCTIONS["Sum"](creator, operands, shape)
    count = prod(operands[0].shape) / max(prod(shape), 1)
    return replace(total, nodes=tuple(node / count for node in total.nodes))


def _running(row: ops.Row, start: float, creator: Any, operands: list[Value], shape: Shape) -> Value:
    """Apply `row` to all numbers up to each one along an axis."""

    def whole(value: Value) -> Node:
        node, (outer, n, inner) = value.node, _around(value.shape, axis)
        places = np.arange(node.size).reshape(outer, n, inner)
        step = 1
        while step < n:
            # Each number with the one `step` places before it: then twice as many numbers are in it.
            begin = plain(node.build.constant(np.full(outer * step * inner, start)), (outer, step, inner))
            rest = plain(take(node, indices=places[:, :-step]), (outer, n - step, inner))
            node = row(node, _joined(begin, rest, axis=1))
            step *= 2
        return node

    (value,), axis = operands, creator.axis
    if axis is None:
        value, axis = _moved(value, value.places.ravel()), 0
    axis = axis % len(value.shape) - len(value.shape)
    if value.by_row and axis == -len(value.shape):
        return replace(value, nodes=_so_far(row, start, value.nodes))
    return lifted(whole, [value], [axis != -len(value.shape)], shape)


def _variance(creator: Any, value: Value, axes: Axes) -> Node:
    ddof = float(creator.ddof) if isinstance(creator.ddof, int | float) else 0.0
    kept = tuple(1 if a - len(value.shape) in axes else n for a, n in enumerate(value.shape))
    count = float(prod(value.shape[a] for a in axes))
    centred = value.node - plain(_sum(value, axes) / count, kept).fitted(value.shape)
    return _sum(plain(centred * centred, value.shape), axes) / (count - ddof)


def _norm(creator: Any, value: Value, axes: Axes) -> Node:
    if not creator._nan_to_num:
        raise UnsupportedOperation("a norm with nan_to_num=False has no rule")
    order = float(creator.ord)
    if order == 2:
        return ops.sqrt(_sum(plain(value.node * value.node, value.shape), axes))
    sizes = ops.absolute(value.node)
    if order == 1:
        return _sum(plain(sizes, value.shape), axes)
    return ops.power(_sum(plain(ops.power(sizes, order), value.shape), axes), 1 / order)


def _softmax(row: ops.Row, creator: Any, value: Value, axes: Axes) -> Node:
    wide = [a for a in axes if value.shape[a] != 1]
    if len(wide) == 1:
        outer, n, inner = _around(value.shape, wide[0])
    elif not wide or len(wide) == sum(n != 1 for n in value.shape):
        n = value.node.size if wide else 1
        outer, inner = value.node.size // n, 1
    else:
        raise UnsupportedOperation(f"a softmax over several of the axes of shape {value.shape} has no rule")
    return row(value.node, outer=outer, n=n, inner=inner)


REDUCTIONS: dict[str, Rule] = {
    "Sum": partial(_fold, _total, ops.add, 0.0),
    "Mean": _mean,
    "Prod": partial(_fold, partial(_in_pairs, ops.multiply), ops.multiply, 1.0),
    "Max": partial(_fold, partial(_in_pairs, ops.larger), ops.larger, -np.inf),
    "Min": partial(_fold, partial(_in_pairs, ops.smaller), ops.smaller, np.inf),
    "CumSum": partial(_running, ops.add, 0.0),
    "CumProd": partial(_running, ops.multiply, 1.0),
    "Variance": partial(_along_axes, _variance),
    "StdDev": partial(_along_axes, lambda *known: ops.sqrt(_variance(*known))),
    "Norm": partial(_along_axes, _norm),
    "Softmax": partial(_along_axes, partial(_softmax, ops.softmax)),
    "LogSoftmax": partial(_along_axes, partial(_softmax, ops.log_softmax)),
}

# Products -------------------------------------------------------------------------------------------------------------


def _matmul(creator: Any, operands: list[Value], shape: Shape) -> Value:
    ranks = [len(o.shape) for o in operands]
    # The rows of a matrix on the left are those of the result; of stacks it is the matrices, one after the other.
    along = [rank == max(ranks) for rank in ranks] if max(ranks) > 2 else [ranks[0] == 2, False]
    return lifted(_product, operands, along, shape)


def _product(left: Value, right: Value) -> Node:
    """Return the product of two matrices, or of stacks of them."""
    a = left.shape if len(left.shape) > 1 else (1, *left.shape)
    b = right.shape if len(right.shape) > 1 else (*right.shape, 1)
    if prod(b[:-2]) != 1:
        return _stacked_product(plain(left.node, a), plain(right.node, b))
    m, k, n = prod(a[:-1]), a[-1], b[-1]
    if m == 1 and n == 1:
        return _total(left.node * right.node, 1, k, 1)
    if k == 1 and m > 1 and n > 1:
        return ops.outer(left.node, right.node)
    if n == 1 and m > 1:
        # A matrix times a column is the column, as a row, times the transposed matrix.
        matrix, flipped = _untransposed(left.node, m, k)
        return ops.matmul(right.node, matrix, m=1, k=k, n=m, transposed=not flipped)
    matrix, flipped = _untransposed(right.node, k, n)
    return ops.matmul(left.node, matrix, m=m, k=k, n=n, transposed=flipped)


def _stacked_product(left: Value, right: Value) -> Node:
    """Return the products of each two matrices: numbers by numbers where that is no more work, else one by one."""
    (*_, m, k), n = left.shape, right.shape[-1]
    stack = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    if k == 1 or m == n == 1:
        rows, columns = plain(left.node, (*left.shape, 1)), plain(right.node, (*right.shape[:-2], 1, k, n))
        terms = rows.fitted((*stack, m, k, n)) * columns.fitted((*stack, m, k, n))
        return _total(terms, prod(stack) * m, k, n)
    pairs = (np.broadcast_to(v.places, (*stack, *v.shape[-2:])).reshape(-1, *v.shape[-2:]) for v in (left, right))
    parts = [
        plain(_product(_moved(left, its), _moved(right, others)), (m, n)) for its, others in zip(*pairs, strict=True)
    ]
    return _joined(*parts, axis=0)


def _untransposed(node: Node, rows: int, columns: int) -> tuple[Node, bool]:
    """Return the matrix that `node`, of shape (rows, columns), is the transpose of, and True; or itself, and False."""
    if node.operation == "take" and rows > 1 and columns > 1 and node.inputs[0].size == rows * columns:
        if node.attributes[0] == transposed_indices(columns, rows).tobytes():
            return node.inputs[0], True
    return node, False


def _einsum(creator: Any, operands: list[Value], shape: Shape) -> Value:
    labels, out = creator.in_lbls, creator.out_lbls
    first = out[:1]
    is_first = first != "" and all(own.rfind(first) <= 0 for own in labels)

    def whole(*values: Value) -> Node:
        cut = [own[len(own) - len(v.shape) :] for own, v in zip(labels, values, strict=True)]
        return _contracted(values, cut, out if cut == labels else out[1:])

    return lifted(whole, operands, [is_first and own.startswith(first) for own in labels], shape)


def _contracted(values: Sequence[Value], labels: Sequence[str], out: str) -> Node:
    """Multiply values that share the axes of the same label, and sum over the axes that `out` lacks."""
    sizes: dict[str, int] = {}
    for value, own in zip(values, labels, strict=True):
        sizes |= {label: n for label, n in zip(own, value.shape, strict=True) if n != 1 or label not in sizes}

    def shape(some: str) -> Shape:
        return tuple(sizes[label] for label in some)

    def arranged(node: Node, own: str, order: str) -> Node:
        return take(node, indices=np.einsum(f"{own}->{order}", plain(node, shape(own)).places))

    parts: list[tuple[Node, str]] = []
    for value, own in zip(values, labels, strict=True):
        # Along an axis of one that others have longer, it serves for every place.
        kept = "".join(dict.fromkeys(label for label, n in zip(own, value.shape, strict=True) if n == sizes[label]))
        parts.append((take(value.node, indices=np.einsum(f"{own}->{kept}", value.places)), kept))
    (node, own), *others = parts
    for i, (other, its) in enumerate(others):
        later = out + "".join(theirs for _, theirs in others[i + 1 :])
        batch = "".join(label for label in own if label in its and label in later)
        inner = "".join(label for label in own if label in its and label not in later)
        left = "".join(label for label in own if label not in its)
        right = "".join(label for label in its if label not in own)
        stack, m, k, n = (prod(shape(some)) for some in (batch, left, inner, right))
        a, b = arranged(node, own, batch + left + inner), arranged(other, its, batch + inner + right)
        node, own = _product(plain(a, (stack, m, k)), plain(b, (stack, k, n))), batch + left + right
    rest = "".join(label for label in own if label not in out)
    return _total(arranged(node, own, out + rest), prod(shape(out)), prod(shape(rest)), 1)


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
