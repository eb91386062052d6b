"""The simple recurrent network, three gated ones (GRU, MGU and LSTM), and one with a stack.

The equations of each are in the ``step`` method of its layer. The models here consist of one layer that reads the
sequence, and a dense layer that scores its last hidden state; `Stacked` has several layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta
from mygrad import Tensor, concatenate, tanh
from mygrad.nnet.activations import relu, sigmoid, softmax
from mygrad.nnet.initializers import constant
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._keywords import keywords
from myrnn.models.dense import dense, layer_maker
from myrnn.models.model import check_sequence

Size = Annotated[int, Meta(ge=1)]
# The number of units of a model that nobody chose: that of the lesson.
USUAL_UNITS = 50
Units = Annotated[
    int,
    Meta(
        ge=1,
        le=50_000,
        title="Units",
        description="The number of recurrent units.",
        examples=[4, 8, 16, 32, 50, 100],
    ),
]
Activation = Annotated[Literal["relu", "tanh"], Meta(description="The nonlinearity: relu or tanh.")]
RecurrentInit = Annotated[
    Literal["glorot", "orthogonal", "identity", "minus_identity"],
    Meta(description="The initialization of the recurrent weights: glorot, orthogonal, identity or minus_identity."),
]
GatedInit = Annotated[
    Literal["glorot", "orthogonal"],
    Meta(description="The initialization of the recurrent weights: glorot or orthogonal."),
]

StackDepth = Annotated[
    int, Meta(ge=2, le=10_000, description="The depth of the stack; values pushed below it are lost.")
]
StackWidth = Annotated[int, Meta(ge=1, le=1_000, description="The size of a value on the stack.")]

ACTIVATIONS = {"relu": relu, "tanh": tanh}
# The dense layers that read a hidden state but are not part of the recurrence of hidden states.
READERS = ("fc_h2y", "fc_h2a", "fc_h2v")

# The state of a layer: first the hidden state, (1, D), then any further state of the cell.
State = tuple[Any, ...]
# Makes a dense layer.
Maker = Callable[..., dense]


class Layer:
    """One recurrent layer: its initial state and its step."""

    def __init__(self, dim_recurrent: int) -> None:
        self.dim_recurrent = dim_recurrent

    def start(self) -> State:
        """Return the state before the first step: h, zeros (1, D)."""
        return (self._zeros(),)

    def step(self, x_t: Any, state: State) -> State:
        """Return the next state; `x_t` is (1, C)."""
        raise NotImplementedError

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """All parameters of the layer, in the order in which they were made."""
        layers = [layer for layer in vars(self).values() if isinstance(layer, dense)]
        return tuple(parameter for layer in layers for parameter in layer.parameters)

    def _zeros(self) -> NDArray[np.float32]:
        return np.zeros((1, self.dim_recurrent), dtype=np.float32)


class RNNLayer(Layer):
    """A layer with the equations of `RNN`."""

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
        """Return the next state, h (1, D); `x_t` is (1, C)."""
        (h,) = state
        h = ACTIVATIONS[self.activation](self.fc_x2h(x_t) + self.fc_h2h(h))
        return (h,)


class GRULayer(Layer):
    """A layer with the equations of `GRU`."""

    def __init__(self, dim_input: int, dim_recurrent: int, layer: Maker) -> None:
        super().__init__(dim_recurrent)
        self.fc_x2z = layer(dim_input, dim_recurrent)
        self.fc_h2z = layer(dim_recurrent, dim_recurrent, bias=False)
        self.fc_x2r = layer(dim_input, dim_recurrent)
        self.fc_h2r = layer(dim_recurrent, dim_recurrent, bias=False)
        self.fc_x2n = layer(dim_input, dim_recurrent)
        self.fc_h2n = layer(dim_recurrent, dim_recurrent, bias=False)

    def step(self, x_t: Any, state: State) -> State:
        """Return the next state, h (1, D); `x_t` is (1, C)."""
        (h,) = state
        z = sigmoid(self.fc_x2z(x_t) + self.fc_h2z(h))
        r = sigmoid(self.fc_x2r(x_t) + self.fc_h2r(h))
        n = tanh(self.fc_x2n(x_t) + self.fc_h2n(r * h))
        h = n + z * (h - n)
        return (h,)


class MGULayer(Layer):
    """A layer with the equations of `MGU`."""

    def __init__(self, dim_input: int, dim_recurrent: int, layer: Maker) -> None:
        super().__init__(dim_recurrent)
        self.fc_x2f = layer(dim_input, dim_recurrent)
        self.fc_h2f = layer(dim_recurrent, dim_recurrent, bias=False)
        self.fc_x2n = layer(dim_input, dim_recurrent)
        self.fc_h2n = layer(dim_recurrent, dim_recurrent, bias=False)

    def step(self, x_t: Any, state: State) -> State:
        """Return the next state, h (1, D); `x_t` is (1, C)."""
        (h,) = state
        f = sigmoid(self.fc_x2f(x_t) + self.fc_h2f(h))
        n = tanh(self.fc_x2n(x_t) + self.fc_h2n(f * h))
        h = h + f * (n - h)
        return (h,)


class LSTMLayer(Layer):
    """A layer with the equations of `LSTM`."""

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
        """Return the state before the first step: h and c, zeros (1, D)."""
        return self._zeros(), self._zeros()

    def step(self, x_t: Any, state: State) -> State:
        """Return the next state, h and c, (1, D); `x_t` is (1, C)."""
        h, c = state
        i = sigmoid(self.fc_x2i(x_t) + self.fc_h2i(h))
        f = sigmoid(self.fc_x2f(x_t) + self.fc_h2f(h))
        o = sigmoid(self.fc_x2o(x_t) + self.fc_h2o(h))
        g = tanh(self.fc_x2g(x_t) + self.fc_h2g(h))
        c = f * c + i * g
        h = o * tanh(c)
        return h, c


class StackRNNLayer(Layer):
    """A layer with the equations of `StackRNN`."""

    def __init__(
        self, dim_input: int, dim_recurrent: int, layer: Maker, stack_depth: int = 48, stack_width: int = 8
    ) -> None:
        super().__init__(dim_recurrent)
        self.stack_depth, self.stack_width = stack_depth, stack_width
        self.fc_x2h = layer(dim_input, dim_recurrent)
        self.fc_h2h = layer(dim_recurrent, dim_recurrent, bias=False)
        self.fc_s2h = layer(stack_width, dim_recurrent, bias=False)
        self.fc_h2a = layer(dim_recurrent, 3)
        self.fc_h2v = layer(dim_recurrent, stack_width)

    @property
    def stack_depth(self) -> int:
        """S; it can be changed, also after training: no weight depends on it."""
        depth: int = vars(self)["stack_depth"]
        return depth

    @stack_depth.setter
    def stack_depth(self, depth: int) -> None:
        vars(self)["stack_depth"] = _checks.integer("stack_depth", depth, minimum=2)

    def start(self) -> State:
        """Return the state before the first step: h, zeros (1, D), and the stack, zeros (S, W)."""
        return self._zeros(), np.zeros((self.stack_depth, self.stack_width), dtype=np.float32)

    def step(self, x_t: Any, state: State) -> State:
        """Return the next state, h (1, D) and the stack (S, W); `x_t` is (1, C)."""
        h, stack = state
        h = tanh(self.fc_x2h(x_t) + self.fc_h2h(h) + self.fc_s2h(stack[:1]))
        a = softmax(self.fc_h2a(h))
        v = sigmoid(self.fc_h2v(h))
        pushed = concatenate([v, stack[:-1]])
        popped = concatenate([stack[1:], np.zeros((1, self.stack_width), dtype=np.float32)])
        stack = a[:, :1] * pushed + a[:, 1:2] * popped + a[:, 2:] * stack
        return h, stack


class _OneLayer(Layer):
    """A layer that reads one sequence, and a dense layer that scores its last hidden state.

    The class of the layer follows it in the list of bases.
    """

    dim_input: int
    dim_output: int
    recurrent_init: str
    fc_h2y: dense

    # The arguments of the constructor besides the sizes and `rng`.
    _settings: tuple[str, ...] = ("recurrent_init",)

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
        self._make((dim_input, dim_recurrent, dim_output), recurrent_init, rng)

    def _make(
        self, sizes: tuple[int, int, int], recurrent_init: str, rng: np.random.Generator | int | None, **own: Any
    ) -> None:
        """Make the layer, with settings of its own, and the dense layer."""
        rng = None if rng is None else _checks.generator("rng", rng)
        layer = layer_maker(rng)
        dim_input, dim_recurrent, dim_output = sizes
        super().__init__(dim_input, dim_recurrent, layer, **own)  # type: ignore[call-arg]  # of the layer
        self.recurrent_init = recurrent_init
        self.dim_input, self.dim_output = dim_input, dim_output
        self.fc_h2y = layer(dim_recurrent, dim_output)
        begin_recurrent([self], recurrent_init, rng)

    def __repr__(self) -> str:
        """Return the call that makes such a model."""
        return _checks.call_of(self, "dim_input", "dim_recurrent", "dim_output", *self._settings)

    def __call__(self, x: Tensor | NDArray[Any]) -> Tensor:
        """Return the class scores of one sequence: `x` is (T, C), the logits are (1, K)."""
        check_sequence(x, self.dim_input)
        state = self.start()
        for x_t in x:
            state = self.step(x_t[np.newaxis], state)
        return self.fc_h2y(state[0])


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
        The initialization of W_hh: Glorot normal like the other weights; a random orthogonal matrix, which does not
        change the norm of a state; the identity, with which an untrained network passes its state on unchanged; or
        minus the identity, with which a unit with constant input switches on and off from step to step.
    rng : numpy.random.Generator, int or None
        Draws the weights (Glorot normal); None uses NumPy's global generator, like MyGrad's initializers.

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
    >>> import numpy as np
    >>> model = RNN(dim_input=10, dim_recurrent=50, dim_output=2)
    >>> model(np.zeros((4, 10), dtype=np.float32)).shape
    (1, 2)
    """

    _settings = ("activation", "recurrent_init")

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
        # The identity needs no random numbers.
        without = partial(dense, weight_initializer=constant, weight_kwargs={"dtype": np.float32})
        recurrent = without if "identity" in recurrent_init else None
        sizes = dim_input, dim_recurrent, dim_output
        self._make(sizes, recurrent_init, rng, activation=activation, recurrent=recurrent)


class GRU(_OneLayer, GRULayer):
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
    recurrent_init, rng
        As for `RNN`; the recurrent weights are ``"glorot"`` or ``"orthogonal"``.

    References
    ----------
    Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine translation", 2014.

    Examples
    --------
    >>> import numpy as np
    >>> GRU(dim_input=10, dim_recurrent=16, dim_output=2)(np.zeros((4, 10), dtype=np.float32)).shape
    (1, 2)
    """


class MGU(_OneLayer, MGULayer):
    """A minimal gated unit that scores a sequence by its last hidden state: a GRU with a single gate.

    With T steps, C inputs, D recurrent units and K classes::

        f_t = sigmoid(x_t W_xf + b_f + h_{t-1} W_hf)           the gate
        n_t = tanh(x_t W_xn + b_n + (f_t * h_{t-1}) W_hn)      the candidate
        h_t = h_{t-1} + f_t * (n_t - h_{t-1})                  h_{-1} = 0
        y   = h_{T-1} W_hy + b_y

    Parameters
    ----------
    dim_input, dim_recurrent, dim_output : int
        C, D and K.
    recurrent_init, rng
        As for `RNN`; the recurrent weights are ``"glorot"`` or ``"orthogonal"``.

    References
    ----------
    Zhou, Wu, Zhang and Zhou, "Minimal gated unit for recurrent neural networks", 2016.

    Examples
    --------
    >>> import numpy as np
    >>> MGU(dim_input=10, dim_recurrent=16, dim_output=2)(np.zeros((4, 10), dtype=np.float32)).shape
    (1, 2)
    """


class LSTM(_OneLayer, LSTMLayer):
    """A long short-term memory network that scores a sequence by its last hidden state.

    With T steps, C inputs, D recurrent units and K classes::

        i_t = sigmoid(x_t W_xi + b_i + h_{t-1} W_hi)           the input gate
        f_t = sigmoid(x_t W_xf + b_f + h_{t-1} W_hf)           the forget gate
        o_t = sigmoid(x_t W_xo + b_o + h_{t-1} W_ho)           the output gate
        g_t = tanh(x_t W_xg + b_g + h_{t-1} W_hg)              the candidate
        c_t = f_t * c_{t-1} + i_t * g_t                        c_{-1} = 0
        h_t = o_t * tanh(c_t)                                  h_{-1} = 0
        y   = h_{T-1} W_hy + b_y

    The bias of the forget gate begins at 1, so that an untrained network remembers.

    Parameters
    ----------
    dim_input, dim_recurrent, dim_output : int
        C, D and K.
    recurrent_init, rng
        As for `RNN`; the recurrent weights are ``"glorot"`` or ``"orthogonal"``.

    References
    ----------
    Hochreiter and Schmidhuber, "Long short-term memory", 1997; Gers, Schmidhuber and Cummins, "Learning to forget",
    2000; Jozefowicz, Zaremba and Sutskever, "An empirical exploration of recurrent network architectures", 2015
    (the forget gate's bias).

    Examples
    --------
    >>> import numpy as np
    >>> LSTM(dim_input=10, dim_recurrent=16, dim_output=2)(np.zeros((4, 10), dtype=np.float32)).shape
    (1, 2)
    """


class StackRNN(_OneLayer, StackRNNLayer):
    """A simple recurrent network with a stack, which scores a sequence by its last hidden state.

    At each step the network pushes a new value, pops the topmost one, or leaves the stack as it is. To be
    differentiable, it mixes all three, with shares that add up to 1. With T steps, C inputs, D recurrent units, K
    classes and a stack of S values of W numbers, the topmost value first::

        h_t = tanh(x_t W_xh + b_h + h_{t-1} W_hh + top(s_{t-1}) W_sh)         h_{-1} = 0
        a_t = softmax(h_t W_ha + b_a)                                         the shares of push, pop and keep
        v_t = sigmoid(h_t W_hv + b_v)                                         the new value
        s_t = a_t[0] push(s_{t-1}, v_t) + a_t[1] pop(s_{t-1}) + a_t[2] s_{t-1}       s_{-1} = 0
        y   = h_{T-1} W_hy + b_y

    No weight depends on S: a trained network can be given a deeper stack, for longer sequences, by setting
    ``stack_depth``.

    Parameters
    ----------
    dim_input, dim_recurrent, dim_output : int
        C, D and K.
    stack_depth, stack_width : int
        S and W. A push onto a full stack discards the lowest value; below the last value there are zeros.
    recurrent_init, rng
        As for `RNN`; W_hh is ``"glorot"`` or ``"orthogonal"``.

    References
    ----------
    Joulin and Mikolov, "Inferring algorithmic patterns with stack-augmented recurrent nets", 2015. Their hidden units
    are sigmoids.

    Examples
    --------
    >>> import numpy as np
    >>> StackRNN(dim_input=10, dim_recurrent=16, dim_output=2)(np.zeros((4, 10), dtype=np.float32)).shape
    (1, 2)
    """

    _settings = ("stack_depth", "stack_width", "recurrent_init")

    @keywords
    def __init__(
        self,
        dim_input: Size,
        dim_recurrent: Units,
        dim_output: Size,
        *,
        stack_depth: StackDepth = 48,
        stack_width: StackWidth = 8,
        recurrent_init: GatedInit = "glorot",
        rng: np.random.Generator | int | None = None,
    ) -> None:
        sizes = dim_input, dim_recurrent, dim_output
        self._make(sizes, recurrent_init, rng, stack_depth=stack_depth, stack_width=stack_width)


def begin_recurrent(layers: Iterable[Layer], how: str, rng: np.random.Generator | None) -> None:
    """Initialize the recurrent weights of layers, which are Glorot normal so far, as `RecurrentInit` says."""
    # An orthogonal matrix rotates a state and keeps its length: without input, the state of an RNN does not grow from
    # step to step. With other random matrices it may grow without bound on a long sequence.
    # Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    # networks", 2014.
    normal = np.random.normal if rng is None else rng.normal
    named = (item for layer in layers for item in vars(layer).items())
    for weight in (inner.weight for name, inner in named if name.startswith("fc_h2") and name not in READERS):
        if how == "orthogonal":
            # With these signs the orthogonal matrix is uniformly distributed.
            turned, sizes = np.linalg.qr(normal(size=weight.shape))
            weight.data[...] = turned * np.sign(np.diag(sizes))
        elif how != "glorot":
            same = np.eye(*weight.shape)
            weight.data[...] = same if how == "identity" else -same
