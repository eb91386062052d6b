"""Equations: the recurrence in the model's own names."""

import mygrad as mg
import numpy as np

from myrnn.compiler import compile
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
