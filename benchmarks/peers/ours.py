"""MyRNN itself, and MyGrad op by op through the same function."""

from __future__ import annotations

import time
from collections.abc import Callable

import myrnn
from benchmarks.jobs import LEARNING_RATE, Job, Replay
from myrnn.training import TrainingStart

# Sequences of a fixed set: enough for many different batches.
FIXED_BATCHES = 64


class StopWatch:
    """A hook that notes when the iterations begin and end."""

    begin = end = 0.0

    def on_train_begin(self, start: TrainingStart) -> None:
        self.begin = time.perf_counter()

    def on_train_end(self, history: myrnn.History) -> None:
        self.end = time.perf_counter()


def training(job: Job, engine: str = "native") -> Callable[[int], float]:
    """Time `myrnn.train`: the whole call where the job draws, else from its first iteration to its last.

    A step of a batch is compared with a peer's step, so the time to get ready does not count there, as it does not for
    the peer.
    """
    task = job.task if job.drawn else job.sequences(FIXED_BATCHES)

    def run(iterations: int) -> float:
        model, watch = job.model(), StopWatch()
        optimizer = myrnn.Adam(model.parameters, learning_rate=LEARNING_RATE)
        begin = time.perf_counter()
        myrnn.train(model, task, optimizer, iterations, job.batch_size, engine=engine, hooks=[watch], progress=False)
        return time.perf_counter() - begin if job.drawn else watch.end - watch.begin

    _check_engine(job, engine)
    return run


def _check_engine(job: Job, engine: str) -> None:
    """Compile, and make sure that what is timed is what the table says."""
    model = job.model()
    optimizer = myrnn.Adam(model.parameters, learning_rate=LEARNING_RATE)
    history = myrnn.train(model, job.sequences(2), optimizer, 2, job.batch_size, engine=engine, progress=False)
    if history.engine != engine:
        raise RuntimeError(f"engine={engine!r} was asked for, but {history.engine!r} trained")


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
