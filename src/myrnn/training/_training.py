"""A training under way."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument, TrainingDiverged
from myrnn.models import parameters_of
from myrnn.sequences import LARGEST_INT32, Sequences
from myrnn.training._arguments import check_optimizer, check_sequences, checked_class_weights
from myrnn.training._divergence import (
    CLIP_AFTER_RESTART,
    MOST_RESTARTS,
    ON_DIVERGENCE,
    check_finite,
    check_losses,
    is_in_hand,
)
from myrnn.training._engine import ChosenEngine
from myrnn.training._engines import ENGINES, num_classes
from myrnn.training._feed import make_feed
from myrnn.training._history import History
from myrnn.training._hooks import Report, TrainingStart, call, checked_hooks
from myrnn.training._interrupts import held_interrupts
from myrnn.training._schedules import FallingRate, Schedule, schedule_name
from myrnn.training._state import (
    CutOff,
    Learner,
    Snapshot,
    TrainingState,
    check_settings,
    from_state,
    to_state,
)

# No iteration.
NONE = np.empty(0, dtype=np.int64)


class Training:
    """A training that goes on where it stopped: `train` is one `run` of it.

    The result does not depend on how the iterations are spread over calls of `run`, but for the reports: one more is
    made where a run ends between two.

    Parameters
    ----------
    model, task, optimizer, batch_size, seed, engine, report_every, gradient_clip, class_weight, on_divergence, hooks
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
        on_divergence: str = "stop",
        hooks: Iterable[Any] = (),
    ) -> None:
        self._batch_size = _checks.integer("batch_size", batch_size, minimum=1, maximum=LARGEST_INT32)
        self._report_every = _checks.integer("report_every", report_every, minimum=1)
        self._seed = _checks.integer("seed", seed, minimum=0)
        _checks.one_of("engine", engine, ENGINES)
        _checks.one_of("on_divergence", on_divergence, ON_DIVERGENCE)
        clip = None if gradient_clip is None else _checks.real("gradient_clip", gradient_clip, above=0)
        if schedule is not None and not callable(schedule):
            raise InvalidArgument(f"schedule must map an iteration to a learning rate, not be {schedule!r}")
        check_optimizer(optimizer, model)
        self._hooks = checked_hooks(hooks)
        self._model, self._optimizer, self._schedule = model, optimizer, schedule
        self._feed = make_feed(task, self._batch_size, np.random.default_rng(seed))
        example = self._feed.peek()
        self._classes, self._dim_input = num_classes(model, example, 0), example.dim_input
        weights = checked_class_weights(class_weight, self._classes)
        self._clip, self._class_weights, self._parameters = clip, weights, parameters_of(model)
        self._engine = ChosenEngine(engine, model, optimizer, self._batch_size, clip, weights, example)
        self._done, self._longest, self._restarts = 0, 0, 0
        self._reports: list[Report] = []
        # What was done since the last report: the loss of every iteration and how many sequences were right.
        self._losses: list[NDArray[np.float64]] = []
        self._correct: list[NDArray[np.int64]] = []
        self._checked: Sequences | None = None
        # The rate that the optimizer has outside of a run, while a schedule changes it within one.
        self._own_rate: float | None = None
        # Whether weights, feed and reports belong together: not while an iteration is under way.
        self._is_whole = True
        self._last = self._snapshot() if on_divergence == "restart" else None

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
        return History.from_reports(reports, self._longest, self._engine.name, 1 / self._classes)

    def state(self) -> TrainingState:
        """Return all that a training needs to go on from here.

        With ``on_divergence="restart"`` it is the state that a restart would go back to: that of the last report before
        the loss got out of hand.

        Raises
        ------
        InvalidArgument
            When the optimizer or the task cannot go on later, or the training was cut off within an iteration.
        TrainingDiverged
            When weights or the optimizer's memory are no longer finite.
        """
        if self._last is None and not self._is_whole:
            raise CutOff(f"the training was cut off within an iteration, after iteration {self._done}")
        snapshot = self._snapshot() if self._last is None else self._last
        check_finite("the weights or what the optimizer remembers", snapshot.arrays.values(), snapshot.iteration)
        reports = [report for report in self._reports if report.iteration <= snapshot.iteration]
        further = {"engine": self._engine.name, "restarts": self._restarts}
        return to_state(snapshot, reports, self._settings(), further)

    def restore(self, state: TrainingState) -> None:
        """Go back, or on, to where another training of the same kind gave its state.

        From there the weights, the optimizer and the history become what they would have become in the other, bit for
        bit, on the same machine.

        Raises
        ------
        InvalidArgument
            When the state is that of another kind of training: other settings, another model or optimizer, or other
            sequences. The training is then as it was.
        """
        check_settings(state, self._settings())
        snapshot, reports = from_state(state, self._learner.arrays())
        restarts = _checks.integer("restarts", state.values.get("restarts"), minimum=0, maximum=MOST_RESTARTS)
        engine = _checks.one_of("engine", state.values.get("engine"), ENGINES)
        self._engine.check_can_be(engine)
        self._feed.go_to(snapshot.position)
        self._engine.become(engine)
        self._reports = reports
        self._put_back(snapshot, restarts)

    def run(self, iterations: int) -> History:
        """Do so many iterations more and return the history of all; fewer where the sequences come to an end.

        Raises
        ------
        InvalidArgument
            When `iterations` is not 1 or more, or sequences turn up that the model cannot take.
        TrainingDiverged
            When the loss or the weights are no longer finite.
        """
        end = self._done + _checks.integer("iterations", iterations, minimum=1)
        start = TrainingStart(
            self._model, self._optimizer, end, self._batch_size, self._engine.name, self._done, self.state
        )
        call(self._hooks, "on_train_begin", start)
        try:
            with self._numerics(), held_interrupts() as obey:
                while self._done < end and self._portion(end, closing=True) is not None:
                    obey()
                # Where the sequences came to an end.
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
        none = (np.empty(0), NONE)
        losses, correct = (np.concatenate(parts) for parts in zip(none, *done, strict=True))
        return losses, correct

    @contextmanager
    def _numerics(self) -> Iterator[None]:
        """Let the optimizer keep its own rate, and numbers overflow: that ends in a loss that is refused."""
        self._own_rate = self._optimizer.learning_rate
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                yield
        finally:
            self._optimizer.learning_rate, self._own_rate = self._own_rate, None

    def _portion(self, end: int, closing: bool = False) -> tuple[NDArray[np.float64], NDArray[np.int64]] | None:
        """Do the iterations of one call of the engine, up to the next report; None when there are no more sequences.

        With `closing`, there is a report at the end, too.
        """
        # Reports stand at multiples, wherever a turn ends.
        until = min(self._done - self._done % self._report_every + self._report_every, end)
        self._is_whole = False
        portion = self._feed.take(min(until - self._done, self._engine.iterations_per_call))
        if portion is None:
            self._is_whole = True
            return None
        try:
            return self._iterate(*portion, closing_at=end if closing else None)
        except TrainingDiverged as error:
            self._restart(error)
            return np.empty(0), NONE

    def _iterate(
        self, data: Sequences, order: NDArray[np.int64], closing_at: int | None
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        if data is not self._checked:
            check_sequences(data, self._classes, self._dim_input)
            self._checked = data
        losses, correct = self._engine.run(data, order, self._rates(len(order)))
        check_losses(losses, self._done)
        self._longest = max(self._longest, int(np.max(data.lengths[order])))
        self._done += len(order)
        self._losses.append(losses)
        self._correct.append(correct)
        call(self._hooks, "on_progress", self._done)
        if self._done % self._report_every == 0 or self._done == closing_at:
            self._close_report()
        self._is_whole = True
        return losses, correct

    def _report(self) -> Report:
        losses, correct = np.concatenate(self._losses), np.concatenate(self._correct)
        sequences = len(losses) * self._batch_size
        return Report(self._done, sequences, float(np.mean(losses)), float(np.sum(correct)) / sequences)

    def _close_report(self) -> None:
        check_finite("the weights", (parameter.data for parameter in self._parameters), self._done)
        report = self._report()
        self._reports.append(report)
        self._losses, self._correct, self._is_whole = [], [], True
        if self._last is not None and is_in_hand(report.loss, self._classes, self._class_weights):
            self._last = self._snapshot()
        call(self._hooks, "on_report", report)

    def _rates(self, count: int) -> NDArray[np.float64] | None:
        if self._schedule is None:
            return np.full(count, self._rate * self._scale) if self._restarts else None
        if isinstance(self._schedule, FallingRate):
            return self._schedule.between(self._done, self._done + count) * self._scale
        rates = [
            _checks.real(f"schedule({iteration})", self._schedule(iteration), minimum=0)
            for iteration in range(self._done, self._done + count)
        ]
        return np.array(rates) * self._scale

    def _restart(self, error: TrainingDiverged) -> None:
        """Go back to a good report with half the rate, and clip; or say what to try, where that is not wanted."""
        if self._last is None:
            raise error
        what, _, advice = str(error).partition(": ")
        if self._restarts == MOST_RESTARTS:
            raise TrainingDiverged(f"{what}, also after {MOST_RESTARTS} restarts: {advice}") from None
        self._feed.go_to(self._last.position)
        self._put_back(self._last, self._restarts + 1)
        self._reports = [report for report in self._reports if report.iteration <= self._done]
        warnings.warn(
            f"{what}: training goes on from iteration {self._done} with {self._scale:g} times the learning rate and "
            f"gradients clipped to {self._clip_at(self._restarts):g}",
            stacklevel=5,
        )

    @property
    def _rate(self) -> float:
        return float(self._optimizer.learning_rate if self._own_rate is None else self._own_rate)

    @property
    def _scale(self) -> float:
        return 0.5**self._restarts

    def _clip_at(self, restarts: int) -> float | None:
        return CLIP_AFTER_RESTART if restarts and self._clip is None else self._clip

    def _settings(self) -> dict[str, Any]:
        weights = self._class_weights
        return {
            "batch_size": self._batch_size,
            "seed": self._seed,
            "report_every": self._report_every,
            "gradient_clip": self._clip,
            "class_weight": None if weights is None else weights.tolist(),
            "schedule": schedule_name(self._schedule),
            **self._learner.settings(self._rate),
        }

    def _snapshot(self) -> Snapshot:
        arrays = {name: array.copy() for name, array in self._learner.arrays().items()}
        losses, correct = np.concatenate([np.empty(0), *self._losses]), np.concatenate([NONE, *self._correct])
        position = self._feed.position()
        return Snapshot(self._done, self._longest, self._learner.steps, arrays, losses, correct, position)

    @cached_property
    def _learner(self) -> Learner:
        # Not before it is needed: an optimizer of another kind cannot be saved, but can train.
        return Learner(self._model, self._optimizer)

    def _put_back(self, snapshot: Snapshot, restarts: int) -> None:
        self._learner.put_back(snapshot.arrays, snapshot.steps)
        self._done, self._longest, self._restarts = snapshot.iteration, snapshot.longest, restarts
        self._engine.clip(self._clip_at(restarts))
        some = len(snapshot.losses) > 0
        self._losses, self._correct = ([snapshot.losses], [snapshot.correct]) if some else ([], [])
        self._checked, self._is_whole = None, True
        if self._last is not None:
            self._last = snapshot
