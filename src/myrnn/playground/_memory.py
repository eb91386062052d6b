"""Give memory back that nobody uses any more."""

from __future__ import annotations

import contextlib
import ctypes


def give_back() -> None:
    """Let the C library return free memory to the system; where it is another than glibc, it does so by itself.

    What the networks of a session took lies in pieces between what others still use, and glibc keeps such pieces.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
