"""Languages of pairs ``w # f(w)``, of equations of binary numbers, and of ``w w`` with a bit hidden."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from myrnn.flat import offsets_of, places_from
from myrnn.tasks.languages.functions import Text, as_tokens, bits_of, draw_hidden, each, hidden, number
from myrnn.tasks.languages.language import Bools, Integers, Offsets, OneByOne, Strings, preceded, sums_so_far

# The shares of numbers of digits are kept for strings up to this length; those of longer ones are many.
LONGEST_KEPT = 80


class Pairs(OneByOne):
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


class MissingDuplicate(OneByOne):
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


class Arithmetic(OneByOne):
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
