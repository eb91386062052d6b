"""Let a process be forked while its threads compile and train: the child has their locks, but none of these threads."""

from __future__ import annotations

import os
import threading

from numba.core.compiler_lock import global_compiler_lock

from myrnn.compiler._cache import MODULES
from myrnn.compiler._native import natives
from myrnn.compiler.trace import MYGRAD

# While one of these is held, weights, files or MyGrad's own state are half changed, and the child would keep them so: a
# fork waits for all of them, in the order in which a compilation takes them.
_WAITED_FOR = (MYGRAD, MODULES, global_compiler_lock)


def _hold() -> None:
    for lock in _WAITED_FOR:
        lock.acquire()


def _release() -> None:
    for lock in reversed(_WAITED_FOR):
        lock.release()


def _begin_anew() -> None:
    _release()
    for native in natives:
        # Its run goes on in the parent only. The next one here writes the workspaces anew.
        native.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold, after_in_parent=_release, after_in_child=_begin_anew)
