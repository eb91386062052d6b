"""The whole emitted module: a header that says what it computes, and the functions around the program.

There are two kinds of module, for one sequence at a time and for batches; each has ``run``, ``train`` and ``logits``.
The latter two call ``run`` with ``bool(1)``, ``bool(0)`` and ``np.int64(0)``, for Numba compiles a function once more
for each literal. Words in capitals are placeholders; those with LOOKUPS stand for what only programs with lookups have.
"""

from __future__ import annotations

import ast
import re

from myrnn.compiler.emit import Program
from myrnn.compiler.runtime import RUNTIME

_SINGLE = '''
@njit(cache=True, nogil=True)
def run(VALUES, begin, steps, label, weight, learn, p, g, w, sizes, tables):
    """Run one sequence; with `learn`, leave the gradients of all parameters in `g`.

    Return the loss, which counts `weight` times, and 1 where the largest logit is the right one.
    """
BODY

@njit(cache=True, nogil=True)
def train(
    VALUES, offsets, labels, order, class_weights, rates, limit, optimizer, first_step, ranges, trained,
    p, g, m, v, w, sizes, tables, losses, hits_LOOKUPS,
):
    """Do one iteration for each row of `order`."""
    mode, learn = flush_subnormals(), bool(1)
    ALONE_LOOKUPS
    BEGIN_LOOKUPS
    for n in range(len(order)):
        READ_LOOKUPS
        s = order[n, 0]
        begin, label = offsets[s], labels[s]
        steps, weight = offsets[s + 1] - begin, class_weights[label]
        losses[n], hits[n] = run(VALUES, begin, steps, label, weight, learn, p, g, w, sizes, tables)
        factor = clip_factor(g, DENSE, limit_SQUARE_OF_LOOKUPS)
        if factor != 1.0:
            scale(g, 0, DENSE, factor)
        update(optimizer, first_step + n, rates[n], ranges, trained[n], 0, DENSE, p, g, m, v)
        STEP_LOOKUPS
    END_LOOKUPS
    restore_mode(mode)


@njit(cache=True, nogil=True)
def logits(VALUES, offsets, members, p, g, w, sizes, tables, at, classes, out):
    """Write the logits of the sequences `members`."""
    learn = bool(0)
    for n in range(len(members)):
        s = members[n]
        begin = offsets[s]
        run(VALUES, begin, offsets[s + 1] - begin, np.int64(0), np.float32(1), learn, p, g, w, sizes, tables)
        for k in range(classes):
            out[n, k] = w[at + k]
'''

_BATCH = '''
@njit(cache=True, nogil=True)
def run(VALUES, offsets, labels, class_weights, members, share, learn, p, g, w, sizes, tables, start, lined):
    """Run the sequences `members`, the longest first; with `learn`, leave the gradients of all parameters in `g`.

    Return the sum of their losses, each weighted by its class, and how many are right. Each counts for `share` in the
    gradients.
    """
    sequences = len(members)
    steps = line_up(start, offsets, members)
    total = start[steps]
TOKENS
BODY

@njit(cache=True, nogil=True)
def train(
    shard, shards, barrier, VALUES, offsets, labels, order, class_weights, rates, limit, optimizer, first_step,
    ranges, trained, p, gradients, m, v, w, sizes, tables, start, lined, losses, hits_LOOKUPS,
):
    """Do one iteration for each row of `order`, together with the other shards."""
    size = len(p)
    g = gradients[shard * size : (shard + 1) * size]
    BEGIN_LOOKUPS
    lower, upper = DENSE // 16 * shard // shards * 16, DENSE // 16 * (shard + 1) // shards * 16
    share = np.float32(1 / order.shape[1])
    mode, learn = flush_subnormals(), bool(1)
    for n in range(len(order)):
        READ_LOOKUPS
        MEET_LOOKUPS
        members = order[n, shard::shards].copy()
        loss, right = run(
            VALUES, offsets, labels, class_weights, members, share, learn, p, g, w, sizes, tables, start, lined
        )
        losses[shard, n] = loss * share
        hits[shard, n] = right
        meet(barrier, shards)
        sum_shards(gradients, lower, upper, size, shards)
        SUM_LOOKUPS
        if limit > 0:
            meet(barrier, shards)
            factor = clip_factor(gradients, DENSE, limit_SQUARE_OF_LOOKUPS)
            meet(barrier, shards)
            scale(gradients, lower, upper, factor)
        update(optimizer, first_step + n, rates[n], ranges, trained[n], lower, upper, p, gradients, m, v)
        STEP_LOOKUPS
        meet(barrier, shards)
    END_LOOKUPS
    restore_mode(mode)


@njit(cache=True, nogil=True)
def logits(
    VALUES, offsets, labels, class_weights, members, p, g, w, sizes, tables, start, lined, at, row, classes, out
):
    """Write the logits of the sequences `members`, the longest first."""
    learn = bool(0)
    run(VALUES, offsets, labels, class_weights, members, np.float32(1), learn, p, g, w, sizes, tables, start, lined)
    for n in range(len(members)):
        for k in range(classes):
            out[n, k] = w[at + n * row + k]
'''


# What takes the place of these words where a program has lookups; in other programs they go, together with their lines.
_LOOKUPS = {
    "ALONE_LOOKUPS": "shard, shards, size, gradients = 0, 1, len(p), g",
    "BEGIN_LOOKUPS": """\
dense, factors = lookups[0, 0], adam_factors(optimizer, first_step, rates)
    descent = optimizer, first_step, rates, ranges, trained, factors, every""",
    "READ_LOOKUPS": """\
count = list_tokens(tokens, offsets, order[n], n, shard, rows)
        catch_up(count, n, shard, shards, rows, lookups, descent, p, m, v)""",
    "MEET_LOOKUPS": "meet(barrier, shards)",
    "SUM_LOOKUPS": """\
sum_listed(count, shard, shards, rows, lookups, size, gradients)
        factor = 1.0""",
    "STEP_LOOKUPS": "step_listed(count, n, factor, shard, shards, rows, lookups, size, descent, p, gradients, m, v)",
    "END_LOOKUPS": "catch_up(-1, len(order), shard, shards, rows, lookups, descent, p, m, v)",
    "_SQUARE_OF_LOOKUPS": ", square_of_listed(count, shard, rows, lookups, gradients)",
    "_LOOKUPS": ", rows, lookups, every",
}


def module_source(program: Program, header: str, tokens: bool, batched: bool, reverse: bool) -> str:
    """Return the text of the module."""
    text = _BATCH if batched else _SINGLE
    if program.weights.lookups:
        for mark, line in _LOOKUPS.items():
            text = text.replace(mark, line)
        text = text.replace("DENSE", "dense")
    else:
        text = re.sub(r"^ *[A-Z]+_LOOKUPS\n|[A-Z_]*_LOOKUPS", "", text, flags=re.MULTILINE)
        text = text.replace("DENSE", "size" if batched else "len(p)")
    lines = ""
    if batched and tokens:
        lines = f"    line_up_tokens(lined, tokens, offsets, members, start, steps, {reverse})\n    tokens = lined\n"
    text = text.replace("TOKENS\n", lines).replace("VALUES", "tokens" if tokens else "features")
    text = text.replace("BODY", program.body)
    return f'"""{header}\n"""\n\n{_imports(text)}\n\n{text}'


def _imports(text: str) -> str:
    """Return the lines that import what the text calls, and nothing else."""
    used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    lines = ["import numpy as np"] if "np" in used else []
    lines += ["from numba import njit", ""]
    for module, names in RUNTIME.items():
        chosen = [name for name in names if name in used]
        if chosen:
            lines.append(f"from myrnn.compiler.runtime.{module} import {', '.join(chosen)}")
    return "\n".join(lines)
