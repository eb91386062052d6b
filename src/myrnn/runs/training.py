"""Training a prepared experiment: validation after every epoch, checkpoints, numbers for the report."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._signals import held_interrupts
from myrnn._user_code import warn
from myrnn.data.targets import SERIES
from myrnn.errors import TrainingDiverged
from myrnn.evaluation.classify import Classifier
from myrnn.finite import check_lost, sequences_of
from myrnn.learning_curve import LearningCurve
from myrnn.losses import CROSS_ENTROPY, Loss, loss_for
from myrnn.runs.one_step import KeptErrors
from myrnn.runs.prepare import Prepared, PreparedData
from myrnn.runs.trained import Run, as_measured, training_numbers
from myrnn.schedules import named_schedule
from myrnn.sequences import Sequences
from myrnn.training import Checkpoint, TrainingStart, Validation
from myrnn.training.checkpoint import load_checkpoint
from myrnn.training.loop import Training
from myrnn.training.outputs import metric_of
from myrnn.training.progress import TrainingProgress
from myrnn.training.validation import mean_over

# Further advice when a training diverges.
BOUNDED = "; an RNN's states may overflow on long sequences, those of a GRU or an LSTM do not"


def trained(
    prepared: Prepared, *, checkpoint: Checkpoint | None = None, own: Any = None, progress: bool | None = False
) -> Run:
    """Train the model of a prepared experiment, and return the run."""
    experiment, model, settings = prepared.experiment, prepared.model, prepared.experiment.training
    nothing = LearningCurve.from_columns({experiment.source.unit: [], "loss": [], "accuracy": []})
    run = Run(experiment, model, prepared.reader, nothing, own=own, hashes=prepared.hashes)
    optimizer, clock = experiment.optimizer.make(params=model.parameters), _Clock()
    watched = None if prepared.held_out is None else _validation(run, prepared)
    hooks = (watched, TrainingProgress(progress, watched), checkpoint, clock)
    training: Training | None = None
    try:
        # Also while the model is compiled: MyGrad's finalizers would swallow Ctrl-C there.
        with held_interrupts():
            training = Training(
                model,
                prepared.sequences,
                optimizer,
                prepared.batch_size,
                prepared.seed,
                engine=settings.engine,
                report_every=prepared.report_every,
                schedule=named_schedule(settings.schedule, optimizer.learning_rate, prepared.iterations),
                gradient_clip=settings.gradient_clip,
                class_weight=prepared.class_weight,
                on_divergence=settings.on_divergence,
                loss=settings.loss,
                truncate=prepared.truncate,
                hooks=[hook for hook in hooks if hook is not None],
            )
            if checkpoint is not None and (state := load_checkpoint(checkpoint.folder)) is not None:
                training.restore(state)
                _warn_of_patience(prepared, training, watched)
            if (kept := prepared.held_out) is not None and len(kept.targets):
                # Compile before there is a progress bar, because the compilation shows its own line.
                run.predictor.prepare(kept)
        if training.iteration < prepared.iterations:
            training.run(prepared.iterations - training.iteration)
    except KeyboardInterrupt:
        if watched is None or not watched.best:
            raise
        run.is_cut = True
        warn(
            f"the training was interrupted in epoch {watched.reports + 1}: the model is that of epoch {watched.best}, "
            "and can be used"
        )
    except TrainingDiverged as error:
        advice = BOUNDED if watched is not None and experiment.model.name == "rnn" else ""
        raise TrainingDiverged(f"{error}{advice}") from None
    assert training is not None
    if watched is None:
        run.history, run.best = as_measured(training.history, run.reader), len(training.history)
    else:
        watched.use_best()
        run.history, run.best = as_measured(_by_epoch(training, watched), run.reader), watched.best
    if isinstance(prepared, PreparedData) and prepared.reader.learn == SERIES:
        prepared.reader.errors = KeptErrors.of(run, prepared.sequences, prepared.held_out)
    run.report = {"training": {**training_numbers(run), **clock.numbers(training.iteration), **prepared.facts()}}
    return run


def stopped_early(run: Run) -> str | None:
    """Return why a training ended before its last epoch; None if it did not, or if the user interrupted it."""
    done, most = len(run.history), run.experiment.training.max_epochs
    if run.is_cut or most is None or done >= most:
        return None
    idle = done - run.best
    last = "the last epoch" if idle == 1 else f"the last {idle:,} epochs"
    return f"after {done:,} of {most:,} epochs: {last} brought no smaller validation loss"


def _validation(run: Run, prepared: Prepared) -> Validation:
    """Return the hook that validates every epoch on the sequences that are held out."""
    kept, settings = prepared.held_out, prepared.experiment.training
    assert kept is not None
    measure = None
    if len(kept.targets):
        # Use the same scores to validate now and to predict later.
        loss = loss_for(settings.loss, kept.kind)
        measure = partial(loss_and_score, run.predictor, kept, prepared.class_weight, loss)
    watched = Validation(run.model, measure, settings.early_stopping_patience, metric=metric_of(kept.kind))
    watched.unit = prepared.experiment.source.unit
    return watched


def _warn_of_patience(prepared: Prepared, training: Training, watched: Validation | None) -> None:
    """Warn if a resumed training has ended already, because its validation loss no longer fell."""
    patience = prepared.experiment.training.early_stopping_patience
    if watched is not None and patience is not None and watched.is_over and training.iteration < prepared.iterations:
        warn(
            f"the training ended after {_checks.count_of(patience, 'epoch')} without a smaller "
            "validation loss: a larger early_stopping_patience lets it go on"
        )


def _by_epoch(training: Training, validation: Validation) -> LearningCurve:
    """Return the means of every complete epoch."""
    found, whole = training.history, validation.reports
    columns = {"loss": found.loss, found.metric: found.score}
    columns |= {name: np.array(values) for name, values in validation.columns.items() if values}
    return LearningCurve.from_columns(
        {"epoch": np.arange(1, whole + 1), **{name: column[:whole] for name, column in columns.items()}},
        longest=found.longest,
        engine=found.engine,
        chance=found.chance,
    )


def loss_and_score(
    classifier: Classifier, sequences: Sequences, weights: NDArray[np.float64] | None, loss: Loss | str = CROSS_ENTROPY
) -> tuple[float, float]:
    """Return the mean loss (of cross-entropy in nats), weighted by class, and the mean score."""
    found, score, lost = mean_over(partial(classifier.in_parts, sequences), sequences, loss, weights)
    check_lost(sequences_of(lost, sequences), sequences.lengths)
    return found, score


class _Clock:
    """A hook that separates the time of the training from that of its preparation, such as compilation."""

    def __init__(self) -> None:
        self._made = time.perf_counter()
        self._begin: float | None = None
        self._first = 0

    def on_train_begin(self, start: TrainingStart) -> None:
        self._begin, self._first = time.perf_counter(), start.iteration

    def numbers(self, iterations: int) -> dict[str, Any]:
        """Return the time of the iterations that were done now, and their speed."""
        if self._begin is None:
            # All of them were done before.
            return {"resumed_at": iterations}
        seconds = time.perf_counter() - self._begin
        resumed = {"resumed_at": self._first} if self._first else {}
        speed = {"seconds": seconds, "iterations_per_second": (iterations - self._first) / seconds}
        return {"preparation_seconds": self._begin - self._made, **resumed, **speed}
