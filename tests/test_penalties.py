"""Penalties: functions of the parameters that are compiled with the model and added to its loss."""

import re
from itertools import count

import mygrad as mg
import numpy as np
import pytest

from marks import most_are_long
from myrnn import GRU, LSTM, RNN, Adam, Sequences, train
from myrnn.compiler.loss import PenaltyGraph, trace_penalty
from myrnn.errors import CompileError
from myrnn.optimizers import SGD
from myrnn.tasks import TwinHalves

TASK = TwinHalves(1, 3)


def squares(model):
    return 0.01 * sum(((p**2).sum() for p in model.parameters), mg.tensor(0.0))


def sizes(model):
    return 0.001 * mg.abs(model.fc_x2h.weight).sum() + 0.1 * mg.sqrt((model.fc_h2y.weight**2).sum())


def orthogonal(model):
    weight = model.fc_h2h.weight
    return 0.1 * ((weight.T @ weight - np.eye(len(weight), dtype=np.float32)) ** 2).sum()


def nuclear(model):
    """Reads single rows and columns of a weight."""
    weight = model.fc_h2h.weight
    return 0.1 * mg.exp(weight[0] * weight[:, 1]).mean() + 0.2 * (weight[1:3] - weight[:2]).std()


def trained(penalty, engine, model=None, task=TASK, batch_size=1, optimizer=SGD, **options):
    model = RNN(10, 6, 2, rng=0, activation="tanh") if model is None else model
    options = {"seed": 1, "report_every": 1, "progress": False, **options}
    history = train(model, task, optimizer(model.parameters, learning_rate=0.05), 30, batch_size, engine=engine,
                    penalty=penalty, **options)  # fmt: skip
    assert history.engine == engine
    return history.loss, [p.data for p in model.parameters]


def assert_alike(one, other):
    np.testing.assert_allclose(one[0], other[0], rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(one[1], other[1], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("batch_size", [pytest.param(1, marks=pytest.mark.long), 4])
@pytest.mark.parametrize("penalty", most_are_long([squares, sizes, orthogonal, nuclear], 4))
def test_both_engines_learn_the_same(penalty, batch_size):
    found = [trained(penalty, engine, batch_size=batch_size) for engine in ("native", "mygrad")]
    assert_alike(*found)
    without = trained(None, "native", batch_size=batch_size)
    assert max(np.abs(a - b).max() for a, b in zip(found[0][1], without[1], strict=True)) > 1e-3


@pytest.mark.long
@pytest.mark.parametrize("kind", [GRU, LSTM])
def test_cells_with_gates_and_momentum(kind):
    def make():
        return kind(10, 5, 2, rng=0)

    assert_alike(*(trained(squares, e, make(), batch_size=3, optimizer=Adam) for e in ("native", "mygrad")))


@pytest.mark.long
@pytest.mark.usefixtures("in_python")
def test_threads_add_it_once(monkeypatch):
    monkeypatch.setattr("myrnn.training.native.shards_for", lambda *arguments: 2)
    two = trained(squares, "native", batch_size=8)
    monkeypatch.undo()
    assert_alike(two, trained(squares, "native", batch_size=8))


def test_the_parts_of_a_batch_add_it_once():
    # More sequences than a program gets at once.
    def trained(engine):
        model = RNN(10, 6, 2, rng=0, activation="tanh")
        history = train(model, TASK, SGD(model.parameters, learning_rate=0.05), 2, 70, engine=engine, penalty=squares,
                        seed=1, report_every=1, progress=False)  # fmt: skip
        return history.loss, [p.data for p in model.parameters]

    assert_alike(trained("native"), trained("mygrad"))


@pytest.mark.long
def test_rows_of_an_embedding_without_symbols_in_the_batch_are_penalized():
    symbols = 5000
    data = Sequences([1, 2, 3, 2], [0, 2, 4], [0, 1], symbols)
    make = lambda: RNN(symbols, 4, 2, rng=0, activation="tanh")  # noqa: E731
    first = make().fc_x2h.weight.data.copy()
    found = [trained(squares, engine, make(), data) for engine in ("native", "mygrad")]
    assert_alike(*found)
    assert np.abs(found[0][1][0][100] - first[100]).max() > 1e-4


class Unused(RNN):
    """Has a parameter that only the penalty reads."""

    def __init__(self):
        super().__init__(10, 4, 2, rng=0)
        self.scale = mg.tensor(np.ones(3, dtype=np.float32))

    @property
    def parameters(self):
        return (*super().parameters, self.scale)


@pytest.mark.usefixtures("in_python")
def test_a_parameter_that_only_the_penalty_reads_is_trained():
    found = [trained(lambda model: (model.scale**2).sum(), e, Unused(), optimizer=Adam) for e in ("native", "mygrad")]
    assert_alike(*found)
    assert np.abs(found[0][1][-1]).max() < 0.2


@pytest.mark.long
def test_it_is_added_to_losses_of_other_kinds_and_of_every_step():
    rng = np.random.default_rng(0)
    data = Sequences(rng.normal(size=(9, 3)), [0, 4, 9], rng.normal(size=(2, 2)))
    make = lambda: RNN(3, 5, 2, rng=0, activation="tanh")  # noqa: E731
    assert_alike(*(trained(squares, e, make(), data, 2, loss="huber") for e in ("native", "mygrad")))


def looking(model):
    weight = model.fc_h2h.weight
    return (weight**2).sum() if weight.data.max() > 0 else (weight**4).sum()


CALLS = count()


def counting(model):
    return next(CALLS) * model.fc_h2h.weight.sum()


@pytest.mark.parametrize(
    ("penalty", "why"),
    [
        (counting, "two calls of it compute different things"),
        (
            looking,
            "it inspects numbers of the parameters, and may behave differently for others:\n  test_penalties.py:",
        ),
        (lambda model: mg.tensor(1.0), "it reads no parameter of the model"),
        (lambda model: mg.tensor((model.fc_h2h.weight.data**2).sum()), "it inspects numbers of the parameters"),
    ],
)
def test_a_penalty_without_a_native_form_gives_a_warning(penalty, why):
    model = RNN(10, 6, 2, rng=0)
    with pytest.raises(CompileError, match=f"^the penalty '.*' has no native form: {re.escape(why)}"):
        trace_penalty(penalty, model, model.parameters)
    with pytest.raises(CompileError, match="has no native form"):
        trained(penalty, "native")
    with pytest.warns(UserWarning, match="op by op with MyGrad, because the penalty"):
        train(model, TASK, SGD(model.parameters), 1, penalty=penalty, progress=False)


class Grows:
    """A penalty that a hook makes larger."""

    def __init__(self):
        self.factor = 0.0

    def __call__(self, model):
        return self.factor * (model.fc_h2h.weight**2).sum()

    def on_report(self, report):
        self.factor = 0.1 if report.iteration >= 10 else 0.0


@pytest.mark.long
def test_a_penalty_that_a_hook_changes_is_compiled_again():
    found = []
    for engine in ("auto", "mygrad"):
        model, penalty = RNN(10, 6, 2, rng=0, activation="tanh"), Grows()
        optimizer = SGD(model.parameters, learning_rate=0.05)
        options = {"report_every": 5, "progress": False, "hooks": [penalty], "engine": engine}
        history = train(model, TASK, optimizer, 30, penalty=penalty, **options)
        found.append((history.loss, [p.data for p in model.parameters]))
    assert_alike(*found)


def test_penalties_that_compute_the_same_are_equal():
    model = RNN(10, 6, 2, rng=0)
    one, other = (trace_penalty(squares, model, model.parameters) for _ in range(2))
    assert one == other and hash(one) == hash(other) and one is not other
    assert one != trace_penalty(orthogonal, model, model.parameters)
    assert one.parameters == set(range(len(model.parameters))) and not one.has_changed(model, model.parameters)
    assert type(one) is PenaltyGraph
