import shutil

import numpy as np
import pytest

from myrnn.cli import main
from myrnn.inspection import inspect
from myrnn.learning_curve import LearningCurve
from myrnn.models import GRU, RNN
from myrnn.optimizers import Adam
from myrnn.runs import load_run, save_run
from myrnn.tasks import TwinHalves

SMALL = (
    *("--task=twin-halves:pattern_length_max=3", "--iterations=40", "--report-every=20", "--samples=60"),
    *("--engine=mygrad", "--quiet"),
)
SEQUENCE = "123123"
FOR_ALL = {
    "weights",
    "gradient_flow",
    "gradient_flow-relative",
    "state_space-step",
    "state_space-symbol",
    "state_space-class",
    "eigenvalues",
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of each kind of model for tests that only read it."""
    folder = tmp_path_factory.mktemp("runs")
    for kind in ("rnn", "gru", "lstm"):
        assert main(["train", *SMALL, "--model", kind, "--dim-recurrent=6", "--out", str(folder / kind)]) == 0
    return folder


def bytes_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def failure(capsys, *arguments):
    assert main(["inspect", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err


@pytest.mark.long
@pytest.mark.parametrize(("kind", "states"), [("rnn", ["h"]), ("gru", ["h"]), ("lstm", ["c", "h"])])
def test_the_table_and_the_figures_of_every_kind(kind, states, runs, here, capsys):
    (here / "figures").mkdir()
    before = bytes_of(runs / kind)
    assert main(["inspect", str(runs / kind), SEQUENCE, "--out", "figures", "--samples=20"]) == 0
    out, err = capsys.readouterr()
    assert "warning" not in err
    assert max(map(len, out.splitlines())) <= 80
    run = load_run(runs / kind)
    found = inspect(run.model, SEQUENCE, class_names=run.task.class_names)
    assert " ".join(out.split()).startswith(found.summary())
    rows = [line.split() for line in out.splitlines() if line.strip()[:1].isdigit() and not line.startswith(SEQUENCE)]
    assert [row[:2] for row in rows] == [[str(step), symbol] for step, symbol in enumerate(SEQUENCE, 1)]
    norms = [f"{norm:#.3g}" for norm in found.state_gradient_norms["h"].tolist()]
    assert [row[-2] for row in rows] == norms
    parts = [*(f"state-{state}" for state in states), "probabilities", "gradients"]
    names = {f"{name}.svg" for name in FOR_ALL | {f"inspect-{SEQUENCE}-{part}" for part in parts}}
    assert {path.name for path in (here / "figures").iterdir()} == names
    assert all(name in out for name in names)
    assert bytes_of(runs / kind) == before


@pytest.mark.long
def test_figures_are_written_to_the_run_by_default(runs, here, drawn_figures, capsys):
    shutil.copytree(runs / "rnn", "run")
    assert main(["inspect", "run", "12", "--quiet", "--samples=9", "--format=png"]) == 0
    out = capsys.readouterr().out
    assert "figures     run\n" in out
    assert "step" not in out.replace("state_space-step", "")
    assert (here / "run" / "inspect-12-state-h.png").read_bytes().startswith(b"\x89PNG")
    load_run("run")


@pytest.mark.long
def test_the_class_can_be_chosen_and_a_long_sequence_is_not_a_file_name(runs, here, capsys):
    command = ["inspect", str(runs / "rnn"), "12" * 21, "--label=0", "--out", "new/folder", "--samples=9"]
    assert main(command) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"for {TwinHalves.class_names[0]}, the given class" in out
    assert (here / "new" / "folder" / "inspect-42-steps-probabilities.svg").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["12a"], "sequence '12a': 'a' at place 3 is not a digit"),
        ([""], "a sequence is empty: write digits, such as 2020"),
        (["12", "--label", "2"], "--label must be at most 1, not 2"),
        (["12", "--format", "gif"], "--format must be one of 'svg', 'png', 'pdf', not 'gif'"),
        (["12", "--out", __file__], f"--out must be a folder, not a file: {__file__}"),
    ],
)
def test_an_invalid_request_is_refused_in_one_line(arguments, message, runs, here, capsys):
    assert failure(capsys, str(runs / "rnn"), *arguments) == f"myrnn: {message}\n"
    assert not list(here.iterdir())


@pytest.mark.usefixtures("in_python")
def test_an_empty_figure_is_reported_and_the_others_are_drawn(here, capsys):
    model = RNN(10, 4, 2, rng=0)
    for parameter in model.parameters:
        parameter.data[...] = 0
    history = LearningCurve(np.array([1]), np.array([0.7]), np.array([0.5]))
    save_run("run", task=TwinHalves(), model=model, optimizer=Adam(model.parameters), history=history)
    assert main(["inspect", "run", "1212", "--samples=9", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "no gradient_flow-relative: the loss's gradient is zero on every sequence, so nothing can be rel" in out
    assert "no state_space-class: state h is the same in all 9 points: there is no direction to show\n" in out
    names = {path.name for path in (here / "run").glob("*.svg")}
    assert {"gradient_flow.svg", "eigenvalues.svg", "weights.svg", "inspect-1212-state-h.svg"} <= names


def test_a_missing_run_is_refused(here, capsys):
    assert failure(capsys, "nowhere", "12") == "myrnn: there is no run folder nowhere\n"


def test_a_network_that_was_never_trained_is_refused(here, capsys):
    model = GRU(10, 4, 2, rng=0)
    nothing = LearningCurve(np.array([], dtype=np.int64), np.array([]), np.array([]))
    save_run("run", task=TwinHalves(), model=model, optimizer=Adam(model.parameters), history=nothing)
    assert failure(capsys, "run", "12") == (
        "myrnn: run holds a network that is not trained yet: there is nothing to inspect\n"
    )


@pytest.mark.long
def test_the_start_of_a_sequence_may_be_left_out(here, in_python, capsys):
    few = ("--iterations=2", "--samples=20", "--dim-recurrent=3", "--engine=mygrad", "--quiet")
    for name in ("recognition", "next_symbol", "next_symbols"):
        dyck = f"--task=dyck:kinds=1,length_max=4,objective={name}"
        assert main(["train", dyck, *few, "--out", name.replace("_", "-")]) == 0
    capsys.readouterr()
    shown = []
    for sequence in ("()", "^()", ""):
        assert main(["inspect", "next-symbol", sequence, "--samples=9"]) == 0
        shown.append(capsys.readouterr().out.split("figures")[0])
    assert shown[0] == shown[1] and shown[0].lstrip().startswith("^(): ") and shown[2].lstrip().startswith("^: ")
    several = "each step of the sequence has several right answers, which cannot be shown"
    assert failure(capsys, "next-symbols", "()") == f"myrnn: {several}; evaluate tests them\n"
    assert failure(capsys, "recognition", "") == (
        "myrnn: an empty sequence has no step to inspect: myrnn predict recognition '' shows its class\n"
    )
