"""Folders of files that are complete or absent: a crash leaves no half-written file, and reading checks everything.

A `FolderFormat` defines the files of a kind of folder. Its ``write`` puts every file on disk before it gets its name,
and writes last the index, a JSON file with the size and SHA-256 of the others: a folder without an index is not valid.
Its ``read`` trusts nothing that it finds. No file holds anything executable: tables are CSV, values JSON, arrays
safetensors. A `FolderLock` lets one process at a time into a folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

import msgspec
import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._user_code import in_one_line
from myrnn.errors import InvalidArgument, RunError

# A file's bytes, or a function that writes the file to a given path.
Content = bytes | Callable[[Path], Any]

LOCK = ".lock"
SCRATCH = ".unfinished-"
# Seconds to wait for a lock.
PATIENCE = 0.5
# How deep JSON may nest; no valid file comes near this.
DEEPEST = 100
# The most characters of a message about a file.
LONGEST = 400


@dataclass(frozen=True)
class FolderFormat:
    """A kind of folder."""

    name: str  # stored in the index as ``format``: ``"myrnn run"``
    version: int  # stored in the index as ``format_version``; folders of a later version are refused
    what: str  # the name of such a folder in messages: ``"run"``
    index: str  # the name of the index file
    files: Mapping[str, int]  # the files that are read, and the most bytes of each
    # The most bytes of the index; no valid one comes near this. A larger one is refused before memory is allocated.
    index_bytes: int = 1_000_000
    optional: Collection[str] = ()  # those of `files` that a folder may lack

    def write(self, folder: str | os.PathLike[str], values: Mapping[str, Any], files: Mapping[str, Content]) -> None:
        """Write a folder's files (bytes, or functions that write to a path), and the index with plain `values` last."""
        # If it is interrupted, the folder has the old files, the new ones, or, while listed files are being replaced,
        # no index, and is not valid.
        missing = set(self.files) - set(self.optional) - set(files)
        assert not missing, f"a {self.what} needs {missing}"
        header = {"format": self.name, "format_version": self.version}
        with refused(f"cannot write the {self.what} folder {folder}"):
            self._write(Path(folder), {**header, **values}, files)

    def _write(self, folder: Path, values: Mapping[str, Any], files: Mapping[str, Content]) -> None:
        index = folder / self.index
        is_new = not index.exists()
        with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=folder) as made:
            scratch = Path(made)
            for name, content in files.items():
                _write(scratch / name, content)
            facts = {name: _fingerprint(scratch / name) for name in self.files if name in files}
            _write(scratch / self.index, json_to_bytes(seal({**values, "files": facts})))
            for name in (*files, self.index):
                _to_disk(scratch / name)
            if facts and not is_new:
                # The old index does not match the new files, which replace the old ones one by one.
                index.unlink()
                _to_disk(folder)
            for name in sorted(files):
                os.replace(scratch / name, folder / name)
            # Sync the names of the other files before that of the index, in case the power fails in between.
            _to_disk(folder)
            os.replace(scratch / self.index, index)
        _to_disk(folder)
        if is_new:
            # The folder itself may be new; its name is an entry of its parent.
            _to_disk(folder.resolve().parent)

    def read(self, folder: str | os.PathLike[str], *names: str) -> Stored:
        """Read a folder's index and listed files; RunError names one that is missing, damaged, too large or changed.

        With `names`, read only these files; of the others check only that they exist, and their sizes.
        """
        path, index = Path(folder), self.read_index(folder)
        listed = index.get("files")
        if not isinstance(listed, dict):
            damaged(path, self.index, f"has no valid 'files': {_checks.shown(listed)}")
        here = [name for name in self.files if name in listed or name not in self.optional]
        asked = names or self.files
        for name in here:
            facts = listed.get(name)
            if not isinstance(facts, dict) or not isinstance(facts.get("bytes"), int):
                damaged(path, self.index, f"has no size and hash for {name}")
            if name not in asked:
                _check_size(path, name, _size(path, name), facts["bytes"])
        content = {name: self._read_checked(path, name, listed[name]) for name in here if name in asked}
        return Stored(path, self.index, index, content)

    def read_index(self, folder: str | os.PathLike[str]) -> dict[str, Any]:
        """Return the values of the index alone; raises RunError as `read` does."""
        path = Path(folder)
        with refused(f"cannot read the {self.what} folder {path}"):
            if not path.is_dir():
                raise RunError(f"there is no {self.what} folder {path}" + (": it is a file" if path.is_file() else ""))
            if not (path / self.index).exists():
                raise RunError(f"{path} is not a whole {self.what}: {self.index} is missing, which is written last")
        index = _parse_object(path, self.index, _read(path, self.index, self.index_bytes))
        if index.get("format") != self.name:
            damaged(path, self.index, f"is not that of a {self.what}: 'format' must be {self.name!r}")
        self._check_version(path, index.get("format_version"))
        if index != seal(index):
            damaged(path, self.index, "is damaged or was changed: its values do not match its hash")
        return index

    def _check_version(self, path: Path, version: Any) -> None:
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            damaged(path, self.index, f"has no valid 'format_version': {_checks.shown(version)}")
        if version > self.version:
            raise RunError(
                f"{path} was written by a newer MyRNN, in format {version}; this one reads up to {self.version}"
            )

    def _read_checked(self, path: Path, name: str, facts: Mapping[str, Any]) -> bytes:
        content = _read(path, name, self.files[name])
        _check_size(path, name, len(content), facts["bytes"])
        if hashlib.sha256(content).hexdigest() != facts.get("sha256"):
            damaged(path, name, f"is damaged or was changed: its hash is not the one in {self.index}")
        return content


def _check_size(path: Path, name: str, size: int, wanted: int) -> None:
    if size != wanted:
        how = "is cut short" if size < wanted else "is too long"
        damaged(path, name, f"{how}: {size:,} bytes instead of {wanted:,}")


def _size(path: Path, name: str) -> int:
    file = path / name
    try:
        if file.is_file():
            return file.stat().st_size
    except OSError as error:
        damaged(path, name, f"cannot be read: {error.strerror or error}", error)
    damaged(path, name, "is missing")


def _read(path: Path, name: str, limit: int) -> bytes:
    """Return the bytes of a file in the folder itself."""
    file = path / name
    try:
        if not file.is_file():
            damaged(path, name, "is missing")
        if file.is_symlink() and file.resolve().parent != path.resolve():
            damaged(path, name, "is a link that leads out of the folder")
        with file.open("rb") as opened:
            size = os.fstat(opened.fileno()).st_size
            if size > limit:
                damaged(path, name, f"is too large: {size:,} bytes, at most {limit:,} are read")
            # Never read more than the checked size: the file may grow meanwhile.
            return opened.read(size)
    except OSError as error:
        damaged(path, name, f"cannot be read: {error.strerror or error}", error)


@dataclass(frozen=True, eq=False)
class Stored:
    """The files of a folder: their sizes and hashes are checked, their content is not."""

    folder: Path
    index_name: str
    index: dict[str, Any]  # the values of the index
    content: Mapping[str, bytes]  # the files that belong to the format

    def json(self, name: str) -> dict[str, Any]:
        """Return the object of a JSON file; RunError when it is not one, or has a number that is not finite."""
        return _parse_object(self.folder, name, self.content[name])

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """Return the arrays of a safetensors file by name; raises RunError if it is not valid."""
        try:
            return safetensors.numpy.load(self.content[name])
        except Exception as error:  # its reader has its own exception classes for invalid bytes
            self.damaged(name, f"is not valid: {in_one_line(error)}", error)

    def damaged(self, name: str, what: str, cause: BaseException | None = None) -> NoReturn:
        """Raise the RunError for a damaged file of this folder; `what` follows the file's name in the message."""
        damaged(self.folder, name, what, cause)

    def using(self, name: str | None = None) -> AbstractContextManager[None]:
        """Turn an InvalidArgument of the block into the error of this file, by default of the index."""
        return used(self.folder, name or self.index_name)


@contextmanager
def used(folder: Path, name: str) -> Iterator[None]:
    """Turn an InvalidArgument of the block into the error of a damaged file."""
    try:
        yield
    except InvalidArgument as error:
        damaged(folder, name, f"cannot be used: {error}", error)


@contextmanager
def refused(what: str) -> Iterator[None]:
    """Turn an OSError of the block into a RunError that begins with `what`."""
    try:
        yield
    except OSError as error:
        raise RunError(f"{what}: {error.strerror or error}") from error


def damaged(folder: Path, name: str, what: str, cause: BaseException | None = None) -> NoReturn:
    """Raise the RunError for a damaged file; its content must neither fill the screen nor control it."""
    message = _checks.printable(what)
    short = message if len(message) <= LONGEST else f"{message[: LONGEST - 3]}..."
    raise RunError(f"{folder}: {name} {short}") from cause


def empty_folder(folder: str | os.PathLike[str], what: str) -> Path:
    """Return an existing, empty and writable folder, created if missing; locks and interrupted writes do not count."""
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        taken = any(item.name != LOCK and not is_scratch(item) for item in path.iterdir())
    except (FileExistsError, NotADirectoryError):
        raise RunError(f"{path} is or lies below a file: a {what} needs a separate folder") from None
    except (OSError, ValueError) as error:
        raise RunError(f"cannot make the {what} folder {path}: {getattr(error, 'strerror', None) or error}") from error
    if taken:
        raise RunError(f"{path} is not empty: choose another folder, nothing is overwritten")
    if not os.access(path, os.W_OK | os.X_OK):
        raise RunError(f"cannot write into {path}: permission denied")
    return path


def others_may_write(path: Path) -> bool:
    """Return whether users other than this one and the superuser may change a file, or what is in a folder."""
    if os.name != "posix":
        return False
    status = path.stat()
    return status.st_uid not in (0, os.getuid()) or bool(status.st_mode & 0o022)


# Whom a container shows as the owner of what belongs to nobody in it, such as the superuser of its host.
_UNKNOWN_USER = 65534


def others_may_replace(folder: Path) -> bool:
    """Return whether others may change what is in a folder, or put another one in its place."""
    if os.name != "posix" or others_may_write(folder):
        return os.name == "posix"
    parent, *above = (one.stat() for one in folder.resolve().parents)
    if any(one.st_uid not in (0, _UNKNOWN_USER, os.getuid()) for one in (parent, *above)):
        return True
    # The folders above may belong to a group of this user alone. Where everybody may write, as in /tmp, nobody may move
    # what is not their own.
    writable = [parent.st_mode & 0o022, *(one.st_mode & 0o002 for one in above)]
    return any(by and not one.st_mode & stat.S_ISVTX for by, one in zip(writable, (parent, *above), strict=True))


def is_scratch(path: Path) -> bool:
    """Return whether a path is the remains of an interrupted write; it may be removed."""
    return path.name.startswith(SCRATCH)


def clear_scratch(folder: Path) -> None:
    """Remove the remains of interrupted writes; the caller holds the folder's lock."""
    for path in folder.iterdir():
        if is_scratch(path):
            shutil.rmtree(path, ignore_errors=True)


def place_file(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` make a temporary file next to `path`, and move it to `path` when it is complete."""
    unfinished = path.with_name(f"{SCRATCH}{path.name}")
    # It may already exist as a link to another place.
    unfinished.unlink(missing_ok=True)
    try:
        write(unfinished)
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file; raises OSError if it cannot be read."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_if_readable(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file; empty if it cannot be read, which its reader will report."""
    try:
        return sha256_of(path) if os.path.isfile(path) else ""
    except OSError:
        return ""


def _write(path: Path, content: Content) -> None:
    if callable(content):
        content(path)
    else:
        path.write_bytes(content)


def _fingerprint(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _to_disk(path: Path) -> None:
    """Wait until a file's content, or a folder's entries, have reached the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot open folders, and needs no sync of their entries.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class FolderLock:
    """Keeps other processes out of an existing folder until it is released or this process ends, however it ends."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._file = Path(folder) / LOCK
        # Late: once imported, it watches every `id()` and every frame that is read, which slows the compiler down.
        from filelock import FileLock, Timeout

        # The system holds it as long as this process lives, even if it is killed.
        self._lock = FileLock(self._file, thread_local=False)
        try:
            # `is_locked` in another process holds it for a moment.
            self._lock.acquire(timeout=PATIENCE)
            self._file.write_text(str(os.getpid()), encoding="ascii")
        except Timeout:
            raise RunError(f"{folder} is in use by another process{_whose(self._file)}: wait until it ends") from None
        except OSError as error:
            self._lock.release()
            raise RunError(f"cannot write into {folder}: {error.strerror or error}") from error

    def release(self) -> None:
        """Release the lock and remove its file."""
        if self._lock.is_locked:
            # Remove it while it is held: a process that has opened it sees that the name is gone, and opens a new one.
            self._file.unlink(missing_ok=True)
            self._lock.release()

    def __enter__(self) -> FolderLock:
        """Return the lock, which is already held."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release it."""
        self.release()


def is_locked(folder: str | os.PathLike[str]) -> bool:
    """Return whether a process is working in a folder."""
    file = Path(folder) / LOCK
    if not file.exists():
        return False
    from filelock import FileLock, Timeout

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


def json_to_bytes(values: Mapping[str, Any]) -> bytes:
    """Return an object of plain values as readable JSON; NaN and infinity are refused."""
    return (json.dumps(values, indent=2, allow_nan=False) + "\n").encode("utf-8")


def arrays_to_bytes(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return named arrays as safetensors."""
    # The writer copies an array's memory as it is, ignoring strides.
    return safetensors.numpy.save({name: np.asarray(array, order="C") for name, array in arrays.items()})


def seal(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with the SHA-256 of all of them under ``sha256``."""
    unsealed = {name: value for name, value in values.items() if name != "sha256"}
    # Hash a canonical form that does not depend on spaces or the order of names.
    text = json.dumps(unsealed, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return {**unsealed, "sha256": hashlib.sha256(text.encode("ascii")).hexdigest()}


def _parse_object(folder: Path, name: str, content: bytes) -> dict[str, Any]:
    """Return the object in a JSON file, or raise RunError."""
    try:
        try:
            parsed = msgspec.json.decode(content)
        except (msgspec.DecodeError, RecursionError):
            # Ten times slower, but gives better messages, and reads names of files that are not valid text.
            parsed = json.loads(content.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite)
        _check_depth(parsed)
    except (ValueError, RecursionError) as error:
        damaged(folder, name, f"is not valid JSON: {in_one_line(error)}", error)
    if not isinstance(parsed, dict):
        damaged(folder, name, f"must hold an object, not {_checks.shown(parsed)}")
    return parsed


def _check_depth(parsed: Any) -> None:
    """Refuse objects that can be read, but not written, compared or shown within Python's recursion limit."""
    level = [parsed]
    for _ in range(DEEPEST):
        inside = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)]
        level = [item for items in inside for item in items if isinstance(item, dict | list)]
        if not level:
            return
    raise ValueError(f"it nests more than {DEEPEST} levels deep")


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")


def _finite(text: str) -> float:
    number = float(text)
    if not np.isfinite(number):
        raise ValueError(f"{text} is too large a number")
    return number
