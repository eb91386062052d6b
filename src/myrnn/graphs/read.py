"""The record of a graph to draw, and its creation from MyGrad's graph of a tensor.

Every tensor is read once and without recursion.
"""

from __future__ import annotations

import itertools
import re
import types
import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import mygrad as mg
import numpy as np
from numpy.typing import NDArray

from myrnn._checks import count_of
from myrnn.compiler.mygrad_graph import tensors_below
from myrnn.graphs.steps import StepColumns, Vertex, find_steps

NodeKind = Literal["operation", "parameter", "input", "constant"]
Emphasis = Literal["", "state", "result"]

_FUNCTION_OF_CLASS = {
    "MatMul": "matmul",
    "GetItem": "getitem",
    "SetItem": "setitem",
    "SoftmaxCrossEntropy": "softmax_crossentropy",
    "Tensor_Transpose_Property": "transpose",
    "EinSum": "einsum",
    "ReLu": "relu",
    "LogSoftmax": "logsoftmax",
    "CumSum": "cumsum",
    "CumProd": "cumprod",
    "GRUnit": "gru",
    "UnView": "unview",
}
_SIGNS = {"Subtract": "−", "Divide": "÷", "Power": "^"}  # noqa: RUF001 (a minus is what is meant)

_DEPTH = 3  # model.layers[0].weight is three steps from its name
_MEMBERS = 256  # of a list or dictionary, so that a long history costs little
_VISITS = 20_000
_CLOSED = (str, bytes, int, float, complex, bool, type(None), type, np.ndarray, np.generic, mg.Tensor)
_CODE = (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType)


# What a graph is ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GraphNode:
    """One tensor: the result of an operation, or a leaf that operations read."""

    key: int  # its index in `Drawing.nodes`
    kind: NodeKind  # all but operations are leaves: they have no inputs
    label: str  # the first line: a name or the operation
    details: tuple[str, ...] = ()  # the lines below the label, usually shapes
    tooltip: tuple[str, ...] = ()  # the lines of the tooltip
    inputs: tuple[int, ...] = ()  # the keys of the operands in order; an operand may be repeated
    infix: str = ""  # the sign between two operands whose order matters, empty for any other operation
    column: int = 0  # the index in `Drawing.columns`; no node reads from a column to its right
    emphasis: Emphasis = ""  # a state is passed to the next step; the result is the end of the graph

    @property
    def leaf(self) -> bool:
        """Whether operations read the node, but no operation computes it."""
        return self.kind != "operation"


@dataclass(frozen=True)
class Drawing:
    """A graph ready for layout."""

    # A title line, and a sentence for screen readers.
    title: str
    description: str
    nodes: tuple[GraphNode, ...]  # in topological order: inputs come before their readers
    columns: tuple[str, ...] = ("",)  # the headings of the columns from left to right; an empty one is not printed
    # Pairs (state, operation that reads it at the next step) that are drawn as loops.
    loops: tuple[tuple[int, int], ...] = ()
    # Whether one step represents all: its cards keep their order, and parameters show their size where they are read
    # instead of on a shelf at the left.
    rolled: bool = False

    def edges(self) -> Iterator[tuple[int, int]]:
        """Yield (source, target) once for every operation and each different operand, without loops."""
        for node in self.nodes:
            for source in dict.fromkeys(node.inputs):
                yield source, node.key

    def check(self) -> None:
        """Check what the layout relies on."""
        for key, node in enumerate(self.nodes):
            assert node.key == key, f"node {key} has key {node.key}"
            assert 0 <= node.column < len(self.columns), f"node {key} is in column {node.column}"
            assert not (node.leaf and node.inputs), f"leaf {key} has inputs"
        for source, target in self.edges():
            assert source < target, f"node {target} reads node {source}, which comes after it"
            if not self.nodes[source].leaf:
                assert self.nodes[source].column <= self.nodes[target].column, f"edge {source} -> {target} goes back"
        for state, reader in self.loops:
            assert self.nodes[state].column == self.nodes[reader].column, f"loop {state} -> {reader} changes column"


def compact(number: float) -> str:
    """Format a size with two digits in at most seven characters: 0.85, 0.0012, 8.5e-4."""
    if number == 0 or 0.001 <= number < 10_000:
        return f"{number:.2g}" if number < 100 else f"{number:.0f}"
    return f"{number:.1e}".replace("e-0", "e-").replace("e+0", "e+")


def value_range(values: NDArray[Any]) -> str:
    """Return the line of a tooltip with the range of values."""
    if values.size == 0:
        return "no values"
    if values.size == 1:
        return f"value {float(values.item()):.6g}"
    low, mean, high = _numbers(values, np.min, np.mean, np.max)
    return f"values {low:.4g} to {high:.4g}, mean {mean:.4g}"


def statistics(values: NDArray[Any]) -> tuple[str, ...]:
    """Return the lines of a card with statistics of values."""
    if values.size == 0:
        return ()
    low, middle, mean, high = _numbers(values, np.min, np.median, np.mean, np.max)
    return f"{low:.3g} … {high:.3g}", f"median {middle:.3g}", f"mean {mean:.3g}"


def _numbers(values: NDArray[Any], *functions: Callable[..., Any]) -> list[float]:
    with np.errstate(all="ignore"):  # infinities have a mean that can be shown
        # Adding zero turns minus zero into zero.
        return [float(function(values)) + 0.0 for function in functions]


# Reading a graph ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ShownLines:
    """The options for the small lines of a node."""

    dims: bool = True
    dtypes: bool = False
    sum_stats: bool = False


class Gradients(dict[int, float]):
    """The L2 norm of the gradient by the key of a node; empty until a backward pass."""

    # MyGrad dismantles a graph at the end of ``backward()``, and the gradient of a parameter is deleted when the
    # parameter enters the next graph. So the gradients are read in between, when the loss releases its operation. Only
    # weak references are kept: drawing a graph keeps no array alive or read-only.

    def __init__(self, loss: mg.Tensor, tensors: list[mg.Tensor]) -> None:
        super().__init__()
        references = [(key, weakref.ref(t)) for key, t in enumerate(tensors) if not t.constant]
        note = partial(_note_gradients, weakref.ref(self), weakref.ref(loss), references)
        self._watch = weakref.ref(loss.creator, note)


def _note_gradients(
    gradients: weakref.ref[Gradients],
    loss: weakref.ref[mg.Tensor],
    references: list[tuple[int, weakref.ref[mg.Tensor]]],
    _: object,
) -> None:
    norms, result = gradients(), loss()
    # A graph that was dropped or cleared without a backward pass has no gradients; its parameters may have those of
    # another graph.
    if norms is None or result is None or result.grad is None:
        return
    for key, reference in references:
        tensor = reference()
        if tensor is not None and tensor.grad is not None:
            norms[key] = float(np.linalg.norm(np.asarray(tensor.grad, dtype=np.float64)))


def read_graph(loss: mg.Tensor, names: Mapping[str, Any], shown: ShownLines) -> tuple[Drawing, Gradients]:
    """Read the graph that ends in `loss`, which must have a creator."""
    tensors = tensors_below(loss)
    keys, kept = _merge_constants(tensors)
    inputs = [tuple(keys[id(v)] for v in t.creator.variables) if t.creator else () for t in kept]
    found = tensor_names(names, kept, (t for t in kept if t.creator is None))
    arrays = arrays_in(names)
    labels = [_label(t, found, arrays) for t in kept]
    vertices = [
        Vertex(_role(t, key), operands, trained=t.creator is None and not t.constant)
        for key, (t, operands) in enumerate(zip(kept, inputs, strict=True))
    ]
    steps = find_steps(vertices)
    nodes = tuple(_node(key, t, labels, inputs[key], found, steps, shown) for key, t in enumerate(kept))
    drawing = Drawing(*_sentences(nodes, kept, found), nodes, steps.headings)
    drawing.check()
    return drawing, Gradients(loss, kept)


def _merge_constants(tensors: list[mg.Tensor]) -> tuple[dict[int, int], list[mg.Tensor]]:
    """Return a number for every tensor; tensors that wrap the same array for several operations share a node."""
    keys: dict[int, int] = {}
    kept: list[mg.Tensor] = []
    known: dict[Hashable, int] = {}
    for tensor in tensors:
        identity: Hashable = id(tensor)
        if tensor.creator is None and tensor.constant and tensor.size:
            interface = tensor.data.__array_interface__
            identity = (interface["data"][0], tensor.shape, tensor.data.strides, interface["typestr"])
        if identity not in known:
            known[identity] = len(kept)
            kept.append(tensor)
        keys[id(tensor)] = known[identity]
    return keys, kept


def _role(tensor: mg.Tensor, key: int) -> Hashable:
    if tensor.creator is not None:
        return type(tensor.creator), tensor.shape
    return ("constant", tensor.shape) if tensor.constant else ("leaf", key)


def _label(tensor: mg.Tensor, found: dict[int, str], arrays: list[tuple[str, NDArray[Any]]]) -> tuple[NodeKind, str]:
    name = found.get(id(tensor))
    if tensor.creator is not None:
        operation = _operation(tensor)
        return "operation", operation if name is None else f"{name} = {operation}"
    if not tensor.constant:
        return "parameter", name or "unnamed tensor"
    place = name or place_in(tensor.data, arrays)
    return ("input", place) if place else ("constant", _constant(tensor.data))


def _constant(array: NDArray[Any]) -> str:
    if array.size == 0:
        return "empty"
    first = array.flat[0]
    if array.size == 1:
        return f"{first:.4g}" if isinstance(first, np.number) else str(first)
    if array.dtype != object and bool((array == first).all()):
        return {0: "zeros", 1: "ones"}.get(first, f"all {_constant(array.flat[:1])}")
    return "constant"


def _operation(tensor: mg.Tensor) -> str:
    creator = tensor.creator
    kind = type(creator).__name__
    name = _FUNCTION_OF_CLASS.get(kind) or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower()
    return name + (_index(creator.index) if kind == "GetItem" and hasattr(creator, "index") else "")


def _index(index: Any) -> str:
    def part(i: Any) -> str:
        if isinstance(i, slice):
            ends = [i.start, i.stop] + ([] if i.step is None else [i.step])
            return ":".join("" if end is None else str(end) for end in ends)
        return "..." if i is Ellipsis or isinstance(i, np.ndarray | list | mg.Tensor) else str(i)

    return "[" + ", ".join(part(i) for i in (index if isinstance(index, tuple) else (index,))) + "]"


def _node(
    key: int,
    tensor: mg.Tensor,
    labels: list[tuple[NodeKind, str]],
    inputs: tuple[int, ...],
    found: dict[int, str],
    steps: StepColumns,
    shown: ShownLines,
) -> GraphNode:
    kind, label = labels[key]
    emphasis: Emphasis = "state" if key in steps.states else ""
    if key == len(labels) - 1:
        emphasis = "result"
        label = label if id(tensor) in found else f"result = {label}"
    infix = _SIGNS.get(type(tensor.creator).__name__, "") if len(inputs) == 2 else ""
    details, tooltip = _details(tensor, shown), _tooltip(tensor, labels, key, inputs)
    return GraphNode(key, kind, label, details, tooltip, inputs, infix, steps.columns[key], emphasis)


def _shape(tensor: mg.Tensor) -> str:
    if tensor.ndim < 2:
        return str(tensor.shape) if tensor.ndim else f"scalar {float(tensor.item()):.4g}"
    return "×".join(map(str, tensor.shape))  # noqa: RUF001


def _details(tensor: mg.Tensor, shown: ShownLines) -> tuple[str, ...]:
    first = " ".join([_shape(tensor)] * shown.dims + [str(tensor.dtype)] * shown.dtypes)
    return (first, *(statistics(tensor.data) if shown.sum_stats else ()))


def _tooltip(
    tensor: mg.Tensor, labels: list[tuple[NodeKind, str]], key: int, inputs: tuple[int, ...]
) -> tuple[str, ...]:
    kind, label = labels[key]
    reads = ["reads " + ", ".join(labels[i][1] for i in inputs)] if inputs else []
    shape = f"shape {tuple(tensor.shape)}, {tensor.dtype}"
    return (label if inputs else f"{label} ({kind})", *reads, shape, value_range(tensor.data))


def _sentences(nodes: tuple[GraphNode, ...], tensors: list[mg.Tensor], found: dict[int, str]) -> tuple[str, str]:
    trained = [t for node, t in zip(nodes, tensors, strict=True) if node.kind == "parameter"]
    count = count_of(sum(not node.leaf for node in nodes), "operation")
    leaves = f"{count_of(len(trained), 'parameter')} ({count_of(sum(t.size for t in trained), 'number')})"
    title = f"{found.get(id(tensors[-1]), 'result')}: {count}, {leaves}"
    return title, f"Computational graph of {count} on {leaves}; time goes from left to right."


# Names ----------------------------------------------------------------------------------------------------------------


def tensor_names(names: Mapping[str, Any], tensors: Iterable[mg.Tensor], leaves: Iterable[mg.Tensor]) -> dict[int, str]:
    """Name `tensors` found in `names` itself, and `leaves` also in attributes and members of its values, by ``id``."""
    # The shortest path wins, then attributes before indices, then the order of `names`.
    wanted = {id(tensor) for tensor in tensors}
    found: dict[int, str] = {}
    for name, value in _public(names):
        if id(value) in wanted:
            found.setdefault(id(value), name)
    missing = {id(leaf) for leaf in leaves} - found.keys()
    level = list(_public(names))
    seen: set[int] = set()
    for _ in range(_DEPTH):
        if not missing or len(seen) > _VISITS:
            break
        level = [member for name, value in level for member in _members(name, value, seen)]
        for name, value in sorted(level, key=lambda member: member[0].count("[")):
            if id(value) in missing:
                found[id(value)] = name
                missing.discard(id(value))
    return found


def _public(names: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    # Notebooks keep their history in locals() as In, Out, _, _12, which are not names that a user gave.
    return ((str(k), v) for k, v in names.items() if not str(k).startswith("_") and k not in ("In", "Out"))


def _members(name: str, value: Any, seen: set[int]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, _CLOSED + _CODE) or id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, dict):
        for key, member in itertools.islice(value.items(), _MEMBERS):
            yield f"{name}[{key!r}]" if isinstance(key, str | int) else f"{name}[...]", member
    elif isinstance(value, list | tuple):
        for index, member in enumerate(value[:_MEMBERS]):
            yield f"{name}[{index}]", member
    else:
        for key, member in _attributes(value):
            yield f"{name}.{key}", member


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield only stored attributes: a property might be slow or have side effects."""
    yield from getattr(value, "__dict__", {}).items()
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            if slot not in ("__dict__", "__weakref__") and hasattr(value, slot):
                yield slot, getattr(value, slot)


def arrays_in(names: Mapping[str, Any]) -> list[tuple[str, NDArray[Any]]]:
    """Return the arrays in `names`, including those of tensors."""
    found = []
    for name, value in _public(names):
        array = value.data if isinstance(value, mg.Tensor) else value
        if isinstance(array, np.ndarray) and array.size and array.dtype != object:
            found.append((name, array))
    return found


def place_in(part: NDArray[Any], arrays: Iterable[tuple[str, NDArray[Any]]]) -> str | None:
    """Return which of `arrays` the memory of `part` belongs to, as ``x``, ``x[3]``, ``x[3:5]`` or ``part of x``."""
    for name, whole in arrays:
        if part.size and np.may_share_memory(part, whole):
            return _place(part, name, whole)
    return None


def _place(part: NDArray[Any], name: str, whole: NDArray[Any]) -> str:
    if _same(part, whole):
        return name
    if whole.ndim and whole.strides[0] > 0:
        start, rest = divmod(_address(part) - _address(whole), whole.strides[0])
        rows = part.size * len(whole) // whole.size
        if rest == 0 and rows > 0 and _same(part, whole[start : start + rows]):
            return f"{name}[{start}]" if rows == 1 else f"{name}[{start}:{start + rows}]"
    return f"part of {name}"


def _same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Whether two arrays have the same elements, up to axes of length 1."""
    if _address(a) != _address(b) or a.dtype != b.dtype:
        return False
    return [(n, s) for n, s in zip(a.shape, a.strides, strict=True) if n != 1] == [
        (n, s) for n, s in zip(b.shape, b.strides, strict=True) if n != 1
    ]


def _address(array: NDArray[Any]) -> int:
    return int(array.__array_interface__["data"][0])
