"""What ``myrnn lesson`` does: write the lesson as a notebook."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def lesson(
    student: Annotated[bool, typer.Option("--student", help="Leave out solutions and notes for instructors.")] = False,
    tagged: Annotated[
        bool, typer.Option("--tagged", help="Keep the tags that tell the versions apart, to edit the source.")
    ] = False,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="Another tagged notebook.  [default: the lesson]", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The file, .ipynb or .md.  [default: lesson.ipynb]", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there already.")] = False,
) -> None:
    """Write the lesson as a notebook, for instructors or for students."""
    from myrnn.cli import _show
    from myrnn.errors import InvalidArgument
    from myrnn.lesson import write_lesson

    if student and tagged:
        raise InvalidArgument("--student and --tagged do not go together: a student's version has no tags")
    version = "student" if student else "tagged" if tagged else "instructor"
    path = out or _default_path(source, student=student, tagged=tagged)
    if path.exists() and not force:
        raise InvalidArgument(f"{path} is there already; name another file with --out, or replace it with --force")
    cells = write_lesson(path, version, None if source is None else _read(source), overwrite=force)
    code = sum(cell.kind == "code" for cell in cells)
    _show.path("lesson", path)
    typer.echo(f"            {version} version, {len(cells)} cells, {code} of them code")


def _default_path(source: Path | None, *, student: bool, tagged: bool) -> Path:
    name = "lesson" if source is None else source.stem
    return Path(f"{name}{'-student' if student else ''}{'.md' if tagged else '.ipynb'}")


def _read(source: Path) -> str:
    from myrnn.errors import InvalidArgument

    try:
        return source.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"{source} is no text in UTF-8: byte {error.start} is wrong") from None
