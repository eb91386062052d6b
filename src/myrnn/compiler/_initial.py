"""Find the states before the first step, by matching the step backwards."""

from __future__ import annotations

import numpy as np

from myrnn.compiler._differences import ADVICE, told, where
from myrnn.compiler._templates import placeholders
from myrnn.compiler.graph import Builder, Node, reads_rows, substitute
from myrnn.compiler.trace import Trace
from myrnn.errors import NotARecurrence


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
