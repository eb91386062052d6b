"""A language defined by a Python function that recognizes its members."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn._user_code import failure
from myrnn.errors import InvalidArgument
from myrnn.flat import offsets_of
from myrnn.tasks.languages.language import Bools, Integers, OneByOne, Strings, all_strings, checked_symbols, redrawn

# Up to so many strings of a length, all are tried, and members are drawn from a list.
MOST_LISTED = 20_000
# Of longer ones so many, of which so many must be members: rarer ones cannot be found in reasonable time.
TRIED, FEWEST = 2_000, 20


class Predicate(OneByOne):
    """The strings that a function accepts.

    Parameters
    ----------
    alphabet : iterable of str
        The symbols.
    function : callable
        ``function(string)`` returns whether it is a member. It gets a text where all symbols are characters, otherwise
        a tuple of symbols.
    draw : callable, optional
        ``draw(length, rng)`` returns a member of a length, or None where there is none. Without it, members of short
        lengths are found by trying all strings, and longer ones by drawing strings until one is a member. If fewer than
        20 of 2,000 random strings of a length are members, members of this length are not drawn.

    Examples
    --------
    >>> import numpy as np
    >>> more = Predicate("ab", lambda text: text.count("a") > text.count("b"))
    >>> "aab" in more, "ab" in more
    (True, False)
    >>> strings = more.draw_members(np.array([3, 3]), np.random.default_rng(0))
    >>> more.contains(strings, np.array([0, 3, 6]))
    array([ True,  True])
    """

    def __init__(
        self, alphabet: Iterable[str], function: Callable[[Any], bool], draw: Callable[..., Any] | None = None
    ) -> None:
        self.symbols = checked_symbols(alphabet)
        for name, given in (("function", function), ("draw", draw)):
            if not callable(given) and not (name == "draw" and given is None):
                raise InvalidArgument(f"{name} must be a function, not {type(given).__name__}")
        self.function, self.draw = function, draw
        self._sampled: dict[int, tuple[bool, bool]] = {}
        self._listed: dict[int, tuple[NDArray[np.int32], bool]] = {}

    def has_members(self, lengths: Integers) -> Bools:
        return np.array([self._kinds(length)[0] for length in lengths.tolist()], dtype=np.bool_)

    def has_others(self, lengths: Integers) -> Bools:
        return np.array([self._kinds(length)[1] for length in lengths.tolist()], dtype=np.bool_)

    def too_rare(self, lengths: Integers) -> Bools:
        found = np.zeros((len(lengths), 2), dtype=np.bool_)
        for row, length in enumerate(lengths.tolist()):
            if not self._is_listed(length):
                has_members, has_others = self._kinds(length)
                found[row] = self.draw is None and not has_members, not has_others
        return found

    def draw_members(self, lengths: Integers, rng: np.random.Generator) -> Strings:
        if self.draw is not None:
            drawn = [self._drawn(length, rng) for length in lengths.tolist()]
            return np.concatenate(drawn) if drawn else np.zeros(0, dtype=np.int32)
        found = np.zeros(int(lengths.sum()), dtype=np.int32)
        starts = offsets_of(lengths)[:-1]
        for length in np.unique(lengths).tolist():
            chosen = np.flatnonzero(lengths == length)
            if self._is_listed(length):
                members = self._members(length)[0]
                rows = members[rng.integers(0, len(members), len(chosen))].reshape(-1)
            else:
                rows = redrawn(
                    lengths[chosen],
                    lambda counts: self.draw_any(counts, rng),
                    self.contains,
                    "of {tries:,} strings of length {length} that were drawn, none was a member (a function `draw` can "
                    "draw them)",
                )
            found[(starts[chosen][:, np.newaxis] + np.arange(length)).reshape(-1)] = rows
        return found

    def _holds(self, string: Any) -> bool:
        try:
            return bool(self.function(string))
        except Exception as error:
            raise InvalidArgument(f"the function of the language fails at {string!r}: {failure(error)}") from error

    def _drawn(self, length: int, rng: np.random.Generator) -> Strings:
        drawn = self._asked(length, rng)
        if drawn is None:
            raise InvalidArgument(f"draw({length}, rng) must return a member of that length, not None")
        tokens = self.read(drawn)
        if len(tokens) != length or not self.contains(tokens, offsets_of([length]))[0]:
            raise InvalidArgument(
                f"draw({length}, rng) must return a member of that length, not {self.write(tokens)!r}"
            )
        return tokens

    def _asked(self, length: int, rng: np.random.Generator) -> Any:
        """Return what `draw` returns, a member or None."""
        assert self.draw is not None
        try:
            return self.draw(length, rng)
        except Exception as error:
            raise InvalidArgument(f"draw({length}, rng) fails: {failure(error)}") from error

    def _is_listed(self, length: int) -> bool:
        return len(self.symbols) ** length <= MOST_LISTED

    def _members(self, length: int) -> tuple[NDArray[np.int32], bool]:
        """Return all members of a short length, (count, length), and whether there are other strings."""
        if length not in self._listed:
            rows = all_strings(len(self.symbols), length)
            found = self.contains(rows.reshape(-1), np.arange(len(rows) + 1) * length)
            self._listed[length] = rows[found], not bool(found.all())
        return self._listed[length]

    def _kinds(self, length: int) -> tuple[bool, bool]:
        """Return whether there are members of a length, and others: of long ones, as far as a sample shows."""
        if self._is_listed(length):
            members, others = self._members(length)
            return len(members) > 0, others
        if length not in self._sampled:
            rng = np.random.default_rng(length)
            tokens = rng.integers(0, len(self.symbols), TRIED * length, dtype=np.int32)
            found = self.contains(tokens, np.arange(TRIED + 1) * length)
            has_members = int(found.sum()) >= FEWEST if self.draw is None else self._asked(length, rng) is not None
            self._sampled[length] = has_members, not bool(found.all())
        return self._sampled[length]
