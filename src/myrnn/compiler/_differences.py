"""What errors show of traces: where a node stands in the user's code, and where two graphs part."""

from __future__ import annotations

import numpy as np

from myrnn.compiler.graph import Node, topological
from myrnn.compiler.trace import Origin, Trace

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
