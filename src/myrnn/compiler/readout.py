"""What remains of a model after its loops: the logits of a sequence, or those of every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from myrnn.compiler.beginning import sized
from myrnn.compiler.differences import both_lines, differs_by_length, first_difference
from myrnn.compiler.found import Found, LaggedRow, PassedValue, View
from myrnn.compiler.graph import Node, leaves_of, substitute, substitutions, topological
from myrnn.compiler.leaves import Final, Kept, Row, StepNumber
from myrnn.compiler.loops import Loop, placeholders
from myrnn.compiler.match import Match
from myrnn.compiler.steps import chosen
from myrnn.errors import NotARecurrence


def readout_of(found: Found) -> tuple[Found, Node]:
    """Return the logits as a function of last states, or the kept value that has those of every step.

    What is returned with them has the loops that logits of every step need besides those that were found.
    """
    if found.traced.per_step:
        return _of_steps(found)
    found, readout = _of_sequence(found)
    return _begun_as_short_sequences(found, readout), readout


# --- the logits of a sequence


def _of_sequence(found: Found) -> tuple[Found, Node]:
    """Return the logits as a function of the last states."""
    lengths = (found.middle, found.middle + 1)
    shorter, longer = (View(found, n) for n in lengths)
    ours, its = (_on_last_states(found, view) for view in (shorter, longer))
    one, two = ours[shorter.output], its[longer.output]
    if one is not two:
        here, there = first_difference(one, two) or (one, two)
        if here.is_constant and there.is_constant and here.size == there.size:
            raise differs_by_length(shorter.line_of(ours, here))
        raise NotARecurrence(
            f"the readout after {lengths[0]} steps is not the same computation as after {lengths[1]}.\n"
            + both_lines(shorter.line_of(ours, here), here, longer.line_of(its, there), there)
        )
    return found.noting(ours, shorter.origins), one


def _on_last_states(found: Found, view: View) -> dict[Node, Node]:
    """Return a view's values made of last states."""
    order = topological([view.output])
    return dict(zip(order, substitute(found.build, order, found.final_to_state(order)), strict=True))


def readout_after(found: Found, steps: int) -> Node | None:
    """Return the logits of a short sequence as a function of the last states, or None."""
    if found.traced.per_step or steps not in found.left or steps >= found.middle:
        return None
    view = View(found, steps)
    order = topological([view.output])
    if any(found.passed[end.number].last is None for end in leaves_of(Final, [view.output])):
        return None
    (readout,) = substitute(found.build, [view.output], found.final_to_state(order))
    return None if leaves_of(Row, [readout]) else readout


def _begun_as_short_sequences(found: Found, readout: Node) -> Found:
    """Let states whose initial value no step shows begin as the shortest sequences show."""
    whole = {n: trace for n, trace in found.traced.by_length.items() if n < 2}
    steps = [node for loop in found.loops for node in loop.step]
    last = dict(zip(placeholders(found.build, [n.size for n in steps]), steps, strict=True))
    for length, output in ((0, readout), (1, substitute(found.build, [readout], last)[0])):
        if not found.unknown or length not in whole or len(found.loops) > 1:
            continue
        written = whole[length].rebuilt(found.evidence.flat.rebuild).output
        shown = Match(substitutions(found.build, [written], {}), 0, 0)
        # Only some of the states may be shown.
        shown.add(output, written)
        (loop,) = found.loops
        initial = list(loop.initial)
        for i in found.unknown & set(shown.states):
            initial[i] = sized(shown.states[i], initial[i].size)
        loops = (replace(loop, initial=tuple(initial)),)
        found = replace(found, loops=loops, unknown=found.unknown - set(shown.states))
    return found


# --- the logits of every step


def _of_steps(found: Found) -> tuple[Found, Node]:
    """Return the leaf for the logits of each step, from a loop or from an additional one without states."""
    found, shifted = _shifted(found)
    view = View(found, found.longest)
    logits = view.folded[view.logits_of(found.middle)]
    order = topological([logits])
    known = {**found.final_to_state(order), **shifted, **view.rows_of(found.middle)}
    nodes = substitute(found.build, order, known)
    found = found.noting(dict(zip(order, nodes, strict=True)), view.origins)
    # What replaces shifted rows has the right initial values.
    made = nodes[-1] if shifted else _with_first_logits(found, view, nodes[-1])
    if isinstance(made.leaf, Kept):
        return found, made
    kept = Kept(len(found.passed))
    value = PassedValue(made, False, None, len(found.loops), LaggedRow(kept, 0))
    found = replace(found, passed=(*found.passed, value), loops=(*found.loops, Loop((), ())))
    return found, found.build.leaf(kept, logits.size)


def _with_first_logits(found: Found, view: View, later: Node) -> Node:
    """Return the logits of a step, those of the first steps where they differ from `later` ones."""
    build, firsts = found.build, dict[int, Node]()
    for t in range(found.middle):
        order, rows = topological([view.folded[view.logits_of(t)]]), view.rows_of(t)
        if not any(isinstance(n.leaf, Row) and n not in rows for n in order):
            (firsts[t],) = substitute(build, order[-1:], {**found.final_to_state(order, rows), **rows})
    odd = {t: first for t, first in firsts.items() if first is not later}
    return chosen(build.given(StepNumber(backward=False)), odd, later)


def _shifted(found: Found) -> tuple[Found, dict[Node, Node]]:
    """Add loops that pass rows on to later or earlier steps; return what replaces each row that logits read."""
    build, view = found.build, View(found, found.longest)
    logits = view.folded[view.logits_of(found.middle)]
    rows = {n: row for n in topological([logits]) if isinstance(row := n.leaf, Row)}
    lags = {n: found.middle - row.step for n, row in rows.items() if abs(found.middle - row.step) <= found.most_lag}
    # A state for each row, and for those between it and the step, so that each takes over from a closer one.
    sizes = {(lag < 0, rows[n].of, i): n.size for n, lag in lags.items() for i in range(1, abs(lag) + 1)}
    if not sizes:
        return found, {}
    passed = sorted(sizes, key=lambda key: key[0])
    states = dict(zip(passed, placeholders(build, [sizes[key] for key in passed], found.states), strict=True))
    here = {n: build.leaf(rows[n].of, n.size) for n, lag in lags.items() if not lag}
    known = {n: states[lag < 0, rows[n].of, abs(lag)] for n, lag in lags.items() if lag}
    (template,) = substitute(build, [logits], here | known)
    initial = dict(zip(states.values(), _at_edges(found, view, template, list(states.values())), strict=True))
    kept = dict[Node, Node]()
    for backward in dict.fromkeys(backward for backward, _, _ in passed):
        own = {key: state for key, state in states.items() if key[0] is backward}
        nearer = (states.get((backward, of, i - 1)) or build.leaf(of, sizes[backward, of, i]) for _, of, i in own)
        own_kept = {n: Kept(k) for k, n in enumerate(own.values(), len(found.passed))}
        kept |= {n: build.leaf(leaf, n.size) for n, leaf in own_kept.items()}
        own_passed = (PassedValue(n, backward, None, len(found.loops), LaggedRow(k, 0)) for n, k in own_kept.items())
        loop = Loop(tuple(initial[state] for state in own.values()), tuple(nearer), {}, backward)
        found = replace(found, passed=(*found.passed, *own_passed), loops=(*found.loops, loop))
    return found, {n: kept[state] for n, state in known.items()}


def _at_edges(found: Found, view: View, template: Node, states: Sequence[Node]) -> list[Node]:
    """Return the values before the first row, and after the last one, of states that the logits read."""
    build, shown = found.build, dict[int, Node]()
    for t in (0, view.length - 1):
        match = Match(view.folded, found.states, t, view.row_at)
        if match.add(template, view.logits_of(t)) is not None:
            raise found.no_loop()
        for i, node in match.states.items():
            order = topological([node])
            if not leaves_of(Row, order):
                (shown[i],) = substitute(build, [node], found.final_to_state(order))
    zero = build.constant(0.0)
    return [sized(shown.get(i, zero), leaf.size) for i, leaf in enumerate(states, found.states)]
