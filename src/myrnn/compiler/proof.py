"""The proof that a recurrence is a model: unrolled, it is exactly the graph that was traced."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler.differences import ADVICE, difference_message
from myrnn.compiler.draws import settled
from myrnn.compiler.graph import Builder, Node, evaluate, leaves_of, topological
from myrnn.compiler.leaves import CallResult, TableRows
from myrnn.compiler.loops import Recurrence, unroll
from myrnn.compiler.ops import OPERATIONS
from myrnn.compiler.steps import steps_of
from myrnn.compiler.tables import rows_shown
from myrnn.compiler.trace import Trace, collection_paused
from myrnn.errors import NotARecurrence

# Longer traces are proved in a builder of their own.
LONG = 100


@collection_paused()
def prove(recurrence: Recurrence, trace: Trace) -> Recurrence | NotARecurrence:
    """Return the recurrence with all rows that a trace shows, or why it is not the graph that was traced."""
    # The axis of a single step may be any axis of length one, for which rules give other graphs: these are compared by
    # numbers, if they apply the same functions.
    trace = settled(trace, recurrence.draws)
    if any(t not in recurrence.rows.get(table, ()) for table in recurrence.tables for t in range(trace.length)):
        # The builder of a trace folds no constants, so that both graphs show all numbers as in the model.
        unrolled = unroll(recurrence.rebuilt(trace.output.build), trace.length, unknown=True)
        recurrence = _with_rows(recurrence, rows_shown(unrolled, trace.output, trace.length))
    # The nodes of a long trace must not stay with the recurrence.
    proved = recurrence.rebuilt(Builder()) if trace.length > LONG else recurrence
    traced, unrolled = trace.rebuilt(proved.build.rebuild), unroll(proved, trace.length)
    if unrolled is traced.output or (trace.length == 1 and _have_the_same_numbers(unrolled, traced.output)):
        return recurrence
    return NotARecurrence(
        f"on a sequence of {trace.length} steps the model does not compute what was compiled: at "
        f"{_differing_step(traced.output, unrolled)}, or with some values, it computes something else than when it was "
        "traced.\n"
        f"{difference_message(traced, Trace(trace.length, unrolled, {}))}{ADVICE}"
    )


def prove_empty(recurrence: Recurrence, empty: Trace) -> Recurrence | NotARecurrence:
    """Do the same for an empty sequence, if it has logits of the classes that draw no random numbers."""
    is_other = empty.output.size != recurrence.readout.size or leaves_of(CallResult, [empty.output])
    return recurrence if recurrence.per_step or is_other else prove(recurrence, empty)


def _with_rows(recurrence: Recurrence, more: TableRows) -> Recurrence:
    """Return the recurrence with more rows of its tables."""
    if not more:
        return recurrence
    known = recurrence.rows
    added = {table: {**known.get(table, {}), **rows} for table, rows in more.items()}
    return replace(recurrence, rows={**known, **added})


def _differing_step(traced: Node, unrolled: Node) -> str:
    """Return the first step at which two graphs compute different things."""
    ours, its = topological([traced]), topological([unrolled])
    step = steps_of([*ours, *its])
    odd = [step[n] for n in {*ours} ^ {*its} if n in step]
    # Values made only of the states after a step may belong to it or to the next.
    return f"step {min(odd)} or the next" if odd else "some step"


def _have_the_same_numbers(one: Node, other: Node) -> bool:
    """Whether two graphs on the same leaves give the same for random numbers, as far as these are finite."""
    # A bound that small numbers do not reach shows in the functions alone.
    if _functions_in(one) != _functions_in(other):
        return False
    rng, compared = np.random.default_rng(0), False
    leaves = [n for n in topological([one, other]) if n.is_leaf and not n.is_constant]
    for scale in (0.1, 0.5, 1.0):
        known: dict[Node, NDArray[Any]] = {n: scale * rng.normal(size=n.size) for n in leaves}
        with np.errstate(all="ignore"):
            first, second = evaluate([one, other], known, np.float64)
        if np.isfinite(first).all() and np.isfinite(second).all():
            compared = True
            if not np.allclose(first, second, rtol=1e-9, atol=1e-12):
                return False
    return compared


def _functions_in(node: Node) -> Counter[str]:
    """Return how often each element-wise operation occurs, without sums and products: these depend on the axes."""
    operations = (n.operation for n in topological([node]) if n.inputs)
    return Counter(o for o in operations if OPERATIONS[o].kind == "map" and o not in ("add", "multiply", "expand"))
