"""Nodes as Python text: one printer for equations, stages, messages, and the comments and expressions of emitted code.

The text of an operation is a template of Python syntax, such as ``{0} * {1}``. It is parsed once. The trees of the
operands take the place of the placeholders, and `ast.unparse` writes the result, with brackets just where they are
needed.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler.graph import Node
from myrnn.compiler.ops import OPERATIONS, indices_of, transposed_indices

LONGEST = 90
"""How many letters of an expression are shown."""

# Trees ----------------------------------------------------------------------------------------------------------------


def atom(text: str) -> ast.expr:
    """Return the tree of a text that needs no brackets anywhere: a name, a call or a number that is not negative."""
    return ast.Name(text, ast.Load())


def number(text: str) -> ast.expr:
    """Return the tree of a number that is written like this."""
    return ast.UnaryOp(ast.USub(), atom(text[1:])) if text.startswith("-") else atom(text)


def compose(template: str, operands: Sequence[ast.expr]) -> ast.expr:
    """Return the tree of a template, with operands for the placeholders ``{0}``, ``{1}``, ..."""
    return _filled(_parsed(template), operands)


def added(operands: Sequence[ast.expr]) -> ast.expr:
    """Return the tree of a sum."""
    return compose(" + ".join(f"{{{i}}}" for i in range(len(operands))), operands)


@cache
def _parsed(template: str) -> ast.expr:
    # A placeholder is valid Python, a set of one number, so that templates need no syntax of their own.
    return ast.parse(template, mode="eval").body


def _filled(tree: ast.expr, operands: Sequence[ast.expr]) -> ast.expr:
    match tree:
        case ast.Set([ast.Constant(int(which))]):
            return operands[which]

    def fill(value: Any) -> Any:
        if isinstance(value, list):
            return [fill(item) for item in value]
        if not isinstance(value, ast.expr):
            return value
        part = _filled(value, operands)
        return atom(f"({ast.unparse(part)})") if _unclear(part, tree) else part

    return type(tree)(**{name: fill(value) for name, value in ast.iter_fields(tree)})


def _without_idle_brackets(tree: ast.expr) -> ast.expr:
    """Return a sum in a sum, or a product in a product, from left to right: to a reader the order says nothing.

    Of code that is run this would change the rounding.
    """
    match tree:
        case ast.BinOp(left, ast.Add() | ast.Mult() as sign, right):
            left = _without_idle_brackets(left)
            match right:
                case ast.BinOp(first, same, second) if type(same) is type(sign):
                    return ast.BinOp(_without_idle_brackets(ast.BinOp(left, sign, first)), sign, second)
            return ast.BinOp(left, sign, right)
    return tree


def _unclear(part: ast.expr, whole: ast.expr) -> bool:
    """Whether a reader needs brackets around a part that Python does not need."""
    # Python reads * and @ from left to right, and ** before @; a reader should not have to know.
    operators = {type(getattr(tree, "op", None)) for tree in (part, whole)}
    return ast.MatMult in operators and not operators.isdisjoint((ast.Mult, ast.Div, ast.Pow))


# Nodes ----------------------------------------------------------------------------------------------------------------


class Printer:
    """Writes nodes as Python, in the model's words.

    Parameters
    ----------
    states, parameters : sequence of str
        What the leaves are called; those without a name are numbered.
    shapes : sequence of tuple
        Of the parameters; only rows of parameters need them.
    names : mapping
        Computed node -> the name that stands for it inside of other expressions.
    longest : int
        What would make an expression longer is left out: ``...`` stands there instead.
    sequence, steps : str
        What the present row of the sequence and its length are called.
    """

    def __init__(
        self,
        states: Sequence[str] = (),
        parameters: Sequence[str] = (),
        shapes: Sequence[tuple[int, ...]] = (),
        names: Mapping[Node, str] | None = None,
        longest: int = LONGEST,
        sequence: str = "x",
        steps: str = "T",
    ) -> None:
        self.states, self.parameters, self.names = states, parameters, dict(names or {})
        self._longest, self._shapes, self._sequence, self._steps = longest, shapes, sequence, steps
        self._left_out = False
        # The text of an index is found by looking at all of its numbers.
        self._templates: dict[Node, str] = {}

    @property
    def taken(self) -> set[str]:
        """What no other name may be."""
        return {*self.states, *(name.split(".")[0] for name in self.parameters), self._sequence, self._steps}

    def label(self, node: Node) -> str:
        """Return the name of a node or, where it has none, that of its operation."""
        return self.names.get(node) or (self.expression(node) if node.operation == "state" else node.operation)

    def operand(self, node: Node) -> str:
        """Return the name of a node or, where it has none, how it is computed."""
        return self.text("{0}", node)

    def expression(self, node: Node) -> str:
        """Return how a node is computed."""
        return self._shown(lambda depth: self._tree(node, depth))

    def text(self, template: str, *nodes: Node) -> str:
        """Return a template with the names of nodes, or how they are computed, for its placeholders."""
        return self._shown(lambda depth: compose(template, [self._operand(node, depth) for node in nodes]))

    def sum(self, nodes: Sequence[Node]) -> str:
        """Return the sum of some nodes."""
        return self._shown(lambda depth: _without_idle_brackets(added([self._operand(n, depth) for n in nodes])))

    def _shown(self, tree: Callable[[int], ast.expr]) -> str:
        """Return the text of the deepest tree that is short enough: a node that is read often stands there as often."""

        def text_at(depth: int) -> str:
            self._left_out = False
            return ast.unparse(tree(depth))

        depth = 4
        while len(text := text_at(depth)) > self._longest and depth:
            depth -= 1
        while self._left_out and len(deeper := text_at(depth + 1)) <= self._longest:
            depth, text = depth + 1, deeper
        return text

    def _operand(self, node: Node, depth: int) -> ast.expr:
        while node not in self.names and self.shows_nothing(node):
            node = node.inputs[0]
        if node in self.names:
            return atom(self.names[node])
        if depth or node.is_leaf:
            return self._tree(node, depth - 1)
        self._left_out = True
        return ast.Constant(...)

    def _tree(self, node: Node, depth: int) -> ast.expr:
        if node.is_leaf:
            return self._leaf(node)
        operands = [self._operand(i, depth) for i in node.inputs]
        if node.operation == "matmul" and node.inputs[0].is_constant:
            operands[0] = _vector(node.inputs[0])
        return _without_idle_brackets(compose(self._template(node), operands))

    def shows_nothing(self, node: Node) -> bool:
        """Whether the text of a node is that of its input, as that of a number which is repeated."""
        return not node.is_leaf and self._template(node) == "{0}"

    def _template(self, node: Node) -> str:
        if node not in self._templates:
            self._templates[node] = _template(node)
        return self._templates[node]

    def _leaf(self, node: Node) -> ast.expr:
        which = node.attributes
        match node.operation:
            case "constant":
                return _constant(node)
            case "input":
                return atom(self._sequence)
            case "length":
                return atom(self._steps)
            case "row":
                return atom(f"{self._sequence}[{which[0]}]")
            case "state" if which[0] < len(self.states):
                return atom(self.states[which[0]])
            case "gradient" if isinstance(which[0], int) and which[0] < len(self.states):
                return atom(f"d_{self.states[which[0]]}")
            case "parameter" if which[0] < len(self.parameters):
                return atom(self.parameters[which[0]])
            case "rows" if which[0] < len(self.parameters):
                end = which[1] + node.size // self._shapes[which[0]][-1]
                return atom(f"{self.parameters[which[0]]}[{which[1]}:{end}]")
        return atom("_".join(map(str, ("d" if node.operation == "gradient" else node.operation, *which))))


def _vector(node: Node) -> ast.expr:
    """Return a constant as the factor of a product, where a number alone would not tell its size."""
    text = ast.unparse(_constant(node))
    filled = {"0": f"zeros({node.size})", "1": f"ones({node.size})"}.get(text, f"full({node.size}, {text})")
    return atom(text if text.startswith("[") else filled)


def _constant(node: Node) -> ast.expr:
    numbers = node.numbers
    if np.all(numbers == numbers[0]):
        return number(f"{numbers[0]:g}")
    return atom(f"[{' '.join(f'{n:g}' for n in numbers[:4])}{' ...' if len(numbers) > 4 else ''}]")


def is_square(node: Node) -> bool:
    """Whether the node is the product of a value with itself."""
    return node.operation == "multiply" and node.inputs[0] is node.inputs[1]


def _template(node: Node) -> str:
    """Return the text of a node's operation."""
    match node.operation:
        case "multiply" if is_square(node):
            return "{0} ** 2"
        case "matmul" if node.attributes[0] == 1:
            return "{0} @ {1}.T" if node.attributes[3] else "{0} @ {1}"
        case "take":
            return f"{{0}}{_index(node)}"
        case "expand" | "put":
            return "{0}"
        case "sum" | "softmax" | "log_softmax":
            outer, _, inner = node.attributes
            axis = -1 if inner == 1 else 0 if outer == 1 else 1
            return f"{node.operation}({{0}})" if outer == inner == 1 else f"{node.operation}({{0}}, axis={axis})"
    text = OPERATIONS[node.operation].text
    if "{" in text:
        return text
    operands = [f"{{{i}}}" for i in range(len(node.inputs))]
    if len(operands) > 6:
        operands[4:] = ["..."]
    if text.isidentifier():
        return f"{text}({', '.join(operands)})"
    return f"{text}{operands[0]}" if len(operands) == 1 else f" {text} ".join(operands)


def _index(node: Node) -> str:
    """Return the index of what is taken; nothing for what NumPy repeats by itself."""
    where, size = indices_of(node.attributes[0]), node.inputs[0].size
    if len(where) > size and len(where) % size == 0:
        times, every = len(where) // size, np.arange(size)
        if np.array_equal(where, np.tile(every, times)) or np.array_equal(where, np.repeat(every, times)):
            return ""
    if len(where) == 1:
        return f"[{where[0]}]"
    steps = np.unique(np.diff(where))
    if len(steps) == 1 and steps[0] != 0:
        first, step = int(where[0]), int(steps[0])
        end = int(where[-1]) + (1 if step > 0 else -1)
        return f"[{first}:{end if end >= 0 else ''}{f':{step}' if step != 1 else ''}]"
    if len(where) == size and _is_transpose(where):
        return ".T"
    return f"[[{', '.join(map(str, where[:4]))}{', ...' if len(where) > 4 else ''}]]"


def _is_transpose(where: NDArray[np.int32]) -> bool:
    size = len(where)
    rows = (n for n in range(2, size // 2 + 1) if size % n == 0)
    return any(np.array_equal(where, transposed_indices(n, size // n)) for n in rows)
