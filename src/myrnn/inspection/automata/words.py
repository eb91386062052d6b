"""Strings on which a network and an automaton may differ: short ones, the W-method's, and random ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from myrnn.inspection.automata.teacher import Teacher, Word, Words, all_words, flat, joined, word_at
from myrnn.sequences import offsets_of
from myrnn.tasks.languages.automata import Dfa
from myrnn.tasks.languages.language import Bools, Language

# Strings of the W-method, at most, and symbols between their two ends.
MOST_OF_METHOD, MOST_BETWEEN = 5_000, 20


def differing(teacher: Teacher, dfa: Dfa, words: Words, answers: Bools | None = None) -> Word | None:
    """Return the shortest of some words on which the two differ; None if there is none."""
    found = teacher.accepts(words) if answers is None else answers
    places = np.flatnonzero(found != dfa.contains(*words))
    lengths = np.diff(words[1])[places]
    for place in places[np.argsort(lengths, kind="stable")]:
        word = word_at(words, int(place))
        # Alone the answer may differ by rounding: that one counts from now on.
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
    """Return the strings of the W-method: to every state, some symbols further, and a suffix that tells states apart.

    Chow, "Testing software design modeled by finite-state machines", 1978. It finds every difference from automata
    that have as many states more as there are symbols between; there are as many as `MOST_OF_METHOD` allows.
    """
    between = 0
    while between < MOST_BETWEEN and len(prefixes) * len(suffixes) * symbols ** (between + 1) <= MOST_OF_METHOD:
        between += 1
    middles = [tuple(row) for length in range(between + 1) for row in all_words(symbols, length).tolist()]
    return flat({prefix + middle + suffix for prefix in prefixes for middle in middles for suffix in suffixes})


def trial_words(languages: Sequence[Language], lengths: NDArray[np.int64], rng: np.random.Generator) -> Words:
    """Draw words of some lengths: any, and for each language members, and members with one symbol changed.

    Languages have the same symbols. Where a language has no member of a length, any word is drawn.
    """
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
    """Return all words of a length if they are no more than `samples`, else so many that are drawn; and whether all."""
    symbols = len(languages[0].symbols)
    if length * np.log(max(symbols, 2)) <= np.log(samples) or symbols == 1:
        return (all_words(symbols, length).reshape(-1), offsets_of(np.full(symbols**length, length))), True
    return trial_words(languages, np.full(samples, length, dtype=np.int64), rng), False
