"""Signals: Ctrl-C and SIGTERM, obeyed at once, held back or while a command is importing, and a limit of time.

Only the main thread can set handlers, and the handlers of a program are kept.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

Result = TypeVar("Result")

# Windows has no alarm: SIGTERM is used there, and a real one takes effect only after the limited work.
ALARM = getattr(signal, "SIGALRM", signal.SIGTERM)
# How often a loop that catches all exceptions is stopped again, in seconds.
AGAIN = 0.05


class Terminated(KeyboardInterrupt):
    """The process received SIGTERM: like Ctrl-C, but with another exit code."""


class TookTooLong(BaseException):
    """Work was stopped. It is not an Exception, so that ``except Exception`` does not catch it."""


# What is raised for a signal, and the handler that is replaced for that.
STOPPING: dict[int, tuple[type[KeyboardInterrupt], Any]] = {
    signal.SIGINT: (KeyboardInterrupt, signal.default_int_handler),
    signal.SIGTERM: (Terminated, signal.SIG_DFL),
}


def handlers(*numbers: int) -> dict[int, Any]:
    """Return the handlers of signals; none in other threads, which cannot replace them."""
    is_main = threading.current_thread() is threading.main_thread()
    return {number: signal.getsignal(number) for number in numbers} if is_main else {}


@contextmanager
def handled_by(chosen: Mapping[int, Any]) -> Iterator[None]:
    """Use other handlers of signals in the block."""
    before = {number: signal.signal(number, handler) for number, handler in chosen.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# While importing -----------------------------------------------------------------------------------------------------


def _stop_importing(*_: Any) -> None:
    # An import could turn an exception into an ImportError or a traceback.
    with suppress(OSError):
        os.write(2, b"myrnn: interrupted: nothing was changed\n")
    os._exit(130)


def end_imports() -> None:
    """Let Ctrl-C end the process while it imports, if it is the command ``myrnn``: a script or ``python -m myrnn``."""
    # With -m, Python has not found the module yet, so its path is not in sys.argv.
    as_module = sys.argv[:1] == ["-m"] and ("-m", "myrnn") in zip(sys.orig_argv, sys.orig_argv[1:], strict=False)
    is_command = as_module or Path(*sys.argv[:1]).stem == "myrnn"
    if is_command and handlers(signal.SIGINT).get(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop_importing)


def imports_are_done() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is _stop_importing:
        signal.signal(signal.SIGINT, signal.default_int_handler)


# Ctrl-C and SIGTERM --------------------------------------------------------------------------------------------------


class Stops:
    """A handler that raises KeyboardInterrupt or `Terminated`; while it is held, it raises only the second of two."""

    def __init__(self) -> None:
        # Remembered, because it may be caught to end well.
        self.last: KeyboardInterrupt | None = None
        self.is_held = False
        self.waiting: KeyboardInterrupt | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Raise the exception of a signal, or let it wait."""
        self.last = STOPPING[number][0]()
        if not self.is_held or self.waiting is not None:
            self.waiting = None
            raise self.last
        self.waiting = self.last

    def release(self) -> None:
        """Raise the exception that waits, if there is one."""
        waiting, self.waiting = self.waiting, None
        if waiting is not None:
            raise waiting

    def obey(self, what: str) -> None:
        """Raise the last exception, if there is one, with the message `what`."""
        if self.last is not None:
            raise stopped(self.last, what)


def stopped(stop: KeyboardInterrupt, what: str) -> KeyboardInterrupt:
    """Return the exception of a signal with a message."""
    return type(stop)(f"{'terminated' if isinstance(stop, Terminated) else 'interrupted'}: {what}")


@contextmanager
def noted_stops(*numbers: int) -> Iterator[Stops]:
    """Let `Stops` handle Ctrl-C and SIGTERM, or some of the two."""
    found = handlers(*(numbers or STOPPING))
    stops = next((handler for handler in found.values() if isinstance(handler, Stops)), Stops())
    usual = [number for number, handler in found.items() if handler is STOPPING[number][1]]
    with handled_by(dict.fromkeys(usual, stops)):
        yield stops


@contextmanager
def held_interrupts() -> Iterator[Callable[[], None]]:
    """Hold Ctrl-C back until the yielded function is called, or the block ends; in a command also SIGTERM."""
    # Python raises KeyboardInterrupt between any two of its instructions: between a step of the weights and its count,
    # or in one of the finalizers with which MyGrad clears its graphs, where it is lost.
    with noted_stops(signal.SIGINT) as stops:
        # A training may run inside another one, for example in a hook: then the inner one ends first.
        before, stops.is_held, stops.waiting = (stops.is_held, stops.waiting), True, None
        try:
            yield stops.release
        finally:
            waiting = stops.waiting
            stops.is_held, stops.waiting = before
        if waiting is not None:
            raise waiting


# A limit of time -----------------------------------------------------------------------------------------------------


def within(seconds: float, work: Callable[[], Result]) -> Result:
    """Return `work()`; TookTooLong if it takes longer, in the main thread, unless the program uses the alarm itself."""
    if handlers(ALARM).get(ALARM) not in (signal.SIG_DFL, signal.SIG_IGN):
        return work()

    def guarded() -> Result:
        return work()

    def stop(_: int, frame: FrameType | None) -> None:
        # Only while the work runs: the signal may also come just after it.
        while frame is not None and frame.f_code is not guarded.__code__:
            frame = frame.f_back
        if frame is not None:
            raise TookTooLong(f"it was still running after {seconds:g} s")

    def watch() -> None:
        if not done.wait(seconds):
            _thread.interrupt_main(ALARM)
        while not done.wait(AGAIN):
            _thread.interrupt_main(ALARM)

    done, watching = threading.Event(), threading.Thread(target=watch, daemon=True)
    with handled_by({ALARM: stop}):
        watching.start()
        try:
            return guarded()
        finally:
            done.set()
            watching.join()
