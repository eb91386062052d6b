"""Where the sequences of an experiment come from: a task draws them, or they are given, in files or in memory.

A source says which settings do not apply to it and which defaults differ, so that nothing else has to ask what kind of
source an experiment has.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.data.files import without_gz
from myrnn.data.targets import SERIES, VALUES
from myrnn.errors import InvalidArgument
from myrnn.experiment.parts import PARTS, Part, in_full, weight_generator
from myrnn.experiment.sections import Data, Evaluation
from myrnn.learning_curve import ACCURACY, SQUARED_ERROR
from myrnn.sequences import Sequences
from myrnn.tasks import recognition_of
from myrnn.tasks.drawn import existing_lengths
from myrnn.training import TrainingSettings

# The role of sequences in memory among the hashes of a run.
MEMORY = "memory"
# Omit lengths that no sequence can have without drawing any to find out.
LONGEST_TRIED = 10_000
Sections = Mapping[str, Mapping[str, Any]]


class InitialDraws(NamedTuple):
    """What is drawn from the seed of an experiment before its training."""

    # The given sequences in the order in which those for the validation are chosen, int64 (N,); empty for a task.
    split: NDArray[np.int64]
    # Draws the initial weights.
    weights: np.random.Generator


class Source(ABC):
    """Where the sequences of an experiment come from."""

    # Its section in a file.
    section: ClassVar[str]
    # The setting for the length of a training, and what it counts.
    length: ClassVar[str]
    unit: ClassVar[str]
    # The settings that it cannot do without.
    needed: ClassVar[tuple[str, ...]]
    # What it is in messages.
    what: ClassVar[str]
    # Settings that do not apply to it, with the value that says so; and its own defaults of others.
    without: ClassVar[Sections]
    defaults: ClassVar[Sections] = {}

    @property
    @abstractmethod
    def settings(self) -> Any:
        """Its settings: a `Part`, or the section `Data`."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Its short name, such as ``"twin-halves"``: the beginning of the name of a run folder."""

    @property
    @abstractmethod
    def title(self) -> str:
        """Its name in a line of text, such as ``"dyck 2"`` or the path of a file."""

    def summary(self) -> str:
        """Return its name for a list of runs."""
        return self.name

    @property
    def files(self) -> dict[str, str]:
        """The files of its training sequences by role."""
        return {}

    @property
    def metric(self) -> str:
        """The kind of score of a training."""
        return ACCURACY

    @abstractmethod
    def check_sizes(self, inputs: int, outputs: int) -> None:
        """Refuse the sizes of a model for other sequences."""

    @abstractmethod
    def initial_draws(self, seed: int, sequences: int) -> InitialDraws:
        """Return what is drawn from a seed, if so many sequences are given."""

    def with_paths(self, change: Callable[[str], str]) -> Source:
        """Return the source with the paths of its files changed."""
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return its settings as plain values."""
        values: dict[str, Any] = self.settings.to_dict()
        return values

    def default(self, section: str) -> Mapping[str, Any]:
        """Return the defaults of a section that differ from those of the section itself."""
        return {**self.without.get(section, {}), **self.defaults.get(section, {})}

    def check(self, training: TrainingSettings, evaluation: Evaluation) -> None:
        """Refuse settings of the training and the tests that do not apply to it."""
        for name, section in (("training", training), ("evaluation", evaluation)):
            for setting, value in self.without[name].items():
                if getattr(section, setting) != value:
                    raise InvalidArgument(f"{setting} does not apply to {self.what}: leave it out of the {name}")
        for setting in self.needed:
            if getattr(training, setting, getattr(evaluation, setting, None)) is None:
                raise InvalidArgument(f"{setting} must be an integer, not None")


@dataclass(frozen=True)
class TaskSource(Source):
    """A task, which draws new sequences for every iteration.

    Attributes
    ----------
    part : Part

    Examples
    --------
    >>> from myrnn import Experiment
    >>> source = Experiment(task="palindromes").source
    >>> source.name, source.settings.settings.alphabet_size, source.length
    ('palindromes', 10, 'iterations')
    """

    part: Part

    section, length, unit, what = "task", "iterations", "iteration", "a task"
    needed = ("iterations", "report_every", "samples")
    without: ClassVar[Sections] = {
        "training": {
            "max_epochs": None,
            "validation_fraction": 0.0,
            "early_stopping_patience": None,
            "class_weight": None,
            "truncate": None,
        },
        "evaluation": {"test": (), "test_labels": ()},
    }

    @property
    def settings(self) -> Part:
        """The task as a part of the experiment."""
        return self.part

    @property
    def name(self) -> str:
        """The name of the task's kind."""
        return self.part.name

    @property
    def title(self) -> str:
        """The name of the task, which may say more than that of its kind."""
        return str(getattr(self.part.make(), "name", self.name))

    def summary(self) -> str:
        """Return its name and its lengths."""
        lengths = recognition_of(self.part.make()).lengths
        return f"{self.title} {lengths[0]}-{lengths[-1]}"

    def check_sizes(self, inputs: int, outputs: int) -> None:
        """Refuse the sizes of a model for another task."""
        task = self.part.make()
        if (inputs, outputs) != (task.dim_input, task.dim_output):
            raise InvalidArgument(
                f"the model has {inputs} inputs and {outputs} classes, the task {task.dim_input} and {task.dim_output}"
            )

    def initial_draws(self, seed: int, sequences: int) -> InitialDraws:
        """Return a stream of weights that is another one than that of the sequences."""
        return InitialDraws(np.arange(0), weight_generator(seed))

    def check(self, training: TrainingSettings, evaluation: Evaluation) -> None:
        """Let the task check settings that depend on each other, too, and the test lengths."""
        super().check(training, evaluation)
        _check_task(self.part, evaluation.lengths)


@dataclass(frozen=True)
class GivenSource(Source):
    """Sequences that are given, with some of them held out for validation."""

    data: Data

    section, length, unit, what = "data", "max_epochs", "epoch", "data"
    needed = ("max_epochs",)
    without: ClassVar[Sections] = {
        "training": {"iterations": None, "report_every": None},
        "evaluation": {"samples": None, "seed": None, "lengths": None, "stack_depth": None},
    }
    # docs/how-to/your-own-sequences.md says how they were found.
    defaults: ClassVar[Sections] = {
        "model": {"recurrent_init": "orthogonal"},
        "optimizer": {"learning_rate": 0.003},
        "training": {
            "max_epochs": 100,
            "batch_size": 32,
            "validation_fraction": 0.1,
            "early_stopping_patience": 20,
            "gradient_clip": 1.0,
        },
    }

    @property
    def settings(self) -> Data:
        """How the sequences are read."""
        return self.data

    def check_sizes(self, inputs: int, outputs: int) -> None:
        """Accept all: the encoders of a run say its sizes."""

    @property
    def metric(self) -> str:
        """The kind of score of a training."""
        return SQUARED_ERROR if self.data.learn in (VALUES, SERIES) else ACCURACY

    def initial_draws(self, seed: int, sequences: int) -> InitialDraws:
        """Return the order of the sequences, and the generator that drew it: the weights depend on their number."""
        rng = np.random.default_rng(np.random.RandomState(seed).randint(2**31 - 1))
        return InitialDraws(rng.permutation(sequences), rng)

    def check(self, training: TrainingSettings, evaluation: Evaluation) -> None:
        """Check that test files of plain text come with a file of labels, too."""
        super().check(training, evaluation)
        labels = dict(evaluation.test_labels)
        for name, file in evaluation.test:
            self.data.check_has_labels(file, labels.get(name), "test_labels")


@dataclass(frozen=True)
class FileSource(GivenSource):
    """Sequences in files.

    Attributes
    ----------
    data : Data

    Examples
    --------
    >>> from myrnn import Experiment
    >>> source = Experiment(data="cities/train.csv").source
    >>> source.name, source.files, source.length
    ('train', {'data': 'cities/train.csv'}, 'max_epochs')
    """

    @property
    def name(self) -> str:
        """The name of the file without its ending."""
        return without_gz(Path(self.title)).stem

    def summary(self) -> str:
        """Return the name of the file."""
        return Path(self.title).name

    @property
    def title(self) -> str:
        """The file of the training sequences."""
        assert self.data.file is not None
        return self.data.file

    @property
    def files(self) -> dict[str, str]:
        """The files of the training sequences, and of their labels."""
        named = {"data": self.data.file, "labels": self.data.labels}
        return {name: file for name, file in named.items() if file is not None}

    def with_paths(self, change: Callable[[str], str]) -> FileSource:
        """Return the source with the paths of its files changed."""
        files = {"file": self.data.file, "labels": self.data.labels}
        changed = {name: change(file) for name, file in files.items() if file is not None}
        return FileSource(msgspec.structs.replace(self.data, **changed))


@dataclass(frozen=True, eq=False)
class MemorySource(GivenSource):
    """Sequences in memory, as `SequenceClassifier.fit` takes them. It is equal to a source of the very same objects.

    Attributes
    ----------
    data : Data
    given : tuple (X, y) or None
        None if they were given in another process.

    Examples
    --------
    >>> from myrnn import Experiment
    >>> experiment = Experiment(data=(["ab", "ba"], ["yes", "no"]))
    >>> experiment.source.given
    (['ab', 'ba'], ['yes', 'no'])
    """

    given: tuple[Any, Any] | None = None

    def __eq__(self, other: object) -> bool:
        """Arrays cannot be compared as a whole: the hashes of a run tell whether they hold the same."""
        return isinstance(other, MemorySource) and self.data == other.data and self.given is other.given

    def __hash__(self) -> int:
        """Return the hash of the settings."""
        return hash(self.data)

    @property
    def name(self) -> str:
        """The word that stands for a name: sequences in memory have none."""
        return "data"

    @property
    def title(self) -> str:
        """Say where they are."""
        return "data in memory"


def read_source(task: Any = None, data: Any = None, source: Any = None) -> Source:
    """Return the source that is given as itself, as a task or as data; by default the task of the lesson."""
    if source is not None:
        if task is not None or data is not None:
            raise InvalidArgument(
                "an experiment has a source, or a task or data, not both: to replace the source, give source=None, too"
            )
        if not isinstance(source, Source):
            raise InvalidArgument(f"source must be the source of an experiment, not {_checks.shown(source)}")
        return source
    if task is not None and data is not None:
        raise InvalidArgument("an experiment has a task or data, not both")
    if data is None:
        return TaskSource(Part.read("task", PARTS["task"] if task is None else task))
    data = in_full("data", data)
    if isinstance(data, Mapping):
        data = Data.read(data, "data")
    if isinstance(data, Data):
        return MemorySource(data) if data.file is None else FileSource(data)
    if isinstance(data, Sequences):
        data = data, data.labels
    if not (isinstance(data, tuple) and len(data) == 2):
        raise InvalidArgument(
            f"data must be a file, settings by name, a pair (X, y) or a Sequences, not {_checks.shown(data)}"
        )
    return MemorySource(Data(), data)


def with_memory(source: Source, given: tuple[Any, Any] | None) -> Source:
    """Return the source with these sequences, if it is one of sequences in memory."""
    return replace(source, given=given) if isinstance(source, MemorySource) else source


# The sections of a file that are sources.
SOURCES: dict[str, Any] = {"task": TaskSource, "data": GivenSource}


@lru_cache
def _check_task(part: Part, lengths: tuple[int, ...] | None) -> None:
    """Let a task check its settings together, and the test lengths; most experiments of a study share a task."""
    task = recognition_of(part.make())
    if lengths is not None and callable(getattr(task, "sample_lengths", None)):
        tried = np.array([n for n in lengths if n <= LONGEST_TRIED], dtype=np.int64)
        task.sample_lengths(existing_lengths(task, tried), np.random.default_rng(0))
