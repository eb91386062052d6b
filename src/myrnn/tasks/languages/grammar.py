"""Context-free languages, from the text of a grammar.

A grammar is converted to Chomsky normal form: rules give two nonterminals or one symbol. Members are then counted,
drawn and recognized by dynamic programming over lengths.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from myrnn.errors import InvalidArgument
from myrnn.flat import offsets_of
from myrnn.tasks.languages.kernels import UNKNOWN, count_trees, draw_trees, parse
from myrnn.tasks.languages.language import (
    Bools,
    Integers,
    Language,
    Offsets,
    Strings,
    checked_symbols,
    checked_tokens,
    redrawn,
)

MOST_SYMBOLS = 64
MOST_SETS = 500
# This many strings of each length up to this one are checked for two parse trees.
TRIED, LONGEST_TRIED = 40, 24
# How often an ambiguous grammar is drawn from again, and from how many trees the fewest of a string are known.
MOST_TRIES, EXAMPLES = 20_000, 256
# Counting the trees of a string takes about a nanosecond for each pair of neighbouring parts and rule. The most such
# operations for a string that is kept, and those after which this is checked: 10 ms and a second.
MOST_OPERATIONS, CHECKED_AFTER = 1e7, 1e9
ONE_WAY = "write it so that each string has one way"
UNEVEN = (
    "the grammar has some strings of length {length} in very many more ways than others, so members cannot be drawn "
    f"evenly: {ONE_WAY}"
)
_ARROWS = ("->", "→", "::=")
_WORD = re.compile(r"""'[^']*'|"[^"]*"|->|→|::=|\||;|[^\s|;'"]+?(?=->|→|::=|[\s|;'"]|$)""")

Rules = dict[str, list[tuple[str, ...]]]


class Grammar(Language):
    """The strings of a context-free grammar.

    Parameters
    ----------
    text : str
        Rules such as ``S -> a S b | a b``, one per line or separated by ``;``. The left sides are nonterminals, all
        other words symbols; the first left side is the start. Nothing between two bars, or ``ε``, is the empty string.
        Quotes turn a word with a special meaning into a symbol, as in ``'|'``.
    alphabet : iterable of str, optional
        The symbols; by default those of the rules, in their order.

    Raises
    ------
    InvalidArgument
        When it is not a grammar, has no string, or is too large.

    Notes
    -----
    All members of a length are equally likely. The grammar is assumed to be unambiguous if none of some hundred
    strings, up to length 24, has two parse trees. From an ambiguous grammar trees are drawn, and a string with n trees
    is kept with probability m / n, where m is the fewest trees seen for a string of its length. If that takes more than
    some 10 ms for a string, since it is long or few are kept, it is refused: write the grammar so that each string has
    one tree.

    Examples
    --------
    >>> nested = Grammar("S -> a S b | ")
    >>> "aabb" in nested, "abab" in nested, nested
    (True, False, Grammar(over a b))
    """

    def __init__(self, text: str, alphabet: Iterable[str] | None = None) -> None:
        start, rules = _read(text)
        terminals = _terminals(rules)
        named = terminals if alphabet is None else list(checked_symbols(alphabet))
        if missing := [name for name in terminals if name not in named]:
            raise InvalidArgument(f"the grammar has {missing[0]!r}, which is not in the alphabet {' '.join(named)}")
        if both := [name for name in named if name in rules]:
            raise InvalidArgument(f"{both[0]!r} is a symbol and has rules: it must be one of both")
        if not named:
            raise InvalidArgument("the grammar has no symbol: name the alphabet")
        self.symbols = tuple(sorted(named)) if alphabet is None else tuple(named)
        self.has_empty, binary, terminal = _normal_form(start, rules)
        if not self.has_empty and not binary and not terminal:
            raise InvalidArgument(f"the grammar has no string: nothing that begins with {start} comes to an end")
        numbers = {name: number for number, name in enumerate(dict.fromkeys((start, *binary, *terminal)))}
        if len(numbers) > MOST_SYMBOLS:
            raise InvalidArgument(
                f"the grammar is too large: in normal form it has {len(numbers)} nonterminals, at most {MOST_SYMBOLS} "
                "are possible"
            )
        tokens = {name: token for token, name in enumerate(self.symbols)}
        pairs = [(numbers[left], numbers[one], numbers[two]) for left, rows in binary.items() for one, two in rows]
        single = [(numbers[left], tokens[name]) for left, names in terminal.items() for name in names]
        self._binary = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 3)
        self._terminal = np.array(sorted(single), dtype=np.int64).reshape(-1, 2)
        self._count = len(numbers)
        self._logs = np.zeros((0, 0))
        # Sets of nonterminals, by number, as `kernels.parse` finds them: first none, and those of the symbols.
        of_symbols = [sum(1 << left for left, of in single if of == token) for token in range(len(self.symbols))]
        sets = list(dict.fromkeys((0, *of_symbols)))
        self._masks, self._known = np.zeros(max(MOST_SETS, len(sets)), dtype=np.uint64), len(sets)
        self._masks[: len(sets)] = np.array(sets, dtype=np.uint64)
        self._leaves = np.array([sets.index(mask) for mask in of_symbols])
        self._joined = np.full((len(self._masks), len(self._masks)), UNKNOWN)
        self._counts: list[list[int]] = []
        # The fewest trees that a member of each length was seen to have.
        self._fewest: dict[int, float] = {}
        self.is_ambiguous = self._has_two_trees()

    def __repr__(self) -> str:
        """Return the symbols."""
        return f"Grammar(over {' '.join(self.symbols)})"

    def has_members(self, lengths: Integers) -> Bools:
        found = np.isfinite(self._known_logs(int(np.max(lengths, initial=0)))[lengths, 0])
        return np.where(lengths == 0, self.has_empty, found)

    def has_others(self, lengths: Integers) -> Bools:
        if self.is_ambiguous:
            return super().has_others(lengths)
        return np.array([self._count_exactly(length) < len(self.symbols) ** length for length in lengths.tolist()])

    def _count_exactly(self, length: int) -> int:
        """Return how many trees there are with so many leaves."""
        counts = self._counts
        if not counts:
            counts.append([int(number == 0 and self.has_empty) for number in range(self._count)])
            ones = self._terminal[:, 0].tolist()
            counts.append([ones.count(number) for number in range(self._count)])
        rules = self._binary.tolist()
        while len(counts) <= length:
            size, row = len(counts), [0] * self._count
            for left, one, two in rules:
                row[left] += sum(counts[first][one] * counts[size - first][two] for first in range(1, size))
            counts.append(row)
        return counts[length][0]

    def contains(self, strings: Strings, offsets: Offsets) -> Bools:
        return self._parsed(strings, offsets, np.zeros((0, 0), dtype=np.bool_))

    def followers(self, strings: Strings, offsets: Offsets) -> Bools:
        found = np.zeros((len(strings) + len(offsets) - 1, len(self.symbols) + 1), dtype=np.bool_)
        self._parsed(strings, offsets, found)
        empty = offsets[:-1] + np.arange(len(offsets) - 1)
        first = [token for left, token in self._terminal.tolist() if self._corners[0] >> np.uint64(left) & np.uint64(1)]
        found[np.ix_(empty, first)] = True
        found[empty, -1] = self.has_empty
        return found

    def _parsed(self, strings: Strings, offsets: Offsets, follows: Bools) -> Bools:
        """Return which of N strings are members, and write what may follow their prefixes, as `kernels.parse` does."""
        found = np.zeros(len(offsets) - 1, dtype=np.bool_)
        found[np.diff(offsets) == 0] = self.has_empty
        tokens, ends = checked_tokens(strings, len(self.symbols)), np.asarray(offsets, dtype=np.int64)
        rules = self._binary, self._terminal, self._corners, self._leaves
        known = parse(*rules, self._masks, self._joined, self._known, tokens, ends, found, follows)
        if known < 0:
            raise InvalidArgument(f"the grammar is too large: its parts make more than {MOST_SETS:,} sets")
        self._known = known
        return found

    @cached_property
    def _corners(self) -> NDArray[np.uint64]:
        """Which nonterminals can stand first in what each nonterminal derives, itself among them: a bit for each."""
        first = np.eye(self._count, dtype=np.bool_)
        first[self._binary[:, 0], self._binary[:, 1]] = True
        while (grown := first @ first).sum() > first.sum():
            first = grown
        found: NDArray[np.uint64] = (first * (np.uint64(1) << np.arange(self._count, dtype=np.uint64))).sum(axis=1)
        return found

    def draw_members(self, lengths: Integers, rng: np.random.Generator) -> Strings:
        if not self.is_ambiguous:
            return self._draw_trees(lengths, rng)
        # Long strings are more often uneven: then the task is refused after these.
        for length in np.unique(lengths)[::-1].tolist():
            if length not in self._fewest:
                self._fewest[length] = self._fewest_trees(length, rng)
        spent = kept = 0.0

        def is_kept(strings: Strings, offsets: Offsets) -> Bools:
            nonlocal spent, kept
            counts, trees = np.diff(offsets).tolist(), self._trees(strings, offsets)
            fewest = np.array([self._fewest[length] for length in counts])
            for place in np.flatnonzero(trees < fewest).tolist():
                self._fewest[counts[place]] = min(self._fewest[counts[place]], trees[place])
            found = np.asarray(rng.random(len(trees)) * trees < fewest)
            spent, kept = spent + float(self._operations(np.diff(offsets)).sum()), kept + found.sum()
            # The fewest trees may turn out to be fewer than those of the examples.
            if spent > max(CHECKED_AFTER, MOST_OPERATIONS * kept):
                raise InvalidArgument(UNEVEN.format(length=counts[0]))
            return found

        # Some at a time, so that it is noticed early if it takes too long.
        ends = np.cumsum(self._operations(lengths)) // CHECKED_AFTER
        parts = np.split(lengths, np.flatnonzero(np.diff(ends)) + 1)
        drawn = [redrawn(part, lambda n: self._draw_trees(n, rng), is_kept, UNEVEN, MOST_TRIES) for part in parts]
        return np.concatenate(drawn)

    def _fewest_trees(self, length: int, rng: np.random.Generator) -> float:
        """Return the fewest trees of some drawn members of a length; raise InvalidArgument if that takes too long."""
        counting = float(self._operations(np.array(length)))
        if counting > MOST_OPERATIONS:
            longest = int((6 * MOST_OPERATIONS / len(self._binary)) ** (1 / 3))
            raise InvalidArgument(
                f"the grammar has some strings in several ways, and counting these takes too long for length {length}: "
                f"{ONE_WAY}, or draw strings of up to {longest} symbols"
            )
        several = np.full(int(min(EXAMPLES, CHECKED_AFTER // max(counting, 1.0))), length)
        trees = self._trees(self._draw_trees(several, rng), offsets_of(several))
        if counting > MOST_OPERATIONS * (trees.min() / trees).mean():
            raise InvalidArgument(UNEVEN.format(length=length))
        return float(trees.min())

    def _operations(self, lengths: Integers) -> NDArray[np.float64]:
        """Return how many operations it takes to count the trees of strings."""
        return lengths.astype(np.float64) ** 3 / 6 * len(self._binary)

    def _draw_trees(self, lengths: Integers, rng: np.random.Generator) -> Strings:
        offsets = offsets_of(lengths)
        longest = int(np.max(lengths, initial=0))
        strings = np.zeros(int(offsets[-1]), dtype=np.int32)
        waiting = np.zeros((longest + 2, 2), dtype=np.int64)
        logs, uniform = self._known_logs(longest), rng.random(2 * len(strings))
        draw_trees(self._binary, self._terminal, logs, offsets, uniform, waiting, strings)
        return strings

    def _trees(self, strings: Strings, offsets: Offsets) -> NDArray[np.float64]:
        counts = np.zeros(len(offsets) - 1)
        count_trees(self._binary, self._terminal, self._count, strings, offsets, counts)
        return counts

    def _known_logs(self, longest: int) -> NDArray[np.float64]:
        """Return the logarithm of the number of trees, by the number of leaves and the nonterminal."""
        if len(self._logs) <= longest:
            logs = np.full((max(longest, 64) + 1, self._count), -np.inf)
            for left, _ in self._terminal:
                logs[1, left] = np.logaddexp(logs[1, left], 0)
            with np.errstate(divide="ignore", invalid="ignore"):
                for length in range(2, len(logs)):
                    for left, one, two in self._binary:
                        ways = np.logaddexp.reduce(logs[1:length, one] + logs[length - 1 : 0 : -1, two])
                        logs[length, left] = np.logaddexp(logs[length, left], ways)
            self._logs = logs
        return self._logs

    def _has_two_trees(self) -> bool:
        """Return whether one of some drawn strings has two parse trees."""
        lengths = np.arange(1, LONGEST_TRIED + 1)
        lengths = np.repeat(lengths[self.has_members(lengths)], TRIED)
        strings = self._draw_trees(lengths, np.random.default_rng(0))
        return bool((self._trees(strings, offsets_of(lengths)) > 1).any())


def _read(text: str) -> tuple[str, Rules]:
    """Return the start and the rules of a grammar; symbols that are quoted keep their quotes, as other words do not."""
    if not isinstance(text, str):
        raise InvalidArgument(f"a grammar must be a text, not {type(text).__name__}")
    lines = [line for line in re.split(r"\n|;(?=(?:[^'\"]|'[^']*'|\"[^\"]*\")*$)", text) if line.strip()]
    rules: Rules = {}
    start = None
    for line in lines:
        words = _WORD.findall(line)
        if left := _WORD.sub("", line).strip():
            raise InvalidArgument(f"the rule {line.strip()!r} has a quote {left[0]} that is not closed")
        if len(words) < 2 or words[1] not in _ARROWS or words[0] in (*_ARROWS, "|") or words[0][0] in "'\"":
            raise InvalidArgument(f"the rule {line.strip()!r} must begin with a nonterminal and ->, as S -> a S b")
        left, right = words[0], words[2:]
        start = start or left
        alternatives: list[list[str]] = [[]]
        for word in right:
            if word in _ARROWS:
                raise InvalidArgument(f"the rule {line.strip()!r} has two arrows: write each rule on a line of its own")
            if word == "|":
                alternatives.append([])
            elif word not in ("ε", "''", '""'):
                alternatives[-1].append(word)
        rules.setdefault(left, []).extend(tuple(words) for words in alternatives)
    if start is None:
        raise InvalidArgument("the grammar is empty: write rules such as S -> a S b | a b")
    for rows in rules.values():
        for word in {word for row in rows for word in row}:
            inner = [name for name in rules if name in word and name != word]
            if word not in rules and word[0] not in "'\"" and inner:
                raise InvalidArgument(
                    f"the word {word!r} has the nonterminal {inner[0]} in it: put spaces between symbols, or quotes "
                    "around the word"
                )
    return start, rules


def _unquoted(word: str) -> str:
    return word[1:-1] if word[0] in "'\"" else word


def _terminals(rules: Rules) -> list[str]:
    """Return the names of all symbols, in their order, without quotes."""
    found = [word for rows in rules.values() for row in rows for word in row if word not in rules]
    return list(dict.fromkeys(map(_unquoted, found)))


Binary = dict[str, set[tuple[str, str]]]
Terminal = dict[str, set[str]]


def _normal_form(start: str, rules: Rules) -> tuple[bool, Binary, Terminal]:
    """Return whether the empty string is a member, the rules for two nonterminals, and those for a symbol.

    Only of nonterminals that are reached from the start and come to an end. Lange and Leiß, "To CNF or not to CNF?",
    2009, has the steps in an order that keeps the grammar small: pairs first, then no empty ones, then no chains.
    """
    short: dict[str, set[tuple[str, ...]]] = {left: set() for left in rules}
    for left, rows in rules.items():
        for row in rows:
            # A part of a row that is left over is a nonterminal, named by its words.
            words, owner = row, left
            while len(words) > 2:
                rest = f"<{' '.join(words[1:])}>"
                short.setdefault(owner, set()).add((words[0], rest))
                owner, words = rest, words[1:]
            short.setdefault(owner, set()).add(words)
    empty: set[str] = set()
    while grown := {left for left, rows in short.items() if any(empty.issuperset(row) for row in rows)} - empty:
        empty |= grown
    for words_of in short.values():
        for words in list(words_of):
            if len(words) == 2:
                words_of |= {words[1:]} if words[0] in empty else set()
                words_of |= {words[:1]} if words[1] in empty else set()
        words_of.discard(())
    binary: Binary = {}
    terminal: Terminal = {}

    def nonterminal(word: str) -> str:
        if word in short:
            return word
        terminal.setdefault(f"<{word}>'", set()).add(_unquoted(word))
        return f"<{word}>'"

    for left in short:
        chain, waiting = {left}, [left]
        while waiting:
            # In an order that does not depend on hashes: nonterminals are numbered, and drawn, in the order found here.
            for row in sorted(short[waiting.pop()]):
                if len(row) == 1 and row[0] in short and row[0] not in chain:
                    chain.add(row[0])
                    waiting.append(row[0])
                elif len(row) == 1 and row[0] not in short:
                    terminal.setdefault(left, set()).add(_unquoted(row[0]))
                elif len(row) == 2:
                    binary.setdefault(left, set()).add((nonterminal(row[0]), nonterminal(row[1])))
    return start in empty, *_useful(start, binary, terminal)


def _useful(start: str, binary: Binary, terminal: Terminal) -> tuple[Binary, Terminal]:
    """Return the rules of nonterminals that come to an end and are reached from the start."""
    ends = set(terminal)
    while grown := {left for left, rows in binary.items() if any(ends.issuperset(row) for row in rows)} - ends:
        ends |= grown
    binary = {left: {row for row in rows if ends.issuperset(row)} for left, rows in binary.items() if left in ends}
    reached, waiting = {start}, [start]
    while waiting:
        for row in binary.get(waiting.pop(), ()):
            waiting += (new := set(row) - reached)
            reached |= new
    return (
        {left: rows for left, rows in binary.items() if left in reached and rows},
        {left: names for left, names in terminal.items() if left in reached},
    )
