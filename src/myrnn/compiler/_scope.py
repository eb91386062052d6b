"""What a region of the program is written with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from myrnn.compiler._places import Places
from myrnn.compiler._writer import Writer
from myrnn.compiler.printer import Printer


@dataclass(frozen=True)
class Scope:
    """What every part of a region is written with.

    Attributes
    ----------
    writer : Writer
    words : Printer
        What nodes are called.
    places : Places
        Where they stand.
    prepare : tuple of str
        Lines that define, for each sequence of those side by side, a name that may be read.
    """

    writer: Writer
    words: Printer
    places: Places
    prepare: tuple[str, ...] = ()

    @contextmanager
    def each_row(self) -> Iterator[None]:
        """Write what follows inside for each of the sequences side by side."""
        rows = self.places.rows
        with self.writer.block(f"for r in range({rows}):" if rows else ""), self.writer.prepared(self.prepare):
            yield

    def write_calls(self, calls: Iterable[str]) -> None:
        """Write calls for each of the sequences side by side."""
        with self.each_row():
            for call in calls:
                self.writer.line(call)
