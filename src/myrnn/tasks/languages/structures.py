"""Languages that no finite automaton accepts: copies and reversals, counts, brackets, a stack that is worked on.

All members of a length are drawn equally often.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from myrnn.sequences import offsets_of, places_from, ramp
from myrnn.tasks.languages.finite import BITS, bracket_names
from myrnn.tasks.languages.kernels import balanced, draw_brackets, draw_stacks, manipulated
from myrnn.tasks.languages.language import Bools, Language, Offsets, Strings, checked_symbols, redrawn

Integers = NDArray[np.int64]


class _Doubled(Language):
    """Strings ``w # f(w)``, or ``w f(w)`` without a mark, where f(w) is as long as w; # is the last symbol."""

    def __init__(self, letters: Iterable[str], mark: str | None = "#") -> None:
        self.letters = checked_symbols(letters)
        self.symbols = checked_symbols((*self.letters, mark) if mark else self.letters)
        self.marks = int(bool(mark))

    @abstractmethod
    def _answer(self, first: Strings, lengths: Integers) -> Strings:
        """Return f(w) of many w."""

    def has_members(self, lengths: Integers) -> Bools:
        return (lengths - self.marks >= 0) & ((lengths - self.marks) % 2 == 0)

    def draw_members(self, lengths: Integers, rng: np.random.Generator) -> Strings:
        half = (lengths - self.marks) // 2
        starts, step = offsets_of(lengths)[:-1], ramp(half)
        strings = np.full(int(lengths.sum()), len(self.letters), dtype=np.int32)
        first = rng.integers(0, len(self.letters), len(step), dtype=np.int32)
        places = np.repeat(starts, half) + step
        strings[places] = first
        strings[places + np.repeat(half + self.marks, half)] = self._answer(first, half)
        return strings

    def contains(self, strings: Strings, offsets: Offsets) -> Bools:
        lengths = np.diff(offsets)
        found = self.has_members(lengths)
        half = np.where(found, (lengths - self.marks) // 2, 0)
        places = places_from(offsets[:-1], half)
        first, second = strings[places], strings[places + np.repeat(half + self.marks, half)]
        # A mark in w would be answered by one, so w must be looked at by itself.
        wrong = (self._answer(first, half) != second) | (first >= len(self.letters))
        owner = np.repeat(np.arange(len(half)), half)
        found &= np.bincount(owner, wrong, minlength=len(half)) == 0
        if self.marks:
            middle = (offsets[:-1] + half)[found]
            found[found] = strings[middle] == len(self.letters)
        return found

    def _others_that_follow(self, strings: Strings, offsets: Offsets, is_member: Bools) -> Bools:
        # All that is to come is known once the mark is read, and without a mark never.
        lengths = np.diff(offsets)
        step = ramp(lengths + 1)
        is_free = step <= np.repeat(lengths // 2, lengths + 1) if self.marks else np.ones(len(step), dtype=np.bool_)
        return np.repeat(is_free[:, np.newaxis], len(self.symbols), axis=1)


class Copy(_Doubled):
    """``w # w``."""

    def _answer(self, first: Strings, lengths: Integers) -> Strings:
        return first


class Reversal(_Doubled):
    """``w # w`` backwards, or without the mark."""

    def _answer(self, first: Strings, lengths: Integers) -> Strings:
        ends = np.repeat(np.cumsum(lengths), lengths)
        return first[ends - 1 - ramp(lengths)]


class OddsFirst(_Doubled):
    """``w # u v``: u has the symbols of w at its first, third, fifth ... place, v the others."""

    def _answer(self, first: Strings, lengths: Integers) -> Strings:
        step, odds = ramp(lengths), np.repeat((lengths + 1) // 2, lengths)
        place = np.where(step < odds, 2 * step, 2 * (step - odds) + 1)
        return first[np.repeat(offsets_of(lengths)[:-1], lengths) + place]


class Sorted(_Doubled):
    """``w # w`` with its symbols in their order."""

    def _answer(self, first: Strings, lengths: Integers) -> Strings:
        return first[np.lexsort((first, np.repeat(np.arange(len(lengths)), lengths)))]


class MissingDuplicate(Language):
    """``w w`` of bits with one 1 hidden as ``_``."""

    symbols = (*BITS, "_")

    def has_members(self, lengths: Integers) -> Bools:
        return (lengths >= 2) & (lengths % 2 == 0)

    def draw_members(self, lengths: Integers, rng: np.random.Generator) -> Strings:
        half, starts = lengths // 2, offsets_of(lengths)[:-1]
        hidden = rng.integers(0, lengths)
        places = np.repeat(starts, half) + ramp(half)
        strings = np.zeros(int(lengths.sum()), dtype=np.int32)
        strings[places] = rng.integers(0, 2, len(places), dtype=np.int32)
        strings[starts + hidden % half] = 1
        strings[places + np.repeat(half, half)] = strings[places]
        strings[starts + hidden] = 2
        return strings

    def contains(self, strings: Strings, offsets: Offsets) -> Bools:
        lengths = np.diff(offsets)
        found = self.has_members(lengths)
        half = np.where(found, lengths // 2, 0)
        places = places_from(offsets[:-1], half)
        first, second = strings[places], strings[places + np.repeat(half, half)]
        owner = np.repeat(np.arange(len(half)), half)
        # 1 and 2 are what a place and its partner add up to 3 by, if one of the two is hidden.
        hidden = first + second == 3
        wrong = ~hidden & ((first != second) | (first == 2))
        counts = [np.bincount(owner, each, minlength=len(half)) for each in (hidden, wrong)]
        return found & (counts[0] == 1) & (counts[1] == 0)

    def _others_that_follow(self, strings: Strings, offsets: Offsets, is_member: Bools) -> Bools:
        lengths = np.diff(offsets)
        step, starts = ramp(lengths + 1), np.repeat(offsets[:-1], lengths + 1)
        before = offsets_of(strings == 2)
        found = np.ones((len(step), 3), dtype=np.bool_)
        found[:, 2] = before[starts + step] == before[starts]
        return found


class Majority(Language):
    """Bits of which more than half are 1."""

    symbols = BITS

    def has_members(self, lengths: Integers) -> Bools:
        return lengths >= 1

    def draw_members(self, lengths: Integers, rng: np.random.Generator) -> Strings:
        # Strings of which neither bit has the majority are drawn again; where 0 has it, all bits are turned.
        strings = redrawn(
            lengths,
            lambda counts: self.draw_any(counts, rng),
            lambda strings, offsets: _more(strings, offsets) != 0,
            "no bit has the majority in {tries:,} strings of length {length}",
        )
        strings ^= np.repeat(_more(strings, offsets_of(lengths)) < 0, lengths)
        return strings

    def contains(self, strings: Strings, offsets: Offsets) -> Bools:
        return _more(strings, offsets) > 0

    def _others_that_follow(self, strings: Strings, offsets: Offsets, is_member: Bools) -> Bools:
        return np.ones((len(is_member), 2), dtype=np.bool_)


def _more(strings: Strings, offsets: Offsets) -> Integers:
    """Return how many more 1s than 0s there are in each of many strings of bits."""
    return np.diff(offsets_of(2 * strings - 1)[offsets])


class Blocks(Language):
    """Equally many of each letter: in blocks, as a^n b^n c^n, or in any order.

    Parameters
    ----------
    letters : iterable of str
    ordered : bool
        Whether each letter must have come to its end before the next one begins.
    """

    def __init__(self, letters: Iterable[str], ordered: bool = True) -> None:
        self.symbols, self.ordered = checked_symbols(letters), ordered

    def has_members(self, lengths: Integers) -> Bools:
        return lengths % len(self.symbols) == 0

    def draw_members(self, lengths: Integers, rng: np.random.Generator) -> Strings:
        strings = self._blocks(lengths)
        if self.ordered:
            return strings
        owner = np.repeat(np.arange(len(lengths)), lengths)
        return strings[np.lexsort((rng.random(len(strings)), owner))]

    def contains(self, strings: Strings, offsets: Offsets) -> Bools:
        lengths = np.diff(offsets)
        owner = np.repeat(np.arange(len(lengths)), lengths)
        given = strings if self.ordered else strings[np.lexsort((strings, owner))]
        wrong = given != self._blocks(lengths)
        return self.has_members(lengths) & (np.bincount(owner, wrong, minlength=len(lengths)) == 0)

    def _others_that_follow(self, strings: Strings, offsets: Offsets, is_member: Bools) -> Bools:
        found = np.ones((len(is_member), len(self.symbols)), dtype=np.bool_)
        if self.ordered:
            # In the first block it may go on, or the second one begins; from there on all is known.
            lengths = np.diff(offsets)
            step = ramp(lengths + 1)
            is_first = step <= np.repeat(lengths // len(self.symbols), lengths + 1)
            found[:] = False
            found[is_first, 0] = True
            found[is_first & (step > 0), 1:2] = True
        return found

    def _blocks(self, lengths: Integers) -> Strings:
        each = np.maximum(lengths // len(self.symbols), 1)
        blocks = ramp(lengths) // np.repeat(each, lengths)
        return np.minimum(blocks, len(self.symbols) - 1).astype(np.int32)


class Dyck(Language):
    """Balanced brackets of several kinds, however deep."""

    def __init__(self, kinds: int) -> None:
        self.kinds, self.symbols = kinds, bracket_names(kinds)
        self._logs = np.zeros((0, 0))

    def has_members(self, lengths: Integers) -> Bools:
        return lengths % 2 == 0

    def draw_members(self, lengths: Integers, rng: np.random.Generator) -> Strings:
        longest = int(np.max(lengths, initial=0))
        if len(self._logs) <= longest:
            # How many ways there are to go on, by the symbols that are left and the brackets that are open.
            logs = np.full((longest + 1, longest + 3), -np.inf)
            logs[0, 0] = 0
            for left in range(1, longest + 1):
                logs[left, :-1] = np.log(self.kinds) + logs[left - 1, 1:]
                logs[left, 1:] = np.logaddexp(logs[left, 1:], logs[left - 1, :-1])
            self._logs = logs
        offsets = offsets_of(lengths)
        strings = np.zeros(int(offsets[-1]), dtype=np.int32)
        stack = np.zeros(longest + 1, dtype=np.int32)
        draw_brackets(self.kinds, self._logs, offsets, rng.random(len(strings)), stack, strings)
        return strings

    def contains(self, strings: Strings, offsets: Offsets) -> Bools:
        found = np.zeros(len(offsets) - 1, dtype=np.bool_)
        stack = np.zeros(int(np.diff(offsets).max(initial=0)) + 1, dtype=np.int32)
        balanced(self.kinds, np.ascontiguousarray(strings, dtype=np.int32), offsets, stack, found)
        return found

    def _others_that_follow(self, strings: Strings, offsets: Offsets, is_member: Bools) -> Bools:
        # Any bracket may open; which one closes is known, and only where it does not come next, it must be found.
        found = np.zeros((len(is_member), len(self.symbols)), dtype=np.bool_)
        found[:, : self.kinds] = True
        row, tokens, ends = 0, strings.tolist(), offsets.tolist()
        for begin, end in pairwise(ends):
            stack: list[int] = []
            for place in range(begin, end):
                if stack:
                    found[row, stack[-1] + self.kinds] = True
                token = tokens[place]
                if token < self.kinds:
                    stack.append(token)
                else:
                    stack.pop()
                row += 1
            row += 1
        return found


class StackManipulation(Language):
    """A stack of bits, bottom first; operations ``PUSH 0``, ``PUSH 1`` and ``POP``; ``#``; the stack, top first.

    A string with a POP of an empty stack is not a member.
    """

    symbols = (*BITS, "PUSH", "POP", "#")

    def __init__(self) -> None:
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
        found = np.zeros(len(offsets) - 1, dtype=np.bool_)
        stack = np.zeros(int(np.diff(offsets).max(initial=0)) + 1, dtype=np.int32)
        manipulated(np.ascontiguousarray(strings, dtype=np.int32), offsets, stack, found)
        return found

    def _others_that_follow(self, strings: Strings, offsets: Offsets, is_member: Bools) -> Bools:
        push, pop, mark = 2, 3, 4
        found = np.zeros((len(is_member), len(self.symbols)), dtype=np.bool_)
        row, tokens, ends = 0, strings.tolist(), offsets.tolist()
        for begin, end in pairwise(ends):
            height, before, has_begun = 0, -1, False
            for place in range(begin, end):
                token = tokens[place]
                if before == push:
                    found[row, :push] = True
                else:
                    found[row, [push, mark]] = True
                    found[row, :push] = not has_begun
                    found[row, pop] = height > 0
                if token == mark:
                    row += end - place
                    break
                height += 1 if token < push else -1 if token == pop else 0
                has_begun |= token >= push
                before = token
                row += 1
            row += 1
        return found

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
