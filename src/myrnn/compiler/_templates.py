"""Parts of the loop, cut out of a trace, with placeholders for what they read."""

from __future__ import annotations

from dataclasses import dataclass

from myrnn.compiler._differences import ADVICE, first_difference, told, where
from myrnn.compiler.graph import Builder, Node, substitute, topological
from myrnn.compiler.trace import Trace
from myrnn.errors import NotARecurrence


@dataclass(frozen=True)
class Template:
    """A part of the loop with placeholders for what it reads, and the traced node behind each of its nodes."""

    nodes: tuple[Node, ...]
    source: dict[Node, Node]


def placeholders(build: Builder, sizes: tuple[int, ...]) -> list[Node]:
    """Return the leaves that stand for states of such sizes."""
    return [build.leaf("state", i, size=size) for i, size in enumerate(sizes)]


def template(build: Builder, targets: list[Node], states: list[Node], row: int | None, trace: Trace) -> Template:
    """Write the targets with placeholders for the states and for the row that they read."""
    known = dict(zip(states, placeholders(build, tuple(n.size for n in states)), strict=True))
    order = topological(targets, stop=known)
    for node in order:
        if node.operation != "row" or node in known:
            continue
        if row is None or node.attributes[0] != row:
            raise NotARecurrence(_wrong_row(trace, order, node, row))
        known[node] = build.leaf("input", size=node.size)
    written = substitute(build, order, known)
    return Template(
        tuple(written[order.index(t)] for t in targets), {w: n for w, n in zip(written, order, strict=True)}
    )


def _wrong_row(trace: Trace, order: list[Node], row: Node, expected: int | None) -> str:
    reader = next((n for n in order if row in n.inputs), row)
    which = "after its last step" if expected is None else f"at its step {expected}"
    return (
        f"the model reads element {row.attributes[0]} of the sequence {which}, and not at every length.\n"
        f"  {where(trace, reader)}\n" + ADVICE
    )


def readout_of(build: Builder, traces: dict[int, Trace], k: int, first: list[Node], second: list[Node]) -> Template:
    """Return the logits on the states; constants that equal the length at both lengths become the length."""
    shorter = template(build, [traces[k].output], first, None, traces[k])
    longer = template(build, [traces[k + 1].output], second, None, traces[k + 1])
    if shorter.nodes == longer.nodes:
        return shorter
    length = build.leaf("length", size=1)
    at_k, at_next = ({build.constant(float(n)): length} for n in (k, k + 1))
    general = substitute(build, list(shorter.source), at_k)
    other = substitute(build, list(longer.nodes), at_next)
    output = general[list(shorter.source).index(shorter.nodes[0])]
    if output is not other[0]:
        check_same(shorter, longer, traces[k], traces[k + 1], f"the readout after {k} steps", f"after {k + 1}")
    return Template((output,), {g: n for g, n in zip(general, shorter.source.values(), strict=True)})


def check_same(one: Template, two: Template, trace: Trace, other: Trace, what: str, reference: str) -> None:
    """Refuse the model where two parts are not the same computation."""
    if one.nodes == two.nodes:
        return
    for a, b in zip(one.nodes, two.nodes, strict=True):
        difference = first_difference(a, b)
        if difference is not None:
            x, y = difference
            place, otherwise = where(trace, one.source.get(x)), where(other, two.source.get(y))
            raise NotARecurrence(
                f"{what} is not the same computation as {reference}: {told(x)} here, {told(y)} there.\n  {place}\n"
                + ("" if place == otherwise else f"  {otherwise}\n")
                + ADVICE
            )
