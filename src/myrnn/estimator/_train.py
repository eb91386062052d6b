"""A new model, trained by the settings of a classifier."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn._user_code import warn
from myrnn.data import UNKNOWN, ClassLabels, SequenceEncoder, Vocabulary
from myrnn.errors import InvalidArgument, TrainingDiverged
from myrnn.estimator._loss import class_weights, loss_and_accuracy, scores_of
from myrnn.estimator._models import check_memory, embedding_size, make_model, no_input, orthogonal
from myrnn.evaluation import Classifier
from myrnn.registry import make
from myrnn.sequences import Sequences
from myrnn.training import (
    Checkpoint,
    Curve,
    Display,
    Report,
    Training,
    TrainingStart,
    Validation,
    held_interrupts,
    load_checkpoint,
    named_schedule,
    progress_display,
)

# What else helps where a training diverges.
BOUNDED = "; an RNN's states may grow beyond all bounds on long sequences, those of a GRU or an LSTM do not"


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training leaves.

    Attributes
    ----------
    model : callable
        With the weights of its best epoch.
    predictor : Classifier
        What says the model's scores.
    history : dict of ndarray (epochs,)
    best_epoch : int
        From 1.
    """

    model: Any
    predictor: Classifier
    history: dict[str, NDArray[Any]]
    best_epoch: int


def train_model(
    settings: Any,
    encoder: SequenceEncoder,
    labels: ClassLabels,
    sequences: Sequences,
    validation: NDArray[np.bool_],
    rng: np.random.Generator,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Make a model and train it.

    Parameters
    ----------
    settings : SequenceClassifier
        Its settings count, and nothing else of it; nothing of it is changed.
    encoder : SequenceEncoder
        That the sequences come from.
    labels : ClassLabels
    sequences : Sequences
        All of them, with the numbers of their classes as labels.
    validation : ndarray, bool (N,)
        Which of them to watch the training on; it learns from the others.
    rng : numpy.random.Generator
        Draws the weights, and seeds the order of the sequences.
    checkpoint : Checkpoint, optional
        Keeps the state of the training; where its folder holds one already, the training goes on from there.

    Raises
    ------
    TrainingDiverged
        When the loss is no longer finite.
    KeyboardInterrupt
        When the user interrupts before there is an epoch whose weights could be kept.
    """
    model = _model(settings, encoder, len(labels), rng)
    weights = class_weights(settings.class_weight, labels, sequences.labels)
    learned, kept = sequences.select(~validation), sequences.select(validation)
    batch = min(settings.batch_size, len(learned))
    per_epoch = -(-len(learned) // batch)
    iterations = settings.max_epochs * per_epoch
    # By its scores the network is watched now and used later.
    predictor = Classifier(model, settings.engine)
    measure = partial(loss_and_accuracy, predictor, kept, weights) if len(kept) else None
    watched = Validation(model, measure, settings.early_stopping_patience)
    progress = EpochProgress(bool(settings.verbose), iterations, watched)
    try:
        # Also while the model is compiled: MyGrad's finalizers would swallow Ctrl-C there.
        with held_interrupts():
            training = Training(
                model,
                learned,
                make(
                    "optimizer",
                    settings.optimizer,
                    params=model.parameters,
                    learning_rate=settings.learning_rate,
                    weight_decay=settings.weight_decay,
                ),
                batch,
                int(rng.integers(2**31)),
                engine=settings.engine,
                report_every=per_epoch,
                schedule=named_schedule(settings.schedule, settings.learning_rate, iterations),
                gradient_clip=settings.gradient_clip,
                class_weight=weights,
                hooks=[watched, progress, *([] if checkpoint is None else [checkpoint])],
            )
            if checkpoint is not None and (state := load_checkpoint(checkpoint.folder)) is not None:
                training.restore(state)
                _check_epochs(training, watched, settings, per_epoch)
            if measure is not None:
                # Compile before there is a progress bar, for a compilation shows a line of its own.
                scores_of(predictor, kept[:2])
        if training.iteration < iterations:
            training.run(iterations - training.iteration)
    except KeyboardInterrupt:
        if not watched.best:
            raise
        warn(
            f"fit was interrupted in epoch {watched.reports + 1}: the model is that of epoch {watched.best}, "
            "and can be used"
        )
    except TrainingDiverged as error:
        raise TrainingDiverged(f"{error}{BOUNDED if settings.cell == 'rnn' else ''}") from None
    watched.use_best()
    return Trained(model, predictor, _history(training, watched), watched.best)


def _check_epochs(training: Training, watched: Validation, settings: Any, per_epoch: int) -> None:
    """See that a training that goes on has something left to do."""
    done = training.iteration // per_epoch
    if done > settings.max_epochs:
        raise InvalidArgument(f"max_epochs must be at least {done}, which have been done, not {settings.max_epochs}")
    if watched.is_over and done < settings.max_epochs:
        warn(
            f"the training ended after {settings.early_stopping_patience} epochs without a smaller validation loss: "
            "a larger early_stopping_patience lets it go on"
        )


def _history(training: Training, validation: Validation) -> dict[str, NDArray[Any]]:
    """Return what every whole epoch came to, as arrays."""
    found = training.history
    columns = {"loss": found.loss, "accuracy": found.accuracy}
    columns |= {name: np.array(values) for name, values in validation.columns.items() if values}
    whole = validation.reports
    return {"epoch": np.arange(1, whole + 1), **{name: column[:whole] for name, column in columns.items()}}


def _model(settings: Any, encoder: SequenceEncoder, classes: int, rng: np.random.Generator) -> Any:
    dims, is_symbols = (encoder.dim_input, settings.dim_recurrent, classes), isinstance(encoder.inner, Vocabulary)
    width = embedding_size(settings.dim_embedding, settings.cell, is_symbols)
    check_memory(dims, width)
    model = make_model(
        settings.cell,
        dims,
        activation=settings.activation,
        layers=settings.layers,
        dim_embedding=width,
        rng=rng,
    )
    if isinstance(settings.cell, str):
        orthogonal(model, rng)
    if is_symbols:
        no_input(model, UNKNOWN)
    return model


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
