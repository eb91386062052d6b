"""Weights of a model: recurrent matrices with their eigenvalues, and the weights into one unit of a state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from myrnn import _checks
from myrnn.compiler import CompiledModel
from myrnn.compiler.graph import Node, topological
from myrnn.compiler.leaves import Kept, LoopState, Parameter
from myrnn.compiler.loops import Recurrence
from myrnn.compiler.ops import run_of, sizes_of
from myrnn.errors import InvalidArgument
from myrnn.inspection.one import compiled_of, main_state
from myrnn.models.model import network_of, parameter_names, parameters_of
from myrnn.results import Result, Table, integer, number, text


@dataclass(frozen=True, repr=False, eq=False)
class RecurrentEigenvalues(Result):
    """The recurrent matrices of a model and their eigenvalues at one moment.

    Attributes
    ----------
    matrices : dict of str to ndarray, float32 (D, D)
        Copies of every matrix that multiplies a state on its way to itself: the state alone, gated, or shifted by a
        vector.
    values : dict of str to ndarray, complex128 (D,)
        The eigenvalues of each, sorted by decreasing magnitude.
    name : str
        The class of the model.

    Examples
    --------
    >>> from myrnn import RNN, recurrent_eigenvalues
    >>> found = recurrent_eigenvalues(RNN(10, 8, 2, recurrent_init="orthogonal", rng=0))
    >>> {name: round(radius, 3) for name, radius in found.radius.items()}
    {'fc_h2h.weight': 1.0}
    >>> found.table().columns["size"]
    [8]
    """

    matrices: dict[str, NDArray[np.float32]]
    values: dict[str, NDArray[np.complex128]]
    name: str

    @property
    def radius(self) -> dict[str, float]:
        """The spectral radius of each matrix: the magnitude of its largest eigenvalue."""
        return {name: float(abs(values[0])) for name, values in self.values.items()}

    def __repr__(self) -> str:
        """Show the largest eigenvalue of every matrix."""
        radii = ", ".join(f"{name} {radius:.3f}" for name, radius in self.radius.items())
        return f"RecurrentEigenvalues({self.name}, largest in size: {radii})"

    def table(self) -> Table:
        """Return a row for each matrix.

        Its columns are ``matrix``, ``size`` (D), ``radius`` (the spectral radius) and ``outside`` (the number of
        eigenvalues outside the unit circle).
        """
        columns = {
            "matrix": list(self.matrices),
            "size": [len(values) for values in self.values.values()],
            "radius": list(self.radius.values()),
            "outside": [int((np.abs(values) > 1).sum()) for values in self.values.values()],
        }
        shown = (
            text("matrix"),
            integer("size"),
            number("radius", ".3f", "spectral radius"),
            integer("outside", "outside the unit circle"),
        )
        return Table(f"Recurrent matrices of {self.name}", columns, shown)


def recurrent_eigenvalues(model: Any) -> RecurrentEigenvalues:
    """Return the eigenvalues of every matrix that multiplies a state into itself.

    A matrix is included if its product with a state, a gated state or a shifted state contributes to the same state
    after the step. It is a parameter of shape (D, D), or the part of a larger one that does this (the columns of one
    gate, or the rows for the state if it is concatenated with the input). Call it before and after training to compare.

    Parameters
    ----------
    model : callable or CompiledModel
        As for `myrnn.inspect`. It is not changed.

    Returns
    -------
    RecurrentEigenvalues

    Raises
    ------
    InvalidArgument
        When the model has no such matrix, or its numbers are not finite.
    CompileError
        When the model cannot be compiled: it must keep a state from step to step.

    Examples
    --------
    >>> from myrnn.models import GRU
    >>> sorted(recurrent_eigenvalues(GRU(dim_input=10, dim_recurrent=16, dim_output=2, rng=0)).matrices)
    ['fc_h2n.weight', 'fc_h2r.weight', 'fc_h2z.weight']
    """
    compiled = compiled_of(model)
    owner, matrices = type(network_of(compiled.model)).__name__, _recurrent_matrices(compiled)
    if not matrices:
        raise InvalidArgument(
            f"{owner} has no recurrent matrix: none of its parameters, of D rows and D columns, "
            "multiplies a state of D units into itself"
        )
    for name, matrix in matrices.items():
        if not np.isfinite(matrix).all():
            raise InvalidArgument(f"{name} holds numbers that are not finite, so it has no eigenvalues")
    return RecurrentEigenvalues(matrices, {name: _eigenvalues(matrix) for name, matrix in matrices.items()}, owner)


def _eigenvalues(matrix: NDArray[np.float32]) -> NDArray[np.complex128]:
    values = np.linalg.eigvals(matrix.astype(np.float64)).astype(np.complex128)
    # Conjugate pairs have the same magnitude up to rounding: the one above the real axis comes first.
    return values[np.lexsort((-values.imag, -values.real, -np.abs(values).round(12)))]


def _recurrent_matrices(compiled: CompiledModel) -> dict[str, NDArray[np.float32]]:
    """Return copies of the matrices by name, in the order of the model's parameters."""
    found: dict[tuple[int, int, int], NDArray[np.float32]] = {}
    names, parameters = parameter_names(compiled.model), parameters_of(compiled.model)
    labels: dict[tuple[int, int, int], str] = {}
    for state, after in enumerate(compiled.recurrence.step):
        nodes = topological([after])
        for product in (node for node in nodes if node.operation == "matmul"):
            for which, row, column, matrix in _parts(product, state, after.size, nodes, parameters):
                key = (which, row, column)
                found[key] = matrix[row : row + after.size, column : column + after.size].copy()
                whole = matrix.size == found[key].size
                place = f"[{row}:{row + after.size}, {column}:{column + after.size}]"
                labels[key] = names[which] + ("" if whole else place)
    return {labels[key]: found[key] for key in sorted(found)}


def _parts(
    product: Node, state: int, units: int, nodes: list[Node], parameters: tuple[Any, ...]
) -> Iterator[tuple[int, int, int, NDArray[np.float32]]]:
    """Yield the square parts that this product applies to the state: number of a parameter, row, column, matrix."""
    matrices, rows, inner, columns, transposed = sizes_of(product)
    # A row times a matrix, or a matrix times a column, whose transpose has the same eigenvalues.
    vector, leaf = product.inputs if rows == 1 else product.inputs[::-1]
    if 1 not in (rows, columns) or not isinstance(leaf.leaf, Parameter):
        return
    which, is_flipped = leaf.leaf.number, transposed or rows > 1
    size = max(rows, columns)
    blocks = parameters[which].data.reshape((matrices, size, inner) if is_flipped else (matrices, inner, size))
    # Those of several heads are one matrix, with zeros between the heads.
    matrix = block_diag(*(blocks.swapaxes(1, 2) if is_flipped else blocks))
    for row in _places_of(vector, state, units):
        for column in _columns_used(product, units, nodes):
            yield which, row, column, matrix


def _places_of(vector: Node, state: int, units: int) -> Iterator[int]:
    """Yield the offsets of the state in a vector: the state itself, gated, or shifted by another vector."""
    if _is_state(vector, state):
        yield 0
    elif vector.operation in ("multiply", "add", "subtract") and vector.size == units:
        # For a state that is subtracted, the matrix has the opposite sign.
        operands = vector.inputs[:1] if vector.operation == "subtract" else vector.inputs
        if any(_is_state(operand, state) for operand in operands):
            yield 0
    elif vector.operation == "join":
        for part, places in zip(vector.inputs, vector.attributes[0], strict=True):
            run = run_of(places)
            if part.size == units and run is not None:
                yield from (run.start + offset for offset in _places_of(part, state, units))


def _is_state(node: Node, state: int) -> bool:
    return node.leaf == LoopState(state)


def _columns_used(product: Node, units: int, nodes: Iterable[Node]) -> list[int]:
    """Return the offsets of the parts of a product that the model slices, one for each gate, or 0 for all of it."""
    if product.size == units:
        return [0]
    # Sums with a bias and the like keep every number at its index.
    alike = {product}
    starts = set()
    for node in nodes:
        if node.size == product.size and node.operation in ("add", "subtract") and alike & set(node.inputs):
            alike.add(node)
        if node.operation == "take" and node.size == units and node.inputs[0] in alike:
            run = run_of(node.attributes[0])
            starts |= {run.start} if run is not None else set()
    return sorted(starts)


# What leads into one unit ---------------------------------------------------------------------------------------------


def incoming_weights(model: Any, unit: int, state: str | None = None) -> dict[str, NDArray[np.float32]]:
    """Return the weights that lead into one unit of a state, by the name of their matrix.

    From the unit after a step, the search goes back element by element, through gates and activations, to the products
    of a vector and a matrix. One column of each of these matrices leads into the unit.

    Parameters
    ----------
    model : callable or CompiledModel
        As for `myrnn.inspect`. It is not changed.
    unit : int
        The index of the unit, from 0.
    state : str, optional
        The name of the state; by default the one that the logits are computed from.

    Returns
    -------
    dict of str to ndarray, float32
        Copies of the columns, in the order of the model's parameters. If several columns of one matrix lead into the
        unit, as in a matrix of all gates, the name is followed by their indices.

    Raises
    ------
    InvalidArgument
        When the model has no such state, or the state has no such unit.
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
    columns = sorted(set(_columns(compiled.recurrence, after, place)))
    parts = [which for which, *_ in columns]
    found = {}
    for which, column, shape, transposed in columns:
        head, index = divmod(column, shape[-1])
        numbers = parameters[which].data
        matrix = numbers.reshape(shape[0], shape[-1], -1)[head].T if transposed else numbers.reshape(shape)[head]
        where = f"[:, {column}]" if parts.count(which) > 1 else ""
        found[names[which] + where] = matrix[:, index].copy()
    return found


def _columns(recurrence: Recurrence, after: Node, place: int) -> Iterator[tuple[int, int, tuple[int, ...], bool]]:
    """Yield the columns that lead into one number of a node: parameter, index, shape, and whether they are rows.

    The shape is that of the matrices of all heads, as they are multiplied.
    """
    waiting, seen, kept = [(after, place)], set(), recurrence.kept
    while waiting:
        number = waiting.pop()
        if number in seen:
            continue
        seen.add(number)
        node, place = number
        if isinstance(node.leaf, Kept):
            # An earlier loop computed it.
            waiting.append((kept[node.leaf.number], place))
        elif node.operation == "matmul":
            matrix, (matrices, rows, inner, columns, transposed) = node.inputs[1], sizes_of(node)
            if rows == 1 and isinstance(matrix.leaf, Parameter):
                yield matrix.leaf.number, place, (matrices, inner, columns), transposed
        elif weights := [(f.leaf.number, f.size) for f in _factors(node) if isinstance(f.leaf, Parameter)]:
            yield from ((number, 0, (1, size, 1), False) for number, size in weights)
        elif node.operation != "sum":
            waiting += _before(node, place)


def _factors(node: Node) -> tuple[Node, ...]:
    """Return the factors of a product with a matrix of one column: a sum of products or, for one row, a product."""
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
