"""An automaton as circles and arrows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from myrnn.errors import InvalidArgument
from myrnn.inspection import ExtractedAutomaton
from myrnn.plots import style
from myrnn.results import Floats, draws
from myrnn.tasks.languages.automata import Dfa

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Edge = tuple[int, int]

# More circles would be illegible.
MOST_DRAWN = 60
INK, FILL = "#1a1a1a", "#DCECF5"
# In units of the grid: a circle's radius, the margins around a label and around the figure, and half a letter's width.
RADIUS, LABEL_ROOM, ROOM, LETTER = 0.165, 0.1, 0.05, 0.03
# The most inches per unit: small automata are not drawn larger.
UNIT = 1.45
# The most characters of a symbol's name, and of all symbols at an arrow.
LONGEST_SYMBOL, LONGEST_LABEL = 12, 16
# The bend of two arrows between the same states, and of one that would cross another state.
BEND, AROUND = 0.17, (0.3, -0.3, 0.45, -0.45)
# The penalties of a layout: crossing lines, lines over a circle, a start state that is not at the left, and height.
CROSSING, COVERED, NOT_LEFT, HEIGHT = 2.0, 6.0, 0.8, 0.7
# The number of arrangements that are tried.
TRIES = 6_000
DEAD_NOTE = "Not drawn: the state from which nothing is accepted, and the arrows into it."


@draws(Dfa)
@draws(ExtractedAutomaton)
def plot_automaton(dfa: Dfa | ExtractedAutomaton, *, dead: bool = False, ax: Axes | None = None) -> Axes:
    """Draw an automaton: accepting states as double circles, an arrow into the start, one arrow for several symbols.

    Parameters
    ----------
    dfa : Dfa or ExtractedAutomaton
    dead : bool
        Whether to draw the dead states, from which nothing is accepted, and the arrows into them.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidArgument
        When it has more than 60 states.

    Examples
    --------
    >>> from myrnn.tasks.languages import regular
    >>> ax = plot_automaton(regular("(ab)*"))
    >>> ax.get_title(loc="left")  # dead=True draws all states
    'Not drawn: the state from which nothing is accepted, and the arrows into it.'
    """
    dfa = dfa.dfa if isinstance(dfa, ExtractedAutomaton) else dfa
    drawn = np.ones(len(dfa), dtype=bool) if dead else dfa.is_live | (np.arange(len(dfa)) == 0)
    states = np.flatnonzero(drawn).tolist()
    if len(states) > MOST_DRAWN:
        raise InvalidArgument(
            f"an automaton of {len(states)} states is too large to draw: at most {MOST_DRAWN} can be drawn"
        )
    place = {state: index for index, state in enumerate(states)}
    labels = {
        (place[begin], place[end]): text
        for (begin, end), text in edge_labels(dfa).items()
        if begin in place and end in place
    }
    places = lay_out(len(states), list(labels))
    arrows, written = _geometry(places, labels)
    ends = np.concatenate([_points(curve) for curve in arrows])
    spots = np.array([spot for spot, _ in written] or [places[0]])
    taken = np.concatenate([places - RADIUS, places + RADIUS, spots - LABEL_ROOM, spots + LABEL_ROOM, ends])
    low, high = taken.min(axis=0) - ROOM, taken.max(axis=0) + ROOM
    # Centre a small automaton.
    spare = max(0.0, style.WIDTH / UNIT - (high - low)[0]) / 2
    low[0], high[0] = low[0] - spare, high[0] + spare
    width, height = high - low
    is_new = ax is None
    inches = np.array((style.WIDTH, style.WIDTH * height / width))
    ax = style.axes_for(ax, height=float(inches[1]) + 0.3)
    ax.set_axis_off()
    ax.set_aspect("equal")
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
    if not is_new:
        inches = np.array(ax.get_window_extent().size) / ax.figure.figure.dpi
    # The size of text is in points: make it smaller if circles are small.
    size = float(np.clip(0.75 * 72 * RADIUS * min(inches[0] / width, inches[1] / height), 4, 12))
    for curve in arrows:
        _arrow(ax, curve)
    for spot, text in written:
        _write(ax, spot, text, 0.95 * size)
    _draw_states(ax, places, states, dfa.accepting, size)
    if len(states) < len(dfa):
        ax.set_title(DEAD_NOTE, fontsize=8, color=style.GREY, loc="left")
    return ax


def edge_labels(dfa: Dfa) -> dict[Edge, str]:
    """Return the symbols on each arrow, joined."""
    symbols: dict[Edge, list[str]] = {}
    for state, row in enumerate(dfa.moves.tolist()):
        for name, following in zip(dfa.symbols, row, strict=True):
            symbols.setdefault((state, following), []).append(name)
    return {edge: _label(names, dfa.symbols) for edge, names in symbols.items()}


def _label(names: Sequence[str], symbols: Sequence[str]) -> str:
    others = [name for name in symbols if name not in names]
    if not others and len(names) > 2:
        return "any"
    if len(others) < len(names) and len(names) > 4:
        return f"not {_short_list(others)}"
    return _short_list(names)


def _short_list(names: Sequence[str]) -> str:
    """Return the names of symbols side by side, as many as an arrow has room for."""
    words = [style.word_of(name, LONGEST_SYMBOL) for name in names]
    ends = np.cumsum([len(word) + 2 for word in words]) - 2
    fit = max(1, int(np.count_nonzero(ends <= LONGEST_LABEL)))
    return ", ".join(words if fit == len(words) else [*words[: max(1, fit - 1)], "…"])


# Places ---------------------------------------------------------------------------------------------------------------


def lay_out(count: int, edges: Sequence[Edge]) -> Floats:
    """Return a grid position for each of N states, float64 (N, 2), with short lines and few crossings.

    Start from the order in which states are reached, and swap two positions as long as that lowers the cost.
    """
    rows = 1 if count < 3 else max(2, round(np.sqrt(count / 1.5)))
    columns = min(count, -(-count // rows) + 2)
    slots = np.array([(column, -row) for column in range(columns) for row in range(rows)], dtype=np.float64)
    # Shift every other column up a little, so that three states in a row do not hide arrows.
    slots[:, 1] += 0.25 * (slots[:, 0] % 2)
    lines = np.array(sorted({(min(e), max(e)) for e in edges if e[0] != e[1]}), dtype=np.int64).reshape(-1, 2)
    order = np.arange(len(slots))
    best = _cost(slots[order[:count]], lines)
    tries, improved = 0, True
    while improved and tries < TRIES:
        improved = False
        for one, other in combinations(range(len(slots)), 2):
            if one >= count or tries >= TRIES:
                break
            tries += 1
            order[[one, other]] = order[[other, one]]
            cost = _cost(slots[order[:count]], lines)
            if cost < best - 1e-9:
                best, improved = cost, True
            else:
                order[[one, other]] = order[[other, one]]
    return slots[order[:count]]


def _cost(places: Floats, lines: NDArray[np.int64]) -> float:
    """Return the cost of states at these positions, with lines (L, 2) between them."""
    if not len(lines):
        return float(places[0, 0])
    begins, ends = places[lines[:, 0]], places[lines[:, 1]]
    along = ends - begins
    lengths = np.linalg.norm(along, axis=1)
    # The distance of each state from each line that does not end there.
    offset = places[np.newaxis] - begins[:, np.newaxis]
    share = np.clip((offset * along[:, np.newaxis]).sum(axis=2) / (lengths**2)[:, np.newaxis], 0, 1)
    distance = np.linalg.norm(offset - share[..., np.newaxis] * along[:, np.newaxis], axis=2)
    distance[np.arange(len(lines))[:, np.newaxis], lines] = np.inf
    covered = (distance < 1.6 * RADIUS).sum()
    first, second = np.triu_indices(len(lines), 1)
    apart = (lines[first][:, :, np.newaxis] != lines[second][:, np.newaxis]).all(axis=(1, 2))
    first, second = first[apart], second[apart]
    sides = [
        np.sign(_turn(begins[a], ends[a], begins[b])) * np.sign(_turn(begins[a], ends[a], ends[b]))
        for a, b in ((first, second), (second, first))
    ]
    crossing = ((sides[0] < 0) & (sides[1] < 0)).sum()
    shape = NOT_LEFT * (places[0, 0] - places[:, 0].min()) + HEIGHT * np.ptp(places[:, 1])
    return float((lengths**1.5).sum() + CROSSING * crossing + COVERED * covered + shape)


def _turn(begin: Floats, end: Floats, point: Floats) -> Floats:
    """Return whether points lie to the left (above 0) or the right of lines."""
    along, to = end - begin, point - begin
    return along[:, 0] * to[:, 1] - along[:, 1] * to[:, 0]


# Drawing --------------------------------------------------------------------------------------------------------------


def _draw_states(ax: Axes, places: Floats, states: list[int], accepting: NDArray[np.bool_], size: float) -> None:
    from matplotlib.patches import Circle

    for place, state in zip(places, states, strict=True):
        circles = (1.0, 0.8) if accepting[state] else (1.0,)
        for part in circles:
            face = FILL if accepting[state] else "white"
            ax.add_patch(Circle(place, part * RADIUS, facecolor=face, edgecolor=INK, linewidth=1.1, zorder=3))
        ax.text(place[0], place[1], str(state), ha="center", va="center", fontsize=size, color=INK, zorder=4)


def _geometry(places: Floats, labels: dict[Edge, str]) -> tuple[list[Floats], list[tuple[Floats, str]]]:
    """Return the curves of all arrows, including the one into the start, and the positions of their labels."""
    # The directions in which lines leave each state: loops and the arrow into the start use the free ones.
    busy: list[list[float]] = [[] for _ in places]
    curves = {}
    for begin, end in labels:
        if begin != end:
            bends = (BEND,) if (end, begin) in labels else (0.0,)
            tried = (_curve(places[begin], places[end], bend) for bend in (*bends, *AROUND))
            free = (curve for curve in tried if not _covers(curve, np.delete(places, [begin, end], axis=0)))
            curves[begin, end] = next(free, _curve(places[begin], places[end], bends[0]))
            for state, point in ((begin, curves[begin, end][0]), (end, curves[begin, end][2])):
                busy[state].append(float(np.arctan2(*(point - places[state])[::-1])))
    angle = _free(busy[0], wanted=np.pi)
    busy[0].append(angle)
    arrows = [places[0] + np.outer((2.6 * RADIUS, 1.8 * RADIUS, RADIUS), _away(angle)), *curves.values()]
    taken, written = [*places], []
    for edge, curve in curves.items():
        others = np.concatenate([_points(c) for e, c in curves.items() if e != edge] or [np.zeros((0, 2))])
        spot = _label_spot(curve, np.array(taken), others)
        taken.append(spot)
        written.append((spot, labels[edge]))
    for begin, end in labels:
        if begin == end:
            angle = _free(busy[begin], wanted=np.pi / 2)
            busy[begin].append(angle)
            curve, spot = _loop(places[begin], angle)
            arrows.append(curve)
            # Put long labels beside a loop, not over it.
            spot[0] += LETTER * (len(labels[begin, end]) - 1) * np.cos(angle)
            written.append((spot, labels[begin, end]))
    return arrows, written


def _covers(curve: Floats, places: Floats) -> bool:
    """Whether a curve crosses other states, or comes close to them."""
    return bool((_distances(_points(curve), places) < 1.25 * RADIUS).any())


def _distances(points: Floats, others: Floats) -> Floats:
    """Return the distance of each point (N, 2) from each of the others (M, 2), float64 (N, M)."""
    return np.linalg.norm(points[:, np.newaxis] - others, axis=2)


def _curve(begin: Floats, end: Floats, bend: float) -> Floats:
    """Return the three points of a curve from circle to circle that bends to its left, float64 (3, 2)."""
    along = end - begin
    left = np.array((-along[1], along[0])) / np.hypot(*along)
    middle = (begin + end) / 2 + 2 * bend * min(1.3, float(np.hypot(*along))) * left
    points = np.array((begin, middle, end))
    share = np.linspace(0, 1, 401)
    line = _points(points, share)
    outside = np.flatnonzero((np.hypot(*(line - begin).T) >= RADIUS) & (np.hypot(*(line - end).T) >= 1.06 * RADIUS))
    return _part(points, share[outside[0]], share[outside[-1]])


def _points(curve: Floats, share: Floats | None = None) -> Floats:
    """Return points along a Bézier curve of three or four control points, by default 21, float64 (N, 2)."""
    t = (np.linspace(0, 1, 21) if share is None else share)[:, np.newaxis]
    points = [np.broadcast_to(point, (len(t), 2)) for point in curve]
    while len(points) > 1:
        points = [(1 - t) * one + t * other for one, other in pairwise(points)]
    return points[0]


def _part(curve: Floats, first: float, last: float) -> Floats:
    """Return a section of a curve as a curve (de Casteljau)."""
    begin, end = _points(curve, np.array([first, last]))
    middle = (1 - first) * ((1 - last) * curve[0] + last * curve[1]) + first * ((1 - last) * curve[1] + last * curve[2])
    return np.array((begin, middle, end))


def _label_spot(curve: Floats, taken: Floats, others: Floats) -> Floats:
    """Return the point of a curve farthest from states, other labels and other lines; ideally its middle."""
    shares = np.array((0.5, 0.42, 0.58, 0.34, 0.66))
    spots = _points(curve, shares)
    near = _distances(spots, taken).min(axis=1)
    if len(others):
        near = np.minimum(near, 2 * _distances(spots, others).min(axis=1))
    return spots[int((np.minimum(near, 2 * RADIUS) - 0.2 * np.abs(shares - 0.5)).argmax())]


def _free(busy: list[float], wanted: float) -> float:
    """Return an angle far from the busy ones; the wanted one if it is free."""
    angles = wanted + np.linspace(-np.pi, np.pi, 72, endpoint=False)
    if not busy:
        return wanted
    apart = np.abs((angles[:, np.newaxis] - np.array(busy) + np.pi) % (2 * np.pi) - np.pi).min(axis=1)
    off = np.abs((angles - wanted + np.pi) % (2 * np.pi) - np.pi)
    return float(angles[(np.minimum(apart, 1.2) - 0.15 * off).argmax()])


def _loop(place: Floats, angle: float) -> tuple[Floats, Floats]:
    """Return the four control points of a loop, float64 (4, 2), and the position of its label."""
    left, right = _away(angle - 0.5), _away(angle + 0.5)
    return place + RADIUS * np.array((left, 3 * left, 3 * right, right)), place + 2.85 * RADIUS * _away(angle)


def _away(angle: float) -> Floats:
    """Return the direction of an angle, float64 (2,)."""
    return np.array((np.cos(angle), np.sin(angle)))


def _arrow(ax: Axes, curve: Floats) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    code = Path.CURVE3 if len(curve) == 3 else Path.CURVE4
    path = Path(curve, [Path.MOVETO, *[code] * (len(curve) - 1)])
    look: Any = {"arrowstyle": "-|>", "mutation_scale": 9, "linewidth": 1.0, "color": INK, "zorder": 2}
    ax.add_patch(FancyArrowPatch(path=path, shrinkA=0, shrinkB=0, **look))


def _write(ax: Axes, spot: Floats, text: str, size: float) -> None:
    box = {"boxstyle": "square,pad=0.12", "facecolor": "white", "edgecolor": "none"}
    ax.text(spot[0], spot[1], text, ha="center", va="center", fontsize=size, color=INK, bbox=box, zorder=2.5)
