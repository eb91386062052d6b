"""Tags that make an instructor's and a student's notebook from one source.

========== =============================== ===============================================================
tag        stands                          means
========== =============================== ===============================================================
COGINST    around lines                    a solution: taken out of the student's version
COGLINE    at the end of a line            the same for this line alone
COGSTUB    around lines of comment         what the student's version has in the place of a solution
COGNOTE    around lines                    a note for instructors: taken out of the student's version
========== =============================== ===============================================================

In code a tag is a comment, ``# <COGINST>`` to ``# </COGINST>``, and so the source runs as it stands; in text it is
``<!-- <COGINST> -->`` to ``<!-- </COGINST> -->``. A stub is a comment altogether: in code every line of it begins with
``#``, which the student's version leaves out; in text it stands within ``<!-- <COGSTUB>`` and ``</COGSTUB> -->``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.lesson._cells import CODE, HEADER, Line, read_lines

INSTRUCTOR, STUDENT, TAGGED = VERSIONS = ("instructor", "student", "tagged")

BLOCKS = ("COGINST", "COGSTUB", "COGNOTE")
LINE = "COGLINE"
TAG = re.compile(r"<(/?)(COG\w*)>", re.IGNORECASE)
AFTER_LINE = {True: re.compile(r"\s*#\s*<COGLINE>\s*$"), False: re.compile(r"\s*<!--\s*<COGLINE>\s*-->\s*$")}
STUB = re.compile(r"^(\s*)# ?(.*)$")


@dataclass(frozen=True)
class _Opened:
    name: str
    line: Line


def make_version(source: str, version: str = INSTRUCTOR) -> str:
    """Return the notebook for instructors or for students.

    Parameters
    ----------
    source : str
        A notebook in jupytext Markdown, with tags.
    version : {"instructor", "student", "tagged"}
        ``"instructor"`` has solutions and notes; ``"student"`` has neither, but the stubs; ``"tagged"`` is the source
        itself, checked.

    Raises
    ------
    InvalidArgument
        When a tag is unknown, stands in the wrong place or has no partner, or a cell is never closed; the message
        begins with the number of the line.

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
        if not tags:
            opened = _still_open(opened, line)
            kept += _within(opened, line, version)
        elif len(tags) > 1:
            raise InvalidArgument(f"line {line.number}: there are two tags in one line")
        else:
            opened = _checked(tags[0], opened, line)
            if tags[0][1] == LINE and version != STUDENT:
                kept.append(AFTER_LINE[line.part == CODE].sub("", line.text))
    if opened is not None:
        raise InvalidArgument(f"line {opened.line.number}: <{opened.name}> is never closed")
    return source if version == TAGGED else re.sub(r"\n{4,}", "\n\n\n", "\n".join(kept))


def _checked(tag: tuple[str, str], opened: _Opened | None, line: Line) -> _Opened | None:
    """Return what is open after the line with this tag, or say what is wrong with it."""
    closes, name = tag
    where, shown = f"line {line.number}", f"<{closes}{name}>"
    if name not in (*BLOCKS, LINE) or (closes and name == LINE):
        raise InvalidArgument(f"{where}: {shown} is no tag; {_near(name, closes)}")
    if line.part == HEADER or line.edge:
        raise InvalidArgument(f"{where}: {shown} stands where no tag can stand")
    if name == LINE:
        if not AFTER_LINE[line.part == CODE].search(line.text):
            form = "# <COGLINE>" if line.part == CODE else "<!-- <COGLINE> -->"
            raise InvalidArgument(f"{where}: <COGLINE> must end its line, as {form}")
    elif not _is_alone(line, shown):
        raise InvalidArgument(f"{where}: {shown} must stand on a line of its own, in a comment")
    if closes:
        _check_close(name, opened, line)
        return None
    if opened is not None:
        raise InvalidArgument(f"{where}: {shown} within the <{opened.name}> of line {opened.line.number}")
    return None if name == LINE else _Opened(name, line)


def _near(name: str, closes: str) -> str:
    if closes and name == LINE:
        return "<COGLINE> is for one line and is not closed"
    try:
        _checks.one_of("the tag", name.upper(), (*BLOCKS, LINE))
    except InvalidArgument as error:
        return str(error)
    return f"tags are written in capitals, <{closes}{name.upper()}>"


def _is_alone(line: Line, shown: str) -> bool:
    before, after = line.text.split(shown)
    if line.part == CODE:
        return before.strip() == "#" and not after.strip()
    return before.strip() in ("", "<!--") and after.strip() in ("", "-->")


def _check_close(name: str, opened: _Opened | None, line: Line) -> None:
    if opened is None:
        raise InvalidArgument(f"line {line.number}: </{name}> closes what was never opened")
    if opened.name != name:
        raise InvalidArgument(
            f"line {line.number}: </{name}> stands where the <{opened.name}> of line {opened.line.number} is still open"
        )
    _same_part(opened, line)


def _still_open(opened: _Opened | None, line: Line) -> _Opened | None:
    """Refuse a block that began inside a code cell, or a region, and goes on after its end."""
    if opened is not None and line.edge and opened.line.part in (CODE, "region"):
        raise InvalidArgument(f"line {opened.line.number}: <{opened.name}> is not closed in its cell")
    return opened


def _same_part(opened: _Opened, line: Line) -> None:
    if (opened.line.part == CODE) != (line.part == CODE):
        raise InvalidArgument(
            f"line {line.number}: </{opened.name}> stands in another cell than the <{opened.name}> of line "
            f"{opened.line.number}"
        )


def _within(opened: _Opened | None, line: Line, version: str) -> list[str]:
    """Return what the version keeps of a line without a tag."""
    if opened is None:
        return [line.text]
    if opened.name != "COGSTUB":
        return [] if version == STUDENT else [line.text]
    if opened.line.part != CODE:
        return [line.text] if version == STUDENT else []
    comment = STUB.match(line.text)
    if comment is None and line.text.strip():
        raise InvalidArgument(f"line {line.number}: in code, a line of a <COGSTUB> must be a comment")
    text = "" if comment is None else (comment[1] + comment[2]).rstrip()
    return [text] if version == STUDENT else []
