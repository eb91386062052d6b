"""The figures of many runs show the given numbers."""

import re

import numpy as np
import pytest

from myrnn.errors import InvalidArgument
from myrnn.plots import plot_length_bands, plot_parallel, plot_setting, save_figure

LENGTHS = [2, 4, 6, 8]
RUNS = {"RNN": [[0.9, 0.8, 0.7, 0.5], [1.0, 0.9, 0.6, 0.5]], "GRU": [[1.0, 1.0, 0.9, 0.8]]}


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


ODD = {"costs $5 \\frac{ and $": "costs \\$5 \\frac{ and \\$", "_b": "\u200b_b", "n" * 99: f"{'n' * 39}…{'n' * 20}"}


def test_names_are_shown_unchanged(tmp_path):
    ax = plot_length_bands(LENGTHS, dict.fromkeys(ODD, RUNS["GRU"]))
    assert legend_of(ax) == list(ODD.values())
    other = plot_setting([1, 2, 1], [0.1, 0.2, 0.3], list(ODD))
    assert legend_of(other) == list(ODD.values())
    words = plot_setting(list(ODD), [0.1, 0.2, 0.3])
    assert [label.get_text() for label in words.get_xticklabels()] == [*list(ODD.values())[:2], f"{'n' * 15}…{'n' * 8}"]
    settings = plot_parallel({"variant": list(ODD)}, [0.1, 0.2, 0.3])
    # None of them is read as a formula.
    for drawn in (ax, other, words, settings):
        assert save_figure(drawn, tmp_path / "names.png").stat().st_size > 1000


def test_a_legend_of_many_groups_makes_the_figure_taller():
    names = [f"a network with a name of many words, number {number}" for number in range(12)]
    bands = plot_length_bands(LENGTHS, dict.fromkeys(names, RUNS["RNN"]))
    settings = plot_setting([1, 2] * 12, np.linspace(0.1, 0.9, 24), [name for name in names for _ in range(2)])
    for ax in (bands, settings):
        figure = ax.figure
        figure.draw_without_rendering()
        assert ax.get_position().height * figure.get_figheight() > 2


def test_a_setting_shows_every_run_and_the_means_of_groups():
    values, outcome = [0.001, 0.001, 0.01, 0.01, 0.1], [0.5, 0.7, 0.9, np.nan, 0.4]
    ax = plot_setting(values, outcome, ["a"] * 5, name="rate")
    (dots,) = ax.collections
    # Over two powers of ten the axis is logarithmic; the run without an outcome is left out.
    np.testing.assert_allclose(dots.get_offsets(), [(-3, 0.5), (-3, 0.7), (-2, 0.9), (-1, 0.4)])
    (line,) = ax.get_lines()
    np.testing.assert_allclose(line.get_xydata(), [(-3, 0.6), (-2, 0.9), (-1, 0.4)])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.001", "0.01", "0.1"]
    assert ax.get_xlabel() == "rate"


def test_words_are_side_by_side_with_their_groups():
    ax = plot_setting(["gru", None, "gru", None], [0.1, 0.2, 0.3, 0.4], ["a", "a", "b", "b"])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["gru", "none"]
    places = np.concatenate([dots.get_offsets()[:, 0] for dots in ax.collections])
    assert len(set(places)) == 4
    np.testing.assert_array_equal(np.round(places), [0, 1, 0, 1])
    assert not any(line.get_linestyle() == "-" for line in ax.get_lines())


@pytest.mark.parametrize("cells", [1, 2, 8])
def test_groups_stay_close_to_their_word(cells):
    words = [f"cell {number}" for number in range(cells)]
    ax = plot_setting(words * 2, np.linspace(0.1, 0.9, 2 * cells), ["a"] * cells + ["b"] * cells)
    one, other = (dots.get_offsets()[:, 0] for dots in ax.collections)
    low, high = ax.get_xlim()
    assert np.all(0 < other - one) and np.all(other - one <= 0.06 * (high - low))
    np.testing.assert_allclose((one + other) / 2, np.arange(cells), atol=1e-9)


def test_many_numbers_have_round_ticks_and_no_line():
    rates = np.geomspace(1e-4, 1e-1, 30)
    ax = plot_setting(rates.tolist(), rates, ["a"] * 30)
    assert not ax.get_lines()
    ticks = [label.get_text() for label in ax.get_xticklabels()]
    assert ticks == ["0.0001", "0.0003", "0.001", "0.003", "0.01", "0.03"] + (["0.1"] if rates[-1] >= 0.1 else [])
    widths = list(range(10, 60))
    labels = [label.get_text() for label in plot_setting(widths, np.ones(50)).get_xticklabels()]
    assert len(labels) <= 8 and all(float(label) % 5 == 0 for label in labels)


def test_parallel_lines_end_at_the_outcome_and_the_best_is_on_top():
    settings = {"model": ["rnn", "gru", "rnn"], "rate": [0.1, 0.3, 0.2]}
    ax = plot_parallel(settings, [0.5, 0.9, np.nan])
    (lines,) = ax.collections
    first, last = lines.get_segments()
    assert len(lines.get_segments()) == 2
    np.testing.assert_allclose([first[-1], last[-1]], [(2, 0), (2, 1)])
    np.testing.assert_allclose([first[0], last[0]], [(0, 0), (0, 1)])
    np.testing.assert_allclose([first[1], last[1]], [(1, 0), (1, 1)])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["model", "rate", "accuracy"]
    # Everything is inside the picture.
    low, high = ax.get_ylim()
    assert low < 0 and high > 1
    # Ticks of settings are on their axes, those of the outcome next to its axis, in round numbers.
    texts = {text.get_text(): text.get_position() for text in ax.texts}
    assert texts == {
        **{"rnn": (0, 0), "gru": (0, 1), "0.1": (1, 0), "0.2": (1, pytest.approx(0.5)), "0.3": (1, pytest.approx(1))},
        **{f"{value:g}": (2.05, pytest.approx((value - 0.5) / 0.4)) for value in (0.5, 0.6, 0.7, 0.8, 0.9)},
    }


def test_ticks_of_settings_are_not_printed_over_each_other():
    rates = [0.0001, 0.00011, 0.0003, 0.001, 0.01]
    ax = plot_parallel({"rate": rates}, [0.1, 0.2, 0.3, 0.4, 0.5])
    heights = sorted(text.get_position()[1] for text in ax.texts if text.get_position()[0] == 0)
    assert len(heights) == 4 and min(np.diff(heights)) > 0.04


def test_truth_values_are_written_as_such():
    ax = plot_parallel({"gated": [True, False], "heads": [1, 2]}, [0.7, 0.8])
    assert {"False", "True", "1", "2"} <= {text.get_text() for text in ax.texts}


def test_runs_with_equal_settings_are_drawn_apart_with_the_better_one_above():
    ax = plot_parallel({"model": ["rnn"] * 4 + ["gru"] * 4}, np.arange(8) / 10)
    heights = np.array([segment[0, 1] for segment in ax.collections[0].get_segments()])
    low, high = ax.get_ylim()
    assert np.all(np.diff(heights[:4]) > 0) and np.all(np.diff(heights[4:]) > 0)
    assert heights.min() > low and heights.max() < high


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plot_setting([1, 2], [0.5]), "outcome must be one number for each of the 2 runs, not 1"),
        (lambda: plot_setting([1], [np.nan]), "there is nothing to draw: no outcome is known"),
        (lambda: plot_setting([1, 2], [0, 1], ["a"]), "groups must be one for each of the 2 runs, not 1"),
        (lambda: plot_parallel({}, []), "there is nothing to draw: settings is empty"),
        (lambda: plot_parallel({"a": [1, 2], "b": [1]}, [0, 1]), "the settings must be equally long"),
    ],
)
def test_invalid_figures_are_refused(draw, message):
    with refused(message):
        draw()
