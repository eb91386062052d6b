"""Tasks with an answer at every step: running parity, copying after a pause, the next character of a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from myrnn.errors import InvalidArgument
from myrnn.flat import offsets_of, places_from
from myrnn.registry import register
from myrnn.sequences import Sequences
from myrnn.tasks.drawn import (
    LONGEST,
    NO_ANSWER,
    ClassCount,
    NamedTask,
    answered,
    bounded,
    named_lengths,
    tokens_of,
)

MOST_STEPS = 2 * LONGEST


LengthMin = Annotated[int, bounded("Shortest", "The shortest sequence.", "1 2 5 10 20 40", most=MOST_STEPS)]
LengthMax = Annotated[int, bounded("Longest", "The longest sequence.", "1 2 5 10 20 30 40", most=MOST_STEPS)]


class OfAnyLength(NamedTask):
    """A task with an answer at every step of sequences of any length between two bounds."""

    per_step: ClassVar[bool] = True
    most: ClassVar[int] = MOST_STEPS

    def __post_init__(self) -> None:
        """Check the settings, and that there are sequences between the bounds."""
        super().__post_init__()
        every = self._span(*(getattr(self, name) for name in self.bounds))
        possible, words = self._possible(every)
        if not possible.any():
            raise InvalidArgument(
                f"{type(self).__name__} has no sequence of {named_lengths(every)}: lengths are {words}"
            )

    def _possible(self, lengths: NDArray[np.int64]) -> tuple[NDArray[np.bool_], str]:
        return lengths >= 1, "1 or more"


@dataclass(frozen=True)
class _AnyLength(OfAnyLength):
    """A task whose only settings are these bounds."""

    length_min: LengthMin = 1
    length_max: LengthMax = 20


@register("task", "running-parity")
@dataclass(frozen=True)
class RunningParity(_AnyLength):
    """Bits, and after each of them whether the number of ones so far is odd (class 1) or even (class 0).

    Parameters
    ----------
    length_min, length_max : int
        The shortest and longest sequence; every length between is equally likely.

    Examples
    --------
    >>> import numpy as np
    >>> from myrnn import Sequences
    >>> drawn = RunningParity(1, 20).sample(1000, np.random.default_rng(0))
    >>> drawn
    Sequences(1,000 of tokens below 2, lengths 1 to 20, a class for each step)
    >>> bits = Sequences([1, 0, 1, 1], [0, 4], [0])
    >>> RunningParity().truth(bits).tolist()
    [1, 1, 0, 1]
    """

    name: ClassVar[str] = "running-parity"
    class_names: ClassVar[tuple[str, ...]] = ("even", "odd")
    symbol_names: ClassVar[tuple[str, ...]] = ("0", "1")

    def truth(self, sequences: Sequences) -> NDArray[np.int64]:
        """Return the right class after every step, int64 (sum of T,)."""
        ones = offsets_of(tokens_of(self, sequences))
        before = np.repeat(ones[sequences.offsets[:-1]], sequences.lengths)
        return (ones[1:] - before) % 2

    def _draw(self, lengths: NDArray[np.int64], rng: np.random.Generator) -> Sequences:
        offsets = offsets_of(lengths)
        return answered(self, rng.integers(0, 2, int(offsets[-1]), dtype=np.int32), offsets)


@register("task", "copy-after-pause")
@dataclass(frozen=True)
class CopyAfterPause(NamedTask):
    """Some symbols, a pause, and then the symbols must be repeated, one at each ``?``.

    A sequence is ``31.....??``: the answers to the two ``?`` are 3 and 1. No other step has an answer: its weight is 0.
    The tokens are the symbols 0 .. A - 1, the pause (A) and the question (A + 1); the classes are the symbols.

    Parameters
    ----------
    copied_min, copied_max : int
        The number of symbols to copy; every number between is equally likely.
    pause : int
        The number of steps between the last symbol and the first question.
    alphabet_size : int
        A: the number of symbols.

    References
    ----------
    Hochreiter and Schmidhuber, "Long short-term memory", 1997; Arjovsky, Shah and Bengio, "Unitary evolution recurrent
    neural networks", 2016, whose copying task has one question and answers that all steps have.

    Examples
    --------
    >>> import numpy as np
    >>> task = CopyAfterPause(2, 2, pause=3)
    >>> drawn = task.sample(1, np.random.default_rng(0))
    >>> "".join(task.symbol_names[token] for token in drawn.tokens(0))
    '86...??'
    >>> task.truth(drawn).tolist()
    [-1, -1, -1, -1, -1, 8, 6]
    """

    copied_min: Annotated[int, bounded("Fewest", "The fewest symbols to copy.", "1 2 3 5 8 10")] = 1
    copied_max: Annotated[int, bounded("Most", "The most symbols to copy.", "1 2 3 5 8 10 15")] = 5
    pause: Annotated[
        int,
        bounded(
            "Pause", "How many steps there are between the symbols and the questions.", "0 2 5 10 20", 0, MOST_STEPS
        ),
    ] = 5
    alphabet_size: ClassCount = 10

    name: ClassVar[str] = "copy-after-pause"
    per_step: ClassVar[bool] = True
    bounds: ClassVar[tuple[str, str]] = ("copied_min", "copied_max")

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The names of the K classes: the numbers of the symbols."""
        return tuple(map(str, range(self.alphabet_size)))

    @cached_property
    def symbol_names(self) -> tuple[str, ...]:
        """The names of the C tokens: numbers, ``.`` and ``?``."""
        return (*self.class_names, ".", "?")

    def _span(self, low: int, high: int) -> NDArray[np.int64]:
        return np.arange(2 * low, 2 * high + 1) + self.pause

    def truth(self, sequences: Sequences) -> NDArray[np.int64]:
        """Return the right class at every step, int64 (sum of T,), -1 where there is no answer.

        The first question asks for the first symbol of the sequence, the second for the second, and so on. A question
        for a symbol that is missing has no answer.
        """
        tokens, starts = tokens_of(self, sequences), sequences.offsets[:-1]
        places = np.flatnonzero(tokens < self.alphabet_size)
        is_question = tokens == self.alphabet_size + 1
        questions = np.flatnonzero(is_question)
        owner = sequences.owners[questions]
        earlier = offsets_of(is_question)
        asked = np.searchsorted(places, starts)[owner] + earlier[questions] - earlier[starts][owner]
        # A symbol of this sequence before the question; one of a later sequence comes after it.
        found = np.append(places, len(tokens))[np.minimum(asked, len(places))]
        known = found < questions
        answers = np.full(len(tokens), NO_ANSWER, dtype=np.int64)
        answers[questions[known]] = tokens[found[known]]
        return answers

    def _possible(self, lengths: NDArray[np.int64]) -> tuple[NDArray[np.bool_], str]:
        rest = lengths - self.pause
        return (rest >= 2) & (rest % 2 == 0), f"{self.pause} and an even number more, 2 at least"

    def _draw(self, lengths: NDArray[np.int64], rng: np.random.Generator) -> Sequences:
        offsets, copied = offsets_of(lengths), (lengths - self.pause) // 2
        values = np.full(int(offsets[-1]), self.alphabet_size, dtype=np.int32)
        places = places_from(offsets[:-1], copied)
        values[places] = rng.integers(0, self.alphabet_size, len(places), dtype=np.int32)
        values[places + np.repeat(copied + self.pause, copied)] = self.alphabet_size + 1
        return answered(self, values, offsets)


# Tim Peters, "PEP 20: The Zen of Python", 2004, in the public domain; `import this` prints it. It is copied here
# because the text of the installed Python could change with its version, and with it the alphabet of trained networks.
ZEN = """\
The Zen of Python, by Tim Peters

Beautiful is better than ugly.
Explicit is better than implicit.
Simple is better than complex.
Complex is better than complicated.
Flat is better than nested.
Sparse is better than dense.
Readability counts.
Special cases aren't special enough to break the rules.
Although practicality beats purity.
Errors should never pass silently.
Unless explicitly silenced.
In the face of ambiguity, refuse the temptation to guess.
There should be one-- and preferably only one --obvious way to do it.
Although that way may not be obvious at first unless you're Dutch.
Now is better than never.
Although never is often better than *right* now.
If the implementation is hard to explain, it's a bad idea.
If the implementation is easy to explain, it may be a good idea.
Namespaces are one honking great idea -- let's do more of those!"""


TEXT = " ".join(ZEN.lower().split())
CHARACTERS = tuple(sorted(set(TEXT)))
TOKENS = np.array([CHARACTERS.index(character) for character in TEXT], dtype=np.int32)


@register("task", "next-character")
@dataclass(frozen=True)
class NextCharacter(_AnyLength):
    """Pieces of a text, with the next character as target after each character.

    The text is the Zen of Python, which ``import this`` prints, in lower case and on one line. A piece begins anywhere
    in it. `myrnn.generate` lets a trained network continue a text.

    Parameters
    ----------
    length_min, length_max : int
        The shortest and longest piece; every length between is equally likely.

    Examples
    --------
    >>> import numpy as np
    >>> task = NextCharacter(20, 20)
    >>> drawn = task.sample(1, np.random.default_rng(0))
    >>> task.text_of(drawn.tokens(0)), task.text_of(drawn.targets)
    ("t's a bad idea. if t", "'s a bad idea. if th")
    """

    name: ClassVar[str] = "next-character"
    predicts_next: ClassVar[bool] = True
    # The whole text, and the C characters in it: any of them may come next.
    text: ClassVar[str] = TEXT
    symbol_names: ClassVar[tuple[str, ...]] = CHARACTERS
    class_names: ClassVar[tuple[str, ...]] = CHARACTERS
    # The last character has none after it.
    most: ClassVar[int] = len(TEXT) - 1

    def text_of(self, tokens: Sequence[int] | NDArray[Any]) -> str:
        """Return tokens as text."""
        return "".join(self.symbol_names[token] for token in tokens)

    def truth(self, sequences: Sequences) -> NDArray[np.int64]:
        """Return the character after each, int64 (sum of T,); -1 after the last of a sequence, where it is unknown."""
        answers = np.append(tokens_of(self, sequences)[1:], NO_ANSWER).astype(np.int64)[: len(sequences.values)]
        answers[sequences.offsets[1:][sequences.lengths > 0] - 1] = NO_ANSWER
        return answers

    def _possible(self, lengths: NDArray[np.int64]) -> tuple[NDArray[np.bool_], str]:
        return (lengths >= 1) & (lengths <= self.most), f"1 to {self.most}"

    def __post_init__(self) -> None:
        """Check the settings, and that the text is long enough."""
        super().__post_init__()
        if self.length_max > self.most:
            raise InvalidArgument(f"length_max must be at most {self.most}, not {self.length_max}")

    def _draw(self, lengths: NDArray[np.int64], rng: np.random.Generator) -> Sequences:
        begin = rng.integers(0, len(TOKENS) - lengths)
        places = places_from(begin, lengths)
        return Sequences(TOKENS[places], offsets_of(lengths), TOKENS[places + 1], self.dim_input, per_step=True)
