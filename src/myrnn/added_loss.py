"""What a model adds to its loss while it trains, such as the size of its states."""

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

# Takes what a model adds; None where nothing trains.
_take: ContextVar[Callable[[Tensor], None] | None] = ContextVar("take", default=None)


def add_loss(value: Tensor) -> None:
    """Add a number to the loss of the sequence in `myrnn.train` and `Training`; everywhere else do nothing.

    A model calls it with what its states, or anything else that it computes, should keep small. What one sequence adds
    is the sum of all its calls. It is added to the loss of each target of the sequence, of which an iteration takes
    the mean: it counts with the weights of these targets, and of their classes. The loss that is reported has it.

    Parameters
    ----------
    value : Tensor
        One number, of shape () or, such as (1, 1), of size 1.

    Raises
    ------
    InvalidArgument
        When it is no tensor of one number.

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
    """Return what the model returns for a sequence, and what it adds to its loss."""
    added: list[Tensor] = []
    token = _take.set(added.append)
    try:
        return model(x), added
    finally:
        _take.reset(token)


@contextmanager
def adding_nothing() -> Iterator[None]:
    """Refuse a model that adds to its loss, where it did not when the training was made."""
    token = _take.set(_refuse)
    try:
        yield
    finally:
        _take.reset(token)


def _refuse(value: Tensor) -> None:
    raise InvalidArgument(
        "the model calls add_loss, and did not when the training was made, on one of its sequences: let "
        "it add something on every sequence from the beginning on, perhaps 0"
    )


class WithAddedLoss:
    """A model with one more column of outputs: in each row what the sequence adds to its loss."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __getattr__(self, name: str) -> Any:
        """Return what the model has, such as its parameters."""
        if name == "model":
            raise AttributeError(name)
        return getattr(self.model, name)

    def __call__(self, x: NDArray[np.floating]) -> Tensor:
        """Return the outputs (N, K + 1)."""
        outputs, added = with_added(self.model, x)
        # It begins with a zero, so that nothing is special about the first number.
        whole = sum(added, mygrad.zeros((1, 1), dtype=np.float32, constant=True))
        return mygrad.concatenate([outputs, mygrad.concatenate([whole] * len(outputs))], axis=1)


class OfBoth:
    """The loss of outputs with such a column."""

    def __init__(self, loss: Loss | str) -> None:
        self._loss, self.__qualname__ = loss, name_of(loss)

    def __call__(self, outputs: Tensor, targets: NDArray[Any]) -> Tensor:
        """Return the loss of each row and what its sequence adds, (N,)."""
        return losses_of(self._loss, outputs[:, :-1], targets) + outputs[:, -1]
