"""Functions that emitted code calls; each file builds on those before it.

- `functions`: how machine code is compiled once for all programs, and called
- `lanes`: loads, stores and arithmetic of sixteen numbers at once
- `elementary`: functions of lanes
- `products`: matrix products, and softmax cross-entropy
- `scores`: scores of outputs, besides their loss
- `draws`: random numbers
- `strips`: code for matrices of any width without padding
- `plain`: their products, sums and softmax
- `moves`: moving numbers, and aligning sequences
- `threads`: the floating-point mode of a thread, and the barrier for the threads of a batch
- `updates`: the optimizers' steps
- `lookups`: the same for weights of which a step only reads the rows of its tokens
- `training`: the callers of programs: training, and logits
- `generation`: sequences that a model generates
"""

from __future__ import annotations

from pathlib import Path

LANES = 16
"""The number of lanes. Flat buffers are padded to multiples of it."""


def runtime_texts() -> list[str]:
    """Return the texts of all these modules."""
    return [path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.py"))]
