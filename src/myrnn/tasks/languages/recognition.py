"""Is a string a member of a language? Members and non-members are drawn at the same lengths, half of each."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, Literal, Self

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.errors import InvalidArgument
from myrnn.flat import offsets_of, places_from
from myrnn.sequences import Sequences
from myrnn.targets import CLASS, SEVERAL, TargetPart
from myrnn.tasks.drawn import LONGEST, NO_ANSWER, NamedTask, named_lengths, tokens_of
from myrnn.tasks.languages.kernels import edit
from myrnn.tasks.languages.language import Bools, Integers, Language, Offsets, Strings, preceded, redrawn
from myrnn.tasks.languages.predicate import FEWEST, TRIED

# The symbols before and after a string if continuations are learned.
START, END = "^", "$"
# The most redraws of a near miss that happens to be a member.
MOST_TRIES = 10
# A task is refused if at most this share of its lengths is left without those that are too rare to be drawn.
FEWEST_LEFT = 0.1
# What is learned beside recognition may count so much at most.
MOST_WEIGHT = 1000


@dataclass(frozen=True, kw_only=True)
class Recognition(NamedTask):
    """The common part of tasks that ask whether a string is a member of a language."""

    length_min: Annotated[int, Meta(ge=0, le=LONGEST, description="The shortest sequence.")] = 1
    length_max: Annotated[int, Meta(ge=0, le=LONGEST, description="The longest sequence.")] = 40
    negatives: Annotated[
        Literal["mixed", "uniform", "near_miss"],
        Meta(
            description="Strings that are not members: uniform (any), near_miss (a member with some symbols changed, "
            "put in or taken out), or mixed (half of each)."
        ),
    ] = "mixed"
    any_length: Annotated[
        bool,
        Meta(
            description="Whether non-members may have lengths that no member has. Then the length alone gives them "
            "away."
        ),
    ] = False

    objective: Annotated[
        Literal["recognition", "next_symbols", "next_symbol"],
        Meta(
            description="What is learned: recognition (is a string a member?), or at each step of a member "
            "next_symbols (all symbols that may follow) or next_symbol (the one that follows, as in a language model)."
        ),
    ] = "recognition"
    also_next_symbol: Annotated[
        float,
        Meta(
            ge=0,
            le=MOST_WEIGHT,
            description="The weight of predicting the next symbol of members, in addition to recognition; 0 leaves it "
            "out.",
        ),
    ] = 0.0
    also_next_symbols: Annotated[
        float,
        Meta(
            ge=0,
            le=MOST_WEIGHT,
            description="The weight of predicting all symbols that may follow in members, in addition to recognition; "
            "0 leaves it out.",
        ),
    ] = 0.0

    def __post_init__(self) -> None:
        """Check the settings, and that there is something to draw."""
        super().__post_init__()
        for name in ("also_next_symbol", "also_next_symbols"):
            if getattr(self, name) and self.objective != "recognition":
                raise InvalidArgument(
                    f"{name} is for what is learned beside objective recognition, not {self.objective}: leave it out"
                )
        every = np.arange(self.length_min, self.length_max + 1)
        if not len(self.lengths):
            raise InvalidArgument(self._missing(every))
        if self.recognition is None:
            # With further targets, `recognition` has checked it.
            self._check_rare(every)
        if taken := {START, END}.intersection(self.language.symbols) if self.per_step else ():
            raise InvalidArgument(
                f"to learn what follows, strings get a start {START} and an end {END}: the alphabet must not have "
                f"{min(taken)}"
            )
        if self.objective == "next_symbols" or self.also_next_symbols:
            # It is not known of all languages.
            self.language.followers(np.zeros(0, dtype=np.int32), np.zeros(1, dtype=np.int64))

    @property
    @abstractmethod
    def language(self) -> Language:
        """The language."""

    @property
    def _is_classed(self) -> bool:
        """Whether strings are classified, members and others, so that both are drawn."""
        return self.objective == "recognition"

    @property
    def per_step(self) -> bool:
        """Whether continuations are learned at each step, alone or in addition to recognition."""
        return not self._is_classed or bool(self.parts)

    @property
    def predicts_next(self) -> bool:
        """Whether targets are what follows: then the model must not read backward."""
        return self.per_step

    @cached_property
    def parts(self) -> tuple[TargetPart, ...]:
        """The targets that are learned together, if there are several: recognition first."""
        follows = len(self.language.symbols) + 1
        also = ((self.also_next_symbol, CLASS), (self.also_next_symbols, SEVERAL))
        further = tuple(TargetPart(what, follows) for weight, what in also if weight)
        return (TargetPart(CLASS, 2), *further) if further else ()

    @cached_property
    def recognition(self) -> Self | None:
        """The task for the test of a model that learns more than recognition; None for all other tasks."""
        return replace(self, also_next_symbol=0.0, also_next_symbols=0.0) if self.parts else None

    @property
    def dim_output(self) -> int:
        """K: 2, or the number of symbols and one more for the end; of several things that are learned the sum."""
        return sum(part.columns for part in self.parts) or len(self.class_names)

    @property
    def symbol_names(self) -> tuple[str, ...]:
        """The names of the C tokens."""
        return (*self.language.symbols, START) if self.per_step else self.language.symbols

    @property
    def start(self) -> int | None:
        """The token that begins every sequence, if continuations are learned; otherwise None."""
        return self.symbol_names.index(START) if self.per_step else None

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the K classes; with several objectives, those of recognition."""
        return ("no member", "member") if self.objective == "recognition" else (*self.language.symbols, END)

    def _span(self, low: int, high: int) -> Integers:
        return np.arange(low, high + 1) + self.per_step

    def truth(self, sequences: Sequences) -> Integers:
        """Return the true class of every sequence, int64 (N,): 1 for a member.

        If only continuations are learned, the targets of every step: the next symbol, int64 (sum of T,), or all that
        may follow, bool (sum of T, K).
        """
        tokens_of(self, sequences)
        if self.per_step:
            return self._truth_of_steps(sequences)
        return self.language.contains(sequences.values, sequences.offsets).astype(np.int64)

    def _truth_of_steps(self, sequences: Sequences) -> NDArray[Any]:
        """Return what follows each step of sequences; the last symbol of a non-member has no answer."""
        start = len(self.language.symbols)
        first = np.zeros(len(sequences.values), dtype=np.bool_)
        first[sequences.offsets[:-1][sequences.lengths > 0]] = True
        if not np.array_equal(sequences.values == start, first) or not sequences.lengths.all():
            raise InvalidArgument(f"sequences must begin with the start {START}, and have it nowhere else")
        strings, offsets = sequences.values[~first], offsets_of(sequences.lengths - 1)
        is_member = self.language.contains(strings, offsets)
        if self.parts:
            return is_member.astype(np.int64)
        if self.objective == "next_symbols" and not is_member.all():
            raise InvalidArgument("sequences must hold members of the language: what may follow is known of these")
        truth = self._following(strings, offsets)
        if self.objective == "next_symbol":
            truth[sequences.offsets[1:][~is_member] - 1] = NO_ANSWER
        return truth

    def sample(self, n: int, rng: np.random.Generator) -> Sequences:
        """Draw `n` strings, half of them members; of the lengths that either can have, all are equally likely."""
        count = _checks.integer("n", n, minimum=0)
        source = _checks.generator("rng", rng)
        if not self._is_classed:
            return super().sample(count, source)
        lengths = self.lengths - self.per_step
        kinds = self._kinds(lengths)
        label = source.integers(0, 2, count) if kinds.any(axis=0).all() else np.full(count, int(kinds[:, 0].any()))
        chosen = np.zeros(count, dtype=np.int64)
        for kind, drawn in ((1, kinds[:, 0]), (0, kinds[:, 1])):
            here = label == kind
            chosen[here] = source.choice(lengths[drawn], np.count_nonzero(here)) if here.any() else 0
        return self._labelled(chosen, label, source)

    def _possible(self, lengths: Integers) -> tuple[Bools, str]:
        is_string, strings = lengths >= self.per_step, np.maximum(lengths - self.per_step, 0)
        kinds = self._kinds(strings)
        if not self._is_classed:
            possible, words = kinds[:, 0], "those of members"
        elif self.any_length:
            # Of lengths of its own the task has warned.
            is_own = (strings >= self.length_min) & (strings <= self.length_max)
            possible = is_own | ~self._rare(strings)[0]
            words = "those of strings" if possible[is_string].all() else "all but some"
        else:
            possible, words = kinds.all(axis=1), "those with members and others"
        missing = strings[is_string & ~possible]
        if self._is_classed and len(missing):
            words += f": {self._missing(missing[:1])}"
        return is_string & possible, f"one more than {words}" if self.per_step else words

    def _draw(self, lengths: Integers, rng: np.random.Generator) -> Sequences:
        lengths = lengths - self.per_step
        if not self._is_classed:
            return self._continued(lengths, rng)
        kinds = self._kinds(lengths)
        label = np.where(kinds.all(axis=1), rng.integers(0, 2, len(lengths)), kinds[:, 0])
        return self._labelled(lengths, label, rng)

    def _labelled(self, lengths: Integers, label: Integers, rng: np.random.Generator) -> Sequences:
        """Return a string of each length, a member where `label` is 1, with all that is learned of it."""
        offsets = offsets_of(lengths)
        values = np.zeros(int(offsets[-1]), dtype=np.int32)

        def put(chosen: Bools, draw: Callable[[Integers, np.random.Generator], Strings]) -> None:
            counts = lengths[chosen]
            values[places_from(offsets[:-1][chosen], counts)] = draw(counts, rng)

        near = rng.random(len(lengths)) < 0.5
        if self.negatives != "mixed":
            near[:] = self.negatives == "near_miss"
        put(label == 1, self.language.draw_members)
        put((label == 0) & ~near, self.language.draw_others)
        put((label == 0) & near, self._near_misses)
        drawn = Sequences(values, offsets, label, len(self.language.symbols))
        return self._together(drawn) if self.parts else drawn

    def _continued(self, lengths: Integers, rng: np.random.Generator) -> Sequences:
        """Return a member of each length behind a start, and what follows each of their steps."""
        strings, offsets = self.language.draw_members(lengths, rng), offsets_of(lengths)
        values, whole = preceded(strings, offsets, len(self.language.symbols))
        return Sequences(values, whole, self._following(strings, offsets), self.dim_input, per_step=True)

    def _following(self, strings: Strings, offsets: Offsets) -> NDArray[Any]:
        """Return what follows each prefix of N strings, or, bool (sum of T + N, V + 1), what may follow."""
        follow = self.language.followers if self.objective == "next_symbols" else self._next
        return follow(strings, offsets)

    def _next(self, strings: Strings, offsets: Offsets) -> Integers:
        """Return the symbol that follows each prefix of N strings, or the end, int64 (sum of T + N,)."""
        # The start of one string stands where another ends, and has the number of the end.
        values, _ = preceded(strings, offsets, len(self.language.symbols))
        return np.append(values[1:], values[:1]).astype(np.int64)

    def _together(self, drawn: Sequences) -> Sequences:
        """Return labelled strings behind a start, with all that is learned of each: what follows, of members only.

        Each string counts alike, and so does each step of it: a step has a weight of 1 / T. The label, which one step
        has, counts T times as much.
        """
        values, whole = preceded(drawn.values, drawn.offsets, len(self.language.symbols))
        lengths = np.diff(whole)
        targets = np.zeros((len(values), self.dim_output), dtype=np.float32)
        targets[whole[1:] - 1, drawn.targets] = lengths
        is_member = drawn.targets == 1
        members = drawn.select(is_member)
        rows = places_from(whole[:-1][is_member], lengths[is_member])
        column = 2
        if self.also_next_symbol:
            follows = self._next(members.values, members.offsets)
            targets[rows, column + follows] = self.also_next_symbol
            column += len(self.language.symbols) + 1
        if self.also_next_symbols:
            may_follow = self.language.followers(members.values, members.offsets)
            targets[rows, column:] = np.where(may_follow, self.also_next_symbols, -self.also_next_symbols)
        weights = np.repeat(1 / lengths, lengths)
        known: dict[str, Any] = {"per_step": True, "weights": weights, "parts": self.parts}
        return Sequences(values, whole, targets, self.dim_input, **known)

    def _near_misses(self, lengths: Integers, rng: np.random.Generator) -> Strings:
        """Draw strings of these lengths that are members except for some edits, as many as coin flips until tails.

        An edit inserts, deletes or replaces a symbol. If no member is that close, or after 10 tries, any non-member is
        drawn.
        """
        # Whether there are members from which so many edits lead to the length of a string.
        fits = np.zeros(0, dtype=np.bool_)

        def draw(counts: Integers) -> Strings:
            nonlocal fits
            edits = rng.multinomial(rng.geometric(0.5, len(counts)), [1 / 3, 1 / 3, 1 / 3])
            source = counts - edits[:, 0] + edits[:, 1]
            fits = source >= 0
            fits[fits] = self._kinds(source[fits])[:, 0]
            edits, source, offsets = edits[fits], source[fits], offsets_of(counts)
            members = self.language.draw_members(source, rng)
            edited = np.zeros(int(offsets[-1]), dtype=np.int32)
            random = rng.integers(0, 2**32, 2 * int(edits.sum()), dtype=np.int64)
            inserts, deletes, replaces = np.ascontiguousarray(edits.T)
            symbols, starts = len(self.language.symbols), offsets[:-1][fits]
            edit(members, offsets_of(source), inserts, deletes, replaces, symbols, random, edited, starts)
            return edited

        def is_other(strings: Strings, offsets: Offsets) -> Bools:
            return fits & ~self.language.contains(strings, offsets)

        return redrawn(lengths, draw, is_other, lambda counts: self.language.draw_others(counts, rng), MOST_TRIES)

    def _kinds(self, lengths: Integers) -> Bools:
        """Return of which lengths there are members, and others, bool (N, 2)."""
        distinct, where = np.unique(lengths, return_inverse=True)
        kinds = np.column_stack((self.language.has_members(distinct), self.language.has_others(distinct)))
        return kinds[where]

    def _missing(self, lengths: Integers) -> str:
        """Return the error message for lengths without members or non-members."""
        if message := self._rare(lengths)[1]:
            return message
        kinds = self._kinds(lengths)
        what = "member" if not kinds[:, 0].any() else "non-member" if not kinds[:, 1].any() else ""
        if not what:
            return f"no length from {lengths[0]} to {lengths[-1]} has members and others; any_length=True draws either"
        return f"the language has no {what} of {named_lengths(lengths)}"

    def _rare(self, lengths: Integers) -> tuple[Bools, str]:
        """Return which lengths have members, or non-members, that cannot be found, and a message about them."""
        rare = self.language.too_rare(lengths)
        rare[:, 1] &= self._is_classed
        if rare[:, 0].any():
            few = f"fewer than {FEWEST} of {TRIED:,} random strings of a length are members"
            return rare.any(axis=1), (
                f"members of {named_lengths(lengths[rare[:, 0]])} are too rare to be drawn ({few}; a function `draw` "
                "can draw them)"
            )
        if rare[:, 1].any():
            all_ = f"all of {TRIED:,} random strings of a length are members"
            return rare[:, 1], f"non-members of {named_lengths(lengths[rare[:, 1]])} are too rare to be drawn ({all_})"
        return rare[:, 1], ""

    def _check_rare(self, lengths: Integers) -> None:
        """Warn of lengths that are too rare to be drawn, or raise InvalidArgument if these are nearly all."""
        rare, message = self._rare(lengths)
        if not message:
            return
        kinds = self._kinds(lengths)
        left = kinds.all(axis=1) if self._is_classed else kinds[:, 0]
        if left.sum() <= FEWEST_LEFT * (left | rare).sum():
            raise InvalidArgument(f"{message}: without these, only {named_lengths(lengths[left])} would be left")
        warn(f"{message}: " + ("their strings are all of the other class" if self.any_length else "they are left out"))


def symbols_of(text: str | None) -> tuple[str, ...] | None:
    """Return the symbols of an alphabet that is written as a text: characters, or words with spaces between them."""
    if text is None:
        return None
    return tuple(text.split()) if " " in text.strip() else tuple(text)
