"""Stage 3: backpropagation through time, as graphs: the derivatives of the readout, of one step and of the initial states.

References
----------
Werbos, "Backpropagation through time: what it does and how to do it", 1990.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from myrnn.compiler._graph import Builder, Node, substitute, topological
from myrnn.compiler._operations import OPERATIONS
from myrnn.compiler._roll import Recurrence


@dataclass(frozen=True)
class Pullback:
    """The derivatives of a part of the recurrence.

    Attributes
    ----------
    states : tuple of Node
        The gradient with respect to each state that the part reads.
    input : Node
        The gradient with respect to the row of the sequence.
    parameters : dict
        Parameter leaf -> what this part adds to its gradient, a list of terms to be summed. A term ``outer(v, dz)`` is kept
        apart, because it can be summed over all steps in one product.
    """

    states: tuple[Node, ...]
    input: Node
    parameters: dict[Node, tuple[Node, ...]]


@dataclass(frozen=True)
class Derivative:
    """The recurrence and all its derivatives.

    Gradients that come from outside are leaves ``gradient``: of the logits (attribute ``"logits"``), and of each state
    (its number).
    """

    recurrence: Recurrence
    readout: Pullback
    step: Pullback
    initial: Pullback


def differentiate(recurrence: Recurrence, build: Builder) -> Derivative:
    """Derive backpropagation through time.

    Parameters
    ----------
    recurrence : Recurrence
    build : Builder
        A simplifying one; the recurrence is rebuilt in it.
    """
    parts = [*recurrence.initial, *recurrence.step, recurrence.readout]
    written = substitute(build, parts, {})
    count = len(recurrence.step)
    initial, step, readout = tuple(written[:count]), tuple(written[count:-1]), written[-1]
    origins = _carried_origins(recurrence, build)
    simplified = Recurrence(recurrence.dim_input, initial, step, readout, recurrence.reverse, origins)
    sizes = recurrence.state_sizes
    of_states = tuple(build.leaf("gradient", i, size=size) for i, size in enumerate(sizes))
    of_logits = build.leaf("gradient", "logits", size=readout.size)
    return Derivative(
        simplified,
        _pull_back(build, [readout], [of_logits], simplified),
        _pull_back(build, step, of_states, simplified),
        _pull_back(build, initial, of_states, simplified),
    )


def _carried_origins(recurrence: Recurrence, build: Builder) -> dict[Node, object]:
    nodes = list(recurrence.origins)
    return dict(zip(substitute(build, nodes, {}), recurrence.origins.values(), strict=True))


def _pull_back(build: Builder, targets: Sequence[Node], gradients: Sequence[Node], recurrence: Recurrence) -> Pullback:
    """Reverse a part: from the gradients of its targets to those of its leaves."""
    terms: dict[Node, list[Node]] = {}
    for target, gradient in zip(targets, gradients, strict=True):
        terms.setdefault(target, []).append(gradient)
    order = topological(targets)
    for node in reversed(order):
        if node.inputs and node in terms:
            _propagate(build, node, _summed(build, terms.pop(node), node.size), terms)
    states = (build.leaf("state", i, size=size) for i, size in enumerate(recurrence.state_sizes))
    row = build.leaf("input", size=recurrence.dim_input)
    return Pullback(
        tuple(_summed(build, terms.get(state, []), state.size) for state in states),
        _summed(build, terms.get(row, []), row.size),
        {node: tuple(t) for node, t in terms.items() if node.operation == "parameter"},
    )


def _propagate(build: Builder, node: Node, gradient: Node, terms: dict[Node, list[Node]]) -> None:
    """Hand the gradient of a node on to its inputs by the table's rule."""
    rule = OPERATIONS[node.operation].derivative
    if rule is None or _is_zero(gradient):
        return
    for child, term in zip(node.inputs, rule(build, node, gradient, *node.inputs), strict=True):
        if term is None or child.is_constant or _is_zero(term):
            continue
        if child.size == 1 and term.size > 1:
            # A single number served for every element: its gradient is the sum over them.
            term = build.sum(term, outer=1, n=term.size, inner=1)
        terms.setdefault(child, []).append(term)


def _summed(build: Builder, terms: list[Node], size: int) -> Node:
    if not terms:
        return build.constant([0.0] * size)
    total = terms[0]
    for term in terms[1:]:
        total = build.add(total, term)
    return build.expand(total, size)


def _is_zero(node: Node) -> bool:
    return node.is_constant and not node.numbers.any()
