"""The common part of all tasks: bounds of lengths, drawing a number of sequences, or sequences of given lengths."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from msgspec import Meta
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.sequences import LARGEST_INT32, Sequences
from myrnn.settings import check_fields
from myrnn.targets import LARGEST_LABEL

# The value of `truth` at a step without an answer.
NO_ANSWER = -1
# No reasonable task comes near this, or near so many symbols: longer sequences, or halves, would only fill the memory.
LONGEST = 20_000
# The most lengths, or runs of lengths, that a message lists.
MOST_RUNS = 5


def bounded(title: str, description: str, examples: str, least: int = 1, most: int = LONGEST) -> Meta:
    """Return the bounds and the texts of a setting that is a number, with examples such as "1 2 5"."""
    return Meta(ge=least, le=most, title=title, description=description, examples=list(map(int, examples.split())))


_digits = partial(bounded, "Digits", "How many different symbols there are.", "2 3 5 10", 2)
AlphabetSize = Annotated[int, _digits(100_000)]
# Of symbols that are also the classes.
ClassCount = Annotated[int, _digits(LARGEST_LABEL + 1)]


@dataclass(frozen=True)
class DrawnTask(ABC):
    """A task that draws sequences of given lengths."""

    # The settings for the shortest and the longest sequence, or for what their lengths follow from.
    bounds: ClassVar[tuple[str, str]] = ("length_min", "length_max")
    # The most of the latter.
    most: ClassVar[int] = LONGEST

    def __post_init__(self) -> None:
        """Check the settings."""
        check_fields(self)
        (least, low), (most, high) = ((name, getattr(self, name)) for name in self.bounds)
        if low > high:
            raise InvalidArgument(f"{least} must not exceed {most}, but they are {low} and {high}")

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Every length T that the task draws, ascending, int64."""
        every = self._span(*(getattr(self, name) for name in self.bounds))
        found = every[self._possible(every)[0]]
        found.flags.writeable = False
        return found

    def _span(self, low: int, high: int) -> NDArray[np.int64]:
        """Return the lengths, possible or not, for these bounds."""
        return np.arange(low, high + 1)

    @abstractmethod
    def _draw(self, lengths: NDArray[np.int64], rng: np.random.Generator) -> Sequences:
        """Return one sequence of each length."""

    @abstractmethod
    def _possible(self, lengths: NDArray[np.int64]) -> tuple[NDArray[np.bool_], str]:
        """Return which lengths a sequence can have, and a description of these."""

    def twice_as_long(self) -> Self:
        """Return the task with sequences up to twice as long."""
        longest = self.bounds[1]
        return replace(self, **{longest: min(2 * getattr(self, longest), self.most)})

    def sample(self, n: int, rng: np.random.Generator) -> Sequences:
        """Draw `n` sequences with their answers; all lengths are equally likely, and so are the classes of halves."""
        count = _checks.integer("n", n, minimum=0)
        source = _checks.generator("rng", rng)
        return self._draw(source.choice(self.lengths, count), source)

    def sample_lengths(self, lengths: ArrayLike, rng: np.random.Generator) -> Sequences:
        """Draw one sequence for each of the given `lengths`, which may exceed those of the task.

        Parameters
        ----------
        lengths : array_like of int, shape (N,)
            T of every sequence.
        rng : numpy.random.Generator
        """
        wanted = _checks.integers("lengths", lengths, minimum=0, maximum=LARGEST_INT32).astype(np.int64)
        possible, words = self._possible(wanted)
        if len(wrong := wanted[~possible]):
            raise InvalidArgument(f"{type(self).__name__} has no sequence of length {wrong[0]}: lengths are {words}")
        return self._draw(wanted, _checks.generator("rng", rng))


def existing_lengths(task: Any, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the lengths that sequences of a task can have; all of them if none can, or if the task does not say."""
    if not isinstance(task, DrawnTask) or not (possible := task._possible(lengths)[0]).any():
        return lengths
    return lengths[possible]


def named_lengths(lengths: NDArray[np.int64]) -> str:
    """Return ascending lengths in words, such as "lengths 3, 6, 10 to 40"."""
    runs = np.split(lengths, np.flatnonzero(np.diff(lengths) > 1) + 1)
    names = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs if len(run)]
    more = [f"... {names[-1]}"] if len(names) > MOST_RUNS else []
    return f"length{'s' if len(lengths) > 1 else ''} {', '.join([*names[: MOST_RUNS - len(more)], *more]) or 'none'}"


class NamedTask(DrawnTask):
    """A task whose symbols and classes have names."""

    @property
    @abstractmethod
    def symbol_names(self) -> tuple[str, ...]:
        """The names of the C tokens."""

    @property
    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """The names of the K classes."""

    @property
    def dim_input(self) -> int:
        """C: the number of tokens."""
        return len(self.symbol_names)

    @property
    def dim_output(self) -> int:
        """K: the number of classes."""
        return len(self.class_names)


def tokens_of(task: Any, sequences: Sequences) -> NDArray[Any]:
    """Return the tokens of all sequences; raises InvalidArgument unless they are symbols of the task."""
    if not isinstance(sequences, Sequences):
        raise InvalidArgument(f"sequences must be Sequences of tokens, not {_checks.shown(sequences)}")
    if not sequences.is_tokens:
        raise InvalidArgument("sequences must hold tokens, not features")
    values: NDArray[Any] = sequences.values
    if len(values) and values.max() >= task.dim_input:
        raise InvalidArgument(f"sequences must hold tokens below {task.dim_input}, not {values.max()}")
    return values


def answered(task: Any, values: ArrayLike, offsets: NDArray[np.int64]) -> Sequences:
    """Return sequences of tokens with the truth of a task as targets; steps without an answer have weight 0.

    Parameters
    ----------
    task : Task
        With a method ``truth``.
    values : array_like of int (sum of T,)
        The tokens of all N sequences, concatenated.
    offsets : ndarray, int64 (N + 1,)
        The start of each sequence, and the end of the last one.

    Returns
    -------
    Sequences

    Raises
    ------
    InvalidArgument
        When a step has several answers at once.

    Examples
    --------
    >>> import numpy as np
    >>> from myrnn.tasks import RunningParity
    >>> sequences = answered(RunningParity(), [1, 0, 1, 1, 1], np.array([0, 4, 5]))
    >>> sequences
    Sequences(2 of tokens below 2, lengths 1 to 4, a class for each step)
    >>> sequences.targets.tolist()
    [1, 1, 0, 1, 1]
    """
    truth = task.truth(Sequences(values, offsets, np.zeros(len(offsets) - 1, dtype=np.int64), task.dim_input))
    if truth.dtype.kind == "b":
        raise InvalidArgument(
            "each step of the sequence has several right answers, which cannot be shown; evaluate tests them"
        )
    known = truth != NO_ANSWER
    return Sequences(
        values,
        offsets,
        np.maximum(truth, 0),
        task.dim_input,
        per_step=bool(getattr(task, "per_step", False)),
        weights=None if known.all() else known.astype(np.float32),
    )
