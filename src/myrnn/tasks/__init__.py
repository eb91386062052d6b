"""Tasks: each draws labelled sequences from a seeded generator.

`Task` says what a task is; `halves` has the two that come with the library.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn.sequences import Sequences
from myrnn.tasks.halves import FAMILIES, Palindromes, TwinHalves, generate_sequence, sample_family, twice_as_long

__all__ = [
    "FAMILIES",
    "Palindromes",
    "Task",
    "TwinHalves",
    "generate_sequence",
    "sample_family",
    "twice_as_long",
]


@runtime_checkable
class Task(Protocol):
    """Draws labelled sequences."""

    @property
    def dim_input(self) -> int:
        """C: the number of inputs, for tokens the size of the alphabet."""
        ...

    @property
    def dim_output(self) -> int:
        """K: the number of classes."""
        ...

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Every length that `sample` draws, rising, int64."""
        ...

    def sample(self, n: int, rng: np.random.Generator) -> Sequences:
        """Draw `n` labelled sequences."""
        ...

    def sample_lengths(self, lengths: ArrayLike, rng: np.random.Generator) -> Sequences:
        """Draw one sequence for each of the given lengths."""
        ...
