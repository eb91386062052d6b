"""The training loop."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.compiler import compile
from myrnn.errors import CompileError, InvalidArgument, TrainingDiverged
from myrnn.models import parameters_of
from myrnn.sequences import Sequences
from myrnn.training._engines import ENGINES, Engine, MyGradEngine, num_classes
from myrnn.training._feed import Feed, make_feed
from myrnn.training._history import History
from myrnn.training._hooks import Report, TrainingStart, call, checked_hooks
from myrnn.training._native import NativeEngine
from myrnn.training._progress import progress_hooks

Schedule = Callable[[int], float]


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
    schedule: Schedule | None = None,
    gradient_clip: float | None = None,
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
        model cannot be compiled a warning that says why, and MyGrad.
    report_every : int
        How many iterations each entry of the history is the mean of. It does not change the training.
    schedule : callable, optional
        Maps the iteration (0, 1, ...) to its learning rate; without it the optimizer's own rate stays.
    gradient_clip : float, optional
        The largest joint norm of all gradients; a longer one is scaled down to it.
    hooks : iterable of hooks
        Objects that watch the training, such as a `LivePlot`; see `myrnn.training`.
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
    TrainingDiverged
        When the loss is no longer finite.
    """
    steps = _checks.integer("iterations", iterations, minimum=1)
    batch = _checks.integer("batch_size", batch_size, minimum=1)
    every = _checks.integer("report_every", report_every, minimum=1)
    _checks.integer("seed", seed, minimum=0)
    _checks.one_of("engine", engine, ENGINES)
    clip = None if gradient_clip is None else _checks.real("gradient_clip", gradient_clip, above=0)
    if schedule is not None and not callable(schedule):
        raise InvalidArgument(f"schedule must map an iteration to a learning rate, not be {schedule!r}")
    _check_optimizer(optimizer, model)
    watchers = progress_hooks(progress) + checked_hooks(hooks)

    feed = make_feed(task, batch, np.random.default_rng(seed))
    example = feed.peek()
    classes = num_classes(model, example, 0)
    reference = MyGradEngine(model, optimizer, batch, clip)
    runner = reference if engine == "mygrad" else _native_engine(model, optimizer, batch, clip, example, engine)
    runner = runner or reference
    fallback = reference if engine == "auto" else None
    loop = _Loop(optimizer, classes, feed, runner, fallback, steps, every, schedule, watchers)
    call(watchers, "on_train_begin", TrainingStart(model, optimizer, steps, batch, runner.name))
    own_rate = optimizer.learning_rate
    try:
        # What overflows ends in a loss that is not finite, and that is an error of its own.
        with np.errstate(over="ignore", invalid="ignore"):
            loop.run()
    finally:
        optimizer.learning_rate = own_rate
        call(watchers, "on_train_end", loop.history)
    return loop.history


class _Loop:
    """One training under way: runs iterations, checks what they meet and gathers reports."""

    def __init__(
        self,
        optimizer: Any,
        classes: int,
        feed: Feed,
        engine: Engine,
        fallback: Engine | None,
        iterations: int,
        report_every: int,
        schedule: Schedule | None,
        hooks: tuple[Any, ...],
    ) -> None:
        self._optimizer, self._classes, self._feed = optimizer, classes, feed
        self._engine, self._fallback = engine, fallback
        self._iterations, self._report_every, self._schedule, self._hooks = iterations, report_every, schedule, hooks
        self._done = 0
        self._checked: Sequences | None = None
        self._longest = 0
        self._reports: list[Report] = []

    @property
    def history(self) -> History:
        return History.from_reports(self._reports, self._longest, self._engine.name)

    def run(self) -> None:
        while self._done < self._iterations:
            begin = self._done
            wanted = min(self._report_every, self._iterations - begin)
            losses, correct, sequences = self._run_until_report(wanted)
            if self._done > begin:
                report = Report(self._done, sequences, float(np.mean(losses)), float(np.sum(correct)) / sequences)
                self._reports.append(report)
                call(self._hooks, "on_report", report)
            if self._done < begin + wanted:
                return

    def _run_until_report(self, wanted: int) -> tuple[NDArray[np.float64], NDArray[np.int64], int]:
        losses: list[NDArray[np.float64]] = []
        correct: list[NDArray[np.int64]] = []
        sequences = 0
        end = self._done + wanted
        while self._done < end:
            portion = self._feed.take(min(end - self._done, self._engine.iterations_per_call))
            if portion is None:
                break
            data, order = portion
            self._check(data)
            some_losses, some_correct = self._run(data, order)
            self._check_finite(some_losses)
            self._longest = max(self._longest, int(np.max(data.lengths[order])))
            self._done += len(order)
            losses.append(some_losses)
            correct.append(some_correct)
            sequences += order.size
            call(self._hooks, "on_progress", self._done)
        return np.concatenate(losses or [np.empty(0)]), np.concatenate(correct or [np.empty(0, np.int64)]), sequences

    def _run(self, data: Sequences, order: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        rates = self._rates(len(order))
        try:
            return self._engine.run(data, order, rates)
        except CompileError as error:
            # The engine has put everything back to where it was before these iterations.
            if self._fallback is None or self._engine is self._fallback:
                raise
            _warn_of_fallback(error)
            self._engine = self._fallback
            return self._engine.run(data, order, rates)

    def _check(self, data: Sequences) -> None:
        if data is self._checked:
            return
        if data.labels.max() >= self._classes:
            raise InvalidArgument(
                f"a label is {data.labels.max()}, but the model has {self._classes} classes, 0 .. {self._classes - 1}"
            )
        self._checked = data

    def _rates(self, count: int) -> NDArray[np.float64] | None:
        if self._schedule is None:
            return None
        return np.array(
            [
                _checks.real(f"schedule({iteration})", self._schedule(iteration), minimum=0)
                for iteration in range(self._done, self._done + count)
            ]
        )

    def _check_finite(self, losses: NDArray[np.float64]) -> None:
        bad = np.flatnonzero(~np.isfinite(losses))
        if len(bad):
            raise TrainingDiverged(
                f"the loss is {losses[bad[0]]} at iteration {self._done + int(bad[0])}: "
                "try a smaller learning rate, or clip the gradients with gradient_clip=1.0"
            )


def _native_engine(
    model: Any, optimizer: Any, batch_size: int, clip: float | None, example: Sequences, engine: str
) -> Engine | None:
    """Compile the model and return the engine; None where it cannot be compiled and another engine may serve."""
    try:
        compiled = compile(model, dim_input=example.dim_input, check=False)
        return NativeEngine(compiled, optimizer, batch_size, clip, example)
    except CompileError as error:
        if engine == "native":
            raise
        _warn_of_fallback(error)
        return None


def _warn_of_fallback(error: CompileError) -> None:
    warnings.warn(f"training goes on op by op with MyGrad, because {error}", stacklevel=4)


def _check_optimizer(optimizer: Any, model: Any) -> None:
    parameters = {id(parameter) for parameter in parameters_of(model)}
    if isinstance(optimizer, type) or not callable(getattr(optimizer, "step", None)):
        raise InvalidArgument(f"optimizer must be an optimizer such as Adam(model.parameters), not {optimizer!r}")
    if not all(parameter.data.flags.writeable for parameter in parameters_of(model)):
        raise InvalidArgument(
            "a graph of this model is still alive, and MyGrad keeps its parameters from changing: "
            "call loss.backward() first, or delete the tensors that hold it"
        )
    if not any(id(parameter) in parameters for parameter in getattr(optimizer, "params", ())):
        raise InvalidArgument("optimizer holds none of the model's parameters: make it from this model's .parameters")
