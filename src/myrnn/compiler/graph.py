"""The compiler's graph: frozen nodes in one table, so that equal computations are the same object.

Every value is a flat vector of `size` float32 numbers. Shapes belong to MyGrad's side: axes of length one, reshapes and
transposes are gone once a model is traced (a transpose that matters is a fixed permutation, or a flag of the product
that reads it). The remaining few kinds of operations are all in the table of `ops`.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler import ops
from myrnn.compiler.leaves import WEIGHTS, AnyLeaf, Constant, Given, Leaf, SymbolRows
from myrnn.compiler.ops import OPERATIONS, Array, indices_of
from myrnn.compiler.simplify import simpler_product


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """One computation. Operators on nodes make nodes: ``g * (1 - y * y)``."""

    # A key of `OPERATIONS`; empty for a leaf.
    operation: str
    inputs: tuple[Node, ...]
    # Further attributes of the operation, such as indices.
    attributes: tuple[Any, ...]
    # The number of its elements.
    size: int
    # The builder that it belongs to; operators make nodes of the same builder.
    build: Builder = field(repr=False)
    # What a node without inputs is.
    leaf: Leaf | None = None

    # NumPy scalars defer to the operators of the node.
    __array_ufunc__ = None

    def __add__(self, other: Any) -> Node:
        return ops.add(self, other)

    def __radd__(self, other: Any) -> Node:
        return ops.add(other, self)

    def __sub__(self, other: Any) -> Node:
        return ops.subtract(self, other)

    def __rsub__(self, other: Any) -> Node:
        return ops.subtract(other, self)

    def __mul__(self, other: Any) -> Node:
        return ops.multiply(self, other)

    def __rmul__(self, other: Any) -> Node:
        return ops.multiply(other, self)

    def __truediv__(self, other: Any) -> Node:
        return ops.divide(self, other)

    def __rtruediv__(self, other: Any) -> Node:
        return ops.divide(other, self)

    def __neg__(self) -> Node:
        return ops.negative(self)

    def __repr__(self) -> str:
        """Return the operation and its size."""
        return f"<{'constant' if self.is_constant else self.leaf or self.operation} of {self.size}>"

    @property
    def is_leaf(self) -> bool:
        """Whether it has no inputs."""
        return self.leaf is not None

    @property
    def is_constant(self) -> bool:
        """Whether its numbers are fixed."""
        return isinstance(self.leaf, Constant)

    @property
    def numbers(self) -> NDArray[np.float32]:
        """The numbers of a constant, float32 (size,)."""
        assert isinstance(self.leaf, Constant)
        return np.frombuffer(self.leaf.numbers, dtype=np.float32)

    @property
    def is_zero(self) -> bool:
        """Whether all its numbers are zero whatever the model reads."""
        return self.is_constant and not self.numbers.any()


class Builder:
    """Makes nodes, and returns an existing equal node if there is one."""

    # With `fold`, nodes that depend only on constants are computed at once. With `simplify`, additions of zero and
    # products with one, which are frequent in derivatives, are removed; a trace is kept as it is, to be compared with
    # the model.

    def __init__(self, simplify: bool = False, fold: bool = True) -> None:
        self._table: dict[tuple[Any, ...], Node] = {}
        self._rebuilt: dict[tuple[Any, ...], Node] = {}
        self._simplify, self._fold = simplify, fold

    def leaf(self, leaf: Leaf, size: int) -> Node:
        """Return the node of this leaf."""
        return self._intern("", (), (), size, leaf)

    def given(self, given: Given) -> Node:
        """Return the node of numbers that are given to a step."""
        return self.leaf(given, given.width)

    def constant(self, values: Any) -> Node:
        """Return the constant with these numbers, flattened."""
        # Adding zero turns minus zero into zero.
        numbers = np.ascontiguousarray(values, dtype=np.float32).reshape(-1) + np.float32(0)
        return self.leaf(Constant(numbers.tobytes()), numbers.size)

    def make(self, operation: str, *operands: Any, **attributes: Any) -> Node:
        """Return the node of an operation on nodes or numbers; arrays among the attributes are indices."""
        row = OPERATIONS[operation]
        inputs = tuple(o if isinstance(o, Node) else self.constant(o) for o in operands)
        given = tuple(_hashable(attributes[name]) for name in row.attributes)
        size: int = row.size(tuple(i.size for i in inputs), *given)
        if self._fold and all(i.is_constant for i in inputs):
            with np.errstate(all="ignore"):
                return self.constant(row.reference(*(i.numbers for i in inputs), *given))
        if row.kind == "map" and operation != "expand":
            inputs = tuple(self._narrowed(i) for i in inputs)
            if all(i.size < size for i in inputs):
                return self.make("expand", self.make(operation, *inputs, **attributes), size=size)
        simpler = self._simpler(operation, inputs, given, size)
        return self._intern(operation, inputs, given, size) if simpler is None else simpler

    def rebuild(self, node: Node, inputs: Sequence[Node]) -> Node:
        """Return the operation of `node` on other inputs; a leaf of another builder is copied to this one."""
        if node.leaf is not None:
            return self.leaf(node.leaf, node.size)
        key = (node.operation, *map(id, inputs), node.attributes)
        known = self._rebuilt.get(key)
        if known is None:
            names = OPERATIONS[node.operation].attributes
            known = self.make(node.operation, *inputs, **dict(zip(names, node.attributes, strict=True)))
            self._rebuilt[key] = known
        return known

    def _narrowed(self, node: Node) -> Node:
        """Return a single number instead of a node that repeats it."""
        if node.operation == "expand":
            return node.inputs[0]
        if node.is_constant and node.size > 1 and np.all(node.numbers == node.numbers[0]):
            return self.constant(node.numbers[:1])
        return node

    def _simpler(self, operation: str, inputs: tuple[Node, ...], given: tuple[Any, ...], size: int) -> Node | None:
        """Return a cheaper node with the same numbers, if there is one."""
        first = inputs[0]
        if operation in ("expand", "sum") and first.size == size:
            return first
        if operation == "take":
            where = indices_of(given[0])
            if size == first.size and np.array_equal(where, np.arange(size)):
                return first
            if first.operation == "take":
                return self.make("take", first.inputs[0], indices=indices_of(first.attributes[0])[where])
        if (
            operation == "select"
            and self._fold
            and first.is_constant
            and (first.numbers.all() or not first.numbers.any())
        ):
            chosen = inputs[1 if first.numbers.all() else 2]
            return chosen if chosen.size == size else self.make("expand", chosen, size=size)
        if operation == "multiply" and self._fold and 0 in map(_number, inputs):
            # A first step multiplies a state of zeros by a weight, or skips that when the weight is not a tensor.
            return self.constant(np.zeros(size))
        if operation == "matmul" and self._fold and (row := _picked(inputs, given)) is not None:
            return row
        if self._simplify and (product := simpler_product(operation, inputs, given)) is not None:
            return product
        if self._simplify and operation in _NEUTRAL:
            left, right = (_number(i) == _NEUTRAL[operation] for i in inputs)
            if right or (left and operation in ("add", "multiply")):
                return self.make("expand", first if right else inputs[1], size=size)
        return None

    def _intern(
        self, operation: str, inputs: tuple[Node, ...], attributes: tuple[Any, ...], size: int, leaf: Leaf | None = None
    ) -> Node:
        key = (leaf or operation, *map(id, inputs), attributes, size)
        node = self._table.get(key)
        if node is None:
            node = self._table[key] = Node(operation, inputs, attributes, size, self, leaf)
        return node


# The neutral number on the right of an operation.
_NEUTRAL = {"add": 0, "subtract": 0, "multiply": 1, "divide": 1}


def _hashable(attribute: Any) -> Any:
    if isinstance(attribute, list):
        return tuple(_hashable(one) for one in attribute)
    is_indices = isinstance(attribute, np.ndarray | np.generic)
    return np.ascontiguousarray(attribute, dtype=np.int32).tobytes() if is_indices else attribute


def _number(node: Node) -> float | None:
    """Return the value of a constant whose numbers are all the same."""
    if node.is_constant and np.all(node.numbers == node.numbers[0]):
        return float(node.numbers[0])
    return None


def _picked(inputs: tuple[Node, ...], given: tuple[Any, ...]) -> Node | None:
    """Return the row of a matrix that a product with a one-hot vector selects."""
    (picks, matrix), (matrices, m, k, n, transposed) = inputs, given
    if not picks.is_constant or matrices * m != 1 or transposed or picks.size != k:
        return None
    places = np.flatnonzero(picks.numbers)
    if len(places) != 1 or picks.numbers[places[0]] != 1:
        return None
    return matrix.build.make("take", matrix, indices=np.arange(places[0] * n, (places[0] + 1) * n))


def topological(targets: Iterable[Node], stop: Iterable[Node] = ()) -> list[Node]:
    """Return every node that the targets need, each after its inputs; nothing below a node of `stop` is visited."""
    ends = set(stop)
    return inputs_first(targets, lambda node: () if node in ends else node.inputs)


def fixed_nodes(order: Iterable[Node]) -> set[Node]:
    """Return those of some nodes, each after its inputs, that depend only on parameters and constants.

    What is computed for all symbols counts as such: it is computed once for a batch.
    """
    fixed = set[Node]()
    for node in order:
        is_fixed = isinstance(node.leaf, WEIGHTS | Constant | SymbolRows)
        if is_fixed or (node.inputs and all(i in fixed for i in node.inputs)):
            fixed.add(node)
    return fixed


def inputs_first(targets: Iterable[Any], inputs_of: Callable[[Any], Sequence[Any]]) -> list[Any]:
    """Return the targets and all below them, each after its inputs, without recursion."""
    order: list[Any] = []
    seen: set[int] = set()
    stack = [(target, False) for target in reversed(list(targets))]
    while stack:
        one, is_last = stack.pop()
        if is_last:
            order.append(one)
        elif id(one) not in seen:
            seen.add(id(one))
            stack.append((one, True))
            stack += [(child, False) for child in reversed(inputs_of(one))]
    return order


def inputs_with_gradient(node: Node) -> tuple[Node, ...]:
    """Return the inputs of a node that its derivative reaches."""
    if node.operation == "select":
        return node.inputs[1:]
    return node.inputs if node.is_leaf or OPERATIONS[node.operation].derivative is not None else ()


def in_parallel(
    one: Node,
    other: Node,
    below: Callable[[Node, Node], Iterable[tuple[Node, Node]] | None],
    seen: set[tuple[Node, Node]] | None = None,
) -> None:
    """Walk two graphs together: `below` gets each pair once, and returns the pairs to go on with, or None to stop."""
    seen = set() if seen is None else seen
    stack = [(one, other)]
    while stack:
        pair = stack.pop()
        if pair in seen:
            continue
        seen.add(pair)
        if (pairs := below(*pair)) is None:
            return
        stack.extend(pairs)


def leaves_of(kind: type[AnyLeaf], targets: Iterable[Node]) -> list[AnyLeaf]:
    """Return the leaves of a kind that the targets need."""
    return [node.leaf for node in topological(targets) if isinstance(node.leaf, kind)]


def in_order(nodes: Container[Node], targets: Iterable[Node]) -> list[Node]:
    """Return those of the nodes that the targets need, each after its inputs."""
    # A set of nodes has a different order in every process; emitted code must not.
    return [node for node in topological(targets) if node in nodes]


Value = TypeVar("Value")
Made = Callable[[Node, Sequence[Value]], Value]
"""Makes the value of a node from those of its inputs: another node, or numbers."""


def fold(order: Iterable[Node], known: Mapping[Node, Value], made: Made[Value]) -> dict[Node, Value]:
    """Return the values of nodes, each after its inputs, given some of them."""
    values = dict(known)
    for node in order:
        if node not in values:
            values[node] = made(node, [values[i] for i in node.inputs])
    return values


def substitute(build: Builder, targets: Sequence[Node], known: Mapping[Node, Node]) -> list[Node]:
    """Rebuild the targets with the nodes of `known` replaced."""
    done = fold(topological(targets, stop=known), known, build.rebuild)
    return [done[target] for target in targets]


def substitutions(build: Builder, targets: Iterable[Node], known: dict[Node, Node]) -> dict[Node, Node]:
    """Return every node that the targets need, with what it becomes when the nodes of `known` are replaced."""
    order = topological(targets)
    return dict(zip(order, substitute(build, order, known), strict=True))


def evaluate(
    targets: Sequence[Node], known: Mapping[Node, NDArray[Any]], dtype: Any = np.float32
) -> list[NDArray[Any]]:
    """Compute the targets with NumPy, given the numbers of the leaves: the reference for all native code."""
    values = fold(topological(targets, stop=known), known, in_numpy(dtype))
    return [values[target] for target in targets]


def in_numpy(dtype: Any = np.float32) -> Made[Array]:
    """Return what computes a node with NumPy."""

    def numbers(node: Node, inputs: Sequence[Array]) -> Array:
        if node.is_constant:
            return node.numbers.astype(dtype)
        return OPERATIONS[node.operation].reference(*inputs, *node.attributes).astype(dtype, copy=False)

    return numbers


def check(targets: Iterable[Node], leaves: Iterable[type[Leaf]]) -> None:
    """Assert that the graph is well formed: known operations, right sizes, no leaves but those of `leaves`."""
    for node in topological(targets):
        if node.is_leaf:
            assert isinstance(node.leaf, (*leaves, Constant)), f"unexpected leaf {node}"
            continue
        row = OPERATIONS[node.operation]
        assert node.size == row.size(tuple(i.size for i in node.inputs), *node.attributes), f"wrong size of {node}"
