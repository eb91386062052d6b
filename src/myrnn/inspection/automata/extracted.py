"""What an extraction found: the automaton, what came before it, and where it agrees with a network or a language."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks, results
from myrnn.errors import InvalidArgument
from myrnn.inspection.automata.teacher import Teacher, Word, word_at
from myrnn.inspection.automata.words import words_of_length
from myrnn.sequences import Sequences
from myrnn.tasks import recognition_of
from myrnn.tasks.languages.automata import Dfa
from myrnn.tasks.languages.language import Bools, Language, Offsets, Strings

# Strings of a table that are named, and longer ones that are cut.
MOST_NAMED, LONGEST_NAMED = 10, 40
EMPTY = "(empty)"


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """An automaton on the way, and what refuted it.

    Attributes
    ----------
    dfa : Dfa
    counterexample : str or None
        A string on which the network says something else; None where none was found, or nothing was tried any more.
    seconds : float
        Since the beginning, when it was made.
    queries : int
        How many strings the network had been asked by then.
    """

    dfa: Dfa
    counterexample: str | None
    seconds: float
    queries: int

    @property
    def states(self) -> int:
        """How many states the automaton has."""
        return len(self.dfa)


class Log:
    """Hypotheses as they arise."""

    def __init__(self, teacher: Teacher) -> None:
        self._teacher, self._begin = teacher, time.monotonic()
        self.hypotheses: list[Hypothesis] = []

    @property
    def seconds(self) -> float:
        """How long it has been."""
        return time.monotonic() - self._begin

    def add(self, dfa: Dfa) -> None:
        """Note an automaton."""
        self.hypotheses.append(Hypothesis(dfa, None, self.seconds, self._teacher.queries))

    def refute(self, word: Word | None) -> None:
        """Note a counterexample to the last automaton, if there is one."""
        if word is not None:
            last = self.hypotheses[-1]
            self.hypotheses[-1] = replace(last, counterexample=last.dfa.write(word))


def shown_word(text: str) -> str:
    """Return a string as tables show it: the empty one as such, and long ones cut."""
    return EMPTY if not text else text if len(text) <= LONGEST_NAMED else f"{text[: LONGEST_NAMED - 1]}…"


@dataclass(frozen=True, repr=False, eq=False)
class ExtractedAutomaton(results.HasTable):
    """An automaton that was read out of a network.

    Attributes
    ----------
    dfa : Dfa
        The smallest one that accepts what the last hypothesis accepts, or, of clusters, the best one.
    hypotheses : list of Hypothesis
        All automata in the order in which they arose. Of a network whose language is not regular they go on growing.
    queries : int
        How many strings the network was asked.
    seconds : float
        How long it took, without compiling the network.
    complete : bool
        Whether the last look for a difference from the network found none.
    stopped : str or None
        Where it is not complete, which limit was reached.
    method : {"lstar", "clusters"}
    name : str
        The class of the model.
    alphabet : tuple of str, or mapping of str to int
        The symbols, as they were given.
    """

    dfa: Dfa
    hypotheses: list[Hypothesis]
    queries: int
    seconds: float
    complete: bool
    stopped: str | None
    method: str
    name: str
    alphabet: tuple[str, ...] | dict[str, int]

    def __len__(self) -> int:
        """Return how many states the automaton has."""
        return len(self.dfa)

    def __contains__(self, text: Any) -> bool:
        """Tell whether the automaton accepts a string."""
        return text in self.dfa

    def __repr__(self) -> str:
        """Say how large it is, and what it took."""
        return f"ExtractedAutomaton({self.summary()})"

    def summary(self) -> str:
        """Return one line: the network, the states, and whether it is complete."""
        end = "complete" if self.complete else f"stopped at {self.stopped}"
        asked = _checks.count_of(self.queries, "string")
        return f"{self.name}, {_checks.count_of(len(self), 'state')}, {end}, {self.seconds:.2g} s, {asked} asked"

    def table(self) -> results.Table:
        """Return a row for each hypothesis.

        Its columns are ``states``, ``counterexample`` (None where there is none), ``length`` (of the counterexample),
        ``seconds`` and ``queries`` (both since the beginning).
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

    def plot(self, ax: Any = None, *, dead: bool = False) -> Any:
        """Draw the automaton and return the matplotlib axes; `myrnn.plots.save_figure` writes them as SVG.

        Parameters
        ----------
        ax : matplotlib Axes, optional
        dead : bool
            Whether to draw the state from which nothing is ever accepted, and the arrows into it.
        """
        from myrnn import plots

        return plots.plot_automaton(self.dfa, dead=dead, ax=ax)

    def agreement(
        self,
        other: Any,
        *,
        lengths: ArrayLike = range(21),
        samples: int = 1_000,
        seed: int = 0,
        accept: int | None = None,
    ) -> Agreement:
        """Count by length how often the automaton says what something else says.

        All strings of a length are tried where there are no more than `samples`; else some are drawn: at random,
        strings that the automaton accepts, that it rejects, that the language accepts where there is one, and all of
        these with one symbol changed.

        Parameters
        ----------
        other : model, Language, or task with ``language`` or ``truth``
            What to compare with: the network that the automaton was read out of, another one, or the truth.
        lengths : array_like of int
        samples, seed : int
            How many strings of each length are drawn, and what seeds the drawing.
        accept : int, optional
            The class of a model or task that stands for members, where there are more than two.
        """
        tried = _checks.integers(
            "lengths", list(np.ravel(_checks.array("lengths", lengths))), minimum=0, maximum=10_000
        )
        count = _checks.integer("samples", samples, minimum=1)
        rng = np.random.default_rng(_checks.integer("seed", seed, minimum=0))
        what, truth, language = self._other(recognition_of(other), accept)
        languages: list[Language] = [self.dfa, self.dfa.complement, *([] if language is None else [language])]
        rows, differ = [], []
        for length in np.unique(tried).tolist():
            words, is_all = words_of_length(languages, length, count, rng)
            ours, theirs = self.dfa.contains(*words), truth.contains(*words)
            rows.append((length, len(ours), int((ours == theirs).sum()), is_all))
            for text in dict.fromkeys(self.dfa.write(word_at(words, int(i))) for i in np.flatnonzero(ours != theirs)):
                differ.append(text)
        each = np.array(rows, dtype=np.int64).reshape(-1, 4)
        return Agreement(each[:, 0], each[:, 1], each[:, 2], each[:, 3] > 0, differ, self.dfa, what)

    def _other(self, other: Any, accept: int | None) -> tuple[str, Any, Language | None]:
        """Return what something is called, what says which strings it accepts, and the language to draw from."""
        language = other if isinstance(other, Language) else getattr(other, "language", None)
        if isinstance(language, Language) and language.symbols != self.dfa.symbols:
            raise InvalidArgument(
                f"the other language has the symbols {' '.join(language.symbols)}, and the automaton "
                f"{' '.join(self.dfa.symbols)}"
            )
        known = language if isinstance(language, Language) else None
        if callable(getattr(other, "truth", None)):
            if other.dim_input != len(self.dfa.symbols):
                raise InvalidArgument(
                    f"the task has {_checks.count_of(other.dim_input, 'symbol')}, and the automaton "
                    f"{len(self.dfa.symbols)}"
                )
            return "truth", _Task(other, 1 if accept is None else accept), known
        if known is not None:
            return "truth", known, known
        return "network", _Network(Teacher(other, self.alphabet, accept)), None


@dataclass(frozen=True)
class _Network:
    teacher: Teacher

    def contains(self, strings: Strings, offsets: Offsets) -> Bools:
        return self.teacher.accepts((strings, offsets))


@dataclass(frozen=True)
class _Task:
    task: Any
    accept: int

    def contains(self, strings: Strings, offsets: Offsets) -> Bools:
        nothing = np.zeros(len(offsets) - 1, dtype=np.int64)
        return self.task.truth(Sequences(strings, offsets, nothing, self.task.dim_input)) == self.accept


@dataclass(frozen=True, repr=False, eq=False)
class Agreement(results.Counted, results.HasTable):
    """How often an automaton says what a network or a language says, by length.

    Attributes
    ----------
    lengths : ndarray, int64 (L,)
    total, correct : ndarray, int64 (L,)
        How many strings of each length were tried, and on how many the two agree.
    is_all : ndarray, bool (L,)
        Whether these are all strings of the length, so that the share is known exactly.
    differences : list of str
        The strings on which they differ, each once, the shortest first.
    dfa : Dfa
    what : {"network", "truth"}
        What it was compared with.
    confidence : float
        The level of the intervals.
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
        """On which share of all strings they agree."""
        return float(results.shares(self.correct.sum(), self.total.sum()))

    def __repr__(self) -> str:
        """Say how often they agree."""
        return (
            f"Agreement({self.share:.2%} of {_checks.count_of(int(self.total.sum()), 'string')} with the {self.what})"
        )

    @property
    def interval(self) -> results.Floats:
        """The Wilson interval of each share, float64 (L, 2); the share itself where all strings were tried."""
        return np.where(self.is_all[:, np.newaxis], self.accuracy[:, np.newaxis], super().interval)

    def table(self, beside: Agreement | None = None) -> results.Table:
        """Return a row for each length, and the strings that differ below.

        Its columns are ``length``, ``total``, ``correct``, ``accuracy``, ``low``, ``high`` and ``is_all``.

        Parameters
        ----------
        beside : Agreement, optional
            Another one for the same lengths, which becomes further columns with ``truth_`` or ``network_`` in front.
        """
        columns: dict[str, Any] = {"length": self.lengths, **self._columns(""), "is_all": self.is_all}
        shown = [results.text("length", is_number=True), _agreeing("", self.what)]
        captions = [self.caption]
        if beside is not None:
            if not np.array_equal(self.lengths, beside.lengths):
                raise InvalidArgument("beside must be of the same lengths")
            prefix = f"{beside.what}_"
            columns |= beside._columns(prefix)
            shown.append(_agreeing(prefix, beside.what))
            captions.append(beside.caption)
        shown.append(results.Shown("strings", lambda row: f"{'all ' if row['is_all'] else ''}{row['total']:,}"))
        caption = "\n".join(text for text in captions if text is not None) or None
        return results.Table(f"The automaton agrees, % ({self.confidence:.0%} interval)", columns, shown, caption)

    def _columns(self, prefix: str) -> dict[str, Any]:
        low, high = self.interval.T
        found = {"total": self.total, "correct": self.correct, "accuracy": self.accuracy, "low": low, "high": high}
        return {f"{prefix}{name}": values for name, values in found.items()}

    @property
    def caption(self) -> str | None:
        """The shortest strings that differ, as a line; None where there are none."""
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
    """Show how often the automaton agrees, with the interval unless all strings of the length were tried."""

    def cell(row: results.Row) -> str:
        ends = row[f"{prefix}low"], row[f"{prefix}high"]
        return results.percent(row[f"{prefix}accuracy"], None if row["is_all"] else ends)

    return results.Shown(f"with the {what}", cell)
