"""States that hold earlier rows have loops of their own, and what is made of rows alone is computed for all steps."""

import builtins
from types import SimpleNamespace

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.activations import sigmoid
from mygrad.nnet.losses import softmax_crossentropy

from myrnn import Stacked
from myrnn.compiler import compile
from myrnn.compiler.graph import leaves_of
from myrnn.compiler.leaves import LoopState
from recurrences.oracle import disagreement

pytestmark = pytest.mark.usefixtures("in_python")

C, E, D, K = 4, 5, 6, 3
LENGTHS = [1], [2], [6], [5, 11, 1, 2]
SHAPES = {"e": (C, E), "first": (E,), "a": (E, D), "b": (E, D), "c": (D, D), "h": (D, D), "y": (D, K)}
# A step, given the row e, those of the last two steps, p and q, and h and z of the step before; and the sizes of the
# states of each loop, if there are outputs for every step.
STEPS = {
    "a product with the row before": ("h = mg.tanh(e @ w.a + p @ w.b + h @ w.h)", [[E], [], [D], []]),
    "a product with both rows": ("h = mg.tanh((e + p * w.first) @ w.a + h @ w.h)", [[E], [], [D], []]),
    "rows of two steps": ("h = sigmoid((e + p - q * w.first) @ w.a) * h + e @ w.b", [[E, E], [], [D], []]),
    "what is made of a row before": ("h = 0.5 * h + (e * w.first + p - 2 * q) @ w.a", [[E], [E], [], [D], []]),
    "what is made of rows a step before": (
        "h, z = 0.5 * h + sigmoid(z @ w.c) @ w.h, mg.tanh(e @ w.a + p @ w.b)",
        [[E], [], [D], [], [D], []],
    ),
    "only rows": ("h = mg.tanh(e @ w.a + p @ w.b)", [[E], [], []]),
    "nothing that takes long": ("h, z = mg.tanh(e @ w.a + h @ w.h) + 0.5 * z, e @ w.b", [[], [D, D], []]),
    "other states": ("z, h = mg.tanh(e @ w.a + h), mg.tanh(z @ w.c + h @ w.h)", [[], [D, D], []]),
}


class Model:
    """A model whose step is given as text; the row before the first is learned."""

    def __init__(self, step, per_step=True):
        rng = np.random.default_rng(0)
        self.step, self.per_step = builtins.compile(step, "<test>", "exec"), per_step
        self.w = {name: mg.tensor(rng.normal(size=s).astype(np.float32) / 2) for name, s in SHAPES.items()}
        self.parameters = tuple(self.w.values())

    def __call__(self, x):
        w, zeros, rows = SimpleNamespace(**self.w), np.zeros(D, dtype=np.float32), []
        known = {"mg": mg, "sigmoid": sigmoid, "w": w, "h": zeros, "z": zeros, "p": w.first, "q": w.first}
        for x_t in x:
            known["e"] = x_t @ w.e
            exec(self.step, known)
            known["p"], known["q"] = known["e"], known["p"]
            rows.append(known["h"] @ w.y)
        last = known["h"] + known["p"] @ w.a + known["q"] @ w.b
        return mg.stack(rows) if self.per_step else (last @ w.y)[np.newaxis]


@pytest.mark.parametrize(("step", "sizes"), STEPS.values(), ids=STEPS)
def test_states_that_hold_earlier_rows_have_loops_of_their_own(step, sizes):
    compiled = compile(Model(step), dim_input=C, check=False)
    loops = compiled.derivative.recurrence.loops
    assert [[node.size for node in loop.step] for loop in loops] == sizes
    assert disagreement(compiled, LENGTHS) is None


@pytest.mark.parametrize("name", ["rows of two steps", "what is made of a row before"])
def test_the_output_after_the_last_step_may_read_earlier_rows(name):
    compiled = compile(Model(STEPS[name][0], per_step=False), dim_input=C, check=False)
    assert len(compiled.derivative.recurrence.loops) > len(compiled.recurrence.loops)
    assert disagreement(compiled, LENGTHS) is None
    nothing = np.zeros((0, C), dtype=np.float32)
    np.testing.assert_allclose(compiled(nothing), compiled.model(nothing).data, rtol=1e-5)


EVERY_STEP, BOTH_WAYS = {"per_step": True}, {"per_step": True, "bidirectional": True}


@pytest.mark.parametrize(
    ("cell", "options", "matrices"),
    [
        pytest.param("rwkv7", {}, 1, marks=pytest.mark.long),
        ("mamba", EVERY_STEP, 1),
        pytest.param("rwkv7", EVERY_STEP, 1, marks=pytest.mark.long),
        pytest.param("mamba", {}, 1, marks=pytest.mark.long),
        pytest.param("mamba", BOTH_WAYS, 2, marks=pytest.mark.long),
        pytest.param("rwkv7", BOTH_WAYS, 2, marks=pytest.mark.long),
    ],
)
def test_the_steps_of_a_matrix_read_no_other_state(cell, options, matrices):
    compiled = compile(Stacked(C, D, K, cell=cell, layers=1, rng=0, **options), dim_input=C, check=False)
    found = [node for node in compiled.derivative.recurrence.step if node.size > D]
    assert len(found) == matrices
    assert all(len(leaves_of(LoopState, [node])) == 1 for node in found)
    kept = [node.size for node in compiled.derivative.recurrence.kept.values()]
    assert max(kept, default=0) < min(node.size for node in found)
    assert disagreement(compiled, LENGTHS) is None


class Observed(Model):
    """Reads rows of two steps and a matrix, and returns its states, too."""

    def __init__(self):
        super().__init__("")

    def __call__(self, x):
        return self.ran(x)[0]

    def ran(self, x):
        w, one = SimpleNamespace(**self.w), np.float32(1)
        p, q, S = w.first, w.first, np.zeros((E, D), dtype=np.float32)
        rows, states = [], {"p": [], "q": [], "S": []}
        for x_t in x:
            e = x_t @ w.e
            key = e + p * w.first - q
            S = 0.5 * S + key[:, None] * (p @ w.a + q @ w.b)[None]
            rows.append((key @ S) @ w.y)
            p, q = e * one, p * one
            for name, state in zip("pqS", (p, q, S), strict=True):
                states[name].append(state)
        return mg.stack(rows), states


def test_gradients_of_such_states_and_of_a_matrix_are_those_of_mygrad():
    model, rng = Observed(), np.random.default_rng(0)
    compiled = compile(model, dim_input=C, check=False)
    x, labels = rng.normal(size=(6, C)).astype(np.float32), rng.integers(K, size=6)
    logits, states = model.ran(x)
    softmax_crossentropy(logits, labels).backward()
    found = dict(zip(compiled.state_names, compiled.observe(x, labels).state_gradients, strict=True))
    for name, several in states.items():
        expected = [np.zeros(state.size) if state.grad is None else state.grad.ravel() for state in several]
        np.testing.assert_allclose(found[name][1:], expected, rtol=2e-3, atol=2e-5)
