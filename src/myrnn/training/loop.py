"""The training loop, which can be stopped, saved and continued between any two iterations."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
from mygrad import Tensor
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn._keywords import keywords
from myrnn._signals import held_interrupts
from myrnn._user_code import warn
from myrnn.added_loss import OfBoth, WithAddedLoss, adding_nothing
from myrnn.compiler.reference import MYGRAD
from myrnn.errors import InvalidArgument, TrainingDiverged
from myrnn.learning_curve import LearningCurve
from myrnn.losses import CROSS_ENTROPY, Loss, Objective, Penalty, loss_for, name_of
from myrnn.models import Recognizer
from myrnn.models.model import parameters_of
from myrnn.schedules import Rates, Schedule
from myrnn.sequences import Sequences
from myrnn.targets import ONE_CLASS
from myrnn.tasks import recognition_of
from myrnn.training.checkpoint import CutOff
from myrnn.training.engine import ChosenEngine
from myrnn.training.feed import WindowFeed, check_sequences, make_feed
from myrnn.training.hooks import (
    OF_HOOKS,
    TrainingReport,
    TrainingStart,
    checked_hooks,
    is_shipped,
    restore_states,
    states_of,
    with_event,
    with_state,
)
from myrnn.training.native import Batches, Losses, Problem, Scores
from myrnn.training.outputs import chance_of, check_sees_no_future, checked_class_weights, guessing_loss, tried_on
from myrnn.training.records import Reports, Results
from myrnn.training.restarts import MOST_RESTARTS, Restarts, check_losses, check_not_diverged
from myrnn.training.settings import (
    DEFAULTS,
    BatchSize,
    EngineName,
    GradientClip,
    OnDivergence,
    ReportEvery,
    Seed,
)
from myrnn.training.state import OF_OPTIMIZER, OF_PARAMETERS, Learner, TrainingState


class Training:
    """A training that can be continued: `train` is one `run` of it, with the same arguments."""

    # The result does not depend on how the iterations are divided into calls of `run`, except the reports: there is an
    # additional one if a run ends between two.

    @keywords
    def __init__(
        self,
        model: Any,
        task: Any,
        optimizer: Any,
        batch_size: BatchSize = DEFAULTS.batch_size,
        seed: Seed = DEFAULTS.seed,
        *,
        engine: EngineName = DEFAULTS.engine,
        report_every: ReportEvery = DEFAULTS.report_every,
        schedule: Schedule | None = None,
        gradient_clip: GradientClip | None = DEFAULTS.gradient_clip,
        class_weight: ArrayLike | None = None,
        on_divergence: OnDivergence = DEFAULTS.on_divergence,
        loss: Loss | str | None = None,
        penalty: Penalty | None = None,
        truncate: int | None = None,
        hooks: Iterable[Any] = (),
    ) -> None:
        self._batch_size, self._report_every = batch_size, report_every
        self._rates = Rates(optimizer, schedule)
        self._model, self._optimizer, self._parameters = model, optimizer, parameters_of(model)
        _check_optimizer(optimizer, self._parameters)
        self._hooks, self._is_task_shipped = checked_hooks(hooks), is_shipped(task)
        # Strings are as long as they are tested, without a start.
        self._start_steps = 0 if recognition_of(task) is task else Recognizer.start_steps
        self._learner = Learner(model, optimizer)
        rng = np.random.default_rng(seed)
        self._feed = make_feed(task, batch_size, rng, truncate)
        example = self._feed.peek()
        self._kind, self._dim_input = example.kind, example.dim_input
        if self._start_steps and isinstance(model, Recognizer):
            raise InvalidArgument("a Recognizer is for tests: train the model in it, its attribute `model`")
        self._columns, adds = tried_on(model, example)
        if getattr(task, "predicts_next", False):
            check_sees_no_future(model, example)
        weights = checked_class_weights(class_weight, self._kind, self._columns)
        if penalty is not None and not callable(penalty):
            raise InvalidArgument(f"penalty must be a function of the model, not {_checks.shown(penalty)}")
        objective = Objective(loss_for(loss, self._kind), weights, penalty)
        self._guessing = guessing_loss(objective, model, example, self._columns)
        if adds and truncate is not None:
            raise InvalidArgument("truncate does not go with a model that calls add_loss")
        self._adding: Callable[[], AbstractContextManager[None]] = nullcontext if adds else adding_nothing
        learned = WithAddedLoss(model) if adds else model
        of_all = replace(objective, loss=OfBoth(objective.loss), added=1) if adds else objective
        with self._adding():
            self._engine = ChosenEngine(engine, Problem(learned, optimizer, of_all, batch_size, seed), example)
        if isinstance(self._feed, WindowFeed):
            self._feed.carry(self._engine.carried)
        self._given = {
            "batch_size": batch_size,
            "seed": seed,
            "report_every": report_every,
            "gradient_clip": gradient_clip,
            "class_weight": None if weights is None else weights.tolist(),
            "schedule": self._rates.name,
            **({} if objective.loss == CROSS_ENTROPY else {"loss": name_of(objective.loss)}),
            **({} if self._kind == ONE_CLASS else {"targets": str(self._kind)}),
            **({} if truncate is None else {"truncate": truncate}),
            **({} if objective.penalty is None else {"penalty": name_of(objective.penalty)}),
        }
        least_loss = -np.inf if of_all.can_be_negative else 0.0
        self._reports = Reports(batch_size, self._kind, chance_of(self._kind, self._columns), least_loss)
        self._restarts = Restarts(gradient_clip, on_divergence == "restart")
        self._checked: Sequences | None = None
        self._is_stopped = False
        # Whether weights, feed and reports are consistent, which they are not within an iteration; whether one
        # diverged.
        self._is_whole, self._has_diverged = True, False
        if self._restarts.allowed:
            self.keep_good()

    @property
    def iteration(self) -> int:
        """The number of iterations done."""
        return self._reports.iteration

    @property
    def batch_size(self) -> int:
        """B: the number of sequences per iteration."""
        return self._batch_size

    @property
    def history(self) -> LearningCurve:
        """The reports so far; the last one covers everything since the one before."""
        return self._reports.history(self._engine.name)

    def state(self) -> TrainingState:
        """Return everything needed to resume from here; InvalidArgument if that is impossible, or TrainingDiverged."""
        if self._has_diverged:
            raise TrainingDiverged(f"the training has diverged, after iteration {self.iteration}")
        if not self._is_whole:
            raise CutOff(f"the training was interrupted within an iteration, after iteration {self.iteration}")
        now = self._state_at(self._snapshot())
        return now.with_good(self._good_state()) if self._restarts.allowed else now

    def keep_good(self) -> Callable[[], TrainingState]:
        """From now on keep a state to go back to when the training is cut off or diverges; return a function for it."""
        # It is that of the last report before the loss got out of hand, or in a long training of one before it, by at
        # most a hundredth of the iterations; until there is one, the state at this call.
        if self._restarts.last is None:
            self._restarts.last = self._snapshot()
        return self._good_state

    def restore(self, state: TrainingState) -> None:
        """Set the training to the state of another of the same kind, from which it continues bit for bit.

        A state that does not fit is refused, and changes nothing.
        """
        # A different model explains all other differences.
        self._learner.check_model(state)
        first = self._rates.first_before(state.values)
        state.check_settings({**self._settings(), "learning_rate": first})
        _check_writeable(self._parameters)
        now, good = state.parts()
        reports = self._checked_reports(now)
        if good is not None:
            self._checked_reports(good)
        restarts = _checks.integer("restarts", state.values.get("restarts"), minimum=0, maximum=MOST_RESTARTS)
        engine = self._engine.checked(state.values.get("engine"))
        before = self._snapshot()
        try:
            self._go_to(now)
        except BaseException:
            # Hooks, the feed, and an optimizer with load_state_dict, check a state when they are given it.
            self._go_to(before)
            raise
        self._engine.become(engine)
        self._rates.first = first
        self._resume(now, reports, restarts)
        if good is not None and self._restarts.last is not None:
            self._restarts.last = good

    def _checked_reports(self, state: TrainingState) -> list[TrainingReport]:
        """Check the state of the model, the optimizer and the results, and return the reports."""
        free = (OF_HOOKS, *self._learner.free)
        state.check_names({*self._learner.arrays(), *self._feed.state().arrays, *self._reports.names}, free)
        self._learner.check(state)
        return self._reports.read_reports(state)

    def run(self, iterations: int) -> LearningCurve:
        """Do `iterations` more, fewer if the sequences end; return the history of all, or raise TrainingDiverged."""
        end = self.iteration + _checks.integer("iterations", iterations, minimum=1)
        model, optimizer, batch, engine = self._model, self._optimizer, self._batch_size, self._engine.name
        self._is_stopped = False
        keeps = self._reports.count, self._stop, self.state, self.keep_good
        start = TrainingStart(model, optimizer, end, batch, engine, self.iteration, *keeps)
        self._engine.doubt()
        self._call("on_train_begin", start)
        try:
            # Numbers that overflow end in a loss that is refused.
            with np.errstate(over="ignore", invalid="ignore"), held_interrupts() as obey:
                while self._goes_on_to(end) and self._portion(end, closing=True) is not None:
                    obey()
                # The sequences came to an end.
                if self._reports.is_open:
                    self._close_report()
        finally:
            self._call("on_train_end", self.history)
        return self.history

    def advance(self, iterations: int) -> tuple[Losses, Scores]:
        """Do `iterations` more, fewer if the sequences end; return the loss and the score of each before its step."""
        # It is `run` in many short turns: hooks are called for progress and for every complete report, not for begin
        # and end, and no report is made at the end of a turn.
        end = self.iteration + _checks.integer("iterations", iterations, minimum=1)
        done = [self._reports.none]
        self._engine.doubt()
        with np.errstate(over="ignore", invalid="ignore"), held_interrupts() as obey:
            while self._goes_on_to(end) and (portion := self._portion(end)) is not None:
                done.append(portion)
                obey()
        losses, scores, _ = map(np.concatenate, zip(*done, strict=True))
        return losses, scores

    def _stop(self) -> None:
        self._is_stopped = True

    def _goes_on_to(self, end: int) -> bool:
        return self._reports.iteration < end and not self._is_stopped

    def _portion(self, end: int, closing: bool = False) -> Results | None:
        """Do the iterations of one engine call, up to the next report (`closing` adds one); None without sequences."""
        _check_writeable(self._parameters)
        # Reports are at multiples, wherever a turn ends.
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
            return self._reports.none

    def _iterate(self, data: Sequences, order: NDArray[np.int64], closing_at: int | None) -> Results:
        is_new = data is not self._checked
        if is_new:
            check_sequences(data, self._columns, self._dim_input, self._kind)
            self._checked = data
        done = self.iteration
        rates = self._rates.between(done, done + len(order), self._restarts.scale)
        if not self._rates.is_shipped or (is_new and not self._is_task_shipped):
            self._engine.doubt()
        with self._adding():
            losses, scores = self._engine.run(Batches(data, order, rates, done, self._restarts.gradient_clip))
        check_losses(losses, done)
        results = Results(losses, scores, data.counted[order].sum(axis=1))
        self._reports.add(results, data.lengths[order] - self._start_steps)
        self._call("on_progress", self.iteration)
        if self.iteration % self._report_every == 0 or self.iteration == closing_at:
            self._close_report()
        else:
            self._is_whole = True
            self._call("on_progressed", self.iteration)
        return results

    def _call(self, event: str, *arguments: Any) -> None:
        called = with_event(self._hooks, event)
        # Before the calls, one of which may change the model and then raise.
        if not all(map(is_shipped, called)):
            self._engine.doubt()
        for hook in called:
            getattr(hook, event)(*arguments)

    def _close_report(self) -> None:
        # A weight whose squared gradients have overflowed no longer changes, and the loss need not show it.
        check_not_diverged("the weights", (parameter.data for parameter in self._parameters), self.iteration)
        check_not_diverged("the gradients that the optimizer remembers", self._learner.gradients(), self.iteration)
        report = self._reports.close()
        # The states of hooks only belong to the report after they have received it.
        self._is_whole = not with_state(self._hooks)
        is_kept = self._restarts.wants(report, self._guessing)
        for event in ("on_report", "on_reported"):
            # Before the first, which may fail, and after it, since it may set the learning rate.
            if is_kept and self._is_whole:
                self._restarts.last = self._snapshot()
            self._call(event, report)
            self._is_whole = True

    def _restart(self, error: TrainingDiverged) -> None:
        """Go back to a good report with half the rate, and clip; raise an error with advice if that is not wanted."""
        self._has_diverged = True
        snapshot = self._restarts.back_from(error)
        self._go_to(snapshot)
        self._resume(snapshot, self._reports.reports(snapshot.iteration), self._restarts.count + 1)
        warn(self._restarts.message(error, self.iteration))

    def _good_state(self) -> TrainingState:
        assert self._restarts.last is not None
        return self._state_at(self._restarts.last)

    def _state_at(self, snapshot: TrainingState) -> TrainingState:
        """Return a state with the reports and all settings, which are left out of a snapshot to save time."""
        # What hooks remember may be infinite, such as the best loss so far at first.
        learned = (array for name, array in snapshot.arrays.items() if name.startswith((OF_PARAMETERS, OF_OPTIMIZER)))
        check_not_diverged("the weights or what the optimizer remembers", learned, snapshot.iteration)
        further = {"engine": self._engine.name, "restarts": self._restarts.count, "settings": self._settings()}
        reports = self._reports.reports_until(snapshot.iteration)
        return TrainingState({**snapshot.values, **further}, {**snapshot.arrays, **reports})

    def _settings(self) -> dict[str, Any]:
        return {**self._given, **self._learner.settings(self._rates.first)}

    def _snapshot(self) -> TrainingState:
        parts = self._learner.state(), self._reports.state(), self._feed.state()
        values = {name: value for part in parts for name, value in part.values.items()}
        arrays = {name: array for part in parts for name, array in part.arrays.items()}
        return TrainingState(values, {**arrays, **states_of(self._hooks)})

    def _go_to(self, snapshot: TrainingState) -> None:
        """Restore what is not this training's own: the feed, the model and its optimizer, and the hooks."""
        self._feed.go_to(snapshot)
        self._learner.put_back(snapshot)
        restore_states(self._hooks, snapshot)

    def _resume(self, snapshot: TrainingState, reports: list[TrainingReport], restarts: int) -> None:
        self._reports.go_to(snapshot, reports)
        self._restarts.count = restarts
        self._checked, self._is_whole, self._has_diverged = None, True, False
        if self._restarts.last is not None:
            self._restarts.last = snapshot


def _check_optimizer(optimizer: Any, parameters: tuple[Tensor, ...]) -> None:
    _checks.of_mygrad("optimizer", optimizer)
    if isinstance(optimizer, type) or not callable(getattr(optimizer, "step", None)):
        raise InvalidArgument(f"optimizer must be an optimizer such as Adam(model.parameters), not {optimizer!r}")
    _check_writeable(parameters)
    trained = {id(parameter) for parameter in parameters}
    if not any(id(parameter) in trained for parameter in getattr(optimizer, "params", ())):
        raise InvalidArgument("optimizer holds none of the model's parameters: make it from this model's .parameters")


def _check_writeable(parameters: Iterable[Tensor]) -> None:
    """Refuse a model whose graph is alive: a hook, too, may keep results of the model."""
    # Another thread that traces the model locks its parameters for a while.
    with MYGRAD:
        if not all(parameter.data.flags.writeable for parameter in parameters):
            raise InvalidArgument(
                "a graph of this model is still alive, and MyGrad keeps its parameters from changing: "
                "call loss.backward() first, or delete the tensors that hold it"
            )
