"""Joined vectors in element-wise loops, which read their parts where these are.

A loop over such vectors is split: in each range of its elements, every vector is read from one of its parts, at an
offset. Only lanes across the end of a part are read from two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from myrnn.compiler.addresses import Address, Size
from myrnn.compiler.graph import Node
from myrnn.compiler.instructions import Joined, Piece, Range
from myrnn.compiler.plan import padded
from myrnn.compiler.runtime import LANES

Parts = Sequence[tuple[Address, range]]
"""The addresses of the parts of a vector, each with the indices where its numbers are; elsewhere it is zero."""


def ranges_of(size: Size, vectors: Mapping[Node, Parts], *, compact: bool) -> tuple[Range, ...]:
    """Return the ranges of a loop that reads joined vectors."""
    shifted = {node: [(_shifted(a, node, run), run) for a, run in parts] for node, parts in vectors.items()}
    runs = [run for parts in vectors.values() for _, run in parts]
    return tuple(
        Range(
            _offset(begin) if begin else 0,
            size if end >= size.size else _offset(end),
            {node: _read(parts, range(begin, end)) for node, parts in shifted.items()},
        )
        for begin, end in _bounds(runs, size.size, 1 if compact else LANES)
    )


def _shifted(address: Address, node: Node, run: range) -> Address:
    """Return the address of the whole vector if all of it was next to a part."""
    return replace(address, size=node.size, offset=address.offset - run.start)


def _bounds(runs: Sequence[range], size: int, lanes: int) -> Iterable[tuple[int, int]]:
    """Return the ranges of whole lanes that no part begins or ends in, and the lanes that one does."""
    end = size if lanes == 1 else padded(size)
    cuts = {0, end}
    for bound in {bound for run in runs for bound in (run.start, run.stop)}:
        first = bound // lanes * lanes
        cuts |= {first, first + lanes} if first < bound else {bound}
    return pairwise(sorted(cuts))


def _read(parts: Parts, elements: range) -> Address | Joined:
    pieces = []
    for address, run in parts:
        if run.start <= elements.start and elements.stop <= run.stop:
            return address
        if run.start < elements.stop and elements.start < run.stop:
            pieces.append(Piece(_offset(run.start), _offset(run.stop), address))
    return Joined(tuple(pieces))


def _offset(number: int) -> Size:
    return Size(number, wanted="offset")
