"""From the start of a new process to the first iteration."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.jobs import Job
from benchmarks.peers import PeerMissing

MODELS = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM"}

PROGRAM = """
import myrnn
model = myrnn.{model}(10, 50, 2, rng=0)
task = myrnn.tasks.TwinHalves(1, 10)
optimizer = myrnn.Adam(model.parameters)
history = myrnn.train(model, task, optimizer, iterations=1, engine="native", progress=False)
if history.engine != "native":
    raise RuntimeError("the model was not compiled")
print("first iteration done", flush=True)
"""


def first_iteration(job: Job, warm: bool) -> Callable[[int], float]:
    """Time a process up to the end of its first iteration, with a compile cache that is warm, or empty."""
    program = PROGRAM.format(model=MODELS[job.cell])
    kept = tempfile.TemporaryDirectory(prefix="myrnn-bench-")
    if warm:
        start_process(program, Path(kept.name))

    def run(iterations: int) -> float:
        if warm:
            return start_process(program, Path(kept.name))
        with tempfile.TemporaryDirectory(prefix="myrnn-bench-") as empty:
            return start_process(program, Path(empty))

    return run


def start_process(program: str, cache: Path) -> float:
    """Run a Python program and return the seconds until its first line of output."""
    begin = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env=_environment(cache),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - begin
        if not line:
            raise RuntimeError((process.stderr.read().strip().splitlines() or ["no output"])[-1])
    return seconds


def train_command(job: Job) -> Callable[[int], float]:
    """Time the whole command ``myrnn train`` with its defaults and a warm compile cache."""
    command = shutil.which("myrnn", path=str(Path(sys.executable).parent)) or shutil.which("myrnn")
    if command is None:
        raise PeerMissing("the command myrnn is not installed")
    kept = tempfile.TemporaryDirectory(prefix="myrnn-bench-")

    def run(iterations: int) -> float:
        with tempfile.TemporaryDirectory(prefix="myrnn-bench-") as folder:
            begin = time.perf_counter()
            done = subprocess.run(
                [command, "train"],
                cwd=folder,
                env=_environment(Path(kept.name)),
                capture_output=True,
                text=True,
                check=False,
            )
            seconds = time.perf_counter() - begin
        if done.returncode:
            raise RuntimeError((done.stderr.strip().splitlines() or ["no output"])[-1])
        return seconds

    run(1)
    return run


def _environment(cache: Path) -> dict[str, str]:
    # Numba's variable, too, so that no earlier compilation helps the very first start.
    return {**os.environ, "MYRNN_CACHE_DIR": str(cache), "NUMBA_CACHE_DIR": str(cache / "numba")}
