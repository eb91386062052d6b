"""What calls the programs of all models: training, and logits, for one sequence at a time and for batches.

A program is one function `run`, of which these functions get the address; they are compiled once for all programs.
`values` are tokens, or the bits of features, which only `run` reads.
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
    run: Address, values: Tokens, begin: int, steps: int, label: int, weight: np.float32, learn: bool,
    p: Floats, g: Floats, w: Floats, sizes: Integers, tables: Tokens,
) -> tuple[float, int]:  # fmt: skip
    """Call a program for one sequence."""
    return run(values, begin, steps, label, weight, learn, p, g, w, sizes, tables)


@by_address
def run_batch(
    run: Address, values: Tokens, offsets: Integers, labels: Integers, class_weights: Floats, members: Integers,
    share: np.float32, learn: bool, p: Floats, g: Floats, w: Floats, sizes: Integers, tables: Tokens, start: Integers,
    lined: Tokens,
) -> tuple[float, int]:  # fmt: skip
    """Call a program for a batch."""
    return run(values, offsets, labels, class_weights, members, share, learn, p, g, w, sizes, tables, start, lined)


@compiled
def train_one_by_one(
    run: Address, values: Tokens, offsets: Integers, labels: Integers, order: IntegerTable, class_weights: Floats,
    rates: Doubles, limit: float, optimizer: Doubles, first_step: int, ranges: IntegerTable, trained: BoolTable,
    p: Floats, g: Floats, m: Floats, v: Floats, w: Floats, sizes: Integers, tables: Tokens, losses: Doubles,
    hits: Integers, rows: IntegerTable, lookups: IntegerTable, every: bool, factors: FloatTable,
) -> None:  # fmt: skip
    """Do one iteration for each row of `order`."""
    mode, size, dense = flush_subnormals(), len(p), len(p)
    if len(lookups):
        dense = lookups[0, 0]
        adam_factors(optimizer, first_step, rates, factors)
    for n in range(len(order)):
        s = order[n, 0]
        begin, label = offsets[s], labels[s]
        count = 0
        if len(lookups):
            count = list_tokens(values, offsets, order[n], n, 0, rows)
            catch_up(count, n, 0, 1, rows, lookups, every, optimizer, trained, factors, p, m, v)
        steps, weight = offsets[s + 1] - begin, class_weights[label]
        losses[n], hits[n] = run_sequence(run, values, begin, steps, label, weight, True, p, g, w, sizes, tables)
        others = square_of_listed(count, 0, rows, lookups, g) if len(lookups) else 0.0
        factor = clip_factor(g, dense, limit, others)
        if factor != 1.0:
            scale(g, 0, dense, factor)
        update(optimizer, first_step + n, rates[n], ranges, trained[n], 0, dense, p, g, m, v)
        if len(lookups):
            step_listed(
                count, n, factor, 0, 1, rows, lookups, size, every, optimizer, first_step, rates, ranges, trained,
                p, g, m, v,
            )  # fmt: skip
    if len(lookups):
        catch_up(-1, len(order), 0, 1, rows, lookups, every, optimizer, trained, factors, p, m, v)
    restore_mode(mode)


@compiled
def train_batch(
    run: Address, shard: int, shards: int, barrier: Integers, values: Tokens, offsets: Integers, labels: Integers,
    order: IntegerTable, class_weights: Floats, rates: Doubles, limit: float, optimizer: Doubles, first_step: int,
    ranges: IntegerTable, trained: BoolTable, p: Floats, gradients: Floats, m: Floats, v: Floats, w: Floats,
    sizes: Integers, tables: Tokens, start: Integers, lined: Tokens, members: Integers, losses: DoubleTable,
    hits: IntegerTable, rows: IntegerTable, lookups: IntegerTable, every: bool, factors: FloatTable,
) -> None:  # fmt: skip
    """Do one iteration for each row of `order`, together with the other shards."""
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
        for i in range(len(members)):
            members[i] = order[n, shard + i * shards]
        loss, right = run_batch(
            run, values, offsets, labels, class_weights, members, share, True, p, g, w, sizes, tables, start, lined
        )
        losses[shard, n] = loss * share
        hits[shard, n] = right
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
def logits_one_by_one(
    run: Address, values: Tokens, offsets: Integers, members: Integers, p: Floats, g: Floats, w: Floats,
    sizes: Integers, tables: Tokens, at: int, out: FloatTable,
) -> None:  # fmt: skip
    """Write the logits of the sequences `members`."""
    for n in range(len(members)):
        begin, end = offsets[members[n]], offsets[members[n] + 1]
        run_sequence(run, values, begin, end - begin, 0, np.float32(1), False, p, g, w, sizes, tables)
        for k in range(out.shape[1]):
            out[n, k] = w[at + k]


@compiled
def logits_of_batch(
    run: Address, values: Tokens, offsets: Integers, labels: Integers, class_weights: Floats, members: Integers,
    p: Floats, g: Floats, w: Floats, sizes: Integers, tables: Tokens, start: Integers, lined: Tokens, at: int, row: int,
    out: FloatTable,
) -> None:  # fmt: skip
    """Write the logits of the sequences `members`, the longest first."""
    share = np.float32(1)
    run_batch(run, values, offsets, labels, class_weights, members, share, False, p, g, w, sizes, tables, start, lined)
    for n in range(len(members)):
        for k in range(out.shape[1]):
            out[n, k] = w[at + n * row + k]
