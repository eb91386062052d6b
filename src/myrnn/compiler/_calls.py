"""The operations that are calls: what neither works element by element nor is one row times a weight."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from myrnn.compiler._places import Places
from myrnn.compiler._scope import Scope
from myrnn.compiler.graph import Node


def write_call(scope: Scope, node: Node) -> None:
    """Write the computation of a node whose operation is in `CALLS`."""
    places = scope.places
    if places.is_slice(node) and node not in places.known:
        # It is read where it stands; what it is a slice of gets its place now.
        places.of(node.inputs[0])
        return
    with scope.writer.section(f"{scope.words.label(node)} = {scope.words.expression(node)}"):
        scope.write_calls(CALLS[node.operation](places, node, places.address(places.known[node])))


def plain_product(places: Places, node: Node, out: str, add: bool = False) -> list[str]:
    """Return the product of two values, whatever their shapes; with `add`, it is added to what is there."""
    left, right = (places.address_of(i) for i in node.inputs)
    m, k, n, transposed = node.attributes
    return [f"multiply_plain({out}, {left}, {right}, {places.numbers(m, k, n)}, {transposed}, {add})"]


def _outer(places: Places, node: Node, out: str) -> list[str]:
    left, right = (places.address_of(i) for i in node.inputs)
    sizes = places.numbers(node.inputs[0].size, 1, node.inputs[1].size)
    return [f"multiply_plain({out}, {left}, {right}, {sizes}, False, False)"]


def _take(places: Places, node: Node, out: str) -> list[str]:
    source, table = places.address_of(node.inputs[0]), places.memory.table(node.attributes[0])
    return [f"take({out}, {source}, tables, {table}, {places.numbers(node.size)})"]


def _put(places: Places, node: Node, out: str) -> list[str]:
    source, table = places.address_of(node.inputs[0]), places.memory.table(node.attributes[0])
    return [f"put({out}, {source}, tables, {table}, {places.numbers(node.inputs[0].size, node.size)})"]


def _join(places: Places, node: Node, out: str) -> list[str]:
    calls = []
    for part, where in zip(node.inputs, node.attributes[0], strict=True):
        table = places.memory.table(where)
        calls.append(f"spread_out({out}, {places.address_of(part)}, tables, {table}, {places.numbers(part.size)})")
    return calls


def _sum(places: Places, node: Node, out: str) -> list[str]:
    return [f"sum_axis({out}, {places.address_of(node.inputs[0])}, {places.numbers(*node.attributes)})"]


def _softmax(places: Places, node: Node, out: str, log: bool) -> list[str]:
    return [f"softmax_axis({out}, {places.address_of(node.inputs[0])}, {places.numbers(*node.attributes)}, {log})"]


CALLS: dict[str, Callable[[Places, Node, str], list[str]]] = {
    "matmul": plain_product,
    "outer": _outer,
    "take": _take,
    "put": _put,
    "join": _join,
    "sum": _sum,
    "softmax": partial(_softmax, log=False),
    "log_softmax": partial(_softmax, log=True),
}
"""Operation -> the calls, one a line, that leave its result at an address."""
