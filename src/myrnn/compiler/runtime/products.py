"""What emitted code calls for matrix products and for the loss, over flat float32 arrays.

A matrix lies in a flat array from an offset on, row after row, columns padded to a multiple of 16. Offsets and
distances count numbers, not bytes. Columns are computed with their padding, so that zeros in the padding of the right
factor stay zeros in the product. Nothing is checked here, and no output may overlap an input.

The inner loops are tiles, made as instructions over lanes: a tile is a small block of a product that stays in registers
while the loop over the shared dimension runs.
"""

from __future__ import annotations

import math
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types

from myrnn.compiler.runtime.elementary import exp
from myrnn.compiler.runtime.functions import Floats, compiled
from myrnn.compiler.runtime.lanes import (
    FLOATS,
    fma,
    full,
    instruction,
    is_flat,
    keep,
    load,
    pointer_to,
    splat,
    store,
    total,
)

# A tile's sums should fill the registers and no more: 24 of the 32 of AVX-512, 12 of the 16 of AVX2.
_BLOCK = 64 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 16
# So many steps of a long product at a time: what they read of both factors stays in a core's second cache.
_PART = 256


def _vector_at(builder: Any, pointer: Any, offset: Any) -> Any:
    return builder.bitcast(builder.gep(pointer, [offset]), FLOATS.as_pointer())


def make_tile(rows: int, vectors: int) -> Any:
    """Return the function that computes a block of `rows` by `16 * vectors` numbers of a product."""

    @instruction
    def tile(
        typing: Any,
        out: Any,
        out_at: Any,
        out_row: Any,
        a: Any,
        a_at: Any,
        a_row: Any,
        a_step: Any,
        b: Any,
        b_at: Any,
        b_step: Any,
        steps: Any,
        add: Any,
    ) -> Any:
        if not all(is_flat(array) for array in (out, a, b)):
            return None
        integer = types.intp
        kinds = (out, integer, integer, a, integer, integer, integer, b, integer, integer, integer, types.boolean)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _, out_at, out_row, _, a_at, a_row, a_step, _, b_at, b_step, steps, add = arguments
            out_pointer = pointer_to(context, builder, out, arguments[0], out_at)
            a_pointer = pointer_to(context, builder, a, arguments[3], a_at)
            b_pointer = pointer_to(context, builder, b, arguments[7], b_at)
            word = context.get_value_type(integer)
            places = [
                _vector_at(
                    builder,
                    builder.gep(out_pointer, [builder.mul(out_row, word(row))]),
                    word(16 * vector),
                )
                for row in range(rows)
                for vector in range(vectors)
            ]
            sums = [cgutils.alloca_once_value(builder, ir.Constant(FLOATS, None)) for _ in places]
            with builder.if_then(add):
                for variable, place in zip(sums, places, strict=True):
                    builder.store(builder.load(place, align=4), variable)
            starts = [builder.mul(a_row, word(row)) for row in range(rows)]
            with cgutils.for_range(builder, steps) as loop:
                a_now = builder.gep(a_pointer, [builder.mul(a_step, loop.index)])
                b_now = builder.gep(b_pointer, [builder.mul(b_step, loop.index)])
                right = [
                    builder.load(_vector_at(builder, b_now, word(16 * vector)), align=4) for vector in range(vectors)
                ]
                for row in range(rows):
                    left = splat(builder, builder.load(builder.gep(a_now, [starts[row]]), align=4))
                    for vector in range(vectors):
                        variable = sums[row * vectors + vector]
                        builder.store(fma(builder, left, right[vector], builder.load(variable)), variable)
            for variable, place in zip(sums, places, strict=True):
                builder.store(builder.load(variable), place, align=4)
            return context.get_dummy_value()

        return types.void(*kinds), generate

    return tile


@instruction
def transpose_tile(typing: Any, out: Any, out_at: Any, out_row: Any, a: Any, a_at: Any, a_row: Any, rows: Any) -> Any:
    """Write the transpose of the 16 by 16 block of `a` to `out`; rows of `a` from number `rows` on count as zeros."""
    if not (is_flat(out) and is_flat(a)):
        return None
    integer = types.intp

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, out_at, out_row, _, a_at, a_row, count = arguments
        out_pointer = pointer_to(context, builder, out, arguments[0], out_at)
        a_pointer = pointer_to(context, builder, a, arguments[3], a_at)
        word = context.get_value_type(integer)
        last = builder.sub(count, word(1))
        block = []
        for row in range(16):
            inside = builder.icmp_signed("<", word(row), count)
            offset = builder.mul(builder.select(inside, word(row), last), a_row)
            vector = builder.load(_vector_at(builder, a_pointer, offset), align=4)
            block.append(builder.select(inside, vector, ir.Constant(FLOATS, None)))
        for half in (8, 4, 2, 1):
            block = _exchange(builder, block, half)
        for row in range(16):
            builder.store(block[row], _vector_at(builder, out_pointer, builder.mul(out_row, word(row))), align=4)
        return context.get_dummy_value()

    return types.void(out, integer, integer, a, integer, integer, integer), generate


def _exchange(builder: Any, block: list[Any], half: int) -> list[Any]:
    """Swap the off-diagonal quarters of every square of 2 * half rows and columns."""
    lane = range(16)
    numbers = ir.VectorType(ir.IntType(32), 16)
    upper = ir.Constant(numbers, [i if not i & half else 16 + i - half for i in lane])
    lower = ir.Constant(numbers, [i + half if not i & half else 16 + i for i in lane])
    result = list(block)
    for row in range(16):
        if not row & half:
            result[row] = builder.shuffle_vector(block[row], block[row + half], upper)
            result[row + half] = builder.shuffle_vector(block[row], block[row + half], lower)
    return result


_row_64, _row_32, _row_16 = (make_tile(1, vectors) for vectors in (4, 2, 1))


def _panel(vectors: int) -> Any:
    """Return the function that computes `16 * vectors` columns of a product, tile below tile."""
    tile_6, tile_2, tile_1 = (make_tile(rows, vectors) for rows in (6, 2, 1))

    def panel(
        out: Floats,
        out_at: int,
        out_row: int,
        a: Floats,
        a_at: int,
        a_row: int,
        a_step: int,
        b: Floats,
        b_at: int,
        b_row: int,
        rows: int,
        steps: int,
        add: bool,
    ) -> None:
        i = 0
        while i + 6 <= rows:
            tile_6(out, out_at, out_row, a, a_at, a_row, a_step, b, b_at, b_row, steps, add)
            i, out_at, a_at = i + 6, out_at + 6 * out_row, a_at + 6 * a_row
        while i + 2 <= rows:
            tile_2(out, out_at, out_row, a, a_at, a_row, a_step, b, b_at, b_row, steps, add)
            i, out_at, a_at = i + 2, out_at + 2 * out_row, a_at + 2 * a_row
        if i < rows:
            tile_1(out, out_at, out_row, a, a_at, a_row, a_step, b, b_at, b_row, steps, add)

    panel.__qualname__ = f"panel_{vectors}"
    return compiled(panel)


_wide, _narrow = _panel(_BLOCK // 16), _panel(1)


@compiled
def multiply_row(
    out: Floats,
    out_at: int,
    a: Floats,
    a_at: int,
    b: Floats,
    b_at: int,
    b_row: int,
    steps: int,
    columns: int,
    add: bool,
) -> None:
    """Multiply one row by a matrix: ``out[j] (+)= sum over s < steps of a[s] * b[s, j]`` for ``j < columns``.

    Parameters
    ----------
    out, a, b : float32 arrays, flat
        The product, the row and the matrix, from `out_at`, `a_at` and `b_at` on.
    b_row : int
        The distance between two rows of `b`.
    steps, columns : int
        How many rows of `b` there are, and how many columns, a multiple of 16.
    add : bool
        Whether to add to what `out` holds.
    """
    j = 0
    while j + 64 <= columns:
        _row_64(out, out_at + j, 0, a, a_at, 0, 1, b, b_at + j, b_row, steps, add)
        j += 64
    if j + 32 <= columns:
        _row_32(out, out_at + j, 0, a, a_at, 0, 1, b, b_at + j, b_row, steps, add)
        j += 32
    if j < columns:
        _row_16(out, out_at + j, 0, a, a_at, 0, 1, b, b_at + j, b_row, steps, add)


@compiled
def multiply(
    out: Floats,
    out_at: int,
    out_row: int,
    a: Floats,
    a_at: int,
    a_row: int,
    a_step: int,
    b: Floats,
    b_at: int,
    b_row: int,
    rows: int,
    steps: int,
    columns: int,
    add: bool,
) -> None:
    """Multiply matrices: ``out[i, j] (+)= sum over s < steps of a[i, s] * b[s, j]``.

    Parameters
    ----------
    out, a, b : float32 arrays, flat
        The product and its factors, from `out_at`, `a_at` and `b_at` on.
    out_row, b_row : int
        The distance between two rows.
    a_row, a_step : int
        How far ``a[i + 1, s]`` and ``a[i, s + 1]`` are from ``a[i, s]``: the distance between two rows, and 1. The
        other way round, the left factor is the transpose of what lies there.
    rows, steps, columns : int
        The sizes; `columns` is a multiple of 16.
    add : bool
        Whether to add to what `out` holds.
    """
    done = 0
    while True:
        part, adds = min(steps - done, _PART), add or done > 0
        left, right = a_at + done * a_step, b_at + done * b_row
        j = 0
        while j + _BLOCK <= columns:
            _wide(out, out_at + j, out_row, a, left, a_row, a_step, b, right + j, b_row, rows, part, adds)
            j += _BLOCK
        while j < columns:
            _narrow(out, out_at + j, out_row, a, left, a_row, a_step, b, right + j, b_row, rows, part, adds)
            j += 16
        done += part
        if done >= steps:
            return


@compiled
def transpose(
    out: Floats, out_at: int, out_row: int, a: Floats, a_at: int, a_row: int, rows: int, columns: int
) -> None:
    """Write ``out[j, i] = a[i, j]``; `out` gets zeros in its padding.

    Parameters
    ----------
    out, a : float32 arrays, flat
        The transpose, with room for `columns` rows of `rows` numbers padded to a multiple of 16, and the matrix.
    out_row, a_row : int
        The distances between two rows.
    rows, columns : int
        The sizes of `a`; `columns` is a multiple of 16.
    """
    for i in range(0, rows, 16):
        for j in range(0, columns, 16):
            transpose_tile(out, out_at + j * out_row + i, out_row, a, a_at + i * a_row + j, a_row, rows - i)


@compiled
def add_dots(
    out: Floats, out_at: int, a: Floats, a_at: int, b: Floats, b_at: int, b_row: int, rows: int, columns: int
) -> None:
    """Add ``out[i] += sum over j < columns of a[j] * b[i, j]`` for ``i < rows``: a row times a matrix kept transposed.

    The padding of `b` must hold zeros, and that of `a` finite numbers.
    """
    for i in range(rows):
        row = b_at + i * b_row
        result = load(a, a_at) * load(b, row)
        for j in range(16, columns, 16):
            result = result + load(a, a_at + j) * load(b, row + j)
        out[out_at + i] += total(result)


@compiled
def sum_rows(out: Floats, out_at: int, a: Floats, a_at: int, a_row: int, rows: int, columns: int, add: bool) -> None:
    """Compute ``out[j] (+)= sum over i < rows of a[i, j]`` for ``j < columns``, a multiple of 16."""
    for j in range(0, columns, 16):
        result = load(out, out_at + j) if add else full(0)
        for i in range(rows):
            result = result + load(a, a_at + i * a_row + j)
        store(out, out_at + j, result)


@compiled
def fill(out: Floats, begin: int, end: int, value: float) -> None:
    """Write `value` from `begin` to `end`, a multiple of 16 apart."""
    for j in range(begin, end, 16):
        store(out, j, value)


@compiled
def cross_entropy(
    logits: Floats, logits_at: int, classes: int, label: int, gradient: Floats, gradient_at: int, share: float
) -> tuple[np.float32, int]:
    """Return the softmax cross-entropy of one row of logits and the class with the largest (the first of equals).

    Parameters
    ----------
    logits : float32 array, flat
        K logits from `logits_at` on, padded to a multiple of 16 with anything.
    classes, label : int
        K, and the right class.
    gradient : float32 array, flat
        Gets `share` times the loss' gradient by the logits, from `gradient_at` on, and zeros in the padding.
    share : float
        How much of the batch's loss this one is: one over the number of sequences.
    """
    best = 0
    for k in range(1, classes):
        if logits[logits_at + k] > logits[logits_at + best]:
            best = k
    largest = logits[logits_at + best]
    mass = np.float32(0)
    for k in range(0, classes, 16):
        powers = keep(exp(load(logits, logits_at + k) - largest), classes - k)
        mass += total(powers)
        store(gradient, gradient_at + k, powers)
    scale = np.float32(share) / mass
    for k in range(0, classes, 16):
        store(gradient, gradient_at + k, load(gradient, gradient_at + k) * scale)
    gradient[gradient_at + label] -= np.float32(share)
    return math.log(mass) + (largest - logits[logits_at + label]), best
