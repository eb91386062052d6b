"""The callers of all programs: loss and gradients, training, and logits.

A program is one function, which these functions get by address; they are compiled once for all programs. Only this file
knows the difference between a program for one sequence and one for batches.
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
from myrnn.compiler.runtime.products import fill
from myrnn.compiler.runtime.threads import flush_subnormals, meet, restore_mode
from myrnn.compiler.runtime.updates import Descent, scale, set_paces, squared_norm, sum_shards, update


class Samples(NamedTuple):
    """Sequences with their targets, flat."""

    values: Tokens  # tokens, or the bits of features, which only the program reads
    offsets: Integers
    labels: Integers  # of each sequence, or of each step
    targets: Floats  # the numeric targets of each, or of each class
    weights: Floats  # the weight of each
    class_weights: Floats  # and that of each class
    streams: Integers  # the row of each in `carried`, ~row if it begins anew; empty if all do
    carried: Floats  # the states of streams


class Work(NamedTuple):
    """The memory of a program."""

    numbers: Floats
    sizes: Integers  # and the offsets of buffers
    tables: Tokens  # indices
    start: Integers  # of a batch: the first row of every step
    lined: Tokens  # of a batch: the tokens of all steps
    dense: int  # how many numbers of the gradients are not those of lookups
    micro_batch: int  # the most sequences that a program gets at once


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
    class_weights: Floats, streams: Integers, carried: Floats, batch: Integers, begin: int, end: int, keys: Integers,
    share: np.float32, learn: bool, p: Floats, g: Floats, w: Floats, sizes: Integers, tables: Tokens, start: Integers,
    lined: Tokens,
) -> tuple[float, float]:  # fmt: skip
    """Call a program for a micro-batch."""
    return program(
        values, offsets, labels, targets, weights, class_weights, streams, carried, batch, begin, end, keys, share,
        learn, p, g, w, sizes, tables, start, lined,
    )  # fmt: skip


@compiled
def backpropagate(
    program: Address, batched: bool, samples: Samples, members: Integers, keys: Integers, share: np.float32, p: Floats,
    g: Floats, work: Work,
) -> tuple[float, float]:  # fmt: skip
    """Run a program for `members`, the longest first, forward and back; return the loss and the score.

    Both are sums over the sequences or their steps; the gradients `g` become those of the loss times `share`. Each
    member has a key for its random numbers; without keys nothing is drawn.
    """
    fill(g, 0, work.dense, 0.0)
    loss, score = 0.0, 0.0
    for begin in range(0, len(members), work.micro_batch):
        end = min(begin + work.micro_batch, len(members))
        more, better = run(program, batched, samples, members, begin, end, keys[begin:end], share, True, p, g, work)
        loss, score = loss + more, score + better
    return loss, score


@compiled
def run(
    program: Address, batched: bool, samples: Samples, batch: Integers, begin: int, end: int, keys: Integers,
    share: np.float32, learn: bool, p: Floats, g: Floats, work: Work,
) -> tuple[float, float]:  # fmt: skip
    """Run a program for a micro-batch, the longest sequences first, or for one sequence; return the loss and the score.

    A program computes what serves all micro-batches for the first, and its gradients for the last: they run in order.
    It adds to the gradients `g`. Without `learn` only logits are computed, and the sums are 0.
    """
    if batched:
        return run_batch(
            program, samples.values, samples.offsets, samples.labels, samples.targets, samples.weights,
            samples.class_weights, samples.streams, samples.carried, batch, begin, end, keys, share, learn, p, g,
            work.numbers, work.sizes, work.tables, work.start, work.lined,
        )  # fmt: skip
    member = batch[begin]
    first, last = samples.offsets[member], samples.offsets[member + 1]
    return run_sequence(
        program, samples.values, first, last - first, member, keys, samples.labels, samples.targets, samples.weights,
        samples.class_weights, samples.streams, samples.carried, share, learn, p, g, work.numbers, work.sizes,
        work.tables,
    )  # fmt: skip


class Shard(NamedTuple):
    """One of the threads that share a batch."""

    number: int
    shards: int  # how many there are
    # It sums and updates these numbers of the block; lookups come after all of them.
    begin: int
    end: int


def shard_of(size: int, number: int, shards: int) -> Shard:
    """Return one of so many shards, of which each updates a part of the first `size` numbers, a multiple of 16."""
    vectors = size // 16
    return Shard(number, shards, vectors * number // shards * 16, vectors * (number + 1) // shards * 16)


@compiled
def train(
    program: Address, batched: bool, samples: Samples, order: IntegerTable, shares: Floats, members: IntegerTable,
    keys: IntegerTable, barrier: Integers, d: Descent, gradients: Floats, work: Work, shard: Shard, losses: DoubleTable,
    scores: DoubleTable,
) -> None:  # fmt: skip
    """Do one iteration for each row of `order`, whose `members` belong to this shard, together with the other shards.

    `keys` are those of the members, by which the model draws random numbers. In the gradients each loss is weighted by
    the iteration's number in `shares`.
    """
    mode = flush_subnormals()
    set_paces(d)
    for n in range(len(order)):
        _learn(
            program, batched, samples, n, shares, members, keys, barrier, d, gradients, work, shard, losses, scores
        )  # fmt: skip
        if d.limit > 0:
            meet(barrier, shard.shards)
            _limit(d, squared_norm(gradients, 0, len(d.parameters)), barrier, gradients, shard)
        update(d, n, shard.begin, shard.end, gradients)
    restore_mode(mode)


@compiled
def train_lookups(
    program: Address, batched: bool, samples: Samples, order: IntegerTable, shares: Floats, members: IntegerTable,
    keys: IntegerTable, barrier: Integers, d: Descent, gradients: Floats, work: Work, shard: Shard, losses: DoubleTable,
    scores: DoubleTable, lookups: Lookups,
) -> None:  # fmt: skip
    """Do the same for a model with lookups."""
    # Two functions, so that other models need not compile what only lookups call.
    mode = flush_subnormals()
    set_paces(d)
    for n in range(len(order)):
        count = list_tokens(lookups, samples.values, samples.offsets, order[n], n)
        listed = lookups.listed[:count]
        catch_up(lookups, listed, n, d)
        _learn(
            program, batched, samples, n, shares, members, keys, barrier, d, gradients, work, shard, losses, scores
        )  # fmt: skip
        sum_listed(lookups, listed, len(d.parameters), gradients)
        factor = 1.0
        if d.limit > 0:
            meet(barrier, shard.shards)
            square = squared_norm(gradients, 0, lookups.begin) + square_of_listed(lookups, listed, gradients)
            factor = _limit(d, square, barrier, gradients, shard)
        update(d, n, shard.begin, shard.end, gradients)
        step_listed(lookups, listed, n, factor, d, gradients)
    catch_up(lookups, lookups.rows, len(order), d)
    restore_mode(mode)


@compiled
def _learn(
    program: Address, batched: bool, samples: Samples, n: int, shares: Floats, members: IntegerTable,
    keys: IntegerTable, barrier: Integers, d: Descent, gradients: Floats, work: Work, shard: Shard, losses: DoubleTable,
    scores: DoubleTable,
) -> None:  # fmt: skip
    """Run the program for iteration `n`, and sum a part of the gradients of all shards."""
    size, number = len(d.parameters), shard.number
    g = gradients[number * size : (number + 1) * size]
    meet(barrier, shard.shards)
    loss, score = backpropagate(program, batched, samples, members[n], keys[n], shares[n], d.parameters, g, work)
    losses[number, n], scores[number, n] = loss * shares[n], score
    meet(barrier, shard.shards)
    sum_shards(gradients, shard.begin, shard.end, size, shard.shards)


@compiled
def _limit(d: Descent, square: float, barrier: Integers, gradients: Floats, shard: Shard) -> float:
    """Scale a part of the gradients if the square of their norm is too large; return the factor."""
    norm, factor = np.sqrt(square), 1.0
    if norm > d.limit:
        factor = d.limit / norm
    # No shard scales anything before all have seen the norm.
    meet(barrier, shard.shards)
    if factor != 1.0:
        scale(gradients, shard.begin, shard.end, factor)
    return factor


@compiled
def logits(
    program: Address, batched: bool, samples: Samples, members: Integers, per_step: bool, p: Floats, work: Work,
    at: int, row: int, out: FloatTable,
) -> None:  # fmt: skip
    """Write the logits of `members`, for a batch the longest first, into their rows of `out`, or of their steps."""
    for begin in range(0, len(members), work.micro_batch):
        end = min(begin + work.micro_batch, len(members))
        run(program, batched, samples, members, begin, end, members[:0], np.float32(1), False, p, p, work)
        if per_step:
            first, last = samples.offsets[members[begin]], samples.offsets[members[begin] + 1]
            count = work.start[last - first] if batched else last - first
        else:
            first, count = 0, end - begin
        for n in range(count):
            if per_step:
                place = work.lined[n] if batched else first + n
            else:
                place = members[begin + n]
            for k in range(out.shape[1]):
                out[place, k] = work.numbers[at + n * row + k]
