"""Networks as ONNX models: what onnxruntime computes with them is what the model computes in MyGrad."""

import json
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.activations import sigmoid, tanh
from numpy.testing import assert_allclose
from onnx.reference import ReferenceEvaluator
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument as RefusedByRuntime

from exported import TOLERANCE, few_known, largest_difference, session
from marks import the_rest_is_long
from myrnn import RNN, Stacked, compile, dropout
from myrnn.compiler import ops
from myrnn.compiler.graph import Builder
from myrnn.compiler.leaves import INPUT, LENGTH, Kept, Parameter, StepNumber
from myrnn.compiler.loops import Loop, Recurrence, placeholders, run_in_numpy
from myrnn.compiler.ops import OPERATIONS, matmul, outer
from myrnn.errors import UnsupportedOperation
from myrnn.exports import TrainedNetwork, network_of
from myrnn.exports.onnx import onnx_model
from myrnn.exports.operators import FORMULAS, OPERATORS
from recurrences import ALL, C

pytestmark = pytest.mark.usefixtures("gru_in_python")


def of_graph(recurrence, weights=()):
    """Return the network of a recurrence that no model has."""
    compiled = SimpleNamespace(
        recurrence=recurrence,
        per_step=recurrence.per_step,
        dim_input=recurrence.dim_input,
        dim_output=recurrence.readout.size,
    )
    return TrainedNetwork("", compiled, tuple(weights), tuple(f"w{i}" for i in range(len(weights))))


def step_of(make, width):
    """Return the recurrence without states whose outputs, at each step, `make` computes from the row."""
    build = Builder()
    row = build.leaf(INPUT, width)
    node = make(build, row)
    return Recurrence(width, (Loop((), (), {0: node}),), build.leaf(Kept(0), node.size))


def joined(build, nodes):
    """Return the node of all numbers of some nodes."""
    ends = np.cumsum([0, *(node.size for node in nodes)])
    places = [np.arange(*between) for between in pairwise(ends)]
    return build.make("join", *nodes, places=places)


def one(build, row, place):
    return build.make("take", row, indices=np.array([place]))


# Operations -----------------------------------------------------------------------------------------------------------

MAPS = [row for row in OPERATIONS.values() if row.kind == "map" and row.name != "expand"]
TINY, LARGE = 1e-6, 80.0
# Arguments at which a careless formula is wrong: ties, zeros with a sign, ends of domains, small and large numbers.
EDGES = {
    "arccot": [-0.0, 0.0, TINY, -TINY],
    "arccosh": [1.0, 1.0 + 2**-20],
    "arctan2": [(a, b) for a in (-1.0, -0.0, 0.0, 1.0) for b in (-1.0, -0.0, 0.0, 1.0)],
    "arctanh": [TINY, 0.9999],
    "arcsin": [-1.0, 1.0, TINY],
    "arccos": [-1.0, 1.0],
    "arcsinh": [TINY, -1e4],
    "cbrt": [-8.0, -0.0, 0.0, 1e-12],
    "equal": [(1.0, 1.0), (-0.0, 0.0)],
    "expm1": [TINY, -TINY, 1.0, -1.0, -LARGE, LARGE],
    "exp": [-LARGE, LARGE],
    "floor": [-0.5, 2.0],
    "greater": [(1.0, 1.0), (0.0, -0.0)],
    "log1p": [TINY, -TINY, -0.5, 0.5, -0.9999999, -1.0, 1e6],
    "logaddexp": [(LARGE, -LARGE), (-LARGE, -LARGE), (0.0, -15.0), (-np.inf, -np.inf), (np.inf, 0.0)],
    "maximum": [(1.0, 1.0)],
    "minimum": [(1.0, 1.0)],
    "power": [(0.0, 0.0), (2.0, -2.0)],
    "relu": [-0.0, 0.0],
    "rint": [0.5, 1.5, 2.5, -0.5],
    "select": [(0.0, 1.0, 2.0), (-0.0, 1.0, 2.0), (3.0, 1.0, 2.0)],
    "sigmoid": [-15.0, -40.0, LARGE],
    "sign": [-0.0, 0.0],
    "sinc": [-0.0, 0.0, TINY],
    "sqrt": [0.0],
    "tanh": [TINY, LARGE],
}


def arguments_of(row):
    rng = np.random.default_rng(len(row.name))
    drawn = np.stack([rng.uniform(low, high, 200) for low, high in row.domain], axis=1)
    edges = np.array(EDGES.get(row.name, np.zeros((0, len(row.domain)))), dtype=np.float64).reshape(-1, len(row.domain))
    return np.concatenate([drawn, edges]).astype(np.float32)


def test_every_operation_of_the_table_is_written():
    assert set(OPERATIONS) - {row.name for row in OPERATIONS.values() if row.kind == "formula"} == {
        *FORMULAS,
        *OPERATORS,
    }
    assert not set(FORMULAS) & set(OPERATORS)


def test_the_elementary_functions_are_those_of_numpy():
    """In float64, over their domains and at their edges."""
    many = {row.name: arguments_of(row) for row in MAPS}
    longest = max(map(len, many.values()))
    first = np.cumsum([0, *(part.shape[1] for part in many.values())])
    x = np.concatenate([np.resize(part, (longest, part.shape[1])) for part in many.values()], axis=1)

    def make(build, row):
        each = zip(MAPS, first[:-1].tolist(), strict=True)
        nodes = [op(*(one(build, row, place + i) for i in range(len(op.domain)))) for op, place in each]
        return joined(build, nodes)

    found = session(of_graph(step_of(make, x.shape[1])))(x)
    for place, row in enumerate(MAPS):
        part = many[row.name]
        with np.errstate(all="ignore"):
            wanted = row.reference(*part.astype(np.float64).T)
        assert_allclose(
            found[: len(part), place], wanted, rtol=2e-6, atol=1e-7 if row.name == "sinc" else 1e-12, err_msg=row.name
        )


def products_and_moves(build, row, weight):
    """Return an example of every operation that moves numbers, sums or multiplies, with and without parameters."""
    make = build.make
    some, other = (make("take", row, indices=np.arange(*ends)) for ends in ((0, 6), (6, 12)))
    axes = {"outer": 2, "n": 3, "inner": 1}
    pairs = [(some, weight), (weight, other), (some, other)]
    spread = make("put", some, indices=np.array([3, 0, 3, 3, 1, 0]), size=5)
    return [
        make("take", row, indices=np.array([5, 2, 2])),
        make("join", some, other, places=[np.arange(0, 12, 2), np.arange(11, 0, -2)]),
        make("join", some, weight, places=[np.arange(6), np.arange(6, 12)]),
        spread,
        make("expand", one(build, row, 2), size=3),
        *(make(name, some, **axes) for name in ("sum", "softmax", "log_softmax")),
        *(make(name, some, outer=1, n=6, inner=1) for name in ("sum", "softmax", "log_softmax")),
        matmul(some, weight, m=1, k=6, n=1),
        matmul(some, weight, m=2, k=3, n=2),
        matmul(some, weight, m=2, k=3, n=2, transposed=True),
        matmul(weight, some, m=3, k=2, n=3),
        matmul(weight, other, m=3, k=2, n=3, transposed=True),
        matmul(some, other, m=2, k=3, n=2),
        matmul(some, other, m=1, k=6, n=1, transposed=True),
        *(outer(*pair, matrices) for pair in pairs for matrices in (1, 3)),
        *(matmul(*pair, m=1, k=3, n=1, matrices=2) for pair in pairs),
        *(matmul(*pair, m=2, k=1, n=2, transposed=True, matrices=3) for pair in pairs),
    ]


@pytest.mark.parametrize("batched", [False, True])
def test_products_and_moves(batched):
    rng = np.random.default_rng(0)
    weight = rng.normal(size=6).astype(np.float32)

    def make(build, row):
        nodes = products_and_moves(build, row, build.leaf(Parameter(0), 6))
        assert {row.name for row in OPERATIONS.values() if row.kind in ("move", "reduce", "product")} <= {
            node.operation for node in nodes
        }
        return joined(build, nodes)

    recurrence = step_of(make, 12)
    x = rng.normal(size=(3, 4, 12)).astype(np.float32)
    run = session(of_graph(recurrence, [weight]), batched=batched)
    found = run(x) if batched else np.stack([run(each) for each in x])
    assert_allclose(found, [run_in_numpy(recurrence, [weight], each) for each in x], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batched", [False, True])
def test_what_all_sequences_share_may_be_a_state_a_kept_value_and_the_result(batched):
    build = Builder()
    count, length = build.given(StepNumber(True)), build.given(LENGTH)
    (total,) = placeholders(build, [1])
    loop = Loop((build.constant([0.5]),), (total + count,), {0: count * length}, backward=True)
    (other,) = placeholders(build, [1], 1)
    second = Loop((total,), (other + build.leaf(Kept(0), 1),))
    recurrence = Recurrence(2, (loop, second), joined(build, [other, length, build.constant([7.0])]))
    run = session(of_graph(recurrence), batched=batched)
    x = np.zeros((3, 4, 2), dtype=np.float32)
    # 0 + 1 + 2 + 3 is added to 0.5, and four times that after it.
    assert_allclose(run(x) if batched else [run(each)[0] for each in x], [[30.5, 4.0, 7.0]] * 3)


def test_a_small_result_of_a_sigmoid_is_not_rounded_to_zero_before_a_logarithm():
    row = np.array([[-30.0]], dtype=np.float32)
    found = session(of_graph(step_of(lambda build, x: ops.log(ops.sigmoid(x)), 1)))(row)
    assert_allclose(found, [[-30.0]], rtol=1e-6)


def test_an_operation_that_is_not_in_the_table_is_refused_by_its_name(monkeypatch):
    monkeypatch.delitem(OPERATORS, "tanh")
    with pytest.raises(UnsupportedOperation, match=r"^the model uses 'tanh', which ONNX files of MyRNN do not have$"):
        onnx_model(of_graph(step_of(lambda build, x: ops.tanh(x), 2)), tokens=False, batched=False)


# Models ---------------------------------------------------------------------------------------------------------------


# A plain cell, two directions with outputs at every step, attention over all states, and a table of steps; the rest of
# the corpus is exported in `test_recurrences`.
SOME = [entry for entry in ALL if entry.name in ("Elman", "BidirectionalTagger", "AttentionPooling", "Sinusoids")]


@pytest.mark.parametrize("entry", SOME, ids=str)
def test_models_of_the_corpus(entry):
    assert largest_difference(compile(entry.made(), max_length=20, dim_input=C, check=False)) < TOLERANCE


class OfTokens:
    """Uses a token as an index, as a product with weights on either side, and as a number."""

    dim_input = 5

    def __init__(self):
        rng = np.random.default_rng(0)
        self.a, self.b, self.c = (
            mg.tensor(rng.normal(size=shape).astype(np.float32)) for shape in ((5, 4), (4, 4), (5, 4))
        )

    def __call__(self, x):
        h = np.zeros((1, 4), dtype=np.float32)
        for x_t in x:
            row = x_t[np.newaxis]
            h = tanh(row @ self.a + h @ self.b + (row * row) @ self.c)
        return h

    @property
    def parameters(self):
        return self.a, self.b, self.c


class Products(OfTokens):
    """Uses no token as an index."""

    def __call__(self, x):
        h = np.zeros((1, 4), dtype=np.float32)
        for x_t in x:
            row = x_t[np.newaxis]
            h = tanh(h @ self.b + (row * row) @ self.c + (row * 0.5) @ self.a)
        return h


@pytest.mark.parametrize(
    "make",
    the_rest_is_long(
        [OfTokens, lambda: RNN(5, 6, 3, rng=0), lambda: Stacked(5, 6, 3, cell="lstm", dim_embedding=3, per_step=True)],
        OfTokens,
    ),
)
def test_tokens_are_one_hot_rows(make):
    model = make()
    network = network_of(model)
    tokens = np.random.default_rng(0).integers(5, size=(3, 9))
    wanted = np.stack([np.asarray(model(np.eye(5, dtype=np.float32)[each])) for each in tokens])
    alone, together = session(network, tokens=True), session(network, tokens=True, batched=True)
    assert_allclose(np.stack([alone(each) for each in tokens]), wanted, rtol=1e-4, atol=1e-6)
    assert_allclose(together(tokens).reshape(wanted.shape), wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("make", [OfTokens, Products], ids=["both", "products"])
@pytest.mark.parametrize("token", [-5, -1, 5])
def test_unknown_tokens_are_refused(make, token):
    network = network_of(make())
    for batched in (False, True):
        run, tokens = session(network, tokens=True, batched=batched), np.array([0, token, 4])
        with pytest.raises(RefusedByRuntime, match="out of data bounds"):
            run(tokens[np.newaxis] if batched else tokens)


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("entry", [entry for entry in SOME if entry.group != "steps"], ids=str)
def test_the_reference_of_onnx_gives_the_same(entry, batched):
    """The file is for every runtime; the reference lacks loops from the last row to the first."""
    with few_known(9):
        network = network_of(compile(entry.made(), max_length=9, dim_input=C, check=False))
    x = np.random.default_rng(0).normal(size=(2, 9, C)).astype(np.float32)
    model = onnx_model(network, tokens=False, batched=batched)
    (found,) = ReferenceEvaluator(model).run(None, {"x": x if batched else x[0]})
    wanted = session(network, batched=batched)(x if batched else x[0])
    assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


class Positions:
    """Adds a row of a table to each row that it reads; there are so many rows."""

    def __init__(self, rows):
        rng = np.random.default_rng(0)
        self.table, self.w = (mg.tensor(rng.normal(size=(n, C)).astype(np.float32)) for n in (rows, C))
        self.parameters = (self.table, self.w)

    def __call__(self, x):
        h = np.zeros((1, C), dtype=np.float32)
        for t, x_t in enumerate(x):
            h = tanh(x_t[np.newaxis] + self.table[t] + h @ self.w)
        return h


@pytest.mark.parametrize(
    ("rows", "steps"),
    [(13, 13), (20, 20), *(pytest.param(*c, marks=pytest.mark.long) for c in ((499, 499), (600, 500)))],
)
def test_every_row_of_a_table_of_positions_is_in_the_file(rows, steps):
    model = Positions(rows)
    network = network_of(compile(model, dim_input=C, check=False))
    run, x = session(network), np.random.default_rng(1).normal(size=(steps, C)).astype(np.float32)
    assert network.most_steps == steps
    assert_allclose(run(x), model(x), rtol=1e-4, atol=1e-5)


def test_after_the_known_steps_of_a_table_there_is_no_number():
    model = next(entry for entry in SOME if entry.name == "Sinusoids").made()
    with few_known(30):
        network = network_of(compile(model, 20, dim_input=C, check=False))
    run, x = session(network), np.ones((31, C), dtype=np.float32)
    assert network.most_steps == 30
    assert_allclose(run(x[:30]), model(x[:30]), rtol=1e-4, atol=1e-6)
    assert np.isnan(run(x)).all()


class Dropped:
    """Drops some of its state."""

    dim_input = 3

    def __init__(self):
        self.w = mg.tensor(np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32))

    def __call__(self, x):
        h = np.zeros((1, 3), dtype=np.float32)
        for x_t in x:
            h = sigmoid(x_t[np.newaxis] + dropout(h, 0.5) @ self.w)
        return h

    @property
    def parameters(self):
        return (self.w,)


def test_nothing_is_dropped():
    assert largest_difference(compile(Dropped(), check=False)) < TOLERANCE


def test_what_the_file_tells():
    # Symbols of a text may be of any kind.
    symbols = ("\ufffd", "\n", "\0", "\udc80")
    network = replace(network_of(RNN(4, 3, 2, rng=0)), symbols=symbols)
    model = onnx_model(network, tokens=True, batched=False, name="net")
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert told.pop("equations") == network.equations
    assert {key: json.loads(value) for key, value in told.items()} == {
        "targets": "a class",
        "predicts_next_input": False,
        "classes": ["class 0", "class 1"],
        "symbols": list(symbols),
    }
    assert (model.graph.name, model.doc_string, model.producer_name) == ("net", "RNN", "myrnn")
    assert {"fc_x2h.weight", "fc_h2h.weight", "fc_h2y.bias"} <= {one.name for one in model.graph.initializer}
    (loop,) = (node for node in model.graph.node if node.op_type == "Scan")
    assert [node.op_type for node in loop.attribute[0].g.node] == ["Gather", "Add", "MatMul", "Add", "Relu"]
