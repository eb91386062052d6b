"""Open the page, where there is a screen to open it on."""

from __future__ import annotations

import os
import sys
import webbrowser


def open_page(address: str) -> None:
    """Open an address in the person's browser; without a screen, nothing happens."""
    if has_screen():
        try:
            webbrowser.open(address)
        except webbrowser.Error:
            return


def has_screen() -> bool:
    """Whether a browser with a window can be opened; one in the terminal would hide what the server says there."""
    if sys.platform in ("win32", "darwin"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
