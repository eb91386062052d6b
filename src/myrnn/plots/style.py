"""The common look of all figures: colours, sizes, grids, legends; and figures as files.

Everything is set on the figure and axes at hand. Matplotlib's global settings are never touched, so a user's own style
is kept, and figures can be drawn in several threads. Matplotlib is loaded only when something is drawn, since importing
it takes most of our start-up time.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.output import in_kernel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito, "Color Universal Design" (2008): eight colours that colour-blind people can distinguish. Yellow is left
# out, since it vanishes on white paper.
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
PALETTE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P")
LINES = ("-", "--", ":", "-.")
GREY, LIGHT_GREY = "#666666", "#D9D9D9"
# The levels of guessing, and of always giving the most frequent class.
CHANCE, BASE_RATE = "chance", "base rate"
LEVEL: dict[str, Any] = {"color": GREY, "linestyle": "--", "linewidth": 1.2, "zorder": 1}
VIRIDIS_END = 0.88  # beyond it, viridis is a yellow that vanishes on white paper

WIDTH = 6.4  # inches: a column of text in a notebook, and a page's width on paper
# The least height of a figure with a legend above its axes, and what the legend must leave of it.
GROUPS_HEIGHT, _AXES_HEIGHT = 3.8, 2.8
DPI = 100  # for the screen
PRINT_DPI = 200  # for files
FEW_POINTS = 50  # markers on more points would merge into one thick line
MANY_POINTS = 100  # so would the bars of more points

# Matplotlib back ends that open windows.
_TOOLKITS = ("gtk3", "gtk4", "qt", "qt5", "tk", "wx")
WINDOW_BACKENDS = frozenset(["macosx", "wx", *(kit + way for kit in _TOOLKITS for way in ("agg", "cairo"))])

# Matplotlib would also write the time of day and its version into files.
_METADATA: dict[str, dict[str, Any]] = {
    ".svg": {"Date": None, "Creator": "MyRNN"},
    ".png": {"Software": "MyRNN"},
    ".pdf": {"CreationDate": None, "Creator": "MyRNN", "Producer": None},
}
FIGURE_ENDINGS = tuple(_METADATA)
# Matplotlib takes these only from its global settings. Journals do not accept Type 3 fonts.
_FILE_SETTINGS: Any = {"svg.hashsalt": "myrnn", "svg.fonttype": "path", "pdf.fonttype": 42}
# Global settings are changed while a file is written, by one thread at a time.
_ONE_AT_A_TIME = threading.Lock()

_LEGEND_COLUMNS = 3
# The number of characters that fit side by side below the axes.
ROOM_FOR_NAMES = 84
# Above this luminance of the background, black text has more contrast than white.
_LIGHT = 0.179
# The share of the distance between two places that groups side by side occupy.
_BESIDE = 0.6
# The most distance of two neighbours among them, as a share of the axis.
_NEAR = 0.05
# The share of a figure's width for the axes and the legend above them, without the labels at the side.
_SHARE_OF_AXES = 0.88


# Figures and axes -----------------------------------------------------------------------------------------------------


def axes_for(given: Any, height: float) -> Axes:
    """Return the axes to draw into: the given ones, or those of a new figure of `height` inches."""
    return _ready(given) if given is not None else next(iter(new_grid(1, 1, height)))


def axes_for_each(count: int, given: Any, what: str, height: float, columns: int = 1) -> NDArray[Any]:
    """Return `count` axes as a flat array: the given ones, or those of a new figure of `height` inches."""
    if given is None:
        return new_grid(count, columns, height)
    axes = np.ravel(np.array(given, dtype=object))
    if len(axes) != count:
        raise InvalidArgument(f"axes must be {what}, not {len(axes)}")
    for ax in axes:
        _ready(ax)
    return axes


def new_grid(count: int, columns: int, height: float) -> NDArray[Any]:
    """Return `count` styled axes in a new figure of `height` inches; axes of one column share their horizontal axis."""
    figure = _figure_that_shows_itself((WIDTH, height))
    axes = figure.subplots(-(-count // columns), columns, sharex=columns == 1, squeeze=False).ravel()
    for ax in axes[:count]:
        style_axes(ax)
    for ax in axes[count:]:
        ax.remove()
    return axes[:count]


def _ready(ax: Any) -> Axes:
    """Return the given axes, with our style if nothing is drawn there yet."""
    from matplotlib.axes import Axes

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


def in_main_thread() -> bool:
    """Return whether pyplot, which is not thread-safe, may be used."""
    return threading.current_thread() is threading.main_thread()


def window_backend() -> bool:
    """Return whether pyplot opens windows; this loads pyplot, which picks its back end."""
    from matplotlib import pyplot

    return pyplot.get_backend().lower() in WINDOW_BACKENDS


_for_files = ContextVar("_for_files", default=False)


@contextmanager
def figures_for_files() -> Iterator[None]:
    """Do not display new figures: they are only written to files."""
    before = _for_files.set(True)
    try:
        yield
    finally:
        _for_files.reset(before)


def _figure_that_shows_itself(size: tuple[float, float]) -> Figure:
    """Return a figure that a notebook or Sphinx-Gallery shows below its cell and ``pyplot.show()`` in a window.

    Only pyplot's figures are shown that way. Without a display (a script without a window, a thread) a plain Figure is
    better: pyplot would keep it for ever.
    """
    from matplotlib.figure import Figure

    # In a script, use pyplot only if the user has loaded it; otherwise nobody will call ``pyplot.show()``.
    in_window = "matplotlib.pyplot" in sys.modules and window_backend()
    is_shown = in_kernel() or "sphinx_gallery" in sys.modules or in_window
    if _for_files.get() or not (is_shown and in_main_thread()):
        return Figure(figsize=size, dpi=DPI, layout="constrained")
    from matplotlib import pyplot

    return pyplot.figure(figsize=size, dpi=DPI, layout="constrained")


# Lines, names and numbers ---------------------------------------------------------------------------------------------


def series(place: int, *, markers: bool = True) -> dict[str, Any]:
    """Return the colour, marker and line of the curve with this number: the first 24 all differ."""
    line = {"color": PALETTE[place % len(PALETTE)], "linestyle": LINES[place // len(PALETTE) % len(LINES)]}
    return {**line, "marker": MARKERS[place % len(MARKERS)]} if markers else line


def drawn_before(ax: Axes, kind: str) -> int:
    """Return the number of lines of this kind (their `gid`) on the axes."""
    return sum(line.get_gid() == kind for line in ax.get_lines())


def word_of(name: str, longest: int = 60) -> str:
    """Return a user's name for a thing, escaped for Matplotlib and not too long."""
    # Names of a kind often differ in their ends.
    end = longest // 3
    short = name if len(name) <= longest else f"{name[: longest - 1 - end]}…{name[-end:]}"
    # A dollar sign would begin a formula, and a label that begins with an underscore is left out of a legend.
    return ("\u200b" if short.startswith("_") else "") + short.replace("$", r"\$")


def count_iterations(ax: Axes, name: str = "iterations") -> None:
    """Let the horizontal axis count iterations, in round whole numbers."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    ax.set_xlabel(name)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def log_axis(ax: Axes) -> None:
    """Make the vertical axis logarithmic, and write plain numbers if it spans few decades."""
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    ax.set_yscale("log")
    low, high = ax.get_ylim()
    if 0 < low < high < 50 * low:
        ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.yaxis.set_minor_locator(NullLocator())


def fit_beside(names: Sequence[str]) -> bool:
    """Return whether names fit side by side below the axes."""
    return max(map(len, names)) * len(names) <= ROOM_FOR_NAMES


def name_places(
    ax: Axes, places: Iterable[float], names: Sequence[str], *, turned: bool | None = None, **look: Any
) -> None:
    """Write names below places of the horizontal axis, turned if they would overlap."""
    if not fit_beside(names) if turned is None else turned:
        look |= {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    ax.set_xticks(list(places), labels=names, **look)


def beside(groups: int, gap: float, span: float) -> NDArray[np.float64]:
    """Return the offset of each group, float64 (groups,), if all are side by side at places this far apart.

    On an axis of few places, of the length `span`, they stay close to their place.
    """
    step = min(_BESIDE * gap / groups, _NEAR * span)
    places: NDArray[np.float64] = np.arange(groups, dtype=np.float64) + 0.5 - groups / 2
    return step * places


def apart(places: NDArray[Any], words: Sequence[str], most: int) -> NDArray[np.int64]:
    """Return which of N ascending places have room for their words, at most about `most`, int64 (M,)."""
    room = ROOM_FOR_NAMES / (max(map(len, words)) + 1.5)
    span = float(places[-1] - places[0])
    gap = span / max(min(most, room), 1.0)
    kept = [0]
    for index in range(1, len(places)):
        # Equal distances may differ by rounding.
        if places[index] - places[kept[-1]] >= gap * (1 - 1e-9):
            kept.append(index)
    return np.array(kept)


def ink_on(grounds: ArrayLike) -> NDArray[np.str_]:
    """Return "black" or "white" for text on each background (..., 4), whichever has more contrast (W3C, WCAG 2)."""
    ground = np.asarray(grounds, dtype=np.float64)[..., :3]
    linear = np.where(ground <= 0.04045, ground / 12.92, ((ground + 0.055) / 1.055) ** 2.4)
    return np.where(linear @ np.array([0.2126, 0.7152, 0.0722]) > _LIGHT, "black", "white")


def columns(**named: ArrayLike) -> list[NDArray[np.float64]]:
    """Return the arguments as float64 (N,) arrays of one length N > 0."""
    found = []
    for name, values in named.items():
        _checks.unmasked(name, values)
        try:
            column = np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError):
            raise InvalidArgument(f"{name} must be a list of numbers, not {values!r}") from None
        if column.ndim != 1 or not len(column):
            raise InvalidArgument(f"{name} must be a list of at least one number, not of shape {column.shape}")
        found.append(column)
    if len({len(column) for column in found}) > 1:
        sizes = ", ".join(str(len(column)) for column in found)
        raise InvalidArgument(f"{', '.join(named)} must be equally long, not {sizes}")
    return found


def draw_intervals(
    ax: Axes, x: ArrayLike, values: NDArray[np.float64], ends: NDArray[np.float64], label: str | None, **look: Any
) -> None:
    """Draw a point at each value (N,), with a bar from end to end of its interval (N, 2)."""
    # Rounding may put a perfect score just outside its interval; Matplotlib refuses negative bars.
    bars = np.maximum([values - ends[:, 0], ends[:, 1] - values], 0.0)
    settings: dict[str, Any] = {"markersize": 5, "linewidth": 1.6, "elinewidth": 1, "capsize": 2.5, **look}
    ax.errorbar(x, values, bars, label=None if label is None else word_of(label), **settings)


# Accuracy -------------------------------------------------------------------------------------------------------------


def draw_chance(ax: Axes, chance: float) -> Any:
    """Draw the accuracy of guessing, once for each value, and return its line."""
    level = _checks.real("chance", chance, minimum=0.0)
    drawn: list[Any] = [line for line in ax.get_lines() if line.get_gid() == CHANCE]
    same = next((line for line in drawn if line.get_ydata()[0] == level), None)
    return same if same is not None else ax.axhline(level, label=CHANCE, gid=CHANCE, **LEVEL)


def draw_base_rate(ax: Axes, lengths: NDArray[Any], rates: NDArray[np.float64], **look: Any) -> None:
    """Draw the share of the most frequent class at each length, once for tests of the same kind."""
    for line in ax.get_lines():
        if line.get_gid() == BASE_RATE and np.array_equal(line.get_xdata(), lengths):
            return
    # It may jump from length to length: a connecting line would hide the curves.
    dashes = {**LEVEL, "linestyle": "", "marker": "_", "markersize": 5, "markeredgewidth": 1.2, **look}
    ax.plot(lengths, rates, label=BASE_RATE, gid=BASE_RATE, **dashes)


def fit_accuracy(ax: Axes, values: NDArray[np.float64], chance: ArrayLike | None) -> None:
    """Fit the axis from a little below the lowest value ever drawn here to 1; there are no ticks above 1."""
    levels = np.ravel(np.asarray(1.0 if chance is None else chance, dtype=np.float64))
    known = [*values[np.isfinite(values)], *levels[np.isfinite(levels)], 1.0]
    bottom = max(0.0, min(known) - 0.05)
    # The limits of untouched axes start at 0 and mean nothing.
    before = ax.get_ylim()[0] if not ax.get_autoscaley_on() else bottom
    ax.set_ylim(min(bottom, before), 1.03)
    share_ticks(ax)


def share_ticks(ax: Axes) -> None:
    """Put no tick above 1 on a vertical axis of shares."""
    from matplotlib.ticker import FixedLocator, MaxNLocator

    low, high = ax.get_ylim()
    ticks = MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    ax.yaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= 1 + 1e-9]))


# Legends and scales ---------------------------------------------------------------------------------------------------


def labelled(ax: Axes) -> list[tuple[Any, str]]:
    """Return the labelled curves: the entries of a legend."""
    return list(zip(*ax.get_legend_handles_labels(), strict=True))


def add_legend(ax: Axes, entries: Iterable[tuple[Any, str]] | None = None, **look: Any) -> None:
    """Put the legend, by default of all labelled curves, inside the axes where it hides the least."""
    settings: dict[str, Any] = {"loc": "best", "fontsize": 9, "framealpha": 0.9, "edgecolor": "none", **look}
    if entries := labelled(ax) if entries is None else entries:
        ax.legend(*zip(*entries, strict=True), **settings)


def put_legend_above(ax: Axes, entries: Iterable[tuple[Any, str]] | None = None, *, resize: bool = False) -> None:
    """Put the legend above the axes, where it hides no curves, in as many columns as fit.

    With `resize` the figure becomes higher if a legend of many curves would flatten the axes.
    """
    handles, labels = zip(*(labelled(ax) if entries is None else entries), strict=True)
    look: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "fontsize": 9, "frameon": False}
    grid, figure = ax.get_subplotspec(), ax.figure.figure
    # A wider legend would compress the axes.
    room = _SHARE_OF_AXES * ax.figure.bbox.width / (1 if grid is None else grid.get_gridspec().ncols)
    for count in range(_LEGEND_COLUMNS, 0, -1):
        extent = ax.legend(handles, labels, ncols=count, **look).get_window_extent()
        if extent.width <= room:
            break
    if resize:
        figure.set_figheight(max(GROUPS_HEIGHT, _AXES_HEIGHT + extent.height / figure.dpi))


def add_scale(ax: Axes, image: Any, label: str, **settings: Any) -> Any:
    """Add a colour bar, and remove grid and frame of both; return it."""
    ax.grid(False)
    ax.spines[:].set_visible(False)
    scale = ax.figure.colorbar(image, ax=ax, pad=0.02, **settings)
    scale.set_label(label, fontsize=10)
    scale.ax.tick_params(labelsize=9, length=0)
    scale.outline.set_visible(False)
    return scale


# Files ----------------------------------------------------------------------------------------------------------------


def save_figure(fig_or_ax: Any, path: str | os.PathLike[str]) -> Path:
    """Save a figure as SVG, PNG or PDF; the same data give the same bytes.

    Parameters
    ----------
    fig_or_ax : matplotlib Figure, Axes or array of Axes
        The figure, or axes in it.
    path : str or path
        The file to write; it ends in ``.svg``, ``.png`` or ``.pdf``, and its folder exists. An existing file is
        replaced.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InvalidArgument
        When there is no figure, the ending is unsupported, or the folder is missing.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from myrnn.plots import plot_matrix
    >>> ax = plot_matrix([[1.0, -0.5], [0.0, 2.0]])
    >>> with TemporaryDirectory() as folder:
    ...     path = save_figure(ax, Path(folder, "weights.svg"))
    ...     path.name, path.read_text()[:5]
    ('weights.svg', '<?xml')
    """
    figure = _figure_of(fig_or_ax)
    target = _checked_target(path)
    from matplotlib import rc_context

    with _ONE_AT_A_TIME, rc_context(_FILE_SETTINGS):
        figure.savefig(target, dpi=PRINT_DPI, metadata=_METADATA[target.suffix.lower()])
    return target


def _figure_of(fig_or_ax: Any) -> Figure:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    if isinstance(fig_or_ax, Figure):
        return fig_or_ax
    first = next(iter(np.ravel(fig_or_ax)), None) if isinstance(fig_or_ax, list | tuple | np.ndarray) else fig_or_ax
    if isinstance(first, Axes) and isinstance(first.figure, Figure):
        return first.figure
    raise InvalidArgument(f"fig_or_ax must be a matplotlib Figure or Axes, not {type(fig_or_ax).__name__}")


def _checked_target(path: str | os.PathLike[str]) -> Path:
    try:
        target = Path(path)
    except TypeError:
        raise InvalidArgument(f"path must be the name of a file, not {path!r}") from None
    if target.suffix.lower() not in _METADATA:
        raise InvalidArgument(f"path must end in .svg, .png or .pdf, not {target.name!r}")
    if not target.parent.is_dir():
        raise InvalidArgument(f"path must lie in a folder that exists, but {str(target.parent)!r} does not")
    return target
