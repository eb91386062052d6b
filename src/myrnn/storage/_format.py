"""A kind of folder: which files belong in it, and how it is written and read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from myrnn import _checks
from myrnn.errors import RunError
from myrnn.storage._stored import Stored, damaged, parse_object
from myrnn.storage._values import seal
from myrnn.storage._write import Content, write_files


@dataclass(frozen=True)
class FolderFormat:
    """A kind of folder.

    Attributes
    ----------
    name : str
        Stands in the index under ``format``: ``"myrnn run"``.
    version : int
        Stands there under ``format_version``; a folder of a later one is refused.
    what : str
        How messages call such a folder: ``"run"``.
    index : str
        The name of the index file.
    files : mapping of str to int
        The files that are read back, and the most bytes that each may have.
    index_bytes : int
        The most that the index may have; no sound one comes near this. A larger one is refused before anything is
        allocated.
    oldest : int, optional
        The oldest version that is still read; by default only `version` is.

    Examples
    --------
    >>> import tempfile
    >>> notes = FolderFormat("my notes", 1, "notebook", "index.json", {"text.json": 1000})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     notes.write(folder, {"author": "Ada"}, {"text.json": b'{"first": "line"}'})
    ...     stored = notes.read(folder)
    >>> stored.index["author"], stored.json("text.json")
    ('Ada', {'first': 'line'})
    """

    name: str
    version: int
    what: str
    index: str
    files: Mapping[str, int]
    index_bytes: int = 1_000_000
    oldest: int | None = None

    def write(self, folder: str | os.PathLike[str], values: Mapping[str, Any], files: Mapping[str, Content]) -> None:
        """Write a folder's files, and the index last.

        Whatever stops it leaves the old files, the new ones, or, where it was just replacing old ones that the format
        lists, a folder without an index, which does not count.

        Parameters
        ----------
        folder : path
            It exists; what it holds under the same names is replaced.
        values : mapping
            Plain values for the index.
        files : mapping of str to bytes or callable
            Those that the format lists, and any further ones: their bytes, or a function that writes a file to the path
            that it is called with.

        Raises
        ------
        RunError
            When something cannot be written, such as on a full disk; what stood in the folder then stands there still.
        """
        assert set(self.files) <= set(files), f"a {self.what} needs {set(self.files) - set(files)}"
        header = {"format": self.name, "format_version": self.version}
        try:
            write_files(Path(folder), files, self.files, self.index, {**header, **values})
        except OSError as error:
            raise RunError(f"cannot write the {self.what} folder {folder}: {error.strerror or error}") from error

    def read(self, folder: str | os.PathLike[str]) -> Stored:
        """Read a folder's index and the files that the format lists.

        Raises
        ------
        RunError
            When the folder or a file is missing, cut short, too large, changed since it was written, of another format
            or version, or leads out of the folder; the message says which file, and what is wrong with it.
        """
        return self._read_some(Path(folder), self.files)

    def glance(self, folder: str | os.PathLike[str], *names: str) -> Stored:
        """Read a folder's index and some of its files; of the others only see that they are there, and how large.

        Parameters
        ----------
        folder : path
        *names : str
            The files to read, of those that the format lists.

        Raises
        ------
        RunError
            As `read` does; what was changed within a file that is not read stays unseen.
        """
        return self._read_some(Path(folder), names)

    def read_index(self, folder: str | os.PathLike[str]) -> dict[str, Any]:
        """Return the values of the index alone; raises RunError as `read` does."""
        path = Path(folder)
        try:
            if not path.is_dir():
                raise RunError(f"there is no {self.what} folder {path}" + (": it is a file" if path.is_file() else ""))
            if not (path / self.index).exists():
                raise RunError(f"{path} is not a whole {self.what}: {self.index} is missing, which is written last")
        except OSError as error:
            raise RunError(f"cannot read the {self.what} folder {path}: {error.strerror or error}") from error
        index = parse_object(path, self.index, _read(path, self.index, self.index_bytes))
        if index.get("format") != self.name:
            damaged(path, self.index, f"is not that of a {self.what}: 'format' must be {self.name!r}")
        self._check_version(path, index.get("format_version"))
        if index != seal(index):
            damaged(path, self.index, "is damaged or was changed: its values do not have the hash that it holds")
        return index

    def _check_version(self, path: Path, version: Any) -> None:
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            damaged(path, self.index, f"has no valid 'format_version': {_checks.shown(version)}")
        if version > self.version:
            raise RunError(
                f"{path} was written by a newer MyRNN, in format {version}; this one reads up to {self.version}"
            )
        if version < (self.oldest or self.version):
            raise RunError(f"{path} was written by an older MyRNN, in format {version}; this one reads {self.version}")

    def _read_some(self, path: Path, names: Collection[str]) -> Stored:
        index = self.read_index(path)
        listed = index.get("files")
        if not isinstance(listed, dict):
            damaged(path, self.index, f"has no valid 'files': {_checks.shown(listed)}")
        for name in self.files:
            facts = listed.get(name)
            if not isinstance(facts, dict) or not isinstance(facts.get("bytes"), int):
                damaged(path, self.index, f"does not say what {name} should be")
            if name not in names:
                _check_size(path, name, _size(path, name), facts["bytes"])
        return Stored(path, index, {name: self._read_checked(path, name, listed[name]) for name in names})

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
    """Return the bytes of a file that lies in the folder itself."""
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
            # Never more than was said, should it grow meanwhile.
            return opened.read(size)
    except OSError as error:
        damaged(path, name, f"cannot be read: {error.strerror or error}", error)
