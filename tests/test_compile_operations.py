"""Every operation of MyGrad with a rule, in a step of a recurrence, in emitted programs that run in Python."""

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.activations import sigmoid

from marks import named, the_rest_is_long
from myrnn.compiler import compile
from test_compile_interpreted import assert_agrees, assert_all_agree
from test_compiler_trace import CASES, COLUMNS, MORE, ROWS

pytestmark = pytest.mark.usefixtures("gru_in_python")

# Without its graph MyGrad does not compute it.
ONCE = {"largest norm"}
FUNCTIONS = {name: function for name, function in {**CASES, **MORE}.items() if name not in ONCE}
SHORT = [*CASES][::96]
OTHERS = sorted(FUNCTIONS.keys() - {*SHORT})
# Most operations share a model with others, because a compilation takes longer than its operations.
GROUPS = [(name,) for name in SHORT] + [tuple(OTHERS[i : i + 4]) for i in range(0, len(OTHERS), 4)]


class Stepped:
    """Passes functions of numbers between 0.3 and 0.9 from step to step."""

    dim_input = 2

    def __init__(self, functions):
        rng = np.random.default_rng(0)
        size = ROWS * COLUMNS
        self.functions = functions
        width = self.results(mg.tensor(np.full((ROWS, COLUMNS), 0.5))).size
        shapes = ((self.dim_input, size), (size, size), (width, size), (size, 3))
        self.x2a, self.h2a, self.y2h, self.h2y = (
            mg.tensor(rng.normal(size=shape).astype(np.float32) * np.float32(0.5 * shape[0] ** -0.5))
            for shape in shapes
        )
        self.parameters = (self.x2a, self.h2a, self.y2h, self.h2y)

    def results(self, a):
        if len(self.functions) == 1:
            return self.functions[0](a)
        return mg.concatenate([function(a).reshape(-1) for function in self.functions])

    def __call__(self, x):
        h = np.zeros((1, ROWS * COLUMNS), dtype=np.float32)
        for x_t in x:
            a = 0.3 + 0.6 * sigmoid(x_t[np.newaxis] @ self.x2a + h @ self.h2a)
            y = self.results(a.reshape(ROWS, COLUMNS))
            h = mg.tanh(y.reshape(1, -1) @ self.y2h)
        return h @ self.h2y


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize(
    "names", [pytest.param(n, id=named(n), marks=() if len(n) == 1 else pytest.mark.long) for n in GROUPS]
)
def test_operations_in_a_step(names):
    model = Stepped([FUNCTIONS[name] for name in names])
    compiled = compile(model, dim_input=model.dim_input, check=False)
    for batched in (False, True):
        assert_agrees(model, compiled.native(tokens=False, batched=batched), model.dim_input, tokens=False)


class Pieces:
    """Reads each element as a row of the sequence in another shape."""

    dim_input = 3

    def __init__(self):
        rng = np.random.default_rng(0)
        self.W, self.U, self.V = (
            mg.tensor((rng.normal(size=shape) * 0.4).astype(np.float32)) for shape in ((3, 6), (6, 6), (6, 2))
        )
        self.parameters = (self.W, self.U, self.V)

    def __call__(self, x):
        h = np.zeros(6, dtype=np.float32)
        for t in range(len(x)):
            h = mg.tanh(x[t : t + 1].reshape(-1) @ self.W + h @ self.U)
        return (h @ self.V).reshape(1, -1)


class Stacked(Pieces):
    """Projects all elements as a stack of matrices of one row."""

    def __call__(self, x):
        projected = mg.reshape(x, (len(x), 1, 3)) @ self.W
        h = np.zeros((1, 6), dtype=np.float32)
        for t in range(len(x)):
            h = mg.tanh(projected[t] + h @ self.U)
        return h @ self.V


class Heads(Pieces):
    """Multiplies each piece of its state by a matrix."""

    def __call__(self, x):
        h = np.zeros((1, 6), dtype=np.float32)
        for x_t in x:
            pieces = mg.reshape(h, (2, 1, 3)) @ mg.reshape(self.U, (4, 3, 3))[:2]
            h = mg.arctan(x_t[np.newaxis] @ self.W + pieces.reshape(1, 6))
        return h @ self.V


class Running(Pieces):
    """Reads running sums of projections by einsum, and normalises its last state."""

    def __call__(self, x):
        projected = mg.cumsum(mg.einsum("tc,cd->td", x, self.W), axis=0)
        h = np.zeros((1, 6), dtype=np.float32)
        for t in range(len(x)):
            h = mg.tanh(0.1 * projected[t : t + 1] + h @ self.U)
        return (h / (1 + mg.linalg.norm(h, axis=1, keepdims=True))) @ self.V


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("kind", the_rest_is_long([Pieces, Stacked, Heads, Running], Stacked, Heads))
def test_shapes_and_sums_over_the_sequence(kind):
    assert_all_agree(kind(), kind.dim_input)
