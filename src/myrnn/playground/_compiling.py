"""Compiles what the networks of all sessions need: one network after the other, in processes of their own."""

from __future__ import annotations

import logging
import subprocess
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from myrnn.compiler import begin_to_compile, is_known

_log = logging.getLogger("myrnn.playground")


class Compiling:
    """Compiles programs beside everything else; safe in threads.

    A process may fail: whoever needs a program that is not in the cache compiles it there and then.
    """

    def __init__(self) -> None:
        # Of two cores one is left to the trainings.
        self._pool = ThreadPoolExecutor(1, "myrnn-compiling")
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._closed = False

    def start(self, programs: Sequence[str], finished: Callable[[], None]) -> Future[None] | None:
        """Compile those that the cache has not, then call `finished`; None where it has them all."""
        if all(map(is_known, programs)):
            return None
        with self._lock:
            if self._closed:
                return None
            future = self._pool.submit(self._compile, programs)
        future.add_done_callback(lambda _: finished())
        return future

    def close(self) -> None:
        """Compile no more; what is under way is broken off."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                self._process.kill()
        self._pool.shutdown(cancel_futures=True)

    def _compile(self, programs: Sequence[str]) -> None:
        # Another network may have needed the same meanwhile.
        missing = [program for program in programs if not is_known(program)]
        with self._lock:
            if self._closed or not missing:
                return
            self._process = begin_to_compile(missing)
        _, errors = self._process.communicate()
        with self._lock:
            failed, self._process = self._process.returncode, None
        if failed and not self._closed:
            _log.warning("compiling in a process of its own failed: %s", errors.strip())
