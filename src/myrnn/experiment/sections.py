"""The sections of an experiment that are not of a registered kind: data, training and evaluation."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta

from myrnn import _checks
from myrnn.data.differences import LONGEST_PERIOD, MOST_DIFFERENCES
from myrnn.data.files import PLAIN, ending_of, is_tabbed, labels_beside, without_gz
from myrnn.data.symbols import TOKENIZE
from myrnn.data.targets import LABELS, LEARN, NEXT, SERIES
from myrnn.errors import InvalidArgument
from myrnn.sequences import LARGEST_INT32
from myrnn.settings import Section

MOST_LENGTHS = 10_000
MOST_SAMPLES = 10_000_000
# The settings that name files of tests.
TEST_FILES = ("test", "test_labels")
# The names of tests become parts of file names.
LONGEST_NAME = 100

Samples = Annotated[int, Meta(ge=1, le=MOST_SAMPLES, description="How many sequences to evaluate on.")]
TokenizeName = Annotated[
    Literal[TOKENIZE],  # type: ignore[valid-type]
    Meta(description="What the symbols of text are: words, characters, or auto (words if most texts have spaces)."),
]


class Data(Section, frozen=True, kw_only=True):
    """Where sequences and their labels come from, and how to read them.

    Attributes
    ----------
    file : str or None
        None for sequences in memory.

    Examples
    --------
    >>> data = Data(file="train.csv", tokenize="words")
    >>> data.file, data.tokenize
    ('train.csv', 'words')
    """

    file: (
        Annotated[
            str,
            Meta(
                description="Training sequences: .csv, .tsv, .jsonl or .parquet with columns sequence and label, "
                "or .txt."
            ),
        ]
        | None
    ) = None
    labels: Annotated[str, Meta(description="The labels of a .txt file, one per line.")] | None = None
    tokenize: TokenizeName = "auto"
    text_column: (
        Annotated[
            str,
            Meta(min_length=1, description="The column with the sequences, by default sequence; or those of a series."),
        ]
        | None
    ) = None
    label_column: (
        Annotated[
            str,
            Meta(min_length=1, description="The column with the targets, by default label, tags or target."),
        ]
        | None
    ) = None
    delimiter: (
        Annotated[str, Meta(description="The character between the fields of a .csv or .tsv file, such as ';'.")] | None
    ) = None
    skip_bad_lines: Annotated[bool, Meta(description="Skip and count malformed lines instead of stopping.")] = False
    max_vocabulary: (
        Annotated[int, Meta(ge=1, description="Use only this many of the most frequent symbols.")] | None
    ) = None
    standardize: Annotated[
        bool, Meta(description="Scale every column of numbers to mean 0 and standard deviation 1.")
    ] = True
    learn: Annotated[
        Literal[LEARN],  # type: ignore[valid-type]
        Meta(
            description="What to learn: labels of sequences, tags of their steps, numbers, what comes next in a text, "
            "or in a series.",
        ),
    ] = "labels"
    per_step: (
        Annotated[
            bool,
            Meta(
                description="Whether numbers are per step, not per sequence; by default if there are as many as steps.",
            ),
        ]
        | None
    ) = None
    difference: Annotated[
        int,
        Meta(
            ge=0,
            le=MOST_DIFFERENCES,
            description="Learn the changes of a series from row to row (1), or those of the changes (2).",
        ),
    ] = 0
    period: (
        Annotated[
            int,
            Meta(
                ge=2,
                le=LONGEST_PERIOD,
                description="Learn the changes of a series from this many rows before, its season.",
            ),
        ]
        | None
    ) = None

    def __post_init__(self) -> None:
        """Check all values, and that plain text comes with a file of labels."""
        for name in ("file", "labels"):
            if isinstance(given := getattr(self, name), os.PathLike):
                self._keep(name, os.fspath(given))
        super().__post_init__()
        for name in ("difference", "period"):
            if getattr(self, name) and self.learn != SERIES:
                raise InvalidArgument(f"{name} is for series, not for {self.learn}: leave it out")
        for name in ("file", "labels"):
            if (given := getattr(self, name)) is not None:
                _check_file(name, given)
        if self.file is not None:
            if self.labels is None and self.learn == LABELS and (beside := labels_beside(Path(self.file))):
                self._keep("labels", os.fspath(beside))
            self.check_has_labels(self.file, self.labels, "labels")

    def check_has_labels(self, file: str, labels: str | None, setting: str) -> None:
        """Refuse plain text without targets; `setting` names the option for the file of its labels."""
        if not is_plain_text(file) or self.learn in NEXT:
            return
        if self.learn != LABELS:
            raise InvalidArgument(f"{file} is plain text, which holds no {self.learn}")
        if labels is None and not is_tabbed(Path(file)):
            raise InvalidArgument(f"{file} is plain text: give its labels, one per line, with {setting}")


def _check_file(setting: str, file: str) -> None:
    if not file or "\0" in file:
        raise InvalidArgument(f"{setting} must be the name of a file, not {_checks.shown(file)}")


def is_plain_text(file: str) -> bool:
    """Return whether the name of a file ends in .txt, with or without .gz."""
    return ending_of(Path(file)) == PLAIN


class Evaluation(Section, frozen=True, kw_only=True):
    """How a trained model is tested: on new sequences of a task, or on given ones in files.

    Attributes
    ----------
    samples : int or None
        How many sequences of a task to draw; None for given sequences.
    seed : int or None
        By default the training seed plus one, so that the sequences are new.
    lengths : tuple of int or None
        By default up to twice the longest trained length. ``"2:40:2"`` means every second length from 2 to 40.
    stack_depth : int or None
        The depth of the stacks of a built-in model, by default as in the training. Other models ignore it.
    test, test_labels : tuple of pairs
        Names of tests, with the files of their sequences and of their labels. Files given without names are named after
        the file.

    Examples
    --------
    >>> Evaluation(lengths="2:8:2").lengths
    (2, 4, 6, 8)
    >>> Evaluation(test=["easy=easy.csv", "hard=hard.csv"]).test
    (('easy', 'easy.csv'), ('hard', 'hard.csv'))
    """

    samples: Samples | None = 100_000
    seed: Annotated[int, Meta(ge=0, description="Seed of the test sequences.")] | None = None
    lengths: Annotated[
        Any,
        Meta(
            description='The lengths to test on: a list, or "2:40:2" for every second one from 2 to 40; several with '
            'commas, as "1:40,50:500:10".'
        ),
    ] = None
    stack_depth: (
        Annotated[
            int,
            Meta(
                ge=2,
                le=10_000,
                description="The depth of the stack of a stack-rnn in tests: sequences longer than the trained ones "
                "may need a deeper one.",
            ),
        ]
        | None
    ) = None
    test: Annotated[
        Any, Meta(description="Test sequences, in the format of the training data; NAME=FILE names one of several.")
    ] = None
    test_labels: Annotated[Any, Meta(description="The labels of a test, in the format of the others.")] = None

    def __post_init__(self) -> None:
        """Check all values; lengths are listed once each, ascending, and files stored as pairs of a name and a path."""
        super().__post_init__()
        self._keep("lengths", _lengths(self.lengths))
        tests = named_files("test", self.test)
        names = tuple(tests)
        if not tests and self.test_labels:
            raise InvalidArgument("test_labels goes with test, which is missing")
        given = self.test_labels
        if not isinstance(given, Mapping | None):
            listed = _listed(given)
            # Files without names are taken in the order of the tests.
            if len(listed) == len(names) and all(isinstance(file, str) and "=" not in file for file in listed):
                given = dict(zip(names, listed, strict=True))
        labels = named_files("test_labels", given)
        for name in labels:
            _checks.one_of("a name in test_labels", name, names)
        self._keep("test", tuple(tests.items()))
        self._keep("test_labels", tuple(labels.items()))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as plain values."""
        return {
            **super().to_dict(),
            "lengths": None if self.lengths is None else list(self.lengths),
            "test": dict(self.test),
            "test_labels": dict(self.test_labels),
        }

    @property
    def files(self) -> dict[str, str]:
        """The files of the tests by role: ``"test NAME"``, ``"test_labels NAME"``."""
        return {f"{kind} {name}": file for kind in TEST_FILES for name, file in getattr(self, kind)}

    def with_paths(self, change: Callable[[str], str]) -> Evaluation:
        """Return the section with the paths of its files changed."""
        changed = {kind: {name: change(file) for name, file in getattr(self, kind)} for kind in TEST_FILES}
        return msgspec.structs.replace(self, **changed)


def named_files(setting: str, given: Any) -> dict[str, str]:
    """Return files by name, given as one file, a list, texts ``NAME=FILE``, or a mapping."""
    if given is None:
        return {}
    if isinstance(given, Mapping):
        pairs = list(given.items())
    else:
        pairs = [_named_file(file) for file in ([given] if isinstance(given, str | os.PathLike) else _listed(given))]
    found: dict[str, str] = {}
    for name, file in pairs:
        if not isinstance(name, str) or not name.strip() or not isinstance(file, str | os.PathLike):
            raise InvalidArgument(f"{setting} must be files, or files by name, not {_checks.shown(given)}")
        _check_file(setting, os.fspath(file))
        if name in found:
            raise InvalidArgument(f"{setting} has two files of the name {name!r}: name them, as NAME=FILE")
        if len(name) > LONGEST_NAME:
            raise InvalidArgument(
                f"{setting} has a name of {len(name)} characters, at most {LONGEST_NAME} are possible"
            )
        if not name.isprintable() or set(name) & set("/\\") or name.startswith("."):
            raise InvalidArgument(f"{setting} has the name {name!r}, which a part of a file's name cannot be")
        found[name] = os.fspath(file)
    return found


def _named_file(file: Any) -> tuple[Any, Any]:
    if isinstance(file, list | tuple) and len(file) == 2:
        return file[0], file[1]
    name, equals, path = str(file).partition("=")
    if equals and name and not set(name) & set("/\\.") and path:
        return name, path
    return without_gz(Path(file)).stem if isinstance(file, str | os.PathLike) else None, file


def _listed(given: Any) -> list[Any]:
    return list(given) if isinstance(given, list | tuple) else [given]


def _lengths(given: Any) -> tuple[int, ...] | None:
    if given is None:
        return None
    wanted = "lengths must be a list, or text as '2,4' or '2:40:2', not"
    if isinstance(given, str):
        parts = [part.strip() for part in given.split(",")]
        spans = [_checks.span("lengths", part if ":" in part else f"{part}:{part}", MOST_LENGTHS) for part in parts]
        if None in spans:
            raise InvalidArgument(f"{wanted} {given!r}")
        given = [number for span in spans for number in span or ()]
    if not isinstance(given, list | tuple | range | np.ndarray):
        raise InvalidArgument(f"{wanted} {_checks.shown(given)}")
    whole = _checks.integers("lengths", given, minimum=0, maximum=LARGEST_INT32)
    if not len(whole):
        raise InvalidArgument("lengths is empty: name at least one length")
    return tuple(np.unique(whole).tolist())
