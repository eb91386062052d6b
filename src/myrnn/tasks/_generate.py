"""The lesson's own generator: one digit sequence, one-hot encoded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.tasks._halves import Palindromes, TwinHalves


def generate_sequence(
    pattern_length_min: int = 1,
    pattern_length_max: int = 10,
    palindrome: bool = False,
    rng: np.random.Generator | int | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int16], NDArray[np.int64]]:
    """Draw one sequence of digits whose second half matches its first with probability one half.

    Parameters
    ----------
    pattern_length_min, pattern_length_max : int
        The shortest and longest half; every length between is equally likely.
    palindrome : bool
        Whether a match is the first half backwards instead of the first half again.
    rng : numpy.random.Generator, int or None
        Where the randomness comes from: a generator, a seed, or None for a fresh one.

    Returns
    -------
    x : ndarray, float32 (T, 10)
        The digits, one-hot encoded.
    y : ndarray, int16 (1,)
        1 if the second half matches, else 0. It is always the truth.
    sequence : ndarray, int64 (T,)
        The digits.

    Raises
    ------
    InvalidArgument
        When a length is not a positive integer or the shortest exceeds the longest.
    """
    task = (Palindromes if palindrome else TwinHalves)(pattern_length_min, pattern_length_max)
    drawn = task.sample(1, _checks.generator("rng", rng))
    x, y = drawn[0]
    return x, y, drawn.tokens(0)
