"""Every row of the table of operations: number, derivative, kinks, native form."""

from dataclasses import dataclass
from typing import Any

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.activations import logsoftmax, relu, sigmoid, softmax
from numba import njit

from myrnn.compiler._calls import CALLS
from myrnn.compiler.derive import _propagate
from myrnn.compiler.graph import Builder, evaluate
from myrnn.compiler.ops import OPERATIONS
from myrnn.compiler.runtime import elementary
from myrnn.compiler.runtime.lanes import load, spread, store


@dataclass(frozen=True)
class Case:
    """One use of an operation: MyGrad's name for it, the ranges that inputs are drawn from, sizes and attributes."""

    function: Any
    ranges: tuple[tuple[float, float], ...]
    sizes: tuple[int, ...] = (6, 6, 6)
    attributes: tuple[tuple[str, Any], ...] = ()


def indices(*where):
    return np.array(where, dtype=np.int32).tobytes()


ANY, POSITIVE = (-2.0, 2.0), (0.3, 2.5)
CASES = {
    "add": Case(mg.add, (ANY, ANY)),
    "subtract": Case(mg.subtract, (ANY, ANY)),
    "multiply": Case(mg.multiply, (ANY, ANY)),
    "divide": Case(mg.divide, (ANY, POSITIVE)),
    "negative": Case(mg.negative, (ANY,)),
    "power": Case(mg.power, (POSITIVE, ANY)),
    "maximum": Case(mg.maximum, (ANY, ANY)),
    "minimum": Case(mg.minimum, (ANY, ANY)),
    "larger": Case(lambda a, b: mg.stack([a + 0 * b, b + 0 * a]).max(axis=0), (ANY, ANY)),
    "smaller": Case(lambda a, b: mg.stack([a + 0 * b, b + 0 * a]).min(axis=0), (ANY, ANY)),
    "select": Case(lambda mask, a, b: mg.where(mask.data > 0, a, b), ((1, 1), ANY, ANY)),
    "relu": Case(relu, (ANY,)),
    "tanh": Case(mg.tanh, (ANY,)),
    "sigmoid": Case(sigmoid, (ANY,)),
    "exp": Case(mg.exp, (ANY,)),
    "expm1": Case(mg.expm1, (ANY,)),
    "log": Case(mg.log, (POSITIVE,)),
    "log1p": Case(mg.log1p, (POSITIVE,)),
    "logaddexp": Case(mg.logaddexp, (ANY, ANY)),
    "sqrt": Case(mg.sqrt, (POSITIVE,)),
    "abs": Case(mg.abs, (ANY,)),
    "sin": Case(mg.sin, (ANY,)),
    "cos": Case(mg.cos, (ANY,)),
    "greater": Case(lambda a, b: a.data > b.data, (ANY, ANY)),
    "equal": Case(lambda a, b: a.data == b.data, (ANY, ANY)),
    "sign": Case(lambda a: np.sign(a.data), (ANY,)),
    "expand": Case(lambda a: mg.broadcast_to(a, (5,)), (ANY,), (1,), (("size", 5),)),
    "take": Case(lambda a: a[[3, 0, 3, 5]], (ANY,), (6,), (("indices", indices(3, 0, 3, 5)),)),
    "put": Case(
        lambda a: mg.einsum("i,ij->j", a, np.eye(4)[[3, 0, 3]]),
        (ANY,),
        (3,),
        (("indices", indices(3, 0, 3)), ("size", 4)),
    ),
    "join": Case(
        lambda a, b: mg.concatenate([a, b])[[0, 3, 1, 4, 2]],
        (ANY, ANY),
        (3, 2),
        (("places", (indices(0, 2, 4), indices(1, 3))),),
    ),
    "sum": Case(lambda a: a.reshape(2, 3, 2).sum(axis=1), (ANY,), (12,), (("outer", 2), ("n", 3), ("inner", 2))),
    "softmax": Case(
        lambda a: softmax(a.reshape(2, 3, 2), axis=1), (ANY,), (12,), (("outer", 2), ("n", 3), ("inner", 2))
    ),
    "log_softmax": Case(
        lambda a: logsoftmax(a.reshape(2, 3, 2), axis=1), (ANY,), (12,), (("outer", 2), ("n", 3), ("inner", 2))
    ),
    "matmul": Case(
        lambda a, b: a.reshape(2, 3) @ b.reshape(3, 4),
        (ANY, ANY),
        (6, 12),
        (("m", 2), ("k", 3), ("n", 4), ("transposed", False)),
    ),
    "outer": Case(lambda a, b: a.reshape(-1, 1) @ b.reshape(1, -1), (ANY, ANY), (3, 4)),
}
MORE = {
    "matmul of a row": (
        "matmul",
        Case(
            lambda a, b: a @ b.reshape(3, 4),
            (ANY, ANY),
            (3, 12),
            (("m", 1), ("k", 3), ("n", 4), ("transposed", False)),
        ),
    ),
    "matmul of a row with a transposed matrix": (
        "matmul",
        Case(
            lambda a, b: a @ b.reshape(4, 3).T,
            (ANY, ANY),
            (3, 12),
            (("m", 1), ("k", 3), ("n", 4), ("transposed", True)),
        ),
    ),
    "matmul with a transposed matrix": (
        "matmul",
        Case(
            lambda a, b: a.reshape(2, 3) @ b.reshape(4, 3).T,
            (ANY, ANY),
            (6, 12),
            (("m", 2), ("k", 3), ("n", 4), ("transposed", True)),
        ),
    ),
    "softmax of one": (
        "softmax",
        Case(lambda a: softmax(a.reshape(3, 1)), (ANY,), (3,), (("outer", 3), ("n", 1), ("inner", 1))),
    ),
    "where not": ("select", Case(CASES["select"].function, ((0, 0), ANY, ANY))),
}
# A single number beside a vector serves for every element.
for _name in ("add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "larger", "smaller", "logaddexp"):
    _case = CASES[_name]
    MORE[f"{_name} of a single number"] = (_name, Case(_case.function, _case.ranges, (1, 6)))
    MORE[f"{_name} with a single number"] = (_name, Case(_case.function, _case.ranges, (6, 1)))
ALL = {name: (name, case) for name, case in CASES.items()} | MORE
SMOOTH = [name for name, (operation, _) in ALL.items() if OPERATIONS[operation].derivative is not None]
NATIVE = [name for name, row in OPERATIONS.items() if row.kind == "map"]


def drawn(case):
    rng = np.random.default_rng(0)
    return [rng.uniform(*r, size=n) for r, n in zip(case.ranges, case.sizes, strict=False)]


def built(name, values):
    """Return a builder, the node of a case on leaves, and the leaves."""
    operation, case = ALL[name]
    build = Builder(simplify=True)
    leaves = [build.leaf("state", i, size=v.size) for i, v in enumerate(values)]
    return build, build.make(operation, *leaves, **dict(case.attributes)), leaves


def pulled_back(build, out, leaves, values, gradient):
    """Return the gradients of the leaves, by the rule and the driver, in float64."""
    grad = build.leaf("gradient", 0, size=out.size)
    terms = {}
    _propagate(build, out, grad, terms, {})
    known = {grad: gradient, **dict(zip(leaves, values, strict=True))}
    sums = []
    for leaf, value in zip(leaves, values, strict=True):
        parts = evaluate(terms.get(leaf, []), known, np.float64)
        sums.append(sum(parts, np.zeros(value.size)))
    return sums


def test_every_operation_is_tested():
    assert set(CASES) == set(OPERATIONS)


def test_every_operation_is_an_expression_or_a_call():
    assert set(CALLS) == {name for name, row in OPERATIONS.items() if row.kind != "map"}


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_row_of_the_table_is_complete(name):
    row = OPERATIONS[name]
    assert callable(row.reference) and callable(row.size)
    assert (row.derivative is None) == (name in ("greater", "equal", "sign"))
    if row.kind == "map":
        assert "{0}" in row.emitted
    else:
        assert row.kind in ("move", "reduce", "product") and row.emitted == ""


@pytest.mark.parametrize("name", ALL)
def test_reference_is_mygrads(name):
    values = drawn(ALL[name][1])
    _, node, leaves = built(name, values)
    (found,) = evaluate([node], dict(zip(leaves, values, strict=True)), np.float64)
    expected = ALL[name][1].function(*(mg.tensor(v) for v in values))
    expected = np.asarray(expected.data if isinstance(expected, mg.Tensor) else expected, dtype=float)
    assert node.size == found.size
    np.testing.assert_allclose(found, expected.reshape(-1), rtol=1e-12)


@pytest.mark.parametrize("name", SMOOTH)
def test_derivative_is_the_slope(name):
    values = drawn(ALL[name][1])
    build, out, leaves = built(name, values)
    gradient = np.random.default_rng(1).normal(size=out.size)
    found = pulled_back(build, out, leaves, values, gradient)

    def loss(inputs):
        (result,) = evaluate([out], dict(zip(leaves, inputs, strict=True)), np.float64)
        return result @ gradient

    for i, value in enumerate(values):
        if ALL[name][0] == "select" and i == 0:
            continue
        slopes = np.empty(value.size)
        for j in range(value.size):
            step = np.zeros(value.size)
            step[j] = 1e-6
            sides = [loss([v + sign * step if k == i else v for k, v in enumerate(values)]) for sign in (1, -1)]
            slopes[j] = (sides[0] - sides[1]) / 2e-6
        np.testing.assert_allclose(found[i], slopes, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", SMOOTH)
def test_derivative_is_mygrads(name):
    values = drawn(ALL[name][1])
    build, out, leaves = built(name, values)
    gradient = np.random.default_rng(1).normal(size=out.size)
    tensors = [mg.tensor(v) for v in values]
    result = ALL[name][1].function(*tensors)
    result.backward(gradient.reshape(result.shape))
    for found, tensor in zip(pulled_back(build, out, leaves, values, gradient), tensors, strict=True):
        expected = np.zeros(tensor.shape) if tensor.grad is None else tensor.grad
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("name", "points", "gradients"),
    [
        ("maximum", ([1.0, -2, 0], [1, -2, 0]), ([0, 0, 0], [0, 0, 0])),
        ("minimum", ([1.0, -2, 0], [1, -2, 0]), ([0, 0, 0], [0, 0, 0])),
        ("larger", ([1.0, -2, 0], [1, -2, 0]), ([1, 1, 1], [0, 0, 0])),
        ("smaller", ([1.0, -2, 0], [1, -2, 0]), ([1, 1, 1], [0, 0, 0])),
        ("abs", ([0.0, -0.0],), ([0, 0],)),
        ("relu", ([0.0, -0.0],), ([0, 0],)),
        ("power", ([2.0, 0, -3], [0, 0, 0]), ([0, 0, 0], [np.log(2), 0, np.nan])),
        ("power", ([0.0, 0, -2], [1, 2, 2]), ([1, 0, -4], [0, 0, np.nan])),
        ("logaddexp", ([1.0, 700], [1, 700]), ([0.5, 0.5], [0.5, 0.5])),
    ],
)
def test_kinks_and_ties_are_mygrads(name, points, gradients):
    values = [np.array(p, dtype=float) for p in points]
    build, out, leaves = built(name, values)
    tensors = [mg.tensor(v) for v in values]
    with np.errstate(all="ignore"):
        CASES[name].function(*tensors).backward()
        found = pulled_back(build, out, leaves, values, np.ones(out.size))
    for own, tensor, pinned in zip(found, tensors, gradients, strict=True):
        np.testing.assert_allclose(own, pinned, rtol=1e-12)
        np.testing.assert_allclose(tensor.grad, pinned, rtol=1e-12)


def test_nothing_passes_where_an_operation_is_constant():
    for name in ("greater", "equal", "sign"):
        values = drawn(CASES[name])
        build, out, leaves = built(name, values)
        for gradient in pulled_back(build, out, leaves, values, np.ones(out.size)):
            np.testing.assert_array_equal(gradient, 0)


@pytest.fixture(scope="module")
def natively():
    """Compute every element-wise operation by its emitted expression, in one compiled function."""
    lines = ["def run(w, out):"]
    for i, name in enumerate(NATIVE):
        case = CASES[name]
        read = "spread" if name == "expand" else "load"
        inputs = [f"{read}(w, {16 * (3 * i + j)})" for j in range(len(case.ranges))]
        lines.append(f"    store(out, {16 * i}, {OPERATIONS[name].emitted.format(*inputs)})")
    scope = {"load": load, "store": store, "spread": spread, **vars(elementary)}
    exec("\n".join(lines), scope)
    compiled = njit(scope["run"])
    rng = np.random.default_rng(0)
    numbers = np.zeros(16 * 3 * len(NATIVE), dtype=np.float32)
    for i, name in enumerate(NATIVE):
        for j, limits in enumerate(CASES[name].ranges):
            numbers[16 * (3 * i + j) :][:16] = rng.uniform(*limits, 16)
            # Two inputs that are equal, where that matters.
            numbers[16 * (3 * i + j)] = 0.5
    out = np.empty(16 * len(NATIVE), dtype=np.float32)
    compiled(numbers, out)
    return numbers.reshape(len(NATIVE), 3, 16), out.reshape(len(NATIVE), 16)


@pytest.mark.parametrize("name", NATIVE)
def test_the_emitted_expression_is_the_reference(name, natively):
    numbers, out = (part[NATIVE.index(name)] for part in natively)
    inputs = [numbers[j].astype(float) for j in range(len(CASES[name].ranges))]
    if name == "expand":
        expected = np.full(16, inputs[0][0])
    else:
        expected = OPERATIONS[name].reference(inputs, ())
    np.testing.assert_allclose(out, expected, rtol=2e-6, atol=1e-7)
