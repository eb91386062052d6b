"""The memory of an emitted program: blocks in the layout of the parameters, and the workspaces that it runs in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler._memory import Memory, padded
from myrnn.compiler._weights import ParameterLayout

Floats = NDArray[np.float32]


class Block:
    """A flat, aligned block of numbers in the layout of the parameters: they, gradients or an optimizer's memory."""

    def __init__(self, layouts: dict[int, ParameterLayout], size: int, copies: int = 1) -> None:
        self.numbers = aligned(size * copies)
        self._rows = {}
        for index, layout in layouts.items():
            rows, columns = (layout.columns, layout.rows) if layout.flipped else (layout.rows, layout.columns)
            block = self.numbers[layout.at : layout.at + layout.size].reshape(rows, padded(columns))
            self._rows[index] = block, columns, layout

    def _view(self, index: int) -> NDArray[Any]:
        """Return a parameter's numbers as a matrix, without the padding of its rows."""
        rows, columns, layout = self._rows[index]
        return rows[:, :columns].T if layout.flipped else rows[:, :columns]

    def write(self, index: int, array: NDArray[Any]) -> None:
        """Copy a parameter's array into the block, and zeros into its padding, where a diverged update leaves NaN."""
        rows, columns, layout = self._rows[index]
        rows[:, columns:] = 0
        self._view(index)[...] = array.reshape(layout.rows, layout.columns)

    def read(self, index: int, array: NDArray[Any]) -> None:
        """Copy from the block into a parameter's array."""
        # Not the other way round: an array in another order of memory has no such view, only a copy.
        array[...] = self._view(index).reshape(array.shape)


@dataclass
class Workspace:
    """The memory that a program runs in, for so many steps and sequences."""

    steps: int
    sequences: int
    numbers: Floats
    sizes: NDArray[np.int64]
    start: NDArray[np.int64]
    lined: NDArray[np.int32]

    @classmethod
    def of(cls, memory: Memory, steps: int, sequences: int) -> Workspace:
        """Return what the memory of a program comes to, its constants filled in."""
        sizes, count = memory.resolve(steps, sequences)
        numbers = aligned(count)
        memory.fill_constants(numbers, sizes)
        start, lined = np.zeros(steps + 3, dtype=np.int64), np.zeros(max(steps, 1), dtype=np.int32)
        return cls(steps, sequences, numbers, sizes, start, lined)


def aligned(size: int) -> Floats:
    """Return `size` float32 zeros, aligned to 64 bytes."""
    numbers = np.zeros(size + 16, dtype=np.float32)
    offset = -(numbers.ctypes.data // 4) % 16
    return numbers[offset : offset + size]
