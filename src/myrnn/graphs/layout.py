"""Layout of a `Drawing`: a column for each step, side by side, and lines between them.

Within a column operations are in layers, inputs above their readers (Sugiyama, Tagawa and Toda, 1981). Leaves have no
arrows: each is a chip on the card of the operation that reads it, and parameters are listed once on a shelf at the
left. Lines from column to column run in separate tracks between the cards, as on a circuit board.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from itertools import pairwise
from typing import Any

from myrnn.graphs.read import Drawing, GraphNode

Point = tuple[float, float]
Edge = tuple[int, int]

# All lengths are in px. First the heights of a card's lines.
CHIP = 16.0
LABEL = 18.0
DETAIL = 13.0
BAR = 6.0
MARGIN = 16.0
HEADER = 58.0
HEADING = 26.0  # over a column
_GAP = 22.0  # between layers, without tracks
_TRACK = 7.0
_GUTTER = 26.0  # between columns, without tracks
_SPACE = 14.0  # between cards of a layer
_LINE = 6.0  # width of a line that passes through a layer
_SHELF_HEIGHT = 420.0
_SWEEPS = 6


@dataclass(frozen=True)
class Chip:
    """A leaf on the card of the operation that reads it."""

    key: int
    text: str
    note: str = ""  # at its right end


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
    """A line from card to card: right-angled in tracks if `tracks`, otherwise a curve through the points."""

    source: int
    target: int
    points: tuple[Point, ...]
    tracks: bool


@dataclass(frozen=True)
class Band:
    """The background of a column."""

    heading: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """The positions of all parts, from the upper left corner."""

    width: float
    height: float
    cards: tuple[Card, ...]
    shelf: tuple[Card, ...]
    routes: tuple[Route, ...]
    bands: tuple[Band, ...]


# The size of what is written on a card --------------------------------------------------------------------------------


def text_width(text: str, size: float) -> float:
    """Estimate the width of `text` in a sans-serif font of `size` px, rather too wide than too narrow."""
    narrow, wide = set("ijltfI.,:;|'![]()/ "), set("mwMW@%×−=+∇")  # noqa: RUF001
    ems = sum(0.36 if c in narrow else 0.86 if c in wide else 0.7 if c.isupper() else 0.62 for c in text)
    return ems * size


def shortened(text: str, limit: int = 30) -> str:
    """Cut a long text in its middle, where names differ least."""
    half = (limit - 1) // 2
    return text if len(text) <= limit else f"{text[:half]}…{text[-half:]}"


def short_names(drawing: Drawing) -> dict[int, str]:
    """Return the label of each leaf without the first word that all parameters share."""
    labels = {node.key: node.label for node in drawing.nodes if node.leaf}
    dotted = [node.label for node in drawing.nodes if node.kind == "parameter" and "." in node.label]
    first = {label.partition(".")[0] for label in dotted}
    prefix = f"{first.pop()}." if len(dotted) > 1 and len(first) == 1 else ""
    return {key: shortened(label.removeprefix(prefix)) for key, label in labels.items()}


def _measure(node: GraphNode, drawing: Drawing, names: Mapping[int, str]) -> Card:
    """Return the card of a node without a position, wide enough for its longest line."""
    chips = _chips(node, drawing, names)
    label = names.get(node.key, shortened(node.label))
    # As if all labels were bold; the gradient is at the end of the first line of details.
    widths = [1.1 * text_width(label, 11) + 16]
    widths += [text_width(c.text, 9.5) + (text_width(c.note, 9.5) + 12 if c.note else 0) + 18 for c in chips]
    widths += [text_width(shortened(line), 9.5) + (72 if i == 0 else 18) for i, line in enumerate(node.details)]
    height = CHIP * len(chips) + LABEL + DETAIL * len(node.details) + BAR
    return Card(node.key, 0, 0, max(96.0, *widths), height, chips)


def _chips(node: GraphNode, drawing: Drawing, names: Mapping[int, str]) -> tuple[Chip, ...]:
    leaves = [drawing.nodes[i] for i in node.inputs if drawing.nodes[i].leaf]
    if node.infix and len(leaves) == 1:
        text = f" {node.infix} ".join(names.get(i, "•") for i in node.inputs)
        return (Chip(leaves[0].key, text),)
    notes = (" ".join(leaf.details[:1]) if drawing.rolled else "" for leaf in leaves)
    return tuple(Chip(leaf.key, names[leaf.key], note) for leaf, note in zip(leaves, notes, strict=True))


# The layers of one column ---------------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Item:
    """A card in a layer, or the point where the line of `edge` passes through it."""

    key: int
    width: float
    edge: Edge | None = None
    x: float = 0.0
    above: list[_Item] = field(default_factory=list)
    below: list[_Item] = field(default_factory=list)


def _layers(members: Sequence[int], edges: Iterable[Edge], width: int, rank: Callable[[int], Any]) -> list[list[int]]:
    """Fill layer after layer with members whose inputs are all above, those of the lowest rank first."""
    graph = TopologicalSorter[int]({node: () for node in members})
    for source, target in edges:
        graph.add(target, source)
    graph.prepare()
    ready, layers = list[int](), list[list[int]]()
    while graph.is_active():
        ready = sorted([*ready, *graph.get_ready()], key=rank)
        layer, ready = ready[:width], ready[width:]
        layers.append(layer)
        graph.done(*layer)
    return layers


def _width(count: int) -> int:
    """Return the most cards per layer, so that a column is not much wider than high."""
    return max(2, round(math.sqrt(0.6 * count)))


def _layers_from_below(members: Sequence[int], edges: Sequence[Edge]) -> list[list[int]]:
    """Place every node as low as possible, with no layer much wider than the rest (Coffman and Graham, 1972)."""
    # From the last layer up: among the nodes whose readers are all placed, those with the longest path from above come
    # first; what exceeds the width waits for the next layer.
    depth = dict.fromkeys(members, 0)
    inputs: dict[int, list[int]] = defaultdict(list)
    for source, target in edges:
        inputs[target].append(source)
    for node in members:
        depth[node] = 1 + max((depth[i] for i in inputs[node]), default=0)
    upwards = [(target, source) for source, target in edges]
    layers = _layers(members, upwards, _width(len(members)), lambda node: (-depth[node], node))
    return [sorted(layer) for layer in reversed(layers)]


def _rolled_layers(members: Sequence[int], edges: Sequence[Edge], entered: Collection[int]) -> list[list[int]]:
    """Put the states at the top, side by side; the rest keeps its order, and what precedes the step is stacked."""
    entries = [key for key in members if key in entered]
    rest = [key for key in members if key not in entered]
    within = [(source, target) for source, target in edges if source not in entered]
    return [entries] * bool(entries) + _layers(rest, within, _width(len(rest)) if entries else 1, lambda node: node)


def _arranged(
    layers: Sequence[Sequence[int]], edges: Sequence[Edge], cards: Sequence[Card], left: Collection[int]
) -> list[list[_Item]]:
    """Order each layer to reduce crossings, with x coordinates that keep lines short; `left` nodes are at the left."""
    rows = [[_Item(key, cards[key].width) for key in layer] for layer in layers]
    found = {item.key: (row, item) for row, items in enumerate(rows) for item in items}
    for edge in edges:
        (first, above), (last, end) = found[edge[0]], found[edge[1]]
        for row in range(first + 1, last + 1):
            below = end
            if row < last:
                below = _Item(edge[0], _LINE, edge)
                rows[row].append(below)
            above.below.append(below)
            below.above.append(above)
            above = below
    for items in rows:
        items.sort(key=lambda item: item.edge is not None or item.key not in left)
    for sweep in range(_SWEEPS):
        for beside, items in pairwise(rows) if sweep % 2 == 0 else pairwise(rows[::-1]):
            _sort_by_barycentre(items, beside, "above" if sweep % 2 == 0 else "below")
    _place(rows)
    return rows


def _sort_by_barycentre(items: list[_Item], beside: Sequence[_Item], side: str) -> None:
    place = {item: index / max(1, len(beside) - 1) for index, item in enumerate(beside)}
    own = {item: index / max(1, len(items) - 1) for index, item in enumerate(items)}

    def barycentre(item: _Item) -> float:
        linked = getattr(item, side)
        return sum(place[n] for n in linked) / len(linked) if linked else own[item]

    items.sort(key=barycentre)


def _place(rows: list[list[_Item]]) -> None:
    for items in rows:
        x = 0.0
        for item in items:
            item.x, x = x + item.width / 2, x + item.width + _SPACE
    for sweep in range(2 * _SWEEPS):
        for items in rows if sweep % 2 == 0 else reversed(rows):
            wanted = []
            for item in items:
                linked = item.above if sweep % 2 == 0 else item.below
                wanted.append(sum(n.x for n in linked) / len(linked) if linked else item.x)
            for item, x in zip(items, _apart(items, wanted), strict=True):
                item.x = x
    left = min((item.x - item.width / 2 for items in rows for item in items), default=0.0)
    for item in (item for items in rows for item in items):
        item.x -= left


def _apart(items: Sequence[_Item], wanted: Sequence[float]) -> list[float]:
    """Move items as little as possible from their wanted positions (least squares) so that none touches the next."""
    # Isotonic regression by pooling adjacent violators: neighbours that would overlap move together as one block.
    offsets = [0.0]
    for left, right in pairwise(items):
        offsets.append(offsets[-1] + (left.width + right.width) / 2 + _SPACE)
    blocks: list[tuple[float, int]] = []  # sum and count
    for x, offset in zip(wanted, offsets, strict=True):
        total, count = x - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] >= total / count:
            before = blocks.pop()
            total, count = total + before[0], count + before[1]
        blocks.append((total, count))
    flat = [total / count for total, count in blocks for _ in range(count)]
    return [x + offset for x, offset in zip(flat, offsets, strict=True)]


# Columns and lines ----------------------------------------------------------------------------------------------------


def lay_out(drawing: Drawing) -> Layout:
    """Place every card, line and column."""
    return _Placement(drawing).finish()


@dataclass(frozen=True)
class _Crossing:
    """A line between columns: it leaves its own by the gutter `out` and enters the other by `into`."""

    source: int
    target: int
    out: int
    into: int


class _Placement:
    """The state of one layout: columns are measured first, then placed side by side, then connected by lines."""

    def __init__(self, drawing: Drawing) -> None:
        self.drawing, nodes = drawing, drawing.nodes
        names = short_names(drawing)
        self.cards = [_measure(node, drawing, names) for node in nodes]
        self.inner: list[list[Edge]] = [[] for _ in drawing.columns]
        self.crossing: list[_Crossing] = []
        for source, target in drawing.edges():
            start, end = nodes[source].column, nodes[target].column
            if nodes[source].leaf:
                continue
            if start == end:
                self.inner[end].append((source, target))
            else:
                self.crossing.append(_Crossing(source, target, start + 1, end))
        for source, target in drawing.loops:
            column = nodes[target].column
            self.crossing.append(_Crossing(source, target, column, column))
        self.layer: dict[int, int] = {}
        # The tracks in each gutter (by column) and in each gap between layers (by column and row).
        self.tracks: dict[int | Edge, dict[Hashable, int]] = defaultdict(dict)
        self.begins: dict[int | Edge, float] = {}
        self.floor = HEADER
        self.routes: list[Route] = []

    def finish(self) -> Layout:
        columns = self._columns()
        self._assign_tracks()
        shelf, x = self._shelf()
        extents = []
        for column, rows in enumerate(columns):
            self.begins[column] = x + (_GUTTER + _TRACK) / 2
            x += _GUTTER + _TRACK * len(self.tracks[column])
            width = max([item.x + item.width / 2 for items in rows for item in items], default=88.0)
            self._place_column(column, rows, x)
            extents.append((x, width))
            x += width
        lanes = self._lanes(max([self.floor, *(card.y + card.height for card in shelf)]))
        for crossing in self.crossing:
            self._join(crossing, lanes)
        bottom = max([self.floor, *(card.y + card.height for card in shelf), *lanes.values()]) + MARGIN
        bands = tuple(
            Band(heading, x - 10, HEADER, width + 20, bottom - HEADER - 4)
            for heading, (x, width) in zip(self.drawing.columns, extents, strict=True)
        )
        width = max(x + 10 + MARGIN, text_width(self.drawing.title, 13) + 2 * MARGIN, 620)
        cards = tuple(self.cards[node.key] for node in self.drawing.nodes if not node.leaf)
        return Layout(width, bottom + MARGIN - 8, cards, shelf, tuple(self.routes), bands)

    def _columns(self) -> list[list[list[_Item]]]:
        members: list[list[int]] = [[] for _ in self.drawing.columns]
        for node in self.drawing.nodes:
            if not node.leaf:
                members[node.column].append(node.key)
        entered = {target for _, target in self.drawing.loops}
        left = {crossing.target for crossing in self.crossing}
        columns = []
        for keys, edges in zip(members, self.inner, strict=True):
            layers = _rolled_layers(keys, edges, entered) if self.drawing.rolled else _layers_from_below(keys, edges)
            self.layer |= {key: row for row, layer in enumerate(layers) for key in layer}
            columns.append(_arranged(layers, edges, self.cards, left))
        return columns

    def _shelf(self) -> tuple[tuple[Card, ...], float]:
        """List the parameters at the left, in as many columns as needed; also return where the shelf ends."""
        x, y, widest = MARGIN, HEADER + HEADING, 0.0
        shelf = []
        for node in self.drawing.nodes:
            if node.kind != "parameter" or self.drawing.rolled:
                continue
            card = self.cards[node.key]
            if y + card.height > HEADER + HEADING + _SHELF_HEIGHT:
                x, y, widest = x + widest + 10, HEADER + HEADING, 0.0
            shelf.append(Card(node.key, x, y, card.width, card.height))
            y, widest = y + card.height + 8, max(widest, card.width)
        return tuple(shelf), x + widest + (14 if shelf else 0)

    def _assign_tracks(self) -> None:
        """Give each source a separate track in every gap between layers and every gutter that it uses."""

        def use(place: int | Edge, user: Hashable) -> None:
            self.tracks[place].setdefault(user, len(self.tracks[place]))

        for c in self.crossing:
            use(self._below(c), ("exit", c.source))
            use(c.out, c.source)
            use(c.into, c.source)
        for c in self.crossing:
            use(self._above(c), ("entry", c.source))

    def _below(self, c: _Crossing) -> Edge:
        """Return the gap below the source."""
        return self.drawing.nodes[c.source].column, self.layer[c.source] + 1

    def _above(self, c: _Crossing) -> Edge:
        """Return the gap above the target."""
        return self.drawing.nodes[c.target].column, self.layer[c.target]

    def _track(self, place: int | Edge, user: Hashable) -> float:
        return self.begins[place] + _TRACK * self.tracks[place][user]

    def _place_column(self, column: int, rows: list[list[_Item]], x: float) -> None:
        y = HEADER + HEADING
        passed: dict[Edge, list[Point]] = defaultdict(list)
        tops = []
        for row, items in enumerate(rows):
            self.begins[column, row] = y + 4
            tracks = len(self.tracks[column, row])
            y += _TRACK * tracks + (_GAP if row else 8.0 if tracks else 0.0)
            tops.append(y)
            bottom = y + max(self.cards[item.key].height if item.edge is None else 0.0 for item in items)
            for item in items:
                if item.edge is None:
                    # The cards of a layer share a line, so their outputs start at one height.
                    card = self.cards[item.key]
                    place = x + item.x - card.width / 2, bottom - card.height
                    self.cards[item.key] = Card(item.key, *place, card.width, card.height, card.chips)
                else:
                    # Straight down between the cards of the layer.
                    passed[item.edge] += [(x + item.x, y), (x + item.x, bottom)]
            y = bottom
        self.begins[column, len(rows)] = y + 10
        below = len(self.tracks[column, len(rows)])
        self.floor = max(self.floor, y + (10 + _TRACK * below if below else 0.0))
        for source, target in self.inner[column]:
            head, top = self._head(source, target), tops[self.layer[target]]
            # The line runs straight down to a card that is lower than others of its layer, between these.
            last = (head,) if head[1] < top + 1 else ((head[0], top), head)
            points = (self._foot(source), *passed[source, target], *last)
            self.routes.append(Route(source, target, points, tracks=False))

    def _foot(self, source: int) -> Point:
        card = self.cards[source]
        return card.x + card.width / 2, card.y + card.height

    def _head(self, source: int, target: int) -> Point:
        """Spread the lines that enter a card over its upper edge, ordered from left to right by origin."""
        card, nodes = self.cards[target], self.drawing.nodes
        loops = [s for s, t in self.drawing.loops if t == target]
        entering = [i for i in dict.fromkeys(nodes[target].inputs) if not nodes[i].leaf] + loops

        def side(key: int) -> tuple[bool, float]:
            inner = nodes[key].column == nodes[target].column and key not in loops
            return inner, self._foot(key)[0] if inner else self.cards[key].y

        place = sorted(entering, key=side).index(source) + 1
        return card.x + card.width * place / (len(entering) + 1), card.y

    def _lanes(self, bottom: float) -> dict[int, float]:
        """Route lines that skip columns below all cards, in as few tracks as possible."""
        spans: dict[int, tuple[int, int]] = {}
        for c in self.crossing:
            if c.into > c.out:
                spans[c.source] = c.out, max(c.into, *spans.get(c.source, (0, 0)))
        ends: list[int] = []
        lanes: dict[int, float] = {}
        for source, (start, end) in sorted(spans.items(), key=lambda item: (item[1][0], item[0])):
            lane = next((i for i, busy in enumerate(ends) if busy < start), len(ends))
            ends[lane : lane + 1] = [end]
            lanes[source] = bottom + 10 + _TRACK * lane
        return lanes

    def _join(self, c: _Crossing, lanes: Mapping[int, float]) -> None:
        foot, head = self._foot(c.source), self._head(c.source, c.target)
        below, above = self._track(self._below(c), ("exit", c.source)), self._track(self._above(c), ("entry", c.source))
        leave, enter = self._track(c.out, c.source), self._track(c.into, c.source)
        points = [foot, (foot[0], below), (leave, below)]
        if c.into > c.out:
            points += [(leave, lanes[c.source]), (enter, lanes[c.source])]
        points += [(enter, above), (head[0], above), head]
        self.routes.append(Route(c.source, c.target, tuple(points), tracks=True))
