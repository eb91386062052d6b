"""Products that a model writes in other ways: repeated vectors that are multiplied, and products that are summed.

A matrix state is often written like ``S + k[:, None] * v[None, :]``. As a graph this repeats both vectors, and its
derivative sums over matrices. The rules of this module replace such nodes by ``outer`` and ``matmul``, whose
derivatives are products, too, and keep factors of single numbers away from matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from myrnn.compiler import ops
from myrnn.compiler.leaves import WEIGHTS
from myrnn.compiler.ops import repeated_axes, run_of

if TYPE_CHECKING:
    from myrnn.compiler.graph import Node


def simpler_product(operation: str, inputs: Sequence[Node], attributes: tuple[Any, ...]) -> Node | None:
    """Return a product that has the same numbers as an operation on these inputs, or None."""
    match operation:
        case "multiply":
            return _multiplied(*inputs) or _multiplied(*reversed(inputs))
        case "divide" if inputs[1].size == 1 < inputs[0].size:
            return _of_factor(lambda factor: factor / inputs[1], inputs[0])
        case "negative":
            return _of_factor(lambda factor: -factor, inputs[0])
        case "subtract" if _is_product(inputs[1]):
            return inputs[0] + -inputs[1]
        case "sum":
            return _summed(inputs[0], *attributes)
    return None


def _is_product(node: Node) -> bool:
    """Whether the node is an outer product, or consists of such products."""
    return node.operation == "outer" or (node.operation == "join" and any(map(_is_product, node.inputs)))


def _of_factor(function: Any, product: Node) -> Node | None:
    """Apply a linear function to the smaller factor of an outer product, or to each of several products."""
    if product.operation == "join" and _is_product(product):
        return ops.join(*map(function, product.inputs), places=product.attributes[0])
    if product.operation != "outer":
        return None
    left, right = product.inputs
    return ops.outer(function(left), right) if left.size <= right.size else ops.outer(left, function(right))


def _multiplied(a: Node, b: Node) -> Node | None:
    """Return the product of two nodes as an outer product."""
    if a.size == 1 < b.size:
        return _of_factor(lambda factor: a * factor, b)
    axes = repeated_axes(a)
    if axes is None:
        return None
    outer, n, inner = axes
    (small,) = a.inputs
    if b.operation == "outer":
        left, right = b.inputs
        if (inner, n) == (1, right.size):
            return ops.outer(small * left, right)
        if (outer, n) == (1, left.size):
            return ops.outer(left, small * right)
        return None
    if inner != 1 or (others := repeated_axes(b)) is None:
        return None
    # The rows of `a` are repeated along lines, those of `b` as whole lines, maybe in each of several matrices.
    matrices, rows, columns = others
    if columns != n or matrices * rows != outer:
        return None
    parts = [ops.outer(_piece(small, i, rows), _piece(b.inputs[0], i, columns)) for i in range(matrices)]
    size = rows * columns
    places = [np.arange(i * size, (i + 1) * size) for i in range(matrices)]
    return parts[0] if matrices == 1 else ops.join(*parts, places=places)


def _piece(node: Node, number: int, size: int) -> Node:
    return ops.take(node, indices=np.arange(number * size, (number + 1) * size))


def _summed(node: Node, outer: int, n: int, inner: int) -> Node | None:
    """Return the sum of products over the middle axis as a product with a vector."""
    if node.operation != "multiply":
        return None
    for a, b in (node.inputs, reversed(node.inputs)):
        if a.size != node.size or b.size != node.size:
            continue
        if outer == inner == 1:
            # A parameter is on the right, where products have their weights.
            left, right = (b, a) if isinstance(a.leaf, WEIGHTS) else (a, b)
            return ops.matmul(left, right, m=1, k=n, n=1, transposed=False)
        axes = repeated_axes(b)
        if outer == 1 and axes == (n, inner, 1):
            return ops.matmul(b.inputs[0], a, m=1, k=n, n=inner, transposed=False)
        if inner == 1 and axes == (1, outer, n):
            return ops.matmul(b.inputs[0], a, m=1, k=n, n=outer, transposed=True)
    return None


def split_product(node: Node, inputs: Sequence[Node]) -> Node | None:
    """Return the product of joined vectors with a matrix as a sum of the products of each with its rows, or None."""
    if node.operation != "matmul" or inputs[0].operation != "join" or node.attributes[0] != 1 or node.attributes[3]:
        return None
    n, total, start = node.attributes[2], None, 0
    for part, places in zip(inputs[0].inputs, inputs[0].attributes[0], strict=True):
        if run_of(places) != range(start, start + part.size):
            return None
        rows = ops.take(inputs[1], indices=np.arange(start * n, (start + part.size) * n))
        product = ops.matmul(part, rows, m=1, k=part.size, n=n, transposed=False)
        total = product if total is None else total + product
        start += part.size
    return total
