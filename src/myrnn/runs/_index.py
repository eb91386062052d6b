"""The index of a folder of runs: an SQLite file that remembers what the runs' own files say.

It only saves reading them again. Whoever deletes it loses nothing; one that is damaged, foreign or of another version
is made anew; where none can be written, all works without.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import fields
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from myrnn.runs._summary import RunSummary

if TYPE_CHECKING:
    from sqlite3 import Connection

FILE = ".runs.sqlite"
# What SQLite keeps beside its file. In the mode that is used here it never leaves a journal behind.
BESIDE = ("", "-wal", "-shm", "-journal")
# An index of a million runs is smaller.
MAX_BYTES = 1_000_000_000
# The most characters that one value may have.
LONGEST = 100_000
# Seconds to wait for another process that writes.
PATIENCE = 5.0
# Errors of SQLite that are none of the file's own: no permission, busy, locked, no memory, read-only, in- and output,
# full, cannot be opened, protocol, not authorised.
_OF_THE_PLACE = (3, 5, 6, 7, 8, 10, 13, 14, 15, 23)

Found = TypeVar("Found")

_KINDS = {"str": "TEXT", "int": "INTEGER", "float": "REAL"}
_FIELDS = {field.name: str(field.type).removesuffix(" | None") for field in fields(RunSummary)}
_COLUMNS = {name: _KINDS[kind] for name, kind in _FIELDS.items()}
# Its text is the index's version: one of other columns is made anew.
SCHEMA = f"""CREATE TABLE runs (
  {", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())},
  stamp TEXT,
  digest TEXT,
  PRIMARY KEY (name)
) WITHOUT ROWID"""
_INSERT = f"INSERT OR REPLACE INTO runs VALUES ({', '.join('?' * (len(_COLUMNS) + 2))})"

# What the files of a run were like when they were read, and what they said, by the name of its folder.
Remembered = Mapping[str, tuple[str, RunSummary]]


def recall(folder: Path) -> Remembered:
    """Return what the index of a folder remembers; nothing where there is none that is of use."""
    return _with_index(folder, _all) or {}


def remember(folder: Path, news: Remembered, gone: Iterable[str]) -> None:
    """Write news into the index of a folder, and forget the runs that are gone; do nothing where that cannot be."""
    found = ((*summary.__dict__.values(), stamp) for stamp, summary in news.values() if _is_text(summary))
    rows = [(*values, _digest(values)) for values in found]
    forgotten = [(name,) for name in gone]
    if rows or forgotten:
        _with_index(folder, lambda index: _write(index, rows, forgotten))


def _all(index: Connection) -> Remembered:
    return {
        values[0]: (stamp, summary)
        for *values, stamp, digest in index.execute("SELECT * FROM runs")
        if digest == _digest((*values, stamp))
        and isinstance(stamp, str)
        and (summary := RunSummary(*values)).is_sound()
    }


def _digest(values: tuple[object, ...]) -> str:
    """Return what tells a row that was written from one in which a bit has changed since."""
    return blake2b(repr(values).encode(), digest_size=8).hexdigest()


def _write(index: Connection, rows: list[tuple[object, ...]], forgotten: list[tuple[str]]) -> None:
    index.execute("BEGIN IMMEDIATE")
    index.executemany("DELETE FROM runs WHERE name = ?", forgotten)
    index.executemany(_INSERT, rows)
    index.execute("COMMIT")


def _with_index(folder: Path, work: Callable[[Connection], Found]) -> Found | None:
    """Return what `work` does with the index of a folder, made anew where it is of no use; None where there is none."""
    try:
        import sqlite3  # late: there are Pythons without it
    except ImportError:
        return None
    if not os.access(folder, os.W_OK | os.X_OK):
        return None
    for _ in range(2):
        try:
            _remove(folder, lambda path: not _is_sound(path))
            with closing(sqlite3.connect(folder / FILE, timeout=PATIENCE, isolation_level=None)) as index:
                _prepare(index)
                return work(index)
        # SQLite quotes a damaged name in its message, which Python cannot decode then.
        except (sqlite3.Error, UnicodeDecodeError) as error:
            # The low byte tells the kind. Without a code the error is one of what the file holds.
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _OF_THE_PLACE:
                return None
            _remove(folder, lambda path: True)
    return None


def _prepare(index: Connection) -> None:
    """Make the table, or refuse a file that holds anything but it: no view, no trigger, no other columns."""
    import sqlite3

    index.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST)
    for setting in ("trusted_schema = OFF", "cell_size_check = ON", "journal_mode = WAL", "synchronous = NORMAL"):
        index.execute(f"PRAGMA {setting}")
    if not _schema(index):
        index.execute(SCHEMA.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS"))
    if _schema(index) != [(SCHEMA,)]:
        raise sqlite3.DatabaseError(f"{FILE} is no index of runs")


def _schema(index: Connection) -> list[tuple[str]]:
    return index.execute("SELECT sql FROM sqlite_master").fetchall()


def _remove(folder: Path, chosen: Callable[[Path], bool]) -> None:
    """Remove the chosen ones of the files that SQLite would open."""
    for beside in BESIDE:
        path = folder / f"{FILE}{beside}"
        try:
            if chosen(path):
                path.unlink(missing_ok=True)
        except OSError:
            # A folder of that name, say: SQLite will say that it cannot be opened.
            continue


def _is_sound(path: Path) -> bool:
    """Return whether SQLite may be let at a file: it would write through a link, and believe a journal."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return True
    return stat.S_ISREG(found.st_mode) and found.st_size <= MAX_BYTES and not path.name.endswith(BESIDE[-1])


def _is_text(summary: RunSummary) -> bool:
    """Return whether all text of a summary is such: names of files need not be."""
    try:
        "".join(value for value in summary.__dict__.values() if isinstance(value, str)).encode()
    except UnicodeEncodeError:
        return False
    return True
