"""What every stage made of a model, as text: its recurrence as equations, and what each pass handed to the next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from myrnn.compiler.derive import Derivative, Hoisted, Pullback
from myrnn.compiler.graph import Builder, Node, topological
from myrnn.compiler.layout import padded
from myrnn.compiler.names import columns_of, forward_names, node_names, state_names
from myrnn.compiler.plan import Kind, Plan, plan
from myrnn.compiler.printer import LONGEST, Printer, is_square, shows_nothing
from myrnn.compiler.roll import Recurrence
from myrnn.compiler.schedule import schedule
from myrnn.compiler.trace import Origin, Trace, trace

Origins = Mapping[Node, Origin]
Targets = Iterable[tuple[str, Node]]
Shapes = Sequence[tuple[int, ...]]

# What is deeper is given a name and an equation of its own.
_DEEPEST = 20


# Equations ------------------------------------------------------------------------------------------------------------


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
    states = state_names(recurrence)
    # A parameter that is called like a state is told from it by where it is kept.
    parameters = tuple(f"self.{name}" if name in states else name for name in parameter_names)
    taken = {*states, *(name.split(".")[0] for name in parameters)}
    sequence, steps = _free("x", taken), _free("T", taken)
    taken |= {sequence, steps}
    variables = {node: origin.name for node, origin in recurrence.origins.items() if origin.name}

    # What a name stands for ends with its part: a state that it was made of has another value in the next.
    def part(targets: Targets) -> tuple[Equation, ...]:
        printer = Printer(states, parameters, longest=10**6, sequence=sequence, steps=steps)
        return tuple(_equations_of(printer, targets, variables, recurrence.origins, taken))

    printer = Printer(states, parameters, longest=10 * LONGEST, sequence=sequence, steps=steps)
    initial = tuple(
        Equation(name, printer.expression(node), node, _reads(printer, node))
        for name, node in zip(states, recurrence.initial, strict=True)
    )
    dash = "'" * (len(states) > 1)
    step = part([(f"{name}{dash}", node) for name, node in zip(states, recurrence.step, strict=True)])
    readout = part([(_free("logits", taken), recurrence.readout)])
    return Equations(initial, step, readout, states, sequence, recurrence.reverse)


def _free(name: str, taken: set[str]) -> str:
    """Return the name, with a number where something else has it."""
    return name if name not in taken else next(n for i in range(1, 99) if (n := f"{name}_{i}") not in taken)


def _equations_of(
    printer: Printer,
    targets: Targets,
    variables: Mapping[Node, str],
    origins: Origins,
    taken: set[str],
    every: bool = False,
    known: Container[Node] = (),
) -> list[Equation]:
    """Return the equations of some targets, and tell the printer the names of what they compute.

    Parameters
    ----------
    printer : Printer
    targets : iterable of (str, Node)
    variables : mapping
        What has a name, and an equation of its own for that.
    origins : mapping
        Where nodes stand in the user's code; the equations stand in the same order.
    taken : set of str
        Names that have another meaning.
    every : bool
        Whether every node has an equation, and not only what has a name, is read twice or is deep.
    known : container of Node
        What needs no equation.
    """
    targets = list(targets)
    order = [n for n in _in_order([node for _, node in targets], origins) if n not in printer.names and n not in known]
    final = {node: (every and variables.get(node)) or name for name, node in targets if node in order}
    names, used, numbers = dict(final), {*taken, *final.values()}, Counter[str]()
    # Of several values of one variable the last has its name; the ones before only need one if they are read twice.
    for node in reversed(order):
        name = variables.get(node, "")
        if name and name not in used and node not in names:
            names[node] = name
            used.add(name)
    reads = Counter(i for node in order for i in node.inputs[: 1 if is_square(node) else None])
    lines, depth = [], dict[Node, int]()
    for node in order:
        depth[node] = 1 + max(depth.get(i, 0) for i in node.inputs)
        needed = every and not shows_nothing(node)
        if node not in names and (needed or reads[node] > 1 or depth[node] > _DEEPEST):
            name = stem = variables.get(node, "v")
            while name in used or name == stem:
                numbers[stem] += 1
                name = f"{stem}_{numbers[stem]}"
            names[node] = name
            used.add(name)
        if node in names:
            lines.append(Equation(names[node], printer.expression(node), node, _reads(printer, node)))
            printer.names[node] = names[node]
            depth[node] = 0
    # Two states may be one value, or a state that of another before the step.
    others = [(name, node) for name, node in targets if final.get(node) != name]
    return lines + [Equation(name, printer.operand(node), node, (node,)) for name, node in others]


def _in_order(targets: Sequence[Node], origins: Origins) -> list[Node]:
    """Return what the targets are computed by, in the order of the model's lines as far as inputs stand first."""
    order = topological(targets)
    line: dict[Node, int] = {}
    for node in order:
        own = origins[node].line if node in origins and node.inputs else 0
        line[node] = max([own, *(line[i] for i in node.inputs)])
    return sorted((node for node in order if node.inputs), key=lambda node: line[node])


def _reads(printer: Printer, node: Node) -> tuple[Node, ...]:
    """Return the leaves and the named nodes that the expression of a node mentions."""
    below = topological(node.inputs or [node], stop=printer.names)
    return tuple(n for n in below if not n.is_constant and (n.is_leaf or n in printer.names))


# Stages ---------------------------------------------------------------------------------------------------------------


def stage_texts(
    model: Any, parameters: tuple[Any, ...], names: tuple[str, ...], recurrence: Recurrence, derivative: Derivative
) -> dict[str, str]:
    """Return what every stage made of a model, by the stage's name; the trace is one of a sequence of two steps."""
    shapes = [parameter.shape for parameter in parameters]
    probe = np.zeros((2, recurrence.dim_input), dtype=np.float32)
    planned = plan(derivative, shapes, names, Kind(tokens=True, batched=False))
    return {
        "trace": show_trace(trace(model, parameters, probe, Builder()), names),
        "recurrence": str(write_equations(recurrence, names)),
        "hoisted": show_hoisted(Hoisted(derivative.recurrence, derivative.derived), names, shapes),
        "derivative": show_derivative(derivative, names, shapes),
        "plan": show_plan(planned),
        "schedule": str(schedule(planned)),
    }


def _listing(
    printer: Printer, targets: Targets, variables: Mapping[Node, str], origins: Origins, known: Container[Node] = ()
) -> list[str]:
    """Return a line for every node, with its size and the line of the model that it comes from."""
    lines = []
    for equation in _equations_of(printer, targets, variables, origins, set(printer.states), True, known):
        size, origin = equation.node.size, origins.get(equation.node)
        line = f", {str(origin).split('   ')[0]}" if origin is not None and origin.file else ""
        lines.append(f"    {equation!s:<58}  # {size} number{'s' if size != 1 else ''}{line}")
    return lines


def show_trace(traced: Trace, parameter_names: Sequence[str]) -> str:
    """Return what a model computes for a sequence of one length."""
    variables = {node: origin.name for node, origin in traced.origins.items() if origin.name}
    lines = _listing(Printer((), parameter_names), [("logits", traced.output)], variables, traced.origins)
    return "\n".join([f"{traced.length} steps:", *lines])


def show_hoisted(hoisted: Hoisted, parameter_names: Sequence[str], shapes: Shapes) -> str:
    """Return what is computed once, the states before the first step, the step and the readout."""
    recurrence = hoisted.recurrence
    states, variables = state_names(recurrence), forward_names(recurrence) | _after(recurrence)
    parts: dict[str, list[tuple[str, Node]]] = {
        "once:": [(f"derived_{i}", node) for i, node in enumerate(hoisted.derived)],
        "before the first step:": list(zip(states, recurrence.initial, strict=True)),
        "for every x:": [(f"{name}'", node) for name, node in zip(states, recurrence.step, strict=True)],
        "after the last step:": [("logits", recurrence.readout)],
    }
    lines = []
    for title, targets in parts.items():
        printer = Printer(states, parameter_names, columns_of(shapes))
        text = _listing(printer, targets, variables, recurrence.origins)
        lines += [title, *text] if text else []
    return "\n".join(lines)


def show_derivative(derivative: Derivative, parameter_names: Sequence[str], shapes: Shapes) -> str:
    """Return the three graphs that go back: through the readout, through a step, and before the first step."""
    recurrence, derived = derivative.recurrence, derivative.derived
    states, variables = state_names(recurrence), node_names(derivative)
    after = _after(recurrence)
    parts: tuple[tuple[str, Pullback, Sequence[Node], dict[Node, str], tuple[str, ...]], ...] = (
        ("back through the readout", derivative.readout, [recurrence.readout], {}, states),
        ("back through a step", derivative.step, recurrence.step, after, states),
        ("back to the parameters, before the first step", derivative.prelude, [*recurrence.initial, *derived], {}, ()),
    )
    lines = []
    for title, pullback, forward, dashed, before in parts:
        known = set(topological(forward))
        printer = Printer(states, parameter_names, columns_of(shapes))
        printer.names |= {node: name for node, name in (variables | dashed).items() if node in known}
        if dashed:
            leaves = (n for n in topological(pullback.states) if n.operation == "gradient")
            printer.names |= {leaf: f"{printer.operand(leaf)}'" for leaf in leaves}
        targets = [(f"d_{name}", node) for name, node in zip(before, pullback.states, strict=False)]
        targets += [(f"d_{printer.operand(leaf)}", term) for leaf, terms in pullback.weights.items() for term in terms]
        text = _listing(printer, targets, variables, {}, known)
        lines += [f"{title}:", *text] if text else []
    return "\n".join(lines)


def _after(recurrence: Recurrence) -> dict[Node, str]:
    """Return the names of the states after a step."""
    states = zip(state_names(recurrence), recurrence.step, strict=True)
    return {node: f"{name}'" for name, node in states if node.inputs}


def show_plan(plan: Plan) -> str:
    """Return how the weights lie in memory, and what the way forward keeps for the way back."""
    printer = plan.printer
    lines = ["weights:"]
    for leaf, weight in plan.weights.items():
        how = ", kept transposed" if weight.flipped else ""
        rows, columns = weight.stored
        size = f"{rows} x {columns}, rows of {padded(columns)}"
        lines.append(f"    {printer.operand(leaf):<16} {size} in memory{how}")
    lines.append(
        f"products of the input alone, {'a row of the weight each' if plan.kind.tokens else 'for all steps at once'}:"
    )
    lines += sorted(f"    {printer.operand(node)}" for node in plan.projected)
    for title, saved in (("step", plan.saved_step), ("readout", plan.saved_readout), ("prelude", plan.saved_prelude)):
        lines.append(f"kept of every {title}: {', '.join(sorted(map(printer.operand, saved))) or 'nothing'}")
    return "\n".join(lines)
