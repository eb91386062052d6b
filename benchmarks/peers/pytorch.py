"""PyTorch: its recurrent layers, and a user-defined cell as a loop over the steps."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from benchmarks.jobs import (
    CHARACTERS,
    DIM_INPUT,
    LEARNING_RATE,
    PER_STEP,
    PREFIXES,
    STREAMS,
    WINDOW,
    WINDOWS,
    Job,
    Weights,
    data_set,
    first_weights,
    weights_by_name,
)
from benchmarks.peers.pytorch_cells import LOOPS, Loop
from myrnn.sequences import Sequences

# The order in which PyTorch keeps the gates of its layers, in the letters of the job.
GATE_ORDER = {"rnn": "h", "lstm": "ifgo", **dict.fromkeys(("gru", "bidirectional", "attention", "tagger"), "rzn")}
GATE_ORDER["characters"] = "rzn"

# The layer of each cell, by default a GRU.
LAYERS = {"rnn": nn.RNN, "lstm": nn.LSTM}

# Sequences drawn at once, and batches of a fixed set.
BLOCK, FIXED_BATCHES = 1000, 64


class LayerModel(nn.Module):
    """PyTorch's layer with a linear readout of the last hidden state."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        # One of each direction.
        weights = [first_weights(job, prefix) for prefix in PREFIXES.get(job.cell, ("",))]
        dim_input = len(next(iter(weights[0].x2h.values())))
        kwargs = {"nonlinearity": "relu"} if job.cell == "rnn" else {}
        layer = LAYERS.get(job.cell, nn.GRU)
        self.layer = layer(dim_input, job.dim_recurrent, bidirectional=len(weights) == 2, **kwargs)
        self.readout = _linear(weights[0].h2y, weights[0].bias_y)
        for part, suffix in zip(weights, ("l0", "l0_reverse"), strict=False):
            self._put(part, GATE_ORDER[job.cell], suffix)

    def _put(self, weights: Weights, gates: str, suffix: str) -> None:
        with torch.no_grad():
            for name, arrays in (("weight_ih", weights.x2h), ("weight_hh", weights.h2h), ("bias_ih", weights.bias)):
                values = np.concatenate([arrays[gate].T for gate in gates])
                getattr(self.layer, f"{name}_{suffix}").copy_(torch.from_numpy(values))
            # The layer has a second bias, which the other peers do not have: zero, and not trained.
            second = getattr(self.layer, f"bias_hh_{suffix}")
            second.zero_()
        second.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        hidden, _ = self.layer(x)
        return self.readout(hidden[-1])


class PackedModel(LayerModel):
    """The same for packed sequences of different lengths: nothing is computed after their ends."""

    def forward(self, x: list[Tensor]) -> Tensor:
        # An empty sequence cannot be packed; its state is the first one.
        filled = [index for index, sequence in enumerate(x) if len(sequence)]
        packed: PackedSequence = pack_sequence([x[index] for index in filled], enforce_sorted=False)
        last = self.layer(packed)[1]
        states = (last[0] if isinstance(last, tuple) else last)[0]
        hidden = states.new_zeros(len(x), states.shape[1])
        hidden[filled] = states
        return self.readout(hidden)


class BidirectionalModel(LayerModel):
    """A readout of the last states of both directions."""

    def forward(self, x: Tensor) -> Tensor:
        _, last = self.layer(x)
        return self.readout(torch.cat([last[0], last[1]], dim=1))


class AttentionModel(LayerModel):
    """A readout of the sum of all states, weighted by a learned query."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.query = _linear(weights_by_name(job)["query.weight"])

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.layer(x)
        shares = torch.softmax(self.query(states), dim=0)
        return self.readout((shares * states).sum(dim=0))


class TaggerModel(LayerModel):
    """An embedding, the layer over packed sentences, and a readout of all their steps at once."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.embedding = nn.Embedding.from_pretrained(
            torch.from_numpy(weights_by_name(job)["embedding.weight"]), freeze=False
        )

    def forward(self, x: PackedSequence) -> Tensor:
        states, _ = self.layer(x._replace(data=self.embedding(x.data)))
        return self.readout(states.data)


class CharacterModel(LayerModel):
    """The layer continues from given states, with a readout of all steps; it also returns its last states.

    Characters are one-hot rows, as the layer requires.
    """

    def forward(self, x: Tensor, h: Tensor | None) -> tuple[Tensor, Tensor]:
        states, h = self.layer(x, h)
        return self.readout(states.flatten(0, 1)), h


class MinimalGatedUnit(nn.Module):
    """The custom cell: the inputs of all steps in one product, then a loop."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        weights = first_weights(job)
        self.per_step = job.cell in PER_STEP
        self.x2fn = _linear(
            np.concatenate([weights.x2h[g] for g in "fn"], axis=1), np.concatenate([weights.bias[g] for g in "fn"])
        )
        self.h2f, self.h2n = _linear(weights.h2h["f"]), _linear(weights.h2h["n"])
        self.readout = _linear(weights.h2y, weights.bias_y)

    def forward(self, x: Tensor) -> Tensor:
        inputs_f, inputs_n = self.x2fn(x).chunk(2, dim=-1)
        h, states = x.new_zeros(x.shape[1], inputs_f.shape[-1]), []
        for input_f, input_n in zip(inputs_f.unbind(), inputs_n.unbind(), strict=True):
            f = torch.sigmoid(input_f + self.h2f(h))
            n = torch.tanh(input_n + self.h2n(f * h))
            h = h + f * (n - h)
            states.append(h)
        return self.readout(torch.cat(states) if self.per_step else h)


MODELS = {
    "mgu": MinimalGatedUnit,
    "mgu-tagger": MinimalGatedUnit,
    "bidirectional": BidirectionalModel,
    "attention": AttentionModel,
    "tagger": TaggerModel,
    "characters": CharacterModel,
    **dict.fromkeys(LOOPS, Loop),
}


class Trainer:
    """A model, its optimizer and the loop over iterations that a user of PyTorch would write."""

    def __init__(self, job: Job, compiled: bool) -> None:
        model = MODELS.get(job.cell, PackedModel if job.data else LayerModel)(job)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        # The fused step is the fastest of PyTorch's three on a processor.
        self._optimizer = torch.optim.Adam(trained, lr=LEARNING_RATE, fused=True)
        self._model = torch.compile(model, dynamic=False) if compiled else model

    def iterate(self, x: Tensor | list[Tensor] | PackedSequence, labels: Tensor) -> Tensor:
        return self._descend(nn.functional.cross_entropy(self._model(x), labels))

    def go_on(self, x: Tensor, labels: Tensor, h: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the loss, and the final states."""
        outputs, h = self._model(x, h)
        return self._descend(nn.functional.cross_entropy(outputs, labels)), h.detach()

    def _descend(self, loss: Tensor) -> Tensor:
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        return loss


def training(job: Job, compiled: bool = False) -> Callable[[int], float]:
    """Time the loop, including draws if the job draws."""
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

    # Every length occurs, so that programs that are compiled per length are compiled here.
    run(100 if job.drawn else 3)
    return run


def epochs(job: Job) -> Callable[[int], float]:
    """Time passes through a set, in a new order each, its batches packed as they come."""
    _set_up(False)
    trainer = Trainer(job, False)
    sequences = data_set(job.data)
    batch_of = packed_batches(sequences) if sequences.per_step else batches_of_lists(sequences)

    def run(count: int) -> float:
        begin = time.perf_counter()
        for _ in range(count):
            for chosen in torch.randperm(len(sequences)).split(job.batch_size):
                trainer.iterate(*batch_of(chosen))
        return time.perf_counter() - begin

    trainer.iterate(*batch_of(torch.arange(job.batch_size)))
    return run


def truncated(job: Job) -> Callable[[int], float]:
    """Time iterations over the windows of a text with states that carry over."""
    _set_up(False)
    following = _losses_of_text(job)
    next(following)

    def run(iterations: int) -> float:
        begin = time.perf_counter()
        for _ in range(iterations):
            next(following)
        return time.perf_counter() - begin

    return run


def _losses_of_text(job: Job) -> Iterator[Tensor]:
    """Train window by window without end; yield the loss of each."""
    trainer, one_hot = Trainer(job, False), torch.eye(job.dim_input)
    data = data_set(job.data)
    tokens, targets = (
        torch.from_numpy(part.astype(np.int64)).reshape(STREAMS, WINDOWS, WINDOW).permute(1, 2, 0).contiguous()
        for part in (data.values, data.targets)
    )
    while True:
        h = None
        for x, labels in zip(tokens, targets, strict=True):
            loss, h = trainer.go_on(one_hot[x], labels.flatten(), h)
            yield loss


def generation(job: Job, by_cell: bool = False) -> Callable[[int], float]:
    """Time the loop that draws one character after the other, with the layer or with PyTorch's cell."""
    _set_up(False)
    write = writer(job, by_cell)

    def run(characters: int) -> float:
        begin = time.perf_counter()
        write(characters)
        return time.perf_counter() - begin

    run(100)
    return run


def writer(job: Job, by_cell: bool) -> Callable[[int], list[int]]:
    """Return a function that draws this many characters after the first symbol."""
    model, one_hot = CharacterModel(job), torch.eye(job.dim_input)
    cell = nn.GRUCell(job.dim_input, job.dim_recurrent)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(cell, name).data = getattr(model.layer, f"{name}_l0").data

    @torch.inference_mode()
    def write(characters: int) -> list[int]:
        token, drawn = torch.zeros(1, dtype=torch.int64), []
        h = torch.zeros(1, job.dim_recurrent) if by_cell else torch.zeros(1, 1, job.dim_recurrent)
        for _ in range(characters):
            if by_cell:
                h = cell(one_hot[token], h)
                outputs = model.readout(h)
            else:
                outputs, h = model(one_hot[token][None], h)
            token = torch.multinomial(torch.softmax(outputs, dim=-1), 1)[0]
            drawn.append(token)
        return torch.cat(drawn).tolist()

    return write


def losses(job: Job, iterations: int, compiled: bool = False) -> list[float]:
    _set_up(compiled)
    if job.data == CHARACTERS:
        return [loss.item() for loss in islice(_losses_of_text(job), iterations)]
    trainer = Trainer(job, compiled)
    if job.data:
        sequences = job.sequences(iterations)
        batch_of = packed_batches(sequences) if sequences.per_step else batches_of_lists(sequences)
        chosen = torch.arange(len(sequences)).split(job.batch_size)
        return [trainer.iterate(*batch_of(part)).item() for part in chosen]
    return [trainer.iterate(x, labels).item() for x, labels in batches(job, job.sequences(iterations))]


def batches(job: Job, sequences: Sequences) -> Iterator[tuple[Tensor, Tensor]]:
    """Return the iterations' one-hot sequences, (T, B, C), and labels, (B,) or of every step (T B,).

    The lengths of a batch are the same.
    """
    one_hot = torch.eye(DIM_INPUT)
    values, targets = (torch.from_numpy(part.astype(np.int64)) for part in (sequences.values, sequences.targets))
    offsets, size = sequences.offsets.tolist(), job.batch_size
    for first in range(0, len(sequences), size):
        steps = slice(offsets[first], offsets[first + size])
        tokens = values[steps].reshape(size, -1)
        labels = targets[steps].reshape(size, -1).T.flatten() if sequences.per_step else targets[first : first + size]
        yield one_hot[tokens.T], labels


def batches_of_lists(sequences: Sequences) -> Callable[[Tensor], tuple[list[Tensor], Tensor]]:
    """Return a function from indices to sequences, each (T, C), tokens one-hot, and their labels."""
    one_hot = np.eye(sequences.dim_input, dtype=np.float32)
    values = one_hot[sequences.values] if sequences.is_tokens else sequences.values
    x = torch.from_numpy(values).split(sequences.lengths.tolist())
    labels = torch.from_numpy(sequences.labels.copy())
    return lambda chosen: ([x[index] for index in chosen.tolist()], labels[chosen])


def packed_batches(sequences: Sequences) -> Callable[[Tensor], tuple[PackedSequence, Tensor]]:
    """Return a function from indices of sequences to their packed tokens and the targets of their steps."""
    # Packed together, which saves one packing.
    pairs = torch.from_numpy(np.stack([sequences.values, sequences.targets], axis=1).astype(np.int64))
    parts = pairs.split(sequences.lengths.tolist())

    def batch_of(chosen: Tensor) -> tuple[PackedSequence, Tensor]:
        packed = pack_sequence([parts[index] for index in chosen.tolist()], enforce_sorted=False)
        tokens, targets = packed.data.unbind(1)
        return packed._replace(data=tokens), targets

    return batch_of


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
