"""Checkpoints: the state of a training on disk, so that it can go on after whatever stopped it."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.errors import RunError, TrainingDiverged
from myrnn.results import History
from myrnn.storage import FolderFormat, FolderLock, arrays_to_bytes, clear_scratch, is_scratch
from myrnn.training._hooks import Report, TrainingStart
from myrnn.training._state import CutOff, TrainingState

INDEX, ARRAYS = "state.json", "state.safetensors"
FORMAT = FolderFormat("myrnn checkpoint", 1, "checkpoint", INDEX, {ARRAYS: 8_000_000_000})

_NAME = re.compile(r"checkpoint-(\d{12})")


class Checkpoint:
    """The hook that keeps a training's state in a folder: every so many seconds, at a report, and at the end.

    The two last checkpoints stay, so that one that is damaged later does not cost the training. Where one cannot be
    written, as on a full disk, there is a warning, those before stay, and it is tried again; at the end it is an error.
    Of a training that diverges, the last is that of the last report whose loss was in hand, at most twice that of
    guessing, or of the beginning: later ones are removed, for they lead to the same place again. Of one that is cut off
    within an iteration it is the same, but a later one stays.

    Parameters
    ----------
    folder : path
        It is made where it is missing. No two processes can use it at the same time.
    every : float
        Seconds between two checkpoints at least.
    share : float
        The share of the training's time that they may take, but for the last: on a slow disk there are fewer.

    Raises
    ------
    InvalidArgument
        When `every` is not a number of 0 or more, or `share` not one above 0.
    """

    def __init__(self, folder: str | os.PathLike[str], every: float = 10.0, share: float = 0.01) -> None:
        self.folder = Path(folder)
        self._every = _checks.real("every", every, minimum=0)
        self._share = _checks.real("share", share, above=0)
        self._lock: FolderLock | None = None
        self._good: list[Path] = []

    def on_train_begin(self, start: TrainingStart) -> None:
        """Lock the folder, and refuse one with checkpoints of another training."""
        # What can never be saved is to be said now, and not in ten seconds.
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
            # What is left of a training that never got anywhere.
            _keep_only(self.folder, [])
        self._due = time.monotonic() + self._every

    def on_reported(self, report: Report) -> None:
        """Write a checkpoint if it is time."""
        if time.monotonic() < self._due:
            return
        try:
            self.write()
        except RunError as error:
            warn(f"{error}: training goes on, and the checkpoint before this one stays")

    def on_train_end(self, history: History) -> None:
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
        """Write a checkpoint now: at a report, or after the training.

        Raises
        ------
        RunError
            When it cannot be written.
        """
        begin = time.monotonic()
        state = self._state()
        # After a restart it comes to the same iteration again, as another training.
        if not state.iteration or _mark(state) == self._written:
            return
        try:
            self._write(state)
        finally:
            now = time.monotonic()
            self._due = now + max(self._every, (now - begin) / self._share)

    def _write_good(self, instead: bool = False) -> None:
        """Write what is good of a training of which the last is not, where that is more than there is already.

        With `instead`, also where it is less: what came after it was finite, but is no place to go on from.
        """
        try:
            state = self._good_state()
            if not self._good or _mark(state) > self._written or (instead and _mark(state) < self._written):
                self._write(state)
        except TrainingDiverged:
            # What the optimizer remembers went astray before the loss did.
            pass
        except RunError as error:
            # Why the training has stopped is to be told above all.
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
    """Return the last good state of a folder of checkpoints, with a warning for each later one that is of no use.

    Returns
    -------
    TrainingState or None
        None where there is no folder, or no checkpoint was ever completed in it.

    Raises
    ------
    RunError
        When there are checkpoints, but none is good.
    """
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
    """Return how many iterations the last checkpoint of a folder has, 0 where none was ever completed."""
    found = _checkpoints(folder)
    return _iteration(found[-1]) if found else 0


def keep_last_checkpoint(folder: Path) -> None:
    """Remove all checkpoints but the last one, and what writes that were cut off left behind.

    Raises
    ------
    RunError
        When the folder is in use.
    """
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
    """Return the checkpoints that were completed, the oldest first."""
    return [path for path in _folders(folder) if (path / INDEX).exists()]


def _was_cut_off(path: Path) -> bool:
    """Whether a crash cut off the writing of a checkpoint: it has no index, and no arrays or a scratch file."""
    return not (path / INDEX).exists() and (not (path / ARRAYS).exists() or any(map(is_scratch, path.iterdir())))


def _keep_only(folder: Path, good: list[Path]) -> None:
    """Remove all other checkpoints, and what writes that were cut off left behind."""
    for path in _folders(folder):
        if path not in good:
            # Its index first: half a checkpoint is none.
            (path / INDEX).unlink(missing_ok=True)
            shutil.rmtree(path, ignore_errors=True)


def _folders(folder: Path) -> list[Path]:
    """Return all folders with the name of a checkpoint, in order; a link that leads elsewhere is none."""
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
