"""Pictures of a training and of what it led to; matplotlib is loaded only when one is drawn."""

from myrnn.plots._classification import plot_accuracy_by_bucket, plot_calibration, plot_confusion
from myrnn.plots._figures import plot_accuracy_by_length, plot_epochs, plot_history
from myrnn.plots._inside import plot_gradients, plot_probabilities, plot_states
from myrnn.plots._levels import add_class_curves, add_level_curves, plot_level_curves
from myrnn.plots._many import plot_gradient_flow, plot_state_space
from myrnn.plots._matrices import plot_eigenvalues, plot_eigenvalues_each, plot_matrices, plot_matrix
from myrnn.plots._parallel import plot_parallel
from myrnn.plots._save import FIGURE_ENDINGS, save_figure
from myrnn.plots._sweeps import plot_length_bands, plot_setting
from myrnn.plots._transfer import plot_transfer
from myrnn.plots.live import LivePlot, create_plot
from myrnn.plots.logger import LiveLogger

__all__ = [
    "FIGURE_ENDINGS",
    "LiveLogger",
    "LivePlot",
    "add_class_curves",
    "add_level_curves",
    "create_plot",
    "plot_accuracy_by_bucket",
    "plot_accuracy_by_length",
    "plot_calibration",
    "plot_confusion",
    "plot_eigenvalues",
    "plot_eigenvalues_each",
    "plot_epochs",
    "plot_gradient_flow",
    "plot_gradients",
    "plot_history",
    "plot_length_bands",
    "plot_level_curves",
    "plot_matrices",
    "plot_matrix",
    "plot_parallel",
    "plot_probabilities",
    "plot_setting",
    "plot_state_space",
    "plot_states",
    "plot_transfer",
    "save_figure",
]
