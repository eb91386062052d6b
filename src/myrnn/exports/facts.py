"""What the page alone says of a network: how its symbols are written, and how well it did in its test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from myrnn.data.targets import LABELS
from myrnn.evaluation import LengthReport
from myrnn.evaluation.buckets import Buckets
from myrnn.exports.network import TrainedNetwork
from myrnn.runs import Run
from myrnn.tokens import separator


@dataclass(frozen=True)
class LengthAccuracy:
    """The accuracy on sequences of the lengths `first` to `last`, and its interval; `beyond` is longer than trained."""

    first: int
    last: int
    accuracy: float
    low: float
    high: float
    beyond: bool


@dataclass(frozen=True)
class PageFacts:
    """What the page alone says of a network.

    Attributes
    ----------
    separator : str
        What stands between symbols in text.
    unknown_token : int or None
        The token of all symbols that are not known; it is never written.
    start_token : int or None
        The token that every sequence begins with, if there is one.
    accuracy : tuple of LengthAccuracy
        The result of the first test of the run, by length; empty without one.
    chance : float or None
        The accuracy of guessing, if all classes are equally frequent.
    """

    separator: str
    unknown_token: int | None = None
    start_token: int | None = None
    accuracy: tuple[LengthAccuracy, ...] = ()
    chance: float | None = None


def facts_of(network: TrainedNetwork) -> PageFacts:
    """Return what the page says of a network; of a model alone, only how its symbols are written."""
    between, run = separator(network.symbols or ()), network.run
    if run is None:
        return PageFacts(between)
    reader = run.reader
    chance = run.history.chance if reader.is_balanced else None
    return PageFacts(between, reader.unknown_token, reader.start_token, accuracy_of(run), chance)


def accuracy_of(run: Run) -> tuple[LengthAccuracy, ...]:
    """Return the accuracy by length that the first test of a run has found."""
    numbers: Mapping[str, Any] | None = next(iter(run.report.get("tests", {}).values()), None)
    if numbers is None or run.reader.learn != LABELS:
        return ()
    longest = run.history.longest
    if run.reader.task is not None:
        report = LengthReport.from_numbers(numbers, longest)
        first = last = report.lengths
        rows = np.column_stack((report.accuracy, report.interval))
    else:
        buckets = Buckets.from_numbers(numbers)
        first, last, rows = buckets.first, buckets.last, buckets.measures["accuracy"]
    return tuple(
        LengthAccuracy(begin, end, share, low, high, longest is not None and begin > longest)
        for begin, end, (share, low, high) in zip(first.tolist(), last.tolist(), rows.tolist(), strict=True)
    )
