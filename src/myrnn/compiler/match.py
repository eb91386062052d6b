"""Match a step's computation against a trace, and infer its states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler.found import GIVEN, STEPWISE
from myrnn.compiler.graph import Node, substitute, topological


class Differs(Exception):
    """Raised when a node differs from the computation of a step."""

    def __init__(self, template: Node, node: Node) -> None:
        super().__init__()
        self.template, self.node = template, node


class Match:
    """Matches the computation of a step, or the readout, against a node, and records the states in it."""

    def __init__(self, folded: Mapping[Node, Node], first: int, step: int) -> None:
        self._folded, self._first, self._step = folded, first, step
        # The number of a state -> its node.
        self.states: dict[int, Node] = {}
        # Pairs with a number as node; and values made of a state that is a different one elsewhere.
        self.hidden: dict[Node, Node] = {}
        self.parted: list[Node] = []
        # The number of a table -> its numbers at this step, if they occur directly.
        self.numbers: dict[int, NDArray[Any]] = {}
        self._readers: dict[int, Node] = {}
        self._seen: set[tuple[Node, Node]] = set()

    def add(self, template: Node, node: Node) -> None:
        """Match a node against a template; raises Differs."""
        stack = [(template, node, template)]
        while stack:
            ours, its, reader = stack.pop()
            if ours.operation != "select":
                its = _chosen(its)
            if (ours, its) in self._seen:
                continue
            self._seen.add((ours, its))
            folded = self._folded[its]
            if ours is folded or are_the_same_numbers(ours, folded):
                continue
            if ours.operation == "state" and ours.attributes[0] >= self._first:
                self._note(ours, folded, reader)
            elif ours.operation == "table" and folded.is_constant and folded.size in (1, ours.size):
                self.numbers[ours.attributes[0]] = np.broadcast_to(folded.numbers, ours.size)
            elif ours.operation in STEPWISE:
                stream = (ours.operation, *ours.attributes) if ours.operation in GIVEN else ours.attributes
                is_row = its.operation == "row" and its.attributes == (self._step, *stream)
                if not is_row and not (its.operation == "final" and its.attributes == ours.attributes):
                    raise Differs(ours, its)
            elif ours.inputs and folded.is_constant and not (_are_alike(ours, its) and _reads_a_table(ours)):
                if self._reads_states_alone(ours):
                    self.hidden[ours] = folded
                elif not _are_alike(ours, its) and not _is_zero_on_zeros(ours):
                    raise Differs(ours, its)
            elif _are_alike(ours, its):
                stack += ((i, j, ours) for i, j in zip(ours.inputs, its.inputs, strict=True))
            elif ours.inputs and self._step == 0 and self._reads_states_alone(ours):
                self.parted.append(ours)
            elif ours.operation != "state":
                raise Differs(ours, its)

    def _note(self, state: Node, node: Node, reader: Node) -> None:
        (i,) = state.attributes
        known, other = self.states.setdefault(i, node), self._readers.setdefault(i, reader)
        if known.size < node.size:
            self.states[i] = node
        elif known is not node and known.size == node.size:
            parted = [n for n in (reader, other) if n.inputs and self._reads_states_alone(n)]
            if not parted:
                raise Differs(state, node)
            self.parted += parted
            if other in parted:
                self.states[i], self._readers[i] = node, reader

    @staticmethod
    def _reads_states_alone(node: Node) -> bool:
        return not any(n.operation in STEPWISE for n in topological([node]))


def are_the_same_numbers(one: Node, other: Node) -> bool:
    """Whether both are constants with the same numbers, maybe repeated."""
    if not (one.is_constant and other.is_constant) or min(one.size, other.size) not in (1, max(one.size, other.size)):
        return False
    return bool(np.all(one.numbers == other.numbers))


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
    return (one.operation, one.attributes, one.size, len(one.inputs)) == (
        other.operation, other.attributes, other.size, len(other.inputs)
    )  # fmt: skip


def _reads_a_table(node: Node) -> bool:
    return any(n.operation == "table" for n in topological([node]))


def _is_zero_on_zeros(node: Node) -> bool:
    """Whether a node is zero when the states are zero, such as a product with one."""
    build = node.build
    states = {n: build.constant(np.zeros(n.size)) for n in topological([node]) if n.operation == "state"}
    (made,) = substitute(build, [node], states)
    return made.is_constant and not made.numbers.any()
