"""The two ways to make an automaton: active learning by queries, and clusters of a network's states."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn._checks import count_of, install
from myrnn.errors import InvalidArgument
from myrnn.inspection.automata.extracted import ExtractionLog
from myrnn.inspection.automata.search import MOST_CELLS, Cells, Trials, differing, method_words
from myrnn.inspection.automata.teacher import Floats, Stopped, Teacher, Word, joined
from myrnn.tasks.languages.automata import Dfa
from myrnn.tasks.languages.language import Bools

# The most states that are followed after each number of steps, and the number of restarts of k-means.
MOST_OF_A_LENGTH, BEGINNINGS = 300, 3
STATES, WORDS, BOTH = "states", "words", "both"
EQUIVALENCES = (BOTH, STATES, WORDS)

# --- Active learning --------------------------------------------------------------------------------------------------

# Angluin, "Learning regular sets from queries and counterexamples", 1987, as implemented in AALpy. Counterexamples are
# processed as in Rivest and Schapire, "Inference of finite automata using homing sequences", 1993.


def needed() -> Any:
    """Return AALpy, or raise an error that says how to install it."""
    try:
        import aalpy
    except ImportError:
        raise InvalidArgument(
            f"method 'lstar' needs AALpy: {install('automata')}, or choose method 'clusters'"
        ) from None
    return aalpy


class Equivalence:
    """Searches for a word on which a network and an automaton differ, first among the examples."""

    def __init__(self, trials: Trials, how: str) -> None:
        teacher = trials.teacher
        if how == STATES and teacher.no_states is not None:
            raise InvalidArgument(f"equivalence 'states' follows the states of a network: {teacher.no_states}")
        self._trials, self._tries_words = trials, how != STATES
        self._cells = Cells(teacher) if how != WORDS and teacher.no_states is None else None
        self._answers = teacher.accepts(trials.examples)
        # The part that the last search left out, or None.
        self.left_out: str | None = None

    def find(self, dfa: Dfa, prefixes: list[Word], suffixes: list[Word]) -> Word | None:
        """Return a word on which they differ, or None; prefixes reach all states, suffixes distinguish them."""
        trials, teacher, self.left_out = self._trials, self._trials.teacher, None
        found = differing(teacher, dfa, *teacher.short)
        if found is None:
            found = differing(teacher, dfa, trials.examples, self._answers)
        if found is None and self._cells is not None:
            found, is_whole = self._cells.find_difference(dfa)
            if not is_whole:
                self.left_out = f"{MOST_CELLS:,} cells of states"
        if found is None and self._tries_words:
            found = differing(teacher, dfa, method_words(len(dfa.symbols), prefixes, suffixes))
        if found is None and self._tries_words:
            found = differing(teacher, dfa, trials.random(dfa))
        return trials.in_table(dfa) if found is None else found


def learn(teacher: Teacher, equivalence: Equivalence, log: ExtractionLog, most: int) -> tuple[Dfa | None, str | None]:
    """Log all hypotheses; return the last, and the limit that stopped it or None if nothing refutes it."""
    aalpy = needed()

    class Queries(aalpy.SUL):  # type: ignore[misc,name-defined]
        """Membership queries for AALpy."""

        def query(self, word: Word) -> list[bool]:
            return [teacher.accepts_one(word)]

        def pre(self) -> None: ...

        def post(self) -> None: ...

        def step(self, letter: Any) -> None: ...

    class Questions(aalpy.Oracle):  # type: ignore[misc,name-defined]
        """Equivalence queries for AALpy."""

        def find_cex(self, hypothesis: Any) -> Word | None:
            states = hypothesis.states
            number = {state: place for place, state in enumerate(states)}
            start = number[hypothesis.initial_state]
            moves = [[number[state.transitions[token]] for token in tokens] for state in states]
            accepting = [state.is_accepting for state in states]
            dfa = Dfa.explored(teacher.symbols, start, lambda s, v: moves[s][v], lambda s: accepting[s]).minimal()
            log.add(dfa)
            if len(dfa) > most:
                raise Stopped(f"{most:,} states")
            prefixes = [state.prefix for state in states]
            found = equivalence.find(dfa, prefixes, list(hypothesis.characterization_set))
            log.refute(found)
            return found

    tokens = list(range(len(teacher.symbols)))
    queries = Queries()
    stopped: str | None = None
    try:
        # A cell of the table has one answer, that of the whole word.
        aalpy.run_Lstar(
            tokens,
            queries,
            Questions(tokens, queries),
            "dfa",
            all_prefixes_in_obs_table=False,
            cache_and_non_det_check=False,
            print_level=0,
        )
        stopped = equivalence.left_out
    except Stopped as limit:
        stopped = str(limit)
    return (log.hypotheses[-1].dfa if log.hypotheses else None), stopped


# --- Clusters ---------------------------------------------------------------------------------------------------------

# Omlin and Giles, "Extraction of rules from discrete-time recurrent neural networks", 1996, divide the state space into
# cubes; here k-means finds the clusters, as in Zeng, Goodman and Smyth, "Learning finite state machines with
# self-clustering recurrent networks", 1993.


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
        # The start has its own answer: the empty string is rejected if it has no output, whatever its cluster says.
        start, moves = clusters, np.vstack([moves, moves[cell[0]]])
        accepting = np.append(accepting, self.accepted[0])
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


def cluster(trials: Trials, log: ExtractionLog, most: int) -> tuple[Dfa | None, str | None]:
    """Log automata with more and more clusters; return the best, and the limit that stopped it or None."""
    teacher, rng = trials.teacher, trials.rng
    best: tuple[float, Dfa | None] = (-1.0, None)
    seed = int(rng.integers(2**31))
    try:
        observed = observe(teacher, trials.longest, rng)
        most = min(most, len(np.unique(observed.states, axis=0)))
        # 1, 2, 3, 4, 6, 8, 11 and so on.
        numbers = accumulate(range(most), lambda number, _: number + max(1, number // 3), initial=1)
        for number in takewhile(lambda number: number <= most, numbers):
            teacher.check_time()
            dfa = observed.automaton(teacher.symbols, number, seed)
            log.add(dfa)
            words = joined(trials.examples, trials.random(dfa))
            answers = teacher.accepts(words)
            found = differing(teacher, dfa, *teacher.short)
            found = differing(teacher, dfa, words, answers) if found is None else found
            found = trials.in_table(dfa) if found is None else found
            log.refute(found)
            share = float((answers == dfa.contains(*words)).mean())
            if found is None:
                return dfa, None
            if share > best[0]:
                best = share, dfa
    except Stopped as limit:
        return best[1], str(limit)
    return best[1], count_of(most, "cluster")
