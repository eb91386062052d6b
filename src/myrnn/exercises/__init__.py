"""Exercises that check themselves: say what is wrong with a student's own generator and model class."""

from myrnn.exercises._generator import check_generate_sequence
from myrnn.exercises._model import check_model
from myrnn.exercises._report import ExerciseReport, Finding
from myrnn.exercises._shuffled import shuffled_halves

__all__ = ["ExerciseReport", "Finding", "check_generate_sequence", "check_model", "shuffled_halves"]
