import csv
import re
from pathlib import Path

import pytest

from myrnn import Experiment, run
from myrnn.cli import main
from myrnn.errors import InvalidArgument
from myrnn.evaluation import evaluate, shortcuts
from myrnn.runs import load_run
from myrnn.tasks import TwinHalves

SMALL = (
    "--task=twin-halves:pattern_length_max=3",
    "--dim-recurrent=8",
    "--iterations=40",
    "--report-every=20",
    "--samples=40",
    "--engine=mygrad",
    "--quiet",
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Two runs: one of halves with ten symbols, and one of palindromes with five."""
    folder = tmp_path_factory.mktemp("saved")
    other = ("--task=palindromes:pattern_length_max=3,alphabet_size=5", "--model=gru")
    assert main(["train", *SMALL, "--out", str(folder / "halves")]) == 0
    assert main(["train", *SMALL, *other, "--out", str(folder / "mirror")]) == 0
    return folder


# --- evaluate


def test_evaluate_shows_lengths_classes_and_groups(saved, here, capsys):
    assert main(["evaluate", str(saved / "halves"), "--lengths=2:8:2", "--samples=400", "--out=table.csv"]) == 0
    out = capsys.readouterr().out
    run = load_run(saved / "halves")
    report = evaluate(run.model, run.task, 400, 1, lengths=range(2, 9, 2), trained=run.history)
    for name, row in report.totals().items():
        assert re.search(
            rf"^{name} +{100 * row['accuracy']:.1f} .* {row['total']}$", out.replace(" \n", "\n"), re.MULTILINE
        )
    assert re.search(r"^8 beyond ", out, re.MULTILINE)
    assert re.search(
        r"^base rate   5\d\.\d\d%, by always giving the most frequent class of a length$", out, re.MULTILINE
    )
    assert max(map(len, out.splitlines())) <= 80
    with open("table.csv", newline="", encoding="utf-8") as file:
        assert [int(row["correct"]) for row in csv.DictReader(file)] == report.correct.tolist()


def test_evaluate_shows_shortcuts_and_draws_them(saved, here, capsys):
    line = ["evaluate", str(saved / "halves"), "--lengths=2,4", "--samples=400", "--shortcuts", "--figure=picture.svg"]
    assert main(line) == 0
    known = shortcuts(TwinHalves(1, 3), 400, 1, lengths=[2, 4])
    out = capsys.readouterr().out
    for name, share in known.overall.items():
        assert re.search(rf"^{name} +{100 * share:.1f} ".replace("100.0", "100"), out, re.MULTILINE)
    assert re.search(r"^Bayes rate +100\.0", out, re.MULTILINE)
    assert Path("picture.svg").read_text().startswith("<?xml")


def test_evaluate_shows_mistakes(saved, here, capsys):
    assert main(["evaluate", str(saved / "halves"), "--samples=200", "--counterexamples=2"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^\d+ mistakes in 198 sequences", out, re.MULTILINE)
    assert "first half above the second; ^ marks where they differ" in out


def test_evaluate_in_quiet_only_writes(saved, here, capsys):
    line = ["evaluate", str(saved / "halves"), "--samples=40", "--quiet", "--figure=picture.png", "--shortcuts"]
    assert main(line) == 0
    assert capsys.readouterr() == ("", "")
    assert Path("picture.png").read_bytes().startswith(b"\x89PNG")


def test_evaluate_draws_other_sequences_than_the_training(tmp_path, capsys):
    line = ["--iterations=2", "--dim-recurrent=2", "--engine=mygrad", "--samples=20", "--seed=1", "--quiet"]
    assert main(["train", "--task=twin-halves:pattern_length_max=2", *line, f"--out={tmp_path / 'run'}"]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "run")]) == 0
    assert "evaluated   on 20 new sequences (seed 2) in " in capsys.readouterr().out
    found = load_run(tmp_path / "run")
    with pytest.raises(InvalidArgument, match=r"^evaluation has no setting 'test', only 'samples', "):
        found.test(test="other.csv")


# --- mistakes


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("evaluate HALVES --lengths 3", "TwinHalves has no sequence of length 3: lengths are even, 2 or more"),
        (
            "evaluate HALVES --lengths 2:4 --length-max 8",
            "--lengths and --length-max do not go together: --lengths is enough",
        ),
        (
            "evaluate HALVES --lengths 2:99999:2",
            "--lengths must be at most 10,000 numbers, which '2:99999:2' exceeds",
        ),
        ("evaluate HALVES --samples 10000001", "--samples must be at most 10000000, not 10000001"),
        ("evaluate HALVES --stack-depth 9", "--stack-depth is for a stack-rnn, and the run has the model 'rnn'"),
        ("evaluate HALVES --engine slow", "--engine must be one of 'auto', 'native', 'mygrad', not 'slow'"),
        ("evaluate HALVES --lengths 8:2", "--lengths must go up, as in '0:9' or '2:40:2', not '8:2'"),
        ("evaluate HALVES --lengths 2:8:0", "--lengths must go up, as in '0:9' or '2:40:2', not '2:8:0'"),
        ("evaluate HALVES --figure x.gif", "--figure must end in .svg, .png or .pdf, not 'x.gif'"),
        ("evaluate HALVES --figure no/x.svg", "--figure must lie in a folder that exists, but no does not"),
        ("evaluate HALVES --data x.csv", "--data goes with a run on data, which HALVES is not"),
        ("evaluate HALVES --labels x.txt", "--labels goes with a run on data, which HALVES is not"),
        ("inspect HALVES 1212 --data x.csv", "--data goes with a run on data, which HALVES is not"),
    ],
)
def test_a_mistake_is_one_line(line, message, saved, here, capsys):
    folder = str(saved / "halves")
    assert main(line.replace("HALVES", folder).split()) == 2
    assert capsys.readouterr() == ("", f"myrnn: {message.replace('HALVES', folder)}\n")
    assert list(here.rglob("*.*")) == []


@pytest.mark.filterwarnings("default:the task has no sequences")
def test_lengths_that_the_task_does_not_have_are_left_out(tmp_path, capsys):
    settings = {
        "task": {"name": "twin-halves", "pattern_length_max": 2},
        "model": {"dim_recurrent": 2},
        "training": {"iterations": 2, "engine": "mygrad"},
        "evaluation": {"samples": 20, "lengths": "1:6"},
    }
    message = "the task has no sequences of lengths 1, 3, 5 to test on: they are left out"
    with pytest.warns(UserWarning, match=f"^{message}$"):
        run(Experiment(**settings), tmp_path / "run", progress=False)
    tested = (tmp_path / "run" / "accuracy_by_length.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in tested[1:]] == ["2", "4", "6"]
    assert main(["evaluate", f"{tmp_path}/run", "--lengths=1:4", "--samples=20", "--engine=mygrad", "--quiet"]) == 0
    assert capsys.readouterr().err == "myrnn: warning: " + message.replace("1, 3, 5", "1, 3") + "\n"
