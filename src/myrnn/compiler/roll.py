"""Stage 2: find the loops in traces of several lengths, and prove them by unrolling them again.

A model is a list of loops over one sequence, and a readout. The traces of a sequence and of one with an additional row
share everything that a loop has computed up to any step, and the shared part closest to the sequence is the next loop.
Later steps can only read earlier ones through states: what the model's variables hold between two steps or, if that has
fewer numbers, what they are computed from without weights (a minimum cut). The values between two cuts are the step.
Values that the rest of the model reads of every step form a new sequence, over which the next loop is found in the same
way; a loop that runs backward is found in the mirrored traces. In the end the rest only reads last states: the readout.

The search may be wrong, because the proof does not depend on it: unrolled again, the loops must be exactly the traced
nodes, at every length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, product
from typing import TypeVar

import numpy as np

from myrnn.compiler.delays import with_delays_first
from myrnn.compiler.differences import ADVICE
from myrnn.compiler.finder import Finder
from myrnn.compiler.found import Evidence, Found, View
from myrnn.compiler.graph import Node, leaves_of, substitute, topological
from myrnn.compiler.leaves import LENGTH, Kept, Row
from myrnn.compiler.loops import Recurrence
from myrnn.compiler.probe import Traces
from myrnn.compiler.proof import prove, prove_empty
from myrnn.compiler.readout import readout_after, readout_of
from myrnn.compiler.steps import chosen
from myrnn.compiler.tables import without_fractions
from myrnn.compiler.trace import Trace
from myrnn.errors import NotARecurrence

# A model with more loops is not comprehensible.
MOST_LOOPS = 32

Searched = TypeVar("Searched")


def roll(traced: Traces) -> Recurrence:
    """Find the loops in traces, and prove them at all lengths."""
    found = _attempted(lambda: _rolled(traced.settled()))
    if isinstance(found, NotARecurrence) and traced.uncertain:
        turned = _attempted(lambda: _rolled(traced.turned().settled()))
        found = found if isinstance(turned, NotARecurrence) else turned
    if isinstance(found, NotARecurrence):
        raise found
    return with_delays_first(found)


def _attempted(search: Callable[[], Searched]) -> Searched | NotARecurrence:
    """Return what a search finds, or its refusal."""
    try:
        return search()
    except NotARecurrence as refusal:
        return refusal


def _rolled(traced: Traces) -> Recurrence | NotARecurrence:
    """Find the loops in traces whose random numbers are settled, and prove them."""
    found = searched(Evidence.of(traced))
    recurrence = _recurrence(found)
    lengths = sorted(traced.by_length.keys() - {0}, reverse=True)
    whole, empty = _proved(found, recurrence, lengths), traced.by_length.get(0)
    if isinstance(whole, NotARecurrence) or empty is None or isinstance(prove_empty(whole, empty), Recurrence):
        return whole
    return _with_empty(whole, empty)


def _with_empty(whole: Recurrence, empty: Trace) -> Recurrence:
    """Return the recurrence with the logits of an empty sequence, another computation, of parameters alone."""
    length, output = whole.build.given(LENGTH), empty.rebuilt(whole.build.rebuild).output
    # What a state begins with, such as the maximum of no values, may be infinite: that times the zero gradient of what
    # is not chosen would be NaN.
    begun = zip(chain(*whole.state_leaves), whole.initial, strict=True)
    infinite = [leaf for leaf, node in begun if node.is_constant and not np.isfinite(node.numbers).all()]
    finite = {leaf: chosen(length, {0: whole.build.constant(np.zeros(leaf.size))}, leaf) for leaf in infinite}
    (otherwise,) = substitute(whole.build, [whole.readout], finite)
    return replace(whole, readout=chosen(length, {0: output}, otherwise))


def _proved(found: Found, recurrence: Recurrence, lengths: Sequence[int]) -> Recurrence | NotARecurrence:
    """Return the recurrence with the readouts of short sequences that differ, or why it is refused."""
    traces = found.traced.by_length
    short, refusals = dict[int, Node](), dict[int, NotARecurrence]()
    for steps in lengths:
        proved = prove(recurrence, traces[steps])
        if isinstance(proved, Recurrence):
            recurrence = proved
            continue
        # With so few steps the readout may differ.
        readout = readout_after(found, steps)
        if readout is None:
            return proved
        short[steps], refusals[steps] = readout, proved
    length = recurrence.build.given(LENGTH)
    whole = replace(recurrence, readout=chosen(length, short, recurrence.readout))
    for steps in lengths if short else ():
        proved = prove(whole, traces[steps])
        if isinstance(proved, NotARecurrence):
            return refusals.get(steps, proved)
        whole = proved
    return whole


def _recurrence(found: Found) -> Recurrence:
    """Return the loops and the readout, unproved."""
    found, readout = readout_of(found)
    read = [*(n for loop in found.loops for n in loop.step), *(s.node for s in found.passed), readout]
    used = {kept.number for kept in leaves_of(Kept, read)}
    loops = tuple(
        replace(loop, kept={k: s.node for k, s in enumerate(found.passed) if s.loop == i and k in used})
        for i, loop in enumerate(found.loops)
    )
    traced = found.traced
    made = Recurrence(
        traced.dim_input,
        loops,
        readout,
        dict(found.origins),
        traced.parameter_names,
        traced.shapes,
        traced.draws,
        found.evidence.rows,
    )
    order = topological(made.nodes)
    computed = substitute(found.build, order, without_fractions(made.nodes))
    return made.placed(dict(zip(order, computed, strict=True)))


# --- the search


def searched(evidence: Evidence) -> Found:
    """Return what is found with all loops, one after the other, from the sequence to the logits."""
    found = Found(evidence, evidence.traces)
    if found.has_read_all_rows:
        raise NotARecurrence(
            "the model's logits do not depend on the sequence: there is no loop to compile.\n" + ADVICE
        )
    while not _is_done(found):
        following = _attempted(partial(_with_next_loop, found)) if len(found.loops) < MOST_LOOPS else None
        if isinstance(following, Found):
            found = following
        elif found.traced.per_step and _is_done(found, found.most_lag):
            break
        else:
            raise following or found.no_loop()
    return found


def _with_next_loop(found: Found) -> Found | None:
    """Return what is found with the next loop, None if none reduces the rest."""
    # Values of several rows that seem to begin in the other direction are left to it, if there is a loop without them.
    for sparing, backward in product((True, False), (False, True)):
        following = _with_loop(found, backward, sparing)
        if following is not None and _to_find(following) < _to_find(found):
            return following
    return None


def _with_loop(found: Found, backward: bool, sparing: bool) -> Found | None:
    """Return what is found with a loop in one direction, None if there is none."""
    following = Finder(found, backward=backward, together=True, sparing=sparing).find()
    if following is not None and following.loops[-1].ahead:
        # The values that the rest reads may have changed the states, so that these are computed with weights.
        other = _attempted(Finder(found, backward=backward, together=False, sparing=sparing).find)
        if isinstance(other, Found) and not other.loops[-1].ahead:
            return other
    return following


def _to_find(found: Found) -> tuple[int, int]:
    """Return the number of operations of the longest trace that are not in a loop yet, and of rows they read."""
    # Rows at which a passed value ends do not count: loops could pass them on without end.
    order = topological(View(found, found.longest).written[-1:])
    return sum(1 for n in order if n.inputs), sum(1 for n in order if isinstance(n.leaf, Row))


def _goes_on(found: Found) -> bool:
    """Whether the rest has steps that read no row, as many as the sequence has."""
    shorter, longer = (_operations_without_rows(View(found, found.longest - i)) for i in (1, 0))
    return shorter < longer


def _operations_without_rows(view: View) -> int:
    """Return the number of operations of a view that read no row."""
    reads, order = set[Node](), topological([view.output])
    for node in order:
        if isinstance(node.leaf, Row) or not reads.isdisjoint(node.inputs):
            reads.add(node)
    return sum(1 for node in order if node.inputs and node not in reads)


def _is_done(found: Found, lag: int = 0) -> bool:
    """Whether the rest only reads last states or, for logits of every step, rows up to `lag` steps away."""
    if not found.traced.per_step:
        return found.has_read_all_rows and not _goes_on(found)
    view = View(found, found.longest)
    steps = ((t, view.logits_of(t)) for t in range(view.length))
    reads_near_rows = all(abs(row.step - t) <= lag for t, logits in steps for row in leaves_of(Row, [logits]))
    return reads_near_rows and not _goes_on(found)
