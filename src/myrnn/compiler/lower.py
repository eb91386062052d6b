"""Translation of MyGrad's operations into the compiler's: the table of rules, by MyGrad's class.

The layers among them are here, step by step and element by element: MyGrad's GRU, convolutions and pooling.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from myrnn.compiler import ops
from myrnn.compiler.arithmetic import ELEMENTWISE, PRODUCTS, REDUCTIONS, product_of
from myrnn.compiler.graph import Node, evaluate
from myrnn.compiler.shapes import SHAPES, Rule
from myrnn.compiler.values import Shape, Value, moved, plain
from myrnn.compiler.writes import READ_OR_WRITE
from myrnn.errors import UnsupportedOperation


def _product(left: Value, right: Value) -> Node:
    """Return the product of two matrices; for constants, such as padding or an initial state, the constant."""
    node = product_of(left, right)
    inputs = list(map(_constant_of, node.inputs))
    return node.build.constant(evaluate([node], {})[0]) if all(i.is_constant for i in inputs) else node


def _constant_of(node: Node) -> Node:
    """Return the constant below a node, moved or not, or else the node."""
    is_moved = node.operation == "take" and node.inputs[0].is_constant
    return node.build.constant(evaluate([node], {})[0]) if is_moved else node


def _gru(creator: Any, operands: list[Value], shape: Shape) -> Value:
    """Apply a GRU layer to (T, N, C): states (T + 1, N, D), including the initial one."""
    *start, rows, Uz, Wz, bz, Ur, Wr, br, Uh, Wh, bh = operands
    steps, size = shape[0] - 1, shape[1:]
    # The origin of the initial state is recorded while the model is traced.
    if creator._dropout or creator.bp_lim != steps - 1 or not hasattr(creator, "reads_beside"):
        raise UnsupportedOperation("a GRU with dropout, or with bp_lim, has no rule")
    build = bz.node.build
    state = plain(start[0].fitted(size) if start else build.constant(np.zeros(size)), size)
    states = [state.node]
    for row in rows.parts(-3):

        def before(U: Value, b: Value, row: Value = row) -> Node:
            return _product(row, U) + _constant_of(b.fitted(size))

        z = ops.sigmoid(before(Uz, bz) + _product(state, Wz))
        r = ops.sigmoid(before(Ur, br) + _product(state, Wr))
        h = ops.tanh(before(Uh, bh) + _product(plain(r * state.node, size), Wh))
        state = plain((1.0 - z) * h + z * state.node, size)
        states.append(state.node)
    return Value(tuple(states), shape, 0)


def _convolution(creator: Any, operands: list[Value], shape: Shape) -> Value:
    """Slide filters (F, C, ...) over (N, C, ...), to (N, F, ...)."""
    options = zip(*(map(int, option) for option in (creator.stride, creator.padding, creator.dilation)), strict=True)
    x, filters = operands
    return _slid(x, filters, list(options), shape)


def _slid(x: Value, filters: Value, options: Sequence[tuple[int, int, int]], shape: Shape) -> Value:
    """Convolve along the third axis, at each position along the others; options are stride, padding and dilation."""
    if not options:
        return plain(_product(x, moved(filters, filters.places.T)), shape)
    (stride, padding, dilation), *rest = options
    axis = 2 - len(shape)
    places, taps = x.parts(axis), filters.parts(axis)
    beside = plain(x.nodes[0].build.constant(np.zeros(places[0].shape)), places[0].shape)
    result = (*shape[:2], *shape[3:])

    def at(place: int) -> Node:
        seen = (place * stride + k * dilation - padding for k in range(len(taps)))
        terms = (
            _slid(places[i] if 0 <= i < len(places) else beside, tap, rest, result).node
            for i, tap in zip(seen, taps, strict=True)
        )
        return reduce(ops.add, terms)

    return Value(tuple(map(at, range(shape[2]))), shape, 2)


def _pooled(creator: Any, operands: list[Value], shape: Shape) -> Value:
    """Take the largest of each window over the last axes."""
    (value,) = operands
    axes = range(-len(creator.pool), 0)
    # The last axis first: then the first of equal numbers stays the first.
    for axis, size, stride in reversed(list(zip(axes, map(int, creator.pool), map(int, creator.stride), strict=True))):
        parts = value.parts(axis)
        windows = (parts[i : i + size] for i in range(0, len(parts) - size + 1, stride))
        nodes = tuple(reduce(ops.larger, (part.node for part in window)) for window in windows)
        place = axis + len(value.shape)
        value = Value(nodes, (*value.shape[:place], len(nodes), *value.shape[place + 1 :]), place)
    return value


LAYERS: dict[str, Rule] = {"GRUnit": _gru, "ConvND": _convolution, "MaxPoolND": _pooled}

RULES: dict[str, Any] = {**ELEMENTWISE, **SHAPES, **REDUCTIONS, **PRODUCTS, **LAYERS, **READ_OR_WRITE}
"""MyGrad's class -> rule."""

_LOSS = "Return logits: training computes the loss"
INSTEAD = {
    "BatchNorm": "Normalise over the features, by `mean` and `var`",
    **dict.fromkeys(("FocalLoss", "MarginRanking", "MulticlassHinge", "SoftmaxCrossEntropy"), _LOSS),
}
"""What to write instead of an operation that has no rule."""
