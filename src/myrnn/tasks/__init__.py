"""Tasks: each draws labelled sequences from a seeded generator.

`Task` defines a task, and `drawn` has the common part of all; `halves` has two with an answer at the end of a sequence,
`steps` three with an answer at every step. So have `groups` (products of a finite group), `arithmetic` (modulo a
number) and `recall` (looking up what came before). `languages` has formal languages, known and user-defined ones.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn.sequences import Sequences
from myrnn.tasks.drawn import NO_ANSWER, answered
from myrnn.tasks.halves import FAMILIES, Palindromes, TwinHalves, generate_sequence, sample_family
from myrnn.tasks.languages.tasks import ContextFree, Dyck, EqualCounts, Flare, Membership, Regular, Tomita
from myrnn.tasks.languages.transduction import DeepMind
from myrnn.tasks.steps import CopyAfterPause, NextCharacter, RunningParity

# isort: split
# Tasks are listed in the order of these imports.
from myrnn.tasks.arithmetic import ModularArithmetic
from myrnn.tasks.groups import GroupWords
from myrnn.tasks.recall import AssociativeRecall, Induction

__all__ = [
    "FAMILIES",
    "NO_ANSWER",
    "AssociativeRecall",
    "ContextFree",
    "CopyAfterPause",
    "DeepMind",
    "Dyck",
    "EqualCounts",
    "Flare",
    "GroupWords",
    "Induction",
    "Membership",
    "ModularArithmetic",
    "NextCharacter",
    "Palindromes",
    "Regular",
    "RunningParity",
    "Task",
    "Tomita",
    "TwinHalves",
    "answered",
    "generate_sequence",
    "recognition_of",
    "sample_family",
    "twice_as_long",
]


@runtime_checkable
class Task(Protocol):
    """Draws labelled sequences.

    A task whose sequences have a target for each step also has ``per_step = True``. Networks are then made with an
    output for each step. With ``predicts_next = True`` these targets are what follows in the sequence: a model that
    reads backward is rejected, and a trained one can continue a sequence. A task that trains more than a class for each
    sequence, and is tested on that class alone, has the task for the test as `recognition`.

    Examples
    --------
    >>> import numpy as np
    >>> from myrnn.tasks import TwinHalves
    >>> task = TwinHalves(pattern_length_max=2)
    >>> isinstance(task, Task), task.dim_input, task.dim_output, task.lengths
    (True, 10, 2, array([2, 4]))
    >>> task.sample_lengths([2, 4], np.random.default_rng(0))
    Sequences(2 of tokens below 10, lengths 2 to 4)
    """

    @property
    def dim_input(self) -> int:
        """C: the number of inputs; for tokens, the size of the alphabet."""
        ...

    @property
    def dim_output(self) -> int:
        """K: the number of classes."""
        ...

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Every length that `sample` draws, ascending, int64."""
        ...

    def sample(self, n: int, rng: np.random.Generator) -> Sequences:
        """Draw `n` labelled sequences."""
        ...

    def sample_lengths(self, lengths: ArrayLike, rng: np.random.Generator) -> Sequences:
        """Draw one sequence for each of the given lengths."""
        ...


def recognition_of(task: Any) -> Any:
    """Return the task for testing a model that was trained on `task`: the same, unless it has several objectives.

    Parameters
    ----------
    task : Task

    Returns
    -------
    Task

    Examples
    --------
    >>> from myrnn.tasks import Regular
    >>> task = Regular("(ab)*", also_next_symbol=0.5)
    >>> task.per_step, recognition_of(task).per_step, recognition_of(task).dim_output
    (True, False, 2)
    """
    found = getattr(task, "recognition", None)
    return task if found is None else found


def twice_as_long(task: Any) -> Any:
    """Return the task with sequences up to twice as long, for tests of a run; or the task itself if it has none.

    Parameters
    ----------
    task : Task

    Returns
    -------
    Task

    Examples
    --------
    >>> from myrnn.tasks import TwinHalves
    >>> twice_as_long(TwinHalves(pattern_length_max=4)).lengths
    array([ 2,  4,  6,  8, 10, 12, 14, 16])
    """
    longer = getattr(task, "twice_as_long", None)
    return longer() if callable(longer) else task
