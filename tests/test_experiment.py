"""Experiments: read from mappings, TOML and JSON, checked, and turned into a task, a model and an optimizer."""

import copy
import json
import os
import pickle
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Meta

import myrnn
from myrnn.cli import main
from myrnn.cli.train import experiment_of
from myrnn.errors import DataError, InvalidArgument, RunError
from myrnn.evaluation import evaluate
from myrnn.experiment import Data, Evaluation, Experiment, Part
from myrnn.experiment.experiment import merged
from myrnn.models import GRU, RNN
from myrnn.models.model import num_parameters
from myrnn.optimizers import SGD
from myrnn.registry import find, kinds, register
from myrnn.runs import load_run
from myrnn.runs.folder import is_unfinished
from myrnn.runs.prepare import prepare
from myrnn.runs.training import trained
from myrnn.schedules import named_schedule
from myrnn.sweeps import read_study
from myrnn.tasks import Palindromes, TwinHalves
from myrnn.training import Checkpoint, loop
from myrnn.training import TrainingSettings as Training
from myrnn.training.loop import Training as TrainingLoop

TANH = {"model": {"name": "rnn", "activation": "tanh"}}


def contents(model):
    return [parameter.data.tobytes() for parameter in model.parameters]


def part_of(experiment, part):
    return experiment.source.settings if part == "task" else getattr(experiment, part)


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{message}$")


def test_sections_may_be_names_mappings_or_objects():
    experiment = Experiment(
        Palindromes(1, 3, parity="odd"), "gru", {"name": "sgd", "momentum": 0.5}, training={"iterations": 7}
    )
    task, model, optimizer = experiment.make()
    assert task == Palindromes(1, 3, parity="odd")
    assert (type(model), model.dim_recurrent, model.dim_input) == (GRU, 50, 10)
    assert (type(optimizer), optimizer.momentum) == (SGD, 0.5)
    assert experiment.training == Training(iterations=7)


def test_a_prompt_shows_the_parts_and_a_notebook_all_settings():
    experiment = Experiment(task="palindromes", model="gru", training={"iterations": 1_234})
    assert repr(experiment) == "Experiment(gru on palindromes, adam, 1,234 iterations)"
    shown = experiment._repr_html_()
    settings = experiment.to_dict()
    assert all(f"{section}.{name}" in shown for section in settings for name in settings[section])
    given = Experiment(data=(["ab"], ["yes"]), training={"max_epochs": 1})
    assert repr(given) == "Experiment(rnn on data in memory, adam, up to 1 epoch)"


def test_the_seed_draws_the_weights():
    first, second, other = (Experiment(training={"seed": seed}).make()[1] for seed in (3, 3, 4))
    assert first.fc_x2h.weight.data.tobytes() == second.fc_x2h.weight.data.tobytes()
    assert first.fc_x2h.weight.data.tobytes() != other.fc_x2h.weight.data.tobytes()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"modle": "gru"}, "a section of an experiment must be one of .*, not 'modle'; did you mean 'model'\\?"),
        ({"model": "grru"}, "model must be one of 'rnn', 'gru', 'lstm'.*, not 'grru'; did you mean 'gru'\\?"),
        ({"model": {"activation": "rellu"}}, "activation must be one of 'relu', 'tanh', not 'rellu'; did you .*"),
        ({"model": {"name": "gru", "activation": "relu"}}, "model gru has no setting 'activation', only 'name', .*"),
        ({"model": {"name": 3}}, "name must be a word, not 3"),
        ({"model": "rwkv7:heads=3,layers=2"}, "heads must divide dim_recurrent, 50, which 3 does not"),
        ({"optimizer": {"learning_rate": "fast"}}, "learning_rate must be a number, not 'fast'"),
        ({"optimizer": {"learning_rate": -1}}, "learning_rate must be at least 0, not -1.0"),
        ({"optimizer": {"beta1": float("nan")}}, "beta1 must be finite, not nan"),
        ({"training": {"iterations": 0}}, "iterations must be at least 1, not 0"),
        ({"training": {"iterations": 2.0}}, "iterations must be an integer, not 2.0"),
        ({"training": {"seed": True}}, "seed must be an integer, not True"),
        ({"training": {"seed": "\ud800"}}, "seed must be an integer, not .*ud800'"),
        ({"training": {"engine": "\ud800"}}, "engine must be one of 'auto', 'native', 'mygrad', not .*ud800'"),
        ({"training": {"schedul": "cosine"}}, "training has no setting 'schedul', only .* did you mean 'schedule'\\?"),
        ({"training": [1]}, "training must have settings by name, not \\[1\\]"),
        ({"task": {"pattern_length_min": 5, "pattern_length_max": 3}}, "pattern_length_min must not exceed .*"),
        ({"task": 3}, "the task must be of the kinds TwinHalves, Palindromes.*, not int"),
        ({"evaluation": {"lengths": []}}, "lengths is empty: name at least one length"),
        ({"evaluation": {"lengths": "9:1"}}, "lengths must go up, as in '0:9' or '2:40:2', not '9:1'"),
    ],
)
def test_wrong_settings_give_a_helpful_message(given, message):
    with refused(message):
        Experiment.read(given)


@pytest.mark.parametrize(
    ("part", "text", "settings"),
    [
        ("task", "dyck:kinds=2,depth=3", {"name": "dyck", "kinds": 2, "depth": 3}),
        ("task", "dyck:2, depth = 3", {"name": "dyck", "kinds": 2, "depth": 3}),
        ("task", "dyck:2,depth=none,any_length=true", {"name": "dyck", "kinds": 2, "any_length": True}),
        ("task", "regular:(ab)*,length_max=20", {"name": "regular", "pattern": "(ab)*", "length_max": 20}),
        ("task", "regular:(a,b=c){2,4}", {"name": "regular", "pattern": "(a,b=c){2,4}"}),
        ("task", "regular:pattern=ab=ba", {"name": "regular", "pattern": "ab=ba"}),
        ("task", "tomita:3,also_next_symbol=0.5", {"name": "tomita", "number": 3, "also_next_symbol": 0.5}),
        ("task", "palindromes:parity=odd", {"name": "palindromes", "parity": "odd"}),
        ("model", "gru:16,bidirectional=true", {"name": "gru", "dim_recurrent": 16, "bidirectional": True}),
        ("model", "my.py:Cell:leak=0.5,kind=x", {"name": "my.py:Cell", "leak": 0.5, "kind": "x"}),
        ("model", "my.py:Cell:8", {"name": "my.py:Cell", "dim_recurrent": 8}),
        ("optimizer", "sgd:0.5,momentum=0.9", {"name": "sgd", "learning_rate": 0.5, "momentum": 0.9}),
    ],
)  # fmt: skip
def test_a_name_may_hold_settings(part, text, settings):
    assert Part.read(part, text) == Part.read(part, {"name": text}) == Part.read(part, settings)
    if part != "model" or ".py" not in text:
        assert part_of(Experiment(**{part: text}), part) == Part.read(part, settings)
        study = read_study({"name": "s", part: {"name": [text]}})
        assert part_of(study.points[0].experiment, part) == Part.read(part, settings)


@pytest.mark.parametrize(
    ("part", "text", "message"),
    [
        ("task", "dyck:2,deep=3", "task dyck has no setting 'deep', only 'kinds', 'depth', "),
        ("task", "dyck:2,length-max=9", "task dyck has no setting 'length-max', only .*; did you mean 'length_max'"),
        ("task", "regular:(ab)*,lenght_max=9", "task regular has no setting .*; did you mean 'length_max'"),
        ("task", "dyck:2,kinds=3", "task dyck gets kinds twice: leave one of them out"),
        ("task", "dyck:", "kinds must be an integer, not ''"),
        ("task", "dyck:two", "kinds must be an integer, not 'two'"),
        ("task", "dyck:2,any_length=yes", "any_length must be true or false, not 'yes'"),
        ("task", "dick:2", "task must be one of .*, not 'dick'; did you mean 'dyck'"),
        ("model", "gru:activation=tanh", "model gru has no setting 'activation', only 'dim_recurrent', "),
        ("model", "gru:rng=3", "model gru has no setting 'rng', only "),
        ("model", "file:Cell", "model must be one of 'rnn', 'gru', "),
        ("optimizer", "adam:momentum=0.9", "optimizer adam has no setting 'momentum', only 'learning_rate', "),
    ],
)
def test_settings_in_a_name_are_checked(part, text, message):
    with refused(f"{message}.*"):
        Part.read(part, text)


def test_files_hold_experiments(tmp_path):
    toml = tmp_path / "experiment.toml"
    toml.write_text("training = 3\n")
    with refused(r".*experiment.toml: training must have settings by name, not 3"):
        Experiment.from_file(toml)
    toml.write_text('model = "gru"\n[task]\nname = "palindromes"\n[evaluation]\nlengths = "2:6:2"\n')
    experiment = Experiment.from_file(toml)
    assert experiment == Experiment("palindromes", "gru", evaluation={"lengths": [6, 2, 4, 4]})
    assert experiment == Experiment("palindromes", "gru", evaluation={"lengths": "2:4:2, 6:6"})
    experiment.to_json(tmp_path / "experiment.json")
    assert Experiment.from_file(tmp_path / "experiment.json") == experiment
    assert Experiment.read(json.loads((tmp_path / "experiment.json").read_text())) == experiment
    with refused(".*none.toml cannot be read: No such file or directory"):
        Experiment.from_file(tmp_path / "none.toml")
    toml.write_text("[model")
    with refused(".*experiment.toml is not valid TOML: .*"):
        Experiment.from_file(toml)


@pytest.mark.parametrize(
    ("begin", "changed", "found"),
    [
        (TANH, {"model": {"dim_recurrent": 3}}, {"name": "rnn", "activation": "tanh", "dim_recurrent": 3}),
        (TANH, {"model": {"name": "gru"}}, {"name": "gru"}),
        ({"model": {"activation": "tanh"}}, {"model": {"name": "gru"}}, {"name": "gru"}),
        ({"model": {"activation": "tanh"}}, {"model": {"name": "rnn"}}, {"name": "rnn", "activation": "tanh"}),
        ({}, {"model": {"name": "gru"}}, {"name": "gru"}),
    ],
)
def test_another_kind_starts_from_its_defaults(begin, changed, found):
    assert merged(begin, changed)["model"] == found


def test_another_source_replaces_the_old_one_only_if_that_is_left_out():
    experiment = Experiment("palindromes", "gru", training={"seed": 3})
    told = "an experiment has a source, or a task or data, not both: to replace the source, give source=None, too"
    for other in ({"task": "running-parity"}, {"data": "train.csv"}):
        with refused(told):
            replace(experiment, **other)
    changed = replace(experiment, task="running-parity", source=None)
    assert (changed.source.name, changed.model.name, changed.training.seed) == ("running-parity", "gru", 3)
    for source in ("palindromes", {}, Palindromes()):
        with refused("source must be the source of an experiment, not .*"):
            Experiment(source=source)


def test_data_in_place_of_the_task_of_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(
        'model = "rnn:dim_recurrent=4"\n[optimizer]\nname = "sgd"\n[training]\nseed = 5\ngradient_clip = 2.0\n'
    )
    found = experiment_of({"config": "mine.toml", "data": "train.csv", "max_epochs": 7})
    assert (found.optimizer.name, found.training.seed, found.training.gradient_clip) == ("sgd", 5, 2.0)
    expected = {"optimizer": "sgd", "training": {"seed": 5, "gradient_clip": 2.0, "max_epochs": 7}}
    assert found == Experiment(data="train.csv", model="rnn:dim_recurrent=4", **expected)
    Experiment("palindromes", "rnn", "sgd").to_toml("whole.toml")
    with refused(r"--data does not go with the task in the file of --config: leave \[task\] out of it"):
        experiment_of({"config": "whole.toml", "data": "train.csv"})
    Path("trained.toml").write_text("[training]\niterations = 5\n")
    with refused("training has no setting 'iterations', only .*"):
        experiment_of({"config": "trained.toml", "data": "train.csv"})
    assert experiment_of({"config": "whole.toml"}) == Experiment("palindromes", "rnn", "sgd")


def test_options_override_a_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(
        '[task]\npattern_length_max = 2\n[model]\nname = "gru"\ndim_recurrent = 4\n[training]\niterations = 30\n'
        'engine = "mygrad"\n[evaluation]\nsamples = 50\n'
    )
    assert main(["train", "--config=mine.toml", "--dim-recurrent=3", "--out=run", "--quiet"]) == 0
    run = load_run("run")
    assert (type(run.model), run.model.dim_recurrent, run.experiment.training.iterations) == (GRU, 3, 30)
    capsys.readouterr()
    assert main(["train", "--config=mine.toml", "--model=gru:activation=tanh"]) == 2
    assert "myrnn: model gru has no setting 'activation', only 'dim_recurrent', " in capsys.readouterr().err
    assert main(["train", "--config=mine.toml", "--preset=best"]) == 2
    assert "--preset does not go with --config" in capsys.readouterr().err


SMALL = {
    "task": {"pattern_length_max": 2},
    "model": {"dim_recurrent": 3},
    "training": {"iterations": 30, "engine": "mygrad"},
    "evaluation": {"samples": 40, "lengths": [2, 6], "seed": 9},
}


FEW = {"max_epochs": 2, "engine": "mygrad"}
WORDS = ["ab" * (index % 5) + "c" * (index % 2) for index in range(12)]
ON_DATA = {
    "symbols": (WORDS, ["odd" if index % 2 else "even" for index in range(12)]),
    "numbers": ([np.full((3, 2), index) for index in range(8)], ["a", "b"] * 4),
    "one series": (np.sin(np.arange(60.0))[np.newaxis], None),
}


@pytest.mark.parametrize(
    ("data", "model"),
    [
        ("symbols", "rnn:dim_recurrent=3"),
        ("symbols", "gru:dim_recurrent=3"),
        ("symbols", "mine.py:Mine:dim_recurrent=3"),
        ("numbers", "mine.py:Mine:dim_recurrent=3"),
        ("one series", "gru:dim_recurrent=3"),
    ],
)
def test_an_untrained_model_of_data_has_the_weights_before_the_training(data, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text("from myrnn import GRU\n\n\nclass Mine(GRU):\n    pass\n")
    experiment = Experiment(data=ON_DATA[data], model=model, training=FEW)
    if data == "one series":
        experiment = replace(experiment, source=replace(experiment.source, data=Data(learn="series")))
    initial = contents(prepare(experiment).model)
    run = myrnn.run(experiment, "run", progress=False)
    assert contents(run.model) != initial
    assert contents(run.untrained()) == contents(load_run("run").untrained()) == initial


def test_an_untrained_model_of_a_task_needs_no_folder():
    experiment = Experiment(model="gru:dim_recurrent=3", training={"iterations": 2, "engine": "mygrad", "seed": 4})
    initial = contents(experiment.make()[1])
    run = trained(prepare(experiment))
    assert contents(run.model) != initial == contents(run.untrained())


STACKS = {
    "task": {"name": "deepmind", "language_name": "reverse-string", "string_max": 3},
    "model": {"name": "stack-rnn", "dim_recurrent": 3, "stack_depth": 3},
    "training": {"iterations": 5, "engine": "mygrad"},
}


@pytest.mark.long
def test_a_stack_may_be_deeper_in_tests(tmp_path, monkeypatch, capsys, in_python):
    monkeypatch.chdir(tmp_path)
    deep = {"samples": 40, "lengths": [20], "stack_depth": 15}
    run = myrnn.run(Experiment.read({**STACKS, "evaluation": deep}), "run", progress=False)
    assert run.model.stack_depth == 3
    settings = {"lengths": [20], "seed": 1, "trained": 6, "engine": "mygrad", "progress": False}
    shallow = evaluate(run.model, run.task, 40, **settings)
    run.model.stack_depth = 15
    deep = evaluate(run.model, run.task, 40, **settings)
    assert run.report["tests"]["task"]["lengths"][0]["correct"] == deep.correct[0] != shallow.correct[0]
    for options, report in (([], deep), (["--stack-depth=3"], shallow)):
        capsys.readouterr()
        assert main(["evaluate", "run", "--lengths=20", "--samples=40", "--out=table.csv", "--quiet", *options]) == 0
        assert Path("table.csv").read_text().splitlines()[1].startswith(f"20,400,{report.correct[0]},")


def test_the_depth_of_stacks_in_tests_belongs_to_models_that_have_stacks(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = {"evaluation": {"samples": 40, "stack_depth": 15}}
    with_stack = Experiment.read({**given, "model": "stack-rnn"})
    assert with_stack.to_dict()["evaluation"]["stack_depth"] == 15
    assert Experiment.read(with_stack.to_dict()) == with_stack
    with refused("stack_depth is for a stack-rnn, and the model is 'gru': leave it out of the evaluation"):
        Experiment.read({**given, "model": "gru"})
    # The variants of a study share their tests.
    variants = [{"name": name, "model": {"name": name}} for name in ("stack-rnn", "gru")]
    points = read_study({"name": "stacks", **given, "variants": variants}).points
    assert [point.experiment.evaluation.stack_depth for point in points] == [15, None]
    myrnn.run(Experiment.read(SMALL), "run", progress=False)
    assert main(["evaluate", "run", "--stack-depth=9"]) == 2
    assert capsys.readouterr().err == "myrnn: --stack-depth is for a stack-rnn, and the run has the model 'rnn'\n"


def test_an_experiment_runs_into_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = myrnn.run(Experiment.read(SMALL), "runs/mine", progress=False)
    assert [row["length"] for row in run.report["tests"]["task"]["lengths"]] == [2, 6]
    assert run.report["tests"]["task"]["seed"] == 9
    assert sorted(path.name for path in run.folder.iterdir() if path.suffix in (".json", ".svg"))[-1] == "training.svg"
    again = myrnn.run(Experiment.read(SMALL), progress=False)
    assert again.folder.parent.name == "runs"
    assert contents(again.model) == contents(run.model)
    with pytest.raises(RunError, match="runs/mine"):
        myrnn.run(Experiment.read(SMALL), "runs/mine")


def test_a_file_can_omit_the_kinds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text("\ufeff[task]\npattern_length_max=3\n[model]\ndim_recurrent=7\n")
    assert main(["train", "--config=mine.toml", "--iterations=20", "--engine=mygrad", "--samples=20", "--out=run"]) == 0
    run = load_run("run")
    assert (run.task.pattern_length_max, run.model.dim_recurrent) == (3, 7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model]\nname=3\n", "mine.toml: name must be a word, not 3"),
        ("[training]\nbatch_size=-1\n", "mine.toml: batch_size must be at least 1, not -1"),
        ("[evaluation]\nlengths=[[1,2],[3]]\n", "mine.toml: lengths must be an array, but its items differ in shape"),
        (
            "[evaluation]\nlengths=1.5\n",
            "mine.toml: lengths must be a list, or text as '2,4' or '2:40:2', not 1.5",
        ),
        ("a=" + "[" * 3000, "mine.toml is not valid TOML"),
        ("[evaluation]\nlengths=[3]\n", "mine.toml: TwinHalves has no sequence of length 3"),
    ],
)
def test_errors_in_a_file_name_the_file(tmp_path, monkeypatch, capsys, text, message):
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(text)
    assert main(["train", "--config=mine.toml", "--dim-recurrent=3"]) == 2
    assert capsys.readouterr().err.startswith(f"myrnn: {message}")


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("2:8:2", (2, 4, 6, 8)),
        ("2:9:3", (2, 5, 8)),
        ("3:5", (3, 4, 5)),
        ("4", (4,)),
        ("10,2", (2, 10)),
        ("7:7:7", (7,)),
        ("2:4, 9", (2, 3, 4, 9)),
    ],
)
def test_lengths_are_read(text, lengths):
    assert Evaluation(lengths=text).lengths == lengths


@pytest.mark.parametrize("text", ["", "1:2:3:4", "2:", "a", "2,,4", "-2", "2.5", "\u0662"])
def test_invalid_lengths_are_refused(text):
    with refused(re.escape(f"lengths must be a list, or text as '2,4' or '2:40:2', not {text!r}")):
        Evaluation(lengths=text)


def test_experiments_are_pickled_and_copied():
    experiment = Experiment("palindromes", "gru", evaluation={"lengths": [2, 4]})
    assert pickle.loads(pickle.dumps(experiment)) == copy.deepcopy(experiment) == experiment
    assert hash(experiment) == hash(copy.copy(experiment))


def test_unwritable_and_unreadable_files_give_an_error(tmp_path):
    with pytest.raises(RunError, match="cannot be written"):
        Experiment().to_json(tmp_path / "missing" / "experiment.json")
    with pytest.raises(InvalidArgument, match="is not UTF-8"):
        (tmp_path / "odd.toml").write_bytes("[task]".encode("utf-16"))
        Experiment.from_file(tmp_path / "odd.toml")
    with pytest.raises(InvalidArgument, match="an experiment must have settings by name, not \\[\\]"):
        Experiment.read([])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda params, size: None, "odd has a setting 'size', which must have one type"),
        (lambda params, *sizes: None, "odd takes any arguments, \\*sizes"),
    ],
)
def test_a_value_that_cannot_be_a_setting_is_refused(make, message):
    if message.startswith("odd has"):
        make.__annotations__["size"] = int | float
    with pytest.raises(InvalidArgument, match=message):
        register("optimizer", "odd")(make)
    with pytest.raises(InvalidArgument, match="must be named by small letters"):
        register("model", "a:b")


def test_a_command_tests_as_its_file_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Experiment.read(SMALL).to_json("mine.json")
    assert main(["train", "--config=mine.json", "--out=run", "--quiet"]) == 0
    assert load_run("run").report["tests"]["task"]["seed"] == 9


def keep_kinds(monkeypatch):
    """Undo the registrations of a test at its end."""
    parts = ("task", "model", "optimizer", "schedule", "loss")
    monkeypatch.setattr("myrnn.registry._KINDS", {part: dict(kinds(part)) for part in parts})


def test_registered_parts_can_be_named(monkeypatch, capsys):
    keep_kinds(monkeypatch)

    @register("model", "wide", dim_recurrent=5)
    class Wide(RNN):
        def __init__(
            self,
            dim_input: int,
            dim_recurrent: int,
            dim_output: int,
            factor: Annotated[int, Meta(ge=1, description="How much wider.")] = 2,
            rng=None,
        ):
            super().__init__(dim_input, factor * dim_recurrent, dim_output, rng=rng)
            self.factor = factor

    with refused("there is a model 'wide' already: register yours under another name"):
        register("model", "wide")(Wide)
    assert main(["models"]) == main(["models", "wide"]) == 0
    out = capsys.readouterr().out
    assert "dim_recurrent=5, factor=2" in out and "How much wider." in out
    _, model, _ = Experiment(model="wide:factor=3").make()
    assert model.dim_recurrent == 15
    with refused("factor must be at least 1, not 0"):
        Part.read("model", {"name": "wide", "factor": 0})
    assert find("model", "wide").section().to_dict() == {"dim_recurrent": 5, "factor": 2}


def test_a_registered_schedule_is_known_to_experiments_folders_and_the_command_line(tmp_path, monkeypatch, capsys):
    keep_kinds(monkeypatch)
    monkeypatch.chdir(tmp_path)

    @register("schedule", "steps")
    def steps(rate: float, iterations: int, factor: float = 0.5):
        return lambda iteration: rate * (factor if iteration >= iterations // 2 else 1)

    small = {"training": {"iterations": 20, "report_every": 10, "schedule": "steps"}, "model": {"dim_recurrent": 4}}
    assert Experiment(**small).training.schedule == "steps"
    with refused(
        "schedule must be one of 'constant', 'cosine', 'linear', 'steps', not 'step'; did you mean 'steps'\\?"
    ):
        Experiment(training={"schedule": "step"})
    Experiment(**small, evaluation={"samples": 10}).to_json("steps.json")
    assert main(["train", "--config=steps.json", "--out=run", "--engine=mygrad"]) == 0
    assert ", on the schedule steps" in capsys.readouterr().out
    assert main(["train", "--config=steps.json", "--out=other", "--engine=mygrad", "--schedule=constant"]) == 0
    weights = [[p.data.tobytes() for p in load_run(folder).model.parameters] for folder in ("run", "other")]
    assert weights[0] != weights[1]
    assert json.loads(Path("run", "settings.json").read_text())["training"]["schedule"] == "steps"
    # The same rates as from a function; a checkpoint stores the name.
    model = RNN(10, 4, 2, rng=0)
    schedule = named_schedule("steps", 0.1, 20)
    assert [schedule(9), schedule(10)] == [0.1, 0.05]
    training = TrainingLoop(model, TwinHalves(), SGD(model.parameters), schedule=schedule, engine="mygrad")
    assert training.state().values["settings"]["schedule"] == (
        "RegisteredSchedule(name='steps', rate=0.1, iterations=20)"
    )


def test_a_run_with_a_registered_optimizer_resumes_to_the_same_bytes(tmp_path, monkeypatch):
    keep_kinds(monkeypatch)
    monkeypatch.chdir(tmp_path)

    @register("optimizer", "signs")
    class Signs:
        def __init__(self, params, learning_rate: float = 0.01, memory: float = 0.5):
            self.params, self.learning_rate, self.memory = tuple(params), learning_rate, memory
            self.means, self.calls = [np.zeros_like(parameter.data) for parameter in self.params], 0

        def step(self):
            self.calls += 1
            for mean, parameter in zip(self.means, self.params, strict=True):
                mean += self.memory * (parameter.grad - mean)
                parameter.data -= self.learning_rate * np.sign(mean) / self.calls

    Experiment(optimizer={"name": "signs", "memory": 0.25}).to_json("signs.json")
    command = ["train", "--config=signs.json", "--iterations=60", "--report-every=10", "--engine=mygrad"]
    small = ["--dim-recurrent=4", "--samples=20", "--checkpoint-every=0", "--quiet"]
    assert main([*command, *small, "--out=whole"]) == 0
    with monkeypatch.context() as patch:
        check = loop.check_losses

        def interrupted(losses, first):
            if first > 30:
                raise KeyboardInterrupt
            check(losses, first)

        patch.setattr(loop, "check_losses", interrupted)
        assert main([*command, *small, "--out=run"]) == 130
    assert main(["train", "--resume=run", "--quiet"]) == 0
    for name in ("model.safetensors", "history.csv"):
        assert Path("run", name).read_bytes() == Path("whole", name).read_bytes()
    assert json.loads(Path("run", "settings.json").read_text())["optimizer"]["memory"] == 0.25


@pytest.mark.long
def test_another_package_adds_by_an_entry_point(tmp_path):
    (tmp_path / "others.py").write_text(
        "from myrnn import RNN\n"
        "from myrnn.registry import register\n"
        'register("schedule", "flat")(lambda rate, iterations: lambda iteration: rate)\n'
    )
    (tmp_path / "others-1.0.dist-info").mkdir()
    (tmp_path / "others-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
    (tmp_path / "others-1.0.dist-info" / "entry_points.txt").write_text("[myrnn]\nothers = others\n")
    # It is loaded after the import of MyRNN, not during it.
    code = (
        "import myrnn, sys; assert 'others' not in sys.modules; from myrnn.cli import main; main(['train', '--help'])"
    )
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    command = [sys.executable, "-W", "error::UserWarning", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths})
    assert (done.returncode, done.stderr) == (0, "")
    assert "How the learning rate changes: constant, cosine, linear, flat." in " ".join(done.stdout.split())


@dataclass
class Flat:
    """A callable object without a hash, as that of a plain dataclass."""

    share: float = 1.0

    def __call__(self, rate, iterations):
        return self.share * rate


def test_an_invalid_schedule_is_refused(monkeypatch):
    keep_kinds(monkeypatch)
    with refused("rising is chosen by its name alone: its setting 'factor' needs a default"):
        register("schedule", "rising")(lambda rate, iterations, factor: None)
    register("schedule", "flat")(Flat())
    with refused("the schedule 'flat' must map an iteration to a learning rate, not be 0.1"):
        named_schedule("flat", 0.1, 20)


def test_numbers_of_numpy_are_plain():
    section = Training(iterations=np.int64(5), gradient_clip=np.float32(0.5))
    assert section.to_dict()["iterations"] == 5
    assert type(section.gradient_clip) is float
    assert num_parameters(Experiment(model={"dim_recurrent": np.int8(3)}).make()[1]) == 50
    assert Experiment(TwinHalves(np.int32(1), 2)).to_dict()["task"]["pattern_length_min"] == 1


@pytest.mark.parametrize(
    ("section", "setting", "given"),
    [
        ("training", "iterations", {}),
        ("training", "report_every", {}),
        ("evaluation", "samples", {}),
        ("training", "max_epochs", {"data": "a.csv"}),
    ],
)
def test_a_source_needs_some_settings(section, setting, given):
    with refused(f"{setting} must be an integer, not None"):
        Experiment(**given, **{section: {setting: None}})


def test_an_experiment_has_a_task_or_data():
    experiment = Experiment(data={"file": "train.csv"}, model="gru", evaluation={"test": ["a.csv", "b=b/c.csv"]})
    assert (experiment.source.section, experiment.source.name) == ("data", "train")
    assert experiment.model.settings.recurrent_init == "orthogonal"
    assert experiment.optimizer.settings.learning_rate == 0.003
    assert experiment.files == {"data": "train.csv", "test a": "a.csv", "test b": "b/c.csv"}
    assert experiment.with_paths(lambda path: f"x/{path}").files["test b"] == "x/b/c.csv"
    assert Experiment.read(json.loads(json.dumps(experiment.to_dict()))) == experiment
    assert pickle.loads(pickle.dumps(experiment)) == experiment
    assert Experiment(data="train.csv", model={"name": "gru", "recurrent_init": "glorot"}) != Experiment(
        data="train.csv", model="gru"
    )
    with refused("an experiment has a task or data, not both"):
        Experiment("palindromes", data="train.csv")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"data": {"file": "a.txt"}}, "a.txt is plain text: give its labels, one per line, with labels"),
        ({"data": {"fiel": "a.csv"}}, "data has no setting 'fiel', only .*"),
        ({"data": 3}, "data must be a file, settings by name, a pair \\(X, y\\) or a Sequences, not 3"),
        ({"training": {"iterations": 3}}, "training has no setting 'iterations', only 'max_epochs', .*"),
        ({"evaluation": {"samples": 3}}, "evaluation has no setting 'samples', only 'test', 'test_labels'"),
        ({"evaluation": {"test_labels": "a"}}, "test_labels goes with test, which is missing"),
        (
            {"evaluation": {"test": ["a/x.csv", "b/x.csv"]}},
            "test has two files of the name 'x': name them, as NAME=FILE",
        ),
        ({"evaluation": {"test": {"../x": "x.csv"}}}, "test has the name '../x', which a part of a file's name .*"),
        ({"training": {"class_weight": "spam"}}, "class_weight must be balanced, or weights such as .*, not 'spam'"),
        ({"training": {"validation_fraction": 1}}, "validation_fraction must be below 1, not 1.0"),
        ({"training": {"class_weight": "x=nan,y=1"}}, "the weight of 'x' in class_weight must be finite, not nan"),
        ({"training": {"class_weight": {"x": True}}}, "the weight of 'x' in class_weight must be a number, not True"),
        ({"training": {"class_weight": "x=3,x=5"}}, "class_weight has two weights for 'x'"),
        ({"training": {"class_weight": "x=0,y=0"}}, "class_weight must have a weight above 0 for one class at least"),
        ({"data": {"file": "a\0b.csv"}}, "file must be the name of a file, not .*"),
        ({"evaluation": {"test": ""}}, "test must be files, or files by name, not ''"),
        ({"evaluation": {"test": {"x" * 101: "a.csv"}}}, "test has a name of 101 characters, at most 100 are possible"),
    ],
)
def test_errors_in_data_are_reported(given, message):
    with refused(message):
        Experiment.read({"data": "train.csv", **given})


def test_data_in_memory_are_used_unchanged():
    X, y = ["a", "b"], [0, 1]
    experiment = Experiment(data=(X, y))
    assert experiment == copy.copy(experiment)
    assert experiment != Experiment(data=(X, y))
    with refused("the model of an experiment with data is made when the data are read: use myrnn.run"):
        experiment.make()
    with refused("experiment must be an Experiment, not str"):
        myrnn.run("best")
    for X, y, message in (
        ([], [], "X holds no sequence: at least two are needed, of two classes"),
        (["a", "b"], ["x"], "X holds 2 sequences, but y 1 label"),
        (["a", "b"], ["x", "x"], "y holds one class only, 'x': a classifier needs two or more"),
    ):
        with refused(message):
            myrnn.run(Experiment(data=(X, y)), "nowhere", progress=False)
    assert not Path("nowhere").exists()


def test_data_in_memory_are_tested_on_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("test.csv").write_text("sequence,label\nab,0\nb,1\n")
    X, y = ["ab", "ba", "b", "aab"] * 6, [0, 1, 1, 0] * 6
    training = {"max_epochs": 2, "engine": "mygrad", "class_weight": {0: 2, 1: 1}}
    experiment = Experiment(
        data=(X, y), model={"dim_recurrent": 3}, training=training, evaluation={"test": Path("test.csv")}
    )
    run = myrnn.run(experiment, "run", progress=False)
    same = myrnn.SequenceClassifier(
        dim_recurrent=3, max_epochs=2, engine="mygrad", class_weight={0: 2, 1: 1}, random_state=0
    ).fit(X, y)
    assert run.report["tests"]["test"]["accuracy"] == same.score(["ab", "b"], [0, 1])
    assert np.array_equal(run.history.loss, same.history_["loss"])
    with pytest.raises(DataError, match=r"there is no file gone\.csv"):
        myrnn.run(Experiment(data=(X, y), evaluation={"test": "gone.csv"}), "gone")


def test_a_file_must_say_where_its_data_are(tmp_path):
    (tmp_path / "mine.toml").write_text("[data]\ntokenize = 'words'\n")
    with refused(".*mine.toml: data needs 'file'"):
        Experiment.from_file(tmp_path / "mine.toml")
    (tmp_path / "mine.json").write_text('{"data": null, "training": {"iterations": 7}}')
    assert Experiment.from_file(tmp_path / "mine.json").training.iterations == 7


def test_paths_in_a_file_are_relative_to_its_folder(tmp_path):
    (tmp_path / "mine.toml").write_text('data = "train.csv"\n[evaluation.test]\nlong = "/tests/long.csv"\n')
    files = Experiment.from_file(tmp_path / "mine.toml").files
    assert files == {"data": str(tmp_path / "train.csv"), "test long": "/tests/long.csv"}


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
def test_every_network_can_have_layers_and_a_chosen_initialization(name):
    settings = {"name": name, "dim_recurrent": 4, "layers": 2, "dim_embedding": 3, "recurrent_init": "orthogonal"}
    experiment = Experiment(model=settings)
    model = experiment.make()[1]
    assert (model.layers, model.dim_embedding) == (2, 3)
    assert Part.of("model", model) == experiment.model
    weight = next(v.weight.data for n, v in vars(model.stack[0]).items() if n.startswith("fc_h2"))
    np.testing.assert_allclose(weight @ weight.T, np.eye(4), atol=1e-5)
    assert experiment.model.to_dict()["layers"] == 2


@pytest.mark.parametrize("write", ["to_json", "to_toml"])
def test_a_written_experiment_can_be_read_from_any_folder(tmp_path, monkeypatch, write):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep").mkdir()
    experiments = [
        Experiment(data="a.csv", model="deep/mine.py:Mine", evaluation={"test": {'far "off"': "/b.csv"}}),
        Experiment("palindromes", "gru", {"name": "adam", "eps": 1e-08}, evaluation={"lengths": "2:6:2"}),
        Experiment(data={"file": "a.txt", "labels": "l.txt"}, training={"class_weight": "x=2,y=0.5"}),
    ]
    for experiment in experiments:
        getattr(experiment, write)("deep/it.toml")
        read = Experiment.from_file("deep/it.toml")
        assert read.with_paths(os.path.abspath) == experiment.with_paths(os.path.abspath)
        monkeypatch.chdir(tmp_path / "deep")
        assert {os.path.abspath(file) for file in Experiment.from_file("it.toml").files.values()} == {
            os.path.abspath(tmp_path / file) for file in experiment.files.values()
        }
        monkeypatch.chdir(tmp_path)
    with refused("TOML cannot say that early_stopping_patience is None: write JSON, with to_json"):
        Experiment(data="a.csv", training={"early_stopping_patience": None}).to_toml("it.toml")
    with refused("it.json cannot hold sequences that are in memory: .*"):
        Experiment(data=(["a"], ["x"])).to_json("it.json")
    with refused(r"it.toml cannot hold half of a surrogate pair: .*"):
        Experiment(data="a.csv", training={"class_weight": {"\ud800": 1}}).to_toml("it.toml")


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(column=TEXT, label=TEXT)
@example(column='"\\\x7f\x00\n', label="\u2028\U0001f600")
def test_any_text_is_written_as_valid_toml(tmp_path_factory, column, label):
    path = tmp_path_factory.mktemp("toml") / "it.toml"
    experiment = Experiment(
        data={"file": "a.csv", "text_column": column, "label_column": f"{column}2"},
        training={"class_weight": {label: 2}},
    )
    experiment.to_toml(path)
    assert tomllib.loads(path.read_text(encoding="utf-8"))["data"]["text_column"] == column
    assert Experiment.from_file(path).training == experiment.training


def test_a_repeated_key_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("it.json").write_text('{"task": {"name": "palindromes"}, "training": {"seed": 1, "iterations": 5, "seed": 2}}')
    with refused("it.json: the key 'seed' is repeated in one object"):
        Experiment.from_file("it.json")
    assert main(["train", "--config=it.json"]) == 2
    assert capsys.readouterr().err == "myrnn: it.json: the key 'seed' is repeated in one object\n"


def test_data_in_memory_cannot_be_combined_with_a_file_or_a_task():
    experiment = Experiment(data=(["a", "b"], ["x", "y"]))
    assert replace(experiment, model="gru").source.given is experiment.source.given
    with refused("an experiment has a task or data, not both"):
        Experiment(task="palindromes", data="a.csv")


class Stop(Exception):
    """Raised to stop a training in the middle."""


@pytest.mark.parametrize("source", ["task", "memory", "file"])
def test_a_stopped_run_is_resumed_by_the_same_call(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("sequence,label\n" + "ab,x\nba,y\nb,y\n" * 8)
    X, y = ["ab", "ba", "b"] * 8, ["x", "y", "y"] * 8
    given = {
        "task": {**SMALL, "training": {"iterations": 60, "report_every": 20, "engine": "mygrad"}},
        "memory": {"data": (X, y), "model": {"dim_recurrent": 3}, "training": {"max_epochs": 4, "engine": "mygrad"}},
        "file": {"data": "a.csv", "model": {"dim_recurrent": 3}, "training": {"max_epochs": 4, "engine": "mygrad"}},
    }[source]
    calls = []

    def stopping(hook, report):
        on_reported(hook, report)
        calls.append(report)
        if len(calls) == 2:
            raise Stop

    whole = myrnn.run(Experiment(**given), "whole", progress=False)
    monkeypatch.setattr("myrnn.runs.work.Checkpoint", lambda folder: Checkpoint(folder, 0, 1e9))
    on_reported = Checkpoint.on_reported
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "on_reported", stopping)
        with pytest.raises(Stop):
            myrnn.run(Experiment(**given), "cut", progress=False)
    assert is_unfinished(Path("cut"))
    other = {**given, "model": {"dim_recurrent": 4}}
    with pytest.raises(RunError, match="cut holds an unfinished run of another experiment"):
        myrnn.run(Experiment(**other), "cut", progress=False)
    if source == "memory":
        for other in ((X, y[::-1]), ([list(text) for text in X], y)):
            with pytest.raises(RunError, match="memory has changed since cut was begun"):
                myrnn.run(Experiment(**{**given, "data": other}), "cut", progress=False)
        assert main(["train", "--resume=cut", "--quiet"]) == 2
    cut = myrnn.run(Experiment(**given), "cut", progress=False)
    assert contents(cut.model) == contents(whole.model)
    assert np.array_equal(cut.history.loss, whole.history.loss)
