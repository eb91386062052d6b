"""Show that a model is being compiled, and count the time that compilations take."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from myrnn._notebook import Output, in_kernel, on_terminal

TOLD = "compiling this model; it takes a few seconds, once"

_thread = threading.local()


@contextmanager
def notice() -> Iterator[None]:
    """Show that a model is being compiled: in a terminal with the seconds so far, in a notebook as a line of text.

    Elsewhere a line is printed once, on the error stream.
    """
    begin = time.perf_counter()
    try:
        with _shown():
            yield
    finally:
        _thread.seconds = compiling_seconds() + time.perf_counter() - begin


def compiling_seconds() -> float:
    """Return how many seconds the calling thread has spent on compilations, in all."""
    return getattr(_thread, "seconds", 0.0)


def without_notice() -> None:
    """Say nothing of compilations in the calling thread from now on: nobody waits for one of many runs."""
    _thread.is_silent = True


@contextmanager
def _shown() -> Iterator[None]:
    if in_kernel():
        output = Output(f"<i>{TOLD} …</i>")
        try:
            yield
        finally:
            output.replace("")
    elif getattr(_thread, "is_silent", False):
        yield
    elif on_terminal():
        with _counting():
            yield
    else:
        without_notice()
        print(f"myrnn: {TOLD}", file=sys.stderr, flush=True)
        yield


@contextmanager
def _counting() -> Iterator[None]:
    """Show a line that counts the seconds, and remove it at the end."""
    # Rich is imported where it is used: importing it costs more than all the rest of this package.
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    begin = time.perf_counter()

    def line() -> Text:
        return Text(f"compiling this model, once: {time.perf_counter() - begin:.0f} s", overflow="ellipsis")

    with Live(get_renderable=line, console=Console(stderr=True), refresh_per_second=4, transient=True):
        yield
