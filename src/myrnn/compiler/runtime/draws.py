"""Random numbers in emitted code: the same as `randomness.Draw.numbers` from the same 64-bit words.

A row is the numbers of a site's stream from ``row * count`` on. Without keys, when nothing trains, rows get neutral
numbers.
"""

from __future__ import annotations

import math

import numpy as np
from numba.extending import register_jitable

from myrnn.compiler.runtime.functions import Floats, Integers, compiled
from myrnn.compiler.runtime.lanes import CodeValue, Index, instruction

_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_LOW = 0xFFFFFFFF


@instruction
def _word(begin: Index, number: Index) -> Index:
    """Return a word of the sequence with this beginning."""

    def mixed(word: CodeValue, shift: int) -> CodeValue:
        return word.join("xor", word.join("lshr", shift))

    word = begin + (number + 1) * _GOLDEN
    return mixed(mixed(mixed(word, 30) * _FIRST, 27) * _SECOND, 31)


@compiled
def _fill(out: Floats, at: int, count: int, number: float) -> None:
    # In a separate array no index can be negative, so that LLVM vectorizes the loop.
    target = out[at : at + count]
    for i in range(count):
        target[i] = np.float32(number)


@compiled
def _dropout(out: Floats, at: int, count: int, rate: np.float32, key: int, site: int, row: int) -> None:
    kept, least = np.float32(1) / (np.float32(1) - rate), math.ceil(np.float64(rate) * 2.0**32)
    stream, first = _word(key, site), row * count
    target = out[at : at + count]
    for i in range(count):
        # Each word gives two numbers.
        word = _word(stream, (first + i) >> 1) >> (32 * ((first + i) & 1))
        target[i] = kept if (word & _LOW) >= least else np.float32(0)


@compiled
def _noise(out: Floats, at: int, count: int, std: np.float32, key: int, site: int, row: int) -> None:
    stream, first = _word(key, site), row * count
    target = out[at : at + count]
    for i in range(count):
        word = _word(stream, (first + i) >> 1) >> (32 * ((first + i) & 1))
        target[i] = np.float32(np.float64(std) * _quantile((np.float64(word & _LOW) + 0.5) * 2.0**-32))


# LLVM computes it in the loop: a call would take longer than the computation.
@register_jitable  # type: ignore[untyped-decorator]
def _quantile(p: float) -> float:
    """Return the quantile of the normal distribution for a probability from 2**-33 to ``1 - 2**-33``."""
    # Wichura, "Algorithm AS 241: the percentage points of the normal distribution", 1988.
    q = p - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        a = (2509.0809287301226727 * r + 33430.575583588128105) * r + 67265.770927008700853
        a = ((a * r + 45921.953931549871457) * r + 13731.693765509461125) * r + 1971.5909503065514427
        a = (a * r + 133.14166789178437745) * r + 3.387132872796366608
        b = (5226.495278852854561 * r + 28729.085735721942674) * r + 39307.89580009271061
        b = ((b * r + 21213.794301586595867) * r + 5394.1960214247511077) * r + 687.1870074920579083
        b = (b * r + 42.313330701600911252) * r + 1.0
        return q * a / b
    r = math.sqrt(-math.log(min(p, 1.0 - p))) - 1.6
    a = (7.7454501427834140764e-4 * r + 0.0227238449892691845833) * r + 0.24178072517745061177
    a = ((a * r + 1.27045825245236838258) * r + 3.64784832476320460504) * r + 5.7694972214606914055
    a = (a * r + 4.6303378461565452959) * r + 1.42343711074968357734
    b = (1.05075007164441684324e-9 * r + 5.475938084995344946e-4) * r + 0.0151986665636164571966
    b = ((b * r + 0.14810397642748007459) * r + 0.68976733498510000455) * r + 1.6763848301838038494
    b = (b * r + 2.05319162663775882187) * r + 1.0
    return math.copysign(a / b, q)


@compiled
def draw_dropout(
    out: Floats, at: int, count: int, amounts: Floats, amount_at: int, keys: Integers, site: int, row: int
) -> None:
    """Write a row that is 0 with the probability in `amounts`, and otherwise ``1 / (1 - rate)``."""
    if len(keys) > 0:
        _dropout(out, at, count, amounts[amount_at], keys[0], site, row)
    else:
        _fill(out, at, count, 1.0)


@compiled
def draw_noise(
    out: Floats, at: int, count: int, amounts: Floats, amount_at: int, keys: Integers, site: int, row: int
) -> None:
    """Write a row of normal numbers of mean zero, with the standard deviation in `amounts`."""
    if len(keys) > 0:
        _noise(out, at, count, amounts[amount_at], keys[0], site, row)
    else:
        _fill(out, at, count, 0.0)


@compiled
def draw_dropouts(
    out: Floats, at: int, line: int, count: int, amounts: Floats, amount_at: int, keys: Integers, site: int,
    offsets: Integers, members: Integers, rows: int, shift: int, times: int,
) -> None:  # fmt: skip
    """Write `rows` of `draw_dropout`, `line` numbers apart, for the first sequences; row ``shift + times * T``."""
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
    """Write `rows` of `draw_noise`, `line` numbers apart, for the first sequences; row ``shift + times * T``."""
    for r in range(rows):
        if len(keys) > 0:
            row = shift + times * (offsets[members[r] + 1] - offsets[members[r]])
            _noise(out, at + r * line, count, amounts[amount_at], keys[r], site, row)
        else:
            _fill(out, at + r * line, count, 0.0)
