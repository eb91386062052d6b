"""All sessions of a server: bounded in number, each freed when its page has been gone for a while."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from myrnn.errors import InvalidArgument
from myrnn.models import OwnModel
from myrnn.playground._compiling import Compiling
from myrnn.playground._session import Session
from myrnn.playground._turns import Turns

MOST_SESSIONS = 40
# How long a session waits for a page that has lost its connection, in seconds.
PATIENCE = 30.0


class Full(InvalidArgument):
    """There are as many sessions as there may be."""


@dataclass
class _Entry:
    session: Session
    page: str
    connections: int = 0
    left: float = field(default_factory=time.monotonic)


class Sessions:
    """Opens, finds and frees sessions; safe in threads.

    Parameters
    ----------
    own : OwnModel, optional
        The person's own class.
    most : int
        How many sessions there may be at once.
    """

    def __init__(self, own: OwnModel | None = None, most: int = MOST_SESSIONS) -> None:
        self.own, self._most = own, most
        self._turns, self._compiling = Turns(), Compiling()
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._entries)

    def attach(self, name: str | None, page: str, settings: dict[str, Any], tokens: list[int]) -> tuple[str, Session]:
        """Return the session of that name if it waits for this page, or a new one, with its name.

        A page is one document in one tab: a copy of the tab, which knows the same name, gets a session of its own.

        Raises
        ------
        Full
            When there are too many.
        InvalidArgument
            When the settings do not go together.
        """
        self.sweep()
        with self._lock:
            entry = self._entries.get(name or "")
            if entry is not None and (entry.page == page or not entry.connections):
                assert name is not None
                entry.page = page
                entry.connections += 1
                return name, entry.session
            if len(self._entries) >= self._most:
                raise Full(
                    f"{self._most} pages are open already, and more would slow them all down: "
                    "this one starts when another is closed"
                )
            fresh = secrets.token_urlsafe(16)
            session = Session(settings, tokens, turns=self._turns, compiling=self._compiling, own=self.own)
            self._entries[fresh] = _Entry(session, page, 1)
            return fresh, session

    def detach(self, name: str) -> None:
        """Note that the page of a session has gone; it may come back for a while."""
        with self._lock:
            entry = self._entries.get(name)
            if entry is not None:
                entry.connections -= 1
                entry.left = time.monotonic()

    def sweep(self, patience: float = PATIENCE) -> None:
        """Free the sessions whose page has been gone for so many seconds."""
        now = time.monotonic()
        with self._lock:
            gone = [n for n, e in self._entries.items() if not e.connections and now - e.left >= patience]
            closed = [self._entries.pop(name).session for name in gone]
        for session in closed:
            session.close()

    def tell(self, kind: str, **content: Any) -> None:
        """Tell all pages something."""
        with self._lock:
            sessions = [entry.session for entry in self._entries.values()]
        for session in sessions:
            session.outbox.answer(kind, **content)

    def close(self) -> None:
        """Free all sessions."""
        with self._lock:
            sessions = [entry.session for entry in self._entries.values()]
            self._entries.clear()
        for session in sessions:
            session.close()
        self._compiling.close()
        for session in sessions:
            session.join(5.0)
