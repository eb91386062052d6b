"""Writes indented lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Writer:
    """Lines of Python, and the depth at which the next one goes."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._depth = 1

    def line(self, text: str) -> None:
        """Write a line."""
        self.lines.append("    " * self._depth + text)

    def insert(self, index: int, text: str) -> None:
        """Write a line at the present depth before line number `index`."""
        self.lines.insert(index, "    " * self._depth + text)

    @contextmanager
    def block(self, text: str) -> Iterator[None]:
        """Write a line that opens a block, and what follows inside it; without text nothing opens."""
        if not text:
            yield
            return
        self.line(text)
        self._depth += 1
        before = len(self.lines)
        yield
        if len(self.lines) == before:
            self.line("pass")
        self._depth -= 1
