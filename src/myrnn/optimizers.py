"""SGD, RMSprop and Adam with MyNN's interface and, without weight decay, the same numbers.

Weight decay is decoupled from the gradient and scaled by the learning rate (Loshchilov and Hutter, "Decoupled weight
decay regularization", 2019), as in PyTorch's `AdamW` and in every optimizer of Keras:
``parameter <- parameter - learning_rate * weight_decay * parameter``, beside the optimizer's own change.

MyNN's own optimizers are accepted wherever one of these is: both keep their state in the same attributes. MyNN does not
scale its weight decay by the learning rate.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Annotated, Any

import numpy as np
from msgspec import Meta
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._keywords import keywords
from myrnn.registry import register
from myrnn.settings import settings_of_call

Rate = Annotated[
    float,
    Meta(
        ge=0,
        title="Learning rate",
        description="The size of a step.",
        examples=[0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0],
    ),
]
Decay = Annotated[float, Meta(ge=0, description="A step shrinks every weight by this share times the learning rate.")]
Little = Annotated[float, Meta(gt=0, description="Added to the denominator of the update.")]


class _Optimizer(ABC):
    """What all optimizers share: parameters, a learning rate and weight decay."""

    def __init__(self, params: Iterable[Tensor], learning_rate: float, weight_decay: float) -> None:
        self.params = _checks.tensors("params", params)
        self.learning_rate, self.weight_decay = learning_rate, weight_decay

    def __repr__(self) -> str:
        """Return the settings and the number of parameters."""
        made = _checks.call_of(self, *settings_of_call(type(self).__init__))
        numbers = sum(parameter.size for parameter in self.params)
        return f"{made.removesuffix(')')}, of {len(self.params)} tensors with {numbers:,} numbers)"

    def step(self) -> None:
        """Update every parameter in place from its gradient; one without a gradient stays as it is.

        Call it after ``loss.backward()``.
        """
        for index, parameter in enumerate(self.params):
            if parameter.grad is None:
                continue
            change = self._change(index, parameter.grad)
            if self.weight_decay and parameter.ndim > 1:
                change = change - self.learning_rate * self.weight_decay * parameter.data
            parameter.data += change

    @abstractmethod
    def _change(self, index: int, gradient: NDArray[Any]) -> NDArray[Any]:
        """Return the change of parameter `index`, without weight decay."""

    def _zeros(self) -> list[NDArray[Any]]:
        return [np.zeros_like(parameter.data) for parameter in self.params]


@register("optimizer", "sgd")
class SGD(_Optimizer):
    """Stochastic gradient descent with optional momentum.

    ``v <- momentum * v - learning_rate * gradient`` and ``parameter <- parameter + v``.

    Parameters
    ----------
    params : iterable of mygrad.Tensor
        The parameters to update.
    learning_rate : float
        The size of a step.
    momentum : float in [0, 1)
        The share of the last step that is carried over.
    weight_decay : float
        Each step shrinks every weight (of two or more dimensions) by this share times the learning rate. Without
        momentum this is PyTorch's `SGD`; with momentum PyTorch adds the decay to the gradient.

    Examples
    --------
    >>> from myrnn import RNN, SGD
    >>> SGD(RNN(10, 8, 2).parameters, learning_rate=0.1, momentum=0.9)
    SGD(learning_rate=0.1, momentum=0.9, weight_decay=0.0, of 5 tensors with 170 numbers)
    """

    @keywords
    def __init__(
        self,
        params: Iterable[Tensor],
        *,
        learning_rate: Rate = 0.1,
        momentum: Annotated[float, Meta(ge=0, lt=1, description="The share of the last step to carry over.")] = 0.0,
        weight_decay: Decay = 0.0,
    ) -> None:
        super().__init__(params, learning_rate, weight_decay)
        self.momentum = momentum
        self.param_moments = self._zeros() if self.momentum else []

    def _change(self, index: int, gradient: NDArray[Any]) -> NDArray[Any]:
        if not self.momentum:
            return -self.learning_rate * gradient
        moment = self.param_moments[index]
        moment *= self.momentum
        moment -= self.learning_rate * gradient
        return moment


@register("optimizer", "rmsprop")
class RMSprop(_Optimizer):
    """Divide the gradient by a running average of its recent size.

    Parameters
    ----------
    params : iterable of mygrad.Tensor
        The parameters to update.
    learning_rate : float
        The size of a step.
    alpha : float in [0, 1)
        The decay rate of the average of the squared gradient.
    eps : float
        Added to the square root of the average, to avoid division by zero.
    weight_decay : float
        As for `SGD`. PyTorch's `RMSprop` adds it to the gradient instead.

    References
    ----------
    Hinton, "Neural networks for machine learning", lecture 6e, 2012.

    Examples
    --------
    >>> from myrnn import RNN, RMSprop
    >>> RMSprop(RNN(10, 8, 2).parameters)
    RMSprop(learning_rate=0.01, alpha=0.9, eps=1e-08, weight_decay=0.0, of 5 tensors with 170 numbers)
    """

    @keywords
    def __init__(
        self,
        params: Iterable[Tensor],
        *,
        learning_rate: Rate = 0.01,
        alpha: Annotated[
            float, Meta(ge=0, lt=1, description="The decay rate of the average of the squared gradient.")
        ] = 0.9,
        eps: Little = 1e-8,
        weight_decay: Decay = 0.0,
    ) -> None:
        super().__init__(params, learning_rate, weight_decay)
        self.alpha, self.eps = alpha, eps
        self.v = self._zeros()

    def _change(self, index: int, gradient: NDArray[Any]) -> NDArray[Any]:
        self.v[index] = self.alpha * self.v[index] + (1 - self.alpha) * gradient**2
        return -self.learning_rate * gradient / (np.sqrt(self.v[index]) + self.eps)


@register("optimizer", "adam")
class Adam(_Optimizer):
    """Steps scaled by running averages of the gradient and its square.

    Parameters
    ----------
    params : iterable of mygrad.Tensor
        The parameters to update.
    learning_rate : float
        The size of a step.
    beta1, beta2 : float in [0, 1)
        The decay rates of the averages of the gradient and of its square.
    eps : float
        Added to the square root of the second average, to avoid division by zero.
    weight_decay : float
        As for `SGD`. This is PyTorch's `AdamW`; 0.01 is usual.

    References
    ----------
    Kingma and Ba, "Adam: a method for stochastic optimization", 2015.

    Examples
    --------
    >>> from myrnn import RNN, Adam
    >>> Adam(RNN(10, 8, 2).parameters, learning_rate=0.01)
    Adam(learning_rate=0.01, beta1=0.9, beta2=0.999, eps=1e-08, weight_decay=0.0, of 5 tensors with 170 numbers)
    """

    @keywords
    def __init__(
        self,
        params: Iterable[Tensor],
        *,
        learning_rate: Rate = 0.001,
        beta1: Annotated[float, Meta(ge=0, lt=1, description="The decay rate of the average of the gradient.")] = 0.9,
        beta2: Annotated[
            float, Meta(ge=0, lt=1, description="The decay rate of the average of the squared gradient.")
        ] = 0.999,
        eps: Little = 1e-8,
        weight_decay: Decay = 0.0,
    ) -> None:
        super().__init__(params, learning_rate, weight_decay)
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.t = 0
        self.m = self._zeros()
        self.v = self._zeros()

    def step(self) -> None:
        """Update every parameter in place from its gradient, and count the step."""
        self.t += 1
        super().step()

    def _change(self, index: int, gradient: NDArray[Any]) -> NDArray[Any]:
        self.m[index] = self.beta1 * self.m[index] + (1 - self.beta1) * gradient
        self.v[index] = self.beta2 * self.v[index] + (1 - self.beta2) * gradient**2
        mean = self.m[index] / (1 - self.beta1**self.t)
        square = self.v[index] / (1 - self.beta2**self.t)
        return -self.learning_rate * mean / (np.sqrt(square) + self.eps)
