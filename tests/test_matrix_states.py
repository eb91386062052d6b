"""States that are matrices: their programs agree with MyGrad, and keep vectors where those are enough."""

import sys
from pathlib import Path

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.losses import softmax_crossentropy

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.matrix_states import MATRIX_STATES

from marks import the_rest_is_long
from myrnn.compiler import compile
from recurrences.oracle import disagreement

C, K = 5, 3
# Rows of whole lanes and of parts of lanes, and several heads.
MODELS = [(name, *sizes) for name in MATRIX_STATES for sizes in ((16, 1), (6, 1), (32, 2), (12, 3))]
IN_PYTHON = ("delta", 6, 1), ("linear-attention", 12, 3), ("selective", 6, 1)
NATIVE = [case for case in MODELS if case[1:] in ((16, 1), (12, 3))]
# One sequence at a time, and batches with equal and with different lengths.
GROUPS = ([1], [9], [4, 4, 4], [5, 11, 1, 2])


def made(name, dim_recurrent, heads):
    model = MATRIX_STATES[name](C, dim_recurrent, K, heads=heads)
    return model, compile(model, dim_input=C, check=False)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize(("name", "dim_recurrent", "heads"), the_rest_is_long(MODELS, *IN_PYTHON))
def test_programs_agree_with_mygrad(name, dim_recurrent, heads):
    _, compiled = made(name, dim_recurrent, heads)
    assert disagreement(compiled, GROUPS) is None


@pytest.mark.long
@pytest.mark.parametrize(("name", "dim_recurrent", "heads"), NATIVE)
def test_machine_code_agrees_with_mygrad(name, dim_recurrent, heads):
    _, compiled = made(name, dim_recurrent, heads)
    assert disagreement(compiled, GROUPS) is None


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize(("name", "dim_recurrent", "heads"), the_rest_is_long(MODELS, *IN_PYTHON))
def test_gradients_of_a_matrix_are_those_of_mygrad(name, dim_recurrent, heads):
    model, compiled = made(name, dim_recurrent, heads)
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(6, C)).astype(np.float32), rng.integers(K, size=6)
    states, matrices, rows = model.begin(), [], []
    for x_t in x:
        y, *states = model.step(x_t, *states)
        rows.append(y @ model.out)
        matrices.append(max(states, key=lambda state: state.size))
    softmax_crossentropy(mg.stack(rows), labels).backward()
    found = max(compiled.observe(x, labels).state_gradients, key=lambda gradients: gradients.shape[1])
    expected = [np.zeros(m.size) if m.grad is None else m.grad.ravel() for m in matrices]
    np.testing.assert_allclose(found[1:], expected, rtol=2e-3, atol=2e-5)


@pytest.mark.parametrize("name", ["linear-attention", "delta", "mlstm", "selective"])
def test_what_is_kept_for_later_loops_are_products_with_the_matrix(name):
    _, compiled = made(name, 16, 1)
    before, after = compiled.recurrence.loops[0], compiled.derivative.recurrence.loops[0]
    matrix = max(node.size for node in before.step)
    assert matrix in [node.size for node in before.kept.values()]
    assert after.kept and all(node.size <= 16 for node in after.kept.values())
