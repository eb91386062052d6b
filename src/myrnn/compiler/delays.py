"""States that hold earlier rows get a loop of their own.

A model may read the row of the step before, as RWKV-7 does, or convolve the last few rows, as Mamba does. Such rows are
states, but what is made of them and of the current row reads no other state. A loop before only passes the rows on, and
keeps them of every step: then all that is computed from rows alone can be moved before the loop over the other states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import UnionType

from myrnn.compiler.graph import Node, fixed_nodes, substitutions, topological
from myrnn.compiler.leaves import Input, Kept, Leaf
from myrnn.compiler.loops import Loop, Recurrence, placeholders
from myrnn.compiler.ops import OPERATIONS


def made_of_rows(
    order: Sequence[Node], delayed: Sequence[Node] = (), kinds: type[Leaf] | UnionType = Input | Kept
) -> set[Node]:
    """Return those of some nodes, each after its inputs, that are made of rows, also `delayed` ones, and of weights."""
    found, fixed = set(delayed), fixed_nodes(order)
    for node in (n for n in order if n not in fixed):
        if isinstance(node.leaf, kinds) or (node.inputs and all(i in fixed or i in found for i in node.inputs)):
            found.add(node)
    return found


def with_delays_first(recurrence: Recurrence) -> Recurrence:
    """Return the recurrence whose loops have the states that hold earlier rows before the others."""
    # The states of all loops are numbered together: so a loop of their own does not change the numbers.
    build, loops, known = recurrence.build, list[Loop](), dict[Node, Node]()
    for loop, leaves in zip(recurrence.loops, recurrence.state_leaves, strict=True):
        order = [leaf for _, several in _apart(loop, leaves, recurrence.next_kept) for leaf in several]
        first = recurrence.first_states[len(loops)]
        known |= zip(order, placeholders(build, [leaf.size for leaf in order], first), strict=True)
        loops.append(_part(loop, [leaves.index(leaf) for leaf in order]))
    if all(before is after for before, after in known.items()):
        return recurrence
    return replace(recurrence, loops=tuple(loops)).placed(substitutions(build, recurrence.nodes, known))


def with_delays_apart(recurrence: Recurrence) -> Recurrence:
    """Return the recurrence with loops of their own for states that hold earlier rows, if these come first."""
    loops, number = list[Loop](), recurrence.next_kept
    for loop, leaves in zip(recurrence.loops, recurrence.state_leaves, strict=True):
        apart = _apart(loop, leaves, number)
        is_ordered = [leaf for _, several in apart for leaf in several] == leaves
        loops += [one for one, _ in apart] if is_ordered else [loop]
        number = max([number, *(k + 1 for one in loops for k in one.kept)])
    return replace(recurrence, loops=tuple(loops))


def _part(loop: Loop, states: Sequence[int]) -> Loop:
    """Return a loop with some of the states."""
    initial, step = (tuple(nodes[i] for i in states) for nodes in (loop.initial, loop.step))
    return replace(loop, initial=initial, step=step)


def _apart(loop: Loop, leaves: list[Node], number: int) -> list[tuple[Loop, list[Node]]]:
    """Return loops that do the same with their states; what they keep for each other has numbers from `number` on."""
    delays = _delays(loop, leaves)
    if not delays:
        return [(loop, leaves)]
    others = [i for i in range(len(leaves)) if i not in delays]
    read = set(topological([*(loop.step[i] for i in others), *loop.kept.values()]))
    kept = dict(enumerate((leaves[i] for i in delays if leaves[i] in read), number))
    known = {leaf: leaf.build.leaf(Kept(k), leaf.size) for k, leaf in kept.items()}
    before = replace(_part(loop, delays), kept=kept), [leaves[i] for i in delays]
    # What is made of these states may be another row.
    return [before, *_apart(_part(loop, others).with_known(known), [leaves[i] for i in others], number + len(kept))]


def _delays(loop: Loop, leaves: Sequence[Node]) -> list[int]:
    """Return the states that are made of a row alone, or copied from such a state, if that saves work in the loop."""
    order = topological([*loop.step, *loop.kept.values()])
    rows, copied = made_of_rows(order), {i: leaves.index(n) for i, n in enumerate(loop.step) if n in leaves}
    delays, needed = {i for i, node in enumerate(loop.step) if node in rows}, _needed_for_work(loop, leaves, order)
    while more := {i for i, source in copied.items() if source in delays} - delays:
        delays |= more
    return sorted(delays & needed)


def _needed_for_work(loop: Loop, leaves: Sequence[Node], order: Sequence[Node]) -> set[int]:
    """Return the states that are made of rows in some steps, of which products and reductions are made."""
    # To pass on a state costs more than computing with its elements one by one.
    found, rows = set[int](), made_of_rows(order)
    while more := {i for i, node in enumerate(loop.step) if node in rows} - found:
        found |= more
        rows = made_of_rows(order, [leaves[i] for i in found])
    read = [n for n in rows if n.operation == "matmul" or (n.inputs and OPERATIONS[n.operation].kind == "reduce")]
    needed = set[int]()
    while more := {i for i in found if leaves[i] in topological(read)} - needed:
        needed |= more
        read += [loop.step[i] for i in more]
    return needed
