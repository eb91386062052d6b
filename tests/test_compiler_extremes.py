"""The largest and smallest along an axis, and functions made of others: gradients, ties, and the way to native code."""

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.activations import relu

import myrnn
from myrnn import Adam
from myrnn.compiler.derive import pull_back
from myrnn.compiler.graph import Builder, evaluate
from myrnn.compiler.trace import trace

FUNCTIONS = {
    "sinh": mg.sinh,
    "cosh": mg.cosh,
    "tan": mg.tan,
    "max of columns": lambda a: a.max(axis=0),
    "max of rows": lambda a: a.max(axis=1, keepdims=True) * a,
    "min of all": lambda a: a.min() * a,
    "min of an odd number": lambda a: a[:, :3].min(axis=1),
    "max over two of three axes": lambda a: a.reshape(2, 2, 5).max(axis=(0, 2)),
    "max of those that are not negative": lambda a: relu(a).max(axis=1),
    "max of equal ones": lambda a: mg.concatenate([a, a], axis=1).max(axis=1) + mg.minimum(a, -1).min(axis=0).sum(),
}


class Function:
    """A function of a parameter as a model."""

    def __init__(self, function):
        self.function = function
        self.w = mg.tensor(np.random.default_rng(1).uniform(-0.9, 0.9, size=(4, 5)).astype(np.float32))
        self.parameters = (self.w,)

    def __call__(self, x):
        return self.function(self.w).reshape(1, -1)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_are_mygrads_and_the_slopes(name):
    model = Function(FUNCTIONS[name])
    build = Builder()
    out = trace(model, model.parameters, np.zeros((1, 1), np.float32), build).output
    leaf, grad = build.leaf("parameter", 0, size=20), build.leaf("gradient", 0, size=out.size)
    terms, _ = pull_back(build, [out], [grad])
    values = model.w.data.astype(float).reshape(-1)
    gradient = np.random.default_rng(0).normal(size=out.size)
    found = sum(evaluate(terms[leaf], {leaf: values, grad: gradient}, np.float64))

    tensor = mg.tensor(values.reshape(4, 5))
    model.function(tensor).reshape(-1).backward(gradient)
    np.testing.assert_allclose(found, tensor.grad.reshape(-1), rtol=1e-12, atol=1e-14)
    if "equal" not in name:
        steps = 1e-6 * np.eye(20)
        sides = [[evaluate([out], {leaf: values + s * step}, np.float64)[0] for step in steps] for s in (1, -1)]
        slopes = (np.array(sides[0]) - sides[1]) @ gradient / 2e-6
        np.testing.assert_allclose(found, slopes, rtol=1e-6, atol=1e-8)


class Pooled:
    """Takes the largest of pairs at every step, and the largest and smallest of all steps at the end."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.x, self.h, self.y = (
            mg.tensor(rng.normal(size=s).astype(np.float32) * np.float32(0.4)) for s in ((3, 14), (7, 14), (14, 2))
        )
        self.parameters = (self.x, self.h, self.y)

    def __call__(self, x):
        h, states = np.zeros((1, 7), dtype=np.float32), []
        for x_t in x:
            h = relu((x_t[np.newaxis] @ self.x + h @ self.h).reshape(1, 7, 2).max(axis=2)) - mg.sinh(h) / 4
            states.append(h[0])
        every = mg.stack(states)
        return mg.concatenate([every.max(axis=0), every.min(axis=0)])[np.newaxis] @ self.y


@pytest.mark.parametrize("batch_size", [pytest.param(1, marks=pytest.mark.long), 4])
def test_a_model_of_them_trains_like_mygrad(batch_size):
    rng = np.random.default_rng(2)
    data = [(rng.normal(size=(n, 3)).astype(np.float32), n % 2) for n in (1, 2, 5, 8, 3, 9)]
    models = {"native": Pooled(), "mygrad": Pooled()}
    for engine, model in models.items():
        myrnn.train(model, data, Adam(model.parameters), 60, batch_size, engine=engine, progress=False)
    for one, other in zip(*(model.parameters for model in models.values()), strict=True):
        np.testing.assert_allclose(one.data, other.data, atol=2e-5)


def test_not_a_number_is_the_largest_of_all():
    model = Pooled()
    compiled = myrnn.compile(model)
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    assert np.isfinite(compiled(x)).all()
    model.x.data[2, 0] = np.nan
    assert np.isnan(model(x).data).all() and np.isnan(compiled(x)).all()
