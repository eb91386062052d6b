"""MyRNN, and MyGrad op by op through the same function."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import mygrad as mg
import numpy as np
from mygrad.nnet.losses import softmax_crossentropy

import myrnn
from benchmarks.jobs import CHARACTERS, LEARNING_RATE, STREAMS, WINDOW, WINDOWS, Job, Replay, data_set
from myrnn.training.loop import Training

# Sequences of a fixed set: enough for many different batches.
FIXED_BATCHES = 64


def training(job: Job, engine: str = "native") -> Callable[[int], float]:
    """Time `myrnn.train`: the whole call if the job draws, otherwise only iterations.

    A step of a batch is compared with a peer's step, so preparation does not count, as for the peer. For the same
    reason, one iteration runs before the clock starts, because sequences longer than all before are checked.
    """
    task = job.task if job.drawn else job.sequences(FIXED_BATCHES)

    def whole(iterations: int) -> float:
        model = job.model()
        optimizer = myrnn.Adam(model.parameters, learning_rate=LEARNING_RATE)
        begin = time.perf_counter()
        myrnn.train(model, task, optimizer, iterations, job.batch_size, engine=engine, progress=False)
        return time.perf_counter() - begin

    _check_engine(job, engine)
    return whole if job.drawn else lambda iterations: _steps(job, task, iterations, engine)


def epochs(job: Job) -> Callable[[int], float]:
    """Time passes through a set, in a new order each."""
    data = data_set(job.data)
    per_epoch = -(-len(data) // job.batch_size)
    _check_engine(job, "native")
    return lambda count: _steps(job, data, count * per_epoch, "native")


def _steps(job: Job, task: Any, iterations: int, engine: str) -> float:
    """Return how long the iterations of a new training take, except the first."""
    model = job.model()
    optimizer = myrnn.Adam(model.parameters, learning_rate=LEARNING_RATE)
    under_way = Training(model, task, optimizer, job.batch_size, engine=engine)
    under_way.advance(1)
    begin = time.perf_counter()
    under_way.advance(iterations)
    return time.perf_counter() - begin


def _check_engine(job: Job, engine: str) -> None:
    """Compile, and check that the timed engine is that of the table."""
    model = job.model()
    optimizer = myrnn.Adam(model.parameters, learning_rate=LEARNING_RATE)
    history = myrnn.train(model, job.sequences(2), optimizer, 2, job.batch_size, engine=engine, progress=False)
    if history.engine != engine:
        raise RuntimeError(f"engine={engine!r} was asked for, but {history.engine!r} trained")


def truncated(job: Job) -> Callable[[int], float]:
    """Time iterations of a training that reads a text window by window."""
    model = job.model()
    optimizer = myrnn.Adam(model.parameters, learning_rate=LEARNING_RATE)
    under_way = Training(model, data_set(job.data), optimizer, STREAMS, truncate=WINDOW)
    under_way.advance(1)

    def run(iterations: int) -> float:
        begin = time.perf_counter()
        under_way.advance(iterations)
        return time.perf_counter() - begin

    return run


def generation(job: Job) -> Callable[[int], float]:
    """Time `myrnn.generate`; an iteration is one character."""
    compiled = myrnn.compile(job.model())

    def run(characters: int) -> float:
        begin = time.perf_counter()
        myrnn.generate(compiled, [0], characters, seed=0, engine="native")
        return time.perf_counter() - begin

    run(1000)
    return run


def _losses_of_text(job: Job, iterations: int, engine: str) -> list[float]:
    model, data = job.model(), data_set(job.data)
    optimizer = myrnn.Adam(model.parameters, learning_rate=LEARNING_RATE)
    if engine == "native":
        history = myrnn.train(
            model, data, optimizer, iterations, STREAMS, truncate=WINDOW, report_every=1, progress=False
        )
        return [float(loss) for loss in history.loss]
    # MyGrad has no streams: the windows of all streams, (T, B, C), and their states are passed on by hand.
    one_hot = np.eye(job.dim_input, dtype=np.float32)
    tokens, targets = (part.reshape(STREAMS, -1, WINDOW).transpose(1, 2, 0) for part in (data.values, data.targets))
    h, found = np.zeros((STREAMS, job.dim_recurrent), dtype=np.float32), []
    for i in range(iterations):
        assert i < WINDOWS, "the streams start over at their end"
        rows = []
        for x_t in one_hot[tokens[i]]:
            h = model.layer.step(x_t, h)
            rows.append(h)
        loss = softmax_crossentropy(model.fc_h2y(mg.concatenate(rows)), targets[i].ravel())
        loss.backward()
        optimizer.step()
        for parameter in model.parameters:
            parameter.null_grad()
        h = h.data.copy()
        found.append(loss.item())
    return found


def losses(job: Job, iterations: int, engine: str = "native") -> list[float]:
    if job.data == CHARACTERS:
        return _losses_of_text(job, iterations, engine)
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
