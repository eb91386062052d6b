"""The size of what is written on a card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from myrnn.graphs._record import Drawing, GraphNode

CHIP = 16.0  # heights of a card's lines, in px
LABEL = 18.0
DETAIL = 13.0
BAR = 6.0


@dataclass(frozen=True)
class Chip:
    """A leaf on the card of the operation that reads it."""

    key: int
    text: str
    note: str = ""  # at its right end


@dataclass(frozen=True)
class Size:
    """The size of a card and the chips on it."""

    width: float
    height: float
    chips: tuple[Chip, ...]


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
    """Return the label of each leaf without the first words that all parameters share."""
    labels = {node.key: node.label for node in drawing.nodes if node.leaf}
    dotted = [node.label.split(".") for node in drawing.nodes if node.kind == "parameter" and "." in node.label]
    if len(dotted) > 1 and len({words[0] for words in dotted}) == 1:
        prefix = dotted[0][0] + "."
        labels = {key: label.removeprefix(prefix) for key, label in labels.items()}
    return {key: shortened(label) for key, label in labels.items()}


def measure(node: GraphNode, nodes: tuple[GraphNode, ...], names: Mapping[int, str], noted: bool = False) -> Size:
    """Return the size of the card of `node`, wide enough for its longest line; `noted` chips say how large they are."""
    chips = _chips(node, nodes, names)
    if noted:
        chips = tuple(replace(chip, note=" ".join(nodes[chip.key].details[:1])) for chip in chips)
    label = names.get(node.key, shortened(node.label))
    # As if all labels were bold; the gradient stands at the end of the first line of details.
    widths = [1.1 * text_width(label, 11) + 16, *(_chip_width(chip) for chip in chips)]
    widths += [text_width(shortened(line), 9.5) + (72 if i == 0 else 18) for i, line in enumerate(node.details)]
    height = CHIP * len(chips) + LABEL + DETAIL * len(node.details) + BAR
    return Size(max(96.0, *widths), height, chips)


def _chip_width(chip: Chip) -> float:
    return text_width(chip.text, 9.5) + (text_width(chip.note, 9.5) + 12 if chip.note else 0) + 18


def _chips(node: GraphNode, nodes: tuple[GraphNode, ...], names: Mapping[int, str]) -> tuple[Chip, ...]:
    leaves = [i for i in node.inputs if nodes[i].leaf]
    if node.infix and len(leaves) == 1:
        sides = (names[i] if nodes[i].leaf else "•" for i in node.inputs)
        return (Chip(leaves[0], f" {node.infix} ".join(sides)),)
    return tuple(Chip(i, names[i]) for i in leaves)
