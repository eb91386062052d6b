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

from numpy.typing import NDArray

from myrnn.errors import InvalidArgument
from myrnn.learning_curve import ACCURACY, Scored
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
    here, saved = with_state(hooks), state.beginning_with(OF_HOOKS)
    for name in (key.partition(".")[0] for key in saved):
        if name not in here:
            raise InvalidArgument(f"the state is that of a training with a hook {name!r}, which is not given")
    for name, hook in here.items():
        hook.restore(state.beginning_with(f"{OF_HOOKS}{name}."))


def with_event(hooks: Sequence[Any], event: str) -> list[Any]:
    """Return the hooks that have the method `event`, in order."""
    assert event in EVENTS
    return [hook for hook in hooks if getattr(hook, event, None) is not None]
