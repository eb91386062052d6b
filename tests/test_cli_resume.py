"""A stopped run keeps its work, says how to resume it, and gives the same result as one that was not stopped."""

import json
import os
import random
import re
import select
import shutil
import signal
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import myrnn
import processes
from marks import the_rest_is_long
from myrnn import RNN, SequenceClassifier
from myrnn.cli import main
from myrnn.errors import InvalidArgument, RunError, TrainingDiverged
from myrnn.runs import list_runs, load_run
from myrnn.storage import FolderLock
from myrnn.training.checkpoint import load_checkpoint

SMALL = (
    *("--quiet", "--engine=mygrad", "--task=twin-halves:pattern_length_max=2", "--dim-recurrent=4", "--samples=40"),
    "--report-every=5",
)
# Files that must be the same, byte for byte, in an interrupted run and one that was not interrupted.
SAME = ("model.safetensors", "history.csv", "accuracy_by_length.csv")
COMMAND = (sys.executable, "-m", "myrnn")
# A user-defined class.
SOURCE = """from myrnn import RNN


class Mine(RNN):
    pass
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(*options):
    return main(["train", *SMALL, *options])


def resume(folder, *options):
    return main(["train", "--quiet", "--resume", str(folder), *options])


def result(folder):
    return {name: (Path(folder) / name).read_bytes() for name in SAME}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of 60 iterations that was not stopped. Tests must not change it."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert train("--iterations=60", f"--out={folder}") == 0
    return folder


class Stop:
    """Sends a signal to this process when a training reaches an iteration."""

    def __init__(self, at, number=signal.SIGINT):
        self.at, self.number = at, number

    def __call__(self, monkeypatch):
        from myrnn.training import Checkpoint

        real = Checkpoint.on_reported

        def on_reported(checkpoint, report):
            real(checkpoint, report)
            if report.iteration == self.at:
                signal.raise_signal(self.number)

        monkeypatch.setattr(Checkpoint, "on_reported", on_reported)


def stopped(monkeypatch, folder, *options, at=20):
    """Leave a run of 60 iterations that was interrupted."""
    with monkeypatch.context() as patch:
        Stop(at)(patch)
        assert train("--iterations=60", f"--out={folder}", *options) == 130


# --- stopped and resumed


@pytest.mark.parametrize(
    ("number", "word", "code"), [(signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "terminated", 143)]
)
def test_a_signal_saves_and_says_how_to_resume(here, whole, monkeypatch, capsys, number, word, code):
    with monkeypatch.context() as patch:
        Stop(20, number)(patch)
        assert train("--iterations=60", "--out=a run") == code
    out, err = capsys.readouterr()
    command = "myrnn train --resume 'a run'"
    assert (out, err) == ("", f"myrnn: {word}: iteration 20 is saved, resume with: {command}\n")
    assert {path.name for path in Path("a run").iterdir()} == {"unfinished.json", "checkpoints"}
    assert resume("a run") == 0
    assert capsys.readouterr() == ("a run\n", "")
    assert result("a run") == result(whole)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_resumed_run_has_the_same_files(here, whole, monkeypatch):
    stopped(monkeypatch, "run")
    assert resume("run") == 0
    assert sorted(path.name for path in Path("run").iterdir()) == sorted(path.name for path in whole.iterdir())
    ours, theirs = load_run("run"), load_run(whole)
    assert ours.experiment == theirs.experiment
    assert (ours.history.longest, ours.history.engine) == (theirs.history.longest, theirs.history.engine)
    assert ours.report["tests"]["task"]["lengths"] == theirs.report["tests"]["task"]["lengths"]
    (mine,), (other,) = (sorted((Path(folder) / "checkpoints").iterdir()) for folder in ("run", whole))
    assert mine.name == other.name == "checkpoint-000000000060"
    for name in ("state.json", "state.safetensors"):
        assert (mine / name).read_bytes() == (other / name).read_bytes()


def test_a_resumed_run_shows_its_phases(here, monkeypatch, capsys):
    stopped(monkeypatch, "run")
    assert main(["train", "--resume=run"]) == 0
    out = capsys.readouterr().out
    assert "training    60 iterations of 1 sequence, seed 0\nresumed     after iteration 20\n" in out
    assert re.search(r"^trained     in \S+ s from iteration 20 on \([\d,]+ iterations/s, mygrad\)", out, re.MULTILINE)
    training = load_run("run").report["training"]
    assert (training["iterations"], training["resumed_at"]) == (60, 20)
    assert training["iterations_per_second"] == 40 / training["seconds"]


def test_an_interrupt_during_the_test_does_not_lose_the_training(here, whole, monkeypatch, capsys):
    from myrnn.evaluation import classify

    def interrupted(*_, **__):
        signal.raise_signal(signal.SIGINT)
        return real(*_, **__)

    real = classify.reference_logits
    with monkeypatch.context() as patch:
        patch.setattr(classify, "reference_logits", interrupted)
        assert train("--iterations=60", "--out=run") == 130
    assert capsys.readouterr().err == (
        "myrnn: interrupted: run holds the network of iteration 60, which was not tested; "
        "resume with: myrnn train --resume run\n"
    )
    assert main(["train", "--resume=run"]) == 0
    assert "trained     before, all 60 iterations\n" in capsys.readouterr().out
    assert result("run") == result(whole)


def test_an_interrupt_before_the_first_iteration_leaves_nothing(here, monkeypatch, capsys):
    from myrnn.runs import work

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(work, "trained", interrupted)
    assert train("--iterations=60", "--out=run") == 130
    assert capsys.readouterr().err == "myrnn: interrupted: nothing was saved\n"
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("where", ["while it is read", "in the training", "in the message"])
def test_an_interrupt_while_resuming_says_what_was_saved_before(here, monkeypatch, capsys, where):
    from myrnn.cli import stop
    from myrnn.runs import work

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    def pressed_again(folder):
        signal.raise_signal(signal.SIGINT)
        return is_unfinished(folder)

    stopped(monkeypatch, "run")
    capsys.readouterr()
    is_unfinished = stop.is_unfinished
    with monkeypatch.context() as patch:
        patch.setattr(work, "load_job" if where == "while it is read" else "trained", interrupted)
        if where == "in the message":
            patch.setattr(stop, "is_unfinished", pressed_again)
        assert main(["train", "--resume=run"]) == 130
    message = "myrnn: interrupted: iteration 20 is saved, resume with: myrnn train --resume run\n"
    assert capsys.readouterr().err == message


def test_an_unfinished_run_is_not_a_run_yet(here, monkeypatch, capsys):
    stopped(monkeypatch, "run")
    (listed,) = list_runs(here).runs
    assert (listed.state, listed.task, listed.model, listed.iterations) == (
        "interrupted",
        "twin-halves 2-4",
        "rnn 4",
        20,
    )
    with FolderLock("run"):
        assert [run.state for run in list_runs(here).runs] == ["in progress"]
    with pytest.raises(RunError, match=r"^run is not complete: myrnn train --resume run resumes it$"):
        load_run("run")
    assert train("--iterations=60", "--out=run") == 2
    assert capsys.readouterr().err.endswith("myrnn: run is not empty: choose another folder, nothing is overwritten\n")


def test_a_process_that_died_at_once_leaves_no_run(here, whole):
    Path("run/.unfinished-abc").mkdir(parents=True)
    Path("run/.unfinished-abc/unfinished.json").write_text("{")
    Path("run/.lock").write_text("1")
    assert train("--iterations=60", "--out=run") == 0
    assert result("run") == result(whole)
    assert not any(path.name.startswith(".") for path in Path("run").iterdir())


# --- further iterations


def test_a_complete_run_can_be_extended(here, whole, capsys):
    shutil.copytree(whole, "run")
    assert train("--iterations=90", "--out=longer") == 0
    assert resume("run", "--iterations=90") == 0
    assert result("run") == result("longer")
    assert load_run("run").experiment == load_run("longer").experiment


def test_a_complete_run_stays_complete_while_it_is_extended(here, whole, monkeypatch, capsys):
    shutil.copytree(whole, "run")
    with monkeypatch.context() as patch:
        Stop(75)(patch)
        assert resume("run", "--iterations=90") == 130
    assert load_run("run").experiment.training.iterations == 60
    # It has the requested number.
    assert resume("run") == 0
    assert load_run("run").experiment.training.iterations == 90


def test_a_stopped_run_can_be_given_another_number_of_iterations(here, whole, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        Stop(20)(patch)
        assert train("--iterations=40", "--out=run") == 130
    assert resume("run", "--iterations=15") == 2
    assert capsys.readouterr().err.endswith(
        "myrnn: --iterations must be at least 20, the number that run has done, not 15\n"
    )
    assert resume("run", "--iterations=60") == 0
    assert result("run") == result(whole)


@pytest.mark.parametrize("options", [(), ("--iterations=60",)])
def test_a_complete_run_has_nothing_left_to_do(whole, capsys, options):
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*") if path.is_file()}
    assert main(["train", "--resume", str(whole), *options]) == 0
    assert capsys.readouterr() == (
        f"resumed     {whole} is complete: nothing is left to do; --iterations gives it more\n",
        "",
    )
    assert resume(whole, *options) == 0
    assert capsys.readouterr() == (f"{whole}\n", "")
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_complete_run_cannot_be_given_fewer_iterations(whole, capsys):
    assert resume(whole, "--iterations=30") == 2
    assert capsys.readouterr().err == (
        f"myrnn: {whole} is complete, with its 60 iterations: ask for more with --iterations\n"
    )


def test_a_damaged_run_is_not_called_complete(here, whole, capsys):
    shutil.copytree(whole, "run")
    Path("run/history.csv").write_text("")
    assert resume("run") == 2
    assert capsys.readouterr().err.startswith("myrnn: run: history.csv is cut short")


def test_a_decayed_rate_does_not_rise_again(here, capsys):
    assert train("--iterations=60", "--out=run", "--schedule=cosine") == 0
    assert resume("run", "--iterations=90") == 2
    assert capsys.readouterr().err == (
        "myrnn: the learning rate of run falls to 0 over its 60 iterations (cosine): it cannot do 90\n"
    )
    assert load_run("run").experiment.training.iterations == 60
    assert not Path("run/unfinished.json").exists()


def test_a_decaying_rate_continues_from_its_value(here, monkeypatch):
    assert train("--iterations=60", "--out=one", "--schedule=linear") == 0
    stopped(monkeypatch, "other", "--schedule=linear")
    assert resume("other") == 0
    assert result("other") == result("one")


# --- in Python


def test_python_resumes_as_the_command_does(here, whole, monkeypatch):
    stopped(monkeypatch, "run")
    assert myrnn.runs.resume("run", progress=False).history.iteration[-1] == 60
    assert result("run") == result(whole)
    assert train("--iterations=90", "--out=longer") == 0
    found = myrnn.runs.resume("run", iterations=90, progress=False)
    assert (found.folder, found.history.iteration[-1]) == (Path("run"), 90)
    assert result("run") == result("longer")
    assert not Path("run/unfinished.json").exists()


@pytest.mark.parametrize("changes", [{}, {"iterations": 60}, {"on_divergence": "restart"}])
def test_a_complete_run_is_only_read(whole, changes):
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*") if path.is_file()}
    assert len(myrnn.runs.resume(whole, **changes).history) == 12
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"iterations": 30}, "WHOLE is complete, with its 60 iterations: ask for more with iterations"),
        ({"max_epochs": 9}, "max_epochs does not go with WHOLE, which is on a task: iterations gives it more"),
        ({"iterations": 90, "data": ([], [])}, "data is for runs that learn from sequences in memory, which WHOLE .*"),
        ({"iterations": 90, "model": RNN}, "WHOLE: its model is the built-in rnn: leave out the model class"),
        ({"iterations": 90, "on_divergence": "go"}, "on_divergence must be one of 'stop', 'restart', not 'go'"),
    ],
)
def test_a_refused_change_leaves_the_run_as_it_was(whole, changes, message):
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*") if path.is_file()}
    with pytest.raises(InvalidArgument, match=f"^{message.replace('WHOLE', re.escape(str(whole)))}$"):
        myrnn.runs.resume(whole, **changes)
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*") if path.is_file()} == before


def test_a_model_that_is_refused_in_the_training_leaves_the_run_as_it_was(here, whole, monkeypatch):
    from myrnn.runs import work

    def refuses(*_, **__):
        raise InvalidArgument("no")

    shutil.copytree(whole, "run")
    monkeypatch.setattr(work, "trained", refuses)
    with pytest.raises(InvalidArgument, match=r"^no$"):
        myrnn.runs.resume("run", iterations=90)
    assert not Path("run/unfinished.json").exists()
    assert load_run("run").experiment.training.iterations == 60


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:.*training resumes from iteration 0")
def test_python_restarts_a_run_that_diverged(here, capsys):
    options = ("--optimizer=sgd", "--learning-rate=1e9", "--iterations=60")
    assert train(*options, "--out=whole", "--on-divergence=restart") == 0
    assert train(*options, "--out=run") == 2
    with pytest.raises(TrainingDiverged):
        myrnn.runs.resume("run", progress=False)
    myrnn.runs.resume("run", on_divergence="restart", progress=False)
    assert result("run") == result("whole")


def test_sequences_in_memory_are_given_again_for_more_epochs(here):
    X, y = ["ab", "ba", "b"] * 8, ["x", "y", "y"] * 8

    def run(epochs, folder):
        training = {"max_epochs": epochs, "engine": "mygrad"}
        return myrnn.run(myrnn.Experiment(data=(X, y), model="rnn:dim_recurrent=3", training=training), folder)

    run(2, "run")
    with pytest.raises(InvalidArgument, match=re.escape("in memory: give them again, as data=(X, y)")):
        myrnn.runs.resume("run", max_epochs=3)
    with pytest.raises(RunError, match="memory has changed since run was begun"):
        myrnn.runs.resume("run", max_epochs=3, data=(X, y[::-1]))
    found = myrnn.runs.resume("run", max_epochs=3, data=(X, y))
    assert found.history.epoch.tolist() == [1, 2, 3]
    assert found.history.loss.tolist() == run(3, "whole").history.loss.tolist()


# --- runs that cannot be resumed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seed=1"], "--seed does not go with --resume: a run keeps its settings"),
        (["--out=x"], "--out does not go with --resume: a run keeps its settings"),
        (["--data=x.csv"], "--data does not go with --resume: a run keeps its settings"),
        (["--max-epochs=9"], "--max-epochs does not go with WHOLE, which is on a task: --iterations gives it more"),
    ],
)
def test_a_run_keeps_its_settings(whole, capsys, options, message):
    assert resume(whole, *options) == 2
    assert capsys.readouterr().err == f"myrnn: {message.replace('WHOLE', str(whole))}\n"


def test_folders_without_a_run_to_resume(here, whole, capsys):
    Path("empty").mkdir()
    shutil.copytree(whole, "bare")
    shutil.rmtree("bare/checkpoints")
    SequenceClassifier(max_epochs=1, engine="mygrad").fit(["ab", "ba"] * 4, ["yes", "no"] * 4).save("data")
    for folder, message in (
        ("nowhere", "there is no run folder nowhere"),
        ("empty", "empty is not a whole unfinished run: unfinished.json is missing, which is written last"),
        ("bare", "bare is complete, and has no state of its training to resume from"),
        (
            "data",
            "--iterations does not go with data, which is on data: --max-epochs gives it more",
        ),
    ):
        assert resume(folder, "--iterations=90") == 2
        assert capsys.readouterr().err == f"myrnn: {message}\n"
    assert list(Path("empty").iterdir()) == []
    assert resume("data", "--max-epochs=90") == 2
    message = "data is complete, and has no state of its training to resume from"
    assert capsys.readouterr().err == f"myrnn: {message}\n"


def test_a_run_in_use_is_not_changed(here, monkeypatch, capsys):
    stopped(monkeypatch, "run")
    capsys.readouterr()
    with FolderLock("run"):
        assert resume("run") == 2
    assert capsys.readouterr().err == (
        f"myrnn: run is in use by another process (number {os.getpid()}): wait until it ends\n"
    )


# --- faults


def two_checkpoints(monkeypatch, folder):
    stopped(monkeypatch, folder, "--checkpoint-every=0")
    return [Path(folder, "checkpoints", f"checkpoint-0000000000{count}") for count in (15, 20)]


@pytest.mark.filterwarnings("always")
@pytest.mark.parametrize(
    ("how", "name"),
    the_rest_is_long(
        product(("flipped", "cut short"), ("state.json", "state.safetensors")),
        ("flipped", "state.json"),
        ("cut short", "state.safetensors"),
    ),
)
def test_a_damaged_checkpoint_is_skipped(here, whole, monkeypatch, capsys, name, how):
    _, last = two_checkpoints(monkeypatch, "run")
    capsys.readouterr()
    content = bytearray((last / name).read_bytes())
    if how == "flipped":
        content[len(content) // 2] ^= 1
    else:
        del content[-9:]
    (last / name).write_bytes(content)
    assert resume("run") == 0
    err = capsys.readouterr().err
    assert err.startswith(f"myrnn: warning: {last}: {name} is ")
    assert err.endswith("; going back to the checkpoint before, of iteration 15\n")
    assert result("run") == result(whole)


def test_without_a_good_checkpoint_the_only_output_is_an_error(here, monkeypatch, capsys):
    for path in two_checkpoints(monkeypatch, "run"):
        (path / "state.json").write_text("{}")
    capsys.readouterr()
    assert resume("run") == 2
    err = capsys.readouterr().err
    assert err.endswith("; there is no good checkpoint to go back to\n")
    assert "go on with" not in err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not valid JSON: "),
        (None, "is damaged or was changed: its values do not match its hash"),
    ],
)
def test_damaged_settings_are_reported(here, monkeypatch, capsys, content, message):
    stopped(monkeypatch, "run")
    path = Path("run/unfinished.json")
    path.write_bytes(path.read_bytes().replace(b'"seed": 0', b'"seed": 1') if content is None else content)
    capsys.readouterr()
    assert resume("run") == 2
    assert capsys.readouterr().err.startswith(f"myrnn: run: unfinished.json {message}")


def test_a_link_out_of_the_folder_is_refused(here, monkeypatch, capsys):
    stopped(monkeypatch, "run")
    shutil.move("run/checkpoints", "elsewhere")
    Path("run/checkpoints").symlink_to(here / "elsewhere")
    capsys.readouterr()
    assert resume("run") == 2
    assert capsys.readouterr().err == "myrnn: run: checkpoints is a link that leads out of the folder\n"


@pytest.mark.filterwarnings("always")
def test_other_versions_are_reported(here, whole, monkeypatch, capsys):
    from myrnn.runs import folder

    stopped(monkeypatch, "run")
    real = folder.made_with
    monkeypatch.setattr(
        folder,
        "made_with",
        lambda *names: {**real(*names), "versions": {**real(*names)["versions"], "numpy": "99.0"}},
    )
    capsys.readouterr()
    assert resume("run") == 0
    assert capsys.readouterr().err == (
        f"myrnn: warning: run was begun with numpy '{np.__version__}', this is 99.0: "
        "it continues, but perhaps not bit for bit\n"
    )


FULL = (
    "mkdir -p disk && mount -t tmpfs -o size={size}k none disk && "
    "{python} -m myrnn train {options} --out disk/run; code=$?; ls disk/run disk/run/checkpoints; "
    "mount -o remount,size=10m disk; {python} -m myrnn train --resume disk/run --quiet && "
    "cp disk/run/model.safetensors disk/run/history.csv . ; exit $code"
)


def can_mount():
    probe = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs none /mnt"]
    return shutil.which("unshare") is not None and subprocess.run(probe, capture_output=True).returncode == 0


@pytest.mark.long
@pytest.mark.skipif(not can_mount(), reason="needs a system that lets a process mount a file system of its own")
def test_a_full_disk(here, whole):
    options = " ".join((*SMALL, "--iterations=60", "--checkpoint-every=0"))
    script = FULL.format(size=120, python=sys.executable, options=options)
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    first = done.stderr.splitlines()[0]
    assert first == (
        "myrnn: cannot write the run folder disk/run: No space left on device; "
        "disk/run holds the network of iteration 60; iteration 60 is saved, resume with: myrnn train --resume disk/run"
    )
    assert done.stdout.split()[:2] == ["disk/run:", "checkpoints"]
    for name in ("model.safetensors", "history.csv"):
        assert Path(name).read_bytes() == (whole / name).read_bytes()


TOO_FULL = "mkdir disk && mount -t tmpfs -o size=4k none disk && {python} -m myrnn train --out disk/run; ls disk"


@pytest.mark.long
@pytest.mark.skipif(not can_mount(), reason="needs a system that lets a process mount a file system of its own")
def test_a_disk_without_space_for_the_first_file_has_no_run(here):
    script = TOO_FULL.format(python=sys.executable)
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, timeout=300)
    message = "myrnn: cannot write the unfinished run folder disk/run: No space left on device\n"
    assert (done.stdout, done.stderr) == ("", message)


READ_ONLY = (
    "mkdir disk && mount -t tmpfs none disk && cp -r run disk && mount -o remount,ro disk; "
    "{python} -m myrnn train --resume disk/run; {python} -m myrnn train --out disk/new"
)


@pytest.mark.long
@pytest.mark.skipif(not can_mount(), reason="needs a system that lets a process mount a file system of its own")
def test_a_read_only_folder(here, monkeypatch):
    stopped(monkeypatch, "run")
    script = READ_ONLY.format(python=sys.executable)
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr.splitlines()) == (
        2,
        [
            "myrnn: cannot write into disk/run: Read-only file system",
            "myrnn: cannot make the run folder disk/new: Read-only file system",
        ],
    )


# --- divergence

WILD = ("--optimizer=sgd", "--learning-rate=1e18", "--iterations=60")


def test_a_training_that_diverges_says_what_to_try(here, capsys):
    assert train(*WILD, "--out=run") == 2
    err = capsys.readouterr().err
    assert re.fullmatch(
        r"myrnn: the (loss is (nan|inf)|weights are no longer finite) at iteration \d+: "
        r"try a smaller --learning-rate or --gradient-clip 1; iteration 0, from before it, is saved, "
        r"resume from there with half the rate: myrnn train --resume run --on-divergence restart\n",
        err,
    )
    assert load_checkpoint("run/checkpoints").iteration == 0
    assert [(run.state, run.iterations) for run in list_runs(here)] == [("interrupted", None)]


@pytest.mark.filterwarnings("always")
def test_a_training_that_diverged_at_once_resumes_from_its_beginning(here, capsys):
    options = ("--optimizer=sgd", "--learning-rate=1e9", "--iterations=60")
    assert train(*options, "--out=whole", "--on-divergence=restart") == 0
    assert train(*options, "--out=run") == 2
    assert resume("run", "--on-divergence=restart") == 0
    assert result("run") == result("whole")
    assert capsys.readouterr().err.count("training resumes from iteration 0 with 0.5 times the learning rate") == 2


@pytest.mark.filterwarnings("ignore:the loss is nan")
@pytest.mark.parametrize(
    ("options", "after", "how"),
    [
        ((), "", "saved, resume from there with half the rate: myrnn train --resume run --on-divergence restart"),
        (("--on-divergence=restart",), ", also after 5 restarts", "kept in run"),
    ],
)
def test_a_training_that_diverges_late_keeps_what_was_finite(here, monkeypatch, capsys, options, after, how):
    from myrnn.training import loop

    real = loop.check_losses

    def check(losses, first):
        real(np.where(np.arange(first, first + len(losses)) == 33, np.nan, losses), first)

    monkeypatch.setattr(loop, "check_losses", check)
    assert train("--iterations=60", "--out=run", *options) == 2
    assert capsys.readouterr().err == (
        f"myrnn: the loss is nan at iteration 33{after}: try a smaller --learning-rate or --gradient-clip 1; "
        f"iteration 30, from before it, is {how}\n"
    )
    assert load_checkpoint("run/checkpoints").iteration == 30


@pytest.mark.filterwarnings("always")
def test_a_training_that_diverges_restarts_if_it_may(here, capsys):
    assert train(*WILD, "--out=run", "--on-divergence=restart") in (0, 2)
    err = capsys.readouterr().err
    assert re.match(r"myrnn: warning: .* training resumes from iteration 0 with 0.5 times the learning rate and ", err)


@pytest.mark.filterwarnings("always")
def test_a_run_that_diverged_resumes_with_restarts(here, monkeypatch, capsys):
    from myrnn.training import loop

    real = loop.check_losses

    def check(losses, first):
        # While the rate is the first one.
        clipped = any("clipped" in str(line) for line in told)
        real(losses if clipped else np.where(np.arange(first, first + len(losses)) == 33, np.nan, losses), first)

    told = []
    monkeypatch.setattr(loop, "check_losses", check)
    monkeypatch.setattr(loop, "warn", told.append)
    assert train("--iterations=60", "--out=a run") == 2
    assert capsys.readouterr().err == (
        "myrnn: the loss is nan at iteration 33: try a smaller --learning-rate or --gradient-clip 1; "
        "iteration 30, from before it, is saved, resume from there with half the rate: "
        "myrnn train --resume 'a run' --on-divergence restart\n"
    )
    assert resume("a run") == 2  # it only reaches that iteration again
    assert resume("a run", "--on-divergence=restart") == 0
    assert told == [
        "the loss is nan at iteration 33: training resumes from iteration 30 with 0.5 times the learning rate and "
        "gradients clipped to 1"
    ]
    settings = load_run("a run").experiment.training.to_dict()
    assert (settings["on_divergence"], settings["iterations"]) == ("restart", 60)


def test_the_setting_for_divergence_is_saved(here):
    assert train("--iterations=10", "--out=run", "--on-divergence=restart") == 0
    assert load_run("run").experiment.training.on_divergence == "restart"


# --- the process itself


def begun(*options, **more):
    """Start a training, and return its process when it is running."""
    running = processes.start([*COMMAND, "train", *options], **more)
    while "training" not in running.stdout.readline():
        assert running.poll() is None, running.stderr.read()
    return running


LONG = (*SMALL[1:], "--iterations=100000000", "--checkpoint-every=0")


@pytest.mark.long
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_a_real_training(here, number, code):
    running = begun(*LONG, "--out=run")
    running.stderr.readline()  # its first progress
    running.send_signal(number)
    _, err = running.communicate(timeout=120)
    assert running.returncode == code
    word = {130: "interrupted", 143: "terminated"}[code]
    found = re.fullmatch(
        rf"myrnn: {word}: iteration ([\d,]+) is saved, resume with: myrnn train --resume run", err.splitlines()[-1]
    )
    assert load_checkpoint("run/checkpoints").iteration == int(found[1].replace(",", ""))
    assert "Traceback" not in err


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs a system that waits for processes with pidfd_open")
@pytest.mark.parametrize(
    ("kind", "least"), [("run-writes", 12), ("run-moments", 6), ("run-native", 3), ("run-text", 3)]
)
def test_a_run_that_is_killed_repeatedly_finishes(tmp_path, kind, least):
    script = Path(__file__).with_name("killed.py")
    command = [sys.executable, script, kind, tmp_path, str(least), "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout.splitlines()[-1])["kills"] >= least


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs a system that waits for processes with pidfd_open")
def test_the_real_command_is_killed_and_resumed(here):
    Path("mine.py").write_text(SOURCE)
    own = "--model=mine.py:Mine"
    options = (*SMALL[1:], own, "--iterations=500", "--checkpoint-every=0")
    assert main(["train", *options, "--quiet", "--out=whole"]) == 0
    draw, kills, running = random.Random(0), 0, begun(*options, "--out=run")
    # At first so early that no machine has finished, then later and later, until any machine finishes.
    while killed_after(running, draw.uniform(0, 0.05 * 2**kills)):
        kills += 1
        if not Path("run/unfinished.json").exists():
            break  # it was already complete, and about to say so
        running = begun("--resume=run", own, "--checkpoint-every=0")
    assert kills >= 3
    assert result("run") == result("whole")


def killed_after(running, seconds):
    """Kill a process after some time, and return whether it had not ended before."""
    descriptor = os.pidfd_open(running.pid)
    select.select([descriptor], [], [], seconds)
    os.close(descriptor)
    running.kill()
    _, err = running.communicate(timeout=300)
    assert running.returncode in (0, -signal.SIGKILL), err
    return running.returncode != 0
