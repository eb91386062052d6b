import re

import numpy as np
import pytest

from myrnn.errors import InvalidArgument
from myrnn.plots import plot_accuracy_by_bucket, plot_calibration, plot_confusion
from myrnn.plots._style import new_axes


def test_figures_are_drawn_where_they_are_wanted():
    axes = new_axes(3, height=8)
    assert plot_confusion(["a"], [[3]], ax=axes[0]) is axes[0]
    assert plot_accuracy_by_bucket(["1"], [0.5], [0.2], [0.8], total=[4], ax=axes[1]) is axes[1]
    assert plot_calibration([0, 1], [4], [0.7], [0.5], [[0.2, 0.8]], ax=axes[2]) is axes[2]


def test_names_are_shortened_and_are_no_formulas():
    ax = plot_confusion(["$a_b$", "b" * 40], np.eye(2, dtype=int))
    assert [label.get_text() for label in ax.get_yticklabels()] == [r"\$a_b\$", "b" * 17 + "…"]


def test_a_class_that_was_not_there_has_an_empty_row():
    ax = plot_confusion(["a", "b"], [[2, 0], [0, 0]])
    assert ax.images[0].get_array().tolist() == [[1, 0], [0, 0]]
    assert [text.get_text() for text in ax.texts] == ["2"]


def test_empty_bins_have_no_point():
    ax = plot_calibration([0, 0.5, 1], [0, 2], [np.nan, 0.9], [np.nan, 1], [[0, 1], [0.3, 1]])
    assert ax.containers[-1][0].get_xdata().tolist() == [0.9]


@pytest.mark.parametrize(
    ("draw", "told"),
    [
        (
            lambda: plot_confusion(["a"], [[1, 2]]),
            "counts must be whole numbers of shape (1, 1), 0 or more, a row and a column for each class, not int64 of "
            "shape (1, 2)",
        ),
        (
            lambda: plot_confusion([], np.zeros((0, 0), int)),
            "counts must be whole numbers of shape (0, 0), 0 or more, a row and a column for each class, not int64 of "
            "shape (0, 0)",
        ),
        (
            lambda: plot_accuracy_by_bucket(["1", "2"], [0.5], [0.2], [0.8], total=[4]),
            "names, accuracy, low, high, total must be equally long, not 2, 1, 1, 1, 1",
        ),
        (
            lambda: plot_accuracy_by_bucket(["1"], [0.5], [0.6], [0.8], total=[4]),
            "accuracy must lie between low and high, but at length 0 it is 0.5, outside 0.6 to 0.8",
        ),
        (
            lambda: plot_calibration([0, 1], [4], [0.7], [0.5], [0.2, 0.8]),
            "interval must be numbers of shape (1, 2), not float64 of shape (2,)",
        ),
        (
            lambda: plot_calibration([0, 0.5, 1], [4], [0.7], [0.5], [[0.2, 0.8]]),
            "edges must be numbers of shape (2,), not float64 of shape (3,)",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw, told):
    with pytest.raises(InvalidArgument, match=f"^{re.escape(told)}$"):
        draw()
