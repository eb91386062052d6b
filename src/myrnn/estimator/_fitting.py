"""A fit, epoch by epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn._user_code import warn
from myrnn.errors import NotFinite, TrainingDiverged
from myrnn.models import parameters_of
from myrnn.training import Curve, Display, Training, progress_display


@dataclass
class Epochs:
    """What every epoch came to.

    Attributes
    ----------
    loss, accuracy : list of float
        The means over the sequences of the training, each before the model learned from it.
    validation_loss, validation_accuracy : list of float
        On the sequences that the model does not learn from, after the epoch; empty where there are none.
    """

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what there is as arrays (epochs,), beside the number of each epoch, from 1."""
        columns = {name: np.array(values) for name, values in vars(self).items() if values}
        return {"epoch": np.arange(1, len(self.loss) + 1), **columns}


class EpochProgress:
    """Shows how far a fit has come: iterations, the time left, and what the last epochs came to. A training's hook.

    Parameters
    ----------
    show : bool
    iterations : int
        How many there are in all, if no patience ends.
    """

    def __init__(self, show: bool, iterations: int) -> None:
        self._show, self._iterations = show, iterations
        self._display: Display | None = None
        self._curves: tuple[Curve, ...] = ()
        self._iteration = 0

    def begin(self) -> None:
        """Show that the training begins: what came before, such as compiling the model, is not in its time."""
        self._display = progress_display(self._show, "training", self._iterations, "iterations")

    def on_progress(self, iteration: int) -> None:
        """Show the number of iterations done."""
        self._iteration = iteration
        if self._display is not None:
            self._display.update(iteration, self._curves)

    def after(self, epochs: Epochs) -> None:
        """Show what the epochs came to."""
        shown = epochs.validation_accuracy or epochs.accuracy
        name = "validation accuracy" if epochs.validation_accuracy else "accuracy"
        self._curves = (
            Curve(f"epoch {len(epochs.loss)}  loss {epochs.loss[-1]:.4f}", epochs.loss),
            Curve(f"{name} {shown[-1]:.1%}", shown),
        )
        self.on_progress(self._iteration)

    def close(self) -> None:
        """Leave the last state."""
        if self._display is not None:
            self._display.close()


class Fit:
    """Takes a model through epochs, and leaves it with the weights of the best one.

    Parameters
    ----------
    model : callable
    training : Training
        Of the model.
    per_epoch : int
        How many iterations an epoch takes.
    validate : callable, optional
        Returns loss and accuracy on sequences that the model does not learn from; the best epoch is the one with the
        smallest loss there. Without it the last one counts.
    patience : int, optional
        After how many epochs without a smaller loss to stop.
    """

    def __init__(
        self,
        model: Any,
        training: Training,
        per_epoch: int,
        validate: Callable[[], tuple[float, float]] | None,
        patience: int | None,
    ) -> None:
        self._parameters = parameters_of(model)
        self._training, self._per_epoch, self._validate, self._patience = training, per_epoch, validate, patience
        self.epochs, self.best_epoch = Epochs(), 0
        self._best: tuple[float, list[NDArray[Any]]] = (np.inf, [])

    def run(self, max_epochs: int, progress: EpochProgress, obey: Callable[[], None]) -> None:
        """Do epochs until the last one, until patience ends, or until the user interrupts.

        Parameters
        ----------
        max_epochs : int
        progress : EpochProgress
        obey : callable
            Called where an epoch is whole; raises KeyboardInterrupt when the user has interrupted meanwhile.

        Raises
        ------
        KeyboardInterrupt
            When the first epoch is interrupted. Later, a warning says so, and the fit ends as it would at its end.
        """
        try:
            while len(self.epochs.loss) < max_epochs and not self._is_over():
                self._epoch()
                progress.after(self.epochs)
                obey()
        except KeyboardInterrupt:
            if not self.best_epoch:
                raise
            warn(
                f"fit was interrupted in epoch {len(self.epochs.loss) + 1}: the model is that of epoch "
                f"{self.best_epoch}, and can be used"
            )
        for parameter, weights in zip(self._parameters, self._best[1], strict=True):
            parameter.data[...] = weights

    def _is_over(self) -> bool:
        return self._patience is not None and len(self.epochs.loss) - self.best_epoch >= self._patience

    def _epoch(self) -> None:
        losses, correct = self._training.advance(self._per_epoch)
        loss, accuracy = float(losses.mean()), float(correct.sum()) / (len(losses) * self._training.batch_size)
        found = None if self._validate is None else self._validated(self._validate)
        # Nothing of an epoch counts before all of it is there: an interrupt may come at any time.
        best = (-float(len(self.epochs.loss)) if found is None else found[0], [p.data.copy() for p in self._parameters])
        self.epochs.loss.append(loss)
        self.epochs.accuracy.append(accuracy)
        if found is not None:
            self.epochs.validation_loss.append(found[0])
            self.epochs.validation_accuracy.append(found[1])
        if best[0] < self._best[0]:
            self._best, self.best_epoch = best, len(self.epochs.loss)

    def _validated(self, validate: Callable[[], tuple[float, float]]) -> tuple[float, float]:
        try:
            return validate()
        except NotFinite as error:
            epoch = len(self.epochs.loss) + 1
            raise TrainingDiverged(f"after epoch {epoch} {error}; a smaller learning rate helps") from None
