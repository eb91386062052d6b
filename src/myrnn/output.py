"""Whether output goes to a notebook or a terminal; and notices, which never fail, whatever their reader does.

A full disk, a closed terminal or a missing error stream (as in a daemon) stops no work: what cannot be shown is lost.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def in_kernel() -> bool:
    """Return whether this process is the kernel of a notebook (Jupyter, VS Code, Colab)."""
    # A kernel has imported IPython already, so other processes do not pay for the import.
    if "IPython" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


def on_terminal() -> bool:
    """Return whether the error output is a terminal that can overwrite its last line."""
    # There may be no error stream, or a closed one.
    with suppress(AttributeError, ValueError):
        return sys.stderr.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")
    return False


def notify(line: str) -> None:
    """Print a line to the error stream."""
    print(line, file=_error_stream(), flush=True)


def notice_console() -> Console:
    """Return a Rich console on the error stream."""
    # Rich is imported here because it takes longer to import than the rest of this package.
    from rich.console import Console

    return Console(file=_error_stream())


def _error_stream() -> Any:
    return _Notices(sys.stderr)


class _Notices:
    """A text stream that drops what its own stream cannot take. That stream may be None."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(Exception):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(Exception):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Output:
    """One output below the running cell, replaced in place through IPython's display handle; needs no widgets."""

    def __init__(self, html: str) -> None:
        from IPython.display import HTML, display

        self._html = HTML
        self._handle: Any = None
        with suppress(Exception):
            self._handle = display(HTML(html), display_id=True)

    def replace(self, html: str) -> None:
        """Replace the output."""
        with suppress(Exception):
            self._handle.update(self._html(html))


shown_lines: set[str] = set()
"""The texts that `passing_line` has shown."""


@contextmanager
def passing_line(text: str) -> Iterator[None]:
    """Show a line while the block runs, once in a process: in a terminal with the seconds, elsewhere printed."""
    if text in shown_lines:
        yield
        return
    shown_lines.add(text)
    if in_kernel():
        output = Output(f"<i>{text} …</i>")
        try:
            yield
        finally:
            output.replace("")
    elif on_terminal():
        from rich.progress import Progress, TextColumn, TimeElapsedColumn

        columns = TextColumn("{task.description}"), TimeElapsedColumn()
        with Progress(*columns, console=notice_console(), transient=True) as progress:
            progress.add_task(text, total=None)
            yield
    else:
        notify(f"myrnn: {text}")
        yield
