"""The definition of a formal language: a set of strings from which members can be drawn by length."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.flat import offsets_of, places_from, ramp

Strings = NDArray[np.int32]
"""The tokens of many strings, concatenated, int32 (sum of T,)."""
Offsets = NDArray[np.int64]
"""The start of each of N strings, and the end of the last one, int64 (N + 1,)."""
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]

MOST_TRIES = 1_000
# This many prefixes are checked at once: of length 500 they have 2 million symbols.
PREFIXES_AT_A_TIME = 4_096


class Language(ABC):
    """A set of strings over V symbols. A symbol is a token below V, and has a name.

    Attributes
    ----------
    symbols : tuple of str
        The names of the V symbols.

    Examples
    --------
    >>> from myrnn.tasks import EqualCounts
    >>> language = EqualCounts("ab").language
    >>> language.symbols, "aabb" in language, "abb" in language
    (('a', 'b'), True, False)
    >>> tokens = language.read("aabb")
    >>> tokens, language.write(tokens)
    (array([0, 0, 1, 1], dtype=int32), 'aabb')
    """

    symbols: tuple[str, ...]

    @abstractmethod
    def contains(self, strings: Strings, offsets: Offsets) -> Bools:
        """Return which of N strings are members, bool (N,)."""

    @abstractmethod
    def has_members(self, lengths: Integers) -> Bools:
        """Return for which lengths there are members, bool (N,)."""

    @abstractmethod
    def draw_members(self, lengths: Integers, rng: np.random.Generator) -> Strings:
        """Draw one member of each length, all members of a length equally likely unless the language says otherwise.

        Each length must be one that `has_members`.
        """

    def draw_others(self, lengths: Integers, rng: np.random.Generator) -> Strings:
        """Draw one non-member of each length, all of them equally likely.

        Each length must be one that `has_others`.

        Raises
        ------
        InvalidArgument
            When none is found in 1,000 tries: nearly all strings of a length are members.
        """
        return redrawn(
            lengths,
            lambda counts: self.draw_any(counts, rng),
            lambda strings, offsets: ~self.contains(strings, offsets),
            "of {tries:,} strings of length {length} that were drawn, all were members of the language: nearly all "
            "are members",
        )

    def draw_any(self, lengths: Integers, rng: np.random.Generator) -> Strings:
        """Draw one string of each length, member or not, all of them equally likely."""
        return rng.integers(0, len(self.symbols), int(lengths.sum()), dtype=np.int32)

    def has_others(self, lengths: Integers) -> Bools:
        """Return for which lengths there are non-members, bool (N,).

        By default, with at least two symbols, every length except 0 is assumed to have non-members.
        """
        return ~self.has_members(lengths) | ((lengths > 0) & (len(self.symbols) > 1))

    def too_rare(self, lengths: Integers) -> Bools:
        """Return of which lengths members, and non-members, may exist but cannot be found by drawing, bool (N, 2).

        `has_members` and `has_others` are False for these lengths.
        """
        return np.zeros((len(lengths), 2), dtype=np.bool_)

    def followers(self, strings: Strings, offsets: Offsets) -> Bools:
        """Return the possible continuations of each prefix of N members, bool (sum of T + N, V + 1).

        A symbol may follow if some member begins so; the last column says whether the prefix is itself a member.

        Raises
        ------
        InvalidArgument
            When that is unknown for the language.
        """
        strings, lengths = checked_tokens(strings, len(self.symbols)), np.diff(offsets)
        rows = offsets[:-1] + np.arange(len(lengths))
        found = np.zeros((len(strings) + len(lengths), len(self.symbols) + 1), dtype=np.bool_)
        found[places_from(rows, lengths), strings] = True
        sizes, starts = ramp(lengths + 1), np.repeat(offsets[:-1], lengths + 1)
        may_be = np.flatnonzero(self.has_members(np.arange(int(np.max(sizes, initial=0)) + 1))[sizes])
        # Each prefix that may be a member, as a string of its own.
        for chosen in np.array_split(may_be, len(may_be) // PREFIXES_AT_A_TIME + 1):
            prefixes = strings[places_from(starts[chosen], sizes[chosen])]
            found[chosen, -1] = self.contains(prefixes, offsets_of(sizes[chosen]))
        self._add_followers(strings, offsets, found[:, :-1], found[:, -1])
        return found

    def _add_followers(self, strings: Strings, offsets: Offsets, may_follow: Bools, is_member: Bools) -> None:
        """Complete what may follow each prefix of N members, bool (sum of T + N, V), which has what does follow.

        `is_member` says which prefixes are members themselves.
        """
        raise InvalidArgument("it is not known which symbols may follow in this language")

    @property
    def has_short_names(self) -> bool:
        """Whether all symbols are single characters, so that a string needs no spaces between them."""
        return all(len(name) == 1 for name in self.symbols)

    def read(self, text: str | Sequence[str]) -> Strings:
        """Return a string as tokens, int32 (T,).

        Parameters
        ----------
        text : str or sequence of str
            The names of the symbols, one after the other; in a text with spaces between them where a name is longer
            than a character.

        Raises
        ------
        InvalidArgument
            When it has another symbol.
        """
        known = {name: token for token, name in enumerate(self.symbols)}
        names = text
        if isinstance(text, str):
            names = text.split()
            if self.has_short_names:
                names = [c for c in text if c in known or not c.isspace()]
        elif not isinstance(text, Sequence):
            raise InvalidArgument(f"a string must be a text or a sequence of symbols, not {_checks.shown(text)}")
        for name in names:
            if name not in known:
                raise InvalidArgument(
                    f"{_checks.shown(name)} is not a symbol of the language: these are {' '.join(self.symbols)}"
                )
        return np.array([known[name] for name in names], dtype=np.int32)

    def write(self, tokens: Iterable[int]) -> str:
        """Return tokens as text: with spaces between symbols where a name is longer than a character."""
        between = "" if self.has_short_names else " "
        return between.join(self.symbols[token] for token in tokens)

    def __contains__(self, text: str | Sequence[str]) -> bool:
        """Return whether a string is a member."""
        tokens = self.read(text)
        return bool(self.contains(tokens, offsets_of([len(tokens)]))[0])


class OneByOne(Language):
    """A language whose members are recognized one by one: texts, or tuples where names are longer than a character."""

    @abstractmethod
    def _holds(self, string: Any) -> bool:
        """Return whether a string is a member."""

    def contains(self, strings: Strings, offsets: Offsets) -> Bools:
        """Return which of N strings are members, bool (N,)."""
        tokens, given = checked_tokens(strings, len(self.symbols)), list[Any]()
        if self.has_short_names:
            given += as_texts("".join(self.symbols), tokens, offsets)
        else:
            names = [self.symbols[token] for token in tokens.tolist()]
            given = [tuple(names[begin:end]) for begin, end in pairwise(offsets.tolist())]
        return np.fromiter(map(self._holds, given), np.bool_, len(given))


def checked_tokens(strings: Strings, symbols: int, owner: str = "language") -> Strings:
    """Return strings as native code can read them; raises InvalidArgument for tokens that are no symbols."""
    tokens = np.ascontiguousarray(strings, dtype=np.int32)
    if len(tokens) and not 0 <= tokens.min() <= tokens.max() < symbols:
        raise InvalidArgument(f"strings must have tokens from 0 to {symbols - 1}, the symbols of the {owner}")
    return tokens


def as_texts(symbols: str, strings: Strings, offsets: Offsets) -> list[str]:
    """Return strings over these symbols as texts, with a dot for any other token."""
    names = np.array([*symbols, "."], dtype="<U1")
    text = names[np.minimum(strings, len(symbols))].tobytes().decode("utf-32-le", "surrogatepass")
    return [text[begin:end] for begin, end in pairwise(offsets.tolist())]


def all_strings(symbols: int, length: int) -> NDArray[np.int32]:
    """Return all strings of a length over so many symbols, int32 (V ** length, length)."""
    rows = np.array(list(product(range(symbols), repeat=length)), dtype=np.int32)
    return rows.reshape(symbols**length, length)


def sums_so_far(values: NDArray[np.generic], offsets: Offsets) -> Integers:
    """Return the sum of the values of each prefix of N strings, int64 (sum of T + N,)."""
    totals, counts = offsets_of(values), np.diff(offsets) + 1
    return totals[places_from(offsets[:-1], counts)] - np.repeat(totals[offsets[:-1]], counts)


def preceded(strings: Strings, offsets: Offsets, symbol: int) -> tuple[Strings, Offsets]:
    """Return N strings with a symbol before each: at every prefix its last symbol, or this one."""
    lengths = np.diff(offsets)
    whole = offsets_of(lengths + 1)
    values = np.full(int(whole[-1]), symbol, dtype=np.int32)
    values[places_from(whole[:-1] + 1, lengths)] = strings
    return values, whole


def redrawn(
    lengths: Integers,
    draw: Callable[[Integers], Strings],
    accepts: Callable[[Strings, Offsets], Bools],
    otherwise: str | Callable[[Integers], Strings],
    tries: int = MOST_TRIES,
) -> Strings:
    """Return a string of each length, drawn until it is accepted.

    Those that are not accepted in so many tries are drawn by `otherwise`. If that is a text, InvalidArgument is raised
    with it as message, in which ``{tries}`` and ``{length}`` may stand.
    """
    offsets = offsets_of(lengths)
    strings = np.zeros(int(offsets[-1]), dtype=np.int32)
    left = np.arange(len(lengths))
    for _ in range(tries):
        counts = lengths[left]
        drawn = draw(counts)
        strings[places_from(offsets[:-1][left], counts)] = drawn
        left = left[~accepts(drawn, offsets_of(counts))]
        if not len(left):
            return strings
    if isinstance(otherwise, str):
        raise InvalidArgument(otherwise.format(tries=tries, length=lengths[left[0]]))
    strings[places_from(offsets[:-1][left], lengths[left])] = otherwise(lengths[left])
    return strings


def checked_symbols(given: Iterable[str]) -> tuple[str, ...]:
    """Return the names of symbols; raises InvalidArgument if there are none, or one is repeated."""
    if not isinstance(given, Iterable):
        raise InvalidArgument(f"the alphabet must be symbols, as 'ab' or ['up', 'down'], not {_checks.shown(given)}")
    names = tuple(given)
    if not names:
        raise InvalidArgument("the alphabet is empty: name at least one symbol")
    known: set[str] = set()
    for name in names:
        if not isinstance(name, str) or not name:
            raise InvalidArgument(f"a symbol must be a text, not {_checks.shown(name)}")
        if name in known:
            raise InvalidArgument(f"the symbol {name!r} is repeated in the alphabet")
        known.add(name)
    return names
