"""The values of a recurrence as arrays of NumPy: the shape of each, and the text of the operation that makes it.

A graph has flat vectors; a matrix is one whose numbers an operation reads as rows and columns. For equations that NumPy
could compute, each value gets a shape here: from the parameters, and from how numbers are multiplied, summed and
repeated. Vectors have one axis, a matrix for each head has an axis of heads in front. A vector that is repeated is
broadcast: ``k[:, None] * v`` is a column times a row. Long lists are cut, and an initial state may be one number that
stands for all of its numbers.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod

import numpy as np

from myrnn.compiler.graph import Node, topological
from myrnn.compiler.leaves import Kept, Parameter, ParameterRows, SymbolRows
from myrnn.compiler.loops import Recurrence
from myrnn.compiler.ops import Array, indices_of, repeated_axes, sizes_of, transposed_indices
from myrnn.compiler.printer import LISTED, index_text, shortened, template_of, vector_text

Shape = tuple[int, ...]


@dataclass(frozen=True)
class ArrayText:
    """A value as an array, and the template that makes it, with the nodes for the placeholders."""

    shape: Shape  # a single number has no axes
    # The axes along which all numbers are the same: an array of length one there is enough, which NumPy broadcasts.
    repeated: frozenset[int] = frozenset()
    # The shape of the array that the template makes, if it is another one: it may lack axes that are repeated.
    made: Shape | None = None
    template: str = ""
    inputs: tuple[Node, ...] = ()

    @property
    def held(self) -> Shape:
        """The shape of the array without repetition."""
        return tuple(1 if axis in self.repeated else length for axis, length in enumerate(self.shape))

    @property
    def array(self) -> Shape:
        """The shape of the array that the template makes."""
        return self.held if self.made is None else self.made

    def split(self, shape: Shape) -> ArrayText:
        """Return the same numbers with a shape whose axes are parts of these axes."""
        ends = _ends(self.shape)
        axes = [max(axis for axis, there in enumerate(ends) if there >= end) for end in _ends(shape)]
        return ArrayText(shape, frozenset(i for i, axis in enumerate(axes) if shape[i] > 1 and axis in self.repeated))

    def as_whole(self, name: str, shape: Shape) -> str:
        """Return the array, whose text is given, with another shape, and without repeated axes."""
        if not self.repeated:
            return name + _reshaped(self.array, shape)
        return f"broadcast_to({name}{_reshaped(self.array, self.held)}, {self.shape}){_reshaped(self.shape, shape)}"


def array_texts(recurrence: Recurrence) -> dict[Node, ArrayText]:
    """Return every node of a recurrence as an array."""
    states = [leaf for leaves in recurrence.state_leaves for leaf in leaves]
    after = dict(zip(states, recurrence.step, strict=True))
    after |= {recurrence.build.leaf(Kept(k), node.size): node for k, node in recurrence.kept.items()}
    order = topological([*after, *recurrence.nodes])
    leaves = {node: _vector(node) for node in order if node.is_leaf}
    for node in order:
        if node.operation == "matmul" and node.inputs[1] in leaves and not node.inputs[1].is_constant:
            leaves[node.inputs[1]] = ArrayText(_right_shape(node))
    for node in leaves:
        match node.leaf:
            case Parameter(number):
                stored = _trimmed(recurrence.shapes[number])
                leaves[node] = ArrayText(_without_ones(stored), made=stored)
            case ParameterRows(number, _):
                leaves[node] = ArrayText((node.size // recurrence.shapes[number][-1], recurrence.shapes[number][-1]))
            case SymbolRows():
                leaves[node] = ArrayText((recurrence.dim_input, recurrence.dim_input))
    # The shape of a state may depend on those of other states.
    named = {node for node, origin in recurrence.origins.items() if origin.name}
    for _ in range(len(after) + 1):
        found = _texts(order, leaves, {}, named)
        shapes = {leaf: ArrayText(found[node].shape) for leaf, node in after.items()}
        if all(leaves[leaf] == shape for leaf, shape in shapes.items()):
            break
        leaves |= shapes
    else:
        # Their shapes contradict each other.
        leaves |= {leaf: _vector(leaf) for leaf in after}
    pairs = [*zip(states, recurrence.initial, strict=True), *after.items()]
    return _texts(order, leaves, {node: leaves[leaf].shape for leaf, node in pairs}, named)


def _texts(
    order: Sequence[Node], leaves: Mapping[Node, ArrayText], wanted: Mapping[Node, Shape], named: Collection[Node]
) -> dict[Node, ArrayText]:
    """Return nodes as arrays, each after its inputs, with the shapes in `wanted` for some of them."""
    found = dict(leaves)
    for node in (n for n in order if n.inputs):
        text = None if node.inputs[0] in named else _product_with_column(node, found)
        text = text or replace(_text(node, [found[i] for i in node.inputs]), inputs=node.inputs)
        if node in wanted and not text.repeated and (more := _reshaped(text.array, wanted[node])):
            text = ArrayText(wanted[node], template=f"({text.template}){more}", inputs=text.inputs)
        found[node] = text
    return found


def _product_with_column(node: Node, found: Mapping[Node, ArrayText]) -> ArrayText | None:
    """Return a node that is the product of a vector with a parameter of one column, which a trace has as a sum."""
    multiplied = node.inputs[0]
    if node.operation != "sum" or node.size > 1 or multiplied.operation != "multiply":
        return None
    vector, column = multiplied.inputs
    is_vector = found[vector].array == (multiplied.size,) == found[column].shape
    if not is_vector or not isinstance(column.leaf, Parameter):
        return None
    return ArrayText((), template="{0} @ {1}", inputs=multiplied.inputs)


def _text(node: Node, inputs: Sequence[ArrayText]) -> ArrayText:
    """Return a node as an array, given those of its inputs."""
    match node.operation:
        case "matmul":
            return _product(node, *inputs)
        case "outer":
            return _outer(node, *inputs)
        case "expand":
            return ArrayText((node.size,), frozenset({0}), template="{0}")
        case "take":
            return _repetition(node, inputs[0]) or _selection(node, inputs[0])
        case "sum" | "softmax" | "log_softmax":
            return _reduction(node, inputs[0])
        case "join":
            return _joined(node, inputs)
        case "put":
            return _flat(node, inputs)
    wide = [i for i in inputs if i.shape]
    shape = _common([i.shape for i in wide])
    if shape is None:
        return _flat(node, inputs)
    # A single number is broadcast as it is.
    split = [i.split(shape) if i.shape else i for i in inputs]
    pieces = [
        _piece(place, *one) for place, one in enumerate(zip(node.inputs, inputs, (s.held for s in split), strict=True))
    ]
    repeated = frozenset[int].intersection(*(s.repeated for s in split if s.shape)) if wide else frozenset[int]()
    return ArrayText(shape, repeated, template=_with_pieces(template_of(node), pieces))


def _piece(place: int, read: Node, text: ArrayText, shape: Shape) -> str:
    """Return an operand with another shape."""
    name, more = f"{{{place}}}", _reshaped(text.array, shape)
    if read.is_constant and more:
        # A list, maybe of the first few numbers only.
        return name if read.size > LISTED else f"array({name}){more}"
    return name + more


def _flat(node: Node, inputs: Sequence[ArrayText]) -> ArrayText:
    """Return an operation on flat vectors."""
    pieces = [_whole(place, i, inputs[place], (i.size,)) for place, i in enumerate(node.inputs)]
    return ArrayText(_array_shape(node.size), template=_with_pieces(template_of(node), pieces))


def _whole(place: int, read: Node, text: ArrayText, shape: Shape) -> str:
    """Return an operand with this shape, and without repeated axes."""
    return vector_text(read, *shape) if read.is_constant else text.as_whole(f"{{{place}}}", shape)


def _joined(node: Node, inputs: Sequence[ArrayText]) -> ArrayText:
    """Return values side by side: along the last axis if each is a block of columns, otherwise as flat vectors."""
    places = [indices_of(where) for where in node.attributes[0]]
    order = sorted(range(len(places)), key=lambda i: int(places[i][0]))
    rows = len(places[0]) // next((i for i, where in enumerate(places[0]) if where != places[0][0] + i), len(places[0]))
    lines = np.arange(rows)[:, np.newaxis] * (node.size // rows)
    is_by_rows = all(
        len(where) % rows == 0 and np.array_equal(where, (where[0] + lines + np.arange(len(where) // rows)).reshape(-1))
        for where in places
    )
    if rows > 1 and is_by_rows:
        pieces = [_whole(i, node.inputs[i], inputs[i], (rows, len(places[i]) // rows)) for i in order]
        return ArrayText((rows, node.size // rows), template=f"join({', '.join(shortened(pieces))}, axis=-1)")
    several = order if is_by_rows else range(len(places))
    pieces = [_whole(i, node.inputs[i], inputs[i], (node.inputs[i].size,)) for i in several]
    index = "" if is_by_rows else f"[{index_text(np.argsort(np.concatenate(places)))}]"
    return ArrayText(_array_shape(node.size), template=f"join({', '.join(shortened(pieces))}){index}")


def _product(node: Node, left: ArrayText, right: ArrayText) -> ArrayText:
    matrices, m, k, n, transposed = sizes_of(node)
    is_vector = matrices == m == 1
    read = _whole(0, node.inputs[0], left, (k,) if is_vector else _heads(matrices, m, k))
    stored = _whole(1, node.inputs[1], right, _right_shape(node))
    turned = (".mT" if matrices > 1 else ".T") * transposed
    # One number times a row.
    sign = "*" if is_vector and k == 1 else "@"
    shape = (n,) if is_vector else _heads(matrices, m, n)
    return ArrayText(shape if node.size > 1 else (), template=f"{read} {sign} {stored}{turned}")


def _right_shape(product: Node) -> Shape:
    """Return the shape of the right matrices of a product, as they are stored."""
    matrices, _, k, n, transposed = sizes_of(product)
    return _heads(matrices, *((n, k) if transposed else (k, n)))


def _outer(node: Node, left: ArrayText, right: ArrayText) -> ArrayText:
    matrices, m, _, n, _ = sizes_of(node)
    column, row = node.inputs
    if matrices == 1:
        return ArrayText((m, n), template=f"outer({_whole(0, column, left, (m,))}, {_whole(1, row, right, (n,))})")
    columns, rows = _whole(0, column, left, (matrices, m, 1)), _whole(1, row, right, (matrices, 1, n))
    return ArrayText((matrices, m, n), template=f"{columns} * {rows}")


def _repetition(node: Node, read: ArrayText) -> ArrayText | None:
    """Return a node that repeats what it reads along a new axis."""
    if (axes := repeated_axes(node)) is None:
        return None
    outer, count, inner = axes
    shape = _common([read.shape, (outer, inner)])
    if shape is None:
        return None
    split = read.split(_without_ones(shape))
    at = sum(end > inner for end in _ends(split.shape))
    repeated = frozenset({at, *(axis + (axis >= at) for axis in split.repeated)})
    return ArrayText((*split.shape[:at], count, *split.shape[at:]), repeated, read.array, "{0}")


def _selection(node: Node, read: ArrayText) -> ArrayText:
    """Return a node that selects numbers of what it reads: by an index for each axis, or from the flat vector."""
    where = indices_of(node.attributes[0])
    shape = read.shape if read.shape and not read.repeated else (node.inputs[0].size,)
    before = read.as_whole("{0}", shape)
    if len(shape) > 1 and len(where) == prod(shape):
        matrices, (rows, columns) = prod(shape[:-2]), shape[-2:]
        if np.array_equal(where, transposed_indices(rows, columns, matrices)):
            return ArrayText((*shape[:-2], columns, rows), template=f"{before}{'.T' if len(shape) == 2 else '.mT'}")
    parts = _along_axes(where, shape)
    if parts is None:
        shape = (prod(shape),)
        before, parts = read.as_whole("{0}", shape), [where]
    whole = [n > 1 and np.array_equal(part, np.arange(n)) for part, n in zip(parts, shape, strict=True)]
    selected = [":" if is_whole else index_text(part) for part, is_whole in zip(parts, whole, strict=True)]
    while selected[-1] == ":" and len(selected) > 1:
        selected.pop()
    kept = tuple(len(part) for part in parts if len(part) > 1)
    return ArrayText(kept, template=f"{before}[{', '.join(selected)}]")


def _along_axes(where: Array, shape: Shape) -> list[Array] | None:
    """Return what is selected along each axis; None if it is not the same in all others, or one axis needs a list."""
    parts = [np.array(list(dict.fromkeys(places.tolist()))) for places in np.unravel_index(where, shape)]
    if len(shape) == 1:
        return [where]
    all_parts = np.ravel_multi_index(np.ix_(*parts), shape).reshape(-1)
    in_steps = all(len(part) < 2 or len(set(np.diff(part).tolist())) == 1 for part in parts)
    return parts if in_steps and np.array_equal(all_parts, where) else None


def _reduction(node: Node, read: ArrayText) -> ArrayText:
    """Return a sum or a softmax along some axes."""
    outer, n, inner = node.attributes
    axes = _without_ones(node.attributes)
    shape = _common([read.shape, axes]) or axes
    reduced = [axis for axis, end in enumerate(_ends(shape)) if inner < end <= n * inner and shape[axis] > 1]
    text = read.split(shape) if _common([read.shape, shape]) == shape else ArrayText(shape)
    before = "{0}" + _reshaped(read.array, text.held)
    if text.repeated.intersection(reduced):
        text, before = ArrayText(shape), read.as_whole("{0}", shape)
    # An array lacks repeated axes in front.
    along = [axis - len(shape) if 0 in text.repeated or axis == len(shape) - 1 else axis for axis in reduced]
    which = f", axis={along[0] if len(along) == 1 else tuple(along)}" if outer * inner > 1 else ""
    template = f"{node.operation}({before}{which})"
    if node.operation != "sum":
        return replace(text, template=template)
    if node.size == 1:
        return ArrayText((), template=template)
    left = [axis for axis in range(len(shape)) if axis not in reduced]
    repeated = frozenset(place for place, axis in enumerate(left) if axis in text.repeated)
    summed = ArrayText(tuple(shape[axis] for axis in left), repeated, template=template)
    # Vectors have one axis: what is left of axes of length one in front is taken away.
    ones = len(summed.shape) - len(_trimmed(summed.shape))
    if not ones:
        return summed
    return ArrayText(_trimmed(summed.shape), template=f"{template}[{', '.join(['0'] * ones)}]")


# Shapes ---------------------------------------------------------------------------------------------------------------


def _array_shape(size: int) -> Shape:
    return (size,) if size > 1 else ()


def _vector(leaf: Node) -> ArrayText:
    """Return a leaf as a vector; equal numbers of a constant are written as one number."""
    is_one_number = leaf.is_constant and leaf.size > 1 and bool(np.all(leaf.numbers == leaf.numbers[0]))
    return ArrayText((leaf.size,), frozenset({0}), ()) if is_one_number else ArrayText(_array_shape(leaf.size))


def _heads(matrices: int, *shape: int) -> Shape:
    return (matrices, *shape) if matrices > 1 else shape


def _without_ones(shape: Shape) -> Shape:
    return tuple(length for length in shape if length > 1)


def _trimmed(shape: Shape) -> Shape:
    """Return a shape without axes of length one in front, which NumPy adds itself."""
    first = next((axis for axis, length in enumerate(shape) if length > 1), len(shape))
    return shape[first:]


def _ends(shape: Shape) -> list[int]:
    """Return the number of elements of each axis and those after it."""
    return [prod(shape[axis:]) for axis in range(len(shape))]


def _common(shapes: Sequence[Shape]) -> Shape | None:
    """Return the shape with the axes of all of these shapes of the same numbers, or None if there is none."""
    # If one of them has all axes, it is that one, with its axes of length one.
    ends = sorted({end for shape in shapes for end in _ends(shape)} - {1}, reverse=True)
    if any(one % other for one, other in pairwise(ends)):
        return None
    merged = tuple(one // other for one, other in pairwise([*ends, 1]))
    return max((shape for shape in shapes if _without_ones(shape) == merged), key=len, default=merged)


def _reshaped(now: Shape, wanted: Shape) -> str:
    """Return what to write after an array for one of another shape."""
    now, wanted = _trimmed(now), _trimmed(wanted)
    if now == wanted:
        return ""
    if _without_ones(now) == _without_ones(wanted):
        return f"[{', '.join(_index_between(now, wanted))}]"
    return ".ravel()" if len(wanted) == 1 else f".reshape({', '.join(map(str, wanted))})"


def _index_between(now: Shape, wanted: Shape) -> list[str]:
    """Return the index that adds and removes axes of length one."""
    index, left = list[str](), list(now)
    for length in wanted:
        while left and left[0] == 1 < length:
            index.append("0")
            left.pop(0)
        is_there = bool(left) and left[0] == length
        index.append(":" if is_there else "None")
        del left[:is_there]
    index += ["0"] * len(left)
    while index[-1] == ":":
        index.pop()
    return index


def _with_pieces(template: str, pieces: Sequence[str]) -> str:
    """Return a template with the text of each piece instead of its placeholder."""
    return re.sub(r"\{(\d+)\}", lambda found: pieces[int(found[1])], template)
