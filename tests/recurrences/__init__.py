"""Recurrent models as experienced people write them, each with its source.

`ALL` has every model, as a `Recurrence`: simple and gated cells, dynamical systems, linear recurrences, memories, deep
cells, several passes over the sequence, readouts of all states, time, first steps that differ, steps that take turns,
gradients that stop, styles of writing, and logits for every step. `randomly` draws more of them.
`python -m recurrences` prints how many compile, and why the others are refused.
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
    stopped,
    turns,
    writing,
)
from .registry import ALL, C, D, K, Recurrence

__all__ = ["ALL", "C", "D", "K", "Recurrence"]
