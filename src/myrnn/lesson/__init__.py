"""The lesson in two parts, `lesson.md` and `lesson-2.md`, and `notebook`, which makes notebooks of tagged texts.

The first part is about classifying sequences, the second about what comes next in a text or a series.
"""

from myrnn.lesson.notebook import PARTS, VERSIONS, Cell, lesson_source, make_version, read_cells, write_lesson

__all__ = ["PARTS", "VERSIONS", "Cell", "lesson_source", "make_version", "read_cells", "write_lesson"]
