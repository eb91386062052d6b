"""Training of lookups: weights with many rows, of which a step only reads those of its tokens, such as embeddings.

Only the rows of a batch's tokens have a gradient. Only these rows are summed, clipped and updated, and their gradients
cleared after the step; the gradients of all other rows stay zero. Adam, RMSprop and momentum also move rows without a
gradient: such a row catches up on the steps that it missed when it is next read, and at the end of the call. So the
numbers are those of an update of all rows, up to the rounding of the norm if gradients are clipped, and do not depend
on where a call ends. With weight decay, or with many tokens in a batch, all rows are updated at every step.

The threads that share a batch (shards) each update different rows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from myrnn.compiler.runtime.elementary import absolute, sqrt
from myrnn.compiler.runtime.functions import Floats, Integers, IntegerTable, Tokens, compiled
from myrnn.compiler.runtime.lanes import load, store, total
from myrnn.compiler.runtime.products import fill
from myrnn.compiler.runtime.updates import ADAM, RMSPROP, SGD, Descent, scale, squared_norm, sum_shards, take_step

# Rows are assigned to shards in turn, this many at a time.
_ROWS = 64


class Lookups(NamedTuple):
    """The lookups of a program for one of the shards: L weights, each with a row for each of C tokens."""

    shard: int
    shards: int
    begin: int  # the offset of the first in the block of parameters, where they come last
    places: IntegerTable  # (L, 3): the offset of each, the distance of its rows, its index in `ranges` or -1
    every: bool  # whether all rows are updated at every step
    rows: Integers  # (C,): all rows
    done: Integers  # (C,): the iterations of this call that each row has done; shared by all shards
    seen: Integers  # (C,): the last iteration that had each token
    listed: Integers  # (C,): the distinct tokens of the current iteration; the rest is unused


def lookups_of(begin: int, places: list[tuple[int, int, int]], rows: int, shards: int, *, every: bool) -> list[Lookups]:
    """Return the initial lookups of each shard for a call."""
    table, numbers = np.array(places, dtype=np.int64).reshape(-1, 3), np.arange(rows)
    done, never = np.zeros(rows, dtype=np.int64), np.full(rows, -1)
    return [
        Lookups(shard, shards, begin, table, every, numbers, done, never.copy(), never.copy())
        for shard in range(shards)
    ]


@compiled
def _is_own(lookups: Lookups, row: int) -> bool:
    # The test for one shard saves a division, which is slow.
    return lookups.shards == 1 or row // _ROWS % lookups.shards == lookups.shard


@compiled
def _bounds(lookups: Lookups, i: int, row: int) -> tuple[int, int]:
    """Return the range of a row of lookup number `i` in the block of parameters."""
    begin = lookups.places[i, 0] + row * lookups.places[i, 1]
    return begin, begin + lookups.places[i, 1]


@compiled
def list_tokens(lookups: Lookups, tokens: Tokens, offsets: Integers, members: Integers, n: int) -> int:
    """List the distinct tokens of the sequences `members` for iteration `n`; return their number."""
    count = 0
    for s in members:
        for i in range(offsets[s], offsets[s + 1]):
            token = tokens[i]
            if lookups.seen[token] != n:
                lookups.seen[token] = n
                lookups.listed[count] = token
                count += 1
    return count


@compiled
def catch_up(lookups: Lookups, listed: Integers, n: int, d: Descent) -> None:
    """Do the steps before iteration `n` that this shard's rows among the listed ones have missed."""
    # Without momentum, gradient descent does not change a row without a gradient.
    if lookups.every or (d.optimizer[0] == SGD and d.optimizer[3] == 0):
        return
    for row in listed:
        if _is_own(lookups, row) and lookups.done[row] < n:
            for i in range(len(lookups.places)):
                if lookups.places[i, 2] >= 0:
                    begin, end = _bounds(lookups, i, row)
                    _take_missed(d, lookups.done[row], n, lookups.places[i, 2], begin, end)
            lookups.done[row] = n


@compiled
def _take_missed(d: Descent, first: int, last: int, part: int, begin: int, end: int) -> None:
    """Do the steps of iterations `first` to `last` on numbers from `begin` to `end` that have no gradient."""
    kind = d.optimizer[0]
    kept, little = np.float32(d.optimizer[3]), np.float32(d.optimizer[5])
    kept_square = np.float32(d.optimizer[4] if kind == ADAM else d.optimizer[3])
    for j in range(begin, end, 16):
        mean, square, parameter = load(d.means, j), load(d.squares, j), load(d.parameters, j)
        if kind == RMSPROP or total(absolute(mean)) == 0:
            # Only the squares shrink; step by step, because a power would round differently.
            if total(square) != 0:
                for n in range(first, last):
                    if d.trained[n, part]:
                        square = kept_square * square
        elif kind == ADAM:
            for n in range(first, last):
                if d.trained[n, part]:
                    mean, square = kept * mean, kept_square * square
                    parameter = parameter + d.paces[n, 0] * mean / (sqrt(d.paces[n, 1] * square) + little)
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
def sum_listed(lookups: Lookups, listed: Integers, size: int, g: Floats) -> None:
    """Add the gradients of all shards, `size` numbers apart, into those of the first, for this shard's listed rows."""
    for row in listed:
        if _is_own(lookups, row):
            for i in range(len(lookups.places)):
                begin, end = _bounds(lookups, i, row)
                sum_shards(g, begin, end, size, lookups.shards)


@compiled
def square_of_listed(lookups: Lookups, listed: Integers, g: Floats) -> float:
    """Return the sum of the squares of the gradients of all listed rows, a float64."""
    result = 0.0
    for row in listed:
        for i in range(len(lookups.places)):
            begin, end = _bounds(lookups, i, row)
            result += squared_norm(g, begin, end)
    return result


@compiled
def step_listed(lookups: Lookups, listed: Integers, n: int, factor: float, d: Descent, g: Floats) -> None:
    """Do the step of iteration `n` on this shard's listed rows, their gradients times `factor`, and clear these."""
    size, count = len(d.parameters), len(lookups.rows)
    for i in range(len(lookups.places)):
        part = lookups.places[i, 2]
        for row in listed:
            if _is_own(lookups, row):
                begin, end = _bounds(lookups, i, row)
                if factor != 1.0:
                    scale(g, begin, end, factor)
                if part >= 0 and not lookups.every:
                    take_step(d, n, part, begin, end, g)
        if part >= 0 and lookups.every:
            for row in range(_ROWS * lookups.shard, count, _ROWS * lookups.shards):
                begin, _ = _bounds(lookups, i, row)
                _, end = _bounds(lookups, i, min(row + _ROWS, count) - 1)
                take_step(d, n, part, begin, end, g)
        for row in listed:
            if _is_own(lookups, row):
                begin, end = _bounds(lookups, i, row)
                for shard in range(lookups.shards):
                    fill(g, shard * size + begin, shard * size + end, 0.0)
    for row in listed:
        if _is_own(lookups, row):
            lookups.done[row] = n + 1
