"""Rules for sums, means, variances, extremes and softmax, over features and over time."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from math import prod
from typing import Any

import numpy as np

from myrnn.compiler._graph import Builder, Node
from myrnn.compiler._values import Plain, Rows, Rule, Value, as_plain, fitted
from myrnn.errors import UnsupportedOperation


def _axes(creator: Any, ndim: int) -> tuple[int, ...]:
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
    return _reduced(build, operands, tensor, _axes(creator, len(operands[0].shape)), mean=False)


def _mean(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    return _reduced(build, operands, tensor, _axes(creator, len(operands[0].shape)), mean=True)


def _extreme(operation: str, end: float) -> Rule:
    """Return the rule for the largest or smallest number along axes; `end` is what no number goes beyond."""

    def rule(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
        value, choose = operands[0], getattr(build, operation)
        axes = _axes(creator, len(value.shape))
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
