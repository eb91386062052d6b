"""What a model did in one call, as values."""

from __future__ import annotations

import linecache
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from weakref import ref

import numpy as np
from mygrad import Tensor

from myrnn.randomness import Draw

Work = tuple[Any, ...]


class Execution(NamedTuple):
    """An operation of the model, as numbers that are the same in every trace of it."""

    # `site` stands for an instruction of the user's code, and the calls that lead to it; `turn` also for how many times
    # each of them has run.

    site: int
    turn: int


@dataclass(frozen=True)
class Origin:
    """The line of a computation in the user's code, and the local variable that held its result, if there was one."""

    file: str = ""
    line: int = 0
    name: str = ""
    # The operations that computed it.
    runs: tuple[Execution, ...] = field(default=(), repr=False, compare=False)

    def __str__(self) -> str:
        """Return the place and the line's text, as errors show them."""
        if not self.file:
            return "(a value of unknown origin)"
        text = linecache.getline(self.file, self.line).strip()
        return f"{os.path.basename(self.file)}:{self.line}   {text}"


@dataclass(frozen=True)
class TensorRead(Origin):
    """A line that takes numbers out of a tensor, and the function that gives them to it, such as ``__bool__``."""

    by: str = ""


def takes_numbers(line: Origin) -> str:
    """Return a message about the line where a model takes numbers out of tensors, and what to do instead."""
    how, instead = _instead_of(line.by if isinstance(line, TensorRead) else "")
    return (
        f"the model takes numbers out of its tensors{how}, which a compiled model cannot do:\n  {line}\n"
        f'  {instead}, or train with engine="mygrad".'
    )


def _instead_of(by: str) -> tuple[str, str]:
    """Return how a function takes numbers out of tensors, and what to write instead of it."""
    name = by.removeprefix("np.")
    if by == "__bool__":
        return " to decide by them (if, while, and, or)", (
            "It computes the same at every step, whatever the numbers are. Write mg.where(h > 0, a, b), which does\n"
            "  both and takes one; instead of a break, keep the state: h = mg.where(done, h, new)"
        )
    if name in ("argmax", "argmin", "__index__"):
        return f" to choose by {name if name in by else 'them'}", (
            "If x is one-hot, x_t @ E is the row E[np.argmax(x_t)]; p.data == p.data.max() marks the largest of p.\n"
            "  Otherwise choose smoothly: softmax(h @ V) @ E"
        )
    if name in ("__float__", "__int__", "item", "tolist"):
        return f" with {name.strip('_')}()", (
            "A compiled model has no Python numbers. Keep an array: mg.sum(h).data has the number, without a gradient"
        )
    if by.startswith("np.") or (hasattr(np.ndarray, by) and not by.startswith("__") and by != "data"):
        return f" with NumPy's {name}, for which the compiler has no rule", (
            "Write it with MyGrad's operations; compute what needs only the sequence before, as columns of the data"
        )
    return " where the compiler does not see what becomes of them", (
        "Compute with functions of MyGrad or NumPy alone: h.data has the numbers of h, without a gradient; to choose\n"
        "  by a comparison, mg.where(h > 0, a, b)"
    )


@dataclass(frozen=True)
class DrawCall:
    """A call of `dropout` or `noise`, the tensor that it gave, and its line."""

    site: int
    draw: Draw
    tensor: Any
    line: Origin


class ExecutedOperation(NamedTuple):
    """An operation of MyGrad that the model executed, and its line."""

    creator: Any
    origin: Origin


@dataclass(frozen=True)
class Record:
    """What a model did in one call, as far as it was watched."""

    # It keeps the graph, which locks the parameters.

    argument: Any
    result: Any
    # The id of an operation of MyGrad -> the operation. It is kept here, so that its id stays its own.
    operations: Mapping[int, ExecutedOperation]
    # The lines of the user's code that take numbers out of a tensor.
    looks: tuple[TensorRead, ...]
    draws: tuple[DrawCall, ...]
    # The operations on tensors with all that they take: two records of the same computation have equal ones.
    work: Work
    # The traced arrays, and new tensors, whose history the model may keep.
    arrays: tuple[ref[Tensor], ...]

    def is_new(self, tensor: Any) -> bool:
        """Whether the model computed the tensor in this call."""
        return id(tensor.creator) in self.operations

    def origin(self, tensor: Any) -> Origin:
        """Return the line that made a tensor, the best of its names, and the operation."""
        return self.operations[id(tensor.creator)].origin if self.is_new(tensor) else Origin()

    @property
    def runs(self) -> frozenset[Execution]:
        """All operations that ran, as numbers."""
        return frozenset(run for operation in self.operations.values() for run in operation.origin.runs)

    def let_arrays_go(self) -> None:
        """Cut the history of arrays and new tensors that the model may keep: a graph keeps parameters locked."""
        let_go(self.arrays)


def let_go(arrays: Iterable[ref[Tensor]]) -> None:
    """Cut the history of those of these tensors that still exist."""
    for reference in arrays:
        if (array := reference()) is not None:
            vars(array)["_creator"] = None
