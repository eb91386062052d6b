"""Which place each node of a region gets: one of its own, or at once that of its sink."""

from __future__ import annotations

from dataclasses import dataclass

from myrnn.compiler._memory import Place
from myrnn.compiler._places import Places, Sink
from myrnn.compiler._scope import Scope
from myrnn.compiler.graph import Node
from myrnn.compiler.schedule import Loop, Schedule


@dataclass(frozen=True)
class Room:
    """How much room the new buffers of a region have.

    Attributes
    ----------
    rows : str
        How many rows, in the words of `Memory`.
    lasting : frozenset of Node
        Nodes of which every step's value is kept.
    row : str
        The variable that counts the rows of their buffers.
    """

    rows: str = "one"
    lasting: frozenset[Node] = frozenset()
    row: str = ""

    def buffer(self, scope: Scope, node: Node) -> Place:
        """Return a new place for a node."""
        name, memory = scope.words.label(node), scope.places.memory
        if node in self.lasting:
            return memory.buffer(name, node.size, "steps", self.row)
        return memory.buffer(name, node.size, self.rows)


def late_sinks(places: Places, plan: Schedule, sinks: list[Sink]) -> list[Sink]:
    """Return the sinks that must wait until the end, because they overwrite what is read until then."""
    loops = [(i, set(ins.nodes)) for i, ins in enumerate(plan.instructions) if isinstance(ins, Loop)]
    return [
        sink for sink in sinks for i, nodes in loops if sink.node in nodes and _read_later(places, plan, i, sink, sinks)
    ]


def assign(scope: Scope, room: Room, plan: Schedule, sinks: list[Sink]) -> list[Sink]:
    """Give a place to every node that needs one, and return the sinks that are left: those that are no node's place."""
    left = list(sinks)
    known = scope.places.known
    for i, instruction in enumerate(plan.instructions):
        for node in instruction.nodes if isinstance(instruction, Loop) else (instruction.node,):
            if node not in plan.kept or node in known:
                continue
            sink = next((s for s in left if s.node is node and not s.add), None)
            if sink is not None and node not in room.lasting and _may_write(scope.places, plan, i, sink, left):
                known[node] = sink.place
                left.remove(sink)
            elif not scope.places.is_slice(node) or (node in room.lasting and _lasts_itself(scope.places, node, sink)):
                known[node] = room.buffer(scope, node)
    return left


def _lasts_itself(places: Places, node: Node, sink: Sink | None) -> bool:
    """Whether a slice that lasts is a slice of what does not, or is written elsewhere besides."""
    return sink is not None or not places.of(node.inputs[0]).step


def _may_write(places: Places, plan: Schedule, index: int, sink: Sink, sinks: list[Sink]) -> bool:
    """Whether the node of instruction `index` may be computed in the place of its sink."""
    linear = plan.linear.get(sink.node)
    if linear is not None:
        vectors = [places.known.get(p.inputs[0]) for p in linear.products]
        if sink.place.step == "after" or any(v is not None and v.at == sink.place.at for v in vectors):
            return False
    return not _read_later(places, plan, index, sink, sinks)


def _read_later(places: Places, plan: Schedule, index: int, sink: Sink, sinks: list[Sink]) -> bool:
    """Whether anything after an instruction still reads what the sink would overwrite, or a call at that moment."""
    over = places.sharing(sink.place)
    if sink.add or not over:
        return False
    # A loop reads each lane before it writes it; a call reads one number after others are written.
    begin = index + isinstance(plan.instructions[index], Loop)
    later = {i for ins in plan.instructions[begin:] for i in plan.reads_of(ins)}
    later |= {s.node for s in sinks if s is not sink}
    return bool(over & later)
