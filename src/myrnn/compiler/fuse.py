"""Which nodes are computed in one loop.

Element-wise nodes are fused into loops, each as large as the known values allow. A sum of matrix products and other
terms becomes one *linear* node: a loop initializes it with its terms, and its products are accumulated in place. Of an
outer product and one other term, such as the last state, the sum is computed in one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from myrnn.compiler.graph import Node, topological
from myrnn.compiler.ops import OPERATIONS, is_slice, repeated_axes, sizes_of

_PRODUCTS = ("matmul", "outer")


class Scaled(NamedTuple):
    """A node in memory, times a single number, or times one for each of several matrices."""

    factors: Node
    node: Node


@dataclass(frozen=True)
class Linear:
    """A sum of products and other terms."""

    products: tuple[Node, ...]
    terms: tuple[Node, ...]
    # What the first product, an outer one, is added to in the same pass: then there are no terms.
    base: Scaled | None = None

    @property
    def read_by_products(self) -> set[Node]:
        """What must be in memory before the products."""
        return {*(self.base or ()), *(i for p in self.products for i in p.inputs)}


Group = tuple[Node, ...]
"""The nodes of a loop in order; or one node that is not element-wise, or the products of a linear one."""


@dataclass(frozen=True)
class Fused:
    """The nodes of a part in groups."""

    # For each group, whether it is a loop, and its nodes.
    groups: list[tuple[bool, Group]]
    linear: dict[Node, Linear]
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
    fused = Fused(_groups(nodes, linear, set(available)), linear, set(linear) | (keep & set(nodes)))
    for is_loop, group in fused.groups:
        inside = {n for n in group if n not in linear} if is_loop else set()
        fused.kept.update(fused.reads(is_loop, group) - inside)
        if not is_loop:
            fused.kept.update(group)
    return fused


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
        if products:
            terms = tuple(n for n in leaves if n not in products)
            outer = next((n for n in products if n.operation == "outer"), None)
            base = _base(terms, outer, private) if outer else None
            if base is not None:
                products.sort(key=lambda n: n is not outer)
                multiples = [n for n in terms if n is not base.node]
                inner += [*multiples, *(i for n in multiples for i in n.inputs if i not in base and private(i))]
            linear[node] = Linear(tuple(products), () if base else terms, base)
            absorbed |= {*inner, *products} - {node}
    return linear, absorbed


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


def _groups(nodes: list[Node], linear: dict[Node, Linear], done: set[Node]) -> list[tuple[bool, Group]]:
    reads = {n: n.inputs for n in nodes}
    reads |= {n: (*s.terms, *s.read_by_products) for n, s in linear.items()}
    looped = {n for n in nodes if n in linear or OPERATIONS[n.operation].kind == "map"}

    def ready(node: Node, loop: Iterable[Node] = (), size: int = 0) -> bool:
        # A single number that a larger loop reads must be finished before that loop.
        return all(i in done or not i.inputs or (i in loop and i.size == size) for i in reads[node])

    groups: list[tuple[bool, Group]] = []
    left = list(nodes)
    while left:
        before = len(groups)
        slices = [n for n in left if is_slice(n) and ready(n)]
        groups += [(False, (n,)) for n in slices]
        done |= set(slices)
        left = [n for n in left if n not in done]
        first = next((n for n in left if n in looped and ready(n)), None)
        if first is not None:
            inside: dict[Node, None] = {}
            begun = []
            for node in left:
                if node in looped and node.size == first.size and ready(node, inside, first.size):
                    # A linear node is only finished by its products, so nothing in its own loop may read it.
                    if node in linear:
                        begun.append(node)
                    else:
                        inside[node] = None
            members = {*inside, *begun}
            groups.append((True, tuple(n for n in left if n in members)))
            groups += [(False, (n,)) for n in begun]
            done |= members
            left = [n for n in left if n not in done]
        calls = [n for n in left if n not in looped and ready(n)]
        groups += [(False, (n,)) for n in calls]
        done |= set(calls)
        left = [n for n in left if n not in done]
        assert len(groups) > before, f"nothing can be computed of {left}"
    return groups


def is_one_number(node: Node) -> bool:
    """Whether the node is one constant number, maybe repeated: its lanes are a literal."""
    return node.is_constant and bool(np.all(node.numbers == node.numbers[0]))
