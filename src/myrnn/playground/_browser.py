"""Open the page, where there is a screen to open it on."""

from __future__ import annotations

import contextlib
import html
import os
import sys
import tempfile
import webbrowser
from pathlib import Path

_LEADS_ON = """<!doctype html>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url={address}">
<a href="{address}">The playground</a>
"""


def open_page(address: str, folder: Path) -> None:
    """Open an address in the person's browser; without a screen, nothing happens.

    The browser is given a file in `folder` that leads on to the address: the token in it would stand in the list of
    processes, which all accounts of a machine can see.
    """
    if has_screen():
        path = folder / "playground.html"
        path.write_text(_LEADS_ON.format(address=html.escape(address)), encoding="utf-8")
        with contextlib.suppress(webbrowser.Error):
            webbrowser.open(path.as_uri())


def private_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that no other account can read, which goes when it is left."""
    return tempfile.TemporaryDirectory(prefix="myrnn-", ignore_cleanup_errors=True)


def has_screen() -> bool:
    """Whether a browser with a window can be opened; one in the terminal would hide what the server says there."""
    if sys.platform in ("win32", "darwin"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
