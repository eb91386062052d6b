"""One run of a sweep: an experiment in, a small record out, and nothing else changes."""

from __future__ import annotations

import os
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from mygrad import mem_guard_off

from myrnn.compiler import limit_threads, without_notice
from myrnn.experiment import Experiment
from myrnn.models import num_parameters
from myrnn.runs import evaluated, made_with
from myrnn.sweeps.study import Point
from myrnn.training import train

LONGEST_MESSAGE = 500

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Done(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="status", tag="done"):
    """What a run gave: it is the same wherever the run is done, but for where, how long and with which versions.

    Attributes
    ----------
    run : str
        The identity of its `Point`.
    engine : str
    parameters, longest : int
        How many weights there are, and the longest length that was trained on.
    loss : float
        Of the last report.
    lengths, total, correct : list of int
        How many sequences of each length were tried, and right.
    seconds : float
    worker : str
    versions : dict, optional
        Those of the worker.
    """

    run: str
    engine: str
    parameters: Count
    loss: float
    longest: Count
    lengths: list[Count]
    total: list[Count]
    correct: list[Count]
    seconds: float = 0.0
    worker: str = ""
    versions: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        """Check that the counts go together, since records are read from files."""
        if not len(self.lengths) == len(self.total) == len(self.correct) > 0:
            raise ValueError("there must be counts for every length")
        if not all(tried and right <= tried for tried, right in zip(self.total, self.correct, strict=True)):
            raise ValueError("a length must be tried, and no more can be right than were tried")

    @property
    def accuracies(self) -> dict[str, float | None]:
        """The ``accuracy`` on the trained lengths, on the ``worst`` of them, and on longer ones (``beyond``)."""
        counts = list(zip(self.lengths, self.total, self.correct, strict=True))
        trained = [(total, right) for length, total, right in counts if length <= self.longest]
        beyond = [(total, right) for length, total, right in counts if length > self.longest]
        return {
            "accuracy": _share(trained),
            "worst": min((right / total for total, right in trained), default=None),
            "beyond": _share(beyond),
        }


class Failed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="status", tag="failed"):
    """What is known of a run that failed."""

    run: str
    error: str
    seconds: float = 0.0
    worker: str = ""
    versions: dict[str, Any] | None = None


Record = Done | Failed

_ONE_AT_A_TIME = threading.Lock()


def do(point: Point) -> Record:
    """Do one run and return its record, also where it fails."""
    begin = time.perf_counter()
    try:
        with _alone_and_quiet():
            record: Record = _trained(point.run, point.experiment)
    except Exception as error:
        record = failure(point.run, error)
    worker = f"{socket.gethostname()}:{os.getpid()}"
    seconds = round(time.perf_counter() - begin, 4)
    return msgspec.structs.replace(record, seconds=seconds, worker=worker, versions=made_with()["versions"])


def failure(run: str, error: BaseException) -> Failed:
    """Return the record of a run that failed."""
    message = " ".join(str(error).split())
    line = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return Failed(run=run, error=line if len(line) <= LONGEST_MESSAGE else f"{line[: LONGEST_MESSAGE - 3]}...")


def _trained(run: str, experiment: Experiment) -> Done:
    """Train and test as ``myrnn train`` does with the same settings."""
    task, model, optimizer = experiment.make()
    history = train(model, task, optimizer, **experiment.training.to_dict(), progress=False)
    report = evaluated(experiment, task, model, history, progress=False)
    return Done(
        run=run,
        engine=history.engine,
        parameters=num_parameters(model),
        loss=float(history.loss[-1]),
        longest=history.longest,
        lengths=report.lengths.tolist(),
        total=report.total.tolist(),
        correct=report.correct.tolist(),
    )


def _share(counts: list[tuple[int, int]]) -> float | None:
    total = sum(total for total, _ in counts)
    return sum(right for _, right in counts) / total if total else None


@contextmanager
def _alone_and_quiet() -> Iterator[None]:
    """Take one thread, so that sums are added up in one order on every machine, and print nothing.

    A process does one run at a time, whatever its threads: MyGrad has one set of switches for all of them. Its locks on
    arrays are off, since other threads, such as those of a Dask worker, would take them off at moments of their own.
    """
    without_notice()
    with _ONE_AT_A_TIME, warnings.catch_warnings(), _thread_pools().limit(limits=1), limit_threads(1), mem_guard_off:
        # Where a model cannot be compiled, the record names the engine.
        warnings.simplefilter("ignore")
        yield


@cache
def _thread_pools() -> Any:
    from threadpoolctl import ThreadpoolController  # late, as all that only sweeps need

    return ThreadpoolController()
