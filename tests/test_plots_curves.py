import numpy as np
import pytest
from matplotlib.figure import Figure

from myrnn.errors import InvalidArgument
from myrnn.learning_curve import LearningCurve
from myrnn.plots import plot_learning_curve

ITERATION = [500, 1000, 1500]


def drawn(iteration, loss, accuracy, chance=None, **settings):
    columns = (np.array(values) for values in (iteration, loss, accuracy))
    return plot_learning_curve(LearningCurve(*columns, chance=chance), **settings)


def history(**settings):
    return drawn(ITERATION, [0.7, 0.5, 0.25], [0.5, 0.75, 1.0], **settings)


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


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
    drawn([100], [1.0], [0.2], axes=tuple(axes), chance=0.5)
    assert [len(ax.get_lines()) for ax in axes] == [2, 3]  # chance once
    assert axes[1].get_ylim()[0] == pytest.approx(0.15)


def test_many_reports_are_a_line_without_markers():
    x = np.arange(1, 201)
    assert drawn(x, x, x / 200)[0].get_lines()[0].get_marker() in ("", "None")
    assert history()[0].get_lines()[0].get_marker() == "o"


def test_a_loss_that_is_not_finite_leaves_a_gap():
    loss, _ = drawn(ITERATION, [1.0, np.nan, np.inf], [0.5, np.nan, 0.5])
    loss.figure.draw_without_rendering()
    assert np.isfinite(loss.get_ylim()).all()


def test_history_needs_two_axes():
    with pytest.raises(InvalidArgument, match=r"^axes must be two Axes, for loss and accuracy, not 1$"):
        history(axes=Figure().subplots())


def test_every_training_has_a_distinct_style():
    axes, x = None, np.arange(3.0)
    for k in range(9):
        axes = drawn(x, x + k, x / 3, axes=axes, label=f"run {k}", chance=0.5)
    for ax in axes:
        looks = [(line.get_color(), line.get_linestyle()) for line in ax.get_lines() if line.get_gid() == "training"]
        assert len(set(looks)) == 9
    assert [text.get_text() for text in axes[0].get_legend().get_texts()] == [f"run {k}" for k in range(9)]
    assert [text.get_text() for text in axes[1].get_legend().get_texts()] == ["chance"]


def test_epochs_are_drawn_with_those_of_the_validation():
    columns = {"epoch": [1, 2], "loss": [0.7, 0.5], "accuracy": [0.5, 0.6]}
    kept = {"validation_loss": [0.8, 0.4], "validation_accuracy": [0.4, 0.7]}
    assert [len(panel.get_lines()) for panel in plot_learning_curve(LearningCurve.from_columns(columns))] == [1, 1]
    loss, accuracy = plot_learning_curve(LearningCurve.from_columns({**columns, **kept}))
    assert [line.get_label() for line in loss.get_lines()] == ["training", "validation"]
    assert accuracy.get_lines()[1].get_ydata().tolist() == [0.4, 0.7]
    assert accuracy.get_xlabel() == "epochs"


def test_the_epoch_of_the_kept_weights_is_marked():
    columns = {"epoch": [1, 2, 3], "loss": [0.9, 0.5, 0.4], "accuracy": [0.5, 0.7, 0.8]}
    for panel in plot_learning_curve(LearningCurve.from_columns(columns), best_epoch=2):
        line = panel.get_lines()[-1]
        assert (line.get_label(), set(line.get_xdata())) == ("weights kept", {2})


def test_a_learning_curve_draws_itself():
    curve = LearningCurve(np.array([1, 2]), np.array([0.7, 0.5]), np.array([0.5, 0.6]), chance=0.25, unit="epoch")
    loss, accuracy = plot_learning_curve(curve, label="mine")
    assert [line.get_ydata().tolist() for line in loss.get_lines()] == [[0.7, 0.5]]
    assert (legend(loss), legend(accuracy)) == (["mine"], ["chance"])
    kept = {"validation_loss": np.array([0.8, 0.4]), "validation_accuracy": np.array([0.4, 0.7])}
    axes = LearningCurve.from_columns({**curve.columns, **kept}).plot()
    assert legend(axes[0]) == ["training", "validation"]
    LearningCurve.from_columns({**curve.columns, **kept}).plot(axes=axes, label="other")
    assert legend(axes[0]) == ["training", "validation", "other", "other, validation"]
