"""Where everything is: buffers, the rows of them that a place means, and how each kind of program writes these rows.

The emitted source holds no sizes of its own, so that one compilation serves many widths: it reads them, and all
offsets, from one array of integers, which `Memory` fills in.

A batch has its sequences side by side: at step t those that are longer than t, longest first, are rows of one matrix.
Row ``start[t] + r`` of a buffer belongs to sequence r at step t; nothing is padded. A state's rows are those before
each step, and after them one for each sequence: its last.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler.graph import Node
from myrnn.compiler.runtime import OF_PROGRAMS

LANES = 16


def padded(size: int) -> int:
    """Return the size, rounded up to whole lanes."""
    return -(-size // LANES) * LANES


class Rows(Enum):
    """How many rows a buffer has."""

    ONE = "one"
    SEQUENCES = "one for each sequence"
    STEPS = "one for each step of each sequence"
    STATES = "one for each step of each sequence, and one for each sequence"


class Over(Enum):
    """What an instruction runs over: at which moment, and over how many rows side by side."""

    ONCE = "once"
    START = "each sequence before its first step"
    STEP = "each sequence at this step"
    END = "each sequence after its last step"
    ALL = "all steps"
    LATER = "all steps but the first"


class Row(Enum):
    """Which row of a buffer a place means, as seen from the moment of an instruction."""

    NOW = "now"
    AFTER = "after"
    TOKEN = "token"


@dataclass(frozen=True)
class Buffer:
    """Numbers in a flat array: `rows` times `lines` lines of `columns` numbers, each line padded to whole lanes."""

    array: str  # ``w``, the workspace, ``p``, the parameters, or ``g``, their gradients
    name: str
    columns: int
    rows: Rows = Rows.ONE
    lines: int = 1
    begin: int = 0  # in `p` and `g`; in `w` it depends on how many steps and sequences there are


@dataclass(frozen=True)
class Place:
    """Where `size` numbers stand: a row of a buffer, from `offset` on. A single one serves all lanes."""

    buffer: Buffer
    size: int
    row: Row = Row.NOW
    offset: int = 0

    def __str__(self) -> str:
        """Return the place as an index."""
        moves = self.buffer.rows in (Rows.STEPS, Rows.STATES) or self.row is Row.TOKEN
        array = "" if self.buffer.array == "w" else f"{self.buffer.array}."
        row = f"[{self.row.value}]" if moves else ""
        return f"{array}{self.buffer.name}{row}" + (f"[{self.offset}:]" if self.offset else "")


@dataclass(frozen=True)
class Form:
    """How a kind of program writes what its instructions run over and the rows that their places mean."""

    # How many rows there are side by side; one where it is missing.
    count: dict[Over, str]
    # The row of a buffer that has several, at each moment.
    row: dict[tuple[Over, Row], str]
    # What may be read at a step, each ``name = value``; and for each sequence r.
    at_step: tuple[str, ...]
    for_each: dict[Over, tuple[str, ...]]
    # For tokens and for features, the call that makes the rows of the sequence ready.
    inputs: dict[bool, str]
    # The lines that write T, and that compute the loss and the gradient of the logits.
    length: tuple[str, ...]
    loss: tuple[str, ...]


SINGLE = Form(
    count={Over.ALL: "steps", Over.LATER: "steps - 1"},
    row={
        (Over.START, Row.AFTER): "",
        (Over.STEP, Row.NOW): "t",
        (Over.STEP, Row.AFTER): "t + 1",
        (Over.END, Row.NOW): "steps",
        (Over.ALL, Row.NOW): "",
        (Over.ALL, Row.AFTER): "1",
        (Over.LATER, Row.NOW): "1",
        (Over.LATER, Row.AFTER): "2",
    },
    at_step=("x = tokens[{first}]",),
    for_each={},
    inputs={
        True: "one_hot_rows({inputs}, tokens, begin, steps, {width}, {reverse})",
        False: "copy_rows({inputs}, features, begin, steps, {width}, {reverse})",
    },
    length=("w[{length}] = steps",),
    loss=(
        "loss, hits = cross_entropy(w, {logits}, {classes}, label, w, {gradients}, weight)",
        "loss, hits = loss * weight, int(hits == label)",
    ),
)
BATCH = Form(
    count={
        Over.START: "sequences",
        Over.STEP: "active",
        Over.END: "sequences",
        Over.ALL: "total",
        Over.LATER: "total - start[1]",
    },
    row={
        (Over.START, Row.AFTER): "after",
        (Over.STEP, Row.NOW): "row",
        (Over.STEP, Row.AFTER): "after",
        (Over.END, Row.NOW): "total",
        (Over.ALL, Row.NOW): "",
        (Over.LATER, Row.NOW): "start[1]",
    },
    at_step=("row = start[t]", "active = start[t + 1] - row", "going = start[t + 2] - start[t + 1]"),
    # The sequences that go on and those that end here lie apart.
    for_each={
        Over.START: ("after = r if r < start[1] else total + r",),
        Over.STEP: ("after = start[t + 1] + r if r < going else total + r", "x = tokens[row + r]"),
    },
    inputs={
        True: "one_hot_rows({inputs}, tokens, 0, total, {width}, False)",
        False: "line_up_rows({inputs}, features, offsets, members, start, steps, {width}, {reverse})",
    },
    length=("for r in range(sequences):", "    w[{length}] = offsets[members[r] + 1] - offsets[members[r]]"),
    loss=(
        "loss, hits = 0.0, 0",
        "for r in range(sequences):",
        "    label = labels[members[r]]",
        "    weight = class_weights[label]",
        "    one_loss, best = cross_entropy(w, {logits}, {classes}, label, w, {gradients}, share * weight)",
        "    loss += one_loss * weight",
        "    hits += int(best == label)",
    ),
)

# Names that the emitted code has for itself, beside the functions that it calls.
_OWN = (
    "p g m v w t r j s n k x np row rows steps total begin label labels learn loss one_loss hits best share mode "
    "weight class_weights tokens features offsets members sequences sizes tables start lined active going after "
    "range len int float bool tuple"
).split()
_TAKEN = frozenset(_OWN).union(*OF_PROGRAMS.values())


class Names:
    """Gives every thing one name of its own that Python accepts."""

    def __init__(self, used: Iterable[str] = ()) -> None:
        self.used = {*_TAKEN, *used}

    def new(self, wanted: str) -> str:
        """Return `wanted`, made into an identifier, with a number behind it where the name is in use."""
        stem = re.sub(r"\W+", "_", wanted).strip("_") or "value"
        if stem[0].isdigit() or keyword.iskeyword(stem):
            stem = f"v_{stem}"
        name, count = stem, 1
        while name in self.used:
            count += 1
            name = f"{stem}_{count}"
        self.used.add(name)
        return name


@dataclass(frozen=True)
class Memory:
    """The integers of a program, in the order in which it reads them, and what is in its memory at first."""

    # The sizes, and the offsets in the block of the parameters.
    numbers: dict[str, int]
    # The workspace, and the constant vectors in it.
    buffers: tuple[Buffer, ...]
    constants: dict[Node, Buffer]
    # Fixed indices, int32 -> the name of their offset among all of them.
    table_names: dict[bytes, str]

    @property
    def names(self) -> list[str]:
        """The names of all integers."""
        return [*self.numbers, *(b.name for b in self.buffers), *self.table_names.values()]

    def resolve(self, steps: int, sequences: int) -> tuple[NDArray[np.int64], int]:
        """Return the values of all names for so many steps and sequences, and the size of the workspace."""
        values, at = list(self.numbers.values()), 0
        for buffer in self.buffers:
            values.append(at)
            at += _lines(buffer, steps, sequences) * padded(buffer.columns)
        place = 0
        for indices in self.table_names:
            values.append(place)
            place += len(indices) // 4
        # A slice of the last buffer is read in whole lanes, beyond its end.
        return np.array(values, dtype=np.int64), at + 4 * LANES

    def value(self, name: str, sizes: NDArray[np.int64]) -> int:
        """Return one of the resolved values by its name."""
        return int(sizes[self.names.index(name)])

    def tables(self) -> NDArray[np.int32]:
        """Return all fixed indices, one after the other."""
        return np.frombuffer(b"".join(self.table_names) or b"\0\0\0\0", dtype=np.int32).copy()

    def fill_constants(self, workspace: NDArray[np.float32], sizes: NDArray[np.int64]) -> None:
        """Write the constant vectors into a workspace."""
        where = dict(zip(self.names, sizes.tolist(), strict=True))
        for node, buffer in self.constants.items():
            workspace[where[buffer.name] : where[buffer.name] + node.size] = node.numbers

    def forget(self, workspace: NDArray[np.float32], sizes: NDArray[np.int64], steps: int, sequences: int) -> None:
        """Write NaN over all numbers that a program computes, so that reading one before it is written shows.

        Padding stays: programs leave zeros there, and read them.
        """
        where = dict(zip(self.names, sizes.tolist(), strict=True))
        for buffer in set(self.buffers) - set(self.constants.values()):
            begin, lines = where[buffer.name], _lines(buffer, steps, sequences)
            block = workspace[begin : begin + lines * padded(buffer.columns)].reshape(lines, -1)
            block[:, : buffer.columns] = np.nan


def _lines(buffer: Buffer, steps: int, sequences: int) -> int:
    rows = {Rows.ONE: 1, Rows.SEQUENCES: sequences, Rows.STEPS: steps, Rows.STATES: steps + sequences}[buffer.rows]
    return max(1, rows) * buffer.lines
