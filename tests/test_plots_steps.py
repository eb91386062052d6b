import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from myrnn.errors import InvalidArgument
from myrnn.estimators import Forecast
from myrnn.evaluation import Buckets
from myrnn.plots import (
    plot_by_position,
    plot_forecast,
    plot_text_activations,
    plot_text_probabilities,
    save_figure,
)
from myrnn.plots.texts import MOST_SYMBOLS

ENDS = {"first": np.array([1, 2, 3]), "last": np.array([1, 2, 9]), "total": np.array([5, 20_000, 1_200_000])}
MEASURES = {
    "accuracy": np.array([[0.5, 0.4, 0.6], [0.9, np.nan, np.nan], [0.95, 0.9, 0.99]]),
    "bits_per_symbol": np.array([[3.0, 2.5, 3.5], [1.0, 0.9, 1.1], [0.5, 0.4, 0.6]]),
}
BUCKETS = Buckets("position", "step", measures=MEASURES, **ENDS)


def words_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


# --- by position


def test_a_measure_is_drawn_by_position():
    ax = plot_by_position(BUCKETS, levels={"a rule": 0.3, "another": 0.35})
    assert ax.containers[0][0].get_ydata().tolist() == [0.5, 0.9, 0.95]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1\n(5)", "2\n(20k)", "3-9\n(1.2M)"]
    assert words_of(ax) == ["the model", "a rule", "another"]
    assert ax.get_xlabel() == "position of the step in its sequence (number of steps)"
    assert ax.get_ylim()[0] == pytest.approx(0.25)


def test_models_are_compared_in_the_same_axes():
    ax = Figure().subplots()
    assert plot_by_position(BUCKETS, measure="bits_per_symbol", label="GRU", ax=ax) is ax
    plot_by_position(BUCKETS, measure="bits_per_symbol", label="LSTM", ax=ax)
    assert words_of(ax) == ["GRU", "LSTM"]
    first, second = (container[0] for container in ax.containers)
    assert (first.get_color(), first.get_marker()) != (second.get_color(), second.get_marker())
    assert (ax.get_ylabel(), ax.get_ylim()[0]) == ("bits per symbol", 0)


def test_a_worse_model_that_is_drawn_later_is_visible():
    better, worse = (
        Buckets("position", "step", *[np.ones(1, int)] * 3, {"rmse": np.full((1, 3), value)}) for value in (0.1, 2)
    )
    ax = plot_by_position(worse, label="naive", ax=plot_by_position(better, label="network"))
    low, high = ax.get_ylim()
    assert low == 0
    assert high > 2


def test_the_names_of_many_buckets_are_rotated():
    ends = 2 ** np.arange(14)
    many = Buckets("length", "step", ends, 2 * ends - 1, ends, {"rmse": np.ones((14, 3))})
    ax = plot_by_position(many)
    assert ax.get_xticklabels()[0].get_rotation() == 40
    assert (ax.get_xlabel(), ax.get_legend()) == ("length of the sequence", None)


# --- forecasts


def test_a_forecast_is_drawn_with_the_truth():
    ax = plot_forecast(np.arange(10.0), [7.5, 8.5], low=[7, 8], high=[8, 9], label="GRU")
    truth, said = ax.get_lines()
    assert (truth.get_xdata().tolist(), said.get_xdata().tolist()) == (list(range(1, 11)), [9, 10])
    (band,) = ax.collections
    assert {tuple(corner) for corner in band.get_paths()[0].vertices.tolist()} >= {(9, 7), (9, 8), (10, 8), (10, 9)}
    plot_forecast(np.arange(10.0), [7, 7], begin=10, label="last", ax=ax)
    assert (len(ax.get_lines()), ax.get_lines()[-1].get_xdata().tolist()) == (3, [11, 12])
    assert words_of(ax) == ["truth", "GRU", "last"]


def test_a_forecast_of_several_columns_draws_itself_after_its_series():
    series, mean = np.arange(40.0).reshape(20, 2), np.ones((2, 2))
    found = Forecast(series, mean, mean - 1, mean + 1, level=0.9, members=1, columns=("height", "width"))
    axes = found.plot(truth=[[7, 8]])
    assert [ax.get_ylabel() for ax in axes] == ["height", "width"]
    truth, said = axes[1].get_lines()
    shown = np.isfinite(truth.get_ydata())
    assert truth.get_xdata()[shown].tolist() == list(range(15, 22))
    assert truth.get_ydata()[shown].tolist() == [29, 31, 33, 35, 37, 39, 8]
    assert (said.get_xdata().tolist(), said.get_ydata().tolist()) == ([21, 22], [1, 1])
    alone = Forecast(series[:, 0], mean[:, 0], None, None, level=0.9, members=1)
    (ax,) = alone.plot()
    assert (ax.get_ylabel(), len(ax.collections)) == ("value", 0)
    with pytest.raises(InvalidArgument, match=r"^truth must have the columns of the series, but is of shape \(1, 2\)$"):
        alone.plot(truth=[[7, 8]])


# --- texts


def cells(ax):
    """Return the left side and the line of every ground, and its colour."""
    (grounds,) = ax.collections
    corners = [path.vertices.min(axis=0) for path in grounds.get_paths()]
    grounds.update_scalarmappable()
    return [(round(float(x)), int(y)) for x, y in corners], grounds.get_facecolor()[:, :3]


def test_each_character_has_the_colour_of_its_probability(tmp_path):
    ax = plot_text_probabilities("ab\nc $", [np.nan, 1.0, 0.5, 2.0**-8, 0.0, 0.1])
    places, colors = cells(ax)
    assert places == [(1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]
    light = colors @ [0.2, 0.7, 0.1]
    assert light[0] > light[1] > light[4] > light[2]
    assert colors[2].tolist() == colors[3].tolist()
    assert [text.get_text() for text in ax.texts] == ["a", "b", "↵", "c", "$"]
    scale = ax.figure.axes[1]
    assert [label.get_text() for label in scale.get_xticklabels()] == ["100%", "25%", "6.2%", "1.6%", "0.39% or less"]
    assert save_figure(ax, tmp_path / "text.png").stat().st_size > 1000


def test_lines_are_broken_between_words():
    places, _ = cells(plot_text_probabilities("abcdefg", np.ones(7), width=3))
    assert places == [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1), (0, 2)]
    places, _ = cells(plot_text_probabilities(["the", "cats", "sat", "on"], np.ones(4), width=8))
    assert places == [(0, 0), (4, 0), (0, 1), (4, 1)]


def test_a_unit_colours_the_text_by_its_sign():
    ax = plot_text_activations("a猫c\t", [-2.0, 0.0, 1.0, 2.0], name="unit 3 of h")
    _, colors = cells(ax)
    assert colors[0, 2] > colors[0, 0]
    assert colors[3, 0] > colors[3, 2]
    assert np.ptp(colors[1]) < 0.01
    # A character that the font lacks is a box. Text on dark ground is white, so the box is visible.
    assert [text.get_text() for text in ax.texts] == ["a", "□", "c", "→"]
    assert [to_rgb(text.get_color()) for text in ax.texts] == [(1, 1, 1), (0, 0, 0), (0, 0, 0), (0, 0, 0)]
    assert ax.figure.axes[1].get_xlabel() == "activation of unit 3 of h"
    assert plot_text_activations("aa", [0, 0]).collections[0].get_clim() == (-1, 1)


def test_texts_are_drawn_on_given_axes():
    ax = Figure(figsize=(4, 2)).subplots()
    assert plot_text_activations("some text", np.zeros(9), ax=ax) is ax
    assert ax.texts[0].get_fontsize() < 8


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: plot_text_probabilities("abc", [0.5, 0.5]),
            "probabilities must be one number for each of at least one symbol, (3,), not float64 of shape (2,)",
        ),
        (lambda: plot_text_probabilities("a", [1.5]), "probabilities must lie between 0 and 1, or be NaN"),
        (
            lambda: plot_text_activations("", []),
            "activations must be one number for each of at least one symbol, (0,), not float64 of shape (0,)",
        ),
        (
            lambda: plot_text_activations("a" * (MOST_SYMBOLS + 1), np.zeros(MOST_SYMBOLS + 1)),
            "at most 5,000 symbols can be drawn, not 5,001: select a part",
        ),
        (lambda: plot_text_activations("a", [1], width=0), "width must be at least 1, not 0"),
        (lambda: plot_forecast([], [1]), "truth must be a list of at least one number, not of shape (0,)"),
        (lambda: plot_forecast([1], [[1.0]]), "forecast must be a list of at least one number, not of shape (1, 1)"),
        (lambda: plot_forecast(["a"], [1]), "truth must be a list of numbers, not ['a']"),
        (
            lambda: plot_forecast(np.ma.array([1.0, 2.0], mask=[False, True]), [1]),
            "truth must have no masked values (1 of 2): leave them out or fill them",
        ),
        (lambda: plot_forecast([1, 2], [1], low=[0]), "an interval has two ends: give both low and high, or none"),
        (
            lambda: plot_forecast([1, 2], [1], low=[0], high=[1, 2]),
            "forecast, low, high must be equally long, not 1, 1, 2",
        ),
        (
            lambda: plot_forecast([1], [1, 2]),
            "forecast must have at most as many values as the truth, 1, unless begin says where it begins, not 2",
        ),
        (lambda: plot_forecast([1], [1], begin=-1), "begin must be at least 0, not -1"),
    ],
)
def test_mistakes_give_a_one_line_error(call, message):
    with pytest.raises(InvalidArgument) as caught:
        call()
    assert str(caught.value) == message
