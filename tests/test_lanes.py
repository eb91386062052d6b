"""Lanes: memory, operators and choices, held against NumPy."""

import numpy as np
import pytest
from numba import njit

from myrnn.compiler.runtime import lanes
from myrnn.compiler.runtime.lanes import (
    full,
    keep,
    load,
    spread,
    store,
    total,
)


def run(function, *inputs):
    """Apply a compiled function of (inputs..., out) to copies of the inputs and return what it wrote."""
    out = np.full_like(inputs[0], 99)
    function(*[array.copy() for array in inputs], out)
    return out


@njit
def arithmetic(a, b, out):
    x, y = load(a, 0), load(b, 0)
    store(out, 0, (x + y) * (x - y) / (2 + y * y) - 0.5 * x + (-y) / 3)


def test_operators_are_numpys():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 16)).astype(np.float32)
    expected = (a + b) * (a - b) / (2 + b * b) - np.float32(0.5) * a + (-b) / 3
    np.testing.assert_allclose(run(arithmetic, a, b), expected, rtol=1e-5, atol=1e-6)


@njit
def second_half(a, out):
    store(out, 16, load(a, 8))
    store(out, 0, spread(a, 3))


def test_load_spread_and_store_take_any_offset():
    a = np.arange(32, dtype=np.float32)
    np.testing.assert_array_equal(run(second_half, a), np.r_[np.full(16, 3), np.arange(8, 24)])


@njit
def scalar(out):
    store(out, 0, 7)
    store(out, 16, full(0.5) * 3)


def test_a_number_becomes_sixteen():
    out = np.zeros(33, dtype=np.float32)
    scalar(out)
    np.testing.assert_array_equal(out, [7] * 16 + [1.5] * 16 + [0])


@njit
def keep_some(a, out, count):
    store(out, 0, keep(load(a, 0), count))


@pytest.mark.parametrize("count", [-3, 0, 1, 7, 16, 40])
def test_keep_writes_zeros_even_over_nan(count):
    out = np.empty(16, dtype=np.float32)
    keep_some(np.where(np.arange(16) < count, 5, np.nan).astype(np.float32), out, count)
    np.testing.assert_array_equal(out, np.where(np.arange(16) < count, 5, 0))


@njit
def total_of(a):
    return total(load(a, 0))


def test_total_is_the_sum_and_float32():
    a = np.arange(16, dtype=np.float32) ** 2
    assert total_of(a) == a.sum()
    a[5] = np.nan
    assert np.isnan(total_of(a))


def test_only_flat_float32_arrays_are_loaded():
    from numba.core.errors import TypingError

    with pytest.raises(TypingError, match="load"):
        total_of(np.zeros(16))
    assert lanes.WIDTH == 16
