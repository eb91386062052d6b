"""Hooks: objects that watch a training.

A hook has one or more of these methods; training calls whichever it has:

``on_train_begin(start)``
    once, with a `TrainingStart`, before the first iteration;
``on_progress(iteration)``
    at intervals between reports, with the number of iterations done;
``on_progressed(iteration)``
    with the same number, after every hook has received it, unless a report follows;
``on_report(report)``
    with a `TrainingReport`, every `report_every` iterations and after the last;
``on_reported(report)``
    with the same report, after every hook has received it;
``on_train_end(history)``
    once, with the `LearningCurve` so far, also when training stops by an error or is interrupted.

In ``on_report`` a hook may set the optimizer's ``learning_rate``: training continues with it, also from a checkpoint,
and leaves it there. With a schedule, only the schedule counts. ``start.stop()`` ends the training after the current
report.

The state of a hook is in checkpoints if it has an attribute ``state_name`` and two methods: ``hook.state()`` returns
arrays by name, and ``hook.restore(arrays)`` restores them; they may have any shape, so it must check them.

A hook may also change the model: after every call of one that is not MyRNN's own, five steps of a compiled model are
traced again, which takes 5 to 20 milliseconds. If that is much compared to `report_every` iterations, report less
often.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument, NotFinite, TrainingDiverged
from myrnn.learning_curve import ACCURACY, SQUARED_ERROR, Scored
from myrnn.models.model import parameters_of
from myrnn.training.state import TrainingState, is_numbers

OF_HOOKS = "hook."
EVENTS = ("on_train_begin", "on_progress", "on_progressed", "on_report", "on_reported", "on_train_end")


@dataclass(frozen=True)
class TrainingStart:
    """The settings of a training that begins.

    Attributes
    ----------
    model, optimizer : object
    iterations, batch_size : int
    engine : str
        ``"native"`` or ``"mygrad"``.
    iteration : int
        The number of iterations already done.
    reports : int
        The number of reports so far.
    stop : callable
        Ends the training after the current report.
    state : callable
        Returns the `TrainingState`, in ``on_progressed``, ``on_report``, ``on_reported`` and ``on_train_end``.
    keep_good : callable
        `Training.keep_good`.

    Examples
    --------
    >>> class Steps:
    ...     def on_train_begin(self, start):
    ...         print(start.iterations, start.batch_size, start.engine)
    >>> from myrnn import RNN, Adam, tasks, train
    >>> task = tasks.TwinHalves(pattern_length_max=2)
    >>> model = RNN(task.dim_input, 8, task.dim_output, rng=0)
    >>> optimizer = Adam(model.parameters)
    >>> history = train(model, task, optimizer, 10, engine="mygrad", hooks=[Steps()], progress=False)
    10 1 mygrad
    """

    model: Any
    optimizer: Any
    iterations: int
    batch_size: int
    engine: str
    iteration: int
    reports: int
    stop: Callable[[], None]
    state: Callable[[], TrainingState]
    keep_good: Callable[[], Callable[[], TrainingState]]


@dataclass(frozen=True)
class TrainingReport(Scored[float]):
    """The means over the iterations since the last report.

    Attributes
    ----------
    iteration : int
        The number of iterations done.
    sequences : int
        The number of sequences in the means.
    loss : float
        The mean loss; cross-entropy is in nats.
    score : float
        Also called ``accuracy`` or ``squared_error``, by the metric: the share of these sequences, or of their steps,
        that the model classified correctly, or its mean squared error, before it learned from them.
    metric : {"accuracy", "squared_error"}
        The kind of score.

    Examples
    --------
    >>> class Slower:
    ...     def on_report(self, report):
    ...         optimizer.learning_rate /= 2
    ...         print(report.iteration, report.sequences, optimizer.learning_rate)
    >>> from myrnn import RNN, Adam, tasks, train
    >>> task = tasks.TwinHalves(pattern_length_max=2)
    >>> model = RNN(task.dim_input, 8, task.dim_output, rng=0)
    >>> optimizer = Adam(model.parameters)
    >>> hooks = [Slower()]
    >>> history = train(model, task, optimizer, 20, report_every=10, engine="mygrad", hooks=hooks, progress=False)
    10 10 0.0005
    20 10 0.00025
    """

    iteration: int
    sequences: int
    loss: float
    score: float
    metric: str = ACCURACY


def checked_hooks(hooks: Iterable[Any]) -> tuple[Any, ...]:
    """Return the hooks as a tuple; refuse an object without any event method."""
    if not isinstance(hooks, Iterable):
        raise InvalidArgument(f"hooks must be a list of hooks, not {type(hooks).__name__}")
    listed = tuple(hooks)
    for hook in listed:
        if isinstance(hook, type) or not any(callable(getattr(hook, event, None)) for event in EVENTS):
            raise InvalidArgument(f"a hook must be an object with one of the methods {', '.join(EVENTS)}, not {hook!r}")
    _check_states(listed)
    return listed


def _check_states(hooks: Sequence[Any]) -> None:
    names = [hook.state_name for hook in hooks if getattr(hook, "state_name", None)]
    for name, hook in with_state(hooks).items():
        if not isinstance(name, str) or not name.isidentifier() or names.count(name) > 1:
            raise InvalidArgument(f"state_name must be an identifier that no other hook has, not {name!r}")
        if not all(callable(getattr(hook, method, None)) for method in ("state", "restore")):
            raise InvalidArgument(f"the hook {name!r} has a state_name, and needs the methods state and restore")


def is_shipped(code: Any) -> bool:
    """Whether an object is None or of a class of MyRNN, which changes no model."""
    return code is None or type(code).__module__.partition(".")[0] == "myrnn"


def with_state(hooks: Sequence[Any]) -> dict[str, Any]:
    """Return the hooks whose state is saved in checkpoints, by name."""
    return {hook.state_name: hook for hook in hooks if getattr(hook, "state_name", None)}


def states_of(hooks: Sequence[Any]) -> dict[str, NDArray[Any]]:
    """Return the states of hooks, by ``hook.<name>.<array>``."""
    found: dict[str, NDArray[Any]] = {}
    for name, hook in with_state(hooks).items():
        arrays = hook.state()
        if not isinstance(arrays, Mapping) or not all(is_numbers(array) for array in arrays.values()):
            raise InvalidArgument(f"state() of the hook {name!r} must return arrays of numbers by name")
        found |= {f"{OF_HOOKS}{name}.{key}": array.copy() for key, array in arrays.items()}
    return found


def restore_states(hooks: Sequence[Any], state: TrainingState) -> None:
    """Restore the states of hooks, as `states_of` returned them."""
    left = state.beginning_with(OF_HOOKS)
    for name, hook in with_state(hooks).items():
        begin = f"{name}."
        own = [key for key in left if key.startswith(begin)]
        hook.restore({key.removeprefix(begin): left.pop(key) for key in own})
    if left:
        name = next(iter(left)).partition(".")[0]
        raise InvalidArgument(f"the state is that of a training with a hook {name!r}, which is not given")


def with_event(hooks: Sequence[Any], event: str) -> list[Any]:
    """Return the hooks that have the method `event`, in order."""
    assert event in EVENTS
    return [hook for hook in hooks if getattr(hook, event, None) is not None]


class Validation:
    """The hook that keeps the weights of the best report, and stops a training that no longer improves.

    If there is one report per epoch, reports are epochs.

    Parameters
    ----------
    model : callable
        The model that is trained.
    measure : callable, optional
        Returns loss and accuracy, or another score, on held-out sequences, as `myrnn.training.measure` does. The best
        report is the one with the smallest loss there; without it the last one counts.
    patience : int, optional
        Stop after this many reports without a smaller loss.
    metric : {"accuracy", "squared_error"}
        The kind of score.

    Attributes
    ----------
    columns : dict of str to list of float
        ``validation_loss`` and ``validation_accuracy``, by the metric, at every report; empty without `measure`.
    reports, best : int
        The number of reports, and the best one, from 1; 0 before the first.

    Examples
    --------
    >>> import numpy as np
    >>> from functools import partial
    >>> from myrnn import RNN, Adam, tasks, train
    >>> from myrnn.training import measure
    >>> task = tasks.TwinHalves(pattern_length_max=2)
    >>> model = RNN(task.dim_input, 8, task.dim_output, rng=0)
    >>> kept = task.sample(50, np.random.default_rng(1))
    >>> watched = Validation(model, partial(measure, model, kept, engine="mygrad"), patience=1)
    >>> optimizer = Adam(model.parameters)
    >>> history = train(
    ...     model, task, optimizer, 30, report_every=10, engine="mygrad", hooks=[watched], progress=False
    ... )
    >>> list(watched.columns), watched.reports >= watched.best
    (['validation_loss', 'validation_accuracy'], True)
    """

    state_name = "validation"

    def __init__(
        self,
        model: Any,
        measure: Callable[[], tuple[float, float]] | None = None,
        patience: int | None = None,
        *,
        metric: str = ACCURACY,
    ) -> None:
        self._parameters = parameters_of(model)
        if measure is not None and not callable(measure):
            raise InvalidArgument(f"measure must be a function, not {_checks.shown(measure)}")
        if patience is not None:
            _checks.integer("patience", patience, minimum=1)
        self._measure, self._patience = measure, patience
        _checks.one_of("metric", metric, (ACCURACY, SQUARED_ERROR))
        self.columns: dict[str, list[float]] = {"validation_loss": [], f"validation_{metric}": []}
        self.reports, self.best = 0, 0
        self._weights: list[NDArray[Any]] = []
        # Until a training begins there is nothing to stop.
        self._stop: Callable[[], None] = lambda: None

    @property
    def is_over(self) -> bool:
        """Whether patience has run out."""
        return self._patience is not None and self.reports - self.best >= self._patience

    def on_train_begin(self, start: TrainingStart) -> None:
        """Stop again if patience has run out before."""
        if self.reports != start.reports:
            raise InvalidArgument(
                f"of {start.reports} reports of the training {self.reports} were validated: it cannot go on from there"
            )
        self._stop = start.stop
        if self.is_over:
            start.stop()

    def on_report(self, report: TrainingReport) -> None:
        """Measure, and keep the weights if they are the best so far."""
        found = None if self._measure is None else self._measured(self._measure)
        # A report only counts once it is complete: an interrupt may come at any time.
        weights = [parameter.data.copy() for parameter in self._parameters]
        smallest = min(self.columns["validation_loss"], default=np.inf)
        self.reports += 1
        if found is None or found[0] < smallest:
            self.best, self._weights = self.reports, weights
        for column, value in zip(self.columns.values(), found or (), strict=False):
            column.append(value)
        if self.is_over:
            self._stop()

    def use_best(self) -> None:
        """Give the model the weights of the best report; raises InvalidArgument before the first report."""
        if not self._weights:
            raise InvalidArgument("there was no report yet, whose weights could be used")
        for parameter, weights in zip(self._parameters, self._weights, strict=True):
            parameter.data[...] = weights

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the state as arrays."""
        columns = {name: np.array(values, dtype=np.float64) for name, values in self.columns.items()}
        weights = {f"best.{i}": array for i, array in enumerate(self._weights)}
        return {**columns, **weights, "reports": np.array([self.reports, self.best], dtype=np.int64)}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Restore a saved state.

        Raises
        ------
        InvalidArgument
            When the state does not belong to a training like this one.
        """
        counts = arrays.get("reports", np.empty(0))
        if counts.shape != (2,) or counts.dtype != np.int64 or not 0 <= counts[1] <= counts[0]:
            raise InvalidArgument("the state does not say how many reports were validated, and which was the best")
        reports, best = counts.tolist()
        weights = [arrays[f"best.{i}"] for i in range(len(self._parameters) if best else 0) if f"best.{i}" in arrays]
        fits = [(p.shape, p.dtype) == (w.shape, w.dtype) for p, w in zip(self._parameters, weights, strict=False)]
        columns = {name: arrays.get(name, np.empty(0)) for name in self.columns}
        measured = reports if self._measure is not None else 0
        if bool(best) != bool(reports) or len(weights) != (len(self._parameters) if best else 0) or not all(fits):
            raise InvalidArgument("the state has no best weights of this model's shapes")
        if any(c.shape != (measured,) or c.dtype != np.float64 for c in columns.values()):
            raise InvalidArgument(f"the state has not been validated at each of {_checks.count_of(reports, 'report')}")
        for array in (*weights, *columns.values()):
            _checks.finite("what was validated", array)
        self.reports, self.best, self._weights = reports, best, [w.copy() for w in weights]
        self.columns = {name: column.tolist() for name, column in columns.items()}

    def _measured(self, measure: Callable[[], tuple[float, float]]) -> tuple[float, float]:
        try:
            loss, accuracy = measure()
            if not np.isfinite(loss):
                raise NotFinite(f"the validation loss is {loss}")
            return loss, accuracy
        except NotFinite as error:
            raise TrainingDiverged(f"after epoch {self.reports + 1} {error}; a smaller learning rate helps") from None
