"""Code for matrices of any width without padding, in which no lane of a vector is idle.

A row is done in strips of up to 32 columns. A strip is covered by one or two vectors of 16, 8, 4, 2 or 1 numbers. The
last one ends with the strip, so it may overlap the one before it. Vectors that are written in part would be slower: a
processor waits before it reads numbers next to those that it has just written in part, and many have no such store.

As in `products`, offsets count numbers, nothing is checked, and no output may overlap an input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from myrnn.compiler.runtime.lanes import (
    Array,
    CodeValue,
    Float,
    Index,
    Truth,
    add_up,
    first_lanes,
    floats,
    fma,
    instruction,
    load_lanes,
    splat,
    spread_lanes,
    store_lanes,
    total,
    where,
)

# The lanes of vectors.
_WIDTHS = (16, 8, 4, 2, 1)
STRIP = 2 * _WIDTHS[0]
"""The columns of the widest strip."""

# A sum has this many parts, so that a processor need not wait for the result of one addition before the next.
_CHAINS = 4
# The rows whose numbers are added up together.
_GROUP = 8

_Vector = tuple[CodeValue, CodeValue]
"""An array, and the offset where a vector of any length begins."""

_DoStrip = Callable[[Sequence[CodeValue], int], None]
"""Appends the code for a strip, from the column where each of its vectors begins, and the lanes of a vector."""


def _choose(number: CodeValue, cases: Sequence[tuple[int, Callable[[], None]]]) -> None:
    """Append the code of the first case whose limit is below a number, or of the last."""
    (limit, do), *others = cases
    if not others:
        do()
        return
    with number.builder.if_else((number > limit).llvm) as (then, otherwise):
        with then:
            do()
        with otherwise:
            _choose(number, others)


def _cover(columns: CodeValue, do_strip: _DoStrip) -> None:
    """Append the code for a strip of so many columns: of two vectors that overlap, or of one if it is as wide."""
    first = CodeValue(columns.builder, ir.Constant(columns.llvm.type, 0))
    cases = list[tuple[int, Callable[[], None]]]()
    for lanes in _WIDTHS:
        two, one = partial(do_strip, [first, columns - lanes], lanes), partial(do_strip, [first], lanes)
        cases += [(lanes, two), (lanes - 1, one)] if lanes > 1 else [(0, one)]
    _choose(columns, cases)


def _sums(builder: Any, count: int, lanes: int) -> list[Any]:
    """Return variables for so many sums, which begin at zero."""
    return [cgutils.alloca_once_value(builder, ir.Constant(floats(lanes), None)) for _ in range(count)]


def _accumulate(variable: Any, left: CodeValue | None, right: CodeValue) -> None:
    """Add a product to a sum, or a number that has no factor."""
    builder = right.builder
    old = CodeValue(builder, builder.load(variable))
    builder.store((old + right if left is None else fma(left, right, old)).llvm, variable)


def _totals(builder: Any, chains: Sequence[list[Any]]) -> list[CodeValue]:
    """Return the sums of parallel chains; there are one, two or four."""
    values = [[CodeValue(builder, builder.load(variable)) for variable in chain] for chain in chains]
    while len(values) > 1:
        pairs = zip(values[::2], values[1::2], strict=True)
        values = [[left + right for left, right in zip(*pair, strict=True)] for pair in pairs]
    return values[0]


def _write(
    out: CodeValue, places: Sequence[CodeValue], values: Sequence[CodeValue], add: CodeValue | None = None,
    again: CodeValue | None = None,
) -> None:  # fmt: skip
    """Write values, or add them to the present numbers, unless `again`; where two of them overlap, they are equal."""

    def write(results: Sequence[CodeValue]) -> None:
        for place, result in zip(places, results, strict=True):
            store_lanes(out, place, result)

    def write_sums() -> None:
        old = [load_lanes(out, place, value.llvm.type.count) for place, value in zip(places, values, strict=True)]
        sums = [present + value for present, value in zip(old, values, strict=True)]
        write(sums if again is None else [where(again, *pair) for pair in zip(old, sums, strict=True)])

    if add is None:
        write(values)
        return
    with out.builder.if_else(add.llvm) as (then, otherwise):
        with then:
            write_sums()
        with otherwise:
            write(values)


def _for_each(count: CodeValue, do: Callable[[CodeValue], None]) -> None:
    """Append a loop over the numbers below `count`."""
    with cgutils.for_range(count.builder, count.llvm) as loop:
        do(CodeValue(count.builder, loop.index))


# ---- sums of rows ----


def _add_rows(
    out: _Vector, weights: _Vector | None, matrix: _Vector, row: CodeValue, rows: CodeValue, columns: CodeValue,
    add: CodeValue | None,
) -> None:  # fmt: skip
    """Append the sum of the rows of a strip, each with a weight."""
    (result, result_at), (array, at) = out, matrix
    builder = array.builder

    def do_strip(begins: Sequence[CodeValue], lanes: int) -> None:
        chains = [_sums(builder, len(begins), lanes) for _ in range(_CHAINS // len(begins))]

        def do_row(step: CodeValue, chain: list[Any]) -> None:
            weight = None if weights is None else spread_lanes(weights[0], weights[1] + step, lanes)
            for begin, variable in zip(begins, chain, strict=True):
                _accumulate(variable, weight, load_lanes(array, at + step * row + begin, lanes))

        def do_rows(turn: CodeValue) -> None:
            for number, chain in enumerate(chains):
                do_row(turn * len(chains) + number, chain)

        turns = rows // len(chains)
        _for_each(turns, do_rows)
        done = turns * len(chains)
        _for_each(rows - done, lambda row: do_row(done + row, chains[0]))
        _write(result, [result_at + begin for begin in begins], _totals(builder, chains), add)

    _cover(columns, do_strip)


@instruction
def row_by_matrix(
    out: Array, out_at: Index, a: Array, a_at: Index, b: Array, b_at: Index, b_row: Index, steps: Index,
    columns: Index, add: Truth,
) -> None:  # fmt: skip
    """Compute ``out[j] (+)= sum over s < steps of a[s] * b[s, j]`` for the columns of a strip."""
    _add_rows((out, out_at), (a, a_at), (b, b_at), b_row, steps, columns, add)


@instruction
def sum_columns(out: Array, out_at: Index, a: Array, a_at: Index, a_row: Index, rows: Index, columns: Index) -> None:
    """Compute ``out[j] = sum over i < rows of a[i, j]`` for the columns of a strip."""
    _add_rows((out, out_at), None, (a, a_at), a_row, rows, columns, None)


# ---- sums of the numbers of each row ----


def _add_lanes(
    weights: _Vector | None, array: CodeValue, begins: Sequence[CodeValue], count: CodeValue, lanes: int
) -> list[CodeValue]:
    """Append the sums of some rows of `count` numbers, each with a weight, and return the lanes that remain to add."""
    # No row is shorter than a vector.
    builder, parts = array.builder, _CHAINS if len(begins) == 1 and lanes == _WIDTHS[0] else 1
    chains = [_sums(builder, len(begins), lanes) for _ in range(parts)]

    def do_lanes(step: CodeValue, chain: list[Any], again: CodeValue | None = None) -> None:
        weight = None if weights is None else load_lanes(weights[0], weights[1] + step, lanes)
        for variable, begin in zip(chain, begins, strict=True):
            numbers = load_lanes(array, begin + step, lanes)
            if again is None:
                _accumulate(variable, weight, numbers)
            else:
                _accumulate(variable, None, where(again, 0.0, numbers if weight is None else weight * numbers))

    def do_chains(turn: CodeValue) -> None:
        for number, chain in enumerate(chains):
            do_lanes((turn * parts + number) * lanes, chain)

    turns = count // (lanes * parts)
    _for_each(turns, do_chains)
    if parts > 1:
        done = turns * (lanes * parts)
        _for_each((count - done) // lanes, lambda turn: do_lanes(done + turn * lanes, chains[0]))
    over = count - count // lanes * lanes
    with builder.if_then((over > 0).llvm):
        # The last vector ends with the row: its first lanes have been added before.
        do_lanes(count - lanes, chains[-1], first_lanes(lanes - over, lanes))
    return _totals(builder, chains)


def _add_columns(
    out: _Vector, weights: _Vector | None, matrix: _Vector, columns: CodeValue, rows: CodeValue, add: CodeValue | None
) -> None:
    """Append the sum of the columns of a matrix, each with a weight."""
    (result, result_at), (array, at) = out, matrix

    def do_group(number: CodeValue, lanes: int) -> None:
        # The last group ends with the matrix: its first rows may have been added up before.
        wanted, last = number * _GROUP, rows - _GROUP
        first = where(wanted > last, last, wanted)
        begins = [at + (first + row) * columns for row in range(_GROUP)]
        sums = add_up(_add_lanes(weights, array, begins, columns, lanes))
        _write(result, [result_at + first], [sums], add, first_lanes(wanted - first, _GROUP))

    def do_row(row: CodeValue, lanes: int) -> None:
        (sums,) = _add_lanes(weights, array, [at + row * columns], columns, lanes)
        _write(result, [result_at + row], [splat(total(sums), 1)], add)

    def do_all(count: CodeValue, do: Callable[[CodeValue, int], None]) -> None:
        def do_by(lanes: int) -> None:
            _for_each(count, lambda number: do(number, lanes))

        _choose(columns, [(lanes - 1, partial(do_by, lanes)) for lanes in _WIDTHS])

    groups = [
        (_GROUP - 1, lambda: do_all((rows + (_GROUP - 1)) // _GROUP, do_group)),
        (0, lambda: do_all(rows, do_row)),
    ]
    _choose(rows, groups)


@instruction
def matrix_by_row(
    out: Array, out_at: Index, a: Array, a_at: Index, b: Array, b_at: Index, steps: Index, rows: Index, add: Truth
) -> None:
    """Compute ``out[i] (+)= sum over s < steps of a[s] * b[i, s]``."""
    _add_columns((out, out_at), (a, a_at), (b, b_at), steps, rows, add)


@instruction
def sum_rows(out: Array, out_at: Index, a: Array, a_at: Index, columns: Index, rows: Index) -> None:
    """Compute ``out[i] = sum over j < columns of a[i, j]``."""
    _add_columns((out, out_at), None, (a, a_at), columns, rows, None)


# ---- outer products, of `count` columns and rows at once ----


@instruction
def column_by_row(
    out: Array, out_at: Index, row: Index, a: Array, a_at: Index, b: Array, b_at: Index, count: Index, rows: Index,
    columns: Index,
) -> None:  # fmt: skip
    """Compute ``out[i, j, k] = a[i, j] * b[i, k]`` for the columns of a strip."""

    def do_strip(begins: Sequence[CodeValue], lanes: int) -> None:
        def do_matrix(matrix: CodeValue) -> None:
            right = [load_lanes(b, b_at + matrix * row + begin, lanes) for begin in begins]

            def do_row(number: CodeValue) -> None:
                number = matrix * rows + number
                left = spread_lanes(a, a_at + number, lanes)
                _write(out, [out_at + number * row + begin for begin in begins], [left * vector for vector in right])

            _for_each(rows, do_row)

        _for_each(count, do_matrix)

    _cover(columns, do_strip)


@instruction
def column_by_row_onto(
    out: Array, out_at: Index, base: Array, base_at: Index, factor: Float, row: Index, a: Array, a_at: Index,
    b: Array, b_at: Index, count: Index, rows: Index, columns: Index,
) -> None:  # fmt: skip
    """Compute ``out[i, j, k] = factor * base[i, j, k] + a[i, j] * b[i, k]`` for the columns of a strip."""

    def do_strip(begins: Sequence[CodeValue], lanes: int) -> None:
        factors = splat(factor, lanes)

        def do_matrix(matrix: CodeValue) -> None:
            right = [load_lanes(b, b_at + matrix * row + begin, lanes) for begin in begins]

            def do_row(number: CodeValue) -> None:
                number = matrix * rows + number
                left, places = spread_lanes(a, a_at + number, lanes), [number * row + begin for begin in begins]
                old = [factors * load_lanes(base, base_at + place, lanes) for place in places]
                values = [fma(left, vector, present) for vector, present in zip(right, old, strict=True)]
                _write(out, [out_at + place for place in places], values)

            _for_each(rows, do_row)

        _for_each(count, do_matrix)

    _cover(columns, do_strip)


@instruction
def repeat_numbers(
    out: Array, out_at: Index, out_row: Index, a: Array, a_at: Index, rows: Index, columns: Index
) -> None:
    """Compute ``out[i, j] = a[i]`` for the columns of a strip."""

    def do_strip(begins: Sequence[CodeValue], lanes: int) -> None:
        def do_row(row: CodeValue) -> None:
            number = spread_lanes(a, a_at + row, lanes)
            _write(out, [out_at + row * out_row + begin for begin in begins], [number] * len(begins))

        _for_each(rows, do_row)

    _cover(columns, do_strip)


@instruction
def repeat_row(out: Array, out_at: Index, out_row: Index, a: Array, a_at: Index, rows: Index, columns: Index) -> None:
    """Compute ``out[i, j] = a[j]`` for the columns of a strip."""

    def do_strip(begins: Sequence[CodeValue], lanes: int) -> None:
        numbers = [load_lanes(a, a_at + begin, lanes) for begin in begins]

        def do_row(row: CodeValue) -> None:
            _write(out, [out_at + row * out_row + begin for begin in begins], numbers)

        _for_each(rows, do_row)

    _cover(columns, do_strip)
