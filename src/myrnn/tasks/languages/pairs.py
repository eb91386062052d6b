"""Languages of pairs ``w # f(w)``, of equations of binary numbers, and of ``w w`` with a bit hidden."""

from __future__ import annotations

import operator
import re
from abc import abstractmethod
from collections.abc import Callable
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from myrnn.sequences import offsets_of, places_from
from myrnn.tasks.languages.functions import (
    Text,
    as_texts,
    as_tokens,
    bits_of,
    draw_hidden,
    each,
    hidden,
    number,
    stacks,
)
from myrnn.tasks.languages.kernels import NOTHING, PUT, TAKE_ANY, draw_stacks
from myrnn.tasks.languages.language import Bools, Integers, Language, Offsets, Strings, preceded, sums_so_far
from myrnn.tasks.languages.regular import regular

# The shares of numbers of digits are kept for strings up to this length; those of longer ones are many.
LONGEST_KEPT = 80


class _OfTexts(Language):
    """A language whose symbols are characters, and whose members are recognized one by one."""

    @abstractmethod
    def _holds(self, text: str) -> bool:
        """Return whether a string is a member."""

    def contains(self, strings: Strings, offsets: Offsets) -> Bools:
        texts = as_texts("".join(self.symbols), strings, offsets)
        return np.fromiter(map(self._holds, texts), np.bool_, len(texts))


class Pairs(_OfTexts):
    """Strings ``w # f(w)``, or ``w f(w)`` without a mark, for a function f whose values are as long as its inputs."""

    def __init__(self, letters: str, value: Text, mark: str = "#") -> None:
        self.symbols, self.letters, self.value, self.mark = (*letters, *mark), letters, value, mark
        self._values = each(letters, letters, value)

    def has_members(self, lengths: Integers) -> Bools:
        return (lengths >= len(self.mark)) & ((lengths - len(self.mark)) % 2 == 0)

    def draw_members(self, lengths: Integers, rng: np.random.Generator) -> Strings:
        half, starts = (lengths - len(self.mark)) // 2, offsets_of(lengths)[:-1]
        first = rng.integers(0, len(self.letters), int(half.sum()), dtype=np.int32)
        strings, places = np.full(int(lengths.sum()), len(self.letters), dtype=np.int32), places_from(starts, half)
        strings[places] = first
        strings[places + np.repeat(lengths - half, half)] = self._values(first, offsets_of(half))
        return strings

    def _holds(self, text: str) -> bool:
        half = (len(text) - len(self.mark)) // 2
        first = text[:half]
        # The value of a w with a mark in it would have one, too.
        return text[half:] == self.mark + self.value(first) and "#" not in first

    def _add_followers(self, strings: Strings, offsets: Offsets, may_follow: Bools, is_member: Bools) -> None:
        # All that is to come is known once the mark is read, and without a mark never.
        is_known = sums_so_far(strings == len(self.letters), offsets) > 0
        may_follow[~is_known] = True


class StackManipulation(Language):
    """A stack of bits, bottom first; operations ``PUSH 0``, ``PUSH 1`` and ``POP``; ``#``; the stack, top first.

    A string with a POP of an empty stack is not a member.
    """

    symbols = ("0", "1", "PUSH", "POP", "#")

    def __init__(self) -> None:
        self._programs = regular("[01]*(v[01]|\\^)*#[xy]*", "01v^#xy")
        self._acts = (PUT, PUT, NOTHING, TAKE_ANY, NOTHING, 0, 1)
        self._logs = np.zeros((0, 0))

    def has_members(self, lengths: Integers) -> Bools:
        # # alone, 0 # 0, 0 POP #, PUSH 0 # 0 and so on: all but none and two.
        return (lengths == 1) | (lengths >= 3)

    def draw_members(self, lengths: Integers, rng: np.random.Generator) -> Strings:
        logs = self._known_logs(int(np.max(lengths, initial=0)))
        offsets = offsets_of(lengths)
        starts = np.zeros(len(lengths), dtype=np.int64)
        for length in np.unique(lengths):
            # So many stacks of each height, times the ways to go on with the rest of the string.
            heights = np.arange(length)
            ways = heights * np.log(2) + logs[length - heights, heights]
            chosen = lengths == length
            shares = np.exp(ways - np.logaddexp.reduce(ways))
            starts[chosen] = rng.choice(heights, np.count_nonzero(chosen), p=shares / shares.sum())
        strings = np.zeros(int(offsets[-1]), dtype=np.int32)
        stack = np.zeros(int(np.max(lengths, initial=0)) + 1, dtype=np.int32)
        draw_stacks(starts, logs, offsets, rng.random(len(strings)), stack, strings)
        return strings

    def contains(self, strings: Strings, offsets: Offsets) -> Bools:
        program = self._program(strings, offsets)
        _, sizes, fits, _ = stacks(self._acts, program, offsets)
        return fits & (sizes == 0) & self._programs.contains(program, offsets)

    def _add_followers(self, strings: Strings, offsets: Offsets, may_follow: Bools, is_member: Bools) -> None:
        program = self._program(strings, offsets)
        rows = self._programs.followers(program, offsets)[:, :5]
        rows[:, 3] &= stacks(self._acts, program, offsets)[3] >= 0
        may_follow |= rows

    def _program(self, strings: Strings, offsets: Offsets) -> Strings:
        """Return strings whose bits behind the mark are other symbols (x and y), which take a bit from the stack."""
        marks = offsets_of(strings == 4)
        is_behind = marks[:-1] > np.repeat(marks[offsets[:-1]], np.diff(offsets))
        return np.where(is_behind & (strings < 2), strings + 5, strings)

    def _known_logs(self, longest: int) -> NDArray[np.float64]:
        """Return the logarithm of the ways to go on, by the symbols that are left and the height of the stack."""
        if len(self._logs) <= longest:
            logs = np.full((longest + 1, longest + 3), -np.inf)
            for left in range(1, longest + 1):
                logs[left, left - 1] = 0
                if left >= 2:
                    logs[left, :-1] = np.logaddexp(logs[left, :-1], np.log(2) + logs[left - 2, 1:])
                logs[left, 1:] = np.logaddexp(logs[left, 1:], logs[left - 1, :-1])
            self._logs = logs
        return self._logs


class MissingDuplicate(_OfTexts):
    """``w w`` of bits with one 1 hidden as ``_``."""

    symbols = ("0", "1", "_")

    def has_members(self, lengths: Integers) -> Bools:
        return (lengths >= 2) & (lengths % 2 == 0)

    def draw_members(self, lengths: Integers, rng: np.random.Generator) -> Strings:
        return draw_hidden(lengths, rng, 1)

    def _holds(self, text: str) -> bool:
        return hidden(text) == "1" and len(text) % 2 == 0

    def _add_followers(self, strings: Strings, offsets: Offsets, may_follow: Bools, is_member: Bools) -> None:
        may_follow[:, :2] = True
        may_follow[:, 2] = sums_so_far(strings == 2, offsets) == 0


class Arithmetic(_OfTexts):
    """Binary numbers with signs between, of which the last is ``work(*numbers)`` of the others.

    Numbers are little-endian: ``011`` is six. They have at least one digit, and may end in zeros. ``ways(digits)`` is
    the logarithm (base 2) of how many members have so many digits in each number, (N, numbers). ``draw(digits, rng)``
    draws all numbers but the last, again and again until that fits.
    """

    def __init__(
        self,
        signs: str,
        work: Callable[..., int],
        ways: Callable[[Integers], NDArray[np.float64]],
        draw: Callable[[list[int], np.random.Generator], list[int]],
    ) -> None:
        self.symbols, self.signs, self.work, self.ways, self.draw = ("0", "1", *signs), signs, work, ways, draw
        self._known: dict[int, tuple[Integers, NDArray[np.float64]]] = {}
        self._pattern = re.compile("".join(f"([01]+){re.escape(sign)}" for sign in signs) + "([01]+)")

    def has_members(self, lengths: Integers) -> Bools:
        return lengths >= 2 * len(self.signs) + 1

    def draw_members(self, lengths: Integers, rng: np.random.Generator) -> Strings:
        shapes = np.zeros((len(lengths), len(self.signs) + 1), dtype=np.int64)
        for length in np.unique(lengths):
            chosen = lengths == length
            digits, shares = self._shapes(int(length))
            shapes[chosen] = digits[rng.choice(len(shares), np.count_nonzero(chosen), p=shares)]
        parts: list[str] = []
        for sizes in shapes.tolist():
            numbers = self.draw(sizes, rng)
            while (result := self.work(*numbers)).bit_length() > sizes[-1]:
                numbers = self.draw(sizes, rng)
            for value, size, sign in zip((*numbers, result), sizes, (*self.signs, ""), strict=True):
                parts += bits_of(value, size), sign
        return as_tokens("".join(self.symbols), parts)

    def _shapes(self, length: int) -> tuple[Integers, NDArray[np.float64]]:
        """Return the digits of the numbers of a string in all ways, int64 (ways, numbers), and the share of each."""
        if length in self._known:
            return self._known[length]
        total = length - len(self.signs)
        first = np.meshgrid(*[np.arange(1, total)] * len(self.signs), indexing="ij")
        last = total - np.sum(first, axis=0)
        digits = np.column_stack([counts[last >= 1] for counts in (*first, last)])
        logs = self.ways(digits)
        shares = np.exp2(logs - logs.max())
        found = digits, shares / shares.sum()
        if length <= LONGEST_KEPT:
            self._known[length] = found
        return found

    def _holds(self, text: str) -> bool:
        match = self._pattern.fullmatch(text)
        if not match:
            return False
        *numbers, result = map(number, match.groups())
        return self.work(*numbers) == result

    def _add_followers(self, strings: Strings, offsets: Offsets, may_follow: Bools, is_member: Bools) -> None:
        read, last = sums_so_far(strings > 1, offsets), preceded(strings, offsets, 2)[0]
        may_follow[read < len(self.signs), :2] = True
        for sign in range(len(self.signs)):
            # A number has at least one digit.
            may_follow[(read == sign) & (last < 2), 2 + sign] = True
        # The result is known, except zeros at its end.
        may_follow[is_member, 0] = True


def _random(rng: np.random.Generator, bits: int) -> int:
    """Return an integer with at most this many bits, all equally likely."""
    return int.from_bytes(rng.bytes((bits + 7) // 8), "little") & ((1 << bits) - 1)


def _ways_to_add(digits: Integers) -> NDArray[np.float64]:
    most = digits[:, 2]
    # Numbers with more digits than the sum have zeros there.
    small, large = np.sort(np.minimum(digits[:, :2], most[:, np.newaxis]), axis=1).T.astype(float)
    # With as many digits as the sum, a number must be small enough for the other: 2^L - b of them for each b.
    tight = np.log2(1 - np.exp2(small - large - 1) + np.exp2(-large - 1))
    return small + large + np.where(large == most, tight, 0)


def _draw_terms(digits: list[int], rng: np.random.Generator) -> list[int]:
    *two, most = digits
    return [_random(rng, min(count, most)) for count in two]


def _draw_factors(digits: list[int], rng: np.random.Generator) -> list[int]:
    one, other, most = digits
    bits = int(rng.integers(0, one + 1))
    first = _random(rng, bits)
    room = min(other, max(0, most - bits + 1)) if first else other
    return [first, _random(rng, int(rng.integers(0, room + 1)))]


def addition() -> Arithmetic:
    """Return ``a + b = sum``, all members of a length equally likely."""
    return Arithmetic("+=", operator.add, _ways_to_add, _draw_terms)


def multiplication() -> Arithmetic:
    """Return ``a * b = product``; the numbers of digits are drawn evenly, then the bits of a and b that are not zero.

    How many products fit into so many digits is not known in a closed form, so members are not equally likely.
    """
    return Arithmetic("\N{MULTIPLICATION SIGN}=", operator.mul, lambda digits: np.zeros(len(digits)), _draw_factors)


def square_root() -> Arithmetic:
    """Return ``x = root``, the integer square root of x, all members of a length equally likely."""
    # x has a root of so many digits if it has twice as many at most.
    return Arithmetic(
        "=",
        isqrt,
        lambda digits: np.minimum(digits[:, 0], 2 * digits[:, 1]).astype(float),
        lambda digits, rng: [_random(rng, min(digits[0], 2 * digits[1]))],
    )
