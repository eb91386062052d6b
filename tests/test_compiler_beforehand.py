"""What a loop computes from its rows alone is computed for all steps at once, before the loop."""

import builtins
import itertools

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.activations import sigmoid, softmax

from marks import the_rest_is_long
from myrnn import Stacked
from myrnn.compiler import compile
from myrnn.compiler.graph import leaves_of, topological
from myrnn.compiler.leaves import LoopState
from recurrences.oracle import by_mygrad, disagreement

C, E, D, K = 4, 5, 6, 3
SHAPES = {"e": (C, E), "a": (E, D), "b": (E, D), "h": (D, D), "y": (D, K), "s": (E, 1)}
# The step, given e, the product of the row with `w.e`, and the state h (D,); and the sizes of what is computed before.
STEPS = {
    "a product": ("mg.tanh(e @ w.a + h @ w.h)", [D]),
    "a gate": ("sigmoid(e @ w.a) * h + e @ w.b", [D, D]),
    "a norm": ("0.5 * h + (e @ w.a) / mg.sqrt(mg.sum((e @ w.a) ** 2) + 0.1)", [D]),
    "a softmax of the row": ("0.5 * h + softmax(x_t[:, None] + x_t[None])[0, 0] * (e @ w.a)", [D]),
    "repeated only in the loop": ("mg.tanh(0.5 * h + x_t[0]) * sigmoid(e @ w.s)", [1]),
    "an outer product in the loop": (
        "0.5 * h + mg.matmul(h, (e @ w.a)[:, None] * (e @ w.b)[None] / 9)",
        [D, D],
    ),
    "of what is computed": ("0.5 * h + sigmoid(mg.tanh(e @ w.a) @ w.h)", [D]),
    "a row that is kept": ("0.5 * h + x_t[0]", []),
    "a product with the row itself": ("mg.tanh(x_t @ w.e[:, :1] + h)", []),
    "of the state": ("mg.tanh(h @ w.h + x_t[0]) + 0.1 * mg.sum(h * h)", []),
}


class Model:
    """A model of one state, whose step is given as text."""

    def __init__(self, step, per_step):
        rng = np.random.default_rng(0)
        self.step, self.per_step = builtins.compile(step, "<test>", "eval"), per_step
        self.weights = {name: mg.tensor(rng.normal(size=s).astype(np.float32) / 2) for name, s in SHAPES.items()}
        self.parameters = tuple(self.weights.values())

    def __call__(self, x):
        w, h, rows = _Named(self.weights), np.zeros(D, dtype=np.float32), []
        for x_t in x:
            known = {"mg": mg, "sigmoid": sigmoid, "softmax": softmax, "w": w, "h": h, "x_t": x_t, "e": x_t @ w.e}
            h = eval(self.step, known)
            rows.append(h @ w.y)
        return mg.stack(rows) if self.per_step else rows[-1][np.newaxis]


class _Named:
    def __init__(self, values):
        vars(self).update(values)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("per_step", the_rest_is_long([False, True], True))
@pytest.mark.parametrize(("step", "sizes"), STEPS.values(), ids=STEPS)
def test_what_reads_no_state_is_computed_before(step, sizes, per_step):
    compiled = compile(Model(step, per_step), dim_input=C, check=False)
    before = [*itertools.takewhile(lambda loop: not loop.step, compiled.derivative.recurrence.loops)]
    assert sorted(node.size for loop in before for node in loop.kept.values()) == sorted(sizes)
    assert not any(leaves_of(LoopState, loop.kept.values()) for loop in before)
    assert disagreement(compiled, ([1], [6], [5, 11, 1, 2])) is None


@pytest.mark.long
@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("bidirectional", [False, True])
def test_layers_compute_before_their_loops_what_reads_no_state(bidirectional):
    model = Stacked(C, 4, K, cell="deltaproduct", layers=2, bidirectional=bidirectional, per_step=True, rng=0)
    compiled = compile(model, dim_input=C, check=False)
    loops = compiled.derivative.recurrence.loops
    assert not loops[0].step and loops[1].step
    assert len(loops) > len(compiled.recurrence.loops)
    assert disagreement(compiled, ([1], [6], [5, 11, 1, 2])) is None


class Starting:
    """Begins with the first row; later steps add the length of theirs."""

    def __init__(self):
        self.w = mg.tensor(np.random.default_rng(0).normal(size=(C, D)).astype(np.float32))
        self.y = mg.tensor(np.random.default_rng(1).normal(size=(D, K)).astype(np.float32))
        self.parameters = (self.w, self.y)

    def __call__(self, x):
        h = np.zeros(D, dtype=np.float32)
        for t, x_t in enumerate(x):
            z = x_t @ self.w
            h = z if t == 0 else 0.5 * h + mg.sqrt(mg.sum(z * z))
        return (h @ self.y)[np.newaxis]


@pytest.mark.usefixtures("in_python")
def test_a_first_step_has_no_gradient_through_what_only_later_steps_need():
    model = Starting()
    compiled = compile(model, dim_input=C, check=False)
    x = np.random.default_rng(0).normal(size=(5, C)).astype(np.float32)
    # The root of zero has an infinite derivative.
    x[0] = 0
    loss, gradients = compiled.loss_and_gradients(x, 1)
    expected, true = by_mygrad(model, x, 1)
    assert loss == pytest.approx(expected, rel=1e-4)
    for gradient, known in zip(gradients, true, strict=True):
        np.testing.assert_allclose(gradient, known, rtol=1e-3, atol=1e-5)


class Sum:
    """Sums up what a loop before computes of each row, and multiplies the sum in the same step."""

    def __init__(self):
        rng = np.random.default_rng(0)
        shapes = {"e": (C, E), "a": (E, D), "c": (D, D), "h": (D, D), "y": (D, K)}
        self.w = {name: mg.tensor(rng.normal(size=s).astype(np.float32) / 2) for name, s in shapes.items()}
        self.parameters = tuple(self.w.values())

    def __call__(self, x):
        w, z, h, rows = self.w, np.zeros(D, dtype=np.float32), np.zeros(D, dtype=np.float32), []
        for x_t in x:
            z = z + x_t @ w["e"] @ w["a"]
            h = mg.tanh(z @ w["c"] + h @ w["h"])
            rows.append(h @ w["y"])
        return mg.stack(rows)


@pytest.mark.usefixtures("in_python")
def test_what_is_added_to_a_state_at_the_first_step_has_a_gradient():
    # It is that of the state, which is not read otherwise.
    compiled = compile(Sum(), dim_input=C, check=False)
    assert disagreement(compiled, ([1], [6], [5, 11, 1, 2])) is None


class Twice:
    """Two loops, of which the second goes backward and reads what the first computes from its rows."""

    def __init__(self):
        rng = np.random.default_rng(0)
        shapes = {"e": (C, E), "a": (E, D), "h": (D, D), "y": (2 * D, K)}
        self.w = {name: mg.tensor(rng.normal(size=s).astype(np.float32) / 2) for name, s in shapes.items()}
        self.parameters = tuple(self.w.values())

    def __call__(self, x):
        w, f, g = self.w, np.zeros(D, dtype=np.float32), np.zeros(D, dtype=np.float32)
        for x_t in x:
            f = 0.5 * f + x_t @ w["e"] @ w["a"]
        for x_t in x[::-1]:
            g = 0.5 * g + mg.tanh(x_t @ w["e"] @ w["a"]) @ w["h"]
        return mg.concatenate([f, g])[np.newaxis] @ w["y"]


@pytest.mark.usefixtures("in_python")
def test_what_two_loops_read_is_computed_once():
    compiled = compile(Twice(), dim_input=C, check=False)
    loops = compiled.derivative.recurrence.loops
    moved = [node for loop in loops if not loop.step for node in loop.kept.values()]
    products = [n for n in topological([*moved, *compiled.derivative.recurrence.step]) if n.operation == "matmul"]
    assert len(products) == 3
    assert disagreement(compiled, ([1], [6], [5, 11, 1, 2])) is None


@pytest.mark.usefixtures("in_python")
def test_a_kept_value_moves_with_its_number():
    model = Model("mg.tanh(e @ w.a + h @ w.h)", per_step=True)
    plain = model.__call__

    def with_rows(x):
        return plain(x) + mg.stack([(x_t @ model.weights["e"] @ model.weights["a"]) @ model.weights["y"] for x_t in x])

    compiled = compile(Callable(with_rows, model.parameters), dim_input=C, check=False)
    assert disagreement(compiled, ([1], [6], [5, 11, 1, 2])) is None


class Callable:
    """A model from a function."""

    def __init__(self, function, parameters):
        self.function, self.parameters = function, parameters

    def __call__(self, x):
        return self.function(x)
