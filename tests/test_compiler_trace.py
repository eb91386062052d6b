"""Tracing: every MyGrad operation with a rule gives MyGrad's numbers, and every other one is refused."""

import gc
import importlib
import pkgutil
import sys

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.activations import elu, glu, hard_tanh, leaky_relu, logsoftmax, relu, sigmoid, soft_sign, softmax
from mygrad.nnet.layers import batchnorm, conv_nd, gru, max_pool
from mygrad.nnet.losses import focal_loss, margin_ranking_loss, multiclass_hinge, softmax_crossentropy
from mygrad.operation_base import Operation

from myrnn import RNN, dropout
from myrnn.compiler import compile
from myrnn.compiler.derive import pull_back
from myrnn.compiler.graph import Builder, check, evaluate, inputs_first, topological
from myrnn.compiler.leaves import Gradient, LoopState, Parameter, Row
from myrnn.compiler.lower import INSTEAD, RULES
from myrnn.compiler.mygrad_graph import variables_of
from myrnn.compiler.ops import OPERATIONS
from myrnn.compiler.record import Origin
from myrnn.compiler.recorder import recorded
from myrnn.compiler.trace import trace_once
from myrnn.errors import CompileError, InvalidArgument, UnsupportedOperation

pytestmark = pytest.mark.usefixtures("gru_in_python")

ROWS, COLUMNS = 4, 3


class Model:
    """A function of one tensor as a model: of the sequence, or of a parameter of the same shape."""

    def __init__(self, function, of):
        self.function, self.of = function, of
        rng = np.random.default_rng(1)
        self.w = mg.tensor(rng.uniform(0.3, 0.9, size=(ROWS, COLUMNS)).astype(np.float32))
        self.parameters = (self.w,)

    def __call__(self, x):
        return self.function(self.w if self.of == "parameter" else x).reshape(1, -1)


def traced(model):
    build = Builder()
    x = np.random.default_rng(0).uniform(0.3, 0.9, size=(ROWS, COLUMNS)).astype(np.float32)
    return trace_once(model, model.parameters, x, build), x


def numbers(trace, model, x):
    """Return the numbers that a trace gives with NumPy."""
    order = topological([trace.output])
    check(order, [Row, Parameter])
    known = {n: x[n.leaf.step] for n in order if isinstance(n.leaf, Row)}
    known |= {n: model.parameters[n.leaf.number].data.reshape(-1) for n in order if isinstance(n.leaf, Parameter)}
    return evaluate([trace.output], known, np.float64)[0]


def of_row(row):
    """Return a MyGrad function of a tensor between 0 and 1, and of its first row if it takes two arguments."""
    kind = CLASSES[row.mygrad]

    def function(a):
        tensors = (a, a[0])[: len(row.domain)]
        return mg.Tensor._op(
            kind, *(low + (high - low) * t for t, (low, high) in zip(tensors, row.domain, strict=True))
        )

    return function


def subclasses(kind):
    for one in kind.__subclasses__():
        yield one
        yield from subclasses(one)


CLASSES = {kind.__name__: kind for kind in subclasses(Operation) if kind.__module__.startswith("mygrad.")}
MASK = np.array([[True, False, True]])
MATRIX = np.arange(6, dtype=np.float32).reshape(3, 2) / 4
FILTERS = np.arange(12, dtype=np.float32).reshape(2, 3, 2) / 12
CASES = {
    **{row.mygrad: of_row(row) for row in OPERATIONS.values() if row.mygrad},
    "Abs": lambda a: mg.abs(a - 0.5),
    "ELU": lambda a: elu(a - 0.5, 0.7),
    "AddSequence": lambda a: mg.add_sequence(a, a[0], a),
    "MultiplySequence": lambda a: mg.multiply_sequence(a, a[0], a),
    "Where": lambda a: mg.where(MASK, a, -a),
    "Reshape": lambda a: a.reshape(2, 6) * np.arange(6),
    "Squeeze": lambda a: mg.squeeze(a[:, :1]) * np.arange(4),
    "Flatten": lambda a: a.flatten() * np.arange(12),
    "Ravel": lambda a: mg.ravel(a) * np.arange(12),
    "ExpandDims": lambda a: mg.expand_dims(a, 1) * np.arange(12).reshape(4, 1, 3),
    "AtLeast1D": lambda a: mg.atleast_1d(a[0, 0]) * a,
    "AtLeast2D": lambda a: mg.atleast_2d(a[1]) * a,
    "AtLeast3D": lambda a: mg.atleast_3d(a) * np.arange(2),
    "BroadcastTo": lambda a: mg.broadcast_to(a[0], (2, 3)) * np.arange(6).reshape(2, 3),
    "Transpose": lambda a: mg.transpose(a) * np.arange(12).reshape(3, 4),
    "Tensor_Transpose_Property": lambda a: a.T * np.arange(12).reshape(3, 4),
    "MoveAxis": lambda a: mg.moveaxis(a.reshape(2, 2, 3), 0, 2) * np.arange(12).reshape(2, 3, 2),
    "SwapAxes": lambda a: mg.swapaxes(a, 0, 1) * np.arange(12).reshape(3, 4),
    "Roll": lambda a: mg.roll(a, 1, axis=1) * np.arange(3),
    "Repeat": lambda a: mg.repeat(a, 2, axis=1) * np.arange(6),
    "GetItem": lambda a: a[1:, [2, 0]] * np.arange(2),
    "Concatenate": lambda a: mg.concatenate([a, a[:, :2]], axis=1) * np.arange(5),
    "Stack": lambda a: mg.stack([a[0], a[2]], axis=1) * np.arange(6).reshape(3, 2),
    "Sum": lambda a: a.sum(axis=1),
    "Max": lambda a: a.max(axis=1),
    "Min": lambda a: a.min(axis=0),
    "Mean": lambda a: mg.mean(a, axis=0),
    "Variance": lambda a: mg.var(a, axis=1, ddof=1),
    "StdDev": lambda a: mg.std(a, axis=0),
    "Softmax": lambda a: softmax(a, axis=1),
    "LogSoftmax": lambda a: logsoftmax(a, axis=0),
    "MatMul": lambda a: a @ MATRIX,
    "Prod": lambda a: mg.prod(a, axis=1),
    "CumProd": lambda a: mg.cumprod(a, axis=1),
    "CumSum": lambda a: mg.cumsum(a, axis=1),
    "EinSum": lambda a: mg.einsum("ij,jk", a, MATRIX),
    "Norm": lambda a: mg.linalg.norm(a, axis=1),
    "GRUnit": lambda a: with_gru(a[:, np.newaxis]),
    "ConvND": lambda a: conv_nd(a.T[np.newaxis], FILTERS, stride=1, padding=1) * np.arange(10).reshape(1, 2, 5),
    "MaxPoolND": lambda a: max_pool(a.T, pool=(2,), stride=1) * np.arange(9).reshape(3, 3),
    "SetItem": lambda a: written(a * 1, 0, 0),
    "UnView": lambda a: through_a_view(a * 1, a[1]),
}
MORE = {
    "leaky relu": lambda a: leaky_relu(a - 0.5, 0.1),
    "hard tanh": lambda a: hard_tanh(3 * (a - 0.5)),
    "soft sign": lambda a: soft_sign(a - 0.5),
    "max with its axis kept": lambda a: a.max(axis=1, keepdims=True) * a,
    "min of all": lambda a: a.min() * a,
    "min of two columns": lambda a: a[:, :2].min(axis=1),
    "max over two of three axes": lambda a: a.reshape(2, 2, 3).max(axis=(0, 2)),
    "max of those that are not negative": lambda a: relu(a - 0.5).max(axis=1),
    "max of equal ones": lambda a: mg.concatenate([a, a], axis=1).max(axis=1) + mg.minimum(a, -1).min(axis=0).sum(),
    "the third power": lambda a: a**3,
    "the fourth power": lambda a: a**4,
    "clip": lambda a: mg.clip(a, 0.4, 0.6),
    "sum of all": lambda a: a.sum(),
    "sum over both axes": lambda a: mg.sum(a, axis=(0, 1)),
    "sum over the first of three axes": lambda a: a.reshape(2, 2, 3).sum(axis=(0, 2)),
    "mean with its axis kept": lambda a: a - a.mean(axis=1, keepdims=True),
    "variance of all": lambda a: mg.var(a),
    "deviation over features": lambda a: mg.std(a, axis=1, keepdims=True) * a,
    "softmax of a number": lambda a: softmax(a.sum()) * a,
    "softmax of all": lambda a: softmax(a, axis=None),
    "softmax of a row": lambda a: softmax(a[1]),
    "softmax of one": lambda a: softmax(a[:, :1], axis=1),
    "softmax over two axes": lambda a: softmax(a, axis=(0, 1)),
    "stack of rows": lambda a: mg.stack([a[0], a[2]]) * np.arange(6).reshape(2, 3),
    "joined along the first axis": lambda a: mg.concatenate([a[2:], a[:1]]) * np.arange(9).reshape(3, 3),
    "joined flat": lambda a: mg.concatenate([a, a[0]], axis=None) * np.arange(15),
    "joined rows, side by side": lambda a: mg.concatenate([a, 2 * a], axis=1) * np.arange(6),
    "a negative index": lambda a: a[-1] * np.arange(3),
    "a new axis": lambda a: a[:, np.newaxis] * np.arange(3)[:, np.newaxis],
    "every second row": lambda a: a[::2] * np.arange(3),
    "backwards": lambda a: a[::-1] * np.arange(12).reshape(4, 3),
    "rows in another order": lambda a: a[[3, 0, 0]] * np.arange(9).reshape(3, 3),
    "a mask of rows": lambda a: a[np.array([True, False, True, True])] * np.arange(9).reshape(3, 3),
    "one element": lambda a: a[2, 1],
    "vector by matrix": lambda a: a[1] @ MATRIX,
    "matrix by vector": lambda a: a @ a[1],
    "vector by vector": lambda a: a[0] @ a[1],
    "column by row": lambda a: a[:, :1] @ a[:1],
    "row by column": lambda a: a[:1] @ a[1:2].T,
    "matrix by column": lambda a: MATRIX.T @ a[0][:, np.newaxis],
    "by a transposed matrix": lambda a: a @ MATRIX.T.copy().T,
    "matrix by its transpose": lambda a: a @ a.T,
    "transposed matrix by matrix": lambda a: a.T @ a,
    "transposed matrix by vector": lambda a: a.T @ a[:, 0],
    "leading axes of one": lambda a: a.reshape(1, 4, 3) @ MATRIX.reshape(1, 3, 2),
    "transposed by name": lambda a: mg.transpose(a, 1, 0) @ np.ones((4, 2)),
    "moved three ways": lambda a: a.reshape(2, 2, 3).transpose(2, 0, 1) * np.arange(12).reshape(3, 2, 2),
    "rolled rows": lambda a: mg.roll(a, -1, axis=0) * np.arange(12).reshape(4, 3),
    "rolled flat": lambda a: mg.roll(a, 2) * np.arange(12).reshape(4, 3),
    "rows repeated": lambda a: mg.repeat(a, 2, axis=0) * np.arange(24).reshape(8, 3),
    "a constant of many numbers": lambda a: a + np.arange(3),
    "a column of equal numbers": lambda a: np.full((4, 1), 0.5) * a,
    "an array on the left": lambda a: np.arange(3, dtype=np.float32) - a,
    "a column against a row": lambda a: a[:, :1] + a[0],
    "a single row against all": lambda a: a[:1] * a,
    "rows against a cube": lambda a: a * np.arange(24).reshape(2, 4, 3),
    "in place": lambda a: in_place(a),
    "a stack by a matrix": lambda a: a.reshape(4, 1, 3) @ MATRIX,
    "a stack by a stack": lambda a: a.reshape(2, 2, 3) @ np.stack([MATRIX, MATRIX + 1]),
    "a matrix by a stack": lambda a: MATRIX.T @ a.reshape(2, 1, 2, 3).transpose(0, 1, 3, 2),
    "a vector by a stack": lambda a: a[0] @ np.stack([MATRIX, MATRIX + 1]),
    "rows by a stack": lambda a: a @ np.stack([MATRIX, MATRIX + 1]),
    "pieces of a row": lambda a: a[1:2].reshape(-1) @ MATRIX,
    "product of all": lambda a: mg.prod(a),
    "product over rows": lambda a: mg.prod(a, axis=0),
    "running sum over rows": lambda a: mg.cumsum(a, axis=0),
    "running sum of all": lambda a: mg.cumsum(a),
    "running product over rows": lambda a: mg.cumprod(a, axis=-2),
    "norm of order 1": lambda a: mg.linalg.norm(a - 0.5, ord=1, axis=0),
    "norm of order 3": lambda a: mg.linalg.norm(a - 0.5, ord=3, axis=1, keepdims=True),
    "largest norm": lambda a: mg.linalg.norm(a - 0.5, ord=np.inf, axis=1),
    "norm of all": lambda a: mg.linalg.norm(a),
    "abs that is upright at zero": lambda a: mg.abs(a - 0.5, nan_to_num=False),
    "several products": lambda a: mg.multi_matmul([a, MATRIX, MATRIX.T]),
    "glu": lambda a: glu(mg.concatenate([a, a - 0.5], axis=1)),
    "stack of all rows": lambda a: mg.stack([a, 2 * a], axis=1) * np.arange(24).reshape(4, 2, 3),
    "an einsum of rows and a vector": lambda a: mg.einsum("ij,j->i", a, a[1]),
    "an einsum with a diagonal": lambda a: mg.einsum("ii->i", a[1:]),
    "an einsum that is a trace": lambda a: mg.einsum("ii", a[1:]),
    "an einsum that transposes": lambda a: mg.einsum("ij->ji", a) * np.arange(12).reshape(3, 4),
    "an einsum of three": lambda a: mg.einsum("ij,kj,k->i", a, a, a[:, 0]),
    "an einsum element by element": lambda a: mg.einsum("ij,ij->ij", a, a),
    "an einsum of stacks": lambda a: mg.einsum("hd,hde->he", a, np.arange(24).reshape(4, 3, 2) / 8),
    "an einsum that sums first": lambda a: mg.einsum("ij,kl->k", a, MATRIX),
    "an einsum of outer products": lambda a: mg.einsum("i,j->ji", a[0], a[:, 1]),
    "an einsum over rows": lambda a: mg.einsum("tj,tj->j", a, a),
    "an einsum with dots": lambda a: mg.einsum("...j,jk->...k", a, MATRIX),
    "an einsum with an axis of one": lambda a: mg.einsum("ij,ij->ij", a, a[:, :1]),
    "an einsum written as sums": lambda a: (a.reshape(4, 3, 1) * MATRIX).sum(axis=1),
    "a row is written": lambda a: written(a * 1, 2, 3 * a[0]),
    "a column is written": lambda a: written(a * 1, (slice(None), 1), a[:, 0] ** 2),
    "a block is written": lambda a: written(a * 1, (slice(1, 3), slice(None, None, 2)), a[:2, :2]),
    "all is written": lambda a: written(a * 1, Ellipsis, a[::-1]),
    "rows are written by a mask": lambda a: written(a * 1, np.array([True, False, True, False]), a[0]),
    "elements are written by a mask": lambda a: written(a * 1, np.arange(12).reshape(4, 3) % 5 == 0, 2 * a[0, 0]),
    "a row is written twice at once": lambda a: written(a * 1, [1, 1, 2], a[:3] * np.arange(9).reshape(3, 3)),
    "one number is written everywhere": lambda a: written(a * 1, slice(1, None), a[2, 2]),
    "a row with more axes is written": lambda a: written(a * 1, 0, a[1:2]),
    "a buffer of rows": lambda a: filled(mg.zeros((5, 3)), a, lambda t: t + 1),
    "a buffer of rows, the last one first": lambda a: filled(mg.ones((5, 3)), a, lambda t: -t - 1),
    "a buffer of columns": lambda a: filled(mg.zeros((3, 6)), a, lambda t: (slice(None), t + 1)),
    "a buffer of layers and steps": lambda a: filled(mg.zeros((2, 4, 3)), a, lambda t: (t % 2, t)),
    "a buffer of single numbers": lambda a: filled(mg.zeros(4), a[:, 1], lambda t: t),
    "the mean of a buffer": lambda a: filled(mg.zeros((4, 3)), a, lambda t: t).mean(axis=0),
    "rows that a buffer never had": lambda a: filled(mg.ones((6, 3)), a, lambda t: t + 1) * a[0],
    "a buffer that is added to": lambda a: added_to(mg.zeros((4, 3)), a),
    "a view of a view is written": lambda a: beside_a_view(a * 1, lambda b: b.reshape(2, 2, 3)[1], a[0]),
    "a transposed view is written": lambda a: beside_a_view(a * 1, lambda b: b.T, a[:, 0]),
    "a view of a tensor that is written": lambda a: views_after(a * 1, a[3]),
    "a view that is read before and after": lambda a: read_before(a * 1),
    "a GRU with a first state": lambda a: with_gru(a[:, np.newaxis], s0=np.ones((1, 2), np.float32)),
    "a GRU of a batch": lambda a: with_gru(a.reshape(2, 2, 3), s0=mg.tensor(np.ones((2, 2)), constant=True)),
    "a GRU whose weights are computed": lambda a: gru(
        mg.ones((3, 1, 2)), *(t for part in (a[:2], a[1:3], 2 * a[:2]) for t in (part[:, :2], part[:, 1:], part[0, :2]))
    ),
    "a convolution with steps": lambda a: conv_nd(a.T[np.newaxis], FILTERS, stride=2) * np.arange(4).reshape(1, 2, 2),
    "a convolution with gaps": lambda a: conv_nd(a.reshape(1, 1, 12), a[:1].reshape(1, 1, 3), stride=1, dilation=3),
    "a convolution of pictures": lambda a: conv_nd(
        a.reshape(1, 1, 4, 3), a[1:3, 1:].reshape(1, 1, 2, 2), stride=(2, 1), padding=(0, 1)
    ),
    "a convolution of channels and pictures": lambda a: conv_nd(
        mg.stack([a, 2 * a])[np.newaxis],
        a[1:].reshape(1, 1, 3, 3) * np.arange(1, 5).reshape(2, 2, 1, 1),
        stride=1,
        padding=1,
    ),
    "the largest of windows over time": lambda a: max_pool(a.T[np.newaxis], pool=(2,), stride=2),
    "the largest of windows that overlap": lambda a: max_pool(a * np.arange(3), pool=(3, 2), stride=1),
    "the largest of equal ones in a window": lambda a: max_pool(relu(a - 0.6), pool=(2, 3), stride=(2, 1)),
    "windows of rows": lambda a: a[np.arange(3)[:, None] + np.arange(2)] * np.arange(18).reshape(3, 2, 3),
    "windows of rows side by side": lambda a: a[np.arange(3)[:, None] + np.arange(2)].reshape(3, 6) * np.arange(6),
    "windows of columns": lambda a: a.T[:, np.arange(2)[:, None] + np.arange(3)] * np.arange(18).reshape(3, 2, 3),
    "pairs of rows": lambda a: a.reshape(2, 6) * np.arange(12).reshape(2, 6),
    "some of two rows": lambda a: a[[1, 3], [0, 2]] * np.arange(2),
    "numbers chosen that are integers": lambda a: mg.where(np.arange(3) > 1, 1, -1) * a,
    "in place on a tensor with a view": lambda a: with_a_view(a * 1),
}


def in_place(a):
    b = a * 2
    b += 1
    return b


def with_gru(rows, **options):
    return gru(rows, *([np.full((3, 2), 0.5), np.arange(4).reshape(2, 2) / 4, np.ones(2)] * 3), **options) * np.arange(
        2
    )


def written(b, index, new):
    b[index] = new
    return b * np.arange(b.size).reshape(b.shape)


def filled(buffer, rows, place):
    before = 0
    for t, row in enumerate(rows):
        buffer[place(t)] = row + 0.5 * before
        before = buffer[place(t)]
    return buffer * np.arange(buffer.size).reshape(buffer.shape)


def added_to(buffer, rows):
    for t, row in enumerate(rows):
        buffer[t] += row
        buffer[0] *= 2
    return buffer * np.arange(12).reshape(4, 3)


def through_a_view(b, row):
    view = b[1]
    view *= row
    view += 1
    return b * 3


def beside_a_view(b, view_of, row):
    view = through_a_view(view_of(b), row)
    return mg.concatenate([view.reshape(-1), 2 * b.reshape(-1)])


def views_after(b, row):
    top, corner = b[:2], b[0, :2]
    b[0] = row
    return mg.concatenate([top.reshape(-1), corner]) * np.arange(8)


def read_before(b):
    view = b[1]
    before = 2 * view
    b[1, 0] = 5
    return mg.concatenate([before, view, b[0]]) * np.arange(9)


def with_a_view(b):
    view, other = b[0], b[:, 1]
    for _ in range(20):
        b *= 0.9
        other += 0.1
    return view * np.arange(3) + other.sum()


def names_below(output):
    """Return the names of the operations in MyGrad's graph."""
    return {type(t.creator).__name__ for t in inputs_first([output], variables_of) if t.creator is not None}


def test_every_rule_is_tested():
    assert set(CASES) == set(RULES)


@pytest.mark.parametrize("of", ["parameter", "sequence"])
@pytest.mark.parametrize("name", [*CASES, *MORE])
def test_a_rule_gives_mygrads_numbers(name, of):
    model = Model({**CASES, **MORE}[name], of)
    trace, x = traced(model)
    output = model(mg.tensor(x))
    assert name in MORE or name in names_below(output)
    assert trace.length == ROWS and trace.output.size == output.size
    np.testing.assert_allclose(numbers(trace, model, x), output.data.reshape(-1), rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("of", ["parameter", "sequence"])
@pytest.mark.parametrize("name", [*CASES, *MORE])
def test_a_rule_gives_mygrads_gradients(name, of):
    model = Model({**CASES, **MORE}[name], of)
    trace, x = traced(model)
    build, size = trace.output.build, trace.output.size
    values = (model.w.data if of == "parameter" else x).astype(float)
    leaves = [build.leaf(Parameter(0), values.size)]
    if of == "sequence":
        leaves = [build.leaf(Row(t), COLUMNS) for t in range(ROWS)]
    gradient, coming = np.random.default_rng(2).normal(size=size), build.leaf(Gradient(LoopState(0)), size)
    terms, _ = pull_back(build, [trace.output], [coming])
    known = {coming: gradient, **dict(zip(leaves, values.reshape(len(leaves), -1), strict=True))}
    found = [sum(evaluate(terms.get(leaf, []), known, np.float64), np.zeros(leaf.size)) for leaf in leaves]
    tensor = mg.tensor(values)
    model.function(tensor).reshape(-1).backward(gradient)
    np.testing.assert_allclose(np.concatenate(found), tensor.grad.reshape(-1), rtol=1e-5, atol=1e-6)


def test_every_operation_equals_itself_when_it_is_noted_again():
    x = np.random.default_rng(0).uniform(0.3, 0.9, size=(ROWS, COLUMNS)).astype(np.float32)
    changed = []
    for name, function in {**CASES, **MORE}.items():
        model = Model(lambda x, function=function: function(x), "sequence")
        notes = []
        for _ in range(2):
            notes.append(recorded(model, mg.tensor(x), work=True, parameters=model.parameters).work)
        changed += [name] if notes[0] != notes[1] or not notes[0] else []
    assert not changed


def test_a_row_in_another_shape_is_one_value():
    trace, _ = traced(Model(MORE["pieces of a row"], "sequence"))
    assert [node.operation for node in topological([trace.output]) if node.inputs] == ["matmul"]


REFUSED = {
    "BatchNorm": lambda a: batchnorm(a, eps=1e-5),
    "FocalLoss": lambda a: focal_loss(softmax(a), np.array([0, 1, 2, 0])).reshape(-1, 1) * np.ones(2),
    "MarginRanking": lambda a: margin_ranking_loss(a[:2], a[2:], 1, margin=0.5) * np.ones(2),
    "MulticlassHinge": lambda a: multiclass_hinge(a, np.array([0, 1, 2, 0])).reshape(-1, 1) * np.ones(2),
    "SoftmaxCrossEntropy": lambda a: softmax_crossentropy(a, np.array([0, 1, 2, 0])).reshape(-1, 1) * np.ones(2),
}


def all_operations():
    """Return the names of all of MyGrad's operations that a graph can hold."""
    for module in pkgutil.walk_packages(mg.__path__, "mygrad."):
        importlib.import_module(module.name)
    waiting, names = [Operation], set()
    while waiting:
        kinds = waiting.pop().__subclasses__()
        waiting += kinds
        names |= {k.__name__ for k in kinds if k.__module__.startswith("mygrad.")}
    bases = {"Ufunc", "UnaryUfunc", "BinaryUfunc", "Sequential", "MaxMin", "_MaxMin", "_PreservesOrder", "_AtLeastKD"}
    # MyGrad adds it to an operation with a where= mask, which is refused.
    return names - bases - {"ApplyMask"}


def test_every_operation_of_mygrad_has_a_rule_or_is_refused_here():
    assert all_operations() == set(RULES) | set(REFUSED)
    assert set(INSTEAD) == set(REFUSED)


@pytest.mark.parametrize("name", REFUSED)
def test_an_operation_without_a_rule_is_refused_by_name(name):
    function = REFUSED[name]
    model = Model(function, "parameter")
    with pytest.raises(UnsupportedOperation) as caught:
        traced(model)
    first, line, advice = str(caught.value).split("\n")
    assert first == f"the compiler has no rule for MyGrad's {name}."
    assert line.startswith("  test_compiler_trace.py:")
    assert advice == f'  {INSTEAD[name]}, or train with engine="mygrad".'


def test_the_line_of_the_refused_operation_is_shown():
    def readout(a):
        b = a + 1
        return batchnorm(b, eps=1e-5)

    with pytest.raises(UnsupportedOperation, match=r"test_compiler_trace.py:\d+   return batchnorm\(b, eps=1e-5\)\n"):
        traced(Model(readout, "sequence"))


def test_a_where_mask_is_refused():
    with pytest.raises(UnsupportedOperation, match="MyGrad's Add with a where= mask"):
        traced(Model(lambda a: mg.add(a, 1, where=MASK), "parameter"))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda a: mg.linalg.norm(a, axis=1, nan_to_num=False), "a norm with nan_to_num=False"),
        (lambda a: softmax(a.reshape(2, 2, 3), axis=(0, 1)), "a softmax over several of the axes"),
        (lambda a: with_gru(a[:, np.newaxis], bp_lim=1), "a GRU with dropout, or with bp_lim,"),
        (lambda a: with_gru(a[:, np.newaxis], dropout=0.5), "a GRU with dropout, or with bp_lim,"),
    ],
)
def test_a_case_that_a_rule_does_not_support_is_refused_with_the_line(function, message):
    with pytest.raises(UnsupportedOperation, match=rf"{message}.*has no rule\n  test_compiler_trace.py:\d+"):
        traced(Model(function, "parameter"))


def test_only_tensors_and_one_row_of_logits_are_results():
    class Wrong(Model):
        def __call__(self, x):
            return self.function(x)

    w = mg.tensor(np.ones((3, 2), np.float32))
    for array in (lambda x: np.zeros((1, 3)), lambda x: (x[:1] @ w).data):
        wrong = Wrong(array, "sequence")
        wrong.parameters = (w,)
        with pytest.raises(CompileError, match="must return a MyGrad tensor, but returned ndarray"):
            traced(wrong)
    with pytest.raises(InvalidArgument, match=r"a sequence of 4 steps it returned shape \(3, 3\)"):
        traced(Wrong(lambda x: x[1:] + 1, "sequence"))
    with pytest.raises(
        CompileError, match=r"the model fails on a sequence of shape \(4, 3\): \w+: no such thing, in .*\.py:\d+: "
    ):
        traced(Wrong(fails, "sequence"))


def fails(x):
    raise ValueError("no such thing")


def test_an_operation_on_the_whole_sequence_is_one_on_each_row():
    class Both(Model):
        def __call__(self, x):
            whole = mg.tanh(x @ MATRIX)[1:2]
            one = mg.tanh(x[1:2] @ MATRIX)
            return whole - one + 0 * self.w[:1, :2]

    trace, _ = traced(Both(None, "sequence"))
    (difference,) = [n for n in topological([trace.output]) if n.operation == "subtract"]
    assert difference.inputs[0] is difference.inputs[1]


def test_nodes_know_the_users_lines_and_names():
    def cell(a):
        gate = sigmoid(a[0])
        return gate * a[1]

    trace, _ = traced(Model(cell, "sequence"))
    origin = next(origin for node, origin in trace.origins.items() if node.operation == "sigmoid")
    assert origin.name == "gate" and origin.file.endswith("test_compiler_trace.py")
    assert str(origin).endswith("gate = sigmoid(a[0])")
    assert str(Origin()) == "(a value of unknown origin)"


def test_tracing_does_not_change_the_profiler_or_tensors():
    def fails(x):
        raise ValueError(x + 1)

    calls, before, attributes = [], sys.getprofile(), set(vars(mg.Tensor))
    sys.setprofile(lambda *event: calls.append(event))
    try:
        assert recorded(lambda x: x + 1, mg.tensor([1.0]), origins=True).result.shape == (1,)
        with pytest.raises(ValueError):
            recorded(fails, mg.tensor([1.0]), origins=True)
        assert calls and sys.getprofile() is not before
    finally:
        sys.setprofile(before)
    assert set(vars(mg.Tensor)) == attributes


def test_a_graph_that_is_still_alive_keeps_its_lock_on_the_parameters():
    model = RNN(10, 4, 2, rng=0)
    before = [parameter.data.tobytes() for parameter in model.parameters]
    alive = model(np.eye(10, dtype=np.float32)[:3])  # MyGrad locks the arrays in a graph
    locked = [parameter.data.flags.writeable for parameter in model.parameters]
    assert not any(locked)
    compile(model)
    assert [parameter.data.flags.writeable for parameter in model.parameters] == locked
    assert [parameter.data.tobytes() for parameter in model.parameters] == before
    assert alive.shape == (1, 2)


class DropsItsState(RNN):
    def __call__(self, x):
        return dropout(super().__call__(x), 0.5)


def test_a_trace_lets_go_of_the_graph_at_once():
    model, x = DropsItsState(10, 4, 2, rng=0), np.eye(10, dtype=np.float32)[:3]
    gc.disable()
    try:
        trace_once(model, model.parameters, x, Builder())
        assert all(parameter.data.flags.writeable for parameter in model.parameters)
    finally:
        gc.enable()


def test_a_recorded_model_may_run_another_recorded_one():
    found = []

    def outer(x):
        found.append(recorded(lambda x: mg.exp(x) * x, x, work=True))
        return x + 1

    record = recorded(outer, mg.tensor([1.0]), origins=True, work=True)
    assert [operation.creator.__class__.__name__ for operation in record.operations.values()] == ["Add"]
    assert found[0].work.count("_op") == 2 and record.work.count("_op") == 1 and not found[0].operations


def test_a_record_has_looks_draws_and_work():
    def model(x):
        h = dropout(x * 2, 0.5)
        return h + float(h.data[0])

    record = recorded(model, mg.tensor([1.0]), origins=True, work=True, draws=True)
    assert [(look.by, str(look).split("   ")[1]) for look in record.looks] == [("data", "return h + float(h.data[0])")]
    assert [str(draw.line).split("   ")[1] for draw in record.draws] == ["h = dropout(x * 2, 0.5)"]
    assert [operation.origin.name for operation in record.operations.values()] == ["", "h", ""]
    assert record.work == recorded(model, mg.tensor([1.0]), work=True, draws=True).work
    assert record.work != recorded(model, mg.tensor([2.0]), work=True, draws=True).work
