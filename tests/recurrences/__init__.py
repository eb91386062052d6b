"""Recurrent models as experienced people write them, each from a source that it names.

`ALL` has every model, as a `Recurrence`: simple and gated cells, dynamical systems, linear recurrences, memories, deep
cells, several passes over the sequence, all states read out, time, first steps that differ, manners of writing, and
logits for every step. `randomly` draws more of them.
`python -m recurrences` says how many compile, and what the others are refused for.
"""

from . import (  # noqa: F401
    beginnings,
    buffers,
    clocks,
    deep,
    directions,
    dynamics,
    gated,
    linear,
    lstm,
    memory,
    passes,
    pooling,
    simple,
    steps,
    writing,
)
from .registry import ALL, C, D, K, Recurrence

__all__ = ["ALL", "C", "D", "K", "Recurrence"]
