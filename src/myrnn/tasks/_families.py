"""Sequences that try a network: like those that it learned from, longer ones, near misses, those of the other task."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from myrnn import _checks
from myrnn.sequences import Sequences
from myrnn.tasks._halves import LONGEST_HALF, Palindromes, TwinHalves

FAMILIES = ("trained", "longer", "near", "other")


def twice_as_long(task: TwinHalves | Palindromes) -> TwinHalves | Palindromes:
    """Return the task with sequences up to twice as long, as far as it can have them, which a run is tested on."""
    return replace(task, pattern_length_max=min(2 * task.pattern_length_max, LONGEST_HALF))


def sample_family(task: TwinHalves | Palindromes, family: str, n: int, rng: np.random.Generator) -> Sequences:
    """Draw sequences of a family, labelled with the truth of the task.

    Parameters
    ----------
    task : TwinHalves or Palindromes
        What a network has learned.
    family : {"trained", "longer", "near", "other"}
        What the task draws; what lies beyond its lengths, up to twice as long; matches with one symbol changed or none;
        what the other of the two tasks draws, at the same halves: a palindrome has the symbols of twin halves in
        another order.
    n : int
    rng : numpy.random.Generator

    Examples
    --------
    >>> drawn = sample_family(TwinHalves(pattern_length_max=4), "longer", 1000, np.random.default_rng(0))
    >>> drawn
    Sequences(1,000 of tokens below 10, lengths 10 to 16)
    """
    _checks.one_of("family", family, FAMILIES)
    count, source = _checks.integer("n", n, minimum=0), _checks.generator("rng", rng)
    if family == "longer":
        lengths = twice_as_long(task).lengths
        beyond = lengths[lengths > task.lengths[-1]]
        return task.sample_lengths(source.choice(beyond, count), source)
    if family == "near":
        return replace(task, negatives="near_miss", max_changes=1).sample(count, source)
    if family == "other":
        kind = Palindromes if isinstance(task, TwinHalves) else TwinHalves
        other = kind(task.pattern_length_min, task.pattern_length_max, task.alphabet_size)
        drawn = other.sample(count, source)
        return Sequences(drawn.values, drawn.offsets, task.truth(drawn), task.alphabet_size)
    return task.sample(count, source)
