"""The environment of a process that is measured: its threads, its cores, and how many of them it really used.

Nothing here loads a numerical library: libraries read these variables when they are loaded.
"""

from __future__ import annotations

import os
import sys
import time

from benchmarks import machine
from benchmarks.peers import PeerMissing

# Read by MyRNN, OpenMP (PyTorch), OpenBLAS, MKL and Accelerate (NumPy), Numba, XLA (JAX) and TensorFlow.
THREAD_VARIABLES = (
    "MYRNN_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NPROC",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
# A process that keeps more cores than this busy for each of its threads has further threads. The clocks are not exact.
MOST = 1.1


def environment(threads: int | None) -> dict[str, str]:
    """Return the variables of a process whose libraries use this many threads; None is their default."""
    variables = {name: value for name, value in os.environ.items() if name not in (*THREAD_VARIABLES, *machine.CLEARED)}
    # Waiting threads yield soon. On an idle machine this makes no difference (measured with PyTorch); on a
    # busy one the default makes a step of PyTorch on two threads take up to a hundred times as long.
    variables.setdefault("GOMP_SPINCOUNT", "10000")
    if threads is not None:
        variables |= dict.fromkeys(THREAD_VARIABLES, str(threads))
    return variables


def bind(threads: int) -> None:
    """Bind this process, and those that it starts, to as many cores as it has threads.

    JAX starts a thread for each core that it may use, and some of its versions respect nothing else.
    """
    if threads > machine.cores():
        raise PeerMissing(f"needs {threads} cores, but may only use {machine.cores()}")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])


def enter(threads: int | None = None) -> None:
    """Start this program again in the environment of a process with this many threads, unless it has that already."""
    if threads is not None:
        bind(threads)
    if (wanted := environment(threads)) != dict(os.environ):
        sys.stdout.flush()
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], wanted)


class Meter:
    """Measures how busy this process is, with all its threads and its finished child processes, from now on."""

    def __init__(self) -> None:
        self._begin, self._used = time.perf_counter(), _used()

    def processor_seconds(self) -> float:
        """Return the time that it kept cores busy."""
        return _used() - self._used

    def cores(self) -> float:
        """Return how many cores it kept busy on average."""
        return self.processor_seconds() / (time.perf_counter() - self._begin)


def refusal(cores: float, threads: int | None) -> str:
    """Return why a time is invalid that was measured with so many busy cores, or an empty string."""
    if threads is None or cores <= MOST * threads:
        return ""
    return f"invalid: it kept {cores:.2f} cores busy with {threads} thread{'s' * (threads > 1)}"


def _used() -> float:
    return time.process_time() + sum(os.times()[2:4])
