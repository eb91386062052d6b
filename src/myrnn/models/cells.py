"""The simple recurrent network, the gated recurrent unit and the long short-term memory.

The equations of each stand in the ``step`` of its layer: the models here are one layer that reads the sequence, and
dense scores of its last hidden state; `Stacked` puts several layers on top of each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta
from mygrad import Tensor, tanh
from mygrad.nnet.activations import relu, sigmoid
from mygrad.nnet.initializers import constant
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._keywords import keywords
from myrnn.errors import InvalidArgument
from myrnn.models.dense import dense, layer_maker

Size = Annotated[int, Meta(ge=1)]
Units = Annotated[
    int,
    Meta(
        ge=1,
        le=50_000,
        title="Units",
        description="How many recurrent units there are.",
        examples=[4, 8, 16, 32, 50, 100],
    ),
]
Activation = Annotated[Literal["relu", "tanh"], Meta(description="Its nonlinearity: relu or tanh.")]
RecurrentInit = Annotated[
    Literal["glorot", "orthogonal", "identity", "minus_identity"],
    Meta(description="How its recurrent weights begin: glorot, orthogonal, identity or minus_identity."),
]
# A file leaves these settings out where they have their defaults: files were written before there were such settings.
LATER = {"later": True}
GatedInit = Annotated[
    Literal["glorot", "orthogonal"],
    Meta(description="How its recurrent weights begin: glorot or orthogonal.", extra=LATER),
]

ACTIVATIONS = {"relu": relu, "tanh": tanh}

# What a layer keeps from step to step, each (1, D): the first of it is the hidden state.
State = tuple[Any, ...]
# Makes a dense layer.
Maker = Callable[..., dense]


class Layer:
    """One recurrent layer: how it begins, and what a step does."""

    def __init__(self, dim_recurrent: int) -> None:
        self.dim_recurrent = dim_recurrent

    def start(self) -> State:
        """Return the state before the first step."""
        return (self._zeros(),)

    def step(self, x_t: Any, state: State) -> State:
        """Return the next state; `x_t` is (1, C)."""
        raise NotImplementedError

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """All that the layer learns, in the order in which it was made."""
        layers = [layer for layer in vars(self).values() if isinstance(layer, dense)]
        return tuple(parameter for layer in layers for parameter in layer.parameters)

    def _zeros(self) -> NDArray[np.float32]:
        return np.zeros((1, self.dim_recurrent), dtype=np.float32)


class RNNLayer(Layer):
    """A layer of the equations of `RNN`."""

    def __init__(
        self,
        dim_input: int,
        dim_recurrent: int,
        layer: Maker,
        activation: str = "relu",
        recurrent: Maker | None = None,
    ) -> None:
        super().__init__(dim_recurrent)
        self.activation = activation
        self.fc_x2h = layer(dim_input, dim_recurrent)
        self.fc_h2h = (recurrent or layer)(dim_recurrent, dim_recurrent, bias=False)

    def step(self, x_t: Any, state: State) -> State:
        """Return the next hidden state."""
        (h,) = state
        h = ACTIVATIONS[self.activation](self.fc_x2h(x_t) + self.fc_h2h(h))
        return (h,)


class GRULayer(Layer):
    """A layer of the equations of `GRU`."""

    def __init__(self, dim_input: int, dim_recurrent: int, layer: Maker) -> None:
        super().__init__(dim_recurrent)
        self.fc_x2z = layer(dim_input, dim_recurrent)
        self.fc_h2z = layer(dim_recurrent, dim_recurrent, bias=False)
        self.fc_x2r = layer(dim_input, dim_recurrent)
        self.fc_h2r = layer(dim_recurrent, dim_recurrent, bias=False)
        self.fc_x2n = layer(dim_input, dim_recurrent)
        self.fc_h2n = layer(dim_recurrent, dim_recurrent, bias=False)

    def step(self, x_t: Any, state: State) -> State:
        """Return the next hidden state."""
        (h,) = state
        z = sigmoid(self.fc_x2z(x_t) + self.fc_h2z(h))
        r = sigmoid(self.fc_x2r(x_t) + self.fc_h2r(h))
        n = tanh(self.fc_x2n(x_t) + self.fc_h2n(r * h))
        h = n + z * (h - n)
        return (h,)


class LSTMLayer(Layer):
    """A layer of the equations of `LSTM`."""

    def __init__(self, dim_input: int, dim_recurrent: int, layer: Maker) -> None:
        super().__init__(dim_recurrent)
        self.fc_x2i = layer(dim_input, dim_recurrent)
        self.fc_h2i = layer(dim_recurrent, dim_recurrent, bias=False)
        self.fc_x2f = layer(dim_input, dim_recurrent, bias_kwargs={"value": 1.0})
        self.fc_h2f = layer(dim_recurrent, dim_recurrent, bias=False)
        self.fc_x2o = layer(dim_input, dim_recurrent)
        self.fc_h2o = layer(dim_recurrent, dim_recurrent, bias=False)
        self.fc_x2g = layer(dim_input, dim_recurrent)
        self.fc_h2g = layer(dim_recurrent, dim_recurrent, bias=False)

    def start(self) -> State:
        """Return zeros for the hidden state and the memory."""
        return self._zeros(), self._zeros()

    def step(self, x_t: Any, state: State) -> State:
        """Return the next hidden state and memory."""
        h, c = state
        i = sigmoid(self.fc_x2i(x_t) + self.fc_h2i(h))
        f = sigmoid(self.fc_x2f(x_t) + self.fc_h2f(h))
        o = sigmoid(self.fc_x2o(x_t) + self.fc_h2o(h))
        g = tanh(self.fc_x2g(x_t) + self.fc_h2g(h))
        c = f * c + i * g
        h = o * tanh(c)
        return h, c


class _OneLayer(Layer):
    """A layer that reads one sequence, and dense scores of its last hidden state."""

    dim_input: int
    dim_output: int
    fc_h2y: dense

    def __call__(self, x: Tensor | NDArray[Any]) -> Tensor:
        """Return the class scores of one sequence: `x` is (T, C), the logits are (1, K)."""
        check_sequence(x, self.dim_input)
        state = self.start()
        for x_t in x:
            state = self.step(x_t[np.newaxis], state)
        return self.fc_h2y(state[0])


class _Gated(_OneLayer):
    """Such a model of a gated layer, which stands behind it among the classes that it inherits from."""

    @keywords
    def __init__(
        self,
        dim_input: Size,
        dim_recurrent: Units,
        dim_output: Size,
        *,
        recurrent_init: GatedInit = "glorot",
        rng: np.random.Generator | int | None = None,
    ) -> None:
        rng = None if rng is None else _checks.generator("rng", rng)
        layer = layer_maker(rng)
        super().__init__(dim_input, dim_recurrent, layer)  # type: ignore[call-arg]  # of the layer
        self.recurrent_init = recurrent_init
        self.dim_input, self.dim_output = dim_input, dim_output
        self.fc_h2y = layer(dim_recurrent, dim_output)
        begin_recurrent([self], recurrent_init, rng)

    def __repr__(self) -> str:
        """Return the call that makes such a model."""
        return _checks.call_of(self, "dim_input", "dim_recurrent", "dim_output", "recurrent_init")


class RNN(_OneLayer, RNNLayer):
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
    recurrent_init : {"glorot", "orthogonal", "identity", "minus_identity"}
        What W_hh begins as: Glorot normal as the other weights; a random orthogonal matrix, which keeps the length of
        a state; the identity, with which a young network hands its state on from step to step; or minus the identity,
        with which a unit that gets the same input again goes on and off from step to step.
    rng : numpy.random.Generator, int or None
        Draws the weights (Glorot normal); None takes NumPy's global generator, as MyGrad's initializers do.

    Attributes
    ----------
    fc_x2h, fc_h2h, fc_h2y : dense
        The layers of the two equations; `fc_h2h` has no bias.

    References
    ----------
    Elman, "Finding structure in time", 1990; Le, Jaitly and Hinton, "A simple way to initialize recurrent networks of
    rectified linear units", 2015 (the identity); Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear
    dynamics of learning in deep linear neural networks", 2014 (orthogonal matrices).

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
        activation: Activation = "relu",
        recurrent_init: RecurrentInit = "glorot",
        rng: np.random.Generator | int | None = None,
    ) -> None:
        rng = None if rng is None else _checks.generator("rng", rng)
        layer = layer_maker(rng)
        # The identity takes nothing from the generator.
        without = partial(dense, weight_initializer=constant, weight_kwargs={"dtype": np.float32})
        recurrent = without if "identity" in recurrent_init else layer
        RNNLayer.__init__(self, dim_input, dim_recurrent, layer, activation, recurrent)
        self.recurrent_init = recurrent_init
        self.dim_input, self.dim_output = dim_input, dim_output
        self.fc_h2y = layer(dim_recurrent, dim_output)
        begin_recurrent([self], recurrent_init, rng)

    def __repr__(self) -> str:
        """Return the call that makes such a model."""
        return _checks.call_of(self, "dim_input", "dim_recurrent", "dim_output", "activation", "recurrent_init")


class GRU(_Gated, GRULayer):
    """A gated recurrent unit that scores a sequence by its last hidden state.

    With T steps, C inputs, D recurrent units and K classes::

        z_t = sigmoid(x_t W_xz + b_z + h_{t-1} W_hz)           the update gate
        r_t = sigmoid(x_t W_xr + b_r + h_{t-1} W_hr)           the reset gate
        n_t = tanh(x_t W_xn + b_n + (r_t * h_{t-1}) W_hn)      the candidate
        h_t = n_t + z_t * (h_{t-1} - n_t)                      h_{-1} = 0
        y   = h_{T-1} W_hy + b_y

    Parameters
    ----------
    dim_input, dim_recurrent, dim_output : int
        C, D and K.
    recurrent_init : {"glorot", "orthogonal"}
        What the recurrent weights begin as: Glorot normal as the others, or random orthogonal matrices.
    rng : numpy.random.Generator, int or None
        Draws the weights (Glorot normal); None takes NumPy's global generator, as MyGrad's initializers do.

    References
    ----------
    Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine translation", 2014.

    Examples
    --------
    >>> GRU(dim_input=10, dim_recurrent=16, dim_output=2)(np.zeros((4, 10), dtype=np.float32)).shape
    (1, 2)
    """


class LSTM(_Gated, LSTMLayer):
    """A long short-term memory that scores a sequence by its last hidden state.

    With T steps, C inputs, D recurrent units and K classes::

        i_t = sigmoid(x_t W_xi + b_i + h_{t-1} W_hi)           the input gate
        f_t = sigmoid(x_t W_xf + b_f + h_{t-1} W_hf)           the forget gate
        o_t = sigmoid(x_t W_xo + b_o + h_{t-1} W_ho)           the output gate
        g_t = tanh(x_t W_xg + b_g + h_{t-1} W_hg)              the candidate
        c_t = f_t * c_{t-1} + i_t * g_t                        c_{-1} = 0
        h_t = o_t * tanh(c_t)                                  h_{-1} = 0
        y   = h_{T-1} W_hy + b_y

    The forget gate's bias begins at 1, so that a young network remembers.

    Parameters
    ----------
    dim_input, dim_recurrent, dim_output : int
        C, D and K.
    recurrent_init : {"glorot", "orthogonal"}
        What the recurrent weights begin as: Glorot normal as the others, or random orthogonal matrices.
    rng : numpy.random.Generator, int or None
        Draws the weights (Glorot normal); None takes NumPy's global generator, as MyGrad's initializers do.

    References
    ----------
    Hochreiter and Schmidhuber, "Long short-term memory", 1997; Gers, Schmidhuber and Cummins, "Learning to forget",
    2000; Jozefowicz, Zaremba and Sutskever, "An empirical exploration of recurrent network architectures", 2015
    (the forget gate's bias).

    Examples
    --------
    >>> LSTM(dim_input=10, dim_recurrent=16, dim_output=2)(np.zeros((4, 10), dtype=np.float32)).shape
    (1, 2)
    """


def begin_recurrent(layers: Iterable[Layer], how: str, rng: np.random.Generator | None) -> None:
    """Set the recurrent weights of layers to what `RecurrentInit` says; what they are is Glorot normal.

    An orthogonal matrix turns a state and keeps its length: without input, the state of an RNN does not grow from step
    to step. With other random matrices it may grow beyond all bounds on a long sequence.

    References
    ----------
    Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks", 2014.
    """
    normal = np.random.normal if rng is None else rng.normal
    named = (item for layer in layers for item in vars(layer).items())
    for weight in (inner.weight for name, inner in named if name.startswith("fc_h2") and name != "fc_h2y"):
        if how == "orthogonal":
            # With these signs every orthogonal matrix is equally likely.
            turned, sizes = np.linalg.qr(normal(size=weight.shape))
            weight.data[...] = turned * np.sign(np.diag(sizes))
        elif how != "glorot":
            same = np.eye(*weight.shape)
            weight.data[...] = same if how == "identity" else -same


def check_sequence(x: Tensor | NDArray[Any], dim_input: int) -> None:
    """Refuse anything but one sequence of finite numbers, shape (T, dim_input)."""
    values = x.data if isinstance(x, Tensor) else x
    # Every row of a matrix is a matrix again, so it cannot be gone through step by step.
    if not isinstance(values, np.ndarray) or isinstance(values, np.matrix):
        raise InvalidArgument(f"x must be an array or a tensor of shape (T, {dim_input}), not {type(x).__name__}")
    if values.ndim != 2 or values.shape[1] != dim_input or values.dtype.kind not in "bfiu":
        raise InvalidArgument(
            f"x must be one sequence of numbers of shape (T, {dim_input}), not {values.dtype} of shape {values.shape}"
        )
    _checks.finite("x", values)
