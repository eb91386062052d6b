"""What emitted code calls, each file building on those before it.

- `functions`: how machine code is made once for all programs, and how it is called
- `lanes`: sixteen numbers side by side, to load, to store and to compute with
- `elementary`: functions of lanes
- `products`: matrix products, and softmax cross-entropy
- `scores`: how good outputs are, beside their loss
- `draws`: random numbers
- `moves`: moving numbers, sums over features, and bringing sequences side by side
- `threads`: the floating-point mode of a thread, and the barrier where the threads of a batch meet
- `updates`: the optimizers' steps
- `lookups`: the same for weights of which a step reads only the rows of its tokens
- `training`: what calls programs: training, and logits
- `generation`: sequences that a model writes
"""

from __future__ import annotations

from pathlib import Path

# What a program calls. No name of its own may hide one of them.
OF_PROGRAMS = {
    "draws": ("draw_dropout", "draw_dropouts", "draw_noise", "draw_noises"),
    "elementary": (
        "above", "absolute", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "cbrt", "cos",
        "exp", "expm1", "floor", "log", "log1p", "logaddexp", "maximum", "minimum", "power", "relu", "rint", "same",
        "sigmoid", "sin", "sinc", "sqrt", "tanh",
    ),
    "functions": ("Floats", "Integers", "Tokens"),
    "lanes": ("full", "keep", "load", "spread", "store", "where"),
    "moves": (
        "copy", "copy_matrix", "go_on", "hand_on", "line_up", "log_softmax_axis", "multiply_plain",
        "one_hot", "put", "softmax_axis", "spread_out", "sum_axis", "take",
    ),
    "products": ("add_dots", "cross_entropy", "fill", "multiply", "multiply_row", "transpose"),
    "scores": ("largest", "class_right", "share_right", "squared_error"),
    "threads": ("flush_subnormals", "restore_mode"),
}  # fmt: skip


def runtime_texts() -> list[str]:
    """Return the texts of all these modules."""
    return [path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.py"))]
