"""What a formal language is here: a set of strings over a few symbols, of which members can be drawn by length."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.sequences import offsets_of, ramp

Strings = NDArray[np.int32]
"""The tokens of many strings, one string after the other, int32 (sum of T,)."""
Offsets = NDArray[np.int64]
"""Where each of N strings begins, and the end of the last one, int64 (N + 1,)."""
Bools = NDArray[np.bool_]

MOST_TRIES = 1_000


class Language(ABC):
    """A set of strings over V symbols. A symbol is a token below V, and has a name.

    Attributes
    ----------
    symbols : tuple of str
        The names of the V symbols.
    """

    symbols: tuple[str, ...]

    @abstractmethod
    def contains(self, strings: Strings, offsets: Offsets) -> Bools:
        """Return which of N strings are members, bool (N,)."""

    @abstractmethod
    def has_members(self, lengths: NDArray[np.int64]) -> Bools:
        """Return of which lengths there are members, bool (N,)."""

    @abstractmethod
    def draw_members(self, lengths: NDArray[np.int64], rng: np.random.Generator) -> Strings:
        """Draw one member of each length, all members of a length equally likely unless the language says otherwise.

        Each length must be one that `has_members`.
        """

    def draw_others(self, lengths: NDArray[np.int64], rng: np.random.Generator) -> Strings:
        """Draw one string of each length that is no member, all of them equally likely.

        Each length must be one that `has_others`.

        Raises
        ------
        InvalidArgument
            When none is found in 1,000 tries: nearly all strings of a length are members.
        """
        return redrawn(
            lengths,
            lambda counts: rng.integers(0, len(self.symbols), int(counts.sum()), dtype=np.int32),
            lambda strings, offsets: ~self.contains(strings, offsets),
            "one that is no member of the language",
        )

    def has_others(self, lengths: NDArray[np.int64]) -> Bools:
        """Return of which lengths there are strings that are no members, bool (N,).

        A language that does not know better takes it that no length but 0 has members alone, if there are two symbols.
        """
        return ~self.has_members(lengths) | ((lengths > 0) & (len(self.symbols) > 1))

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
            has_short_names = all(len(name) == 1 for name in self.symbols)
            names = [c for c in text if not c.isspace()] if has_short_names and " " not in known else text.split()
            names = list(text) if " " in known else names
        for name in names:
            if name not in known:
                raise InvalidArgument(
                    f"{_checks.shown(name)} is not a symbol of the language: these are {' '.join(self.symbols)}"
                )
        return np.array([known[name] for name in names], dtype=np.int32)

    def write(self, tokens: Iterable[int]) -> str:
        """Return tokens as text: with spaces between symbols where a name is longer than a character."""
        between = "" if all(len(name) == 1 for name in self.symbols) else " "
        return between.join(self.symbols[token] for token in tokens)

    def __contains__(self, text: str | Sequence[str]) -> bool:
        """Tell whether a string is a member."""
        tokens = self.read(text)
        return bool(self.contains(tokens, offsets_of([len(tokens)]))[0])


def redrawn(
    lengths: NDArray[np.int64],
    draw: Callable[[NDArray[np.int64]], Strings],
    accepts: Callable[[Strings, Offsets], Bools],
    wanted: str,
) -> Strings:
    """Return a string of each length, drawn until it is accepted; raises InvalidArgument after 1,000 tries."""
    offsets = offsets_of(lengths)
    strings = np.zeros(int(offsets[-1]), dtype=np.int32)
    left = np.arange(len(lengths))
    for _ in range(MOST_TRIES):
        counts = lengths[left]
        drawn = draw(counts)
        strings[np.repeat(offsets[:-1][left], counts) + ramp(counts)] = drawn
        left = left[~accepts(drawn, offsets_of(counts))]
        if not len(left):
            return strings
    raise InvalidArgument(
        f"of {MOST_TRIES:,} strings of length {lengths[left[0]]} that were drawn, none was {wanted}: there are too few"
    )


def checked_symbols(given: Iterable[str]) -> tuple[str, ...]:
    """Return the names of symbols; raises InvalidArgument where there is none, or two are alike."""
    names = tuple(given)
    if not names:
        raise InvalidArgument("the alphabet is empty: name at least one symbol")
    for index, name in enumerate(names):
        if not isinstance(name, str) or not name:
            raise InvalidArgument(f"a symbol must be a text, not {_checks.shown(name)}")
        if name in names[:index]:
            raise InvalidArgument(f"the symbol {name!r} stands twice in the alphabet")
    return names
