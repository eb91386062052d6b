"""Values moved: the rules of MyGrad's operations on shapes and positions, and how a rule applies part by part."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from myrnn.compiler import ops
from myrnn.compiler.graph import Node
from myrnn.compiler.values import Array, Shape, Value, in_parts, moved, plain, with_axis, without_axis

Rule = Callable[[Any, list[Value], Shape], Value]
"""From MyGrad's operation, the operands and the shape of the result to its value; other arguments come first."""


def axis_of_parts(operands: Iterable[Value]) -> int | None:
    """Return the axis of the parts of the first operand that has parts, counted from the last."""
    return next((o.from_last for o in operands if o.along is not None), None)


def _is_long(value: Value, axis: int, length: int) -> bool:
    """Return whether a value has this length along an axis."""
    return len(value.shape) >= -axis and value.shape[axis] == length


def lifted(whole: Callable[..., Node], operands: Sequence[Value], shape: Shape, axis: int | None) -> Value:
    """Apply a rule for whole values part by part along an axis of the result, counted from the last, or to it all."""
    # Operands that do not have that axis, or have length one there, are used for every part.
    if axis is None or len(shape) < -axis or not any(_is_long(o, axis, shape[axis]) for o in operands):
        return plain(whole(*operands), shape)
    columns = [
        o.parts(axis) if _is_long(o, axis, shape[axis]) else
        [plain(o.node, without_axis(o.shape, axis + len(o.shape)) if len(o.shape) >= -axis else o.shape)] * shape[axis]
        for o in operands
    ]  # fmt: skip
    return in_parts((whole(*part) for part in zip(*columns, strict=True)), shape, axis)


# Shapes and positions -------------------------------------------------------------------------------------------------


def _move(move: Callable[[Array, Any, Shape], Array], creator: Any, operands: list[Value], shape: Shape) -> Value:
    """Move the numbers of a value as `move`, which knows the operation and the new shape, moves those of an array."""
    return moved(operands[0], np.asarray(move(operands[0].places, creator, shape)))


def _get_item(creator: Any, operands: list[Value], shape: Shape) -> Value:
    value, index = operands[0], creator.index
    if value.along == 0 and index and isinstance(index[0], int | np.integer):
        # The common case, x[t], without a pass over every element of the sequence.
        value, index = plain(value.nodes[operator.index(index[0])], value.shape[1:]), index[1:]
    return moved(value, np.asarray(value.places[index]))


def _stack(creator: Any, operands: list[Value], shape: Shape) -> Value:
    axis = creator.axis % len(shape)
    if axis == 0:
        return Value(tuple(o.node for o in operands), shape, 0)
    widened = [
        replace(o, shape=with_axis(o.shape, axis, 1), along=None if o.along is None else o.along + (o.along >= axis))
        for o in operands
    ]
    return _concatenated(axis, widened, shape)


def _concatenated(axis: int | None, operands: list[Value], shape: Shape) -> Value:
    if axis is not None:
        axis %= len(shape)
    if axis == 0 and not _is_one_value(operands):
        return in_parts((part.node for o in operands for part in o.parts(-len(shape))), shape, -len(shape))
    if axis and all(o.shape[axis] == 1 or o.along == axis for o in operands) and axis_of_parts(operands) is None:
        # Single numbers, or columns, side by side: they may be those of all steps.
        return Value(tuple(o.node for o in operands), shape, axis)
    parts = axis_of_parts(operands)
    if axis is None or (parts is not None and parts + len(shape) == axis):
        parts = None
    # The axis counted from the last, in values that lack the axis of the parts.
    end = None if axis is None else axis - len(shape)
    if end is not None and parts is not None and end < parts:
        end += 1
    return lifted(partial(join_along, axis=end), operands, shape, parts)


def _is_one_value(operands: list[Value]) -> bool:
    """Whether values joined along the first axis are one value, such as vectors side by side or a pushed stack."""
    # Rows of the sequence, and single rows that may be those of all steps, are parts.
    return all(o.along is None for o in operands) and any(len(o.shape) == 1 or o.shape[0] > 1 for o in operands)


def join_along(*parts: Value, axis: int | None) -> Node:
    """Return the parts joined along an axis, as one node."""
    ends = np.cumsum([part.node.size for part in parts])
    numbers = [part.places + end - part.node.size for part, end in zip(parts, ends, strict=True)]
    places = np.split(np.argsort(np.concatenate(numbers, axis=axis), axis=None), ends[:-1])
    filled = [i for i, place in enumerate(places) if place.size]
    if len(filled) == 1:
        return parts[filled[0]].node
    return ops.join(*(parts[i].node for i in filled), places=[places[i] for i in filled])


SHAPES: dict[str, Rule] = {
    **dict.fromkeys(
        ("Reshape", "Squeeze", "Flatten", "Ravel", "ExpandDims", "AtLeast1D", "AtLeast2D", "AtLeast3D"),
        partial(_move, lambda a, creator, shape: a.reshape(shape)),
    ),
    "BroadcastTo": partial(_move, lambda a, creator, shape: np.broadcast_to(a, shape)),
    "Transpose": partial(_move, lambda a, creator, shape: a.transpose(creator.axes)),
    "Tensor_Transpose_Property": partial(_move, lambda a, creator, shape: a.T),
    "MoveAxis": partial(_move, lambda a, creator, shape: np.moveaxis(a, creator.source, creator.destination)),
    "SwapAxes": partial(_move, lambda a, creator, shape: np.swapaxes(a, creator.axis1, creator.axis2)),
    "Roll": partial(_move, lambda a, creator, shape: np.roll(a, creator.shift, creator.axis)),
    "Repeat": partial(_move, lambda a, creator, shape: np.repeat(a, creator._repeats, creator._axis)),
    "GetItem": _get_item,
    "Concatenate": lambda creator, operands, shape: _concatenated(creator.axis, operands, shape),
    "Stack": _stack,
}
