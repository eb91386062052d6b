"""Languages that are known by name: Tomita's and FLaRe's, and those that count symbols or brackets."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.flat import offsets_of, owners_of, places_from, ramp, sums
from myrnn.tasks.languages import pairs
from myrnn.tasks.languages.automata import MOST_STATES, Dfa
from myrnn.tasks.languages.functions import DIGITS, MODULUS, from_top, stacks
from myrnn.tasks.languages.kernels import DOWN, NOTHING, PUT, TAKE_ANY, UP, draw_walks
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
from myrnn.tasks.languages.regular import regular

BITS = ("0", "1")
_TOMITA = (
    "1*",
    "(10)*",
    "0*((11)+0+|1(11)*(00)+)*1*",
    "((|0|00)1)*(|0|00)",
    "(00|11|(01|10)(00|11)*(01|10))*",
    "(1(10)*(0|11)|0(01)*(1|00))*",
    "0*1*0*1*",
)


# --- automata


def cycle_navigation() -> Dfa:
    """Return moves on a cycle of five (``<`` back, ``>`` forward, ``=`` stay) and then the place where they end."""
    moves = {"<": -1, ">": 1, "=": 0}
    symbols = (*moves, *DIGITS)

    def move(state: int | str, token: int) -> int | str:
        name = symbols[token]
        if not isinstance(state, int):
            return "lost"
        return (state + moves[name]) % MODULUS if name in moves else ("end" if int(name) == state else "lost")

    return Dfa.explored(symbols, 0, move, lambda state: state == "end")


def modular_arithmetic() -> Dfa:
    """Return expressions of + - *, worked out from left to right, then ``=`` and the value, modulo 5."""
    signs = {"+": operator.add, "-": operator.sub, "*": operator.mul, "=": operator.eq}
    symbols = (*DIGITS, *signs)

    def move(state: str, token: int) -> str:
        """Return the value so far and the sign after it, if there is one."""
        name = symbols[token]
        # Digits and signs alternate.
        if state in ("lost", "end") or (name in signs) != state[-1:].isdigit():
            return "lost"
        if name in signs or not state:
            return state + name
        value = signs[state[1]](int(state[0]), token)
        if state[1] == "=":
            return "end" if value else "lost"
        return str(value % MODULUS)

    return Dfa.explored(symbols, "", move, lambda state: state == "end")


def bounded_dyck(kinds: int, depth: int) -> Dfa:
    """Return balanced brackets, at most so many within each other; refuse too many states."""
    states, level = 1, 1
    for _ in range(depth):
        level *= kinds
        states += level
        # Each has a way for each of the symbols.
        if states * kinds >= MOST_STATES:
            raise InvalidArgument(f"{kinds} kinds of brackets, {depth} deep, take too many states: leave the depth out")

    def move(open_: tuple[int, ...] | None, token: int) -> tuple[int, ...] | None:
        if open_ is None:
            return None
        if token < kinds:
            return (*open_, token) if len(open_) < depth else None
        return open_[:-1] if open_ and open_[-1] == token - kinds else None

    return Dfa.explored(bracket_names(kinds), (), move, lambda open_: open_ == ())


# --- counts


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
        owner = owners_of(lengths)
        return strings[np.lexsort((rng.random(len(strings)), owner))]

    def contains(self, strings: Strings, offsets: Offsets) -> Bools:
        lengths = np.diff(offsets)
        owner = owners_of(lengths)
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


def bracket_names(kinds: int) -> tuple[str, ...]:
    """Return the names of the symbols of so many kinds of brackets, all that open and then all that close."""
    if kinds <= 3:
        return (*"([{"[:kinds], *")]}"[:kinds])
    return (*(f"({kind}" for kind in range(kinds)), *(f"){kind}" for kind in range(kinds)))


class StackLanguage(Language):
    """A language whose members put symbols on a stack and take them off, drawn by counting the ways to go on."""

    # How many symbols it takes to put one on the stack, and how many kinds can be put there; whether a mark ends that,
    # with as many symbols behind it as the stack has then. Otherwise the stack must be empty at the end.
    width, kinds, has_mark = 1, 1, False

    def __init__(self) -> None:
        self._logs = np.zeros((0, 0))

    def _ways(self, longest: int) -> NDArray[np.float64]:
        """Return the logarithm of the ways to go on, by the symbols that are left and the height of the stack."""
        if len(self._logs) <= longest:
            logs = np.full((longest + 1, longest + 3), -np.inf)
            if self.has_mark:
                np.fill_diagonal(logs[1:], 0)
            else:
                logs[0, 0] = 0
            for left in range(1, longest + 1):
                if left >= self.width:
                    logs[left, :-1] = np.logaddexp(logs[left, :-1], np.log(self.kinds) + logs[left - self.width, 1:])
                logs[left, 1:] = np.logaddexp(logs[left, 1:], logs[left - 1, :-1])
            self._logs = logs
        return self._logs

    def _walks(
        self, starts: Integers, lengths: Integers, rng: np.random.Generator
    ) -> tuple[Integers, NDArray[np.float64]]:
        """Return how the stack moves at each step of strings, and a uniform number; -1 is for a symbol put on it."""
        offsets, uniform = offsets_of(lengths), rng.random(int(lengths.sum()))
        moves = np.full(len(uniform), -1)
        logs = self._ways(int(np.max(lengths, initial=0)))
        draw_walks(starts, logs, offsets, self.width, self.kinds, self.has_mark, uniform, moves)
        return moves, uniform


class Brackets(StackLanguage):
    """Balanced brackets of several kinds, however deep."""

    def __init__(self, kinds: int) -> None:
        super().__init__()
        self.kinds, self.symbols = kinds, bracket_names(kinds)
        self._acts = [PUT] * kinds + [*range(kinds)]

    def has_members(self, lengths: Integers) -> Bools:
        return lengths % 2 == 0

    def draw_members(self, lengths: Integers, rng: np.random.Generator) -> Strings:
        moves, uniform = self._walks(np.zeros(len(lengths), dtype=np.int64), lengths, rng)
        strings = np.minimum((uniform * self.kinds).astype(np.int32), self.kinds - 1)
        # Each bracket that closes is the partner of the one on top.
        closes = np.where(moves == UP, 0, self.kinds)
        tops = stacks(self._acts, closes, offsets_of(lengths))[3]
        places = np.flatnonzero(moves == DOWN)
        strings[places] = strings[tops[places + owners_of(lengths)[places]]] + self.kinds
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


class StackManipulation(StackLanguage):
    """A stack of bits, bottom first; operations ``PUSH 0``, ``PUSH 1`` and ``POP``; ``#``; the stack, top first.

    A string with a POP of an empty stack is not a member.
    """

    symbols = ("0", "1", "PUSH", "POP", "#")
    width, kinds, has_mark = 2, 2, True

    def __init__(self) -> None:
        super().__init__()
        self._programs = regular("[01]*(v[01]|\\^)*#[xy]*", "01v^#xy")
        self._acts = (PUT, PUT, NOTHING, TAKE_ANY, NOTHING, 0, 1)

    def has_members(self, lengths: Integers) -> Bools:
        # # alone, 0 # 0, 0 POP #, PUSH 0 # 0 and so on: all but none and two.
        return (lengths == 1) | (lengths >= 3)

    def draw_members(self, lengths: Integers, rng: np.random.Generator) -> Strings:
        logs, offsets = self._ways(int(np.max(lengths, initial=0))), offsets_of(lengths)
        starts = np.zeros(len(lengths), dtype=np.int64)
        for length in np.unique(lengths):
            # So many stacks of each height, times the ways to go on with the rest of the string.
            heights = np.arange(length)
            ways = heights * np.log(2) + logs[length - heights, heights]
            chosen = lengths == length
            shares = np.exp(ways - np.logaddexp.reduce(ways))
            starts[chosen] = rng.choice(heights, np.count_nonzero(chosen), p=shares / shares.sum())
        moves, uniform = self._walks(starts, lengths, rng)
        strings = np.choose(moves + 1, [uniform < 0.5, 4, 3, 2]).astype(np.int32)
        left, sizes, _, _ = stacks(self._acts, strings, offsets)
        strings[places_from(offsets[1:] - sizes, sizes)] = strings[from_top(left, sizes, offsets)]
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


# --- by name


@cache
def tomita(number: int) -> Dfa:
    """Return one of Tomita's seven languages over 0 and 1, as its smallest automaton.

    They are (1) ``1*``, (2) ``(10)*``, (3) no odd run of 1s with an odd run of 0s right after it, (4) no ``000``,
    (5) an even number of 0s and one of 1s, (6) as many 0s as 1s, modulo 3, (7) ``0*1*0*1*``.

    Parameters
    ----------
    number : int
        1 to 7.

    Returns
    -------
    Dfa

    Raises
    ------
    InvalidArgument
        When there is no such language.

    References
    ----------
    Tomita, "Dynamic construction of finite automata from examples using hill-climbing", 1982.

    Examples
    --------
    >>> [len(tomita(number)) for number in range(1, 8)]
    [2, 3, 5, 4, 4, 3, 5]
    """
    return regular(_TOMITA[_checks.integer("number", number, minimum=1, maximum=7) - 1], BITS)


_FLARE: dict[str, Callable[[], Language]] = {
    "even-pairs": lambda: regular("(0(0|1)*0|1(0|1)*1|0|1)?"),
    "repeat-01": lambda: regular("(01)*"),
    "parity": lambda: regular("0*1(0|10*1)*"),
    "cycle-navigation": cycle_navigation,
    "modular-arithmetic-simple": modular_arithmetic,
    "dyck-2-3": lambda: bounded_dyck(2, 3).with_symbols(("(0", "(1", ")0", ")1")),
    "first": lambda: regular("1(0|1)*"),
    "majority": Majority,
    "stack-manipulation": StackManipulation,
    "marked-reversal": lambda: pairs.Pairs("01", lambda text: text[::-1]),
    "unmarked-reversal": lambda: pairs.Pairs("01", lambda text: text[::-1], mark=""),
    "marked-copy": lambda: pairs.Pairs("01", str),
    "missing-duplicate-string": pairs.MissingDuplicate,
    "odds-first": lambda: pairs.Pairs("01", lambda text: text[::2] + text[1::2]),
    "binary-addition": pairs.addition,
    "binary-multiplication": pairs.multiplication,
    "compute-sqrt": pairs.square_root,
    "bucket-sort": lambda: pairs.Pairs("12345", lambda text: "".join(sorted(text))),
}
FLARE = tuple(_FLARE)
"""The names of FLaRe's 18 languages."""


@cache
def flare(name: str) -> Language:
    """Return one of FLaRe's languages, by its name.

    Parameters
    ----------
    name : str
        As for `Flare`.

    Returns
    -------
    Language

    Raises
    ------
    InvalidArgument
        When there is no such language.

    Examples
    --------
    >>> parity = flare("parity")
    >>> "0111" in parity, "0110" in parity, parity
    (True, False, Dfa(2 states over 0 1))
    """
    return _FLARE[_checks.one_of("name", name, FLARE)]()
