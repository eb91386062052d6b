"""A tensor of the model in the compiler's representation: its numbers in one node, or in parts.

Parts are nodes for each index of one of its axes. The sequence has a part for each row, and so has everything computed
for all steps at once, so that a projection of the whole sequence and one inside the loop are the same graph.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler import ops
from myrnn.compiler.graph import Node
from myrnn.compiler.ops import take

Array = NDArray[Any]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Value:
    """A tensor of the model: its numbers in one node or in parts, a node for each index of the axis `along`."""

    nodes: tuple[Node, ...]
    shape: Shape
    along: int | None = None

    @cached_property
    def node(self) -> Node:
        """All numbers in one node: parts are joined."""
        if len(self.nodes) == 1:
            return self.nodes[0]
        places = [np.ravel(np.take(self.places, i, self.along)) for i in range(len(self.nodes))]
        return ops.join(*self.nodes, places=places)

    @property
    def from_last(self) -> int | None:
        """The axis of the parts, counted from the last; None if there are none."""
        return None if self.along is None else self.along - len(self.shape)

    def parts(self, axis: int) -> list[Value]:
        """Return the value at each index of an axis, counted from the last, without the axis."""
        axis += len(self.shape)
        places = [np.take(self.places, i, axis) for i in range(self.shape[axis])]
        nodes = self.nodes if axis == self.along else [take(self.node, indices=place) for place in places]
        return [plain(node, without_axis(self.shape, axis)) for node in nodes]

    def pieces(self, axis: int) -> list[Value]:
        """Return the value at each index of an axis, with the axis of length one."""
        return [plain(part.node, with_axis(part.shape, axis + len(self.shape), 1)) for part in self.parts(axis)]

    @property
    def places(self) -> Array:
        """The index of each number in `node`, as an array of this shape."""
        return np.arange(prod(self.shape)).reshape(self.shape)

    @property
    def part_and_place(self) -> tuple[Array, Array]:
        """For each of its numbers, flat: its part, and its index in the part."""
        assert self.along is not None
        inner = without_axis(self.shape, self.along)
        inside = np.broadcast_to(np.expand_dims(np.arange(prod(inner)).reshape(inner), self.along), self.shape)
        return np.indices(self.shape)[self.along].ravel(), inside.ravel()

    def fitted(self, shape: Shape) -> Node:
        """Return the node with as many numbers as `shape` has, or with a single one."""
        node = self.node
        if node.size in (1, prod(shape)):
            return node
        if node.is_constant and node.size and node.numbers[0] != 0 and np.all(node.numbers == node.numbers[0]):
            return node.build.constant(node.numbers[:1])
        return take(node, indices=np.broadcast_to(self.places, shape))


def plain(node: Node, shape: Shape) -> Value:
    """Return the value that consists of one node."""
    return Value((node,), shape)


def in_parts(nodes: Iterable[Node], shape: Shape, axis: int) -> Value:
    """Return the value with a part for each index of an axis, counted from the last."""
    return Value(tuple(nodes), shape, axis + len(shape))


def without_axis(shape: Shape, axis: int) -> Shape:
    """Return a shape without one of its axes."""
    return (*shape[:axis], *shape[axis + 1 :])


def with_axis(shape: Shape, axis: int, size: int) -> Shape:
    """Return a shape with another axis before one."""
    return (*shape[:axis], size, *shape[axis:])


def moved(value: Value, places: Array) -> Value:
    """Return the numbers at these indices of a value, in the shape of the indices."""
    if value.along is None or not places.size:
        return plain(take(value.node, indices=places), places.shape)
    size = prod(without_axis(value.shape, value.along))
    part, inside = value.part_and_place
    part, inside = part[places], inside[places]
    if np.all(part == part.flat[0]) and (places.ndim == 0 or places.size < size):
        # A piece of one part is that part in another shape.
        return plain(take(value.nodes[part.flat[0]], indices=inside), places.shape)
    for axis in range(places.ndim):
        lines = np.moveaxis(part, axis, 0).reshape(places.shape[axis], -1)
        if np.all(lines == lines[:, :1]) and len(set(lines[:, 0])) == len(lines):
            pieces = (np.take(inside, i, axis) for i in range(places.shape[axis]))
            nodes = (take(value.nodes[which], indices=piece) for which, piece in zip(lines[:, 0], pieces, strict=True))
            return Value(tuple(nodes), places.shape, axis)
    if places.ndim > 1 and len(places) > 1 and all(len(np.unique(piece)) < len(value.nodes) for piece in part):
        # Windows, each of some parts.
        return Value(tuple(moved(value, piece).node for piece in places), places.shape, 0)
    used = np.unique(part)
    rest = Value(tuple(value.nodes[i] for i in used), _with_length(value.shape, value.along, len(used)), value.along)
    order = np.argsort(rest.part_and_place[0], kind="stable").reshape(len(used), size)
    return plain(take(rest.node, indices=order[np.searchsorted(used, part), inside]), places.shape)


def _with_length(shape: Shape, axis: int, length: int) -> Shape:
    return (*shape[:axis], length, *shape[axis + 1 :])
