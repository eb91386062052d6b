"""The process that runs one unit: ``python -m benchmarks.worker``, which reads requests as lines of JSON."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

from benchmarks.environment import Meter, bind
from benchmarks.units import Unit

Run = Callable[[int], float]

# Optional peers, and the line of the table if one is missing.
OPTIONAL = {
    "torch": "PyTorch is not installed",
    "jax": "JAX is not installed",
    "keras": "Keras is not installed",
    "sktime": "sktime, which has the data, is not installed",
}


class Bench:
    """One unit, which is prepared and then run."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        if unit.threads is not None:
            bind(unit.threads)
        self._peer = importlib.import_module(f"benchmarks.peers.{unit.peer}")
        self._run: Run | None = None

    def prepare(self, budget: float) -> dict[str, Any]:
        begin = time.perf_counter()
        self._run = getattr(self._peer, self._unit.function)(self._unit.job, **self._unit.options)
        setup = time.perf_counter() - begin
        return {"setup": setup, "iterations": calibrate(self._run, self._unit, budget)}

    def losses(self, iterations: int) -> dict[str, Any]:
        return {"losses": self._peer.losses(self._unit.job, iterations, **self._unit.options)}

    def run(self, iterations: int) -> dict[str, Any]:
        assert self._run is not None
        meter = Meter()
        return {"seconds": self._run(iterations), "cores": meter.cores()}


def calibrate(run: Run, unit: Unit, budget: float) -> int:
    """Return how many iterations take about `budget` seconds, at most the maximum of the unit."""
    if unit.whole:
        return unit.iterations
    count = unit.chunk
    while (seconds := run(count)) < budget / 4 and count < unit.iterations:
        count = min(2 * count, unit.iterations)
    wanted = int(count * budget / seconds) // unit.chunk * unit.chunk
    return max(unit.chunk, min(wanted, unit.iterations))


def explain(error: BaseException) -> str:
    """Return the line that the table shows instead of a time."""
    if isinstance(error, ModuleNotFoundError) and error.name in OPTIONAL:
        return OPTIONAL[error.name]
    if type(error).__name__ == "PeerMissing":
        return str(error)
    first = (str(error).strip().splitlines() or [""])[0]
    return f"fails: {type(error).__name__}: {first}"


def serve(requests: TextIO, answers: TextIO) -> None:
    """Answer requests until there are no more: first a unit, then calls of `Bench`, each one line of JSON."""
    bench: Bench | None = None
    for line in requests:
        request = json.loads(line)
        try:
            if bench is None:
                bench, answer = Bench(Unit.from_dict(request["unit"])), {}
            else:
                answer = getattr(bench, request["call"])(*request["arguments"])
        except Exception as error:
            answer = {"problem": explain(error)}
        print(json.dumps(answer), file=answers, flush=True)


def main() -> None:
    # The output of a library must not be mixed with the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
