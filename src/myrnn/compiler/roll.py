"""Stage 2: find the loop in traces of several lengths, and prove it by unrolling it again.

All traces share one table of nodes. A *frontier* in them are the states after so many steps. Between two frontiers lies
the step, from the last one to the logits the readout. Matching the step backwards from a frontier gives the initial
states. The proof does not rest on any of this: unrolled again, the recurrence must be the very nodes that were traced,
at every length.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from myrnn.compiler.graph import Builder, Node, reads_rows, substitute, topological
from myrnn.compiler.trace import Origin, Trace
from myrnn.errors import NotARecurrence

Cut = Callable[[dict[int, Trace], int], list[Node]]

# Where to cut traces into steps ---------------------------------------------------------------------------------------


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


# Rolling -------------------------------------------------------------------------------------------------------------

# How many steps a model may look back: few, and where no loop is found for these, more.
BACK = (3, 10)


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


def roll(
    traces: dict[int, Trace], build: Builder, dim_input: int, cut: Cut = handed_on, back: int = BACK[0]
) -> Recurrence:
    """Find the loop in traces of the lengths k, k + 1, k + 2, k + 3 for some k, and prove it at all lengths given.

    It may go along the sequence, or from its end to its beginning; `cut` tells what its states are. `back` is how many
    steps the model may look back, and the least k: only from then on all states come from the sequence.

    Raises
    ------
    NotARecurrence
        When there is none; the message shows the user's line and what differs.
    """
    try:
        return _rolled(traces, build, dim_input, cut, back, reverse=False)
    except NotARecurrence as error:
        mirrored = {length: _mirrored(trace, build) for length, trace in traces.items()}
        try:
            return _rolled(mirrored, build, dim_input, cut, back, reverse=True)
        except NotARecurrence:
            raise error from None


def _rolled(traces: dict[int, Trace], build: Builder, dim_input: int, cut: Cut, back: int, reverse: bool) -> Recurrence:
    k = next(n for n in sorted(traces) if n >= back and all(n + i in traces for i in range(4)))
    first, second, third = (cut(traces, n) for n in (k, k + 1, k + 2))
    invariant = set(first) & set(third) - {n for n in first if reads_rows(n)}
    first, second, third = ([n for n in f if n not in invariant] for f in (first, second, third))
    _same_count(traces, k, first, second)
    _same_count(traces, k + 1, second, third)
    used = _in_use(traces[k].output, first, second)
    first, second, third = (
        [n for n, start in zip(f, first, strict=True) if start in used] for f in (first, second, third)
    )
    step = template(build, second, first, k, traces[k + 1])
    again = template(build, third, second, k + 1, traces[k + 2])
    check_same(again, step, traces[k + 2], traces[k + 1], f"step {k + 1} of the model", f"step {k}")
    readout = readout_of(build, traces, k, first, second)
    initial = initial_states(build, step.nodes, readout.nodes[0], first, k, traces)
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
    leaves = placeholders(build, recurrence.state_sizes)
    row = build.leaf("input", size=recurrence.dim_input)
    for t in range(length):
        known = dict(zip(leaves, states, strict=True))
        known[row] = build.leaf("row", t, size=recurrence.dim_input)
        states = substitute(build, recurrence.step, known)
    known = dict(zip(leaves, states, strict=True))
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


# The parts, and the proof ---------------------------------------------------------------------------------------------


def _in_use(output: Node, first: list[Node], second: list[Node]) -> set[Node]:
    """Return those of the first frontier that the readout reads, or the step computes others in use of."""
    following = dict(zip(first, second, strict=True))
    below, found = [output], set[Node]()
    while below:
        read = {n for n in topological(below, stop=first) if n in following} - found
        found |= read
        below = [following[n] for n in read]
    return found


def _same_count(traces: dict[int, Trace], k: int, first: list[Node], second: list[Node]) -> None:
    if not first and not reads_rows(traces[k].output):
        raise NotARecurrence(
            "the model's logits do not depend on the sequence: there is no loop to compile.\n" + ADVICE
        )
    if len(first) != len(second) or [n.size for n in first] != [n.size for n in second]:
        extra = next((n for n in reversed(second) if n not in first), second[-1] if second else traces[k].output)
        raise NotARecurrence(
            f"the model carries {sum(n.size for n in first)} numbers on after {k} steps, but "
            f"{sum(n.size for n in second)} after {k + 1}: it looks back at more than its last states, or goes\n"
            "  over the sequence in both directions.\n"
            f"  {where(traces[k + 1], extra)}\n" + ADVICE
        )


def _prove(recurrence: Recurrence, trace: Trace, build: Builder) -> None:
    unrolled = Trace(trace.length, unroll(recurrence, trace.length, build), {})
    if unrolled.output is not trace.output:
        raise NotARecurrence(
            f"on a sequence of {trace.length} the model does something that its other steps do not.\n"
            f"{difference_told(trace, unrolled)}{ADVICE}"
        )


# Parts of the loop, cut out of a trace --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Template:
    """A part of the loop with placeholders for what it reads, and the traced node behind each of its nodes."""

    nodes: tuple[Node, ...]
    source: dict[Node, Node]


def placeholders(build: Builder, sizes: tuple[int, ...]) -> list[Node]:
    """Return the leaves that stand for states of such sizes."""
    return [build.leaf("state", i, size=size) for i, size in enumerate(sizes)]


def template(build: Builder, targets: list[Node], states: list[Node], row: int | None, trace: Trace) -> Template:
    """Write the targets with placeholders for the states and for the row that they read."""
    known = dict(zip(states, placeholders(build, tuple(n.size for n in states)), strict=True))
    order = topological(targets, stop=known)
    for node in order:
        if node.operation != "row" or node in known:
            continue
        if row is None or node.attributes[0] != row:
            raise NotARecurrence(_wrong_row(trace, order, node, row))
        known[node] = build.leaf("input", size=node.size)
    written = substitute(build, order, known)
    return Template(
        tuple(written[order.index(t)] for t in targets), {w: n for w, n in zip(written, order, strict=True)}
    )


def _wrong_row(trace: Trace, order: list[Node], row: Node, expected: int | None) -> str:
    reader = next((n for n in order if row in n.inputs), row)
    which = "after its last step" if expected is None else f"at its step {expected}"
    return (
        f"the model reads element {row.attributes[0]} of the sequence {which}, and not at every length.\n"
        f"  {where(trace, reader)}\n" + ADVICE
    )


def readout_of(build: Builder, traces: dict[int, Trace], k: int, first: list[Node], second: list[Node]) -> Template:
    """Return the logits on the states; constants that equal the length at both lengths become the length."""
    shorter = template(build, [traces[k].output], first, None, traces[k])
    longer = template(build, [traces[k + 1].output], second, None, traces[k + 1])
    if shorter.nodes == longer.nodes:
        return shorter
    length = build.leaf("length", size=1)
    at_k, at_next = ({build.constant(float(n)): length} for n in (k, k + 1))
    general = substitute(build, list(shorter.source), at_k)
    other = substitute(build, list(longer.nodes), at_next)
    output = general[list(shorter.source).index(shorter.nodes[0])]
    if output is not other[0]:
        check_same(shorter, longer, traces[k], traces[k + 1], f"the readout after {k} steps", f"after {k + 1}")
    return Template((output,), {g: n for g, n in zip(general, shorter.source.values(), strict=True)})


def check_same(one: Template, two: Template, trace: Trace, other: Trace, what: str, reference: str) -> None:
    """Refuse the model where two parts are not the same computation."""
    if one.nodes == two.nodes:
        return
    for a, b in zip(one.nodes, two.nodes, strict=True):
        difference = first_difference(a, b)
        if difference is not None:
            x, y = difference
            place, otherwise = where(trace, one.source.get(x)), where(other, two.source.get(y))
            raise NotARecurrence(
                f"{what} is not the same computation as {reference}: {told(x)} here, {told(y)} there.\n  {place}\n"
                + ("" if place == otherwise else f"  {otherwise}\n")
                + ADVICE
            )


# The states before the first step -------------------------------------------------------------------------------------


def initial_states(
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
        if reads_rows(node):
            raise NotARecurrence(_first_step_differs(trace, 0, node, node))
    return found


def _before_one(build: Builder, step: tuple[Node, ...], readout: Node, trace: Trace) -> list[Node | None]:
    """Return the states before the only step of a trace, for what no longer trace shows: what one step alone reads."""
    leaves = placeholders(build, tuple(node.size for node in step))
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
    begin = "  Begin with states that every step can read, such as np.zeros((1, D)).\n" if t == 0 else ""
    return (
        f"step {t} of the model is not the same computation as the steps after it: "
        f"{told(node)} here, {told(pattern)} later.\n  {where(trace, node)}\n" + begin + ADVICE
    )


# What errors show -----------------------------------------------------------------------------------------------------


ADVICE = (
    "  A compiled model runs the same equations at every step. "
    'Feed what differs as an input, or train with engine="mygrad".'
)


def first_difference(a: Node, b: Node) -> tuple[Node, Node] | None:
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


def told(node: Node) -> str:
    """Return what a node is, on one line."""
    if node.is_constant:
        numbers = node.numbers
        if numbers.size == 1:
            return f"{numbers[0]:g}"
        return f"a constant {np.array2string(numbers, precision=4, threshold=6, max_line_width=120)}"
    return f"{node.operation}({', '.join(map(str, node.attributes))})" if node.is_leaf else node.operation


def where(trace: Trace, node: Node | None) -> Origin | str:
    """Return the user's line of a node, or of what reads it where the node has none (a constant has none)."""
    if node is None:
        return Origin()
    if node in trace.origins:
        return trace.origins[node]
    readers = (n for n in topological([trace.output]) if node in n.inputs and n in trace.origins)
    return trace.origins.get(next(readers, node), Origin())


def difference_told(trace: Trace, other: Trace) -> str:
    """Return a line that shows where two traces of one length differ."""
    difference = first_difference(trace.output, other.output)
    assert difference is not None
    here, there = difference
    return f"  {where(trace, here)}      <- {told(here)} here, {told(there)} otherwise\n"
