"""Threads that meet in compiled code."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numba import njit

from myrnn.compiler.runtime.threads import BARRIER_SIZE, meet


@njit(nogil=True)
def pass_on(barrier, parties, me, cells, rounds):
    """Every round, take what the next thread wrote the round before; without meeting, rounds would mix."""
    for _ in range(rounds):
        seen = cells[(me + 1) % parties]
        meet(barrier, parties)
        cells[me] = seen + 1
        meet(barrier, parties)


@pytest.mark.parametrize("parties", [1, 2, 3])
def test_no_thread_runs_ahead(parties):
    barrier, cells = np.zeros(BARRIER_SIZE, dtype=np.int64), np.zeros(parties, dtype=np.int64)
    rounds = 2000
    with ThreadPoolExecutor(parties) as pool:
        waiting = [pool.submit(pass_on, barrier, parties, me, cells, rounds) for me in range(parties)]
        for future in waiting:
            future.result()
    np.testing.assert_array_equal(cells, rounds)


def test_a_barrier_serves_again():
    barrier, cells = np.zeros(BARRIER_SIZE, dtype=np.int64), np.zeros(2, dtype=np.int64)
    for _ in range(3):
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda me: pass_on(barrier, 2, me, cells, 10), range(2)))
    np.testing.assert_array_equal(cells, 30)
