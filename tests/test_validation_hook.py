"""Validation during training: the best weights, patience, and the state in checkpoints."""

import numpy as np
import pytest

from myrnn import RNN, Adam, tasks
from myrnn.errors import InvalidArgument, TrainingDiverged
from myrnn.training import Checkpoint, Validation, train
from myrnn.training.loop import Training

TASK = tasks.TwinHalves(1, 2)


class Counter:
    """A user-defined hook with a state."""

    def __init__(self, name="counter"):
        self.state_name, self.seen = name, 0

    def on_report(self, report):
        self.seen += 1

    def state(self):
        return {"seen": np.array([self.seen])}

    def restore(self, arrays):
        self.seen = int(arrays["seen"][0])


class Stops:
    """A hook that stops a training before it begins."""

    def on_train_begin(self, start):
        start.stop()


def new(*hooks, losses=(), patience=None):
    """Return a model, its training with these hooks, and its validation by these losses, if any."""
    model = RNN(10, 3, 2, rng=0)
    left = iter(losses)
    validation = Validation(model, lambda: (next(left), 0.5), patience)
    hooks = [*hooks, *([validation] if losses else [])]
    training = Training(model, TASK, Adam(model.parameters), engine="mygrad", report_every=5, hooks=hooks)
    return model, training, validation


def contents(model):
    return [parameter.data.tobytes() for parameter in model.parameters]


def test_a_plateau_is_no_improvement():
    _, training, validation = new(losses=[3, 1, 1, 1, 1], patience=2)
    training.run(100)
    assert (training.iteration, validation.reports, validation.best) == (20, 4, 2)


def test_the_best_weights_are_kept_and_patience_ends():
    model, training, validation = new(losses=[3, 1, 2, 2, 2], patience=2)
    training.run(10)
    best = contents(model)
    training.run(90)
    assert (training.iteration, validation.reports, validation.best) == (20, 4, 2)
    assert contents(model) != best
    validation.use_best()
    assert contents(model) == best


def test_short_turns_are_also_validated():
    _, training, validation = new(losses=[1, 2], patience=1)
    training.advance(5)
    training.advance(5)
    assert validation.is_over


def test_a_loss_that_is_not_finite_is_a_divergence():
    _, training, _ = new(losses=[np.nan])
    with pytest.raises(TrainingDiverged, match=r"^after report 1 the validation loss is nan"):
        training.run(5)


def test_without_a_report_there_is_no_best():
    with pytest.raises(InvalidArgument, match="there was no report yet"):
        new()[2].use_best()


NO_COUNTS = "the state does not say how many reports were validated, and which was the best"
NO_WEIGHTS = "the state has no best weights of this model's shapes"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: {}, NO_COUNTS),
        (lambda arrays: {**arrays, "reports": np.array([2, 3])}, NO_COUNTS),
        (lambda arrays: {**arrays, "reports": np.array([2.0, 1.0])}, NO_COUNTS),
        (lambda arrays: {**arrays, "best.0": np.zeros(3, dtype=np.float32)}, NO_WEIGHTS),
        (
            lambda arrays: {**arrays, "best.0": np.full_like(arrays["best.0"], np.nan)},
            "what was validated must be finite float32, but there is nan",
        ),
        (
            lambda arrays: {**arrays, "validation_loss": np.zeros(1)},
            "the state has not been validated at each of 2 reports",
        ),
        (lambda arrays: {name: array for name, array in arrays.items() if name != "best.1"}, NO_WEIGHTS),
    ],
)
def test_a_state_that_does_not_fit_is_refused(change, message):
    _, training, validation = new(losses=[3, 2])
    training.run(10)
    arrays = validation.state()
    _, _, fresh = new()
    fresh.restore(arrays)
    assert (fresh.reports, fresh.best, fresh.columns) == (2, 2, validation.columns)
    with pytest.raises(InvalidArgument, match=f"^{message}"):
        fresh.restore(change(arrays))


def test_checkpoints_contain_the_states_of_hooks(tmp_path):
    model, whole = RNN(10, 3, 2, rng=0), Counter()
    options = {"engine": "mygrad", "report_every": 5, "progress": False}
    train(model, TASK, Adam(model.parameters), 20, hooks=[whole], checkpoint=Checkpoint(tmp_path, every=0), **options)
    again, counter = RNN(10, 3, 2, rng=1), Counter()
    train(again, TASK, Adam(again.parameters), 30, hooks=[counter], checkpoint=tmp_path, resume=True, **options)
    assert (whole.seen, counter.seen) == (4, 6)
    other = RNN(10, 3, 2, rng=1)
    with pytest.raises(InvalidArgument, match="with a hook 'counter', which is not given"):
        train(other, TASK, Adam(other.parameters), 40, checkpoint=tmp_path, resume=True, **options)


@pytest.mark.parametrize(
    ("hooks", "message"),
    [
        ([Counter(), Counter()], "state_name must be an identifier that no other hook has, not 'counter'"),
        ([Counter("a.b")], "state_name must be an identifier that no other hook has, not 'a.b'"),
        ([type("Odd", (), {"state_name": "odd", "on_report": print})()], "the hook 'odd' has a state_name, and needs"),
    ],
)
def test_hooks_whose_states_cannot_be_saved_are_refused(hooks, message):
    with pytest.raises(InvalidArgument, match=message):
        new(*hooks)


def test_a_hook_may_stop_a_training():
    _, training, _ = new(Stops())
    training.run(5)
    assert training.iteration == 0
    _, training, _ = new(losses=[1, 2], patience=1)
    training.run(50)
    assert training.iteration == 10
