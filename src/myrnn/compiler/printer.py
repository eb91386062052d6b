"""Nodes as Python text: one printer for equations, stages, and the comments and expressions of emitted code.

The text of an operation is a template of Python syntax, such as ``{0} * {1}``. The trees of the operands replace the
placeholders, and `ast.unparse` writes the result, with parentheses only where they are needed.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler.graph import Node
from myrnn.compiler.ops import OPERATIONS, indices_of, sizes_of, transposed_indices

LONGEST = 90
"""The most characters of an expression that are shown."""
LISTED = 4
"""The most numbers of a list that are shown."""

# Templates ------------------------------------------------------------------------------------------------------------


def atom(text: str) -> ast.expr:
    """Return the tree of a text that needs no parentheses anywhere, such as a name or a call."""
    return ast.Name(text, ast.Load())


def compose(template: str, operands: Sequence[ast.expr] = ()) -> ast.expr:
    """Return the tree of a template, with operands for the placeholders ``{0}``, ``{1}``, ..."""
    return _filled(_parsed(template), operands)


def sum_of(count: int) -> str:
    """Return the template of a sum of `count` terms."""
    return " + ".join(f"{{{i}}}" for i in range(count))


@lru_cache
def _parsed(template: str) -> ast.expr:
    # A placeholder is valid Python, a set of one number, so templates need no special syntax.
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
        return atom(f"({ast.unparse(part)})") if _is_unclear(part, tree) else part

    return type(tree)(**{name: fill(value) for name, value in ast.iter_fields(tree)})


def _is_unclear(part: ast.expr, whole: ast.expr) -> bool:
    """Whether a part needs parentheses for readers, though not for Python."""
    # Python evaluates * and @ from left to right, and ** before @; a reader should not have to know.
    operators = {type(getattr(tree, "op", None)) for tree in (part, whole)}
    return ast.MatMult in operators and not operators.isdisjoint((ast.Mult, ast.Div, ast.Pow))


def _from_left_to_right(tree: ast.expr) -> ast.expr:
    """Return a sum of sums, or a product of products, in the order without parentheses, which rounds otherwise."""
    match tree:
        case ast.BinOp(op=ast.Add() | ast.Mult() as sign):
            return reduce(lambda left, right: ast.BinOp(left, sign, right), _operands(tree, type(sign)))
    return tree


def _operands(tree: ast.expr, sign: type[ast.operator]) -> list[ast.expr]:
    match tree:
        case ast.BinOp(left, op, right) if isinstance(op, sign):
            return [*_operands(left, sign), *_operands(right, sign)]
    return [tree]


# Nodes ----------------------------------------------------------------------------------------------------------------


class Printer:
    """Writes nodes as Python; a node with a name is written by its name inside of other expressions."""

    # Parts that would make an expression longer than `longest` characters are replaced by ``...``. `templates` has the
    # templates of nodes, with the nodes for their placeholders; texts of other nodes do not always show the shapes.

    def __init__(
        self,
        names: Mapping[Node, str],
        longest: int = LONGEST,
        templates: Mapping[Node, tuple[str, Sequence[Node]]] | None = None,
    ) -> None:
        self.names, self._longest = dict(names), longest
        given = templates or {}
        # Finding the text of an index takes a pass over all of its numbers.
        self._parts = cache(lambda node: given.get(node) or (template_of(node), node.inputs))

    def label(self, node: Node) -> str:
        """Return the name of a node, or otherwise a description of its operation and its inputs."""
        read = next((f"_{self.names[i]}" for i in node.inputs if i in self.names), "")
        return self.names.get(node, f"{node.operation}{read}")

    def expression(self, node: Node) -> str:
        """Return the expression of a node, even if it has a name."""
        if node.is_leaf:
            return self.text("{0}", node)
        template, inputs = self._parts(node)
        return self.text(template, *inputs)

    def text(self, template: str, *nodes: Node) -> str:
        """Return a template with the names or expressions of nodes for its placeholders."""
        # Only as deep as the text stays short: a node that is read often occurs as often.
        depth, text, deeper = 0, "", ast.unparse(self._tree(template, nodes, 0))
        while deeper != text and (len(deeper) <= self._longest or not depth):
            depth, text = depth + 1, deeper
            deeper = ast.unparse(self._tree(template, nodes, depth))
        return text

    def _tree(self, template: str, nodes: Sequence[Node], depth: int) -> ast.expr:
        return _from_left_to_right(compose(template, [self._operand(node, depth) for node in nodes]))

    def _operand(self, node: Node, depth: int) -> ast.expr:
        while node not in self.names and self._parts(node)[0] == "{0}":
            node = self._parts(node)[1][0]
        if node in self.names:
            return atom(self.names[node])
        if node.inputs and not depth:
            return ast.Constant(...)
        template, inputs = self._parts(node)
        return self._tree(template, inputs, depth - 1)


def is_square(node: Node) -> bool:
    """Whether the node is the product of a value with itself."""
    return node.operation == "multiply" and node.inputs[0] is node.inputs[1]


def template_of(node: Node) -> str:
    """Return the text of a node, with placeholders for its inputs."""
    if node.is_constant:
        return _number(node) or _listed(node.numbers, "g")
    if node.is_leaf:
        return str(node.leaf)
    match node.operation:
        case "multiply" if is_square(node):
            return "{0} ** 2"
        case "matmul":
            left = vector_text(node.inputs[0]) if node.inputs[0].is_constant else "{0}"
            return f"{left} @ {{1}}.T" if sizes_of(node).transposed else f"{left} @ {{1}}"
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
    operands = shortened([f"{{{i}}}" for i in range(len(node.inputs))])
    if text.isidentifier():
        return f"{text}({', '.join(operands)})"
    return f"{text}{operands[0]}" if len(operands) == 1 else f" {text} ".join(operands)


def shortened(operands: Sequence[str]) -> list[str]:
    """Return operands, of many only the first few."""
    return [*operands[:LISTED], "..."] if len(operands) > 6 else [*operands]


def _number(constant: Node) -> str:
    """Return the only number of a constant; empty if it has several."""
    numbers = constant.numbers
    return f"{numbers[0]:g}" if np.all(numbers == numbers[0]) else ""


def vector_text(constant: Node, *shape: int) -> str:
    """Return a constant as a vector, or as an array of two axes or more: a number alone would not show its size."""
    is_vector = len(shape) < 2
    size, number = constant.size if is_vector else shape, _number(constant)
    listed = _listed(constant.numbers, "g")
    if not is_vector:
        listed = f"array({listed}).reshape({', '.join(map(str, shape))})"
    filled = {"0": f"zeros({size})", "1": f"ones({size})", "": listed}
    return filled.get(number, f"full({size}, {number})")


def _listed(numbers: NDArray[Any], form: str) -> str:
    """Return the first few numbers as a list."""
    return f"[{', '.join(format(n, form) for n in numbers[:LISTED])}{', ...' if len(numbers) > LISTED else ''}]"


def _index(node: Node) -> str:
    """Return the index of a take; empty for what NumPy broadcasts."""
    where, size = indices_of(node.attributes[0]), node.inputs[0].size
    if len(where) > size and len(where) % size == 0:
        times, every = len(where) // size, np.arange(size)
        if np.array_equal(where, np.tile(every, times)) or np.array_equal(where, np.repeat(every, times)):
            return ""
    text = index_text(where)
    return ".T" if text.startswith("[") and len(where) == size and _is_transpose(where) else f"[{text}]"


def index_text(where: NDArray[Any]) -> str:
    """Return indices as an index, a slice or a list."""
    if len(where) == 1:
        return f"{where[0]}"
    steps = np.unique(np.diff(where))
    if len(steps) == 1 and steps[0] != 0:
        first, step = int(where[0]), int(steps[0])
        end = int(where[-1]) + (1 if step > 0 else -1)
        return f"{first}:{end if end >= 0 else ''}{f':{step}' if step != 1 else ''}"
    return _listed(where, "d")


def _is_transpose(where: NDArray[np.int32]) -> bool:
    size = len(where)
    rows = (n for n in range(2, size // 2 + 1) if size % n == 0)
    return any(np.array_equal(where, transposed_indices(n, size // n)) for n in rows)
