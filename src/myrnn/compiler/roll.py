"""Stage 2: find the loop in traces of several lengths, and prove it by unrolling it again.

Two traces are walked side by side from their logits, one with a row more in front. What their later steps read of the
rows in front must come from the states. These are a cut between the rows and what is read of them; any such cut will
do, so it is the one that carries the fewest numbers (a minimum cut). The states before and after a row give the step,
the last ones and the logits the readout. The traces of an empty and of short sequences show the initial states.

Finding may be wrong, because the proof does not rest on it: unrolled again, the recurrence must be the very nodes that
were traced, at every length.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import inf

import numpy as np

from myrnn.compiler.graph import Builder, Node, substitute, topological
from myrnn.compiler.probe import ADVICE, Traces, difference_told, first_difference, lengths_for, tails, told, where
from myrnn.compiler.trace import Origin, Trace
from myrnn.errors import NotARecurrence

BEGIN = "  Begin with states that every step can read, such as np.zeros((1, D)).\n"

# Two nodes in the same place of two traces.
Pair = tuple[Node, Node]


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
    known = _Comparison(traces, folded, back)

    def proved(lengths: Sequence[int]) -> Recurrence:
        found = _found(known, build, traced.dim_input, lengths)
        for length in lengths:
            _prove(found, traces[length], folded)
        return replace(found, reverse=reverse, parameter_names=traced.parameter_names, shapes=traced.shapes)

    if 0 in traces:
        # An empty sequence shows where all states begin, but a model may do something else altogether with it.
        with suppress(NotARecurrence):
            return proved(list(traces))
    return proved([length for length in traces if length])


def _prove(recurrence: Recurrence, trace: Trace, folded: Mapping[Node, Node]) -> None:
    """See that the recurrence, unrolled, is the very graph that was traced."""
    unrolled = unroll(recurrence, trace.length, recurrence.readout.build)
    if unrolled is not folded[trace.output]:
        origins = {folded[n]: origin for n, origin in trace.origins.items() if n in folded}
        told = difference_told(Trace(trace.length, folded[trace.output], origins), Trace(trace.length, unrolled, {}))
        raise NotARecurrence(
            f"on a sequence of {trace.length} the model does something that its other steps do not.\n{told}{ADVICE}"
        )


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
    """Walks the traces of n + `back` and n + `back` + 1 rows side by side, the further row in front."""

    def __init__(self, traces: Mapping[int, Trace], folded: Mapping[Node, Node], back: int) -> None:
        self.traces, self.back = traces, back
        # The same nodes with computations on constants done.
        self.folded = folded
        # How many rows, from the first one on, a node may depend on; 0 where it reads none.
        self.rows: dict[Node, int] = {}
        # What is made of a single row.
        self.of_one_row: set[Node] = set()
        # The values after `back` + 1 rows that the steps after those read.
        self.needed: dict[Node, None] = {}
        # What the needed values, and those that they are made of, were one step before.
        self.before: dict[Node, Node] = {}
        # What states that read no row were one step before.
        self.changing: set[Node] = set()
        for node in topological(trace.output for trace in traces.values()):
            read = [i for i in node.inputs if self.rows[i]]
            rows = {self.rows[i] for i in read}
            self.rows[node] = node.attributes[0] + 1 if node.operation == "row" else max(rows, default=0)
            if node.operation == "row" or (len(rows) == 1 and self.of_one_row.issuperset(read)):
                self.of_one_row.add(node)
        for tail in tails(back):
            self._walk((traces[tail + back], traces[tail + back + 1]))
        self._go_down((traces[back].output, traces[back + 1].output), (traces[back], traces[back + 1]))
        below_each = {n: set(topological(n.inputs)) for n in self.changing}
        self.changing = {n for n in self.changing if not below_each[n] & self.changing}

    def _walk(self, pair: tuple[Trace, Trace]) -> None:
        """Note what the rows after those in front read of these."""
        rows, back = self.rows, self.back
        stack: list[tuple[Pair, Pair | None]] = [((pair[0].output, pair[1].output), None)]
        seen = set()
        while stack:
            nodes, readers = stack.pop()
            b, c = nodes
            if nodes in seen or (b is c and not rows[c]):
                continue
            seen.add(nodes)
            if 0 < rows[c] <= back + 1:
                if rows[b] > back:
                    raise _parted(nodes, readers, pair, self)
                if not rows[b]:
                    raise _looks_back(self, c)
                self.needed[c] = None
                self._go_down(nodes, pair)
            elif not rows[c] and b in topological([c]) and not b.is_constant:
                # A state that changes by itself, whatever the sequence is.
                self.needed[c] = None
                self.before[c] = b
                self.changing.add(b)
            elif self.alike(nodes, pair):
                stack.extend((below, nodes) for below in self.inputs(nodes))
            else:
                raise _parted(nodes, readers, pair, self)

    def _go_down(self, nodes: Pair, pair: tuple[Trace, Trace]) -> None:
        """Note what values, and what they are made of, were one step before."""
        stack = [nodes]
        while stack:
            b, c = stack.pop()
            if c in self.before:
                continue
            self.before[c] = b
            if self.alike((b, c), pair):
                stack.extend(self.inputs((b, c)))

    def alike(self, nodes: Pair, traces: Sequence[Trace]) -> bool:
        """Whether nodes are the same operation, the same row from the end, or the length of their sequences."""
        (one, at), (other, length) = ((node, trace.length) for node, trace in zip(nodes, traces, strict=True))
        if "row" in (one.operation, other.operation):
            return one.operation == other.operation and one.attributes[0] - at == other.attributes[0] - length
        if self._are_constant(nodes):
            numbers = [self.folded[n].numbers for n in nodes]
            lengths = (np.array([n], np.float32) for n in (at, length))
            return len({n.tobytes() for n in numbers}) == 1 or all(map(np.array_equal, numbers, lengths))
        return one.size == other.size and (one.operation, one.attributes, len(one.inputs)) == (
            other.operation,
            other.attributes,
            len(other.inputs),
        )

    def _are_constant(self, nodes: Pair) -> bool:
        return all(self.folded[n].is_constant for n in nodes)

    def inputs(self, nodes: Pair) -> list[Pair]:
        """Return the inputs of nodes that are alike, side by side."""
        return [] if self._are_constant(nodes) else list(zip(nodes[0].inputs, nodes[1].inputs, strict=True))


# The cut --------------------------------------------------------------------------------------------------------------


def _states(known: _Comparison, fixed: Collection[Node]) -> list[Node]:
    """Return the states after `back` rows and one more: the fewest numbers that carry all that is needed.

    That is what the next steps read, and what the readout reads of the values that those are made of. Nodes of `fixed`
    are states in any case.
    """
    rows, back, output = known.rows, known.back, known.traces[known.back + 1].output
    computed = set(topological([output]))

    def cost(node: Node) -> float:
        # What is made of a single row is a state only where nothing else will do: else the loop would be a step late.
        # Of cuts that are alike, take the one that the last step computes in any case, of what is new.
        late, odd = node in known.of_one_row, (node not in computed) + (rows[node] <= back)
        return 2.0**20 * late + node.size + odd / 2.0**10

    steps = set(_varying([*known.needed, *fixed], known.changing))
    read = [n for n in topological([output], stop=steps) if n in steps and n not in known.of_one_row]
    carried = _minimum_cut([*known.needed, *fixed, *read], {*known.changing, *fixed}, cost)
    # The readout may also read what the last step read: the states before it, and its row.
    ends = {*carried, *(known.before[n] for n in carried if n in known.before)}
    ends |= {n for n in rows if n.operation == "row" and n.attributes[0] == back}
    beside = [n for n in topological([output], stop=ends) if n in ends]
    order = topological([output, *carried])
    return sorted({*carried, *beside}, key=order.index)


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


def _found(known: _Comparison, build: Builder, dim_input: int, lengths: Sequence[int]) -> Recurrence:
    """Return the loop as far as the compared traces show it, unproved."""
    traces, back = known.traces, known.back
    fixed: dict[Node, None] = {}
    while True:
        after = _states(known, fixed)
        before = [known.before[n] for n in after if n in known.before]
        if len(set(before)) < len(after):
            raise _looks_back(known, after[-1])
        initial, further = _initial(known, build, before, lengths)
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
    known: _Comparison, build: Builder, before: Sequence[Node], lengths: Sequence[int]
) -> tuple[tuple[Node, ...], Node | None]:
    """Return the states before the first step, and a value that must be a state as well: its start does not follow.

    The trace of a short sequence is held against one of `back` rows more, in which `before` are the states after these
    rows. Where nothing shows a state (NumPy did the arithmetic, or the readout of longer sequences alone reads it),
    it begins with zeros.
    """
    found: dict[Node, Node] = {}
    starts: list[Pair] = []
    for length in (n for n in (0, *tails(known.back)) if n in lengths):
        pair = (known.traces[length + known.back], known.traces[length])
        # From the logits down: what is read as it is shows a state better than what is computed of it.
        queue: list[tuple[Pair, Pair]] = [((pair[0].output, pair[1].output),) * 2]
        seen = set()
        for nodes, readers in queue:
            b, a = nodes
            if nodes in seen:
                continue
            seen.add(nodes)
            if b in before:
                if known.rows[a]:
                    row = next(n for n in topological([a]) if n.operation == "row")
                    raise NotARecurrence(_reads_a_row(row, readers[1], pair[1], 0))
                start = known.folded[a]
                found.setdefault(b, start if start.size == b.size else build.make("expand", start, size=b.size))
                continue
            # The logits are no state: a model may do something else altogether with an empty sequence.
            if known.rows[b] <= known.back and b is not pair[0].output:
                starts.append(nodes)
            if known.alike(nodes, pair):
                queue.extend((inputs, nodes) for inputs in known.inputs(nodes))
            elif known.rows[b] > known.back and not known.folded[a].is_constant:
                raise NotARecurrence(
                    f"step 0 of the model is not the same computation as the steps after it.\n{BEGIN}"
                    + _both(pair[1], a, readers[1], pair[0], b, readers[0])
                )
    initial = tuple(found.get(b) or build.constant(np.zeros(b.size)) for b in before)
    after = {b: c for c, b in known.before.items()}
    values = substitute(build, [b for b, _ in starts], dict(zip(before, initial, strict=True)))
    for (b, a), value in reversed(list(zip(starts, values, strict=True))):
        start = known.folded[a]
        same = value is start or (value.is_constant and start.is_constant and np.all(value.numbers == start.numbers))
        if not same and b in after:
            return initial, after[b]
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


def _parted(nodes: Pair, readers: Pair | None, traces: Sequence[Trace], known: _Comparison) -> NotARecurrence:
    """Return the refusal of a model whose traces part where nothing is read that the rows in front have left."""
    b, c = nodes
    if b is c:
        row = next(n for n in reversed(topological([c])) if n.operation == "row")
        reader = next((n for n in topological([c]) if row in n.inputs), row)
        return NotARecurrence(_reads_a_row(row, reader, traces[1], known.rows[reader] - 1))
    if b.operation == c.operation and b.operation != "row" and not c.is_leaf:
        return _looks_back(known, c)
    its, reader = readers or nodes
    if c.operation == "row":
        return NotARecurrence(_reads_a_row(c, reader, traces[1], known.rows[reader] - 1))
    at = [known.rows[n if n.inputs else r] for n, r in ((c, reader), (b, its))]
    longest = max(known.traces.items())[1]
    if (c if c.inputs else reader) not in topological([longest.output]):
        what = f"the readout after {traces[1].length} steps is not the same computation as after {traces[0].length}"
    else:
        what = f"step {at[0] - 1} of the model is not the same computation as step {at[1] - 1}"
    begin = BEGIN if at[0] == 1 else ""
    return NotARecurrence(f"{what}.\n{begin}{_both(traces[1], c, reader, traces[0], b, its)}")
