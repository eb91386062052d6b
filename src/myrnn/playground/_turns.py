"""One at a time: MyGrad keeps switches that hold for the whole process, so two models cannot run in it side by side."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """A lock that is given in the order in which it was asked for.

    Python's own lock goes to whoever is quickest, as a rule the thread that has just let it go: of thirty trainings one
    would run and the others starve.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._taken = False

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn, and hold it."""
        mine = threading.Event()
        with self._lock:
            if self._taken:
                self._waiting.append(mine)
            else:
                self._taken = True
                mine.set()
        mine.wait()
        try:
            yield
        finally:
            with self._lock:
                # The turn goes straight to the next, so that nobody comes between.
                if self._waiting:
                    self._waiting.popleft().set()
                else:
                    self._taken = False
