"""Products of kept matrices move into the loop that keeps them.

If later loops only multiply a state of D x D numbers by vectors of the same step, the loop computes these products
itself, while the state is in the processor's cache, and keeps D numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from myrnn.compiler.graph import Node, leaves_of, substitute, topological
from myrnn.compiler.leaves import INPUT, WEIGHTS, Constant, Kept, Leaf
from myrnn.compiler.loops import Recurrence
from myrnn.compiler.ops import is_slice


@dataclass(frozen=True)
class Moved:
    """Values that a loop keeps instead of a larger one."""

    state: int | None  # the number of the state that the larger value is, if it is one
    leaf: Node  # the larger value for later loops
    products: dict[int, Node]  # the number of a kept value -> how later loops computed it from the leaf

    def placed(self, place: Mapping[Node, Node]) -> Moved:
        """Return it with each node replaced."""
        return replace(self, products={k: place[node] for k, node in self.products.items()})


def move_products(recurrence: Recurrence) -> tuple[Recurrence, tuple[Moved, ...]]:
    """Return the recurrence with products of kept matrices in the loops that keep these, and what has moved."""
    found = list[Moved]()
    for number, loop in enumerate(recurrence.loops):
        for k in loop.kept:
            products = _products_of(recurrence, number, k)
            read = {kept.number for one in found for kept in leaves_of(Kept, one.products.values())}
            if products and k not in read:
                found.append(_moved(recurrence, number, k, products))
                recurrence = _without(recurrence, number, loop.kept[k], found[-1])
    return recurrence, tuple(found)


def _products_of(recurrence: Recurrence, number: int, k: int) -> list[Node]:
    """Return the products that are all that later loops read of a kept value, if they are smaller; otherwise none."""
    loops = recurrence.loops
    leaf = recurrence.build.leaf(Kept(k), loops[number].kept[k].size)
    targets = [n for loop in loops[number + 1 :] for n in (*loop.step, *loop.kept.values())]
    order = topological([*targets, recurrence.readout])
    source, products = {leaf}, list[Node]()
    for node in order:
        if source.isdisjoint(node.inputs):
            continue
        if is_slice(node):
            source.add(node)
        elif node.operation == "matmul" and not isinstance(node.inputs[1].leaf, WEIGHTS):
            products.append(node)
        else:
            return []
    beginning = [n for loop in loops for n in loop.initial]
    if not source.isdisjoint([*targets, recurrence.readout]) or leaf in topological(beginning):
        return []
    known = {Kept(i) for loop in loops[: number + 1] for i in loop.kept} | {INPUT}
    if not all(one in known or isinstance(one, WEIGHTS | Constant) for one in leaves_of(Leaf, products)):
        return []
    return products if sum(n.size for n in products) < leaf.size else []


def _moved(recurrence: Recurrence, number: int, k: int, products: list[Node]) -> Moved:
    loop, first = recurrence.loops[number], max(recurrence.kept) + 1
    node = loop.kept[k]
    state = recurrence.first_states[number] + loop.step.index(node) if node in loop.step else None
    return Moved(state, recurrence.build.leaf(Kept(k), node.size), dict(enumerate(products, first)))


def _without(recurrence: Recurrence, number: int, matrix: Node, moved: Moved) -> Recurrence:
    """Return the recurrence whose loop keeps products instead of a matrix."""
    build, loops = recurrence.build, list(recurrence.loops)
    loop = loops[number]
    at_step = {build.leaf(Kept(k), node.size): node for k, node in loop.kept.items()}
    own = substitute(build, list(moved.products.values()), at_step)
    kept = {k: n for k, n in loop.kept.items() if Kept(k) != moved.leaf.leaf} | dict(
        zip(moved.products, own, strict=True)
    )
    loops[number] = replace(loop, kept=kept)
    known = {node: build.leaf(Kept(k), node.size) for k, node in moved.products.items()}
    for i in range(number + 1, len(loops)):
        loops[i] = loops[i].with_known(known)
    return replace(recurrence, loops=tuple(loops))
