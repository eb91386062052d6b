"""The records in an append-only file with a sealed line per run, which stays readable after any crash."""

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

from myrnn._signals import held_interrupts
from myrnn.errors import RunError
from myrnn.settings import converted
from myrnn.storage import damaged, seal
from myrnn.sweeps.run import Record

LOG = "results.jsonl"
# A longer line is damaged.
MOST_BYTES = 10_000_000
# The least seconds between two syncs, since one takes milliseconds. What was written in between is lost if the machine
# crashes before the system writes it back, but not if only the process does.
PAUSE = 0.05


class Log:
    """Appends records to the file; an incomplete last line, left by a crash, is cut off first."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOG
        self._synced = 0.0
        with self._written():
            self._file = _open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
            _cut_off_torn(self._file)

    def add(self, record: Record) -> None:
        """Write one record; raises RunError if that fails."""
        if not os.fstat(self._file).st_nlink:
            raise RunError(f"{self._path} was removed while runs were in progress: the same command starts again")
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
            # Ctrl-C waits until a whole line is written.
            with held_interrupts():
                yield
        except OSError as error:
            message = f"cannot write {self._path}: {error.strerror or error}; its content is unchanged"
            raise RunError(message) from error

    def __enter__(self) -> Log:
        """Return the log, which is already open."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        """Sync and close the file; raises RunError if that fails, unless the block has failed already."""
        with ExitStack() as closing:
            closing.callback(os.close, self._file)
            with self._written() if kind is None else suppress(OSError):
                os.fsync(self._file)


def read_log(folder: Path) -> tuple[dict[str, Record], int]:
    """Return the last record of every run, and the number of damaged lines, whose runs have to be repeated."""
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
    """Yield every complete line."""
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
    """Return the record in a line, None if the line is damaged."""
    try:
        values: Any = json.loads(line)
        if not isinstance(values, dict) or seal(values) != values:
            return None
        record: Record = converted("a record", values, Record)
    except (ValueError, RecursionError):
        return None
    return record


def _open(path: Path, flags: int) -> int:
    """Open the log without trusting it: refuse links and anything but a regular file, and never block."""
    if path.is_symlink():
        damaged(path.parent, path.name, "is a link: results are in the folder itself")
    # Use the flags that this system has. Opening a pipe would otherwise block.
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):
        flags |= getattr(os, name, 0)
    try:
        file = os.open(path, flags, 0o666)
    except IsADirectoryError:
        damaged(path.parent, path.name, "is not a file")
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        damaged(path.parent, path.name, "is not a file")
    return file


def _cut_off_torn(file: int) -> None:
    """Cut off an incomplete last line."""
    size = os.lseek(file, 0, os.SEEK_END)
    begin = max(0, size - MOST_BYTES)
    os.lseek(file, begin, os.SEEK_SET)
    end = begin + os.read(file, size - begin).rfind(b"\n") + 1
    if end < size:
        os.ftruncate(file, end)
