"""The simple recurrent network."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta
from mygrad import Tensor, tanh
from mygrad.nnet.activations import relu
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._keywords import keywords
from myrnn.models._cell import Size, Units, check_sequence, identity, layer_maker, zero_state
from myrnn.models._dense import dense

ACTIVATIONS = {"relu": relu, "tanh": tanh}


class RNN:
    """A simple recurrent network that scores a sequence by its last hidden state.

    With T steps, C inputs, D recurrent units and K classes::

        h_t = activation(x_t W_xh + b_h + h_{t-1} W_hh)        h_{-1} = 0
        y   = h_{T-1} W_hy + b_y

    Parameters
    ----------
    dim_input, dim_recurrent, dim_output : int
        C, D and K.
    activation : {"relu", "tanh"}
        The nonlinearity of the hidden state.
    recurrent_init : {"glorot", "identity", "minus_identity"}
        What W_hh begins as: Glorot normal as the other weights; the identity, with which a young network hands its
        state on from step to step; or minus the identity, with which a unit that gets the same input again goes on and
        off from step to step.
    rng : numpy.random.Generator, int or None
        Draws the weights (Glorot normal); None takes NumPy's global generator, as MyGrad's initializers do.

    Attributes
    ----------
    fc_x2h, fc_h2h, fc_h2y : dense
        The layers of the two equations; `fc_h2h` has no bias.

    References
    ----------
    Elman, "Finding structure in time", 1990; Le, Jaitly and Hinton, "A simple way to initialize recurrent networks of
    rectified linear units", 2015 (the identity).

    Examples
    --------
    >>> model = RNN(dim_input=10, dim_recurrent=50, dim_output=2)
    >>> model(np.zeros((4, 10), dtype=np.float32)).shape
    (1, 2)
    """

    @keywords
    def __init__(
        self,
        dim_input: Size,
        dim_recurrent: Units,
        dim_output: Size,
        *,
        activation: Annotated[Literal["relu", "tanh"], Meta(description="Its nonlinearity: relu or tanh.")] = "relu",
        recurrent_init: Annotated[
            Literal["glorot", "identity", "minus_identity"],
            Meta(description="How its recurrent weights begin: glorot, identity or minus_identity."),
        ] = "glorot",
        rng: np.random.Generator | int | None = None,
    ) -> None:
        self.activation, self.recurrent_init = activation, recurrent_init
        self.dim_input, self.dim_recurrent, self.dim_output = dim_input, dim_recurrent, dim_output
        layer = layer_maker(rng)
        self.fc_x2h = layer(dim_input, dim_recurrent)
        if recurrent_init == "glorot":
            self.fc_h2h = layer(dim_recurrent, dim_recurrent, bias=False)
        else:
            diagonal = partial(identity, factor=-1 if recurrent_init == "minus_identity" else 1)
            self.fc_h2h = dense(dim_recurrent, dim_recurrent, weight_initializer=diagonal, bias=False)
        self.fc_h2y = layer(dim_recurrent, dim_output)

    def __repr__(self) -> str:
        """Return the call that makes such a model."""
        return _checks.call_of(self, "dim_input", "dim_recurrent", "dim_output", "activation", "recurrent_init")

    def __call__(self, x: Tensor | NDArray[Any]) -> Tensor:
        """Return the class scores of one sequence: `x` is (T, C), the logits are (1, K)."""
        check_sequence(x, self.dim_input)
        activation = ACTIVATIONS[self.activation]
        h = zero_state(self.dim_recurrent)
        for x_t in x:
            h = activation(self.fc_x2h(x_t[np.newaxis]) + self.fc_h2h(h))
        return self.fc_h2y(h)

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """All that the model learns, layer by layer."""
        return self.fc_x2h.parameters + self.fc_h2h.parameters + self.fc_h2y.parameters
