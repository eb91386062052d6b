"""Threads that run native code side by side: how many are worth it, and how they start and end together."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from myrnn.errors import InvalidArgument

# The most threads for the calling thread's work; 0 means the machine's default.
_limit: ContextVar[int] = ContextVar("limit", default=0)


def in_threads(run: Callable[[int], None], shards: int) -> None:
    """Run shard 0 here and the others in threads; an error in any of them is raised here."""
    if shards == 1:
        run(0)
        return
    # None of them runs if a thread cannot start: the others would wait for it for ever.
    together = threading.Barrier(shards)
    errors: list[BaseException] = []

    def guarded(shard: int) -> None:
        try:
            together.wait()
            run(shard)
        except BaseException as error:
            errors.append(error)
            together.abort()

    threads = [threading.Thread(target=guarded, args=(shard,), daemon=True) for shard in range(1, shards)]
    try:
        for thread in threads:
            thread.start()
    except BaseException:
        together.abort()
        raise
    guarded(0)
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@contextmanager
def limit_threads(count: int) -> Iterator[None]:
    """Let native code of the calling thread use at most `count` threads in the block, despite ``MYRNN_NUM_THREADS``."""
    token = _limit.set(count)
    try:
        yield
    finally:
        _limit.reset(token)


def shards_for(rows: int, work: float, least_work: float) -> int:
    """Return the threads for `rows` that are worth it: `work` until they synchronize, `least_work` for each."""
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
