"""Whether output goes to a notebook or a terminal, and a notebook's output that is replaced in place."""

from __future__ import annotations

import os
import sys


def in_kernel() -> bool:
    """Tell whether this process is the kernel of a notebook (Jupyter, VS Code, Colab)."""
    # Whoever runs in a kernel has IPython loaded already, so nobody else pays for its import.
    if "IPython" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


def on_terminal() -> bool:
    """Tell whether the error output is a terminal that can go back in a line."""
    return sys.stderr.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


class Output:
    """One output under the cell that runs, replaced in place through IPython's display handle; needs no widgets.

    Parameters
    ----------
    html : str
    """

    def __init__(self, html: str) -> None:
        from IPython.display import HTML, display

        self._html = HTML
        self._handle = display(HTML(html), display_id=True)

    def replace(self, html: str) -> None:
        """Show something else in its place."""
        self._handle.update(self._html(html))
