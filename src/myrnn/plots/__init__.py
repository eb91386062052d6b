"""Pictures of a training and of what it led to; matplotlib is loaded only when one is drawn."""

from myrnn.plots._figures import plot_accuracy_by_length, plot_history
from myrnn.plots._live import LivePlot, create_plot
from myrnn.plots._logger import LiveLogger
from myrnn.plots._save import save_figure

__all__ = ["LiveLogger", "LivePlot", "create_plot", "plot_accuracy_by_length", "plot_history", "save_figure"]
