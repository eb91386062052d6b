"""Functions in the equations of the cells that MyGrad does not have.

Their constants are float32: MyGrad would compute with a number of Python in float64.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from mygrad import logaddexp, sqrt, tanh
from mygrad.nnet.activations import sigmoid

ZERO, HALF, ONE, TWO = (np.float32(value) for value in (0, 0.5, 1, 2))
# Of `gelu`.
SLOPE, CUBIC = np.float32(math.sqrt(2 / math.pi)), np.float32(0.044715)
# Added to the square of a length.
TINY = np.float32(1e-6)


def silu(z: Any) -> Any:
    """Return ``z * sigmoid(z)``."""
    return z * sigmoid(z)


def softplus(z: Any) -> Any:
    """Return ``log(1 + exp(z))``; ``-softplus(-z)`` is the logarithm of the sigmoid."""
    return logaddexp(z, ZERO)


def gelu(z: Any) -> Any:
    """Return z times the probability that a normal number is below it, approximated by tanh."""
    # Hendrycks and Gimpel, "Gaussian error linear units", 2016.
    return HALF * z * (ONE + tanh(SLOPE * (z + CUBIC * z * z * z)))


def unit(z: Any) -> Any:
    """Return ``z / sqrt(|z|**2 + 1e-6)`` along the last axis: vectors of length 1, but 0 for one of zeros."""
    return z / sqrt((z * z).sum(axis=-1, keepdims=True) + TINY)


def normalized(z: Any, least: float) -> Any:
    """Return ``z / sqrt(mean(z**2) + least)`` along the last axis: vectors whose mean square is 1."""
    return z / sqrt((z * z).mean(axis=-1, keepdims=True) + np.float32(least))
