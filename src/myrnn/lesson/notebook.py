"""Notebooks for instructors and students from one source in jupytext Markdown, with tags.

========== =============================== ===============================================================
tag        place                           means
========== =============================== ===============================================================
COGINST    around lines                    a solution: removed from the student's version
COGLINE    at the end of a line            the same for this line alone
COGSTUB    around lines of comment         what the student's version has instead of a solution
COGNOTE    around lines                    a note for instructors: removed from the student's version
========== =============================== ===============================================================

In code a tag is a comment, ``# <COGINST>`` to ``# </COGINST>``, so the source runs as it is; in text it is ``<!--
<COGINST> -->`` to ``<!-- </COGINST> -->``. A stub is entirely a comment: in code every line of it begins with ``#``,
which the student's version removes; in text it is inside ``<!-- <COGSTUB>`` and ``</COGSTUB> -->``.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from myrnn import _checks
from myrnn.errors import InvalidArgument

MARKDOWN, CODE = "markdown", "code"
# The parts of a file. A fenced block that is not Python belongs to the text.
HEADER, TEXT, REGION, BLOCK = "header", "text", "region", "block"

OPENS = {"```python": CODE, "<!-- #region -->": REGION}
CLOSES = {HEADER: "---", CODE: "```", REGION: "<!-- #endregion -->", BLOCK: "```"}

INSTRUCTOR, STUDENT, TAGGED = VERSIONS = ("instructor", "student", "tagged")

BLOCKS = ("COGINST", "COGSTUB", "COGNOTE")
LINE = "COGLINE"
TAGS = (*BLOCKS, LINE)
TAG = re.compile(r"<(/?)(COG\w*)>", re.IGNORECASE)
AFTER_LINE = {True: re.compile(r"\s*#\s*<COGLINE>\s*$"), False: re.compile(r"\s*<!--\s*<COGLINE>\s*-->\s*$")}
STUB = re.compile(r"^(\s*)# ?(.*)$")
SUFFIXES = (".ipynb", ".md")
# The parts of the lesson, and their files.
PARTS = {1: "lesson.md", 2: "lesson-2.md"}


# Lines and cells ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """A line of the file.

    Attributes
    ----------
    number : int
        Counted from 1.
    text : str
    part : str
        The part that it is in: the header, a code cell, a region, a block or plain text.
    edge : bool
        Whether it opens or closes that part.
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
        The number of its first line, counted from 1.
    """

    kind: str
    source: str
    line: int


def read_lines(text: str) -> list[Line]:
    """Return every line with the part that it is in.

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
    several if it is divided by two or more blank lines. A region (``<!-- #region -->`` to ``<!-- #endregion -->``) is
    one Markdown cell, including fenced blocks.

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


# Versions -------------------------------------------------------------------------------------------------------------


def make_version(source: str, version: str = INSTRUCTOR) -> str:
    """Return the notebook for instructors or for students.

    Parameters
    ----------
    source : str
        A notebook in jupytext Markdown, with tags.
    version : {"instructor", "student", "tagged"}
        ``"instructor"`` has solutions and notes; ``"student"`` has stubs instead of both; ``"tagged"`` is the source
        itself, checked.

    Raises
    ------
    InvalidArgument
        When a tag is unknown, misplaced or has no partner, or a cell is never closed; the message begins with the line
        number.

    Examples
    --------
    >>> lines = ["```python", "x = 6 * 7  # <COGLINE>", "# <COGSTUB>", "# x = ...", "# </COGSTUB>", "```"]
    >>> print(make_version(chr(10).join(lines), "student"))
    ```python
    x = ...
    ```
    """
    _checks.one_of("version", version, VERSIONS)
    kept: list[str] = []
    opened: _Opened | None = None
    for line in read_lines(source):
        tags = TAG.findall(line.text)
        if len(tags) > 1:
            raise _wrong(line, "there are two tags in one line")
        if tags:
            name, closes = tags[0][1], bool(tags[0][0])
            _check_tag(name, closes, line)
            opened = _after_tag(name, closes, opened, line)
            if name == LINE and version != STUDENT:
                kept.append(AFTER_LINE[line.part == CODE].sub("", line.text))
            continue
        # A block that began inside a code cell or a region ends there.
        if opened is not None and line.edge and opened.line.part in (CODE, REGION):
            raise _wrong(opened.line, f"<{opened.name}> is not closed in its cell")
        kept += _kept(opened, line, version)
    if opened is not None:
        raise _wrong(opened.line, f"<{opened.name}> is never closed")
    return source if version == TAGGED else re.sub(r"\n{4,}", "\n\n\n", "\n".join(kept))


@dataclass(frozen=True)
class _Opened:
    name: str
    line: Line


def _wrong(line: Line, message: str) -> InvalidArgument:
    return InvalidArgument(f"line {line.number}: {message}")


def _check_tag(name: str, closes: bool, line: Line) -> None:
    """Refuse an unknown tag, and a tag at the wrong place of a line, or on a wrong line."""
    tag = f"<{'/' * closes}{name}>"
    if name.upper() not in TAGS:
        known = ", ".join(map(repr, TAGS))
        near = _checks.nearest(name.upper(), TAGS)
        raise _wrong(line, f"{tag} is not a tag; the tag must be one of {known}, not {name.upper()!r}{near}")
    if name not in TAGS:
        raise _wrong(line, f"{tag} is not a tag; tags are written in capitals, {tag.upper()}")
    if closes and name == LINE:
        raise _wrong(line, f"{tag} is not a tag; <COGLINE> is for one line and is not closed")
    if line.part == HEADER or line.edge:
        raise _wrong(line, f"{tag} is where no tag can be")
    if name == LINE:
        if not AFTER_LINE[line.part == CODE].search(line.text):
            form = "# <COGLINE>" if line.part == CODE else "<!-- <COGLINE> -->"
            raise _wrong(line, f"<COGLINE> must end its line, as {form}")
        return
    before, after = (part.strip() for part in line.text.split(tag))
    alone = (before, after) == ("#", "") if line.part == CODE else before in ("", "<!--") and after in ("", "-->")
    if not alone:
        raise _wrong(line, f"{tag} must be alone on its line, in a comment")


def _after_tag(name: str, closes: bool, opened: _Opened | None, line: Line) -> _Opened | None:
    """Return the tag that is open after a line with this tag, or raise an error."""
    if not closes:
        if opened is not None:
            raise _wrong(line, f"<{name}> within the <{opened.name}> of line {opened.line.number}")
        return None if name == LINE else _Opened(name, line)
    if opened is None:
        raise _wrong(line, f"</{name}> closes what was never opened")
    begin = f"<{opened.name}> of line {opened.line.number}"
    if opened.name != name:
        raise _wrong(line, f"</{name}> is inside the open {begin}")
    if (opened.line.part == CODE) != (line.part == CODE):
        raise _wrong(line, f"</{name}> is in a different cell from the {begin}")
    return None


def _kept(opened: _Opened | None, line: Line, version: str) -> list[str]:
    """Return the part of a line without a tag that the version keeps."""
    if opened is None:
        return [line.text]
    if opened.name != "COGSTUB":
        return [] if version == STUDENT else [line.text]
    text = line.text
    if opened.line.part == CODE:
        comment = STUB.match(text)
        if comment is None and text.strip():
            raise _wrong(line, "in code, a line of a <COGSTUB> must be a comment")
        text = "" if comment is None else (comment[1] + comment[2]).rstrip()
    return [text] if version == STUDENT else []


# Files ----------------------------------------------------------------------------------------------------------------


def lesson_source(part: int = 1) -> str:
    """Return a part of the lesson with its tags, jupytext Markdown.

    Raises
    ------
    InvalidArgument
        When there is no such part.
    """
    number = _checks.integer("part", part, minimum=1, maximum=max(PARTS))
    return files("myrnn.lesson").joinpath(PARTS[number]).read_text(encoding="utf-8")


def write_lesson(
    path: str | os.PathLike[str], version: str = INSTRUCTOR, source: str | None = None, *, overwrite: bool = False
) -> tuple[Cell, ...]:
    """Write a notebook, by default the first part of the lesson, and return its cells.

    Parameters
    ----------
    path : str or path-like
        The file to write; its suffix selects the format: ``.ipynb`` Jupyter's, ``.md`` jupytext Markdown.
    version : {"instructor", "student", "tagged"}
        See `make_version`.
    source : str, optional
        Another notebook in jupytext Markdown, with the same tags.
    overwrite : bool
        Whether an existing file, maybe someone's work, may be replaced.

    Raises
    ------
    InvalidArgument
        When the suffix is unsupported, the file exists already, or a tag of the source is invalid.
    """
    place = Path(path)
    if place.suffix not in SUFFIXES:
        raise InvalidArgument(f"a notebook's file must end in .ipynb or .md, not {place.name!r}")
    text = make_version(lesson_source() if source is None else source, version)
    cells = read_cells(text)
    # Exclusive creation avoids a race with a file that appears in between.
    try:
        with open(place, "w" if overwrite else "x", encoding="utf-8", newline="\n") as file:
            file.write(text if place.suffix == ".md" else to_json(cells))
    except FileExistsError:
        raise InvalidArgument(f"{place} exists already, and is only replaced with overwrite=True") from None
    return cells


def to_json(cells: tuple[Cell, ...]) -> str:
    """Return the cells as a notebook of Jupyter's format 4.5, without outputs."""
    notebook = {
        "cells": [_record(index, cell) for index, cell in enumerate(cells)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _record(index: int, cell: Cell) -> dict[str, Any]:
    record = {
        "cell_type": cell.kind,
        "id": f"cell-{index:03d}",
        "metadata": {},
        "source": cell.source.splitlines(keepends=True),
    }
    return record | ({"execution_count": None, "outputs": []} if cell.kind == CODE else {})
