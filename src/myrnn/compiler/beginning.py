"""Find how a loop begins: its initial states, and the first steps that differ from the rest.

Going backward from the states in the middle, each step determines the states before it. If a step computes a state
differently from later steps, the trace gives its value after that step. This is expressed by values from before the
step, and selected by the time. A state that does not change there, as in a loop that starts late, keeps its value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler.differences import ADVICE, describe, reads_a_row
from myrnn.compiler.found import Found, View
from myrnn.compiler.graph import Node, leaves_of, substitute, topological
from myrnn.compiler.leaves import Given, LoopState, Row, StepNumber
from myrnn.compiler.loops import placeholders
from myrnn.compiler.match import Differs, Match, are_the_same_numbers
from myrnn.compiler.record import Origin
from myrnn.compiler.steps import chosen
from myrnn.errors import NotARecurrence

BEGIN = "  Begin with states that every step can read, such as np.zeros((1, D)).\n"


@dataclass(frozen=True)
class Beginning:
    """How a loop begins."""

    initial: tuple[Node, ...]  # the states before the first step
    # Values that are only known as numbers in the first step, if the numbers do not determine the initial state.
    hidden: list[Node]
    unknown: set[int]  # states whose initial value no step determines: they are zero
    odd: dict[int, dict[int, Node]]  # the index of a state -> its value after the steps that differ, by step
    # The numbers of tables that occur directly in the first steps, by step and table.
    inline: dict[tuple[int, Given], NDArray[np.float32]]

    def begun(self, template: Mapping[Node, Node], step: Sequence[Node], backward: bool) -> dict[Node, Node]:
        """Return a step that computes its states like the first steps if these differ."""
        build = step[0].build
        time = build.given(StepNumber(backward))
        odd = {step[i]: by_step for i, by_step in self.odd.items()}
        done: dict[Node, Node] = {}
        for node in topological(dict.fromkeys(template.values())):
            made = build.rebuild(node, [done[i] for i in node.inputs])
            done[node] = chosen(time, odd.get(node, {}), made)
        return {node: done[made] for node, made in template.items()}


@dataclass
class BeginningFinder:
    """Goes backward from the states in the middle to the first step."""

    so_far: Found
    # The remaining traces; the first one shows the states in the middle.
    views: Mapping[int, View]
    # The states after a step, with placeholders for what it reads, for each kind of step in turn, beginning with the
    # middle one; and the states after the middle one.
    steps: Sequence[tuple[Node, ...]]
    cut: Sequence[Node]
    # The numbers of tables that occur directly in steps.
    inline: dict[tuple[int, Given], NDArray[np.float32]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Take over what the trace shows."""
        so_far = self.so_far
        self.build, self.first, self.middle = so_far.build, so_far.states, so_far.middle
        self.view = self.views[so_far.longest]
        shown = [self.views[so_far.longest - i] for i in reversed(range(so_far.traced.apart))]
        self.written = {n: written for view in shown for n, written in zip(view.nodes, view.written, strict=True)}
        self.folded = {written: n for view in shown for written, n in view.folded.items()}
        self.sizes = [n.size for n in self.steps[0]]
        self.leaves = placeholders(self.build, self.sizes, self.first)
        self.numbers = range(self.first, self.first + len(self.sizes))

    def find(self) -> Beginning:
        """Return how the loop begins; raises NotARecurrence when an odd step is not made of values from before it."""
        after, odd = dict(enumerate(self.cut, self.first)), dict[int, dict[int, Node]]()
        for t in range(self.middle, -1, -1):
            if len(after) < len(self.sizes):
                after = self._at_the_end(t + 1) | after
            which, match = self._back(t, after)
            self.inline |= {(t, given): numbers for given, numbers in match.numbers.items()}
            before = {i: node for i, node in match.states.items() if not self._is_new(node, t)}
            if t:
                before = self._zeros(match, before) | before
            if which:
                before = self._at_the_end(t) | before
            for i in sorted(which):
                value = self._odd(i, after[i], t, before)
                odd.setdefault(i - self.first, {})[t] = sized(value, self.sizes[i - self.first])
            after = before
        return self._beginning(match, after, odd)

    def _zeros(self, match: Match, before: Mapping[int, Node]) -> dict[int, Node]:
        """Return the states before a step of which only numbers are known, if they are zero."""
        states = set[int]().union(*map(_states_in, match.hidden)) - set(before)
        zeros = {i: self.build.constant(np.zeros(self.sizes[i - self.first])) for i in states}
        known = {self.leaves[i - self.first]: node for i, node in (zeros | dict(before)).items()}
        found = substitute(self.build, list(match.hidden), known)
        if not all(map(are_the_same_numbers, found, match.hidden.values())):
            return {}
        for node in zeros.values():
            self.folded.setdefault(
                self.written.setdefault(node, self.so_far.evidence.flat.constant(node.numbers)), node
            )
        return zeros

    def _step(self, t: int) -> tuple[Node, ...]:
        return self.steps[(t - self.middle) % len(self.steps)]

    def _beginning(self, match: Match, after: Mapping[int, Node], odd: dict[int, dict[int, Node]]) -> Beginning:
        initial = []
        for i, size in zip(self.numbers, self.sizes, strict=True):
            start = after.get(i, self.build.constant(np.zeros(size)))
            finals = self.so_far.final_to_state(topological([start]))
            initial.append(sized(substitute(self.build, [start], finals)[0], size))
        begun = substitute(self.build, list(match.hidden), dict(zip(self.leaves, initial, strict=True)))
        # A number that is the same for every element is written once.
        shown = [
            n.is_constant and np.all(n.numbers == m.numbers) for n, m in zip(begun, match.hidden.values(), strict=True)
        ]
        hidden = [n for n, is_shown in zip(match.hidden, shown, strict=True) if not is_shown]
        unknown = set(self.numbers) - set(after)
        return Beginning(tuple(initial), list(dict.fromkeys([*match.parted, *hidden])), unknown, odd, self.inline)

    def _back(self, t: int, after: Mapping[int, Node]) -> tuple[set[int], Match]:
        """Return the states that a step computes differently from later ones, and what it shows of those before it."""
        odd: set[int] = set()
        while True:
            match = Match(self.folded, self.first, t, self.view.row_at)
            differs = self._match(match, t, {i: node for i, node in after.items() if i not in odd})
            if differs is None:
                # A value made of this row cannot exist before it, so its readers differ here.
                new = {i for i, node in match.states.items() if self._is_new(node, t)}
                readers = {i for i in after if i not in odd and new & _states_in(self._step(t)[i - self.first])}
                if not readers:
                    return odd, match
                odd |= readers
            elif t > self.middle - 2:
                raise self._parted(differs[1], t)
            else:
                odd.add(differs[0])

    def _match(self, match: Match, t: int, after: Mapping[int, Node]) -> tuple[int, Differs] | None:
        for i, node in after.items():
            if node in self.written:
                differs = match.add(self._step(t)[i - self.first], self.written[node])
                if differs is not None:
                    return i, differs
        return None

    @staticmethod
    def _is_new(node: Node, t: int) -> bool:
        """Whether a node reads the row of a step, or a later one."""
        return any(row.step >= t for row in leaves_of(Row, [node]))

    def _odd(self, i: int, node: Node, t: int, before: dict[int, Node]) -> Node:
        """Return a state after a step by the states before it and its row; other values that it needs join `before`."""
        if not self._is_new(node, t) and (before.get(i, node) is node or node.is_leaf):
            if before.setdefault(i, node) is node:
                return self.leaves[i - self.first]
            return node
        known = {made: self.leaves[j - self.first] for j, made in before.items() if t and self._reads_rows(made)}
        for old in self._old(node, t, known):
            free = [j for j in (i, *self.numbers) if j not in before and self.sizes[j - self.first] == old.size]
            if not free:
                raise self._reads_a_row(leaves_of(Row, [old])[0], node, t)
            before[free[0]], known[old] = old, self.leaves[free[0] - self.first]
        order = topological([node], stop=known)
        known |= self.so_far.final_to_state(order, known)
        for n in order:
            if isinstance(n.leaf, Row) and n not in known:
                if n.leaf.step != t:
                    raise self._reads_a_row(n.leaf, node, t)
                known[n] = self.build.leaf(n.leaf.of, n.size)
        return substitute(self.build, [node], known)[0]

    def _old(self, node: Node, t: int, known: Mapping[Node, Node]) -> list[Node]:
        """Return the largest parts of a node that read only rows before a step, and are not known."""
        found, stack, seen = dict[Node, None](), [node], set[Node]()
        while stack:
            part = stack.pop()
            if part in seen or part in known:
                continue
            seen.add(part)
            if self._is_new(part, t) or any(n in known for n in topological([part])):
                stack += part.inputs
            elif self._reads_rows(part):
                found[part] = None
        return list(found)

    @staticmethod
    def _reads_rows(node: Node) -> bool:
        return bool(leaves_of(Row, [node]))

    def _at_the_end(self, length: int) -> dict[int, Node]:
        """Return what the logits after so many steps show of the states there; empty if they differ from later ones."""
        if self.so_far.traced.per_step and length > 0:
            # The longest trace has logits of every step.
            view = longer = self.view
        elif length in self.views and length <= self.middle:
            view, longer = self.views[length], self.views[self.middle + 1]
        else:
            return {}
        later = longer.folded[longer.logits_of(self.middle)]
        known = dict(zip(self.cut, self.leaves, strict=True))
        for n in topological([later], stop=known):
            if isinstance(n.leaf, Row) and n not in known:
                known[n] = self.build.leaf(n.leaf.of, n.size) if n.leaf.step == self.middle else n
        match = Match(view.folded, self.first, length - 1, view.row_at)
        differs = match.add(substitute(self.build, [later], known)[0], view.logits_of(length - 1))
        if differs is not None or match.hidden:
            return {}
        self.written = dict(zip(view.nodes, view.written, strict=True)) | self.written
        self.folded |= view.folded
        return match.states

    def _reads_a_row(self, row: Row, reader: Node, step: int) -> NotARecurrence:
        return reads_a_row(row, self.view.origins.get(reader, Origin()), self.view.length, step)

    def _parted(self, differs: Differs, step: int) -> NotARecurrence:
        begin = BEGIN if step == 0 else ""
        written = dict(zip(self.view.written, self.view.nodes, strict=True))
        line = self.view.origins.get(written.get(differs.node, differs.node), Origin())
        return NotARecurrence(
            f"step {step} of the model is not the same computation as the steps after it.\n{begin}"
            f"  {line}      <- {describe(differs.node)} here, {describe(differs.template)} there\n{ADVICE}"
        )


def sized(node: Node, size: int) -> Node:
    """Return a node of this size; a single number may be repeated."""
    return node if node.size == size else node.build.make("expand", node, size=size)


def _states_in(node: Node) -> set[int]:
    return {state.number for state in leaves_of(LoopState, [node])}
