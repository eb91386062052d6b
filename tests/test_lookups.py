"""Training with large vocabularies: only rows of the batch's tokens are updated, with the same numbers."""

import mygrad as mg
import numpy as np
import pytest

import myrnn
from marks import most_are_long
from myrnn.compiler import plan as planning
from myrnn.compiler.compilation import _recent

SYMBOLS = 300


class TwoTables:
    """A cell that looks each symbol up in two tables, one of them two lanes wide."""

    def __init__(self):
        rng = np.random.default_rng(0)
        shapes = {"one": (SYMBOLS, 5), "two": (SYMBOLS, 18), "mix": (18, 5), "back": (5, 5), "out": (5, 3)}
        for name, shape in shapes.items():
            setattr(self, name, mg.tensor(rng.normal(size=shape).astype(np.float32) / 2))
        # An empty one begins at the same place in memory as the next one.
        self.parameters = [*(getattr(self, name) for name in shapes), mg.tensor(np.zeros((2, 0), np.float32))]

    def __call__(self, x):
        h = np.zeros((1, 5), np.float32)
        for row in x:
            row = row[None]
            h = mg.tanh(row @ self.one + mg.tanh(row @ self.two) @ self.mix + h @ self.back)
        return h @ self.out


def sequences(symbols=SYMBOLS, count=60):
    rng = np.random.default_rng(1)
    drawn = [np.minimum(rng.zipf(1.4, size=rng.integers(1, 4)), symbols) - 1 for _ in range(count)]
    return myrnn.Sequences.from_pairs([(tokens, rng.integers(3)) for tokens in drawn], dim_input=symbols)


OPTIMIZERS = {
    "sgd": lambda p: myrnn.SGD(p, learning_rate=0.1),
    "momentum": lambda p: myrnn.SGD(p, learning_rate=0.1, momentum=0.9),
    "decay": lambda p: myrnn.SGD(p, learning_rate=0.1, weight_decay=0.1),
    "rmsprop": lambda p: myrnn.RMSprop(p, learning_rate=0.01),
    "adam": lambda p: myrnn.Adam(p, learning_rate=0.01),
    # Its means are zero again after 30 steps without a gradient.
    "forgetful": lambda p: myrnn.Adam(p, learning_rate=0.01, beta1=0.02),
    "adamw": lambda p: myrnn.Adam(p, learning_rate=0.01, weight_decay=0.1),
    "one_table": lambda p: myrnn.Adam([q for q in p if q.shape != (SYMBOLS, 5)], learning_rate=0.01),
}


def trained(optimizer, **options):
    """Return all weights and the state of the optimizer after 20 iterations."""
    _recent.clear()
    model = TwoTables()
    optimizer = OPTIMIZERS[optimizer](model.parameters)
    options = {"engine": "native", "batch_size": 3, "iterations": 20} | options
    myrnn.train(model, sequences(), optimizer, progress=False, **options)
    state = [array for name in ("m", "v", "param_moments") for array in getattr(optimizer, name, ())]
    return [p.data for p in model.parameters] + state


@pytest.fixture
def with_lookups(monkeypatch):
    """Return a function that lowers the number of rows from which a weight is a lookup."""
    return lambda: monkeypatch.setattr(planning, "LOOKUP_ROWS", SYMBOLS)


# With many tokens in a batch every row is updated at every step.
BATCHES = {
    "one thread": {},
    "two threads": {},
    "one by one": {"batch_size": 1},
    "two threads, many tokens": {"batch_size": 6},
}


@pytest.mark.parametrize(
    ("optimizer", "batches"),
    [
        *most_are_long(((name, "two threads") for name in OPTIMIZERS), 10),
        *most_are_long((("adam", name) for name in BATCHES if name != "two threads"), 3),
        pytest.param("adamw", "one by one", marks=pytest.mark.long),
    ],
)
@pytest.mark.usefixtures("in_python")
def test_the_numbers_are_those_of_an_update_of_all_rows(monkeypatch, with_lookups, optimizer, batches):
    monkeypatch.setattr("myrnn.training.native.shards_for", lambda *_: 2 if "two threads" in batches else 1)
    every = trained(optimizer, **BATCHES[batches])
    with_lookups()
    for a, b in zip(every, trained(optimizer, **BATCHES[batches]), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("optimizer", most_are_long(["adam", "rmsprop"], 2))
@pytest.mark.usefixtures("in_python")
def test_the_numbers_do_not_depend_on_the_split_into_calls(with_lookups, optimizer):
    with_lookups()
    for a, b in zip(trained(optimizer), trained(optimizer, report_every=7), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.long
@pytest.mark.parametrize(("optimizer", "batch_size"), [("adam", 3), ("momentum", 1)])
def test_native_training_agrees_with_mygrad(with_lookups, optimizer, batch_size):
    with_lookups()
    options = {"batch_size": batch_size, "gradient_clip": 0.2}
    for a, b in zip(trained(optimizer, **options), trained(optimizer, engine="mygrad", **options), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


STEPS = {
    "a row": (lambda x, one, two: x @ one, True),
    "of two tables": (lambda x, one, two: x @ one + x @ two, True),
    "beside a bias": (lambda x, one, two: x @ one + two[:1], True),
    "also written by hand": (lambda x, one, two: x @ one + one[:1], False),
    "scaled": (lambda x, one, two: x @ (one * np.float32(0.5)), False),
}


@pytest.mark.parametrize("step", most_are_long(STEPS, 3))
def test_only_weights_read_by_tokens_alone_are_lookups(step):
    equation, expected = STEPS[step]
    rng = np.random.default_rng(0)
    one, two = (mg.tensor(rng.normal(size=(5000, 4)).astype(np.float32)) for _ in range(2))

    class Model:
        parameters = (one, two)

        def __call__(self, x):
            h = np.zeros((1, 4), np.float32)
            for row in x:
                h = mg.tanh(equation(row[None], one, two) + h)
            return h

    compiled = myrnn.compiler.compile(Model(), check=False)
    for batched in (False, True):
        program = compiled.program(tokens=True, batched=batched)
        assert bool(program.parameters.lookups) == expected
        assert "list_tokens" not in compiled.program(tokens=False, batched=batched).source


def test_a_small_vocabulary_has_no_lookups():
    compiled = myrnn.compiler.compile(myrnn.RNN(500, 4, 2), check=False)
    assert "list_tokens" not in compiled.program(tokens=True, batched=True).source
