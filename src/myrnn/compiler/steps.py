"""The step of every node of a trace, its kind, steps that differ in turn, and choices by the number of a step.

Nodes of one kind are the same computation, at different steps. Steps may differ in turn, such as every second one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from myrnn.compiler import ops
from myrnn.compiler.graph import Node, topological
from myrnn.compiler.leaves import Row, StepNumber
from myrnn.compiler.trace import Trace

# The most kinds of steps.
MOST_KINDS = 4


def spans_of(order: Iterable[Node]) -> dict[Node, tuple[int, int]]:
    """Return the first and the last of the rows that each node is made of."""
    found: dict[Node, tuple[int, int]] = {}
    for node in order:
        below = [found[i] for i in node.inputs if i in found]
        if isinstance(node.leaf, Row):
            found[node] = node.leaf.step, node.leaf.step
        elif below:
            found[node] = min(first for first, _ in below), max(last for _, last in below)
    return found


def steps_of(order: Iterable[Node], length: int | None = None) -> dict[Node, int]:
    """Return the step of each node that reads rows: that of the last row; with a `length`, counted from the end."""
    return {n: last if length is None else length - 1 - first for n, (first, last) in spans_of(order).items()}


@dataclass(frozen=True)
class Positions:
    """The step of each node that belongs to a loop: that of the last row that it is made of."""

    order: Sequence[Node] = ()  # all nodes, each after its inputs
    step: Mapping[Node, int] = field(default_factory=dict)
    of_one_row: Set[Node] = frozenset()  # nodes made of a single row

    def including(self, nodes: Iterable[Node]) -> Positions:
        """Return the positions of more nodes, too, and of what these are made of."""
        order, step, of_one_row = dict.fromkeys(self.order), {**self.step}, {*self.of_one_row}
        for node in topological(nodes, stop=self.step):
            if node in step:
                continue
            order.setdefault(node)
            read = [i for i in node.inputs if i in step]
            steps = {node.leaf.step} if isinstance(node.leaf, Row) else {step[i] for i in read}
            if steps:
                step[node] = max(steps)
                if node.is_leaf or (len(steps) == 1 and of_one_row.issuperset(read)):
                    of_one_row.add(node)
        return Positions([*order], step, of_one_row)


class Kinds:
    """Numbers the kinds of nodes; those of several traces may be numbered together."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}

    def of(
        self,
        order: Iterable[Node],
        step: Mapping[Node, int],
        earlier: Callable[[Node, int], Hashable] = lambda node, steps: (steps, node.size),
        fixed: Callable[[Node], Hashable] = id,
        plain: Collection[Node] = (),
    ) -> dict[Node, int]:
        """Return the kind of each node.

        `earlier` tells inputs of earlier steps apart, given by how many steps, and `fixed` those without step. The
        attributes of `plain` nodes make no difference.
        """
        found: dict[Node, int] = {}
        for node in order:
            at = step.get(node, -1)
            made = tuple(
                fixed(i) if i not in step else (0, found[i]) if step[i] == at else earlier(i, at - step[i])
                for i in node.inputs
            )
            which = node.leaf.of if isinstance(node.leaf, Row) else node.leaf or node.attributes
            key = (node.operation, None if node in plain else which, node.size, made)
            found[node] = self._numbers.setdefault(key, len(self._numbers))
        return found


def period_of(trace: Trace, middle: int) -> int:
    """Return the number of steps after which a trace repeats the same computation around its middle, 1 if at once."""
    order = topological([trace.output])
    for backward in (False, True):
        kinds = _by_step(order, trace.length, backward)
        window = range(middle - 1, middle + MOST_KINDS + 1)
        for period in range(1, MOST_KINDS + 1):
            if all(kinds.get(t) == kinds.get(t + period) for t in window):
                if period > 1:
                    return period
                break
    return 1


def _by_step(order: Sequence[Node], length: int, backward: bool) -> dict[int, Counter[int]]:
    """Return how many nodes of each kind every step has."""
    step = steps_of(order, length if backward else None)
    kind = Kinds().of([n for n in order if n in step], step)
    found: dict[int, Counter[int]] = {}
    for node, t in step.items():
        found.setdefault(t, Counter())[kind[node]] += 1
    return found


def in_turn(steps: Sequence[tuple[Node, ...]], first: int, backward: bool) -> tuple[Node, ...]:
    """Return a step that selects one of several in turn, the first of which is that of step `first`."""
    period, build = float(len(steps)), steps[0][0].build
    time = build.given(StepNumber(backward))
    turn = time - period * ops.floor(time / period)
    made = []
    for several in zip(*steps, strict=True):
        ((most, _),) = Counter(several).most_common(1)
        others = {i % len(steps): node for i, node in enumerate(several, first) if node is not most}
        made.append(chosen(turn, others, most))
    return tuple(made)


def chosen(number: Node, nodes: Mapping[int, Node], otherwise: Node) -> Node:
    """Return the node that belongs to a number, such as that of the step; `otherwise` for other numbers."""
    for first, last, node in reversed(list(_runs(nodes))):
        is_it = ops.equal(number, float(last)) if first == last else ops.greater(float(last + 1), number)
        otherwise = ops.select(is_it, node, otherwise)
    return otherwise


def _runs(nodes: Mapping[int, Node]) -> Iterator[tuple[int, int, Node]]:
    """Yield the first and the last number of each node; equal nodes from zero on are one run."""
    begin = 0
    for node, several in groupby(sorted(nodes), nodes.__getitem__):
        numbers = list(several)
        if numbers[0] <= begin and numbers[-1] - numbers[0] == len(numbers) - 1:
            yield numbers[0], numbers[-1], node
            begin = numbers[-1] + 1
        else:
            yield from ((k, k, node) for k in numbers)
