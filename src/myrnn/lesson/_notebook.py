"""Notebook files: jupytext Markdown, or Jupyter's JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from myrnn.errors import InvalidArgument
from myrnn.lesson._cells import CODE, Cell, read_cells
from myrnn.lesson._source import lesson_source
from myrnn.lesson._tags import INSTRUCTOR, make_version

SUFFIXES = (".ipynb", ".md")


def write_lesson(
    path: str | os.PathLike[str], version: str = INSTRUCTOR, source: str | None = None, *, overwrite: bool = False
) -> tuple[Cell, ...]:
    """Write a notebook, the lesson unless another source is given, and return its cells.

    Parameters
    ----------
    path : str or path-like
        Where to; its suffix says what: ``.ipynb`` Jupyter's own format, ``.md`` jupytext Markdown.
    version : {"instructor", "student", "tagged"}
        See `make_version`.
    source : str, optional
        Another notebook in jupytext Markdown, with the same tags.
    overwrite : bool
        Whether a file that is there already, someone's work perhaps, may be replaced.

    Raises
    ------
    InvalidArgument
        When the suffix is another one, the file is there already, or a tag of the source is wrong.
    """
    place = Path(path)
    if place.suffix not in SUFFIXES:
        raise InvalidArgument(f"a notebook's file must end in .ipynb or .md, not {place.name!r}")
    text = make_version(lesson_source() if source is None else source, version)
    cells = read_cells(text)
    # Exclusive creation leaves no moment in which a file could appear unseen.
    try:
        with open(place, "w" if overwrite else "x", encoding="utf-8", newline="\n") as file:
            file.write(text if place.suffix == ".md" else to_json(cells))
    except FileExistsError:
        raise InvalidArgument(f"{place} is there already, and is not replaced unless that is asked for") from None
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
