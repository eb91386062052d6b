"""Stage 5, too: in which order to compute the nodes of a region, and which of them share a loop.

A region is a part of the program that runs as a whole: the initial states, one step forward or backward, the readout
forward or backward. Its element-wise nodes are gathered into loops, each as large as what is known by then allows;
sums of matrix products and other terms become one *linear* node, which its products add up in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from myrnn.compiler.graph import Node, topological
from myrnn.compiler.ops import OPERATIONS


@dataclass(frozen=True)
class Linear:
    """A sum of vector-matrix products and other terms."""

    products: tuple[Node, ...]
    terms: tuple[Node, ...]


@dataclass(frozen=True)
class Loop:
    """One element-wise loop over `size` numbers: its nodes in order; linear ones are begun with their terms."""

    size: int
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Call:
    """One node that is not element-wise, or the products of a linear one."""

    node: Node


Instruction = Loop | Call


@dataclass(frozen=True)
class Schedule:
    """The instructions of a region.

    Attributes
    ----------
    instructions : list
    linear : dict
        The linear nodes.
    kept : set of Node
        The nodes that must be in memory: something outside their own loop reads them.
    """

    instructions: list[Instruction]
    linear: dict[Node, Linear]
    kept: set[Node]

    def reads_of(self, instruction: Instruction) -> set[Node]:
        """Return what an instruction reads: for a loop the terms of its linear nodes, for a call their vectors."""
        if isinstance(instruction, Loop):
            found = (self.linear[n].terms if n in self.linear else n.inputs for n in instruction.nodes)
            return {i for inputs in found for i in inputs}
        node = instruction.node
        if node in self.linear:
            return {i for p in self.linear[node].products for i in p.inputs}
        return set(node.inputs)


def schedule(targets: Iterable[Node], available: set[Node], keep: set[Node]) -> Schedule:
    """Order the computation of the targets from what is available.

    Parameters
    ----------
    targets : iterable of Node
        What the region must compute.
    available : set of Node
        What stands in memory already.
    keep : set of Node
        What must stand in memory afterwards.
    """
    wanted = list(dict.fromkeys(targets))
    order = [n for n in topological(wanted, stop=available) if n not in available and n.inputs]
    linear, absorbed = _linear_nodes(order, set(wanted), available)
    nodes = [n for n in order if n not in absorbed]
    reads = {n: _reads(n, linear) for n in nodes}
    instructions = _ordered(nodes, reads, linear, set(available))
    plan = Schedule(instructions, linear, set(linear) | (keep & set(nodes)))
    for instruction in instructions:
        inside = {n for n in instruction.nodes if n not in linear} if isinstance(instruction, Loop) else set()
        plan.kept.update(plan.reads_of(instruction) - inside)
        if isinstance(instruction, Call):
            plan.kept.add(instruction.node)
    return plan


def is_map(node: Node, linear: dict[Node, Linear]) -> bool:
    """Whether the node is computed element by element."""
    return node.inputs != () and OPERATIONS[node.operation].kind == "map" and node not in linear


def _linear_nodes(
    order: Sequence[Node], wanted: set[Node], available: set[Node]
) -> tuple[dict[Node, Linear], set[Node]]:
    """Find the sums that hold products, from the largest down, and the nodes that they absorb."""
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
        if node in absorbed or node.operation not in ("add", "matmul"):
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
        products = tuple(n for n in leaves if _is_product(n) and (n is node or private(n)))
        if products:
            linear[node] = Linear(products, tuple(n for n in leaves if n not in products))
            absorbed |= ({*inner, *products}) - {node}
    return linear, absorbed


def _is_product(node: Node) -> bool:
    return node.operation == "matmul" and node.attributes[0] == 1


def _reads(node: Node, linear: dict[Node, Linear]) -> tuple[Node, ...]:
    if node not in linear:
        return node.inputs
    return (*linear[node].terms, *(i for p in linear[node].products for i in p.inputs))


def _ordered(
    nodes: list[Node], reads: dict[Node, tuple[Node, ...]], linear: dict[Node, Linear], done: set[Node]
) -> list[Instruction]:
    instructions: list[Instruction] = []
    left = list(nodes)

    def ready(node: Node, loop: set[Node], size: int) -> bool:
        # A single number that a larger loop reads must be finished before that loop.
        return all(i in done or not i.inputs or (i in loop and i.size == size) for i in reads[node])

    while left:
        loop = _next_loop(left, linear, ready)
        if loop is not None:
            instructions.append(loop)
            done |= {n for n in loop.nodes if n not in linear}
            begun = [n for n in loop.nodes if n in linear]
            instructions += [Call(n) for n in begun]
            done |= set(begun)
            left = [n for n in left if n not in done]
        calls = [n for n in left if not is_map(n, linear) and n not in linear and ready(n, set(), 0)]
        instructions += [Call(n) for n in calls]
        done |= set(calls)
        left = [n for n in left if n not in done]
        assert loop is not None or calls, f"nothing can be computed of {left}"
    return instructions


def _next_loop(left: list[Node], linear: dict[Node, Linear], ready: object) -> Loop | None:
    """Return the largest loop that can run now, of the size of the first node that can."""
    can = ready
    assert callable(can)
    looped = [n for n in left if is_map(n, linear) or n in linear]
    first = next((n for n in looped if can(n, set(), n.size)), None)
    if first is None:
        return None
    inside: dict[Node, None] = {}
    for node in looped:
        # A linear node is finished by its products only: nothing in its own loop may read it.
        if node.size == first.size and can(node, {n for n in inside if n not in linear}, first.size):
            inside[node] = None
    return Loop(first.size, tuple(inside))
