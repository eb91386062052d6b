"""Writing a set of files so that a crash leaves the old ones, the new ones, or no index: never a mixture."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from myrnn.errors import RunError
from myrnn.storage._lock import LOCK
from myrnn.storage._values import json_to_bytes, seal

# A file's bytes, or a function that writes it to the path that it is called with.
Content = bytes | Callable[[Path], Any]

SCRATCH = ".unfinished-"


def empty_folder(folder: str | os.PathLike[str], what: str) -> Path:
    """Return a folder that is there, empty and can be written to; make it where it is missing.

    A lock, and what a write that was cut off left behind, count as nothing.

    Parameters
    ----------
    folder : path
    what : str
        What is to be written there, for the messages: ``"run"``.

    Raises
    ------
    RunError
        When it holds something or cannot be made or written to.
    """
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        taken = any(item.name != LOCK and not is_scratch(item) for item in path.iterdir())
    except (FileExistsError, NotADirectoryError):
        raise RunError(f"{path} is or lies below a file: a {what} needs a folder of its own") from None
    except (OSError, ValueError) as error:
        raise RunError(f"cannot make the {what} folder {path}: {getattr(error, 'strerror', None) or error}") from error
    if taken:
        raise RunError(f"{path} is not empty: choose another folder, nothing is overwritten")
    if not os.access(path, os.W_OK | os.X_OK):
        raise RunError(f"cannot write into {path}: permission denied")
    return path


def is_scratch(path: Path) -> bool:
    """Return whether a path is what a write that was cut off leaves behind; it may be removed."""
    return path.name.startswith(SCRATCH)


def clear_scratch(folder: Path) -> None:
    """Remove what writes that were cut off left behind; whoever calls this holds the folder's lock."""
    for path in folder.iterdir():
        if is_scratch(path):
            shutil.rmtree(path, ignore_errors=True)


def write_files(
    folder: Path, files: Mapping[str, Content], listed: Iterable[str], index: str, values: Mapping[str, Any]
) -> None:
    """Write all files into a folder that exists, and last the index: `values` and what the listed files are.

    An index that is there goes before the files that it lists are replaced, one after the other: it does not vouch for
    others.

    Raises
    ------
    OSError
        When something cannot be written; what stood in the folder under these names still stands there, unless it is
        the system that gives a file its name no more, and then there is no index.
    """
    new = not (folder / index).exists()
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=folder) as made:
        scratch = Path(made)
        for name, content in files.items():
            _write(scratch / name, content)
        prints = {name: _fingerprint(scratch / name) for name in listed}
        _write(scratch / index, json_to_bytes(seal({**values, "files": prints})))
        for name in (*files, index):
            _to_disk(scratch / name)
        if prints and not new:
            (folder / index).unlink()
            _to_disk(folder)
        for name in sorted(files):
            os.replace(scratch / name, folder / name)
        # The names of the other files before that of the index, should the power fail now.
        _to_disk(folder)
        os.replace(scratch / index, folder / index)
    _to_disk(folder)
    if new:
        # The folder itself may be new, and its own name stands in the one above.
        _to_disk(folder.resolve().parent)


def place_file(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` make a file beside the place where it belongs, and put it there only when all of it is there."""
    unfinished = path.with_name(f"{SCRATCH}{path.name}")
    # It may be there already, and be a link to another place.
    unfinished.unlink(missing_ok=True)
    try:
        write(unfinished)
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _write(path: Path, content: Content) -> None:
    if callable(content):
        content(path)
    else:
        path.write_bytes(content)


def _fingerprint(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _to_disk(path: Path) -> None:
    """Wait until a file's content, or a folder's names, have reached the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folders, and keeps their names in order by itself.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
