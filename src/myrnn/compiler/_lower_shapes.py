"""Rules for other shapes and places: what is moved, indexed, joined and stacked, without a number that changes."""

from __future__ import annotations

import operator
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler._graph import Builder
from myrnn.compiler._values import Plain, Rows, Rule, Value, as_plain, as_rows

Array = NDArray[Any]


def _moved(build: Builder, value: Value, move: Callable[[Array], Array]) -> Value:
    """Return the value with its elements moved as `move` moves those of an array of its shape."""
    if isinstance(value, Rows):
        whole = np.arange(prod(value.shape)).reshape(value.shape)
        moved = move(whole)
        rows = _rows_of(moved, prod(value.row_shape))
        if rows is not None:
            nodes = tuple(build.take(value.nodes[row], inside) for row, inside in rows)
            return Rows(nodes, moved.shape[1:])
    plain = as_plain(build, value)
    moved = move(np.arange(plain.node.size).reshape(plain.shape))
    if isinstance(value, Rows) and prod(moved.shape) == prod(value.row_shape):
        # All of it out of one row: the row itself, so that the others are not read.
        size = prod(value.row_shape)
        row = int(moved.reshape(-1)[0]) // size if moved.size else 0
        if np.all(moved // size == row):
            return Plain(build.take(value.nodes[row], moved - row * size), moved.shape)
    return Plain(build.take(plain.node, moved), moved.shape)


def _rows_of(moved: Array, size: int) -> list[tuple[int, Array]] | None:
    """Return, for each place of the first axis, the one row that it is taken from and where in it; None if several."""
    if moved.ndim < 1 or moved.size == 0 or size == 0:
        return None
    found = []
    for part in moved:
        row = int(part.reshape(-1)[0]) // size
        inside = part - row * size
        if np.any(inside < 0) or np.any(inside >= size):
            return None
        found.append((row, inside))
    return found


def _get_item(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    index = creator.index
    value = operands[0]
    if isinstance(value, Rows) and index and isinstance(index[0], int | np.integer):
        # The common case, x[t], without looking at every element of the sequence.
        row = Plain(value.nodes[operator.index(index[0])], value.row_shape)
        return _moved(build, row, lambda a: a[index[1:]])
    return _moved(build, value, lambda a: a[index])


def _concatenate(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    if creator.axis == 0 and not _is_one_value(operands):
        parts = [as_rows(build, o) for o in operands]
        return Rows(tuple(node for part in parts for node in part.nodes), parts[0].row_shape)
    if creator.axis is not None and all(isinstance(o, Rows) for o in operands):
        rows = [as_rows(build, o) for o in operands]
        joined = [
            _joined(build, [Plain(node, r.row_shape) for node, r in zip(row, rows, strict=True)], creator.axis - 1)
            for row in zip(*(r.nodes for r in rows), strict=True)
        ]
        return Rows(tuple(j.node for j in joined), joined[0].shape)
    return _joined(build, [as_plain(build, o) for o in operands], creator.axis)


def _is_one_value(operands: list[Value]) -> bool:
    """Whether what is joined along the first axis is one value, such as vectors side by side or a stack that is pushed.

    Rows of the sequence, and single rows that may be those of all steps, are rows.
    """
    plain = [o.shape for o in operands if isinstance(o, Plain)]
    return len(plain) == len(operands) and any(len(shape) == 1 or shape[0] > 1 for shape in plain)


def _stack(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
    plain = [as_plain(build, o) for o in operands]
    if creator.axis == 0:
        return Rows(tuple(p.node for p in plain), plain[0].shape)
    shape = tuple(np.expand_dims(np.empty(plain[0].shape, dtype=bool), creator.axis).shape)
    return _joined(build, [Plain(p.node, shape) for p in plain], creator.axis)


def _joined(build: Builder, parts: list[Plain], axis: int | None) -> Plain:
    """Return the parts side by side along an axis, as one node."""
    numbered, start = [], 0
    for part in parts:
        numbered.append(np.arange(start, start + part.node.size).reshape(part.shape))
        start += part.node.size
    whole = np.concatenate(numbered, axis=axis)
    order = np.empty(start, dtype=np.int32)
    order[whole.reshape(-1)] = np.arange(start, dtype=np.int32)
    ends = np.cumsum([part.node.size for part in parts])
    places = tuple(piece.tobytes() for piece in np.split(order, ends[:-1]))
    kept = [(part.node, place) for part, place in zip(parts, places, strict=True) if part.node.size]
    node = build.make("join", *(n for n, _ in kept), places=tuple(p for _, p in kept)) if len(kept) > 1 else kept[0][0]
    return Plain(node, whole.shape)


_MOVES: dict[str, Callable[[Array, Any, Any], Array]] = {
    **dict.fromkeys(
        ("Reshape", "Squeeze", "Flatten", "Ravel", "ExpandDims", "AtLeast1D", "AtLeast2D", "AtLeast3D"),
        lambda a, creator, tensor: a.reshape(tensor.shape),
    ),
    "BroadcastTo": lambda a, creator, tensor: np.broadcast_to(a, tensor.shape),
    "Transpose": lambda a, creator, tensor: a.transpose(creator.axes),
    "Tensor_Transpose_Property": lambda a, creator, tensor: a.T,
    "MoveAxis": lambda a, creator, tensor: np.moveaxis(a, creator.source, creator.destination),
    "SwapAxes": lambda a, creator, tensor: np.swapaxes(a, creator.axis1, creator.axis2),
    "Roll": lambda a, creator, tensor: np.roll(a, creator.shift, creator.axis),
    "Repeat": lambda a, creator, tensor: np.repeat(a, creator._repeats, creator._axis),
}
"""What each does to an array, given MyGrad's operation and the resulting tensor."""


def _move(move: Callable[[Array, Any, Any], Array]) -> Rule:
    def rule(build: Builder, creator: Any, operands: list[Value], tensor: Any) -> Value:
        return _moved(build, operands[0], lambda a: move(a, creator, tensor))

    return rule


SHAPES: dict[str, Rule] = {
    **{name: _move(move) for name, move in _MOVES.items()},
    "GetItem": _get_item,
    "Concatenate": _concatenate,
    "Stack": _stack,
}
