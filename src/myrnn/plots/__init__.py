"""Figures of a training and of its results; Matplotlib is loaded only when a figure is drawn.

In the order in which results arise: `style` (common look, legends, files); `logger` and `live` (a training in
progress); `curves` (a finished one); `lengths`, `classification`, `steps` and `texts` (its tests); `inside`, `matrices`
and `automata` (the inside of a model); `sweeps` (many runs).

A plot function takes a result, or numbers if there is no result. It draws into the Matplotlib Axes `ax`, or several
`axes`, by default those of a new figure, and returns them. A notebook shows the figure. A script writes it to a file
with `save_figure`; or it imports ``matplotlib.pyplot`` before drawing, and calls ``pyplot.show()``. `draws` registers a
function as a figure of a kind of result, whose method ``plot`` then calls it.
"""

from myrnn.plots.automata import plot_automaton
from myrnn.plots.classification import plot_calibration, plot_confusion, plot_transfer
from myrnn.plots.curves import plot_learning_curve, plot_learning_curves
from myrnn.plots.inside import plot_gradient_flow, plot_gradients, plot_probabilities, plot_state_space, plot_states
from myrnn.plots.lengths import Panel, plot_accuracy_by_length, plot_length_bands, plot_length_grid, plot_shortcuts
from myrnn.plots.live import LivePlot, create_plot
from myrnn.plots.logger import LiveLogger
from myrnn.plots.matrices import plot_eigenvalues, plot_eigenvalues_each, plot_matrices, plot_matrix
from myrnn.plots.steps import plot_by_position, plot_forecast
from myrnn.plots.style import FIGURE_ENDINGS, save_figure
from myrnn.plots.sweeps import plot_parallel, plot_setting
from myrnn.plots.texts import plot_text_activations, plot_text_probabilities

__all__ = [
    "FIGURE_ENDINGS",
    "LiveLogger",
    "LivePlot",
    "Panel",
    "create_plot",
    "plot_accuracy_by_length",
    "plot_automaton",
    "plot_by_position",
    "plot_calibration",
    "plot_confusion",
    "plot_eigenvalues",
    "plot_eigenvalues_each",
    "plot_forecast",
    "plot_gradient_flow",
    "plot_gradients",
    "plot_learning_curve",
    "plot_learning_curves",
    "plot_length_bands",
    "plot_length_grid",
    "plot_matrices",
    "plot_matrix",
    "plot_parallel",
    "plot_probabilities",
    "plot_setting",
    "plot_shortcuts",
    "plot_state_space",
    "plot_states",
    "plot_text_activations",
    "plot_text_probabilities",
    "plot_transfer",
    "save_figure",
]
