"""Over how many threads work is spread, and running it there."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from myrnn.errors import InvalidArgument

# The most threads that the calling thread's work may take; 0 leaves it to the machine.
_limit: ContextVar[int] = ContextVar("limit", default=0)


def in_threads(run: Any, shards: int) -> None:
    """Run shard 0 here and the others in threads of their own; an error in any of them comes out."""
    errors: list[BaseException] = []

    def guarded(shard: int) -> None:
        try:
            run(shard)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(shard,), daemon=True) for shard in range(1, shards)]
    for thread in threads:
        thread.start()
    guarded(0)
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@contextmanager
def limit_threads(count: int) -> Iterator[None]:
    """Let native code take at most `count` threads while the block runs, whatever ``MYRNN_NUM_THREADS`` says.

    It holds for the calling thread alone: another one may train with more at the same time.
    """
    token = _limit.set(count)
    try:
        yield
    finally:
        _limit.reset(token)


def shards_for(rows: int, work: float, least_work: float) -> int:
    """Return over how many threads it pays to spread a batch, or any work that is done side by side.

    Parameters
    ----------
    rows : int
        How many rows there are to spread.
    work : float
        How many multiplications all of them take, until the threads meet again.
    least_work : float
        How many of them are worth a thread.

    Raises
    ------
    InvalidArgument
        When ``MYRNN_NUM_THREADS`` is no number of threads.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = _limit.get() or _environment_limit() or cores
    worthwhile = int(work // least_work)
    return max(1, min(cores, limit, rows // 4, worthwhile))


def _environment_limit() -> int | None:
    given = os.environ.get("MYRNN_NUM_THREADS")
    if not given:
        return None
    if not given.strip().isdecimal() or not int(given):
        raise InvalidArgument(f"MYRNN_NUM_THREADS must be an integer of 1 or more, not {given!r}")
    return int(given)
