"""The computations of an element-wise loop: its variables, and what it stores, as trees of Python syntax."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable

from myrnn.compiler.addresses import Address
from myrnn.compiler.buffers import Names
from myrnn.compiler.graph import Node
from myrnn.compiler.instructions import Elementwise, Joined, Range
from myrnn.compiler.ops import OPERATIONS
from myrnn.compiler.printer import Printer, atom, compose, sum_of

# An unnamed expression that is read once is written inline, unless it is longer.
_LONGEST_INSIDE = 60


def computed(
    loop: Elementwise,
    part: Range,
    printer: Printer,
    names: Names,
    read: Callable[[Node, Address | Joined | None], ast.expr],
) -> tuple[dict[str, ast.expr], list[ast.expr], list[ast.expr]]:
    """Return the variables of a range of a loop, each by its new name, and the values of its stores and of its sums.

    `read` returns the element of a node at an address, joined or not, or of a constant, whose numbers are all the same.
    """
    inputs = [i for n in loop.nodes for i in n.inputs]
    summed = [store.terms or (store.node,) for store in loop.stores]
    uses = Counter([*inputs, *(node for nodes in (*summed, *(one.factors for one in loop.sums)) for node in nodes)])
    variables: dict[str, ast.expr] = {}
    # The expression of each node that is computed here: a variable, or an inline expression.
    local: dict[Node, ast.expr] = {}

    def value(node: Node) -> ast.expr:
        return local[node] if node in local else read(node, loop.reads.get(node))

    def variable(node: Node, value: ast.expr) -> ast.expr:
        name = names.new(f"{printer.label(node)}_j")
        variables[name] = value
        return atom(name)

    for node, where in part.joined.items():
        is_long = isinstance(where, Joined) and where.pieces
        local[node] = variable(node, read(node, where)) if is_long else read(node, where)
    for node in loop.nodes:
        made = compose(OPERATIONS[node.operation].code, [value(i) for i in node.inputs])
        inside = node not in printer.names and uses[node] == 1 and len(ast.unparse(made)) < _LONGEST_INSIDE
        local[node] = made if inside else variable(node, made)
    # Everything is read before anything is written, since something may read what is overwritten.
    values = [compose(sum_of(len(nodes)), [value(node) for node in nodes]) for nodes in summed]
    if len(values) > 1:
        values = [
            v if ast.unparse(v).isidentifier() or store.node.is_constant else variable(store.node, v)
            for store, v in zip(loop.stores, values, strict=True)
        ]
    products = [
        compose(" * ".join(f"{{{i}}}" for i in range(len(one.factors))), list(map(value, one.factors)))
        for one in loop.sums
    ]
    return variables, values, products
