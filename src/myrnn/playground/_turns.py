"""One at a time: MyGrad keeps switches that hold for the whole process, so two models cannot run in it side by side."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

# Whoever waits patiently has a turn after so many who are in a hurry.
IN_A_ROW = 4


class Turns:
    """A lock that is given in the order in which it was asked for, to those first who are in a hurry.

    Python's own lock goes to whoever is quickest, as a rule the thread that has just let it go: of thirty trainings one
    would run and the others starve.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Who waits, in order, each with what wakes them.
        self._patient: dict[Hashable, threading.Event] = {}
        self._hurried: dict[Hashable, threading.Event] = {}
        self._taken, self._in_a_row = False, 0

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._patient) + len(self._hurried)

    @contextmanager
    def turn(self, who: Hashable, hurried: bool = False) -> Iterator[None]:
        """Wait for a turn, and hold it; `who` waits for one at a time."""
        mine = threading.Event()
        with self._lock:
            if self._taken:
                (self._hurried if hurried else self._patient)[who] = mine
            else:
                self._taken = True
                mine.set()
        mine.wait()
        try:
            yield
        finally:
            with self._lock:
                # The turn goes straight to the next, so that nobody comes between.
                following = self._next()
                if following is None:
                    self._taken = False
                else:
                    following.set()

    def hurry(self, who: Hashable) -> None:
        """Let whoever waits patiently be in a hurry."""
        with self._lock:
            mine = self._patient.pop(who, None)
            if mine is not None:
                self._hurried[who] = mine

    def _next(self) -> threading.Event | None:
        first = self._hurried and not (self._patient and self._in_a_row >= IN_A_ROW)
        self._in_a_row = self._in_a_row + 1 if first else 0
        queue = self._hurried if first else self._patient
        return queue.pop(next(iter(queue))) if queue else None
