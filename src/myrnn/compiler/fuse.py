"""Which nodes are computed in one loop.

Element-wise nodes are fused into loops, each as large as the known values allow. A sum of matrix products and other
terms becomes one *linear* node: a loop initializes it with its terms, and its products are accumulated in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from myrnn.compiler.graph import Node, topological
from myrnn.compiler.ops import OPERATIONS, is_slice

_PRODUCTS = ("matmul", "outer")


@dataclass(frozen=True)
class Linear:
    """A sum of products and other terms."""

    products: tuple[Node, ...]
    terms: tuple[Node, ...]


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
        return {i for p in (self.linear[node].products if node in self.linear else (node,)) for i in p.inputs}


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
            linear[node] = Linear(tuple(products), tuple(n for n in leaves if n not in products))
            absorbed |= {*inner, *products} - {node}
    return linear, absorbed


def _groups(nodes: list[Node], linear: dict[Node, Linear], done: set[Node]) -> list[tuple[bool, Group]]:
    reads = {n: n.inputs for n in nodes}
    reads |= {n: (*s.terms, *(i for p in s.products for i in p.inputs)) for n, s in linear.items()}
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
