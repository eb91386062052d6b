"""A stopped training resumes as if it had not stopped: weights, optimizer and history, byte for byte."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import mynn.optimizers.adam
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marks import the_rest_is_long
from myrnn.errors import InvalidArgument, RunError, TrainingDiverged
from myrnn.models import GRU, LSTM, RNN
from myrnn.optimizers import SGD, Adam, RMSprop
from myrnn.storage import FolderLock
from myrnn.tasks import Palindromes, TwinHalves
from myrnn.training import Checkpoint, TrainingReport, TrainingState, feed, train
from myrnn.training.checkpoint import load_checkpoint
from myrnn.training.loop import Training
from myrnn.training.restarts import Restarts

TASK = TwinHalves(pattern_length_max=3)
DATA = TASK.sample(7, np.random.default_rng(0))
OPTIMIZERS = {
    "sgd": lambda p: SGD(p, learning_rate=0.05),
    "momentum": lambda p: SGD(p, learning_rate=0.02, momentum=0.8, weight_decay=0.05),
    "rmsprop": RMSprop,
    "adam": Adam,
    "mynn": mynn.optimizers.adam.Adam,
}


def refused(message, kind=InvalidArgument):
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


class Job:
    """A small training, created in the same way each time."""

    def __init__(self, optimizer="adam", task=TASK, model=None, **options):
        self.model = RNN(10, 6, 2, rng=0) if model is None else model
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters)
        self.options = {"task": task, "seed": 3, "report_every": 10, "engine": "mygrad", **options}

    def training(self):
        return Training(self.model, optimizer=self.optimizer, **self.options)

    def train(self, iterations=40, **options):
        return train(self.model, optimizer=self.optimizer, iterations=iterations, **{**self.options, **options})

    def content(self):
        """Everything that the training has changed, as bytes."""
        memory = [a for name in ("m", "v", "param_moments") for a in getattr(self.optimizer, name, [])]
        arrays = [p.data for p in self.model.parameters] + memory
        return [array.tobytes() for array in arrays], getattr(self.optimizer, "t", 0), self.optimizer.learning_rate


def columns(history):
    arrays = (history.iteration, history.loss, history.accuracy)
    return [array.tobytes() for array in arrays], history.longest, history.engine


# --- the state


@pytest.mark.parametrize("batch_size", the_rest_is_long([1, 3], 3))
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_restored_training_gives_the_same_result(optimizer, batch_size):
    options = {"batch_size": batch_size, "gradient_clip": 0.5, "schedule": lambda iteration: 0.1 / (10 + iteration)}
    whole, first, second = (Job(optimizer, **options) for _ in range(3))
    history = whole.training().run(40)
    stopped = first.training()
    stopped.run(20)
    training = second.training()
    training.restore(stopped.state())
    assert training.iteration == 20
    assert columns(training.run(20)) == columns(history)
    assert second.content() == whole.content()


@pytest.mark.parametrize("batch_size", the_rest_is_long([1, 8], 8))
@pytest.mark.parametrize("optimizer", the_rest_is_long(["momentum", "rmsprop", "adam"], "adam"))
def test_native_training_resumes_bit_for_bit(optimizer, batch_size):
    def job():
        model = RNN(10, 12, 2, activation="tanh", rng=0)
        return Job(optimizer, TwinHalves(1, 4), model, batch_size=batch_size, engine="native", report_every=50)

    whole, first, second = job(), job(), job()
    history = whole.training().run(200)
    stopped = first.training()
    stopped.run(100)
    training = second.training()
    training.restore(stopped.state())
    assert columns(training.run(100)) == columns(history)
    assert second.content() == whole.content()


@pytest.mark.long
@given(stop=st.integers(1, 7), batch_size=st.integers(1, 5), seed=st.integers(0, 9), block=st.integers(5, 40))
@pytest.mark.parametrize(
    "task",
    [TASK, DATA, list(DATA)],
    ids=["task", "sequences", "pairs"],
)
def test_the_iteration_of_the_stop_makes_no_difference(task, stop, batch_size, seed, block):
    with pytest.MonkeyPatch.context() as patch:
        # Blocks of drawn sequences end anywhere.
        patch.setattr(feed, "BLOCK", block)
        options = {"task": task, "batch_size": batch_size, "seed": seed, "report_every": 2}
        whole, first, second = (Job(**options) for _ in range(3))
        history = whole.training().run(16)
        stopped = first.training()
        stopped.run(2 * stop)
        training = second.training()
        training.restore(stopped.state())
        assert columns(training.run(16 - 2 * stop)) == columns(history)
        assert second.content() == whole.content()


def test_a_state_contains_plain_values_and_arrays():
    job = Job()
    training = job.training()
    training.run(20)
    state = training.state()
    assert json.loads(json.dumps(state.values)) == state.values
    assert state.values["settings"] == {
        "batch_size": 1,
        "seed": 3,
        "report_every": 10,
        "gradient_clip": None,
        "class_weight": None,
        "schedule": "constant",
        "optimizer": "Adam",
        "learning_rate": 0.001,
        "weight_decay": 0.0,
        "beta1": 0.9,
        "beta2": 0.999,
        "eps": 1e-8,
    }
    assert all(type(array) is np.ndarray for array in state.arrays.values())
    assert state.arrays["parameter.fc_x2h.weight"].tobytes() == job.model.fc_x2h.weight.data.tobytes()
    # A copy, which further training does not change.
    before = {name: array.tobytes() for name, array in state.arrays.items()}
    training.run(10)
    assert {name: array.tobytes() for name, array in state.arrays.items()} == before


def test_a_training_that_has_not_begun_has_a_state():
    whole, second = Job(), Job()
    training = second.training()
    training.restore(Job().training().state())
    assert columns(training.run(20)) == columns(whole.training().run(20))


def test_taking_a_state_does_not_change_the_training():
    asked, whole = Job(task=DATA), Job(task=DATA)
    training = asked.training()
    for _ in range(4):
        training.run(10)
        training.state()
    whole.training().run(40)
    assert asked.content() == whole.content()


def test_a_training_without_a_state_says_so(tmp_path):
    message = (
        "a training on an iterator cannot be resumed, because its sequences are gone: "
        "train on a task, a Sequences or a list of (x, y)"
    )
    with refused(message):
        Job(task=iter(DATA)).training().state()
    with refused(message):
        Job(task=iter(DATA)).train(checkpoint=tmp_path / "checkpoints")
    assert not (tmp_path / "checkpoints").exists()


class Moves:
    """A user-defined optimizer; subclasses define its state."""

    def __init__(self, params, learning_rate=0.05):
        self.params, self.learning_rate = list(params), learning_rate

    def step(self):
        for index, parameter in enumerate(self.params):
            parameter.data -= self.learning_rate * self.direction(index, parameter.grad)


class Averages(Moves):
    """Has a state in attributes: arrays by name and in a list, Python and NumPy numbers, and text."""

    def __init__(self, params, learning_rate=0.05, decay=0.9, kinds=("mean", 2)):
        super().__init__(params, learning_rate)
        self.decay, self.kinds, self.norm = decay, kinds, np.tanh
        self.mean = [np.zeros_like(parameter.data) for parameter in self.params]
        self.sizes = {"largest": np.zeros(1), 2: np.zeros(3, dtype=np.int64)}
        self._calls, self.loudest, self.last, self.phase, self.recent = 0, np.float32(0), None, "first", (0.0, 0)

    def direction(self, index, gradient):
        self._calls += 1
        self.mean[index] = self.decay * self.mean[index] + (1 - self.decay) * gradient
        self.loudest = max(self.loudest, np.abs(gradient).max())
        self.sizes["largest"][0] += self.loudest
        self.sizes[2][index % 3] += 1
        self.recent, self.last = (float(self.loudest), self._calls), 1 / self._calls
        self.decay *= 0.999
        if self._calls > 150:
            self.phase = "second"
        return self.norm(self.mean[index]) + 1e-3 * self.last + (self.phase == "second") * self.recent[0]


class Late(Moves):
    """Defines its state itself; the state grows."""

    def __init__(self, params, learning_rate=0.05):
        super().__init__(params, learning_rate)
        self._sums, self._count = {}, 0

    def direction(self, index, gradient):
        self._count += 1
        before = self._sums.get(index, 0.0)
        self._sums[index] = before + gradient**2
        return gradient / (1 + np.sqrt(self._sums[index])) + self._count * 1e-4

    def state_dict(self):
        return {**{f"sum {index}": array for index, array in self._sums.items()}, "count": self._count}

    def load_state_dict(self, state):
        self._count = state["count"]
        places = sorted(int(name.removeprefix("sum ")) for name in state if name != "count")
        self._sums = {place: state[f"sum {place}"] for place in places}


@pytest.mark.parametrize("kind", [Averages, Late, Moves])
def test_a_user_defined_optimizer_resumes_bit_for_bit(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(Moves, "direction", lambda self, index, gradient: gradient, raising=False)
    monkeypatch.setitem(OPTIMIZERS, "own", kind)
    whole, first, second = (Job("own") for _ in range(3))
    history = whole.train(60)
    with pytest.raises(KeyboardInterrupt):
        first.train(60, checkpoint=Checkpoint(tmp_path, every=0, share=1e9), hooks=[Stopping("on_reported", 30)])
    assert columns(second.train(60, checkpoint=tmp_path, resume=True)) == columns(history)
    assert second.content() == whole.content()
    plain = [{k: repr(v) for k, v in vars(job.optimizer).items() if k != "params"} for job in (second, whole)]
    assert plain[0] == plain[1]


@pytest.mark.filterwarnings("ignore:the loss is")
def test_a_user_defined_optimizer_goes_back_when_a_training_diverges(monkeypatch):
    monkeypatch.setitem(OPTIMIZERS, "own", Averages)
    job, seen = Job("own", schedule=Exploding(25, 1e38), on_divergence="restart"), []

    class Watching:
        def on_train_begin(self, start):
            self.start = start

        def on_report(self, report):
            seen.append((report.iteration, job.optimizer._calls))

    with pytest.raises(TrainingDiverged, match="also after 5 restarts"):
        job.train(hooks=[Watching()])
    # Eight parameters per step; after every restart it has counted those of 20 iterations again.
    assert seen[:2] == [(10, 10 * len(job.model.parameters)), (20, 20 * len(job.model.parameters))]


class Inside(Moves):
    def __init__(self, params, learning_rate=0.05):
        super().__init__(params, learning_rate)
        self.inner = Adam(params)

    def step(self):
        self.inner.step()


class Making(Moves):
    def direction(self, index, gradient):
        self.latest = gradient
        return gradient


class Unbounded(Moves):
    def __init__(self, params, learning_rate=0.05):
        super().__init__(params, learning_rate)
        self.best = np.inf

    direction = Making.direction


class Nesting(Late):
    def state_dict(self):
        return {"groups": [super().state_dict()]}


MADE = "make them in its constructor"
HOW = "give it the methods state_dict() and load_state_dict(state)"


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Inside, f"because its inner is neither arrays nor numbers: {HOW}, whose state has arrays and numbers by name"),
        (
            Nesting,
            f"because its groups is neither arrays nor numbers: {HOW}, whose state has arrays and numbers by name",
        ),
        (
            Making,
            f"because it made or changed arrays while it trained: {MADE}, or {HOW}",
        ),
        (Unbounded, "because its best is inf"),
    ],
)
def test_an_optimizer_whose_state_cannot_be_saved_is_refused(tmp_path, monkeypatch, kind, message):
    monkeypatch.setitem(OPTIMIZERS, "own", kind)
    with refused(f"a training with {kind.__name__} cannot be saved and resumed, {message}"):
        Job("own").train(checkpoint=Checkpoint(tmp_path, every=0, share=1e9))
    # Without a checkpoint it trains.
    Job("own").train()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step": 5}, "the state has 'step' of the optimizer, which this training does not have"),
        ({"decay": "fast"}, "decay of the optimizer must be a number, not 'fast'"),
        ({"_calls": [1]}, "_calls of the optimizer must be a number or text, not [1]"),
        ({"_calls": {"type": "object", "value": 1}}, "_calls of the optimizer must be a number or text, not {'type': "),
        ({"_calls": {"type": "int8", "value": 999}}, "_calls of the optimizer must be a number or text, not {'type': "),
    ],
)
def test_an_optimizer_state_that_is_invalid(monkeypatch, change, message):
    monkeypatch.setitem(OPTIMIZERS, "own", Averages)
    training = Job("own").training()
    state = training.state()
    changed = {**state.values, "optimizer": {**state.values["optimizer"], **change}}
    with pytest.raises(InvalidArgument, match="^" + re.escape(message)):
        training.restore(TrainingState(changed, state.arrays))


class Stopping:
    """A hook that interrupts."""

    def __init__(self, event, at):
        setattr(self, event, self._stop)
        self._at = at

    def _stop(self, told):
        if getattr(told, "iteration", told) >= self._at:
            raise KeyboardInterrupt


def test_an_interrupted_iteration_has_no_state():
    training = Job(report_every=100, hooks=[Stopping("on_progress", 60)]).training()
    with pytest.raises(KeyboardInterrupt):
        training.run(100)
    with refused("the training was interrupted within an iteration, after iteration 64"):
        training.state()


def test_between_two_reports_there_is_a_state():
    whole, first, second = (Job(batch_size=2) for _ in range(3))
    expected = whole.training()
    expected.advance(40)
    stopped = first.training()
    stopped.advance(27)
    training = second.training()
    training.restore(stopped.state())
    training.advance(13)
    assert columns(training.history) == columns(expected.history)
    assert second.content() == whole.content()


@pytest.mark.parametrize("on_divergence", the_rest_is_long(["stop", "restart"], "restart"))
@pytest.mark.parametrize(
    "task", [pytest.param(TASK, id="task"), pytest.param(DATA, id="sequences", marks=pytest.mark.long)]
)
def test_a_checkpoint_between_two_reports_is_resumed_from(tmp_path, task, on_divergence):
    options = {"task": task, "batch_size": 2, "report_every": 100, "on_divergence": on_divergence}
    whole, first, second = (Job(**options) for _ in range(3))
    history = whole.train(200)
    # Cut off within an iteration, as by a power cut: what was written before counts.
    with pytest.raises(KeyboardInterrupt):
        saving = Checkpoint(tmp_path, every=0, share=1e9)
        first.train(200, checkpoint=saving, hooks=[Stopping("on_progress", 164)])
    assert 100 < load_checkpoint(tmp_path).iteration < 164
    assert columns(second.train(200, checkpoint=tmp_path, resume=True)) == columns(history)
    assert second.content() == whole.content()


def test_ctrl_c_keeps_all_completed_work(tmp_path):
    class Pressing:
        """Presses Ctrl-C, which takes effect when the current iterations are done."""

        def on_progress(self, iteration):
            if iteration == 64:
                os.kill(os.getpid(), signal.SIGINT)

    whole, first, second = (Job(report_every=100) for _ in range(3))
    history = whole.train(200)
    with pytest.raises(KeyboardInterrupt):
        first.train(200, checkpoint=tmp_path, hooks=[Pressing()])
    assert load_checkpoint(tmp_path).iteration == 64
    assert columns(second.train(200, checkpoint=tmp_path, resume=True)) == columns(history)
    assert second.content() == whole.content()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 2}, "batch_size must be what it was when the training was saved, 1, not 2"),
        ({"seed": 4}, "seed must be what it was when the training was saved, 3, not 4"),
        ({"gradient_clip": 1.0}, "gradient_clip must be what it was when the training was saved, None, not 1.0"),
        ({"optimizer": "sgd"}, "optimizer must be what it was when the training was saved, 'Adam', not 'SGD'"),
        (
            {"schedule": lambda i: 0.1},
            "schedule must be what it was when the training was saved, 'constant', not 'a function'",
        ),
        (
            {"class_weight": [1, 2]},
            "class_weight must be what it was when the training was saved, None, not [1.0, 2.0]",
        ),
        (
            {"task": Palindromes(1, 3)},
            "the sequences must be those of the training that was saved, but the task draws others",
        ),
        ({"task": DATA}, "the sequences must be those of the training that was saved, but these are others"),
        (
            {"model": RNN(10, 7, 2, rng=0)},
            "the model must be that of the training that was saved: fc_x2h.weight (10, 7), fc_x2h.bias (1, 7), "
            "fc_h2h.weight (7, 7) and 1 more here, but fc_x2h.weight (10, 6), fc_x2h.bias (1, 6), fc_h2h.weight (6, 6) "
            "and 1 more in the state",
        ),
    ],
)
def test_a_state_of_another_training_is_refused(options, message):
    stopped = Job().training()
    stopped.run(20)
    job, same = Job(**options), Job(**options)
    training = job.training()
    with refused(message):
        training.restore(stopped.state())
    # Unchanged: it trains as if nothing had been tried.
    training.run(20)
    same_model = {"model": RNN(10, 7, 2, rng=0)} if "model" in options else {}
    same = Job(**{**options, **same_model})
    same.training().run(20)
    assert job.content() == same.content()


@pytest.mark.parametrize("schedule", [None, lambda iteration: 0.1])
def test_a_state_of_another_kind_of_model_is_refused_for_its_model(schedule):
    state = Job(model=GRU(10, 6, 2, rng=0), engine="mygrad").training().state()
    with pytest.raises(
        InvalidArgument, match=r"^the model must be that .*fc_x2i\.weight \(10, 6\).* and \d more here, but"
    ):
        Job(model=LSTM(10, 6, 2, rng=0), engine="mygrad", schedule=schedule).training().restore(state)


class Kept:
    """A hook whose state is a number, and which refuses some."""

    state_name, number = "kept", 0

    def on_report(self, report):
        pass

    def state(self):
        return {"number": np.array([self.number])}

    def restore(self, arrays):
        (self.number,) = arrays["number"].tolist()
        if self.number > 9:
            raise InvalidArgument(f"{self.number} is too large")


class Other(Kept):
    state_name = "other"


def failing_once(function):
    calls = iter([True])

    def called(state):
        function(state)
        if next(calls, False):
            raise InvalidArgument("no")

    return called


@pytest.mark.parametrize("failing", ["a hook", "the feed", "the optimizer", "a hook that is not given"])
def test_a_state_that_is_refused_changes_neither_hooks_nor_anything_else(failing, monkeypatch):
    first, last = Kept(), Other()
    job = Job(hooks=[first, last])
    training = job.training()
    state = training.state()
    changed = {"hook.kept.number": np.array([5]), "hook.other.number": np.array([5])}
    values = dict(state.values)
    if failing == "a hook":
        changed["hook.other.number"] = np.array([10])
    elif failing == "the feed":
        values["sequences"] = "others"
    elif failing == "a hook that is not given":
        changed["hook.third.number"] = np.array([1])
    else:
        monkeypatch.setattr(training._learner, "put_back", failing_once(training._learner.put_back))
    before = job.content()
    with pytest.raises(InvalidArgument):
        training.restore(
            TrainingState(values, {**state.arrays, "parameter.fc_h2y.bias": np.ones((1, 2), np.float32), **changed})
        )
    assert (first.number, last.number) == (0, 0) and job.content() == before
    training.run(20)
    same = Job()
    same.training().run(20)
    assert job.content() == same.content()


def test_another_learning_rate_is_refused():
    stopped = Job().training()
    state = stopped.state()
    job = Job()
    job.optimizer.learning_rate = 0.1
    with refused("learning_rate must be what it was when the training was saved, 0.001, not 0.1"):
        job.training().restore(state)


class Falling:
    """A hook that sets another learning rate at a report."""

    def __init__(self, at):
        self.at = at

    def on_train_begin(self, start):
        self.optimizer = start.optimizer

    def on_report(self, report):
        if report.iteration == self.at:
            self.optimizer.learning_rate *= 0.1


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("on_divergence", the_rest_is_long(["stop", "restart"], "restart"))
@pytest.mark.parametrize("engine", ["mygrad", "native"])
@pytest.mark.parametrize("stop", the_rest_is_long([20, 30, 40], 30))
def test_a_learning_rate_that_a_hook_sets_stays_and_is_saved(tmp_path, stop, engine, on_divergence):
    options = {"engine": engine, "on_divergence": on_divergence}
    whole, first, second, steady = (Job("sgd", **options) for _ in range(4))
    history = whole.train(60, hooks=[Falling(30)])
    assert whole.optimizer.learning_rate == pytest.approx(0.005)
    steady.train(60)
    assert steady.content()[0] != whole.content()[0]
    with pytest.raises(KeyboardInterrupt):
        saving = Checkpoint(tmp_path / "a", every=0, share=1e9)
        first.train(60, checkpoint=saving, hooks=[Falling(30), Stopping("on_reported", stop)])
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert columns(second.train(60, checkpoint=tmp_path / "a", resume=True, hooks=[Falling(30)])) == columns(history)
    assert second.content() == whole.content()
    # With the same objects, which have the rate that the hook set.
    assert columns(first.train(60, resume=tmp_path / "b", hooks=[Falling(30)])) == columns(history)
    assert first.content() == whole.content()


def test_going_back_to_a_report_restores_the_rate_that_a_hook_set(tmp_path):
    job = Job()
    hooks = [Falling(60), Stopping("on_progress", 64)]
    with pytest.raises(KeyboardInterrupt):
        job.train(200, checkpoint=tmp_path, hooks=hooks)
    state = load_checkpoint(tmp_path)
    assert (state.iteration, state.values["learning_rate"]) == (60, job.optimizer.learning_rate)


class Best:
    """A hook that remembers the best loss, which is infinite before the first report, and one that it never sees."""

    state_name = "best"

    def __init__(self):
        self.loss = np.inf

    def on_report(self, report):
        self.loss = min(self.loss, report.loss)

    def state(self):
        return {"loss": np.array([self.loss]), "never": np.array([np.nan])}

    def restore(self, state):
        self.loss = float(state["loss"][0])


@pytest.mark.parametrize("on_divergence", ["stop", "restart"])
def test_a_hook_may_remember_numbers_that_are_not_finite(tmp_path, on_divergence):
    whole, best = Job(on_divergence=on_divergence), Best()
    history = whole.train(60, hooks=[best])
    assert best.loss == min(history.loss)
    first, again = Job(on_divergence=on_divergence), Best()
    with pytest.raises(KeyboardInterrupt):
        hooks = [Best(), Stopping("on_progress", 4)]
        first.train(60, checkpoint=Checkpoint(tmp_path, every=0, share=1e9), hooks=hooks)
    assert np.isinf(load_checkpoint(tmp_path).arrays["hook.best.loss"]).all()
    resumed = Job(on_divergence=on_divergence)
    assert columns(resumed.train(60, checkpoint=tmp_path, resume=True, hooks=[again])) == columns(history)
    assert again.loss == best.loss


def test_a_saved_learning_rate_is_checked():
    training = Job().training()
    state = training.state()
    for rate, message in ((-1.0, "be at least 0, not -1.0"), (None, "be a number, not None")):
        with refused(f"learning_rate must {message}"):
            training.restore(TrainingState({**state.values, "learning_rate": rate}, state.arrays))


@pytest.mark.parametrize("engine", ["mygrad", "native"])
def test_under_a_schedule_hooks_see_the_rate_of_the_optimizer(engine):
    class Looking(Falling):
        def on_report(self, report):
            found.append(self.optimizer.learning_rate)

    found = []
    Job("sgd", engine=engine, schedule=lambda iteration: 0.5).train(20, hooks=[Looking(10)])
    assert found == [0.05, 0.05]


@pytest.mark.usefixtures("in_python")
def test_a_state_resumes_with_its_engine():
    def job(engine):
        return Job("adam", TwinHalves(1, 4), RNN(10, 12, 2, activation="tanh", rng=0), engine=engine)

    native, reference = job("native").training(), job("mygrad").training()
    with refused("engine must be the one that the training was saved with, 'mygrad'"):
        native.restore(reference.state())
    with refused("engine must be the one that the training was saved with, 'native'"):
        reference.restore(native.state())
    # With engine="auto" it resumes with the engine of the state.
    whole, either = job("mygrad"), job("auto")
    training = either.training()
    training.restore(reference.state())
    assert training.run(20).engine == "mygrad"
    whole.training().run(20)
    assert either.content() == whole.content()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"iteration": "20"}, "iteration must be an integer, not '20'"),
        ({"iteration": 30}, "the reports must rise to 30, where the state's last one is"),
        ({"longest": None}, "longest must be an integer, not None"),
        ({"optimizer": {"t": -1}}, "t of the optimizer must be at least 0, not -1"),
        ({"used": 10**9}, "used must be at most 8192, not 1000000000"),
        ({"restarts": 6}, "restarts must be at most 5, not 6"),
        ({"engine": "c"}, "engine must be one of 'auto', 'native', 'mygrad', not 'c'"),
        ({"settings": 1}, "the state must have 'settings' with values by name, not 1"),
        ({"generator": []}, "the state must have 'generator' with values by name, not []"),
        ({"generator": {"state": 1}}, "the generator must be a PCG64 with its state, not {'state': 1}"),
        (
            {"generator": {"bit_generator": "PCG64", "state": {"inc": 2}}},
            "inc of the generator must be odd",
        ),
        (
            {"generator": {"bit_generator": "PCG64", "state": {"inc": 2**128 + 1}}},
            f"inc of the generator must be at most {2**128 - 1}, not {2**128 + 1}",
        ),
        ({"sequences": None}, "the sequences must be those of the training that was saved, but the task draws others"),
    ],
)
def test_invalid_values_in_a_state(change, message):
    training = Job().training()
    training.run(20)
    state = training.state()
    with refused(message):
        Job().training().restore(TrainingState({**state.values, **change}, state.arrays))


SINCE = "since.losses and since.scores and since.counted must be float64 and int64 and int64 of one length"


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (
            "parameter.fc_h2y.bias",
            None,
            "the model must be that of the training that was saved: fc_h2y.bias (1, 2) here, but no other parameter in "
            "the state",
        ),
        ("optimizer.w.0", np.zeros(1), "the state has 'optimizer.w.0', which this training does not have"),
        (
            "optimizer.m.0",
            np.zeros((10, 6)),
            "optimizer.m.0 must be float32 of shape (10, 6), but in the state it is float64 of shape (10, 6)",
        ),
        (
            "parameter.fc_h2y.bias",
            np.array([[0, np.nan]], np.float32),
            "parameter.fc_h2y.bias must be finite float32, but there is nan at [0, 1]",
        ),
        ("since.losses", np.zeros(2), SINCE),
        ("since.losses", np.array(1.0), SINCE),
        ("reports.loss", np.zeros((1, 2)), "reports.loss must be float64 of one dimension like the others"),
        ("reports.loss", np.array(0.0), "reports.loss must be float64 of one dimension like the others"),
        ("reports.iteration", np.array([20, 10]), "the reports must rise to 20, where the state's last one is"),
        (
            "reports.accuracy",
            np.array([0.5, 1.5]),
            "the reports must have sequences, losses of 0 or more and accuracies between 0 and 1",
        ),
    ],
)
def test_invalid_arrays_in_a_state(name, array, message):
    training = Job().training()
    training.run(20)
    state = training.state()
    arrays = {key: value for key, value in {**state.arrays, name: array}.items() if value is not None}
    with refused(message):
        Job().training().restore(TrainingState(state.values, arrays))


@pytest.mark.parametrize(
    ("left", "message"),
    [([7], "left must be at most 6, but there is 7 at [0]"), ([1, 1], "left must name no sequence twice")],
)
def test_an_invalid_shuffle(left, message):
    state = Job(task=DATA).training().state()
    with refused(message):
        Job(task=DATA).training().restore(TrainingState(state.values, {**state.arrays, "left": np.array(left)}))


# --- train, stopped and resumed


def test_train_resumes_from_its_checkpoint(tmp_path):
    whole, first, second = Job(), Job(), Job()
    history = whole.train()
    with pytest.raises(KeyboardInterrupt):
        first.train(checkpoint=tmp_path, hooks=[Stopping("on_report", 20)])
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-000000000020"]
    assert columns(second.train(checkpoint=tmp_path, resume=True)) == columns(history)
    assert second.content() == whole.content()
    # The end and the one before it.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-000000000020", "checkpoint-000000000040"]


def test_resuming_a_finished_training_returns_it(tmp_path):
    first, second = Job(), Job()
    history = first.train(checkpoint=tmp_path)
    assert columns(second.train(resume=tmp_path)) == columns(history)
    assert second.content() == first.content()
    with refused("iterations is 30, but the training has done 40 already"):
        Job().train(30, resume=tmp_path)


def test_without_a_checkpoint_training_begins(tmp_path):
    first, whole = Job(), Job()
    first.train(checkpoint=tmp_path / "a" / "b", resume=True)
    whole.train()
    assert first.content() == whole.content()


def test_resume_needs_a_folder():
    with refused("resume=True goes on in the folder of checkpoint, which is not given"):
        Job().train(resume=True)


def test_checkpoints_take_a_limited_share_of_the_time(tmp_path, monkeypatch):
    class Listing:
        def on_reported(self, report):
            seen.append(sorted(int(path.name[-12:]) for path in tmp_path.iterdir() if path.is_dir()))

    clock, seen = count(100), []
    monkeypatch.setattr("myrnn.training.checkpoint.time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    # Every call of the clock adds a second. So a checkpoint takes one second, and may take a tenth of the time.
    Job().train(130, checkpoint=Checkpoint(tmp_path, every=2, share=0.1), hooks=[Listing()])
    assert seen == [[], *[[20]] * 10, [20, 120], [20, 120]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-000000000120", "checkpoint-000000000130"]


def test_a_folder_of_another_training_is_not_changed(tmp_path):
    Job().train(checkpoint=tmp_path)
    before = sorted(tmp_path.iterdir())
    with refused(
        f"{tmp_path} holds checkpoints of a training already, up to iteration 40: "
        "go on with resume=True, or choose another folder",
        RunError,
    ):
        Job().train(checkpoint=tmp_path)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(("every", "message"), [(-1, "every must be at least 0, not -1.0"), ("x", None)])
def test_an_invalid_time(tmp_path, every, message):
    with refused(message or "every must be a number, not 'x'"):
        Checkpoint(tmp_path, every)
    with refused("share must be above 0, not 0.0"):
        Checkpoint(tmp_path, share=0)


# --- faults


def two_checkpoints(folder):
    """Leave the checkpoints of iterations 20 and 40, and return their paths."""
    with pytest.raises(KeyboardInterrupt):
        Job().train(60, checkpoint=folder, hooks=[Stopping("on_report", 20)])
    with pytest.raises(KeyboardInterrupt):
        Job().train(60, checkpoint=folder, resume=True, hooks=[Stopping("on_report", 40)])
    return folder / "checkpoint-000000000020", folder / "checkpoint-000000000040"


@pytest.mark.parametrize("name", ["state.json", "state.safetensors"])
def test_a_damaged_checkpoint_is_skipped(tmp_path, name):
    good, bad = two_checkpoints(tmp_path)
    content = bytearray((bad / name).read_bytes())
    content[len(content) // 2] ^= 4
    (bad / name).write_bytes(content)
    whole, job = Job(), Job()
    history = whole.train(60)
    with pytest.warns(UserWarning, match=re.escape(f"{bad}: {name} is ")) as caught:
        resumed = job.train(60, checkpoint=tmp_path, resume=True)
    assert str(caught[0].message).endswith("; going back to the checkpoint before, of iteration 20")
    assert columns(resumed) == columns(history)
    assert job.content() == whole.content()
    assert good.is_dir()
    assert not bad.exists()


def test_a_checkpoint_without_its_index_is_skipped_with_a_warning(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        Job().train(60, checkpoint=Checkpoint(tmp_path, every=0), hooks=[Stopping("on_report", 30)])
    earlier, last = sorted(path for path in tmp_path.iterdir() if path.is_dir())
    (last / "state.json").unlink()
    missing = "is not a whole checkpoint: state.json is missing, which is written last; going back to"
    with pytest.warns(UserWarning) as caught:
        assert load_checkpoint(tmp_path).iteration == int(earlier.name[-3:])
    assert [str(warning.message) for warning in caught] == [
        f"{last} {missing} the checkpoint before, of iteration {int(earlier.name[-3:])}"
    ]
    (earlier / "state.json").unlink()
    with pytest.warns(UserWarning) as caught:
        assert load_checkpoint(tmp_path) is None
    assert [str(warning.message) for warning in caught] == [
        f"{path} {missing} the beginning" for path in (last, earlier)
    ]


def test_without_a_good_checkpoint_training_does_not_start_over(tmp_path):
    for path in two_checkpoints(tmp_path):
        (path / "state.safetensors").write_bytes(b"")
    with pytest.raises(
        RunError, match=r"state\.safetensors is cut short: .*; there is no good checkpoint to go back to$"
    ):
        Job().train(60, resume=tmp_path)


def test_a_checkpoint_under_another_name_is_refused(tmp_path):
    _, bad = two_checkpoints(tmp_path)
    bad.rename(tmp_path / "checkpoint-000000000050")
    with pytest.warns(UserWarning, match="checkpoint-000000000050: state.json is that of another iteration: 40;"):
        assert load_checkpoint(tmp_path).iteration == 20


def test_a_link_is_not_a_checkpoint(tmp_path):
    Job().train(20, checkpoint=tmp_path / "theirs")
    theirs = tmp_path / "theirs" / "checkpoint-000000000020"
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "checkpoint-000000000030").symlink_to(theirs)
    assert load_checkpoint(tmp_path / "ours") is None
    Job().train(40, checkpoint=tmp_path / "ours")
    # Nothing is removed through the link.
    assert sorted(path.name for path in theirs.iterdir()) == ["state.json", "state.safetensors"]


@given(data=st.data())
def test_a_changed_checkpoint_is_never_accepted(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "changed"
    if not folder.exists():
        Job().train(20, checkpoint=folder)
    path = folder / "checkpoint-000000000020" / data.draw(st.sampled_from(["state.json", "state.safetensors"]))
    whole = path.read_bytes()
    state = load_checkpoint(folder)
    changed = bytearray(whole)
    if data.draw(st.booleans()):
        changed[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del changed[data.draw(st.integers(0, len(whole) - 1)) :]
    path.write_bytes(changed)
    try:
        again = load_checkpoint(folder)
    except RunError as error:
        assert str(error).endswith("; there is no good checkpoint to go back to")
    else:
        assert (again.values, set(again.arrays)) == (state.values, set(state.arrays))
        assert all(np.array_equal(again.arrays[name], state.arrays[name]) for name in state.arrays)
    finally:
        path.write_bytes(whole)


def test_a_full_disk_loses_neither_the_training_nor_checkpoints(tmp_path, monkeypatch):
    replace, full = os.replace, [False]

    def failing(source, target):
        if full[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace(source, target)

    class Filling:
        def on_reported(self, report):
            full[0] = 20 <= report.iteration < 40

    monkeypatch.setattr(os, "replace", failing)
    whole, job = Job(), Job()
    whole.train(60)
    saving = Checkpoint(tmp_path, every=0, share=1e9)
    with pytest.warns(UserWarning) as caught:
        job.train(60, checkpoint=saving, hooks=[Filling()])
    assert {str(warning.message) for warning in caught} == {
        f"cannot write the checkpoint folder {tmp_path / f'checkpoint-0000000000{iteration}'}: "
        "No space left on device: training goes on, and the checkpoint before this one stays"
        for iteration in (30, 40)
    }
    assert job.content() == whole.content()
    assert load_checkpoint(tmp_path).iteration == 60


def test_a_full_disk_leaves_no_empty_folders(tmp_path, monkeypatch):
    def failing(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", failing)
    saving = Checkpoint(tmp_path, every=0, share=1e9)
    with pytest.warns(UserWarning, match="No space left"), pytest.raises(RunError, match="No space left"):
        Job().train(40, checkpoint=saving)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("checkpoint")] == []


def test_a_disk_that_is_full_at_the_end_is_an_error(tmp_path, monkeypatch):
    def failing(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(KeyboardInterrupt):
        Job().train(40, checkpoint=tmp_path, hooks=[Stopping("on_report", 20)])
    monkeypatch.setattr(os, "replace", failing)
    path = tmp_path / "checkpoint-000000000040"
    with refused(f"cannot write the checkpoint folder {path}: No space left on device", RunError):
        Job().train(40, checkpoint=tmp_path, resume=True)
    assert load_checkpoint(tmp_path).iteration == 20


def test_a_file_is_not_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with refused(f"{path} is or lies below a file: checkpoints need a folder of their own", RunError):
            Job().train(checkpoint=path)


def test_a_folder_in_use_is_refused(tmp_path):
    with (
        FolderLock(tmp_path),
        refused(f"{tmp_path} is in use by another process (number {os.getpid()}): wait until it ends", RunError),
    ):
        Job().train(checkpoint=tmp_path)
    Job().train(checkpoint=tmp_path)


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs a system that waits for processes with pidfd_open")
@pytest.mark.parametrize("kind", ["writes", "moments"])
def test_a_process_that_is_killed_repeatedly_finishes(tmp_path, kind):
    script = Path(__file__).with_name("killed.py")
    command = [sys.executable, script, kind, tmp_path, "25", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["kills"] >= 25


# --- divergence


class Exploding:
    """A schedule whose rate is far too large at one iteration, until it has been halved often enough."""

    def __init__(self, at, rate):
        self.at, self.rate = at, rate

    def __call__(self, iteration):
        return self.rate if iteration == self.at else 0.01


def test_a_training_that_diverges_keeps_its_last_good_checkpoint(tmp_path):
    job = Job("sgd", schedule=Exploding(25, 1e38))
    with pytest.raises(TrainingDiverged, match=r"at iteration (2\d|30): try a smaller learning rate, or clip"):
        job.train(checkpoint=Checkpoint(tmp_path, every=0, share=1e9))
    assert load_checkpoint(tmp_path).iteration == 20


def astray(iteration):
    """A schedule: after iteration 24 the loss explodes but is finite, and soon after 42 it is NaN."""
    return 30.0 if iteration == 24 else np.finfo(np.float64).max if iteration > 42 else 0.01


def astray_job(**options):
    return Job("sgd", schedule=astray, **options)


def test_a_training_that_diverges_does_not_keep_a_checkpoint_with_an_exploded_loss(tmp_path):
    job, told = astray_job(), Recorder()
    with pytest.raises(TrainingDiverged):
        job.train(60, checkpoint=Checkpoint(tmp_path, every=0, share=1e9), hooks=[told])
    assert [report.iteration for report in told.reports] == [10, 20, 30, 40]
    assert min(report.loss for report in told.reports[2:]) > 4 * np.log(2)
    expected = astray_job().training()
    expected.run(20)
    assert plain(load_checkpoint(tmp_path)) == plain(expected.state())
    job.options["on_divergence"] = "restart"
    with pytest.warns(UserWarning, match=": training resumes from") as caught, pytest.raises(TrainingDiverged):
        job.train(60, checkpoint=tmp_path, resume=True)
    assert "training resumes from iteration 20 with 0.5 times the learning rate" in str(caught[0].message)


def test_without_a_good_report_a_training_that_diverges_keeps_its_beginning(tmp_path):
    job = wild_job(0.1)
    with pytest.raises(TrainingDiverged):
        job.train(checkpoint=Checkpoint(tmp_path, every=0, share=1e9))
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["checkpoint-000000000000"]


def test_an_interrupted_training_keeps_a_checkpoint_with_an_exploded_loss(tmp_path):
    # The loss may recover, and repeating the iterations may take hours.
    with pytest.raises(KeyboardInterrupt):
        astray_job(hooks=[Stopping("on_progress", 31)]).train(60, checkpoint=Checkpoint(tmp_path, every=0, share=1e9))
    assert load_checkpoint(tmp_path).iteration == 30


def test_a_diverged_training_has_no_state_until_it_is_restored():
    training = astray_job().training()
    good = training.keep_good()
    with pytest.raises(TrainingDiverged):
        training.run(60)
    with refused("the training has diverged, after iteration 40", TrainingDiverged):
        training.state()
    training.restore(good())
    assert training.state().iteration == 20


def plain(state):
    return state.values, {name: array.tobytes() for name, array in state.arrays.items()}


@pytest.mark.parametrize(("explodes_at", "kept"), [(25, 20), (5, 0)])
def test_a_training_that_diverges_before_its_first_checkpoint_keeps_the_report_before(tmp_path, explodes_at, kept):
    job, same = (Job("sgd", schedule=Exploding(explodes_at, np.finfo(np.float64).max)) for _ in range(2))
    with pytest.raises(TrainingDiverged):
        job.train(checkpoint=tmp_path)
    expected = same.training()
    if kept:
        expected.run(kept)
    assert plain(load_checkpoint(tmp_path)) == plain(expected.state())


def test_a_long_training_keeps_a_report_every_hundredth_of_it():
    def kept(allowed):
        restarts, found = Restarts(gradient_clip=None, allowed=allowed), [50_000]
        restarts.last = SimpleNamespace(iteration=found[0])
        for iteration in range(50_100, 51_200, 100):
            if restarts.wants(TrainingReport(iteration, 100, 0.5, 0.9), guessing=np.log(2)):
                found.append(iteration)
                restarts.last = SimpleNamespace(iteration=iteration)
        return found

    assert kept(allowed=False) == [50_000, 50_500, 51_100]
    # A training that goes back by itself always uses the same report, however often it was resumed.
    assert kept(allowed=True) == list(range(50_000, 51_200, 100))


def test_an_interrupted_training_keeps_the_report_before(tmp_path):
    whole, stopped = Job(), Job()
    history = whole.train(200)
    with pytest.raises(KeyboardInterrupt):
        stopped.train(200, checkpoint=tmp_path, hooks=[Stopping("on_progress", 64)])
    assert load_checkpoint(tmp_path).iteration == 60
    # With the same objects, whose weights are those of iteration 64.
    assert columns(stopped.train(200, checkpoint=tmp_path, resume=True)) == columns(history)
    assert stopped.content() == whole.content()


def test_a_training_that_failed_at_once_does_not_block_its_folder(tmp_path):
    with pytest.raises(TrainingDiverged):
        Job("sgd", schedule=Exploding(5, np.finfo(np.float64).max)).train(checkpoint=tmp_path)
    whole, job = Job(), Job()
    with pytest.raises(KeyboardInterrupt):
        job.train(checkpoint=tmp_path, hooks=[Stopping("on_report", 20)])
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-000000000020"]
    assert columns(job.train(checkpoint=tmp_path, resume=True)) == columns(whole.train())


def test_a_full_disk_does_not_hide_that_a_training_diverged(tmp_path, monkeypatch):
    def failing(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", failing)
    path = tmp_path / "checkpoint-000000000020"
    with (
        pytest.warns(UserWarning, match=f"^cannot write the checkpoint folder {path}: No space left on device$"),
        pytest.raises(TrainingDiverged),
    ):
        Job("sgd", schedule=Exploding(25, 1e38)).train(checkpoint=tmp_path)


def test_nonfinite_weights_are_detected_at_the_report(tmp_path):
    # The last iteration of a report: no loss is computed after it.
    job = Job("sgd", schedule=Exploding(19, np.finfo(np.float64).max))
    with refused(
        "the weights are no longer finite at iteration 20: try a smaller learning rate, or clip the gradients with "
        "gradient_clip=1.0",
        TrainingDiverged,
    ):
        job.train(checkpoint=tmp_path)


def test_overflowing_squares_of_gradients_are_detected_at_the_report(tmp_path):
    class Overflowing:
        def on_progress(self, iteration):
            if iteration > 10:
                # No step changes this weight any more, and the loss stays the same.
                job.optimizer.v[0][0, 0] = np.inf

    job = Job()
    with refused(
        "the gradients that the optimizer remembers are no longer finite at iteration 20: try a smaller learning rate, "
        "or clip the gradients with gradient_clip=1.0",
        TrainingDiverged,
    ):
        job.train(checkpoint=tmp_path, hooks=[Overflowing()])
    assert load_checkpoint(tmp_path).iteration == 10


# Numbers so large that a step moves the weights far away, unless the gradient is clipped.
_rng = np.random.default_rng(0)
WILD = [(1e5 * _rng.normal(size=(8, 3)), index % 2) for index in range(6)]


def wild_job(learning_rate=1.0, **options):
    job = Job("sgd", WILD, RNN(3, 6, 2, rng=0), **options)
    job.optimizer.learning_rate = learning_rate
    return job


def test_a_restart_halves_the_rate_and_clips():
    with pytest.raises(TrainingDiverged):
        wild_job().training().run(40)
    restarted, told = wild_job(on_divergence="restart"), Recorder()
    message = (
        "^the loss is nan at iteration 6: training resumes from iteration 0 with 0.5 times the learning rate "
        "and gradients clipped to 1$"
    )
    with pytest.warns(UserWarning, match=message):
        history = restarted.train(40, hooks=[told])
    gentle = wild_job(learning_rate=0.5, gradient_clip=1.0)
    expected = gentle.training().run(40)
    assert columns(history) == columns(expected)
    assert restarted.content()[0] == gentle.content()[0]
    assert restarted.optimizer.learning_rate == 1.0
    assert [report.iteration for report in told.reports] == [10, 20, 30, 40]


@pytest.mark.filterwarnings("ignore:the loss is")
def test_a_diverged_training_continues_if_it_may_restart(tmp_path):
    whole, job = wild_job(on_divergence="restart"), wild_job()
    history = whole.train(40)
    with pytest.raises(TrainingDiverged):
        job.train(40, checkpoint=tmp_path)
    assert not all(np.isfinite(p.data).all() for p in job.model.parameters)
    job.options["on_divergence"] = "restart"
    assert columns(job.train(40, checkpoint=tmp_path, resume=True)) == columns(history)
    assert job.content() == whole.content()


class Recorder:
    def __init__(self):
        self.reports = []

    def on_report(self, report):
        self.reports.append(report)


@pytest.mark.filterwarnings("ignore:the loss is")
def test_a_restart_goes_back_to_before_the_loss_exploded():
    told = Recorder()
    history = wild_job(0.1, on_divergence="restart").train(40, hooks=[told])
    # The loss of the first report was finite, but too large to resume from.
    assert told.reports[0].loss > 1e20
    assert [report.iteration for report in told.reports[:2]] == [10, 10]
    assert history.iteration.tolist() == [10, 20, 30, 40]
    assert history.loss[-1] < 1e6


@pytest.mark.filterwarnings("ignore:the loss is")
@pytest.mark.parametrize("stop", [10, 20, 30])
def test_a_training_that_restarts_can_be_resumed(tmp_path, stop):
    def job():
        # It trains well for a while, so that there is a state to go back to.
        return wild_job(1.0, on_divergence="restart", schedule=lambda iteration: 1e-12 if iteration < 15 else 1.0)

    whole, first, second = job(), job(), job()
    history = whole.train(40)
    with pytest.raises(KeyboardInterrupt):
        first.train(40, checkpoint=Checkpoint(tmp_path, 0, 1e9), hooks=[Stopping("on_report", stop)])
    assert columns(second.train(40, checkpoint=tmp_path, resume=True)) == columns(history)
    assert second.content() == whole.content()


def test_a_training_that_is_resumed_between_two_reports_restarts_from_the_same_report(tmp_path):
    def job():
        options = {"on_divergence": "restart", "report_every": 20, "batch_size": 2}
        return wild_job(1.0, schedule=lambda iteration: 1e-12 if iteration < 35 else 1.0, **options)

    whole, first, second = job(), job(), job()
    with pytest.warns(UserWarning, match="training resumes from iteration 0 "):
        history = whole.train(80)
    with pytest.raises(KeyboardInterrupt):
        first.train(80, checkpoint=Checkpoint(tmp_path, every=0, share=1e9), hooks=[Stopping("on_progressed", 22)])
    assert 20 < load_checkpoint(tmp_path).iteration < 35
    with pytest.warns(UserWarning, match="training resumes from iteration 0 "):
        assert columns(second.train(80, checkpoint=tmp_path, resume=True)) == columns(history)
    assert second.content() == whole.content()


@pytest.mark.filterwarnings("ignore:the (loss|weights)")
def test_the_number_of_restarts_is_limited():
    job = Job("sgd", schedule=Exploding(25, 1e38), on_divergence="restart")
    message = r" at iteration \d+, also after 5 restarts: try a smaller learning rate, or clip the gradients"
    with pytest.raises(TrainingDiverged, match=message):
        job.training().run(40)


def test_on_divergence_has_two_values():
    with refused("on_divergence must be one of 'stop', 'restart', not 'go on'"):
        Job(on_divergence="go on").training()


def test_a_restart_needs_a_training_that_can_go_back():
    with pytest.raises(InvalidArgument, match=r"^a training on an iterator cannot be resumed"):
        Job(task=iter(DATA), on_divergence="restart").training()
