"""A training under way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.errors import InvalidArgument, TrainingDiverged
from myrnn.models import parameters_of
from myrnn.results import History
from myrnn.sequences import Sequences
from myrnn.training import _arguments
from myrnn.training._divergence import MOST_RESTARTS, ON_DIVERGENCE, Restarts, check_finite, check_learner, check_losses
from myrnn.training._engine import ChosenEngine
from myrnn.training._engines import ENGINES, Correct, Losses, classes_of
from myrnn.training._feed import make_feed
from myrnn.training._hooks import Report, TrainingStart, checked_hooks, is_shipped, with_event, with_state
from myrnn.training._interrupts import held_interrupts
from myrnn.training._rates import Rates
from myrnn.training._record import NONE, Record
from myrnn.training._schedules import Schedule, schedule_name
from myrnn.training._state import (
    OF_HOOKS,
    CutOff,
    Learner,
    Snapshot,
    TrainingState,
    check_settings,
    from_state,
    to_state,
)


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
        given = _arguments.checked_settings(batch_size, seed, report_every, gradient_clip)
        _checks.one_of("engine", engine, ENGINES)
        _checks.one_of("on_divergence", on_divergence, ON_DIVERGENCE)
        self._batch_size, self._report_every = given["batch_size"], given["report_every"]
        batch, clip = self._batch_size, given["gradient_clip"]
        self._rates = Rates(optimizer, schedule)
        _arguments.check_optimizer(optimizer, model)
        self._hooks = checked_hooks(hooks)
        self._is_schedule_shipped, self._is_task_shipped = is_shipped(schedule), is_shipped(task)
        self._model, self._optimizer, self._parameters = model, optimizer, parameters_of(model)
        self._feed = make_feed(task, batch, np.random.default_rng(given["seed"]))
        example = self._feed.peek()
        self._classes, self._dim_input = classes_of(model, example, 0), example.dim_input
        self._class_weights = weights = _arguments.checked_class_weights(class_weight, self._classes)
        self._engine = ChosenEngine(engine, model, optimizer, batch, clip, weights, example)
        class_weight = None if weights is None else weights.tolist()
        self._given = {**given, "class_weight": class_weight, "schedule": schedule_name(schedule)}
        self._record, self._restarts = Record(batch, self._classes), Restarts(clip, on_divergence == "restart")
        self._checked: Sequences | None = None
        self._is_stopped = False
        # Whether weights, feed and reports belong together, not while an iteration is under way; whether one diverged.
        self._is_whole, self._has_diverged = True, False
        if self._restarts.allowed:
            self.keep_good()

    @property
    def iteration(self) -> int:
        """How many iterations have been done."""
        return self._record.iteration

    @property
    def batch_size(self) -> int:
        """B: how many sequences each iteration is the mean of."""
        return self._batch_size

    @property
    def history(self) -> History:
        """The reports so far, the last of them over what was done since the one before."""
        return self._record.history(self._engine.name)

    def state(self) -> TrainingState:
        """Return all that a training needs to go on from here.

        With ``on_divergence="restart"`` it is the state that a restart would go back to, which `keep_good` gives.

        Raises
        ------
        InvalidArgument
            When the optimizer or the task cannot go on later, or the training was cut off within an iteration.
        TrainingDiverged
            When the training has diverged, or is about to: what `keep_good` gives can still go on.
        """
        if self._restarts.allowed:
            return self._good_state()
        if self._has_diverged:
            raise TrainingDiverged(f"the training has diverged, after iteration {self.iteration}")
        if not self._is_whole:
            raise CutOff(f"the training was cut off within an iteration, after iteration {self.iteration}")
        return self._state_at(self._snapshot())

    def keep_good(self) -> Callable[[], TrainingState]:
        """Keep from now on where to go back to when the training is cut off or diverges, and return what gives it.

        That is the last report before the loss got out of hand, or in a long training one before it, by at most a
        hundredth of the iterations; until there is one, the state at this call.

        Raises
        ------
        InvalidArgument
            As `state` does.
        """
        if self._restarts.last is None:
            self._restarts.last = self._snapshot()
        return self._good_state

    def restore(self, state: TrainingState) -> None:
        """Go back, or on, to where another training of the same kind gave its state.

        From there the weights, the optimizer and the history become what they would have become in the other, bit for
        bit, on the same machine.

        Raises
        ------
        InvalidArgument
            When the state is that of another kind of training: other settings, another model or optimizer, or other
            sequences; or a graph of the model is alive. The training is then as it was.
        """
        first = self._rates.first_before(state.values)
        check_settings(state, {**self._settings(), "learning_rate": first})
        _arguments.check_writeable(self._parameters)
        snapshot, reports = from_state(state, self._learner.arrays())
        restarts = _checks.integer("restarts", state.values.get("restarts"), minimum=0, maximum=MOST_RESTARTS)
        engine = self._engine.checked(state.values.get("engine"))
        self._restore_hooks(snapshot)
        self._feed.go_to(snapshot.position)
        self._engine.become(engine)
        self._rates.first = first
        self._put_back(snapshot, reports, restarts)

    def run(self, iterations: int) -> History:
        """Do so many iterations more and return the history of all; fewer where the sequences come to an end.

        Raises
        ------
        InvalidArgument
            When `iterations` is not 1 or more, sequences turn up that the model cannot take, or a graph of it is alive.
        TrainingDiverged
            When the loss, a weight, or a gradient that the optimizer remembers is no longer finite.
        """
        end = self.iteration + _checks.integer("iterations", iterations, minimum=1)
        model, optimizer, batch, engine = self._model, self._optimizer, self._batch_size, self._engine.name
        self._is_stopped = False
        keeps = self._record.count, self._stop, self.state, self.keep_good
        start = TrainingStart(model, optimizer, end, batch, engine, self.iteration, *keeps)
        self._engine.doubt()
        self._call("on_train_begin", start)
        try:
            # Numbers that overflow end in a loss that is refused.
            with np.errstate(over="ignore", invalid="ignore"), held_interrupts() as obey:
                while self._goes_on_to(end) and self._portion(end, closing=True) is not None:
                    obey()
                # Where the sequences came to an end.
                if self._record.is_open:
                    self._close_report()
        finally:
            self._call("on_train_end", self.history)
        return self.history

    def advance(self, iterations: int) -> tuple[Losses, Correct]:
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
        end = self.iteration + _checks.integer("iterations", iterations, minimum=1)
        done: list[tuple[Losses, Correct]] = []
        self._engine.doubt()
        with np.errstate(over="ignore", invalid="ignore"), held_interrupts() as obey:
            while self._goes_on_to(end) and (portion := self._portion(end)) is not None:
                done.append(portion)
                obey()
        losses, correct = (np.concatenate(parts) for parts in zip(NONE, *done, strict=True))
        return losses, correct

    def _stop(self) -> None:
        self._is_stopped = True

    def _goes_on_to(self, end: int) -> bool:
        return self._record.iteration < end and not self._is_stopped

    def _portion(self, end: int, closing: bool = False) -> tuple[Losses, Correct] | None:
        """Do the iterations of one call of the engine, up to the next report; None when there are no more sequences.

        With `closing`, there is a report at the end, too.
        """
        _arguments.check_writeable(self._parameters)
        # Reports stand at multiples, wherever a turn ends.
        left = min(self._report_every - self.iteration % self._report_every, end - self.iteration)
        self._is_whole, self._has_diverged = False, False
        portion = self._feed.take(min(left, self._engine.iterations_per_call))
        if portion is None:
            self._is_whole = True
            return None
        try:
            return self._iterate(*portion, closing_at=end if closing else None)
        except TrainingDiverged as error:
            self._restart(error)
            return NONE

    def _iterate(self, data: Sequences, order: NDArray[np.int64], closing_at: int | None) -> tuple[Losses, Correct]:
        is_new = data is not self._checked
        if is_new:
            _arguments.check_sequences(data, self._classes, self._dim_input)
            self._checked = data
        done = self.iteration
        rates = self._rates.between(done, done + len(order), self._restarts.scale)
        if not self._is_schedule_shipped or (is_new and not self._is_task_shipped):
            self._engine.doubt()
        losses, correct = self._engine.run(data, order, rates)
        check_losses(losses, done)
        self._record.add(losses, correct, data.lengths[order])
        self._call("on_progress", self.iteration)
        if self.iteration % self._report_every == 0 or self.iteration == closing_at:
            self._close_report()
        self._is_whole = True
        return losses, correct

    def _call(self, event: str, *arguments: Any) -> None:
        called = with_event(self._hooks, event)
        # Before the calls, one of which may change the model and then raise.
        if not all(map(is_shipped, called)):
            self._engine.doubt()
        for hook in called:
            getattr(hook, event)(*arguments)

    def _close_report(self) -> None:
        check_learner(self._parameters, self._optimizer, self.iteration)
        report = self._record.close()
        # What hooks remember belongs to the report only when they have had it.
        self._is_whole = not with_state(self._hooks)
        is_kept = self._restarts.wants(report, self._classes, self._class_weights)
        for event in ("on_report", "on_reported"):
            # Before the first, which may fail, and after it, since it may set the learning rate.
            if is_kept and self._is_whole:
                self._restarts.last = self._snapshot()
            self._call(event, report)
            self._is_whole = True

    def _restart(self, error: TrainingDiverged) -> None:
        """Go back to a good report with half the rate, and clip; or say what to try, where that is not wanted."""
        self._has_diverged = True
        snapshot = self._restarts.back_from(error)
        self._feed.go_to(snapshot.position)
        self._restore_hooks(snapshot)
        self._put_back(snapshot, self._record.reports(snapshot.iteration), self._restarts.count + 1)
        warn(self._restarts.told(error, self.iteration))

    def _good_state(self) -> TrainingState:
        assert self._restarts.last is not None
        return self._state_at(self._restarts.last)

    def _state_at(self, snapshot: Snapshot) -> TrainingState:
        check_finite("the weights or what the optimizer remembers", snapshot.arrays.values(), snapshot.iteration)
        further = {"engine": self._engine.name, "restarts": self._restarts.count}
        return to_state(snapshot, self._record.reports(snapshot.iteration), self._settings(), further)

    def _settings(self) -> dict[str, Any]:
        return {**self._given, **self._learner.settings(self._rates.first)}

    def _snapshot(self) -> Snapshot:
        arrays = self._learner.copies()
        record, steps, rate = self._record, self._learner.steps, self._rates.own
        further = self._feed.position(), self._of_hooks()
        return Snapshot(record.iteration, record.longest, steps, rate, arrays, *record.since(), *further)

    def _restore_hooks(self, snapshot: Snapshot) -> None:
        left = dict(snapshot.hooks)
        for name, hook in with_state(self._hooks).items():
            begin = f"{OF_HOOKS}{name}."
            own = [key for key in left if key.startswith(begin)]
            hook.restore({key.removeprefix(begin): left.pop(key) for key in own})
        if left:
            name = next(iter(left)).removeprefix(OF_HOOKS).partition(".")[0]
            raise InvalidArgument(f"the state is that of a training with a hook {name!r}, which is not given")

    def _of_hooks(self) -> dict[str, NDArray[Any]]:
        """Return what hooks remember, by ``hook.<name>.<array>``."""
        found: dict[str, NDArray[Any]] = {}
        for name, hook in with_state(self._hooks).items():
            arrays = hook.state()
            if not isinstance(arrays, Mapping) or not all(_is_plain(array) for array in arrays.values()):
                raise InvalidArgument(f"state() of the hook {name!r} must return arrays of numbers by name")
            found |= {f"{OF_HOOKS}{name}.{key}": array.copy() for key, array in arrays.items()}
        return found

    @cached_property
    def _learner(self) -> Learner:
        # Not before it is needed: an optimizer of another kind cannot be saved, but can train.
        return Learner(self._model, self._optimizer)

    def _put_back(self, snapshot: Snapshot, reports: list[Report], restarts: int) -> None:
        self._learner.put_back(snapshot)
        self._record.go_to(snapshot, reports)
        self._restarts.count = restarts
        self._engine.clip(self._restarts.gradient_clip)
        self._checked, self._is_whole, self._has_diverged = None, True, False
        if self._restarts.last is not None:
            self._restarts.last = snapshot


def _is_plain(array: Any) -> bool:
    return isinstance(array, np.ndarray) and array.dtype.kind in "biuf"
