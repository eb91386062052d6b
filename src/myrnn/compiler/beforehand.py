"""What a loop computes from its rows alone moves into a loop before it.

A loop over states goes step by step. Queries, keys, gates and norms mostly do not read the states: a loop before it
computes them for all steps at once. Its products with weights are then one product, and only states and what reads
them are left in the loop over the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from myrnn.compiler.delays import made_of_rows, with_delays_apart
from myrnn.compiler.graph import Node, fixed_nodes, substitute, topological
from myrnn.compiler.leaves import INPUT, Kept
from myrnn.compiler.loops import Loop, Recurrence, chosen_by_time
from myrnn.compiler.ops import OPERATIONS

# A set of nodes in the order in which they were added.
Nodes = dict[Node, None]


def move_beforehand(recurrence: Recurrence) -> Recurrence:
    """Return the recurrence with such loops."""
    recurrence = with_delays_apart(recurrence)
    build, next_number = recurrence.build, recurrence.next_kept
    loops, known = list[Loop](), dict[Node, Node]()
    for loop in recurrence.loops:
        found = [node for node in _computed_from_rows(loop) if node not in known]
        # What the loop keeps has a number.
        numbers = {node: k for k, node in loop.kept.items()}
        new = [node for node in found if node not in numbers]
        numbers |= dict(zip(new, range(next_number, next_number + len(new)), strict=True))
        next_number += len(new)
        if found:
            kept = dict(zip((numbers[node] for node in found), substitute(build, found, known), strict=True))
            loops.append(Loop((), (), kept))
            known |= {node: build.leaf(Kept(numbers[node]), node.size) for node in found}
            loop = replace(loop, kept={k: node for k, node in loop.kept.items() if k not in kept})
        # Loops without states compute all steps at once in any case.
        loops.append(loop.with_known(known) if loop.step else loop)
    return replace(recurrence, loops=tuple(loops))


def _computed_from_rows(loop: Loop) -> list[Node]:
    """Return the nodes to compute beforehand."""
    if not loop.step:
        return []
    targets = [*loop.step, *loop.kept.values()]
    from_rows, selected = made_of_rows(topological(targets)), chosen_by_time(targets)
    # What later loops read has a buffer in any case.
    kept = [n for n in loop.kept.values() if n in from_rows and n.inputs and n not in selected]
    return list(dict.fromkeys([*cheapest_to_keep(targets, loop.step, from_rows, _is_expensive), *kept]))


def cheapest_to_keep(
    targets: Sequence[Node],
    ends: Sequence[Node],
    candidates: set[Node],
    is_expensive: Callable[[Node, set[Node]], bool],
) -> list[Node]:
    """Choose candidates to compute ahead: the fewest numbers from which the rest, and the ends, follow cheaply.

    `is_expensive` gets a node, and all nodes that depend only on parameters.
    """
    order = topological(targets)
    fixed = fixed_nodes(order)
    needed: dict[Node, Nodes] = {}
    # What only some steps need has a gradient that is selected in their loop.
    selected = chosen_by_time(targets)
    for node in (n for n in order if n in candidates):
        below: Nodes = {}
        for child in node.inputs:
            below |= needed.get(child, {})
        is_least = is_expensive(node, fixed) or (below and node.size <= sum(n.size for n in below))
        stays = node.operation == "outer" or node in selected
        needed[node] = {node: None} if is_least and not stays else below
    read = [i for n in order if n not in candidates and n not in fixed for i in n.inputs]
    chosen: Nodes = {}
    for node in (*read, *ends):
        chosen |= needed.get(node, {})
    return list(chosen)


def _is_expensive(node: Node, fixed: set[Node]) -> bool:
    """Whether it is better to compute a node for all steps at once."""
    kind = OPERATIONS[node.operation].kind if node.inputs else ""
    if kind != "product":
        return kind == "reduce"
    # Products of the sequence's own rows, and of kept values, with weights are computed so in any case.
    left, right = node.inputs
    return right not in fixed or not (left.leaf == INPUT or isinstance(left.leaf, Kept))
