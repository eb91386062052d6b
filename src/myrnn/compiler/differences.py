"""Where two computations differ, and how errors show it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain

import numpy as np

from myrnn.compiler.graph import Node, in_parallel, topological
from myrnn.compiler.leaves import Row
from myrnn.compiler.record import Origin
from myrnn.compiler.trace import Trace
from myrnn.errors import NotARecurrence

ADVICE = (
    "  A compiled model computes the same at every step, except for the first few and up to four that take turns.\n"
    '  Give it what differs as a column of the data, choose with mg.where, or train with engine="mygrad".'
)


def first_difference(a: Node, b: Node) -> tuple[Node, Node] | None:
    """Return the lowest pair of nodes that differ in more than their inputs, walking the two graphs in parallel."""
    found: tuple[Node, Node] | None = None

    def below(x: Node, y: Node) -> list[tuple[Node, Node]]:
        nonlocal found
        pairs = []
        if x.operation == y.operation and len(x.inputs) == len(y.inputs):
            pairs = [(p, q) for p, q in zip(x.inputs, y.inputs, strict=True) if p is not q]
        found = found if pairs else (x, y)
        return pairs

    if a is not b:
        in_parallel(a, b, below)
    return found


def describe(node: Node) -> str:
    """Return a description of a node on one line."""
    if node.is_constant:
        numbers = node.numbers
        if numbers.size == 1:
            return f"{numbers[0]:g}"
        shown = np.array2string(numbers, precision=4, threshold=6, max_line_width=120)
        return f"{numbers.size} constants {shown}"
    return str(node.leaf or node.operation)


def line_of(node: Node, order: Iterable[Node], origins: Mapping[Node, Origin]) -> Origin:
    """Return the user's line of a node, or of a reader if the node has none (a constant has none)."""
    readers = (n for n in order if node in n.inputs and n in origins)
    # The rows of outputs are joined by no line of the model: then the line of the last of them is shown.
    below = (n for n in reversed(topological([node])) if n in origins)
    return origins.get(node) or origins.get(next(chain(readers, below), node), Origin())


def where(trace: Trace, node: Node | None) -> Origin:
    """Return the user's line of a node of a trace, if there is one."""
    return Origin() if node is None else line_of(node, topological([trace.output]), trace.origins)


def difference_message(trace: Trace, other: Trace) -> str:
    """Return a line that shows where two traces of one length differ."""
    difference = first_difference(trace.output, other.output)
    assert difference is not None
    here, there = difference
    return f"  {where(trace, here)}      <- {describe(here)} here, {describe(there)} otherwise\n"


def both_lines(first: Origin, here: Node, second: Origin, there: Node) -> str:
    """Return lines that show the computation here and there."""
    if first == second:
        return f"  {first}      <- {describe(here)} here, {describe(there)} there\n{ADVICE}"
    return f"  {first}      <- {describe(here)} here\n  {second}      <- {describe(there)} there\n{ADVICE}"


def reads_a_row(row: Row, line: Origin, length: int, step: int) -> NotARecurrence:
    """Return the refusal of a step that reads the row of another one."""
    return NotARecurrence(
        f"the model reads element {row.step} of a sequence of {length} at step {step}, but not at\n"
        f"  every length.\n  {line}\n{ADVICE}"
    )


def differs_by_length(line: Origin) -> NotARecurrence:
    """Return the refusal of a model that computes with other numbers at every length."""
    return NotARecurrence(
        "the model computes with numbers that differ from length to length, and are not a fraction of it.\n"
        f"  {line}\n"
        "  Numbers of the time compile, and fractions such as t / len(x): multiply tensors by other factors.\n"
        '  Feed other numbers as a column of the data, or train with engine="mygrad".'
    )
