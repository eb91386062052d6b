"""Hooks: objects that watch a training.

A hook has one or more of these methods; training calls whichever it has:

``on_train_begin(start)``
    once, with a `TrainingStart`, before the first iteration;
``on_progress(iteration)``
    now and then between reports, with the number of iterations done;
``on_report(report)``
    with a `Report`, every `report_every` iterations and after the last;
``on_reported(report)``
    with the same, when every hook has had it;
``on_train_end(history)``
    once, with the `History` so far, also when training stops by an error or is interrupted.

In ``on_report`` a hook may set the optimizer's ``learning_rate``: training goes on with it, also from a checkpoint, and
leaves it there. Where there is a schedule, that counts alone. ``start.stop()`` ends the training after the present
report.

What a hook itself remembers is in a checkpoint where it has a name of its own, ``hook.state_name``, and two methods:
``hook.state()`` returns arrays by name, and ``hook.restore(arrays)`` takes them back, of any shape: it checks them.

A hook may change the model as well: after every call of one that is not MyRNN's own, two steps of a compiled model are
traced again and 13 are run, which takes two to ten milliseconds. Where that is much beside `report_every` iterations,
report seldom.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from myrnn.errors import InvalidArgument

if TYPE_CHECKING:
    from myrnn.training._state import TrainingState

EVENTS = ("on_train_begin", "on_progress", "on_report", "on_reported", "on_train_end")


@dataclass(frozen=True)
class TrainingStart:
    """What is about to be trained, and how.

    Attributes
    ----------
    model, optimizer : object
    iterations, batch_size : int
    engine : str
        ``"native"`` or ``"mygrad"``.
    iteration : int
        How many iterations have been done already.
    reports : int
        How many reports there have been.
    stop : callable
        Ends the training after the present report.
    state : callable
        Returns the `TrainingState`, in ``on_report``, ``on_reported`` and ``on_train_end``.
    keep_good : callable
        `Training.keep_good`.
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
class Report:
    """The means over the iterations since the last report.

    Attributes
    ----------
    iteration : int
        How many iterations have been done.
    sequences : int
        How many sequences the means are over.
    loss : float
        The mean cross-entropy, in nats.
    accuracy : float
        The share of these sequences that the model classified rightly, before it learned from them.
    """

    iteration: int
    sequences: int
    loss: float
    accuracy: float


def checked_hooks(hooks: Iterable[Any]) -> tuple[Any, ...]:
    """Return the hooks as a tuple; refuse an object that no event would ever reach."""
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
    """Whether an object's class is part of MyRNN, whose code changes no model; None changes none either."""
    return code is None or type(code).__module__.partition(".")[0] == "myrnn"


def with_state(hooks: Sequence[Any]) -> dict[str, Any]:
    """Return the hooks whose state belongs into checkpoints, by their names."""
    return {hook.state_name: hook for hook in hooks if getattr(hook, "state_name", None)}


def with_event(hooks: Sequence[Any], event: str) -> list[Any]:
    """Return the hooks that have the method `event`, in order."""
    assert event in EVENTS
    return [hook for hook in hooks if getattr(hook, event, None) is not None]
