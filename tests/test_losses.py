"""Losses by name: their numbers, and that a registered loss is available everywhere at once."""

import json
import pickle
from pathlib import Path

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.activations import logsoftmax, softmax
from mygrad.nnet.losses import softmax_crossentropy

import myrnn
from myrnn import RNN, SGD, Experiment, tasks, train
from myrnn.cli import main
from myrnn.errors import CompileError, InvalidArgument
from myrnn.losses import huber, mean_loss, mean_of_logits, sigmoid_cross_entropy
from myrnn.registry import kinds, register
from myrnn.runs import load_run

LOGITS = np.random.default_rng(0).normal(size=(6, 3))
LABELS = np.array([0, 2, 1, 1, 0, 2])
WEIGHTS = np.array([1.0, 0.5, 2.0])


def smoothed(logits, labels, share: float = 0.2):
    """Label smoothing: a share of the target is spread over all classes."""
    log = logsoftmax(logits)
    chosen = log[np.arange(len(labels)), labels]
    return -((1 - share) * chosen + share * log.mean(axis=1))


def brier(logits, labels):
    """The squared distance between the probabilities and the truth."""
    return ((softmax(logits) - np.eye(logits.shape[1])[labels]) ** 2).sum(axis=1)


@pytest.fixture
def registered(monkeypatch):
    parts = ("task", "model", "optimizer", "schedule", "loss")
    monkeypatch.setattr("myrnn.registry._KINDS", {part: dict(kinds(part)) for part in parts})
    register("loss", "smoothed")(smoothed)
    register("loss", "brier")(brier)


def test_cross_entropy_agrees_with_mygrad():
    logits = mg.tensor(LOGITS)
    found = mean_loss("cross-entropy", logits, LABELS)
    assert found.item() == softmax_crossentropy(LOGITS, LABELS).item()
    weighted = mean_loss("cross-entropy", mg.tensor(LOGITS), LABELS, WEIGHTS)
    shares = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    expected = np.mean(-np.log(shares[np.arange(6), LABELS]) * WEIGHTS[LABELS])
    assert weighted.item() == pytest.approx(expected, rel=1e-12)
    assert mean_of_logits("cross-entropy", LOGITS, LABELS, WEIGHTS) == pytest.approx(expected, rel=1e-12)


NUMBERS = np.random.default_rng(1).normal(scale=2, size=(6, 3))
TRUTHS = NUMBERS > 0
ROWS = np.array([0.0, 1, 2, 0.5, 0, 3])


def by_formula(name, outputs):
    """Return the losses of the rows by the formulas in papers."""
    if name == "sigmoid-cross-entropy":
        shares = 1 / (1 + np.exp(-outputs))
        return -np.mean(np.where(TRUTHS, np.log(shares), np.log(1 - shares)), axis=1)
    off = np.abs(outputs - NUMBERS)
    return np.mean(off**2 if name == "mean-squared-error" else np.where(off < 1, off**2 / 2, off - 0.5), axis=1)


@pytest.mark.parametrize("weights", [None, ROWS])
@pytest.mark.parametrize("name", ["sigmoid-cross-entropy", "mean-squared-error", "huber"])
def test_losses_and_their_gradients_are_those_of_the_formulas(name, weights):
    targets, outputs = TRUTHS if name == "sigmoid-cross-entropy" else NUMBERS.astype(np.float32), mg.tensor(LOGITS)
    found = mean_loss(name, outputs, targets, None, weights)
    assert found.item() == pytest.approx(np.average(by_formula(name, LOGITS), weights=weights), rel=1e-6)
    found.backward()
    for place in np.ndindex(LOGITS.shape):
        moved = [LOGITS.copy(), LOGITS.copy()]
        moved[0][place] += 1e-6
        moved[1][place] -= 1e-6
        ends = [np.average(by_formula(name, one), weights=weights) for one in moved]
        assert outputs.grad[place] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-4, abs=1e-7)


def test_sigmoid_cross_entropy_is_exact_at_the_ends():
    outputs = mg.tensor(np.array([[0.0], [0.0], [40.0], [1e4], [1e4], [-1e4], [-1e4]], dtype=np.float32))
    truths = np.array([[True], [False], [True], [True], [False], [True], [False]])
    losses = sigmoid_cross_entropy(outputs, truths.astype(np.float32))
    np.testing.assert_allclose(losses, [np.log(2), np.log(2), np.exp(-40.0), 0, 1e4, 1e4, 0], rtol=1e-6)
    losses.sum().backward()
    np.testing.assert_allclose(outputs.grad.ravel(), [-0.5, 0.5, 0, 0, 1, -1, 0], atol=1e-12)


def test_huber_bends_where_the_difference_is_one():
    outputs = mg.tensor(np.array([[0.0], [0.5], [1], [-1], [3], [-700]]))
    losses = huber(outputs, np.zeros((6, 1)))
    assert losses.data.tolist() == [0, 0.125, 0.5, 0.5, 2.5, 699.5]
    losses.sum().backward()
    np.testing.assert_allclose(outputs.grad.ravel(), [0, 0.5, 1, -1, 1, -1])


def test_rows_of_weight_0_have_no_loss():
    outputs = mg.tensor(LOGITS)
    found = mean_loss("cross-entropy", outputs, LABELS, WEIGHTS, np.zeros(6))
    found.backward()
    assert found.item() == 0
    assert not outputs.grad.any()


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("name", ["smoothed", "brier"])
def test_gradients_agree_with_differences(registered, name, weights):
    logits = mg.tensor(LOGITS)
    mean_loss(name, logits, LABELS, weights).backward()
    step = 1e-6
    for place in [(0, 0), (2, 1), (5, 2)]:
        up, down = LOGITS.copy(), LOGITS.copy()
        up[place] += step
        down[place] -= step
        ends = (mean_of_logits(name, moved, LABELS, weights) for moved in (up, down))
        assert logits.grad[place] == pytest.approx((next(ends) - next(ends)) / (2 * step), rel=1e-5)


def test_a_registered_loss_is_known_everywhere(registered, tmp_path, monkeypatch, in_python, capsys):
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("sequence,label\n" + "ab,x\nba,y\nb,y\n" * 8)
    small = ("--dim-recurrent=3", "--loss=brier", "--quiet")
    short = "--task=twin-halves:pattern_length_max=2"
    assert main(["train", *small, short, "--iterations=40", "--samples=20", "--out=drawn"]) == 0
    assert main(["train", "--data=a.csv", *small, "--max-epochs=3", "--out=given"]) == 0
    for name in ("drawn", "given"):
        run = load_run(name)
        assert run.experiment.training.loss == "brier"
        assert run.history.engine == "native"
        # Of two classes it is 2 at most.
        assert run.history.loss.max() < 2
    assert (load_run("given").history.validation_loss < 2).all()
    capsys.readouterr()
    assert main(["train", "--data=a.csv", "--loss=brie"]) == 2
    assert capsys.readouterr().err == (
        "myrnn: --loss must be one of 'cross-entropy', 'sigmoid-cross-entropy', 'mean-squared-error', 'huber', "
        "'smoothed', 'brier', not 'brie'; did you mean 'brier'?\n"
    )
    results = myrnn.sweep(
        {
            "task": {"pattern_length_max": 2},
            "model": {"dim_recurrent": 2},
            "training": {"loss": ["cross-entropy", "smoothed"], "iterations": 20, "engine": "mygrad"},
            "evaluation": {"samples": 10},
        },
        "sweep",
        jobs=1,
        progress=False,
    )
    assert results.runs["training.loss"] == ["cross-entropy", "smoothed"]


@pytest.mark.parametrize("named", [{}, {"loss": "cross-entropy"}])
def test_a_loss_is_kept_in_files_if_it_is_named(named):
    experiment = Experiment(training=named)
    assert experiment.to_dict()["training"].get("loss") == named.get("loss")
    assert pickle.loads(pickle.dumps(experiment)) == experiment
    assert Experiment.read(json.loads(json.dumps(experiment.to_dict()))) == experiment


TASK = tasks.TwinHalves(1, 2, alphabet_size=3)


def trained(loss, engine="mygrad", task=TASK, **options):
    model = RNN(3, 4, 2, rng=0)
    optimizer = SGD(model.parameters, learning_rate=0.1)
    history = train(model, task, optimizer, 30, loss=loss, engine=engine, report_every=10, **options)
    return model, history


def test_training_minimises_the_loss(registered):
    pairs = list(TASK.sample(30, np.random.default_rng(0)))
    model, history = trained("smoothed", task=iter(pairs))
    same = RNN(3, 4, 2, rng=0)
    optimizer, losses = SGD(same.parameters, learning_rate=0.1), []
    for x, y in pairs:
        loss = smoothed(same(x), y.astype(np.int64)).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert history.engine == "mygrad"
    np.testing.assert_allclose(history.loss, np.reshape(losses, (3, 10)).mean(axis=1), rtol=1e-6)
    for one, other in zip(model.parameters, same.parameters, strict=True):
        assert np.array_equal(one.data, other.data)


def test_a_loss_without_a_native_form_says_so(registered, tmp_path):
    @register("loss", "looking")
    def looking(logits, labels):
        return (logits**2).sum(axis=1) * float(np.abs(logits.data).max() < 1e9)

    with pytest.raises(CompileError, match="the loss 'looking' has no native form: it inspects numbers"):
        trained("looking", "native")
    with pytest.warns(UserWarning, match="op by op with MyGrad, because the loss 'looking' has no native form"):
        trained("looking", "auto")
    trained("brier", checkpoint=tmp_path)
    with pytest.raises(InvalidArgument, match="loss"):
        trained("smoothed", checkpoint=tmp_path, resume=True)


def test_an_invalid_loss_is_refused(registered):
    register("loss", "mean")(lambda logits, labels: softmax_crossentropy(logits, labels))
    register("loss", "array")(lambda logits, labels: np.zeros(len(labels)))
    for name, what in (("mean", "shape \\(\\)"), ("array", "shape \\(1,\\)")):
        with pytest.raises(InvalidArgument, match=f"the loss '{name}' must return a tensor of shape .*, not {what}"):
            trained(name)
    with pytest.raises(InvalidArgument, match="loss must be one of 'cross-entropy'"):
        trained("mea")
