"""The memory of native code: parameters in the layout of a program, and its buffers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler.addresses import Buffer
from myrnn.compiler.leaves import TableRows
from myrnn.compiler.plan import ParameterLayout, padded
from myrnn.compiler.program import Program
from myrnn.compiler.runtime import training

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Block:
    """Numbers in the layout of the parameters: these themselves, their gradients or an optimizer's state."""

    layouts: dict[int, ParameterLayout]
    numbers: Floats

    def _rows(self, index: int) -> tuple[Floats, NDArray[Any]]:
        """Return a parameter's numbers as laid out, and without padding in the model's shape."""
        layout = self.layouts[index]
        rows, columns = layout.stored
        padded_rows = self.numbers[layout.at : layout.at + layout.size].reshape(rows, padded(columns))
        numbers = padded_rows[:, :columns]
        return padded_rows[:, columns:], numbers.T if layout.flipped else numbers

    def write(self, index: int, array: NDArray[Any]) -> None:
        """Copy a parameter's array into the block, and zeros into its padding, where a diverged update leaves NaN."""
        padding, numbers = self._rows(index)
        padding[...] = 0
        numbers[...] = array.reshape(numbers.shape)

    def read(self, index: int, array: NDArray[Any]) -> None:
        """Copy from the block into a parameter's array."""
        # Not the other way round: an array in another memory order has no such view, only a copy.
        array[...] = self._rows(index)[1].reshape(array.shape)


class Workspace:
    """The memory of a program, for up to a number of steps, of all sequences together, and of sequences."""

    def __init__(self, program: Program, steps: int, sequences: int, rows: TableRows) -> None:
        self.memory, self.steps, self.sequences = program.memory, steps, sequences
        # The rows of tables that it has, and for how many steps.
        self.table_rows, self.known_steps = rows, program.memory.known_steps(rows)
        self.sizes, count = program.memory.resolve(steps, sequences, self.known_steps)
        self.numbers = aligned(count)
        program.memory.fill_constants(self.numbers, self.sizes, rows)
        start, lined = np.zeros(steps + 3, dtype=np.int64), np.zeros(max(steps, 1), dtype=np.int32)
        # The form that the functions of `runtime.training` take.
        self._begins = program.memory.begins(self.sizes)
        self.logits = self._begins[program.logits]
        self.arguments = training.Work(
            self.numbers,
            self.sizes,
            program.memory.tables(),
            start,
            lined,
            program.parameters.dense_size,
            program.micro_batch,
        )
        self._penalty_times = program.penalty_times
        self.penalize(1)

    def penalize(self, times: int) -> None:
        """Set how many times the penalty counts."""
        if self._penalty_times is not None:
            self.numbers[self._begins[self._penalty_times]] = times

    def rows(self, buffer: Buffer, count: int) -> Floats:
        """Return the first rows of a buffer, without their padding."""
        at, width = self._begins[buffer], padded(buffer.columns)
        return self.numbers[at : at + count * width].reshape(count, width)[:, : buffer.columns].copy()


def machine_memory() -> int:
    """Return the machine's memory in bytes; a very large number if it is unknown."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 2**63


def aligned(size: int) -> Floats:
    """Return `size` float32 zeros, aligned to 64 bytes."""
    numbers = np.zeros(size + 16, dtype=np.float32)
    offset = -(numbers.ctypes.data // 4) % 16
    return numbers[offset : offset + size]
