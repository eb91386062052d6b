"""Products, sums and softmax of vectors and matrices without padding, such as states, for emitted code.

A (rows, columns) matrix lies row by row in a flat array, so the last lanes of a row may only be read and written in
part. As in `products`, offsets count numbers, nothing is checked, and no output may overlap an input.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils

from myrnn.compiler.runtime.elementary import exp, log, maximum
from myrnn.compiler.runtime.functions import Floats, compiled
from myrnn.compiler.runtime.lanes import (
    FLOATS,
    Array,
    CodeValue,
    Index,
    Truth,
    add_up,
    first_lanes,
    fma,
    full,
    instruction,
    keep,
    load,
    load_first,
    load_some,
    spread,
    store,
    store_first,
    store_some,
    total,
    where,
)

# A sum has this many parts, so that a processor need not wait for the result of one addition before the next.
_CHAINS = 4


def _sums(builder: Any, count: int) -> list[Any]:
    """Return variables for so many sums, which begin at zero."""
    return [cgutils.alloca_once_value(builder, ir.Constant(FLOATS, None)) for _ in range(count)]


def _accumulate(variable: Any, left: CodeValue | None, right: CodeValue) -> None:
    builder = right.builder
    old = CodeValue(builder, builder.load(variable))
    builder.store((old + right if left is None else fma(left, right, old)).llvm, variable)


def make_columns(vectors: int, whole: bool, weighted: bool = True) -> Any:
    """Return the function that multiplies a row by `16 * vectors` columns of a matrix, if not `whole` by fewer.

    If it is not `weighted`, it adds up the columns, and does not read the row.
    """
    chains = _CHAINS // vectors

    @instruction
    def columns(
        out: Array, out_at: Index, a: Array, a_at: Index, b: Array, b_at: Index, b_row: Index, steps: Index,
        count: Index, add: Truth,
    ) -> None:  # fmt: skip
        builder, last = out.builder, vectors - 1
        some = first_lanes(count - 16 * last)
        masks = [None if whole or vector < last else some for vector in range(vectors)]
        sums = [_sums(builder, vectors) for _ in range(chains)]

        def do_step(step: CodeValue, chain: list[Any]) -> None:
            left, row = spread(a, a_at + step) if weighted else None, b_at + step * b_row
            for vector, variable in enumerate(chain):
                _accumulate(variable, left, _read(b, row + 16 * vector, masks[vector]))

        turns = steps // chains
        with cgutils.for_range(builder, turns.llvm) as loop:
            first = CodeValue(builder, loop.index) * chains
            for number, chain in enumerate(sums):
                do_step(first + number, chain)
        with cgutils.for_range(builder, (steps - turns * chains).llvm) as loop:
            do_step(turns * chains + CodeValue(builder, loop.index), sums[0])
        for vector in range(vectors):
            parts = [CodeValue(builder, builder.load(chain[vector])) for chain in sums]
            while len(parts) > 1:
                parts = [left + right for left, right in zip(parts[::2], parts[1::2], strict=True)]
            _write(out, out_at + 16 * vector, parts[0], add, masks[vector])

    return columns


def _write(out: CodeValue, at: CodeValue, value: CodeValue, add: CodeValue, some: CodeValue | None) -> None:
    """Write lanes, or some of them, or add them to the present numbers."""
    builder = out.builder
    with builder.if_else(add.llvm) as (then, otherwise):
        with then:
            _put(out, at, _read(out, at, some) + value, some)
        with otherwise:
            _put(out, at, value, some)


def _read(array: CodeValue, at: CodeValue, some: CodeValue | None) -> CodeValue:
    return load(array, at) if some is None else load_some(array, at, some)


def _put(out: CodeValue, at: CodeValue, value: CodeValue, some: CodeValue | None) -> None:
    if some is None:
        store(out, at, value)
    else:
        store_some(out, at, value, some)


def make_sixteen_rows(weighted: bool) -> Any:
    """Return the function that multiplies up to 16 rows of a matrix by a vector, or adds up each of them."""

    @instruction
    def sixteen_rows(
        out: Array, out_at: Index, a: Array, a_at: Index, b: Array, b_at: Index, steps: Index, rows: Index, add: Truth
    ) -> None:
        builder, turns = out.builder, steps // 16
        sums = _sums(builder, 16)
        # Beyond the last row, that row is read again.
        begins = [b_at + where(rows > row, row, rows - 1) * steps for row in range(16)]

        def do_lanes(step: CodeValue, mask: CodeValue | None) -> None:
            left = _read(a, a_at + step, mask) if weighted else None
            for variable, begin in zip(sums, begins, strict=True):
                _accumulate(variable, left, _read(b, begin + step, mask))

        with cgutils.for_range(builder, turns.llvm) as loop:
            do_lanes(CodeValue(builder, loop.index) * 16, None)
        left = steps - turns * 16
        with builder.if_then((left > 0).llvm):
            do_lanes(turns * 16, first_lanes(left))
        totals = add_up([CodeValue(builder, builder.load(variable)) for variable in sums])
        _write(out, out_at, totals, add, first_lanes(rows))

    return sixteen_rows


def make_one_row(weighted: bool) -> Any:
    """Return the function that multiplies two vectors, or adds up one."""

    @instruction
    def one_row(
        out: Array, out_at: Index, a: Array, a_at: Index, b: Array, b_at: Index, steps: Index, add: Truth
    ) -> None:
        builder, turns = out.builder, steps // (16 * _CHAINS)
        sums = _sums(builder, _CHAINS)

        def do_lanes(step: CodeValue, variable: Any, mask: CodeValue | None) -> None:
            _accumulate(variable, _read(a, a_at + step, mask) if weighted else None, _read(b, b_at + step, mask))

        with cgutils.for_range(builder, turns.llvm) as loop:
            first = CodeValue(builder, loop.index) * (16 * _CHAINS)
            for number, variable in enumerate(sums):
                do_lanes(first + 16 * number, variable, None)
        for number, variable in enumerate(sums):
            first = turns * (16 * _CHAINS) + 16 * number
            do_lanes(first, variable, first_lanes(steps - first))
        parts = [CodeValue(builder, builder.load(variable)) for variable in sums]
        result = total((parts[0] + parts[1]) + (parts[2] + parts[3]))
        at = builder.gep(out.llvm, [out_at.llvm])
        with builder.if_else(add.llvm) as (then, otherwise):
            with then:
                builder.store((CodeValue(builder, builder.load(at)) + result).llvm, at)
            with otherwise:
                builder.store(result.llvm, at)

    return one_row


def make_outer(vectors: int, whole: bool) -> Any:
    """Return the function that multiplies a column by `16 * vectors` numbers of a row, if not `whole` by fewer."""

    @instruction
    def outer(
        out: Array, out_at: Index, out_row: Index, a: Array, a_at: Index, b: Array, b_at: Index, rows: Index,
        count: Index, add: Truth,
    ) -> None:  # fmt: skip
        builder, last = out.builder, vectors - 1
        some = first_lanes(count - 16 * last)
        masks = [None if whole or vector < last else some for vector in range(vectors)]
        right = [_read(b, b_at + 16 * vector, mask) for vector, mask in enumerate(masks)]

        def do_rows(first: CodeValue, count: int, adds: bool) -> None:
            for vector, mask in enumerate(masks):
                at = [out_at + (first + row) * out_row + 16 * vector for row in range(count)]
                left = [spread(a, a_at + first + row) for row in range(count)]
                if adds:
                    old = [_read(out, place, mask) for place in at]
                    values = [fma(one, right[vector], present) for one, present in zip(left, old, strict=True)]
                else:
                    values = [one * right[vector] for one in left]
                for place, value in zip(at, values, strict=True):
                    _put(out, place, value, mask)

        # A processor waits before it reads numbers next to those that it has just written in part.
        together = 1 if whole else 8
        turns = rows // together
        with builder.if_else(add.llvm) as branches:
            for adds, branch in zip((True, False), branches, strict=True):
                with branch:
                    with cgutils.for_range(builder, turns.llvm) as loop:
                        do_rows(CodeValue(builder, loop.index) * together, together, adds)
                    with cgutils.for_range(builder, (rows - turns * together).llvm) as loop:
                        do_rows(turns * together + CodeValue(builder, loop.index), 1, adds)

    return outer


_columns_64, _columns_32, _columns_16 = (make_columns(vectors, True) for vectors in (4, 2, 1))
_columns_some = make_columns(1, False)
_sums_64, _sums_32, _sums_16 = (make_columns(vectors, True, weighted=False) for vectors in (4, 2, 1))
_sums_some = make_columns(1, False, weighted=False)
_sixteen_dots, _sixteen_sums = map(make_sixteen_rows, (True, False))
_one_dot, _one_sum = map(make_one_row, (True, False))
_outer_64, _outer_32, _outer_16 = (make_outer(vectors, True) for vectors in (4, 2, 1))
_outer_some = make_outer(1, False)


@compiled
def _row_by_matrix(
    out: Floats, out_at: int, a: Floats, a_at: int, b: Floats, b_at: int, steps: int, columns: int, add: bool
) -> None:
    """Compute ``out[j] (+)= sum over s < steps of a[s] * b[s, j]``."""
    j = 0
    while j + 64 <= columns:
        _columns_64(out, out_at + j, a, a_at, b, b_at + j, columns, steps, 64, add)
        j += 64
    if j + 32 <= columns:
        _columns_32(out, out_at + j, a, a_at, b, b_at + j, columns, steps, 32, add)
        j += 32
    if j + 16 <= columns:
        _columns_16(out, out_at + j, a, a_at, b, b_at + j, columns, steps, 16, add)
        j += 16
    if j < columns:
        _columns_some(out, out_at + j, a, a_at, b, b_at + j, columns, steps, columns - j, add)


@compiled
def _matrix_by_row(
    out: Floats, out_at: int, a: Floats, a_at: int, b: Floats, b_at: int, steps: int, rows: int, add: bool
) -> None:
    """Compute ``out[i] (+)= sum over s < steps of a[s] * b[i, s]``."""
    i = 0
    while i + 3 < rows:
        _sixteen_dots(out, out_at + i, a, a_at, b, b_at + i * steps, steps, min(rows - i, 16), add)
        i += 16
    while i < rows:
        _one_dot(out, out_at + i, a, a_at, b, b_at + i * steps, steps, add)
        i += 1


@compiled
def _column_by_row(
    out: Floats, out_at: int, a: Floats, a_at: int, b: Floats, b_at: int, rows: int, columns: int, add: bool
) -> None:
    """Compute ``out[i, j] (+)= a[i] * b[j]``."""
    j = 0
    while j + 64 <= columns:
        _outer_64(out, out_at + j, columns, a, a_at, b, b_at + j, rows, 64, add)
        j += 64
    if j + 32 <= columns:
        _outer_32(out, out_at + j, columns, a, a_at, b, b_at + j, rows, 32, add)
        j += 32
    if j + 16 <= columns:
        _outer_16(out, out_at + j, columns, a, a_at, b, b_at + j, rows, 16, add)
        j += 16
    if j < columns:
        _outer_some(out, out_at + j, columns, a, a_at, b, b_at + j, rows, columns - j, add)


@compiled
def multiply_plain(
    out: Floats, out_at: int, a: Floats, a_at: int, b: Floats, b_at: int, matrices: int, m: int, k: int, n: int,
    transposed: bool, add: bool,
) -> None:  # fmt: skip
    """Multiply matrices (m, k) by (k, n), all without padding; the right ones are stored as (n, k) if `transposed`."""
    for matrix in range(matrices):
        first, left, right = out_at + matrix * m * n, a_at + matrix * m * k, b_at + matrix * k * n
        if k == 1:
            _column_by_row(out, first, a, left, b, right, m, n, add)
            continue
        for i in range(m):
            if transposed or n == 1:
                _matrix_by_row(out, first + i * n, a, left + i * k, b, right, k, n, add)
            else:
                _row_by_matrix(out, first + i * n, a, left + i * k, b, right, k, n, add)


@compiled
def _sum_columns(out: Floats, out_at: int, a: Floats, a_at: int, rows: int, columns: int) -> None:
    """Compute ``out[j] = sum over i < rows of a[i, j]``."""
    j = 0
    while j + 64 <= columns:
        _sums_64(out, out_at + j, a, 0, a, a_at + j, columns, rows, 64, False)
        j += 64
    if j + 32 <= columns:
        _sums_32(out, out_at + j, a, 0, a, a_at + j, columns, rows, 32, False)
        j += 32
    if j + 16 <= columns:
        _sums_16(out, out_at + j, a, 0, a, a_at + j, columns, rows, 16, False)
        j += 16
    if j < columns:
        _sums_some(out, out_at + j, a, 0, a, a_at + j, columns, rows, columns - j, False)


@compiled
def sum_axis(out: Floats, out_at: int, a: Floats, a_at: int, outer: int, n: int, inner: int) -> None:
    """Sum `a`, seen as (outer, n, inner), over its middle axis."""
    if inner > 1:
        for i in range(outer):
            _sum_columns(out, out_at + i * inner, a, a_at + i * n * inner, n, inner)
        return
    i = 0
    while i + 3 < outer:
        _sixteen_sums(out, out_at + i, a, 0, a, a_at + i * n, n, min(outer - i, 16), False)
        i += 16
    while i < outer:
        _one_sum(out, out_at + i, a, 0, a, a_at + i * n, n, False)
        i += 1


@compiled
def repeat(out: Floats, out_at: int, a: Floats, a_at: int, outer: int, n: int, inner: int) -> None:
    """Repeat the numbers of `a`, seen as (outer, inner), `n` times along a new middle axis."""
    for i in range(outer):
        if inner == 1:
            for j in range(0, n, 16):
                store_first(out, out_at + i * n + j, spread(a, a_at + i), n - j)
            continue
        for k in range(0, inner, 16):
            numbers = load_first(a, a_at + i * inner + k, inner - k)
            for j in range(n):
                store_first(out, out_at + (i * n + j) * inner + k, numbers, inner - k)


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
