"""Arithmetic modulo a number, with an answer at every step at which there is a value."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from myrnn.flat import offsets_of
from myrnn.registry import register
from myrnn.sequences import Sequences
from myrnn.tasks.drawn import NO_ANSWER, answered, bounded, tokens_of
from myrnn.tasks.steps import LengthMax, LengthMin, OfAnyLength

SIGNS = {"+": operator.add, "-": operator.sub, "*": operator.mul}


@register("task", "modular-arithmetic")
@dataclass(frozen=True)
class ModularArithmetic(OfAnyLength):
    """Expressions of + - * modulo M, and after each number, or each closing bracket, the value so far.

    Without brackets, numbers and signs alternate, and ``*`` goes before + and -: after the steps of ``3+2*4``, for M =
    5, the answers are 3 after ``3``, 0 after ``3+2`` and 1 after ``3+2*4``. With brackets an expression is a number or
    ``(a+b)`` for any two expressions: in ``((1+2)*3)``, the answers are 3 after ``(1+2)`` and 4 at the end. Other steps
    have no answer: their weight is 0.

    Parameters
    ----------
    modulus : int
        M; the tokens are the numbers below it, + - * and, if there are any, the brackets.
    brackets : bool
        Whether expressions have brackets.
    length_min, length_max : int
        The shortest and longest sequence, of those that there are: odd numbers, or 1, 5, 9 and so on with brackets.
        Every length between is equally likely.

    References
    ----------
    Delétang et al., "Neural networks and the Chomsky hierarchy", 2023. Their networks answer at the end.

    Examples
    --------
    >>> import numpy as np
    >>> task = ModularArithmetic(brackets=True)
    >>> drawn = task.sample_lengths([9], np.random.default_rng(0))
    >>> "".join(task.symbol_names[token] for token in drawn.tokens(0))
    '((2-1)*0)'
    >>> task.truth(drawn).tolist()
    [-1, -1, -1, -1, -1, 1, -1, -1, 0]
    """

    modulus: Annotated[int, bounded("Modulus", "Numbers are below this.", "2 3 5 7", 2, 1000)] = 5
    brackets: Annotated[bool, Meta(title="Brackets", description="Whether expressions have brackets.")] = False
    length_min: LengthMin = 1
    length_max: LengthMax = 20

    @property
    def name(self) -> str:
        """The name of the task."""
        return "modular-arithmetic with brackets" if self.brackets else "modular-arithmetic"

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The names of the K classes: the numbers."""
        return tuple(map(str, range(self.modulus)))

    @cached_property
    def symbol_names(self) -> tuple[str, ...]:
        """The names of the C tokens: numbers, signs and brackets."""
        return (*self.class_names, *SIGNS, *("()" if self.brackets else ""))

    def truth(self, sequences: Sequences) -> NDArray[np.int64]:
        """Return the value at every step, int64 (sum of T,); -1 where there is none, and from a mistake on."""
        tokens = tokens_of(self, sequences)
        answers = np.full(len(tokens), NO_ANSWER, dtype=np.int64)
        for begin, end in zip(sequences.offsets[:-1].tolist(), sequences.offsets[1:].tolist(), strict=True):
            words = [self.symbol_names[token] for token in tokens[begin:end]]
            found = self._with_brackets(words) if self.brackets else self._plain(words)
            answers[begin : begin + len(found)] = found
        return answers

    def _plain(self, words: list[str]) -> list[int]:
        """Return the value after every number."""
        found: list[int] = []
        # The value is that of all terms before the last one, and of the last one, with its sign.
        total, term, sign = 0, 1, "*"
        for step, word in enumerate(words):
            if (step % 2 == 0) == (word in SIGNS):
                break
            if word in SIGNS:
                sign = word
                found.append(NO_ANSWER)
                continue
            if sign == "*":
                term = term * int(word) % self.modulus
            else:
                total, term = (total + term) % self.modulus, SIGNS[sign](0, int(word))
            found.append((total + term) % self.modulus)
        return found

    def _with_brackets(self, words: list[str]) -> list[int]:
        """Return the value after every bracket that closes, or that of a single number."""
        found: list[int] = []
        open_parts: list[list[str | int]] = [[]]
        for word in words:
            parts = open_parts[-1]
            answer = NO_ANSWER
            takes_value = len(parts) in (0, 2)
            if word == "(" and takes_value and not (len(open_parts) == 1 and parts):
                open_parts.append([])
            elif word == ")" and len(open_parts) > 1 and len(parts) == 3:
                a, sign, b = open_parts.pop()
                answer = SIGNS[str(sign)](a, b) % self.modulus
                open_parts[-1].append(answer)
            elif word in SIGNS and len(open_parts) > 1 and len(parts) == 1:
                parts.append(word)
            elif word.isdigit() and takes_value and not (len(open_parts) == 1 and parts):
                parts.append(int(word))
                answer = int(word) if len(open_parts) == 1 else NO_ANSWER
            else:
                break
            found.append(answer)
        return found

    def _possible(self, lengths: NDArray[np.int64]) -> tuple[NDArray[np.bool_], str]:
        if self.brackets:
            return (lengths >= 1) & (lengths % 4 == 1), "1, 5, 9 and so on"
        return (lengths >= 1) & (lengths % 2 == 1), "odd"

    def _draw(self, lengths: NDArray[np.int64], rng: np.random.Generator) -> Sequences:
        offsets = offsets_of(lengths)
        values = rng.integers(0, self.modulus, int(offsets[-1]), dtype=np.int32)
        signs = rng.integers(self.modulus, self.modulus + len(SIGNS), int(offsets[-1]), dtype=np.int32)
        if self.brackets:
            for begin, length in zip(offsets[:-1].tolist(), lengths.tolist(), strict=True):
                self._place(values, signs, begin, length, rng)
        else:
            steps = np.arange(len(values)) - np.repeat(offsets[:-1], lengths)
            values = np.where(steps % 2 == 1, signs, values)
        return answered(self, values, offsets)

    def _place(self, values: NDArray[np.int32], signs: NDArray[np.int32], begin: int, length: int, rng: Any) -> None:
        """Write signs and brackets of an expression between its numbers; each division of its length is as likely."""
        opening = self.modulus + len(SIGNS)
        rest = [(begin, length)]
        while rest:
            first, size = rest.pop()
            if size > 1:
                left = 4 * int(rng.integers(0, (size - 1) // 4)) + 1
                values[first], values[first + size - 1] = opening, opening + 1
                values[first + 1 + left] = signs[first]
                rest += [(first + 1, left), (first + 2 + left, size - 3 - left)]
