"""The terms of weights' gradients: products of two vectors, which are summed over steps at once, and all others."""

from __future__ import annotations

from dataclasses import dataclass

from myrnn.compiler.graph import Node
from myrnn.compiler.plan import Plan

# From how many rows on updating all rows of a weight costs more than keeping a record of each.
LOOKUP_ROWS = 4096


@dataclass(frozen=True)
class Outer:
    """A term of a weight's gradient that is a product of two vectors, as the weight lies in memory: rows by lanes."""

    leaf: Node
    left: Node
    right: Node


def _is_outer(plan: Plan, leaf: Node, term: Node) -> bool:
    """Whether the term is a product of two vectors in the shape of the weight."""
    weight = plan.weights[leaf]
    return term.operation == "outer" and tuple(i.size for i in term.inputs) == (weight.rows, weight.columns)


def outer_terms(plan: Plan, terms: dict[Node, tuple[Node, ...]]) -> list[Outer]:
    found = []
    for leaf, several in terms.items():
        for term in several:
            if _is_outer(plan, leaf, term):
                left, right = reversed(term.inputs) if plan.weights[leaf].flipped else term.inputs
                found.append(Outer(leaf, left, right))
    return found


def lookups(plan: Plan) -> frozenset[int]:
    """Return the parameters of many rows of which a step reads and changes only those of its tokens.

    Only these rows of their gradients are cleared, clipped and used; the others are zero.
    """
    gradients = plan.derivative.readout.weights.keys() | plan.derivative.prelude.weights.keys()
    summed_elsewhere = {leaf.attributes[0] for leaf in gradients if leaf.operation != "derived"}
    found = set()
    for leaf, terms in plan.derivative.step.weights.items():
        if leaf.operation == "parameter" and plan.tokens and plan.weights[leaf].rows >= LOOKUP_ROWS:
            outer = outer_terms(plan, {leaf: terms})
            if len(outer) == len(terms) and all(o.left.operation == "input" for o in outer):
                found.add(leaf.attributes[0])
    taken_apart = {leaf.attributes[0] for leaf in plan.weights if leaf.operation == "rows"}
    return frozenset(found - summed_elsewhere - taken_apart)


def plain_terms(plan: Plan, terms: dict[Node, tuple[Node, ...]]) -> list[tuple[Node, Node]]:
    return [(leaf, term) for leaf, several in terms.items() for term in several if not _is_outer(plan, leaf, term)]
