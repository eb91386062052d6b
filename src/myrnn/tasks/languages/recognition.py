"""Is a string a member of a language? Members and others are drawn at the same lengths, half of each."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.sequences import Sequences, offsets_of, ramp
from myrnn.settings import check_fields
from myrnn.tasks.drawn import Drawn, check_order
from myrnn.tasks.languages.kernels import edit
from myrnn.tasks.languages.language import Bools, Language, Strings

LONGEST = 20_000
# So often a near miss is drawn again that is a member after all.
MOST_TRIES = 10


@dataclass(frozen=True, kw_only=True)
class Recognition(Drawn):
    """What all tasks share that ask whether a string is a member of a language."""

    length_min: Annotated[int, Meta(ge=0, le=LONGEST, description="The shortest sequence.")] = 1
    length_max: Annotated[
        int,
        Meta(ge=0, le=LONGEST, description="The longest sequence."),
    ] = 40
    negatives: Annotated[
        Literal["mixed", "uniform", "near_miss"],
        Meta(
            description="Strings that are no members: uniform (any), near_miss (a member with some symbols changed, "
            "put in or taken out), or mixed (half of each).",
        ),
    ] = "mixed"
    any_length: Annotated[
        bool, Meta(description="Whether non-members may have lengths that no member has: these tell them by length.")
    ] = False

    dim_output: ClassVar[int] = 2
    class_names: ClassVar[tuple[str, ...]] = ("no member", "member")

    def __post_init__(self) -> None:
        """Check the settings, and that there is something to draw."""
        check_fields(self)
        check_order(self, "length_min", "length_max")
        if not len(self.lengths):
            raise InvalidArgument(self._missing(np.arange(self.length_min, self.length_max + 1)))

    @property
    @abstractmethod
    def language(self) -> Language:
        """The language."""

    @property
    def dim_input(self) -> int:
        """C: the number of symbols."""
        return len(self.language.symbols)

    @property
    def symbol_names(self) -> tuple[str, ...]:
        """What the C tokens are called."""
        return self.language.symbols

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Every length T that the task draws, rising, int64."""
        every = np.arange(self.length_min, self.length_max + 1)
        return every if self.any_length else every[self._kinds(every).all(axis=1)]

    def twice_as_long(self) -> Self:
        """Return the task with strings up to twice as long."""
        return replace(self, length_max=min(2 * self.length_max, LONGEST))

    def truth(self, sequences: Sequences) -> NDArray[np.int64]:
        """Return the true class of every sequence, int64 (N,): 1 for a member."""
        if not sequences.is_tokens:
            raise InvalidArgument("sequences must hold tokens, not features")
        if len(sequences.values) and sequences.values.max() >= self.dim_input:
            raise InvalidArgument(f"sequences must hold tokens below {self.dim_input}, the symbols of the language")
        return self.language.contains(sequences.values, sequences.offsets).astype(np.int64)

    def sample(self, n: int, rng: np.random.Generator) -> Sequences:
        """Draw `n` strings, half of them members; of the lengths that either can have, all are equally likely."""
        count = _checks.integer("n", n, minimum=0)
        source = _checks.generator("rng", rng)
        lengths = self.lengths
        kinds = self._kinds(lengths)
        label = source.integers(0, 2, count) if kinds.any(axis=0).all() else np.full(count, int(kinds[:, 0].any()))
        chosen = np.zeros(count, dtype=np.int64)
        for kind, drawn in ((1, kinds[:, 0]), (0, kinds[:, 1])):
            here = label == kind
            chosen[here] = source.choice(lengths[drawn], np.count_nonzero(here)) if here.any() else 0
        return self._labelled(chosen, label, source)

    def _possible(self, lengths: NDArray[np.int64]) -> tuple[NDArray[np.bool_], str]:
        if self.any_length:
            return np.ones(len(lengths), dtype=np.bool_), ""
        possible = self._kinds(lengths).all(axis=1)
        missing = "" if possible.all() else f": {self._missing(lengths[~possible][:1])}"
        return possible, f"those with members and others{missing}"

    def _draw(self, lengths: NDArray[np.int64], rng: np.random.Generator) -> Sequences:
        kinds = self._kinds(lengths)
        label = np.where(kinds.all(axis=1), rng.integers(0, 2, len(lengths)), kinds[:, 0])
        return self._labelled(lengths, label, rng)

    def _labelled(self, lengths: NDArray[np.int64], label: NDArray[np.int64], rng: np.random.Generator) -> Sequences:
        """Return a string of each length, a member where `label` is 1."""
        offsets = offsets_of(lengths)
        values = np.zeros(int(offsets[-1]), dtype=np.int32)

        def put(chosen: Bools, draw: Callable[[NDArray[np.int64], np.random.Generator], Strings]) -> None:
            counts = lengths[chosen]
            values[np.repeat(offsets[:-1][chosen], counts) + ramp(counts)] = draw(counts, rng)

        near = {"mixed": rng.random(len(lengths)) < 0.5}.get(
            self.negatives, np.full(len(lengths), self.negatives == "near_miss")
        )
        put(label == 1, self.language.draw_members)
        put((label == 0) & ~near, self.language.draw_others)
        put((label == 0) & near, self._near_misses)
        return Sequences(values, offsets, label, self.dim_input)

    def _near_misses(self, lengths: NDArray[np.int64], rng: np.random.Generator) -> Strings:
        """Draw strings of these lengths that are members but for some edits, as many as a coin falls until it is tails.

        An edit puts a symbol in, takes one out or replaces one. Where no member is that near, or after 10 tries, any
        string that is no member is drawn.
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
            strings[np.repeat(offsets[:-1][tried], counts) + ramp(counts)] = edited
            done = tried[~self.language.contains(edited, ends)]
            left = np.setdiff1d(left, done, assume_unique=True)
            if not len(left):
                return strings
        counts = lengths[left]
        strings[np.repeat(offsets[:-1][left], counts) + ramp(counts)] = self.language.draw_others(counts, rng)
        return strings

    def _kinds(self, lengths: NDArray[np.int64]) -> Bools:
        """Return of which lengths there are members, and others, bool (N, 2)."""
        distinct, where = np.unique(lengths, return_inverse=True)
        kinds = np.column_stack((self.language.has_members(distinct), self.language.has_others(distinct)))
        return kinds[where]

    def _missing(self, lengths: NDArray[np.int64]) -> str:
        """Say what there is not of some lengths."""
        kinds = self._kinds(lengths)
        what = "member" if not kinds[:, 0].any() else "string that is no member" if not kinds[:, 1].any() else ""
        span = f"length {lengths[0]}" if len(lengths) == 1 else f"lengths {lengths[0]} to {lengths[-1]}"
        return f"the language has no {what} of {span}" if what else f"no one of {span} has members and others"


def symbols_of(text: str | None) -> tuple[str, ...] | None:
    """Return the symbols of an alphabet that is written as a text: characters, or words with spaces between them."""
    if text is None:
        return None
    return tuple(text.split()) if " " in text.strip() else tuple(text)
