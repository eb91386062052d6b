"""Products that a model writes in other ways: repeated vectors that are multiplied, and products that are summed.

A matrix state is often written like ``S + k[:, None] * v[None, :]``. As a graph this repeats both vectors, and its
derivative sums over matrices. The rules of this module replace such nodes by ``outer`` and ``matmul``, whose
derivatives are products, too, and keep factors of single numbers away from matrices. The matrices may be several, one
for each head.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from myrnn.compiler import ops
from myrnn.compiler.leaves import WEIGHTS
from myrnn.compiler.ops import repeated_axes, sizes_of

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
        case "subtract" if inputs[1].operation == "outer":
            return inputs[0] + -inputs[1]
        case "take" | "put" if len(attributes[0]) // 4 <= inputs[0].size:
            return _multiple_of_moved(operation, inputs[0], attributes)
        case "sum":
            return _summed(inputs[0], *attributes)
    return None


def _of_factor(function: Callable[[Node], Node], product: Node) -> Node | None:
    """Apply a linear function to the smaller factor of an outer product."""
    if product.operation != "outer":
        return None
    (left, right), (matrices,) = product.inputs, product.attributes
    if left.size <= right.size:
        return ops.outer(function(left), right, matrices)
    return ops.outer(left, function(right), matrices)


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
        matrices, rows, _, columns, _ = sizes_of(b)
        if (inner, n) == (1, columns):
            return ops.outer(small * left, right, matrices)
        if (outer, n) == (matrices, rows):
            return ops.outer(left, small * right, matrices)
        if (outer, inner) == (matrices, 1):
            # A number for each matrix.
            return _of_factor(lambda factor: ops.spread(small, matrices, factor.size // matrices, 1) * factor, b)
        return None
    if inner != 1 or (others := repeated_axes(b)) is None:
        return None
    # The numbers of `a` are repeated along rows, those of `b` as whole rows, maybe in each of several matrices.
    matrices, rows, columns = others
    if columns != n or matrices * rows != outer:
        return None
    return ops.outer(small, b.inputs[0], matrices)


def _multiple_of_moved(operation: str, node: Node, attributes: tuple[Any, ...]) -> Node | None:
    """Return a multiple of moved numbers instead of numbers of a multiple: what is in memory is read where it is."""
    if node.operation != "multiply":
        return None
    for factor, vector in (node.inputs, reversed(node.inputs)):
        # Other slices of a multiple are read in place once it is computed.
        if factor.size == 1 < vector.size and (_is_bounded(factor) if operation == "put" else vector.is_leaf):
            names = ops.OPERATIONS[operation].attributes
            return factor * node.build.make(operation, vector, **dict(zip(names, attributes, strict=True)))
    return None


def _is_bounded(node: Node) -> bool:
    """Whether a node has no infinite numbers, so that zero times these is zero."""
    while node.operation in ("take", "expand"):
        (node,) = node.inputs
    return bool(node.inputs) and ops.OPERATIONS[node.operation].bounded


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
            return ops.matmul(left, right, m=1, k=n, n=1)
        axes = repeated_axes(b)
        if axes == (outer * n, inner, 1):
            return ops.matmul(b.inputs[0], a, m=1, k=n, n=inner, matrices=outer)
        if inner == 1 and axes is not None and axes[2] == n and axes[0] * axes[1] == outer:
            return ops.matmul(b.inputs[0], a, m=1, k=n, n=axes[1], transposed=True, matrices=axes[0])
    return None
