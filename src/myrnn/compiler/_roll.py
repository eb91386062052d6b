"""Stage 2: find the loop in traces of several lengths, and prove it by unrolling it again.

All traces share one table of nodes. What the traces of T and of T + 1 steps have in common and the longer one goes on
to use are the states after T steps: its *frontier*. Between two frontiers lies the step, from the last one to the
logits the readout. Matching the step backwards from a frontier gives the initial states. The proof does not rest on
any of this: unrolled again, the recurrence must be the very nodes that were traced, at every length.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from myrnn.compiler._graph import Builder, Node, substitute, topological
from myrnn.compiler._record import Origin
from myrnn.compiler._trace import Trace
from myrnn.errors import NotARecurrence

ADVICE = (
    "  A compiled model runs the same equations at every step. "
    'Feed what differs as an input, or train with engine="mygrad".'
)


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
    """

    dim_input: int
    initial: tuple[Node, ...]
    step: tuple[Node, ...]
    readout: Node
    reverse: bool = False
    origins: dict[Node, Origin] = field(default_factory=dict, repr=False)

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """How many numbers each state has."""
        return tuple(node.size for node in self.step)


@dataclass(frozen=True)
class _Template:
    """A part of the loop with placeholders for what it reads, and the traced node behind each of its nodes."""

    nodes: tuple[Node, ...]
    source: dict[Node, Node]


def roll(traces: dict[int, Trace], build: Builder, dim_input: int) -> Recurrence:
    """Find the loop in traces of the lengths k, k + 1, k + 2, k + 3 for some k, and prove it at all lengths given.

    It may go along the sequence, or from its end to its beginning.

    Raises
    ------
    NotARecurrence
        When there is none; the message shows the user's line and what differs.
    """
    try:
        return _rolled(traces, build, dim_input, reverse=False)
    except NotARecurrence as error:
        mirrored = {length: _mirrored(trace, build) for length, trace in traces.items()}
        try:
            return _rolled(mirrored, build, dim_input, reverse=True)
        except NotARecurrence:
            raise error from None


def _rolled(traces: dict[int, Trace], build: Builder, dim_input: int, reverse: bool) -> Recurrence:
    k = next(n for n in sorted(traces) if all(n + i in traces for i in range(4)) and n >= 3)
    # Against the longest, because a state may wait for some steps before it is used.
    first, second, third = (_frontier(traces[n], traces[max(traces)]) for n in (k, k + 1, k + 2))
    invariant = set(first) & set(third) - {n for n in first if _reads_rows(n)}
    first, second, third = ([n for n in f if n not in invariant] for f in (first, second, third))
    _same_count(traces, k, first, second)
    step = _template(build, second, first, k, invariant, traces[k + 1])
    again = _template(build, third, second, k + 1, invariant, traces[k + 2])
    _same(again, step, traces[k + 2], traces[k + 1], f"step {k + 1} of the model", f"step {k}")
    readout = _readout(build, traces, k, first, second)
    initial = _initial(build, step.nodes, readout.nodes[0], first, k, traces)
    origins = {node: traces[k].origins[n] for node, n in readout.source.items() if n in traces[k].origins}
    # What the two share, such as the states, has the name that it has in the step.
    origins |= {node: traces[k + 1].origins[n] for node, n in step.source.items() if n in traces[k + 1].origins}
    recurrence = Recurrence(dim_input, tuple(initial), step.nodes, readout.nodes[0], reverse, origins)
    for length in sorted(traces):
        _prove(recurrence, traces[length], build)
    return recurrence


def unroll(recurrence: Recurrence, length: int, build: Builder) -> Node:
    """Return the logits of a sequence of `length` steps as one graph on its rows."""
    states = list(recurrence.initial)
    placeholders = _placeholders(build, recurrence.state_sizes)
    row = build.leaf("input", size=recurrence.dim_input)
    for t in range(length):
        known = dict(zip(placeholders, states, strict=True))
        known[row] = build.leaf("row", t, size=recurrence.dim_input)
        states = substitute(build, recurrence.step, known)
    known = dict(zip(placeholders, states, strict=True))
    known[build.leaf("length", size=1)] = build.constant(float(length))
    return substitute(build, [recurrence.readout], known)[0]


# Which way the loop goes ---------------------------------------------------------------------------------------------


def in_its_order(recurrence: Recurrence, trace: Trace, build: Builder) -> Trace:
    """Return the trace with its rows numbered in the order in which the loop reads them."""
    return _mirrored(trace, build) if recurrence.reverse else trace


def _mirrored(trace: Trace, build: Builder) -> Trace:
    """Return the trace with the rows numbered from the end."""
    order = topological([trace.output])
    known = {
        n: build.leaf("row", trace.length - 1 - n.attributes[0], size=n.size) for n in order if n.operation == "row"
    }
    mirrored = substitute(build, order, known)
    origins = {new: trace.origins[old] for old, new in zip(order, mirrored, strict=True) if old in trace.origins}
    return Trace(trace.length, mirrored[-1], origins)


# The frontier --------------------------------------------------------------------------------------------------------


def _common(shorter: Trace, longer: Trace) -> set[Node]:
    return set(topological([shorter.output])) & set(topological([longer.output]))


def _frontier(shorter: Trace, longer: Trace) -> list[Node]:
    """Return what the longer trace takes over from the shorter one, in the order in which the shorter one reads it.

    What only the readout of the shorter one reads belongs to it too: the last state as it was before the next step uses
    a function of it, or the last row itself.
    """
    shared = _common(shorter, longer)
    taken = {i for node in topological([longer.output]) if node not in shared for i in node.inputs if i in shared}
    read_out = {i for node in topological([shorter.output]) if node not in shared for i in node.inputs}
    taken |= {i for i in read_out if i in shared or i.operation == "row"}
    taken |= {longer.output} & shared
    kept = {n for n in taken if not n.is_leaf or n.operation == "row"}
    # A row that the new step reads is its input, not a state, unless the shorter trace had it already.
    return [node for node in topological([shorter.output]) if node in kept]


def _reads_rows(node: Node) -> bool:
    return any(n.operation == "row" for n in topological([node]))


def _same_count(traces: dict[int, Trace], k: int, first: list[Node], second: list[Node]) -> None:
    if not first and not _reads_rows(traces[k].output):
        raise NotARecurrence(
            "the model's logits do not depend on the sequence: there is no loop to compile.\n" + ADVICE
        )
    if len(first) != len(second) or [n.size for n in first] != [n.size for n in second]:
        extra = next((n for n in reversed(second) if n not in first), second[-1] if second else traces[k].output)
        raise NotARecurrence(
            f"the model carries {sum(n.size for n in first)} numbers on after {k} steps, but "
            f"{sum(n.size for n in second)} after {k + 1}: it looks back at more than its last states.\n"
            f"  {_where(traces[k + 1], extra)}\n" + ADVICE
        )


# Step and readout as templates ---------------------------------------------------------------------------------------


def _placeholders(build: Builder, sizes: tuple[int, ...]) -> list[Node]:
    return [build.leaf("state", i, size=size) for i, size in enumerate(sizes)]


def _template(
    build: Builder, targets: list[Node], states: list[Node], row: int | None, invariant: set[Node], trace: Trace
) -> _Template:
    """Write the targets with placeholders for the states and for the row that they read."""
    known = dict(zip(states, _placeholders(build, tuple(n.size for n in states)), strict=True))
    order = topological(targets, stop=known)
    for node in order:
        if node.operation != "row" or node in known:
            continue
        if row is None or node.attributes[0] != row:
            raise NotARecurrence(_wrong_row(trace, order, node, row))
        known[node] = build.leaf("input", size=node.size)
    written = substitute(build, order, known)
    return _Template(
        tuple(written[order.index(t)] for t in targets), {w: n for w, n in zip(written, order, strict=True)}
    )


def _wrong_row(trace: Trace, order: list[Node], row: Node, expected: int | None) -> str:
    reader = next((n for n in order if row in n.inputs), row)
    which = "after its last step" if expected is None else f"at its step {expected}"
    return (
        f"the model reads element {row.attributes[0]} of the sequence {which}, and not at every length.\n"
        f"  {_where(trace, reader)}\n" + ADVICE
    )


def _readout(build: Builder, traces: dict[int, Trace], k: int, first: list[Node], second: list[Node]) -> _Template:
    """Return the logits on the states; constants that equal the length at both lengths become the length."""
    shorter = _template(build, [traces[k].output], first, None, set(), traces[k])
    longer = _template(build, [traces[k + 1].output], second, None, set(), traces[k + 1])
    if shorter.nodes == longer.nodes:
        return shorter
    length = build.leaf("length", size=1)
    at_k, at_next = ({build.constant(float(n)): length} for n in (k, k + 1))
    general = substitute(build, list(shorter.source), at_k)
    other = substitute(build, list(longer.nodes), at_next)
    output = general[list(shorter.source).index(shorter.nodes[0])]
    if output is not other[0]:
        _same(shorter, longer, traces[k], traces[k + 1], f"the readout after {k} steps", f"after {k + 1}")
    return _Template((output,), {g: n for g, n in zip(general, shorter.source.values(), strict=True)})


def _same(one: _Template, two: _Template, trace: Trace, other: Trace, what: str, reference: str) -> None:
    if one.nodes == two.nodes:
        return
    for a, b in zip(one.nodes, two.nodes, strict=True):
        difference = _first_difference(a, b)
        if difference is not None:
            x, y = difference
            place, otherwise = _where(trace, one.source.get(x)), _where(other, two.source.get(y))
            told = f"{_told(x)} here, {_told(y)} there"
            raise NotARecurrence(
                f"{what} is not the same computation as {reference}: {told}.\n  {place}\n"
                + ("" if place == otherwise else f"  {otherwise}\n")
                + ADVICE
            )


def _first_difference(a: Node, b: Node) -> tuple[Node, Node] | None:
    """Return the lowest pair of nodes that differ, the two graphs walked side by side."""
    seen: set[tuple[Node, Node]] = set()
    stack = [(a, b)]
    found = None
    while stack:
        x, y = stack.pop()
        if x is y or (x, y) in seen:
            continue
        seen.add((x, y))
        found = (x, y)
        if x.operation == y.operation and len(x.inputs) == len(y.inputs):
            stack.extend(zip(x.inputs, y.inputs, strict=True))
    return found


def _told(node: Node) -> str:
    if node.is_constant:
        numbers = node.numbers
        return f"{numbers[0]:g}" if numbers.size == 1 else f"a constant {np.array2string(numbers, threshold=6)}"
    return f"{node.operation}({', '.join(map(str, node.attributes))})" if node.is_leaf else node.operation


def _where(trace: Trace, node: Node | None) -> Origin | str:
    """Return the user's line of a node, or of what reads it where the node has none (a constant has none)."""
    if node is None:
        return Origin()
    if node in trace.origins:
        return trace.origins[node]
    readers = (n for n in topological([trace.output]) if node in n.inputs and n in trace.origins)
    return trace.origins.get(next(readers, node), Origin())


# Initial states ------------------------------------------------------------------------------------------------------


def _initial(
    build: Builder, step: tuple[Node, ...], readout: Node, after: list[Node], k: int, traces: dict[int, Trace]
) -> list[Node]:
    """Match the step backwards, from the states after `k` steps to those before the first."""
    trace = traces[k + 1]
    states: list[Node | None] = [*after]
    for t in reversed(range(k)):
        pairs = [(pattern, node) for pattern, node in zip(step, states, strict=True) if node is not None]
        bound, folded = _match(build, pairs, t, trace)
        states = [bound.get(build.leaf("state", i, size=node.size)) for i, node in enumerate(step)]
        for i, node in enumerate(step):
            # Nothing that was traced shows this state before the step (only the readout reads it, or NumPy did the
            # arithmetic): zeros will do if they give what was seen, here and when the loop is unrolled again.
            bound.setdefault(build.leaf("state", i, size=node.size), build.constant(np.zeros(node.size)))
        for template, constant in folded:
            value = substitute(build, [template], bound)[0]
            if not value.is_constant or not np.array_equal(
                value.numbers, np.broadcast_to(constant.numbers, value.size)
            ):
                raise NotARecurrence(_first_step_differs(trace, t, template, constant))
    if None in states and 1 in traces:
        once = _before_one(build, step, readout, traces[1])
        states = [o if s is None else s for s, o in zip(states, once, strict=True)]
    found = [build.constant(np.zeros(n.size)) if s is None else s for s, n in zip(states, step, strict=True)]
    for node in found:
        if _reads_rows(node):
            raise NotARecurrence(_first_step_differs(trace, 0, node, node))
    return found


def _before_one(build: Builder, step: tuple[Node, ...], readout: Node, trace: Trace) -> list[Node | None]:
    """Return the states before the only step of a trace, for what no longer trace shows: what one step alone reads."""
    leaves = _placeholders(build, tuple(node.size for node in step))
    after, _ = _match(build, [(readout, trace.output)], 0, trace)
    pairs = [(pattern, after[leaf]) for pattern, leaf in zip(step, leaves, strict=True) if leaf in after]
    before, _ = _match(build, pairs, 0, trace)
    return [before.get(leaf) for leaf in leaves]


def _match(
    build: Builder, pairs: list[tuple[Node, Node]], t: int, trace: Trace
) -> tuple[dict[Node, Node], list[tuple[Node, Node]]]:
    """Find what the placeholders must be for the patterns of the step to give the nodes beside them."""
    bound: dict[Node, Node] = {}
    folded: list[tuple[Node, Node]] = []
    seen: set[tuple[Node, Node]] = set()
    stack = pairs[::-1]
    while stack:
        pattern, node = stack.pop()
        if (pattern, node) in seen:
            continue
        seen.add((pattern, node))
        if pattern.operation == "state":
            value = node if node.size == pattern.size else build.constant(np.broadcast_to(node.numbers, pattern.size))
            if bound.setdefault(pattern, value) is not value:
                raise NotARecurrence(_first_step_differs(trace, t, pattern, node))
        elif pattern.operation == "length" and node.is_constant:
            continue
        elif pattern.operation == "input":
            if node.operation != "row" or node.attributes[0] != t:
                raise NotARecurrence(_first_step_differs(trace, t, pattern, node))
        elif node.is_constant and not pattern.is_leaf:
            folded.append((pattern, node))
        elif pattern is not node:
            alike = pattern.operation == node.operation and pattern.attributes == node.attributes
            if not alike or pattern.is_leaf or len(pattern.inputs) != len(node.inputs):
                raise NotARecurrence(_first_step_differs(trace, t, pattern, node))
            stack.extend(reversed(list(zip(pattern.inputs, node.inputs, strict=True))))
    return bound, folded


def _first_step_differs(trace: Trace, t: int, pattern: Node, node: Node) -> str:
    return (
        f"step {t} of the model is not the same computation as the steps after it: "
        f"{_told(node)} here, {_told(pattern)} later.\n  {_where(trace, node)}\n" + ADVICE
    )


# The proof -----------------------------------------------------------------------------------------------------------


def _prove(recurrence: Recurrence, trace: Trace, build: Builder) -> None:
    unrolled = Trace(trace.length, unroll(recurrence, trace.length, build), {})
    if unrolled.output is not trace.output:
        raise NotARecurrence(
            f"on a sequence of {trace.length} the model does something that its other steps do not.\n"
            f"{difference_told(trace, unrolled)}{ADVICE}"
        )


def difference_told(trace: Trace, other: Trace) -> str:
    """Return a line that shows where two traces of one length differ."""
    difference = _first_difference(trace.output, other.output)
    assert difference is not None
    here, there = difference
    return f"  {_where(trace, here)}      <- {_told(here)} here, {_told(there)} otherwise\n"
