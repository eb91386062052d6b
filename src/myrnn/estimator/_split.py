"""Which sequences a training is watched on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def validation_mask(labels: NDArray[np.int64], fraction: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw the sequences to validate on: a fraction of every class, as near as whole numbers allow, bool (N,).

    One sequence at least of every class stays for the training. Where the fraction comes to less than one sequence,
    there is none to validate on.

    Parameters
    ----------
    labels : ndarray, int64 (N,)
    fraction : float
    rng : numpy.random.Generator
    """
    chosen = np.zeros(len(labels), dtype=bool)
    count = round(fraction * len(labels))
    # Class after class, in any order within each: every so many-th is drawn.
    shuffled = rng.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    first = np.ones(len(labels), dtype=bool)
    first[1:] = labels[by_class][1:] != labels[by_class][:-1]
    candidates = by_class[~first]
    count = min(count, len(candidates))
    if count:
        chosen[candidates[((np.arange(count) + 0.5) * len(candidates) / count).astype(np.int64)]] = True
    return chosen
