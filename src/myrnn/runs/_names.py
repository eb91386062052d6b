"""What several runs are called beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from myrnn.errors import InvalidArgument


def run_names(runs: Sequence[Path]) -> list[str]:
    """Return a name for each run: its folder's own, with as many of the folders above as tell it from the others.

    Raises
    ------
    InvalidArgument
        When a folder is given twice.
    """
    places = [run.resolve() for run in runs]
    for place, run in zip(places, runs, strict=True):
        if places.count(place) > 1:
            raise InvalidArgument(f"{run} is given twice")
    depth = 1
    while True:
        names = ["/".join(place.parts[-depth:]) for place in places]
        if len(set(names)) == len(names):
            return names
        depth += 1
