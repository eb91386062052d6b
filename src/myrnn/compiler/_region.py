"""Write one region of the program: its loops, products and calls, in the order of its schedule."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from myrnn.compiler._assign import Room, assign, late_sinks
from myrnn.compiler._calls import write_call
from myrnn.compiler._loops import write_loop
from myrnn.compiler._places import Sink
from myrnn.compiler._products import FirstStep, write_products
from myrnn.compiler._scope import Scope
from myrnn.compiler.graph import Node
from myrnn.compiler.schedule import Loop, schedule


@dataclass(frozen=True)
class Region:
    """A part of the program that runs as a whole.

    Attributes
    ----------
    scope : Scope
        What it is written with.
    room : Room
        Where what it keeps goes that has no place yet.
    first : FirstStep
        What it can leave out at step 0.
    """

    scope: Scope
    room: Room
    first: FirstStep

    def compute(self, sinks: Iterable[Sink], keep: Iterable[Node] = ()) -> None:
        """Write the computation of all nodes of the sinks and of `keep`, which stay in memory."""
        sinks, keep = list(sinks), list(keep)
        places = self.scope.places
        plan = schedule([*(s.node for s in sinks), *keep], set(places.known), {*keep, *self.room.lasting})
        late = late_sinks(places, plan, sinks)
        plan.kept.update(sink.node for sink in late)
        waiting = assign(self.scope, self.room, plan, sinks)
        for instruction in plan.instructions:
            if isinstance(instruction, Loop):
                computed = [n for n in instruction.nodes if n not in plan.linear]
                now = [s for s in waiting if s.node in computed and s not in late]
                waiting = [s for s in waiting if s not in now]
                write_loop(self.scope, plan, instruction, now)
            elif instruction.node in plan.linear:
                write_products(self.scope, instruction.node, plan.linear[instruction.node], self.first)
            else:
                write_call(self.scope, instruction.node)
        for size in dict.fromkeys(s.node.size for s in waiting):
            write_loop(self.scope, plan, Loop(size, ()), [s for s in waiting if s.node.size == size])
