"""What emitted code calls to move numbers, to sum over features, and for products that no weight is part of.

As in `products`, arrays are flat and offsets count numbers. Each function writes just the numbers that it says, and
leaves padding alone.
"""

from __future__ import annotations

import math

import numpy as np

from myrnn.compiler.runtime.functions import Floats, Integers, Tokens, compiled


@compiled
def take(out: Floats, out_at: int, a: Floats, a_at: int, tables: Tokens, table: int, count: int) -> None:
    """Compute ``out[i] = a[index[i]]`` for ``i < count``; the indices stand in `tables` from `table` on."""
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
def sum_axis(out: Floats, out_at: int, a: Floats, a_at: int, outer: int, n: int, inner: int) -> None:
    """Sum `a`, seen as (outer, n, inner), over its middle axis."""
    for i in range(outer):
        for k in range(inner):
            result = np.float32(0)
            for j in range(n):
                result += a[a_at + (i * n + j) * inner + k]
            out[out_at + i * inner + k] = result


@compiled
def softmax_axis(
    out: Floats, out_at: int, a: Floats, a_at: int, outer: int, n: int, inner: int, logarithm: bool
) -> None:
    """Compute the softmax of `a`, seen as (outer, n, inner), over its middle axis, or the logarithm of it."""
    for i in range(outer):
        for k in range(inner):
            first = i * n * inner + k
            largest = a[a_at + first]
            for j in range(1, n):
                largest = max(largest, a[a_at + first + j * inner])
            mass = np.float32(0)
            for j in range(n):
                mass += np.float32(math.exp(a[a_at + first + j * inner] - largest))
            shift = np.float32(math.log(mass))
            for j in range(n):
                exponent = a[a_at + first + j * inner] - largest - shift
                out[out_at + first + j * inner] = exponent if logarithm else np.float32(math.exp(exponent))


@compiled
def multiply_plain(
    out: Floats,
    out_at: int,
    a: Floats,
    a_at: int,
    b: Floats,
    b_at: int,
    m: int,
    k: int,
    n: int,
    transposed: bool,
    add: bool,
) -> None:
    """Multiply (m, k) by (k, n), matrices without padding; the right one is kept as (n, k) where it is `transposed`."""
    for i in range(m):
        for j in range(n):
            result = out[out_at + i * n + j] if add else np.float32(0)
            for s in range(k):
                right = b[b_at + j * k + s] if transposed else b[b_at + s * n + j]
                result += a[a_at + i * k + s] * right
            out[out_at + i * n + j] = result


@compiled
def unpack(out: Floats, out_at: int, a: Floats, a_at: int, a_row: int, rows: int, columns: int, flipped: bool) -> None:
    """Write a matrix without padding between its rows; where it is `flipped`, `a` holds its transpose."""
    for i in range(rows):
        for j in range(columns):
            out[out_at + i * columns + j] = a[a_at + j * a_row + i] if flipped else a[a_at + i * a_row + j]


@compiled
def pack(out: Floats, out_at: int, out_row: int, a: Floats, a_at: int, rows: int, columns: int, flipped: bool) -> None:
    """Write a matrix without padding to rows `out_row` apart; where it is `flipped`, as its transpose."""
    for i in range(rows):
        for j in range(columns):
            out[out_at + (j * out_row + i if flipped else i * out_row + j)] = a[a_at + i * columns + j]


@compiled
def add_packed(
    out: Floats, out_at: int, out_row: int, a: Floats, a_at: int, rows: int, columns: int, flipped: bool
) -> None:
    """Add a matrix without padding to one whose rows are `out_row` apart; where that is `flipped`, to its transpose."""
    for i in range(rows):
        for j in range(columns):
            out[out_at + (j * out_row + i if flipped else i * out_row + j)] += a[a_at + i * columns + j]


@compiled
def copy_rows(
    out: Floats, out_at: int, out_row: int, features: Floats, begin: int, steps: int, width: int, backwards: bool
) -> None:
    """Copy the rows of one sequence, from row `begin` of all features on; `backwards` begins with the last."""
    for t in range(steps):
        source = (begin + (steps - 1 - t if backwards else t)) * width
        for j in range(width):
            out[out_at + t * out_row + j] = features[source + j]


@compiled
def one_hot_rows(
    out: Floats, out_at: int, out_row: int, tokens: Tokens, begin: int, steps: int, width: int, backwards: bool
) -> None:
    """Write a row for each of `steps` tokens: zeros, and a one at the token."""
    for t in range(steps):
        for j in range(width):
            out[out_at + t * out_row + j] = np.float32(0)
        out[out_at + t * out_row + tokens[begin + (steps - 1 - t if backwards else t)]] = np.float32(1)


@compiled
def line_up(start: Integers, offsets: Integers, members: Integers) -> int:
    """Count the rows of sequences side by side: row ``start[t]`` is the first of step t. Return the number of steps.

    `members` are the sequences, the longest first; `start` has room for three numbers more than the longest has steps.
    """
    steps = offsets[members[0] + 1] - offsets[members[0]]
    active = len(members)
    start[0] = 0
    for t in range(steps):
        while offsets[members[active - 1] + 1] - offsets[members[active - 1]] <= t:
            active -= 1
        start[t + 1] = start[t] + active
    start[steps + 1] = start[steps]
    return steps


@compiled
def line_up_rows(
    out: Floats,
    out_at: int,
    out_row: int,
    features: Floats,
    offsets: Integers,
    members: Integers,
    start: Integers,
    steps: int,
    width: int,
    backwards: bool,
) -> None:
    """Copy the rows of sequences side by side, step after step."""
    for t in range(steps):
        for r in range(start[t + 1] - start[t]):
            begin, end = offsets[members[r]], offsets[members[r] + 1]
            source = (end - 1 - t if backwards else begin + t) * width
            for j in range(width):
                out[out_at + (start[t] + r) * out_row + j] = features[source + j]


@compiled
def line_up_tokens(
    out: Tokens,
    tokens: Tokens,
    offsets: Integers,
    members: Integers,
    start: Integers,
    steps: int,
    backwards: bool,
) -> None:
    """Copy the tokens of sequences side by side, step after step."""
    for t in range(steps):
        for r in range(start[t + 1] - start[t]):
            begin, end = offsets[members[r]], offsets[members[r] + 1]
            out[start[t] + r] = tokens[end - 1 - t if backwards else begin + t]
