"""The optimizers' steps in compiled code, over one flat block of parameters.

Parameters, gradients and what an optimizer remembers are flat float32 arrays of one layout. Each function works on the
numbers from `begin` to `end`, both multiples of 16, so that ranges with and without decay, and the shares of several
threads, are separate calls. The numbers are those of `myrnn.optimizers`, but for rounding.
"""

from __future__ import annotations

import numpy as np

from myrnn.compiler.runtime.elementary import sqrt
from myrnn.compiler.runtime.functions import Bools, Doubles, Floats, IntegerTable, compiled
from myrnn.compiler.runtime.lanes import load, store, total


@compiled
def adam_step(
    parameters: Floats,
    gradients: Floats,
    means: Floats,
    squares: Floats,
    begin: int,
    end: int,
    first: float,
    second: float,
    rate: float,
    beta1: float,
    beta2: float,
    eps: float,
    decay: float,
) -> None:
    """Take a step of Adam; `decay` is the share of every parameter that goes.

    `first` and `second` say how full the two averages are: ``1 - beta**step``, the steps counted from 1.
    """
    old_mean, new_mean = np.float32(beta1), np.float32(1 - beta1)
    old_square, new_square = np.float32(beta2), np.float32(1 - beta2)
    size = np.float32(-rate / first)
    correction = np.float32(1 / second)
    little, share = np.float32(eps), np.float32(decay)
    for j in range(begin, end, 16):
        gradient = load(gradients, j)
        mean = old_mean * load(means, j) + new_mean * gradient
        square = old_square * load(squares, j) + new_square * (gradient * gradient)
        parameter = load(parameters, j)
        change = size * mean / (sqrt(correction * square) + little)
        store(means, j, mean)
        store(squares, j, square)
        store(parameters, j, parameter + (change - share * parameter))


@compiled
def rmsprop_step(
    parameters: Floats,
    gradients: Floats,
    squares: Floats,
    begin: int,
    end: int,
    rate: float,
    alpha: float,
    eps: float,
    decay: float,
) -> None:
    """Take a step of RMSprop."""
    old_square, new_square = np.float32(alpha), np.float32(1 - alpha)
    size, little, share = np.float32(-rate), np.float32(eps), np.float32(decay)
    for j in range(begin, end, 16):
        gradient = load(gradients, j)
        square = old_square * load(squares, j) + new_square * (gradient * gradient)
        parameter = load(parameters, j)
        change = size * gradient / (sqrt(square) + little)
        store(squares, j, square)
        store(parameters, j, parameter + (change - share * parameter))


@compiled
def sgd_step(
    parameters: Floats,
    gradients: Floats,
    moments: Floats,
    begin: int,
    end: int,
    rate: float,
    momentum: float,
    decay: float,
) -> None:
    """Take a step of gradient descent; `moments` stays untouched, and may be empty, where `momentum` is 0."""
    size, kept, share = np.float32(-rate), np.float32(momentum), np.float32(decay)
    for j in range(begin, end, 16):
        change = size * load(gradients, j)
        if momentum != 0:
            change = kept * load(moments, j) + change
            store(moments, j, change)
        parameter = load(parameters, j)
        store(parameters, j, parameter + (change - share * parameter))


@compiled
def squared_norm(a: Floats, begin: int, end: int) -> float:
    """Return the sum of the squares of the numbers from `begin` to `end`, a float64."""
    result = 0.0
    for start in range(begin, end, 4096):
        # Summed in float64 piece by piece, so that a long block loses nothing.
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


SGD, RMSPROP, ADAM = 0, 1, 2
"""The kinds of optimizer, as `update` takes them."""


@compiled
def update(
    optimizer: Doubles,
    step: int,
    rate: float,
    ranges: IntegerTable,
    trained: Bools,
    lower: int,
    upper: int,
    parameters: Floats,
    gradients: Floats,
    means: Floats,
    squares: Floats,
) -> None:
    """Take an optimizer's step number `step`, counted from 1, on the part of the block from `lower` to `upper`.

    Parameters
    ----------
    optimizer : float64 array
        The kind; the share of every weight that a step takes away, and the share that it takes away times the rate;
        and the kind's own three: beta1, beta2, eps of Adam; alpha, eps of RMSprop; momentum of SGD.
    rate : float
        The learning rate.
    ranges : int64 array, shape (R, 3)
        Where each range begins and ends, and 1 where its numbers decay.
    trained : bool array, shape (R,)
        Which ranges have a gradient; the others are left as they are.
    means, squares : float32 arrays
        What the optimizer remembers; SGD's moments are the means.
    """
    # Powers are slow: one for all ranges.
    first, second = fullness(optimizer, step)
    share = optimizer[1] + rate * optimizer[2]
    for i in range(len(ranges)):
        begin, end = max(ranges[i, 0], lower), min(ranges[i, 1], upper)
        if begin >= end or not trained[i]:
            continue
        decay = share * ranges[i, 2]
        take_step(optimizer, first, second, rate, decay, begin, end, parameters, gradients, means, squares)


@compiled
def fullness(optimizer: Doubles, step: int) -> tuple[float, float]:
    """Return how full Adam's two averages are at step number `step`, counted from 1."""
    if optimizer[0] != ADAM:
        return 1.0, 1.0
    return 1 - optimizer[3] ** step, 1 - optimizer[4] ** step


@compiled
def take_step(
    optimizer: Doubles,
    first: float,
    second: float,
    rate: float,
    decay: float,
    begin: int,
    end: int,
    parameters: Floats,
    gradients: Floats,
    means: Floats,
    squares: Floats,
) -> None:
    """Take the optimizer's step on the numbers from `begin` to `end`; see `update` and `fullness`."""
    kind = int(optimizer[0])
    a, b, c = optimizer[3], optimizer[4], optimizer[5]
    if kind == ADAM:
        adam_step(parameters, gradients, means, squares, begin, end, first, second, rate, a, b, c, decay)
    elif kind == RMSPROP:
        rmsprop_step(parameters, gradients, squares, begin, end, rate, a, b, decay)
    else:
        sgd_step(parameters, gradients, means, begin, end, rate, a, decay)


@compiled
def clip_factor(gradients: Floats, size: int, limit: float, others: float) -> float:
    """Return what to multiply gradients by so that their norm is at most `limit`; 1 where the limit is 0.

    `others` is the sum of the squares of the gradients that stand elsewhere.
    """
    if limit <= 0:
        return 1.0
    norm = np.sqrt(squared_norm(gradients, 0, size) + others)
    return limit / norm if norm > limit else 1.0
