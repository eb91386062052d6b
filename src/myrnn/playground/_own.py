"""A class of the person's own, named on the command line."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from myrnn.errors import InvalidArgument


@dataclass(frozen=True)
class OwnModel:
    """A model class and where it stands.

    Attributes
    ----------
    make : class
        Called with C, D and K, and with ``rng`` where it takes that.
    name, file : str
    """

    make: Callable[..., Any]
    name: str
    file: str


def load_own(place: str) -> OwnModel:
    """Run a file and return its class; `place` is ``"my_file.py:MyClass"``.

    Raises
    ------
    InvalidArgument
        When there is no such file or class, or the file fails.
    """
    file, colon, name = place.rpartition(":")
    if not colon or not name.isidentifier() or not file.endswith(".py"):
        raise InvalidArgument(f"--model must be a file and a class, such as my_file.py:MyClass, not {place!r}")
    path = Path(file)
    if not path.is_file():
        raise InvalidArgument(f"--model: there is no file {file}")
    try:
        found = runpy.run_path(str(path))
    except Exception as error:
        raise InvalidArgument(f"--model: {file} fails: {type(error).__name__}: {error}") from error
    make = found.get(name)
    if not isinstance(make, type):
        classes = ", ".join(n for n, v in found.items() if isinstance(v, type) and v.__module__ == "<run_path>")
        has = f"; it has {classes}" if classes else ""
        raise InvalidArgument(f"--model: {file} has no class {name}{has}")
    return OwnModel(make, name, str(path.resolve()))
