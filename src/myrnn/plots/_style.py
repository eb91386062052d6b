"""One look for all figures: colours, sizes, grid.

Everything is set on the figure and axes at hand. matplotlib's global settings are never touched, so a user's own style
stays as it was, and figures can be drawn in several threads.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from myrnn._notebook import in_kernel
from myrnn.errors import InvalidArgument

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito, "Color Universal Design" (2008): eight colours that the colour-blind tell apart. Yellow is left out,
# since it vanishes on white paper.
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
PALETTE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P")
GREY, LIGHT_GREY = "#666666", "#D9D9D9"

WIDTH = 6.4  # inches: a column of text in a notebook, and a page's width on paper
DPI = 100  # for the screen
PRINT_DPI = 200  # for files

# The back ends of matplotlib that open windows of their own.
_TOOLKITS = ("gtk3", "gtk4", "qt", "qt5", "tk", "wx")
WINDOW_BACKENDS = frozenset(["macosx", "wx", *(kit + way for kit in _TOOLKITS for way in ("agg", "cairo"))])


def word_of(name: str, longest: int = 60) -> str:
    """Return a user's name for a thing as matplotlib takes it: as it is written, and not too long."""
    short = name if len(name) <= longest else f"{name[: longest - 1]}…"
    # A dollar sign would begin a formula, and what begins with an underscore would be left out of a legend.
    return ("\u200b" if short.startswith("_") else "") + short.replace("$", r"\$")


def in_main_thread() -> bool:
    """Tell whether pyplot, which is not safe in threads, may be used."""
    return threading.current_thread() is threading.main_thread()


def window_backend() -> bool:
    """Tell whether pyplot opens windows; this loads pyplot, which picks its back end."""
    from matplotlib import pyplot

    return pyplot.get_backend().lower() in WINDOW_BACKENDS


def new_axes(rows: int, height: float) -> Any:
    """Return an array of `rows` styled axes, one above the other, in a new figure of `height` inches."""
    figure = _figure_that_shows_itself((WIDTH, height))
    axes = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    for ax in axes:
        style_axes(ax)
    return axes


def axes_for(given: Any, height: float) -> Axes:
    """Return the axes to draw into: those that were given, or else the axes of a new figure of `height` inches."""
    return new_axes(1, height)[0] if given is None else ready(given)


def ready(ax: Any) -> Axes:
    """Return axes that somebody has given, in our style if nothing is drawn there yet.

    So figures of several parts look like the others, and the colour-blind can tell their colours apart; what somebody
    has drawn into is left as it is.
    """
    from matplotlib.axes import Axes  # late: importing matplotlib is most of our start-up time

    if not isinstance(ax, Axes):
        raise InvalidArgument(f"ax must be a matplotlib Axes, not {type(ax).__name__}")
    if not ax.has_data():
        style_axes(ax)
    return ax


def style_axes(ax: Axes) -> None:
    """Give `ax` the colours, grid, spines and text sizes of all our figures."""
    ax.set_prop_cycle(color=PALETTE)
    ax.grid(True, color=LIGHT_GREY, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=9)
    ax.xaxis.label.set_fontsize(10)
    ax.yaxis.label.set_fontsize(10)


def count_iterations(ax: Axes) -> None:
    """Let the horizontal axis count iterations, in whole numbers that are easy to read."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    ax.set_xlabel("iterations")
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _figure_that_shows_itself(size: tuple[float, float]) -> Figure:
    """Return a figure that a notebook shows under its cell and ``pyplot.show()`` in a window.

    Only pyplot's figures are shown so. Where nobody looks (a script without a window, a thread) a plain Figure is
    better: pyplot would keep it for ever.
    """
    from matplotlib.figure import Figure

    # In a script, pyplot is asked only when the user has loaded it: who has not will not call ``pyplot.show()``.
    shown = in_main_thread() and (in_kernel() or ("matplotlib.pyplot" in sys.modules and window_backend()))
    if not shown:
        return Figure(figsize=size, dpi=DPI, layout="constrained")
    from matplotlib import pyplot

    return pyplot.figure(figsize=size, dpi=DPI, layout="constrained")
