"""Place a `Drawing` on the plane: a column for each step, side by side, and lines between them.

Within a column operations stand in layers, inputs above what reads them (Sugiyama, Tagawa and Toda, 1981). Leaves are
not drawn as nodes with arrows of their own: each is a chip on the card of the operation that reads it, and parameters
are listed once on a shelf at the left. What goes from column to column runs in its own tracks between the cards, as on
a circuit board.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

from myrnn.graphs._layers import Item, arrange, layers_in_order, layers_of
from myrnn.graphs._measure import Chip, Size, measure, short_names, text_width
from myrnn.graphs._record import Drawing

Point = tuple[float, float]

MARGIN = 16.0
HEADER = 58.0
HEADING = 26.0  # over a column
_GAP = 22.0  # between layers, without tracks
_TRACK = 7.0
_GUTTER = 26.0  # between columns, without tracks
_SHELF_HEIGHT = 420.0


@dataclass(frozen=True)
class Card:
    """The box of a node."""

    key: int
    x: float
    y: float
    width: float
    height: float
    chips: tuple[Chip, ...] = ()


@dataclass(frozen=True)
class Route:
    """A line from card to card: right-angled in tracks when `tracks`, else a curve through the points."""

    source: int
    target: int
    points: tuple[Point, ...]
    tracks: bool


@dataclass(frozen=True)
class Band:
    """The ground of a column."""

    heading: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """Where everything stands, in px from the upper left corner."""

    width: float
    height: float
    cards: tuple[Card, ...]
    shelf: tuple[Card, ...]
    routes: tuple[Route, ...]
    bands: tuple[Band, ...]


def lay_out(drawing: Drawing) -> Layout:
    """Place every card, line and column."""
    return _Placement(drawing).finish()


class _Placement:
    """The running state of one layout: columns are measured first, then set side by side, then joined by lines."""

    def __init__(self, drawing: Drawing) -> None:
        self.drawing = drawing
        names = short_names(drawing)
        self.sizes: list[Size] = [measure(node, drawing.nodes, names, drawing.rolled) for node in drawing.nodes]
        self.members: list[list[int]] = [[] for _ in drawing.columns]
        for node in drawing.nodes:
            if not node.leaf:
                self.members[node.column].append(node.key)
        nodes = drawing.nodes
        edges = [(s, t) for s, t in drawing.edges() if not nodes[s].leaf]
        self.inner: list[list[tuple[int, int]]] = [[] for _ in drawing.columns]
        self.crossing = [e for e in edges if nodes[e[0]].column != nodes[e[1]].column] + list(drawing.loops)
        for source, target in edges:
            if nodes[source].column == nodes[target].column:
                self.inner[nodes[source].column].append((source, target))
        self.layer: dict[int, int] = {}
        self.items: list[list[list[Item]]] = []
        self.cards: dict[int, Card] = {}
        self.routes: list[Route] = []

    def finish(self) -> Layout:
        left_readers = {target for _, target in self.crossing}
        for members, inner in zip(self.members, self.inner, strict=True):
            layers = self._rolled_layers(members, inner) if self.drawing.rolled else layers_of(members, inner)
            widths = {key: self.sizes[key].width for key in members}
            self.items.append(arrange(layers, inner, widths, left_readers))
            self.layer.update(
                {item.key: row for row, items in enumerate(self.items[-1]) for item in items if item.real}
            )
        shelf, left = self._shelf()
        self._tracks()
        right = self._place_columns(left)
        bottom = max([card.y + card.height for card in [*self.cards.values(), *shelf]], default=HEADER)
        bottom = max([bottom, *self.floor])
        lanes = self._lanes(bottom)
        self._draw_crossing(lanes)
        bottom = max([bottom, *lanes.values()]) + MARGIN
        bands = tuple(
            Band(heading, x - 10, HEADER, width + 20, bottom - HEADER - 4)
            for heading, (x, width) in zip(self.drawing.columns, self.extent, strict=True)
        )
        title = text_width(self.drawing.title, 13) + 2 * MARGIN
        width = max(right + MARGIN, title, 620)
        cards = tuple(self.cards[key] for key in sorted(self.cards))
        return Layout(width, bottom + MARGIN - 8, cards, shelf, tuple(self.routes), bands)

    def _rolled_layers(self, members: list[int], inner: list[tuple[int, int]]) -> list[list[int]]:
        """Let the states enter at the top, side by side; what stands before them goes one below the other."""
        entered = {target for _, target in self.drawing.loops}
        entries = [key for key in members if key in entered]
        rest = [key for key in members if key not in entered]
        within = [(source, target) for source, target in inner if source not in entered]
        width = max(2, round(math.sqrt(0.6 * len(rest)))) if entries else 1
        return [entries] * bool(entries) + layers_in_order(rest, within, width)

    def _shelf(self) -> tuple[tuple[Card, ...], float]:
        """List the parameters at the left, in as many columns as it takes."""
        x, y, widest = MARGIN, HEADER + HEADING, 0.0
        cards = []
        for node in self.drawing.nodes:
            if node.kind != "parameter" or self.drawing.rolled:
                continue
            width, height = self.sizes[node.key].width, self.sizes[node.key].height
            if y + height > HEADER + HEADING + _SHELF_HEIGHT:
                x, y, widest = x + widest + 10, HEADER + HEADING, 0.0
            cards.append(Card(node.key, x, y, width, height))
            y, widest = y + height + 8, max(widest, width)
        return tuple(cards), x + widest + (14 if cards else 0)

    def _tracks(self) -> None:
        """Give each source its own track in every gap between layers and every gutter between columns that it uses."""
        nodes = self.drawing.nodes
        self.gap: dict[tuple[int, int], dict[tuple[str, int], int]] = defaultdict(dict)
        self.gutter: dict[int, dict[int, int]] = defaultdict(dict)
        self.far: dict[int, int] = {}
        loops = set(self.drawing.loops)
        for edge in self.crossing:
            source, target = edge
            start, end = nodes[source].column, nodes[target].column
            out = end if edge in loops else start + 1
            exits = self.gap[start, self.layer[source] + 1]
            exits.setdefault(("exit", source), len(exits))
            self.gutter[out].setdefault(source, len(self.gutter[out]))
            self.gutter[end].setdefault(source, len(self.gutter[end]))
            if end > out:
                self.far[source] = max(end, self.far.get(source, end))
        for source, target in self.crossing:
            entries = self.gap[nodes[target].column, self.layer[target]]
            entries.setdefault(("entry", source), len(entries))

    def _place_columns(self, x: float) -> float:
        self.extent: list[tuple[float, float]] = []
        self.floor: list[float] = [0.0]
        self.gutter_start: dict[int, float] = {}
        self.gap_start: dict[tuple[int, int], float] = {}
        for column, layers in enumerate(self.items):
            tracks = len(self.gutter[column])
            self.gutter_start[column] = x + (_GUTTER + _TRACK) / 2
            x += _GUTTER + _TRACK * tracks
            width = max([item.x + item.width / 2 for items in layers for item in items], default=88.0)
            self._place_column(column, layers, x)
            self.extent.append((x, width))
            x += width
        return x + 10

    def _place_column(self, column: int, layers: list[list[Item]], x: float) -> None:
        y = HEADER + HEADING
        at: dict[tuple[int, ...], tuple[Point, Point]] = {}
        top_of: list[float] = []
        for row, items in enumerate(layers):
            self.gap_start[column, row] = y + 4
            tracks = len(self.gap[column, row])
            y += _TRACK * tracks + ((_GAP if row else 8.0) if tracks or row else 0.0)
            top_of.append(y)
            tallest = max(self.sizes[item.key].height if item.real else 0.0 for item in items)
            for item in items:
                if item.real:
                    size = self.sizes[item.key]
                    # Cards of a layer stand on one line, so that what they give starts at one height.
                    left, top = x + item.x - size.width / 2, y + tallest - size.height
                    self.cards[item.key] = Card(item.key, left, top, size.width, size.height, size.chips)
                else:
                    # Straight down between the cards of the layer.
                    at[item.chain] = ((x + item.x, y), (x + item.x, y + tallest))
            y += tallest
        below = self.gap[column, len(layers)]
        self.gap_start[column, len(layers)] = y + 10
        self.floor.append(y + (10 + _TRACK * len(below) if below else 0.0))
        for source, target in self.inner[column]:
            passed = range(self.layer[source] + 1, self.layer[target])
            between = [point for row in passed for point in at[source, target, row]]
            head, top = self._head(source, target), top_of[self.layer[target]]
            # Down to a card that is lower than others of its layer the line runs straight, between these.
            last = (head,) if head[1] < top + 1 else ((head[0], top), head)
            self.routes.append(Route(source, target, (self._foot(source), *between, *last), False))

    def _foot(self, source: int) -> Point:
        card = self.cards[source]
        return card.x + card.width / 2, card.y + card.height

    def _head(self, source: int, target: int) -> Point:
        """Spread the lines that enter a card over its upper edge, in the order in which they come from the left."""
        card, nodes = self.cards[target], self.drawing.nodes
        loops = [s for s, t in self.drawing.loops if t == target]
        entering = [i for i in dict.fromkeys(nodes[target].inputs) if not nodes[i].leaf] + loops

        def side(key: int) -> tuple[bool, float]:
            inner = nodes[key].column == nodes[target].column and key not in loops
            return inner, self.cards[key].x + self.cards[key].width / 2 if inner else self.cards[key].y

        place = sorted(entering, key=side).index(source) + 1
        return card.x + card.width * place / (len(entering) + 1), card.y

    def _lanes(self, bottom: float) -> dict[int, float]:
        """Lead what skips columns along under all cards, in as few lanes as go without touching."""
        ends: list[int] = []
        lanes: dict[int, float] = {}
        for source in sorted(self.far, key=lambda key: (self.drawing.nodes[key].column, key)):
            start = self.drawing.nodes[source].column + 1
            lane = next((i for i, end in enumerate(ends) if end < start), len(ends))
            ends[lane : lane + 1] = [self.far[source]]
            lanes[source] = bottom + 10 + _TRACK * lane
        return lanes

    def _draw_crossing(self, lanes: dict[int, float]) -> None:
        nodes, loops = self.drawing.nodes, set(self.drawing.loops)
        for edge in self.crossing:
            source, target = edge
            start, end = nodes[source].column, nodes[target].column
            out = end if edge in loops else start + 1
            foot, head = self._foot(source), self._head(source, target)
            below = self._height(start, self.layer[source] + 1, "exit", source)
            above = self._height(end, self.layer[target], "entry", source)
            leave, enter = self._upright(out, source), self._upright(end, source)
            points = [foot, (foot[0], below), (leave, below)]
            if end > out:
                points += [(leave, lanes[source]), (enter, lanes[source])]
            points += [(enter, above), (head[0], above), head]
            self.routes.append(Route(source, target, tuple(points), True))

    def _height(self, column: int, row: int, way: str, source: int) -> float:
        return self.gap_start[column, row] + _TRACK * self.gap[column, row][way, source]

    def _upright(self, column: int, source: int) -> float:
        return self.gutter_start[column] + _TRACK * self.gutter[column][source]
