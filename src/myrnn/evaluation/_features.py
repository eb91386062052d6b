"""What the shortcuts see of a sequence, each as one number a sequence that tells what it sees apart.

A shortcut is a chain of such numbers, each finer than the one before: what a coarser one says stands in where a finer
one was seen too seldom. All know the length.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from myrnn.sequences import Sequences

Codes = NDArray[np.uint64]


def lengths_of(sequences: Sequences) -> Codes:
    """Return the length of every sequence."""
    return sequences.lengths.astype(np.uint64)


def symbol_at(sequences: Sequences, place: int) -> NDArray[np.int64]:
    """Return the symbol at a place, counted from the end where negative; -1 where the sequence has none there."""
    lengths = sequences.lengths
    there = lengths > place if place >= 0 else lengths >= -place
    index = (sequences.offsets[:-1] if place >= 0 else sequences.offsets[1:]) + place
    symbols = np.full(len(sequences), -1, dtype=np.int64)
    symbols[there] = sequences.values[index[there]]
    return symbols


def ends(sequences: Sequences) -> list[Codes]:
    """Return whether the first and the last symbol are equal, and which they are."""
    first, last = symbol_at(sequences, 0), symbol_at(sequences, -1)
    length = lengths_of(sequences)
    same = joined(length, first == last)
    return [length, same, joined(length, first, last)]


def one_place(sequences: Sequences, place: int) -> list[Codes]:
    """Return the symbol at one place."""
    length = lengths_of(sequences)
    return [length, joined(length, symbol_at(sequences, place))]


def evenness(sequences: Sequences, marks: Codes) -> list[Codes]:
    """Return whether all symbols can be put into pairs of equal ones, but for one symbol of an odd length.

    In other words: whether every symbol's count is even. Equal marks cancel, so that of all symbols in pairs nothing
    is left.
    """
    length = lengths_of(sequences)
    left = _summed(marks[sequences.values], sequences.offsets, np.bitwise_xor)
    return [length, joined(length, np.where(length % 2 == 0, left == 0, np.isin(left, marks)))]


def counts(sequences: Sequences, marks: Codes) -> list[Codes]:
    """Return how often each symbol occurs: whether all counts are even, and the counts themselves.

    Counts are told apart by the sum of the symbols' marks.
    """
    total = _summed(marks[sequences.values], sequences.offsets, np.add)
    coarser = evenness(sequences, marks)
    # The length is joined for the sake of those symbols whose marks might add up to the same.
    return [*coarser, joined(coarser[-1], total)]


def marks_of(alphabet_size: int) -> Codes:
    """Return a random 64-bit number for each symbol; two sums of them agree by chance once in about 10^19 times."""
    return np.random.default_rng(0).integers(0, 2**64, alphabet_size, dtype=np.uint64)


def joined(*parts: NDArray[np.generic]) -> Codes:
    """Return one number for what the parts say together."""
    code = np.zeros(len(parts[0]), dtype=np.uint64)
    for part in parts:
        _, place = np.unique(part, return_inverse=True)
        code = code * np.uint64(place.max(initial=0) + 1) + place.astype(np.uint64)
    return code


def places(longest: int) -> Sequence[int]:
    """Return all places of sequences up to a length: from the beginning, and from the end."""
    return (*range(longest), *range(-longest, 0))


def _summed(values: Codes, offsets: NDArray[np.int64], operation: np.ufunc) -> Codes:
    """Return each sequence's sum, or what stands for one, of a group's operation that undoes itself or wraps round."""
    running = np.concatenate((np.zeros(1, dtype=np.uint64), operation.accumulate(values, dtype=np.uint64)))
    begin, end = running[offsets[:-1]], running[offsets[1:]]
    return end - begin if operation is np.add else end ^ begin
