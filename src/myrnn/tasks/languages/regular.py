"""Regular expressions, read into automata.

A state of the automaton is the set of all that may be left to read of an expression. Antimirov, "Partial derivatives of
regular expressions and finite automaton constructions", 1996.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import ClassVar, NoReturn

from myrnn.errors import InvalidArgument
from myrnn.tasks.languages.automata import Dfa
from myrnn.tasks.languages.language import checked_symbols

# Repeats are written out: a{1000} has a thousand places.
MOST_PLACES = 1_000
DEEPEST = 100


def regular(pattern: str, alphabet: Iterable[str] | None = None) -> Dfa:
    r"""Return the smallest automaton of a regular expression.

    Parameters
    ----------
    pattern : str
        Symbols are characters. ``ab`` is a, then b; ``a|b`` is one of both; ``a*``, ``a+`` and ``a?`` are any number
        of a, one or more, one or none; ``a{3}``, ``a{2,}`` and ``a{2,4}`` are so many; ``(`` and ``)`` group; ``[ab]``
        is one of a and b, ``[a-c]`` one of a to c, ``[^ab]`` any other symbol, ``.`` any symbol. A sign after a
        backslash stands for itself. The whole string must match, so there are no anchors ``^`` and ``$``; the symbols
        are ``\^`` and ``\$``.
    alphabet : iterable of str, optional
        The symbols of strings, characters. By default those in the expression, sorted.

    Returns
    -------
    Dfa

    Raises
    ------
    InvalidArgument
        When it is not a regular expression, has a symbol that the alphabet lacks, or its automaton is too large.

    Examples
    --------
    >>> pairs = regular("(ab|ba)*")
    >>> "abba" in pairs, "abb" in pairs, pairs
    (True, False, Dfa(4 states over a b))
    """
    if not isinstance(pattern, str):
        raise InvalidArgument(f"pattern must be a text, not {type(pattern).__name__}")
    reader = _Reader(pattern)
    tree = reader.read()
    symbols = tuple(sorted(reader.named)) if alphabet is None else checked_symbols(alphabet)
    if long := [name for name in symbols if len(name) != 1]:
        raise InvalidArgument(f"the symbols of an expression are characters, but the alphabet has {long[0]!r}")
    if not symbols:
        raise InvalidArgument(f"the regular expression {pattern!r} has no symbol: name the alphabet")
    if missing := sorted(reader.named.difference(symbols)):
        raise InvalidArgument(
            f"the regular expression {pattern!r} has {missing[0]!r}, which is not in the alphabet {''.join(symbols)!r}"
        )
    return _automaton(pattern, tree, symbols)


# --- an expression as a tree


@dataclass(frozen=True, eq=False)
class _Set:
    """One of these characters, or with `others` one of all others."""

    characters: frozenset[str]
    others: bool = False

    size: ClassVar[int] = 1
    sequences: ClassVar[tuple[()]] = ()

    def has(self, character: str) -> bool:
        return (character in self.characters) != self.others


@dataclass(frozen=True, eq=False)
class _Choice:
    """One of some sequences of parts."""

    sequences: tuple[tuple[_Part, ...], ...]

    @cached_property
    def size(self) -> int:
        """The number of characters and sets, written out."""
        return sum(part.size for parts in self.sequences for part in parts)


@dataclass(frozen=True)
class _Repeat:
    """A part so many times, without end where `most` is None."""

    part: _Part
    least: int
    most: int | None

    @property
    def size(self) -> int:
        """The number of characters and sets, written out."""
        return self.part.size * (max(self.least, 1) if self.most is None else self.most)

    @property
    def sequences(self) -> tuple[tuple[_Part, ...], ...]:
        """What it may be read as: nothing, or the part and the repeats that are left."""
        fewer = _Repeat(self.part, max(self.least - 1, 0), None if self.most is None else self.most - 1)
        again = () if self.most == 0 else ((self.part, fewer),)
        return again if self.least else ((), *again)


_Part = _Set | _Choice | _Repeat


class _Reader:
    """Reads an expression from left to right."""

    def __init__(self, pattern: str) -> None:
        self.pattern, self.at, self.depth = pattern, 0, 0
        # All characters that stand for themselves.
        self.named: set[str] = set()

    def read(self) -> _Choice:
        """Return the whole expression."""
        tree = self._choice()
        if self.at < len(self.pattern):
            self._fail("has a bracket ) that closes nothing", self.at)
        return tree

    def _fail(self, what: str, at: int) -> NoReturn:
        raise InvalidArgument(f"the regular expression {self.pattern!r} {what}, at character {at + 1}")

    def _comes(self, characters: str) -> bool:
        return self.pattern[self.at : self.at + 1] in tuple(characters)

    def _take(self) -> str:
        self.at += 1
        return self.pattern[self.at - 1]

    def _choice(self) -> _Choice:
        sequences = [self._sequence()]
        while self._comes("|"):
            self.at += 1
            sequences.append(self._sequence())
        return _Choice(tuple(sequences))

    def _sequence(self) -> tuple[_Part, ...]:
        parts = []
        while self.at < len(self.pattern) and not self._comes("|)"):
            part = self._single()
            begin, repeats = self.at, 0
            while self._comes("*+?{"):
                part, repeats = _Repeat(part, *self._times()), repeats + 1
                if repeats > DEEPEST:
                    self._fail(f"repeats a part more than {DEEPEST} times over", begin)
            # A part without symbols matches the empty string alone.
            parts += [part] if part.size else []
        return tuple(parts)

    def _single(self) -> _Part:
        begin = self.at
        if self._comes("("):
            self.at += 1
            self.depth += 1
            if self.depth > DEEPEST:
                self._fail(f"has brackets within brackets, more than {DEEPEST} deep", begin)
            found = self._choice()
            if not self._comes(")"):
                self._fail("has a bracket ( that is not closed", begin)
            self.at += 1
            self.depth -= 1
            return found
        if self._comes("["):
            return self._set()
        if self._comes("."):
            self.at += 1
            return _Set(frozenset(), others=True)
        if self._comes("*+?{"):
            self._fail(f"has nothing that {self.pattern[begin]} repeats", begin)
        if self._comes("]}"):
            self._fail(f"has a bracket {self.pattern[begin]} that closes nothing", begin)
        if self._comes("^$"):
            sign = self.pattern[begin]
            whole = "the whole string must match anyway: leave it out"
            self._fail(f"has an anchor {sign}, but {whole}, or write \\{sign} for the symbol {sign}", begin)
        return _Set(frozenset({self._character()}))

    def _character(self) -> str:
        """Return a character that stands for itself, or the one behind a backslash."""
        begin = self.at
        found = self._take()
        if found == "\\":
            if self.at == len(self.pattern):
                self._fail("ends in a backslash", begin)
            found = self._take()
            if found.isalnum():
                self._fail(f"has \\{found}, which means nothing here: write a set such as [0-9] or [a-z]", begin)
        self.named.add(found)
        return found

    def _set(self) -> _Set:
        begin = self.at
        self.at += 1
        others = self._comes("^")
        self.at += others
        found: set[str] = set()
        while self.at < len(self.pattern) and not self._comes("]"):
            first = last = self._character()
            if self._comes("-") and self.pattern[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                last = self._character()
                if not first <= last:
                    self._fail(f"has a range from {first!r} to {last!r}, which comes before it", begin)
            found |= {chr(code) for code in range(ord(first), ord(last) + 1)}
        if self.at == len(self.pattern):
            self._fail("has a bracket [ that is not closed", begin)
        self.at += 1
        if not found:
            self._fail(f"has an empty set {self.pattern[begin : self.at]}", begin)
        self.named |= found
        return _Set(frozenset(found), others)

    def _times(self) -> tuple[int, int | None]:
        begin, sign = self.at, self._take()
        if sign != "{":
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        end = self.pattern.find("}", self.at)
        ends = self.pattern[self.at : end].split(",") if end > 0 else []
        if len(ends) not in (1, 2) or not ends[0].isdecimal() or not (ends[-1].isdecimal() or ends[1:] == [""]):
            self._fail("needs one or two numbers in {}, such as {3}, {2,} or {2,4}", begin)
        if len(max(ends, key=len)) > len(str(MOST_PLACES)):
            self._fail(f"repeats a part more than {MOST_PLACES:,} times", begin)
        self.at = end + 1
        least, most = int(ends[0]), int(ends[-1]) if ends[-1] else None
        if most is not None and most < least:
            self._fail(f"repeats from {least} to {most} times", begin)
        return least, most


# --- a tree as an automaton


def _automaton(pattern: str, tree: _Choice, symbols: tuple[str, ...]) -> Dfa:
    """Return the smallest automaton of an expression."""
    if tree.size > MOST_PLACES:
        raise InvalidArgument(
            f"the regular expression {pattern!r} is too large: written out, it has more than {MOST_PLACES:,} symbols"
        )
    # What may be left to read, by number: a part, and the number of the rest behind it. Nothing is left at 0.
    rests: list[tuple[_Part, int]] = [(_Set(frozenset()), 0)]
    numbers: dict[tuple[_Part, int], int] = {}

    def joined(parts: tuple[_Part, ...], rest: int) -> int:
        for part in reversed(parts):
            if (part, rest) not in numbers:
                numbers[part, rest] = len(rests)
                rests.append((part, rest))
            rest = numbers[part, rest]
        return rest

    @cache
    def opened(rest: int) -> set[int]:
        part, behind = rests[rest]
        return {joined(parts, behind) for parts in part.sequences}

    @cache
    def ahead(rest: int) -> frozenset[int]:
        """Return the rests that a rest may be read as, those that begin with a character."""
        seen, waiting = {rest}, [rest]
        while waiting:
            new = opened(waiting.pop()) - seen
            seen |= new
            waiting += new
        return frozenset(each for each in seen if isinstance(rests[each][0], _Set))

    def move(states: frozenset[int], token: int) -> frozenset[int]:
        read = (rests[state] for state in states)
        after = (rest for part, rest in read if isinstance(part, _Set) and part.has(symbols[token]))
        return frozenset().union(*map(ahead, after))

    try:
        return Dfa.explored(symbols, ahead(joined((tree,), 0)), move, lambda states: 0 in states).minimal()
    except InvalidArgument as error:
        raise InvalidArgument(f"the regular expression {pattern!r} is too large: {error}") from None
