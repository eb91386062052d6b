import subprocess
import sys
import threading

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell
from matplotlib import pyplot
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from myrnn.errors import InvalidArgument
from myrnn.plots import plot_accuracy_by_length, plot_epochs, plot_history, save_figure

ITERATION = [500, 1000, 1500]


def history(**settings):
    return plot_history(ITERATION, [0.7, 0.5, 0.25], [0.5, 0.75, 1.0], **settings)


def by_length(lengths=(2, 4, 6, 8), accuracy=(1.0, 0.9, 0.8, 0.6), width=0.05, **settings):
    accuracy = np.array(accuracy)
    high = np.minimum(accuracy + width, 1)
    return plot_accuracy_by_length(np.array(lengths), accuracy, accuracy - width, high, **settings)


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def curve_colors(ax):
    return [to_hex(container[0].get_color()) for container in ax.containers]


def shades(ax):
    return [artist for artist in ax.get_children() if artist.get_gid() == "longer than trained on"]


# The history


def test_history_has_a_panel_for_loss_and_one_for_accuracy():
    loss, accuracy = history()
    assert loss.figure is accuracy.figure
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("loss", "accuracy")
    assert (loss.get_xlabel(), accuracy.get_xlabel()) == ("", "iterations")
    assert loss.get_lines()[0].get_xydata().tolist() == [[500, 0.7], [1000, 0.5], [1500, 0.25]]
    assert accuracy.get_lines()[0].get_xydata().tolist() == [[500, 0.5], [1000, 0.75], [1500, 1.0]]
    assert accuracy.get_ylim() == pytest.approx((0.45, 1.03))


def test_history_shows_the_chance_level():
    _, accuracy = history(chance=0.1)
    assert list(accuracy.get_lines()[1].get_ydata()) == [0.1, 0.1]
    assert legend(accuracy) == ["chance"]
    assert accuracy.get_ylim()[0] == pytest.approx(0.05)


def test_histories_can_be_compared_on_given_axes():
    axes = Figure().subplots(2, 1)
    assert history(axes=axes, chance=0.5).tolist() == axes.tolist()
    plot_history([100], [1.0], [0.2], axes=tuple(axes), chance=0.5)
    assert [len(ax.get_lines()) for ax in axes] == [2, 3]  # chance once
    assert axes[1].get_ylim()[0] == pytest.approx(0.15)


def test_many_reports_are_a_line_without_markers():
    x = np.arange(1, 201)
    assert plot_history(x, x, x / 200)[0].get_lines()[0].get_marker() in ("", "None")
    assert history()[0].get_lines()[0].get_marker() == "o"


def test_a_loss_that_is_not_finite_leaves_a_gap():
    loss, _ = plot_history(ITERATION, [1.0, np.nan, np.inf], [0.5, np.nan, 0.5])
    loss.figure.draw_without_rendering()
    assert np.isfinite(loss.get_ylim()).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 2], [1.0], [1.0]), "iteration, loss, accuracy must be equally long, not 2, 1, 1"),
        (([], [], []), "iteration must be a list of at least one number, not of shape (0,)"),
        (([1], [[1.0]], [1.0]), "loss must be a list of at least one number, not of shape (1, 1)"),
        (([1], ["a"], [1.0]), "loss must be a list of numbers, not ['a']"),
    ],
)
def test_wrong_histories_are_refused(arguments, message):
    with pytest.raises(InvalidArgument) as error:
        plot_history(*arguments)
    assert str(error.value) == message


def test_history_needs_two_axes():
    with pytest.raises(InvalidArgument, match=r"^axes must be two Axes, for loss and accuracy, not 1$"):
        history(axes=Figure().subplots())


# Accuracy by length


def test_epochs_are_drawn_beside_those_of_the_validation():
    columns = {"epoch": [1, 2], "loss": [0.7, 0.5], "accuracy": [0.5, 0.6]}
    kept = {"validation_loss": [0.8, 0.4], "validation_accuracy": [0.4, 0.7]}
    assert [len(panel.get_lines()) for panel in plot_epochs(columns)] == [1, 1]
    loss, accuracy = plot_epochs({**columns, **kept})
    assert [line.get_label() for line in loss.get_lines()] == ["training", "validation"]
    assert accuracy.get_lines()[1].get_ydata().tolist() == [0.4, 0.7]
    assert accuracy.get_xlabel() == "epochs"


def test_epochs_without_a_loss_are_refused():
    with pytest.raises(InvalidArgument, match="history must have epoch, loss and accuracy, but has no loss"):
        plot_epochs({"epoch": [1], "accuracy": [0.5]})


def test_the_epoch_whose_weights_are_kept_is_marked():
    columns = {"epoch": [1, 2, 3], "loss": [0.9, 0.5, 0.4], "accuracy": [0.5, 0.7, 0.8]}
    for panel in plot_epochs(columns, best_epoch=2):
        line = panel.get_lines()[-1]
        assert (line.get_label(), set(line.get_xdata())) == ("weights kept", {2})


def test_every_length_has_a_point_with_its_interval():
    ax = by_length(width=0.05)
    (container,) = ax.containers
    line, _, (bars,) = container
    assert line.get_xydata().tolist() == [[2, 1.0], [4, 0.9], [6, 0.8], [8, 0.6]]
    ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
    np.testing.assert_allclose(ends, [[0.95, 1.0], [0.85, 0.95], [0.75, 0.85], [0.55, 0.65]])
    assert ax.get_xticks().tolist() == [2, 4, 6, 8]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("length of the sequence", "accuracy")
    assert ax.get_legend() is None
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


def test_nothing_is_marked_where_no_length_is_beyond():
    ax = by_length(trained_up_to=8, label="RNN")
    assert shades(ax) == []
    assert legend(ax) == ["RNN"]


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
    assert ax.get_ylim()[0] == pytest.approx(0.2)


def test_each_end_of_training_is_shaded_once():
    ax = by_length(trained_up_to=4)
    by_length(trained_up_to=4, ax=ax)
    by_length(trained_up_to=6, ax=ax)
    assert [shade.get_x() for shade in shades(ax)] == [5, 7]


@given(st.sets(st.integers(1, 300), min_size=1, max_size=150))
def test_there_are_never_too_many_ticks(lengths):
    lengths = np.array(sorted(lengths))
    ax = by_length(lengths, np.full(len(lengths), 0.9), ax=Figure().subplots())
    assert 1 <= len(ax.get_xticks()) <= 20
    assert set(ax.get_xticks()) <= set(lengths)
    left, right = ax.get_xlim()
    assert left < lengths[0]
    assert lengths[-1] < right


def test_an_accuracy_a_hair_outside_its_interval_is_drawn():
    ax = plot_accuracy_by_length([2], [1.0], [0.9], [1.0 - 1e-12])
    ax.figure.draw_without_rendering()


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (([2, 4], [1.0], [0.9], [1.0]), {}, "lengths, accuracy, low, high must be equally long, not 2, 1, 1, 1"),
        (
            ([2, 4], [1.0, 0.5], [0.9, 0.6], [1.0, 0.7]),
            {},
            "accuracy must lie between low and high, but at length 4 it is 0.5, outside 0.6 to 0.7",
        ),
        (([np.nan], [1.0], [0.9], [1.0]), {}, "lengths must be finite float64, but there is nan at [0]"),
        (([2], [1.0], [0.9], [1.0]), {"trained_up_to": 2.5}, "trained_up_to must be an integer, not 2.5"),
        (([2], [1.0], [0.9], [1.0]), {"chance": "half"}, "chance must be a number, not 'half'"),
    ],
)
def test_wrong_accuracies_are_refused(arguments, settings, message):
    with pytest.raises(InvalidArgument) as error:
        plot_accuracy_by_length(*arguments, **settings)
    assert str(error.value) == message


# Files


@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf", ".SVG"])
def test_the_same_data_give_the_same_bytes(tmp_path, suffix):
    first = save_figure(by_length(trained_up_to=4, chance=0.5, label="RNN"), tmp_path / f"a{suffix}").read_bytes()
    ax = by_length(trained_up_to=4, chance=0.5, label="RNN")
    # Nor does it matter what was written before.
    save_figure(ax, tmp_path / "b.png")
    assert save_figure(ax, str(tmp_path / f"b{suffix}")).read_bytes() == first
    assert save_figure(by_length(), tmp_path / f"c{suffix}").read_bytes() != first


def test_another_process_writes_the_same_bytes(tmp_path):
    script = (
        "import sys; from myrnn.plots import plot_history, save_figure\n"
        "save_figure(plot_history([500, 1000, 1500], [0.7, 0.5, 0.25], [0.5, 0.75, 1.0]), sys.argv[1])"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "theirs.svg"], check=True)
    save_figure(history(), tmp_path / "ours.svg")
    written = (tmp_path / "ours.svg").read_text()
    assert (tmp_path / "theirs.svg").read_text() == written
    assert "<dc:date>" not in written
    assert matplotlib.__version__ not in written


def test_a_figure_its_axes_and_an_array_of_axes_can_be_saved(tmp_path):
    axes = history()
    files = [save_figure(what, tmp_path / f"{i}.svg") for i, what in enumerate((axes, axes[1], axes[0].figure))]
    assert len({file.read_bytes() for file in files}) == 1


@pytest.mark.parametrize(
    ("what", "path", "message"),
    [
        ("loss", "a.svg", "fig_or_ax must be a matplotlib Figure or Axes, not str"),
        ([], "a.svg", "fig_or_ax must be a matplotlib Figure or Axes, not list"),
        (Figure(), "a.jpeg", "path must end in .svg, .png or .pdf, not 'a.jpeg'"),
        (Figure(), "a", "path must end in .svg, .png or .pdf, not 'a'"),
        (Figure(), 3, "path must be the name of a file, not 3"),
        (Figure(), "no-such/a.svg", "path must lie in a folder that exists, but 'no-such' does not"),
    ],
)
def test_wrong_files_are_refused(what, path, message):
    with pytest.raises(InvalidArgument) as error:
        save_figure(what, path)
    assert str(error.value) == message


# Where figures live


def test_pyplot_keeps_no_figure_where_nobody_looks():
    before = pyplot.get_fignums()
    history()
    by_length()
    assert pyplot.get_fignums() == before


@pytest.fixture
def kernel(monkeypatch):
    shell = InteractiveShell.instance()
    monkeypatch.setattr(shell, "kernel", object(), raising=False)
    yield
    InteractiveShell.clear_instance()
    pyplot.close("all")


def test_a_notebook_shows_the_figure_under_the_cell(kernel):
    ax = by_length()
    assert ax.figure.number in pyplot.get_fignums()


def test_threads_never_touch_pyplot(kernel):
    axes = []
    thread = threading.Thread(target=lambda: axes.append(by_length()))
    thread.start()
    thread.join()
    assert len(axes) == 1
    assert pyplot.get_fignums() == []


def test_global_settings_are_left_alone(tmp_path):
    before = dict(matplotlib.rcParams)
    save_figure(history(chance=0.5), tmp_path / "a.svg")
    save_figure(by_length(trained_up_to=4, chance=0.5), tmp_path / "a.png")
    assert dict(matplotlib.rcParams) == before
