"""One run of a sweep: a function from an experiment to a small record, without side effects."""

from __future__ import annotations

import os
import socket
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta
from mygrad import mem_guard_off

from myrnn._user_code import in_one_line
from myrnn.compiler.cache import without_notice
from myrnn.compiler.shards import limit_threads
from myrnn.errors import MyRNNError, TrainingDiverged
from myrnn.evaluation import Report
from myrnn.evaluation.scores import plain_scores
from myrnn.experiment import Experiment
from myrnn.experiment.parts import is_own
from myrnn.models.model import num_parameters
from myrnn.models.own import load_own
from myrnn.registry import kinds
from myrnn.runs.folder import made_with
from myrnn.runs.prepare import Prepared, prepare
from myrnn.runs.reports import tested_on
from myrnn.runs.trained import Run
from myrnn.runs.training import trained
from myrnn.sweeps.study import Point

LONGEST_MESSAGE = 500

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class TestScores(msgspec.Struct, frozen=True):
    """The result of a test file: the number of sequences, steps or rows, and the scores of the report."""

    total: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    # With the ends of their intervals, as in ``report.json``; None for numbers that are not finite.
    scores: dict[str, float | None]

    @property
    def correct(self) -> int | None:
        """The number of correct predictions; None if numbers are learned."""
        accuracy = self.scores.get("accuracy")
        return None if accuracy is None else round(accuracy * self.total)


class Done(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="status", tag="done"):
    """The result of a run; only the place, the duration and the versions depend on where it is done."""

    run: str  # the identity of its `Point`
    engine: str
    parameters: Count
    loss: float  # that of the last report, or of the best epoch for a run on data
    longest: Count  # the longest length in the training
    # The number of tested and of correct sequences of each length; for a run on data, in all tests together.
    lengths: list[Count]
    total: list[Count]
    correct: list[Count]
    # The number of sequences, or steps, with scores that are not finite. They count as wrong.
    not_finite: Count = 0
    # For a run on data: the score and the loss of the validation in the best epoch, the tests by name, and the SHA-256
    # of the files as they were read, by the names of `Experiment.files`.
    validation: float | None = None
    validation_loss: float | None = None
    tests: dict[str, TestScores] = {}
    files: dict[str, str] = {}
    seconds: float = 0.0
    worker: str = ""
    versions: dict[str, Any] | None = None  # those of the worker

    def __post_init__(self) -> None:
        """Check that the counts are consistent, since records are read from files."""
        if not len(self.lengths) == len(self.total) == len(self.correct) or not (self.lengths or self.files):
            raise ValueError("there must be counts for every length")
        if not all(tried and right <= tried for tried, right in zip(self.total, self.correct, strict=True)):
            raise ValueError("a length must be tried, and no more can be right than were tried")


class Failed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="status", tag="failed"):
    """The record of a run that failed."""

    run: str
    error: str
    seconds: float = 0.0
    worker: str = ""
    versions: dict[str, Any] | None = None


Record = Done | Failed


def is_divergence(error: str) -> bool:
    """Return whether a run failed because its training diverged, as it would again; other faults may be mended."""
    return error.startswith(TrainingDiverged.__name__)


_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class SentRun:
    """A run on its way to a worker, as plain values: a worker that lacks a part of it can say so."""

    run: str
    folder: str
    sections: Mapping[str, Any]  # its experiment, with full paths
    parts: Mapping[str, str]

    @classmethod
    def of(cls, point: Point) -> SentRun:
        """Return a run of a study."""
        return cls(point.run, point.folder, point.located.to_dict(), point.experiment.parts)

    def read(self) -> tuple[Experiment, Any]:
        """Return the experiment, and the class of a user-defined model, from the very file that the study has read."""
        experiment = Experiment.read(self.sections)
        model = experiment.model
        return experiment, load_own(model.name, model.sha256) if is_own(model.name) else None


def do(sent: SentRun) -> Record:
    """Do one run and return its record, even if it fails."""
    begin = time.perf_counter()
    try:
        with _alone_and_quiet():
            experiment, make = sent.read()
            record: Record = _done(sent.run, experiment, make)
    except (Exception, SystemExit) as error:
        record = failure(sent, error)
    worker = f"{socket.gethostname()}:{os.getpid()}"
    seconds = round(time.perf_counter() - begin, 4)
    return msgspec.structs.replace(record, seconds=seconds, worker=worker, versions=made_with()["versions"])


def failure(sent: SentRun, error: BaseException) -> Failed:
    """Return the record of a run that failed; files are named as in the study, so that it is the same everywhere."""
    line = f"{type(error).__name__}: {_message(sent, error)}".removesuffix(": ")
    return Failed(run=sent.run, error=line if len(line) <= LONGEST_MESSAGE else f"{line[: LONGEST_MESSAGE - 3]}...")


def _message(sent: SentRun, error: BaseException) -> str:
    message = in_one_line(error)
    return message.replace(os.path.join(sent.folder, ""), "") if sent.folder else message


def fault_of(sent: SentRun) -> str | None:
    """Return what keeps this process from doing such a run, before any is done; None if nothing does."""
    for part, name in sent.parts.items():
        if name not in kinds(part) and not (part == "model" and is_own(name)):
            instead = "name the class by its file, as my_file.py:MyClass" if part == "model" else "put it in a package"
            return f"{part} {name!r} is registered only in this process, not in its workers: {instead}, or use jobs=1"
    try:
        with _alone_and_quiet():
            experiment, make = sent.read()
            if not experiment.source.files:
                prepare(experiment, make).describe()
            elif make is not None:
                # The sizes follow from the data, which are not read yet.
                experiment.model.new_model(SimpleNamespace(dim_input=2, dim_output=2), np.random.default_rng(0), make)
    except (Exception, SystemExit) as error:
        message = _message(sent, error)
        return message if isinstance(error, MyRNNError) else f"{type(error).__name__}: {message}".removesuffix(": ")
    return None


def _done(name: str, experiment: Experiment, make: Any) -> Done:
    """Train and test as ``myrnn train`` does with the same settings."""
    prepared = prepare(experiment, make)
    run = trained(prepared, own=make, progress=False)
    if run.is_cut:
        raise KeyboardInterrupt
    history, best = run.history, run.best - 1
    return Done(
        run=name,
        engine=history.engine,
        parameters=num_parameters(run.model),
        loss=float(history.loss[best]),
        longest=run.report["training"]["longest"],
        validation=None if history.validation_score is None else float(history.validation_score[best]),
        validation_loss=None if history.validation_loss is None else float(history.validation_loss[best]),
        files=dict(prepared.hashes),
        **_tested(prepared, run),
    )


def _tested(prepared: Prepared, run: Run) -> dict[str, Any]:
    """Return how many predictions were made and were right, by length, and the scores by the name of a test file."""
    tests, total, correct, not_finite = {}, Counter[int](), Counter[int](), 0
    for name, source in prepared.tests.items():
        tested = tested_on(run, source)
        not_finite += tested.not_finite
        if isinstance(report := tested.report, Report):
            unit = next(unit for unit in ("steps", "rows", "sequences") if unit in report.counts)
            tests[name] = TestScores(report.counts[unit], plain_scores(report.scores))
        if (each := tested.every_length) is not None:
            total.update(dict(zip(each.lengths.tolist(), each.total.tolist(), strict=True)))
            correct.update(dict(zip(each.lengths.tolist(), each.correct.tolist(), strict=True)))
    lengths = sorted(total)
    counted = {"total": [total[length] for length in lengths], "correct": [correct[length] for length in lengths]}
    return {"lengths": lengths, **counted, "not_finite": not_finite, "tests": tests}


@contextmanager
def _alone_and_quiet() -> Iterator[None]:
    """Use one thread, so that sums are computed in the same order on every machine, and print nothing.

    A process does only one run at a time, because MyGrad's switches are global. Its locks on arrays are off, since
    other threads, such as those of a Dask worker, would release them at random moments.
    """
    without_notice()
    with _ONE_AT_A_TIME, warnings.catch_warnings(), _thread_pools().limit(limits=1), limit_threads(1), mem_guard_off:
        # If a model cannot be compiled, the record names the engine.
        warnings.simplefilter("ignore")
        yield


@cache
def _thread_pools() -> Any:
    from threadpoolctl import ThreadpoolController  # imported late: only sweeps need it

    return ThreadpoolController()
