"""A model whose step tests change, to see what the compiler makes of it."""

import mygrad as mg
import numpy as np


class SteppedRNN:
    """A simple RNN whose step subclasses change."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.x, self.h, self.y = (
            mg.tensor(rng.normal(size=shape).astype(np.float32) * np.float32(0.5))
            for shape in ((10, 6), (6, 6), (6, 2))
        )
        self.parameters = (self.x, self.h, self.y)
        self.calls = 0

    def step(self, h, x_t, t):
        return mg.tanh(x_t[None] @ self.x + h @ self.h)

    def __call__(self, x):
        h = np.zeros((1, 6), dtype=np.float32)
        for t, x_t in enumerate(x):
            h = self.step(h, x_t, t)
        return h @ self.y
