"""Tensors that are changed in place: buffers of states, parts of a state, and views of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from myrnn.compiler import ops
from myrnn.compiler.arithmetic import lost
from myrnn.compiler.graph import Node
from myrnn.compiler.ops import take
from myrnn.compiler.shapes import SHAPES
from myrnn.compiler.values import Array, Shape, Value, moved, plain
from myrnn.errors import UnsupportedOperation


@dataclass(frozen=True)
class Written:
    """A constant that was written into, such as a buffer of states: the node of each number, and the index in it."""

    # Reads of it give the node that was written there.

    nodes: tuple[Node, ...]
    # Integers, both of the tensor's shape.
    part: Array
    inside: Array

    @property
    def shape(self) -> Shape:
        """The tensor's shape."""
        return self.part.shape

    @property
    def places(self) -> Array:
        """The index of each number among all, in this shape."""
        return np.arange(self.part.size).reshape(self.shape)

    @cached_property
    def value(self) -> Value:
        """All of it."""
        return self.at(self.places)

    @property
    def node(self) -> Node:
        """All numbers in one node."""
        return self.value.node

    def at(self, places: Array) -> Value:
        """Return the numbers at these indices: one node, parts if each index of an axis is one, or joined."""
        part, inside = self.part.ravel()[places], self.inside.ravel()[places]
        which = np.unique(part)
        if len(which) <= 1:
            return plain(self._taken(which[0] if len(which) else 0, inside), places.shape)
        for axis in range(places.ndim):
            lines = np.moveaxis(part, axis, 0).reshape(places.shape[axis], -1)
            computed = [one for one in lines[:, 0] if not self.nodes[one].is_constant]
            if np.all(lines == lines[:, :1]) and len(set(computed)) == len(computed):
                pieces = (np.take(inside, i, axis) for i in range(places.shape[axis]))
                nodes = (self._taken(one, piece) for one, piece in zip(lines[:, 0], pieces, strict=True))
                return Value(tuple(nodes), places.shape, axis)
        groups = [np.flatnonzero(part == one) for one in which]
        nodes = (self._taken(one, inside.ravel()[group]) for one, group in zip(which, groups, strict=True))
        return plain(ops.join(*nodes, places=groups), places.shape)

    def _taken(self, which: int, inside: Array) -> Node:
        node = self.nodes[which]
        if not node.is_constant:
            return take(node, indices=inside)
        # A row of a constant is a constant, whatever the number of rows.
        if message := lost(node.numbers[inside]):
            raise UnsupportedOperation(message)
        return node.build.constant(node.numbers[inside])


def written_into(node: Node, shape: Shape) -> Written:
    """Return a constant that is to be written into."""
    return Written((node,), np.zeros(shape, int), np.arange(prod(shape)).reshape(shape))


def _after_writing(creator: Any, shape: Shape) -> Array:
    """Return the source of each number of a tensor when numbers are written into it, in its shape."""
    # These are indices into the old tensor, and beyond its size, indices into the written numbers.
    size, new = prod(shape), creator.variables[1].shape
    after, comes = np.arange(size), np.arange(size, size + prod(new)).reshape(new)
    if type(creator).__name__ == "SetItem":
        after = after.reshape(shape)
        after[creator.index] = comes
        return after
    # The target was a view, made from the tensor by these functions.
    places = after.reshape(shape)
    for view in creator._view_fn_seq:
        places = np.asarray(view(places))
    after = after.copy()
    after[places.ravel()] = comes.ravel()
    return after.reshape(shape)


def _write(creator: Any, operands: list[Any], shape: Shape) -> Value | Written:
    """Apply a change in place."""
    value, new = operands
    new = new.value if isinstance(new, Written) else new
    after, size = _after_writing(creator, shape), prod(shape)
    is_new = after >= size
    if isinstance(value, Written):
        pieces = new.nodes if new.along is not None else (new.node,)
        part, inside = new.part_and_place if new.along is not None else (np.zeros(new.node.size, int), new.places)
        comes = after[is_new] - size
        parts, insides = value.part.copy(), value.inside.copy()
        parts[is_new], insides[is_new] = part.ravel()[comes] + len(value.nodes), inside.ravel()[comes]
        return Written((*value.nodes, *pieces), parts, insides)
    if is_new.all():
        return moved(new, after - size)
    if value.along is None:
        return plain(_mixed(value, new, after), shape)
    lines = (np.take(after, i, value.along) for i in range(shape[value.along]))
    nodes = (
        _mixed(value, new, line) if np.any(line >= size) else node
        for node, line in zip(value.nodes, lines, strict=True)
    )
    return replace(value, nodes=tuple(nodes))


def _mixed(value: Value, new: Value, after: Array) -> Node:
    """Return numbers of a value, by index, and beyond its size those of another."""
    size = prod(value.shape)
    if np.all(after >= size):
        return moved(new, after - size).node
    flat = after.ravel()
    kept, written = np.flatnonzero(flat < size), np.flatnonzero(flat >= size)
    return ops.join(moved(value, flat[kept]).node, moved(new, flat[written] - size).node, places=[kept, written])


def _get_item(creator: Any, operands: list[Any], shape: Shape) -> Value:
    (value,) = operands
    if isinstance(value, Written):
        return value.at(np.asarray(value.places[creator.index]))
    return SHAPES["GetItem"](creator, operands, shape)


WRITES: dict[str, Any] = {"SetItem": _write, "UnView": _write}
"""Rules for changes of a tensor in place."""

READ_OR_WRITE: dict[str, Any] = {**WRITES, "GetItem": _get_item}
"""These take the written tensor itself; other rules take its value."""
