"""What shows how far a fit has come, epoch by epoch."""

from __future__ import annotations

from typing import Any

from myrnn.training import Curve, Display, Report, TrainingStart, Validation, progress_display


class EpochProgress:
    """Shows iterations, the time left, and what the last epochs came to. A training's hook.

    Parameters
    ----------
    show : bool
    iterations : int
        How many there are in all, if no patience ends.
    validation : Validation
    """

    def __init__(self, show: bool, iterations: int, validation: Validation) -> None:
        self._show, self._iterations, self._validation = show, iterations, validation
        self._display: Display | None = None
        self._curves: tuple[Curve, ...] = ()
        self._losses: list[float] = []
        self._accuracies: list[float] = []

    def on_train_begin(self, start: TrainingStart) -> None:
        """Show that the training begins: what came before, such as compiling the model, is not in its time."""
        self._display = progress_display(self._show, "training", self._iterations, "iterations")
        self.on_progress(start.iteration)

    def on_progress(self, iteration: int) -> None:
        """Show the number of iterations done."""
        if self._display is not None:
            self._display.update(iteration, self._curves)

    def on_reported(self, report: Report) -> None:
        """Show what the epochs came to."""
        self._losses.append(report.loss)
        self._accuracies.append(report.accuracy)
        validated = self._validation.columns["validation_accuracy"]
        shown, name = (validated, "validation accuracy") if validated else (self._accuracies, "accuracy")
        self._curves = (
            Curve(f"epoch {self._validation.reports}  loss {report.loss:.4f}", self._losses),
            Curve(f"{name} {shown[-1]:.1%}", shown),
        )
        self.on_progress(report.iteration)

    def on_train_end(self, history: Any) -> None:
        """Leave the last state."""
        if self._display is not None:
            self._display.close()
