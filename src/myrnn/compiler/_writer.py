"""Writes indented lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

WIDTH = 120


class Writer:
    """Lines of Python, and the depth at which the next one goes."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._depth = 1
        self._closed: tuple[int, int, str] | None = None

    def line(self, text: str) -> None:
        """Write a line, in several where it is long."""
        self.lines += wrapped("    " * self._depth + text)

    def _insert(self, index: int, text: str) -> None:
        self.lines.insert(index, "    " * self._depth + text)

    @contextmanager
    def block(self, text: str) -> Iterator[None]:
        """Write a line that opens a block, and what follows inside it; without either there is no block.

        A condition goes on where the block before it had the same.
        """
        if not text:
            yield
            return
        goes_on = text.startswith("if ") and self._closed == (len(self.lines), self._depth, text)
        begin = len(self.lines)
        if not goes_on:
            self.line(text)
        before = len(self.lines)
        self._depth += 1
        yield
        self._depth -= 1
        if len(self.lines) == before:
            del self.lines[begin:]
        elif text.startswith("if "):
            self._closed = (len(self.lines), self._depth, text)

    @contextmanager
    def section(self, text: str) -> Iterator[None]:
        """Write a comment before what follows inside, if anything does."""
        begin = len(self.lines)
        yield
        if len(self.lines) > begin:
            self._insert(begin, f"# {text}")

    @contextmanager
    def part(self, text: str) -> Iterator[None]:
        """Write an empty line and a comment before what follows inside, if anything does."""
        begin = len(self.lines)
        with self.section(text):
            yield
        if len(self.lines) > begin:
            self.lines.insert(begin, "")

    @contextmanager
    def prepared(self, lines: Sequence[str]) -> Iterator[None]:
        """Write those of `lines`, ``name = value``, whose names are read by what follows inside."""
        begin = len(self.lines)
        yield
        for line in reversed(lines):
            if line.split(" = ")[0] in names_in(self.lines[begin:]):
                self._insert(begin, line)


def names_in(lines: Sequence[str]) -> set[str]:
    """Return all names that stand in the lines, comments apart."""
    return {name for line in lines if not line.lstrip().startswith("#") for name in re.findall(r"\b[A-Za-z_]\w*", line)}


def wrapped(line: str) -> list[str]:
    """Break a line that is too long behind commas, as few brackets deep as it can be."""
    if len(line) <= WIDTH or line.lstrip().startswith("#"):
        return [line]
    depth, commas = 0, []
    for at, character in enumerate(line):
        depth += (character in "([") - (character in ")]")
        if line[at : at + 2] == ", " and depth:
            commas.append((depth, at + 1))
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    parts, begin = [], 0
    while len(indent) + len(line) - begin > WIDTH:
        room = WIDTH - (len(indent) if begin else 0)
        within = [(-deep, at) for deep, at in commas if begin < at <= begin + room]
        if not within:
            break
        parts.append(line[begin : max(within)[1]])
        begin = max(within)[1] + 1
    parts.append(line[begin:])
    return [parts[0], *(indent + part for part in parts[1:])]
