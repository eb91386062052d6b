"""What emitted code calls: its functions, by the module that has them, and the texts of these modules."""

from __future__ import annotations

import re
from pathlib import Path

# What a program calls. No name of its own may hide one of them.
OF_PROGRAMS = {
    "_elementary": (
        "above", "absolute", "cos", "exp", "expm1", "log", "log1p", "maximum", "minimum", "power", "relu", "sigmoid",
        "sin", "softplus", "sqrt", "tanh", "where",
    ),
    "_kernels": ("add_dots", "cross_entropy", "fill", "multiply", "multiply_row", "sum_rows", "transpose"),
    "_lanes": ("full", "keep", "load", "spread", "store"),
    "_moves": (
        "add_packed", "copy_rows", "line_up", "line_up_rows", "line_up_tokens", "multiply_plain", "one_hot_rows",
        "pack", "put", "softmax_axis", "spread_out", "sum_axis", "take", "unpack",
    ),
    "_subnormals": ("flush_subnormals", "restore_mode"),
}  # fmt: skip
# What only the functions around it call.
AROUND_PROGRAMS = {
    "_barrier": ("meet",),
    "_lookups": ("adam_factors", "catch_up", "list_tokens", "square_of_listed", "step_listed", "sum_listed"),
    "_updates": ("clip_factor", "scale", "sum_shards", "update"),
}
RUNTIME = dict(sorted((OF_PROGRAMS | AROUND_PROGRAMS).items()))


def runtime_texts() -> list[str]:
    """Return the texts of the modules that emitted code calls, and of all that these import from the compiler."""
    texts: dict[str, str] = {}
    waiting = list(RUNTIME)
    while waiting:
        name = waiting.pop()
        if name not in texts:
            texts[name] = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
            waiting += re.findall(r"^from myrnn\.compiler\.(\w+) import", texts[name], re.MULTILINE)
    return [texts[name] for name in sorted(texts)]
