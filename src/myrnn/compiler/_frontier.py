"""Where to cut traces into steps: three ways to tell what the states after so many steps are."""

from __future__ import annotations

from collections.abc import Callable

from myrnn.compiler.graph import Node, reads_rows, topological
from myrnn.compiler.trace import Trace

Cut = Callable[[dict[int, Trace], int], list[Node]]


def handed_on(traces: dict[int, Trace], steps: int) -> list[Node]:
    """Return what the longest trace takes over from that of `steps` steps, in the order in which that one reads it.

    Against the longest, because a state may wait for some steps before it is used. What only the readout of the shorter
    one reads belongs to it too: the last state as it was before the next step uses a function of it, or the last row
    itself.
    """
    shorter, longer = (topological([traces[n].output]) for n in (steps, max(traces)))
    shared = set(shorter) & set(longer)
    taken = {i for node in longer if node not in shared for i in node.inputs if i in shared}
    read_out = {i for node in shorter if node not in shared for i in node.inputs}
    taken |= {i for i in read_out if i in shared or i.operation == "row"}
    taken |= {longer[-1]} & shared
    # A row that the new step reads is its input, not a state, unless the shorter trace had it already.
    return [node for node in shorter if node in taken and (not node.is_leaf or node.operation == "row")]


def between_rows(traces: dict[int, Trace], steps: int) -> list[Node]:
    """Return what later steps read of the first `steps` rows, what they read of one row less, and the row between.

    That is for models of which the last step does not compute all states: what only the step after it would read is
    not in its trace. Their readout is written on the states before the last step and on the last row.
    """
    before, after = (_read_later(traces, n) for n in (steps - 1, steps))
    rows = (n for n in topological([traces[steps].output]) if n.operation == "row")
    return list(dict.fromkeys([*after, *before, *(n for n in rows if n.attributes[0] == steps - 1)]))


def shared_between_rows(traces: dict[int, Trace], steps: int) -> list[Node]:
    """Return the same, but what several read in the place of what each makes of it.

    That is for states that are updated together and of which the readout reads only what it was handed: the state
    itself, and not its product with a weight of the next step, is what it shares with that step.
    """
    readers: dict[Node, set[Node]] = {}
    for trace in (traces[steps], traces[steps + 1], traces[max(traces)]):
        for node in topological([trace.output]):
            for child in node.inputs:
                readers.setdefault(child, set()).add(node)
    return list(dict.fromkeys(_shared_below(node, readers) for node in between_rows(traces, steps)))


def _shared_below(node: Node, readers: dict[Node, set[Node]]) -> Node:
    """Return the first node with several readers that this one is made of alone, but for weights; or itself."""
    below = node
    while len(varying := {i for i in below.inputs if reads_rows(i)}) == 1:
        (below,) = varying
        if len(readers[below]) > 1:
            return below
    return node


def _read_later(traces: dict[int, Trace], steps: int) -> list[Node]:
    """Return what is computed of the first `steps` rows alone, and read by what depends on others too."""
    found: dict[Node, None] = {}
    for trace in (traces[steps + 1], traces[max(traces)]):
        last: dict[Node, int] = {}
        for node in topological([trace.output]):
            below = node.attributes if node.operation == "row" else [last[i] for i in node.inputs]
            last[node] = max(below, default=-1)
            if last[node] >= steps:
                found |= {i: None for i in node.inputs if 0 <= last[i] < steps}
    return [node for node in found if not _follows(node, set(found) - {node})]


def _follows(node: Node, others: set[Node]) -> bool:
    """Whether a node can be computed of others alone, without the sequence."""
    return all(n in others or n.operation != "row" for n in topological([node], stop=others))
