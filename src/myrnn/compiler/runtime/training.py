"""What calls the programs of all models: loss and gradients, training, and logits.

A program is one function, of which these get the address; they are compiled once for all programs. Here alone stands
how a program for one sequence differs from one for batches.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from myrnn.compiler.runtime.functions import (
    Address,
    DoubleTable,
    Floats,
    FloatTable,
    Integers,
    IntegerTable,
    Tokens,
    by_address,
    compiled,
)
from myrnn.compiler.runtime.lookups import Lookups, catch_up, list_tokens, square_of_listed, step_listed, sum_listed
from myrnn.compiler.runtime.threads import flush_subnormals, meet, restore_mode
from myrnn.compiler.runtime.updates import Descent, scale, set_paces, squared_norm, sum_shards, update


class Samples(NamedTuple):
    """Sequences with their labels, flat."""

    values: Tokens  # tokens, or the bits of features, which only the program reads
    offsets: Integers
    labels: Integers  # of each sequence, or of each step
    targets: Floats  # the numbers of each that has no label, or of each class
    weights: Floats  # how much the loss of each of these counts
    class_weights: Floats  # and that of each class
    streams: Integers  # the row of each in `carried`, ~row where it begins anew; none where all do
    carried: Floats  # what streams go on from


class Work(NamedTuple):
    """The memory that a program runs in."""

    numbers: Floats
    sizes: Integers  # and where each buffer begins
    tables: Tokens  # indices
    start: Integers  # of a batch: the first row of every step
    lined: Tokens  # of a batch: the tokens of all steps


@by_address
def run_sequence(
    program: Address, values: Tokens, begin: int, steps: int, member: int, keys: Integers, labels: Integers,
    targets: Floats, weights: Floats, class_weights: Floats, streams: Integers, carried: Floats, share: np.float32,
    learn: bool, p: Floats, g: Floats, w: Floats, sizes: Integers, tables: Tokens,
) -> tuple[float, float]:  # fmt: skip
    """Call a program for one sequence."""
    return program(
        values, begin, steps, member, keys, labels, targets, weights, class_weights, streams, carried, share, learn, p,
        g, w, sizes, tables,
    )  # fmt: skip


@by_address
def run_batch(
    program: Address, values: Tokens, offsets: Integers, labels: Integers, targets: Floats, weights: Floats,
    class_weights: Floats, streams: Integers, carried: Floats, members: Integers, keys: Integers, share: np.float32,
    learn: bool, p: Floats, g: Floats, w: Floats, sizes: Integers, tables: Tokens, start: Integers, lined: Tokens,
) -> tuple[float, float]:  # fmt: skip
    """Call a program for a batch."""
    return program(
        values, offsets, labels, targets, weights, class_weights, streams, carried, members, keys, share, learn, p, g,
        w, sizes, tables, start, lined,
    )  # fmt: skip


@compiled
def run(
    program: Address, batched: bool, samples: Samples, members: Integers, keys: Integers, share: np.float32,
    learn: bool, p: Floats, g: Floats, work: Work,
) -> tuple[float, float]:  # fmt: skip
    """Run a program for `members`, a batch with the longest first or one sequence; return the loss and the score.

    Both are sums over the sequences, or their steps; the gradients `g` are those of the loss times `share`. Without
    `learn` only logits are computed, and the sums are 0. Each member has a key for what it draws at random; without
    keys nothing is drawn.
    """
    if batched:
        return run_batch(
            program, samples.values, samples.offsets, samples.labels, samples.targets, samples.weights,
            samples.class_weights, samples.streams, samples.carried, members, keys, share, learn, p, g, work.numbers,
            work.sizes, work.tables, work.start, work.lined,
        )  # fmt: skip
    begin, end = samples.offsets[members[0]], samples.offsets[members[0] + 1]
    return run_sequence(
        program, samples.values, begin, end - begin, members[0], keys, samples.labels, samples.targets, samples.weights,
        samples.class_weights, samples.streams, samples.carried, share, learn, p, g, work.numbers, work.sizes,
        work.tables,
    )  # fmt: skip


@compiled
def train(
    program: Address, batched: bool, samples: Samples, order: IntegerTable, shares: Floats, members: IntegerTable,
    keys: IntegerTable, barrier: Integers, d: Descent, gradients: Floats, work: Work, lookups: Lookups,
    losses: DoubleTable, scores: DoubleTable,
) -> None:  # fmt: skip
    """Do one iteration for each row of `order`, of which `members` are this shard's, together with other shards.

    `keys` are those of the members, by which the model draws random numbers.
    In its gradients each loss counts for the iteration's number of `shares`.
    """
    mode, size, shard, shards = flush_subnormals(), len(d.parameters), lookups.shard, lookups.shards
    g = gradients[shard * size : (shard + 1) * size]
    # Of all weights but lookups each shard updates a part of its own.
    vectors, looks_up = lookups.begin // 16, len(lookups.places) > 0
    lower, upper = vectors * shard // shards * 16, vectors * (shard + 1) // shards * 16
    set_paces(d)
    for n in range(len(order)):
        count = list_tokens(lookups, samples.values, samples.offsets, order[n], n) if looks_up else 0
        listed = lookups.listed[:count]
        if looks_up:
            catch_up(lookups, listed, n, d)
        meet(barrier, shards)
        loss, score = run(program, batched, samples, members[n], keys[n], shares[n], True, d.parameters, g, work)
        losses[shard, n], scores[shard, n] = loss * shares[n], score
        meet(barrier, shards)
        sum_shards(gradients, lower, upper, size, shards)
        if looks_up:
            sum_listed(lookups, listed, size, gradients)
        factor = 1.0
        if d.limit > 0:
            meet(barrier, shards)
            norm = np.sqrt(squared_norm(gradients, 0, lookups.begin) + square_of_listed(lookups, listed, gradients))
            if norm > d.limit:
                factor = d.limit / norm
            meet(barrier, shards)
            if factor != 1.0:
                scale(gradients, lower, upper, factor)
        update(d, n, lower, upper, gradients)
        if looks_up:
            step_listed(lookups, listed, n, factor, d, gradients)
    catch_up(lookups, lookups.rows, len(order), d)
    restore_mode(mode)


@compiled
def logits(
    program: Address, batched: bool, samples: Samples, members: Integers, per_step: bool, p: Floats, work: Work,
    at: int, row: int, out: FloatTable,
) -> None:  # fmt: skip
    """Write the logits of `members`, of a batch the longest first, into their rows of `out`, or of their steps."""
    together = max(1, len(members)) if batched else 1
    for first in range(0, len(members), together):
        some = members[first : first + together]
        run(program, batched, samples, some, members[:0], np.float32(1), False, p, p, work)
        if per_step:
            begin, end = samples.offsets[some[0]], samples.offsets[some[0] + 1]
            count = work.start[end - begin] if batched else end - begin
        else:
            begin, count = 0, len(some)
        for n in range(count):
            if per_step:
                place = work.lined[n] if batched else begin + n
            else:
                place = some[n]
            for k in range(out.shape[1]):
                out[place, k] = work.numbers[at + n * row + k]
