import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from myrnn import plots
from myrnn.errors import InvalidArgument
from myrnn.plots import _style
from myrnn.plots._inside import unit_order

RNG = np.random.default_rng(0)
STATES = RNG.normal(size=(6, 9))
CIRCLE = np.exp(2j * np.pi * np.arange(5) / 5)


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


def tick_texts(ax):
    return [tick.get_text() for tick in ax.get_xticklabels()]


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def offsets(ax):
    return [np.asarray(c.get_offsets()).tolist() for c in ax.collections if len(c.get_offsets())]


DRAWN = {
    "states": lambda ax: plots.plot_states(STATES, symbols="123123", ax=ax),
    "probabilities": lambda ax: plots.plot_probabilities([[0.2, 0.8], [0.5, 0.5]], ax=ax),
    "gradients": lambda ax: plots.plot_gradients({"h": [1.0, 0.1]}, ax=ax),
    "flow": lambda ax: plots.plot_gradient_flow([0, 1], {"h": ([1, 0.5], [0.5, 0.2], [2, 1])}, ax=ax),
    "space": lambda ax: plots.plot_state_space(STATES[:, :2], [1, 2, 3, 1, 2, 3], ax=ax),
    "eigenvalues": lambda ax: plots.plot_eigenvalues({"W": CIRCLE}, before={"W": CIRCLE / 2}, ax=ax),
    "matrix": lambda ax: plots.plot_matrix(STATES, title="W", ax=ax),
}


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_a_figure_takes_axes_and_returns_them(draw, tmp_path):
    ax = Figure().subplots()
    assert draw(ax) is ax
    alone = draw(None)
    assert alone.figure is not ax.figure
    assert alone.figure.get_figwidth() == _style.WIDTH
    one, two = (plots.save_figure(draw(None), tmp_path / f"{i}.svg").read_bytes() for i in range(2))
    assert one == two


# --- states


def test_states_stand_under_their_symbols():
    ax = plots.plot_states(STATES, symbols="314159", name="c", order="none")
    assert tick_texts(ax) == list("314159")
    assert ax.xaxis.get_ticks_position() == "top"
    assert ax.get_xticks().tolist() == [1, 2, 3, 4, 5, 6]
    image = ax.images[0]
    assert np.asarray(image.get_array()).tolist() == STATES.T.tolist()
    assert image.get_extent() == [0.5, 6.5, 8.5, -0.5]
    assert ax.get_ylabel() == "9 units of c,\nas numbered"


def test_states_of_two_signs_are_white_at_zero():
    image = plots.plot_states(STATES).images[0]
    assert image.get_clim() == (-np.abs(STATES).max(), np.abs(STATES).max())
    assert image.get_cmap().name == "RdBu_r"
    positive = plots.plot_states(np.abs(STATES)).images[0]
    assert positive.get_clim() == (0, np.abs(STATES).max())
    assert positive.get_cmap().name == "Blues"
    assert plots.plot_states(np.zeros((2, 3))).images[0].get_clim() == (0, 1)


def test_units_that_behave_alike_stand_side_by_side():
    waves = np.array([np.sin(np.arange(20) / 3), np.cos(np.arange(20) / 2), np.linspace(-2, 2, 20)])
    kinds = np.array([0, 1, 2, 1, 0, 2, 2, 0, 1])
    states = (waves[kinds] + 0.01 * RNG.normal(size=(9, 20))).T
    ordered = kinds[unit_order(states)]
    assert (np.diff(ordered) != 0).sum() == 2


def test_units_may_stand_in_the_order_of_their_peaks():
    states = np.zeros((4, 4))
    states[[2, 0, 3, 1], [0, 1, 2, 3]] = [1, -2, 1, 1]
    assert unit_order(states, "peak").tolist() == [1, 3, 0, 2]
    assert unit_order(states, "none").tolist() == [0, 1, 2, 3]


@given(
    arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 7)), elements=st.floats(-9, 9)),
    st.sampled_from(["similarity", "peak", "none"]),
)
def test_every_unit_has_one_place(states, order):
    assert sorted(unit_order(states, order).tolist()) == list(range(states.shape[1]))


def test_a_very_wide_state_is_ordered_too():
    assert sorted(unit_order(RNG.normal(size=(3, 500))).tolist()) == list(range(500))


def test_long_sequences_are_numbered():
    ax = plots.plot_states(RNG.normal(size=(100, 3)), symbols=[0] * 100)
    assert tick_texts(ax) == [str(step) for step in range(1, 101, 5)]
    assert ax.get_xlabel() == "step"
    assert tick_texts(plots.plot_states(RNG.normal(size=(30, 3)), symbols=[7] * 30)) == ["7"] * 30
    assert tick_texts(plots.plot_states(RNG.normal(size=(30, 3)))) == [str(step) for step in range(1, 31, 2)]


@pytest.mark.parametrize(
    ("states", "options", "message"),
    [
        (
            np.zeros(3),
            {},
            "states must be a matrix of numbers with at least one row, not float64 of shape (3,)",
        ),
        (
            np.zeros((0, 3)),
            {},
            "states must be a matrix of numbers with at least one row, not float64 of shape (0, 3)",
        ),
        ([["a"]], {}, "states must be a matrix of numbers with at least one row, not <U1 of shape (1, 1)"),
        ([[1, np.nan]], {}, "states must be finite float64, but there is nan at [0, 1]"),
        (STATES, {"symbols": "12"}, "symbols must be one for each of the 6 steps, not 2"),
        (STATES, {"order": "random"}, "order must be one of 'similarity', 'peak', 'none', not 'random'"),
    ],
)
def test_what_are_no_states_is_refused(states, options, message):
    with refused(message):
        plots.plot_states(states, **options)


# --- probabilities


def test_of_two_classes_the_second_is_drawn():
    ax = plots.plot_probabilities([[0.2, 0.8], [0.6, 0.4]], symbols="12", class_names=["no match", "match"])
    line, guessing = ax.get_lines()
    assert (line.get_xdata().tolist(), line.get_ydata().tolist()) == ([1, 2], [0.8, 0.4])
    assert guessing.get_ydata()[0] == 0.5
    assert legend_texts(ax) == ["match", "chance"]
    assert ax.get_ylabel() == "probability of match\nif it ended here"


def test_of_many_classes_the_likeliest_are_drawn():
    last = np.array([0.02, 0.3, 0.1, 0.05, 0.2, 0.15, 0.01, 0.17])
    ax = plots.plot_probabilities(np.array([np.full(8, 0.125), last]))
    assert legend_texts(ax) == [*(f"class {i}" for i in (1, 2, 3, 4, 5, 7)), "chance"]
    assert len({line.get_color() for line in ax.get_lines()[:6]}) == 6
    assert legend_texts(plots.plot_probabilities([[1.0]])) == ["class 0", "chance"]


@pytest.mark.parametrize(
    ("probabilities", "options", "message"),
    [
        ([[0.2, 1.2]], {}, "probabilities must lie between 0 and 1, but there is 0.2 to 1.2"),
        ([[-0.2, 1.2]], {}, "probabilities must lie between 0 and 1, but there is -0.2 to 1.2"),
        ([[0.2, 0.8]], {"class_names": ["a"]}, "class_names must be one for each of the 2 classes, not 1"),
        ([[0.2, 0.8]], {"symbols": [1, 2]}, "symbols must be one for each of the 1 steps, not 2"),
        (
            [0.2, 0.8],
            {},
            "probabilities must be a matrix of numbers with at least one row, not float64 of shape (2,)",
        ),
    ],
)
def test_what_are_no_probabilities_is_refused(probabilities, options, message):
    with refused(message):
        plots.plot_probabilities(probabilities, **options)


# --- gradients


def test_gradients_stand_on_a_log_axis_and_zero_is_a_gap():
    ax = plots.plot_gradients({"h": [1e-4, 0.0, 10.0], "input": [1.0, 2.0, 3.0]}, symbols="123")
    assert ax.get_yscale() == "log"
    first, second = (line.get_ydata() for line in ax.get_lines())
    assert (first[0], first[2], second.tolist()) == (1e-4, 10.0, [1, 2, 3])
    assert np.isnan(first[1])
    assert legend_texts(ax) == ["h", "input"]


def test_gradients_of_few_decades_have_plain_numbers():
    ax = plots.plot_gradients({"h": [0.05, 0.3]})
    ax.figure.canvas.draw()
    texts = [tick.get_text() for tick in ax.get_yticklabels() if 0.05 <= tick.get_position()[1] <= 0.3]
    assert texts == ["0.05", "0.1", "0.2"]


def test_gradients_that_are_all_zero_can_be_drawn():
    assert plots.plot_gradients({"h": [0.0, 0.0]}).get_yscale() == "linear"


@pytest.mark.parametrize(
    ("norms", "message"),
    [
        ({}, "norms must be of one length, not []"),
        ({"h": [1.0], "c": [1.0, 2.0]}, "norms must be of one length, not [1, 2]"),
        ({"h": [-1.0]}, "norms['h'] must be a list of at least one number of 0 or more"),
        ({"h": [[1.0]]}, "norms['h'] must be a list of at least one number of 0 or more"),
    ],
)
def test_what_are_no_norms_is_refused(norms, message):
    with refused(message):
        plots.plot_gradients(norms)


# --- the flow of gradients


def test_models_can_be_laid_over_each_other():
    curve = ([1.0, 0.5, np.nan], [0.5, 0.2, np.nan], [2.0, 1.0, np.nan])
    ax = plots.plot_gradient_flow([0, 1, 2], {"h": curve}, label="RNN")
    plots.plot_gradient_flow([0, 1, 2], {"c": curve, "h": curve}, label="LSTM", ax=ax)
    assert legend_texts(ax) == ["RNN", "LSTM, c", "LSTM, h", "the middle 80 % of sequences"]
    assert [line.get_color() for line in ax.get_lines()] == list(_style.PALETTE[:3])
    assert len(ax.collections) == 3
    assert ax.get_yscale() == "log"


def test_a_flow_draws_the_mean_and_says_what_it_is_relative_to():
    ax = plots.plot_gradient_flow([0, 1], {"h": ([1.0, 0.0], [1.0, 0.0], [1.0, 0.0])}, relative=True)
    assert ax.get_lines()[0].get_ydata()[0] == 1
    assert np.isnan(ax.get_lines()[0].get_ydata()[1])
    assert "share of the last state's" in ax.get_ylabel()
    assert legend_texts(ax)[0] == "h"


def test_what_are_no_curves_is_refused():
    with refused("curves must hold at least one curve"):
        plots.plot_gradient_flow([0, 1], {})
    with refused("curves['h'] must be three lists of the 2 distances' length, not of shape (2,), (2,), (1,)"):
        plots.plot_gradient_flow([0, 1], {"h": ([1, 2], [1, 2], [1])})
    with refused("curves['h'] must be three lists of the 2 distances' length, not of shape (2,), (2,)"):
        plots.plot_gradient_flow([0, 1], {"h": ([1, 2], [1, 2])})


# --- the space of states


def test_classes_have_colours_and_names():
    ax = plots.plot_state_space(STATES[:, :2], [0, 1, 1, 0, 1, 0], color="class", names=["no match", "match"])
    assert offsets(ax) == [STATES[:, :2].tolist()]
    colors = [to_hex(color, keep_alpha=False).upper() for color in ax.collections[0].get_facecolors()]
    assert colors == [_style.PALETTE[i].upper() for i in (0, 1, 1, 0, 1, 0)]
    assert legend_texts(ax) == ["no match", "match"]


def test_steps_have_a_scale():
    ax = plots.plot_state_space(STATES[:, :2], [1, 2, 3, 4, 5, 6], explained=(0.5, 0.25))
    assert ax.collections[0].get_array().tolist() == [1, 2, 3, 4, 5, 6]
    bar = ax.figure.axes[1]
    assert (bar.get_ylabel(), bar.get_ylim()) == ("step", (1, 6))
    assert ax.get_xlabel() == "principal component 1 (50% of the variance)"
    assert ax.get_ylabel() == "principal component 2 (25% of the variance)"


def test_one_step_alone_has_a_scale_too():
    assert plots.plot_state_space(STATES[:, :2], [3] * 6).collections[0].get_array().tolist() == [3] * 6


def test_symbols_are_drawn_as_themselves():
    ax = plots.plot_state_space(STATES[:, :2], [7, 7, 2, 7, 2, 7], color="symbol")
    drawn = [points for points in offsets(ax) if points]
    assert drawn == [STATES[[2, 4], :2].tolist(), STATES[[0, 1, 3, 5], :2].tolist()]
    assert ax.get_title() == "the symbol that was read last; a dot where there is no room for it"


def test_symbols_do_not_pile_up():
    points = np.concatenate([RNG.normal(size=(200, 2)), np.zeros((200, 2))])
    ax = plots.plot_state_space(points, np.arange(400) % 3, color="symbol")
    signs = [marks for marks in ax.collections if marks.get_sizes()[0] > 30 and len(marks.get_offsets())]
    places = np.concatenate([np.asarray(marks.get_offsets()) for marks in signs])
    apart = np.abs(places[:, None] - places) / np.ptp(points, axis=0)
    covers = (apart < (0.02, 0.04)).all(axis=2)
    assert covers.sum() == len(places)
    # Every point is there, as a sign or as a dot.
    assert sum(len(marks.get_offsets()) for marks in ax.collections) == 400


def test_the_legend_of_the_gradient_flow_lies_above_all_curves():
    ax = plots.plot_gradient_flow([0, 1], {"h": ([1, 0.5], [0.5, 0.2], [2, 1])})
    ax.figure.draw_without_rendering()
    assert ax.get_legend().get_window_extent().y0 >= ax.get_window_extent().y1


@pytest.mark.parametrize("color", ["class", "symbol"])
def test_too_many_kinds_get_a_scale(color):
    points = RNG.normal(size=(40, 2))
    ax = plots.plot_state_space(points, np.arange(40), color=color)
    assert ax.collections[0].get_array().tolist() == list(range(40))
    assert ax.figure.axes[1].get_ylabel() == color


def test_very_many_points_become_a_picture():
    few, many = (plots.plot_state_space(np.zeros((n, 2)), np.ones(n, int)) for n in (2000, 2001))
    assert [ax.collections[0].get_rasterized() for ax in (few, many)] == [False, True]


@pytest.mark.parametrize(
    ("points", "groups", "color", "message"),
    [
        (STATES, [1] * 6, "step", "coordinates must have two columns, not 9"),
        (STATES[:, :2], [1], "step", "groups must be one for each of the 6 points, not 1"),
        (STATES[:, :2], [0.5] * 6, "step", "groups must be integers of shape (N,), not float64 of shape (6,)"),
        (
            STATES[:, :2],
            [1] * 6,
            "steps",
            "color must be one of 'step', 'class', 'symbol', not 'steps'; did you mean 'step'?",
        ),
    ],
)
def test_what_is_no_space_is_refused(points, groups, color, message):
    with refused(message):
        plots.plot_state_space(points, groups, color=color)


# --- matrices


def test_the_unit_circle_and_all_eigenvalues_are_in_sight():
    ax = plots.plot_eigenvalues({"W": 3 * CIRCLE})
    assert (ax.patches[0].get_radius(), ax.patches[0].center) == (1, (0, 0))
    assert ax.get_xlim() == ax.get_ylim() == pytest.approx((-3.3, 3.3))
    assert ax.get_aspect() == 1
    np.testing.assert_allclose(offsets(ax), [np.column_stack((3 * CIRCLE.real, 3 * CIRCLE.imag))])
    assert ax.get_title() == "W"
    assert plots.plot_eigenvalues({"W": CIRCLE / 9}).get_xlim() == pytest.approx((-1.1, 1.1))


def test_before_is_hollow():
    ax = plots.plot_eigenvalues({"W": CIRCLE, "V": CIRCLE}, before={"W": 2 * CIRCLE, "other": 9 * CIRCLE})
    assert legend_texts(ax) == ["before training", "W", "V"]
    assert len(ax.collections[0].get_facecolors()) == 0
    assert ax.get_xlim()[1] == pytest.approx(2.2)
    one = plots.plot_eigenvalues({"W": CIRCLE}, before={"W": CIRCLE}, labels=("young", "old"))
    assert legend_texts(one) == ["young", "old"]
    assert one.get_legend().get_title().get_text() == "W"


def test_every_matrix_may_have_axes_of_its_own():
    values = {name: CIRCLE for name in "abcde"}
    grid = plots.plot_eigenvalues_each(values, before=values)
    assert [ax.get_title() for ax in grid] == list("abcde")
    assert len(grid[0].figure.axes) == 5
    assert [text.get_text() for text in grid[0].figure.legends[0].get_texts()] == ["before training", "after training"]
    given = Figure().subplots(1, 2)
    assert plots.plot_eigenvalues_each({"a": CIRCLE, "b": CIRCLE}, before=values, axes=given).tolist() == given.tolist()
    assert legend_texts(given[0]) == ["before training", "after training"]
    assert given[1].get_legend() is None


def test_matrices_are_white_at_zero_and_named():
    grid = plots.plot_matrices({"W": STATES, "long": np.zeros((50, 2))})
    assert [ax.get_title() for ax in grid] == ["W", "long"]
    image = grid[0].images[0]
    assert np.asarray(image.get_array()).tolist() == STATES.tolist()
    assert image.get_clim() == (-np.abs(STATES).max(), np.abs(STATES).max())
    assert [ax.get_aspect() for ax in grid] == [1, "auto"]
    assert [(ax.get_xlabel(), ax.get_ylabel()) for ax in grid] == [("to (column)", "from (row)")] * 2
    assert grid[1].images[0].get_clim() == (-1, 1)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plots.plot_eigenvalues({}), "values must hold the eigenvalues of at least one matrix"),
        (lambda: plots.plot_eigenvalues_each({}), "values must hold the eigenvalues of at least one matrix"),
        (
            lambda: plots.plot_eigenvalues({"W": [[1]]}),
            "the eigenvalues of W must be a list of numbers, not of shape (1, 1)",
        ),
        (
            lambda: plots.plot_eigenvalues({"W": [np.inf]}),
            "the eigenvalues of W must be finite float64, but there is inf at [0]",
        ),
        (lambda: plots.plot_matrices({}), "matrices must hold at least one matrix"),
        (
            lambda: plots.plot_matrices({"W": STATES}, axes=Figure().subplots(1, 2)),
            "axes must be one for each of the 1 matrices, not 2",
        ),
        (
            lambda: plots.plot_matrices({"W": [1]}),
            "the matrix W must be a matrix of numbers with at least one row, not int64 of shape (1,)",
        ),
        (lambda: plots.plot_matrix([[np.nan]]), "values must be finite float64, but there is nan at [0, 0]"),
    ],
)
def test_what_is_no_matrix_is_refused(draw, message):
    with refused(message):
        draw()


@pytest.mark.parametrize("given", ["ax", 3, [None]])
def test_what_are_no_axes_is_refused(given):
    with refused(f"ax must be a matplotlib Axes, not {type(given).__name__}"):
        plots.plot_states(np.eye(3), ax=given)


def test_empty_axes_take_on_the_style_and_used_ones_keep_theirs():
    empty, used = Figure().subplots(1, 2)
    used.plot([0, 1])
    for ax in (empty, used):
        plots.plot_probabilities([[0.5, 0.5]], ax=ax)
    assert [ax.spines["top"].get_visible() for ax in (empty, used)] == [False, True]
