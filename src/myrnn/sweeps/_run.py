"""One run of a sweep: its settings in, a small plain record out, and nothing else changes."""

from __future__ import annotations

import os
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from mygrad import mem_guard_off

from myrnn.compiler import limit_threads, without_notice
from myrnn.experiment import Experiment
from myrnn.models import num_parameters
from myrnn.runs import evaluated, made_with
from myrnn.sweeps._points import Point
from myrnn.sweeps._settings import FIXED, Settings
from myrnn.training import train

DONE, FAILED = "done", "failed"
LONGEST_MESSAGE = 500

Record = dict[str, Any]

_ONE_AT_A_TIME = threading.Lock()


def do(point: Point) -> Record:
    """Do one run and return its record; what goes wrong stands in the record.

    The record is the same wherever the run is done, but for ``seconds``, ``worker`` and ``versions``.
    """
    begin = time.perf_counter()
    try:
        with _alone_and_quiet():
            found = {"status": DONE, **_trained(point.settings)}
    except Exception as error:
        found = failure(error)
    worker = f"{socket.gethostname()}:{os.getpid()}"
    seconds = round(time.perf_counter() - begin, 4)
    return {"run": point.run, **found, "seconds": seconds, "worker": worker, "versions": made_with()["versions"]}


def failure(error: BaseException) -> Record:
    """Return what a record says of a run that failed."""
    message = " ".join(str(error).split())
    told = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return {"status": FAILED, "error": told if len(told) <= LONGEST_MESSAGE else f"{told[: LONGEST_MESSAGE - 3]}..."}


def _trained(settings: Settings) -> Record:
    """Train and test as ``myrnn train`` does with the same settings."""
    parts = {section: values for section, values in settings.items() if section != FIXED}
    experiment = Experiment.read({**parts, "evaluation": settings[FIXED]})
    task, model, optimizer = experiment.make()
    history = train(model, task, optimizer, **experiment.training.to_dict(), progress=False)
    report = evaluated(experiment, task, model, history, progress=False)
    return {
        "engine": history.engine,
        "parameters": num_parameters(model),
        "loss": float(history.loss[-1]),
        "longest": history.longest,
        "lengths": report.lengths.tolist(),
        "total": report.total.tolist(),
        "correct": report.correct.tolist(),
    }


@contextmanager
def _alone_and_quiet() -> Iterator[None]:
    """Take one thread, so that sums are added up in one order whatever the machine, and print nothing.

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
