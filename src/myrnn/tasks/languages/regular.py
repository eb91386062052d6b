"""Regular expressions, read into automata.

An expression becomes a nondeterministic automaton, and the sets of its states that a string can have come to are those
of the deterministic one. Thompson, "Regular expression search algorithm", 1968.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import NoReturn

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
    return _Machine(pattern, symbols).automaton(tree)


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


class _Machine:
    """A nondeterministic automaton, built from the end of an expression to its beginning. State 0 is the end."""

    def __init__(self, pattern: str, symbols: tuple[str, ...]) -> None:
        self.pattern, self.symbols = pattern, symbols
        # The tokens that each state reads, or None if it reads nothing, and the states after it.
        self.tokens: list[frozenset[int] | None] = [frozenset()]
        self.after: list[list[int]] = [[]]
        self.places = 0

    def automaton(self, tree: _Tree) -> Dfa:
        """Return the smallest automaton of an expression."""

        @cache
        def ahead(state: int) -> frozenset[int]:
            """Return the states that read next, or the end."""
            seen, waiting = {state}, [state]
            while waiting:
                here = waiting.pop()
                new = set(self.after[here] if self.tokens[here] is None else ()) - seen
                seen |= new
                waiting += new
            return frozenset(each for each in seen if self.tokens[each] is not None)

        def move(states: frozenset[int], token: int) -> frozenset[int]:
            return frozenset().union(*(ahead(self.after[s][0]) for s in states if token in (self.tokens[s] or ())))

        start = self._enter(tree, 0)
        try:
            return Dfa.explored(self.symbols, ahead(start), move, lambda states: 0 in states).minimal()
        except InvalidArgument as error:
            raise InvalidArgument(f"the regular expression {self.pattern!r} is too large: {error}") from None

    def _state(self, tokens: frozenset[int] | None, *after: int) -> int:
        self.tokens.append(tokens)
        self.after.append([*after])
        return len(self.tokens) - 1

    def _enter(self, tree: _Tree, after: int) -> int:
        """Return a state from which strings of a part lead to the state `after`."""
        if isinstance(tree, _Set):
            if self.places == MOST_PLACES:
                raise InvalidArgument(
                    f"the regular expression {self.pattern!r} is too large: written out, it has more than "
                    f"{MOST_PLACES:,} symbols"
                )
            self.places += 1
            chosen = (t for t, name in enumerate(self.symbols) if (name in tree.characters) != tree.others)
            return self._state(frozenset(chosen), after)
        if isinstance(tree, _Choice):
            return self._state(None, *(self._enter(part, after) for part in tree.parts))
        if isinstance(tree, _Chain):
            for part in reversed(tree.parts):
                after = self._enter(part, after)
            return after
        return after if _is_empty(tree) else self._repeat(tree, after)

    def _repeat(self, tree: _Repeat, after: int) -> int:
        copies = tree.most
        if copies is None:
            # The last copy can be read again.
            after = self._state(None, after)
            last = self._enter(tree.part, after)
            self.after[after].append(last)
            copies, after = tree.least - 1, last if tree.least else after
        for number in range(copies, 0, -1):
            begin = self._enter(tree.part, after)
            after = begin if number <= tree.least else self._state(None, begin, after)
        return after


def _is_empty(tree: _Tree) -> bool:
    """Return whether a part has no symbol, so that it matches the empty string alone."""
    if isinstance(tree, _Repeat):
        return _is_empty(tree.part)
    return not isinstance(tree, _Set) and all(map(_is_empty, tree.parts))
