"""The rule for matrix products."""

from __future__ import annotations

from math import prod
from typing import Any

from myrnn.compiler._graph import Builder, Node
from myrnn.compiler._operations import transposed_indices
from myrnn.compiler._values import Plain, Rows, Rule, Value, as_plain
from myrnn.errors import UnsupportedOperation


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
