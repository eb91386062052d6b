"""Limits for an answer: its running time, and the lines of its output that are shown."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from typing import TextIO

# Some twenty times the duration of a check of a usual answer.
SECONDS = 20.0
LINES, CHARACTERS = 20, 2000
MORE = "... (the rest of the output is left out)\n"


@contextlib.contextmanager
def few_lines(lines: int = LINES, characters: int = CHARACTERS) -> Iterator[None]:
    """Pass the first lines of the output through, and drop the rest."""
    with contextlib.redirect_stdout(_FewLines(sys.stdout, lines, characters)):
        yield


class _FewLines(io.TextIOBase):
    def __init__(self, stream: TextIO, lines: int, characters: int) -> None:
        self._stream, self._lines, self._characters = stream, lines, characters
        self._is_full = False

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not self._is_full:
            kept = "".join(text.splitlines(keepends=True)[: self._lines])[: self._characters]
            self._lines, self._characters = self._lines - kept.count("\n"), self._characters - len(kept)
            self._is_full = len(kept) < len(text)
            self._stream.write(kept + (MORE if self._is_full else ""))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()
