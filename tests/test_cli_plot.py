from pathlib import Path

import pytest
from PIL import Image

from myrnn.cli import main
from myrnn.errors import InvalidArgument
from myrnn.runs.compare import run_names

SMALL = (
    "--task=twin-halves:pattern_length_max=3",
    "--dim-recurrent=8",
    "--iterations=60",
    "--report-every=20",
    "--samples=120",
    "--engine=mygrad",
    "--quiet",
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of the command that differ in their model."""
    folder = tmp_path_factory.mktemp("runs")
    for name in ("rnn", "gru"):
        assert main(["train", *SMALL, f"--model={name}", "--out", str(folder / name)]) == 0
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch, drawn_figures):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


def test_runs_are_drawn_over_each_other(runs, here, capsys):
    capsys.readouterr()
    assert main(["plot", str(runs / "rnn"), str(runs / "gru")]) == 0
    svg = (here / "plot.svg").read_text()
    assert svg.startswith("<?xml")
    assert svg.count('id="training"') == 4  # two panels of two lines
    for name in ("rnn", "gru", "loss", "accuracy", "iterations"):
        assert f"<!-- {name} -->" in svg
    lines = capsys.readouterr().out.splitlines()
    (rnn,) = [line.split() for line in lines if line.strip().startswith("rnn")]
    assert rnn[1] == "60"
    assert len(rnn) == 6
    assert rnn[-1].endswith("%")
    assert lines[-1].split() == ["plot", "plot.svg"]


def test_the_file_is_written_as_requested(runs, here):
    assert main(["plot", str(runs / "rnn"), "--out", "picture.png"]) == 0
    with Image.open(here / "picture.png") as image:
        assert image.size == (1280, 920)
    assert not (here / "plot.svg").exists()


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("plot.gif", "--out must end in .svg, .png or .pdf, not 'plot.gif'"),
        ("nowhere/plot.svg", "--out must lie in a folder that exists, but nowhere does not"),
    ],
)
def test_an_unwritable_place_is_refused_first(here, capsys, out, message):
    assert main(["plot", "no-run", "--out", out]) == 2
    assert capsys.readouterr().err == f"myrnn: {message}\n"


def test_a_folder_that_is_not_a_run_is_refused(runs, here, capsys):
    assert main(["plot", str(runs / "rnn"), "no-run"]) == 2
    assert capsys.readouterr().err == "myrnn: there is no run folder no-run\n"
    assert not (here / "plot.svg").exists()


def test_names_are_as_short_as_possible_but_distinct():
    assert run_names([Path("/a/b/one")]) == ["one"]
    assert run_names([Path("/a/b/one"), Path("/a/b/two")]) == ["one", "two"]
    assert run_names([Path("/a/b/run"), Path("/a/c/run"), Path("/d/c/last")]) == ["b/run", "c/run", "c/last"]
    with pytest.raises(InvalidArgument, match=r"^/a/b/\.\./run is given twice$"):
        run_names([Path("/a/b/../run"), Path("/a/run")])
