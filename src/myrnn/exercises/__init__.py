"""Exercises that check themselves: they say what is wrong with a student's own generator and model class.

`limits` stops an answer that never ends, `report` runs a list of checks and shows what it found, `generator` and
`model` hold the checks; `shuffled` draws sequences for one more exercise.
"""

from myrnn.exercises.generator import check_generate_sequence
from myrnn.exercises.model import check_model
from myrnn.exercises.report import ExerciseReport, Finding
from myrnn.exercises.shuffled import shuffled_halves

__all__ = ["ExerciseReport", "Finding", "check_generate_sequence", "check_model", "shuffled_halves"]
