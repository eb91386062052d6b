"""Stage 3: take out of the loop what every step would compute again, and take joined products apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from myrnn.compiler._graph import Builder, Node, indices_of, substitute, topological
from myrnn.compiler._roll import Recurrence


@dataclass(frozen=True)
class Hoisted:
    """A recurrence whose step and readout read what depends on parameters alone as leaves.

    Whole rows of a parameter are a leaf ``rows`` (the parameter's number and the first row), for they need no
    computing. Everything else is a leaf ``derived``.

    Attributes
    ----------
    recurrence : Recurrence
    derived : tuple of Node
        What each leaf ``derived`` stands for, by its number.
    """

    recurrence: Recurrence
    derived: tuple[Node, ...]


def hoist(recurrence: Recurrence, shapes: Sequence[tuple[int, ...]], build: Builder) -> Hoisted:
    """Rebuild the recurrence in `build`, with joined products split and what is fixed replaced by leaves.

    Parameters
    ----------
    recurrence : Recurrence
    shapes : sequence of tuple
        The shape of each parameter.
    build : Builder
    """
    split = _rewritten(recurrence, build)
    targets = [*split.step, split.readout]
    order = topological(targets)
    fixed: set[Node] = set()
    for node in order:
        if node.operation in ("parameter", "constant") or (node.inputs and all(i in fixed for i in node.inputs)):
            fixed.add(node)
    read = {i for node in order if node not in fixed for i in node.inputs} | set(targets)
    candidates = [n for n in order if n in fixed and n in read and n.inputs]
    leaves = {n: leaf for n in candidates if (leaf := _rows_of_parameter(n, shapes, build)) is not None}
    chosen = [n for n in candidates if n not in leaves]
    leaves |= {n: build.leaf("derived", i, size=n.size) for i, n in enumerate(chosen)}
    written = substitute(build, order, leaves)
    place = dict(zip(order, written, strict=True))
    hoisted = replace(
        split,
        step=tuple(place[n] for n in split.step),
        readout=place[split.readout],
        origins={place[n]: origin for n, origin in split.origins.items() if n in place},
    )
    return Hoisted(hoisted, tuple(chosen))


def _rows_of_parameter(node: Node, shapes: Sequence[tuple[int, ...]], build: Builder) -> Node | None:
    """Return the leaf for whole rows of a parameter; None when the node is anything else."""
    if node.operation != "take" or node.inputs[0].operation != "parameter":
        return None
    index = node.inputs[0].attributes[0]
    where = indices_of(node.attributes[0])
    if len(shapes[index]) != 2 or where[0] % shapes[index][1] or node.size % shapes[index][1]:
        return None
    if not np.array_equal(where, np.arange(where[0], where[0] + node.size)):
        return None
    return build.leaf("rows", index, int(where[0]) // shapes[index][1], size=node.size)


def _rewritten(recurrence: Recurrence, build: Builder) -> Recurrence:
    """Write a product of joined vectors with a matrix as the sum of each one's product with its rows of the matrix."""
    targets = [*recurrence.initial, *recurrence.step, recurrence.readout]
    place: dict[Node, Node] = {}
    for node in topological(targets):
        inputs = [place[i] for i in node.inputs]
        parts = _split_product(node, inputs, build)
        place[node] = parts if parts is not None else build.rebuild(node, inputs)
    return replace(
        recurrence,
        initial=tuple(place[n] for n in recurrence.initial),
        step=tuple(place[n] for n in recurrence.step),
        readout=place[recurrence.readout],
        origins={place[n]: origin for n, origin in recurrence.origins.items() if n in place},
    )


def _split_product(node: Node, inputs: list[Node], build: Builder) -> Node | None:
    if node.operation != "matmul" or inputs[0].operation != "join":
        return None
    m, _, n, transposed = node.attributes
    if m != 1 or transposed:
        return None
    total, start = None, 0
    for part, places in zip(inputs[0].inputs, inputs[0].attributes[0], strict=True):
        if not np.array_equal(indices_of(places), np.arange(start, start + part.size)):
            return None
        rows = build.take(inputs[1], np.arange(start * n, (start + part.size) * n))
        product = build.matmul(part, rows, m=1, k=part.size, n=n, transposed=False)
        total = product if total is None else build.add(total, product)
        start += part.size
    return total
