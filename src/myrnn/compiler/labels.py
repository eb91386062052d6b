"""What a loop that was found computes: which node of its step, at which step, the nodes of the traces are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from myrnn.compiler.beginning import Beginning
from myrnn.compiler.found import Found, View
from myrnn.compiler.graph import Node, topological
from myrnn.compiler.leaves import INPUT, Drawn, Final, Given, Kept, LoopState, Parameter, StepNumber, Stepwise
from myrnn.compiler.loops import Loop, Steps, placeholders

Label = tuple[Node, int]
"""What a node is: a node of the step, and the number of the step."""

Labels = Mapping[Node, Sequence[Label]]
"""The labels of the nodes of a trace; several steps, or nodes of a step, may be the same node."""

Around = tuple[Node | None, ...]
"""The same value in each of the steps that are compared; None where it is not known."""


@dataclass(frozen=True)
class FoundLoop:
    """A loop, and what the search has found with it."""

    so_far: Found  # the loops before
    loop: Loop
    template: Mapping[Node, Node]  # node of the middle step -> its computation from what the step reads
    cut: Sequence[Node]  # the states after the middle step
    # Values that are only known as numbers in the first step, if the numbers do not determine the initial state.
    hidden: Sequence[Around]
    beginning: Beginning

    @cached_property
    def states(self) -> Sequence[Node]:
        """The states before a step."""
        return placeholders(self.so_far.build, [n.size for n in self.loop.step], self.so_far.states)

    @cached_property
    def held(self) -> Mapping[Node, tuple[Node, int]]:
        """The states that only hold what an earlier step computed or read -> that node, and how many steps ago."""
        after, found = dict(zip(self.states, self.loop.step, strict=True)), dict[Node, tuple[Node, int]]()
        for state in self.states:
            node, lag = state, 0
            # States may be copied in a circle.
            while node in after and lag <= len(after):
                node, lag = after[node], lag + 1
            if node not in after:
                found[state] = node, lag
        return found

    @cached_property
    def rows(self) -> Mapping[Node, Stepwise]:
        """What steps read, of the sequence and of earlier loops -> the sequence whose row it is."""
        read = self.so_far.read_by_steps.items()
        return {self.so_far.build.leaf(k, n): k for k, n in read if not isinstance(k, Given) or isinstance(k, Drawn)}

    @cached_property
    def of_row(self) -> Mapping[Node, None]:
        """What the step reads, and values that are made only of the row of the sequence."""
        inputs = [leaf for leaf, of in self.rows.items() if of == INPUT]
        return _made_of(inputs, self.template.values()) | dict.fromkeys(self.rows)

    @cached_property
    def of_several_rows(self) -> list[Node]:
        """The nodes of the step that are made only of what it and some steps before it read."""
        step = self.loop.step
        nodes = dict.fromkeys([*self.template.values(), *step])
        rows = [n for n in topological(nodes) if isinstance(n.leaf, Stepwise)]
        while True:
            found = _made_of(rows, nodes)
            more = [s for s, node in zip(self.states, step, strict=True) if node in found and s not in rows]
            if not more:
                return [n for n in found if n.inputs and n not in self.of_row]
            rows += more

    @property
    def computed(self) -> list[Node]:
        """The nodes of the step that the loop computes, rather than the rest for all steps at once."""
        # Only what the loop is for: its states, their inputs, and values made only of the states before the step.
        # Values made of the states after it, or of a row, can be computed by the rest for all steps at once.
        step, before = self.loop.step, set(self.states)
        needed, after = set(topological(step)), set[Node]()
        for node in topological(dict.fromkeys(self.template.values())):
            if any(i in before for i in node.inputs):
                before.add(node)
            if isinstance(node.leaf, Kept) or (node in before and node in step) or any(i in after for i in node.inputs):
                after.add(node)
        nodes = dict.fromkeys([*self.template.values(), *step])
        return [*(n for n in nodes if n in before and (n in needed or n not in after)), *self.of_row]

    def labels(self, nodes: Sequence[Node], view: View) -> dict[Node, list[Label]]:
        """Return the nodes of a view that some nodes of the step are, with all their labels."""
        build, so_far, inline = self.so_far.build, self.so_far, self.beginning.inline
        sizes = so_far.read_by_steps

        def value(read: Stepwise, size: int, t: int) -> Node:
            if isinstance(read, StepNumber):
                return build.constant(float(t))
            if isinstance(read, Given) and (t, read) in inline:
                return build.constant(inline[t, read])
            return build.leaf(view.row_at(t, read), size)

        rows = [
            {build.leaf(read, size): value(read, size, t) for read, size in sizes.items()} for t in range(view.length)
        ]
        steps = Steps(build, replace(self.loop, backward=False), so_far.states, so_far.state_to_final(), build.rebuild)
        labels: dict[Node, list[Label]] = {}
        for t, (_, found) in enumerate(steps.over(rows, nodes)):
            for node, one in zip(nodes, found, strict=True):
                # An end that the states of an earlier loop show is no value of this loop.
                is_shown = isinstance(one.leaf, Final) and so_far.passed[one.leaf.number].last is not None
                if not (one.is_constant or isinstance(one.leaf, Parameter) or is_shown):
                    labels.setdefault(one, []).append((node, t))
        return labels


def _made_of(rows: Iterable[Node], nodes: Iterable[Node]) -> dict[Node, None]:
    """Return those of the nodes of a step that are made only of these rows and of what is fixed."""
    found, fixed = dict.fromkeys(rows), set[Node]()
    for node in topological(dict.fromkeys(nodes)):
        read = [i for i in node.inputs if i not in fixed]
        if read and all(i in found for i in read):
            found[node] = None
        elif not read and not isinstance(node.leaf, LoopState | Stepwise):
            fixed.add(node)
    return found
