"""Sequences to begin with: a few of those that a run was tested on, or of its data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn.data import LabelledSequences, Numbers
from myrnn.data.targets import LABELS, SERIES, TEXT
from myrnn.errors import DataError, InvalidArgument
from myrnn.evaluation.classify import Classifier
from myrnn.finite import is_lost
from myrnn.runs import Run
from myrnn.runs.reports import test_seed
from myrnn.sequences import Sequences
from myrnn.targets import CLASS

# The number of examples, and of sequences that they are chosen from; the most steps of one; the last rows of a series.
COUNT, TRIED, LONGEST, ROWS = 6, 200, 48, 100
# How many of the examples show a mistake, if there are any.
MISTAKES = 2


@dataclass(frozen=True)
class Example:
    """A sequence of tokens, or of rows in the units of the data, and its class, if that is known."""

    x: list[Any]
    answer: str | None = None


def examples_of(run: Run | None) -> tuple[Example, ...]:
    """Return examples for a run; none for a model alone, or if the run's data are not there any more."""
    if run is None:
        return ()
    if run.task is not None:
        drawn = run.reader.recognition.sample(TRIED, np.random.default_rng(test_seed(run.experiment)))
        return _chosen(run, drawn, None)
    try:
        found = _given(run)
    except (DataError, InvalidArgument, OSError):
        return ()
    return () if found is None else _of_data(run, found)


def _given(run: Run) -> LabelledSequences | None:
    """Return the sequences of the first test, or those of the training; None if they were in memory."""
    if run.experiment.evaluation.test:
        return next(iter(run.reader.tests(run, None, None)))[1]
    source = run.experiment.source.settings
    file = getattr(source, "file", None)
    return None if file is None else run.reader.read_file(source, file, source.labels)


def _of_data(run: Run, given: LabelledSequences) -> tuple[Example, ...]:
    reader, raw = run.reader, given.sequences
    if reader.learn == SERIES:
        return (Example(_rounded(np.asarray(raw[0])[-ROWS:])),)
    if reader.learn == TEXT:
        tokens = reader.read(raw[[0]]).tokens(0)
        return (Example(tokens[:LONGEST].tolist()),)
    some = np.random.default_rng(0).permutation(len(raw))[:TRIED]
    labels = None
    if reader.learn == LABELS and given.labels is not None:
        places = {name: place for place, name in enumerate(reader.class_names)}
        labels = np.array([places[label] for label in given.labels[some].tolist()], dtype=np.int64)
    read = reader.read(raw[some], labels)
    return _chosen(run, read, raw[some] if isinstance(raw, Numbers) else None)


def _chosen(run: Run, read: Sequences, raw: Numbers | None) -> tuple[Example, ...]:
    """Return short sequences, and, if classes are known, mistakes among them and sequences of every class."""
    short = _distinct(read, np.flatnonzero((read.lengths > 0) & (read.lengths <= LONGEST)))
    kind, answers = read.kind, None
    if kind.what == CLASS and not kind.per_step and (run.task is not None or run.reader.learn == LABELS):
        answers = read.targets
        short = _of_every_kind(Classifier(run.recognizer, run.experiment.training.engine), read, short)
    return tuple(
        Example(
            read.tokens(i).tolist() if raw is None else _rounded(np.asarray(raw[i])),
            None if answers is None else run.class_names[answers[i]],
        )
        for i in short[:COUNT].tolist()
    )


def _distinct(read: Sequences, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the places of sequences without those that repeat an earlier one."""
    steps = {i: read.values[read.offsets[i] : read.offsets[i + 1]].tobytes() for i in places.tolist()}
    first = {content: i for i, content in reversed(steps.items())}
    return np.array(sorted(first.values()), dtype=np.int64)


def _of_every_kind(classifier: Classifier, read: Sequences, short: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the places of sequences that are right, of all classes in turn, with a few mistakes after them."""
    scores = classifier.scores(read)
    right = ~is_lost(scores) & (scores.argmax(axis=1) == read.targets)
    wrong = short[~right[short]][:MISTAKES]
    good = short[right[short]]
    labels = read.targets[good]
    # The first of every class, then the second of every class, and so on.
    turn = np.array([np.count_nonzero(labels[:place] == label) for place, label in enumerate(labels)], dtype=np.int64)
    return np.concatenate((good[np.argsort(turn, kind="stable")][: COUNT - len(wrong)], wrong))


def _rounded(rows: NDArray[Any]) -> list[list[float]]:
    return [[float(f"{value:.5g}") for value in row] for row in np.atleast_2d(rows.T).T.tolist()]
