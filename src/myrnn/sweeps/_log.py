"""The results as they come in: a file that only grows, a sealed line a run, and that any crash leaves readable."""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from myrnn.errors import RunError
from myrnn.storage import damaged, seal
from myrnn.sweeps._run import DONE, FAILED, Record

LOG = "results.jsonl"
# A line is at most this long; a longer one is damaged.
MOST_BYTES = 10_000_000
# Seconds from one sync to the next at least. What stands in the memory meanwhile is lost when the machine dies,
# but not when the process does.
PAUSE = 0.05


class Log:
    """Writes records to the end of the file; what a crash left of a last line is cut off first.

    A thread brings them to the disk, whether others follow or not.

    Parameters
    ----------
    folder : path
        It exists, and nobody else writes into it.

    Raises
    ------
    RunError
        When the file cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOG
        try:
            self._file = _open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
            _cut_off_torn(self._file)
        except OSError as error:
            raise RunError(f"cannot write {self._path}: {error.strerror or error}") from error
        self._is_news, self._is_over = threading.Event(), threading.Event()
        self._fault: OSError | None = None
        self._syncing = threading.Thread(target=self._keep_in_sync, daemon=True)
        self._syncing.start()

    def add(self, record: Record) -> None:
        """Write one record; raises RunError where that fails, and what stands there stays.

        It is on the disk a few hundredths of a second later; where bringing it there fails, the next call says so.
        """
        if not os.fstat(self._file).st_nlink:
            raise RunError(f"{self._path} was removed while runs were under way: the same command begins anew")
        line = json.dumps(seal(record), separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"
        try:
            while line:
                line = line[os.write(self._file, line) :]
        except OSError as error:
            self._fail(error)
        self._is_news.set()
        if self._fault is not None:
            self._fail(self._fault)

    def _keep_in_sync(self) -> None:
        while not self._is_over.wait(PAUSE):
            self._is_news.wait()
            self._is_news.clear()
            try:
                os.fsync(self._file)
            except OSError as error:
                self._fault = error

    def _fail(self, error: OSError) -> NoReturn:
        raise RunError(f"cannot write {self._path}: {error.strerror or error}; what stands there stays") from error

    def __enter__(self) -> Log:
        """Return the log, which is open already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait until all is on the disk, and close the file; raises RunError where that fails and nothing else has."""
        self._is_over.set()
        self._is_news.set()
        self._syncing.join()
        try:
            os.fsync(self._file)
        except OSError as fault:
            self._fault = fault
        os.close(self._file)
        if self._fault is not None and kind is None:
            self._fail(self._fault)


class Finished:
    """Which runs stand in the log, and where.

    Attributes
    ----------
    damaged : int
        How many lines are no record; their runs are to be done again.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOG
        self._at: dict[str, tuple[int, bool]] = {}
        self.damaged = 0
        for at, line in _lines(self._path):
            record = _record(line)
            if record is None:
                self.damaged += 1
            else:
                self._at[record["run"]] = (at, record["status"] == DONE)

    def __contains__(self, run: str) -> bool:
        """Return whether the run was done or failed."""
        return run in self._at

    def has_failed(self, run: str) -> bool:
        """Return whether the run failed, the last time that it was tried."""
        return run in self._at and not self._at[run][1]

    def record(self, run: str) -> Record | None:
        """Return the last record of a run, None where there is none that can be read."""
        if run not in self._at:
            return None
        with os.fdopen(_open(self._path, os.O_RDONLY), "rb") as file:
            file.seek(self._at[run][0])
            return _record(file.readline(MOST_BYTES))


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield where each whole line begins, and the line."""
    try:
        file = os.fdopen(_open(path, os.O_RDONLY), "rb")
    except FileNotFoundError:
        return
    except OSError as error:
        damaged(path.parent, path.name, f"cannot be read: {error.strerror or error}", error)
    at = 0
    with file:
        while line := file.readline(MOST_BYTES):
            if line.endswith(b"\n"):
                yield at, line
            at += len(line)


def _open(path: Path, flags: int) -> int:
    """Open the log, which anybody may have put there: neither through a link, nor where it is no file.

    Raises
    ------
    RunError
        When it is a link, a folder, a pipe or a device; nothing is waited for.
    OSError
        When it cannot be opened.
    """
    if path.is_symlink():
        damaged(path.parent, path.name, "is a link: results are in the folder itself")
    # What the system at hand has of these. A pipe would wait for somebody at its other end.
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):
        flags |= getattr(os, name, 0)
    try:
        file = os.open(path, flags, 0o666)
    except IsADirectoryError:
        damaged(path.parent, path.name, "is no file")
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        damaged(path.parent, path.name, "is no file")
    return file


def _record(line: bytes) -> Record | None:
    """Return what a line says, None where it is not what was written."""
    try:
        record: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not isinstance(record.get("run"), str):
        return None
    if not _is_sealed(record) or not _is_sound(record):
        return None
    return {name: value for name, value in record.items() if name != "sha256"}


def _is_sound(record: dict[str, Any]) -> bool:
    """Return whether the parts of a record are of the kinds that they are written as."""
    if record.get("status") == FAILED:
        return isinstance(record.get("error"), str)
    counts = [record.get(name) for name in ("lengths", "total", "correct")]
    whole = [record.get(name) for name in ("parameters", "longest")]
    return (
        record.get("status") == DONE
        and isinstance(record.get("engine"), str)
        and isinstance(record.get("loss"), float)
        and all(isinstance(count, list) and len(count) == len(counts[0] or []) > 0 for count in counts)
        and all(type(number) is int and 0 <= number < 2**63 for count in (*counts, whole) for number in count or [])
        and all(tried and right <= tried for _, tried, right in zip(*counts, strict=True))
    )


def _is_sealed(record: dict[str, Any]) -> bool:
    try:
        return seal(record) == record
    except ValueError:
        # NaN, which is never written.
        return False


def _cut_off_torn(file: int) -> None:
    """Cut off a last line that has no end."""
    size = os.lseek(file, 0, os.SEEK_END)
    at = size
    while at:
        begin = max(0, at - 65_536)
        os.lseek(file, begin, os.SEEK_SET)
        found = os.read(file, at - begin).rfind(b"\n")
        if found >= 0:
            at = begin + found + 1
            break
        at = begin
    if at < size:
        os.ftruncate(file, at)
