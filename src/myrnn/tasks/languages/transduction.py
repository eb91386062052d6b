"""DeepMind's 15 tasks: a string, and then a class or another string, which is read off while blanks are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isqrt
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from myrnn.errors import InvalidArgument
from myrnn.registry import register
from myrnn.sequences import Sequences, offsets_of, places_from, ramp
from myrnn.settings import check_fields
from myrnn.tasks.drawn import NO_ANSWER, Drawn, check_order, tokens_of
from myrnn.tasks.languages.expressions import MODULUS, draw_expression, value_of
from myrnn.tasks.languages.language import Offsets, Strings
from myrnn.tasks.languages.recognition import LONGEST

Integers = NDArray[np.int64]
BLANK = "."


@dataclass(frozen=True)
class Mapping:
    """The distribution of the inputs of a task, and the answer to each.

    Attributes
    ----------
    symbols : str
        The names of the symbols of strings, characters.
    classes : str
        Those of the answer.
    draw : callable
        ``draw(lengths, rng)`` returns strings, int32 (sum of T,).
    answer : callable
        ``answer(strings, offsets)`` returns the answers to N strings, int64: one each where `size` is None, otherwise
        ``size(T)`` of them. `NO_ANSWER` stands where nothing is asked.
    size : callable, optional
        How long the answer to a string of length T is.
    possible : callable
        Which lengths strings can have.
    """

    symbols: str
    classes: str
    draw: Callable[[Integers, np.random.Generator], Strings]
    answer: Callable[[Strings, Offsets], Integers]
    size: Callable[[Integers], Integers] | None = None
    possible: Callable[[Integers], NDArray[np.bool_]] = lambda lengths: lengths >= 1


def _letters(count: int) -> Callable[[Integers, np.random.Generator], Strings]:
    """Return what draws strings of so many symbols, all of a length equally likely."""
    return lambda lengths, rng: rng.integers(0, count, int(lengths.sum()), dtype=np.int32)


def _drawn(
    draw: Callable[[int, np.random.Generator], list[int]],
) -> Callable[[Integers, np.random.Generator], Strings]:
    """Return what draws strings one by one."""
    return lambda lengths, rng: np.array(
        [token for length in lengths.tolist() for token in draw(length, rng)], dtype=np.int32
    )


def _each(answer: Callable[[list[int]], list[int]]) -> Callable[[Strings, Offsets], Integers]:
    """Return what answers strings one by one."""

    def answers(strings: Strings, offsets: Offsets) -> Integers:
        tokens, found = strings.tolist(), []
        for begin, end in pairwise(offsets.tolist()):
            try:
                found += answer(tokens[begin:end])
            except (ValueError, IndexError) as error:
                if isinstance(error, InvalidArgument):
                    raise
                raise InvalidArgument(f"the tokens {tokens[begin:end]} are not a string of this task") from None
        return np.array(found, dtype=np.int64)

    return answers


# --- answers to many strings at once


def _sums(values: NDArray[np.generic], offsets: Offsets) -> Integers:
    return np.diff(offsets_of(values)[offsets])


def _ends_differ(strings: Strings, offsets: Offsets) -> Integers:
    # As many changes from 0 to 1 as from 1 to 0, or one more: whether the ends are equal.
    return (strings[offsets[:-1]] != strings[offsets[1:] - 1]).astype(np.int64)


def _moved(strings: Strings, offsets: Offsets) -> Integers:
    return _sums(strings - 1, offsets) % MODULUS


def _rearranged(place: Callable[[Integers, Integers], Integers]) -> Callable[[Strings, Offsets], Integers]:
    """Return what answers with the symbols at other places, ``place(step, length)``."""

    def answers(strings: Strings, offsets: Offsets) -> Integers:
        lengths = np.diff(offsets)
        step, length = ramp(lengths), np.repeat(lengths, lengths)
        return strings[np.repeat(offsets[:-1], lengths) + place(step, length)].astype(np.int64)

    return answers


def _twice(strings: Strings, offsets: Offsets) -> Integers:
    lengths = np.diff(offsets)
    step = ramp(2 * lengths) % np.repeat(np.maximum(lengths, 1), 2 * lengths)
    return strings[np.repeat(offsets[:-1], 2 * lengths) + step].astype(np.int64)


def _in_order(strings: Strings, offsets: Offsets) -> Integers:
    owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    return strings[np.lexsort((strings, owner))].astype(np.int64)


def _odd_places_first(step: Integers, length: Integers) -> Integers:
    """Return the places 1, 3, 5 ... and then 0, 2, 4 ..., counted from 0."""
    first = length // 2
    return np.where(step < first, 2 * step + 1, 2 * (step - first))


# --- answers to one string


def _padded(digits: list[int], count: int) -> list[int]:
    """Return digits, the end (2), and no answer after it."""
    return [*digits, 2, *[NO_ANSWER] * (count - len(digits) - 1)][:count]


def _little(number: int) -> list[int]:
    return [int(bit) for bit in f"{number:b}"[::-1]]


def _number(bits: list[int]) -> int:
    return int("".join(map(str, bits)) or "0", 2)


def _stack_left(tokens: list[int]) -> list[int]:
    stack: list[int] = []
    for token in tokens:
        if token == 2:
            del stack[-1:]
        else:
            stack.append(token - 3 if token > 2 else token)
    return _padded(stack[::-1], len(tokens) + 1)


def _arithmetic(work: Callable[[int, int], int], more: int) -> Callable[[list[int]], list[int]]:
    def answer(tokens: list[int]) -> list[int]:
        sign = tokens.index(2)
        first, second = _number(tokens[:sign][::-1]), _number(tokens[sign + 1 :][::-1])
        return _padded(_little(work(first, second)), len(tokens) + more)

    return answer


def _root(tokens: list[int]) -> list[int]:
    return [int(bit) for bit in f"{isqrt(_number(tokens)):0{(len(tokens) + 1) // 2}b}"]


def _hidden(tokens: list[int]) -> list[int]:
    whole = tokens[: len(tokens) // 2 * 2]
    return [whole[whole.index(2) - len(whole) // 2]]


def _symbols(tokens: list[int], names: str) -> list[str]:
    return [names[token] for token in tokens]


_SUM, _BRACKETS, _EQUATION = "01234+-*", "01234+-*()", "01234+-()x="


def _solution(tokens: list[int]) -> list[int]:
    symbols = _symbols(tokens, _EQUATION)
    at = symbols.index("=")
    wanted = value_of(symbols[at + 1 :])
    found = [x for x in range(MODULUS) if value_of(symbols[:at], x) == wanted]
    if len(found) != 1:
        raise InvalidArgument(f"{''.join(symbols)} has {len(found)} solutions, one is needed")
    return found


# --- drawing one string


def _draw_stack(length: int, rng: np.random.Generator) -> list[int]:
    size = 1 if length == 1 else int(rng.integers(1, length))
    return [*rng.integers(0, 2, size).tolist(), *rng.integers(2, 5, length - size).tolist()]


def _draw_pair(length: int, rng: np.random.Generator) -> list[int]:
    bits: list[int] = rng.integers(0, 2, length).tolist()
    bits[int(rng.integers(1, length - 1))] = 2
    return bits


def _draw_hidden(length: int, rng: np.random.Generator) -> list[int]:
    half: list[int] = rng.integers(0, 2, length // 2).tolist()
    whole = half + half
    whole[int(rng.integers(len(whole)))] = 2
    return whole + [3] * (length % 2)


def _draw_sum(length: int, rng: np.random.Generator) -> list[int]:
    tokens: list[int] = rng.integers(0, MODULUS, length).tolist()
    tokens[1::2] = rng.integers(MODULUS, MODULUS + 3, length // 2).tolist()
    return tokens


def _draw_brackets(length: int, rng: np.random.Generator) -> list[int]:
    return [_BRACKETS.index(symbol) for symbol in draw_expression(length, "+-*", rng)]


def _draw_equation(length: int, rng: np.random.Generator) -> list[int]:
    # Without *, of which one with a 0 would let x be anything.
    text = draw_expression(length - 2, "+-", rng)
    value = value_of(text)
    digits = [place for place, symbol in enumerate(text) if symbol.isdigit()]
    place = digits[int(rng.integers(len(digits)))]
    return [_EQUATION.index(symbol) for symbol in f"{text[:place]}x{text[place + 1 :]}={value}"]


_BITS = _letters(2)
_MAPPINGS: dict[str, Mapping] = {
    "even-pairs": Mapping("01", "01", _BITS, _ends_differ),
    "parity-check": Mapping("01", "01", _BITS, lambda s, offsets: _sums(s, offsets) % 2),
    "cycle-navigation": Mapping("<=>", "01234", _letters(3), _moved),
    "modular-arithmetic": Mapping(
        _SUM,
        "01234",
        _drawn(_draw_sum),
        _each(lambda tokens: [value_of(_symbols(tokens, _SUM))]),
        possible=lambda lengths: lengths % 2 == 1,
    ),
    "modular-arithmetic-brackets": Mapping(
        _BRACKETS, "01234", _drawn(_draw_brackets), _each(lambda tokens: [value_of(_symbols(tokens, _BRACKETS))])
    ),
    "solve-equation": Mapping(
        _EQUATION, "01234", _drawn(_draw_equation), _each(_solution), possible=lambda lengths: lengths >= 3
    ),
    "missing-duplicate": Mapping(
        "01_ ", "01", _drawn(_draw_hidden), _each(_hidden), possible=lambda lengths: lengths >= 2
    ),
    "reverse-string": Mapping(
        "01", "01", _BITS, _rearranged(lambda step, length: length - 1 - step), lambda lengths: lengths
    ),
    "stack-manipulation": Mapping("01v^!", "01e", _drawn(_draw_stack), _each(_stack_left), lambda lengths: lengths + 1),
    "duplicate-string": Mapping("01", "01", _BITS, _twice, lambda lengths: 2 * lengths),
    "odds-first": Mapping("01", "01", _BITS, _rearranged(_odd_places_first), lambda lengths: lengths),
    "binary-addition": Mapping(
        "01+",
        "01e",
        _drawn(_draw_pair),
        _each(_arithmetic(lambda a, b: a + b, 1)),
        lambda lengths: lengths + 1,
        lambda lengths: lengths >= 3,
    ),
    "binary-multiplication": Mapping(
        "01*",
        "01e",
        _drawn(_draw_pair),
        _each(_arithmetic(lambda a, b: a * b, 0)),
        lambda lengths: lengths,
        lambda lengths: lengths >= 3,
    ),
    "compute-sqrt": Mapping("01", "01", _BITS, _each(_root), lambda lengths: (lengths + 1) // 2),
    "bucket-sort": Mapping("01234", "01234", _letters(5), _in_order, lambda lengths: lengths),
}
DEEPMIND = tuple(_MAPPINGS)
"""The names of DeepMind's 15 tasks."""


@register("task", "deepmind")
@dataclass(frozen=True)
class DeepMind(Drawn):
    """One of the 15 tasks of "Neural networks and the Chomsky hierarchy": what is asked of a string.

    Seven ask for a class at the end of a string. Eight ask for another string: blanks come after the string, one for
    each symbol of the answer, and each step that reads one is to give the next symbol. The steps before have no answer,
    nor have those after the end of an answer (``e``): their weight is 0. A length counts the blanks, too.

    Parameters
    ----------
    language_name : str
        With a class: ``"even-pairs"``, ``"parity-check"``, ``"cycle-navigation"``, ``"modular-arithmetic"``,
        ``"modular-arithmetic-brackets"``, ``"solve-equation"``, ``"missing-duplicate"``. With a string:
        ``"reverse-string"``, ``"stack-manipulation"`` (``v`` takes one off, ``^`` puts a 0 on, ``!`` a 1),
        ``"duplicate-string"``, ``"odds-first"``, ``"binary-addition"``, ``"binary-multiplication"`` (both
        little-endian), ``"compute-sqrt"`` (big-endian), ``"bucket-sort"``.
    string_min, string_max : int
        The shortest and longest string, without the blanks; every length between that the task has is equally likely.

    References
    ----------
    Delétang and others, "Neural networks and the Chomsky hierarchy", 2023.

    Examples
    --------
    >>> task = DeepMind("reverse-string", string_max=4)
    >>> task.sample(1000, 0)
    Sequences(1,000 of tokens below 3, lengths 2 to 8, a class for each step, with weights)
    """

    language_name: Annotated[
        Literal[DEEPMIND],  # type: ignore[valid-type]
        Meta(description="Which of the tasks."),
    ]
    string_min: Annotated[int, Meta(ge=1, le=LONGEST, description="The shortest string, without blanks.")] = 1
    string_max: Annotated[int, Meta(ge=1, le=LONGEST, description="The longest string, without blanks.")] = 40

    def __post_init__(self) -> None:
        """Check the settings, and that there is something to draw."""
        check_fields(self)
        check_order(self, "string_min", "string_max")
        if not len(self.lengths):
            raise InvalidArgument(
                f"{self.language_name} has no string of lengths {self.string_min} to {self.string_max}"
            )

    @property
    def name(self) -> str:
        """The name of the task."""
        return f"deepmind {self.language_name}"

    @property
    def mapping(self) -> Mapping:
        """The inputs and answers."""
        return _MAPPINGS[self.language_name]

    @property
    def per_step(self) -> bool:
        """Whether the answer is a string."""
        return self.mapping.size is not None

    @property
    def symbol_names(self) -> tuple[str, ...]:
        """The names of the C tokens; the last one is the blank if the answer is a string."""
        return (*self.mapping.symbols, BLANK) if self.per_step else tuple(self.mapping.symbols)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the K classes."""
        return tuple(self.mapping.classes)

    @property
    def dim_input(self) -> int:
        """C: the number of symbols, with the blank."""
        return len(self.symbol_names)

    @property
    def dim_output(self) -> int:
        """K: the number of classes."""
        return len(self.mapping.classes)

    @property
    def lengths(self) -> Integers:
        """Every length T that the task draws, including blanks, ascending, int64."""
        strings = np.arange(self.string_min, self.string_max + 1)
        return self._whole(strings[self.mapping.possible(strings)])

    def twice_as_long(self) -> DeepMind:
        """Return the task with strings up to twice as long."""
        return replace(self, string_max=min(2 * self.string_max, LONGEST))

    def truth(self, sequences: Sequences) -> Integers:
        """Return the right class of every sequence, int64 (N,), or of every step, -1 where nothing is asked."""
        values = tokens_of(sequences)
        sizes, possible = self._strings(sequences.lengths)
        if not possible.all():
            raise InvalidArgument(f"{self.language_name} has no sequence of length {sequences.lengths[~possible][0]}")
        if not self.per_step:
            return self.mapping.answer(values, sequences.offsets)
        return self._answered(values[places_from(sequences.offsets[:-1], sizes)], sizes, sequences.offsets)

    def _possible(self, lengths: Integers) -> tuple[NDArray[np.bool_], str]:
        possible = self._strings(lengths)[1]
        listed = ", ".join(map(str, self._whole(np.arange(1, 12))[self.mapping.possible(np.arange(1, 12))][:4]))
        return possible, f"{listed} and so on"

    def _draw(self, lengths: Integers, rng: np.random.Generator) -> Sequences:
        offsets = offsets_of(lengths)
        sizes = self._strings(lengths)[0]
        strings = self.mapping.draw(sizes, rng)
        if not self.per_step:
            return Sequences(strings, offsets, self.mapping.answer(strings, offsets), self.dim_input)
        values = np.full(int(offsets[-1]), self.dim_input - 1, dtype=np.int32)
        values[places_from(offsets[:-1], sizes)] = strings
        truth = self._answered(strings, sizes, offsets)
        weights = (truth != NO_ANSWER).astype(np.float32)
        return Sequences(values, offsets, np.maximum(truth, 0), self.dim_input, per_step=True, weights=weights)

    def _answered(self, strings: Strings, sizes: Integers, offsets: Offsets) -> Integers:
        """Return the answer at each step of sequences that hold these strings."""
        truth = np.full(int(offsets[-1]), NO_ANSWER, dtype=np.int64)
        asked = np.ones(len(truth), dtype=np.bool_)
        asked[places_from(offsets[:-1], sizes)] = False
        truth[asked] = self.mapping.answer(strings, offsets_of(sizes))
        return truth

    def _whole(self, strings: Integers) -> Integers:
        """Return the lengths of sequences with strings of these lengths."""
        return strings if self.mapping.size is None else strings + self.mapping.size(strings)

    def _strings(self, lengths: Integers) -> tuple[Integers, NDArray[np.bool_]]:
        """Return the lengths of the strings in sequences of these lengths, and whether there are such."""
        known = np.arange(int(np.max(lengths, initial=0)) + 1)
        whole = self._whole(known)
        sizes = np.minimum(np.searchsorted(whole, lengths), len(known) - 1)
        return sizes, (whole[sizes] == lengths) & self.mapping.possible(sizes) & (sizes >= 1)
