import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from myrnn import plots
from myrnn.errors import InvalidArgument
from myrnn.inspection import RecurrentEigenvalues
from myrnn.plots import style

STATES = np.random.default_rng(0).normal(size=(6, 9))
CIRCLE = np.exp(2j * np.pi * np.arange(5) / 5)


def of(values):
    return RecurrentEigenvalues({}, values, "RNN")


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def offsets(ax):
    return [np.asarray(c.get_offsets()).tolist() for c in ax.collections if len(c.get_offsets())]


DRAWN = {
    "eigenvalues": lambda ax: plots.plot_eigenvalues(of({"W": CIRCLE}), before=of({"W": CIRCLE / 2}), ax=ax),
    "matrix": lambda ax: plots.plot_matrix(STATES, title="W", ax=ax),
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


def test_the_unit_circle_and_all_eigenvalues_are_visible():
    ax = plots.plot_eigenvalues(of({"W": 3 * CIRCLE}))
    assert (ax.patches[0].get_radius(), ax.patches[0].center) == (1, (0, 0))
    assert ax.get_xlim() == ax.get_ylim() == pytest.approx((-3.3, 3.3))
    assert ax.get_aspect() == 1
    np.testing.assert_allclose(offsets(ax), [np.column_stack((3 * CIRCLE.real, 3 * CIRCLE.imag))])
    assert ax.get_title() == "W"
    assert plots.plot_eigenvalues(of({"W": CIRCLE / 9})).get_xlim() == pytest.approx((-1.1, 1.1))


def test_before_is_hollow():
    ax = plots.plot_eigenvalues(of({"W": CIRCLE, "V": CIRCLE}), before=of({"W": 2 * CIRCLE, "other": 9 * CIRCLE}))
    assert legend_texts(ax) == ["before training", "W", "V"]
    assert len(ax.collections[0].get_facecolors()) == 0
    assert ax.get_xlim()[1] == pytest.approx(2.2)
    first, last = np.array([0.9 + 0.1j, -0.3 - 0.2j]), np.array([0.2 + 0.7j, 0.4 - 0.6j])
    both = plots.plot_eigenvalues(of({"W": last}), before=of({"W": first}))
    for drawn, values in zip(offsets(both), (first, last), strict=True):
        np.testing.assert_allclose(drawn, np.column_stack((values.real, values.imag)))
    one = plots.plot_eigenvalues(of({"W": CIRCLE}), before=of({"W": CIRCLE}), labels=("young", "old"))
    assert legend_texts(one) == ["young", "old"]
    assert one.get_legend().get_title().get_text() == "W"


def test_every_matrix_can_have_separate_axes():
    values = of({name: CIRCLE for name in "abcde"})
    grid = plots.plot_eigenvalues_each(values, before=values)
    assert [ax.get_title() for ax in grid] == list("abcde")
    assert len(grid[0].figure.axes) == 5
    assert [text.get_text() for text in grid[0].figure.legends[0].get_texts()] == ["before training", "after training"]
    given = Figure().subplots(1, 2)
    two = of({"a": CIRCLE, "b": CIRCLE})
    assert plots.plot_eigenvalues_each(two, before=values, axes=given).tolist() == given.tolist()
    assert legend_texts(given[0]) == ["before training", "after training"]
    assert given[1].get_legend() is None


def test_titles_side_by_side_are_not_wider_than_their_panels():
    names = [f"a matrix with a long name, of which this is number {i}" for i in range(6)]
    for grid in (
        plots.plot_matrices(dict.fromkeys(names, STATES)),
        plots.plot_eigenvalues_each(of(dict.fromkeys(names, CIRCLE))),
    ):
        grid[0].figure.draw_without_rendering()
        boxes = [ax.title.get_window_extent() for ax in grid[:3]]
        assert boxes[0].x1 < boxes[1].x0 and boxes[1].x1 < boxes[2].x0
        assert len({ax.get_title() for ax in grid}) == 6


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
        (
            lambda: plots.plot_eigenvalues(of({"W": CIRCLE}), matrix="V"),
            "matrix must be one of 'W', not 'V'",
        ),
        (
            lambda: plots.plot_eigenvalues(of({"W": CIRCLE}), before={"W": CIRCLE}),
            "before must be the result of recurrent_eigenvalues before training, not dict",
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
def test_an_invalid_matrix_is_refused(draw, message):
    with refused(message):
        draw()
