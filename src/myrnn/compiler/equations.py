"""Names for the values of a model, its recurrence as equations, and the output of each pass as text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import count
from typing import Any

from myrnn.compiler.array_text import ArrayText, Shape, array_texts
from myrnn.compiler.carry import carried_of, steps_so_far
from myrnn.compiler.derive import Derivative, Hoisted, Pullback
from myrnn.compiler.graph import Node, topological
from myrnn.compiler.leaves import (
    INPUT,
    CallResult,
    CarriedNumbers,
    Derived,
    Drawn,
    Gradient,
    Input,
    Kept,
    Length,
    LoopState,
    Parameter,
    ParameterRows,
    Row,
    StepNumber,
    StepTable,
)
from myrnn.compiler.loops import Recurrence
from myrnn.compiler.ops import add
from myrnn.compiler.printer import LONGEST, Printer, is_square
from myrnn.compiler.probe import Traces
from myrnn.compiler.trace import Trace

Target = tuple[str, Node]
"""The wanted name of a value, and the value."""

# Deeper expressions get a name and an equation.
_DEEPEST = 20

# Names ----------------------------------------------------------------------------------------------------------------


def state_names(recurrence: Recurrence) -> tuple[str, ...]:
    """Return a name for each state: the model's own variable, the value that it sums up, or ``state_i``."""
    variables, names = variables_of(recurrence), list[str]()
    for i, node in enumerate(recurrence.step):
        name = variables.get(node) or _total(node, variables) or f"state_{i}"
        names.append(name if name not in names else f"{name}_{i}")
    return tuple(names)


def variables_of(stage: Trace | Recurrence) -> dict[Node, str]:
    """Return the model's variables, by value."""
    return {node: origin.name for node, origin in stage.origins.items() if origin.name}


def kept_names(recurrence: Recurrence) -> dict[int, str]:
    """Return a name for values that loops keep of every step: the state, the model's own variable, or ``kept_i``."""
    variables, states = variables_of(recurrence), state_names(recurrence)
    logits = recurrence.readout.leaf.number if isinstance(recurrence.readout.leaf, Kept) else None
    found: dict[int, str] = {}
    for loop, first in zip(recurrence.loops, recurrence.first_states, strict=True):
        own = dict(zip(loop.step, states[first:], strict=False))
        for k, node in loop.kept.items():
            name = own.get(node) or ("logits" if k == logits else variables.get(node, f"kept_{k}"))
            is_taken = name in found.values() or (node not in own and name in {*states, *recurrence.parameter_names})
            found[k] = f"{name}_{k}" if is_taken else name
    return found


def _total(node: Node, variables: dict[Node, str]) -> str:
    """Return ``total_h`` for a state that sums up `h` step by step, as for a mean over all steps; otherwise empty."""
    summed = [i for i in node.inputs if not isinstance(i.leaf, LoopState)]
    if node.operation != "add" or len(summed) == len(node.inputs):
        return ""
    return next((f"total_{variables[i]}" for i in summed if i in variables), "")


def leaf_names(stage: Traces | Recurrence, states: Sequence[str], nodes: Iterable[Node]) -> dict[Node, str]:
    """Name the leaves below some nodes, each differently."""
    # A parameter with the name of a state is distinguished by its attribute path.
    parameters = [f"self.{name}" if name in states else name for name in stage.parameter_names]
    taken = {*states, *_heads(parameters)}
    sequence, steps = _free("x", taken), _free("T", taken)
    names: dict[Node, str] = {}
    kept = kept_names(stage) if isinstance(stage, Recurrence) else {}
    for node in topological(nodes):
        match node.leaf:
            case Input():
                names[node] = sequence
            case Row(t, Input()):
                names[node] = f"{sequence}[{t}]"
            case Drawn() as drawn:
                names[node] = str(drawn) if drawn.once else f"{drawn}[t]"
            case Length():
                names[node] = steps
            case StepNumber():
                names[node] = "t"
            case CarriedNumbers(offset):
                names[node] = _carried_name(stage, states, offset)
            case LoopState(i):
                names[node] = states[i]
            case Kept(k):
                names[node] = f"{kept[k]}[t]"
            case Gradient(LoopState(i)):
                names[node] = f"d_{states[i]}"
            case Parameter(i):
                names[node] = parameters[i]
            case ParameterRows(i, first):
                names[node] = f"{parameters[i]}[{first}:{first + node.size // stage.shapes[i][-1]}]"
            case CallResult() | Derived() | StepTable() | Gradient():
                names[node] = str(node.leaf)
    return names


def _carried_name(stage: Traces | Recurrence, states: Sequence[str], at: int) -> str:
    """Name a value that a stream carries: a state as it was, the number of steps, or whether it has begun."""
    assert isinstance(stage, Recurrence)
    carried = carried_of(stage)
    names = dict(zip(carried.places, (f"last_{name}" for name in states), strict=True))
    return (names | {carried.steps: "steps_before", carried.begun: "has_begun"})[at]


def _heads(names: Iterable[str]) -> set[str]:
    return {re.split(r"[.\[]", name)[0] for name in names}


def _free(name: str, taken: Collection[str]) -> str:
    """Return the name, with a number if it is taken."""
    return name if name not in taken else _numbered(name, taken)


def _numbered(name: str, taken: Collection[str]) -> str:
    return next(n for i in count(1) if (n := f"{name}_{i}") not in taken)


def _forward_names(recurrence: Recurrence) -> dict[Node, str]:
    """Name the values of the forward pass: variables, states and logits, and sums of products in them (``h_sum``)."""
    names = variables_of(recurrence) | dict(zip(recurrence.step, state_names(recurrence), strict=True))
    if not recurrence.per_step:
        names[recurrence.readout] = "logits"
    for node, name in list(names.items()):
        if node.operation not in ("add", "matmul"):
            names = {i: f"{name}_sum" for i in node.inputs if _holds_product(i)} | names
    return {node: name for node, name in names.items() if node.inputs}


def _holds_product(node: Node) -> bool:
    while node.operation == "add" and not any(i.operation == "matmul" for i in node.inputs):
        node = node.inputs[0]
    return node.operation in ("add", "matmul")


def _gradient_names(derivative: Derivative, forward: Mapping[Node, str]) -> dict[Node, str]:
    """Name the gradients of named values, and those of the states before a step (``d_h``)."""
    names: dict[Node, str] = {}
    states = state_names(derivative.recurrence)
    for pullback in derivative.pullbacks:
        given = [(gradient, forward[node]) for node, gradient in pullback.gradients.items() if node in forward]
        for gradient, name in [*given, *((node, states[i]) for i, node in pullback.states.items())]:
            if gradient.inputs:
                names.setdefault(gradient, f"d_{name}")
    return names


def printer_of(derivative: Derivative) -> Printer:
    """Return a printer with the names that emitted code may use."""
    forward = _forward_names(derivative.recurrence)
    return Printer(_leaves_of(derivative) | _gradient_names(derivative, forward) | forward | _loss_names(derivative))


def _loss_names(derivative: Derivative) -> dict[Node, str]:
    """Name what a loss reads."""
    if (loss := derivative.kind.loss) is None:
        return {}
    build = derivative.recurrence.build
    return loss.names(build) | {build.leaf(Gradient("loss"), 1): "d_loss"}


def _leaves_of(derivative: Derivative) -> dict[Node, str]:
    r = derivative.recurrence
    nodes = [*r.nodes, *derivative.derived, *(r.build.leaf(Kept(k), n.size) for k, n in r.kept.items())]
    if r.carried:
        nodes.append(steps_so_far(r))
    for pullback in derivative.pullbacks:
        terms = [term for several in pullback.weights.values() for term in several]
        nodes += [*pullback.states.values(), *pullback.kept.values(), pullback.input, *pullback.weights, *terms]
    return leaf_names(r, state_names(r), nodes)


# Equations ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Equation:
    """One line of a recurrence."""

    name: str  # the computed value: a state, a variable of the model, or the logits
    text: str  # the right side of the equation
    node: Node
    # The names on the right side, in order and once each: leaves, and the nodes of other equations.
    reads: tuple[Node, ...]
    shape: Shape  # of the value as an array

    def __str__(self) -> str:
        """Return ``name = text``."""
        return f"{self.name} = {self.text}"


@dataclass(frozen=True)
class LoopEquations:
    """A loop in the model's own names."""

    initial: tuple[Equation, ...]  # the states before the first step, in the order of the loop's states
    # In the order of the model's lines; values are computed before they are read. A state on the right is that of the
    # step before; if the loop computes more than this state, its new value has a prime: ``h'``. Values that it keeps of
    # every step for later loops are ``h[t]`` there.
    step: tuple[Equation, ...]
    after: tuple[str, ...]  # the names of the states after a step
    backward: bool  # whether the last row comes first


@dataclass(frozen=True)
class Equations:
    """A recurrence in the model's own names."""

    loops: tuple[LoopEquations, ...]
    readout: tuple[Equation, ...]
    states: tuple[str, ...]
    shapes: tuple[Shape, ...]  # those of the states
    # The name of the current row of the sequence: ``x``, unless the model uses that name for something else.
    sequence: str

    def __str__(self) -> str:
        """Return the initial states and the step of each loop, and the readout, one equation per line."""
        parts: list[tuple[str, Sequence[Equation]]] = []
        for i, loop in enumerate(self.loops):
            every = f"for every {self.sequence}{', the last one first' if loop.backward else ''}"
            parts += [("before the first step" if i == 0 else "then", loop.initial), (every, loop.step)]
        return _titled([*parts, ("after the last step", self.readout)])


def write_equations(recurrence: Recurrence) -> Equations:
    """Write the initial states, the steps and the readout as equations, in the notation of NumPy."""
    r, states, arrays = recurrence, state_names(recurrence), array_texts(recurrence)
    row = r.build.leaf(INPUT, r.dim_input)
    leaves, variables = leaf_names(r, states, [row, *r.nodes]), variables_of(r)
    lines = {node: origin.line for node, origin in r.origins.items() if node.inputs}
    printer, kept, loops = _printer(leaves, 10 * LONGEST, arrays), kept_names(r), []
    shapes = tuple(arrays[leaf].shape for several in r.state_leaves for leaf in several)
    for loop, first in zip(r.loops, r.first_states, strict=True):
        own = states[first : first + len(loop.step)]
        initial = tuple(
            Equation(name, _initial(printer, node, arrays[node], shape), node, _reads(printer, node), shape)
            for name, node, shape in zip(own, loop.initial, shapes[first:], strict=False)
        )
        # A state that does not change needs no equation.
        others = [(f"{kept[k]}[t]", n) for k, n in loop.kept.items() if n not in loop.step]
        dash = "'" * (len(own) + len(others) > 1)
        after = tuple(f"{name}{dash}" for name in own)
        # The scope of a name is its part: in the next part, a state that was made of it has another value.
        step = _equations(leaves, [*zip(after, loop.step, strict=True), *others], variables, lines, arrays)
        loops.append(LoopEquations(initial, step, after, loop.backward))
    # Logits of every step that a separate loop computes are written there.
    name = "logits[t]" if r.per_step else _free("logits", _heads(leaves.values()))
    readout = () if leaves.get(r.readout) == name else _equations(leaves, [(name, r.readout)], variables, lines, arrays)
    return Equations(tuple(loops), readout, states, shapes, leaves[row])


def _printer(names: Mapping[Node, str], longest: int, arrays: Mapping[Node, ArrayText]) -> Printer:
    return Printer(
        names, longest, {node: (array.template, array.inputs) for node, array in arrays.items() if node.inputs}
    )


def _initial(printer: Printer, node: Node, array: ArrayText, shape: Shape) -> str:
    """Return the text of the initial value of a state of this shape."""
    is_named = node.is_leaf and not node.is_constant
    return printer.text(array.as_whole("{0}", shape), node) if is_named else printer.expression(node)


def _equations(
    names: Mapping[Node, str],
    targets: Sequence[Target],
    variables: Mapping[Node, str],
    moments: Mapping[Node, int],
    arrays: Mapping[Node, ArrayText] | None = None,
) -> tuple[Equation, ...]:
    """Return the equations of some targets, and of nodes below them that are variables, read twice or deep."""
    # Nodes in `names` need none. The equations are in the order of `moments`, such as the lines of the model, as far as
    # inputs allow. Without `arrays`, their texts do not show all shapes.
    arrays = arrays or {}
    printer = _printer(names, 10**6, arrays)

    def equation(name: str, text: str, node: Node, reads: tuple[Node, ...]) -> Equation:
        return Equation(name, text, node, reads, arrays[node].shape if node in arrays else (node.size,))

    nodes = topological([node for _, node in targets], names)
    moment: dict[Node, int] = {}
    for node in nodes:
        moment[node] = max([moments.get(node, 0), *(moment.get(i, 0) for i in node.inputs)])
    order = sorted((n for n in nodes if n.inputs and n not in names), key=moment.__getitem__)
    reads = Counter(i for node in order for i in node.inputs[: 1 if is_square(node) else None])
    chosen = {node: name for name, node in reversed(targets) if node.inputs and node not in names}
    used = {*_heads(names.values()), *chosen.values()}
    # The last value of a variable gets its name, earlier ones are numbered.
    for node in reversed(order):
        name = variables.get(node, "")
        if name and name not in used and node not in chosen:
            chosen[node] = name
            used.add(name)
    equations, depth = [], dict[Node, int]()
    for node in order:
        depth[node] = 1 + max(depth.get(i, 0) for i in node.inputs)
        if node not in chosen and (node in variables or reads[node] > 1 or depth[node] > _DEEPEST):
            chosen[node] = _numbered(variables.get(node, "v"), used)
            used.add(chosen[node])
        if node in chosen:
            equations.append(equation(chosen[node], printer.expression(node), node, _reads(printer, node)))
            printer.names[node] = chosen[node]
            depth[node] = 0
    # Two states may be one value, or a state may be another one before the step.
    others = [(name, node) for name, node in targets if chosen.get(node) != name]
    return (*equations, *(equation(name, printer.text("{0}", node), node, (node,)) for name, node in others))


def _reads(printer: Printer, node: Node) -> tuple[Node, ...]:
    """Return the leaves and the named nodes in the expression of a node."""
    below = topological(node.inputs or [node], stop=printer.names)
    return tuple(n for n in below if not n.is_constant and (n.is_leaf or n in printer.names))


def _titled(parts: Iterable[tuple[str, Sequence[Equation]]]) -> str:
    blocks = ("\n    ".join([f"{title}:", *map(str, part)]) for title, part in parts if part)
    return "\n".join(blocks)


# Stages ---------------------------------------------------------------------------------------------------------------


def show(stage: Any) -> str:
    """Return the result of a pass as text, with graphs as equations."""
    match stage:
        case Traces():
            return _show_traces(stage)
        case Recurrence():
            return str(write_equations(stage))
        case Hoisted():
            recurrence = stage.recurrence
            leaves = leaf_names(recurrence, state_names(recurrence), stage.derived)
            once = _equations(leaves, [(f"derived_{i}", n) for i, n in enumerate(stage.derived)], {}, {})
            return "\n".join(filter(None, [_titled([("once", once)]), str(write_equations(recurrence))]))
        case Derivative():
            return _show_derivative(stage)
    return str(stage)


def _show_traces(traces: Traces) -> str:
    # Traces of other lengths say the same at greater length.
    trace = traces.by_length[2]
    leaves = leaf_names(traces, (), [trace.output])
    rows = {node: node.leaf.step for node in leaves if isinstance(node.leaf, Row)}
    return _titled([("2 steps", _equations(leaves, [("logits", trace.output)], variables_of(trace), rows))])


def _show_derivative(derivative: Derivative) -> str:
    recurrence, before = derivative.recurrence, state_names(derivative.recurrence)
    leaves, forward = _leaves_of(derivative), _forward_names(recurrence)
    gradients = _gradient_names(derivative, forward)
    # In a step a state and its gradient have two values: before it, and after it with a prime.
    after = {node: f"{name}'" for name, node in zip(before, recurrence.step, strict=True) if node.inputs}
    after |= {node: f"{name}'" for node, name in leaves.items() if isinstance(node.leaf, Gradient)}
    parts: list[tuple[str, Pullback, dict[Node, str]]] = [("back through the readout", derivative.readout, {})]
    for i in reversed(range(len(recurrence.loops))):
        which = f" of loop {i + 1}" if len(recurrence.loops) > 1 else ""
        parts.append((f"back through a step{which}", derivative.loops[i], after))
        parts.append((f"back to what the states{which} begin with", derivative.entries[i], {}))
    parts.append(("back to the parameters, before the first step", derivative.prelude, {}))
    titled = []
    for title, pullback, others in parts:
        weights = [(f"d_{leaves[leaf]}", reduce(add, terms)) for leaf, terms in pullback.weights.items()]
        # The gradient of a bias is that of a sum, which has a name.
        sums = [(gradients[node], node) for _, node in weights if node in gradients]
        states = [(f"d_{before[i]}", node) for i, node in pullback.states.items() if pullback is not derivative.prelude]
        states += [(f"d_kept_{k}", node) for k, node in pullback.kept.items()]
        titled.append((title, _equations(leaves | forward | others, [*sums, *states, *weights], gradients, {})))
    return _titled(titled)
