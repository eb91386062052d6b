"""Tasks of looking up what came before: associative recall and induction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from string import ascii_lowercase
from typing import Annotated, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from myrnn.errors import InvalidArgument
from myrnn.flat import offsets_of, places_from, ramp
from myrnn.registry import register
from myrnn.sequences import Sequences
from myrnn.tasks.drawn import NO_ANSWER, ClassCount, NamedTask, answered, bounded, tokens_of
from myrnn.tasks.steps import MOST_STEPS, LengthMin, OfAnyLength


def recalled(sequences: Sequences, stored: NDArray[np.int64], asked: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return, for each of the steps `asked`, the last of the steps `stored` that has the same key, or -1 without any.

    The key of a step that asks is its own token, and that of a step that stores is the token before it. The steps found
    are of the same sequence, and not later than those that ask.
    """
    tokens, owners = sequences.values.astype(np.int64), sequences.owners
    keys = np.concatenate([tokens[stored - 1], tokens[asked]])
    places = owners[np.concatenate([stored, asked])] * sequences.dim_input + keys
    number = np.unique(places, return_inverse=True)[1]
    # A step belongs to the number of its key, and comes after the earlier steps of this key.
    steps = len(tokens) + 1
    known = np.sort(number[: len(stored)] * steps + stored)
    wanted = number[len(stored) :]
    found = np.append(known, -1)[np.searchsorted(known, wanted * steps + asked, side="right") - 1]
    return np.where((found >= 0) & (found // steps == wanted), found % steps, -1)


def _letters(count: int) -> tuple[str, ...]:
    """Return names that are no numbers: letters, or numbered keys if there are too many."""
    return tuple(ascii_lowercase[:count]) if count <= 26 else tuple(f"k{number}" for number in range(count))


@register("task", "associative-recall")
@dataclass(frozen=True)
class AssociativeRecall(NamedTask):
    """Pairs of a key and its value, and then all keys in another order, whose values are the answers.

    A sequence is ``c3a1b3bca``: the answers to the last three steps are 3, 3 and 1. No other step has an answer: its
    weight is 0. The keys of a sequence differ. The tokens are the keys, and then the values, which are the classes.

    Parameters
    ----------
    pairs_min, pairs_max : int
        The number of pairs, of which there are at most as many as keys; every number between is equally likely.
    keys, values : int
        How many different keys and values there are.

    References
    ----------
    Arora et al., "Zoology: measuring and improving recall in efficient language models", arXiv 2312.04927, 2023
    (multi-query associative recall). Their keys are asked for after gaps of other tokens.

    Examples
    --------
    >>> import numpy as np
    >>> task = AssociativeRecall(2, 2)
    >>> drawn = task.sample(1, np.random.default_rng(0))
    >>> "".join(task.symbol_names[token] for token in drawn.tokens(0))
    'l0d6dl'
    >>> task.truth(drawn).tolist()
    [-1, -1, -1, -1, 6, 0]
    """

    pairs_min: Annotated[int, bounded("Fewest", "The fewest pairs.", "1 2 3 5 8")] = 1
    pairs_max: Annotated[int, bounded("Most", "The most pairs.", "1 2 3 5 8")] = 5
    keys: Annotated[int, bounded("Keys", "How many different keys there are.", "4 8 16 26", 1, 1000)] = 16
    values: Annotated[int, bounded("Values", "How many different values there are.", "2 4 8 10", 2, 1000)] = 8

    name: ClassVar[str] = "associative-recall"
    per_step: ClassVar[bool] = True
    bounds: ClassVar[tuple[str, str]] = ("pairs_min", "pairs_max")

    def __post_init__(self) -> None:
        """Check the settings, and that there are enough keys."""
        super().__post_init__()
        if self.pairs_max > self.keys:
            raise InvalidArgument(f"pairs_max must be at most keys, {self.keys}, not {self.pairs_max}")

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The names of the K classes: the numbers of the values."""
        return tuple(map(str, range(self.values)))

    @cached_property
    def symbol_names(self) -> tuple[str, ...]:
        """The names of the C tokens: letters for keys, and numbers for values."""
        return (*_letters(self.keys), *self.class_names)

    def twice_as_long(self) -> Self:
        """Return the task with up to twice as many pairs, or as many as there are keys: those of a sequence differ."""
        return replace(self, pairs_max=min(2 * self.pairs_max, self.keys))

    def _span(self, low: int, high: int) -> NDArray[np.int64]:
        return np.arange(3 * low, 3 * high + 1)

    def truth(self, sequences: Sequences) -> NDArray[np.int64]:
        """Return the right class at every step, int64 (sum of T,), -1 where there is no answer.

        A value after a key is stored under it. The answer to a key is the value that was stored under it last.
        """
        tokens = tokens_of(self, sequences)
        is_key = tokens < self.keys
        follows = np.zeros(len(tokens), dtype=bool)
        follows[1:] = is_key[:-1] & (sequences.owners[1:] == sequences.owners[:-1])
        asked = np.flatnonzero(is_key)
        found = recalled(sequences, np.flatnonzero(follows & ~is_key), asked)
        answers = np.full(len(tokens), NO_ANSWER, dtype=np.int64)
        answers[asked[found >= 0]] = tokens[found[found >= 0]] - self.keys
        return answers

    def _possible(self, lengths: NDArray[np.int64]) -> tuple[NDArray[np.bool_], str]:
        return (lengths >= 3) & (lengths % 3 == 0) & (lengths <= 3 * self.keys), (
            f"three for each pair, of which there are 1 to {self.keys}"
        )

    def _draw(self, lengths: NDArray[np.int64], rng: np.random.Generator) -> Sequences:
        offsets, pairs = offsets_of(lengths), lengths // 3
        owners = np.repeat(np.arange(len(pairs)), pairs)
        # The keys of each sequence: the first of all keys in a random order.
        order = rng.random((len(pairs), self.keys)).argsort(axis=1, kind="stable")
        keys = order[owners, ramp(pairs)]
        values = np.empty(int(offsets[-1]), dtype=np.int32)
        stores = np.repeat(offsets[:-1], pairs) + 2 * ramp(pairs)
        values[stores] = keys
        values[stores + 1] = rng.integers(self.keys, self.keys + self.values, len(stores))
        values[places_from(offsets[:-1] + 2 * pairs, pairs)] = keys[np.lexsort((rng.random(len(keys)), owners))]
        return answered(self, values, offsets)


@register("task", "induction")
@dataclass(frozen=True)
class Induction(OfAnyLength):
    """Random symbols, and after each of them the one that followed it the last time that it occurred.

    In ``31231``, the answers are 1 after the second 3, and 2 after the last 1. A symbol that occurs for the first time
    has no answer: its weight is 0.

    Parameters
    ----------
    alphabet_size : int
        How many different symbols there are.
    length_min, length_max : int
        The shortest and longest sequence; every length between is equally likely.

    References
    ----------
    Olsson et al., "In-context learning and induction heads", arXiv 2209.11895, 2022; Gu and Dao, "Mamba: linear-time
    sequence modeling with selective state spaces", arXiv 2312.00752, 2023, who ask once, at the end.

    Examples
    --------
    >>> from myrnn import Sequences
    >>> Induction(alphabet_size=4).truth(Sequences([3, 1, 2, 3, 1], [0, 5], [0], 4)).tolist()
    [-1, -1, -1, 1, 2]
    """

    alphabet_size: ClassCount = 10
    length_min: LengthMin = 2
    # A single symbol has no answer.
    length_max: Annotated[
        int, bounded("Longest", "The longest sequence.", "2 5 10 20 30 40", least=2, most=MOST_STEPS)
    ] = 20

    name: ClassVar[str] = "induction"

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The names of the K classes: the numbers of the symbols."""
        return tuple(map(str, range(self.alphabet_size)))

    @property
    def symbol_names(self) -> tuple[str, ...]:
        """The names of the C tokens: those of the classes."""
        return self.class_names

    def truth(self, sequences: Sequences) -> NDArray[np.int64]:
        """Return the right class at every step, int64 (sum of T,), -1 where there is no answer."""
        tokens = tokens_of(self, sequences)
        is_first = np.zeros(len(tokens), dtype=bool)
        is_first[sequences.offsets[:-1][sequences.lengths > 0]] = True
        found = recalled(sequences, np.flatnonzero(~is_first), np.arange(len(tokens)))
        return np.where(found >= 0, tokens[found], NO_ANSWER).astype(np.int64)

    def _draw(self, lengths: NDArray[np.int64], rng: np.random.Generator) -> Sequences:
        offsets = offsets_of(lengths)
        return answered(self, rng.integers(0, self.alphabet_size, int(offsets[-1]), dtype=np.int32), offsets)
