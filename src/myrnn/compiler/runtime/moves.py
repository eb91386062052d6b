"""Functions of emitted code that move numbers.

As in `products`, arrays are flat and offsets count numbers. Each function only writes the numbers that it documents,
and never padding.
"""

from __future__ import annotations

import numpy as np

from myrnn.compiler.runtime.functions import Floats, Integers, Tokens, compiled
from myrnn.compiler.runtime.lanes import load, store


@compiled
def take(out: Floats, out_at: int, a: Floats, a_at: int, tables: Tokens, table: int, count: int) -> None:
    """Compute ``out[i] = a[index[i]]`` for ``i < count``; the indices are in `tables` from `table` on."""
    for i in range(count):
        out[out_at + i] = a[a_at + tables[table + i]]


@compiled
def put(out: Floats, out_at: int, a: Floats, a_at: int, tables: Tokens, table: int, count: int, size: int) -> None:
    """Clear `size` numbers of `out`, then add ``out[index[i]] += a[i]`` for ``i < count``."""
    for i in range(size):
        out[out_at + i] = np.float32(0)
    for i in range(count):
        out[out_at + tables[table + i]] += a[a_at + i]


@compiled
def spread_out(out: Floats, out_at: int, a: Floats, a_at: int, tables: Tokens, table: int, count: int) -> None:
    """Compute ``out[index[i]] = a[i]`` for ``i < count``."""
    for i in range(count):
        out[out_at + tables[table + i]] = a[a_at + i]


@compiled
def copy_matrix(
    out: Floats, out_at: int, out_row: int, out_step: int, a: Floats, a_at: int, a_row: int, a_step: int,
    rows: int, columns: int, add: bool,
) -> None:  # fmt: skip
    """Compute ``out[i, j] (+)= a[i, j]``, with distances `row` between rows and `step` between columns."""
    for i in range(rows):
        for j in range(columns):
            old = out[out_at + i * out_row + j * out_step] if add else np.float32(0)
            out[out_at + i * out_row + j * out_step] = old + a[a_at + i * a_row + j * a_step]


@compiled
def copy(out: Floats, out_at: int, a: Floats, a_at: int, count: int) -> None:
    """Copy `count` numbers."""
    whole = count - count % 16
    for i in range(0, whole, 16):
        store(out, out_at + i, load(a, a_at + i))
    for i in range(whole, count):
        out[out_at + i] = a[a_at + i]


@compiled
def go_on(out: Floats, out_at: int, carried: Floats, stream: int, width: int, at: int, count: int) -> None:
    """Copy `count` numbers from the row of a stream; zeros if it begins anew."""
    if stream >= 0:
        copy(out, out_at, carried, stream * width + at, count)
        return
    for i in range(count):
        out[out_at + i] = np.float32(0)


@compiled
def hand_on(carried: Floats, stream: int, width: int, at: int, a: Floats, a_at: int, count: int) -> None:
    """Copy `count` numbers into the row of a stream, given as ``~stream`` if it began anew."""
    row = stream if stream >= 0 else ~stream
    copy(carried, row * width + at, a, a_at, count)


@compiled
def read_table(
    out: Floats, out_at: int, table: Floats, table_at: int, line: int, done: int, carried: Floats, stream: int,
    width: int, at: int, count: int,
) -> None:  # fmt: skip
    """Copy the row of a table for the step after `done` steps, and those that the row of a stream counts."""
    row = done if stream < 0 else done + int(carried[stream * width + at])
    copy(out, out_at, table, table_at + row * line, count)


@compiled
def one_hot(out: Floats, out_at: int, token: int, count: int) -> None:
    """Write `count` numbers: zeros, and a one at the token."""
    for i in range(count):
        out[out_at + i] = np.float32(i == token)


@compiled
def symbol_rows(
    out: Floats, out_at: int, count: int, tokens: Tokens, offsets: Integers, members: Integers
) -> None:  # fmt: skip
    """Write the one-hot row of each of `count` symbols; that of the first token for those that do not occur.

    Without any token, all rows are zero.
    """
    first = -1
    for i in range(count * count):
        out[out_at + i] = np.float32(0)
    for member in members:
        for t in range(offsets[member], offsets[member + 1]):
            out[out_at + tokens[t] * (count + 1)] = np.float32(1)
            first = tokens[t] if first < 0 else first
    for i in range(count):
        if first >= 0 and out[out_at + i * (count + 1)] == 0:
            out[out_at + i * count + first] = np.float32(1)


@compiled
def line_up(start: Integers, lined: Tokens, offsets: Integers, members: Integers) -> int:
    """Lay out the rows of `members`, the longest first, step by step, and return the number of steps."""
    # Sequences end together. `start` receives the first row of each step, and the end twice; `lined` the step of the
    # data for each row.
    steps = offsets[members[0] + 1] - offsets[members[0]]
    active = start[0] = 0
    for t in range(steps):
        left = steps - t
        while active < len(members) and offsets[members[active] + 1] - offsets[members[active]] >= left:
            active += 1
        start[t + 1] = start[t] + active
        for r in range(active):
            lined[start[t] + r] = offsets[members[r] + 1] - left
    start[steps + 1] = start[steps]
    return steps
