"""Loops over lanes: the element-wise part of a region."""

from __future__ import annotations

from collections import Counter

from myrnn.compiler._memory import LANES
from myrnn.compiler._places import Sink
from myrnn.compiler._scope import Scope
from myrnn.compiler.graph import Node
from myrnn.compiler.ops import OPERATIONS
from myrnn.compiler.printer import LONGEST
from myrnn.compiler.schedule import Loop, Schedule

# An unnamed expression that is read once stands where it is read, unless it is longer.
_LONGEST_INSIDE = 60


def write_loop(scope: Scope, plan: Schedule, loop: Loop, sinks: list[Sink]) -> None:
    """Write a loop that computes its nodes, begins the linear ones with their terms, and fills the sinks."""
    begun = [n for n in loop.nodes if n not in plan.linear or plan.linear[n].terms]
    if begun or sinks:
        with scope.writer.section(_told(scope, plan, loop, sinks)), scope.each_row():
            _Lanes(scope, plan, loop, sinks).write()


def _told(scope: Scope, plan: Schedule, loop: Loop, sinks: list[Sink]) -> str:
    """Return what a loop computes, in the model's words: as equations if they fit in a line, else the names."""
    words = scope.words
    told: list[tuple[str, str]] = []
    for node in loop.nodes:
        linear = plan.linear.get(node)
        if linear is not None and linear.terms:
            told.append((f"{words.label(node)} =", words.sum(linear.terms)))
        elif linear is None and node in plan.kept:
            told.append((f"{words.label(node)} =", words.expression(node)))
    for sink in sinks:
        inside = sink.node in loop.nodes and sink.node not in plan.kept and not sink.add
        right = words.expression(sink.node) if inside else words.operand(sink.node)
        name = f"d_{sink.place.at}" if sink.place.array == "g" else sink.place.at
        if name != right:
            told.append((f"{name} {'+=' if sink.add else '='}", right))
    text = "; ".join(f"{left} {right}" for left, right in told)
    if len(text) > LONGEST:
        text = ", ".join(dict.fromkeys(left.split()[0] for left, _ in told))
    return text if len(text) <= LONGEST else f"{text[: text.rfind(',', 0, LONGEST)]}, ..."


class _Lanes:
    """The lines inside of one loop."""

    def __init__(self, scope: Scope, plan: Schedule, loop: Loop, sinks: list[Sink]) -> None:
        self._writer, self._words, self._places = scope.writer, scope.words, scope.places
        self._plan, self._loop, self._sinks = plan, loop, sinks
        self._last = [n for n in loop.nodes if n in self._places.known and self._places.overwrites(n)]
        self._uses = Counter([*(i for n in loop.nodes for i in self._reads(n)), *(sink.node for sink in sinks)])
        # The expression of each node that is computed here: a variable, or what it is made of.
        self._local: dict[Node, str] = {}

    def write(self) -> None:
        with self._writer.block(f"for j in range(0, {self._places.memory.padded(self._loop.size)}, {LANES}):"):
            for node in self._loop.nodes:
                if node not in self._plan.linear:
                    self._compute(node)
                elif self._reads(node) and node not in self._last:
                    self._write(Sink(node, self._places.known[node]), self._value(node))
            self._write_last()

    def _reads(self, node: Node) -> tuple[Node, ...]:
        return self._plan.linear[node].terms if node in self._plan.linear else node.inputs

    def _compute(self, node: Node) -> None:
        text = OPERATIONS[node.operation].native.format(*(self._value(i) for i in node.inputs))
        kept, uses = node in self._plan.kept, self._uses[node]
        stored = kept and node not in self._last
        if node not in self._words.names and not kept and uses == 1 and len(text) < _LONGEST_INSIDE:
            self._local[node] = f"({text})"
            return
        self._local[node] = text if stored and not uses else self._variable(node, text)
        if stored:
            self._write(Sink(node, self._places.known[node]), self._local[node])

    def _write_last(self) -> None:
        """Write to the sinks, and what overwrites: all is read before, since something in the loop may read it."""
        several = len(self._sinks) + len(self._last) > 1
        begun = [n for n in self._last if self._reads(n)]
        sinks = [*self._sinks, *(Sink(n, self._places.known[n]) for n in begun)]
        texts = [self._settled(sink.node, several) for sink in sinks]
        for sink, text in zip(sinks, texts, strict=True):
            self._write(sink, text)

    def _settled(self, node: Node, several: bool) -> str:
        """Return the value of a node; where several are written, as what no write changes."""
        text = self._value(node)
        return text if not several or text.isidentifier() or node.is_constant else self._variable(node, text)

    def _value(self, node: Node) -> str:
        """Return the expression for lanes of a node: of a linear one that is begun here, the sum of its terms."""
        if node in self._local:
            return self._local[node]
        if node in self._plan.linear and node in self._loop.nodes:
            return " + ".join(self._value(term) for term in self._plan.linear[node].terms)
        return self._places.lanes_of(node)

    def _variable(self, node: Node, text: str) -> str:
        """Write an assignment to a new variable and return its name."""
        name = self._places.memory.names.new(f"{self._words.label(node)}_j")
        self._writer.line(f"{name} = {text}")
        return name

    def _write(self, sink: Sink, text: str) -> None:
        address = f"{self._places.address(sink.place)} + j"
        if sink.add:
            text = f"load({address}) + {self._places.cleaned(text, sink.node)}"
        elif sink.node in self._places.clean:
            text = self._places.cleaned(text, sink.node)
        self._writer.line(f"store({address}, {text})")
