"""What is left to chance in a generator: lengths and digits.

Every count is compared with its binomial law, exactly. A check makes fewer than 90 such comparisons, so that a right
answer is called wrong less than once in a million times.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, bdtrc

from myrnn.exercises._draws import Draws, Numbers
from myrnn.exercises._shapes import DIGITS

FALSE_ALARM = 1e-8


def is_unlikely(count: int, total: int, chance: float) -> bool:
    """Return whether a binomial count lies so far out that chance alone is no explanation."""
    below, above = bdtr(count, total, chance), bdtrc(count - 1, total, chance) if count else 1.0
    return bool(2 * min(below, above) < FALSE_ALARM)


def anew(draws: Draws) -> str:
    """Look for results that repeat, or that change afterwards."""
    kept = [result[2] for _, result in draws.early]
    if all(np.array_equal(kept[0], other) for other in kept[1:]):
        return f"{len(kept)} calls gave the same sequence {kept[0].tolist()}: is a seed set inside?"
    for given, copy in draws.early:
        for name, part, before in zip(("x", "y", "sequence"), given, copy, strict=True):
            if not np.array_equal(part, before):
                return f"A later call changed the {name} of an earlier one: make a new array in every call."
    return ""


def within_bounds(draws: Draws) -> str:
    """Look for a length outside the bounds."""
    for numbers in draws.all():
        setting = numbers.setting
        low, high = 2 * setting.shortest, 2 * setting.longest
        for length in (numbers.lengths.min(), numbers.lengths.max()):
            if not low <= length <= high:
                return f"With {setting.call} lengths are {low} to {high}, but there is one of length {length}."
    return ""


def lengths(draws: Draws) -> str:
    """Look for a length that comes too seldom or too often."""
    for numbers in draws.all():
        setting = numbers.setting
        patterns = np.arange(setting.shortest, setting.longest + 1)
        total = len(numbers.lengths)
        counts = {int(2 * pattern): int((numbers.lengths == 2 * pattern).sum()) for pattern in patterns}
        missing = [length for length, count in counts.items() if not count]
        if missing:
            last = " Does the range leave out its upper end?" if missing == [2 * setting.longest] else ""
            return f"With {setting.call} none of {total:,} sequences has length {missing[-1]}.{last}"
        for length, count in counts.items():
            if is_unlikely(count, total, 1 / len(patterns)):
                expected = f"{1 / len(patterns):.1%}"
                return f"With {setting.call} {count / total:.1%} of the sequences have length {length}, not {expected}."
    return ""


def digits(draws: Draws) -> str:
    """Look for digits of the first half that come too seldom or too often, or hang together."""
    every = draws.all()
    first = np.concatenate([numbers.first for numbers in every])
    tokens = np.concatenate([numbers.tokens for numbers in every])
    begins = np.concatenate([np.isin(np.arange(len(n.tokens)), n.offsets[:-1]) for n in every])
    # The digit that a sequence begins with may be drawn in another way than those after it.
    return (
        _uneven("of the digits of the first half are", tokens[first & ~begins])
        or _uneven("of the sequences begin with", tokens[begins])
        or _neighbours(every)
    )


def _uneven(what: str, drawn: NDArray[np.int64]) -> str:
    counts = np.bincount(drawn, minlength=DIGITS)
    digit = int(np.argmax(np.abs(counts - len(drawn) / DIGITS)))
    if not is_unlikely(int(counts[digit]), len(drawn), 1 / DIGITS):
        return ""
    return f"{counts[digit] / len(drawn):.1%} {what} {digit}, not 10%."


def _neighbours(every: list[Numbers]) -> str:
    same, total = 0, 0
    for numbers in every:
        inside = numbers.first[1:] & numbers.first[:-1]
        same += int((numbers.tokens[1:] == numbers.tokens[:-1])[inside].sum())
        total += int(inside.sum())
    if is_unlikely(same, total, 1 / DIGITS):
        return f"A digit of the first half equals the one before it in {same / total:.1%} of the cases, not 10%."
    return ""
