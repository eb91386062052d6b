"""Sequences whose halves hold the same digits in another order, which look like matches to a counter of digits."""

from __future__ import annotations

import numpy as np

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.sequences import Sequences
from myrnn.tasks import Palindromes, TwinHalves


def shuffled_halves(
    task: TwinHalves | Palindromes, samples: int = 20_000, rng: np.random.Generator | int | None = 0
) -> Sequences:
    """Draw matching sequences of a task and shuffle their second halves; those that still match are dropped.

    Parameters
    ----------
    task : TwinHalves or Palindromes
    samples : int
        The number of sequences to draw; about half of them match.
    rng : numpy.random.Generator, int or None
        The source of randomness: a generator, a seed, or None for a fresh one.

    Returns
    -------
    Sequences
        All of class 0.

    Raises
    ------
    InvalidArgument
        When an argument is invalid.

    Examples
    --------
    >>> from myrnn.tasks import TwinHalves
    >>> shuffled = shuffled_halves(TwinHalves(pattern_length_max=3), 100)
    >>> first, second = shuffled.tokens(0).reshape(2, -1)
    >>> sorted(first) == sorted(second), list(first) == list(second)
    (True, False)
    """
    if not isinstance(task, TwinHalves | Palindromes):
        raise InvalidArgument(f"task must be a TwinHalves or Palindromes, not {type(task).__name__}")
    generator = _checks.generator("rng", rng)
    drawn = task.sample(_checks.integer("samples", samples, minimum=1), generator)
    pairs = []
    for index in np.flatnonzero(drawn.labels == 1).tolist():
        tokens = drawn.tokens(index)
        middle = (len(tokens) + 1) // 2
        pairs.append((np.concatenate([tokens[:middle], generator.permutation(tokens[middle:])]), 0))
    shuffled = Sequences.from_pairs(pairs, task.alphabet_size)
    return shuffled.select(task.truth(shuffled) == 0)
