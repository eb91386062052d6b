"""What a task is, and the tasks by name."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn.sequences import Sequences


@runtime_checkable
class Task(Protocol):
    """Draws labelled sequences.

    Attributes
    ----------
    dim_input : int
        C: the number of inputs, for tokens the size of the alphabet.
    dim_output : int
        K: the number of classes.
    lengths : ndarray of int
        Every length that `sample` draws, rising.
    """

    @property
    def dim_input(self) -> int: ...
    @property
    def dim_output(self) -> int: ...
    @property
    def lengths(self) -> NDArray[np.int64]: ...

    def sample(self, n: int, rng: np.random.Generator) -> Sequences:
        """Draw `n` labelled sequences."""
        ...

    def sample_lengths(self, lengths: ArrayLike, rng: np.random.Generator) -> Sequences:
        """Draw one sequence for each of the given lengths."""
        ...
