"""A training under way."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.compiler import compile_for
from myrnn.errors import CompileError, InvalidArgument, TrainingDiverged
from myrnn.models import parameters_of
from myrnn.sequences import Sequences
from myrnn.training._engines import ENGINES, Engine, MyGradEngine, num_classes
from myrnn.training._feed import make_feed
from myrnn.training._history import History
from myrnn.training._hooks import Report, TrainingStart, call, checked_hooks
from myrnn.training._interrupts import held_interrupts
from myrnn.training._native import NativeEngine
from myrnn.training._schedules import FallingRate, Schedule


class Training:
    """A training that goes on where it stopped: `train` is one `run` of it.

    The result does not depend on how the iterations are spread over calls of `run`, but for the reports: one more is
    made where a run ends between two.

    Parameters
    ----------
    model, task, optimizer, batch_size, seed, engine, report_every, gradient_clip, class_weight, hooks
        As `train` takes them.
    schedule : callable, optional
        Maps the iteration to its learning rate; `named_schedule` makes one.

    Examples
    --------
    >>> from myrnn import RNN, Adam, tasks
    >>> model = RNN(10, 8, 2, rng=0)
    >>> training = Training(model, tasks.TwinHalves(1, 3), Adam(model.parameters), engine="mygrad")
    >>> histories = [training.run(20), training.run(10)]
    >>> [len(history) for history in histories], training.iteration
    ([1, 2], 30)
    """

    def __init__(
        self,
        model: Any,
        task: Any,
        optimizer: Any,
        batch_size: int = 1,
        seed: int = 0,
        *,
        engine: str = "auto",
        report_every: int = 500,
        schedule: Schedule | None = None,
        gradient_clip: float | None = None,
        class_weight: ArrayLike | None = None,
        hooks: Iterable[Any] = (),
    ) -> None:
        self._batch_size = _checks.integer("batch_size", batch_size, minimum=1)
        self._report_every = _checks.integer("report_every", report_every, minimum=1)
        _checks.integer("seed", seed, minimum=0)
        _checks.one_of("engine", engine, ENGINES)
        clip = None if gradient_clip is None else _checks.real("gradient_clip", gradient_clip, above=0)
        if schedule is not None and not callable(schedule):
            raise InvalidArgument(f"schedule must map an iteration to a learning rate, not be {schedule!r}")
        _check_optimizer(optimizer, model)
        self._hooks = checked_hooks(hooks)
        self._model, self._optimizer, self._schedule = model, optimizer, schedule
        self._feed = make_feed(task, self._batch_size, np.random.default_rng(seed))
        example = self._feed.peek()
        self._classes, self._dim_input = num_classes(model, example, 0), example.dim_input
        weights = _class_weights(class_weight, self._classes)
        reference = MyGradEngine(model, optimizer, self._batch_size, clip, weights)
        self._fallback = reference if engine == "auto" else None
        self._engine: Engine = reference
        if engine != "mygrad":
            self._engine = self._native_engine(example, clip, weights)
        self._done, self._longest = 0, 0
        self._reports: list[Report] = []
        # What was done since the last report: the loss of every iteration and how many sequences were right.
        self._losses: list[NDArray[np.float64]] = []
        self._correct: list[NDArray[np.int64]] = []
        self._checked: Sequences | None = None

    @property
    def iteration(self) -> int:
        """How many iterations have been done."""
        return self._done

    @property
    def batch_size(self) -> int:
        """B: how many sequences each iteration is the mean of."""
        return self._batch_size

    @property
    def history(self) -> History:
        """The reports so far, the last of them over what was done since the one before."""
        reports = [*self._reports, self._report()] if self._losses else self._reports
        return History.from_reports(reports, self._longest, self._engine.name)

    def run(self, iterations: int) -> History:
        """Do so many iterations more and return the history of all; fewer where the sequences come to an end.

        Raises
        ------
        InvalidArgument
            When `iterations` is not 1 or more, or sequences turn up that the model cannot take.
        TrainingDiverged
            When the loss is no longer finite.
        """
        end = self._done + _checks.integer("iterations", iterations, minimum=1)
        call(
            self._hooks,
            "on_train_begin",
            TrainingStart(self._model, self._optimizer, end, self._batch_size, self._engine.name),
        )
        try:
            with self._numerics(), held_interrupts() as obey:
                while self._done < end and self._portion(end) is not None:
                    obey()
            if self._losses:
                self._close_report()
        finally:
            call(self._hooks, "on_train_end", self.history)
        return self.history

    def advance(self, iterations: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Do so many iterations more, fewer where the sequences come to an end, and return what each came to.

        It is `run` for somebody who takes many short turns: hooks hear of progress and of every whole report, not of
        begin and end, and no report is made where the turn ends.

        Returns
        -------
        losses : ndarray, float64 (n,)
            The mean loss of each iteration's sequences, before the step.
        correct : ndarray, int64 (n,)
            How many of them were classified rightly.

        Raises
        ------
        InvalidArgument, TrainingDiverged
            As for `run`.
        """
        end = self._done + _checks.integer("iterations", iterations, minimum=1)
        done: list[tuple[NDArray[np.float64], NDArray[np.int64]]] = []
        with self._numerics(), held_interrupts() as obey:
            while self._done < end and (portion := self._portion(end)) is not None:
                done.append(portion)
                obey()
        none = (np.empty(0), np.empty(0, np.int64))
        losses, correct = (np.concatenate(parts) for parts in zip(none, *done, strict=True))
        return losses, correct

    @contextmanager
    def _numerics(self) -> Iterator[None]:
        """Let the optimizer keep its own rate, and numbers overflow: that ends in a loss that is refused."""
        own_rate = self._optimizer.learning_rate
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                yield
        finally:
            self._optimizer.learning_rate = own_rate

    def _portion(self, end: int) -> tuple[NDArray[np.float64], NDArray[np.int64]] | None:
        """Do the iterations of one call of the engine, up to the next report; None when there are no more sequences."""
        # Reports stand at multiples, wherever a turn ends.
        until = min(self._done - self._done % self._report_every + self._report_every, end)
        portion = self._feed.take(min(until - self._done, self._engine.iterations_per_call))
        if portion is None:
            return None
        data, order = portion
        self._check(data)
        losses, correct = self._run(data, order)
        self._check_finite(losses)
        self._longest = max(self._longest, int(np.max(data.lengths[order])))
        self._done += len(order)
        self._losses.append(losses)
        self._correct.append(correct)
        call(self._hooks, "on_progress", self._done)
        if self._done % self._report_every == 0:
            self._close_report()
        return losses, correct

    def _report(self) -> Report:
        losses, correct = np.concatenate(self._losses), np.concatenate(self._correct)
        sequences = len(losses) * self._batch_size
        return Report(self._done, sequences, float(np.mean(losses)), float(np.sum(correct)) / sequences)

    def _close_report(self) -> None:
        report = self._report()
        self._reports.append(report)
        self._losses, self._correct = [], []
        call(self._hooks, "on_report", report)

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
        if data.dim_input != self._dim_input:
            raise InvalidArgument(
                f"sequences with {data.dim_input} inputs turned up, but the first ones have {self._dim_input}"
            )
        self._checked = data

    def _rates(self, count: int) -> NDArray[np.float64] | None:
        if self._schedule is None:
            return None
        if isinstance(self._schedule, FallingRate):
            return self._schedule.between(self._done, self._done + count)
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

    def _native_engine(self, example: Sequences, clip: float | None, weights: NDArray[np.float32] | None) -> Engine:
        """Compile the model; where it cannot be compiled, return the engine that may serve in its place."""
        try:
            compiled = compile_for(self._model, example)
            return NativeEngine(compiled, self._optimizer, self._batch_size, clip, weights, example)
        except CompileError as error:
            if self._fallback is None:
                raise
            _warn_of_fallback(error)
            return self._fallback


def _warn_of_fallback(error: CompileError) -> None:
    warnings.warn(f"training goes on op by op with MyGrad, because {error}", stacklevel=5)


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


def _class_weights(given: ArrayLike | None, classes: int) -> NDArray[np.float32] | None:
    if given is None:
        return None
    weights = _checks.array("class_weight", given)
    if weights.shape != (classes,) or weights.dtype.kind not in "fiu":
        raise InvalidArgument(
            f"class_weight must be a number for each of the {classes} classes, not {_checks.shown(given)}"
        )
    _checks.finite("class_weight", weights)
    if weights.min() < 0:
        raise InvalidArgument(f"class_weight must be at least 0, but there is {weights.min()} at [{weights.argmin()}]")
    return weights.astype(np.float32)
