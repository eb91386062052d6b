"""Rows of many sequences, one after the other in one array, and the offsets that say where each sequence begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument


class Flat:
    """Sequences, one after the other in flat arrays: sequence ``i`` is from ``offsets[i]`` to ``offsets[i + 1]``."""

    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of sequences, N."""
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """T of every sequence, int64 (N,); read-only."""
        lengths = np.diff(self.offsets)
        lengths.flags.writeable = False
        return lengths

    @property
    def owners(self) -> NDArray[np.int64]:
        """The index of the sequence that each row belongs to, int64 (sum of T,)."""
        return owners_of(self.lengths)


def offsets_of(lengths: ArrayLike) -> NDArray[np.int64]:
    """Return the start of each sequence in a flat array, and the end of the last one, int64 (N + 1,)."""
    return np.concatenate(([0], np.cumsum(np.asarray(lengths, dtype=np.int64))))


def sums(values: NDArray[Any], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the sum of each sequence of integers or truth values, int64 (N,)."""
    return np.diff(offsets_of(values)[offsets])


def checked_offsets(given: ArrayLike, total: int) -> NDArray[np.int64]:
    """Return the starts of sequences in a flat array of `total` values, int64 (N + 1,)."""
    # Convert to int64 before comparing: differences of unsigned integers are never negative.
    offsets = _checks.integers("offsets", given, minimum=0, maximum=total).astype(np.int64)
    if not len(offsets) or offsets[0] != 0 or offsets[-1] != total or np.any(np.diff(offsets) < 0):
        raise InvalidArgument(f"offsets must rise from 0 to the number of values, {total}")
    return offsets


def ramp(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 0 .. counts[0] - 1, 0 .. counts[1] - 1 and so on, one after the other."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)


def places_from(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return this many consecutive indices from each start: 2 from 5 and 1 from 9 are 5 6 9."""
    return np.repeat(starts, counts) + ramp(counts)


def places_of(chosen: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the indices of all rows of some sequences."""
    return places_from(offsets[chosen], np.diff(offsets)[chosen])


def owners_of(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the index of the sequence that each row belongs to, int64 (sum of T,)."""
    return np.repeat(np.arange(len(lengths)), lengths)


def owners_within(rows: slice, offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the index of the sequence that each of some consecutive rows belongs to, int64."""
    first, last = np.searchsorted(offsets, [rows.start, rows.stop - 1], side="right") - 1
    bounds = np.clip(offsets[first : last + 2], rows.start, rows.stop)
    return np.repeat(np.arange(first, last + 1), np.diff(bounds))


def place_of(row: int, offsets: NDArray[np.int64]) -> tuple[int, int]:
    """Return the sequence that a row belongs to, and the index of the row in it."""
    sequence = int(np.searchsorted(offsets, row, side="right")) - 1
    return sequence, row - int(offsets[sequence])


def steps_of(index: Any, offsets: NDArray[np.int64]) -> slice:
    """Return the slice of one sequence's steps in a flat array; raises IndexError if there is no such sequence."""
    count = len(offsets) - 1
    place = _checks.integer("index", index)
    if not -count <= place < count:
        raise IndexError(f"there is no sequence {place}: there are {count}")
    return slice(offsets[place % count], offsets[place % count + 1])


Selection = slice | NDArray[np.int64]


def selected(indices: Any, offsets: NDArray[np.int64]) -> tuple[Selection, NDArray[np.int64], Selection]:
    """Return the selected sequences, their new offsets, and the indices of their steps, slices if consecutive."""
    count = len(offsets) - 1
    try:
        chosen = np.arange(count)[indices]
    except (IndexError, TypeError, ValueError):
        chosen = None
    if chosen is None or chosen.ndim != 1:
        raise InvalidArgument(
            f"indices must be integers, a mask or a slice that fits {_checks.count_of(count, 'sequence')}, "
            f"not {_checks.shown(indices)}"
        )
    lengths = offsets_of(np.diff(offsets)[chosen])
    if len(chosen) and np.all(np.diff(chosen) == 1):
        first, end = int(chosen[0]), int(chosen[-1]) + 1
        return slice(first, end), lengths, slice(int(offsets[first]), int(offsets[end]))
    return chosen, lengths, places_of(chosen, offsets)


def groups(lengths: NDArray[np.int64], steps: int, left_out: Iterable[int] = ()) -> Iterator[slice]:
    """Yield groups of consecutive sequences of at most this many steps, or of one; some sequences are left out."""
    ends = np.cumsum(lengths)
    for before, end in pairwise([-1, *left_out, len(lengths)]):
        begin = before + 1
        while begin < end:
            most = steps + (ends[begin - 1] if begin else 0)
            after = min(end, max(begin + 1, int(np.searchsorted(ends, most, side="right"))))
            yield slice(begin, after)
            begin = after


def blocks(begin: int, end: int, most: int) -> Iterator[slice]:
    """Yield slices of at most `most` rows, from `begin` to `end`: temporary arrays are often several times as large."""
    return (slice(start, min(start + most, end)) for start in range(begin, end, most))
