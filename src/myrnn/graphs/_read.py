"""Read MyGrad's graph of a tensor into a `Drawing`, every tensor once and without recursion."""

from __future__ import annotations

import re
import weakref
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import mygrad as mg
import numpy as np
from numpy.typing import NDArray

from myrnn.compiler import tensors_below
from myrnn.graphs._names import arrays_in, place_in, tensor_names
from myrnn.graphs._record import Drawing, Emphasis, GraphNode, Kind
from myrnn.graphs._steps import Steps, Vertex, find_steps

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


@dataclass(frozen=True)
class Shown:
    """What the small lines of a node say."""

    dims: bool = True
    dtypes: bool = False
    sum_stats: bool = False


class Gradients(dict[int, float]):
    """The L2 norm of the gradient by the key of a node, empty until a backward pass has come by.

    MyGrad takes a graph apart at the end of ``backward()``, and the gradient of a parameter goes when the parameter
    enters the next graph. The gradients are read in between, when the loss lets go of its operation. Only weak
    references are kept: no array lives longer, or stays read-only longer, because a picture was made of it.
    """

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
    # A graph that was dropped or cleared without a backward pass has no gradients; its parameters may have another's.
    if norms is None or result is None or result.grad is None:
        return
    for key, reference in references:
        tensor = reference()
        if tensor is not None and tensor.grad is not None:
            norms[key] = float(np.linalg.norm(np.asarray(tensor.grad, dtype=np.float64)))


def read_graph(loss: mg.Tensor, names: Mapping[str, Any], shown: Shown) -> tuple[Drawing, Gradients]:
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
    with np.errstate(all="ignore"):  # the mean of infinities is a number that may be shown
        nodes = tuple(_node(key, t, labels, inputs[key], found, steps, shown) for key, t in enumerate(kept))
    drawing = Drawing(*_sentences(nodes, kept, found), nodes, steps.headings)
    drawing.check()
    return drawing, Gradients(loss, kept)


def _merge_constants(tensors: list[mg.Tensor]) -> tuple[dict[int, int], list[mg.Tensor]]:
    """Give every tensor a number; an array that several operations read is wrapped anew by each, but is one node."""
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


def _label(tensor: mg.Tensor, found: dict[int, str], arrays: list[tuple[str, NDArray[Any]]]) -> tuple[Kind, str]:
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
    labels: list[tuple[Kind, str]],
    inputs: tuple[int, ...],
    found: dict[int, str],
    steps: Steps,
    shown: Shown,
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


def _details(tensor: mg.Tensor, shown: Shown) -> tuple[str, ...]:
    first = [_shape(tensor)] * shown.dims + [str(tensor.dtype)] * shown.dtypes
    lines = [" ".join(first)]
    if shown.sum_stats and tensor.size:
        low, middle, mean, high = (float(f(tensor.data)) for f in (np.min, np.median, np.mean, np.max))
        lines += [f"{low:.3g} … {high:.3g}", f"median {middle:.3g}", f"mean {mean:.3g}"]
    return tuple(lines)


def _tooltip(tensor: mg.Tensor, labels: list[tuple[Kind, str]], key: int, inputs: tuple[int, ...]) -> tuple[str, ...]:
    kind, label = labels[key]
    lines = [label if tensor.creator is not None else f"{label} ({kind})"]
    if inputs:
        lines.append("reads " + ", ".join(labels[i][1] for i in inputs))
    lines.append(f"shape {tuple(tensor.shape)}, {tensor.dtype}")
    if tensor.size == 1:
        lines.append(f"value {float(tensor.item()):.6g}")
    elif tensor.size:
        low, mean, high = (float(f(tensor.data)) for f in (np.min, np.mean, np.max))
        lines.append(f"values {low:.4g} to {high:.4g}, mean {mean:.4g}")
    return tuple(lines)


def _sentences(nodes: tuple[GraphNode, ...], tensors: list[mg.Tensor], found: dict[int, str]) -> tuple[str, str]:
    operations = sum(not node.leaf for node in nodes)
    trained = [t for node, t in zip(nodes, tensors, strict=True) if node.kind == "parameter"]
    numbers = sum(t.size for t in trained)
    count = f"{operations:,} operation{'s' * (operations != 1)}"
    leaves = f"{len(trained)} parameter{'s' * (len(trained) != 1)} ({numbers:,} number{'s' * (numbers != 1)})"
    title = f"{found.get(id(tensors[-1]), 'result')}: {count}, {leaves}"
    return title, f"Computational graph of {count} on {leaves}; time goes from left to right."
