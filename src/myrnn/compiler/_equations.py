"""The recurrence as equations, in the model's own names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from myrnn.compiler._graph import Node, indices_of, topological
from myrnn.compiler._roll import Recurrence

_INFIX = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "power": "**",
    "matmul": "@",
    "greater": ">",
    "equal": "==",
}
_STRENGTH = {
    "equal": 0,
    "greater": 0,
    "add": 1,
    "subtract": 1,
    "multiply": 2,
    "divide": 2,
    "matmul": 2.5,
    "negative": 3,
    "power": 4,
}


def equations(recurrence: Recurrence, parameter_names: tuple[str, ...]) -> str:
    """Return the initial states, the step and the readout, one equation a line.

    `x` is the present row of the sequence, and a state on the right of an equation is that of the step before.
    """
    writer = _Equations(recurrence, parameter_names)
    lines = ["before the first step:"]
    lines += [f"    {name} = {writer.text(node)}" for name, node in zip(writer.states, recurrence.initial, strict=True)]
    lines.append("for every x, the last one first:" if recurrence.reverse else "for every x:")
    lines += [f"    {line}" for line in writer.region(dict(zip(writer.states, recurrence.step, strict=True)))]
    lines.append("after the last step:")
    lines += [f"    {line}" for line in writer.region({"logits": recurrence.readout})]
    return "\n".join(lines)


def state_names(recurrence: Recurrence) -> tuple[str, ...]:
    """Return a name for each state: the model's own variable, or ``state_i``."""
    names: list[str] = []
    for i, node in enumerate(recurrence.step):
        origin = recurrence.origins.get(node)
        name = origin.name if origin is not None and origin.name else f"state_{i}"
        names.append(name if name not in names else f"{name}_{i}")
    return tuple(names)


class Expressions:
    """Writes nodes as expressions.

    Parameters
    ----------
    states, parameter_names : tuple of str
    columns : sequence of int
        How many columns each parameter has; only rows of parameters need it.
    """

    def __init__(self, states: tuple[str, ...], parameter_names: tuple[str, ...], columns: Sequence[int] = ()) -> None:
        self.states, self._parameters, self._columns = states, parameter_names, columns
        self._named: dict[Node, str] = {}
        self._written: dict[Node, str] = {}

    def text(self, node: Node) -> str:
        """Return the expression of a node; its own name stands for it only inside others."""
        return self._write(node)

    def _operand(self, node: Node, strength: float) -> str:
        if node in self._named:
            return self._named[node]
        text = self._written.get(node) or self._write(node)
        own = _STRENGTH.get(node.operation, 9)
        # Python reads * and @ from left to right; a reader should not have to know.
        weak = own < strength or (own == 2.5 and strength in (2, 3))
        return f"({text})" if weak else text

    def _write(self, node: Node) -> str:
        if node.is_leaf:
            return self._leaf(node)
        operation = node.operation
        strength = _STRENGTH.get(operation, 0)
        if operation in _INFIX and not (operation == "matmul" and node.attributes[0] != 1):
            left, right = node.inputs
            first = self._operand(left, strength)
            second = self._operand(right, strength + (operation in ("subtract", "divide", "matmul", "power")))
            transposed = ".T" if operation == "matmul" and node.attributes[3] else ""
            return f"{first} {_INFIX[operation]} {second}{transposed}"
        inputs = [self._operand(i, 0) for i in node.inputs]
        if operation == "negative":
            return f"-{self._operand(node.inputs[0], strength)}"
        if operation == "take":
            return f"{self._operand(node.inputs[0], 9)}[{_told_indices(node.attributes[0])}]"
        if operation in ("expand", "put"):
            return inputs[0]
        return f"{operation}({', '.join(inputs)})"

    def _leaf(self, node: Node) -> str:
        if node.is_constant:
            return self._constant(node)
        which = node.attributes
        match node.operation:
            case "input" | "length":
                return "x" if node.operation == "input" else "T"
            case "row":
                return f"x[{which[0]}]"
            case "state":
                return self.states[which[0]]
            case "parameter":
                return self._parameters[which[0]]
            case "rows":
                return f"{self._parameters[which[0]]}[{which[1]}:{which[1] + node.size // self._columns[which[0]]}]"
            case "gradient" if isinstance(which[0], int):
                return f"d_{self.states[which[0]]}"
        return "_".join(map(str, ("d" if node.operation == "gradient" else node.operation, *which)))

    def _constant(self, node: Node) -> str:
        numbers = node.numbers
        if np.all(numbers == numbers[0]):
            return f"{numbers[0]:g}"
        return f"[{' '.join(f'{n:g}' for n in numbers[:4])}{' ...' if len(numbers) > 4 else ''}]"


class _Equations(Expressions):
    def __init__(self, recurrence: Recurrence, parameter_names: tuple[str, ...]) -> None:
        super().__init__(state_names(recurrence), parameter_names)
        self._recurrence = recurrence

    def region(self, targets: dict[str, Node]) -> list[str]:
        """Return the equations of some targets, with one of its own for each node that has a name or is read twice."""
        order = topological(targets.values())
        reads: dict[Node, int] = {}
        for node in order:
            for child in node.inputs:
                reads[child] = reads.get(child, 0) + 1
        # A state is told from the one before the step by a dash, where another equation could read either.
        dash = "'" if len(targets) > 1 else ""
        final = {node: f"{name}{dash}" for name, node in targets.items() if not node.is_leaf}
        taken = {*self.states, *targets, "x"}
        lines = []
        for node in order:
            if node.is_leaf:
                continue
            origin = self._recurrence.origins.get(node)
            name = final.get(node) or (origin.name if origin is not None else "")
            if node not in final and (name in taken or (not name and reads.get(node, 0) > 1)):
                name = f"v{len(taken)}" if reads.get(node, 0) > 1 else ""
            if name:
                taken.add(name)
                lines.append(f"{name} = {self.text(node)}")
                self._named[node] = name
        others = [(name, node) for name, node in targets.items() if final.get(node) != f"{name}{dash}"]
        return lines + [f"{name}{dash} = {self._operand(node, 0)}" for name, node in others]


def _told_indices(data: bytes) -> str:
    where = indices_of(data)
    if np.array_equal(where, np.arange(where[0], where[0] + len(where))):
        return f"{where[0]}:{where[-1] + 1}"
    return "indices"
