"""What a model did in one call, as values."""

from __future__ import annotations

import linecache
import os
from dataclasses import dataclass, field
from typing import NamedTuple


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
