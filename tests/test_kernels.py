"""Products, sums and the loss of compiled code, held against NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from myrnn.compiler.runtime import products
from natively import native

MARK = np.float32(77)
SIZES = st.integers(1, 40)
WIDTHS = st.sampled_from([16, 32, 48, 64, 80, 112, 128, 192])


def padded(size):
    return -(-size // 16) * 16


def flat(matrix, row, before=0):
    """Lay a matrix out with `row` numbers between rows, behind `before` other numbers; the rest holds MARK."""
    out = np.full(before + len(matrix) * row + 16, MARK)
    view(out, before, row, matrix.shape)[:] = matrix
    return out


def view(array, at, row, shape):
    return np.lib.stride_tricks.as_strided(array[at:], shape, (4 * row, 4))


def random(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@given(SIZES, st.integers(0, 40), WIDTHS, st.booleans(), st.booleans())
def test_multiply_is_the_product_with_and_without_transposition(rows, steps, columns, transposed, add):
    a, b, old = random(0, rows, steps), random(1, steps, columns), random(2, rows, columns)
    left = np.ascontiguousarray(a.T) if transposed else a
    left_row = left.shape[1] + 3
    out = flat(old, columns + 16, 5)
    strides = (1, left_row) if transposed else (left_row, 1)
    native(products.multiply)(
        out, 5, columns + 16, flat(left, left_row, 2), 2, *strides, flat(b, columns, 7), 7, columns,
        rows, steps, columns, add,
    )  # fmt: skip
    expected = a @ b + (old if add else 0)
    np.testing.assert_allclose(view(out, 5, columns + 16, (rows, columns)), expected, rtol=1e-4, atol=1e-5)
    assert np.all(view(out, 5 + columns, columns + 16, (rows, 16)) == MARK)
    assert np.all(out[:5] == MARK)


@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("steps", [0, 255, 256, 257, 512, 700])
def test_a_long_product_is_that_of_its_parts(steps, add):
    a, b, old = random(0, 7, steps), random(1, steps, 80), random(2, 7, 80)
    out, parts = old.copy().ravel(), old.copy() if add else np.zeros((7, 80), dtype=np.float32)
    left, right = np.r_[a.ravel(), MARK], np.r_[b.ravel(), MARK]
    native(products.multiply)(out, 0, 80, left, 0, steps, 1, right, 0, 80, 7, steps, 80, add)
    np.testing.assert_allclose(out.reshape(7, 80), parts + a @ b, rtol=1e-4, atol=1e-4)
    # In whatever parts it is done, a sum adds the same numbers in the same order.
    flat_parts = parts.ravel()
    for step in range(steps):
        native(products.multiply)(flat_parts, 0, 80, left, step, steps, 1, right, step * 80, 80, 7, 1, 80, True)
    np.testing.assert_array_equal(out, flat_parts)


@given(st.integers(0, 70), WIDTHS, st.booleans())
def test_multiply_row_is_the_product(steps, columns, add):
    a, b, old = random(0, steps), random(1, steps, columns), random(2, columns)
    out = np.r_[MARK, old, MARK]
    native(products.multiply_row)(
        out, 1, np.r_[MARK, a], 1, flat(b, columns + 4, 3), 3, columns + 4, steps, columns, add
    )
    np.testing.assert_allclose(out[1:-1], a @ b + (old if add else 0), rtol=1e-4, atol=1e-5)
    assert out[0] == out[-1] == MARK


@given(SIZES, SIZES)
def test_transpose_pads_with_zeros(rows, columns):
    wide, high = padded(columns), padded(rows)
    a = np.zeros((rows, wide), dtype=np.float32)
    a[:, :columns] = random(0, rows, columns)
    out = np.full(wide * (high + 16) + 1, MARK)
    native(products.transpose)(out, 1, high + 16, flat(a, wide, 2), 2, wide, rows, wide)
    result = view(out, 1, high + 16, (wide, high))
    np.testing.assert_array_equal(result[:, :rows], a.T)
    assert np.all(result[:, rows:] == 0)
    assert np.all(view(out, 1 + high, high + 16, (wide, 16)) == MARK)


@given(SIZES, WIDTHS)
def test_add_dots_is_the_product_with_the_transpose(rows, columns):
    a, b, old = random(0, columns), random(1, rows, columns), random(2, rows)
    out = old.copy()
    native(products.add_dots)(out, 0, a, 0, flat(b, columns, 1), 1, columns, rows, columns)
    np.testing.assert_allclose(out, old + b @ a, rtol=1e-4, atol=1e-5)


@given(st.integers(0, 40), WIDTHS, st.booleans())
def test_sum_rows(rows, columns, add):
    a, old = random(0, rows, columns), random(1, columns)
    out = old.copy()
    native(products.sum_rows)(out, 0, flat(a, columns + 16, 1), 1, columns + 16, rows, columns, add)
    np.testing.assert_allclose(out, a.sum(0) + (old if add else 0), rtol=1e-4, atol=1e-5)


def test_sum_rows_of_no_rows_does_not_read_what_is_there():
    out = np.zeros(16, dtype=np.float32)
    native(products.sum_rows)(out, 0, np.full(16, np.nan, dtype=np.float32), 0, 16, 0, 16, False)
    np.testing.assert_array_equal(out, 0)


def test_fill_writes_between_its_bounds_only():
    out = np.zeros(64, dtype=np.float32)
    native(products.fill)(out, 16, 48, 3)
    np.testing.assert_array_equal(out, np.repeat([0, 3, 3, 0], 16))


@given(st.integers(2, 40), st.data())
def test_cross_entropy_is_the_softmax_loss_with_its_gradient(classes, data):
    label = data.draw(st.integers(0, classes - 1))
    scale = data.draw(st.sampled_from([1, 30, 1000]))
    logits = np.full(padded(classes), np.nan, dtype=np.float32)
    logits[:classes] = scale * random(data.draw(st.integers(0, 99)), classes)
    gradient = np.full(padded(classes) + 1, MARK)
    loss, best = native(products.cross_entropy)(logits, 0, classes, label, gradient, 0, 0.25)
    y = logits[:classes].astype(np.float64)
    mass = np.exp(y - y.max()).sum()
    expected = np.exp(y - y.max()) / mass - (np.arange(classes) == label)
    np.testing.assert_allclose(loss, np.log(mass) + y.max() - y[label], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradient[:classes], 0.25 * expected, rtol=1e-5, atol=1e-7)
    assert np.all(gradient[classes:-1] == 0)
    assert gradient[-1] == MARK
    assert best == y.argmax()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_diverged_logit_shows_in_the_loss(bad):
    logits = np.zeros(16, dtype=np.float32)
    logits[1] = bad
    loss, _ = native(products.cross_entropy)(logits, 0, 3, 0, np.zeros(16, dtype=np.float32), 0, 1.0)
    assert not np.isfinite(loss)
