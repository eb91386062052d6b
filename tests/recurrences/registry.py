"""The registry of recurrences: every model with its source and the expected result."""

from dataclasses import dataclass, field

import mygrad as mg
import numpy as np

# Inputs, units and classes of every model here.
C, D, K = 4, 6, 3

ALL = []


@dataclass(frozen=True)
class Recurrence:
    """One model of the corpus.

    `make` takes a seeded generator and returns the model. Every parameter has a gradient from sequences of `complete`
    steps on. `outputs` is "last" if the model returns logits (1, K), and "steps" if it returns (T, K).
    `compiles` says whether it is expected to compile, and `largest` for how long sequences it is made.
    """

    name: str
    group: str
    source: str
    make: object = field(repr=False)
    compiles: bool = True
    outputs: str = "last"
    complete: int = 1
    largest: int = 1000

    def made(self, seed=0):
        """Return a model with new weights."""
        return self.make(np.random.default_rng(seed))

    def __str__(self):
        return self.name


def recurrence(source, **expected):
    """Register a class of models, or a function that makes one; both take a seeded generator."""

    def register(make):
        group = make.__module__.rsplit(".", 1)[-1]
        entry = Recurrence(make.__name__, group, source, make, **expected)
        # A module that is imported again under another name has the same models.
        ALL[:] = [other for other in ALL if other.name != entry.name or other.group != group]
        assert all(other.name != entry.name for other in ALL), f"there are two recurrences called {entry.name}"
        ALL.append(entry)
        return make

    return register


def weight(rng, *shape, scale=0.5):
    """A trainable float32 tensor."""
    return mg.tensor((rng.normal(size=shape) * scale).astype(np.float32))


def weights(rng, *shapes, scale=0.5):
    """A tuple of trainable tensors, of shapes that are tuples or single sizes."""
    return tuple(weight(rng, *np.atleast_1d(shape), scale=scale) for shape in shapes)


def zeros(*shape):
    """An initial state of zeros."""
    return np.zeros(shape, dtype=np.float32)
