"""What a session has to tell its page, until the page takes it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

# Answers that nobody takes are lost, the oldest first.
MOST_ANSWERS = 50


class Outbox:
    """Messages to the page: of what changes all the time only the latest, and every answer.

    Safe in threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: dict[str, dict[str, Any]] = {}
        self._answers: deque[dict[str, Any]] = deque(maxlen=MOST_ANSWERS)
        self._wake: Callable[[], None] | None = None

    def attach(self, wake: Callable[[], None] | None) -> None:
        """Call `wake` whenever there is something to take, from now on."""
        with self._lock:
            self._wake = wake
        self._tell()

    def show(self, kind: str, **content: Any) -> None:
        """Leave what takes the place of an earlier message of its kind."""
        with self._lock:
            self._latest[kind] = {"type": kind, **content}
        self._tell()

    def answer(self, kind: str, **content: Any) -> None:
        """Leave an answer."""
        with self._lock:
            self._answers.append({"type": kind, **content})
        self._tell()

    def pending(self, kind: str) -> dict[str, Any] | None:
        """Return the latest message of a kind if it was not taken yet."""
        with self._lock:
            return self._latest.get(kind)

    def take(self) -> list[dict[str, Any]]:
        """Return all messages and forget them."""
        with self._lock:
            taken = [*self._latest.values(), *self._answers]
            self._latest, self._answers = {}, deque(maxlen=MOST_ANSWERS)
        return taken

    def _tell(self) -> None:
        wake = self._wake
        if wake is not None:
            wake()
