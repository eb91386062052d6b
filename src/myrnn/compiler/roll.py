"""Stage 2: find the loop in traces of several lengths, and prove it by unrolling it again.

Two traces are walked side by side from their logits, one with some rows more in front. Where they part, the longer one
reads what those rows have left. What the steps after any number of rows read of these must come from the states. They
are a cut between what was needed before a row, with that row, and what is needed after it. Any such cut will do, so it
is the one that carries the fewest numbers (a minimum cut). The states before and after a row give the step, the last
ones and the logits the readout, and what the shorter trace has in their place the initial states.

The proof does not rest on any of this: unrolled again, the recurrence must be the very nodes that were traced, at every
length.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf

import numpy as np

from myrnn.compiler.graph import Builder, Node, substitute, topological
from myrnn.compiler.probe import ADVICE, Traces, difference_told, first_difference, lengths_for, tails, told, where
from myrnn.compiler.trace import Origin, Trace
from myrnn.errors import NotARecurrence

BEGIN = "  Begin with states that every step can read, such as np.zeros((1, D)).\n"

# A node of the shortest trace, where it has one in that place, and of the two longer ones.
Trio = tuple[Node | None, Node, Node]


class LooksFurtherBack(NotARecurrence):
    """Raised where a comparison of longer sequences may show the loop."""


@dataclass(frozen=True)
class Recurrence:
    """A model as a loop.

    Attributes
    ----------
    dim_input : int
        C.
    initial : tuple of Node
        The states before the first step: they read parameters and constants only.
    step : tuple of Node
        The states after a step: they read ``input``, ``state`` leaves, parameters and constants.
    readout : Node
        The logits: they read ``state`` leaves, the ``length``, parameters and constants.
    reverse : bool
        Whether the loop goes from the last element of the sequence to the first.
    origins : dict
        Node of `step` or `readout` -> where it stands in the user's code.
    parameter_names : tuple of str
    shapes : tuple of tuple
        Those of the parameters, in the model's order.
    """

    dim_input: int
    initial: tuple[Node, ...]
    step: tuple[Node, ...]
    readout: Node
    reverse: bool = False
    origins: dict[Node, Origin] = field(default_factory=dict, repr=False)
    parameter_names: tuple[str, ...] = ()
    shapes: tuple[tuple[int, ...], ...] = ()

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """How many numbers each state has."""
        return tuple(node.size for node in self.step)


def roll(traced: Traces) -> Recurrence:
    """Find the loop in traces, and prove it at all their lengths.

    Raises
    ------
    NotARecurrence
        When there is none; the message shows the user's line and what differs.
    """
    # In this table computations on constants are numbers.
    build, back = Builder(), traced.back
    traces = dict(sorted(traced.by_length.items()))
    if reverse := _goes_backwards(traces[2 * back + 1]):
        mirror = Builder(fold=False)
        traces = {length: rewritten(trace, mirror, mirrored=True) for length, trace in traces.items()}
    order = topological(trace.output for trace in traces.values())
    folded = dict(zip(order, substitute(build, order, {}), strict=True))
    found = _found(_Comparison(traces, folded, back), build, traced.dim_input)
    recurrence = replace(found, reverse=reverse, parameter_names=traced.parameter_names, shapes=traced.shapes)
    for length, trace in traces.items():
        unrolled = unroll(recurrence, length, build)
        if unrolled is not folded[trace.output]:
            origins = {folded[n]: origin for n, origin in trace.origins.items() if n in folded}
            told = difference_told(Trace(length, folded[trace.output], origins), Trace(length, unrolled, {}))
            raise NotARecurrence(
                f"on a sequence of {length} the model does something that its other steps do not.\n{told}{ADVICE}"
            )
    return recurrence


def unroll(recurrence: Recurrence, length: int, build: Builder) -> Node:
    """Return the logits of a sequence of `length` steps as one graph on its rows."""
    states = list(recurrence.initial)
    leaves = placeholders(build, recurrence.state_sizes)
    row = build.leaf("input", size=recurrence.dim_input)
    for t in range(length):
        known = dict(zip(leaves, states, strict=True))
        known[row] = build.leaf("row", t, size=recurrence.dim_input)
        states = substitute(build, recurrence.step, known)
    known = dict(zip(leaves, states, strict=True))
    known[build.leaf("length", size=1)] = build.constant(float(length))
    return substitute(build, [recurrence.readout], known)[0]


def rewritten(trace: Trace, build: Builder, *, mirrored: bool = False) -> Trace:
    """Return the trace in another table, with its rows numbered from the end where it is `mirrored`."""
    order = topological([trace.output])
    rows = [n for n in order if n.operation == "row"] if mirrored else []
    known = {n: build.leaf("row", trace.length - 1 - n.attributes[0], size=n.size) for n in rows}
    nodes = substitute(build, order, known)
    origins = {new: trace.origins[old] for old, new in zip(order, nodes, strict=True) if old in trace.origins}
    return Trace(trace.length, nodes[-1], origins)


def placeholders(build: Builder, sizes: tuple[int, ...]) -> list[Node]:
    """Return the leaves that stand for states of such sizes."""
    return [build.leaf("state", i, size=size) for i, size in enumerate(sizes)]


def _goes_backwards(trace: Trace) -> bool:
    """Whether the rows are read from the last to the first: what is read first lies farthest below the logits."""
    depth = {trace.output: 0}
    for node in reversed(topological([trace.output])):
        for i in node.inputs:
            depth[i] = max(depth.get(i, 0), depth[node] + 1)
    rows = {n.attributes[0]: depth[n] for n in depth if n.operation == "row"}
    if not rows:
        raise NotARecurrence(
            "the model's logits do not depend on the sequence: there is no loop to compile.\n" + ADVICE
        )
    middle = trace.length // 2
    if max(rows) < middle or min(rows) > middle:
        # Of a model that looks at a few rows only, these are the last ones.
        return max(rows) < middle
    return min(rows, key=lambda t: (rows[t], -t)) < max(rows, key=lambda t: (rows[t], -t))


# What is needed of the rows in front ---------------------------------------------------------------------------------


class _Comparison:
    """Walks the traces of n, n + `back` and n + `back` + 1 rows side by side, the further rows in front.

    Attributes
    ----------
    traces : mapping
        Length -> trace.
    folded : mapping
        Node -> the same with computations on constants done.
    rows : dict
        Node -> how many rows, from the first one on, it may depend on; 0 where it reads none.
    needed : dict
        Pairs of nodes, after `back` rows and after one more -> what the shortest traces have in their place. These are
        the values that the steps after those rows read.
    shown : dict
        The same for the values that are logits already.
    begun : set of Node
        What those after one more row are made of and the shortest traces have, too: it is known what it begins with.
    lowest : set of Node
        The values after `back` rows below which the traces have nothing in common.
    """

    def __init__(self, traces: Mapping[int, Trace], folded: Mapping[Node, Node], back: int) -> None:
        self.traces, self.folded, self.back = traces, folded, back
        self.needed: dict[tuple[Node, Node], list[Node]] = {}
        self.shown: dict[tuple[Node, Node], list[Node]] = {(traces[back].output, traces[back + 1].output): []}
        self.lowest: set[Node] = set()
        self.begun: set[Node] = set()
        self.rows: dict[Node, int] = {}
        self.oldest: dict[Node, float] = {}
        for node in topological(trace.output for trace in traces.values()):
            below = (self.rows[i] for i in node.inputs)
            self.rows[node] = node.attributes[0] + 1 if node.operation == "row" else max(below, default=0)
            first = (self.oldest[i] for i in node.inputs)
            self.oldest[node] = node.attributes[0] if node.operation == "row" else min(first, default=inf)
        for tail in tails(back):
            self._walk([traces[tail], traces[tail + back], traces[tail + back + 1]])
        self.lowest = {n for n in self.lowest if not self._follows(n, self.lowest - {n})}

    def _walk(self, trio: list[Trace]) -> None:
        """Note what the rows after those in front read of these."""
        rows, back = self.rows, self.back
        outputs = (trio[0].output, trio[1].output, trio[2].output)
        stack: list[tuple[Trio, Trio | None]] = [(outputs, None)]
        seen = set()
        while stack:
            nodes, readers = stack.pop()
            a, b, c = nodes
            is_first = readers is None or rows[readers[2]] > back + 1
            if (nodes, is_first) in seen or (b is c and a in (None, b) and not rows[c]):
                continue
            seen.add((nodes, is_first))
            alike = self.alike(nodes, trio)
            if 0 < rows[c] <= back + 1:
                if rows[b] > back or (a is not None and rows[a]):
                    raise _parted(nodes, readers, trio, self)
                if not rows[b]:
                    raise _looks_back(self, c)
                if a is not None:
                    self.begun.add(c)
                if is_first:
                    found = self.shown if readers is None else self.needed
                    found.setdefault((b, c), []).extend([] if a is None else [a])
                inputs = self._inputs(nodes) if alike and a is not None else []
                if inputs and all(x is y or rows[y] for x, y, _ in inputs):
                    stack.extend((below, nodes) for below in inputs)
                else:
                    self.lowest.add(b)
            elif alike:
                stack.extend((below, nodes) for below in self._inputs(nodes))
            elif a is not None and a.is_constant and rows[c] and self.alike((None, b, c), trio):
                # Where no rows are in front, NumPy did this arithmetic, or zero times something is zero.
                stack.append(((None, b, c), readers))
            elif a is not None and not rows[c] and not self._are_constant((b, c)):
                # A state that changes by itself, whatever the sequence is.
                self.needed.setdefault((b, c), []).append(a)
                self.lowest.add(b)
                self.begun.add(c)
            else:
                raise _parted(nodes, readers, trio, self)

    def _follows(self, node: Node, others: Collection[Node]) -> bool:
        """Whether a value can be computed of others, without the sequence."""
        below = topological([node], stop=others)
        return any(n in others for n in below) and all(n in others or n.operation != "row" for n in below)

    def one_step_before(self) -> dict[Node, Node]:
        """Return for the nodes that the needed values are made of what they were one step before."""
        before: dict[Node, Node] = {}
        traces = (self.traces[self.back], self.traces[self.back + 1])
        stack = [*self.needed, *self.shown]
        while stack:
            b, c = stack.pop()
            if c in before:
                continue
            before[c] = b
            if self.alike((b, c), traces):
                stack.extend(zip(b.inputs, c.inputs, strict=True))
        return before

    def alike(self, nodes: Sequence[Node | None], traces: Sequence[Trace]) -> bool:
        """Whether nodes are the same operation, the same row from the end, or the length of their sequences."""
        pairs = [(node, trace.length) for node, trace in zip(nodes, traces, strict=True) if node is not None]
        last, length = pairs[-1]
        if last.operation == "row":
            return all(n.operation == "row" and n.attributes[0] - at == last.attributes[0] - length for n, at in pairs)
        if self._are_constant(nodes):
            numbers = [self.folded[n].numbers for n, _ in pairs]
            lengths = (np.array([at], np.float32) for _, at in pairs)
            return len({n.tobytes() for n in numbers}) == 1 or all(map(np.array_equal, numbers, lengths))
        return len({n.size for n, _ in pairs[-2:]}) == 1 and all(
            n.operation == last.operation and n.attributes == last.attributes and len(n.inputs) == len(last.inputs)
            for n, _ in pairs
        )

    def _are_constant(self, nodes: Sequence[Node | None]) -> bool:
        return all(self.folded[n].is_constant for n in nodes if n is not None)

    def _inputs(self, nodes: Trio) -> list[Trio]:
        """Return the inputs of nodes that are alike, side by side."""
        if self._are_constant(nodes):
            return []
        a, b, c = nodes
        return list(zip([None] * len(b.inputs) if a is None else a.inputs, b.inputs, c.inputs, strict=True))


# The cut --------------------------------------------------------------------------------------------------------------


def _states(known: _Comparison, previous: Mapping[Node, Node], fixed: Collection[Node]) -> list[Node]:
    """Return the states after `back` rows and one more: the fewest numbers that carry all that is needed.

    First what the next steps need, then what the readout reads beside. Those of `fixed` are states in any case.
    """
    rows, back = known.rows, known.back
    output = known.traces[back + 1].output
    computed = set(topological([output]))
    row = {n for n in rows if n.operation == "row" and n.attributes[0] == back}
    sources = {*known.lowest, *row, *fixed}
    needed = [*(c for _, c in known.needed), *fixed]
    steps = set(_varying(needed, sources))
    begins = {c: _readout_begins(c, steps, rows) for _, c in known.shown}
    readout = [n for n in topological(begins, stop={*steps, *sources}) if n not in steps]
    mixed = {n for n in steps if known.oldest[n] < back < rows[n]} | steps & known.begun
    read = [i for n in readout for i in n.inputs if i in mixed]

    def cost(node: Node) -> float:
        # A row as it is, or what is made of it alone, is a state only where it was one from the beginning on: else the
        # loop would be a step late. Of cuts that are alike, one is taken that the last step computes in any case, of
        # what is new.
        late = node not in known.begun and known.oldest[node] == back
        odd = (node not in computed) + (rows[node] <= back)
        return 2.0**40 if late else node.size + odd / 2.0**20

    def states(read: Sequence[Node]) -> tuple[list[Node], list[Node]]:
        carried = _minimum_cut([*needed, *read], sources, cost)
        known_before = {*(previous[n] for n in carried if n in previous), *row, *fixed}
        allowed = steps | known_before | {n for c, n in begins.items() if n is not c}

        def cost_of_readout(node: Node) -> float:
            # What the readout makes of the states stays there.
            return 0.0 if node in carried else node.size if node in allowed else 2.0**40

        return carried, _minimum_cut(list(begins.values()), known_before, cost_of_readout)

    carried, beside = states(read)
    if set(beside) - set(carried):
        # The readout goes back to before the last step: it may do without what it reads after it.
        carried, beside = min((carried, beside), states([]), key=lambda s: sum(n.size for n in {*s[0], *s[1]}))
    order = topological([output, *carried, *beside])
    return sorted({*carried, *beside}, key=order.index)


def _readout_begins(output: Node, steps: Collection[Node], rows: Mapping[Node, int]) -> Node:
    """Return the value of which the logits are made by products with weights after the last step."""
    begins = node = output
    while len(varying := {i for i in node.inputs if rows[i]}) == 1:
        (below,) = varying
        if below in steps:
            return below
        begins, node = (below if node.operation == "matmul" else begins), below
    return begins


# A node's entry or exit, or where all ways begin or end.
Place = tuple[Node, str] | str


def _varying(targets: Iterable[Node], sources: Collection[Node]) -> list[Node]:
    """Return what the targets are made of, down to the sources and rows, without what depends on parameters alone."""
    found: dict[Node, None] = {}
    for node in topological(targets, stop=sources):
        if node in sources or node.operation == "row" or any(i in found for i in node.inputs):
            found[node] = None
    return list(found)


def _minimum_cut(sinks: Sequence[Node], sources: Collection[Node], cost: Callable[[Node], float]) -> list[Node]:
    """Return the cheapest nodes that every way from a source to a sink goes through, as near to the sinks as can be.

    By maximal flow along shortest paths (Edmonds and Karp, 1972); every node is an edge from its entry to its exit.
    """
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
    """Return all that can be reached, breadth first -> where from."""
    reached, queue = {start: start}, [start]
    for v in queue:
        for w in following(v):
            if w not in reached:
                reached[w] = v
                queue.append(w)
    return reached


# The parts of the loop ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Part:
    """A part of the loop with placeholders for what it reads, and the traced node behind each of its nodes."""

    nodes: tuple[Node, ...]
    source: dict[Node, Node]


def _found(known: _Comparison, build: Builder, dim_input: int) -> Recurrence:
    """Return the loop as far as the compared traces show it, unproved."""
    traces, back = known.traces, known.back
    previous = known.one_step_before()
    fixed: dict[Node, None] = {}
    while True:
        after = _states(known, previous, fixed)
        before = [previous[n] for n in after if n in previous]
        if len(set(before)) < len(after):
            raise _looks_back(known, after[-1])
        initial, further = _initial(known, build, before, after)
        if further is None or further in fixed:
            break
        fixed[further] = None
    longest = traces[max(lengths_for(back))]
    step = _part(build, after, before, longest, back)
    readout = _readout(build, traces, before, after, back)
    # What the two share, such as the states, has the name that it has in the step.
    origins = ChainMap(traces[back + 1].origins, traces[back].origins, longest.origins)
    named = {node: origins[n] for node, n in (readout.source | step.source).items() if n in origins}
    return Recurrence(dim_input, initial, step.nodes, readout.nodes[0], origins=named)


def _part(build: Builder, targets: Sequence[Node], states: Sequence[Node], trace: Trace, row: int | None) -> _Part:
    """Write the targets with placeholders for the states and for the row that they read."""
    known = dict(zip(states, placeholders(build, tuple(n.size for n in states)), strict=True))
    order = topological(targets, stop=known)
    for node in order:
        if node.operation == "row" and node not in known:
            if node.attributes[0] != row:
                reader = next((n for n in order if node in n.inputs), node)
                raise NotARecurrence(_reads_a_row(node, reader, trace, row))
            known[node] = build.leaf("input", size=node.size)
    written = dict(zip(order, substitute(build, order, known), strict=True))
    return _Part(tuple(written[n] for n in targets), {w: n for n, w in written.items()})


def _readout(
    build: Builder, traces: Mapping[int, Trace], before: Sequence[Node], after: Sequence[Node], back: int
) -> _Part:
    """Return the logits on the states; constants that equal the length at both lengths become the length."""
    first, second = traces[back], traces[back + 1]
    shorter, longer = (_part(build, [t.output], states, t, None) for t, states in ((first, before), (second, after)))
    if shorter.nodes == longer.nodes:
        return shorter
    length = build.leaf("length", size=1)
    order = list(shorter.source)
    general = substitute(build, order, {build.constant(float(back)): length})
    (other,) = substitute(build, longer.nodes, {build.constant(float(back + 1)): length})
    output = general[order.index(shorter.nodes[0])]
    if output is not other:
        here, there = first_difference(shorter.nodes[0], longer.nodes[0]) or (shorter.nodes[0], longer.nodes[0])
        raise NotARecurrence(
            f"the readout after {back} steps is not the same computation as after {back + 1}.\n"
            + _both(first, here, shorter.source.get(here), second, there, longer.source.get(there))
        )
    return _Part((output,), dict(zip(general, shorter.source.values(), strict=True)))


def _initial(
    known: _Comparison, build: Builder, before: Sequence[Node], after: Sequence[Node]
) -> tuple[tuple[Node, ...], Node | None]:
    """Return what the states are where no rows are in front, and a value that must be a state as well.

    The former by matching what is computed of the states. Where nothing shows it (the readout alone reads the state, or
    NumPy did the arithmetic) zeros will do if they give what was seen. A value is a state of its own if its start does
    not follow from theirs, or if it is one of them a step later.
    """
    leaves = placeholders(build, tuple(n.size for n in before))
    states = dict(zip(before, leaves, strict=True))
    pairs = [(b, c, a) for (b, c), several in {**known.shown, **known.needed}.items() for a in several]
    found: dict[Node, Node] = {}
    stack: list[tuple[Node, Node]] = [(b, a) for b, _, a in reversed(pairs)]
    seen = set()
    while stack:
        b, a = stack.pop()
        if (b, a) in seen:
            continue
        seen.add((b, a))
        if b in states:
            start = known.folded[a]
            if start.size < b.size:
                start = build.make("expand", start, size=b.size)
            found.setdefault(states[b], start)
        elif b.operation == a.operation and len(b.inputs) == len(a.inputs):
            stack.extend(reversed(list(zip(b.inputs, a.inputs, strict=True))))
    initial = tuple(found.get(leaf) or build.constant(np.zeros(leaf.size)) for leaf in leaves)
    starts = dict(zip(before, initial, strict=True))
    values = substitute(build, [b for b, _, _ in pairs], starts)
    for (b, c, a), value in zip(pairs, values, strict=True):
        start = known.folded[a]
        same = value is start or (
            value.is_constant and start.is_constant and bool(np.all(value.numbers == start.numbers))
        )
        if not same and b not in states:
            return initial, c
    row = {n for n in known.rows if n.operation == "row" and n.attributes[0] == known.back}
    later = {b: c for c, b in known.one_step_before().items()}
    for node in after:
        below = topological([node], stop={*before, *row})
        if any(n.operation == "row" and n not in row and n not in before for n in below) and node in later:
            return initial, later[node]
    return initial, None


# What errors show -----------------------------------------------------------------------------------------------------


def _both(trace: Trace, here: Node, reader: Node | None, other: Trace, there: Node, its: Node | None) -> str:
    """Return lines that show what is computed here, and what there."""
    one = where(trace, here if here in trace.origins else reader)
    two = where(other, there if there in other.origins else its)
    if one == two:
        return f"  {one}      <- {told(here)} here, {told(there)} there\n{ADVICE}"
    return f"  {one}      <- {told(here)} here\n  {two}      <- {told(there)} there\n{ADVICE}"


def _reads_a_row(row: Node, reader: Node, trace: Trace, step: int | None) -> str:
    when = "after the last step" if step is None else f"at step {step}"
    return (
        f"the model reads element {row.attributes[0]} of a sequence of {trace.length} {when}, and not so at every\n"
        f"  length.\n  {where(trace, reader)}\n{ADVICE}"
    )


def _looks_back(known: _Comparison, node: Node) -> LooksFurtherBack:
    """Return the refusal of a model of which more steps have to be known than are looked at."""
    return LooksFurtherBack(
        f"what the model carries on after {known.back} steps is not what it carries on after {known.back + 1}:\n"
        "  it looks back at more than its last states, or goes over the sequence in both directions.\n"
        f"  {where(max(known.traces.items())[1], node)}\n{ADVICE}"
    )


def _parted(nodes: Trio, readers: Trio | None, traces: Sequence[Trace], known: _Comparison) -> NotARecurrence:
    """Return the refusal of a model whose traces part where nothing is read that the rows in front have left."""
    a, b, c = nodes
    # The two longer traces differ, or the shortest from both.
    differ = a is None or not known.alike((None, b, c), traces)
    if b is c and known.rows[c]:
        row = next(n for n in reversed(topological([c])) if n.operation == "row")
        reader = next((n for n in topological([c]) if row in n.inputs), row)
        return NotARecurrence(_reads_a_row(row, reader, traces[2], known.rows[reader] - 1))
    if not differ and a is not None and known.rows[a] == 1:
        lines = _both(traces[0], a, readers and readers[0], traces[1], b, readers and readers[1])
        return NotARecurrence(f"step 0 of the model is not the same computation as the steps after it.\n{BEGIN}{lines}")
    if differ and b.operation == c.operation and b.operation != "row" and not c.is_leaf:
        return _looks_back(known, c)
    here, there = (2, 1) if differ else (0, 1)
    node, other = nodes[here], nodes[there]
    assert node is not None and other is not None
    reader, its = (readers[here] or node, readers[there] or other) if readers else (node, other)
    if node.operation == "row":
        return NotARecurrence(_reads_a_row(node, reader, traces[here], known.rows[reader] - 1))
    at = [known.rows[n if n.inputs else r] for n, r in ((node, reader), (other, its))]
    longest = max(known.traces.items())[1]
    if differ and (node if node.inputs else reader) not in topological([longest.output]):
        what = f"the readout after {traces[2].length} steps is not the same computation as after {traces[1].length}"
    else:
        what = f"step {at[0] - 1} of the model is not the same computation as step {at[1] - 1}"
    begin = BEGIN if at[0] == 1 else ""
    return NotARecurrence(f"{what}.\n{begin}{_both(traces[here], node, reader, traces[there], other, its)}")
