"""Run emitted programs in Python, each in milliseconds, for tests of hundreds of models.

Numba's types and machine code are not involved: `test_lanes` and `test_runtime` compare the functions that emitted code
calls with NumPy, and this module uses NumPy. It is stricter than machine code, and as strict as Numba: an access
outside of an array fails, and so does a number instead of sixteen.
"""

import ast
import inspect
import math
import threading
from types import SimpleNamespace

import numpy as np

from myrnn.compiler.render.numba import OF_PROGRAMS
from myrnn.compiler.runtime import functions, generation, lookups, moves, scores, training, updates
from myrnn.randomness import Draw

LANES = np.arange(16)


def interpreted(source):
    """Return an emitted program, as `compiler.cache.load` does."""
    run = functions_of(source, {"np": np, **CALLED})["run"]

    def program(values, *arguments):
        takes_features = next(iter(inspect.signature(run).parameters)) == "features"
        return run(values.view(np.float32) if takes_features else values, *arguments)

    def call(function, *arguments):
        with np.errstate(all="ignore"):
            return CALLED[function.__name__](program, *arguments)

    return SimpleNamespace(call=call, prepare=lambda function: None)


def functions_of(source, known):
    """Return the known names and the functions that a text defines, uncompiled."""
    tree = ast.parse(source)
    tree.body = [part for part in tree.body if isinstance(part, ast.FunctionDef)]
    for function in tree.body:
        function.decorator_list = []
    scope = dict(known)
    exec("from __future__ import annotations", scope)
    exec(compile(tree, "interpreted", "exec"), scope)
    return scope


def load(array, at):
    assert 0 <= at and at + 16 <= len(array), "a read outside of the array"
    return array[at : at + 16].copy()


def store(array, at, value):
    assert 0 <= at and at + 16 <= len(array), "a write outside of the array"
    array[at : at + 16] = value


def rows(array, at, row, count, columns):
    """Return the rows of a matrix in a flat array, as a view."""
    assert at >= 0 and (count == 0 or at + (count - 1) * row + columns <= len(array)), "a matrix outside of its array"
    return np.lib.stride_tricks.as_strided(array[at:], (count, columns), (row * 4, 4))


def multiply(out, out_at, out_row, a, a_at, a_row, a_step, b, b_at, b_row, count, steps, columns, add):
    steps, size = max(steps, 0), a.strides[0]
    last = a_at + (count - 1) * a_row + (steps - 1) * a_step
    assert min(count, steps) == 0 or 0 <= a_at <= last < len(a), "a matrix outside of its array"
    left = np.lib.stride_tricks.as_strided(a[a_at:], (count, steps), (a_row * size, a_step * size))
    product = np.ascontiguousarray(left, np.float32) @ rows(b, b_at, b_row, steps, columns)
    target = rows(out, out_at, out_row, count, columns)
    target[...] = target + product if add else product


def multiply_row(out, out_at, a, a_at, b, b_at, b_row, steps, columns, add):
    multiply(out, out_at, 0, a, a_at, 0, 1, b, b_at, b_row, 1, steps, columns, add)


def transpose(out, out_at, out_row, a, a_at, a_row, count, columns):
    target = rows(out, out_at, out_row, columns, -(-count // 16) * 16)
    target[...] = 0
    target[:, :count] = rows(a, a_at, a_row, count, columns).T


def add_dots(out, out_at, a, a_at, b, b_at, b_row, count, columns):
    out[out_at : out_at + count] += rows(b, b_at, b_row, count, columns) @ a[a_at : a_at + columns]


def dense(array, at, *shape):
    """Return numbers of a flat array without padding, as a view."""
    assert 0 <= at and at + math.prod(shape) <= len(array), "a matrix outside of its array"
    return array[at : at + math.prod(shape)].reshape(shape)


def multiply_plain(out, out_at, a, a_at, b, b_at, matrices, m, k, n, transposed, add):
    left = dense(a, a_at, matrices, m, k)
    right = dense(b, b_at, matrices, n, k).swapaxes(1, 2) if transposed else dense(b, b_at, matrices, k, n)
    target = dense(out, out_at, matrices, m, n)
    target[...] = target + left @ right if add else left @ right


def add_outer(out, out_at, base, base_at, factors, factor_at, a, a_at, b, b_at, matrices, m, n, has_several):
    old, target = dense(base, base_at, matrices, m, n), dense(out, out_at, matrices, m, n)
    factor = dense(factors, factor_at, matrices if has_several else 1, 1, 1)
    target[...] = factor * old + dense(a, a_at, matrices, m, 1) * dense(b, b_at, matrices, 1, n)


def sum_axis(out, out_at, a, a_at, outer, n, inner):
    dense(out, out_at, outer, inner)[...] = dense(a, a_at, outer, n, inner).sum(1)


def log_softmax_axis(out, out_at, a, a_at, outer, n, inner):
    block = dense(a, a_at, outer, n, inner)
    lower = block - block.max(1, keepdims=True)
    dense(out, out_at, outer, n, inner)[...] = lower - np.log(np.exp(lower).sum(1, keepdims=True))


def softmax_axis(out, out_at, a, a_at, outer, n, inner):
    log_softmax_axis(out, out_at, a, a_at, outer, n, inner)
    block = dense(out, out_at, outer, n, inner)
    block[...] = np.exp(block)


def repeat(out, out_at, a, a_at, outer, n, inner):
    dense(out, out_at, outer, n, inner)[...] = dense(a, a_at, outer, 1, inner)


def fill(out, begin, end, value):
    out[begin:end] = value


def cross_entropy(logits, at, classes, label, gradient, gradient_at, share):
    row = logits[at : at + classes]
    powers = np.exp(row - row.max())
    padded = -(-classes // 16) * 16
    gradient[gradient_at : gradient_at + padded] = 0
    gradient[gradient_at : gradient_at + classes] = powers / powers.sum() * np.float32(share)
    gradient[gradient_at + label] -= np.float32(share)
    return math.log(powers.sum()) + float(row.max() - row[label]), int(row.argmax())


def drawing(kind):
    def draw(out, at, count, amounts, amount_at, keys, site, row):
        one = Draw(kind, float(amounts[amount_at]))
        out[at : at + count] = one.numbers(keys[0], site, row * count, count) if len(keys) else one.neutral

    return draw


def drawing_rows(kind):
    draw = drawing(kind)

    def rows_of(
        out, at, line, count, amounts, amount_at, keys, site, offsets, members, rows, shift, times
    ):  # fmt: skip
        for r in range(rows):
            row = shift + times * (offsets[members[r] + 1] - offsets[members[r]])
            draw(out, at + r * line, count, amounts, amount_at, keys[r : r + 1], site, row)

    return rows_of


def are_lanes(value):
    return isinstance(value, np.ndarray) and value.shape == (16,) and value.dtype == np.float32


def spread(array, at):
    return np.full(16, array[at])


def full(number):
    assert np.ndim(number) == 0, "lanes where a number belongs"
    return np.full(16, number, np.float32)


def keep(value, count):
    assert are_lanes(value), "a number where lanes belong"
    return np.where(count > LANES, value, np.float32(0))


def load_between(array, at, begin, end, others):
    assert are_lanes(others), "a number where lanes belong"
    inside = LANES[(begin <= LANES) & (end > LANES)]
    assert inside.size == 0 or (at + inside[0] >= 0 and at + inside[-1] < len(array)), "a read outside of the array"
    result = others.copy()
    result[inside] = array[at + inside]
    return result


def store_total(array, at, value):
    assert are_lanes(value) and 0 <= at < len(array), "a write outside of the array"
    array[at] = value.sum()


def elementwise(function):
    def call(*values):
        assert any(map(are_lanes, values)), "no lanes are among what an elementary function gets"
        assert all(are_lanes(value) or np.ndim(value) == 0 for value in values)
        return function(*(value if are_lanes(value) else np.float32(value) for value in values)).astype(np.float32)

    return call


ELEMENTARY = {name: getattr(np, name) for name in OF_PROGRAMS["elementary"] if hasattr(np, name)} | {
    "above": np.greater,
    "relu": lambda x: np.where(np.signbit(x), np.float32(0), x),
    "same": np.equal,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "where": lambda condition, a, b: np.where(condition != 0, a, b),
}
CALLED = {
    "load": load,
    "load_between": load_between,
    "store": store,
    "store_total": store_total,
    "spread": spread,
    "full": full,
    "keep": keep,
    **{name: elementwise(function) for name, function in ELEMENTARY.items()},
    # products and the loss
    "add_dots": add_dots,
    "add_outer": add_outer,
    "cross_entropy": cross_entropy,
    "fill": fill,
    "draw_dropout": drawing("dropout"),
    "draw_dropouts": drawing_rows("dropout"),
    "draw_noise": drawing("noise"),
    "draw_noises": drawing_rows("noise"),
    "multiply": multiply,
    "log_softmax_axis": log_softmax_axis,
    "multiply_plain": multiply_plain,
    "multiply_row": multiply_row,
    "repeat": repeat,
    "softmax_axis": softmax_axis,
    "sum_axis": sum_axis,
    "transpose": transpose,
    # functions that move numbers or score outputs are Python already
    **{name: getattr(moves, name) for name in OF_PROGRAMS["moves"]},
    **{name: getattr(scores, name) for name in OF_PROGRAMS["scores"]},
    "flush_subnormals": lambda: 0,
    "restore_mode": lambda mode: None,
    # the types of arguments
    **{name: getattr(functions, name) for name in OF_PROGRAMS["functions"]},
}
assert set(CALLED) == {name for names in OF_PROGRAMS.values() for name in names}


def meet(barrier, parties):
    BARRIERS.setdefault((id(barrier), parties), threading.Barrier(parties, timeout=60)).wait()


BARRIERS = {}
CALLED["meet"] = meet
for module in (moves, updates, lookups, training):
    CALLED |= functions_of(inspect.getsource(module), {**vars(module), **CALLED, "total": np.sum})


def number_at(place):
    bits = np.int32(place)
    return (bits if bits >= 0 else bits ^ np.int32(0x7FFFFFFF)).view(np.float32)


GENERATION = functions_of(
    inspect.getsource(generation), {**vars(generation), **CALLED, "total": np.sum, "highest": np.max}
)
GENERATION["_number_at"] = number_at


def generate(program, batched, samples, *arguments):
    # Machine code writes the tokens over those of the sequence, which NumPy may only read.
    samples = samples._replace(values=samples.values.copy())
    GENERATION["generate"](program, batched, samples, *arguments)


CALLED["generate"] = generate
