"""Runs that a command is given, and the user-defined class that goes with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from myrnn.errors import InvalidArgument, RunError
from myrnn.models import load_own
from myrnn.runs import Run, holds_own, load_run


def load(folder: Path, own: str | None) -> Run:
    """Read a run; `own` is where the class of its model stands, such as ``"my_file.py:MyClass"``."""
    return load_run(folder, None if own is None else load_own(own).make)


def check_on_task(run: Run) -> None:
    """Refuse a run on data."""
    if run.task is None:
        raise RunError(
            f"{run.folder} was trained on data, not on a task that draws sequences: "
            f"myrnn predict {run.folder} --data FILE says the classes of others"
        )


def load_all(folders: Sequence[Path], own: str | None) -> list[Run]:
    """Read several runs, of which those with a user-defined model are given the class."""
    if own is None:
        return [load_run(folder) for folder in folders]
    make, whose = load_own(own).make, [holds_own(folder) for folder in folders]
    if not any(whose):
        raise InvalidArgument("--model is for runs with a model of your own class: none of these has one")
    return [load_run(folder, make if theirs else None) for folder, theirs in zip(folders, whose, strict=True)]
