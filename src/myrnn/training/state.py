"""Everything that a training changes, and the state that it goes back to if it diverges."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.compiler.trace import MYGRAD
from myrnn.errors import InvalidArgument, TrainingDiverged
from myrnn.learning_curve import LearningCurve
from myrnn.models.model import parameter_names, parameters_of
from myrnn.targets import TargetKind
from myrnn.training.feed import Position
from myrnn.training.hooks import TrainingReport, is_numbers, is_shipped
from myrnn.training.native import Losses, Scores
from myrnn.training.outputs import metric_of, scores_dtype

MOST_RESTARTS = 5
# The norm that gradients are clipped to after a restart, if they were not clipped before.
CLIP_AFTER_RESTART = 1.0
# The least distance of two reports to go back to, as a share of the training, unless it restarts by itself.
KEPT = 100
ADVICE = "try a smaller learning rate, or clip the gradients with gradient_clip=1.0"

# The most values in a list of an optimizer that holds no arrays.
MOST_VALUES = 100
# Attributes of these types are part of the program and do not change.
CODE = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType, np.ufunc)


@dataclass(frozen=True, eq=False)
class Results:
    """The results of iterations."""

    losses: Losses
    scores: Scores  # the number of right targets, or the sum of another score
    counted: NDArray[np.int64]  # the number of targets


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Everything that a training changes, except its reports."""

    iteration: int
    # T of the longest sequence so far.
    longest: int
    # The optimizer's own rate, which a hook may have set.
    learning_rate: float
    # The numbers and texts in the optimizer's state.
    values: Mapping[str, Any]
    # Copies of the parameters and of the arrays in the optimizer's state.
    arrays: Mapping[str, NDArray[Any]]
    # The results of the iterations since the last report.
    since: Results
    position: Position
    # The states of hooks, as ``hook.<name>.<array>``.
    hooks: Mapping[str, NDArray[Any]] = field(default_factory=dict)


# The state of an optimizer --------------------------------------------------------------------------------------------


class OptimizerMemory:
    """The content of an optimizer: constant settings, and arrays and plain values that it changes."""

    # The state of an optimizer with the methods ``state_dict()`` and ``load_state_dict(state)`` is what they exchange:
    # arrays, numbers and text by name. For other optimizers it is the attributes: arrays, alone or in a list or a
    # dictionary, and plain values. An attribute with the name of a constructor argument is a setting: `settings` has
    # its present value. A plain value is a number, text or None, or a short list of these.

    def __init__(self, optimizer: Any) -> None:
        self._optimizer = optimizer
        self.has_state_dict = all(callable(getattr(optimizer, m, None)) for m in ("state_dict", "load_state_dict"))
        arguments = _arguments_of(type(optimizer))
        own = {name: value for name, value in self._attributes() if name in arguments and _is_plain(value)}
        if self.has_state_dict:
            own = {name: value for name, value in own.items() if name not in self._found()}
        self.settings = own
        held = () if self.has_state_dict else self._attributes()
        self._of_arrays = tuple(name for name, value in held if not _is_plain(value))
        self._form: tuple[Any, ...] | None = None

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return its arrays by name: of a list ``v.0``, ``v.1``. They are its own, unless it has a ``state_dict``."""
        found = self._found().items()
        parts = [part for name, value in found for part in _parts(name, value)]
        return {name: part for name, part in parts if is_numbers(part)}

    def gradients(self) -> Iterator[NDArray[Any]]:
        """Yield the arrays in its attributes. Called at every report, it only inspects attributes that had arrays."""
        for name in self._of_arrays:
            value: Any = getattr(self._optimizer, name, None)
            parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
            yield from (part for part in parts if is_numbers(part))

    def values(self) -> dict[str, Any]:
        """Return its plain values by name."""
        return {name: value for name, value in self._found().items() if _is_plain(value)}

    def check(self) -> None:
        """Refuse an optimizer whose state cannot be saved, or has changed its form since the first check."""
        kind = type(self._optimizer).__name__
        cannot = f"a training with {kind} cannot be saved and resumed"
        for name, value in self._found().items():
            if not _is_plain(value) and not all(is_numbers(part) for _, part in _parts(name, value)):
                raise InvalidArgument(
                    f"{cannot}, because its {name} is neither arrays nor numbers: give it the methods state_dict() "
                    "and load_state_dict(state), whose state has arrays and numbers by name"
                )
            numbers = value if isinstance(value, list | tuple) else [value]
            if _is_plain(value) and not all(np.isfinite(v) for v in numbers if isinstance(v, float | np.floating)):
                raise InvalidArgument(f"{cannot}, because its {name} is {_checks.shown(value)}")
        if self.has_state_dict:
            return
        arrays = self.arrays()
        form = {name: (array.dtype, array.shape) for name, array in arrays.items()}, set(self.values())
        if self._form is not None and form != self._form:
            raise InvalidArgument(
                f"{cannot}, because it made or changed arrays while it trained: make them in its constructor, or give "
                "it the methods state_dict() and load_state_dict(state)"
            )
        self._form = form

    def put_back(self, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> None:
        """Restore these arrays and values."""
        if self.has_state_dict:
            self._optimizer.load_state_dict({**{name: array.copy() for name, array in arrays.items()}, **values})
            return
        for name, array in self.arrays().items():
            array[...] = arrays[name]
        for name, value in values.items():
            setattr(self._optimizer, name, value)

    def _found(self) -> Mapping[str, Any]:
        if not self.has_state_dict:
            return dict(self._attributes())
        found = self._optimizer.state_dict()
        if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
            raise InvalidArgument(f"state_dict() of {type(self._optimizer).__name__} must return arrays by name")
        return found

    def _attributes(self) -> Iterator[tuple[str, Any]]:
        """Yield all attributes of the instance except its parameters, its learning rate, code and empty ones."""
        trained = {id(parameter) for parameter in getattr(self._optimizer, "params", ())}
        for name, value in getattr(self._optimizer, "__dict__", {}).items():
            are_trained = all(id(part) in trained for _, part in _parts(name, value))
            if name != "learning_rate" and not isinstance(value, CODE) and not are_trained:
                yield name, value


def _arguments_of(kind: type) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(kind).parameters)
    except (TypeError, ValueError):
        return ()


def _parts(name: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, list | tuple):
        return [(f"{name}.{place}", part) for place, part in enumerate(value)]
    if isinstance(value, dict) and all(isinstance(key, str | int) for key in value):
        return [(f"{name}.{key}", part) for key, part in value.items()]
    return [(name, value)]


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return len(value) <= MOST_VALUES and all(_is_plain(v) and not isinstance(v, list | tuple) for v in value)
    python = value.item() if isinstance(value, np.generic) else value
    return python is None or type(python) in (bool, int, float, str)


class Learner:
    """A model and its optimizer: their content by name, to be copied and restored."""

    def __init__(self, model: Any, optimizer: Any) -> None:
        self._model, self._optimizer = model, optimizer
        self.memory = OptimizerMemory(optimizer)

    def settings(self, learning_rate: float) -> dict[str, Any]:
        """Return the optimizer's kind and settings; `learning_rate` is its initial one."""
        values = {name: _setting(value) for name, value in self.memory.settings.items()}
        decay = values.pop("weight_decay", 0.0)
        if decay and is_shipped(self._optimizer):
            # Checkpoints from before the rate scaled it hold the bare number, and cannot be continued.
            decay = f"{decay!r} times learning_rate"
        kind = type(self._optimizer).__name__
        return {"optimizer": kind, "learning_rate": float(learning_rate), "weight_decay": decay, **values}

    @cached_property
    def parameters(self) -> dict[str, Tensor]:
        """The parameters by name."""
        return dict(zip(parameter_names(self._model), parameters_of(self._model), strict=True))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of the parameters and of the optimizer's state, by name."""
        arrays = {f"parameter.{name}": parameter.data for name, parameter in self.parameters.items()}
        return arrays | {f"optimizer.{name}": array for name, array in self.memory.arrays().items()}

    def copies(self) -> dict[str, NDArray[Any]]:
        """Return copies of the arrays while no other thread that compiles the model has changed them."""
        self.memory.check()
        with MYGRAD:
            return {name: array.copy() for name, array in self.arrays().items()}

    def put_back(self, snapshot: Snapshot) -> None:
        """Write the arrays and values of a snapshot into the model and the optimizer."""
        with MYGRAD:
            for name, parameter in self.parameters.items():
                parameter.data[...] = snapshot.arrays[f"parameter.{name}"]
            begin = "optimizer."
            kept = {name.removeprefix(begin): a for name, a in snapshot.arrays.items() if name.startswith(begin)}
            self.memory.put_back(kept, snapshot.values)
        if hasattr(self._optimizer, "learning_rate"):
            self._optimizer.learning_rate = snapshot.learning_rate


def _setting(value: Any) -> Any:
    """Return a setting in the form of a checkpoint."""
    if isinstance(value, list | tuple):
        return [_setting(part) for part in value]
    is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return float(value) if is_number else value.item() if isinstance(value, np.generic) else value


class Record:
    """The reports of a training, and the results since the last; `chance` is the accuracy of guessing a class."""

    def __init__(self, batch_size: int, kind: TargetKind, chance: float | None) -> None:
        self._batch_size, self._metric, self._chance = batch_size, metric_of(kind), chance
        self.none = Results(np.empty(0), np.empty(0, dtype=scores_dtype(kind)), np.empty(0, dtype=np.int64))
        self.iteration, self.longest = 0, 0
        self._reports: list[TrainingReport] = []
        # The results of the iterations since the last report.
        self._since: list[Results] = []

    def add(self, results: Results, lengths: NDArray[np.int64]) -> None:
        """Add iterations: their results, and the lengths of their sequences."""
        self.longest = max(self.longest, int(np.max(lengths)))
        self.iteration += len(results.losses)
        self._since.append(results)

    @property
    def is_open(self) -> bool:
        """Whether there were iterations since the last report."""
        return bool(self._since)

    @property
    def count(self) -> int:
        """The number of reports."""
        return len(self._reports)

    def since(self) -> Results:
        """Return the results of the iterations since the last report."""
        parts = [self.none, *self._since]
        names = ("losses", "scores", "counted")
        return Results(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def report(self) -> TrainingReport:
        """Return the means over the iterations since the last report; the score of nothing is 0, like its loss."""
        since = self.since()
        sequences = len(since.losses) * self._batch_size
        score = float(np.sum(since.scores)) / max(1, int(since.counted.sum()))
        return TrainingReport(self.iteration, sequences, float(np.mean(since.losses)), score, self._metric)

    def close(self) -> TrainingReport:
        """Make a report of the iterations since the last one, and return it."""
        report = self.report()
        self._reports.append(report)
        self._since = []
        return report

    def reports(self, until: int) -> list[TrainingReport]:
        """Return the reports up to an iteration."""
        return [report for report in self._reports if report.iteration <= until]

    def history(self, engine: str) -> LearningCurve:
        """Return the reports so far; the last one covers everything since the one before."""
        reports = [*self._reports, self.report()] if self.is_open else self._reports
        names = ("iteration", "loss", self._metric)
        columns = {name: [getattr(report, name) for report in reports] for name in names}
        return LearningCurve.from_columns(columns, longest=self.longest, engine=engine, chance=self._chance)

    def go_to(self, snapshot: Snapshot, reports: list[TrainingReport]) -> None:
        """Return to the state of a snapshot, with the reports up to there."""
        self.iteration, self.longest, self._reports = snapshot.iteration, snapshot.longest, reports
        self._since = [snapshot.since] if len(snapshot.since.losses) else []


# Divergence -----------------------------------------------------------------------------------------------------------


def check_losses(losses: NDArray[np.float64], first: int) -> None:
    """Raise TrainingDiverged for the first loss that is not finite; `first` is the iteration of the first of all."""
    bad = np.flatnonzero(~np.isfinite(losses))
    if len(bad):
        raise TrainingDiverged(f"the loss is {losses[bad[0]]} at iteration {first + int(bad[0])}: {ADVICE}")


def check_finite(what: str, arrays: Iterable[NDArray[Any]], iteration: int) -> None:
    """Raise TrainingDiverged if an array is no longer finite; `what` names the arrays."""
    if not all(np.isfinite(array).all() for array in arrays):
        raise TrainingDiverged(f"{what} are no longer finite at iteration {iteration}: {ADVICE}")


def check_learner(parameters: Iterable[Tensor], memory: OptimizerMemory, iteration: int) -> None:
    """Raise TrainingDiverged if a weight, or a gradient or its square in the optimizer's state, is no longer finite."""
    # A weight whose squared gradients have overflowed no longer changes, and the loss need not show it.
    check_finite("the weights", (parameter.data for parameter in parameters), iteration)
    check_finite("the gradients that the optimizer remembers", memory.gradients(), iteration)


def is_in_hand(loss: float, guessing: float) -> bool:
    """Return whether a training may go back to a report with this loss; `guessing` is the loss of guessing."""
    # Losses are far above that of guessing well before they overflow, and a training should not resume from the weights
    # that led there.
    # Twice that of guessing, which may be below 0 for a user's loss.
    return loss <= guessing + abs(guessing)


class Restarts:
    """The restarts of a training that diverged, if they are `allowed`, and their effects."""

    def __init__(self, gradient_clip: float | None, allowed: bool) -> None:
        self._gradient_clip, self.allowed = gradient_clip, allowed
        self.count = 0
        # The state to go back to; None as long as nothing is kept.
        self.last: Snapshot | None = None

    @property
    def scale(self) -> float:
        """The factor of learning rates: every restart halves them."""
        return 0.5**self.count

    @property
    def gradient_clip(self) -> float | None:
        """The current largest norm of the gradients."""
        return CLIP_AFTER_RESTART if self.count and self._gradient_clip is None else self._gradient_clip

    def wants(self, report: TrainingReport, guessing: float) -> bool:
        """Return whether it may go back to this report instead of the last one."""
        # Copying the state at every report would cost a long training more time than a restart has to repeat.
        if self.last is None or not is_in_hand(report.loss, guessing):
            return False
        return self.allowed or KEPT * (report.iteration - self.last.iteration) >= self.last.iteration

    def message(self, error: TrainingDiverged, iteration: int) -> str:
        """Say that the training has gone back to an iteration after an error."""
        what = str(error).partition(": ")[0]
        return (
            f"{what}: training resumes from iteration {iteration} with {self.scale:g} times the learning rate "
            f"and gradients clipped to {self.gradient_clip:g}"
        )

    def back_from(self, error: TrainingDiverged) -> Snapshot:
        """Return the state to go back to after an error; raise the error, or advice, if there is none."""
        if self.last is None or not self.allowed:
            raise error
        if self.count == MOST_RESTARTS:
            what, _, advice = str(error).partition(": ")
            raise TrainingDiverged(f"{what}, also after {MOST_RESTARTS} restarts: {advice}") from None
        return self.last
