"""Checkpoints: states of a training on disk, from which it can resume."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.errors import InvalidArgument, RunError, TrainingDiverged
from myrnn.learning_curve import LearningCurve
from myrnn.storage import FolderFormat, FolderLock, arrays_to_bytes, clear_scratch, is_scratch
from myrnn.training.hooks import TrainingReport, TrainingStart
from myrnn.training.state import TrainingState

INDEX, ARRAYS = "state.json", "state.safetensors"
FORMAT = FolderFormat("myrnn checkpoint", 1, "checkpoint", INDEX, {ARRAYS: 8_000_000_000})

_NAME = re.compile(r"checkpoint-(\d{12})")


class CutOff(InvalidArgument):
    """The state of a training is requested within an iteration."""


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
        if not self._good and (latest := latest_iteration(self.folder)):
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


def latest_iteration(folder: Path) -> int:
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
