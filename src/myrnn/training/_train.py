"""Training in one call."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from numpy.typing import ArrayLike

from myrnn import _checks
from myrnn._keywords import keywords
from myrnn.errors import InvalidArgument
from myrnn.results import History
from myrnn.training._checkpoint import Checkpoint, load_checkpoint
from myrnn.training._hooks import checked_hooks
from myrnn.training._progress import progress_hooks
from myrnn.training._schedules import Schedule, named_schedule
from myrnn.training._state import TrainingState
from myrnn.training._training import Training


@keywords
def train(
    model: Any,
    task: Any,
    optimizer: Any,
    iterations: int = 100_000,
    batch_size: int = 1,
    seed: int = 0,
    *,
    engine: str = "auto",
    report_every: int = 500,
    schedule: Schedule | str = "constant",
    gradient_clip: float | None = None,
    class_weight: ArrayLike | None = None,
    on_divergence: str = "stop",
    checkpoint: str | os.PathLike[str] | Checkpoint | None = None,
    resume: bool | str | os.PathLike[str] = False,
    hooks: Iterable[Any] = (),
    progress: bool | None = None,
) -> History:
    """Train `model` in place by backpropagation through time.

    Every iteration takes `batch_size` sequences, computes their mean softmax cross-entropy and its gradient, and lets
    the optimizer step once.

    Parameters
    ----------
    model : callable
        ``model(x)``, for one sequence of shape (T, C), returns the logits (1, K); ``model.parameters`` is a tuple of
        MyGrad tensors.
    task : Task, Sequences or iterable of (x, y)
        Where the sequences come from. A task draws new ones; a `Sequences` or a list of pairs is gone through again and
        again, shuffled each time; an iterator is read as needed, and training ends with it.
    optimizer : SGD, RMSprop, Adam, or an optimizer of MyNN
        Made from ``model.parameters``.
    iterations : int
        The number of optimizer steps.
    batch_size : int
        B: how many sequences each step is the mean of.
    seed : int
        Seeds the drawing and the shuffling. The same seed gives the same weights and history, byte for byte, on the
        same machine and engine.
    engine : {"auto", "native", "mygrad"}
        How the equations are run: compiled to native code, or op by op with MyGrad. ``"auto"`` is native, and where the
        model cannot be compiled a warning that says why, and MyGrad; a model that a hook changes is compiled again.
    report_every : int
        How many iterations each entry of the history is the mean of. It does not change the training.
    schedule : {"constant", "cosine", "linear"} or callable
        The learning rate: the optimizer's own all the time, or falling from it to zero over the iterations, as a cosine
        or a straight line; or a function that maps the iteration (0, 1, ...) to its rate.
    gradient_clip : float, optional
        The largest joint norm of all gradients; a longer one is scaled down to it.
    class_weight : array_like of float, shape (K,), optional
        How much the loss of a sequence of each class counts; by default 1. The loss of a batch is the mean of the
        weighted losses of its sequences.
    on_divergence : {"stop", "restart"}
        What happens when the loss, a weight, or a gradient that the optimizer remembers is no longer finite.
        ``"restart"`` goes back to the last report whose loss was at most twice that of guessing, halves the learning
        rate from there on and clips gradients to a norm of 1 where `gradient_clip` is not given. After five restarts,
        and with ``"stop"`` at once, it is an error.
    checkpoint : path or Checkpoint, optional
        A folder that keeps the state of the training: every ten seconds (`Checkpoint` takes another time), and at the
        end; of one that diverges, that of the last good report, or a hundredth of its iterations before.
    resume : bool or path
        Goes on from the last checkpoint in that folder, True in the folder of `checkpoint`; where there is none yet, it
        begins. The model, the task and all other arguments must be those of the training that was stopped; on the same
        machine the weights, the optimizer and the history then become what they would have become without the stop,
        bit for bit.
    hooks : iterable of hooks
        Objects that watch the training, such as a `LivePlot`, or set the optimizer's learning rate. What a hook itself
        remembers is in a checkpoint if it has a ``state_name``. See `myrnn.training`.
    progress : bool, optional
        Whether to show a progress bar (plain lines where the output is not a terminal). By default it shows in a
        terminal and in a notebook.

    Returns
    -------
    History

    Raises
    ------
    InvalidArgument
        When an argument is not what it should be, a label lies outside the model's classes, or the model does not
        return logits of shape (1, K).
    RunError
        When `checkpoint` or `resume` cannot be used: it cannot be written to, is in use by another process, or holds no
        checkpoint that is whole.
    TrainingDiverged
        When the loss, a weight, or a gradient that the optimizer remembers is no longer finite.
    """
    steps = _checks.integer("iterations", iterations, minimum=1)
    if isinstance(schedule, str):
        rate = getattr(optimizer, "learning_rate", 0.0)
        chosen: Schedule | None = named_schedule(schedule, rate, steps)
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
        hooks=[*([] if saving is None else [saving]), *progress_hooks(progress), *checked_hooks(hooks)],
    )
    if (state := _state_to_resume(resume, saving)) is not None:
        training.restore(state)
    if training.iteration > steps:
        raise InvalidArgument(f"iterations is {steps}, but the training has done {training.iteration} already")
    return training.run(steps - training.iteration) if training.iteration < steps else training.history


def _state_to_resume(resume: bool | str | os.PathLike[str], saving: Checkpoint | None) -> TrainingState | None:
    if resume is False:
        return None
    if resume is True:
        if saving is None:
            raise InvalidArgument("resume=True goes on in the folder of checkpoint, which is not given")
        return load_checkpoint(saving.folder)
    return load_checkpoint(resume)
