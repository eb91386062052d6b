"""A teacher answers which strings a network accepts, and how its states go on."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.compiler import CompiledModel, State
from myrnn.compiler.compilation import warn_of_fallback
from myrnn.compiler.reader import Reader
from myrnn.errors import CompileError, InvalidArgument
from myrnn.evaluation.classify import Classifier
from myrnn.finite import check_finite
from myrnn.flat import offsets_of
from myrnn.inspection.one import compiled_of
from myrnn.models.model import network_of
from myrnn.sequences import Sequences
from myrnn.tasks.languages.automata import Dfa
from myrnn.tasks.languages.language import Bools, Language, Offsets, Strings, all_strings, checked_symbols

Word = tuple[int, ...]
Words = tuple[Strings, Offsets]
Floats = NDArray[np.float32]
# The number of shortest strings that are queried in one call first: most queries are among them.
SHORT_WORDS = 2_000
# Strings per call.
PORTION = 50_000


class Stopped(Exception):
    """A limit is reached; the message names it."""


def flat(words: Iterable[Word]) -> Words:
    """Return words as flat arrays."""
    listed = list(words)
    tokens = [token for word in listed for token in word]
    return np.array(tokens, dtype=np.int32), offsets_of([len(word) for word in listed])


def word_at(words: Words, index: int) -> Word:
    """Return one of the words."""
    strings, offsets = words
    return tuple(strings[offsets[index] : offsets[index + 1]].tolist())


def joined(*parts: Words) -> Words:
    """Concatenate words in flat arrays."""
    lengths = np.concatenate([np.diff(offsets) for _, offsets in parts])
    return np.concatenate([strings for strings, _ in parts]), offsets_of(lengths)


def last_of(accepted: Bools, offsets: Offsets) -> Bools:
    """Return whether each of N words is accepted after its last step, bool (N,); a word without steps is not."""
    has_steps = offsets[1:] > offsets[:-1]
    found = np.zeros(len(has_steps), dtype=np.bool_)
    found[has_steps] = accepted[offsets[1:][has_steps] - 1]
    return found


class Teacher:
    """Answers whether strings are accepted, and counts the queries."""

    def __init__(self, source: Any, alphabet: Any, accept: int | None = None) -> None:
        self.symbols = checked_symbols(alphabet)
        # Strings that were queried, and the time (monotonic) from which queries raise `Stopped`.
        self.queries, self.deadline, self._limit = 0, np.inf, ""
        self._known: dict[Word, bool] = {}
        self.accept: int | None = None
        self._language = source if isinstance(source, Language) else None
        self._tokens = np.arange(len(self.symbols), dtype=np.int32)
        # The class of the source.
        self.name = type(network_of(source.model if isinstance(source, CompiledModel) else source)).__name__
        if self._language is not None:
            _check_symbols(self._language, self.symbols)
            if accept is not None:
                raise InvalidArgument("accept is a class of a model, but a language was given")
            return
        self._tokens, self._width = _tokens_of(alphabet, source, self.symbols)
        self._compiled: CompiledModel | None = None
        try:
            self._compiled = compiled_of(source, self._width)
            self._width = self._compiled.dim_input
        except CompileError as error:
            warn_of_fallback(error)
            self._classifier = Classifier(source, "mygrad")
        self.accept = self._checked_class(accept)

    def _checked_class(self, accept: int | None) -> int:
        # One of two steps shows whether a model that does not compile has an output for each: then it is refused.
        _, classes = self._outputs(np.repeat(self._tokens[:1], 2), np.array([0, 2])).shape
        if classes < 2:
            raise InvalidArgument("the model has one output, but an automaton is read out of one with classes")
        if accept is None and classes > 2:
            raise InvalidArgument(f"the model has {classes} classes: say which one is to be accepted, as accept=1")
        return _checks.integer("accept", 1 if accept is None else accept, minimum=0, maximum=classes - 1)

    # Strings ---------------------------------------------------------------------------------------------------------

    def warm_up(self, follow_states: bool) -> None:
        """Query the shortest words, and compile everything needed, so that it does not count as time of the search."""
        self.short  # noqa: B018
        if self._language is None:
            self._one(())
        if follow_states and self.no_states is None:
            self.step(self.first_state, np.zeros(1, dtype=np.int32), 0)

    def stop_after(self, seconds: float) -> None:
        """Let queries raise `Stopped` after this many seconds from now."""
        self.deadline, self._limit = time.monotonic() + seconds, f"{seconds:g} seconds"

    def check_time(self) -> None:
        """Raise `Stopped` if no time is left."""
        if time.monotonic() > self.deadline:
            raise Stopped(self._limit)

    def accepts(self, words: Words) -> Bools:
        """Return which of N words are accepted, bool (N,)."""
        strings, offsets = words
        found = []
        for begin in range(0, len(offsets) - 1, PORTION):
            self.check_time()
            ends = offsets[begin : begin + PORTION + 1]
            found.append(self._contains(strings[ends[0] : ends[-1]], ends - ends[0]))
        self.queries += len(offsets) - 1
        return np.concatenate(found) if found else np.zeros(0, dtype=np.bool_)

    def accepts_one(self, word: Word) -> bool:
        """Return whether a word is accepted; repeated queries give the same answer."""
        if word not in self._known:
            self.check_time()
            self.queries += 1
            self._known[word] = self._one(word)
        return self._known[word]

    @cached_property
    def short(self) -> tuple[Words, Bools]:
        """The shortest words, up to a whole length, and which of them are accepted."""
        parts, count = [], 0
        for length in range(SHORT_WORDS.bit_length()):
            number = len(self.symbols) ** length
            if length > 1 and count + number > SHORT_WORDS:
                break
            parts.append((all_strings(len(self.symbols), length).reshape(-1), offsets_of(np.full(number, length))))
            count += number
        words = joined(*parts)
        answers = self.accepts(words)
        self._known |= {word_at(words, index): bool(answer) for index, answer in enumerate(answers)}
        return words, answers

    def read(self, examples: Any, samples: int, rng: np.random.Generator) -> Words:
        """Return strings of a task, of `Sequences` (with named tokens only), or given by the names of their symbols."""
        given = examples.sample(samples, rng) if callable(getattr(examples, "sample", None)) else examples
        if isinstance(given, Sequences):
            if not given.is_tokens:
                raise InvalidArgument("examples must be sequences of symbols, not of features")
            number = np.full(max(given.dim_input, int(self._tokens.max()) + 1), -1, dtype=np.int32)
            number[self._tokens] = np.arange(len(self.symbols))
            strings = number[given.values]
            known = np.ones(len(given), dtype=np.bool_)
            known[given.owners[strings < 0]] = False
            return strings[np.repeat(known, given.lengths)], offsets_of(given.lengths[known])
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise InvalidArgument(f"examples must be a task, a Sequences or strings, not {_checks.shown(given)}")
        reader = Dfa(self.symbols, [[0] * len(self.symbols)], [False])
        return flat(tuple(reader.read(text).tolist()) for text in given)

    def _contains(self, strings: Strings, offsets: Offsets) -> Bools:
        if self._language is not None:
            return self._language.contains(strings, offsets)
        outputs, lengths = self._outputs(self._tokens[strings], offsets), np.diff(offsets)
        if self._compiled is None or not self._compiled.per_step:
            check_finite(outputs, lengths)
            return outputs.argmax(axis=1) == self.accept
        check_finite(outputs[offsets[1:][lengths > 0] - 1], lengths[lengths > 0])
        return last_of(outputs.argmax(axis=1) == self.accept, offsets)

    def _outputs(self, tokens: NDArray[np.int32], offsets: Offsets) -> Floats:
        """Return the logits of N words, float32 (N, K), or of all their steps, (sum of T, K)."""
        read = Sequences(tokens, offsets, np.zeros(len(offsets) - 1, dtype=np.int64), self._width)
        return self._classifier.scores(read) if self._compiled is None else self._compiled.logits(read)

    def _one(self, word: Word) -> bool:
        strings, offsets = np.array(word, dtype=np.int32), np.array([0, len(word)])
        if self._language is not None or self._compiled is None:
            return bool(self._contains(strings, offsets)[0])
        # A single call would check the model anew, which takes twenty times as long as the answer.
        one = Sequences(self._tokens[strings], offsets, [0], self._width)
        # Without a step, a model with an output for each step has none, and accepts nothing.
        out = self._reader.whole(one)[-1:]
        check_finite(out, one.lengths[: len(out)])
        return bool(len(out)) and int(out[0].argmax()) == self.accept

    @cached_property
    def _reader(self) -> Reader:
        assert self._compiled is not None
        return self._compiled.reader(tokens=True)

    # States ----------------------------------------------------------------------------------------------------------

    @cached_property
    def no_states(self) -> str | None:
        """Why the states of the source cannot be followed step by step, or None."""
        if self._language is not None:
            return "a language has none"
        if self._compiled is None:
            return "the model does not compile"
        try:
            self._begin  # noqa: B018
        except CompileError as error:
            return str(error)
        return None

    @cached_property
    def _begin(self) -> State:
        """Two initial streams: a program for parallel streams takes at least two."""
        assert self._compiled is not None
        return self._compiled.start(2)

    @cached_property
    def first_state(self) -> Floats:
        """The initial state, float32 (1, D), with a number at its end that marks it as initial."""
        return self._begin.numbers[:1]

    def step(self, rows: Floats, symbols: NDArray[np.int32], steps: int) -> tuple[Floats, Bools]:
        """Read one more symbol in each of N states that have read `steps`; return states (N, D) and acceptance (N,)."""
        self.check_time()
        assert self._compiled is not None
        count = len(rows)
        self.queries += count
        repeats = 1 if count > 1 else 2
        numbers = np.repeat(rows, repeats, axis=0)
        before = replace(self._begin, numbers=numbers, steps=steps, streams=len(numbers))
        after, logits = self._compiled.step(before, np.repeat(self._tokens[symbols], repeats))
        return after.numbers[:count], logits[:count].argmax(axis=1) == self.accept

    def vectors(self, rows: Floats) -> Floats:
        """Return only the units of states, float32 (N, units)."""
        assert self._compiled is not None
        return rows[:, : sum(self._compiled.recurrence.state_sizes)]


def _tokens_of(alphabet: Any, model: Any, symbols: tuple[str, ...]) -> tuple[NDArray[np.int32], int]:
    """Return the token of every symbol, and C."""
    given = getattr(model, "dim_input", None)
    width = int(given) if isinstance(given, int | np.integer) else None
    if isinstance(alphabet, Mapping):
        tokens = _checks.integers("alphabet", list(alphabet.values()), minimum=0, maximum=2**31 - 1)
        inputs = int(tokens.max()) + 1 if width is None else width
        _checks.integers("alphabet", tokens, minimum=0, maximum=inputs - 1)
        return tokens.astype(np.int32), inputs
    if width is not None and width != len(symbols):
        raise InvalidArgument(
            f"the alphabet has {_checks.count_of(len(symbols), 'symbol')}, but the model reads {width}: name each, or "
            "give the token of some, as alphabet={'a': 1, 'b': 2}"
        )
    return np.arange(len(symbols), dtype=np.int32), len(symbols)


def _check_symbols(language: Language, symbols: tuple[str, ...]) -> None:
    if language.symbols != symbols:
        raise InvalidArgument(
            f"the alphabet must be that of the language, {' '.join(language.symbols)}, not {' '.join(symbols)}"
        )
