"""Terms that a model adds to its loss while it trains, such as the size of its states."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import mygrad
import numpy as np
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.losses import Loss, losses_of, name_of

# Collects the terms that a model adds; None when nothing trains.
_take: ContextVar[Callable[[Tensor], None] | None] = ContextVar("take", default=None)


def add_loss(value: Tensor) -> None:
    """Add a number to the loss of the sequence during training; otherwise do nothing.

    A model calls it with a quantity that should stay small, such as the size of its states. The terms of all calls for
    one sequence are summed. The sum is added to the loss of each target of the sequence before the mean over the
    iteration is taken, so it is weighted by these targets and their classes. The reported loss includes it.

    Parameters
    ----------
    value : Tensor
        One number, of shape () or another shape of size 1, such as (1, 1).

    Raises
    ------
    InvalidArgument
        When it is not a tensor of one number.

    References
    ----------
    Merity, McCann and Socher, "Revisiting activation regularization for language RNNs", 2017.

    Examples
    --------
    >>> from myrnn import RNN
    >>> class Calm(RNN):
    ...     def __call__(self, x):
    ...         state = self.start()
    ...         for x_t in x:
    ...             state = self.step(x_t[None], state)
    ...             add_loss(0.01 * (state[0] ** 2).mean())
    ...         return self.fc_h2y(state[0])
    """
    if not isinstance(value, Tensor) or value.size != 1:
        shape = f"a tensor of shape {value.shape}" if isinstance(value, Tensor) else _checks.shown(value)
        raise InvalidArgument(f"add_loss takes a tensor of one number, such as a sum, not {shape}")
    if (take := _take.get()) is not None:
        take(value.reshape(1, 1))


def with_added(model: Any, x: NDArray[np.floating]) -> tuple[Any, list[Tensor]]:
    """Return the model's output for a sequence, and the terms that it adds to its loss."""
    added: list[Tensor] = []
    token = _take.set(added.append)
    try:
        return model(x), added
    finally:
        _take.reset(token)


@contextmanager
def adding_nothing() -> Iterator[None]:
    """Refuse a model that adds to its loss now, but did not when the training was made."""
    token = _take.set(_refuse)
    try:
        yield
    finally:
        _take.reset(token)


def _refuse(value: Tensor) -> None:
    raise InvalidArgument(
        "the model calls add_loss, but did not do so when the training was made, on one of its sequences: let "
        "it add a number, perhaps 0, on every sequence from the beginning"
    )


class WithAddedLoss:
    """A model with one more column of outputs: in each row, the number that the sequence adds to its loss."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the model, such as its parameters."""
        if name == "model":
            raise AttributeError(name)
        return getattr(self.model, name)

    def __call__(self, x: NDArray[np.floating]) -> Tensor:
        """Return the outputs (N, K + 1)."""
        outputs, added = with_added(self.model, x)
        # The sum begins with a zero, so that the first term needs no special case.
        whole = sum(added, mygrad.zeros((1, 1), dtype=np.float32, constant=True))
        return mygrad.concatenate([outputs, mygrad.concatenate([whole] * len(outputs))], axis=1)


class OfBoth:
    """The loss of outputs with such a column."""

    def __init__(self, loss: Loss | str) -> None:
        self._loss, self.__qualname__ = loss, name_of(loss)

    def __call__(self, outputs: Tensor, targets: NDArray[Any]) -> Tensor:
        """Return the loss of each row plus the term of its sequence, (N,)."""
        return losses_of(self._loss, outputs[:, :-1], targets) + outputs[:, -1]
