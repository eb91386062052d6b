"""Names for what the model left without one, so that the emitted code reads like the model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from myrnn.compiler._equations import state_names
from myrnn.compiler._expressions import Expressions
from myrnn.compiler._roll import Recurrence
from myrnn.compiler.graph import Node, topological
from myrnn.compiler.ops import OPERATIONS
from myrnn.compiler.trace import Origin

LONGEST = 90
"""How many letters of an expression are shown."""


def named(recurrence: Recurrence) -> dict[Node, Origin]:
    """Return the origins, with names for sums of products (``h_sum`` is what `h` is made of) and functions of names."""
    origins = dict(recurrence.origins)
    for node in topological([*recurrence.step, recurrence.readout]):
        name = "logits" if node is recurrence.readout else name_in(origins, node)
        for child in node.inputs if name and node.operation not in ("add", "matmul") else ():
            if not name_in(origins, child) and _holds_product(child):
                origins[child] = Origin(name=f"{name}_sum")
        if node.inputs and not name and OPERATIONS[node.operation].kind == "map":
            (first, *others) = [i for i in node.inputs if not i.is_constant]
            if name_in(origins, first) and not others:
                origins[node] = Origin(name=f"{node.operation}_{name_in(origins, first)}")
    return origins


def note_gradient(origins: dict[Node, Origin], node: Node, gradient: Node, terms: Iterable[Node | None]) -> None:
    """Name the gradient of a node that has a name, and the node's own derivative, by which the gradient is multiplied.

    Parameters
    ----------
    origins : dict
        Gets the names.
    node, gradient : Node
    terms : iterable of Node or None
        What the node hands on to its inputs.
    """
    name = name_in(origins, node)
    if not name:
        return
    give_name(origins, gradient, f"d_{name}")
    for term in terms:
        if term is not None and term.operation == "multiply" and term.inputs[0] is gradient:
            give_name(origins, term.inputs[1], f"slope_{name}")


def give_name(origins: dict[Node, Origin], node: Node, name: str) -> None:
    """Give a computed node a name, unless it has one."""
    if node.inputs and not name_in(origins, node):
        origins[node] = Origin(name=name)


def name_in(origins: dict[Node, Origin], node: Node) -> str:
    """Return the name of a node; empty where it has none."""
    return origins[node].name if node in origins else ""


def _holds_product(node: Node) -> bool:
    while node.operation == "add":
        if any(i.operation == "matmul" for i in node.inputs):
            return True
        node = node.inputs[0]
    return node.operation == "matmul"


class Words(Expressions):
    """What nodes are called, and what they are, in the model's words.

    Parameters
    ----------
    recurrence : Recurrence
        With names for what has one.
    parameter_names : tuple of str
    shapes : sequence of tuple
        Of the parameters.
    """

    def __init__(
        self, recurrence: Recurrence, parameter_names: tuple[str, ...], shapes: Sequence[tuple[int, ...]]
    ) -> None:
        super().__init__(state_names(recurrence), parameter_names, [shape[-1] if shape else 1 for shape in shapes])
        self._origins = recurrence.origins
        self._named = {n: origin.name for n, origin in self._origins.items() if n.inputs and origin.name}
        self._named |= {n: name for n, name in zip(recurrence.step, self.states, strict=True) if n.inputs}
        self._named[recurrence.readout] = "logits"

    def name(self, node: Node) -> str:
        """Return the name of a node; empty where it has none."""
        return self._named.get(node) or name_in(self._origins, node)

    def label(self, node: Node) -> str:
        """Return the name of a node or, where it has none, that of its operation."""
        return self.name(node) or node.operation

    def operand(self, node: Node) -> str:
        """Return the name of a node or, where it has none, its expression."""
        self._write_below(node)
        return self._operand(node, 1)

    def expression(self, node: Node) -> str:
        """Return the expression of a node."""
        self._write_below(node)
        return self._written[node] if node.inputs else self._write(node)

    def _write_below(self, node: Node) -> None:
        """Write what the node is made of, inputs first, so that neither depth nor sharing makes it long."""
        for below in topological([node], stop={*self._named, *self._written} - {node}):
            known = below in self._written or (below in self._named and below is not node)
            if below.inputs and not known:
                text = self._write(below)
                self._written[below] = text if len(text) <= LONGEST else f"{text[: text.rfind(' ', 0, LONGEST)]} ..."
