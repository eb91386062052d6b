"""Regular expressions, read into automata.

The automaton of an expression has a place for every symbol in it; its states are the sets of places that a string can
have come to. Glushkov, "The abstract theory of automata", 1961.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn

from myrnn.errors import InvalidArgument
from myrnn.tasks.languages.automata import Dfa
from myrnn.tasks.languages.language import checked_symbols

# Repeats are written out: a{1000} has a thousand places.
MOST_PLACES = 1_000
DEEPEST = 100
_SPECIAL = "()|*+?{}[].\\"


def regular(pattern: str, alphabet: Iterable[str] | None = None) -> Dfa:
    r"""Return the smallest automaton of a regular expression.

    Parameters
    ----------
    pattern : str
        Symbols are characters. ``ab`` is a, then b; ``a|b`` is one of both; ``a*``, ``a+`` and ``a?`` are any number
        of a, one or more, one or none; ``a{3}``, ``a{2,}`` and ``a{2,4}`` are so many; ``(`` and ``)`` group; ``[ab]``
        is one of a and b, ``[a-c]`` one of a to c, ``[^ab]`` any other symbol, ``.`` any symbol. A sign after a
        backslash stands for itself. The whole string must match.
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
    return _Places(pattern, symbols).automaton(tree)


# --- an expression as a tree


@dataclass(frozen=True)
class _Set:
    """One of these characters, or with `others` one of all others."""

    characters: frozenset[str]
    others: bool = False


@dataclass(frozen=True)
class _Chain:
    """Some expressions, one after the other."""

    parts: tuple[_Tree, ...]


@dataclass(frozen=True)
class _Choice:
    """One of some expressions."""

    parts: tuple[_Tree, ...]


@dataclass(frozen=True)
class _Repeat:
    """An expression so many times, without end where `most` is None."""

    part: _Tree
    least: int
    most: int | None


_Tree = _Set | _Chain | _Choice | _Repeat


class _Reader:
    """Reads an expression from left to right."""

    def __init__(self, pattern: str) -> None:
        self.pattern, self.at, self.depth = pattern, 0, 0
        # All characters that stand for themselves.
        self.named: set[str] = set()

    def read(self) -> _Tree:
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

    def _choice(self) -> _Tree:
        parts = [self._chain()]
        while self._comes("|"):
            self.at += 1
            parts.append(self._chain())
        return parts[0] if len(parts) == 1 else _Choice(tuple(parts))

    def _chain(self) -> _Tree:
        parts = []
        while self.at < len(self.pattern) and not self._comes("|)"):
            part = self._single()
            begin, repeats = self.at, 0
            while self._comes("*+?{"):
                part, repeats = _Repeat(part, *self._times()), repeats + 1
                if repeats > DEEPEST:
                    self._fail(f"repeats a part more than {DEEPEST} times over", begin)
            parts.append(part)
        return _Chain(tuple(parts))

    def _single(self) -> _Tree:
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

    def _set(self) -> _Tree:
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


@dataclass(frozen=True)
class _Ends:
    """Whether a part matches the empty string, and at which places its other strings begin and end."""

    empty: bool
    first: frozenset[int] = frozenset()
    last: frozenset[int] = frozenset()


class _Places:
    """The places of an expression, and which of them can follow which."""

    def __init__(self, pattern: str, symbols: tuple[str, ...]) -> None:
        self.pattern, self.symbols = pattern, symbols
        self.tokens: list[frozenset[int]] = []
        self.follow: list[set[int]] = []

    def automaton(self, tree: _Tree) -> Dfa:
        """Return the smallest automaton of an expression."""
        whole = self._ends(tree)
        start = frozenset({-1})

        def move(places: frozenset[int], token: int) -> frozenset[int]:
            following = whole.first if places == start else frozenset().union(*(self.follow[p] for p in places))
            return frozenset(place for place in following if token in self.tokens[place])

        def accepts(places: frozenset[int]) -> bool:
            return whole.empty if places == start else not whole.last.isdisjoint(places)

        try:
            return Dfa.explored(self.symbols, start, move, accepts).minimal()
        except InvalidArgument as error:
            raise InvalidArgument(f"the regular expression {self.pattern!r} is too large: {error}") from None

    def _ends(self, tree: _Tree) -> _Ends:
        if isinstance(tree, _Set):
            return self._place(tree)
        if isinstance(tree, _Choice):
            parts = [self._ends(part) for part in tree.parts]
            first, last = (frozenset().union(*(getattr(part, end) for part in parts)) for end in ("first", "last"))
            return _Ends(any(part.empty for part in parts), first, last)
        if isinstance(tree, _Chain):
            return self._joined([self._ends(part) for part in tree.parts])
        return self._repeated(tree)

    def _place(self, tree: _Set) -> _Ends:
        if len(self.tokens) == MOST_PLACES:
            raise InvalidArgument(
                f"the regular expression {self.pattern!r} is too large: written out, it has more than {MOST_PLACES:,} "
                "symbols"
            )
        chosen = frozenset(t for t, name in enumerate(self.symbols) if (name in tree.characters) != tree.others)
        self.tokens.append(chosen)
        self.follow.append(set())
        place = frozenset({len(self.tokens) - 1})
        return _Ends(False, place, place)

    def _joined(self, parts: list[_Ends]) -> _Ends:
        found = _Ends(True)
        for part in parts:
            for place in found.last:
                self.follow[place] |= part.first
            first = found.first | part.first if found.empty else found.first
            last = found.last | part.last if part.empty else part.last
            found = _Ends(found.empty and part.empty, first, last)
        return found

    def _repeated(self, tree: _Repeat) -> _Ends:
        known = len(self.tokens)
        first = self._ends(tree.part)
        if len(self.tokens) == known:
            # Nothing but the empty string, however often.
            return first
        del self.tokens[known:], self.follow[known:]
        if tree.most is not None:
            copies = [self._ends(tree.part) for _ in range(tree.most)]
            return self._joined([_Ends(c.empty or n >= tree.least, c.first, c.last) for n, c in enumerate(copies)])
        copies = [self._ends(tree.part) for _ in range(max(1, tree.least))]
        again = copies[-1]
        for place in again.last:
            self.follow[place] |= again.first
        copies[-1] = _Ends(again.empty or tree.least == 0, again.first, again.last)
        return self._joined(copies)
