"""The fewest numbers that everything later is made of: a minimum cut of a graph of nodes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from math import inf

from myrnn.compiler.graph import Node, topological
from myrnn.compiler.leaves import Row

# A node's entry or exit, or the common source or sink.
Place = tuple[Node, str] | str


def _varying(targets: Iterable[Node], sources: Collection[Node]) -> list[Node]:
    """Return what the targets are made of, down to the sources and rows, without nodes of parameters only."""
    found: dict[Node, None] = {}
    for node in topological(targets, stop=sources):
        if node in sources or isinstance(node.leaf, Row) or any(i in found for i in node.inputs):
            found[node] = None
    return list(found)


def minimum_cut(sinks: Sequence[Node], sources: Collection[Node], cost: Callable[[Node], float]) -> list[Node]:
    """Return the cheapest nodes that cut all paths from sources to sinks, as close to the sinks as possible."""
    # By maximal flow along shortest paths (Edmonds and Karp, 1972); every node is an edge from its entry to its exit.
    inside = _varying(sinks, sources)
    room: dict[Place, dict[Place, float]] = {"begin": {}, "end": {}}
    for n in inside:
        room[n, "in"], room[n, "out"] = {}, {}
    for n in inside:
        ways = (
            [("begin", (n, "in"))]
            if n in sources or n.is_leaf
            else [((i, "out"), (n, "in")) for i in n.inputs if (i, "in") in room]
        )
        for way in ways:
            room[way[0]][way[1]] = inf
        room[n, "in"][n, "out"] = cost(n)
    for n in sinks:
        if (n, "out") in room:
            room[n, "out"]["end"] = inf
    for origin in list(room):
        for target in list(room[origin]):
            room[target].setdefault(origin, 0.0)
    while True:
        reached = _reached("begin", lambda v: (w for w, left in room[v].items() if left > 0))
        if "end" not in reached:
            break
        path: list[tuple[Place, Place]] = [(reached["end"], "end")]
        while path[-1][0] != "begin":
            path.append((reached[path[-1][0]], path[-1][0]))
        flow = min(room[v][w] for v, w in path)
        for v, w in path:
            room[v][w] -= flow
            room[w][v] += flow
    open_to_end = _reached("end", lambda v: (w for w in room[v] if room[w][v] > 0))
    return [n for n in inside if (n, "out") in open_to_end and (n, "in") not in open_to_end]


def _reached(start: Place, following: Callable[[Place], Iterable[Place]]) -> dict[Place, Place]:
    """Return everything reachable, by breadth-first search -> its predecessor."""
    reached, queue = {start: start}, [start]
    for v in queue:
        for w in following(v):
            if w not in reached:
                reached[w] = v
                queue.append(w)
    return reached
