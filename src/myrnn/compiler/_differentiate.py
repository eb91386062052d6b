"""Stage 4: backpropagation through time, as graphs.

There is one for the readout, one for a step, and one for what comes before the first step.

References
----------
Werbos, "Backpropagation through time: what it does and how to do it", 1990.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from myrnn.compiler._equations import state_names
from myrnn.compiler._graph import Builder, Node, indices_of, topological
from myrnn.compiler._hoist import Hoisted
from myrnn.compiler._names import give_name, named, note_gradient
from myrnn.compiler._operations import OPERATIONS
from myrnn.compiler._record import Origin
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
    weights : dict
        Leaf (``parameter``, ``rows`` or ``derived``) -> the terms that this part adds to its gradient. A term
        ``outer(v, dz)`` is kept apart from the others, because it can be summed over all steps in one product.
    """

    states: tuple[Node, ...]
    input: Node
    weights: dict[Node, tuple[Node, ...]]


@dataclass(frozen=True)
class Derivative:
    """The recurrence and all its derivatives.

    Gradients that come from outside are leaves ``gradient``: of the logits (attribute ``"logits"``), of each state (its
    number) and of each derived node (``"derived"`` and its number).

    Attributes
    ----------
    recurrence : Recurrence
    derived : tuple of Node
    readout, step : Pullback
    prelude : Pullback
        From the initial states and the derived nodes to the parameters.
    """

    recurrence: Recurrence
    derived: tuple[Node, ...]
    readout: Pullback
    step: Pullback
    prelude: Pullback


def differentiate(hoisted: Hoisted, build: Builder) -> Derivative:
    """Derive backpropagation through time; `build` is the simplifying builder that `hoisted` is made in."""
    recurrence = hoisted.recurrence
    of_states = [build.leaf("gradient", i, size=size) for i, size in enumerate(recurrence.state_sizes)]
    of_derived = [build.leaf("gradient", "derived", i, size=n.size) for i, n in enumerate(hoisted.derived)]
    of_logits = [build.leaf("gradient", "logits", size=recurrence.readout.size)]
    recurrence = replace(recurrence, origins=named(recurrence))
    return Derivative(
        recurrence,
        hoisted.derived,
        _pull_back(build, [recurrence.readout], of_logits, recurrence),
        _pull_back(build, recurrence.step, of_states, recurrence),
        _pull_back(build, [*recurrence.initial, *hoisted.derived], [*of_states, *of_derived], recurrence),
    )


def _pull_back(build: Builder, targets: Sequence[Node], gradients: Sequence[Node], recurrence: Recurrence) -> Pullback:
    """Reverse a part: from the gradients of its targets to those of its leaves."""
    terms: dict[Node, list[Node]] = {}
    for target, gradient in zip(targets, gradients, strict=True):
        terms.setdefault(target, []).append(gradient)
    for node in reversed(topological(targets)):
        if node.inputs and node in terms:
            _propagate(build, node, _summed(build, terms.pop(node), node.size), terms, recurrence.origins)
    states = (build.leaf("state", i, size=size) for i, size in enumerate(recurrence.state_sizes))
    row = build.leaf("input", size=recurrence.dim_input)
    of_states = tuple(_summed(build, terms.get(state, []), state.size) for state in states)
    for name, node in zip(state_names(recurrence), of_states, strict=True):
        give_name(recurrence.origins, node, f"d_{name}")
    return Pullback(
        of_states,
        _summed(build, terms.get(row, []), row.size),
        {node: tuple(t) for node, t in terms.items() if node.operation in ("parameter", "rows", "derived")},
    )


def _propagate(
    build: Builder, node: Node, gradient: Node, terms: dict[Node, list[Node]], origins: dict[Node, Origin]
) -> None:
    """Hand the gradient of a node on to its inputs by the table's rule."""
    rule = OPERATIONS[node.operation].derivative
    if rule is None or _is_zero(gradient):
        return
    shares = rule(build, node, gradient, *node.inputs)
    note_gradient(origins, node, gradient, shares)
    for child, term in zip(node.inputs, shares, strict=True):
        if term is None or child.is_constant or _is_zero(term):
            continue
        if child.size == 1 and term.size > 1:
            # A single number served for every element: its gradient is the sum over them.
            term = build.sum(term, outer=1, n=term.size, inner=1)
        terms.setdefault(child, []).append(build.expand(term, child.size))


def _summed(build: Builder, terms: list[Node], size: int) -> Node:
    if not terms:
        return build.constant(np.zeros(size))
    joined = _joined(build, terms, size)
    if joined is not None:
        return joined
    total = terms[0]
    for term in terms[1:]:
        total = build.add(total, term)
    return total


def _joined(build: Builder, terms: list[Node], size: int) -> Node | None:
    """Return terms that fill a vector piece by piece, as gradients of slices do, side by side; None for other terms."""
    if len(terms) < 2 or any(t.operation != "put" for t in terms):
        return None
    places = [t.attributes[0] for t in terms]
    if sum(len(p) // 4 for p in places) != size or len(set(np.concatenate([indices_of(p) for p in places]))) != size:
        return None
    return build.make("join", *(t.inputs[0] for t in terms), places=tuple(places))


def _is_zero(node: Node) -> bool:
    return node.is_constant and not node.numbers.any()
