"""The dense layer, modelled on MyNN's, and how the built-in models make theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from mygrad import Tensor, matmul
from mygrad.nnet.initializers import constant, glorot_normal
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn._keywords import keywords

Initializer = Callable[..., Tensor]


class dense:
    """A fully connected layer: ``x @ weight + bias``.

    Parameters
    ----------
    input_size, output_size : int
        The number of features of each input, and of each output.
    weight_initializer, bias_initializer : callable
        Called with the two numbers of the shapes ``(input_size, output_size)`` and ``(1, output_size)``; each returns
        a MyGrad tensor. By default weights are Glorot normal and the bias is 0. This is the only difference from MyNN's
        layer, which draws its weights between 0 and 1: too large for a recurrent network.
    weight_kwargs, bias_kwargs : mapping, optional
        Keyword arguments of the two initializers.
    bias : bool
        Whether the layer has a bias.

    Attributes
    ----------
    weight : mygrad.Tensor, shape (input_size, output_size)
    bias : mygrad.Tensor, shape (1, output_size), or None

    Examples
    --------
    >>> import numpy as np
    >>> layer = dense(3, 4)
    >>> layer(np.ones((2, 3), dtype=np.float32)).shape
    (2, 4)
    """

    weight: Tensor
    bias: Tensor | None

    @keywords
    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        weight_initializer: Initializer = glorot_normal,
        bias_initializer: Initializer = constant,
        weight_kwargs: Mapping[str, Any] | None = None,
        bias_kwargs: Mapping[str, Any] | None = None,
        bias: bool = True,
    ) -> None:
        rows = _checks.integer("input_size", input_size, minimum=1)
        columns = _checks.integer("output_size", output_size, minimum=1)
        self.weight = weight_initializer(rows, columns, **(weight_kwargs or {}))
        self.bias = None
        if bias:
            self.bias = bias_initializer(1, columns, **(bias_kwargs or {}))
            self.bias.data = self.bias.data.astype(self.weight.dtype)

    def __repr__(self) -> str:
        """Return the sizes of the layer."""
        rows, columns = self.weight.shape
        return f"dense({rows}, {columns}{'' if self.bias is not None else ', bias=False'})"

    def __call__(self, x: Tensor | NDArray[Any]) -> Tensor:
        """Return ``x @ weight + bias``, shape (N, output_size), for `x` of shape (N, input_size)."""
        product = matmul(x, self.weight)
        return product if self.bias is None else product + self.bias

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """The weight, and the bias if there is one."""
        return (self.weight,) if self.bias is None else (self.weight, self.bias)


class HeadwiseDense:
    """A dense layer without bias for each of several heads: ``x_h @ weight[h]`` for the h-th part of x."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight

    def __call__(self, x: Tensor | NDArray[Any]) -> Tensor:
        """Return the products of the heads side by side, like `x`, (1, heads * size)."""
        heads, size, _ = self.weight.shape
        return matmul(x.reshape(heads, 1, size), self.weight).reshape(1, heads * size)

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """The weight (heads, size, size)."""
        return (self.weight,)


# For annotations where a method is called `dense`.
Dense = dense


class Maker:
    """Makes the weights of a built-in model, all drawn from one generator; without one, from NumPy's global.

    `recurrent_init` says how recurrent weights begin, those with which a layer reads its last hidden state.
    """

    def __init__(self, rng: np.random.Generator | int | None, recurrent_init: str) -> None:
        rng = None if rng is None else _checks.generator("rng", rng)
        self.uniform = np.random.uniform if rng is None else rng.uniform
        self.normal = np.random.normal if rng is None else rng.normal
        self.recurrent_weights: list[Tensor] = []
        self._recurrent_init = recurrent_init
        self._weights = {} if rng is None else {"weight_initializer": seeded_glorot_normal(rng)}

    def dense(self, input_size: int, output_size: int, **settings: Any) -> Dense:
        """Return a dense layer; by default its weights are Glorot normal and its biases are 0."""
        return dense(input_size, output_size, **{**self._weights, **settings})

    def recurrent(self, units: int) -> Dense:
        """Return a dense layer without bias that reads the last hidden state."""
        # The identity needs no random numbers.
        weights = {"weight_initializer": filled(0.0)} if "identity" in self._recurrent_init else {}
        made = self.dense(units, units, bias=False, **weights)
        self.recurrent_weights.append(made.weight)
        return made

    def recurrent_heads(self, heads: int, size: int) -> HeadwiseDense:
        """Return the same for heads of this many units, which read their own units only."""
        made = HeadwiseDense(parameter(self.normal(0.0, size**-0.5, (heads, size, size))))
        self.recurrent_weights.append(made.weight)
        return made

    def begin_recurrent(self) -> None:
        """Initialize the recurrent weights, which are Glorot normal so far, after all others are drawn."""
        # An orthogonal matrix rotates a state and keeps its length: without input, the state of an RNN does not grow
        # from step to step. With other random matrices it may grow without bound on a long sequence.
        # Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
        # networks", 2014.
        for weight in self.recurrent_weights:
            if self._recurrent_init == "orthogonal":
                # With these signs the orthogonal matrix is uniformly distributed.
                turned, sizes = np.linalg.qr(self.normal(size=weight.shape))
                weight.data[...] = turned * np.sign(np.diagonal(sizes, axis1=-2, axis2=-1))[..., np.newaxis, :]
            elif self._recurrent_init != "glorot":
                same = np.eye(weight.shape[-1])
                weight.data[...] = same if self._recurrent_init == "identity" else -same


def parameter(values: ArrayLike) -> Tensor:
    """Return a trainable float32 tensor."""
    return Tensor(np.array(values, dtype=np.float32))


def filled(values: ArrayLike) -> Initializer:
    """Return an initializer of a weight or a bias with these values, which are repeated to its shape."""
    return lambda rows, columns: parameter(np.broadcast_to(values, (rows, columns)))


def seeded_glorot_normal(rng: np.random.Generator | int | None) -> Initializer:
    """Return an initializer like MyGrad's ``glorot_normal`` (Glorot and Bengio, 2010), but with its own generator."""
    return partial(_glorot_normal, _checks.generator("rng", rng))


def _glorot_normal(rng: np.random.Generator, rows: int, columns: int) -> Tensor:
    deviation = np.sqrt(2 / (rows + columns))
    return Tensor(rng.normal(0.0, deviation, (rows, columns)), dtype=np.float32)
