"""Coloured text: the probability of every character, and the activation of one unit while a text is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.plots import style
from myrnn.results import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap


# Every symbol is a separate text: more of them take long and would not be readable.
MOST_SYMBOLS = 5_000
_FONT = "DejaVu Sans Mono"
_ADVANCE = 0.602  # the width of its characters, relative to their height
_LINE = 0.215  # inches
# The scale below, and its height in inches.
_SCALE: dict[str, Any] = {"orientation": "horizontal", "aspect": 40, "shrink": 0.6}
_SCALE_HEIGHT = 0.75
# Replacements for invisible characters; the font shows a box for characters that it lacks.
_SIGNS = {"\n": "↵", "\t": "→", "\r": "↵", " ": " "}
_MISSING = "□"
# Symbols with a probability below 2**-8 = 0.4% have the darkest colour.
_MOST_BITS = 8
# The part of the colour maps that is used: without the darkest colours, on which text is hard to read and which take
# much ink. Red stays lighter than blue, so that the sign is visible on grey paper, too.
_COLORS = {"Oranges": (0.0, 0.4, 0.8), "RdBu_r": (0.06, 0.5, 0.8)}
_LARGEST_FONT = 11.0  # points
_GAP = 0.04  # of a line, above and below a background


def plot_text_probabilities(
    symbols: str | Sequence[str], probabilities: ArrayLike, *, width: int = 64, ax: Axes | None = None
) -> Axes:
    """Draw a text: the less probable the model found a symbol, the darker its background.

    Parameters
    ----------
    symbols : str or sequence of str (T,)
        The characters of a text, or its words. A line break begins a new line.
    probabilities : array_like of float (T,)
        The probability that the model gave to each symbol before it was read; NaN, for example for the first one, means
        no background.
    width : int
        The number of characters per line.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidArgument
        When the probabilities are invalid, or not one for each of at least one symbol, or there are too many symbols.

    References
    ----------
    Gehrmann, Strobelt and Rush, "GLTR: statistical detection and visualization of generated text", ACL 2019 (text
    coloured by how likely a model finds it).

    Examples
    --------
    >>> ax = plot_text_probabilities("hello", [float("nan"), 0.6, 0.9, 0.99, 0.3])
    >>> "".join(text.get_text() for text in ax.texts)
    'hello'
    """
    words, shares = _checked(symbols, "probabilities", probabilities)
    if np.any((shares < 0) | (shares > 1 + 1e-6)):
        raise InvalidArgument("probabilities must lie between 0 and 1, or be NaN")
    bits = -np.log2(np.clip(shares, 2.0**-_MOST_BITS, 1.0))
    ax, image = _draw(words, bits, ("Oranges", 0.0, float(_MOST_BITS)), width, ax)
    ticks = np.arange(0, _MOST_BITS + 1, 2)
    texts = [f"{100 / 2**bit:.2g}%" if bit else "100%" for bit in ticks.tolist()]
    texts[-1] += " or less"
    scale = style.add_scale(ax, image, "predicted probability of the symbol", **_SCALE)
    scale.set_ticks(ticks, labels=texts)
    return ax


def plot_text_activations(
    symbols: str | Sequence[str],
    activations: ArrayLike,
    *,
    name: str | None = None,
    width: int = 64,
    ax: Axes | None = None,
) -> Axes:
    """Draw a text in which the background of a symbol shows a unit's activation after it was read.

    White is zero; red is positive, blue negative.

    Parameters
    ----------
    symbols : str or sequence of str (T,)
        The characters of a text, or its words. A line break begins a new line.
    activations : array_like of float (T,)
        The unit's value after every symbol, such as ``inspect(model, x).states["h"][:, unit]``.
    name : str, optional
        The name of the unit.
    width : int
        The number of characters per line.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidArgument
        When the activations are not one for each of at least one symbol, or there are too many symbols.

    References
    ----------
    Karpathy, Johnson and Fei-Fei, "Visualizing and understanding recurrent networks", 2015.

    Examples
    --------
    >>> from myrnn import RNN, inspect
    >>> states = inspect(RNN(dim_input=3, dim_recurrent=8, dim_output=2, rng=0), [0, 1, 2, 1]).states["h"]
    >>> ax = plot_text_activations("abcb", states[:, 5], name="unit 5")
    >>> "".join(text.get_text() for text in ax.texts)
    'abcb'
    """
    words, values = _checked(symbols, "activations", activations)
    finite = np.abs(values[np.isfinite(values)])
    limit = float(finite.max(initial=0.0)) or 1.0
    ax, image = _draw(words, values, ("RdBu_r", -limit, limit), width, ax)
    label = "activation" if name is None else f"activation of {style.word_of(name)}"
    style.add_scale(ax, image, label, **_SCALE)
    return ax


def _checked(symbols: str | Sequence[str], name: str, given: ArrayLike) -> tuple[list[str], Floats]:
    words = [str(one) for one in symbols]
    values = _checks.array(name, given)
    if not words or values.shape != (len(words),) or values.dtype.kind not in "biuf":
        raise InvalidArgument(
            f"{name} must be one number for each of at least one symbol, ({len(words)},), not {values.dtype} of shape "
            f"{values.shape}"
        )
    if len(words) > MOST_SYMBOLS:
        raise InvalidArgument(f"at most {MOST_SYMBOLS:,} symbols can be drawn, not {len(words):,}: select a part")
    return words, values.astype(np.float64)


def _draw(
    words: list[str], values: Floats, scale: tuple[str, float, float], width: int, ax: Axes | None
) -> tuple[Axes, Any]:
    """Draw the symbols on backgrounds of these values, and return the axes and the image for a colour bar."""
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import Normalize

    shown = _shown(words)
    boxes, lines = _layout(words, shown, _checks.integer("width", width, minimum=1))
    ax = style.axes_for(ax, height=_SCALE_HEIGHT + _LINE * lines)
    name, low, high = scale
    norm, color_map = Normalize(low, high), _part_of(name)
    known = np.isfinite(values)
    corners = [
        [(x, y + _GAP), (x + w, y + _GAP), (x + w, y + 1 - _GAP), (x, y + 1 - _GAP)] for x, y, w in boxes.tolist()
    ]
    grounds = PolyCollection([corners[place] for place in np.flatnonzero(known)], edgecolors="face", linewidths=0.3)
    grounds.set(array=values[known], cmap=color_map, norm=norm)
    ax.add_collection(grounds)
    # The layout makes the axes of a separate figure almost as wide as the figure.
    own = 0.96 * ax.figure.get_figwidth() if len(ax.figure.axes) == 1 else 0.0  # type: ignore[union-attr]
    inches = max(ax.get_window_extent().width / ax.figure.dpi, own)
    across = max(float(boxes[:, [0, 2]].sum(axis=1).max()), width, 72 * inches / (_LARGEST_FONT * _ADVANCE))
    ax.set_xlim(0, across)
    ax.set_ylim(lines, 0)
    ax.set_xticks([])
    ax.set_yticks([])
    colors = np.where(known, style.ink_on(color_map(norm(np.where(known, values, 0.0)))), "black").tolist()
    look: dict[str, Any] = {"family": _FONT, "fontsize": 72 * inches / (across * _ADVANCE), "parse_math": False}
    for text, color, (x, y, _) in zip(shown, colors, boxes.tolist(), strict=True):
        for place, sign in enumerate(text):
            if sign != " ":
                ax.text(x + place + 0.5, y + 0.5, sign, color=color, va="center_baseline", ha="center", **look)
    return ax, grounds


def _part_of(name: str) -> Colormap:
    """Return a part of a colour map."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    places = np.interp(np.linspace(0, 1, 256), (0, 0.5, 1), _COLORS[name])
    return ListedColormap(colormaps[name](places))


def _shown(words: list[str]) -> list[str]:
    """Return the displayed text of the symbols: one character each, words with a space after them."""
    from matplotlib.font_manager import findfont, get_font

    known = get_font(findfont(_FONT)).get_charmap()
    between = " " if any(len(word) > 1 for word in words) else ""
    return [
        "".join(_SIGNS.get(sign, sign if sign.isprintable() and ord(sign) in known else _MISSING) for sign in word)
        + between
        for word in words
    ]


def _layout(words: list[str], shown: list[str], width: int) -> tuple[Floats, int]:
    """Return the left side, the line and the width of every symbol, float64 (T, 3), and the number of lines."""
    boxes, column, line = [], 0, 0
    for word, text in zip(words, shown, strict=True):
        if column and column + len(text.rstrip()) > width:
            column, line = 0, line + 1
        boxes.append((column, line, max(len(text.rstrip()), 1)))
        column += max(len(text), 1)
        if word.endswith("\n"):
            column, line = 0, line + 1
    return np.array(boxes, dtype=np.float64), int(boxes[-1][1]) + 1
