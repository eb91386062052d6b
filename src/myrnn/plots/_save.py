"""Figures as files, the same bytes for the same data."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from myrnn.errors import InvalidArgument
from myrnn.plots._style import PRINT_DPI

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What else would stand in the file: the time of day and matplotlib's version.
_METADATA: dict[str, dict[str, Any]] = {
    ".svg": {"Date": None, "Creator": "MyRNN"},
    ".png": {"Software": "MyRNN"},
    ".pdf": {"CreationDate": None, "Creator": "MyRNN", "Producer": None},
}
FIGURE_ENDINGS = tuple(_METADATA)

# What matplotlib takes from its global settings alone. Journals want no fonts of Type 3.
_SETTINGS: Any = {"svg.hashsalt": "myrnn", "svg.fonttype": "path", "pdf.fonttype": 42}

# Global settings are set while a file is written, by one thread at a time.
_ONE_AT_A_TIME = threading.Lock()


def save_figure(fig_or_ax: Any, path: str | os.PathLike[str]) -> Path:
    """Write a figure as SVG, PNG or PDF, so that the same data give the same bytes.

    Parameters
    ----------
    fig_or_ax : matplotlib Figure, Axes or array of Axes
        The figure, or axes that stand in it.
    path : str or path
        Where to; it ends in ``.svg``, ``.png`` or ``.pdf``, and its folder exists. A file that is there is replaced.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InvalidArgument
        When there is no figure, the ending is another one, or the folder is missing.
    """
    figure = _figure_of(fig_or_ax)
    target = _checked_target(path)
    from matplotlib import rc_context  # late: importing matplotlib is most of our start-up time

    with _ONE_AT_A_TIME, rc_context(_SETTINGS):
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
