"""Functions f of strings: FLaRe's languages of pairs ``w # f(w)`` recognize f(w), DeepMind's tasks ask for it.

Most are functions of a text, with a character for each symbol; `each` applies them to many strings.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn.errors import InvalidArgument
from myrnn.flat import offsets_of, places_from, ramp, sums
from myrnn.tasks.drawn import NO_ANSWER
from myrnn.tasks.languages.kernels import NOTHING, PUT, TAKE_ANY, track_stacks
from myrnn.tasks.languages.language import Bools, Integers, Offsets, Strings, as_texts

MODULUS = 5
DIGITS = "01234"
_SUM, _BRACKETS, _EQUATION = f"{DIGITS}+-*", f"{DIGITS}+-*()", f"{DIGITS}+-()x="

Text = Callable[[str], str]
Values = Callable[[Strings, Offsets], NDArray[Any]]
Size = Callable[[Integers], Integers]
Draw = Callable[[Integers, np.random.Generator], Strings]


# --- of one string


def as_tokens(symbols: str, texts: Iterable[str]) -> Strings:
    """Return the tokens of texts over these symbols, concatenated, with `NO_ANSWER` for any other character."""
    tokens = np.full(256, NO_ANSWER, dtype=np.int32)
    tokens[list(symbols.encode("latin-1"))] = np.arange(len(symbols))
    return tokens[np.frombuffer("".join(texts).encode("latin-1"), np.uint8)]


def each(symbols: str, classes: str, value: Text) -> Values:
    """Return the function of many strings that has the value of each, a text.

    A space in it is no answer, and an empty one means that the string, unless it is empty, has no value.
    """

    def values(strings: Strings, offsets: Offsets) -> Strings:
        found = []
        for text in as_texts(symbols, strings, offsets):
            try:
                found.append(value(text))
            except ValueError as error:
                if isinstance(error, InvalidArgument):
                    raise
                found.append("")
            if text and not found[-1]:
                raise InvalidArgument(f"the symbols {text!r} are not a string of this task")
        return as_tokens(classes, found)

    return values


def hidden(text: str) -> str:
    """Return the bit of ``w w`` that is hidden as ``_``; a last odd symbol is left out."""
    half = len(text) // 2
    whole = text[: 2 * half]
    place = whole.find("_")
    if place < 0:
        return ""
    bit = whole[place - half]
    whole = whole.replace("_", bit, 1)
    return bit if bit in "01" and "_" not in whole and whole[:half] == whole[half:] else ""


def number(bits: str) -> int:
    """Return a little-endian binary number; raises ValueError if it is none."""
    return int(bits[::-1], 2)


def bits_of(number: int, size: int = 1) -> str:
    """Return a little-endian binary number, with zeros at its end up to this size."""
    return f"{number:0{size}b}"[::-1]


def _big_endian_root(text: str) -> str:
    return f"{isqrt(int(text, 2)):0{(len(text) + 1) // 2}b}"


def value_of(expression: str, x: str = "0") -> str:
    """Return the value of an expression, modulo 5, with the usual precedence; raises InvalidArgument if it is none."""
    # Of each open bracket: the sum of all terms before, and the product of the present one so far.
    levels: list[tuple[int, int]] = []
    total, product = 0, 1
    wants_number = True
    for symbol in expression:
        if wants_number and (symbol in DIGITS or symbol == "x"):
            product, wants_number = product * int(x if symbol == "x" else symbol) % MODULUS, False
        elif wants_number and symbol == "-":
            product = -product
        elif wants_number and symbol == "(":
            levels.append((total, product))
            total, product = 0, 1
        elif not wants_number and symbol in "+-":
            total, product, wants_number = total + product, 1 if symbol == "+" else -1, True
        elif not wants_number and symbol == "*":
            wants_number = True
        elif not wants_number and symbol == ")" and levels:
            inner = total + product
            total, product = levels.pop()
            product = product * inner % MODULUS
        else:
            break
    else:
        if not wants_number and not levels:
            return str((total + product) % MODULUS)
    raise InvalidArgument(f"{' '.join(expression)} is not an expression")


def _solution(text: str) -> str:
    left, right = text.split("=")
    wanted = value_of(right)
    found = [x for x in DIGITS if value_of(left, x) == wanted]
    if len(found) != 1:
        raise InvalidArgument(f"{text} has {len(found)} solutions, one is needed")
    return found[0]


# --- of many strings: stacks


def stacks(acts: Sequence[int], strings: Strings, offsets: Offsets) -> tuple[Integers, Integers, Bools, Integers]:
    """Run N strings as programs for a stack, where `acts` says what each symbol does; others do nothing.

    Returns the places of the symbols that are left, the lowest first, from the start of each string on; their number,
    int64 (N,); whether no symbol was missing when it was to be taken, bool (N,); and the place of the top at each
    prefix, -1 if there is none, int64 (sum of T + N,).
    """
    left, sizes = np.zeros(len(strings), dtype=np.int64), np.zeros(len(offsets) - 1, dtype=np.int64)
    fits, tops = np.zeros(len(sizes), dtype=np.bool_), np.zeros(len(left) + len(sizes), dtype=np.int64)
    # Tokens that are no symbols do nothing.
    tokens = np.clip(strings, -1, len(acts))
    track_stacks(np.array((*acts, NOTHING)), tokens, np.asarray(offsets, dtype=np.int64), left, sizes, fits, tops)
    return left, sizes, fits, tops


def from_top(left: Integers, sizes: Integers, offsets: Offsets) -> Integers:
    """Return the places that `stacks` gives of the symbols that are left, the highest first."""
    return left[np.repeat(offsets[:-1] + sizes - 1, sizes) - ramp(sizes)]


def _stack_left(strings: Strings, offsets: Offsets) -> Integers:
    left, sizes, _, _ = stacks([PUT, PUT, TAKE_ANY, PUT, PUT], strings, offsets)
    starts = offsets[:-1] + np.arange(len(sizes))
    found = np.full(len(strings) + len(sizes), NO_ANSWER)
    # 3 puts a 0 on the stack, and 4 a 1.
    found[places_from(starts, sizes)] = strings[from_top(left, sizes, offsets)] % 3
    found[starts + sizes] = 2
    return found


# --- drawing inputs


def draw_hidden(lengths: Integers, rng: np.random.Generator, bit: int | None = None) -> Strings:
    """Draw ``w w`` with one bit hidden (2), which is `bit` if that is given; odd lengths end in a blank (3)."""
    half, starts = lengths // 2, offsets_of(lengths)[:-1]
    place = rng.integers(0, 2 * half)
    places = places_from(starts, half)
    strings = np.full(int(lengths.sum()), 3, dtype=np.int32)
    strings[places] = rng.integers(0, 2, len(places), dtype=np.int32)
    if bit is not None:
        strings[starts + place % half] = bit
    strings[places + np.repeat(half, half)] = strings[places]
    strings[starts + place] = 2
    return strings


def _draw_stack(lengths: Integers, rng: np.random.Generator) -> Strings:
    is_bit = ramp(lengths) < np.repeat(rng.integers(1, np.maximum(lengths, 2)), lengths)
    bits, operations = (rng.integers(*ends, len(is_bit), dtype=np.int32) for ends in ((0, 2), (2, 5)))
    return np.where(is_bit, bits, operations)


def _draw_pair(lengths: Integers, rng: np.random.Generator) -> Strings:
    strings = rng.integers(0, 2, int(lengths.sum()), dtype=np.int32)
    strings[offsets_of(lengths)[:-1] + rng.integers(1, lengths - 1)] = 2
    return strings


def _draw_sum(lengths: Integers, rng: np.random.Generator) -> Strings:
    step = ramp(lengths)
    digits, signs = (rng.integers(*ends, len(step), dtype=np.int32) for ends in ((0, MODULUS), (MODULUS, MODULUS + 3)))
    return np.where(step % 2 == 0, digits, signs)


def draw_expression(length: int, signs: str, rng: np.random.Generator) -> str:
    """Draw an expression of this length: a digit, -digit, either in brackets, or (expression sign expression)."""
    if length <= 4:
        text = str(rng.integers(MODULUS))
        text = f"-{text}" if length % 2 == 0 else text
        return f"({text})" if length > 2 else text
    left = int(rng.integers(1, length - 3))
    sign = signs[rng.integers(len(signs))]
    return f"({draw_expression(left, signs, rng)}{sign}{draw_expression(length - 3 - left, signs, rng)})"


def _draw_brackets(lengths: Integers, rng: np.random.Generator) -> Strings:
    return as_tokens(_BRACKETS, [draw_expression(length, "+-*", rng) for length in lengths.tolist()])


def _draw_equation(lengths: Integers, rng: np.random.Generator) -> Strings:
    texts = []
    for length in lengths.tolist():
        # Without *, of which one with a 0 would let x be anything.
        text = draw_expression(length - 2, "+-", rng)
        digits = [place for place, symbol in enumerate(text) if symbol.isdigit()]
        place = digits[int(rng.integers(len(digits)))]
        texts.append(f"{text[:place]}x{text[place + 1 :]}={value_of(text)}")
    return as_tokens(_EQUATION, texts)


# --- the table


@dataclass(frozen=True)
class StringFunction:
    """A function of strings, and how its inputs are drawn."""

    # The names of the symbols of inputs and of values, characters.
    symbols: str
    classes: str
    # Returns the values of N strings, concatenated, with `NO_ANSWER` where nothing is asked.
    values: Values
    # The length of the value of a string of length T; None if it is a class.
    size: Size | None = None
    # Returns an input of each length; by default all of a length are equally likely.
    draw: Draw | None = None
    # Which lengths inputs can have.
    possible: Callable[[Integers], Bools] = lambda lengths: lengths >= 1

    def inputs(self, lengths: Integers, rng: np.random.Generator) -> Strings:
        """Draw an input of each length."""
        if self.draw is not None:
            return self.draw(lengths, rng)
        return rng.integers(0, len(self.symbols), int(lengths.sum()), dtype=np.int32)


def _of_text(symbols: str, classes: str, value: Text, size: Size | None = None, **known: Any) -> StringFunction:
    return StringFunction(symbols, classes, each(symbols, classes, value), size, **known)


def _of_numbers(sign: str, work: Callable[[int, int], int], more: int) -> StringFunction:
    """Return the function of two numbers with a sign between; `more` is how much longer than the input the value is."""

    def value(text: str) -> str:
        first, second = text.split(sign)
        return f"{bits_of(work(number(first), number(second)))}e".ljust(len(text) + more)

    return _of_text(f"01{sign}", "01e", value, lambda n: n + more, draw=_draw_pair, possible=lambda n: n >= 3)


def _same(lengths: Integers) -> Integers:
    return lengths


FUNCTIONS = {
    "even-pairs": StringFunction("01", "01", lambda s, ends: s[ends[:-1]] != s[ends[1:] - 1]),
    "parity-check": StringFunction("01", "01", lambda s, ends: sums(s, ends) % 2),
    "cycle-navigation": StringFunction("<=>", DIGITS, lambda s, ends: sums(s - 1, ends) % MODULUS),
    "modular-arithmetic": _of_text(_SUM, DIGITS, value_of, draw=_draw_sum, possible=lambda n: n % 2 == 1),
    "modular-arithmetic-brackets": _of_text(_BRACKETS, DIGITS, value_of, draw=_draw_brackets),
    "solve-equation": _of_text(_EQUATION, DIGITS, _solution, draw=_draw_equation, possible=lambda n: n >= 3),
    "missing-duplicate": _of_text("01_ ", "01", hidden, draw=draw_hidden, possible=lambda n: n >= 2),
    "reverse-string": _of_text("01", "01", lambda text: text[::-1], _same),
    "stack-manipulation": StringFunction("01v^!", "01e", _stack_left, lambda n: n + 1, _draw_stack),
    "duplicate-string": _of_text("01", "01", lambda text: text + text, lambda n: 2 * n),
    "odds-first": _of_text("01", "01", lambda text: text[1::2] + text[::2], _same),
    "binary-addition": _of_numbers("+", operator.add, 1),
    "binary-multiplication": _of_numbers("*", operator.mul, 0),
    "compute-sqrt": _of_text("01", "01", _big_endian_root, lambda n: (n + 1) // 2),
    "bucket-sort": _of_text(DIGITS, DIGITS, lambda text: "".join(sorted(text)), _same),
}
DEEPMIND = tuple(FUNCTIONS)
"""The names of DeepMind's 15 tasks."""
