"""Exercises with automatic checks of students' functions and model classes.

`report` runs a list of checks, stops answers that never end, and shows the results. The checks of the lesson's first
part are in `generator` and `model`, those of the second in `functions` and `steps`; `answers` has the solutions that
the second part builds on.
"""

from myrnn.exercises import answers
from myrnn.exercises.functions import check_draw_symbol, check_naive_forecast, check_next_symbols
from myrnn.exercises.generator import check_generate_sequence, shuffled_halves
from myrnn.exercises.model import check_model
from myrnn.exercises.report import ExerciseReport, Finding
from myrnn.exercises.steps import check_step_model

__all__ = [
    "ExerciseReport",
    "Finding",
    "answers",
    "check_draw_symbol",
    "check_generate_sequence",
    "check_model",
    "check_naive_forecast",
    "check_next_symbols",
    "check_step_model",
    "shuffled_halves",
]
