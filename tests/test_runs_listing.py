import csv
import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from myrnn.cli import main
from myrnn.errors import InvalidArgument, RunError
from myrnn.runs import RunListing, RunSummary, list_runs
from myrnn.runs.folder import UNFINISHED
from myrnn.storage import FolderLock
from run_folders import data_run, gru_run, task_run, without_pictures


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a run of every kind."""
    folder = tmp_path_factory.mktemp("made")
    task_run(folder / "rnn")
    gru_run(folder / "gru")
    data_run(folder / "words")
    return folder


@pytest.fixture
def runs(tmp_path, made):
    """A copy of these runs."""
    for name in ("rnn", "gru", "words"):
        without_pictures(made / name, tmp_path / "runs" / name)
    return tmp_path / "runs"


def names(runs):
    return sorted(run.name for run in list_runs(runs))


# --- its content


def test_a_listing_agrees_with_the_runs(runs):
    found = {run.name: run for run in list_runs(runs)}
    report = json.loads((runs / "rnn" / "report.json").read_text())
    created = json.loads((runs / "rnn" / "settings.json").read_text())["created"]
    assert found["rnn"] == RunSummary(
        "rnn",
        "whole",
        "twin-halves 2-6",
        "rnn 6",
        iterations=30,
        loss=report["training"]["loss"],
        accuracy=report["training"]["accuracy"],
        tested=report["tests"]["task"]["accuracy_trained_lengths"],
        made=time.mktime(time.strptime(created[:19], "%Y-%m-%dT%H:%M:%S")),
    )
    assert (found["gru"].model, found["gru"].iterations) == ("gru 6", 20)
    words, report = found["words"], json.loads((runs / "words" / "report.json").read_text())
    assert (words.state, words.task, words.model) == ("whole", "data.csv, 2 classes", "rnn 4")
    assert (words.iterations, words.epochs, words.loss) == (None, 2, report["training"]["loss"])
    assert (words.accuracy, words.tested) == (report["training"]["accuracy"], report["tests"]["data"]["accuracy"])


def test_runs_on_numbers_are_listed_with_their_error(tmp_path):
    for name, words in (("near.csv", ["a", "abba", "ab"]), ("far.csv", ["abbaabbaabba"])):
        lines = ["sequence,target", *(f"{word},{len(word)}" for word in words)]
        (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
    near, far = (f"--test={tmp_path / name}" for name in ("near.csv", "far.csv"))
    small = ("--learn=numbers", "--dim-recurrent=2", "--max-epochs=1", "--engine=mygrad", "--quiet")
    for name, tests in (("one", [near]), ("two", [near, far])):
        given = [f"--data={tmp_path / 'near.csv'}", *small, *tests, f"--out={tmp_path / 'runs' / name}"]
        assert main(["train", *given]) == 0
    found = list_runs(tmp_path / "runs")
    one, two = (json.loads((tmp_path / "runs" / name / "report.json").read_text()) for name in ("one", "two"))
    assert {run.name: (run.tested, run.rmse) for run in found} == {
        "one": (None, one["tests"]["near"]["rmse"]),
        # The error on the longer words, which are further from the mean.
        "two": (None, two["tests"]["far"]["rmse"]),
    }
    assert f"RMSE {one['tests']['near']['rmse']:.4g}" in found.table().cells("tested")
    assert [run.name for run in found.sorted("rmse")] == ["one", "two"]


def test_other_folders_and_files_are_ignored(runs):
    (runs / "transfer").mkdir()
    (runs / "transfer" / "transfer.csv").write_text("")
    (runs / "note.txt").write_text("")
    assert names(runs) == ["gru", "rnn", "words"]


def test_a_running_training_is_in_progress_and_a_killed_one_is_interrupted(runs):
    for name in ("now", "killed"):
        checkpoint = runs / name / f"checkpoint-{30:012d}"
        checkpoint.mkdir(parents=True)
        (checkpoint / "state.json").write_text("{}")
    with FolderLock(runs / "now"), FolderLock(runs / "rnn"):
        states = {run.name: run.state for run in list_runs(runs)}
    assert states == {
        "gru": "whole",
        "rnn": "in progress",
        "words": "whole",
        "now": "in progress",
        "killed": "interrupted",
    }
    assert {run.name: run.state for run in list_runs(runs)} == {
        **dict.fromkeys(("gru", "rnn", "words"), "whole"),
        **dict.fromkeys(("now", "killed"), "interrupted"),
    }


@pytest.fixture
def begun(runs):
    """A run that was stopped after 20 of its 30 iterations."""
    index = json.loads((runs / "rnn" / "settings.json").read_text())
    index = {
        name: value for name, value in index.items() if name not in ("files", "format", "format_version", "sha256")
    }
    (runs / "begun" / "checkpoints" / f"checkpoint-{20:012d}").mkdir(parents=True)
    (runs / "begun" / "checkpoints" / f"checkpoint-{20:012d}" / "state.json").write_text("{}")
    UNFINISHED.write(runs / "begun", index, {})
    return runs / "begun"


def test_an_incomplete_run_shows_its_settings(runs, begun):
    (found,) = [run for run in list_runs(runs) if run.name == "begun"]
    (whole,) = [run for run in list_runs(runs) if run.name == "rnn"]
    assert found == replace(
        whole, name="begun", state="interrupted", iterations=20, loss=None, accuracy=None, tested=None
    )
    with FolderLock(begun):
        assert {run.name: run.state for run in list_runs(runs)}["begun"] == "in progress"


def test_a_complete_run_with_more_iterations_is_incomplete(runs, begun):
    list_runs(runs)
    shutil.move(begun / "unfinished.json", runs / "rnn")
    assert {run.name: (run.state, run.iterations) for run in list_runs(runs)}["rnn"] == ("interrupted", 30)
    (runs / "rnn" / "unfinished.json").unlink()
    assert {run.name: run.state for run in list_runs(runs)}["rnn"] == "whole"


def test_an_incomplete_run_can_be_damaged(runs, begun):
    index = {name: value for name, value in UNFINISHED.read_index(begun).items() if name != "sha256"}
    UNFINISHED.write(begun, {**index, "task": {"name": "twins"}}, {})
    (found,) = [run for run in list_runs(runs) if run.name == "begun"]
    assert found.state == "unreadable"
    assert found.fault.startswith(f"{begun}: unfinished.json cannot be used: task must be one of ")


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("settings.json", "settings.json is not valid JSON: "),
        ("report.json", "report.json is too long: "),
        ("model.safetensors", "model.safetensors is too long: "),
        ("history.csv", "history.csv is too long: "),
    ],
)
def test_damaged_runs_are_listed_as_damaged(runs, name, fault):
    list_runs(runs)
    (runs / "rnn" / name).write_bytes((runs / "rnn" / name).read_bytes() + b"}")
    (rnn,) = [run for run in list_runs(runs) if run.name == "rnn"]
    assert rnn.state == "unreadable"
    assert rnn.fault.startswith(f"{runs / 'rnn'}: {fault}")


def test_a_run_on_data_without_its_encoding_is_damaged(runs):
    (runs / "words" / "encoding.json").unlink()
    (words,) = [run for run in list_runs(runs) if run.name == "words"]
    assert (words.state, words.fault) == (
        "unreadable",
        f"{runs / 'words'}: encoding.json is missing",
    )


def test_a_path_that_is_not_a_folder_of_runs_is_refused(runs, tmp_path):
    for path, message in (
        (tmp_path / "gone", f"there is no folder {tmp_path / 'gone'} with runs in it"),
        (runs / "rnn", f"{runs / 'rnn'} is a run itself: give the folder above it"),
        (runs / "words", f"{runs / 'words'} is a run itself: give the folder above it"),
        (runs / "rnn" / "history.csv", f"cannot read the folder {runs / 'rnn' / 'history.csv'}: Not a directory"),
    ):
        with pytest.raises(RunError) as caught:
            list_runs(path)
        assert str(caught.value) == message


# --- what changes


def test_changed_new_moved_and_removed_runs_are_detected(runs, made):
    list_runs(runs)
    without_pictures(made / "rnn", runs / "new")
    (runs / "gru").rename(runs / "moved")
    shutil.rmtree(runs / "words")
    os.truncate(runs / "rnn" / "model.safetensors", 10)
    found = {run.name: (run.model, run.state) for run in list_runs(runs)}
    assert found == {"rnn": (None, "unreadable"), "new": ("rnn 6", "whole"), "moved": ("gru 6", "whole")}


def test_a_change_that_keeps_time_and_size_is_detected(runs):
    path = runs / "rnn" / "report.json"
    before, content = path.stat(), path.read_bytes()
    path.write_bytes(content.replace(b'"loss"', b'"lost"'))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert {run.name: run.state for run in list_runs(runs)}["rnn"] == "unreadable"


def test_a_listing_writes_nothing_and_ignores_an_index_of_an_older_version(runs):
    (runs / ".runs.sqlite").write_bytes(b"damage" * 1000)
    before = sorted(runs.iterdir())
    assert names(runs) == ["gru", "rnn", "words"]
    assert sorted(runs.iterdir()) == before


# --- the listing


def test_a_listing_is_a_sequence(runs):
    found = list_runs(runs)
    assert isinstance(found, RunListing)
    assert [run.name for run in found] == [found[place].name for place in range(len(found))]
    assert len(found[1:]) == 2
    assert repr(found) == f"RunListing(3 runs in {runs})"
    (runs / "rnn" / "history.csv").unlink()
    assert repr(list_runs(runs)) == f"RunListing(3 runs in {runs}, 1 not whole)"


def test_unknown_values_are_sorted_last(runs):
    (runs / "gru" / "report.json").unlink()
    found = list_runs(runs)

    def order(*given):
        return [run.name for run in found.sorted(*given)]

    assert order("name") == ["gru", "rnn", "words"]
    assert order("name", True) == ["words", "rnn", "gru"]
    known = [run for run in found if run.loss is not None]
    better, worse = (run.name for run in sorted(known, key=lambda run: run.loss))
    assert order("loss") == [better, worse, "gru"]
    assert order("loss", True) == ["gru", worse, better]
    better, worse = (run.name for run in sorted(known, key=lambda run: run.tested, reverse=True))
    assert order("tested") == ["gru", worse, better]
    assert order("tested", True) == [better, worse, "gru"]
    assert order("iterations", True)[0] == "rnn"
    with pytest.raises(InvalidArgument, match=r"^by must be one of 'name', .*, not 'lost'; did you mean 'loss'\?$"):
        found.sorted("lost")


def test_a_listing_as_csv(runs, tmp_path):
    found = list_runs(runs)
    found.to_csv(tmp_path / "runs.csv")
    with open(tmp_path / "runs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [run.name for run in found]
    assert [float(row["loss"]) for row in rows] == [run.loss for run in found]
    (tmp_path / "empty").mkdir()
    list_runs(tmp_path / "empty").to_csv(tmp_path / "runs.csv")
    assert (tmp_path / "runs.csv").read_text() == ",".join(rows[0]) + "\n"


# --- the command


@pytest.fixture
def terminal(monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)


def test_the_command_lists_the_runs_of_the_current_folder(runs, terminal, capsys):
    assert main(["runs"]) == 0
    header, _, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["run", "task", "model", "iterations", "loss", "accuracy", "tested", "made"]
    assert sorted(line.split()[0] for line in lines) == ["gru", "rnn", "words"]
    (rnn,) = [line.split() for line in lines if line.startswith("rnn")]
    assert rnn[1:6] == ["twin-halves", "2-6", "rnn", "6", "30"]
    assert "2 ep." in next(line for line in lines if line.startswith("words"))


def test_the_command_sorts_limits_and_writes(runs, terminal, capsys):
    assert main(["runs", "runs", "--sort=iterations", "--reverse", "--last=2", "--out=list.csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:4]] == ["gru", "words"]
    assert lines[4:] == ["", "the last 2 of 3 runs; --last 0 shows all"]
    assert len(Path("list.csv").read_text().splitlines()) == 4


def test_the_command_reports_damaged_runs(runs, terminal, capsys):
    (runs / "rnn" / "history.csv").unlink()
    assert main(["runs", "--last=0"]) == 0
    out, err = capsys.readouterr()
    assert next(line for line in out.splitlines() if line.startswith("rnn")).split() == ["rnn", "unreadable"]
    assert err == "unreadable: runs/rnn: history.csv is missing\n"


def test_names_cannot_control_a_terminal(runs, terminal, capsys):
    (runs / "rnn").rename(runs / "\x1b[2J[red]\nrnn")
    (runs / "gru").rename(os.fsdecode(os.fsencode(runs) + b"/gru\xff"))
    assert main(["runs"]) == 0
    out = capsys.readouterr().out
    assert "\n\\x1b[2J[red]\\nrnn " in out
    assert "\ngru\\udcff " in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone"], "there is no folder gone with runs in it"),
        (["--sort=lost"], "--sort must be one of 'name', 'state', "),
        (["--out=gone/list.csv"], "--out must lie in a folder that exists, but gone does not"),
        (["--first=3"], "No such option: --first"),
    ],
)
def test_the_command_refuses(terminal, capsys, arguments, message):
    assert main(["runs", *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"myrnn: {message}")


def test_a_folder_without_runs_says_so(terminal, tmp_path, capsys):
    (tmp_path / "runs").mkdir()
    assert main(["runs"]) == 0
    assert capsys.readouterr().out == "no runs in runs\n"
