"""Lanes and the elementary functions over them agree with NumPy on everything that float32 can hold."""

import numpy as np
import pytest
from numba import njit

from myrnn.compiler.runtime import elementary, lanes
from myrnn.compiler.runtime.elementary import (
    above,
    absolute,
    arctan2,
    floor,
    logaddexp,
    maximum,
    minimum,
    relu,
    rint,
    same,
    sqrt,
    where,
)
from myrnn.compiler.runtime.lanes import (
    full,
    keep,
    load,
    load_between,
    spread,
    store,
    store_total,
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


def test_operators_agree_with_numpy():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 16)).astype(np.float32)
    expected = (a + b) * (a - b) / (2 + b * b) - np.float32(0.5) * a + (-b) / 3
    np.testing.assert_allclose(run(arithmetic, a, b), expected, rtol=1e-5, atol=1e-6)


@njit
def second_half(a, out):
    store(out, 16, load(a, 8))
    store(out, 0, spread(a, 3))


def test_load_spread_and_store_accept_any_offset():
    a = np.arange(32, dtype=np.float32)
    np.testing.assert_array_equal(run(second_half, a), np.r_[np.full(16, 3), np.arange(8, 24)])


@njit
def scalar(out):
    store(out, 0, 7)
    store(out, 16, full(0.5) * 3)


def test_a_number_is_spread_over_sixteen_lanes():
    out = np.zeros(33, dtype=np.float32)
    scalar(out)
    np.testing.assert_array_equal(out, [7] * 16 + [1.5] * 16 + [0])


@njit
def join_some(a, b, out, begin, end):
    store(out, 0, load_between(a, -4, begin, end, load(b, 0)))
    store_total(out, 16, load(a, 0))


@pytest.mark.parametrize(("begin", "end"), [(4, 12), (-3, 9), (4, 99), (7, 7), (20, 30)])
def test_lanes_are_joined_of_two_places_and_added_up(begin, end):
    a, b, out = np.arange(64, dtype=np.float32), np.full(16, -1, dtype=np.float32), np.full(18, 99, dtype=np.float32)
    join_some(a[16:], b, out, begin, end)
    lane = np.arange(16)
    expected = np.where((lane >= begin) & (lane < end), lane + 12, -1)
    np.testing.assert_array_equal(out, [*expected, a[16:32].sum(), 99])


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


def test_total_is_the_sum_in_float32():
    a = np.arange(16, dtype=np.float32) ** 2
    assert total_of(a) == a.sum()
    a[5] = np.nan
    assert np.isnan(total_of(a))


def test_only_flat_float32_arrays_are_loaded():
    from numba.core.errors import TypingError

    with pytest.raises(TypingError, match="load"):
        total_of(np.zeros(16))
    assert lanes.LANES == 16


ODD = np.array([0, -0.0, 1, -1, 2.5, -2.5, np.inf, -np.inf, np.nan, 1e-40, 3e38, -3e38, 7, 8, 9, 10], dtype=np.float32)
REFERENCES = {
    "arccos": np.arccos,
    "arccosh": np.arccosh,
    "arcsin": np.arcsin,
    "arcsinh": np.arcsinh,
    "arctan": np.arctan,
    "arctanh": np.arctanh,
    "cbrt": np.cbrt,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
}
TINY = float(np.finfo(np.float32).tiny)


def compiled(name):
    function = getattr(elementary, name)

    @njit
    def run(x, out):
        for j in range(0, len(x), 16):
            store(out, j, function(load(x, j)))

    def call(x):
        out = np.empty_like(x)
        run(x, out)
        return out

    return call


def all_magnitudes(count=1 << 16):
    """Return float32 of both signs, spread over the usual range and over all exponents."""
    rng = np.random.default_rng(0)
    sign = rng.choice([-1, 1], count)
    parts = [rng.uniform(-110, 110, count), rng.uniform(-2, 2, count), sign * np.exp(rng.uniform(-100, 88, count))]
    return np.concatenate(parts).astype(np.float32)


@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_relative_error_is_below_1e_6(name):
    x = all_magnitudes()
    x = np.abs(x) if name in ("log", "log1p") else x
    x = 1 + np.abs(x) if name == "arccosh" else x
    x = np.clip(x, -1, 1) if name in ("arccos", "arcsin", "arctanh") else x
    out = compiled(name)(x)
    with np.errstate(all="ignore"):
        expected = REFERENCES[name](x.astype(np.float64))
        single = expected.astype(np.float32)
    normal = np.isfinite(single) & (np.abs(expected) > TINY)
    np.testing.assert_allclose(out[normal], expected[normal], rtol=1e-6)
    np.testing.assert_array_equal(out[~np.isfinite(single)], single[~np.isfinite(single)])
    # For subnormal numbers, which lose digits, the result must only be tiny.
    small = np.abs(expected) <= TINY
    np.testing.assert_allclose(out[small], expected[small], atol=2 * TINY)


@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_limits_and_nan_agree_with_numpy(name):
    x = np.array([0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1e-40, 3e38, -3e38, 1, -1, 89, -105, 20, -20, 0.5], "f4")
    with np.errstate(all="ignore"):
        expected = REFERENCES[name](x.astype(np.float64)).astype(np.float32)
    np.testing.assert_allclose(compiled(name)(x), expected, rtol=1e-6, atol=2 * TINY)


@njit
def one_argument(a, out):
    x = load(a, 0)
    store(out, 0, relu(x))
    store(out, 16, sqrt(x))
    store(out, 32, absolute(x))
    store(out, 48, floor(x))
    store(out, 64, rint(x))


def test_relu_roots_and_rounding_agree_on_every_odd_number():
    out = np.empty(80, dtype=np.float32)
    one_argument(ODD, out)
    with np.errstate(invalid="ignore"):
        expected = [np.maximum(ODD, 0), np.sqrt(ODD), np.abs(ODD), np.floor(ODD), np.rint(ODD)]
    np.testing.assert_array_equal(out, np.concatenate(expected))


def test_ties_round_to_the_even_number():
    halves, out = np.arange(16, dtype=np.float32) - np.float32(7.5), np.empty(80, dtype=np.float32)
    one_argument(halves, out)
    np.testing.assert_array_equal(out[48:], np.r_[np.floor(halves), np.rint(halves)])


@njit
def two_arguments(a, b, out):
    x, y = load(a, 0), load(b, 0)
    store(out, 0, maximum(x, y))
    store(out, 16, minimum(x, y))
    store(out, 32, above(x, y))
    store(out, 48, where(above(x, y), x, 0.5))
    store(out, 64, same(x, y))
    store(out, 80, arctan2(x, y))
    store(out, 96, logaddexp(x, y))


@pytest.mark.parametrize("shift", range(16))
def test_choices_agree_for_every_pair_of_odd_numbers(shift):
    other = np.roll(ODD, shift)
    out = np.empty(112, dtype=np.float32)
    two_arguments(ODD, other, out)
    expected = [np.maximum(ODD, other), np.minimum(ODD, other), ODD > other, np.where(ODD > other, ODD, 0.5)]
    np.testing.assert_array_equal(out[:80], np.concatenate([*expected, ODD == other]))
    with np.errstate(all="ignore"):
        expected = np.concatenate([np.arctan2(ODD, other), np.logaddexp(ODD, other)])
    np.testing.assert_allclose(out[80:], expected, rtol=1e-6)
