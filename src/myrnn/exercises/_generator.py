"""Is a student's generator of sequences right? What it returns is looked at thousands of times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from myrnn._checks import shown
from myrnn.errors import InvalidArgument
from myrnn.exercises import _chances, _labels, _shapes
from myrnn.exercises._draws import Draws
from myrnn.exercises._report import Check, ExerciseReport, run_checks

CHECKS = (
    Check("called", "It can be called without arguments.", lambda draws: draws.draw("default")),
    Check(
        "bounds",
        "It takes pattern_length_min and pattern_length_max.",
        lambda draws: draws.draw("3 to 5", "11 to 12", "length 1"),
    ),
    Check(
        "palindrome",
        "It takes palindrome=True.",
        lambda draws: draws.draw("palindromes", "palindromes of 4"),
        ("called",),
    ),
    Check("three", "It returns (x, y, sequence): three NumPy arrays.", _shapes.three_arrays, ("called",)),
    Check(
        "sequence", "sequence holds the T digits: integers 0 to 9, shape (T,), T even.", _shapes.sequence, ("three",)
    ),
    Check("x", "x has shape (T, 10).", _shapes.x_shape, ("sequence",)),
    Check("x dtype", "x is float32.", _shapes.x_dtype, ("three",)),
    Check("one-hot", "Row t of x is the one-hot encoding of digit t of sequence.", _shapes.one_hot, ("x",)),
    Check("y", "y has shape (1,) and holds 0 or 1.", _shapes.y_shape, ("three",)),
    Check("y dtype", "y is int16.", _shapes.y_dtype, ("three",)),
    Check("anew", "Every call draws anew and returns arrays of its own.", _chances.anew, ("three",)),
    Check("within", "Every length lies within the bounds.", _chances.within_bounds, ("sequence", "bounds")),
    Check("lengths", "Every length within the bounds is drawn, all equally often.", _chances.lengths, ("within",)),
    Check(
        "digits",
        "Every digit of the pattern is drawn at random, all ten equally often.",
        _chances.digits,
        ("sequence", "anew"),
    ),
    Check("truth", "y is 1 exactly where the second half repeats the first.", _labels.truth, ("sequence", "y")),
    Check(
        "palindrome truth",
        "With palindrome=True, y is 1 exactly where the sequence reads the same backwards.",
        _labels.palindrome_truth,
        ("sequence", "y", "palindrome"),
    ),
    Check("balance", "Half of the sequences match, at every length.", _labels.balance, ("sequence", "y", "anew")),
    Check(
        "negatives",
        "A second half that does not match is drawn at random.",
        _labels.random_negatives,
        ("truth", "digits"),
    ),
)


def check_generate_sequence(fn: Callable[..., Any]) -> ExerciseReport:
    """Say what is wrong with a generator of sequences, ``generate_sequence`` of the lesson.

    It is called some twenty thousand times, by itself and with other arguments. What is random is judged so that a
    right answer fails less than once in a million checks, whatever the seed; the generator of random numbers is left
    alone. In the main thread a call that never ends is stopped, and of what is printed the first lines are shown.

    Parameters
    ----------
    fn : callable
        ``fn(pattern_length_min=1, pattern_length_max=10, palindrome=False)`` returns ``(x, y, sequence)``:
        one-hot rows, float32 (T, 10); the label, int16 (1,); the digits, integers (T,).

    Returns
    -------
    ExerciseReport
        ``.ok`` and one line for each property. An exception of `fn` is a property that does not hold.

    Raises
    ------
    InvalidArgument
        When `fn` is no function.

    Examples
    --------
    >>> from myrnn import tasks
    >>> check_generate_sequence(lambda: tasks.generate_sequence()).failed[0].says
    'It takes pattern_length_min and pattern_length_max.'
    """
    if not callable(fn):
        raise InvalidArgument(f"fn must be a function, passed without calling it, not {shown(fn)}")
    return run_checks(getattr(fn, "__name__", type(fn).__name__), Draws(fn), CHECKS)
