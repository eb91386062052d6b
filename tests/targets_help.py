"""A small model and small sequences with targets of every kind, for several tests."""

import mygrad as mg
import numpy as np
from mygrad.nnet.activations import logsoftmax, tanh

from myrnn import Sequences

LENGTHS = [3, 1, 0, 4, 2, 5]
OFFSETS = np.concatenate(([0], np.cumsum(LENGTHS)))
STEPS = int(OFFSETS[-1])
KINDS = [(what, per_step) for what in ("class", "several", "numbers") for per_step in (False, True)]


def data(what="class", per_step=False, weighted=False, columns=2, seed=0, tokens=False):
    """Return six sequences, an empty one among them, with targets of a kind."""
    rng = np.random.default_rng(seed)
    rows = STEPS if per_step else len(LENGTHS)
    targets = {
        "class": rng.integers(0, columns, rows),
        "several": rng.random((rows, columns)) < 0.4,
        "numbers": rng.normal(size=(rows, columns)),
    }[what]
    weights = rng.choice([0.0, 0.5, 2.0], rows) if weighted else None
    values = rng.integers(0, 3, STEPS) if tokens else rng.normal(size=(STEPS, 3))
    return Sequences(values, OFFSETS, targets, 3 if tokens else None, per_step=per_step, weights=weights)


class Model:
    """A simple recurrent network with an output after the last step, or after every step."""

    def __init__(self, per_step, outputs=2, dtype=np.float32):
        rng = np.random.default_rng(1)
        sizes = {"wx": (3, 4), "wh": (4, 4), "wy": (4, outputs), "by": (outputs,)}
        self.per_step = per_step
        for name, size in sizes.items():
            setattr(self, name, mg.tensor(rng.normal(scale=0.6, size=size).astype(dtype)))

    @property
    def parameters(self):
        return self.wx, self.wh, self.wy, self.by

    def __call__(self, x):
        h, rows = np.zeros((1, 4), dtype=self.wx.dtype), []
        for x_t in x:
            h = tanh(x_t[np.newaxis] @ self.wx + h @ self.wh)
            rows.append(h @ self.wy + self.by)
        if self.per_step:
            return mg.concatenate(rows)
        return h @ self.wy + self.by


def smoothed(outputs, targets, share=0.1):
    """Cross-entropy with smoothed labels."""
    log = logsoftmax(outputs)
    return -((1 - share) * log[np.arange(len(targets)), targets] + share * log.mean(axis=1))


def gaussian(outputs, targets):
    """The negative log likelihood of a normal distribution with a learned mean and width; it can be negative."""
    mean, log_width = outputs[:, :1], outputs[:, 1:]
    return (0.5 * ((targets[:, :1] - mean) * mg.exp(-log_width)) ** 2 + log_width - 3).sum(axis=1)
