"""Where the emitted code finds the weights, their gradients, and copies of them in another layout."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from myrnn.compiler._memory import LANES, Memory, Place, padded
from myrnn.compiler._terms import lookups
from myrnn.compiler.graph import Node
from myrnn.compiler.plan import Plan, Weight


@dataclass(frozen=True)
class Matrix:
    """A matrix in memory: the array, the offset of its first row and the distance of two rows."""

    array: str
    at: str
    stride: str


@dataclass(frozen=True)
class ParameterLayout:
    """Where a parameter stands in the block of all parameters, and how.

    Attributes
    ----------
    at : int
        The offset of its first row.
    rows, columns : int
        Its own shape.
    flipped : bool
        Whether it stands there transposed.
    """

    at: int
    rows: int
    columns: int
    flipped: bool

    @property
    def size(self) -> int:
        """How many numbers it takes, padding included."""
        rows, columns = (self.columns, self.rows) if self.flipped else (self.rows, self.columns)
        return rows * padded(columns)


@dataclass(frozen=True)
class Copies:
    """The calls that copy weights into the layout in which they are read, by where they go in the program.

    Attributes
    ----------
    parameters : list of str
        Copies of parameters, before all else.
    derived : list of str
        Copies of what is computed from parameters: after it is computed, before the steps.
    backward : list of str
        What only the way back reads.
    """

    parameters: list[str]
    derived: list[str]
    backward: list[str]


class WeightPlaces:
    """Gives the places of weights and asks for copies where a different layout is read."""

    def __init__(self, plan: Plan, parameter_names: tuple[str, ...], memory: Memory) -> None:
        self._memory = memory
        self._weights = plan.weights
        self.lookups = lookups(plan)
        self.layouts = _layouts(plan, self.lookups)
        self._matrices: dict[Node, Matrix] = {}
        self._gradients: dict[Node, Matrix] = {}
        self._flat: dict[Node, Place] = {}
        self._transposed: dict[Node, Matrix] = {}
        self.copies = Copies([], [], [])
        self.in_backward = False
        for leaf in sorted(plan.weights, key=lambda n: (n.operation, n.attributes)):
            if leaf.operation == "derived":
                self._place_derived(leaf)
            else:
                self._place_parameter(leaf, parameter_names[leaf.attributes[0]])

    @property
    def size(self) -> int:
        """How many numbers the block of all parameters has, padding included."""
        return sum(layout.size for layout in self.layouts.values())

    @property
    def dense_size(self) -> int:
        """How many of them are of parameters that are no lookups; these come first."""
        return min((self.layouts[i].at for i in self.lookups), default=self.size)

    def _set(self, leaf: Node, array: str, gradient_array: str, at: str, gradient_at: str) -> None:
        stride = self._memory.padded(self._weights[leaf].stored_columns)
        self._matrices[leaf] = Matrix(array, at, stride)
        self._gradients[leaf] = Matrix(gradient_array, gradient_at, stride)

    def _place_parameter(self, leaf: Node, name: str) -> None:
        index, *first_row = leaf.attributes
        at = self.layouts[index].at
        if first_row:
            at += first_row[0] * padded(self._weights[leaf].columns)
            name = f"{name}_from_{first_row[0]}"
        offset = self._memory.fixed(at, name)
        self._set(leaf, "p", "g", offset, offset)

    def _place_derived(self, leaf: Node) -> None:
        weight = self._weights[leaf]
        name = self._memory.matrix(f"derived_{leaf.attributes[0]}", weight.rows, weight.columns)
        gradient = self._memory.matrix(f"d_{name}", weight.rows, weight.columns)
        self._set(leaf, "w", "w", name, gradient)

    # Reading -------------------------------------------------------------------------------------------------------

    def weight(self, leaf: Node) -> Weight:
        """Return the weight of a leaf."""
        return self._weights[leaf]

    def knows(self, node: Node) -> bool:
        """Whether the node is a weight."""
        return node in self._weights

    def matrix(self, leaf: Node) -> Matrix:
        """Return the weight as it lies in memory."""
        return self._matrices[leaf]

    def gradient(self, leaf: Node) -> Matrix:
        """Return where its gradient is summed, in the same layout."""
        return self._gradients[leaf]

    def is_flat(self, leaf: Node) -> bool:
        """Whether its numbers stand one after the other, without padding between."""
        weight = self._weights[leaf]
        return weight.rows == 1 or (weight.columns % LANES == 0 and not weight.flipped)

    def vector(self, leaf: Node) -> Place:
        """Return its numbers one after the other: where they are, or a copy."""
        weight = self._weights[leaf]
        matrix = self._matrices[leaf]
        if self.is_flat(leaf):
            return Place(matrix.array, matrix.at, leaf.size)
        if leaf not in self._flat:
            place = self._memory.buffer(f"{matrix.at}_flat", leaf.size)
            self._flat[leaf] = place
            shape = f"{self._memory.number(weight.rows)}, {self._memory.number(weight.columns)}, {weight.flipped}"
            self._copy(leaf, f"unpack(w, {place.at}, {matrix.array}, {matrix.at}, {matrix.stride}, {shape})")
        return self._flat[leaf]

    def transposed(self, leaf: Node) -> Matrix:
        """Return a copy of the weight with the rows and columns of its layout exchanged."""
        if leaf not in self._transposed:
            weight, matrix = self._weights[leaf], self._matrices[leaf]
            rows, columns = weight.stored_rows, weight.stored_columns
            name = self._memory.matrix(f"{matrix.at}_transposed", padded(columns), rows)
            self._transposed[leaf] = Matrix("w", name, self._memory.padded(rows))
            self._copy(
                leaf,
                f"transpose(w, {name}, {self._memory.padded(rows)}, {matrix.array}, {matrix.at}, {matrix.stride}, "
                f"{self._memory.number(rows)}, {self._memory.padded(columns)})",
            )
        return self._transposed[leaf]

    def _copy(self, leaf: Node, call: str) -> None:
        if self.in_backward:
            self.copies.backward.append(call)
        elif leaf.operation == "derived":
            self.copies.derived.append(call)
        else:
            self.copies.parameters.append(call)


def _layouts(plan: Plan, lookups: frozenset[int]) -> dict[int, ParameterLayout]:
    """Lay the parameters out one after the other, the lookups last."""
    whole = {n.attributes[0]: plan.weights[n] for n in plan.weights if n.operation == "parameter"}
    layouts, at = {}, 0
    for index, shape in sorted(enumerate(plan.shapes), key=lambda item: item[0] in lookups):
        columns = shape[-1] if shape else 1
        rows = prod(shape) // columns if columns else 0
        flipped = index in whole and whole[index].flipped
        layouts[index] = ParameterLayout(at, rows, columns, flipped)
        at += layouts[index].size
    return layouts
