"""Is a student's generator of sequences right? Its results are examined thousands of times.

`shuffled_halves` draws sequences for one more exercise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._checks import count_of, shown
from myrnn.errors import InvalidArgument
from myrnn.exercises.report import FAULTS, Checklist, ExerciseReport, describe, is_unlikely, name_of
from myrnn.flat import offsets_of, ramp
from myrnn.sequences import Sequences
from myrnn.tasks import Palindromes, TwinHalves

DIGITS = 10
# The number of results that are kept with a copy, to see whether later calls change them.
KEPT = 20


def check_generate_sequence(fn: Callable[..., Any]) -> ExerciseReport:
    """Check a generator of sequences, ``generate_sequence`` of the lesson.

    It is called some twenty thousand times, without and with arguments. Random properties are judged so that a right
    answer fails less than once in a million checks, whatever the seed; the random number generator is not seeded. In
    the main thread a call that never ends is stopped, and only the first printed lines are shown.

    Parameters
    ----------
    fn : callable
        ``fn(pattern_length_min=1, pattern_length_max=10, palindrome=False)`` returns ``(x, y, sequence)``:
        one-hot rows, float32 (T, 10); the label, int16 (1,); the digits, integers (T,).

    Returns
    -------
    ExerciseReport
        ``.ok`` and one line for each property.

    Raises
    ------
    InvalidArgument
        When `fn` is not a function.

    Examples
    --------
    >>> from myrnn import tasks
    >>> check_generate_sequence(lambda: tasks.generate_sequence()).failed[0].says
    'It takes pattern_length_min and pattern_length_max.'
    """
    return checks.run(name_of(fn), _Draws(fn))


# What it returned -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Setting:
    """Arguments, and how often to call with them."""

    arguments: dict[str, Any]
    calls: int

    @property
    def palindrome(self) -> bool:
        return "palindrome" in self.arguments

    @property
    def task(self) -> TwinHalves | Palindromes:
        """The task that draws such sequences."""
        bounds = {name: value for name, value in self.arguments.items() if name != "palindrome"}
        return (Palindromes if self.palindrome else TwinHalves)(**bounds)

    @property
    def call(self) -> str:
        """The arguments in the form of a call."""
        return ", ".join(f"{name}={value}" for name, value in self.arguments.items()) or "the default arguments"


# Rare mistakes need enough calls to show: a second half that matches by chance is most frequent at the shortest
# lengths; a palindrome differs from a pair of equal halves from length 4 on.
SETTINGS = {
    "default": _Setting({}, 4000),
    "length 1": _Setting({"pattern_length_min": 1, "pattern_length_max": 1}, 8000),
    "3 to 5": _Setting({"pattern_length_min": 3, "pattern_length_max": 5}, 1000),
    "11 to 12": _Setting({"pattern_length_min": 11, "pattern_length_max": 12}, 300),
    "palindromes": _Setting({"palindrome": True}, 2000),
    "palindromes of 4": _Setting({"pattern_length_min": 2, "pattern_length_max": 2, "palindrome": True}, 5000),
}


class _Digits:
    """The sequences and labels of one setting, in flat arrays."""

    def __init__(self, setting: _Setting, results: list[Any]) -> None:
        self.setting = setting
        digits = [sequence for _, _, sequence in results]
        offsets = offsets_of([len(each) for each in digits])
        self.sequences = Sequences(np.concatenate(digits), offsets, np.zeros(len(digits), dtype=np.int64), DIGITS)
        self.tokens, self.lengths = self.sequences.values, self.sequences.lengths
        self.labels = np.array([_label(y) for _, y, _ in results], dtype=np.int64)
        # Which tokens belong to a first half.
        self.first = ramp(self.lengths) < np.repeat(self.lengths // 2, self.lengths)

    @cached_property
    def matches(self) -> NDArray[np.bool_]:
        """Whether each sequence is a match for the setting."""
        return self.setting.task.truth(self.sequences) == 1

    def text(self, index: int) -> str:
        """Return a sequence as a message shows it."""
        return " ".join(map(str, self.sequences.tokens(index).tolist()))


def _label(y: Any) -> int:
    """Return the label, or -1 if `y` is not a label, which the check of its shape finds."""
    return int(y[0]) if y.shape == (1,) and y.dtype.kind in "biuf" and np.isfinite(y[0]) else -1


class _Draws:
    """Calls the generator when a check asks for it, and keeps the results."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self._fn = fn
        self._results: dict[str, list[Any]] = {}
        self._numbers: dict[str, _Digits] = {}
        # The first results, each with a copy.
        self.early: list[tuple[Any, Any]] = []

    def draw(self, *names: str) -> Iterator[str]:
        """Call the generator with the settings, and say what goes wrong."""
        for name in names:
            try:
                self._results[name] = self._call(SETTINGS[name])
            except FAULTS as error:
                yield f"With {SETTINGS[name].call} {describe(error)}"

    def _call(self, setting: _Setting) -> list[Any]:
        results = []
        for _ in range(setting.calls):
            results.append(self._fn(**setting.arguments))
            if len(self.early) < KEPT:
                result = results[-1]
                copy = tuple(np.array(part) for part in result) if isinstance(result, tuple) else result
                self.early.append((result, copy))
        return results

    def results(self) -> Iterator[tuple[_Setting, Any]]:
        """Go through the results of all settings that it could be called with."""
        return ((SETTINGS[name], result) for name, results in self._results.items() for result in results)

    def parts(self) -> Iterator[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
        """Iterate over x, y and sequence of every call; only use it after the check that they are three arrays."""
        return (result for _, result in self.results())

    def numbers(self, *, palindrome: bool | None = None) -> list[_Digits]:
        """Return the digits of all settings, or only with or without palindromes; only use it after their check."""
        chosen = [name for name in self._results if palindrome in (None, SETTINGS[name].palindrome)]
        for name in chosen:
            if name not in self._numbers:
                self._numbers[name] = _Digits(SETTINGS[name], self._results[name])
        return [self._numbers[name] for name in chosen]


# Calls, shapes, dtypes and the encoding -------------------------------------------------------------------------------

checks = Checklist()


@checks("It can be called without arguments.")
def _called(draws: _Draws) -> Iterator[str]:
    return draws.draw("default")


@checks("It takes pattern_length_min and pattern_length_max.")
def _bounds(draws: _Draws) -> Iterator[str]:
    return draws.draw("3 to 5", "11 to 12", "length 1")


@checks("It takes palindrome=True.", _called)
def _palindrome(draws: _Draws) -> Iterator[str]:
    return draws.draw("palindromes", "palindromes of 4")


@checks("It returns (x, y, sequence): three NumPy arrays.", _called)
def _three_arrays(draws: _Draws) -> Iterator[str]:
    for setting, result in draws.results():
        if not isinstance(result, tuple | list):
            kind = "nothing: is the return missing?" if result is None else f"{type(result).__name__}."
            yield f"With {setting.call} it returned {kind}"
        if len(result) != 3:
            yield f"With {setting.call} it returned {count_of(len(result), 'value')}, not 3."
        for name, part in zip(("x", "y", "sequence"), result, strict=True):
            if not isinstance(part, np.ndarray):
                yield f"{name} is {shown(part)}, of type {type(part).__name__}, and must be an array."


@checks("sequence holds the T digits: integers 0 to 9, shape (T,), T even.", _three_arrays)
def _sequence(draws: _Draws) -> Iterator[str]:
    for _, _, digits in draws.parts():
        if digits.ndim != 1 or digits.dtype.kind not in "iu":
            yield f"sequence is {digits.dtype} of shape {digits.shape}."
        if len(digits) < 2 or len(digits) % 2:
            yield f"A sequence has {count_of(len(digits), 'digit')}, so it has no two halves: {digits.tolist()}."
        if digits.min() < 0 or digits.max() >= DIGITS:
            yield f"A sequence holds {digits.max() if digits.max() >= DIGITS else digits.min()}: {digits.tolist()}."


@checks("x has shape (T, 10).", _sequence)
def _x_shape(draws: _Draws) -> Iterator[str]:
    for x, _, digits in draws.parts():
        if x.shape != (len(digits), DIGITS):
            hint = " The digits 0 to 9 are ten." if x.shape == (len(digits), DIGITS + 1) else ""
            yield f"x has shape {x.shape} for {len(digits)} digits, which make ({len(digits)}, {DIGITS}).{hint}"


@checks("x is float32.", _three_arrays)
def _x_dtype(draws: _Draws) -> Iterator[str]:
    return (f"x is {x.dtype}." for x, _, _ in draws.parts() if x.dtype != np.float32)


@checks("Row t of x is the one-hot encoding of digit t of sequence.", _x_shape)
def _one_hot(draws: _Draws) -> Iterator[str]:
    encodings = np.eye(DIGITS)
    for x, _, digits in draws.parts():
        if not np.array_equal(x, encodings[digits]):
            t = int(np.argmax((x != encodings[digits]).any(axis=1)))
            row = "[" + " ".join(f"{value:g}" for value in x[t].tolist()) + "]"
            yield f"Digit {t} of {digits.tolist()} is {digits[t]}, but row {t} of x is {row}."


@checks("y has shape (1,) and holds 0 or 1.", _three_arrays)
def _y_shape(draws: _Draws) -> Iterator[str]:
    for _, y, _ in draws.parts():
        if y.shape != (1,):
            yield f"y has shape {y.shape}: {shown(y)}."
        if y[0] not in (0, 1):
            yield f"y is {shown(y)}."


@checks("y is int16.", _three_arrays)
def _y_dtype(draws: _Draws) -> Iterator[str]:
    return (f"y is {y.dtype}." for _, y, _ in draws.parts() if y.dtype != np.int16)


# Chance ---------------------------------------------------------------------------------------------------------------


@checks("Every call draws a new sequence and returns new arrays.", _three_arrays)
def _anew(draws: _Draws) -> Iterator[str]:
    kept = [result[2] for _, result in draws.early]
    if all(np.array_equal(kept[0], other) for other in kept[1:]):
        yield f"{len(kept)} calls gave the same sequence {kept[0].tolist()}: is a seed set inside?"
    for given, copy in draws.early:
        for name, part, before in zip(("x", "y", "sequence"), given, copy, strict=True):
            if not np.array_equal(part, before):
                yield f"A later call changed the {name} of an earlier one: make a new array in every call."


@checks("Every length lies within the bounds.", _sequence, _bounds)
def _within(draws: _Draws) -> Iterator[str]:
    for numbers in draws.numbers():
        low, high = numbers.setting.task.lengths[[0, -1]]
        for length in (numbers.lengths.min(), numbers.lengths.max()):
            if not low <= length <= high:
                yield f"With {numbers.setting.call} lengths are {low} to {high}, but there is one of length {length}."


@checks("Every length within the bounds is drawn, all equally often.", _within)
def _lengths(draws: _Draws) -> Iterator[str]:
    for numbers in draws.numbers():
        setting, total = numbers.setting, len(numbers.lengths)
        counts = {length: int((numbers.lengths == length).sum()) for length in setting.task.lengths.tolist()}
        missing = [length for length, count in counts.items() if not count]
        if missing:
            last = " Does the range leave out its upper end?" if missing == [max(counts)] else ""
            yield f"With {setting.call} none of {total:,} sequences has length {missing[-1]}.{last}"
        for length, count in counts.items():
            if is_unlikely(count, total, 1 / len(counts)):
                expected = f"{1 / len(counts):.1%}"
                yield f"With {setting.call} {count / total:.1%} of the sequences have length {length}, not {expected}."


@checks("Every digit of the pattern is drawn at random, all ten equally often.", _sequence, _anew)
def _digits(draws: _Draws) -> Iterator[str]:
    every = draws.numbers()
    first = np.concatenate([numbers.first for numbers in every])
    tokens = np.concatenate([numbers.tokens for numbers in every])
    begins = np.concatenate([ramp(n.lengths) == 0 for n in every])
    # The first digit may be drawn in another way than those after it.
    for what, drawn in (
        ("of the digits of the first half are", tokens[first & ~begins]),
        ("of the sequences begin with", tokens[begins]),
    ):
        counts = np.bincount(drawn, minlength=DIGITS)
        digit = int(np.argmax(np.abs(counts - len(drawn) / DIGITS)))
        if is_unlikely(int(counts[digit]), len(drawn), 1 / DIGITS):
            yield f"{counts[digit] / len(drawn):.1%} {what} {digit}, not 10%."
    # Two neighbours in a first half belong to one sequence.
    follows = first[1:] & first[:-1]
    same, total = int((tokens[1:] == tokens[:-1])[follows].sum()), int(follows.sum())
    if is_unlikely(same, total, 1 / DIGITS):
        yield f"A digit of the first half equals the one before it in {same / total:.1%} of the cases, not 10%."


# Labels ---------------------------------------------------------------------------------------------------------------


@checks("y is 1 exactly where the second half repeats the first.", _sequence, _y_shape)
def _truth(draws: _Draws) -> Iterator[str]:
    return _untrue(draws.numbers(palindrome=False), "the halves are the same", "the halves differ")


@checks(
    "With palindrome=True, y is 1 exactly where the sequence reads the same backwards.",
    _sequence,
    _y_shape,
    _palindrome,
)
def _palindrome_truth(draws: _Draws) -> Iterator[str]:
    return _untrue(draws.numbers(palindrome=True), "it reads the same backwards", "it does not read the same backwards")


def _untrue(every: list[_Digits], match: str, no_match: str) -> Iterator[str]:
    for numbers in every:
        wrong = np.flatnonzero(numbers.labels != numbers.matches)
        if not len(wrong):
            continue
        index = int(wrong[np.argmin(numbers.lengths[wrong])])
        why = match if numbers.matches[index] else no_match
        yield (
            f"{numbers.text(index)} is labelled {numbers.labels[index]}, but {why} "
            f"({len(wrong):,} of {len(numbers.labels):,} labels are untrue with {numbers.setting.call})."
        )


@checks("Half of the sequences match, at every length.", _sequence, _y_shape, _anew)
def _balance(draws: _Draws) -> Iterator[str]:
    for numbers in draws.numbers():
        groups = [("", np.ones(len(numbers.lengths), dtype=bool))]
        groups += [(f" of length {length}", numbers.lengths == length) for length in np.unique(numbers.lengths)]
        for which, group in groups:
            matches, total = int(numbers.matches[group].sum()), int(group.sum())
            if is_unlikely(matches, total, 0.5):
                share = f"{matches / total:.1%} of {total:,} sequences{which} match, not half."
                yield f"With {numbers.setting.call} {share}"


@checks("A second half that does not match is drawn at random.", _truth, _digits)
def _random_negatives(draws: _Draws) -> Iterator[str]:
    for numbers in draws.numbers():
        negative = np.repeat(~numbers.matches, numbers.lengths // 2)
        apart = (numbers.tokens[~numbers.first] - numbers.tokens[numbers.first])[negative] % DIGITS
        found = np.unique(apart).tolist()
        # Of length 1, a match is no non-match: nine differences are left.
        if not set(range(1, DIGITS)) <= set(found):
            yield f"With {numbers.setting.call} they differ from the first half only by {found} (modulo 10)."


# Another exercise -----------------------------------------------------------------------------------------------------


def shuffled_halves(
    task: TwinHalves | Palindromes, samples: int = 20_000, rng: np.random.Generator | int | None = 0
) -> Sequences:
    """Draw matching sequences of a task and shuffle their second halves; those that still match are dropped.

    Parameters
    ----------
    task : TwinHalves or Palindromes
    samples : int
        The number of sequences to draw; about half of them match.
    rng : numpy.random.Generator, int or None
        The source of randomness: a generator, a seed, or None for a fresh one.

    Returns
    -------
    Sequences
        All of class 0.

    Raises
    ------
    InvalidArgument
        When an argument is invalid.

    Examples
    --------
    >>> from myrnn.tasks import TwinHalves
    >>> shuffled = shuffled_halves(TwinHalves(pattern_length_max=3), 100)
    >>> first, second = shuffled.tokens(0).reshape(2, -1)
    >>> sorted(first) == sorted(second), list(first) == list(second)
    (True, False)
    """
    if not isinstance(task, TwinHalves | Palindromes):
        raise InvalidArgument(f"task must be a TwinHalves or Palindromes, not {type(task).__name__}")
    generator = _checks.generator("rng", rng)
    drawn = task.sample(_checks.integer("samples", samples, minimum=1), generator)
    pairs = []
    for index in np.flatnonzero(drawn.labels == 1).tolist():
        tokens = drawn.tokens(index)
        middle = (len(tokens) + 1) // 2
        pairs.append((np.concatenate([tokens[:middle], generator.permutation(tokens[middle:])]), 0))
    shuffled = Sequences.from_pairs(pairs, task.alphabet_size)
    return shuffled.select(task.truth(shuffled) == 0)
