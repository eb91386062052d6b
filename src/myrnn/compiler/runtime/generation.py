"""Sequences that a model writes: each token is drawn from what the model says after those before it."""

from __future__ import annotations

import math

import numpy as np

from myrnn.compiler.runtime.functions import Address, Doubles, Floats, Integers, compiled
from myrnn.compiler.runtime.scores import largest
from myrnn.compiler.runtime.training import Samples, Work, run


@compiled
def drawn(outputs: Floats, at: int, count: int, temperature: float, top: int, uniform: float, shares: Doubles) -> int:
    """Return which of `count` outputs is drawn, with the probabilities of their softmax, by a number in [0, 1).

    Outputs are divided by the temperature; with 0 it is the largest of them. All but the `top` largest are left out.
    It is -1 where there are no such probabilities: an output is infinite or no number, or all are minus infinity.
    """
    best = largest(outputs, at, count)
    if not np.isfinite(outputs[at + best]):
        return -1
    for k in range(count):
        if np.isnan(outputs[at + k]):
            return -1
    if temperature == 0.0 or top == 1:
        return best
    for k in range(count):
        shares[k] = math.exp((float(outputs[at + k]) - float(outputs[at + best])) / temperature)
    if top < count:
        # What is kept is negative for a while.
        for _ in range(top):
            most = 0
            for k in range(count):
                if shares[k] > shares[most]:
                    most = k
            shares[most] = -abs(shares[most])
        for k in range(count):
            shares[k] = max(-shares[k], 0.0)
    total = 0.0
    for k in range(count):
        total += shares[k]
    left = uniform * total
    for k in range(count):
        left -= shares[k]
        if left < 0.0:
            return k
    return best


@compiled
def generate(
    program: Address, batched: bool, samples: Samples, members: Integers, p: Floats, work: Work, at: int, count: int,
    temperature: float, top: int, uniforms: Doubles, shares: Doubles, out: Integers,
) -> None:  # fmt: skip
    """Read the token of a sequence of one step, draw the next one, and so on for each of `uniforms`.

    It ends early behind a -1: see `drawn`.
    """
    for n in range(len(uniforms)):
        run(program, batched, samples, members, members[:0], np.float32(1), False, p, p, work)
        # The stream has begun.
        samples.streams[0] = 0
        out[n] = drawn(work.numbers, at, count, temperature, top, uniforms[n], shares)
        if out[n] < 0:
            return
        samples.values[0] = out[n]
