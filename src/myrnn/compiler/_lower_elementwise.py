"""Rules for the operations that work element by element."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import numpy as np

from myrnn.compiler._graph import Builder, Node
from myrnn.compiler._values import Plain, Rows, Rule, Shape, Value, as_plain, as_rows, fitted

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
