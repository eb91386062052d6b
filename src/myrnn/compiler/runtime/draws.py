"""What emitted code calls to draw random numbers: `randomness.Draw.numbers`, in the same words and bits.

A function writes one row: the numbers of a site's stream from ``row * count`` on. Without keys, where nothing
trains, it writes numbers that change nothing.
"""

from __future__ import annotations

import math

import numpy as np

from myrnn.compiler.runtime.functions import Floats, Integers, compiled

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@compiled
def begin_stream(key: int, site: int) -> int:
    """Return where the stream of a site begins."""
    word = np.uint64(key) + np.uint64(site + 1) * _GOLDEN
    word = (word ^ (word >> np.uint64(30))) * _FIRST
    word = (word ^ (word >> np.uint64(27))) * _SECOND
    return int(np.int64(word ^ (word >> np.uint64(31))))


@compiled
def draw_dropout(
    out: Floats, at: int, count: int, amounts: Floats, amount_at: int, keys: Integers, sequence: int, site: int,
    row: int,
) -> None:  # fmt: skip
    """Write 0 for a share of the numbers, and ``1 / (1 - rate)`` for the others."""
    if len(keys) == 0:
        for i in range(count):
            out[at + i] = np.float32(1)
        return
    rate = amounts[amount_at]
    kept, least = np.float32(1) / (np.float32(1) - rate), np.uint64(math.ceil(np.float64(rate) * 2.0**32))
    stream = np.uint64(begin_stream(keys[sequence], site))
    first = row * count
    for i in range(first, first + count):
        word = stream + np.uint64((i >> 1) + 1) * _GOLDEN
        word = (word ^ (word >> np.uint64(30))) * _FIRST
        word = (word ^ (word >> np.uint64(27))) * _SECOND
        word = (word ^ (word >> np.uint64(31))) >> np.uint64(32 * (i & 1))
        out[at + i - first] = kept if (word & np.uint64(0xFFFFFFFF)) >= least else np.float32(0)


@compiled
def draw_noise(
    out: Floats, at: int, count: int, amounts: Floats, amount_at: int, keys: Integers, sequence: int, site: int,
    row: int,
) -> None:  # fmt: skip
    """Write normal numbers of mean zero."""
    if len(keys) == 0:
        for i in range(count):
            out[at + i] = np.float32(0)
        return
    std = np.float64(amounts[amount_at])
    stream = np.uint64(begin_stream(keys[sequence], site))
    first = row * count
    for pair in range(first // 2, (first + count + 1) // 2):
        word = stream + np.uint64(pair + 1) * _GOLDEN
        word = (word ^ (word >> np.uint64(30))) * _FIRST
        word = (word ^ (word >> np.uint64(27))) * _SECOND
        word = word ^ (word >> np.uint64(31))
        low, high = np.float64(word & np.uint64(0xFFFFFFFF)) + 1.0, np.float64(word >> np.uint64(32)) + 1.0
        radius, angle = std * math.sqrt(-2.0 * math.log(low * 2.0**-32)), 2.0 * math.pi * (high * 2.0**-32)
        i = 2 * pair - first
        if i >= 0:
            out[at + i] = np.float32(radius * math.cos(angle))
        if i + 1 < count:
            out[at + i + 1] = np.float32(radius * math.sin(angle))
