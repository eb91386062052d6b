"""What emitted code calls to draw random numbers: `randomness.Draw.numbers`, in the same words and bits.

A row is the numbers of a site's stream from ``row * count`` on. Without keys, where nothing trains, rows get numbers
that change nothing.
"""

from __future__ import annotations

import math

import numpy as np
from numba.extending import register_jitable

from myrnn.compiler.runtime.functions import Floats, Integers, compiled

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_LOW = np.uint64(0xFFFFFFFF)


# A call would take longer than what it computes.
@register_jitable(inline="always")  # type: ignore[untyped-decorator]
def _word(begin: np.uint64, number: int) -> np.uint64:
    """Return a word of the sequence that begins here."""
    word = begin + np.uint64(number + 1) * _GOLDEN
    word = (word ^ (word >> np.uint64(30))) * _FIRST
    word = (word ^ (word >> np.uint64(27))) * _SECOND
    return word ^ (word >> np.uint64(31))


@register_jitable(inline="always")  # type: ignore[untyped-decorator]
def _fill(out: Floats, at: int, count: int, number: float) -> None:
    # Of an array of its own no index can be negative, so that LLVM makes vectors of the loop.
    target = out[at : at + count]
    for i in range(count):
        target[i] = np.float32(number)


@register_jitable(inline="always")  # type: ignore[untyped-decorator]
def _dropout(out: Floats, at: int, count: int, rate: np.float32, key: int, site: int, row: int) -> None:
    kept, least = np.float32(1) / (np.float32(1) - rate), np.uint64(math.ceil(np.float64(rate) * 2.0**32))
    stream, first = _word(np.uint64(key), site), row * count
    target = out[at : at + count]
    for i in range(count):
        # Each word gives two numbers.
        word = _word(stream, (first + i) >> 1) >> np.uint64(32 * ((first + i) & 1))
        target[i] = kept if (word & _LOW) >= least else np.float32(0)


@register_jitable(inline="always")  # type: ignore[untyped-decorator]
def _noise(out: Floats, at: int, count: int, std: np.float32, key: int, site: int, row: int) -> None:
    stream, first = _word(np.uint64(key), site), row * count
    for pair in range(first >> 1, (first + count + 1) >> 1):
        word = _word(stream, pair)
        low, high = np.float64(word & _LOW) + 1.0, np.float64(word >> np.uint64(32)) + 1.0
        radius = np.float64(std) * math.sqrt(-2.0 * math.log(low * 2.0**-32))
        angle, i = 2.0 * math.pi * (high * 2.0**-32), 2 * pair - first
        if i >= 0:
            out[at + i] = np.float32(radius * math.cos(angle))
        if i + 1 < count:
            out[at + i + 1] = np.float32(radius * math.sin(angle))


@compiled
def draw_dropout(
    out: Floats, at: int, count: int, amounts: Floats, amount_at: int, keys: Integers, site: int, row: int
) -> None:
    """Write a row of zeros, with the probability that stands in `amounts`, and ``1 / (1 - rate)``."""
    if len(keys) > 0:
        _dropout(out, at, count, amounts[amount_at], keys[0], site, row)
    else:
        _fill(out, at, count, 1.0)


@compiled
def draw_noise(
    out: Floats, at: int, count: int, amounts: Floats, amount_at: int, keys: Integers, site: int, row: int
) -> None:
    """Write a row of normal numbers of mean zero, with the standard deviation that stands in `amounts`."""
    if len(keys) > 0:
        _noise(out, at, count, amounts[amount_at], keys[0], site, row)
    else:
        _fill(out, at, count, 0.0)


@compiled
def draw_dropouts(
    out: Floats, at: int, line: int, count: int, amounts: Floats, amount_at: int, keys: Integers, site: int,
    offsets: Integers, members: Integers, rows: int, shift: int, times: int,
) -> None:  # fmt: skip
    """Write `rows` of `draw_dropout`, `line` numbers apart, for the first sequences of a batch.

    That of a sequence of T steps is ``shift + times * T``.
    """
    for r in range(rows):
        if len(keys) > 0:
            row = shift + times * (offsets[members[r] + 1] - offsets[members[r]])
            _dropout(out, at + r * line, count, amounts[amount_at], keys[r], site, row)
        else:
            _fill(out, at + r * line, count, 1.0)


@compiled
def draw_noises(
    out: Floats, at: int, line: int, count: int, amounts: Floats, amount_at: int, keys: Integers, site: int,
    offsets: Integers, members: Integers, rows: int, shift: int, times: int,
) -> None:  # fmt: skip
    """Write `rows` of `draw_noise`, `line` numbers apart, for the first sequences of a batch.

    That of a sequence of T steps is ``shift + times * T``.
    """
    for r in range(rows):
        if len(keys) > 0:
            row = shift + times * (offsets[members[r] + 1] - offsets[members[r]])
            _noise(out, at + r * line, count, amounts[amount_at], keys[r], site, row)
        else:
            _fill(out, at + r * line, count, 0.0)
