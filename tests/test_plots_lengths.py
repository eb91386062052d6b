import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from myrnn import plots
from myrnn.errors import InvalidArgument
from myrnn.evaluation import LengthReport, ShortcutReport
from myrnn.plots import Panel, plot_accuracy_by_length, plot_length_bands, plot_length_grid, plot_shortcuts

LENGTHS = [2, 4, 6, 8]
RUNS = {"RNN": [[0.9, 0.8, 0.7, 0.5], [1.0, 0.9, 0.6, 0.5]], "GRU": [[1.0, 1.0, 0.9, 0.8]]}


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


def counts(shares, total=100):
    return np.round(np.array(shares) * total).astype(np.int64)


def a_report(lengths=LENGTHS, accuracy=(1.0, 0.9, 0.8, 0.6), trained_up_to=None, chance=0.5, **settings):
    total = np.full(len(lengths), 100)
    return LengthReport(np.array(lengths), total, counts(accuracy), chance, trained_up_to, **settings)


def by_length(lengths=LENGTHS, accuracy=(1.0, 0.9, 0.8, 0.6), trained_up_to=None, chance=0.5, **settings):
    return plot_accuracy_by_length(a_report(lengths, accuracy, trained_up_to, chance), **settings)


def shortcuts(curves, total=100):
    lengths = np.array(LENGTHS[: len(next(iter(curves.values())))])
    tried = np.full(len(lengths), total)
    return ShortcutReport(tuple(curves), lengths, tried, counts(list(curves.values()), total), 0)


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def curve_colors(ax):
    return [to_hex(container[0].get_color()) for container in ax.containers]


def shades(ax):
    return [artist for artist in ax.get_children() if artist.get_gid() == "longer than trained on"]


def test_every_length_has_a_point_with_its_interval():
    ax = by_length()
    (container,) = ax.containers
    line, _, (bars,) = container
    assert line.get_xydata().tolist() == [[2, 1.0], [4, 0.9], [6, 0.8], [8, 0.6]]
    ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
    np.testing.assert_allclose(ends, a_report().interval)
    assert ax.get_xticks().tolist() == [2, 4, 6, 8]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("length of the sequence", "accuracy")
    assert legend(ax) == ["chance"]
    left, right = ax.get_xlim()
    assert left < 2
    assert right > 8


def test_lengths_beyond_training_are_hollow_on_shaded_ground():
    ax = by_length(trained_up_to=4, chance=0.5, label="RNN")
    hollow = [line for line in ax.get_lines() if line.get_markerfacecolor() == "white"]
    assert [line.get_xdata().tolist() for line in hollow] == [[6, 8]]
    (shade,) = shades(ax)
    assert shade.get_x() == 5
    assert shade.get_x() + shade.get_width() == pytest.approx(ax.get_xlim()[1])
    assert legend(ax) == ["RNN", "longer than trained on", "chance"]


def test_a_perfect_score_can_be_drawn():
    ax = by_length((2,), (1.0,))
    ax.figure.draw_without_rendering()
    assert [[2, 1]] in [line.get_xydata().tolist() for line in ax.get_lines()]


def test_nothing_is_marked_where_no_length_is_beyond():
    ax = by_length(trained_up_to=8, label="RNN")
    assert shades(ax) == []
    assert legend(ax) == ["RNN", "chance"]


def test_models_are_compared_on_one_axes():
    ax = by_length(trained_up_to=4, chance=0.5, label="RNN")
    assert by_length((2, 4, 6, 12), (1, 1, 1, 0.3), trained_up_to=4, chance=0.5, label="LSTM", ax=ax) is ax
    by_length((3, 5), (1, 1), trained_up_to=4, chance=0.5, label="GRU", ax=ax)
    assert legend(ax) == ["RNN", "LSTM", "GRU", "longer than trained on", "chance"]
    assert curve_colors(ax) == ["#0072b2", "#d55e00", "#009e73"]
    assert len({container[0].get_marker() for container in ax.containers}) == 3
    assert ax.get_xticks().tolist() == [2, 3, 4, 5, 6, 8, 12]
    assert len([line for line in ax.get_lines() if line.get_gid() == "chance"]) == 1
    assert {shade.get_x() + shade.get_width() for shade in shades(ax)} == {ax.get_xlim()[1]}
    assert ax.get_ylim()[0] == pytest.approx(a_report((12,), (0.3,)).interval[0, 0] - 0.05)


def test_each_end_of_training_is_shaded_once():
    ax = by_length(trained_up_to=4)
    by_length(trained_up_to=4, ax=ax)
    by_length(trained_up_to=6, ax=ax)
    assert [shade.get_x() for shade in shades(ax)] == [5, 7]


@given(st.sets(st.integers(1, 300), min_size=1, max_size=150))
def test_there_are_never_too_many_ticks(lengths):
    lengths = sorted(lengths)
    ax = by_length(lengths, [0.9] * len(lengths), ax=Figure().subplots())
    assert 1 <= len(ax.get_xticks()) <= 20
    assert set(ax.get_xticks()) <= set(lengths)
    left, right = ax.get_xlim()
    assert left < lengths[0]
    assert lengths[-1] < right


# Shortcuts and classes


def test_shortcuts_that_differ_have_a_line_each():
    ax = plot_shortcuts(shortcuts({"one": [0.5, 0.5, 0.5], "two": [1.0, 0.9, 0.5]}))
    assert legend(ax) == ["one", "two"]
    assert [list(line.get_ydata()) for line in ax.get_lines()] == [[0.5, 0.5, 0.5], [1.0, 0.9, 0.5]]
    assert len({to_hex(line.get_color()) for line in ax.get_lines()}) == 2
    assert all(line.is_dashed() for line in ax.get_lines())
    assert ax.get_xticks().tolist() == [2, 4, 6]
    assert ax.get_ylim() == pytest.approx((0.45, 1.03))


def test_shortcuts_are_merged_if_all_their_intervals_overlap():
    # The third overlaps the second, but not the first, which is already in the group.
    ax = plot_shortcuts(shortcuts({"a": [0.5, 0.5, 0.5], "b": [0.53, 0.5, 0.5], "c": [0.57, 0.5, 0.5]}, total=3000))
    assert legend(ax) == ["a / b", "c"]
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), [0.515, 0.5, 0.5])


def test_a_length_without_sequences_does_not_separate_shortcuts():
    known = shortcuts({"one": [0.5, 0.5, 0.5], "two": [0.9, 0.5, 0.5], "three": [0.5, 0.9, 0.5]})
    total = np.array([0, 100, 100])
    report = ShortcutReport(known.names, known.lengths, total, known.correct * (total > 0), 0)
    assert legend(plot_shortcuts(report)) == ["one / two", "three"]


def test_shortcuts_and_classes_join_a_model():
    class_counts = {"class_total": np.full((3, 2), 50), "class_correct": np.array([[50, 40], [45, 35], [40, 30]])}
    names = ("no match", "match")
    report = a_report([2, 4, 6], [0.9, 0.8, 0.7], chance=0.5, class_names=names, **class_counts)
    ax = Figure().subplots()
    known = shortcuts({"length": [0.3, 0.3, 0.3]})
    assert plot_accuracy_by_length(report, shortcuts=known, by_class=True, ax=ax) is ax
    assert legend(ax) == ["the model", "no match only", "match only", "length"]
    assert ax.get_ylim()[0] == pytest.approx(0.25)
    colors = [to_hex(line.get_color()) for line in ax.get_lines() if not line.get_label().startswith("_")]
    assert len(set(colors)) == 3
    named = plot_accuracy_by_length(report, shortcuts=known, label="RNN")
    assert legend(named) == ["RNN", "length"]


def test_one_length_is_a_point():
    assert plot_shortcuts(shortcuts({"one": [0.5]})).get_lines()[0].get_marker() == "."


@pytest.mark.parametrize("columns", [1, 2])
def test_a_wide_legend_does_not_push_the_axes_together(columns):
    names = ["length alone / one place", "first, last", "counts / even counts", "what one sees of the middle alone"]
    axes = Figure(figsize=(6.4 * columns, 3.6), layout="constrained").subplots(1, columns, squeeze=False)[0]
    curves = {name: [0.2 * place] * 3 for place, name in enumerate(names, 1)}
    for ax in axes:
        plot_shortcuts(shortcuts(curves), ax=ax)
    axes[0].figure.draw_without_rendering()
    for ax in axes:
        assert ax.get_position().width * columns > 0.8


# Groups of runs


def test_bands_reach_from_the_lowest_run_to_the_highest():
    ax = plot_length_bands(LENGTHS, RUNS, trained_up_to=4, chance=0.5)
    lines = {line.get_label(): line for line in ax.get_lines()}
    np.testing.assert_allclose(lines["RNN"].get_ydata(), np.mean(RUNS["RNN"], axis=0))
    np.testing.assert_allclose(lines["GRU"].get_ydata(), RUNS["GRU"][0])
    (band,) = ax.collections
    corners = band.get_paths()[0].vertices
    for place, length in enumerate(LENGTHS):
        heights = corners[corners[:, 0] == length, 1]
        values = [run[place] for run in RUNS["RNN"]]
        assert (heights.min(), heights.max()) == (min(values), max(values))
    assert legend(ax) == ["RNN", "GRU", "longer than trained on", "chance", "from the lowest run to the highest"]


def test_more_than_three_groups_have_bars_side_by_side_instead_of_bands():
    curves = {f"network {number}": np.array(RUNS["RNN"]) - number / 50 for number in range(6)}
    ax = plot_length_bands(LENGTHS, curves, trained_up_to=4)
    assert len(ax.collections) == 6
    places = np.array([[segment[0, 0] for segment in bars.get_segments()] for bars in ax.collections])
    # No bar overlaps another one or is closer to another length than to its own.
    assert len(np.unique(places.round(6))) == places.size
    assert np.abs(places - LENGTHS).max() < 1
    assert ax.get_xlim()[0] < places.min() and places.max() < ax.get_xlim()[1]
    for bars, runs in zip(ax.collections, curves.values(), strict=True):
        ends = np.array([segment[:, 1] for segment in bars.get_segments()])
        np.testing.assert_allclose(ends.T, [runs.min(axis=0), runs.max(axis=0)])
    assert legend(ax)[-2:] == ["longer than trained on", "from the lowest run to the highest"]
    assert len({line.get_color() for line in ax.get_lines()[:-1:2]}) == 6


def test_one_run_alone_has_no_band():
    ax = plot_length_bands(LENGTHS, {"GRU": RUNS["GRU"]})
    assert not ax.collections
    assert legend(ax) == ["GRU"]


@pytest.mark.parametrize(
    ("curves", "message"),
    [
        ({}, "there is no curve to draw: curves is empty"),
        ({"a": [0.5] * 4}, "the curves of a must be of shape (R, 4), not (4,)"),
    ],
)
def test_invalid_groups_are_refused(curves, message):
    with refused(message):
        plot_length_bands(LENGTHS, curves)


# --- Base rates, and axes that are readable for any lengths, names and numbers of groups


def overlapping(ax):
    """Return the pairs of neighbouring tick labels of the horizontal axis that overlap, if they are upright."""
    ax.figure.draw_without_rendering()
    labels = [label for label in ax.get_xticklabels() if label.get_text()]
    boxes = [label.get_window_extent() for label in labels if not label.get_rotation()]
    return [(left.x1, right.x0) for left, right in pairwise(boxes) if left.x1 > right.x0]


def of_classes(lengths, class_total):
    class_total = np.array(class_total)
    total = class_total.sum(axis=1)
    names = tuple(f"class {i}" for i in range(class_total.shape[1]))
    return LengthReport(
        np.array(lengths), total, total, 0.5, class_total=class_total, class_correct=class_total, class_names=names
    )


def test_the_base_rate_is_drawn_instead_of_chance():
    ax = of_classes([1, 2, 3], [[50, 50], [100, 0], [30, 70]]).plot(label="GRU")
    (line,) = (line for line in ax.get_lines() if line.get_gid() == "base rate")
    assert line.get_xydata().tolist() == [[1, 0.5], [2, 1.0], [3, 0.7]]
    assert legend(ax) == ["GRU", "base rate"]
    of_classes([1, 2, 3], [[50, 50], [99, 1], [30, 70]]).plot(ax=ax, label="LSTM")
    assert legend(ax) == ["GRU", "LSTM", "base rate"]
    assert ax.get_ylim()[0] <= 0.45


def test_bands_and_grids_have_the_base_rate_of_each_length():
    rates = [0.5, 1.0, 0.5, 1.0]
    bands = plot_length_bands(LENGTHS, RUNS, base_rate=rates, chance=0.5)
    (panel,) = plot_length_grid({"a language": Panel(LENGTHS, RUNS, None, rates)})
    for ax in (bands, panel):
        (line,) = (line for line in ax.get_lines() if line.get_gid() == "base rate")
        assert line.get_ydata().tolist() == rates
    assert "chance" not in legend(bands) and "base rate" in legend(bands)
    with pytest.raises(InvalidArgument, match=r"^base_rate must be one number for each of the 4 lengths, not 2$"):
        plot_length_bands(LENGTHS, RUNS, base_rate=[0.5, 1.0])


@pytest.mark.parametrize(
    "lengths",
    [[5], range(1, 41), range(1, 501), [*range(1, 41), 400], [*range(1, 41), *range(50, 501, 25)], range(9000, 9100)],
    ids=["one", "40", "500", "one far away", "two steps", "long"],
)
def test_ticks_do_not_overlap_and_no_accuracy_is_above_1(lengths):
    lengths = np.array(lengths)
    classes = np.tile([60, 40], (len(lengths), 1))
    curves = {"GRU": np.linspace(0.4, 1, len(lengths))[np.newaxis]}
    drawn = [of_classes(lengths, classes).plot(), plot_length_bands(lengths, curves)]
    drawn.extend(plot_length_grid({"a language": Panel(lengths, curves)}))
    for ax in drawn:
        assert overlapping(ax) == []
        assert max(ax.get_yticks()) <= 1
        assert not len(ax.get_xticks(minor=True)) or len(lengths) <= 50


def test_a_perfect_score_has_no_tick_above_1():
    for total in ([[50, 50]], [[50, 50]] * 3):
        ax = of_classes(range(1, len(total) + 1), total).plot()
        assert max(ax.get_yticks()) == pytest.approx(1)


@pytest.mark.long
def test_many_long_names_stay_apart():
    names = [f"a language with a rather long name, of which this is number {number}" for number in range(18)]
    grid = plot_length_grid({name: Panel(LENGTHS, {name: RUNS["GRU"] for name in names}) for name in names})
    grid[0].figure.draw_without_rendering()
    boxes = [ax.title.get_window_extent() for ax in grid]
    assert all(left.x1 < right.x0 for left, right in zip(boxes[::3], boxes[1::3], strict=True))
    # The ends of the names, in which they differ, are shown.
    assert len({ax.get_title() for ax in grid}) == len({*legend_of_figure(grid[0])}) == 18
    assert grid[0].get_window_extent().height > 30
    words = plots.plot_setting(names, np.linspace(0.5, 1, 18))
    assert overlapping(words) == [] and len(words.get_xticks()) == 18
    numbers = plots.plot_setting([0.001, 0.0011, 0.0012, 0.1, 1.0], np.linspace(0.5, 1, 5))
    assert overlapping(numbers) == [] and numbers.get_xticks()[-1] == 0
    assert overlapping(plots.plot_parallel(dict.fromkeys(names, names), np.linspace(0.5, 1, 18))) == []


def legend_of_figure(ax):
    return [text.get_text() for text in ax.figure.legends[0].get_texts()]
