"""Sweeps of a user-defined class: named by its file, checked before anything runs, repeated when the file changes."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

import myrnn
from myrnn import Experiment
from myrnn.cli import main
from myrnn.errors import InvalidArgument
from myrnn.sweeps import folder as sweep_folder
from myrnn.sweeps import load_sweep, read_study, sweep
from sweeps_help import CLASS_STUDY, LEAKY


@pytest.fixture(autouse=True)
def without_figures(monkeypatch):
    monkeypatch.setattr(sweep_folder, "_write_figures", lambda results: None)


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The file of a study in another folder than the working folder, beside the file of its class."""
    there = tmp_path / "there"
    there.mkdir()
    (there / "leaky.py").write_text(LEAKY)
    (there / "study.toml").write_text(CLASS_STUDY)
    monkeypatch.chdir(tmp_path)
    return there / "study.toml"


def test_a_class_is_swept_over_its_settings(study, tmp_path):
    results = sweep(study, "out", jobs=1)
    assert results.runs["status"] == ["done"] * 4
    assert results.runs["model.leak"] == [0.2, 0.2, 0.9, 0.9]
    assert [group["model.leak"] for group in results.groups()] == [0.2, 0.9]
    # The same as a run of `myrnn train`.
    experiment = results.point(results.runs["run"][2]).located
    run = myrnn.run(experiment, "run", progress=False)
    assert (run.model.leak, run.history.loss[-1]) == (0.9, results.runs["loss"][2])
    # A study in Python names files from the working folder.
    given = {**read_study(study).given, "model": {"name": "there/leaky.py:Leaky", "dim_recurrent": 3, "leak": 0.9}}
    assert sweep(given, "again", jobs=1).runs["loss"] == results.runs["loss"][2:]


def test_the_plan_shows_the_settings_of_a_class_that_vary(study, capsys):
    assert main(["sweep", str(study), "--plan"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("seed ")[2] for line in lines[:-1]] == [
        "0, leak 0.2",
        "1, leak 0.2",
        "0, leak 0.9",
        "1, leak 0.9",
    ]


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.long)])
def test_a_class_may_import_a_module_next_to_its_file(study, jobs):
    alone = sweep(study, "alone", jobs=1)
    (study.parent / "leaky.py").write_text("from helper import HALF\n" + LEAKY.replace("0.5", "HALF"))
    (study.parent / "helper.py").write_text("HALF = 0.5\n")
    found = sweep(study, "out", jobs=jobs)
    assert found.runs["status"] == ["done"] * 4
    assert found.runs["loss"] == alone.runs["loss"]


@pytest.mark.long
def test_other_processes_load_a_class_by_its_file(study, registered_here):
    registered = {
        **read_study(study).given,
        "model": {"name": "registered-here", "dim_recurrent": 3, "leak": [0.2, 0.9]},
    }
    told = "model 'registered-here' is registered only in this process, not in its workers: name the class by its file"
    with pytest.raises(InvalidArgument, match=f"^{re.escape(told)}, as my_file.py:MyClass, or use jobs=1$"):
        sweep(registered, "registered", jobs=2)
    assert not Path("registered/results.jsonl").exists()
    here = sweep(registered, "registered", jobs=1)
    there = sweep(study, "out", jobs=2)
    assert there.runs["loss"] == here.runs["loss"]
    workers = {line.rsplit(",", 1)[1] for line in Path("out/times.csv").read_text().splitlines()[1:]}
    assert not any(worker.endswith(f":{os.getpid()}") for worker in workers)


def test_the_runs_of_a_file_that_changed_are_done_again(study):
    before = sweep(study, "out", jobs=1)
    kept = Path("out/results.jsonl").read_bytes()
    assert sweep(study, "out", jobs=1).runs == before.runs
    assert Path("out/results.jsonl").read_bytes() == kept
    (study.parent / "leaky.py").write_text(LEAKY.replace("mg.tanh", "mg.arctan"))
    after = sweep(study, "out", jobs=1)
    assert not set(after.runs["run"]) & set(before.runs["run"])
    assert not set(after.runs["loss"]) & set(before.runs["loss"])
    assert load_sweep("out").runs == after.runs
    # The old class has its results still.
    (study.parent / "leaky.py").write_text(LEAKY)
    length = len(Path("out/results.jsonl").read_bytes())
    assert sweep(study, "out", jobs=1).runs == before.runs
    assert len(Path("out/results.jsonl").read_bytes()) == length


def test_a_file_that_changes_during_a_sweep_is_not_mixed_with_another(study, monkeypatch):
    """A run of other bytes than those of its identity fails, and the next sweep has the new identity."""
    read = read_study(study)
    (study.parent / "leaky.py").write_text(LEAKY + "# changed\n")
    with pytest.raises(InvalidArgument, match=r"^leaky\.py has changed since it was read first$"):
        sweep(read, "out", jobs=1)


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("self.leak = leak", "self.leak = leek", "Leaky(3, 3, 2) fails: NameError: name 'leek' is not defined"),
        (
            "self.h2h(h))",
            "self.h2h(h).T)",
            "the model must return logits of shape (1, K), but returned shape (3, 2)",
        ),
        ("self.h2y.parameters\n", "(1,)\n", "Leaky.parameters[3] must be a mygrad.Tensor, not int"),
        ("return self.h2y(h)", "exit(3)", "SystemExit: 3"),
    ],
)
def test_a_class_that_fails_is_refused_before_anything_runs(study, right, wrong, message):
    source = LEAKY.replace(right, wrong)
    assert source != LEAKY
    (study.parent / "leaky.py").write_text(source)
    with pytest.raises(InvalidArgument, match=f"^{re.escape(message)}"):
        sweep(study, "out", jobs=1)
    assert not Path("out/results.jsonl").exists()


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        (
            "leak = [",
            "leek = [",
            "model leaky.py:Leaky has no setting 'leek', only 'dim_recurrent', 'leak'; did you",
        ),
        ("[0.2, 0.9]", '[0.2, "0.9"]', "leak must be a number, not '0.9'"),
        ("[0.2, 0.9]", "{ low = 0.2, high = 0.9 }", "draws is missing"),
        ("py:Leaky", "py:Leeky", "{there}/leaky.py has no class Leeky; it has Leaky"),
        ("leaky.py", "leeky.py", "there is no file {there}/leeky.py"),
        ("py:Leaky", "py", "a model must name the class in its file, too, such as {there}/leaky.py:Leaky, not "),
        ("dim_recurrent = 3", "dim_recurrent = 0", "dim_recurrent must be at least 1, not 0"),
        ("dim_recurrent = 3", "dim_input = 3", "model leaky.py:Leaky has no setting 'dim_input', only"),
    ],
)
def test_a_wrong_study_of_a_class_is_refused(study, right, wrong, message, capsys):
    study.write_text(CLASS_STUDY.replace(right, wrong))
    assert main(["sweep", str(study), "--plan"]) == 2
    told = capsys.readouterr().err
    place = f"myrnn: {study}: [{'search' if 'draws' in message else 'model'}] "
    assert told.startswith(place + message.format(there=study.parent)), told


def test_results_are_loaded_without_the_class(study):
    results = sweep(study, "out", jobs=1)
    (study.parent / "leaky.py").write_text("raise SystemExit('it ran')")
    loaded = load_sweep("out")
    assert loaded.runs == results.runs
    assert str(loaded.summary()) == str(results.summary())


def test_a_class_learns_from_files(study):
    (study.parent / "train.csv").write_text("sequence,label\n" + "ab,yes\nba,no\naab,yes\nbba,no\n" * 6)
    study.write_text(
        CLASS_STUDY[CLASS_STUDY.index("[model]") :]
        .replace("iterations = 12", "max_epochs = 2")
        .replace("samples = 40", 'test = "train.csv"')
        + '\n[data]\nfile = "train.csv"\n'
    )
    with pytest.warns(UserWarning, match="is the same as the training file"):
        myrnn.run(read_study(study).points[3].located, "run", progress=False)
    results = sweep(study, "out", jobs=1)
    assert results.runs["status"] == ["done"] * 4
    report = myrnn.runs.load_run("run").report
    assert results.runs["validation"][3] == report["training"]["validation_accuracy"]


def test_a_registered_class_may_take_no_generator(registered_here):
    def weights(seed):
        experiment = Experiment(model={"name": "registered-here", "dim_recurrent": 3}, training={"seed": seed})
        _, model, _ = experiment.make()
        return [parameter.data.tobytes() for parameter in model.parameters]

    state = np.random.get_state()[1].tolist()  # noqa: NPY002
    assert weights(0) == weights(0) != weights(1)
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002
