"""A drawing that displays and saves itself: as SVG, or in the DOT language for layout by Graphviz."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from xml.sax.saxutils import escape

from myrnn.errors import InvalidArgument
from myrnn.graphs.layout import (
    BAR,
    CHIP,
    DETAIL,
    HEADER,
    LABEL,
    MARGIN,
    Band,
    Card,
    Chip,
    Layout,
    Route,
    lay_out,
    short_names,
    shortened,
    text_width,
)
from myrnn.graphs.read import Drawing, GraphNode, compact

# Okabe and Ito's palette, which colour-blind people can distinguish; fills are tints of it.
_INK, _SOFT, _PAPER, _BAND, _LINE = "#1a1a1a", "#595959", "#ffffff", "#f5f6f7", "#8a8f94"
_BLUE, _ORANGE, _GREEN, _VERMILION, _PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"
_STROKES = {"parameter": _BLUE, "input": _ORANGE, "constant": "#999999"}
_FILLS = {"parameter": "#d6e8f3", "input": "#fbecc8", "constant": "#e6e6e6"}
_EDGES = {"state": _GREEN, "result": _VERMILION, "": "#6b7075"}
_FONT = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"


class ComputationalGraph:
    """A computational graph that a notebook displays.

    It keeps no tensor and no array alive, so parameters become writeable again as soon as MyGrad releases the graph. If
    it comes from :func:`build_graph`, it shows the size of every gradient once ``backward()`` has run.

    Attributes
    ----------
    drawing : object
        Its nodes and edges.

    Examples
    --------
    >>> import mygrad as mg
    >>> from myrnn import build_graph
    >>> x = mg.tensor([3.0, 4.0])
    >>> loss = (x * x).sum()
    >>> graph = build_graph(loss, names={"x": x, "loss": loss})
    >>> graph
    <ComputationalGraph loss: 2 operations, 1 parameter (2 numbers)>
    >>> graph.to_svg()[:5], graph.to_dot()[:7], len(graph.gradients)
    ('<svg ', 'digraph', 0)
    """

    def __init__(self, drawing: Drawing, gradients: Mapping[int, float] | None = None) -> None:
        self.drawing = drawing
        self._gradients: Mapping[int, float] = {} if gradients is None else gradients

    @property
    def gradients(self) -> dict[int, float]:
        """The L2 norm of the gradient by the key of a node; empty until ``backward()`` has run."""
        return dict(self._gradients)

    @cached_property
    def _layout(self) -> Layout:
        return lay_out(self.drawing)

    def to_svg(self) -> str:
        """Return the picture as an SVG element, the same bytes for the same graph."""
        return to_svg(self.drawing, self._layout, self._gradients)

    def to_dot(self) -> str:
        """Return the graph in Graphviz's DOT language."""
        return to_dot(self.drawing, self._gradients)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the graph to a file.

        Parameters
        ----------
        path : str or path-like
            The file to write; its suffix selects the format: ``.svg`` a picture, ``.dot`` or ``.gv`` Graphviz's
            language.

        Returns
        -------
        pathlib.Path
            The file that was written.

        Raises
        ------
        InvalidArgument
            The suffix is unsupported.
        """
        path = Path(path)
        forms = {".svg": self.to_svg, ".dot": self.to_dot, ".gv": self.to_dot}
        if path.suffix.lower() not in forms:
            raise InvalidArgument(f"path must end in .svg, .dot or .gv, not {path.name!r}")
        path.write_text(forms[path.suffix.lower()](), encoding="utf-8")
        return path

    def __repr__(self) -> str:
        """Return the size of the graph."""
        return f"<ComputationalGraph {self.drawing.title}>"

    def _repr_svg_(self) -> str:
        return self.to_svg()

    def _repr_html_(self) -> str:
        # Within HTML the picture scrolls and has tooltips. It keeps its size: notebooks shrink pictures to the width of
        # the page, which would make a graph of many steps illegible.
        full_size = self.to_svg().replace("<svg ", '<svg style="max-width: none" ', 1)
        return f'<div style="overflow-x: auto; max-width: 100%">{full_size}</div>'

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/html": self._repr_html_(), "image/svg+xml": self.to_svg(), "text/plain": repr(self)}


# SVG ------------------------------------------------------------------------------------------------------------------


def to_svg(drawing: Drawing, layout: Layout, gradients: Mapping[int, float]) -> str:
    """Return the picture as one SVG element; `gradients` has the norm for each node that has one."""
    w, h = _n(layout.width), _n(layout.height)
    short = _bar_lengths(gradients)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}" role="img" '
        f'font-family="{_FONT}" font-size="11" fill="{_INK}">',
        f"<title>{_text(drawing.title)}</title>",
        f"<desc>{_text(drawing.description)}</desc>",
        # A white background keeps the picture readable on a dark page.
        f'<rect width="{w}" height="{h}" rx="8" fill="{_PAPER}"/>',
        *_header(drawing, bool(gradients)),
        *(line for band in layout.bands if band.heading for line in _band(band)),
    ]
    if layout.shelf:
        parts.append(_label(layout.shelf[0].x, HEADER + 16, "parameters", f'font-weight="bold" fill="{_SOFT}"'))
    lines = [_line(route, drawing) for route in layout.routes]
    # Draw heads last, so that no line covers the head of another.
    parts += [line for line, _ in lines] + [head for _, head in lines]
    names = short_names(drawing)
    for card in (*layout.shelf, *layout.cards):
        parts += _card(card, drawing.nodes, names, gradients, short)
    return "\n".join([*parts, "</svg>", ""])


def _text(text: str) -> str:
    # XML allows no control characters, escaped or not.
    return escape("".join(c if c.isprintable() or c == "\n" else "�" for c in text))


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _label(x: float, y: float, text: str, attributes: str = "") -> str:
    return f'<text x="{_n(x)}" y="{_n(y)}"{attributes and " " + attributes}>{_text(text)}</text>'


def _box(x: float, y: float, width: float, height: float, radius: float, attributes: str) -> str:
    return f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}" rx="{_n(radius)}" {attributes}/>'


def _header(drawing: Drawing, gradients: bool) -> Iterable[str]:
    yield _label(MARGIN, 24, drawing.title, 'font-size="13" font-weight="bold"')
    x, y = MARGIN, 43.0
    kinds = {node.kind for node in drawing.nodes}
    for kind in _FILLS:
        if kind in kinds:
            yield _box(x, y - 9, 12, 11, 2, f'fill="{_FILLS[kind]}" stroke="{_STROKES[kind]}"')
            yield _label(x + 17, y, kind, f'fill="{_SOFT}"')
            x += 30 + text_width(kind, 11)
    if any(node.emphasis == "state" for node in drawing.nodes):
        word = "state, on to the next step"
        yield f'<path d="M{_n(x)} {_n(y - 4)}h18" stroke="{_GREEN}" stroke-width="2"/>'
        yield _label(x + 23, y, word, f'fill="{_SOFT}"')
        x += 36 + text_width(word, 11)
    if gradients:
        yield _box(x, y - 5, 18, 4, 2, f'fill="{_PURPLE}"')
        yield _label(x + 23, y, "∇ size of the gradient (bar: log scale)", f'fill="{_SOFT}"')


def _band(band: Band) -> Iterable[str]:
    yield _box(band.x, band.y, band.width, band.height, 6, f'fill="{_BAND}"')
    attributes = f'text-anchor="middle" font-weight="bold" fill="{_SOFT}"'
    yield _label(band.x + band.width / 2, band.y + 16, band.heading, attributes)


def _line(route: Route, drawing: Drawing) -> tuple[str, str]:
    """Return the line of a route, and its head."""
    carried = drawing.nodes[route.source].emphasis == "state" and route.tracks
    colour, width = (_GREEN, 1.6) if carried else (_LINE, 1.2)
    path = _right_angled(route.points) if route.tracks else _curved(route.points)
    x, y = route.points[-1]
    return (
        f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>',
        f'<path d="M{_n(x)} {_n(y)}l-3.5 -6h7z" fill="{colour}"/>',
    )


def _right_angled(points: tuple[tuple[float, float], ...], radius: float = 4.0) -> str:
    """Draw straight segments with rounded corners."""
    x, y = points[0]
    path = [f"M{_n(x)} {_n(y)}"]
    for before, (x, y), after in zip(points, points[1:], points[2:], strict=False):
        # At most half of the shorter segment, so that two corners never overlap.
        near = min(radius, math.dist(before, (x, y)) / 2, math.dist((x, y), after) / 2)
        (ax, ay), (bx, by) = _toward((x, y), before, near), _toward((x, y), after, near)
        path.append(f"L{_n(ax)} {_n(ay)}Q{_n(x)} {_n(y)} {_n(bx)} {_n(by)}")
    x, y = points[-1]
    return "".join([*path, f"L{_n(x)} {_n(y - 4)}"])


def _toward(start: tuple[float, float], end: tuple[float, float], distance: float) -> tuple[float, float]:
    whole = math.dist(start, end) or 1.0
    return tuple(a + (b - a) * distance / whole for a, b in zip(start, end, strict=True))  # type: ignore[return-value]


def _curved(points: tuple[tuple[float, float], ...]) -> str:
    x, y = points[0]
    path = [f"M{_n(x)} {_n(y)}"]
    for index, (nx, ny) in enumerate(points[1:], 2):
        ny -= 4 if index == len(points) else 0
        path.append(f"C{_n(x)} {_n((y + ny) / 2)} {_n(nx)} {_n((y + ny) / 2)} {_n(nx)} {_n(ny)}")
        x, y = nx, ny
    return "".join(path)


def _bar_lengths(gradients: Mapping[int, float]) -> dict[int, float]:
    """Return the length of each node's bar, from 0 to 1, on a log scale of at least three decades."""
    logs = {key: math.log10(norm) for key, norm in gradients.items() if 0 < norm < math.inf}
    if not logs:
        return {}
    high = max(logs.values())
    low = min(*logs.values(), high - 3)
    return {key: 0.04 + 0.96 * (log - low) / (high - low) for key, log in logs.items()}


def _card(
    card: Card,
    nodes: tuple[GraphNode, ...],
    names: Mapping[int, str],
    gradients: Mapping[int, float],
    bars: Mapping[int, float],
) -> Iterable[str]:
    node = nodes[card.key]
    stroke = _STROKES.get(node.kind) or _EDGES[node.emphasis]
    fill = _FILLS.get(node.kind, _PAPER)
    yield f"<g><title>{_tooltip(node, gradients)}</title>"
    width = 1.8 if node.emphasis else 1.1
    yield _box(card.x, card.y, card.width, card.height, 5, f'fill="{fill}" stroke="{stroke}" stroke-width="{width}"')
    y = card.y
    for chip in card.chips:
        yield from _chip(card, chip, y, nodes[chip.key], gradients)
        y += CHIP
    label = names[card.key] if node.leaf else shortened(node.label)
    bold = ' font-weight="bold"' if node.leaf or node.emphasis or "=" in node.label else ""
    yield _label(card.x + 8, y + 13, label, bold.strip())
    y += LABEL
    for line in node.details:
        yield _label(card.x + 8, y + 9, shortened(line), f'font-size="9.5" fill="{_SOFT}"')
        y += DETAIL
    if card.key in gradients:
        top = y - DETAIL * len(node.details) + 9
        attributes = f'font-size="9.5" text-anchor="end" fill="{_INK}"'
        yield _label(card.x + card.width - 8, top, f"∇ {compact(gradients[card.key])}", attributes)
    if card.key in bars:
        length = bars[card.key] * (card.width - 16)
        yield _box(card.x + 8, card.y + card.height - BAR + 1, length, 3, 1.5, f'fill="{_PURPLE}"')
    yield "</g>"


def _chip(card: Card, chip: Chip, y: float, node: GraphNode, gradients: Mapping[int, float]) -> Iterable[str]:
    yield f"<g><title>{_tooltip(node, gradients)}</title>"
    attributes = f'fill="{_FILLS[node.kind]}" stroke="{_STROKES[node.kind]}" stroke-width="0.7"'
    yield _box(card.x + 4, y + 4, card.width - 8, CHIP - 2, 3, attributes)
    yield _label(card.x + 9, y + 14, chip.text, 'font-size="9.5"')
    if chip.note:
        attributes = f'font-size="9.5" text-anchor="end" fill="{_SOFT}"'
        yield _label(card.x + card.width - 9, y + 14, chip.note, attributes)
    yield "</g>"


def _tooltip(node: GraphNode, gradients: Mapping[int, float]) -> str:
    lines = list(node.tooltip)
    if node.key in gradients:
        lines.append(f"gradient: L2 norm {gradients[node.key]:.6g}")
    return _text("\n".join(lines))


# DOT ------------------------------------------------------------------------------------------------------------------

_LOOKS = {"operation": f'shape=box, style="rounded,filled", fillcolor="{_PAPER}"'} | {
    kind: f'shape=box, style="filled", fillcolor="{fill}", color="{_STROKES[kind]}"' for kind, fill in _FILLS.items()
}


def to_dot(drawing: Drawing, gradients: Mapping[int, float]) -> str:
    """Return a ``digraph``: every node once, an edge for each operand, a cluster for each column with a heading."""
    lines = [
        "digraph {",
        "  rankdir=LR;",
        f"  label={_quoted(drawing.title)};",
        '  node [fontname="Helvetica", fontsize=11];',
    ]
    for column, heading in enumerate(drawing.columns):
        inside = [_node(n, gradients) for n in drawing.nodes if not n.leaf and n.column == column]
        if heading:
            inside = [f"  subgraph cluster_{column} {{", f"    label={_quoted(heading)};", *inside, "  }"]
        lines += inside
    lines += [_node(node, gradients) for node in drawing.nodes if node.leaf]
    for node in drawing.nodes:
        lines += [f"  n{operand} -> n{node.key};" for operand in node.inputs]
    lines += [f"  n{state} -> n{reader} [constraint=false];" for state, reader in drawing.loops]
    return "\n".join([*lines, "}", ""])


def _node(node: GraphNode, gradients: Mapping[int, float]) -> str:
    lines = [node.label, *node.details]
    if node.key in gradients:
        lines.append(f"∇ {compact(gradients[node.key])}")
    return f"    n{node.key} [label={_quoted(chr(10).join(lines))}, {_LOOKS[node.kind]}];"


def _quoted(text: str) -> str:
    # A backslash starts an escape in DOT labels, so a literal one is doubled; a new line becomes an escape.
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\0", "") + '"'
