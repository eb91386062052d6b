"""What nodes are called: the model's own variables, and names for what it left without one."""

from __future__ import annotations

from myrnn.compiler.derive import Derivative
from myrnn.compiler.graph import Node, topological
from myrnn.compiler.ops import OPERATIONS
from myrnn.compiler.printer import Printer
from myrnn.compiler.roll import Recurrence
from myrnn.compiler.trace import Trace


def state_names(recurrence: Recurrence) -> tuple[str, ...]:
    """Return a name for each state: the model's own variable, what it sums up, or ``state_i``."""
    variables, names = variables_of(recurrence), list[str]()
    for i, node in enumerate(recurrence.step):
        name = variables.get(node) or _total(node, variables) or f"state_{i}"
        names.append(name if name not in names else f"{name}_{i}")
    return tuple(names)


def variables_of(stage: Trace | Recurrence) -> dict[Node, str]:
    """Return the model's variables, by what they hold."""
    return {node: origin.name for node, origin in stage.origins.items() if origin.name}


def _total(node: Node, variables: dict[Node, str]) -> str:
    """Return ``total_h`` for a state that adds up `h` step by step, as a mean over all steps does; else nothing."""
    if node.operation != "add" or not any(i.operation == "state" for i in node.inputs):
        return ""
    return next((f"total_{variables[i]}" for i in node.inputs if i.operation != "state" and i in variables), "")


def forward_names(recurrence: Recurrence) -> dict[Node, str]:
    """Name what goes forward: states and variables, sums of products (``h_sum``) and functions of what has a name."""
    names = variables_of(recurrence)
    names |= {node: name for node, name in zip(recurrence.step, state_names(recurrence), strict=True) if node.inputs}
    names[recurrence.readout] = "logits"
    for node in topological([*recurrence.step, recurrence.readout]):
        if node in names and node.operation not in ("add", "matmul"):
            for child in node.inputs:
                if child not in names and _holds_product(child):
                    names[child] = f"{names[node]}_sum"
        if node.inputs and node not in names and OPERATIONS[node.operation].kind == "map":
            operands = [i for i in node.inputs if not i.is_constant]
            if len(operands) == 1 and operands[0] in names:
                names[node] = f"{node.operation}_{names[operands[0]]}"
    return {node: name for node, name in names.items() if node.inputs}


def _holds_product(node: Node) -> bool:
    while node.operation == "add":
        if any(i.operation == "matmul" for i in node.inputs):
            return True
        node = node.inputs[0]
    return node.operation == "matmul"


def node_names(derivative: Derivative) -> dict[Node, str]:
    """Name what goes forward, its gradients (``d_h``), and the derivatives of functions (``slope_h``)."""
    names = forward_names(derivative.recurrence)
    for pullback in (derivative.readout, derivative.step, derivative.prelude):
        given: list[tuple[Node, str]] = []
        for node, (gradient, shares) in pullback.gradients.items():
            if node in names:
                given.append((gradient, f"d_{names[node]}"))
                share = shares[0] if len(shares) == 1 else None
                if share is not None and share.operation == "multiply" and share.inputs[0] is gradient:
                    given.append((share.inputs[1], f"slope_{names[node]}"))
        given += zip(pullback.states, (f"d_{name}" for name in state_names(derivative.recurrence)), strict=True)
        for node, name in given:
            if node.inputs:
                names.setdefault(node, name)
    return names


def printer_of(derivative: Derivative) -> Printer:
    """Return a printer with a name for all that has one."""
    r = derivative.recurrence
    return Printer(state_names(r), r.parameter_names, r.shapes, node_names(derivative))
