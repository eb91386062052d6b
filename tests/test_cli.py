import csv
import json
import os
import re
import shlex
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from myrnn import __version__
from myrnn.cli import entry, main
from myrnn.cli import train as command_train
from myrnn.cli.train import PRESETS
from myrnn.errors import InvalidArgument
from myrnn.experiment import Experiment
from myrnn.models import GRU, RNN
from myrnn.optimizers import Adam
from myrnn.registry import find, kinds
from myrnn.runs import load_run, save_run, training, work
from myrnn.tasks import TwinHalves
from myrnn.tokens import read_tokens
from myrnn.training import train
from names import CELLS

SMALL = (
    "--task=twin-halves:pattern_length_max=3",
    "--dim-recurrent=8",
    "--iterations=60",
    "--report-every=20",
    "--samples=120",
    "--engine=mygrad",
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A run of the command for tests that only read it."""
    folder = tmp_path_factory.mktemp("saved") / "run"
    assert main(["train", *SMALL, "--out", str(folder), "--quiet"]) == 0
    return folder


def process(*arguments, **options):
    """Run ``python -m myrnn`` as a user does."""
    command = [sys.executable, "-m", "myrnn", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


def table_rows(text):
    """Return the rows of a printed table as lists of words."""
    lines = text.splitlines()
    rule = next(index for index, line in enumerate(lines) if set(line.strip()) <= set("─-+ ") and line.strip())
    rows = []
    for line in lines[rule + 1 :]:
        # The rows end at a blank line, or at another rule in a terminal without box characters.
        if set(line.strip()) <= set("-+ "):
            break
        rows.append(line.split())
    return rows


# --- train


def test_train_shows_what_it_does_and_writes_a_run(here, drawn_figures, capsys):
    assert main(["train", *SMALL, "--out", "run"]) == 0
    out, err = capsys.readouterr()
    assert "task        twin-halves, lengths 2 to 6, 10 symbols" in out
    assert "model       RNN (relu), 8 units, 170 parameters" in out
    assert "optimizer   Adam, learning rate 0.001" in out
    assert "training    60 iterations of 1 sequence, seed 0" in out
    assert "run folder  run\n" in out
    assert "pictures    accuracy_by_length.png, accuracy_by_length.svg, graph.svg, training.png, training.svg" in out
    assert "training 60/60 (100%)" in err
    assert "evaluating 120/120 (100%)" in err
    assert {path.name for path in Path("run").iterdir()} == {
        "settings.json",
        "model.safetensors",
        "history.csv",
        "report.json",
        "accuracy_by_length.csv",
        "training.svg",
        "training.png",
        "accuracy_by_length.svg",
        "accuracy_by_length.png",
        "graph.svg",
        "checkpoints",
    }


def test_every_number_that_is_printed_is_in_the_report(here, capsys):
    main(["train", *SMALL, "--out", "run"])
    out = capsys.readouterr().out
    report = json.loads(Path("run/report.json").read_text())
    training, evaluation = report["training"], report["tests"]["task"]
    assert f"loss {training['loss']:.4f}, accuracy {training['accuracy']:.2%}" in out
    assert f"{training['iterations_per_second']:,.0f} iterations/s, {training['engine']}" in out
    assert f"base rate   {evaluation['base_rate']:.2%}, by always giving the most frequent class of a length\n" in out
    assert f"balanced    {evaluation['balanced_accuracy']:.2%}, the mean accuracy for the classes\n" in out
    assert f"on {evaluation['sequences']} new sequences (seed {evaluation['seed']})" in out

    def cell(row, name):
        ends = f"({100 * row[f'{name}low']:.1f}-{100 * row[f'{name}high']:.1f})".replace("100.0", "100")
        return [f"{100 * row[f'{name}accuracy']:.1f}".replace("100.0", "100"), ends]

    assert table_rows(out) == [
        [
            str(row["length"]),
            *(["beyond"] if row["beyond"] else []),
            *cell(row, ""),
            f"{100 * row['base_rate']:.1f}",
            *(part for name in ("no_match_", "match_") for part in cell(row, name)),
            str(row["total"]),
        ]
        for row in evaluation["lengths"]
    ]
    for name, key in (("trained", "accuracy_trained_lengths"), ("beyond", "accuracy_beyond")):
        assert re.search(rf"^{name} +{100 * evaluation[key]:.1f} ", out, re.MULTILINE)


PRESET = ("--preset=best", "--iterations=40", "--batch-size=2", "--samples=200", "--engine=mygrad", "--out=run")


def test_a_preset_says_what_it_is_and_is_kept_in_the_run(here, capsys):
    assert main(["train", *PRESET]) == 0
    out = capsys.readouterr().out
    told = PRESETS["best"].summary
    assert out.startswith(f"preset      best: {told}; but with --iterations 40 --batch-size 2\n")
    assert "recurrent weights begin as the identity\n" in out
    settings, best = load_run("run").experiment.to_dict(), PRESETS["best"].sections
    assert settings["training"].items() >= {**best["training"], "iterations": 40, "batch_size": 2}.items()
    for part in ("task", "model", "optimizer"):
        assert settings[part].items() >= best[part].items()


@pytest.mark.usefixtures("in_python")
def test_another_kind_replaces_that_of_a_preset_with_all_its_settings(here):
    assert main(["train", *PRESET, "--model=gru", "--optimizer=sgd", "--iterations=4", "--quiet"]) == 0
    run = load_run("run")
    assert run.experiment.model.name == "gru"
    optimizer = {"name": "sgd", "learning_rate": 0.1, "momentum": 0.0, "weight_decay": 0.0}
    assert run.experiment.optimizer.to_dict() == optimizer
    assert run.experiment.training.schedule == PRESETS["best"].sections["training"]["schedule"]


def test_the_lesson_preset_equals_no_preset(here, saved):
    assert main(["train", *SMALL, "--preset=lesson", "--out=run", "--quiet"]) == 0
    assert load_run("run").experiment == load_run(saved).experiment
    assert Path("run", "model.safetensors").read_bytes() == (saved / "model.safetensors").read_bytes()


def test_an_unknown_preset_and_one_for_data_are_refused(here, capsys):
    assert main(["train", "--preset=bets"]) == 2
    assert "--preset must be one of 'lesson', 'best', not 'bets'; did you mean 'best'?" in capsys.readouterr().err
    assert main(["train", "--preset=best", "--data=some.csv"]) == 2
    assert "--preset does not go with --data" in capsys.readouterr().err


def test_clipping_is_shown(here, capsys):
    main(["train", *SMALL, "--gradient-clip=0.5", "--out=run"])
    assert "learning rate 0.001, gradients clipped to 0.5\n" in capsys.readouterr().out


def test_preparation_is_shown_separately_from_training(here, capsys, monkeypatch):
    ticks = iter([100.0, 107.5, 109.5])
    monkeypatch.setattr(training, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    main(["train", *SMALL, "--out=run"])
    out = capsys.readouterr().out
    assert "prepared    in 7.5 s\ntrained     in 2.0 s (30 iterations/s, mygrad)\n" in out
    numbers = load_run("run").report["training"]
    assert (numbers["preparation_seconds"], numbers["seconds"]) == (7.5, 2.0)


def test_lengths_go_up_to_twice_the_trained_ones(saved):
    with open(saved / "accuracy_by_length.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["length"] for row in rows] == ["2", "4", "6", "8", "10", "12"]
    assert [row["beyond"] for row in rows] == ["False"] * 3 + ["True"] * 3
    assert {row["total"] for row in rows} == {"20"}


def test_the_command_does_what_the_library_does(saved):
    model = RNN(10, 8, 2, rng=np.random.default_rng((0, 1)))
    history = train(model, TwinHalves(1, 3), Adam(model.parameters), iterations=60, report_every=20, engine="mygrad")
    run = load_run(saved)
    assert [p.data.tobytes() for p in run.model.parameters] == [p.data.tobytes() for p in model.parameters]
    assert run.history.loss.tobytes() == history.loss.tobytes()


def test_the_same_seed_gives_the_same_bytes(here, saved, capsys):
    main(["train", *SMALL, "--out", "again", "--quiet"])
    main(["train", *SMALL, "--out", "other", "--quiet", "--seed=1"])
    assert capsys.readouterr().out == "again\nother\n"
    for name in ("model.safetensors", "history.csv", "accuracy_by_length.csv"):
        assert Path("again", name).read_bytes() == (saved / name).read_bytes()
        assert Path("other", name).read_bytes() != (saved / name).read_bytes()


def test_every_option_reaches_the_run(here):
    options = {
        "task": "palindromes:negatives=near_miss,pattern_length_min=2,pattern_length_max=3,alphabet_size=4,parity=both,"
        "max_changes=2",
        "model": "rnn:activation=tanh,recurrent_init=minus_identity",
        "dim-recurrent": 5,
        "iterations": 7,
        "batch-size": 2,
        "optimizer": "sgd:momentum=0.5,weight_decay=0.001",
        "learning-rate": 0.25,
        "schedule": "cosine",
        "gradient-clip": 2.0,
        "on-divergence": "restart",
        "engine": "mygrad",
        "seed": 3,
        "samples": 20,
        "report-every": 4,
    }
    assert main(["train", *(f"--{name}={value}" for name, value in options.items()), "--out=run", "--quiet"]) == 0
    run = load_run("run")
    index = json.loads(Path("run/settings.json").read_text())
    assert {name: index[name] for name in ("task", "model", "optimizer", "training")} == {
        "task": {
            "name": "palindromes",
            "pattern_length_min": 2,
            "pattern_length_max": 3,
            "alphabet_size": 4,
            "negatives": "near_miss",
            "max_changes": 2,
            "parity": "both",
        },
        "model": {
            "name": "rnn",
            "dim_input": 4,
            "dim_recurrent": 5,
            "dim_output": 2,
            "activation": "tanh",
            "recurrent_init": "minus_identity",
            "layers": 1,
            "dim_embedding": None,
            "bidirectional": False,
        },
        "optimizer": {"name": "sgd", "learning_rate": 0.25, "momentum": 0.5, "weight_decay": 0.001},
        "training": {
            "iterations": 7,
            "batch_size": 2,
            "seed": 3,
            "engine": "mygrad",
            "report_every": 4,
            "schedule": "cosine",
            "gradient_clip": 2.0,
            "on_divergence": "restart",
            "loss": None,
        },
    }
    assert run.report["tests"]["task"]["seed"] == 4
    assert [row["length"] for row in run.report["tests"]["task"]["lengths"]] == list(range(4, 14))


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("model", ["gru", pytest.param("lstm", marks=pytest.mark.long)])
def test_other_models_train(here, model):
    assert main(["train", *SMALL, f"--model={model}", "--iterations=6", "--out=run", "--quiet"]) == 0
    assert type(load_run("run").model).__name__ == model.upper()


def test_each_run_has_a_separate_folder(here, capsys):
    for _ in range(2):
        assert main(["train", *SMALL, "--iterations=2", "--quiet"]) == 0
    folders = capsys.readouterr().out.split()
    assert len(set(folders)) == 2
    for folder in folders:
        assert re.fullmatch(r"runs.twin-halves-\d{8}-\d{6}(-2)?", folder)
        assert load_run(folder).experiment.training.iterations == 2


def test_without_options_the_defaults_are_used(here, monkeypatch):
    asked = []
    monkeypatch.setattr(command_train, "train_and_save", asked.append)
    assert main(["train"]) == 0
    assert asked == [{}]
    assert command_train.experiment_of({}) == Experiment()
    assert Experiment().to_dict() == {
        "task": {
            "name": "twin-halves",
            "pattern_length_min": 1,
            "pattern_length_max": 10,
            "alphabet_size": 10,
            "negatives": "uniform",
            "max_changes": 3,
        },
        "model": {
            "name": "rnn",
            "dim_recurrent": 50,
            "activation": "relu",
            "recurrent_init": "glorot",
            "layers": 1,
            "dim_embedding": None,
            "bidirectional": False,
        },
        "optimizer": {
            "name": "adam",
            "learning_rate": 0.001,
            "beta1": 0.9,
            "beta2": 0.999,
            "eps": 1e-8,
            "weight_decay": 0.0,
        },
        "training": {
            "iterations": 100_000,
            "batch_size": 1,
            "seed": 0,
            "engine": "auto",
            "report_every": 500,
            "schedule": "constant",
            "gradient_clip": None,
            "on_divergence": "stop",
            "loss": None,
        },
        "evaluation": {"samples": 100_000, "seed": None, "lengths": None, "stack_depth": None},
    }


# --- evaluate


def test_evaluate_counts_what_train_counted(saved, here, capsys):
    assert main(["evaluate", str(saved), "--out=table.csv"]) == 0
    assert Path("table.csv").read_bytes() == (saved / "accuracy_by_length.csv").read_bytes()
    assert [row[0] for row in table_rows(capsys.readouterr().out)] == ["2", "4", "6", "8", "10", "12"]


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize(("longest", "lengths"), [(2, ["2"]), (5, ["2", "4"]), (8, ["2", "4", "6", "8"])])
def test_evaluate_up_to_a_length(saved, here, capsys, longest, lengths):
    assert main(["evaluate", str(saved), "--samples=40", f"--length-max={longest}"]) == 0
    assert [row[0] for row in table_rows(capsys.readouterr().out)] == lengths


def test_evaluate_in_quiet_only_writes(saved, here, capsys):
    assert main(["evaluate", str(saved), "--samples=12", "--quiet", "--out=table.csv"]) == 0
    assert capsys.readouterr() == ("", "")
    assert len(Path("table.csv").read_text().splitlines()) == 7


# --- graph


def test_graph_draws_one_sequence(saved, here, capsys):
    assert main(["graph", str(saved), "--sequence=2020", "--out=picture.svg"]) == 0
    assert capsys.readouterr().out == "graph       picture.svg\n"
    picture = Path("picture.svg").read_text()
    assert "<svg" in picture[:200] and picture.rstrip().endswith("</svg>")
    assert "fc_h2h.weight" in picture


def test_graph_is_written_to_the_run(saved, capsys):
    for sequence, name in (("20", "graph-20.svg"), ("1,2", "graph-1,2.svg"), ("12" * 30, "graph-60-steps.svg")):
        assert main(["graph", str(saved), f"--sequence={sequence}"]) == 0
        assert (saved / name).is_file()
        assert name in capsys.readouterr().out


def test_graph_without_a_sequence_draws_the_recurrence(saved, here, capsys):
    assert main(["graph", str(saved), "--out=picture.svg"]) == 0
    assert capsys.readouterr().out == "graph       picture.svg\n"
    picture = Path("picture.svg").read_text()
    assert "every step" in picture and "h = relu(…)" in picture
    assert main(["graph", str(saved)]) == 0
    assert (saved / "recurrence.svg").read_text() == picture
    assert "recurrence.svg" in capsys.readouterr().out


# --- predict


def test_predict_shows_class_probability_and_truth(saved, here, capsys):
    assert main(["predict", str(saved), "123123", "123124", "1,1", "123"]) == 0
    rows = [" ".join(row) for row in table_rows(capsys.readouterr().out)]
    assert [row.split()[0] for row in rows] == ["123123", "123124", "1,1", "123"]
    # An odd length has no two halves.
    truths = ["match", "no match", "match", "no match"]
    for row, truth in zip(rows, truths, strict=True):
        found = re.fullmatch(r"\S+ (?P<name>match|no match) (?P<p>[01]\.\d{4}) (?P<truth>match|no match)", row)
        assert found is not None
        assert found["truth"] == truth
        assert 0.5 <= float(found["p"]) <= 1


def test_predict_shows_the_probability_of_the_model(saved, here, capsys):
    main(["predict", str(saved), "1212"])
    logits = load_run(saved).model(np.eye(10, dtype=np.float32)[[1, 2, 1, 2]]).data[0].astype(float)
    shares = np.exp(logits) / np.exp(logits).sum()
    assert f" {shares.max():.4f} " in capsys.readouterr().out


def test_predict_gives_a_sequence_that_overflows_a_class_on_request(saved, here, capsys):
    run = load_run(saved)
    run.model.fc_x2h.weight.data[...] = 1
    run.model.fc_h2h.weight.data[...] = 16 * np.eye(8)
    save_run("growing", task=run.task, model=run.model, optimizer=Adam(run.model.parameters), history=run.history)
    assert main(["predict", "growing", "12", "12" * 20]) == 2
    assert capsys.readouterr().err == (
        "myrnn: the logits of 1 of 2 sequences are not finite, the shortest of length 40: "
        "the model's numbers overflow there\n"
    )
    assert main(["predict", "growing", "12" * 20, "--not-finite=no match"]) == 0
    assert "no match - " in " ".join(capsys.readouterr().out.split())
    assert main(["predict", "growing", "12", "--not-finite=maybe"]) == 2
    assert capsys.readouterr().err == "myrnn: --not-finite must be one of 'no match', 'match', not 'maybe'\n"


def test_a_long_sequence_is_folded_and_not_cut(saved, here, capsys):
    main(["predict", str(saved), "1234567890" * 15])
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert sum(character.isdigit() for line in out.splitlines() for character in line[:50]) >= 150
    assert "…" not in out


@pytest.mark.usefixtures("in_python")
def test_larger_alphabets_take_commas(here, capsys):
    task = TwinHalves(1, 2, alphabet_size=12)
    model = GRU(12, 4, 2, rng=0)
    optimizer = Adam(model.parameters)
    history = train(model, task, optimizer, iterations=2, engine="mygrad")
    save_run("run", task=task, model=model, optimizer=optimizer, history=history)
    assert main(["predict", "run", "10,3,10,3"]) == 0
    assert table_rows(capsys.readouterr().out)[0][0] == "10,3,10,3"
    assert main(["predict", "run", "1212"]) == 2
    assert capsys.readouterr().err == (
        "myrnn: sequence '1212': separate numbers by commas, such as 10,3,10,3, because the alphabet has 12 symbols\n"
    )


@given(st.lists(st.integers(0, 9), min_size=1))
def test_digits_and_commas_mean_the_same(tokens):
    assert read_tokens("".join(map(str, tokens)), 10) == tokens
    assert read_tokens("".join(f"{token}," for token in tokens).rstrip(",") + ",7", 10) == [*tokens, 7]


@given(st.text(), st.integers(2, 20))
def test_any_text_is_tokens_or_refused(text, alphabet_size):
    try:
        tokens = read_tokens(text, alphabet_size)
    except InvalidArgument as error:
        assert "\n" not in str(error)
    else:
        assert all(0 <= token < alphabet_size for token in tokens)


# --- mistakes: exit code 2 and one line


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("trian", "No such command 'trian'. Did you mean 'train'?"),
        ("--verson", "No such option: --verson; did you mean --version?"),
        ("train --iteration 5", "No such option: --iteration; did you mean --iterations?"),
        ("train --iterations", "Option '--iterations' requires an argument."),
        (
            "train --task twin-halfs",
            "--task must be one of 'twin-halves', 'palindromes', 'flare', 'tomita', 'dyck', 'equal-counts', "
            "'regular', 'context-free', 'deepmind', 'running-parity', 'copy-after-pause', "
            "'next-character', 'modular-arithmetic', 'group-words', 'associative-recall', 'induction', "
            "not 'twin-halfs'; did you mean 'twin-halves'?",
        ),
        (
            "train --model rn",
            f"--model must be one of {CELLS}, not 'rn'; did you mean 'rnn'?",
        ),
        (
            "train --optimizer adm",
            "--optimizer must be one of 'sgd', 'rmsprop', 'adam', not 'adm'; did you mean 'adam'?",
        ),
        (
            "train --engine nativ",
            "--engine must be one of 'auto', 'native', 'mygrad', not 'nativ'; did you mean 'native'?",
        ),
        (
            "train --task twin-halves:negatives=near",
            "negatives must be one of 'uniform', 'near_miss', not 'near'; did you mean 'near_miss'?",
        ),
        (
            "train --task palindromes:parity=evn",
            "parity must be one of 'even', 'odd', 'both', not 'evn'; did you mean 'even'?",
        ),
        (
            "train --model rnn:activation=rlu",
            "activation must be one of 'relu', 'tanh', not 'rlu'; did you mean 'relu'?",
        ),
        (
            "train --batch-size 4611686018427387904",
            "--batch-size must be at most 1000000, not 4611686018427387904",
        ),
        (
            "train --task twin-halves:parity=odd",
            "task twin-halves has no setting 'parity', only 'pattern_length_min', 'pattern_length_max', "
            "'alphabet_size', 'negatives', 'max_changes'",
        ),
        (
            "train --optimizer adam:momentum=0.9",
            "optimizer adam has no setting 'momentum', only 'learning_rate', 'beta1', 'beta2', 'eps', 'weight_decay'",
        ),
        ("train --optimizer sgd:momentum=1", "momentum must be below 1, not 1.0"),
        (
            "train --model gru:8 --dim-recurrent 9",
            "model gru:8 says --dim-recurrent already: leave one of them out",
        ),
        ("train --learning-rate nan", "--learning-rate must be finite, not nan"),
        ("train --learning-rate -1", "--learning-rate must be at least 0, not -1.0"),
        ("train --gradient-clip 0", "--gradient-clip must be above 0, not 0.0"),
        (
            "train --task twin-halves:pattern_length_min=5,pattern_length_max=3",
            "pattern_length_min must not exceed pattern_length_max, but they are 5 and 3",
        ),
        ("train extra", "Got unexpected extra argument(s) (extra)"),
        ("train --out full", "full is not empty: choose another folder, nothing is overwritten"),
        ("train --out full/file", "full/file is or lies below a file: a run needs a separate folder"),
        ("evaluate", "Missing argument 'RUN'."),
        ("evaluate nowhere", "there is no run folder nowhere"),
        ("evaluate full", "full is not a whole run: settings.json is missing, which is written last"),
        ("evaluate SAVED --length-max 1", "--length-max must be at least 2, the shortest of the task, not 1"),
        (
            "evaluate SAVED --samples 9 --out nowhere/table.csv",
            "--out must lie in a folder that exists, but nowhere does not",
        ),
        ("graph SAVED --sequence 12x1", "sequence '12x1': 'x' at place 3 is not a digit"),
        (
            "graph SAVED --sequence 12 --out nowhere/picture.svg",
            "--out must lie in a folder that exists, but nowhere does not",
        ),
        ("graph SAVED --sequence 12 --out picture.png", "path must end in .svg, .dot or .gv, not 'picture.png'"),
        ("predict SAVED", "give sequences, or a file of them with --data"),
        ("predict SAVED 123a", "sequence '123a': 'a' at place 4 is not a digit"),
        ("predict SAVED 1,12", "sequence '1,12': 12 at place 2 is not one of the symbols 0 to 9"),
        ("predict SAVED 1,,2", "sequence '1,,2': '' at place 2 is not a digit"),
        ("predict SAVED \u0661", "sequence '\u0661': '\u0661' at place 1 is not a digit"),
    ],
)
def test_a_mistake_is_one_line(line, message, saved, here, capsys):
    (here / "full").mkdir()
    (here / "full" / "file").write_text("")
    arguments = [str(saved) if word == "SAVED" else word for word in line.split()]
    assert main([*arguments, *(["--quiet"] if "evaluate SAVED" in line else [])]) == 2
    assert capsys.readouterr() == ("", f"myrnn: {message}\n")
    assert {path.name for path in here.iterdir()} == {"full"}


@pytest.mark.parametrize("option", ["--iterations", "--samples", "--batch-size", "--report-every", "--dim-recurrent"])
@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("0", "at least 1"),
        ("-3", "at least 1"),
        ("many", "an integer, written out, such as 100000"),
        ("1e5", "an integer, written out, such as 100000"),
    ],
)
def test_a_wrong_number_names_its_option(option, value, wanted, here, capsys):
    for arguments in ([option, value], [f"{option}={value}"]):
        assert main(["train", *arguments]) == 2
        shown = repr(value) if "integer" in wanted else value
        assert capsys.readouterr() == ("", f"myrnn: {option} must be {wanted}, not {shown}\n")


def test_an_empty_sequence_is_refused(saved, capsys):
    assert main(["predict", str(saved), ""]) == 2
    assert capsys.readouterr().err == "myrnn: a sequence is empty: write digits, such as 2020\n"


def test_a_model_that_is_too_large_for_memory(here, capsys, monkeypatch):
    def too_large(*_, **__):
        raise MemoryError("Unable to allocate 71.1 PiB")

    monkeypatch.setattr(work, "trained", too_large)
    assert main(["train", "--out=run", "--quiet"]) == 2
    assert capsys.readouterr().err == "myrnn: not enough memory: Unable to allocate 71.1 PiB\n"
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "name", "largest"),
    [
        ("--dim-recurrent=N", "--dim-recurrent", 50000),
        ("--task=twin-halves:alphabet_size=N", "alphabet_size", 100_000),
        ("--task=twin-halves:pattern_length_max=N", "pattern_length_max", 20_000),
    ],
)
def test_absurd_sizes_are_refused(options, name, largest, here, capsys):
    assert main(["train", options.replace("N", "1000000000000")]) == 2
    assert capsys.readouterr() == ("", f"myrnn: {name} must be at most {largest}, not 1000000000000\n")


def test_a_training_that_diverges(here, capsys):
    assert main(["train", *SMALL, "--optimizer=sgd", "--learning-rate=1e20", "--out=run", "--quiet"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"myrnn: the loss is (nan|inf) at iteration \d+: try a smaller --learning-rate[^\n]+\n", err)
    assert main(["runs", "."]) == 0
    assert capsys.readouterr().out.splitlines()[2].rstrip().endswith("interrupted")


def test_an_interrupt_is_one_line_and_130(here, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(work, "trained", interrupted)
    assert main(["train", "--out=run", "--quiet"]) == 130
    assert capsys.readouterr() == ("", "myrnn: interrupted: nothing was saved\n")
    assert list(here.iterdir()) == []


def test_a_file_that_cannot_be_written(saved, here, capsys):
    (here / "folder.csv").mkdir()
    assert main(["evaluate", str(saved), "--samples=9", "--engine=mygrad", "--quiet", "--out=folder.csv"]) == 2
    assert capsys.readouterr() == ("", "myrnn: folder.csv: Is a directory\n")


def test_a_warning_is_one_line(here, capsys, monkeypatch):
    def warning(_):
        warnings.simplefilter("default")
        warnings.warn("this goes\nmore slowly", UserWarning, stacklevel=1)

    monkeypatch.setattr(command_train, "train_and_save", warning)
    assert main(["train"]) == 0
    assert capsys.readouterr() == ("", "myrnn: warning: this goes more slowly\n")


# --- tasks, models and optimizers


@pytest.mark.parametrize(("part", "other"), [("task", "dyck"), ("model", "gru"), ("optimizer", "adam")])
def test_parts_are_listed_with_settings_and_an_example(part, other, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "100")
    assert main([f"{part}s"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 100
    lines = [line.strip() for line in out.splitlines()]
    for name, kind in kinds(part).items():
        (line,) = (line for line in lines if re.match(rf"myrnn train --{part} '?{name}(:|'|$)", line))
        # What is shown can be pasted.
        experiment = command_train.experiment_of({part: shlex.split(line)[-1]})
        assert (experiment.source if part == "task" else getattr(experiment, part)).name == name
        assert all(setting in "".join(out.split()) for setting in kind.section.__struct_fields__)
    assert main([f"{part}s", other]) == 0
    shown = capsys.readouterr().out
    assert all(re.search(rf"^{name} ", shown, re.M) for name in find(part, other).section.__struct_fields__)
    assert main([f"{part}s", f"{other}s"]) == 2
    assert capsys.readouterr().err.endswith(f"not '{other}s'; did you mean '{other}'?\n")


def test_the_help_of_train_fits_on_two_screens(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["train", "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.lstrip().startswith("-") for line in lines) <= 45
    assert len(lines) <= 100 and max(map(len, lines)) <= 100


# --- the process itself


def test_the_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"myrnn {__version__}\n"


def test_the_citation_file_has_this_version():
    assert f"\nversion: {__version__}\n" in (Path(__file__).parents[1] / "CITATION.cff").read_text(encoding="utf-8")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_names_the_commands(arguments, capsys):
    assert main(arguments) == 0
    out = capsys.readouterr().out
    for command in ("train", "evaluate", "inspect", "graph", "predict", "tasks"):
        assert re.search(rf"^  {command} ", out, re.MULTILINE)


@pytest.mark.parametrize("command", ["train", "evaluate", "inspect", "graph", "predict", "tasks"])
def test_every_option_has_a_help(command, capsys):
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"Usage: myrnn {command} ")
    for option in re.findall(r"^  (--[a-z-]+)(?: <[a-z ]+>)?$", out, re.MULTILINE):
        assert re.search(rf"^  {option}[^\n]*\n {{10,}}\S", out, re.MULTILINE)


@pytest.mark.long
def test_the_module_runs():
    done = process("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"myrnn {__version__}\n", "")


def test_the_installed_command_runs():
    done = subprocess.run(
        [Path(sys.executable).with_name("myrnn"), "trian"], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "myrnn: No such command 'trian'. Did you mean 'train'?\n"


@pytest.mark.long
def test_a_whole_run_through_a_pipe(tmp_path):
    done = process("train", *SMALL, cwd=tmp_path, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert "\x1b" not in done.stdout + done.stderr
    assert len(table_rows(done.stdout)) == 6
    (folder,) = (tmp_path / "runs").iterdir()
    assert load_run(folder).history.iteration.tolist() == [20, 40, 60]


@pytest.mark.long
def test_a_closed_pipe_is_not_an_error(saved):
    command = [sys.executable, "-m", "myrnn", "predict", str(saved), *["1212"] * 3]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, timeout=120)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.filterwarnings("always")
def test_a_warning_is_shown_once(capsys, monkeypatch):
    def warning():
        for told in ("one\n thing", "another", "one thing"):
            warnings.warn(told, stacklevel=1)

    monkeypatch.setattr(entry, "_invoke", lambda _: warning())
    assert main([]) == 0
    assert capsys.readouterr().err == "myrnn: warning: one thing\nmyrnn: warning: another\n"
