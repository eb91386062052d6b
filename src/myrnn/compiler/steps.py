"""The step of every node of a trace, and its kind: nodes of one kind are the same computation, at different steps."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from typing import Any

from myrnn.compiler.graph import Node
from myrnn.compiler.leaves import Row


def steps_of(order: Iterable[Node], length: int | None = None) -> dict[Node, int]:
    """Return the step of each node that reads rows: that of the last row; with a `length`, counted from the end."""
    found: dict[Node, int] = {}
    for node in order:
        below = [found[i] for i in node.inputs if i in found]
        if isinstance(node.leaf, Row):
            found[node] = node.leaf.step if length is None else length - 1 - node.leaf.step
        elif below:
            found[node] = max(below)
    return found


class Kinds:
    """Numbers the kinds of nodes; those of several traces may be numbered together."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}

    def of(
        self,
        order: Iterable[Node],
        step: Mapping[Node, int],
        earlier: Callable[[Node], Hashable] = lambda node: node.size,
        fixed: Callable[[Node], Hashable] = id,
        plain: Collection[Node] = (),
    ) -> dict[Node, int]:
        """Return the kind of each node; `earlier` tells inputs of earlier steps apart, and `fixed` those without step.

        The attributes of `plain` nodes make no difference.
        """
        found: dict[Node, int] = {}
        for node in order:
            at = step.get(node, -1)
            made = tuple(
                fixed(i) if i not in step else (at - step[i], found[i] if step[i] == at else earlier(i))
                for i in node.inputs
            )
            which = node.leaf.of if isinstance(node.leaf, Row) else node.leaf or node.attributes
            key = (node.operation, None if node in plain else which, node.size, made)
            found[node] = self._numbers.setdefault(key, len(self._numbers))
        return found
