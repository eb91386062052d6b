"""Losses by name: what a training makes smaller.

A loss is registered like tasks, models, optimizers and schedules (`registry.register`): as a function of `logits`, a
MyGrad tensor (N, K), and `labels`, int64 (N,), that returns the loss of each sequence, a tensor (N,). The command line,
studies and run folders then take it by its name. Cross-entropy has a native form; a training with another loss runs op
by op.
"""

from __future__ import annotations

from collections.abc import Callable

import mygrad
import numpy as np
from mygrad import Tensor
from mygrad.nnet.activations import logsoftmax
from mygrad.nnet.losses import softmax_crossentropy
from numpy.typing import NDArray

from myrnn.errors import InvalidArgument
from myrnn.registry import find, kinds, register

CROSS_ENTROPY = "cross-entropy"


@register("loss", CROSS_ENTROPY)
def cross_entropy(logits: Tensor, labels: NDArray[np.int64]) -> Tensor:
    """Return the softmax cross-entropy of each sequence, in nats."""
    return -logsoftmax(logits)[np.arange(len(labels)), labels]


def loss_names() -> tuple[str, ...]:
    """Return the names of all losses."""
    return tuple(kinds("loss"))


def mean_loss(
    name: str, logits: Tensor, labels: NDArray[np.int64], class_weights: NDArray[np.floating] | None = None
) -> Tensor:
    """Return the mean over a batch of the losses, each times the weight of its class.

    Parameters
    ----------
    name : str
    logits : Tensor (N, K)
    labels : ndarray, int64 (N,)
    class_weights : ndarray (K,), optional

    Raises
    ------
    InvalidArgument
        When the loss does not return one number for each sequence.
    """
    if name == CROSS_ENTROPY and class_weights is None:
        return softmax_crossentropy(logits, labels)
    make: Callable[..., Tensor] = find("loss", name).make
    found = make(logits=logits, labels=labels)
    if not isinstance(found, Tensor) or found.shape != (len(labels),):
        shape = getattr(found, "shape", None)
        what = type(found).__name__ if shape is None else f"shape {shape}"
        raise InvalidArgument(
            f"the loss {name!r} must return a tensor of shape (N,), here ({len(labels)},), not {what}"
        )
    return (found if class_weights is None else found * class_weights[labels]).mean()


def mean_of_logits(
    name: str, logits: NDArray[np.floating], labels: NDArray[np.int64], weights: NDArray[np.float64] | None
) -> float:
    """Return the same of logits that are known, without a graph."""
    with mygrad.no_autodiff:
        return float(mean_loss(name, mygrad.tensor(logits, constant=True), labels, weights).item())
