import functools
import math
import re
from itertools import pairwise

import mygrad as mg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mygrad.nnet.activations import relu
from mygrad.nnet.losses import softmax_crossentropy
from mynn.optimizers.adam import Adam as MyNNAdam

from marks import the_rest_is_long
from myrnn.compiler import compile
from myrnn.errors import CompileError, InvalidArgument, TrainingDiverged
from myrnn.estimators import SequenceClassifier
from myrnn.evaluation import evaluate
from myrnn.models import GRU, LSTM, RNN
from myrnn.optimizers import SGD, Adam
from myrnn.schedules import named_schedule
from myrnn.sequences import Sequences
from myrnn.tasks import Palindromes, TwinHalves
from myrnn.training import TrainingReport, TrainingStart, feed, train
from myrnn.training.loop import Training
from myrnn.training.outputs import reference_logits
from myrnn.training.settings import ENGINES

TASK = TwinHalves(pattern_length_max=3)


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


def small_model(seed=0):
    return RNN(10, 8, 2, rng=seed)


def contents(model):
    return [parameter.data.tobytes() for parameter in model.parameters]


def trained(task=TASK, model=None, optimizer=Adam, **arguments):
    """Train a small model on MyGrad and return it with its history."""
    model = small_model() if model is None else model
    arguments = {"iterations": 40, "report_every": 10, "engine": "mygrad", **arguments}
    return model, train(model, task, optimizer(model.parameters), **arguments)


class Recorder:
    """A hook that records all its calls."""

    def __init__(self):
        self.events = []

    def on_train_begin(self, start):
        self.events.append(("begin", start))

    def on_progress(self, iteration):
        self.events.append(("progress", iteration))

    def on_report(self, report):
        self.events.append(("report", report))

    def on_train_end(self, history):
        self.events.append(("end", history))

    def kinds(self):
        return [kind for kind, _ in self.events]

    def told(self, kind):
        return [what for told, what in self.events if told == kind]


# --- the history


def test_a_history_has_one_mean_for_every_report():
    _, history = trained(iterations=35, report_every=10)
    assert history.iteration.tolist() == [10, 20, 30, 35]
    assert (history.iteration.dtype, history.loss.dtype, history.accuracy.dtype) == (np.int64, np.float64, np.float64)
    assert np.all(history.loss > 0)
    assert np.all((history.accuracy >= 0) & (history.accuracy <= 1))
    assert (history.longest, history.engine, len(history)) == (6, "mygrad", 4)


def test_reports_are_the_means_of_single_iterations():
    _, single = trained(report_every=1)
    _, history = trained(report_every=10)
    np.testing.assert_allclose(history.loss, single.loss.reshape(4, 10).mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(history.accuracy, single.accuracy.reshape(4, 10).mean(axis=1), rtol=1e-12)


def test_the_longest_length_is_that_of_the_used_sequences():
    pairs = [(np.array([1, 2]), 0), (np.array([3, 3, 3, 3, 3]), 1)]
    assert trained([(np.eye(10, dtype=np.float32)[x], y) for x, y in pairs], iterations=2)[1].longest == 5
    assert trained([(np.eye(10, dtype=np.float32)[x], y) for x, y in pairs[:1]], iterations=2)[1].longest == 2


def test_a_history_draws_the_level_of_guessing():
    model = RNN(10, 4, 4, rng=0)
    history = train(model, TwinHalves(1, 2), Adam(model.parameters), 20, engine="mygrad")
    assert history.chance == 0.25
    axes = history.plot()
    history.plot(axes=axes, label="again")
    assert [line.get_ydata()[0] for line in axes[1].get_lines() if line.get_label() == "chance"] == [0.25]


def test_a_history_keeps_every_digit_as_csv(tmp_path):
    _, history = trained()
    history.to_csv(tmp_path / "history.csv")
    header, *rows = (tmp_path / "history.csv").read_text().splitlines()
    assert header == "iteration,loss,accuracy"
    assert [float(row.split(",")[1]) for row in rows] == history.loss.tolist()
    assert [int(row.split(",")[0]) for row in rows] == [10, 20, 30, 40]


# --- the same seed, the same bytes


@pytest.mark.parametrize("kind", the_rest_is_long([RNN, GRU, LSTM], RNN))
def test_the_same_seed_gives_the_same_bytes(kind):
    (one, first), (two, second) = (trained(model=kind(10, 6, 2, rng=3), seed=5) for _ in range(2))
    assert contents(one) == contents(two)
    assert first.loss.tobytes() == second.loss.tobytes()


def test_another_seed_gives_another_training():
    assert contents(trained(seed=1)[0]) != contents(trained(seed=2)[0])


def test_training_does_not_use_numpys_global_generator():
    before = np.random.get_state()[1].tobytes()  # noqa: NPY002 - this very generator is meant
    trained()
    assert np.random.get_state()[1].tobytes() == before  # noqa: NPY002


@functools.cache
def with_one_report():
    return contents(trained(report_every=1000)[0])


@pytest.mark.long
@given(report_every=st.integers(1, 60))
def test_reports_do_not_change_the_weights(report_every):
    assert contents(trained(report_every=report_every)[0]) == with_one_report()


def test_reports_do_not_change_what_a_block_of_drawn_sequences_gives(monkeypatch):
    monkeypatch.setattr(feed, "BLOCK", 16)
    one, _ = trained(batch_size=3, report_every=7)
    two, _ = trained(batch_size=3, report_every=40)
    assert contents(one) == contents(two)


def test_hooks_and_progress_do_not_change_the_weights(capsys):
    assert contents(trained(hooks=[Recorder()], progress=True)[0]) == contents(trained()[0])
    assert "training 40/40 (100%)" in capsys.readouterr().err


# --- what an iteration does


def reference_gradients(model, sequences, batch):
    """Return the mean of the gradients of single sequences."""
    total = [np.zeros(parameter.shape) for parameter in model.parameters]
    for index in batch:
        x, y = sequences[int(index)]
        softmax_crossentropy(model(x), y).backward()
        for part, parameter in zip(total, model.parameters, strict=True):
            part += parameter.grad
    return [part / len(batch) for part in total]


def test_a_batch_steps_by_the_mean_of_single_gradients():
    data = TASK.sample(6, np.random.default_rng(0))
    model = small_model()
    before = [parameter.data.copy() for parameter in model.parameters]
    gradients = reference_gradients(model, data, range(6))
    train(model, data, SGD(model.parameters, learning_rate=0.5), iterations=1, batch_size=6)
    for parameter, start, gradient in zip(model.parameters, before, gradients, strict=True):
        np.testing.assert_allclose(parameter.data, start - 0.5 * gradient, rtol=1e-4, atol=1e-6)


def test_the_loss_is_the_mean_before_the_step():
    data = TASK.sample(6, np.random.default_rng(0))
    model = small_model()
    logits = reference_logits(model, data)
    history = train(model, data, SGD(model.parameters), iterations=1, batch_size=6)
    expected = softmax_crossentropy(mg.tensor(logits), data.labels).item()
    assert history.loss[0] == pytest.approx(expected, rel=1e-5)
    assert history.accuracy[0] == pytest.approx(np.mean(np.argmax(logits, axis=1) == data.labels))


def test_a_class_counts_by_its_weight():
    data = TASK.sample(6, np.random.default_rng(0))
    model = small_model()
    losses = [softmax_crossentropy(model(x), y).item() for x, y in data]
    weights = np.array([0.5, 2.0])
    optimizer = SGD(model.parameters)
    history = train(model, data, optimizer, iterations=1, batch_size=6, engine="mygrad", class_weight=weights)
    assert history.loss[0] == pytest.approx(np.mean(losses * weights[data.labels]), rel=1e-5)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], "class_weight must be a number for each of the 2 classes, not [1.0]"),
        ("balanced", "class_weight must be a number for each of the 2 classes, not 'balanced'"),
        ([1.0, np.nan], "class_weight must be finite float64, but there is nan at [1]"),
        ([1, -2], "class_weight must be at least 0, but there is -2 at [1]"),
    ],
)
def test_wrong_class_weights_are_refused(weights, message):
    with refused(message):
        trained(class_weight=weights)


def test_gradients_are_clipped_by_their_joint_norm():
    data = TASK.sample(1, np.random.default_rng(0))
    free, clipped = small_model(), small_model()
    start = [parameter.data.copy() for parameter in free.parameters]
    train(free, data, SGD(free.parameters, learning_rate=1.0), iterations=1)
    train(clipped, data, SGD(clipped.parameters, learning_rate=1.0), iterations=1, gradient_clip=0.01)
    free_step, step = (
        np.concatenate([(p.data - s).ravel() for p, s in zip(model.parameters, start, strict=True)])
        for model in (free, clipped)
    )
    assert np.linalg.norm(free_step) > 0.1
    assert np.linalg.norm(step) == pytest.approx(0.01, rel=1e-3)
    np.testing.assert_allclose(step / 0.01, free_step / np.linalg.norm(free_step), atol=1e-4)


def test_a_short_gradient_is_not_clipped():
    assert contents(trained(gradient_clip=1e6)[0]) == contents(trained()[0])


def test_a_schedule_sets_the_rate_of_every_iteration():
    seen = []
    model, _ = trained(schedule=lambda iteration: seen.append(iteration) or 0.001)
    assert seen == list(range(40))
    assert contents(model) == contents(trained()[0])


def test_a_rate_of_zero_changes_nothing():
    model, _ = trained(optimizer=SGD, schedule=lambda iteration: 0.5 if iteration < 20 else 0.0)
    shorter, _ = trained(optimizer=SGD, schedule=lambda iteration: 0.5, iterations=20)
    assert contents(model) == contents(shorter)


@pytest.mark.parametrize(
    ("name", "schedule"),
    [
        ("constant", lambda iteration: 0.1),
        ("linear", lambda iteration: 0.1 * (40 - iteration) / 40),
        ("cosine", lambda iteration: 0.1 * (1 + math.cos(math.pi * iteration / 40)) / 2),
    ],
)
def test_a_schedule_by_name_starts_from_the_optimizers_rate(name, schedule):
    optimizer = functools.partial(SGD, learning_rate=0.1)
    weights = [p.data for p in trained(optimizer=optimizer, schedule=schedule)[0].parameters]
    named = [p.data for p in trained(optimizer=optimizer, schedule=name)[0].parameters]
    for one, other in zip(named, weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


@given(name=st.sampled_from(["cosine", "linear"]), iterations=st.integers(1, 1000), rate=st.floats(0, 10))
def test_a_decaying_rate_starts_at_the_full_rate_and_never_rises(name, iterations, rate):
    schedule = named_schedule(name, rate, iterations)
    rates = schedule.between(0, iterations + 3)
    assert rates[0] == rate
    assert np.all(np.diff(rates) <= 0) and rates.min() >= 0
    # After the end the rate stays; single iterations and many at once give the same.
    assert rates[-1] == rates[iterations - 1]
    assert [schedule(iteration) for iteration in range(iterations + 3)] == rates.tolist()


def test_a_schedule_does_not_change_the_rate_of_the_optimizer():
    model = small_model()
    optimizer = Adam(model.parameters, learning_rate=0.25)
    train(model, TASK, optimizer, iterations=3, schedule=lambda iteration: 0.001)
    assert optimizer.learning_rate == 0.25


def test_an_optimizer_of_mynn_also_works():
    assert contents(trained(optimizer=MyNNAdam)[0]) == contents(trained()[0])


# --- where the sequences come from


def test_a_task_gives_what_it_draws_from_the_seed():
    drawn = TASK.sample(8192, np.random.default_rng(7))
    ours, _ = trained(seed=7)
    theirs, _ = trained(iter(drawn), seed=7)
    assert contents(ours) == contents(theirs)


def test_given_sequences_are_used_in_epochs_and_shuffled():
    class Watching(RNN):
        def __call__(self, x):
            self.seen.append(int(x[0].argmax()))
            return super().__call__(x)

    model = Watching(10, 4, 2, rng=0)
    model.seen = []
    data = Sequences(np.arange(10), np.arange(11), np.zeros(10, dtype=int), 10)
    train(model, data, SGD(model.parameters), iterations=30, engine="mygrad")
    # The first calls only ask for the number of classes, and whether the model adds to its loss.
    rounds = np.array(model.seen[-30:]).reshape(3, 10)
    assert np.all(np.sort(rounds, axis=1) == np.arange(10))
    assert len({tuple(order) for order in rounds.tolist()}) == 3


def test_a_list_of_pairs_trains_like_its_sequences():
    data = TASK.sample(20, np.random.default_rng(0))
    assert contents(trained(list(data))[0]) == contents(trained(data)[0])


def test_a_generator_is_read_only_as_far_as_needed():
    taken = []

    def pairs():
        for pair in TASK.sample(100, np.random.default_rng(0)):
            taken.append(1)
            yield pair

    trained(pairs(), iterations=8, batch_size=3)
    assert len(taken) == 24


def test_training_ends_with_the_generator():
    data = TASK.sample(25, np.random.default_rng(0))
    _, history = trained(iter(data), iterations=1000, batch_size=2, report_every=5)
    # The 25th sequence does not fill a batch.
    assert history.iteration.tolist() == [5, 10, 12]


def test_features_train_like_tokens():
    rng = np.random.default_rng(0)
    pairs = [(rng.normal(size=(length, 3)), length % 2) for length in (1, 2, 3, 4)]
    _, history = trained(pairs, model=RNN(3, 4, 2, rng=0))
    assert np.isfinite(history.loss).all()


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (3, "task must be a task, a Sequences or an iterable of (x, y) pairs, not int"),
        ([], "there are no sequences: at least one pair (x, y) is needed"),
        (Sequences([], [0], [], 10), "task holds no sequence: at least one is needed to train on"),
        (iter([]), "task gave 0 sequences, too few for one batch of 1"),
        ([(np.zeros((2, 10)), 2)], "a label is 2, but the model has 2 classes, 0 .. 1"),
        ([(np.zeros((2, 10)), 0), (np.zeros((2, 9)), 0)], None),
        ([(np.full((2, 10), np.nan), 0)], "sequence 0 must be finite float32, but there is nan at [0, 0]"),
    ],
)
def test_a_task_that_cannot_be_trained_on_is_refused(task, message):
    message = message or (
        "every sequence must have the same number of inputs, but sequence 1 has shape (2, 9) and sequence 0 has "
        "shape (2, 10)"
    )
    with refused(message):
        trained(task)


def test_a_label_outside_the_classes_is_also_found_in_a_stream():
    good = list(TASK.sample(70, np.random.default_rng(0)))
    with refused("a label is 7, but the model has 2 classes, 0 .. 1"):
        trained(iter([*good, (np.zeros((2, 10)), 7)]), iterations=100)


def test_sequences_of_another_width_are_refused():
    with refused("the sequences have 4 features, but RNN was made for 10 inputs: make it with dim_input=4"):
        trained([(np.zeros((6, 4), dtype=np.float32), 1)])


def test_a_task_that_draws_other_objects_is_refused():
    class Odd:
        def sample(self, n, rng):
            return [1] * n

    class Short:
        def sample(self, n, rng):
            return TASK.sample(n - 1, rng)

    with refused("task.sample(8192, rng) must return a Sequences of 8192, but returned list"):
        trained(Odd())
    with refused("task.sample(8192, rng) must return a Sequences of 8192, but returned 8,191 sequences"):
        trained(Short())


# --- what the model returns


class Returning:
    """A model that returns a given value."""

    def __init__(self, logits):
        self.weight = mg.tensor(np.ones((1, 2), dtype=np.float32))
        self.logits = logits

    def __call__(self, x):
        return self.logits(self.weight)

    @property
    def parameters(self):
        return (self.weight,)


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (lambda w: w[0], "the model must return logits of shape (1, K), but returned shape (2,)"),
        (
            lambda w: mg.concatenate([w, w]),
            "the model must return logits of shape (1, K), but returned shape (2, 2): of scores for each step, return "
            "the last row, [-1:]",
        ),
    ],
)
def test_a_model_that_returns_no_logits_is_refused(logits, message):
    with refused(message):
        trained([(np.zeros((1, 10)), 1)], model=Returning(logits))


def test_a_model_that_fails_is_refused_with_its_line():
    told = r"the model fails on a sequence of shape \(1, 10\): KeyError: 'h', in .*test_training\.py:\d+: .*\{\}\['h'\]"
    with pytest.raises(InvalidArgument, match=told.replace("'h'\\]", '"h"\\]')):
        trained([(np.zeros((1, 10)), 1)], model=Returning(lambda w: {}["h"]))


def test_a_model_of_other_sizes_than_the_task_is_refused():
    with refused("the sequences have 10 symbols, but RNN was made for 8 inputs: make it with dim_input=10"):
        trained(TASK, model=RNN(8, 4, 2, rng=0))


ONE_CLASS = (
    "the model must return logits of shape (1, K) for K = 2 classes or more, but returned shape (1, 1): with one class "
    "the loss is always 0 and nothing is learned"
)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize(
    "use",
    [
        *(lambda model, task, engine=engine: trained(task, model, engine=engine) for engine in ENGINES),
        *(lambda model, task, engine=engine: evaluate(model, task, engine=engine) for engine in ENGINES),
        lambda model, task: compile(model).loss_and_gradients(np.zeros((1, 9)), 0),
        lambda model, task: SequenceClassifier(lambda *sizes: model, max_epochs=1).fit(np.zeros((2, 3, 9)), [0, 1]),
    ],
)
def test_one_class_is_refused(use):
    one = Sequences([1, 2], [0, 1, 2], [0, 0], 9)
    with refused(ONE_CLASS):
        use(RNN(9, 4, 1, rng=0), one)


def test_a_loss_that_is_not_finite_stops_the_training():
    model = small_model()
    recorder = Recorder()
    message = (
        "the loss is (nan|inf) at iteration [0-9]+: try a smaller learning rate, or clip the gradients with "
        "gradient_clip=1.0"
    )
    with pytest.raises(TrainingDiverged, match=f"^{message}$"):
        train(model, TASK, SGD(model.parameters, learning_rate=1e20), iterations=200, hooks=[recorder])
    assert recorder.kinds()[-1] == "end"


# --- hooks


def test_hooks_are_called_in_order():
    recorder = Recorder()
    model, history = trained(hooks=[recorder], iterations=25, report_every=10)
    (start,) = recorder.told("begin")
    assert isinstance(start, TrainingStart)
    assert (start.model, start.iterations, start.batch_size, start.engine) == (model, 25, 1, "mygrad")
    assert recorder.kinds() == ["begin", *["progress", "report"] * 3, "end"]
    assert recorder.told("progress") == [10, 20, 25]
    assert [report.iteration for report in recorder.told("report")] == [10, 20, 25]
    assert [report.sequences for report in recorder.told("report")] == [10, 10, 5]
    assert [report.loss for report in recorder.told("report")] == history.loss.tolist()
    (end,) = recorder.told("end")
    assert end.iteration.tolist() == [10, 20, 25]


def test_progress_is_reported_between_reports():
    recorder = Recorder()
    trained(hooks=[recorder], iterations=220, report_every=220)
    progress = recorder.told("progress")
    assert progress[-1] == 220
    assert all(later - earlier <= 100 for earlier, later in pairwise([0, *progress]))


def test_several_hooks_are_called_one_after_the_other():
    told = []

    class Named:
        def __init__(self, name):
            self.name = name

        def on_report(self, report):
            told.append(self.name)

    trained(hooks=[Named("a"), Named("b")], iterations=20)
    assert told == ["a", "b", "a", "b"]


def test_an_error_in_a_hook_stops_training_and_still_calls_on_train_end():
    class Failing:
        def on_report(self, report):
            raise RuntimeError(f"stop at {report.iteration}")

    recorder = Recorder()
    with pytest.raises(RuntimeError, match=r"^stop at 10$"):
        trained(hooks=[recorder, Failing()])
    assert recorder.kinds()[-2:] == ["report", "end"]
    assert recorder.told("end")[0].iteration.tolist() == [10]


ALIVE = (
    "a graph of this model is still alive, and MyGrad keeps its parameters from changing: "
    "call loss.backward() first, or delete the tensors that hold it"
)


@pytest.mark.parametrize("engine", ["mygrad", "native"])
def test_a_hook_that_keeps_a_graph_gets_an_error(engine):
    class Keeping:
        def __init__(self):
            self.kept = []

        def on_report(self, report):
            if report.iteration == 20:
                self.kept.append(model(np.eye(10, dtype=np.float32)[:3]))

    model, same, keeping = small_model(), small_model(), Keeping()
    options = {"engine": engine, "report_every": 10}
    training = Training(model, TASK, Adam(model.parameters), hooks=[keeping], **options)
    with refused(ALIVE):
        training.run(40)
    state = training.state()
    with refused(ALIVE):
        training.restore(state)
    # Once the graph is deleted, training continues as if there had been none.
    keeping.kept.clear()
    training.restore(state)
    history = training.run(20)
    expected = Training(same, TASK, Adam(same.parameters), **options).run(40)
    assert (history.iteration.tolist(), contents(model)) == (expected.iteration.tolist(), contents(same))


def test_an_interrupt_keeps_earlier_reports():
    class Interrupting:
        def on_report(self, report):
            if report.iteration == 20:
                raise KeyboardInterrupt

    recorder = Recorder()
    with pytest.raises(KeyboardInterrupt):
        trained(hooks=[recorder, Interrupting()])
    assert recorder.told("end")[0].iteration.tolist() == [10, 20]


EVENTS = "on_train_begin, on_progress, on_progressed, on_report, on_reported, on_train_end"


@pytest.mark.parametrize(
    ("hooks", "message"),
    [
        (3, "hooks must be a list of hooks, not int"),
        ([print], f"a hook must be an object with one of the methods {EVENTS}, not <built-in function print>"),
        ([Recorder], f"a hook must be an object with one of the methods {EVENTS}, not {Recorder!r}"),
    ],
)
def test_an_object_without_events_is_not_a_hook(hooks, message):
    with refused(message):
        trained(hooks=hooks)


def test_a_report_says_its_numbers():
    assert TrainingReport(10, 20, 0.5, 0.75).accuracy == 0.75


# --- arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"iterations": 0}, "iterations must be at least 1, not 0"),
        ({"iterations": 2.0}, "iterations must be an integer, not 2.0"),
        ({"batch_size": 0}, "batch_size must be at least 1, not 0"),
        ({"report_every": -5}, "report_every must be at least 1, not -5"),
        ({"seed": -1}, "seed must be at least 0, not -1"),
        ({"engine": "natve"}, "engine must be one of 'auto', 'native', 'mygrad', not 'natve'; did you mean 'native'?"),
        ({"gradient_clip": 0.0}, "gradient_clip must be above 0, not 0.0"),
        ({"gradient_clip": np.inf}, "gradient_clip must be finite, not inf"),
        (
            {"schedule": "cosin"},
            "schedule must be one of 'constant', 'cosine', 'linear', not 'cosin'; did you mean 'cosine'?",
        ),
        ({"schedule": 0.1}, "schedule must map an iteration to a learning rate, not be 0.1"),
        ({"schedule": lambda iteration: -1.0}, "schedule(0) must be at least 0, not -1.0"),
        ({"schedule": lambda iteration: None}, "schedule(0) must be a number, not None"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_changed(arguments, message):
    model = small_model()
    before = contents(model)
    with refused(message):
        trained(model=model, **arguments)
    assert contents(model) == before


def test_an_optimizer_must_hold_the_models_parameters():
    model = small_model()
    with refused("optimizer holds none of the model's parameters: make it from this model's .parameters"):
        train(model, TASK, Adam(small_model().parameters))
    with refused("optimizer must be an optimizer such as Adam(model.parameters), not 'adam'"):
        train(model, TASK, "adam")
    with refused(f"optimizer must be an optimizer such as Adam(model.parameters), not {Adam!r}"):
        train(model, TASK, Adam)


# --- it learns


@pytest.mark.parametrize("task", [TwinHalves(1, 1, alphabet_size=3), Palindromes(1, 1, 3, parity="odd")])
def test_a_small_network_learns(task):
    model = RNN(3, 12, 2, rng=0)
    history = train(model, task, Adam(model.parameters, learning_rate=0.01), iterations=400, batch_size=4)
    fresh = task.sample(400, np.random.default_rng(99))
    right = np.mean(np.argmax(reference_logits(model, fresh), axis=1) == fresh.labels)
    # Guessing is right in half of the cases.
    assert right > 0.95
    assert history.loss[-1] < 0.4


def test_a_network_learns_to_compare_short_halves():
    model = RNN(5, 32, 2, rng=0)
    task = TwinHalves(1, 2, alphabet_size=5)
    train(model, task, Adam(model.parameters, learning_rate=0.003), iterations=3000, batch_size=4)
    fresh = task.sample(1000, np.random.default_rng(99))
    assert np.mean(np.argmax(reference_logits(model, fresh), axis=1) == fresh.labels) > 0.8


def test_short_turns_give_the_same_as_one_run():
    whole, history = trained(iterations=37, batch_size=2)
    model = small_model()
    training = Training(model, TASK, Adam(model.parameters), 2, report_every=10, engine="mygrad")
    turns = [training.advance(count) for count in (1, 4, 20, 12)]
    assert [len(losses) for losses, _ in turns] == [1, 4, 20, 12]
    assert contents(model) == contents(whole)
    assert training.iteration == 37
    for column in ("iteration", "loss", "accuracy"):
        assert getattr(training.history, column).tolist() == getattr(history, column).tolist()
    losses, correct = (np.concatenate(parts) for parts in zip(*turns, strict=True))
    assert losses[10:20].mean() == history.loss[1]
    assert correct[10:20].sum() / 20 == history.accuracy[1]


def test_turns_only_call_hooks_for_progress_and_complete_reports():
    recorder, model = Recorder(), small_model()
    training = Training(model, TASK, Adam(model.parameters), report_every=10, engine="mygrad", hooks=[recorder])
    training.advance(4)
    training.advance(8)
    assert recorder.kinds() == ["progress", "progress", "report", "progress"]
    assert [event.iteration for kind, event in recorder.events if kind == "report"] == [10]
    assert training.history.iteration.tolist() == [10, 12]
    assert training.run(1).iteration.tolist() == [10, 13]


def test_a_turn_ends_where_the_sequences_end():
    pairs = TASK.sample(5, np.random.default_rng(0))
    model = small_model()
    training = Training(model, iter([pairs[i] for i in range(5)]), Adam(model.parameters), engine="mygrad")
    assert [len(part) for part in training.advance(8)] == [5, 5]
    assert [len(part) for part in training.advance(8)] == [0, 0]


def test_a_turn_of_no_iteration_is_refused():
    model = small_model()
    training = Training(model, TASK, Adam(model.parameters), engine="mygrad")
    with refused("iterations must be at least 1, not 0"):
        training.advance(0)


class TakesNumbersOut(RNN):
    """Computes with the values of parameters, outside of the graph."""

    def __init__(self, how):
        super().__init__(10, 4, 2, rng=0)
        self.how = how

    def __call__(self, x):
        if self.how == "nan":
            return x[0:1, :2] * np.nan
        if self.how == "loop":
            h = np.zeros((1, 4), dtype=np.float32)
            for x_t in x:
                h = relu(self.fc_x2h(x_t[np.newaxis]) + self.fc_h2h(h)).data
            return mg.tensor(h[:, :2])
        logits = super().__call__(x).data
        return logits if self.how == "array" else mg.tensor(logits)


@pytest.mark.parametrize("how", ["array", "tensor", "loop", "nan"])
@pytest.mark.parametrize(("engine", "error"), [("native", CompileError), ("mygrad", InvalidArgument)])
def test_a_model_that_no_gradient_reaches_is_refused(how, engine, error):
    model = TakesNumbersOut(how)
    before = contents(model)
    traced = engine == "native" and how in ("tensor", "loop")
    why = "takes numbers out of its tensors" if traced else "no gradient reaches any parameter of the model"
    with pytest.raises(error, match=why) as caught:
        train(model, TASK, SGD(model.parameters), 5, engine=engine, progress=False)
    if how in ("tensor", "loop"):
        assert re.search(r"test_training\.py:\d+ .*\.data", str(caught.value))
    assert contents(model) == before
