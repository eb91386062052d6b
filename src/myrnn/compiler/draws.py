"""Random numbers of `dropout` and `noise`, which a step reads like its row of the sequence.

A trace has a leaf `CallResult` for the result of a call, or for each row of a result as long as the sequence. Only
traces of several lengths show whether a site is used at every step or once per sequence, and which step a leaf belongs
to. Then `settled` turns those of a step into rows of what is `Drawn`, and those of a sequence into parts of it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from myrnn.compiler.graph import Node, topological
from myrnn.compiler.leaves import CallResult, Drawn, Row
from myrnn.compiler.ops import take
from myrnn.compiler.steps import spans_of
from myrnn.compiler.trace import SiteUse, Trace
from myrnn.errors import CompileError

# What traces of several lengths show ---------------------------------------------------------------------------------


def find_draws(traces: Mapping[int, Trace]) -> tuple[Drawn, ...]:
    """Return the draws of each site; `ordered` finds the order of the steps."""
    lengths = sorted(traces)[-3:]
    by_site: dict[int, list[SiteUse]] = defaultdict(list)
    for use in (use for length in lengths for use in traces[length].draws):
        by_site[use.site].append(use)
    found = []
    for uses in by_site.values():
        # One of the lengths may equal another number by chance.
        ((draw, size, of_rows), _), *_ = Counter((u.draw, u.size, u.of_rows) for u in uses).most_common(1)
        alike = [u for u in uses if (u.draw, u.size, u.of_rows) == (draw, size, of_rows)]
        counts = {u.length: u.leaves for u in alike}
        parts = {count // length if count % length == 0 else 0 for length, count in counts.items()}
        once = len(set(counts.values())) == 1
        if len(alike) < len(lengths) - 1 or not (once or (len(parts) == 1 and all(parts))):
            times = ", ".join(f"{u.leaves} times {u.size} numbers for {u.length} steps" for u in uses)
            raise CompileError(
                f"a line draws {times}: a compiled model draws at every step, once, or rows of the sequence, "
                f"(T, ...).\n  {uses[0].line}"
            )
        each = alike[0].leaves if once else max(parts)
        found.append(Drawn(alike[0].site, draw, each * size, once, each, of_rows=of_rows))
    return tuple(found)


def ordered(draws: Sequence[Drawn], trace: Trace) -> tuple[tuple[Drawn, ...], bool]:
    """Return the draws with the order of their steps, and whether that of one is uncertain."""
    counted = [(d, True) if d.once else _counted(d, trace) for d in draws]
    return tuple(d for d, _ in counted), not all(is_certain for _, is_certain in counted)


def drawn_whole(draws: Iterable[Drawn]) -> frozenset[int]:
    """Return the sites with no call that draws for all rows of the sequence."""
    return frozenset(d.site for d in draws if not d.of_rows)


def turned(draws: Sequence[Drawn], trace: Trace) -> tuple[Drawn, ...]:
    """Return the draws with the steps counted the other way where that is uncertain."""
    return tuple(d if d.once or _counted(d, trace)[1] else replace(d, backward=True) for d in draws)


def _counted(drawn: Drawn, trace: Trace) -> tuple[Drawn, bool]:
    """Return a site with the order of its leaves, and whether it is certain."""
    # In a loop that runs forward, the leaves combine with values of ever later rows, in one that runs backward of ever
    # earlier ones. After a loop over all, with values of all rows.
    met: dict[int, tuple[int, int]] = {}
    for node, span in spans_of(topological([trace.output])).items():
        calls = (i.leaf for i in node.inputs if isinstance(i.leaf, CallResult))
        met |= {call.number: span for call in calls if call.site == drawn.site}
    for by_part in (False, True) if drawn.parts > 1 else (False,):
        # The first ones may combine with a state that is made of no row.
        steps = [t if by_part else t * drawn.parts for t in range(2, trace.length)]
        pairs = [pairwise(met[i][side] for i in steps if i in met) for side in (0, 1)]
        falls, rises = [b < a for a, b in pairs[0]], [a < b for a, b in pairs[1]]
        if rises and all(rises):
            return replace(drawn, by_part=by_part), True
        if falls and all(falls):
            return replace(drawn, by_part=by_part, backward=True), True
    return drawn, False


def settled(trace: Trace, draws: Sequence[Drawn]) -> Trace:
    """Return the trace with random numbers in the form that steps, or the sequence, read."""
    order = topological([trace.output])
    known = {
        node: _settled(node, node.leaf, trace.length, draws) for node in order if isinstance(node.leaf, CallResult)
    }
    return trace.rebuilt(trace.output.build.rebuild, known) if known else trace


def _settled(node: Node, call: CallResult, length: int, draws: Sequence[Drawn]) -> Node:
    for drawn in draws:
        if (drawn.site, drawn.draw) != (call.site, call.draw):
            continue
        if drawn.once:
            part, whole = call.number, node.build.given(drawn)
        else:
            part, t = divmod(call.number, max(1, length)) if drawn.by_part else divmod(call.number, drawn.parts)[::-1]
            if t >= length:
                continue
            step = length - 1 - t if drawn.backward else t
            whole = node.build.leaf(Row(step, drawn), drawn.size)
        if part < drawn.parts and node.size * drawn.parts == drawn.size:
            return take(whole, indices=np.arange(part * node.size, (part + 1) * node.size))
    return node
