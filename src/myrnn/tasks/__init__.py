"""Tasks: each draws labelled sequences from a seeded generator."""

from myrnn.tasks._families import FAMILIES, sample_family, twice_as_long
from myrnn.tasks._generate import generate_sequence
from myrnn.tasks._halves import Palindromes, TwinHalves
from myrnn.tasks._task import TASKS, Task, make_task

__all__ = [
    "FAMILIES",
    "TASKS",
    "Palindromes",
    "Task",
    "TwinHalves",
    "generate_sequence",
    "make_task",
    "sample_family",
    "twice_as_long",
]
