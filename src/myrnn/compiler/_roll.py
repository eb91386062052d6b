"""Stage 2: find the loop in traces of several lengths, and prove it by unrolling it again.

All traces share one table of nodes. A *frontier* in them are the states after so many steps (see `_frontier`). Between
two frontiers lies the step, from the last one to the logits the readout. Matching the step backwards from a frontier
gives the initial states. The proof does not rest on any of this: unrolled again, the recurrence must be the very nodes
that were traced, at every length.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from myrnn.compiler._differences import ADVICE, difference_told, where
from myrnn.compiler._frontier import Cut, handed_on
from myrnn.compiler._initial import initial_states
from myrnn.compiler._templates import check_same, placeholders, readout_of, template
from myrnn.compiler.graph import Builder, Node, reads_rows, substitute, topological
from myrnn.compiler.trace import Origin, Trace
from myrnn.errors import NotARecurrence

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
