"""The results of an extraction: the automaton, its predecessors, and its agreement with a network or a language."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks, results
from myrnn.errors import InvalidArgument
from myrnn.inspection.automata.search import LONGEST, TABLE_SAMPLES, table_lengths, table_words
from myrnn.inspection.automata.teacher import Teacher, Word, last_of, word_at
from myrnn.intervals import shares
from myrnn.sequences import Sequences
from myrnn.tasks import recognition_of
from myrnn.tasks.languages.automata import Dfa
from myrnn.tasks.languages.language import Bools, Language, Offsets, Strings

# Returns which of some strings are accepted.
Acceptor = Callable[[Strings, Offsets], Bools]
# The most strings named in a table, and the length at which they are cut.
MOST_NAMED, LONGEST_NAMED = 10, 40
EMPTY = "(empty)"


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """An intermediate automaton, and the string that refuted it.

    Attributes
    ----------
    dfa : Dfa
    counterexample : str or None
        A string on which the network differs; None if none was found or the search had ended.
    seconds : float
        The time since the beginning.
    queries : int
        The number of strings queried so far.

    Examples
    --------
    >>> from myrnn import extract_automaton
    >>> from myrnn.tasks.languages import regular
    >>> first, *others = extract_automaton(regular("(ab)*"), "ab").hypotheses
    >>> first.states, first.counterexample
    (2, 'bb')
    """

    dfa: Dfa
    counterexample: str | None
    seconds: float
    queries: int

    @property
    def states(self) -> int:
        """The number of states."""
        return len(self.dfa)


class ExtractionLog:
    """Hypotheses in the order in which they arise."""

    def __init__(self, teacher: Teacher) -> None:
        self._teacher, self._begin = teacher, time.monotonic()
        self.hypotheses: list[Hypothesis] = []

    @property
    def seconds(self) -> float:
        """The seconds since the beginning."""
        return time.monotonic() - self._begin

    def add(self, dfa: Dfa) -> None:
        """Append an automaton."""
        self.hypotheses.append(Hypothesis(dfa, None, self.seconds, self._teacher.queries))

    def refute(self, word: Word | None) -> None:
        """Set the counterexample of the last automaton, if there is one."""
        if word is not None:
            last = self.hypotheses[-1]
            self.hypotheses[-1] = replace(last, counterexample=last.dfa.write(word))


def shown_word(text: str) -> str:
    """Return a string as shown in tables: the empty one by a symbol, long ones cut."""
    return EMPTY if not text else text if len(text) <= LONGEST_NAMED else f"{text[: LONGEST_NAMED - 1]}…"


@dataclass(frozen=True, repr=False, eq=False)
class ExtractedAutomaton(results.Result):
    """An automaton extracted from a network.

    Attributes
    ----------
    dfa : Dfa
        The smallest one that accepts the same language as the last hypothesis or, for clusters, the best one.
    hypotheses : list of Hypothesis
        All automata in the order in which they were built. For a language that is not regular they keep growing.
    queries : int
        The number of strings that the network was queried about.
    seconds : float
        The duration, without compiling the network.
    complete : bool
        Whether no test of the last automaton found a difference from the network.
    max_length : int
        The maximum length of random strings in the tests.
    tested : int
        The number of strings in the last of these tests, up to `max_length`: those of `agreement` with the network. It
        is 0 if the automaton is not complete.
    stopped : str or None
        The limit that was reached, if it is not complete.
    method : {"lstar", "clusters"}
    name : str
        The class of the model.
    alphabet : tuple of str, or mapping of str to int
        The symbols as they were given.
    accept : int or None
        The class of the strings that it accepts; None if it was extracted from a language.

    Examples
    --------
    >>> from myrnn import extract_automaton
    >>> from myrnn.tasks.languages import regular
    >>> found = extract_automaton(regular("(ab)*"), "ab")
    >>> len(found), found.complete, "abab" in found, "aba" in found
    (3, True, True, False)
    """

    dfa: Dfa
    hypotheses: list[Hypothesis]
    queries: int
    seconds: float
    complete: bool
    max_length: int
    tested: int
    stopped: str | None
    method: str
    name: str
    alphabet: tuple[str, ...] | dict[str, int]
    accept: int | None

    def __len__(self) -> int:
        """Return the number of states."""
        return len(self.dfa)

    def __contains__(self, text: Any) -> bool:
        """Return whether the automaton accepts a string."""
        return text in self.dfa

    def __repr__(self) -> str:
        """Show its size, and the queries and the time spent."""
        return f"ExtractedAutomaton({self.summary()})"

    def summary(self) -> str:
        """Return one line: the network, the states, and whether it is complete."""
        tests = f"complete up to length {self.max_length} ({self.tested:,} strings tested)"
        end = tests if self.complete else f"stopped by the limit of {self.stopped}"
        asked = _checks.count_of(self.queries, "string")
        return f"{self.name}, {_checks.count_of(len(self), 'state')}, {end}, {self.seconds:.2g} s, {asked} asked"

    def table(self) -> results.Table:
        """Return a row for each hypothesis.

        Its columns are ``states``, ``counterexample`` (or None), ``length`` (of the counterexample), ``seconds`` and
        ``queries`` (both since the beginning).
        """
        examples = [found.counterexample for found in self.hypotheses]
        columns = {
            "states": [found.states for found in self.hypotheses],
            "counterexample": examples,
            "length": [None if text is None else len(self.dfa.read(text)) for text in examples],
            "seconds": [found.seconds for found in self.hypotheses],
            "queries": [found.queries for found in self.hypotheses],
        }

        def example(row: results.Row) -> str:
            return "" if row["counterexample"] is None else shown_word(row["counterexample"])

        shown = (
            results.integer("states"),
            results.Shown("counterexample", example, is_number=False),
            results.number("length", "d"),
            results.number("seconds", ".2f"),
            results.integer("queries", "strings asked"),
        )
        return results.Table(f"Automaton: {self.summary()}", columns, shown)

    def agreement(
        self,
        other: Any,
        *,
        lengths: ArrayLike | None = None,
        samples: int = TABLE_SAMPLES,
        seed: int = 0,
        accept: int | None = None,
    ) -> Agreement:
        """Count by length how often the automaton agrees with a network, a language or a task.

        All strings of a length are tested if there are at most `samples`. Otherwise they are drawn: at random, from
        those that the automaton accepts, those that it rejects, those that the language accepts, if there is one, and
        all of these with one symbol changed.

        Parameters
        ----------
        other : model, Language, or task with ``language`` or ``truth``
            The reference: the network that the automaton was extracted from, another network, or the truth.
        lengths : array_like of int, optional
            By default those of the tests in the extraction.
        samples, seed : int
            The number of strings per length, and the seed of the draws.
        accept : int, optional
            The class of members in a model or a task. By default it is the class that the automaton accepts; for a task
            with a ``language`` it is 1, that of its members.
        """
        asked = table_lengths(self.max_length) if lengths is None else lengths
        tried = _checks.integers("lengths", list(np.ravel(_checks.array("lengths", asked))), minimum=0, maximum=LONGEST)
        count = _checks.integer("samples", samples, minimum=1)
        source = _checks.integer("seed", seed, minimum=0)
        what, accepted, language = self._other(recognition_of(other), accept)
        languages: list[Language] = [self.dfa, self.dfa.complement, *([] if language is None else [language])]
        rows, differ = [], []
        for length, words, is_all in table_words(languages, np.unique(tried).tolist(), count, source):
            ours, theirs = self.dfa.contains(*words), accepted(*words)
            rows.append((length, len(ours), int((ours == theirs).sum()), is_all))
            for text in dict.fromkeys(self.dfa.write(word_at(words, int(i))) for i in np.flatnonzero(ours != theirs)):
                differ.append(text)
        each = np.array(rows, dtype=np.int64).reshape(-1, 4)
        return Agreement(each[:, 0], each[:, 1], each[:, 2], each[:, 3] > 0, differ, self.dfa, what)

    def _class_in(self, classes: int) -> int:
        """Return the class that the automaton accepts, if there are so many."""
        label = 1 if self.accept is None else self.accept
        if label >= classes:
            raise InvalidArgument(
                f"the automaton accepts class {label}, and the task has {classes} classes: say which one has the "
                "members, as accept=1"
            )
        return label

    def _other(self, other: Any, accept: int | None) -> tuple[str, Acceptor, Language | None]:
        """Return the name of the reference, which strings it accepts, and the language to draw from."""
        if accept is not None and isinstance(other, Language):
            raise InvalidArgument("accept is a class of a model or a task, but a language was given")
        language = other if isinstance(other, Language) else getattr(other, "language", None)
        known = language if isinstance(language, Language) else None
        if known is not None and known.symbols != self.dfa.symbols:
            raise InvalidArgument(
                f"the other language has the symbols {' '.join(known.symbols)}, and the automaton "
                f"{' '.join(self.dfa.symbols)}"
            )
        if callable(getattr(other, "truth", None)):
            if other.dim_input != len(self.dfa.symbols):
                raise InvalidArgument(
                    f"the task has {_checks.count_of(other.dim_input, 'symbol')}, and the automaton "
                    f"{len(self.dfa.symbols)}"
                )

            if accept is not None:
                label = _checks.integer("accept", accept, minimum=0, maximum=other.dim_output - 1)
            else:
                # In a task with a language, members have class 1 whatever class the automaton accepts.
                label = self._class_in(other.dim_output) if known is None else 1

            def accepted(strings: Strings, offsets: Offsets) -> Bools:
                nothing = np.zeros(len(offsets) - 1, dtype=np.int64)
                answers = other.truth(Sequences(strings, offsets, nothing, other.dim_input))
                right: Bools = answers == label
                # Of answers at all steps, the last one counts; without a step there is none.
                return last_of(right, offsets) if getattr(other, "per_step", False) else right

            return "truth", accepted, known
        if known is not None:
            return "truth", known.contains, known
        teacher = Teacher(other, self.alphabet, self.accept if accept is None else accept)
        return "network", lambda *words: teacher.accepts(words), None


@dataclass(frozen=True, repr=False, eq=False)
class Agreement(results.Counted, results.Result):
    """Agreement of an automaton with a network or a language, by length.

    Attributes
    ----------
    lengths : ndarray, int64 (L,)
    total, correct : ndarray, int64 (L,)
        The number of tested strings of each length, and of those on which the two agree.
    is_all : ndarray, bool (L,)
        Whether these are all strings of the length, so that the share is exact.
    differences : list of str
        The different strings on which they disagree, the shortest first.
    dfa : Dfa
    what : {"network", "truth"}
        The reference.
    confidence : float
        The level of the intervals.

    Examples
    --------
    >>> from myrnn import extract_automaton
    >>> from myrnn.tasks.languages import regular
    >>> found = extract_automaton(regular("(ab)*"), "ab")
    >>> agreement = found.agreement(regular("(ab|ba)*"), lengths=[0, 2, 4])
    >>> agreement, agreement.differences
    (Agreement(80.95% of 21 strings with the truth), ['ba', 'abba', 'baab', 'baba'])
    """

    lengths: NDArray[np.int64]
    total: NDArray[np.int64]
    correct: NDArray[np.int64]
    is_all: NDArray[np.bool_]
    differences: list[str]
    dfa: Dfa
    what: str
    confidence: float = 0.95

    @property
    def share(self) -> float:
        """The share of all strings on which they agree."""
        return float(shares(self.correct.sum(), self.total.sum()))

    def __repr__(self) -> str:
        """Show the share and the differences."""
        return (
            f"Agreement({self.share:.2%} of {_checks.count_of(int(self.total.sum()), 'string')} with the {self.what})"
        )

    @property
    def interval(self) -> results.Floats:
        """The Wilson interval of each share, float64 (L, 2); the share itself if all strings were tested."""
        return np.where(self.is_all[:, np.newaxis], self.accuracy[:, np.newaxis], super().interval)

    def table(self, beside: Agreement | None = None) -> results.Table:
        """Return a row for each length, with the strings that differ in the caption.

        Its columns are ``length``, ``total``, ``correct``, ``accuracy``, ``low``, ``high`` and ``is_all``.

        Parameters
        ----------
        beside : Agreement, optional
            Another agreement for the same lengths, shown in further columns prefixed by ``truth_`` or ``network_``.
        """
        columns: dict[str, Any] = {"length": self.lengths, **self._rates(), "is_all": self.is_all}
        shown = [results.text("length", is_number=True), _agreeing("", self.what)]
        captions = [self.caption]
        if beside is not None:
            if not np.array_equal(self.lengths, beside.lengths):
                raise InvalidArgument("beside must be of the same lengths")
            prefix = f"{beside.what}_"
            columns |= beside._rates(prefix)
            shown.append(_agreeing(prefix, beside.what))
            captions.append(beside.caption)
        shown.append(results.Shown("strings", lambda row: f"{'all ' if row['is_all'] else ''}{row['total']:,}"))
        caption = "\n".join(text for text in captions if text is not None) or None
        return results.Table(f"The automaton agrees, % ({self.confidence:.0%} interval)", columns, shown, caption)

    @property
    def caption(self) -> str | None:
        """The shortest strings that differ, on one line; None if there are none."""
        if not self.differences:
            return None
        names = [
            f"{shown_word(text)} ({'accepted' if text in self.dfa else 'rejected'})"
            for text in self.differences[:MOST_NAMED]
        ]
        more = len(self.differences) - len(names)
        return (
            f"the automaton differs from the {self.what} on {', '.join(names)}{f' and {more:,} more' if more else ''}"
        )


def _agreeing(prefix: str, what: str) -> results.Shown:
    """Show the agreement, with the interval unless all strings of the length were tested."""

    def cell(row: results.Row) -> str:
        ends = row[f"{prefix}low"], row[f"{prefix}high"]
        return results.percent(row[f"{prefix}accuracy"], None if row["is_all"] else ends)

    return results.Shown(f"with the {what}", cell)
