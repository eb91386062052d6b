"""Where a live picture is shown: under a notebook's cell, in a window, or nowhere.

matplotlib and IPython are loaded only here and when needed: importing them is most of our start-up time.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from myrnn._notebook import in_kernel
from myrnn.plots import _style
from myrnn.plots._layers import LayeredPicture

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure


class Screen(Protocol):
    """A place that shows one figure and its changes."""

    live: bool

    def new_figure(self, size: tuple[float, float]) -> Figure:
        """Return an empty figure of `size` inches for this screen."""

    def stands(self, figure: Figure, moving: Sequence[Artist]) -> bool:
        """Tell whether all but what moves is drawn already, so that an update is cheap."""

    def update(self, figure: Figure, moving: Sequence[Artist] = ()) -> None:
        """Show the figure as it is now, in the place where it was shown first; `moving` are the parts that change."""

    def show(self, figure: Figure, moving: Sequence[Artist] = ()) -> None:
        """Show the figure to somebody who asks for it."""


class NoScreen:
    """A machine or process where nobody looks."""

    live = False

    def new_figure(self, size: tuple[float, float]) -> Figure:
        """Return a figure that pyplot does not keep."""
        return _plain_figure(size)

    def stands(self, figure: Figure, moving: Sequence[Artist]) -> bool:
        """Say yes: there is nothing to draw."""
        return True

    def update(self, figure: Figure, moving: Sequence[Artist] = ()) -> None:
        """Do nothing."""

    def show(self, figure: Figure, moving: Sequence[Artist] = ()) -> None:
        """Do nothing."""


class NotebookScreen:
    """The output of a cell, in any front end that shows PNG: one output, replaced in place.

    The picture goes out as PNG, not as a Figure object: it needs no ``%matplotlib`` line, no extension, and no second
    rendering to cut the margins. The figure is not pyplot's, so that it is not shown again at the end of the cell.
    """

    live = True

    def __init__(self) -> None:
        self._handle: Any = None
        self._picture: LayeredPicture | None = None

    def new_figure(self, size: tuple[float, float]) -> Figure:
        """Return a figure that pyplot does not keep."""
        return _plain_figure(size)

    def stands(self, figure: Figure, moving: Sequence[Artist]) -> bool:
        """Tell whether only the moving parts need drawing."""
        return self._layers(figure).stands(list(moving))

    def update(self, figure: Figure, moving: Sequence[Artist] = ()) -> None:
        """Replace the picture where it stands; the first time, put it under the cell that runs."""
        if self._handle is None:
            self.show(figure, moving)
        else:
            self._handle.update(self._formats(figure, moving), raw=True)

    def show(self, figure: Figure, moving: Sequence[Artist] = ()) -> None:
        """Put the picture under the cell that runs, and from now on replace it there."""
        from IPython.display import display

        self._handle = display(self._formats(figure, moving), raw=True, display_id=True)

    def _formats(self, figure: Figure, moving: Sequence[Artist]) -> dict[str, str]:
        """Return the picture as the formats that a notebook's output takes."""
        png = self._layers(figure).png(list(moving))
        return {"image/png": base64.b64encode(png).decode("ascii"), "text/plain": repr(figure)}

    def _layers(self, figure: Figure) -> LayeredPicture:
        if self._picture is None or self._picture.figure is not figure:
            self._picture = LayeredPicture(figure)
        return self._picture


class WindowScreen:
    """A window of matplotlib's; when the user closes it, drawing stops and training goes on."""

    live = True

    def __init__(self) -> None:
        self._opened = False

    def new_figure(self, size: tuple[float, float]) -> Figure:
        """Return a figure that has a window."""
        from matplotlib import pyplot

        return pyplot.figure(figsize=size, dpi=_style.DPI)

    def stands(self, figure: Figure, moving: Sequence[Artist]) -> bool:
        """Say no: a window is always drawn as a whole."""
        return False

    def update(self, figure: Figure, moving: Sequence[Artist] = ()) -> None:
        """Draw into the window and let it answer the mouse."""
        if not self._is_open(figure):
            return
        if not self._opened:
            figure.show()
            self._opened = True
        figure.canvas.draw_idle()
        figure.canvas.flush_events()

    def show(self, figure: Figure, moving: Sequence[Artist] = ()) -> None:
        """Keep the window until the user closes it."""
        from matplotlib import pyplot

        if self._is_open(figure):
            pyplot.show()

    @staticmethod
    def _is_open(figure: Figure) -> bool:
        from matplotlib import pyplot

        return pyplot.fignum_exists(figure.number)


def find_screen() -> Screen:
    """Return the place where this process can show a picture."""
    if not _style.in_main_thread():
        # Windows belong to the main thread; a notebook's output may be written from any.
        return NotebookScreen() if in_kernel() else NoScreen()
    if _style.window_backend():
        return WindowScreen()
    return NotebookScreen() if in_kernel() else NoScreen()


def _plain_figure(size: tuple[float, float]) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=size, dpi=_style.DPI)
