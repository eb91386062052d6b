"""Where the emitted code finds its numbers: names for sizes and offsets, and places in the flat arrays.

The emitted source holds no sizes of its own, so that one compilation serves many widths: it reads them, and all
offsets, from one array of integers, which is filled in here. Sizes that are equal have one name; so a width that is
also the number of inputs or classes makes another text.
"""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler.graph import Node
from myrnn.compiler.runtime import OF_PROGRAMS

LANES = 16

# Names that the emitted code has for itself, beside the functions that it calls.
_OWN = (
    "p g m v w t r j s n k x np njit row rows steps total begin label labels learn loss one_loss hits best share mode "
    "weight class_weights tokens features offsets members sequences sizes tables start lined active going after "
    "range len int bool compiled"
).split()
_TAKEN = frozenset(_OWN).union(*OF_PROGRAMS.values())


def padded(size: int) -> int:
    """Return the size, rounded up to whole lanes."""
    return -(-size // LANES) * LANES


class Names:
    """Gives every thing one name of its own that Python accepts."""

    def __init__(self) -> None:
        self._used = set(_TAKEN)

    def new(self, wanted: str) -> str:
        """Return `wanted`, made into an identifier, with a number behind it where the name is in use."""
        stem = re.sub(r"\W+", "_", wanted).strip("_") or "value"
        if stem[0].isdigit() or keyword.iskeyword(stem):
            stem = f"v_{stem}"
        name, count = stem, 1
        while name in self._used:
            count += 1
            name = f"{stem}_{count}"
        self._used.add(name)
        return name


@dataclass(frozen=True)
class Place:
    """Where numbers stand: an offset in an array, and how it moves with the step and with the sequence of a batch.

    Attributes
    ----------
    array : str
    at : str
        The name of the offset.
    size : int
        How many numbers there are; a single one is spread over all lanes when it is read.
    stride : str
        The distance of two rows; empty where every step and sequence reads the same.
    step : str
        The row of the present step, such as ``row``; empty where there is one row for each sequence of the batch.
    extra : str
        What is added to the offset.
    """

    array: str
    at: str
    size: int
    stride: str = ""
    step: str = ""
    extra: str = ""

    def base(self, sequence: str = "") -> str:
        """Return the offset of the row, of sequence `sequence` where several stand side by side."""
        parts = [self.at]
        # `after` counts the sequences already: those that go on and those that end there lie apart.
        rows = self.step if self.step == "after" else " + ".join(part for part in (self.step, sequence) if part)
        if self.stride and rows:
            parts.append(f"({rows}) * {self.stride}" if "+" in rows else f"{rows} * {self.stride}")
        if self.extra:
            parts.append(self.extra)
        return " + ".join(parts)

    def first(self) -> Place:
        """Return the place of the first step."""
        return replace(self, step="1" if self.step.endswith("+ 1") else "")


@dataclass(frozen=True)
class _Buffer:
    """`rows` times (in the words of `Memory`) as many `lines` of `columns` numbers, each line padded."""

    name: str
    columns: int
    rows: str
    lines: int = 1

    @property
    def stride(self) -> int:
        return self.lines * padded(self.columns)


class Memory:
    """All sizes and offsets, by name; `resolve` gives their values.

    Rows of a buffer are counted in words: ``one``, ``sequences`` (one for each of the batch), ``steps`` (one for every
    step of every sequence), ``states`` (both).
    """

    def __init__(self, names: Names) -> None:
        self.names = names
        self._numbers: dict[str, int] = {}
        self._by_value: dict[int, str] = {}
        self._padded: dict[int, str] = {}
        self._fixed: set[str] = set()
        self._buffers: list[_Buffer] = []
        self._constants: dict[Node, str] = {}
        self._tables: dict[bytes, str] = {}

    # Sizes ---------------------------------------------------------------------------------------------------------

    def number(self, value: int, wanted: str = "n") -> str:
        """Return the name of an integer."""
        if value not in self._by_value:
            self._by_value[value] = self.names.new(wanted)
            self._numbers[self._by_value[value]] = value
        return self._by_value[value]

    def fixed(self, value: int, wanted: str) -> str:
        """Return a name of its own for an integer, also where another one has the same value."""
        name = self.names.new(wanted)
        self._numbers[name] = value
        self._fixed.add(name)
        return name

    def padded(self, size: int) -> str:
        """Return the name of a size in whole lanes: one for each size, even where both or two of them are equal."""
        if size not in self._padded:
            self._padded[size] = self.names.new(f"{self.number(size)}_padded")
            self._numbers[self._padded[size]] = padded(size)
        return self._padded[size]

    # Workspace -----------------------------------------------------------------------------------------------------

    def buffer(self, wanted: str, size: int, rows: str = "one", step: str = "") -> Place:
        """Return a place in the workspace."""
        name = self.names.new(wanted)
        self._buffers.append(_Buffer(name, size, rows))
        return Place("w", name, size, "" if rows == "one" else self.padded(size), step)

    def matrix(self, wanted: str, rows: int, columns: int) -> str:
        """Return the offset of a matrix in the workspace."""
        name = self.names.new(wanted)
        self._buffers.append(_Buffer(name, columns, "one", rows))
        return name

    def constant(self, node: Node) -> Place:
        """Return the place of a constant vector, which stands in the workspace from the beginning."""
        if node not in self._constants:
            self._constants[node] = self.buffer("constant", node.size).at
        return Place("w", self._constants[node], node.size)

    def table(self, indices: bytes) -> str:
        """Return the offset of fixed indices among the tables."""
        if indices not in self._tables:
            self._tables[indices] = self.names.new("table")
        return self._tables[indices]

    # What the host needs -------------------------------------------------------------------------------------------

    def header(self, used: set[str]) -> list[str]:
        """Return the lines that read the sizes and offsets among the names `used`."""
        parts = {
            "sizes": set(self._numbers) - self._fixed,
            "where the parameters stand in p, and their gradients in g": self._fixed,
            "where everything else stands in w": {b.name for b in self._buffers},
            "where the indices stand in tables": set(self._tables.values()),
        }
        lines = []
        for title, names in parts.items():
            chosen = [f"{name} = sizes[{i}]" for i, name in enumerate(self._all_names()) if name in names & used]
            lines += [f"# {title}", *chosen] if chosen else []
        return lines

    def _all_names(self) -> list[str]:
        return [*self._numbers, *(b.name for b in self._buffers), *self._tables.values()]

    def resolve(self, steps: int, sequences: int) -> tuple[NDArray[np.int64], int]:
        """Return the values of all names for so many steps and sequences, and the size of the workspace."""
        values, at = list(self._numbers.values()), 0
        for buffer in self._buffers:
            values.append(at)
            at += buffer.stride * _count(buffer.rows, steps, sequences)
        place = 0
        for indices in self._tables:
            values.append(place)
            place += len(indices) // 4
        # A slice of the last buffer is read in whole lanes, beyond its end.
        return np.array(values, dtype=np.int64), at + 4 * LANES

    def value(self, name: str, sizes: NDArray[np.int64]) -> int:
        """Return one of the resolved values by its name."""
        return int(sizes[self._all_names().index(name)])

    def tables(self) -> NDArray[np.int32]:
        """Return all fixed indices, one after the other."""
        return np.frombuffer(b"".join(self._tables) or b"\0\0\0\0", dtype=np.int32).copy()

    def fill_constants(self, workspace: NDArray[np.float32], sizes: NDArray[np.int64]) -> None:
        """Write the constant vectors into a workspace."""
        where = dict(zip(self._all_names(), sizes.tolist(), strict=True))
        for node, name in self._constants.items():
            workspace[where[name] : where[name] + node.size] = node.numbers

    def forget(self, workspace: NDArray[np.float32], sizes: NDArray[np.int64], steps: int, sequences: int) -> None:
        """Write NaN over all numbers that a program computes, so that reading one before it is written shows.

        Padding stays: programs leave zeros there, and read them.
        """
        constants, where = set(self._constants.values()), dict(zip(self._all_names(), sizes.tolist(), strict=True))
        for buffer in self._buffers:
            if buffer.name not in constants:
                begin, lines = where[buffer.name], buffer.lines * _count(buffer.rows, steps, sequences)
                block = workspace[begin : begin + lines * padded(buffer.columns)].reshape(lines, -1)
                block[:, : buffer.columns] = np.nan


def _count(rows: str, steps: int, sequences: int) -> int:
    count = {"one": 1, "sequences": sequences, "steps": steps, "states": steps + sequences}
    return max(1, count[rows])
