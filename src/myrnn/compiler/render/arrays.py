"""The arrays of an exported program: numbers that never change, and the memory of its functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from myrnn.compiler.addresses import Address, Buffer, Rows
from myrnn.compiler.buffers import Names
from myrnn.compiler.instructions import Phase, elements
from myrnn.compiler.leaves import Floats
from myrnn.compiler.portable import Portable


@dataclass(frozen=True)
class Amount:
    """How many numbers an array has: some in any case, and some for each step."""

    fixed: int
    each_step: int = 0

    def __add__(self, other: Amount) -> Amount:
        """Return the sum of both."""
        return Amount(self.fixed + other.fixed, self.each_step + other.each_step)

    def of(self, steps: int) -> int:
        """Return the amount for this many steps."""
        return self.fixed + self.each_step * steps


@dataclass(frozen=True)
class Arrays:
    """The arrays of a program by buffer: `numbers` never change, `memory` has what a function computes."""

    names: Mapping[Buffer, str]
    numbers: Mapping[Buffer, Floats]
    memory: Mapping[Buffer, Amount]

    def of(self, phases: Iterable[Phase]) -> list[Buffer]:
        """Return the memory of some of the phases."""
        return [buffer for buffer in buffers_in(phases) if buffer in self.memory]


def arrays_of(
    program: Portable, phases: Iterable[Phase], given: Mapping[Buffer, str], names: Names, prefix: str = ""
) -> Arrays:
    """Return the arrays of phases, besides those `given` by name; `prefix` begins the names of what never changes."""
    buffers = [buffer for buffer in buffers_in(phases) if buffer not in given]
    numbers = program.numbers(buffers)
    chosen = {buffer: names.new(prefix * (buffer in numbers) + buffer.name) for buffer in buffers}
    memory = {buffer: _amount(buffer) for buffer in buffers if buffer not in numbers}
    return Arrays({**chosen, **given}, numbers, memory)


def buffers_in(phases: Iterable[Phase]) -> list[Buffer]:
    """Return the buffers that phases read or write, in order."""
    return list(dict.fromkeys(part.buffer for part in elements(tuple(phases)) if isinstance(part, Address)))


def _amount(buffer: Buffer) -> Amount:
    row = buffer.lines * buffer.columns
    return {
        Rows.ONE: Amount(row),
        Rows.SEQUENCES: Amount(row),
        Rows.STEPS: Amount(0, row),
        Rows.STATES: Amount(row, row),
    }[buffer.rows]
