"""Strings on which a network and an automaton may differ: short ones, those of the W-method, and random ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from myrnn.inspection.automata.teacher import Teacher, Word, Words, all_words, flat, joined, word_at
from myrnn.sequences import offsets_of
from myrnn.tasks.languages.automata import Dfa
from myrnn.tasks.languages.language import Bools, Language

# The most strings of the W-method, and the most symbols in their middle part.
MOST_OF_METHOD, MOST_BETWEEN = 5_000, 20
# The approximate number of lengths in a table of agreement, and the most strings of each.
TABLE_LENGTHS, TABLE_SAMPLES = 20, 1_000
# The longest strings that are tested.
LONGEST = 10_000


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
    return bool(dfa.accepting[end_of(dfa, word)])


def end_of(dfa: Dfa, word: Word) -> int:
    """Return the state in which a word ends."""
    state = 0
    for token in word:
        state = int(dfa.moves[state, token])
    return state


def method_words(symbols: int, prefixes: Sequence[Word], suffixes: Sequence[Word]) -> Words:
    """Return the strings of the W-method: a path to every state, some symbols, and a distinguishing suffix."""
    # Chow, "Testing software design modeled by finite-state machines", 1978. It finds every difference from automata
    # with as many additional states as there are symbols in the middle; `MOST_OF_METHOD` limits their number.
    between = 0
    while between < MOST_BETWEEN and len(prefixes) * len(suffixes) * symbols ** (between + 1) <= MOST_OF_METHOD:
        between += 1
    middles = [tuple(row) for length in range(between + 1) for row in all_words(symbols, length).tolist()]
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
        return (all_words(symbols, length).reshape(-1), offsets_of(np.full(symbols**length, length))), True
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


class TableTest:
    """Compares a network with an automaton on the strings of their table of agreement."""

    # An extraction that passes it is not refuted by `ExtractedAutomaton.agreement`.

    def __init__(self, teacher: Teacher, longest: int, seed: int) -> None:
        self._teacher, self._lengths, self._seed = teacher, table_lengths(longest), seed
        self.tested = 0  # the number of strings in the last search that found no difference

    def find(self, dfa: Dfa) -> Word | None:
        """Return a word on which the two differ, the shortest of them, or None."""
        tested = 0
        for _, words, _ in table_words((dfa, dfa.complement), self._lengths, TABLE_SAMPLES, self._seed):
            found = differing(self._teacher, dfa, words)
            if found is not None:
                return found
            tested += len(words[1]) - 1
        self.tested = tested
        return None
