"""The kinds of nodes without inputs: what the value of such a node is.

Most are a number of something: of a parameter, a state, a value that a loop keeps. A `Row` is the value of a leaf that
steps read, at one step: traces have rows, steps have the leaves themselves. `Given` leaves are numbers that differ from
step to step, or from sequence to sequence, but depend on no state: each knows how to give them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from myrnn.randomness import Draw

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Leaf:
    """The kind of a node without inputs."""

    def __str__(self) -> str:
        """Return its name with its numbers, such as ``loop_state_1``."""
        name = re.sub(r"(?<!^)([A-Z])", r"_\1", type(self).__name__).lower()
        return "_".join(map(str, (name, *(getattr(self, one.name) for one in fields(self)))))


AnyLeaf = TypeVar("AnyLeaf", bound=Leaf)


@dataclass(frozen=True)
class Numbered(Leaf):
    """One of several leaves of a kind, by its number."""

    number: int


# What a model is made of ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Constant(Leaf):
    """Fixed numbers, as the bytes of float32."""

    numbers: bytes


class Parameter(Numbered):
    """A parameter of the model."""


@dataclass(frozen=True)
class ParameterRows(Numbered):
    """Whole rows of a parameter, from the row `first` on."""

    first: int


class Derived(Numbered):
    """A value that depends on parameters alone, and is computed once."""


class SymbolRows(Leaf):
    """The one-hot row of each symbol, (C, C); that of another one for symbols that a batch does not have."""

    # Nothing is computed from weights that are not used: they may be infinite, and a gradient of zero would become NaN.


# The leaves that a product may have as a matrix.
WEIGHTS = Parameter | ParameterRows | Derived


class LoopState(Numbered):
    """A state before a step; after its loop, or in another loop, the last one."""


@dataclass(frozen=True)
class CarriedNumbers(Leaf):
    """Numbers that a stream carries from one piece of a sequence to the next, by their offset in its row."""

    offset: int


# What a step reads of every step --------------------------------------------------------------------------------------


class Stepwise(Leaf):
    """A value that each step has its own of."""


class Input(Stepwise):
    """The current row of the sequence."""


INPUT = Input()


@dataclass(frozen=True)
class Kept(Stepwise):
    """A value that an earlier loop has kept of the step."""

    number: int


class Given(Stepwise):
    """Numbers that depend on no state."""

    @property
    def width(self) -> int:
        """The amount of numbers."""
        return 1

    @property
    def by_step(self) -> bool:
        """Whether each step has its own numbers, rather than each sequence."""
        return True

    @property
    def neutral(self) -> Floats:
        """What stands for numbers that are not known, float32 (width,)."""
        return np.ones(self.width, dtype=np.float32)

    def at(self, row: int, length: int) -> Floats | None:
        """Return the numbers at a row of a sequence of this length, float32 (width,); None if they are not known."""
        return None


@dataclass(frozen=True)
class StepNumber(Given):
    """How many steps a loop has done, counted from the first row of the sequence or from the last."""

    backward: bool

    def __str__(self) -> str:
        """Return its name."""
        return "t"

    def at(self, row: int, length: int) -> Floats:
        """Return the number of the step."""
        return np.array([length - 1 - row if self.backward else row], dtype=np.float32)


class Length(Given):
    """The number of rows of the sequence."""

    def __str__(self) -> str:
        """Return its name."""
        return "T"

    @property
    def by_step(self) -> bool:
        """Whether each step has its own: no."""
        return False

    def at(self, row: int, length: int) -> Floats:
        """Return the length."""
        return np.array([length], dtype=np.float32)


LENGTH = Length()


@dataclass(frozen=True)
class Fraction(Given):
    """A number of step t and length T, ``(of_step * t + of_length * T + more) / (T + below)``, or its numerator.

    Only the search for loops reads it: a step computes it from the other two.
    """

    of_step: float
    of_length: float
    more: float
    below: float | None

    def of(self, steps: NDArray[np.int64], lengths: NDArray[np.int64]) -> Floats:
        """Return the numbers at these steps of sequences of these lengths, as programs compute them."""
        t, length = steps.astype(np.float32), lengths.astype(np.float32)
        found = np.float32(self.of_step) * t + np.float32(self.of_length) * length + np.float32(self.more)
        return found if self.below is None else found / (length + np.float32(self.below))

    def at(self, row: int, length: int) -> Floats:
        """Return the number of the step."""
        return self.of(np.array([row]), np.array([length]))


@dataclass(frozen=True)
class StepTable(Given):
    """Numbers for every step, which a recurrence knows for the steps that traces show."""

    number: int
    size: int  # the amount of numbers that a step reads
    backward: bool  # whether the steps are counted from the last row of a sequence to the first

    def __str__(self) -> str:
        """Return its name in equations."""
        return f"table_{self.number}"

    @property
    def width(self) -> int:
        """The amount of numbers."""
        return self.size

    def step_of(self, row: int, length: int) -> int:
        """Return the number of the step for a row of a sequence."""
        return length - 1 - row if self.backward else row


TableRows = Mapping[StepTable, Mapping[int, Floats]]
"""The known rows of each table, float32 (size,), by the number of the step."""
# No trace shows a row that, for example, multiplies a state of zeros.


@dataclass(frozen=True)
class Drawn(Given):
    """The random numbers of a site of a model, for a step or for a sequence."""

    site: int
    draw: Draw
    size: int  # the amount of numbers that a step, or the sequence, reads
    once: bool = False  # whether it is drawn once per sequence instead of every step
    parts: int = 1  # the number of calls per step, or per sequence: for example one for each of several layers
    by_part: bool = False  # whether the first calls of all steps come before the second ones
    of_rows: bool = False  # whether a call draws for all rows of the sequence
    backward: bool = False  # whether the steps are counted from the last row of a sequence to the first

    def __str__(self) -> str:
        """Return its name in equations."""
        return f"{self.draw.kind}_{self.site}"

    @property
    def width(self) -> int:
        """The amount of numbers."""
        return self.size

    @property
    def by_step(self) -> bool:
        """Whether each step has its own numbers."""
        return not self.once

    @property
    def neutral(self) -> Floats:
        """The numbers that leave values unchanged, float32 (size,)."""
        return np.full(self.size, self.draw.neutral, dtype=np.float32)


# What traces read -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row(Leaf):
    """The value of a leaf that steps read, at one step; of the sequence itself, one of its rows."""

    step: int
    of: Stepwise = INPUT

    def __str__(self) -> str:
        """Return its name, such as ``input[2]``."""
        return f"{self.of}[{self.step}]"


class Final(Numbered):
    """The value of a kept value, or of the sequence, at the end of the loop that reads it."""


@dataclass(frozen=True)
class CallResult(Leaf):
    """The result of a call that draws random numbers, or a row of it: of a site of the model, in the order of calls."""

    number: int
    site: int
    draw: Draw

    def __str__(self) -> str:
        """Return its name, such as ``dropout_0[2]``."""
        return f"{self.draw.kind}_{self.site}[{self.number}]"


# Gradients and losses -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gradient(Leaf):
    """A gradient from outside: of a leaf, or of ``logits``, ``loss`` or ``penalty``."""

    of: Leaf | str

    def __str__(self) -> str:
        """Return its name."""
        return f"d_{self.of}"


class Outputs(Leaf):
    """The outputs of the model for a row, which a loss reads."""


OUTPUTS = Outputs()


class Target(Leaf):
    """The target of a row."""


TARGET = Target()


class ClassNumbers(Numbered):
    """Numbers of a loss that differ from class to class."""
