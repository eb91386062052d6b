"""What a graph is before it is drawn: plain records that know neither MyGrad nor SVG."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["operation", "parameter", "input", "constant"]
Emphasis = Literal["", "state", "result"]


@dataclass(frozen=True)
class GraphNode:
    """One tensor: the result of an operation, or a leaf that operations read.

    Attributes
    ----------
    key : int
        Its place in `Drawing.nodes`.
    kind : {"operation", "parameter", "input", "constant"}
        All but operations are leaves: they have no inputs.
    label : str
        What is printed first: a name or the operation.
    details : tuple of str
        The lines under the label; shapes, as a rule.
    tooltip : tuple of str
        The lines that hovering shows.
    inputs : tuple of int
        The keys of the operands in order; an operand may stand twice.
    infix : str
        The sign between two operands whose order matters, empty for any other operation.
    column : int
        The index in `Drawing.columns`; no node reads from a column to its right.
    emphasis : {"", "state", "result"}
        A state goes on to the next step; the result is what the graph was built for.
    """

    key: int
    kind: Kind
    label: str
    details: tuple[str, ...] = ()
    tooltip: tuple[str, ...] = ()
    inputs: tuple[int, ...] = ()
    infix: str = ""
    column: int = 0
    emphasis: Emphasis = ""

    @property
    def leaf(self) -> bool:
        """Whether the node is read by operations but not the result of one."""
        return self.kind != "operation"


@dataclass(frozen=True)
class Drawing:
    """A graph ready for layout.

    Attributes
    ----------
    title, description : str
        A line that is printed on top, and a sentence for screen readers.
    nodes : tuple of GraphNode
        In topological order: inputs stand before what reads them.
    columns : tuple of str
        The headings of the columns from left to right; an empty one is not printed.
    loops : tuple of (int, int)
        Pairs (state, operation that reads it at the next step) which go round instead of forward.
    rolled : bool
        Whether one step stands for all: its cards stand in their own order, and parameters say how large they are
        where they are read instead of on a shelf at the left.
    """

    title: str
    description: str
    nodes: tuple[GraphNode, ...]
    columns: tuple[str, ...] = ("",)
    loops: tuple[tuple[int, int], ...] = ()
    rolled: bool = False

    def edges(self) -> Iterator[tuple[int, int]]:
        """Yield (source, target) once for every operation and each different operand, loops left out."""
        for node in self.nodes:
            for source in dict.fromkeys(node.inputs):
                yield source, node.key

    def check(self) -> None:
        """Hold the record to what the layout relies on."""
        for key, node in enumerate(self.nodes):
            assert node.key == key, f"node {key} has key {node.key}"
            assert 0 <= node.column < len(self.columns), f"node {key} is in column {node.column}"
            assert not (node.leaf and node.inputs), f"leaf {key} has inputs"
        for source, target in self.edges():
            assert source < target, f"node {target} reads node {source}, which stands after it"
            if not self.nodes[source].leaf:
                assert self.nodes[source].column <= self.nodes[target].column, f"edge {source} -> {target} goes back"
        for state, reader in self.loops:
            assert self.nodes[state].column == self.nodes[reader].column, f"loop {state} -> {reader} changes column"


def compact(number: float) -> str:
    """Write a size with two digits in at most seven letters: 0.85, 0.0012, 8.5e-4."""
    if number == 0 or 0.001 <= number < 10_000:
        return f"{number:.2g}" if number < 100 else f"{number:.0f}"
    return f"{number:.1e}".replace("e-0", "e-").replace("e+0", "e+")
