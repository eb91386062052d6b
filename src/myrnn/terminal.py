"""A table that is complete in a terminal of any width: no number or word is split or lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Column, Table
from rich.text import Text

# Names are not wrapped into lines shorter than this.
NARROWEST_NAME = 10
# A line may break between a number and its interval or the words after it, but not within an interval.
INTERVALS = re.compile(r"(?<=\s)(?=\()")
NUMBERS = re.compile(r"(?<=\s)(?=\()|(?<=\s)(?=[^\W\d])(?![^(]*\))")
# Also after a hyphen, an underscore and the like in a name, but not within a number such as 2-20 or 1e-3, and not where
# a scrap such as "a-" would be left.
WORDS = re.compile(
    r"(?<=\s)(?=\S)|(?<=[^\W_]{2}[^\W\d_][-_/.,:=])(?<!\de-)(?=[^\W_]{2})|(?<=[^\W_]{2}\d[-_/.,:=])(?=[^\W\d_]{2})"
)
SIGNS = re.compile(r"(?<=[-_/.,:=\s])(?=.)")


class WholeTable(Table):
    """A table that wraps its cells between words, and names also after a hyphen or an underscore.

    Columns that still do not fit go into further lines of every row, with their headings above them.
    """

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lay out the table for the available width."""
        if self.title:
            yield Text(str(self.title), style=self.title_style or "")
        yield self._laid_out(options.max_width)
        if self.caption:
            yield Text(str(self.caption), style=self.caption_style or "")

    def _laid_out(self, width: int) -> Table:
        columns = [_Column(column) for column in self.columns]
        for gap in (2, 1):
            space = width - gap * (len(columns) - 1)
            if sum(column.natural if gap == 2 else column.least for column in columns) <= space:
                _narrow(columns, space)
                return self._drawn([[[column]] for column in columns], gap)
        return self._drawn(_in_further_lines(columns, width), gap=2)

    def _drawn(self, places: list[list[list[_Column]]], gap: int) -> Table:
        """Return the table with the given columns of this one in each cell: line by line, and side by side."""
        headings, *rows = zip(*(_cells(place, len(self.rows)) for place in places), strict=True)
        drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap - 1, 0, 0))
        tallest = max(heading.plain.count("\n") for heading in headings)
        for heading in headings:
            if any(len(place) > 1 for place in places):
                # The first of several lines is at the top, as in the rows.
                heading.append("\n" * (tallest - heading.plain.count("\n")))
            drawn.add_column(heading, no_wrap=True)
        for row, cells in zip(self.rows, rows, strict=True):
            drawn.add_row(*cells, style=row.style, end_section=row.end_section)
        return drawn


class _Column:
    """A column's heading, cells and width."""

    def __init__(self, column: Column) -> None:
        self.is_name, self._stays = column.justify != "right", column.no_wrap
        # Brackets in a name are not markup.
        cells = (cell if isinstance(cell, Text) else Text(str(cell)) for cell in (column.header, *column.cells))
        self._cells = [list(cell.split("\n", allow_blank=True)) for cell in cells]
        self.natural = self.width = max(map(_longest, self._cells))
        words = (word for row in range(len(self._cells)) for word in self._words(row))
        longest = self.natural if self._stays else max(map(cell_len, words))
        self.least = max(longest, min(self.natural, NARROWEST_NAME)) if self.is_name else longest
        # As wide as its cells, with the heading wrapped.
        self.usual = max(self.least, *map(_longest, self._cells[1:]), 0)

    def _breaks(self, row: int) -> re.Pattern[str]:
        """Return where a cell may be wrapped; the heading, row 0, counts as a name even above numbers."""
        return WORDS if self.is_name or row == 0 else NUMBERS

    def _words(self, row: int) -> Iterator[str]:
        return (word.rstrip() for line in self._cells[row] for word in self._breaks(row).split(line.plain))

    def lines(self, row: int) -> list[Text]:
        """Return the lines of a cell, each as wide as the column."""
        lines = self._cells[row]
        if self._stays and row:
            # Aligned lines are cut at the same positions.
            begins = range(0, max(_longest(lines), 1), self.width)
            lines = [line[begin : begin + self.width] for begin in begins for line in lines]
        else:
            if row and not self.is_name and self.width < max(map(_longest, self._cells[1:])):
                # All intervals of a column are below their numbers, or none.
                lines = [part for line in lines for part in _cut(line, INTERVALS)]
            lines = [part for line in lines for part in _wrapped(line, self.width, self._breaks(row))]
        for line in lines:
            line.align("left" if self.is_name else "right", self.width)
        return lines


def _longest(lines: list[Text]) -> int:
    return max(line.cell_len for line in lines)


def _cut(line: Text, breaks: re.Pattern[str]) -> list[Text]:
    parts = list(line.divide([found.start() for found in breaks.finditer(line.plain)]))
    for part in parts[:-1]:
        part.rstrip()
    return parts


def _wrapped(line: Text, width: int, breaks: re.Pattern[str]) -> Iterator[Text]:
    """Cut a line where it may be wrapped; cut a part that is still too long after any sign, or anywhere."""
    rest = line.copy()
    while rest.cell_len > width:
        last = max(n for n in range(1, len(rest)) if n == 1 or cell_len(rest.plain[:n].rstrip()) <= width)
        ends = ([found.start() for found in kind.finditer(rest.plain, 1, last + 1)] for kind in (breaks, SIGNS))
        end = next((found[-1] for found in ends if found), last)
        part, rest = rest.divide([end])
        part.rstrip()
        yield part
    yield rest


def _narrow(columns: list[_Column], space: int) -> None:
    """Narrow the widest columns until all fit: first those of names, then the others."""
    for is_name in (True, False):
        while sum(column.width for column in columns) > space:
            wide = [column for column in columns if column.is_name == is_name and column.width > column.least]
            if not wide:
                break
            max(wide, key=lambda column: column.width).width -= 1


def _in_further_lines(columns: list[_Column], width: int) -> list[list[list[_Column]]]:
    """Return the first column, and the others in as many lines as they need beside it; set their widths."""
    first, *others = columns
    first.width = min(first.natural, max(first.least, width // 3), width // 2 if others else width)
    space = width - first.width - 2
    lines: list[list[_Column]] = []
    for column in others:
        column.width = min(column.usual, space)
        if lines and sum(other.width + 2 for other in lines[-1]) + column.width <= space:
            lines[-1].append(column)
        else:
            lines.append([column])
    return [[[first]], *([lines] if lines else [])]


def _cells(place: list[list[_Column]], rows: int) -> Iterator[Text]:
    """Return heading and cells of a group of columns in a table, each with the columns that are in it."""
    for row in range(rows + 1):
        lines = []
        for columns in place:
            for parts in zip_longest(*(column.lines(row) for column in columns)):
                filled = (part or Text(" " * column.width) for part, column in zip(parts, columns, strict=True))
                lines.append(Text("  ").join(filled))
        while len(lines) > 1 and not lines[-1].plain.strip():
            del lines[-1]
        yield Text("\n").join(lines)
