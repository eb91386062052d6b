import hashlib
import json
import os
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from myrnn.errors import InvalidArgument, RunError
from myrnn.evaluation import evaluate
from myrnn.learning_curve import LearningCurve
from myrnn.models import GRU, LSTM, RNN, stacked
from myrnn.optimizers import SGD, Adam, RMSprop
from myrnn.registry import make
from myrnn.runs import load_run, save_run
from myrnn.runs.folder import claim_folder
from myrnn.runs.model import check_size
from myrnn.storage import seal
from myrnn.tasks import Palindromes, TwinHalves
from myrnn.training import train
from myrnn.training.outputs import reference_logits
from names import CELLS
from run_folders import data_run

TASK = TwinHalves(pattern_length_max=3, alphabet_size=5, negatives="near_miss")


def refused(message, kind=RunError):
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


def contents(model):
    return [parameter.data.tobytes() for parameter in model.parameters]


@pytest.fixture(scope="module")
def parts():
    """The parts of a small run."""
    model = RNN(5, 6, 2, rng=0)
    optimizer = Adam(model.parameters)
    history = train(model, TASK, optimizer, iterations=30, report_every=10, engine="mygrad")
    return {"task": TASK, "model": model, "optimizer": optimizer, "history": history}


@pytest.fixture(scope="module")
def report(parts):
    return evaluate(parts["model"], TASK, samples=60, lengths=[2, 6, 8], trained=parts["history"])


@pytest.fixture(scope="module")
def saved(tmp_path_factory, parts):
    training = {"iterations": 30, "report_every": 10, "engine": "mygrad"}
    return save_run(tmp_path_factory.mktemp("saved") / "run", **parts, training=training)


@pytest.fixture
def folder(tmp_path, saved):
    """A copy of the small run that tests can change."""
    return shutil.copytree(saved, tmp_path / "run")


def edit(folder, name, change):
    """Change the content of one file and its entry in the index, so that only the content is wrong."""
    path = folder / name
    content = change(path.read_bytes())
    path.write_bytes(sealed(content) if name == "settings.json" else content)
    if name != "settings.json":
        facts = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        edit_json(folder, "settings.json", lambda index: index["files"].update({name: facts}))


def sealed(content):
    """Give an index a valid hash, if it is an index at all."""
    try:
        return json.dumps(seal(json.loads(content))).encode()
    except (ValueError, AttributeError):
        return content


def edit_json(folder, name, change):
    def changed(content):
        parsed = json.loads(content)
        change(parsed)
        return json.dumps(parsed).encode()

    edit(folder, name, changed)


def edit_weights(folder, change):
    def changed(content):
        weights = safetensors.numpy.load(content)
        change(weights)
        return safetensors.numpy.save(weights)

    edit(folder, "model.safetensors", changed)


# --- saving and loading


@pytest.mark.parametrize(
    ("task", "model", "optimizer"),
    [
        (TwinHalves(), RNN(10, 6, 2, activation="tanh", rng=0), lambda p: SGD(p, momentum=0.5, learning_rate=0.1)),
        (Palindromes(2, 4, parity="both", max_changes=1), GRU(10, 6, 2, rng=1), RMSprop),
        (TwinHalves(alphabet_size=12), LSTM(12, 6, 2, rng=2), lambda p: Adam(p, weight_decay=1e-4)),
    ],
)
def test_a_saved_run_is_loaded_unchanged(tmp_path, task, model, optimizer):
    made = optimizer(model.parameters)
    history = train(model, task, made, iterations=12, report_every=5, engine="mygrad")
    run = load_run(save_run(tmp_path / "run", task=task, model=model, optimizer=made, history=history))
    assert run.task == task
    assert type(run.model) is type(model)
    assert contents(run.model) == contents(model)
    for column in ("iteration", "loss", "accuracy"):
        assert getattr(run.history, column).tobytes() == getattr(history, column).tobytes()
    assert (run.history.longest, run.history.engine) == (history.longest, "mygrad")
    again = make("optimizer", **run.experiment.optimizer.to_dict(), params=run.model.parameters)
    assert (type(again), again.learning_rate) == (type(made), made.learning_rate)
    sequences = task.sample(5, np.random.default_rng(0))
    assert np.array_equal(reference_logits(run.model, sequences), reference_logits(model, sequences))


def test_the_settings_repeat_the_run(tmp_path, folder, parts):
    settings = json.loads((folder / "settings.json").read_text())
    model = make("model", **settings["model"], rng=0)
    optimizer = make("optimizer", **settings["optimizer"], params=model.parameters)
    train(model, TASK, optimizer, **settings["training"])
    assert contents(model) == contents(parts["model"])


def test_all_settings_are_saved(folder):
    index = json.loads((folder / "settings.json").read_text())
    assert (index["format"], index["format_version"]) == ("myrnn run", 1)
    assert set(index["versions"]) == {"myrnn", "python", "numpy", "mygrad", "numba", "llvmlite", "scikit-learn"}
    assert index["task"] == {
        "name": "twin-halves",
        "pattern_length_min": 1,
        "pattern_length_max": 3,
        "alphabet_size": 5,
        "negatives": "near_miss",
        "max_changes": 3,
    }
    assert index["model"] == {
        "name": "rnn",
        "dim_input": 5,
        "dim_recurrent": 6,
        "dim_output": 2,
        "activation": "relu",
        "recurrent_init": "glorot",
        "layers": 1,
        "dim_embedding": None,
        "bidirectional": False,
    }
    assert index["training"] == {
        "iterations": 30,
        "batch_size": 1,
        "seed": 0,
        "engine": "mygrad",
        "report_every": 10,
        "schedule": "constant",
        "gradient_clip": None,
        "on_divergence": "stop",
        "loss": None,
    }


def test_a_run_has_every_file(tmp_path, parts, report, drawn_figures):
    folder = save_run(tmp_path / "run", **parts, report=report)
    names = {path.name for path in folder.iterdir()}
    figures = {f"{name}.{kind}" for name in ("training", "accuracy_by_length") for kind in ("svg", "png")}
    data = {"settings.json", "model.safetensors", "history.csv", "report.json", "accuracy_by_length.csv"}
    assert names == figures | data | {"graph.svg"}
    assert (folder / "training.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (folder / "accuracy_by_length.svg").read_text()


def test_the_same_run_gives_the_same_files(tmp_path, parts, report):
    one, two = (
        {path.name: path.read_bytes() for path in save_run(tmp_path / name, **parts, report=report).iterdir()}
        for name in ("a", "b")
    )
    # They have the time at which they were made.
    del one["settings.json"], two["settings.json"]
    assert one and one == two


def test_the_report_has_the_numbers(tmp_path, parts, report):
    run = load_run(save_run(tmp_path / "run", **parts, report=report))
    training, evaluation = run.report["training"], run.report["tests"]["task"]
    assert (training["iterations"], training["parameters"], training["longest"]) == (30, 86, 6)
    assert training["loss"] == parts["history"].loss[-1]
    assert evaluation["accuracy_trained_lengths"] == report.correct[:2].sum() / 40
    assert evaluation["accuracy_beyond"] == report.correct[2] / 20
    assert evaluation["lengths"] == report.rows()


def test_a_run_shows_its_results(tmp_path, parts, report):
    run = load_run(save_run(tmp_path / "run", **parts, report=report))
    assert repr(run) == f"Run({tmp_path / 'run'}: RNN on twin-halves, {run.history!r})"
    results = {row["result"]: row["value"] for row in run.rows()}
    assert results["training.iterations"] == 30
    assert results["tests.task.accuracy_beyond"] == report.totals()["beyond"]["accuracy"]
    assert "training.iterations" in run._repr_html_()


def test_untested_lengths_have_no_accuracy(report):
    assert replace(report, trained_length=100).numbers()["accuracy_beyond"] is None


def test_a_run_without_a_report_loads(tmp_path, parts):
    empty = LearningCurve(np.empty(0, np.int64), np.empty(0), np.empty(0))
    folder = save_run(tmp_path / "run", **{**parts, "history": empty})
    assert len(load_run(folder).history) == 0
    assert not (folder / "training.png").exists()


# --- what is refused when saving


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": 3}, "model must have `parameters` and be callable on one sequence, which int is not"),
        (
            {"task": [1]},
            "the task must be of the kinds TwinHalves, Palindromes, Flare, Tomita, Dyck, EqualCounts, Regular, "
            "ContextFree, DeepMind, RunningParity, CopyAfterPause, "
            "NextCharacter, ModularArithmetic, GroupWords, AssociativeRecall, "
            "Induction, not list",
        ),
        ({"optimizer": None}, "the optimizer must be of the kinds SGD, RMSprop, Adam, not NoneType"),
        (
            {"training": {"iteration": 3}},
            "training has no setting 'iteration', only 'iterations', 'batch_size', 'seed', 'engine', 'report_every', "
            "'schedule', 'gradient_clip', 'on_divergence', 'loss'; did you mean 'iterations'?",
        ),
        ({"training": {"iterations": 0}}, "iterations must be at least 1, not 0"),
    ],
)
def test_a_run_that_cannot_be_reproduced_is_refused(tmp_path, parts, change, message):
    with refused(message, InvalidArgument):
        save_run(tmp_path / "run", **{**parts, **change})
    assert not (tmp_path / "run").exists()


def test_nothing_is_overwritten(folder, parts):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with refused(f"{folder} is not empty: choose another folder, nothing is overwritten"):
        save_run(folder, **parts)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_file_is_not_a_folder(tmp_path, parts):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with refused(f"{path} is or lies below a file: a run needs a separate folder"):
            save_run(path, **parts)


def test_a_save_that_fails_leaves_no_run(tmp_path, parts, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("myrnn.runs.saved.write_graph", fail)
    with refused(f"cannot write the run folder {tmp_path / 'run'}: No space left on device"):
        save_run(tmp_path / "run", **parts)
    assert list((tmp_path / "run").iterdir()) == []
    with refused(f"{tmp_path / 'run'} is not a whole run: settings.json is missing, which is written last"):
        load_run(tmp_path / "run")


def test_the_index_is_written_last(tmp_path, parts, monkeypatch):
    moved = []
    move = os.replace
    monkeypatch.setattr(os, "replace", lambda source, target: (moved.append(target.name), move(source, target)))
    save_run(tmp_path / "run", **parts)
    assert moved[-1] == "settings.json"
    assert set(moved) == {path.name for path in (tmp_path / "run").iterdir()}


# --- claiming a folder


def test_a_new_folder_has_the_name_and_the_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.strftime", lambda form: "20260102-030405")
    with claim_folder(None, "twin-halves") as one, claim_folder(None, "twin-halves") as two:
        assert str(one) == os.path.join("runs", "twin-halves-20260102-030405")
        assert two.name == "twin-halves-20260102-030405-2"
        assert one.is_dir()
        assert two.is_dir()


def test_a_claimed_folder_is_removed_when_the_work_fails(tmp_path):
    with pytest.raises(KeyboardInterrupt), claim_folder(tmp_path / "a" / "b", "x") as folder:
        assert folder.is_dir()
        raise KeyboardInterrupt
    assert not (tmp_path / "a" / "b").exists()


def test_a_claimed_folder_with_something_in_it_stays(tmp_path):
    with pytest.raises(ValueError, match="stop"), claim_folder(tmp_path / "a", "x") as folder:
        (folder / "note").write_text("")
        raise ValueError("stop")
    assert (tmp_path / "a" / "note").exists()


def test_an_empty_folder_can_be_claimed(tmp_path, parts):
    (tmp_path / "run").mkdir()
    with claim_folder(tmp_path / "run", "x") as folder:
        save_run(folder, **parts)
    assert load_run(tmp_path / "run").task == TASK


# --- what is refused when loading


def test_a_folder_that_is_missing(tmp_path):
    with refused(f"there is no run folder {tmp_path / 'gone'}"):
        load_run(tmp_path / "gone")
    (tmp_path / "file").write_text("")
    with refused(f"there is no run folder {tmp_path / 'file'}: it is a file"):
        load_run(tmp_path / "file")


@pytest.mark.parametrize("name", ["model.safetensors", "history.csv", "report.json"])
def test_a_file_that_is_missing_short_long_or_changed(folder, name):
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[:-7])
    with refused(f"{folder}: {name} is cut short: {len(whole) - 7:,} bytes instead of {len(whole):,}"):
        load_run(folder)
    (folder / name).write_bytes(whole + b"\n")
    with refused(f"{folder}: {name} is too long: {len(whole) + 1:,} bytes instead of {len(whole):,}"):
        load_run(folder)
    (folder / name).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with refused(f"{folder}: {name} is damaged or was changed: its hash is not the one in settings.json"):
        load_run(folder)
    (folder / name).unlink()
    with refused(f"{folder}: {name} is missing"):
        load_run(folder)
    (folder / name).mkdir()
    with refused(f"{folder}: {name} is missing"):
        load_run(folder)


def test_an_index_that_is_cut_short(folder):
    edit(folder, "settings.json", lambda content: content[:100])
    with pytest.raises(RunError, match=re.escape(f"{folder}: settings.json is not valid JSON: ")):
        load_run(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "settings.json is not valid JSON: 'utf-8' codec can't decode byte 0xff in position 0"),
        (b"[" * 100_000, "settings.json is not valid JSON: "),
        (b'{"format": NaN}', "settings.json is not valid JSON: NaN is not a number"),
        (b"9" * 5000, "settings.json is not valid JSON: "),
        (b"[1]", "settings.json must hold an object, not [1]"),
        (b"{}", "settings.json is not that of a run: 'format' must be 'myrnn run'"),
        (b" " * 1_000_001, "settings.json is too large: 1,000,001 bytes, at most 1,000,000 are read"),
    ],
)
def test_an_invalid_index(folder, content, message):
    (folder / "settings.json").write_bytes(content)
    with pytest.raises(RunError, match="^" + re.escape(f"{folder}: {message}")) as caught:
        load_run(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 3}, " was written by a newer MyRNN, in format 3; this one reads up to 1"),
        ({"format_version": "1"}, ": settings.json has no valid 'format_version': '1'"),
        ({"format_version": True}, ": settings.json has no valid 'format_version': True"),
        ({"format_version": 0}, ": settings.json has no valid 'format_version': 0"),
        ({"task": 3}, ": settings.json cannot be used: the task must have settings by name, not 3"),
        ({"files": None}, ": settings.json has no valid 'files': None"),
        ({"files": {}}, ": settings.json has no size and hash for model.safetensors"),
        (
            {"files": {"model.safetensors": {"bytes": "9"}}},
            ": settings.json has no size and hash for model.safetensors",
        ),
    ],
)
def test_an_index_of_another_format(folder, change, message):
    edit_json(folder, "settings.json", lambda index: index.update(change))
    with refused(f"{folder}{message}"):
        load_run(folder)


@pytest.mark.parametrize("sequences", [None, 0, "12", 10**12])
def test_a_run_on_data_must_know_how_many_sequences_it_had(sequences, tmp_path):
    data_run(tmp_path / "run")
    edit_json(tmp_path / "run", "report.json", lambda report: report["training"].update(sequences=sequences))
    with pytest.raises(RunError, match=r"report\.json cannot be used: sequences must be "):
        load_run(tmp_path / "run")


ORIGIN = {"name": "before", "weights": 64 * "a", "iterations": 20}


def test_a_run_names_the_run_that_it_continues(folder):
    assert load_run(folder).continued_from is None
    edit_json(folder, "settings.json", lambda index: index.update(continued_from=ORIGIN))
    assert load_run(folder).continued_from == ORIGIN


@pytest.mark.parametrize(
    ("origin", "message"),
    [
        ("before", "continued_from must have name, weights, iterations, not 'before'"),
        ({"name": "before"}, "continued_from must have name, weights, iterations, not {'name': 'before'}"),
        ({**ORIGIN, "name": 3}, "the name in continued_from must be a text, not 3"),
        ({**ORIGIN, "weights": "a"}, "the weights in continued_from must be a SHA-256, not 'a'"),
        ({**ORIGIN, "weights": 3}, "the weights in continued_from must be a SHA-256, not 3"),
        ({**ORIGIN, "iterations": -1}, "iterations must be at least 0, not -1"),
    ],
)
def test_invalid_origins_of_a_run(folder, origin, message):
    edit_json(folder, "settings.json", lambda index: index.update(continued_from=origin))
    with refused(f"{folder}: settings.json cannot be used: {message}"):
        load_run(folder)


PHASE = {"iterations": 5, "learning_rate": 0.1, "batch_size": 1, "seed": 0, "gradient_clip": None}


def test_a_run_keeps_the_phases_of_its_training(folder):
    assert load_run(folder).phases == ()
    edit_json(folder, "settings.json", lambda index: index.update(phases=[PHASE, PHASE]))
    assert load_run(folder).phases == [PHASE, PHASE]


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ("two", "phases must be a list of objects, not 'two'"),
        ([3], "phases must be a list of objects, not [3]"),
        ([{"seed": 0}], f"every one of phases must have {', '.join(PHASE)}, not {{'seed': 0}}"),
        ([{**PHASE, "batch_size": 0}], "batch_size must be at least 1, not 0"),
        ([{**PHASE, "learning_rate": -1}], "learning_rate must be at least 0, not -1.0"),
    ],
)
def test_invalid_phases_of_a_training(folder, phases, message):
    edit_json(folder, "settings.json", lambda index: index.update(phases=phases))
    with refused(f"{folder}: settings.json cannot be used: {message}"):
        load_run(folder)


HUGE = 10**12


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        (
            "task",
            {"name": "twins"},
            "task must be one of 'twin-halves', 'palindromes', 'flare', 'tomita', 'dyck', 'equal-counts', "
            "'regular', 'context-free', 'deepmind', 'running-parity', 'copy-after-pause', "
            "'next-character', 'modular-arithmetic', 'group-words', 'associative-recall', 'induction', "
            "not 'twins'; did you mean 'twin-halves'?",
        ),
        ("task", {"name": "palindromes"}, "task palindromes needs 'parity'"),
        ("task", {"length": 3}, "task twin-halves has no setting 'length'"),
        ("task", {"pattern_length_min": -1}, "pattern_length_min must be at least 1, not -1"),
        ("task", {"pattern_length_max": HUGE}, "pattern_length_max must be at most 20000, not 1000000000000"),
        ("task", {"alphabet_size": 6}, "the model has 5 inputs and 2 classes, the task 6 and 2"),
        ("task", {"negatives": None}, "negatives must be one of 'uniform', 'near_miss', not None"),
        ("model", {"name": None}, f"model must be one of {CELLS}, not None"),
        ("model", {"name": "gru"}, "model gru has no setting 'activation'"),
        ("model", {"activation": "sin"}, "activation must be one of 'relu', 'tanh', not 'sin'"),
        ("model", {"dim_recurrent": 6.0}, "dim_recurrent must be an integer, not 6.0"),
        ("model", {"dim_output": 0}, "dim_output must be at least 1, not 0"),
        ("model", {"dim_recurrent": HUGE}, "a model of 5 inputs, 1000000000000 units and 2 classes has "),
        ("model", {"dim_input": HUGE}, "a model of 1000000000000 inputs, 6 units and 2 classes has "),
        ("model", {"dim_output": HUGE}, "a model of 5 inputs, 6 units and 1000000000000 classes has "),
        ("optimizer", {"name": "adamw"}, "optimizer must be one of 'sgd', 'rmsprop', 'adam', not 'adamw'"),
        ("optimizer", {"beta1": 1.5}, "beta1 must be below 1, not 1.5"),
        ("training", {"iterations": 0}, "iterations must be at least 1, not 0"),
        ("training", {"schedule": "steps"}, "schedule must be one of 'constant', 'cosine', 'linear', not 'steps'"),
        ("training", {"gradient_clip": "x"}, "gradient_clip must be a number, not 'x'"),
        ("training", {"steps": 4}, "training has no setting 'steps', only "),
    ],
)
def test_invalid_settings_of_a_run(folder, part, change, message):
    edit_json(folder, "settings.json", lambda index: index[part].update(change))
    with pytest.raises(RunError, match="^" + re.escape(f"{folder}: settings.json cannot be used: {message}")):
        load_run(folder)


@pytest.mark.parametrize("cell", stacked.CELLS)
@pytest.mark.parametrize(
    "above",
    [{}, {"layers": 3, "dim_embedding": 4}, {"layers": 1, "bidirectional": True}],
    ids=["one layer", "deep", "both ways"],
)
def test_the_least_size_of_a_model_is_near_its_size_and_not_more(cell, above):
    settings = {"dim_input": 10, "dim_recurrent": 50, "dim_output": 2, "layers": 1, **above}
    made = stacked.Stacked(**settings, cell=cell, rng=0)
    size = 4 * sum(parameter.size for parameter in made.parameters)
    check_size({"name": cell, **settings}, size, "it has")
    with pytest.raises(InvalidArgument, match="bytes of weights or more, but it has"):
        check_size({"name": cell, **settings}, size // 100, "it has")


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm", "mgu", "stack-rnn", "slstm"])
def test_a_damaged_number_of_units_takes_no_memory(cell):
    settings = {"dim_input": 3, "dim_recurrent": 50_000, "dim_output": 2}
    with pytest.raises(InvalidArgument, match=r"^a model of 3 inputs, 50000 units and 2 classes has 10,00"):
        check_size({"name": cell, **settings}, 4_000_000_000, "it has")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("fc_h2h.weight"), "has no 'fc_h2h.weight'"),
        (lambda w: w.update(extra=np.zeros(2, np.float32)), "holds 'extra', unknown to the model"),
        (
            lambda w: w.update({"fc_h2y.bias": np.zeros((1, 2))}),
            "has 'fc_h2y.bias' as float64 of shape (1, 2), not float32 of shape (1, 2)",
        ),
        (
            lambda w: w.update({"fc_h2y.bias": np.zeros((2, 1), np.float32)}),
            "has 'fc_h2y.bias' as float32 of shape (2, 1), not float32 of shape (1, 2)",
        ),
        (
            lambda w: w.update({"fc_h2y.bias": np.array([[0, np.inf]], np.float32)}),
            "has a value in 'fc_h2y.bias' that is not finite",
        ),
    ],
)
def test_weights_that_do_not_fit(folder, change, message):
    edit_weights(folder, change)
    with refused(f"{folder}: model.safetensors {message}"):
        load_run(folder)


@pytest.mark.parametrize("content", [b"x" * 400, (10**15).to_bytes(8, "little") + b"{}" * 200])
def test_invalid_weights(folder, content):
    edit(folder, "model.safetensors", lambda _: content)
    with pytest.raises(RunError, match=re.escape(f"{folder}: model.safetensors is not valid: ")):
        load_run(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not a history: "),
        ("iteration,loss\n1,2\n", "is not a history: its columns must be iteration, loss, accuracy"),
        ("iteration,loss,accuracy\n1,0.5\n", "is not a history: "),
        (
            "iteration,loss,squared_error\n1,0.5,2\n",
            "is not a history: it must have accuracy, and not squared_error",
        ),
        ("iteration,loss,accuracy\nx,0.5,1\n", "is not a history: invalid literal for int() with base 10: 'x'"),
        ("iteration,loss,accuracy\n99999999999999999999,0.5,1\n", "is not a history: "),
        ("iteration,loss,accuracy\n5,0.5,1\n5,0.5,1\n", "must have iterations that rise from 1 or more"),
        ("iteration,loss,accuracy\n0,0.5,1\n", "must have iterations that rise from 1 or more"),
        ("iteration,loss,accuracy\n1,nan,1\n", "must have finite losses of 0 or more and accuracies between 0 and 1"),
        ("iteration,loss,accuracy\n1,1,nan\n", "must have finite losses of 0 or more and accuracies between 0 and 1"),
        ("iteration,loss,accuracy\n1,1,1.5\n", "must have finite losses of 0 or more and accuracies between 0 and 1"),
    ],
)
def test_an_invalid_history(folder, content, message):
    edit(folder, "history.csv", lambda _: content.encode())
    with pytest.raises(RunError, match="^" + re.escape(f"{folder}: history.csv {message}")):
        load_run(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda report: report.pop("training"), "'training' is missing"),
        (lambda report: report["training"].pop("longest"), "longest must be an integer, not None"),
        (lambda report: report["training"].update(chance=1), "chance must be below 1, not 1.0"),
        (lambda report: report["training"].update(engine="x"), "engine must be one of 'native', 'mygrad', not 'x'"),
    ],
)
def test_an_invalid_report(folder, change, message):
    edit_json(folder, "report.json", change)
    with refused(f"{folder}: report.json cannot be used: {message}"):
        load_run(folder)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_folder_is_loaded_or_refused(folder, data):
    name = data.draw(st.sampled_from(["settings.json", "model.safetensors", "history.csv", "report.json"]))
    whole = (folder / name).read_bytes()
    index = (folder / "settings.json").read_bytes()
    begin = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(begin, min(len(whole), begin + 20)))
    middle = data.draw(st.one_of(st.binary(max_size=8), st.sampled_from([b"null", b"-1", b"1e999", b"[]", b'"x"'])))
    try:
        edit(folder, name, lambda content: content[:begin] + middle + content[end:])
        load_run(folder)
    except RunError as error:
        assert "\n" not in str(error)
    finally:
        (folder / name).write_bytes(whole)
        (folder / "settings.json").write_bytes(index)
    assert load_run(folder).task == TASK


# --- models and optimizers by name


def test_names_create_models_and_optimizers():
    model = make("model", "lstm", rng=3, dim_input=5, dim_recurrent=4, dim_output=2)
    assert contents(model) == contents(LSTM(5, 4, 2, rng=3))
    optimizer = make("optimizer", "sgd", params=model.parameters, momentum=0.5)
    assert (type(optimizer), optimizer.momentum, optimizer.learning_rate) == (SGD, 0.5, 0.1)


def test_unknown_names_are_refused():
    with refused(
        f"model must be one of {CELLS}, not 'lsmt'; did you mean 'lstm'?",
        InvalidArgument,
    ):
        make("model", "lsmt", dim_input=5, dim_recurrent=4, dim_output=2)
    message = "optimizer sgd has no setting 'beta', only 'name', 'learning_rate', 'momentum', 'weight_decay'"
    with refused(message, InvalidArgument):
        make("optimizer", "sgd", params=RNN(5, 6, 2).parameters, beta=0.5)
