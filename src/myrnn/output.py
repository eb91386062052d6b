"""Whether output goes to a notebook or a terminal, and messages that are shown only for a while."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache


def in_kernel() -> bool:
    """Return whether this process is the kernel of a notebook (Jupyter, VS Code, Colab)."""
    # A kernel has imported IPython already, so other processes do not pay for the import.
    if "IPython" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


def on_terminal() -> bool:
    """Return whether the error output is a terminal that can overwrite its last line."""
    return sys.stderr.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


class Output:
    """One output below the running cell, replaced in place through IPython's display handle; needs no widgets.

    Parameters
    ----------
    html : str
    """

    def __init__(self, html: str) -> None:
        from IPython.display import HTML, display

        self._html = HTML
        self._handle = display(HTML(html), display_id=True)

    def replace(self, html: str) -> None:
        """Replace the output."""
        self._handle.update(self._html(html))


@contextmanager
def passing_line(text: str) -> Iterator[None]:
    """Show a line while the block runs: in a terminal with the seconds, elsewhere printed once."""
    if in_kernel():
        output = Output(f"<i>{text} …</i>")
        try:
            yield
        finally:
            output.replace("")
    elif on_terminal():
        # Rich is imported here because it takes longer to import than the rest of this package.
        from rich.console import Console
        from rich.progress import Progress, TextColumn, TimeElapsedColumn

        columns = TextColumn("{task.description}"), TimeElapsedColumn()
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            progress.add_task(text, total=None)
            yield
    else:
        print_once(text)
        yield


@cache
def print_once(text: str) -> None:
    """Print a line to the error stream, but only the first time."""
    print(f"myrnn: {text}", file=sys.stderr, flush=True)
