"""How many test sequences are also in the training data, and whether these are more than by chance."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from myrnn.data.symbols import RawSequences, TokenSequences

# The least share above chance that is worth a warning, and how many standard errors it must be.
LEAST, ERRORS = 0.01, 3.0
LINE_END = "\n"


@dataclass(frozen=True)
class Overlap:
    """The share of test sequences that are in the training data, and of training sequences that are there twice."""

    share: float
    repeated: float
    # The standard error of the difference of the two, if test and training are drawn alike.
    error: float

    @property
    def is_large(self) -> bool:
        """Whether more test sequences are in the training data than chance explains."""
        # A new sequence is as likely to be in the training data as one of them is to be there twice, which is often so
        # if they are short and have few symbols.
        return self.share - self.repeated > max(LEAST, ERRORS * self.error)


class TrainingSequences:
    """The sequences of a training, by their hashes."""

    def __init__(self, raw: RawSequences) -> None:
        self._raw = raw
        self._count = Counter(_hashes(_steps_of(raw, raw), _ends_of(raw)))

    def overlap(self, test: RawSequences) -> Overlap:
        """Return how many sequences of a test are among them; sequences of another kind are not."""
        ends = _ends_of(test)
        count, total, found = max(len(ends) - 1, 1), max(self._count.total(), 1), 0
        if type(test) is type(self._raw):
            found = sum(key in self._count for key in _hashes(_steps_of(test, self._raw), ends))
        repeated = sum(times for times in self._count.values() if times > 1)
        # Laplace's estimate: without repetitions in a small training, they may still be frequent.
        likely = (repeated + 1) / (total + 2)
        error = math.sqrt(likely * (1 - likely) * (1 / count + 1 / total))
        return Overlap(found / count, repeated / total, error)


def _steps_of(raw: RawSequences, like: RawSequences) -> NDArray[np.generic]:
    """Return the steps of sequences, as those of `like` are: symbols have their codes there, or -1."""
    if not isinstance(raw, TokenSequences):
        return raw.rows.astype(np.float64, copy=False)
    if raw is like or not isinstance(like, TokenSequences):
        return raw.codes
    table = {symbol: code for code, symbol in enumerate(like.symbols)}
    return np.array([table.get(symbol, -1) for symbol in raw.symbols], dtype=np.int32)[raw.codes]


def _ends_of(raw: RawSequences) -> NDArray[np.int64]:
    """Return the end of each sequence; those of characters are compared line by line, since a file may be one text."""
    if not isinstance(raw, TokenSequences) or LINE_END not in raw.symbols:
        return raw.offsets
    return np.union1d(raw.offsets, np.flatnonzero(raw.codes == raw.symbols.index(LINE_END)) + 1)


def _hashes(steps: NDArray[np.generic], offsets: NDArray[np.int64]) -> Iterator[int]:
    """Yield the hash of each sequence."""
    size = steps.itemsize * int(np.prod(steps.shape[1:]))
    content = memoryview(np.ascontiguousarray(steps).reshape(-1).view(np.uint8))
    ends = (offsets * size).tolist()
    for begin, end in pairwise(ends):
        yield hash(content[begin:end].tobytes())
