"""Training of lookups: weights with many rows, of which a step reads only those of its tokens, such as embeddings.

Only the rows of a batch's tokens have a gradient. Only these rows are summed, clipped and updated, and their gradients
cleared after the step; the gradients of all other rows stay zero. Adam, RMSprop and momentum also move rows without a
gradient: such a row takes the steps that it missed when it is next read, and at the end of the call. So the numbers are
those of an update of all rows, but for the rounding of the norm where gradients are clipped, and do not depend on where
a call ends. With weight decay, or with many tokens in a batch, all rows are updated at every step.

The threads that share a batch (shards) update rows of their own each. They keep one int64 array of shape
(1 + 2 * shards, C): for each row how many iterations of this call it has taken; then two lines for each shard: for each
token the last iteration that had it, and the list of the tokens of the present one.
"""

from __future__ import annotations

import numpy as np

from myrnn.compiler.runtime.elementary import absolute, sqrt
from myrnn.compiler.runtime.functions import (
    BoolTable,
    Doubles,
    Floats,
    FloatTable,
    Integers,
    IntegerTable,
    Tokens,
    compiled,
)
from myrnn.compiler.runtime.lanes import load, store, total
from myrnn.compiler.runtime.products import fill
from myrnn.compiler.runtime.updates import ADAM, RMSPROP, SGD, fullness, scale, squared_norm, sum_shards, take_step

# The shards take turns with the rows, so many at a time.
_ROWS = 64


def row_record(symbols: int, shards: int) -> IntegerTable:
    """Return the record of rows at the beginning of a call; see above."""
    rows = np.full((1 + 2 * shards, symbols), -1, dtype=np.int64)
    rows[0] = 0
    return rows


@compiled
def _is_own(row: int, shard: int, shards: int) -> bool:
    # The check for one shard saves a division, which is slow.
    return shards == 1 or row // _ROWS % shards == shard


@compiled
def adam_factors(optimizer: Doubles, first_step: int, rates: Doubles, factors: FloatTable) -> None:
    """Write what Adam multiplies means and squares by at every step, as `adam_step` computes it."""
    if optimizer[0] == ADAM:
        for n in range(len(rates)):
            first, second = fullness(optimizer, first_step + n)
            factors[n, 0] = -rates[n] / first
            factors[n, 1] = 1 / second


@compiled
def list_tokens(tokens: Tokens, offsets: Integers, members: Integers, n: int, shard: int, rows: IntegerTable) -> int:
    """List the tokens of the sequences `members`, each once, for iteration `n`; return how many they are."""
    seen, listed = rows[1 + 2 * shard], rows[2 + 2 * shard]
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
    count: int, n: int, shard: int, shards: int, rows: IntegerTable, lookups: IntegerTable, every: bool,
    optimizer: Doubles, trained: BoolTable, factors: FloatTable, p: Floats, m: Floats, v: Floats,
) -> None:  # fmt: skip
    """Take the steps before iteration `n` that this shard's rows among the listed have missed; all rows if count < 0.

    Parameters
    ----------
    lookups : int64 array, shape (L, 3)
        Where each begins, how many numbers a row has, padding included, and its number in `ranges`; -1 if not trained.
    every : bool
        Whether all rows are updated at every step.
    optimizer, trained
        As `update` takes them, for every iteration.
    factors : float32 array, shape (n, 2)
        Those of `adam_factors`.
    """
    # Without momentum, gradient descent leaves a row without a gradient as it is.
    if every or (optimizer[0] == SGD and optimizer[3] == 0):
        return
    done, listed = rows[0], rows[2 + 2 * shard]
    for k in range(count if count >= 0 else len(done)):
        row = listed[k] if count >= 0 else k
        if _is_own(row, shard, shards) and done[row] < n:
            for i in range(len(lookups)):
                if lookups[i, 2] >= 0:
                    begin = lookups[i, 0] + row * lookups[i, 1]
                    _take_missed(
                        done[row], n, begin, begin + lookups[i, 1], optimizer, trained, lookups[i, 2], factors, p, m, v
                    )
            done[row] = n


@compiled
def _take_missed(
    first: int, last: int, begin: int, end: int, optimizer: Doubles, trained: BoolTable, own: int,
    factors: FloatTable, p: Floats, m: Floats, v: Floats,
) -> None:  # fmt: skip
    """Take the steps of iterations `first` to `last` on numbers from `begin` to `end` that have no gradient."""
    kept, little = np.float32(optimizer[3]), np.float32(optimizer[5])
    kept_square = np.float32(optimizer[4] if optimizer[0] == ADAM else optimizer[3])
    for j in range(begin, end, 16):
        mean, square, parameter = load(m, j), load(v, j), load(p, j)
        if optimizer[0] == RMSPROP or total(absolute(mean)) == 0:
            # Only the squares shrink; step by step, for a power would round otherwise.
            if total(square) != 0:
                for n in range(first, last):
                    if trained[n, own]:
                        square = kept_square * square
        elif optimizer[0] == ADAM:
            for n in range(first, last):
                if trained[n, own]:
                    mean, square = kept * mean, kept_square * square
                    parameter = parameter + factors[n, 0] * mean / (sqrt(factors[n, 1] * square) + little)
        else:
            for n in range(first, last):
                if trained[n, own]:
                    mean = kept * mean
                    parameter = parameter + mean
        if optimizer[0] != RMSPROP:
            store(m, j, mean)
        if optimizer[0] != SGD:
            store(v, j, square)
        store(p, j, parameter)


@compiled
def sum_listed(
    count: int, shard: int, shards: int, rows: IntegerTable, lookups: IntegerTable, size: int, g: Floats
) -> None:
    """Add the gradients of all shards, `size` numbers apart, into those of the first, for this shard's listed rows."""
    listed = rows[2 + 2 * shard]
    for k in range(count):
        if _is_own(listed[k], shard, shards):
            for i in range(len(lookups)):
                begin = lookups[i, 0] + listed[k] * lookups[i, 1]
                sum_shards(g, begin, begin + lookups[i, 1], size, shards)


@compiled
def square_of_listed(count: int, shard: int, rows: IntegerTable, lookups: IntegerTable, g: Floats) -> float:
    """Return the sum of the squares of the gradients of all listed rows, a float64."""
    listed = rows[2 + 2 * shard]
    result = 0.0
    for k in range(count):
        for i in range(len(lookups)):
            begin = lookups[i, 0] + listed[k] * lookups[i, 1]
            result += squared_norm(g, begin, begin + lookups[i, 1])
    return result


@compiled
def step_listed(
    count: int, n: int, factor: float, shard: int, shards: int, rows: IntegerTable, lookups: IntegerTable, size: int,
    every: bool, optimizer: Doubles, first_step: int, rates: Doubles, ranges: IntegerTable, trained: BoolTable,
    p: Floats, g: Floats, m: Floats, v: Floats,
) -> None:  # fmt: skip
    """Take the step of iteration `n` on this shard's listed rows, their gradients times `factor`, and clear these."""
    done, listed = rows[0], rows[2 + 2 * shard]
    first, second = fullness(optimizer, first_step + n)
    share = optimizer[1] + rates[n] * optimizer[2]
    for i in range(len(lookups)):
        at, stride, own = lookups[i, 0], lookups[i, 1], lookups[i, 2]
        steps = own >= 0 and trained[n, own]
        decay = share * ranges[own, 2]
        for k in range(count):
            if _is_own(listed[k], shard, shards):
                begin = at + listed[k] * stride
                if factor != 1.0:
                    scale(g, begin, begin + stride, factor)
                if steps and not every:
                    take_step(optimizer, first, second, rates[n], decay, begin, begin + stride, p, g, m, v)
        if steps and every:
            for row in range(_ROWS * shard, len(done), _ROWS * shards):
                begin, end = at + row * stride, at + min(row + _ROWS, len(done)) * stride
                take_step(optimizer, first, second, rates[n], decay, begin, end, p, g, m, v)
        for k in range(count):
            if _is_own(listed[k], shard, shards):
                begin = at + listed[k] * stride
                for other in range(shards):
                    fill(g, other * size + begin, other * size + begin + stride, 0.0)
    for k in range(count):
        if _is_own(listed[k], shard, shards):
            done[listed[k]] = n + 1
