"""The study that ships, and the script that makes its figure and its table."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib import pyplot as plt

from myrnn.sweeps import read_study

ROOT = Path(__file__).parents[1]


@pytest.fixture
def make_study(monkeypatch):
    """The names of the script."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    return runpy.run_path(str(ROOT / "docs" / "make_study.py"))


@pytest.fixture
def results():
    """The results of three runs of two networks, one of which failed."""
    return SimpleNamespace(
        runs={
            "run": ["a", "b", "c", "d"],
            "task.name": ["twin-halves"] * 4,
            "model.dim_recurrent": [5] * 4,
            "variant": ["RNN", "RNN", "GRU", "GRU"],
            "worst": [0.75, 0.5, 1.0, None],
            "beyond": [0.5, 0.5, None, None],
        },
        lengths={
            "run": ["a", "a", "b", "b", "c", "c"],
            "length": [2, 4] * 3,
            "total": [4] * 6,
            "correct": [3, 4, 2, 4, 4, 4],
        },
    )


def test_the_study_covers_the_documented_settings():
    study = read_study(ROOT / "studies" / "halves.toml")
    runs = [point.experiment.to_dict() for point in study.points]
    assert len(runs) == 90
    assert {run["task"]["name"] for run in runs} == {"twin-halves", "palindromes"}
    assert {run["model"]["name"] for run in runs} == {"rnn", "gru", "lstm"}
    assert {run["model"].get("recurrent_init") for run in runs} == {"glorot", "identity", "minus_identity"}
    assert {run["training"]["seed"] for run in runs} == {0, 1, 2}
    assert {tuple(run["evaluation"]["lengths"]) for run in runs} == {tuple(range(2, 41, 2))}


def test_the_table_has_mean_lowest_and_highest(make_study, results):
    assert make_study["table"](results).splitlines()[2:] == [
        "| RNN | 5 | 62.5 (50.0 to 75.0) | 50.0 (50.0 to 50.0) |",
        "| GRU | 5 | 100.0 (100.0 to 100.0) | - |",
    ]


def test_the_figure_has_a_panel_for_each_task_and_size(make_study, results):
    lengths, found = make_study["curves"](results)
    assert lengths.tolist() == [2, 4]
    np.testing.assert_array_equal(found["twin-halves", 5, "RNN"], [[0.75, 1], [0.5, 1]])
    np.testing.assert_array_equal(found["twin-halves", 5, "GRU"], [[1, 1]])
    figure = make_study["draw"](lengths, found, trained_up_to=2)
    assert [ax.get_title() for ax in figure.axes] == ["twin halves, 5 units"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["RNN", "GRU", "chance"]
    plt.close(figure)


def test_the_page_shows_a_table_of_every_network_and_size():
    page = (ROOT / "docs" / "explanation" / "study-halves.md").read_text(encoding="utf-8")
    rows = page.partition("<!-- table -->")[2].partition("<!-- end -->")[0].strip().splitlines()[2:]
    study = read_study(ROOT / "studies" / "halves.toml")
    kinds = {(point.variant, point.settings["model.dim_recurrent"]) for point in study.points}
    assert {tuple(cell.strip() for cell in row.split("|")[1:3]) for row in rows} == {
        (variant, str(width)) for variant, width in kinds
    }
