import re

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from myrnn.errors import InvalidArgument
from myrnn.plots import add_class_curves, add_level_curves, plot_accuracy_by_length, plot_level_curves

LENGTHS = [2, 4, 6]


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def a_model():
    return plot_accuracy_by_length(LENGTHS, [0.9, 0.8, 0.7], [0.85, 0.75, 0.65], [0.95, 0.85, 0.75], label="RNN")


def test_curves_that_differ_have_a_line_each():
    ax = plot_level_curves(LENGTHS, {"one": [0.5, 0.5, 0.5], "two": [1.0, 0.9, 0.5]})
    assert legend(ax) == ["one", "two"]
    assert [list(line.get_ydata()) for line in ax.get_lines()] == [[0.5, 0.5, 0.5], [1.0, 0.9, 0.5]]
    assert len({to_hex(line.get_color()) for line in ax.get_lines()}) == 2
    assert all(line.is_dashed() for line in ax.get_lines())
    assert ax.get_xticks().tolist() == LENGTHS
    assert ax.get_ylim() == pytest.approx((0.45, 1.03))


def test_curves_that_cover_each_other_are_one_of_both_names():
    curves = {"one": [0.5, 0.5, 0.5], "two": [0.9, 0.9, 0.9], "three": [0.51, 0.5, 0.49]}
    ax = plot_level_curves(LENGTHS, curves)
    assert legend(ax) == ["one / three", "two"]
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), [0.505, 0.5, 0.495])


def test_with_intervals_they_are_one_where_all_of_these_overlap():
    shares = np.array([[0.5, 0.5, 0.5], [0.53, 0.5, 0.5], [0.57, 0.5, 0.5]])
    intervals = np.stack((shares - 0.02, shares + 0.02), axis=-1)
    curves = dict(zip("abc", shares, strict=True))
    # The third overlaps the second, but not the first, which is in the group already.
    assert legend(plot_level_curves(LENGTHS, curves, intervals=intervals)) == ["a / b", "c"]


def test_a_gap_tells_nothing_apart():
    ax = plot_level_curves(LENGTHS, {"one": [np.nan, 0.5, 0.5], "two": [np.nan, 0.5, 0.5], "three": [np.nan, 0.9, 0.5]})
    assert legend(ax) == ["one / two", "three"]


def test_levels_and_classes_join_a_model():
    ax = a_model()
    assert add_class_curves(ax, LENGTHS, {"no match": [1, 0.9, 0.8], "match": [0.8, 0.7, np.nan]}) is ax
    assert add_level_curves(ax, LENGTHS, {"length": [0.3, 0.3, 0.3]}) is ax
    assert legend(ax) == ["RNN", "no match only", "match only", "length"]
    assert ax.get_ylim()[0] == pytest.approx(0.25)
    colors = [to_hex(line.get_color()) for line in ax.get_lines() if not line.get_label().startswith("_")]
    assert len(set(colors)) == 3


def test_one_length_is_a_point():
    assert plot_level_curves([2], {"one": [0.5]}).get_lines()[0].get_marker() == "."


def test_curves_may_be_called_anything():
    ax = Figure().subplots()
    assert plot_level_curves(LENGTHS, {"lengths": [0.5, 0.5, 0.5]}, ax=ax) is ax
    assert legend(ax) == ["lengths"]


@pytest.mark.parametrize(
    ("curves", "intervals", "message"),
    [
        ({}, None, "there is no curve to draw: curves is empty"),
        ({"one": [0.5]}, None, "lengths, the curve of one must be equally long, not 3, 1"),
        ({"one": ["x"] * 3}, None, "the curve of one must be a list of numbers, not ['x', 'x', 'x']"),
        ({"one": [0.5] * 3}, [[0.4, 0.6]], "intervals must be of shape (1, 3, 2), not (1, 2)"),
    ],
)
def test_what_does_not_fit_is_refused(curves, intervals, message):
    with refused(message):
        plot_level_curves(LENGTHS, curves, intervals=intervals)


@pytest.mark.parametrize("columns", [1, 2])
def test_a_wide_legend_does_not_push_the_axes_together(columns):
    names = ["length alone / one place", "first, last", "counts / even counts", "what one sees of the middle alone"]
    axes = Figure(figsize=(6.4 * columns, 3.6), layout="constrained").subplots(1, columns, squeeze=False)[0]
    for ax in axes:
        curves = {name: [0.1 * place] * 3 for place, name in enumerate(names, 1)}
        plot_level_curves(LENGTHS, curves, ax=ax)
    axes[0].figure.draw_without_rendering()
    for ax in axes:
        assert ax.get_position().width * columns > 0.8
