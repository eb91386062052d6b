"""What nodes are called, and how they are written as expressions, so that Python would read them as they are meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler.graph import Node, indices_of, topological
from myrnn.compiler.ops import OPERATIONS, transposed_indices
from myrnn.compiler.roll import Recurrence
from myrnn.compiler.trace import Origin

LONGEST = 90
"""How many letters of an expression are shown."""

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
        # Python reads * and @ from left to right, and ** before @; a reader should not have to know.
        weak = own < strength or (own == 2.5 and strength in (2, 3)) or (own == 4 and strength in (2.5, 3.5))
        return f"({text})" if weak else text

    def _write(self, node: Node) -> str:
        if node.is_leaf:
            return self._leaf(node)
        operation = node.operation
        strength = _STRENGTH.get(operation, 0)
        if is_square(node):
            return f"{self._operand(node.inputs[0], _STRENGTH['power'] + 1)} ** 2"
        if _is_infix(node):
            left, right = node.inputs
            first = self._operand(left, strength + (operation in _NOT_LEFT_ASSOCIATIVE))
            if operation == "matmul" and left.is_constant:
                first = self._vector(left)
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

    def _vector(self, node: Node) -> str:
        """Return a constant as the factor of a product, where a number alone would not tell its size."""
        text = self._constant(node)
        filled = {"0": f"zeros({node.size})", "1": f"ones({node.size})"}.get(text, f"full({node.size}, {text})")
        return text if text.startswith("[") else filled

    def _constant(self, node: Node) -> str:
        numbers = node.numbers
        if np.all(numbers == numbers[0]):
            return f"{numbers[0]:g}"
        return f"[{' '.join(f'{n:g}' for n in numbers[:4])}{' ...' if len(numbers) > 4 else ''}]"


def _strength(node: Node) -> float:
    if node.is_constant and node.numbers[0] < 0:
        return _STRENGTH["negative"]
    if node.operation in ("expand", "put") or (node.operation == "take" and not _told_indices(node)):
        return _strength(node.inputs[0])
    if is_square(node):
        return _STRENGTH["power"]
    return _STRENGTH[node.operation] if _is_infix(node) or node.operation == "negative" else _ATOM


def is_square(node: Node) -> bool:
    """Whether the node is the product of a value with itself."""
    return node.operation == "multiply" and node.inputs[0] is node.inputs[1]


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


def state_names(recurrence: Recurrence) -> tuple[str, ...]:
    """Return a name for each state: the model's own variable, what it sums up, or ``state_i``."""
    names: list[str] = []
    for i, node in enumerate(recurrence.step):
        name = name_in(recurrence.origins, node) or _sum_name(recurrence, node) or f"state_{i}"
        names.append(name if name not in names else f"{name}_{i}")
    return tuple(names)


def _sum_name(recurrence: Recurrence, node: Node) -> str:
    """Return ``total_h`` for a state that adds up `h` step by step, as a mean over all steps does; else nothing."""
    if node.operation != "add" or not any(i.operation == "state" for i in node.inputs):
        return ""
    summed = next(
        (name for i in node.inputs if i.operation != "state" and (name := name_in(recurrence.origins, i))), ""
    )
    return f"total_{summed}" if summed else ""


def named(recurrence: Recurrence) -> dict[Node, Origin]:
    """Return the origins, with names for sums of products (``h_sum`` is what `h` is made of) and functions of names."""
    origins = dict(recurrence.origins)
    for node in topological([*recurrence.step, recurrence.readout]):
        name = "logits" if node is recurrence.readout else name_in(origins, node)
        for child in node.inputs if name and node.operation not in ("add", "matmul") else ():
            if not name_in(origins, child) and _holds_product(child):
                origins[child] = Origin(name=f"{name}_sum")
        if node.inputs and not name and OPERATIONS[node.operation].kind == "map":
            (first, *others) = [i for i in node.inputs if not i.is_constant]
            if name_in(origins, first) and not others:
                origins[node] = Origin(name=f"{node.operation}_{name_in(origins, first)}")
    return origins


def note_gradient(origins: dict[Node, Origin], node: Node, gradient: Node, terms: Iterable[Node | None]) -> None:
    """Name the gradient of a node that has a name, and the node's own derivative, by which the gradient is multiplied.

    Parameters
    ----------
    origins : dict
        Gets the names.
    node, gradient : Node
    terms : iterable of Node or None
        What the node hands on to its inputs.
    """
    name = name_in(origins, node)
    if not name:
        return
    give_name(origins, gradient, f"d_{name}")
    for term in terms:
        if term is not None and term.operation == "multiply" and term.inputs[0] is gradient:
            give_name(origins, term.inputs[1], f"slope_{name}")


def give_name(origins: dict[Node, Origin], node: Node, name: str) -> None:
    """Give a computed node a name, unless it has one."""
    if node.inputs and not name_in(origins, node):
        origins[node] = Origin(name=name)


def name_in(origins: dict[Node, Origin], node: Node) -> str:
    """Return the name of a node; empty where it has none."""
    return origins[node].name if node in origins else ""


def _holds_product(node: Node) -> bool:
    while node.operation == "add":
        if any(i.operation == "matmul" for i in node.inputs):
            return True
        node = node.inputs[0]
    return node.operation == "matmul"


class Words(Expressions):
    """What nodes are called, and what they are, in the model's words.

    Parameters
    ----------
    recurrence : Recurrence
        With names for what has one.
    parameter_names : tuple of str
    shapes : sequence of tuple
        Of the parameters.
    """

    def __init__(
        self, recurrence: Recurrence, parameter_names: tuple[str, ...], shapes: Sequence[tuple[int, ...]]
    ) -> None:
        super().__init__(state_names(recurrence), parameter_names, [shape[-1] if shape else 1 for shape in shapes])
        self._origins = recurrence.origins
        self._named = {n: origin.name for n, origin in self._origins.items() if n.inputs and origin.name}
        self._named |= {n: name for n, name in zip(recurrence.step, self.states, strict=True) if n.inputs}
        self._named[recurrence.readout] = "logits"

    def name(self, node: Node) -> str:
        """Return the name of a node; empty where it has none."""
        return self._named.get(node) or name_in(self._origins, node)

    def label(self, node: Node) -> str:
        """Return the name of a node or, where it has none, that of its operation."""
        return self.name(node) or node.operation

    def operand(self, node: Node) -> str:
        """Return the name of a node or, where it has none, its expression."""
        self._write_below(node)
        return self._operand(node, 1)

    def expression(self, node: Node) -> str:
        """Return the expression of a node."""
        self._write_below(node)
        return self._written[node] if node.inputs else self._write(node)

    def _write_below(self, node: Node) -> None:
        """Write what the node is made of, inputs first, so that neither depth nor sharing makes it long."""
        for below in topological([node], stop={*self._named, *self._written} - {node}):
            known = below in self._written or (below in self._named and below is not node)
            if below.inputs and not known:
                text = self._write(below)
                self._written[below] = text if len(text) <= LONGEST else f"{text[: text.rfind(' ', 0, LONGEST)]} ..."
