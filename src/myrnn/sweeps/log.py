"""The records as they come in: a file that only grows, a sealed line a run, and that any crash leaves readable."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from myrnn.errors import RunError
from myrnn.storage import damaged, seal
from myrnn.sweeps.run import Record

LOG = "results.jsonl"
# A longer line is damaged.
MOST_BYTES = 10_000_000
# Seconds from one sync to the next at least, since one takes milliseconds. What was written between them is lost when
# the machine dies before the system writes it back, but not when the process does.
PAUSE = 0.05


class Log:
    """Writes records to the end of the file; what a crash left of a last line is cut off first.

    Parameters
    ----------
    folder : path
        It exists, and nobody else writes into it.

    Raises
    ------
    RunError
        When the file cannot be written to; what stands there stays.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOG
        self._synced = 0.0
        with self._written():
            self._file = _open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
            _cut_off_torn(self._file)

    def add(self, record: Record) -> None:
        """Write one record; raises RunError where that fails."""
        if not os.fstat(self._file).st_nlink:
            raise RunError(f"{self._path} was removed while runs were under way: the same command begins anew")
        values = seal(msgspec.to_builtins(record))
        line = json.dumps(values, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"
        with self._written():
            while line:
                line = line[os.write(self._file, line) :]
            if time.monotonic() > self._synced + PAUSE:
                os.fsync(self._file)
                self._synced = time.monotonic()

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            message = f"cannot write {self._path}: {error.strerror or error}; what stands there stays"
            raise RunError(message) from error

    def __enter__(self) -> Log:
        """Return the log, which is open already."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        """Bring all to the disk and close the file; raises RunError where that fails and nothing else has."""
        with ExitStack() as closing:
            closing.callback(os.close, self._file)
            with self._written() if kind is None else suppress(OSError):
                os.fsync(self._file)


def read_log(folder: Path) -> tuple[dict[str, Record], int]:
    """Return the last record of every run, and how many lines are damaged: their runs are to be done again.

    Raises
    ------
    RunError
        When the log is no file of the folder, or cannot be read.
    """
    records: dict[str, Record] = {}
    damages = 0
    for line in _lines(folder / LOG):
        record = _record(line)
        if record is None:
            damages += 1
        else:
            records[record.run] = record
    return records, damages


def _lines(path: Path) -> Iterator[bytes]:
    """Yield every whole line."""
    try:
        file = os.fdopen(_open(path, os.O_RDONLY), "rb")
    except FileNotFoundError:
        return
    except OSError as error:
        damaged(path.parent, path.name, f"cannot be read: {error.strerror or error}", error)
    with file:
        while line := file.readline(MOST_BYTES):
            if line.endswith(b"\n"):
                yield line


def _record(line: bytes) -> Record | None:
    """Return the record of a line, None where it is not what was written."""
    try:
        values: Any = json.loads(line)
        if not isinstance(values, dict) or seal(values) != values:
            return None
        record: Record = msgspec.convert(values, Record)
    except (ValueError, RecursionError):
        return None
    return record


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
    # Those that the system has. A pipe would wait for somebody at its other end.
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


def _cut_off_torn(file: int) -> None:
    """Cut off a last line that has no end."""
    size = os.lseek(file, 0, os.SEEK_END)
    begin = max(0, size - MOST_BYTES)
    os.lseek(file, begin, os.SEEK_SET)
    end = begin + os.read(file, size - begin).rfind(b"\n") + 1
    if end < size:
        os.ftruncate(file, end)
