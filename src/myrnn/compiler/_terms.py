"""The terms of weights' gradients: products of two vectors, which are summed over steps at once, and all others."""

from __future__ import annotations

from dataclasses import dataclass

from myrnn.compiler._graph import Node
from myrnn.compiler._plan import Plan


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


def plain_terms(plan: Plan, terms: dict[Node, tuple[Node, ...]]) -> list[tuple[Node, Node]]:
    return [(leaf, term) for leaf, several in terms.items() for term in several if not _is_outer(plan, leaf, term)]
