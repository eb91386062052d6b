"""The speed of the machine: NumPy's float32 matrix product, 1024 x 1024."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from benchmarks.jobs import Job

SIZE = 1024
FLOPS = 2.0 * SIZE**3


def product(job: Job) -> Callable[[int], float]:
    """Time products of two square matrices into a third."""
    rng = np.random.default_rng(0)
    left, right = (rng.normal(size=(SIZE, SIZE)).astype(np.float32) for _ in range(2))
    out = np.empty_like(left)

    def run(iterations: int) -> float:
        begin = time.perf_counter()
        for _ in range(iterations):
            np.matmul(left, right, out=out)
        return time.perf_counter() - begin

    run(3)
    return run
