"""The one table of operations: what each is in NumPy, its derivative, its native form. Adding one is adding a row.

Values are flat vectors. There are four kinds of operation:

``map``
    element by element; an input may be a single number, which then serves for every element;
``move``
    elements of the inputs in another order or place, fixed when the model is traced;
``reduce``
    over the middle axis of the input seen as (outer, n, inner);
``product``
    matrix products: ``matmul`` of (m, k) and (k, n), the right matrix stored as (n, k) where it is read transposed.

A derivative rule gets a builder, the result, the gradient with respect to it and the inputs, and returns graph nodes:
the gradient with respect to each input, or None where there is none. Where a function has a kink or a tie, MyGrad's
convention holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
SizeRule = Callable[[tuple[int, ...], tuple[Any, ...]], int]
Reference = Callable[[Sequence[Array], tuple[Any, ...]], Array]
Rule = Callable[..., "tuple[Any, ...]"]


@dataclass(frozen=True)
class Operation:
    """A row of the table.

    Attributes
    ----------
    kind : str
        ``map``, ``move``, ``reduce`` or ``product``.
    attributes : tuple of str
        The names of what the operation needs beside its inputs.
    size : callable
        The sizes of the inputs and the attributes -> the size of the result.
    reference : callable
        The inputs as arrays and the attributes -> the result, by NumPy.
    derivative : callable or None
        ``(build, out, grad, *inputs)`` -> gradients; None for what has no gradient (it is constant almost everywhere).
    emitted : str
        For a map, the expression in the emitted code: ``{0}`` and so on are the inputs.
    """

    kind: str
    attributes: tuple[str, ...]
    size: SizeRule
    reference: Reference
    derivative: Rule | None
    emitted: str


class Operations(dict[str, Operation]):
    """A table of operations by their names, whose rows are entered as decorators of their derivative rules."""

    def map(self, name: str, reference: Callable[..., Array], emitted: str) -> Callable[[Rule], Rule]:
        """Enter an element-wise operation with its derivative rule."""

        def enter(rule: Rule) -> Rule:
            self[name] = _element_wise(reference, rule, emitted)
            return rule

        return enter

    def flat(self, name: str, reference: Callable[..., Array], emitted: str) -> None:
        """Enter an element-wise operation that is constant almost everywhere: no gradient passes."""
        self[name] = _element_wise(reference, None, emitted)

    def other(
        self, kind: str, name: str, attributes: tuple[str, ...], size: SizeRule, reference: Reference
    ) -> Callable[[Rule], Rule]:
        """Enter another kind of operation with its derivative rule."""

        def enter(rule: Rule) -> Rule:
            self[name] = Operation(kind, attributes, size, reference, rule, "")
            return rule

        return enter


def _element_wise(reference: Callable[..., Array], rule: Rule | None, emitted: str) -> Operation:
    return Operation("map", (), _map_size, lambda arrays, _: reference(*arrays), rule, emitted)


def _map_size(sizes: tuple[int, ...], attributes: tuple[Any, ...]) -> int:
    largest = max(sizes)
    assert all(size in (1, largest) for size in sizes), f"sizes {sizes} do not fit together"
    return largest


OPERATIONS = Operations()


def _as_float(function: Callable[..., Array]) -> Callable[..., Array]:
    return lambda *arrays: function(*arrays).astype(arrays[0].dtype)


# Element by element --------------------------------------------------------------------------------------------------


@OPERATIONS.map("add", np.add, "{0} + {1}")
def _(build: Any, out: Any, grad: Any, a: Any, b: Any) -> Any:
    return grad, grad


@OPERATIONS.map("subtract", np.subtract, "{0} - {1}")
def _(build: Any, out: Any, grad: Any, a: Any, b: Any) -> Any:
    return grad, build.negative(grad)


@OPERATIONS.map("multiply", np.multiply, "{0} * {1}")
def _(build: Any, out: Any, grad: Any, a: Any, b: Any) -> Any:
    return build.multiply(grad, b), build.multiply(grad, a)


@OPERATIONS.map("divide", np.divide, "{0} / {1}")
def _(build: Any, out: Any, grad: Any, a: Any, b: Any) -> Any:
    return build.divide(grad, b), build.negative(build.divide(build.multiply(grad, out), b))


@OPERATIONS.map("negative", np.negative, "-{0}")
def _(build: Any, out: Any, grad: Any, a: Any) -> Any:
    return (build.negative(grad),)


@OPERATIONS.map("power", np.power, "power({0}, {1})")
def _(build: Any, out: Any, grad: Any, a: Any, b: Any) -> Any:
    # MyGrad's convention at an exponent of zero is 0 * x, and log of a zero base counts as 0.
    lower = build.select(build.equal(b, 0.0), 1.0, build.subtract(b, 1.0))
    base = build.multiply(grad, build.multiply(b, build.power(a, lower)))
    exponent = build.multiply(build.multiply(grad, out), build.log(build.select(build.equal(a, 0.0), 1.0, a)))
    return base, exponent


@OPERATIONS.map("maximum", np.maximum, "maximum({0}, {1})")
def _(build: Any, out: Any, grad: Any, a: Any, b: Any) -> Any:
    return build.multiply(grad, build.greater(a, b)), build.multiply(grad, build.greater(b, a))


@OPERATIONS.map("minimum", np.minimum, "minimum({0}, {1})")
def _(build: Any, out: Any, grad: Any, a: Any, b: Any) -> Any:
    return build.multiply(grad, build.greater(b, a)), build.multiply(grad, build.greater(a, b))


# Along an axis MyGrad gives the gradient to the first of the largest, of any two to neither.
@OPERATIONS.map("larger", np.maximum, "maximum({0}, {1})")
def _(build: Any, out: Any, grad: Any, a: Any, b: Any) -> Any:
    second = build.greater(b, a)
    return build.multiply(grad, build.subtract(1.0, second)), build.multiply(grad, second)


@OPERATIONS.map("smaller", np.minimum, "minimum({0}, {1})")
def _(build: Any, out: Any, grad: Any, a: Any, b: Any) -> Any:
    second = build.greater(a, b)
    return build.multiply(grad, build.subtract(1.0, second)), build.multiply(grad, second)


def _select(mask: Array, a: Array, b: Array) -> Array:
    return np.where(mask != 0, a, b)


@OPERATIONS.map("select", _select, "where({0}, {1}, {2})")
def _(build: Any, out: Any, grad: Any, mask: Any, a: Any, b: Any) -> Any:
    return None, build.select(mask, grad, 0.0), build.select(mask, 0.0, grad)


@OPERATIONS.map("relu", lambda a: a * (a > 0), "relu({0})")
def _(build: Any, out: Any, grad: Any, a: Any) -> Any:
    return (build.multiply(grad, build.greater(out, 0.0)),)


@OPERATIONS.map("tanh", np.tanh, "tanh({0})")
def _(build: Any, out: Any, grad: Any, a: Any) -> Any:
    return (build.multiply(grad, build.subtract(1.0, build.multiply(out, out))),)


@OPERATIONS.map("sigmoid", lambda a: 1 / (1 + np.exp(-a)), "sigmoid({0})")
def _(build: Any, out: Any, grad: Any, a: Any) -> Any:
    return (build.multiply(grad, build.multiply(out, build.subtract(1.0, out))),)


@OPERATIONS.map("exp", np.exp, "exp({0})")
def _(build: Any, out: Any, grad: Any, a: Any) -> Any:
    return (build.multiply(grad, out),)


@OPERATIONS.map("log", np.log, "log({0})")
def _(build: Any, out: Any, grad: Any, a: Any) -> Any:
    return (build.divide(grad, a),)


@OPERATIONS.map("expm1", np.expm1, "expm1({0})")
def _(build: Any, out: Any, grad: Any, a: Any) -> Any:
    return (build.multiply(grad, build.exp(a)),)


@OPERATIONS.map("log1p", np.log1p, "log1p({0})")
def _(build: Any, out: Any, grad: Any, a: Any) -> Any:
    return (build.divide(grad, build.add(1.0, a)),)


@OPERATIONS.map("logaddexp", np.logaddexp, "maximum({0}, {1}) + softplus(-absolute({0} - {1}))")
def _(build: Any, out: Any, grad: Any, a: Any, b: Any) -> Any:
    return (
        build.multiply(grad, build.sigmoid(build.subtract(a, b))),
        build.multiply(grad, build.sigmoid(build.subtract(b, a))),
    )


@OPERATIONS.map("sqrt", np.sqrt, "sqrt({0})")
def _(build: Any, out: Any, grad: Any, a: Any) -> Any:
    return (build.divide(grad, build.multiply(2.0, out)),)


@OPERATIONS.map("abs", np.abs, "absolute({0})")
def _(build: Any, out: Any, grad: Any, a: Any) -> Any:
    return (build.multiply(grad, build.sign(a)),)


@OPERATIONS.map("sin", np.sin, "sin({0})")
def _(build: Any, out: Any, grad: Any, a: Any) -> Any:
    return (build.multiply(grad, build.cos(a)),)


@OPERATIONS.map("cos", np.cos, "cos({0})")
def _(build: Any, out: Any, grad: Any, a: Any) -> Any:
    return (build.negative(build.multiply(grad, build.sin(a))),)


OPERATIONS.flat("greater", _as_float(np.greater), "above({0}, {1})")
OPERATIONS.flat("equal", _as_float(np.equal), "1.0 - above({0}, {1}) - above({1}, {0})")
OPERATIONS.flat("sign", np.sign, "above({0}, 0.0) - above(0.0, {0})")


# Other places --------------------------------------------------------------------------------------------------------


def _indices(data: bytes) -> NDArray[np.int32]:
    return np.frombuffer(data, dtype=np.int32)


def _expand_rule(build: Any, out: Any, grad: Any, a: Any) -> Any:
    return (build.sum(grad, outer=1, n=out.size, inner=1),)


OPERATIONS["expand"] = Operation(
    "map", ("size",), lambda sizes, a: a[0], lambda x, a: np.repeat(x[0], a[0]), _expand_rule, "{0}"
)


@OPERATIONS.other("move", "take", ("indices",), lambda sizes, a: len(a[0]) // 4, lambda x, a: x[0][_indices(a[0])])
def _(build: Any, out: Any, grad: Any, a: Any) -> Any:
    return (build.put(grad, indices=out.attributes[0], size=a.size),)


def _put(arrays: Sequence[Array], attributes: tuple[Any, ...]) -> Array:
    indices, size = attributes
    result = np.zeros(size, dtype=arrays[0].dtype)
    np.add.at(result, _indices(indices), arrays[0])
    return result


@OPERATIONS.other("move", "put", ("indices", "size"), lambda sizes, a: a[1], _put)
def _(build: Any, out: Any, grad: Any, a: Any) -> Any:
    return (build.take(grad, _indices(out.attributes[0])),)


def _join(arrays: Sequence[Array], attributes: tuple[Any, ...]) -> Array:
    result = np.empty(sum(array.size for array in arrays), dtype=arrays[0].dtype)
    for array, places in zip(arrays, attributes[0], strict=True):
        result[_indices(places)] = array
    return result


@OPERATIONS.other("move", "join", ("places",), lambda sizes, a: sum(sizes), _join)
def _(build: Any, out: Any, grad: Any, *parts: Any) -> Any:
    return tuple(build.take(grad, _indices(places)) for places in out.attributes[0])


# Over features -------------------------------------------------------------------------------------------------------

_AXES = ("outer", "n", "inner")


def _block(array: Array, axes: tuple[int, ...]) -> Array:
    return array.reshape(axes)


@OPERATIONS.other("reduce", "sum", _AXES, lambda s, a: a[0] * a[2], lambda x, a: _block(x[0], a).sum(1).reshape(-1))
def _(build: Any, out: Any, grad: Any, a: Any) -> Any:
    return (build.spread(grad, *out.attributes),)


def _softmax(array: Array, axes: tuple[int, ...]) -> Array:
    block = _block(array, axes)
    exponentials = np.exp(block - block.max(1, keepdims=True))
    return (exponentials / exponentials.sum(1, keepdims=True)).reshape(-1)


@OPERATIONS.other("reduce", "softmax", _AXES, lambda s, a: s[0], lambda x, a: _softmax(x[0], a))
def _(build: Any, out: Any, grad: Any, a: Any) -> Any:
    outer, n, inner = out.attributes
    share = build.multiply(out, grad)
    total = build.spread(build.sum(share, outer=outer, n=n, inner=inner), outer, n, inner)
    return (build.subtract(share, build.multiply(out, total)),)


def _log_softmax(array: Array, axes: tuple[int, ...]) -> Array:
    block = _block(array, axes)
    shifted = block - block.max(1, keepdims=True)
    return (shifted - np.log(np.exp(shifted).sum(1, keepdims=True))).reshape(-1)


@OPERATIONS.other("reduce", "log_softmax", _AXES, lambda s, a: s[0], lambda x, a: _log_softmax(x[0], a))
def _(build: Any, out: Any, grad: Any, a: Any) -> Any:
    outer, n, inner = out.attributes
    total = build.spread(build.sum(grad, outer=outer, n=n, inner=inner), outer, n, inner)
    return (build.subtract(grad, build.multiply(build.exp(out), total)),)


# Products ------------------------------------------------------------------------------------------------------------


def _matmul(arrays: Sequence[Array], attributes: tuple[Any, ...]) -> Array:
    m, k, n, transposed = attributes
    right = arrays[1].reshape(n, k).T if transposed else arrays[1].reshape(k, n)
    return (arrays[0].reshape(m, k) @ right).reshape(-1)


def transposed_indices(rows: int, columns: int) -> NDArray[np.int32]:
    """Return the order in which to take a flat (rows, columns) matrix to get its transpose, int32."""
    return np.arange(rows * columns, dtype=np.int32).reshape(rows, columns).T.reshape(-1)


@OPERATIONS.other("product", "matmul", ("m", "k", "n", "transposed"), lambda s, a: a[0] * a[2], _matmul)
def _(build: Any, out: Any, grad: Any, a: Any, b: Any) -> Any:
    m, k, n, transposed = out.attributes
    left = build.matmul(grad, b, m=m, k=n, n=k, transposed=not transposed)
    if m == 1:
        return left, build.outer(grad, a) if transposed else build.outer(a, grad)
    if transposed:
        return left, build.matmul(build.take(grad, transposed_indices(m, n)), a, m=n, k=m, n=k, transposed=False)
    return left, build.matmul(build.take(a, transposed_indices(m, k)), grad, m=k, k=m, n=n, transposed=False)


@OPERATIONS.other("product", "outer", (), lambda s, a: s[0] * s[1], lambda x, a: np.outer(x[0], x[1]).reshape(-1))
def _(build: Any, out: Any, grad: Any, a: Any, b: Any) -> Any:
    return (
        build.matmul(b, grad, m=1, k=b.size, n=a.size, transposed=True),
        build.matmul(a, grad, m=1, k=a.size, n=b.size, transposed=False),
    )
