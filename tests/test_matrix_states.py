"""States that are matrices: their programs agree with MyGrad, and keep vectors where those are enough."""

import builtins
import sys
from pathlib import Path
from types import SimpleNamespace

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.activations import sigmoid
from mygrad.nnet.losses import softmax_crossentropy

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.matrix_states import MATRIX_STATES

from marks import most_are_long, the_rest_is_long
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


# How a step of several heads can be written: S is (H, k, n), q and k are (H, k), v is (H, n), g is (H,). The weights
# A (H, k, k), B (H, n, n) and E (n, n) multiply S from either side.
H, COLUMN, ROW = 2, 3, 4
WRITES = (
    "0.5 * S + k[:, :, None] * v[:, None, :]",
    "0.5 * S + mg.einsum('hi,hj->hij', k, v)",
    "0.5 * S - mg.matmul(k[:, :, None], v[:, None, :]) / 2",
    "g[:, None, None] * S + g[:, None, None] * (k[..., None] * v[:, None])",
    "S - k[..., None] * mg.matmul(k[:, None, :], S) / 8 + mg.einsum('hi,hj->hij', k, v)",
    "mg.swapaxes(0.5 * mg.swapaxes(S, 1, 2) + v[:, :, None] * k[:, None, :], 1, 2)",
    "0.5 * mg.matmul(A, S) + k[:, :, None] * v[:, None, :]",
    "0.5 * mg.matmul(S, B) + k[:, :, None] * v[:, None, :]",
    "0.5 * mg.matmul(S, mg.swapaxes(B, 1, 2)) + k[:, :, None] * v[:, None, :]",
    "0.5 * mg.matmul(S, E) + k[:, :, None] * v[:, None, :]",
    "0.5 * mg.einsum('hij,hjk->hik', A, S) + k[:, :, None] * v[:, None, :]",
    "S + mg.matmul(k[:, :, None] * k[:, None, :], S) / 8 + k[:1, :, None] * v[:, None, :]",
    "0.5 * S + mg.matmul(mg.swapaxes(mg.stack([k, q], axis=1), 1, 2), mg.stack([v, v * v], axis=1)) / 4",
)
READS = (
    "mg.matmul(q[:, None, :], S)[:, 0]",
    "mg.einsum('hi,hij->hj', q, S)",
    "(q[:, :, None] * S).sum(axis=1)",
    "mg.matmul(mg.swapaxes(S, 1, 2), q[:, :, None])[..., 0]",
    "mg.stack([mg.matmul(q[i], S[i]) for i in range(2)])",
    "mg.matmul(q[0], S)",
)


class Written:
    """A model with several heads, given the text of its step and of what it reads."""

    def __init__(self, write, read):
        rng = np.random.default_rng(0)
        self.step, self.read = compile_text(write), compile_text(read)
        shapes = {"q": (C, H * COLUMN), "k": (C, H * COLUMN), "v": (C, H * ROW), "g": (C, H), "out": (H * ROW, K)}
        shapes |= {"A": (H, COLUMN, COLUMN), "B": (H, ROW, ROW), "E": (ROW, ROW)}
        made = {name: mg.tensor((rng.normal(size=s) / np.sqrt(s[-1])).astype(np.float32)) for name, s in shapes.items()}
        self.w = SimpleNamespace(**made)
        self.parameters = tuple(made.values())

    def __call__(self, x):
        w, S, rows = self.w, np.zeros((H, COLUMN, ROW), dtype=np.float32), []
        for x_t in x:
            q, k, v = (mg.reshape(x_t @ one, (H, -1)) for one in (w.q, w.k, w.v))
            known = {"q": q, "k": k, "v": v, "g": sigmoid(x_t @ w.g), "A": w.A, "B": w.B, "E": w.E}
            S = eval(self.step, {"mg": mg, **known, "S": S})
            rows.append(eval(self.read, {"mg": mg, **known, "S": S}).reshape(-1) @ w.out)
        return mg.stack(rows)


def compile_text(text):
    return builtins.compile(text, "<test>", "eval")


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize(
    ("write", "read"), most_are_long([(write, read) for read in READS for write in WRITES], every=12)
)
def test_several_heads_can_be_written_in_many_ways(write, read):
    compiled = compile(Written(write, read), dim_input=C, check=False)
    assert disagreement(compiled, ([1], [6], [5, 11, 1, 2])) is None


class Scaled:
    """Adds `g * outer(k, v)` to a matrix, for the numbers g, k and v of a row, and returns two of the matrix."""

    def __init__(self):
        self.w = mg.tensor(np.ones((2, 2), dtype=np.float32))
        self.parameters = (self.w,)

    def __call__(self, x):
        S, ones = np.zeros((2, 3), dtype=np.float32), np.ones(3, dtype=np.float32)
        for g, k, v in x:
            S = S + g * (k * ones[:2, np.newaxis] * (v * ones))
        return mg.matmul(S[:, 0], self.w)[np.newaxis]


@pytest.mark.usefixtures("in_python")
def test_a_factor_of_a_matrix_multiplies_a_vector_first():
    model, large = Scaled(), np.float32([[1e30, 1e-10, 1e10]])
    compiled = compile(model, dim_input=3, check=False)
    np.testing.assert_allclose(compiled(large), model(large).data, rtol=1e-6)
    # Here g * k is infinite, but g * (k * v) is not.
    larger = np.float32([[1e30, 1e10, 1e-10]])
    assert np.isinf(compiled(larger)).all() and np.isfinite(model(larger).data).all()


@pytest.mark.parametrize("name", ["linear-attention", "delta", "mlstm", "selective"])
def test_what_is_kept_for_later_loops_are_products_with_the_matrix(name):
    _, compiled = made(name, 16, 1)
    before, after = (
        next(loop for loop in r.loops if loop.step) for r in (compiled.recurrence, compiled.derivative.recurrence)
    )
    matrix = max(node.size for node in before.step)
    assert matrix in [node.size for node in before.kept.values()]
    assert after.kept and all(node.size <= 16 for node in after.kept.values())
