"""The lesson, and notebooks for instructors and students from one tagged source."""

from myrnn.lesson._cells import Cell, read_cells
from myrnn.lesson._notebook import write_lesson
from myrnn.lesson._source import lesson_source
from myrnn.lesson._tags import VERSIONS, make_version

__all__ = ["VERSIONS", "Cell", "lesson_source", "make_version", "read_cells", "write_lesson"]
