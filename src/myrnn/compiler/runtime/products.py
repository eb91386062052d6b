"""Matrix products and the loss for emitted code, over flat float32 arrays.

A matrix is stored in a flat array from an offset on, row by row, with columns padded to a multiple of 16. Offsets and
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
from numba.core import cgutils

from myrnn.compiler.runtime.elementary import exp
from myrnn.compiler.runtime.functions import Floats, compiled
from myrnn.compiler.runtime.lanes import (
    FLOATS,
    Array,
    CodeValue,
    Index,
    Truth,
    fma,
    instruction,
    keep,
    load,
    shuffle,
    spread,
    store,
    total,
    where,
)

# A tile's sums should fill the registers and no more: 24 of the 32 of AVX-512, 12 of the 16 of AVX2.
_BLOCK = 64 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 16
# The steps of a long product are done in blocks: the data that a block reads of both factors stays in a core's
# second-level cache.
_PART = 256


def make_tile(rows: int, vectors: int) -> Any:
    """Return the function that computes a block of `rows` by `16 * vectors` numbers of a product."""

    @instruction
    def tile(
        out: Array, out_at: Index, out_row: Index, a: Array, a_at: Index, a_row: Index, a_step: Index,
        b: Array, b_at: Index, b_row: Index, steps: Index, add: Truth,
    ) -> None:  # fmt: skip
        builder = out.builder
        places = [[out_at + row * out_row + 16 * vector for vector in range(vectors)] for row in range(rows)]
        sums = [[cgutils.alloca_once_value(builder, ir.Constant(FLOATS, None)) for _ in row] for row in places]
        block = [(sums[row][vector], places[row][vector]) for row in range(rows) for vector in range(vectors)]
        with builder.if_then(add.llvm):
            for variable, place in block:
                builder.store(load(out, place).llvm, variable)
        with cgutils.for_range(builder, steps.llvm) as loop:
            step = CodeValue(builder, loop.index)
            right = [load(b, b_at + step * b_row + 16 * vector) for vector in range(vectors)]
            for row in range(rows):
                left = spread(a, a_at + step * a_step + row * a_row)
                for variable, vector in zip(sums[row], right, strict=True):
                    builder.store(fma(left, vector, CodeValue(builder, builder.load(variable))).llvm, variable)
        for variable, place in block:
            store(out, place, CodeValue(builder, builder.load(variable)))

    return tile


@instruction
def transpose_tile(out: Array, out_at: Index, out_row: Index, a: Array, a_at: Index, a_row: Index, rows: Index) -> None:
    """Write the transpose of the 16 by 16 block of `a` to `out`; rows of `a` from number `rows` on count as zeros."""
    block = []
    for row in range(16):
        inside = rows > row
        block.append(where(inside, load(a, a_at + where(inside, row, rows - 1) * a_row), 0.0))
    # Swap the off-diagonal quarters: of the whole block, then of each of its quarters, and so on.
    for half in (8, 4, 2, 1):
        upper = [lane if not lane & half else 16 + lane - half for lane in range(16)]
        lower = [lane + half if not lane & half else 16 + lane for lane in range(16)]
        for row in range(16):
            if not row & half:
                above, below = block[row], block[row + half]
                block[row], block[row + half] = shuffle(above, below, upper), shuffle(above, below, lower)
    for row in range(16):
        store(out, out_at + row * out_row, block[row])


def _panel(vectors: int) -> Any:
    """Return the function that computes `16 * vectors` columns of a product, tile by tile."""
    tile_6, tile_2, tile_1 = (make_tile(rows, vectors) for rows in (6, 2, 1))

    def panel(
        out: Floats, out_at: int, out_row: int, a: Floats, a_at: int, a_row: int, a_step: int,
        b: Floats, b_at: int, b_row: int, rows: int, steps: int, add: bool,
    ) -> None:  # fmt: skip
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
_row_64, _row_32, _row_16 = (make_tile(1, vectors) for vectors in (4, 2, 1))


@compiled
def multiply(
    out: Floats, out_at: int, out_row: int, a: Floats, a_at: int, a_row: int, a_step: int,
    b: Floats, b_at: int, b_row: int, rows: int, steps: int, columns: int, add: bool,
) -> None:  # fmt: skip
    """Multiply matrices: ``out[i, j] (+)= sum over s < steps of a[i, s] * b[s, j]`` for all rows and columns."""
    # `columns` is a multiple of 16. The distance from ``a[i, s]`` to ``a[i + 1, s]`` is `a_row`, to ``a[i, s + 1]`` it
    # is `a_step`: the row distance and 1, or the other way round for the transpose of the stored matrix.
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
def multiply_row(
    out: Floats, out_at: int, a: Floats, a_at: int, b: Floats, b_at: int, b_row: int, steps: int, columns: int,
    add: bool,
) -> None:  # fmt: skip
    """Multiply one row by a matrix: ``out[j] (+)= sum over s < steps of a[s] * b[s, j]``, like `multiply`."""
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
def transpose(
    out: Floats, out_at: int, out_row: int, a: Floats, a_at: int, a_row: int, rows: int, columns: int
) -> None:
    """Write ``out[j, i] = a[i, j]``, and zeros up to the next multiple of 16 rows; `columns` is one."""
    for i in range(0, rows, 16):
        for j in range(0, columns, 16):
            transpose_tile(out, out_at + j * out_row + i, out_row, a, a_at + i * a_row + j, a_row, rows - i)


@compiled
def add_dots(
    out: Floats, out_at: int, a: Floats, a_at: int, b: Floats, b_at: int, b_row: int, rows: int, columns: int
) -> None:
    """Add ``out[i] += sum over j < columns of a[j] * b[i, j]`` for ``i < rows``: a row times a transposed matrix."""
    # The padding of `b` must hold zeros, and that of `a` finite numbers.
    for i in range(rows):
        row = b_at + i * b_row
        result = load(a, a_at) * load(b, row)
        for j in range(16, columns, 16):
            result = result + load(a, a_at + j) * load(b, row + j)
        out[out_at + i] += total(result)


@compiled
def fill(out: Floats, begin: int, end: int, value: float) -> None:
    """Write `value` from `begin` to `end`; their difference is a multiple of 16."""
    for j in range(begin, end, 16):
        store(out, j, value)


@compiled
def cross_entropy(
    logits: Floats, logits_at: int, classes: int, label: int, gradient: Floats, gradient_at: int, share: float
) -> tuple[np.float32, int]:
    """Return the softmax cross-entropy of one row of logits and the class with the largest (the first of equals).

    `gradient` gets `share` times the gradient by the logits, and zeros in its padding.
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
