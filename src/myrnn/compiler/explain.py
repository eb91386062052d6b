"""Why a model is no recurrence, if its traces show one of the usual reasons: the line, and what to write instead.

Every reason is a property of the graphs of several lengths: which rows they read, and how they grow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from myrnn.compiler.graph import Node, topological
from myrnn.compiler.growth import LONG, SHORT, of_rows
from myrnn.compiler.leaves import Row
from myrnn.compiler.probe import Traces, where
from myrnn.compiler.record import Origin
from myrnn.compiler.trace import Trace
from myrnn.compiler.turns import period_of
from myrnn.errors import NotARecurrence

INSTEAD = ', or train with engine="mygrad".'


def explained(refusal: NotARecurrence, traced: Traces) -> NotARecurrence:
    """Return a refusal with the usual reason that the traces show, or as it is."""
    for reason in (_unread_rows, _goes_on_alone, _whole_first, _divided_by_length, _in_turn):
        if (message := reason(traced)) is not None:
            return NotARecurrence(message + INSTEAD)
    return refusal


def _unread_rows(traced: Traces) -> str | None:
    """Find a loop that ends early, or leaves out rows."""
    read = {n: set().union(*of_rows(traced.by_length[n]).values()) for n in (SHORT[-1], *LONG)}
    other, last = read[LONG[-1]], max(read[LONG[-1]], default=0)
    line = where(traced.by_length[LONG[-1]], _row(traced.by_length[LONG[-1]], last))
    if other and last < LONG[0] - 1 and all(rows == {*range(min(n, last + 1))} for n, rows in read.items()):
        return (
            f"the model reads {last + 1} rows of a sequence and ignores the rest, as after a break or in "
            f"x[:{last + 1}]:\n  {line}\n"
            "  A compiled loop reads all rows. Keep the state from there on, in a loop over all rows:\n"
            f"  h = mg.where(t < {last + 1}, new, h); or shorten the sequences in the data"
        )
    if 0 < len(other) < LONG[-1]:
        missing = sorted({*range(LONG[-1])} - other)
        return (
            f"of a sequence of {LONG[-1]} rows the model does not read {', '.join(map(str, missing[:4]))}"
            f"{' and others' if len(missing) > 4 else ''}:\n  {line}\n"
            "  A compiled loop reads all rows. Leave the others out of the data"
        )
    return None


def _row(trace: Trace, step: int) -> Node | None:
    return next((n for n in topological([trace.output]) if n.leaf == Row(step)), None)


def _goes_on_alone(traced: Traces) -> str | None:
    """Find steps after the last row that read none, as many as the sequence has."""
    (one, begins, first), (other, more, later) = (_without_rows(traced.by_length[n]) for n in LONG)
    # The readout of a model without such steps has no more nodes for longer sequences. What was joined, as by a stack
    # of sequences, may be read row by row; and so may the values of two directions, each of which depends on all rows.
    if len(other) <= len(one) or len(one) < LONG[0] or later > first or more > begins:
        return None
    trace = traced.by_length[LONG[-1]]
    line = next((trace.origins[n] for n in reversed(other) if n in trace.origins), Origin())
    return (
        "after the last row the model goes on for as many steps as the sequence has, without reading a row (a decoder\n"
        f"  that runs by itself):\n  {line}\n"
        "  Steps of a compiled model read a row each; only a fixed number of steps after the last row compiles.\n"
        "  Append a row of zeros for every step of the decoder, read them in the same loop, and give no weight to the\n"
        "  outputs before them"
    )


def _without_rows(trace: Trace) -> tuple[list[Node], int, int]:
    """Return the nodes that depend on rows only through the first values that depend on all of them.

    Also return how many of these values they read, and the largest number of parts that are taken from one of them.
    """
    found = of_rows(trace)
    whole = {n for n, rows in found.items() if len(rows) == trace.length}
    first = {n for n in whole if not any(i in whole for i in n.inputs)}
    still = of_rows(trace, first)
    alone = [n for n in found if n in whole and n not in first and n not in still]
    taken = Counter(n.inputs[0] for n in alone if n.operation == "take")
    return alone, len(first.intersection(i for n in alone for i in n.inputs)), max(taken.values(), default=0)


def _whole_first(traced: Traces) -> str | None:
    """Find a value of the whole sequence, divided by its length, that steps read."""
    trace = traced.by_length[LONG[-1]]
    found = of_rows(trace)
    node = next((n for n in _of_length(traced) if _is_read_beside_rows(n, found)), None)
    if node is None:
        return None
    return (
        "steps read a value of the whole sequence, such as its mean, which is known after the last step only, and is\n"
        f"  divided by the length:\n  {where(trace, node)}\n"
        "  Multiply the sum by a fixed number instead, which compiles; subtract the mean from the data before\n"
        "  training; or read the mean so far, mean = mean + (x_t - mean) / (t + 1)"
    )


def _is_read_beside_rows(node: Node, found: Mapping[Node, set[int]]) -> bool:
    """Whether a computation on a value reads rows besides it, as a later loop does."""
    after = {node}
    # The rows of outputs are joined in the end, which is no computation.
    read = {i for n in found if n.operation != "join" for i in n.inputs}
    for n in found:
        if n.operation == "join" and n not in read:
            continue
        if not after.isdisjoint(n.inputs):
            after.add(n)
            if any(i in found and i not in after for i in n.inputs):
                return True
    return False


def _divided_by_length(traced: Traces) -> str | None:
    """Find outputs of every step that read a value divided by the length."""
    divided = _of_length(traced)
    if not traced.per_step or not divided:
        return None
    return (
        "a value of the whole sequence is divided by its length, in a model with outputs at every step:\n"
        f"  {where(traced.by_length[LONG[-1]], divided[0])}\n"
        "  Take the sum with a smaller factor, which is the same for sequences of one length: add_loss(0.01 * total)\n"
        "  instead of add_loss(0.1 * total / len(x))"
    )


def _of_length(traced: Traces) -> list[Node]:
    """Return the nodes that depend on all rows and divide by the length, or multiply by its inverse."""
    short, long = (_factors(traced.by_length[n]) for n in LONG)
    ratio = LONG[-1] / LONG[0]
    known = {(line, number) for line, number in short.values()}
    return [
        n
        for n, (line, number) in long.items()
        if any(same == line and np.isclose(number / other, (ratio, 1 / ratio)).any() for same, other in known)
    ]


def _factors(trace: Trace) -> dict[Node, tuple[Origin, float]]:
    """Return the nodes that depend on all rows and a number other than 0, with their lines and numbers."""
    found = {}
    for node, rows in of_rows(trace).items():
        numbers = [i.numbers[0] for i in node.inputs if i.is_constant and i.size == 1 and i.numbers[0]]
        if len(rows) == trace.length and numbers:
            found[node] = where(trace, node), float(numbers[0])
    return found


def _in_turn(traced: Traces) -> str | None:
    """Find steps that take turns in a way that is not followed."""
    period = period_of(traced.settled())
    if period == 1:
        return None
    trace = traced.by_length[LONG[-1]]
    counts = [_lines_of_step(trace, t) for t in range(4, 4 + period)]
    odd = [line for line in sum(counts, Counter[Origin]()) if line.file and len({count[line] for count in counts}) > 1]
    return (
        f"the steps take turns, with {period} kinds of them, in a way that the compiler does not follow:\n"
        f"  {odd[0] if odd else where(trace, trace.output)}\n"
        "  Let every step compute the same, and choose by its number: b = mg.where(t % 2 == 0, new, b)"
    )


def _lines_of_step(trace: Trace, step: int) -> Counter[Origin]:
    """Return how many nodes of a step each line makes."""
    made = (trace.origins.get(n, Origin()) for n, rows in of_rows(trace).items() if max(rows) == step)
    return Counter(Origin(origin.file, origin.line) for origin in made)
