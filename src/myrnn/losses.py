"""Losses: the functions that training minimises.

A loss is a function of `outputs`, a MyGrad tensor (N, K), and `targets`, the matching rows. It returns the loss of each
row, a tensor (N,), computed from that row alone. The rows are the sequences of a batch or, if each step has a target,
the steps of all of them. Targets are classes, int64 (N,), or float32 (N, K): numbers, or 1 for each class that holds
and 0 for the others, or several targets together, as `myrnn.targets.TargetPart` describes.

`myrnn.train` takes such a function, or the name of one: ``"cross-entropy"``, ``"sigmoid-cross-entropy"``,
``"mean-squared-error"``, ``"huber"``, or one that you register with `myrnn.registry.register`. The command line,
studies and run folders know a loss by its name.

The native engine compiles a loss like a model. Two kinds are not compiled and run op by op: losses that inspect the
values of outputs or of numeric targets, such as ``targets > 0``, and losses other than cross-entropy for more than 64
classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mygrad
import numpy as np
import scipy
from mygrad import Tensor
from mygrad.nnet.activations import logsoftmax
from mygrad.nnet.losses import softmax_crossentropy
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.registry import find, kinds, register
from myrnn.targets import CLASS, NUMBERS, SEVERAL, TOGETHER, TargetKind, TargetPart

Loss = Callable[[Tensor, NDArray[Any]], Tensor]
Penalty = Callable[[Any], Tensor]

CROSS_ENTROPY = "cross-entropy"
SIGMOID_CROSS_ENTROPY = "sigmoid-cross-entropy"
MEAN_SQUARED_ERROR = "mean-squared-error"
HUBER = "huber"

# The targets that each loss is for; the first loss of a kind is its default. User-defined losses take any targets.
_FOR = {CROSS_ENTROPY: CLASS, SIGMOID_CROSS_ENTROPY: SEVERAL, MEAN_SQUARED_ERROR: NUMBERS, HUBER: NUMBERS}
SHIPPED = tuple(_FOR)
"""The names of the losses here."""


@register("loss", CROSS_ENTROPY)
def cross_entropy(outputs: Tensor, targets: NDArray[np.int64]) -> Tensor:
    """Return the softmax cross-entropy of each row, in nats.

    Parameters
    ----------
    outputs : Tensor, float (N, K)
    targets : ndarray, int64 (N,)
        The classes.

    Returns
    -------
    Tensor (N,)

    Examples
    --------
    >>> import mygrad
    >>> import numpy as np
    >>> outputs = mygrad.tensor([[0.0, 0.0], [2.0, 0.0]])
    >>> cross_entropy(outputs, np.array([0, 0])).data.round(4)
    array([0.6931, 0.1269])
    """
    return -logsoftmax(outputs)[np.arange(len(targets)), targets]


@register("loss", SIGMOID_CROSS_ENTROPY)
def sigmoid_cross_entropy(outputs: Tensor, targets: NDArray[np.float32]) -> Tensor:
    """Return the mean over K classes of the cross-entropy of each one's sigmoid, in nats.

    It is log(1 + exp(x)) - x y, written so that no exponential overflows and the gradient at 0 is right.

    Parameters
    ----------
    outputs : Tensor, float (N, K)
    targets : ndarray, float32 (N, K)
        1 for each class that applies, and 0 for the others.

    Returns
    -------
    Tensor (N,)

    Examples
    --------
    >>> import mygrad
    >>> import numpy as np
    >>> outputs = mygrad.tensor([[0.0, 0.0], [20.0, -20.0]])
    >>> sigmoid_cross_entropy(outputs, np.array([[1, 0], [1, 0]])).data.round(4)
    array([0.6931, 0.    ])
    """
    size = mygrad.abs(outputs)
    return (mygrad.log1p(mygrad.exp(-size)) + (0.5 * size + outputs * (0.5 - targets))).mean(axis=1)


@register("loss", MEAN_SQUARED_ERROR)
def mean_squared_error(outputs: Tensor, targets: NDArray[np.float32]) -> Tensor:
    """Return the mean over K numbers of the squared differences.

    Parameters
    ----------
    outputs : Tensor, float (N, K)
    targets : ndarray, float32 (N, K)

    Returns
    -------
    Tensor (N,)

    Examples
    --------
    >>> import mygrad
    >>> import numpy as np
    >>> outputs = mygrad.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> mean_squared_error(outputs, np.array([[1.0, 4.0], [3.0, 4.0]])).data
    array([2., 0.])
    """
    return ((outputs - targets) ** 2).mean(axis=1)


@register("loss", HUBER)
def huber(outputs: Tensor, targets: NDArray[np.float32]) -> Tensor:
    """Return the mean over K numbers of half the squared difference, or of its size minus 1/2 if that is above 1.

    Parameters
    ----------
    outputs : Tensor, float (N, K)
    targets : ndarray, float32 (N, K)

    Returns
    -------
    Tensor (N,)

    References
    ----------
    Huber, "Robust estimation of a location parameter", 1964.

    Examples
    --------
    >>> import mygrad
    >>> import numpy as np
    >>> outputs = mygrad.tensor([[0.5], [10.0]])
    >>> huber(outputs, np.array([[0.0], [0.0]])).data
    array([0.125, 9.5  ])
    """
    difference = outputs - targets
    bounded = mygrad.clip(difference, -1, 1)
    return (bounded * (difference - 0.5 * bounded)).mean(axis=1)


class CrossEntropyTogether:
    """The cross-entropy of several targets that are learned together: the sum of those of all parts."""

    # That of a class is its softmax cross-entropy, that of several classes the mean of the cross-entropies of their
    # sigmoids, in nats. Each counts as much as its target says.

    def __init__(self, parts: tuple[TargetPart, ...]) -> None:
        self._parts, self.__qualname__ = parts, CROSS_ENTROPY

    def __call__(self, outputs: Tensor, targets: NDArray[np.float32]) -> Tensor:
        """Return the loss of each row, (N,)."""
        found, end = [], 0
        for part in self._parts:
            begin, end = end, end + part.columns
            scores, wanted = outputs[:, begin:end], targets[:, begin:end]
            if part.what == CLASS:
                found.append(-(logsoftmax(scores) * wanted).sum(axis=1))
            else:
                # log(1 + exp(-x)) where a class holds, log(1 + exp(x)) where it does not; no exponential overflows.
                size = mygrad.abs(scores)
                either = mygrad.log1p(mygrad.exp(-size)) + 0.5 * size
                found.append((either * mygrad.abs(wanted) - 0.5 * (scores * wanted)).mean(axis=1))
        return sum(found[1:], found[0])


def loss_names() -> tuple[str, ...]:
    """Return the names of all losses."""
    return tuple(kinds("loss"))


def loss_for(loss: Loss | str | None, kind: TargetKind) -> Loss | str:
    """Return the loss for such targets: the default of their kind for None or ``"cross-entropy"``."""
    if callable(loss):
        return loss
    if kind.what == TOGETHER and loss in (None, CROSS_ENTROPY):
        return CrossEntropyTogether(kind.parts)
    if loss is None:
        return next(name for name, what in _FOR.items() if what == kind.what)
    if loss == CROSS_ENTROPY and kind.what == SEVERAL:
        # Cross-entropy is what the settings of a task say by default.
        return SIGMOID_CROSS_ENTROPY
    find("loss", loss)
    if _FOR.get(loss, kind.what) != kind.what:
        raise InvalidArgument(f"the loss {loss!r} is for targets that are {_FOR[loss]}, but these are {kind}")
    return loss


def name_of(function: Callable[..., Any] | str) -> str:
    """Return the name of a loss or another function in messages and checkpoints."""
    return function if isinstance(function, str) else getattr(function, "__qualname__", type(function).__name__)


def mean_loss(
    loss: Loss | str,
    outputs: Tensor,
    targets: NDArray[Any],
    class_weights: NDArray[np.floating] | None = None,
    weights: NDArray[np.floating] | None = None,
) -> Tensor:
    """Return the mean loss over all rows of a batch, each times the weight of its class."""
    # With `weights` it is a weighted mean: the sum of weight times loss, divided by the sum of the weights; 0 if all
    # weights are 0. The weights of classes are not part of the divisor.
    if loss == CROSS_ENTROPY and class_weights is None and weights is None:
        return softmax_crossentropy(outputs, targets)
    if weights is not None and not weights.all():
        # Rows of weight 0 are left out: zero times infinity would be NaN.
        outputs, targets, weights = (rows[weights > 0] for rows in (outputs, targets, weights))
        if not len(targets):
            return outputs.sum()
    losses = losses_of(loss, outputs, targets)
    if class_weights is not None:
        losses = losses * class_weights[targets]
    if weights is None:
        return losses.mean()
    return (losses * weights).sum() / float(weights.sum(dtype=np.float64))


def losses_of(loss: Loss | str, outputs: Tensor, targets: NDArray[Any]) -> Tensor:
    """Return the loss of each row; see `mean_loss`."""
    function: Loss = find("loss", loss).make if isinstance(loss, str) else loss
    rows = targets.astype(np.float32) if targets.dtype.kind == "b" else targets
    found = function(outputs, rows)
    if not isinstance(found, Tensor) or found.shape != (len(rows),):
        shape = getattr(found, "shape", None)
        what = type(found).__name__ if shape is None else f"shape {shape}"
        raise InvalidArgument(
            f"the loss {name_of(loss)!r} must return a tensor of shape (N,), here ({len(rows)},), not {what}"
        )
    return found


@dataclass(frozen=True, eq=False)
class Objective:
    """The whole objective that training minimises."""

    loss: Loss | str = CROSS_ENTROPY  # as `loss_for` returns it
    class_weights: NDArray[np.float32] | None = None  # (K,)
    # ``penalty(model)`` returns a tensor of shape (), which is added to the loss of each iteration.
    penalty: Penalty | None = None
    # The number of outputs, the last ones, that have no target: 1 if the model adds to its loss (`added_loss`).
    added: int = 0

    def __call__(
        self, model: Any, outputs: Tensor, targets: NDArray[Any], weights: NDArray[np.float32] | None
    ) -> Tensor:
        """Return the loss of a batch: `mean_loss` plus the penalty; without rows, the penalty alone or 0."""
        parts = [mean_loss(self.loss, outputs, targets, self.class_weights, weights)] if len(targets) else []
        if self.penalty is not None:
            parts.append(self.penalty_of(model))
        return sum(parts[1:], parts[0]) if parts else mygrad.tensor(0.0, constant=True)

    @property
    def can_be_negative(self) -> bool:
        """Whether it can be below 0, as a user's loss or penalty can."""
        is_shipped = self.loss in _FOR if isinstance(self.loss, str) else isinstance(self.loss, CrossEntropyTogether)
        return not is_shipped or self.penalty is not None

    def penalty_of(self, model: Any) -> Tensor:
        """Return the value of the penalty, a tensor of one number; 0 without one."""
        return mygrad.tensor(0.0, constant=True) if self.penalty is None else checked_penalty(self.penalty, model)


def checked_penalty(penalty: Penalty, model: Any) -> Tensor:
    """Return the value of a penalty; raises InvalidArgument if it is not a tensor of one number."""
    found = penalty(model)
    if not isinstance(found, Tensor) or found.shape != ():
        what = f"one of shape {found.shape}" if isinstance(found, Tensor) else _checks.shown(found)
        raise InvalidArgument(f"penalty must return a tensor of shape (), such as a sum, not {what}")
    return found


def losses_of_logits(loss: Loss | str, logits: NDArray[np.floating], targets: NDArray[Any]) -> NDArray[np.float64]:
    """Return the loss of each row of logits that are plain arrays, without a graph."""
    if loss == CROSS_ENTROPY:
        found: NDArray[np.float64] = -scipy.special.log_softmax(logits, axis=1)[np.arange(len(logits)), targets]
        return found
    with mygrad.no_autodiff:
        return np.asarray(losses_of(loss, mygrad.tensor(logits, constant=True), targets))


def mean_of_logits(
    loss: Loss | str,
    logits: NDArray[np.floating],
    targets: NDArray[Any],
    class_weights: NDArray[np.floating] | None = None,
    weights: NDArray[np.floating] | None = None,
) -> float:
    """Return the mean loss of logits that are plain arrays, without a graph."""
    with mygrad.no_autodiff:
        outputs = mygrad.tensor(logits, constant=True)
        return float(mean_loss(loss, outputs, targets, class_weights, weights).item())
