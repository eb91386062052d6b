"""The largest and smallest along an axis and over time, as they become native code."""

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.activations import relu

import myrnn
from myrnn import Adam


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


@pytest.mark.long
@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_model_with_both_trains_like_mygrad(batch_size):
    rng = np.random.default_rng(2)
    data = [(rng.normal(size=(n, 3)).astype(np.float32), n % 2) for n in (1, 2, 5, 8, 3, 9)]
    models = {"native": Pooled(), "mygrad": Pooled()}
    for engine, model in models.items():
        myrnn.train(model, data, Adam(model.parameters), 60, batch_size, engine=engine, progress=False)
    for one, other in zip(*(model.parameters for model in models.values()), strict=True):
        np.testing.assert_allclose(one.data, other.data, atol=2e-5)


def test_nan_counts_as_the_largest():
    model = Pooled()
    compiled = myrnn.compile(model)
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    assert np.isfinite(compiled(x)).all()
    model.x.data[2, 0] = np.nan
    assert np.isnan(model(x).data).all() and np.isnan(compiled(x)).all()
