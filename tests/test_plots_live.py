import base64
import io
import threading
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from myrnn import RNN, Adam, tasks, train
from myrnn.errors import InvalidArgument
from myrnn.plots import LivePlot, create_plot, live
from myrnn.plots.live import NoScreen, NotebookScreen, WindowScreen, find_screen


class Screen(NoScreen):
    """Counts its pictures; each drawing takes `cost` seconds of a clock that otherwise stands still."""

    live = True

    def __init__(self, cost=0.1):
        self.now, self.cost, self.drawn, self.spent, self.shown = 100.0, cost, 0, 0.0, 0

    def update(self, figure):
        self.drawn += 1
        self.spent += self.cost
        self.now += self.cost

    def show(self, figure):
        self.shown += 1


@pytest.fixture
def live_plot(monkeypatch):
    """Return a function that creates a plot with such a screen and its clock."""

    def make(metrics=("loss", "accuracy"), fraction=0.05, cost=0.1, **settings):
        screen = Screen(cost)
        monkeypatch.setattr(live, "find_screen", lambda: screen)
        monkeypatch.setattr(live, "perf_counter", lambda: screen.now)
        plotter = LivePlot(metrics, fraction, **settings)
        return plotter, screen

    return make


def line_values(ax, number):
    """The vertical values of a panel's line: 0 batches, 1 training epochs, 2 test epochs."""
    return list(ax.get_lines()[number].get_ydata())


def legend(ax):
    return [text.get_text().strip() for text in ax.get_legend().get_texts()]


# How often it draws


def test_drawing_keeps_to_the_requested_fraction_of_the_time(live_plot):
    plotter, screen = live_plot("loss", fraction=0.05, cost=0.1)
    for _ in range(2_000):
        screen.now += 0.05
        plotter.set_train_batch({"loss": 1.0}, batch_size=1)
    elapsed = screen.now - 100.0
    assert screen.spent - screen.cost <= 0.05 * elapsed  # the last drawing is not paid for yet
    assert screen.spent >= 0.045 * elapsed  # and it uses its share


@given(
    fraction=st.floats(0.01, 0.9),
    steps=st.lists(st.tuples(st.floats(0.0, 5.0), st.floats(0.0, 0.5)), min_size=1, max_size=60),
)
def test_every_drawing_is_paid_for_before_the_next(fraction, steps):
    screen = Screen()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "find_screen", lambda: screen)
        patch.setattr(live, "perf_counter", lambda: screen.now)
        plotter = LivePlot("loss", fraction)
        begin, spent = screen.now, 0.0
        for idle, screen.cost in steps:
            screen.now += idle
            before = screen.drawn
            plotter.set_train_epoch()
            if screen.drawn > before and before:
                assert spent <= fraction * (screen.now - screen.cost - begin) + 1e-9
            spent = screen.spent
            if not before:
                begin = screen.now - screen.cost


def test_the_first_record_and_an_explicit_plot_always_draw(live_plot):
    plotter, screen = live_plot("loss", fraction=0.001, cost=10.0)
    plotter.set_train_batch({"loss": 1.0}, batch_size=1)
    assert screen.drawn == 1
    plotter.set_train_batch({"loss": 1.0}, batch_size=1)
    plotter.set_train_epoch()
    assert screen.drawn == 1
    plotter.plot()
    assert screen.drawn == 2


def test_a_pause_does_not_allow_more_drawing_later(live_plot):
    plotter, screen = live_plot("loss", fraction=0.05, cost=0.1)
    plotter.set_train_epoch()
    screen.now += 3600.0
    for _ in range(100):
        screen.now += 0.01
        plotter.set_train_epoch()
    assert screen.drawn == 2


def test_fraction_0_draws_only_on_request_and_1_always(live_plot):
    plotter, screen = live_plot("loss", fraction=0.0)
    plotter.set_train_epoch()
    plotter.on_train_begin(SimpleNamespace(iterations=1000))
    assert screen.drawn == 0
    plotter.max_fraction_spent_plotting = 1.0
    plotter.set_train_epoch()
    plotter.set_test_epoch()
    assert screen.drawn == 2


# What is drawn


def test_the_lesson_draws_epoch_means_and_no_batches(live_plot):
    plotter, _ = live_plot(fraction=1.0)
    _, (loss, accuracy) = plotter.plot_objects
    for k in range(6):
        plotter.set_train_batch({"loss": float(k), "accuracy": 1.0}, batch_size=1, plot=False)
        assert plotter.screen.drawn == k // 3
        if k % 3 == 2:
            plotter.set_train_epoch()
    assert line_values(loss, 0) == []
    assert line_values(loss, 1) == [1.0, 4.0]
    assert line_values(accuracy, 1) == [1.0, 1.0]
    assert list(loss.get_lines()[1].get_xdata()) == [3.0, 6.0]
    assert legend(loss) == ["train 4"]
    assert (loss.get_title(loc="left"), accuracy.get_title(loc="left")) == ("loss", "accuracy")
    assert (loss.get_xlabel(), accuracy.get_xlabel()) == ("", "iterations")


def test_batches_training_epochs_and_test_epochs_are_distinguished(live_plot):
    plotter, _ = live_plot("loss", fraction=1.0)
    _, ax = plotter.plot_objects
    plotter.set_train_batch({"loss": 2.0}, batch_size=1)
    plotter.set_train_batch({"loss": 1.0}, batch_size=1)
    plotter.set_train_epoch()
    plotter.set_test_batch({"loss": 3.0}, batch_size=1)
    plotter.set_test_epoch()
    assert [line_values(ax, i) for i in range(3)] == [[2.0, 1.0], [1.5], [3.0]]
    assert legend(ax) == ["each batch", "train 1.5", "test 3"]
    batches, training, test = ax.get_lines()
    assert batches.get_alpha() < 1
    assert training.get_linestyle() != test.get_linestyle()
    assert training.get_marker() != test.get_marker()
    assert to_hex(training.get_color()) != to_hex(test.get_color())


def test_plot_draws_batches_like_the_last_record_or_as_requested(live_plot):
    plotter, _ = live_plot("loss")
    _, ax = plotter.plot_objects
    plotter.set_train_batch({"loss": 2.0}, batch_size=1, plot=False)
    plotter.plot()
    assert line_values(ax, 0) == []
    plotter.plot(plot_batches=True)
    assert line_values(ax, 0) == [2.0]


def test_last_n_batches_limits_all_lines(live_plot):
    plotter, _ = live_plot("loss", last_n_batches=3)
    _, ax = plotter.plot_objects
    for k in range(10):
        plotter.set_train_batch({"loss": float(k)}, batch_size=1)
        plotter.set_train_epoch()
    plotter.plot()
    assert line_values(ax, 0) == line_values(ax, 1) == [7.0, 8.0, 9.0]
    left, right = ax.get_xlim()
    assert 6.5 < left <= 8.0
    assert 10.0 <= right < 10.5


def test_values_that_are_not_finite_leave_gaps(live_plot):
    plotter, _ = live_plot("loss")
    fig, ax = plotter.plot_objects
    for value in (1.0, np.nan, np.inf, 2.0):
        plotter.set_train_batch({"loss": value}, batch_size=1)
        plotter.set_train_epoch()
    plotter.plot()
    fig.savefig(io.BytesIO(), format="png")
    low, high = ax.get_ylim()
    assert 0.5 < low < 1.0
    assert 2.0 < high < 2.5


def test_an_empty_plot_takes_the_limits_of_later_values(live_plot):
    plotter, _ = live_plot("loss")
    _, ax = plotter.plot_objects
    assert ax.get_ylim() == (0.0, 1.0)
    for value in (40.0, 60.0):
        plotter.set_train_batch({"loss": value}, batch_size=1)
    plotter.plot()
    assert ax.get_ylim() == pytest.approx((39.0, 61.0))


# Arguments


def test_the_grid_agrees_with_subplots():
    assert isinstance(LivePlot("loss").plot_objects[1], Axes)
    assert LivePlot(["a", "b"]).plot_objects[1].shape == (2,)
    fig, axes = LivePlot(["a", "b", "c"], ncols=2, figsize=(8, 6)).plot_objects
    assert axes.shape == (2, 2)
    assert len(fig.axes) == 3
    assert tuple(fig.get_size_inches()) == (8, 6)
    assert LivePlot(["a"], nrows=2).plot_objects[1].shape == (2,)


def test_colours_can_be_given():
    plotter = LivePlot({"loss": "red", "accuracy": {"test": "#00ff00"}, "f1": None})
    colors = [[to_hex(line.get_color()) for line in ax.get_lines()] for ax in plotter.plot_objects[1]]
    blue, vermillion = "#0072b2", "#d55e00"
    assert colors == [["#ff0000", "#ff0000", vermillion], [blue, blue, "#00ff00"], [blue, blue, vermillion]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metrics": []}, "metrics must name at least one metric"),
        ({"max_fraction_spent_plotting": 1.5}, "max_fraction_spent_plotting must be at most 1, not 1.5"),
        ({"max_fraction_spent_plotting": "no"}, "max_fraction_spent_plotting must be a number, not 'no'"),
        ({"max_fraction_spent_plotting": -0.1}, "max_fraction_spent_plotting must be at least 0.0, not -0.1"),
        ({"last_n_batches": 0}, "last_n_batches must be at least 1, not 0"),
        ({"nrows": 0}, "nrows must be at least 1, not 0"),
        ({"ncols": 1.5}, "ncols must be an integer, not 1.5"),
        ({"figsize": 3}, "figsize must be a width and a height in inches, not 3"),
        ({"figsize": (3, 0)}, "figsize's height must be above 1, not 0.0"),
        ({"figsize": (1, 1)}, "figsize's width must be above 1, not 1.0"),
        ({"metrics": {"loss": "blau"}}, "the colour of 'loss' must be one of matplotlib's, not 'blau'"),
        (
            {"metrics": {"loss": {"tests": "red"}}},
            "the split of 'loss''s colour must be one of 'train', 'test', not 'tests'; did you mean 'test'?",
        ),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(InvalidArgument) as error:
        create_plot(**{"metrics": "loss", **arguments})
    assert str(error.value) == message


def test_an_unknown_metric_is_refused(live_plot):
    plotter, _ = live_plot()
    with pytest.raises(InvalidArgument, match=r"^every metric must be one of 'loss', 'accuracy', not 'acc'"):
        plotter.set_train_batch({"loss": 1.0, "acc": 1.0}, batch_size=1)
    assert plotter.train_metrics == {}


# Saving


def test_save_writes_the_whole_record(tmp_path, live_plot):
    plotter, _ = live_plot("loss", fraction=0.0)
    plotter.set_train_batch({"loss": 1.0}, batch_size=1)
    assert plotter.save(tmp_path / "a.png") == tmp_path / "a.png"
    assert line_values(plotter.plot_objects[1], 0) == [1.0]
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (1280, 510)


# As a hook of training


def report(iteration, loss=0.5, accuracy=0.75, sequences=500):
    return SimpleNamespace(iteration=iteration, loss=loss, accuracy=accuracy, sequences=sequences)


def test_reports_are_drawn_at_their_iterations(live_plot):
    plotter, _ = live_plot(fraction=1.0)
    for _ in range(2):
        plotter.on_train_begin(None)
        plotter.on_report(report(500))
        plotter.on_report(report(800, loss=0.25, sequences=300))
        plotter.on_train_end(None)
    record = plotter.train_metrics
    assert record["loss"]["epoch_domain"].tolist() == [500.0, 800.0, 1300.0, 1600.0]
    assert record["loss"]["epoch_data"].tolist() == [0.5, 0.25, 0.5, 0.25]
    assert record["accuracy"]["epoch_data"].tolist() == [0.75] * 4
    assert line_values(plotter.plot_objects[1][0], 0) == []
    assert plotter.screen.drawn == 2 * (1 + 2 + 1)  # the axes, two reports, the end


def test_one_metric_is_enough(live_plot):
    plotter, _ = live_plot("accuracy")
    plotter.on_report(report(500))
    assert list(plotter.train_metrics) == ["accuracy"]


def test_a_metric_that_training_does_not_report_is_refused(live_plot):
    plotter, _ = live_plot(["loss", "f1", "recall"])
    message = (
        r"^training reports loss and accuracy, but the plot was created for f1, recall too; "
        r"use create_plot\(\['loss', 'accuracy'\]\)$"
    )
    with pytest.raises(InvalidArgument, match=message):
        plotter.on_report(report(500))


def test_training_updates_the_plot():
    plotter, _, axes = create_plot(["loss", "accuracy"])
    model = RNN(10, 4, 2)
    history = train(model, tasks.TwinHalves(1, 2), Adam(model.parameters), 60, report_every=20, hooks=[plotter])
    np.testing.assert_allclose(line_values(axes[0], 1), history.loss, rtol=1e-12)
    np.testing.assert_allclose(plotter.train_metrics["accuracy"]["epoch_domain"], history.iteration)


def test_the_axes_extend_to_the_last_iteration_from_the_start(live_plot):
    plotter, screen = live_plot()
    for _ in range(2):
        plotter.on_train_begin(SimpleNamespace(iterations=10_000))
    assert screen.drawn == 2
    plotter.on_report(report(500))
    for ax in plotter.plot_objects[1]:
        assert ax.get_xlim() == pytest.approx((-200, 10_200))
    plotter.on_train_end(None)
    assert plotter.plot_objects[1][0].get_xlim() == pytest.approx((-10, 510))


def test_a_training_of_a_second_is_drawn_before_it_ends(live_plot):
    plotter, screen = live_plot(fraction=0.05, cost=0.04)
    plotter.on_train_begin(SimpleNamespace(iterations=100_000))
    for k in range(200):
        screen.now += 0.005
        plotter.on_report(report(500 * (k + 1)))
    assert screen.drawn == 3  # the axes, the first report and one more
    plotter.on_train_end(None)
    assert screen.drawn == 4


def test_limits_and_legends_of_the_user_are_kept(live_plot):
    plotter, _ = live_plot("loss", fraction=1.0)
    _, ax = plotter.plot_objects
    ax.set_ylim(0.1, 10)
    ax.set_yscale("log")
    ax.legend(["mine"])
    plotter.on_train_begin(SimpleNamespace(iterations=1000))
    plotter.on_report(report(500, loss=50.0))
    plotter.on_train_end(None)
    assert ax.get_ylim() == (0.1, 10)
    assert legend(ax) == ["mine"]


# Screens


@pytest.fixture
def shell(monkeypatch):
    """An IPython shell that acts as the kernel of a notebook; its ``outputs`` are the messages to a front end."""
    shell = InteractiveShell.instance()
    monkeypatch.setattr(shell, "display_pub", CapturingDisplayPublisher())
    monkeypatch.setattr(shell, "kernel", object(), raising=False)
    yield shell.display_pub
    InteractiveShell.clear_instance()


def picture(output):
    return Image.open(io.BytesIO(base64.b64decode(output["data"]["image/png"])))


def test_a_notebook_gets_one_output_that_is_updated(shell):
    plotter, fig, _ = create_plot(["loss", "accuracy"], max_fraction_spent_plotting=1.0)
    assert isinstance(plotter.screen, NotebookScreen)
    plotter.set_train_batch({"loss": 1.0, "accuracy": 1.0}, batch_size=1)
    plotter.plot()
    assert [output["update"] for output in shell.outputs] == [False, True, True]
    assert len({output["transient"]["display_id"] for output in shell.outputs}) == 1
    assert picture(shell.outputs[0]).size == (640, 460)
    assert picture(shell.outputs[0]).tobytes() != picture(shell.outputs[1]).tobytes()
    assert fig not in open_figures()


def test_show_moves_the_picture_to_the_calling_cell(shell):
    plotter, *_ = create_plot("loss")
    plotter.show()
    plotter.plot()
    assert [output["update"] for output in shell.outputs] == [False, False, True]
    assert len({output["transient"]["display_id"] for output in shell.outputs[1:]}) == 1


def open_figures():
    from matplotlib import pyplot

    return [pyplot.figure(number) for number in pyplot.get_fignums()]


def test_without_a_screen_it_only_records(monkeypatch):
    plotter, fig, ax = create_plot("loss", max_fraction_spent_plotting=1.0)
    assert isinstance(plotter.screen, NoScreen)
    assert isinstance(fig, Figure)
    plotter.set_train_batch({"loss": 1.0}, batch_size=1)
    assert line_values(ax, 0) == []
    plotter.plot()
    plotter.show()
    assert line_values(ax, 0) == [1.0]
    assert open_figures() == []


class WindowFigure(Figure):
    number = 1  # as returned by pyplot


class Window:
    """Replaces a window of matplotlib, and logs its calls."""

    def __init__(self, monkeypatch):
        from matplotlib import pyplot

        self.calls, self.open = [], True
        monkeypatch.setattr(pyplot, "get_backend", lambda: "TkAgg")
        monkeypatch.setattr(pyplot, "figure", self.figure)
        monkeypatch.setattr(pyplot, "fignum_exists", lambda number: self.open)
        monkeypatch.setattr(pyplot, "show", lambda: self.calls.append("block"))

    def figure(self, **settings):
        figure = WindowFigure(**settings)
        figure.show = lambda: self.calls.append("show")
        figure.canvas.draw_idle = lambda: self.calls.append("draw")
        figure.canvas.flush_events = lambda: self.calls.append("flush")
        return figure


def test_a_window_is_opened_once_and_drawn_into(monkeypatch):
    window = Window(monkeypatch)
    plotter, *_ = create_plot("loss")
    assert isinstance(plotter.screen, WindowScreen)
    plotter.plot()
    plotter.show()
    assert window.calls == ["show", "draw", "flush", "draw", "flush", "block"]


def test_a_window_that_was_closed_stays_closed(monkeypatch):
    window = Window(monkeypatch)
    plotter, *_ = create_plot("loss")
    window.calls.clear()
    window.open = False
    plotter.set_train_batch({"loss": 1.0}, batch_size=1)
    plotter.plot()
    plotter.show()
    assert window.calls == []
    assert plotter.train_metrics["loss"]["batch_data"].tolist() == [1.0]


def test_threads_get_no_window(monkeypatch):
    Window(monkeypatch)
    found = []
    thread = threading.Thread(target=lambda: found.append(find_screen()))
    thread.start()
    thread.join()
    assert [type(screen) for screen in found] == [NoScreen]


def test_global_settings_are_not_changed(tmp_path):
    before = dict(matplotlib.rcParams)
    plotter, *_ = create_plot("loss")
    plotter.plot()
    plotter.save(tmp_path / "a.svg")
    assert dict(matplotlib.rcParams) == before
