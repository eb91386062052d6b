"""Active learning of automata by Angluin's L*, as implemented in AALpy, and its equivalence queries.

Angluin, "Learning regular sets from queries and counterexamples", 1987. Counterexamples are processed as in Rivest and
Schapire, "Inference of finite automata using homing sequences", 1993.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from myrnn.errors import InvalidArgument
from myrnn.inspection.automata.extracted import ExtractionLog
from myrnn.inspection.automata.states import MOST_CELLS, Cells
from myrnn.inspection.automata.teacher import Stopped, Teacher, Word, Words
from myrnn.inspection.automata.words import TableTest, differing, method_words, trial_words
from myrnn.tasks.languages.automata import Dfa

STATES, WORDS, BOTH = "states", "words", "both"
EQUIVALENCES = (BOTH, STATES, WORDS)


def needed() -> Any:
    """Return AALpy, or raise an error that says how to install it."""
    try:
        import aalpy
    except ImportError:
        raise InvalidArgument(
            "method 'lstar' needs AALpy: pip install 'myrnn[automata]', or choose method='clusters'"
        ) from None
    return aalpy


class Equivalence:
    """Searches for a word on which a network and an automaton differ, first among `examples`."""

    def __init__(
        self,
        teacher: Teacher,
        how: str,
        samples: int,
        longest: int,
        rng: np.random.Generator,
        examples: Words,
        table: TableTest,
    ) -> None:
        if how == STATES and teacher.no_states is not None:
            raise InvalidArgument(f"equivalence 'states' follows the states of a network: {teacher.no_states}")
        self._teacher, self._samples, self._longest, self._rng = teacher, samples, longest, rng
        self._cells = Cells(teacher) if how != WORDS and teacher.no_states is None else None
        self._tries_words = how != STATES
        self._examples, self._answers, self._table = examples, teacher.accepts(examples), table
        # The part that the last search left out, or None.
        self.left_out: str | None = None

    def find(self, dfa: Dfa, prefixes: list[Word], suffixes: list[Word]) -> Word | None:
        """Return a word on which they differ, or None; prefixes reach all states, suffixes distinguish them."""
        teacher, self.left_out = self._teacher, None
        found = differing(teacher, dfa, *teacher.short)
        if found is None:
            found = differing(teacher, dfa, self._examples, self._answers)
        if found is None and self._cells is not None:
            found, is_whole = self._cells.find_difference(dfa)
            if not is_whole:
                self.left_out = f"{MOST_CELLS:,} cells of states"
        if found is None and self._tries_words:
            found = differing(teacher, dfa, method_words(len(dfa.symbols), prefixes, suffixes))
        if found is None and self._tries_words:
            lengths = self._rng.integers(0, self._longest + 1, self._samples)
            found = differing(teacher, dfa, trial_words((dfa, dfa.complement), lengths, self._rng))
        return self._table.find(dfa) if found is None else found


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
