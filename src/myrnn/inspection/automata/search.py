"""Search for a string on which a network and an automaton differ.

It tries strings (short ones, those of the W-method, random ones), or follows the states of both side by side, those of
the network divided into cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn.flat import offsets_of
from myrnn.inspection.automata.teacher import Teacher, Word, Words, flat, joined, word_at
from myrnn.tasks.languages.automata import Dfa, telling_apart
from myrnn.tasks.languages.language import Bools, Language, all_strings

# The most strings of the W-method, and the most symbols in their middle part.
MOST_OF_METHOD, MOST_BETWEEN = 5_000, 20
# The approximate number of lengths in a table of agreement, and the most strings of each.
TABLE_LENGTHS, TABLE_SAMPLES = 20, 1_000
# The longest strings that are tested.
LONGEST = 10_000
# More cells than this mean that the states drift and do not form cells.
MOST_CELLS = 1_000


def differing(teacher: Teacher, dfa: Dfa, words: Words, answers: Bools | None = None) -> Word | None:
    """Return the shortest of some words on which the two differ, or None."""
    found = teacher.accepts(words) if answers is None else answers
    places = np.flatnonzero(found != dfa.contains(*words))
    lengths = np.diff(words[1])[places]
    for place in places[np.argsort(lengths, kind="stable")]:
        word = word_at(words, int(place))
        # A single query may differ by rounding; its answer is used from now on.
        if teacher.accepts_one(word) != accepts(dfa, word):
            return word
    return None


def accepts(dfa: Dfa, word: Word) -> bool:
    """Return whether an automaton accepts a word."""
    state = 0
    for token in word:
        state = dfa.moves[state, token]
    return bool(dfa.accepting[state])


def method_words(symbols: int, prefixes: Sequence[Word], suffixes: Sequence[Word]) -> Words:
    """Return the strings of the W-method: a path to every state, some symbols, and a distinguishing suffix."""
    # Chow, "Testing software design modeled by finite-state machines", 1978. It finds every difference from automata
    # with as many additional states as there are symbols in the middle; `MOST_OF_METHOD` limits their number.
    between = 0
    while between < MOST_BETWEEN and len(prefixes) * len(suffixes) * symbols ** (between + 1) <= MOST_OF_METHOD:
        between += 1
    middles = [tuple(row) for length in range(between + 1) for row in all_strings(symbols, length).tolist()]
    return flat({prefix + middle + suffix for prefix in prefixes for middle in middles for suffix in suffixes})


def trial_words(languages: Sequence[Language], lengths: NDArray[np.int64], rng: np.random.Generator) -> Words:
    """Draw words of some lengths: any, and for each language members, and members with one symbol changed."""
    symbols = len(languages[0].symbols)
    kinds = rng.integers(0, 1 + 2 * len(languages), len(lengths))
    parts = [_uniform(symbols, lengths[kinds == 0], rng)]
    for number, language in enumerate(languages):
        for kind in (1 + 2 * number, 2 + 2 * number):
            wanted = lengths[kinds == kind]
            there = language.has_members(wanted)
            parts.append(_uniform(symbols, wanted[~there], rng))
            wanted = wanted[there]
            offsets = offsets_of(wanted)
            strings = language.draw_members(wanted, rng)
            if kind % 2 == 0:
                places = offsets[:-1] + rng.integers(0, np.maximum(wanted, 1))
                changed = places[wanted > 0]
                strings[changed] = rng.integers(0, symbols, len(changed))
            parts.append((strings, offsets))
    return joined(*parts)


def _uniform(symbols: int, lengths: NDArray[np.int64], rng: np.random.Generator) -> Words:
    offsets = offsets_of(lengths)
    return rng.integers(0, symbols, int(offsets[-1]), dtype=np.int32), offsets


def words_of_length(
    languages: Sequence[Language], length: int, samples: int, rng: np.random.Generator
) -> tuple[Words, bool]:
    """Return all words of a length if there are at most `samples`, otherwise random ones; and whether these are all."""
    symbols = len(languages[0].symbols)
    if length * np.log(max(symbols, 2)) <= np.log(samples) or symbols == 1:
        return (all_strings(symbols, length).reshape(-1), offsets_of(np.full(symbols**length, length))), True
    return trial_words(languages, np.full(samples, length, dtype=np.int64), rng), False


def table_lengths(longest: int) -> list[int]:
    """Return the lengths of a table of agreement: every k-th up to the longest, and the longest itself."""
    every = range(0, longest + 1, max(1, longest // TABLE_LENGTHS))
    return [*every, *({longest}.difference(every))]


def table_words(
    languages: Sequence[Language], lengths: Iterable[int], samples: int, seed: int
) -> Iterator[tuple[int, Words, bool]]:
    """Yield the strings of a table of agreement by length, and whether these are all."""
    # They depend only on the languages, the length, `samples` and `seed`, so two tables agree where their lengths do.
    for length in lengths:
        yield length, *words_of_length(languages, length, samples, np.random.default_rng((seed, length)))


class Trials:
    """Compares a network with an automaton on examples, on random strings, and on their table of agreement."""

    def __init__(self, teacher: Teacher, examples: Any, samples: int, longest: int, seed: int) -> None:
        self.teacher, self.longest, self._samples, self._seed = teacher, longest, samples, seed
        self.rng = np.random.default_rng(seed)
        self.examples = teacher.read(examples, samples, self.rng)
        self.tested = 0  # the number of strings in the last table that showed no difference

    def random(self, dfa: Dfa) -> Words:
        """Draw strings of random lengths."""
        lengths = self.rng.integers(0, self.longest + 1, self._samples)
        return trial_words((dfa, dfa.complement), lengths, self.rng)

    def in_table(self, dfa: Dfa) -> Word | None:
        """Return the shortest string of the table of agreement on which the two differ, or None."""
        # An extraction that passes it is not refuted by `ExtractedAutomaton.agreement`.
        tested, lengths = 0, table_lengths(self.longest)
        for _, words, _ in table_words((dfa, dfa.complement), lengths, TABLE_SAMPLES, self._seed):
            found = differing(self.teacher, dfa, words)
            if found is not None:
                return found
            tested += len(words[1]) - 1
        self.tested = tested
        return None


# --- States -----------------------------------------------------------------------------------------------------------

# Weiss, Goldberg and Yahav, "Extracting automata from recurrent neural networks using queries and counterexamples",
# 2018. Here the cells are Voronoi cells of some states, and a cell is divided by adding another state as a centre.


class Cells:
    """A partition of the state space, which is refined from query to query."""

    def __init__(self, teacher: Teacher) -> None:
        self._teacher = teacher
        self._centers = teacher.vectors(teacher.first_state).astype(np.float64)

    def __len__(self) -> int:
        """Return the number of cells."""
        return len(self._centers)

    def of(self, rows: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the cell of each of N states, int64 (N,)."""
        # |a - b|^2 without |a|^2, which is the same for all b.
        vectors = self._teacher.vectors(rows).astype(np.float64)
        distance = (self._centers**2).sum(axis=1) - 2 * vectors @ self._centers.T
        return distance.argmin(axis=1)

    def divide(self, cell: int, row: NDArray[np.float32]) -> bool:
        """Make a state the centre of a new cell; return False if it is already the centre of this one."""
        vector = self._teacher.vectors(row[np.newaxis])
        if np.array_equal(vector[0], self._centers[cell]):
            return False
        self._centers = np.concatenate((self._centers, vector))
        return True

    def find_difference(self, dfa: Dfa) -> tuple[Word | None, bool]:
        """Return a word on which network and automaton differ, or None; and whether the search was exhaustive."""
        # The two are followed from the start, breadth first; only the first state that reaches a cell is followed
        # further. If two states of a cell correspond to states p and q of the automaton, a suffix that distinguishes p
        # from q shows the fault: it is in the automaton if the network disagrees with it on one of the two words with
        # this suffix; otherwise the cell is too large and is divided.
        while True:
            size = len(self)
            found = self._follow(dfa)
            if found is not None or len(self) == size:
                return found, True
            if len(self) > MOST_CELLS:
                return None, False

    def _follow(self, dfa: Dfa) -> Word | None:
        teacher, symbols = self._teacher, len(dfa.symbols)
        if teacher.accepts_one(()) != dfa.accepting[0]:
            return ()
        # For each cell: the state of the automaton, the word that led there, and the network's state.
        first: dict[int, tuple[int, Word, NDArray[np.float32]]] = {}
        rows, ends = teacher.first_state, np.zeros(1, dtype=np.int32)
        words: list[Word] = [()]
        first[int(self.of(rows)[0])] = 0, (), rows[0]
        steps = 0
        while len(rows) and len(self) <= MOST_CELLS:
            tokens = np.tile(np.arange(symbols, dtype=np.int32), len(rows))
            rows, accepted = teacher.step(np.repeat(rows, symbols, axis=0), tokens, steps)
            ends = dfa.moves[np.repeat(ends, symbols), tokens]
            words = [(*word, token) for word in words for token in range(symbols)]
            steps += 1
            for index in np.flatnonzero(accepted != dfa.accepting[ends]).tolist():
                if teacher.accepts_one(words[index]) != dfa.accepting[ends[index]]:
                    return words[index]
            cells, kept = self.of(rows), []
            for index, (word, end) in enumerate(zip(words, ends.tolist(), strict=True)):
                cell = int(cells[index])
                if cell not in first:
                    first[cell] = end, word, rows[index]
                    kept.append(index)
                    continue
                other, earlier, row = first[cell]
                if other == end:
                    continue
                suffix = telling_apart(dfa, other, dfa, end)
                assert suffix is not None, "states of a smallest automaton differ"
                for whole in (earlier + suffix, word + suffix):
                    if teacher.accepts_one(whole) != accepts(dfa, whole):
                        return whole
                if self.divide(cell, rows[index]):
                    first[len(self) - 1] = end, word, rows[index]
                elif self.divide(cell, row):
                    first[len(self) - 1], first[cell] = first[cell], (end, word, rows[index])
                kept.append(index)
                cells[index:] = self.of(rows[index:])
            rows, ends, words = rows[kept], ends[kept], [words[index] for index in kept]
        return None
