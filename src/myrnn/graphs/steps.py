"""Find the steps of an unrolled recurrence, so that each becomes a column of the picture.

A recurrence reads the same weights repeatedly, each time on its own previous result: `matmul(h, W)` of one step is
computed from `matmul(h, W)` of the step before, but `matmul(x_t, V)` never from another `matmul(x_t, V)`. So the step
of a node is the number of times that weights such as W were read in sequence on the way to it.
"""

from __future__ import annotations

import functools
import operator
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

_STATE = -1


@dataclass(frozen=True)
class Vertex:
    """The part of a node that matters for its step."""

    role: Hashable  # equal for equal operations, for constants of one shape, and for the same parameter
    inputs: tuple[int, ...]  # the operands, all earlier in the sequence; empty for a leaf
    trained: bool = False  # whether the vertex is a leaf that is not a constant


@dataclass(frozen=True)
class StepColumns:
    """The column of every vertex, the columns' headings, and the vertices that are states."""

    columns: tuple[int, ...]
    headings: tuple[str, ...]
    states: frozenset[int]


def find_steps(vertices: Sequence[Vertex]) -> StepColumns:
    """Give every vertex a column such that none reads an operation to its right; leaves go to their first reader."""
    steps = _reads_in_a_row(vertices)
    last = max((step for step in steps if step is not None), default=0)
    if last == 0:
        return StepColumns((0,) * len(vertices), ("",), frozenset())
    roles = _roles(vertices, steps)
    carried = {roles[i] for node, vertex in enumerate(vertices) for i in vertex.inputs if _goes_on(steps, i, node)}
    # Operations that only the last step has belong to the readout, one column further.
    seen = {roles[node] for node, step in enumerate(steps) if step is not None and step < last}
    is_readout = [step == last and role not in seen for step, role in zip(steps, roles, strict=True)]
    placed = _place_others(vertices, [last + 1 if out else step for step, out in zip(steps, is_readout, strict=True)])
    used = sorted(set(placed))
    headings = tuple("before" if step < 0 else f"t = {step}" if step <= last else "readout" for step in used)
    column = {step: index for index, step in enumerate(used)}
    # By their role the states of the last step, which no step reads, are states too.
    states = frozenset(node for node, role in enumerate(roles) if role in carried)
    return StepColumns(tuple(column[step] for step in placed), headings, states)


def _reads_in_a_row(vertices: Sequence[Vertex]) -> list[int | None]:
    """Return the step of every vertex; None if no recurrent weight was read before it."""
    reads = _reads(vertices)
    # One bit for each: which of the weights read upstream are read once more?
    bits = {read: 1 << index for index, read in enumerate(dict.fromkeys(read for of_one in reads for read in of_one))}
    upstream: list[int] = []
    in_a_row = 0
    for vertex, of_one in zip(vertices, reads, strict=True):
        before, own = _union(upstream[i] for i in vertex.inputs), _union(bits[read] for read in of_one)
        in_a_row |= before & own
        upstream.append(before | own)
    column = {read: index for index, read in enumerate(read for read, bit in bits.items() if bit & in_a_row)}
    counts = np.zeros((len(vertices), len(column)), dtype=np.int32)
    for node, vertex in enumerate(vertices):
        for i in vertex.inputs:
            np.maximum(counts[node], counts[i], out=counts[node])
        counts[node, [column[read] for read in reads[node] if read in column]] += 1
    return [count - 1 if count else None for count in counts.max(axis=1, initial=0).tolist()]


def _reads(vertices: Sequence[Vertex]) -> list[list[Hashable]]:
    """Return the weight reads of each vertex, with operation and operand index, if other vertices have the same."""
    # Values computed from weights in the same way are equal: a weight, its transpose, the row of an input times a
    # weight.
    numbers: dict[Hashable, int] = {}
    roles: list[int] = []
    trained: list[bool] = []
    reads: list[list[Hashable]] = []
    for vertex in vertices:
        reads.append([(vertex.role, place, roles[i]) for place, i in enumerate(vertex.inputs) if trained[i]])
        key = (vertex.role, *(roles[i] for i in vertex.inputs))
        roles.append(numbers.setdefault(key, len(numbers)))
        trained.append(vertex.trained or any(trained[i] for i in vertex.inputs))
    count = Counter(read for of_one in reads for read in of_one)
    return [[read for read in of_one if count[read] > 1] for of_one in reads]


def _union(masks: Iterable[int]) -> int:
    return functools.reduce(operator.or_, masks, 0)


def _goes_on(steps: Sequence[int | None], source: int, reader: int) -> bool:
    """Whether a later step reads the source."""
    before, after = steps[source], steps[reader]
    return before is not None and after is not None and before < after


def _roles(vertices: Sequence[Vertex], steps: Sequence[int | None]) -> list[int]:
    """Give equal numbers to vertices that are computed in the same way from states, inputs and weights."""
    numbers: dict[Hashable, int] = {}
    roles = [_STATE] * len(vertices)
    states: set[Hashable] = set()

    def place(node: int, position: int) -> Hashable:
        others = tuple(roles[i] for p, i in enumerate(vertices[node].inputs) if p != position)
        return vertices[node].role, position, others

    # Visit the first step last: it reads the initial states instead of the states of a previous step.
    for node in sorted(range(len(vertices)), key=lambda node: (steps[node] is not None, steps[node] == 0, node)):
        operands = []
        for position, i in enumerate(vertices[node].inputs):
            is_state = _goes_on(steps, i, node)
            if is_state:
                states.add(place(node, position))
            elif steps[node] == 0 and steps[i] is None:
                is_state = place(node, position) in states
            operands.append(_STATE if is_state else roles[i])
        roles[node] = numbers.setdefault((vertices[node].role, *operands), len(numbers))
    return roles


def _place_others(vertices: Sequence[Vertex], steps: Sequence[int | None]) -> list[int]:
    """Put vertices that read no state into the one column that uses them, or before all steps if several do."""
    readers: list[set[int]] = [set() for _ in vertices]
    placed = [0] * len(vertices)
    for node in range(len(vertices) - 1, -1, -1):
        step = steps[node]
        if step is None:
            leaf = not vertices[node].inputs
            step = min(readers[node], default=0) if leaf or len(readers[node]) == 1 else -1
        placed[node] = step
        for i in vertices[node].inputs:
            readers[i].add(step)
    return placed
