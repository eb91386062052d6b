"""Match a step's computation against a trace, and infer its states."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler.graph import Node, in_parallel, leaves_of, substitute, topological
from myrnn.compiler.leaves import Fraction, Given, Leaf, LoopState, Row, StepTable, Stepwise


@dataclass(frozen=True)
class Differs:
    """A node that is not the computation of a step, and what the step computes instead."""

    template: Node
    node: Node


class Match:
    """Matches the computation of a step, or the readout, against a node, and records the states in it."""

    def __init__(
        self, folded: Mapping[Node, Node], first: int, step: int, row_at: Callable[[int, Stepwise], Leaf] = Row
    ) -> None:
        # `row_at` gives the leaf by which the trace shows a row.
        self._folded, self._first, self._step, self._row_at = folded, first, step, row_at
        # The number of a state -> its node.
        self.states: dict[int, Node] = {}
        # Pairs with a number as node; and values made of a state that is a different one elsewhere.
        self.hidden: dict[Node, Node] = {}
        self.parted: list[Node] = []
        # Given numbers -> those at this step, if they occur directly.
        self.numbers: dict[Given, NDArray[Any]] = {}
        self._readers: dict[int, Node] = {}
        self._seen: set[tuple[Node, Node]] = set()
        # The node of the step that led to a pair.
        self._reader: dict[tuple[Node, Node], Node] = {}

    def add(self, template: Node, node: Node) -> Differs | None:
        """Match a node against a template; return the first difference."""
        differs: Differs | None = None

        def below(ours: Node, its: Node) -> list[tuple[Node, Node]] | None:
            nonlocal differs
            found = self._below(ours, its)
            if isinstance(found, Differs):
                differs = found
                return None
            return found

        in_parallel(*_to_match(template, node), below, self._seen)
        return differs

    def _below(self, ours: Node, its: Node) -> list[tuple[Node, Node]] | Differs:
        leaf, folded = ours.leaf, self._folded[its]
        if ours is folded or are_the_same_numbers(ours, folded):
            return []
        if isinstance(leaf, LoopState) and leaf.number >= self._first:
            if not self._is_noted(leaf.number, folded, self._reader.get((ours, its), ours)):
                return Differs(ours, folded)
        elif isinstance(leaf, StepTable | Fraction) and folded.is_constant and folded.size in (1, ours.size):
            self.numbers[leaf] = np.broadcast_to(folded.numbers, ours.size)
        elif isinstance(leaf, Stepwise):
            if its.leaf != self._row_at(self._step, leaf):
                return Differs(ours, its)
        elif ours.inputs and folded.is_constant and not (_are_alike(ours, its) and _reads_a_table(ours)):
            if self._reads_states_alone(ours):
                self.hidden[ours] = folded
            elif not _are_alike(ours, its) and not (folded.is_zero and _is_zero_on_zeros(ours)):
                return Differs(ours, its)
        elif _are_alike(ours, its):
            pairs = [_to_match(i, j) for i, j in zip(ours.inputs, its.inputs, strict=True)]
            self._reader |= dict.fromkeys(pairs, ours)
            return pairs
        elif ours.inputs and self._step == 0 and self._reads_states_alone(ours):
            self.parted.append(ours)
        elif not isinstance(leaf, LoopState):
            return Differs(ours, its)
        return []

    def _is_noted(self, i: int, node: Node, reader: Node) -> bool:
        """Note the node of a state; return False if it is another one for another reader."""
        known, other = self.states.setdefault(i, node), self._readers.setdefault(i, reader)
        if known.size < node.size:
            self.states[i] = node
        elif known is not node and known.size == node.size:
            parted = [n for n in (reader, other) if n.inputs and self._reads_states_alone(n)]
            if not parted:
                return False
            self.parted += parted
            if other in parted:
                self.states[i], self._readers[i] = node, reader
        return True

    @staticmethod
    def _reads_states_alone(node: Node) -> bool:
        return not leaves_of(Stepwise, [node])


def are_the_same_numbers(one: Node, other: Node) -> bool:
    """Whether both are constants with the same numbers, maybe repeated."""
    if not (one.is_constant and other.is_constant) or min(one.size, other.size) not in (1, max(one.size, other.size)):
        return False
    return bool(np.all(one.numbers == other.numbers))


def _to_match(template: Node, node: Node) -> tuple[Node, Node]:
    """Return what is matched with what: if only the trace chooses, what it takes."""
    return template, node if template.operation == "select" else _chosen(node)


def _chosen(node: Node) -> Node:
    """Return what a choice takes if its condition is a constant, whatever its other side is."""
    while node.operation == "select" and node.inputs[0].is_constant:
        condition, *sides = node.inputs
        is_true = condition.numbers.astype(bool)
        chosen = sides[0 if is_true.all() else 1]
        if (is_true.any() and not is_true.all()) or chosen.size != node.size:
            break
        node = chosen
    return node


def _are_alike(one: Node, other: Node) -> bool:
    """Whether both are the same operation, on any inputs."""
    return (one.operation, one.leaf, one.attributes, one.size, len(one.inputs)) == (
        other.operation, other.leaf, other.attributes, other.size, len(other.inputs)
    )  # fmt: skip


def _reads_a_table(node: Node) -> bool:
    return bool(leaves_of(StepTable, [node]) or leaves_of(Fraction, [node]))


def _is_zero_on_zeros(node: Node) -> bool:
    """Whether a node is zero when the states are zero, such as a product with one."""
    build = node.build
    states = {n: build.constant(np.zeros(n.size)) for n in topological([node]) if isinstance(n.leaf, LoopState)}
    (made,) = substitute(build, [node], states)
    return made.is_zero
