"""The inner loops of matrix products and of transposition, as instructions over lanes.

A tile is a small block of a product that stays in registers while the loop over the shared dimension runs.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from myrnn.compiler._lanes import FLOATS, fma, instruction, is_flat, pointer_to, splat


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
