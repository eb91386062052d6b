"""Does the second half follow from the first? Twin halves and palindromes, drawn in bulk.

`sample_family` draws sequences to test a network that learned one of the two; `generate_sequence` is the lesson's own
generator of single sequences of digits.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.flat import offsets_of, places_from, ramp, sums
from myrnn.registry import register
from myrnn.sequences import LARGEST_INT32, Sequences
from myrnn.tasks.drawn import AlphabetSize, DrawnTask, bounded, tokens_of

Tokens = NDArray[np.int32]
Integers = NDArray[np.int64]
# The families of `sample_family`.
FAMILIES = ("trained", "longer", "near", "other")


@dataclass(frozen=True)
class _Halves(DrawnTask):
    """The common part of the two tasks: a random first half, and a second half that follows from it or does not."""

    pattern_length_min: Annotated[int, bounded("Shortest half", "The shortest half of a sequence.", "1 2 3 5 8 10")] = 1
    pattern_length_max: Annotated[
        int, bounded("Longest half", "The longest half of a sequence.", "1 2 3 5 8 10 15 20")
    ] = 10
    alphabet_size: AlphabetSize = 10
    negatives: Annotated[
        Literal["uniform", "near_miss"],
        Meta(
            title="Non-matches",
            description="Second halves that do not match: uniform (any), or near_miss (a few symbols changed).",
        ),
    ] = "uniform"
    max_changes: Annotated[
        int, Meta(ge=1, le=LARGEST_INT32, description="The most changed symbols of a near miss.")
    ] = 3

    dim_output: ClassVar[int] = 2
    class_names: ClassVar[tuple[str, ...]] = ("no match", "match")
    bounds: ClassVar[tuple[str, str]] = ("pattern_length_min", "pattern_length_max")

    @property
    def dim_input(self) -> int:
        """C: the size of the alphabet."""
        return self.alphabet_size

    def _span(self, low: int, high: int) -> Integers:
        return np.arange(2 * low, 2 * high + 2)

    def truth(self, sequences: Sequences) -> Integers:
        """Return the true class of every sequence, int64 (N,): 1 where the second half matches.

        A sequence of an impossible length does not match.
        """
        values = tokens_of(self, sequences)
        first, second = self._places(sequences.lengths, sequences.offsets)
        wrong = sums(values[first] != values[second], offsets_of(sequences.lengths // 2))
        return ((wrong == 0) & self._possible(sequences.lengths)[0]).astype(np.int64)

    def _possible(self, lengths: Integers) -> tuple[NDArray[np.bool_], str]:
        return (lengths >= 2) & (lengths % 2 == 0), "even, 2 or more"

    @abstractmethod
    def _partner(self, step: Integers, half: Integers, length: Integers) -> Integers:
        """Return the index of the second half where a match repeats the symbol `step` of the first half."""

    def _places(self, lengths: Integers, offsets: Integers) -> tuple[Integers, Integers]:
        """Return the indices of all symbols of first halves, and of those that repeat them in a match."""
        half = lengths // 2
        step, starts = ramp(half), np.repeat(offsets[:-1], half)
        return starts + step, starts + self._partner(step, np.repeat(half, half), np.repeat(lengths, half))

    def _draw(self, lengths: Integers, rng: np.random.Generator) -> Sequences:
        half, offsets = lengths // 2, offsets_of(lengths)
        match = rng.integers(0, 2, len(lengths))
        # Filled at random, so that the middle symbol of an odd length is drawn too.
        values = rng.integers(0, self.alphabet_size, int(offsets[-1]), dtype=np.int32)
        first, second = self._places(lengths, offsets)
        right = values[first]
        if self.negatives == "uniform":
            values[second] = self._uniform_negatives(right, values[second], half, match, rng)
        else:
            values[second] = self._near_misses(right, half, match, rng)
        return Sequences(values, offsets, match, self.alphabet_size)

    def _uniform_negatives(
        self, right: Tokens, drawn: Tokens, half: Integers, match: Integers, rng: np.random.Generator
    ) -> Tokens:
        """Return the second halves: the right one for a match, otherwise one drawn uniformly from all others."""
        starts = offsets_of(half)
        drawn = np.where(np.repeat(match == 0, half), drawn, right)
        candidates = np.flatnonzero(match == 0)
        while len(candidates):
            # Redrawing halves that are right by chance leaves the others equally likely.
            lengths = half[candidates]
            places = places_from(starts[candidates], lengths)
            again = sums(drawn[places] != right[places], offsets_of(lengths)) == 0
            redrawn = places[np.repeat(again, lengths)]
            drawn[redrawn] = rng.integers(0, self.alphabet_size, len(redrawn), dtype=np.int32)
            candidates = candidates[again]
        return drawn

    def _near_misses(self, right: Tokens, half: Integers, match: Integers, rng: np.random.Generator) -> Tokens:
        """Return the second halves: the right one, for a non-match with 1 to `max_changes` symbols changed."""
        drawn = right.copy()
        negatives = np.flatnonzero(match == 0)
        starts = (np.cumsum(half) - half)[negatives]
        lengths = half[negatives]
        changes = rng.integers(1, np.minimum(self.max_changes, lengths) + 1)
        chosen = np.full((len(negatives), 0), 0, dtype=np.int64)
        for count in range(int(changes.max(initial=0))):
            more = changes > count
            place = rng.integers(0, np.maximum(lengths - count, 1))
            # The index counts only positions not yet taken: skip the taken ones, lowest first.
            for taken in np.sort(chosen, axis=1).T:
                place += place >= taken
            chosen = np.column_stack((chosen, place))
            at = (starts + place)[more]
            drawn[at] = (drawn[at] + rng.integers(1, self.alphabet_size, len(at))) % self.alphabet_size
        return drawn


@register("task", "twin-halves")
@dataclass(frozen=True)
class TwinHalves(_Halves):
    """Sequences whose second half repeats the first (class 1) or does not (class 0).

    Parameters
    ----------
    pattern_length_min, pattern_length_max : int
        The shortest and longest half; every length between is equally likely.
    alphabet_size : int
        C: symbols are 0 .. C - 1.
    negatives : {"uniform", "near_miss"}
        How to draw second halves that do not match: all equally likely, or the right one with 1 to `max_changes`
        symbols changed (the number and the positions equally likely).
    max_changes : int
        The most changed symbols of a near miss.

    Examples
    --------
    >>> import numpy as np
    >>> drawn = TwinHalves(pattern_length_max=4).sample(1000, np.random.default_rng(0))
    >>> drawn
    Sequences(1,000 of tokens below 10, lengths 2 to 8)
    """

    name: ClassVar[str] = "twin-halves"

    def _partner(self, step: Integers, half: Integers, length: Integers) -> Integers:
        return step + half


@register("task", "palindromes")
@dataclass(frozen=True)
class Palindromes(_Halves):
    """Sequences that read the same from both ends (class 1) or do not (class 0).

    Parameters
    ----------
    pattern_length_min, pattern_length_max, alphabet_size, negatives, max_changes
        As for `TwinHalves`; a pattern is the first half, without the middle symbol of an odd length.
    parity : {"even", "odd", "both"}
        Whether lengths are twice the pattern's, one more, or either.

    Examples
    --------
    >>> from myrnn import Sequences
    >>> task = Palindromes(pattern_length_max=3, parity="both")
    >>> task.lengths
    array([2, 3, 4, 5, 6, 7])
    >>> strings = Sequences([1, 2, 1, 1, 2, 2], [0, 3, 6], [0, 0], 10)
    >>> task.truth(strings)
    array([1, 0])
    """

    parity: Annotated[
        Literal["even", "odd", "both"], Meta(description="Which lengths there are: even, odd or both.")
    ] = "even"

    name: ClassVar[str] = "palindromes"

    def _possible(self, lengths: Integers) -> tuple[NDArray[np.bool_], str]:
        words = {"even": "even, 2 or more", "odd": "odd, 3 or more", "both": "2 or more"}[self.parity]
        parities = {"even": (0,), "odd": (1,), "both": (0, 1)}[self.parity]
        return (lengths >= 2) & np.isin(lengths % 2, parities), words

    def _partner(self, step: Integers, half: Integers, length: Integers) -> Integers:
        return length - 1 - step


def sample_family(task: TwinHalves | Palindromes, family: str, n: int, rng: np.random.Generator) -> Sequences:
    """Draw sequences of a family, labelled with the truth of the task.

    Parameters
    ----------
    task : TwinHalves or Palindromes
        The task that a network has learned.
    family : {"trained", "longer", "near", "other"}
        Sequences as the task draws them; longer ones, up to twice as long; matches with at most one symbol changed; or
        sequences of the other of the two tasks, with the same halves: a palindrome has the symbols of twin halves in
        another order.
    n : int
    rng : numpy.random.Generator

    Returns
    -------
    Sequences

    Raises
    ------
    InvalidArgument
        When `family` is unknown, or `n` is negative.

    Examples
    --------
    >>> import numpy as np
    >>> from myrnn.tasks import TwinHalves
    >>> drawn = sample_family(TwinHalves(pattern_length_max=4), "longer", 1000, np.random.default_rng(0))
    >>> drawn
    Sequences(1,000 of tokens below 10, lengths 10 to 16)
    """
    _checks.one_of("family", family, FAMILIES)
    count, source = _checks.integer("n", n, minimum=0), _checks.generator("rng", rng)
    if family == "longer":
        lengths = task.twice_as_long().lengths
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


def generate_sequence(
    pattern_length_min: int = 1,
    pattern_length_max: int = 10,
    palindrome: bool = False,
    rng: np.random.Generator | int | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int16], Integers]:
    """Draw one sequence of digits whose second half matches its first with probability one half.

    Parameters
    ----------
    pattern_length_min, pattern_length_max : int
        The shortest and longest half; every length between is equally likely.
    palindrome : bool
        Whether a match is the first half reversed instead of repeated.
    rng : numpy.random.Generator, int or None
        The source of randomness: a generator, a seed, or None for a fresh one.

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

    Examples
    --------
    >>> x, y, sequence = generate_sequence(2, 2, palindrome=True, rng=0)
    >>> x.shape, y.shape, len(sequence)
    ((4, 10), (1,), 4)
    >>> bool(y[0]) == (sequence.tolist() == sequence.tolist()[::-1])
    True
    """
    task = (Palindromes if palindrome else TwinHalves)(pattern_length_min, pattern_length_max)
    drawn = task.sample(1, _checks.generator("rng", rng))
    x, y = drawn[0]
    return x, y, drawn.tokens(0)
