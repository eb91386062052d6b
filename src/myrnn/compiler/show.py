"""What every stage made of a model, as text: its recurrence as equations, and what each pass handed to the next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial, singledispatch
from typing import Any

from myrnn.compiler.derive import Derivative, Hoisted
from myrnn.compiler.graph import Node, topological
from myrnn.compiler.layout import padded
from myrnn.compiler.names import forward_names, node_names, state_names, variables_of
from myrnn.compiler.plan import Plan
from myrnn.compiler.printer import LONGEST, Printer, is_square
from myrnn.compiler.probe import Traces
from myrnn.compiler.roll import Recurrence
from myrnn.compiler.trace import Origin

Origins = Mapping[Node, Origin]
Targets = Iterable[tuple[str, Node]]

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


def write_equations(recurrence: Recurrence) -> Equations:
    """Write the initial states, the step and the readout as equations."""
    states = state_names(recurrence)
    # A parameter that is called like a state is told from it by where it is kept.
    parameters = [f"self.{name}" if name in states else name for name in recurrence.parameter_names]
    sequence, steps = (_free(name, Printer(states, parameters, sequence="", steps="").taken) for name in ("x", "T"))
    words = partial(Printer, states, parameters, sequence=sequence, steps=steps)

    # What a name stands for ends with its part: a state that it was made of has another value in the next.
    def part(targets: Targets) -> tuple[Equation, ...]:
        return tuple(_equations_of(words(longest=10**6), targets, variables_of(recurrence), recurrence.origins))

    printer = words(longest=10 * LONGEST)
    initial = [
        Equation(name, printer.expression(node), node, _reads(printer, node))
        for name, node in zip(states, recurrence.initial, strict=True)
    ]
    dash = "'" * (len(states) > 1)
    step = part([(f"{name}{dash}", node) for name, node in zip(states, recurrence.step, strict=True)])
    readout = part([(_free("logits", printer.taken), recurrence.readout)])
    return Equations(tuple(initial), step, readout, states, sequence, recurrence.reverse)


def _free(name: str, taken: set[str]) -> str:
    """Return the name, with a number where something else has it."""
    return name if name not in taken else next(n for i in range(1, 99) if (n := f"{name}_{i}") not in taken)


def _equations_of(
    printer: Printer, targets: Targets, variables: Mapping[Node, str], origins: Origins, every: bool = False
) -> list[Equation]:
    """Return the equations of some targets, and tell the printer the names of what they compute.

    Parameters
    ----------
    printer : Printer
        What it has a name for already needs no equation.
    targets : iterable of (str, Node)
    variables : mapping
        What has a name, and an equation of its own for that.
    origins : mapping
        Where nodes stand in the user's code; the equations stand in the same order, as far as inputs stand first.
    every : bool
        Whether every node has an equation, and not only what has a name, is read twice or is deep.
    """
    targets = list(targets)
    order = [n for n in topological([n for _, n in targets], printer.names) if n.inputs and n not in printer.names]
    line: dict[Node, int] = {}
    for node in order:
        line[node] = max([origins[node].line if node in origins else 0, *(line.get(i, 0) for i in node.inputs)])
    order.sort(key=line.__getitem__)
    names = {node: (every and variables.get(node)) or name for name, node in targets if node in line}
    given, used, numbers = dict(names), {*printer.taken, *names.values()}, Counter[str]()
    # Of several values of one variable the last has its name; the ones before only need one if they are read twice.
    for node in reversed(order):
        name = variables.get(node, "")
        if name and name not in used and node not in names:
            names[node] = name
            used.add(name)
    reads = Counter(i for node in order for i in node.inputs[: 1 if is_square(node) else None])
    equations, depth = [], dict[Node, int]()
    for node in order:
        depth[node] = 1 + max(depth.get(i, 0) for i in node.inputs)
        needed = every and not printer.shows_nothing(node)
        if node not in names and (needed or reads[node] > 1 or depth[node] > _DEEPEST):
            name = stem = variables.get(node, "v")
            while name in used or name == stem:
                numbers[stem] += 1
                name = f"{stem}_{numbers[stem]}"
            names[node] = name
            used.add(name)
        if node in names:
            equations.append(Equation(names[node], printer.expression(node), node, _reads(printer, node)))
            printer.names[node] = names[node]
            depth[node] = 0
    # Two states may be one value, or a state that of another before the step.
    others = [(name, node) for name, node in targets if given.get(node) != name]
    return equations + [Equation(name, printer.operand(node), node, (node,)) for name, node in others]


def _reads(printer: Printer, node: Node) -> tuple[Node, ...]:
    """Return the leaves and the named nodes that the expression of a node mentions."""
    below = topological(node.inputs or [node], stop=printer.names)
    return tuple(n for n in below if not n.is_constant and (n.is_leaf or n in printer.names))


# Stages ---------------------------------------------------------------------------------------------------------------


@singledispatch
def show(stage: Any) -> str:
    """Return what a pass returned, as text."""
    return str(stage)


def _listing(printer: Printer, targets: Targets, variables: Mapping[Node, str], origins: Origins) -> list[str]:
    """Return a line for every node, with its size and the line of the model that it comes from."""
    lines = []
    for equation in _equations_of(printer, targets, variables, origins, every=True):
        size, origin = equation.node.size, origins.get(equation.node)
        line = f", {str(origin).split('   ')[0]}" if origin is not None and origin.file else ""
        lines.append(f"    {equation!s:<58}  # {size} number{'s' if size != 1 else ''}{line}")
    return lines


@show.register
def _(traces: Traces) -> str:
    # Those of other lengths say the same at greater length.
    traced = traces.by_length[2]
    printer, variables = Printer((), traces.parameter_names), variables_of(traced)
    return "\n".join(
        [f"{traced.length} steps:", *_listing(printer, [("logits", traced.output)], variables, traced.origins)]
    )


@show.register
def _(recurrence: Recurrence) -> str:
    return str(write_equations(recurrence))


@show.register
def _(hoisted: Hoisted) -> str:
    recurrence = hoisted.recurrence
    states, variables = state_names(recurrence), forward_names(recurrence) | _after(recurrence)
    parts: dict[str, list[tuple[str, Node]]] = {
        "once": [(f"derived_{i}", node) for i, node in enumerate(hoisted.derived)],
        "before the first step": list(zip(states, recurrence.initial, strict=True)),
        "for every x": [(f"{name}'", node) for name, node in zip(states, recurrence.step, strict=True)],
        "after the last step": [("logits", recurrence.readout)],
    }
    words = partial(Printer, states, recurrence.parameter_names, recurrence.shapes)
    return _titled({title: _listing(words(), part, variables, recurrence.origins) for title, part in parts.items()})


@show.register
def _(derivative: Derivative) -> str:
    recurrence = derivative.recurrence
    states, variables = state_names(recurrence), node_names(derivative)
    forward, after = forward_names(recurrence), _after(recurrence)
    for node in topological([*derivative.step.states, *(t for ts in derivative.step.weights.values() for t in ts)]):
        if node.operation == "gradient":
            after[node] = f"d_{states[node.attributes[0]]}'"
    parts = {
        "back through the readout": (derivative.readout, forward, states),
        "back through a step": (derivative.step, forward | after, states),
        "back to the parameters, before the first step": (derivative.prelude, forward, ()),
    }
    listings = {}
    for title, (pullback, names, before) in parts.items():
        printer = Printer(states, recurrence.parameter_names, recurrence.shapes, names)
        targets = [(f"d_{name}", node) for name, node in zip(before, pullback.states, strict=False)]
        targets += [(f"d_{printer.operand(leaf)}", term) for leaf, terms in pullback.weights.items() for term in terms]
        listings[title] = _listing(printer, targets, variables, {})
    return _titled(listings)


def _after(recurrence: Recurrence) -> dict[Node, str]:
    """Return the names of the states after a step."""
    states = zip(state_names(recurrence), recurrence.step, strict=True)
    return {node: f"{name}'" for name, node in states if node.inputs}


def _titled(parts: Mapping[str, list[str]]) -> str:
    return "\n".join(line for title, lines in parts.items() if lines for line in (f"{title}:", *lines))


@show.register
def _(plan: Plan) -> str:
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
