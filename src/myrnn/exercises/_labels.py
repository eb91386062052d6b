"""The labels of a generator: true, both classes equally often, and non-matches at random."""

from __future__ import annotations

import numpy as np

from myrnn.exercises._chances import is_unlikely
from myrnn.exercises._draws import Draws, Numbers
from myrnn.exercises._shapes import DIGITS


def truth(draws: Draws) -> str:
    """Look for labels of equal halves that are not true."""
    return _untrue(draws.all(palindrome=False), "the halves are the same", "the halves differ")


def palindrome_truth(draws: Draws) -> str:
    """Look for labels of palindromes that are not true."""
    return _untrue(draws.all(palindrome=True), "it reads the same backwards", "it does not read the same backwards")


def _untrue(every: list[Numbers], match: str, no_match: str) -> str:
    for numbers in every:
        wrong = np.flatnonzero(numbers.labels != numbers.matches)
        if not len(wrong):
            continue
        index = int(wrong[np.argmin(numbers.lengths[wrong])])
        why = match if numbers.matches[index] else no_match
        return (
            f"{numbers.text(index)} is labelled {numbers.labels[index]}, but {why} "
            f"({len(wrong):,} of {len(numbers.labels):,} labels are untrue with {numbers.setting.call})."
        )
    return ""


def balance(draws: Draws) -> str:
    """Look for a class that comes too often, over all lengths or at one of them."""
    for numbers in draws.all():
        groups = [("", np.ones(len(numbers.lengths), dtype=bool))]
        groups += [(f" of length {length}", numbers.lengths == length) for length in np.unique(numbers.lengths)]
        for which, group in groups:
            matches, total = int(numbers.matches[group].sum()), int(group.sum())
            if is_unlikely(matches, total, 0.5):
                share = f"{matches / total:.1%} of {total:,} sequences{which} match, not half."
                return f"With {numbers.setting.call} {share}"
    return ""


def random_negatives(draws: Draws) -> str:
    """Look for second halves that do not match and yet follow from the first."""
    for numbers in draws.all():
        negative = np.repeat(~numbers.matches, numbers.lengths // 2)
        apart = (numbers.tokens[~numbers.first] - numbers.tokens[numbers.first])[negative] % DIGITS
        found = np.unique(apart).tolist()
        # Of length 1, a match is no non-match: nine differences are left.
        if not set(range(1, DIGITS)) <= set(found):
            return f"With {numbers.setting.call} they differ from the first half only by {found} (modulo 10)."
    return ""
