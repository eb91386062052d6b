"""Steps that differ in turn, such as every second one: the number of kinds, and one step for all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from myrnn.compiler import ops
from myrnn.compiler.graph import Node, topological
from myrnn.compiler.leaves import StepNumber
from myrnn.compiler.steps import Kinds, chosen, steps_of
from myrnn.compiler.trace import Trace

# The most kinds of steps.
MOST_KINDS = 4


def period_of(trace: Trace, middle: int) -> int:
    """Return the number of steps after which a trace repeats the same computation around its middle, 1 if at once."""
    order = topological([trace.output])
    for backward in (False, True):
        kinds = _by_step(order, trace.length, backward)
        window = range(middle - 1, middle + MOST_KINDS + 1)
        for period in range(1, MOST_KINDS + 1):
            if all(kinds.get(t) == kinds.get(t + period) for t in window):
                if period > 1:
                    return period
                break
    return 1


def _by_step(order: Sequence[Node], length: int, backward: bool) -> dict[int, Counter[int]]:
    """Return how many nodes of each kind every step has."""
    step = steps_of(order, length if backward else None)
    kind = Kinds().of([n for n in order if n in step], step)
    found: dict[int, Counter[int]] = {}
    for node, t in step.items():
        found.setdefault(t, Counter())[kind[node]] += 1
    return found


def in_turn(steps: Sequence[tuple[Node, ...]], first: int, backward: bool) -> tuple[Node, ...]:
    """Return a step that selects one of several in turn, the first of which is that of step `first`."""
    period, build = float(len(steps)), steps[0][0].build
    time = build.given(StepNumber(backward))
    turn = time - period * ops.floor(time / period)
    made = []
    for several in zip(*steps, strict=True):
        ((most, _),) = Counter(several).most_common(1)
        others = {i % len(steps): node for i, node in enumerate(several, first) if node is not most}
        made.append(chosen(turn, others, most))
    return tuple(made)
