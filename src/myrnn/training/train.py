"""`train`, which trains a model in one call."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from numpy.typing import ArrayLike

from myrnn._keywords import keywords
from myrnn.errors import InvalidArgument
from myrnn.learning_curve import LearningCurve
from myrnn.losses import Loss, Penalty
from myrnn.schedules import Schedule, named_schedule
from myrnn.training.checkpoint import Checkpoint, load_checkpoint
from myrnn.training.hooks import checked_hooks
from myrnn.training.loop import Training
from myrnn.training.progress import TrainingProgress
from myrnn.training.settings import (
    DEFAULTS,
    BatchSize,
    EngineName,
    GradientClip,
    Iterations,
    OnDivergence,
    ReportEvery,
    Seed,
)
from myrnn.training.state import TrainingState


@keywords
def train(
    model: Any,
    task: Any,
    optimizer: Any,
    iterations: Iterations = DEFAULTS.iterations,
    batch_size: BatchSize = DEFAULTS.batch_size,
    seed: Seed = DEFAULTS.seed,
    *,
    engine: EngineName = DEFAULTS.engine,
    report_every: ReportEvery = DEFAULTS.report_every,
    schedule: Schedule | str = DEFAULTS.schedule,
    gradient_clip: GradientClip | None = DEFAULTS.gradient_clip,
    class_weight: ArrayLike | None = None,
    on_divergence: OnDivergence = DEFAULTS.on_divergence,
    loss: Loss | str | None = None,
    penalty: Penalty | None = None,
    truncate: int | None = None,
    checkpoint: str | os.PathLike[str] | Checkpoint | None = None,
    resume: bool | str | os.PathLike[str] = False,
    hooks: Iterable[Any] = (),
    progress: bool | None = None,
) -> LearningCurve:
    """Train `model` in place by backpropagation through time.

    Every iteration takes `batch_size` sequences, computes their mean loss and its gradient, and lets the optimizer step
    once. If each step has a target, it is the mean over all steps of all these sequences, like the loss of PyTorch's
    packed sequences. If targets have weights, it is the sum of weight times loss divided by the sum of the weights, or
    0 if all weights are 0.

    Parameters
    ----------
    model : callable
        ``model(x)``, for one sequence of shape (T, C), returns the outputs (1, K), or (T, K) if each step has a target:
        the logits of K classes, or K numbers; ``model.parameters`` is a tuple of MyGrad tensors.
    task : Task, Sequences or iterable of (x, y)
        The source of the sequences. A task draws new ones; a `Sequences` or a list of pairs is repeated, shuffled each
        time; an iterator is read as needed, and training ends with it.
    optimizer : SGD, RMSprop, Adam, an optimizer of MyNN, or a user-defined one
        Made from ``model.parameters``. A user-defined optimizer has `params`, a tuple of them, `learning_rate`, and
        ``step()``, which changes them by their gradients; it trains with MyGrad. Its state is in checkpoints: arrays,
        alone or in lists and dictionaries, and numbers, in its attributes, or the result of its ``state_dict()``, which
        its ``load_state_dict(state)`` restores.
    iterations : int
        The number of optimizer steps.
    batch_size : int
        B: the number of sequences per step.
    seed : int
        Seeds the drawing and the shuffling. The same seed gives the same weights and history, byte for byte, on the
        same machine and engine.
    engine : {"auto", "native", "mygrad"}
        How to run the equations: compiled to native code, or op by op with MyGrad. ``"auto"`` is native; if the model
        cannot be compiled, it falls back to MyGrad with a warning that says why. A model that a hook changes is
        compiled again.
    report_every : int
        The number of iterations that each entry of the history averages. It does not affect the training.
    schedule : {"constant", "cosine", "linear"}, the name of a registered schedule, or callable
        The learning rate: constant, or falling from the optimizer's own rate to zero over the iterations, as a cosine
        or a straight line; or a function that maps the iteration (0, 1, ...) to its rate.
    gradient_clip : float, optional
        The largest joint norm of all gradients; larger ones are scaled down to it.
    class_weight : array_like of float, shape (K,), optional
        The weight of each class in the loss; by default 1. The loss of a batch is the mean of the weighted losses of
        its sequences: it is not divided by the weights of their classes.
    on_divergence : {"stop", "restart"}
        The reaction to a loss, a weight, or a gradient in the optimizer's state that is no longer finite. ``"restart"``
        goes back to the last report whose loss was at most twice that of guessing, halves the learning rate from there
        on and clips gradients to a norm of 1 if `gradient_clip` is not given. After five restarts, or with ``"stop"``
        at once, it raises an error.
    loss : callable, {"cross-entropy", "sigmoid-cross-entropy", "mean-squared-error", "huber"} or a registered name
        The loss to minimise: ``loss(outputs, targets)`` returns the loss of each row, see `myrnn.losses`. By default it
        is softmax cross-entropy for a class, sigmoid cross-entropy for several classes at once, and the mean squared
        error for numbers. It is compiled with the model; if that fails, it is treated like a model that cannot be
        compiled, see `engine`.
    penalty : callable, optional
        ``penalty(model)`` returns a tensor of shape (), such as the sum of all squared weights, that is added to the
        loss of each iteration. It is compiled with the model, like `loss`. A model penalizes its own states with
        `myrnn.add_loss`.
    truncate : int, optional
        Truncated backpropagation through time, for sequences of any length in little memory: each iteration takes the
        next `truncate` steps of `batch_size` sequences of a `Sequences`, and continues from the final states of the
        steps before. Gradients only go back to the beginning of these steps. When a sequence ends, another one takes
        its place; ``sequences.cut(B)`` cuts a long sequence into B. It requires a target for every step and a model
        that can be compiled. Random numbers that a model draws once per sequence (`dropout`) are drawn once per
        iteration.
    checkpoint : path or Checkpoint, optional
        A folder for the state of the training, saved every ten seconds (`Checkpoint` takes another interval), and at
        the end; for a training that diverges, the state at the last good report, or up to a hundredth of its iterations
        earlier.
    resume : bool or path
        Resumes from the last checkpoint in that folder; True means the folder of `checkpoint`. Without a checkpoint,
        the training starts from the beginning. The model, the task and all other arguments must be those of the
        interrupted training; on the same machine the weights, the optimizer and the history are then the same as
        without the interruption, bit for bit.
    hooks : iterable of hooks
        Objects that watch the training, such as a `LivePlot`, or set the optimizer's learning rate. The state of a hook
        is in checkpoints if it has a ``state_name``. See `myrnn.training.hooks`.
    progress : bool, optional
        Whether to show a progress bar (plain lines if the output is not a terminal); by default in terminals and
        notebooks.

    Returns
    -------
    LearningCurve

    Raises
    ------
    InvalidArgument
        When an argument is invalid, a label lies outside the model's classes, or the model's result does not have the
        shape that the targets require.
    RunError
        When `checkpoint` or `resume` cannot be used: the folder cannot be written to, is in use by another process, or
        has no complete checkpoint.
    TrainingDiverged
        When the loss, a weight, or a gradient in the optimizer's state is no longer finite.

    Examples
    --------
    >>> from myrnn import RNN, Adam, tasks, train
    >>> task = tasks.TwinHalves(pattern_length_max=2)
    >>> model = RNN(task.dim_input, 8, task.dim_output, rng=0)
    >>> optimizer = Adam(model.parameters)
    >>> history = train(model, task, optimizer, iterations=200, report_every=100, engine="mygrad", progress=False)
    >>> history.iteration
    array([100, 200])
    """
    if isinstance(schedule, str):
        rate = getattr(optimizer, "learning_rate", 0.0)
        chosen: Schedule | None = named_schedule(schedule, rate, iterations)
    else:
        chosen = schedule
    saving = Checkpoint(checkpoint) if isinstance(checkpoint, str | os.PathLike) else checkpoint
    training = Training(
        model,
        task,
        optimizer,
        batch_size,
        seed,
        engine=engine,
        report_every=report_every,
        schedule=chosen,
        gradient_clip=gradient_clip,
        class_weight=class_weight,
        on_divergence=on_divergence,
        loss=loss,
        penalty=penalty,
        truncate=truncate,
        hooks=[*([] if saving is None else [saving]), TrainingProgress(progress), *checked_hooks(hooks)],
    )
    if (state := _state_to_resume(resume, saving)) is not None:
        training.restore(state)
    if training.iteration > iterations:
        raise InvalidArgument(f"iterations is {iterations}, but the training has done {training.iteration} already")
    return training.run(iterations - training.iteration) if training.iteration < iterations else training.history


def _state_to_resume(resume: bool | str | os.PathLike[str], saving: Checkpoint | None) -> TrainingState | None:
    if resume is False:
        return None
    if resume is True:
        if saving is None:
            raise InvalidArgument("resume=True goes on in the folder of checkpoint, which is not given")
        return load_checkpoint(saving.folder)
    return load_checkpoint(resume)
