"""Stage 5: how the weights are laid out in memory, and what the way forward keeps for the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from myrnn.compiler._memory import LANES
from myrnn.compiler.derive import Derivative, Pullback
from myrnn.compiler.graph import Node, topological

# Not worth a place in memory when their inputs have one: computed again on the way back.
_CHEAP = frozenset({"add", "subtract", "multiply", "negative", "greater", "equal", "select", "expand"})


@dataclass(frozen=True)
class Weight:
    """What every step reads: a parameter, rows of one, or a node computed from parameters once.

    Attributes
    ----------
    leaf : Node
        What stands for it in the graphs.
    rows, columns : int
        Its shape as the products read it; a vector has one row.
    flipped : bool
        Whether it is kept transposed, because it has many rows and few columns.
    """

    leaf: Node
    rows: int
    columns: int
    flipped: bool = False

    @property
    def stored_rows(self) -> int:
        """How many rows it has in memory."""
        return self.columns if self.flipped else self.rows

    @property
    def stored_columns(self) -> int:
        """How many numbers of each row in memory are its own; what follows them is padding."""
        return self.rows if self.flipped else self.columns


@dataclass(frozen=True)
class Plan:
    """Everything that the emitter needs to know beside the derivative.

    Attributes
    ----------
    derivative : Derivative
    shapes : tuple of tuple
        The shape of each parameter.
    tokens : bool
        Whether a sequence is tokens (one row of a weight for each) or features.
    weights : dict
        Leaf -> weight.
    saved_step, saved_readout, saved_prelude : set of Node
        What each part's way forward leaves for its way back.
    projected : set of Node
        Products of the input with a weight: computed for all steps at once, or, for tokens, a row of the weight.
    """

    derivative: Derivative
    shapes: tuple[tuple[int, ...], ...]
    tokens: bool
    weights: dict[Node, Weight]
    saved_step: set[Node]
    saved_readout: set[Node]
    saved_prelude: set[Node]
    projected: set[Node]


def make_plan(derivative: Derivative, shapes: Sequence[tuple[int, ...]], tokens: bool) -> Plan:
    """Plan the memory of a recurrence whose parameters have the given shapes."""
    r = derivative.recurrence
    weights = _weights(derivative, shapes)
    projected = {
        n
        for n in topological(r.step)
        if n.operation == "matmul" and n.inputs[0].operation == "input" and _fits(n, weights)
    }
    return Plan(
        derivative,
        tuple(shapes),
        tokens,
        weights,
        _saved(r.step, derivative.step) - projected,
        _saved([r.readout], derivative.readout),
        _saved([*r.initial, *derivative.derived], derivative.prelude),
        projected,
    )


def backward_targets(pullback: Pullback) -> list[Node]:
    """Return what a way back computes: the gradients of the states, and the operands and terms of the weights'."""
    targets = list(pullback.states)
    for terms in pullback.weights.values():
        for term in terms:
            targets += term.inputs if term.operation == "outer" else (term,)
    return targets


def reads_as_stored(product: Node, weight: Weight) -> bool:
    """Whether the product goes along the rows of the weight in memory (else it needs the transposed matrix)."""
    return bool(product.attributes[3]) == weight.flipped


def _fits(product: Node, weights: dict[Node, Weight]) -> bool:
    weight = weights.get(product.inputs[1])
    return (
        weight is not None and product.attributes[0] == 1 and fits(product, weight) and reads_as_stored(product, weight)
    )


def fits(product: Node, weight: Weight) -> bool:
    """Whether the product reads the weight in the shape that it is laid out in."""
    _, k, n, transposed = product.attributes
    return (weight.rows, weight.columns) == ((n, k) if transposed else (k, n))


def _weights(derivative: Derivative, shapes: Sequence[tuple[int, ...]]) -> dict[Node, Weight]:
    """Decide the shape of every parameter and derived node in memory from how the products read it."""
    r = derivative.recurrence
    graph = topological([*r.step, r.readout, *r.initial, *derivative.derived])
    weights: dict[Node, Weight] = {}
    taken_apart = {n.attributes[0] for n in graph if n.operation == "rows"}
    for leaf in [n for n in graph if n.operation in ("parameter", "rows")]:
        shape = shapes[leaf.attributes[0]]
        columns = shape[-1] if shape else 1
        rows = leaf.size // columns
        whole = leaf.operation == "parameter" and leaf.attributes[0] not in taken_apart
        flipped = whole and columns < min(LANES, rows) and _only_multiplied(graph, leaf, rows, columns)
        weights[leaf] = Weight(leaf, rows, columns, flipped)
    for leaf in [n for n in graph if n.operation == "derived"]:
        weights[leaf] = Weight(leaf, *_shape_by_products(graph, leaf))
    return weights


def _only_multiplied(graph: Sequence[Node], leaf: Node, rows: int, columns: int) -> bool:
    """Whether every use is a product of a vector other than the input with the leaf in its own shape."""
    uses = [n for n in graph if leaf in n.inputs]
    weight = Weight(leaf, rows, columns)
    return all(
        n.operation == "matmul"
        and n.attributes[0] == 1
        and n.inputs[0] is not leaf
        and n.inputs[0].operation != "input"
        and fits(n, weight)
        for n in uses
    )


def _shape_by_products(graph: Sequence[Node], leaf: Node) -> tuple[int, int]:
    for node in graph:
        if node.operation == "matmul" and node.inputs[1] is leaf:
            _, k, n, transposed = node.attributes
            return (n, k) if transposed else (k, n)
    return 1, leaf.size


def _saved(forward: Sequence[Node], pullback: Pullback) -> set[Node]:
    """Return the nodes of the way forward that must be in memory for the way back."""
    ahead = {n for n in topological(forward) if n.inputs}
    saved = {n for n in topological(backward_targets(pullback), stop=ahead) if n in ahead}
    for node in topological(forward):
        if node in saved and node.operation in _CHEAP and node not in forward:
            if all(i.is_leaf or i in saved for i in node.inputs):
                saved.discard(node)
    # A slice is read where it lies, so what it is a slice of must stay.
    for node in reversed(topological(forward)):
        if node in saved and node.operation == "take" and node.inputs[0].inputs:
            saved.add(node.inputs[0])
    return saved
