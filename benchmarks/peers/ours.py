"""MyRNN itself, and MyGrad op by op through the same function."""

from __future__ import annotations

import time
from collections.abc import Callable

import myrnn
from benchmarks.jobs import LEARNING_RATE, Job, Replay

# Sequences of a fixed set: enough for many different batches.
FIXED_BATCHES = 64


def training(job: Job, engine: str = "native") -> Callable[[int], float]:
    """Time whole calls of `myrnn.train`, with all that it does before its first iteration."""
    task = job.task if job.drawn else job.sequences(FIXED_BATCHES)

    def run(iterations: int) -> float:
        model = job.model()
        optimizer = myrnn.Adam(model.parameters, learning_rate=LEARNING_RATE)
        begin = time.perf_counter()
        myrnn.train(model, task, optimizer, iterations, job.batch_size, engine=engine, progress=False)
        return time.perf_counter() - begin

    run(2)
    return run


def losses(job: Job, iterations: int, engine: str = "native") -> list[float]:
    model = job.model()
    optimizer = myrnn.Adam(model.parameters, learning_rate=LEARNING_RATE)
    history = myrnn.train(
        model,
        Replay(job.sequences(iterations)),
        optimizer,
        iterations,
        job.batch_size,
        engine=engine,
        report_every=1,
        progress=False,
    )
    return [float(loss) for loss in history.loss]


def evaluation(job: Job) -> Callable[[int], float]:
    """Time `myrnn.evaluate` on new sequences of the job's task; an iteration is one sequence."""
    model = job.model()

    def run(samples: int) -> float:
        begin = time.perf_counter()
        myrnn.evaluate(model, job.task, samples=samples, engine="native", progress=False)
        return time.perf_counter() - begin

    run(100)
    return run
