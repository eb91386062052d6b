"""DeepMind's 15 tasks: a string, and then a class or another string, which is read off while blanks are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from msgspec import Meta

from myrnn.errors import InvalidArgument
from myrnn.flat import offsets_of, places_from
from myrnn.registry import register
from myrnn.sequences import Sequences
from myrnn.tasks.drawn import LONGEST, NO_ANSWER, NamedTask, answered, tokens_of
from myrnn.tasks.languages.functions import DEEPMIND, FUNCTIONS, StringFunction
from myrnn.tasks.languages.language import Bools, Integers

BLANK = "."


@register("task", "deepmind")
@dataclass(frozen=True)
class DeepMind(NamedTask):
    """One of the 15 tasks of "Neural networks and the Chomsky hierarchy": what is asked of a string.

    Seven ask for a class at the end of a string. Eight ask for another string: blanks come after the string, one for
    each symbol of the answer, and each step that reads one is to give the next symbol. The steps before have no answer,
    nor have those after the end of an answer (``e``): their weight is 0. A length counts the blanks, too.

    Parameters
    ----------
    language_name : str
        With a class: ``"even-pairs"``, ``"parity-check"``, ``"cycle-navigation"``, ``"modular-arithmetic"``,
        ``"modular-arithmetic-brackets"``, ``"solve-equation"``, ``"missing-duplicate"``. With a string:
        ``"reverse-string"``, ``"stack-manipulation"`` (``v`` takes one off, ``^`` puts a 0 on, ``!`` a 1),
        ``"duplicate-string"``, ``"odds-first"``, ``"binary-addition"``, ``"binary-multiplication"`` (both
        little-endian), ``"compute-sqrt"`` (big-endian), ``"bucket-sort"``.
    string_min, string_max : int
        The shortest and longest string, without the blanks; every length between that the task has is equally likely.

    References
    ----------
    Delétang and others, "Neural networks and the Chomsky hierarchy", 2023.

    Examples
    --------
    >>> task = DeepMind("reverse-string", string_max=4)
    >>> task.sample(1000, 0)
    Sequences(1,000 of tokens below 3, lengths 2 to 8, a class for each step, with weights)
    """

    language_name: Annotated[
        Literal[DEEPMIND],  # type: ignore[valid-type]
        Meta(description="Which of the tasks."),
    ]
    string_min: Annotated[int, Meta(ge=1, le=LONGEST, description="The shortest string, without blanks.")] = 1
    string_max: Annotated[int, Meta(ge=1, le=LONGEST, description="The longest string, without blanks.")] = 40

    bounds: ClassVar[tuple[str, str]] = ("string_min", "string_max")

    def __post_init__(self) -> None:
        """Check the settings, and that there is something to draw."""
        super().__post_init__()
        if not len(self.lengths):
            raise InvalidArgument(
                f"{self.language_name} has no string of lengths {self.string_min} to {self.string_max}"
            )

    @property
    def name(self) -> str:
        """The name of the task."""
        return f"deepmind {self.language_name}"

    @property
    def _function(self) -> StringFunction:
        return FUNCTIONS[self.language_name]

    @property
    def per_step(self) -> bool:
        """Whether the answer is a string."""
        return self._function.size is not None

    @property
    def symbol_names(self) -> tuple[str, ...]:
        """The names of the C tokens; the last one is the blank if the answer is a string."""
        return (*self._function.symbols, BLANK) if self.per_step else tuple(self._function.symbols)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the K classes."""
        return tuple(self._function.classes)

    def _span(self, low: int, high: int) -> Integers:
        return np.arange(*self._whole(np.array([low, high + 1])))

    def truth(self, sequences: Sequences) -> Integers:
        """Return the right class of every sequence, int64 (N,), or of every step, -1 where nothing is asked."""
        values = tokens_of(self, sequences)
        sizes, possible = self._parts(sequences.lengths)
        if not possible.all():
            raise InvalidArgument(f"{self.language_name} has no sequence of length {sequences.lengths[~possible][0]}")
        begins = sequences.offsets[:-1]
        answers = self._function.values(values[places_from(begins, sizes)], offsets_of(sizes))
        if not self.per_step:
            return answers.astype(np.int64)
        truth = np.full(len(values), NO_ANSWER)
        truth[places_from(begins + sizes, sequences.lengths - sizes)] = answers
        return truth

    def _whole(self, sizes: Integers) -> Integers:
        """Return the lengths of sequences with strings of these lengths."""
        return sizes if self._function.size is None else sizes + self._function.size(sizes)

    def _parts(self, lengths: Integers) -> tuple[Integers, Bools]:
        """Return the lengths of the strings in sequences of these lengths, and whether there are such."""
        known = np.arange(int(np.max(lengths, initial=0)) + 1)
        whole = self._whole(known)
        sizes = np.minimum(np.searchsorted(whole, lengths), len(known) - 1)
        return sizes, (whole[sizes] == lengths) & self._function.possible(sizes) & (sizes >= 1)

    def _possible(self, lengths: Integers) -> tuple[Bools, str]:
        few = np.arange(1, 12)
        words = ", ".join(map(str, self._whole(few[self._function.possible(few)])[:4]))
        return self._parts(lengths)[1], f"{words} and so on"

    def _draw(self, lengths: Integers, rng: np.random.Generator) -> Sequences:
        offsets, sizes = offsets_of(lengths), self._parts(lengths)[0]
        values = np.full(int(offsets[-1]), self.dim_input - 1, dtype=np.int32)
        values[places_from(offsets[:-1], sizes)] = self._function.inputs(sizes, rng)
        return answered(self, values, offsets)
