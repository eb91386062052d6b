"""A word to whoever waits for a compilation."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from myrnn._notebook import Output, in_kernel

TOLD = "compiling this model; it takes a few seconds, once"

_noticed = threading.local()


@contextmanager
def notice() -> Iterator[None]:
    """Say that a compilation takes a moment: in a notebook as long as it does, elsewhere once, on the error stream."""
    if in_kernel():
        output = Output(f"<i>{TOLD} …</i>")
        try:
            yield
        finally:
            output.replace("")
        return
    if not getattr(_noticed, "done", False):
        _noticed.done = True
        print(f"myrnn: {TOLD}", file=sys.stderr, flush=True)
    yield


def without_notice() -> None:
    """Say nothing of compilations in the calling thread from now on: nobody waits for one of many runs."""
    _noticed.done = True
