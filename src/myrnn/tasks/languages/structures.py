"""Languages that count: a majority of bits, equally many of each letter, balanced brackets."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from myrnn.sequences import offsets_of, ramp, sums
from myrnn.tasks.languages.finite import BITS, bracket_names
from myrnn.tasks.languages.functions import stacks
from myrnn.tasks.languages.kernels import PUT, draw_brackets
from myrnn.tasks.languages.language import (
    Bools,
    Integers,
    Language,
    Offsets,
    Strings,
    checked_symbols,
    redrawn,
    sums_so_far,
)


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
            lambda strings, offsets: sums(2 * strings - 1, offsets) != 0,
            "no bit has the majority in {tries:,} strings of length {length}",
        )
        strings ^= np.repeat(sums(2 * strings - 1, offsets_of(lengths)) < 0, lengths)
        return strings

    def contains(self, strings: Strings, offsets: Offsets) -> Bools:
        return sums(2 * strings - 1, offsets) > 0

    def _add_followers(self, strings: Strings, offsets: Offsets, may_follow: Bools, is_member: Bools) -> None:
        may_follow[:] = True


class Blocks(Language):
    """Equally many of each letter: in blocks, as a^n b^n c^n, or, if not `ordered`, in any order."""

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
        return self.has_members(lengths) & (sums(given != self._blocks(lengths), offsets) == 0)

    def _add_followers(self, strings: Strings, offsets: Offsets, may_follow: Bools, is_member: Bools) -> None:
        if not self.ordered:
            may_follow[:] = True
            return
        # In the first block it may go on, or the second one begins; from there on all is known.
        is_first = sums_so_far(strings != 0, offsets) == 0
        may_follow[is_first, 0] = True
        has_begun = ramp(np.diff(offsets) + 1) > 0
        may_follow[is_first & has_begun, 1:2] = True

    def _blocks(self, lengths: Integers) -> Strings:
        each = np.maximum(lengths // len(self.symbols), 1)
        blocks = ramp(lengths) // np.repeat(each, lengths)
        return np.minimum(blocks, len(self.symbols) - 1).astype(np.int32)


class Brackets(Language):
    """Balanced brackets of several kinds, however deep."""

    def __init__(self, kinds: int) -> None:
        self.kinds, self.symbols = kinds, bracket_names(kinds)
        self._acts = [PUT] * kinds + [*range(kinds)]
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
        _, sizes, fits, _ = stacks(self._acts, strings, offsets)
        return fits & (sizes == 0)

    def _add_followers(self, strings: Strings, offsets: Offsets, may_follow: Bools, is_member: Bools) -> None:
        # Any bracket may open; of those that close only the partner of the one on top.
        may_follow[:, : self.kinds] = True
        tops = stacks(self._acts, strings, offsets)[3]
        rows = np.flatnonzero(tops >= 0)
        may_follow[rows, strings[tops[rows]] + self.kinds] = True
