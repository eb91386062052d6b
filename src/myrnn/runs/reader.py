"""What a trained model reads and what its outputs mean: the symbols of a task, or sequences as in its data.

Both kinds of reader have the same attributes and methods, so a run does not ask what it was trained on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.data import (
    ClassLabels,
    LabelledSequences,
    Numbers,
    Standardizer,
    TargetEncoder,
    TokenSequences,
    Vocabulary,
    flat_sequences,
)
from myrnn.data.encode import UNKNOWN
from myrnn.data.symbols import RawSequences
from myrnn.data.targets import LABELS, NEXT, SERIES
from myrnn.errors import DataError, InvalidArgument
from myrnn.evaluation.classify import as_tested, classes_of
from myrnn.experiment import Data, Experiment, Part
from myrnn.models.network import embedding_of, no_input
from myrnn.results import digits_for
from myrnn.runs.files import of_known, read_file
from myrnn.runs.model import check_memory
from myrnn.runs.one_step import KeptErrors
from myrnn.sequences import Sequences
from myrnn.targets import CLASS, NUMBERS, TargetKind
from myrnn.tasks import answered, recognition_of
from myrnn.tokens import read_tokens

# A series leaves the trained range if it exceeds it by this share of its width.
BEYOND = 0.1
# Stands for a function in a folder, which cannot store it.
OWN_FUNCTION = "own"
# The name of the one test of a run on a task. Those of a run on data are named by the user or after their files.
TASK_TEST = "task"


class TaskReader:
    """Reads the symbols of a task.

    Parameters
    ----------
    task : Task

    Examples
    --------
    >>> from myrnn import tasks
    >>> reader = TaskReader(tasks.TwinHalves())
    >>> reader.class_names, reader.read_texts(["1212", "7"]).lengths
    (('no match', 'match'), array([4, 1]))
    """

    learn, is_symbols = LABELS, True
    # All symbols of a task are known.
    unknown_token = None

    def __init__(self, task: Any) -> None:
        self.task = task
        self.dim_input, self.dim_output = task.dim_input, task.dim_output

    def __repr__(self) -> str:
        """Name the task."""
        return f"TaskReader({self.task!r})"

    @cached_property
    def recognition(self) -> Any:
        """The task that a model is tested on: `task` itself, unless more is learned."""
        return recognition_of(self.task)

    @property
    def per_step(self) -> bool:
        """Whether there is an answer at each step."""
        return bool(getattr(self.recognition, "per_step", False))

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes."""
        return classes_of(self.recognition)

    @property
    def symbol_names(self) -> tuple[str, ...] | None:
        """The names of the symbols; None for a task without."""
        return getattr(self.recognition, "symbol_names", None)

    @cached_property
    def target_kind(self) -> TargetKind:
        """The kind of the targets."""
        # A task says it only by what it draws.
        drawn: Sequences = self.recognition.sample(1, np.random.default_rng(0))
        return drawn.kind

    @property
    def predicts_next_input(self) -> bool:
        """Whether an output predicts the next symbol."""
        # The product of words over a group is a symbol, too, and does not come next.
        return bool(getattr(self.recognition, "predicts_next", False)) and self.class_names == self.symbol_names

    @property
    def start_token(self) -> int | None:
        """The token that every sequence begins with; None if there is none."""
        return getattr(self.recognition, "start", None)

    @property
    def is_balanced(self) -> bool:
        """Whether all classes are equally frequent: only then the accuracy of guessing is a measure."""
        return not getattr(self.recognition, "any_length", False)

    @property
    def alphabet(self) -> Any:
        """The names of the symbols of an automaton."""
        task = self.recognition
        names = getattr(task, "symbol_names", None) or getattr(getattr(task, "language", None), "symbols", None)
        return tuple(map(str, range(task.dim_input))) if names is None else tuple(names)

    @property
    def sizes(self) -> Any:
        """What a model is made for: its attributes are those of a task."""
        return self.task

    def new_model(self, part: Part, rng: np.random.Generator, own: Callable[..., Any] | None = None) -> Any:
        """Return a model with its initial weights; `own` is the class of a user-defined one."""
        return part.new_model(self.task, rng, own)

    @property
    def examples(self) -> Any:
        """What an extraction of an automaton draws examples from."""
        return self.recognition

    def example(self) -> Sequences:
        """Return a sequence of about four symbols, whose graph fits on a page."""
        task = self.recognition
        length = task.lengths[np.argmin(abs(task.lengths - 4))]
        found: Sequences = task.sample_lengths([length], np.random.default_rng(1))
        return found

    def tests(self, run: Any, file: str | None, labels: str | None) -> Iterator[tuple[str, Any]]:
        """Yield what a run is tested on, and its name: the task."""
        if file is not None:
            raise InvalidArgument(f"{run.folder} draws its sequences: it takes no file of them")
        yield TASK_TEST, self.task

    def test_sequences(self, source: Any) -> Any:
        """Return the source of a test as one of sequences with classes: a task that says more tells only these."""
        return recognition_of(source)

    def has_tests(self, run: Any) -> bool:
        """Return whether a run has labelled sequences to be tested on."""
        return True

    def recognizer(self, model: Any) -> Any:
        """Return a model as it is tested and looked into: itself, unless it learned more beside recognition."""
        return as_tested(model, self.task)[0]

    def read_texts(self, texts: Sequence[str]) -> Sequences:
        """Return sequences written as symbols, with their answers if the task knows them."""
        task = self.recognition
        names = getattr(task, "symbol_names", None)
        # The empty string is a string of a formal language like any other.
        is_language = hasattr(task, "language")
        tokens = [read_tokens(text, task.dim_input, names, may_be_empty=is_language) for text in texts]
        if (start := self.start_token) is not None:
            tokens = [one if one[:1] == [start] else [start, *one] for one in tokens]
        read = Sequences.from_pairs([(np.array(one), 0) for one in tokens], task.dim_input)
        return answered(task, read.values, read.offsets) if hasattr(task, "truth") else read

    def answers(self, read: Sequences) -> NDArray[np.int64] | None:
        """Return the right class at each step of sequences that were read, -1 where none is asked for."""
        if not self.per_step:
            return None
        return read.targets if read.weights is None else np.where(read.weights > 0, read.targets, -1)

    def to_settings(self) -> dict[str, Any] | None:
        """Return values for JSON: None, since the settings of the task have all."""
        return None


@dataclass(eq=False, repr=False)
class DataReader:
    """Reads sequences as in the data of the training, by encoders that were fitted on them.

    Attributes
    ----------
    encoder : Vocabulary or Standardizer
    targets : TargetEncoder
    tokenize : {"words", "characters"}, function or None
        How text was split; None for lists of symbols, or for numbers.
    names_unknown : bool
        Whether a warning names symbols that were not in the training.
    columns : tuple of str, optional
        The names of the columns of numbers.
    errors : KeptErrors, optional
        The errors of the trained network in predicting a series.

    Examples
    --------
    >>> from myrnn.data import SequenceEncoder, TargetEncoder, flat_sequences
    >>> from myrnn.data.targets import RawTargets
    >>> raw = flat_sequences(["abba"])
    >>> encoder = SequenceEncoder.fit(raw)
    >>> reader = DataReader(encoder, TargetEncoder.fit(RawTargets("text"), raw, encoder), "characters")
    >>> reader.symbol_names, reader.read_texts(["bab"]).tokens(0)
    (('�', 'a', 'b'), array([2, 1, 2]))
    """

    encoder: Vocabulary | Standardizer
    targets: TargetEncoder
    tokenize: Any = None
    names_unknown: bool = True
    columns: tuple[str, ...] | None = None
    errors: KeptErrors | None = None
    # The unknown symbols that were named already.
    _named: set[Any] = field(default_factory=set)

    # The classes of data are not equally frequent, so the accuracy of guessing means little.
    task, is_balanced = None, False
    # No token is put before a sequence.
    start_token = None
    # It draws nothing.
    examples = ()

    def __repr__(self) -> str:
        """Say what is read and learned."""
        inputs, outputs = f"{self.dim_input:,} inputs", f"{self.dim_output:,} outputs"
        return f"DataReader({inputs}, {outputs}, learns {self.learn})"

    @property
    def recognition(self) -> DataReader:
        """What a model is tested on; its attributes are those of a task."""
        return self

    @property
    def sizes(self) -> DataReader:
        """What a model is made for; its attributes are those of a task."""
        return self

    def new_model(self, part: Part, rng: np.random.Generator, own: Callable[..., Any] | None = None) -> Any:
        """Return a model with its initial weights; `own` is the class of a user-defined one."""
        width, further = 0, {}
        if own is None and hasattr(part.settings, "dim_embedding"):
            width = embedding_of(part.name, part.settings.dim_embedding, self.is_symbols)
            further = {"dim_embedding": width}
        check_memory(self.dim_input, getattr(part.settings, "dim_recurrent", 1), width)
        model = part.new_model(self, rng, own, **further)
        if self.is_symbols:
            no_input(model, UNKNOWN)
        return model

    @property
    def learn(self) -> str:
        """What is learned: labels, tags, numbers, text or series."""
        return self.targets.learn

    @property
    def is_symbols(self) -> bool:
        """Whether symbols are read instead of numbers."""
        return isinstance(self.encoder, Vocabulary)

    @property
    def text_as(self) -> str:
        """How to split text: as in the training, or into words if it learned from lists of symbols."""
        return "characters" if self.encoder.kind == "characters" else "words"

    @property
    def dim_input(self) -> int:
        """C: the number of symbols or columns."""
        return self.encoder.dim_input

    @property
    def dim_output(self) -> int:
        """K: the number of classes, or of numbers."""
        return len(self.targets)

    @property
    def per_step(self) -> bool:
        """Whether there is an output for each step."""
        return self.targets.per_step

    @property
    def labels(self) -> ClassLabels:
        """The classes of sequences or of steps."""
        assert isinstance(self.targets.inner, ClassLabels)
        return self.targets.inner

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.targets.class_names

    @property
    def symbol_names(self) -> tuple[str, ...] | None:
        """The names of the symbols, the first for unknown ones; None if numbers are read."""
        return self.encoder.names if isinstance(self.encoder, Vocabulary) else None

    @property
    def target_kind(self) -> TargetKind:
        """The kind of the targets."""
        if self.targets.is_classes:
            return TargetKind(CLASS, self.per_step)
        return TargetKind(NUMBERS, self.per_step, self.dim_output)

    @property
    def predicts_next_input(self) -> bool:
        """Whether an output predicts the next symbol of a text, or the next row of a series."""
        return self.learn in NEXT

    @property
    def unknown_token(self) -> int | None:
        """The token of all symbols that are not known; None if numbers are read."""
        return UNKNOWN if self.is_symbols else None

    @property
    def alphabet(self) -> Any:
        """The tokens of the symbols of an automaton by name, without the one for unknown symbols."""
        return {name: token for token, name in enumerate(self.symbol_names or ()) if token > 0}

    def example(self) -> None:
        """Return a short sequence: there is none."""

    def tests(self, run: Any, file: str | None, labels: str | None) -> Iterator[tuple[str, LabelledSequences]]:
        """Yield what a run is tested on, and its name: the sequences of each file, or of the file given instead."""
        run.check_tests(file)
        try:
            yield from self.read_tests(run.experiment, file, labels)
        except DataError as error:
            if file is not None:
                raise
            raise DataError(f"{error}; give another file of labelled sequences with file") from None

    def test_sequences(self, source: LabelledSequences) -> NamedSequences:
        """Return the sequences of a test as model input, with their class numbers."""
        assert source.labels is not None
        places = {name: place for place, name in enumerate(self.class_names)}
        numbers = np.array([places[label] for label in source.labels.tolist()], dtype=np.int64)
        return NamedSequences(self.read(source.sequences, numbers), self)

    def read_tests(
        self, experiment: Experiment, file: str | None = None, labels: str | None = None
    ) -> Iterator[tuple[str, LabelledSequences]]:
        """Read the tests of an experiment one by one, or the file given instead, with the name of each.

        Text is split as in the training, whose classes they have.
        """
        of_labels = dict(experiment.evaluation.test_labels)
        tests = [(name, path, of_labels.get(name)) for name, path in experiment.evaluation.test]
        for name, path, labelled in tests if file is None else [(Path(file).name, file, labels)]:
            read = self.read_file(experiment.source.settings, path, labelled)
            yield name, of_known(read, self.class_names) if self.learn == LABELS else read

    def read_file(
        self,
        data: Data,
        path: str | os.PathLike[str],
        labels: str | None = None,
        *,
        text_column: str | None = None,
        **how: Any,
    ) -> LabelledSequences:
        """Read a file as the settings of the training say, except those given, which are those of `files.read_file`."""
        # Columns that are named here are those of another file.
        columns = self.columns if text_column is None else None
        kind = "tokens" if self.is_symbols else "features"
        how |= {"tokenize": self.text_as, "kind": kind, "columns": columns, "text_column": text_column}
        return read_file(data, path, labels, **how)

    def read_series(self, data: Data, file: str, **how: Any) -> NDArray[np.float64]:
        """Return the only series of a file, which is read as `read_file` says, (T,) or with several columns (T, C)."""
        read = self.read_file(data, file, **how).sequences
        if len(read) != 1:
            raise InvalidArgument(f"{file} holds {_checks.count_of(len(read), 'series')}, but one is needed")
        series: NDArray[np.float64] = np.asarray(read[0])
        return series[:, 0] if series.shape[1] == 1 else series

    def has_tests(self, run: Any) -> bool:
        """Return whether a run has labelled sequences to be tested on."""
        return self.learn == LABELS and bool(run.experiment.evaluation.test)

    def recognizer(self, model: Any) -> Any:
        """Return a model as it is tested and looked into."""
        return model

    def read_texts(self, texts: Sequence[str]) -> Sequences:
        """Return texts as model input; words are separated by white space if the model reads words."""
        return self.read(list(texts) if self.text_as == "characters" else [text.split() for text in texts])

    def answers(self, read: Sequences) -> None:
        """Return the right class at each step of sequences that were read: it is not known."""

    def raw(self, X: Any) -> RawSequences:
        """Return sequences of the kind that the model reads; a warning names unknown symbols."""
        # Who learned lists of words also reads text: its words.
        how = self.tokenize or (self.text_as if self.is_symbols else "characters")
        raw = flat_sequences(X, self.encoder.kind, how)
        if not len(raw):
            raise InvalidArgument("X holds no sequence: found array with 0 sample(s), at least one is needed")
        self._name_unknown(raw)
        if self.learn == SERIES and isinstance(raw, Numbers):
            self.warn_of_range(self.targets.differences.of(raw).rows, "steps of the series")
        return raw

    def read(self, X: Any, labels: NDArray[np.int64] | None = None) -> Sequences:
        """Return sequences as model input, with their class numbers if these are known."""
        raw = self.raw(X)
        return self.targets.inputs(self.encoder, raw) if labels is None else self.encoder.encode(raw, labels)

    def warn_of_range(self, rows: NDArray[np.float64], what: str) -> None:
        """Warn if rows of a series, or its differences, are clearly outside of the range of the training."""
        assert isinstance(self.encoder, Standardizer)
        low, high = np.array(self.encoder.low), np.array(self.encoder.high)
        beyond = np.maximum(low - rows, rows - high) - BEYOND * (high - low)
        outside = (beyond > 0).any(axis=1)
        if not outside.any():
            return
        row, column = np.unravel_index(np.argmax(beyond), beyond.shape)
        least, most, farthest = low[column], high[column], rows[row, column]
        crossed = least if farthest < least else most
        of_range = digits_for((least, most if least < most else farthest))
        name = f"column {column}" if self.columns is None else repr(self.columns[column])
        where = f" in {name}" if len(low) > 1 else ""
        verb = "is" if outside.sum() == 1 else "are"
        learned = "differences" if self.targets.differences.undefined_rows else "numbers"
        instead = "" if self.targets.differences.undefined_rows else "; difference=1 learns changes instead"
        warn(
            f"{int(outside.sum()):,} of {len(rows):,} {what} {verb} outside of the {learned} that were learned "
            f"({least:{of_range}} to {most:{of_range}}{where}), "
            f"the farthest {farthest:{digits_for((crossed, farthest))}}: "
            f"predictions mean little there{instead}"
        )

    def _name_unknown(self, raw: RawSequences) -> None:
        """Warn once about each symbol that was not in the training."""
        known = self.encoder
        if not self.names_unknown or not isinstance(known, Vocabulary) or not isinstance(raw, TokenSequences):
            return
        new = {symbol: count for symbol, count in known.unknown(raw).items() if symbol not in self._named}
        if not new:
            return
        self._named.update(new)
        names = _checks.first_of(list(new))
        were, count = ("1 symbol was", "counts") if len(new) == 1 else (f"{len(new):,} symbols were", "count")
        share = sum(new.values()) / len(raw.codes)
        warn(f"{were} not in the training and {count} as unknown: {names} ({share:.1%} of all steps)")

    def to_settings(self) -> dict[str, Any]:
        """Return values for JSON."""
        return {
            "sequences": {type(self.encoder).__name__.lower(): self.encoder.to_settings()},
            "targets": self.targets.to_settings(),
            "tokenize": OWN_FUNCTION if callable(self.tokenize) else self.tokenize,
            "columns": None if self.columns is None else list(self.columns),
            **({} if self.errors is None else {"errors": self.errors.to_settings()}),
        }

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], learn: str, most: int | None, tokenize: Any) -> DataReader:
        """Rebuild it; raises InvalidArgument for values that `to_settings` cannot return.

        `most` is the most symbols of the training, and `tokenize` a function that the user gives again.
        """
        names = {"sequences", "targets", "tokenize", "columns", *(["errors"] if learn == SERIES else [])}
        if odd := sorted(set(settings) ^ names):
            raise InvalidArgument(f"{odd[0]!r} is {'unknown' if odd[0] in settings else 'missing'}")
        for part in ("sequences", "targets"):
            if not isinstance(settings[part], dict):
                raise InvalidArgument(f"it has no valid {part!r}")
        encoder = _encoder_of(settings["sequences"])
        targets = TargetEncoder.from_settings(settings["targets"], encoder)
        if targets.learn != learn:
            raise InvalidArgument(f"it has {targets.learn}, not {learn}")
        how, columns = settings["tokenize"], settings["columns"]
        if how is not None:
            _checks.one_of("tokenize", how, ("words", "characters", OWN_FUNCTION))
        if how in ("words", "characters") and how != encoder.kind:
            raise InvalidArgument(f"tokenize must fit its sequences of {encoder.kind}, not be {how!r}")
        if columns is not None and not (
            isinstance(columns, list)
            and len(columns) == encoder.dim_input
            and all(isinstance(name, str) for name in columns)
        ):
            raise InvalidArgument(f"'columns' must be {encoder.dim_input} names")
        errors = KeptErrors.from_settings(settings["errors"]) if learn == SERIES else None
        if errors is not None and len(errors.learned) != encoder.dim_input:
            raise InvalidArgument(f"'errors' must have {_checks.count_of(encoder.dim_input, 'column')}")
        return cls(
            encoder,
            targets,
            tokenize if how == OWN_FUNCTION else how,
            names_unknown(encoder, most),
            None if columns is None else tuple(columns),
            errors,
        )


Reader = TaskReader | DataReader


def _encoder_of(settings: Mapping[str, Any]) -> Vocabulary | Standardizer:
    """Return the encoder of stored settings."""
    if "vocabulary" in settings and len(settings) == 1:
        return Vocabulary.from_settings(settings["vocabulary"])
    if "standardizer" in settings and len(settings) == 1:
        return Standardizer.from_settings(settings["standardizer"])
    raise InvalidArgument("an encoder must have either a 'vocabulary' or a 'standardizer'")


def names_unknown(encoder: Vocabulary | Standardizer, most: int | None) -> bool:
    """Return whether to name unknown symbols: with a full vocabulary, the user asked for rare ones to be unknown."""
    return most is None or len(getattr(encoder, "symbols", ())) < most


class NamedSequences(Sequences):
    """Sequences with names for their classes and symbols, like those of a task."""

    class_names: tuple[str, ...]
    symbol_names: tuple[str, ...] | None

    def __init__(self, sequences: Sequences, reader: DataReader) -> None:
        sequences.check_labels()
        super().__init__(sequences.values, sequences.offsets, sequences.labels, sequences.dim_input)
        object.__setattr__(self, "class_names", reader.class_names)
        object.__setattr__(self, "symbol_names", reader.symbol_names)
