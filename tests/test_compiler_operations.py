"""Every row of the table of operations: number, derivative, kinks, native form."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.activations import logsoftmax, softmax
from mygrad.operation_base import Operation
from numba import njit

import myrnn
from myrnn.compiler.derive import pull_back
from myrnn.compiler.graph import Builder, evaluate
from myrnn.compiler.leaves import Gradient, LoopState
from myrnn.compiler.ops import ANY, OPERATIONS
from myrnn.compiler.runtime import elementary
from myrnn.compiler.runtime.lanes import load, spread, store


@dataclass(frozen=True)
class Case:
    """One use of an operation: its form in MyGrad, the intervals of its inputs, sizes and attributes."""

    function: Any
    ranges: tuple[tuple[float, float], ...]
    sizes: tuple[int, ...] = (6, 6, 6)
    attributes: tuple[tuple[str, Any], ...] = ()


def indices(*where):
    return np.array(where, dtype=np.int32).tobytes()


def subclasses(kind):
    for one in kind.__subclasses__():
        yield one
        yield from subclasses(one)


CLASSES = {kind.__name__: kind for kind in subclasses(Operation) if kind.__module__.startswith("mygrad.")}


def of_mygrad(row):
    return lambda *tensors: mg.Tensor._op(CLASSES[row.mygrad], *tensors)


# Operations that MyGrad has under another name, or not as a separate operation.
FUNCTIONS = {
    "abs": mg.abs,
    "abs_nan": lambda a: mg.abs(a, nan_to_num=False),
    "cube": lambda a: a**3,
    "larger": lambda a, b: mg.stack([a + 0 * b, b + 0 * a]).max(axis=0),
    "smaller": lambda a, b: mg.stack([a + 0 * b, b + 0 * a]).min(axis=0),
    "select": lambda mask, a, b: mg.where(mask.data > 0, a, b),
    "greater": lambda a, b: a.data > b.data,
    "equal": lambda a, b: a.data == b.data,
    "sign": lambda a: np.sign(a.data),
    "floor": lambda a: np.floor(a.data),
    "rint": lambda a: np.rint(a.data),
    "stop_gradient": lambda a: np.positive(a.data),
}
AXES = (("outer", 2), ("n", 3), ("inner", 2))
CASES = {
    name: Case(FUNCTIONS[name] if name in FUNCTIONS else of_mygrad(row), row.domain)
    for name, row in OPERATIONS.items()
    if row.domain
} | {
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
    "sum": Case(lambda a: a.reshape(2, 3, 2).sum(axis=1), (ANY,), (12,), AXES),
    "softmax": Case(lambda a: softmax(a.reshape(2, 3, 2), axis=1), (ANY,), (12,), AXES),
    "log_softmax": Case(lambda a: logsoftmax(a.reshape(2, 3, 2), axis=1), (ANY,), (12,), AXES),
    "matmul": Case(
        lambda a, b: a.reshape(2, 3) @ b.reshape(3, 4),
        (ANY, ANY),
        (6, 12),
        (("matrices", 1), ("m", 2), ("k", 3), ("n", 4), ("transposed", False)),
    ),
    "outer": Case(lambda a, b: a.reshape(-1, 1) @ b.reshape(1, -1), (ANY, ANY), (3, 4), (("matrices", 1),)),
}
MORE = {
    "matmul of a row": (
        "matmul",
        Case(
            lambda a, b: a @ b.reshape(3, 4),
            (ANY, ANY),
            (3, 12),
            (("matrices", 1), ("m", 1), ("k", 3), ("n", 4), ("transposed", False)),
        ),
    ),
    "matmul of a row with a transposed matrix": (
        "matmul",
        Case(
            lambda a, b: a @ b.reshape(4, 3).T,
            (ANY, ANY),
            (3, 12),
            (("matrices", 1), ("m", 1), ("k", 3), ("n", 4), ("transposed", True)),
        ),
    ),
    "matmul with a transposed matrix": (
        "matmul",
        Case(
            lambda a, b: a.reshape(2, 3) @ b.reshape(4, 3).T,
            (ANY, ANY),
            (6, 12),
            (("matrices", 1), ("m", 2), ("k", 3), ("n", 4), ("transposed", True)),
        ),
    ),
    **{
        f"matmul of {rows} for each of two heads{how}": (
            "matmul",
            Case(
                lambda a, b, m=m, transposed=transposed: (
                    a.reshape(2, m, 3) @ (b.reshape(2, 4, 3).transpose(0, 2, 1) if transposed else b.reshape(2, 3, 4))
                ),
                (ANY, ANY),
                (6 * m, 24),
                (("matrices", 2), ("m", m), ("k", 3), ("n", 4), ("transposed", transposed)),
            ),
        )
        for m, rows in ((1, "a row"), (2, "rows"))
        for transposed, how in ((False, ""), (True, ", transposed"))
    },
    "matmul of a row and a column for each of two heads": (
        "matmul",
        Case(
            lambda a, b: a.reshape(2, 1, 3) @ b.reshape(2, 3, 1),
            (ANY, ANY),
            (6, 6),
            (("matrices", 2), ("m", 1), ("k", 3), ("n", 1), ("transposed", False)),
        ),
    ),
    "outer for each of two heads": (
        "outer",
        Case(lambda a, b: a.reshape(2, 3, 1) @ b.reshape(2, 1, 4), (ANY, ANY), (6, 8), (("matrices", 2),)),
    ),
    "softmax of one": (
        "softmax",
        Case(lambda a: softmax(a.reshape(3, 1)), (ANY,), (3,), (("outer", 3), ("n", 1), ("inner", 1))),
    ),
    "where not": ("select", Case(CASES["select"].function, ((0, 0), ANY, ANY))),
}
# A single number is combined with every element of a vector.
for _name, _case in CASES.items():
    if OPERATIONS[_name].domain and len(_case.ranges) == 2 and OPERATIONS[_name].derivative:
        MORE[f"{_name} of a single number"] = (_name, Case(_case.function, _case.ranges, (1, 6)))
        MORE[f"{_name} with a single number"] = (_name, Case(_case.function, _case.ranges, (6, 1)))
ALL = {name: (name, case) for name, case in CASES.items()} | MORE
# Small and large arguments, and one: functions are infinite at one of these, if at all.
FAR = np.concatenate([sign * 10.0 ** np.arange(-32, 33, 4) for sign in (-1, 1)])
FLAT = ("greater", "equal", "sign", "floor", "rint", "stop_gradient")
# They contain numbers that float32 rounds.
ROUNDED = ("exp2", "log2", "log10", "logaddexp2", "selu", "sinc")
SMOOTH = [name for name, (operation, _) in ALL.items() if operation not in FLAT]
NATIVE = [name for name, row in OPERATIONS.items() if row.kind in ("map", "formula")]


def drawn(case):
    rng = np.random.default_rng(0)
    return [rng.uniform(*r, size=n) for r, n in zip(case.ranges, case.sizes, strict=False)]


def built(name, values):
    """Return a builder, the node of a case on leaves, and the leaves."""
    operation, case = ALL[name]
    build = Builder(simplify=True)
    leaves = [build.leaf(LoopState(i), v.size) for i, v in enumerate(values)]
    return build, OPERATIONS[operation](*leaves, **dict(case.attributes)), leaves


def pulled_back(build, out, leaves, values, gradient):
    """Return the gradients of the leaves, by the rule and the driver, in float64."""
    grad = build.leaf(Gradient(LoopState(0)), out.size)
    terms, _ = pull_back(build, [out], [grad])
    known = {grad: gradient, **dict(zip(leaves, values, strict=True))}
    sums = []
    for leaf, value in zip(leaves, values, strict=True):
        parts = evaluate(terms.get(leaf, []), known, np.float64)
        sums.append(sum(parts, np.zeros(value.size)))
    return sums


def precision(name):
    return 5e-7 if ALL[name][0] in ROUNDED else 1e-12


def test_every_operation_is_tested():
    assert set(CASES) == set(OPERATIONS)


@pytest.mark.parametrize("name", [name for name, row in OPERATIONS.items() if row.kind == "map" and row.domain])
def test_a_bounded_operation_has_small_results_for_all_arguments_and_others_have_not(name):
    row = OPERATIONS[name]
    others = [FAR, FAR[::-1], *np.repeat(FAR[:, None], len(FAR), axis=1)]
    with np.errstate(all="ignore"):
        results = [row.reference(FAR, *([other] * (len(row.domain) - 1))) for other in others]
    assert row.bounded == (np.nanmax(np.abs(results)) < 4)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_row_of_the_table_is_complete(name):
    row = OPERATIONS[name]
    assert row.name == name and callable(row.reference) and callable(row.size)
    assert (row.kind == "map") == ("{0}" in row.code)
    if row.kind == "formula":
        assert callable(row.formula) and row.derivative is None and not row.cheap
    else:
        assert row.kind in ("map", "move", "reduce", "product") and row.formula is None and row.text
        assert (row.derivative is None) == (name in FLAT)


@pytest.mark.parametrize("name", ALL)
def test_the_reference_agrees_with_mygrad(name):
    values = drawn(ALL[name][1])
    _, node, leaves = built(name, values)
    (found,) = evaluate([node], dict(zip(leaves, values, strict=True)), np.float64)
    expected = ALL[name][1].function(*(mg.tensor(v) for v in values))
    expected = np.asarray(expected.data if isinstance(expected, mg.Tensor) else expected, dtype=float)
    assert node.size == found.size
    np.testing.assert_allclose(found, expected.reshape(-1), rtol=precision(name))
    given = [value for _, value in ALL[name][1].attributes]
    np.testing.assert_allclose(OPERATIONS[ALL[name][0]].reference(*values, *given), found, rtol=precision(name))


@pytest.mark.parametrize("name", SMOOTH)
def test_the_derivative_agrees_with_differences(name):
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
def test_the_derivative_agrees_with_mygrad(name):
    values = drawn(ALL[name][1])
    build, out, leaves = built(name, values)
    gradient = np.random.default_rng(1).normal(size=out.size)
    tensors = [mg.tensor(v) for v in values]
    result = ALL[name][1].function(*tensors)
    result.backward(gradient.reshape(result.shape))
    for found, tensor in zip(pulled_back(build, out, leaves, values, gradient), tensors, strict=True):
        expected = np.zeros(tensor.shape) if tensor.grad is None else tensor.grad
        np.testing.assert_allclose(found, expected, rtol=precision(name), atol=1e-14)


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
        ("abs_nan", ([0.0, -0.0, -2],), ([np.nan, np.nan, -1],)),
        ("selu", ([0.0, -0.0],), ([1.0507009873554805] * 2,)),
        ("sinc", ([0.0, -0.0],), ([0, 0],)),
        ("arcsin", ([1.0, -1],), ([0, 0],)),
        ("arccos", ([1.0, -1],), ([0, 0],)),
        ("arcsec", ([1.0, -1],), ([0, 0],)),
        ("arccsc", ([1.0, -1],), ([0, 0],)),
        ("arccot", ([0.0, -0.0],), ([-1, -1],)),
        ("cbrt", ([0.0],), ([np.inf],)),
    ],
)
def test_kinks_and_ties_agree_with_mygrad(name, points, gradients):
    values = [np.array(p, dtype=float) for p in points]
    build, out, leaves = built(name, values)
    tensors = [mg.tensor(v) for v in values]
    with np.errstate(all="ignore"):
        CASES[name].function(*tensors).backward()
        found = pulled_back(build, out, leaves, values, np.ones(out.size))
    for own, tensor, pinned in zip(found, tensors, gradients, strict=True):
        np.testing.assert_allclose(own, pinned, rtol=precision(name))
        np.testing.assert_allclose(tensor.grad, pinned, rtol=1e-12)


def test_no_gradient_passes_where_an_operation_is_constant():
    for name in ("greater", "equal", "sign", "floor", "rint"):
        values = drawn(CASES[name])
        build, out, leaves = built(name, values)
        for gradient in pulled_back(build, out, leaves, values, np.ones(out.size)):
            np.testing.assert_array_equal(gradient, 0)


def expression(node, inputs):
    """Return the expression that emitted code has for a node, from those of its leaves."""
    if isinstance(node.leaf, LoopState):
        return inputs[node.leaf.number]
    if node.is_constant:
        return repr(float(node.numbers[0]))
    return f"({OPERATIONS[node.operation].code.format(*(expression(i, inputs) for i in node.inputs))})"


@pytest.fixture(scope="module")
def natively():
    """Evaluate the emitted expression of every element-wise operation in one compiled function."""
    lines = ["def run(w, out):"]
    for i, name in enumerate(NATIVE):
        case = CASES[name]
        read = "spread" if name == "expand" else "load"
        inputs = [f"{read}(w, {16 * (3 * i + j)})" for j in range(len(case.ranges))]
        _, node, _ = built(name, drawn(case))
        lines.append(f"    store(out, {16 * i}, {expression(node, inputs)})")
    scope = {"load": load, "store": store, "spread": spread, **vars(elementary)}
    exec("\n".join(lines), scope)
    compiled = njit(scope["run"])
    rng = np.random.default_rng(0)
    numbers = np.zeros(16 * 3 * len(NATIVE), dtype=np.float32)
    for i, name in enumerate(NATIVE):
        for j, limits in enumerate(CASES[name].ranges):
            numbers[16 * (3 * i + j) :][:16] = rng.uniform(*limits, 16)
            # Two equal inputs, and two NaN, where that matters.
            if len(CASES[name].ranges) == 2:
                numbers[16 * (3 * i + j) :][:3] = 0.5, np.nan, -np.inf
    out = np.empty(16 * len(NATIVE), dtype=np.float32)
    compiled(numbers, out)
    return numbers.reshape(len(NATIVE), 3, 16), out.reshape(len(NATIVE), 16)


@pytest.mark.parametrize("name", NATIVE)
def test_the_emitted_expression_agrees_with_the_reference(name, natively):
    numbers, out = (part[NATIVE.index(name)] for part in natively)
    inputs = [numbers[j].astype(float) for j in range(len(CASES[name].ranges))]
    with np.errstate(all="ignore"):
        expected = np.full(16, inputs[0][0]) if name == "expand" else OPERATIONS[name].reference(*inputs)
    np.testing.assert_allclose(out, expected, rtol=2e-6, atol=1e-7)


# A row that is added to the table, and a program that uses an operation that MyGrad might have one day.
ROW = """
softsign = function(
    "softsign",
    lambda x: x / (1 + np.abs(x)),
    lambda g, y, x: g * (1.0 - absolute(y)) * (1.0 - absolute(y)),
    code="{0} / (1.0 + absolute({0}))",
)
"""
PROGRAM = """
import mygrad as mg, numpy as np
from mygrad.operation_base import Operation
import myrnn

class Softsign(Operation):
    def __call__(self, x):
        self.variables = (x,)
        return x.data / (1 + np.abs(x.data))

    def backward_var(self, grad, index, **kwargs):
        return grad / (1 + np.abs(self.variables[0].data)) ** 2

Softsign.__module__ = "mygrad.one_day"

class Model:
    def __init__(self):
        rng = np.random.default_rng(0)
        self.parameters = [mg.tensor(rng.normal(size=s).astype(np.float32)) for s in ((3, 4), (4, 4), (4, 2))]

    def __call__(self, x):
        w, u, v = self.parameters
        h = np.zeros((1, 4), dtype=np.float32)
        for x_t in x:
            h = mg.Tensor._op(Softsign, x_t[None] @ w + h @ u)
        return h @ v

# Before its first use, the program's gradients are compared with those of MyGrad.
compiled = myrnn.compile(Model())
x = np.random.default_rng(1).normal(size=(7, 3)).astype(np.float32)
np.testing.assert_allclose(compiled(x), Model()(x).data, rtol=1e-5, atol=1e-6)
print(compiled)
"""


@pytest.mark.long
def test_an_operation_is_one_row(tmp_path):
    shutil.copytree(Path(myrnn.__file__).parent, tmp_path / "myrnn")
    with (tmp_path / "myrnn" / "compiler" / "ops.py").open("a", encoding="utf-8") as table:
        table.write(ROW)
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "h = softsign(" in done.stdout
