"""The recurrence as equations, in the model's own names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler._graph import Node, indices_of, topological
from myrnn.compiler._operations import transposed_indices
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
_ATOM = 9.0
# The sign that needs more of its right operand, or of its left one, than to be as strong as itself.
_LEFT_ASSOCIATIVE = ("subtract", "divide", "matmul", "power", "equal", "greater")
_NOT_LEFT_ASSOCIATIVE = ("power", "equal", "greater")
_FUNCTIONS = {"select": "where"}


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


class Expressions:
    """Writes nodes as expressions.

    Parameters
    ----------
    states, parameter_names : tuple of str
    columns : sequence of int
        How many columns each parameter has; only rows of parameters need it.
    """

    sequence, length = "x", "T"

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
        own = _strength(node)
        # Python reads * and @ from left to right; a reader should not have to know.
        weak = own < strength or (own == 2.5 and strength in (2, 3))
        return f"({text})" if weak else text

    def _write(self, node: Node) -> str:
        if node.is_leaf:
            return self._leaf(node)
        operation = node.operation
        strength = _STRENGTH.get(operation, 0)
        if _is_infix(node):
            left, right = node.inputs
            first = self._operand(left, strength + (operation in _NOT_LEFT_ASSOCIATIVE))
            transposed = operation == "matmul" and node.attributes[3]
            second = self._operand(right, _ATOM if transposed else strength + (operation in _LEFT_ASSOCIATIVE))
            return f"{first} {_INFIX[operation]} {second}{'.T' if transposed else ''}"
        if operation == "negative":
            return f"-{self._operand(node.inputs[0], strength)}"
        if operation == "take":
            place = _told_indices(node)
            return f"{self._operand(node.inputs[0], _ATOM if place else 0)}{place}"
        inputs = [self._operand(i, 0) for i in node.inputs]
        if operation in ("expand", "put"):
            return inputs[0]
        return f"{_FUNCTIONS.get(operation, operation)}({', '.join(inputs)}{_told_axis(node)})"

    def _leaf(self, node: Node) -> str:
        if node.is_constant:
            return self._constant(node)
        which = node.attributes
        match node.operation:
            case "input" | "length":
                return self.sequence if node.operation == "input" else self.length
            case "row":
                return f"{self.sequence}[{which[0]}]"
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
        for child in node.inputs:
            reads[child] = reads.get(child, 0) + 1
    return reads


def _strength(node: Node) -> float:
    if node.is_constant and node.numbers[0] < 0:
        return _STRENGTH["negative"]
    if node.operation in ("expand", "put") or (node.operation == "take" and not _told_indices(node)):
        return _strength(node.inputs[0])
    return _STRENGTH[node.operation] if _is_infix(node) or node.operation == "negative" else _ATOM


def _is_infix(node: Node) -> bool:
    return node.operation in _INFIX and not (node.operation == "matmul" and node.attributes[0] != 1)


def _told_axis(node: Node) -> str:
    """Return the axis of a sum or softmax, of a value with several."""
    if node.operation not in ("sum", "softmax", "log_softmax"):
        return ""
    outer, _, inner = node.attributes
    return "" if outer == 1 and inner == 1 else ", axis=-1" if inner == 1 else ", axis=0" if outer == 1 else ", axis=1"


def _told_indices(node: Node) -> str:
    """Return the index of what is taken; nothing for what NumPy repeats by itself."""
    where, size = indices_of(node.attributes[0]), node.inputs[0].size
    if len(where) > size and len(where) % size == 0:
        times = len(where) // size
        every = np.arange(size)
        if np.array_equal(where, np.tile(every, times)) or np.array_equal(where, np.repeat(every, times)):
            return ""
    if len(where) == 1:
        return f"[{where[0]}]"
    steps = np.unique(np.diff(where))
    if len(steps) == 1 and steps[0] != 0:
        return _told_slice(int(where[0]), int(where[-1]), int(steps[0]))
    if len(where) == size and _is_transpose(where):
        return ".T"
    return f"[[{', '.join(map(str, where[:4]))}{', ...' if len(where) > 4 else ''}]]"


def _told_slice(first: int, last: int, step: int) -> str:
    if step == 1:
        return f"[{first}:{last + 1}]"
    end = last + (1 if step > 0 else -1)
    return f"[{first}:{end if end >= 0 else ''}:{step}]"


def _is_transpose(where: NDArray[np.int32]) -> bool:
    size = len(where)
    rows = (n for n in range(2, size // 2 + 1) if size % n == 0)
    return any(np.array_equal(where, transposed_indices(n, size // n)) for n in rows)
