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
from myrnn.inspection import GradientFlow, Inspection, StateSpace
from myrnn.plots import style
from myrnn.plots.inside import unit_order

RNG = np.random.default_rng(0)
STATES = RNG.normal(size=(6, 9))


def inspection(states=STATES, tokens=None, name="h", probabilities=None, gradients=None, inputs=None, classes=None):
    """Return an inspection with everything that a figure shows."""
    steps = len(states)
    shares = np.full((steps, 2), 0.5) if probabilities is None else np.array(probabilities)
    norms = {name: np.ones(steps)} if gradients is None else gradients
    return Inspection(
        x=np.zeros((steps, 10)),
        tokens=None if tokens is None else np.array(tokens),
        y=0,
        y_is_predicted=True,
        loss=0.0,
        states={name: np.array(states)},
        initial_states={},
        logits=np.log(shares),
        state_gradients={state: np.reshape(values, (-1, 1)) for state, values in norms.items()},
        input_gradients=np.reshape(np.ones(steps) if inputs is None else inputs, (-1, 1)),
        class_names=[f"class {which}" for which in range(shares.shape[1])] if classes is None else classes,
        main_state=name,
        weights={},
    )


def flow(curves, relative=False):
    """The norms of gradients by state: mean, and the ends of the band."""
    distance = np.arange(len(next(iter(curves.values()))[0]))
    mean, low, high = ({name: np.array(curve[i], dtype=float) for name, curve in curves.items()} for i in range(3))
    return GradientFlow(distance, np.ones_like(distance), mean, low, high, {}, relative, "RNN")


def space(points, groups, color="step", names=None, explained=(0.5, 0.25)):
    """Return a space of states with points of all these groups."""
    kinds = np.array(groups)
    return StateSpace(
        state="h",
        coordinates=np.array(points),
        components=np.eye(2),
        center=np.zeros(2),
        explained=np.array(explained),
        sequence=kinds,
        step=kinds,
        label=kinds,
        symbol=kinds,
        class_names=names,
        name="RNN",
    )


def space_plot(points, groups, color="step", ax=None, **settings):
    return plots.plot_state_space(space(points, groups, **settings), color=color, ax=ax)


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


def tick_texts(ax):
    return [tick.get_text() for tick in ax.get_xticklabels()]


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def offsets(ax):
    return [np.asarray(c.get_offsets()).tolist() for c in ax.collections if len(c.get_offsets())]


DRAWN = {
    "states": lambda ax: plots.plot_states(inspection(tokens=[1, 2, 3, 1, 2, 3]), ax=ax),
    "probabilities": lambda ax: plots.plot_probabilities(inspection(), ax=ax),
    "gradients": lambda ax: plots.plot_gradients(inspection(), ax=ax),
    "flow": lambda ax: plots.plot_gradient_flow(flow({"h": ([1, 0.5], [0.5, 0.2], [2, 1])}), ax=ax),
    "space": lambda ax: space_plot(STATES[:, :2], [1, 2, 3, 1, 2, 3], ax=ax),
}


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_a_figure_takes_axes_and_returns_them(draw, tmp_path):
    ax = Figure().subplots()
    assert draw(ax) is ax
    alone = draw(None)
    assert alone.figure is not ax.figure
    assert alone.figure.get_figwidth() == style.WIDTH
    one, two = (plots.save_figure(draw(None), tmp_path / f"{i}.svg").read_bytes() for i in range(2))
    assert one == two


# --- states


def test_states_are_below_their_symbols():
    ax = plots.plot_states(inspection(tokens=[3, 1, 4, 1, 5, 9], name="c"), order="none")
    assert tick_texts(ax) == list("314159")
    assert ax.xaxis.get_ticks_position() == "top"
    assert ax.get_xticks().tolist() == [1, 2, 3, 4, 5, 6]
    image = ax.images[0]
    assert np.asarray(image.get_array()).tolist() == STATES.T.tolist()
    assert image.get_extent() == [0.5, 6.5, 8.5, -0.5]
    assert ax.get_ylabel() == "9 units of c,\nas numbered"


def test_states_of_two_signs_are_white_at_zero():
    image = plots.plot_states(inspection()).images[0]
    assert image.get_clim() == (-np.abs(STATES).max(), np.abs(STATES).max())
    assert image.get_cmap().name == "RdBu_r"
    positive = plots.plot_states(inspection(np.abs(STATES))).images[0]
    assert positive.get_clim() == (0, np.abs(STATES).max())
    assert positive.get_cmap().name == "Blues"
    assert plots.plot_states(inspection(np.zeros((2, 3)))).images[0].get_clim() == (0, 1)


def test_units_that_behave_alike_are_next_to_each_other():
    waves = np.array([np.sin(np.arange(20) / 3), np.cos(np.arange(20) / 2), np.linspace(-2, 2, 20)])
    kinds = np.array([0, 1, 2, 1, 0, 2, 2, 0, 1])
    states = (waves[kinds] + 0.01 * RNG.normal(size=(9, 20))).T
    ordered = kinds[unit_order(states)]
    assert (np.diff(ordered) != 0).sum() == 2


def test_units_can_be_ordered_by_their_peaks():
    states = np.zeros((4, 4))
    states[[2, 0, 3, 1], [0, 1, 2, 3]] = [1, -2, 1, 1]
    assert unit_order(states, "peak").tolist() == [1, 3, 0, 2]
    assert unit_order(states, "none").tolist() == [0, 1, 2, 3]


@given(
    arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 7)), elements=st.floats(-9, 9)),
    st.sampled_from(["similarity", "peak", "none"]),
)
def test_every_unit_occurs_once(states, order):
    assert sorted(unit_order(states, order).tolist()) == list(range(states.shape[1]))


def test_a_very_wide_state_is_also_ordered():
    assert sorted(unit_order(RNG.normal(size=(3, 500))).tolist()) == list(range(500))


def test_long_sequences_are_numbered():
    ax = plots.plot_states(inspection(RNG.normal(size=(100, 3)), [0] * 100))
    assert tick_texts(ax) == [str(step) for step in range(1, 101, 5)]
    assert ax.get_xlabel() == "step"
    assert tick_texts(plots.plot_states(inspection(RNG.normal(size=(30, 3)), [7] * 30))) == ["7"] * 30
    assert tick_texts(plots.plot_states(inspection(RNG.normal(size=(30, 3))))) == [
        str(step) for step in range(1, 31, 2)
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": "random"}, "order must be one of 'similarity', 'peak', 'none', not 'random'"),
        ({"state": "c"}, "state must be one of 'h', not 'c'"),
    ],
)
def test_wrong_options_for_states_are_refused(options, message):
    with refused(message):
        plots.plot_states(inspection(), **options)


# --- probabilities


def test_the_second_of_two_classes_is_drawn():
    ax = plots.plot_probabilities(
        inspection(np.eye(2), [1, 2], probabilities=[[0.2, 0.8], [0.6, 0.4]], classes=["no match", "match"])
    )
    line, guessing = ax.get_lines()
    assert (line.get_xdata().tolist(), line.get_ydata().tolist()) == ([1, 2], pytest.approx([0.8, 0.4]))
    assert guessing.get_ydata()[0] == 0.5
    assert legend_texts(ax) == ["match", "chance"]
    assert ax.get_ylabel() == "probability of match\nif it ended here"


def test_the_likeliest_of_many_classes_are_drawn():
    last = np.array([0.02, 0.3, 0.1, 0.05, 0.2, 0.15, 0.01, 0.17])
    ax = plots.plot_probabilities(inspection(np.eye(2), probabilities=[np.full(8, 0.125), last]))
    assert legend_texts(ax) == [*(f"class {i}" for i in (1, 2, 3, 4, 5, 7)), "chance"]
    assert len({line.get_color() for line in ax.get_lines()[:6]}) == 6
    assert legend_texts(plots.plot_probabilities(inspection([[1.0]], probabilities=[[1.0]]))) == ["class 0", "chance"]


def test_names_that_matplotlib_would_hide_or_read_as_formulas_are_written_as_they_are():
    ax = plots.plot_probabilities(
        inspection(np.eye(2), probabilities=np.full((2, 3), 1 / 3), classes=["_a", "$b$", "c"])
    )
    assert legend_texts(ax) == ["\u200b_a", r"\$b\$", "c", "chance"]
    ax.figure.draw_without_rendering()
    curve = np.ones((3, 2))
    assert legend_texts(plots.plot_gradient_flow(flow({"h": curve}), label="_$x$"))[0] == "\u200b_" + r"\$x\$"


# --- gradients


def test_gradients_are_on_a_log_axis_and_zero_is_a_gap():
    ax = plots.plot_gradients(inspection(np.eye(3), gradients={"h": [1e-4, 0.0, 10.0]}, inputs=[1.0, 2.0, 3.0]))
    assert ax.get_yscale() == "log"
    first, second = (line.get_ydata() for line in ax.get_lines())
    assert (first[0], first[2], second.tolist()) == (pytest.approx(1e-4), 10.0, [1, 2, 3])
    assert np.isnan(first[1])
    assert legend_texts(ax) == ["state h", "input"]


def test_gradients_of_few_decades_have_plain_numbers():
    ax = plots.plot_gradients(inspection(np.eye(2), gradients={"h": [0.05, 0.3]}, inputs=[0.1, 0.1]))
    ax.figure.canvas.draw()
    texts = [tick.get_text() for tick in ax.get_yticklabels() if 0.05 <= tick.get_position()[1] <= 0.3]
    assert texts == ["0.05", "0.1", "0.2"]


def test_gradients_that_are_all_zero_can_be_drawn():
    assert (
        plots.plot_gradients(inspection(np.eye(2), gradients={"h": [0.0, 0.0]}, inputs=[0.0, 0.0])).get_yscale()
        == "linear"
    )


# --- the flow of gradients


def test_models_can_be_drawn_on_the_same_axes():
    curve = ([1.0, 0.5, np.nan], [0.5, 0.2, np.nan], [2.0, 1.0, np.nan])
    ax = plots.plot_gradient_flow(flow({"h": curve}), label="RNN")
    plots.plot_gradient_flow(flow({"c": curve, "h": curve}), label="LSTM", ax=ax)
    assert legend_texts(ax) == ["RNN", "LSTM, c", "LSTM, h", "the middle 80 % of sequences"]
    assert [line.get_color() for line in ax.get_lines()] == list(style.PALETTE[:3])
    assert len(ax.collections) == 3
    assert ax.get_yscale() == "log"


def test_a_flow_draws_the_mean_and_names_its_reference():
    ax = plots.plot_gradient_flow(flow({"h": ([1.0, 0.0], [1.0, 0.0], [1.0, 0.0])}, relative=True))
    assert ax.get_lines()[0].get_ydata()[0] == 1
    assert np.isnan(ax.get_lines()[0].get_ydata()[1])
    assert "share of the last state's" in ax.get_ylabel()
    assert legend_texts(ax)[0] == "h"


# --- the space of states


def test_classes_have_colours_and_names():
    ax = space_plot(STATES[:, :2], [0, 1, 1, 0, 1, 0], color="class", names=["no match", "match"])
    assert offsets(ax) == [STATES[:, :2].tolist()]
    colors = [to_hex(color, keep_alpha=False).upper() for color in ax.collections[0].get_facecolors()]
    assert colors == [style.PALETTE[i].upper() for i in (0, 1, 1, 0, 1, 0)]
    assert legend_texts(ax) == ["no match", "match"]


def test_steps_have_a_scale():
    ax = space_plot(STATES[:, :2], [1, 2, 3, 4, 5, 6], explained=(0.5, 0.25))
    assert ax.collections[0].get_array().tolist() == [1, 2, 3, 4, 5, 6]
    bar = ax.figure.axes[1]
    assert (bar.get_ylabel(), bar.get_ylim()) == ("step", (1, 6))
    assert ax.get_xlabel() == "principal component 1 (50% of the variance)"
    assert ax.get_ylabel() == "principal component 2 (25% of the variance)"


def test_a_single_step_also_has_a_scale():
    assert space_plot(STATES[:, :2], [3] * 6).collections[0].get_array().tolist() == [3] * 6


def test_symbols_are_drawn_as_themselves():
    ax = space_plot(STATES[:, :2], [7, 7, 2, 7, 2, 7], color="symbol")
    drawn = [points for points in offsets(ax) if points]
    assert drawn == [STATES[[2, 4], :2].tolist(), STATES[[0, 1, 3, 5], :2].tolist()]
    assert ax.get_title() == "the last symbol read; a dot where there is no space for it"


def test_symbols_do_not_overlap():
    points = np.concatenate([RNG.normal(size=(200, 2)), np.zeros((200, 2))])
    ax = space_plot(points, np.arange(400) % 3, color="symbol")
    signs = [marks for marks in ax.collections if marks.get_sizes()[0] > 30 and len(marks.get_offsets())]
    places = np.concatenate([np.asarray(marks.get_offsets()) for marks in signs])
    apart = np.abs(places[:, None] - places) / np.ptp(points, axis=0)
    covers = (apart < (0.02, 0.04)).all(axis=2)
    assert covers.sum() == len(places)
    # Every point is there, as a sign or as a dot.
    assert sum(len(marks.get_offsets()) for marks in ax.collections) == 400


def test_the_legend_of_the_gradient_flow_is_above_all_curves():
    ax = plots.plot_gradient_flow(flow({"h": ([1, 0.5], [0.5, 0.2], [2, 1])}))
    ax.figure.draw_without_rendering()
    assert ax.get_legend().get_window_extent().y0 >= ax.get_window_extent().y1


@pytest.mark.parametrize("color", ["class", "symbol"])
def test_too_many_kinds_get_a_scale(color):
    points = RNG.normal(size=(40, 2))
    ax = space_plot(points, np.arange(40), color=color)
    assert ax.collections[0].get_array().tolist() == list(range(40))
    assert ax.figure.axes[1].get_ylabel() == color


def test_very_many_points_become_a_picture():
    few, many = (space_plot(np.zeros((n, 2)), np.ones(n, int)) for n in (2000, 2001))
    assert [ax.collections[0].get_rasterized() for ax in (few, many)] == [False, True]


def test_wrong_colours_of_a_space_are_refused():
    with refused("color must be one of 'step', 'class', 'symbol', not 'steps'; did you mean 'step'?"):
        space_plot(STATES[:, :2], [1] * 6, color="steps")
