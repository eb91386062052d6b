"""Ctrl-C during training and evaluation: recorded at once, handled between two calls of the engine."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]

# Marks a handler that only raises an exception, like Python's own for Ctrl-C, and one that holds such handlers back.
RAISES, HOLDS = "_raises_for_myrnn", "_holds_for_myrnn"
STOPPING = (signal.SIGINT, signal.SIGTERM)


def raising(handler: Handler) -> Handler:
    """Mark a signal's handler as one that only raises an exception: `held_interrupts` may hold it back."""
    setattr(handler, RAISES, True)
    return handler


@contextmanager
def held_interrupts() -> Iterator[Callable[[], None]]:
    """Hold Ctrl-C back until the yielded function is called, or the block ends.

    Python raises KeyboardInterrupt between any two of its instructions: between a step of the weights and its count, or
    in one of the finalizers with which MyGrad clears its graphs, where it is lost. A second Ctrl-C waits for nothing.
    SIGTERM is held back as well if its handler is a `raising` one. Other handlers are not touched.
    """
    held = _to_hold() if threading.current_thread() is threading.main_thread() else {}
    noted: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if noted:
            held[number](number, frame)
        noted.append(number)

    def obey() -> None:
        if noted:
            number = noted.pop()
            held[number](number, None)

    setattr(note, HOLDS, held)
    before = {number: signal.signal(number, note) for number in held}
    try:
        yield obey
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    obey()


def _to_hold() -> dict[int, Handler]:
    """Return the handlers that may be held back, by their signals."""
    found: dict[int, Handler] = {}
    for number in STOPPING:
        handler = signal.getsignal(number)
        if callable(handler) and (handler is signal.default_int_handler or getattr(handler, RAISES, False)):
            found[number] = handler
        elif number in (held := getattr(handler, HOLDS, {})):
            # A training may run inside another one, for example in a hook: then the inner one ends first.
            found[number] = held[number]
    return found
