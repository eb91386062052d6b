"""Languages of sums, products and square roots of binary numbers, computed with Python integers.

Numbers are little-endian: ``011`` is six. They have at least one digit, and may end in zeros.
"""

from __future__ import annotations

from abc import abstractmethod
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from myrnn.sequences import offsets_of, ramp
from myrnn.tasks.languages.finite import BITS
from myrnn.tasks.languages.language import Bools, Language, Offsets, Strings

Integers = NDArray[np.int64]
# Up to this length of strings, it is kept in how many ways their digits can be those of numbers.
LONGEST_KEPT = 80
# Bits as the characters that int reads.
_TO_TEXT = bytes(range(ord("0"), ord("0") + 2)) + bytes(254)


class _Equation(Language):
    """Binary numbers with signs between them, the last of which is computed from the others."""

    signs: tuple[str, ...]

    def __init__(self) -> None:
        self.symbols = (*BITS, *self.signs)
        self._known: dict[int, tuple[Integers, NDArray[np.float64]]] = {}

    @abstractmethod
    def holds(self, *numbers: int) -> bool:
        """Return whether the last number is the result of the others."""

    @abstractmethod
    def _shapes(self, length: int) -> tuple[Integers, NDArray[np.float64]]:
        """Return the digits of every number, in all ways that a string of this length has, and the share of each."""

    @abstractmethod
    def _draw(self, digits: tuple[int, ...], random: _Bits) -> tuple[int, ...]:
        """Draw numbers with at most this many digits that make a member."""

    def has_members(self, lengths: Integers) -> Bools:
        return lengths >= 2 * len(self.signs) + 1

    def contains(self, strings: Strings, offsets: Offsets) -> Bools:
        found = np.zeros(len(offsets) - 1, dtype=np.bool_)
        # All signs must occur once, in order.
        places = np.flatnonzero(strings > 1)
        begins = np.searchsorted(places, offsets)
        text = strings.astype(np.uint8).tobytes().translate(_TO_TEXT)
        wanted = [2 + sign for sign in range(len(self.signs))]
        for index in np.flatnonzero(np.diff(begins) == len(wanted)):
            between = places[begins[index] : begins[index + 1]]
            if strings[between].tolist() == wanted:
                ends = [*between.tolist(), int(offsets[index + 1])]
                starts = [int(offsets[index]), *(between + 1).tolist()]
                parts = [text[start:end] for start, end in zip(starts, ends, strict=True)]
                found[index] = all(parts) and self.holds(*(int(part[::-1], 2) for part in parts))
        return found

    def draw_members(self, lengths: Integers, rng: np.random.Generator) -> Strings:
        offsets = offsets_of(lengths)
        shapes = np.zeros((len(lengths), len(self.signs) + 1), dtype=np.int64)
        for length in np.unique(lengths):
            chosen = lengths == length
            digits, shares = self._known_shapes(int(length))
            shapes[chosen] = digits[rng.choice(len(shares), np.count_nonzero(chosen), p=shares)]
        random = _Bits(rng)
        parts = []
        for counts in shapes.tolist():
            numbers = self._draw(tuple(counts), random)
            for place, (number, count) in enumerate(zip(numbers, counts, strict=True)):
                parts.append(f"{number:0{count}b}"[::-1])
                if place < len(self.signs):
                    parts.append(chr(ord("2") + place))
        text = "".join(parts).encode()
        strings = np.frombuffer(text, dtype=np.uint8).astype(np.int32) - ord("0")
        assert len(strings) == offsets[-1]
        return strings

    def _others_that_follow(self, strings: Strings, offsets: Offsets, is_member: Bools) -> Bools:
        lengths = np.diff(offsets)
        step, starts = ramp(lengths + 1), np.repeat(offsets[:-1], lengths + 1)
        signs = offsets_of(strings > 1)
        read = signs[starts + step] - signs[starts]
        # The last symbol of each prefix is a digit; a number has at least one.
        has_digit = (step > 0) & (np.append(strings, 0)[starts + step - 1] <= 1)
        found = np.zeros((len(step), len(self.symbols)), dtype=np.bool_)
        found[read < len(self.signs), :2] = True
        for sign in range(len(self.signs)):
            found[(read == sign) & has_digit, 2 + sign] = True
        # The result is known, except zeros at its end.
        found[is_member, 0] = True
        return found

    def _known_shapes(self, length: int) -> tuple[Integers, NDArray[np.float64]]:
        """Return the digits of the numbers, in all ways, and the share of each; those of long strings are many."""
        if length in self._known:
            return self._known[length]
        digits, logs = self._shapes(length)
        shares = np.exp2(logs - logs.max())
        found = digits, shares / shares.sum()
        if length <= LONGEST_KEPT:
            self._known[length] = found
        return found


class _Bits:
    """Random integers of any number of bits."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def __call__(self, bits: int) -> int:
        """Return an integer with at most this many bits, all equally likely."""
        return int.from_bytes(self.rng.bytes((bits + 7) // 8), "little") & ((1 << bits) - 1)


def _three(total: int) -> Integers:
    """Return all ways to make a total of three numbers that are 1 or more, int64 (ways, 3)."""
    first, second = np.meshgrid(np.arange(1, total), np.arange(1, total), indexing="ij")
    third = total - first - second
    return np.column_stack([each[third >= 1] for each in (first, second, third)])


class Addition(_Equation):
    """``a + b = sum``, all members of a length equally likely."""

    signs = ("+", "=")

    def holds(self, *numbers: int) -> bool:
        first, second, result = numbers
        return first + second == result

    def _shapes(self, length: int) -> tuple[Integers, NDArray[np.float64]]:
        digits = _three(length - 2)
        most = digits[:, 2]
        # Numbers with more digits than the sum have zeros there.
        small, large = np.sort(np.minimum(digits[:, :2], most[:, np.newaxis]), axis=1).T.astype(float)
        # With as many digits as the sum, a number must be small enough for the other: 2^L - b of them for each b.
        tight = np.log2(1 - np.exp2(small - large - 1) + np.exp2(-large - 1))
        return digits, small + large + np.where(large == most, tight, 0)

    def _draw(self, digits: tuple[int, ...], random: _Bits) -> tuple[int, ...]:
        *two, most = digits
        while True:
            first, second = (random(min(count, most)) for count in two)
            if (first + second).bit_length() <= most:
                return first, second, first + second


class Multiplication(_Equation):
    """``a * b = product``: the numbers of digits are drawn evenly, and then the bits of a and b that are not zero.

    How many products fit into so many digits is not known in a closed form, so members are not equally likely.
    """

    signs = ("\N{MULTIPLICATION SIGN}", "=")

    def holds(self, *numbers: int) -> bool:
        first, second, result = numbers
        return first * second == result

    def _shapes(self, length: int) -> tuple[Integers, NDArray[np.float64]]:
        digits = _three(length - 2)
        return digits, np.zeros(len(digits))

    def _draw(self, digits: tuple[int, ...], random: _Bits) -> tuple[int, ...]:
        one, other, most = digits
        while True:
            bits = int(random.rng.integers(0, one + 1))
            first = random(bits)
            room = min(other, max(0, most - bits + 1)) if first else other
            second = random(int(random.rng.integers(0, room + 1)))
            if (first * second).bit_length() <= most:
                return first, second, first * second


class SquareRoot(_Equation):
    """``x = root``, the integer square root of x, all members of a length equally likely."""

    signs = ("=",)

    def holds(self, *numbers: int) -> bool:
        square, root = numbers
        return isqrt(square) == root

    def _shapes(self, length: int) -> tuple[Integers, NDArray[np.float64]]:
        one = np.arange(1, length - 1)
        digits = np.column_stack((one, length - 1 - one))
        # x has a root of so many digits if it has twice as many at most.
        return digits, np.minimum(one, 2 * digits[:, 1]).astype(float)

    def _draw(self, digits: tuple[int, ...], random: _Bits) -> tuple[int, ...]:
        square = random(min(digits[0], 2 * digits[1]))
        return square, isqrt(square)
