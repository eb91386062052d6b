"""The runs of a folder, all at a glance."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from rich.table import Table

from myrnn import _checks
from myrnn._tables import ShownAsTable, bare_table, write_csv
from myrnn.errors import RunError
from myrnn.runs._data import CLASSIFIER, CLASSIFIER_FOLDER, DATA_RUN
from myrnn.runs._index import recall, remember
from myrnn.runs._save import INDEX, RUN, UNFINISHED
from myrnn.runs._summary import RunSummary, look_at
from myrnn.storage import LOCK

# The files whose change makes a summary stale, by the index of the kind of run.
WATCHED = {
    INDEX: (INDEX, *RUN.files, UNFINISHED.index),
    DATA_RUN.index: (
        DATA_RUN.index,
        *DATA_RUN.files,
        *(f"{CLASSIFIER_FOLDER}/{name}" for name in (CLASSIFIER.index, *CLASSIFIER.files)),
    ),
}
# A file that was changed this short a time ago, in ns, may change again without a trace: some clocks of file systems
# tick every two seconds.
FRESH = 2_000_000_000
NUMBERS = ("iterations", "loss", "accuracy", "tested")
COLUMNS = ("run", "task", "model", "iterations", "loss", "accuracy", "tested", "made", "")
ORDERS = ("name", "state", "task", "model", "iterations", "loss", "accuracy", "tested", "made")


@dataclass(frozen=True, repr=False)
class RunListing(ShownAsTable, Sequence[RunSummary]):
    """The runs of a folder: a sequence of `RunSummary`, in the order in which they were made.

    Attributes
    ----------
    folder : Path
    runs : tuple of RunSummary
    """

    folder: Path
    runs: tuple[RunSummary, ...]

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self.runs)

    def __getitem__(self, place: Any) -> Any:
        """Return a run, or a listing of several."""
        return RunListing(self.folder, self.runs[place]) if isinstance(place, slice) else self.runs[place]

    def __iter__(self) -> Iterator[RunSummary]:
        """Go through the runs."""
        return iter(self.runs)

    def __repr__(self) -> str:
        """Say how many there are, and how many of them are not whole."""
        partial = sum(run.state != "whole" for run in self.runs)
        return f"RunListing({len(self):,} runs in {self.folder}" + (f", {partial:,} not whole)" if partial else ")")

    def sorted(self, by: str, reverse: bool = False) -> RunListing:
        """Return the same runs in another order. One of which it is not known counts as the worst.

        Parameters
        ----------
        by : str
            One of ``ORDERS``: an attribute of `RunSummary`.
        reverse : bool
            Whether the largest comes first.
        """
        _checks.one_of("by", by, ORDERS)
        known = [run for run in self.runs if getattr(run, by) is not None]
        unknown = tuple(run for run in self.runs if getattr(run, by) is None)
        # Runs alike in this keep the order that they had.
        order = tuple(sorted(known, key=lambda run: getattr(run, by), reverse=reverse))
        unknown_last = reverse != (by == "loss")
        return RunListing(self.folder, order + unknown if unknown_last else unknown + order)

    def rows(self) -> list[dict[str, Any]]:
        """Return one plain record a run: the attributes of `RunSummary`, ``made`` as text."""
        return [run.row() for run in self.runs]

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the rows as CSV."""
        write_csv(self.rows(), path, [field.name for field in fields(RunSummary)])

    def table(self) -> Table:
        """Return the runs as a Rich table."""
        table = bare_table("")
        lines = [cells(run) for run in self.runs]
        for name in COLUMNS if any(line[-1] for line in lines) else COLUMNS[:-1]:
            table.add_column(name, justify="right" if name in NUMBERS else "left")
        for run, line in zip(self.runs, lines, strict=True):
            table.add_row(*line[: len(table.columns)], style=None if run.state == "whole" else "yellow")
        return table


def cells(run: RunSummary) -> tuple[str, ...]:
    """Return a run's line in the table: what a terminal cannot show of a name is spelled out."""
    return (
        printable(run.name),
        run.task or "",
        run.model or "",
        f"{run.epochs:,} ep." if run.iterations is None and run.epochs is not None else _shown(run.iterations, ","),
        _shown(run.loss, ".4f"),
        _shown(run.accuracy, ".1%"),
        _shown(run.tested, ".1%"),
        "" if run.made is None else _date(run.made),
        "" if run.state == "whole" else run.state,
    )


def printable(text: str) -> str:
    """Return a text as it may be shown: what is no letter, digit or sign in it is spelled out, line breaks too."""
    return text if text.isprintable() else repr(text)[1:-1]


def _date(made: float) -> str:
    """Return a time of this year to the minute, one of another to the day."""
    then = time.localtime(made)
    return time.strftime("%b %d %H:%M" if then.tm_year == time.localtime().tm_year else "%Y-%m-%d", then)


def _shown(number: float | None, form: str) -> str:
    return "" if number is None else f"{number:{form}}"


def list_runs(folder: str | os.PathLike[str] = "runs") -> RunListing:
    """Return what is known of every run in a folder.

    An index beside the runs, ``.runs.sqlite``, remembers what their files say, so that only those are read that have
    changed since. It makes itself anew where it is missing, damaged or foreign; where it cannot be written all works
    without it.

    Parameters
    ----------
    folder : path
        Where the folders of runs lie. What else lies there is passed over.

    Raises
    ------
    RunError
        When it is missing, no folder, a run itself, or cannot be read.
    """
    path = Path(folder)
    names = _folders(path)
    known = recall(path)
    begin = time.time_ns()
    found, news = [], {}
    for name in names:
        stamp, newest = _stamp(path / name)
        if stamp is not None and name in known and known[name][0] == stamp:
            found.append(known[name][1])
            continue
        summary = look_at(path / name)
        if summary is not None:
            found.append(summary)
            if stamp is not None and newest < begin - FRESH:
                news[name] = (stamp, summary)
    remember(path, news, known.keys() - {run.name for run in found})
    found.sort(key=lambda run: (run.made or 0, run.name))
    return RunListing(path, tuple(found))


def _folders(path: Path) -> list[str]:
    """Return the names of all folders in a folder."""
    try:
        for index in WATCHED:
            if (path / index).exists():
                raise RunError(f"{path} is a run itself: give the folder that it lies in")
        with os.scandir(path) as entries:
            return [entry.name for entry in entries if entry.is_dir()]
    except FileNotFoundError:
        raise RunError(f"there is no folder {path} with runs in it") from None
    except OSError as error:
        raise RunError(f"cannot read the folder {path}: {error.strerror or error}") from error


def _stamp(folder: Path) -> tuple[str | None, int]:
    """Return what tells whether the files of a run have changed, and when the last of them did, in ns since 1970.

    There is none for a folder without an index, and for one in which a process is at work.
    """
    if os.path.lexists(folder / LOCK):
        return None, 0
    for index, names in WATCHED.items():
        first = _facts(f"{folder}/{index}")
        if first is not None:
            facts = [first, *(_facts(f"{folder}/{name}") for name in names[1:])]
            newest = max(max(fact[:2]) for fact in facts if fact is not None)
            return f"{index} {facts}", newest
    return None, 0


def _facts(path: str) -> tuple[int, int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    # The time of the last change of any kind cannot be set, nor the inode: what was copied here counts as new.
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
