from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure

from myrnn.evaluation import Calibration, Confusion, TransferTable
from myrnn.plots import plot_calibration, plot_confusion, plot_transfer, save_figure

CALIBRATION = Calibration(np.array([0, 0.5, 1]), np.array([0, 2]), np.array([0, 2]), np.array([np.nan, 0.9]))


def confusion(classes, counts):
    counts = np.array(counts)
    nothing = np.zeros(len(counts), dtype=int)
    return Confusion(tuple(classes), (), counts, nothing, np.zeros((len(counts), 2)))


def test_figures_are_drawn_on_given_axes_or_new_ones():
    axes = Figure().subplots(2)
    assert plot_confusion(confusion("a", [[3]]), ax=axes[0]) is axes[0]
    assert plot_calibration(CALIBRATION, ax=axes[1]) is axes[1]


def test_names_are_shortened_and_not_read_as_formulas():
    ax = plot_confusion(confusion(["$a_b$", "b" * 40], np.eye(2, dtype=int)))
    assert [label.get_text() for label in ax.get_yticklabels()] == [r"\$a_b\$", f"{'b' * 11}…{'b' * 6}"]


def test_a_class_without_sequences_has_an_empty_row():
    ax = plot_confusion(confusion("ab", [[2, 0], [0, 0]]))
    assert ax.images[0].get_array().tolist() == [[1, 0], [0, 0]]
    assert [text.get_text() for text in ax.texts] == ["2"]


def test_empty_bins_have_no_point():
    ax = plot_calibration(CALIBRATION)
    assert ax.containers[-1][0].get_xdata().tolist() == [0.9]


# Transfer


TASKS = ("halves", "palindromes", "near misses")
TOTAL = np.array([[100, 100, 100], [100, 0, 100]])
CORRECT = np.array([[95, 60, 70], [50, 0, 100]])
TABLE = TransferTable(("first", "second"), TASKS, TOTAL, CORRECT, np.array([0.5, 0.5]))


def test_every_cell_shows_its_share_and_interval():
    ax = plot_transfer(TABLE)
    low, high = 100 * TABLE.interval[0, 0]
    texts = {text.get_text() for text in ax.texts}
    assert {"95.0", f"{low:.1f}-{high:.1f}", "50.0", "100.0", "n/a"} <= texts
    assert ax.images[0].get_clim() == (0.5, 1.0)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["first", "second"]
    assert [label.get_text() for label in ax.get_xticklabels()][:2] == ["halves", "palindromes"]


def test_a_cell_without_a_number_is_hatched():
    ax = plot_transfer(TABLE)
    (patch,) = ax.patches
    assert patch.get_hatch()
    assert patch.get_xy() == (0.5, 0.5)
    assert np.ma.getmaskarray(ax.images[0].get_array())[1, 1]


def test_text_is_light_on_dark_cells_and_dark_on_light_ones():
    colors = {text.get_text(): text.get_color() for text in plot_transfer(TABLE).texts}
    assert (colors["95.0"], colors["60.0"], colors["50.0"]) == ("white", "black", "black")


@pytest.mark.parametrize(("count", "turned"), [(5, False), (6, True)])
def test_the_names_of_many_tasks_are_rotated(count, turned):
    names = tuple(f"task number {i}" for i in range(count))
    half = np.full((1, count), 50)
    ax = plot_transfer(TransferTable(("model",), names, 2 * half, half, np.array([0.5])))
    assert all((label.get_rotation() > 0) == turned for label in ax.get_xticklabels())


def test_a_transfer_is_drawn_on_given_axes_and_saved(tmp_path):
    ax = Figure().subplots()
    assert plot_transfer(TABLE, ax=ax) is ax
    assert save_figure(ax, tmp_path / "map.svg").stat().st_size > 1000


def test_numbers_of_many_tasks_fit_into_their_cells():
    names, total = tuple(f"task {i}" for i in range(18)), np.full((2, 18), 1000)
    ax = plot_transfer(TransferTable(("GRU", "RNN"), names, total, total - 5, np.full(2, 0.5)))
    ax.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts[:18]]
    assert len(ax.texts) == 36 and all(left.x1 < right.x0 for left, right in pairwise(boxes))
