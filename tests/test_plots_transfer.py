import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from myrnn.errors import InvalidArgument
from myrnn.plots import plot_transfer, save_figure

MODELS, TASKS = ["first", "second"], ["halves", "palindromes", "near misses"]
ACCURACY = np.array([[0.95, 0.6, 0.7], [0.5, np.nan, 1.0]])
INTERVAL = np.stack((ACCURACY - 0.02, np.minimum(ACCURACY + 0.02, 1)), axis=-1)


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


def test_every_cell_says_its_share_and_interval():
    ax = plot_transfer(MODELS, TASKS, ACCURACY, INTERVAL, chance=0.5)
    said = {text.get_text() for text in ax.texts}
    assert {"95.0", "93.0-97.0", "50.0", "48.0-52.0", "100.0", "98.0-100.0"} <= said
    assert ax.images[0].get_clim() == (0.5, 1.0)
    assert [label.get_text() for label in ax.get_yticklabels()] == MODELS
    assert [label.get_text() for label in ax.get_xticklabels()][:2] == TASKS[:2]


def test_without_intervals_there_are_only_shares():
    ax = plot_transfer(MODELS, TASKS, ACCURACY)
    assert [text.get_text() for text in ax.texts] == ["95.0", "60.0", "70.0", "50.0", "n/a", "100.0"]


def test_a_cell_without_a_number_is_hatched():
    ax = plot_transfer(MODELS, TASKS, ACCURACY)
    (patch,) = ax.patches
    assert patch.get_hatch()
    assert patch.get_xy() == (0.5, 0.5)
    assert np.ma.getmaskarray(ax.images[0].get_array())[1, 1]


def test_text_is_light_on_dark_cells_and_dark_on_light_ones():
    ax = plot_transfer(MODELS, TASKS, ACCURACY, chance=0.5)
    colors = {text.get_text(): text.get_color() for text in ax.texts}
    assert (colors["95.0"], colors["60.0"], colors["50.0"]) == ("white", "black", "black")


@pytest.mark.parametrize(("count", "turned"), [(5, False), (6, True)])
def test_the_names_of_many_tasks_are_turned(count, turned):
    ax = plot_transfer(["model"], [f"task number {i}" for i in range(count)], np.full((1, count), 0.5))
    assert all((label.get_rotation() > 0) == turned for label in ax.get_xticklabels())


def test_it_draws_on_given_axes_and_saves(tmp_path):
    ax = Figure().subplots()
    assert plot_transfer(MODELS, TASKS, ACCURACY, INTERVAL, ax=ax) is ax
    assert save_figure(ax, tmp_path / "map.svg").stat().st_size > 1000


@pytest.mark.parametrize(
    ("accuracy", "interval", "chance", "message"),
    [
        (ACCURACY.T, None, 0, "accuracy must be numbers of shape (2, 3), not float64 of shape (3, 2)"),
        (ACCURACY, ACCURACY, 0, "interval must be numbers of shape (2, 3, 2), not float64 of shape (2, 3)"),
        (np.full((2, 3), "x"), None, 0, "accuracy must be numbers of shape (2, 3), not <U1 of shape (2, 3)"),
        (ACCURACY, None, 1, "chance must be below 1, not 1.0"),
    ],
)
def test_what_does_not_fit_is_refused(accuracy, interval, chance, message):
    with refused(message):
        plot_transfer(MODELS, TASKS, accuracy, interval, chance=chance)
