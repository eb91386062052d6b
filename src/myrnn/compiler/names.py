"""Names in a program: the functions that it calls, and unique identifiers for buffers, sizes and variables."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable

from myrnn.compiler.ops import OPERATIONS


def _called_by(*kinds: str) -> set[str]:
    """Return the functions in the code of operations."""
    rows = (row for row in OPERATIONS.values() if row.kind in kinds)
    return {name for row in rows for name in re.findall(r"[a-z]\w*", row.numba)}


_LANES = ("full", "keep", "load", "spread", "store", "where")
_MOVES = ("copy", "copy_matrix", "go_on", "hand_on", "line_up", "multiply_plain", "one_hot", "read_table")

# Names that a program calls, and must not redefine.
OF_PROGRAMS = {
    "draws": ("draw_dropout", "draw_dropouts", "draw_noise", "draw_noises"),
    "elementary": tuple(sorted(_called_by("map").difference(_LANES))),
    "functions": ("Floats", "Integers", "Tokens"),
    "lanes": _LANES,
    "moves": tuple(sorted(_called_by("move", "reduce").union(_MOVES))),
    "products": ("add_dots", "cross_entropy", "fill", "multiply", "multiply_row", "transpose"),
    "scores": ("largest", "class_right", "share_right", "squared_error"),
    "threads": ("flush_subnormals", "restore_mode"),
}

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
