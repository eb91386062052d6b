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
from myrnn.errors import InvalidArgument, MyRNNError, TrainingDiverged
from myrnn.evaluation import Report
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


class TestCounts(msgspec.Struct, frozen=True):
    """The result of a test file: the number of correctly classified sequences, and the mean F1 of its classes."""

    total: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    correct: Count
    macro_f1: float | None = None


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
    # For a run on data: the validation accuracy of the best epoch, the tests by name, and the SHA-256 of the files as
    # they were read, by the names of `Experiment.files`.
    validation: float | None = None
    tests: dict[str, TestCounts] = {}
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
        if any(test.correct > test.total for test in self.tests.values()):
            raise ValueError("no more can be right than were tried")

    @property
    def accuracies(self) -> dict[str, float | None]:
        """The metrics of `SweepResults.groups`, except the loss."""
        counts = list(zip(self.lengths, self.total, self.correct, strict=True))
        known = counts if self.files else [row for row in counts if row[0] <= self.longest]
        if self.files and not counts:
            # For steps there are no counts by length.
            known = [(0, test.total, test.correct) for test in self.tests.values()]
        tests = {f"test.{name}": test.correct / test.total for name, test in self.tests.items()}
        shares = tests.values() if self.files else [right / total for _, total, right in known]
        return {
            "accuracy": _share(known),
            "worst": min(shares, default=None),
            "beyond": _share([row for row in counts if row[0] > self.longest]),
            **({"validation": self.validation} if self.files else {}),
            **tests,
        }


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
    validation = run.history.validation_accuracy
    return Done(
        run=name,
        engine=run.history.engine,
        parameters=num_parameters(run.model),
        loss=float(run.history.loss[run.best - 1]),
        longest=run.report["training"]["longest"],
        validation=None if validation is None else float(validation[run.best - 1]),
        files=dict(prepared.hashes),
        **_counts(prepared, run),
    )


def _counts(prepared: Prepared, run: Run) -> dict[str, Any]:
    """Return how many predictions were made and were right, by length, and by the name of a test file."""
    tests, total, correct, not_finite = {}, Counter[int](), Counter[int](), 0
    for name, source in prepared.tests.items():
        tested = tested_on(run, source)
        not_finite += tested.not_finite
        if isinstance(tested.report, Report):
            tests[name] = _counts_of_steps(tested.report)
        if (each := tested.every_length) is not None:
            total.update(dict(zip(each.lengths.tolist(), each.total.tolist(), strict=True)))
            correct.update(dict(zip(each.lengths.tolist(), each.correct.tolist(), strict=True)))
    lengths = sorted(total)
    counted = {"total": [total[length] for length in lengths], "correct": [correct[length] for length in lengths]}
    return {"lengths": lengths, **counted, "not_finite": not_finite, "tests": tests}


def _counts_of_steps(report: Report) -> TestCounts:
    """Return the number of correct steps, of tags or text; raises InvalidArgument if numbers are learned."""
    if "accuracy" in report.scores:
        total = report.counts.get("steps", report.counts["sequences"])
        return TestCounts(total, round(report.accuracy * total), getattr(report, "macro_f1", None))
    raise InvalidArgument("a study counts correct predictions, and numbers have none: leave out the tests")


def _share(counts: list[tuple[int, int, int]]) -> float | None:
    total = sum(total for _, total, _ in counts)
    return sum(right for _, _, right in counts) / total if total else None


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
