"""With which versions runs are done: a worker of a cluster may have others than the process that asks it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from myrnn._user_code import warn
from myrnn.runs import made_with, printable
from myrnn.sweeps._run import Record


class Versions:
    """Tells records of workers that have other versions than this process."""

    def __init__(self) -> None:
        self._here = made_with()["versions"]
        self._told: list[Any] = [self._here]

    def noted(self, record: Record) -> Record:
        """Return a record with its versions only where they are others than here, of which a warning tells, once."""
        there = record.get("versions", self._here)
        if there not in self._told:
            self._told.append(there)
            warn(
                f"{record['worker']} has {told_versions(there)}, and this process {told_versions(self._here)}: "
                "its runs may differ in their last digits from those of others"
            )
        return {name: value for name, value in record.items() if name != "versions" or value != self._here}


def told_versions(versions: Any) -> str:
    """Return versions by name in a line, as an index or a record has them."""
    if not isinstance(versions, Mapping):
        return "versions that are not known"
    return printable(", ".join(f"{name} {version}" for name, version in versions.items()))
