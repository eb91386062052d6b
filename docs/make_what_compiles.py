"""Fill the tables of ways to write a model into ``what-compiles.md``: ``python docs/make_what_compiles.py``.

Every row is a small model, a function of the sequence and of its weights. The page shows its lines that end in
``# <-``, and the result of compiling it, or the error. The text between ``<!-- name -->`` and ``<!-- end -->`` is
generated; everything else is written by hand.
"""

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from itertools import pairwise
from pathlib import Path
from typing import Any

import mygrad as mg
import numpy as np
from mygrad import concatenate, exp, stack, tanh
from mygrad.nnet.activations import relu, sigmoid, softmax
from mygrad.nnet.layers import batchnorm, conv_nd, gru

from myrnn import compile, dropout, noise
from myrnn.compiler import CompiledModel
from myrnn.errors import CompileError

DOCUMENT = Path(__file__).parent / "explanation" / "what-compiles.md"
# Inputs, units and classes of every model here.
C, D, K = 4, 6, 3
# Each model is traced for at most this many steps, enough to reject every model that does not compile.
LENGTH = 16
# The name of a weight determines its shape.
SHAPES = {
    "w": (C, D), "w2": (C, D), "w3": (3 * C, D), "wt": (C + 1, D), "wm": (2 * C, D), "wg": (C, 4 * D),
    "u": (D, D), "u2": (D, D), "ug": (D, 4 * D), "v": (D, K), "v2": (2 * D, K), "vc": (C, K),
    "a": (D,), "ac": (C,), "b": (D,), "h0": (D,), "q": (D, 1), "e": (K, D),
    "start": (C, D), "first": (1, C), "P": (100, C), "kernel": (D, C, 2),
    "wz": (C, D), "wr": (C, D), "wn": (C, D), "uz": (D, D), "ur": (D, D), "un": (D, D),
    "bz": (D,), "br": (D,), "bn": (D,),
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A way to write a model; `instead` says what to write if it is rejected."""

    model: Callable[..., Any]
    instead: str

    @property
    def head(self) -> str:
        """The description and the code of the row."""
        lines = inspect.getsource(self.model).splitlines()
        shown = [re.sub(r"  # .*", "", line).strip() for line in lines if line.endswith("# <-")]
        return f"| {(self.model.__doc__ or '').rstrip('.')} | {'<br>'.join(f'`{line}`' for line in shown)} |"


ROWS: dict[str, list[Row]] = {}


def row(group: str, instead: str = "") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Put a model into the table of a group."""

    def add(model: Callable[..., Any]) -> Callable[..., Any]:
        ROWS.setdefault(group, []).append(Row(model, instead))
        return model

    return add


class Model:
    """A model made from a function of a sequence and of weights."""

    def __init__(self, function: Callable[..., Any]) -> None:
        rng, self.function = np.random.default_rng(0), function
        self.names = list(inspect.signature(function).parameters)[1:]
        self.dim_input = C
        for name in self.names:
            numbers = 0.5 * rng.normal(size=SHAPES[name])
            setattr(self, name, mg.tensor(numbers.astype(np.float32)))

    @property
    def parameters(self) -> tuple[Any, ...]:
        """All weights of the function."""
        return tuple(getattr(self, name) for name in self.names)

    def __call__(self, x: Any) -> Any:
        """Return the logits of one sequence (T, C)."""
        logits = self.function(x, *self.parameters)
        return logits if logits.ndim == 2 else logits[None]


def zeros(*shape: int) -> Any:
    """Return an initial state."""
    return np.zeros(shape, dtype=np.float32)


# Ways of writing the loop ---------------------------------------------------------------------------------------------


@row("loop")
def over_rows(x, w, u, v):
    """A loop over the rows."""
    h = zeros(D)
    for x_t in x:  # <-
        h = tanh(x_t @ w + h @ u)  # <-
    return h @ v


@row("loop")
def over_indices(x, w, u, v):
    """A loop over indices."""
    h = zeros(D)
    for t in range(len(x)):  # <-
        h = tanh(x[t] @ w + h @ u)  # <-
    return h @ v


@row("loop")
def over_slices(x, w, u, v):
    """Rows as slices of shape (1, C)."""
    h = zeros(1, D)
    for t in range(len(x)):
        h = tanh(x[t : t + 1] @ w + h @ u)  # <-
    return h @ v


@row("loop")
def while_loop(x, w, u, v):
    """`while`."""
    h, t = zeros(D), 0
    while t < len(x):  # <-
        h, t = tanh(x[t] @ w + h @ u), t + 1  # <-
    return h @ v


@row("loop")
def products_before(x, w, u, v):
    """Input products computed before the loop."""
    h = zeros(D)
    for z in x @ w:  # <-
        h = tanh(z + h @ u)
    return h @ v


@row("loop")
def list_of_states(x, w, u, v):
    """All states in a list."""
    states = [zeros(D)]
    for x_t in x:
        states.append(tanh(x_t @ w + states[-1] @ u))  # <-
    return states[-1] @ v


@row("loop")
def recursion(x, w, u, v):
    """A recursive function."""

    def state(rows):
        return tanh(rows[-1] @ w + state(rows[:-1]) @ u) if len(rows) else zeros(D)  # <-

    return state(x) @ v


@row("loop")
def folded(x, w, u, v):
    """`functools.reduce`."""
    return reduce(lambda h, x_t: tanh(x_t @ w + h @ u), x, zeros(D)) @ v  # <-


@row("loop")
def evaluated(x, w, u, v):
    """A step written as text."""
    h = zeros(D)
    for x_t in x:
        h = eval("tanh(z)", {"tanh": tanh, "z": x_t @ w + h @ u})  # <-
    return h @ v


@row("loop")
def backwards(x, w, u, v):
    """From the last row to the first."""
    h = zeros(D)
    for x_t in x[::-1]:  # <-
        h = tanh(x_t @ w + h @ u)
    return h @ v


# States ---------------------------------------------------------------------------------------------------------------


@row("states")
def two_states(x, wg, ug, v):
    """Two states, with gates sliced from one product."""
    h = c = zeros(D)
    for x_t in x:
        z = x_t @ wg + h @ ug
        c = sigmoid(z[:D]) * c + sigmoid(z[D : 2 * D]) * tanh(z[2 * D : 3 * D])  # <-
        h = sigmoid(z[3 * D :]) * tanh(c)  # <-
    return h @ v


@row("states")
def learned_start(x, w, u, h0, v):
    """A learned initial state."""
    h = h0  # <-
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
    return h @ v


@row("states")
def in_place(x, w, u, v):
    """A state updated in place."""
    h, total = zeros(D), mg.zeros(D, dtype=np.float32)
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
        total += h  # <-
    return total @ v


@row("states")
def buffer(x, w, u, v):
    """A buffer with one row per state."""
    H = mg.zeros((len(x) + 1, D), dtype=np.float32)
    for t in range(len(x)):
        H[t + 1] = tanh(x[t] @ w + H[t] @ u)  # <-
    return H[-1] @ v


@row("states")
def view(x, w, u, v):
    """A view of part of the state."""
    h = mg.zeros(D, dtype=np.float32)
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
        half = h[: D // 2]  # <-
        half *= 0.5  # <-
    return h @ v


@row("states")
def two_states_ago(x, w, u, u2, v):
    """The last two states."""
    states = [zeros(D), zeros(D)]
    for x_t in x:
        states.append(tanh(x_t @ w + states[-1] @ u + states[-2] @ u2))  # <-
    return states[-1] @ v


@row("states")
def stack_of_slots(x, w, u, v):
    """A soft shift of a list of three states."""
    h, slots = zeros(D), [zeros(D)] * 3
    for x_t in x:
        h = tanh(x_t @ w + slots[-1] @ u)
        p = sigmoid(h[:1])
        slots = [p * a + (1 - p) * b for a, b in zip([h, *slots[:-1]], slots, strict=True)]  # <-
    return h @ v


@row("states", "a fixed number of slots, as above")
def attention_to_the_past(x, w, u, v):
    """Attention to all earlier states at every step."""
    states = [zeros(D)]
    for x_t in x:
        past = stack(states)  # <-
        look = softmax(past @ states[-1]) @ past  # <-
        states.append(tanh(x_t @ w + look @ u))
    return states[-1] @ v


@row("states")
def every_second_state(x, w, u, v):
    """Only the state before the last."""
    states = [zeros(D), zeros(D)]
    for x_t in x:
        states.append(tanh(x_t @ w + states[-2] @ u))  # <-
    return states[-1] @ v


# Several loops --------------------------------------------------------------------------------------------------------


@row("loops")
def bidirectional(x, w, u, w2, u2, v2):
    """Both directions, concatenated at the end."""
    f = b = zeros(D)
    for t in range(len(x)):
        f = tanh(x[t] @ w + f @ u)  # <-
        b = tanh(x[-1 - t] @ w2 + b @ u2)  # <-
    return concatenate([f, b]) @ v2


@row("loops")
def layers(x, w, u, u2, v):
    """A second layer."""
    f, h, first = zeros(D), zeros(D), []
    for x_t in x:
        f = tanh(x_t @ w + f @ u)
        first.append(f)
    for f_t in first:  # <-
        h = tanh(f_t + h @ u2)  # <-
    return h @ v


@row("loops")
def layer_over_both(x, w, u, w2, u2, v):
    """A layer on top of both directions."""
    f, b, h, forward, backward = zeros(D), zeros(D), zeros(D), [], []
    for x_t in x:
        f = tanh(x_t @ w + f @ u)
        forward.append(f)
    for x_t in x[::-1]:
        b = tanh(x_t @ w2 + b @ u)
        backward.append(b)
    for f_t, b_t in zip(forward, backward[::-1], strict=True):  # <-
        h = tanh(f_t + b_t + h @ u2)
    return h @ v


@row("loops")
def second_pass(x, w, u, v):
    """A second pass that continues with the state."""
    h = zeros(D)
    for _ in range(2):  # <-
        for x_t in x:  # <-
            h = tanh(x_t @ w + h @ u)
    return h @ v


@row("loops")
def mean_pooling(x, w, u, v):
    """The mean of all states."""
    h, states = zeros(D), []
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
        states.append(h)
    return mg.mean(stack(states), axis=0) @ v  # <-


@row("loops")
def max_pooling(x, w, u, v):
    """The maximum of every unit."""
    h, states = zeros(D), []
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
        states.append(h)
    return mg.max(stack(states), axis=0) @ v  # <-


@row("loops")
def softmax_pooling(x, w, u, q, v):
    """Attention with a learned query."""
    h, states = zeros(D), []
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
        states.append(h)
    H = stack(states)
    return mg.sum(softmax(H @ q, axis=0) * H, axis=0) @ v  # <-


@row("loops")
def last_state_asks(x, w, u, v):
    """Attention with the last state as the query."""
    h, states = zeros(D), []
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
        states.append(h)
    H = stack(states)
    return softmax(H @ h) @ H @ v  # <-


@row("loops")
def last_row_asks(x, w, u, v):
    """The same, with the last row sliced from all states."""
    h, states = zeros(D), []
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
        states.append(h)
    H = stack(states)
    return softmax(H[-1:] @ H.T) @ H @ v  # <-


@row("loops")
def spread(x, w, u, v):
    """The variance of all states."""
    h, states = zeros(D), []
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
        states.append(h)
    return mg.var(stack(states), axis=0) @ v  # <-


@row("loops")
def spread_as_sums(x, w, u, v):
    """The same from two means."""
    h, states = zeros(D), []
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
        states.append(h)
    H = stack(states)
    return (mg.mean(H**2, axis=0) - mg.mean(H, axis=0) ** 2) @ v  # <-


@row("loops", "one query, as above")
def self_attention(x, w, u, v):
    """Self-attention."""
    h, states = zeros(D), []
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
        states.append(h)
    H = stack(states)
    return mg.mean(softmax(H @ H.T) @ H, axis=0) @ v  # <-


@row("loops")
def pairs_of_states(x, w, u, u2, v):
    """A layer over every second state."""
    h, s, states = zeros(D), zeros(D), []
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
        states.append(h)
    for h_t in states[::2]:  # <-
        s = tanh(h_t + s @ u2)
    return s @ v


@row("loops")
def pairs_by_a_mask(x, w, u, u2, v):
    """The same in one loop, with `mg.where`."""
    h = s = zeros(D)
    for t, x_t in enumerate(x):
        h = tanh(x_t @ w + h @ u)
        s = mg.where(t % 2 == 0, tanh(h + s @ u2), s)  # <-
    return s @ v


@row("loops")
def sum_first(x, w, u, start, v):
    """The sum over all rows as the initial state."""
    h = mg.sum(x @ start, axis=0)  # <-
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
    return h @ v


@row("loops")
def mean_first(x, w, u, start, v):
    """The mean over all rows as the initial state."""
    h = mg.mean(x @ start, axis=0)  # <-
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
    return h @ v


# Outputs --------------------------------------------------------------------------------------------------------------


@row("outputs")
def last_state(x, w, u, v):
    """Logits of the last state."""
    h = zeros(D)
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
    return h @ v  # <-


@row("outputs")
def every_step(x, w, u, v):
    """Logits of every step, (T, K)."""
    h, logits = zeros(D), []
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
        logits.append(h @ v)
    return stack(logits)  # <-


@row("outputs")
def both_at_every_step(x, w, u, w2, u2, v):
    """Logits of every step from both directions."""
    f, b, forward, backward = zeros(D), zeros(D), [], []
    for x_t in x:
        f = tanh(x_t @ w + f @ u)
        forward.append(f)
    for x_t in x[::-1]:
        b = tanh(x_t @ w2 + b @ u2)
        backward.append(b)
    return (stack(forward) + stack(backward[::-1])) @ v  # <-


@row("outputs")
def teacher_forcing(x, w, u, w2, u2, v):
    """An encoder, and a decoder that reads the previous symbols."""
    h, logits = zeros(D), []
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
    shifted = concatenate([np.zeros((1, C), np.float32), x[:-1]])  # <-
    for x_t in shifted:  # <-
        h = tanh(x_t @ w2 + h @ u2)
        logits.append(h @ v)
    return stack(logits)


@row("outputs")
def neighbours_of_states(x, w, u, v):
    """Logits from the states before, at and after a step."""
    h, states = zeros(D), []
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
        states.append(h)
    H = stack([zeros(D), *states, zeros(D)])  # <-
    return (H[:-2] + 2 * H[1:-1] + H[2:]) @ v  # <-


@row("outputs")
def fed_back(x, w, u, e, v):
    """The output is fed back as an input."""
    h, p = zeros(D), zeros(K)
    for x_t in x:
        h = tanh(x_t @ w + h @ u + p @ e)  # <-
        p = softmax(h @ v)  # <-
    return h @ v


@row("outputs")
def mean_of_logits(x, w, u, v):
    """The mean of the logits of all steps."""
    h, total = zeros(D), 0
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
        total = total + h @ v
    return total / len(x)  # <-


@row("outputs")
def last_three(x, w, u, v):
    """The mean of the last three states."""
    h, states = zeros(D), []  # <-
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
        states.append(h)
    return mg.mean(stack(states[-3:]), axis=0) @ v  # <-


@row("outputs")
def last_three_and_zeros(x, w, u, v):
    """The same, with zeros before the first."""
    h, states = zeros(D), [zeros(D)] * 3  # <-
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
        states.append(h)
    return mg.mean(stack(states[-3:]), axis=0) @ v  # <-


@row("outputs", "the mean of all states, or attention with a learned query")
def middle_state(x, w, u, v):
    """The state in the middle."""
    h, states = zeros(D), []
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
        states.append(h)
    return states[len(states) // 2] @ v  # <-


# Time -----------------------------------------------------------------------------------------------------------------


@row("time")
def time_as_an_input(x, wt, u, v):
    """The step number as an input."""
    h = zeros(D)
    for t, x_t in enumerate(x):
        h = tanh(concatenate([x_t, np.array([t], dtype=np.float32)]) @ wt + h @ u)  # <-
    return h @ v


@row("time")
def time_from_one(x, w, u, b, v):
    """A learned slope over the steps, counted from 1."""
    h = zeros(D)
    for t, x_t in enumerate(x, 1):  # <-
        h = tanh(x_t @ w + h @ u + 0.1 * t * b)  # <-
    return h @ v


@row("time")
def time_from_zero(x, w, u, b, v):
    """The same, counted from 0."""
    h = zeros(D)
    for t, x_t in enumerate(x):  # <-
        h = tanh(x_t @ w + h @ u + 0.1 * t * b)  # <-
    return h @ v


@row("time")
def sinusoids(x, w, u, v):
    """Sinusoidal positions added to the sequence."""
    h = zeros(D)
    positions = np.sin(np.arange(len(x))[:, None] / 10 ** np.arange(C)).astype(np.float32)  # <-
    for x_t in x + positions:  # <-
        h = tanh(x_t @ w + h @ u)
    return h @ v


@row("time")
def masks(x, w, u, v):
    """A mask that depends on the step: some units rest."""
    h = zeros(D)
    for t, x_t in enumerate(x):
        on = (t % np.array([1, 1, 2, 2, 3, 3]) == 0).astype(np.float32)  # <-
        h = on * tanh(x_t @ w + h @ u) + (1 - on) * h  # <-
    return h @ v


@row("time")
def if_by_the_time(x, w, u, v):
    """`if` on the step number."""
    h = zeros(D)
    for t, x_t in enumerate(x):
        if t % 2 == 0:  # <-
            h = tanh(x_t @ w + h @ u)  # <-
    return h @ v


@row("time")
def where_by_the_time(x, w, u, v):
    """The same with `mg.where`."""
    h = zeros(D)
    for t, x_t in enumerate(x):
        h = mg.where(t % 2 == 0, tanh(x_t @ w + h @ u), h)  # <-
    return h @ v


@row("time")
def slices_in_turn(x, w, u, v):
    """Groups of units with clocks of their own, in slices of one state."""
    h = zeros(D)
    for t, x_t in enumerate(x):
        n = D if t % 4 == 0 else D - 2 if t % 2 == 0 else D - 4  # <-
        h = concatenate([tanh(x_t @ w[:, :n] + h @ u[:, :n]), h[n:]])  # <-
    return h @ v


@row("time", "a factor or `mg.where`, as below")
def anew(x, w, u, v):
    """A state that begins anew at every fifth step."""
    h = zeros(D)
    for t, x_t in enumerate(x):
        h = zeros(D) if t % 5 == 0 else h  # <-
        h = tanh(x_t @ w + h @ u)
    return h @ v


@row("time")
def anew_by_a_factor(x, w, u, v):
    """The same by a factor."""
    h = zeros(D)
    for t, x_t in enumerate(x):
        h = tanh(x_t @ w + (float(t % 5 != 0) * h) @ u)  # <-
    return h @ v


@row("time")
def anew_by_where(x, w, u, h0, v):
    """From a learned state, with `mg.where`."""
    h = h0
    for t, x_t in enumerate(x):
        h = tanh(x_t @ w + mg.where(t % 5 == 0, h0, h) @ u)  # <-
    return h @ v


@row("time")
def every_third_row(x, w, u, v):
    """Every third row."""
    h = zeros(D)
    for x_t in x[::3]:  # <-
        h = tanh(x_t @ w + h @ u)
    return h @ v


@row("time")
def two_rows(x, w, w2, u, v):
    """Two rows in a step."""
    h = mg.zeros(D, dtype=np.float32)
    for t in range(0, len(x) - 1, 2):  # <-
        h = tanh(x[t] @ w + x[t + 1] @ w2 + h @ u)  # <-
    return h @ v


@row("time", "the index, as above; or two rows as one row of the data")
def two_rows_by_reshape(x, w, w2, u, v):
    """The same with a reshape."""
    h = mg.zeros(D, dtype=np.float32)
    for one, two in x[: len(x) // 2 * 2].reshape(-1, 2, C):  # <-
        h = tanh(one @ w + two @ w2 + h @ u)
    return h @ v


@row("time")
def weights_in_turn(x, w, u, u2, v):
    """Two alternating weights."""
    h = zeros(D)
    for t, x_t in enumerate(x):
        h = tanh(x_t @ w + h @ (u2 if t % 2 == 0 else u))  # <-
    return h @ v


@row("time")
def weights_by_where(x, w, u, u2, v):
    """The same with `mg.where`."""
    h = zeros(D)
    for t, x_t in enumerate(x):
        h = tanh(x_t @ w + mg.where(t % 2 == 0, h @ u2, h @ u))  # <-
    return h @ v


@row("time")
def learned_positions(x, P, w, u, v):
    """A learned row for every position."""
    h = zeros(D)
    for t, x_t in enumerate(x):
        h = tanh((x_t + P[t]) @ w + h @ u)  # <-
    return h @ v


@row("time")
def positions_from_the_end(x, P, w, u, v):
    """The same, counted from the end."""
    h = zeros(D)
    for x_t in x + P[len(P) - len(x) :]:  # <-
        h = tanh(x_t @ w + h @ u)
    return h @ v


@row("time")
def fixed_decay(x, w, v):
    """A weight that decays over the steps."""
    total = zeros(D)
    for t, x_t in enumerate(x):
        total = total + 0.9**t * tanh(x_t @ w)  # <-
    return total @ v


@row("time")
def learned_rate(x, w, a, v):
    """The same with a learned rate."""
    total = zeros(D)
    for t, x_t in enumerate(x):
        total = total + exp(-t * a) * tanh(x_t @ w)  # <-
    return total @ v


@row("time")
def learned_decay(x, w, a, v):
    """A learned decay, as a leaky sum."""
    total = zeros(D)
    for x_t in x:
        total = sigmoid(a) * total + tanh(x_t @ w)  # <-
    return total @ v


@row("time")
def learned_power(x, w, a, v):
    """A learned number to the power of the step."""
    total = zeros(D)
    for t, x_t in enumerate(x):
        total = total + sigmoid(a) ** t * tanh(x_t @ w)  # <-
    return total @ v


@row("time")
def share(x, w, u, b, v):
    """The share of the sequence so far."""
    h = zeros(D)
    for t, x_t in enumerate(x):
        h = tanh(x_t @ w + h @ u + t / len(x) * b)  # <-
    return h @ v


@row("time")
def share_left(x, w, u, v):
    """The share that is left."""
    h = zeros(D)
    for t, x_t in enumerate(x):
        h = tanh((1 - t / len(x)) * (x_t @ w) + h @ u)  # <-
    return h @ v


@row("time")
def divided_by_the_length(x, w, u, v):
    """The sequence length within a step."""
    total = zeros(D)
    for x_t in x:
        total = total + tanh(x_t @ w) / len(x)  # <-
    return total @ v


@row("time", "`t / len(x)`, which the model may learn to use; or the sine as a column of the data")
def sine_of_the_share(x, w, u, b, v):
    """Another function of the length."""
    h = zeros(D)
    for t, x_t in enumerate(x):
        h = tanh(x_t @ w + h @ u + np.sin(np.pi * t / len(x)) * b)  # <-
    return h @ v


@row("time")
def centred(x, w, u, v):
    """The mean of the whole sequence within a step."""
    h = zeros(D)
    for x_t in x - mg.mean(x, axis=0):  # <-
        h = tanh(x_t @ w + h @ u)
    return h @ v


@row("time")
def running_mean(x, wm, u, v):
    """The mean so far."""
    h, mean = zeros(D), zeros(C)
    for t, x_t in enumerate(x):
        mean = mean + (x_t - mean) / np.float32(t + 1)  # <-
        h = tanh(concatenate([x_t, mean]) @ wm + h @ u)
    return h @ v


# First steps ----------------------------------------------------------------------------------------------------------


@row("first")
def none_at_first(x, w, u, v):
    """No state before the first step."""
    h = None
    for x_t in x:
        h = tanh(x_t @ w if h is None else x_t @ w + h @ u)  # <-
    return h @ v


@row("first")
def first_row_is_the_state(x, ac, vc):
    """The first row is the state."""
    h, c = x[0], sigmoid(ac)  # <-
    for x_t in x[1:]:  # <-
        h = c * h + (1 - c) * x_t
    return h @ vc


@row("first")
def first_row_makes_the_state(x, w, u, start, v):
    """A separate layer for the first row."""
    h = relu(x[0] @ start)  # <-
    for x_t in x[1:]:  # <-
        h = tanh(x_t @ w + h @ u)
    return h @ v


@row("first")
def pairs(x, w, u, v):
    """Pairs of neighbouring rows."""
    h = zeros(D)  # <-
    for before, after in pairwise(x):  # <-
        h = tanh((after - before) @ w + h @ u)
    return h @ v


@row("first")
def pairs_from_a_learned_state(x, w, u, h0, v):
    """The same with a learned initial state."""
    h = h0  # <-
    for before, after in pairwise(x):
        h = tanh((after - before) @ w + h @ u)
    return h @ v


@row("first")
def delayed(x, w3, u, v):
    """Windows that end at each row, padded with zeros."""
    h = zeros(D)
    padded = concatenate([zeros(2, C), x])  # <-
    for t in range(len(x)):
        h = tanh(padded[t : t + 3].reshape(-1) @ w3 + h @ u)  # <-
    return h @ v


@row("first")
def windows(x, w3, u, v):
    """Windows without padding, so fewer steps than rows."""
    h = zeros(D)
    for t in range(len(x) - 2):  # <-
        h = tanh(x[t : t + 3].reshape(-1) @ w3 + h @ u)  # <-
    return h @ v


@row("first")
def centred_windows(x, w3, u, v):
    """Windows centred on each row."""
    h = zeros(D)
    padded = concatenate([zeros(1, C), x, zeros(1, C)])  # <-
    for t in range(len(x)):
        h = tanh(padded[t : t + 3].reshape(-1) @ w3 + h @ u)  # <-
    return h @ v


@row("first")
def dilated(x, w, u, v):
    """Only the state of four steps ago."""
    states = [zeros(D)] * 4
    for x_t in x:
        states.append(tanh(x_t @ w + states[-4] @ u))  # <-
    return states[-1] @ v


@row("first")
def last_and_dilated(x, w, u, u2, v):
    """The last state and that of four steps ago."""
    states = [zeros(D)] * 4
    for x_t in x:
        states.append(tanh(x_t @ w + states[-1] @ u + states[-4] @ u2))  # <-
    return states[-1] @ v


@row("first")
def relative_to_the_first(x, w, u, v):
    """Rows minus the first one."""
    h = zeros(D)
    for x_t in x - x[0]:  # <-
        h = tanh(x_t @ w + h @ u)
    return h @ v


@row("first")
def burn_in(x, w, u, u2, v):
    """A state that starts at a later step."""
    h = s = zeros(D)
    for t, x_t in enumerate(x):
        h = tanh(x_t @ w + h @ u)
        s = tanh(h + s @ u2) if t >= 3 else s  # <-
    return s @ v


@row("first")
def start_token(x, first, w, u, v):
    """A learned row before the first."""
    h = zeros(D)
    for x_t in concatenate([first, x]):  # <-
        h = tanh(x_t @ w + h @ u)
    return h @ v


# Choices --------------------------------------------------------------------------------------------------------------


@row("choices")
def where_on_a_state(x, w, u, v):
    """A condition on the state, unit by unit."""
    h = zeros(D)
    for x_t in x:
        z = x_t @ w + h @ u
        h = mg.where(z > 0, tanh(z), 0.1 * z)  # <-
    return h @ v


@row("choices")
def where_on_the_input(x, w, u, v):
    """A condition on the input: some rows are skipped."""
    h = zeros(D)
    for x_t in x:
        h = mg.where(x_t[0] > 0, tanh(x_t @ w + h @ u), h)  # <-
    return h @ v


@row("choices")
def mask_of_the_input(x, w, u, v):
    """A column of the input as a mask."""
    h = zeros(D)
    for x_t in x:
        h = x_t[0] * tanh(x_t @ w + h @ u) + (1 - x_t[0]) * h  # <-
    return h @ v


@row("choices")
def mask_of_weights(x, w, u, v):
    """A mask of weights, computed once."""
    h, mask = zeros(D), np.tril(np.ones((D, D), dtype=np.float32))
    for x_t in x:
        h = tanh(x_t @ w + h @ (u * mask))  # <-
    return h @ v


@row("choices", "`mg.where`, as above")
def if_on_the_input(x, w, u, v):
    """`if` on an input value."""
    h = zeros(D)
    for x_t in x:
        if x_t[0] > 0:  # <-
            h = tanh(x_t @ w + h @ u)
    return h @ v


@row("choices", "`mg.where`, as above")
def if_on_a_state(x, w, u, v):
    """`if` on a state value."""
    h = zeros(D)
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
        if mg.sum(h) > 0:  # <-
            h = -h
    return h @ v


@row("choices", "a softmax, as below")
def index_by_a_state(x, w, u, e, v):
    """A row selected by the state."""
    h = zeros(D)
    for x_t in x:
        h = tanh(x_t @ w + h @ u + e[np.argmax((h @ v).data)])  # <-
    return h @ v


@row("choices")
def softly(x, w, u, e, v):
    """The same with a softmax."""
    h = zeros(D)
    for x_t in x:
        h = tanh(x_t @ w + h @ u + softmax(h @ v) @ e)  # <-
    return h @ v


# Functions and layers -------------------------------------------------------------------------------------------------


@row("layers")
def mygrads_gru(x, wz, uz, bz, wr, ur, br, wn, un, bn, v):
    """MyGrad's GRU over the sequence."""
    states = gru(x[:, None], wz, uz, bz, wr, ur, br, wn, un, bn)  # <-
    return states[-1] @ v


@row("layers")
def convolution_first(x, kernel, u, v):
    """MyGrad's convolution before the loop."""
    h = zeros(D)
    rows = conv_nd(x.T[None], kernel, stride=1, padding=1)[0, :, : len(x)].T  # <-
    for z in rows:
        h = tanh(z + h @ u)
    return h @ v


@row("layers")
def einsum(x, w, u, v):
    """Products as `einsum`."""
    h = zeros(D)
    for x_t in x:
        h = tanh(mg.einsum("c,cd->d", x_t, w) + mg.einsum("d,de->e", h, u))  # <-
    return h @ v


@row("layers")
def layer_norm(x, w, u, v):
    """Layer normalization."""
    h = zeros(D)
    for x_t in x:
        z = x_t @ w + h @ u
        h = tanh((z - mg.mean(z)) / mg.sqrt(mg.var(z) + 1e-5))  # <-
    return h @ v


@row("layers", "layer normalization, as above")
def batch_norm(x, w, u, v):
    """Batch normalization."""
    h = zeros(1, D)
    for x_t in x:
        h = tanh(batchnorm(x_t[None] @ w + h @ u, eps=1e-5))  # <-
    return h @ v


@row("layers")
def stopped(x, w, u, v):
    """A stopped gradient."""
    h = mg.zeros(D, dtype=np.float32)
    for x_t in x:
        h = tanh(x_t @ w + h.data @ u)  # <-
    return h @ v


@row("layers")
def stopped_sometimes(x, w, u, v):
    """A gradient that stops at every third step."""
    h = mg.zeros(D, dtype=np.float32)
    for t, x_t in enumerate(x):
        h = mg.tensor(h.data) if t % 3 == 0 else h  # <-
        h = tanh(x_t @ w + h @ u)
    return h @ v


@row("layers")
def straight_through(x, w, u, v):
    """A rounded state with the gradient of one that is not rounded."""
    h = zeros(D)
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
        h = h + (np.round(h.data, 1) - h.data)  # <-
    return h @ v


@row("layers", "`mg.sum(h).data`, an array")
def python_number(x, w, u, v):
    """A Python number made of a state."""
    h = zeros(D)
    for x_t in x:
        h = tanh(x_t @ w + h @ u - float(mg.sum(h)))  # <-
    return h @ v


# Randomness -----------------------------------------------------------------------------------------------------------


@row("random")
def dropout_of_states(x, w, u, v):
    """Dropout."""
    h = zeros(1, D)
    for x_t in x:
        h = dropout(tanh(x_t[None] @ w + h @ u), 0.2)  # <-
    return h @ v


@row("random")
def dropout_of_rows(x, w, u, v):
    """Dropout on the whole sequence, and before the readout."""
    h = zeros(1, D)
    for x_t in dropout(x, 0.2):  # <-
        h = tanh(x_t[None] @ w + h @ u)
    return dropout(h, 0.5) @ v  # <-


@row("random")
def dropout_of_the_last_output(x, w, u, v):
    """Dropout in the loop of what only the readout reads."""
    h = y = zeros(1, D)
    for x_t in x:
        h = tanh(x_t[None] @ w + h @ u)
        y = dropout(h, 0.5)  # <-
    return y @ v  # <-


@row("random")
def one_mask(x, w, u, v):
    """The same mask at every step."""
    h, mask = zeros(1, D), dropout(np.ones((1, D), dtype=np.float32), 0.2)  # <-
    for x_t in x:
        h = tanh(x_t[None] @ w + (h * mask) @ u)  # <-
    return h @ v


@row("random")
def dropped_weights(x, w, u, v):
    """Dropout on a weight."""
    h, dropped = zeros(1, D), dropout(u, 0.2)  # <-
    for x_t in x:
        h = tanh(x_t[None] @ w + h @ dropped)
    return h @ v


@row("random")
def noisy(x, w, u, v):
    """Noise in a step."""
    h = zeros(1, D)
    for x_t in x:
        h = tanh(noise(x_t[None] @ w + h @ u, 0.1))  # <-
    return h @ v


@row("random", "`mg.where`, as below, so that every step draws")
def at_odd_steps(x, w, u, v):
    """Dropout at some steps."""
    h = zeros(1, D)
    for t, x_t in enumerate(x):
        h = tanh(x_t[None] @ w + h @ u)
        h = dropout(h, 0.2) if t % 2 else h  # <-
    return h @ v


@row("random")
def at_odd_steps_by_where(x, w, u, v):
    """The same with `mg.where`."""
    h = zeros(1, D)
    for t, x_t in enumerate(x):
        h = tanh(x_t[None] @ w + h @ u)
        h = mg.where(t % 2 == 1, dropout(h, 0.2), h)  # <-
    return h @ v


@row("random", "`myrnn.noise`")
def numpy_noise(x, w, u, v):
    """NumPy random numbers."""
    h, rng = zeros(D), np.random.default_rng()
    for x_t in x:
        h = tanh(x_t @ w + h @ u + rng.normal(size=D))  # <-
    return h @ v


@row("random", "`myrnn.dropout`")
def numpy_mask(x, w, u, v):
    """A NumPy mask."""
    h, rng = zeros(D), np.random.default_rng()
    for x_t in x:
        h = tanh(x_t @ w + h @ u) * (rng.random(D) > 0.2)  # <-
    return h @ v


@row("random")
def fixed_noise(x, w, u, v):
    """Random numbers that are the same at every call."""
    h, drawn = zeros(D), np.random.default_rng(0).normal(size=D).astype(np.float32)
    for x_t in x:
        h = tanh(x_t @ w + h @ u + drawn)  # <-
    return h @ v


@row("random", "the same number at every call, or a column of the data")
def counts_its_calls(x, w, u, v):
    """A value that changes from call to call."""
    h = zeros(D)
    counts_its_calls.calls = getattr(counts_its_calls, "calls", 0) + 1
    for x_t in x:
        h = tanh(x_t @ w + h @ u + 0.1 * counts_its_calls.calls)  # <-
    return h @ v


# Length ---------------------------------------------------------------------------------------------------------------


@row("length")
def length_at_the_end(x, w, u, b, v):
    """The length after the loop."""
    h = zeros(D)
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
    return (h + b / len(x)) @ v  # <-


@row("length")
def steps_after_the_end(x, w, u, u2, v):
    """A fixed number of steps without input, after the loop."""
    h = zeros(D)
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
    for _ in range(3):  # <-
        h = tanh(h @ u2)  # <-
    return h @ v


@row("length")
def runs_by_itself(x, w, u, u2, v):
    """A decoder that runs by itself, for as many steps as the sequence has."""
    h, out = zeros(D), []
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
    for _ in range(len(x)):  # <-
        h = tanh(h @ u2)  # <-
        out.append(h @ v)  # <-
    return stack(out)


@row("length", "the number as a column of the data, in a second loop over `x`")
def counts_by_itself(x, w, u, u2, v):
    """The same with a number of the step."""
    h, out = zeros(D), []
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
    for t in range(len(x)):
        h = tanh(h @ u2 + 0.1 * t)  # <-
        out.append(h @ v)
    return stack(out)


@row("length", "`mg.where`, as below, for four rows or more; or shorten the sequences in the data")
def first_rows(x, w, u, v):
    """Only the first rows."""
    h = zeros(D)
    for x_t in x[:6]:  # <-
        h = tanh(x_t @ w + h @ u)
    return h @ v


@row("length")
def first_rows_by_where(x, w, u, v):
    """The same with `mg.where`."""
    h = zeros(D)
    for t, x_t in enumerate(x):
        h = mg.where(t < 6, tanh(x_t @ w + h @ u), h)  # <-
    return h @ v


@row("length", "`mg.where`, as below: the loop continues and keeps the state")
def early_exit(x, w, u, v):
    """`break` when a state is large."""
    h = zeros(D)
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
        if mg.max(h) > 0.9:  # <-
            break  # <-
    return h @ v


@row("length")
def exit_by_where(x, w, u, v):
    """The same with `mg.where`."""
    h = zeros(D)
    for x_t in x:
        h = mg.where(mg.max(h) > 0.9, h, tanh(x_t @ w + h @ u))  # <-
    return h @ v


@row("length", "a fixed number of steps and `mg.where`, as below")
def as_many_steps_as_it_takes(x, w, u, u2, v):
    """A variable number of steps per row."""
    h = zeros(D)
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
        while mg.max(h) > 0.5:  # <-
            h = 0.5 * tanh(h @ u2)  # <-
    return h @ v


@row("length")
def at_most_three(x, w, u, u2, v):
    """The same with at most three steps."""
    h = zeros(D)
    for x_t in x:
        h = tanh(x_t @ w + h @ u)
        for _ in range(3):  # <-
            h = mg.where(mg.max(h) > 0.5, 0.5 * tanh(h @ u2), h)  # <-
    return h @ v


# The results ---------------------------------------------------------------------------------------------------------


@cache
def outcome(model: Callable[..., Any]) -> tuple[bool, str]:
    """Return whether a model compiles, and its parts or the error."""
    try:
        # A new class, because equal models of one class share compiled code and the names of the first.
        kind = type("Model", (Model,), {})
        return True, made_of(compile(kind(model), LENGTH, check=False))
    except CompileError as error:
        return False, reason(str(error))


def made_of(compiled: CompiledModel) -> str:
    """Describe the loops, states and tables of a compiled model."""
    recurrence = compiled.recurrence
    order = [
        "backward" if loop.backward else "forward" if loop.step else "all steps at once" for loop in recurrence.loops
    ]
    parts = [counted(order, "loop", order if {*order} != {"forward"} else [])]
    if names := [f"`{name}`" for name in compiled.state_names]:
        parts.append(counted(names, "state", names))
    if tables := recurrence.tables:
        from_the_end = any(table.backward for table in tables)
        parts.append(counted(tables, "table", ["from the last row"] if from_the_end else []))
    return "; ".join(parts)


def counted(things: Sequence[Any], name: str, details: Sequence[str]) -> str:
    """Return the number of things, and details about them."""
    return f"{len(things)} {name}{'s' * (len(things) != 1)}{': ' * bool(details)}{', '.join(details)}"


def reason(message: str) -> str:
    """Return the first sentence of an error, without the code that it shows."""
    text = re.split(r"\n +(?:\S+\.py:\d+ |\(a value)", message)[0]
    return re.split(r"[.:]$|\. ", " ".join(text.split()))[0]


def line(row: Row) -> str:
    """Return the table row of a model."""
    compiles, result = outcome(row.model)
    return f"{row.head} {result if compiles else f'**rejected**: {result}. Instead: {row.instead}'} |"


def table(rows: Sequence[Row]) -> str:
    """Return the table of some models."""
    return "\n".join(["| model | code | result |", "|---|---|---|", *map(line, rows)])


def filled(document: str) -> str:
    """Return the document with the current tables."""
    for name, rows in ROWS.items():
        begin, end = f"<!-- {name} -->\n", "\n<!-- end -->"
        head, rest = document.split(begin)
        document = head + begin + table(rows) + rest[rest.index(end) :]
    return document


if __name__ == "__main__":
    DOCUMENT.write_text(filled(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
