"""Which parts of the page are due for another look at the network, so that looking costs little of the training."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

# Of each view: the share of the time that it may take while the network trains as fast as it can, and the shortest time
# between two looks, in seconds.
_SHARES = {"row": 0.008, "accuracy": 0.006, "gradient": 0.003, "eigenvalues": 0.002, "mistakes": 0.001}
_PAUSES = {"row": 0.05, "accuracy": 0.25, "gradient": 0.5, "eigenvalues": 0.1, "mistakes": 1.0}
# While the network waits most of the time, looking takes time that nobody needs.
_IDLE = 20.0
# Whatever a look costs, the next is due after so many seconds: what is older than that misleads.
LONGEST_PAUSE = 1.0


@dataclass
class _View:
    shown: Hashable = None
    due: float = 0.0


class Views:
    """Decides which view is looked at next.

    Parameters
    ----------
    clock : callable
        Returns the time in seconds.

    Attributes
    ----------
    watched : frozenset of str
        The views that are on the screen.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._views = {name: _View() for name in _SHARES}
        self.watched: frozenset[str] = frozenset()

    def forget(self, name: str | None = None) -> None:
        """Let a view (by default each) be looked at as soon as possible, whether anything has changed or not."""
        for view in self._views.values() if name is None else [self._views[name]]:
            view.shown, view.due = None, 0.0

    def next(self, state: Callable[[str], Hashable], at_rest: bool) -> str | None:
        """Return the first view that has changed and is due, at rest at once; `state` says what a view would show."""
        now = self._clock()
        for name, view in self._views.items():
            if name in self.watched and (at_rest or view.due <= now) and view.shown != state(name):
                return name
        return None

    def looked(self, name: str, shown: Hashable, cost: float, busy: bool) -> None:
        """Note that a view shows `shown` now, and how many seconds that took; `busy` is training at full speed."""
        share = _SHARES[name] * (1.0 if busy else _IDLE)
        view = self._views[name]
        # The first look also loads what all of them need.
        pause = 0.0 if view.shown is None else min(LONGEST_PAUSE, cost / share)
        view.shown, view.due = shown, self._clock() + max(_PAUSES[name], pause)
