"""Sequences that a model generates: each token is drawn from the model's prediction after those before it."""

from __future__ import annotations

import numpy as np
from llvmlite import ir

from myrnn.compiler.runtime.elementary import above, exp, highest, maximum
from myrnn.compiler.runtime.functions import Address, Doubles, Floats, Integers, compiled
from myrnn.compiler.runtime.lanes import (
    Float,
    Index,
    full,
    instruction,
    keep,
    load,
    spread,
    store,
    total,
    where,
)
from myrnn.compiler.runtime.scores import largest
from myrnn.compiler.runtime.training import Samples, Work, run

# The factor of outputs is a normal float32, so that minus infinity stays minus infinity.
_LEAST_SCALE, _MOST_SCALE = 1e-37, 1e37
# The ranks of minus infinity and of infinity among all float32 numbers, with 0 at rank 0.
_FIRST, _LAST = -0x7F800001, 0x7F800000


@instruction
def _number_at(place: Index) -> Float:
    """Return the float32 with a rank among all of them: 0 is at 0, and 2^-149 at 1."""
    bits = place.cast("trunc", ir.IntType(32))
    bits = where(bits < 0, bits.join("xor", 0x7FFFFFFF), bits)
    return bits.cast("bitcast", ir.FloatType())


@compiled
def _count_from(outputs: Floats, at: int, count: int, least: np.float32) -> int:
    """Return how many of `count` outputs are `least` or more."""
    below = full(0.0)
    for k in range(0, count, 16):
        below = below + keep(above(least, load(outputs, at + k)), count - k)
    return count - int(total(below))


@compiled
def _leave_out(outputs: Floats, at: int, count: int, top: int, shares: Floats) -> None:
    """Write zeros in the shares of all but the `top` largest of `count` outputs; of equals the first ones stay."""
    first, last = _FIRST, _LAST
    # The rank of the smallest that stays is at least `first`, and below `last`.
    while last - first > 1:
        middle = (first + last) // 2
        if _count_from(outputs, at, count, _number_at(middle)) >= top:
            first = middle
        else:
            last = middle
    least = _number_at(first)
    for k in range(0, count, 16):
        store(shares, k, where(above(least, load(outputs, at + k)), 0.0, load(shares, k)))
    surplus, k = _count_from(outputs, at, count, least) - top, count
    while surplus > 0:
        k -= 1
        if outputs[at + k] == least:
            shares[k] = np.float32(0)
            surplus -= 1


@compiled
def drawn(outputs: Floats, at: int, count: int, temperature: float, top: int, uniform: float, shares: Floats) -> int:
    """Return which of `count` outputs is drawn, with the probabilities of their softmax, by a number in [0, 1)."""
    # Outputs are divided by the temperature; 0 takes the largest. Only the `top` largest are considered. The result is
    # -1 if there are no valid probabilities: an output is infinite or NaN, or all are minus infinity. The buffers of
    # the outputs and `shares` are padded to whole lanes.
    best = spread(outputs, at)
    for k in range(0, count, 16):
        best = maximum(best, where(keep(full(1.0), count - k), load(outputs, at + k), best))
    most = highest(best)
    if not np.isfinite(most):
        return -1
    if temperature == 0.0 or top == 1:
        return largest(outputs, at, count)
    scale = np.float32(min(max(1.0 / temperature, _LEAST_SCALE), _MOST_SCALE))
    for k in range(0, count, 16):
        store(shares, k, keep(exp((load(outputs, at + k) - most) * scale), count - k))
    if top < count:
        _leave_out(outputs, at, count, top, shares)
    whole = 0.0
    for k in range(0, count, 16):
        whole += total(load(shares, k))
    left = uniform * whole
    for k in range(0, count, 16):
        part = total(load(shares, k))
        if left >= part:
            left -= part
            continue
        for j in range(k, min(k + 16, count)):
            left -= shares[j]
            if left < 0.0:
                return j
    return largest(outputs, at, count)


@compiled
def generate(
    program: Address, batched: bool, samples: Samples, members: Integers, p: Floats, work: Work, at: int, count: int,
    temperature: float, top: int, left_out: Integers, uniforms: Doubles, scores: Floats, shares: Floats, out: Integers,
) -> None:  # fmt: skip
    """Read the token of a sequence of one step, draw the next one, and so on for each of `uniforms`.

    Tokens `left_out` are never drawn. It ends early after a -1: see `drawn`.
    """
    for n in range(len(uniforms)):
        run(program, batched, samples, members, 0, 1, members[:0], np.float32(1), False, p, p, work)
        # The stream has begun.
        samples.streams[0] = 0
        # A copy, because the outputs may be a state.
        for k in range(count):
            scores[k] = work.numbers[at + k]
        for token in left_out:
            # A sum, so that an output that is not finite is still found.
            scores[token] += np.float32(-np.inf)
        out[n] = drawn(scores, 0, count, temperature, top, uniforms[n], shares)
        if out[n] < 0:
            return
        samples.values[0] = out[n]
