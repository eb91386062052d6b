"""Exit codes, and the exception that is one."""

from __future__ import annotations

FAILED, INTERRUPTED, TERMINATED = 2, 130, 143


class Terminated(KeyboardInterrupt):
    """The process was told to end with SIGTERM: what Ctrl-C is, but for the exit code."""
