"""Checkpoints: the state of a training as plain values and arrays on disk, from which it can resume."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.errors import InvalidArgument, RunError, TrainingDiverged
from myrnn.learning_curve import LearningCurve
from myrnn.storage import FolderFormat, FolderLock, arrays_to_bytes, clear_scratch, is_scratch
from myrnn.training.feed import Position
from myrnn.training.hooks import OF_HOOKS, TrainingReport, TrainingStart
from myrnn.training.records import RecordForm
from myrnn.training.state import Learner, OptimizerMemory, Snapshot

INDEX, ARRAYS = "state.json", "state.safetensors"
FORMAT = FolderFormat("myrnn checkpoint", 1, "checkpoint", INDEX, {ARRAYS: 8_000_000_000})

_NAME = re.compile(r"checkpoint-(\d{12})")

OF_OPTIMIZER = "optimizer."
# The state to which a restart would go back, within another one.
GOOD, OF_GOOD = "good", "good."


class CutOff(InvalidArgument):
    """The state of a training is requested within an iteration."""


@dataclass(frozen=True, eq=False, repr=False)
class TrainingState:
    """Everything needed to resume a training: only plain values and arrays.

    Attributes
    ----------
    values : mapping
        Numbers, text, lists and mappings, as JSON holds them.
    arrays : mapping of str to ndarray
        The parameters, the optimizer's state, the rest of the shuffle, and the reports.

    Examples
    --------
    >>> class Last:
    ...     def on_train_begin(self, start):
    ...         self.state = start.state
    ...     def on_train_end(self, history):
    ...         print(self.state())
    >>> from myrnn import RNN, Adam, tasks, train
    >>> task = tasks.TwinHalves(pattern_length_max=2)
    >>> model = RNN(task.dim_input, 8, task.dim_output, rng=0)
    >>> optimizer = Adam(model.parameters)
    >>> history = train(model, task, optimizer, 10, engine="mygrad", hooks=[Last()], progress=False)
    TrainingState(10 iterations, 22 arrays)
    """

    values: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]

    @property
    def iteration(self) -> int:
        """The number of iterations done."""
        return _checks.integer("iteration", self.values.get("iteration"), minimum=0)

    def with_good(self, good: TrainingState) -> TrainingState:
        """Return this state together with an earlier one, to which a restart would go back."""
        if good.iteration == self.iteration:
            return self
        arrays = {f"{OF_GOOD}{name}": array for name, array in good.arrays.items()}
        return TrainingState({**self.values, GOOD: dict(good.values)}, {**self.arrays, **arrays})

    def parts(self) -> tuple[TrainingState, TrainingState | None]:
        """Return the state, and the earlier one to which a restart would go back, if it is another."""
        good = {name.removeprefix(OF_GOOD): array for name, array in self.arrays.items() if name.startswith(OF_GOOD)}
        if GOOD not in self.values and not good:
            return self, None
        arrays = {name: array for name, array in self.arrays.items() if not name.startswith(OF_GOOD)}
        values = {name: value for name, value in self.values.items() if name != GOOD}
        return TrainingState(values, arrays), TrainingState(_mapping(self.values, GOOD), good)

    def __repr__(self) -> str:
        """Return the number of iterations done and of arrays."""
        iterations = _checks.count_of(self.iteration, "iteration")
        return f"TrainingState({iterations}, {_checks.count_of(len(self.arrays), 'array')})"


class Checkpoint:
    """The hook that saves a training's state in a folder, at most every so many seconds, and at the end.

    The last two checkpoints are kept, so that damage to one does not cost the training. If one cannot be written, for
    example on a full disk, there is a warning, the previous ones stay, and it is tried again; at the end it is an
    error. If a training diverges, the last checkpoint is that of the last report whose loss was at most twice that of
    guessing, or of the beginning: later ones are removed, because they would diverge again. If it is cut off within an
    iteration, the same holds, but later checkpoints stay.

    Parameters
    ----------
    folder : path
        It is created if it is missing. Only one process can use it at a time.
    every : float
        The least seconds between two checkpoints.
    share : float
        The share of the training time that checkpoints may take, except the last one: on a slow disk there are fewer.

    Raises
    ------
    InvalidArgument
        When `every` is not a number of 0 or more, or `share` is not positive.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from myrnn import RNN, Adam, tasks, train
    >>> task = tasks.TwinHalves(pattern_length_max=2)
    >>> model = RNN(task.dim_input, 8, task.dim_output, rng=0)
    >>> optimizer = Adam(model.parameters)
    >>> with TemporaryDirectory() as folder:
    ...     half = train(model, task, optimizer, 10, engine="mygrad", checkpoint=Checkpoint(folder), progress=False)
    ...     whole = train(model, task, optimizer, 20, engine="mygrad", resume=folder, progress=False)
    >>> half.iteration, whole.iteration
    (array([10]), array([10, 20]))
    """

    def __init__(self, folder: str | os.PathLike[str], every: float = 10.0, share: float = 0.01) -> None:
        self.folder = Path(folder)
        self._every = _checks.real("every", every, minimum=0)
        self._share = _checks.real("share", share, above=0)
        self._lock: FolderLock | None = None
        self._good: list[Path] = []

    def on_train_begin(self, start: TrainingStart) -> None:
        """Lock the folder, and refuse one with checkpoints of another training."""
        # Refuse a state that can never be saved now, not in ten seconds.
        begun = start.state()
        _make(self.folder)
        self._lock = FolderLock(self.folder)
        self._state, self._good_state = start.state, start.keep_good()
        here = self.folder / _name(begun.iteration)
        self._good = [here] if begun.iteration and here.is_dir() else []
        self._written = _mark(begun) if self._good else (0, 0)
        if not self._good and (latest := saved_iteration(self.folder)):
            self.close()
            raise RunError(
                f"{self.folder} holds checkpoints of a training already, up to iteration {latest:,}: "
                "go on with resume=True, or choose another folder"
            )
        if not self._good:
            # Remove the remains of a training that was stopped before its first checkpoint.
            _keep_only(self.folder, [])
        self._due = time.monotonic() + self._every

    def on_progressed(self, iteration: int) -> None:
        """Write a checkpoint if it is time."""
        self._write_if_due()

    def on_reported(self, report: TrainingReport) -> None:
        """Write a checkpoint if it is time."""
        self._write_if_due()

    def _write_if_due(self) -> None:
        if time.monotonic() < self._due:
            return
        try:
            self.write()
        except RunError as error:
            warn(f"{error}: training goes on, and the checkpoint before this one stays")

    def on_train_end(self, history: LearningCurve) -> None:
        """Write the last checkpoint, and unlock the folder."""
        try:
            self.write()
        except CutOff:
            self._write_good()
        except TrainingDiverged:
            self._write_good(instead=True)
        finally:
            self.close()

    def close(self) -> None:
        """Let other processes use the folder."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def write(self) -> None:
        """Write a checkpoint now: in ``on_progressed``, at a report, or after the training.

        Raises
        ------
        RunError
            When it cannot be written.
        """
        begin = time.monotonic()
        state = self._state()
        # After a restart the same iteration comes again, with other weights.
        if not state.iteration or _mark(state) == self._written:
            return
        try:
            self._write(state)
        finally:
            now = time.monotonic()
            self._due = now + max(self._every, (now - begin) / self._share)

    def _write_good(self, instead: bool = False) -> None:
        """Write the last good state if it is newer than the saved one; with `instead`, also if it is older."""
        try:
            state = self._good_state()
            if not self._good or _mark(state) > self._written or (instead and _mark(state) < self._written):
                self._write(state)
        except TrainingDiverged:
            # The optimizer's state became bad before the loss did.
            pass
        except RunError as error:
            # The error that stopped the training matters more.
            warn(str(error))

    def _write(self, state: TrainingState) -> None:
        path = self.folder / _name(state.iteration)
        save_state(path, state)
        self._written = _mark(state)
        self._good = [*[good for good in self._good if _iteration(good) < state.iteration][-1:], path]
        _keep_only(self.folder, self._good)


def save_state(folder: Path, state: TrainingState) -> None:
    """Write one checkpoint; raises RunError where it cannot be written."""
    _make(folder)
    try:
        FORMAT.write(folder, {"state": dict(state.values)}, {ARRAYS: arrays_to_bytes(state.arrays)})
    finally:
        if not (folder / INDEX).exists():
            shutil.rmtree(folder, ignore_errors=True)


def load_checkpoint(folder: str | os.PathLike[str]) -> TrainingState | None:
    """Return the last good state of a folder of checkpoints or None, with a warning for each damaged later one."""
    state, faults, is_damaged = None, [], False
    for path in reversed(_folders(Path(folder))):
        if _was_cut_off(path):
            continue
        try:
            state = _load(path)
            break
        except RunError as error:
            faults.append(str(error))
            is_damaged |= (path / INDEX).exists()
    if state is None and is_damaged:
        raise RunError(f"{faults[0]}; there is no good checkpoint to go back to")
    back = "the beginning" if state is None else f"the checkpoint before, of iteration {state.iteration:,}"
    for fault in faults:
        warn(f"{fault}; going back to {back}")
    return state


def saved_iteration(folder: Path) -> int:
    """Return the iteration of the last checkpoint of a folder, 0 if none was ever completed."""
    found = _checkpoints(folder)
    return _iteration(found[-1]) if found else 0


def keep_last_checkpoint(folder: Path) -> None:
    """Remove all checkpoints except the last one, and the remains of interrupted writes."""
    if found := _checkpoints(folder):
        with FolderLock(folder):
            _keep_only(folder, found[-1:])
            clear_scratch(found[-1])


def _load(path: Path) -> TrainingState:
    stored = FORMAT.read(path)
    values = stored.index.get("state")
    if not isinstance(values, dict):
        stored.damaged(INDEX, f"has no valid 'state': {_checks.shown(values)}")
    if values.get("iteration") != _iteration(path):
        stored.damaged(INDEX, f"is that of another iteration: {_checks.shown(values.get('iteration'))}")
    return TrainingState(values, stored.arrays(ARRAYS))


def _mark(state: TrainingState) -> tuple[int, int]:
    return state.iteration, state.values["restarts"]


def _name(iteration: int) -> str:
    return f"checkpoint-{iteration:012d}"


def _iteration(path: Path) -> int:
    return int(path.name.removeprefix("checkpoint-"))


def _checkpoints(folder: Path) -> list[Path]:
    """Return the completed checkpoints, the oldest first."""
    return [path for path in _folders(folder) if (path / INDEX).exists()]


def _was_cut_off(path: Path) -> bool:
    """Whether a crash interrupted the writing of a checkpoint: it has no index, and no arrays or a scratch file."""
    return not (path / INDEX).exists() and (not (path / ARRAYS).exists() or any(map(is_scratch, path.iterdir())))


def _keep_only(folder: Path, good: list[Path]) -> None:
    """Remove all other checkpoints, and the remains of interrupted writes."""
    for path in _folders(folder):
        if path not in good:
            # Its index first: a checkpoint without one is not valid.
            (path / INDEX).unlink(missing_ok=True)
            shutil.rmtree(path, ignore_errors=True)


def _folders(folder: Path) -> list[Path]:
    """Return all folders with the name of a checkpoint, in order, without links."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name) and not path.is_symlink())


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise RunError(f"{folder} is or lies below a file: checkpoints need a folder of their own") from None
    except (OSError, ValueError) as error:
        raise RunError(f"cannot make the folder {folder}: {getattr(error, 'strerror', None) or error}") from error


def to_state(
    snapshot: Snapshot,
    reports: Sequence[TrainingReport],
    memory: OptimizerMemory,
    form: RecordForm,
    settings: Mapping[str, Any],
    further: Mapping[str, Any],
) -> TrainingState:
    """Return the state of a training: a snapshot, the reports and its settings."""
    position = snapshot.position
    remembered = {name: value for name, value in snapshot.values.items() if value != memory.settings.get(name, _OTHER)}
    steps = remembered.pop("t") if _counts_steps(memory) and "t" in remembered else 0
    values = {
        "iteration": snapshot.iteration,
        "longest": snapshot.longest,
        "steps": steps,
        "learning_rate": snapshot.learning_rate,
        "generator": dict(position.generator),
        "used": position.used,
        "sequences": position.fingerprint(),
        "settings": dict(settings),
        **({"optimizer": {name: _written(value) for name, value in remembered.items()}} if remembered else {}),
        **further,
    }
    results = form.arrays(reports, snapshot.since)
    return TrainingState(values, {**snapshot.arrays, **snapshot.hooks, **position.arrays, **results})


def from_state(
    state: TrainingState, learner: Learner, form: RecordForm, of_feed: Collection[str]
) -> tuple[Snapshot, list[TrainingReport]]:
    """Return the snapshot and the reports of a state, checked; its arrays must match those of the learner."""
    values, memory = state.values, learner.memory
    # Hooks, and an optimizer with load_state_dict, check what they restore.
    free = (OF_HOOKS, OF_OPTIMIZER) if memory.has_state_dict else (OF_HOOKS,)
    hooks = {name: array for name, array in state.arrays.items() if name.startswith(OF_HOOKS)}
    arrays = {name: array for name, array in state.arrays.items() if name not in hooks}
    expected = {name: array for name, array in learner.arrays().items() if not name.startswith(free)}
    own = {name: array for name, array in arrays.items() if not name.startswith(free)}
    _check_arrays(own, expected, {*expected, *of_feed, *form.names})
    generator, sequences = _mapping(values, "generator"), values.get("sequences")
    snapshot = Snapshot(
        state.iteration,
        _checks.integer("longest", values.get("longest"), minimum=0),
        _checks.real("learning_rate", values.get("learning_rate"), minimum=0),
        _remembered(values, memory),
        {name: arrays[name] for name in arrays if name in expected or name.startswith(free)},
        form.since(arrays, state.iteration),
        Position(
            generator,
            _checks.integer("used", values.get("used"), minimum=0),
            {name: arrays[name] for name in of_feed},
            lambda: str(sequences),
        ),
        hooks,
    )
    return snapshot, form.reports(arrays, snapshot.iteration - len(snapshot.since.losses))


# Equal to no value.
_OTHER = object()


def _counts_steps(memory: OptimizerMemory) -> bool:
    """Whether the optimizer counts its steps as Adam does: a state stores the number under ``steps``."""
    return not memory.has_state_dict and type(memory.values().get("t")) is int


def _remembered(values: Mapping[str, Any], memory: OptimizerMemory) -> dict[str, Any]:
    """Return the plain values of an optimizer from those of a state."""
    steps = _checks.integer("steps", values.get("steps"), minimum=0)
    given = _mapping(values, "optimizer") if "optimizer" in values else {}
    remembered = {name: _read(name, value) for name, value in given.items()}
    if memory.has_state_dict:
        return remembered
    if unknown := sorted(set(given) - set(memory.values())):
        raise InvalidArgument(f"the state has {unknown[0]!r} of the optimizer, which this training does not have")
    for name in set(remembered) & set(memory.settings):
        if _is_number(memory.settings[name]) and not _is_number(remembered[name]):
            raise InvalidArgument(f"{name} of the optimizer must be a number, not {_checks.shown(remembered[name])}")
    counted = {"t": steps} if _counts_steps(memory) else {}
    return {**memory.settings, **counted, **remembered}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _written(value: Any) -> Any:
    """Return a plain value for JSON: a NumPy number with its type, a tuple as a list."""
    if isinstance(value, list | tuple):
        return {"type": type(value).__name__, "value": [_written(part) for part in value]}
    if isinstance(value, np.generic):
        return {"type": value.dtype.name, "value": value.item()}
    return value


def _read(name: str, given: Any) -> Any:
    """Return the value that `_written` gave for JSON."""
    if given is None or isinstance(given, bool | int | float | str):
        return given
    if isinstance(given, Mapping) and set(given) == {"type", "value"}:
        kind, value = given["type"], given["value"]
        if kind in ("list", "tuple") and isinstance(value, list):
            parts = [_read(name, part) for part in value]
            return tuple(parts) if kind == "tuple" else parts
        with suppress(TypeError, ValueError, OverflowError):
            if isinstance(value, bool | int | float) and np.dtype(kind).kind in "biuf":
                return np.dtype(kind).type(value)
    raise InvalidArgument(f"{name} of the optimizer must be a number or text, not {_checks.shown(given)}")


def check_settings(state: TrainingState, settings: Mapping[str, Any]) -> None:
    """Refuse a state from a training with other settings: it would continue as a different training."""
    given = _mapping(state.values, "settings")
    for name in {**settings, **given}:
        theirs, ours = given.get(name), settings.get(name)
        if theirs != ours:
            raise InvalidArgument(
                f"{name} must be what it was when the training was saved, {_checks.shown(theirs)}, "
                f"not {_checks.shown(ours)}"
            )


def _check_arrays(arrays: Mapping[str, NDArray[Any]], expected: Mapping[str, NDArray[Any]], wanted: set[str]) -> None:
    if odd := sorted(wanted ^ set(arrays)):
        here, there = ("the state", "this training") if odd[0] in arrays else ("this training", "the state")
        raise InvalidArgument(f"{here} has {_checks.shown(odd[0])}, which {there} does not have")
    for name, array in expected.items():
        given = arrays[name]
        if given.dtype != array.dtype or given.shape != array.shape:
            raise InvalidArgument(
                f"{name} must be {array.dtype} of shape {array.shape}, but in the state it is {given.dtype} of shape "
                f"{given.shape}"
            )
        _checks.finite(name, given)


def _mapping(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    if not isinstance(found, Mapping):
        raise InvalidArgument(f"the state must have {name!r} with values by name, not {_checks.shown(found)}")
    return found
