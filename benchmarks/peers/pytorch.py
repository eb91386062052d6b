"""PyTorch: its own recurrent layers, and a cell of your own as a loop over the steps."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from benchmarks.jobs import DIM_INPUT, LEARNING_RATE, Job, Weights, data_set, first_weights
from myrnn.sequences import Sequences

# The order in which PyTorch keeps the gates of its layers, in the letters of the job.
GATE_ORDER = {"rnn": "h", "gru": "rzn", "lstm": "ifgo"}

LAYERS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}

# Sequences drawn at once, and batches of a fixed set.
BLOCK, FIXED_BATCHES = 1000, 64


class LayerModel(nn.Module):
    """PyTorch's own layer with a linear readout of the last hidden state."""

    def __init__(self, cell: str, weights: Weights) -> None:
        super().__init__()
        dim_input, dim_recurrent = len(next(iter(weights.x2h.values()))), len(weights.h2y)
        kwargs = {"nonlinearity": "relu"} if cell == "rnn" else {}
        self.layer = LAYERS[cell](dim_input, dim_recurrent, **kwargs)
        self.readout = _linear(weights.h2y, weights.bias_y)
        gates = GATE_ORDER[cell]
        with torch.no_grad():
            self.layer.weight_ih_l0.copy_(torch.from_numpy(np.concatenate([weights.x2h[g].T for g in gates])))
            self.layer.weight_hh_l0.copy_(torch.from_numpy(np.concatenate([weights.h2h[g].T for g in gates])))
            self.layer.bias_ih_l0.copy_(torch.from_numpy(np.concatenate([weights.bias[g] for g in gates])))
            # The layer has a second bias, which the other peers do not have: zero, and not trained.
            self.layer.bias_hh_l0.zero_()
        self.layer.bias_hh_l0.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        hidden, _ = self.layer(x)
        return self.readout(hidden[-1])


class PackedModel(LayerModel):
    """The same for sequences of different lengths, packed: nothing is computed beyond their ends."""

    def forward(self, x: list[Tensor]) -> Tensor:
        # An empty sequence cannot be packed; its state is the first one.
        filled = [index for index, sequence in enumerate(x) if len(sequence)]
        packed: PackedSequence = pack_sequence([x[index] for index in filled], enforce_sorted=False)
        last = self.layer(packed)[1]
        states = (last[0] if isinstance(last, tuple) else last)[0]
        hidden = states.new_zeros(len(x), states.shape[1])
        hidden[filled] = states
        return self.readout(hidden)


class MinimalGatedUnit(nn.Module):
    """The custom cell: the inputs of all steps in one product, then a loop."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.x2fn = _linear(
            np.concatenate([weights.x2h[g] for g in "fn"], axis=1), np.concatenate([weights.bias[g] for g in "fn"])
        )
        self.h2f, self.h2n = _linear(weights.h2h["f"]), _linear(weights.h2h["n"])
        self.readout = _linear(weights.h2y, weights.bias_y)

    def forward(self, x: Tensor) -> Tensor:
        inputs_f, inputs_n = self.x2fn(x).chunk(2, dim=-1)
        h = x.new_zeros(x.shape[1], inputs_f.shape[-1])
        for input_f, input_n in zip(inputs_f.unbind(), inputs_n.unbind(), strict=True):
            f = torch.sigmoid(input_f + self.h2f(h))
            n = torch.tanh(input_n + self.h2n(f * h))
            h = h + f * (n - h)
        return self.readout(h)


class Trainer:
    """A model, its optimizer and the loop over iterations that a user of PyTorch would write."""

    def __init__(self, job: Job, compiled: bool) -> None:
        weights = first_weights(job)
        layers = PackedModel if job.data else LayerModel
        model = MinimalGatedUnit(weights) if job.cell == "mgu" else layers(job.cell, weights)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        # The fused step is the fastest of PyTorch's three on a processor.
        self._optimizer = torch.optim.Adam(trained, lr=LEARNING_RATE, fused=True)
        self._model = torch.compile(model, dynamic=False) if compiled else model

    def iterate(self, x: Tensor | list[Tensor], labels: Tensor) -> Tensor:
        loss = nn.functional.cross_entropy(self._model(x), labels)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        return loss


def training(job: Job, compiled: bool = False) -> Callable[[int], float]:
    """Time the loop, with its draws where the job draws."""
    _set_up(compiled)
    trainer = Trainer(job, compiled)
    fixed = None if job.drawn else list(batches(job, job.sequences(FIXED_BATCHES)))
    rng = np.random.default_rng(1)

    def run(iterations: int) -> float:
        begin = time.perf_counter()
        if fixed is not None:
            for index in range(iterations):
                trainer.iterate(*fixed[index % FIXED_BATCHES])
        for done in range(0, iterations if fixed is None else 0, BLOCK):
            for x, labels in batches(job, job.task.sample(min(BLOCK, iterations - done) * job.batch_size, rng)):
                trainer.iterate(x, labels)
        return time.perf_counter() - begin

    # Every length comes up, so that what is compiled by length is compiled here.
    run(100 if job.drawn else 3)
    return run


def epochs(job: Job) -> Callable[[int], float]:
    """Time passes through a set, in a new order each, its batches packed as they come."""
    _set_up(False)
    trainer = Trainer(job, False)
    x, labels = tensors(data_set(job.data))

    def run(count: int) -> float:
        begin = time.perf_counter()
        for _ in range(count):
            for chosen in torch.randperm(len(x)).split(job.batch_size):
                trainer.iterate([x[index] for index in chosen.tolist()], labels[chosen])
        return time.perf_counter() - begin

    trainer.iterate(x[: job.batch_size], labels[: job.batch_size])
    return run


def losses(job: Job, iterations: int, compiled: bool = False) -> list[float]:
    _set_up(compiled)
    trainer = Trainer(job, compiled)
    if job.data:
        x, labels = tensors(job.sequences(iterations))
        parts = [slice(begin, begin + job.batch_size) for begin in range(0, len(x), job.batch_size)]
        return [trainer.iterate(x[part], labels[part]).item() for part in parts]
    return [trainer.iterate(x, labels).item() for x, labels in batches(job, job.sequences(iterations))]


def batches(job: Job, sequences: Sequences) -> Iterator[tuple[Tensor, Tensor]]:
    """Return the iterations' one-hot sequences, (T, B, C), and labels, (B,); a batch's lengths are the same."""
    one_hot = torch.eye(DIM_INPUT)
    values, labels = torch.from_numpy(sequences.values.astype(np.int64)), torch.from_numpy(sequences.labels.copy())
    offsets, size = sequences.offsets.tolist(), job.batch_size
    for first in range(0, len(sequences), size):
        tokens = values[offsets[first] : offsets[first + size]].reshape(size, -1)
        yield one_hot[tokens.T], labels[first : first + size]


def tensors(sequences: Sequences) -> tuple[list[Tensor], Tensor]:
    """Return every sequence, (T, C), tokens one-hot, and the labels, (N,)."""
    one_hot = np.eye(sequences.dim_input, dtype=np.float32)
    values = one_hot[sequences.values] if sequences.is_tokens else sequences.values
    x = torch.from_numpy(values).split(sequences.lengths.tolist())
    return list(x), torch.from_numpy(sequences.labels.copy())


def _linear(weight: np.ndarray, bias: np.ndarray | None = None) -> nn.Linear:
    layer = nn.Linear(*weight.shape, bias=bias is not None)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight.T.copy()))
        if bias is not None:
            layer.bias.copy_(torch.from_numpy(bias))
    return layer


def _set_up(compiled: bool) -> None:
    if threads := os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(int(threads))
    if compiled:
        # One version for each length of the sequences; the usual limit is fewer than there are lengths.
        torch._dynamo.config.recompile_limit = 64
