"""The lesson's text, which ships with the package."""

from __future__ import annotations

from importlib.resources import files


def lesson_source() -> str:
    """Return the lesson with its tags, jupytext Markdown."""
    return files("myrnn.lesson").joinpath("lesson.md").read_text(encoding="utf-8")
