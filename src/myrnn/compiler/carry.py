"""What a recurrence carries from one piece of a sequence to the next, and the recurrence that continues from that.

It reads the numbers of its stream by their offset in the row; see `streams`.
"""

from __future__ import annotations

from dataclasses import replace

from myrnn.compiler.graph import Node, leaves_of, substitutions, topological
from myrnn.compiler.leaves import LENGTH, CarriedNumbers, Length, LoopState, StepNumber, StepTable
from myrnn.compiler.loops import Recurrence
from myrnn.compiler.ops import select
from myrnn.compiler.streams import Carried
from myrnn.errors import CompileError


def carried_of(recurrence: Recurrence) -> Carried:
    """Return the values carried from one piece of a sequence to the next."""
    return Carried(recurrence.state_sizes)


def going_on(recurrence: Recurrence) -> Recurrence:
    """Return the recurrence that continues from a stream; raises CompileError when a step depends on more."""
    if (why := why_not_carried(recurrence)) is not None:
        raise CompileError(f"the states of the model cannot be carried from one piece of a sequence to the next: {why}")
    build, carried = recurrence.build, carried_of(recurrence)
    has_begun, before = (build.leaf(CarriedNumbers(at), 1) for at in (carried.begun, carried.steps))
    later = {n: n + before for n in topological(recurrence.nodes) if isinstance(n.leaf, StepNumber | Length)}

    def begins(node: Node, at: int, size: int) -> Node:
        state = build.leaf(CarriedNumbers(at), size)
        return state if node.is_zero else select(has_begun, state, node)

    moved = recurrence.placed(substitutions(build, recurrence.nodes, later))
    places = iter(zip(carried.places, carried.sizes, strict=True))
    loops = tuple(replace(loop, initial=tuple(begins(n, *next(places)) for n in loop.initial)) for loop in moved.loops)
    return replace(moved, loops=loops, carried=True)


def steps_so_far(recurrence: Recurrence) -> Node:
    """Return the number of steps of a stream at the end of a piece."""
    build = recurrence.build
    return build.given(LENGTH) + build.leaf(CarriedNumbers(carried_of(recurrence).steps), 1)


# Programs count the steps in float32.
MOST_STEPS = 2**24


def counts_steps(recurrence: Recurrence) -> bool:
    """Whether the model computes with the number of steps."""
    return any(isinstance(given, StepNumber | Length | StepTable) for given in recurrence.given)


def check_steps(recurrence: Recurrence, steps: int) -> None:
    """Refuse this many steps of a model that computes with their number; raises CompileError."""
    if steps > MOST_STEPS and counts_steps(recurrence):
        raise CompileError(
            f"the model computes with the number of steps, which is exact up to {MOST_STEPS:,}, but there are {steps:,}"
        )


def can_be_carried(recurrence: Recurrence) -> bool:
    """Whether the model can continue from its states."""
    return why_not_carried(recurrence) is None


def why_not_carried(recurrence: Recurrence) -> str | None:
    """Return why the model cannot continue from its states; None if it can."""
    why = None
    for loop, first in zip(recurrence.loops, recurrence.first_states, strict=True):
        read = leaves_of(LoopState, [*loop.initial, *loop.step, *loop.kept.values()])
        if loop.backward:
            why = "it goes over the sequence backward, too"
        elif any(state.number < first for state in read):
            why = "one of its loops needs the last states of another"
        elif loop.ahead and recurrence.tables:
            why = "a state is multiplied by what weights make of a number of the next step"
        elif loop.ahead:
            why = "its first step shows what weights make of a state, but not the state: begin with a state of zeros"
    reads_length = any(leaves_of(Length, [*loop.step, *loop.kept.values()]) for loop in recurrence.loops)
    if reads_length or any(table.backward for table in recurrence.tables):
        why = "its steps read how long the whole sequence is"
    return why
