"""Functions that emitted code calls; each file builds on those before it.

- `functions`: how machine code is compiled once for all programs, and called
- `lanes`: loads, stores and arithmetic of sixteen numbers at once
- `elementary`: functions of lanes
- `products`: matrix products, and softmax cross-entropy
- `scores`: scores of outputs, besides their loss
- `draws`: random numbers
- `moves`: moving numbers, sums over features, and aligning sequences
- `threads`: the floating-point mode of a thread, and the barrier for the threads of a batch
- `updates`: the optimizers' steps
- `lookups`: the same for weights of which a step only reads the rows of its tokens
- `training`: the callers of programs: training, and logits
- `generation`: sequences that a model generates
"""

from __future__ import annotations

import re
from pathlib import Path

from myrnn.compiler.ops import OPERATIONS


def _called_by(*kinds: str) -> set[str]:
    """Return the functions in the code of operations."""
    rows = (row for row in OPERATIONS.values() if row.kind in kinds)
    return {name for row in rows for name in re.findall(r"[a-z]\w*", row.numba)}


_LANES = ("full", "keep", "load", "spread", "store", "where")
_MOVES = ("copy", "copy_matrix", "go_on", "hand_on", "line_up", "multiply_plain", "one_hot")

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


def runtime_texts() -> list[str]:
    """Return the texts of all these modules."""
    return [path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.py"))]
