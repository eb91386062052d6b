"""What a loop computes from its rows alone moves into a loop before it.

A loop over states goes step by step. Queries, keys, gates and norms mostly do not read the states: a loop before it
computes them for all steps at once. Its products with weights are then one product, and only states and what reads
them are left in the loop over the steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from myrnn.compiler.graph import Node, substitute, topological
from myrnn.compiler.leaves import INPUT, WEIGHTS, Constant, Kept
from myrnn.compiler.loops import Loop, Recurrence, reads_time_alone
from myrnn.compiler.ops import OPERATIONS

# Nodes without order, each once.
Nodes = dict[Node, None]


def move_beforehand(recurrence: Recurrence) -> tuple[Recurrence, dict[Node, Node]]:
    """Return the recurrence with such loops, and what they keep, each with the leaf that stands for it."""
    loops, known, number = list[Loop](), dict[Node, Node](), max(recurrence.kept, default=-1) + 1
    for loop in recurrence.loops:
        # A value that the loop itself keeps has a number, and is no less needed there.
        found = [n for n in _computed_from_rows(loop) if n not in known and n not in loop.kept.values()]
        known |= {n: recurrence.build.leaf(Kept(number + i), n.size) for i, n in enumerate(found)}
        if found:
            loops.append(Loop((), (), dict(enumerate(found, number))))
            number += len(found)
        loops.append(_replaced(loop, known))
    return replace(recurrence, loops=tuple(loops)), known


def _replaced(loop: Loop, known: Mapping[Node, Node]) -> Loop:
    if not loop.step:
        return loop
    build = loop.step[0].build
    step, kept = substitute(build, loop.step, known), substitute(build, list(loop.kept.values()), known)
    return replace(loop, step=tuple(step), kept=dict(zip(loop.kept, kept, strict=True)))


def _computed_from_rows(loop: Loop) -> list[Node]:
    """Return the nodes to compute beforehand: as few numbers as all else can be computed from without much work."""
    order = topological([*loop.step, *loop.kept.values()]) if loop.step else []
    from_rows, fixed = set[Node](), set[Node]()
    for node in order:
        if isinstance(node.leaf, WEIGHTS | Constant) or (node.inputs and all(i in fixed for i in node.inputs)):
            fixed.add(node)
        elif node.leaf == INPUT or isinstance(node.leaf, Kept):
            from_rows.add(node)
        elif node.inputs and all(i in fixed or i in from_rows for i in node.inputs):
            from_rows.add(node)
    needed: dict[Node, Nodes] = {}
    chosen_by_time = _singular_by_time(order)
    for node in (n for n in order if n in from_rows):
        below: Nodes = {}
        for child in node.inputs:
            below |= needed.get(child, {})
        is_work = _is_work(node, fixed)
        is_least = is_work or (below and node.size <= sum(n.size for n in below))
        stays = node.operation == "outer" or node in chosen_by_time
        needed[node] = {node: None} if is_least and not stays else below
    read = [i for n in order if n not in from_rows and n not in fixed for i in n.inputs]
    chosen: Nodes = {}
    for node in (*read, *loop.step):
        chosen |= needed.get(node, {})
    return list(chosen)


def _singular_by_time(order: list[Node]) -> set[Node]:
    """Return what only some steps need, if its derivative may be infinite: the gradient is selected in their loop."""
    singular = set[Node]()
    for node in order:
        if node.inputs and (OPERATIONS[node.operation].singular or not singular.isdisjoint(node.inputs)):
            singular.add(node)
    choices = [n for n in order if n.operation == "select" and reads_time_alone(n.inputs[0])]
    return singular & set(topological([side for choice in choices for side in choice.inputs[1:]]))


def _is_work(node: Node, fixed: set[Node]) -> bool:
    """Whether it is better to compute a node for all steps at once."""
    kind = OPERATIONS[node.operation].kind if node.inputs else ""
    if kind != "product":
        return kind == "reduce"
    # Products of the sequence's own rows, and of kept values, with weights are computed so in any case.
    left, right = node.inputs
    return right not in fixed or not (left.leaf == INPUT or isinstance(left.leaf, Kept))
