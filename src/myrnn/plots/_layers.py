"""A figure drawn in two layers, so that a frame of a live plot costs a few milliseconds."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure


class LayeredPicture:
    """The picture of a figure: what stands still is drawn once, what moves is drawn over a copy of it.

    Axes, ticks, labels and grid are most of the work. They are drawn again only when something has changed them, which
    matplotlib notes in ``figure.stale``; the moving parts are `animated` in matplotlib's sense, and do not set it.

    Parameters
    ----------
    figure : matplotlib Figure
        It gets an Agg canvas.
    """

    def __init__(self, figure: Figure) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        self.figure = figure
        # matplotlib's canvases carry no types.
        self._canvas: Any = FigureCanvasAgg(figure)
        self._still: Any = None
        self._moving: list[Artist] = []
        # Who draws the figure otherwise, such as savefig, clears the mark by which changes are seen.
        self._canvas.mpl_connect("draw_event", self._forget)

    def stands(self, moving: list[Artist]) -> bool:
        """Tell whether the still layer is as the figure is, so that only the parts that move need drawing."""
        return self._still is not None and not self.figure.stale and moving == self._moving

    def png(self, moving: list[Artist]) -> bytes:
        """Return the figure as a PNG file, with the artists that move on top."""
        if not self.stands(moving):
            self._draw_still(moving)
        self._canvas.restore_region(self._still)
        renderer = self._canvas.get_renderer()
        for artist in moving:
            artist.draw(renderer)
        return png_file(np.asarray(self._canvas.buffer_rgba()))

    def _draw_still(self, moving: list[Artist]) -> None:
        for artist in self._moving:
            artist.set_animated(False)
        # Lines that are animated are left out by matplotlib itself; the texts of a legend are not.
        seen = [artist for artist in moving if artist.get_visible()]
        for artist in moving:
            artist.set_animated(True)
            artist.set_visible(False)
        try:
            self._canvas.draw()
        finally:
            for artist in seen:
                artist.set_visible(True)
        self._still = self._canvas.copy_from_bbox(self.figure.bbox)
        self._moving = moving
        self.figure.stale = False

    def _forget(self, _: Any) -> None:
        self._still = None


def png_file(pixels: NDArray[np.uint8]) -> bytes:
    """Return an image (H, W, 4), red, green, blue and opacity, as a PNG file (W3C, "Portable Network Graphics").

    It takes a fifth of Pillow's time, which tries five filters on every row. A plot on white needs none.
    """
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 4 * width), dtype=np.uint8)  # each row begins with its filter: 0, none
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">2I5B", width, height, 8, 6, 0, 0, 0)  # 8 bits a channel, colour type 6: RGBA
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.data, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
