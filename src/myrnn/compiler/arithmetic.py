"""Numbers computed: the rules of MyGrad's arithmetic, element by element, along axes and as products.

Rules are written for whole values, and `lifted` applies them part by part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np

from myrnn.compiler import ops
from myrnn.compiler.graph import Node
from myrnn.compiler.ops import OPERATIONS, take, transposed_indices
from myrnn.compiler.shapes import Rule, axis_of_parts, join_along, lifted
from myrnn.compiler.traced_arrays import raw
from myrnn.compiler.values import Array, Shape, Value, in_parts, moved, plain
from myrnn.errors import UnsupportedOperation

# Native code works in float32, and flushes subnormal numbers to 0.
_LEAST = np.finfo(np.float32).tiny


def lost(numbers: Array) -> str:
    """Return a message for numbers that become 0 or infinite in native code, or an empty string."""
    with np.errstate(over="ignore", under="ignore"):
        sizes = np.abs(numbers.astype(np.float32))
    gone = (numbers != 0) & np.isfinite(numbers) & ((sizes < _LEAST) | np.isinf(sizes))
    if not gone.any():
        return ""
    number = numbers[gone][0]
    becomes, instead = ("0", "1e-30 or larger") if abs(number) < 1 else ("infinite", "1e30 or smaller")
    return f"{number:g} is {becomes} in float32, in which compiled models work: use {instead}."


# Element by element ---------------------------------------------------------------------------------------------------


def _element_wise(function: Callable[..., Node], creator: Any, operands: list[Value], shape: Shape) -> Value:
    """Apply a function of nodes of one size, or of single numbers."""

    def whole(*values: Value) -> Node:
        common = np.broadcast_shapes(*(v.shape for v in values))
        node = function(*(v.fitted(common) for v in values))
        # For constants of equal numbers, a single number is enough.
        return ops.expand(node, size=prod(common)) if node.size < prod(common) else node

    return lifted(whole, operands, shape, axis_of_parts(operands))


def _elu(creator: Any, operands: list[Value], shape: Shape) -> Value:
    return _element_wise(partial(ops.elu, alpha=float(creator.alpha)), creator, operands, shape)


def _abs(creator: Any, operands: list[Value], shape: Shape) -> Value:
    return _element_wise(ops.absolute if creator._nan_to_num else ops.abs_nan, creator, operands, shape)


def _power(base: Node, exponent: Node) -> Node:
    return ops.cube(base) if exponent is exponent.build.constant(3.0) else ops.power(base, exponent)


def _where(creator: Any, operands: list[Value], shape: Shape) -> Value:
    if len(operands) == 2:
        # The condition is not a tensor.
        condition = np.asarray(creator.condition)
        operands = [plain(operands[0].nodes[0].build.constant(condition), condition.shape), *operands]
    return _element_wise(ops.select, creator, operands, shape)


ELEMENTWISE: dict[str, Rule] = {
    **{row.mygrad: partial(_element_wise, row) for row in OPERATIONS.values() if row.mygrad},
    "Abs": _abs,
    "AddSequence": partial(_element_wise, lambda *nodes: reduce(ops.add, nodes)),
    "ELU": _elu,
    "Power": partial(_element_wise, _power),
    "MultiplySequence": partial(_element_wise, lambda *nodes: reduce(ops.multiply, nodes)),
    "Where": _where,
}

# Values read out of tensors ------------------------------------------------------------------------------------------

# Functions that are constant almost everywhere. Truth values are 1 and 0. For NaN all comparisons are false except
# "unequal".
FLAT: dict[Any, Callable[..., Node]] = {
    np.greater: ops.greater,
    np.greater_equal: lambda a, b: ops.greater(a, b) + ops.equal(a, b),
    np.less: lambda a, b: ops.greater(b, a),
    np.less_equal: lambda a, b: ops.greater(b, a) + ops.equal(a, b),
    np.equal: ops.equal,
    np.not_equal: lambda a, b: 1.0 - ops.equal(a, b),
    np.isnan: lambda a: 1.0 - ops.equal(a, a),
    np.sign: ops.sign,
    np.floor: ops.floor,
    np.ceil: lambda a: -ops.floor(-a),
    np.trunc: lambda a: ops.sign(a) * ops.floor(ops.absolute(a)),
    np.rint: ops.rint,
    np.logical_not: lambda a: 1.0 - a,
    np.logical_and: ops.multiply,
    np.logical_or: ops.maximum,
    np.logical_xor: lambda a, b: 1.0 - ops.equal(a, b),
}


# Comparisons that are the same with the next larger float32 instead of a number on the right; others need the next
# smaller one. On the left it is the other way round.
_UPWARD = (np.greater_equal, np.less)


def _comparison(creator: Any, operands: list[Value], shape: Shape) -> Value:
    constants = [raw(v) if v.creator is None and v.constant else None for v in creator.variables]
    if not any(c is None for c in constants):
        return plain(operands[0].node.build.constant(creator.function(*constants)), shape)
    for right, (constant, operand) in enumerate(zip(constants, operands, strict=True)):
        if constant is not None and constant.dtype.kind != "b":
            numbers = _compared_in_float32(constant, creator.function, (creator.function in _UPWARD) is bool(right))
            operands[right] = plain(operand.node.build.constant(numbers), operand.shape)
    return _element_wise(FLAT[creator.function], creator, operands, shape)


def _compared_in_float32(numbers: Array, function: Any, upward: bool) -> Array:
    """Return numbers with which float32 numbers compare as with the given ones, such as 0.1 in float64."""
    with np.errstate(over="ignore", under="ignore"):
        near = numbers.astype(np.float32)
    differs = ~np.isnan(numbers) & (near != numbers)
    if function in (np.equal, np.not_equal):
        return np.where(differs, np.float32(np.nan), near)
    is_beyond = near < numbers if upward else near > numbers
    return np.where(is_beyond, np.nextafter(near, np.float32(np.inf if upward else -np.inf)), near)


def _reading(creator: Any, operands: list[Value], shape: Shape) -> Value:
    (value,) = operands
    before, after = creator.variables[0].dtype, creator.dtype
    if after.kind == "b" and before.kind != "b":
        return _element_wise(FLAT[np.not_equal], creator, [value, _number_beside(value, 0.0)], shape)
    if after.kind in "iu" and before.kind == "f":
        raise UnsupportedOperation(f"this rounds to {after}, but compiled models work in float32 only")
    return value


def _number_beside(value: Value, number: float) -> Value:
    return plain(value.nodes[0].build.constant(number), ())


READS: dict[str, Rule] = {"PiecewiseConstant": _comparison, "Reading": _reading}
"""Rules for the operations of `reads`."""

# Along axes -----------------------------------------------------------------------------------------------------------

Axes = tuple[int, ...]


def _axes_of(creator: Any, ndim: int) -> Axes:
    """Return the axes of an operation in order, counted from the last; None is all of them."""
    # A single number has no axis, though NumPy and MyGrad accept one.
    axis = creator._kw["axis"] if hasattr(creator, "_kw") else creator.axis
    if axis is None or not ndim:
        return tuple(range(-ndim, 0))
    return tuple(sorted(int(a) % ndim - ndim for a in np.atleast_1d(axis)))


def _around(shape: Sequence[int], axis: int) -> tuple[int, int, int]:
    """Return the sizes before, along and after an axis."""
    axis %= len(shape)
    return prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])


def _along_axes(whole: Callable[[Any, Value, Axes], Node], creator: Any, operands: list[Value], shape: Shape) -> Value:
    """Apply a rule for a value and its axes, part by part unless they include the axis of the parts."""
    (value,) = operands
    axes, parts = _axes_of(creator, len(value.shape)), value.from_last
    if parts is None or parts in axes:
        return plain(whole(creator, value, axes), shape)
    # In the result, which may lack the axes, the axis of the parts is closer to the last.
    after = parts if len(shape) == len(value.shape) else parts + sum(a > parts for a in axes)
    nodes = (whole(creator, part, _less(axes, parts)) for part in value.parts(parts))
    return in_parts(nodes, shape, after)


def _less(axes: Axes, gone: int) -> Axes:
    """Return axes, counted from the last, in a value that lacks one."""
    return tuple(a + (a < gone) for a in axes if a != gone)


def _with_axes_of_one(shape: Shape, axes: Axes) -> Shape:
    """Return the shape of a value that is folded along axes and keeps them."""
    return tuple(1 if a - len(shape) in axes else n for a, n in enumerate(shape))


@dataclass(frozen=True)
class Fold:
    """How a value is folded along axes: a sum, a product, or its largest or smallest number."""

    row: ops.Operation  # combines two nodes
    start: float  # the result for no numbers
    along: Callable[[Node, int, int, int], Node]  # folds a node of (outer, n, inner) numbers over n

    def __call__(self, value: Value, axes: Axes) -> Node:
        """Fold a value along axes, one after the other, that of its parts last."""
        if value.from_last is not None and value.from_last in axes:
            others = _less(axes, value.from_last)
            return _so_far(self.row, self.start, [self(part, others) for part in value.parts(value.from_last)])[-1]
        node, shape = value.node, list(value.shape)
        for axis in reversed(axes):
            node = self.along(node, *_around(shape, axis))
            shape[axis] = 1
        return node

    def rule(self, creator: Any, operands: list[Value], shape: Shape) -> Value:
        """Apply it as an operation of MyGrad."""
        return _along_axes(lambda _, value, axes: self(value, axes), creator, operands, shape)


def _so_far(row: ops.Operation, start: float, nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Return the running results of `row` over the nodes from `start` on, so that all steps are alike."""
    begin: Any = np.full(nodes[0].size, start)
    return tuple(accumulate(nodes, row, initial=begin))[1:]


def _total(node: Node, outer: int, n: int, inner: int) -> Node:
    return ops.total(node, outer=outer, n=n, inner=inner)


def _in_pairs(row: ops.Operation, node: Node, outer: int, n: int, inner: int) -> Node:
    """Fold neighbours in pairs: this takes few nodes, and the first of equal numbers stays the first."""
    rest = None
    while n > 1:
        places = np.arange(node.size).reshape(outer, n, inner)
        if n % 2:
            last = take(node, indices=places[:, -1])
            rest = last if rest is None else row(last, rest)
        n //= 2
        node = row(take(node, indices=places[:, : 2 * n : 2]), take(node, indices=places[:, 1 : 2 * n : 2]))
    return node if rest is None else row(node, rest)


_SUM = Fold(ops.add, 0.0, _total)
_PRODUCT = Fold(ops.multiply, 1.0, partial(_in_pairs, ops.multiply))
_LARGEST = Fold(ops.larger, -np.inf, partial(_in_pairs, ops.larger))
_SMALLEST = Fold(ops.smaller, np.inf, partial(_in_pairs, ops.smaller))


def _mean(creator: Any, operands: list[Value], shape: Shape) -> Value:
    total = _SUM.rule(creator, operands, shape)
    count = prod(operands[0].shape) / max(prod(shape), 1)
    return replace(total, nodes=tuple(node / count for node in total.nodes))


def _running(row: ops.Operation, start: float, creator: Any, operands: list[Value], shape: Shape) -> Value:
    """Apply `row` cumulatively along an axis."""

    def whole(value: Value) -> Node:
        node, (outer, n, inner) = value.node, _around(value.shape, axis)
        places = np.arange(node.size).reshape(outer, n, inner)
        step = 1
        while step < n:
            # Combine each number with the one `step` places before it: this doubles the numbers in it.
            begin = plain(node.build.constant(np.full(outer * step * inner, start)), (outer, step, inner))
            rest = plain(take(node, indices=places[:, :-step]), (outer, n - step, inner))
            node = row(node, join_along(begin, rest, axis=1))
            step *= 2
        return node

    (value,), axis = operands, creator.axis
    if axis is None:
        value, axis = moved(value, value.places.ravel()), 0
    axis = axis % len(value.shape) - len(value.shape)
    if axis == value.from_last:
        return replace(value, nodes=_so_far(row, start, value.nodes))
    parts, axis = value.from_last, axis + (value.from_last is not None and axis < value.from_last)
    return lifted(whole, [value], shape, parts)


def _variance(creator: Any, value: Value, axes: Axes) -> Node:
    """Return the mean square of the distances from the mean."""
    count = float(prod(value.shape[a] for a in axes))
    mean = plain(_SUM(value, axes) / count, _with_axes_of_one(value.shape, axes))
    centred = _element_wise(ops.subtract, None, [value, mean], value.shape)
    squares = _element_wise(lambda x: x * x, None, [centred], value.shape)
    ddof = float(creator.ddof) if isinstance(creator.ddof, int | float) else 0.0
    return _SUM(squares, axes) / (count - ddof)


def _norm(creator: Any, value: Value, axes: Axes) -> Node:
    if not creator._nan_to_num:
        raise UnsupportedOperation("a norm with nan_to_num=False has no rule")
    order = float(creator.ord)
    if order == 2:
        return ops.sqrt(_SUM(plain(value.node * value.node, value.shape), axes))
    sizes = ops.absolute(value.node)
    if order == 1:
        return _SUM(plain(sizes, value.shape), axes)
    return ops.power(_SUM(plain(ops.power(sizes, order), value.shape), axes), 1 / order)


def _softmax(row: ops.Operation, creator: Any, operands: list[Value], shape: Shape) -> Value:
    """Apply a softmax or its logarithm; over the parts in passes: maximum, sum of exponentials, result."""
    (value,) = operands
    axes, parts = _axes_of(creator, len(value.shape)), value.from_last
    if parts is None or parts not in axes:
        return _along_axes(partial(_softmax_of, row), creator, operands, shape)
    kept = _with_axes_of_one(shape, axes)
    # The result does not depend on the number that is subtracted first.
    top = plain(ops.stop_gradient(_LARGEST(value, axes)), kept)
    lower = _element_wise(ops.subtract, None, [value, top], shape)
    exponentials = _element_wise(ops.exp, None, [lower], shape)
    total = plain(_SUM(exponentials, axes), kept)
    if row is ops.softmax:
        return _element_wise(ops.divide, None, [exponentials, total], shape)
    return _element_wise(lambda x, y: x - ops.log(y), None, [lower, total], shape)


def _softmax_of(row: ops.Operation, creator: Any, value: Value, axes: Axes) -> Node:
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
    "Sum": _SUM.rule,
    "Mean": _mean,
    "Prod": _PRODUCT.rule,
    "Max": _LARGEST.rule,
    "Min": _SMALLEST.rule,
    "CumSum": partial(_running, ops.add, 0.0),
    "CumProd": partial(_running, ops.multiply, 1.0),
    "Variance": partial(_along_axes, _variance),
    "StdDev": partial(_along_axes, lambda *known: ops.sqrt(_variance(*known))),
    "Norm": partial(_along_axes, _norm),
    "Softmax": partial(_softmax, ops.softmax),
    "LogSoftmax": partial(_softmax, ops.log_softmax),
}

# Products -------------------------------------------------------------------------------------------------------------


def _matmul(creator: Any, operands: list[Value], shape: Shape) -> Value:
    left, right = operands
    if len(left.shape) == 1:
        left = moved(left, left.places[None])
    if len(right.shape) == 1:
        right = moved(right, right.places[:, None])
    full = (*np.broadcast_shapes(left.shape[:-2], right.shape[:-2]), left.shape[-2], right.shape[-1])
    return _reshaped(_multiplied(left, right, full), shape)


def _multiplied(left: Value, right: Value, shape: Shape) -> Value:
    """Return the product of two matrices, or of stacks of them, part by part."""
    if left.from_last == -1 or right.from_last == -2:
        # A sum over the parts of products of a column and a row.
        pairs = zip(left.pieces(-1), right.pieces(-2), strict=True)
        return plain(_so_far(ops.add, 0.0, [product_of(column, row) for column, row in pairs])[-1], shape)
    # A single row, such as the last of all, is not a sequence.
    if left.from_last == -2 and (len(left.nodes) > 1 or right.from_last != -1):
        return in_parts((product_of(row, right) for row in left.pieces(-2)), shape, -2)
    if right.from_last == -1:
        return in_parts((product_of(left, column) for column in right.pieces(-1)), shape, -1)
    return lifted(product_of, [left, right], shape, axis_of_parts([left, right]))


def _reshaped(value: Value, shape: Shape) -> Value:
    """Return a value in a shape that differs only by axes of length one."""
    if value.shape == shape:
        return value
    return moved(value, value.places.reshape(shape))


def product_of(left: Value, right: Value) -> Node:
    """Return the product of two matrices, or of stacks of them."""
    a = left.shape if len(left.shape) > 1 else (1, *left.shape)
    b = right.shape if len(right.shape) > 1 else (*right.shape, 1)
    if prod(b[:-2]) != 1:
        return _stacked_product(plain(left.node, a), plain(right.node, b))
    m, k, n = prod(a[:-1]), a[-1], b[-1]
    if m == 1 and n == 1:
        return _total(left.node * right.node, 1, k, 1)
    return _product(left.node, right.node, 1, m, k, n)


def _stacked_product(left: Value, right: Value) -> Node:
    """Return the products of corresponding matrices: element-wise if that is no more work."""
    (*_, m, k), n = left.shape, right.shape[-1]
    stack = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    if m == n == 1 or (k == 1 and 1 in (m, n)):
        rows, columns = plain(left.node, (*left.shape, 1)), plain(right.node, (*right.shape[:-2], 1, k, n))
        terms = rows.fitted((*stack, m, k, n)) * columns.fitted((*stack, m, k, n))
        return _total(terms, prod(stack) * m, k, n)
    return _product(left.fitted((*stack, m, k)), right.fitted((*stack, k, n)), prod(stack), m, k, n)


def _product(left: Node, right: Node, matrices: int, m: int, k: int, n: int) -> Node:
    if k == 1 and m > 1 and n > 1:
        return ops.outer(left, right, matrices)
    if n == 1 and m > 1:
        # A matrix times a column is the column, as a row, times the transposed matrix.
        matrix, flipped = _untransposed(left, matrices, m, k)
        return ops.matmul(right, matrix, m=1, k=k, n=m, transposed=not flipped, matrices=matrices)
    matrix, flipped = _untransposed(right, matrices, k, n)
    return ops.matmul(left, matrix, m=m, k=k, n=n, transposed=flipped, matrices=matrices)


def _untransposed(node: Node, matrices: int, rows: int, columns: int) -> tuple[Node, bool]:
    """Return what `node`, matrices of shape (rows, columns), is the transpose of, and True; or itself, and False."""
    if node.operation == "take" and rows > 1 and columns > 1 and node.inputs[0].size == node.size:
        if node.attributes[0] == transposed_indices(columns, rows, matrices).tobytes():
            return node.inputs[0], True
    return node, False


def _einsum(creator: Any, operands: list[Value], shape: Shape) -> Value:
    labels, out = creator.in_lbls, creator.out_lbls
    of_parts = {own[o.along] for o, own in zip(operands, labels, strict=True) if o.along is not None}
    label = of_parts.pop() if len(of_parts) == 1 else ""
    if not label or any(own.count(label) > 1 for own in labels):
        return plain(_contracted(operands, labels, out), shape)
    length = next(o.shape[own.index(label)] for o, own in zip(operands, labels, strict=True) if label in own)
    columns = [
        o.parts(own.index(label) - len(own)) if label in own else [o] * length
        for o, own in zip(operands, labels, strict=True)
    ]
    cut, rest = [own.replace(label, "") for own in labels], out.replace(label, "")
    nodes = [_contracted(part, cut, rest) for part in zip(*columns, strict=True)]
    if label in out:
        return Value(tuple(nodes), shape, out.index(label))
    return plain(_so_far(ops.add, 0.0, nodes)[-1], shape)


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
        # An axis of length one is broadcast.
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
        node, own = product_of(plain(a, (stack, m, k)), plain(b, (stack, k, n))), batch + left + right
    rest = "".join(label for label in own if label not in out)
    return _total(arranged(node, own, out + rest), prod(shape(out)), prod(shape(rest)), 1)


PRODUCTS: dict[str, Rule] = {"MatMul": _matmul, "EinSum": _einsum}
