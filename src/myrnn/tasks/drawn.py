"""The common part of all tasks: drawing a number of sequences, or sequences of given lengths."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.sequences import LARGEST_INT32, Sequences

# The value of `truth` at a step without an answer.
NO_ANSWER = -1


class Drawn(ABC):
    """A task that draws sequences of given lengths."""

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


def tokens_of(sequences: Sequences) -> NDArray[Any]:
    """Return the tokens of all sequences; raises InvalidArgument for features."""
    if not sequences.is_tokens:
        raise InvalidArgument("sequences must hold tokens, not features")
    return sequences.values


def check_order(task: object, least: str, most: str) -> None:
    """Refuse a task with a minimum above its maximum."""
    low, high = getattr(task, least), getattr(task, most)
    if low > high:
        raise InvalidArgument(f"{least} must not exceed {most}, but they are {low} and {high}")
