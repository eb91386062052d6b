"""What calls the programs of all models: loss and gradients, training, and logits.

A program is one function, of which these get the address; they are compiled once for all programs. Here alone stands
how a program for one sequence differs from one for batches. `values` are tokens, or the bits of features, which only
the program reads.
"""

from __future__ import annotations

import numpy as np

from myrnn.compiler.runtime.functions import (
    Address,
    BoolTable,
    Doubles,
    DoubleTable,
    Floats,
    FloatTable,
    Integers,
    IntegerTable,
    Tokens,
    by_address,
    compiled,
)
from myrnn.compiler.runtime.lookups import (
    adam_factors,
    catch_up,
    list_tokens,
    square_of_listed,
    step_listed,
    sum_listed,
)
from myrnn.compiler.runtime.threads import flush_subnormals, meet, restore_mode
from myrnn.compiler.runtime.updates import clip_factor, scale, sum_shards, update


@by_address
def run_sequence(
    program: Address, values: Tokens, begin: int, steps: int, label: int, weight: np.float32, learn: bool,
    p: Floats, g: Floats, w: Floats, sizes: Integers, tables: Tokens,
) -> tuple[float, int]:  # fmt: skip
    """Call a program for one sequence."""
    return program(values, begin, steps, label, weight, learn, p, g, w, sizes, tables)


@by_address
def run_batch(
    program: Address, values: Tokens, offsets: Integers, labels: Integers, class_weights: Floats, members: Integers,
    share: np.float32, learn: bool, p: Floats, g: Floats, w: Floats, sizes: Integers, tables: Tokens, start: Integers,
    lined: Tokens,
) -> tuple[float, int]:  # fmt: skip
    """Call a program for a batch."""
    return program(values, offsets, labels, class_weights, members, share, learn, p, g, w, sizes, tables, start, lined)


@compiled
def run(
    program: Address, batched: bool, values: Tokens, offsets: Integers, labels: Integers, class_weights: Floats,
    members: Integers, share: np.float32, learn: bool, p: Floats, g: Floats, w: Floats, sizes: Integers, tables: Tokens,
    start: Integers, lined: Tokens,
) -> tuple[float, int]:  # fmt: skip
    """Run a program for `members`, a batch with the longest first or one sequence; return the loss and the hits.

    The loss is the sum over the sequences; the gradients are those of the loss times `share`.
    """
    if batched:
        return run_batch(
            program, values, offsets, labels, class_weights, members, share, learn, p, g, w, sizes, tables, start, lined
        )
    begin, end, label = offsets[members[0]], offsets[members[0] + 1], labels[members[0]]
    return run_sequence(program, values, begin, end - begin, label, class_weights[label], learn, p, g, w, sizes, tables)


@compiled
def train(
    program: Address, batched: bool, values: Tokens, offsets: Integers, labels: Integers, class_weights: Floats,
    order: IntegerTable, members: IntegerTable, shard: int, shards: int, barrier: Integers, rates: Doubles,
    limit: float, optimizer: Doubles, first_step: int, ranges: IntegerTable, trained: BoolTable, p: Floats,
    gradients: Floats, m: Floats, v: Floats, w: Floats, sizes: Integers, tables: Tokens, start: Integers,
    lined: Tokens, losses: DoubleTable, hits: IntegerTable, rows: IntegerTable, lookups: IntegerTable, every: bool,
    factors: FloatTable,
) -> None:  # fmt: skip
    """Do one iteration for each row of `order`, of which `members` are this shard's, together with other shards."""
    mode, size, dense = flush_subnormals(), len(p), len(p)
    g = gradients[shard * size : (shard + 1) * size]
    if len(lookups):
        dense = lookups[0, 0]
        adam_factors(optimizer, first_step, rates, factors)
    lower, upper = dense // 16 * shard // shards * 16, dense // 16 * (shard + 1) // shards * 16
    share = np.float32(1 / order.shape[1])
    for n in range(len(order)):
        count = 0
        if len(lookups):
            count = list_tokens(values, offsets, order[n], n, shard, rows)
            catch_up(count, n, shard, shards, rows, lookups, every, optimizer, trained, factors, p, m, v)
            meet(barrier, shards)
        loss, right = run(
            program, batched, values, offsets, labels, class_weights, members[n], share, True, p, g, w, sizes, tables,
            start, lined,
        )  # fmt: skip
        losses[shard, n], hits[shard, n] = loss * share, right
        meet(barrier, shards)
        sum_shards(gradients, lower, upper, size, shards)
        factor = 1.0
        if len(lookups):
            sum_listed(count, shard, shards, rows, lookups, size, gradients)
        if limit > 0:
            meet(barrier, shards)
            others = square_of_listed(count, shard, rows, lookups, gradients) if len(lookups) else 0.0
            factor = clip_factor(gradients, dense, limit, others)
            meet(barrier, shards)
            if factor != 1.0:
                scale(gradients, lower, upper, factor)
        update(optimizer, first_step + n, rates[n], ranges, trained[n], lower, upper, p, gradients, m, v)
        if len(lookups):
            step_listed(
                count, n, factor, shard, shards, rows, lookups, size, every, optimizer, first_step, rates, ranges,
                trained, p, gradients, m, v,
            )  # fmt: skip
        meet(barrier, shards)
    if len(lookups):
        catch_up(-1, len(order), shard, shards, rows, lookups, every, optimizer, trained, factors, p, m, v)
    restore_mode(mode)


@compiled
def logits(
    program: Address, batched: bool, values: Tokens, offsets: Integers, labels: Integers, class_weights: Floats,
    members: Integers, p: Floats, w: Floats, sizes: Integers, tables: Tokens, start: Integers, lined: Tokens, at: int,
    row: int, out: FloatTable,
) -> None:  # fmt: skip
    """Write the logits of `members`, of a batch the longest first, into their rows of `out`."""
    together = max(1, len(members)) if batched else 1
    for first in range(0, len(members), together):
        some = members[first : first + together]
        run(
            program, batched, values, offsets, labels, class_weights, some, np.float32(1), False, p, p, w, sizes,
            tables, start, lined,
        )  # fmt: skip
        for n in range(len(some)):
            for k in range(out.shape[1]):
                out[some[n], k] = w[at + n * row + k]
