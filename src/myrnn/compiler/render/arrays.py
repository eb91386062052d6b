"""The arrays of exported programs: numbers that never change, weights that do, and the memory of functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from myrnn.compiler.addresses import Buffer, Rows
from myrnn.compiler.buffers import Names
from myrnn.compiler.instructions import Phase, buffers_in
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

    def __str__(self) -> str:
        """Return it as an expression of the number of steps."""
        if not self.each_step:
            return str(self.fixed)
        return f"{f'{self.fixed} + ' if self.fixed else ''}{self.each_step} * steps"

    def of(self, steps: int) -> int:
        """Return the amount for this many steps."""
        return self.fixed + self.each_step * steps


@dataclass(frozen=True)
class Arrays:
    """The arrays of a program by buffer."""

    names: Mapping[Buffer, str]
    # Those that never change, with their numbers.
    numbers: Mapping[Buffer, Floats]
    # What a function computes.
    memory: Mapping[Buffer, Amount]
    # Parts of the weights and of their gradients, which the caller gives.
    weights: frozenset[Buffer]

    def memory_of(self, phases: Iterable[Phase]) -> list[Buffer]:
        """Return the memory of some of the phases."""
        return [buffer for buffer in buffers_in(phases) if buffer in self.memory]

    def weights_of(self, phases: Iterable[Phase]) -> list[Buffer]:
        """Return the weights and gradients of some of the phases."""
        return [buffer for buffer in buffers_in(phases) if buffer in self.weights]


def arrays_of(
    program: Portable,
    phases: Iterable[Phase],
    given: Mapping[Buffer, str],
    names: Names,
    local: Names,
    prefix: str = "",
) -> Arrays:
    """Return the arrays of phases, besides those `given` by name.

    What never changes gets one of the `names` of the file, which begins with `prefix`, all else a `local` one.
    """
    buffers = [buffer for buffer in buffers_in(phases) if buffer not in given]
    numbers = program.numbers(buffers)
    weights = frozenset(buffer for buffer in buffers if buffer.array != "w" and buffer not in numbers)
    chosen = {b: names.new(f"{prefix}{b.name}") for b in buffers if b in numbers}
    chosen |= {b: local.new(f"{'d_' * (b.array == 'g')}{b.name}") for b in buffers if b not in numbers}
    memory = {buffer: _amount(buffer) for buffer in buffers if buffer not in numbers and buffer not in weights}
    return Arrays({**chosen, **given}, numbers, memory, weights)


def _amount(buffer: Buffer) -> Amount:
    row = buffer.lines * buffer.columns
    return {
        Rows.ONE: Amount(row),
        Rows.SEQUENCES: Amount(row),
        Rows.STEPS: Amount(0, row),
        Rows.STATES: Amount(row, row),
        Rows.TURNS: Amount(2 * row),
    }[buffer.rows]
