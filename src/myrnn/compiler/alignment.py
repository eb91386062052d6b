"""The states after successive steps in one order: which state of a step is which of the step before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from myrnn.compiler.graph import Node
from myrnn.compiler.steps import Kinds


@dataclass(frozen=True)
class Alignment:
    """Finds the order of states."""

    order: Sequence[Node]  # all nodes, inputs first
    position: Mapping[Node, int]  # the step of each node that belongs to a loop
    around: range  # the steps
    period: int  # how many kinds of steps take turns

    def of(self, cuts: Sequence[Sequence[Node]]) -> list[list[Node]] | None:
        """Return the states after each step in one order, or after the last ones; None if there is no such order."""
        place = {node: i for i, node in enumerate(self.order)}
        ordered = [sorted(cut, key=place.__getitem__) for cut in cuts]
        return self._side_by_side(ordered) if self.period == 1 else self._in_turn(ordered)

    def _in_turn(self, cuts: Sequence[list[Node]]) -> list[list[Node]] | None:
        """Return the states after steps of different kinds: constant states keep their index."""
        # If some kinds of steps have fewer states than others, they keep those that they do not need: the order begins
        # with the most.
        kinds = Kinds().of(self.order, self.position)
        are_as_many = len({*map(len, cuts[self.period :])}) == 1
        begin = self.period if are_as_many else max(range(self.period), key=lambda i: len(cuts[i]))
        ordered = [cuts[begin]]
        for step, cut in zip(self.around[begin + 1 :], cuts[begin + 1 :], strict=True):
            left, mine = [*cut], dict[int, Node]()
            for is_alike in (
                lambda one, other: one is other,
                lambda one, other: kinds[one] == kinds[other],
                lambda one, other: one.size == other.size,
            ):
                for i, state in enumerate(ordered[-1]):
                    found = next((n for n in left if is_alike(n, state)), None)
                    if i not in mine and found is not None:
                        left.remove(found)
                        mine[i] = found
            if left:
                return None
            ordered.append([mine.get(i) or self._made_again(state, step) for i, state in enumerate(ordered[-1])])
        return ordered

    def _made_again(self, state: Node, step: int) -> Node:
        """Return what a step makes as a state was made, which no later step needs; or the state, which it keeps."""
        makes = self._makes.get(state)
        return next((n for n in self.order if self.position.get(n) == step and self._makes[n] == makes), state)

    @cached_property
    def _makes(self) -> dict[Node, int]:
        """What each node computes in its step, whatever it reads of earlier steps and of parameters."""
        order = (n for n in self.order if n in self.position)
        return Kinds().of(order, self.position, earlier=lambda node, _: node.size, fixed=lambda node: node.size)

    def _side_by_side(self, cuts: Sequence[list[Node]]) -> list[list[Node]] | None:
        """Return the states after three steps: the same computation is the same state."""
        kinds = Kinds().of(self.order, self.position)
        deeper = Kinds().of(self.order, self.position, earlier=lambda node, steps: (steps, kinds[node]))
        ordered = []
        for step, cut in zip(self.around, cuts, strict=True):
            left, mine = [*cut], list[Node]()
            for state in cuts[1]:
                late = [n for n in left if self._age(n, step) == self._age(state, self.around[1])]
                if not late and state in left and all(state in others for others in cuts):
                    # What the first steps computed stays the same.
                    late = [state]
                # Old values may be made of initial states; if a step differs, that is reported later.
                alike = [n for n in late if kinds[n] == kinds[state]] or [n for n in late if n.size == state.size]
                if not alike:
                    return None
                found = next((n for n in alike if deeper[n] == deeper[state]), alike[0])
                left.remove(found)
                mine.append(found)
            if left:
                return None
            ordered.append(mine)
        return ordered

    def _age(self, node: Node, step: int) -> int | None:
        """Return how many steps before this one a node was computed; None if it is only made of parameters."""
        return step - self.position[node] if node in self.position else None
