"""The lesson in two parts, `lesson.md` and `lesson-2.md`, and `notebook`, which makes notebooks from tagged texts.

The first part is about classifying sequences, the second about predicting what comes next in a text or a series.
"""

from myrnn.lesson.notebook import PARTS, VERSIONS, Cell, lesson_source, make_version, read_cells, write_lesson

__all__ = ["PARTS", "VERSIONS", "Cell", "lesson_source", "make_version", "read_cells", "write_lesson"]
