"""What a step computes from its symbol alone is computed once for each symbol.

The row of a token is one-hot, so what is made of it is one of C values: the rows of a matrix, which depends on
parameters alone. Keys, gates and norms are then rows to look up, and their derivatives are taken once for each symbol,
instead of at every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from myrnn.compiler.beforehand import cheapest_to_keep
from myrnn.compiler.delays import made_of_rows
from myrnn.compiler.graph import Node, fixed_nodes, topological
from myrnn.compiler.leaves import INPUT, Input, SymbolRows
from myrnn.compiler.loops import Loop, Recurrence
from myrnn.compiler.ops import (
    OPERATIONS,
    expand,
    indices_of,
    matmul,
    select,
    sizes_of,
    spread,
    take,
    total,
)

# Of more symbols, a short sequence has only some.
MOST_SYMBOLS = 64


def by_symbol(recurrence: Recurrence) -> Recurrence | None:
    """Return the recurrence whose rows are all one-hot; None if there is nothing to compute by symbol."""
    build, count = recurrence.build, recurrence.dim_input
    if not 1 < count <= MOST_SYMBOLS:
        return None
    found = list({node: None for loop in recurrence.loops for node in _computed_from_symbols(loop)})
    if not found:
        return None
    row = build.leaf(INPUT, count)
    tables = _tables(found, row)
    read = [matmul(row, table, m=1, k=count, n=node.size) for node, table in zip(found, tables, strict=True)]
    known = dict(zip(found, read, strict=True))
    origins = {new: recurrence.origins[node] for node, new in known.items() if node in recurrence.origins}
    return replace(
        recurrence,
        loops=tuple(loop.with_known(known) for loop in recurrence.loops),
        origins=recurrence.origins | origins,
    )


def _computed_from_symbols(loop: Loop) -> list[Node]:
    targets = [*loop.step, *loop.kept.values()]
    order = topological(targets)
    return cheapest_to_keep(targets, targets, made_of_rows(order, kinds=Input), _is_expensive)


def _is_expensive(node: Node, fixed: set[Node]) -> bool:
    """Whether it is better to look a node up than to compute it."""
    row = OPERATIONS[node.operation] if node.inputs else None
    if row is None or row.kind != "product":
        return row is not None and (row.kind == "reduce" or (row.kind == "map" and not row.cheap))
    left, right = node.inputs
    # The product of a symbol's row with a weight is looked up in any case.
    return node.size <= left.size + right.size and not (left.leaf == INPUT and right in fixed)


# Tables of all symbols ------------------------------------------------------------------------------------------------


def _tables(found: Sequence[Node], row: Node) -> list[Node]:
    """Return each node as a matrix that has a row for each symbol."""
    order = topological(found)
    symbols = row.build.leaf(SymbolRows(), row.size**2)
    tables, fixed = {row: symbols}, fixed_nodes(order)
    for node in order:
        if node not in fixed and node not in tables:
            tables[node] = _table(node, row, tables)
            assert tables[node].size == row.size * node.size, f"not a row of {node} for each symbol"
    # All rows are zero if no symbol occurs at all.
    occurs = total(take(symbols, indices=np.arange(row.size)), outer=1, n=row.size, inner=1)
    return [select(occurs, tables[node], 0.0) for node in found]


def _table(node: Node, row: Node, tables: dict[Node, Node]) -> Node:
    """Return a node as a matrix that has a row for each symbol, given those of its inputs that depend on the symbol."""
    count, make = row.size, node.build.make
    inputs = [tables.get(i, i) for i in node.inputs]

    def rows_of(i: Node, size: int) -> Node:
        """Return the rows of an input, each repeated to `size` numbers if it is a single one."""
        if i not in tables:
            return spread(i, outer=1, n=count, inner=i.size) if i.size > 1 else expand(i, size=count)
        return spread(tables[i], outer=count, n=size, inner=1) if i.size < size else tables[i]

    match OPERATIONS[node.operation].kind, node.operation:
        case _, "expand":
            return rows_of(node.inputs[0], node.size)
        case "map", operation:
            # A single number serves all elements.
            return make(operation, *(rows_of(i, node.size) if i in tables or i.size > 1 else i for i in node.inputs))
        case "reduce", operation:
            outer, n, inner = node.attributes
            return make(operation, *inputs, outer=count * outer, n=n, inner=inner)
        case _, "take":
            return take(*inputs, indices=_in_each(node.attributes[0], count, node.inputs[0].size))
        case _, "put":
            indices, size = node.attributes
            return make("put", *inputs, indices=_in_each(indices, count, size), size=count * size)
        case _, "join":
            places = [_in_each(one, count, node.size) for one in node.attributes[0]]
            return make("join", *(rows_of(i, i.size) for i in node.inputs), places=places)
        case _, "outer":
            return make("outer", *(rows_of(i, i.size) for i in node.inputs), matrices=count * node.attributes[0])
    matrices, m, k, n, transposed = sizes_of(node)
    if node.inputs[1] in tables or matrices > 1:
        inputs, matrices = [rows_of(i, i.size) for i in node.inputs], count * matrices
    else:
        m *= count
    return matmul(*inputs, m=m, k=k, n=n, transposed=transposed, matrices=matrices)


def _in_each(indices: bytes, count: int, size: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    """Return indices into each of `count` vectors of this size, which follow one another."""
    return (indices_of(indices) + size * np.arange(count, dtype=np.int32)[:, None]).reshape(-1)
