"""The cells of a notebook that is written as jupytext Markdown."""

from __future__ import annotations

from dataclasses import dataclass

from myrnn.errors import InvalidArgument

MARKDOWN, CODE = "markdown", "code"
# What the lines of a file are. A fenced block that is no Python belongs to the text.
HEADER, TEXT, REGION, BLOCK = "header", "text", "region", "block"

OPENS = {"```python": CODE, "<!-- #region -->": REGION}
CLOSES = {HEADER: "---", CODE: "```", REGION: "<!-- #endregion -->", BLOCK: "```"}


@dataclass(frozen=True)
class Line:
    """A line of the file.

    Attributes
    ----------
    number : int
        Counted from 1.
    text : str
    part : str
        What it stands in: the header, a code cell, a region, a block or plain text.
    edge : bool
        Whether it opens or closes that.
    """

    number: int
    text: str
    part: str
    edge: bool = False


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes
    ----------
    kind : {"markdown", "code"}
    source : str
        The text, without a newline at its end.
    line : int
        The line of the file that it begins in, counted from 1.
    """

    kind: str
    source: str
    line: int


def read_lines(text: str) -> list[Line]:
    """Return every line with what it stands in.

    Raises
    ------
    InvalidArgument
        When the header, a code cell, a region or a block is never closed.
    """
    lines = []
    part, begin = TEXT, 0
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.rstrip()
        if part != TEXT:
            edge = stripped == CLOSES[part]
            lines.append(Line(number, line, part, edge))
            part = TEXT if edge else part
            continue
        part = HEADER if number == 1 and stripped == "---" else OPENS.get(stripped, TEXT)
        if part == TEXT and stripped.startswith("```"):
            part = BLOCK
        begin = number
        lines.append(Line(number, line, part, edge=part != TEXT))
    if part != TEXT:
        name = "code cell" if part == CODE else part
        raise InvalidArgument(f"line {begin}: the {name} that begins here is never closed by {CLOSES[part]}")
    return lines


def read_cells(text: str) -> tuple[Cell, ...]:
    """Return the cells of a notebook in jupytext Markdown.

    A block fenced with ```` ```python ```` is a code cell; the text between two of them is one Markdown cell, or
    several where it is parted by two blank lines or more. What stands in a region (``<!-- #region -->`` to
    ``<!-- #endregion -->``) is one Markdown cell, fenced blocks included.

    Raises
    ------
    InvalidArgument
        When the header, a code cell, a region or a block is never closed.

    Examples
    --------
    >>> lines = ["Some text.", "", "```python", "1 + 1", "```"]
    >>> read_cells(chr(10).join(lines))[1]
    Cell(kind='code', source='1 + 1', line=4)
    """
    groups: list[tuple[str, list[Line]]] = [(MARKDOWN, [])]
    blank = 0
    for line in read_lines(text):
        own_cell = line.part in (CODE, REGION)
        if line.part == HEADER:
            continue
        if own_cell and line.edge:
            # An opening edge begins the cell, a closing one begins the text after it.
            opens = line.text.rstrip() in OPENS
            groups.append((CODE if opens and line.part == CODE else MARKDOWN, []))
            continue
        blank = blank + 1 if line.part == TEXT and not line.text.strip() else 0
        if blank == 2:
            groups.append((MARKDOWN, []))
        groups[-1][1].append(line)
    return tuple(_cell(kind, lines) for kind, lines in groups if kind == CODE or any(ln.text.strip() for ln in lines))


def _cell(kind: str, lines: list[Line]) -> Cell:
    while lines and not lines[0].text.strip():
        lines = lines[1:]
    source = "\n".join(line.text for line in lines).rstrip()
    return Cell(kind, source, lines[0].number if lines else 0)
