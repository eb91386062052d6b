"""Find the steps of an unrolled recurrence, so that each becomes a column of the picture.

A recurrence does the same operation with the same other operands again and again, each time on what came out of the
time before, and the first time on something else: the initial state. So the operand by which `matmul(h, W)` reads the
state is known: among all products with that very `W` one stands upstream of another, and what they multiply is not the
same kind of thing every time (zeros at first, then a hidden state). Such operands are cut; the step of a node is the
number of cuts upstream of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

Slot = tuple[int, int]  # a node and the position of one of its operands
_CUT = -1
_ROUNDS = 8  # a state may only show after another one was cut; more than eight states in a chain stay uncut
_DEPTHS = (1, 2, 3)  # how far two operands are compared to tell the initial state from later ones


@dataclass(frozen=True)
class Vertex:
    """A node as far as its place in the recurrence goes.

    Attributes
    ----------
    role : hashable
        Equal for equal operations, for constants of one shape, and for one and the same parameter.
    inputs : tuple of int
        The operands, all earlier in the sequence; empty for a leaf.
    trained : bool
        Whether the vertex is a leaf that is not a constant.
    """

    role: Hashable
    inputs: tuple[int, ...]
    trained: bool = False


@dataclass(frozen=True)
class Steps:
    """The column of every vertex, the columns' headings, and the vertices that are states."""

    columns: tuple[int, ...]
    headings: tuple[str, ...]
    states: frozenset[int]


def find_steps(vertices: Sequence[Vertex]) -> Steps:
    """Give every vertex a column such that none reads an operation to its right; leaves stand where first read."""
    cut = _recurrent_slots(vertices)
    steps = _steps_of_states(vertices, cut)
    last = max((step for step in steps if step is not None), default=0)
    if last == 0:
        return Steps((0,) * len(vertices), ("",), frozenset())
    roles = _roles(vertices, cut, None)
    _move_readout(roles, steps, last)
    placed = _place_others(vertices, steps)
    used = sorted(set(placed))
    headings = tuple("before" if step < 0 else f"t = {step}" if step <= last else "readout" for step in used)
    column = {step: index for index, step in enumerate(used)}
    carried = (vertices[node].inputs[position] for node, position in cut)
    kinds = {roles[node] for node in carried if vertices[node].inputs}
    # By their role the states of the last step, which no step reads any more, are states too.
    states = frozenset(node for node, role in enumerate(roles) if role in kinds)
    return Steps(tuple(column[step] for step in placed), headings, states)


def _recurrent_slots(vertices: Sequence[Vertex]) -> set[Slot]:
    cut: set[Slot] = set()
    for _ in range(_ROUNDS):
        found: set[Slot] = set()
        for depth in _DEPTHS:
            found = _chained(vertices, _candidates(vertices, cut, depth))
            if found:
                break
        if not found:
            break
        cut |= found
    return cut


def _roles(vertices: Sequence[Vertex], cut: set[Slot], depth: int | None) -> list[int]:
    """Give equal numbers to vertices with the same upstream, `depth` operations far (all if None) or to a cut."""
    numbers: dict[Hashable, int] = {}

    def number(role: Hashable) -> int:
        return numbers.setdefault(role, len(numbers))

    if depth is None:
        roles: list[int] = []
        for node, vertex in enumerate(vertices):
            operands = tuple(_CUT if (node, p) in cut else roles[i] for p, i in enumerate(vertex.inputs))
            roles.append(number((vertex.role, operands)))
        return roles
    roles = [number(vertex.role if vertex.inputs else "leaf") for vertex in vertices]
    for _ in range(depth - 1):
        roles = [
            number((roles[node], tuple(_CUT if (node, p) in cut else roles[i] for p, i in enumerate(vertex.inputs))))
            for node, vertex in enumerate(vertices)
        ]
    return roles


def _candidates(vertices: Sequence[Vertex], cut: set[Slot], depth: int) -> list[list[Slot]]:
    """Group operands by operation and other operands; keep groups whose members are of different kinds."""
    roles, kinds = _roles(vertices, cut, None), _roles(vertices, cut, depth)
    anchored: list[bool] = []
    groups: dict[Hashable, list[Slot]] = defaultdict(list)
    for node, vertex in enumerate(vertices):
        anchors = [anchored[i] and (node, p) not in cut for p, i in enumerate(vertex.inputs)]
        anchored.append(vertex.trained or any(anchors))
        for position in range(len(vertex.inputs)):
            # Without a parameter beside it an operand says nothing: every tanh would be like every other.
            if (node, position) in cut or not any(a for p, a in enumerate(anchors) if p != position):
                continue
            beside = tuple(_CUT if (node, p) in cut else roles[i] for p, i in enumerate(vertex.inputs) if p != position)
            groups[vertex.role, position, beside].append((node, position))
    return [
        slots
        for slots in groups.values()
        if len({kinds[vertices[node].inputs[position]] for node, position in slots}) > 1
    ]


def _chained(vertices: Sequence[Vertex], candidates: list[list[Slot]]) -> set[Slot]:
    """Keep the groups in which one member stands upstream of another's operand; one pass, one bit a group."""
    if not candidates:
        return set()
    own: dict[int, int] = defaultdict(int)
    for bit, slots in enumerate(candidates):
        for node, _ in slots:
            own[node] |= 1 << bit
    upstream: list[int] = []
    for node, vertex in enumerate(vertices):
        mask = own.get(node, 0)
        for i in vertex.inputs:
            mask |= upstream[i]
        upstream.append(mask)
    return {
        slot
        for bit, slots in enumerate(candidates)
        if any(upstream[vertices[node].inputs[position]] >> bit & 1 for node, position in slots)
        for slot in slots
    }


def _steps_of_states(vertices: Sequence[Vertex], cut: set[Slot]) -> list[int | None]:
    """Count the cuts upstream of each vertex; None where no state is read at all."""
    steps: list[int | None] = []
    for node, vertex in enumerate(vertices):
        reached = []
        for position, i in enumerate(vertex.inputs):
            before = steps[i]
            if (node, position) in cut:
                reached.append(0 if before is None else before + 1)
            elif before is not None:
                reached.append(before)
        steps.append(max(reached) if reached else None)
    return steps


def _move_readout(roles: list[int], steps: list[int | None], last: int) -> None:
    """Move what only the last step has one column on: it is no part of the step."""
    seen = {roles[node] for node, step in enumerate(steps) if step is not None and step < last}
    for node, step in enumerate(steps):
        if step == last and roles[node] not in seen:
            steps[node] = last + 1


def _place_others(vertices: Sequence[Vertex], steps: list[int | None]) -> list[int]:
    """Put what reads no state into the one column that uses it, and in front of all steps when several do."""
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
