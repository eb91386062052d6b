import base64
import contextlib
import hashlib
import re
import shlex
from contextlib import nullcontext
from itertools import pairwise

import mygrad as mg
import numpy as np
import pytest

import myrnn
from marks import most_are_long
from myrnn import Experiment, evaluate, inspect, registry, train
from myrnn.cli import main
from myrnn.compiler import compile
from myrnn.errors import InvalidArgument, NotFinite, RunError, TrainingDiverged
from myrnn.inspection import recurrent_eigenvalues
from myrnn.models import RNN
from myrnn.models.own import load_own
from myrnn.playground import keep, views
from myrnn.playground.keep import script
from myrnn.playground.material import TaskMaterial
from myrnn.playground.network import NEXT_SEED, Network, Recorded, new_model
from myrnn.registry import make
from myrnn.runs import load_run, save_run
from myrnn.tasks import Palindromes, TwinHalves
from playground_help import JUMPING, RECURRENT, SMALL


def refused(message, kind=InvalidArgument):
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


FAILS_AT_FOUR = "    def __call__(self, x):\n        if len(x) == 4:\n            raise IndexError('four')\n"


def contents(model):
    return [parameter.data.tobytes() for parameter in model.parameters]


def unpacked(text, shape):
    return np.frombuffer(base64.b64decode(text), dtype="<f4").reshape(shape)


@pytest.fixture
def own(here):
    (here / "jumping.py").write_text(JUMPING)
    return load_own("jumping.py:Jumping")


def saved(network):
    return keep.save(network, views.tried_further(network, None, 1))


def trained(settings=SMALL, iterations=700):
    return trained_on(Network(settings), iterations)


def trained_on(network, iterations):
    end = network.iteration + iterations
    while network.iteration < end:
        network.advance(0.1, end - network.iteration)
    return network


@pytest.fixture(scope="module")
def played():
    """A trained network, which tests must not change."""
    return trained()


# --- training


@pytest.mark.parametrize("batch_size", [1, 4])
def test_short_turns_train_the_same_as_one_call(batch_size):
    settings = {**SMALL, "batch_size": batch_size}
    network = trained(settings)
    task = TwinHalves(1, 3)
    model = new_model(settings, task)
    optimizer = make("optimizer", "adam", params=model.parameters, learning_rate=0.01)
    history = train(model, task, optimizer, 700, batch_size, seed=0, engine="native")
    assert contents(network.model) == contents(model)
    assert network.training.history.loss.tolist() == history.loss.tolist()
    loss, accuracy = network.curve.since(0)
    assert np.mean(loss[:-1]) == pytest.approx(0.69, abs=0.1)
    assert len(loss) == len(accuracy) == -(-700 // network.curve.width)


@pytest.fixture(scope="module")
def adjusted_on_the_way():
    """A network that was adjusted three times, once before it continued, and its settings at each training.

    Tests must not change it.
    """
    changes = [{}, {"learning_rate": 0.02}, {"batch_size": 4, "learning_rate": 0.03}, {"gradient_clip": 0.5}]
    phases, network = [], Network(SMALL)
    for changed, iterations in zip(changes, [620, 0, 70, 30], strict=True):
        phases.append({**(phases[-1] if phases else SMALL), **changed})
        assert network.adjust(phases[-1])
        if iterations:
            trained_on(network, iterations)
    return network, [phases[0], *phases[2:]]


def test_a_network_continues_with_other_settings_and_its_weights_and_optimizer(adjusted_on_the_way):
    network, phases = adjusted_on_the_way
    assert network.iteration == 720
    assert network.settings == {**SMALL, "learning_rate": 0.03, "batch_size": 4, "gradient_clip": 0.5}
    task = TwinHalves(1, 3)
    model = new_model(SMALL, task)
    optimizer = make("optimizer", "adam", params=model.parameters, learning_rate=0.01)
    losses = []
    for i, (settings, iterations) in enumerate(zip(phases, [620, 70, 30], strict=True)):
        optimizer.learning_rate = settings["learning_rate"]
        given = {name: settings[name] for name in ("batch_size", "gradient_clip")}
        losses += train(model, task, optimizer, iterations, seed=NEXT_SEED * i, engine="native", **given).loss.tolist()
    assert contents(network.model) == contents(model)
    assert network.history.iteration.tolist() == [500, 620, 690, 720]
    assert network.history.loss.tolist() == losses
    assert network.curve.iterations == 720
    assert max(network.curve.since(0)[1]) <= 1


@pytest.mark.parametrize("changed", [{"seed": 1}, {"cell": "gru"}, {"optimizer": "sgd"}, {"pattern_length_max": 4}])
def test_settings_that_need_another_network_are_not_adjustments(changed):
    network = trained(iterations=1)
    assert not network.adjust({**SMALL, "learning_rate": 0.1, **changed})
    assert network.settings == SMALL


def test_an_adjustment_before_the_first_iteration_makes_the_network_of_its_settings():
    network = Network(SMALL)
    assert network.adjust({**SMALL, "batch_size": 4})
    assert contents(trained_on(network, 30).model) == contents(trained({**SMALL, "batch_size": 4}, 30).model)
    assert len(network.phases) == 1


def test_a_network_whose_training_failed_is_not_adjusted():
    network = Network(SMALL)
    for parameter in network.model.parameters:
        parameter.data[...] = 1e30
    with pytest.raises(TrainingDiverged):
        network.advance(0.0, 1)
    assert not network.adjust({**SMALL, "learning_rate": 0.001})


def test_the_loss_of_an_iteration_is_that_of_the_reported_sequence():
    network = trained(iterations=40)
    twin = new_model(SMALL, network.task)
    for parameter, trained_one in zip(twin.parameters, network.model.parameters, strict=True):
        parameter.data[...] = trained_one.data
    network.advance(0.0, 1)
    tokens = network.recorded.last_of(network.iteration - 1)
    truth = network.material.answers(tokens.tolist())[-1]
    x = np.eye(10, dtype=np.float32)[tokens]
    loss, _ = compile(twin).loss_and_gradients(x, truth)
    assert network.last_loss == pytest.approx(loss, rel=1e-5)


def test_a_recorded_task_knows_the_sequences_of_the_last_iterations():
    task = Recorded(TwinHalves(1, 3), batch_size=3)
    blocks = [task.sample(6, np.random.default_rng(seed)) for seed in range(3)]
    assert task.last_of(2).tolist() == blocks[1].tokens(2).tolist()
    assert task.last_of(5).tolist() == blocks[2].tokens(5).tolist()


@pytest.mark.parametrize("cell", ["rnn-relu", "rnn-tanh", "gru", "lstm"])
def test_the_seed_draws_the_weights(cell):
    settings = {**SMALL, "cell": cell}
    one, other = (new_model({**settings, "seed": seed}, TwinHalves()) for seed in (3, 4))
    assert contents(one) == contents(new_model({**settings, "seed": 3}, TwinHalves()))
    assert contents(one) != contents(other)


def test_a_training_that_diverges_says_what_to_do():
    network = Network(SMALL)
    for parameter in network.model.parameters:
        parameter.data[...] = 1e30
    with pytest.raises(TrainingDiverged, match="choose a smaller learning rate, or clipping, and train again"):
        network.advance(0.0, 1)


def test_a_class_that_fails_in_the_training_is_trained_no_further(here):
    (here / "failing.py").write_text(JUMPING.replace("    def __call__(self, x):\n", FAILS_AT_FOUR))
    network = Network({**SMALL, "cell": "own"}, load_own("failing.py:Jumping"))
    with pytest.raises(IndexError, match="four"):
        network.advance(0.0, 30)
    message = "this network failed in its training: reset it, or load a run"
    for refusing in (
        lambda: network.advance(0.0, 1),
        lambda: script(network),
        lambda: keep.check_can_be_saved(network),
    ):
        with refused(message):
            refusing()


# --- a user-defined class


def test_a_user_defined_class_that_does_not_compile_is_trained_op_by_op(own):
    network = Network({**SMALL, "cell": "own"}, own)
    assert network.compiled is None
    assert "A compiled loop reads all rows" in network.note
    assert network.preparations() == []
    network.advance(0.0, 5)
    assert network.iteration == 5
    again = Network({**SMALL, "cell": "own"}, own)
    again.advance(0.0, 5)
    assert contents(network.model) == contents(again.model)


def test_the_seed_draws_the_weights_of_a_user_defined_class_without_numpys_global_generator(own):
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.rand()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    weights = [contents(new_model({**SMALL, "cell": "own", "seed": seed}, TwinHalves(), own)) for seed in (1, 1, 2)]
    assert weights[0] == weights[1] != weights[2]
    assert np.random.rand() == expected  # noqa: NPY002


def test_without_a_user_defined_class_none_is_offered():
    with refused("there is no model class of yours here: start with myrnn playground --model my_file.py:MyClass"):
        new_model({**SMALL, "cell": "own"}, TwinHalves())


def test_a_class_that_fails_is_named():
    class Broken:
        def __init__(self, dim_input, dim_recurrent, dim_output):
            raise ValueError("no luck")

    with pytest.raises(
        InvalidArgument, match=r"^Broken\(10, 8, 2\) fails: ValueError: no luck, in .*: raise ValueError"
    ):
        new_model({**SMALL, "cell": "own"}, TwinHalves(), Broken)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("mine.py", "a model must name the class in its file, too, such as mine.py:My, not 'mine.py'"),
        ("mine:My", "a model must be a file and a class, such as my_file.py:MyClass, not 'mine:My'"),
        ("none.py:My", "there is no file none.py"),
        ("mine.py:Other", "mine.py has no class Other; it has My"),
        ("broken.py:My", "broken.py fails: ZeroDivisionError: division by zero, in broken.py:1: 1 / 0"),
    ],
)
def test_a_missing_class_is_reported(here, place, message):
    (here / "mine.py").write_text("class My:\n    pass\n")
    (here / "broken.py").write_text("1 / 0\n")
    with refused(message):
        load_own(place)


# --- views


def test_a_network_of_one_unit_is_evaluated_like_any_other():
    assert views.portion(Network({**SMALL, "dim_recurrent": 1})) == views.MOST


def test_a_row_agrees_with_inspect(played):
    network = played
    told = views.row(network, [1, 2, 3, 1, 2, 3])
    seen = inspect(network.model, "123123", 1)
    assert (told["answers"][-1], told["units"], told["state_names"]) == (1, 8, ["h"])
    assert unpacked(told["states"], (6, 8)).tolist() == seen.states["h"].tolist()
    assert [dict(likely)[1] for likely in told["likely"]] == seen.probabilities[:, 1].tolist()
    assert told["gradients"] == seen.state_gradient_norms["h"].tolist()
    assert told["loss"] == seen.loss


def test_a_network_with_nonfinite_numbers_has_no_row():
    network = Network(SMALL)
    assert views.row(network, [2, 1, 2, 1])["units"] == 8
    network.model.fc_x2h.weight.data[1] = np.nan
    with refused("there is nothing to see in this sequence: the network's numbers overflow", NotFinite):
        views.row(network, [2, 1, 2, 1])


def test_accuracy_agrees_with_evaluate(played):
    network = played
    sequences = network.material.tested.part(30)
    told = views.accuracy_shown(views.accuracy(network, sequences))
    report = evaluate(network.model, sequences, engine="mygrad")
    assert told["lengths"] == [2, 4, 6, 8, 10, 12]
    assert told["accuracy"] == report.accuracy.tolist()
    assert told["low"] == report.interval[:, 0].tolist()
    assert (told["trained"], told["chance"], told["total"]) == (6, 0.5, [30] * 6)
    assert told["base_rate"] == report.base_rate.tolist()


@pytest.mark.parametrize("settings", [SMALL, {**SMALL, "cell": "lstm", "dim_recurrent": 256, "pattern_length_max": 20}])
def test_each_evaluation_does_a_bounded_amount_of_work(settings):
    network = Network(settings)
    sequences = network.material.tested.part(views.portion(network))
    assert len(sequences.values) * network.compiled.work_per_row <= views.WORK or views.portion(network) == 1
    assert 1 <= views.portion(network) <= views.MOST


def test_an_idle_network_is_evaluated_on_more_and_more_sequences():
    network = trained()
    trial = views.Trial(network, 100)
    reports = [trial.report() for _ in range(5)]
    assert [report.total[0] for report in reports] == [40, 80, 120, 120, 120]
    assert trial.total == 6 * 120
    parts = [views.accuracy(network, network.material.tested.part(40, part)) for part in range(3)]
    assert reports[-1].correct.tolist() == sum(part.correct for part in parts).tolist()
    assert reports[0].correct.tolist() == parts[0].correct.tolist()
    network.advance(0.0, 1)
    assert trial.total == 0
    assert trial.report().total[0] == 40


def test_a_run_is_tested_in_several_portions(played):
    network, report = played, None
    for total in (40, 80, 120):
        report = views.tried_further(network, report, 120)
        assert report.total.tolist() == [total] * 6
    assert views.tried_further(network, report, 120) is report
    trial = views.Trial(network, 120)
    for _ in range(3):
        expected = trial.report()
    assert report.correct.tolist() == expected.correct.tolist()


def test_eigenvalues_and_gradient_agree_with_the_library(played):
    network = played
    (matrix,) = views.eigenvalues(network)
    values = recurrent_eigenvalues(network.model).values["fc_h2h.weight"]
    assert matrix["real"] == pytest.approx(values.real.tolist(), abs=1e-5)
    assert matrix["imaginary"] == pytest.approx(values.imag.tolist(), abs=1e-5)
    flow = views.gradient(network)
    assert flow["distance"] == [0, 1, 2, 3, 4, 5]
    assert flow["mean"][0] == pytest.approx(1)


@pytest.mark.parametrize("family", ["trained", "longer", "near", "other"])
def test_mistakes_are_mistakes(family, played):
    network = played
    told = views.mistakes(network, family, 100, 1)
    assert told["samples"] == 100
    probabilities = [mistake["probability"] for mistake in told["mistakes"]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert told["mistakes"]
    for mistake in told["mistakes"]:
        tokens = mistake["tokens"]
        assert mistake["truth"] == network.material.answers(tokens)[-1] != mistake["predicted"]
        assert inspect(network.model, np.array(tokens)).predicted == mistake["predicted"]
        length = len(tokens)
        assert length > 6 if family == "longer" else length <= 6
        if family == "other":
            assert tokens == tokens[::-1] or mistake["truth"] == 0
        if family == "near":
            half = length // 2
            assert sum(a != b for a, b in zip(tokens[:half], tokens[half:], strict=True)) <= 1


def test_a_unit_shows_the_weights_that_lead_into_it(played):
    network = played
    told = {one["name"]: one["weights"] for one in views.unit(network, 3)["incoming"]}
    assert list(told) == ["fc_x2h.weight", "fc_h2h.weight"]
    assert told["fc_h2h.weight"] == pytest.approx(network.model.fc_h2h.weight.data[:, 3].tolist(), abs=1e-5)
    assert views.unit(network, 3, "none")["incoming"] == views.unit(network, 3)["incoming"]
    assert views.unit(network, 8)["incoming"] == []


@pytest.mark.parametrize("units", [4, 16])
def test_the_units_are_those_of_the_state_of_a_user_defined_class(units):
    network = Network({**SMALL, "cell": "own"}, lambda inputs, _, outputs: RNN(inputs, units, outputs))
    for unit in range(units):
        *_, (name, weights) = [(one["name"], one["weights"]) for one in views.unit(network, unit)["incoming"]]
        assert name == "fc_h2h.weight"
        assert weights == pytest.approx(network.model.fc_h2h.weight.data[:, unit].tolist(), abs=1e-5)
    for beyond in (units, 255):
        assert views.unit(network, beyond) == {"unit": beyond, "incoming": []}


def test_shortcuts_and_the_recurrence_are_shown(played):
    levels = views.shortcut_levels(TaskMaterial(TwinHalves(1, 3)))
    assert levels["lengths"] == [2, 4, 6]
    assert np.shape(levels["accuracy"]) == (len(levels["names"]), 3)
    told = views.recurrence(played)
    assert "h = relu(" in told["equations"]
    assert told["svg"].startswith("<svg")


# --- saving


@pytest.mark.usefixtures("in_python")
def test_a_saved_run_can_be_loaded(here):
    settings = {**SMALL, "cell": "rnn-tanh", "task": "palindromes", "negatives": "near_miss", "gradient_clip": 1.0}
    network = trained(settings, 120)
    folder = saved(network)
    assert keep.listed_runs() == [folder.name]
    assert load_run(folder).history.iteration.tolist() == [120]
    run, loaded = keep.load(folder.name)
    assert loaded == settings
    again = Network(loaded, run=run)
    assert contents(again.model) == contents(network.model)
    assert again.done_before == 120
    with refused("there is nothing new to save: press play first"):
        keep.check_can_be_saved(again)
    again.advance(0.0, 1)
    assert again.history.iteration.tolist() == [120, 121]
    assert run.continued_from is None


def test_a_run_that_continues_another_names_it(here):
    first = saved(trained(iterations=20))
    run, settings = keep.load(first.name)
    network = Network(settings, run=run)
    network.advance(0.0, 16)
    continued = load_run(saved(network))
    weights = hashlib.sha256((first / "model.safetensors").read_bytes()).hexdigest()
    assert continued.continued_from == {"name": first.name, "weights": weights, "iterations": 20}
    assert continued.experiment.training.iterations == 16
    assert continued.history.iteration.tolist() == [20, 36]
    # The settings needed to repeat the run.
    again = load_run(first)
    training = {name: getattr(continued.experiment.training, name) for name in ("iterations", "batch_size", "seed")}
    train(
        again.model,
        again.task,
        make("optimizer", "adam", params=again.model.parameters, learning_rate=0.01),
        **training,
    )
    assert contents(again.model) == contents(continued.model)


def test_a_run_that_settings_cannot_reproduce_is_shown_and_says_so(here):
    model = RNN(10, 8, 2, recurrent_init="identity", rng=0)
    task = TwinHalves(1, 3)
    optimizer = make("optimizer", "adam", params=model.parameters, learning_rate=0.002)
    history = train(model, task, optimizer, 60, 128, seed=0, schedule="cosine")
    training = {"iterations": 60, "batch_size": 128, "schedule": "cosine"}
    save_run("runs/best", task=task, model=model, optimizer=optimizer, history=history, training=training)
    run, settings = keep.load("best")
    network = Network(settings, run=run)
    assert (settings["cell"], settings["batch_size"]) == ("rnn-relu", 128)
    assert network.unrepeatable == (
        "the settings on this page cannot repeat this run, which has recurrent_init identity, schedule cosine: "
        "to start it again, load it"
    )
    network.advance(0.0, 1)
    assert load_run(saved(network)).experiment.model.settings.recurrent_init == "identity"


@pytest.mark.long
def test_a_run_with_a_registered_loss_is_continued_with_it(here, monkeypatch):
    monkeypatch.setitem(registry._KINDS, "loss", dict(registry.kinds("loss")))

    @registry.register("loss", "doubled")
    def doubled(outputs, targets):
        return 2 * ((mg.nnet.softmax(outputs) - np.eye(2, dtype=np.float32)[targets]) ** 2).sum(axis=1)

    experiment = Experiment(
        task={"pattern_length_max": 3},
        model={"dim_recurrent": 4},
        optimizer={"name": "sgd", "learning_rate": 0.1},
        training={"iterations": 4, "batch_size": 4, "loss": "doubled"},
        evaluation={"samples": 2},
    )
    myrnn.run(experiment, "runs/double", progress=False)
    run, settings = keep.load("double")
    network = Network(settings, run=run)
    assert "loss doubled" in network.unrepeatable
    network.advance(0.0, 5)
    folder = saved(network)
    assert load_run(folder).experiment.training.loss == "doubled"
    again = load_run("runs/double")
    optimizer = make("optimizer", "sgd", params=again.model.parameters, learning_rate=0.1)
    train(again.model, again.task, optimizer, 5, 4, seed=settings["seed"], loss="doubled", progress=False)
    assert contents(again.model) == contents(network.model)
    assert contents(run_script(script(network))["model"]) == contents(network.model)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize(("text", "name"), most_are_long([(RECURRENT, "Recurrent"), (JUMPING, "Jumping")], 2))
def test_a_run_of_a_user_defined_class_is_loaded_with_the_class(here, text, name):
    (here / "own.py").write_text(text)
    own = load_own(f"own.py:{name}")
    network = Network({**SMALL, "cell": "own"}, own)
    network.advance(0.0, 5)
    folder = saved(network)
    run, settings = keep.load(folder.name, own)
    assert settings == network.settings
    again = Network(settings, run=run)
    assert contents(again.model) == contents(network.model)
    again.advance(0.0, 2)
    texts = [script(one, own) for one in (network, again)]
    # The path of the class on the server is not revealed.
    assert all("'own.py:" in text and str(here) not in text for text in texts)
    with pytest.warns(UserWarning, match="op by op") if again.compiled is None else nullcontext():
        found = run_script(texts[1])
    assert contents(found["model"]) == contents(again.model)
    # It was named when it was loaded.
    assert contents(keep.load(folder.name)[0].model) == contents(network.model)


@pytest.mark.usefixtures("in_python")
def test_the_command_that_tests_a_saved_run_is_shown(here):
    folder = saved(trained(iterations=1))
    assert keep.opening_command(folder, Network(SMALL), None) == f"myrnn evaluate {folder.as_posix()}"
    (here / "my own.py").write_text(RECURRENT)
    own = load_own("my own.py:Recurrent")
    network = Network({**SMALL, "cell": "own"}, own)
    network.advance(0.0, 5)
    command = keep.opening_command(saved(network), network, own)
    assert command.endswith(" --model 'my own.py:Recurrent'")
    assert main([*shlex.split(command)[1:], "--samples", "60", "--quiet"]) == 0
    (here / "elsewhere").mkdir()
    with contextlib.chdir(here / "elsewhere"):
        assert str(here) not in keep.opening_command(folder, network, own)


def test_the_number_of_saved_runs_is_limited(here, monkeypatch, played):
    monkeypatch.setattr(keep, "MOST_RUNS", 2)
    network = played
    saved(network)
    saved(network)
    message = "there are 2 runs in runs/, and the playground adds no more: move some of them away, or start it in "
    for refusing in (lambda: keep.check_can_be_saved(network), lambda: saved(network)):
        with refused(f"{message}another folder"):
            refusing()
    assert len(keep.listed_runs()) == 2


def test_runs_that_the_playground_cannot_show_are_refused(here):
    network = trained(iterations=1)
    network.task = Palindromes(1, 3, parity="both")
    folder = saved(network)
    with refused("the playground cannot show this run: its task has parity both"):
        keep.load(folder.name)


def test_only_complete_runs_are_listed(here, played):
    first, second = saved(played), saved(played)
    for name, content in (("other", "{}"), ("unreadable", "[")):
        (here / "runs" / name).mkdir()
        (here / "runs" / name / "settings.json").write_text(content)
    assert keep.listed_runs() == [second.name, first.name]


@pytest.mark.parametrize("name", ["none", "../runs", "/etc", ""])
def test_a_run_that_is_not_listed_cannot_be_loaded(here, name):
    with refused("there is no such run any more: look at the list again", RunError):
        keep.load(name)


def test_invalid_names_and_pictures_are_refused(here, own):
    network = Network(SMALL)
    with refused("there is nothing to save yet: press play first"):
        saved(network)
    with refused("there is nothing to draw yet: press play first"):
        keep.figure("training", "svg", network, [1, 1])
    with refused("the graph is an SVG: choose SVG"):
        keep.figure("graph", "png", network, [1, 1])
    positional = Network({**SMALL, "cell": "own"}, own)
    with refused("this figure needs a model that can be compiled"):
        keep.figure("states", "svg", positional, [1, 1])


@pytest.mark.parametrize("name", ["training", "states", "gradient", "eigenvalues", "graph"])
def test_every_picture_is_drawn(name, played):
    assert "<svg" in keep.figure(name, "svg", played, [1, 2, 1, 2])()[:600]


def test_a_picture_is_drawn_as_png(played):
    content = keep.figure("states", "png", played, [1, 2, 1, 2])()
    assert base64.b64decode(content).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({}, marks=pytest.mark.long),
        {"cell": "rnn-tanh", "task": "palindromes", "optimizer": "sgd", "learning_rate": 0.03, "batch_size": 4},
        pytest.param(
            {"negatives": "near_miss", "gradient_clip": 0.3, "seed": 7, "alphabet_size": 5}, marks=pytest.mark.long
        ),
    ],
)
def test_the_script_gives_the_same_numbers(here, changed):
    network = trained({**SMALL, **changed}, 620)
    found = run_script(script(network))
    assert contents(found["model"]) == contents(network.model)
    assert found["history"].loss.tolist() == network.training.history.loss.tolist()
    assert (here / "accuracy_by_length.png").exists()


def test_the_script_of_a_network_that_was_adjusted_gives_the_same_numbers(here, adjusted_on_the_way):
    network, _ = adjusted_on_the_way
    found = run_script(script(network))
    assert contents(found["model"]) == contents(network.model)
    assert found["history"].iteration.tolist() == network.history.iteration.tolist()
    assert found["history"].loss.tolist() == network.history.loss.tolist()


def test_an_adjusted_run_lists_its_adjustments(here, adjusted_on_the_way):
    network, _ = adjusted_on_the_way
    folder = saved(network)
    run, settings = keep.load(folder.name)
    assert settings == network.settings
    assert run.phases == [
        {"iterations": 620, "learning_rate": 0.01, "batch_size": 1, "seed": 0, "gradient_clip": None},
        {"iterations": 70, "learning_rate": 0.03, "batch_size": 4, "seed": NEXT_SEED, "gradient_clip": None},
        {"iterations": 30, "learning_rate": 0.03, "batch_size": 4, "seed": 2 * NEXT_SEED, "gradient_clip": 0.5},
    ]
    again = Network(settings, run=run)
    assert again.unrepeatable == (
        "the settings on this page cannot repeat this run, which has settings that were changed while it was "
        "trained: to start it again, load it"
    )
    trained_on(again, 1)
    assert again.history.iteration.tolist() == [500, 620, 690, 720, 721]


def test_a_run_adjusted_after_its_last_iteration_has_the_settings_of_its_training(here):
    network = trained(iterations=20)
    network.adjust({**SMALL, "learning_rate": 0.5})
    run = load_run(saved(network))
    assert [phase["learning_rate"] for phase in run.phases] == [0.01]
    assert "learning_rate=0.01)" in script(network)


def test_the_script_of_a_loaded_run_continues_it(here):
    network = trained(iterations=60)
    folder = saved(network)
    run, settings = keep.load(folder.name)
    again = Network(settings, run=run)
    again.advance(0.0, 10)
    assert contents(run_script(script(again))["model"]) == contents(again.model)


@pytest.mark.long
def test_the_script_of_a_user_defined_class_runs_its_file(own):
    network = Network({**SMALL, "cell": "own", "seed": 2}, own)
    network.advance(0.0, 5)
    with pytest.warns(UserWarning, match="op by op"):
        found = run_script(script(network, own))
    assert contents(found["model"]) == contents(network.model)


def test_the_script_of_an_untrained_network_creates_it():
    network = Network(SMALL)
    assert contents(run_script(script(network))["model"]) == contents(network.model)


def run_script(text):
    """Return what a script defines that evaluates fewer sequences."""
    assert ("samples=20_000" in text) == ("evaluate(" in text)
    namespace = {}
    exec(text.replace("samples=20_000", "samples=60"), namespace)
    return namespace


def test_the_script_is_tidy(played):
    lines = script(played).splitlines()
    assert max(map(len, lines)) <= 140
    assert not any(before == after == "" for before, after in pairwise(lines))
