"""Recording of `dropout` and `noise` while a model is traced: the calls, and their leaves."""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from mygrad import Tensor

from myrnn.compiler.graph import Builder
from myrnn.compiler.leaves import CallResult
from myrnn.compiler.values import Value, plain
from myrnn.errors import CompileError
from myrnn.randomness import Draw, Sites


@dataclass(frozen=True)
class DrawCall:
    """A call of `dropout` or `noise` in a trace, from a line of a file."""

    site: int
    draw: Draw
    tensor: Any
    line: tuple[str, int]


class Recording:
    """Gives a traced model neutral numbers, as tensors that are leaves of its graph."""

    def __init__(self) -> None:
        self._sites = Sites()
        self.calls: list[DrawCall] = []

    def draw(self, draw: Draw, h: Any) -> Tensor:
        """Return a tensor of the shape of `h`."""
        site, frame = self._sites.number(), sys._getframe(3)
        numbers = np.full(h.shape, draw.neutral, dtype=h.dtype if h.dtype.kind == "f" else np.float32)
        line = frame.f_code.co_filename, frame.f_lineno
        self.calls.append(DrawCall(site, draw, Tensor(numbers, constant=True), line))
        return self.calls[-1].tensor


@dataclass(frozen=True)
class SiteUse:
    """How a trace uses a site: number and size of leaves, line of the first call, and whether calls draw by rows."""

    site: int
    draw: Draw
    leaves: int
    size: int
    line: tuple[str, int]
    of_rows: bool
    length: int


def values_of(
    calls: Sequence[DrawCall], length: int, build: Builder, whole: Collection[int]
) -> tuple[dict[int, Value], tuple[SiteUse, ...]]:
    """Return the values of the drawn tensors, by their ids, and the use of each site."""
    # The sites in `whole` do not draw by rows, even if the number of rows matches by chance.
    values: dict[int, Value] = {}
    uses: dict[int, SiteUse] = {}
    for call in calls:
        shape, size = call.tensor.shape, call.tensor.size
        if not size:
            values[id(call.tensor)] = Value((), shape, 0)
            continue
        of_rows = len(shape) > 1 and shape[0] == length > 1 and call.site not in whole
        rows = length if of_rows else 1
        use = uses.setdefault(call.site, SiteUse(call.site, call.draw, 0, size // rows, call.line, of_rows, length))
        if (use.draw, use.size) != (call.draw, size // rows):
            what = "another number" if use.draw != call.draw else "another shape"
            raise CompileError(
                f"a line draws with {what} from call to call: write a line for each.\n  {line_of_code(call.line)}"
            )
        first, last = use.leaves, use.leaves + rows
        uses[call.site] = replace(use, leaves=last)
        leaves = [build.leaf(CallResult(i, call.site, call.draw), use.size) for i in range(first, last)]
        values[id(call.tensor)] = Value(tuple(leaves), shape, 0) if of_rows else plain(leaves[0], shape)
    return values, tuple(uses.values())


def line_of_code(line: tuple[str, int]) -> str:
    """Return a line of a file with its number, as messages show it."""
    file, number = line
    return f"{os.path.basename(file)}:{number}   {linecache.getline(file, number).strip()}"
