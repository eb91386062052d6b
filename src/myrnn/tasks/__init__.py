"""Tasks: each draws labelled sequences from a seeded generator."""

from myrnn.tasks._families import FAMILIES, sample_family, twice_as_long
from myrnn.tasks._generate import generate_sequence
from myrnn.tasks._halves import Palindromes, TwinHalves
from myrnn.tasks._task import Task

__all__ = [
    "FAMILIES",
    "Palindromes",
    "Task",
    "TwinHalves",
    "generate_sequence",
    "sample_family",
    "twice_as_long",
]
