"""Search for differences by following the states of a network, divided into cells, and of an automaton side by side.

Weiss, Goldberg and Yahav, "Extracting automata from recurrent neural networks using queries and counterexamples", 2018.
Here the cells are Voronoi cells of some states, and a cell is divided by adding another state as a centre.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from myrnn.inspection.automata.teacher import Teacher, Word
from myrnn.inspection.automata.words import accepts
from myrnn.tasks.languages.automata import Dfa, telling_apart

# More cells than this mean that the states drift and do not form cells.
MOST_CELLS = 1_000


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
