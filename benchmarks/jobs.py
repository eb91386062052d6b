"""What is computed: a model, its first weights and its sequences, the same for every peer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cells import MinimalGatedUnit
from myrnn.models import GRU, LSTM, RNN
from myrnn.sequences import Sequences
from myrnn.tasks import TwinHalves

MODELS = {"rnn": RNN, "gru": GRU, "lstm": LSTM, "mgu": MinimalGatedUnit}

# The gates of each cell in the order of the model's layers: fc_x2<gate> and fc_h2<gate>.
GATES = {"rnn": "h", "gru": "zrn", "lstm": "ifog", "mgu": "fn"}

LEARNING_RATE = 1e-3
DIM_INPUT, DIM_OUTPUT = 10, 2


@dataclass(frozen=True)
class Job:
    """One model to train with Adam on twin halves of one-hot digits (C = 10 inputs, K = 2 classes).

    Attributes
    ----------
    cell : str
        A key of `MODELS`.
    shortest, longest : int
        T of the sequences: every even number between is equally likely.
    dim_recurrent : int
        D.
    batch_size : int
        B, the sequences of one iteration.
    drawn : bool
        Whether new sequences are drawn all the time, inside the measured time; else a fixed set is made beforehand.
    """

    cell: str
    shortest: int = 2
    longest: int = 20
    dim_recurrent: int = 50
    batch_size: int = 1
    drawn: bool = True

    @property
    def task(self) -> TwinHalves:
        return TwinHalves(self.shortest // 2, self.longest // 2)

    def model(self) -> Any:
        """Return the model with its first weights, always the same."""
        return MODELS[self.cell](DIM_INPUT, self.dim_recurrent, DIM_OUTPUT, rng=0)

    def sequences(self, iterations: int, seed: int = 0) -> Sequences:
        """Draw the sequences of so many iterations."""
        return self.task.sample(iterations * self.batch_size, np.random.default_rng(seed))


@dataclass(frozen=True)
class Weights:
    """The first weights of a job as plain float32 arrays, gate by gate.

    Attributes
    ----------
    x2h, bias, h2h : dict of ndarray, (C, D), (D,) and (D, D)
        By the gate's letter; rows are inputs.
    h2y, bias_y : ndarray, (D, K) and (K,)
    """

    x2h: dict[str, NDArray[np.float32]]
    bias: dict[str, NDArray[np.float32]]
    h2h: dict[str, NDArray[np.float32]]
    h2y: NDArray[np.float32]
    bias_y: NDArray[np.float32]


def first_weights(job: Job) -> Weights:
    """Return copies of the weights that `job.model()` begins with."""
    model, gates = job.model(), GATES[job.cell]
    inputs = {gate: getattr(model, f"fc_x2{gate}") for gate in gates}
    return Weights(
        {gate: layer.weight.data.copy() for gate, layer in inputs.items()},
        {gate: layer.bias.data[0].copy() for gate, layer in inputs.items()},
        {gate: getattr(model, f"fc_h2{gate}").weight.data.copy() for gate in gates},
        model.fc_h2y.weight.data.copy(),
        model.fc_h2y.bias.data[0].copy(),
    )


def matrix_flops(job: Job) -> float:
    """Return the floating-point operations of one iteration's matrix products over the hidden state.

    Forward, gradient by the state, gradient by the weights: three products for each gate and step but the first (whose
    state is zero), and for the readout. The inputs are tokens, whose product is a look-up; it does not count.
    """
    step = 2 * len(GATES[job.cell]) * job.dim_recurrent**2
    readout = 2 * job.dim_recurrent * DIM_OUTPUT
    return 3.0 * job.batch_size * ((job.longest - 1) * step + readout)


class Replay:
    """A task that gives the same sequences, in order, again and again."""

    dim_input, dim_output = DIM_INPUT, DIM_OUTPUT

    def __init__(self, data: Sequences) -> None:
        self._data = data
        self.lengths = np.unique(data.lengths)

    def sample(self, n: int, rng: np.random.Generator) -> Sequences:
        return self._data.select(np.arange(n) % len(self._data))
