"""The simple recurrent network, three gated ones (GRU, MGU and LSTM), and one with a stack.

The equations of each are in the ``step`` method of its layer. The models here consist of one layer that reads the
sequence, and a dense layer that scores its last hidden state; `Stacked` has several layers.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta
from mygrad import concatenate, tanh
from mygrad.nnet.activations import relu, sigmoid, softmax

from myrnn import _checks
from myrnn._keywords import keywords
from myrnn.models.dense import Maker
from myrnn.models.layer import GatedInit, GatedOneLayer, Layer, OneLayer, RecurrentInit, Size, State, Units

Activation = Annotated[Literal["relu", "tanh"], Meta(description="The nonlinearity: relu or tanh.")]

StackDepth = Annotated[
    int, Meta(ge=2, le=10_000, description="The depth of the stack; values pushed below it are lost.")
]
StackWidth = Annotated[int, Meta(ge=1, le=1_000, description="The size of a value on the stack.")]

ACTIVATIONS = {"relu": relu, "tanh": tanh}


class RNNLayer(Layer):
    """A layer with the equations of `RNN`."""

    def __init__(self, dim_input: int, dim_recurrent: int, make: Maker, activation: str) -> None:
        super().__init__(dim_recurrent)
        self.activation = activation
        self.fc_x2h = make.dense(dim_input, dim_recurrent)
        self.fc_h2h = make.recurrent(dim_recurrent)

    def step(self, x_t: Any, state: State) -> State:
        """Return the next state, h (1, D); `x_t` is (1, C)."""
        (h,) = state
        h = ACTIVATIONS[self.activation](self.fc_x2h(x_t) + self.fc_h2h(h))
        return (h,)


class GRULayer(Layer):
    """A layer with the equations of `GRU`."""

    def __init__(self, dim_input: int, dim_recurrent: int, make: Maker) -> None:
        super().__init__(dim_recurrent)
        self.fc_x2z = make.dense(dim_input, dim_recurrent)
        self.fc_h2z = make.recurrent(dim_recurrent)
        self.fc_x2r = make.dense(dim_input, dim_recurrent)
        self.fc_h2r = make.recurrent(dim_recurrent)
        self.fc_x2n = make.dense(dim_input, dim_recurrent)
        self.fc_h2n = make.recurrent(dim_recurrent)

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

    def __init__(self, dim_input: int, dim_recurrent: int, make: Maker) -> None:
        super().__init__(dim_recurrent)
        self.fc_x2f = make.dense(dim_input, dim_recurrent)
        self.fc_h2f = make.recurrent(dim_recurrent)
        self.fc_x2n = make.dense(dim_input, dim_recurrent)
        self.fc_h2n = make.recurrent(dim_recurrent)

    def step(self, x_t: Any, state: State) -> State:
        """Return the next state, h (1, D); `x_t` is (1, C)."""
        (h,) = state
        f = sigmoid(self.fc_x2f(x_t) + self.fc_h2f(h))
        n = tanh(self.fc_x2n(x_t) + self.fc_h2n(f * h))
        h = h + f * (n - h)
        return (h,)


class LSTMLayer(Layer):
    """A layer with the equations of `LSTM`."""

    def __init__(self, dim_input: int, dim_recurrent: int, make: Maker) -> None:
        super().__init__(dim_recurrent)
        self.fc_x2i = make.dense(dim_input, dim_recurrent)
        self.fc_h2i = make.recurrent(dim_recurrent)
        self.fc_x2f = make.dense(dim_input, dim_recurrent, bias_kwargs={"value": 1.0})
        self.fc_h2f = make.recurrent(dim_recurrent)
        self.fc_x2o = make.dense(dim_input, dim_recurrent)
        self.fc_h2o = make.recurrent(dim_recurrent)
        self.fc_x2g = make.dense(dim_input, dim_recurrent)
        self.fc_h2g = make.recurrent(dim_recurrent)

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

    def __init__(self, dim_input: int, dim_recurrent: int, make: Maker, stack_depth: int, stack_width: int) -> None:
        super().__init__(dim_recurrent)
        self.stack_depth, self.stack_width = stack_depth, stack_width
        self.fc_x2h = make.dense(dim_input, dim_recurrent)
        self.fc_h2h = make.recurrent(dim_recurrent)
        self.fc_s2h = make.dense(stack_width, dim_recurrent, bias=False)
        self.fc_h2a = make.dense(dim_recurrent, 3)
        self.fc_h2v = make.dense(dim_recurrent, stack_width)

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


class RNN(OneLayer, RNNLayer):
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
        sizes = dim_input, dim_recurrent, dim_output
        self._make(sizes, rng, recurrent_init=recurrent_init, activation=activation)


class GRU(GatedOneLayer, GRULayer):
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


class MGU(GatedOneLayer, MGULayer):
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


class LSTM(GatedOneLayer, LSTMLayer):
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


class StackRNN(OneLayer, StackRNNLayer):
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
        self._make(sizes, rng, recurrent_init=recurrent_init, stack_depth=stack_depth, stack_width=stack_width)
