"""The optimizers' steps in compiled code, over one flat block of parameters.

Parameters, gradients and the state of an optimizer are flat float32 arrays with the same layout. A step works on the
numbers from `begin` to `end`, both multiples of 16, so that the parts of several threads, and single rows of a weight,
are separate calls. The results are those of `myrnn.optimizers`, up to rounding.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from myrnn.compiler.runtime.elementary import sqrt
from myrnn.compiler.runtime.functions import BoolTable, Doubles, Floats, FloatTable, IntegerTable, compiled
from myrnn.compiler.runtime.lanes import load, store, total

SGD, RMSPROP, ADAM = 0, 1, 2
"""The kinds of optimizer."""


class Descent(NamedTuple):
    """The state and settings of an optimizer for the next n iterations."""

    class_weights: Floats  # float32 (K,): the weight of each class in the loss
    rates: Doubles  # the learning rate of every iteration
    limit: float  # the largest norm of all gradients together; 0 for no limit
    # The kind; weight decay per step without and with the factor of the learning rate; and three settings of the kind:
    # beta1, beta2, eps of Adam; alpha, eps of RMSprop; momentum of SGD.
    optimizer: Doubles
    first_step: int  # the number of the first step, counted from 1
    ranges: IntegerTable  # int64 (R, 3): the trained parts of the block: begin, end, and 1 if its numbers decay
    trained: BoolTable  # which of these have a gradient in each iteration; the others are not changed
    # The blocks of the parameters and of the optimizer's state; SGD's momenta are the means.
    parameters: Floats
    means: Floats
    squares: Floats
    # Receives the factors of means and squares in each iteration.
    paces: FloatTable = np.zeros((0, 2), dtype=np.float32)


@compiled
def set_paces(d: Descent) -> None:
    """Write the paces: minus the learning rate, and 1, each divided by the bias correction of Adam's averages."""
    # The correction is ``1 - beta**step``. Powers are slow: they are computed once for all numbers.
    for n in range(len(d.paces)):
        first, second = 1.0, 1.0
        if d.optimizer[0] == ADAM:
            step = d.first_step + n
            first, second = 1 - d.optimizer[3] ** step, 1 - d.optimizer[4] ** step
        d.paces[n, 0] = -d.rates[n] / first
        d.paces[n, 1] = 1 / second


@compiled
def update(d: Descent, n: int, lower: int, upper: int, g: Floats) -> None:
    """Do the optimizer's step of iteration `n` on the part of the block from `lower` to `upper`."""
    for part in range(len(d.ranges)):
        begin, end = max(d.ranges[part, 0], lower), min(d.ranges[part, 1], upper)
        if begin < end:
            take_step(d, n, part, begin, end, g)


@compiled
def take_step(d: Descent, n: int, part: int, begin: int, end: int, g: Floats) -> None:
    """Do the step of iteration `n` on the numbers from `begin` to `end`, which belong to range number `part`."""
    if not d.trained[n, part]:
        return
    share = np.float32((d.optimizer[1] + d.rates[n] * d.optimizer[2]) * d.ranges[part, 2])
    if d.optimizer[0] == ADAM:
        _adam(d, begin, end, g, d.paces[n, 0], d.paces[n, 1], share)
    elif d.optimizer[0] == RMSPROP:
        _rmsprop(d, begin, end, g, d.paces[n, 0], share)
    else:
        _sgd(d, begin, end, g, d.paces[n, 0], share)


@compiled
def _adam(
    d: Descent, begin: int, end: int, g: Floats, size: np.float32, correction: np.float32, share: np.float32
) -> None:
    old_mean, new_mean = np.float32(d.optimizer[3]), np.float32(1 - d.optimizer[3])
    old_square, new_square = np.float32(d.optimizer[4]), np.float32(1 - d.optimizer[4])
    little = np.float32(d.optimizer[5])
    for j in range(begin, end, 16):
        gradient = load(g, j)
        mean = old_mean * load(d.means, j) + new_mean * gradient
        square = old_square * load(d.squares, j) + new_square * (gradient * gradient)
        parameter = load(d.parameters, j)
        change = size * mean / (sqrt(correction * square) + little)
        store(d.means, j, mean)
        store(d.squares, j, square)
        store(d.parameters, j, parameter + (change - share * parameter))


@compiled
def _rmsprop(d: Descent, begin: int, end: int, g: Floats, size: np.float32, share: np.float32) -> None:
    old_square, new_square = np.float32(d.optimizer[3]), np.float32(1 - d.optimizer[3])
    little = np.float32(d.optimizer[4])
    for j in range(begin, end, 16):
        gradient = load(g, j)
        square = old_square * load(d.squares, j) + new_square * (gradient * gradient)
        parameter = load(d.parameters, j)
        change = size * gradient / (sqrt(square) + little)
        store(d.squares, j, square)
        store(d.parameters, j, parameter + (change - share * parameter))


@compiled
def _sgd(d: Descent, begin: int, end: int, g: Floats, size: np.float32, share: np.float32) -> None:
    # Without momentum the means are not used, and may be empty.
    momentum = d.optimizer[3]
    kept = np.float32(momentum)
    for j in range(begin, end, 16):
        change = size * load(g, j)
        if momentum != 0:
            change = kept * load(d.means, j) + change
            store(d.means, j, change)
        parameter = load(d.parameters, j)
        store(d.parameters, j, parameter + (change - share * parameter))


@compiled
def squared_norm(a: Floats, begin: int, end: int) -> float:
    """Return the sum of the squares of the numbers from `begin` to `end`, a float64."""
    result = 0.0
    for start in range(begin, end, 4096):
        # Summed in float64 piece by piece, so that a long block loses no precision.
        piece = load(a, start) * load(a, start)
        for j in range(start + 16, min(start + 4096, end), 16):
            piece = piece + load(a, j) * load(a, j)
        result += total(piece)
    return result


@compiled
def scale(a: Floats, begin: int, end: int, factor: float) -> None:
    """Multiply the numbers from `begin` to `end` by `factor`."""
    number = np.float32(factor)
    for j in range(begin, end, 16):
        store(a, j, load(a, j) * number)


@compiled
def sum_shards(gradients: Floats, begin: int, end: int, size: int, shards: int) -> None:
    """Add the gradients of all shards, `size` numbers apart, into those of the first."""
    for shard in range(1, shards):
        for j in range(begin, end, 16):
            store(gradients, j, load(gradients, j) + load(gradients, shard * size + j))
