"""Threads that meet in compiled code."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from myrnn.compiler.cache import runtime
from myrnn.compiler.runtime.functions import Integers, MachineCode, call, machine_code, signature_of, symbol
from myrnn.compiler.runtime.threads import BARRIER_SIZE, meet


def pass_on(barrier: Integers, parties: int, me: int, cells: Integers, rounds: int) -> None:
    """Every round, take what the next thread wrote the round before; without meeting, rounds would mix."""
    for _ in range(rounds):
        seen = cells[(me + 1) % parties]
        meet(barrier, parties)
        cells[me] = seen + 1
        meet(barrier, parties)


@pytest.fixture(scope="module")
def run():
    """Run the function above as machine code."""
    runtime()
    code = MachineCode(machine_code([pass_on]))
    return lambda *arguments: call(code.address(symbol(pass_on)), signature_of(pass_on), arguments)


@pytest.mark.parametrize("parties", [1, 2, 3])
def test_no_thread_runs_ahead(parties, run):
    barrier, cells = np.zeros(BARRIER_SIZE, dtype=np.int64), np.zeros(parties, dtype=np.int64)
    rounds = 2000
    with ThreadPoolExecutor(parties) as pool:
        waiting = [pool.submit(run, barrier, parties, me, cells, rounds) for me in range(parties)]
        for future in waiting:
            future.result()
    np.testing.assert_array_equal(cells, rounds)


def test_a_barrier_serves_again(run):
    barrier, cells = np.zeros(BARRIER_SIZE, dtype=np.int64), np.zeros(2, dtype=np.int64)
    for _ in range(3):
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda me: run(barrier, 2, me, cells, 10), range(2)))
    np.testing.assert_array_equal(cells, 30)
