"""Training on targets of every kind: losses, gradients and scores agree with NumPy; invalid combinations."""

import re
from functools import partial
from itertools import product

import mygrad as mg
import numpy as np
import pytest
from scipy.special import expit, log_softmax, logsumexp

from myrnn import RNN, SGD, Adam, Sequences, plots, train
from myrnn.errors import CompileError, InvalidArgument
from myrnn.learning_curve import LearningCurve
from myrnn.plots import LivePlot
from myrnn.runs import save_run
from myrnn.tasks import TwinHalves
from myrnn.training import Validation, measure
from myrnn.training.checkpoint import load_checkpoint
from myrnn.training.loop import Training
from myrnn.training.outputs import reference_logits
from targets_help import KINDS, LENGTHS, STEPS, Model, data, gaussian, smoothed


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


def outputs_by_numpy(model, sequences, order):
    """Return the outputs of all rows in this order in float64, and the positions of the rows."""
    wx, wh, wy, by = (p.data.astype(np.float64) for p in model.parameters)
    outputs, places = [], []
    for index in order:
        h = np.zeros((1, 4))
        begin, end = sequences.offsets[index : index + 2]
        for place in range(begin, end):
            h = np.tanh(sequences.values[place][np.newaxis].astype(np.float64) @ wx + h @ wh)
            if model.per_step:
                outputs.append(h @ wy + by)
                places.append(place)
        if not model.per_step:
            outputs.append(h @ wy + by)
            places.append(index)
    return np.concatenate(outputs), np.array(places)


def loss_and_score_by_numpy(model, sequences, order):
    outputs, places = outputs_by_numpy(model, sequences, order)
    targets = sequences.targets[places].astype(np.float64)
    weights = np.ones(len(places)) if sequences.weights is None else sequences.weights[places].astype(np.float64)
    if targets.ndim == 1:
        classes = targets.astype(int)
        losses = -log_softmax(outputs, axis=1)[np.arange(len(classes)), classes]
        scores = outputs.argmax(axis=1) == classes
    elif sequences.targets.dtype == bool:
        losses = np.mean(np.logaddexp(0, outputs) - outputs * targets, axis=1)
        scores = np.mean((expit(outputs) > 0.5) == (targets > 0), axis=1)
    else:
        losses = np.mean((outputs - targets) ** 2, axis=1)
        scores = losses
    counted = weights > 0
    return np.sum(weights * losses) / weights.sum(), scores[counted].sum() / counted.sum()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("what", "per_step"), KINDS)
def test_loss_score_and_gradient_are_those_of_the_formulas(what, per_step, weighted):
    sequences, order = data(what, per_step, weighted), np.arange(len(LENGTHS))
    model = Model(per_step)
    loss, score = loss_and_score_by_numpy(model, sequences, order)
    assert measure(model, sequences) == (pytest.approx(loss, rel=1e-5), pytest.approx(score, rel=1e-5))
    before = [p.data.copy() for p in model.parameters]
    history = train(model, sequences, SGD(model.parameters, learning_rate=1.0), 1, len(LENGTHS), engine="mygrad")
    assert history.loss[0] == pytest.approx(loss, rel=1e-5)
    assert history.score[0] == pytest.approx(score, rel=1e-5)
    assert history.metric == ("squared_error" if what == "numbers" else "accuracy")
    # A step of SGD with rate 1 is the gradient.
    moved = [old - p.data for old, p in zip(before, model.parameters, strict=True)]
    for p, old in zip(model.parameters, before, strict=True):
        p.data[...] = old
    exact = Model(per_step, dtype=np.float64)
    for p, gradient in zip(exact.parameters, moved, strict=True):
        for place in product(*map(range, p.shape)):
            kept, ends = p.data[place], []
            for step in (1e-5, -1e-5):
                p.data[place] = kept + step
                ends.append(loss_and_score_by_numpy(exact, sequences, order)[0])
            p.data[place] = kept
            assert gradient[place] == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=2e-5)


def test_the_mean_is_over_all_steps_of_a_batch_not_over_sequences():
    """By hand: one sequence of 1 step with loss a, one of 3 steps with loss b each, is (a + 3 b) / 4."""
    sequences = Sequences(np.zeros((4, 3)), [0, 1, 4], [3.0, 1, 1, 1], per_step=True)
    model = Model(True, outputs=1)
    model.by.data[...] = 0
    history = train(model, sequences, SGD(model.parameters, learning_rate=0.0), 1, 2, engine="mygrad")
    assert history.loss[0] == history.squared_error[0] == pytest.approx((9 + 3 * 1) / 4)


def test_class_weights_of_steps_work_as_for_sequences():
    sequences, model = data("class", True, weighted=True), Model(True)
    outputs, places = outputs_by_numpy(model, sequences, range(len(LENGTHS)))
    classes, weights = sequences.targets[places], sequences.weights[places].astype(np.float64)
    losses = -log_softmax(outputs, axis=1)[np.arange(STEPS), classes] * np.array([3.0, 0.5])[classes]
    expected = np.sum(losses * weights) / weights.sum()
    assert measure(model, sequences, class_weight=[3, 0.5])[0] == pytest.approx(expected, rel=1e-5)
    history = train(model, sequences, SGD(model.parameters), 1, len(LENGTHS), engine="mygrad", class_weight=[3, 0.5])
    assert history.loss[0] == pytest.approx(expected, rel=1e-5)


def test_steps_of_weight_0_change_nothing():
    """Steps of weight 0 at the end change nothing, whatever their targets."""
    values = np.random.default_rng(3).normal(size=(5, 3))
    short = Sequences(values[:3], [0, 3], [[1.0], [2], [3]], per_step=True)
    long = Sequences(values, [0, 5], [[1.0], [2], [3], [700], [-5]], per_step=True, weights=[1, 1, 1, 0, 0])
    models = [Model(True, outputs=1) for _ in range(2)]
    for model, sequences in zip(models, (short, long), strict=True):
        train(model, sequences, SGD(model.parameters, learning_rate=0.05), 3, engine="mygrad")
    for one, other in zip(models[0].parameters, models[1].parameters, strict=True):
        np.testing.assert_allclose(one.data, other.data, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("per_step", [False, True])
def test_a_batch_of_weight_0_has_no_loss_and_changes_nothing(per_step):
    sequences = Sequences(
        np.ones((2, 3)),
        [0, 2],
        [[1.0]] * (2 if per_step else 1),
        per_step=per_step,
        weights=[0] * (2 if per_step else 1),
    )
    model = Model(per_step, outputs=1)
    before = [p.data.copy() for p in model.parameters]
    history = train(model, sequences, SGD(model.parameters), 2, engine="mygrad")
    assert (history.loss[0], history.squared_error[0]) == (0, 0)
    assert all(np.array_equal(p.data, old) for p, old in zip(model.parameters, before, strict=True))


def test_empty_sequences_have_no_step_targets():
    sequences = Sequences(np.ones((2, 3)), [0, 0, 2], [1.0, 1.0], per_step=True)
    assert reference_logits(Model(True, 1), sequences).shape == (2, 1)
    model = Model(True, outputs=1)
    training = Training(model, sequences, SGD(model.parameters), engine="mygrad")
    losses, _ = training.advance(6)
    assert np.sum(losses == 0) == 3
    with pytest.raises(
        InvalidArgument, match=r"returned shape \(0, 1\)|the model fails on a sequence of shape \(0, 3\)"
    ):
        none = Sequences(np.zeros((0, 3)), [0, 0], [], per_step=True)
        train(model, none, SGD(model.parameters), 1, engine="mygrad")


# --- user-defined losses


def test_a_function_is_a_loss(tmp_path):
    sequences, model = data("class", True), Model(True)
    outputs, places = outputs_by_numpy(model, sequences, range(len(LENGTHS)))
    log = outputs - logsumexp(outputs, axis=1, keepdims=True)
    expected = np.mean(-(0.9 * log[np.arange(STEPS), sequences.targets[places]] + 0.1 * log.mean(axis=1)))
    history = train(model, sequences, SGD(model.parameters), 1, len(LENGTHS), engine="mygrad", loss=smoothed)
    assert history.loss[0] == pytest.approx(expected, rel=1e-5)


def test_a_negative_loss_can_be_trained_and_resumed(tmp_path):
    def job(**options):
        model = Model(True)
        train(
            model,
            data("numbers", True),
            Adam(model.parameters),
            engine="mygrad",
            loss=gaussian,
            report_every=3,
            **options,
        )
        return [p.data.tobytes() for p in model.parameters]

    whole = job(iterations=20)
    job(iterations=9, checkpoint=tmp_path)
    assert load_checkpoint(tmp_path).arrays["reports.loss"].min() < 0
    assert job(iterations=20, checkpoint=tmp_path, resume=True) == whole


@pytest.mark.parametrize(
    ("what", "loss", "message"),
    [
        ("numbers", "cross-entropy", "is for targets that are a class, but these are numbers (2) for each sequence"),
        (
            "class",
            "mean-squared-error",
            "is for targets that are numbers, but these are a class for each sequence",
        ),
        (
            "numbers",
            "sigmoid-cross-entropy",
            "is for targets that are several classes at once, but these are numbers (2) for each sequence",
        ),
        (
            "several",
            "huber",
            "is for targets that are numbers, but these are several classes at once (2) for each sequence",
        ),
    ],
)
def test_a_loss_is_for_targets_of_its_kind(what, loss, message):
    model = Model(False)
    with refused(f"the loss {loss!r} {message}"):
        train(model, data(what), SGD(model.parameters), 1, loss=loss)


def test_a_penalty_is_part_of_the_loss():
    def squares(model):
        return 0.5 * sum((p**2).sum() for p in model.parameters)

    sequences, model = data("numbers"), Model(False)
    expected = measure(model, sequences)[0] + 0.5 * sum(
        float((p.data.astype(np.float64) ** 2).sum()) for p in model.parameters
    )
    plain = Model(False)
    for one, penalty in ((plain, None), (model, squares)):
        history = train(one, sequences, SGD(one.parameters, learning_rate=0.1), 1, 6, engine="mygrad", penalty=penalty)
    assert history.loss[0] == pytest.approx(expected, rel=1e-5)
    # Its gradient is the weights.
    for p, other, old in zip(model.parameters, plain.parameters, Model(False).parameters, strict=True):
        np.testing.assert_allclose(p.data, other.data - 0.1 * old.data, rtol=1e-4, atol=1e-6)
    with refused("penalty must return a tensor of shape (), such as a sum, not one of shape (3, 4)"):
        train(model, sequences, SGD(model.parameters), 1, penalty=lambda model: model.wx)
    with refused("penalty must return a tensor of shape (), such as a sum, not 0.5"):
        train(model, sequences, SGD(model.parameters), 1, penalty=lambda model: 0.5)
    with refused("penalty must be a function of the model, not 0.1"):
        train(model, sequences, SGD(model.parameters), 1, penalty=0.1)
    rnn = RNN(10, 2, 2, rng=0)
    with pytest.raises(
        CompileError, match=r"^the penalty '.*' has no native form: it reads no parameter of the model$"
    ):
        train(rnn, TwinHalves(1, 2), SGD(rnn.parameters), 1, engine="native", penalty=lambda model: mg.tensor(1.0))


def test_a_penalty_does_not_hide_that_the_model_is_not_trained():
    class Detached(Model):
        def __call__(self, x):
            return mg.tensor(super().__call__(x).data, constant=True)

    model = Detached(False)
    with pytest.raises(InvalidArgument, match=r"^no gradient reaches any parameter"):
        train(model, data(), SGD(model.parameters), 1, engine="mygrad", penalty=lambda model: (model.wx**2).sum())


# --- invalid combinations


@pytest.mark.parametrize(
    ("sequences", "model", "message"),
    [
        (
            data("class", True),
            Model(False),
            "the targets are a class for each step, so the model must return outputs of shape (T, K) for K = 2 classes "
            "or more, but it returned shape (1, 2) for 5 steps",
        ),
        (
            data("numbers", True, columns=3),
            Model(True),
            "the targets are numbers (3) for each step, so the model must return outputs of shape (T, 3), but it "
            "returned shape (5, 2) for 5 steps",
        ),
        (
            data("several", columns=3),
            Model(False),
            "the targets are several classes at once (3) for each sequence, so the model must return outputs of shape "
            "(1, 3), but it returned shape (1, 2)",
        ),
        (
            data("numbers"),
            Model(True),
            "the targets are numbers (2) for each sequence, so the model must return outputs of shape (1, 2), but it "
            "returned shape (3, 2)",
        ),
        (
            data("class"),
            Model(True),
            "the model must return logits of shape (1, K), but returned shape (3, 2): of scores for each step, return "
            "the last row, [-1:]",
        ),
        (data("class", True, columns=5), Model(True), "a label is 4, but the model has 2 classes, 0 .. 1"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(sequences, model, message):
    with refused(message):
        train(model, sequences, SGD(model.parameters), 1, engine="mygrad")
    with refused(message):
        measure(model, sequences)


def test_class_weights_are_for_classes():
    model = Model(False)
    with refused("class_weight is for targets that are a class, but these are numbers (2) for each sequence"):
        train(model, data("numbers"), SGD(model.parameters), 1, class_weight=[1, 2])


class Changing:
    """A task whose targets change."""

    def __init__(self, *drawn):
        self.drawn = iter(drawn)

    def sample(self, n, rng):
        return next(self.drawn)[np.arange(n) % len(LENGTHS)]


def test_all_targets_of_a_training_have_one_kind(monkeypatch):
    monkeypatch.setattr("myrnn.training.feed.BLOCK", 6)
    model, task = Model(False), Changing(data("numbers"), data("numbers", weighted=True))
    with refused(
        "sequences with numbers (2) for each sequence, with weights turned up, but the first ones have numbers (2) "
        "for each sequence"
    ):
        train(model, task, SGD(model.parameters), 10, engine="mygrad")


# --- resuming, and validation


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("what", "per_step"), KINDS)
def test_a_training_resumes_bit_for_bit(what, per_step, weighted, tmp_path):
    sequences = data(what, per_step, weighted)

    def job(iterations, **options):
        model = Model(per_step)
        optimizer = Adam(model.parameters, learning_rate=0.05)
        history = train(model, sequences, optimizer, iterations, 2, engine="mygrad", report_every=4, **options)
        arrays = [*(p.data for p in model.parameters), *optimizer.m, *optimizer.v, *history.columns.values()]
        return [array.tobytes() for array in arrays]

    whole = job(14)
    job(8, checkpoint=tmp_path)
    assert job(14, checkpoint=tmp_path, resume=True) == whole


@pytest.mark.parametrize(("what", "per_step"), KINDS)
def test_a_training_resumes_between_two_reports(what, per_step):
    def job():
        model = Model(per_step)
        optimizer = Adam(model.parameters)
        return model, Training(model, data(what, per_step, True), optimizer, 2, engine="mygrad", report_every=4)

    (model, whole), (_, stopped), (other, further) = job(), job(), job()
    whole.advance(12)
    stopped.advance(6)
    further.restore(stopped.state())
    further.advance(6)
    for one, same in zip(model.parameters, other.parameters, strict=True):
        assert one.data.tobytes() == same.data.tobytes()
    for one, same in zip(whole.history.columns.values(), further.history.columns.values(), strict=True):
        assert one.tobytes() == same.tobytes()


def test_a_state_is_of_one_kind_of_targets(tmp_path):
    model = Model(True)
    train(model, data("numbers", True), SGD(model.parameters), 3, engine="mygrad", checkpoint=tmp_path)
    with refused(
        "targets must be what it was when the training was saved, 'numbers (2) for each step', not 'numbers (2) "
        "for each step, with weights'"
    ):
        train(
            model,
            data("numbers", True, True),
            SGD(model.parameters),
            5,
            engine="mygrad",
            checkpoint=tmp_path,
            resume=True,
        )
    with refused("the sequences must be those of the training that was saved, but these are others"):
        train(model, data("numbers", True, seed=1), SGD(model.parameters), 5, engine="mygrad", resume=tmp_path)


@pytest.mark.parametrize("name", ["since.scores", "since.counted", "reports.squared_error"])
def test_a_damaged_state_is_refused(name):
    model = Model(True)
    training = Training(model, data("numbers", True), SGD(model.parameters), engine="mygrad", report_every=4)
    training.run(4)
    training.advance(2)
    state = training.state()
    state.arrays[name][...] = -1
    with pytest.raises(InvalidArgument, match="0 or more"):
        training.restore(state)


def test_a_training_that_diverges_goes_back():
    sequences, model = data("numbers", True), Model(True)
    with pytest.warns(UserWarning, match="training resumes from iteration"):
        history = train(
            model,
            sequences,
            SGD(model.parameters, learning_rate=1e4),
            40,
            engine="mygrad",
            report_every=2,
            on_divergence="restart",
            schedule=lambda iteration: 0.01 if iteration < 10 else 1e4,
        )
    assert np.isfinite(history.loss).all()


def test_validation_keeps_the_best_weights_of_any_kind():
    learned, kept = data("numbers", True), data("numbers", True, seed=5)
    model = Model(True)
    watched = Validation(model, partial(measure, model, kept), metric="squared_error")
    optimizer = SGD(model.parameters, learning_rate=0.1)
    train(model, learned, optimizer, 30, 2, engine="mygrad", report_every=3, hooks=[watched])
    watched.use_best()
    best = min(watched.columns["validation_loss"])
    assert measure(model, kept) == (best, watched.columns["validation_squared_error"][watched.best - 1])
    with refused("metric must be one of 'accuracy', 'squared_error', not 'R2'"):
        Validation(model, metric="R2")


def test_a_history_of_numbers_has_squared_errors(tmp_path, capsys):
    sequences, model = data("numbers"), Model(False)
    plotter = LivePlot(["loss", "squared_error"])
    history = train(
        model, sequences, SGD(model.parameters), 4, 6, engine="mygrad", report_every=2, hooks=[plotter], progress=True
    )
    assert list(history.columns) == ["iteration", "loss", "squared_error"]
    assert history.chance is None
    with pytest.raises(AttributeError, match=r"^a LearningCurve with squared_error has no accuracy$"):
        history.accuracy  # noqa: B018
    assert f"squared error {history.squared_error[-1]:.4g}" in capsys.readouterr().err
    assert f"squared error {history.squared_error[0]:.4g} to {history.squared_error[-1]:.4g})" in repr(history)
    assert plotter.train_metrics["squared_error"]["epoch_data"].tolist() == history.squared_error.tolist()
    history.to_csv(tmp_path / "history.csv")
    again = LearningCurve.from_csv((tmp_path / "history.csv").read_bytes())
    assert again.squared_error.tolist() == history.squared_error.tolist()
    panels = plots.plot_learning_curve(history)
    assert [ax.get_ylabel() for ax in panels] == ["loss", "squared error"]
    with refused(
        "training reports loss and squared_error, but the plot was created for accuracy too; "
        "use create_plot(['loss', 'squared_error'])"
    ):
        train(model, sequences, SGD(model.parameters), 1, engine="mygrad", hooks=[LivePlot(["loss", "accuracy"])])
    rnn = RNN(10, 2, 2, rng=0)
    with refused("save_run saves a classifier, whose history has accuracy, not squared_error"):
        save_run(tmp_path / "run", task=TwinHalves(1, 2), model=rnn, optimizer=SGD(rnn.parameters), history=history)


def test_guessing_several_classes_is_half_right():
    model, sequences = Model(True), data("several", True)
    _, right = loss_and_score_by_numpy(model, sequences, range(len(sequences)))
    history = train(model, sequences, SGD(model.parameters), 1, len(sequences), engine="mygrad")
    assert history.chance == 0.5
    assert history.accuracy[0] == pytest.approx(right)
