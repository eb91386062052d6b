"""Products with weights that are split: of joined vectors, and of several heads."""

from __future__ import annotations

from collections.abc import Sequence, Set

import numpy as np

from myrnn.compiler import ops
from myrnn.compiler.graph import Node
from myrnn.compiler.ops import ProductSizes, run_of, sizes_of


def split_product(node: Node, inputs: Sequence[Node], fixed: Set[Node]) -> Node | None:
    """Return products of parts of a vector instead of one, on these inputs, or None.

    Joined vectors that are multiplied by a matrix become a sum of the products of each with its rows; weights of
    several heads, which are `fixed`, a product for each.
    """
    if node.operation != "matmul" or sizes_of(node).m != 1:
        return None
    if sizes_of(node).matrices > 1:
        return _of_each_head(sizes_of(node), *inputs) if node.inputs[1] in fixed else None
    if inputs[0].operation != "join" or sizes_of(node).transposed:
        return None
    n, total, start = sizes_of(node).n, None, 0
    for part, places in zip(inputs[0].inputs, inputs[0].attributes[0], strict=True):
        if run_of(places) != range(start, start + part.size):
            return None
        rows = ops.take(inputs[1], indices=np.arange(start * n, (start + part.size) * n))
        product = ops.matmul(part, rows, m=1, k=part.size, n=n)
        total = product if total is None else total + product
        start += part.size
    return total


def _of_each_head(sizes: ProductSizes, vectors: Node, weights: Node) -> Node:
    matrices, _, k, n, transposed = sizes

    def product(head: int) -> Node:
        vector = ops.take(vectors, indices=head * k + np.arange(k))
        weight = ops.take(weights, indices=head * k * n + np.arange(k * n))
        return ops.matmul(vector, weight, m=1, k=k, n=n, transposed=transposed)

    places = np.arange(matrices * n).reshape(matrices, n)
    return ops.join(*map(product, range(matrices)), places=list(places))
