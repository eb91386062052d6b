"""Equations: the recurrence in the model's own names."""

import mygrad as mg
import numpy as np
import pytest

from myrnn.compiler import compile
from myrnn.compiler.graph import Builder
from myrnn.compiler.names import Expressions
from myrnn.models import LSTM, RNN


def test_the_rnn_reads_like_its_equations():
    assert str(compile(RNN(10, 50, 2, rng=0), 13, check=False)).splitlines() == [
        "before the first step:",
        "    h = 0",
        "for every x:",
        "    h = relu(x @ fc_x2h.weight + fc_x2h.bias + h @ fc_h2h.weight)",
        "after the last step:",
        "    logits = h @ fc_h2y.weight + fc_h2y.bias",
    ]


def test_a_dash_tells_the_new_state_from_the_old():
    text = str(compile(LSTM(10, 20, 2, rng=0), 13, check=False))
    assert "    c' = f * c + i * g\n" in text
    assert "    h' = o * tanh(c')\n" in text


@pytest.fixture
def build():
    return Builder()


@pytest.fixture
def write():
    return Expressions(("h",), ("W", "layer.bias"), (3, 1)).text


def test_brackets_stand_where_they_are_needed_and_nowhere_else(build, write):
    h, x, b = build.leaf("state", 0, size=3), build.leaf("input", size=3), build.leaf("parameter", 1, size=3)
    assert write(build.multiply(build.add(h, x), b)) == "(h + x) * layer.bias"
    assert write(build.add(build.multiply(h, x), b)) == "h * x + layer.bias"
    assert write(build.subtract(h, build.subtract(x, b))) == "h - (x - layer.bias)"
    assert write(build.subtract(build.subtract(h, x), b)) == "h - x - layer.bias"
    assert write(build.divide(h, build.multiply(x, b))) == "h / (x * layer.bias)"
    assert write(build.negative(build.add(h, x))) == "-(h + x)"
    assert write(build.multiply(build.negative(h), x)) == "-h * x"
    assert write(build.power(build.add(h, x), 2.0)) == "(h + x) ** 2"


def test_products_and_elementwise_products_are_kept_apart(build, write):
    h, x, w = build.leaf("state", 0, size=3), build.leaf("input", size=3), build.leaf("parameter", 0, size=9)
    product = build.matmul(h, w, m=1, k=3, n=3, transposed=False)
    assert write(product) == "h @ W"
    assert write(build.multiply(x, product)) == "x * (h @ W)"
    assert write(build.add(x, product)) == "x + h @ W"
    assert write(build.matmul(build.multiply(h, x), w, m=1, k=3, n=3, transposed=True)) == "(h * x) @ W.T"


def test_every_leaf_has_a_name(build, write):
    leaf = build.leaf
    assert write(leaf("row", 2, size=3)) == "x[2]"
    assert write(leaf("length", size=1)) == "T"
    assert write(leaf("rows", 0, 1, size=6)) == "W[1:3]"
    assert write(leaf("derived", 1, size=6)) == "derived_1"
    assert write(leaf("gradient", 0, size=3)) == "d_h"
    assert write(leaf("gradient", "logits", size=3)) == "d_logits"
    assert write(leaf("gradient", "derived", 1, size=3)) == "d_derived_1"


def test_constants_and_slices_are_short(build, write):
    h = build.leaf("state", 0, size=6)
    assert write(build.take(h, [1, 2, 3])) == "h[1:4]"
    assert write(build.add(h, build.constant([1, 2, 3, 4, 5, 6.5]))) == "h + [1 2 3 4 ...]"
    assert write(build.constant([0.25, 0.25])) == "0.25"


def test_a_state_without_a_variable_is_numbered():
    class Nameless:
        def __init__(self):
            rng = np.random.default_rng(0)
            self.A, self.W = (mg.tensor(rng.normal(size=s).astype(np.float32) * 0.4) for s in ((3, 4), (4, 2)))
            self.parameters = (self.A, self.W)
            self.dim_input = 3

        def __call__(self, x):
            return mg.sum(mg.tanh(x @ self.A), axis=0, keepdims=True) @ self.W

    compiled = compile(Nameless(), 13, check=False)
    assert compiled.state_names == ("state_0",)
    assert "    state_0 = state_0 + tanh(x @ A)" in str(compiled)
