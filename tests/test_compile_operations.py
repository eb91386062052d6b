"""Every operation of MyGrad's that has a rule, in a step of a recurrence, by emitted programs that run in Python."""

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.activations import sigmoid

from myrnn.compiler import compile
from test_compile_interpreted import assert_agrees
from test_compiler_trace import CASES, COLUMNS, MORE, ROWS

# Without its graph MyGrad does not compute it.
ONCE = {"largest norm"}
NAMES = [*CASES, *(pytest.param(name, marks=pytest.mark.long) for name in MORE if name not in ONCE)]


class Stepped:
    """Hands a function of numbers between 0.3 and 0.9 on from step to step."""

    dim_input = 2

    def __init__(self, function):
        rng = np.random.default_rng(0)
        size = ROWS * COLUMNS
        self.function = function
        width = function(mg.tensor(np.full((ROWS, COLUMNS), 0.5))).size
        shapes = ((self.dim_input, size), (size, size), (width, size), (size, 3))
        self.x2a, self.h2a, self.y2h, self.h2y = (
            mg.tensor(rng.normal(size=shape).astype(np.float32) * np.float32(0.5 * shape[0] ** -0.5))
            for shape in shapes
        )
        self.parameters = (self.x2a, self.h2a, self.y2h, self.h2y)

    def __call__(self, x):
        h = np.zeros((1, ROWS * COLUMNS), dtype=np.float32)
        for x_t in x:
            a = 0.3 + 0.6 * sigmoid(x_t[np.newaxis] @ self.x2a + h @ self.h2a)
            y = self.function(a.reshape(ROWS, COLUMNS))
            h = mg.tanh(y.reshape(1, -1) @ self.y2h)
        return h @ self.h2y


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize(
    "name", [*CASES, *(pytest.param(name, marks=pytest.mark.long) for name in sorted(MORE.keys() - ONCE))]
)
def test_an_operation_in_a_step(name, batched):
    model = Stepped({**CASES, **MORE}[name])
    native = compile(model, dim_input=model.dim_input, check=False).native(tokens=False, batched=batched)
    assert_agrees(model, native, model.dim_input, tokens=False)
