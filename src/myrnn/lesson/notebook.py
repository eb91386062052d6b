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
from itertools import dropwhile
from pathlib import Path
from typing import Any

from myrnn import _checks
from myrnn.errors import InvalidArgument

MARKDOWN, CODE = "markdown", "code"
# A fenced block that is not Python belongs to the text.
HEADER, TEXT, REGION, BLOCK = "header", "text", "region", "block"

OPENS = {"```python": CODE, "<!-- #region -->": REGION}
CLOSES = {HEADER: "---", CODE: "```", REGION: "<!-- #endregion -->", BLOCK: "```"}

INSTRUCTOR, STUDENT, TAGGED = VERSIONS = ("instructor", "student", "tagged")

BLOCKS = ("COGINST", "COGSTUB", "COGNOTE")
LINE = "COGLINE"
TAGS = (*BLOCKS, LINE)
TAG = re.compile(r"<(/?)(COG\w*)>", re.IGNORECASE)
# How tags are written in code, and in text.
ALONE = {True: re.compile(r"\s*#\s*<[^>]*>\s*$"), False: re.compile(r"\s*(?:<!--)?\s*<[^>]*>\s*(?:-->)?\s*$")}
AFTER_LINE = {True: re.compile(r"\s*#\s*<COGLINE>\s*$"), False: re.compile(r"\s*<!--\s*<COGLINE>\s*-->\s*$")}
STUB = re.compile(r"^(\s*)# ?(.*)$")
SUFFIXES = (".ipynb", ".md")
# The parts of the lesson, and their files.
PARTS = {1: "lesson.md", 2: "lesson-2.md"}


# Lines and cells ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """A line of the file, the part that it is in, and whether it opens or closes that part."""

    number: int
    text: str
    part: str
    edge: bool = False


@dataclass(frozen=True)
class Cell:
    """One cell: its kind, markdown or code, its text without a newline at the end, and the number of its first line."""

    kind: str
    source: str
    line: int


def read_lines(text: str) -> list[Line]:
    """Return every line with the part that it is in; raises InvalidArgument if a part is never closed."""
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
    """Return the cells of a notebook in jupytext Markdown; raises InvalidArgument if one is never closed."""
    # Text between two code cells is one cell, or several if it is divided by two or more blank lines. A region is one.
    groups: list[tuple[str, list[Line]]] = [(MARKDOWN, [])]
    blank = 0
    for line in read_lines(text):
        if line.part == HEADER:
            continue
        if line.edge and line.part in (CODE, REGION):
            # An opening edge begins the cell, a closing one begins the text after it.
            opens = line.text.rstrip() in OPENS
            groups.append((CODE if opens and line.part == CODE else MARKDOWN, []))
            continue
        blank = blank + 1 if line.part == TEXT and not line.text.strip() else 0
        if blank == 2:
            groups.append((MARKDOWN, []))
        groups[-1][1].append(line)
    cells = [_cell(kind, list(dropwhile(lambda line: not line.text.strip(), lines))) for kind, lines in groups]
    return tuple(cell for cell in cells if cell.kind == CODE or cell.source)


def _cell(kind: str, lines: list[Line]) -> Cell:
    source = "\n".join(line.text for line in lines).rstrip()
    return Cell(kind, source, lines[0].number if lines else 0)


# Versions -------------------------------------------------------------------------------------------------------------


def make_version(source: str, version: str = INSTRUCTOR) -> str:
    """Return the notebook for instructors, with solutions and notes, for students, or with its tags."""
    # Raises InvalidArgument, with the line, when a tag is unknown, misplaced or unpaired, or a cell is never closed.
    _checks.one_of("version", version, VERSIONS)
    if source.lstrip().startswith("{"):
        raise InvalidArgument(
            "the source is JSON, as in an .ipynb file, but it must be Markdown with tags, as of myrnn lesson --tagged"
        )
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
        is_stub = opened is not None and opened.name == "COGSTUB"
        text = line.text
        if opened is not None and is_stub and opened.line.part == CODE:
            text = _uncommented(line)
        if opened is None or is_stub == (version == STUDENT):
            kept.append(text)
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
    in_code = line.part == CODE
    if name == LINE and not AFTER_LINE[in_code].search(line.text):
        raise _wrong(line, f"<COGLINE> must end its line, as {'# <COGLINE>' if in_code else '<!-- <COGLINE> -->'}")
    if name != LINE and not ALONE[in_code].match(line.text):
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


def _uncommented(line: Line) -> str:
    """Return a line of a stub in code without its comment sign."""
    comment = STUB.match(line.text)
    if comment is None and line.text.strip():
        raise _wrong(line, "in code, a line of a <COGSTUB> must be a comment")
    return "" if comment is None else (comment[1] + comment[2]).rstrip()


# Files ----------------------------------------------------------------------------------------------------------------


def lesson_source(part: int = 1) -> str:
    """Return a part of the lesson with its tags, jupytext Markdown."""
    number = _checks.integer("part", part, minimum=1, maximum=max(PARTS))
    return files("myrnn.lesson").joinpath(PARTS[number]).read_text(encoding="utf-8")


def write_lesson(
    path: str | os.PathLike[str], version: str = INSTRUCTOR, source: str | None = None, *, overwrite: bool = False
) -> tuple[Cell, ...]:
    """Write a notebook, ``.ipynb`` or ``.md``, by default of the first part of the lesson, and return its cells."""
    # Raises InvalidArgument when the suffix is another one, the file exists already, or a tag of the source is invalid.
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
    records: list[dict[str, Any]] = []
    for number, cell in enumerate(cells):
        record = {"cell_type": cell.kind, "id": f"cell-{number:03d}", "metadata": {}}
        lines = {"source": cell.source.splitlines(keepends=True)}
        records.append(record | lines | ({"execution_count": None, "outputs": []} if cell.kind == CODE else {}))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    notebook = {"cells": records, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
