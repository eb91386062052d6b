"""Deterministic finite automata: recognition, uniform drawing by length, and minimization."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.flat import offsets_of
from myrnn.results import Result, Row, Shown, Table, integer
from myrnn.tasks.languages.kernels import draw_paths, follow
from myrnn.tasks.languages.language import Bools, Integers, Language, Offsets, Strings, checked_symbols, checked_tokens

# More states than this are a mistake: an expression such as (a|b)*a(a|b){20} has a million of them.
MOST_STATES = 10_000
# Strings up to this length are counted in one pass.
SHORTEST_KNOWN = 80


@dataclass(frozen=True, eq=False, repr=False)
class Dfa(Language, Result):
    """A deterministic finite automaton. It begins in state 0.

    Parameters
    ----------
    symbols : tuple of str
        The names of the V symbols.
    moves : array_like of int, shape (S, V)
        The state that follows each of the S states on each symbol.
    accepting : array_like of bool, shape (S,)
        The states that accept a string ending there.

    Examples
    --------
    >>> odd = Dfa(("0", "1"), [[0, 1], [1, 0]], [False, True])
    >>> "0110" in odd, "0111" in odd, odd
    (False, True, Dfa(2 states over 0 1))
    >>> odd.rows()[1]
    {'state': 1, 'on 0': 1, 'on 1': 0, 'accepts': True}
    """

    symbols: tuple[str, ...]
    moves: NDArray[np.int32]
    accepting: NDArray[np.bool_]

    def __init__(self, symbols: Iterable[str], moves: Any, accepting: Any) -> None:
        names = checked_symbols(symbols)
        accepts, rows = np.array(accepting, dtype=np.bool_), _checks.array("moves", moves)
        if accepts.ndim != 1 or not len(accepts) or rows.shape != (len(accepts), len(names)):
            raise InvalidArgument(
                f"moves must have a row for each of {_checks.count_of(accepts.size, 'state')} and a column for each of "
                f"{_checks.count_of(len(names), 'symbol')}, not shape {rows.shape}"
            )
        table = _checks.integers("moves", rows.reshape(-1), minimum=0, maximum=len(accepts) - 1)
        object.__setattr__(self, "symbols", names)
        object.__setattr__(self, "moves", np.ascontiguousarray(table.reshape(len(accepts), -1), dtype=np.int32))
        object.__setattr__(self, "accepting", accepts)

    @classmethod
    def explored(
        cls,
        symbols: Iterable[str],
        start: Hashable,
        move: Callable[[Any, int], Hashable],
        accepts: Callable[[Any], bool],
    ) -> Dfa:
        """Return the automaton of a start, of ``move(state, token)`` and of ``accepts(state)``.

        States may be any hashable values. The reachable ones are found, breadth first.

        Raises
        ------
        InvalidArgument
            When there are more than 10,000 of them.
        """
        names = checked_symbols(symbols)
        number = {start: 0}
        waiting, rows, accepting = deque([start]), [], []
        while waiting:
            state = waiting.popleft()
            row = []
            for token in range(len(names)):
                following = move(state, token)
                if following not in number:
                    if len(number) == MOST_STATES:
                        raise InvalidArgument(f"the automaton has more than {MOST_STATES:,} states")
                    number[following] = len(number)
                    waiting.append(following)
                row.append(number[following])
            rows.append(row)
            accepting.append(bool(accepts(state)))
        return cls(names, rows, accepting)

    def __len__(self) -> int:
        """Return S, the number of states."""
        return len(self.accepting)

    def __repr__(self) -> str:
        """Return the number of states and the symbols."""
        return f"Dfa({_checks.count_of(len(self), 'state')} over {' '.join(self.symbols)})"

    def table(self) -> Table:
        """Return a row for each state: ``state``, the next state on each symbol as ``on ...``, and ``accepts``."""
        moves = {f"on {name}": column for name, column in zip(self.symbols, self.moves.T, strict=True)}
        columns = {"state": np.arange(len(self)), **moves, "accepts": self.accepting}
        shown = (*(integer(name) for name in ("state", *moves)), Shown("accepts", _says_whether, is_number=False))
        return Table(repr(self), columns, shown)

    def ends(self, strings: Strings, offsets: Offsets) -> NDArray[np.int32]:
        """Return the final state of each of N strings, int32 (N,)."""
        return self.states(strings, offsets)[offsets[1:] + np.arange(len(offsets) - 1)]

    def states(self, strings: Strings, offsets: Offsets) -> NDArray[np.int32]:
        """Return all states that N strings go through, each from the start on, int32 (sum of T + N,)."""
        found = np.zeros(int(offsets[-1]) + len(offsets) - 1, dtype=np.int32)
        tokens = checked_tokens(strings, len(self.symbols), "automaton")
        follow(self.moves, tokens, np.asarray(offsets, dtype=np.int64), found)
        return found

    def contains(self, strings: Strings, offsets: Offsets) -> Bools:
        """Return which of N strings are accepted, bool (N,)."""
        return self.accepting[self.ends(strings, offsets)]

    def followers(self, strings: Strings, offsets: Offsets) -> Bools:
        """Return the possible continuations of each prefix of N strings, bool (sum of T + N, V + 1).

        A symbol may follow if some member begins so; the last column says whether the prefix is itself a member.
        """
        live = self.is_live
        table = np.column_stack((live[self.moves], self.accepting))
        return table[self.states(strings, offsets)]

    @cached_property
    def is_live(self) -> Bools:
        """Whether an accepting state is reachable from each state, bool (S,)."""
        live = self.accepting.copy()
        while True:
            grown = live | live[self.moves].any(axis=1)
            if (grown == live).all():
                return live
            live = grown

    def has_members(self, lengths: Integers) -> Bools:
        """Return for which lengths strings are accepted, bool (N,)."""
        return np.isfinite(self._logs(int(np.max(lengths, initial=0)))[lengths, 0])

    def has_others(self, lengths: Integers) -> Bools:
        """Return for which lengths strings are rejected, bool (N,)."""
        return self.complement.has_members(lengths)

    @cached_property
    def complement(self) -> Dfa:
        """The automaton that accepts all other strings."""
        return Dfa(self.symbols, self.moves, ~self.accepting)

    def count(self, length: int) -> int:
        """Return the exact number of accepted strings of a length."""
        counts = [int(accepts) for accepts in self.accepting]
        rows = self.moves.tolist()
        for _ in range(_checks.integer("length", length, minimum=0)):
            counts = [sum(counts[state] for state in row) for row in rows]
        return counts[0]

    def draw_members(self, lengths: Integers, rng: np.random.Generator) -> Strings:
        """Draw one accepted string of each length, all of a length equally likely."""
        offsets = offsets_of(lengths)
        strings = np.zeros(int(offsets[-1]), dtype=np.int32)
        shares = self._shares(int(np.max(lengths, initial=0)))
        draw_paths(self.moves, shares, offsets, rng.random(len(strings)), strings)
        return strings

    def draw_others(self, lengths: Integers, rng: np.random.Generator) -> Strings:
        """Draw one rejected string of each length, all of a length equally likely."""
        return self.complement.draw_members(lengths, rng)

    def _logs(self, longest: int) -> NDArray[np.float64]:
        """Return the logarithm of the number of accepted strings of each length from each state, (L + 1, S) or more.

        Logarithms, because counts of strings of length 500 overflow floats.
        """
        known: NDArray[np.float64] | None = self.__dict__.get("_known_logs")
        if known is None or len(known) <= longest:
            known = np.full((max(longest, SHORTEST_KNOWN) + 1, len(self)), -np.inf)
            known[0, self.accepting] = 0
            for length in range(1, len(known)):
                known[length] = np.logaddexp.reduce(known[length - 1][self.moves], axis=1)
            self.__dict__["_known_logs"] = known
        return known

    def _shares(self, longest: int) -> NDArray[np.float64]:
        """Return the cumulative shares of strings of each length by their next symbol, (L + 1, S, V)."""
        known: NDArray[np.float64] | None = self.__dict__.get("_known_shares")
        if known is None or len(known) <= longest:
            logs = self._logs(longest)
            known = np.zeros((len(logs), *self.moves.shape))
            with np.errstate(invalid="ignore"):
                for length in range(1, len(logs)):
                    ways = logs[length - 1][self.moves]
                    known[length] = np.exp(ways - logs[length][:, np.newaxis]).cumsum(axis=1)
                    # Sums are rounded: the last possible symbol gets the rest.
                    possible = np.isfinite(ways)
                    known[length][possible[:, ::-1].cumsum(axis=1)[:, ::-1] == possible] = 1
            self.__dict__["_known_shares"] = known
        return known

    def minimal(self) -> Dfa:
        """Return the smallest equivalent automaton, with its states in the order in which they are reached.

        So two automata over the same symbols accept the same if their minimal ones have the same moves and accepting
        states. Moore, "Gedanken-experiments on sequential machines", 1956.
        """
        reached = Dfa.explored(self.symbols, 0, lambda s, v: int(self.moves[s, v]), lambda s: bool(self.accepting[s]))
        kinds = reached.accepting.astype(np.int64)
        while True:
            signature = np.column_stack((kinds, kinds[reached.moves]))
            _, finer = np.unique(signature, axis=0, return_inverse=True)
            finer = finer.reshape(-1)
            if finer.max() == kinds.max():
                break
            kinds = finer
        first = np.unique(kinds, return_index=True)[1]
        moves, accepting = kinds[reached.moves[first]], reached.accepting[first]
        start = int(kinds[0])
        return Dfa.explored(self.symbols, start, lambda s, v: int(moves[s, v]), lambda s: bool(accepting[s]))

    def difference(self, other: Dfa) -> str | None:
        """Return the shortest string that only one of two automata accepts; None if they are equivalent.

        Raises
        ------
        InvalidArgument
            When the two have different symbols.
        """
        if self.symbols != other.symbols:
            raise InvalidArgument(
                f"the automata must have the same symbols, but these are {' '.join(self.symbols)} and "
                f"{' '.join(other.symbols)}"
            )
        tokens = telling_apart(self, 0, other, 0)
        return None if tokens is None else self.write(tokens)

    def with_symbols(self, symbols: Sequence[str]) -> Dfa:
        """Return the same automaton with other names for its symbols."""
        return replace(self, symbols=tuple(symbols))


def _says_whether(row: Row) -> str:
    return "yes" if row["accepts"] else "no"


def telling_apart(one: Dfa, state: int, other: Dfa, its_state: int) -> tuple[int, ...] | None:
    """Return a shortest string that is accepted from only one of two states, of automata over the same symbols."""
    # From which pair of states each was reached, and on which symbol.
    came: dict[tuple[int, int], tuple[tuple[int, int], int] | None] = {(state, its_state): None}
    waiting = deque(came)
    while waiting:
        pair = waiting.popleft()
        if one.accepting[pair[0]] != other.accepting[pair[1]]:
            tokens: list[int] = []
            step = came[pair]
            while step is not None:
                pair, token = step
                tokens.append(token)
                step = came[pair]
            return tuple(tokens[::-1])
        for token in range(len(one.symbols)):
            following = int(one.moves[pair[0], token]), int(other.moves[pair[1], token])
            if following not in came:
                came[following] = pair, token
                waiting.append(following)
    return None
