"""An emitted program: its text, its memory, and the locations of its results."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler.addresses import Buffer, Rows
from myrnn.compiler.graph import Node
from myrnn.compiler.instructions import Interface
from myrnn.compiler.leaves import StepTable, TableRows
from myrnn.compiler.plan import padded
from myrnn.compiler.runtime import LANES

# The rows of tables after those that are known: the last steps of a sequence read them, but no trace shows their
# numbers, because the logits do not depend on them.
UNSEEN = 16


@dataclass(frozen=True)
class Memory:
    """The integers of a program, in the order in which it reads them, and the initial content of its memory."""

    # The sizes, and the offsets in the block of the parameters.
    numbers: dict[str, int]
    # The buffers of the workspace -> their names in the program, and the constant vectors in it.
    buffers: dict[Buffer, str]
    constants: dict[Node, Buffer]
    # Numbers for every step: a compiled model knows more of them when it has read longer sequences.
    by_step: dict[Buffer, StepTable]
    # Fixed indices, int32 -> the name of their offset among all of them.
    table_names: dict[bytes, str]

    @property
    def names(self) -> list[str]:
        """The names of all integers."""
        return [*self.numbers, *self.buffers.values(), *self.table_names.values()]

    def resolve(self, steps: int, sequences: int, table_rows: int = 0) -> tuple[NDArray[np.int64], int]:
        """Return the values of all names for these numbers of steps and sequences, and the size of the workspace."""
        values, at = list(self.numbers.values()), 0
        for buffer in self.buffers:
            values.append(at)
            at += self._lines(buffer, steps, sequences, table_rows) * padded(buffer.columns)
        place = 0
        for indices in self.table_names:
            values.append(place)
            place += len(indices) // 4
        # A slice of the last buffer is read in whole lanes, beyond its end.
        return np.array(values, dtype=np.int64), at + 4 * LANES

    def begins(self, sizes: NDArray[np.int64]) -> dict[Buffer, int]:
        """Return where each buffer begins, by the resolved values."""
        first = len(self.numbers)
        return dict(zip(self.buffers, sizes[first : first + len(self.buffers)].tolist(), strict=True))

    def tables(self) -> NDArray[np.int32]:
        """Return all fixed indices, concatenated."""
        return np.frombuffer(b"".join(self.table_names) or b"\0\0\0\0", dtype=np.int32).copy()

    def fill_constants(self, workspace: NDArray[np.float32], sizes: NDArray[np.int64], rows: TableRows) -> None:
        """Write the constant vectors and the known rows of tables into a workspace."""
        begins = self.begins(sizes)
        for node, buffer in self.constants.items():
            workspace[begins[buffer] : begins[buffer] + node.size] = node.numbers
        for buffer, table in self.by_step.items():
            begin, width = begins[buffer], padded(buffer.columns)
            for step, numbers in rows.get(table, {}).items():
                workspace[begin + step * width : begin + step * width + table.size] = numbers

    def forget(self, workspace: NDArray[np.float32], sizes: NDArray[np.int64], steps: int, sequences: int) -> None:
        """Write NaN over all numbers that a program computes, to detect reads before writes.

        Padding stays: programs leave zeros there, and read them.
        """
        begins = self.begins(sizes)
        for buffer in self.buffers.keys() - set(self.constants.values()) - set(self.by_step):
            begin, lines = begins[buffer], self._lines(buffer, steps, sequences)
            block = workspace[begin : begin + lines * padded(buffer.columns)].reshape(lines, -1)
            block[:, : buffer.columns] = np.nan

    def known_steps(self, rows: TableRows) -> int:
        """Return the number of steps for which the tables have numbers."""
        return max((step + 1 for table in self.by_step.values() for step in rows.get(table, ())), default=0)

    def _lines(self, buffer: Buffer, steps: int, sequences: int, table_rows: int = 0) -> int:
        rows = {
            Rows.ONE: 1,
            Rows.SEQUENCES: sequences,
            Rows.STEPS: steps,
            Rows.STATES: steps + sequences,
            Rows.TURNS: 2 * sequences,
            Rows.TABLE: table_rows + UNSEEN,
        }
        return max(1, rows[buffer.rows]) * buffer.lines


@dataclass(frozen=True, kw_only=True)
class Program(Interface):
    """An emitted program: the text of its module, and its memory."""

    source: str
    memory: Memory

    def __str__(self) -> str:
        """Return the text of its module."""
        return self.source
