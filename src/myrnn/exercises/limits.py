"""Limits for an answer: how long it may run, and how much of what it prints is shown."""

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

# Some twenty times what a check of a usual answer takes.
SECONDS = 20.0
# How often a loop is stopped again that catches whatever is raised in it.
AGAIN = 0.05
LINES, CHARACTERS = 20, 2000
MORE = "... (what else it prints is left out)\n"

# Windows has no alarm: SIGTERM serves there, and a real one takes effect only after the check.
SIGNAL = getattr(signal, "SIGALRM", signal.SIGTERM)


class TookTooLong(BaseException):
    """An answer was stopped. No ``except Exception`` of its own keeps this away."""


def within(seconds: float, work: Callable[[], Result]) -> Result:
    """Return what `work()` returns.

    Only the main thread can be stopped, between two instructions of Python: elsewhere, and where the program makes use
    of the alarm itself, `work` takes as long as it takes.

    Raises
    ------
    TookTooLong
        When it is not done after so many seconds.
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
    """Let the signal through: this process may have been started with it blocked."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_UNBLOCK, {SIGNAL})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _send_after(seconds: float, done: threading.Event, thread: int) -> None:
    """Send the signal to the main thread, again and again, until the work is done."""
    while not done.wait(seconds):
        seconds = AGAIN
        if hasattr(signal, "pthread_kill"):
            # This wakes a thread that sleeps, too.
            signal.pthread_kill(thread, SIGNAL)
        else:
            import _thread

            _thread.interrupt_main(SIGNAL)


@contextlib.contextmanager
def few_lines(lines: int = LINES, characters: int = CHARACTERS) -> Iterator[None]:
    """Let the first lines of what is printed through, and leave out the rest."""
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
