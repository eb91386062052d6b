"""Every stage as text, and the recurrence as equations, in the model's own names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from myrnn.compiler.derive import Derivative, Pullback
from myrnn.compiler.graph import Builder, Node, topological
from myrnn.compiler.names import Expressions, Words, is_square, name_in, state_names
from myrnn.compiler.plan import Plan, backward_targets, make_plan
from myrnn.compiler.roll import Recurrence
from myrnn.compiler.schedule import Loop, Schedule, schedule
from myrnn.compiler.trace import Origin, Trace, trace

Shapes = Sequence[tuple[int, ...]]


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
        wanted = {node: name_in(self._recurrence.origins, node) for node in order if not node.is_leaf}
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


def stage_texts(
    model: Any, parameters: tuple[Any, ...], names: tuple[str, ...], recurrence: Recurrence, derivative: Derivative
) -> dict[str, str]:
    """Return what every stage made of a model, by the stage's name; the trace is one of a sequence of two steps."""
    shapes = [parameter.shape for parameter in parameters]
    probe = np.zeros((2, recurrence.dim_input), dtype=np.float32)
    plan = make_plan(derivative, shapes, tokens=True)
    return {
        "trace": trace_text(trace(model, parameters, probe, Builder()), names),
        "recurrence": equations(recurrence, names),
        "hoisted": recurrence_text(derivative, names, shapes),
        "derivative": derivative_text(derivative, names, shapes),
        "plan": plan_text(plan, names),
        "schedule": step_schedules_text(plan, names),
    }


class _Listing(Expressions):
    """Lists graphs node by node, under the names that the model gave them or numbers."""

    def __init__(
        self, recurrence: Recurrence | None, names: tuple[str, ...], shapes: Shapes, origins: dict[Node, Origin]
    ) -> None:
        states = state_names(recurrence) if recurrence is not None else ()
        super().__init__(states, names, [shape[-1] if shape else 1 for shape in shapes])
        self._origins = origins
        self._taken = set(states)

    def lines(self, targets: Iterable[tuple[str, Node]]) -> list[str]:
        """Return a line for each node that the targets need and that is not listed yet, and one for each target."""
        wanted = list(targets)
        found = []
        for node in topological([node for _, node in wanted], stop=self._named):
            if node.inputs and node not in self._named:
                name = next((n for n, target in wanted if target is node and self._suits(n, node)), "")
                name = name or self._new_name(node)
                found.append((f"{name} = {self._write(node)}", self._comment(node)))
                self._named[node] = name
        for name, node in wanted:
            if self._operand(node, 0) != name:
                found.append((f"{name} = {self._operand(node, 0)}", self._comment(node)))
        return [f"    {text:<58}  # {comment}".rstrip() for text, comment in found]

    def call(self, node: Node, name: str) -> None:
        """Name a node that is not listed."""
        self._named[node] = name

    def _suits(self, name: str, node: Node) -> bool:
        """Whether a target's name is to be that of its node: a state's, or where the node has no other."""
        return name.endswith("'") or name_in(self._origins, node) in ("", name)

    def _new_name(self, node: Node) -> str:
        stem = name_in(self._origins, node)
        name, count = stem or f"v{len(self._taken)}", 1
        while name in self._taken:
            count += 1
            name = f"{stem}_{count}"
        self._taken.add(name)
        return name

    def _comment(self, node: Node) -> str:
        origin = self._origins.get(node)
        line = f", {str(origin).split('   ')[0]}" if origin is not None and origin.file else ""
        return f"{node.size} number{'s' if node.size != 1 else ''}{line}"


def trace_text(traced: Trace, names: tuple[str, ...]) -> str:
    """Return a trace, a line for each computation: its size and the line of the model that it comes from."""
    listing = _Listing(None, names, (), traced.origins)
    return "\n".join([f"{traced.length} steps:", *listing.lines([("logits", traced.output)])])


def recurrence_text(derivative: Derivative, names: tuple[str, ...], shapes: Shapes) -> str:
    """Return the recurrence after hoisting: what is computed once, the states before, the step and the readout."""
    recurrence = derivative.recurrence
    listing = _Listing(recurrence, names, shapes, recurrence.origins)
    lines = ["once:", *listing.lines((f"derived_{i}", node) for i, node in enumerate(derivative.derived))]
    lines = lines if len(lines) > 1 else []
    lines += ["before the first step:", *listing.lines(zip(listing.states, recurrence.initial, strict=True))]
    lines += [
        "for every x:",
        *listing.lines((f"{n}'", s) for n, s in zip(listing.states, recurrence.step, strict=True)),
    ]
    lines += ["after the last step:", *listing.lines([("logits", recurrence.readout)])]
    return "\n".join(lines)


def derivative_text(derivative: Derivative, names: tuple[str, ...], shapes: Shapes) -> str:
    """Return the three graphs that go back: through the readout, through a step, and before the first step."""
    recurrence = derivative.recurrence
    states = state_names(recurrence)
    after = [(f"{name}'", node) for name, node in zip(states, recurrence.step, strict=True)]
    parts: tuple[tuple[str, Pullback, list[tuple[str, Node]], tuple[str, ...]], ...] = (
        ("back through the readout", derivative.readout, [("logits", recurrence.readout)], states),
        ("back through a step", derivative.step, after, states),
        ("back to the parameters, before the first step", derivative.prelude, [], ()),
    )
    lines = []
    for title, pullback, forward, before in parts:
        listing = _Listing(recurrence, names, shapes, recurrence.origins)
        # What the way forward computed is known by its name.
        listing.lines(forward)
        for node in topological(pullback.states) if before and pullback is derivative.step else ():
            if node.operation == "gradient":
                listing.call(node, f"{listing.text(node)}'")
        targets = [(f"d_{name}", node) for name, node in zip(before, pullback.states, strict=False)]
        targets += [(f"d_{listing.text(leaf)}", term) for leaf, terms in pullback.weights.items() for term in terms]
        text = listing.lines(targets)
        lines += [f"{title}:", *text] if text else []
    return "\n".join(lines)


def plan_text(plan: Plan, names: tuple[str, ...]) -> str:
    """Return how the weights lie in memory, and what the way forward keeps for the way back."""
    words = Words(plan.derivative.recurrence, names, plan.shapes)
    lines = ["weights:"]
    for leaf, weight in plan.weights.items():
        how = ", kept transposed" if weight.flipped else ""
        rows, columns = weight.stored_rows, weight.stored_columns
        lines.append(f"    {words.text(leaf):<16} {rows} x {columns}, rows of {-(-columns // 16) * 16} in memory{how}")
    lines.append(
        f"products of the input alone, {'a row of the weight each' if plan.tokens else 'for all steps at once'}:"
    )
    lines += sorted(f"    {words.operand(node)}" for node in plan.projected)
    for title, saved in (("step", plan.saved_step), ("readout", plan.saved_readout), ("prelude", plan.saved_prelude)):
        lines.append(f"kept of every {title}: {', '.join(sorted(map(words.operand, saved))) or 'nothing'}")
    return "\n".join(lines)


def step_schedules_text(plan: Plan, names: tuple[str, ...]) -> str:
    """Return the instructions of a step, forward and back."""
    recurrence, pullback = plan.derivative.recurrence, plan.derivative.step
    words = Words(recurrence, names, plan.shapes)
    leaves = {n for n in topological([*recurrence.step, *backward_targets(pullback)]) if not n.inputs}
    forward = schedule(recurrence.step, leaves | plan.projected, plan.saved_step)
    known = leaves | plan.projected | plan.saved_step | set(recurrence.step)
    back = schedule(backward_targets(pullback), known, set(backward_targets(pullback)))
    lines = ["a step forward:", *schedule_lines(forward, words), "a step back:", *schedule_lines(back, words)]
    return "\n".join(lines)


def schedule_lines(plan: Schedule, words: Words) -> list[str]:
    """Return a line for each instruction."""
    lines = []
    for instruction in plan.instructions:
        if isinstance(instruction, Loop):
            parts = []
            for node in instruction.nodes:
                terms = plan.linear[node].terms if node in plan.linear else ()
                name = words.name(node)
                if node not in plan.linear and (name or node in plan.kept):
                    parts.append(f"{name or node.operation} = {words.expression(node)}")
                elif terms:
                    parts.append(f"{name} begins with {' + '.join(map(words.operand, terms))}")
            lines += [f"    loop over {instruction.size}: " + "; ".join(parts)] if parts else []
        elif instruction.node in plan.linear:
            for product in plan.linear[instruction.node].products:
                text = words.expression(product) if product is instruction.node else words.operand(product)
                lines.append(f"    product: {words.name(instruction.node) or 'sum'} gets {text}")
        else:
            lines.append(f"    {words.name(instruction.node)} = {words.expression(instruction.node)}")
    return lines
