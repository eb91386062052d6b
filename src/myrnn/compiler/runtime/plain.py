"""Products, sums and softmax of vectors and matrices without padding, such as states, for emitted code.

A (rows, columns) matrix lies row by row in a flat array. As in `products`, offsets count numbers, nothing is checked,
and no output may overlap an input, unless a function says so.
"""

from __future__ import annotations

import math

import numpy as np

from myrnn.compiler.runtime.elementary import exp, log, maximum
from myrnn.compiler.runtime.functions import Floats, compiled
from myrnn.compiler.runtime.lanes import full, keep, load_first, store_first, total
from myrnn.compiler.runtime.strips import (
    STRIP,
    column_by_row,
    column_by_row_onto,
    matrix_by_row,
    repeat_numbers,
    repeat_row,
    row_by_matrix,
    sum_columns,
    sum_rows,
)

# The code for a strip of columns is compiled once, and called for every strip.


@compiled
def _row_by_strip(
    out: Floats, out_at: int, a: Floats, a_at: int, b: Floats, b_at: int, b_row: int, steps: int, count: int, add: bool
) -> None:
    row_by_matrix(out, out_at, a, a_at, b, b_at, b_row, steps, count, add)


@compiled
def _matrix_by_row(
    out: Floats, out_at: int, a: Floats, a_at: int, b: Floats, b_at: int, steps: int, rows: int, add: bool
) -> None:
    matrix_by_row(out, out_at, a, a_at, b, b_at, steps, rows, add)


@compiled
def _outer_strip(
    out: Floats, out_at: int, row: int, a: Floats, a_at: int, b: Floats, b_at: int, count: int, rows: int, columns: int
) -> None:
    column_by_row(out, out_at, row, a, a_at, b, b_at, count, rows, columns)


@compiled
def _outer_strip_onto(
    out: Floats, out_at: int, base: Floats, base_at: int, factor: np.float32, row: int, a: Floats, a_at: int,
    b: Floats, b_at: int, count: int, rows: int, columns: int,
) -> None:  # fmt: skip
    column_by_row_onto(out, out_at, base, base_at, factor, row, a, a_at, b, b_at, count, rows, columns)


@compiled
def add_outer(
    out: Floats, out_at: int, base: Floats, base_at: int, factors: Floats, factor_at: int, a: Floats, a_at: int,
    b: Floats, b_at: int, matrices: int, m: int, n: int, has_several: bool,
) -> None:  # fmt: skip
    """Compute ``out[i, j] = factor * base[i, j] + a[i] * b[j]`` for matrices (m, n) without padding.

    There is one factor for all, or one for each matrix if `has_several`.
    """
    # The output may be the base itself.
    apart = matrices if has_several else 1
    for number in range(apart):
        first, left, right = number * m * n, a_at + number * m, b_at + number * n
        for j in range(0, n, STRIP):
            _outer_strip_onto(
                out, out_at + first + j, base, base_at + first + j, factors[factor_at + number], n, a, left, b,
                right + j, matrices // apart, m, min(n - j, STRIP),
            )  # fmt: skip


@compiled
def multiply_plain(
    out: Floats, out_at: int, a: Floats, a_at: int, b: Floats, b_at: int, matrices: int, m: int, k: int, n: int,
    transposed: bool, add: bool,
) -> None:  # fmt: skip
    """Multiply matrices (m, k) by (k, n), all without padding; the right ones are stored as (n, k) if `transposed`."""
    if k == 1:
        for j in range(0, n, STRIP):
            at, right, columns = out_at + j, b_at + j, min(n - j, STRIP)
            if add:
                _outer_strip_onto(out, at, out, at, np.float32(1), n, a, a_at, b, right, matrices, m, columns)
            else:
                _outer_strip(out, at, n, a, a_at, b, right, matrices, m, columns)
        return
    for i in range(matrices * m):
        product, left, right = out_at + i * n, a_at + i * k, b_at + i // m * k * n
        if transposed or n == 1:
            _matrix_by_row(out, product, a, left, b, right, k, n, add)
            continue
        for j in range(0, n, STRIP):
            _row_by_strip(out, product + j, a, left, b, right + j, n, k, min(n - j, STRIP), add)


@compiled
def _sum_strip(out: Floats, out_at: int, a: Floats, a_at: int, a_row: int, rows: int, count: int) -> None:
    sum_columns(out, out_at, a, a_at, a_row, rows, count)


@compiled
def sum_axis(out: Floats, out_at: int, a: Floats, a_at: int, outer: int, n: int, inner: int) -> None:
    """Sum `a`, seen as (outer, n, inner), over its middle axis."""
    if inner == 1:
        sum_rows(out, out_at, a, a_at, n, outer)
        return
    for i in range(outer):
        for j in range(0, inner, STRIP):
            _sum_strip(out, out_at + i * inner + j, a, a_at + i * n * inner + j, inner, n, min(inner - j, STRIP))


@compiled
def _numbers_in_strip(out: Floats, out_at: int, out_row: int, a: Floats, a_at: int, rows: int, count: int) -> None:
    repeat_numbers(out, out_at, out_row, a, a_at, rows, count)


@compiled
def _row_in_strip(out: Floats, out_at: int, out_row: int, a: Floats, a_at: int, rows: int, count: int) -> None:
    repeat_row(out, out_at, out_row, a, a_at, rows, count)


@compiled
def repeat(out: Floats, out_at: int, a: Floats, a_at: int, outer: int, n: int, inner: int) -> None:
    """Repeat the numbers of `a`, seen as (outer, inner), `n` times along a new middle axis."""
    if inner == 1:
        for j in range(0, n, STRIP):
            _numbers_in_strip(out, out_at + j, n, a, a_at, outer, min(n - j, STRIP))
        return
    for i in range(outer):
        for j in range(0, inner, STRIP):
            _row_in_strip(out, out_at + i * n * inner + j, inner, a, a_at + i * inner + j, n, min(inner - j, STRIP))


@compiled
def _softmax_of(
    out: Floats, out_at: int, a: Floats, a_at: int, outer: int, n: int, inner: int, of_logarithms: bool
) -> None:
    """Compute the softmax of `a`, seen as (outer, n, inner), over its middle axis, or its logarithm."""
    for i in range(outer):
        for k in range(0, inner, 16):
            first, count = i * n * inner + k, inner - k
            largest = load_first(a, a_at + first, count)
            for j in range(1, n):
                largest = maximum(largest, load_first(a, a_at + first + j * inner, count))
            mass = full(0.0)
            for j in range(n):
                lower = load_first(a, a_at + first + j * inner, count) - largest
                mass = mass + exp(lower)
                store_first(out, out_at + first + j * inner, lower, count)
            shift = log(mass)
            for j in range(n):
                at = out_at + first + j * inner
                lower = load_first(out, at, count)
                store_first(out, at, lower - shift if of_logarithms else exp(lower) / mass, count)


@compiled
def _softmax_of_rows(out: Floats, out_at: int, a: Floats, a_at: int, outer: int, n: int, of_logarithms: bool) -> None:
    """Compute the softmax of the rows of `a`, seen as (outer, n), or its logarithm."""
    for i in range(outer):
        first = i * n
        largest = a[a_at + first]
        for j in range(1, n):
            largest = max(largest, a[a_at + first + j])
        if n <= 16 and not of_logarithms:
            powers = exp(load_first(a, a_at + first, n) - largest)
            store_first(out, out_at + first, powers / total(keep(powers, n)), n)
            continue
        mass = np.float32(0)
        for j in range(0, n, 16):
            lower = load_first(a, a_at + first + j, n - j) - largest
            mass += total(keep(exp(lower), n - j))
            store_first(out, out_at + first + j, lower, n - j)
        shift = np.float32(math.log(mass))
        for j in range(0, n, 16):
            at = out_at + first + j
            lower = load_first(out, at, n - j)
            store_first(out, at, lower - shift if of_logarithms else exp(lower) / mass, n - j)


@compiled
def softmax_axis(out: Floats, out_at: int, a: Floats, a_at: int, outer: int, n: int, inner: int) -> None:
    """Compute the softmax of `a`, seen as (outer, n, inner), over its middle axis."""
    if inner == 1:
        _softmax_of_rows(out, out_at, a, a_at, outer, n, False)
    else:
        _softmax_of(out, out_at, a, a_at, outer, n, inner, False)


@compiled
def log_softmax_axis(out: Floats, out_at: int, a: Floats, a_at: int, outer: int, n: int, inner: int) -> None:
    """Compute the logarithm of the softmax of `a`, seen as (outer, n, inner), over its middle axis."""
    if inner == 1:
        _softmax_of_rows(out, out_at, a, a_at, outer, n, True)
    else:
        _softmax_of(out, out_at, a, a_at, outer, n, inner, True)
