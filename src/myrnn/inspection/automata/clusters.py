"""Automata from clusters of a network's states, each cluster a state of the automaton.

Omlin and Giles, "Extraction of rules from discrete-time recurrent neural networks", 1996, divide the state space into
cubes; here k-means finds the clusters, as in Zeng, Goodman and Smyth, "Learning finite state machines with
self-clustering recurrent networks", 1993.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, takewhile

import numpy as np
from numpy.typing import NDArray

from myrnn._checks import count_of
from myrnn.errors import InvalidArgument
from myrnn.inspection.automata.extracted import ExtractionLog
from myrnn.inspection.automata.teacher import Floats, Stopped, Teacher, Words, joined
from myrnn.inspection.automata.words import TableTest, differing, trial_words
from myrnn.tasks.languages.automata import Dfa
from myrnn.tasks.languages.language import Bools

# The most states that are followed after each number of steps, and the number of restarts of k-means.
MOST_OF_A_LENGTH, BEGINNINGS = 300, 3


@dataclass(frozen=True)
class Transitions:
    """States of a network, and the next state for each symbol."""

    states: Floats  # float32 (N, D): the first is the initial state
    accepted: Bools  # bool (N,)
    following: Floats  # float32 (N, V, D)

    def automaton(self, symbols: tuple[str, ...], clusters: int, seed: int) -> Dfa:
        """Return the smallest automaton whose states are clusters; the majority of a cluster decides where it leads."""
        from sklearn.cluster import KMeans

        means = KMeans(clusters, n_init=BEGINNINGS, random_state=seed).fit(self.states)
        cell = means.labels_
        following = means.predict(self.following.reshape(-1, self.states.shape[1])).reshape(len(cell), -1)
        moves = np.empty((clusters, len(symbols)), dtype=np.int64)
        for symbol in range(len(symbols)):
            moves[:, symbol] = _votes(cell, following[:, symbol], clusters, clusters)
        accepting = _votes(cell, self.accepted.astype(np.int64), clusters, 2)
        start = int(cell[0])
        return Dfa.explored(symbols, start, lambda s, v: int(moves[s, v]), lambda s: bool(accepting[s])).minimal()


def _votes(cell: NDArray[np.int64], choice: NDArray[np.int64], cells: int, choices: int) -> NDArray[np.int64]:
    """Return the choice of the majority in each cell, int64 (cells,)."""
    return np.bincount(cell * choices + choice, minlength=cells * choices).reshape(cells, choices).argmax(axis=1)


def observe(teacher: Teacher, longest: int, rng: np.random.Generator) -> Transitions:
    """Collect the states after up to `longest` symbols: all, or `MOST_OF_A_LENGTH` random ones of each length."""
    if teacher.no_states is not None:
        raise InvalidArgument(f"method 'clusters' groups the states of a network: {teacher.no_states}")
    symbols = len(teacher.symbols)
    rows, accepted = teacher.first_state, np.array([teacher.accepts_one(())])
    gathered = []
    for length in range(longest + 1):
        tokens = np.tile(np.arange(symbols, dtype=np.int32), len(rows))
        following, are_accepted = teacher.step(np.repeat(rows, symbols, axis=0), tokens, length)
        gathered.append((teacher.vectors(rows), accepted, teacher.vectors(following)))
        kept = rng.permutation(len(following))[:MOST_OF_A_LENGTH]
        rows, accepted = following[kept], are_accepted[kept]
    states, answers, onward = (np.concatenate(parts) for parts in zip(*gathered, strict=True))
    return Transitions(states, answers, onward.reshape(len(states), symbols, -1))


def cluster(
    teacher: Teacher,
    log: ExtractionLog,
    most: int,
    samples: int,
    longest: int,
    rng: np.random.Generator,
    examples: Words,
    table: TableTest,
) -> tuple[Dfa | None, str | None]:
    """Log automata with more and more clusters; return the best, and the limit that stopped it or None."""
    best: tuple[float, Dfa | None] = (-1.0, None)
    seed = int(rng.integers(2**31))
    try:
        observed = observe(teacher, longest, rng)
        most = min(most, len(np.unique(observed.states, axis=0)))
        # 1, 2, 3, 4, 6, 8, 11 and so on.
        numbers = accumulate(range(most), lambda number, _: number + max(1, number // 3), initial=1)
        for number in takewhile(lambda number: number <= most, numbers):
            teacher.check_time()
            dfa = observed.automaton(teacher.symbols, number, seed)
            log.add(dfa)
            lengths = rng.integers(0, longest + 1, samples)
            words = joined(examples, trial_words((dfa, dfa.complement), lengths, rng))
            answers = teacher.accepts(words)
            found = differing(teacher, dfa, *teacher.short)
            found = differing(teacher, dfa, words, answers) if found is None else found
            found = table.find(dfa) if found is None else found
            log.refute(found)
            share = float((answers == dfa.contains(*words)).mean())
            if found is None:
                return dfa, None
            if share > best[0]:
                best = share, dfa
    except Stopped as limit:
        return best[1], str(limit)
    return best[1], count_of(most, "cluster")
