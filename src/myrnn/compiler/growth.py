"""How the graphs of a model grow with the length of the sequence: those of loops grow by a step at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise

from myrnn.compiler.graph import Node, topological
from myrnn.compiler.leaves import INPUT, Row
from myrnn.compiler.record import Origin
from myrnn.compiler.trace import Trace
from myrnn.errors import CompileError, NotARecurrence

# Lengths that are compared. Steps that differ at first, or in turn, do not take more nodes from each step to the next.
SHORT, LONG = (5, 6, 7, 8, 9), (12, 13)
# Graphs whose steps grow by more than this from 9 to 13 are not those of loops; windows of up to 11 rows grow by less.
GROWTH = 1.25
# At these lengths the steps of wider windows do not grow any more.
FURTHER = (26, 27, 28)


def check_growth(traces: Mapping[int, Trace], trace_of: Callable[[int], Trace]) -> None:
    """Refuse a model whose steps each go through the whole sequence: the search for its loops would take long."""
    growth, (last,) = (_growth(traces[n] for n in lengths) for lengths in (SHORT, LONG))
    if all(a < b for a, b in pairwise(growth)) and 0 < GROWTH * growth[-1] < last and _grows_further(trace_of):
        short, long = (_lines(traces[n]) for n in (SHORT[-1], LONG[-1]))
        line = max(long, key=lambda line: long[line] - short[line] * LONG[-1] / SHORT[-1])
        raise NotARecurrence(
            "the work of a step grows with the sequence: each reads values of all steps, or of all before it, anew,\n"
            f"  as an attention within a loop does:\n  {line}\n"
            "  A step of a compiled model reads its row and a few values that the last step passes on. Attend once,\n"
            '  after the loop: softmax(h @ H.T) @ H; to the last few states; or train with engine="mygrad".'
        )


def _growth(traces: Iterable[Trace]) -> list[int]:
    """Return how many nodes that depend on rows each trace has more than the one before."""
    return [b - a for a, b in pairwise(len(of_rows(trace)) for trace in traces)]


def _grows_further(trace_of: Callable[[int], Trace]) -> bool:
    """Whether steps still grow after many; a model that does not read so many steps has no wide windows either."""
    try:
        one, other = _growth(map(trace_of, FURTHER))
    except CompileError:
        return True
    return one < other


def of_rows(trace: Trace, stop: Iterable[Node] = ()) -> dict[Node, set[int]]:
    """Return the nodes that depend on rows, and on which; nothing depends on a row through a node of `stop`."""
    found, ends = dict[Node, set[int]](), set(stop)
    for node in topological([trace.output]):
        if isinstance(node.leaf, Row) and node.leaf.of == INPUT:
            found[node] = {node.leaf.step}
        elif node not in ends and (read := [found[i] for i in node.inputs if i in found]):
            found[node] = set().union(*read)
    return found


def _lines(trace: Trace) -> Counter[Origin]:
    """Return how many nodes that depend on rows each line makes."""
    found = (trace.origins.get(node) for node in of_rows(trace))
    return Counter(Origin(origin.file, origin.line) for origin in found if origin is not None)
