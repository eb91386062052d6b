"""The lesson, `lesson.md`, and `notebook`, which makes notebooks for instructors and students of its tagged text."""

from myrnn.lesson.notebook import VERSIONS, Cell, lesson_source, make_version, read_cells, write_lesson

__all__ = ["VERSIONS", "Cell", "lesson_source", "make_version", "read_cells", "write_lesson"]
