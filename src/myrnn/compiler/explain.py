"""Why a model is no recurrence, if its traces show one of the usual reasons: the line, and what to write instead.

Every reason is a property of the graphs of several lengths: which rows they read, and how they grow.
"""

from __future__ import annotations

from collections import Counter
from math import gcd

from myrnn.compiler.differences import where
from myrnn.compiler.found import Evidence
from myrnn.compiler.graph import Node, topological
from myrnn.compiler.growth import LONG, SHORT, of_rows
from myrnn.compiler.leaves import Row
from myrnn.compiler.probe import BACK, Traces, longest_of, middle_of, most_lag
from myrnn.compiler.record import Origin
from myrnn.compiler.steps import MOST_KINDS, period_of
from myrnn.compiler.trace import Trace
from myrnn.errors import NotARecurrence

INSTEAD = ', or train with engine="mygrad".'


def explained(refusal: NotARecurrence, traced: Traces) -> NotARecurrence:
    """Return a refusal with the usual reason that the traces show, or as it is."""
    for reason in (_reads_far_back, _begins_anew, _reads_several, _unread_rows, _goes_on_alone, _in_turn):
        if (message := reason(traced)) is not None:
            return NotARecurrence(message + INSTEAD)
    return refusal


def _reads_far_back(traced: Traces) -> str | None:
    """Find logits that read the last rows alone, and more rows than loops can pass on."""
    trace, width, most = traced.by_length[max(traced.by_length)], _width(traced), most_lag(BACK[-1]) + 1
    if width is None or width <= most:
        return None
    return (
        f"the outputs read windows of {width} rows, too many to pass on from step to step:\n"
        f"  {where(trace, _row(trace, trace.length - 1))}\n"
        f"  Let them read {most} rows or fewer, in several layers; or pass on a state that every row changes"
    )


def _width(traced: Traces) -> int | None:
    """Return the number of rows that the logits of the last step read, if they read the last rows at every length."""
    read = {n: _of_last_logits(traced, n) for n in traced.by_length if n >= SHORT[0]}
    width = len(read[max(read)])
    is_window = 0 < width < max(read) and all(rows == {*range(max(0, n - width), n)} for n, rows in read.items())
    return width if is_window else None


def _begins_anew(traced: Traces) -> str | None:
    """Find a loop whose states begin anew after some steps: the last logits read no row before."""
    read = {n: _of_last_logits(traced, n) for n in traced.by_length if n >= SHORT[0]}
    begins = {n: min(rows) for n, rows in read.items() if rows}
    if len({*begins.values()}) < 2 or any(read[n] != {*range(begin, n)} for n, begin in begins.items()):
        return None
    if _width(traced) is not None:
        return None
    trace, every = traced.by_length[LONG[-1]], gcd(*begins.values())
    period = f"t % {every} {{}} 0" if every > 1 else "begins {}"
    return (
        f"of a sequence of {LONG[-1]} rows the model forgets the first {begins[LONG[-1]]}, as if its states began "
        f"anew:\n  {where(trace, _row(trace, LONG[-1] - 1))}\n"
        "  A compiled loop passes its states on. Let them begin anew by a factor, or a choice:\n"
        f"  h = float({period.format('!=')}) * h, or h = mg.where({period.format('==')}, h0, h); or give the parts as\n"
        "  sequences of their own"
    )


def _of_last_logits(traced: Traces, length: int) -> set[int]:
    """Return the rows that the logits of the last step of a sequence depend on."""
    trace = traced.by_length[length]
    found = of_rows(trace)
    return found.get(trace.output.inputs[-1] if traced.per_step else trace.output, set())


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


def _reads_several(traced: Traces) -> str | None:
    """Find steps that read several rows each, and leave out the last few."""
    read = {n: set().union(*of_rows(trace).values()) for n, trace in traced.by_length.items() if n}
    count = gcd(*map(len, read.values()))
    if count < 2 or any(rows != {*range(n - n % count)} for n, rows in read.items()):
        return None
    line = where(traced.by_length[LONG[-1]], _row(traced.by_length[LONG[-1]], 0))
    by_index = f"Read them by their index: for t in range(0, len(x) - {count - 1}, {count}), with x[t] and x[t + 1];\n"
    return (
        f"the model reads {count} rows in a step, and leaves out those that remain:\n  {line}\n"
        f"  {by_index + '  or make' if count <= MOST_KINDS else 'Make'} {count} rows one row of the data"
    )


def _row(trace: Trace, step: int) -> Node | None:
    return next((n for n in topological([trace.output]) if n.leaf == Row(step)), None)


def _goes_on_alone(traced: Traces) -> str | None:
    """Find steps after the last row that read none, as many as the sequence has, and are no loop."""
    (one, begins, first), (other, more, later) = (_without_rows(traced.by_length[n]) for n in LONG)
    # The readout of a model without such steps has no more nodes for longer sequences. What was joined, as by a stack
    # of sequences, may be read row by row; and so may the values of two directions, each of which depends on all rows.
    if len(other) <= len(one) or len(one) < LONG[0] or later > first or more > begins:
        return None
    trace = traced.by_length[LONG[-1]]
    line = next((trace.origins[n] for n in reversed(other) if n in trace.origins), Origin())
    return (
        "after the last row the model goes on for as many steps as the sequence has, without reading a row (a decoder\n"
        f"  that runs by itself), but these steps differ, or their outputs are in another order:\n  {line}\n"
        "  Let each of them compute the same from what the step before it computed, and return the outputs in order.\n"
        "  Give numbers of the time as a column of the data, and read it again: for x_t in x"
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


def _in_turn(traced: Traces) -> str | None:
    """Find steps that take turns in a way that is not followed."""
    trace = Evidence.of(traced.settled()).traces[longest_of(traced.back)]
    period = period_of(trace, middle_of(traced.back))
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
