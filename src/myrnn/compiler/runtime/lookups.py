"""Training of lookups: weights with many rows, of which a step reads only those of its tokens, such as embeddings.

Only the rows of a batch's tokens have a gradient. Only these rows are summed, clipped and updated, and their gradients
cleared after the step; the gradients of all other rows stay zero. Adam, RMSprop and momentum also move rows without a
gradient: such a row takes the steps that it missed when it is next read, and at the end of the call. So the numbers are
those of an update of all rows, but for the rounding of the norm where gradients are clipped, and do not depend on where
a call ends. With weight decay, or with many tokens in a batch, all rows are updated at every step.

The threads that share a batch (shards) update rows of their own each.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from myrnn.compiler.runtime.elementary import absolute, sqrt
from myrnn.compiler.runtime.functions import Floats, FloatTable, Integers, IntegerTable, Tokens, compiled
from myrnn.compiler.runtime.lanes import load, store, total
from myrnn.compiler.runtime.products import fill
from myrnn.compiler.runtime.updates import ADAM, RMSPROP, SGD, Descent, scale, squared_norm, sum_shards, take_step

# The shards take turns with the rows, so many at a time.
_ROWS = 64


class Lookups(NamedTuple):
    """The lookups of a program: L weights, each with a row for each of C tokens. L and C may be 0."""

    begin: int  # where the first begins in the block of parameters; they are the last in it
    places: IntegerTable  # (L, 3): where each begins, how far its rows are apart, its number in `ranges` or -1
    every: bool  # whether all rows are updated at every step
    done: Integers  # (C,): how many iterations of this call each row has taken
    rows: Integers  # (C,): all rows
    seen: IntegerTable  # (shards, C): the last iteration that had each token
    listed: IntegerTable  # (shards, C): the tokens of the present iteration, each once, and anything behind them


def lookups_of(begin: int, places: list[tuple[int, int, int]], rows: int, shards: int, *, every: bool) -> Lookups:
    """Return lookups as they are at the beginning of a call."""
    table = np.array(places, dtype=np.int64).reshape(-1, 3)
    done, numbers = np.zeros(rows, dtype=np.int64), np.arange(rows, dtype=np.int64)
    seen, listed = np.full((2, shards, rows), -1, dtype=np.int64)
    return Lookups(begin, table, every, done, numbers, seen, listed)


@compiled
def _is_own(row: int, shard: int, shards: int) -> bool:
    # The check for one shard saves a division, which is slow.
    return shards == 1 or row // _ROWS % shards == shard


@compiled
def list_tokens(lookups: Lookups, tokens: Tokens, offsets: Integers, members: Integers, n: int, shard: int) -> int:
    """List the tokens of the sequences `members`, each once, for iteration `n`; return how many they are."""
    if not len(lookups.places):
        return 0
    seen, listed = lookups.seen[shard], lookups.listed[shard]
    count = 0
    for s in members:
        for i in range(offsets[s], offsets[s + 1]):
            token = tokens[i]
            if seen[token] != n:
                seen[token] = n
                listed[count] = token
                count += 1
    return count


@compiled
def catch_up(
    lookups: Lookups, listed: Integers, n: int, shard: int, shards: int, d: Descent, paces: FloatTable
) -> None:
    """Take the steps before iteration `n` that this shard's rows among the listed have missed."""
    # Without momentum, gradient descent leaves a row without a gradient as it is.
    if lookups.every or (d.optimizer[0] == SGD and d.optimizer[3] == 0):
        return
    for row in listed:
        if _is_own(row, shard, shards) and lookups.done[row] < n:
            for i in range(len(lookups.places)):
                at, stride, part = lookups.places[i, 0], lookups.places[i, 1], lookups.places[i, 2]
                if part >= 0:
                    _take_missed(d, paces, lookups.done[row], n, part, at + row * stride, at + (row + 1) * stride)
            lookups.done[row] = n


@compiled
def _take_missed(d: Descent, paces: FloatTable, first: int, last: int, part: int, begin: int, end: int) -> None:
    """Take the steps of iterations `first` to `last` on numbers from `begin` to `end` that have no gradient."""
    kind = d.optimizer[0]
    kept, little = np.float32(d.optimizer[3]), np.float32(d.optimizer[5])
    kept_square = np.float32(d.optimizer[4] if kind == ADAM else d.optimizer[3])
    for j in range(begin, end, 16):
        mean, square, parameter = load(d.means, j), load(d.squares, j), load(d.parameters, j)
        if kind == RMSPROP or total(absolute(mean)) == 0:
            # Only the squares shrink; step by step, for a power would round otherwise.
            if total(square) != 0:
                for n in range(first, last):
                    if d.trained[n, part]:
                        square = kept_square * square
        elif kind == ADAM:
            for n in range(first, last):
                if d.trained[n, part]:
                    mean, square = kept * mean, kept_square * square
                    parameter = parameter + paces[n, 0] * mean / (sqrt(paces[n, 1] * square) + little)
        else:
            for n in range(first, last):
                if d.trained[n, part]:
                    mean = kept * mean
                    parameter = parameter + mean
        if kind != RMSPROP:
            store(d.means, j, mean)
        if kind != SGD:
            store(d.squares, j, square)
        store(d.parameters, j, parameter)


@compiled
def sum_listed(lookups: Lookups, listed: Integers, shard: int, shards: int, size: int, g: Floats) -> None:
    """Add the gradients of all shards, `size` numbers apart, into those of the first, for this shard's listed rows."""
    for row in listed:
        if _is_own(row, shard, shards):
            for i in range(len(lookups.places)):
                begin = lookups.places[i, 0] + row * lookups.places[i, 1]
                sum_shards(g, begin, begin + lookups.places[i, 1], size, shards)


@compiled
def square_of_listed(lookups: Lookups, listed: Integers, g: Floats) -> float:
    """Return the sum of the squares of the gradients of all listed rows, a float64."""
    result = 0.0
    for row in listed:
        for i in range(len(lookups.places)):
            begin = lookups.places[i, 0] + row * lookups.places[i, 1]
            result += squared_norm(g, begin, begin + lookups.places[i, 1])
    return result


@compiled
def step_listed(
    lookups: Lookups, listed: Integers, n: int, factor: float, shard: int, shards: int, d: Descent, paces: FloatTable,
    g: Floats,
) -> None:  # fmt: skip
    """Take the step of iteration `n` on this shard's listed rows, their gradients times `factor`, and clear these."""
    size = len(d.parameters)
    for i in range(len(lookups.places)):
        at, stride, part = lookups.places[i, 0], lookups.places[i, 1], lookups.places[i, 2]
        for row in listed:
            if _is_own(row, shard, shards):
                begin, end = at + row * stride, at + (row + 1) * stride
                if factor != 1.0:
                    scale(g, begin, end, factor)
                if part >= 0 and not lookups.every:
                    take_step(d, paces, n, part, begin, end, g)
        if part >= 0 and lookups.every:
            for row in range(_ROWS * shard, len(lookups.done), _ROWS * shards):
                begin, end = at + row * stride, at + min(row + _ROWS, len(lookups.done)) * stride
                take_step(d, paces, n, part, begin, end, g)
        for row in listed:
            if _is_own(row, shard, shards):
                for other in range(shards):
                    begin = other * size + at + row * stride
                    fill(g, begin, begin + stride, 0.0)
    for row in listed:
        if _is_own(row, shard, shards):
            lookups.done[row] = n + 1
