"""Ctrl-C while a model is trained: noted at once, obeyed between two calls of the engine."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

NOTED_BY = "_noted_by_myrnn"


@contextmanager
def held_interrupts() -> Iterator[Callable[[], None]]:
    """Hold Ctrl-C back until the function that this gives is called, or the block ends.

    Python raises KeyboardInterrupt between any two of its instructions: between a step of the weights and the count of
    it, or in one of the finalizers with which MyGrad clears its graphs, where it is lost. A second Ctrl-C waits for
    nothing. A handler that somebody else has set stays.
    """
    noted = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal noted
        if noted:
            signal.default_int_handler(number, frame)
        noted = True

    def obey() -> None:
        nonlocal noted
        if noted:
            noted = False
            raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    # A training may be part of another one, such as in a hook: then the inner one is to end first.
    ours = before is signal.default_int_handler or getattr(before, NOTED_BY, False)
    if threading.current_thread() is not threading.main_thread() or not ours:
        yield obey
        return
    setattr(note, NOTED_BY, True)
    signal.signal(signal.SIGINT, note)
    try:
        yield obey
    finally:
        signal.signal(signal.SIGINT, before)
    obey()
