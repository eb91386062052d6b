"""The table of operations: NumPy reference, derivative and code of each. A new operation is a new row.

Values are flat vectors. There are five kinds of operation:

``map``
    element by element; an input may be a single number, which is broadcast;
``move``
    elements of the inputs in another order or place, fixed when the model is traced;
``reduce``
    over the middle axis of the input seen as (outer, n, inner);
``product``
    products of each of several matrices, such as those of heads: ``matmul`` of (m, k) and (k, n), the right matrix
    stored as (n, k) where it is read transposed, and ``outer`` of columns and rows;
``formula``
    element by element, composed of other rows: it never occurs in a graph itself.

A row is callable and makes a node, so a derivative rule reads like a formula: it gets the gradient `g` of the result,
the result `y` and the inputs, and returns the gradient of each input, or None where there is none. `derive` undoes
broadcasting and sums gradients. At kinks and ties, MyGrad's convention holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler.leaves import WEIGHTS

if TYPE_CHECKING:
    from myrnn.compiler.graph import Node

Array = NDArray[Any]
Sizes = tuple[int, ...]
Interval = tuple[float, float]

ANY, POSITIVE, ABOVE_ONE, WITHIN_ONE = (-2.0, 2.0), (0.3, 2.5), (1.2, 3.0), (-0.9, 0.9)


def _largest(sizes: Sizes, *_: Any) -> int:
    largest = max(sizes)
    assert all(size in (1, largest) for size in sizes), f"sizes {sizes} do not fit together"
    return largest


@dataclass(frozen=True, eq=False)
class Operation:
    """An operation."""

    name: str
    kind: str
    # In NumPy: inputs as flat arrays, then the attributes -> the result.
    reference: Callable[..., Array]
    # (g, y, *inputs) -> the gradient of each input, as nodes; None if it is constant almost everywhere.
    derivative: Callable[..., Any] | None = None
    # For a formula, its composition from other rows.
    formula: Callable[..., Node] | None = None
    # Its code for all renderers, whose languages each have the functions in it. For a map, the expression of its
    # elements, in which {0} and so on are the inputs; with Numba, these are lanes. For operations that move or sum, the
    # function that takes the result, the inputs and the attributes.
    code: str = ""
    # The sign between its operands in equations, the name of the function, or a template as in `code`.
    text: str = ""
    # Whether to recompute it in the backward pass instead of keeping it.
    cheap: bool = False
    # Whether it, or its derivative, may turn finite numbers into infinities or NaN.
    singular: bool = False
    # Whether its result has fixed bounds, unless it is NaN.
    bounded: bool = False
    # MyGrad's class of the same operation, if it is element-wise without options.
    mygrad: str = ""
    # The names of the operation's attributes.
    attributes: tuple[str, ...] = ()
    # The sizes of the inputs and the attributes -> the size of the result.
    size: Callable[..., int] = _largest
    # For a map or formula, intervals of inputs that tests draw from.
    domain: tuple[Interval, ...] = ()

    def __post_init__(self) -> None:
        """Add the row to the table."""
        assert self.name not in OPERATIONS
        OPERATIONS[self.name] = self

    def __call__(self, *operands: Any, **attributes: Any) -> Node:
        """Return the node of this operation on nodes, at least one, and numbers."""
        if self.formula is not None:
            return self.formula(*operands)
        build = next(o.build for o in operands if hasattr(o, "build"))
        return build.make(self.name, *operands, **attributes)


OPERATIONS: dict[str, Operation] = {}
"""Name -> row."""


# MyGrad's classes have the same names, capitalized, unless a row says otherwise.


def function(name: str, reference: Any, derivative: Any, *domain: Interval, **columns: Any) -> Operation:
    """Add a function with as many arguments as there are intervals, at least one."""
    domain = domain or (ANY,)
    inputs = ", ".join(f"{{{i}}}" for i in range(len(domain)))
    columns = {"code": f"{name}({inputs})", "text": name, "mygrad": name.capitalize(), **columns}
    return Operation(name, "map", reference, derivative, domain=domain, **columns)


def infix(sign: str, name: str, reference: Any, derivative: Any, *domain: Interval, **columns: Any) -> Operation:
    """Add a function of two numbers with a sign between them."""
    columns = {"code": f"{{0}} {sign} {{1}}", "text": sign, **columns}
    return function(name, reference, derivative, *domain or (ANY, ANY), **columns)


def formula(name: str, reference: Any, made: Any, *domain: Interval, mygrad: str = "") -> Operation:
    """Add a function that is composed of others."""
    return Operation(
        name, "formula", reference, formula=made, domain=domain or (ANY,), mygrad=mygrad or name.capitalize()
    )


# Arithmetic -----------------------------------------------------------------------------------------------------------


def _as_float(function: Callable[..., Array]) -> Callable[..., Array]:
    return lambda *arrays: function(*arrays).astype(arrays[0].dtype)


greater = infix(
    ">", "greater", _as_float(np.greater), None, code="above({0}, {1})", cheap=True, bounded=True, mygrad=""
)
equal = infix("==", "equal", _as_float(np.equal), None, code="same({0}, {1})", cheap=True, bounded=True, mygrad="")
sign = function("sign", np.sign, None, code="above({0}, 0.0) - above(0.0, {0})", bounded=True, mygrad="")
floor = function("floor", np.floor, None, cheap=True, mygrad="")
rint = function("rint", np.rint, None, cheap=True, mygrad="")
select: Operation = function(
    "select",
    lambda mask, a, b: np.where(mask != 0, a, b),
    lambda g, y, mask, a, b: (None, select(mask, g, 0.0), select(mask, 0.0, g)),
    *((1.0, 1.0), ANY, ANY),
    code="where({0}, {1}, {2})",
    text="where",
    cheap=True,
    mygrad="",
)

add = infix("+", "add", np.add, lambda g, y, a, b: (g, g), cheap=True)
subtract = infix("-", "subtract", np.subtract, lambda g, y, a, b: (g, -g), cheap=True)
multiply = infix("*", "multiply", np.multiply, lambda g, y, a, b: (g * b, g * a), cheap=True)
divide = infix("/", "divide", np.divide, lambda g, y, a, b: (g / b, -(g * y / b)), ANY, POSITIVE, singular=True)
negative = function("negative", np.negative, lambda g, y, x: -g, code="-{0}", text="-", cheap=True)


def _power(g: Node, y: Node, a: Node, b: Node) -> Any:
    # MyGrad's convention at an exponent of zero is 0 * x, and log of a zero base counts as 0.
    lower = select(equal(b, 0.0), 1.0, b - 1.0)
    return g * (b * power(a, lower)), g * y * log(select(equal(a, 0.0), 1.0, a))


power = infix("**", "power", np.power, _power, POSITIVE, ANY, code="power({0}, {1})", singular=True)
# The C library's power takes one number at a time, and squares are products already.
cube = function(
    "cube",
    lambda x: x**3,
    lambda g, y, x: g * (3.0 * (x * x)),
    code="{0} * {0} * {0}",
    text="{0} ** 3",
    cheap=True,
    mygrad="",
)

# At a tie MyGrad gives the gradient to neither of two numbers, and along an axis to the first of the largest.
maximum = function("maximum", np.maximum, lambda g, y, a, b: (g * greater(a, b), g * greater(b, a)), ANY, ANY)
minimum = function("minimum", np.minimum, lambda g, y, a, b: (g * greater(b, a), g * greater(a, b)), ANY, ANY)
larger = function(
    "larger",
    np.maximum,
    lambda g, y, a, b: (g * (1.0 - greater(b, a)), g * greater(b, a)),
    *(ANY, ANY),
    code=maximum.code,
    mygrad="",
)
smaller = function(
    "smaller",
    np.minimum,
    lambda g, y, a, b: (g * (1.0 - greater(a, b)), g * greater(a, b)),
    *(ANY, ANY),
    code=minimum.code,
    mygrad="",
)

# The same number, through which no gradient passes.
stop_gradient = function("stop_gradient", np.positive, None, code="{0}", cheap=True, mygrad="")

# Elementary functions -------------------------------------------------------------------------------------------------

relu = function("relu", lambda x: x * (x > 0), lambda g, y, x: g * greater(y, 0.0), mygrad="ReLu")
tanh = function("tanh", np.tanh, lambda g, y, x: g * (1.0 - y * y), bounded=True)
sigmoid = function("sigmoid", lambda x: 1 / (1 + np.exp(-x)), lambda g, y, x: g * (y * (1.0 - y)), bounded=True)
exp = function("exp", np.exp, lambda g, y, x: g * y, singular=True)
expm1 = function("expm1", np.expm1, lambda g, y, x: g * exp(x), singular=True)
log = function("log", np.log, lambda g, y, x: g / x, POSITIVE, singular=True)
log1p = function("log1p", np.log1p, lambda g, y, x: g / (1.0 + x), POSITIVE, singular=True)
logaddexp = function(
    "logaddexp", np.logaddexp, lambda g, y, a, b: (g * sigmoid(a - b), g * sigmoid(b - a)), ANY, ANY, singular=True
)
sqrt = function("sqrt", np.sqrt, lambda g, y, x: g / (2.0 * y), POSITIVE, singular=True)
cbrt = function("cbrt", np.cbrt, lambda g, y, x: g / (3.0 * (y * y)), singular=True)
absolute = function("abs", np.abs, lambda g, y, x: g * sign(x), code="absolute({0})", mygrad="")
# MyGrad's abs with nan_to_num=False.
abs_nan = function(
    "abs_nan",
    np.abs,
    lambda g, y, x: g * (sign(x) / (1.0 - equal(x, 0.0))),
    code=absolute.code,
    text="abs",
    mygrad="",
    singular=True,
)
sin: Operation = function("sin", np.sin, lambda g, y, x: g * cos(x), bounded=True)
cos: Operation = function("cos", np.cos, lambda g, y, x: -(g * sin(x)), bounded=True)


def _sinc(g: Node, y: Node, x: Node) -> Node:
    # Near zero the difference would lose digits, which the first terms of its series do not.
    near, square = greater(0.003, absolute(x)), np.pi**2 * (x * x)
    series = (-(np.pi**2) / 3) * x * (1.0 - 0.1 * square)
    return g * select(near, series, (cos(np.pi * x) - y) / select(near, 1.0, x))


sinc = function("sinc", np.sinc, _sinc, bounded=True)


def _arcsin(g: Node, y: Node, x: Node) -> Node:
    # The function is vertical at -1 and 1, where MyGrad's slope is zero.
    end = equal(absolute(x), 1.0)
    return g * select(end, 0.0, 1.0 / sqrt(select(end, 1.0, (1.0 - x) * (1.0 + x))))


arcsin = function("arcsin", np.arcsin, _arcsin, WITHIN_ONE, singular=True, bounded=True)
arccos = function("arccos", np.arccos, lambda g, y, x: -_arcsin(g, y, x), WITHIN_ONE, singular=True, bounded=True)
arctan = function("arctan", np.arctan, lambda g, y, x: g / (1.0 + x * x), bounded=True)
# Adding zero turns minus zero into zero, whose inverse is plus infinity.
arccot = function(
    "arccot",
    lambda x: np.arctan(1 / (x + 0.0)),
    lambda g, y, x: -(g / (1.0 + x * x)),
    code="arctan(1.0 / ({0} + 0.0))",
    bounded=True,
)


def _arctan2(g: Node, y: Node, a: Node, b: Node) -> Any:
    square = a * a + b * b
    return g * b / square, -(g * a / square)


arctan2 = function("arctan2", np.arctan2, _arctan2, ANY, ANY, singular=True, bounded=True)
arcsinh = function("arcsinh", np.arcsinh, lambda g, y, x: g / sqrt(1.0 + x * x))
arccosh = function("arccosh", np.arccosh, lambda g, y, x: g / sqrt((x - 1.0) * (x + 1.0)), ABOVE_ONE, singular=True)
arctanh = function("arctanh", np.arctanh, lambda g, y, x: g / ((1.0 - x) * (1.0 + x)), WITHIN_ONE, singular=True)

# Formulas -------------------------------------------------------------------------------------------------------------


def elu(x: Node, alpha: float) -> Node:
    """Return ``alpha * (exp(x) - 1)`` where `x` is negative, else `x`."""
    # The exponential is only taken of numbers that are not positive, so that the other branch cannot overflow.
    return select(greater(0.0, x), alpha * (exp(minimum(x, 0.0)) - 1.0), x)


# The constants of Klambauer et al., "Self-normalizing neural networks", 2017.
_ALPHA, _SCALE = 1.6732632423543772, 1.0507009873554805

selu = formula(
    "selu",
    lambda x: _SCALE * np.where(x < 0, _ALPHA * np.expm1(x), x),
    lambda x: _SCALE * elu(x, _ALPHA),
    mygrad="SELU",
)
positive = formula("positive", np.positive, lambda x: x)
square = formula("square", np.square, lambda x: x * x)
reciprocal = formula("reciprocal", np.reciprocal, lambda x: 1.0 / x, POSITIVE)
exp2 = formula("exp2", np.exp2, lambda x: exp(x * np.log(2)))
log2 = formula("log2", np.log2, lambda x: log(x) * (1 / np.log(2)), POSITIVE)
log10 = formula("log10", np.log10, lambda x: log(x) * (1 / np.log(10)), POSITIVE)
logaddexp2 = formula(
    "logaddexp2", np.logaddexp2, lambda a, b: logaddexp(a * np.log(2), b * np.log(2)) * (1 / np.log(2)), ANY, ANY
)
tan = formula("tan", np.tan, lambda x: sin(x) / cos(x), (-1.2, 1.2))
cot = formula("cot", lambda x: 1 / np.tan(x), lambda x: cos(x) / sin(x), POSITIVE)
sec = formula("sec", lambda x: 1 / np.cos(x), lambda x: 1.0 / cos(x), (-1.2, 1.2))
csc = formula("csc", lambda x: 1 / np.sin(x), lambda x: 1.0 / sin(x), POSITIVE)
arcsec = formula("arcsec", lambda x: np.arccos(1 / x), lambda x: arccos(1.0 / x), ABOVE_ONE)
arccsc = formula("arccsc", lambda x: np.arcsin(1 / x), lambda x: arcsin(1.0 / x), ABOVE_ONE)
# With exp itself, small numbers would lose their digits.
sinh = formula("sinh", np.sinh, lambda x: 0.5 * (expm1(x) - expm1(-x)))
cosh = formula("cosh", np.cosh, lambda x: 0.5 * (exp(x) + exp(-x)))
coth = formula("coth", lambda x: 1 / np.tanh(x), lambda x: 1.0 / tanh(x), POSITIVE)
sech = formula("sech", lambda x: 1 / np.cosh(x), lambda x: 1.0 / cosh(x))
csch = formula("csch", lambda x: 1 / np.sinh(x), lambda x: 1.0 / sinh(x), POSITIVE)
arccoth = formula("arccoth", lambda x: np.arctanh(1 / x), lambda x: arctanh(1.0 / x), ABOVE_ONE)
arccsch = formula("arccsch", lambda x: np.arcsinh(1 / x), lambda x: arcsinh(1.0 / x), POSITIVE)

# Moves ----------------------------------------------------------------------------------------------------------------


def indices_of(data: bytes) -> NDArray[np.int32]:
    """Return the indices that an attribute stores as bytes, int32."""
    return np.frombuffer(data, dtype=np.int32)


@lru_cache(maxsize=1024)
def run_of(data: bytes) -> range | None:
    """Return the indices that an attribute stores as bytes if they follow one another; None if they do not."""
    where = indices_of(data)
    begin = int(where[0]) if len(where) else 0
    run = range(begin, begin + len(where))
    return run if np.array_equal(where, np.arange(run.start, run.stop)) else None


def is_slice(node: Node) -> bool:
    """Whether a node takes numbers that follow one another."""
    return node.operation == "take" and run_of(node.attributes[0]) is not None


# A loop over joined vectors has code for every part.
_MOST_PARTS = 4


def parts_in_place(node: Node) -> tuple[tuple[Node, range], ...] | None:
    """Return the inputs of a join or a put, each with the indices where its numbers are, if they are in few pieces."""
    if node.operation not in ("join", "put") or len(node.inputs) > _MOST_PARTS or node.size == 1:
        return None
    places = node.attributes[0] if node.operation == "join" else node.attributes[:1]
    runs = [run for where in places if (run := run_of(where)) is not None]
    return tuple(zip(node.inputs, runs, strict=True)) if len(runs) == len(places) else None


@lru_cache(maxsize=1024)
def _repeated_axes(data: bytes, size: int) -> Sizes | None:
    where = indices_of(data)
    if not size or len(where) <= size or len(where) % size:
        return None
    n = len(where) // size
    # The numbers of the last axis follow one another, until the first of them comes again.
    inner = 1
    while inner < size and where[inner] == inner:
        inner += 1
    if size % inner:
        return None
    axes = size // inner, n, inner
    repeated = np.broadcast_to(np.arange(size).reshape(-1, 1, inner), axes)
    return axes if np.array_equal(where, repeated.reshape(-1)) else None


def repeated_axes(node: Node) -> Sizes | None:
    """Return (outer, n, inner) if a node repeats (outer, inner) numbers n times as `spread` does, otherwise None."""
    return _repeated_axes(node.attributes[0], node.inputs[0].size) if node.operation == "take" else None


def _take(g: Node, y: Node, x: Node) -> Node:
    if (axes := repeated_axes(y)) is not None:
        return total(g, **dict(zip(_AXES, axes, strict=True)))
    return put(g, indices=y.attributes[0], size=x.size)


def _put(array: Array, indices: bytes, size: int) -> Array:
    result = np.zeros(size, dtype=array.dtype)
    np.add.at(result, indices_of(indices), array)
    return result


def _join(*parts_and_places: Any) -> Array:
    *parts, places = parts_and_places
    result = np.empty(sum(part.size for part in parts), dtype=parts[0].dtype)
    for part, place in zip(parts, places, strict=True):
        result[indices_of(place)] = part
    return result


take = Operation(
    "take",
    "move",
    lambda x, indices: x[indices_of(indices)],
    _take,
    code="take",
    text="take",
    attributes=("indices",),
    size=lambda sizes, indices: len(indices) // 4,
)
put = Operation(
    "put",
    "move",
    _put,
    lambda g, y, x: take(g, indices=y.attributes[0]),
    code="put",
    text="put",
    attributes=("indices", "size"),
    size=lambda sizes, indices, size: size,
)
join = Operation(
    "join",
    "move",
    _join,
    lambda g, y, *parts: tuple(take(g, indices=places) for places in y.attributes[0]),
    code="spread_out",
    text="join",
    attributes=("places",),
    size=lambda sizes, places: sum(sizes),
)

# Over features --------------------------------------------------------------------------------------------------------

_AXES = ("outer", "n", "inner")


def spread(x: Node, outer: int, n: int, inner: int) -> Node:
    """Repeat (outer, inner) numbers n times, to (outer, n, inner); a single one needs no repeating."""
    if x.size == 1:
        return x
    return take(x, indices=np.broadcast_to(np.arange(x.size).reshape(outer, 1, inner), (outer, n, inner)))


total = Operation(
    "sum",
    "reduce",
    lambda x, *axes: x.reshape(axes).sum(1).reshape(-1),
    lambda g, y, x: spread(g, *y.attributes),
    code="sum_axis",
    text="sum",
    attributes=_AXES,
    size=lambda sizes, outer, n, inner: outer * inner,
)
expand = Operation(
    "expand",
    "map",
    np.repeat,
    lambda g, y, x: total(g, outer=1, n=y.size, inner=1),
    code="{0}",
    text="expand",
    cheap=True,
    attributes=("size",),
    size=lambda sizes, size: size,
)


def _softmax(array: Array, *axes: int) -> Array:
    block = array.reshape(axes)
    exponentials = np.exp(block - block.max(1, keepdims=True))
    return (exponentials / exponentials.sum(1, keepdims=True)).reshape(-1)


def _log_softmax(array: Array, *axes: int) -> Array:
    block = array.reshape(axes)
    shifted = block - block.max(1, keepdims=True)
    return (shifted - np.log(np.exp(shifted).sum(1, keepdims=True))).reshape(-1)


def _along(x: Node, y: Node) -> Node:
    """Return the sums of `x` over the axis of `y`, repeated for every element."""
    axes = dict(zip(_AXES, y.attributes, strict=True))
    return spread(total(x, **axes), **axes)


def _softmax_rule(g: Node, y: Node, x: Node) -> Node:
    share = y * g
    return share - y * _along(share, y)


softmax = Operation(
    "softmax", "reduce", _softmax, _softmax_rule, code="softmax_axis", text="softmax", attributes=_AXES, bounded=True
)
log_softmax = Operation(
    "log_softmax",
    "reduce",
    _log_softmax,
    lambda g, y, x: g - exp(y) * _along(g, y),
    code="log_softmax_axis",
    text="log_softmax",
    attributes=_AXES,
)

# Products -------------------------------------------------------------------------------------------------------------


class ProductSizes(NamedTuple):
    """The sizes of a product, the attributes of ``matmul``: of `matrices` times (m, k) by (k, n)."""

    matrices: int
    m: int
    k: int
    n: int
    transposed: bool  # the right matrices are stored as (n, k)


def sizes_of(node: Node) -> ProductSizes:
    """Return the sizes of a ``matmul`` or an ``outer``."""
    if node.operation == "matmul":
        return ProductSizes(*node.attributes)
    (matrices,), (left, right) = node.attributes, node.inputs
    return ProductSizes(matrices, left.size // matrices, 1, right.size // matrices, False)


def transposed_indices(rows: int, columns: int, matrices: int = 1) -> NDArray[np.int32]:
    """Return the indices that transpose flat (rows, columns) matrices, int32."""
    places = np.arange(matrices * rows * columns, dtype=np.int32).reshape(matrices, rows, columns)
    return places.swapaxes(1, 2).reshape(-1)


def _multiplied(a: Array, b: Array, matrices: int, m: int, k: int, n: int, transposed: bool) -> Array:
    right = b.reshape(matrices, n, k).swapaxes(1, 2) if transposed else b.reshape(matrices, k, n)
    return (a.reshape(matrices, m, k) @ right).reshape(-1)


def _matmul_rule(g: Node, y: Node, a: Node, b: Node) -> Any:
    matrices, m, k, n, transposed = sizes_of(y)
    if m == n == 1 and not isinstance(b.leaf, WEIGHTS):
        each = spread(g, outer=matrices, n=k, inner=1)
        return each * b, each * a
    left = matmul(g, b, m=m, k=n, n=k, transposed=not transposed, matrices=matrices)
    if m == 1:
        return left, outer(g, a, matrices) if transposed else outer(a, g, matrices)
    if transposed:
        columns = take(g, indices=transposed_indices(m, n, matrices))
        return left, matmul(columns, a, m=n, k=m, n=k, matrices=matrices)
    columns = take(a, indices=transposed_indices(m, k, matrices))
    return left, matmul(columns, g, m=k, k=m, n=n, matrices=matrices)


def _outer_rule(g: Node, y: Node, a: Node, b: Node) -> Any:
    matrices, m, _, n, _ = sizes_of(y)
    left = matmul(b, g, m=1, k=n, n=m, transposed=True, matrices=matrices)
    return left, matmul(a, g, m=1, k=m, n=n, matrices=matrices)


_MATMUL = Operation(
    "matmul",
    "product",
    _multiplied,
    _matmul_rule,
    text="@",
    attributes=ProductSizes._fields,
    size=lambda sizes, matrices, m, k, n, transposed: matrices * m * n,
)
_OUTER = Operation(
    "outer",
    "product",
    lambda a, b, matrices: (a.reshape(matrices, -1, 1) * b.reshape(matrices, 1, -1)).reshape(-1),
    _outer_rule,
    text="outer",
    attributes=("matrices",),
    size=lambda sizes, matrices: sizes[0] * sizes[1] // matrices,
)


def matmul(a: Node, b: Node, *, m: int, k: int, n: int, transposed: bool = False, matrices: int = 1) -> Node:
    """Multiply matrices (m, k) by others (k, n), which are stored as (n, k) if `transposed`."""
    return _MATMUL(a, b, matrices=matrices, m=m, k=k, n=n, transposed=transposed)


def outer(a: Node, b: Node, matrices: int = 1) -> Node:
    """Multiply each number of columns by each one of rows; both consist of `matrices` equal parts."""
    return _OUTER(a, b, matrices=matrices)
