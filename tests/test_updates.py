"""The optimizers' steps of compiled code, held against myrnn.optimizers."""

import mygrad as mg
import numpy as np
import pytest

from myrnn import optimizers
from myrnn.compiler.runtime import updates
from natively import native

SIZE = 160


def train(optimizer_class, native_step, remembered, **settings):
    """Take 50 steps both ways on a matrix, which decays by its rate times `weight_decay`, and return both results."""
    rng = np.random.default_rng(0)
    start = rng.normal(size=(10, 16)).astype(np.float32)
    parameter = mg.tensor(start.copy())
    optimizer = optimizer_class([parameter], **settings)
    native = np.r_[start.ravel(), np.float32(5)]
    state = [np.zeros(SIZE, dtype=np.float32) for _ in range(remembered)]
    for step in range(1, 51):
        gradient = rng.normal(size=start.shape).astype(np.float32) * rng.choice(
            np.array([1e-4, 1, 30], dtype=np.float32)
        )
        parameter._grad = gradient
        optimizer.step()
        native_step(native, gradient.ravel().copy(), *state, step)
    assert native[-1] == 5
    return native[:-1].reshape(start.shape), parameter.data


@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_adam(decay):
    def step(p, g, m, v, t):
        native(updates.adam_step)(p, g, m, v, 0, SIZE, 1 - 0.8**t, 1 - 0.99**t, 0.002, 0.8, 0.99, 1e-6, 0.002 * decay)

    options = {"learning_rate": 0.002, "beta1": 0.8, "beta2": 0.99, "eps": 1e-6, "weight_decay": decay}
    ours, reference = train(optimizers.Adam, step, 2, **options)
    np.testing.assert_allclose(ours, reference, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_rmsprop(decay):
    def step(p, g, v, t):
        native(updates.rmsprop_step)(p, g, v, 0, SIZE, 0.003, 0.95, 1e-7, 0.003 * decay)

    options = {"learning_rate": 0.003, "alpha": 0.95, "eps": 1e-7, "weight_decay": decay}
    ours, reference = train(optimizers.RMSprop, step, 1, **options)
    np.testing.assert_allclose(ours, reference, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_sgd(momentum, decay):
    def step(p, g, v, t):
        native(updates.sgd_step)(p, g, v, 0, SIZE, 0.01, momentum, 0.01 * decay)

    options = {"learning_rate": 0.01, "momentum": momentum, "weight_decay": decay}
    ours, reference = train(optimizers.SGD, step, 1, **options)
    np.testing.assert_allclose(ours, reference, rtol=2e-5, atol=1e-6)


def test_sgd_without_momentum_needs_no_memory():
    parameters = np.ones(16, dtype=np.float32)
    native(updates.sgd_step)(
        parameters, np.ones(16, dtype=np.float32), np.empty(0, dtype=np.float32), 0, 16, 0.5, 0.0, 0.0
    )
    np.testing.assert_array_equal(parameters, 0.5)


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
