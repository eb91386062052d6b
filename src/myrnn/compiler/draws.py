"""What a model draws with `dropout` and `noise`: numbers that a step reads like its row of the sequence.

A trace has a leaf ``draw`` for what a site gives: all calls of a step together, or, where the site is called once, each
row of the sequence. Only traces of several lengths show whether a site is used at every step or once for a sequence,
and which row a call belongs to. Then `settled` writes the leaves of step t as ``row`` with the attributes t,
``"drawn"`` and k, like the rows of tables, and those of a sequence as ``once`` with the attribute k.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from mygrad import Tensor

from myrnn.compiler.graph import Builder, Node, substitute, topological
from myrnn.compiler.lower import Value, plain
from myrnn.compiler.ops import take
from myrnn.errors import CompileError
from myrnn.randomness import Draw, Sites

if TYPE_CHECKING:
    from myrnn.compiler.trace import Trace


@dataclass(frozen=True)
class Drawn:
    """What a site of a model draws for a sequence.

    Attributes
    ----------
    site : int
    draw : Draw
    size : int
        How many numbers a step reads, or the sequence.
    once : bool
        Whether it is drawn once for a sequence, and not for every step.
    backward : bool
        Whether the steps are counted from the last row of a sequence to the first.
    """

    site: int
    draw: Draw
    size: int
    once: bool = False
    backward: bool = False

    def leaf(self, build: Builder, number: int) -> Node:
        """Return the leaf that a step reads, or that stands for the sequence; `number` is its place among all."""
        return build.leaf("once" if self.once else "drawn", number, size=self.size)

    @property
    def neutral(self) -> np.ndarray[Any, Any]:
        """The numbers that change nothing, float32 (size,)."""
        return np.full(self.size, self.draw.neutral, dtype=np.float32)


# While a model is traced ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """A call of `dropout` or `noise` in a trace."""

    site: int
    draw: Draw
    tensor: Any


class Recording:
    """Gives a traced model numbers that change nothing, as tensors that are leaves of its graph."""

    def __init__(self) -> None:
        self._sites = Sites()
        self.calls: list[Call] = []

    def draw(self, draw: Draw, h: Any) -> Tensor:
        """Return a tensor of the shape of `h`."""
        site = self._sites.number()
        numbers = np.full(h.shape, draw.neutral, dtype=h.dtype if h.dtype.kind == "f" else np.float32)
        self.calls.append(Call(site, draw, Tensor(numbers, constant=True)))
        return self.calls[-1].tensor


@dataclass(frozen=True)
class SiteUse:
    """How a trace uses a site: how many rows it has, and how many numbers each."""

    site: int
    draw: Draw
    rows: int
    size: int


def values_of(calls: Sequence[Call], length: int, build: Builder) -> tuple[dict[int, Value], tuple[SiteUse, ...]]:
    """Return the values of the tensors that were drawn, by their ids, and how each site was used.

    Raises
    ------
    CompileError
        When a site is used neither once nor at every step.
    """
    by_site: dict[int, list[Call]] = defaultdict(list)
    for call in calls:
        by_site[call.site].append(call)
    values: dict[int, Value] = {}
    uses = []
    for site, several in by_site.items():
        shapes, draws = {c.tensor.shape for c in several}, {c.draw for c in several}
        (shape, draw), kind = (next(iter(shapes)), several[0].draw), several[0].draw.kind
        if len(shapes) > 1 or len(draws) > 1:
            what = "another shape" if len(shapes) > 1 else "another number"
            raise CompileError(
                f"one call of {kind} in the model's source gets {what} from time to time: write a call for each"
            )
        size = several[0].tensor.size
        if not size:
            values |= {id(c.tensor): Value((), shape, 0) for c in several}
            continue
        of_rows = len(several) == 1 and length > 1 and len(shape) > 1 and shape[0] == length
        count = length if of_rows or not len(several) % max(1, length) else 1
        width = size * len(several) // count
        if count == 1 < len(several) and length != 1:
            raise CompileError(
                f"one call of {kind} in the model's source runs {len(several)} times for a sequence of {length} "
                "steps: a compiled model runs it at every step, or once"
            )
        rows = [build.leaf("draw", t, site, draw.kind, draw.amount, size=width) for t in range(count)]
        uses.append(SiteUse(site, draw, count, width))
        if of_rows:
            values[id(several[0].tensor)] = Value(tuple(rows), shape, 0)
            continue
        each = len(several) // count
        for i, call in enumerate(several):
            begin = i % each * size
            values[id(call.tensor)] = plain(take(rows[i // each], indices=np.arange(begin, begin + size)), shape)
    return values, tuple(uses)


# What traces of several lengths show ---------------------------------------------------------------------------------


def find_draws(traces: Mapping[int, Trace]) -> tuple[tuple[Drawn, ...], bool]:
    """Return what each site draws, and whether it is uncertain which way the steps are counted.

    Raises
    ------
    CompileError
        When a site is used at every step of some sequences, and once for others.
    """
    last = sorted(traces)[-2:]
    uses = [{use.site: use for use in traces[length].draws} for length in last]
    found, uncertain = [], False
    for site, use in uses[-1].items():
        other = uses[0].get(site)
        is_stepwise = [u is not None and u.rows == n for u, n in zip((other, use), last, strict=True)]
        if other is None or (use.draw, use.size) != (other.draw, other.size) or len(set(is_stepwise)) > 1:
            raise CompileError(
                f"one call of {use.draw.kind} in the model's source is used in another way on a sequence of {last[0]} "
                f"steps than on one of {last[1]}: a compiled model runs it at every step, or once"
            )
        once = not is_stepwise[0]
        backward = None if once else _goes_backward(traces[last[-1]], site)
        uncertain |= not once and backward is None
        found.append(Drawn(site, use.draw, use.size, once, bool(backward)))
    return tuple(found), uncertain


def turned(draws: Sequence[Drawn], trace: Trace) -> tuple[Drawn, ...]:
    """Return what sites draw with the steps counted the other way where it is uncertain."""
    unknown = [not d.once and _goes_backward(trace, d.site) is None for d in draws]
    return tuple(replace(d, backward=True) if is_unknown else d for d, is_unknown in zip(draws, unknown, strict=True))


def _goes_backward(trace: Trace, site: int) -> bool | None:
    """Return whether what meets the drawn numbers, one after the other, is made of ever earlier rows; None if unsure.

    It is made of ever later ones in a loop that goes forward, and of all rows behind a loop over all.
    """
    spans: dict[Node, tuple[int, int]] = {}
    met: dict[int, tuple[int, int]] = {}
    for node in topological([trace.output]):
        if node.operation == "row" and len(node.attributes) == 1:
            spans[node] = (node.attributes[0], node.attributes[0])
            continue
        below = [spans[i] for i in node.inputs if i in spans]
        if below:
            spans[node] = (min(low for low, _ in below), max(high for _, high in below))
        for i in node.inputs:
            leaf = i.inputs[0] if i.operation == "take" else i
            if leaf.operation == "draw" and leaf.attributes[1] == site and node.operation != "take" and below:
                met[leaf.attributes[0]] = spans[node]
    # The first ones may meet a state that is made of no row.
    ordered = [met[t] for t in sorted(met) if t >= 2]
    lows, highs = [low for low, _ in ordered], [high for _, high in ordered]
    if len(set(highs)) == len(highs) > 1 and highs == sorted(highs):
        return False
    if len(set(lows)) == len(lows) > 1 and lows == sorted(lows, reverse=True):
        return True
    return None


def settled(trace: Trace, draws: Sequence[Drawn]) -> Trace:
    """Return the trace with what is drawn as steps, or the sequence, read it."""
    order = topological([trace.output])
    known = {leaf: _settled(leaf, trace.length, draws) for leaf in order if leaf.operation == "draw"}
    if not known:
        return trace
    nodes = substitute(trace.output.build, order, known)
    origins = {new: trace.origins[old] for old, new in zip(order, nodes, strict=True) if old in trace.origins}
    return replace(trace, output=nodes[-1], origins=origins)


def _settled(leaf: Node, length: int, draws: Sequence[Drawn]) -> Node:
    t, site, *draw = leaf.attributes
    for number, drawn in enumerate(draws):
        if (drawn.site, drawn.draw) != (site, Draw(*draw)):
            continue
        if drawn.once and (t + 1) * leaf.size <= drawn.size:
            # By chance the sequence has as many steps as this has rows.
            return take(drawn.leaf(leaf.build, number), indices=np.arange(t * leaf.size, (t + 1) * leaf.size))
        if not drawn.once and leaf.size == drawn.size:
            step = length - 1 - t if drawn.backward else t
            return leaf.build.leaf("row", step, "drawn", number, size=leaf.size)
    return leaf
