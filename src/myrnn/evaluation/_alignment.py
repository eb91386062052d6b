"""The two halves of a sequence, one under the other as the task compares them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from myrnn.tasks import Palindromes, TwinHalves

# Characters of a line, with which the table fits into 80; the rest of a long half goes on further down.
WIDTH = 30
MARK, STYLE = "^", "bold red"


@dataclass(frozen=True, eq=False)
class Halves:
    """The two halves, the second in the order in which it is compared with the first.

    Attributes
    ----------
    first, second : ndarray, int64 (T // 2,)
    middle : ndarray, int64 (T % 2,)
        What stands between them.
    backwards : bool
        Whether the second half is written backwards here.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    middle: NDArray[np.int64]
    backwards: bool

    @property
    def differ(self) -> NDArray[np.bool_]:
        """Where the two differ, bool (T // 2,)."""
        return self.first != self.second


def halves_of(task: Any, tokens: NDArray[np.int64]) -> Halves | None:
    """Return the halves of a sequence, or None where the task has none."""
    half = len(tokens) // 2
    first, middle, second = tokens[:half], tokens[half : len(tokens) - half], tokens[len(tokens) - half :]
    if isinstance(task, Palindromes):
        return Halves(first, second[::-1], middle, backwards=True)
    if isinstance(task, TwinHalves):
        return Halves(first, second, middle, backwards=False)
    return None


def spelled(tokens: NDArray[np.int64]) -> str:
    """Return a sequence as it is written on the command line: digits, or numbers with commas between."""
    return ("" if tokens.max(initial=0) < 10 else ",").join(str(token) for token in tokens)


def aligned(halves: Halves) -> Text:
    """Return the first half, the second one under it, and marks where they differ."""
    pairs = list(zip(halves.first, halves.second, halves.differ, strict=True))
    cell = max((len(str(token)) for pair in pairs for token in pair[:2]), default=1)
    # Digits stand side by side; longer numbers need a space.
    cell += cell > 1
    in_line = max(1, WIDTH // cell)
    text = Text()
    for begin in range(0, len(pairs), in_line):
        _add_block(text, pairs[begin : begin + in_line], cell)
    return text


def _add_block(text: Text, pairs: list[Any], cell: int) -> None:
    for row in (0, 1):
        text.append("\n" if len(text) else "")
        for pair in pairs:
            text.append(f"{pair[row]:>{cell}}", style=STYLE if pair[2] else None)
    if any(differ for *_, differ in pairs):
        line = "".join((MARK if differ else "").rjust(cell) for *_, differ in pairs)
        text.append(f"\n{line.rstrip()}", style=STYLE)
