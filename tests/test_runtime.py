"""Runtime functions agree with NumPy and myrnn.optimizers: products, sums, the loss, steps, threads."""

from concurrent.futures import ThreadPoolExecutor

import llvmlite.binding
import mygrad as mg
import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from llvmlite import ir
from numba import njit

from myrnn import optimizers
from myrnn.compiler.cache import address
from myrnn.compiler.runtime import plain, products, scores, updates
from myrnn.compiler.runtime.functions import Caller, Integers, MachineCode, machine_code, signature_of, symbol
from myrnn.compiler.runtime.threads import BARRIER_SIZE, MODES, flush_subnormals, meet, restore_mode
from myrnn.models import RNN
from myrnn.optimizers import Adam
from myrnn.tasks import TwinHalves
from myrnn.training import train
from natively import native

MARK = np.float32(77)
SIZES = st.integers(1, 40)
WIDTHS = st.sampled_from([16, 32, 48, 64, 80, 112, 128, 192])


def padded(size):
    return -(-size // 16) * 16


def flat(matrix, row, before=0):
    """Lay a matrix out with rows of `row` numbers, after `before` other numbers; the rest is MARK."""
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
    # A sum adds the same numbers in the same order, in any portions.
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


# Vectors, matrices with many and few columns, and those that consist of parts of lanes.
PLAIN = [(1, 32, 32), (1, 33, 17), (1, 64, 8), (1, 8, 64), (1, 100, 1), (1, 70, 3), (3, 5, 7), (2, 50, 120), (1, 1, 1)]
PLAIN += [(32, 1, 32), (7, 1, 9), (64, 1, 8), (16, 1, 100), (19, 1, 1), (1, 0, 5)]
# Rows that are covered by vectors of 1 to 16 numbers, and groups of rows that overlap.
PLAIN += [(1, 11, n) for n in (2, 3, 4, 6, 8, 15, 16, 31)] + [(1, k, 11) for k in (2, 3, 4, 6, 8, 15, 16, 31)]
PLAIN += [(5, 1, n) for n in (2, 3, 4, 6, 8, 15, 16, 31)]


@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("sizes", PLAIN, ids=str)
@pytest.mark.parametrize("matrices", [1, 3])
def test_multiply_plain_is_the_product_of_matrices_without_padding(matrices, sizes, transposed, add):
    m, k, n = sizes
    a, b, old = random(0, matrices, m, k), random(1, matrices, k, n), random(2, matrices, m, n)
    out, right = np.r_[MARK, old.ravel(), MARK], b.swapaxes(1, 2) if transposed else b
    left, right = np.r_[MARK, a.ravel()], np.r_[MARK, MARK, right.ravel()]
    native(plain.multiply_plain)(out, 1, left, 1, right, 2, matrices, m, k, n, transposed, add)
    np.testing.assert_allclose(out[1:-1].reshape(old.shape), a @ b + (old if add else 0), rtol=1e-4, atol=1e-5)
    assert out[0] == out[-1] == MARK


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("shape", [(1, 32, 32), (1, 7, 9), (3, 64, 8), (2, 16, 100), (1, 5, 1)], ids=str)
@pytest.mark.parametrize("has_several", [False, True])
def test_add_outer_adds_an_outer_product_to_a_multiple(shape, in_place, has_several):
    matrices, m, n = shape
    base, a, b = random(0, *shape), random(1, matrices, m, 1), random(2, matrices, 1, n)
    out = np.r_[MARK, base.ravel(), MARK] if in_place else np.full(base.size + 2, MARK)
    read, left, right = out if in_place else np.r_[MARK, base.ravel()], np.r_[MARK, a.ravel()], b.ravel()
    factor = random(3, matrices if has_several else 1, 1, 1)
    factors = np.r_[MARK, factor.ravel()]
    native(plain.add_outer)(out, 1, read, 1, factors, 1, left, 1, right, 0, matrices, m, n, has_several)
    np.testing.assert_allclose(out[1:-1].reshape(shape), factor * base + a * b, rtol=1e-5, atol=1e-6)
    assert out[0] == out[-1] == MARK


SUMS = [(1, 100, 1), (3, 70, 1), (40, 5, 1), (19, 16, 1), (9, 8, 1), (8, 1, 1), (1, 33, 120), (3, 2, 17), (2, 9, 6)]


@pytest.mark.parametrize("shape", SUMS, ids=str)
def test_sum_axis_is_the_sum_over_the_middle_axis(shape):
    a = random(0, *shape)
    out = np.full(shape[0] * shape[2] + 2, MARK)
    native(plain.sum_axis)(out, 1, np.r_[MARK, a.ravel()], 1, *shape)
    np.testing.assert_allclose(out[1:-1], a.sum(1).ravel(), rtol=1e-4, atol=1e-5)
    assert out[0] == out[-1] == MARK


@pytest.mark.parametrize("shape", [(1, 5, 1), (3, 40, 1), (1, 3, 20), (2, 2, 33)], ids=str)
def test_softmax_and_its_logarithm_are_those_over_the_middle_axis(shape):
    a = 10 * random(0, *shape)
    expected = a - scipy.special.logsumexp(a, axis=1, keepdims=True)
    for function, numbers in ((plain.log_softmax_axis, expected), (plain.softmax_axis, np.exp(expected))):
        out = np.full(a.size + 2, MARK)
        native(function)(out, 1, np.r_[MARK, a.ravel()], 1, *shape)
        np.testing.assert_allclose(out[1:-1].reshape(shape), numbers, rtol=1e-5, atol=1e-6)
        assert out[0] == out[-1] == MARK


@pytest.mark.parametrize("shape", [(3, 40, 1), (40, 3, 1), (5, 8, 1), (1, 3, 20), (2, 4, 33), (2, 3, 6)], ids=str)
def test_repeat_repeats_along_a_new_middle_axis(shape):
    a = random(0, shape[0], 1, shape[2])
    out = np.full(np.prod(shape) + 2, MARK)
    native(plain.repeat)(out, 1, np.r_[MARK, a.ravel()], 1, *shape)
    np.testing.assert_array_equal(out, np.r_[MARK, np.broadcast_to(a, shape).ravel(), MARK])


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


@given(st.integers(1, 40))
def test_scores_are_those_of_rows(count):
    outputs, targets = random(count, count + 2), random(count + 1, count + 3)
    y, t = outputs[2:].astype(np.float64), targets[3:].astype(np.float64)
    assert native(scores.largest)(outputs, 2, count) == y.argmax()
    given = outputs, 2, targets, 3, count
    assert native(scores.share_right)(*given) == pytest.approx(np.mean((y > 0) == (t > 0)))
    assert native(scores.squared_error)(*given) == pytest.approx(np.mean((y - t) ** 2))
    assert native(scores.largest)(np.zeros(4, dtype=np.float32), 0, 4) == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_nonfinite_logit_makes_the_loss_nonfinite(bad):
    logits = np.zeros(16, dtype=np.float32)
    logits[1] = bad
    loss, _ = native(products.cross_entropy)(logits, 0, 3, 0, np.zeros(16, dtype=np.float32), 0, 1.0)
    assert not np.isfinite(loss)


SIZE = 160


@pytest.mark.parametrize("decay", [0.0, 0.01])
@pytest.mark.parametrize(
    ("optimizer", "kind", "settings"),
    [
        (optimizers.Adam, updates.ADAM, {"beta1": 0.8, "beta2": 0.99, "eps": 1e-6}),
        (optimizers.RMSprop, updates.RMSPROP, {"alpha": 0.95, "eps": 1e-7}),
        (optimizers.SGD, updates.SGD, {"momentum": 0.0}),
        (optimizers.SGD, updates.SGD, {"momentum": 0.9}),
    ],
)
def test_steps_agree_with_the_optimizers(optimizer, kind, settings, decay):
    rng = np.random.default_rng(0)
    start, rate, steps = rng.normal(size=(10, 16)).astype(np.float32), 0.002, 50
    parameter = mg.tensor(start.copy())
    reference = optimizer([parameter], learning_rate=rate, weight_decay=decay, **settings)
    numbers = np.r_[start.ravel(), np.float32(5)]
    # State that a kind does not have may be empty.
    means = np.zeros(SIZE if kind == updates.ADAM or settings.get("momentum") else 0, dtype=np.float32)
    squares = np.zeros(SIZE if kind != updates.SGD else 0, dtype=np.float32)
    own = np.zeros(6)
    own[[0, 2]], own[3 : 3 + len(settings)] = (kind, decay), list(settings.values())
    descent = updates.Descent(
        np.ones(2, dtype=np.float32), np.full(steps, rate), 0.0, own, 1, np.array([[0, SIZE, 1]]),
        np.ones((steps, 1), dtype=bool), numbers, means, squares, np.zeros((steps, 2), dtype=np.float32),
    )  # fmt: skip
    native(updates.set_paces)(descent)
    for n in range(steps):
        gradient = random(n, 10, 16) * rng.choice(np.array([1e-4, 1, 30], dtype=np.float32))
        parameter._grad = gradient
        reference.step()
        native(updates.update)(descent, n, 0, SIZE, gradient.ravel())
    assert numbers[-1] == 5
    np.testing.assert_allclose(numbers[:-1].reshape(start.shape), parameter.data, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("size", [16, 4096, 4112, 50_000])
def test_squared_norm_and_scale(size):
    a = np.random.default_rng(0).normal(size=size).astype(np.float32)
    np.testing.assert_allclose(native(updates.squared_norm)(a, 0, size), np.vdot(a.astype(float), a), rtol=1e-6)
    halved = a.copy()
    native(updates.scale)(halved, 16, size, 0.5)
    np.testing.assert_array_equal(halved, np.r_[a[:16], a[16:] / 2])


def test_squared_norm_shows_nan_and_infinity():
    a = np.zeros(64, dtype=np.float32)
    a[40] = np.nan
    assert np.isnan(native(updates.squared_norm)(a, 0, 64))
    a[40] = np.inf
    assert np.isinf(native(updates.squared_norm)(a, 0, 64))
    assert native(updates.squared_norm)(a, 0, 32) == 0


def test_sum_shards():
    gradients = np.random.default_rng(0).normal(size=(3, 48)).astype(np.float32)
    block = gradients.ravel().copy()
    native(updates.sum_shards)(block, 16, 48, 48, 3)
    np.testing.assert_allclose(block[16:48], gradients[:, 16:].sum(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(block[:16], gradients[0, :16])


def pass_on(barrier: Integers, parties: int, me: int, cells: Integers, rounds: int) -> None:
    """In every round, read what the next thread wrote in the last one; without the barrier, rounds would mix."""
    for _ in range(rounds):
        seen = cells[(me + 1) % parties]
        meet(barrier, parties)
        cells[me] = seen + 1
        meet(barrier, parties)


@pytest.fixture(scope="module")
def run():
    """Run the function above as machine code, which `code` keeps in memory."""
    address(meet)
    code, call = MachineCode(), Caller(signature_of(pass_on))
    at = code.add(symbol(pass_on), machine_code(pass_on))
    yield lambda *arguments: call(at, arguments)


@pytest.mark.parametrize("parties", [1, 2, pytest.param(3, marks=pytest.mark.long)])
def test_no_thread_runs_ahead(parties, run):
    barrier, cells = np.zeros(BARRIER_SIZE, dtype=np.int64), np.zeros(parties, dtype=np.int64)
    rounds = 2000
    with ThreadPoolExecutor(parties) as pool:
        waiting = [pool.submit(run, barrier, parties, me, cells, rounds) for me in range(parties)]
        for future in waiting:
            future.result()
    np.testing.assert_array_equal(cells, rounds)


def test_a_barrier_can_be_used_again(run):
    barrier, cells = np.zeros(BARRIER_SIZE, dtype=np.int64), np.zeros(2, dtype=np.int64)
    for _ in range(3):
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda me: run(barrier, 2, me, cells, 10), range(2)))
    np.testing.assert_array_equal(cells, 30)


SMALL = np.float32(1e-20)
PROCESSOR = llvmlite.binding.get_process_triple().split("-")[0]
known = pytest.mark.skipif(PROCESSOR not in MODES, reason=f"nothing is flushed on {PROCESSOR}")


@njit
def squared(x, out):
    mode = flush_subnormals()
    for i in range(len(x)):
        out[i] = x[i] * x[i]
    restore_mode(mode)


def subnormal(array):
    return (array != 0) & (np.abs(array) < np.finfo(np.float32).tiny)


@known
def test_products_are_flushed_and_the_mode_is_restored():
    x = np.array([SMALL, -SMALL, 2.0], dtype=np.float32)
    out = np.ones_like(x)
    squared(x, out)
    np.testing.assert_array_equal(out, [0, 0, 4])
    assert subnormal(x * x)[:2].all()


@known
@pytest.mark.parametrize("batch_size", [1, pytest.param(64, marks=pytest.mark.long)])
def test_optimizer_states_do_not_stay_subnormal(batch_size):
    task = TwinHalves(pattern_length_min=2, pattern_length_max=2)

    def remembered(engine):
        model = RNN(dim_input=10, dim_recurrent=64, dim_output=2, rng=0)
        # A unit that is never active: its weights have no gradient, but Adam's mean of it is not zero.
        model.fc_x2h.bias.data[0] = -100
        optimizer = Adam(model.parameters)
        optimizer.m[1][...] = SMALL * SMALL * np.float32(2)
        assert subnormal(optimizer.m[1]).all()
        train(model, task, optimizer, iterations=5, seed=0, batch_size=batch_size, engine=engine)
        return optimizer.m[1]

    assert subnormal(remembered("mygrad")).any()
    assert not subnormal(remembered("native")).any()
    assert subnormal(np.array([SMALL]) * SMALL).all()


@pytest.mark.parametrize(
    ("processor", "instructions"), [("x86_64", ("stmxcsr", "ldmxcsr")), ("aarch64", ("FPCR", "msr"))]
)
def test_each_processor_gets_its_own_instructions(processor, instructions):
    llvmlite.binding.initialize_all_targets()
    llvmlite.binding.initialize_all_asmprinters()
    try:
        target = llvmlite.binding.Target.from_triple(f"{processor}-unknown-linux-gnu")
    except RuntimeError as error:
        pytest.skip(f"this LLVM does not know {processor}: {error}")
    read, write, bit = MODES[processor]
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), []), "flush")
    builder = ir.IRBuilder(function.append_basic_block())
    write(builder, builder.or_(read(builder), ir.Constant(ir.IntType(64), bit)))
    builder.ret_void()
    text = target.create_target_machine().emit_assembly(llvmlite.binding.parse_assembly(str(module)))
    assert all(instruction.lower() in text.lower() for instruction in instructions)
