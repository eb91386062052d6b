"""Names of buffers, sizes and variables in a program: unique identifiers."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable

from myrnn.compiler.runtime import OF_PROGRAMS

# Names that the emitted code uses itself, besides the functions that it calls.
_OWN = (
    "p g m v w t r j s n k x np row rows steps total begin label labels targets learn loss one_loss score best "
    "share mode streams carried keys weight weights place class_weights member tokens features offsets members "
    "sequences sizes tables start lined active begun after length source range len int float bool tuple done left"
).split()
_TAKEN = frozenset(_OWN).union(*OF_PROGRAMS.values())


class Names:
    """Gives every object a unique name that is a valid identifier."""

    def __init__(self, used: Iterable[str] = ()) -> None:
        self.used = {*_TAKEN, *used}

    def new(self, wanted: str) -> str:
        """Return `wanted`, made into an identifier, with a number appended if the name is in use."""
        stem = re.sub(r"\W+", "_", wanted).strip("_") or "value"
        if stem[0].isdigit() or keyword.iskeyword(stem):
            stem = f"v_{stem}"
        name, count = stem, 1
        while name in self.used:
            count += 1
            name = f"{stem}_{count}"
        self.used.add(name)
        return name
