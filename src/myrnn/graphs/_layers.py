"""Layers, order and x coordinates of the operations of one column."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Edge = tuple[int, int]
_SWEEPS = 6
_SPACE = 14.0  # between cards, in px
_DUMMY = 6.0  # width of a line that passes through a layer


@dataclass(eq=False)
class Item:
    """A card in a layer, or the place where a line passes through it (`chain` is then source, target and layer)."""

    key: int
    width: float
    chain: tuple[int, ...] = ()
    x: float = 0.0

    @property
    def real(self) -> bool:
        """Whether the item is a card."""
        return not self.chain


def layers_of(members: Sequence[int], edges: Sequence[Edge]) -> list[list[int]]:
    """Put every node in a layer above all that read it, as low as it goes, and no layer much wider than the rest.

    Coffman and Graham's way, from the last layer up: of the nodes whose readers are all placed, those with the longest
    way down to them come first; what exceeds the width waits for the layer above.
    """
    readers, inputs = _neighbours(edges)
    depth: dict[int, int] = {}
    for node in members:
        depth[node] = 1 + max((depth[i] for i in inputs[node]), default=0)
    width = max(2, round(math.sqrt(0.6 * len(members))))
    waiting = {node: len(readers[node]) for node in members}
    ready = [node for node in members if not waiting[node]]
    layers: list[list[int]] = []
    while ready:
        ready.sort(key=lambda node: (-depth[node], node))
        layer, ready = ready[:width], ready[width:]
        layers.append(layer)
        for node in layer:
            for i in inputs[node]:
                waiting[i] -= 1
                if not waiting[i]:
                    ready.append(i)
    return [sorted(layer) for layer in reversed(layers)]


def layers_in_order(members: Sequence[int], edges: Sequence[Edge], width: int) -> list[list[int]]:
    """Fill layer after layer with the first nodes whose inputs all stand above, so that the given order is kept."""
    _, inputs = _neighbours(edges)
    left: list[int] = list(members)
    placed: set[int] = set()
    layers: list[list[int]] = []
    while left:
        layers.append([node for node in left if placed.issuperset(inputs[node])][:width])
        placed.update(layers[-1])
        left = [node for node in left if node not in placed]
    return layers


def arrange(
    layers: Sequence[Sequence[int]], edges: Sequence[Edge], widths: Mapping[int, float], left: Collection[int]
) -> list[list[Item]]:
    """Order each layer so that few lines cross, with x coordinates that keep them short; `left` nodes stand left."""
    items, upper, lower = _with_dummies(layers, edges, widths)
    for place, row in enumerate(items):
        row.sort(key=lambda item: (item.key not in left if item.real else True, place))
    for sweep in range(_SWEEPS):
        if sweep % 2 == 0:
            for beside, row in pairwise(items):
                _sort_by_barycentre(row, upper, beside)
        else:
            for row, beside in reversed(list(pairwise(items))):
                _sort_by_barycentre(row, lower, beside)
    _place(items, upper, lower)
    return items


def _neighbours(edges: Sequence[Edge]) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    readers: dict[int, list[int]] = defaultdict(list)
    inputs: dict[int, list[int]] = defaultdict(list)
    for source, target in edges:
        readers[source].append(target)
        inputs[target].append(source)
    return readers, inputs


Links = dict[Item, list[Item]]


def _with_dummies(
    layers: Sequence[Sequence[int]], edges: Sequence[Edge], widths: Mapping[int, float]
) -> tuple[list[list[Item]], Links, Links]:
    items = [[Item(key, widths[key]) for key in layer] for layer in layers]
    card = {item.key: item for row in items for item in row}
    layer_of = {key: index for index, layer in enumerate(layers) for key in layer}
    upper: Links = {item: [] for item in card.values()}
    lower: Links = {item: [] for item in card.values()}
    for source, target in edges:
        above = card[source]
        for row in range(layer_of[source] + 1, layer_of[target] + 1):
            below = card[target]
            if row < layer_of[target]:
                below = Item(source, _DUMMY, (source, target, row))
                items[row].append(below)
                upper[below], lower[below] = [], []
            lower[above].append(below)
            upper[below].append(above)
            above = below
    return items, upper, lower


def _sort_by_barycentre(row: list[Item], links: Links, beside: Sequence[Item]) -> None:
    if len(row) < 2:
        return
    place = {id(item): index / max(1, len(beside) - 1) for index, item in enumerate(beside)}
    own = {id(item): index / (len(row) - 1) for index, item in enumerate(row)}

    def barycentre(item: Item) -> float:
        linked = links[item]
        return sum(place[id(n)] for n in linked) / len(linked) if linked else own[id(item)]

    row.sort(key=barycentre)


def _place(items: list[list[Item]], upper: Links, lower: Links) -> None:
    for row in items:
        x = 0.0
        for item in row:
            item.x, x = x + item.width / 2, x + item.width + _SPACE
    for sweep in range(2 * _SWEEPS):
        links = upper if sweep % 2 == 0 else lower
        for row in items if sweep % 2 == 0 else reversed(items):
            wanted = [sum(n.x for n in links[item]) / len(links[item]) if links[item] else item.x for item in row]
            for item, x in zip(row, _apart(row, wanted), strict=True):
                item.x = x
    left = min((item.x - item.width / 2 for row in items for item in row), default=0.0)
    for row in items:
        for item in row:
            item.x -= left


def _apart(row: Sequence[Item], wanted: Sequence[float]) -> list[float]:
    """Move items from where they want to be as little as possible (least squares) so that none touches the next.

    Isotonic regression by pooling adjacent violators: neighbours that would overlap move together as one block.
    """
    offsets = [0.0]
    for left, right in pairwise(row):
        offsets.append(offsets[-1] + (left.width + right.width) / 2 + _SPACE)
    blocks: list[list[float]] = []  # sum and count of the blocks
    for x, offset in zip(wanted, offsets, strict=True):
        blocks.append([x - offset, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] >= blocks[-1][0] / blocks[-1][1]:
            total, count = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
    flat = [total / count for total, count in blocks for _ in range(int(count))]
    return [x + offset for x, offset in zip(flat, offsets, strict=True)]
