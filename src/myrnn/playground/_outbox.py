"""What a session has to tell its page, until the page takes it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

# Answers that nobody takes are lost, the oldest first.
MOST_ANSWERS = 50


class Outbox:
    """Messages to the page in their order: of what changes all the time only the latest, and every answer.

    Safe in threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # What takes the place of another under its kind, answers under their numbers.
        self._messages: dict[str | int, dict[str, Any]] = {}
        self._answers = 0
        self._wake: Callable[[], None] | None = None

    def attach(self, wake: Callable[[], None]) -> None:
        """Call `wake`, and nobody else, whenever there is something to take, from now on."""
        with self._lock:
            self._wake = wake
        wake()

    def detach(self, wake: Callable[[], None]) -> None:
        """Call `wake` no longer."""
        with self._lock:
            if self._wake is wake:
                self._wake = None

    def is_attached(self, wake: Callable[[], None]) -> bool:
        """Whether it is `wake` that is called."""
        return self._wake is wake

    def show(self, kind: str, **content: Any) -> None:
        """Leave what takes the place of an earlier message of its kind."""
        with self._lock:
            self._messages[kind] = {"type": kind, **content}
        self._tell()

    def answer(self, kind: str, **content: Any) -> None:
        """Leave an answer."""
        with self._lock:
            self._answers += 1
            self._messages[self._answers] = {"type": kind, **content}
            # Numbers are given in order: so many before it, none is left.
            self._messages.pop(self._answers - MOST_ANSWERS, None)
        self._tell()

    def begin(self, kind: str, **content: Any) -> None:
        """Leave an answer with which something new begins: what was shown before counts no longer."""
        with self._lock:
            self._messages = {key: told for key, told in self._messages.items() if isinstance(key, int)}
        self.answer(kind, **content)

    def pending(self, kind: str) -> dict[str, Any] | None:
        """Return the latest message of a kind if it was not taken yet."""
        with self._lock:
            return self._messages.get(kind)

    def take(self) -> list[dict[str, Any]]:
        """Return all messages and forget them."""
        with self._lock:
            taken, self._messages = list(self._messages.values()), {}
        return taken

    def _tell(self) -> None:
        wake = self._wake
        if wake is not None:
            wake()
