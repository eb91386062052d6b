"""Loops over the symbols of many strings that NumPy cannot vectorize, compiled by Numba on first call."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np

_Function = TypeVar("_Function", bound=Callable[..., Any])


def native(function: _Function) -> _Function:
    """Compile a function on first call; the machine code is cached on disk if possible."""
    compiled: list[Callable[..., Any]] = []

    @wraps(function)
    def call(*arguments: Any) -> Any:
        if not compiled:
            from numba import njit

            try:
                compiled.append(njit(cache=True)(function))
            except RuntimeError:
                # No folder is writable.
                compiled.append(njit(function))
        return compiled[0](*arguments)

    return call  # type: ignore[return-value]


@native
def follow(moves: Any, strings: Any, offsets: Any, states: Any) -> None:
    """Write the states that each string goes through, from 0 on."""
    at = 0
    for index in range(len(offsets) - 1):
        state = 0
        states[at] = 0
        at += 1
        for place in range(offsets[index], offsets[index + 1]):
            state = moves[state, strings[place]]
            states[at] = state
            at += 1


@native
def draw_paths(moves: Any, shares: Any, offsets: Any, uniform: Any, strings: Any) -> None:
    """Write an accepted string of each length; ``shares[left, state]`` has a symbol's share and those before it."""
    for index in range(len(offsets) - 1):
        state, left = 0, offsets[index + 1] - offsets[index]
        for place in range(offsets[index], offsets[index + 1]):
            token = 0
            while uniform[place] >= shares[left, state, token]:
                token += 1
            strings[place] = token
            state = moves[state, token]
            left -= 1


# What a walk of heights does: the mark ends it.
MARK, DOWN, UP = 0, 1, 2


@native
def draw_walks(
    starts: Any, logs: Any, offsets: Any, width: int, kinds: int, has_mark: bool, uniform: Any, moves: Any
) -> None:
    """Write the moves of a stack's height, which begins with some symbols; see `known.StackLanguage`.

    At a move up ``uniform`` gets a number that is uniform there.
    """
    for index in range(len(offsets) - 1):
        end, height = offsets[index + 1], starts[index]
        place = offsets[index] + height
        while place < end:
            left, rest, taken = end - place, uniform[place], 0.0
            chosen = UP
            for move in (MARK, DOWN, UP):
                share = 0.0
                if move == MARK and has_mark and left == height + 1:
                    share = np.exp(-logs[left, height])
                elif move == DOWN and height > 0:
                    share = np.exp(logs[left - 1, height - 1] - logs[left, height])
                elif move == UP and left >= width:
                    share = kinds * np.exp(logs[left - width, height + 1] - logs[left, height])
                    uniform[place] = rest / (1 - taken) if share > 0 else 0.0
                if share > 0:
                    # Rounding may leave a remainder: the last possible one takes it.
                    chosen = move
                    if rest < share:
                        break
                    rest, taken = rest - share, taken + share
            moves[place] = chosen
            if chosen == MARK:
                moves[place:end] = MARK
                break
            place += width if chosen == UP else 1
            height += 1 if chosen == UP else -1


# What a symbol does to a stack; a number from 0 on takes that symbol from the top.
PUT, NOTHING, TAKE_ANY = -3, -2, -1


@native
def track_stacks(acts: Any, strings: Any, offsets: Any, left: Any, sizes: Any, fits: Any, tops: Any) -> None:
    """Write what `functions.stacks` returns; what cannot be taken stays."""
    for index in range(len(offsets) - 1):
        begin, height, fit = offsets[index], 0, True
        for place in range(begin, offsets[index + 1]):
            tops[place + index] = left[begin + height - 1] if height > 0 else -1
            act = acts[strings[place]]
            if act == PUT:
                left[begin + height] = place
                height += 1
            elif act != NOTHING:
                if height > 0 and (act == TAKE_ANY or act == strings[left[begin + height - 1]]):
                    height -= 1
                else:
                    fit = False
        tops[offsets[index + 1] + index] = left[begin + height - 1] if height > 0 else -1
        sizes[index], fits[index] = height, fit


@native
def draw_trees(binary: Any, terminal: Any, logs: Any, offsets: Any, uniform: Any, waiting: Any, strings: Any) -> None:
    """Write strings of a grammar in normal form, each of its trees equally likely.

    Rows of `binary` are (left, first, second), those of `terminal` (left, token); ``logs[n, A]`` is the logarithm of
    the number of trees of A with n leaves. `waiting` is room for parts that are still to be written.
    """
    for index in range(len(offsets) - 1):
        place, used = offsets[index], 2 * offsets[index]
        waiting[0, 0], waiting[0, 1] = 0, offsets[index + 1] - offsets[index]
        count = 1 if waiting[0, 1] else 0
        while count:
            count -= 1
            symbol, length = waiting[count, 0], waiting[count, 1]
            total, rest = logs[length, symbol], uniform[used]
            used += 1
            chosen, split = -1, 0
            if length == 1:
                for row in range(len(terminal)):
                    if terminal[row, 0] == symbol:
                        chosen = row
                        rest -= np.exp(-total)
                        if rest < 0:
                            break
                strings[place] = terminal[chosen, 1]
                place += 1
                continue
            for row in range(len(binary)):
                if binary[row, 0] != symbol:
                    continue
                for first in range(1, length):
                    way = logs[first, binary[row, 1]] + logs[length - first, binary[row, 2]]
                    if way > -np.inf:
                        chosen, split = row, first
                        rest -= np.exp(way - total)
                        if rest < 0:
                            break
                if rest < 0:
                    break
            waiting[count, 0], waiting[count, 1] = binary[chosen, 2], length - split
            waiting[count + 1, 0], waiting[count + 1, 1] = binary[chosen, 1], split
            count += 2


# A set of nonterminals that is not computed yet.
UNKNOWN = np.uint64(2**64 - 1)


@native
def parse(
    binary: Any, terminal: Any, corners: Any, leaves: Any, masks: Any, joined: Any, known: int, strings: Any,
    offsets: Any, found: Any, follows: Any,
) -> int:  # fmt: skip
    """Write which strings have a tree, and return how many sets of nonterminals are known; -1 if there is no room.

    A set is a number: ``masks[number]`` has a bit for each nonterminal. 0 is the empty set, and ``leaves[token]`` the
    set of a token. ``joined[a, b]`` is the mask of the set that derives what a and b derive one after the other,
    `UNKNOWN` until it is needed. Cocke, Younger and Kasami's algorithm, over sets.

    If `follows`, bool (sum of T + N, V + 1), has rows, also write into them which symbols may follow each prefix, and
    in the last column whether the prefix has a tree; the rows of empty prefixes are left unchanged. As in Earley's
    algorithm, a nonterminal may begin at a place if a rule that began earlier has it next, and then its first symbol
    may follow. ``corners[a]`` has a bit for each nonterminal that can be first in what a derives, a itself among them.
    """
    for index in range(len(offsets) - 1):
        begin, length = offsets[index], offsets[index + 1] - offsets[index]
        if length == 0:
            continue
        chart = np.zeros((length + 1, length), dtype=np.int16)
        for place in range(length):
            chart[1, place] = leaves[strings[begin + place]]
        for size in range(2, length + 1):
            for place in range(length - size + 1):
                whole = masks[0]
                for first in range(1, size):
                    one = chart[first, place]
                    if one == 0:
                        continue
                    other = chart[size - first, place + first]
                    if other == 0:
                        continue
                    both = joined[one, other]
                    if both == UNKNOWN:
                        both = masks[0]
                        for row in range(len(binary)):
                            has_first = (masks[one] >> np.uint64(binary[row, 1])) & np.uint64(1)
                            has_second = (masks[other] >> np.uint64(binary[row, 2])) & np.uint64(1)
                            if has_first and has_second:
                                both |= np.uint64(1) << np.uint64(binary[row, 0])
                        joined[one, other] = both
                    whole |= both
                if whole:
                    number = 0
                    while number < known and masks[number] != whole:
                        number += 1
                    if number == known:
                        if known == len(masks):
                            return -1
                        masks[known] = whole
                        known += 1
                    chart[size, place] = number
        found[index] = masks[chart[length, 0]] & np.uint64(1) != 0
        if len(follows) == 0:
            continue
        possible = np.zeros(length + 1, dtype=np.uint64)
        possible[0] = corners[0]
        for end in range(1, length + 1):
            for place in range(end):
                done = masks[chart[end - place, place]]
                if done == 0:
                    continue
                for row in range(len(binary)):
                    has_begun = (possible[place] >> np.uint64(binary[row, 0])) & np.uint64(1)
                    if has_begun and (done >> np.uint64(binary[row, 1])) & np.uint64(1):
                        possible[end] |= corners[binary[row, 2]]
            for row in range(len(terminal)):
                if (possible[end] >> np.uint64(terminal[row, 0])) & np.uint64(1):
                    follows[begin + index + end, terminal[row, 1]] = True
            follows[begin + index + end, -1] = masks[chart[end, 0]] & np.uint64(1) != 0
    return known


@native
def count_trees(binary: Any, terminal: Any, symbols: int, strings: Any, offsets: Any, counts: Any) -> None:
    """Write how many trees each string has, as floats."""
    for index in range(len(offsets) - 1):
        begin, length = offsets[index], offsets[index + 1] - offsets[index]
        if length == 0:
            counts[index] = 1
            continue
        chart = np.zeros((length + 1, length, symbols))
        for place in range(length):
            for row in range(len(terminal)):
                if terminal[row, 1] == strings[begin + place]:
                    chart[1, place, terminal[row, 0]] += 1
        for size in range(2, length + 1):
            for place in range(length - size + 1):
                for first in range(1, size):
                    for row in range(len(binary)):
                        ways = chart[first, place, binary[row, 1]]
                        if ways > 0:
                            ways *= chart[size - first, place + first, binary[row, 2]]
                            chart[size, place, binary[row, 0]] += ways
        counts[index] = chart[length, 0, 0]


@native
def edit(
    strings: Any,
    offsets: Any,
    inserts: Any,
    deletes: Any,
    replaces: Any,
    symbols: int,
    random: Any,
    edited: Any,
    to: Any,
) -> None:
    """Write strings with so many symbols put in, taken out and replaced; `random` has two integers for each edit."""
    used = 0
    buffer = np.zeros(1, dtype=np.int32)
    for index in range(len(offsets) - 1):
        length = offsets[index + 1] - offsets[index]
        if len(buffer) < length + inserts[index]:
            buffer = np.zeros(2 * (length + inserts[index]), dtype=np.int32)
        buffer[:length] = strings[offsets[index] : offsets[index + 1]]
        for _ in range(inserts[index]):
            place = random[used] % (length + 1)
            for at in range(length, place, -1):
                buffer[at] = buffer[at - 1]
            buffer[place] = random[used + 1] % symbols
            length += 1
            used += 2
        for _ in range(deletes[index]):
            length -= 1
            for at in range(random[used] % (length + 1), length):
                buffer[at] = buffer[at + 1]
            used += 2
        for _ in range(replaces[index]):
            if length and symbols > 1:
                place = random[used] % length
                buffer[place] = (buffer[place] + 1 + random[used + 1] % (symbols - 1)) % symbols
            used += 2
        edited[to[index] : to[index] + length] = buffer[:length]
