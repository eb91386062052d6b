"""``myrnn lesson`` writes the lesson as a notebook."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from myrnn.cli import show
from myrnn.cli.options import option
from myrnn.errors import InvalidArgument
from myrnn.lesson import PARTS, lesson_source, write_lesson


def lesson(
    part: Annotated[
        int, typer.Argument(help="1: classify sequences; 2: predict what comes next in a text or a series.")
    ] = 1,
    student: Annotated[bool, option("Leave out solutions and notes for instructors.", "--student")] = False,
    tagged: Annotated[bool, option("Keep the tags that mark the versions, to edit the source.", "--tagged")] = False,
    source: Annotated[
        Path | None, option("Another tagged notebook, Markdown.  [default: the lesson]", "--from")
    ] = None,
    out: Annotated[Path | None, option("The file, .ipynb or .md.  [default: lesson.ipynb, lesson-2.ipynb]")] = None,
    force: Annotated[bool, option("Overwrite an existing file.", "--force")] = False,
) -> None:
    """Write a part of the lesson as a notebook, for instructors or for students."""
    if student and tagged:
        raise InvalidArgument("--student and --tagged do not go together: a student's version has no tags")
    version = "student" if student else "tagged" if tagged else "instructor"
    if part != 1 and source is not None:
        raise InvalidArgument("a part of the lesson and --from do not go together: each says which notebook to write")
    text = lesson_source(part) if source is None else _read(source)
    name = Path(PARTS[part]).stem if source is None else source.stem
    path = out or Path(f"{name}{'-student' if student else ''}{'.md' if tagged else '.ipynb'}")
    if path.exists() and not force:
        raise InvalidArgument(f"{path} exists already; name another file with --out, or overwrite it with --force")
    cells = write_lesson(path, version, text, overwrite=force)
    code = sum(cell.kind == "code" for cell in cells)
    show.path("lesson", path)
    show.named_rows(("", f"{version} version, {len(cells)} cells, {code} of them code"))
    if path.suffix == ".ipynb":
        show.named_rows(("open it", f"pip install jupyterlab && jupyter lab {quote(str(path))}"), wrap=False)


def _read(source: Path) -> str:
    try:
        return source.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"{source} is not UTF-8 text: byte {error.start} is wrong") from None
