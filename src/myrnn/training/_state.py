"""The state of a training: all that it needs to go on as if it had never stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.compiler import MYGRAD
from myrnn.errors import InvalidArgument
from myrnn.models import parameter_names, parameters_of
from myrnn.training._feed import Position
from myrnn.training._hooks import Report
from myrnn.training._kinds import kind_of

# The columns of the reports, in the order of a `Report`, and how they are kept.
COLUMNS = {"iteration": np.int64, "sequences": np.int64, "loss": np.float64, "accuracy": np.float64}

OF_HOOKS = "hook."


class CutOff(InvalidArgument):
    """The state of a training is asked for that stands within an iteration."""


@dataclass(frozen=True, eq=False)
class TrainingState:
    """All that a training needs to go on: plain values and arrays, nothing else.

    Attributes
    ----------
    values : mapping
        Numbers, text, lists and mappings, as JSON holds them.
    arrays : mapping of str to ndarray
        The parameters, the optimizer's memory, what is left of the shuffle, and the reports.
    """

    values: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]

    @property
    def iteration(self) -> int:
        """How many iterations had been done."""
        return _checks.integer("iteration", self.values.get("iteration"), minimum=0)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What a training changes as it goes, but for its reports.

    Attributes
    ----------
    iteration, longest, steps : int
        Iterations done, the longest sequence so far, and the optimizer's own count of its steps.
    learning_rate : float
        The optimizer's own, which a hook may have set.
    arrays : mapping of str to ndarray
        Copies of the parameters and of the optimizer's memory.
    losses, correct : ndarray, float64 and int64 (n,)
        What the iterations since the last report came to.
    position : Position
        Where the feed stands.
    hooks : mapping of str to ndarray
        What hooks remember, as ``hook.<name>.<array>``.
    """

    iteration: int
    longest: int
    steps: int
    learning_rate: float
    arrays: Mapping[str, NDArray[Any]]
    losses: NDArray[np.float64]
    correct: NDArray[np.int64]
    position: Position
    hooks: Mapping[str, NDArray[Any]] = field(default_factory=dict)


class Learner:
    """A model and its optimizer: what they hold, by name, to be copied and put back.

    Raises
    ------
    InvalidArgument
        When the optimizer is of a kind whose memory is not known.
    """

    def __init__(self, model: Any, optimizer: Any) -> None:
        kind = kind_of(optimizer)
        if kind is None:
            raise InvalidArgument(
                f"a training with {type(optimizer).__name__} cannot be saved to go on later, for what it remembers is "
                "not known: use SGD, RMSprop or Adam"
            )
        self._optimizer, self._kind = optimizer, kind
        self._parameters = dict(zip(parameter_names(model), parameters_of(model), strict=True))

    def settings(self, learning_rate: float) -> dict[str, Any]:
        """Return the optimizer's kind and settings; `learning_rate` is the one that it began with."""
        values = {name: float(getattr(self._optimizer, name)) for name in self._kind.settings}
        decay: float | str = float(getattr(self._optimizer, "weight_decay", 0))
        if decay and self._kind.is_decay_scaled:
            # Checkpoints from before the rate scaled it hold the bare number, and cannot be continued.
            decay = f"{decay!r} times learning_rate"
        kind = type(self._optimizer).__name__
        return {"optimizer": kind, "learning_rate": float(learning_rate), "weight_decay": decay, **values}

    @property
    def steps(self) -> int:
        """How many steps the optimizer has counted."""
        return int(getattr(self._optimizer, "t", 0))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of the parameters and of the optimizer's memory themselves, by name."""
        arrays = {f"parameter.{name}": parameter.data for name, parameter in self._parameters.items()}
        for name, memory in self._kind.memory(self._optimizer).items():
            arrays |= {f"optimizer.{name}.{index}": array for index, array in enumerate(memory)}
        return arrays

    def copies(self) -> dict[str, NDArray[Any]]:
        """Return copies of the arrays, as no other thread that compiles the model has changed them for a while."""
        with MYGRAD:
            return {name: array.copy() for name, array in self.arrays().items()}

    def put_back(self, snapshot: Snapshot) -> None:
        """Write the arrays of a snapshot into those of the model and of the optimizer."""
        with MYGRAD:
            for name, array in self.arrays().items():
                array[...] = snapshot.arrays[name]
        if hasattr(self._optimizer, "t"):
            self._optimizer.t = snapshot.steps
        self._optimizer.learning_rate = snapshot.learning_rate


def to_state(
    snapshot: Snapshot, reports: Sequence[Report], settings: Mapping[str, Any], further: Mapping[str, Any]
) -> TrainingState:
    """Return a snapshot, the reports and what else belongs to a training as its state."""
    position = snapshot.position
    values = {
        "iteration": snapshot.iteration,
        "longest": snapshot.longest,
        "steps": snapshot.steps,
        "learning_rate": snapshot.learning_rate,
        "generator": dict(position.generator),
        "used": position.used,
        "sequences": position.fingerprint(),
        "settings": dict(settings),
        **further,
    }
    columns = {
        f"reports.{name}": np.array([getattr(report, name) for report in reports], dtype=kind)
        for name, kind in COLUMNS.items()
    }
    since = {"since.losses": snapshot.losses, "since.correct": snapshot.correct}
    return TrainingState(values, {**snapshot.arrays, **snapshot.hooks, "left": position.left, **since, **columns})


def from_state(state: TrainingState, expected: Mapping[str, NDArray[Any]]) -> tuple[Snapshot, list[Report]]:
    """Return the snapshot and the reports of a state, everything checked.

    Parameters
    ----------
    state : TrainingState
    expected : mapping of str to ndarray
        The arrays that the learner has at present: those of the state must be like them.
    """
    values = state.values
    hooks = {name: array for name, array in state.arrays.items() if name.startswith(OF_HOOKS)}
    arrays = {name: array for name, array in state.arrays.items() if name not in hooks}
    _check_arrays(arrays, expected)
    generator, sequences = _mapping(values, "generator"), values.get("sequences")
    snapshot = Snapshot(
        state.iteration,
        _checks.integer("longest", values.get("longest"), minimum=0),
        _checks.integer("steps", values.get("steps"), minimum=0),
        _checks.real("learning_rate", values.get("learning_rate"), minimum=0),
        {name: arrays[name] for name in expected},
        arrays["since.losses"],
        arrays["since.correct"],
        Position(
            generator,
            _checks.integer("used", values.get("used"), minimum=0),
            arrays["left"],
            lambda: str(sequences),
        ),
        hooks,
    )
    _check_since(snapshot)
    return snapshot, _reports(arrays, snapshot.iteration - len(snapshot.losses))


def check_settings(state: TrainingState, settings: Mapping[str, Any]) -> None:
    """Refuse a state that a training with other settings left: it would go on as another training."""
    given = _mapping(state.values, "settings")
    for name in {**settings, **given}:
        theirs, ours = given.get(name), settings.get(name)
        if theirs != ours:
            raise InvalidArgument(
                f"{name} must be what it was when the training was saved, {_checks.shown(theirs)}, "
                f"not {_checks.shown(ours)}"
            )


def _check_arrays(arrays: Mapping[str, NDArray[Any]], expected: Mapping[str, NDArray[Any]]) -> None:
    wanted = {*expected, "left", "since.losses", "since.correct", *(f"reports.{name}" for name in COLUMNS)}
    if odd := sorted(wanted ^ set(arrays)):
        here, there = ("the state", "this training") if odd[0] in arrays else ("this training", "the state")
        raise InvalidArgument(f"{here} has {_checks.shown(odd[0])}, which {there} has not")
    for name, array in expected.items():
        given = arrays[name]
        if given.dtype != array.dtype or given.shape != array.shape:
            raise InvalidArgument(
                f"{name} must be {array.dtype} of shape {array.shape}, but in the state it is {given.dtype} of shape "
                f"{given.shape}"
            )
        _checks.finite(name, given)


def _check_since(snapshot: Snapshot) -> None:
    losses, correct = snapshot.losses, snapshot.correct
    if losses.dtype != np.float64 or correct.dtype != np.int64 or losses.ndim != 1 or losses.shape != correct.shape:
        raise InvalidArgument("since.losses and since.correct must be float64 and int64 of one length")
    _checks.finite("since.losses", losses)
    if len(losses) > snapshot.iteration or np.any(losses < 0) or np.any(correct < 0):
        raise InvalidArgument("since.losses and since.correct must be 0 or more, of iterations that were done")


def _reports(arrays: Mapping[str, NDArray[Any]], last: int) -> list[Report]:
    columns = [arrays[f"reports.{name}"] for name in COLUMNS]
    for (name, kind), column in zip(COLUMNS.items(), columns, strict=True):
        if column.dtype != kind or column.shape != (len(columns[0]) if columns[0].ndim else 0,):
            raise InvalidArgument(f"reports.{name} must be {np.dtype(kind)} of one dimension like the others")
        _checks.finite(f"reports.{name}", column)
    iterations, sequences, losses, accuracies = columns
    if not np.array_equal(iterations[-1:], [last] if last else []) or np.any(np.diff(iterations, prepend=0) < 1):
        raise InvalidArgument(f"the reports must rise to {last}, where the state's last one is")
    if np.any(sequences < 1) or np.any(losses < 0) or np.any((accuracies < 0) | (accuracies > 1)):
        raise InvalidArgument("the reports must have sequences, losses of 0 or more and accuracies between 0 and 1")
    return [Report(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def _mapping(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    if not isinstance(found, Mapping):
        raise InvalidArgument(f"the state must have {name!r} with values by name, not {_checks.shown(found)}")
    return found
