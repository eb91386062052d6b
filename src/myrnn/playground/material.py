"""What a network learns: the sequences that a task draws, or the given ones of a run on data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn.data.targets import LABELS
from myrnn.errors import InvalidArgument, MyRNNError
from myrnn.evaluation import ShortcutReport, shortcuts
from myrnn.evaluation.classify import classes_of
from myrnn.flat import offsets_of, ramp
from myrnn.playground.settings import DATA
from myrnn.registry import make
from myrnn.runs import Run
from myrnn.sequences import Sequences
from myrnn.tasks import (
    FAMILIES,
    NO_ANSWER,
    AssociativeRecall,
    CopyAfterPause,
    Induction,
    ModularArithmetic,
    NextCharacter,
    Palindromes,
    RunningParity,
    TwinHalves,
    sample_family,
    twice_as_long,
)

# For data; there is one more symbol, for all unknown ones.
MOST_SYMBOLS = 10
# For a task: an address writes each symbol of a sequence as a digit or a letter.
MOST_OF_TASK = 36
# Seed of the test sequences: new to the network, and the same at every update.
TEST_SEED = 1_000_001
SHORTCUT_SAMPLES = 40_000
# The approximate length of an example of a task.
EXAMPLE = 14
# The most draws for a sequence of a class.
_TRIES = 60
# The descriptions of the tasks.
_DESCRIPTIONS: dict[type, str] = {
    TwinHalves: "The task: is the second half the same as the first? 123 123 is a match, 123 132 is not.",
    Palindromes: "The task: is the second half the first one backwards? 123 321 is a match, 123 123 is not.",
    RunningParity: "The task: after each bit, is the number of ones so far odd or even?",
    CopyAfterPause: "The task: remember the digits during the pause, and say one of them at each question mark.",
    NextCharacter: "The task: after each character, which one comes next? The text is the Zen of Python.",
    ModularArithmetic: "The task: after each number, or each bracket that closes, what is the value so far?",
    AssociativeRecall: "The task: remember which value came with each key, and say it when the key comes again.",
    Induction: "The task: after each symbol, which one followed it the last time?",
}


class Material(ABC):
    """Sequences of tokens with their answers, and what the page says about them."""

    task: Any  # what the library draws from, and saves
    lengths: NDArray[np.int64]  # that occur, (L,), ascending
    class_names: tuple[str, ...]
    symbol_names: tuple[str, ...]
    per_step = False  # whether each step has an answer, instead of the whole sequence
    predicts_next = False  # whether the answer is what follows
    families: tuple[str, ...] = FAMILIES[:1]  # of sequences in which mistakes can be searched
    description: str
    tested: Material  # the material of the test
    missing = ""  # why there are no sequences, or empty
    off: dict[str, str]  # what cannot be done with a network that learns it, by the name of the request, and why

    def example(self) -> list[int] | None:
        """Return a sequence that illustrates it, if there is one."""
        return None

    @abstractmethod
    def answers(self, tokens: list[int]) -> list[int | None]:
        """Return the right class at each step, or None; the only one of a sequence is at the last step."""

    def targets(self, answers: list[int | None]) -> Any:
        """Return these answers in the form that `inspect` takes; None if there are none."""
        if not self.per_step:
            return answers[-1]
        if all(answer is None for answer in answers):
            return None
        return [NO_ANSWER if answer is None else answer for answer in answers]

    @abstractmethod
    def like(self, label: int | None, length: int, rng: np.random.Generator) -> Sequences:
        """Return one sequence of about this length, and of the class `label` unless each step has a class."""

    @abstractmethod
    def part(self, each: int, part: int = 0) -> Sequences:
        """Return the same `each` sequences of every length at every call for a part; given ones come to an end."""

    @abstractmethod
    def of_family(self, family: str, n: int, rng: np.random.Generator) -> Sequences:
        """Return `n` sequences of a family, or fewer if there are no more."""

    @abstractmethod
    def shortcuts(self) -> ShortcutReport:
        """Return the accuracy by length of classifiers that see only part of each sequence."""


class TaskMaterial(Material):
    """The sequences that a task draws."""

    def __init__(self, task: Any, test: TaskMaterial | None = None) -> None:
        self.task, self.lengths, self.class_names, self.off = task, task.lengths, classes_of(task), {}
        self.tested = test or self
        self.symbol_names = getattr(task, "symbol_names", None) or tuple(map(str, range(task.dim_input)))
        self.per_step = bool(getattr(task, "per_step", False))
        self.predicts_next = bool(getattr(task, "predicts_next", False))
        if isinstance(task, TwinHalves | Palindromes):
            self.families = FAMILIES
        self.description = next((text for kind, text in _DESCRIPTIONS.items() if isinstance(task, kind)), "")

    def example(self) -> list[int]:
        """Return the same sequence at every call."""
        return self._about(EXAMPLE, np.random.default_rng(TEST_SEED)).tokens(0).tolist()

    def answers(self, tokens: list[int]) -> list[int | None]:
        """Return the truth of the task."""
        truth = self.task.truth(Sequences.from_pairs([(np.array(tokens), 0)], self.task.dim_input)).tolist()
        found = [None if answer == NO_ANSWER else int(answer) for answer in truth]
        return [*[None] * (len(tokens) - len(found)), *found]

    def like(self, label: int | None, length: int, rng: np.random.Generator) -> Sequences:
        """Draw until the class is right, but not for ever."""
        if self.per_step:
            return self._about(length, rng)
        for _ in range(_TRIES):
            drawn: Sequences = self.task.sample_lengths([max(2, length - length % 2)], rng)
            if drawn.labels[0] == label:
                break
        return drawn

    def part(self, each: int, part: int = 0) -> Sequences:
        """Draw `each` sequences of every length, the same at every call."""
        return self.task.sample_lengths(np.repeat(self.lengths, each), np.random.default_rng((TEST_SEED, part)))

    def of_family(self, family: str, n: int, rng: np.random.Generator) -> Sequences:
        """Draw `n` sequences."""
        return sample_family(self.task, family, n, rng) if len(self.families) > 1 else self.task.sample(n, rng)

    def shortcuts(self) -> ShortcutReport:
        """Try them on sequences of the task."""
        return shortcuts(self.task, SHORTCUT_SAMPLES, TEST_SEED, lengths=self.lengths)

    def _about(self, length: int, rng: np.random.Generator) -> Sequences:
        """Draw one sequence, with a test length as close as possible."""
        lengths = self.tested.lengths
        return self.task.sample_lengths(lengths[[abs(lengths - length).argmin()]], rng)


class GivenMaterial(Material):
    """The sequences of a run on data (each with at least one step), which are a task for the library, too."""

    def __init__(
        self,
        name: str,
        sequences: Sequences,
        class_names: tuple[str, ...],
        symbol_names: tuple[str, ...],
        missing: str = "",
        test: GivenMaterial | None = None,
    ) -> None:
        self.task, self.name, self.sequences = self, name, sequences
        self.class_names, self.dim_output = class_names, len(class_names)
        self.symbol_names, self.dim_input = symbol_names, len(symbol_names)
        self.lengths, self.missing = np.unique(sequences.lengths), missing
        self.tested: GivenMaterial = test or self
        self.off = dict.fromkeys(("link", "save", "script"), "the page does this for tasks only, not for data")
        classes = " or ".join(f"“{one}”" for one in class_names)
        self.description = (
            f"The data: {name}. Is a sequence {classes}? “{symbol_names[0]}” stands for every other symbol."
        )
        if missing:
            self.off |= dict.fromkeys(("play", "step", "draw"), missing)
            self.description += f" The network can be looked at, but not trained: {missing}."

    @property
    def _there(self) -> Sequences:
        """The sequences; InvalidArgument if there are none."""
        if self.missing:
            raise InvalidArgument(self.missing)
        return self.sequences

    def sample(self, n: int, rng: np.random.Generator) -> Sequences:
        """Return `n` random sequences, drawn with replacement."""
        return self._there.select(rng.integers(len(self.sequences), size=n))

    def sample_lengths(self, lengths: ArrayLike, rng: np.random.Generator) -> Sequences:
        """Return a sequence of each of the given lengths."""
        wanted = np.asarray(lengths, dtype=np.int64)
        first, after = (np.searchsorted(self._sorted, wanted, side) for side in ("left", "right"))
        return self._there.select(self._order[rng.integers(first, after)])

    def some(self, most: int, rng: np.random.Generator) -> Sequences:
        """Return at most `most` different sequences."""
        return self._there.select(rng.permutation(len(self.sequences))[:most])

    def answers(self, tokens: list[int]) -> list[int | None]:
        """Return the class of a sequence of these or of the test, None for others."""
        same = np.flatnonzero(self.sequences.lengths == len(tokens))
        steps = self.sequences.offsets[same][:, np.newaxis] + np.arange(len(tokens))
        found = same[(self.sequences.values[steps] == tokens).all(axis=1)]
        if len(found):
            return [*[None] * (len(tokens) - 1), int(self.sequences.labels[found[0]])]
        return [None] * len(tokens) if self.tested is self else self.tested.answers(tokens)

    def like(self, label: int | None, length: int, rng: np.random.Generator) -> Sequences:
        """Return one of the sequences of a class."""
        assert label is not None
        of_class = np.flatnonzero(self._there.labels == label)
        if not len(of_class):
            raise InvalidArgument(f"{self.name} holds no sequence of the class {self.class_names[label]!r}")
        away = np.abs(self.sequences.lengths[of_class] - length)
        return self.sequences.select(rng.choice(of_class[away == away.min()], 1))

    def part(self, each: int, part: int = 0) -> Sequences:
        """Return the next sequences; at last none."""
        there, rank = self._there, ramp(np.unique(self._sorted, return_counts=True)[1])
        return there.select(self._order[rank // each == part])

    def of_family(self, family: str, n: int, rng: np.random.Generator) -> Sequences:
        """Return some of the test sequences."""
        return self.tested.some(n, rng)

    def shortcuts(self) -> ShortcutReport:
        """Try them on some of the sequences."""
        return shortcuts(self.some(SHORTCUT_SAMPLES, np.random.default_rng(TEST_SEED)), seed=TEST_SEED)

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        """The sequences by length."""
        return np.argsort(self.sequences.lengths, kind="stable")

    @cached_property
    def _sorted(self) -> NDArray[np.int64]:
        return self.sequences.lengths[self._order]


def material_of(section: dict[str, Any], data: Material | None) -> Material:
    """Return what a section of settings names: a task, or the given data; refuse what the page cannot show."""
    if section["name"] == DATA:
        if data is None:
            raise InvalidArgument("there are no data here: load a run on data")
        return data
    task: Any = make("task", **section)
    fits = (task.dim_output == 2 or getattr(task, "per_step", False)) and task.dim_input <= MOST_OF_TASK
    if not (fits and hasattr(task, "truth")):
        raise InvalidArgument(
            f"the page shows only tasks of two classes, or with a class for each step, with at most {MOST_OF_TASK} "
            f"tokens and a method 'truth': {type(task).__name__} is not one"
        )
    return TaskMaterial(task, TaskMaterial(twice_as_long(task)))


def data_of(run: Run) -> GivenMaterial:
    """Return the data of a run on data, even if its files are missing; InvalidArgument if the page cannot show them."""
    reader = run.reader
    symbols, wanted = reader.symbol_names, "the playground opens runs on data of two classes and at most"
    if reader.learn != LABELS:
        raise InvalidArgument(f"{wanted} {MOST_SYMBOLS} symbols, and this one learned {reader.learn}")
    if symbols is None:
        raise InvalidArgument(f"{wanted} {MOST_SYMBOLS} symbols, and this one reads numbers")
    if len(symbols) > MOST_SYMBOLS + 1:
        raise InvalidArgument(f"{wanted} {MOST_SYMBOLS} symbols, and this one reads {len(symbols) - 1:,}")
    if reader.dim_output != 2:
        raise InvalidArgument(f"{wanted} {MOST_SYMBOLS} symbols, and this one has {reader.dim_output:,} classes")
    names = (reader.class_names, symbols)
    data, none = run.experiment.source.settings, Sequences([], [0], [], len(symbols))
    tested, reason = _read(run, none) if run.experiment.evaluation.test else (none, "the run was given none")
    test = GivenMaterial("the test", tested, *names, f"there are no test sequences: {reason}" if reason else "")
    if data.file is None:
        name, (learned, reason) = "sequences in memory", (none, "its sequences were not kept")
    else:
        name, (learned, reason) = Path(data.file).name, _read(run, none, data.file, data.labels)
    return GivenMaterial(name, learned, *names, reason, test)


def _read(run: Run, none: Sequences, *file: str | None) -> tuple[Sequences, str]:
    """Return the sequences of a file, by default of all tests; if there are none, also the reason."""
    try:
        found = list(run.test_sequences(*file).values())
    except MyRNNError as error:
        return none, str(error)
    values, labels = (np.concatenate([getattr(one, name) for one in found]) for name in ("values", "labels"))
    lengths = np.concatenate([one.lengths for one in found])
    joined = Sequences(values, offsets_of(lengths), labels, none.dim_input)
    return joined.select(lengths > 0), "" if lengths.any() else "every sequence is empty"
