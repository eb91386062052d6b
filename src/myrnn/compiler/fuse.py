"""Which nodes are computed in one loop.

Element-wise nodes are fused into loops, each as large as the known values allow. A sum of matrix products and other
terms becomes one *linear* node: a loop initializes it with its terms, and its products are accumulated in place. Of an
outer product and one other term, such as the last state, the sum is computed in one pass.

A loop reads joined vectors where their parts are. It may also sum products of its elements.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from myrnn.compiler.graph import Node, topological
from myrnn.compiler.leaves import WEIGHTS
from myrnn.compiler.ops import OPERATIONS, is_slice, parts_in_place, repeated_axes, run_of, sizes_of
from myrnn.compiler.plan import padded
from myrnn.compiler.runtime import LANES

_PRODUCTS = ("matmul", "outer")


class Scaled(NamedTuple):
    """A node in memory, times a single number, or times one for each of several matrices."""

    factors: Node
    node: Node


@dataclass(frozen=True)
class Linear:
    """A sum of products and other terms."""

    # A product may be put into a part of the sum.
    products: tuple[Node, ...]
    terms: tuple[Node, ...]
    # What the first product, an outer one, is added to in the same pass: then there are no terms.
    base: Scaled | None = None

    @property
    def read_by_products(self) -> set[Node]:
        """What must be in memory before the products."""
        return {*(self.base or ()), *(i for p in self.products for i in multiplied(p).inputs)}


def multiplied(product: Node) -> Node:
    """Return the product itself of one that is put into a part of a sum."""
    return product.inputs[0] if product.operation == "put" else product


Group = tuple[Node, ...]
"""The nodes of a loop in order; or one node that is not element-wise, or the products of a linear one."""


@dataclass(frozen=True)
class Fused:
    """The nodes of a part in groups."""

    # For each group, whether it is a loop, and its nodes.
    groups: list[tuple[bool, Group]]
    linear: dict[Node, Linear]
    # The sums that loops compute.
    sums: set[Node]
    # The nodes that must be in memory, because something outside of their own loop reads them.
    kept: set[Node] = field(default_factory=set)

    def reads(self, is_loop: bool, nodes: Group) -> set[Node]:
        """Return what a group reads: the terms of linear nodes for a loop, otherwise their vectors."""
        if is_loop:
            return {i for n in nodes for i in (self.linear[n].terms if n in self.linear else n.inputs)}
        (node,) = nodes
        return self.linear[node].read_by_products if node in self.linear else set(node.inputs)


def fuse(targets: Iterable[Node], available: set[Node], keep: set[Node]) -> Fused:
    """Order the computation of the targets from values in memory, and fuse it into loops; `keep` stays in memory."""
    wanted = list(dict.fromkeys(targets))
    order = [n for n in topological(wanted, stop=available) if n not in available and n.inputs]
    linear, absorbed = _linear_nodes(order, set(wanted), available)
    nodes = [n for n in order if n not in absorbed]
    sums = {n for n in nodes if _is_sum(n) and (n not in linear or linear[n] == Linear((n,), ()))}
    linear = {n: one for n, one in linear.items() if n not in sums}
    groups = _Grouping(nodes, linear, sums, set(available)).groups
    for i, (is_loop, group) in enumerate(groups):
        if is_loop and len(group) == 1 and group[0] in sums:
            # A function is faster than a loop that computes nothing else.
            (node,) = group
            sums.remove(node)
            groups[i] = (False, group)
            if node.operation == "matmul":
                linear[node] = Linear((node,), ())
    fused = Fused(groups, linear, sums, {*linear, *sums, *(keep & set(nodes))})
    for is_loop, group in fused.groups:
        inside = {n for n in group if n not in linear and n not in sums} if is_loop else set()
        fused.kept.update(fused.reads(is_loop, group) - inside)
        if not is_loop:
            fused.kept.update(group)
    return fused


def _is_sum(node: Node) -> bool:
    """Whether a node is a single number: the sum of all elements of a vector, or of the products of two."""
    if node.operation == "sum":
        return node.size == 1
    return node.operation == "matmul" and node.size == 1 and not isinstance(node.inputs[1].leaf, WEIGHTS)


def loop_size(node: Node, sums: Container[Node]) -> int:
    """Return the number of elements of the loop that a node is computed in."""
    return max(i.size for i in node.inputs) if node in sums else node.size


def _linear_nodes(
    order: Sequence[Node], wanted: set[Node], available: set[Node]
) -> tuple[dict[Node, Linear], set[Node]]:
    """Find the sums with products, from the largest down, and the nodes that they absorb."""
    readers: dict[Node, int] = {}
    for node in order:
        for child in node.inputs:
            readers[child] = readers.get(child, 0) + 1
    inside = set(order) - available

    def private(node: Node) -> bool:
        return node in inside and node not in wanted and readers[node] == 1

    linear: dict[Node, Linear] = {}
    absorbed: set[Node] = set()
    for node in reversed(order):
        if node in absorbed or node.operation not in ("add", *_PRODUCTS):
            continue
        leaves, inner, stack = [], [], [node]
        while stack:
            part = stack.pop()
            if part is node or private(part):
                if part.operation == "add" and all(i.size == part.size for i in part.inputs):
                    inner.append(part)
                    stack.extend(reversed(part.inputs))
                    continue
            leaves.append(part)
        products = [n for n in leaves if n.operation in _PRODUCTS and (n is node or private(n))]
        put = [n for n in leaves if private(n) and _is_put_product(n) and private(n.inputs[0])]
        if len(put) + len(products) < len(leaves):
            # Something writes all of the sum before.
            products += put
        if products:
            terms = tuple(n for n in leaves if n not in products)
            outer = next((n for n in products if n.operation == "outer"), None)
            base = _base(terms, outer, private) if outer else None
            if base is not None:
                products.sort(key=lambda n: n is not outer)
                multiples = [n for n in terms if n is not base.node]
                inner += [*multiples, *(i for n in multiples for i in n.inputs if i not in base and private(i))]
            linear[node] = Linear(tuple(products), () if base else terms, base)
            absorbed |= {*inner, *products, *map(multiplied, products)} - {node}
    return linear, absorbed


def _is_put_product(node: Node) -> bool:
    """Whether a node is a product that is put into consecutive numbers of a vector, whole lanes of it."""
    run = run_of(node.attributes[0]) if node.operation == "put" else None
    if run is None or node.inputs[0].operation != "matmul":
        return False
    # To other numbers it would add zero times infinity.
    is_last = run.stop == node.size and run.start + padded(len(run)) <= padded(node.size)
    return is_last or len(run) % LANES == 0


def _base(terms: tuple[Node, ...], outer: Node, private: Callable[[Node], bool]) -> Scaled | None:
    """Return a single term that is in memory, or a multiple of what is; None if a loop has to compute it."""
    if len(terms) != 1 or terms[0].is_constant:
        return None
    (term,) = terms
    if not private(term) or OPERATIONS[term.operation].kind != "map":
        return Scaled(term.build.constant(1.0), term)
    if term.operation == "multiply":
        matrices = sizes_of(outer).matrices
        for factor, node in (term.inputs, term.inputs[::-1]):
            if node.size == term.size and not node.is_constant:
                if factor.size == 1:
                    return Scaled(factor, node)
                if repeated_axes(factor) == (matrices, term.size // matrices, 1):
                    return Scaled(factor.inputs[0], node)
    return None


class _Grouping:
    """Groups nodes in the order in which they can be computed."""

    def __init__(self, nodes: list[Node], linear: dict[Node, Linear], sums: set[Node], done: set[Node]) -> None:
        self.groups: list[tuple[bool, Group]] = []
        self._left, self._done, self._linear, self._sums = list(nodes), done, linear, sums
        self._reads = {n: n.inputs for n in nodes}
        self._reads |= {n: (*s.terms, *s.read_by_products) for n, s in linear.items()}
        self._joined = {n for n in nodes if parts_in_place(n)}
        maps = {n for n in nodes if OPERATIONS[n.operation].kind == "map"}
        # The nodes of loops. A linear node that has its terms, but not yet its products, is none any more.
        self._looped = {*linear, *sums, *self._joined, *maps}
        while self._left:
            before = len(self.groups)
            self._add([n for n in self._left if is_slice(n) and self._is_ready(n)])
            first = next((n for n in self._left if n in self._looped and self._is_ready(n)), None)
            if first is not None:
                self._add_loop(loop_size(first, sums))
            self._add([n for n in self._left if n not in self._looped and self._is_ready(n)])
            assert len(self.groups) > before, f"nothing can be computed of {self._left}"

    def _is_ready(self, node: Node, loop: Iterable[Node] = (), size: int = 0) -> bool:
        # What a loop reads elsewhere than at its elements must be finished before: single numbers and parts of vectors.
        inside = () if node in self._joined else loop
        return all(i in self._done or not i.inputs or (i in inside and i.size == size) for i in self._reads[node])

    def _add(self, nodes: Sequence[Node]) -> None:
        """Add a group for each of some nodes."""
        self.groups += [(False, (n,)) for n in nodes]
        self._finish(set(nodes))

    def _finish(self, nodes: set[Node]) -> None:
        self._done |= nodes
        self._left = [n for n in self._left if n not in nodes]

    def _add_loop(self, size: int) -> None:
        """Add a loop of all nodes that can be computed over so many elements."""
        inside: dict[Node, None] = {}
        # A linear node is only finished by its products, and a sum by the last element: nothing in the loop reads them.
        begun, summed = list[Node](), set[Node]()
        for node in self._left:
            if node in self._looped and loop_size(node, self._sums) == size and self._is_ready(node, inside, size):
                if node in self._linear:
                    begun.append(node)
                elif node in self._sums:
                    summed.add(node)
                else:
                    inside[node] = None
        early = {n for n in self._left if n in self._linear and n not in begun and self._begins_in(n, inside)}
        members = {*inside, *begun, *summed, *early}
        self.groups.append((True, tuple(n for n in self._left if n in members)))
        self._finish({*inside, *summed})
        self._add(begun)
        self._looped -= early
        self._reads |= {n: tuple(self._linear[n].read_by_products) for n in early}

    def _begins_in(self, node: Node, loop: Mapping[Node, None]) -> bool:
        """Whether a loop computes a term of a linear node, and can read the others: so no term is stored apart."""
        terms = self._linear[node].terms
        return any(i in loop and i.size == node.size for i in terms) and all(
            i in loop or i in self._done or not i.inputs for i in terms
        )


def is_one_number(node: Node) -> bool:
    """Whether the node is one constant number, maybe repeated: its lanes are a literal."""
    return node.is_constant and bool(np.all(node.numbers == node.numbers[0]))
