"""Limits for an answer: its running time, and the lines of its output that are shown."""

from __future__ import annotations

import contextlib
import io
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TextIO, TypeVar

Result = TypeVar("Result")

# Some twenty times the duration of a check of a usual answer.
SECONDS = 20.0
# How often a loop that catches all exceptions is stopped again.
AGAIN = 0.05
LINES, CHARACTERS = 20, 2000
MORE = "... (the rest of the output is left out)\n"

# Windows has no alarm: SIGTERM is used there, and a real one takes effect only after the check.
SIGNAL = getattr(signal, "SIGALRM", signal.SIGTERM)


class TookTooLong(BaseException):
    """An answer was stopped. It is not an Exception, so that ``except Exception`` does not catch it."""


def within(seconds: float, work: Callable[[], Result]) -> Result:
    """Return what `work()` returns.

    Only the main thread can be stopped, between two Python instructions. In other threads, and if the program uses the
    alarm itself, `work` is not limited.

    Raises
    ------
    TookTooLong
        When it is not done after this many seconds.
    """
    before = signal.getsignal(SIGNAL)
    if threading.current_thread() is not threading.main_thread() or before not in (signal.SIG_DFL, signal.SIG_IGN):
        return work()

    def guarded() -> Result:
        return work()

    def stop(_: int, frame: FrameType | None) -> None:
        # Only while the work runs: the signal may also come just after it.
        while frame is not None and frame.f_code is not guarded.__code__:
            frame = frame.f_back
        if frame is not None:
            raise TookTooLong(f"it was still running after {seconds:g} s")

    done = threading.Event()
    watch = threading.Thread(target=_send_after, args=(seconds, done, threading.get_ident()), daemon=True)
    signal.signal(SIGNAL, stop)
    watch.start()
    with _heard():
        try:
            return guarded()
        finally:
            done.set()
            watch.join()
            signal.signal(SIGNAL, before)


@contextlib.contextmanager
def _heard() -> Iterator[None]:
    """Unblock the signal: this process may have been started with it blocked."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_UNBLOCK, {SIGNAL})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _send_after(seconds: float, done: threading.Event, thread: int) -> None:
    """Send the signal to the main thread repeatedly until the work is done."""
    while not done.wait(seconds):
        seconds = AGAIN
        if hasattr(signal, "pthread_kill"):
            # This wakes a sleeping thread, too.
            signal.pthread_kill(thread, SIGNAL)
        else:
            import _thread

            _thread.interrupt_main(SIGNAL)


@contextlib.contextmanager
def few_lines(lines: int = LINES, characters: int = CHARACTERS) -> Iterator[None]:
    """Pass the first lines of the output through, and drop the rest."""
    with contextlib.redirect_stdout(_FewLines(sys.stdout, lines, characters)):
        yield


class _FewLines(io.TextIOBase):
    def __init__(self, stream: TextIO, lines: int, characters: int) -> None:
        self._stream, self._lines, self._characters = stream, lines, characters
        self._is_full = False

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not self._is_full:
            kept = "".join(text.splitlines(keepends=True)[: self._lines])[: self._characters]
            self._lines, self._characters = self._lines - kept.count("\n"), self._characters - len(kept)
            self._is_full = len(kept) < len(text)
            self._stream.write(kept + (MORE if self._is_full else ""))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()
