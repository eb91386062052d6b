"""The common part of all tasks: bounds of lengths, drawing a number of sequences, or sequences of given lengths."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from msgspec import Meta
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.sequences import LARGEST_INT32, Sequences
from myrnn.settings import check_fields

# The value of `truth` at a step without an answer.
NO_ANSWER = -1
# No reasonable task comes near this, or near so many symbols: longer sequences, or halves, would only fill the memory.
LONGEST = 20_000

AlphabetSize = Annotated[
    int,
    Meta(ge=2, le=100_000, title="Digits", description="How many different symbols there are.", examples=[2, 3, 5, 10]),
]


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

    @property
    @abstractmethod
    def lengths(self) -> NDArray[np.int64]:
        """Every length T that the task draws, ascending, int64."""

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


def tokens_of(sequences: Sequences) -> NDArray[Any]:
    """Return the tokens of all sequences; raises InvalidArgument for features."""
    if not sequences.is_tokens:
        raise InvalidArgument("sequences must hold tokens, not features")
    return sequences.values
