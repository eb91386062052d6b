"""The weights that lead into one unit of a state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.compiler import Node
from myrnn.inspection._given import compiled_of, main_state
from myrnn.models import parameter_names, parameters_of


def incoming_weights(model: Any, unit: int, state: str | None = None) -> dict[str, NDArray[np.float32]]:
    """Return the weights that lead into one unit of a state, by the name of their matrix.

    From the unit after a step the way goes back element by element, through gates and activations, up to the products
    of a vector and a matrix: of each of these matrices, it is one column that leads into the unit.

    Parameters
    ----------
    model : callable or CompiledModel
        As for `myrnn.inspect`. It is not changed.
    unit : int
        Which, from 0 on.
    state : str, optional
        Of which state; by default the one that the logits are computed from.

    Returns
    -------
    dict of str to ndarray, float32
        Copies of the columns, in the order of the model's parameters. Where several columns of one matrix lead into the
        unit, as where it holds all gates, their places stand beside the name.

    Raises
    ------
    InvalidArgument
        When the model has no such state, or the state no such unit.
    CompileError
        When the model cannot be compiled.

    Examples
    --------
    >>> from myrnn.models import GRU
    >>> incoming = incoming_weights(GRU(dim_input=10, dim_recurrent=16, dim_output=2, rng=0), 3)
    >>> {name: weights.shape for name, weights in incoming.items() if "z" in name}
    {'fc_x2z.weight': (10,), 'fc_h2z.weight': (16,)}
    """
    compiled = compiled_of(model)
    name = main_state(compiled) if state is None else _checks.one_of("state", state, compiled.state_names)
    after = compiled.recurrence.step[compiled.state_names.index(name)]
    place = _checks.integer("unit", unit, minimum=0, maximum=after.size - 1)
    names, parameters = parameter_names(compiled.model), parameters_of(compiled.model)
    columns = sorted(set(_columns(after, place)))
    parts = [which for which, *_ in columns]
    found = {}
    for which, column, width, transposed in columns:
        numbers = parameters[which].data
        matrix = numbers.reshape(width, -1).T if transposed else numbers.reshape(-1, width)
        where = f"[:, {column}]" if parts.count(which) > 1 else ""
        found[names[which] + where] = matrix[:, column].copy()
    return found


def _columns(after: Node, place: int) -> Iterator[tuple[int, int, int, bool]]:
    """Yield the columns that lead into one number of a node.

    Each is the place of its parameter, its own, how many the matrix has, and whether they are stored as rows.
    """
    waiting, seen = [(after, place)], set()
    while waiting:
        number = waiting.pop()
        if number in seen:
            continue
        seen.add(number)
        node, place = number
        if node.operation == "matmul":
            matrix, (rows, _, columns, transposed) = node.inputs[1], node.attributes
            if rows == 1 and matrix.operation == "parameter":
                yield matrix.attributes[0], place, columns, transposed
        elif weights := [leaf for leaf in _factors(node) if leaf.operation == "parameter"]:
            yield from ((leaf.attributes[0], 0, 1, False) for leaf in weights)
        elif node.operation != "sum":
            waiting += _before(node, place)


def _factors(node: Node) -> tuple[Node, ...]:
    """Return the factors of a product with a matrix of one column: a sum of products or, of one row, a product."""
    product = node.inputs[0] if node.operation == "sum" else node
    return product.inputs if node.size == 1 and product.operation == "multiply" else ()


def _before(node: Node, place: int) -> Iterator[tuple[Node, int]]:
    """Yield the numbers that one number of a node is computed from, element by element."""
    if node.operation == "take":
        yield node.inputs[0], int(np.frombuffer(node.attributes[0], dtype=np.int32)[place])
    elif node.operation == "join":
        for part, places in zip(node.inputs, node.attributes[0], strict=True):
            yield from ((part, int(i)) for i in np.flatnonzero(np.frombuffer(places, dtype=np.int32) == place))
    else:
        yield from ((part, place) for part in node.inputs if part.size == node.size)
