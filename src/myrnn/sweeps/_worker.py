"""What a worker process of this machine does beside its runs: it lives no longer than the sweep."""

from __future__ import annotations

import os
import signal
import threading
import time

# Seconds between two looks.
EVERY = 1.0


def live_with(parent: int) -> None:
    """Leave Ctrl-C to the parent process, and end with it, also where it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: int) -> None:
    # loky's workers wait for work whether there is still somebody to give it or not. Where the system names the parent
    # for ever, as Windows does, they end when they have been idle for five minutes.
    while os.getppid() == parent:
        time.sleep(EVERY)
    os._exit(1)
