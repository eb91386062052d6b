"""Training on given sequences, from files or memory: epochs, validation, the weights of the best epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.compiler.native import memory
from myrnn.data import (
    LABELS,
    NEXT,
    SERIES,
    UNKNOWN,
    Differences,
    Numbers,
    RawSequences,
    RawTargets,
    SequenceEncoder,
    TargetEncoder,
    TokenSequences,
    Vocabulary,
    cut_in_two,
    trend_of,
)
from myrnn.data.differences import MOST_DIFFERENCES
from myrnn.errors import InvalidArgument, TrainingDiverged
from myrnn.evaluation import Classifier
from myrnn.experiment import Experiment, is_own
from myrnn.learning_curve import shown_score, word_for
from myrnn.losses import CROSS_ENTROPY, Loss, loss_for
from myrnn.models import check_gives_each_step, embedding_of, no_input
from myrnn.results import check_lost
from myrnn.runs.fitted import Fitted, sequences_of
from myrnn.sequences import Sequences
from myrnn.training import (
    Checkpoint,
    Curve,
    Display,
    History,
    Report,
    Training,
    TrainingStart,
    Validation,
    check_sees_no_future,
    held_interrupts,
    load_checkpoint,
    mean_over,
    metric_of,
    named_schedule,
    progress_display,
)

# Further advice when a training diverges.
BOUNDED = "; an RNN's states may overflow on long sequences, those of a GRU or an LSTM do not"
# The default window, in steps, for text and series.
WINDOW = 64
# The fewest iterations of an epoch in windows.
FEWEST_ITERATIONS = 5
# Float32 arrays of the size of the weights that a training holds at once: the weights, the best ones, gradients of two
# threads, two averages of the optimizer, and copies of three of these on the way into native code and back.
COPIES = 10


def fit(
    experiment: Experiment,
    raw: RawSequences,
    given: RawTargets,
    *,
    random_state: Any = None,
    make: Callable[..., Any] | None = None,
    class_weight: Any = None,
    checkpoint: Checkpoint | None = None,
    progress: bool | None = False,
) -> Fitted:
    """Make a model and train it as the experiment says.

    Parameters
    ----------
    experiment : Experiment
    raw : RawSequences
        N sequences. A single one with a target for every step is validated on its end.
    given : RawTargets
        Their targets.
    random_state : int, RandomState or None
        In the forms of scikit-learn; by default the seed of the training.
    make : callable, optional
        The model's class, or a function of C, D and K that returns a model; by default the model of the experiment.
    class_weight : {"balanced"} or dict, optional
        By labels or tags of any kind; by default the setting of the experiment.
    checkpoint : Checkpoint, optional
        Saves the state of the training. If its folder holds a state, the training resumes from it.
    progress : bool or None
        Whether to show progress; None shows it in terminals and notebooks.

    Raises
    ------
    InvalidArgument
        When there is nothing to learn from, or the model would not fit in memory.
    TrainingDiverged
        When the loss is no longer finite.
    KeyboardInterrupt
        When the user interrupts before the end of the first epoch.
    """
    from sklearn.utils import check_random_state  # imported late because it takes long

    training = experiment.training
    seed = training.seed if random_state is None else random_state
    rng = np.random.default_rng(check_random_state(seed).randint(2**31 - 1))
    data = experiment.data
    differences = Differences(data.difference, data.period)
    if given.learn == SERIES and isinstance(raw, Numbers):
        # Before a single series is cut in two, so that no difference is lost in between.
        raw = differences.of(raw)
        _warn_of_trend(raw, differences)
    raw, validation = _validated(raw, given, training.validation_fraction, rng)
    encoder = SequenceEncoder.fit(raw, ~validation, standardize=data.standardize, max_vocabulary=data.max_vocabulary)
    if not np.diff(raw.offsets)[~validation].any():
        raise InvalidArgument("every sequence of X is empty: there is nothing to learn from")
    targets = TargetEncoder.fit(given, raw, encoder, ~validation)
    model = new_model(experiment, encoder, targets, rng, make)
    sequences = targets.sequences(encoder, raw, given)
    weights = class_weights(training.class_weight if class_weight is None else class_weight, given)
    if given.learn in NEXT:
        check_sees_no_future(model, sequences)
    fitted = Fitted(
        model,
        encoder,
        replace(targets, differences=differences),
        History.from_columns({"epoch": [], "loss": [], "accuracy": []}),
        best_epoch=0,
        tokenize=raw.tokenize if isinstance(raw, TokenSequences) else None,
        engine=training.engine,
        # With a full vocabulary, the user asked for rare symbols to become unknown.
        names_unknown=data.max_vocabulary is None or len(getattr(encoder.inner, "symbols", ())) < data.max_vocabulary,
    )
    _train(experiment, fitted, sequences, validation, weights, rng, checkpoint, progress)
    return fitted


def _warn_of_trend(raw: Numbers, differences: Differences) -> None:
    """Warn if what is learned of a series has a trend, which a network cannot follow beyond the training."""
    if (trend := trend_of(raw)) is None:
        return
    column, rise, deviation = trend
    what = f"column {column} of the series" if raw.rows.shape[1] > 1 else "the series"
    changes = f"the differences of {what} have" if differences.lost else f"{what} has"
    order = differences.order + 1
    instead = "" if order > MOST_DIFFERENCES else f": difference={order} (--difference {order}) learns changes instead"
    warn(
        f"{changes} a trend ({rise:+.4g} in all, along a line with deviations of {deviation:.4g}), and a network does "
        f"not follow one beyond what it learned{instead}"
    )


def _train(
    experiment: Experiment,
    fitted: Fitted,
    sequences: Sequences,
    validation: NDArray[np.bool_],
    weights: NDArray[np.float64] | None,
    rng: np.random.Generator,
    checkpoint: Checkpoint | None,
    progress: bool | None,
) -> None:
    settings, model = experiment.training, fitted.model
    learned, kept = sequences.select(~validation), sequences.select(validation)
    if not len(learned.targets):
        raise InvalidArgument("what is left to learn from has no target: give more, or a smaller validation_fraction")
    truncate = truncated_at(settings.truncate, fitted.targets.learn)
    learned, batch, per_epoch, truncate = _batches(learned, settings.batch_size, truncate)
    iterations = settings.max_epochs * per_epoch
    loss = loss_for(settings.loss, sequences.kind)
    # Use the same scores to validate now and to predict later.
    measure = partial(loss_and_score, fitted.predictor, kept, weights, loss) if len(kept.targets) else None
    watched = Validation(model, measure, settings.early_stopping_patience, metric=metric_of(sequences.kind))
    shown = EpochProgress(progress, iterations, watched)
    optimizer = experiment.optimizer.make(params=model.parameters)
    try:
        # Also while the model is compiled: MyGrad's finalizers would swallow Ctrl-C there.
        with held_interrupts():
            training = Training(
                model,
                learned,
                optimizer,
                batch,
                int(rng.integers(2**31)),
                engine=settings.engine,
                report_every=per_epoch,
                schedule=named_schedule(settings.schedule, optimizer.learning_rate, iterations),
                gradient_clip=settings.gradient_clip,
                class_weight=weights,
                on_divergence=settings.on_divergence,
                loss=loss,
                truncate=truncate,
                hooks=[watched, shown, *([] if checkpoint is None else [checkpoint])],
            )
            if checkpoint is not None and (state := load_checkpoint(checkpoint.folder)) is not None:
                training.restore(state)
                _check_epochs(training, watched, settings, per_epoch)
            if measure is not None:
                # Compile before there is a progress bar, because the compilation shows its own line.
                fitted.predictor.prepare(kept)
        if training.iteration < iterations:
            training.run(iterations - training.iteration)
    except KeyboardInterrupt:
        if not watched.best:
            raise
        fitted.is_cut = True
        warn(
            f"fit was interrupted in epoch {watched.reports + 1}: the model is that of epoch {watched.best}, "
            "and can be used"
        )
    except TrainingDiverged as error:
        raise TrainingDiverged(f"{error}{BOUNDED if experiment.model.name == 'rnn' else ''}") from None
    watched.use_best()
    fitted.history, fitted.best_epoch = _history(training, watched), watched.best


def stopped_early(fitted: Fitted, max_epochs: int) -> str | None:
    """Return why a training ended before its last epoch; None if it did not, or if the user interrupted it."""
    done = len(fitted.history)
    if fitted.is_cut or done >= max_epochs:
        return None
    idle = done - fitted.best_epoch
    last = "the last epoch" if idle == 1 else f"the last {idle:,} epochs"
    return f"after {done:,} of {max_epochs:,} epochs: {last} brought no smaller validation loss"


def _validated(
    raw: RawSequences, given: RawTargets, fraction: float, rng: np.random.Generator
) -> tuple[RawSequences, NDArray[np.bool_]]:
    """Return the sequences, a single one with targets for its steps cut in two, and which of them to validate on."""
    if len(raw) == 1 and given.per_step:
        parts = cut_in_two(raw, fraction)
        return (raw, np.array([False])) if parts is None else (parts, np.array([False, True]))
    by_class = given.rows if given.learn == LABELS and given.rows is not None else np.zeros(len(raw), dtype=np.int64)
    return raw, validation_mask(by_class, fraction, rng)


def truncated_at(given: int | None, learn: str) -> int | None:
    """Return the window in steps, from the settings or the default; None reads sequences whole."""
    return (WINDOW if learn in NEXT else None) if given is None else given or None


def _batches(learned: Sequences, batch_size: int, truncate: int | None) -> tuple[Sequences, int, int, int | None]:
    """Return the training sequences, the batch size, the iterations per epoch, and the window.

    With windows, several streams are read at once; a single sequence is cut into streams. An epoch goes through short
    data several times, because little is learned from fewer than `FEWEST_ITERATIONS`. If no sequence is longer than a
    window, all are read whole.
    """
    if truncate is None or learned.lengths.max() <= truncate:
        batch = min(batch_size, len(learned))
        return learned, batch, -(-len(learned) // batch), None
    if len(learned) == 1:
        learned = learned.cut(min(batch_size, len(learned.values) // truncate))
    # A window never contains steps of two sequences.
    windows = int((-(-learned.lengths // truncate)).sum())
    batch = min(batch_size, int((learned.lengths > 0).sum()))
    return learned, batch, max(-(-windows // batch), FEWEST_ITERATIONS), truncate


def new_model(
    experiment: Experiment,
    encoder: SequenceEncoder,
    targets: TargetEncoder,
    rng: np.random.Generator,
    make: Callable[..., Any] | None = None,
) -> Any:
    """Return the model of an experiment with data, with its initial weights."""
    name, settings = experiment.model.name, experiment.model.settings
    is_symbols, outputs = isinstance(encoder.inner, Vocabulary), len(targets)
    inputs, units = encoder.dim_input, settings.dim_recurrent if hasattr(settings, "dim_recurrent") else 1
    if make is None and is_own(name):
        make = experiment.model.own_class()
    if make is not None:
        check_memory((inputs, units, outputs), 0)
        model = experiment.model.make_own(make, inputs, outputs, rng)
    else:
        further: dict[str, Any] = {}
        if hasattr(settings, "dim_embedding"):
            further = {"dim_embedding": embedding_of(name, settings.dim_embedding, is_symbols)}
        if targets.per_step:
            check_gives_each_step(name)
            further["per_step"] = True
        check_memory((inputs, units, outputs), further.get("dim_embedding", 0))
        model = experiment.model.make(dim_input=inputs, dim_output=outputs, rng=rng, **further)
    if is_symbols:
        no_input(model, UNKNOWN)
    return model


def _check_epochs(training: Training, watched: Validation, settings: Any, per_epoch: int) -> None:
    """Check that a resumed training has something left to do."""
    done = training.iteration // per_epoch
    if done > settings.max_epochs:
        raise InvalidArgument(f"max_epochs must be at least {done}, the epochs already done, not {settings.max_epochs}")
    if watched.is_over and done < settings.max_epochs:
        warn(
            f"the training ended after {_checks.count_of(settings.early_stopping_patience, 'epoch')} without a smaller "
            "validation loss: a larger early_stopping_patience lets it go on"
        )


def _history(training: Training, validation: Validation) -> History:
    """Return the means of every complete epoch."""
    found, whole = training.history, validation.reports
    columns = {"loss": found.loss, found.metric: found.score}
    columns |= {name: np.array(values) for name, values in validation.columns.items() if values}
    return History.from_columns(
        {"epoch": np.arange(1, whole + 1), **{name: column[:whole] for name, column in columns.items()}},
        longest=found.longest,
        engine=found.engine,
        chance=found.chance,
    )


def validation_mask(labels: NDArray[np.int64], fraction: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw the validation sequences: a fraction of every class, as near as whole numbers allow, bool (N,).

    At least one sequence of every class stays for the training. If the fraction amounts to less than one sequence,
    there is no validation.

    Parameters
    ----------
    labels : ndarray, int64 (N,)
    fraction : float
    rng : numpy.random.Generator
    """
    chosen = np.zeros(len(labels), dtype=bool)
    count = round(fraction * len(labels))
    # Class by class, shuffled within each, take every k-th.
    shuffled = rng.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    first = np.ones(len(labels), dtype=bool)
    first[1:] = labels[by_class][1:] != labels[by_class][:-1]
    candidates = by_class[~first]
    count = min(count, len(candidates))
    if count:
        chosen[candidates[((np.arange(count) + 0.5) * len(candidates) / count).astype(np.int64)]] = True
    return chosen


def class_weights(given: Any, targets: RawTargets) -> NDArray[np.float64] | None:
    """Return the weight of each class in the loss, float64 (K,), from scikit-learn's `class_weight`.

    Raises
    ------
    InvalidArgument
        When it is neither None, ``"balanced"`` nor a number for each of some of the classes, or there are no classes.
    """
    if given is None:
        return None
    labels, numbers = targets.classes, targets.rows
    if labels is None or numbers is None:
        raise InvalidArgument(f"class_weight is for labels and tags, not for {targets.learn}: leave it out")
    if isinstance(given, tuple):
        # Weights from the settings of an experiment are for labels as text.
        names = {str(label): label for label in labels.classes.tolist()}
        given = {names.get(label, label): weight for label, weight in given}
    if not isinstance(given, dict) and not (isinstance(given, str) and given == "balanced"):
        raise InvalidArgument(f"class_weight must be None, 'balanced' or a dict, not {_checks.shown(given)}")
    if isinstance(given, dict) and (unknown := set(given) - set(labels.classes.tolist())):
        raise InvalidArgument(f"class_weight names {next(iter(unknown))!r}, which is not one of the classes of y")
    from sklearn.utils.class_weight import compute_class_weight

    try:
        weights = compute_class_weight(given, classes=labels.classes, y=labels.classes[numbers])
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"class_weight must hold numbers: {error}") from None
    return np.asarray(weights, dtype=np.float64)


def loss_and_score(
    classifier: Classifier, sequences: Sequences, weights: NDArray[np.float64] | None, loss: Loss | str = CROSS_ENTROPY
) -> tuple[float, float]:
    """Return the mean loss (of cross-entropy in nats), weighted by class, and the mean score.

    The score is the accuracy or, for numbers, the mean squared error.

    Raises
    ------
    NotFinite
        When outputs are not finite.
    """
    found, score, lost = mean_over(partial(classifier.in_parts, sequences), sequences, loss, weights)
    check_lost(sequences_of(lost, sequences), sequences.lengths)
    return found, score


def check_memory(dims: tuple[int, int, int], dim_embedding: int) -> None:
    """Raise before allocating a model whose weights alone would not fit in memory."""
    inputs, units, _ = dims
    there = memory()
    limits = (
        (units**2, f"{units:,} recurrent units", "make dim_recurrent smaller"),
        (
            inputs * (dim_embedding or units),
            f"{inputs:,} inputs of a step",
            "keep the most frequent symbols with max_vocabulary= (of numbers, give fewer columns), or make "
            "dim_embedding or dim_recurrent smaller",
        ),
    )
    for numbers, what, instead in limits:
        needed = 4 * COPIES * numbers
        if needed > there:
            raise InvalidArgument(
                f"{what} take about {needed / 1e9:.1f} GB to train, but there are {there / 1e9:.1f} GB: {instead}"
            )


class EpochProgress:
    """A hook that shows iterations, the time left, and the results of the last epochs.

    Parameters
    ----------
    show : bool or None
    iterations : int
        The total number without early stopping.
    validation : Validation
    """

    def __init__(self, show: bool | None, iterations: int, validation: Validation) -> None:
        self._show, self._iterations, self._validation = show, iterations, validation
        self._display: Display | None = None
        self._curves: tuple[Curve, ...] = ()
        self._losses: list[float] = []
        self._scores: list[float] = []

    def on_train_begin(self, start: TrainingStart) -> None:
        """Start the display here, so that its time excludes compilation and other preparation."""
        self._display = progress_display(self._show, "training", self._iterations, "iterations")
        self.on_progress(start.iteration)

    def on_progress(self, iteration: int) -> None:
        """Show the number of iterations done."""
        if self._display is not None:
            self._display.update(iteration, self._curves)

    def on_reported(self, report: Report) -> None:
        """Show the results of the epochs."""
        self._losses.append(report.loss)
        self._scores.append(report.score)
        metric, name = report.metric, word_for(report.metric)
        validated = self._validation.columns[f"validation_{metric}"]
        shown, name = (validated, f"validation {name}") if validated else (self._scores, name)
        self._curves = (
            Curve(f"epoch {self._validation.reports}  loss {report.loss:.4f}", self._losses),
            Curve(f"{name} {shown_score(metric, shown[-1])}", shown),
        )
        self.on_progress(report.iteration)

    def on_train_end(self, history: Any) -> None:
        """Leave the last state on the screen."""
        if self._display is not None:
            self._display.close()
