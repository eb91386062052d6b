"""What a task is, and the tasks by name."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.sequences import Sequences
from myrnn.tasks._halves import Palindromes, TwinHalves


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


TASKS: dict[str, type[TwinHalves] | type[Palindromes]] = {task.name: task for task in (TwinHalves, Palindromes)}


def make_task(name: str, **settings: Any) -> TwinHalves | Palindromes:
    """Return the task called `name` (``"twin-halves"`` or ``"palindromes"``) with the given settings."""
    kind = TASKS[_checks.one_of("task", name, tuple(TASKS))]
    for setting in settings:
        _checks.check_setting(f"task {name}", setting, ("name", *(field.name for field in fields(kind))))
    return kind(**settings)
