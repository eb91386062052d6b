"""Which values a loop may carry as states: what the model's own variables hold after a step, and the fewest numbers.

A trace has no variables, and many sets of values could be the states of its loop. In ``h = tanh(x_t @ w + h @ m @ n)``
the product ``h @ m`` has fewer numbers than ``h``. But the model computes it in the next step, from ``h`` and from the
weights of that step: a loop that goes on after the weights have changed must carry ``h``.

A sequence that ends after a step shows which values these are: the operations that it does not execute belong to later
steps. An `Execution` tells which operations of two traces are the same. Among the values that these are made of without
weights, a minimum cut has the fewest numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from math import inf

from myrnn.compiler.found import View
from myrnn.compiler.graph import Node, topological
from myrnn.compiler.leaves import Given, Parameter, Row
from myrnn.compiler.record import Execution, Origin


class Variables:
    """Knows which nodes of a loop the model computes up to a step, and which ones later."""

    def __init__(
        self, views: Mapping[int, View], order: Sequence[Node], inside: Sequence[Node], position: Mapping[Node, int]
    ) -> None:
        self._position = position
        learned, given = set[Node](), set[Node]()
        for node in order:
            if isinstance(node.leaf, Parameter) or not learned.isdisjoint(node.inputs):
                learned.add(node)
            read = [i for i in node.inputs if i in position]
            if isinstance(node.leaf, Row) and isinstance(node.leaf.of, Given):
                given.add(node)
            elif read and given.issuperset(read):
                given.add(node)
        weighted = (n for n in inside if any(i in learned and i not in position for i in n.inputs))
        # Given numbers are not carried from one piece of a sequence to the next.
        self.weighted = {n for n in weighted if n not in given}
        # What combines other values with what weights make of given numbers.
        self.given_weights = {n for n in inside if n not in given and not (given & learned).isdisjoint(n.inputs)}
        origins = {n: origin for length in sorted(views) for n, origin in views[length].origins.items()}
        self._views, self._runs = views, _runs_of(order, origins)
        # The last step of the longest sequence for which an operation computes something.
        self._last: dict[Execution, int] = {}
        for node in views[max(views)].nodes:
            for run in self._runs.get(node, ()) if node in position else ():
                self._last[run] = max(self._last.get(run, 0), position[node])
        self._end = max(self._last.values(), default=0)

    def later(self, step: int, shown: Mapping[Node, Node], runs: Set[Execution]) -> set[Node]:
        """Return which nodes the model computes after a step, given how a sequence that ends there shows them."""
        view = self._views[step + 1]
        ran = _runs_of(view.nodes, view.origins)
        # Several steps may compute the same, so how often is what counts.
        computed = Counter((node, run.site) for node, several in ran.items() for run in several)
        # The model does not use their results at the end.
        unread = runs - {run for several in ran.values() for run in several}

        def is_later(node: Node) -> bool:
            several = self._runs.get(node, ())
            # What is computed for all steps at once belongs to those that it lines up with, the last one at the end.
            lasts = (self._last.get(run, 0) for run in several)
            lag = max((self._end - last for last in lasts if last > step), default=0)
            wanted = Counter((shown[node], run.site) for run in several if run not in unread)
            # Far fewer than are computed, so they are looked up one by one.
            return self._position[node] + lag > step or any(computed[one] < often for one, often in wanted.items())

        return {n for n in shown if is_later(n)}


def _runs_of(order: Sequence[Node], origins: Mapping[Node, Origin]) -> dict[Node, tuple[Execution, ...]]:
    """Return the model's operations that computed each node; one without a line is a part of those of its readers."""
    found: dict[Node, dict[Execution, None]] = {}
    for node in reversed(order):
        runs = dict.fromkeys(origins[node].runs if node in origins else found.get(node, ()))
        found[node] = runs
        for i in node.inputs:
            if i not in origins:
                found.setdefault(i, {}).update(runs)
    return {node: tuple(runs) for node, runs in found.items()}


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
