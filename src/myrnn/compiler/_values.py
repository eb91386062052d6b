"""What a tensor of the model is while its graph is read: one node, or rows, a node for each place of the first axis.

A rule writes one of MyGrad's operations in the compiler's own: from the values of the operands it builds the value of
the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from myrnn.compiler._graph import Builder, Node

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


def as_rows(build: Builder, value: Value) -> Rows:
    """Return the value as a node for each place of its first axis."""
    if isinstance(value, Rows):
        return value
    size = prod(value.shape[1:])
    nodes = tuple(build.take(value.node, np.arange(i * size, (i + 1) * size)) for i in range(value.shape[0]))
    return Rows(nodes, value.shape[1:])


def fitted(build: Builder, node: Node, shape: Shape, target: Shape) -> Node:
    """Return the node with as many elements as `target`, or a single one."""
    if node.size in (1, prod(target)):
        return node
    indices = np.broadcast_to(np.arange(node.size).reshape(shape), target)
    return build.take(node, indices)
