"""The data of a run as a task whose sequences are not generated but drawn from the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn.errors import InvalidArgument, MyRNNError
from myrnn.runs import Run
from myrnn.sequences import Sequences, offsets_of, ramp

# For data; there is one more symbol, for all unknown ones.
MOST_SYMBOLS = 10
# For a task: an address writes each symbol of a sequence as a digit or a letter.
MOST_OF_TASK = 36


@dataclass(frozen=True, eq=False)
class DataTask:
    """A task with given sequences."""

    name: str  # the name of the data
    sequences: Sequences  # tokens, each sequence with at least one step
    class_names: tuple[str, ...]
    symbol_names: tuple[str, ...]
    missing: str = ""  # why there are no sequences, or empty
    test: DataTask | None = None  # the test sequences

    @property
    def dim_input(self) -> int:
        """C: the number of symbols."""
        return len(self.symbol_names)

    @property
    def dim_output(self) -> int:
        """K: the number of classes."""
        return len(self.class_names)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """The lengths that occur, int64 (L,), ascending."""
        return np.unique(self.sequences.lengths)

    def check_there(self) -> None:
        """Raise InvalidArgument if there are no sequences."""
        if self.missing:
            raise InvalidArgument(self.missing)

    def sample(self, n: int, rng: np.random.Generator) -> Sequences:
        """Return `n` random sequences, drawn with replacement."""
        self.check_there()
        return self.sequences.select(rng.integers(len(self.sequences), size=n))

    def sample_lengths(self, lengths: ArrayLike, rng: np.random.Generator) -> Sequences:
        """Return a sequence of each of the given lengths."""
        self.check_there()
        wanted = np.asarray(lengths, dtype=np.int64)
        first, after = (np.searchsorted(self._sorted, wanted, side) for side in ("left", "right"))
        return self.sequences.select(self._order[rng.integers(first, after)])

    def some(self, most: int, rng: np.random.Generator) -> Sequences:
        """Return at most `most` different sequences."""
        self.check_there()
        return self.sequences.select(rng.permutation(len(self.sequences))[:most])

    def part(self, each: int, part: int) -> Sequences:
        """Return the next `each` sequences of every length after those of earlier parts; at last none."""
        self.check_there()
        rank = ramp(np.unique(self._sorted, return_counts=True)[1])
        return self.sequences.select(self._order[rank // each == part])

    def like(self, label: int, length: int, rng: np.random.Generator) -> Sequences:
        """Return one sequence of a class, with a length as close as possible."""
        self.check_there()
        of_class = np.flatnonzero(self.sequences.labels == label)
        if not len(of_class):
            raise InvalidArgument(f"{self.name} holds no sequence of the class {self.class_names[label]!r}")
        away = np.abs(self.sequences.lengths[of_class] - length)
        return self.sequences.select(rng.choice(of_class[away == away.min()], 1))

    def class_of(self, tokens: Sequence[int]) -> int | None:
        """Return the class of a sequence of these or of the test, None for others."""
        same = np.flatnonzero(self.sequences.lengths == len(tokens))
        steps = self.sequences.offsets[same][:, np.newaxis] + np.arange(len(tokens))
        found = same[(self.sequences.values[steps] == tokens).all(axis=1)]
        if len(found):
            return int(self.sequences.labels[found[0]])
        return None if self.test is None else self.test.class_of(tokens)

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        """The sequences by length."""
        return np.argsort(self.sequences.lengths, kind="stable")

    @cached_property
    def _sorted(self) -> NDArray[np.int64]:
        return self.sequences.lengths[self._order]


def data_of(run: Run) -> DataTask:
    """Return the data of a run on data, even if its files are missing; InvalidArgument if the page cannot show them."""
    fitted = run.fitted
    assert fitted is not None
    symbols, wanted = fitted.symbol_names, "the playground opens runs on data of two classes and at most"
    if symbols is None:
        raise InvalidArgument(f"{wanted} {MOST_SYMBOLS} symbols, and this one reads numbers")
    if len(symbols) > MOST_SYMBOLS + 1:
        raise InvalidArgument(f"{wanted} {MOST_SYMBOLS} symbols, and this one reads {len(symbols) - 1:,}")
    if fitted.dim_output != 2:
        raise InvalidArgument(f"{wanted} {MOST_SYMBOLS} symbols, and this one has {fitted.dim_output:,} classes")
    names = (fitted.class_names, symbols)
    data, none = run.experiment.data, Sequences([], [0], [], len(symbols))
    tested, reason = _read(run, none) if run.experiment.evaluation.test else (none, "the run was given none")
    test = DataTask("the test", tested, *names, f"there are no test sequences: {reason}" if reason else "")
    if data.file is None:
        name, (learned, reason) = "sequences in memory", (none, "its sequences were not kept")
    else:
        name, (learned, reason) = Path(data.file).name, _read(run, none, data.file, data.labels)
    return DataTask(name, learned, *names, reason, test)


def _read(run: Run, none: Sequences, *file: str | None) -> tuple[Sequences, str]:
    """Return the sequences of a file, by default of all tests; if there are none, also the reason."""
    try:
        found = list(run.tests(*file).values())
    except MyRNNError as error:
        return none, str(error)
    values, labels = (np.concatenate([getattr(one, name) for one in found]) for name in ("values", "labels"))
    lengths = np.concatenate([one.lengths for one in found])
    joined = Sequences(values, offsets_of(lengths), labels, none.dim_input)
    return joined.select(lengths > 0), "" if lengths.any() else "every sequence is empty"
