"""The recurrence as equations, in the model's own names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from myrnn.compiler._expressions import Expressions, is_square
from myrnn.compiler._roll import Recurrence
from myrnn.compiler.graph import Node, topological


@dataclass(frozen=True)
class Equation:
    """One line of a recurrence.

    Attributes
    ----------
    name : str
        What it computes: a state, a variable of the model, or the logits.
    text : str
        How: the right side of the equation.
    node : Node
    reads : tuple of Node
        What the right side names, in order and once each: leaves, and the nodes of other equations.
    """

    name: str
    text: str
    node: Node
    reads: tuple[Node, ...]

    def __str__(self) -> str:
        """Return ``name = text``."""
        return f"{self.name} = {self.text}"


@dataclass(frozen=True)
class Equations:
    """A recurrence in the model's own names.

    Attributes
    ----------
    initial : tuple of Equation
        The states before the first step, in the order of the recurrence's states.
    step, readout : tuple of Equation
        In the order of the model's lines; nothing is read before it is computed. A state on the right is that of the
        step before, and where there are several, its new value has a dash: ``h'``.
    states : tuple of str
    sequence : str
        What the present row of the sequence is called: ``x``, unless the model calls something else so.
    reverse : bool
        Whether the last row comes first.
    """

    initial: tuple[Equation, ...]
    step: tuple[Equation, ...]
    readout: tuple[Equation, ...]
    states: tuple[str, ...]
    sequence: str
    reverse: bool

    def __str__(self) -> str:
        """Return the initial states, the step and the readout, one equation a line."""
        every = f"for every {self.sequence}{', the last one first' if self.reverse else ''}:"
        parts = {"before the first step:": self.initial, every: self.step, "after the last step:": self.readout}
        return "\n".join(line for head, part in parts.items() for line in (head, *(f"    {e}" for e in part)))


def write_equations(recurrence: Recurrence, parameter_names: tuple[str, ...]) -> Equations:
    """Write the initial states, the step and the readout as equations."""
    writer = _Equations(recurrence, parameter_names)
    states = writer.states
    initial = tuple(writer.equation(name, node) for name, node in zip(states, recurrence.initial, strict=True))
    step = writer.region(list(zip(states, recurrence.step, strict=True)), dash="'" * (len(states) > 1))
    readout = writer.region([(writer.free("logits"), recurrence.readout)])
    return Equations(initial, step, readout, states, writer.sequence, recurrence.reverse)


def equations(recurrence: Recurrence, parameter_names: tuple[str, ...]) -> str:
    """Return the initial states, the step and the readout, one equation a line.

    `x` is the present row of the sequence, and a state on the right of an equation is that of the step before.
    """
    return str(write_equations(recurrence, parameter_names))


def state_names(recurrence: Recurrence) -> tuple[str, ...]:
    """Return a name for each state: the model's own variable, what it sums up, or ``state_i``."""
    names: list[str] = []
    for i, node in enumerate(recurrence.step):
        name = _own_name(recurrence, node) or _sum_name(recurrence, node) or f"state_{i}"
        names.append(name if name not in names else f"{name}_{i}")
    return tuple(names)


def _own_name(recurrence: Recurrence, node: Node) -> str:
    origin = recurrence.origins.get(node)
    return origin.name if origin is not None else ""


def _sum_name(recurrence: Recurrence, node: Node) -> str:
    """Return ``total_h`` for a state that adds up `h` step by step, as a mean over all steps does; else nothing."""
    if node.operation != "add" or not any(i.operation == "state" for i in node.inputs):
        return ""
    summed = next((name for i in node.inputs if i.operation != "state" and (name := _own_name(recurrence, i))), "")
    return f"total_{summed}" if summed else ""


class _Equations(Expressions):
    def __init__(self, recurrence: Recurrence, parameter_names: tuple[str, ...]) -> None:
        states = state_names(recurrence)
        # A parameter that is called like a state is told from it by where it is kept.
        apart = tuple(f"self.{name}" if name in states else name for name in parameter_names)
        super().__init__(states, apart)
        self._recurrence = recurrence
        self._taken = {*states, *(name.split(".")[0] for name in apart)}
        self.sequence = self.free("x")
        self._taken.add(self.sequence)
        self.length = self.free("T")
        self._taken.add(self.length)

    def free(self, name: str) -> str:
        """Return the name, with a number where something else has it."""
        return (
            name
            if name not in self._taken
            else next(n for i in range(1, 99) if (n := f"{name}_{i}") not in self._taken)
        )

    def equation(self, name: str, node: Node) -> Equation:
        """Return the equation of a node, what is below it written already or without a name."""
        return Equation(name, self._written.get(node) or self._write(node), node, self._reads(node))

    def region(self, targets: Sequence[tuple[str, Node]], dash: str = "") -> tuple[Equation, ...]:
        """Return the equations of some targets, with one of its own for each node that has a name or is read twice."""
        # What a name stands for ends with its region: a state that it was made of has another value in the next.
        self._named, self._written = {}, {}
        order = self._in_order([node for _, node in targets])
        final = {node: f"{name}{dash}" for name, node in targets if not node.is_leaf}
        names = self._names(order, final)
        lines = []
        for node in order:
            if node.is_leaf:
                continue
            self._written[node] = self._write(node)
            if node in names:
                lines.append(self.equation(names[node], node))
                self._named[node] = names[node]
        # Two states may be one value, or a state that of another before the step.
        others = [(name, node) for name, node in targets if final.get(node) != f"{name}{dash}"]
        lines += [Equation(f"{name}{dash}", self._operand(node, 0), node, (node,)) for name, node in others]
        return tuple(lines)

    def _names(self, order: Sequence[Node], final: Mapping[Node, str]) -> dict[Node, str]:
        """Name the targets, what the model's variables hold, and what is read twice."""
        reads = _reads_of(order)
        wanted = {node: _own_name(self._recurrence, node) for node in order if not node.is_leaf}
        taken = {*self._taken, *final.values()}
        names = dict(final)
        # Of several values of one variable the last has its name; the ones before only need one if they are read twice.
        for node in reversed(order):
            name = wanted.get(node, "")
            if name and name not in taken and node not in names:
                names[node] = name
                taken.add(name)
        for node in order:
            if node.is_leaf or node in names or reads[node] < 2:
                continue
            stem = wanted[node] or "v"
            names[node] = next(n for i in range(1, len(order) + 2) if (n := f"{stem}_{i}") not in taken)
            taken.add(names[node])
        return names

    def _in_order(self, targets: Sequence[Node]) -> list[Node]:
        """Return all that the targets need, in the order of the model's lines as far as inputs stand first."""
        origins = self._recurrence.origins
        order = topological(targets)
        line: dict[Node, int] = {}
        for node in order:
            own = origins[node].line if node in origins and node.inputs else 0
            line[node] = max([own, *(line[i] for i in node.inputs)])
        return sorted(order, key=lambda node: line[node])

    def _reads(self, node: Node) -> tuple[Node, ...]:
        """Return the leaves and the named nodes that the expression of a node mentions."""
        stop = [n for n in self._named if n is not node]
        below = topological([node], stop=stop)
        return tuple(n for n in below if n is not node and not n.is_constant and (n.is_leaf or n in self._named)) or (
            (node,) if node.is_leaf and not node.is_constant else ()
        )


def _reads_of(order: Iterable[Node]) -> dict[Node, int]:
    reads: dict[Node, int] = {}
    for node in order:
        reads.setdefault(node, 0)
        for child in node.inputs[: 1 if is_square(node) else None]:
            reads[child] = reads.get(child, 0) + 1
    return reads
