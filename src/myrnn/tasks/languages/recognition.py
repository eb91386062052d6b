"""Is a string a member of a language? Members and non-members are drawn at the same lengths, half of each."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.sequences import Sequences, offsets_of, places_from
from myrnn.settings import check_fields
from myrnn.tasks.drawn import NO_ANSWER, Drawn, check_order, tokens_of
from myrnn.tasks.languages.kernels import edit
from myrnn.tasks.languages.language import Bools, Language, Offsets, Strings

LONGEST = 20_000
# The symbols before and after a string if continuations are learned.
START, END = "^", "$"
# The most redraws of a near miss that happens to be a member.
MOST_TRIES = 10


@dataclass(frozen=True, kw_only=True)
class Recognition(Drawn):
    """The common part of tasks that ask whether a string is a member of a language."""

    length_min: Annotated[int, Meta(ge=0, le=LONGEST, description="The shortest sequence.")] = 1
    length_max: Annotated[
        int,
        Meta(ge=0, le=LONGEST, description="The longest sequence."),
    ] = 40
    negatives: Annotated[
        Literal["mixed", "uniform", "near_miss"],
        Meta(
            description="Strings that are not members: uniform (any), near_miss (a member with some symbols changed, "
            "put in or taken out), or mixed (half of each).",
        ),
    ] = "mixed"
    any_length: Annotated[
        bool, Meta(description="Whether non-members may have lengths that no member has: these tell them by length.")
    ] = False

    objective: Annotated[
        Literal["recognition", "next_symbols", "next_symbol"],
        Meta(
            description="What is learned: recognition, whether a string is a member; of members at each step, "
            "next_symbols, all symbols that may follow, or next_symbol, the one that does (a language model)."
        ),
    ] = "recognition"

    def __post_init__(self) -> None:
        """Check the settings, and that there is something to draw."""
        check_fields(self)
        check_order(self, "length_min", "length_max")
        if not len(self.lengths):
            raise InvalidArgument(self._missing(np.arange(self.length_min, self.length_max + 1)))
        if taken := {START, END}.intersection(self.language.symbols) if self.per_step else ():
            raise InvalidArgument(
                f"objective {self.objective} puts {START} before strings and {END} behind them: the alphabet must not "
                f"have {min(taken)}"
            )
        if self.objective == "next_symbols":
            # It is not known of all languages.
            self.language.followers(np.zeros(0, dtype=np.int32), np.zeros(1, dtype=np.int64))

    @property
    @abstractmethod
    def language(self) -> Language:
        """The language."""

    @property
    def per_step(self) -> bool:
        """Whether continuations are learned at each step."""
        return self.objective != "recognition"

    @property
    def dim_input(self) -> int:
        """C: the number of symbols, and one more for the start if continuations are learned."""
        return len(self.symbol_names)

    @property
    def dim_output(self) -> int:
        """K: 2, or the number of symbols and one more for the end."""
        return len(self.class_names)

    @property
    def symbol_names(self) -> tuple[str, ...]:
        """The names of the C tokens."""
        return (*self.language.symbols, START) if self.per_step else self.language.symbols

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the K classes."""
        return (*self.language.symbols, END) if self.per_step else ("no member", "member")

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Every length T that the task draws, ascending, int64; if continuations are learned, it includes the start."""
        every = np.arange(self.length_min, self.length_max + 1)
        if self.per_step:
            return every[self._kinds(every)[:, 0]] + 1
        return every if self.any_length else every[self._kinds(every).all(axis=1)]

    def twice_as_long(self) -> Self:
        """Return the task with strings up to twice as long."""
        return replace(self, length_max=min(2 * self.length_max, LONGEST))

    def truth(self, sequences: Sequences) -> NDArray[np.int64]:
        """Return the true class of every sequence, int64 (N,): 1 for a member.

        If continuations are learned, the targets of every step: the next symbol, int64 (sum of T,), or all that may
        follow, bool (sum of T, K).
        """
        tokens_of(sequences)
        if len(sequences.values) and sequences.values.max() >= self.dim_input:
            raise InvalidArgument(f"sequences must hold tokens below {self.dim_input}, the symbols of the language")
        if self.per_step:
            return self._truth_of_steps(sequences)
        return self.language.contains(sequences.values, sequences.offsets).astype(np.int64)

    def _truth_of_steps(self, sequences: Sequences) -> NDArray[Any]:
        """Return what follows each step of sequences; the last symbol of a non-member has no answer."""
        start = len(self.language.symbols)
        first = np.zeros(len(sequences.values), dtype=np.bool_)
        first[sequences.offsets[:-1][sequences.lengths > 0]] = True
        if not np.array_equal(sequences.values == start, first) or not sequences.lengths.all():
            raise InvalidArgument(f"sequences must begin with the start {START}, which stands nowhere else")
        strings, offsets = sequences.values[~first], offsets_of(sequences.lengths - 1)
        is_member = self.language.contains(strings, offsets)
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
        if self.per_step:
            return super().sample(count, source)
        lengths = self.lengths
        kinds = self._kinds(lengths)
        label = source.integers(0, 2, count) if kinds.any(axis=0).all() else np.full(count, int(kinds[:, 0].any()))
        chosen = np.zeros(count, dtype=np.int64)
        for kind, drawn in ((1, kinds[:, 0]), (0, kinds[:, 1])):
            here = label == kind
            chosen[here] = source.choice(lengths[drawn], np.count_nonzero(here)) if here.any() else 0
        return self._labelled(chosen, label, source)

    def _possible(self, lengths: NDArray[np.int64]) -> tuple[NDArray[np.bool_], str]:
        if self.per_step:
            possible = lengths >= 1
            possible[possible] = self._kinds(lengths[possible] - 1)[:, 0]
            return possible, "one more than those of members"
        if self.any_length:
            return np.ones(len(lengths), dtype=np.bool_), ""
        possible = self._kinds(lengths).all(axis=1)
        missing = "" if possible.all() else f": {self._missing(lengths[~possible][:1])}"
        return possible, f"those with members and others{missing}"

    def _draw(self, lengths: NDArray[np.int64], rng: np.random.Generator) -> Sequences:
        if self.per_step:
            return self._continued(lengths - 1, rng)
        kinds = self._kinds(lengths)
        label = np.where(kinds.all(axis=1), rng.integers(0, 2, len(lengths)), kinds[:, 0])
        return self._labelled(lengths, label, rng)

    def _labelled(self, lengths: NDArray[np.int64], label: NDArray[np.int64], rng: np.random.Generator) -> Sequences:
        """Return a string of each length, a member where `label` is 1."""
        offsets = offsets_of(lengths)
        values = np.zeros(int(offsets[-1]), dtype=np.int32)

        def put(chosen: Bools, draw: Callable[[NDArray[np.int64], np.random.Generator], Strings]) -> None:
            counts = lengths[chosen]
            values[places_from(offsets[:-1][chosen], counts)] = draw(counts, rng)

        near = rng.random(len(lengths)) < 0.5
        if self.negatives != "mixed":
            near[:] = self.negatives == "near_miss"
        put(label == 1, self.language.draw_members)
        put((label == 0) & ~near, self.language.draw_others)
        put((label == 0) & near, self._near_misses)
        return Sequences(values, offsets, label, self.dim_input)

    def _continued(self, lengths: NDArray[np.int64], rng: np.random.Generator) -> Sequences:
        """Return a member of each length behind a start, and what follows each of their steps."""
        strings, offsets = self.language.draw_members(lengths, rng), offsets_of(lengths)
        whole = offsets_of(lengths + 1)
        values = np.full(int(whole[-1]), len(self.language.symbols), dtype=np.int32)
        values[places_from(whole[:-1] + 1, lengths)] = strings
        return Sequences(values, whole, self._following(strings, offsets), self.dim_input, per_step=True)

    def _following(self, strings: Strings, offsets: Offsets) -> NDArray[Any]:
        """Return what follows each prefix of N strings, or, bool (sum of T + N, V + 1), what may follow."""
        if self.objective == "next_symbols":
            return self.language.followers(strings, offsets)
        lengths = np.diff(offsets)
        following = np.full(len(strings) + len(lengths), len(self.language.symbols), dtype=np.int64)
        following[places_from(offsets[:-1] + np.arange(len(lengths)), lengths)] = strings
        return following

    def _near_misses(self, lengths: NDArray[np.int64], rng: np.random.Generator) -> Strings:
        """Draw strings of these lengths that are members except for some edits, as many as coin flips until tails.

        An edit inserts, deletes or replaces a symbol. If no member is that close, or after 10 tries, any non-member is
        drawn.
        """
        offsets = offsets_of(lengths)
        strings = np.zeros(int(offsets[-1]), dtype=np.int32)
        left = np.arange(len(lengths))
        for _ in range(MOST_TRIES):
            edits = rng.multinomial(rng.geometric(0.5, len(left)), [1 / 3, 1 / 3, 1 / 3])
            source = lengths[left] - edits[:, 0] + edits[:, 1]
            fits = source >= 0
            fits[fits] = self._kinds(source[fits])[:, 0]
            tried, edits, source = left[fits], edits[fits], source[fits]
            members = self.language.draw_members(source, rng)
            edited = np.zeros(int(lengths[tried].sum()), dtype=np.int32)
            ends = offsets_of(lengths[tried])
            random = rng.integers(0, 2**32, 2 * int(edits.sum()), dtype=np.int64)
            inserts, deletes, replaces = np.ascontiguousarray(edits.T)
            edit(members, offsets_of(source), inserts, deletes, replaces, self.dim_input, random, edited, ends[:-1])
            counts = lengths[tried]
            strings[places_from(offsets[:-1][tried], counts)] = edited
            done = tried[~self.language.contains(edited, ends)]
            left = np.setdiff1d(left, done, assume_unique=True)
            if not len(left):
                return strings
        counts = lengths[left]
        strings[places_from(offsets[:-1][left], counts)] = self.language.draw_others(counts, rng)
        return strings

    def _kinds(self, lengths: NDArray[np.int64]) -> Bools:
        """Return of which lengths there are members, and others, bool (N, 2)."""
        distinct, where = np.unique(lengths, return_inverse=True)
        kinds = np.column_stack((self.language.has_members(distinct), self.language.has_others(distinct)))
        return kinds[where]

    def _missing(self, lengths: NDArray[np.int64]) -> str:
        """Say what there is not of some lengths."""
        kinds = self._kinds(lengths)
        what = "member" if not kinds[:, 0].any() else "non-member" if not kinds[:, 1].any() else ""
        span = f"length {lengths[0]}" if len(lengths) == 1 else f"lengths {lengths[0]} to {lengths[-1]}"
        if not what:
            return f"no length from {lengths[0]} to {lengths[-1]} has members and others; any_length=True draws either"
        return f"the language has no {what} of {span}"


def symbols_of(text: str | None) -> tuple[str, ...] | None:
    """Return the symbols of an alphabet that is written as a text: characters, or words with spaces between them."""
    if text is None:
        return None
    return tuple(text.split()) if " " in text.strip() else tuple(text)
