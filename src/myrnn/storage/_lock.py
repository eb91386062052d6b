"""One process at a time in a folder."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from myrnn.errors import RunError

LOCK = ".lock"
# Seconds to wait for a lock.
PATIENCE = 0.5


class FolderLock:
    """Keeps other processes out of a folder until it is released; the lock of a process that died is none.

    Parameters
    ----------
    folder : path
        It exists.

    Raises
    ------
    RunError
        When another process, or another part of this one, holds the folder, or it cannot be written to.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._file = Path(folder) / LOCK
        # Held by the system for as long as this process lives, whatever becomes of it.
        self._lock = FileLock(self._file, thread_local=False)
        try:
            # Who only asks whether it is held, holds it for a moment.
            self._lock.acquire(timeout=PATIENCE)
            self._file.write_text(str(os.getpid()), encoding="ascii")
        except Timeout:
            raise RunError(f"{folder} is in use by another process{_whose(self._file)}: wait until it ends") from None
        except OSError as error:
            self._lock.release()
            raise RunError(f"cannot write into {folder}: {error.strerror or error}") from error

    def release(self) -> None:
        """Let others in; nothing of the lock stays behind."""
        if self._lock.is_locked:
            # While it is held: whoever opened the file before sees that it has no name any more, and opens another.
            self._file.unlink(missing_ok=True)
            self._lock.release()

    def __enter__(self) -> FolderLock:
        """Return the lock, which is held already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release it."""
        self.release()


def is_locked(folder: str | os.PathLike[str]) -> bool:
    """Return whether a process is at work in a folder."""
    file = Path(folder) / LOCK
    if not file.exists():
        return False
    lock = FileLock(file, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:
        return False
    lock.release()
    return False


def _whose(file: Path) -> str:
    try:
        number = file.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
    return f" (number {number})" if number.isdigit() else ""
