"""Where the numbers of nodes stand in memory, and the expressions that read them there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from myrnn.compiler._memory import LANES, Memory, Place
from myrnn.compiler._weights import WeightPlaces
from myrnn.compiler.graph import Node
from myrnn.compiler.ops import indices_of


@dataclass(frozen=True)
class Sink:
    """Where the numbers of a node go, written there, or added to what is there."""

    node: Node
    place: Place
    add: bool = False


@dataclass(frozen=True)
class Places:
    """Finds the numbers of nodes.

    Attributes
    ----------
    memory : Memory
    weights : WeightPlaces
    known : dict
        Node -> where its numbers stand. What is computed and kept is entered.
    clean : frozenset of Node
        Nodes whose padding must be zero, because a product or a sum reads it.
    rows : str
        The variable that counts the sequences side by side; empty for one.
    """

    memory: Memory
    weights: WeightPlaces
    known: dict[Node, Place]
    clean: frozenset[Node]
    rows: str = ""

    def of(self, node: Node) -> Place:
        """Return where the numbers of a node stand."""
        if node in self.known:
            return self.known[node]
        if node.is_constant:
            return self.memory.constant(node)
        if self.weights.knows(node):
            return self.weights.vector(node)
        assert self.is_slice(node), f"{node} has no place"
        whole, start = self.of(node.inputs[0]), _run(node.attributes[0])
        offset = self.memory.number(start or 0, "offset")
        return replace(whole, size=node.size, extra=f"{whole.extra} + {offset}" if whole.extra else offset)

    def is_slice(self, node: Node) -> bool:
        """Whether the node is a run of another one's numbers and can be read where they stand."""
        return node.operation == "take" and node not in self.clean and _run(node.attributes[0]) is not None

    def sharing(self, place: Place) -> set[Node]:
        """Return the nodes whose numbers stand at a place."""
        return {n for n, other in self.known.items() if other.at == place.at and other.step == place.step}

    def overwrites(self, node: Node) -> bool:
        """Whether the node is written where the numbers of another one stand, such as a gradient over that before."""
        return bool(self.sharing(self.known[node]) - {node})

    # As text -------------------------------------------------------------------------------------------------------

    def base(self, place: Place) -> str:
        """Return the offset of a place, in the present row where there are several."""
        return place.base("r" if self.rows else "")

    def address(self, place: Place) -> str:
        """Return the array and the offset of a place, as the arguments of a call."""
        return f"{place.array}, {self.base(place)}"

    def address_of(self, node: Node) -> str:
        """Return the array and the offset of a node's numbers."""
        return self.address(self.of(node))

    def lanes_of(self, node: Node) -> str:
        """Return the expression for lanes of a node in a loop over `j`."""
        if _is_one_number(node):
            return _literal(float(node.numbers[0]))
        place = self.of(node)
        return f"spread({self.address(place)})" if place.size == 1 else f"load({self.address(place)} + j)"

    def cleaned(self, text: str, node: Node) -> str:
        """Return an expression for lanes of a node with zeros in its padding."""
        if node.size % LANES == 0 or text == "0.0":
            return text
        if _is_one_number(node):
            text = f"full({text})"
        return f"keep({text}, {self.memory.number(node.size)} - j)"

    def numbers(self, *values: int) -> str:
        """Return the names of integers, as the arguments of a call."""
        return ", ".join(self.memory.number(value) for value in values)


def _is_one_number(node: Node) -> bool:
    """Whether the node is one constant number, however often: its lanes are a literal."""
    return node.is_constant and bool(np.all(node.numbers == node.numbers[0]))


def _run(indices: bytes) -> int | None:
    """Return where a run of neighbouring indices begins; None where they are no run."""
    where = indices_of(indices)
    return int(where[0]) if np.array_equal(where, np.arange(where[0], where[0] + len(where))) else None


def _literal(value: float) -> str:
    number = np.float32(value)
    if np.isfinite(number):
        return str(number)
    return "np.float32(np.nan)" if np.isnan(number) else f"np.float32({'-' if number < 0 else ''}np.inf)"
